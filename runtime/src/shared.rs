//! A connection that is shared by its halves: one that receives, and any number that send.
//!
//! ```text
//!   receiver --+                        +-- sender      waiting for room, in the order in which they
//!              +--> Mutex<connection> <-+-- sender      came: the first of them may queue next
//!   socket ----+                        +-- sender      waiting until what they queued has left
//! ```
//!
//! The lock is held for one poll, and never while a callback of the program runs.
//!
//! Whoever polls drives the connection for all. What the socket and the timer wake is the receiver and
//! *the first* of the senders that wait. Why no sender sleeps who should not:
//!
//! * Before a sender touches the socket it stands in the queue, and the first of the queue is parked
//!   where the socket rings. A ring has woken somebody who stands first, then.
//! * Whoever stands first anew, because the one before has what it wanted or was dropped, is woken,
//!   whatever rang meanwhile.
//! * At the end of each poll, whoever's, those are woken who have what they wait for.

use crate::driver::{Driver, EVENTS};
use crate::error::Error;
use crate::link::Side;
use crate::runtime::Runtime;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tidewire::ws::SendError;
use tidewire::{Machine, RecvBuf, SendBuf};

/// A connection that can be shared.
pub(crate) trait Duplex {
    type Runtime: Runtime;
    type Machine: Machine;

    fn driver(&self) -> &Driver<Self::Runtime, Self::Machine>;
    fn driver_mut(&mut self) -> &mut Driver<Self::Runtime, Self::Machine>;

    /// Whether a message is taken. Between a time when none was and one when
    /// few enough bytes wait, none `was_full`.
    fn has_room(&self, was_full: bool) -> bool;

    /// At how many waiting bytes there is room again.
    fn low_water(&self) -> usize;

    /// Whether it is of no use to wait for room.
    fn is_closing(&self) -> bool;

    /// Takes events for nobody. Ready when nothing comes any more.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Writes and reads what can be; ready once at most `mark` bytes wait.
    fn drive(&mut self, mark: usize) -> Poll<Result<(), Error>>;
}

/// The end of what never leaves: for who waits for the end of the connection.
const NEVER: u64 = u64::MAX;

/// See the head of this file.
pub(crate) struct Shared<S: Duplex>(Mutex<State<S>>);

/// What is behind the lock.
pub(crate) struct State<S: Duplex> {
    pub(crate) socket: S,
    /// Whether the receiving half is there.
    receives: bool,
    /// The receiver's event is being looked at, and the receive buffer is with it.
    lent: bool,
    was_full: bool,
    /// Messages that went without a pause.
    hasty: usize,
    next_id: u64,
    /// Who waits for room.
    room: VecDeque<Waiting>,
    /// Who waits until something has left, in the order in which that was queued.
    written: VecDeque<Waiting>,
    /// The first of the queue, which is parked.
    first: Option<u64>,
    /// To be woken when the lock is free.
    woken: Vec<Waker>,
}

struct Waiting {
    id: u64,
    /// The end of what has to leave, as [`Driver::ever_queued`] counts.
    end: u64,
    /// It was woken for its turn.
    called: bool,
    waker: Waker,
}

impl<S: Duplex> Shared<S> {
    pub(crate) fn new(socket: S) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            socket,
            receives: true,
            lent: false,
            was_full: false,
            hasty: 0,
            next_id: 0,
            room: VecDeque::new(),
            written: VecDeque::new(),
            first: None,
            woken: Vec::new(),
        })))
    }

    /// Works on the connection, then wakes those for whom that has changed something.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State<S>) -> T) -> T {
        let mut state = self.lock();
        let value = work(&mut state);
        state.settle();
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        value
    }

    /// A panic of a stream of the program's, say, may have poisoned it; it is as whole as after any
    /// other return.
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the receive buffer, so that an event can be looked at without the lock. Until it is back
    /// the senders queue, and touch nothing else.
    pub(crate) fn lend(&self) -> Lent<'_, S> {
        let mut state = self.lock();
        state.lent = true;
        Lent { rx: state.socket.driver_mut().take_rx(), shared: self }
    }

    /// Queues without waiting, for the receiver to write.
    pub(crate) fn queue<E>(
        &self,
        send: impl FnOnce(&mut S::Machine, &mut SendBuf) -> Result<(), E>,
    ) -> Result<(), E> {
        self.with(|state| {
            let (machine, tx) = state.parts();
            let queued = send(machine, tx);
            state.socket.driver_mut().call_receiver();
            queued
        })
    }

    /// The connection of two halves, if they are all that there are of one; else both halves. `of` says
    /// what each is a half of.
    pub(crate) fn reunite<A, B>(
        receiver: A,
        sender: B,
        of: impl for<'a> Fn(&'a A, &'a B) -> [&'a Arc<Self>; 2],
    ) -> Result<S, (A, B)> {
        let [one, other] = of(&receiver, &sender);
        // Two are these. Nobody can clone them meanwhile.
        if !Arc::ptr_eq(one, other) || Arc::strong_count(one) != 2 {
            return Err((receiver, sender));
        }
        let shared = one.clone();
        drop((receiver, sender));
        match Arc::into_inner(shared) {
            Some(it) => Ok(it.0.into_inner().unwrap_or_else(PoisonError::into_inner).socket),
            None => unreachable!("the only two halves were counted"),
        }
    }
}

/// The receive buffer, while its event is looked at.
pub(crate) struct Lent<'a, S: Duplex> {
    rx: RecvBuf,
    shared: &'a Shared<S>,
}

impl<'a, S: Duplex> Lent<'a, S> {
    /// The buffer, and the connection to take the event from.
    pub(crate) fn parts(&mut self) -> (&mut RecvBuf, MutexGuard<'a, State<S>>) {
        (&mut self.rx, self.shared.lock())
    }
}

impl<S: Duplex> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        let rx = std::mem::replace(&mut self.rx, RecvBuf::with_limit(0));
        self.shared.with(|state| {
            state.lent = false;
            state.socket.driver_mut().put_rx(rx);
            state.wake_first();
        });
    }
}

impl<S: Duplex> State<S> {
    /// Wakes those who have what they wait for, and whoever has come to stand first.
    fn settle(&mut self) {
        // While an event is looked at nothing can be told: who is woken would be back at once.
        while !self.lent && self.written.front().is_some_and(|next| self.is_done(next.end)) {
            self.woken.extend(self.written.pop_front().map(|it| it.waker));
        }
        if self.socket.is_closing() {
            self.woken.extend(self.room.drain(..).map(|it| it.waker));
        } else if !self.room.is_empty() && self.has_room() {
            if let Some(next) = self.room.front_mut().filter(|it| !it.called) {
                next.called = true;
                self.woken.push(next.waker.clone());
            }
        }
        let first = self.park_first();
        if first != self.first && first.is_some() {
            self.wake_first();
        }
        self.first = first;
    }

    /// Parks the first of the queue where the socket rings.
    fn park_first(&mut self) -> Option<u64> {
        let first = self.written.front().or(self.room.front());
        match first {
            Some(first) => self.socket.driver_mut().park_sender(&first.waker),
            None if self.first.is_some() => self.socket.driver_mut().leave(Side::Drain),
            None => {}
        }
        first.map(|it| it.id)
    }

    pub(crate) fn wake_first(&mut self) {
        let first = self.written.front().or(self.room.front());
        self.woken.extend(first.map(|it| it.waker.clone()));
    }

    /// Whether there is nothing to wait for any more, for who waits until all before `end` has left.
    fn is_done(&self, end: u64) -> bool {
        let driver = self.socket.driver();
        match end {
            NEVER => driver.is_detached(),
            end => driver.is_broken() || driver.queued() <= self.behind(end),
        }
    }

    /// How many bytes wait behind that end of something that was queued.
    fn behind(&self, end: u64) -> usize {
        let behind = self.socket.driver().ever_queued().saturating_sub(end);
        usize::try_from(behind).unwrap_or(usize::MAX)
    }

    fn has_room(&mut self) -> bool {
        let room = self.socket.has_room(self.was_full);
        self.was_full &= !room;
        room
    }

    /// Whether a sender, who stands at `id` if it waits already, may queue a message.
    fn has_turn(&mut self, id: Option<u64>) -> bool {
        if self.socket.is_closing() {
            // Everyone is told so.
            return true;
        }
        self.room.front().is_none_or(|first| Some(first.id) == id) && self.has_room()
    }

    /// Puts a sender into the queue, or finds it there.
    fn enlist(&mut self, id: Option<u64>, end: Option<u64>, waker: &Waker) -> u64 {
        let queue = if end.is_some() { &mut self.written } else { &mut self.room };
        let place = queue.iter_mut().find(|it| Some(it.id) == id);
        let id = if let Some(it) = place {
            it.called = false;
            it.waker.clone_from(waker);
            it.id
        } else {
            let (id, end) = (self.next_id, end.unwrap_or_default());
            self.next_id += 1;
            let at = queue.partition_point(|it| it.end <= end);
            queue.insert(at, Waiting { id, end, called: false, waker: waker.clone() });
            id
        };
        let first = self.park_first();
        if first == Some(id) {
            // It is being polled, and needs not be woken.
            self.first = first;
        }
        id
    }

    fn leave(&mut self, id: Option<u64>) {
        self.room.retain(|it| Some(it.id) != id);
        self.written.retain(|it| Some(it.id) != id);
    }

    /// Writes and reads what can be; ready once at most `mark` bytes wait.
    fn drive(&mut self, mark: usize) -> Poll<Result<(), Error>> {
        if self.lent {
            return Poll::Pending;
        }
        if !self.receives {
            let _ = self.discard();
        }
        self.socket.drive(mark)
    }

    /// Takes the events that nobody is there for, for a sender that is in the queue.
    fn discard(&mut self) -> Poll<()> {
        let first = self.written.front().or(self.room.front());
        let Some(waker) = first.map(|it| it.waker.clone()) else { return Poll::Pending };
        self.socket.poll_discard(&mut Context::from_waker(&waker))
    }

    /// The receiving half is gone. A sender that waits takes over.
    pub(crate) fn receive_no_more(&mut self) {
        self.receives = false;
        self.wake_first();
    }

    /// Writes what can be, for nobody to wait; the receiver sees to the rest.
    pub(crate) fn nudge(&mut self) {
        if self.drive(0).is_pending() {
            self.socket.driver_mut().call_receiver();
        }
    }

    /// What commands to the machine take.
    pub(crate) fn parts(&mut self) -> (&mut S::Machine, &mut SendBuf) {
        let parts = self.socket.driver_mut().parts();
        (parts.machine, parts.tx)
    }
}

/// One future of a sending half, and its place in the queue. Dropped, it makes way for the next.
pub(crate) struct Place<'a, S: Duplex> {
    shared: &'a Shared<S>,
    id: Option<u64>,
    /// The end of what was queued.
    end: Option<u64>,
}

impl<'a, S: Duplex> Place<'a, S> {
    pub(crate) fn new(shared: &'a Shared<S>) -> Self {
        Self { shared, id: None, end: None }
    }

    /// Behind all that is queued already.
    pub(crate) fn behind_all(shared: &'a Shared<S>) -> Self {
        let end = shared.with(|state| state.socket.driver().ever_queued());
        Self { shared, id: None, end: Some(end) }
    }

    /// Queues a message by `send` when it is this one's turn, and waits until it has left.
    pub(crate) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        send: impl FnMut(&mut S::Machine, &mut SendBuf) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_queue(cx, send))?;
        self.poll_written(cx)
    }

    /// Queues a message by `send` when it is this one's turn.
    pub(crate) fn poll_queue(
        &mut self,
        cx: &Context<'_>,
        mut send: impl FnMut(&mut S::Machine, &mut SendBuf) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        let Self { shared, id, end } = self;
        if end.is_some() {
            return Poll::Ready(Ok(()));
        }
        shared.with(|state| {
            if id.is_none() && state.hasty >= EVENTS {
                // A peer that takes everything at once never lets the task wait; others want to run.
                state.hasty = 0;
                state.woken.push(cx.waker().clone());
                return Poll::Pending;
            }
            for _ in 0..2 {
                if state.has_turn(*id) {
                    let (machine, tx) = state.parts();
                    match send(machine, tx) {
                        Err(SendError::Full) if !state.socket.is_closing() => state.was_full = true,
                        result => {
                            state.leave(id.take());
                            state.hasty += 1;
                            *end = Some(state.socket.driver().ever_queued());
                            return Poll::Ready(result.map_err(Error::from));
                        }
                    }
                }
                *id = Some(state.enlist(*id, None, cx.waker()));
                match state.drive(state.socket.low_water()) {
                    Poll::Ready(Ok(())) if state.has_turn(*id) => {}
                    Poll::Ready(Err(error)) => {
                        state.leave(id.take());
                        return Poll::Ready(Err(error));
                    }
                    _ => break,
                }
            }
            state.hasty = 0;
            Poll::Pending
        })
    }

    /// Ready once what was queued has left.
    pub(crate) fn poll_written(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let Self { shared, id, end } = self;
        let Some(at) = *end else { return Poll::Ready(Ok(())) };
        shared.with(|state| {
            *id = Some(state.enlist(*id, *end, cx.waker()));
            let polled = state.drive(state.behind(at));
            match polled {
                Poll::Ready(_) => state.leave(id.take()),
                Poll::Pending => state.hasty = 0,
            }
            polled
        })
    }

    /// Ready once the connection has ended, for one whose receiving half is gone; at once for others.
    pub(crate) fn poll_ended(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Self { shared, id, .. } = self;
        shared.with(|state| {
            if !state.receives {
                *id = Some(state.enlist(*id, Some(NEVER), cx.waker()));
                ready!(state.discard());
            }
            state.leave(id.take());
            Poll::Ready(())
        })
    }
}

impl<S: Duplex> Drop for Place<'_, S> {
    fn drop(&mut self) {
        if self.id.is_some() {
            self.shared.with(|state| state.leave(self.id));
        }
    }
}
