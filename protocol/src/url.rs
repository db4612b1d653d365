//! URLs of the four schemes that this crate speaks (RFC 3986; RFC 6455, 3; RFC 9110, 4.2).
//!
//! Not a parser for every URL there is: it knows a host, a port, and a path with a query, and turns
//! them into what a request needs, `Host` and the request target.

use alloc::string::String;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use core::fmt;

/// Where to connect to and what to ask for.
///
/// ```
/// use tidewire::url::Url;
///
/// let url = Url::parse("ws://Example.com:1234/chat room?q=ä")?;
/// assert_eq!((url.host(), url.port(), url.is_secure()), ("example.com", 1234, false));
/// assert_eq!(url.host_header(), "example.com:1234");
/// assert_eq!(url.target(), "/chat%20room?q=%C3%A4");
/// # Ok::<(), tidewire::url::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    /// `user:password`, decoded.
    userinfo: Option<String>,
    /// In lower case and without brackets.
    host: String,
    port: u16,
    /// Path and query, encoded, beginning with `/`.
    target: String,
}

/// The schemes of a [`Url`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP over TCP; port 80.
    Http,
    /// HTTP over TLS; port 443.
    Https,
    /// WebSocket over TCP; port 80.
    Ws,
    /// WebSocket over TLS; port 443.
    Wss,
}

impl Scheme {
    /// `http`, `https`, `ws` or `wss`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether it wants TLS.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Wss)
    }

    /// The port that goes without saying.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        if self.is_secure() { 443 } else { 80 }
    }

    fn parse(scheme: &str) -> Option<Self> {
        let is = |known: &Self| scheme.eq_ignore_ascii_case(known.as_str());
        [Self::Http, Self::Https, Self::Ws, Self::Wss].into_iter().find(is)
    }
}

/// Why a text is no [`Url`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is no `://`, or something other than `http`, `https`, `ws` or `wss` before it.
    #[error("the scheme is not http, https, ws or wss")]
    Scheme,
    /// The host is missing, or holds what no host holds. A name beyond ASCII must be given in
    /// punycode.
    #[error("the host is missing or malformed (RFC 3986, 3.2.2)")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535 (RFC 3986, 3.2.3)")]
    Port,
    /// The user or password has a `%` that no two hexadecimal digits follow, or decodes to something
    /// that Basic authorization cannot carry: a colon in the user, a control byte, or no UTF-8.
    #[error("user or password cannot be sent (RFC 7617, 2)")]
    Userinfo,
    /// There is a fragment, which is never sent. A WebSocket URL must not have one (RFC 6455, 3).
    #[error("a fragment (RFC 6455, 3)")]
    Fragment,
}

impl Url {
    /// Parses a URL with scheme and host.
    ///
    /// The host is put into lower case. In path and query, what may not stand in a request is
    /// percent-encoded as UTF-8: control bytes, all beyond ASCII, spaces, and what RFC 3986 leaves out
    /// (quotes, backslash, braces and the like); what is encoded already stays so.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        Self::with_scheme(Scheme::parse(scheme).ok_or(UrlError::Scheme)?, rest)
    }

    /// Parses what follows `scheme://`.
    fn with_scheme(scheme: Scheme, rest: &str) -> Result<Self, UrlError> {
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(decode_userinfo(userinfo)?), host_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        let port = parse_port(port)?.unwrap_or(scheme.default_port());
        Ok(Self { scheme, userinfo, host, port, target: encode_target(target)? })
    }

    /// The URL that `reference` means when it is met under this one, in a `Location` say: with
    /// scheme, with host (`//host/path`), with absolute path, with query alone, or relative to the
    /// path (RFC 3986, 5.2). A fragment is dropped (RFC 9110, 10.2.2).
    ///
    /// User and password go along only to the same host and port, and not between schemes with TLS
    /// and without: `ws` and `http` are the same here.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
        let colon = reference.find(['/', '?', ':']).filter(|&at| reference[at..].starts_with(':'));
        if colon.is_some() {
            return Ok(self.lend_userinfo(Self::parse(reference)?));
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Ok(self.lend_userinfo(Self::with_scheme(self.scheme, rest)?));
        }
        let base = self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path);
        let (path, query) = match reference.find('?') {
            Some(at) => reference.split_at(at),
            None => (reference, ""),
        };
        let mut target = match path {
            "" => String::from(base),
            _ if path.starts_with('/') => remove_dots(path),
            _ => {
                let directory = &base[..=base.rfind('/').unwrap_or(0)];
                remove_dots(&[directory, path].concat())
            }
        };
        match (path, query) {
            ("", "") => target.clone_from(&self.target),
            _ => target.push_str(query),
        }
        Ok(Self { target: encode_target(&target)?, ..self.clone() })
    }

    /// Gives `other` our user and password if it is of the same origin and has none.
    fn lend_userinfo(&self, mut other: Self) -> Self {
        let origin = |url: &Self| (url.is_secure(), url.port);
        if other.userinfo.is_none() && origin(self) == origin(&other) && self.host == other.host {
            other.userinfo.clone_from(&self.userinfo);
        }
        other
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the scheme wants TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.scheme.is_secure()
    }

    /// The name or address to connect to, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Host` (RFC 9110, 7.2): the port stands there unless it is the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> String {
        let port = (self.port != self.scheme.default_port()).then_some(self.port);
        alloc::format!("{}", Authority { host: &self.host, port })
    }

    /// Host and port, as a CONNECT to a proxy names them.
    #[must_use]
    pub fn authority(&self) -> String {
        alloc::format!("{}", Authority { host: &self.host, port: Some(self.port) })
    }

    /// The request target: path and query, percent-encoded, beginning with `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The value of `Authorization` that user and password make (RFC 7617), if there are any.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        let userinfo = self.userinfo.as_ref()?.as_bytes();
        Some(alloc::format!("Basic {}", Base64Display::new(userinfo, &BASE64)))
    }
}

/// The URL without its password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        if self.userinfo.is_some() {
            f.write_str("***@")?;
        }
        let port = (self.port != self.scheme.default_port()).then_some(self.port);
        write!(f, "{}{}", Authority { host: &self.host, port }, self.target)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl core::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::parse(url)
    }
}

/// Host and port, with brackets around an IPv6 address.
pub(crate) struct Authority<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Splits `host [ ":" port ]` and normalises the host.
pub(crate) fn split_port(host_port: &str) -> Result<(String, &str), UrlError> {
    let (host, port) = if let Some(rest) = host_port.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<core::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
        (host, port)
    } else {
        let (host, port) = host_port.split_at(host_port.find(':').unwrap_or(host_port.len()));
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        if host.is_empty() || !host.bytes().all(inside) {
            return Err(UrlError::Host);
        }
        (host, port)
    };
    match port.strip_prefix(':') {
        Some(port) => Ok((host.to_ascii_lowercase(), port)),
        None if port.is_empty() => Ok((host.to_ascii_lowercase(), port)),
        None => Err(UrlError::Host),
    }
}

/// The port that the digits mean; `None` if there are none.
pub(crate) fn parse_port(digits: &str) -> Result<Option<u16>, UrlError> {
    match digits {
        "" => Ok(None),
        _ if !digits.bytes().all(|byte| byte.is_ascii_digit()) => Err(UrlError::Port),
        _ => digits.parse().ok().filter(|&port| port != 0).map(Some).ok_or(UrlError::Port),
    }
}

/// Percent-encodes a path and query, which begins with `/` or `?` or is empty.
fn encode_target(target: &str) -> Result<String, UrlError> {
    let mut encoded = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        encoded.push('/');
    }
    for byte in target.bytes() {
        match byte {
            b'#' => return Err(UrlError::Fragment),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=b' ' | 0x7F.. => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                encoded.push('%');
                encoded.push(char::from(HEX[usize::from(byte >> 4)]));
                encoded.push(char::from(HEX[usize::from(byte & 15)]));
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    Ok(encoded)
}

/// Decodes `user:password`, and judges whether Basic authorization can carry it.
fn decode_userinfo(userinfo: &str) -> Result<String, UrlError> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let user = percent_decode(user)?;
    if user.contains(':') {
        return Err(UrlError::Userinfo);
    }
    let decoded = [&user, ":", &percent_decode(password)?].concat();
    if decoded.chars().any(|char| char.is_ascii_control()) {
        return Err(UrlError::Userinfo);
    }
    Ok(decoded)
}

pub(crate) fn percent_decode(encoded: &str) -> Result<String, UrlError> {
    let mut decoded = alloc::vec::Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err(UrlError::Userinfo),
            },
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| UrlError::Userinfo)
}

/// RFC 3986, 5.2.4, for a path that begins with `/`.
fn remove_dots(path: &str) -> String {
    let mut clean = String::with_capacity(path.len());
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            ".." => clean.truncate(clean.rfind('/').unwrap_or(0)),
            "." => {}
            _ => {
                clean.push('/');
                clean.push_str(segment);
                continue;
            }
        }
        if last {
            clean.push('/');
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn host_names_the_port_unless_it_is_the_schemes_own() {
        for (url, host, port, header) in [
            ("ws://h:1234", "h", 1234, "h:1234"),
            ("ws://h:80", "h", 80, "h"),
            ("wss://h:443/", "h", 443, "h"),
            ("WSS://H", "h", 443, "h"),
            ("ws://h:443", "h", 443, "h:443"),
            ("https://h:80", "h", 80, "h:80"),
            ("http://h:", "h", 80, "h"),
            ("ws://[::1]:9", "::1", 9, "[::1]:9"),
            ("wss://[2001:DB8::1]", "2001:db8::1", 443, "[2001:db8::1]"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((url.host(), url.port(), &url.host_header()[..]), (host, port, header));
        }
        assert_eq!(Url::parse("ws://[::1]").unwrap().authority(), "[::1]:80");
    }

    #[test]
    fn the_target_is_path_and_query_percent_encoded() {
        for (url, target) in [
            ("ws://h", "/"),
            ("ws://h?q=1", "/?q=1"),
            ("ws://h/a b", "/a%20b"),
            ("ws://h/ä?ö=%C3%BC", "/%C3%A4?%C3%B6=%C3%BC"),
            ("ws://h/\r\nX: y", "/%0D%0AX:%20y"),
            ("ws://h/100%", "/100%"),
            ("ws://h/a?b?c/d@e:f", "/a?b?c/d@e:f"),
        ] {
            assert_eq!(Url::parse(url).unwrap().target(), target, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_reason() {
        for (url, error) in [
            ("", UrlError::Scheme),
            ("h:80", UrlError::Scheme),
            ("ftp://h", UrlError::Scheme),
            ("ws:/h", UrlError::Scheme),
            ("ws://", UrlError::Host),
            ("ws:///path", UrlError::Host),
            ("ws://:80", UrlError::Host),
            ("ws://a b", UrlError::Host),
            ("ws://ä", UrlError::Host),
            ("ws://a%41", UrlError::Host),
            ("ws://[::1", UrlError::Host),
            ("ws://[::1]80", UrlError::Host),
            ("ws://[h]", UrlError::Host),
            ("ws://a\r\nb", UrlError::Host),
            ("ws://h:0", UrlError::Port),
            ("ws://h:65536", UrlError::Port),
            ("ws://h:+1", UrlError::Port),
            ("ws://h:80:80", UrlError::Port),
            ("ws://h/#", UrlError::Fragment),
            ("ws://h#f", UrlError::Fragment),
            ("ws://u%0D:p@h", UrlError::Userinfo),
            ("ws://u%3Av:p@h", UrlError::Userinfo),
            ("ws://u%4:p@h", UrlError::Userinfo),
            ("ws://u%FF:p@h", UrlError::Userinfo),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url:?}");
        }
    }

    #[test]
    fn user_and_password_become_basic_authorization_and_are_never_shown() {
        // RFC 7617, 2.
        let url = Url::parse("wss://Aladdin:open%20sesame@h/").unwrap();
        assert_eq!(url.authorization().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(url.to_string(), "wss://***@h/");
        assert_eq!(Url::parse("ws://u@h").unwrap().authorization().unwrap(), "Basic dTo=");
        assert_eq!(Url::parse("ws://h").unwrap().authorization(), None);
    }

    #[test]
    fn a_reference_is_resolved_against_the_base() {
        // RFC 3986, 5.4, as far as it concerns these schemes.
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        for (reference, joined) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("./g/.", "http://a/b/c/g/"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("https://x:1/y", "https://x:1/y"),
            ("a?b:c", "http://a/b/c/a?b:c"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), joined, "{reference}");
        }
        assert_eq!(base.join("ftp://x"), Err(UrlError::Scheme));
        assert_eq!(base.join("http:g"), Err(UrlError::Scheme));
    }

    #[test]
    fn credentials_do_not_leave_their_origin() {
        let base = Url::parse("http://u:p@h/a").unwrap();
        assert!(base.join("/b").unwrap().authorization().is_some());
        assert!(base.join("http://h:80/b").unwrap().authorization().is_some());
        assert!(base.join("https://h/b").unwrap().authorization().is_none());
        assert!(base.join("ws://h/b").unwrap().authorization().is_some());
        assert!(base.join("//other/b").unwrap().authorization().is_none());
    }
}
