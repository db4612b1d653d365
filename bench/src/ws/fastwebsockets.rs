//! fastwebsockets, all of it, over a stream.

use super::{Check, Connection, Role, Wire, now, take};
use ::fastwebsockets::{FragmentCollector, Frame, Payload, WebSocket};
use bytes::Bytes;

struct FastWebSockets(FragmentCollector<Wire>);

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let role = match role {
        Role::Client => ::fastwebsockets::Role::Client,
        Role::Server => ::fastwebsockets::Role::Server,
    };
    Box::new(FastWebSockets(FragmentCollector::new(WebSocket::after_handshake(wire, role))))
}

impl Connection for FastWebSockets {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        now(async {
            for _ in 0..times {
                take(&self.0.read_frame().await.unwrap().payload, check);
            }
        });
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        now(async {
            for _ in 0..times {
                // A client masks in place what is not borrowed.
                let frame = Frame::binary(Payload::Owned(payload.to_vec()));
                self.0.write_frame(frame).await.unwrap();
            }
        });
    }
}
