//! tokio-websockets, all of it, over a stream, with keys from rand's generator.

use super::{Check, Connection, Role, Wire, now, take};
use ::tokio_websockets::{ClientBuilder, Config, Message, ServerBuilder, WebSocketStream};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};

struct TokioWebSockets(WebSocketStream<Wire>);

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    // A message is one frame, as with the others.
    let config = Config::default().frame_size(usize::MAX);
    Box::new(TokioWebSockets(match role {
        Role::Client => ClientBuilder::new().config(config).take_over(wire),
        Role::Server => ServerBuilder::new().config(config).serve(wire),
    }))
}

impl Connection for TokioWebSockets {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        now(async {
            for _ in 0..times {
                let message = self.0.next().await.unwrap().unwrap();
                assert!(message.is_binary() || message.is_text());
                take(message.as_payload(), check);
            }
        });
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        now(async {
            for _ in 0..times {
                self.0.send(Message::binary(payload.clone())).await.unwrap();
            }
        });
    }
}
