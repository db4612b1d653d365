//! Keepalive: a ping at a fixed interval, and a deadline for any sign of life after it.

use super::Timer;
use crate::Instant;
use crate::timer::Timers;
use core::time::Duration;

/// Arms [`Timer::Ping`] and [`Timer::Pong`].
#[derive(Debug)]
pub(super) struct Keepalive {
    interval: Option<Duration>,
    timeout: Duration,
    /// How many raw bytes were left the last time. More than that have been received since.
    left: usize,
}

impl Keepalive {
    pub(super) fn new(interval: Option<Duration>, timeout: Duration) -> Self {
        let interval = interval.filter(|interval| !interval.is_zero());
        Self { interval, timeout, left: 0 }
    }

    /// The opening handshake is done.
    pub(super) fn start<const N: usize>(&self, now: Instant, timers: &mut Timers<Timer, N>) {
        timers.set_after(Timer::Ping, now, self.interval);
    }

    /// A ping that was due at `due` was sent `now`. The next is due one interval after this one
    /// was, unless that has passed as well: nobody is helped by a burst of pings.
    pub(super) fn pinged<const N: usize>(
        &self,
        due: Instant,
        now: Instant,
        timers: &mut Timers<Timer, N>,
    ) {
        if let Some(interval) = self.interval {
            let next = due + interval;
            timers.set(Timer::Ping, if next > now { next } else { now + interval });
        }
        // An earlier ping that is still unanswered has the earlier deadline.
        if timers.get(Timer::Pong).is_none() {
            timers.set(Timer::Pong, now + self.timeout);
        }
    }

    /// Looks at the raw bytes that wait: any new one is a sign of life.
    #[inline]
    pub(super) fn look<const N: usize>(&self, raw: usize, timers: &mut Timers<Timer, N>) {
        if raw > self.left {
            timers.stop(Timer::Pong);
        }
    }

    /// Remembers how many raw bytes are left.
    #[inline]
    pub(super) fn leave(&mut self, raw: usize) {
        self.left = raw;
    }

    /// The closing handshake has begun.
    pub(super) fn stop<const N: usize>(&self, timers: &mut Timers<Timer, N>) {
        timers.stop(Timer::Ping);
        timers.stop(Timer::Pong);
    }
}
