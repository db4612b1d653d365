//! Keepalive: a ping at a fixed interval, a deadline for any sign of life after it, and the round trip
//! that its pong measures.

use super::Timer;
use crate::timer::Timers;
use crate::{Instant, SendBuf};
use core::time::Duration;

/// The payload of our pings: a number, by which the pong to the latest is known.
pub(super) type Payload = [u8; 8];

/// Arms [`Timer::Ping`] and [`Timer::Pong`].
#[derive(Debug)]
pub(super) struct Keepalive {
    interval: Option<Duration>,
    timeout: Duration,
    /// How many pings were made.
    count: u64,
    /// The first ping since a sign of life: what [`Timer::Pong`] is about.
    first: Option<Flight>,
    /// The latest ping, until its pong is here.
    latest: Option<Flight>,
    round_trip: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    /// It has left when so many bytes were taken out of the send buffer.
    end: u64,
    /// Whether something waited there before it.
    behind: bool,
    /// When it was last known to wait there.
    waited: Instant,
    /// How much had been taken then, and when that last became more: the peer, or its system, lives.
    taken: u64,
    lived: Instant,
}

impl Keepalive {
    pub(super) fn new(interval: Option<Duration>, timeout: Duration) -> Self {
        let interval = interval.filter(|interval| !interval.is_zero());
        Self { interval, timeout, count: 0, first: None, latest: None, round_trip: None }
    }

    /// The opening handshake is done.
    pub(super) fn start<const N: usize>(&self, now: Instant, timers: &mut Timers<Timer, N>) {
        timers.set_after(Timer::Ping, now, self.interval);
    }

    /// Whether the latest ping has not left: so many bytes were taken.
    pub(super) fn is_unsent(&self, taken: u64) -> bool {
        self.latest.is_some_and(|latest| taken < latest.end)
    }

    /// A ping was due at `due`, and made unless an earlier one is enough. The next is due one interval
    /// later, unless that has passed as well: nobody is helped by a burst of pings.
    pub(super) fn ping_was_due<const N: usize>(
        &mut self,
        due: Instant,
        now: Instant,
        timers: &mut Timers<Timer, N>,
    ) {
        if let Some(interval) = self.interval {
            let next = due + interval;
            timers.set(Timer::Ping, if next > now { next } else { now + interval });
        }
        // An earlier ping that is still unanswered has the earlier deadline.
        self.first = self.first.or(self.latest);
        if timers.get(Timer::Pong).is_none() {
            timers.set(Timer::Pong, now + self.timeout);
        }
    }

    /// The payload of the next ping.
    pub(super) fn next_payload(&self) -> Payload {
        (self.count + 1).to_be_bytes()
    }

    /// That ping was queued, as the last of what waits, `behind` something or not.
    pub(super) fn pinged(&mut self, behind: bool, now: Instant, tx: &SendBuf) {
        self.count += 1;
        let (taken, end) = (tx.taken(), tx.taken() + tx.len() as u64);
        let flight = Flight { end, behind, waited: now, taken, lived: now };
        self.first.get_or_insert(flight);
        self.latest = Some(flight);
    }

    /// Whether [`look`](Self::look) has something to look at.
    #[inline]
    pub(super) const fn is_waiting(&self) -> bool {
        self.latest.is_some() || self.first.is_some()
    }

    /// Sees which pings still wait: so many bytes were taken.
    pub(super) fn look(&mut self, now: Instant, taken: u64) {
        for flight in self.first.iter_mut().chain(&mut self.latest) {
            if taken != flight.taken && flight.taken < flight.end {
                flight.taken = taken;
                // One that nothing was ahead of had its deadline from the start.
                if flight.behind {
                    flight.lived = now;
                }
            }
            if taken < flight.end {
                flight.waited = now;
            }
        }
    }

    /// The deadline for a sign of life has come. Returns the one that counts instead, if what was ahead
    /// of the ping went on leaving.
    pub(super) fn extended(&self, now: Instant) -> Option<Instant> {
        Some(self.first?.lived + self.timeout).filter(|&at| at > now)
    }

    /// A pong came.
    pub(super) fn ponged(&mut self, payload: &[u8], now: Instant) {
        let Some(flight) = self.latest else { return };
        if payload == self.count.to_be_bytes() {
            self.round_trip = Some(now.saturating_since(flight.waited));
            self.latest = None;
        }
    }

    /// Something was received: a sign of life.
    pub(super) fn heard<const N: usize>(&mut self, timers: &mut Timers<Timer, N>) {
        self.first = None;
        timers.stop(Timer::Pong);
    }

    pub(super) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The closing handshake has begun.
    pub(super) fn stop<const N: usize>(&mut self, timers: &mut Timers<Timer, N>) {
        self.first = None;
        self.latest = None;
        timers.stop(Timer::Ping);
        timers.stop(Timer::Pong);
    }
}
