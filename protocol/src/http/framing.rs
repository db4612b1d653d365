//! What a head says about the body and the connection (RFC 9112, 6 and 9).

use super::chars::{is, trim_ows};
use super::fields::Marks;
use super::headers::{HeaderSpan, Headers, Split};
use super::scan::end_of_host;
use super::target::{authority, is_port, target_fits};
use super::{CloseReason, ErrorKind, Leniency, ProtocolError, Status, Version};

/// How a body is delimited (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// By its length. Zero also where there is no body at all.
    Known(u64),
    /// By chunked coding.
    Chunked,
    /// By the end of the connection.
    UntilEof,
}

/// What a request's head means beyond its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestFraming {
    /// How the body is delimited.
    pub length: Length,
    /// Why no other request may follow (RFC 9112, 9.3), if that is so.
    pub close: Option<CloseReason>,
    /// Whether the client waits for `100 Continue` (RFC 9110, 10.1.1). Never in HTTP/1.0.
    pub expects_continue: bool,
    /// Whether there is an `Upgrade`, and `Connection` says so: else a proxy has passed on what was not
    /// meant for here (RFC 9110, 7.8). Never in HTTP/1.0.
    pub wants_upgrade: bool,
}

/// What a response's head means beyond its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseFraming {
    /// How the body is delimited.
    pub length: Length,
    /// Why no other response may follow (RFC 9112, 9.3), if that is so.
    pub close: Option<CloseReason>,
}

/// Judges a request head of `size` bytes at the front of `headers.bytes`. Offsets in errors count
/// from there.
#[inline]
pub(super) fn request(
    headers: Headers<'_>,
    marks: Marks,
    [method, method_end, target_end]: [u32; 3],
    version: Version,
    size: u32,
) -> Result<RequestFraming, ProtocolError> {
    let target = method_end + 1;
    // Nearly always the target is a path, and the method is not as long as CONNECT.
    let is_path = headers.bytes.get(target as usize) == Some(&b'/');
    if !(is_path && method_end - method != 7) {
        let part = |from: u32, to: u32| headers.bytes.get(from as usize..to as usize);
        let (name, target_text) = (part(method, method_end), part(target, target_end));
        if !target_fits(name.unwrap_or_default(), target_text.unwrap_or_default()) {
            return Err(ProtocolError { kind: ErrorKind::BadTarget, offset: u64::from(target) });
        }
    }
    let fields = Fields::read(headers, marks, version, true)?;
    let length = fields.length(version, Leniency::STRICT)?;
    let is_http11 = version == Version::Http11;
    if is_http11 && !fields.has(Fields::HOST) {
        return Err(ProtocolError { kind: ErrorKind::MissingHost, offset: u64::from(size) });
    }
    Ok(RequestFraming {
        length: length.unwrap_or(Length::Known(0)),
        close: fields.close_reason(version, CloseReason::ClientSaidClose),
        expects_continue: fields.has(Fields::CONTINUE) && is_http11,
        wants_upgrade: fields.has(Fields::UPGRADE)
            && fields.has(Fields::UPGRADE_OPTION)
            && is_http11,
    })
}

/// Judges a response head. Whatever a success in answer to CONNECT says of a body is ignored (RFC
/// 9110, 9.3.6).
#[inline]
pub(super) fn response(
    headers: Headers<'_>,
    marks: Marks,
    (version, status): (Version, Status),
    leniency: Leniency,
    (to_head, to_connect): (bool, bool),
) -> Result<ResponseFraming, ProtocolError> {
    if to_connect && status.is_success() {
        return Ok(ResponseFraming { length: Length::Known(0), close: None });
    }
    let fields = Fields::read(headers, marks, version, false)?;
    let delimited = fields.length(version, leniency)?;
    let length = match delimited {
        _ if to_head || matches!(status.code(), 100..=199 | 204 | 304) => Length::Known(0),
        delimited => delimited.unwrap_or(Length::UntilEof),
    };
    // What `Leniency::length_and_coding` puts up with.
    let ignored = delimited == Some(Length::Chunked) && fields.length.is_some();
    let close = fields
        .close_reason(version, CloseReason::ServerSaidClose)
        .or(ignored.then_some(CloseReason::LengthAndCoding))
        .or((length == Length::UntilEof).then_some(CloseReason::CloseDelimited));
    Ok(ResponseFraming { length, close })
}

/// The fields that frame a message, read in one pass over the lines that may be such.
#[derive(Default)]
struct Fields<'a> {
    length: Option<u64>,
    /// The last `Transfer-Encoding`, and the last one with another coding than `chunked`.
    coding: Option<&'a HeaderSpan>,
    unknown_coding: Option<&'a HeaderSpan>,
    /// What else there is. One number, since it stays in a register.
    seen: u32,
}

impl<'a> Fields<'a> {
    const HOST: u32 = 1;
    const CONTINUE: u32 = 1 << 1;
    const UPGRADE: u32 = 1 << 2;
    const CLOSE: u32 = 1 << 3;
    const KEEP_ALIVE: u32 = 1 << 4;
    const CHUNKED: u32 = 1 << 5;
    const UPGRADE_OPTION: u32 = 1 << 6;

    #[inline(always)]
    fn has(&self, what: u32) -> bool {
        self.seen & what != 0
    }

    #[inline(always)]
    fn read(
        headers: Headers<'a>,
        marks: Marks,
        version: Version,
        is_request: bool,
    ) -> Result<Self, ProtocolError> {
        let mut fields = Self::default();
        for span in marks.of(headers.spans) {
            let name = span.name(headers.bytes);
            let value = span.value(headers.bytes);
            match name.len() {
                4 if is_request && is(name, b"host") => {
                    if fields.has(Self::HOST) {
                        return Err(at_name(ErrorKind::DuplicateHost, span));
                    }
                    if !is_host(headers.bytes, span) {
                        return Err(at_value(ErrorKind::BadHost, span));
                    }
                    fields.seen |= Self::HOST;
                }
                10 if is(name, b"connection") => fields.seen |= connection_options(value),
                14 if is(name, b"content-length") => match decimal(value) {
                    Some(length) if fields.length.is_none() => fields.length = Some(length),
                    _ => fields.content_lengths(span, value)?,
                },
                17 if is(name, b"transfer-encoding") => {
                    if fields.coding.is_none() && is(value, b"chunked") {
                        fields.seen |= Self::CHUNKED;
                    } else {
                        fields.transfer_codings(span, value)?;
                    }
                    fields.coding = Some(span);
                }
                7 if is(name, b"upgrade") => fields.seen |= Self::UPGRADE,
                6 if is_request && is(name, b"expect") => {
                    fields.seen &= !Self::CONTINUE;
                    if is(value, b"100-continue") {
                        fields.seen |= Self::CONTINUE;
                    } else if version == Version::Http11 {
                        return Err(at_value(ErrorKind::UnknownExpectation, span));
                    }
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    /// One of several lengths, or a list of them, which must all be the same (RFC 9110, 8.6).
    #[cold]
    fn content_lengths(&mut self, span: &HeaderSpan, value: &[u8]) -> Result<(), ProtocolError> {
        for member in value.split(|&byte| byte == b',') {
            let Some(length) = decimal(trim_ows(member)) else {
                return Err(at_value(ErrorKind::BadContentLength, span));
            };
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err(at_value(ErrorKind::ContentLengthMismatch, span));
            }
        }
        Ok(())
    }

    /// Codings that are not `chunked` by itself.
    #[cold]
    fn transfer_codings(
        &mut self,
        span: &'a HeaderSpan,
        value: &[u8],
    ) -> Result<(), ProtocolError> {
        for member in Split::new(value, b',') {
            // Nothing may stand behind `chunked`, and that only once.
            if self.has(Self::CHUNKED) || member.is_empty() {
                return Err(at_value(ErrorKind::BadTransferEncoding, span));
            }
            if is(member, b"chunked") {
                self.seen |= Self::CHUNKED;
            } else {
                self.unknown_coding = Some(span);
            }
        }
        Ok(())
    }

    /// How the fields say that the body is delimited, if they do.
    #[inline(always)]
    fn length(
        &self,
        version: Version,
        leniency: Leniency,
    ) -> Result<Option<Length>, ProtocolError> {
        let Some(coding) = self.coding else { return Ok(self.length.map(Length::Known)) };
        if version == Version::Http10 {
            return Err(at_name(ErrorKind::CodingInHttp10, coding));
        }
        if self.length.is_some() && !leniency.length_and_coding {
            return Err(at_name(ErrorKind::LengthAndCoding, coding));
        }
        if !self.has(Self::CHUNKED) {
            return Err(at_value(ErrorKind::BadTransferEncoding, coding));
        }
        match self.unknown_coding {
            Some(span) => Err(at_value(ErrorKind::UnknownCoding, span)),
            None => Ok(Some(Length::Chunked)),
        }
    }

    /// Why the connection closes behind this exchange (RFC 9112, 9.3); `said` is who said so.
    #[inline(always)]
    fn close_reason(&self, version: Version, said: CloseReason) -> Option<CloseReason> {
        match version {
            _ if self.has(Self::CLOSE) => Some(said),
            Version::Http10 if !self.has(Self::KEEP_ALIVE) => Some(CloseReason::Http10),
            _ => None,
        }
    }
}

/// What a `Connection` says, as bits of [`Fields::seen`].
#[inline(always)]
fn connection_options(value: &[u8]) -> u32 {
    // Nearly always it is one of these.
    match value.len() {
        10 if is(value, b"keep-alive") => Fields::KEEP_ALIVE,
        7 if is(value, b"upgrade") => Fields::UPGRADE_OPTION,
        5 if is(value, b"close") => Fields::CLOSE,
        _ => connection_list(value),
    }
}

#[cold]
fn connection_list(value: &[u8]) -> u32 {
    // Options are tokens: a quote is none, and hides no comma (RFC 9110, 7.6.1).
    value.split(|&byte| byte == b',').map(trim_ows).fold(0, |seen, option| match option.len() {
        5 if is(option, b"close") => seen | Fields::CLOSE,
        10 if is(option, b"keep-alive") => seen | Fields::KEEP_ALIVE,
        7 if is(option, b"upgrade") => seen | Fields::UPGRADE_OPTION,
        _ => seen,
    })
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
#[inline]
fn decimal(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (!digits.is_empty()).then_some(number)
}

/// `uri-host [ ":" port ]` (RFC 9110, 7.2), or nothing, for a target without authority.
#[inline]
fn is_host(bytes: &[u8], span: &HeaderSpan) -> bool {
    // A name of plain bytes ends with the value or before its port.
    let (from, to) = (span.value as usize, span.value_end as usize);
    let end = end_of_host(bytes, from);
    match bytes.get(end..to) {
        Some([]) => true,
        Some([b':', port @ ..]) if end > from => is_port(port),
        _ => authority(span.value(bytes)).is_some(),
    }
}
