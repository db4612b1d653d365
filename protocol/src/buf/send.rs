//! What goes to the peer.

use super::storage::Storage;
use alloc::collections::VecDeque;
use bytes::Bytes;

/// Shared payloads shorter than this, in bytes, are copied: small ones are better packed than queued
/// one by one, each with a place in the queue and a slice of its own in the write.
const COPY_BELOW: usize = 4096;

/// Send buffer: machines append to it, the transport takes from its front.
///
/// Small writes are packed into one contiguous run. Large [`Bytes`] are queued as they are, without
/// a copy, between the runs; [`slices`](Self::slices) yields everything in order for a vectored
/// write.
///
/// ```
/// use tidewire::SendBuf;
///
/// let mut tx = SendBuf::new();
/// tx.append(b"HTTP/1.1 200 OK\r\n\r\n");
/// while !tx.is_empty() {
///     let written = tx.chunk().len(); // usually: socket.write(tx.chunk())
///     tx.consume(written);
/// }
/// ```
///
/// The buffer has no limit of its own. Machines compare [`len`](Self::len) with their high-water
/// mark before they accept a message.
#[derive(Debug, Default)]
pub struct SendBuf {
    packed: Storage,
    shared: VecDeque<Shared>,
    /// Bytes in `shared`.
    shared_len: usize,
    /// Packed bytes that come after the last of `shared`.
    tail: usize,
    /// Bytes that were consumed.
    taken: u64,
    /// Those among them that were cleared.
    cleared: u64,
    /// The transport keeps some of what it took.
    kept: bool,
    /// How often some of that left.
    moves: u32,
}

#[derive(Debug)]
struct Shared {
    /// Packed bytes that come before it and after the one before.
    behind: usize,
    bytes: Bytes,
}

impl SendBuf {
    /// An empty buffer. Nothing is allocated yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes wait to be written.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed.len() + self.shared_len
    }

    /// Whether nothing waits to be written.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes were ever [`consume`](Self::consume)d or [`clear`](Self::clear)ed: a machine sees
    /// by it whether its peer takes what waits.
    #[inline]
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether nothing waits to be written, here or in a transport that
    /// [keeps](Self::transport_keeps) what it took. As long as it does not hold, a machine's write
    /// deadline runs.
    #[inline]
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.is_empty() && !self.kept
    }

    /// Another number than before whenever some of what was not [written](Self::is_written) has left.
    #[inline]
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.taken.wrapping_add(self.moves as u64)
    }

    /// Says whether the transport keeps some of what it took, as TLS and other streams with a buffer do,
    /// until they are flushed.
    #[inline]
    pub fn transport_keeps(&mut self, some: bool) {
        self.kept = some;
    }

    /// Says that some of what the transport kept has left.
    pub fn transport_moved(&mut self) {
        self.moves = self.moves.wrapping_add(1);
    }

    /// How many bytes were ever [`consume`](Self::consume)d: what the transport took, on earlier
    /// connections too. What was [`clear`](Self::clear)ed is not among them.
    #[inline]
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.taken - self.cleared
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        self.spare(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Appends `bytes` without copying them, unless they are short.
    pub fn append_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            return self.append(bytes);
        }
        self.shared_len += bytes.len();
        let behind = core::mem::take(&mut self.tail);
        self.shared.push_back(Shared { behind, bytes: bytes.clone() });
    }

    /// At least `min` bytes to encode into, behind everything that waits. They are sent once they
    /// are [`commit`](Self::commit)ted. What the slice holds before is unspecified.
    #[inline]
    pub fn spare(&mut self, min: usize) -> &mut [u8] {
        self.packed.spare(min, usize::MAX)
    }

    /// Appends the first `n` bytes of [`spare`](Self::spare).
    ///
    /// # Panics
    /// If `n` exceeds the length of the slice that `spare` returned.
    #[inline]
    pub fn commit(&mut self, n: usize) {
        self.packed.commit(n);
        self.tail += n;
    }

    /// The first contiguous run of waiting bytes; empty only when the buffer is.
    #[inline]
    #[must_use]
    pub fn chunk(&self) -> &[u8] {
        match self.shared.front() {
            None => self.packed.live(),
            Some(Shared { behind: 0, bytes }) => bytes,
            Some(Shared { behind, .. }) => &self.packed.live()[..*behind],
        }
    }

    /// Every run of waiting bytes, in order, none of them empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut packed = self.packed.live();
        let mut take = move |n| {
            let (now, later) = packed.split_at(n);
            packed = later;
            now
        };
        let tail = self.tail;
        self.shared
            .iter()
            .map(Some)
            .chain([None])
            .flat_map(move |shared| match shared {
                Some(shared) => [take(shared.behind), &shared.bytes],
                None => [take(tail), &[]],
            })
            .filter(|slice| !slice.is_empty())
    }

    /// Drops `n` bytes from the front: they were written.
    ///
    /// # Panics
    /// If fewer are waiting.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.len(), "consumed {n} of {} bytes", self.len());
        self.taken += n as u64;
        if self.shared.is_empty() {
            self.tail -= n;
            self.packed.consume(n);
        } else {
            self.consume_mixed(n);
        }
    }

    /// The same where shared payloads are between the runs.
    fn consume_mixed(&mut self, mut n: usize) {
        while n > 0 {
            let Some(front) = self.shared.front_mut() else {
                self.tail -= n;
                return self.packed.consume(n);
            };
            let packed = n.min(front.behind);
            front.behind -= packed;
            self.packed.consume(packed);
            n -= packed;
            let shared = n.min(front.bytes.len());
            bytes::Buf::advance(&mut front.bytes, shared);
            self.shared_len -= shared;
            n -= shared;
            if front.bytes.is_empty() {
                self.shared.pop_front();
            }
        }
    }

    /// Forgets everything that waits, for the next connection. Keeps the allocation.
    pub fn clear(&mut self) {
        self.taken += self.len() as u64;
        self.cleared += self.len() as u64;
        self.packed.consume(self.packed.len());
        self.shared.clear();
        self.shared_len = 0;
        self.tail = 0;
        self.kept = false;
    }

    /// Gives memory back that is not in use. Call it when the connection has been idle for a while,
    /// not after each message.
    pub fn shrink(&mut self) {
        self.packed.shrink();
        self.shared.shrink_to_fit();
    }

    /// How many bytes of heap this buffer holds now, shared payloads not counted.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.packed.capacity() + self.shared.capacity() * size_of::<Shared>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn large_shared_payloads_are_not_copied() {
        let payload = Bytes::from(Vec::from([7; 10_000]));
        let mut tx = SendBuf::new();
        tx.append(b"head");
        tx.append_shared(&payload);
        tx.append(b"tail");
        let slices: Vec<&[u8]> = tx.slices().collect();
        assert_eq!(slices, [b"head", &payload[..], b"tail"]);
        assert_eq!(slices[1].as_ptr(), payload.as_ptr());
        assert!(tx.heap_size() < 1024);
    }

    proptest! {
        /// Whatever is appended how, and taken in what portions, comes out in order.
        #[test]
        fn behaves_like_one_queue(ops in proptest::collection::vec((0..4_u8, 0..9000_usize), 1..60)) {
            let mut tx = SendBuf::new();
            let mut model = Vec::<u8>::new();
            let mut byte = 0_u8;
            for (op, n) in ops {
                let mut fresh = |n: usize| -> Vec<u8> {
                    (0..n).map(|_| { byte = byte.wrapping_mul(5).wrapping_add(3); byte }).collect()
                };
                match op {
                    0 => { let b = fresh(n % 300); tx.append(&b); model.extend(b); }
                    1 => { let b = Bytes::from(fresh(n)); tx.append_shared(&b); model.extend(&b[..]); }
                    2 => { let n = n.min(model.len()); tx.consume(n); model.drain(..n); }
                    _ => tx.shrink(),
                }
                prop_assert_eq!(tx.len(), model.len());
                prop_assert_eq!(tx.slices().collect::<Vec<_>>().concat(), model.clone());
                prop_assert_eq!(tx.chunk().is_empty(), model.is_empty());
                prop_assert!(model.starts_with(tx.chunk()));
            }
        }
    }
}
