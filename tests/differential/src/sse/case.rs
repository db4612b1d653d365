//! What is judged, and what comes of it.

use std::fmt;
use std::time::Duration;

/// An event, with the names of the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    pub event_type: String,
    pub data: String,
    pub id: String,
}

/// What is in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    Event(Event),
    Comment(String),
    Retry(Duration),
}

/// Why a peer told no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Failed(String),
    Panicked,
}

/// What somebody makes of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Verdict {
    pub items: Vec<Item>,
    /// What would be sent as `Last-Event-ID`.
    pub last_event_id: String,
    pub end: Option<End>,
}

impl Verdict {
    pub fn events(&self) -> Vec<&Event> {
        let mut events = Vec::new();
        for item in &self.items {
            if let Item::Event(event) = item {
                events.push(event);
            }
        }
        events
    }

    pub fn times(&self) -> Vec<Duration> {
        let time = |item: &Item| if let Item::Retry(time) = item { Some(*time) } else { None };
        self.items.iter().filter_map(time).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            match item {
                Item::Event(Event { event_type, data, id }) => {
                    write!(f, "{event_type} {data:?} #{id:?}; ")?;
                }
                Item::Comment(comment) => write!(f, ": {comment:?}; ")?,
                Item::Retry(time) => write!(f, "retry {}; ", time.as_millis())?,
            }
        }
        write!(f, "last #{:?}", self.last_event_id)?;
        self.end.as_ref().map_or(Ok(()), |end| write!(f, "; {end:?}"))
    }
}

/// The pieces of a stream that is cut at `cuts`, which ascend.
pub fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut from = 0;
    let mut pieces = Vec::new();
    for &to in cuts.iter().chain([&stream.len()]) {
        let to = to.min(stream.len());
        pieces.push(&stream[from..to]);
        from = to;
    }
    pieces
}
