//! The HTTP server: ordinary responses, event streams and WebSocket upgrades on one port.

use crate::byte_stream::ByteStream;
use crate::connection::{ConnectionTask, caught};
use crate::error::HandlerError;
use crate::exchange::Exchange;
use crate::listen::{Backoff, Incoming, Source, is_of_client};
use crate::runtime::{Runtime, Spawn, Timer, after};
use crate::server_fields::ServerFields;
use crate::shutdown::{Counted, Shutdown, Watch};
use crate::socket::{ListenOptions, SocketOptions};
use crate::stats::ServerStats;
use crate::tls::TlsServerConfig;
use crate::trace;
use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::Duration;
use tidewire::http;

/// How many connections are accepted in a row before other tasks get their turn.
const BUDGET: usize = 64;

/// The limits of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Limits and deadlines of each connection: size of a head, time for a head, idle time, …
    /// A WebSocket has its own from the upgrade on, those of its [`ws::Config`](tidewire::ws::Config).
    pub http: http::ServerConfig,
    /// The most connections at a time; further ones wait in the operating system's queue.
    /// 10,000 by default.
    pub max_connections: usize,
    /// The most connections of one client at a time; further ones are closed as they come, and
    /// counted in [`ServerStats::refused`]. A client is an IPv4 address, or the first 64 bits of an
    /// IPv6 one; connections without an address are not limited. `None`, the default, is no limit:
    /// behind a proxy all clients have one address.
    pub max_connections_per_client: Option<usize>,
    /// How long connections may take to come to their end after a shutdown was asked for. 10 s by
    /// default.
    pub grace: Duration,
    /// The receive buffer of each HTTP connection, in bytes. 64 KiB by default. A WebSocket gets
    /// its own limit at the upgrade.
    pub receive_buffer: usize,
    /// Told of each handler that failed, with the client's address if it has one and what it failed
    /// with, a panic as [`HandlerPanicked`](crate::HandlerPanicked): the place for a log line. That a
    /// client left, broke the rules or took too long, or that the server shuts down, is no failure. A
    /// panic in here harms nobody. Does nothing by default.
    pub on_error: fn(Option<SocketAddr>, &HandlerError),
    /// Told each time that the operating system gives no connection, with what it says, most often
    /// that there are no file descriptors left (`EMFILE`, `ENFILE`), and how long the server waits
    /// before it asks again: 5 ms, and twice as long each time in a row, at most a second. When a
    /// connection ends it asks at once. Does nothing by default.
    pub on_accept_error: fn(&io::Error, Duration),
    /// How many bytes may wait to be written on each connection before sending has to wait.
    /// 1 MiB by default.
    pub send_high_water: usize,
    /// What final responses without a `Server` say there (RFC 9110, 10.2.4). `None` for nothing.
    /// `tidewire` by default.
    pub server: Option<String>,
    /// Whether final responses without a `Date` get one (RFC 9110, 6.6.1), as they must where the
    /// clock is right. `true` by default.
    pub date: bool,
    /// How TLS is spoken. `None`, the default, speaks none. Needs the feature `tls`.
    ///
    /// The handshake is the connection's own business: a client that is slow at it holds nobody else
    /// up, for as long as [`TlsServerConfig::handshake_timeout`] says.
    pub tls: Option<TlsServerConfig>,
    /// Options of the listening socket.
    pub listen: ListenOptions,
    /// Options of each connection; its `bind` means nothing here.
    pub socket: SocketOptions,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            http: http::ServerConfig::default(),
            max_connections: 10_000,
            max_connections_per_client: None,
            grace: Duration::from_secs(10),
            receive_buffer: 64 * 1024,
            on_error: |_, _| {},
            on_accept_error: |_, _| {},
            send_high_water: 1024 * 1024,
            server: Some("tidewire".into()),
            date: true,
            tls: None,
            listen: ListenOptions::default(),
            socket: SocketOptions::default(),
        }
    }
}

/// A listening HTTP server.
///
/// ```no_run
/// # use std::{error::Error, time::Duration};
/// # use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server, http::{self, NO_FIELDS}, sse};
/// async fn on_request<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
///     match exchange.path() {
///         "/" => exchange.respond("ok").await?,
///         "/events" => {
///             let mut events = exchange.event_stream(NO_FIELDS).await?;
///             while events.wait(Duration::from_secs(2)).await.is_ok() {
///                 events.send(&sse::Event::data("hello")).await?;
///             }
///         }
///         _ => exchange.respond_with(http::Status::NOT_FOUND, NO_FIELDS, "nothing here").await?,
///     }
///     Ok(())
/// }
/// # async fn example<R: SendRuntime>(runtime: R) -> Result<(), Box<dyn Error>> {
/// let server = Server::bind(runtime, "127.0.0.1:8080".parse()?).await?;
/// let handle = server.handle(); // `handle.shutdown()` from anywhere ends `serve`
/// # drop(handle);
/// server.serve(on_request).await?;
/// # Ok(()) }
/// ```
pub struct Server<R: Runtime> {
    runtime: R,
    sources: Vec<Source<R>>,
    settings: Arc<Settings>,
    shutdown: Arc<Shutdown>,
}

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: ServerConfig,
    /// What its connections have of that.
    pub(crate) http: Arc<http::ServerConfig>,
    pub(crate) fields: ServerFields,
}

/// Shuts a [`Server`] down from elsewhere.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shutdown: Arc<Shutdown>,
}

impl ServerHandle {
    /// Asks the server to come to its end: it accepts no more connections, closes idle ones at once,
    /// finishes requests in progress, ends event streams, and tells WebSocket peers 1001. Connections
    /// that end behind a response are read from until their peers close too, for two seconds at the
    /// most, lest the response is lost to a reset (RFC 9112, 9.6). What has not ended after
    /// [`ServerConfig::grace`] is dropped, and [`Server::serve`] returns.
    pub fn shutdown(&self) {
        self.shutdown.drain();
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shutdown.connections()
    }

    /// How many connections and requests there were.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.shutdown.counters.stats(self.shutdown.connections())
    }
}

impl<R: Runtime> Server<R> {
    /// Listens on `address`, with default limits. Port 0 means any free one.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn bind(runtime: R, address: SocketAddr) -> io::Result<Self> {
        Self::bind_with(runtime, address, ServerConfig::default()).await
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::InvalidInput`] if
    /// [`ServerConfig::server`] cannot stand in a field.
    pub async fn bind_with(
        runtime: R,
        address: SocketAddr,
        config: ServerConfig,
    ) -> io::Result<Self> {
        Self::new(runtime, config)?.listen(address)
    }

    /// A server that has no connections from anywhere yet: see [`listen`](Self::listen) and
    /// [`accept_from`](Self::accept_from).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if [`ServerConfig::server`] cannot stand in a field.
    pub fn new(runtime: R, config: ServerConfig) -> io::Result<Self> {
        let fields = ServerFields::new(config.server.clone(), config.date)
            .map_err(|misuse| io::Error::new(io::ErrorKind::InvalidInput, misuse))?;
        let settings = Arc::new(Settings { http: Arc::new(config.http), config, fields });
        Ok(Self { runtime, sources: Vec::new(), settings, shutdown: Arc::default() })
    }

    /// Listens on `address` too. Port 0 means any free one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listen(mut self, address: SocketAddr) -> io::Result<Self> {
        let listener = self.runtime.listen(address, &self.settings.config.listen)?;
        self.sources.push(Source::Listener(listener));
        Ok(self)
    }

    /// Listens on a Unix socket at `path` too. Its connections have no address. The file must not be there
    /// yet, and stays when the server has ended.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::Unsupported`] if the runtime cannot.
    pub fn listen_unix(mut self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.sources.push(Source::Unix(Mutex::new(self.runtime.listen_unix(path.as_ref())?)));
        Ok(self)
    }

    /// Takes connections that somebody else accepts too, with the address of each client if it has one:
    /// such that another process hands over, say, or behind a proxy that tells the addresses.
    ///
    /// An error is survived like one of accepting. Once all sources have ended, which listeners never
    /// do, [`serve`](Self::serve) returns behind the last connection.
    #[must_use]
    pub fn accept_from(
        mut self,
        connections: impl Stream<Item = io::Result<(ByteStream<R>, Option<SocketAddr>)>>
        + Send
        + 'static,
    ) -> Self {
        self.sources.push(Source::Connections(Mutex::new(Box::pin(connections))));
        self
    }

    /// Makes this server one with that of `handle`: they are shut down together, and their
    /// connections counted and limited together. So it is done when each core has an executor of its
    /// own, and each executor a server ([`ServerConfig::max_connections`] may then be exceeded by as
    /// many connections as there are servers). Connections stay with the executor that accepted them.
    ///
    /// ```no_run
    /// # use tidewire_runtime::{Runtime, Server, ServerConfig};
    /// # async fn example<R: Runtime>(runtime: R, on_another_core: R) -> std::io::Result<()> {
    /// let mut config = ServerConfig::default();
    /// config.listen.reuse_port = true; // the operating system spreads the connections
    /// let address = "127.0.0.1:8080".parse().expect("an address");
    ///
    /// let first = Server::bind_with(runtime, address, config.clone()).await?;
    /// let handle = first.handle();
    /// // In a thread with an executor of its own:
    /// let next = Server::bind_with(on_another_core, address, config).await?.joined(&handle);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn joined(mut self, handle: &ServerHandle) -> Self {
        self.shutdown = handle.shutdown.clone();
        self
    }

    /// The addresses that the server listens on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let listeners = self.sources.iter().filter_map(|source| match source {
            Source::Listener(listener) => Some(self.runtime.local_addr(listener)),
            Source::Unix(_) | Source::Connections(_) => None,
        });
        listeners.collect()
    }

    /// The address that the server listens on, the first if there are several.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::NotFound`] if it listens nowhere.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addrs()?.first().copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A handle that can shut this server down.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shutdown: self.shutdown.clone() }
    }

    /// Accepts connections until [`ServerHandle::shutdown`], or until there is nowhere to accept from, and
    /// calls `handler` for each request.
    ///
    /// Each connection is a task of its own. A handler that returns an error, panics, or forgets to
    /// answer gives its client a `500` and harms no other connection.
    ///
    /// Dropping the future closes the listeners; connections go on until they end by themselves.
    ///
    /// # Errors
    /// None at present: accept errors are survived by trying again, see
    /// [`ServerConfig::on_accept_error`].
    pub async fn serve<H, F, E>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Exchange<R>) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<HandlerError>,
        R: Spawn<ConnectionTask<R, Arc<H>, F>>,
    {
        let handler = Arc::new(handler);
        let config = &self.settings.config;
        let mut incoming = Incoming::new(self.runtime.clone(), self.sources);
        let mut phase = Watch::draining(&self.shutdown);
        let mut ended = Watch::connections(&self.shutdown);
        let mut backoff = Backoff::default();
        let mut budget = BUDGET;
        loop {
            let accepted = poll_fn(|cx| {
                if phase.poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                if budget == 0 {
                    budget = BUDGET;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                ready!(ended.poll_until(cx, |open| open < config.max_connections));
                incoming.poll_next(cx)
            });
            match accepted.await {
                None => break,
                Some(Ok((stream, peer))) => {
                    backoff.reset();
                    budget -= 1;
                    let max = config.max_connections_per_client;
                    let address = peer.map(|peer| peer.ip());
                    let Some(counted) = Counted::new(&self.shutdown, address, max) else {
                        continue;
                    };
                    if let Some(socket) = stream.as_own() {
                        // A socket without the options works as well, only slower.
                        let _ = self.runtime.set_options(socket, &config.socket);
                    }
                    self.runtime.spawn(ConnectionTask::new(
                        self.runtime.clone(),
                        stream,
                        peer,
                        self.settings.clone(),
                        handler.clone(),
                        &self.shutdown,
                        counted,
                    ));
                }
                // The client has given up already: nothing is short of anything.
                Some(Err(error)) if is_of_client(&error) => budget -= 1,
                Some(Err(error)) => {
                    let delay = backoff.next();
                    trace::event!("tidewire::server", WARN, %error, wait = ?delay, "cannot accept");
                    let _ = caught(|| (config.on_accept_error)(&error, delay));
                    let open = self.shutdown.connections();
                    let mut timer = self.runtime.timer();
                    timer.set(after(delay));
                    poll_fn(|cx| {
                        phase
                            .poll(cx)
                            .or_else_poll(|| ended.poll_until(cx, |now| now < open))
                            .or_else_poll(|| timer.poll(cx))
                    })
                    .await;
                }
            }
        }
        trace::event!("tidewire::server", DEBUG, open = self.shutdown.connections(), "draining");
        drop(incoming);
        // Where there is nothing more to accept, connections have all the time that they want.
        poll_fn(|cx| phase.poll(cx).or_else_poll(|| ended.poll_until(cx, |open| open == 0))).await;
        if !self.shutdown.is_draining() {
            // Those that are joined with this one go on.
            return Ok(());
        }
        let mut timer = self.runtime.timer();
        timer.set(after(self.settings.config.grace));
        poll_fn(|cx| ended.poll_until(cx, |open| open == 0).or_else_poll(|| timer.poll(cx))).await;
        trace::event!("tidewire::server", DEBUG, open = self.shutdown.connections(), "stopped");
        self.shutdown.stop();
        Ok(())
    }
}

impl<R: Runtime> std::fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("listening", &self.local_addrs())
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// Of two things to wait for, the first that is ready.
trait OrElsePoll<T> {
    fn or_else_poll(self, other: impl FnOnce() -> Poll<T>) -> Poll<T>;
}

impl<T> OrElsePoll<T> for Poll<T> {
    fn or_else_poll(self, other: impl FnOnce() -> Poll<T>) -> Poll<T> {
        if self.is_ready() { self } else { other() }
    }
}
