//! Which web pages may connect (RFC 6455, 10.2).

use crate::http::RequestHead;
use crate::url::Url;
use core::fmt;

/// From which web pages a server takes connections (RFC 6455, 10.2).
///
/// Any page may make its visitor's browser connect to any server, with the cookies that the browser
/// has for that server; the browser adds the page's `Origin`. A server that knows its users by
/// cookies, or by where they are, must look at it. What is no browser sends no `Origin` or whatever it
/// likes, so this keeps nobody else out.
///
/// ```
/// use tidewire::http::{OwnedRequestHead, Version};
/// use tidewire::ws::handshake::{Origins, Rejection, ServerOptions, accept};
///
/// let from = |origin: &str| OwnedRequestHead::new("GET", "/", Version::Http11, [
///     ("Host", "chat.example.com"),
///     ("Connection", "Upgrade"),
///     ("Upgrade", "websocket"),
///     ("Sec-WebSocket-Version", "13"),
///     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Origin", origin),
/// ]);
/// let (ours, other) = (from("https://example.com")?, from("https://example.org")?);
///
/// let origins = Origins::List(&["https://example.com"]);
/// let options = ServerOptions { origins, ..ServerOptions::default() };
/// assert!(accept(&ours.as_head(), &options).is_ok());
/// assert_eq!(accept(&other.as_head(), &options).unwrap_err(), Rejection::Origin);
///
/// let of_ours = |origin: &str| origin == "https://example.com" || origin.ends_with(".example.com");
/// let check = |head: &tidewire::http::RequestHead<'_>| {
///     head.headers.get_str("Origin").is_some_and(of_ours)
/// };
/// let options = ServerOptions { origins: Origins::Check(&check), ..ServerOptions::default() };
/// assert!(accept(&ours.as_head(), &options).is_ok());
/// assert_eq!(accept(&other.as_head(), &options).unwrap_err().status().code(), 403);
/// # Ok::<(), tidewire::http::Misuse>(())
/// ```
#[derive(Clone, Copy, Default)]
pub enum Origins<'a> {
    /// From all.
    #[default]
    Any,
    /// From those of the host and port that the request is for, with or without TLS. A request without
    /// `Origin` comes from no page, and is taken.
    SameHost,
    /// From those of these origins, in any case. They are written as browsers write them,
    /// `https://example.com`, with a port only if it is not the scheme's own (RFC 6454, 6.2); `null`
    /// is what a page without an origin has. A request without `Origin` is taken.
    List(&'a [&'a str]),
    /// From those for which the function says so, of all requests.
    Check(&'a (dyn Fn(&RequestHead<'_>) -> bool + Sync)),
}

impl Origins<'_> {
    pub(super) fn allow(self, head: &RequestHead<'_>) -> bool {
        let is_allowed = |origin: &[u8]| match self {
            Self::SameHost => is_of_host(origin, head).unwrap_or(false),
            Self::List(list) => {
                list.iter().any(|ours| origin.eq_ignore_ascii_case(ours.as_bytes()))
            }
            Self::Any | Self::Check(_) => true,
        };
        match self {
            Self::Any => true,
            Self::Check(check) => check(head),
            Self::SameHost | Self::List(_) => {
                let mut origins = head.headers.get_all("Origin");
                origins.next().is_none_or(is_allowed) && origins.next().is_none()
            }
        }
    }
}

/// Whether the page is of the host and port that the request is for.
fn is_of_host(origin: &[u8], head: &RequestHead<'_>) -> Option<bool> {
    let page = Url::parse(core::str::from_utf8(origin).ok()?).ok()?;
    let asked = page.join(&alloc::format!("//{}", head.authority()?)).ok()?;
    Some((page.host(), page.port()) == (asked.host(), asked.port()))
}

impl fmt::Debug for Origins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::SameHost => f.write_str("SameHost"),
            Self::List(list) => f.debug_tuple("List").field(list).finish(),
            Self::Check(_) => f.write_str("Check(..)"),
        }
    }
}
