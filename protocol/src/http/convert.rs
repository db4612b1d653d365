//! To and from the types of the `http` crate (feature `http`).
//!
//! | from | to |
//! |---|---|
//! | [`RequestHead`], `&`[`OwnedRequestHead`] | [`Request<()>`](::http::Request), [`request::Parts`] |
//! | [`ResponseHead`], `&`[`OwnedResponseHead`] | [`Response<()>`](::http::Response), [`response::Parts`] |
//! | `&`[`Request<T>`](::http::Request) | [`OwnedRequestHead`], for [`accept`](crate::ws::handshake::accept) say |
//! | [`Headers`], `&`[`OwnedHeaders`] | [`HeaderMap`] |
//! | [`Status`], [`Version`] | [`StatusCode`], [`::http::Version`], and back |
//! | [`Request<T>`](::http::Request) | [`Fields`] and [`request_target`], for [`Client::request`](super::Client::request) |
//! | [`HeaderMap`] | [`Fields`], for [`Server::respond`](super::Server::respond) |
//!
//! A [`HeaderMap`] keeps the values of one name apart and in their order, as the standard wants it (RFC
//! 9110, 5.3). It does not keep the case of names, nor the order of different names, and a
//! [`StatusCode`] comes without the reason phrase that was sent. Everything is copied.
//!
//! ```
//! use tidewire::http::convert::{Fields, request_target};
//! use tidewire::http::{BodyLength, Client, ClientConfig, ClientEvent};
//! use tidewire::{Instant, RecvBuf, SendBuf};
//!
//! let now = Instant::EPOCH;
//! let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
//! let mut client = Client::new(ClientConfig::default(), now);
//!
//! let request = http::Request::get("http://example.com/a?b").header("Accept", "*/*").body(())?;
//! let target = request_target(request.method(), request.uri())?;
//! let (method, fields) = (request.method().as_str(), Fields::of(&request));
//! client.request(method, &target, fields, BodyLength::EMPTY, now, &mut tx)?;
//! assert_eq!(tx.chunk(), b"GET /a?b HTTP/1.1\r\nHost: example.com\r\naccept: */*\r\n\r\n");
//!
//! rx.push(b"HTTP/1.1 200 OK\r\nVary: a\r\nContent-Length: 0\r\nvary: b\r\n\r\n");
//! if let Some(ClientEvent::Response(head)) = client.poll_event(now, &mut rx, &mut tx) {
//!     let response = http::Response::try_from(head)?;
//!     assert!(response.headers().get_all("vary").iter().eq(["a", "b"]));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    Headers, Misuse, OwnedHeaders, OwnedRequestHead, OwnedResponseHead, RequestHead, ResponseHead,
    Status, Target, Version,
};
use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, StatusCode, Uri, request, response};
use alloc::borrow::Cow;
use alloc::format;

/// What one side can say and the other cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The `http` crate takes no such method.
    #[error("the method cannot be converted")]
    Method,
    /// The `http` crate takes no such target: more than 65534 bytes, bytes that RFC 3986 does not
    /// allow, or OPTIONS for an absolute target without path and query, which it takes for one with the
    /// path `/`. Or the [`Uri`] makes no target for the method: [`request_target`].
    #[error("the request target cannot be converted")]
    Target,
    /// The `http` crate takes no such name for field number `.0`, counted from zero: more than 65535
    /// bytes.
    #[error("the name of field {0} cannot be converted")]
    FieldName(usize),
    /// The `http` crate takes no such value for field number `.0`.
    #[error("the value of field {0} cannot be converted")]
    FieldValue(usize),
    /// More fields than a [`HeaderMap`] holds, which is some 24000 names.
    #[error("too many fields")]
    TooManyFields,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
}

impl From<Version> for ::http::Version {
    fn from(version: Version) -> Self {
        match version {
            Version::Http10 => Self::HTTP_10,
            Version::Http11 => Self::HTTP_11,
        }
    }
}

impl TryFrom<::http::Version> for Version {
    type Error = ConvertError;

    fn try_from(version: ::http::Version) -> Result<Self, ConvertError> {
        match version {
            ::http::Version::HTTP_10 => Ok(Self::Http10),
            ::http::Version::HTTP_11 => Ok(Self::Http11),
            _ => Err(ConvertError::Version),
        }
    }
}

// Both are three digits that do not begin with 0, so what stands for the rest is never met.

impl From<Status> for StatusCode {
    fn from(status: Status) -> Self {
        Self::from_u16(status.code()).unwrap_or(Self::INTERNAL_SERVER_ERROR)
    }
}

impl From<StatusCode> for Status {
    fn from(status: StatusCode) -> Self {
        Self::new(status.as_u16()).unwrap_or(Self::INTERNAL_SERVER_ERROR)
    }
}

impl TryFrom<Headers<'_>> for HeaderMap {
    type Error = ConvertError;

    fn try_from(headers: Headers<'_>) -> Result<Self, ConvertError> {
        // Lines may be more than names, so what is too much for them may still be enough.
        let mut map = Self::try_with_capacity(headers.len()).unwrap_or_default();
        for (index, (name, value)) in headers.iter().enumerate() {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| ConvertError::FieldName(index))?;
            let value =
                HeaderValue::from_bytes(value).map_err(|_| ConvertError::FieldValue(index))?;
            map.try_append(name, value).map_err(|_| ConvertError::TooManyFields)?;
        }
        Ok(map)
    }
}

impl TryFrom<RequestHead<'_>> for ::http::Request<()> {
    type Error = ConvertError;

    fn try_from(head: RequestHead<'_>) -> Result<Self, ConvertError> {
        let mut request = Self::new(());
        *request.method_mut() =
            Method::from_bytes(head.method.as_bytes()).map_err(|_| ConvertError::Method)?;
        *request.uri_mut() = uri(head)?;
        *request.version_mut() = head.version.into();
        *request.headers_mut() = head.headers.try_into()?;
        Ok(request)
    }
}

fn uri(head: RequestHead<'_>) -> Result<Uri, ConvertError> {
    match head.target_form() {
        Some(Target::Absolute { path: "*", .. }) | None => Err(ConvertError::Target),
        Some(_) => head.target.parse().map_err(|_| ConvertError::Target),
    }
}

impl TryFrom<ResponseHead<'_>> for ::http::Response<()> {
    type Error = ConvertError;

    fn try_from(head: ResponseHead<'_>) -> Result<Self, ConvertError> {
        let mut response = Self::new(());
        *response.status_mut() = head.status.into();
        *response.version_mut() = head.version.into();
        *response.headers_mut() = head.headers.try_into()?;
        Ok(response)
    }
}

/// The head that a server of another library has received, with all of its fields; `Host` is that of the
/// [`Uri`] if there is none among them.
impl<T> TryFrom<&::http::Request<T>> for OwnedRequestHead {
    type Error = ConvertError;

    fn try_from(request: &::http::Request<T>) -> Result<Self, ConvertError> {
        let method = request.method();
        let target = request_target(method, request.uri())?;
        let map = request.headers();
        let host = host(request.uri()).filter(|_| !map.contains_key(header::HOST));
        let host = host.map(|host| ("Host", host.as_bytes()));
        let fields = map.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let version = request.version().try_into()?;
        Self::new(method.as_str(), &target, version, host.into_iter().chain(fields)).map_err(
            |why| match why {
                Misuse::BadMethod => ConvertError::Method,
                Misuse::BadFieldName(index) => ConvertError::FieldName(index),
                Misuse::BadFieldValue(index) => ConvertError::FieldValue(index),
                _ => ConvertError::Target,
            },
        )
    }
}

/// The same by way of another type.
macro_rules! by_way_of {
    ($($from:ty => $to:ty: $from_name:ident => $via:expr;)*) => {$(
        impl TryFrom<$from> for $to {
            type Error = ConvertError;

            fn try_from($from_name: $from) -> Result<Self, ConvertError> {
                $via
            }
        }
    )*};
}

by_way_of! {
    RequestHead<'_> => request::Parts: head => Ok(::http::Request::try_from(head)?.into_parts().0);
    ResponseHead<'_> => response::Parts: head => Ok(::http::Response::try_from(head)?.into_parts().0);
    &OwnedHeaders => HeaderMap: headers => headers.as_headers().try_into();
    &OwnedRequestHead => ::http::Request<()>: head => head.as_head().try_into();
    &OwnedRequestHead => request::Parts: head => head.as_head().try_into();
    &OwnedResponseHead => ::http::Response<()>: head => head.as_head().try_into();
    &OwnedResponseHead => response::Parts: head => head.as_head().try_into();
}

/// The target with which to ask a server for this [`Uri`] (RFC 9112, 3.2): path and query; `*` for
/// OPTIONS of `*`; host and port for CONNECT, where the port is that of the scheme, `http` or `https`,
/// if the [`Uri`] names none. A proxy wants the [`Uri`] itself instead, in text.
///
/// ```
/// use http::{Method, Uri};
/// use tidewire::http::convert::request_target;
///
/// let uri = Uri::from_static("https://example.com/a?b");
/// assert_eq!(request_target(&Method::GET, &uri)?, "/a?b");
/// assert_eq!(request_target(&Method::CONNECT, &uri)?, "example.com:443");
/// # Ok::<(), tidewire::http::convert::ConvertError>(())
/// ```
///
/// # Errors
/// [`ConvertError::Target`]: no port to connect to, no path to ask for, `*` of another method than
/// OPTIONS, or bytes beyond ASCII.
pub fn request_target<'a>(method: &Method, uri: &'a Uri) -> Result<Cow<'a, str>, ConvertError> {
    let target = match (host(uri), uri.path_and_query()) {
        (Some(host), _) if method == Method::CONNECT => match (uri.port(), uri.scheme_str()) {
            (Some(_), _) => Cow::Borrowed(host),
            (None, Some("http")) => Cow::Owned(format!("{}:80", host.trim_end_matches(':'))),
            (None, Some("https")) => Cow::Owned(format!("{}:443", host.trim_end_matches(':'))),
            _ => return Err(ConvertError::Target),
        },
        // A path that is not there is `/`.
        (_, Some(target)) => match target.as_str() {
            query if query.starts_with('?') => Cow::Owned(format!("/{query}")),
            target => Cow::Borrowed(target),
        },
        _ => return Err(ConvertError::Target),
    };
    Target::parse(method.as_str(), &target).ok_or(ConvertError::Target)?;
    Ok(target)
}

/// Host and port without user information, which is never sent (RFC 9110, 4.2.4).
fn host(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// The fields of a message of the `http` crate as [`Client::request`](super::Client::request) and
/// [`Server::respond`](super::Server::respond) take them.
///
/// `Host` comes first (RFC 9110, 7.2). `Content-Length` and `Transfer-Encoding` are left out, since
/// [`BodyLength`](super::BodyLength) says how long the body is.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    host: Option<&'a str>,
    map: &'a HeaderMap,
}

impl<'a> Fields<'a> {
    /// The fields of a request. If there is no `Host` among them it is that of the [`Uri`].
    #[must_use]
    pub fn of<T>(request: &'a ::http::Request<T>) -> Self {
        let map = request.headers();
        let host = host(request.uri()).filter(|_| !map.contains_key(header::HOST));
        Self { host, map }
    }
}

/// The fields of a response, or any others.
impl<'a> From<&'a HeaderMap> for Fields<'a> {
    fn from(map: &'a HeaderMap) -> Self {
        Self { host: None, map }
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = FieldsIter<'a>;

    fn into_iter(self) -> FieldsIter<'a> {
        let hosts = self.map.get_all(header::HOST).into_iter();
        FieldsIter { host: self.host, hosts, others: self.map.iter() }
    }
}

/// The iterator of [`Fields`].
#[derive(Debug)]
pub struct FieldsIter<'a> {
    host: Option<&'a str>,
    hosts: header::ValueIter<'a, HeaderValue>,
    others: header::Iter<'a, HeaderValue>,
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(host) = self.host.take() {
            return Some(("Host", host.as_bytes()));
        }
        if let Some(host) = self.hosts.next() {
            return Some(("Host", host.as_bytes()));
        }
        const ELSEWHERE: [HeaderName; 3] =
            [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        let (name, value) = self.others.find(|(name, _)| !ELSEWHERE.contains(name))?;
        Some((name.as_str(), value.as_bytes()))
    }
}
