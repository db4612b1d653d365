//! Fan-out and replay under arbitrary calls, beside a list of all events that there ever were.

use super::input::Input;
use tidewire::sse::{
    Cursor, Encoded, Event, Next, Overflow, PublishError, Replay, ReplayLimits, Since, Topic,
    TopicConfig,
};

const IDS: [Option<&str>; 8] =
    [None, Some("1"), Some("2"), Some("3"), Some(""), Some("äö"), None, Some("4")];

/// The bytes are a configuration and then calls, two bytes each.
///
/// # Panics
/// If a promise is broken.
pub fn sse_topic(data: &[u8]) {
    let mut input = Input(data);
    let mut run = Run::new(input.byte(), input.byte());
    while let Some((call, with)) = input.call() {
        match call % 8 {
            0..=2 => run.publish(with),
            3 | 4 => run.next(with),
            5 => run.subscribe(with),
            6 => run.unsubscribe(with),
            _ => run.ask(with),
        }
        run.check();
    }
    run.end();
}

/// A subscriber, and what is known of it.
struct Reader {
    cursor: Cursor,
    /// The position of the next event for it.
    at: usize,
    gap: bool,
    gone: bool,
}

struct Run {
    topic: Topic,
    replay: Replay,
    config: TopicConfig,
    /// All that was ever kept, by position.
    history: Vec<Encoded>,
    /// The positions of the oldest event in the topic, and in the replay.
    oldest: usize,
    readers: Vec<Reader>,
    dropped: u64,
    published: u64,
    pushed: Vec<Encoded>,
    replay_oldest: usize,
}

fn size(events: &[Encoded]) -> usize {
    events.iter().map(|event| event.bytes().len()).sum()
}

/// How many of the first of `kept` must go for `event` to come.
fn excess(kept: &[Encoded], event: &Encoded, limits: ReplayLimits) -> usize {
    let fits = |&gone: &usize| {
        let kept = &kept[gone..];
        kept.len() < limits.events.max(1) && size(kept) + event.bytes().len() <= limits.bytes
    };
    (0..=kept.len()).find(fits).expect("it fits alone")
}

/// The position behind the newest of `events` from `oldest` on that has this id, or which may have
/// been missed.
fn since(events: &[Encoded], oldest: usize, id: &str) -> Since {
    let has = |event: &Encoded| event.id() == Some(id);
    // The one before the oldest counts too: who has seen it has missed nothing.
    let from = oldest.saturating_sub(1);
    match events[from..].iter().rposition(has) {
        Some(at) => Since::Rest((from + at + 1) as u64),
        None => Since::Gap(oldest as u64),
    }
}

impl Run {
    fn new(config: u8, limits: u8) -> Self {
        let overflow = [Overflow::Wait, Overflow::DropOldest, Overflow::Disconnect];
        let keep = ReplayLimits {
            events: usize::from(limits % 8),
            bytes: [1, 12, 40, 100, 200, 1000, 1 << 20, usize::MAX][usize::from(limits >> 3) % 8],
        };
        let config = TopicConfig {
            keep,
            replay: config & 4 == 0,
            overflow: overflow[usize::from(config & 3) % 3],
        };
        Self {
            topic: Topic::new(config),
            replay: Replay::new(keep),
            config,
            history: Vec::new(),
            oldest: 0,
            readers: Vec::new(),
            dropped: 0,
            published: 0,
            pushed: Vec::new(),
            replay_oldest: 0,
        }
    }

    /// Those that were not let go.
    fn live(&mut self) -> impl Iterator<Item = &mut Reader> {
        self.readers.iter_mut().filter(|reader| !reader.gone)
    }

    fn publish(&mut self, with: usize) {
        let data = "x".repeat(with >> 3);
        let mut event = Event::data(&data);
        if let Some(id) = IDS[with % 8] {
            event = event.id(id);
        }
        let event = event.to_encoded().expect("no line breaks");
        self.push(&event);
        let done = self.topic.publish(event.clone());
        let keep = self.config.keep;
        if event.bytes().len() > keep.bytes {
            return assert!(matches!(done, Err(PublishError::TooLarge(_))), "{done:?}");
        }
        if !self.config.replay {
            // What everyone has is not kept.
            let end = self.history.len();
            self.oldest = self.live().map(|reader| reader.at).min().unwrap_or(end).max(self.oldest);
        }
        let gone = excess(&self.history[self.oldest..], &event, keep);
        let (to, end) = (self.oldest + gone, self.history.len());
        if self.config.overflow == Overflow::Wait && self.live().any(|reader| reader.at < to) {
            return assert_eq!(done, Err(PublishError::Full));
        }
        assert_eq!(done, Ok(()));
        self.published += 1;
        let (overflow, from) = (self.config.overflow, self.oldest);
        let mut dropped = 0;
        for reader in self.live().filter(|reader| reader.at < to) {
            // What it had missed before was counted then.
            let first = reader.at.max(from);
            reader.gone = overflow == Overflow::Disconnect;
            dropped += if reader.gone { end - first } else { to - first };
        }
        self.dropped += dropped as u64;
        self.oldest = to;
        if self.config.replay || self.live().next().is_some() {
            self.history.push(event);
        }
    }

    /// The same event for a `Replay` by itself.
    fn push(&mut self, event: &Encoded) {
        let keep = self.config.keep;
        let done = self.replay.push(event.clone());
        if event.bytes().len() > keep.bytes {
            return assert!(done.is_err());
        }
        self.replay_oldest += excess(&self.pushed[self.replay_oldest..], event, keep);
        assert_eq!(done, Ok(self.pushed.len() as u64));
        self.pushed.push(event.clone());
    }

    fn next(&mut self, with: usize) {
        let count = self.readers.len();
        let Some(reader) = self.readers.get_mut(with % count.max(1)) else { return };
        let expected = if core::mem::take(&mut reader.gap) {
            Some(Next::Gap(None))
        } else if reader.gone {
            Some(Next::TooSlow)
        } else if reader.at < self.oldest {
            let missed = self.oldest - core::mem::replace(&mut reader.at, self.oldest);
            Some(Next::Gap(Some(missed as u64)))
        } else {
            reader.at += 1;
            self.history.get(reader.at - 1).map(Next::Event)
        };
        if expected.is_none() {
            reader.at -= 1;
        }
        assert_eq!(self.topic.has_next(&reader.cursor), expected.is_some());
        assert_eq!(self.topic.next(&mut reader.cursor), expected);
    }

    fn subscribe(&mut self, with: usize) {
        if self.readers.len() >= 8 {
            return;
        }
        let id = IDS[with % 8];
        let cursor = self.topic.subscribe(id);
        let named = id.filter(|id| self.config.replay && !id.is_empty());
        let (at, gap) = match named.map(|id| since(&self.history, self.oldest, id)) {
            None => (self.history.len(), false),
            Some(Since::Rest(at)) => (at as usize, false),
            Some(Since::Gap(at)) => (at as usize, true),
        };
        self.readers.push(Reader { cursor, at, gap, gone: false });
    }

    fn unsubscribe(&mut self, with: usize) {
        if !self.readers.is_empty() {
            let reader = self.readers.swap_remove(with % self.readers.len());
            self.topic.unsubscribe(reader.cursor);
        }
    }

    /// What the replay says, and whether giving memory back changes anything.
    fn ask(&mut self, with: usize) {
        let id = IDS[with % 8].unwrap_or("none");
        assert_eq!(self.replay.since(id), since(&self.pushed, self.replay_oldest, id));
        let at = with >> 3;
        let kept = self.pushed.get(at).filter(|_| at >= self.replay_oldest);
        assert_eq!(self.replay.get(at as u64), kept);
        if with % 16 == 0 && self.replay_oldest < self.pushed.len() {
            self.replay.drop_oldest();
            self.replay_oldest += 1;
        }
        self.replay.shrink();
        self.topic.shrink();
        if !self.config.replay {
            // A subscriber that comes and goes at once changes nothing.
            let nobody = self.topic.subscribe(None);
            self.topic.unsubscribe(nobody);
            assert_eq!(self.topic.stats().kept, self.needed());
        }
    }

    /// How many events somebody waits for.
    fn needed(&mut self) -> usize {
        let (end, oldest) = (self.history.len(), self.oldest);
        self.live().map(|reader| end - reader.at.max(oldest)).max().unwrap_or(0)
    }

    /// What holds behind every call.
    fn check(&mut self) {
        let kept = &self.pushed[self.replay_oldest..];
        assert_eq!((self.replay.len(), self.replay.bytes()), (kept.len(), size(kept)));
        assert_eq!(self.replay.oldest(), self.replay_oldest as u64);
        assert_eq!(self.replay.end(), self.pushed.len() as u64);
        assert_eq!(self.replay.is_empty(), kept.is_empty());

        let (stats, keep) = (self.topic.stats(), self.config.keep);
        assert!(stats.kept <= keep.events.max(1) && stats.kept_bytes <= keep.bytes);
        let (end, oldest) = (self.history.len(), self.oldest);
        let queued: usize = self.live().map(|reader| end - reader.at.max(oldest)).sum();
        assert_eq!(stats.queued, queued as u64);
        assert_eq!(stats.subscribers, self.readers.len());
        assert_eq!((stats.dropped, stats.published), (self.dropped, self.published));
        if self.config.replay {
            assert_eq!(stats.kept, end - oldest);
            assert_eq!(stats.kept_bytes, size(&self.history[oldest..]));
        } else {
            // What everyone has may be forgotten later.
            assert!(stats.kept >= self.needed(), "{} of {}", stats.kept, self.needed());
        }
    }

    /// Everyone takes what there is, and leaves.
    fn end(&mut self) {
        for number in 0..self.readers.len() {
            while self.topic.has_next(&self.readers[number].cursor) && !self.readers[number].gone {
                self.next(number);
            }
        }
        while !self.readers.is_empty() {
            self.unsubscribe(0);
        }
        let stats = self.topic.stats();
        assert_eq!((stats.subscribers, stats.queued), (0, 0));
        assert!(self.config.replay || stats.kept == 0);
    }
}
