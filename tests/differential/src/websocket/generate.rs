//! What a peer may send, and what it may not.

use super::case::{Case, Frame, Message};
use fastrand::Rng;
use tidewire::ws::{Leniency, Role};

const FIN: u8 = 0x80;

/// Characters at the edges of each length in UTF-8.
const CHARACTERS: &[char] = &[
    'a',
    'Z',
    ' ',
    '\0',
    '\u{7f}',
    '\u{80}',
    'ß',
    '\u{7ff}',
    '\u{800}',
    '€',
    '\u{d7ff}',
    '\u{e000}',
    '\u{ffff}',
    '\u{10000}',
    '🦀',
    '\u{10ffff}',
];

/// Where UTF-8 goes wrong: lone and missing bytes, overlong forms, surrogates, beyond the last one.
const NOT_UTF8: &[&[u8]] = &[
    b"\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\xa6",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80",
    b"\xff",
    b"\xfe",
    b"\xc3(",
    b"\xe2\x82(",
    b"\xf0\x9f\xa6(",
];

/// A session, two of three of them broken.
pub fn case(rng: &mut Rng) -> Case {
    let role = if rng.bool() { Role::Client } else { Role::Server };
    let max = match rng.u8(..40) {
        0 => 70_000,
        1..20 => 300,
        _ => 1000,
    };
    let mut frames = Vec::new();
    for _ in 0..rng.usize(..6) {
        match rng.u8(..4) {
            0 => frames.push(control(rng)),
            _ => message(max, rng, &mut frames),
        }
    }
    if rng.u8(..3) > 0 {
        frames.push(Frame { payload: close(rng), ..frame(8) });
        // Behind it nothing matters.
        if rng.u8(..4) == 0 {
            message(max, rng, &mut frames);
        }
    }
    if role == Role::Server {
        for frame in &mut frames {
            frame.key = Some(rng.u32(..).to_ne_bytes());
        }
    }
    if rng.u8(..3) > 0 {
        for _ in 0..rng.usize(1..=2) {
            damage(&mut frames, rng);
        }
    }
    let mut frames: Vec<_> = frames.iter().map(Frame::encode).collect();
    if rng.u8(..8) == 0 {
        cut_or_change(&mut frames, rng);
    }
    let close_at = (rng.u8(..5) == 0).then(|| {
        let before = rng.usize(..=frames.len());
        frames[..before].iter().map(Vec::len).sum()
    });
    let mut leniency = Leniency::default();
    if rng.u8(..6) == 0 {
        leniency.unmasked_client = rng.bool();
        leniency.masked_server = rng.bool();
        leniency.length_not_minimal = rng.bool();
        leniency.any_close_code = rng.bool();
    }
    Case { role, frames, close_at, max, leniency }
}

/// What a caller may send: whole messages, control frames, and perhaps a Close behind them.
pub fn messages(rng: &mut Rng) -> Vec<Message> {
    let mut messages = Vec::new();
    let max = if rng.u8(..20) == 0 { 70_000 } else { 300 };
    for _ in 0..rng.usize(1..6) {
        if rng.u8(..4) == 0 {
            let Frame { opcode, payload, .. } = control(rng);
            messages.push(Message { opcode, payload });
        } else {
            let len = length(max, rng);
            let opcode = rng.u8(1..=2);
            let payload = if opcode == 1 { text(len, rng) } else { binary(len, rng) };
            messages.push(Message { opcode, payload });
        }
    }
    if rng.bool() {
        let reason = text(rng.usize(..120), rng);
        let code = [1000_u16, 1001, 1011, 3000, 4999][rng.usize(..5)];
        let payload = match rng.u8(..3) {
            0 => Vec::new(),
            _ => [&code.to_be_bytes()[..], &reason].concat(),
        };
        messages.push(Message { opcode: 8, payload });
    }
    messages
}

/// Where the input is cut: nowhere, everywhere, or here and there.
pub fn cuts(len: usize, rng: &mut Rng) -> Vec<usize> {
    let mut cuts: Vec<_> = match rng.u8(..4) {
        0 => Vec::new(),
        1 if len < 2000 => (1..len).collect(),
        _ => (0..rng.usize(1..=6)).map(|_| rng.usize(..=len)).collect(),
    };
    cuts.sort_unstable();
    cuts
}

fn frame(opcode: u8) -> Frame {
    Frame { flags: FIN, opcode, key: None, extended: None, announced: None, payload: Vec::new() }
}

fn control(rng: &mut Rng) -> Frame {
    let len = [0, 1, 4, 8, 124, 125][rng.usize(..6)];
    Frame { payload: binary(len, rng), ..frame(rng.u8(9..=10)) }
}

fn binary(len: usize, rng: &mut Rng) -> Vec<u8> {
    (0..len).map(|_| rng.u8(..)).collect()
}

/// At least `len` bytes, and less than a character more.
fn text(len: usize, rng: &mut Rng) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < len {
        text.push(CHARACTERS[rng.usize(..CHARACTERS.len())]);
    }
    text.into_bytes()
}

/// As a rule short, else at the edges of the three forms of a length, and of the limit.
fn length(max: usize, rng: &mut Rng) -> usize {
    let edges = [0, 1, 125, 126, 127, max - 1, max, max + 1, 65_535, 65_536];
    match rng.u8(..3) {
        0 => edges[rng.usize(..if max > 65_536 { 10 } else { 8 })],
        _ => rng.usize(..60),
    }
}

/// A message in one frame or several, with control frames between them.
fn message(max: usize, rng: &mut Rng, to: &mut Vec<Frame>) {
    let len = length(max, rng);
    let opcode = rng.u8(1..=2);
    let payload = if opcode == 1 { text(len, rng) } else { binary(len, rng) };
    let mut cuts: Vec<_> = match rng.u8(..2) {
        0 => Vec::new(),
        _ => (0..rng.usize(1..4)).map(|_| rng.usize(..=payload.len())).collect(),
    };
    cuts.sort_unstable();
    let mut from = 0;
    for (number, to_here) in cuts.iter().copied().chain([payload.len()]).enumerate() {
        to.push(Frame {
            flags: if number == cuts.len() { FIN } else { 0 },
            payload: payload[from..to_here].into(),
            ..frame(if number == 0 { opcode } else { 0 })
        });
        from = to_here;
        if number < cuts.len() && rng.u8(..3) == 0 {
            to.push(control(rng));
        }
    }
}

/// The payload of a Close frame, as a rule a good one.
fn close(rng: &mut Rng) -> Vec<u8> {
    const GOOD: &[u16] = &[1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 4999];
    let code = match rng.u8(..10) {
        0 => return Vec::new(),
        1 => bad_code(rng),
        2 => rng.u16(3000..5000),
        _ => GOOD[rng.usize(..GOOD.len())],
    };
    let reason = match rng.u8(..4) {
        0 => Vec::new(),
        1 => text(123 - 3, rng),
        _ => text(10, rng),
    };
    [&code.to_be_bytes()[..], &reason].concat()
}

fn bad_code(rng: &mut Rng) -> u16 {
    const BAD: &[u16] = &[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    if rng.u8(..3) == 0 { rng.u16(..) } else { BAD[rng.usize(..BAD.len())] }
}

/// Breaks a rule, or tries to.
fn damage(frames: &mut Vec<Frame>, rng: &mut Rng) {
    if frames.is_empty() {
        return frames.push(Frame { flags: FIN, ..frame(rng.u8(..16)) });
    }
    let at = rng.usize(..frames.len());
    let other = rng.usize(..frames.len());
    let length = frames[at].payload.len() as u64;
    let frame = &mut frames[at];
    match rng.u8(..16) {
        0 => frame.flags |= 0x10 << rng.u8(..3),
        1 => frame.opcode = rng.u8(..16),
        2 => frame.flags ^= FIN,
        3 => frame.key = if frame.key.is_some() { None } else { Some([rng.u8(..); 4]) },
        4 => frame.extended = Some(if rng.bool() { 2 } else { 8 }),
        5 => {
            let far = [1 << 63, u64::MAX, (1 << 63) - 1, 1 << 62, 1 << 32, 1 << 20];
            frame.announced = Some(far[rng.usize(..far.len())]);
        }
        6 => frame.announced = Some(if rng.bool() { length + 1 } else { length.saturating_sub(1) }),
        7 | 8 => {
            let bad = NOT_UTF8[rng.usize(..NOT_UTF8.len())];
            let at = rng.usize(..=frame.payload.len());
            frame.payload.splice(at..at, bad.iter().copied());
        }
        9 => {
            let len = rng.usize(..=frame.payload.len());
            frame.payload.truncate(len);
        }
        10 => {
            frame.opcode = 8;
            let cut_text = || NOT_UTF8[0];
            frame.payload = match rng.u8(..3) {
                0 => vec![3],
                1 => bad_code(rng).to_be_bytes().into(),
                _ => [&1000_u16.to_be_bytes()[..], b"ab", cut_text()].concat(),
            };
        }
        11 => {
            let len = [126, 127, 200][rng.usize(..3)];
            frame.payload = binary(len, rng);
        }
        12 => drop(frames.remove(at)),
        13 => frames.insert(at, frames[other].clone()),
        14 => frames.swap(at, other),
        // Another one's continuation.
        _ => frame.opcode = if frame.opcode == 0 { rng.u8(1..=2) } else { 0 },
    }
}

/// Damage without regard to frames.
fn cut_or_change(frames: &mut Vec<Vec<u8>>, rng: &mut Rng) {
    if frames.is_empty() {
        return;
    }
    let at = rng.usize(..frames.len());
    let frame = &mut frames[at];
    let byte = rng.usize(..frame.len());
    match rng.u8(..3) {
        0 => frame[byte] ^= 1 << rng.u8(..8),
        1 => drop(frame.remove(byte)),
        _ => {
            frame.truncate(byte);
            frames.truncate(at + 1);
        }
    }
}
