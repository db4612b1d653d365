//! One stream of events for many subscribers.

use super::{Encoded, Replay, ReplayLimits, Since, TooLarge};
use alloc::collections::VecDeque;
use core::mem::replace;

/// For how many events a topic that keeps none holds room.
const SPARE: usize = 64;

/// What happens to a subscriber that takes events more slowly than they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The event is refused, and whoever has it waits until there is room. In a [`Topic`] so the
    /// slowest subscriber slows all others down.
    Wait,
    /// The subscriber misses the oldest events that wait for it, each of them whole.
    #[default]
    DropOldest,
    /// The subscriber is let go: its response is broken off. An `EventSource` comes back with the id of
    /// the last event that it has seen, which may not be kept any more by then.
    Disconnect,
}

/// How a [`Topic`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// How many events are kept, for slow subscribers and for those that come back alike.
    pub keep: ReplayLimits,
    /// Whether events are kept for subscribers that come back: `true` unless changed. Else an event
    /// is forgotten once every subscriber has it.
    pub replay: bool,
    /// What happens to a subscriber for which more than that would have to be kept:
    /// [`Overflow::DropOldest`] unless changed.
    pub overflow: Overflow,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self { keep: ReplayLimits::default(), replay: true, overflow: Overflow::default() }
    }
}

/// One stream of events for many subscribers: a single log, in which every subscriber has its place.
///
/// A subscriber costs its [`Cursor`], however slow it is, and publishing costs the same however many
/// there are. To wake subscribers up is their owner's business.
///
/// ```
/// use tidewire::sse::{Event, Next, Topic, TopicConfig};
///
/// let mut topic = Topic::new(TopicConfig::default());
/// let mut early = topic.subscribe(None);
/// for id in ["1", "2"] {
///     topic.publish(Event::data("news").id(id).to_encoded()?)?;
/// }
/// let mut back = topic.subscribe(Some("1")); // who has seen "1" needs the rest
/// let Some(Next::Event(event)) = topic.next(&mut back) else { panic!() };
/// assert_eq!(event.id(), Some("2"));
/// assert!(topic.next(&mut back).is_none());
/// assert_eq!(topic.stats().queued, 2); // both are still to come for `early`
/// # topic.unsubscribe(early);
/// topic.unsubscribe(back);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Topic {
    config: TopicConfig,
    log: Replay,
    /// How many cursors are at each position of the log, its end included.
    readers: VecDeque<usize>,
    /// Their sum: the subscribers that were not let go.
    reading: usize,
    stats: TopicStats,
}

/// The place of one subscriber in a [`Topic`]. It goes back to [`Topic::unsubscribe`]; one that is
/// dropped counts as a subscriber that takes nothing any more. In another topic than its own it means
/// nothing: methods that are given it may panic.
#[derive(Debug)]
pub struct Cursor {
    at: u64,
    /// It begins behind a gap, which was not told yet.
    gap: bool,
}

/// What a subscriber gets next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// An event.
    Event(&'a Encoded),
    /// Events are missing here: so many, or nobody knows how many, because the event that the
    /// subscriber named is not kept any more, or never was.
    Gap(Option<u64>),
    /// The subscriber was too slow, and gets nothing any more: [`Overflow::Disconnect`].
    TooSlow,
}

/// Why an event was not published. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PublishError {
    /// The event alone is more than is kept.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A subscriber has not taken the oldest event yet, and [`Overflow::Wait`] says to wait for it.
    #[error("a subscriber is too slow")]
    Full,
}

/// The state of a [`Topic`], in events unless it says something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TopicStats {
    /// Subscribers there are.
    pub subscribers: usize,
    /// Events that subscribers have still to take, summed over all of them.
    pub queued: u64,
    /// Events that subscribers have missed or left behind because they were too slow, summed over
    /// all there ever were.
    pub dropped: u64,
    /// Events that were ever published.
    pub published: u64,
    /// Events that are kept.
    pub kept: usize,
    /// Bytes of the events that are kept.
    pub kept_bytes: usize,
}

impl Topic {
    /// One without events and subscribers.
    #[must_use]
    pub fn new(config: TopicConfig) -> Self {
        let readers = VecDeque::from([0]);
        let log = Replay::new(config.keep);
        Self { config, log, readers, reading: 0, stats: TopicStats::default() }
    }

    /// Adds a subscriber: behind the event that it names as the last one that it has seen, or, if it
    /// names none or nothing is replayed, where the next event will be.
    ///
    /// If that event isn't known, the subscriber gets everything that is kept, behind a
    /// [`Next::Gap`].
    #[must_use]
    pub fn subscribe(&mut self, last_event_id: Option<&str>) -> Cursor {
        let named = last_event_id.filter(|id| self.config.replay && !id.is_empty());
        let (at, gap) = match named.map(|id| self.log.since(id)) {
            Some(Since::Rest(at)) => (at, false),
            Some(Since::Gap(at)) => (at, true),
            None => (self.log.end(), false),
        };
        self.stats.subscribers += 1;
        self.stats.queued += self.log.end() - at;
        self.reading += 1;
        self.readers[(at - self.log.oldest()) as usize] += 1;
        Cursor { at, gap }
    }

    /// Publishes an event to whoever is subscribed, and keeps it for those who come back.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish(&mut self, event: Encoded) -> Result<(), PublishError> {
        self.forget();
        let excess = self.log.excess(&event)?;
        let waited_for = || self.readers.iter().take(excess).any(|&readers| readers > 0);
        if self.config.overflow == Overflow::Wait && waited_for() {
            return Err(PublishError::Full);
        }
        for _ in 0..excess {
            self.drop_oldest();
        }
        // Who was let go just now may have been the last to need some.
        self.forget();
        if self.config.replay || self.reading > 0 {
            self.log.push(event)?;
            self.readers.push_back(0);
        }
        self.stats.published += 1;
        self.stats.queued += self.reading as u64;
        Ok(())
    }

    /// The next thing for a subscriber; `None` if it has everything.
    pub fn next(&mut self, cursor: &mut Cursor) -> Option<Next<'_>> {
        self.forget();
        if replace(&mut cursor.gap, false) {
            return Some(Next::Gap(None));
        }
        if self.is_too_slow(cursor) {
            return Some(Next::TooSlow);
        }
        let oldest = self.log.oldest();
        if cursor.at < oldest {
            let missed = oldest - replace(&mut cursor.at, oldest);
            return Some(Next::Gap(Some(missed)));
        }
        let event = self.log.get(cursor.at)?;
        let index = (cursor.at - oldest) as usize;
        cursor.at += 1;
        self.readers[index] -= 1;
        self.readers[index + 1] += 1;
        self.stats.queued -= 1;
        Some(Next::Event(event))
    }

    /// Whether [`next`](Self::next) has something for the subscriber.
    #[must_use]
    pub fn has_next(&self, cursor: &Cursor) -> bool {
        cursor.gap || cursor.at < self.log.end()
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&mut self, cursor: Cursor) {
        self.stats.subscribers -= 1;
        if !self.is_too_slow(&cursor) {
            // Where it would go on, if it has missed something.
            let at = cursor.at.max(self.log.oldest());
            self.readers[(at - self.log.oldest()) as usize] -= 1;
            self.reading -= 1;
            self.stats.queued -= self.log.end() - at;
        }
        self.forget();
    }

    /// Counts, as they are now.
    #[must_use]
    pub fn stats(&self) -> TopicStats {
        TopicStats { kept: self.log.len(), kept_bytes: self.log.bytes(), ..self.stats }
    }

    /// Gives memory back that is not in use.
    pub fn shrink(&mut self) {
        self.log.shrink();
        self.readers.shrink_to_fit();
    }

    /// Whether the subscriber was let go.
    fn is_too_slow(&self, cursor: &Cursor) -> bool {
        self.config.overflow == Overflow::Disconnect && cursor.at < self.log.oldest()
    }

    /// Drops the oldest event to make room. Whoever has not taken it misses it, or is let go.
    fn drop_oldest(&mut self) {
        let readers = self.readers.pop_front().unwrap_or_default() as u64;
        let lost = match self.config.overflow {
            Overflow::Disconnect => {
                self.reading -= readers as usize;
                readers * self.log.len() as u64
            }
            Overflow::DropOldest | Overflow::Wait => {
                self.readers[0] += readers as usize;
                readers
            }
        };
        self.stats.queued -= lost;
        self.stats.dropped += lost;
        self.log.drop_oldest();
    }

    /// Drops what every subscriber has, unless it is kept for those who come back.
    fn forget(&mut self) {
        if !self.config.replay {
            while self.readers[0] == 0 && !self.log.is_empty() {
                self.drop_oldest();
            }
            // What a slow subscriber made grow should not be paid for until the topic goes.
            if self.log.is_empty() && self.readers.capacity() > SPARE {
                self.shrink();
            }
        }
    }
}
