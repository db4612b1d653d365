//! UTF-8 that arrives in pieces (RFC 3629; RFC 6455, 8.1).

/// Validates `bytes` as a whole.
///
/// The error carries the offset of the first byte that cannot be part of valid UTF-8.
#[inline]
pub(crate) fn validate(bytes: &[u8]) -> Result<&str, usize> {
    // Below a block it would do the same, by way of finding out what the processor can do.
    #[cfg(feature = "simd")]
    if bytes.len() >= 64 {
        if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
            return Ok(text);
        }
    }
    core::str::from_utf8(bytes).map_err(|error| first_bad_byte(bytes, error.valid_up_to()))
}

/// A validator that is fed in pieces and fails at the first bad byte, inside a character too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    /// The bytes of a character whose end has not come yet.
    partial: [u8; 3],
    len: u8,
}

impl Utf8 {
    pub(crate) const fn new() -> Self {
        Self { partial: [0; 3], len: 0 }
    }

    /// Takes the next piece. The error is the offset in `piece` of the first bad byte.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while self.len > 0 {
            let Some(&byte) = piece.get(at) else { return Ok(()) };
            let held = usize::from(self.len);
            let mut char = [0; 4];
            char[..held].copy_from_slice(&self.partial[..held]);
            char[held] = byte;
            match core::str::from_utf8(&char[..=held]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(at),
                Err(_) => {
                    self.partial[held] = byte;
                    self.len += 1;
                }
            }
            at += 1;
        }
        let rest = &piece[at..];
        // What is fast has no opinion on a character whose end has not come.
        #[cfg(feature = "simd")]
        let (at, rest) = {
            let whole = rest.len() - unfinished(rest);
            let whole = if validate(&rest[..whole]).is_ok() { whole } else { 0 };
            (at + whole, &rest[whole..])
        };
        match core::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let tail = &rest[error.valid_up_to()..];
                self.partial[..tail.len()].copy_from_slice(tail);
                self.len = tail.len() as u8;
                Ok(())
            }
            Err(error) => Err(at + first_bad_byte(rest, error.valid_up_to())),
        }
    }

    /// How many bytes of a character have come whose end has not.
    pub(crate) const fn held(self) -> usize {
        self.len as usize
    }

    /// Whether the text may end here.
    pub(crate) const fn is_complete(self) -> bool {
        self.len == 0
    }
}

/// How many bytes of a character stand at the end of `bytes` that should go on: at most three.
#[cfg(feature = "simd")]
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3);
    match last.enumerate().find(|(_, byte)| **byte & 0xC0 != 0x80) {
        // As many leading ones as the character has bytes.
        Some((behind, lead)) if lead.leading_ones() as usize > behind + 1 => behind + 1,
        _ => 0,
    }
}

/// The character that starts at `start` is invalid: which of its bytes is the first that no valid
/// character has there?
fn first_bad_byte(bytes: &[u8], start: usize) -> usize {
    let mut end = start + 1;
    while end < bytes.len() {
        match core::str::from_utf8(&bytes[start..end]) {
            Err(error) if error.error_len().is_none() => end += 1,
            _ => break,
        }
    }
    end - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn the_first_bad_byte_is_named() {
        // RFC 3629, 3: a surrogate (ED A0 80) is invalid from its second byte on.
        assert_eq!(validate(b"ab\xED\xA0\x80"), Err(3));
        assert_eq!(validate(b"ab\xFF"), Err(2));
        // Overlong: no character starts with E0 80.
        assert_eq!(validate(b"\xE0\x80\x80"), Err(1));
        // Beyond U+10FFFF.
        assert_eq!(validate(b"\xF4\x90\x80\x80"), Err(1));
    }

    #[test]
    fn a_character_over_two_pieces_is_valid_and_one_cut_short_is_incomplete() {
        let mut utf8 = Utf8::new();
        assert_eq!(utf8.push(b"a\xC3"), Ok(()));
        assert!(!utf8.is_complete());
        assert_eq!(utf8.push(b"\xA4"), Ok(()));
        assert!(utf8.is_complete());
    }

    fn whole(bytes: &[u8]) -> Result<bool, usize> {
        let mut utf8 = Utf8::new();
        utf8.push(bytes).map(|()| utf8.is_complete())
    }

    proptest! {
        /// Any split gives the same verdict at the same byte, and it is the verdict of `core`.
        #[test]
        fn any_split_gives_the_same_verdict(
            parts in proptest::collection::vec(prop_oneof![
                "\\PC{0,4}".prop_map(alloc::string::String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..3),
                Just(Vec::from(*b"\xF0\x9F\x8C")), Just(Vec::from(*b"\xED\xA0")),
            ], 0..6),
            cuts in proptest::collection::vec(0..40_usize, 0..6),
        ) {
            let bytes = parts.concat();
            let expected = whole(&bytes);
            prop_assert_eq!(expected == Ok(true), core::str::from_utf8(&bytes).is_ok());
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut utf8, mut at) = (Utf8::new(), 0);
            let mut verdict = Ok(());
            for cut in cuts {
                verdict = verdict.and_then(|()| utf8.push(&bytes[at..cut]).map_err(|bad| at + bad));
                at = cut;
            }
            prop_assert_eq!(verdict.map(|()| utf8.is_complete()), expected);
        }
    }
}
