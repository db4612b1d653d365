//! Tests through real sockets: one body for all runtimes, and peers made of raw bytes.

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use tidewire_runtime::{
    Exchange, HandlerError, SendRuntime, Server, ServerConfig, ServerHandle, Timer,
};

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a test of each of these functions for each runtime: `smol::name`, `async_std::name`,
/// `tokio::name`.
#[macro_export]
macro_rules! on_every_runtime {
    ($($(#[$attribute:meta])* $test:ident),* $(,)?) => {
        mod smol {
            $($(#[$attribute])* #[test] fn $test() {
                let runtime = $crate::net::Smol;
                ::smol::block_on($crate::net::in_time(runtime, super::$test(runtime)));
            })*
        }
        mod async_std {
            $($(#[$attribute])* #[test] fn $test() {
                let runtime = $crate::net::AsyncStd;
                ::async_std::task::block_on($crate::net::in_time(runtime, super::$test(runtime)));
            })*
        }
        mod tokio {
            $($(#[$attribute])* #[test] fn $test() {
                let tokio = ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                let runtime = $crate::net::Tokio;
                tokio.expect("tokio").block_on($crate::net::in_time(runtime, super::$test(runtime)));
            })*
        }
    };
}

pub use tidewire_async_std::AsyncStd;
pub use tidewire_smol::Smol;
pub use tidewire_tokio::Tokio;

/// The value of `future`.
///
/// # Panics
/// If it takes longer than [`PATIENCE`].
pub async fn in_time<R: SendRuntime, T>(runtime: R, future: impl Future<Output = T>) -> T {
    let mut timer = runtime.timer();
    timer.set(Instant::now() + PATIENCE);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => {
            assert!(timer.poll(cx).is_pending(), "the test took longer than {PATIENCE:?}");
            Poll::Pending
        }
    })
    .await
}

/// Waits.
pub async fn sleep<R: SendRuntime>(runtime: &R, duration: Duration) {
    let mut timer = runtime.timer();
    timer.set(Instant::now() + duration);
    poll_fn(|cx| timer.poll(cx)).await;
}

/// Starts a server on a free port.
///
/// # Panics
/// If the operating system has no port.
pub async fn serve<R, H, F>(runtime: &R, handler: H) -> (SocketAddr, ServerHandle)
where
    R: SendRuntime,
    H: Fn(Exchange<R>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    serve_with(runtime, plain(), handler).await
}

/// Default limits, and responses that are the same at any time: without `Date` and `Server`.
#[must_use]
pub fn plain() -> ServerConfig {
    ServerConfig { server: None, date: false, ..ServerConfig::default() }
}

/// As [`serve`], with limits.
///
/// # Panics
/// If the operating system has no port.
pub async fn serve_with<R, H, F>(
    runtime: &R,
    config: ServerConfig,
    handler: H,
) -> (SocketAddr, ServerHandle)
where
    R: SendRuntime,
    H: Fn(Exchange<R>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind_with(runtime.clone(), any, config).await.expect("a free port");
    let (address, handle) = (server.local_addr().expect("an address"), server.handle());
    runtime.spawn_send(async move {
        server.serve(handler).await.expect("serving does not fail");
    });
    (address, handle)
}

/// A peer of raw bytes over a blocking socket with deadlines, to be used off the runtime's threads:
/// see [`on_thread`].
#[derive(Debug)]
pub struct RawPeer(pub TcpStream);

impl RawPeer {
    /// Connects to a server.
    ///
    /// # Panics
    /// If it can't.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect_timeout(&address, PATIENCE).expect("connected"))
    }

    /// Accepts a client.
    ///
    /// # Panics
    /// If none comes.
    #[must_use]
    pub fn accept(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).expect("nonblocking");
        let until = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("blocking");
                    return Self::new(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < until, "nobody connected");
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("accept: {error}"),
            }
        }
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self(stream)
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// If the peer is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the peer reads");
    }

    /// Reads until what was read ends with `end`.
    ///
    /// # Panics
    /// If the stream ends before.
    pub fn read_until(&mut self, end: impl AsRef<[u8]>) -> Vec<u8> {
        let (end, mut read) = (end.as_ref(), Vec::new());
        while !read.ends_with(end) {
            read.extend(self.read_exact(1));
        }
        read
    }

    /// Reads a head, as text.
    ///
    /// # Panics
    /// If the stream ends before.
    pub fn read_head(&mut self) -> String {
        String::from_utf8(self.read_until(b"\r\n\r\n")).expect("heads of the tests are text")
    }

    /// Reads `n` bytes.
    ///
    /// # Panics
    /// If the stream ends before.
    pub fn read_exact(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.read_exact(&mut bytes).expect("the peer sends");
        bytes
    }

    /// Whether nothing comes for `duration`, not even the end of the stream.
    ///
    /// # Panics
    /// If the socket is broken.
    #[must_use]
    pub fn is_silent_for(&mut self, duration: Duration) -> bool {
        self.0.set_read_timeout(Some(duration)).expect("a read timeout");
        let peeked = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        matches!(peeked, Err(error) if
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Waits until something has come, and leaves it there.
    ///
    /// # Panics
    /// If the socket is broken.
    pub fn wait_readable(&mut self) {
        self.0.peek(&mut [0]).expect("the peer sends");
    }

    /// Reads to the end of the stream. A reset counts as an end.
    ///
    /// # Panics
    /// If it does not come in time.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no end of the stream: {error}"),
        }
        bytes
    }
}

/// Runs blocking work on a thread of its own and waits for it without blocking the runtime.
///
/// # Panics
/// If the work does.
pub async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    smol::unblock(move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Starts blocking work on a thread of its own, at once. The value is that of the work.
pub fn background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let work = smol::unblock(move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
    async { work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) }
}

/// Waits until `condition` holds, looking every few milliseconds.
pub async fn until<R: SendRuntime>(runtime: &R, mut condition: impl FnMut() -> bool) {
    while !condition() {
        sleep(runtime, Duration::from_millis(2)).await;
    }
}

/// A listener on a free port, and its address.
///
/// # Panics
/// If the operating system has no port.
#[must_use]
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}
