//! How connections are made.

use crate::runtime::Runtime;
use crate::socket::{Keepalive, SocketOptions};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How a client makes its connections. Every client takes one, or a bare runtime, which is a connector
/// with the defaults.
///
/// ```
/// # use std::time::Duration;
/// # use tidewire_runtime::{Client, Connector, Error, Keepalive, Runtime, ws::{ClientConfig, handshake::Request}};
/// # fn example<R: Runtime>(runtime: R) -> Result<(), Error> {
/// let keepalive = Keepalive { after: Duration::from_secs(60), interval: None, retries: None };
/// let connector = Connector::new(runtime).keepalive(keepalive).bind([127, 0, 0, 2].into());
/// let request = Request::new("ws://127.0.0.1:1234")?;
/// let client = Client::new(connector, request, ClientConfig::default())?;
/// # drop(client);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Connector<R> {
    pub(crate) runtime: R,
    pub(crate) options: Arc<Options>,
}

/// What a [`Connector`] knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) socket: SocketOptions,
    pub(crate) unix: Option<PathBuf>,
}

impl<R: Runtime> Connector<R> {
    /// A connector with the defaults.
    pub fn new(runtime: R) -> Self {
        Self { runtime, options: Arc::default() }
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`), as they are by default.
    #[must_use]
    pub fn nodelay(self, nodelay: bool) -> Self {
        self.with(|options| options.socket.nodelay = nodelay)
    }

    /// Lets the operating system ask silent peers whether they are there. By default it does not.
    #[must_use]
    pub fn keepalive(self, keepalive: Keepalive) -> Self {
        self.with(|options| options.socket.keepalive = Some(keepalive))
    }

    /// The local address of all connections, on any port. Addresses of the other family cannot be
    /// reached then.
    #[must_use]
    pub fn bind(self, local: IpAddr) -> Self {
        self.with(|options| options.socket.bind = Some(local))
    }

    /// Connects to the Unix socket at `path`, whatever host and port a URL names: they go into the
    /// request as always.
    #[must_use]
    pub fn unix(self, path: impl Into<PathBuf>) -> Self {
        self.with(|options| options.unix = Some(path.into()))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }
}

impl<R: Runtime> From<R> for Connector<R> {
    fn from(runtime: R) -> Self {
        Self::new(runtime)
    }
}
