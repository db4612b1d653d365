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
    /// There may be more without more input: output, since the last was filled, or an error that is
    /// told once the output before it was taken.
    more: bool,
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
            more: false,
        }
    }

    /// Reads payload and writes what it stands for. Gives how much of both.
    ///
    /// It stops when all is read or `output` is full. In the second case there may be more to write
    /// without more to read: it comes with the next call, or with [`Self::finish`]. What comes before
    /// an error is written first, and the next call gives the error.
    pub(in crate::ws) fn inflate(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(usize, usize), Invalid> {
        let (mut read, mut written) = (0, 0);
        loop {
            let before = (read, written);
            let step =
                match self.step(&input[read..], &mut output[written..], InflateFlush::NoFlush) {
                    // What was written comes first.
                    Err(Invalid) if written > 0 => Step { read: 0, written: 0, failed: true },
                    step => step?,
                };
            read += step.read;
            written += step.written;
            let filled = written == output.len();
            if read == input.len() || filled || step.failed || (read, written) == before {
                self.more = filled || step.failed;
                return Ok((read, written));
            }
        }
    }

    /// Whether another call of [`Self::inflate`] may give something without more to read.
    pub(in crate::ws) fn has_more(&self) -> bool {
        self.more
    }

    /// Ends a message, all of whose payload was read: as if the tail came that the sender took from it.
    /// To be called until it says `true`, with an output that has room.
    ///
    /// A message ends between two blocks. One that does so without the first bits of an empty block,
    /// behind a final block or with no payload at all, is against 7.2.1; since it is clear what was
    /// meant, it is taken, as most do.
    pub(in crate::ws) fn finish(&mut self, output: &mut [u8]) -> Result<(usize, bool), Invalid> {
        if self.more && !output.is_empty() {
            let (_, drained) = self.inflate(&[], output)?;
            if self.more || drained > 0 {
                return Ok((drained, false));
            }
        }
        if !self.between {
            // The tail has nothing to write, so that it needs no room. The backend is to stop behind
            // the block that ends with it, and would go on to the sentinel anywhere else.
            let [a, b, c, d] = TAIL;
            match self.step(&[a, b, c, d, SENTINEL], &mut [], InflateFlush::Block)?.read {
                4 => {}
                0 if self.more => return Ok((0, false)),
                _ => return Err(Invalid),
            }
            // A block can end in the midst of the tail's last byte, if its code for the end is made of
            // ones. What is left of the byte would spoil the next message, and spoils these blocks.
            match self.step(&EMPTY_BLOCKS, &mut [], InflateFlush::NoFlush)?.read {
                6 => {}
                // The tail's block was a final one.
                0 if self.between => {}
                _ => return Err(Invalid),
            }
            self.between = true;
        }
        if !self.takeover {
            self.window.bytes.clear();
            if let Some(backend) = &mut self.backend {
                backend.reset(false);
            }
        }
        self.more = false;
        Ok((0, true))
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
        let status = backend.decompress(input, output, flush).map_err(|_| Invalid);
        let read = (backend.total_in() - total_in) as usize;
        let written = (backend.total_out() - total_out) as usize;
        if written == 0 {
            status?;
        }
        window.push(&output[..written]);
        self.between &= read == 0;
        if status == Ok(Status::StreamEnd) {
            // The end of a final block is not the message's end (7.2.1, 7.2.3.4), and what follows may
            // refer to what came before it.
            backend.reset(false);
            window.restore(backend)?;
            self.between = true;
        }
        Ok(Step { read, written, failed: status.is_err() })
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

/// How much one call of the backend read and wrote, and whether it failed behind that, as it will again.
struct Step {
    read: usize,
    written: usize,
    failed: bool,
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
            backend.set_dictionary(part).map_err(|_| Invalid)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
