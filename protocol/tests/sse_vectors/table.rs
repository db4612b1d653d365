//! The tables of event streams: `tests/vectors/sse_*.json`, explained in `tests/vectors/README.md`.

use core::time::Duration;
use serde::Deserialize;
use tidewire::sse::{EncodeError, Event, Limits};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) section: String,
    pub(crate) rule: String,
    pub(crate) why: Option<String>,
    pub(crate) deviates: Option<String>,
    #[serde(default)]
    limits: LowerLimits,
    #[serde(default)]
    pub(crate) before: String,
    bytes: String,
    #[serde(default)]
    pub(crate) gives: Vec<Told>,
    #[serde(default)]
    pub(crate) last_event_id: String,
    pub(crate) error: Option<String>,
    pub(crate) offset: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowerLimits {
    line: Option<usize>,
    event: Option<usize>,
    name: Option<usize>,
}

/// An item, and behind how many bytes of the stream it is told.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Told {
    #[serde(flatten)]
    pub(crate) item: Item,
    pub(crate) after: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Item {
    Event {
        #[serde(default = "message", rename = "type")]
        event_type: String,
        data: String,
        #[serde(default)]
        id: String,
    },
    Comment {
        comment: String,
    },
    Retry {
        retry: u64,
    },
}

fn message() -> String {
    "message".to_owned()
}

impl Vector {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        latin1(&self.bytes)
    }

    pub(crate) fn limits(&self) -> Limits {
        let LowerLimits { line, event, name } = self.limits;
        let default = Limits::default();
        Limits {
            line: line.unwrap_or(default.line),
            event: event.unwrap_or(default.event),
            name: name.unwrap_or(default.name),
        }
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        self.gives.iter().map(|told| told.item.clone()).collect()
    }

    /// The last `retry` among the items.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.gives.iter().rev().find_map(|told| match told.item {
            Item::Retry { retry } => Some(Duration::from_millis(retry)),
            _ => None,
        })
    }
}

/// A vector of the encoder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoding {
    pub(crate) id: String,
    pub(crate) section: String,
    pub(crate) rule: String,
    event: Fields,
    bytes: Option<String>,
    #[serde(default)]
    pub(crate) gives: Vec<Item>,
    pub(crate) error: Option<String>,
    pub(crate) at: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    comment: Option<String>,
    event: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    data: Option<String>,
}

impl Encoding {
    /// What the encoder gives.
    pub(crate) fn result(&self) -> Result<Vec<u8>, EncodeError> {
        let Some(error) = &self.error else {
            return Ok(latin1(self.bytes.as_ref().expect("bytes or an error")));
        };
        let at = self.at.expect("where");
        Err(match error.as_str() {
            "LineBreakInType" => EncodeError::LineBreakInType(at),
            "LineBreakInId" => EncodeError::LineBreakInId(at),
            "NulInId" => EncodeError::NulInId(at),
            other => panic!("no such error: {other}"),
        })
    }

    pub(crate) fn event(&self) -> Event<'_> {
        let Fields { comment, event: event_type, id, retry, data } = &self.event;
        let mut event = Event::new();
        if let Some(comment) = comment {
            event = event.comment(comment);
        }
        if let Some(event_type) = event_type {
            event = event.event(event_type);
        }
        if let Some(id) = id {
            event = event.id(id);
        }
        if let Some(retry) = retry {
            event = event.retry(Duration::from_millis(*retry));
        }
        if let Some(data) = data {
            event = event.with_data(data);
        }
        event
    }
}

/// Reads the table of streams.
pub(crate) fn streams() -> Vec<Vector> {
    serde_json::from_str(include_str!("../vectors/sse_stream.json")).unwrap()
}

/// Reads the table of the encoder.
pub(crate) fn encodings() -> Vec<Encoding> {
    serde_json::from_str(include_str!("../vectors/sse_encode.json")).unwrap()
}

/// The bytes that a string of Latin-1 stands for.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).expect("Latin-1")).collect()
}
