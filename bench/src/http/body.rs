//! A body of 1 MiB in chunks, which has arrived already: what the decoder takes to lend it.

use crate::measure::Contestant;
use std::hint::black_box;
use std::time::{Duration, Instant as Clock};
use tidewire::http::{BodyLength, NO_FIELDS, Server, ServerConfig, ServerEvent, Status};
use tidewire::{Instant, RecvBuf, SendBuf};
use tidewire_bench_pico as pico;

const NOW: Instant = Instant::EPOCH;
pub(super) const SIZE: usize = 1 << 20;
const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(super) fn contestants(chunk: usize) -> Vec<Contestant<'static>> {
    let mut body = Vec::new();
    for _ in 0..SIZE / chunk {
        body.extend(format!("{chunk:x}\r\n").bytes());
        body.resize(body.len() + chunk, b'x');
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    vec![tidewire(body.clone()), memcpy(), http_net(body.clone()), picohttpparser(body)]
}

/// The exchange as a whole, but for the copy that stands for the transport's read.
fn tidewire(body: Vec<u8>) -> Contestant<'static> {
    let (mut rx, mut tx) = (RecvBuf::with_limit(2 * SIZE), SendBuf::new());
    let mut server = Server::new(ServerConfig::default(), NOW);
    Contestant::timed("tidewire (lent)", move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            assert_eq!(rx.push(HEAD), HEAD.len());
            assert_eq!(rx.push(&body), body.len());
            let (start, mut seen) = (Clock::now(), 0);
            while let Some(event) = server.poll_event(NOW, &mut rx, &mut tx) {
                match event {
                    ServerEvent::Request(_) => {
                        let empty = BodyLength::EMPTY;
                        server.respond(Status::OK, NO_FIELDS, empty, NOW, &mut tx).unwrap();
                    }
                    ServerEvent::Data(data) => seen += black_box(data).len(),
                    _ => {}
                }
            }
            took += start.elapsed();
            assert_eq!(seen, SIZE);
            tx.consume(tx.len());
        }
        took
    })
}

fn memcpy() -> Contestant<'static> {
    let (from, mut to) = (vec![1_u8; SIZE], vec![0; SIZE]);
    Contestant::new("memcpy of the payload", move || {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
    })
}

fn http_net(body: Vec<u8>) -> Contestant<'static> {
    let limits = http_net::Limits::new();
    Contestant::new("http-net's decoder (lent)", move || {
        let mut decoder = http_net::ChunkedDecoder::new(&limits);
        let (mut rest, mut seen) = (black_box(&body[..]), 0);
        loop {
            match decoder.decode(rest, false).unwrap() {
                http_net::ChunkStep::Data { skip, len } => {
                    seen += black_box(&rest[skip..skip + len]).len();
                    rest = &rest[skip + len..];
                }
                http_net::ChunkStep::Done { .. } => break,
                step => panic!("{step:?} in a whole body"),
            }
        }
        assert_eq!(seen, SIZE);
    })
}

/// It moves the payload together.
fn picohttpparser(body: Vec<u8>) -> Contestant<'static> {
    let mut buffer = body.clone();
    Contestant::timed("picohttpparser's decoder (moved)", move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            buffer.copy_from_slice(&body);
            let start = Clock::now();
            assert_eq!(pico::decode_chunked(black_box(&mut buffer)), Some(SIZE));
            took += start.elapsed();
        }
        took
    })
}
