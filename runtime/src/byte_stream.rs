//! What a connection is made of: a socket of the runtime's, or whatever else carries bytes.

use crate::dial;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::tls::{Handshake, TlsConfig, TlsServerConfig, TlsSession, TlsStream};
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Io for S {}

/// Any byte stream, on the heap.
pub type BoxStream = Box<dyn Io + Send>;

/// A transport: a socket of the runtime `R`, or any other byte stream.
///
/// ```
/// # use tidewire_runtime::{Runtime, ByteStream};
/// # use futures_io::{AsyncRead, AsyncWrite};
/// # fn example<R: Runtime>(
/// #     socket: R::Stream,
/// #     pipe: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
/// # ) {
/// let stream = ByteStream::<R>::new(socket);
/// let stream = ByteStream::<R>::boxed(pipe);
/// # }
/// ```
pub struct ByteStream<R: Runtime>(Kind<R>);

enum Kind<R: Runtime> {
    Own(R::Stream),
    // The lock is never taken: it makes a stream `Sync` that is not, as most are that are on the heap.
    Boxed(Mutex<BoxStream>),
    Tls(Box<TlsStream<ByteStream<R>>>),
}

/// The same call for whatever the stream is.
macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &mut $stream.get_mut().0 {
            Kind::Own(stream) => {
                let $inner = Pin::new(stream);
                $call
            }
            Kind::Boxed(stream) => {
                let $inner = Pin::new(stream.get_mut().unwrap_or_else(PoisonError::into_inner));
                $call
            }
            Kind::Tls(stream) => {
                let $inner = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl<R: Runtime> ByteStream<R> {
    /// A socket of the runtime's.
    pub const fn new(stream: R::Stream) -> Self {
        Self(Kind::Own(stream))
    }

    /// Any byte stream: a pipe, a tunnel, a connection that another library has upgraded.
    ///
    /// Its `poll_close` is to end the sending side, so that the peer reads an end of the stream.
    pub fn boxed(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Kind::Boxed(Mutex::new(Box::new(stream))))
    }

    /// Speaks TLS over this stream, as a client of `host`: for streams that are no connection of a
    /// [`Connector`](crate::Connector)'s.
    ///
    /// # Errors
    /// [`Error::Dial`] with [`DialError::Tls`](crate::DialError::Tls) or
    /// [`DialError::TlsTimeout`](crate::DialError::TlsTimeout); [`Error::tls`] has the reason.
    pub async fn connect_tls(
        self,
        runtime: &R,
        tls: &TlsConfig,
        host: &str,
    ) -> Result<Self, Error> {
        let mut handshake = Handshake::client(runtime, tls, host, self);
        Ok(poll_fn(|cx| handshake.poll(cx)).await.map_err(dial::tls_failure)?)
    }

    /// Speaks TLS over this stream, as a server: for streams that no [`Server`](crate::Server) has
    /// accepted.
    ///
    /// # Errors
    /// As [`connect_tls`](Self::connect_tls).
    pub async fn accept_tls(self, runtime: &R, tls: &TlsServerConfig) -> Result<Self, Error> {
        let mut handshake = Handshake::server(runtime, tls, self);
        Ok(poll_fn(|cx| handshake.poll(cx)).await.map_err(dial::tls_failure)?)
    }

    pub(crate) fn tls(stream: TlsStream<Self>) -> Self {
        Self(Kind::Tls(Box::new(stream)))
    }

    /// What was agreed on, if it is TLS.
    #[must_use]
    pub fn tls_session(&self) -> Option<TlsSession> {
        match &self.0 {
            Kind::Tls(stream) => Some(stream.session()),
            Kind::Own(_) | Kind::Boxed(_) => None,
        }
    }

    /// The runtime's socket, if it is one and nothing else.
    pub const fn as_own(&self) -> Option<&R::Stream> {
        match &self.0 {
            Kind::Own(stream) => Some(stream),
            Kind::Boxed(_) | Kind::Tls(_) => None,
        }
    }

    /// The runtime's socket, if it is one and nothing else.
    ///
    /// # Errors
    /// The stream, if it is another.
    pub fn into_own(self) -> Result<R::Stream, Self> {
        match self.0 {
            Kind::Own(stream) => Ok(stream),
            kind => Err(Self(kind)),
        }
    }

    /// Whether what was written may have to be flushed before it leaves.
    pub(crate) const fn buffers(&self) -> bool {
        !matches!(self.0, Kind::Own(_))
    }

    /// Ends the sending side, after `poll_close`, which not every runtime's socket understands that way.
    pub(crate) fn shutdown_write(&self, runtime: &R) {
        match &self.0 {
            Kind::Own(stream) => {
                // Errors say that the peer is gone already: it has nothing to be told.
                let _ = runtime.shutdown_write(stream);
            }
            Kind::Boxed(_) => {}
            Kind::Tls(stream) => stream.get_ref().shutdown_write(runtime),
        }
    }

    /// How many bytes have left a stream that [`buffers`](Self::buffers), where that is known: more of
    /// them is progress, though it may not have flushed all.
    pub(crate) fn left(&self) -> u64 {
        match &self.0 {
            Kind::Own(_) | Kind::Boxed(_) => 0,
            Kind::Tls(stream) => stream.taken() + stream.get_ref().left(),
        }
    }
}

impl<R: Runtime> AsyncRead for ByteStream<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_read(cx, buf))
    }
}

impl<R: Runtime> AsyncWrite for ByteStream<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_close(cx))
    }
}

impl<R: Runtime> std::fmt::Debug for ByteStream<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Kind::Own(_) => "ByteStream(socket)",
            Kind::Boxed(_) => "ByteStream(boxed)",
            Kind::Tls(_) => "ByteStream(TLS)",
        })
    }
}
