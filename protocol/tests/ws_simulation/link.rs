//! Chance that can be run again, and one direction of a link in virtual time.

use core::time::Duration;
use std::collections::VecDeque;
use tidewire::{Instant, RecvBuf, SendBuf};

/// Chance with a seed (`splitmix64`), so that each case can be run again.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    /// Whether what happens once in `n` times happens.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A number from `1` up to `most`, of any magnitude: small ones are as likely as large ones.
    pub(crate) fn magnitude(&mut self, most: u64) -> u64 {
        let bits = self.below(u64::from(most.ilog2()) + 1);
        (1 + self.below(2 << bits)).min(most)
    }

    pub(crate) fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.magnitude(most))
    }
}

/// One direction of a link: pieces with the time at which they arrive, in order.
pub(crate) struct Wire {
    /// `None` is the end.
    pieces: VecDeque<(Instant, Option<Vec<u8>>)>,
    /// When the last piece arrives: pieces don't overtake each other.
    last: Instant,
    ended: bool,
    in_flight: usize,
    /// How long each piece takes at least.
    pub(crate) latency: Duration,
    /// And at most so many milliseconds more.
    pub(crate) jitter: u64,
    /// The largest piece.
    pub(crate) piece: u64,
    /// While so many bytes or more are on their way nothing is taken.
    pub(crate) window: usize,
    /// The reader reads nothing until then.
    pub(crate) stalled_until: Option<Instant>,
    /// What is on its way never arrives, and nobody is told.
    pub(crate) silent: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            pieces: VecDeque::new(),
            last: Instant::EPOCH,
            ended: false,
            in_flight: 0,
            latency: Duration::from_millis(1),
            jitter: 29,
            piece: 200,
            window: usize::MAX,
            stalled_until: None,
            silent: false,
        }
    }
}

impl Wire {
    /// Takes what `tx` has, in pieces of chance, each with a delay of chance. Returns whether there
    /// was anything.
    pub(crate) fn carry(&mut self, tx: &mut SendBuf, now: Instant, chance: &mut Chance) -> bool {
        let mut carried = false;
        while !tx.is_empty() && !self.ended && self.in_flight < self.window {
            let chunk = tx.chunk();
            let n = chunk.len().min(1 + chance.below(self.piece) as usize);
            let piece = chunk[..n].to_vec();
            tx.consume(n);
            self.in_flight += n;
            carried = true;
            self.push(Some(piece), now, chance);
        }
        carried
    }

    /// Ends the stream behind what is on its way.
    pub(crate) fn end(&mut self, now: Instant, chance: &mut Chance) {
        self.push(None, now, chance);
    }

    /// Ends the stream; what is on its way is lost.
    pub(crate) fn cut(&mut self, now: Instant, chance: &mut Chance) {
        self.pieces.clear();
        self.ended = false;
        self.push(None, now, chance);
    }

    fn push(&mut self, piece: Option<Vec<u8>>, now: Instant, chance: &mut Chance) {
        if !self.ended {
            self.ended = piece.is_none();
            let jitter = Duration::from_millis(chance.below(self.jitter + 1));
            self.last = self.last.max(now + self.latency + jitter);
            self.pieces.push_back((self.last, piece));
        }
    }

    /// When something arrives.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (at, _) = self.pieces.front().filter(|_| !self.silent)?;
        Some(self.stalled_until.map_or(*at, |until| until.max(*at)))
    }

    /// Gives what has arrived to `rx`, as far as there is room. Returns whether that was anything.
    pub(crate) fn deliver(&mut self, rx: &mut RecvBuf, now: Instant) -> bool {
        let mut delivered = false;
        while self.next().is_some_and(|at| at <= now) {
            match self.pieces.front_mut() {
                Some((_, Some(bytes))) => {
                    let n = rx.push(bytes);
                    bytes.drain(..n);
                    self.in_flight -= n;
                    delivered |= n > 0;
                    if !bytes.is_empty() {
                        break;
                    }
                }
                _ => {
                    rx.finish();
                    delivered = true;
                }
            }
            self.pieces.pop_front();
        }
        delivered
    }

    /// Drops what has arrived: nobody reads any more.
    pub(crate) fn discard(&mut self) {
        self.pieces.clear();
        self.in_flight = 0;
    }
}
