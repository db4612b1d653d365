//! What came from the peer.

use super::storage::Storage;
use crate::http::HeaderSpan;
use alloc::{boxed::Box, string::String, vec::Vec};

/// Receive buffer: the transport writes into it, machines parse and lend out of it.
///
/// # Two regions
///
/// ```text
///   | content ........ | hole | raw ............... | spare |
///     decoded by one     dropped   as the transport    room for the
///     layer, for the     framing   delivered it        next read
///     layer above it
/// ```
///
/// A machine that reads the transport works on [`raw`](Self::raw): it [`skip`](Self::skip)s framing
/// and [`keep`](Self::keep)s payload, which closes up behind earlier payload. What it kept is
/// [`content`](Self::content), contiguous whatever the framing was: a fragmented WebSocket message,
/// or an event stream in chunked coding. Bytes move only when framing stands between two kept
/// pieces of one content; a frame or chunk that stands alone is lent where it was read.
///
/// # The transport's side
///
/// Read into [`spare`](Self::spare) and [`commit`](Self::commit) what was read; at the end of the
/// stream call [`finish`](Self::finish).
///
/// ```
/// use tidewire::RecvBuf;
///
/// let mut rx = RecvBuf::with_limit(64 * 1024);
/// let spare = rx.spare(5);
/// spare[..5].copy_from_slice(b"hello"); // usually: socket.read(spare)
/// rx.commit(5);
/// assert_eq!(rx.raw(), b"hello");
/// ```
///
/// # Memory
///
/// Never more than `limit` bytes are held, content and raw bytes together. The allocation grows by
/// doubling as bytes arrive, never because a peer announced them, to at most a quarter above `limit`,
/// and is initialised once, not before each read. What a machine inflates lies beside it, bounded by
/// that machine's own limit. [`shrink`](Self::shrink) gives both back.
#[derive(Debug)]
pub struct RecvBuf {
    /// Its live bytes are content, hole and raw bytes.
    storage: Storage,
    /// Where in the storage the content ends, and where the raw bytes begin; both where the live bytes
    /// do when there is no content.
    kept: usize,
    raw: usize,
    limit: usize,
    /// How much may be committed: what was spare the last time.
    offered: usize,
    /// Bytes that were ever committed.
    received: u64,
    finished: bool,
    failed: bool,
    /// Where the lines of the head at the front of `raw` lie; here so that they are reused.
    pub(crate) spans: Vec<HeaderSpan>,
    /// For what cannot be lent in place because decoding made it longer.
    pub(crate) scratch: String,
    /// The same for bytes: what was inflated. Most connections inflate nothing.
    inflated: Option<Box<Storage>>,
}

impl RecvBuf {
    /// An empty buffer that will hold at most `limit` bytes. Nothing is allocated yet.
    ///
    /// The limit must exceed the largest unit that the machine above needs whole: for a WebSocket
    /// its `max_message` and a frame header, for HTTP its `Limits::head`. A machine that finds it too
    /// small refuses the unit as too big.
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self {
            storage: Storage::new(),
            kept: 0,
            raw: 0,
            limit,
            offered: 0,
            received: 0,
            finished: false,
            failed: false,
            spans: Vec::new(),
            scratch: String::new(),
            inflated: None,
        }
    }

    // The transport's side.

    /// Room to read into: at least `min` bytes, or as many as the limit leaves, which may be none
    /// (see [`is_full`](Self::is_full)). What the slice holds before is unspecified.
    #[inline]
    pub fn spare(&mut self, min: usize) -> &mut [u8] {
        let room = self.room();
        if self.hole() > 0 || self.storage.behind() < min || self.storage.is_spent() {
            self.make_room(min.min(room));
        }
        let spare = self.storage.spare(0, 0);
        self.offered = spare.len().min(room);
        &mut spare[..self.offered]
    }

    /// How many bytes the limit leaves.
    #[inline]
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.storage.len() - self.hole())
    }

    /// How many bytes of dropped framing are between content and raw bytes.
    #[inline]
    fn hole(&self) -> usize {
        self.raw - self.kept
    }

    /// Lets the live bytes move.
    fn moved(&mut self, change: impl FnOnce(&mut Storage)) {
        let start = self.storage.start();
        let (kept, raw) = (self.kept - start, self.raw - start);
        change(&mut self.storage);
        self.kept = self.storage.start() + kept;
        self.raw = self.storage.start() + raw;
    }

    /// Makes sure of `min` bytes to read into; the limit must leave them.
    #[inline(never)]
    fn make_room(&mut self, min: usize) {
        // Without the quarter, a full buffer would be moved as a whole for each byte that leaves it.
        let cap = self.limit.saturating_add(self.limit / 4);
        // A hole as long as what is behind it has paid for the move, and one that stays would make
        // the allocation grow beyond that.
        let hole = self.hole();
        if hole > 0 && (hole >= self.raw_len() || self.storage.len() + min > cap) {
            self.close_hole();
        }
        self.moved(|storage| {
            storage.rewind();
            storage.spare(min, cap);
        });
    }

    /// Says that `n` bytes were read into [`spare`](Self::spare).
    ///
    /// # Panics
    /// If `n` exceeds the length of the slice that `spare` returned.
    #[inline]
    pub fn commit(&mut self, n: usize) {
        assert!(n <= self.offered, "committed {n} bytes where the limit leaves {}", self.offered);
        self.offered -= n;
        self.received += n as u64;
        self.storage.commit(n);
    }

    /// How many bytes were ever [`commit`](Self::commit)ted or [`push`](Self::push)ed, those of earlier
    /// connections among them.
    #[inline]
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Copies as much of `bytes` as the limit allows, and returns how many bytes that was. For
    /// callers that are given bytes instead of reading them.
    #[must_use = "bytes beyond the limit were not taken"]
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare(bytes.len());
        let n = bytes.len().min(spare.len());
        spare[..n].copy_from_slice(&bytes[..n]);
        self.commit(n);
        n
    }

    /// Says that the transport has reached its end: nothing will follow what is here.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// As [`finish`](Self::finish), and says that it was no orderly end: the transport broke. What only
    /// the end of the connection delimits is then not whole (RFC 9112, 8).
    pub fn fail(&mut self) {
        self.finished = true;
        self.failed = true;
    }

    /// Whether [`fail`](Self::fail) was called.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        self.failed
    }

    /// Whether [`finish`](Self::finish) or [`fail`](Self::fail) was called. Raw bytes may still be left.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the limit is reached. Stop reading until the machine has consumed something.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.storage.len() - self.hole() >= self.limit
    }

    /// Whether neither content nor raw bytes are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.storage.len() == 0
    }

    /// Forgets everything, for the next connection. Keeps the allocation.
    pub fn clear(&mut self) {
        self.drop_front(self.storage.len());
        self.finished = false;
        self.failed = false;
        self.spans.clear();
        self.scratch.clear();
        self.consume_inflated(self.inflated().len());
    }

    /// Gives memory back that is not in use. Call it when the connection has been idle for a while,
    /// not after each message.
    pub fn shrink(&mut self) {
        self.close_hole();
        self.moved(Storage::shrink);
        if let Some(inflated) = &mut self.inflated {
            inflated.shrink();
        }
        if self.is_empty() {
            self.spans = Vec::new();
            self.scratch = String::new();
        }
        self.inflated.take_if(|inflated| inflated.len() == 0);
    }

    /// The most bytes that this buffer will hold.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Sets another limit, for the protocol that takes over. What is held already stays, even if it
    /// is more.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many bytes of heap this buffer holds now.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.storage.capacity()
            + self.spans.capacity() * size_of::<HeaderSpan>()
            + self.scratch.capacity()
            + self.inflated.as_deref().map_or(0, |it| size_of::<Storage>() + it.capacity())
    }

    // A machine's side.

    /// Bytes as the transport delivered them, not yet skipped or kept.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.storage.tail(self.raw)
    }

    /// How many raw bytes there are.
    #[inline]
    pub(crate) fn raw_len(&self) -> usize {
        self.storage.end() - self.raw
    }

    /// The raw bytes, to decode them in place.
    #[inline]
    pub fn raw_mut(&mut self) -> &mut [u8] {
        self.storage.tail_mut(self.raw)
    }

    /// Drops `n` raw bytes: framing.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub fn skip(&mut self, n: usize) {
        if self.kept == self.storage.start() {
            self.drop_front(n);
        } else {
            assert!(n <= self.raw_len(), "skipped more than there is");
            self.raw += n;
        }
    }

    /// Turns the next `n` raw bytes into content.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub fn keep(&mut self, n: usize) {
        assert!(n <= self.raw_len(), "kept more than there is");
        if self.hole() > 0 {
            self.storage.copy_within(self.raw..self.raw + n, self.kept);
        }
        self.kept += n;
        self.raw += n;
    }

    /// What the layer below kept, for the layer above.
    #[inline]
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.storage.head(self.kept)
    }

    /// The content, to decode it in place.
    #[inline]
    pub fn content_mut(&mut self) -> &mut [u8] {
        self.storage.head_mut(self.kept)
    }

    /// Drops all of the content.
    #[inline]
    pub(crate) fn consume_content(&mut self) {
        self.drop_front(self.raw - self.storage.start());
    }

    /// Skips `framing` raw bytes and turns the next `n`, at least one, into content, where there is
    /// none yet, and returns it to decode it in place.
    #[inline]
    pub(crate) fn frame(&mut self, framing: usize, n: usize) -> &mut [u8] {
        debug_assert!(self.kept == self.storage.start(), "nothing closes up behind content");
        let start = self.raw + framing;
        self.raw = start + n;
        self.kept = self.raw;
        self.storage.narrow(start, self.raw)
    }

    /// Drops `n` bytes from the front of the content.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        let content = self.kept - self.storage.start();
        assert!(n <= content, "consumed more content than there is");
        if n == content {
            self.consume_content();
        } else {
            self.storage.consume(n);
        }
    }

    /// Drops `n` live bytes from the front, whatever they are, after which there is no content.
    #[inline]
    fn drop_front(&mut self, n: usize) {
        self.storage.consume(n);
        self.kept = self.storage.start();
        self.raw = self.kept;
    }

    /// Drops content from the back, so that `len` bytes remain: a layer that decodes in place made
    /// it shorter. Raw bytes stay; what is kept next closes up behind the rest.
    pub fn truncate(&mut self, len: usize) {
        self.kept = self.kept.min(self.storage.start().saturating_add(len));
        // A hole without content is no hole.
        self.consume(0);
    }

    /// The raw bytes with whatever lies behind them, how many are raw, and the spans to fill.
    #[inline]
    pub(crate) fn raw_and_spans(&mut self) -> (&[u8], usize, &mut Vec<HeaderSpan>) {
        (self.storage.tail_and_behind(self.raw), self.storage.end() - self.raw, &mut self.spans)
    }

    /// The content, and where to put what decoding makes longer.
    #[inline]
    pub(crate) fn content_and_scratch(&mut self) -> (&[u8], &mut String) {
        (self.storage.head(self.kept), &mut self.scratch)
    }

    /// What was inflated and not consumed.
    #[inline]
    pub(crate) fn inflated(&self) -> &[u8] {
        self.inflated.as_deref().map_or(&[], Storage::live)
    }

    /// The content, and at least `min` bytes to inflate it into; the area never exceeds `cap`.
    pub(crate) fn content_and_spare(&mut self, min: usize, cap: usize) -> (&[u8], &mut [u8]) {
        (self.storage.head(self.kept), self.inflated.get_or_insert_default().spare(min, cap))
    }

    /// Says that `n` bytes were inflated.
    pub(crate) fn commit_inflated(&mut self, n: usize) {
        if let Some(inflated) = &mut self.inflated {
            inflated.commit(n);
        }
    }

    /// Drops `n` inflated bytes from the front.
    pub(crate) fn consume_inflated(&mut self, n: usize) {
        if let Some(inflated) = &mut self.inflated {
            inflated.consume(n);
        }
    }

    /// Moves the raw bytes down to the content.
    fn close_hole(&mut self) {
        let (hole, end) = (self.hole(), self.storage.end());
        if hole > 0 {
            self.storage.copy_within(self.raw..end, self.kept);
            self.storage.truncate(self.storage.len() - hole);
            self.raw = self.kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// A copy out of a kernel into memory that is not aligned takes several times as long.
    #[test]
    fn what_is_read_into_an_empty_buffer_begins_on_a_cache_line() {
        for size in [4096, 4097, 64 << 10, 1 << 20] {
            let mut rx = RecvBuf::with_limit(4 << 20);
            // Fresh, used up, and grown.
            for committed in [0, 100, size, 3 * size] {
                let spare = rx.spare(committed.max(4096));
                assert_eq!(spare.as_ptr().align_offset(64), 0, "{size} after {committed}");
                rx.commit(committed);
                rx.skip(committed);
            }
        }
    }

    #[test]
    fn content_closes_up_over_framing() {
        let mut rx = RecvBuf::with_limit(1024);
        assert_eq!(rx.push(b"5:hello5:world!"), 15);
        rx.skip(2);
        rx.keep(5);
        assert_eq!(rx.content(), b"hello");
        rx.skip(2);
        rx.keep(5);
        assert_eq!(rx.content(), b"helloworld");
        assert_eq!(rx.raw(), b"!");
        rx.consume(10);
        assert_eq!((rx.content(), rx.raw()), (&b""[..], &b"!"[..]));
    }

    #[test]
    fn spare_stops_at_the_limit_and_starts_again_when_something_is_consumed() {
        let mut rx = RecvBuf::with_limit(300);
        assert_eq!(rx.push(&[1; 400]), 300);
        assert!(rx.is_full());
        assert!(rx.spare(1).is_empty());
        rx.skip(10);
        assert_eq!(rx.push(&[2; 400]), 10);
        assert!(rx.heap_size() <= 375);
    }

    #[test]
    fn a_full_buffer_that_is_used_piece_by_piece_moves_each_byte_a_few_times_only() {
        let mut rx = RecvBuf::with_limit(1 << 20);
        assert_eq!(rx.push(&vec![0; 1 << 20]), 1 << 20);
        let (mut at, mut moves) = (rx.raw().as_ptr(), 0);
        for _ in 0..100_000 {
            rx.skip(10);
            assert_eq!(rx.push(&[1; 10]), 10);
            moves += u32::from(rx.raw().as_ptr() != at.wrapping_add(10));
            at = rx.raw().as_ptr();
        }
        assert!(moves <= 5, "moved {moves} times");
    }

    #[test]
    fn so_does_one_whose_content_stays() {
        let mut rx = RecvBuf::with_limit(1 << 20);
        assert_eq!(rx.push(&vec![0; 1 << 20]), 1 << 20);
        rx.keep(1);
        let (mut at, mut moves) = (rx.raw().as_ptr(), 0);
        for _ in 0..100_000 {
            rx.skip(10);
            assert_eq!(rx.push(&[1; 10]), 10);
            moves += u32::from(rx.raw().as_ptr() != at.wrapping_add(10));
            at = rx.raw().as_ptr();
        }
        assert!(moves <= 5, "moved {moves} times");
        assert!(rx.heap_size() <= 5 << 18);
    }

    #[test]
    fn the_little_that_is_left_of_much_moves_before_more_comes() {
        let mut rx = RecvBuf::with_limit(1 << 20);
        rx.spare(100_000);
        assert_eq!(rx.push(&[1; 16_000]), 16_000);
        let front = rx.raw().as_ptr();
        rx.skip(15_000);
        assert_eq!(rx.push(&[2; 100]), 100);
        assert_eq!(rx.raw().as_ptr(), front.wrapping_add(15_000), "that is not little");
        rx.skip(1000);
        rx.keep(40);
        assert_eq!(rx.push(&[3; 100]), 100);
        assert_eq!(rx.content().as_ptr(), front);
        assert_eq!(
            (rx.content(), rx.raw()),
            (&[2; 40][..], &[&[2; 60][..], &[3; 100]].concat()[..])
        );
    }

    #[test]
    #[should_panic(expected = "the limit leaves 0")]
    fn no_more_can_be_committed_than_the_limit_leaves() {
        let mut rx = RecvBuf::with_limit(300);
        assert_eq!(rx.push(&[1; 300]), 300);
        rx.commit(1);
    }

    #[test]
    fn shrink_gives_everything_back_when_empty() {
        let mut rx = RecvBuf::with_limit(1 << 20);
        assert_eq!(rx.push(&[0; 100_000]), 100_000);
        rx.skip(100_000);
        assert!(rx.heap_size() >= 100_000);
        rx.shrink();
        assert_eq!(rx.heap_size(), 0);
    }

    #[test]
    fn dropped_framing_takes_no_memory_while_content_stays() {
        let mut rx = RecvBuf::with_limit(1 << 20);
        assert_eq!(rx.push(b"content"), 7);
        rx.keep(7);
        for _ in 0..100_000 {
            assert_eq!(rx.push(b"framing"), 7);
            rx.skip(6);
            rx.keep(1);
            rx.truncate(7);
        }
        assert_eq!(rx.content(), b"content");
        assert!(rx.heap_size() <= 256);
    }

    proptest! {
        /// A model of two vectors behaves alike, and the limit holds.
        #[test]
        fn behaves_like_two_queues(ops in proptest::collection::vec((0..7_u8, 0..200_usize), 1..200)) {
            let mut rx = RecvBuf::with_limit(512);
            let (mut content, mut raw) = (Vec::<u8>::new(), Vec::<u8>::new());
            let mut byte = 0_u8;
            for (op, n) in ops {
                match op {
                    0 | 1 => {
                        let bytes: Vec<u8> = (0..n).map(|_| { byte = byte.wrapping_add(1); byte }).collect();
                        let took = rx.push(&bytes);
                        prop_assert_eq!(took, n.min(512 - content.len() - raw.len()));
                        raw.extend(&bytes[..took]);
                    }
                    2 => { let n = n.min(raw.len()); rx.skip(n); raw.drain(..n); }
                    3 => { let n = n.min(raw.len()); rx.keep(n); content.extend(raw.drain(..n)); }
                    4 => { let n = n.min(content.len()); rx.consume(n); content.drain(..n); }
                    5 => { rx.truncate(n); content.truncate(n); }
                    _ => rx.shrink(),
                }
                prop_assert_eq!(rx.content(), &content[..]);
                prop_assert_eq!(rx.raw(), &raw[..]);
                prop_assert!(rx.heap_size() <= 512 + 128);
            }
        }
    }
}
