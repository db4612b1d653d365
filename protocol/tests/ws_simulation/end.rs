//! One end of a connection, what it is owed, and what must hold for it at any time.

use super::link::{Chance, Wire};
use core::time::Duration;
use std::collections::VecDeque;
use std::fmt;
use tidewire::ws::{CloseCode, Closed, Config, Connection, Event, MessageKind, Role, SendError};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

pub(crate) const MAX_MESSAGE: usize = 4000;
/// A message and the control frames in its midst.
const BUFFER: usize = MAX_MESSAGE + 139;
/// The largest frame of a message, and the control frames that may go above the high-water mark: an
/// answered ping, our own ping, a Close.
const ABOVE: usize = MAX_MESSAGE + 14 + 3 * 131;

/// What compression may hold in both directions, with the largest windows.
const DEFLATE: usize = 512 << 10;

/// The generator of a client's masking keys.
const KEYS: usize = 512;

/// How the pings begin that are sent by command.
const OURS: &[u8] = b"our ping ";

type Message = (MessageKind, Vec<u8>);

pub(crate) struct End {
    pub(crate) conn: Connection,
    pub(crate) config: Config,
    pub(crate) rx: RecvBuf,
    pub(crate) tx: SendBuf,
    /// The messages that the other end has sent and this one has not got.
    due: VecDeque<Message>,
    /// The message that arrives in pieces.
    partial: Option<Message>,
    /// The message that is being sent in pieces.
    unfinished: Option<Message>,
    /// Pings without an answer and when they were sent. What one of keepalive carries is known when
    /// it arrives.
    pub(crate) pings: VecDeque<(Option<Vec<u8>>, Instant)>,
    /// When a byte arrived the last time.
    pub(crate) heard: Instant,
    /// Whether the link left something, and when it took a byte the last time or nothing waited.
    waits: bool,
    left: Instant,
    /// When it took a byte the last time.
    left_some: Instant,
    /// When there was no room to send at once the last time.
    pub(crate) crowded: Option<Instant>,
    full: bool,
    /// When this end first was no longer open.
    pub(crate) closing: Option<Instant>,
    pub(crate) sent_close: Option<(CloseCode, String)>,
    pub(crate) closed: Option<(Closed, String)>,
    /// The transport is closed on this side.
    pub(crate) gone: bool,
    /// The latest round trip of keepalive, if nothing was in its way.
    pub(crate) measured: Option<Duration>,
    serial: u64,
    pub(crate) log: Vec<String>,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = &self.log[self.log.len().saturating_sub(12)..];
        write!(f, "{:#?}, {} bytes wait, {:?}, {log:#?}", self.conn, self.tx.len(), self.closed)
    }
}

impl End {
    pub(crate) fn new(conn: Connection, config: Config) -> Self {
        Self {
            conn,
            config,
            rx: RecvBuf::with_limit(BUFFER),
            tx: SendBuf::new(),
            due: VecDeque::new(),
            partial: None,
            unfinished: None,
            pings: VecDeque::new(),
            heard: Instant::EPOCH,
            waits: false,
            left: Instant::EPOCH,
            left_some: Instant::EPOCH,
            crowded: None,
            full: false,
            closing: None,
            sent_close: None,
            closed: None,
            gone: false,
            measured: None,
            serial: 0,
            log: Vec::new(),
        }
    }

    /// Takes one event. Returns whether there was one.
    pub(crate) fn take(&mut self, other: &mut Self, now: Instant, chance: &mut Chance) -> bool {
        if chance.one_in(4) {
            let announced = self.conn.advance(now, &mut self.rx, &mut self.tx);
            assert_eq!(self.conn.advance(now, &mut self.rx, &mut self.tx), announced);
        }
        let Some(event) = self.conn.poll_event(now, &mut self.rx, &mut self.tx) else {
            self.note(now);
            return false;
        };
        assert_eq!(self.closed, None, "{event:?} behind the last event");
        self.log.push(format!("{now:?} {}", summary(&event)));
        match event {
            Event::Text(text) => {
                let due = self.due.pop_front();
                assert_eq!(due, Some((MessageKind::Text, text.as_bytes().to_vec())));
            }
            Event::Binary(bytes) => {
                assert_eq!(self.due.pop_front(), Some((MessageKind::Binary, bytes.to_vec())));
            }
            Event::MessageStart { kind, .. } => {
                assert_eq!(self.partial, None, "a message begins in another");
                self.partial = Some((kind, Vec::new()));
            }
            Event::Chunk(bytes) => {
                let (kind, so_far) = self.partial.as_mut().expect("a message that has begun");
                assert!(!bytes.is_empty());
                assert!(*kind == MessageKind::Binary || core::str::from_utf8(bytes).is_ok());
                so_far.extend_from_slice(bytes);
            }
            Event::MessageEnd => {
                assert!(self.partial.is_some() && self.due.pop_front() == self.partial.take());
            }
            Event::Ping(payload) if payload.starts_with(OURS) => {}
            Event::Ping(payload) => {
                let ping = other.pings.iter_mut().find(|(carries, _)| carries.is_none());
                ping.expect("a ping that was sent").0 = Some(payload.to_vec());
            }
            Event::Pong(b"unasked") => {}
            Event::Pong(payload) => {
                // Of several pings that wait only the latest is answered.
                let ping = |(carries, _): &_| *carries == Some(payload.to_vec());
                let at = self.pings.iter().position(ping).expect("a ping that was sent");
                let (_, sent) = self.pings[at];
                let latest = self.pings.range(at + 1..).all(|(carries, _)| is_ours(carries));
                let measures = !payload.starts_with(OURS) && latest && self.closing.is_none();
                if measures && self.crowded < Some(sent) {
                    let lasted = now.saturating_since(sent);
                    assert_eq!(self.conn.round_trip(), Some(lasted));
                    self.measured = Some(lasted).filter(|_| other.crowded < Some(sent));
                }
                self.pings.drain(..=at);
            }
            Event::Drained => {
                assert!(self.full && self.tx.len() <= self.config.send_low_water);
                self.full = false;
            }
            Event::Closed { why, reason } => {
                if why.is_clean() {
                    assert!(self.due.is_empty(), "a message is lost, and the end is called clean");
                    assert!(other.closing.is_some(), "a Close that nobody sent");
                }
                self.closed = Some((why, reason.to_owned()));
            }
        }
        self.note(now);
        true
    }

    fn note(&mut self, now: Instant) {
        if !self.conn.is_open() && self.closing.is_none() {
            self.closing = Some(now);
        }
        if self.tx.len() >= self.config.send_high_water {
            self.crowded = Some(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let (open, waits) = (self.conn.is_open(), self.tx.len());
        self.conn.handle_timeout(now, &mut self.tx);
        if open && self.conn.is_open() && self.tx.len() > waits {
            self.pings.push_back((None, now));
        }
        let next = self.conn.poll_timeout();
        assert!(next.is_none_or(|at| at > now), "a deadline stays: {next:?}");
        self.note(now);
    }

    /// What waits goes on its way, and the transport becomes what the connection wants of it.
    pub(crate) fn leave(&mut self, now: Instant, to: &mut Wire, chance: &mut Chance) -> bool {
        if self.conn.transport() == Transport::Down {
            self.tx.clear();
        }
        let waited = self.waits;
        let carried = to.carry(&mut self.tx, now, chance);
        self.waits = !self.tx.is_empty();
        if carried || !waited {
            self.left = now;
        }
        if carried {
            self.left_some = now;
        }
        if waited || self.waits {
            self.crowded = Some(now);
        }
        if self.conn.transport() != Transport::Open && self.tx.is_empty() && !self.gone {
            self.gone = true;
            to.end(now, chance);
        }
        carried
    }

    // Commands.

    pub(crate) fn command(&mut self, other: &mut Self, now: Instant, chance: &mut Chance) {
        match chance.below(16) {
            0..=4 => {
                for _ in 0..chance.magnitude(8) {
                    self.send(other, chance);
                }
            }
            5 | 12 | 13 => {
                for _ in 0..chance.magnitude(8) {
                    self.send_piece(other, chance);
                }
            }
            14 => self.conn.shrink(),
            6 | 7 => self.ping(now, chance),
            8 => {
                let (open, waits) = (self.conn.is_open(), self.tx.len());
                let sent = self.conn.send_pong(b"unasked", &mut self.tx);
                self.took(open, waits, sent);
            }
            9 => self.rx.shrink(),
            10 => self.tx.shrink(),
            _ if chance.one_in(50) => {
                let code = chance.pick(&[1000, 1001, 1005, 3000, 4999]);
                let reason = if code == 1005 { "" } else { "enough" };
                self.close(CloseCode::new(code), reason, now);
            }
            _ => {}
        }
        self.note(now);
        assert!(self.tx.len() <= self.config.send_high_water + ABOVE);
    }

    fn send(&mut self, other: &mut Self, chance: &mut Chance) {
        self.serial += 1;
        let len = chance.magnitude(MAX_MESSAGE as u64 + 1) as usize - 1;
        let payload: Vec<u8> = format!("{} ä€𝄞 ", self.serial).bytes().cycle().take(len).collect();
        let (open, waits) = (self.conn.is_open(), self.tx.len());
        let (kind, sent) = match core::str::from_utf8(&payload) {
            Ok(text) => (MessageKind::Text, self.conn.send_text(text, &mut self.tx)),
            Err(_) => (MessageKind::Binary, self.conn.send_binary(&payload, &mut self.tx)),
        };
        if self.took(open, waits, sent) {
            other.due.push_back((kind, payload));
        }
    }

    /// Begins a message, or sends the next piece of one, or its last.
    fn send_piece(&mut self, other: &mut Self, chance: &mut Chance) {
        let (open, waits) = (self.conn.is_open(), self.tx.len());
        let Some((kind, so_far)) = &self.unfinished else {
            let kind = chance.pick(&[MessageKind::Text, MessageKind::Binary]);
            let started = self.conn.start_message(kind);
            assert_eq!(started, if open { Ok(()) } else { Err(SendError::Closing) });
            self.unfinished = started.is_ok().then(|| (kind, Vec::new()));
            return;
        };
        let (kind, from) = (*kind, so_far.len());
        let ends = chance.one_in(4) || from > MAX_MESSAGE / 2;
        let letters = "a\u{e4}\u{20ac}\u{1d11e}".as_bytes();
        let to = from + chance.magnitude(1000) as usize;
        // A text may be cut anywhere, and does not end within a character.
        let to = if ends { to.next_multiple_of(letters.len()) } else { to };
        let piece: Vec<u8> = (from..to).map(|at| letters[at % letters.len()]).collect();
        let whole = [&so_far[..], &piece].concat();
        let sent = if ends {
            self.conn.end_message(&piece, &mut self.tx)
        } else {
            self.conn.send_chunk(&piece, &mut self.tx)
        };
        if self.took(open, waits, sent) {
            if ends {
                self.unfinished = None;
                other.due.push_back((kind, whole));
            } else {
                self.unfinished = Some((kind, whole));
            }
        }
    }

    fn ping(&mut self, now: Instant, chance: &mut Chance) {
        self.serial += 1;
        let mut payload = [OURS, self.serial.to_string().as_bytes()].concat();
        payload.resize(payload.len() + chance.below(100) as usize, b'.');
        let (open, waits) = (self.conn.is_open(), self.tx.len());
        let sent = self.conn.send_ping(&payload, &mut self.tx);
        if self.took(open, waits, sent) {
            self.pings.push_back((Some(payload), now));
        }
    }

    /// Whether `sent` was accepted. What it says must fit the state.
    fn took(&mut self, open: bool, waits: usize, sent: Result<(), SendError>) -> bool {
        let room = waits < self.config.send_high_water;
        match sent {
            // A compressed piece may be an empty one.
            Ok(()) => assert!(open && room && self.tx.len() >= waits),
            Err(SendError::Full) => {
                assert!(open && !room);
                self.full = true;
            }
            Err(SendError::Closing) => assert!(!open),
            Err(SendError::Unfinished) => assert!(open && self.unfinished.is_some()),
            Err(error) => panic!("{error}"),
        }
        assert!(sent.is_ok() || self.tx.len() == waits, "a message that was refused is queued");
        sent.is_ok()
    }

    pub(crate) fn close(&mut self, code: CloseCode, reason: &str, now: Instant) {
        if self.conn.is_open() {
            self.sent_close = Some((code, reason.to_owned()));
        }
        self.conn.close(code, reason, now, &mut self.tx).unwrap();
        self.note(now);
    }

    // What must hold.

    /// After everything that can be done `now` is done.
    pub(crate) fn check(&self, now: Instant) {
        let areas = if self.is_deflated() { 2 } else { 1 };
        assert!(self.rx.heap_size() <= areas * (BUFFER + BUFFER / 4), "more memory than the limit");
        let keys = if self.conn.role() == Role::Client { KEYS } else { 0 };
        let deflate = if self.is_deflated() { DEFLATE } else { 0 };
        assert!(self.conn.heap_size() <= keys + deflate, "{}", self.conn.heap_size());
        assert!(self.tx.len() <= self.config.send_high_water + ABOVE);
        if self.closed.is_some() {
            assert_eq!(self.conn.poll_timeout(), None, "a deadline behind the end");
            assert_ne!(self.conn.transport(), Transport::Open);
            return;
        }
        assert!(!self.rx.is_finished(), "the stream has ended and the connection has not");
        let Config { ping_interval, pong_timeout, idle_timeout, write_timeout, .. } = self.config;
        if let Some(since) = self.closing {
            // Our Close may have waited behind messages that left.
            let last = since.max(self.left) + self.config.close_timeout * 2;
            assert!(now <= last, "no end of closing");
        } else if let Some(interval) = ping_interval {
            // Nor does a ping count while it waits behind what leaves.
            let deadline = self.heard.max(self.left_some) + interval + pong_timeout;
            assert!(now < deadline, "silence is not noticed");
        }
        if let (None, Some(timeout)) = (self.closing, idle_timeout) {
            assert!(now < self.heard + timeout, "an idle connection stays");
        }
        if let (None, Some(timeout)) = (self.closing, write_timeout) {
            assert!(now < self.left + timeout, "a peer that takes nothing is not noticed");
        }
    }

    fn is_deflated(&self) -> bool {
        is_deflated(&self.conn)
    }

    /// The connection is over, and whatever is done has no effect.
    pub(crate) fn check_over(&mut self, now: Instant) {
        let (waits, log) = (self.tx.len(), self.log.len());
        let later = now + Duration::from_secs(1_000_000);
        let _ = self.rx.push(b"\x89\x00");
        self.rx.finish();
        assert_eq!(self.conn.poll_event(now, &mut self.rx, &mut self.tx), None);
        self.conn.handle_timeout(later, &mut self.tx);
        assert_eq!(self.conn.poll_event(later, &mut self.rx, &mut self.tx), None);
        assert_eq!(self.conn.send_text("late", &mut self.tx), Err(SendError::Closing));
        assert_eq!(self.conn.send_ping(b"late", &mut self.tx), Err(SendError::Closing));
        assert_eq!(self.conn.close(CloseCode::NORMAL, "", later, &mut self.tx), Ok(()));
        assert_eq!((self.tx.len(), self.log.len()), (waits, log));
        assert_eq!(self.conn.poll_timeout(), None);
        let closed = self.log.iter().filter(|line| line.contains("Closed")).count();
        assert!(closed == 1 && self.log.last().is_some_and(|line| line.contains("Closed")));
    }
}

#[cfg(feature = "deflate")]
fn is_deflated(conn: &Connection) -> bool {
    conn.negotiated().deflate().is_some()
}

#[cfg(not(feature = "deflate"))]
fn is_deflated(_: &Connection) -> bool {
    false
}

fn is_ours(carries: &Option<Vec<u8>>) -> bool {
    carries.as_ref().is_some_and(|payload| payload.starts_with(OURS))
}

fn summary(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("text of {}", text.len()),
        Event::Binary(bytes) => format!("binary of {}", bytes.len()),
        Event::Chunk(bytes) => format!("chunk of {}", bytes.len()),
        event => format!("{event:?}"),
    }
}
