//! What can go wrong with an event stream, and how it ended.

use crate::DialError;
use crate::http::{self, Misuse, RedirectError, Status};
use thiserror::Error;

/// What the peer did wrong. There is nothing that an event stream may not contain, so all that is
/// left is too much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("{kind} (byte {offset} of the event stream)")]
pub struct ProtocolError {
    /// Which limit was passed.
    pub kind: ErrorKind,
    /// The first byte beyond it, counted from the start of the stream.
    pub offset: u64,
}

/// Which limit an event stream passed. See [`Limits`](super::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A line is longer than [`Limits::line`](super::Limits::line).
    #[error("a line is too long")]
    LineTooLong,
    /// An event is bigger than [`Limits::event`](super::Limits::event).
    #[error("an event is too big")]
    EventTooLong,
    /// A type or id is longer than [`Limits::name`](super::Limits::name).
    #[error("an event's type or id is too long")]
    NameTooLong,
    /// A line of an event doesn't fit into the receive buffer.
    #[error("an event does not fit into the receive buffer")]
    BufferFull,
}

/// Why an event cannot be encoded: the wire format has no way to say it (WHATWG HTML, 9.2.5).
/// Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// CR or LF in the type, at this byte: it would begin another field.
    #[error("line break in the event type, at byte {0}")]
    LineBreakInType(usize),
    /// CR or LF in the id, at this byte: it would begin another field.
    #[error("line break in the event id, at byte {0}")]
    LineBreakInId(usize),
    /// NUL in the id, at this byte: every client would ignore the id.
    #[error("NUL in the event id, at byte {0}")]
    NulInId(usize),
    /// Bytes that were encoded elsewhere don't end with an empty line, but so, behind this many.
    #[error("no empty line ends the event, which has {0} bytes")]
    Unfinished(usize),
}

/// Why a connection was lost or could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no transport.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The stream came to its end, as HTTP sees it.
    #[error("the stream came to its end")]
    EndOfStream,
    /// The connection broke off within a response or before one.
    #[error("the connection broke off")]
    Eof,
    /// The server took too long.
    #[error("the server took too long")]
    Timeout(Timer),
    /// The server broke a rule of HTTP.
    #[error("HTTP: {0}")]
    Http(http::ProtocolError),
    /// The status is not 200: with 204 a server says that it wants no reconnection. Final.
    #[error("the status is {0}")]
    Status(Status),
    /// The status is one of [`SourceConfig::retried`](super::SourceConfig::retried).
    #[error("the status is {0}, for now")]
    Unavailable(Status),
    /// `Content-Type` is not `text/event-stream`. Final.
    #[error("the content type is not text/event-stream")]
    ContentType,
    /// The stream is compressed, which was not asked for: there is a `Content-Encoding`. Final.
    #[error("the event stream has a content coding")]
    ContentCoding,
    /// A redirect cannot be followed. Final.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The stream passed a limit. Final: the same event would come again.
    #[error(transparent)]
    Stream(#[from] ProtocolError),
    /// The request cannot be sent. Final.
    #[error("the request cannot be sent: {0}")]
    Request(Misuse),
}

impl SourceError {
    /// Whether this fails the connection, so that there is no other attempt (WHATWG HTML, 9.2.3).
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            // A redirect may lead to where nobody here can follow.
            Self::Dial(DialError::NoTls) => true,
            Self::Dial(_) | Self::EndOfStream | Self::Eof | Self::Timeout(_) => false,
            Self::Http(_) | Self::Unavailable(_) => false,
            Self::Status(_) | Self::ContentType | Self::ContentCoding => true,
            Self::Redirect(_) | Self::Stream(_) | Self::Request(_) => true,
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceClosed {
    /// By [`EventSource::close`](super::EventSource::close).
    Caller,
    /// By this error, which is final.
    Failed(SourceError),
    /// With this error; the policy's attempts are used up.
    GaveUp(SourceError),
}

impl From<http::Closed> for SourceError {
    fn from(closed: http::Closed) -> Self {
        match closed {
            http::Closed::Done | http::Closed::Eof | http::Closed::Aborted => Self::Eof,
            http::Closed::Timeout(timer) => Self::Timeout(timer.into()),
            http::Closed::Protocol(error) => Self::Http(error),
        }
    }
}

/// The deadlines of an [`EventSource`](super::EventSource).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// [`SourceConfig::connect_timeout`](super::SourceConfig::connect_timeout).
    Connect,
    /// [`SourceConfig::response_timeout`](super::SourceConfig::response_timeout).
    Response,
    /// [`SourceConfig::idle_timeout`](super::SourceConfig::idle_timeout).
    Idle,
    /// The next attempt.
    Reconnect,
}

impl From<http::Timer> for Timer {
    fn from(timer: http::Timer) -> Self {
        match timer {
            http::Timer::Body => Self::Idle,
            _ => Self::Response,
        }
    }
}
