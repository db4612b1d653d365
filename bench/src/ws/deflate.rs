//! permessage-deflate (RFC 7692): JSON messages, no two of which are the same, out of a server and
//! into a client. Both have zlib-rs below them, and level 6.

use super::tidewire::Tidewire;
use super::{Check, Connection, READ, Role, Wire, take};
use crate::measure::{Case, Contestant};
use bytes::{Bytes, BytesMut};
use sockudo_ws::deflate::DeflateConfig as SockudoConfig;
use sockudo_ws::protocol::{CompressedProtocol, Message};
use std::rc::Rc;
use std::time::Instant as Clock;
use tidewire::ws::{DeflateConfig, DeflateParams, Negotiated};

/// Whether a message may refer to those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Kept,
    Fresh,
}

type Peer = (&'static str, fn(Role, Wire, Context) -> Box<dyn Connection>);

const PEERS: [Peer; 2] = [("tidewire", tidewire), ("sockudo-ws", sockudo)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (how, context) in [("context kept", Context::Kept), ("fresh context", Context::Fresh)] {
        for (size, len) in [("200 B", 200), ("2 KB", 2_000), ("64 KB", 64_000)] {
            let deflate: Case =
                (format!("deflate {size} JSON, {how}"), Box::new(move || deflate(len, context)));
            let inflate: Case =
                (format!("inflate {size} JSON, {how}"), Box::new(move || inflate(len, context)));
            cases.extend([deflate, inflate]);
        }
    }
    cases
}

/// A server sends them. What it has sent is read back by our client.
fn deflate(len: usize, context: Context) -> Vec<Contestant<'static>> {
    let corpus = corpus(len);
    let contestants = PEERS.into_iter().map(|(name, open)| {
        let sent = sent(open, context, &corpus);
        let mut reader = tidewire(Role::Client, Wire::new(&sent, READ), context);
        check(&mut reader, &corpus);
        let percent =
            100.0 * sent.len() as f64 / corpus.iter().map(Bytes::len).sum::<usize>() as f64;
        let mut connection = open(Role::Server, Wire::default(), context);
        let (corpus, mut at) = (corpus.clone(), 0);
        Contestant::timed(format!("{name} (to {percent:.1} %)").leak(), move |times| {
            let start = Clock::now();
            for _ in 0..times {
                connection.send(&corpus[at], 1);
                at = (at + 1) % corpus.len();
            }
            start.elapsed()
        })
    });
    contestants.collect()
}

/// A client receives what our server has sent, over and over.
fn inflate(len: usize, context: Context) -> Vec<Contestant<'static>> {
    let corpus = corpus(len);
    let sent = sent(tidewire, context, &corpus);
    let contestants = PEERS.into_iter().map(|(name, open)| {
        let mut checked = open(Role::Client, Wire::new(&sent, READ), context);
        check(&mut checked, &corpus);
        let mut connection = open(Role::Client, Wire::new(&sent, READ), context);
        Contestant::timed(name, move |times| {
            let start = Clock::now();
            let received = connection.receive(times, &mut None);
            start.elapsed().mul_f64(times as f64 / received.max(1) as f64)
        })
    });
    contestants.collect()
}

/// What it receives is the corpus, over and over.
fn check(connection: &mut Box<dyn Connection>, corpus: &[Bytes]) {
    let mut expected = corpus.iter().cycle();
    let mut check = |message: &[u8]| assert!(Some(message) == expected.next().map(|it| &it[..]));
    connection.receive(corpus.len() as u64, &mut Some(&mut check));
}

/// All of the corpus on the wire.
fn sent(
    open: fn(Role, Wire, Context) -> Box<dyn Connection>,
    context: Context,
    corpus: &[Bytes],
) -> Rc<[u8]> {
    let written = Rc::default();
    let mut connection = open(Role::Server, Wire::kept(&written), context);
    corpus.iter().for_each(|message| connection.send(message, 1));
    written.take().into()
}

/// Quotes of a market, as many as `len` bytes have, from a generator of numbers that look like any.
fn corpus(len: usize) -> Vec<Bytes> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut number = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut message = |id| {
        let mut text = format!("{{\"id\":{id},\"channel\":\"quotes\",\"data\":[");
        while text.len() < len {
            let symbol = ["BTC-EUR", "ETH-EUR", "SOL-USD", "XRP-USD"][number(4) as usize];
            let (bid, ask, size) = (number(100_000), number(100), number(5_000));
            text += &format!(
                "{{\"symbol\":\"{symbol}\",\"bid\":\"{bid}.{ask:02}\",\"size\":{size},\"live\":true}},"
            );
        }
        text.truncate(len - 2);
        Bytes::from(text + "]}")
    };
    // None is in the window still when it comes round again.
    (0..(128 << 10) / len + 64).map(&mut message).collect()
}

fn tidewire(role: Role, wire: Wire, context: Context) -> Box<dyn Connection> {
    let fresh = context == Context::Fresh;
    let params = DeflateParams {
        server_no_context_takeover: fresh,
        client_no_context_takeover: fresh,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let config = DeflateConfig { level: 6, ..DeflateConfig::default() };
    let negotiated = Negotiated::default().with_deflate(params, &config);
    Box::new(Tidewire::new(role, negotiated, wire))
}

struct Sockudo {
    protocol: CompressedProtocol,
    input: BytesMut,
    messages: Vec<Message>,
    out: BytesMut,
    wire: Wire,
}

fn sockudo(role: Role, wire: Wire, context: Context) -> Box<dyn Connection> {
    let fresh = context == Context::Fresh;
    let config = SockudoConfig {
        server_no_context_takeover: fresh,
        client_no_context_takeover: fresh,
        ..SockudoConfig::default()
    };
    let protocol = match role {
        Role::Client => CompressedProtocol::client(16 << 20, 16 << 20, config),
        Role::Server => CompressedProtocol::server(16 << 20, 16 << 20, config),
    };
    Box::new(Sockudo {
        protocol,
        input: BytesMut::new(),
        messages: Vec::new(),
        out: BytesMut::new(),
        wire,
    })
}

impl Connection for Sockudo {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        let mut received = 0;
        while received < times {
            self.input.reserve(READ);
            let room = self.input.capacity() - self.input.len();
            self.input.extend_from_slice(self.wire.next(room));
            self.protocol.process_into(&mut self.input, &mut self.messages).unwrap();
            received += self.messages.len() as u64;
            self.messages.drain(..).for_each(|message| take(message.as_bytes(), check));
        }
        received
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        let message = Message::Binary(payload.clone());
        for _ in 0..times {
            self.protocol.encode_message(&message, &mut self.out).unwrap();
            self.wire.wrote(&self.out);
            self.out.clear();
        }
    }
}
