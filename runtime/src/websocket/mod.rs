//! A WebSocket connection: lending, `Stream` and `Sink`, and messages piece by piece.

mod reader;
mod reply;
mod sender;
mod split;
mod writer;

pub use self::reader::MessageReader;
pub use self::reply::Reply;
pub use self::sender::WebSocketSender;
pub use self::split::{ReuniteError, WebSocketReceiver};
pub use self::writer::MessageWriter;

use self::reader::Incoming;
use crate::byte_stream::ByteStream;
use crate::connection::Conn;
use crate::connector::Connector;
use crate::dial::dial;
use crate::driver::Driver;
use crate::entropy;
use crate::error::Error;
use crate::link::{READ_MAX, rx_limit};
use crate::runtime::Runtime;
use crate::shutdown::{Counted, Watch};
use crate::stats::Stats;
use crate::tls::{TlsError, TlsSession};
use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tidewire::SendBuf;
use tidewire::http::OwnedResponseHead;
use tidewire::ws::handshake::{ClientHandshake, HandshakeEvent, Request};
use tidewire::ws::{
    self, ClientConfig, CloseCode, Connection, Delivery, Event, MessageKind, Negotiated, Role,
    SendError,
};

/// One WebSocket connection (RFC 6455), of a client or a server.
///
/// Everything happens while one of its futures is polled; there is no task behind it. Keep calling
/// [`next`](Self::next), or pings are not answered and not sent.
///
/// For a client that reconnects, see [`Client`](crate::Client).
///
/// ```no_run
/// # use tidewire_runtime::{Error, Runtime, WebSocket, ws::{self, CloseCode, Event, handshake::Request}};
/// # async fn example<R: Runtime>(runtime: R) -> Result<(), Error> {
/// let request = Request::new("ws://127.0.0.1:1234")?;
/// let (mut socket, response) = WebSocket::connect(runtime, &request, ws::Config::default()).await?;
/// println!("{}", response.as_head().status);
/// socket.send_text("hello").await?;
/// while let Some(event) = socket.next().await {
///     match event {
///         Event::Text(text) => println!("{text}"),
///         Event::Closed { why, .. } => println!("{why}"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
///
/// [`split`](Self::split) makes two halves of it for two tasks, and senders for any number of them.
///
/// As a `Stream` and `Sink` of owned [`Message`]s it works with the combinators of the `futures`
/// crate; its own `next` hides theirs, which is `StreamExt::next(&mut socket)` then.
///
/// Dropped while it is open, it breaks the connection off, and the peer sees 1006. For an end in
/// order call [`close`](Self::close).
pub struct WebSocket<R: Runtime> {
    // On the heap, where it stays: a task is as large as the largest of its futures, and a server's
    // connections are not all WebSockets.
    driver: Box<Driver<R, Connection>>,
    low_water: usize,
    high_water: usize,
    incoming: Incoming,
    /// On a server: tells of a shutdown, and counts the connection.
    served: Option<(Watch, Counted)>,
}

/// A message of one's own, for [`Stream`] and [`Sink`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

/// The limit of the receive buffer: what is received in pieces is never there as a whole.
pub(crate) fn room(config: &ws::Config) -> usize {
    rx_limit(match config.delivery {
        Delivery::Whole => config.max_message,
        Delivery::Streaming => config.max_message.min(READ_MAX),
    })
}

impl<R: Runtime> WebSocket<R> {
    /// Connects to `request`'s URL and shakes hands. Returns the response's head too: its fields
    /// may matter (`Set-Cookie`, the subprotocol).
    ///
    /// `config` is a [`ws::Config`], or a [`ws::ClientConfig`] that limits connecting and the
    /// opening handshake as well. Its [`reconnect`](ws::ClientConfig::reconnect) does nothing here:
    /// that is for [`Client`](crate::Client).
    ///
    /// Dropped before it is ready, the future gives the connection up.
    ///
    /// # Errors
    /// [`Error::Dial`] if there is no connection; [`Error::Handshake`] if the server answered
    /// something else than a correct `101`, with its head and the start of its body, or nothing in
    /// time; [`Error::Entropy`] if the operating system has no randomness.
    ///
    /// Redirects and challenges are not followed, since only the program knows whom its cookies and
    /// passwords are for: they are an [`Error::Handshake`], with all that is needed to go on.
    pub async fn connect(
        connector: impl Into<Connector<R>>,
        request: &Request,
        config: impl Into<ws::ClientConfig>,
    ) -> Result<(Self, OwnedResponseHead), Error> {
        let (connector, config) = (connector.into(), config.into());
        let stream = dial(&connector, request.url(), config.connect_timeout).await?;
        Self::handshake(connector.runtime, stream, request, config).await
    }

    /// As [`connect`](Self::connect), over a stream that is connected already: a tunnel, a pipe, a
    /// socket with options of your own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), without [`Error::Dial`].
    pub async fn handshake(
        runtime: R,
        stream: ByteStream<R>,
        request: &Request,
        config: impl Into<ws::ClientConfig>,
    ) -> Result<(Self, OwnedResponseHead), Error> {
        let seeds = (entropy::seed()?, entropy::seed()?);
        let ClientConfig { connection: config, handshake, .. } = config.into();
        let rx_limit = room(&config);
        let mut driver = Driver::with_stream(runtime, stream, rx_limit, |now, tx| {
            ClientHandshake::new(request, handshake, &seeds.0, now, tx)
        });
        let (head, negotiated) = match driver.next().await {
            Some(HandshakeEvent::Accepted { head, negotiated }) => (head.to_owned(), negotiated),
            Some(HandshakeEvent::Refused { why, head, body }) => {
                let refused = Error::handshake(why, head, body);
                // With TLS 1.3, a server refuses a client's certificate when the client takes the
                // handshake for done already.
                let tls = driver.io_error().filter(|error| TlsError::of(error).is_some());
                return Err(tls.map_or(refused, Error::Io));
            }
            None => return Err(Error::Closed),
        };
        let driver = driver.replace(|_, now| Connection::client(config, negotiated, &seeds.1, now));
        Ok((Self::new(driver, &config, None), head))
    }

    /// A WebSocket over a stream whose opening handshake somebody else has made: a connection that
    /// another HTTP library has upgraded, say. `negotiated` is what the handshake came to; for a server
    /// that answers by [`accept`](tidewire::ws::handshake::accept), what
    /// [`Acceptance::negotiated`](tidewire::ws::handshake::Acceptance::negotiated) says.
    ///
    /// ```
    /// # use tidewire_runtime::{Error, ByteStream, Runtime, WebSocket, ws::{self, Negotiated, Role}};
    /// # use futures_io::{AsyncRead, AsyncWrite};
    /// # fn example<R: Runtime>(
    /// #     runtime: R,
    /// #     upgraded: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    /// # ) -> Result<(), Error> {
    /// let stream = ByteStream::boxed(upgraded);
    /// let config = ws::Config::default();
    /// let socket = WebSocket::from_stream(runtime, stream, Role::Server, Negotiated::default(), config)?;
    /// # drop(socket);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Entropy`] if the operating system has no randomness, which a client needs.
    pub fn from_stream(
        runtime: R,
        stream: ByteStream<R>,
        role: Role,
        negotiated: Negotiated,
        config: ws::Config,
    ) -> Result<Self, Error> {
        let seed = match role {
            Role::Client => Some(entropy::seed()?),
            Role::Server => None,
        };
        let driver = Driver::with_stream(runtime, stream, room(&config), |now, _tx| match &seed {
            Some(seed) => Connection::client(config, negotiated, seed, now),
            None => Connection::server(config, negotiated, now),
        });
        Ok(Self::new(driver, &config, None))
    }

    pub(crate) fn accepted(conn: Conn<R>, config: ws::Config, negotiated: Negotiated) -> Self {
        let mut driver = conn.driver.replace(|_, now| Connection::server(config, negotiated, now));
        driver.set_rx_limit(room(&config));
        // The connection has a deadline of its own for that.
        driver.set_write_timeout(None);
        Self::new(driver, &config, Some((conn.phase, conn.counted)))
    }

    fn new(
        driver: Driver<R, Connection>,
        config: &ws::Config,
        served: Option<(Watch, Counted)>,
    ) -> Self {
        // As the machine takes them: else it could be full and not full at once.
        let high_water = config.send_high_water.max(1);
        let low_water = config.send_low_water.min(high_water - 1);
        let driver = Box::new(driver);
        Self { driver, low_water, high_water, incoming: Incoming::default(), served }
    }

    /// Waits for the next event and lends it. [`Event::Closed`] is the last one; then `None`.
    ///
    /// Cancel-safe: a dropped future takes no event with it. What was sent but not written yet
    /// leaves while this waits.
    pub async fn next(&mut self) -> Option<Event<'_>> {
        if self.incoming.has_rest() {
            return self.incoming.take_rest().map(Event::Chunk);
        }
        if poll_fn(|cx| self.poll_advance(cx)).await { self.driver_event() } else { None }
    }

    /// Calls `on_event` with each event until the connection has ended, with the means to answer
    /// while the event is still lent: nothing is copied. Returns how the connection ended.
    ///
    /// It takes no further event while more than [`ws::Config::send_high_water`] bytes wait to be
    /// written, so a peer that sends without reading is slowed down.
    ///
    /// Cancel-safe: a dropped future takes no event with it, and another call goes on.
    ///
    /// # Errors
    /// The first error that `on_event` returns; [`Error::Io`] if the connection broke.
    pub async fn run(
        &mut self,
        mut on_event: impl FnMut(Event<'_>, &mut Reply<'_>) -> Result<(), SendError>,
    ) -> Result<ws::Closed, Error> {
        loop {
            if self.is_full() && self.driver.machine().is_open() {
                self.ready().await?;
            }
            if !poll_fn(|cx| self.poll_advance(cx)).await {
                return self.how();
            }
            // Most come with others, and need neither the socket nor the task.
            loop {
                let clock = self.driver.clock();
                let (machine, rx, tx, now) = self.driver.split();
                if let Some(event) = machine.event(now, rx, tx) {
                    self.incoming.note(&event);
                    on_event(event, &mut Reply { machine, tx, clock })?;
                }
                if self.is_full() || !self.driver.advance_again() {
                    break;
                }
            }
        }
    }

    /// Gives memory back as soon as nothing is received: many come at a time, after a restart say, and
    /// each may wait for long.
    pub(crate) fn release_soon(&mut self) {
        self.driver.release_soon();
    }

    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.driver.advance_again() {
            return Poll::Ready(true);
        }
        if let Some((phase, _)) = &mut self.served {
            if phase.poll(cx).is_ready() {
                let ws = self.driver.parts();
                // Refused only if the connection is closing already.
                let _ = ws.machine.close(CloseCode::GOING_AWAY, "", ws.now, ws.tx);
            }
        }
        self.driver.poll_advance(cx)
    }

    fn driver_event(&mut self) -> Option<Event<'_>> {
        let (machine, rx, tx, now) = self.driver.split();
        let event = machine.event(now, rx, tx);
        event.iter().for_each(|event| self.incoming.note(event));
        event
    }

    /// What the operating system, or TLS, said when the connection broke, if it said anything.
    pub fn io_error(&self) -> Option<std::io::Error> {
        self.driver.io_error()
    }

    /// What TLS has agreed on, if the connection speaks it.
    pub fn tls_session(&self) -> Option<TlsSession> {
        self.driver.tls_session()
    }

    /// How the connection ended, once nothing comes any more.
    fn how(&self) -> Result<ws::Closed, Error> {
        self.driver.machine().closed().ok_or(Error::Closed)
    }

    /// The same, for whom any end is an error.
    fn ended(&self) -> Error {
        self.how().map_or_else(|error| error, Error::WebSocket)
    }

    /// Sends a text message: waits for room if much is queued, then writes it out.
    ///
    /// Cancel-safe in that a dropped future either has queued the whole message, which then leaves
    /// with the next call, or nothing; who must know which calls [`ready`](Self::ready),
    /// [`queue_text`](Self::queue_text) and [`flush`](Self::flush). It goes on receiving meanwhile, as
    /// far as the receive buffer allows, so that two peers that only send do not wait for each other for
    /// ever.
    ///
    /// # Errors
    /// [`Error::WebSocketSend`] if the connection is closing, or with [`SendError::Unfinished`] in the
    /// midst of a message in pieces; [`Error::Io`] if the connection broke; [`Error::WebSocket`] if it
    /// was given up, because the peer took nothing for too long, say.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_text(text, tx)).await
    }

    /// Sends a binary message; as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_binary(&mut self, data: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_binary(data, tx)).await
    }

    /// Sends a message of the connection's own kind, [`ws::Config::message_kind`]; as
    /// [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), with [`SendError::NotUtf8`] for a text that is none.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send(message, tx)).await
    }

    /// Sends a message that others may share; see [`Connection::send_shared`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_shared(&mut self, kind: MessageKind, payload: &Bytes) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_shared(kind, payload, tx)).await
    }

    /// Sends a pong of at most 125 bytes that nobody asked for (RFC 6455, 5.5.3): pings are answered
    /// without it.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub async fn send_pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_pong(payload, tx)).await
    }

    /// Sends a ping with up to 125 bytes of payload (RFC 6455, 5.5.2).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and if the payload is too long.
    pub async fn send_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_ping(payload, tx)).await
    }

    async fn send_with(
        &mut self,
        mut send: impl FnMut(&mut Connection, &mut SendBuf) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        loop {
            let (machine, tx) = self.driver.output();
            match send(machine, tx) {
                Err(SendError::Full) => self.ready().await?,
                Err(error) => return Err(error.into()),
                Ok(()) => return self.flush().await,
            }
        }
    }

    /// Queues a text message without waiting. It leaves while [`next`](Self::next) or
    /// [`flush`](Self::flush) is polled.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much is queued already, [`SendError::Closing`] if the connection
    /// is closing, [`SendError::Unfinished`] in the midst of a message in pieces.
    pub fn queue_text(&mut self, text: &str) -> Result<(), SendError> {
        let (machine, tx) = self.driver.output();
        machine.send_text(text, tx)
    }

    /// Queues a binary message without waiting; as [`queue_text`](Self::queue_text).
    ///
    /// # Errors
    /// As [`queue_text`](Self::queue_text).
    pub fn queue_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        let (machine, tx) = self.driver.output();
        machine.send_binary(data, tx)
    }

    /// Queues a message of the connection's own kind, [`ws::Config::message_kind`]; as
    /// [`queue_text`](Self::queue_text).
    ///
    /// # Errors
    /// As [`queue_text`](Self::queue_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn queue(&mut self, message: &[u8]) -> Result<(), SendError> {
        let (machine, tx) = self.driver.output();
        machine.send(message, tx)
    }

    /// Queues a message that others may share, as [`queue_text`](Self::queue_text); see
    /// [`Connection::send_shared`].
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub fn queue_shared(&mut self, kind: MessageKind, payload: &Bytes) -> Result<(), SendError> {
        let (machine, tx) = self.driver.output();
        machine.send_shared(kind, payload, tx)
    }

    /// Queues a ping of at most 125 bytes; as [`queue_text`](Self::queue_text).
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`], [`SendError::ControlTooLong`].
    pub fn queue_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let (machine, tx) = self.driver.output();
        machine.send_ping(payload, tx)
    }

    /// Queues a pong of at most 125 bytes that nobody asked for; as [`queue_text`](Self::queue_text).
    ///
    /// # Errors
    /// As [`queue_ping`](Self::queue_ping).
    pub fn queue_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let (machine, tx) = self.driver.output();
        machine.send_pong(payload, tx)
    }

    /// Waits until there is room, if too much is queued: what is queued next is not refused with
    /// [`SendError::Full`].
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn ready(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await
    }

    /// Writes out what is queued.
    ///
    /// Cancel-safe: what was not written leaves with the next call.
    ///
    /// # Errors
    /// [`Error::Io`] if the connection broke; [`Error::WebSocket`] if it was given up, because the peer
    /// took nothing for too long, say.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_drain(cx, 0)).await
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_full() { self.poll_drain(cx, self.low_water) } else { Poll::Ready(Ok(())) }
    }

    fn is_full(&self) -> bool {
        self.driver.queued() >= self.high_water
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, mark: usize) -> Poll<Result<(), Error>> {
        // The machine sees what waits when it is advanced: else its deadline for that did not run.
        self.driver.advance();
        let drained = ready!(self.driver.poll_drain_now(cx, mark));
        Poll::Ready(drained.map_err(|error| self.why(error)))
    }

    /// What is to be said of an error of the driver's.
    fn why(&self, error: std::io::Error) -> Error {
        self.driver.machine().closed().map_or(Error::Io(error), Error::WebSocket)
    }

    /// Begins the closing handshake (RFC 6455, 7.1.2) and waits for its end, discarding messages
    /// that still arrive. Returns how the connection ended, also when it had ended before.
    ///
    /// Cancel-safe: after a dropped future another call waits for the same end.
    ///
    /// # Errors
    /// [`Error::WebSocketMisuse`] for a code or reason that must not be sent.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<ws::Closed, Error> {
        let ws = self.driver.parts();
        if ws.machine.is_open() {
            ws.machine.close(code, reason, ws.now, ws.tx)?;
        }
        while self.next().await.is_some() {}
        self.how()
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.driver.queued()
    }

    /// What was sent and received so far. The bytes are those of the opening handshake too.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { bytes: self.driver.transferred(), ws: self.driver.machine().stats() }
    }

    /// The machine underneath, to ask it something.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.driver.machine()
    }
}

/// Whole messages, gathered if they are received in pieces; pings and pongs are seen to. Ends once the
/// connection is closed in order, so that the peer gets our last words; a close that was not clean is
/// yielded as an error first.
impl<R: Runtime> Stream for WebSocket<R> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while ready!(this.poll_advance(cx)) {
            let (machine, rx, tx, now) = this.driver.split();
            let Some(event) = machine.event(now, rx, tx) else { continue };
            if let Event::Closed { why, .. } = event {
                if !why.is_clean() {
                    return Poll::Ready(Some(Err(Error::WebSocket(why))));
                }
            }
            if let Some(message) = this.incoming.gather(event) {
                return Poll::Ready(Some(Ok(message)));
            }
        }
        Poll::Ready(None)
    }
}

/// `close` sends code 1000 and waits until everything is written; the stream then ends with the
/// peer's answer.
impl<R: Runtime> Sink<Message> for WebSocket<R> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_room(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let (machine, tx) = self.get_mut().driver.output();
        match message {
            Message::Text(text) => machine.send_text(&text, tx)?,
            Message::Binary(data) => machine.send_binary(&data, tx)?,
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_drain(cx, 0)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let ws = self.driver.parts();
        if ws.machine.is_open() {
            ws.machine.close(CloseCode::NORMAL, "", ws.now, ws.tx)?;
        }
        self.poll_flush(cx)
    }
}

impl<R: Runtime> std::fmt::Debug for WebSocket<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WebSocket").field(&self.driver).finish()
    }
}
