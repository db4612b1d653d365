//! nexus-web: its reader and its writer, which are all of it that is sans-IO.

use super::{Check, Connection, Role, Wire, take};
use bytes::Bytes;
use nexus_web::ws::{self, FrameReader, FrameWriter, Message};

struct Nexus {
    reader: FrameReader,
    writer: FrameWriter,
    out: Vec<u8>,
    wire: Wire,
}

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let role = match role {
        Role::Client => ws::Role::Client,
        Role::Server => ws::Role::Server,
    };
    // Twice the default, which cannot hold the largest frame.
    let reader = FrameReader::builder().role(role).buffer_capacity(2 << 20).build();
    Box::new(Nexus { reader, writer: FrameWriter::new(role), out: Vec::new(), wire })
}

impl Connection for Nexus {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        let mut left = times;
        while left > 0 {
            match self.reader.next().unwrap() {
                Some(Message::Binary(message)) => take(message, check),
                Some(Message::Text(message)) => take(message.as_bytes(), check),
                Some(message) => panic!("{message:?}"),
                None => {
                    assert!(self.reader.read_from(&mut self.wire).unwrap() > 0);
                    continue;
                }
            }
            left -= 1;
        }
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        for _ in 0..times {
            let len = self.writer.max_encoded_len(payload.len());
            if self.out.len() < len {
                self.out.resize(len, 0);
            }
            let len = self.writer.encode_binary(payload, &mut self.out);
            self.wire.wrote(&self.out[..len]);
        }
    }
}
