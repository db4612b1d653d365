//! Response heads.

use super::{Depth, newlines};
use crate::measure::Contestant;
use bytes::Bytes;
use std::hint::black_box;
use std::mem::MaybeUninit;
use tidewire::RecvBuf;
use tidewire::http::{Limits, ResponseParser};
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

/// Grammar, framing and connection options; or less, or more.
fn tidewire(name: &'static str, depth: Depth, head: &[u8]) -> Contestant<'static> {
    let limits = Limits::default();
    let mut rx = RecvBuf::with_limit(64 * 1024);
    rx.spare(16 * 1024);
    assert_eq!(rx.push(head), head.len());
    Contestant::new(name, move || {
        let parsed = ResponseParser::new().parse(black_box(&mut rx), &limits).unwrap().unwrap();
        if depth >= Depth::Rules {
            black_box(parsed.framing(&rx, false, false).unwrap());
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
        black_box(pico::response(black_box(&head), &mut headers).unwrap());
        black_box(&headers);
    })
}

fn httparse(head: Vec<u8>) -> Contestant<'static> {
    let config = httparse::ParserConfig::default();
    Contestant::new("httparse (split only)", move || {
        let mut headers = [const { MaybeUninit::uninit() }; LINES];
        let mut response = httparse::Response::new(&mut []);
        let status = config
            .parse_response_with_uninit_headers(&mut response, black_box(&head), &mut headers)
            .unwrap();
        assert!(status.is_complete());
        black_box(&response);
    })
}

fn http_net(head: Vec<u8>) -> Contestant<'static> {
    let limits = http_net::Limits::new();
    let mut fields = [http_net::FieldSpan::default(); LINES];
    Contestant::new("http-net (all rules)", move || {
        let asked = http_net::Asked { head: false, connect: false };
        let parsed =
            http_net::parse_response_head(black_box(&head), &limits, asked, &mut fields).unwrap();
        let http_net::Parsed::Complete { head, .. } = parsed else { panic!("incomplete") };
        black_box(head.view());
    })
}

/// As hyper does it: the fields are slices of one shared buffer.
fn http_types(head: Vec<u8>) -> Contestant<'static> {
    let config = httparse::ParserConfig::default();
    let shared = Bytes::from(head);
    Contestant::new("httparse + http types", move || {
        let head = black_box(&shared);
        let mut headers = [const { MaybeUninit::uninit() }; LINES];
        let mut parsed = httparse::Response::new(&mut []);
        let status =
            config.parse_response_with_uninit_headers(&mut parsed, head, &mut headers).unwrap();
        assert!(status.is_complete());
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(parsed.code.unwrap()).unwrap();
        *response.headers_mut() = header_map(head, parsed.headers);
        black_box(response);
    })
}

pub(super) fn header_map(head: &Bytes, lines: &[httparse::Header<'_>]) -> http::HeaderMap {
    let mut map = http::HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = http::HeaderName::from_bytes(line.name.as_bytes()).unwrap();
        let value = http::HeaderValue::from_maybe_shared(head.slice_ref(line.value)).unwrap();
        map.append(name, value);
    }
    map
}
