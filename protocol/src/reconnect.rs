//! When to try again, for every machine that outlives its connections.
//!
//! A [`Policy`] says how long to wait, a [`Reconnector`] keeps the one attempt that is scheduled.
//! It decides times only: what is dialled, and what counts as open, is its owner's affair.

use crate::seed::Entropy;
use crate::{Instant, Seed};
use core::time::Duration;

/// How long to wait before an attempt, and how often to try.
///
/// ```
/// use core::time::Duration;
/// use tidewire::reconnect::Policy;
///
/// // 1.00 s after each end, for ever.
/// let fixed = Policy::fixed(Duration::from_secs(1));
/// // Between 0.5 and 1 s, then 1 to 2, 2 to 4 … at most 60, and ten times at the most.
/// let backoff = Policy::exponential(Duration::from_secs(1), Duration::from_secs(60))
///     .jitter(0.5)
///     .max_attempts(10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    delay: Delay,
    stable_after: Duration,
    max_attempts: Option<u32>,
    max_elapsed: Option<Duration>,
}

/// The wait before an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Delay {
    /// The same time before each attempt, to the nanosecond.
    Fixed(Duration),
    /// A time that grows with each failure in a row.
    Exponential {
        /// Before the first attempt.
        first: Duration,
        /// Never longer than this.
        max: Duration,
        /// What the time is multiplied with after each failure; at least 1.
        multiplier: f64,
        /// Which part of the time is left to chance, from 0 (none) to 1 (all of it). The time is
        /// shortened by it, so `max` holds; only a time that would so become shorter than the peer
        /// asked for ([`Reconnector::set_first`]) is lengthened instead.
        jitter: f64,
    },
}

impl Policy {
    /// Waits `delay`, always. Zero means at once.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self::new(Delay::Fixed(delay))
    }

    /// Waits `first`, then twice as long after each failure in a row, at most `max`, and leaves the
    /// upper half of each wait to chance so that the clients of a server that went down don't all
    /// come back in the same instant.
    #[must_use]
    pub const fn exponential(first: Duration, max: Duration) -> Self {
        Self::new(Delay::Exponential { first, max, multiplier: 2.0, jitter: 0.5 })
    }

    const fn new(delay: Delay) -> Self {
        Self { delay, stable_after: Duration::from_secs(10), max_attempts: None, max_elapsed: None }
    }

    /// Multiplies an exponential wait with `multiplier`; what is not at least 1 counts as 1.
    #[must_use]
    pub const fn multiplier(mut self, multiplier: f64) -> Self {
        if let Delay::Exponential { multiplier: m, .. } = &mut self.delay {
            // Not `max`, which isn't const. A NaN compares false.
            *m = if multiplier >= 1.0 { multiplier } else { 1.0 };
        }
        self
    }

    /// Leaves this part of an exponential wait to chance, from 0 to 1; what is outside is clamped.
    #[must_use]
    pub const fn jitter(mut self, jitter: f64) -> Self {
        if let Delay::Exponential { jitter: j, .. } = &mut self.delay {
            *j = if jitter >= 1.0 {
                1.0
            } else if jitter > 0.0 {
                jitter
            } else {
                0.0
            };
        }
        self
    }

    /// How long a connection must have been open to end a row of failures: 10 s unless changed.
    /// What its owner reports as [`progress`](Reconnector::progress) ends it sooner.
    #[must_use]
    pub const fn stable_after(mut self, stable_after: Duration) -> Self {
        self.stable_after = stable_after;
        self
    }

    /// One attempt, and no other behind it: for a request that should not be made twice.
    #[must_use]
    pub const fn never() -> Self {
        Self::fixed(Duration::ZERO).max_attempts(0)
    }

    /// How many attempts in a row may follow a connection before giving up; no limit unless given.
    #[must_use]
    pub const fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = Some(max_attempts);
        self
    }

    /// How long after the first of a row of failures, the loss of a connection for instance, another
    /// attempt may still begin; no limit unless given. A wait that would end later is not begun.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tidewire::{Instant, Seed, reconnect::{Policy, Reconnector}};
    /// let second = Duration::from_secs(1);
    /// let policy = Policy::fixed(second).max_elapsed(2 * second);
    /// let mut reconnector = Reconnector::new(Some(policy), &Seed::new([7; 32]));
    /// let now = Instant::EPOCH;
    /// assert_eq!(reconnector.closed(now), Some(now + second));
    /// assert_eq!(reconnector.closed(now + second), Some(now + 2 * second));
    /// assert_eq!(reconnector.closed(now + 2 * second), None);
    /// ```
    #[must_use]
    pub const fn max_elapsed(mut self, max_elapsed: Duration) -> Self {
        self.max_elapsed = Some(max_elapsed);
        self
    }

    /// The wait, as configured.
    #[must_use]
    pub const fn delay(&self) -> Delay {
        self.delay
    }
}

/// The one attempt that is scheduled, and what is known about those before.
///
/// ```text
///                 schedule, closed                handle_timeout
///      +------+ -------------------> +---------+ ---------------> +-----+
///      | Idle |                      | Waiting |                  | Due |
///      +------+ <------------------- +---------+ <--------------- +-----+
///          ^           cancel                    schedule(> 0)       |
///          +------------------- started, cancel ---------------------+
/// ```
///
/// A wait of zero leads to `Due` directly. `Due` means that the owner asks for a transport; it says
/// [`started`](Self::started) once it has one.
///
/// ```
/// use core::time::Duration;
/// use tidewire::reconnect::{Attempt, Policy, Reconnector};
/// use tidewire::{Instant, Seed};
///
/// let now = Instant::EPOCH;
/// let second = Duration::from_secs(1);
/// let mut reconnector = Reconnector::new(Some(Policy::fixed(second)), &Seed::new([7; 32]));
/// assert_eq!(reconnector.closed(now), Some(now + second));
/// assert_eq!(reconnector.poll_timeout(), Some(now + second));
/// assert!(!reconnector.handle_timeout(now));
/// assert!(reconnector.handle_timeout(now + second));
/// assert_eq!(reconnector.attempt(), Attempt::Due);
/// ```
#[derive(Debug)]
pub struct Reconnector {
    policy: Option<Policy>,
    entropy: Entropy,
    attempt: Attempt,
    count: u64,
    /// Since when a connection has been open.
    open_since: Option<Instant>,
    /// Attempts by the policy since the last connection that counted.
    failures: u32,
    /// When the first of them was.
    failing_since: Instant,
    /// The last wait by the policy, before chance shortened it.
    grown: Duration,
    /// What the peer asked for.
    least: Duration,
}

/// What is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Nothing.
    Idle,
    /// An attempt, at this time.
    Waiting(Instant),
    /// An attempt, now.
    Due,
}

impl Reconnector {
    /// Nothing is scheduled yet. Without a policy nothing ever is, unless
    /// [`schedule`](Self::schedule) is called. The seed is for jitter.
    #[must_use]
    pub fn new(policy: Option<Policy>, seed: &Seed) -> Self {
        Self {
            policy,
            entropy: Entropy::new(seed),
            attempt: Attempt::Idle,
            count: 0,
            open_since: None,
            failures: 0,
            failing_since: Instant::EPOCH,
            grown: Duration::ZERO,
            least: Duration::ZERO,
        }
    }

    /// Makes an attempt `after` from `now`, instead of any that is scheduled: two calls make one
    /// attempt, and the last one counts. It is no failure in the policy's books.
    pub fn schedule(&mut self, after: Duration, now: Instant) {
        self.settle(now);
        if !after.is_zero() {
            self.attempt = Attempt::Waiting(now + after);
        } else if self.attempt != Attempt::Due {
            self.become_due();
        }
    }

    /// Drops what is scheduled, also an attempt that is due.
    pub fn cancel(&mut self) {
        self.attempt = Attempt::Idle;
    }

    /// What is scheduled.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// How many attempts have become due so far. A transport asked for at another count is not
    /// wanted any more.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.attempt {
            Attempt::Waiting(until) => Some(until),
            Attempt::Idle | Attempt::Due => None,
        }
    }

    /// Whether with this call an attempt has become due.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = matches!(self.attempt, Attempt::Waiting(until) if until <= now);
        if due {
            self.become_due();
        }
        due
    }

    /// The due attempt is under way: there is a transport, or there is known to be none.
    pub fn started(&mut self) {
        self.attempt = Attempt::Idle;
    }

    /// The connection is established, in its owner's sense (after a handshake, say).
    pub fn opened(&mut self, now: Instant) {
        self.open_since = Some(now);
    }

    /// The connection proved useful: earlier failures don't count any more.
    pub fn progress(&mut self) {
        self.failures = 0;
    }

    /// The connection ended, or the attempt failed. Schedules the next attempt as the policy says,
    /// and tells when; `None` if there is no policy or its attempts are used up.
    pub fn closed(&mut self, now: Instant) -> Option<Instant> {
        self.attempt = Attempt::Idle;
        self.settle(now);
        let policy = self.policy?;
        if policy.max_attempts.is_some_and(|max| self.failures >= max) {
            return None;
        }
        if self.failures == 0 {
            self.failing_since = now;
        }
        let after = self.wait(policy.delay);
        let elapsed = (now + after).saturating_since(self.failing_since);
        if policy.max_elapsed.is_some_and(|max| elapsed > max) {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.schedule(after, now);
        Some(now + after)
    }

    /// Changes the wait of a fixed policy, or the first and shortest one of an exponential policy,
    /// from the next [`closed`](Self::closed) on: the peer asked for it. No wait by the policy is
    /// shorter from now on, whatever chance says.
    pub fn set_first(&mut self, first: Duration) {
        self.least = first;
        match self.policy.as_mut().map(|policy| &mut policy.delay) {
            Some(Delay::Fixed(delay)) => *delay = first,
            Some(Delay::Exponential { first: f, .. }) => *f = first,
            None => {}
        }
    }

    /// There is no connection any more: did it last?
    pub(crate) fn settle(&mut self, now: Instant) {
        if let (Some(since), Some(policy)) = (self.open_since.take(), self.policy) {
            if now.saturating_since(since) >= policy.stable_after {
                self.failures = 0;
            }
        }
    }

    fn become_due(&mut self) {
        self.attempt = Attempt::Due;
        self.count += 1;
    }

    fn wait(&mut self, delay: Delay) -> Duration {
        match delay {
            Delay::Fixed(delay) => delay,
            Delay::Exponential { first, max, multiplier, jitter } => {
                let grown = if self.failures == 0 { first } else { scale(self.grown, multiplier) };
                // What the peer asked for may lie above the maximum, and does not change it.
                self.grown = grown.max(first).min(max.max(first));
                let wait = scale(self.grown, 1.0 - jitter * self.entropy.fraction());
                let shortest = scale(self.grown, 1.0 - jitter);
                wait.saturating_add(self.least.saturating_sub(shortest))
            }
        }
    }
}

/// `duration` times `factor`, which is not negative; beyond what a `Duration` holds, its maximum.
fn scale(duration: Duration, factor: f64) -> Duration {
    // Exact where nothing has to be multiplied.
    if factor == 1.0 {
        return duration;
    }
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
