//! The sending direction: from messages to the payloads of compressed ones (RFC 7692, 7.2.1).

use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

/// What ends each flush, and what a message's payload ends without (7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// An empty message, or one whose pieces were all empty (7.2.3.6).
const EMPTY: &[u8] = &[0];

/// The least room that the backend gets: it writes the end of a flush once if it fits.
const ROOM: usize = 64;

/// Compresses the messages of one direction, one after another.
///
/// Each piece is flushed, so that it can leave at once and the receiver can read all of it. The tail
/// of the flush is owed: it comes before the next piece, or not at all behind the last.
pub(in crate::ws) struct Deflater {
    backend: Option<Deflate>,
    /// Compressed bytes, initialised once and used by each message.
    scratch: Vec<u8>,
    /// A message has begun, and its last piece left without the tail.
    owed: bool,
    window_bits: u8,
    takeover: bool,
    level: u8,
    threshold: usize,
}

impl Deflater {
    /// Allocates nothing until a message is compressed. `window_bits` is 8 to 15, `level` 1 to 9.
    pub(in crate::ws) fn new(window_bits: u8, takeover: bool, level: u8, threshold: usize) -> Self {
        Self {
            backend: None,
            scratch: Vec::new(),
            owed: false,
            window_bits,
            takeover,
            level,
            threshold,
        }
    }

    /// Whether a message of `len` bytes should be compressed.
    pub(in crate::ws) fn is_worth(&self, len: usize) -> bool {
        len >= self.threshold
    }

    /// Compresses a message, or the next piece of one. What it gives is payload, and may be empty.
    pub(in crate::ws) fn deflate(&mut self, payload: &[u8], ends: bool) -> &[u8] {
        let mut filled = 0;
        if !payload.is_empty() {
            filled = self.flush(payload);
            self.owed = true;
        }
        if ends && !core::mem::take(&mut self.owed) {
            return EMPTY;
        }
        &self.scratch[..filled]
    }

    /// Fills the scratch with `payload`, compressed and flushed, and gives how far: up to the tail.
    fn flush(&mut self, payload: &[u8]) -> usize {
        let mut filled = 0;
        self.reserve(payload.len() / 4);
        if self.owed {
            self.scratch[..TAIL.len()].copy_from_slice(&TAIL);
            filled = TAIL.len();
        }
        let backend = self.backend.get_or_insert_with(|| backend(self.window_bits, self.level));
        if !self.takeover && !self.owed && backend.total_in() > 0 {
            backend.reset();
        }
        let mut rest = payload;
        loop {
            let (total_in, total_out) = (backend.total_in(), backend.total_out());
            backend
                .compress(rest, &mut self.scratch[filled..], DeflateFlush::SyncFlush)
                .expect("a stream that was not finished takes more");
            rest = &rest[(backend.total_in() - total_in) as usize..];
            filled += (backend.total_out() - total_out) as usize;
            // Where room is left, all is flushed.
            if rest.is_empty() && filled < self.scratch.len() {
                break;
            }
            if self.scratch.len() - filled < ROOM {
                let len = 2 * self.scratch.len();
                self.scratch.resize(len, 0);
            }
        }
        debug_assert!(self.scratch[..filled].ends_with(&TAIL));
        filled - TAIL.len()
    }

    /// Makes the scratch so large, with room for some more.
    fn reserve(&mut self, len: usize) {
        let len = len + 2 * ROOM;
        if self.scratch.len() < len {
            self.scratch.resize(len, 0);
        }
    }

    /// Gives memory back. What is compressed next starts with an empty window, which the receiver need
    /// not know of.
    pub(in crate::ws) fn shrink(&mut self) {
        self.backend = None;
        self.scratch = Vec::new();
    }

    /// How many bytes of heap are held.
    pub(in crate::ws) fn heap_size(&self) -> usize {
        let backend = self.backend.as_ref().map_or(0, |_| heap_size(self.window_bits));
        backend + self.scratch.capacity()
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("window_bits", &self.window_bits)
            .field("takeover", &self.takeover)
            .field("level", &self.level)
            .field("owed", &self.owed)
            .finish_non_exhaustive()
    }
}

fn backend(window_bits: u8, level: u8) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        // Negative: raw, without a header.
        window_bits: -i32::from(backend_bits(window_bits)),
        mem_level: mem_level(window_bits),
        ..DeflateConfig::new(i32::from(level))
    })
}

/// The backend has no window of 256 bytes. Of one of 512 it uses 250, since 262 are kept free for
/// the match that it looks at: so this one is within both.
fn backend_bits(window_bits: u8) -> u8 {
    window_bits.clamp(9, 15)
}

/// How many symbols a block may have, as a power of two less six. Level 8 for all windows made JSON of
/// 64 KB less than 1 % smaller with the largest, 5 % with one of 9 bits, and takes 86 and 108 KB more.
fn mem_level(window_bits: u8) -> i32 {
    i32::from((window_bits / 2 - 1).max(4))
}

/// The backend's one allocation, from its source: its state, two windows, a chain for each byte of
/// one, 64 Ki heads of chains, and seven bytes for each symbol of a block.
fn heap_size(window_bits: u8) -> usize {
    let window = 1 << backend_bits(window_bits);
    let symbols = 1 << (mem_level(window_bits) + 6);
    3_200 + 4 * window + (2 << 16) + 7 * symbols
}

#[cfg(test)]
mod tests;
