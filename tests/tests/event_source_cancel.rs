//! The futures of `EventSource`, dropped at each point at which they wait: no event is lost, none
//! comes twice, no attempt is made that was not announced, and nobody sleeps who will not be woken.
#![cfg(feature = "net")]

use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tidewire_runtime::EventSource;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{
    OwnedSourceEvent, SourceConfig, SourceEvent, SourceRequest, TRANSIENT,
};
use tidewire_runtime::url::Url;
use tidewire_tests::frames::field;
use tidewire_tests::scripted::{Drops, Executor, Peer, Random, Scripted};

const SEEDS: u64 = 4;
const RANDOM_RUNS: u64 = 20;
const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

/// Of a size that depends on the number.
fn data(number: usize) -> String {
    format!("{number} {}", "x".repeat([3, 200, 0, 4000][number % 4]))
}

/// What the servers send, one connection each.
fn answers() -> Vec<String> {
    let events = |from: usize| {
        let event = |number| format!(": c\nid: {number}\ndata: {}\ndata\n\n", data(number));
        (from..from + 4).map(event).collect::<String>()
    };
    let chunks = events(4);
    let (first, second) = chunks.split_at(chunks.len() / 2);
    vec![
        format!("{STREAM}\r\n{}data: lost", events(0)),
        "HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nwait".into(),
        "HTTP/1.1 302 X\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".into(),
        format!(
            "{STREAM}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        ),
        "HTTP/1.1 204 X\r\n\r\n".into(),
    ]
}

fn expected() -> Vec<String> {
    let events = |from: usize| {
        (from..from + 4).flat_map(|number| {
            ["comment c".into(), format!("message {:?} #{number}", data(number) + "\n")]
        })
    };
    let attempt = || "attempt".to_string();
    let mut told = vec![attempt(), "open 200".into()];
    told.extend(events(0));
    told.extend(["error EndOfStream".into(), attempt(), "refused 503".into()]);
    told.extend(["error Unavailable(Status(503)) wait".into(), attempt(), "open 200".into()]);
    told.extend(events(4));
    told.extend(["error EndOfStream".into(), attempt(), "refused 204".into()]);
    told.extend(
        ["error Status(Status(204))", "closed Failed(Status(Status(204)))"].map(String::from),
    );
    told
}

fn say(event: OwnedSourceEvent) -> String {
    match event {
        OwnedSourceEvent::Attempt => "attempt".into(),
        OwnedSourceEvent::Open(head) => format!("open {}", head.as_head().status.code()),
        OwnedSourceEvent::Message(it) => {
            format!("{} {:?} #{}", it.event_type, it.data, it.last_event_id)
        }
        OwnedSourceEvent::Comment(comment) => format!("comment {comment}"),
        OwnedSourceEvent::Refused(head) => format!("refused {}", head.as_head().status.code()),
        OwnedSourceEvent::Error { why, body } => {
            format!("error {why:?} {}", String::from_utf8_lossy(&body)).trim_end().into()
        }
        OwnedSourceEvent::Closed(closed) => format!("closed {closed:?}"),
    }
}

/// A life whose futures are dropped as `executor` has it. The futures of the stream are polls alone,
/// which is the same to the source.
fn live(executor: &mut Executor, seed: u64, as_stream: bool) {
    let runtime = Scripted::new(seed, answers().into_iter().map(Peer::http));
    let config = SourceConfig {
        reconnect: Policy::fixed(Duration::ZERO),
        retried: TRANSIENT.into(),
        announce: true,
        ..SourceConfig::default()
    };
    let request = SourceRequest::new(Url::parse("http://h/a").unwrap());
    let mut source = EventSource::new(runtime.clone(), request, config).unwrap();
    let (mut told, mut attempts) = (Vec::new(), 0);
    loop {
        let event = executor.insist(async || {
            if as_stream {
                poll_fn(|cx| Pin::new(&mut source).poll_next(cx)).await
            } else {
                source.next().await.map(SourceEvent::to_owned)
            }
        });
        let Some(event) = event else { break };
        if event == OwnedSourceEvent::Attempt {
            attempts += 1;
            source.request_mut().set_field("Attempt", attempts.to_string());
        }
        told.push(say(event));
    }
    assert_eq!(told, expected());
    let requests = runtime.requests();
    let attempts: Vec<_> = requests.iter().map(|request| field(request, "Attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3", "3", "4"]);
    let id = |request: &String| {
        request.contains("Last-Event-ID").then(|| field(request, "Last-Event-ID").to_string())
    };
    let ids: Vec<_> = requests.iter().map(id).collect();
    let known = |id: &str| Some(id.to_string());
    assert_eq!(ids, [None, known("3"), known("3"), known("3"), known("7")]);
}

#[test]
fn next_loses_no_event_and_no_attempt() {
    let mut points = 0;
    for seed in 0..SEEDS {
        for as_stream in [false, true] {
            let mut whole = Executor::new(Drops::None);
            live(&mut whole, seed, as_stream);
            for wait in 1..=whole.waits {
                live(&mut Executor::new(Drops::At(wait)), seed, as_stream);
            }
            for run in 0..RANDOM_RUNS {
                live(&mut Executor::new(Drops::Any(Random::new(run))), seed, as_stream);
            }
            points += whole.waits;
        }
    }
    assert!(points > 100, "a life that waits {points} times tells nothing");
}
