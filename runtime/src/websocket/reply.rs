//! The sending side, in a callback.

use bytes::Bytes;
use std::time::Duration;
use tidewire::ws::{self, CloseCode, Connection, MessageKind, SendError};
use tidewire::{Clock, SendBuf};

#[cfg(doc)]
use super::WebSocket;

/// The sending side, in the callback of [`WebSocket::run`].
pub struct Reply<'a> {
    pub(super) machine: &'a mut Connection,
    pub(super) tx: &'a mut SendBuf,
    pub(super) clock: Clock,
}

impl Reply<'_> {
    /// Queues a text message.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much is queued, [`SendError::Closing`] if the connection is
    /// closing, [`SendError::Unfinished`] in the midst of a message in pieces.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.machine.send_text(text, self.tx)
    }

    /// Queues a binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        self.machine.send_binary(data, self.tx)
    }

    /// Queues a message of the connection's own kind, [`ws::Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.machine.send(message, self.tx)
    }

    /// Queues a message that others may share; see [`Connection::send_shared`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_shared(&mut self, kind: MessageKind, payload: &Bytes) -> Result<(), SendError> {
        self.machine.send_shared(kind, payload, self.tx)
    }

    /// Begins a message in pieces; see [`Connection::start_message`].
    ///
    /// # Errors
    /// [`SendError::Unfinished`] in the midst of another, and [`SendError::Closing`].
    pub fn start_message(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.machine.start_message(kind)
    }

    /// Queues the next piece of the message that was begun, as a frame of its own.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`], [`SendError::NotStarted`], and
    /// [`SendError::NotUtf8`] if a text goes wrong in this piece, which may end within a character.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.machine.send_chunk(bytes, self.tx)
    }

    /// Ends the message that was begun, with a `last` piece that may be empty.
    ///
    /// # Errors
    /// As [`send_chunk`](Self::send_chunk), and [`SendError::NotUtf8`] if a text would end within a
    /// character.
    pub fn end_message(&mut self, last: &[u8]) -> Result<(), SendError> {
        self.machine.end_message(last, self.tx)
    }

    /// Queues a ping of at most 125 bytes (RFC 6455, 5.5.2).
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`], [`SendError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.machine.send_ping(payload, self.tx)
    }

    /// Queues a pong of at most 125 bytes that nobody asked for (5.5.3): pings are answered without
    /// it.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.machine.send_pong(payload, self.tx)
    }

    /// Begins the closing handshake.
    ///
    /// # Errors
    /// [`ws::Misuse`] for a code or reason that must not be sent.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), ws::Misuse> {
        let now = self.clock.instant(std::time::Instant::now());
        self.machine.close(code, reason, now, self.tx)
    }

    /// How long the latest keepalive ping took; see [`Connection::round_trip`].
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.machine.round_trip()
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.tx.len()
    }
}

impl std::fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("queued", &self.tx.len()).finish_non_exhaustive()
    }
}
