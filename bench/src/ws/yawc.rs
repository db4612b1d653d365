//! yawc: its codec, below what assembles messages, answers pings and checks text. Text is checked as
//! its upper layer does.

use super::{Check, Connection, READ, Role, Wire, take};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};
use yawc::codec::{Decoder, Encoder};
use yawc::frame::{Frame, OpCode};

struct Yawc {
    decoder: Decoder,
    encoder: Encoder,
    input: BytesMut,
    out: BytesMut,
    wire: Wire,
}

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let role = match role {
        Role::Client => yawc::Role::Client,
        Role::Server => yawc::Role::Server,
    };
    let (decoder, encoder) = (Decoder::new(role, 16 << 20), Encoder::new(role));
    Box::new(Yawc { decoder, encoder, input: BytesMut::new(), out: BytesMut::new(), wire })
}

impl Connection for Yawc {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        let mut left = times;
        while left > 0 {
            match self.decoder.decode(&mut self.input).unwrap() {
                Some(frame) => {
                    assert!(frame.opcode() != OpCode::Text || is_utf8(frame.payload()));
                    take(frame.payload(), check);
                    left -= 1;
                }
                None => {
                    self.input.reserve(READ);
                    let room = self.input.capacity() - self.input.len();
                    self.input.extend_from_slice(self.wire.next(room));
                }
            }
        }
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        for _ in 0..times {
            self.encoder.encode(Frame::binary(payload.clone()), &mut self.out).unwrap();
            self.wire.wrote(&self.out);
            self.out.clear();
        }
    }
}

fn is_utf8(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}
