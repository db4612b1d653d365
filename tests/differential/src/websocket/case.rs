//! What is fed, and what a subject makes of it.

use crate::case::escaped;
use tidewire::ws::{Leniency, ProtocolErrorKind, Role};

/// What an open connection receives, and how.
#[derive(Clone, Debug)]
pub struct Case {
    /// The receiver's.
    pub role: Role,
    /// What comes in, in pieces that a smaller case may leave out: a frame each, as a rule.
    pub frames: Vec<Vec<u8>>,
    /// The receiver begins to close when it has received so many bytes.
    pub close_at: Option<usize>,
    /// The largest message that it takes.
    pub max: usize,
    pub leniency: Leniency,
}

impl Case {
    pub fn bytes(&self) -> Vec<u8> {
        self.frames.concat()
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, at most {} bytes a message", self.role, self.max)?;
        if self.leniency != Leniency::default() {
            write!(f, ", {:?}", self.leniency)?;
        }
        if let Some(at) = self.close_at {
            write!(f, ", closes after {at} bytes")?;
        }
        for frame in &self.frames {
            let shown = &frame[..frame.len().min(200)];
            write!(f, "\n    \"{}\"", escaped(shown))?;
            if shown.len() < frame.len() {
                write!(f, " and {} more", frame.len() - shown.len())?;
            }
        }
        Ok(())
    }
}

/// A frame to send, right or wrong.
#[derive(Clone, Debug)]
pub struct Frame {
    /// FIN and the reserved bits, as in the first byte.
    pub flags: u8,
    pub opcode: u8,
    pub key: Option<[u8; 4]>,
    /// How many bytes of length follow the second byte; `None` for as few as there can be.
    pub extended: Option<usize>,
    /// The length that is announced, if that is not the payload's.
    pub announced: Option<u64>,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn encode(&self) -> Vec<u8> {
        let length = self.announced.unwrap_or(self.payload.len() as u64);
        let extended = self.extended.unwrap_or(match length {
            0..126 => 0,
            126..0x1_0000 => 2,
            _ => 8,
        });
        let short = match extended {
            0 => length as u8 & 0x7F,
            2 => 126,
            _ => 127,
        };
        let mut bytes = vec![self.flags | self.opcode];
        bytes.push(short | if self.key.is_some() { 0x80 } else { 0 });
        bytes.extend(&length.to_be_bytes()[8 - extended..]);
        bytes.extend(self.key.iter().flatten());
        let key = self.key.unwrap_or_default();
        bytes.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}

/// A message or a control frame, as it is sent: whole, and without its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// In bytes: not everyone's text is one.
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// What a Close frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    pub code: u16,
    pub reason: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The subject waited for more when the stream ended.
    Open,
    /// With the peer's Close frame; 1005 is the code of one without (RFC 6455, 7.1.5).
    Closed(CloseFrame),
    /// The subject refused something: why, and the close code for that.
    Failed { why: String, code: u16 },
}

/// What a subject makes of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub events: Vec<Event>,
    pub end: End,
    /// What it sent, in its order.
    pub sent: Vec<Message>,
    /// What we have refused, and at which byte, if we are the subject.
    pub fault: Option<(ProtocolErrorKind, u64)>,
    /// Whether the closing handshake was ours to begin, if we are the subject and it was completed.
    pub ours: Option<bool>,
    /// The kind of the message that has begun, and what of it was told, if we stream.
    pub partial: Option<(u8, Vec<u8>)>,
}

impl Verdict {
    pub const fn new() -> Self {
        Self {
            events: Vec::new(),
            end: End::Open,
            sent: Vec::new(),
            fault: None,
            ours: None,
            partial: None,
        }
    }
}

impl CloseFrame {
    /// From the payload of a frame that has a code or nothing.
    pub fn decode(payload: &[u8]) -> Self {
        let (code, reason) = match payload {
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
            _ => (1005, &[][..]),
        };
        Self { code, reason: String::from_utf8_lossy(reason).into_owned() }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = |f: &mut std::fmt::Formatter<'_>, name, bytes: &[u8]| {
            let shown = escaped(&bytes[..bytes.len().min(60)]);
            write!(f, "{name}({}) \"{shown}\", ", bytes.len())
        };
        for event in &self.events {
            match event {
                Event::Text(text) => bytes(f, "text", text)?,
                Event::Binary(message) => bytes(f, "binary", message)?,
                Event::Ping(payload) => bytes(f, "ping", payload)?,
                Event::Pong(payload) => bytes(f, "pong", payload)?,
            }
        }
        match &self.end {
            End::Open => write!(f, "waits")?,
            End::Closed(close) => write!(f, "closed {} {:?}", close.code, close.reason)?,
            End::Failed { why, code } => write!(f, "failed {code}: {why}")?,
        }
        if let Some((_, at)) = self.fault {
            write!(f, " at {at}")?;
        }
        write!(f, "; sends")?;
        for message in &self.sent {
            write!(f, " {:x}:\"{}\"", message.opcode, escaped(&message.payload))?;
        }
        Ok(())
    }
}

/// The frames that a subject sent: each whole, and in the one right form (RFC 6455, 5.1 and 5.2).
pub fn sent(sender: Role, mut bytes: &[u8]) -> Result<Vec<Message>, String> {
    let mut messages: Vec<Message> = Vec::new();
    let mut unfinished = false;
    while !bytes.is_empty() {
        let [first, second, rest @ ..] = bytes else { return Err("half a header".into()) };
        let extended = [0, 2, 8][usize::from(second & 0x7F).saturating_sub(125)];
        let masked = second & 0x80 != 0;
        if masked != (sender == Role::Client) {
            return Err("a mask where none may be, or none where one must".into());
        }
        let (length, rest) = rest.split_at_checked(extended).ok_or("half a length")?;
        let length = match extended {
            0 => usize::from(second & 0x7F),
            _ => length.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)),
        };
        if extended == 2 && length < 126 || extended == 8 && length < 1 << 16 {
            return Err("a length in too many bytes".into());
        }
        let (key, rest) = rest.split_at_checked(if masked { 4 } else { 0 }).ok_or("half a key")?;
        let key = if masked { key } else { &[0] };
        let (payload, rest) = rest.split_at_checked(length).ok_or("half a payload")?;
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        match opcode {
            _ if first & 0x70 != 0 => return Err("a reserved bit".into()),
            8..=10 if fin && length <= 125 => {
                // It may lie between two fragments.
                let at = messages.len() - usize::from(unfinished);
                messages.insert(at, Message { opcode, payload: payload.collect() });
            }
            1 | 2 if !unfinished => {
                messages.push(Message { opcode, payload: payload.collect() });
                unfinished = !fin;
            }
            0 if unfinished => {
                messages.last_mut().expect("it has begun").payload.extend(payload);
                unfinished = !fin;
            }
            _ => return Err(format!("a frame {first:#x} that may not be here")),
        }
        bytes = rest;
    }
    if unfinished { Err("a message without an end".into()) } else { Ok(messages) }
}
