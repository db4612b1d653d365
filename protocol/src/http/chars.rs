//! Which bytes may stand where (RFC 9110, 5.5 and 5.6.2; RFC 9112, 3.2).

/// `table[byte]` says whether the byte is a `tchar` (RFC 9110, 5.6.2).
static TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let char = byte as u8;
        table[byte] = char.is_ascii_alphanumeric()
            || matches!(
                char,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

#[inline]
pub(crate) fn is_tchar(byte: u8) -> bool {
    TCHAR[usize::from(byte)]
}

/// A `token` (RFC 9110, 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_tchar)
}

/// Whether a field value may hold this byte (RFC 9110, 5.5): visible, space, tab, or above ASCII.
#[inline]
pub(crate) const fn is_value_byte(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7F || byte == b'\t'
}

/// Whether a request target may hold this byte: visible ASCII, and no `#`, since a fragment is
/// never sent (RFC 9112, 3.2).
#[inline]
pub(crate) const fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && byte < 0x7F && byte != b'#'
}

/// Optional whitespace (RFC 9110, 5.6.3).
#[inline]
pub(crate) const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `value` without optional whitespace at both ends.
pub(crate) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES * 0x80;

/// Not zero if any byte of `word` is less than `than`, which is at most 0x80.
#[inline]
const fn any_less(word: u64, than: u8) -> u64 {
    word.wrapping_sub(ONES * than as u64) & !word & HIGH
}

/// Not zero if any byte of `word` is `byte`.
#[inline]
const fn any_is(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * byte as u64);
    zero.wrapping_sub(ONES) & !zero & HIGH
}

/// The offset of the first byte from `at` on for which `good` is false, or the length. Eight bytes
/// are passed over at once where `suspect` finds nothing to look at.
#[inline]
fn scan(bytes: &[u8], mut at: usize, suspect: fn(u64) -> u64, good: fn(u8) -> bool) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        if suspect(u64::from_le_bytes(*word)) != 0 {
            if let Some(bad) = word.iter().position(|&byte| !good(byte)) {
                return at + bad;
            }
        }
        at += 8;
    }
    while at < bytes.len() && good(bytes[at]) {
        at += 1;
    }
    at
}

/// The offset, from `at` on, of the first byte that no field value holds.
#[inline]
pub(crate) fn end_of_value(bytes: &[u8], at: usize) -> usize {
    scan(bytes, at, |word| any_less(word, b' ') | any_is(word, 0x7F), is_value_byte)
}

/// The offset, from `at` on, of the first byte that no request target holds.
#[inline]
pub(crate) fn end_of_target(bytes: &[u8], at: usize) -> usize {
    scan(
        bytes,
        at,
        |word| any_less(word, b'!') | any_is(word, 0x7F) | any_is(word, b'#') | (word & HIGH),
        is_target_byte,
    )
}

/// The offset, from `at` on, of the first byte that is no `tchar`.
#[inline]
pub(crate) fn end_of_token(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&byte| !is_tchar(byte)).map_or(bytes.len(), |n| at + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanning_by_words_finds_what_scanning_by_bytes_finds() {
        for bad in 0..=255_u8 {
            for at in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[at] = bad;
                let naive =
                    |good: fn(u8) -> bool| bytes.iter().position(|&b| !good(b)).unwrap_or(20);
                assert_eq!(end_of_value(&bytes, 0), naive(is_value_byte));
                assert_eq!(end_of_target(&bytes, 0), naive(is_target_byte));
                assert_eq!(end_of_token(&bytes, 0), naive(is_tchar));
            }
        }
    }
}
