//! The WebSocket client that reconnects: an async interface, and callbacks.

use crate::connector::Connector;
use crate::dial::refuse_tls;
use crate::driver::Driver;
use crate::entropy;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::websocket::room;
use bytes::Bytes;
use std::future::poll_fn;
use std::time::Duration;
use tidewire::http::ResponseHead;
#[cfg(doc)]
use tidewire::ws::Delivery;
use tidewire::ws::handshake::Request;
use tidewire::ws::{
    self, ClientClosed, ClientConfig, ClientEvent, CloseCode, MessageKind, SendError, Status,
};
use tidewire::{Clock, Instant, SendBuf};

/// A WebSocket client that survives the loss of its connection.
///
/// There are two ways to use it. [`next`](Self::next) lends one event after the other:
///
/// ```no_run
/// # use std::time::Duration;
/// # use tidewire_runtime::{Client, Error, Runtime, ws::{ClientConfig, ClientEvent, handshake::Request}};
/// # async fn example<R: Runtime>(runtime: R) -> Result<(), Error> {
/// let request = Request::new("ws://127.0.0.1:1234")?;
/// let mut client = Client::new(runtime, request, ClientConfig::default())?;
/// while let Some(event) = client.next().await {
///     match event {
///         ClientEvent::Open(_) => client.send_text("hello")?,
///         ClientEvent::Text(text) => println!("{text}"),
///         ClientEvent::Closed { .. } => drop(client.reconnect(Duration::from_secs(1))),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
///
/// [`run`](Self::run) calls a [`Handler`] instead.
///
/// Nothing happens while neither is polled: pings are sent and reconnections made in there.
pub struct Client<R: Runtime> {
    driver: Driver<R, ws::Client>,
}

impl<R: Runtime> Client<R> {
    /// A client for `request`'s URL. It connects at the first call of [`next`](Self::next) or
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error::Dial`] if the URL asks for TLS, which this version does not speak;
    /// [`Error::Entropy`] if the operating system has no randomness.
    pub fn new(
        connector: impl Into<Connector<R>>,
        request: Request,
        config: ClientConfig,
    ) -> Result<Self, Error> {
        refuse_tls(request.url())?;
        let seed = entropy::seed()?;
        let driver = Driver::new(connector, room(&config.connection), |now, _tx| {
            ws::Client::new(request, config, &seed, now)
        });
        Ok(Self { driver })
    }

    /// Waits for the next event and lends it. `None` means that nothing will come unless
    /// [`reconnect`](Self::reconnect) is called: the connection is closed and no policy opens it
    /// again.
    ///
    /// Cancel-safe: a dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<ClientEvent<'_>> {
        if !poll_fn(|cx| self.driver.poll_session(cx)).await {
            return None;
        }
        let (machine, rx, tx, now) = self.driver.split();
        machine.event(now, rx, tx)
    }

    /// Runs until nothing is left to do: the connection is closed, and neither the handler nor the
    /// policy wants another one.
    pub async fn run(&mut self, handler: &mut impl Handler) {
        while poll_fn(|cx| self.driver.poll_session(cx)).await {
            let (last_words, clock) = (self.driver.io_error(), self.driver.clock());
            let (machine, rx, tx, now) = self.driver.split();
            let Some(event) = machine.event(now, rx, tx) else { continue };
            let mut con = Control { machine, tx, clock, full: false };
            match event {
                ClientEvent::Connected => handler.on_connect(&mut con),
                ClientEvent::Open(response) => handler.on_open(&mut con, response),
                ClientEvent::Text(text) => handler.on_message(&mut con, Received::Text(text)),
                ClientEvent::Binary(data) => handler.on_message(&mut con, Received::Binary(data)),
                ClientEvent::MessageStart { kind, length } => {
                    handler.on_message_start(&mut con, kind, length);
                }
                ClientEvent::Chunk(bytes) => handler.on_chunk(&mut con, bytes),
                ClientEvent::MessageEnd => handler.on_message_end(&mut con),
                ClientEvent::Ping(payload) => handler.on_ping(&mut con, payload),
                ClientEvent::Pong(payload) => handler.on_pong(&mut con, payload),
                ClientEvent::Drained => handler.on_buffer_drained(&mut con),
                ClientEvent::Error(error) => {
                    handler.on_error(&mut con, &Error::client(error, last_words));
                }
                ClientEvent::Closed { why, reason } => {
                    match handler.on_close(&mut con, why, reason) {
                        Next::Policy => {}
                        Next::Reconnect(after) => con.reconnect(after),
                        Next::Stop => con.machine.cancel(),
                    }
                }
            }
            if con.full {
                handler.on_buffer_full(&mut con);
            }
        }
    }

    /// Queues a text message; before the connection is open it is kept and leaves first. It leaves
    /// while [`next`](Self::next) is polled.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much is queued, [`SendError::Closing`] if there is no connection
    /// and none is coming.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_text(text, ws.tx)
    }

    /// Queues a binary message; as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_binary(data, ws.tx)
    }

    /// Queues a message of the connection's own kind, [`ws::Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send(message, ws.tx)
    }

    /// Queues a message that others may share; see [`ws::Client::send_shared`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_shared(&mut self, kind: MessageKind, payload: &Bytes) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_shared(kind, payload, ws.tx)
    }

    /// Begins a message in pieces, on the connection that is open; see [`ws::Client::start_message`].
    /// If the connection ends before the message does, the message is lost with it.
    ///
    /// # Errors
    /// [`SendError::NotOpen`], [`SendError::Closing`], and [`SendError::Unfinished`] in the midst of
    /// another message.
    pub fn start_message(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.driver.parts().machine.start_message(kind)
    }

    /// Queues the next piece of the message that was begun, as a frame of its own.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`], [`SendError::NotOpen`],
    /// [`SendError::NotStarted`], and [`SendError::NotUtf8`] if a text goes wrong in this piece, which
    /// may end within a character.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_chunk(bytes, ws.tx)
    }

    /// Ends the message that was begun, with a `last` piece that may be empty.
    ///
    /// # Errors
    /// As [`send_chunk`](Self::send_chunk), and [`SendError::NotUtf8`] if a text would end within a
    /// character.
    pub fn end_message(&mut self, last: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.end_message(last, ws.tx)
    }

    /// Queues a ping with up to 125 bytes of payload; as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and if the payload is too long.
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_ping(payload, ws.tx)
    }

    /// Queues a pong with up to 125 bytes of payload that nobody asked for: pings are answered
    /// without it.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_pong(payload, ws.tx)
    }

    /// The open connection, to ask it what it knows: what was agreed on, how long pings take.
    #[must_use]
    pub fn connection(&self) -> Option<&ws::Connection> {
        self.driver.machine().connection()
    }

    /// The request of the next attempt, to change its URL or fields: a token that has run out, say.
    pub fn request_mut(&mut self) -> &mut Request {
        self.driver.parts().machine.request_mut()
    }

    /// Begins the closing handshake, or gives up connecting. [`ClientEvent::Closed`] follows.
    ///
    /// # Errors
    /// [`ws::Misuse`] for a code or reason that must not be sent.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), ws::Misuse> {
        let ws = self.driver.parts();
        ws.machine.close(code, reason, ws.now, ws.tx)
    }

    /// Opens a connection `after` from now; zero means at once. To be called when the connection
    /// has closed, at once or any time later. Two calls make one attempt.
    ///
    /// Does nothing and returns `false` while there is a connection or an attempt under way.
    pub fn reconnect(&mut self, after: Duration) -> bool {
        let ws = self.driver.parts();
        ws.machine.reconnect(after, ws.now)
    }

    /// Drops a reconnection that is waiting.
    pub fn cancel(&mut self) {
        self.driver.parts().machine.cancel();
    }

    /// What the client is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.driver.machine().status()
    }

    /// What the operating system said when the last connection broke or could not be made, if it
    /// said anything.
    #[must_use]
    pub fn io_error(&self) -> Option<std::io::Error> {
        self.driver.io_error()
    }
}

impl<R: Runtime> std::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.driver).finish()
    }
}

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
///   on_connect --> on_open --> on_message, on_ping, on_pong … --> on_close
///       |             |
///       +-------------+--> on_error --> on_close
/// ```
///
/// Each attempt ends with exactly one `on_close`. All of them have a default that does nothing.
pub trait Handler {
    /// TCP is up; the handshake begins. What is sent here leaves right after the handshake.
    fn on_connect(&mut self, con: &mut Control<'_>) {
        let _ = con;
    }

    /// The handshake is done; `response` is what the server answered.
    fn on_open(&mut self, con: &mut Control<'_>, response: ResponseHead<'_>) {
        let _ = (con, response);
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
    machine: &'a mut ws::Client,
    tx: &'a mut SendBuf,
    clock: Clock,
    full: bool,
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

    /// The request of the next attempt, to change its URL or fields.
    pub fn request_mut(&mut self) -> &mut Request {
        self.machine.request_mut()
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
