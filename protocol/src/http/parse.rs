//! Heads, parsed in one pass however they arrive (RFC 9112, 2 to 5).
//!
//! A parser remembers the byte that it has come to and what it expects there, so a head that
//! trickles in byte by byte costs as much as one that comes whole. It stops at the first byte that
//! cannot be right.

use super::chars::is_tchar;
use super::fields::{Fault, FieldParser, Marks, is_exhausted, line_feed, section, whole_lines};
use super::framing::{self, RequestFraming, ResponseFraming};
use super::headers::{Headers, text};
use super::scan::{
    end_of_target, end_of_token, end_of_value, find_behind_token, find_cr, find_space,
};
use super::{
    ErrorKind, Leniency, Limits, ProtocolError, RequestHead, ResponseHead, Status, Version,
};
use crate::RecvBuf;

/// Where a parsed request head lies at the front of [`RecvBuf::raw`].
#[derive(Clone, Copy, Debug)]
pub struct ParsedRequest {
    /// Start of the method, its end, end of the target.
    line: [u32; 3],
    version: Version,
    size: u32,
    marks: Marks,
}

impl ParsedRequest {
    /// How many bytes the head takes. [`RecvBuf::skip`] them to get to what follows.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The view over the head, which must still lie at the front of `rx`.
    #[must_use]
    #[inline]
    pub fn head<'a>(&self, rx: &'a RecvBuf) -> RequestHead<'a> {
        let bytes = rx.raw();
        let [method, method_end, target_end] = self.line.map(|at| at as usize);
        RequestHead {
            method: method_text(bytes.get(method..method_end).unwrap_or_default()),
            target: text(bytes.get(method_end + 1..target_end).unwrap_or_default()),
            version: self.version,
            headers: Headers { bytes, spans: &rx.spans },
        }
    }

    /// What the head means for body, connection and routing; `rx` as for [`head`](Self::head).
    ///
    /// # Errors
    /// What [`Server`](super::Server) refuses beyond the grammar; the offset counts from the first
    /// byte of the head.
    #[inline]
    pub fn framing(&self, rx: &RecvBuf) -> Result<RequestFraming, ProtocolError> {
        let headers = Headers { bytes: rx.raw(), spans: &rx.spans };
        framing::request(headers, self.marks, self.line, self.version, self.size)
    }
}

/// The method as text. Those that nearly always are meant need no validation.
#[inline]
fn method_text(method: &[u8]) -> &str {
    match method {
        b"GET" => "GET",
        b"HEAD" => "HEAD",
        b"POST" => "POST",
        b"PUT" => "PUT",
        _ => text(method),
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
    marks: Marks,
    leniency: Leniency,
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
    #[inline]
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

    /// What the head means for body and connection; `rx` as for [`head`](Self::head). `to_head` says
    /// that it answers a HEAD, `to_connect` that it answers a CONNECT.
    ///
    /// # Errors
    /// What [`Client`](super::Client) refuses beyond the grammar; the offset counts from the first
    /// byte of the head.
    #[inline]
    pub fn framing(
        &self,
        rx: &RecvBuf,
        to_head: bool,
        to_connect: bool,
    ) -> Result<ResponseFraming, ProtocolError> {
        let headers = Headers { bytes: rx.raw(), spans: &rx.spans };
        let (start, asked) = ((self.version, self.status), (to_head, to_connect));
        framing::response(headers, self.marks, start, self.leniency, asked)
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

fn fault((kind, at): Fault) -> ProtocolError {
    ProtocolError { kind, offset: at as u64 }
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
            fields: FieldParser::new(0, Leniency::STRICT),
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
    #[inline]
    pub fn parse(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<ParsedRequest>, ProtocolError> {
        if self.expects == InRequest::Start && self.at == 0 {
            let (bytes, len, spans) = section(rx, limits.head);
            if let Some((line, version, at)) = whole_line(bytes, len) {
                spans.clear();
                let mut marks = Marks::NONE;
                let (at, complete) = whole_lines(bytes, len, at, spans, &mut marks, limits.headers);
                if complete {
                    return Ok(Some(ParsedRequest { line, version, size: at as u32, marks }));
                }
                self.expects = InRequest::Fields;
                (self.line, self.version) = (line, version);
                self.fields = FieldParser::new(at, Leniency::STRICT);
                self.fields.marks = marks;
            }
        }
        self.parse_closely(rx, limits)
    }

    /// The same byte by byte, from where the parser has come to.
    #[cold]
    #[inline(never)]
    fn parse_closely(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<ParsedRequest>, ProtocolError> {
        if self.parse_parts(rx, limits).map_err(fault)? {
            let (size, marks) = (self.fields.at as u32, self.fields.marks);
            return Ok(Some(ParsedRequest { line: self.line, version: self.version, size, marks }));
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

    fn parse_parts(&mut self, rx: &mut RecvBuf, limits: &Limits) -> Result<bool, Fault> {
        if self.expects != InRequest::Fields {
            let (bytes, len, spans) = section(rx, limits.head);
            if !self.step(&bytes[..len])? {
                return Ok(false);
            }
            spans.clear();
            self.expects = InRequest::Fields;
            self.fields = FieldParser::new(self.at, Leniency::STRICT);
        }
        self.fields.parse(rx, limits.head, limits.headers)
    }

    /// Goes through the request line byte by byte; says whether it is complete.
    fn step(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        loop {
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
                    return Ok(true);
                }
                InRequest::Fields => return Ok(true),
            }
        }
    }
}

/// Takes the request line if it is here as a whole and an ordinary one. Returns the start of the
/// method, its end, the end of the target, the version, and where the fields begin.
///
/// `bytes` may go on behind `len`: blocks are read there, and nothing is taken from there.
#[inline(always)]
fn whole_line(bytes: &[u8], len: usize) -> Option<([u32; 3], Version, usize)> {
    let method_end = find_behind_token(bytes, 0, b' ')?;
    let target_end = find_space(bytes, method_end + 1)?;
    let rest = bytes.get(target_end..)?.first_chunk::<11>()?;
    let end = target_end + rest.len();
    if method_end == 0 || target_end == method_end + 1 || end > len {
        return None;
    }
    // Compared as numbers: byte by byte would be eleven branches.
    let word = |at: usize| Some(u64::from_le_bytes(*rest.get(at..)?.first_chunk()?));
    let is = |text: &[u8; 11]| {
        let known = |at: usize| Some(u64::from_le_bytes(*text.get(at..)?.first_chunk()?));
        word(0) == known(0) && word(3) == known(3)
    };
    let version = if is(b" HTTP/1.1\r\n") {
        Version::Http11
    } else if is(b" HTTP/1.0\r\n") {
        Version::Http10
    } else {
        return None;
    };
    Some(([0, method_end as u32, target_end as u32], version, end))
}

/// An incremental parser of response heads. What holds for [`RequestParser`] holds here too.
#[derive(Clone, Debug)]
pub struct ResponseParser {
    expects: InResponse,
    leniency: Leniency,
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
        Self::lenient(Leniency::STRICT)
    }

    /// A parser at the first byte of a head that may break some rules. Folded values are unfolded in
    /// `rx`, where their line breaks become spaces.
    #[must_use]
    pub const fn lenient(leniency: Leniency) -> Self {
        Self {
            expects: InResponse::Version,
            leniency,
            at: 0,
            version: Version::Http11,
            status: 0,
            reason: [0; 2],
            fields: FieldParser::new(0, leniency),
        }
    }

    /// Goes on parsing; `None` says that the head is incomplete.
    ///
    /// # Errors
    /// What is wrong with the head; the offset counts from its first byte.
    #[inline]
    pub fn parse(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<ParsedResponse>, ProtocolError> {
        if self.at == 0 {
            let (bytes, len, spans) = section(rx, limits.head);
            if let Some((status, reason, at)) = whole_status_line(bytes, len) {
                spans.clear();
                let mut marks = Marks::NONE;
                let (at, complete) = whole_lines(bytes, len, at, spans, &mut marks, limits.headers);
                if complete {
                    return Ok(Some(ParsedResponse {
                        version: Version::Http11,
                        status,
                        reason,
                        size: at as u32,
                        marks,
                        leniency: self.leniency,
                    }));
                }
                self.expects = InResponse::Fields;
                (self.status, self.reason) = (status.code(), reason);
                self.fields = FieldParser::new(at, self.leniency);
                self.fields.marks = marks;
            }
        }
        self.parse_closely(rx, limits)
    }

    /// The same byte by byte, from where the parser has come to.
    #[cold]
    #[inline(never)]
    fn parse_closely(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<ParsedResponse>, ProtocolError> {
        if self.parse_parts(rx, limits).map_err(fault)? {
            return Ok(Some(ParsedResponse {
                version: self.version,
                status: Status::new(self.status).unwrap_or(Status::INTERNAL_SERVER_ERROR),
                reason: self.reason,
                size: self.fields.at as u32,
                marks: self.fields.marks,
                leniency: self.leniency,
            }));
        }
        if is_exhausted(rx, limits.head) {
            return Err(fault((ErrorKind::HeadTooLarge, rx.raw().len().min(limits.head))));
        }
        Ok(None)
    }

    fn parse_parts(&mut self, rx: &mut RecvBuf, limits: &Limits) -> Result<bool, Fault> {
        if self.expects != InResponse::Fields {
            let (bytes, len, spans) = section(rx, limits.head);
            if !self.step(&bytes[..len])? {
                return Ok(false);
            }
            spans.clear();
            self.expects = InResponse::Fields;
            self.fields = FieldParser::new(self.at, self.leniency);
        }
        self.fields.parse(rx, limits.head, limits.headers)
    }

    /// Goes through the status line byte by byte; says whether it is complete.
    fn step(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        loop {
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
                    (4, b'\n') if self.leniency.bare_lf => {
                        self.reason = [self.at as u32; 2];
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
                        Some(b'\n') if self.leniency.bare_lf => {
                            self.reason[1] = self.at as u32;
                            self.expects = InResponse::LineLf;
                        }
                        Some(b'\n') => return Err((ErrorKind::BareLf, self.at)),
                        Some(_) => return Err((ErrorKind::BadHeaderValue, self.at)),
                    }
                }
                InResponse::LineLf => {
                    self.at = line_feed(byte, self.at)?;
                    return Ok(true);
                }
                InResponse::Fields => return Ok(true),
            }
        }
    }
}

/// Takes the status line if it is here as a whole and an ordinary one of HTTP/1.1. Returns the
/// status, start and end of the reason phrase, and where the fields begin.
///
/// `bytes` may go on behind `len`: blocks are read there, and nothing is taken from there.
#[inline(always)]
fn whole_status_line(bytes: &[u8], len: usize) -> Option<(Status, [u32; 2], usize)> {
    let start = bytes.first_chunk::<13>()?;
    let [version @ .., b' ', a, b, c, b' '] = start else { return None };
    if u64::from_le_bytes(*version) != u64::from_le_bytes(*b"HTTP/1.1") {
        return None;
    }
    let digit = |byte: u8| Some(u16::from(byte.wrapping_sub(b'0'))).filter(|&digit| digit < 10);
    let status = Status::new(digit(*a)? * 100 + digit(*b)? * 10 + digit(*c)?)?;
    let end = find_cr(bytes, start.len())?;
    let is_right = end + 2 <= len && bytes.get(end + 1) == Some(&b'\n');
    is_right.then_some((status, [start.len() as u32, end as u32], end + 2))
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
