//! Callbacks of a client, and what they can do.

#[cfg(doc)]
use super::Client;
use crate::error::Error;
use crate::status::Status;
use bytes::Bytes;
use std::time::Duration;
use tidewire::http::ResponseHead;
use tidewire::ws::handshake::Request;
use tidewire::ws::{self, Backlog, ClientClosed, CloseCode, MessageKind, SendError};
#[cfg(doc)]
use tidewire::ws::{ClientConfig, Delivery, WhileDown};
use tidewire::{Clock, Instant, SendBuf};

/// A message, lent to [`Handler::on_message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// What follows a closed connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// What [`ClientConfig::reconnect`] says, or what was asked for with [`Control::reconnect`].
    #[default]
    Policy,
    /// A new connection after this time; zero means at once.
    Reconnect(Duration),
    /// Nothing: [`Client::run`] returns.
    Stop,
}

/// Callbacks of a [`Client`], in the order in which they come:
///
/// ```text
///   on_attempt --> on_connect --> on_open --> on_dropped, on_message, on_ping … --> on_close
///       |              |                                                              ^
///       +--------------+---------> on_error ------------------------------------------+
/// ```
///
/// Each attempt ends with exactly one `on_close`. All of them have a default that does nothing.
pub trait Handler {
    /// An attempt is about to be made, the first one or another: the place to change
    /// [where it goes and what it says](Control::request_mut). Only with [`ClientConfig::announce`].
    fn on_attempt(&mut self, con: &mut Control<'_>) {
        let _ = con;
    }

    /// TCP is up; the handshake begins. What is sent here leaves right after the handshake.
    fn on_connect(&mut self, con: &mut Control<'_>) {
        let _ = con;
    }

    /// The handshake is done; `response` is what the server answered. What is
    /// [sent first](Control::send_first) here leaves ahead of all that waited for the connection: the
    /// place to log in and to subscribe again.
    fn on_open(&mut self, con: &mut Control<'_>, response: ResponseHead<'_>) {
        let _ = (con, response);
    }

    /// So many messages were dropped while there was no connection, as
    /// [`WhileDown::DropOldest`] wants it.
    fn on_dropped(&mut self, con: &mut Control<'_>, messages: u64) {
        let _ = (con, messages);
    }

    /// A message has arrived.
    fn on_message(&mut self, con: &mut Control<'_>, message: Received<'_>) {
        let _ = (con, message);
    }

    /// A message begins, of `length` bytes if that is known. Only with [`Delivery::Streaming`], and
    /// instead of `on_message`; so are the next two.
    fn on_message_start(&mut self, con: &mut Control<'_>, kind: MessageKind, length: Option<u64>) {
        let _ = (con, kind, length);
    }

    /// The next bytes of the message that has begun; of a text, whole characters.
    fn on_chunk(&mut self, con: &mut Control<'_>, bytes: &[u8]) {
        let _ = (con, bytes);
    }

    /// The message that has begun is complete. If the connection ends before, this is not called.
    fn on_message_end(&mut self, con: &mut Control<'_>) {
        let _ = con;
    }

    /// The peer has sent a ping. The pong is already on its way.
    fn on_ping(&mut self, con: &mut Control<'_>, payload: &[u8]) {
        let _ = (con, payload);
    }

    /// The peer has sent a pong.
    fn on_pong(&mut self, con: &mut Control<'_>, payload: &[u8]) {
        let _ = (con, payload);
    }

    /// The connection could not be made. `on_close` follows.
    fn on_error(&mut self, con: &mut Control<'_>, error: &Error) {
        let _ = (con, error);
    }

    /// The connection is closed, or was never made. The answer says what follows.
    fn on_close(&mut self, con: &mut Control<'_>, why: ClientClosed, reason: &str) -> Next {
        let _ = (con, why, reason);
        Next::Policy
    }

    /// A message was refused with [`SendError::Full`].
    fn on_buffer_full(&mut self, con: &mut Control<'_>) {
        let _ = con;
    }

    /// After `on_buffer_full`: there is room again.
    fn on_buffer_drained(&mut self, con: &mut Control<'_>) {
        let _ = con;
    }
}

/// The connection, in a callback of a [`Handler`].
pub struct Control<'a> {
    pub(super) machine: &'a mut ws::Client,
    pub(super) tx: &'a mut SendBuf,
    pub(super) clock: Clock,
    /// A message was refused for want of room.
    pub(super) full: bool,
}

impl Control<'_> {
    /// Queues a text message.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much is queued; `on_buffer_full` follows.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        let result = self.machine.send_text(text, self.tx);
        self.note(result)
    }

    /// Queues a binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        let result = self.machine.send_binary(data, self.tx);
        self.note(result)
    }

    /// Queues a message of the connection's own kind, [`ws::Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let result = self.machine.send(message, self.tx);
        self.note(result)
    }

    /// Queues a ping with up to 125 bytes of payload.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and if the payload is too long.
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let result = self.machine.send_ping(payload, self.tx);
        self.note(result)
    }

    /// Queues a pong with up to 125 bytes of payload that nobody asked for.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let result = self.machine.send_pong(payload, self.tx);
        self.note(result)
    }

    /// Queues a message ahead of those that waited for the connection; as [`Client::send_first`].
    ///
    /// # Errors
    /// As [`Client::send_first`].
    pub fn send_first(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        let result = self.machine.send_first(kind, payload, self.tx);
        self.note(result)
    }

    /// Queues a message that others may share; see [`ws::Client::send_shared`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_shared(&mut self, kind: MessageKind, payload: &Bytes) -> Result<(), SendError> {
        let result = self.machine.send_shared(kind, payload, self.tx);
        self.note(result)
    }

    /// The open connection, to ask it what it knows: its round trip, what was agreed on.
    #[must_use]
    pub fn connection(&self) -> Option<&ws::Connection> {
        self.machine.connection()
    }

    /// What was sent and received so far, as [`Client::stats`] without its bytes.
    #[must_use]
    pub fn stats(&self) -> ws::Stats {
        self.machine.stats()
    }

    /// Begins a message in pieces; as [`Client::start_message`].
    ///
    /// # Errors
    /// As [`Client::start_message`].
    pub fn start_message(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.machine.start_message(kind)
    }

    /// Queues the next piece of the message that was begun; as [`Client::send_chunk`].
    ///
    /// # Errors
    /// As [`Client::send_chunk`].
    pub fn send_chunk(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let result = self.machine.send_chunk(bytes, self.tx);
        self.note(result)
    }

    /// Ends the message that was begun; as [`Client::end_message`].
    ///
    /// # Errors
    /// As [`Client::end_message`].
    pub fn end_message(&mut self, last: &[u8]) -> Result<(), SendError> {
        let result = self.machine.end_message(last, self.tx);
        self.note(result)
    }

    /// Begins the closing handshake.
    ///
    /// # Errors
    /// [`ws::Misuse`] for a code or reason that must not be sent.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), ws::Misuse> {
        self.machine.close(code, reason, self.now(), self.tx)
    }

    /// In `on_close`: opens a connection `after` from now; zero means at once.
    pub fn reconnect(&mut self, after: Duration) {
        self.machine.reconnect(after, self.now());
    }

    /// Gives everything up at once; as [`Client::cancel`].
    pub fn cancel(&mut self) {
        self.machine.cancel();
    }

    /// The request of the next attempt, to change its URL or fields.
    pub fn request_mut(&mut self) -> &mut Request {
        self.machine.request_mut()
    }

    /// How many attempts there were, the one that is under way included.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.machine.attempts()
    }

    /// What was sent and waits for a connection.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.machine.backlog()
    }

    /// What the client is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of_client(self.machine, self.clock)
    }

    fn now(&self) -> Instant {
        self.clock.instant(std::time::Instant::now())
    }

    fn note(&mut self, result: Result<(), SendError>) -> Result<(), SendError> {
        self.full |= result == Err(SendError::Full);
        result
    }
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("status", &self.machine.status()).finish_non_exhaustive()
    }
}
