//! WebSocket as bytes (RFC 6455), written without the library so that it can judge it.

use crate::net::RawPeer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use std::net::{SocketAddr, TcpListener};

/// FIN and the opcode, in the first byte of a frame.
pub const TEXT: u8 = 0x81;
/// See [`TEXT`].
pub const BINARY: u8 = 0x82;
/// See [`TEXT`].
pub const CLOSE: u8 = 0x88;
/// See [`TEXT`].
pub const PING: u8 = 0x89;
/// See [`TEXT`].
pub const PONG: u8 = 0x8A;
/// The first fragment of a text message.
pub const TEXT_BEGINS: u8 = 0x01;
/// The first fragment of a binary message.
pub const BINARY_BEGINS: u8 = 0x02;
/// A fragment in the middle.
pub const CONTINUES: u8 = 0x00;
/// The last fragment.
pub const ENDS: u8 = 0x80;

/// The masking key of the raw client. A key that is zero would hide mistakes.
pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame from a server: `first` is FIN, RSV and opcode.
#[must_use]
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [&head(first, 0, payload.len())[..], payload].concat()
}

/// A frame from a client.
#[must_use]
pub fn masked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [&head(first, 0x80, payload.len())[..], &KEY, &mask(KEY, payload)].concat()
}

/// The payload of a Close frame.
#[must_use]
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// The first bytes of a frame, with the length in its shortest form (5.2).
#[must_use]
pub fn head(first: u8, mask_bit: u8, len: usize) -> Vec<u8> {
    match len {
        0..=125 => vec![first, mask_bit | len as u8],
        126..=0xFFFF => [&[first, mask_bit | 126], &(len as u16).to_be_bytes()[..]].concat(),
        _ => [&[first, mask_bit | 127], &(len as u64).to_be_bytes()[..]].concat(),
    }
}

fn mask(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// The answer to a key (4.2.2, item 5.4).
#[must_use]
pub fn accept_key(key: &str) -> String {
    BASE64.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, RSV and opcode.
    pub first: u8,
    /// All bytes before the masking key or payload.
    pub head: Vec<u8>,
    /// The masking key.
    pub key: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The first frame of `bytes`, which it leaves, if it is whole.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let len = *bytes.get(1)? & 0x7F;
        let extended = match len {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let head = 2 + extended;
        let long = bytes.get(2..head)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        let masked = bytes[1] & 0x80 != 0;
        let start = if masked { head + 4 } else { head };
        let end = start.checked_add(if extended == 0 { usize::from(len) } else { long })?;
        let payload = bytes.get(start..end)?;
        let key = masked.then(|| [0, 1, 2, 3].map(|at| bytes[head + at]));
        let payload = key.map_or(payload.to_vec(), |key| mask(key, payload));
        let frame = Self { first: bytes[0], head: bytes[..head].to_vec(), key, payload };
        bytes.drain(..end);
        Some(frame)
    }

    /// The code and reason of a Close frame.
    ///
    /// # Panics
    /// If it is none, or has no code.
    #[must_use]
    pub fn close(&self) -> (u16, String) {
        assert_eq!(self.first, CLOSE, "{self:?}");
        let (code, reason) = self.payload.split_at(2);
        let reason = String::from_utf8(reason.to_vec()).expect("a reason is UTF-8");
        (u16::from_be_bytes([code[0], code[1]]), reason)
    }
}

/// The value of a field in a head.
///
/// # Panics
/// If it isn't there exactly once.
#[must_use]
pub fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let mut values = head.lines().filter_map(|line| line.split_once(": "));
    let mut values = values.by_ref().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {head:?}")).1;
    assert!(values.next().is_none(), "{name} twice in {head:?}");
    value
}

impl RawPeer {
    /// Accepts a client and its opening handshake. Returns the request's head too.
    ///
    /// # Panics
    /// If none comes.
    #[must_use]
    pub fn accept_websocket(listener: &TcpListener) -> (Self, String) {
        Self::accept_websocket_and_send(listener, b"")
    }

    /// The same, and sends `more` in one segment with the answer.
    ///
    /// # Panics
    /// If none comes.
    #[must_use]
    pub fn accept_websocket_and_send(listener: &TcpListener, more: &[u8]) -> (Self, String) {
        let mut peer = Self::accept(listener);
        let request = peer.read_head();
        peer.send([Self::switching(&request).as_bytes(), more].concat());
        (peer, request)
    }

    /// The answer to a request.
    ///
    /// # Panics
    /// If the request has no key.
    #[must_use]
    pub fn switching(request: &str) -> String {
        let accept = accept_key(field(request, "Sec-WebSocket-Key"));
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }

    /// Connects to a server and opens a WebSocket.
    ///
    /// # Panics
    /// If it can't.
    #[must_use]
    pub fn open_websocket(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address);
        peer.send(opening(""));
        let head = peer.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head:?}");
        // The example of section 1.3.
        assert_eq!(field(&head, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        peer
    }

    /// Reads one frame.
    ///
    /// # Panics
    /// If the stream ends before.
    pub fn read_frame(&mut self) -> Frame {
        let mut head = self.read_exact(2);
        let len = match head[1] & 0x7F {
            126 => {
                head.extend(self.read_exact(2));
                u64::from(u16::from_be_bytes([head[2], head[3]]))
            }
            127 => {
                head.extend(self.read_exact(8));
                u64::from_be_bytes(head[2..].try_into().expect("8 bytes"))
            }
            len => u64::from(len),
        };
        let key = (head[1] & 0x80 != 0).then(|| self.read_exact(4).try_into().expect("4 bytes"));
        let payload = self.read_exact(len as usize);
        let payload = key.map_or(payload.clone(), |key| mask(key, &payload));
        Frame { first: head[0], head, key, payload }
    }

    /// Reads one frame and says what it is: first byte and payload.
    ///
    /// # Panics
    /// If the stream ends before.
    pub fn read_message(&mut self) -> (u8, Vec<u8>) {
        let frame = self.read_frame();
        (frame.first, frame.payload)
    }
}

/// An opening handshake with the key of section 1.3. `fields` are whole lines.
#[must_use]
pub fn opening(fields: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}
