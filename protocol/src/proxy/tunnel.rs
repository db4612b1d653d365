//! A tunnel in the making, whatever the proxy speaks.

use super::http_connect::HttpConnect;
use super::socks5::{MalformedReply, Reply, Socks5};
use super::{Proxy, Scheme};
#[cfg(doc)]
use crate::Machine;
use crate::http::{self, OwnedResponseHead, ResponseHead, Status};
use crate::url::{Authority, Url};
use crate::{Instant, RecvBuf, SendBuf, Transport};
use alloc::boxed::Box;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// Where a tunnel leads.
///
/// ```
/// use tidewire::proxy::Destination;
///
/// assert_eq!(Destination::new("example.com", 443).to_string(), "example.com:443");
/// let address = Destination::new("::1", 80);
/// assert_eq!(address, Destination::Address("[::1]:80".parse()?));
/// assert_eq!(address.to_string(), "[::1]:80");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination<'a> {
    /// A name, which the proxy looks up, and a port.
    Name(&'a str, u16),
    /// An address, which needs no looking up.
    Address(SocketAddr),
}

impl<'a> Destination<'a> {
    /// `host` is a name or an address, the latter without brackets.
    #[must_use]
    pub fn new(host: &'a str, port: u16) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Self::Address((address, port).into()),
            Err(_) => Self::Name(host, port),
        }
    }

    /// Where `url` leads.
    #[must_use]
    pub fn of(url: &'a Url) -> Self {
        Self::new(url.host(), url.port())
    }
}

/// `host:port`, as a CONNECT names it (RFC 9112, 3.2.3).
impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(host, port) => Authority { host, port: Some(*port) }.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// How the making of a tunnel ended. One, and the last.
#[derive(Clone, Debug)]
pub enum TunnelEvent<'a> {
    /// The transport leads to the destination. When this event was released by the next
    /// [`advance`](Tunnel::advance), what is left in [`RecvBuf::raw`] came through the tunnel.
    Open {
        /// The answer of an HTTP proxy.
        head: Option<ResponseHead<'a>>,
    },
    /// There is no tunnel.
    Refused {
        /// Why.
        why: Refusal,
        /// The answer of an HTTP proxy, if there was one. What a `407` asks for is in its
        /// `Proxy-Authenticate`.
        head: Option<OwnedResponseHead>,
        /// How the answer's body begins, 4 KiB at the most.
        body: &'a [u8],
    },
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The proxy wants to know who asks, and was not told: `407` (RFC 9110, 15.5.8), or a SOCKS5 proxy
    /// that takes nobody without (RFC 1928, 3).
    #[error("the proxy wants user and password")]
    CredentialsRequired,
    /// The proxy did not take user and password: `407` again, or a status other than 0 (RFC 1929, 2).
    #[error("the proxy did not take user and password")]
    CredentialsRefused,
    /// An HTTP proxy answered with another status outside of 200 to 299 (RFC 9110, 9.3.6).
    #[error("the proxy answered {0}")]
    Status(Status),
    /// A SOCKS5 proxy answered with a reply other than "succeeded" (RFC 1928, 6).
    #[error("the proxy answered: {0}")]
    Reply(Reply),
    /// A SOCKS5 proxy takes none of the methods that were offered: neither nobody, nor user and
    /// password (RFC 1928, 3).
    #[error("the proxy takes no method that was offered (RFC 1928, 3)")]
    NoAcceptableMethod,
    /// The answer is no HTTP.
    #[error("the proxy's answer: {0}")]
    Http(http::ProtocolError),
    /// The answer is no SOCKS5.
    #[error("the proxy's answer: {0}")]
    Malformed(MalformedReply),
    /// The destination cannot be named to the proxy: the name is empty, holds what no name holds, or is
    /// longer than 255 bytes (RFC 1928, 5).
    #[error("the destination cannot be named to the proxy")]
    Destination,
    /// The answer did not come in time.
    #[error("no answer of the proxy in time")]
    Timeout,
    /// The stream ended before the answer did.
    #[error("the stream ended before the proxy's answer")]
    Eof,
}

/// One tunnel in the making, as a [`Machine`] over a transport to the proxy.
///
/// ```
/// use tidewire::proxy::{Destination, Proxy, Tunnel, TunnelEvent};
/// use tidewire::{Instant, RecvBuf, SendBuf};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
/// let proxy = Proxy::parse("http://proxy.example:3128")?;
/// let mut tunnel = Tunnel::new(&proxy, Destination::new("example.com", 443), now, &mut tx);
/// assert_eq!(tx.chunk(), b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
///
/// rx.push(b"HTTP/1.1 200 OK\r\n\r\n");
/// let event = tunnel.poll_event(now, &mut rx, &mut tx);
/// assert!(matches!(event, Some(TunnelEvent::Open { .. })));
/// # Ok::<(), tidewire::proxy::ProxyError>(())
/// ```
///
/// # Where the answer ends
///
/// What follows the answer belongs to whatever is spoken through the tunnel. Whoever cannot hand the
/// receive buffer on reads no more than [`may_read`](Self::may_read) bytes at a time, and finds nothing
/// left in it.
#[derive(Debug)]
pub struct Tunnel(Kind);

#[derive(Debug)]
enum Kind {
    Http(Box<HttpConnect>),
    Socks5(Socks5),
}

/// The same for each kind.
macro_rules! each {
    ($tunnel:expr, $machine:ident => $call:expr) => {
        match $tunnel {
            Kind::Http($machine) => $call,
            Kind::Socks5($machine) => $call,
        }
    };
}

impl Tunnel {
    /// Asks `proxy` for a tunnel. A `socks5` proxy is to be given an address: see
    /// [`Proxy::wants_address`].
    #[must_use]
    pub fn new(
        proxy: &Proxy,
        destination: Destination<'_>,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Self {
        Self(match proxy.scheme {
            Scheme::Http | Scheme::Https => {
                Kind::Http(Box::new(HttpConnect::new(proxy, destination, now, tx)))
            }
            Scheme::Socks5 | Scheme::Socks5h => {
                Kind::Socks5(Socks5::new(proxy, destination, now, tx))
            }
        })
    }

    /// [`advance`](Self::advance), then [`event`](Self::event).
    pub fn poll_event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<TunnelEvent<'a>> {
        if self.advance(now, rx, tx) { self.event(now, rx, tx) } else { None }
    }

    /// See [`Machine::advance`].
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        each!(&mut self.0, machine => machine.advance(now, rx, tx))
    }

    /// See [`Machine::event`].
    pub fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<TunnelEvent<'a>> {
        each!(&mut self.0, machine => machine.event(now, rx, tx))
    }

    /// See [`Machine::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        each!(&self.0, machine => machine.poll_timeout())
    }

    /// See [`Machine::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, _tx: &mut SendBuf) {
        each!(&mut self.0, machine => machine.handle_timeout(now));
    }

    /// See [`Machine::transport`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        each!(&self.0, machine => machine.transport())
    }

    /// How many bytes are the proxy's for certain, beyond those in `rx`: a read of no more takes none
    /// that came through the tunnel. None once the tunnel is open.
    #[must_use]
    pub fn may_read(&self, rx: &RecvBuf) -> usize {
        each!(&self.0, machine => machine.may_read(rx))
    }
}

crate::machine::machine!(Tunnel, TunnelEvent);
