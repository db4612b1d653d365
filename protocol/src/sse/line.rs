//! One line of an event stream (WHATWG HTML, 9.2.6), and what its value means.

use crate::utf8;
use alloc::string::String;
use core::time::Duration;
use memchr::memchr;
use wide::{CmpEq, i8x16};

/// What a line sets.
pub(super) enum Field {
    /// It is empty.
    None,
    Comment,
    Data,
    Event,
    Id,
    Retry,
    Other,
}

/// What a line sets, and where in it the value begins.
#[inline(always)]
pub(super) fn field(line: &[u8]) -> (Field, usize) {
    let (field, name) = match line {
        [] => return (Field::None, 0),
        [b':', ..] => (Field::Comment, 0),
        [b'd', b'a', b't', b'a', ..] => (Field::Data, 4),
        [b'e', b'v', b'e', b'n', b't', ..] => (Field::Event, 5),
        [b'i', b'd', ..] => (Field::Id, 2),
        [b'r', b'e', b't', b'r', b'y', ..] => (Field::Retry, 5),
        _ => return (Field::Other, line.len()),
    };
    match &line[name..] {
        [] => (field, name),
        [b':', b' ', ..] => (field, name + 2),
        [b':', ..] => (field, name + 1),
        _ => (Field::Other, line.len()),
    }
}

/// Where the first LF is, if that is soon: where most lines are so short, a call takes longer than
/// the look does.
#[inline(always)]
pub(super) fn line_feed(bytes: &[u8]) -> Option<usize> {
    if let Some(block) = bytes.first_chunk::<32>() {
        let line_feeds = bytemuck::cast::<_, [i8x16; 2]>(*block)
            .map(|half| half.cmp_eq(i8x16::splat(b'\n' as i8)).move_mask() as u32);
        let line_feeds = line_feeds[0] | line_feeds[1] << 16;
        if line_feeds != 0 {
            return Some(line_feeds.trailing_zeros() as usize);
        }
    }
    memchr(b'\n', bytes)
}

/// "If the event type buffer is a value other than the empty string".
#[inline]
pub(super) const fn or_message(event_type: &str) -> &str {
    if event_type.is_empty() { "message" } else { event_type }
}

/// What is in `scratch`, and `bytes` as text: in place if they are UTF-8, else behind it.
#[inline]
pub(super) fn text<'a>(bytes: &'a [u8], scratch: &'a mut String) -> (&'a str, &'a str) {
    match utf8::validate(bytes) {
        Ok(text) => (scratch, text),
        Err(_) => {
            let names = scratch.len();
            push_lossy(scratch, bytes);
            scratch.split_at(names)
        }
    }
}

/// UTF-8 decode (WHATWG Encoding): what is invalid becomes U+FFFD. A line can be decoded for
/// itself, because the bytes that end it are never part of another character.
pub(super) fn push_lossy(text: &mut String, bytes: &[u8]) {
    if let Ok(valid) = utf8::validate(bytes) {
        return text.push_str(valid);
    }
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// "If the field value consists of only ASCII digits"; beyond what a `u64` holds, its maximum.
pub(super) fn milliseconds(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    Some(Duration::from_millis(value.iter().fold(0, digit)))
}
