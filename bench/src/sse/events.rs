//! What is sent: events as the models of today send them, written by hand and not by a contestant.

use bytes::Bytes;

/// An event, and the lines that carry it.
pub(super) struct Sent {
    pub(super) event_type: &'static str,
    pub(super) data: String,
    pub(super) lines: String,
}

impl Sent {
    /// Data of one line, filled up with text until there are so many bytes of lines.
    fn new(event_type: &'static str, len: usize, before: &str, text: &str, after: &str) -> Self {
        let name = match event_type {
            "message" => String::new(),
            _ => format!("event: {event_type}\n"),
        };
        let mut data = before.to_string();
        let room = len - name.len() - "data: \n\n".len() - after.len();
        for char in text.chars().cycle() {
            if data.len() + char.len_utf8() > room {
                break;
            }
            data.push(char);
        }
        // What is too short for a whole character.
        data.extend(std::iter::repeat_n('.', room - data.len()));
        data += after;
        let lines = format!("{name}data: {data}\n\n");
        assert_eq!(lines.len(), len);
        Self { event_type, data, lines }
    }
}

/// Makes the event with this number.
pub(super) type Make = fn(usize) -> Sent;

const ASCII: &str = "The quick brown fox jumps over 13 lazy dogs, and so on. ";
/// Characters of one to four bytes.
const MIXED: &str = "Grüße, мир! 你好，世界 🌊 καλημέρα and こんにちは. ";

/// 200 B of JSON.
pub(super) fn json(n: usize) -> Sent {
    json_of(200, n, ASCII)
}

pub(super) fn mixed_json(n: usize) -> Sent {
    json_of(200, n, MIXED)
}

/// 64 KiB.
pub(super) fn long(n: usize) -> Sent {
    json_of(64 << 10, n, ASCII)
}

pub(super) fn mixed_long(n: usize) -> Sent {
    json_of(64 << 10, n, MIXED)
}

/// One of so many bytes.
pub(super) fn json_of(len: usize, n: usize, text: &str) -> Sent {
    let before = format!(
        "{{\"id\":\"chatcmpl-{n:06}\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\""
    );
    Sent::new("message", len, &before, text, "\"}}]}")
}

/// 123 B with a type of its own.
pub(super) fn typed(n: usize) -> Sent {
    let before = format!("{{\"type\":\"content_block_delta\",\"index\":{n:04},\"text\":\"");
    Sent::new("content_block_delta", 123, &before, ASCII, "\"}")
}

/// Of growing size: so many mebibytes of text.
pub(super) fn huge(mebibytes: usize) -> Sent {
    json_of(mebibytes << 20, 0, ASCII)
}

pub(super) fn mixed_huge(mebibytes: usize) -> Sent {
    json_of(mebibytes << 20, 0, MIXED)
}

/// How much comes from a cache of the second level, as what a kernel has just copied would.
const CACHE: usize = 256 << 10;

/// A stream of events, cut into what reads bring.
pub(super) struct Stream {
    pub(super) events: Vec<Sent>,
    pub(super) reads: Vec<Bytes>,
}

impl Stream {
    /// At least four reads, and where that takes no more than a cache holds so many events that the
    /// last read is as long as all others.
    pub(super) fn new(make: Make, read: usize) -> Self {
        let len = make(0).lines.len();
        let even = (1..CACHE / len).find(|n| n * len >= 4 * read && (n * len).is_multiple_of(read));
        Self::of((0..even.unwrap_or((4 * read).div_ceil(len))).map(make).collect(), read)
    }

    pub(super) fn of(events: Vec<Sent>, read: usize) -> Self {
        let bytes = Bytes::from_iter(events.iter().flat_map(|event| event.lines.bytes()));
        let reads = (0..bytes.len()).step_by(read);
        let reads = reads.map(|at| bytes.slice(at..bytes.len().min(at + read))).collect();
        Self { events, reads }
    }
}
