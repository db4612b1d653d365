//! Whom and what a request is about: its target, and the host that it names (RFC 9112, 3.2 and 3.3).

use super::chars::is_target_byte;
use super::headers::{Headers, text};

/// A request target in one of its four forms (RFC 9112, 3.2). Nothing is decoded.
///
/// ```
/// use tidewire::http::Target;
///
/// let target = Target::parse("GET", "/path?a=b").unwrap();
/// assert_eq!(target, Target::Origin { path: "/path", query: Some("a=b") });
/// assert_eq!(Target::parse("OPTIONS", "*"), Some(Target::Asterisk));
/// assert_eq!(Target::parse("GET", "*"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// `/path?query`: what a server is usually asked for (RFC 9112, 3.2.1).
    Origin {
        /// The path, which begins with `/`.
        path: &'a str,
        /// What follows the first `?`.
        query: Option<&'a str>,
    },
    /// `http://host:port/path?query`: what a proxy is asked for, and every server must understand
    /// (RFC 9112, 3.2.2). The authority names a host and no user.
    Absolute {
        /// The scheme, with its case.
        scheme: &'a str,
        /// The host, in brackets if it is an IPv6 address, and the port if there is one.
        authority: &'a str,
        /// The path. Where there is none it is `/`, or, if OPTIONS asks and there is no query
        /// either, `*` (RFC 9112, 3.2.4).
        path: &'a str,
        /// What follows the first `?`.
        query: Option<&'a str>,
    },
    /// `host:port`: where a CONNECT wants to be connected to (RFC 9112, 3.2.3).
    Authority {
        /// The host, in brackets if it is an IPv6 address.
        host: &'a str,
        /// The port.
        port: u16,
    },
    /// `*`: the server as a whole, which only OPTIONS asks about (RFC 9112, 3.2.4).
    Asterisk,
}

impl<'a> Target<'a> {
    /// Takes the target of a request with this method apart. `None` if it is malformed, or has a form
    /// that the method does not take: a [`Server`](super::Server) refuses such a request.
    ///
    /// An absolute target has `://` behind its scheme, and a host: others are not of HTTP (RFC 9110,
    /// 4.2.1). A port is at most 65535.
    #[must_use]
    pub fn parse(method: &str, target: &'a str) -> Option<Self> {
        if !target.bytes().all(is_target_byte) || !target_fits(method.as_bytes(), target.as_bytes())
        {
            return None;
        }
        if method == "CONNECT" {
            let (host, port) = target.rsplit_once(':')?;
            return Some(Self::Authority { host, port: port.parse().ok()? });
        }
        let (scheme, rest) = match target {
            "*" => return Some(Self::Asterisk),
            _ if target.starts_with('/') => {
                let (path, query) = split_query(target);
                return Some(Self::Origin { path, query });
            }
            _ => target.split_once("://")?,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match split_query(path) {
            ("", None) if method == "OPTIONS" => ("*", None),
            ("", query) => ("/", query),
            parts => parts,
        };
        Some(Self::Absolute { scheme, authority, path, query })
    }

    /// The path of an origin or absolute target, or `*`. That of a CONNECT has none.
    #[must_use]
    pub const fn path(self) -> Option<&'a str> {
        match self {
            Self::Origin { path, .. } | Self::Absolute { path, .. } => Some(path),
            Self::Authority { .. } => None,
            Self::Asterisk => Some("*"),
        }
    }

    /// The query, without its `?`.
    #[must_use]
    pub const fn query(self) -> Option<&'a str> {
        match self {
            Self::Origin { query, .. } | Self::Absolute { query, .. } => query,
            Self::Authority { .. } | Self::Asterisk => None,
        }
    }
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// The one `Host` that there is, if it names a host.
pub(super) fn host(headers: Headers<'_>) -> Option<&str> {
    let mut hosts = headers.get_all("host");
    let host = hosts.next().filter(|host| authority(host).is_some())?;
    hosts.next().is_none().then(|| text(host))
}

/// Whether the target has a form that the method takes (RFC 9112, 3.2). That it holds no byte that no
/// target holds has been seen to.
#[inline]
pub(super) fn target_fits(method: &[u8], target: &[u8]) -> bool {
    match target {
        // RFC 9110, 9.3.6: the port must be there, and valid.
        _ if method == b"CONNECT" => authority(target).is_some_and(|(_, port)| !port.is_empty()),
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => is_absolute(target),
    }
}

/// `scheme "://" authority …` with an authority that names a host and no user (RFC 9110, 4.2.4).
fn is_absolute(target: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', target) else { return false };
    let (scheme, rest) = target.split_at(colon);
    let Some(rest) = rest.strip_prefix(b"://") else { return false };
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let inside = |&byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(inside)
        && authority(&rest[..end]).is_some()
}

/// `uri-host [ ":" port ]` (RFC 9110, 7.2), or nothing, for a target without authority.
#[inline]
pub(super) fn is_host(value: &[u8]) -> bool {
    value.is_empty() || authority(value).is_some()
}

/// Splits an authority without user information into host and port (RFC 3986, 3.2). The port may be
/// missing or empty, and is at most 65535.
#[inline]
pub(super) fn authority(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match value {
        [b'[', rest @ ..] => end_of_ip_literal(rest)? + 2,
        _ => end_of_reg_name(value),
    };
    let (host, port) = value.split_at(end);
    match port {
        _ if host.is_empty() => None,
        [] => Some((host, port)),
        [b':', port @ ..] if is_port(port) => Some((host, port)),
        _ => None,
    }
}

/// `*DIGIT`, as far as there are ports.
#[inline]
pub(super) fn is_port(port: &[u8]) -> bool {
    let number = port.iter().try_fold(0_u32, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(number * 10 + digit).filter(|&number| number <= 65535)
    });
    number.is_some()
}

/// `table[byte]` says whether the byte is `unreserved / sub-delims` (RFC 3986, 2.2 and 2.3).
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(')
            || matches!(byte, b')' | b'*' | b'+' | b',' | b';' | b'=');
        byte += 1;
    }
    table
};

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// The end of `*( unreserved / pct-encoded / sub-delims )` (RFC 3986, 3.2.2).
#[inline]
fn end_of_reg_name(value: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match value[at..] {
            [byte, ..] if is_plain(byte) => at += 1,
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
            _ => return at,
        }
    }
}

/// The offset of the `]` behind `IPv6address / IPvFuture` (RFC 3986, 3.2.2).
fn end_of_ip_literal(value: &[u8]) -> Option<usize> {
    let end = value.iter().position(|&byte| byte == b']')?;
    let literal = core::str::from_utf8(&value[..end]).ok()?;
    let valid = match literal.strip_prefix(['v', 'V']) {
        Some(future) => future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(|byte| is_plain(byte) || byte == b':')
        }),
        None => literal.parse::<core::net::Ipv6Addr>().is_ok(),
    };
    valid.then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Target::{Absolute, Asterisk, Authority, Origin};

    #[test]
    fn a_target_has_one_of_four_forms_which_the_method_must_take() {
        let absolute =
            |scheme, authority, path, query| Some(Absolute { scheme, authority, path, query });
        for (method, target, expected) in [
            // RFC 9112, 3.2.1: origin-form = absolute-path [ "?" query ].
            ("GET", "/", Some(Origin { path: "/", query: None })),
            ("GET", "/where?q=now?", Some(Origin { path: "/where", query: Some("q=now?") })),
            ("GET", "//h/a:b", Some(Origin { path: "//h/a:b", query: None })),
            ("GET", "/?", Some(Origin { path: "/", query: Some("") })),
            ("OPTIONS", "/", Some(Origin { path: "/", query: None })),
            // RFC 9112, 3.2.2: absolute-form = absolute-URI.
            (
                "GET",
                "http://www.example.org/a?b",
                absolute("http", "www.example.org", "/a", Some("b")),
            ),
            ("GET", "HTTPS://[::1]:8/a", absolute("HTTPS", "[::1]:8", "/a", None)),
            ("GET", "http://h", absolute("http", "h", "/", None)),
            ("GET", "http://h?a/b://c", absolute("http", "h", "/", Some("a/b://c"))),
            // RFC 9112, 3.2.3: authority-form is for CONNECT alone, and CONNECT takes no other.
            ("CONNECT", "h:80", Some(Authority { host: "h", port: 80 })),
            ("CONNECT", "[::1]:443", Some(Authority { host: "[::1]", port: 443 })),
            ("CONNECT", "/", None),
            ("CONNECT", "http://h:80/", None),
            ("CONNECT", "*", None),
            ("GET", "h:80", None),
            // RFC 9110, 9.3.6: a CONNECT without a valid port is refused.
            ("CONNECT", "h", None),
            ("CONNECT", "h:", None),
            ("CONNECT", "h:65536", None),
            ("CONNECT", ":80", None),
            // RFC 9112, 3.2.4: asterisk-form is for OPTIONS alone.
            ("OPTIONS", "*", Some(Asterisk)),
            ("GET", "*", None),
            ("OPTIONS", "*/", None),
            (
                "OPTIONS",
                "http://www.example.org:8001",
                absolute("http", "www.example.org:8001", "*", None),
            ),
            ("OPTIONS", "http://h/", absolute("http", "h", "/", None)),
            ("OPTIONS", "http://h?", absolute("http", "h", "/", Some(""))),
            // RFC 9110, 4.2.1 and 4.2.4: a host must be there, and no user.
            ("GET", "http:///a", None),
            ("GET", "http://:80/", None),
            ("GET", "http://user@h/", None),
            ("GET", "http://h:http/", None),
            // RFC 3986, 3.1.
            ("GET", "1http://h/", None),
            ("GET", "://h/", None),
            ("GET", "a/b://h/", None),
            // No form at all.
            ("GET", "", None),
            ("GET", "a", None),
            ("GET", "?a", None),
            ("GET", "/a b", None),
            ("GET", "/a#b", None),
            ("GET", "/ä", None),
        ] {
            assert_eq!(Target::parse(method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        // RFC 9110, 7.2: Host = uri-host [ ":" port ]; RFC 3986, 3.2.2 and 3.2.3.
        for host in [
            "",
            "h",
            "h:",
            "h:0",
            "h:65535",
            "h:00080",
            "127.0.0.1:80",
            "a_b",
            "a%2Fb",
            "%C3%A4",
            "a!$&'()*+,;=~-.",
            "[::]",
            "[::1]:1",
            "[1:2:3:4:5:6:7:8]",
            "[::ffff:1.2.3.4]",
            "[v1.a:b]",
            "[VF.1]:9",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            ":",
            ":80",
            "h:65536",
            "h:99999999999",
            "h:+1",
            "h:1_0",
            "h:8 0",
            "h:80:80",
            "h/",
            "u@h",
            "h?",
            "h#",
            "a b",
            "ä",
            "h\u{7f}",
            "a%2",
            "a%",
            "a%zz",
            "a\\b",
            "\"h\"",
            "<h>",
            "[",
            "[]",
            "[::1",
            "[h]",
            "[::1]80",
            "[::1]a:80",
            "[::1%25eth0]",
            "[1.2.3.4]",
            "[v.a]",
            "[v1.]",
            "[v1]",
            "[vg.a]",
            "[v1.a/b]",
            "::1",
            "h[::1]",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
