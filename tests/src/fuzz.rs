//! The bodies of the fuzz targets, as functions that a stable compiler can run.
//!
//! The input is what a peer sends, so that a seed can be written and read by hand. How it is cut into
//! reads follows from its hash. Each body feeds it whole, byte by byte and in random pieces, and
//! asserts what is promised of any input. The `*_connection`s, `ws_deflate`, `sse_source` and
//! `sse_topic` take calls instead, with what the peer sends among them, and the `*_round_trip`s take
//! messages. What is promised:
//!
//! * nothing panics, and a full buffer is never waited on;
//! * every way to cut the input gives the same events and the same output;
//! * memory stays within the limits, and output within a multiple of the input;
//! * a connection ends with exactly one last event, whether the stream ends or falls silent.

mod handshake;
mod http;
mod http_client;
mod http_round_trip;
mod http_server;
mod input;
mod proxy;
mod sse;
mod sse_round_trip;
mod sse_source;
mod sse_topic;
mod ws;
mod ws_inflate;
mod ws_pair;

pub use handshake::{ws_handshake_request, ws_handshake_response};
pub use http::{request_head, response_head, server_bytes};
pub use http_client::client_connection;
pub use http_round_trip::http_round_trip;
pub use http_server::server_connection;
pub use proxy::{proxy_connect, proxy_socks5};
pub use sse::sse_decoder;
pub use sse_round_trip::sse_round_trip;
pub use sse_source::sse_source;
pub use sse_topic::sse_topic;
pub use ws::{ws_frames_client, ws_frames_server};
pub use ws_inflate::ws_inflate;
pub use ws_pair::{ws_connection, ws_deflate};

use tidewire::{RecvBuf, SendBuf};

/// A body: it panics if a promise is broken.
pub type Body = fn(&[u8]);

/// Every body with the name of its target.
pub const TARGETS: [(&str, Body); 19] = [
    ("request_head", request_head),
    ("response_head", response_head),
    ("server_bytes", server_bytes),
    ("server_connection", server_connection),
    ("client_connection", client_connection),
    ("http_round_trip", http_round_trip),
    ("proxy_connect", proxy_connect),
    ("proxy_socks5", proxy_socks5),
    ("sse_decoder", sse_decoder),
    ("sse_round_trip", sse_round_trip),
    ("sse_source", sse_source),
    ("sse_topic", sse_topic),
    ("ws_connection", ws_connection),
    ("ws_deflate", ws_deflate),
    ("ws_frames_client", ws_frames_client),
    ("ws_frames_server", ws_frames_server),
    ("ws_handshake_request", ws_handshake_request),
    ("ws_handshake_response", ws_handshake_response),
    ("ws_inflate", ws_inflate),
];

/// Above this, byte by byte takes too long for a fuzzer.
const FEW: usize = 2048;

/// What came out of one run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Transcript {
    events: Vec<String>,
    output: Vec<u8>,
    /// The message that is being received in pieces; of one that does not come to its end it depends
    /// on the cuts how much is told.
    partial: Option<ws::Partial>,
}

impl Transcript {
    /// Takes what waits to be sent.
    fn drain(&mut self, tx: &mut SendBuf) {
        while !tx.is_empty() {
            let n = tx.chunk().len();
            self.output.extend_from_slice(tx.chunk());
            tx.consume(n);
        }
    }
}

/// How the input is cut into reads.
#[derive(Clone, Debug)]
enum Cuts {
    Whole,
    Bytes,
    /// Random pieces, and a caller that makes use of every liberty.
    Random(Random),
}

impl Cuts {
    fn next_piece(&mut self, left: usize) -> usize {
        match self {
            Self::Whole => left,
            Self::Bytes => 1,
            Self::Random(random) => match random.below(4) {
                0 => 1,
                1 => 1 + random.below(left.min(8)),
                _ => 1 + random.below(left),
            },
        }
    }

    /// Whether the caller does something now that must not matter.
    fn liberty(&mut self) -> bool {
        match self {
            Self::Random(random) => random.below(3) == 0,
            Self::Whole | Self::Bytes => false,
        }
    }
}

/// A small generator (`SplitMix64`): the same input must give the same run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is.
    pub const fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }
}

/// FNV-1a.
fn hash(data: &[u8]) -> u64 {
    data.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Runs with every way to cut `data`, compares what came out, and returns it.
fn same_however_cut(data: &[u8], run: impl Fn(Cuts) -> Transcript) -> Transcript {
    let whole = run(Cuts::Whole);
    assert_eq!(run(Cuts::Random(Random::new(hash(data)))), whole, "in pieces");
    if data.len() <= FEW {
        assert_eq!(run(Cuts::Bytes), whole, "byte by byte");
    }
    whole
}

/// Gives `data` to `rx` in pieces and calls `step` after each, until `step` says that it is over.
/// Returns whether it was.
fn feed(
    mut data: &[u8],
    cuts: &mut Cuts,
    rx: &mut RecvBuf,
    mut step: impl FnMut(&mut RecvBuf, &mut Cuts) -> bool,
) -> bool {
    while !data.is_empty() {
        let piece = cuts.next_piece(data.len());
        let taken = rx.push(&data[..piece]);
        assert!(taken > 0, "a full buffer is waited on");
        data = &data[taken..];
        if step(rx, cuts) {
            return true;
        }
        if cuts.liberty() {
            rx.shrink();
        }
    }
    false
}
