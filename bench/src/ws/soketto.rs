//! soketto, all of it, over a stream. It checks no text, so its caller does.

use super::{Check, Connection, Role, Wire, now, take};
use ::soketto::connection::{Builder, Mode};
use ::soketto::{Data, Receiver, Sender};
use bytes::Bytes;

struct Soketto {
    sender: Sender<Wire>,
    receiver: Receiver<Wire>,
    message: Vec<u8>,
}

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let mode = match role {
        Role::Client => Mode::Client,
        Role::Server => Mode::Server,
    };
    let (sender, receiver) = Builder::new(wire, mode).finish();
    Box::new(Soketto { sender, receiver, message: Vec::new() })
}

impl Connection for Soketto {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        now(async {
            for _ in 0..times {
                self.message.clear();
                let data = self.receiver.receive_data(&mut self.message).await.unwrap();
                let text = matches!(data, Data::Text(_));
                assert!(!text || simdutf8::basic::from_utf8(&self.message).is_ok());
                take(&self.message, check);
            }
        });
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        now(async {
            for _ in 0..times {
                self.sender.send_binary(payload).await.unwrap();
                self.sender.flush().await.unwrap();
            }
        });
    }
}
