//! Frames by the book (RFC 6455, 5.2), for raw sockets.

use super::Result;
use bytes::Bytes;
use std::ops::Range;

pub(super) fn payload(len: usize) -> Bytes {
    (0..len).map(|i| (i * 151) as u8).collect()
}

/// A binary message in one frame.
pub(super) fn frame(payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + payload.len());
    header(&mut frame, payload.len(), key.is_some());
    frame.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn header(out: &mut Vec<u8>, len: usize, masked: bool) {
    let masked = u8::from(masked) << 7;
    match len {
        ..126 => out.extend([0x82, masked | len as u8]),
        126..0x1_0000 => {
            out.extend([0x82, masked | 126]);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.extend([0x82, masked | 127]);
            out.extend((len as u64).to_be_bytes());
        }
    }
}

/// The payload of the frame that `bytes` begin with, if all of it is there.
pub(super) fn whole(bytes: &[u8]) -> Result<Option<Range<usize>>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if *first != 0x82 {
        return Err("not a final frame of a binary message".into());
    }
    let (size, len) = match (second & 0x7F, rest) {
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize)
        }
        (126, [a, b, ..]) => (2, usize::from(u16::from_be_bytes([*a, *b]))),
        (126 | 127, _) => return Ok(None),
        (len, _) => (0, usize::from(len)),
    };
    let start = 2 + size + if second & 0x80 == 0 { 0 } else { 4 };
    Ok((bytes.len() >= start + len).then(|| start..start + len))
}

/// Sends every message back that is there as a whole: appends it to `out`, and says how many bytes of
/// `bytes`, from a client, that was.
pub(super) fn echo(bytes: &[u8], out: &mut Vec<u8>) -> Result<usize> {
    let mut at = 0;
    while let Some(payload) = whole(&bytes[at..])? {
        let (start, end) = (at + payload.start, at + payload.end);
        let key = [bytes[start - 4], bytes[start - 3], bytes[start - 2], bytes[start - 1]];
        header(out, payload.len(), false);
        let (words, rest) = bytes[start..end].as_chunks::<4>();
        let from = out.len();
        out.resize(from + payload.len(), 0);
        let (to, to_rest) = out[from..].as_chunks_mut::<4>();
        for (to, word) in to.iter_mut().zip(words) {
            *to = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
        }
        for ((to, byte), key) in to_rest.iter_mut().zip(rest).zip(key) {
            *to = byte ^ key;
        }
        at = end;
    }
    Ok(at)
}

/// The response to an upgrade, once its request is there as a whole (RFC 6455, 4.2.2).
pub(crate) fn accept(request: &[u8]) -> Option<String> {
    let request = std::str::from_utf8(request).ok()?;
    request.strip_suffix("\r\n\r\n")?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Key").then_some(value.trim())
    })?;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// An upgrade that everybody accepts.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
