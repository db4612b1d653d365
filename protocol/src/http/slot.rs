//! What the two machines have in common.

use super::Closed;
use crate::{Instant, RecvBuf, timer};

/// The deadlines of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The next request of a kept connection has not begun.
    Idle,
    /// A head is incomplete.
    Head,
    /// The next piece of a body has not come.
    Body,
    /// A peer that was refused has not hung up.
    Linger,
}

impl timer::Timer for Timer {
    const ALL: &'static [Self] = &[Self::Idle, Self::Head, Self::Body, Self::Linger];

    fn index(self) -> usize {
        self as usize
    }
}

pub(super) type Timers = timer::Timers<Timer, 4>;

impl Timers {
    /// Arms `timer` unless it runs.
    pub(super) fn start(
        &mut self,
        timer: Timer,
        now: Instant,
        after: Option<core::time::Duration>,
    ) {
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
    /// It belongs to another protocol.
    Upgraded,
}

/// The event that `advance` announced, which covers bytes at the front of `rx.raw()` until the
/// next `advance`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<E> {
    event: Option<E>,
    taken: bool,
    covers: usize,
}

impl<E: Copy> Slot<E> {
    pub(super) const fn new() -> Self {
        Self { event: None, taken: false, covers: 0 }
    }

    /// Whether an event waits to be taken.
    pub(super) const fn is_waiting(&self) -> bool {
        self.event.is_some() && !self.taken
    }

    /// Announces an event that covers `covers` raw bytes.
    pub(super) fn put(&mut self, event: E, covers: usize) {
        *self = Self { event: Some(event), taken: false, covers };
    }

    /// The waiting event, once.
    pub(super) fn take(&mut self) -> Option<E> {
        let event = self.event.filter(|_| !self.taken);
        self.taken = true;
        event
    }

    /// The event, waiting or taken.
    pub(super) const fn peek(&self) -> Option<E> {
        self.event
    }

    /// Drops the bytes of the event that was taken; returns how many.
    pub(super) fn release(&mut self, rx: &mut RecvBuf) -> u64 {
        let covers = core::mem::take(&mut self.covers);
        self.event = None;
        rx.skip(covers);
        covers as u64
    }
}
