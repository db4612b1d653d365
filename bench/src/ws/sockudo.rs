//! sockudo-ws: its protocol without its streams, with keys from rand's generator in place of its
//! default, which can be predicted.

use super::{Check, Connection, READ, Role, Wire, take};
use bytes::{Bytes, BytesMut};
use sockudo_ws::protocol::{self, Message, Protocol};

struct Sockudo {
    protocol: Protocol,
    input: BytesMut,
    messages: Vec<Message>,
    out: BytesMut,
    wire: Wire,
}

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let protocol = Protocol::new(role, 16 << 20, 16 << 20);
    let (input, out) = (BytesMut::with_capacity(READ), BytesMut::new());
    Box::new(Sockudo { protocol, input, messages: Vec::new(), out, wire })
}

impl Connection for Sockudo {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        let mut received = 0;
        while received < times {
            // As its streams read.
            if self.input.capacity() - self.input.len() < 4096 {
                self.input.reserve(READ);
            }
            let room = self.input.capacity() - self.input.len();
            self.input.extend_from_slice(self.wire.next(room));
            self.protocol.process_into(&mut self.input, &mut self.messages).unwrap();
            received += self.messages.len() as u64;
            for message in self.messages.drain(..) {
                take(message.as_bytes(), check);
            }
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
