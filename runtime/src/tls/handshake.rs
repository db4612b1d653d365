//! A handshake that has to be over in time.

use super::{Accepting, Connecting, TlsConfig, TlsServerConfig};
use crate::byte_stream::ByteStream;
use crate::runtime::{Runtime, Timer, after};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{future::Future, task::ready};

/// A TLS handshake of either side, with its deadline. Dropping it gives it up.
pub(crate) struct Handshake<R: Runtime> {
    side: Side<R>,
    timer: R::Timer,
}

enum Side<R: Runtime> {
    Client(Connecting<ByteStream<R>>),
    Server(Box<Accepting<ByteStream<R>>>),
}

impl<R: Runtime> Handshake<R> {
    /// That of a client with `host`.
    pub(crate) fn client(runtime: &R, tls: &TlsConfig, host: &str, stream: ByteStream<R>) -> Self {
        Self::new(runtime, tls.timeout(), Side::Client(tls.connect(host, stream)))
    }

    /// That of a server.
    pub(crate) fn server(runtime: &R, tls: &TlsServerConfig, stream: ByteStream<R>) -> Self {
        Self::new(runtime, tls.timeout(), Side::Server(Box::new(tls.accept(stream))))
    }

    fn new(runtime: &R, timeout: Duration, side: Side<R>) -> Self {
        let mut timer = runtime.timer();
        timer.set(after(timeout));
        Self { side, timer }
    }

    /// Ready with the protected stream. The error is [`io::ErrorKind::TimedOut`], by that kind and
    /// without more words, if it took too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ByteStream<R>>> {
        let polled = match &mut self.side {
            Side::Client(handshake) => Pin::new(handshake).poll(cx),
            Side::Server(handshake) => Pin::new(handshake).poll(cx),
        };
        if let Poll::Ready(made) = polled {
            return Poll::Ready(made.map(ByteStream::tls));
        }
        ready!(self.timer.poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
