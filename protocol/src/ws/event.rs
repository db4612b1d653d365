//! What the machines tell.

#[cfg(doc)]
use super::handshake::HandshakeConfig;
use super::handshake::Refusal;
#[cfg(doc)]
use super::{Client, ClientConfig, Config, Connection, Delivery, SendError, WhileDown};
use super::{CloseCode, Closed, MessageKind};
use crate::http::{OwnedResponseHead, ResponseHead};
use crate::{DialError, Instant, timer};

/// What a [`Connection`] reports. The payloads are lent out of the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message, whole.
    Text(&'a str),
    /// A binary message, whole.
    Binary(&'a [u8]),
    /// A message begins; only with [`Delivery::Streaming`].
    MessageStart {
        /// Text or binary.
        kind: MessageKind,
        /// How many bytes it has, if that is known: it is one frame, and not compressed.
        length: Option<u64>,
    },
    /// The next bytes of the message that has begun: at least one, of a text whole characters only.
    /// Control frames may come between two of them. How the message is cut depends on how it came,
    /// and so does how much of one is lent that breaks a rule further on.
    Chunk(&'a [u8]),
    /// The message that has begun is complete.
    MessageEnd,
    /// A ping of at most 125 bytes. It needs no answer: the pong is queued already, or will be when
    /// fewer than [`Config::send_high_water`] bytes wait; of several that wait for that, the latest
    /// is answered (RFC 6455, 5.5.3).
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes, asked for or not.
    Pong(&'a [u8]),
    /// There is room again after [`SendError::Full`].
    Drained,
    /// The connection is over; the last event. Do what [`Connection::transport`] says.
    Closed {
        /// How it ended.
        why: Closed,
        /// The reason in the peer's Close frame; empty if there was none.
        reason: &'a str,
    },
}

/// The reasons for which a [`Connection`] wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The closing handshake has to be over.
    Close,
    /// A sign of life is due after a ping.
    Pong,
    /// Any sign of life is due.
    Idle,
    /// Something of what waits to be written must have been taken.
    Write,
    /// A ping is to be sent.
    Ping,
}

impl timer::Timer for Timer {
    const ALL: &'static [Self] = &[Self::Close, Self::Pong, Self::Idle, Self::Write, Self::Ping];

    fn index(self) -> usize {
        self as usize
    }
}

/// What a [`Client`] reports. Each attempt to connect ends with one [`Closed`](Self::Closed); if it
/// did not even come to [`Open`](Self::Open), one [`Error`](Self::Error) comes before that, unless
/// the caller stopped it.
#[derive(Debug)]
pub enum ClientEvent<'a> {
    /// An attempt to connect is due, the first one or another. It is made once the client is polled
    /// on: until then [`Client::request_mut`] can change where it goes and what it says. Only with
    /// [`ClientConfig::announce`].
    Attempt,
    /// The transport is up; the opening handshake begins.
    Connected,
    /// The connection is open. With the server's answer. What was kept for it leaves once the client
    /// is polled on: [`Client::send_first`] comes before that.
    Open(ResponseHead<'a>),
    /// While there was no connection [`WhileDown::DropOldest`] has dropped messages. Comes right
    /// behind [`Open`](Self::Open).
    Dropped {
        /// How many, pings and pongs included, since the last such event.
        messages: u64,
    },
    /// A text message, whole.
    Text(&'a str),
    /// A binary message, whole.
    Binary(&'a [u8]),
    /// A message begins; only with [`Delivery::Streaming`].
    MessageStart {
        /// Text or binary.
        kind: MessageKind,
        /// How many bytes it has, if that is known: it is one frame, and not compressed.
        length: Option<u64>,
    },
    /// The next bytes of the message that has begun: at least one, of a text whole characters only.
    /// Control frames may come between two of them.
    Chunk(&'a [u8]),
    /// The message that has begun is complete.
    MessageEnd,
    /// As [`Event::Ping`]: answered already.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// There is room again after [`SendError::Full`].
    Drained,
    /// The attempt has failed.
    Error(ClientError<'a>),
    /// The connection or attempt is over. [`Client::status`] tells whether there will be another.
    Closed {
        /// How it ended.
        why: ClientClosed,
        /// The reason in the peer's Close frame; empty if there was none.
        reason: &'a str,
    },
}

/// Why an attempt to connect failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError<'a> {
    /// There is no transport.
    #[error(transparent)]
    Dial(DialError),
    /// The opening handshake failed.
    #[error("{why}")]
    Handshake {
        /// Why.
        why: Refusal,
        /// The server's answer, if there was one.
        head: Option<OwnedResponseHead>,
        /// How its body begins.
        body: &'a [u8],
    },
}

/// How a connection or an attempt at one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ClientClosed {
    /// A connection that was open has ended.
    #[error(transparent)]
    Ended(Closed),
    /// The attempt failed; the error before this event said why.
    #[error("the attempt failed")]
    Failed,
    /// The caller gave it up, with [`Client::close`] before it was open or with [`Client::cancel`].
    #[error("given up")]
    Cancelled,
}

impl ClientClosed {
    /// The close code (RFC 6455, 7.1.5): the one received, or 1006.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Ended(why) => why.code(),
            Self::Failed | Self::Cancelled => CloseCode::ABNORMAL,
        }
    }

    /// Whether the closing handshake was completed.
    #[must_use]
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::Ended(why) if why.is_clean())
    }
}

/// What a [`Client`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waiting for a transport.
    Connecting,
    /// In the opening handshake.
    Opening,
    /// Open.
    Open,
    /// In the closing handshake.
    Closing,
    /// Waiting before the next attempt.
    Waiting {
        /// When that is due.
        until: Instant,
    },
    /// Nothing, until [`Client::reconnect`] is called.
    Idle,
}

/// The reasons for which a [`Client`] wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientTimer {
    /// [`ClientConfig::connect_timeout`].
    Connect,
    /// [`HandshakeConfig::timeout`].
    Handshake,
    /// A timer of the open connection.
    Connection(Timer),
    /// The next attempt is due.
    Reconnect,
}
