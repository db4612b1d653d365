//! Ourselves, driven as `tidewire-runtime` does it.

use super::{Check, Connection, Role, Wire, take};
use bytes::Bytes;
use tidewire::ws::{self, Config, Event, Negotiated};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;

pub(super) struct Tidewire {
    conn: ws::Connection,
    rx: RecvBuf,
    tx: SendBuf,
    wire: Wire,
    /// How much room the next read gets: more, while reads fill it.
    room: usize,
}

pub(super) fn open(role: Role, wire: Wire) -> Box<dyn Connection> {
    Box::new(Tidewire::new(role, Negotiated::default(), wire))
}

impl Tidewire {
    pub(super) fn new(role: Role, negotiated: Negotiated, wire: Wire) -> Self {
        let config = Config::default();
        let conn = match role {
            // The operating system's randomness would do nothing else: it is asked once a connection.
            Role::Client => ws::Connection::client(config, negotiated, &Seed::new([7; 32]), NOW),
            Role::Server => ws::Connection::server(config, negotiated, NOW),
        };
        let (rx, tx) = (RecvBuf::with_limit(16 << 20), SendBuf::new());
        Self { conn, rx, tx, wire, room: 4 << 10 }
    }
}

impl Connection for Tidewire {
    fn receive(&mut self, times: u64, check: &mut Check<'_>) -> u64 {
        let mut left = times;
        while left > 0 {
            match self.conn.poll_event(NOW, &mut self.rx, &mut self.tx) {
                Some(Event::Binary(message)) => take(message, check),
                Some(Event::Text(message)) => take(message.as_bytes(), check),
                Some(event) => panic!("{event:?}"),
                None => {
                    let spare = self.rx.spare(self.room);
                    let (n, room) = (self.wire.read_into(spare), spare.len());
                    self.rx.commit(n);
                    if n == room {
                        self.room = (self.room * 2).min(super::READ);
                    }
                    continue;
                }
            }
            left -= 1;
        }
        times
    }

    fn send(&mut self, payload: &Bytes, times: u64) {
        for _ in 0..times {
            self.conn.send_binary(payload, &mut self.tx).unwrap();
            let n = self.wire.wrote(self.tx.chunk());
            self.tx.consume(n);
        }
    }

    fn rest(&mut self) {
        assert!(!self.conn.advance(NOW, &mut self.rx, &mut self.tx));
        self.rx.shrink();
        self.tx.shrink();
    }
}
