//! One log for many subscribers.

use proptest::prelude::*;
use std::collections::VecDeque;
use tidewire::sse::{
    Cursor, Encoded, Event, Next, Overflow, PublishError, ReplayLimits, Topic, TopicConfig,
};

fn event(id: u64) -> Encoded {
    let id = id.to_string();
    Event::data("news").id(&id).to_encoded().unwrap()
}

fn topic(events: usize, overflow: Overflow) -> Topic {
    let keep = ReplayLimits { events, ..Default::default() };
    Topic::new(TopicConfig { keep, overflow, ..Default::default() })
}

/// What a subscriber gets next, as text: an id, a gap, or `slow`.
fn take(topic: &mut Topic, cursor: &mut Cursor) -> Option<String> {
    let announced = topic.has_next(cursor);
    let next = topic.next(cursor).map(|next| match next {
        Next::Event(event) => event.id().unwrap_or("none").to_string(),
        Next::Gap(missed) => missed.map_or("gap".into(), |missed| format!("gap of {missed}")),
        Next::TooSlow => "slow".into(),
    });
    assert_eq!(announced, next.is_some());
    next
}

fn take_all(topic: &mut Topic, cursor: &mut Cursor) -> Vec<String> {
    std::iter::from_fn(|| take(topic, cursor)).take(100).collect()
}

#[test]
fn a_new_subscriber_gets_what_is_published_from_then_on() {
    let mut topic = topic(10, Overflow::DropOldest);
    topic.publish(event(1)).unwrap();
    let mut cursor = topic.subscribe(None);
    let mut unnamed = topic.subscribe(Some(""));
    topic.publish(event(2)).unwrap();
    assert_eq!(take_all(&mut topic, &mut cursor), ["2"]);
    assert_eq!(take_all(&mut topic, &mut unnamed), ["2"]);
}

#[test]
fn one_that_comes_back_gets_the_rest_or_is_told_of_a_gap() {
    let mut topic = topic(3, Overflow::DropOldest);
    (1..=5).for_each(|id| topic.publish(event(id)).unwrap());
    let mut back = topic.subscribe(Some("4"));
    assert_eq!(take_all(&mut topic, &mut back), ["5"]);
    let mut late = topic.subscribe(Some("1"));
    assert_eq!(take_all(&mut topic, &mut late), ["gap", "3", "4", "5"]);
}

#[test]
fn without_replay_nothing_is_kept_beyond_the_slowest_subscriber() {
    let config = TopicConfig { replay: false, ..Default::default() };
    let mut topic = Topic::new(config);
    topic.publish(event(1)).unwrap();
    assert_eq!(topic.stats().kept, 0);
    let mut fast = topic.subscribe(Some("1"));
    let slow = topic.subscribe(None);
    (2..=4).for_each(|id| topic.publish(event(id)).unwrap());
    assert_eq!(take_all(&mut topic, &mut fast), ["2", "3", "4"]);
    assert_eq!(topic.stats().kept, 3);
    topic.unsubscribe(slow);
    assert_eq!((topic.stats().kept, topic.stats().kept_bytes), (0, 0));
}

#[test]
fn a_slow_subscriber_misses_the_oldest_and_knows_how_many() {
    let mut topic = topic(2, Overflow::DropOldest);
    let mut slow = topic.subscribe(None);
    let mut fast = topic.subscribe(None);
    for id in 1..=5 {
        topic.publish(event(id)).unwrap();
        assert_eq!(take_all(&mut topic, &mut fast), [id.to_string()]);
    }
    assert_eq!((topic.stats().dropped, topic.stats().queued), (3, 2));
    assert_eq!(take_all(&mut topic, &mut slow), ["gap of 3", "4", "5"]);
}

#[test]
fn a_slow_subscriber_is_let_go_and_costs_nothing_more() {
    let mut topic = topic(2, Overflow::Disconnect);
    let mut slow = topic.subscribe(None);
    (1..=3).for_each(|id| topic.publish(event(id)).unwrap());
    assert_eq!((topic.stats().dropped, topic.stats().queued), (2, 0));
    assert_eq!(take(&mut topic, &mut slow).as_deref(), Some("slow"));
    assert_eq!(topic.stats().subscribers, 1);
    topic.unsubscribe(slow);
    assert_eq!(topic.stats().subscribers, 0);
}

#[test]
fn a_slow_subscriber_makes_publishing_wait() {
    let mut topic = topic(2, Overflow::Wait);
    let mut slow = topic.subscribe(None);
    (1..=2).for_each(|id| topic.publish(event(id)).unwrap());
    assert_eq!(topic.publish(event(3)), Err(PublishError::Full));
    assert_eq!(topic.stats().published, 2);
    assert_eq!(take(&mut topic, &mut slow).as_deref(), Some("1"));
    topic.publish(event(3)).unwrap();
    assert_eq!(take_all(&mut topic, &mut slow), ["2", "3"]);
    // Events that all have taken make room, for those who come back they are only kept meanwhile.
    (4..=9).for_each(|id| {
        topic.publish(event(id)).unwrap();
        assert_eq!(take_all(&mut topic, &mut slow), [id.to_string()]);
    });
}

#[test]
fn an_event_that_is_too_large_changes_nothing() {
    let keep = ReplayLimits { events: 10, bytes: 40 };
    let mut topic = Topic::new(TopicConfig { keep, ..Default::default() });
    let mut cursor = topic.subscribe(None);
    topic.publish(event(1)).unwrap();
    let large = Event::data(&"x".repeat(100)).to_encoded().unwrap();
    assert!(matches!(topic.publish(large), Err(PublishError::TooLarge(_))));
    assert_eq!(topic.stats().queued, 1);
    assert_eq!(take_all(&mut topic, &mut cursor), ["1"]);
}

/// A subscriber of the model: a queue of its own.
#[derive(Default)]
struct Model {
    waits: VecDeque<u64>,
    missed: u64,
    gap: bool,
    gone: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Publish(u8),
    Subscribe(Option<u8>),
    Next(u8),
    Unsubscribe(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..4_u8).prop_map(Op::Publish),
        1 => prop::option::of(0..20_u8).prop_map(Op::Subscribe),
        4 => any::<u8>().prop_map(Op::Next),
        1 => any::<u8>().prop_map(Op::Unsubscribe),
    ]
}

proptest! {
    /// The shared log behaves as if each subscriber had a queue of its own.
    #[test]
    fn it_is_like_a_queue_for_each(
        events in 1..5_usize,
        overflow in prop_oneof![
            Just(Overflow::Wait), Just(Overflow::DropOldest), Just(Overflow::Disconnect),
        ],
        replay: bool,
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let keep = ReplayLimits { events, ..Default::default() };
        let mut topic = Topic::new(TopicConfig { keep, replay, overflow });
        let mut subscribers: Vec<(Cursor, Model)> = Vec::new();
        let mut history = 0_u64;
        let mut dropped = 0_u64;
        for op in ops {
            match op {
                Op::Publish(times) => for _ in 0..times {
                    let full = |it: &(Cursor, Model)| it.1.waits.len() >= events;
                    let refused = overflow == Overflow::Wait && subscribers.iter().any(full);
                    match topic.publish(event(history)) {
                        Ok(()) => prop_assert!(!refused),
                        Err(error) => {
                            prop_assert_eq!(error, PublishError::Full);
                            prop_assert!(refused);
                            continue;
                        }
                    }
                    for (_, model) in subscribers.iter_mut().filter(|it| !it.1.gone) {
                        model.waits.push_back(history);
                        if model.waits.len() > events {
                            if overflow == Overflow::Disconnect {
                                model.gone = true;
                                dropped += events as u64;
                                // What was just published is for the others.
                                model.waits.clear();
                            } else {
                                model.waits.pop_front();
                                model.missed += 1;
                                dropped += 1;
                            }
                        }
                    }
                    history += 1;
                },
                Op::Subscribe(id) => {
                    let mut model = Model::default();
                    let named = id.map(u64::from);
                    if let Some(named) = named.filter(|_| replay) {
                        let oldest = history.saturating_sub(events as u64);
                        // The last that went is still known by its id.
                        let known = named < history && named + 1 >= oldest;
                        model.gap = !known;
                        model.waits = (if known { named + 1 } else { oldest }..history).collect();
                    }
                    let id = named.map(|id| id.to_string());
                    subscribers.push((topic.subscribe(id.as_deref()), model));
                }
                Op::Next(which) if !subscribers.is_empty() => {
                    let which = usize::from(which) % subscribers.len();
                    let (cursor, model) = &mut subscribers[which];
                    let expected = if std::mem::take(&mut model.gap) {
                        Some("gap".to_string())
                    } else if model.gone {
                        Some("slow".to_string())
                    } else if model.missed > 0 {
                        Some(format!("gap of {}", std::mem::take(&mut model.missed)))
                    } else {
                        model.waits.pop_front().map(|id| id.to_string())
                    };
                    prop_assert_eq!(take(&mut topic, cursor), expected);
                }
                Op::Unsubscribe(which) if !subscribers.is_empty() => {
                    let which = usize::from(which) % subscribers.len();
                    topic.unsubscribe(subscribers.swap_remove(which).0);
                }
                Op::Next(_) | Op::Unsubscribe(_) => {}
            }
            let stats = topic.stats();
            prop_assert_eq!(stats.subscribers, subscribers.len());
            prop_assert_eq!(stats.published, history);
            prop_assert_eq!(stats.dropped, dropped);
            let queued: usize = subscribers.iter().map(|(_, model)| model.waits.len()).sum();
            prop_assert_eq!(stats.queued, queued as u64);
            prop_assert!(stats.kept <= events);
            let longest = subscribers.iter().map(|(_, model)| model.waits.len()).max();
            // An event that was just lent to the last who had to take it may still be there.
            prop_assert!(replay || stats.kept <= longest.unwrap_or(0) + 1);
        }
    }
}
