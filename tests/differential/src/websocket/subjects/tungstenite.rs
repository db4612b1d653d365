//! The crate `tungstenite`, with its own limits set to the case's.

use super::Pipe;
use crate::websocket::case::{self, Case, End, Event, Verdict, sent};
use std::io::ErrorKind;
use tidewire::ws::Role;
use tungstenite::protocol::{self, CloseFrame, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

pub fn judge(case: &Case, cuts: &[usize]) -> Verdict {
    let mut socket = socket(case.role, case.max);
    let mut verdict = Verdict::new();
    for (piece, closes) in super::pieces(case, cuts) {
        socket.get_mut().input.extend(piece);
        poll(&mut socket, &mut verdict);
        if verdict.end != End::Open {
            break;
        }
        if closes {
            let normal = CloseFrame { code: 1000.into(), reason: Default::default() };
            socket.close(Some(normal)).expect("an open connection may be closed");
        }
    }
    // What it wants to answer.
    let _ = socket.flush();
    verdict.sent = sent(case.role, &socket.get_ref().output).expect("tungstenite sends frames");
    verdict
}

fn poll(socket: &mut WebSocket<Pipe>, verdict: &mut Verdict) {
    while verdict.end == End::Open {
        match socket.read() {
            Ok(Message::Text(text)) => verdict.events.push(Event::Text(text.as_bytes().into())),
            Ok(Message::Binary(bytes)) => verdict.events.push(Event::Binary(bytes.into())),
            Ok(Message::Ping(payload)) => verdict.events.push(Event::Ping(payload.into())),
            Ok(Message::Pong(payload)) => verdict.events.push(Event::Pong(payload.into())),
            // It says so of a code that may not be sent.
            Ok(Message::Close(Some(close))) if close.reason.as_str() == "Protocol violation" => {
                verdict.end = End::Failed { why: "Protocol violation".into(), code: 1002 };
            }
            Ok(Message::Close(close)) => {
                let none = case::CloseFrame::decode(&[]);
                verdict.end = End::Closed(close.map_or(none, |close| case::CloseFrame {
                    code: close.code.into(),
                    reason: close.reason.as_str().into(),
                }));
            }
            Ok(Message::Frame(_)) => unreachable!("it is not read"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
            // It leaves it to its caller to tell the peer: these are the codes for it.
            Err(error) => {
                let code = match error {
                    Error::Utf8(_) => 1007,
                    Error::Capacity(_) => 1009,
                    _ => 1002,
                };
                verdict.end = End::Failed { why: error.to_string(), code };
            }
        }
    }
}

/// What it sends for these messages.
pub fn send(role: Role, messages: &[case::Message]) -> Vec<u8> {
    let mut socket = socket(role, usize::MAX);
    for case::Message { opcode, payload } in messages {
        let payload = payload.clone();
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        let message = match opcode {
            1 => Message::text(text(payload)),
            2 => Message::binary(payload),
            9 => Message::Ping(payload.into()),
            10 => Message::Pong(payload.into()),
            _ => Message::Close(payload.split_first_chunk().map(|(code, reason)| CloseFrame {
                code: u16::from_be_bytes(*code).into(),
                reason: text(reason.into()).into(),
            })),
        };
        socket.send(message).expect("an open connection sends");
    }
    std::mem::take(&mut socket.get_mut().output)
}

fn socket(role: Role, max: usize) -> WebSocket<Pipe> {
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    WebSocket::from_raw_socket(Pipe::default(), role, Some(config))
}
