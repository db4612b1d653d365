//! A runtime whose resolver knows the names of a test.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewire_runtime::{BoxFuture, BoxStream, ListenOptions, Runtime, SendRuntime, SocketOptions};

/// `R`, with names of its own: it is asked for no others.
#[derive(Clone, Debug)]
pub struct Names<R> {
    runtime: R,
    names: Arc<BTreeMap<&'static str, Vec<SocketAddr>>>,
}

impl<R> Names<R> {
    /// These names have these addresses, with ports and all. Every other name has none.
    pub fn new<const N: usize>(runtime: R, names: [(&'static str, Vec<SocketAddr>); N]) -> Self {
        Self { runtime, names: Arc::new(names.into()) }
    }
}

impl<R: SendRuntime> Runtime for Names<R> {
    type Stream = R::Stream;
    type Listener = R::Listener;
    type Timer = R::Timer;
    type Resolve = BoxFuture<io::Result<Vec<SocketAddr>>>;
    type Connect = R::Connect;
    type Accept = R::Accept;

    fn resolve(&self, host: &str, _port: u16) -> Self::Resolve {
        let addresses = self.names.get(host).cloned();
        let none = || io::Error::new(io::ErrorKind::NotFound, "no such name");
        Box::pin(async move { addresses.ok_or_else(none) })
    }

    fn connect(&self, address: SocketAddr, options: &SocketOptions) -> Self::Connect {
        self.runtime.connect(address, options)
    }

    fn connect_unix(&self, path: &Path) -> BoxFuture<io::Result<BoxStream>> {
        self.runtime.connect_unix(path)
    }

    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<Self::Listener> {
        self.runtime.listen(address, options)
    }

    fn accept(&self, listener: &Self::Listener) -> Self::Accept {
        self.runtime.accept(listener)
    }

    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr> {
        self.runtime.local_addr(listener)
    }

    fn set_options(&self, stream: &Self::Stream, options: &SocketOptions) -> io::Result<()> {
        self.runtime.set_options(stream, options)
    }

    fn shutdown_write(&self, stream: &Self::Stream) -> io::Result<()> {
        self.runtime.shutdown_write(stream)
    }

    fn timer(&self) -> Self::Timer {
        self.runtime.timer()
    }
}

/// An address that neither accepts nor refuses: a socket that listens, and whose queue is full.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// A black hole at a free port of `ip`.
    ///
    /// # Panics
    /// If the operating system takes every connection there is.
    #[must_use]
    pub fn at(ip: std::net::IpAddr) -> Self {
        let mut options = ListenOptions::default();
        options.backlog = 1;
        let listener = options.listen((ip, 0).into()).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut queue = Vec::new();
        for _ in 0..64 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Self { address, _listener: listener, _queue: queue };
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the queue has no end");
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}
