//! What is sent, and frames around it, made by the book and not by a contestant.

use bytes::Bytes;

/// A message.
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) is_text: bool,
}

/// Makes a payload of so many bytes.
type Make = fn(usize) -> Payload;

pub(super) const KINDS: [(&str, Make); 3] =
    [("binary", binary), ("ASCII text", ascii), ("mixed text", mixed)];

pub(super) fn binary(len: usize) -> Payload {
    let bytes = (0..len).map(|i| (i * 151) as u8).collect();
    Payload { bytes, is_text: false }
}

fn ascii(len: usize) -> Payload {
    text("The quick brown fox jumps over 13 lazy dogs; {\"and\": [\"so\", \"on\"]}. ", len)
}

/// Characters of one to four bytes.
fn mixed(len: usize) -> Payload {
    text("Grüße, мир! 你好，世界 🌊 καλημέρα and こんにちは. ", len)
}

fn text(sample: &str, len: usize) -> Payload {
    let mut text = String::new();
    for char in sample.chars().cycle() {
        if text.len() + char.len_utf8() > len {
            break;
        }
        text.push(char);
    }
    // What is too short for a whole character.
    text.extend(std::iter::repeat_n('.', len - text.len()));
    Payload { bytes: text.into(), is_text: true }
}

impl Payload {
    /// One frame around it (RFC 6455, 5.2).
    pub(super) fn frame(&self, key: Option<[u8; 4]>) -> Vec<u8> {
        let (opcode, len) = (if self.is_text { 1 } else { 2 }, self.bytes.len());
        let masked = if key.is_some() { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match len {
            ..126 => frame.push(masked | len as u8),
            126..0x1_0000 => {
                frame.push(masked | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            _ => {
                frame.push(masked | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
        let key = key.unwrap_or_default();
        frame.extend(self.bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }
}

/// The key and the payload of a frame that is masked.
pub(super) fn unmask(frame: &[u8]) -> ([u8; 4], Vec<u8>) {
    assert_eq!(frame[0], 0x82, "a final frame of a binary message");
    let at = match frame[1] {
        0x80..0xFE => 2,
        0xFE => 4,
        0xFF => 10,
        _ => panic!("the frame is not masked"),
    };
    let key = [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]];
    (key, frame[at + 4..].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect())
}
