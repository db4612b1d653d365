//! What goes wrong with peers and sockets.

use crate::net::RawPeer;
use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidewire_runtime::{BoxFuture, ListenOptions, Runtime, SendRuntime, SocketOptions};

impl RawPeer {
    /// Resets the connection, whether or not everything was read. What was sent before is delivered
    /// first where it has arrived already, which over loopback it has.
    ///
    /// # Panics
    /// If the operating system does not know the option.
    pub fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
}

/// A runtime whose sockets give and take one byte at a time, and nothing in every other poll.
#[derive(Clone)]
pub struct Drip<R>(pub R);

/// A socket of [`Drip`].
pub struct DripStream<S> {
    socket: S,
    /// Whether the next poll of the reading side, and of the writing side, gets nothing.
    dry: [bool; 2],
}

impl<S> DripStream<S> {
    const fn new(socket: S) -> Self {
        Self { socket, dry: [true; 2] }
    }

    fn poll_drop(&mut self, side: usize, cx: &Context<'_>) -> Poll<()> {
        self.dry[side] = !self.dry[side];
        if self.dry[side] {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DripStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drop(0, cx));
        let one = buf.len().min(1);
        Pin::new(&mut self.socket).poll_read(cx, &mut buf[..one])
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for DripStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drop(1, cx));
        Pin::new(&mut self.socket).poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drop(1, cx));
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

impl<R: SendRuntime> Runtime for Drip<R> {
    type Stream = DripStream<R::Stream>;
    type Listener = R::Listener;
    type Timer = R::Timer;
    type Resolve = R::Resolve;
    type Connect = BoxFuture<io::Result<Self::Stream>>;
    type Accept = BoxFuture<io::Result<(Self::Stream, SocketAddr)>>;

    fn resolve(&self, host: &str, port: u16) -> R::Resolve {
        self.0.resolve(host, port)
    }

    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> Self::Connect {
        let connect = self.0.connect(address, options);
        Box::pin(async { Ok(DripStream::new(connect.await?)) })
    }

    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<R::Listener> {
        self.0.listen(address, options)
    }

    fn accept(&self, listener: &R::Listener) -> Self::Accept {
        let accept = self.0.accept(listener);
        Box::pin(async {
            let (socket, peer) = accept.await?;
            Ok((DripStream::new(socket), peer))
        })
    }

    fn local_addr(&self, listener: &R::Listener) -> io::Result<SocketAddr> {
        self.0.local_addr(listener)
    }

    fn set_options(&self, stream: &Self::Stream, options: &SocketOptions) -> io::Result<()> {
        self.0.set_options(&stream.socket, options)
    }

    fn shutdown_write(&self, stream: &Self::Stream) -> io::Result<()> {
        self.0.shutdown_write(&stream.socket)
    }

    fn timer(&self) -> R::Timer {
        self.0.timer()
    }
}

impl<R: SendRuntime> SendRuntime for Drip<R> {
    fn spawn_send(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn_send(future);
    }
}
