//! Ours.

use crate::websocket::case::{Case, CloseFrame, End, Event, Message, Verdict, sent};
use fastrand::Rng;
use tidewire::ws::{
    self, CloseCode, Closed, Config, Connection, Delivery, Initiator, MessageKind, Role,
};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;

/// What a buffer must hold of a stream: a control frame, and a piece of a message.
const STREAM: usize = 300;

/// The case in pieces, cut at `cuts`, which ascend.
pub fn judge(case: &Case, cuts: &[usize], delivery: Delivery) -> Verdict {
    let config = Config {
        max_message: case.max,
        delivery,
        leniency: case.leniency,
        send_high_water: usize::MAX,
        ..Config::default()
    };
    // Room for the control frames in the midst of the largest message.
    let limit = if delivery == Delivery::Whole { case.max + 139 } else { STREAM };
    let mut receiver = Receiver {
        conn: connection(case.role, config),
        rx: RecvBuf::with_limit(limit),
        tx: SendBuf::new(),
        verdict: Verdict::new(),
        length: None,
        closed: None,
    };
    for (piece, closes) in super::pieces(case, cuts) {
        let mut rest = &piece[..];
        loop {
            rest = &rest[receiver.rx.push(rest)..];
            receiver.poll();
            if rest.is_empty() || receiver.closed.is_some() {
                break;
            }
        }
        if closes {
            let conn = &mut receiver.conn;
            conn.close(CloseCode::NORMAL, "", NOW, &mut receiver.tx).expect("a good code");
        }
    }
    receiver.rx.finish();
    receiver.poll();
    let Receiver { mut verdict, closed, tx, .. } = receiver;
    verdict.sent =
        sent(case.role, &written(&tx)).unwrap_or_else(|why| panic!("we send {why}: {case}"));
    let (why, reason) = closed.expect("a connection ends with its stream");
    match why {
        Closed::Eof => {}
        Closed::Clean { code, initiator } => {
            verdict.ours = Some(initiator == Initiator::Local);
            verdict.end = End::Closed(CloseFrame { code: code.get(), reason });
        }
        Closed::Protocol(error) => {
            verdict.fault = Some((error.kind, error.offset));
            let (why, code) = (format!("{:?}", error.kind), error.close_code().get());
            verdict.end = End::Failed { why, code };
        }
        other => panic!("the connection ended otherwise: {other}"),
    }
    verdict
}

struct Receiver {
    conn: Connection,
    rx: RecvBuf,
    tx: SendBuf,
    verdict: Verdict,
    /// That of the message that has begun, if it was told.
    length: Option<u64>,
    closed: Option<(Closed, String)>,
}

impl Receiver {
    fn poll(&mut self) {
        let Self { conn, rx, tx, verdict, length, closed } = self;
        while let Some(event) = conn.poll_event(NOW, rx, tx) {
            assert!(closed.is_none(), "{event:?} after Closed");
            let events = &mut verdict.events;
            match event {
                ws::Event::Text(text) => events.push(Event::Text(text.as_bytes().into())),
                ws::Event::Binary(bytes) => events.push(Event::Binary(bytes.into())),
                ws::Event::Ping(payload) => events.push(Event::Ping(payload.into())),
                ws::Event::Pong(payload) => events.push(Event::Pong(payload.into())),
                ws::Event::Closed { why, reason } => *closed = Some((why, reason.into())),
                ws::Event::MessageStart { kind, length: told } => {
                    let opcode = if kind == MessageKind::Text { 1 } else { 2 };
                    let before = verdict.partial.replace((opcode, Vec::new()));
                    assert_eq!(before, None, "a message in another");
                    *length = told;
                }
                ws::Event::Chunk(bytes) => {
                    assert!(!bytes.is_empty(), "an empty chunk");
                    let (opcode, message) = verdict.partial.as_mut().expect("a message has begun");
                    let is_text = std::str::from_utf8(bytes).is_ok();
                    assert!(*opcode == 2 || is_text, "a chunk of a text cuts a character");
                    message.extend(bytes);
                }
                ws::Event::MessageEnd => {
                    let (opcode, message) = verdict.partial.take().expect("a message has begun");
                    let told = length.take();
                    assert!(told.is_none_or(|told| told == message.len() as u64), "{told:?}");
                    let event = if opcode == 1 { Event::Text } else { Event::Binary };
                    events.push(event(message));
                }
                other => panic!("tidewire says {other:?}"),
            }
        }
    }
}

/// How a message is handed to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Copied,
    Shared,
    InPieces,
}

pub const WAYS: &[Way] = &[Way::Copied, Way::Shared, Way::InPieces];

/// What we send for these messages.
pub fn send(role: Role, messages: &[Message], way: Way, rng: &mut Rng) -> Vec<u8> {
    let config = Config { send_high_water: usize::MAX, ..Config::default() };
    let mut conn = connection(role, config);
    let mut tx = SendBuf::new();
    for Message { opcode, payload } in messages {
        let kind = if *opcode == 1 { MessageKind::Text } else { MessageKind::Binary };
        let result = match opcode {
            1 | 2 if way == Way::Shared => conn.send_shared(kind, &payload.clone().into(), &mut tx),
            1 | 2 if way == Way::InPieces => {
                conn.start_message(kind).expect("no other is unfinished");
                let mut rest = &payload[..];
                for _ in 0..rng.usize(..4) {
                    let (piece, after) = rest.split_at(rng.usize(..=rest.len()));
                    conn.send_chunk(piece, &mut tx).expect("there is room");
                    rest = after;
                }
                conn.end_message(rest, &mut tx)
            }
            1 => conn.send_text(std::str::from_utf8(payload).expect("it is text"), &mut tx),
            2 => conn.send_binary(payload, &mut tx),
            9 => conn.send_ping(payload, &mut tx),
            10 => conn.send_pong(payload, &mut tx),
            _ => {
                let (code, reason) = match &payload[..] {
                    [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
                    _ => (CloseCode::NO_STATUS.get(), &[][..]),
                };
                let reason = std::str::from_utf8(reason).expect("it is text");
                conn.close(code.into(), reason, NOW, &mut tx).expect("a good Close");
                Ok(())
            }
        };
        result.expect("an open connection sends");
    }
    written(&tx)
}

fn connection(role: Role, config: Config) -> Connection {
    let negotiated = ws::Negotiated::default();
    match role {
        Role::Client => Connection::client(config, negotiated, &Seed::new([1; 32]), NOW),
        Role::Server => Connection::server(config, negotiated, NOW),
    }
}

fn written(tx: &SendBuf) -> Vec<u8> {
    tx.slices().flatten().copied().collect()
}
