//! Two ends of one connection, under arbitrary calls.

use super::ws::{self, Partial, Taken};
use super::{Random, hash};
use core::time::Duration;
use std::collections::VecDeque;
use tidewire::ws::{CloseCode, Closed, Config, Connection, Delivery, Event};
use tidewire::ws::{DeflateConfig, DeflateParams, MessageKind, Negotiated, SendError};
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
    run(data, hash(data), [Negotiated::default(); 2]);
}

/// The first four bytes say what was agreed on, and how each end compresses; the others are calls.
///
/// # Panics
/// If a promise is broken.
pub fn ws_deflate(data: &[u8]) {
    let Some((&[takeover, bits, client, server], calls)) = data.split_first_chunk() else { return };
    let params = DeflateParams {
        server_no_context_takeover: takeover & 1 != 0,
        client_no_context_takeover: takeover & 2 != 0,
        server_max_window_bits: 8 + (bits & 7),
        client_max_window_bits: 8 + (bits >> 4 & 7),
    };
    let agreed = [client, server].map(|how| {
        let threshold = [0, 1, 64, 500][usize::from(how >> 4 & 3)];
        let config = DeflateConfig { level: how & 15, threshold, ..DeflateConfig::default() };
        Negotiated::default().with_deflate(params, &config)
    });
    run(calls, hash(data), agreed);
}

/// Each end receives whole messages while the other receives pieces, and then the other way round.
fn run(calls: &[u8], seed: u64, agreed: [Negotiated; 2]) {
    for delivery in [[Delivery::Whole, Delivery::Streaming], [Delivery::Streaming, Delivery::Whole]]
    {
        let [client, server] = delivery.map(|delivery| Config {
            delivery,
            send_high_water: HIGH_WATER,
            send_low_water: 500,
            ..ws::config()
        });
        let (start, key) = (Instant::EPOCH, Seed::new([9; 32]));
        let mut random = Random::new(seed);
        let mut pair = Pair {
            ends: [
                End::new(Connection::client(client, agreed[0], &key, start)),
                End::new(Connection::server(server, agreed[1], start)),
            ],
            now: start,
            messages: 0,
            material: (0..8 * ws::MAX_MESSAGE).map(|_| b'a' + random.below(7) as u8).collect(),
            random,
        };
        for call in calls.chunks_exact(2) {
            pair.call(call[0], usize::from(call[1]));
        }
        pair.end();
    }
}

struct End {
    conn: Connection,
    rx: RecvBuf,
    tx: SendBuf,
    /// The messages that the other end has sent and this one has not got; whether each is text.
    due: VecDeque<(bool, Vec<u8>)>,
    /// The message that arrives in pieces.
    partial: Option<ws::Partial>,
    /// The message that is being sent in pieces; whether it is text.
    unfinished: Option<(bool, Vec<u8>)>,
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
            partial: None,
            unfinished: None,
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
            Err(SendError::Unfinished) => assert!(open && self.unfinished.is_some()),
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
    /// What messages consist of: it repeats, and is not only repetitions.
    material: Vec<u8>,
    random: Random,
}

impl Pair {
    fn call(&mut self, call: u8, with: usize) {
        let who = usize::from(call & 1);
        match (call >> 1) % 12 {
            _ if call >= 240 => self.pieces(who, call >> 1 & 7, with),
            0 | 1 => self.send(who, call & 2 == 0, LENGTHS[with % 8]),
            2 | 3 => self.control(who, call & 2 == 0, with),
            4 => self.close(who, CloseCode::new(CODES[with % 8])),
            5..=7 => drop(self.carry(who, 1 + 8 * with)),
            8 | 9 => drop(self.take(who)),
            10 => self.wait(Duration::from_millis(200) * with as u32),
            _ if with < 16 => self.cut(who),
            _ => self.ends[who].rx.shrink(),
        }
        for end in &self.ends {
            let deflated = end.conn.negotiated().deflate().is_some();
            assert!(end.rx.heap_size() <= ws::HEAP[usize::from(deflated)]);
            // A client has the generator of its masking keys.
            let keys = if end.conn.role() == tidewire::ws::Role::Client { 512 } else { 0 };
            let deflate = if deflated { 1 << 19 } else { 0 };
            assert!(end.conn.heap_size() <= keys + deflate);
        }
    }

    /// What a message in pieces needs, and giving memory back in its midst.
    fn pieces(&mut self, who: usize, call: u8, with: usize) {
        let end = &mut self.ends[who];
        let (open, queued) = (end.conn.is_open(), end.tx.len());
        match call {
            0 | 1 => {
                let kind = if call == 0 { MessageKind::Text } else { MessageKind::Binary };
                let started = end.conn.start_message(kind);
                match started {
                    Ok(()) => assert!(open && end.unfinished.is_none()),
                    Err(SendError::Unfinished) => assert!(open && end.unfinished.is_some()),
                    Err(error) => assert!(!open && error == SendError::Closing),
                }
                if started.is_ok() {
                    end.unfinished = Some((call == 0, Vec::new()));
                }
            }
            2..=5 => {
                let Some((text, so_far)) = &end.unfinished else {
                    let sent = end.conn.send_chunk(b"orphan", &mut end.tx);
                    assert!(sent.is_err() && end.tx.len() == queued);
                    end.full |= sent == Err(SendError::Full);
                    return;
                };
                let text = *text;
                // Characters of all lengths, cut anywhere.
                let characters = "a\u{e4}\u{20ac}\u{1d11e}".as_bytes();
                let from = so_far.len();
                let ends = call == 5;
                let most = ws::MAX_MESSAGE - characters.len() - from;
                let piece: Vec<u8> =
                    (from..from + with.min(most)).map(|at| characters[at % 10]).collect();
                let whole = [&so_far[..], &piece].concat();
                let sent = if ends {
                    end.conn.end_message(&piece, &mut end.tx)
                } else {
                    end.conn.send_chunk(&piece, &mut end.tx)
                };
                let half = text && core::str::from_utf8(&whole).is_err();
                if sent == Err(SendError::NotUtf8) {
                    assert!(ends && half && end.tx.len() == queued);
                } else if end.took(open, queued, sent) {
                    assert!(!(ends && half), "a text ends within a character");
                    end.unfinished = (!ends).then_some((text, whole.clone()));
                    if ends {
                        self.ends[1 - who].due.push_back((text, whole));
                    }
                }
            }
            _ => end.conn.shrink(),
        }
    }

    fn send(&mut self, who: usize, text: bool, len: usize) {
        self.messages += 1;
        let letter = b'a' + (self.messages % 26) as u8;
        let at = self.random.below(self.material.len() - len);
        let mut payload = self.material[at..at + len].to_vec();
        payload.iter_mut().step_by(1 + self.random.below(9)).for_each(|byte| *byte = letter);
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
        let event = match Partial::take(&mut end.partial, event) {
            Taken::Piece => return true,
            Taken::Message(text, bytes) => {
                assert_eq!(end.due.pop_front(), Some((text, bytes.into_owned())));
                return true;
            }
            Taken::Other(event) => event,
        };
        match event {
            Event::Ping(payload) | Event::Pong(payload) => {
                // Keepalive counts its pings in eight bytes.
                let counts = payload.len() == 8 && payload.starts_with(&[0; 4]);
                assert!(counts || payload.iter().all(|&byte| byte == b'p'));
            }
            Event::Drained => assert!(core::mem::take(&mut end.full), "nobody waits for room"),
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
            event => unreachable!("{event:?} is of a message"),
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
