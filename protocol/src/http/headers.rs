//! The header lines of a head, lent (RFC 9110, 5).

use super::chars::trim_ows;
use alloc::boxed::Box;
use core::fmt;

/// Where one header line lies, in bytes from the start of its head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderSpan {
    pub(super) name: u32,
    pub(super) name_end: u32,
    pub(super) value: u32,
    pub(super) value_end: u32,
}

impl HeaderSpan {
    #[inline]
    pub(super) fn name(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.name as usize..self.name_end as usize).unwrap_or_default()
    }

    #[inline]
    pub(super) fn value(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.value as usize..self.value_end as usize).unwrap_or_default()
    }
}

/// What the parser has found to be ASCII, as text.
pub(super) fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// Header lines, in their order and with the case they came in. Names are compared without case.
///
/// A view over the receive buffer; [`to_owned`](Self::to_owned) keeps them.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) spans: &'a [HeaderSpan],
}

impl<'a> Headers<'a> {
    /// No header lines.
    #[must_use]
    pub const fn empty() -> Self {
        Self { bytes: &[], spans: &[] }
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Names and values, line by line. Values come without the whitespace around them.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone + use<'a> {
        self.spans.iter().map(move |span| (text(span.name(self.bytes)), span.value(self.bytes)))
    }

    /// The value of the first line with this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// The same as text; `None` also if it is not UTF-8.
    #[must_use]
    pub fn get_str(self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.get(name)?).ok()
    }

    /// The values of all lines with this name.
    pub fn get_all<'n>(
        self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.spans
            .iter()
            .filter(move |span| span.name(self.bytes).eq_ignore_ascii_case(name.as_bytes()))
            .map(move |span| span.value(self.bytes))
    }

    /// The members of a comma-separated list (RFC 9110, 5.6.1), over all lines with this name. A
    /// comma inside a quoted string separates nothing, and empty members are left out.
    pub fn list<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.get_all(name).flat_map(|value| Split::new(value, b',')).filter(|m| !m.is_empty())
    }

    /// Whether `token` is a member of the list, without regard to case.
    #[must_use]
    pub fn contains_token(self, name: &str, token: &str) -> bool {
        self.list(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// A copy that lives on.
    #[must_use]
    pub fn to_owned(self) -> OwnedHeaders {
        // What lies behind the last line is the body, which may be long.
        let end = self.spans.last().map_or(0, |span| span.value_end as usize);
        let bytes = self.bytes.get(..end).unwrap_or(self.bytes);
        OwnedHeaders { bytes: bytes.into(), spans: self.spans.into() }
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, alloc::string::String::from_utf8_lossy(value))),
            )
            .finish()
    }
}

/// The same lines in the same order, names compared without case.
impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other.iter())
                .all(|(a, b)| a.0.eq_ignore_ascii_case(b.0) && a.1 == b.1)
    }
}

impl Eq for Headers<'_> {}

/// [`Headers`] that own their bytes.
#[derive(Clone)]
pub struct OwnedHeaders {
    bytes: Box<[u8]>,
    spans: Box<[HeaderSpan]>,
}

impl OwnedHeaders {
    /// The view over them.
    #[must_use]
    pub fn as_headers(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, spans: &self.spans }
    }
}

impl fmt::Debug for OwnedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_headers().fmt(f)
    }
}

/// Splits at a separator outside of quoted strings (RFC 9110, 5.6.4), and trims the parts.
#[derive(Clone)]
pub(crate) struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Split<'a> {
    pub(crate) const fn new(value: &'a [u8], separator: u8) -> Self {
        Self { rest: Some(value), separator }
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => return byte == self.separator && !quoted,
            }
            false
        });
        self.rest = end.map(|end| &rest[end + 1..]);
        Some(trim_ows(&rest[..end.unwrap_or(rest.len())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_copy_does_not_take_the_body_along() {
        let bytes = b"A:b\r\n\r\nbody";
        let spans = [HeaderSpan { name: 0, name_end: 1, value: 2, value_end: 3 }];
        let owned = Headers { bytes, spans: &spans }.to_owned();
        assert_eq!(&*owned.bytes, b"A:b");
        assert_eq!(owned.as_headers().get("a"), Some(&b"b"[..]));
        assert!(Headers { bytes, spans: &[] }.to_owned().bytes.is_empty());
    }

    #[test]
    fn a_comma_in_a_quoted_string_separates_nothing() {
        let parts: Vec<_> = Split::new(br#" a , "b,\",c" ;d,, e"#, b',').collect();
        assert_eq!(parts, [&b"a"[..], br#""b,\",c" ;d"#, b"", b"e"]);
    }
}
