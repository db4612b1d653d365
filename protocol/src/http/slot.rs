//! What the two machines have in common.

use super::incoming::{Incoming, Piece};
use super::outgoing::Outgoing;
use super::state::{Party, State, Step, Tracker};
use super::{CloseReason, Closed, Limits, ProtocolError};
use crate::trace;
use crate::{Instant, RecvBuf, SendBuf, Transport, timer};
use core::fmt;
use core::time::Duration;

/// The deadlines of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The next request of a kept connection has not begun.
    Idle,
    /// A head is incomplete.
    Head,
    /// Too little of a body has come.
    Body,
    /// The peer takes nothing of what waits for it.
    Write,
    /// `100 Continue` has not come. Not the end: see
    /// [`ClientEvent::Continue`](super::ClientEvent::Continue).
    Continue,
    /// A peer that was refused has not hung up.
    Linger,
}

/// What has not come: `the head is not complete`.
impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "no request has begun",
            Self::Head => "the head is not complete",
            Self::Body => "too little of the body has come",
            Self::Write => "nothing of what waits for it was taken",
            Self::Continue => "100 Continue has not come",
            Self::Linger => "it has not hung up",
        })
    }
}

impl timer::Timer for Timer {
    const ALL: &'static [Self] =
        &[Self::Idle, Self::Head, Self::Body, Self::Write, Self::Continue, Self::Linger];

    fn index(self) -> usize {
        self as usize
    }
}

pub(super) type Timers = timer::Timers<Timer, 6>;

impl Timers {
    /// Arms `timer` unless it runs.
    pub(super) fn start(&mut self, timer: Timer, now: Instant, after: Option<Duration>) {
        if self.get(timer).is_none() {
            self.set_after(timer, now, after);
        }
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    /// It has ended, which is still to be told.
    Ending(Closed),
    /// It has ended.
    Over,
}

/// How fast the body of an incoming message has to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long the machine waits for [`progress`](Self::progress) bytes. `None` for ever.
    pub(super) timeout: Option<Duration>,
    pub(super) progress: u64,
}

/// What has become of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// A piece of so many raw bytes.
    Data(usize),
    /// The end, with a trailer section of so many raw bytes.
    End(usize),
    /// Nothing yet.
    Wait,
    /// The connection has ended before the body.
    Eof,
}

/// The part of a machine that does not depend on its role. `E`
/// is what it announces.
#[derive(Clone, Debug)]
pub(super) struct Core<E> {
    pub(super) tracker: Tracker,
    pub(super) life: Life,
    pub(super) timers: Timers,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    /// The offset of the front of `rx.raw()` in the stream.
    pub(super) offset: u64,
    peer: Party,
    slot: Slot<E>,
    /// What is left of the time for the bytes that are due, and how many of them have come.
    left: Option<Duration>,
    got: u64,
    /// How much of `tx` had left when the write deadline was set.
    progress: u64,
    /// The peer takes nothing: there is no use in waiting for what is left to leave.
    stalled: bool,
}

impl<E: Copy> Core<E> {
    pub(super) const fn new(peer: Party) -> Self {
        Self {
            tracker: Tracker::new(),
            life: Life::Running,
            timers: Timers::new(),
            incoming: Incoming::EMPTY,
            outgoing: Outgoing::Finished,
            offset: 0,
            peer,
            slot: Slot { event: None, taken: false, covers: 0 },
            left: None,
            got: 0,
            progress: 0,
            stalled: false,
        }
    }

    /// Begins an `advance`: releases the event before. `false` says that it still waits.
    #[inline]
    pub(super) fn release(&mut self, rx: &mut RecvBuf) -> bool {
        if self.slot.event.is_some() && !self.slot.taken {
            return false;
        }
        let covers = core::mem::take(&mut self.slot.covers);
        self.slot.event = None;
        rx.skip(covers);
        self.offset += covers as u64;
        true
    }

    /// Announces an event that covers so many raw bytes, and says whether there is one.
    #[inline]
    pub(super) fn announce(&mut self, event: Option<(E, usize)>) -> bool {
        let Some((event, covers)) = event else { return false };
        self.slot = Slot { event: Some(event), taken: false, covers };
        true
    }

    /// The event that waits, once.
    #[inline]
    pub(super) fn take(&mut self) -> Option<E> {
        let event = self.slot.event.filter(|_| !self.slot.taken);
        self.slot.taken = true;
        event
    }

    /// The event that was announced, taken or not.
    pub(super) const fn peek(&self) -> Option<E> {
        self.slot.event
    }

    /// Whether commands mean anything: the connection has not ended, and belongs to HTTP.
    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.life == Life::Running && self.tracker.server() != State::Switched
    }

    /// Skips raw bytes that mean nothing.
    pub(super) fn discard(&mut self, rx: &mut RecvBuf) {
        let rest = rx.raw().len();
        rx.skip(rest);
        self.offset += rest as u64;
    }

    /// Goes on with the body of the peer's message.
    #[inline]
    pub(super) fn read_body(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        limits: &Limits,
        pace: Pace,
    ) -> Result<Read, ProtocolError> {
        let piece = if self.incoming.is_over() {
            // Most requests have no body: nothing to look at.
            rx.spans.clear();
            Piece::End(0)
        } else {
            self.incoming.next(rx, limits, &mut self.offset)?
        };
        Ok(match piece {
            Piece::Data(len) => {
                self.tracker.step(self.peer, Step::Data);
                // The caller's time with this piece is not the peer's.
                self.left = self.timers.get(Timer::Body).map(|at| at.saturating_since(now));
                self.timers.stop(Timer::Body);
                self.got += len as u64;
                if self.got >= pace.progress {
                    (self.left, self.got) = (None, 0);
                }
                Read::Data(len)
            }
            Piece::End(len) => {
                self.timers.stop(Timer::Body);
                (self.left, self.got) = (None, 0);
                self.tracker.step(self.peer, Step::End);
                Read::End(len)
            }
            Piece::Incomplete if rx.is_finished() => Read::Eof,
            Piece::Incomplete => {
                self.timers.start(
                    Timer::Body,
                    now,
                    pace.timeout.map(|all| self.left.unwrap_or(all)),
                );
                Read::Wait
            }
        })
    }

    /// Keeps the deadline for what waits in `tx`: it begins anew whenever some of it has left.
    #[inline]
    pub(super) fn watch_writes(&mut self, now: Instant, timeout: Option<Duration>, tx: &SendBuf) {
        let running = self.timers.get(Timer::Write).is_some();
        if tx.is_written() || self.life != Life::Running {
            if running {
                self.timers.stop(Timer::Write);
            }
        } else if !running || tx.progress() != self.progress {
            self.progress = tx.progress();
            self.timers.set_after(Timer::Write, now, timeout);
        }
    }

    /// Whether the peer has taken nothing since the write deadline was set; if it has, sets another.
    pub(super) fn has_stalled(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        tx: &SendBuf,
    ) -> bool {
        self.stalled = !tx.is_written() && tx.progress() == self.progress;
        if !self.stalled {
            self.watch_writes(now, timeout, tx);
        }
        self.stalled
    }

    /// What the machine wants of its transport.
    pub(super) const fn transport(&self) -> Transport {
        match self.life {
            Life::Running => Transport::Open,
            _ if self.stalled => Transport::Down,
            Life::Ending(_) | Life::Over => Transport::Close,
        }
    }

    /// Ends the connection; [`end`](Self::end) tells it.
    pub(super) fn ending(&mut self, why: Closed) {
        self.fail_or_close(why);
        self.life = Life::Ending(why);
    }

    /// Ends the connection and tells it.
    pub(super) fn end(&mut self, why: Closed) -> Option<(E, usize)>
    where
        E: From<Closed>,
    {
        if self.life == Life::Running {
            self.fail_or_close(why);
        }
        self.life = Life::Over;
        trace::event!(
            "tidewire::http", DEBUG,
            peer = ?self.peer, %why, reason = ?self.tracker.close_reason(), "closed"
        );
        Some((why.into(), 0))
    }

    fn fail_or_close(&mut self, why: Closed) {
        let us = match self.peer {
            Party::Client => Party::Server,
            Party::Server => Party::Client,
        };
        match why {
            Closed::Done => {}
            Closed::Aborted => self.tracker.fail(us),
            Closed::Eof | Closed::Timeout(_) | Closed::Protocol(_) => self.tracker.fail(self.peer),
        }
        // Everything else that ends a connection in order has set its reason before.
        self.tracker.close(match why {
            Closed::Done => CloseReason::PeerClosed,
            _ => CloseReason::Failed,
        });
        if self.tracker.allows(us, Step::Close) {
            self.tracker.step(us, Step::Close);
        }
    }
}

/// The event that `advance` announced, which covers bytes at the front of `rx.raw()` until the
/// next `advance`.
#[derive(Clone, Copy, Debug)]
struct Slot<E> {
    event: Option<E>,
    taken: bool,
    covers: usize,
}
