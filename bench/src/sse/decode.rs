//! Events come in.

use super::events::{self, Make, Sent, Stream};
use super::{readers, streams};
use crate::measure::{Case, Contestant};
use crate::ws::floor::Room;
use bytes::Bytes;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant as Clock;

/// A decoder of one of the contestants, which is given what a read has brought.
pub(super) trait Decode {
    /// Decodes it, and says how many events that completed.
    fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64;
}

/// What is made of type and data of each event, if anything.
pub(super) type Check<'a> = Option<&'a mut dyn FnMut(&[u8], &[u8])>;

/// An event that was decoded.
#[inline]
pub(super) fn take(event_type: &[u8], data: &[u8], check: &mut Check<'_>) -> u64 {
    if let Some(check) = check {
        check(event_type, data);
    }
    black_box((event_type, data));
    1
}

/// Who takes part: a name, and how to make a decoder.
type Peer = (&'static str, fn() -> Box<dyn Decode>);

/// Ourselves first.
const PEERS: &[Peer] = &[
    ("tidewire (bytes)", readers::tidewire_bytes),
    ("tidewire (text)", readers::tidewire_text),
    ("sse-core", readers::sse_core),
    ("sse-stream", streams::sse_stream),
    ("sseer", streams::sseer),
    ("sse-parse", readers::sse_parse),
    ("sse-codec", readers::sse_codec),
    ("eventsource-stream", streams::eventsource_stream),
    ("async-sse", streams::async_sse),
];

/// They look at a long line again with each read: the longest here would take them minutes.
const QUADRATIC: &[&str] = &["eventsource-stream", "sse-codec"];

const READS: [(&str, usize); 2] = [("1448 B reads", 1448), ("64 KiB reads", 64 << 10)];

pub(super) fn cases() -> Vec<Case> {
    let kinds: [(&str, Make); 5] = [
        ("200 B JSON", events::json),
        ("200 B mixed JSON", events::mixed_json),
        ("event and data, 123 B", events::typed),
        ("64 KiB line", events::long),
        ("64 KiB mixed line", events::mixed_long),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (kind, make) in kinds {
        for (reads, read) in READS {
            let name = format!("decode {kind}, {reads}");
            cases.push((name, Box::new(move || contestants(&Stream::new(make, read), PEERS))));
        }
    }
    for (kind, make) in [("", events::huge as Make), ("mixed ", events::mixed_huge)] {
        for mebibytes in [1, 4, 16, 64] {
            let name = format!("decode one {kind}line of {mebibytes} MiB, 64 KiB reads");
            cases.push((name, Box::new(move || huge(make(mebibytes)))));
        }
    }
    cases
}

fn huge(event: Sent) -> Vec<Contestant<'static>> {
    let linear: Vec<Peer> =
        PEERS.iter().filter(|(name, _)| !QUADRATIC.contains(name)).copied().collect();
    contestants(&Stream::of(vec![event], 64 << 10), &linear)
}

fn contestants(stream: &Stream, peers: &[Peer]) -> Vec<Contestant<'static>> {
    let reads: Rc<[Bytes]> = stream.reads.iter().cloned().collect();
    let events = stream.events.len();
    let mut contestants = vec![];
    for &(name, open) in peers {
        check(name, &mut *open(), stream);
        let (mut decoder, reads, mut at) = (open(), reads.clone(), 0);
        contestants.push(Contestant::timed(name, move |times| {
            let (start, mut decoded) = (Clock::now(), 0);
            while decoded < times {
                decoded += decoder.read(black_box(&reads[at]), &mut None);
                at = if at + 1 == reads.len() { 0 } else { at + 1 };
            }
            start.elapsed().mul_f64(times as f64 / decoded as f64)
        }));
    }
    contestants.push(memcpy(&reads, events));
    contestants.push(newlines(&reads, events));
    contestants
}

/// Two rounds of the stream must give its events twice.
fn check(name: &str, decoder: &mut dyn Decode, stream: &Stream) {
    let mut expected = stream.events.iter().cycle();
    let mut check = |event_type: &[u8], data: &[u8]| {
        let sent = expected.next().expect("it comes round again");
        assert!(event_type == sent.event_type.as_bytes(), "{name} has another type");
        assert!(data == sent.data.as_bytes(), "{name} has other data");
    };
    let mut decoded = 0;
    for read in stream.reads.iter().chain(&stream.reads) {
        decoded += decoder.read(read, &mut Some(&mut check));
    }
    assert_eq!(decoded, 2 * stream.events.len() as u64, "{name} has lost events");
}

/// What the transport does, and nobody can do without.
fn memcpy(reads: &Rc<[Bytes]>, events: usize) -> Contestant<'static> {
    let mut room = Room::new(&reads[0]);
    per_event("memcpy of the reads", reads, events, move |read| {
        black_box(room.take(read));
    })
}

/// The limit: a look for newlines and nothing else.
fn newlines(reads: &Rc<[Bytes]>, events: usize) -> Contestant<'static> {
    per_event("memchr of newlines (the limit)", reads, events, |read| {
        black_box(memchr::memchr_iter(b'\n', read).count_newlines());
    })
}

/// `memchr_iter` counts by a way of its own, which finds no newline.
trait CountNewlines: Iterator<Item = usize> + Sized {
    fn count_newlines(self) -> usize {
        self.fold(0, |count, at| {
            black_box(at);
            count + 1
        })
    }
}

impl<I: Iterator<Item = usize>> CountNewlines for I {}

/// Goes through the whole stream a time, and says what that is an event.
fn per_event(
    name: &'static str,
    reads: &Rc<[Bytes]>,
    events: usize,
    mut each: impl FnMut(&[u8]) + 'static,
) -> Contestant<'static> {
    let reads = reads.clone();
    Contestant::timed(name, move |times| {
        let rounds = times.div_ceil(events as u64);
        let start = Clock::now();
        for _ in 0..rounds {
            for read in &*reads {
                each(black_box(read));
            }
        }
        start.elapsed().mul_f64(times as f64 / (rounds * events as u64) as f64)
    })
}
