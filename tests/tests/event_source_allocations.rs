//! An open event stream does not touch the allocator, event by event.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use tidewire::sse::{EventSource, SourceConfig, SourceEvent, SourceRequest};
use tidewire::url::Url;
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations and reallocations of a thousand rounds, once some have been made. The least of some
/// measurements, for the harness's own thread may allocate during one.
fn steady(mut round: impl FnMut()) -> usize {
    for _ in 0..100 {
        round();
    }
    let measure = |_| {
        let region = Region::new(ALLOCATOR);
        for _ in 0..1000 {
            round();
        }
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..5).map(measure).min().expect("five measurements")
}

/// One test, because the counters count the whole process.
#[test]
fn no_allocation_for_an_event_however_it_comes() {
    // A comment, an event with all fields, one of two lines, and a time to wait.
    let events = ": beat\nid: 12345\nevent: delta\ndata: {\"text\":\"tide\"}\n\n\
                  data: one\r\ndata: two\r\n\r\nretry: 2500\n\n";
    for (coding, piece) in [("", 7), ("", 1448), ("Transfer-Encoding: chunked\r\n", 7)] {
        let request = SourceRequest::new(Url::parse("http://h/").unwrap());
        let (now, config) = (Instant::EPOCH, SourceConfig::default());
        let mut source = EventSource::new(request, config, &Seed::new([1; 32]), now).unwrap();
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
        source.connected(now, &mut tx);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{coding}\r\n");
        assert_eq!(rx.push(head.as_bytes()), head.len());
        assert!(matches!(source.poll_event(now, &mut rx, &mut tx), Some(SourceEvent::Open(_))));
        let bytes = if coding.is_empty() {
            events.to_string()
        } else {
            let (a, b) = events.split_at(30);
            format!("{:x}\r\n{a}\r\n{:x}\r\n{b}\r\n", a.len(), b.len())
        };
        let round = || {
            let (mut messages, mut comments) = (0, 0);
            for piece in bytes.as_bytes().chunks(piece) {
                assert_eq!(rx.push(piece), piece.len());
                while let Some(event) = source.poll_event(now, &mut rx, &mut tx) {
                    match event {
                        SourceEvent::Message(event) => {
                            assert_eq!(event.last_event_id, "12345");
                            messages += 1;
                        }
                        SourceEvent::Comment(_) => comments += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!((messages, comments), (2, 1));
        };
        assert_eq!(steady(round), 0, "{coding:?} in pieces of {piece}");
    }
}
