//! How connections are made.

use crate::runtime::Runtime;
use crate::socket::{Keepalive, SocketOptions};
use crate::tls::TlsConfig;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tidewire::dial;
use tidewire::proxy::{Environment, EnvironmentError, Proxy};
use tidewire::url::Url;

/// How a client makes its connections. Every client takes one, or a bare runtime, which is a connector
/// with the defaults.
///
/// ```
/// # use std::time::Duration;
/// # use tidewire_runtime::ws::{ClientConfig, handshake::Request};
/// # use tidewire_runtime::{Client, Connector, Error, Keepalive, Runtime};
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
    pub(crate) dial: dial::Config,
    proxy: ProxyChoice,
    tls: Option<TlsConfig>,
    proxy_tls: Option<TlsConfig>,
}

/// Through which proxy, if through one.
#[derive(Clone, Debug, Default)]
enum ProxyChoice {
    #[default]
    None,
    One(Proxy),
    ByEnvironment(Box<Environment>),
}

impl Options {
    /// The proxy for connections to `target`.
    pub(crate) fn proxy_for(&self, target: &Url) -> Result<Option<&Proxy>, EnvironmentError> {
        match &self.proxy {
            ProxyChoice::None => Ok(None),
            ProxyChoice::One(proxy) => Ok(Some(proxy)),
            ProxyChoice::ByEnvironment(environment) => environment.proxy_for(target),
        }
    }

    /// How TLS is spoken. `None` if it cannot be, since the feature is off.
    pub(crate) fn tls(&self) -> Option<TlsConfig> {
        self.tls.clone().or_else(TlsConfig::platform)
    }

    /// The same for a proxy. Who the client is, and what it wants to speak, is the target's to know.
    pub(crate) fn proxy_tls(&self) -> Option<TlsConfig> {
        self.proxy_tls.clone().or_else(|| self.tls().map(|tls| tls.for_proxy()))
    }
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
    /// request as always. If there is a proxy too, it is what listens there.
    #[must_use]
    pub fn unix(self, path: impl Into<PathBuf>) -> Self {
        self.with(|options| options.unix = Some(path.into()))
    }

    /// How the addresses of a host are tried (RFC 8305): IPv6 before IPv4, a quarter of a second apart,
    /// unless this says otherwise. With [`bind`](Self::bind), only those of its family are.
    #[must_use]
    pub fn dial(self, config: dial::Config) -> Self {
        self.with(|options| options.dial = config)
    }

    /// Connects to everything through this proxy. What it refuses is told by
    /// [`Error::proxy`](crate::Error::proxy).
    ///
    /// ```
    /// # use tidewire_runtime::{Connector, Runtime, proxy::{Proxy, ProxyError}};
    /// # fn example<R: Runtime>(runtime: R) -> Result<Connector<R>, ProxyError> {
    /// let proxy = Proxy::parse("http://proxy.example:3128")?.credentials("Aladdin", "open sesame")?;
    /// let connector = Connector::new(runtime).proxy(proxy);
    /// # Ok(connector) }
    /// ```
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        self.with(|options| options.proxy = ProxyChoice::One(proxy))
    }

    /// Connects through the proxies that `environment` picks. To have it read `http_proxy` and its kin as
    /// they are now:
    ///
    /// ```
    /// # use tidewire_runtime::{Connector, Runtime, proxy::Environment};
    /// # fn example<R: Runtime>(runtime: R) -> Connector<R> {
    /// let environment = Environment::new(|name| std::env::var(name).ok());
    /// let connector = Connector::new(runtime).proxy_environment(environment);
    /// # connector }
    /// ```
    #[must_use]
    pub fn proxy_environment(self, environment: Environment) -> Self {
        self.with(|options| options.proxy = ProxyChoice::ByEnvironment(environment.into()))
    }

    /// How TLS is spoken with the hosts of `wss://` and `https://`. By default the platform's root
    /// certificates are trusted. Needs the feature `tls`.
    ///
    /// A proxy of `https://` is trusted on the same grounds, but is shown no certificate of the client's
    /// and offered no application protocol, unless [`proxy_tls`](Self::proxy_tls) says so.
    #[must_use]
    pub fn tls(self, tls: TlsConfig) -> Self {
        self.with(|options| options.tls = Some(tls))
    }

    /// How TLS is spoken with a proxy of `https://`, all of it: nothing is taken from
    /// [`tls`](Self::tls) then. For a proxy that wants a certificate of the client's, say. Needs the
    /// feature `tls`.
    #[must_use]
    pub fn proxy_tls(self, tls: TlsConfig) -> Self {
        self.with(|options| options.proxy_tls = Some(tls))
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
