//! DEFLATE (RFC 1951) decoded bit by bit: short and slow, for tests. It shares nothing with the
//! backend, demands what the backend demands, and tells how far back a payload refers.

use alloc::vec::Vec;

use proptest::prelude::*;

/// All messages of one direction.
pub(super) struct Reference {
    takeover: bool,
    written: Vec<u8>,
    /// The largest distance so far.
    pub(super) furthest: usize,
}

impl Reference {
    pub(super) fn new(takeover: bool) -> Self {
        Self { takeover, written: Vec::new(), furthest: 0 }
    }

    /// What the payload of a message stands for: that of the blocks in it with the tail that was taken
    /// from it (RFC 7692, 7.2.2). The tail itself stands for nothing.
    pub(super) fn message(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        if !self.takeover {
            self.written.clear();
        }
        let begin = self.written.len();
        let bytes = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        let mut bits = Bits { bytes: &bytes, at: 0, payload: payload.len() * 8 };
        while !payload.is_empty() && bits.at < bytes.len() * 8 {
            let last = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => self.stored(&mut bits)?,
                1 => {
                    self.compressed(&mut bits, &Code::fixed_lengths(), &Code::fixed_distances())?;
                }
                2 => {
                    let (lengths, distances) = Code::pair(&mut bits)?;
                    self.compressed(&mut bits, &lengths, &distances)?;
                }
                _ => return None,
            }
            if last {
                bits.align();
                if bits.at == bits.payload {
                    break;
                }
            }
        }
        let message = self.written[begin..].to_vec();
        self.written.drain(..self.written.len().saturating_sub(1 << 15));
        Some(message)
    }

    fn write(&mut self, byte: u8, bits: &Bits<'_>) -> Option<()> {
        self.written.push(byte);
        (bits.at <= bits.payload).then_some(())
    }

    /// RFC 1951, 3.2.4.
    fn stored(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        bits.align();
        let (len, complement) = (bits.take(16)?, bits.take(16)?);
        if len != !complement & 0xFFFF {
            return None;
        }
        for _ in 0..len {
            let byte = bits.take(8)? as u8;
            self.write(byte, bits)?;
        }
        Some(())
    }

    /// RFC 1951, 3.2.5.
    fn compressed(&mut self, bits: &mut Bits<'_>, lengths: &Code, distances: &Code) -> Option<()> {
        loop {
            let length = match lengths.symbol(bits)? {
                byte @ ..256 => {
                    self.write(byte as u8, bits)?;
                    continue;
                }
                256 => return Some(()),
                symbol @ 257..=264 => symbol as usize - 254,
                285 => 258,
                symbol @ 265..=284 => {
                    let (extra, step) = ((symbol - 261) / 4, (symbol - 261) % 4 + 4);
                    3 + ((step as usize) << extra) + bits.take(extra.into())?
                }
                _ => return None,
            };
            let distance = match distances.symbol(bits)? {
                symbol @ ..4 => symbol as usize + 1,
                symbol @ 4..30 => {
                    let (extra, step) = (symbol / 2 - 1, symbol % 2 + 2);
                    1 + ((step as usize) << extra) + bits.take(extra.into())?
                }
                _ => return None,
            };
            self.furthest = self.furthest.max(distance);
            for _ in 0..length {
                let from = self.written.len().checked_sub(distance)?;
                self.write(self.written[from], bits)?;
            }
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the payload ends and the tail begins.
    payload: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for index in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << index;
            self.at += 1;
        }
        Some(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// A prefix code (RFC 1951, 3.2.2): how many codes there are of each length, and their symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<u16>,
}

impl Code {
    /// `None` where bits would have two meanings, or none: this is put up with if there is but one
    /// code, of one bit, or none at all (3.2.7), until it is met.
    fn new(lengths: &[u8], whole: bool) -> Option<Self> {
        let mut counts = [0; 16];
        for &length in lengths {
            counts[usize::from(length)] += 1;
        }
        let mut left = 1isize;
        for &count in &counts[1..] {
            left = 2 * left - count as isize;
            if left < 0 {
                return None;
            }
        }
        let used = lengths.len() - counts[0];
        if left > 0 && used > 0 && (whole || counts[1] != used) {
            return None;
        }
        let mut symbols: Vec<u16> = (0..lengths.len() as u16).collect();
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        symbols.drain(..counts[0]);
        counts[0] = 0;
        Some(Self { counts, symbols })
    }

    fn fixed_lengths() -> Self {
        let lengths: [u8; 288] = core::array::from_fn(|symbol| match symbol {
            ..144 => 8,
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        });
        Self::new(&lengths, true).expect("a whole code")
    }

    fn fixed_distances() -> Self {
        Self::new(&[5; 32], true).expect("a whole code")
    }

    /// The codes of a block that brings its own (3.2.7).
    fn pair(bits: &mut Bits<'_>) -> Option<(Self, Self)> {
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (lengths, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
        let of_lengths = bits.take(4)? + 4;
        if lengths > 286 || distances > 30 {
            return None;
        }
        let mut code = [0; 19];
        for place in &ORDER[..of_lengths] {
            code[*place] = bits.take(3)? as u8;
        }
        let code = Self::new(&code, true)?;
        let mut all: Vec<u8> = Vec::new();
        while all.len() < lengths + distances {
            let (value, times) = match code.symbol(bits)? {
                16 => (*all.last()?, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length as u8, 1),
            };
            all.extend((0..times).map(|_| value));
        }
        if all.len() > lengths + distances || all[256] == 0 {
            return None;
        }
        let (lengths, distances) = all.split_at(lengths);
        Some((Self::new(lengths, false)?, Self::new(distances, false)?))
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..] {
            code = 2 * code + bits.take(1)?;
            first *= 2;
            if code < first + count {
                return Some(self.symbols[index + code - first]);
            }
            first += count;
            index += count;
        }
        None
    }
}

/// Bytes that repeat near and far, more or less, up to about `len`.
pub(super) fn message(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| (bytes, 0, 0)),
        (1..2000usize, 1..600usize).prop_map(|(back, count)| (Vec::new(), back, count)),
    ];
    (proptest::collection::vec(part, 0..20), 0..=len).prop_map(|(parts, len)| {
        let mut message: Vec<u8> = Vec::new();
        while message.len() < len && !parts.is_empty() {
            for (bytes, back, count) in &parts {
                message.extend(bytes);
                for _ in 0..*count {
                    let from = message.len().checked_sub(*back).and_then(|at| message.get(at));
                    message.push(*from.unwrap_or(&b'x'));
                }
            }
        }
        message.truncate(len);
        message
    })
}
