//! What can go wrong, and how it ended.

use super::{Status, Timer};

/// What the peer did wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct ProtocolError {
    /// What.
    pub kind: ErrorKind,
    /// Where: how many bytes came before it on this connection.
    pub offset: u64,
}

impl ProtocolError {
    /// The same, found in a part that begins at `offset`.
    pub(super) const fn behind(self, offset: u64) -> Self {
        Self { kind: self.kind, offset: self.offset + offset }
    }

    /// The status with which a server refuses such a request.
    #[must_use]
    pub const fn status_hint(self) -> Status {
        match self.kind {
            ErrorKind::TargetTooLong => Status::URI_TOO_LONG,
            ErrorKind::HeadTooLarge | ErrorKind::TooManyHeaders | ErrorKind::TrailersTooLarge => {
                Status::HEADERS_TOO_LARGE
            }
            ErrorKind::BodyTooLarge => Status::CONTENT_TOO_LARGE,
            ErrorKind::UnknownExpectation => Status::EXPECTATION_FAILED,
            ErrorKind::UnknownCoding => Status::NOT_IMPLEMENTED,
            ErrorKind::UnsupportedVersion => Status::VERSION_NOT_SUPPORTED,
            _ => Status::BAD_REQUEST,
        }
    }
}

/// The kinds of [`ProtocolError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The method is no token, or not followed by one space.
    #[error("the method is no token (RFC 9112, 3.1)")]
    BadMethod,
    /// The request target holds a byte that no target holds, or has a form that its method does not
    /// take: origin, absolute, authority (only CONNECT) or asterisk (only OPTIONS).
    #[error("the request target is malformed or does not fit the method (RFC 9112, 3.2)")]
    BadTarget,
    /// The start line does not name an HTTP version in its place. A request of HTTP/0.9 is one.
    #[error("the HTTP version is missing or malformed (RFC 9112, 2.3)")]
    BadVersion,
    /// A version other than HTTP/1.x.
    #[error("the HTTP version is not 1.0 or 1.1 (RFC 9110, 15.6.6)")]
    UnsupportedVersion,
    /// The status is not three digits of at least 100, or not set off by single spaces.
    #[error("the status line is malformed (RFC 9112, 4)")]
    BadStatusLine,
    /// A carriage return without a line feed.
    #[error("a bare CR (RFC 9112, 2.2)")]
    BareCr,
    /// A line feed without a carriage return.
    #[error("a bare LF (RFC 9112, 2.2)")]
    BareLf,
    /// The header name is no token, or there is no colon behind it.
    #[error("the header name is no token (RFC 9112, 5)")]
    BadHeaderName,
    /// Whitespace between a header name and its colon.
    #[error("whitespace before the colon (RFC 9112, 5.1)")]
    SpaceBeforeColon,
    /// A line that begins with whitespace.
    #[error("a folded line (RFC 9112, 5.2)")]
    ObsFold,
    /// A control byte in a header value or reason phrase.
    #[error("a control byte in a header value (RFC 9110, 5.5)")]
    BadHeaderValue,
    /// The request line is longer than a head may be.
    #[error("the request line exceeds the limit (RFC 9110, 15.5.15)")]
    TargetTooLong,
    /// The head is larger than its limit, or than the receive buffer.
    #[error("the head exceeds the limit (RFC 6585, 5)")]
    HeadTooLarge,
    /// More header lines than the limit.
    #[error("more header lines than the limit (RFC 6585, 5)")]
    TooManyHeaders,
    /// An HTTP/1.1 request without `Host`.
    #[error("no Host (RFC 9112, 3.2)")]
    MissingHost,
    /// More than one `Host`.
    #[error("more than one Host (RFC 9112, 3.2)")]
    DuplicateHost,
    /// `Host` is not a host with an optional port.
    #[error("Host is malformed (RFC 9110, 7.2)")]
    BadHost,
    /// `Content-Length` is not a decimal number of 64 bits.
    #[error("Content-Length is malformed (RFC 9110, 8.6)")]
    BadContentLength,
    /// Two `Content-Length`s that differ.
    #[error("two Content-Lengths that differ (RFC 9112, 6.3)")]
    ContentLengthMismatch,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("both Content-Length and Transfer-Encoding (RFC 9112, 6.1)")]
    LengthAndCoding,
    /// `Transfer-Encoding` does not end in `chunked`, or names it twice.
    #[error("Transfer-Encoding does not end in one chunked (RFC 9112, 6.1 and 6.3)")]
    BadTransferEncoding,
    /// `Transfer-Encoding` in a message of HTTP/1.0.
    #[error("Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)")]
    CodingInHttp10,
    /// A transfer coding other than `chunked`.
    #[error("a transfer coding other than chunked (RFC 9112, 6.1)")]
    UnknownCoding,
    /// An `Expect` other than `100-continue`.
    #[error("an expectation other than 100-continue (RFC 9110, 10.1.1)")]
    UnknownExpectation,
    /// The chunk size is missing, has other bytes than hexadecimal digits, or exceeds 64 bits.
    #[error("the chunk size is malformed (RFC 9112, 7.1)")]
    BadChunkSize,
    /// A chunk extension is malformed.
    #[error("a chunk extension is malformed (RFC 9112, 7.1.1)")]
    BadChunkExtension,
    /// The line that announces a chunk is longer than its limit.
    #[error("the chunk line exceeds the limit (RFC 9112, 7.1.1)")]
    ChunkLineTooLong,
    /// No CRLF where the announced size of a chunk ends.
    #[error("no CRLF after the data of a chunk (RFC 9112, 7.1)")]
    MissingChunkEnd,
    /// The trailer section is larger than its limit, or than the receive buffer.
    #[error("the trailer section exceeds the limit (RFC 9112, 7.1.2)")]
    TrailersTooLarge,
    /// A trailer that may only stand in a head.
    #[error("a trailer that may only stand in a head (RFC 9110, 6.5.1)")]
    ForbiddenTrailer,
    /// The body is larger than the limit.
    #[error("the body exceeds the limit (RFC 9110, 15.5.14)")]
    BodyTooLarge,
    /// A `101` that nobody asked for.
    #[error("101 without Upgrade in the request (RFC 9110, 15.2.2)")]
    UnexpectedUpgrade,
    /// Bytes from a server that no request had been sent to.
    #[error("a response without a request (RFC 9112, 9.2)")]
    UnexpectedResponse,
}

/// What the caller did wrong. Nothing was sent and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The connection has ended, or belongs to the protocol it was upgraded to.
    #[error("the connection has ended")]
    Closed,
    /// There is no request to answer.
    #[error("there is no request to answer")]
    NoRequest,
    /// The message before is still under way, or as many requests are unanswered as
    /// [`pipeline_depth`](super::ClientConfig::pipeline_depth) allows.
    #[error("the message before is not finished, or its answer not looked at to the end")]
    Unfinished,
    /// There is no message under way whose body this could be.
    #[error("no message has been begun")]
    NotBegun,
    /// The method is no token.
    #[error("the method is no token")]
    BadMethod,
    /// The target has a byte that no target holds, or does not fit the method.
    #[error("the target is malformed or does not fit the method")]
    BadTarget,
    /// A status of 100 to 199, or one of 200 to 299 in answer to CONNECT: they do not end an
    /// exchange.
    #[error("this status does not end an exchange")]
    BadStatus,
    /// The name of field number `.0`, counted from zero, is no token.
    #[error("the name of field {0} is no token")]
    BadFieldName(usize),
    /// The value of field number `.0` holds a control byte.
    #[error("the value of field {0} holds a control byte")]
    BadFieldValue(usize),
    /// Field number `.0` is written by the machine: `Content-Length` and `Transfer-Encoding`, and a
    /// server's `Connection: keep-alive`.
    #[error("field {0} is not for the caller to give: it is written where it is needed")]
    FramingField(usize),
    /// A request needs exactly one `Host`: a host with an optional port, or nothing.
    #[error("a request needs exactly one Host, which names a host (RFC 9110, 7.2)")]
    Host,
    /// A response of this status has no body.
    #[error("a response of this status has no body")]
    BodyNotAllowed,
    /// The body would be longer than announced.
    #[error("the body would be longer than announced")]
    BodyTooLong,
    /// The body is shorter than announced.
    #[error("the body is shorter than announced")]
    BodyTooShort,
    /// Only a body that is sent in chunks ends with trailers, and its length must not have been given.
    #[error("trailers need a body that is sent in chunks")]
    TrailersNotAllowed,
    /// Field number `.0` may only stand in a head: it frames or routes the message, or says how to
    /// read it (RFC 9110, 6.5.1).
    #[error("field {0} may only stand in a head")]
    ForbiddenTrailer(usize),
    /// This request and one that is not answered yet must not be under way together: only idempotent
    /// ones may, and none that proposes another protocol (RFC 9112, 9.3.2).
    #[error("the requests must not be under way together")]
    NotPipelined,
    /// The body waited for `100 Continue` and was answered with a final response.
    #[error("the body is not wanted")]
    BodyRefused,
    /// The request cannot be upgraded: it asks for no upgrade, or its body has not all been read.
    #[error("the request cannot be upgraded")]
    NoUpgrade,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// In order, between two exchanges.
    #[error("ended in order")]
    Done,
    /// The peer left in the middle of an exchange.
    #[error("the peer left in the middle of an exchange")]
    Eof,
    /// The caller gave it up in the middle of an exchange.
    #[error("given up in the middle of an exchange")]
    Aborted,
    /// The peer took too long.
    #[error("the peer took too long: {0}")]
    Timeout(Timer),
    /// The peer broke a rule.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}
