//! An event goes out.

use crate::measure::{Case, Contestant};
use crate::ws::floor::Room;
use axum::response::IntoResponse;
use axum::response::sse::{Event as AxumEvent, Sse};
use futures::{FutureExt, stream};
use futures_codec::{BytesMut, Encoder as _};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant as Clock;
use tidewire::SendBuf;
use tidewire::sse::Event;

/// What is in an event.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Parts {
    event: Option<&'static str>,
    id: Option<&'static str>,
    data: String,
}

/// An encoder of one of the contestants: it leaves what it made where it can be looked at.
type Encode = Box<dyn FnMut(&Parts, &mut dyn FnMut(&[u8]))>;

/// How an encoder is made for its event.
type Make = fn(&Parts) -> Encode;

/// Who takes part, ourselves first.
const PEERS: &[(&str, Make)] = &[
    ("tidewire (SendBuf)", tidewire),
    ("tidewire (Vec)", tidewire_vec),
    ("sse-stream", sse_stream),
    ("sse-codec", sse_codec),
    ("axum's body", axum),
];

pub(super) fn cases() -> Vec<Case> {
    let plain = |data: String| Parts { event: None, id: None, data };
    let text = |len| {
        "{\"choices\": \"The quick brown fox jumps over 13 lazy dogs\"}, "
            .chars()
            .cycle()
            .take(len)
            .collect::<String>()
    };
    // Four names, three ends of lines.
    let four = text(123)
        .chars()
        .enumerate()
        .map(|(at, char)| if at % 31 == 30 { '\n' } else { char })
        .collect();
    let named = Parts { event: Some("content_block_delta"), id: Some("1234567"), data: text(103) };
    let cases = [
        ("encode 150 B, data", plain(text(142)), 150),
        ("encode 150 B, event, id and data", named, 150),
        ("encode 150 B, four lines of data", plain(four), 150),
    ];
    let case = |(name, parts, len): (&str, Parts, usize)| -> Case {
        (name.into(), Box::new(move || contestants(&parts, len)))
    };
    cases.map(case).into()
}

fn contestants(parts: &Parts, len: usize) -> Vec<Contestant<'static>> {
    let mut contestants = vec![];
    let mut lines = vec![];
    for (name, open) in PEERS {
        let mut encode = open(parts);
        for _ in 0..2 {
            encode(parts, &mut |bytes| lines = bytes.to_vec());
            assert_eq!(&interpret(&lines, parts), parts, "{name} has sent something else");
        }
        assert!(lines.len() <= len, "{name} takes more");
        let parts = parts.clone();
        contestants.push(Contestant::timed(name, move |times| {
            let start = Clock::now();
            for _ in 0..times {
                encode(black_box(&parts), &mut |bytes| {
                    black_box(bytes);
                });
            }
            start.elapsed()
        }));
    }
    let lines = vec![b'x'; len];
    let mut room = Room::new(&lines);
    let memcpy = Contestant::new("memcpy of the lines (the limit)", move || {
        black_box(room.take(black_box(&lines)));
    });
    contestants.insert(2, memcpy);
    contestants
}

/// What a client takes the lines for; they are one event.
fn interpret(lines: &[u8], parts: &Parts) -> Parts {
    let lines = std::str::from_utf8(lines).expect("text").strip_suffix("\n\n").expect("its end");
    let (mut event, mut id, mut data) = (None, None, vec![]);
    for line in lines.split('\n') {
        match line.split_once(": ").expect("a name and a value") {
            ("event", value) => event = parts.event.filter(|event| *event == value),
            ("id", value) => id = parts.id.filter(|id| *id == value),
            ("data", value) => data.push(value),
            (name, _) => panic!("{name} is no field"),
        }
    }
    Parts { event, id, data: data.join("\n") }
}

#[inline]
fn event(parts: &Parts) -> Event<'_> {
    let mut event = Event::data(&parts.data);
    if let Some(name) = parts.event {
        event = event.event(name);
    }
    if let Some(id) = parts.id {
        event = event.id(id);
    }
    event
}

fn tidewire(_: &Parts) -> Encode {
    let mut tx = SendBuf::new();
    Box::new(move |parts, look| {
        event(parts).encode(&mut tx).unwrap();
        look(tx.chunk());
        tx.consume(tx.len());
    })
}

fn tidewire_vec(_: &Parts) -> Encode {
    let mut bytes = Vec::new();
    Box::new(move |parts, look| {
        event(parts).encode_to(&mut bytes).unwrap();
        look(&bytes);
        bytes.clear();
    })
}

/// It takes strings of its own.
fn sse_stream(_: &Parts) -> Encode {
    Box::new(|parts, look| {
        let event = sse_stream::Sse {
            event: parts.event.map(String::from),
            data: Some(parts.data.clone()),
            id: parts.id.map(String::from),
            retry: None,
        };
        look(&event.encode().unwrap());
    })
}

/// So does it.
fn sse_codec(_: &Parts) -> Encode {
    let (mut codec, mut bytes) = (sse_codec::SSECodec::default(), BytesMut::new());
    Box::new(move |parts, look| {
        let event = parts.event.unwrap_or("message");
        let event = sse_codec::Event::message(event, &parts.data, parts.id);
        codec.encode(event, &mut bytes).unwrap();
        look(&bytes);
        bytes.clear();
    })
}

/// Its events cannot be had but out of a response, whose head is made before.
fn axum(parts: &Parts) -> Encode {
    let parts = parts.clone();
    let events = stream::repeat_with(move || {
        let event = AxumEvent::default().data(&parts.data);
        let event = match parts.event {
            Some(name) => event.event(name),
            None => event,
        };
        Ok::<_, Infallible>(match parts.id {
            Some(id) => event.id(id),
            None => event,
        })
    });
    let mut body = Sse::new(events).into_response().into_body();
    Box::new(move |_, look| {
        let frame = body.frame().now_or_never().flatten().expect("there is always one").unwrap();
        look(frame.data_ref().expect("data"));
    })
}
