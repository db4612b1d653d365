//! Looks for the end of a name, value or target, sixteen bytes at a time.
//!
//! Each search first asks a whole block for suspects: bytes other than those that nearly always
//! stand there. What a suspect really is, the exact rule of [`chars`](super::chars) says, so the
//! question to the block may be a cheap one.

use super::chars::{is_plain, is_target_byte, is_tchar, is_value_byte};
use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const BLOCK: usize = 16;

/// A bit for each byte of the block that is suspect, the first byte lowest.
type Suspects = fn(u8x16) -> u32;

#[inline]
fn mask(lanes: u8x16) -> u32 {
    lanes.move_mask() as u32
}

#[inline]
fn all(byte: u8) -> u8x16 {
    u8x16::splat(byte)
}

/// Bytes from `from` to `to`.
#[inline]
fn between(block: u8x16, from: u8, to: u8) -> u8x16 {
    let above = block - all(from);
    above.min(all(to - from)).cmp_eq(above)
}

/// All but letters and `-`.
#[inline]
fn not_in_names(block: u8x16) -> u32 {
    let letters = between(block | all(0x20), b'a', b'z');
    !mask(letters | block.cmp_eq(all(b'-'))) & 0xFFFF
}

/// Control bytes.
#[inline]
fn not_in_values(block: u8x16) -> u32 {
    mask(block.min(all(0x1F)).cmp_eq(block) | block.cmp_eq(all(0x7F)))
}

/// All but visible ASCII, and `#`.
#[inline]
fn not_in_targets(block: u8x16) -> u32 {
    !mask(between(block, b'!', b'~')) & 0xFFFF | mask(block.cmp_eq(all(b'#')))
}

/// All but letters, digits, `-` and `.`.
#[inline]
fn not_in_hosts(block: u8x16) -> u32 {
    let letters = between(block | all(0x20), b'a', b'z');
    let others = between(block, b'-', b'9') & !block.cmp_eq(all(b'/'));
    !mask(letters | others) & 0xFFFF
}

/// The offset of the first byte from `at` on for which `good` is false, or the length.
#[inline(always)]
fn scan(bytes: &[u8], mut at: usize, suspects: Suspects, good: fn(u8) -> bool) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        let marks = suspects(u8x16::new(*block));
        if marks == 0 {
            at += BLOCK;
            continue;
        }
        at += marks.trailing_zeros() as usize;
        if !good(bytes[at]) {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && good(bytes[at]) {
        at += 1;
    }
    at
}

/// The offset, from `at` on, of the first byte that no field value holds.
#[inline]
pub(super) fn end_of_value(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_values, is_value_byte)
}

/// The offset, from `at` on, of the first byte that no request target holds.
#[inline]
pub(super) fn end_of_target(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_targets, is_target_byte)
}

/// The offset, from `at` on, of the first byte that is no `tchar`.
#[inline]
pub(super) fn end_of_token(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_names, is_tchar)
}

/// The offset, from `at` on, of the first byte that no registered name holds unless it is encoded.
#[inline]
pub(super) fn end_of_host(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_hosts, is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanning_by_blocks_finds_what_scanning_by_bytes_finds() {
        const LEN: usize = 2 * BLOCK + 3;
        for (bad, at) in (0..=255_u8).flat_map(|bad| (0..LEN).map(move |at| (bad, at))) {
            for filler in *b"a1\t !\x80\xFF" {
                let mut bytes = [filler; LEN];
                bytes[at] = bad;
                let naive =
                    |good: fn(u8) -> bool| bytes.iter().position(|&b| !good(b)).unwrap_or(LEN);
                assert_eq!(end_of_value(&bytes, 0), naive(is_value_byte));
                assert_eq!(end_of_target(&bytes, 0), naive(is_target_byte));
                assert_eq!(end_of_token(&bytes, 0), naive(is_tchar));
                assert_eq!(end_of_host(&bytes, 0), naive(is_plain));
            }
        }
    }
}
