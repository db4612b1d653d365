//! HTTP/1.1: heads, bodies and whole exchanges, all in memory.

mod body;
mod exchange;
mod heads;
mod request;
mod response;

use crate::measure::{Case, Contestant};

pub(crate) fn cases() -> Vec<Case> {
    CASES.iter().map(|&(name, contestants)| (name.into(), Box::new(contestants) as _)).collect()
}

type Contestants = fn() -> Vec<Contestant<'static>>;

const CASES: &[(&str, Contestants)] = &[
    ("request 73 B", || request::contestants(heads::small_request())),
    ("request 312 B, ws", || request::contestants(heads::upgrade_request())),
    ("request 726 B, browser", || request::contestants(heads::browser_request())),
    ("request 4.1 KB, cookies", || request::contestants(heads::cookie_request())),
    ("response 101, ws", || response::contestants(heads::upgrade_response())),
    ("response 236 B, SSE", || response::contestants(heads::event_stream_response())),
    ("response 649 B", || response::contestants(heads::page_response())),
    ("response 4.1 KB", || response::contestants(heads::policy_response())),
    ("exchange: 73 B in, 200 with 2 B out", || exchange::contestants(heads::small_request())),
    ("exchange: 726 B in, 200 with 2 B out", || exchange::contestants(heads::browser_request())),
    ("respond with five fields, 1 KiB", exchange::respond),
    ("1 MiB body, chunks of 16 KiB", || body::contestants(16 << 10)),
    ("1 MiB body, chunks of 64 KiB", || body::contestants(64 << 10)),
    ("1 MiB body, one chunk", || body::contestants(body::SIZE)),
];

/// How far a head is looked into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// The grammar: where the parts lie. Others stop here.
    Split,
    /// What it means for body, connection and routing.
    Rules,
    /// And the borrowed view is made, its method and target text.
    View,
}

/// The limit: a look for newlines and nothing else.
fn newlines(head: Vec<u8>) -> Contestant<'static> {
    Contestant::new("memchr of newlines (the limit)", move || {
        std::hint::black_box(memchr::memchr_iter(b'\n', std::hint::black_box(&head)).count());
    })
}
