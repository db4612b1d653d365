//! The WebSocket client that reconnects: an async interface, and callbacks.

mod handler;
mod split;

pub use self::handler::{Control, Handler, Next, Received};
pub use self::split::{ClientReceiver, ClientSender};
use crate::connector::Connector;
use crate::dial::refuse_tls;
use crate::driver::Driver;
use crate::entropy;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::stats::Stats;
use crate::status::{Reporter, Status, StatusWatch};
use crate::websocket::room;
use bytes::Bytes;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire::ws::handshake::Request;
use tidewire::ws::{self, Backlog, ClientConfig, ClientEvent, CloseCode, MessageKind, SendError};

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
///
/// # Coming back
///
/// [`ClientConfig::reconnect`] says when to try again, and when to give up;
/// [`ClientConfig::while_down`], what becomes of messages in the meantime. With
/// [`ClientConfig::announce`] there is an event in front of each attempt, to renew a token or to go
/// to another server; the attempt waits for it, however long that takes. What a server has to hear
/// before all else is sent [first](Self::send_first):
///
/// ```no_run
/// # use std::time::Duration;
/// # use tidewire_runtime::ws::{ClientConfig, ClientEvent, MessageKind, WhileDown, handshake::Request};
/// # use tidewire_runtime::{Client, Error, Runtime, reconnect::Policy};
/// # async fn fresh_token() -> String { String::new() }
/// # async fn example<R: Runtime>(runtime: R, request: Request) -> Result<(), Error> {
/// let config = ClientConfig {
///     reconnect: Some(Policy::exponential(Duration::from_secs(1), Duration::from_secs(60))),
///     while_down: WhileDown::DropOldest { bytes: 64 * 1024 },
///     announce: true,
///     ..ClientConfig::default()
/// };
/// let mut client = Client::new(runtime, request, config)?;
/// while let Some(event) = client.next().await {
///     match event {
///         ClientEvent::Attempt => {
///             let token = fresh_token().await;
///             let request = client.request_mut();
///             request.remove_field("Authorization");
///             request.add_field("Authorization", format!("Bearer {token}"))?;
///         }
///         ClientEvent::Open(_) => client.send_first(MessageKind::Text, b"subscribe to all")?,
///         ClientEvent::Dropped { messages } => println!("{messages} messages were dropped"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Client<R: Runtime> {
    driver: Driver<R, ws::Client>,
    reporter: Reporter,
}

impl<R: Runtime> Client<R> {
    /// A client for `request`'s URL. It connects at the first call of [`next`](Self::next) or
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error::Dial`] if the URL asks for TLS and the feature `tls` is off;
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
        Ok(Self { driver, reporter: Reporter::default() })
    }

    /// Waits for the next event and lends it. `None` means that nothing will come unless
    /// [`reconnect`](Self::reconnect) is called: the connection is closed and no policy opens it
    /// again.
    ///
    /// Cancel-safe: a dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<ClientEvent<'_>> {
        if !poll_fn(|cx| self.poll(cx)).await {
            return None;
        }
        let Self { driver, reporter } = self;
        let clock = driver.clock();
        let (machine, rx, tx, now) = driver.split();
        let event = machine.event(now, rx, tx);
        reporter.report(|| Status::of_client(machine, clock));
        event
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let polled = self.driver.poll_session(cx);
        self.report();
        polled
    }

    /// To be called behind whatever may have changed the status.
    pub(crate) fn report(&mut self) {
        let Self { driver, reporter } = self;
        reporter.report(|| Status::of_client(driver.machine(), driver.clock()));
    }

    /// Runs until nothing is left to do: the connection is closed, and neither the handler nor the
    /// policy wants another one.
    pub async fn run(&mut self, handler: &mut impl Handler) {
        while poll_fn(|cx| self.poll(cx)).await {
            let (last_words, clock) = (self.driver.io_error(), self.driver.clock());
            let (machine, rx, tx, now) = self.driver.split();
            let Some(event) = machine.event(now, rx, tx) else { continue };
            let mut con = Control { machine, tx, clock, full: false };
            match event {
                ClientEvent::Attempt => handler.on_attempt(&mut con),
                ClientEvent::Connected => handler.on_connect(&mut con),
                ClientEvent::Open(response) => handler.on_open(&mut con, response),
                ClientEvent::Dropped { messages } => handler.on_dropped(&mut con, messages),
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

    /// Queues a text message. It leaves while [`next`](Self::next) is polled; while there is no open
    /// connection [`ClientConfig::while_down`] says what becomes of it.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much is queued, [`SendError::NotOpen`] if it is to be refused while
    /// there is no open connection, [`SendError::Closing`] if none is coming.
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

    /// Queues a message on the connection that has just opened, ahead of those that waited for it:
    /// see [`ws::Client::send_first`].
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendError::NotOpen`] in any case if there is no connection.
    pub fn send_first(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        let ws = self.driver.parts();
        ws.machine.send_first(kind, payload, ws.tx)
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

    /// What was sent and received so far, on all connections together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { bytes: self.driver.transferred(), ws: self.driver.machine().stats() }
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
        let closed = ws.machine.close(code, reason, ws.now, ws.tx);
        self.report();
        closed
    }

    /// Opens a connection `after` from now; zero means at once. To be called when the connection
    /// has closed, at once or any time later. Two calls make one attempt.
    ///
    /// Does nothing and returns `false` while there is a connection or an attempt under way.
    pub fn reconnect(&mut self, after: Duration) -> bool {
        let ws = self.driver.parts();
        let reconnects = ws.machine.reconnect(after, ws.now);
        self.report();
        reconnects
    }

    /// Gives everything up at once: a connection without a closing handshake, an attempt that is under
    /// way, a reconnection that waits, and messages that wait for one. If there was a connection or an
    /// attempt, [`ClientEvent::Closed`] follows. [`reconnect`](Self::reconnect) begins anew.
    pub fn cancel(&mut self) {
        self.driver.parts().machine.cancel();
        self.report();
    }

    /// What the client is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of_client(self.driver.machine(), self.driver.clock())
    }

    /// An eye on the [`status`](Self::status), for another task.
    #[must_use]
    pub fn watch(&mut self) -> StatusWatch {
        let status = self.status();
        self.reporter.watch(status)
    }

    /// What was sent and waits for a connection.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.driver.machine().backlog()
    }

    /// How many attempts there were, the one that is under way included.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.driver.machine().attempts()
    }

    /// Why there is no connection, or no longer one, beyond what [`ClientEvent::Error`] says: the
    /// operating system's words, [`TlsError::of`](crate::TlsError::of) or
    /// [`ProxyRefused::of`](crate::ProxyRefused::of). A [`Handler`] is told both as one
    /// [`Error`](crate::Error).
    ///
    /// ```no_run
    /// # use tidewire_runtime::{Client, Runtime, TlsError, ws::ClientEvent};
    /// # async fn example<R: Runtime>(client: &mut Client<R>) {
    /// while let Some(event) = client.next().await {
    ///     if let ClientEvent::Error(error) = event {
    ///         let what = error.to_string();
    ///         let why = client.io_error();
    ///         println!("{what}: {why:?}");
    ///         if let Some(reason) = why.as_ref().and_then(TlsError::of) {
    ///             println!("TLS: {reason}");
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
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
