//! A connection that has left HTTP.

use crate::byte_stream::ByteStream;
use crate::driver::Driver;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::shutdown::Counted;
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tidewire::{Machine, RecvBuf, SendBuf};

/// A connection that belongs to a protocol of yours, after a CONNECT or an `Upgrade`: see
/// [`Exchange::upgrade`](crate::Exchange::upgrade) and
/// [`HttpResponse::upgrade`](crate::HttpResponse::upgrade).
///
/// Reading first gives what the peer has sent behind its head, then what the socket has. Deadlines,
/// limits and the end of the connection are that protocol's business from now on: this is the
/// runtime's stream with a few bytes before it. Closing it ends the sending side. On a server it is
/// counted as a connection for as long as it lives.
pub struct Upgraded<R: Runtime> {
    stream: ByteStream<R>,
    runtime: R,
    received: RecvBuf,
    /// The end of a request whose answer came before all of it was written.
    unsent: SendBuf,
    _counted: Option<Counted>,
}

impl<R: Runtime> Upgraded<R> {
    /// Takes the transport of a machine that has said its last word.
    pub(crate) fn new<M: Machine>(
        driver: Driver<R, M>,
        counted: Option<Counted>,
    ) -> Result<Self, Error> {
        let (runtime, stream, received, unsent) = driver.into_transport();
        let stream = stream.ok_or(Error::Closed)?;
        Ok(Self { stream, runtime, received, unsent, _counted: counted })
    }

    /// Ready once nothing is left to write of HTTP.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, self.unsent.chunk()))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.consume(n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Runtime> AsyncRead for Upgraded<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Who only reads sends the rest as well; what fails here fails the next write too.
        let _ = this.poll_unsent(cx);
        let received = this.received.raw();
        let n = received.len().min(buf.len());
        if received.is_empty() && !this.received.is_finished() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        buf[..n].copy_from_slice(&received[..n]);
        this.received.skip(n);
        if this.received.is_empty() {
            this.received.shrink();
        }
        Poll::Ready(Ok(n))
    }
}

impl<R: Runtime> AsyncWrite for Upgraded<R> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_unsent(cx))?;
        let closed = Pin::new(&mut this.stream).poll_close(cx);
        if let Poll::Ready(Ok(())) = closed {
            this.stream.shutdown_write(&this.runtime);
        }
        closed
    }
}

impl<R: Runtime> std::fmt::Debug for Upgraded<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgraded")
            .field("received", &self.received.raw().len())
            .finish_non_exhaustive()
    }
}
