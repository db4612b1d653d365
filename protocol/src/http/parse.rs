//! Heads, parsed in one pass however they arrive (RFC 9112, 2 to 5).
//!
//! A parser remembers the byte that it has come to and what it expects there, so a head that
//! trickles in byte by byte costs as much as one that comes whole. It stops at the first byte that
//! cannot be right.

use super::chars::{end_of_target, end_of_token, end_of_value, is_ows, is_tchar};
use super::head;
use super::headers::{HeaderSpan, Headers};
use super::{ErrorKind, Limits, ProtocolError, RequestHead, ResponseHead, Status, Version};
use crate::RecvBuf;

/// Where a parsed request head lies at the front of [`RecvBuf::raw`].
#[derive(Clone, Copy, Debug)]
pub struct ParsedRequest {
    /// Start of the method, its end, end of the target.
    line: [u32; 3],
    version: Version,
    size: u32,
}

impl ParsedRequest {
    /// How many bytes the head takes. [`RecvBuf::skip`] them to get to what follows.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// Where the target begins.
    pub(super) const fn target(&self) -> usize {
        self.line[1] as usize + 1
    }

    /// The view over the head, which must still lie at the front of `rx`.
    #[must_use]
    pub fn head<'a>(&self, rx: &'a RecvBuf) -> RequestHead<'a> {
        head::request(rx.raw(), &rx.spans, self.line, self.version)
    }
}

/// Where a parsed response head lies at the front of [`RecvBuf::raw`].
#[derive(Clone, Copy, Debug)]
pub struct ParsedResponse {
    version: Version,
    status: Status,
    /// Start and end of the reason phrase.
    reason: [u32; 2],
    size: u32,
}

impl ParsedResponse {
    /// How many bytes the head takes. [`RecvBuf::skip`] them to get to what follows.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The view over the head, which must still lie at the front of `rx`.
    #[must_use]
    pub fn head<'a>(&self, rx: &'a RecvBuf) -> ResponseHead<'a> {
        let bytes = rx.raw();
        let [from, to] = self.reason;
        ResponseHead {
            version: self.version,
            status: self.status,
            reason: bytes.get(from as usize..to as usize).unwrap_or_default(),
            headers: Headers { bytes, spans: &rx.spans },
        }
    }
}

/// Parses the request head at the front of [`RecvBuf::raw`], if it is there as a whole.
///
/// This looks at the grammar alone; what [`Server`](super::Server) refuses beyond that concerns
/// `Host`, framing, and which target a method takes. To parse a head as it trickles in, keep a
/// [`RequestParser`].
///
/// ```
/// use tidewire::{RecvBuf, http};
///
/// let mut rx = RecvBuf::with_limit(1024);
/// assert_eq!(rx.push(b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"), 30);
/// let parsed = http::parse_request(&mut rx, &http::Limits::default())?.unwrap();
/// assert_eq!(parsed.size(), 30);
/// assert_eq!(parsed.head(&rx).path(), "/a");
/// assert_eq!(parsed.head(&rx).headers.get("host"), Some(&b"h"[..]));
/// # Ok::<(), http::ProtocolError>(())
/// ```
///
/// # Errors
/// What is wrong with the head; the offset counts from its first byte.
pub fn parse_request(
    rx: &mut RecvBuf,
    limits: &Limits,
) -> Result<Option<ParsedRequest>, ProtocolError> {
    RequestParser::new().parse(rx, limits)
}

/// Parses the response head at the front of [`RecvBuf::raw`], if it is there as a whole.
///
/// # Errors
/// What is wrong with the head; the offset counts from its first byte.
pub fn parse_response(
    rx: &mut RecvBuf,
    limits: &Limits,
) -> Result<Option<ParsedResponse>, ProtocolError> {
    ResponseParser::new().parse(rx, limits)
}

/// What is wrong, and at which offset.
type Fault = (ErrorKind, usize);

fn fault((kind, at): Fault) -> ProtocolError {
    ProtocolError { kind, offset: at as u64 }
}

/// Whether all that a head may be is here, or all that the buffer can take: what is incomplete now
/// will not be completed.
pub(super) fn is_exhausted(rx: &RecvBuf, limit: usize) -> bool {
    rx.raw().len() >= limit.min(u32::MAX as usize) || (rx.is_full() && rx.content().is_empty())
}

/// The bytes that a section of at most `limit` bytes may be in. Spans count in 32 bits.
pub(super) fn window(raw: &[u8], limit: usize) -> &[u8] {
    &raw[..raw.len().min(limit).min(u32::MAX as usize)]
}

/// An incremental parser of request heads.
///
/// Between two calls, `rx` may grow at its end and must not change otherwise. After a head or an
/// error, begin with a new parser.
#[derive(Clone, Debug)]
pub struct RequestParser {
    expects: InRequest,
    at: usize,
    line: [u32; 3],
    version: Version,
    fields: FieldParser,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InRequest {
    Start,
    StartLf,
    Method,
    Target,
    Version,
    LineLf,
    Fields,
}

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestParser {
    /// A parser at the first byte of a head.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            expects: InRequest::Start,
            at: 0,
            line: [0; 3],
            version: Version::Http11,
            fields: FieldParser::new(0),
        }
    }

    /// Whether the method has begun. An empty line before it does not count (RFC 9112, 2.2).
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !matches!(self.expects, InRequest::Start | InRequest::StartLf)
    }

    /// Goes on parsing; `None` says that the head is incomplete.
    ///
    /// # Errors
    /// What is wrong with the head; the offset counts from its first byte.
    pub fn parse(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<ParsedRequest>, ProtocolError> {
        let mut spans = core::mem::take(&mut rx.spans);
        let bytes = window(rx.raw(), limits.head);
        let parsed = self.parse_bytes(bytes, &mut spans, limits);
        rx.spans = spans;
        if parsed.map_err(fault)? {
            let size = self.fields.at as u32;
            return Ok(Some(ParsedRequest { line: self.line, version: self.version, size }));
        }
        if is_exhausted(rx, limits.head) {
            let kind = match self.expects {
                InRequest::Fields => ErrorKind::HeadTooLarge,
                _ => ErrorKind::TargetTooLong,
            };
            return Err(fault((kind, rx.raw().len().min(limits.head))));
        }
        Ok(None)
    }

    fn parse_bytes(
        &mut self,
        bytes: &[u8],
        spans: &mut alloc::vec::Vec<HeaderSpan>,
        limits: &Limits,
    ) -> Result<bool, Fault> {
        while self.expects != InRequest::Fields {
            let Some(&byte) = bytes.get(self.at) else { return Ok(false) };
            match self.expects {
                InRequest::Start => match byte {
                    b'\r' if self.at == 0 => {
                        self.at += 1;
                        self.expects = InRequest::StartLf;
                    }
                    b'\n' => return Err((ErrorKind::BareLf, self.at)),
                    _ if is_tchar(byte) => {
                        self.line[0] = self.at as u32;
                        self.expects = InRequest::Method;
                    }
                    _ => return Err((ErrorKind::BadMethod, self.at)),
                },
                InRequest::StartLf => {
                    self.at = line_feed(byte, self.at)?;
                    self.expects = InRequest::Start;
                }
                InRequest::Method => {
                    self.at = end_of_token(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b' ') => {
                            self.line[1] = self.at as u32;
                            self.at += 1;
                            self.expects = InRequest::Target;
                        }
                        Some(_) => return Err((ErrorKind::BadMethod, self.at)),
                    }
                }
                InRequest::Target => {
                    self.at = end_of_target(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b' ') if self.at > self.line[1] as usize + 1 => {
                            self.line[2] = self.at as u32;
                            self.at += 1;
                            self.expects = InRequest::Version;
                        }
                        // A line without a version: HTTP/0.9.
                        Some(b'\r' | b'\n') => return Err((ErrorKind::BadVersion, self.at)),
                        Some(_) => return Err((ErrorKind::BadTarget, self.at)),
                    }
                }
                InRequest::Version => {
                    match version(bytes, &mut self.at, self.line[2] as usize + 1)? {
                        None => return Ok(false),
                        Some(version) => self.version = version,
                    }
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b'\r') => {
                            self.at += 1;
                            self.expects = InRequest::LineLf;
                        }
                        Some(b'\n') => return Err((ErrorKind::BareLf, self.at)),
                        Some(_) => return Err((ErrorKind::BadVersion, self.at)),
                    }
                }
                InRequest::LineLf => {
                    self.at = line_feed(byte, self.at)?;
                    self.fields = FieldParser::new(self.at);
                    self.expects = InRequest::Fields;
                    spans.clear();
                }
                InRequest::Fields => {}
            }
        }
        self.fields.parse(bytes, spans, limits.headers)
    }
}

/// An incremental parser of response heads. What holds for [`RequestParser`] holds here too.
#[derive(Clone, Debug)]
pub struct ResponseParser {
    expects: InResponse,
    at: usize,
    version: Version,
    status: u16,
    reason: [u32; 2],
    fields: FieldParser,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InResponse {
    Version,
    Status,
    Reason,
    LineLf,
    Fields,
}

impl Default for ResponseParser {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseParser {
    /// A parser at the first byte of a head.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            expects: InResponse::Version,
            at: 0,
            version: Version::Http11,
            status: 0,
            reason: [0; 2],
            fields: FieldParser::new(0),
        }
    }

    /// Goes on parsing; `None` says that the head is incomplete.
    ///
    /// # Errors
    /// What is wrong with the head; the offset counts from its first byte.
    pub fn parse(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<ParsedResponse>, ProtocolError> {
        let mut spans = core::mem::take(&mut rx.spans);
        let bytes = window(rx.raw(), limits.head);
        let parsed = self.parse_bytes(bytes, &mut spans, limits);
        rx.spans = spans;
        if parsed.map_err(fault)? {
            let status = Status::new(self.status).unwrap_or(Status::INTERNAL_SERVER_ERROR);
            let (version, reason, size) = (self.version, self.reason, self.fields.at as u32);
            return Ok(Some(ParsedResponse { version, status, reason, size }));
        }
        if is_exhausted(rx, limits.head) {
            return Err(fault((ErrorKind::HeadTooLarge, rx.raw().len().min(limits.head))));
        }
        Ok(None)
    }

    fn parse_bytes(
        &mut self,
        bytes: &[u8],
        spans: &mut alloc::vec::Vec<HeaderSpan>,
        limits: &Limits,
    ) -> Result<bool, Fault> {
        while self.expects != InResponse::Fields {
            let Some(&byte) = bytes.get(self.at) else { return Ok(false) };
            match self.expects {
                InResponse::Version => match version(bytes, &mut self.at, 0)? {
                    None => return Ok(false),
                    Some(version) => {
                        self.version = version;
                        self.expects = InResponse::Status;
                    }
                },
                // `SP 3DIGIT`, and then `SP` or, as some leave it out with the phrase, CR.
                InResponse::Status => match (self.at - VERSION_LEN, byte) {
                    (0, b' ') => self.at += 1,
                    (1, b'1'..=b'9') | (2 | 3, b'0'..=b'9') => {
                        self.status = self.status * 10 + u16::from(byte - b'0');
                        self.at += 1;
                    }
                    (4, b' ') => {
                        self.at += 1;
                        self.reason = [self.at as u32; 2];
                        self.expects = InResponse::Reason;
                    }
                    (4, b'\r') => {
                        self.reason = [self.at as u32; 2];
                        self.at += 1;
                        self.expects = InResponse::LineLf;
                    }
                    _ => return Err((ErrorKind::BadStatusLine, self.at)),
                },
                InResponse::Reason => {
                    self.at = end_of_value(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b'\r') => {
                            self.reason[1] = self.at as u32;
                            self.at += 1;
                            self.expects = InResponse::LineLf;
                        }
                        Some(b'\n') => return Err((ErrorKind::BareLf, self.at)),
                        Some(_) => return Err((ErrorKind::BadHeaderValue, self.at)),
                    }
                }
                InResponse::LineLf => {
                    self.at = line_feed(byte, self.at)?;
                    self.fields = FieldParser::new(self.at);
                    self.expects = InResponse::Fields;
                    spans.clear();
                }
                InResponse::Fields => {}
            }
        }
        self.fields.parse(bytes, spans, limits.headers)
    }
}

/// `byte` follows a CR: it must be LF. Returns the offset behind it.
#[inline]
fn line_feed(byte: u8, at: usize) -> Result<usize, Fault> {
    if byte == b'\n' { Ok(at + 1) } else { Err((ErrorKind::BareCr, at - 1)) }
}

const VERSION_LEN: usize = b"HTTP/1.1".len();

/// Parses the version that begins at `from`, going on at `at`.
fn version(bytes: &[u8], at: &mut usize, from: usize) -> Result<Option<Version>, Fault> {
    while *at < from + VERSION_LEN {
        let Some(&byte) = bytes.get(*at) else { return Ok(None) };
        let good = match *at - from {
            5 | 7 => byte.is_ascii_digit(),
            other => byte == b"HTTP/1.1"[other],
        };
        if !good {
            return Err((ErrorKind::BadVersion, *at));
        }
        *at += 1;
    }
    match (bytes[from + 5], bytes[from + 7]) {
        (b'1', b'0') => Ok(Some(Version::Http10)),
        (b'1', _) => Ok(Some(Version::Http11)),
        _ => Err((ErrorKind::UnsupportedVersion, from)),
    }
}

/// An incremental parser of field lines and the empty line behind them, in a head or trailer
/// section.
#[derive(Clone, Debug)]
pub(super) struct FieldParser {
    expects: InField,
    /// The offset of the next byte; behind the section once it is complete.
    pub(super) at: usize,
    name: usize,
    name_end: usize,
    value: usize,
}

#[derive(Clone, Copy, Debug)]
enum InField {
    Line,
    Name,
    Ows,
    Value,
    ValueLf,
    EndLf,
}

impl FieldParser {
    pub(super) const fn new(at: usize) -> Self {
        Self { expects: InField::Line, at, name: 0, name_end: 0, value: 0 }
    }

    /// Goes on parsing and appends a span for each line; says whether the section is complete.
    pub(super) fn parse(
        &mut self,
        bytes: &[u8],
        spans: &mut alloc::vec::Vec<HeaderSpan>,
        max_lines: usize,
    ) -> Result<bool, Fault> {
        loop {
            match self.expects {
                InField::Line => {
                    let Some(&byte) = bytes.get(self.at) else { return Ok(false) };
                    match byte {
                        b'\r' => {
                            self.at += 1;
                            self.expects = InField::EndLf;
                        }
                        b'\n' => return Err((ErrorKind::BareLf, self.at)),
                        b' ' | b'\t' => return Err((ErrorKind::ObsFold, self.at)),
                        _ if spans.len() >= max_lines => {
                            return Err((ErrorKind::TooManyHeaders, self.at));
                        }
                        _ => {
                            self.name = self.at;
                            self.expects = InField::Name;
                        }
                    }
                }
                InField::Name => {
                    self.at = end_of_token(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b':') if self.at > self.name => {
                            self.name_end = self.at;
                            self.at += 1;
                            self.expects = InField::Ows;
                        }
                        Some(b' ' | b'\t') => {
                            return Err((ErrorKind::SpaceBeforeColon, self.at));
                        }
                        Some(_) => return Err((ErrorKind::BadHeaderName, self.at)),
                    }
                }
                InField::Ows => {
                    while bytes.get(self.at).is_some_and(|&byte| is_ows(byte)) {
                        self.at += 1;
                    }
                    if self.at == bytes.len() {
                        return Ok(false);
                    }
                    self.value = self.at;
                    self.expects = InField::Value;
                }
                InField::Value => {
                    self.at = end_of_value(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b'\r') => {
                            self.at += 1;
                            self.expects = InField::ValueLf;
                        }
                        Some(b'\n') => return Err((ErrorKind::BareLf, self.at)),
                        Some(_) => return Err((ErrorKind::BadHeaderValue, self.at)),
                    }
                }
                InField::ValueLf => {
                    let Some(&byte) = bytes.get(self.at) else { return Ok(false) };
                    let mut end = self.at - 1;
                    self.at = line_feed(byte, self.at)?;
                    while end > self.value && is_ows(bytes[end - 1]) {
                        end -= 1;
                    }
                    spans.push(HeaderSpan {
                        name: self.name as u32,
                        name_end: self.name_end as u32,
                        value: self.value as u32,
                        value_end: end as u32,
                    });
                    self.expects = InField::Line;
                }
                InField::EndLf => {
                    let Some(&byte) = bytes.get(self.at) else { return Ok(false) };
                    self.at = line_feed(byte, self.at)?;
                    return Ok(true);
                }
            }
        }
    }
}
