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
    !bytes.is_empty() && bytes.iter().fold(true, |good, &byte| good & is_tchar(byte))
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

/// `unreserved / sub-delims` (RFC 3986, 2).
#[inline]
pub(crate) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Whether `word`, which holds no control bytes, is `known`, which is in lower case, without regard
/// to case.
#[inline]
pub(crate) fn is<const N: usize>(word: &[u8], known: &[u8; N]) -> bool {
    // Without control bytes, a bit more makes no other byte a hyphen or digit.
    <&[u8; N]>::try_from(word)
        .is_ok_and(|word| word.iter().zip(known).fold(0, |all, (a, b)| all | (a | 0x20) ^ b) == 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case() {
        for byte in b' '..=u8::MAX {
            for (word, known) in
                [([b'k', byte], b"k-"), ([b'K', byte], b"k1"), ([b'k', byte], b"kz")]
            {
                assert_eq!(is(&word, known), word.eq_ignore_ascii_case(known), "{word:?}");
            }
        }
        assert!(!is(b"k", b"k-") && !is(b"k--", b"k-"));
    }
}
