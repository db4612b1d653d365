//! Request heads.

use super::{Depth, newlines};
use crate::measure::Contestant;
use bytes::Bytes;
use std::hint::black_box;
use std::mem::MaybeUninit;
use tidewire::RecvBuf;
use tidewire::http::{Limits, RequestParser};
use tidewire_bench_pico as pico;

const LINES: usize = 64;

pub(super) fn contestants(head: Vec<u8>) -> Vec<Contestant<'static>> {
    vec![
        tidewire("tidewire (all rules)", Depth::Rules, &head),
        tidewire("tidewire (split only)", Depth::Split, &head),
        tidewire("tidewire (all rules, and the view)", Depth::View, &head),
        newlines(head.clone()),
        picohttpparser(head.clone()),
        httparse(head.clone()),
        http_net(head.clone()),
        http_types(head),
    ]
}

/// Grammar, target against method, Host, framing and connection options; or less, or more.
fn tidewire(name: &'static str, depth: Depth, head: &[u8]) -> Contestant<'static> {
    let limits = Limits::default();
    let mut rx = RecvBuf::with_limit(64 * 1024);
    rx.spare(16 * 1024);
    assert_eq!(rx.push(head), head.len());
    Contestant::new(name, move || {
        let parsed = RequestParser::new().parse(black_box(&mut rx), &limits).unwrap().unwrap();
        if depth >= Depth::Rules {
            black_box(parsed.framing(&rx).unwrap());
        }
        if depth >= Depth::View {
            black_box(parsed.head(&rx));
        }
        black_box(parsed);
    })
}

fn picohttpparser(head: Vec<u8>) -> Contestant<'static> {
    let mut headers = pico::Headers::default();
    Contestant::new("picohttpparser, SSE4.2 (split only)", move || {
        black_box(pico::request(black_box(&head), &mut headers).unwrap());
        black_box(&headers);
    })
}

fn httparse(head: Vec<u8>) -> Contestant<'static> {
    Contestant::new("httparse (split only)", move || {
        let mut headers = [const { MaybeUninit::uninit() }; LINES];
        let mut request = httparse::Request::new(&mut []);
        let status = request.parse_with_uninit_headers(black_box(&head), &mut headers).unwrap();
        assert!(status.is_complete());
        black_box(&request);
    })
}

fn http_net(head: Vec<u8>) -> Contestant<'static> {
    let limits = http_net::Limits::new();
    let mut fields = [http_net::FieldSpan::default(); LINES];
    Contestant::new("http-net (all rules)", move || {
        let parsed = http_net::parse_request_head(black_box(&head), &limits, &mut fields).unwrap();
        let http_net::Parsed::Complete { head, .. } = parsed else { panic!("incomplete") };
        black_box(head.view());
    })
}

/// As hyper does it: the fields are slices of one shared buffer.
fn http_types(head: Vec<u8>) -> Contestant<'static> {
    let shared = Bytes::from(head);
    Contestant::new("httparse + http types", move || {
        let head = black_box(&shared);
        let mut headers = [const { MaybeUninit::uninit() }; LINES];
        let mut parsed = httparse::Request::new(&mut []);
        let status = parsed.parse_with_uninit_headers(head, &mut headers).unwrap();
        assert!(status.is_complete());
        let mut request = http::Request::new(());
        *request.method_mut() = parsed.method.unwrap().parse().unwrap();
        let target = head.slice_ref(parsed.path.unwrap().as_bytes());
        *request.uri_mut() = http::Uri::from_maybe_shared(target).unwrap();
        *request.headers_mut() = super::response::header_map(head, parsed.headers);
        black_box(request);
    })
}
