//! Streams, right and odd.

use fastrand::Rng;

const ENDS: &[&[u8]] = &[b"\n", b"\n", b"\n", b"\r\n", b"\r\n", b"\r", b"\r", b"\n\r", b"\r\r\n"];
const NAMES: &[&str] = &["data", "data", "data", "event", "id", "retry", ""];
const ODD_NAMES: &[&str] = &[
    "Data",
    "DATA",
    "dat",
    "dataa",
    "data ",
    " data",
    "\tdata",
    "\u{FEFF}data",
    "data\0",
    "ID",
    "Id",
    "i",
    "idd",
    "EVENT",
    "even",
    "events",
    "Retry",
    "retr",
    "retries",
    "x",
    "\0",
    " ",
    "ä",
    "d\u{430}ta",
];
const SPACES: &[&str] = &["", " ", " ", " ", "  ", "\t", " \t", "\u{A0}"];
const WORDS: &[&str] = &[
    "",
    "a",
    "b",
    "hello",
    "{\"k\": [1, 2]}",
    ":",
    "a:b",
    " ",
    "1",
    "0",
    "007",
    "1500",
    "-1",
    "+5",
    "1.5",
    "1e3",
    "0x1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "٣",
    "\0",
    "a\0b",
    "\u{FEFF}",
    "\u{85}",
    "\u{2028}",
    "\u{B}",
    "\u{C}",
    "ä",
    "€",
    "🦀",
    "message",
    "data: x",
    "id",
    "\\n",
];
const NOT_UTF8: &[&[u8]] = &[
    b"\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\xa6",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb",
    b"\xef",
];

fn of<'a, T: ?Sized>(list: &[&'a T], rng: &mut Rng) -> &'a T {
    list[rng.usize(..list.len())]
}

/// A stream, half of them damaged.
pub fn stream(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut stream = match rng.u8(..8) {
        0 if !seeds.is_empty() => seeds[rng.usize(..seeds.len())].clone(),
        _ => lines(rng),
    };
    if rng.bool() {
        for _ in 0..rng.usize(1..4) {
            damage(&mut stream, seeds, rng);
        }
    }
    stream
}

fn lines(rng: &mut Rng) -> Vec<u8> {
    let mut stream = Vec::new();
    if rng.u8(..12) == 0 {
        stream.extend("\u{FEFF}".bytes());
    }
    // A stream has its own ends mostly.
    let end = of(ENDS, rng);
    for _ in 0..rng.usize(..12) {
        if rng.u8(..3) > 0 {
            let name = if rng.u8(..6) == 0 { of(ODD_NAMES, rng) } else { of(NAMES, rng) };
            stream.extend(name.bytes());
            if rng.u8(..10) > 0 {
                stream.push(b':');
                stream.extend(of(SPACES, rng).bytes());
                for _ in 0..rng.usize(..3) {
                    stream.extend(of(WORDS, rng).bytes());
                }
                if rng.u8(..30) == 0 {
                    stream.extend(std::iter::repeat_n(b'x', rng.usize(..5000)));
                }
            }
        }
        stream.extend(if rng.u8(..5) == 0 { of(ENDS, rng) } else { end });
        if rng.u8(..3) == 0 {
            stream.extend(end);
        }
    }
    stream
}

fn damage(stream: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(..=stream.len());
    let to = rng.usize(at..=stream.len().min(at + 8));
    match rng.u8(..9) {
        0 => stream.truncate(at),
        1 => drop(stream.drain(at..to)),
        2 => drop(stream.splice(at..at, of(NOT_UTF8, rng).iter().copied())),
        3 => drop(stream.splice(at..at, of(WORDS, rng).bytes())),
        4 => drop(stream.splice(at..at, of(ENDS, rng).iter().copied())),
        5 if at < stream.len() => stream[at] ^= 1 << rng.u8(..8),
        6 => stream.insert(at, b"\r\n: \0"[rng.usize(..5)]),
        7 => {
            let part = stream[at..to].to_vec();
            drop(stream.splice(at..at, part));
        }
        _ if !seeds.is_empty() => {
            let seed = &seeds[rng.usize(..seeds.len())];
            let from = rng.usize(..=seed.len());
            drop(stream.splice(at..to, seed[from..].iter().copied()));
        }
        _ => stream.push(rng.u8(..)),
    }
}

/// Where a stream is cut: nowhere, everywhere, or here and there.
pub fn cuts(len: usize, rng: &mut Rng) -> Vec<usize> {
    let mut cuts: Vec<_> = match rng.u8(..4) {
        0 => Vec::new(),
        1 if len < 2000 => (1..len).collect(),
        _ => (0..rng.usize(1..=6)).map(|_| rng.usize(..=len)).collect(),
    };
    cuts.sort_unstable();
    cuts
}

/// An event for the encoder: comment, type, id, time, data.
pub struct Sent {
    pub comment: Option<String>,
    pub event_type: Option<String>,
    pub id: Option<String>,
    pub retry: Option<u64>,
    pub data: Option<String>,
}

pub fn sent(rng: &mut Rng) -> Sent {
    let text = |rng: &mut Rng| -> String {
        let word = |rng: &mut Rng| match rng.u8(..4) {
            0 => String::from_utf8_lossy(of(ENDS, rng)).into_owned(),
            _ => of(WORDS, rng).to_owned(),
        };
        (0..rng.usize(..5)).map(|_| word(rng)).collect()
    };
    Sent {
        comment: rng.bool().then(|| text(rng)),
        event_type: rng.bool().then(|| text(rng)),
        id: rng.bool().then(|| text(rng)),
        // All that every peer takes for a time.
        retry: rng.bool().then(|| rng.u32(..).into()),
        data: (rng.u8(..4) > 0).then(|| text(rng)),
    }
}
