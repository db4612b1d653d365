//! The attempt to come: when it is due, whether the caller was told, and how long a transport may
//! take.

use crate::reconnect::{Attempt, Reconnector};
use crate::sse::{SourceConfig, Timer};
use crate::{Instant, Seed};
use core::time::Duration;

/// ```text
///                schedule, closed              due                 poll
///   no attempt -------------------> waiting --------> to be told -------> told
///       ^                                       \                           | poll
///       |                                        \ without `announce`       v
///       +--------------- started, failed -----------------------------> to dial
/// ```
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) reconnector: Reconnector,
    announce: bool,
    leave: Leave,
    connect_timeout: Option<Duration>,
    /// Until when there must be a transport.
    deadline: Option<Instant>,
}

/// Whether an attempt that is due may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// The caller has to be told first.
    Wanted,
    /// The caller was told, and has not polled on yet.
    Asked,
    Given,
}

impl Attempts {
    pub(super) fn new(config: &SourceConfig, seed: &Seed) -> Self {
        Self {
            reconnector: Reconnector::new(Some(config.reconnect), seed),
            announce: config.announce,
            leave: Leave::Wanted,
            connect_timeout: config.connect_timeout,
            deadline: None,
        }
    }

    fn is_due(&self) -> bool {
        self.reconnector.attempt() == Attempt::Due
    }

    /// Whether a transport is wanted now.
    pub(super) fn may_dial(&self) -> bool {
        self.is_due() && self.leave == Leave::Given
    }

    /// Makes an attempt `after` from `now`, instead of any that is scheduled.
    pub(super) fn schedule(&mut self, after: Duration, now: Instant) {
        let was_due = self.is_due();
        self.reconnector.schedule(after, now);
        if !self.is_due() {
            self.deadline = None;
        } else if !was_due {
            self.became_due(now);
        }
    }

    /// Goes on with the attempt that is under way, over another transport.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.reconnector.cancel();
        self.reconnector.schedule(Duration::ZERO, now);
        self.give_leave(now);
    }

    /// The connection has ended, or the attempt to have one. There will be another one, at the
    /// earliest `least` from now, unless this returns `false`.
    pub(super) fn closed(&mut self, least: Duration, now: Instant) -> bool {
        self.deadline = None;
        let Some(at) = self.reconnector.closed(now) else { return false };
        if now + least > at {
            self.reconnector.schedule(least, now);
        }
        if self.is_due() {
            self.became_due(now);
        }
        true
    }

    /// The attempt is under way, or not wanted any more.
    pub(super) fn stop(&mut self) {
        self.reconnector.cancel();
        self.deadline = None;
    }

    /// Whether the caller is to be told now that there is an attempt. The next call gives leave.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        match self.leave {
            Leave::Wanted if self.is_due() => {
                self.leave = Leave::Asked;
                return true;
            }
            Leave::Asked if self.is_due() => self.give_leave(now),
            _ => {}
        }
        false
    }

    pub(super) fn next_timer(&self) -> Option<(Instant, Timer)> {
        match (self.reconnector.poll_timeout(), self.deadline) {
            (Some(at), _) => Some((at, Timer::Reconnect)),
            (None, at) => at.map(|at| (at, Timer::Connect)),
        }
    }

    /// Whether with this call it has taken too long to get a transport.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.reconnector.handle_timeout(now) {
            self.became_due(now);
        }
        self.deadline.take_if(|at| *at <= now).is_some()
    }

    fn became_due(&mut self, now: Instant) {
        self.leave = Leave::Wanted;
        if !self.announce {
            self.give_leave(now);
        }
    }

    /// From here on it is the network's time, and not the caller's.
    fn give_leave(&mut self, now: Instant) {
        self.leave = Leave::Given;
        self.deadline = self.connect_timeout.map(|timeout| now + timeout);
    }
}
