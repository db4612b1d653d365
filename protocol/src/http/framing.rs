//! What a head says about the body, the connection and the target (RFC 9112, 3.2, 6 and 9).

use super::chars::trim_ows;
use super::headers::{HeaderSpan, Headers, Split};
use super::{ErrorKind, ProtocolError, RequestHead, ResponseHead, Version};

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
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) wants_upgrade: bool,
}

/// What a response's head means beyond its grammar.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseFraming {
    pub(super) length: Length,
    pub(super) keep_alive: bool,
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
        keep_alive: fields.keep_alive(head.version),
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
        return Ok(ResponseFraming { length: Length::Known(0), keep_alive: false });
    }
    let fields = Fields::read(head.headers, head.version, false)?;
    let length = match fields.length {
        _ if bodiless || matches!(head.status.code(), 100..=199 | 204 | 304) => Length::Known(0),
        None if fields.chunked => Length::Chunked,
        None => Length::UntilEof,
        Some(length) => Length::Known(length),
    };
    let keep_alive = fields.keep_alive(head.version) && length != Length::UntilEof;
    Ok(ResponseFraming { length, keep_alive })
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
                    // Options are tokens: a quote is none, and hides no comma (RFC 9110, 7.6.1).
                    for option in value.split(|&byte| byte == b',').map(trim_ows) {
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

    /// RFC 9112, 9.3.
    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (self.keep || version == Version::Http11)
    }
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

/// `uri-host [ ":" port ]` (RFC 9110, 7.2), or nothing, for a target without authority.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || authority(value).is_some()
}

/// Splits an authority without user information into host and port (RFC 3986, 3.2). The port may be
/// missing or empty.
pub(super) fn authority(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (host, port) = if value.first() == Some(&b'[') {
        let end = value.iter().position(|&byte| byte == b']')?;
        if !is_ip_literal(&value[1..end]) {
            return None;
        }
        value.split_at(end + 1)
    } else {
        let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
        let (host, port) = value.split_at(end);
        if host.is_empty() || !is_reg_name(host) {
            return None;
        }
        (host, port)
    };
    match port {
        [] => Some((host, port)),
        [b':', port @ ..] => {
            let fits = port.is_empty() || decimal(port).is_some_and(|port| port <= 65535);
            fits.then_some((host, port))
        }
        _ => None,
    }
}

/// `unreserved / sub-delims` (RFC 3986, 2).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// `*( unreserved / pct-encoded / sub-delims )` (RFC 3986, 3.2.2).
fn is_reg_name(name: &[u8]) -> bool {
    let mut parts = name.split(|&byte| byte == b'%');
    let first = parts.next().unwrap_or_default();
    let encoded = |part: &[u8]| part.len() >= 2 && part[..2].iter().all(u8::is_ascii_hexdigit);
    first.iter().copied().all(is_plain)
        && parts.all(|part| encoded(part) && part[2..].iter().copied().all(is_plain))
}

/// `IPv6address / IPvFuture` (RFC 3986, 3.2.2).
fn is_ip_literal(literal: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = literal {
        let dot = future.iter().position(|&byte| byte == b'.').unwrap_or(0);
        let (version, address) = future.split_at(dot);
        let inside = |&byte: &u8| is_plain(byte) || byte == b':';
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && address.len() > 1
            && address[1..].iter().all(inside);
    }
    let text = core::str::from_utf8(literal);
    text.is_ok_and(|text| text.parse::<core::net::Ipv6Addr>().is_ok())
}

/// Whether the target has a form that the method takes (RFC 9112, 3.2).
pub(super) fn target_fits(method: &[u8], target: &[u8]) -> bool {
    match target {
        _ if method == b"CONNECT" => authority(target).is_some_and(|(_, port)| !port.is_empty()),
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => is_absolute(target),
    }
}

/// `scheme "://" authority …` with an authority that names a host and no user.
fn is_absolute(target: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', target) else { return false };
    let (scheme, rest) = target.split_at(colon);
    let Some(rest) = rest.strip_prefix(b"://") else { return false };
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let inside = |&byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(inside)
        && authority(&rest[..end]).is_some()
}
