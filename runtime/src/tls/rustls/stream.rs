//! A TLS connection over a stream, and the handshakes that make one.

use super::client::TlsConfig;
use super::roots;
use crate::runtime::BoxFuture;
use crate::tls::{TlsError, TlsSession};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::rustls::{Error, ServerConfig};
use futures_rustls::{Accept, Connect, TlsAcceptor, TlsConnector, TlsStream as Inner};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The handshake of a client. Dropping it gives it up.
///
/// ```text
///   Start --> Handshake --> Over
///    | ^
///    v |
///   Roots, the first time that the platform's are wanted
/// ```
pub(crate) struct Connecting<S> {
    config: TlsConfig,
    host: String,
    stage: Stage<S>,
}

enum Stage<S> {
    Start(S),
    Roots(BoxFuture<()>, S),
    Handshake(Box<Connect<Metered<S>>>),
    Over,
}

/// The handshake of a server. Dropping it gives it up.
pub(crate) struct Accepting<S>(Box<Accept<Metered<S>>>);

/// A stream whose bytes are protected.
///
/// What it was given to write may still be in it: whoever writes has to flush.
pub(crate) struct TlsStream<S> {
    inner: Inner<Metered<S>>,
    is_client: bool,
}

impl<S> Connecting<S> {
    pub(super) fn new(config: TlsConfig, host: &str, stream: S) -> Self {
        Self { config, host: host.to_owned(), stage: Stage::Start(stream) }
    }
}

impl<S> Accepting<S> {
    pub(super) fn new(config: Arc<ServerConfig>, stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Self(Box::new(TlsAcceptor::from(config).accept(Metered::new(stream))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Connecting<S> {
    type Output = io::Result<TlsStream<S>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            // A stage that is to be polled again puts itself back.
            this.stage = match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::Start(stream) if this.config.awaits_roots() => {
                    Stage::Roots(Box::pin(roots::read_aside()), stream)
                }
                Stage::Start(stream) => {
                    let (config, name) = this.config.make(&this.host)?;
                    let connector = TlsConnector::from(config);
                    Stage::Handshake(Box::new(connector.connect(name, Metered::new(stream))))
                }
                Stage::Roots(mut reading, stream) => {
                    if reading.as_mut().poll(cx).is_pending() {
                        this.stage = Stage::Roots(reading, stream);
                        return Poll::Pending;
                    }
                    // If reading failed for whatever reason, it is done here, where that is told.
                    let _ = roots::platform();
                    Stage::Start(stream)
                }
                Stage::Handshake(mut handshake) => {
                    return match Pin::new(&mut handshake).poll(cx) {
                        Poll::Ready(Ok(inner)) => {
                            Poll::Ready(Ok(TlsStream { inner: inner.into(), is_client: true }))
                        }
                        Poll::Ready(Err(error)) => Poll::Ready(Err(explain(error, true))),
                        Poll::Pending => {
                            this.stage = Stage::Handshake(handshake);
                            Poll::Pending
                        }
                    };
                }
                Stage::Over => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Accepting<S> {
    type Output = io::Result<TlsStream<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut *self.0).poll(cx).map(|made| match made {
            Ok(inner) => Ok(TlsStream { inner: inner.into(), is_client: false }),
            Err(error) => Err(explain(error, false)),
        })
    }
}

impl<S> TlsStream<S> {
    /// The stream below.
    pub(crate) fn get_ref(&self) -> &S {
        &self.inner.get_ref().0.stream
    }

    /// How many bytes the stream below has taken. What it takes is progress, though nothing that was
    /// written here may be out as a whole.
    pub(crate) fn taken(&self) -> u64 {
        self.inner.get_ref().0.taken
    }

    /// What was agreed on.
    pub(crate) fn session(&self) -> TlsSession {
        let common = self.inner.get_ref().1;
        let certificates = common.peer_certificates().unwrap_or_default();
        TlsSession {
            version: common.protocol_version().map_or(0, Into::into),
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
            server_name: match &self.inner {
                Inner::Server(server) => server.get_ref().1.server_name().map(str::to_owned),
                Inner::Client(_) => None,
            },
            certificates: certificates.iter().map(|one| one.to_vec()).collect(),
        }
    }

    fn explain<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| explain(error, self.is_client))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        Poll::Ready(self.explain(read))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        Poll::Ready(self.explain(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices));
        Poll::Ready(self.explain(wrote))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.explain(flushed))
    }

    /// Says `close_notify` behind what was written (RFC 8446, 6.1), and closes the stream below. What
    /// the peer still sends can be read.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = ready!(Pin::new(&mut self.inner).poll_close(cx));
        Poll::Ready(self.explain(closed))
    }
}

/// The error in words of ours. Those of the stream below stay as they are.
fn explain(error: io::Error, is_client: bool) -> io::Error {
    let Some(why) = error.get_ref() else {
        return error;
    };
    match why.downcast_ref::<Error>() {
        Some(why) => match TlsError::from(why.clone()) {
            TlsError::Alert(alert) if is_client && alert.is_about_certificate() => {
                TlsError::ClientCertificateRefused(alert)
            }
            why => why,
        }
        .into(),
        // rustls's own words for the end of a stream that was not announced. An end of the stream
        // below is no error there.
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsError::Truncated.into(),
        None => error,
    }
}

/// A stream that counts what it takes.
struct Metered<S> {
    stream: S,
    taken: u64,
}

impl<S> Metered<S> {
    const fn new(stream: S) -> Self {
        Self { stream, taken: 0 }
    }

    fn count(&mut self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = wrote {
            self.taken += n as u64;
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
