//! Heads, lent and owned.

use super::chars::{is_token, is_value_byte, trim_ows};
use super::headers::{HeaderSpan, Headers, OwnedHeaders, text};
use super::target::{self, Target};
use super::{Misuse, Status, Version};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The head of a request, a view over the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method, case and all: `GET`.
    pub method: &'a str,
    /// The request target as it was sent: `/path?query`, or one of the other forms of RFC 9112, 3.2.
    pub target: &'a str,
    /// The version.
    pub version: Version,
    /// The header lines.
    pub headers: Headers<'a>,
}

impl<'a> RequestHead<'a> {
    /// The target, taken apart (RFC 9112, 3.2). `None` if it is malformed or does not fit the method,
    /// which happens only where a head is parsed without a [`Server`](super::Server).
    #[must_use]
    pub fn target_form(self) -> Option<Target<'a>> {
        Target::parse(self.method, self.target)
    }

    /// Host and port that the request is meant for: those of an absolute target, which count more than
    /// `Host` (RFC 9112, 3.2.2), those of a CONNECT (3.2.3), else `Host` (RFC 9110, 7.2). `None` if it
    /// names none: `Host` is missing, empty, malformed or there twice, or the target is malformed.
    ///
    /// ```
    /// # use tidewire::{RecvBuf, http};
    /// # let mut rx = RecvBuf::with_limit(1024);
    /// # rx.push(b"GET http://a:8080/ HTTP/1.1\r\nHost: b\r\n\r\n");
    /// # let parsed = http::parse_request(&mut rx, &http::Limits::default())?.unwrap();
    /// # let head = parsed.head(&rx);
    /// // GET http://a:8080/ HTTP/1.1
    /// // Host: b
    /// assert_eq!(head.authority(), Some("a:8080"));
    /// # Ok::<(), http::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn authority(self) -> Option<&'a str> {
        match self.target_form()? {
            Target::Absolute { authority, .. } => Some(authority),
            Target::Authority { .. } => Some(self.target),
            Target::Origin { .. } | Target::Asterisk => target::host(self.headers),
        }
    }

    /// The path of the target, percent-encoding untouched: `/path`. A URL without a path has the path
    /// `/`, or `*` if it is the target of OPTIONS and has no query either (RFC 9112, 3.2.4). The
    /// target of a CONNECT is returned whole, as is one that is malformed.
    #[must_use]
    pub fn path(self) -> &'a str {
        self.target_form().and_then(Target::path).unwrap_or(self.target)
    }

    /// What follows the first `?` of the target.
    #[must_use]
    pub fn query(self) -> Option<&'a str> {
        self.target_form()?.query()
    }

    /// A copy that lives on.
    #[must_use]
    pub fn to_owned(self) -> OwnedRequestHead {
        let (method, target) = (self.method.as_bytes(), self.target.as_bytes());
        let line = [method, target].concat();
        OwnedRequestHead {
            method: method.len(),
            version: self.version,
            line: text(&line).into(),
            headers: self.headers.to_owned(),
        }
    }
}

/// A [`RequestHead`] that owns its bytes.
#[derive(Clone)]
pub struct OwnedRequestHead {
    /// Method and target, one behind the other.
    line: Box<str>,
    method: usize,
    version: Version,
    headers: OwnedHeaders,
}

impl OwnedRequestHead {
    /// A head as if it had been received, for the tests of whoever handles requests. As on the wire,
    /// whitespace around a value does not belong to it.
    ///
    /// ```
    /// use tidewire::http::{OwnedRequestHead, Version};
    ///
    /// let head = OwnedRequestHead::new("GET", "/a?b", Version::Http11, [("Host", "h")])?;
    /// assert_eq!(head.as_head().query(), Some("b"));
    /// assert_eq!(head.as_head().headers.get_str("host"), Some("h"));
    /// # Ok::<(), tidewire::http::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::BadMethod`], [`Misuse::BadTarget`], [`Misuse::BadFieldName`],
    /// [`Misuse::BadFieldValue`]. Nothing else is looked at: such a head may be one that a
    /// [`Server`](super::Server) refuses.
    pub fn new(
        method: &str,
        target: &str,
        version: Version,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    ) -> Result<Self, Misuse> {
        if !is_token(method.as_bytes()) {
            return Err(Misuse::BadMethod);
        }
        Target::parse(method, target).ok_or(Misuse::BadTarget)?;
        Ok(Self {
            method: method.len(),
            version,
            line: [method, target].concat().into(),
            headers: OwnedHeaders::from_fields(fields)?,
        })
    }

    /// The view over it.
    #[must_use]
    pub fn as_head(&self) -> RequestHead<'_> {
        let (method, target) = self.line.split_at(self.method);
        RequestHead { method, target, version: self.version, headers: self.headers.as_headers() }
    }
}

impl PartialEq for OwnedRequestHead {
    fn eq(&self, other: &Self) -> bool {
        self.as_head() == other.as_head()
    }
}

impl Eq for OwnedRequestHead {}

impl fmt::Debug for OwnedRequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_head().fmt(f)
    }
}

/// The head of a response, a view over the receive buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The version.
    pub version: Version,
    /// The status.
    pub status: Status,
    /// The reason phrase, which may be empty and means nothing (RFC 9112, 4).
    pub reason: &'a [u8],
    /// The header lines.
    pub headers: Headers<'a>,
}

/// With the reason phrase as text, as far as it is UTF-8.
impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("reason", &String::from_utf8_lossy(self.reason))
            .field("headers", &self.headers)
            .finish()
    }
}

impl ResponseHead<'_> {
    /// A copy that lives on.
    #[must_use]
    pub fn to_owned(self) -> OwnedResponseHead {
        OwnedResponseHead {
            version: self.version,
            status: self.status,
            reason: self.reason.into(),
            headers: self.headers.to_owned(),
        }
    }
}

/// A [`ResponseHead`] that owns its bytes.
#[derive(Clone)]
pub struct OwnedResponseHead {
    version: Version,
    status: Status,
    reason: Box<[u8]>,
    headers: OwnedHeaders,
}

impl OwnedResponseHead {
    /// A head as if it had been received, with the reason phrase that the registry gives the status.
    /// What [`OwnedRequestHead::new`] says holds here too.
    ///
    /// # Errors
    /// [`Misuse::BadFieldName`], [`Misuse::BadFieldValue`].
    pub fn new(
        version: Version,
        status: Status,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    ) -> Result<Self, Misuse> {
        let reason = status.reason().as_bytes().into();
        Ok(Self { version, status, reason, headers: OwnedHeaders::from_fields(fields)? })
    }

    /// The view over it.
    #[must_use]
    pub fn as_head(&self) -> ResponseHead<'_> {
        ResponseHead {
            version: self.version,
            status: self.status,
            reason: &self.reason,
            headers: self.headers.as_headers(),
        }
    }
}

impl PartialEq for OwnedResponseHead {
    fn eq(&self, other: &Self) -> bool {
        self.as_head() == other.as_head()
    }
}

impl Eq for OwnedResponseHead {}

impl fmt::Debug for OwnedResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_head().fmt(f)
    }
}

impl OwnedHeaders {
    /// Header lines as if they had been received, in this order.
    ///
    /// ```
    /// use tidewire::http::OwnedHeaders;
    ///
    /// let headers = OwnedHeaders::from_fields([("Vary", "Accept"), ("Vary", "Cookie")])?;
    /// assert!(headers.as_headers().contains_token("vary", "cookie"));
    /// # Ok::<(), tidewire::http::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::BadFieldName`] and [`Misuse::BadFieldValue`], with the number of the field.
    pub fn from_fields(
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    ) -> Result<Self, Misuse> {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for (index, (name, value)) in fields.into_iter().enumerate() {
            let (name, value) = (name.as_ref().as_bytes(), trim_ows(value.as_ref()));
            if !is_token(name) {
                return Err(Misuse::BadFieldName(index));
            }
            if !value.iter().copied().all(is_value_byte) {
                return Err(Misuse::BadFieldValue(index));
            }
            let mut append = |part: &[u8]| {
                bytes.extend_from_slice(part);
                // Spans count in 32 bits.
                u32::try_from(bytes.len()).map_err(|_| Misuse::BadFieldValue(index))
            };
            let start = append(b"")?;
            let (name_end, value_end) = (append(name)?, append(value)?);
            spans.push(HeaderSpan { name: start, name_end, value: name_end, value_end });
        }
        Ok(Headers { bytes: &bytes, spans: &spans }.to_owned())
    }
}

impl Default for OwnedHeaders {
    fn default() -> Self {
        Headers::empty().to_owned()
    }
}

impl PartialEq for OwnedHeaders {
    fn eq(&self, other: &Self) -> bool {
        self.as_headers() == other.as_headers()
    }
}

impl Eq for OwnedHeaders {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecvBuf, http};

    fn with_head<T>(head: &str, ask: impl FnOnce(RequestHead<'_>) -> T) -> T {
        let mut rx = RecvBuf::with_limit(4096);
        assert_eq!(rx.push(head.as_bytes()), head.len());
        let parsed = http::parse_request(&mut rx, &http::Limits::default()).unwrap().unwrap();
        ask(parsed.head(&rx))
    }

    #[test]
    fn a_built_head_is_like_one_that_was_received() {
        let (text, fields) = ("A: b\r\na:  c\t\r\nX:\r\n", [("A", "b"), ("a", " c"), ("X", "\t")]);
        let built = OwnedRequestHead::new("GET", "/a", Version::Http11, fields).unwrap();
        with_head(&alloc::format!("GET /a HTTP/1.1\r\n{text}\r\n"), |head| {
            assert_eq!(head, built.as_head());
            assert_eq!(head.to_owned(), built);
        });
        let built = OwnedResponseHead::new(Version::Http11, Status::OK, fields).unwrap();
        let head = alloc::format!("HTTP/1.1 200 OK\r\n{text}\r\n");
        let mut rx = RecvBuf::with_limit(4096);
        assert_eq!(rx.push(head.as_bytes()), head.len());
        let parsed = http::parse_response(&mut rx, &http::Limits::default()).unwrap().unwrap();
        assert_eq!(parsed.head(&rx), built.as_head());
        assert_eq!(parsed.head(&rx).to_owned(), built);
        assert!(alloc::format!("{built:?}").contains("\"OK\""));
    }

    #[test]
    fn what_no_head_holds_is_not_built() {
        let new = |method, target, name, value: &'static str| {
            OwnedRequestHead::new(method, target, Version::Http11, [("A", "b"), (name, value)])
        };
        for (built, misuse) in [
            (new("G T", "/", "A", "b"), Misuse::BadMethod),
            (new("GET", "*", "A", "b"), Misuse::BadTarget),
            (new("GET", "/ ", "A", "b"), Misuse::BadTarget),
            (new("GET", "/", "A:", "b"), Misuse::BadFieldName(1)),
            (new("GET", "/", "", "b"), Misuse::BadFieldName(1)),
            (new("GET", "/", "A", "b\r\nc"), Misuse::BadFieldValue(1)),
        ] {
            assert_eq!(built, Err(misuse));
        }
    }

    #[test]
    fn the_authority_of_the_target_counts_more_than_host() {
        for (head, authority) in [
            // RFC 9112, 3.2.2: an origin server ignores Host if there is an absolute target.
            ("GET http://a:8080/ HTTP/1.1\r\nHost: b\r\n", Some("a:8080")),
            ("GET http://a HTTP/1.0\r\n", Some("a")),
            // RFC 9112, 3.2.3.
            ("CONNECT a:80 HTTP/1.1\r\nHost: b\r\n", Some("a:80")),
            // RFC 9112, 3.3: else it is that of Host, if there is any.
            ("GET / HTTP/1.1\r\nhost: b:1\r\n", Some("b:1")),
            ("OPTIONS * HTTP/1.1\r\nHost: [::1]\r\n", Some("[::1]")),
            ("GET / HTTP/1.1\r\nHost:\r\n", None),
            ("GET / HTTP/1.0\r\n", None),
            // What a server refuses names nobody.
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", None),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n", None),
            ("GET * HTTP/1.1\r\nHost: a\r\n", None),
        ] {
            let told =
                with_head(&alloc::format!("{head}\r\n"), |head| head.authority().map(String::from));
            assert_eq!(told.as_deref(), authority, "{head}");
        }
    }

    #[test]
    fn path_and_query_are_those_of_the_target() {
        for (line, path, query) in [
            ("GET /a%20b?c=d?e", "/a%20b", Some("c=d?e")),
            ("GET http://h/a", "/a", None),
            ("GET http://h?b", "/", Some("b")),
            ("GET /http://h?b", "/http://h", Some("b")),
            ("OPTIONS *", "*", None),
            // RFC 9112, 3.2.4: the last proxy sends `*` for this.
            ("OPTIONS http://h", "*", None),
            ("CONNECT h:80", "h:80", None),
            ("GET a?b", "a?b", None),
        ] {
            let head = alloc::format!("{line} HTTP/1.1\r\n\r\n");
            with_head(&head, |head| assert_eq!((head.path(), head.query()), (path, query)));
        }
    }
}
