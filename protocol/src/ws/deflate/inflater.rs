//! The receiving direction: from the payloads of compressed messages to the messages (RFC 7692, 7.2.2).
//!
//! ```text
//!             payload                  payload's end               tail was read
//!   between ----------> in a message ----------------> drained ------------------> between
//!      ^                     |
//!      +---------------------+ a final block ends: the backend starts anew with the same window
//! ```

use alloc::collections::VecDeque;
use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::Invalid;

/// What the sender took from the message's end: length and complement of an empty stored block, whose
/// three bits of header are in the payload's last byte (7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// An empty block with fixed codes and an empty stored one: they say nothing, if they begin with a byte.
/// If one bit that is set comes before them, they begin with six impossible lengths of codes, of which
/// one is in the stored block's padding; if two do, with a literal; if more, with a block of no type.
const EMPTY_BLOCKS: [u8; 6] = [0b010, 1 << 5, 0, 0, 0xFF, 0xFF];

/// Looked at, never used: stands behind what must be read to its end and no further.
const SENTINEL: u8 = 0;

/// The backend's one allocation, from its source: its state (with tables for two codes), a window of
/// 32 KiB whatever was agreed on, and what aligns them.
const BACKEND: usize = 14_656 + (1 << 15) + 64 + 64;

/// Inflates the messages of one direction, one after another.
///
/// The window is kept here as well as in the backend, which forgets its own at the end of a final
/// block and when memory is given back.
pub(in crate::ws) struct Inflater {
    backend: Option<Inflate>,
    window: Window,
    takeover: bool,
    /// Nothing of a block was read yet, and nothing of a message or a final block came last.
    between: bool,
    /// The last output was filled: there may be more without more input.
    full: bool,
}

impl Inflater {
    /// Allocates nothing until a compressed message comes. `window_bits` is 8 to 15.
    ///
    /// A distance beyond the agreed window is an error only if it is beyond what the backend still
    /// has, which is up to 32 KiB.
    pub(in crate::ws) fn new(window_bits: u8, takeover: bool) -> Self {
        Self {
            backend: None,
            window: Window { bytes: VecDeque::new(), limit: 1 << window_bits },
            takeover,
            between: true,
            full: false,
        }
    }

    /// Reads payload and writes what it stands for. Gives how much of both.
    ///
    /// It stops when all is read or `output` is full. In the second case there may be more to write
    /// without more to read: it comes with the next call, or with [`Self::finish`].
    pub(in crate::ws) fn inflate(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(usize, usize), Invalid> {
        let (mut read, mut written) = (0, 0);
        loop {
            let before = (read, written);
            let (input, output) = (&input[read..], &mut output[written..]);
            let step = self
                .step(input, output, InflateFlush::NoFlush)
                .map_err(|invalid| Invalid { written: written + invalid.written })?;
            read += step.read;
            written += step.written;
            if step.read == input.len() || step.written == output.len() || (read, written) == before
            {
                self.full = step.written == output.len();
                return Ok((read, written));
            }
        }
    }

    /// Ends a message, all of whose payload was read: as if the tail came that the sender took from it.
    /// To be called until it says `true`, with an output that has room.
    ///
    /// A message ends between two blocks. One that does so without the first bits of an empty block,
    /// behind a final block or with no payload at all, is against 7.2.1; since it is clear what was
    /// meant, it is taken, as most do.
    pub(in crate::ws) fn finish(&mut self, output: &mut [u8]) -> Result<(usize, bool), Invalid> {
        let mut drained = 0;
        if self.full && !output.is_empty() {
            (_, drained) = self.inflate(&[], output)?;
            if self.full {
                return Ok((drained, false));
            }
        }
        if !self.between {
            // The tail has nothing to write, so that it needs no room. The backend is to stop behind
            // the block that ends with it, and would go on to the sentinel anywhere else.
            let [a, b, c, d] = TAIL;
            let invalid = |_| Invalid { written: drained };
            let tail = [a, b, c, d, SENTINEL];
            match self.step(&tail, &mut [], InflateFlush::Block).map_err(invalid)?.read {
                4 => {}
                0 if self.full => return Ok((drained, false)),
                _ => return Err(Invalid { written: drained }),
            }
            // A block can end in the midst of the tail's last byte, if its code for the end is made of
            // ones. What is left of the byte would spoil the next message, and spoils these blocks.
            let step = self.step(&EMPTY_BLOCKS, &mut [], InflateFlush::NoFlush);
            match step.map_err(invalid)?.read {
                6 => {}
                // The tail's block was a final one.
                0 if self.between => {}
                _ => return Err(Invalid { written: drained }),
            }
            self.between = true;
        }
        if !self.takeover {
            self.window.bytes.clear();
            if let Some(backend) = &mut self.backend {
                backend.reset(false);
            }
        }
        self.full = false;
        Ok((drained, true))
    }

    /// One call of the backend.
    fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        flush: InflateFlush,
    ) -> Result<Step, Invalid> {
        let window = &mut self.window;
        let backend = match &mut self.backend {
            Some(backend) => backend,
            None => {
                let mut backend = Inflate::new(false, 15);
                window.restore(&mut backend)?;
                self.backend.insert(backend)
            }
        };
        let (total_in, total_out) = (backend.total_in(), backend.total_out());
        let status = backend.decompress(input, output, flush);
        let read = (backend.total_in() - total_in) as usize;
        let written = (backend.total_out() - total_out) as usize;
        let status = status.map_err(|_| Invalid { written })?;
        window.push(&output[..written]);
        self.between &= read == 0;
        if status == Status::StreamEnd {
            // The end of a final block is not the message's end (7.2.1, 7.2.3.4), and what follows may
            // refer to what came before it.
            backend.reset(false);
            window.restore(backend)?;
            self.between = true;
        }
        Ok(Step { read, written })
    }

    /// Gives memory back between two messages: keeps what is needed of the window.
    pub(in crate::ws) fn shrink(&mut self) {
        if self.between {
            self.backend = None;
            self.window.bytes.shrink_to_fit();
        }
    }

    /// How many bytes of heap are held.
    pub(in crate::ws) fn heap_size(&self) -> usize {
        self.backend.as_ref().map_or(0, |_| BACKEND) + self.window.bytes.capacity()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("window", &self.window.bytes.len())
            .field("takeover", &self.takeover)
            .field("between", &self.between)
            .finish_non_exhaustive()
    }
}

/// How much one call of the backend read and wrote.
struct Step {
    read: usize,
    written: usize,
}

/// The last bytes of what was written.
struct Window {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl Window {
    fn push(&mut self, written: &[u8]) {
        let new = &written[written.len().saturating_sub(self.limit)..];
        let len = self.bytes.len() + new.len();
        self.bytes.drain(..len.saturating_sub(self.limit));
        let (len, capacity) = (self.bytes.len() + new.len(), self.bytes.capacity());
        if len > capacity {
            // Twofold, but not beyond the limit.
            let capacity = (2 * capacity).clamp(len, self.limit);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(new);
    }

    /// Gives a backend that is at its begin this window.
    fn restore(&self, backend: &mut Inflate) -> Result<(), Invalid> {
        let (older, newer) = self.bytes.as_slices();
        for part in [older, newer] {
            backend.set_dictionary(part).map_err(|_| Invalid { written: 0 })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
