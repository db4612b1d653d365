//! What RFC 6455 says of received bytes, as plainly as it can be written: over the whole input, frame
//! by frame, with a copy of everything. It is slow, takes nothing from the crate but the names of the
//! faults, and holds no state between two calls.

use super::case::{Case, CloseFrame, Event, Message};
use tidewire::ws::{Leniency, ProtocolErrorKind as Kind, Role};

/// What has to come of it.
#[derive(Debug)]
pub struct Model {
    pub events: Vec<Event>,
    /// What has to be sent: pongs, and the answer to a Close.
    pub sent: Vec<Message>,
    pub end: End,
    /// Where the last frame ends that was looked at, as far as its header is there.
    pub frame_end: Option<u128>,
    /// The message that has begun: its opcode, and what came of it, the whole characters of a text.
    pub partial: Option<(u8, Vec<u8>)>,
}

#[derive(Debug)]
pub enum End {
    /// More is expected. A frame whose header is cut may show these faults already.
    Open(Vec<Fault>),
    Closed(CloseFrame),
    /// The connection failed (7.1.7), for one of these.
    Failed(Vec<Fault>),
}

/// What is wrong, and at which byte.
pub type Fault = (Kind, usize);

/// The code of the Close frame that tells of a fault (7.4.1).
pub fn close_code(kind: Kind) -> u16 {
    match kind {
        Kind::InvalidUtf8 => 1007,
        Kind::MessageTooBig => 1009,
        _ => 1002,
    }
}

/// Receives the first `bytes` of a case.
pub fn receive(case: &Case, bytes: &[u8]) -> Model {
    let Case { role, max, leniency, .. } = *case;
    let mut model = Model {
        events: Vec::new(),
        sent: Vec::new(),
        end: End::Open(Vec::new()),
        frame_end: None,
        partial: None,
    };
    // The message of which some fragments have come: its opcode, and its bytes with where they were.
    let mut message: Option<(u8, Vec<(u8, usize)>)> = None;
    let mut at = 0;
    // Each round is one frame (5.2).
    while bytes.len() - at >= 2 {
        model.frame_end = None;
        let mut faults = Vec::new();
        let mut wrong = |kind, is: bool| faults.extend(is.then_some((kind, at)));
        let (first, second) = (bytes[at], bytes[at + 1]);
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        let (masked, short) = (second & 0x80 != 0, second & 0x7F);
        let is_control = opcode >= 8;
        wrong(Kind::ReservedBit, first & 0x70 != 0);
        wrong(Kind::ReservedOpcode, !matches!(opcode, 0..=2 | 8..=10));
        // 5.5: "MUST have a payload length of 125 bytes or less and MUST NOT be fragmented".
        wrong(Kind::FragmentedControl, is_control && !fin);
        wrong(Kind::ControlTooLong, is_control && short > 125);
        // 5.1: "a client MUST mask all frames", "a server MUST NOT mask any frames".
        wrong(Kind::UnmaskedByClient, role == Role::Server && !masked && !leniency.unmasked_client);
        wrong(Kind::MaskedByServer, role == Role::Client && masked && !leniency.masked_server);
        // 5.4: fragments of one message are in order, and of one message at a time.
        wrong(Kind::OrphanContinuation, opcode == 0 && message.is_none());
        wrong(Kind::InterleavedMessage, matches!(opcode, 1 | 2) && message.is_some());

        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(length) = bytes.get(at + 2..at + 2 + extended) else {
            model.end = End::Open(faults);
            return model;
        };
        let length = match extended {
            0 => u128::from(short),
            _ => length.iter().fold(0, |number, &byte| number << 8 | u128::from(byte)),
        };
        // 5.2: "the minimal number of bytes MUST be used", "the most significant bit MUST be 0".
        let is_minimal = length >= [0, 126, 1 << 16][extended.div_ceil(4)];
        wrong(Kind::LengthNotMinimal, !is_minimal && !leniency.length_not_minimal);
        wrong(Kind::LengthOutOfRange, length >= 1 << 63);
        // 10.4: a limit is kept before anything is stored.
        let received = message.as_ref().map_or(0, |(_, bytes)| bytes.len());
        wrong(Kind::MessageTooBig, !is_control && received as u128 + length > max as u128);

        let payload_at = at + 2 + extended + if masked { 4 } else { 0 };
        if bytes.len() < payload_at {
            model.end = End::Open(faults);
            return model;
        }
        let frame_end = payload_at as u128 + length;
        model.frame_end = Some(frame_end);
        if !faults.is_empty() {
            model.end = End::Failed(faults);
            return model;
        }

        // 5.3: octet i is XORed with octet i mod 4 of the key.
        let end = usize::try_from(frame_end).unwrap_or(usize::MAX).min(bytes.len());
        let is_whole = end as u128 == frame_end;
        let key = if masked { &bytes[payload_at - 4..payload_at] } else { &[0; 4] };
        let payload: Vec<u8> =
            bytes[payload_at..end].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();

        if is_control {
            if !is_whole {
                return model;
            }
            match opcode {
                9 => {
                    // 5.5.3: a pong has the application data of its ping.
                    model.sent.push(Message { opcode: 10, payload: payload.clone() });
                    model.events.push(Event::Ping(payload));
                }
                10 => model.events.push(Event::Pong(payload)),
                _ => {
                    model.end = close(&payload, at, payload_at, leniency);
                    if let End::Closed(CloseFrame { code, .. }) = model.end {
                        // 5.5.1: it typically echoes the status code, if that may be sent.
                        let payload = if may_be_sent(code) { payload } else { Vec::new() };
                        model.sent.push(Message { opcode: 8, payload });
                    }
                    return model;
                }
            }
        } else {
            let (kind, text) = message.get_or_insert((opcode, Vec::new()));
            text.extend(payload.iter().zip(payload_at..).map(|(&byte, at)| (byte, at)));
            let kind = *kind;
            let so_far: Vec<u8> = text.iter().map(|(byte, _)| *byte).collect();
            let complete = is_whole && fin;
            model.partial = Some((kind, so_far.clone()));
            if kind == 1 {
                // 8.1, and 5.6: a fragment may end within a character, the message may not.
                let told = std::str::from_utf8(&so_far).map_or_else(|e| e.valid_up_to(), str::len);
                model.partial = Some((kind, so_far[..told].into()));
                if let Some(bad) = bad_byte(&so_far, complete) {
                    let at = text.get(bad).map_or(end, |(_, at)| *at);
                    model.end = End::Failed(vec![(Kind::InvalidUtf8, at)]);
                    return model;
                }
            }
            if !is_whole {
                return model;
            }
            if fin {
                message = None;
                model.partial = None;
                let event = if kind == 1 { Event::Text } else { Event::Binary };
                model.events.push(event(so_far));
            }
        }
        at = end;
    }
    model.frame_end = None;
    model
}

/// What the payload of a Close frame says (5.5.1, 7.1.5, 7.1.6).
fn close(payload: &[u8], at: usize, payload_at: usize, leniency: Leniency) -> End {
    match payload {
        [] => End::Closed(CloseFrame::decode(payload)),
        [_] => End::Failed(vec![(Kind::TruncatedCloseCode, at)]),
        [high, low, reason @ ..] => {
            let is_good = leniency.any_close_code || may_be_sent(u16::from_be_bytes([*high, *low]));
            let mut faults = Vec::new();
            faults.extend((!is_good).then_some((Kind::InvalidCloseCode, at)));
            faults.extend(
                bad_byte(reason, true).map(|bad| (Kind::InvalidUtf8, payload_at + 2 + bad)),
            );
            if faults.is_empty() {
                End::Closed(CloseFrame::decode(payload))
            } else {
                End::Failed(faults)
            }
        }
    }
}

/// 7.4.1, 7.4.2, and the registry that 11.7 founds, which has added 1012 to 1014.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The first byte with which `text` can no longer become UTF-8, or its end if it is `complete` and
/// lacks some. That is the first byte behind which no prefix is valid but for being cut.
fn bad_byte(text: &[u8], complete: bool) -> Option<usize> {
    let good = std::str::from_utf8(text).err()?.valid_up_to();
    let is_bad = |&at: &usize| {
        std::str::from_utf8(&text[good..=at]).is_err_and(|error| error.error_len().is_some())
    };
    (good..text.len()).find(is_bad).or(complete.then_some(text.len()))
}
