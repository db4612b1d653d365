//! Time as data.
//!
//! The machines never read a clock: every call that depends on time takes `now`, and every wish to
//! be woken comes back as an [`Instant`]. An `Instant` counts nanoseconds since an epoch that the
//! caller picks, so it works without `std`, on wasm, in a simulation, and in a replay.
//!
//! All instants given to one machine must share one epoch and must not go backwards; a `now`
//! earlier than one seen before does no harm beyond timers that fire late.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point on the caller's monotonic time line, with nanosecond resolution. The line ends 584 years
/// after its epoch.
///
/// ```
/// use core::time::Duration;
/// use tidewire::Instant;
///
/// let boot = Instant::EPOCH;
/// let later = boot + Duration::from_millis(1500);
/// assert_eq!(later.saturating_since(boot), Duration::from_millis(1500));
/// assert_eq!(boot.saturating_since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// Nanoseconds since the epoch, and one: connections keep many instants, some of them `None`.
    NonZeroU64,
);

impl Instant {
    /// The start of the caller's time line.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);
    /// The end of it.
    #[cfg(feature = "std")]
    const END: Self = Self(NonZeroU64::MAX);

    /// The instant that lies `elapsed` after the epoch, or the end of the time line.
    #[must_use]
    pub const fn from_epoch(elapsed: Duration) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos(elapsed)))
    }

    /// How long after the epoch this instant lies.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }

    /// The time from `earlier` to `self`; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// Nanoseconds, as many as there is room for.
const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

/// Saturates at the end of the time line, so that "never" can be written as
/// `now + Duration::MAX`.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(nanos(after)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

/// Saturates at zero, as [`Instant::saturating_since`].
impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch+{:?}", self.since_epoch())
    }
}

/// Converts between [`std::time::Instant`] and [`Instant`]. It reads no clock: its owner does.
///
/// ```
/// use tidewire::{Clock, Instant};
///
/// let started = std::time::Instant::now();
/// let clock = Clock::starting_at(started);
/// assert_eq!(clock.instant(started), Instant::EPOCH);
/// assert_eq!(clock.std(Instant::EPOCH), started);
/// ```
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

#[cfg(feature = "std")]
impl Clock {
    /// A clock whose epoch is `epoch`, usually the time at which the program or connection starts.
    #[must_use]
    pub const fn starting_at(epoch: std::time::Instant) -> Self {
        Self { epoch }
    }

    /// The [`Instant`] of `at`; [`Instant::EPOCH`] if `at` lies before the epoch.
    #[must_use]
    pub fn instant(&self, at: std::time::Instant) -> Instant {
        Instant::from_epoch(at.saturating_duration_since(self.epoch))
    }

    /// The [`std::time::Instant`] of `at`. The end of the time line, and what `std` cannot represent,
    /// becomes one thirty years ahead, far enough to mean "never" to a timer.
    #[must_use]
    pub fn std(&self, at: Instant) -> std::time::Instant {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        let at = (at < Instant::END).then_some(at.since_epoch());
        at.and_then(|at| self.epoch.checked_add(at)).unwrap_or_else(|| self.epoch + FAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let end = Instant::EPOCH + Duration::MAX;
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Instant::EPOCH - end, Duration::ZERO);
        assert!(end - Instant::EPOCH > Duration::from_secs(584 * 365 * 24 * 3600));
    }

    #[test]
    fn one_that_may_be_missing_takes_no_more_room() {
        assert_eq!((size_of::<Instant>(), size_of::<Option<Instant>>()), (8, 8));
    }
}
