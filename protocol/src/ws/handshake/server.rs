//! The server's side (RFC 6455, 4.2): a pure function over a request's head.

use super::extensions::{self, Extensions};
use super::request::check_field;
use super::{AcceptKey, Negotiated, Origins, RequestError, accept_key, is_key};
use crate::http::chars::is_token;
use crate::http::{RequestHead, Status, Version};
use alloc::string::String;

/// What a server speaks, with whom, and what it adds to its answers.
///
/// ```
/// use tidewire::ws::handshake::{Origins, Preference, ServerOptions};
///
/// const OPTIONS: ServerOptions<'static> = ServerOptions {
///     subprotocols: &["chat.v2", "chat"],
///     preference: Preference::Server,
///     origins: Origins::SameHost,
///     fields: &[("X-Served-By", "a")],
///     ..ServerOptions::new()
/// };
/// # assert!(OPTIONS.subprotocols.len() == 2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerOptions<'a> {
    /// The subprotocols that it speaks (RFC 6455, 1.9). If the client offers none of them, none is
    /// chosen.
    ///
    /// To choose in another way, look at the offers,
    /// `head.headers.list("Sec-WebSocket-Protocol")`, and give the one that is to be spoken.
    pub subprotocols: &'a [&'a str],
    /// Which of several subprotocols in common is chosen.
    pub preference: Preference,
    /// From which web pages it takes connections. From all by default.
    pub origins: Origins<'a>,
    /// Fields that are added to the answer, such as `Set-Cookie`.
    pub fields: &'a [(&'a str, &'a str)],
    /// Accepts offers of permessage-deflate (RFC 7692). `None`, the default, declines them.
    #[cfg(feature = "deflate")]
    pub deflate: Option<crate::ws::DeflateConfig>,
}

/// Whose order of subprotocols counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preference {
    /// The client's: it names those that it wants most first (RFC 6455, 4.1, item 10).
    #[default]
    Client,
    /// The server's, that of [`ServerOptions::subprotocols`].
    Server,
}

impl ServerOptions<'_> {
    /// The default, for constants.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            subprotocols: &[],
            preference: Preference::Client,
            origins: Origins::Any,
            fields: &[],
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    const fn extensions(&self) -> Extensions {
        Extensions {
            #[cfg(feature = "deflate")]
            deflate: self.deflate,
            #[cfg(not(feature = "deflate"))]
            deflate: None,
        }
    }
}

/// A request that can be accepted: hand [`fields`](Self::fields) to
/// [`http::Server::upgrade`](crate::http::Server::upgrade), and when that machine has no event left,
/// [`negotiated`](Self::negotiated) to [`Connection::server`](crate::ws::Connection::server).
#[derive(Clone, Debug)]
pub struct Acceptance<'a> {
    key: AcceptKey,
    subprotocol: Option<&'a str>,
    /// The answer to what was offered; empty if there is none.
    extensions: String,
    /// The server's own.
    more: &'a [(&'a str, &'a str)],
    negotiated: Negotiated,
}

/// Why a request is no opening handshake that can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The method is not GET.
    #[error("the method is not GET (RFC 6455, 4.2.1)")]
    Method,
    /// The version of HTTP is below 1.1.
    #[error("the version of HTTP is below 1.1 (RFC 6455, 4.2.1)")]
    HttpVersion,
    /// `Host` is missing, there twice, or names no host.
    #[error("no Host (RFC 6455, 4.2.1)")]
    Host,
    /// The request does not say `Upgrade: websocket`.
    #[error("no Upgrade to websocket (RFC 6455, 4.2.1)")]
    Upgrade,
    /// The request does not say `Connection: Upgrade`.
    #[error("no Upgrade among the Connection options (RFC 6455, 4.2.1)")]
    Connection,
    /// `Sec-WebSocket-Version` is missing, there twice, or not 13.
    #[error("the version of WebSocket is not 13 (RFC 6455, 4.2.2)")]
    Version,
    /// `Sec-WebSocket-Key` is missing, there twice, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key is not 16 bytes in base64 (RFC 6455, 4.2.1)")]
    Key,
    /// There is a body, which would stand where the first frame should.
    #[error("a request with a body (RFC 9110, 7.8)")]
    Body,
    /// `Sec-WebSocket-Protocol` is no list of tokens.
    #[error("Sec-WebSocket-Protocol is malformed (RFC 6455, 4.3)")]
    Subprotocol,
    /// `Sec-WebSocket-Extensions` is no list of extensions.
    #[error("Sec-WebSocket-Extensions is malformed (RFC 6455, 9.1)")]
    Extension,
    /// The web page may not connect: see [`ServerOptions::origins`].
    #[error("a page of this origin may not connect (RFC 6455, 10.2)")]
    Origin,
    /// Not the client's fault: the field of this number in [`ServerOptions::fields`] cannot be sent.
    #[error("field {0} of the options cannot be sent: {1}")]
    Field(usize, RequestError),
}

impl Rejection {
    /// The status to answer with: 426 for another version, 403 for an origin, 500 for what is not the
    /// client's fault, else 400. A request may be answered otherwise just as well.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Version => Status::UPGRADE_REQUIRED,
            Self::Origin => Status::FORBIDDEN,
            Self::Field(..) => Status::INTERNAL_SERVER_ERROR,
            _ => Status::BAD_REQUEST,
        }
    }

    /// The fields to answer with: with 426 the version and the protocol that are spoken here
    /// (RFC 6455, 4.4; RFC 9110, 15.5.22), else none.
    #[must_use]
    pub const fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Version => &[
                ("Sec-WebSocket-Version", "13"),
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
            ],
            _ => &[],
        }
    }
}

/// Judges a request.
///
/// ```
/// use tidewire::http::{Server, ServerConfig, ServerEvent};
/// use tidewire::ws::{Config, Connection, Event, handshake};
/// use tidewire::{Instant, RecvBuf, SendBuf};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
/// rx.push(b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
///     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x80\0\0\0\0");
///
/// let mut http = Server::new(ServerConfig::default(), now);
/// let mut accepted = None;
/// while let Some(event) = http.poll_event(now, &mut rx, &mut tx) {
///     if let ServerEvent::Request(head) = event {
///         match handshake::accept(&head, &handshake::ServerOptions::default()) {
///             Ok(acceptance) => {
///                 http.upgrade(acceptance.fields(), &mut tx)?;
///                 accepted = Some(acceptance.negotiated());
///             }
///             Err(rejection) => panic!("{rejection}"),
///         }
///     }
/// }
/// let mut conn = Connection::server(Config::default(), accepted.unwrap(), now);
/// assert_eq!(conn.poll_event(now, &mut rx, &mut tx), Some(Event::Text("")));
/// # Ok::<(), tidewire::http::Misuse>(())
/// ```
///
/// # Errors
/// [`Rejection`], which knows the answer to give.
pub fn accept<'a>(
    head: &RequestHead<'_>,
    options: &ServerOptions<'a>,
) -> Result<Acceptance<'a>, Rejection> {
    let headers = head.headers;
    let single = |name| {
        let mut values = headers.get_all(name);
        values.next().filter(|_| values.next().is_none())
    };
    if head.method != "GET" {
        return Err(Rejection::Method);
    }
    if head.version < Version::Http11 {
        return Err(Rejection::HttpVersion);
    }
    if single("Host").is_none() || head.authority().is_none() {
        return Err(Rejection::Host);
    }
    if !headers.contains_token("Upgrade", "websocket") {
        return Err(Rejection::Upgrade);
    }
    if !headers.contains_token("Connection", "Upgrade") {
        return Err(Rejection::Connection);
    }
    if single("Sec-WebSocket-Version") != Some(b"13") {
        return Err(Rejection::Version);
    }
    let key = single("Sec-WebSocket-Key").filter(|key| is_key(key)).ok_or(Rejection::Key)?;
    let is_zero = |length: &[u8]| length.iter().all(|&digit| digit == b'0');
    if headers.get("Transfer-Encoding").is_some() || !headers.list("Content-Length").all(is_zero) {
        return Err(Rejection::Body);
    }
    let mut offers = headers.list("Sec-WebSocket-Protocol");
    if !offers.clone().all(is_token) {
        return Err(Rejection::Subprotocol);
    }
    let (deflate, extensions) = options.extensions().choose(headers).ok_or(Rejection::Extension)?;
    if !options.origins.allow(head) {
        return Err(Rejection::Origin);
    }
    for (index, (name, value)) in options.fields.iter().enumerate() {
        check_field(name, value.as_bytes()).map_err(|why| Rejection::Field(index, why))?;
    }
    let mut ours = options.subprotocols.iter();
    let subprotocol = match options.preference {
        Preference::Client => {
            offers.find_map(|offer| ours.clone().position(|name| name.as_bytes() == offer))
        }
        Preference::Server => {
            ours.position(|name| offers.clone().any(|offer| name.as_bytes() == offer))
        }
    };
    Ok(Acceptance {
        key: accept_key(key),
        subprotocol: subprotocol.and_then(|index| options.subprotocols.get(index).copied()),
        extensions,
        more: options.fields,
        negotiated: Negotiated { subprotocol, deflate },
    })
}

impl Acceptance<'_> {
    /// The fields of the answer.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        let ours: [(&str, &[u8]); 3] = [
            ("Connection", b"Upgrade"),
            ("Upgrade", b"websocket"),
            ("Sec-WebSocket-Accept", &self.key),
        ];
        let subprotocol = self.subprotocol.map(|name| ("Sec-WebSocket-Protocol", name.as_bytes()));
        let extensions = (!self.extensions.is_empty())
            .then_some((extensions::FIELD, self.extensions.as_bytes()));
        let more = self.more.iter().map(|(name, value)| (*name, value.as_bytes()));
        ours.into_iter().chain(subprotocol).chain(extensions).chain(more)
    }

    /// The subprotocol that was chosen.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&str> {
        self.subprotocol
    }

    /// What was agreed on, for the connection.
    #[must_use]
    pub const fn negotiated(&self) -> Negotiated {
        self.negotiated
    }
}
