//! What an async runtime has to bring.

use crate::byte_stream::BoxStream;
use crate::listen::BoxAccept;
use crate::socket::{ListenOptions, SocketOptions};
use futures_io::{AsyncRead, AsyncWrite};
use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A future on the heap that may move between threads, for the associated types of a [`Runtime`].
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Sockets, name resolution and timers of one async runtime.
///
/// An implementation is a handle: empty for runtimes with a global reactor. Nothing here asks for
/// `Send`, so runtimes that stay on one thread can implement it as well; whether a client or server
/// can move between threads follows from the types chosen here.
pub trait Runtime: Clone + Unpin + 'static {
    /// A connected byte stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// A socket that accepts connections.
    type Listener: 'static;
    /// A timer that can be set again and again.
    type Timer: Timer;
    /// See [`resolve`](Self::resolve).
    type Resolve: Future<Output = io::Result<Vec<SocketAddr>>> + Unpin + 'static;
    /// See [`connect`](Self::connect).
    type Connect: Future<Output = io::Result<Self::Stream>> + Unpin + 'static;
    /// See [`accept`](Self::accept).
    type Accept: Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Unpin + 'static;

    /// Looks up the addresses of `host`, without blocking the event loop.
    fn resolve(&self, host: &str, port: u16) -> Self::Resolve;

    /// Opens a connection to `address`. [`SocketOptions::connect`] makes the socket.
    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> Self::Connect;

    /// Opens a connection to the Unix socket at `path`. Fails with [`io::ErrorKind::Unsupported`]
    /// unless the runtime has something better.
    fn connect_unix(&self, path: &Path) -> BoxFuture<io::Result<BoxStream>> {
        let _ = path;
        Box::pin(ready(Err(io::ErrorKind::Unsupported.into())))
    }

    /// Starts to listen on a Unix socket at `path`. Fails with [`io::ErrorKind::Unsupported`] unless the
    /// runtime has something better.
    ///
    /// # Errors
    /// What the operating system says.
    fn listen_unix(&self, path: &Path) -> io::Result<BoxAccept> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Starts to listen on `address`; port 0 means any free one. [`ListenOptions::listen`] makes the
    /// socket.
    ///
    /// # Errors
    /// What the operating system says.
    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<Self::Listener>;

    /// Waits for the next connection.
    fn accept(&self, listener: &Self::Listener) -> Self::Accept;

    /// The address that `listener` listens on.
    ///
    /// # Errors
    /// What the operating system says.
    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Sets the options of a stream that was accepted: [`SocketOptions::apply`].
    ///
    /// # Errors
    /// What the operating system says.
    fn set_options(&self, stream: &Self::Stream, options: &SocketOptions) -> io::Result<()>;

    /// Ends the sending side of `stream`, so that the peer reads an end of the stream. Called after
    /// `poll_close`, which not every runtime's stream understands that way.
    ///
    /// # Errors
    /// What the operating system says.
    fn shutdown_write(&self, stream: &Self::Stream) -> io::Result<()>;

    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;
}

/// A runtime that runs futures of type `F` beside the current one. Only a server needs it, one
/// future for each connection.
///
/// Every [`SendRuntime`] does so for futures that may move between threads. A runtime that stays on
/// one thread implements this trait itself.
pub trait Spawn<F: Future<Output = ()>>: Runtime {
    /// Runs `future` to its end.
    fn spawn(&self, future: F);
}

/// A runtime whose parts may move between threads. Code that is generic over such runtimes needs
/// no bound but this one.
pub trait SendRuntime:
    Runtime<
        Stream: Send,
        Listener: Send + Sync,
        Timer: Send,
        Resolve: Send,
        Connect: Send,
        Accept: Send,
    > + Send
    + Sync
{
    /// Runs `future` to its end, beside the current one.
    fn spawn_send(&self, future: impl Future<Output = ()> + Send + 'static);
}

impl<R: SendRuntime, F: Future<Output = ()> + Send + 'static> Spawn<F> for R {
    fn spawn(&self, future: F) {
        self.spawn_send(future);
    }
}

/// The time `after` from now. What lies beyond the clock's end is thirty years ahead: never, to a
/// timer.
pub(crate) fn after(after: Duration) -> Instant {
    let now = Instant::now();
    let clock = tidewire::Clock::starting_at(now);
    clock.std(tidewire::Instant::from_epoch(after))
}

/// A timer of a [`Runtime`].
pub trait Timer: Unpin + 'static {
    /// Sets the timer to `at`, whatever it was set to before.
    fn set(&mut self, at: Instant);

    /// Ready once the time that was [`set`](Self::set) has come; the task is woken then. Not called
    /// before the first `set`.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
