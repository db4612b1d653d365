//! What is kept for clients that come back (WHATWG HTML, 9.2.4).

use proptest::prelude::*;
use tidewire::sse::{Encoded, Event, Replay, ReplayLimits, Since, TooLarge};

fn event(id: Option<&str>, data: &str) -> Encoded {
    let event = Event::data(data);
    id.map_or(event, |id| event.id(id)).to_encoded().unwrap()
}

/// The data of all that is kept from `position` on.
fn from(replay: &Replay, position: u64) -> Vec<String> {
    let encoded = (position..replay.end()).map(|at| replay.get(at).unwrap().bytes());
    encoded.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).collect()
}

fn keeping(events: usize) -> Replay {
    Replay::new(ReplayLimits { events, ..Default::default() })
}

#[test]
fn a_client_gets_what_came_behind_the_event_that_it_names() {
    let mut replay = keeping(10);
    for id in ["a", "b", "c"] {
        replay.push(event(Some(id), id)).unwrap();
    }
    let Since::Rest(position) = replay.since("b") else { panic!() };
    assert_eq!(from(&replay, position), ["id: c\ndata: c\n\n"]);
    assert_eq!(replay.since("c"), Since::Rest(3));
    assert_eq!(replay.get(3), None);
}

#[test]
fn an_id_that_is_not_known_is_a_gap_before_everything_that_is_kept() {
    let mut replay = keeping(2);
    assert_eq!(replay.since("a"), Since::Gap(0));
    for id in ["a", "b", "c", "d"] {
        replay.push(event(Some(id), "")).unwrap();
    }
    assert_eq!(replay.since("a"), Since::Gap(2));
    assert_eq!(replay.since("x"), Since::Gap(2));
    assert_eq!(replay.since(""), Since::Gap(2));
}

#[test]
fn who_has_seen_the_last_event_that_went_has_missed_nothing() {
    let mut replay = keeping(2);
    for id in ["a", "b", "c"] {
        replay.push(event(Some(id), "")).unwrap();
    }
    assert_eq!(replay.since("a"), Since::Rest(1));
    // An event without id is missed by everybody who knows only the one before.
    replay.push(event(None, "")).unwrap();
    replay.push(event(Some("d"), "")).unwrap();
    replay.push(event(Some("e"), "")).unwrap();
    assert_eq!(replay.since("c"), Since::Gap(4));
}

#[test]
fn of_several_events_with_an_id_the_newest_is_meant() {
    let mut replay = keeping(10);
    for data in ["1", "2", "3"] {
        replay.push(event(Some("same"), data)).unwrap();
    }
    assert_eq!(replay.since("same"), Since::Rest(3));
}

#[test]
fn an_event_of_more_bytes_than_are_kept_is_refused_and_moves_no_other_out() {
    let mut replay = Replay::new(ReplayLimits { events: 10, bytes: 30 });
    replay.push(event(Some("a"), "12345678")).unwrap();
    let big = event(None, &"x".repeat(23));
    let size = big.bytes().len();
    assert_eq!(replay.push(big), Err(TooLarge { size, limit: 30 }));
    assert_eq!((replay.len(), replay.bytes()), (1, "id: a\ndata: 12345678\n\n".len()));
}

proptest! {
    /// Never more than the limits, always the newest, and `since` as a search of the whole history
    /// has it.
    #[test]
    fn it_is_the_end_of_the_history(
        limits in (1..6_usize, 20..100_usize),
        pushed in prop::collection::vec((prop::option::of(0..8_u8), 0..40_usize), 0..30),
    ) {
        let limits = ReplayLimits { events: limits.0, bytes: limits.1 };
        let mut replay = Replay::new(limits);
        let mut history: Vec<Encoded> = Vec::new();
        for (id, length) in pushed {
            let id = id.map(|id| id.to_string());
            let event = event(id.as_deref(), &"x".repeat(length));
            match replay.push(event.clone()) {
                Ok(position) => {
                    prop_assert_eq!(position, history.len() as u64);
                    history.push(event);
                }
                Err(error) => prop_assert_eq!(error.size, event.bytes().len()),
            }
            let kept = &history[replay.oldest() as usize..];
            let bytes: usize = kept.iter().map(|event| event.bytes().len()).sum();
            prop_assert!(kept.len() <= limits.events && bytes <= limits.bytes);
            prop_assert_eq!((kept.len(), bytes), (replay.len(), replay.bytes()));
            // One more would have been too much.
            if let Some(before) = history.len().checked_sub(kept.len() + 1) {
                let more = bytes + history[before].bytes().len();
                prop_assert!(kept.len() == limits.events || more > limits.bytes);
            }
            for (at, event) in kept.iter().enumerate() {
                prop_assert_eq!(replay.get(replay.oldest() + at as u64), Some(event));
            }
            for id in 0..8_u8 {
                let id = id.to_string();
                let seen = history.iter().rposition(|event| event.id() == Some(&id));
                let expected = match seen {
                    Some(seen) if seen as u64 + 1 >= replay.oldest() => Since::Rest(seen as u64 + 1),
                    _ => Since::Gap(replay.oldest()),
                };
                prop_assert_eq!(replay.since(&id), expected);
            }
        }
    }
}
