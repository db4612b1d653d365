//! Masking (RFC 6455, 5.3): exclusive-or with the key's four bytes, in turn.

use wide::u32x4;

/// A masking key, in the order of the wire.
pub(super) type Key = [u8; 4];

/// How many bytes one turn of the loop takes: a vector that every x86-64 and every 64-bit ARM has.
const BLOCK: usize = 16;

/// Copies `src` masked to `dst` of the same length, in one pass.
#[inline]
pub(super) fn copy(dst: &mut [u8], src: &[u8], key: Key) {
    let dst = &mut dst[..src.len()];
    // What is left of the last block or word is no loop of its own: as many bytes as make a whole
    // one are done at the end, some of them twice.
    let (start, end) = (turned(key, 0), turned(key, src.len()));
    if let (Some(dst_end), Some(src_end)) = (dst.last_chunk_mut(), src.last_chunk()) {
        *dst_end = block(src_end, end);
        if src.len() <= 2 * BLOCK {
            // No loop for one turn of it.
            dst[..BLOCK].copy_from_slice(&block(array(src), start));
            return;
        }
        for (dst, src) in dst.chunks_exact_mut(BLOCK).zip(src.chunks_exact(BLOCK)) {
            dst.copy_from_slice(&block(array(src), start));
        }
    } else if let (Some(dst_end), Some(src_end)) = (dst.last_chunk_mut(), src.last_chunk()) {
        *dst_end = word(src_end, end);
        if let (Some(dst), Some(src)) = (dst.first_chunk_mut(), src.first_chunk()) {
            *dst = word(src, start);
        }
    } else {
        for ((dst, src), key) in dst.iter_mut().zip(src).zip(key.iter().cycle()) {
            *dst = src ^ key;
        }
    }
}

/// Masks or unmasks `bytes` in place. `phase` is how many bytes of the frame came before them.
#[inline]
pub(super) fn in_place(bytes: &mut [u8], key: Key, phase: u64) {
    let phase = (phase % 4) as usize;
    let (start, end) = (turned(key, phase), turned(key, phase + bytes.len() % 4));
    // As above; what is done twice is read before it is written.
    if let Some(last) = bytes.last_chunk() {
        let last = block(last, end);
        if bytes.len() <= 2 * BLOCK {
            let first = block(array(bytes), start);
            bytes[..BLOCK].copy_from_slice(&first);
        } else {
            for bytes in bytes.chunks_exact_mut(BLOCK) {
                let masked = block(array(bytes), start);
                bytes.copy_from_slice(&masked);
            }
        }
        if let Some(bytes) = bytes.last_chunk_mut() {
            *bytes = last;
        }
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (word(first, start), word(last, end));
        if let Some(bytes) = bytes.first_chunk_mut() {
            *bytes = first;
        }
        if let Some(bytes) = bytes.last_chunk_mut() {
            *bytes = last;
        }
    } else {
        for (byte, key) in bytes.iter_mut().zip(key.iter().cycle().skip(phase)) {
            *byte ^= key;
        }
    }
}

/// The key as a number in the order of the bytes, beginning with the one for the byte at `phase`.
#[inline]
fn turned(key: Key, phase: usize) -> u32 {
    u32::from_le_bytes(key).rotate_right((phase % 4) as u32 * 8)
}

/// Eight bytes, masked.
#[inline]
fn word(bytes: &[u8; 8], key: u32) -> [u8; 8] {
    let key = u64::from(key);
    (u64::from_le_bytes(*bytes) ^ (key << 32 | key)).to_le_bytes()
}

/// Sixteen bytes, masked.
#[inline]
fn block(bytes: &[u8; BLOCK], key: u32) -> [u8; BLOCK] {
    bytemuck::cast(bytemuck::cast::<_, u32x4>(*bytes) ^ u32x4::splat(key.to_le()))
}

#[inline]
fn array(bytes: &[u8]) -> &[u8; BLOCK] {
    match bytes.first_chunk() {
        Some(bytes) => bytes,
        None => unreachable!("a block is this long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    proptest! {
        /// Octet i of the payload is XORed with octet i modulo 4 of the key (5.3), whatever the
        /// pieces in which it is done.
        #[test]
        fn masks_like_the_formula(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            key: Key,
            cut in 0..200_usize,
        ) {
            let formula: Vec<u8> = bytes.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
            let mut copied = vec![0; bytes.len()];
            copy(&mut copied, &bytes, key);
            prop_assert_eq!(&copied, &formula);
            let (front, back) = copied.split_at_mut(cut.min(bytes.len()));
            in_place(front, key, 0);
            in_place(back, key, front.len() as u64);
            prop_assert_eq!(copied, bytes);
        }
    }
}
