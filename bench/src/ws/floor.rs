//! What nobody can do without.

use super::payload::Payload;
use crate::measure::Contestant;
use std::hint::black_box;

/// Room to copy `from` to, half a page off: where the two lie a little apart in their pages, a copy
/// is many times slower.
pub(crate) struct Room {
    bytes: Vec<u8>,
    at: usize,
}

impl Room {
    pub(crate) fn new(from: &[u8]) -> Self {
        let bytes = vec![0; from.len() + 4096];
        let apart = from.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
        Self { at: (apart + 2048) % 4096, bytes }
    }

    pub(crate) fn take(&mut self, from: &[u8]) -> &[u8] {
        let room = &mut self.bytes[self.at..][..from.len()];
        room.copy_from_slice(from);
        room
    }
}

/// The payload is moved once: by the read, or into what is written.
pub(super) fn memcpy(payload: &Payload) -> Contestant<'static> {
    let (from, mut to) = (payload.bytes.clone(), Room::new(&payload.bytes));
    Contestant::new("memcpy of the payload (the limit)", move || {
        black_box(to.take(black_box(&from)));
    })
}

/// Text is checked once.
pub(super) fn simdutf8(payload: &Payload) -> Contestant<'static> {
    let text = payload.bytes.clone();
    Contestant::new("simdutf8 alone", move || {
        black_box(simdutf8::basic::from_utf8(black_box(&text)).is_ok());
    })
}

/// Both.
pub(super) fn memcpy_and_simdutf8(payload: &Payload) -> Contestant<'static> {
    let (from, mut to) = (payload.bytes.clone(), Room::new(&payload.bytes));
    Contestant::new("memcpy, then simdutf8 (the limit)", move || {
        let text = black_box(to.take(black_box(&from)));
        black_box(simdutf8::basic::from_utf8(text).is_ok());
    })
}
