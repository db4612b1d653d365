//! HTTP/1.1: heads, bodies and whole exchanges, all in memory.

mod body;
mod exchange;
mod heads;
mod request;
mod response;

use crate::measure::Contestant;

/// The contestants of one case, ourselves first.
pub(crate) type Case = (&'static str, Vec<Contestant<'static>>);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        ("request 73 B", request::contestants(heads::small_request())),
        ("request 312 B, ws", request::contestants(heads::upgrade_request())),
        ("request 726 B, browser", request::contestants(heads::browser_request())),
        ("request 4.1 KB, cookies", request::contestants(heads::cookie_request())),
        ("response 101, ws", response::contestants(heads::upgrade_response())),
        ("response 236 B, SSE", response::contestants(heads::event_stream_response())),
        ("response 649 B", response::contestants(heads::page_response())),
        ("response 4.1 KB", response::contestants(heads::policy_response())),
    ];
    cases.extend(exchange::cases());
    cases.extend(body::cases());
    cases
}

/// The limit: a look for newlines and nothing else.
fn newlines(head: Vec<u8>) -> Contestant<'static> {
    Contestant::new("memchr of newlines (the limit)", move || {
        std::hint::black_box(memchr::memchr_iter(b'\n', std::hint::black_box(&head)).count());
    })
}
