//! Ours.

use crate::websocket::case::{Case, CloseFrame, End, Event, Message, Verdict, sent};
use fastrand::Rng;
use tidewire::ws::{self, CloseCode, Closed, Config, Connection, Initiator, MessageKind, Role};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;

/// The case in pieces, cut at `cuts`, which ascend.
pub fn judge(case: &Case, cuts: &[usize]) -> Verdict {
    let config = Config { max_message: case.max, send_high_water: usize::MAX, ..Config::default() };
    let mut conn = connection(case.role, config);
    // Room for the control frames in the midst of the largest message.
    let (mut rx, mut tx) = (RecvBuf::with_limit(case.max + 139), SendBuf::new());
    let mut events = Vec::new();
    let mut closed = None;
    for (piece, closes) in super::pieces(case, cuts) {
        let mut rest = &piece[..];
        loop {
            rest = &rest[rx.push(rest)..];
            poll(&mut conn, &mut rx, &mut tx, &mut events, &mut closed);
            if rest.is_empty() || closed.is_some() {
                break;
            }
        }
        if closes {
            conn.close(CloseCode::NORMAL, "", NOW, &mut tx).expect("a connection may be closed");
        }
    }
    rx.finish();
    poll(&mut conn, &mut rx, &mut tx, &mut events, &mut closed);
    let (why, reason) = closed.expect("a connection ends with its stream");
    let mut verdict = Verdict {
        events,
        end: End::Open,
        sent: sent(case.role, &written(&tx)).unwrap_or_else(|why| panic!("we send {why}: {case}")),
        fault: None,
        ours: None,
    };
    match why {
        Closed::Eof => {}
        Closed::Clean { code, initiator } => {
            verdict.ours = Some(initiator == Initiator::Local);
            verdict.end = End::Closed(
                (code != CloseCode::NO_STATUS).then_some(CloseFrame { code: code.get(), reason }),
            );
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

fn poll(
    conn: &mut Connection,
    rx: &mut RecvBuf,
    tx: &mut SendBuf,
    events: &mut Vec<Event>,
    closed: &mut Option<(Closed, String)>,
) {
    while let Some(event) = conn.poll_event(NOW, rx, tx) {
        assert!(closed.is_none(), "{event:?} after Closed");
        events.push(match event {
            ws::Event::Text(text) => Event::Text(text.as_bytes().into()),
            ws::Event::Binary(bytes) => Event::Binary(bytes.into()),
            ws::Event::Ping(payload) => Event::Ping(payload.into()),
            ws::Event::Pong(payload) => Event::Pong(payload.into()),
            ws::Event::Closed { why, reason } => {
                *closed = Some((why, reason.into()));
                continue;
            }
            other => panic!("tidewire says {other:?}"),
        });
    }
}

/// How a message is handed to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Copied,
    Shared,
}

pub const WAYS: &[Way] = &[Way::Copied, Way::Shared];

/// What we send for these messages.
pub fn send(role: Role, messages: &[Message], way: Way, _rng: &mut Rng) -> Vec<u8> {
    let config = Config { send_high_water: usize::MAX, ..Config::default() };
    let mut conn = connection(role, config);
    let mut tx = SendBuf::new();
    for Message { opcode, payload } in messages {
        let kind = if *opcode == 1 { MessageKind::Text } else { MessageKind::Binary };
        let result = match opcode {
            1 | 2 if way == Way::Shared => conn.send_shared(kind, &payload.clone().into(), &mut tx),
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
