//! What is told of a stream.

use serde::Serialize;
use tidewire_runtime::sse::SourceEvent;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Item<'a> {
    Event { event: Event<'a> },
    Comment { comment: &'a str },
    Error { error: String },
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'a str,
    data: &'a str,
    id: &'a str,
}

/// The JSON of what came, if it is an item: that a stream is open, refused or over is none, for the
/// error says so.
pub(super) fn to_json(event: &SourceEvent<'_>) -> Option<Vec<u8>> {
    let item = match event {
        SourceEvent::Message(message) => Item::Event {
            event: Event {
                r#type: message.event_type,
                data: message.data,
                id: message.last_event_id,
            },
        },
        SourceEvent::Comment(comment) => Item::Comment { comment },
        SourceEvent::Error { why, .. } => Item::Error { error: why.to_string() },
        _ => return None,
    };
    Some(serde_json::to_vec(&item).expect("strings have a JSON"))
}
