//! tungstenite, all of it, over a stream.

use super::{Check, Connection, Role, Wire, take};
use bytes::Bytes;
use tungstenite::{Message, WebSocket, protocol};

struct Tungstenite(WebSocket<Wire>);

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    Box::new(Tungstenite(WebSocket::from_raw_socket(wire, role, None)))
}

impl Connection for Tungstenite {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        for _ in 0..times {
            match self.0.read().unwrap() {
                Message::Binary(message) => take(&message, check),
                Message::Text(message) => take(message.as_bytes(), check),
                message => panic!("{message:?}"),
            }
        }
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        for _ in 0..times {
            self.0.send(Message::Binary(payload.clone())).unwrap();
        }
    }
}
