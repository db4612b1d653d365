//! Two ends of one connection, under arbitrary calls.

use super::{Random, hash, ws};
use core::time::Duration;
use std::collections::VecDeque;
use tidewire::ws::{CloseCode, Closed, Config, Connection, Event, Negotiated, SendError};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

const HIGH_WATER: usize = 3000;
const LENGTHS: [usize; 8] = [0, 1, 124, 125, 126, 600, 1000, ws::MAX_MESSAGE];
const CODES: [u16; 8] = [1000, 1001, 1005, 3000, 4999, 1006, 1015, 999];

/// The bytes are calls, two bytes each: which, to whom, and with what.
///
/// However the calls come, each message arrives once, whole and in order, or the connection did not
/// end clean; neither end finds fault with the other; and both end, once.
///
/// # Panics
/// If a promise is broken.
pub fn ws_connection(data: &[u8]) {
    let config = Config { send_high_water: HIGH_WATER, send_low_water: 500, ..ws::config() };
    let (start, seed) = (Instant::EPOCH, Seed::new([9; 32]));
    let mut pair = Pair {
        ends: [
            End::new(Connection::client(config, Negotiated::default(), &seed, start)),
            End::new(Connection::server(config, Negotiated::default(), start)),
        ],
        now: start,
        messages: 0,
        random: Random::new(hash(data)),
    };
    for call in data.chunks_exact(2) {
        pair.call(call[0], usize::from(call[1]));
    }
    pair.end();
}

struct End {
    conn: Connection,
    rx: RecvBuf,
    tx: SendBuf,
    /// The messages that the other end has sent and this one has not got; whether each is text.
    due: VecDeque<(bool, Vec<u8>)>,
    /// The code that this end has closed with.
    code: Option<CloseCode>,
    /// `SendError::Full` was returned.
    full: bool,
    closed: Option<Closed>,
}

impl End {
    fn new(conn: Connection) -> Self {
        Self {
            conn,
            rx: RecvBuf::with_limit(ws::BUFFER),
            tx: SendBuf::new(),
            due: VecDeque::new(),
            code: None,
            full: false,
            closed: None,
        }
    }

    /// Whether `sent` was accepted. What it says must fit the state.
    fn took(&mut self, open: bool, queued: usize, sent: Result<(), SendError>) -> bool {
        match sent {
            Ok(()) => assert!(open && queued < HIGH_WATER),
            Err(SendError::Full) => {
                assert!(open && queued >= HIGH_WATER);
                self.full = true;
            }
            Err(SendError::Closing) => assert!(!open),
            Err(error) => panic!("{error}"),
        }
        assert!(sent.is_ok() || self.tx.len() == queued, "a message that was refused is queued");
        // One message and a few control frames above the mark.
        assert!(self.tx.len() <= HIGH_WATER + ws::BUFFER + 1000);
        sent.is_ok()
    }

    fn advance(&mut self, now: Instant) {
        self.conn.advance(now, &mut self.rx, &mut self.tx);
    }
}

struct Pair {
    ends: [End; 2],
    now: Instant,
    messages: usize,
    random: Random,
}

impl Pair {
    fn call(&mut self, call: u8, with: usize) {
        let who = usize::from(call & 1);
        match (call >> 1) % 12 {
            0 | 1 => self.send(who, call & 2 == 0, LENGTHS[with % 8]),
            2 | 3 => self.control(who, call & 2 == 0, with),
            4 => self.close(who, CloseCode::new(CODES[with % 8])),
            5..=7 => drop(self.carry(who, 1 + 8 * with)),
            8 | 9 => drop(self.take(who)),
            10 => self.wait(Duration::from_millis(200) * with as u32),
            _ if with < 16 => self.cut(who),
            _ => self.ends[who].rx.shrink(),
        }
        assert!(self.ends.iter().all(|end| end.rx.heap_size() <= ws::BUFFER + ws::BUFFER / 4));
    }

    fn send(&mut self, who: usize, text: bool, len: usize) {
        self.messages += 1;
        let letter = b'a' + (self.messages % 26) as u8;
        let payload = vec![letter; len];
        let [open, queued] = [usize::from(self.ends[who].conn.is_open()), self.ends[who].tx.len()];
        let end = &mut self.ends[who];
        let sent = if text {
            let text = core::str::from_utf8(&payload).expect("letters");
            end.conn.send_text(text, &mut end.tx)
        } else {
            end.conn.send_binary(&payload, &mut end.tx)
        };
        if end.took(open == 1, queued, sent) {
            self.ends[1 - who].due.push_back((text, payload));
        }
    }

    fn control(&mut self, who: usize, ping: bool, len: usize) {
        let end = &mut self.ends[who];
        let payload = vec![b'p'; len];
        let (open, queued) = (end.conn.is_open(), end.tx.len());
        let sent = if ping {
            end.conn.send_ping(&payload, &mut end.tx)
        } else {
            end.conn.send_pong(&payload, &mut end.tx)
        };
        if sent == Err(SendError::ControlTooLong) {
            assert!(len > 125);
            assert_eq!(end.tx.len(), queued);
        } else {
            end.took(open, queued, sent);
            assert!(sent.is_err() || len <= 125);
        }
    }

    fn close(&mut self, who: usize, code: CloseCode) {
        let end = &mut self.ends[who];
        let (open, queued) = (end.conn.is_open(), end.tx.len());
        // Only a Close without a payload has no code, and then no reason either.
        let reason = if code == CloseCode::NO_STATUS { "" } else { "bye" };
        let closed = end.conn.close(code, reason, self.now, &mut end.tx);
        assert_eq!(closed.is_ok(), code.is_sendable() || code == CloseCode::NO_STATUS);
        if closed.is_ok() && open {
            end.code = Some(code);
            assert!(!end.conn.is_open() && end.tx.len() > queued);
        } else {
            assert_eq!((end.conn.is_open(), end.tx.len()), (open, queued));
        }
    }

    /// Carries up to `most` bytes from `who` to the other end. Returns whether there were any.
    fn carry(&mut self, who: usize, most: usize) -> bool {
        let [client, server] = &mut self.ends;
        let (from, to) = if who == 0 { (client, server) } else { (server, client) };
        let bytes = from.tx.chunk();
        let bytes = &bytes[..bytes.len().min(most)];
        // What arrives behind the end is nobody's.
        let gone = to.closed.is_some() || to.rx.is_finished();
        let carried = if gone { bytes.len() } else { to.rx.push(bytes) };
        from.tx.consume(carried);
        carried > 0
    }

    /// Takes an event. Returns whether there was one.
    fn take(&mut self, who: usize) -> bool {
        let other = self.ends[1 - who].code;
        let end = &mut self.ends[who];
        if self.random.below(3) == 0 {
            end.advance(self.now);
            end.advance(self.now);
        }
        let Some(event) = end.conn.poll_event(self.now, &mut end.rx, &mut end.tx) else {
            return false;
        };
        assert_eq!(end.closed, None, "an event behind the last one: {event:?}");
        match event {
            Event::Text(text) => {
                assert_eq!(end.due.pop_front(), Some((true, text.as_bytes().to_vec())));
            }
            Event::Binary(bytes) => assert_eq!(end.due.pop_front(), Some((false, bytes.to_vec()))),
            Event::Ping(payload) | Event::Pong(payload) => {
                assert!(payload.iter().all(|&byte| byte == b'p'));
            }
            Event::Drained => assert!(core::mem::take(&mut end.full), "nobody waits for room"),
            Event::MessageStart { .. } | Event::Chunk(_) | Event::MessageEnd => {
                panic!("a piece of a message that was to come whole")
            }
            Event::Closed { why, reason } => {
                assert!(!matches!(why, Closed::Protocol(_)), "{why}");
                if let Closed::Clean { code, .. } = why {
                    // The code of whoever closed; an echo has the same.
                    assert_eq!(Some(code), other.or(end.code));
                    assert_eq!(reason, if code == CloseCode::NO_STATUS { "" } else { "bye" });
                    assert!(end.due.is_empty(), "a message is lost, and the end is called clean");
                }
                end.closed = Some(why);
            }
        }
        true
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        for end in &mut self.ends {
            end.advance(self.now);
            end.conn.handle_timeout(self.now, &mut end.tx);
            assert!(end.conn.poll_timeout().is_none_or(|at| at > self.now), "a deadline stays");
        }
    }

    /// The transport breaks, as `who` sees it first.
    fn cut(&mut self, who: usize) {
        let lost = self.ends[who].tx.len();
        self.ends[who].tx.consume(lost);
        self.ends[who].rx.finish();
        self.ends[1 - who].rx.finish();
    }

    /// Everything is carried and taken, whoever is still open closes, and time passes.
    fn end(mut self) {
        for round in 0.. {
            assert!(round < 1000, "the connection does not end");
            let mut progress = false;
            for who in [0, 1] {
                while self.carry(who, usize::MAX) {
                    progress = true;
                    while self.take(1 - who) {}
                }
                progress |= self.take(who);
                let transport = self.ends[who].conn.transport();
                let flushed = self.ends[who].tx.is_empty();
                if self.ends[who].closed.is_some()
                    && (transport == Transport::Down || transport == Transport::Close && flushed)
                    && !self.ends[1 - who].rx.is_finished()
                {
                    self.ends[1 - who].rx.finish();
                    progress = true;
                }
            }
            if self.ends.iter().all(|end| end.closed.is_some()) {
                break;
            }
            if !progress {
                let open = (0..2).find(|&who| self.ends[who].conn.is_open());
                match open {
                    Some(who) => self.close(who, CloseCode::NORMAL),
                    None => self.wait(Duration::from_secs(1)),
                }
            }
        }
        for end in &mut self.ends {
            assert_eq!(end.conn.poll_event(self.now, &mut end.rx, &mut end.tx), None);
            assert_eq!(end.conn.send_text("late", &mut end.tx), Err(SendError::Closing));
            assert_eq!(end.conn.poll_timeout(), None);
        }
    }
}
