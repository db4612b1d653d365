//! Looks for the end of a name, value or target, sixteen bytes at a time.
//!
//! Each search first asks a whole block for suspects: bytes other than those that nearly always
//! stand there. What a suspect really is, the exact rule of [`chars`](super::chars) says, so the
//! question to the block may be a cheap one.

use super::chars::{is_plain, is_target_byte, is_tchar, is_value_byte};
use wide::{CmpEq, CmpGt, i8x16};

/// How many bytes are looked at together.
pub(super) const BLOCK: usize = 16;

// As signed numbers, bytes above ASCII are less than all others, so one comparison tells what lies in
// a range that ends at 0x7F.

#[inline(always)]
fn all(byte: u8) -> i8x16 {
    i8x16::splat(byte as i8)
}

/// Bytes from `from` to `to`, both ASCII, moved up so that the range ends at 0x7F.
#[inline(always)]
fn between(block: i8x16, from: u8, to: u8) -> i8x16 {
    let shift = 0x7F - to;
    (block + all(shift)).cmp_gt(all(from + shift - 1))
}

/// A bit for each byte that is not set in `good`, the first byte lowest.
#[inline(always)]
fn suspects(good: i8x16) -> u32 {
    good.move_mask() as u32 ^ 0xFFFF
}

/// All but letters and `-`.
#[inline(always)]
fn not_in_names(block: i8x16) -> u32 {
    suspects(between(block | all(0x20), b'a', b'z') | block.cmp_eq(all(b'-')))
}

/// All but space and visible ASCII.
#[inline(always)]
fn not_in_values(block: i8x16) -> u32 {
    suspects(between(block, b' ', b'~'))
}

/// All but visible ASCII, and `#`.
#[inline(always)]
fn not_in_targets(block: i8x16) -> u32 {
    suspects(between(block, b'!', b'~')) | block.cmp_eq(all(b'#')).move_mask() as u32
}

/// All but letters, digits, `-` and `.`.
#[inline(always)]
fn not_in_hosts(block: i8x16) -> u32 {
    let others = between(block, b'-', b'9') ^ block.cmp_eq(all(b'/'));
    suspects(between(block | all(0x20), b'a', b'z') | others)
}

/// The offset of the first byte from `at` on for which `good` is false, or the length.
#[inline(always)]
fn scan(bytes: &[u8], at: usize, suspects: fn(i8x16) -> u32, good: fn(u8) -> bool) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((block, next)) = rest.split_first_chunk::<BLOCK>() {
        let marks = suspects(bytemuck::cast(*block));
        if marks == 0 {
            rest = next;
            continue;
        }
        let good_ones = marks.trailing_zeros() as usize;
        rest = &rest[good_ones..];
        match rest.split_first() {
            Some((&byte, next)) if good(byte) => rest = next,
            _ => return bytes.len() - rest.len(),
        }
    }
    let good_ones = rest.iter().take_while(|&&byte| good(byte)).count();
    bytes.len() - rest.len() + good_ones
}

/// The offset of the first `end` from `at` on, if all before it is `good` and a block that it is in
/// is there. An `end` is not `good`.
#[inline(always)]
fn find(
    bytes: &[u8],
    at: usize,
    suspects: fn(i8x16) -> u32,
    good: fn(u8) -> bool,
    end: u8,
) -> Option<usize> {
    let mut rest = bytes.get(at..)?;
    loop {
        let (block, next) = rest.split_first_chunk::<BLOCK>()?;
        let marks = suspects(bytemuck::cast(*block));
        if marks == 0 {
            rest = next;
            continue;
        }
        let found = bytes.len() - rest.len() + marks.trailing_zeros() as usize;
        if bytes.get(found) == Some(&end) {
            return Some(found);
        }
        return find_closely(bytes, found, good, end);
    }
}

/// The same for what is rare.
#[cold]
#[inline(never)]
fn find_closely(bytes: &[u8], at: usize, good: fn(u8) -> bool, end: u8) -> Option<usize> {
    let good_ones = bytes[at..].iter().take_while(|&&byte| good(byte)).count();
    (bytes.get(at + good_ones) == Some(&end)).then_some(at + good_ones)
}

/// The offset, from `at` on, of the first byte that no field value holds.
pub(super) fn end_of_value(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_values, is_value_byte)
}

/// The offset, from `at` on, of the first byte that no request target holds.
pub(super) fn end_of_target(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_targets, is_target_byte)
}

/// The offset, from `at` on, of the first byte that is no `tchar`.
pub(super) fn end_of_token(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_names, is_tchar)
}

/// The offset, from `at` on, of the first byte that no registered name holds unless it is encoded.
#[inline]
pub(super) fn end_of_host(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, not_in_hosts, is_plain)
}

/// The offset of the carriage return behind the field value that begins at `at`.
#[inline(always)]
pub(super) fn find_cr(bytes: &[u8], at: usize) -> Option<usize> {
    find(bytes, at, not_in_values, is_value_byte, b'\r')
}

/// The offset of the space behind the request target that begins at `at`.
#[inline(always)]
pub(super) fn find_space(bytes: &[u8], at: usize) -> Option<usize> {
    find(bytes, at, not_in_targets, is_target_byte, b' ')
}

/// The offset of the `end` behind the token that begins at `at`.
#[inline(always)]
pub(super) fn find_behind_token(bytes: &[u8], at: usize, end: u8) -> Option<usize> {
    find(bytes, at, not_in_names, is_tchar, end)
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
                // Where no whole block is left, a search may give up.
                let check = |found: Option<usize>, good: fn(u8) -> bool, end| {
                    let end_of_good = naive(good);
                    let is_there = bytes.get(end_of_good) == Some(&end);
                    let gave_up = found.is_none() && end_of_good >= 2 * BLOCK;
                    assert!(gave_up || found == is_there.then_some(end_of_good));
                };
                check(find_cr(&bytes, 0), is_value_byte, b'\r');
                check(find_space(&bytes, 0), is_target_byte, b' ');
                check(find_behind_token(&bytes, 0, b':'), is_tchar, b':');
            }
        }
    }
}
