//! Timers: an enum and an array.
//!
//! Each machine names its timers with an enum and keeps their deadlines in a [`Timers`]. The
//! earliest one is the machine's `poll_timeout`, and since the enum travels with it a deadline can
//! tell its reason.

use crate::time::Instant;

/// An enum of timers without fields, whose discriminants count from zero.
pub(crate) trait Timer: Copy + 'static {
    /// Every timer, in the order of their discriminants.
    const ALL: &'static [Self];

    /// The discriminant.
    fn index(self) -> usize;
}

/// The deadlines of one machine. `N` is `T::ALL.len()`.
#[derive(Clone, Debug)]
pub(crate) struct Timers<T, const N: usize> {
    deadlines: [Option<Instant>; N],
    kind: core::marker::PhantomData<T>,
}

impl<T: Timer, const N: usize> Timers<T, N> {
    pub(crate) const fn new() -> Self {
        Self { deadlines: [None; N], kind: core::marker::PhantomData }
    }

    pub(crate) fn set(&mut self, timer: T, at: Instant) {
        self.deadlines[timer.index()] = Some(at);
    }

    /// Arms `timer` `after` from `now`, or stops it when there is no such limit.
    pub(crate) fn set_after(
        &mut self,
        timer: T,
        now: Instant,
        after: Option<core::time::Duration>,
    ) {
        self.deadlines[timer.index()] = after.map(|after| now + after);
    }

    pub(crate) fn stop(&mut self, timer: T) {
        self.deadlines[timer.index()] = None;
    }

    pub(crate) fn stop_all(&mut self) {
        self.deadlines = [None; N];
    }

    pub(crate) fn get(&self, timer: T) -> Option<Instant> {
        self.deadlines[timer.index()]
    }

    /// The earliest deadline and the timer it belongs to; of equal ones the first in `T::ALL`.
    pub(crate) fn next(&self) -> Option<(Instant, T)> {
        let mut next: Option<(Instant, T)> = None;
        for &timer in T::ALL {
            if let Some(at) = self.get(timer) {
                if next.is_none_or(|(earliest, _)| at < earliest) {
                    next = Some((at, timer));
                }
            }
        }
        next
    }

    /// Stops and returns the earliest timer whose deadline is `now` or before. Called in a loop it
    /// ends, because each timer that it returns is stopped.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<T> {
        let (at, timer) = self.next()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kind {
        A,
        B,
    }

    impl Timer for Kind {
        const ALL: &'static [Self] = &[Self::A, Self::B];

        fn index(self) -> usize {
            self as usize
        }
    }

    #[test]
    fn the_earliest_deadline_comes_first_and_tells_its_reason() {
        let at = |s| Instant::EPOCH + Duration::from_secs(s);
        let mut timers = Timers::<Kind, 2>::new();
        assert_eq!(timers.next(), None);
        timers.set(Kind::A, at(9));
        timers.set(Kind::B, at(3));
        assert_eq!(timers.next(), Some((at(3), Kind::B)));
        assert_eq!(timers.expire(at(2)), None);
        assert_eq!(timers.expire(at(9)), Some(Kind::B));
        assert_eq!(timers.expire(at(9)), Some(Kind::A));
        assert_eq!(timers.expire(at(9)), None);
    }
}
