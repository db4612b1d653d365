//! What a driver does for the halves of its connection. One receives and several send, each in a task
//! of its own; who they are and in what order they go is kept in `shared.rs`.

use super::{Driver, give_way, poll_sleep};
use crate::link::{Link, Side};
use crate::runtime::Runtime;
use std::io;
use std::task::{Context, Poll, Waker};
use tidewire::{Machine, RecvBuf, Transport};

impl<R: Runtime, M: Machine> Driver<R, M> {
    /// From now on socket and timer wake `waker` for the side that sends.
    pub(crate) fn park_sender(&mut self, waker: &Waker) {
        self.link.park(Side::Drain, waker);
    }

    /// Nobody waits on `side` any more.
    pub(crate) fn leave(&mut self, side: Side) {
        self.link.leave(side);
    }

    /// Wakes the task that waits for events: it has something to see to.
    pub(crate) fn call_receiver(&mut self) {
        self.link.call(Side::Events);
    }

    /// [`poll_drain`](Self::poll_drain) for who has parked himself, and may not be the only one. What
    /// it finds for the side that waits for events, that side is woken for: the socket told of it once.
    pub(crate) fn drive(&mut self, mark: usize) -> Poll<io::Result<()>> {
        self.with_rope(|it, cx| it.drive_for(cx, mark))
    }

    fn drive_for(&mut self, cx: &mut Context<'_>, mark: usize) -> Poll<io::Result<()>> {
        let before = self.seen();
        // The machine sees what waits when it is advanced: else its deadline for that did not run.
        self.advance();
        let polled = self.poll_output(cx, mark);
        // What has left may be an event, too.
        let announced = self.advance();
        if polled.is_ready() {
            // Nobody may sleep for the deadlines that come of it.
            let deadline = self.machine.poll_timeout();
            if poll_sleep(&mut self.machine, &mut self.link, cx, deadline).is_ready() {
                let _: Poll<()> = give_way(cx);
            }
        }
        if announced || self.seen() != before {
            self.call_receiver();
        }
        polled
    }

    /// What changes when there is something for the side that waits for events.
    fn seen(&self) -> (usize, bool, bool, bool, Transport) {
        let Link { rx, error, .. } = &self.link;
        let (ended, attached) = (rx.is_finished(), self.link.is_attached());
        (rx.raw().len(), ended, error.is_some(), attached, self.machine.transport())
    }

    /// How many bytes were ever queued; of those, the last [`queued`](Self::queued) wait.
    pub(crate) fn ever_queued(&self) -> u64 {
        self.link.tx.taken() + self.link.tx.len() as u64
    }

    /// Whether there is no transport any more.
    pub(crate) fn is_detached(&self) -> bool {
        !self.link.is_attached()
    }

    /// Whether nothing can be written any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.link.error.is_some() || self.is_detached()
    }

    /// Takes the receive buffer away, while its event is looked at. Nothing may be done until it is
    /// [back](Self::put_rx) but to queue.
    pub(crate) fn take_rx(&mut self) -> RecvBuf {
        std::mem::replace(&mut self.link.rx, RecvBuf::with_limit(0))
    }

    pub(crate) fn put_rx(&mut self, rx: RecvBuf) {
        self.link.rx = rx;
    }
}
