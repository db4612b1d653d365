//! What a client that comes back has missed.

use super::Encoded;
use alloc::collections::VecDeque;
use bytes::Bytes;

/// How much a [`Replay`] keeps. The oldest events make room for new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// How many events: 1,024 unless changed. 0 is taken for 1.
    pub events: usize,
    /// How many bytes of them, as encoded: 1 MiB unless changed.
    pub bytes: usize,
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self { events: 1024, bytes: 1024 * 1024 }
    }
}

/// The latest events of a stream, for clients that reconnect with the id of the last one that they
/// have seen (WHATWG HTML, 9.2.4).
///
/// Each event has a position, which counts from 0 and is never used again. A client reads on from
/// the position that [`since`](Self::since) gives it.
///
/// ```
/// use tidewire::sse::{Event, Replay, ReplayLimits, Since};
///
/// let mut replay = Replay::new(ReplayLimits { events: 3, ..Default::default() });
/// for id in ["1", "2", "3", "4", "5"] {
///     replay.push(Event::data("news").id(id).to_encoded()?)?;
/// }
/// let Since::Rest(position) = replay.since("4") else { panic!() };
/// assert_eq!(replay.get(position).and_then(|event| event.id()), Some("5"));
/// // Who has seen "1" has missed "2", which nobody has any more.
/// assert_eq!(replay.since("1"), Since::Gap(replay.oldest()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Give every event an id, each another one: an event without any is sent again to a client that
/// saw it and nothing with an id behind it. Spaces at the ends of an id and control characters do not
/// come back: a header field cannot carry them (RFC 9110, 5.5). If the program is started anew, its ids
/// should be new too, or a client might come back with one that means another event by now.
#[derive(Clone, Debug)]
pub struct Replay {
    limits: ReplayLimits,
    ring: VecDeque<Encoded>,
    /// The position of the first in `ring`.
    oldest: u64,
    bytes: usize,
    /// The id of the event before the first in `ring`: who has seen that has missed nothing.
    before: Option<Bytes>,
}

/// Where a client that comes back goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// Behind the event that it named: what comes from this position on is all that it has missed.
    Rest(u64),
    /// The event that it named is not kept any more, or never was: what is kept begins at this
    /// position, and before it may be a gap.
    Gap(u64),
}

/// An event that is bigger than [`ReplayLimits::bytes`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("an event of {size} bytes is more than the {limit} that are kept")]
pub struct TooLarge {
    /// Its size, in bytes.
    pub size: usize,
    /// The limit, in bytes.
    pub limit: usize,
}

impl Replay {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: ReplayLimits) -> Self {
        Self { limits, ring: VecDeque::new(), oldest: 0, bytes: 0, before: None }
    }

    /// Adds the newest event, and returns its position. The oldest ones go, as the limits demand.
    ///
    /// # Errors
    /// [`TooLarge`]; then nothing has changed.
    pub fn push(&mut self, event: Encoded) -> Result<u64, TooLarge> {
        for _ in 0..self.excess(&event)? {
            self.drop_oldest();
        }
        self.bytes += event.bytes().len();
        self.ring.push_back(event);
        Ok(self.end() - 1)
    }

    /// How many of the oldest must go for `event` to come.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(super) fn excess(&self, event: &Encoded) -> Result<usize, TooLarge> {
        let (size, limit) = (event.bytes().len(), self.limits.bytes);
        if size > limit {
            return Err(TooLarge { size, limit });
        }
        let mut excess = (self.ring.len() + 1).saturating_sub(self.limits.events.max(1));
        let mut bytes = self.bytes + size;
        for (index, old) in self.ring.iter().enumerate() {
            if index >= excess && bytes <= limit {
                break;
            }
            excess = excess.max(index + 1);
            bytes -= old.bytes().len();
        }
        Ok(excess)
    }

    /// Forgets the oldest event.
    pub fn drop_oldest(&mut self) {
        if let Some(event) = self.ring.pop_front() {
            self.oldest += 1;
            self.bytes -= event.bytes().len();
            // An event without id changes nothing about the last one, but is missed itself.
            self.before = event.into_id();
        }
    }

    /// Where a client goes on that names the last event that it has seen. Of several with the same
    /// id, the newest is meant. It looks at every event that is kept, newest first.
    #[must_use]
    pub fn since(&self, last_event_id: &str) -> Since {
        let id = last_event_id.as_bytes();
        let seen = self.ring.iter().rposition(|event| event.id_bytes() == Some(id));
        match seen {
            Some(index) => Since::Rest(self.oldest + index as u64 + 1),
            None if self.before.as_deref() == Some(id) => Since::Rest(self.oldest),
            None => Since::Gap(self.oldest),
        }
    }

    /// The event at `position`, if it is kept.
    #[inline]
    #[must_use]
    pub fn get(&self, position: u64) -> Option<&Encoded> {
        self.ring.get(usize::try_from(position.checked_sub(self.oldest)?).ok()?)
    }

    /// The position of the oldest event that is kept; [`end`](Self::end) if there is none.
    #[must_use]
    pub const fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The position that the next event will get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.oldest + self.ring.len() as u64
    }

    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether no event is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// How many bytes are kept, as encoded.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives memory back that is not in use.
    pub fn shrink(&mut self) {
        self.ring.shrink_to_fit();
    }
}
