//! Two verdicts of one stream, side by side; and ours beside what the standard says.

use super::case::{End, Item, Verdict};
use super::subjects::Way;
use std::time::Duration;
use tidewire::Instant;

/// How what a peer makes of a stream differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The peer panics.
    Panics,
    /// The peer refuses what we take.
    Refuses,
    /// The last events are missing.
    Waits,
    /// Other events.
    Events,
    /// Other times to wait before reconnecting.
    Times,
    /// Another last event id behind the stream.
    LastId,
}

/// What differs first; nothing if nothing does. No peer tells comments.
pub fn compare(peer: &str, ours: &Verdict, theirs: &Verdict) -> Option<Kind> {
    match &theirs.end {
        Some(End::Panicked) => return Some(Kind::Panics),
        Some(End::Failed(_)) => return Some(Kind::Refuses),
        None => {}
    }
    let (a, b) = (ours.events(), theirs.events());
    if a != b {
        return Some(if a.starts_with(&b) { Kind::Waits } else { Kind::Events });
    }
    if ours.times() != theirs.times() {
        return Some(Kind::Times);
    }
    // eventsource-stream knows only that of the last event with data.
    (peer == "sse-core" && ours.last_event_id != theirs.last_event_id).then_some(Kind::LastId)
}

/// Compares what we make of a stream with what the standard says of it.
pub fn conforms(model: &Verdict, ours: &Verdict, way: Way) -> bool {
    if way != Way::Source {
        return ours == model;
    }
    let told = |item: &&Item| !matches!(item, Item::Retry(_));
    let last = |verdict: &Verdict| verdict.times().last().copied();
    // Nobody waits beyond the end of the time line.
    let until = Instant::EPOCH + last(model).unwrap_or(Duration::from_secs(3));
    let wait = until.saturating_since(Instant::EPOCH);
    ours.items.iter().filter(told).eq(model.items.iter().filter(told))
        && ours.last_event_id == model.last_event_id
        && last(ours) == Some(wait)
}
