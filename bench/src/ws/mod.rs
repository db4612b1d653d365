//! WebSocket: messages in, messages out, and what a connection holds afterwards, all in memory.

mod deflate;
mod fastwebsockets;
pub(crate) mod floor;
mod nexus;
mod payload;
mod sockudo;
mod soketto;
mod tidewire;
mod tokio_websockets;
mod tungstenite;
mod web_socket;
mod wire;
mod yawc;

use self::payload::Payload;
use self::wire::Wire;
use crate::measure::{Case, Contestant};
use bytes::Bytes;
use futures::FutureExt;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant as Clock;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// An open connection of one of the contestants.
trait Connection {
    /// Receives at least so many messages, and says how many.
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64;

    /// Sends a binary message so often, each at once, and leaves the payload as it is.
    fn send(&mut self, payload: &Bytes, times: u64);

    /// Gives back what an idle connection can do without, if there is a call for that.
    fn rest(&mut self) {}
}

/// What is made of each message that is received, if anything.
type Check<'a> = Option<&'a mut dyn FnMut(&[u8])>;

/// Who takes part: a name, and how to open a connection over a transport.
type Peer = (&'static str, fn(Role, Wire) -> Box<dyn Connection>);

/// Ourselves first.
const PEERS: &[Peer] = &[
    ("tidewire", tidewire::open),
    ("nexus-web", nexus::open),
    ("sockudo-ws", sockudo::open),
    ("yawc (codec)", yawc::open),
    ("tungstenite", tungstenite::open),
    ("fastwebsockets", fastwebsockets::open),
    ("web-socket", web_socket::open),
    ("tokio-websockets", tokio_websockets::open),
    ("soketto", soketto::open),
];

const SIZES: [(&str, usize); 5] =
    [("16 B", 16), ("125 B", 125), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)];

/// How much a read brings when it does not bring one frame.
const READ: usize = 64 << 10;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (size, len) in SIZES {
        cases.push((format!("client encode {size}"), Box::new(move || encode(len))));
    }
    for (who, role) in [("server", Role::Server), ("client", Role::Client)] {
        for (reads, most) in [("one frame a read", None), ("64 KiB reads", Some(READ))] {
            for (kind, make) in payload::KINDS {
                for (size, len) in SIZES {
                    let name = format!("{who} decode {size} {kind}, {reads}");
                    cases.push((name, Box::new(move || decode(role, make(len), most))));
                }
            }
        }
    }
    cases.extend(deflate::cases());
    cases
}

/// A client sends: what is read off the wire afterwards is a masked frame with a fresh key.
fn encode(len: usize) -> Vec<Contestant<'static>> {
    let payload = payload::binary(len);
    let mut contestants = vec![];
    for (name, open) in PEERS {
        let written = Rc::default();
        let mut checked = open(Role::Client, Wire::kept(&written));
        let keys: Vec<[u8; 4]> = (0..2)
            .map(|_| {
                checked.send(&payload.bytes, 1);
                let frame = written.take();
                let (key, unmasked) = payload::unmask(&frame);
                assert!(unmasked == payload.bytes, "{name} has sent something else");
                key
            })
            .collect();
        assert_ne!(keys[0], keys[1], "{name} uses a key twice");
        let mut connection = open(Role::Client, Wire::default());
        let bytes = payload.bytes.clone();
        contestants.push(Contestant::timed(name, move |times| {
            let start = Clock::now();
            connection.send(black_box(&bytes), times);
            start.elapsed()
        }));
    }
    contestants.insert(1, floor::memcpy(&payload));
    contestants
}

/// Messages come in, in reads of one frame or of at most so many bytes.
fn decode(role: Role, payload: Payload, most: Option<usize>) -> Vec<Contestant<'static>> {
    let frames = frames(role, &payload, most);
    let most = most.unwrap_or(frames.len());
    let mut contestants = vec![];
    for (name, open) in PEERS {
        let mut check = |message: &[u8]| assert!(message == payload.bytes, "{name} has another");
        open(role, Wire::new(&frames, most)).receive(3, &mut Some(&mut check));
        let mut connection = open(role, Wire::new(&frames, most));
        contestants.push(Contestant::timed(name, move |times| {
            let start = Clock::now();
            let received = connection.receive(times, &mut None);
            start.elapsed().mul_f64(times as f64 / received.max(1) as f64)
        }));
    }
    contestants.insert(1, floor::memcpy(&payload));
    if payload.is_text {
        contestants.insert(2, floor::simdutf8(&payload));
        contestants.insert(3, floor::memcpy_and_simdutf8(&payload));
    }
    contestants
}

/// One frame, or as many as some reads of `most` bytes have.
fn frames(role: Role, payload: &Payload, most: Option<usize>) -> Rc<[u8]> {
    let frame = payload.frame((role == Role::Server).then_some([0x37, 0xFA, 0x21, 0x3D]));
    frame.repeat(most.map_or(1, |most| (4 * most).div_ceil(frame.len()))).into()
}

/// Prints how much heap a connection holds that has received a thousand messages and sent as many.
/// `held` is the allocator's word for how much is held by everyone.
pub(crate) fn idle(held: fn() -> usize) {
    println!("\nheap of an idle server connection, after 1000 messages of 1 KiB in and out");
    let payload = payload::binary(1 << 10);
    let frames = frames(Role::Server, &payload, None);
    for (name, open) in PEERS {
        let before = held();
        let mut connection = open(Role::Server, Wire::new(&frames, frames.len()));
        for _ in 0..1000 {
            connection.receive(1, &mut None);
            connection.send(&payload.bytes, 1);
        }
        connection.rest();
        println!("  {name:36} {:10} B", held() - before);
    }
}

/// A message that was received.
#[inline]
fn take(message: &[u8], check: &mut Check<'_>) {
    if let Some(check) = check {
        check(message);
    }
    black_box(message);
}

/// What a future gives that never waits, since its transport is always ready.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nobody waits for a transport that is always ready")
}
