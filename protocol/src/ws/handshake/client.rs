//! The client's side (RFC 6455, 4.1).

use super::extensions::{self, Extensions};
use super::{AcceptKey, ExtensionError, Negotiated, Request, accept_key, encode_key};
#[cfg(doc)]
use crate::Machine;
use crate::http::{
    self, BodyLength, ClientEvent, OwnedResponseHead, ResponseHead, Status, Version,
};
use crate::seed::Entropy;
use crate::trace::{self, Span};
use crate::{Instant, RecvBuf, Seed, SendBuf, Transport};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// How long the machine waits for the body of a refusal, at the most.
const BODY_WAIT: Duration = Duration::from_secs(2);

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
    http: http::Client,
    config: HandshakeConfig,
    expected: AcceptKey,
    offered: Vec<String>,
    phase: Phase,
    deadline: Option<Instant>,
    span: Span,
}

#[derive(Debug)]
enum Phase {
    /// The answer has not come.
    Asked,
    /// The answer is a refusal whose body has not come.
    Body(Refusal, OwnedResponseHead),
    /// Announced.
    Accepted(Negotiated),
    /// Announced, with the body being at most so much of the content.
    Refused(Refusal, Option<OwnedResponseHead>, usize),
    /// Accepted, and lent.
    Switching,
    /// Accepted, and released: the connection is another machine's.
    Switched,
    /// Refused, and lent.
    Over,
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
        // The deadline is ours, and covers more than a head.
        let http_config = http::ClientConfig {
            limits: config.limits,
            head_timeout: None,
            body_timeout: None,
            ..http::ClientConfig::default()
        };
        let mut http = http::Client::new(http_config, now);
        let phase = match send(request, &key, &config.extensions().offer(), &mut http, now, tx) {
            Ok(()) => Phase::Asked,
            Err(misuse) => Phase::Refused(Refusal::Request(misuse), None, 0),
        };
        Self {
            http,
            config,
            expected: accept_key(&key),
            offered: request.subprotocols().into(),
            phase,
            deadline: config.timeout.map(|timeout| now + timeout),
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
        loop {
            match &mut self.phase {
                Phase::Accepted(_) | Phase::Refused(..) => return true,
                Phase::Switched | Phase::Over => return false,
                Phase::Switching => {
                    // Releases the head.
                    self.http.advance(now, rx, tx);
                    self.phase = Phase::Switched;
                }
                Phase::Asked => {
                    if !self.http.advance(now, rx, tx) {
                        return false;
                    }
                    self.judge(now, rx, tx);
                }
                Phase::Body(..) => {
                    let done = self.http.advance(now, rx, tx);
                    if !done && !rx.is_full() && rx.content().len() < self.config.body_prefix {
                        return false;
                    }
                    self.refuse_with_body(rx.content().len());
                }
            }
        }
    }

    /// See [`Machine::event`].
    pub fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<HandshakeEvent<'a>> {
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Accepted(negotiated) => {
                trace::event!(
                    "tidewire::ws", DEBUG, in self.span,
                    ?negotiated, "handshake accepted"
                );
                self.phase = Phase::Switching;
                match self.http.event(now, rx, tx)? {
                    ClientEvent::Response(head) => {
                        Some(HandshakeEvent::Accepted { head, negotiated })
                    }
                    _ => None,
                }
            }
            Phase::Refused(why, head, body) => {
                trace::event!("tidewire::ws", DEBUG, in self.span, %why, "handshake refused");
                let content = rx.content();
                let body = &content[..body.min(content.len())];
                Some(HandshakeEvent::Refused { why, head, body })
            }
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    /// See [`Machine::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Asked | Phase::Body(..) => self.deadline,
            _ => None,
        }
    }

    /// See [`Machine::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, _tx: &mut SendBuf) {
        if self.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.phase {
            Phase::Asked => self.phase = Phase::Refused(Refusal::Timeout, None, 0),
            // As much of the body as came.
            Phase::Body(..) => self.refuse_with_body(self.config.body_prefix),
            _ => {}
        }
    }

    /// See [`Machine::transport`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Refused(..) | Phase::Over => Transport::Down,
            _ => Transport::Open,
        }
    }

    /// What was agreed on, from when that is announced until it is lent.
    pub(crate) const fn accepted(&self) -> Option<Negotiated> {
        match self.phase {
            Phase::Accepted(negotiated) => Some(negotiated),
            _ => None,
        }
    }

    /// Judges what the HTTP client has announced.
    fn judge(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) {
        let phase = match self.http.peek(rx) {
            Some(ClientEvent::Response(head)) => match self.check(head) {
                Ok(negotiated) => {
                    self.phase = Phase::Accepted(negotiated);
                    return;
                }
                // What follows a 101 is no body.
                Err(why) if self.http.is_upgraded() => {
                    Phase::Refused(why, Some(head.to_owned()), 0)
                }
                Err(why) => {
                    let wait = now + BODY_WAIT;
                    self.deadline = Some(self.deadline.map_or(wait, |at| at.min(wait)));
                    Phase::Body(why, head.to_owned())
                }
            },
            Some(ClientEvent::Closed(why)) => {
                let why = match why {
                    http::Closed::Protocol(error) => Refusal::Http(error),
                    http::Closed::Timeout(_) => Refusal::Timeout,
                    _ => Refusal::Eof,
                };
                Phase::Refused(why, None, 0)
            }
            // An interim response.
            _ => Phase::Asked,
        };
        self.http.event(now, rx, tx);
        if matches!(phase, Phase::Body(..)) {
            self.http.hold_body();
        }
        self.phase = phase;
    }

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
        let deflate = self.config.extensions().check(headers).map_err(Refusal::Extension)?;
        let mut chosen = headers.get_all("Sec-WebSocket-Protocol");
        let subprotocol = match chosen.next() {
            None => None,
            Some(name) => {
                let offered = self.offered.iter().position(|offer| offer.as_bytes() == name);
                Some(offered.ok_or(Refusal::Subprotocol)?)
            }
        };
        if chosen.next().is_some() {
            return Err(Refusal::Subprotocol);
        }
        Ok(Negotiated { subprotocol, deflate })
    }

    fn refuse_with_body(&mut self, len: usize) {
        let len = len.min(self.config.body_prefix);
        self.phase = match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Body(why, head) => Phase::Refused(why, Some(head), len),
            phase => phase,
        };
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
