//! What went over a connection, counted.

use super::frame::OpCode;
use core::ops::{Add, AddAssign};
use core::time::Duration;

/// What a [`Connection`](super::Connection) has done since its opening handshake, or a
/// [`Client`](super::Client) on all of its connections: counters that only grow, and the latest round
/// trip. Bytes are whoever moves them's to count: see [`RecvBuf::received`](crate::RecvBuf::received)
/// and [`SendBuf::sent`](crate::SendBuf::sent).
///
/// Two looks at it and the time between them give rates.
///
/// ```
/// use tidewire::ws::{Config, Connection, Negotiated};
/// use tidewire::{Instant, SendBuf};
///
/// let mut tx = SendBuf::new();
/// let mut conn = Connection::server(Config::default(), Negotiated::default(), Instant::EPOCH);
/// conn.send_text("hello", &mut tx)?;
/// conn.send_ping(b"", &mut tx)?;
/// let sent = conn.stats().sent;
/// assert_eq!((sent.frames, sent.messages, sent.pings), (2, 1, 1));
/// # Ok::<(), tidewire::ws::SendError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// From the peer. A frame counts once its header was understood, a message once it is complete:
    /// before it is lent.
    pub received: Traffic,
    /// For the peer: what was queued. What is queued when a connection breaks is counted as well.
    pub sent: Traffic,
    /// How long the latest ping of [`Config::ping_interval`](super::Config::ping_interval) took to come
    /// back, on the connection that is open; see
    /// [`Connection::round_trip`](super::Connection::round_trip).
    pub round_trip: Option<Duration>,
    /// How many connections were opened after the first: 0 for a
    /// [`Connection`](super::Connection).
    pub reconnects: u64,
}

impl Stats {
    /// Adds what a connection has come to that is over now.
    pub(super) fn absorb(&mut self, over: Self) {
        self.received += over.received;
        self.sent += over.sent;
    }
}

/// One direction of [`Stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Frames of all kinds (RFC 6455, 5.2), Close among them.
    pub frames: u64,
    /// Messages, in however many frames.
    pub messages: u64,
    /// Pings (5.5.2), those of the keepalive among them.
    pub pings: u64,
    /// Pongs (5.5.3), asked for or not.
    pub pongs: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            messages: self.messages + other.messages,
            pings: self.pings + other.pings,
            pongs: self.pongs + other.pongs,
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Counts one direction.
///
/// Most messages are one frame: they cost one addition, and are both when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    /// Messages that are one frame.
    whole: u64,
    other: Traffic,
}

impl Counter {
    /// A message in one frame.
    #[inline]
    pub(super) fn whole(&mut self) {
        self.whole += 1;
    }

    /// A frame of a message; [`message`](Self::message) comes with its end.
    #[inline]
    pub(super) fn fragment(&mut self) {
        self.other.frames += 1;
    }

    /// The end of a message whose frames were counted.
    #[inline]
    pub(super) fn message(&mut self) {
        self.other.messages += 1;
    }

    /// A control frame.
    #[inline]
    pub(super) fn control(&mut self, opcode: OpCode) {
        self.other.frames += 1;
        match opcode {
            OpCode::Ping => self.other.pings += 1,
            OpCode::Pong => self.other.pongs += 1,
            _ => {}
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        let Self { whole, other } = *self;
        Traffic { frames: other.frames + whole, messages: other.messages + whole, ..other }
    }
}
