//! What can go wrong with an event stream.

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
}
