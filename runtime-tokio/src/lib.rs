//! tidewire on [`tokio`]: its sockets, sleep, threads for what blocks, and tasks. Everything else is in
//! [`tidewire_runtime`].
//!
//! Everything here has to be used within a tokio runtime whose I/O and time are enabled, of one thread
//! or many.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Sleep, sleep_until};

tidewire_runtime::adapter! {
    /// The tokio runtime that the current task runs on.
    pub struct Tokio;
    stream: Compat<TcpStream>;
    listener: TcpListener;
    timer: Timer;
    connect: |socket| async {
        let stream = TcpStream::from_std(socket)?;
        stream.writable().await?;
        io::Result::Ok(Compat(stream))
    };
    connect_unix: |path| async { io::Result::Ok(Compat(UnixStream::connect(path).await?)) };
    listen: |socket| TcpListener::from_std(socket);
    listen_unix: |path| UnixListener::bind(path);
    accept: |listener| async {
        let (stream, peer) = listener.accept().await?;
        io::Result::Ok((Compat(stream), peer))
    };
    blocking: |work| async { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? };
    spawn: |future| drop(tokio::spawn(future));
}

#[cfg(feature = "http")]
pub use tidewire_runtime::Body;

/// A stream of tokio's traits as one of `futures-io`'s.
///
/// A connection that hyper or axum has upgraded is one of hyper's traits first:
/// `ByteStream::boxed(Compat(hyper_util::rt::TokioIo::new(upgraded)))` is what `WebSocket::from_stream`
/// takes. The request becomes an `OwnedRequestHead` (feature `http`), which `ws::handshake::accept` judges;
/// it has the fields of the answer, and what was negotiated.
#[derive(Debug)]
pub struct Compat<S>(pub S);

impl<S: tokio::io::AsyncRead + Unpin> futures_io::AsyncRead for Compat<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = tokio::io::ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> futures_io::AsyncWrite for Compat<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: std::os::fd::AsFd> std::os::fd::AsFd for Compat<S> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// tokio's sleep, which can be set again, on the heap as soon as it is set.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl tidewire_runtime::Timer for Timer {
    fn set(&mut self, at: std::time::Instant) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(at.into()),
            None => self.0 = Some(Box::pin(sleep_until(at.into()))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}
