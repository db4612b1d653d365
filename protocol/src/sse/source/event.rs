//! What an `EventSource` tells, lent and owned.

use crate::http::{OwnedResponseHead, ResponseHead};
use crate::sse::{MessageEvent, SourceClosed, SourceError};
use alloc::string::String;
use alloc::vec::Vec;
#[cfg(doc)]
use {super::EventSource, crate::sse::SourceConfig};

/// What an [`EventSource`] has to tell.
///
/// | event | the DOM's event | `readyState` from here on |
/// |---|---|---|
/// | [`Open`](Self::Open) | `open` | `OPEN` |
/// | [`Message`](Self::Message) | `message`, or of the type that it has | |
/// | [`Error`](Self::Error) | `error` | `CONNECTING`, or `CLOSED` if there will be no other attempt |
/// | [`Closed`](Self::Closed) | | `CLOSED` |
///
/// The others are of no concern to the standard.
#[derive(Clone, Copy, Debug)]
pub enum SourceEvent<'a> {
    /// An attempt to connect is due, the first one or another. It is made once the source is polled
    /// on: until then [`EventSource::request_mut`] can change what it asks for. Only with
    /// [`SourceConfig::announce`].
    Attempt,
    /// The stream is open.
    Open(ResponseHead<'a>),
    /// An event of the stream.
    Message(MessageEvent<'a>),
    /// A comment in the stream, which browsers drop: the server is alive.
    Comment(&'a str),
    /// The server answered with something else than an event stream. An error follows.
    Refused(ResponseHead<'a>),
    /// The connection was lost, or none could be had. Unless [`SourceError::is_final`], or the
    /// policy gives up, there will be another attempt.
    Error {
        /// Why.
        why: SourceError,
        /// How the body of a refusal begins; empty for other errors.
        body: &'a [u8],
    },
    /// It is over. Exactly one, and the last event.
    Closed(SourceClosed),
}

impl SourceEvent<'_> {
    /// A copy that lives on.
    ///
    /// ```
    /// use tidewire::sse::{MessageEvent, OwnedSourceEvent, SourceEvent};
    ///
    /// let message = MessageEvent { event_type: "message", data: "hello", last_event_id: "7" };
    /// let OwnedSourceEvent::Message(owned) = SourceEvent::Message(message).to_owned() else {
    ///     panic!()
    /// };
    /// assert_eq!(owned.data, "hello");
    /// assert_eq!(owned.as_event(), message);
    /// ```
    #[must_use]
    pub fn to_owned(self) -> OwnedSourceEvent {
        match self {
            Self::Attempt => OwnedSourceEvent::Attempt,
            Self::Open(head) => OwnedSourceEvent::Open(head.to_owned()),
            Self::Message(message) => OwnedSourceEvent::Message(message.to_owned()),
            Self::Comment(comment) => OwnedSourceEvent::Comment(comment.into()),
            Self::Refused(head) => OwnedSourceEvent::Refused(head.to_owned()),
            Self::Error { why, body } => OwnedSourceEvent::Error { why, body: body.to_vec() },
            Self::Closed(closed) => OwnedSourceEvent::Closed(closed),
        }
    }
}

/// A [`SourceEvent`] that owns what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedSourceEvent {
    /// See [`SourceEvent::Attempt`].
    Attempt,
    /// See [`SourceEvent::Open`].
    Open(OwnedResponseHead),
    /// See [`SourceEvent::Message`].
    Message(OwnedMessageEvent),
    /// See [`SourceEvent::Comment`].
    Comment(String),
    /// See [`SourceEvent::Refused`].
    Refused(OwnedResponseHead),
    /// See [`SourceEvent::Error`].
    Error {
        /// Why.
        why: SourceError,
        /// How the body of a refusal begins; empty for other errors.
        body: Vec<u8>,
    },
    /// See [`SourceEvent::Closed`].
    Closed(SourceClosed),
}

/// A [`MessageEvent`] that owns its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedMessageEvent {
    /// See [`MessageEvent::event_type`].
    pub event_type: String,
    /// See [`MessageEvent::data`].
    pub data: String,
    /// See [`MessageEvent::last_event_id`].
    pub last_event_id: String,
}

impl MessageEvent<'_> {
    /// A copy that lives on.
    #[must_use]
    pub fn to_owned(self) -> OwnedMessageEvent {
        OwnedMessageEvent {
            event_type: self.event_type.into(),
            data: self.data.into(),
            last_event_id: self.last_event_id.into(),
        }
    }
}

impl OwnedMessageEvent {
    /// The view over it.
    #[must_use]
    pub fn as_event(&self) -> MessageEvent<'_> {
        MessageEvent {
            event_type: &self.event_type,
            data: &self.data,
            last_event_id: &self.last_event_id,
        }
    }
}

/// The state of an [`EventSource`] (WHATWG HTML, 9.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadyState {
    /// There is no stream yet, or not any more, but there will be an attempt to have one.
    Connecting,
    /// Events come.
    Open,
    /// It is over.
    Closed,
}
