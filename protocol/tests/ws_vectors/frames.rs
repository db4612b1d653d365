//! The table of frames: `tests/vectors/ws_frames.json`, explained in `tests/vectors/README.md`.

use serde::Deserialize;
use tidewire::ws::{Closed, Config, Connection, Delivery, Event};
use tidewire::ws::{Leniency, MessageKind, Negotiated, Role};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) id: String,
    role: Reader,
    pub(crate) verdict: Verdict,
    pub(crate) section: String,
    pub(crate) rule: String,
    pub(crate) why: Option<String>,
    max_message: Option<usize>,
    #[serde(default)]
    lenient: Vec<String>,
    deflate: Option<Deflate>,
    hex: String,
    #[serde(default)]
    events: Vec<Happening>,
    then: Option<Then>,
    code: Option<u16>,
    #[serde(default)]
    reason: String,
    /// What is sent for the Close if it is not the same.
    answer: Option<Hex>,
    pub(crate) error: Option<String>,
    offset: Option<u64>,
    known: Option<usize>,
    close: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reader {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    MustAccept,
    MustRefuse,
    MayRefuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    Open,
    Close,
}

/// What was agreed on, for both directions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deflate {
    window_bits: u8,
    no_context_takeover: bool,
}

/// Bytes, in the table as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Hex(Vec<u8>);

impl From<String> for Hex {
    fn from(digits: String) -> Self {
        Self(hex(&digits))
    }
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Happening {
    Text(String),
    Binary(Hex),
    Ping(Hex),
    Pong(Hex),
}

/// What a connection made of its input.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) happenings: Vec<Happening>,
    pub(crate) closed: Closed,
    reason: String,
    /// What it sent: opcodes and payloads.
    sent: Vec<(u8, Vec<u8>)>,
}

/// Reads the table.
pub(crate) fn table() -> Vec<Vector> {
    serde_json::from_str(include_str!("../vectors/ws_frames.json")).unwrap()
}

/// Pairs of digits, with `61*300` for 300 times the same byte; spaces mean nothing.
fn hex(digits: &str) -> Vec<u8> {
    let byte = |pair: &str| u8::from_str_radix(pair, 16).expect("two hexadecimal digits");
    let group = |group: &str| match group.split_once('*') {
        Some((pair, times)) => vec![byte(pair); times.parse().expect("a number")],
        None => (0..group.len()).step_by(2).map(|at| byte(&group[at..at + 2])).collect(),
    };
    digits.split_whitespace().flat_map(group).collect()
}

/// Who reads, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) role: Role,
    pub(crate) max_message: usize,
    pub(crate) delivery: Delivery,
    pub(crate) leniency: Leniency,
    pub(crate) deflate: Option<Deflate>,
}

impl Setup {
    pub(crate) fn new(role: Role) -> Self {
        let (delivery, leniency) = (Delivery::Whole, Leniency::default());
        Self { role, max_message: 1 << 20, delivery, leniency, deflate: None }
    }

    fn connection(&self, now: Instant) -> Connection {
        let &Self { max_message, delivery, leniency, .. } = self;
        let send_high_water = usize::MAX;
        let config =
            Config { max_message, delivery, leniency, send_high_water, ..Config::default() };
        let agreed = self.deflate.map_or_else(Negotiated::default, agreed);
        match self.role {
            Role::Client => Connection::client(config, agreed, &Seed::new([5; 32]), now),
            Role::Server => Connection::server(config, agreed, now),
        }
    }
}

#[cfg(feature = "deflate")]
fn agreed(deflate: Deflate) -> Negotiated {
    use tidewire::ws::{DeflateConfig, DeflateParams};
    let params = DeflateParams {
        server_no_context_takeover: deflate.no_context_takeover,
        client_no_context_takeover: deflate.no_context_takeover,
        server_max_window_bits: deflate.window_bits,
        client_max_window_bits: deflate.window_bits,
    };
    Negotiated::default().with_deflate(params, &DeflateConfig::default())
}

#[cfg(not(feature = "deflate"))]
fn agreed(deflate: Deflate) -> Negotiated {
    let Deflate { window_bits, no_context_takeover } = deflate;
    unreachable!("without the feature: {window_bits} bits, no takeover: {no_context_takeover}")
}

/// Feeds `pieces`, then the end of the stream.
pub(crate) fn feed<'a>(setup: &Setup, pieces: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let now = Instant::EPOCH;
    let mut conn = setup.connection(now);
    let (mut rx, mut tx) = (RecvBuf::with_limit(2 << 20), SendBuf::new());
    let mut run =
        Run { happenings: vec![], closed: Closed::Eof, reason: String::new(), sent: vec![] };
    let (mut over, mut partial) = (false, None);
    let mut take = |rx: &mut RecvBuf, tx: &mut SendBuf| {
        while let Some(event) = conn.poll_event(now, rx, tx) {
            assert!(!over, "{event:?} behind the last event");
            run.happenings.push(match event {
                Event::Text(text) => Happening::Text(text.to_owned()),
                Event::Binary(bytes) => Happening::Binary(Hex(bytes.to_vec())),
                Event::Ping(bytes) => Happening::Ping(Hex(bytes.to_vec())),
                Event::Pong(bytes) => Happening::Pong(Hex(bytes.to_vec())),
                Event::Closed { why, reason } => {
                    over = true;
                    (run.closed, run.reason) = (why, reason.to_owned());
                    continue;
                }
                Event::MessageStart { kind, .. } => {
                    assert_eq!(partial.replace((kind, vec![])), None);
                    continue;
                }
                Event::Chunk(bytes) => {
                    let (kind, so_far) = partial.as_mut().expect("a message that has begun");
                    assert!(!bytes.is_empty());
                    assert!(*kind == MessageKind::Binary || core::str::from_utf8(bytes).is_ok());
                    so_far.extend_from_slice(bytes);
                    continue;
                }
                Event::MessageEnd => match partial.take().expect("a message that has begun") {
                    (MessageKind::Text, text) => Happening::Text(String::from_utf8(text).unwrap()),
                    (MessageKind::Binary, bytes) => Happening::Binary(Hex(bytes)),
                },
                Event::Drained => panic!("nobody waits for room"),
            });
        }
    };
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = rx.push(piece);
            assert!(taken > 0, "a full buffer is waited on");
            piece = &piece[taken..];
            take(&mut rx, &mut tx);
        }
    }
    rx.finish();
    take(&mut rx, &mut tx);
    assert!(over, "the stream has ended and the connection has not");
    while !tx.is_empty() {
        let (len, frame) = decode(tx.chunk(), setup.role);
        run.sent.push(frame);
        tx.consume(len);
    }
    run
}

/// The first frame of what `sender` sends, none of which is long.
fn decode(bytes: &[u8], sender: Role) -> (usize, (u8, Vec<u8>)) {
    let (masked, len) = (bytes[1] & 0x80 != 0, usize::from(bytes[1] & 0x7F));
    assert!(len <= 125 && bytes[0] & 0xF8 == 0x88, "a final control frame");
    assert_eq!(masked, sender == Role::Client);
    let start = if masked { 6 } else { 2 };
    let payload = bytes[start..start + len].iter().enumerate();
    let payload = payload.map(|(at, byte)| if masked { byte ^ bytes[2 + at % 4] } else { *byte });
    (start + len, (bytes[0] & 0x0F, payload.collect()))
}

impl Vector {
    pub(crate) fn role(&self) -> Role {
        match self.role {
            Reader::Server => Role::Server,
            Reader::Client => Role::Client,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        hex(&self.hex)
    }

    /// After how many bytes it is refused, if it is and that can be said.
    pub(crate) fn known(&self) -> Option<usize> {
        let due = self.error.is_some() && self.deflate.is_none();
        assert_eq!(self.known.is_some(), due, "{}", self.id);
        self.known
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.deflate.is_some()
    }

    pub(crate) fn setup(&self, delivery: Delivery) -> Setup {
        let mut leniency = Leniency::default();
        for flag in &self.lenient {
            *super::flag(&mut leniency, flag) = true;
        }
        let max_message = self.max_message.unwrap_or(1 << 20);
        Setup { role: self.role(), max_message, delivery, leniency, deflate: self.deflate }
    }

    /// Whether the connection gave and sent what the table says.
    pub(crate) fn check(&self, run: &Run) -> Result<(), String> {
        if run.happenings != self.events {
            return Err(format!("gives {:?}", run.happenings));
        }
        let (then, code) = match run.closed {
            Closed::Eof => (Some(Then::Open), None),
            Closed::Clean { code, .. } => (Some(Then::Close), Some(code.get())),
            Closed::Protocol(error) => {
                let place = self.offset.is_none_or(|offset| offset == error.offset);
                if Some(format!("{:?}", error.kind)) != self.error || !place {
                    return Err(format!("{error}"));
                }
                (None, None)
            }
            why => return Err(why.to_string()),
        };
        if (then, code, &run.reason) != (self.then, self.code, &self.reason) {
            return Err(format!("then {then:?} {code:?} {:?}", run.reason));
        }
        let sends = self.sends();
        if run.sent != sends { Err(format!("sends {:x?}", run.sent)) } else { Ok(()) }
    }

    /// A pong for each ping (5.5.3), a Close for a Close (5.5.1) and for a fault (7.1.7).
    fn sends(&self) -> Vec<(u8, Vec<u8>)> {
        let pong = |happening: &Happening| match happening {
            Happening::Ping(Hex(payload)) => Some((0xA, payload.clone())),
            _ => None,
        };
        let close = match (self.code, self.close) {
            (Some(_), _) if self.answer.is_some() => self.answer.clone().map(|answer| answer.0),
            (Some(1005), _) => Some(vec![]),
            (Some(code), _) => Some([&code.to_be_bytes()[..], self.reason.as_bytes()].concat()),
            (None, code) => code.map(|code| code.to_be_bytes().to_vec()),
        };
        let close = close.map(|payload| (0x8, payload));
        self.events.iter().filter_map(pong).chain(close).collect()
    }
}
