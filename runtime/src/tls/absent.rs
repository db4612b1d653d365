//! TLS where the feature `tls` is off: types without values, so that nothing of it is compiled.

use super::TlsSession;
use futures_io::{AsyncRead, AsyncWrite};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How a client speaks TLS. There is none without the feature `tls`.
#[derive(Clone, Debug)]
pub struct TlsConfig(Infallible);

/// How a server speaks TLS. There is none without the feature `tls`.
#[derive(Clone, Debug)]
pub struct TlsServerConfig(Infallible);

/// No handshake.
pub(crate) struct Connecting<S>(Infallible, PhantomData<S>);

/// No handshake.
pub(crate) struct Accepting<S>(Infallible, PhantomData<S>);

/// No stream.
pub(crate) struct TlsStream<S>(Infallible, PhantomData<S>);

impl TlsConfig {
    /// There is none.
    pub(crate) const fn platform() -> Option<Self> {
        None
    }

    pub(crate) const fn for_proxy(&self) -> Self {
        match self.0 {}
    }

    pub(crate) fn connect<S>(&self, _host: &str, _stream: S) -> Connecting<S> {
        match self.0 {}
    }

    pub(crate) const fn timeout(&self) -> Duration {
        match self.0 {}
    }
}

impl TlsServerConfig {
    pub(crate) fn failed(&self, _client: Option<SocketAddr>, _error: &io::Error) {
        match self.0 {}
    }

    pub(crate) fn accept<S>(&self, _stream: S) -> Accepting<S> {
        match self.0 {}
    }

    pub(crate) const fn timeout(&self) -> Duration {
        match self.0 {}
    }
}

impl<S: Unpin> Future for Connecting<S> {
    type Output = io::Result<TlsStream<S>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {}
    }
}

impl<S: Unpin> Future for Accepting<S> {
    type Output = io::Result<TlsStream<S>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {}
    }
}

impl<S> TlsStream<S> {
    pub(crate) const fn get_ref(&self) -> &S {
        match self.0 {}
    }

    pub(crate) const fn taken(&self) -> u64 {
        match self.0 {}
    }

    pub(crate) const fn session(&self) -> TlsSession {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
