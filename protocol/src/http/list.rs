//! What the members of a list mean: values with parameters and weights (RFC 9110, 5.6.6 and 12.4.2).

use super::Headers;
use super::chars::is_token;
use super::headers::{Split, text};
use alloc::borrow::Cow;
use core::fmt;

impl<'a> Headers<'a> {
    /// The members of a list over all lines with this name, taken apart: options of `Connection`,
    /// codings of `Transfer-Encoding`, `TE` and `Accept-Encoding`, protocols of `Upgrade`, ranges of
    /// `Accept` and `Accept-Language`, and so on. Those that are malformed are left out; to see them,
    /// take [`list`](Self::list) and [`Member::parse`].
    ///
    /// ```
    /// # use tidewire::{RecvBuf, http};
    /// # let mut rx = RecvBuf::with_limit(1024);
    /// # rx.push(b"GET / HTTP/1.1\r\nAccept-Encoding: br, gzip;q=0.8\r\nContent-Type: text/html; charset=\"utf-8\"\r\n\r\n");
    /// # let parsed = http::parse_request(&mut rx, &http::Limits::default())?.unwrap();
    /// # let headers = parsed.head(&rx).headers;
    /// // Accept-Encoding: br, gzip;q=0.8
    /// let codings = headers.members("accept-encoding").map(|member| (member.value(), member.weight()));
    /// assert!(codings.eq([("br", 1000), ("gzip", 800)]));
    ///
    /// // Content-Type: text/html; charset="utf-8"
    /// let content_type = headers.members("content-type").next().unwrap();
    /// assert!(content_type.is("Text/HTML"));
    /// assert_eq!(content_type.parameter("charset").unwrap(), "utf-8");
    /// # Ok::<(), http::ProtocolError>(())
    /// ```
    pub fn members<'n>(
        self,
        name: &'n str,
    ) -> impl Iterator<Item = Member<'a>> + Clone + use<'a, 'n> {
        self.list(name).filter_map(Member::parse)
    }
}

/// A value with parameters, `text/html; charset=utf-8`: a member of a list, or all of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    value: &'a str,
    /// What follows the value: empty, or `;` and so on.
    parameters: &'a [u8],
}

impl<'a> Member<'a> {
    /// Takes a member apart. `None` if the value is neither a token nor two tokens with a slash in
    /// between, or if there is a parameter that is none: without `=` or with whitespace around it, its
    /// name not a token, its value neither a token nor a quoted string (RFC 9110, 5.6.6). Empty
    /// parameters, as in `a;;b=c;`, are none and do no harm.
    #[must_use]
    pub fn parse(member: &'a [u8]) -> Option<Self> {
        let value = Split::new(member, b';').next()?;
        // A quote in front of the first `;` is in the value, which is malformed then.
        let start = member.iter().position(|&byte| byte == b';').unwrap_or(member.len());
        let parameters = &member[start..];
        let mut tokens = value.splitn(2, |&byte| byte == b'/');
        let valid = tokens.all(is_token) && each(parameters).all(|parameter| parameter.is_some());
        valid.then(|| Self { value: text(value), parameters })
    }

    /// The value, with its case: `text/html`.
    #[must_use]
    pub const fn value(self) -> &'a str {
        self.value
    }

    /// Whether it has this value, without regard to case.
    #[must_use]
    pub fn is(self, value: &str) -> bool {
        self.value.eq_ignore_ascii_case(value)
    }

    /// Names and values of the parameters, in their order.
    pub fn parameters(
        self,
    ) -> impl Iterator<Item = (&'a str, ParameterValue<'a>)> + Clone + use<'a> {
        each(self.parameters).flatten()
    }

    /// The value of the first parameter with this name, which has no case.
    #[must_use]
    pub fn parameter(self, name: &str) -> Option<ParameterValue<'a>> {
        self.parameters()
            .find(|parameter| parameter.0.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// How much the member is wanted, in thousandths: what its parameter `q` says, wherever it stands
    /// (RFC 9110, 12.4.2 and 12.5.1). 1000 without one. 0, not wanted, also where it is malformed.
    #[must_use]
    pub fn weight(self) -> u16 {
        self.parameter("q").map_or(1000, |q| qvalue(q.raw).unwrap_or(0))
    }
}

/// As it stands on the wire.
impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.value, alloc::string::String::from_utf8_lossy(self.parameters))
    }
}

/// The parameters, `None` for one that is malformed.
fn each(parameters: &[u8]) -> impl Iterator<Item = Option<(&str, ParameterValue<'_>)>> + Clone {
    Split::new(parameters, b';').filter(|part| !part.is_empty()).map(|part| {
        let equals = part.iter().position(|&byte| byte == b'=')?;
        let (name, raw) = (&part[..equals], &part[equals + 1..]);
        let value = ParameterValue::parse(raw)?;
        is_token(name).then(|| (text(name), value))
    })
}

/// `DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110, 5.6.4), of bytes that a field value holds.
fn is_quoted_string(raw: &[u8]) -> bool {
    let [b'"', inside @ .., b'"'] = raw else { return false };
    let mut bytes = inside.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return false,
            b'\\' if bytes.next().is_none() => return false,
            _ => {}
        }
    }
    true
}

/// The value of a parameter: a token or a quoted string, which mean the same (RFC 9110, 5.6.6).
///
/// Compares with text and bytes as what it means: `"utf-8"` equals `utf-8`.
#[derive(Clone, Copy)]
pub struct ParameterValue<'a> {
    raw: &'a [u8],
}

impl<'a> ParameterValue<'a> {
    /// `None` if it is neither a token nor a quoted string.
    pub(crate) fn parse(raw: &'a [u8]) -> Option<Self> {
        (is_token(raw) || is_quoted_string(raw)).then_some(Self { raw })
    }

    /// The value as it stands on the wire, with its quotes and backslashes.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The bytes that it means, one after the other.
    pub fn bytes(self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        let inside = self.inside();
        let quoted = inside.len() < self.raw.len();
        let mut bytes = inside.iter();
        core::iter::from_fn(move || match bytes.next() {
            Some(b'\\') if quoted => bytes.next().copied(),
            byte => byte.copied(),
        })
    }

    /// The bytes that it means. Copied only if there is a backslash in a quoted string.
    #[must_use]
    pub fn to_bytes(self) -> Cow<'a, [u8]> {
        if self.raw.contains(&b'\\') {
            return Cow::Owned(self.bytes().collect());
        }
        Cow::Borrowed(self.inside())
    }

    /// Whether it means this text, without regard to case.
    #[must_use]
    pub fn eq_ignore_ascii_case(self, text: &str) -> bool {
        self.eq_ignore_case(text.bytes())
    }

    pub(super) fn eq_ignore_case(self, other: impl Iterator<Item = u8>) -> bool {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.bytes().map(lower).eq(other.map(lower))
    }

    fn inside(self) -> &'a [u8] {
        match self.raw {
            [b'"', inside @ .., b'"'] => inside,
            token => token,
        }
    }
}

impl fmt::Debug for ParameterValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        alloc::string::String::from_utf8_lossy(self.raw).fmt(f)
    }
}

impl PartialEq for ParameterValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl Eq for ParameterValue<'_> {}

impl PartialEq<str> for ParameterValue<'_> {
    fn eq(&self, text: &str) -> bool {
        self.bytes().eq(text.bytes())
    }
}

impl PartialEq<&str> for ParameterValue<'_> {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

/// `qvalue` in thousandths (RFC 9110, 12.4.2).
fn qvalue(value: &[u8]) -> Option<u16> {
    let (whole, digits) = match value {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (*whole, digits),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    match (whole, thousandths) {
        (b'0', _) => Some(thousandths),
        (_, 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecvBuf, http};
    use alloc::{format, vec};

    /// Value, weight and parameters as text.
    fn told(member: &str) -> Option<alloc::string::String> {
        let member = Member::parse(member.as_bytes())?;
        let mut told = format!("{} {}", member.value(), member.weight());
        for (name, value) in member.parameters() {
            told +=
                &format!(" {name}={}", alloc::string::String::from_utf8_lossy(&value.to_bytes()));
        }
        Some(told)
    }

    #[test]
    fn a_member_is_a_value_with_parameters() {
        // RFC 9110, 5.6.6: parameters = *( OWS ";" OWS [ parameter ] ).
        for (member, expected) in [
            ("close", Some("close 1000")),
            ("text/html;charset=utf-8", Some("text/html 1000 charset=utf-8")),
            ("Text/HTML \t;\t Charset=\"utf-8\"", Some("Text/HTML 1000 Charset=utf-8")),
            ("a;;b=c; ;", Some("a 1000 b=c")),
            (r#"a;b="c;d,\"e\\";f=g"#, Some(r#"a 1000 b=c;d,"e\ f=g"#)),
            ("a;b=\"\"", Some("a 1000 b=")),
            ("*/*;q=0.5", Some("*/* 500 q=0.5")),
            ("a;Q=0.25;b=c", Some("a 250 Q=0.25 b=c")),
            ("websocket", Some("websocket 1000")),
            ("HTTP/2.0", Some("HTTP/2.0 1000")),
            // Neither a token nor two.
            ("", None),
            (";a=b", None),
            ("a b", None),
            ("a/", None),
            ("/a", None),
            ("a/b/c", None),
            ("\"a\"", None),
            ("ä", None),
            // No whitespace around the equals sign, no half a parameter, nothing behind the quote.
            ("a;b", None),
            ("a;b= c", None),
            ("a;b =c", None),
            ("a;=c", None),
            ("a;b=", None),
            ("a;b=c d", None),
            ("a;b=\"c", None),
            ("a;b=\"c\\\"", None),
            ("a;b=\"c\"d", None),
            ("a;b=\"c\"\"d\"", None),
        ] {
            assert_eq!(told(member).as_deref(), expected, "{member}");
        }
    }

    #[test]
    fn a_weight_is_a_number_from_0_to_1_with_three_decimals() {
        // RFC 9110, 12.4.2: qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ).
        for (weight, thousandths) in [
            ("0", 0),
            ("0.", 0),
            ("0.0", 0),
            ("0.5", 500),
            ("0.25", 250),
            ("0.001", 1),
            ("1", 1000),
            ("1.", 1000),
            ("1.000", 1000),
            // Malformed: asks for nothing.
            ("1.001", 0),
            ("0.0001", 0),
            ("2", 0),
            (".5", 0),
            ("0,5", 0),
            ("-1", 0),
            ("0x1", 0),
            ("\"1\"", 0),
        ] {
            let member = format!("a;q={weight}");
            let weight = Member::parse(member.as_bytes()).map(Member::weight);
            assert_eq!(weight.unwrap_or(0), thousandths, "{member}");
        }
    }

    #[test]
    fn a_token_and_a_quoted_string_of_it_are_the_same_value() {
        // RFC 9110, 5.6.6.
        let values =
            ["utf-8", "\"utf-8\"", "\"u\\tf-8\""].map(|raw| ParameterValue { raw: raw.as_bytes() });
        for value in values {
            assert_eq!(value, values[0]);
            assert_eq!(value, "utf-8");
            assert_eq!(&*value.to_bytes(), b"utf-8");
            assert!(value.eq_ignore_ascii_case("UTF-8") && value != "UTF-8" && value != "utf-");
        }
    }

    #[test]
    fn members_are_those_of_all_lines_and_malformed_ones_are_left_out() {
        // RFC 9110, 5.3 and 5.6.1.2.
        let mut rx = RecvBuf::with_limit(4096);
        let head = b"GET / HTTP/1.1\r\nTE: trailers, a b,, deflate;q=0.5\r\nte:\r\nTe: , x;y=\"z,\"\r\n\r\n";
        assert_eq!(rx.push(head), head.len());
        let parsed = http::parse_request(&mut rx, &http::Limits::default()).unwrap().unwrap();
        let members = parsed.head(&rx).headers.members("te");
        let told: vec::Vec<_> = members.map(|member| format!("{member:?}")).collect();
        assert_eq!(told, ["trailers", "deflate;q=0.5", "x;y=\"z,\""]);
    }
}
