//! A topic, and who waits for it.

use event_listener::Event as Signal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tidewire::sse::{Encoded, PublishError, Topic, TopicConfig};

/// A topic, and who waits for it.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    state: Mutex<State>,
    /// A subscriber has moved on, which only [`Overflow::Wait`] waits for.
    pub(super) room: Signal,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) topic: Topic,
    /// Nothing is published here any more.
    pub(super) closed: bool,
    /// A place for each subscriber, with its waker while it waits.
    places: Vec<Place>,
    /// The first place that is free; each names the next.
    free: usize,
    /// How many wait.
    waiting: usize,
    /// Kept from one event to the next.
    woken: Vec<Waker>,
}

#[derive(Debug)]
enum Place {
    Free(usize),
    Taken(Option<Waker>),
}

impl Channel {
    pub(super) fn new(name: &str, config: TopicConfig) -> Self {
        let state = State {
            topic: Topic::new(config),
            closed: false,
            places: Vec::new(),
            free: 0,
            waiting: 0,
            woken: Vec::new(),
        };
        Self { name: name.to_owned(), state: Mutex::new(state), room: Signal::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes to how many; `None` if the channel is closed.
    pub(super) fn publish(&self, event: &Encoded) -> Option<Result<usize, PublishError>> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let published = state.topic.publish(event.clone());
        let subscribers = state.topic.stats().subscribers;
        if published.is_ok() {
            self.wake(state);
        }
        Some(published.map(|()| subscribers))
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(state);
        self.room.notify(usize::MAX);
    }

    /// Wakes all who wait, without the lock: they want it next.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if state.waiting == 0 {
            return;
        }
        state.waiting = 0;
        let mut woken = std::mem::take(&mut state.woken);
        woken.extend(state.places.iter_mut().filter_map(|place| match place {
            Place::Taken(waker) => waker.take(),
            Place::Free(_) => None,
        }));
        drop(state);
        woken.drain(..).for_each(Waker::wake);
        self.state().woken = woken;
    }
}

impl State {
    pub(super) fn take_place(&mut self) -> usize {
        let place = self.free;
        match self.places.get_mut(place) {
            Some(free) => {
                if let Place::Free(next) = std::mem::replace(free, Place::Taken(None)) {
                    self.free = next;
                }
            }
            None => {
                self.places.push(Place::Taken(None));
                self.free = self.places.len();
            }
        }
        place
    }

    pub(super) fn give_place_back(&mut self, place: usize) {
        let free = Place::Free(self.free);
        if let Place::Taken(Some(_)) = std::mem::replace(&mut self.places[place], free) {
            self.waiting -= 1;
        }
        self.free = place;
    }

    pub(super) fn wait(&mut self, place: usize, waker: &Waker) {
        match &mut self.places[place] {
            Place::Taken(Some(known)) => known.clone_from(waker),
            free => {
                *free = Place::Taken(Some(waker.clone()));
                self.waiting += 1;
            }
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        let stats = self.topic.stats();
        stats.subscribers == 0 && stats.kept == 0
    }
}
