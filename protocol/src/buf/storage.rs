//! Bytes with a live region, shared by both buffers.

use alloc::{vec, vec::Vec};
use core::ops::Range;

/// The smallest allocation, in bytes: less than this is not worth a call to the allocator.
const SMALLEST: usize = 256;

/// How many times as many bytes as are live must have been consumed before them, to move them at once:
/// what all moves cost together stays a small part of what was read.
const SPENT: usize = 16;

/// Where live bytes begin, in bytes: a cache line. Copies out of a kernel into memory that is not even
/// aligned to half of one take several times as long on common processors, and allocators align large
/// blocks to 16 bytes only.
const LINE: usize = 64;

/// An allocation that is initialised once, when it is made, so that it can be handed out as
/// `&mut [u8]` to read into again and again without zeroing it and without `unsafe`.
///
/// `start` and `end` lie in one cache line: they are written together, and to read one of them back
/// from a write that went over the end of a line takes longer than a small message does. More alignment
/// than that, and than allocators give anyway, would make what holds this larger.
#[derive(Clone, Debug, Default)]
#[repr(C, align(16))]
pub(super) struct Storage {
    start: usize,
    end: usize,
    /// All of it is initialised; only `start..end` means anything.
    bytes: Vec<u8>,
    /// Where the first line begins, if there is room to begin there.
    origin: usize,
}

impl Storage {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, origin: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn live(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where the live bytes begin. Positions hold until room is made, or something is given back.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    #[inline]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Drops what is before `start`, and gives what is between it and `to`, which is behind it.
    #[inline]
    pub(super) fn narrow(&mut self, start: usize, to: usize) -> &mut [u8] {
        assert!(self.start <= start && start < to && to <= self.end, "more than is live");
        self.start = start;
        &mut self.bytes[start..to]
    }

    /// The live bytes before a position.
    #[inline]
    pub(super) fn head(&self, to: usize) -> &[u8] {
        &self.bytes[self.start..to]
    }

    #[inline]
    pub(super) fn head_mut(&mut self, to: usize) -> &mut [u8] {
        &mut self.bytes[self.start..to]
    }

    /// The live bytes from a position on.
    #[inline]
    pub(super) fn tail(&self, from: usize) -> &[u8] {
        &self.bytes[from..self.end]
    }

    #[inline]
    pub(super) fn tail_mut(&mut self, from: usize) -> &mut [u8] {
        &mut self.bytes[from..self.end]
    }

    /// The live bytes from a position on, and whatever lies behind them.
    #[inline]
    pub(super) fn tail_and_behind(&self, from: usize) -> &[u8] {
        &self.bytes[from..]
    }

    /// Copies what is between two positions to another.
    pub(super) fn copy_within(&mut self, from: Range<usize>, to: usize) {
        self.bytes.copy_within(from, to);
    }

    /// Drops `n` live bytes from the front.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        assert!(n <= self.len(), "consumed {n} of {} bytes", self.len());
        self.start += n;
        if self.start == self.end {
            self.start = self.origin;
            self.end = self.origin;
        }
    }

    /// Whether what is live is little beside what was consumed before it. To move that little now is
    /// cheaper than to move the much it may grow to when room runs out, and what comes next finds
    /// memory that has just been used.
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        (self.start - self.origin) / SPENT > self.len()
    }

    /// Moves the live bytes to the front if they [are little](Self::is_spent).
    pub(super) fn rewind(&mut self) {
        if self.is_spent() {
            let live = self.len();
            self.bytes.copy_within(self.start..self.end, self.origin);
            self.start = self.origin;
            self.end = self.origin + live;
        }
    }

    /// Drops live bytes from the back, so that `len` remain.
    pub(super) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
    }

    /// Makes the first `n` bytes of [`Storage::spare`] live.
    #[inline]
    pub(super) fn commit(&mut self, n: usize) {
        assert!(n <= self.behind(), "committed more than was spare");
        self.end += n;
    }

    /// How many bytes are behind the live ones.
    #[inline]
    pub(super) fn behind(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// Everything behind the live bytes, at least `min` bytes long. The allocation never exceeds
    /// `cap`, which must hold the live bytes and `min`.
    #[inline]
    pub(super) fn spare(&mut self, min: usize, cap: usize) -> &mut [u8] {
        if self.behind() < min {
            self.make_room(min, cap);
        }
        &mut self.bytes[self.end..]
    }

    /// Moves the live bytes to the front if that costs no more than what was consumed since they
    /// last moved (then all moves together are linear), else into twice the space. At `cap` they
    /// move whatever it costs: how often is up to what `cap` leaves besides them.
    #[cold]
    fn make_room(&mut self, min: usize, cap: usize) {
        let live = self.len();
        let need = live + min;
        let fits = need <= self.bytes.len() - self.origin;
        if !(fits && (self.start - self.origin >= live || self.bytes.len() >= cap)) {
            // A few bytes are copied no faster from the beginning of a line.
            let lined = if need < 16 * LINE { need } else { need.saturating_add(LINE) };
            let grown = lined.max(self.bytes.len().saturating_mul(2)).max(SMALLEST);
            let mut bytes = vec![0; grown.min(cap).max(need)];
            let line = bytes.as_ptr().align_offset(LINE);
            self.origin = if line <= bytes.len() - need { line } else { 0 };
            bytes[self.origin..][..live].copy_from_slice(&self.bytes[self.start..self.end]);
            self.bytes = bytes;
        } else {
            self.bytes.copy_within(self.start..self.end, self.origin);
        }
        self.start = self.origin;
        self.end = self.origin + live;
    }

    /// Gives memory back: all of it when empty, else what exceeds twice the live bytes.
    pub(super) fn shrink(&mut self) {
        let live = self.len();
        if live == 0 {
            *self = Self::default();
        } else if self.bytes.len() / 2 > live.max(SMALLEST) {
            *self = Self { bytes: self.live().to_vec(), start: 0, end: live, origin: 0 };
        }
    }
}
