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
//!     +--> Over(Eof | Protocol), from Closing as well
//!     +--> Over(PongTimeout | IdleTimeout | WriteTimeout)
//! ```

mod deadlines;
mod receive;
mod send;

use super::close::{self, CloseCode};
use super::error::{Closed, Misuse, ProtocolError, ProtocolErrorKind};
use super::frame::{MAX_CONTROL, OpCode, Rules};
use super::handshake::Negotiated;
use super::keepalive::Keepalive;
use super::message::{Area, Assembler, MessageKind};
use super::send::Sender;
use super::stats::{Counter, Stats};
use super::{Config, Event, Timer};
#[cfg(doc)]
use super::{Delivery, SendError};
#[cfg(doc)]
use crate::Machine;
use crate::timer::Timers;
use crate::trace::{self, Span};
use crate::{Instant, RecvBuf, Seed, SendBuf, Transport, utf8};
use alloc::boxed::Box;
use core::time::Duration;

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
/// It holds no heap memory, but for compression if that was agreed on, and for a pong that has to wait:
/// received bytes stay in the [`RecvBuf`] until they were lent as events, and frames to send go into
/// the [`SendBuf`] at once.
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
///
/// # Messages in pieces
///
/// With [`Delivery::Streaming`] a message is lent piece by piece as it arrives, and
/// [`start_message`](Self::start_message), [`send_chunk`](Self::send_chunk) and
/// [`end_message`](Self::end_message) send one in fragments, so that neither side holds all of it.
///
/// ```
/// use tidewire::ws::{Config, Connection, Delivery, Event, MessageKind, Negotiated};
/// use tidewire::{Instant, RecvBuf, Seed, SendBuf};
///
/// let now = Instant::EPOCH;
/// let config = Config { delivery: Delivery::Streaming, max_message: usize::MAX, ..Config::default() };
/// let seed = Seed::new([7; 32]); // from the operating system
/// let mut client = Connection::client(config, Negotiated::default(), &seed, now);
/// let mut server = Connection::server(config, Negotiated::default(), now);
///
/// let (mut wire, mut sent) = (SendBuf::new(), 0);
/// client.start_message(MessageKind::Binary)?;
/// for piece in [&b"one "[..], b"after ", b"another"] {
///     client.send_chunk(piece, &mut wire)?;
///     sent += piece.len();
/// }
/// client.end_message(b"", &mut wire)?;
///
/// let (mut rx, mut tx, mut received) = (RecvBuf::with_limit(256), SendBuf::new(), 0);
/// assert_eq!(rx.push(wire.chunk()), wire.len());
/// while let Some(event) = server.poll_event(now, &mut rx, &mut tx) {
///     match event {
///         Event::MessageStart { kind, .. } => assert_eq!(kind, MessageKind::Binary),
///         Event::Chunk(bytes) => received += bytes.len(),
///         Event::MessageEnd => assert_eq!(received, sent),
///         _ => {}
///     }
/// }
/// assert_eq!(received, 17);
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
    stage: Stage,
    lease: Lease,
    /// Whether there was nothing to do when it was last looked at but to take messages as they come.
    /// Whoever gives the connection something else to do takes it back.
    quiet: bool,
    /// Where the payload began that is lent without having been looked at: bytes into the stream.
    began: u64,
    /// Where the data frame began whose payload is taken.
    frame: u64,
    assembler: Assembler,
    sender: Sender,
    received: Counter,
    keepalive: Keepalive,
    timers: Timers<Timer, 5>,
    /// How many bytes came before the raw ones that wait.
    offset: u64,
    /// How many raw bytes were left the last time. More than that have been received since.
    left: usize,
    /// When a byte was last received.
    heard: Instant,
    /// Whether something waited to be written the last time, how much had been taken by then, and
    /// since when nothing more was.
    waits: bool,
    progress: u64,
    stalled_since: Instant,
    /// Whether [`SendError::Full`] was returned and [`Event::Drained`] is owed for it.
    full: bool,
    /// The latest ping for whose pong there was no room.
    pong: Option<Box<Control>>,
    /// Whether something waited ahead of our Close when that was queued.
    closes_behind: bool,
    pub(super) span: Span,
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

/// How far the [`Lease`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Empty,
    Announced,
    Lent,
}

/// What there is to lend.
#[derive(Clone, Copy, Debug)]
enum Lease {
    /// All that the area holds.
    Message(MessageKind, Area),
    Start(MessageKind, Option<u64>),
    /// The first bytes of the area.
    Chunk(Area, usize),
    End,
    /// The first raw bytes.
    Ping(usize),
    Pong(usize),
    Drained,
    Closed,
}

/// The payload of a control frame.
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
        let role = Role::Client;
        let deflater = negotiated.agreed().map(|agreed| agreed.deflater(role));
        Self::new(config, negotiated, role, Sender::client(seed, deflater), now)
    }

    /// The server's side of a connection whose handshake ended `now`.
    #[must_use]
    pub fn server(config: Config, negotiated: Negotiated, now: Instant) -> Self {
        let role = Role::Server;
        let deflater = negotiated.agreed().map(|agreed| agreed.deflater(role));
        Self::new(config, negotiated, role, Sender::server(deflater), now)
    }

    fn new(
        mut config: Config,
        negotiated: Negotiated,
        role: Role,
        sender: Sender,
        now: Instant,
    ) -> Self {
        for timeout in [&mut config.idle_timeout, &mut config.write_timeout] {
            *timeout = timeout.filter(|timeout| !timeout.is_zero());
        }
        // With zero there would be no room for a pong either.
        config.send_high_water = config.send_high_water.max(1);
        config.send_low_water = config.send_low_water.min(config.send_high_water.saturating_sub(1));
        let peer = if role == Role::Client { Role::Server } else { Role::Client };
        let leniency = config.leniency;
        let rules = Rules {
            sender: peer,
            reserved: negotiated.reserved_bits(),
            any_mask: match peer {
                Role::Client => leniency.unmasked_client,
                Role::Server => leniency.masked_server,
            },
            any_length: leniency.length_not_minimal,
        };
        let keepalive = Keepalive::new(config.ping_interval, config.pong_timeout);
        let inflater = negotiated.agreed().map(|agreed| agreed.inflater(role));
        let mut timers = Timers::new();
        keepalive.start(now, &mut timers);
        timers.set_after(Timer::Idle, now, config.idle_timeout);
        let span = trace::span!("tidewire::ws", "websocket", ?role);
        trace::event!("tidewire::ws", DEBUG, in span, ?negotiated, "open");
        Self {
            role,
            rules,
            negotiated,
            state: State::Open,
            told: false,
            stage: Stage::Empty,
            lease: Lease::Closed,
            quiet: false,
            began: 0,
            frame: 0,
            assembler: Assembler::new(config.delivery, config.max_message, inflater),
            sender,
            received: Counter::default(),
            keepalive,
            timers,
            offset: 0,
            left: 0,
            heard: now,
            waits: false,
            progress: 0,
            stalled_since: now,
            full: false,
            pong: None,
            closes_behind: false,
            span,
            config,
        }
    }

    // Queries.

    /// Whether messages can be sent: the closing handshake has not begun.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// How the connection ended, once it has; [`Event::Closed`] may not have been lent yet.
    #[must_use]
    pub const fn closed(&self) -> Option<Closed> {
        if let State::Over(why) = self.state { Some(why) } else { None }
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

    /// How long the latest ping of [`Config::ping_interval`] that was answered took to come back:
    /// from when it was last seen to wait in the [`SendBuf`] to the [`advance`](Self::advance) that was
    /// given its pong. `None` before the first.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// What was sent and received so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            received: self.received.traffic(),
            sent: self.sender.sent(),
            round_trip: self.round_trip(),
            reconnects: 0,
        }
    }

    /// How many bytes of heap the connection holds beside its buffers: what compression needs.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.sender.heap_size() + self.assembler.heap_size()
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
    /// answering or taking: what still waits could not be written.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self.state {
            State::Open | State::Closing | State::Finishing(_) => Transport::Open,
            State::Over(Closed::PongTimeout | Closed::WriteTimeout | Closed::CloseTimeout) => {
                Transport::Down
            }
            State::Over(_) => Transport::Close,
        }
    }

    // Commands that are not messages; those are in `send.rs`.

    /// Begins the closing handshake. Messages from the peer are delivered until its Close arrives;
    /// then, or at the latest after [`Config::close_timeout`], comes [`Event::Closed`].
    ///
    /// [`CloseCode::NO_STATUS`] with an empty reason sends a Close frame without a payload. Closing
    /// a connection that is closing or over changes nothing. A message that was begun and not ended
    /// is void.
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
            trace::event!("tidewire::ws", DEBUG, in self.span, %code, "closing");
            let behind = !tx.is_empty();
            self.sender.control(OpCode::Close, payload.bytes(), tx);
            self.state = State::Closing;
            self.begin_closing(behind, now, tx);
        }
        Ok(())
    }

    /// Gives memory back that is only needed while messages are compressed or inflated: all of it,
    /// but for the window into which the peer's next message may reach back. For a connection that
    /// has been idle for a while; the next message takes a little longer, and what is sent then is
    /// compressed as if it were the first.
    pub fn shrink(&mut self) {
        self.sender.shrink();
        self.assembler.shrink();
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
    #[inline(always)]
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if self.quiet && self.stage != Stage::Announced && !rx.is_finished() {
            if !tx.is_written() || self.waits {
                self.watch(now, tx);
            }
            if let Some(announced) = self.advance_plain(now, rx) {
                return announced;
            }
        }
        self.advance_any(now, rx, tx)
    }

    /// The next message, if it came with the last one and is plain; see [`Machine::advance_again`].
    #[inline]
    pub fn advance_again(&mut self, rx: &mut RecvBuf) -> bool {
        // Nothing is heard that was not heard before.
        let now = self.heard;
        self.quiet
            && self.stage != Stage::Announced
            && !rx.is_finished()
            && rx.raw_len() <= self.left
            && self.advance_plain(now, rx) == Some(true)
    }

    /// [`advance`](Self::advance) in any state.
    #[inline(never)]
    fn advance_any(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if self.stage == Stage::Announced {
            self.wait(now, rx, tx);
            return true;
        }
        if rx.raw_len() > self.left {
            self.hear(now);
        }
        if self.stage == Stage::Lent {
            self.stage = Stage::Empty;
            self.release(rx);
        }
        self.watch(now, tx);
        let announced = self.decide(now, rx, tx);
        self.left = rx.raw_len();
        self.quiet = matches!(self.state, State::Open)
            && self.assembler.is_waiting()
            && !self.full
            && self.pong.is_none()
            && !self.keepalive.is_waiting();
        announced
    }

    /// An event waits to be taken. Whoever only waits for output to leave takes none, and deadlines
    /// hold all the same.
    #[cold]
    pub(super) fn wait(&mut self, now: Instant, rx: &RecvBuf, tx: &SendBuf) {
        if rx.raw_len() > self.left {
            self.left = rx.raw_len();
            self.hear(now);
        }
        self.watch(now, tx);
    }

    /// Lends the announced event; see [`Machine::event`].
    #[inline]
    pub fn event<'a>(
        &mut self,
        _now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<Event<'a>> {
        if self.stage != Stage::Announced {
            return None;
        }
        self.stage = Stage::Lent;
        // The most frequent first.
        if let Lease::Message(MessageKind::Binary, Area::Content) = self.lease {
            return Some(Event::Binary(rx.content()));
        }
        Some(match self.lease {
            Lease::Message(MessageKind::Binary, area) => Event::Binary(area.of(rx)),
            Lease::Message(MessageKind::Text, area) => match utf8::validate(area.of(rx)) {
                Ok(text) => Event::Text(text),
                Err(_) => self.fail_late(area, rx, tx),
            },
            Lease::Start(kind, length) => Event::MessageStart { kind, length },
            Lease::Chunk(area, len) => Event::Chunk(&area.of(rx)[..len]),
            Lease::End => Event::MessageEnd,
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

    /// The bytes of the message or piece of a message that was lent last, once more; empty if that was
    /// another event, or [`advance`](Self::advance) has released it. For callers that look at an event
    /// in one place and hand its bytes out in another.
    #[must_use]
    pub fn lent<'a>(&self, rx: &'a RecvBuf) -> &'a [u8] {
        match self.lease {
            Lease::Message(_, area) if self.stage == Stage::Lent => area.of(rx),
            Lease::Chunk(area, len) if self.stage == Stage::Lent => &area.of(rx)[..len],
            _ => &[],
        }
    }

    /// Drops the bytes of the event that was lent.
    fn release(&mut self, rx: &mut RecvBuf) {
        match self.lease {
            Lease::Message(_, Area::Content) => rx.consume_content(),
            Lease::Message(_, Area::Inflated) => rx.consume_inflated(rx.inflated().len()),
            Lease::Chunk(area, len) => area.consume(len, rx),
            Lease::Ping(len) | Lease::Pong(len) => self.skip(len, rx),
            Lease::Start(..) | Lease::End | Lease::Drained | Lease::Closed => {}
        }
    }

    #[inline]
    fn announce(&mut self, lease: Lease) {
        self.stage = Stage::Announced;
        self.lease = lease;
    }

    /// The text that was to be lent is none.
    #[cold]
    fn fail_late<'a>(&mut self, area: Area, rx: &RecvBuf, tx: &mut SendBuf) -> Event<'a> {
        let at = match area {
            Area::Content => self.began + close::bad_byte(rx.content()) as u64,
            Area::Inflated => self.frame,
        };
        let why = self.fail(ProtocolErrorKind::InvalidUtf8, at, tx);
        self.told = true;
        self.lease = Lease::Closed;
        Event::Closed { why, reason: "" }
    }

    /// Fails the connection (7.1.7): the peer is told why and not listened to any more.
    #[cold]
    fn fail(&mut self, kind: ProtocolErrorKind, offset: u64, tx: &mut SendBuf) -> Closed {
        let error = ProtocolError { kind, offset };
        self.last_words(error.close_code(), tx);
        let why = Closed::Protocol(error);
        self.end(why);
        why
    }

    /// Queues a Close frame that no answer is waited for, unless there was one before.
    fn last_words(&mut self, code: CloseCode, tx: &mut SendBuf) {
        if matches!(self.state, State::Open) {
            self.sender.control(OpCode::Close, &code.get().to_be_bytes(), tx);
        }
    }

    /// The connection is over. An event that is announced or lent comes before the one for this.
    fn end(&mut self, why: Closed) {
        trace::event!("tidewire::ws", DEBUG, in self.span, %why, "closed");
        self.state = State::Over(why);
        self.timers.stop_all();
        self.quiet = false;
        self.full = false;
        self.pong = None;
    }
}

crate::machine::machine!(Connection, Event, shrink, advance_again);
