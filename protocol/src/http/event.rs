//! What the machines tell.

#[cfg(doc)]
use super::{Client, Server};
use super::{Closed, Headers, RequestHead, ResponseHead};

/// What a [`Server`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A request has begun. Answer it with [`Server::respond`] or [`Server::upgrade`], now or later.
    Request(RequestHead<'a>),
    /// A piece of its body, never empty.
    Data(&'a [u8]),
    /// Its body is over, or it has none. With the trailers.
    End(Headers<'a>),
    /// The connection has ended. Nothing follows.
    Closed(Closed),
}

/// What a [`Client`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent<'a> {
    /// An interim response (RFC 9110, 15.2): `100 Continue`, `103 Early Hints`. The final one
    /// follows.
    Informational(ResponseHead<'a>),
    /// The body of a request with `Expect: 100-continue` may be sent now: the server said so, or said
    /// nothing for [`continue_timeout`](super::ClientConfig::continue_timeout).
    Continue,
    /// The final response has begun.
    Response(ResponseHead<'a>),
    /// A piece of its body, never empty.
    Data(&'a [u8]),
    /// Its body is over, or it has none. With the trailers.
    End(Headers<'a>),
    /// The connection has ended. Nothing follows.
    Closed(Closed),
}
