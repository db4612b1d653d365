//! Masking (RFC 6455, 5.3): exclusive-or with the key's four bytes, in turn.

/// A masking key, in the order of the wire.
pub(super) type Key = [u8; 4];

/// How many bytes one turn of the loop takes: two of the vectors that every x86-64 and every 64-bit
/// ARM has, so that the compiler uses them.
const WIDE: usize = 32;

/// Copies `src` masked to `dst` of the same length, in one pass.
#[inline]
pub(super) fn copy(dst: &mut [u8], src: &[u8], key: Key) {
    let key = word(key, 0);
    let mut dst = dst.chunks_exact_mut(WIDE);
    let mut src = src.chunks_exact(WIDE);
    for (dst, src) in (&mut dst).zip(&mut src) {
        for (dst, src) in dst.chunks_exact_mut(8).zip(src.chunks_exact(8)) {
            dst.copy_from_slice(&masked(src, key));
        }
    }
    let mut dst = dst.into_remainder().chunks_exact_mut(8);
    let mut src = src.remainder().chunks_exact(8);
    for (dst, src) in (&mut dst).zip(&mut src) {
        dst.copy_from_slice(&masked(src, key));
    }
    let key = key.to_le_bytes();
    for ((dst, src), key) in dst.into_remainder().iter_mut().zip(src.remainder()).zip(key) {
        *dst = src ^ key;
    }
}

/// Masks or unmasks `bytes` in place. `phase` is how many bytes of the frame came before them.
#[inline]
pub(super) fn in_place(bytes: &mut [u8], key: Key, phase: u64) {
    let key = word(key, phase);
    let mut wide = bytes.chunks_exact_mut(WIDE);
    for bytes in &mut wide {
        for bytes in bytes.chunks_exact_mut(8) {
            bytes.copy_from_slice(&masked(bytes, key));
        }
    }
    let mut words = wide.into_remainder().chunks_exact_mut(8);
    for bytes in &mut words {
        bytes.copy_from_slice(&masked(bytes, key));
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.to_le_bytes()) {
        *byte ^= key;
    }
}

/// The key twice, as a little-endian number, beginning with the byte for `phase`.
#[inline]
fn word(key: Key, phase: u64) -> u64 {
    let key = u32::from_le_bytes(key).rotate_right((phase % 4) as u32 * 8);
    u64::from(key) << 32 | u64::from(key)
}

/// Eight bytes, masked.
#[inline]
fn masked(bytes: &[u8], key: u64) -> [u8; 8] {
    let mut word = [0; 8];
    word.copy_from_slice(bytes);
    (u64::from_le_bytes(word) ^ key).to_le_bytes()
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
