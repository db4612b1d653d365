//! The attempt to come, of a client that reconnects: when it is due, whether the caller was told, and
//! how long a transport may take.

use crate::reconnect::{Attempt, Policy, Reconnector};
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
pub(crate) struct Attempts {
    pub(crate) reconnector: Reconnector,
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
    /// `announce` says whether the caller is to be told of each attempt; `connect_timeout`, how long
    /// a transport may take.
    pub(crate) fn new(
        policy: Option<Policy>,
        announce: bool,
        connect_timeout: Option<Duration>,
        seed: &Seed,
    ) -> Self {
        let reconnector = Reconnector::new(policy, seed);
        Self { reconnector, announce, leave: Leave::Wanted, connect_timeout, deadline: None }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.reconnector.attempt() == Attempt::Due
    }

    /// Whether a transport is wanted now.
    pub(crate) fn may_dial(&self) -> bool {
        self.is_due() && self.leave == Leave::Given
    }

    /// Makes an attempt `after` from `now`, instead of any that is scheduled.
    pub(crate) fn schedule(&mut self, after: Duration, now: Instant) {
        let was_due = self.is_due();
        self.reconnector.schedule(after, now);
        if !self.is_due() {
            self.deadline = None;
        } else if !was_due {
            self.became_due(now);
        }
    }

    /// Goes on with the attempt that is under way, over another transport.
    pub(crate) fn go_on(&mut self, now: Instant) {
        self.reconnector.cancel();
        self.reconnector.schedule(Duration::ZERO, now);
        self.give_leave(now);
    }

    /// A transport that is wanted may take its time from now on: until now the caller took his.
    pub(crate) fn ask(&mut self, now: Instant) {
        if self.may_dial() {
            self.give_leave(now);
        }
    }

    /// The connection has ended, or the attempt to have one. There will be another one, at the
    /// earliest `least` from now, unless this returns `false`.
    pub(crate) fn closed(&mut self, least: Duration, now: Instant) -> bool {
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

    /// As [`closed`](Self::closed), where there is to be no other one, whatever the policy says.
    pub(crate) fn end(&mut self, now: Instant) {
        self.stop();
        self.reconnector.settle(now);
    }

    /// The attempt is under way, or not wanted any more.
    pub(crate) fn stop(&mut self) {
        self.reconnector.cancel();
        self.deadline = None;
    }

    /// Whether the caller is to be told now that there is an attempt. The next call gives leave.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
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

    /// The deadline, and what it is called: the `attempt` is due, or has to `connect` until then.
    pub(crate) fn next_timer<T>(&self, attempt: T, connect: T) -> Option<(Instant, T)> {
        match (self.reconnector.poll_timeout(), self.deadline) {
            (Some(at), _) => Some((at, attempt)),
            (None, at) => at.map(|at| (at, connect)),
        }
    }

    /// Whether with this call it has taken too long to get a transport.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
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
