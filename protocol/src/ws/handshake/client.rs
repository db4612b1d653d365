//! The client's side (RFC 6455, 4.1).

use super::extensions::{self, Extensions};
use super::{AcceptKey, ExtensionError, Negotiated, Request, accept_key, encode_key};
#[cfg(doc)]
use crate::Machine;
use crate::http::switch::{Answer, Switch, Unanswered};
use crate::http::{self, BodyLength, OwnedResponseHead, ResponseHead, Status, Version};
use crate::seed::Entropy;
use crate::trace::{self, Span};
use crate::{Instant, RecvBuf, Seed, SendBuf, Transport};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Limits of a [`ClientHandshake`], and the extensions that it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeConfig {
    /// Limits on the response.
    pub limits: http::Limits,
    /// How long the handshake may take, from when the transport is up. `None` for ever. 10 s by
    /// default.
    pub timeout: Option<Duration>,
    /// How much of the body of a refusal is reported, in bytes. 4 KiB by default.
    pub body_prefix: usize,
    /// Offers permessage-deflate (RFC 7692). `None`, the default, offers nothing.
    #[cfg(feature = "deflate")]
    pub deflate: Option<crate::ws::DeflateConfig>,
}

impl HandshakeConfig {
    const fn extensions(&self) -> Extensions {
        Extensions {
            #[cfg(feature = "deflate")]
            deflate: self.deflate,
            #[cfg(not(feature = "deflate"))]
            deflate: None,
        }
    }
}

impl Default for HandshakeConfig {
    fn default() -> Self {
        Self {
            limits: http::Limits::default(),
            timeout: Some(Duration::from_secs(10)),
            body_prefix: 4096,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

/// How an opening handshake ended. One, and the last.
#[derive(Clone, Debug)]
pub enum HandshakeEvent<'a> {
    /// The connection is open. When this event was released by the next
    /// [`advance`](ClientHandshake::advance), what is left in [`RecvBuf::raw`] is the
    /// [`Connection`](crate::ws::Connection)'s.
    Accepted {
        /// The server's answer.
        head: ResponseHead<'a>,
        /// What it agreed to.
        negotiated: Negotiated,
    },
    /// There is no connection. What to do about it is the caller's business: see
    /// [`Request::follow`] for redirects, and [the module](super) for more.
    Refused {
        /// Why.
        why: Refusal,
        /// The server's answer, if there was one.
        head: Option<OwnedResponseHead>,
        /// How its body begins.
        body: &'a [u8],
    },
}

/// Why an opening handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The server answered with another status than 101.
    #[error("the server answered {0}")]
    Status(Status),
    /// The version of HTTP in the answer is below 1.1, which knows no 101.
    #[error("the version of HTTP is below 1.1 (RFC 9110, 15.2)")]
    HttpVersion,
    /// The answer does not say `Upgrade: websocket`, and that alone.
    #[error("no Upgrade to websocket in the answer (RFC 6455, 4.1)")]
    Upgrade,
    /// The answer does not say `Connection: Upgrade`.
    #[error("no Upgrade among the Connection options of the answer (RFC 6455, 4.1)")]
    Connection,
    /// `Sec-WebSocket-Accept` is missing, there twice, or not the answer to our key.
    #[error("Sec-WebSocket-Accept does not answer our key (RFC 6455, 4.1)")]
    AcceptKey,
    /// The server chose a subprotocol that was not offered, or more than one.
    #[error("a subprotocol that was not offered (RFC 6455, 4.1)")]
    Subprotocol,
    /// The server chose an extension that was not offered, or with parameters that it must not have.
    #[error("an extension was not answered as it was offered: {0}")]
    Extension(ExtensionError),
    /// The answer did not come in time.
    #[error("no answer in time")]
    Timeout,
    /// The stream ended before the answer did.
    #[error("the stream ended before the answer")]
    Eof,
    /// The answer is no HTTP.
    #[error("{:?} in the answer, at byte {}", .0.kind, .0.offset)]
    Http(http::ProtocolError),
    /// The request cannot be sent.
    #[error(transparent)]
    Request(http::Misuse),
}

/// One opening handshake, as a [`Machine`] over a transport that is up.
///
/// ```
/// use tidewire::ws::handshake::{ClientHandshake, HandshakeConfig, HandshakeEvent, Refusal, Request};
/// use tidewire::{Instant, RecvBuf, Seed, SendBuf};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
/// let request = Request::new("ws://example.com/chat")?;
/// let seed = Seed::new([7; 32]); // from the operating system
/// let config = HandshakeConfig::default();
/// let mut handshake = ClientHandshake::new(&request, config, &seed, now, &mut tx);
/// assert!(tx.chunk().starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
///
/// rx.push(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
/// let Some(HandshakeEvent::Refused { why, body, .. }) =
///     handshake.poll_event(now, &mut rx, &mut tx)
/// else {
///     panic!()
/// };
/// assert_eq!((why.to_string().as_str(), body), ("the server answered 403 Forbidden", &b"no"[..]));
/// # Ok::<(), tidewire::ws::handshake::RequestError>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    switch: Switch<Negotiated, Refusal>,
    offer: Offer,
    span: Span,
}

/// What the answer has to fit.
#[derive(Debug)]
struct Offer {
    expected: AcceptKey,
    extensions: Extensions,
    subprotocols: Vec<String>,
}

impl ClientHandshake {
    /// Queues the request, with a key that no other has. `seed` must not be used twice.
    #[must_use]
    pub fn new(
        request: &Request,
        config: HandshakeConfig,
        seed: &Seed,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Self {
        let key = encode_key(Entropy::new(seed).array());
        let extensions = config.extensions();
        let HandshakeConfig { limits, timeout, body_prefix, .. } = config;
        let ask = |http: &mut http::Client| send(request, &key, &extensions.offer(), http, now, tx);
        Self {
            switch: Switch::new(limits, timeout, body_prefix, now, ask),
            offer: Offer {
                expected: accept_key(&key),
                extensions,
                subprotocols: request.subprotocols().into(),
            },
            span: trace::span!("tidewire::ws", "handshake", url = %trace::Public(request.url())),
        }
    }

    /// [`advance`](Self::advance), then [`event`](Self::event).
    pub fn poll_event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<HandshakeEvent<'a>> {
        if self.advance(now, rx, tx) { self.event(now, rx, tx) } else { None }
    }

    /// See [`Machine::advance`].
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        let offer = &self.offer;
        self.switch.advance(now, rx, tx, |head, _| offer.check(head))
    }

    /// See [`Machine::event`].
    pub fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<HandshakeEvent<'a>> {
        Some(match self.switch.event(now, rx, tx)? {
            Answer::Agreed { head, on: negotiated } => {
                trace::event!(
                    "tidewire::ws", DEBUG, in self.span,
                    ?negotiated, "handshake accepted"
                );
                HandshakeEvent::Accepted { head, negotiated }
            }
            Answer::Refused { why, head, body } => {
                trace::event!("tidewire::ws", DEBUG, in self.span, %why, "handshake refused");
                HandshakeEvent::Refused { why, head, body }
            }
        })
    }

    /// See [`Machine::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.switch.poll_timeout()
    }

    /// See [`Machine::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, _tx: &mut SendBuf) {
        self.switch.handle_timeout(now);
    }

    /// See [`Machine::transport`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.switch.transport()
    }

    /// What was agreed on, from when that is announced until it is lent.
    pub(crate) const fn accepted(&self) -> Option<Negotiated> {
        self.switch.agreed()
    }
}

impl From<Unanswered> for Refusal {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Unasked(misuse) => Self::Request(misuse),
            Unanswered::Http(error) => Self::Http(error),
            Unanswered::Timeout => Self::Timeout,
            Unanswered::Eof => Self::Eof,
        }
    }
}

impl Offer {
    /// Checks the server's answer (4.1, from "Once the client's opening handshake has been sent").
    fn check(&self, head: ResponseHead<'_>) -> Result<Negotiated, Refusal> {
        let headers = head.headers;
        if head.status != Status::SWITCHING_PROTOCOLS {
            return Err(Refusal::Status(head.status));
        }
        if head.version < Version::Http11 {
            return Err(Refusal::HttpVersion);
        }
        // Another protocol besides it would be spoken as well (RFC 9110, 7.8).
        let mut upgrades = headers.get_all("Upgrade");
        let named = upgrades.next().is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"));
        if !named || upgrades.next().is_some() {
            return Err(Refusal::Upgrade);
        }
        if !headers.contains_token("Connection", "Upgrade") {
            return Err(Refusal::Connection);
        }
        let mut accepts = headers.get_all("Sec-WebSocket-Accept");
        if accepts.next() != Some(&self.expected) || accepts.next().is_some() {
            return Err(Refusal::AcceptKey);
        }
        let deflate = self.extensions.check(headers).map_err(Refusal::Extension)?;
        let mut chosen = headers.get_all("Sec-WebSocket-Protocol");
        let subprotocol = match chosen.next() {
            None => None,
            Some(name) => {
                let offered = self.subprotocols.iter().position(|offer| offer.as_bytes() == name);
                Some(offered.ok_or(Refusal::Subprotocol)?)
            }
        };
        if chosen.next().is_some() {
            return Err(Refusal::Subprotocol);
        }
        Ok(Negotiated { subprotocol, deflate })
    }
}

/// Writes the request: the fields of the handshake, then the caller's.
fn send(
    request: &Request,
    key: &[u8],
    extensions: &str,
    http: &mut http::Client,
    now: Instant,
    tx: &mut SendBuf,
) -> Result<(), http::Misuse> {
    let url = request.url();
    let host = url.host_header();
    let host = request
        .fields()
        .find(|(name, _)| name.eq_ignore_ascii_case("Host"))
        .map_or(("Host", host.as_bytes()), |host| host);
    let subprotocols = request.subprotocols().join(", ");
    let offers = [("Sec-WebSocket-Protocol", &subprotocols[..]), (extensions::FIELD, extensions)]
        .into_iter()
        .filter(|(_, offer)| !offer.is_empty())
        .map(|(name, offer)| (name, offer.as_bytes()));
    let authorization = url.authorization().filter(|_| !request.has("Authorization"));
    let authorization = authorization.as_ref().map(|value| ("Authorization", value.as_bytes()));
    let ours: [(&str, &[u8]); 5] = [
        host,
        ("Connection", b"Upgrade"),
        ("Upgrade", b"websocket"),
        ("Sec-WebSocket-Version", b"13"),
        ("Sec-WebSocket-Key", key),
    ];
    let theirs = request.fields().filter(|(name, _)| !name.eq_ignore_ascii_case("Host"));
    let fields = ours.into_iter().chain(offers).chain(authorization).chain(theirs);
    http.request("GET", url.target(), fields, BodyLength::EMPTY, now, tx)
}

crate::machine::machine!(ClientHandshake, HandshakeEvent);
