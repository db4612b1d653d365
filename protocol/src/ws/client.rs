//! The client that reconnects: dialling, opening handshake, connection, and again, as one machine.
//!
//! ```text
//!               connected            101             Open lent
//!   Down: Dial -----------> Opening ------> Accepted ---------> Open
//!     ^     | dial_failed      | refused                          | ended
//!     |     v                  v                                  v
//!     |   Error              Error ------------------------->  Closed
//!     +------- reconnect(), or the policy ----------------------- Down
//! ```
//!
//! When an attempt comes and whether it is announced is in `attempts.rs`, what was sent in the meantime in
//! `client/queue.rs`: it leaves on the way from Accepted to Open.

mod queue;
mod send;

pub use self::queue::Backlog;
use self::queue::Queue;
use super::close::{self, CloseCode};
use super::error::Misuse;
use super::handshake::{ClientHandshake, HandshakeEvent, Request};
use super::{ClientClosed, ClientConfig, ClientError, ClientEvent, ClientTimer, Stats, Status};
use super::{Connection, Event};
use crate::attempts::Attempts;
use crate::reconnect::Attempt;
use crate::seed::Entropy;
use crate::trace::{self, Span};
use crate::url::Url;
use crate::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};
#[cfg(doc)]
use crate::{Dialer, Machine, ws::WhileDown};
use alloc::boxed::Box;
use core::time::Duration;

/// A WebSocket client, as a [`Machine`] and [`Dialer`]: it asks for a transport, makes the opening
/// handshake, is a [`Connection`], and can do it all again.
///
/// Whatever the attempt, `Request`, configuration and what was sent but had no connection to leave
/// by are kept; what was half received is not.
///
/// ```
/// use core::time::Duration;
/// use tidewire::ws::{Client, ClientConfig, ClientEvent, handshake::Request};
/// use tidewire::{Dialer, DialError, Instant, RecvBuf, Seed, SendBuf, Transport};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
/// let request = Request::new("ws://127.0.0.1:1234")?;
/// let seed = Seed::new([7; 32]); // from the operating system
/// let mut client = Client::new(request, ClientConfig::default(), &seed, now);
/// client.send_text("hello", &mut tx).unwrap(); // leaves once the handshake is done
///
/// assert_eq!(client.transport(), Transport::Dial);
/// client.dial_failed(now, DialError::Connect); // or `connected`
/// while let Some(event) = client.poll_event(now, &mut rx, &mut tx) {
///     match event {
///         ClientEvent::Error(error) => println!("{error}"),
///         ClientEvent::Closed { .. } => {
///             client.reconnect(Duration::from_secs(1), now);
///         }
///         _ => {}
///     }
/// }
/// assert_eq!(client.poll_timeout(), Some(now + Duration::from_secs(1)));
/// # Ok::<(), tidewire::ws::handshake::RequestError>(())
/// ```
#[derive(Debug)]
pub struct Client {
    request: Request,
    config: ClientConfig,
    entropy: Entropy,
    phase: Phase,
    slot: Slot,
    attempts: Attempts,
    /// The caller has closed: the policy is out of force until [`Client::reconnect`].
    stopped: bool,
    queue: Queue,
    /// What all connections came to that are over.
    past: Stats,
    /// How many connections were opened.
    opened: u64,
    span: Span,
}

#[derive(Debug)]
enum Phase {
    /// There is no connection; what the [`Attempts`] have scheduled comes next, after these.
    Down {
        error: Option<DialError>,
        closed: Option<ClientClosed>,
    },
    Opening {
        handshake: Box<ClientHandshake>,
        told: bool,
    },
    /// The refusal is announced or lent.
    Refused(Box<ClientHandshake>),
    /// [`ClientEvent::Open`] is announced or lent.
    Accepted(Box<ClientHandshake>, Connection),
    Open(Connection),
}

/// The event between its announcement and its release.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Empty,
    Announced(Pending),
    /// An end may be that of a connection, which has announced it by itself.
    Lent(Pending),
}

impl Slot {
    const fn tells_end(self) -> bool {
        matches!(self, Self::Announced(Pending::Closed(_)) | Self::Lent(Pending::Closed(_)))
    }
}

#[derive(Clone, Copy, Debug)]
enum Pending {
    Attempt,
    Connected,
    Open,
    Dropped(u64),
    DialFailed(DialError),
    Refused,
    Closed(ClientClosed),
    /// What the connection has announced.
    Inner,
}

impl Client {
    /// A client whose first attempt is due now. `seed` must not be used twice.
    #[must_use]
    pub fn new(request: Request, config: ClientConfig, seed: &Seed, now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let span = trace::span!("tidewire::ws", "client", url = %trace::Public(request.url()));
        let mut client = Self {
            attempts: Attempts::new(
                config.reconnect,
                config.announce,
                config.connect_timeout,
                &entropy.fork(),
            ),
            request,
            config,
            phase: Phase::Down { error: None, closed: None },
            slot: Slot::Empty,
            entropy,
            stopped: false,
            queue: Queue::default(),
            past: Stats::default(),
            opened: 0,
            span,
        };
        client.attempts.schedule(Duration::ZERO, now);
        client
    }

    // Commands that are not messages; those are in `send.rs`.

    /// Closes: an open connection with a closing handshake, an attempt under way at once. What is
    /// scheduled is cancelled, what was kept to be sent is dropped, and the policy does nothing until
    /// [`reconnect`](Self::reconnect) is called.
    ///
    /// An attempt under way, or a connection, ends with [`ClientEvent::Closed`] as always.
    ///
    /// # Errors
    /// As [`Connection::close`]. Nothing was done.
    pub fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        close::Payload::new(code, reason)?;
        // What was sent before it leaves before it.
        self.flush(tx);
        match &mut self.phase {
            Phase::Open(connection) | Phase::Accepted(_, connection) => {
                connection.close(code, reason, now, tx)?;
                self.stop();
            }
            _ => self.cancel(),
        }
        Ok(())
    }

    /// Gives everything up at once: as [`close`](Self::close), but without a closing handshake. The
    /// transport is to be dropped.
    pub fn cancel(&mut self) {
        let attempting = match self.phase {
            // Its end is being told already.
            Phase::Refused(_) | Phase::Down { closed: Some(_), .. } => false,
            // An attempt that follows an end without a wait begins when that has been told.
            Phase::Down { .. } => self.attempts.is_due() && !self.slot.tells_end(),
            Phase::Opening { .. } | Phase::Accepted(..) | Phase::Open(_) => true,
        };
        self.stop();
        if attempting {
            self.past = self.stats();
            self.phase = Phase::Down { error: None, closed: Some(ClientClosed::Cancelled) };
            if matches!(self.slot, Slot::Announced(_)) {
                self.slot = Slot::Empty;
            }
        }
    }

    /// Makes the next attempt `after` from `now`, to the nanosecond, whatever the policy says; zero
    /// means at once. It replaces an attempt that is scheduled or waits for its transport, so that
    /// two calls make one attempt.
    ///
    /// Does nothing, and returns `false`, while there is a connection or an opening handshake.
    pub fn reconnect(&mut self, after: Duration, now: Instant) -> bool {
        let down = matches!(self.phase, Phase::Down { .. } | Phase::Refused(_));
        if down {
            self.stopped = false;
            self.attempts.schedule(after, now);
            if matches!(self.slot, Slot::Announced(Pending::Attempt)) && !self.attempts.is_due() {
                // It is not to come now.
                self.slot = Slot::Empty;
            }
        }
        down
    }

    /// The request, to change it for the attempts to come.
    pub const fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    // Queries.

    /// What the client is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.phase {
            Phase::Opening { .. } => Status::Opening,
            Phase::Accepted(_, connection) | Phase::Open(connection) => {
                if connection.is_open() {
                    Status::Open
                } else {
                    Status::Closing
                }
            }
            Phase::Down { .. } | Phase::Refused(_) => match self.attempts.reconnector.attempt() {
                Attempt::Due => Status::Connecting,
                Attempt::Waiting(until) => Status::Waiting { until },
                Attempt::Idle => Status::Idle,
            },
        }
    }

    /// The open connection, to ask it what it knows.
    #[must_use]
    pub const fn connection(&self) -> Option<&Connection> {
        match &self.phase {
            Phase::Accepted(_, connection) | Phase::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// What was sent and received so far, on all connections together. The round trip is that of the
    /// connection that is open.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.past;
        if let Some(connection) = self.connection() {
            stats.absorb(connection.stats());
        }
        Stats {
            round_trip: self.connection().and_then(Connection::round_trip),
            reconnects: self.opened.saturating_sub(1),
            ..stats
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// What was sent and waits for a connection: see [`WhileDown`].
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.queue.backlog()
    }

    /// The request that each attempt makes.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// How many attempts have become due. A transport that was asked for at another count is not
    /// wanted any more.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.attempts.reconnector.count()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timer().map(|(at, _)| at)
    }

    /// The same, with the reason.
    #[must_use]
    pub fn next_timer(&self) -> Option<(Instant, ClientTimer)> {
        let own = match &self.phase {
            Phase::Down { .. } => None,
            Phase::Opening { handshake, .. } | Phase::Refused(handshake) => {
                handshake.poll_timeout().map(|at| (at, ClientTimer::Handshake))
            }
            Phase::Accepted(_, connection) | Phase::Open(connection) => {
                connection.next_timer().map(|(at, timer)| (at, ClientTimer::Connection(timer)))
            }
        };
        let next = self.attempts.next_timer(ClientTimer::Reconnect, ClientTimer::Connect);
        own.into_iter().chain(next).min_by_key(|&(at, _)| at)
    }

    /// See [`Machine::transport`]. What waits to be sent when a connection has ended is lost with its
    /// transport, unless it was written before: write first, then look here.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match &self.phase {
            Phase::Opening { .. } | Phase::Accepted(..) => Transport::Open,
            Phase::Open(connection) => connection.transport(),
            Phase::Refused(_) => Transport::Down,
            Phase::Down { error, closed } => {
                let telling =
                    error.is_some() || closed.is_some() || matches!(self.slot, Slot::Announced(_));
                if !telling && self.attempts.may_dial() { Transport::Dial } else { Transport::Down }
            }
        }
    }

    /// See [`Connection::shrink`].
    pub fn shrink(&mut self) {
        if let Some(connection) = self.connection_mut() {
            connection.shrink();
        }
    }

    // Inputs and events.

    /// See [`Dialer::target`].
    #[must_use]
    pub const fn target(&self) -> &Url {
        self.request.url()
    }

    /// See [`Dialer::connected`]. Ignored when no transport was asked for.
    pub fn connected(&mut self, now: Instant, tx: &mut SendBuf) {
        if self.transport() == Transport::Dial {
            self.attempts.stop();
            tx.clear();
            let (config, seed) = (self.config.handshake, self.entropy.fork());
            trace::event!(
                "tidewire::ws", DEBUG, in self.span,
                attempt = self.attempts(), "connected"
            );
            let begin = || ClientHandshake::new(&self.request, config, &seed, now, tx);
            let handshake = self.span.within(begin);
            self.phase = Phase::Opening { handshake: Box::new(handshake), told: false };
        }
    }

    /// See [`Dialer::dial_failed`]. Ignored when no transport was asked for.
    pub fn dial_failed(&mut self, now: Instant, why: DialError) {
        if self.transport() == Transport::Dial {
            let closed = Some(ClientClosed::Failed);
            self.phase = Phase::Down { error: Some(why), closed };
            if why == DialError::NoTls {
                self.attempts.end(now);
            } else {
                self.ended(now);
            }
            trace::event!(
                "tidewire::ws", DEBUG, in self.span,
                %why, again = ?self.again(now), "not connected"
            );
        }
    }

    /// [`advance`](Self::advance), then [`event`](Self::event): the next event, if there is one.
    pub fn poll_event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<ClientEvent<'a>> {
        if self.advance(now, rx, tx) { self.event(now, rx, tx) } else { None }
    }

    /// See [`Machine::advance`].
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if matches!(self.slot, Slot::Announced(_)) {
            if let Some(connection) = self.connection_mut() {
                connection.wait(now, rx, tx);
            }
            return true;
        }
        self.slot = self.next(now, rx, tx).map_or(Slot::Empty, Slot::Announced);
        matches!(self.slot, Slot::Announced(_))
    }

    /// See [`Machine::advance_again`] and [`Connection::advance_again`].
    #[inline]
    pub fn advance_again(&mut self, rx: &mut RecvBuf) -> bool {
        let Phase::Open(connection) = &mut self.phase else { return false };
        let again = !matches!(self.slot, Slot::Announced(_)) && connection.advance_again(rx);
        if again {
            self.slot = Slot::Announced(Pending::Inner);
        }
        again
    }

    /// See [`Machine::event`].
    pub fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<ClientEvent<'a>> {
        let Slot::Announced(pending) = self.slot else { return None };
        self.slot = Slot::Lent(pending);
        Some(match (pending, &mut self.phase) {
            (Pending::Attempt, _) => ClientEvent::Attempt,
            (Pending::Dropped(messages), _) => ClientEvent::Dropped { messages },
            (Pending::Connected, _) => ClientEvent::Connected,
            (Pending::DialFailed(why), _) => ClientEvent::Error(ClientError::Dial(why)),
            (Pending::Closed(why), _) => ClientEvent::Closed { why, reason: "" },
            (Pending::Open, Phase::Accepted(handshake, _)) => {
                match handshake.event(now, rx, tx)? {
                    HandshakeEvent::Accepted { head, .. } => ClientEvent::Open(head),
                    HandshakeEvent::Refused { .. } => return None,
                }
            }
            (Pending::Refused, Phase::Refused(handshake)) => match handshake.event(now, rx, tx)? {
                HandshakeEvent::Refused { why, head, body } => {
                    trace::event!(
                        "tidewire::ws", DEBUG, in self.span,
                        %why, again = ?self.again(now), "refused"
                    );
                    ClientEvent::Error(ClientError::Handshake { why, head, body })
                }
                HandshakeEvent::Accepted { .. } => return None,
            },
            (Pending::Inner, Phase::Open(connection)) => match connection.event(now, rx, tx)? {
                Event::Text(text) => ClientEvent::Text(text),
                Event::Binary(bytes) => ClientEvent::Binary(bytes),
                Event::MessageStart { kind, length } => ClientEvent::MessageStart { kind, length },
                Event::Chunk(bytes) => ClientEvent::Chunk(bytes),
                Event::MessageEnd => ClientEvent::MessageEnd,
                Event::Ping(payload) => ClientEvent::Ping(payload),
                Event::Pong(payload) => ClientEvent::Pong(payload),
                Event::Drained => ClientEvent::Drained,
                Event::Closed { why, reason } => {
                    self.past.absorb(connection.stats());
                    self.phase = Phase::Down { error: None, closed: None };
                    self.slot = Slot::Lent(Pending::Closed(ClientClosed::Ended(why)));
                    self.ended(now);
                    trace::event!(
                        "tidewire::ws", DEBUG, in self.span,
                        %why, again = ?self.again(now), "disconnected"
                    );
                    ClientEvent::Closed { why: ClientClosed::Ended(why), reason }
                }
            },
            _ => return None,
        })
    }

    /// See [`Machine::handle_timeout`] and [`Connection::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        match &mut self.phase {
            Phase::Opening { handshake, .. } => handshake.handle_timeout(now, tx),
            Phase::Accepted(_, connection) | Phase::Open(connection) => {
                connection.handle_timeout(now, tx);
            }
            Phase::Down { .. } | Phase::Refused(_) => {}
        }
        if self.attempts.handle_timeout(now) {
            self.dial_failed(now, DialError::Timeout);
        }
    }

    /// Goes on to the next event.
    fn next(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> Option<Pending> {
        loop {
            match &mut self.phase {
                Phase::Down { error, closed } => {
                    if let Some(why) = error.take() {
                        return Some(Pending::DialFailed(why));
                    }
                    if let Some(why) = closed.take() {
                        return Some(Pending::Closed(why));
                    }
                    // Nothing of a connection that is over reaches the next one.
                    rx.clear();
                    if matches!(self.slot, Slot::Lent(_)) {
                        // All is told: only now a transport is asked for.
                        self.attempts.ask(now);
                    }
                    return self.attempts.poll(now).then_some(Pending::Attempt);
                }
                Phase::Opening { told, .. } if !*told => {
                    *told = true;
                    return Some(Pending::Connected);
                }
                Phase::Opening { handshake, .. } => {
                    if !handshake.advance(now, rx, tx) {
                        return None;
                    }
                    return Some(self.opened(now));
                }
                Phase::Refused(_) => {
                    self.phase = Phase::Down { error: None, closed: Some(ClientClosed::Failed) };
                }
                Phase::Accepted(handshake, _) => {
                    // Releases the head: what is left is for the connection.
                    handshake.advance(now, rx, tx);
                    self.flush(tx);
                    if let Phase::Accepted(_, connection) = self.replace_phase() {
                        self.phase = Phase::Open(connection);
                    }
                    if let Some(messages) = self.queue.untold() {
                        return Some(Pending::Dropped(messages));
                    }
                }
                Phase::Open(connection) => {
                    return connection.advance(now, rx, tx).then_some(Pending::Inner);
                }
            }
        }
    }

    /// The opening handshake has come to its end.
    fn opened(&mut self, now: Instant) -> Pending {
        let Phase::Opening { handshake, .. } = self.replace_phase() else {
            return Pending::Closed(ClientClosed::Failed);
        };
        let Some(negotiated) = handshake.accepted() else {
            self.phase = Phase::Refused(handshake);
            self.ended(now);
            return Pending::Refused;
        };
        let seed = self.entropy.fork();
        let config = self.config.connection;
        let open = || Connection::client(config, negotiated, &seed, now);
        let connection = self.span.within(open);
        self.attempts.reconnector.opened(now);
        self.opened += 1;
        self.phase = Phase::Accepted(handshake, connection);
        Pending::Open
    }

    /// How long until the next attempt; `None` if there will be none.
    #[cfg(feature = "tracing")]
    fn again(&self, now: Instant) -> Option<Duration> {
        match self.status() {
            Status::Connecting => Some(Duration::ZERO),
            Status::Waiting { until } => Some(until.saturating_since(now)),
            _ => None,
        }
    }

    /// A connection or an attempt has ended: the policy decides what comes next.
    fn ended(&mut self, now: Instant) {
        if self.stopped {
            self.attempts.end(now);
        } else {
            self.attempts.closed(Duration::ZERO, now);
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.attempts.stop();
        self.queue.clear();
    }

    fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.phase {
            Phase::Accepted(_, connection) | Phase::Open(connection) => Some(connection),
            _ => None,
        }
    }

    fn replace_phase(&mut self) -> Phase {
        core::mem::replace(&mut self.phase, Phase::Down { error: None, closed: None })
    }
}

crate::machine::dialer!(Client, ClientEvent, shrink, advance_again);
