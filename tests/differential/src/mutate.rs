//! Small damage to messages.

use fastrand::Rng;

const INSERTED: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\0",
    b":",
    b"\t",
    b",",
    b";",
    b"0",
    b"\r\n ",
    b"\r\r\n",
    b"\x0b",
    b"\"",
    b"\xff",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: x\r\n",
    b"\r\n\r\n",
];

/// Damages `bytes` once to three times.
pub fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..=3) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.usize(..bytes.len());
        let len = rng.usize(1..=8).min(bytes.len() - at);
        match rng.u8(..10) {
            0 => bytes[at] ^= 1 << rng.u8(..8),
            1 => bytes[at] = rng.u8(..),
            2 => drop(bytes.drain(at..at + len)),
            3 => {
                let copy = bytes[at..at + len].to_vec();
                bytes.splice(at..at, copy);
            }
            4 | 5 => {
                let inserted = INSERTED[rng.usize(..INSERTED.len())];
                bytes.splice(at..at, inserted.iter().copied());
            }
            6 => bytes.truncate(at),
            7 => lines(bytes, rng, |lines, a, b| lines.swap(a, b)),
            8 => lines(bytes, rng, |lines, a, b| lines[a] = lines[b].clone()),
            _ => {
                let digits: Vec<_> =
                    (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[digits[rng.usize(..digits.len())]] = rng.u8(b'0'..=b'9');
                }
            }
        }
    }
}

fn lines(bytes: &mut Vec<u8>, rng: &mut Rng, change: fn(&mut Vec<Vec<u8>>, usize, usize)) {
    let mut lines: Vec<Vec<u8>> =
        bytes.split_inclusive(|&byte| byte == b'\n').map(Into::into).collect();
    let (a, b) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
    change(&mut lines, a, b);
    *bytes = lines.concat();
}
