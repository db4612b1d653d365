//! An open WebSocket connection, client or server.
//!
//! ```text
//!            close()                      Close received
//!    Open ------------> Closing ---------------------------+
//!     |                    | close_timeout: CloseTimeout   |
//!     | Close received (echo it)                           v
//!     +--------------------------------> client: Finishing --> Over(Clean)
//!     |                                  server: ----------/      ^
//!     |                                  (Finishing ends with the stream or with close_timeout)
//!     +--> Over(Eof | PongTimeout | Protocol), from Closing as well
//! ```

mod receive;

use self::receive::Progress;
use super::close::{self, CloseCode};
use super::error::{Closed, Misuse, ProtocolError, ProtocolErrorKind, SendError};
use super::frame::{MAX_CONTROL, OpCode, Rules};
use super::handshake::Negotiated;
use super::keepalive::Keepalive;
use super::message::{Assembler, Message, MessageKind};
use super::send::Sender;
use super::{Config, Event, Timer};
#[cfg(doc)]
use crate::Machine;
use crate::timer::Timers;
use crate::{Instant, RecvBuf, Seed, SendBuf, Transport, utf8};
use bytes::Bytes;

/// Which side of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Masks its frames.
    Client,
    /// Does not, and closes the transport first.
    Server,
}

/// A WebSocket connection after its opening handshake, as a [`Machine`].
///
/// It holds no heap memory: received bytes stay in the [`RecvBuf`] until they were lent as events,
/// and frames to send go into the [`SendBuf`] at once.
///
/// ```
/// use tidewire::ws::{Config, Connection, Event, Negotiated};
/// use tidewire::{Instant, RecvBuf, SendBuf};
///
/// let now = Instant::EPOCH;
/// let mut conn = Connection::server(Config::default(), Negotiated::default(), now);
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
///
/// // A masked "Hello" (RFC 6455, 5.7) from the client, sent back as it is.
/// let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// assert_eq!(rx.push(frame), frame.len());
/// while let Some(event) = conn.poll_event(now, &mut rx, &mut tx) {
///     if let Event::Text(text) = event {
///         conn.send_text(text, &mut tx)?;
///     }
/// }
/// assert_eq!(tx.chunk(), b"\x81\x05Hello");
/// # Ok::<(), tidewire::ws::SendError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    config: Config,
    role: Role,
    rules: Rules,
    negotiated: Negotiated,
    state: State,
    /// Whether [`Event::Closed`] was announced.
    told: bool,
    slot: Slot,
    assembler: Assembler,
    sender: Sender,
    keepalive: Keepalive,
    timers: Timers<Timer, 3>,
    /// How many bytes came before the raw ones that wait.
    offset: u64,
    /// Whether [`SendError::Full`] was returned and [`Event::Drained`] is owed for it.
    full: bool,
    /// The latest ping for whose pong there was no room.
    pong: Option<Control>,
    /// How many bytes waited, our Close the last of them, when its deadline was set.
    unsent: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    /// Our Close is queued, the peer's has not come.
    Closing,
    /// A client has sent and received a Close and waits for the server to end the stream (7.1.1).
    Finishing(Closed),
    Over(Closed),
}

/// The event between its decision and its release.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Empty,
    Announced(Lease),
    Lent(Lease),
}

/// What there is to lend.
#[derive(Clone, Copy, Debug)]
enum Lease {
    /// The content. Its text, if it is not `validated`, began that many bytes into the stream.
    Message {
        message: Message,
        began: u64,
    },
    /// The first raw bytes.
    Ping(usize),
    Pong(usize),
    Drained,
    Closed,
}

/// The payload of a control frame, held inline.
#[derive(Clone, Copy, Debug)]
struct Control {
    bytes: [u8; MAX_CONTROL],
    len: usize,
}

impl Connection {
    /// The client's side of a connection whose handshake ended `now`. `seed` is for masking keys and
    /// must not be used twice.
    #[must_use]
    pub fn client(config: Config, negotiated: Negotiated, seed: &Seed, now: Instant) -> Self {
        Self::new(config, negotiated, Role::Client, Sender::client(seed), now)
    }

    /// The server's side of a connection whose handshake ended `now`.
    #[must_use]
    pub fn server(config: Config, negotiated: Negotiated, now: Instant) -> Self {
        Self::new(config, negotiated, Role::Server, Sender::server(), now)
    }

    fn new(
        mut config: Config,
        negotiated: Negotiated,
        role: Role,
        sender: Sender,
        now: Instant,
    ) -> Self {
        // With zero there would be no room for a pong either.
        config.send_high_water = config.send_high_water.max(1);
        config.send_low_water = config.send_low_water.min(config.send_high_water.saturating_sub(1));
        let peer = if role == Role::Client { Role::Server } else { Role::Client };
        let keepalive = Keepalive::new(config.ping_interval, config.pong_timeout);
        let mut timers = Timers::new();
        keepalive.start(now, &mut timers);
        Self {
            config,
            role,
            rules: Rules { sender: peer, reserved: negotiated.reserved_bits() },
            negotiated,
            state: State::Open,
            told: false,
            slot: Slot::Empty,
            assembler: Assembler::new(),
            sender,
            keepalive,
            timers,
            offset: 0,
            full: false,
            pong: None,
            unsent: 0,
        }
    }

    // Commands.

    /// Queues a text message, in one frame.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::Closing`].
    #[inline]
    pub fn send_text(&mut self, text: &str, tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_room(tx)?;
        self.sender.frame(OpCode::Text, text.as_bytes(), tx);
        Ok(())
    }

    /// Queues a binary message, in one frame.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::Closing`].
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_room(tx)?;
        self.sender.frame(OpCode::Binary, bytes, tx);
        Ok(())
    }

    /// Queues a message of the connection's own kind, [`Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send(&mut self, message: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        match self.config.message_kind {
            MessageKind::Binary => self.send_binary(message, tx),
            MessageKind::Text => {
                let text = utf8::validate(message).map_err(|_| SendError::NotUtf8)?;
                self.send_text(text, tx)
            }
        }
    }

    /// Queues a message that others may share. A server does not copy it if it is large; a client
    /// must, because it masks each frame with a key of its own.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`], and [`SendError::NotUtf8`] for a text that is
    /// none.
    pub fn send_shared(
        &mut self,
        kind: MessageKind,
        payload: &Bytes,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        self.check_room(tx)?;
        let opcode = match kind {
            MessageKind::Binary => OpCode::Binary,
            MessageKind::Text => {
                utf8::validate(payload).map_err(|_| SendError::NotUtf8)?;
                OpCode::Text
            }
        };
        self.sender.shared(opcode, payload, tx);
        Ok(())
    }

    /// Queues a ping of at most 125 bytes, besides those of [`Config::ping_interval`]. The answer
    /// comes as [`Event::Pong`]; there is no deadline for it.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`] and [`SendError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.send_control(OpCode::Ping, payload, tx)
    }

    /// Queues a pong of at most 125 bytes that nobody asked for (RFC 6455, 5.5.3). Pings are
    /// answered without it.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`] and [`SendError::ControlTooLong`].
    pub fn send_pong(&mut self, payload: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.send_control(OpCode::Pong, payload, tx)
    }

    /// Begins the closing handshake. Messages from the peer are delivered until its Close arrives;
    /// then, or at the latest after [`Config::close_timeout`], comes [`Event::Closed`].
    ///
    /// [`CloseCode::NO_STATUS`] with an empty reason sends a Close frame without a payload. Closing
    /// a connection that is closing or over changes nothing.
    ///
    /// # Errors
    /// A code that must not be sent, or a reason of more than 123 bytes. Nothing was done.
    pub fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        let payload = close::Payload::new(code, reason)?;
        if matches!(self.state, State::Open) {
            self.sender.frame(OpCode::Close, payload.bytes(), tx);
            self.state = State::Closing;
            self.begin_closing(now, tx);
        }
        Ok(())
    }

    // Queries.

    /// Whether messages can be sent: the closing handshake has not begun.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Which side this is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What the opening handshake agreed on.
    #[must_use]
    pub const fn negotiated(&self) -> Negotiated {
        self.negotiated
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timer().map(|(at, _)| at)
    }

    /// The same, with the reason.
    #[must_use]
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        self.timers.next()
    }

    /// What the connection wants of its transport. [`Transport::Down`] after a peer has stopped
    /// answering: what still waits could not be written.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self.state {
            State::Open | State::Closing | State::Finishing(_) => Transport::Open,
            State::Over(Closed::PongTimeout | Closed::CloseTimeout) => Transport::Down,
            State::Over(_) => Transport::Close,
        }
    }

    // Inputs and events.

    /// [`advance`](Self::advance), then [`event`](Self::event): the next event, if there is one.
    #[inline]
    pub fn poll_event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<Event<'a>> {
        if self.advance(now, rx, tx) { self.event(now, rx, tx) } else { None }
    }

    /// Parses until there is an event; see [`Machine::advance`].
    #[inline]
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        self.keepalive.look(rx.raw().len(), &mut self.timers);
        let announced = match self.slot {
            Slot::Announced(_) => true,
            Slot::Empty => self.decide(now, rx, tx),
            Slot::Lent(lease) => {
                self.slot = Slot::Empty;
                self.release(lease, rx);
                self.decide(now, rx, tx)
            }
        };
        self.keepalive.leave(rx.raw().len());
        announced
    }

    /// Lends the announced event; see [`Machine::event`].
    #[inline]
    pub fn event<'a>(
        &mut self,
        _now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<Event<'a>> {
        let Slot::Announced(lease) = self.slot else { return None };
        self.slot = Slot::Lent(lease);
        Some(match lease {
            Lease::Message { message: Message { kind: MessageKind::Binary, .. }, .. } => {
                Event::Binary(rx.content())
            }
            Lease::Message { message: Message { kind: MessageKind::Text, .. }, began } => {
                let content = rx.content();
                match utf8::validate(content) {
                    Ok(text) => Event::Text(text),
                    Err(_) => {
                        let at = began + close::bad_byte(content) as u64;
                        let why = self.fail(ProtocolErrorKind::InvalidUtf8, at, tx);
                        self.told = true;
                        Event::Closed { why, reason: "" }
                    }
                }
            }
            Lease::Ping(len) => Event::Ping(&rx.raw()[..len]),
            Lease::Pong(len) => Event::Pong(&rx.raw()[..len]),
            Lease::Drained => Event::Drained,
            Lease::Closed => {
                let State::Over(why) = self.state else { return None };
                let reason = if why.is_clean() { rx.content() } else { &[] };
                Event::Closed { why, reason: core::str::from_utf8(reason).unwrap_or_default() }
            }
        })
    }

    /// Acts on every deadline that has come. Call it after what was received before the deadline
    /// went through [`advance`](Self::advance), or a pong that is there counts as missing.
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        loop {
            let due = self.timers.next();
            match (self.timers.expire(now), due) {
                (None, _) | (_, None) => return,
                (Some(Timer::Ping), Some((due, _))) => {
                    // However much is ahead of it: the deadline that begins now asks for an answer.
                    // Of those that have none yet, one is enough.
                    let waits = self.timers.get(Timer::Pong).is_some();
                    if !waits || tx.len() < self.config.send_high_water {
                        self.sender.frame(OpCode::Ping, &[], tx);
                    }
                    self.keepalive.pinged(due, now, &mut self.timers);
                }
                (Some(Timer::Pong), _) => self.end(Closed::PongTimeout),
                (Some(Timer::Close), _) => match self.state {
                    State::Finishing(clean) => self.end(clean),
                    // It is still on its way, behind messages that leave: no peer can answer yet.
                    _ if !tx.is_empty() && tx.len() < self.unsent => self.begin_closing(now, tx),
                    _ => self.end(Closed::CloseTimeout),
                },
            }
        }
    }

    /// Drops the bytes of the event that was lent.
    #[inline]
    fn release(&mut self, lease: Lease, rx: &mut RecvBuf) {
        match lease {
            Lease::Message { .. } => rx.consume(rx.content().len()),
            Lease::Ping(len) | Lease::Pong(len) => self.skip(len, rx),
            Lease::Drained | Lease::Closed => {}
        }
    }

    /// Works until there is an event or nothing left to work on.
    fn decide(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if self.full && tx.len() <= self.config.send_low_water {
            self.full = false;
            self.slot = Slot::Announced(Lease::Drained);
            return true;
        }
        self.send_held_pong(tx);
        let progress = match self.state {
            State::Open | State::Closing => self.receive(now, rx, tx),
            State::Finishing(_) => {
                self.skip(rx.raw().len(), rx);
                Ok(Progress::Starved)
            }
            State::Over(_) => Ok(Progress::Starved),
        };
        match progress {
            Ok(Progress::Announced) => return true,
            Ok(Progress::Starved) => {}
            Err((kind, at)) => {
                self.fail(kind, self.offset + at as u64, tx);
            }
        }
        if rx.is_finished() {
            match self.state {
                State::Open | State::Closing => self.end(Closed::Eof),
                State::Finishing(clean) => self.end(clean),
                State::Over(_) => {}
            }
        }
        if matches!(self.state, State::Over(_)) && !self.told {
            self.told = true;
            self.slot = Slot::Announced(Lease::Closed);
            return true;
        }
        false
    }

    fn announce(&mut self, lease: Lease) -> Progress {
        self.slot = Slot::Announced(lease);
        Progress::Announced
    }

    /// Queues a frame that was accepted before there was a connection, whatever waits already.
    pub(super) fn enqueue(&mut self, opcode: OpCode, payload: &[u8], tx: &mut SendBuf) {
        self.sender.frame(opcode, payload, tx);
    }

    /// [`SendError::Full`] was returned for this connection before it was there.
    pub(super) fn owe_drained(&mut self) {
        self.full = true;
    }

    pub(super) fn send_control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL {
            return Err(SendError::ControlTooLong);
        }
        self.check_room(tx)?;
        self.sender.frame(opcode, payload, tx);
        Ok(())
    }

    #[inline]
    fn check_room(&mut self, tx: &SendBuf) -> Result<(), SendError> {
        if !matches!(self.state, State::Open) {
            return Err(SendError::Closing);
        }
        if tx.len() >= self.config.send_high_water {
            self.full = true;
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// A Close frame was queued: nothing may follow it, and the rest has a deadline.
    fn begin_closing(&mut self, now: Instant, tx: &SendBuf) {
        self.unsent = tx.len();
        self.full = false;
        self.pong = None;
        self.keepalive.stop(&mut self.timers);
        self.timers.set(Timer::Close, now + self.config.close_timeout);
    }

    /// Fails the connection (7.1.7): the peer is told why and not listened to any more.
    #[cold]
    fn fail(&mut self, kind: ProtocolErrorKind, offset: u64, tx: &mut SendBuf) -> Closed {
        let error = ProtocolError { kind, offset };
        if matches!(self.state, State::Open) {
            let code = error.close_code().get().to_be_bytes();
            self.sender.frame(OpCode::Close, &code, tx);
        }
        let why = Closed::Protocol(error);
        self.end(why);
        why
    }

    /// The connection is over. An event that is announced or lent comes before the one for this.
    fn end(&mut self, why: Closed) {
        self.state = State::Over(why);
        self.timers.stop_all();
        self.full = false;
        self.pong = None;
    }

    #[inline]
    fn skip(&mut self, n: usize, rx: &mut RecvBuf) {
        rx.skip(n);
        self.offset += n as u64;
    }
}

crate::machine::machine!(Connection, Event);
