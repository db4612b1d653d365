//! What a head says about the body and the connection (RFC 9112, 6 and 9).

use super::chars::trim_ows;
use super::headers::{HeaderSpan, Headers, Split};
use super::target::is_host;
pub(super) use super::target::target_fits;
use super::{CloseReason, ErrorKind, ProtocolError, RequestHead, ResponseHead, Version};

/// How the body is delimited (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked,
    UntilEof,
}

/// What a request's head means beyond its grammar.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestFraming {
    pub(super) length: Length,
    pub(super) close: Option<CloseReason>,
    pub(super) expects_continue: bool,
    pub(super) wants_upgrade: bool,
}

/// What a response's head means beyond its grammar.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseFraming {
    pub(super) length: Length,
    pub(super) close: Option<CloseReason>,
}

/// Judges a request head, `size` bytes long, whose target begins at `target`. Offsets in errors
/// count from the start of the head.
pub(super) fn request(
    head: &RequestHead<'_>,
    target: usize,
    size: usize,
) -> Result<RequestFraming, ProtocolError> {
    if !target_fits(head.method.as_bytes(), head.target.as_bytes()) {
        return Err(ProtocolError { kind: ErrorKind::BadTarget, offset: target as u64 });
    }
    let fields = Fields::read(head.headers, head.version, true)?;
    if !fields.host && head.version == Version::Http11 {
        return Err(ProtocolError { kind: ErrorKind::MissingHost, offset: size as u64 });
    }
    let length = match fields.length {
        None if fields.chunked => Length::Chunked,
        None => Length::Known(0),
        Some(length) => Length::Known(length),
    };
    Ok(RequestFraming {
        length,
        close: fields.close_reason(head.version, CloseReason::ClientSaidClose),
        // RFC 9110, 10.1.1: a server ignores it in HTTP/1.0.
        expects_continue: fields.expects_continue && head.version == Version::Http11,
        // RFC 9110, 7.8: a server ignores it in HTTP/1.0.
        wants_upgrade: fields.upgrade && head.version == Version::Http11,
    })
}

/// Judges a response head. `bodiless` says that the request was a HEAD, `tunnels` that this is a
/// success in answer to CONNECT: whatever that says of a body is ignored (RFC 9110, 9.3.6).
pub(super) fn response(
    head: &ResponseHead<'_>,
    bodiless: bool,
    tunnels: bool,
) -> Result<ResponseFraming, ProtocolError> {
    if tunnels {
        return Ok(ResponseFraming { length: Length::Known(0), close: None });
    }
    let fields = Fields::read(head.headers, head.version, false)?;
    let length = match fields.length {
        _ if bodiless || matches!(head.status.code(), 100..=199 | 204 | 304) => Length::Known(0),
        None if fields.chunked => Length::Chunked,
        None => Length::UntilEof,
        Some(length) => Length::Known(length),
    };
    let until_eof = (length == Length::UntilEof).then_some(CloseReason::CloseDelimited);
    let close = fields.close_reason(head.version, CloseReason::ServerSaidClose).or(until_eof);
    Ok(ResponseFraming { length, close })
}

/// The fields that frame a message, read in one pass over its lines.
#[derive(Default)]
struct Fields {
    host: bool,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep: bool,
    upgrade: bool,
    expects_continue: bool,
}

impl Fields {
    fn read(
        headers: Headers<'_>,
        version: Version,
        is_request: bool,
    ) -> Result<Self, ProtocolError> {
        let mut fields = Self::default();
        let mut coding = None;
        let mut unknown_coding = None;
        for span in headers.spans {
            let (name, value) = (span.name(headers.bytes), span.value(headers.bytes));
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            match name.len() {
                4 if is_request && is(b"host") => {
                    if core::mem::replace(&mut fields.host, true) {
                        return Err(at_name(ErrorKind::DuplicateHost, span));
                    }
                    if !is_host(value) {
                        return Err(at_value(ErrorKind::BadHost, span));
                    }
                }
                6 if is_request && is(b"expect") => {
                    fields.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                    if !fields.expects_continue && version == Version::Http11 {
                        return Err(at_value(ErrorKind::UnknownExpectation, span));
                    }
                }
                7 if is(b"upgrade") => fields.upgrade = true,
                10 if is(b"connection") => {
                    for option in Split::new(value, b',') {
                        fields.close |= option.eq_ignore_ascii_case(b"close");
                        fields.keep |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if is(b"content-length") => {
                    for member in value.split(|&byte| byte == b',') {
                        let Some(length) = decimal(trim_ows(member)) else {
                            return Err(at_value(ErrorKind::BadContentLength, span));
                        };
                        if fields.length.replace(length).is_some_and(|before| before != length) {
                            return Err(at_value(ErrorKind::ContentLengthMismatch, span));
                        }
                    }
                }
                17 if is(b"transfer-encoding") => {
                    coding = Some(span);
                    for member in Split::new(value, b',') {
                        // Nothing may stand behind `chunked`, and that only once.
                        if fields.chunked || member.is_empty() {
                            return Err(at_value(ErrorKind::BadTransferEncoding, span));
                        }
                        fields.chunked = member.eq_ignore_ascii_case(b"chunked");
                        if !fields.chunked {
                            unknown_coding = Some(span);
                        }
                    }
                }
                _ => {}
            }
        }
        match (coding, unknown_coding) {
            (Some(span), _) if version == Version::Http10 => {
                Err(at_name(ErrorKind::CodingInHttp10, span))
            }
            (Some(span), _) if fields.length.is_some() => {
                Err(at_name(ErrorKind::LengthAndCoding, span))
            }
            (Some(span), _) if !fields.chunked => {
                Err(at_value(ErrorKind::BadTransferEncoding, span))
            }
            (_, Some(span)) => Err(at_value(ErrorKind::UnknownCoding, span)),
            _ => Ok(fields),
        }
    }

    /// Why the connection closes behind this exchange (RFC 9112, 9.3); `said` is who said so.
    fn close_reason(&self, version: Version, said: CloseReason) -> Option<CloseReason> {
        match version {
            _ if self.close => Some(said),
            Version::Http10 if !self.keep => Some(CloseReason::Http10),
            _ => None,
        }
    }
}

/// Trailers that would change how the message is framed, routed or read (RFC 9110, 6.5.1).
const FORBIDDEN_TRAILERS: [&[u8]; 14] = [
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"expect",
    b"host",
    b"keep-alive",
    b"max-forwards",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

/// Whether a trailer section may not hold a field of this name.
pub(super) fn is_forbidden_trailer(name: &[u8]) -> bool {
    FORBIDDEN_TRAILERS.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(name))
}

fn at_name(kind: ErrorKind, span: &HeaderSpan) -> ProtocolError {
    ProtocolError { kind, offset: u64::from(span.name) }
}

fn at_value(kind: ErrorKind, span: &HeaderSpan) -> ProtocolError {
    ProtocolError { kind, offset: u64::from(span.value) }
}

/// `1*DIGIT` that fits 64 bits: no sign, no space, no underscore.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
