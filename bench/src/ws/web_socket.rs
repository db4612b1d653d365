//! web-socket, all of it, over a stream with a buffer as its documentation has it. It checks no
//! text, so its caller does.

use super::{Check, Connection, READ, Role, Wire, now, take};
use ::web_socket::{DataType, Event, MessageType, WebSocket};
use bytes::Bytes;
use tokio::io::BufReader;

struct Web(WebSocket<BufReader<Wire>>);

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    let stream = BufReader::with_capacity(READ, wire);
    Box::new(Web(match role {
        Role::Client => WebSocket::client(stream),
        Role::Server => WebSocket::server(stream),
    }))
}

impl Connection for Web {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        now(async {
            for _ in 0..times {
                let Event::Data { ty: DataType::Complete(kind), data } =
                    self.0.recv().await.unwrap()
                else {
                    panic!("no whole message")
                };
                assert!(kind != MessageType::Text || simdutf8::basic::from_utf8(&data).is_ok());
                take(&data, check);
            }
        });
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        now(async {
            for _ in 0..times {
                self.0.send(&payload[..]).await.unwrap();
            }
        });
    }
}
