//! The HTTP server: ordinary responses, event streams and WebSocket upgrades on one port.

use crate::byte_stream::ByteStream;
use crate::connection::ConnectionTask;
use crate::error::HandlerError;
use crate::exchange::Exchange;
use crate::runtime::{Runtime, Spawn, Timer, after};
use crate::server_fields::ServerFields;
use crate::shutdown::{Counted, Shutdown, Watch};
use crate::socket::{ListenOptions, SocketOptions};
use crate::stats::ServerStats;
use crate::tls::TlsServerConfig;
use crate::trace;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tidewire::http;

/// How long to wait before accepting again after the operating system refused, most often because
/// the process has no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The limits of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Limits and deadlines of each connection: size of a head, time for a head, idle time, …
    /// A WebSocket has its own from the upgrade on, those of its [`ws::Config`](tidewire::ws::Config).
    pub http: http::ServerConfig,
    /// The most connections at a time; further ones wait in the operating system's queue.
    /// 10,000 by default.
    pub max_connections: usize,
    /// How long connections may take to come to their end after a shutdown was asked for. 10 s by
    /// default.
    pub grace: Duration,
    /// The receive buffer of each HTTP connection, in bytes. 64 KiB by default. A WebSocket gets
    /// its own limit at the upgrade.
    pub receive_buffer: usize,
    /// Told of each handler that failed, with the client's address and what it failed with, a panic
    /// as [`HandlerPanicked`](crate::HandlerPanicked): the place for a log line. That a client left,
    /// broke the rules or took too long, or that the server shuts down, is no failure. Does nothing by
    /// default.
    pub on_error: fn(SocketAddr, &HandlerError),
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
            grace: Duration::from_secs(10),
            receive_buffer: 64 * 1024,
            on_error: |_, _| {},
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
#[derive(Debug)]
pub struct Server<R: Runtime> {
    runtime: R,
    listener: R::Listener,
    settings: Arc<Settings>,
    shutdown: Arc<Shutdown>,
}

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: ServerConfig,
    pub(crate) fields: ServerFields,
}

/// Shuts a [`Server`] down from elsewhere.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shutdown: Arc<Shutdown>,
}

impl ServerHandle {
    /// Asks the server to come to its end: it accepts no more connections, closes idle ones,
    /// finishes requests in progress, ends event streams, and tells WebSocket peers 1001. What
    /// has not ended after [`ServerConfig::grace`] is dropped, and [`Server::serve`] returns.
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
        let fields = ServerFields::new(config.server.clone(), config.date)
            .map_err(|misuse| io::Error::new(io::ErrorKind::InvalidInput, misuse))?;
        let listener = runtime.listen(address, &config.listen)?;
        let settings = Arc::new(Settings { config, fields });
        Ok(Self { runtime, listener, settings, shutdown: Arc::default() })
    }

    /// The address that the server listens on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.runtime.local_addr(&self.listener)
    }

    /// A handle that can shut this server down.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shutdown: self.shutdown.clone() }
    }

    /// Accepts connections until [`ServerHandle::shutdown`], and calls `handler` for each request.
    ///
    /// Each connection is a task of its own. A handler that returns an error, panics, or forgets to
    /// answer gives its client a `500` and harms no other connection.
    ///
    /// Dropping the future closes the listener; connections go on until they end by themselves.
    ///
    /// # Errors
    /// None at present: accept errors are survived by trying again.
    pub async fn serve<H, F, E>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Exchange<R>) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<HandlerError>,
        R: Spawn<ConnectionTask<R, Arc<H>, F>>,
    {
        let handler = Arc::new(handler);
        let mut phase = Watch::phase(&self.shutdown);
        let mut ended = Watch::connections(&self.shutdown);
        let max = self.settings.config.max_connections;
        loop {
            let room = poll_fn(|cx| {
                phase.poll_until(cx, Shutdown::is_draining).map(|()| false).or_else_poll(|| {
                    ended.poll_until(cx, |it| it.connections() < max).map(|()| true)
                })
            });
            if !room.await {
                break;
            }
            let mut accept = pin!(self.runtime.accept(&self.listener));
            let accepted = poll_fn(|cx| {
                phase
                    .poll_until(cx, Shutdown::is_draining)
                    .map(|()| None)
                    .or_else_poll(|| accept.as_mut().poll(cx).map(Some))
            });
            match accepted.await {
                None => break,
                Some(Ok((stream, peer))) => {
                    // A stream without the options works as well, only slower.
                    let _ = self.runtime.set_options(&stream, &self.settings.config.socket);
                    let counted = Counted::new(&self.shutdown);
                    self.runtime.spawn(ConnectionTask::new(
                        self.runtime.clone(),
                        ByteStream::new(stream),
                        peer,
                        self.settings.clone(),
                        handler.clone(),
                        &self.shutdown,
                        counted,
                    ));
                }
                // The client has given up already: nothing is short of anything.
                Some(Err(error)) if is_of_client(&error) => {}
                Some(Err(_error)) => {
                    trace::event!("tidewire::server", WARN, error = %_error, wait = ?ACCEPT_AGAIN, "cannot accept");
                    let mut timer = self.runtime.timer();
                    timer.set(after(ACCEPT_AGAIN));
                    poll_fn(|cx| timer.poll(cx)).await;
                }
            }
        }
        trace::event!("tidewire::server", DEBUG, open = self.shutdown.connections(), "draining");
        drop(self.listener);
        let mut timer = self.runtime.timer();
        timer.set(after(self.settings.config.grace));
        poll_fn(|cx| {
            ended.poll_until(cx, |it| it.connections() == 0).or_else_poll(|| timer.poll(cx))
        })
        .await;
        trace::event!("tidewire::server", DEBUG, open = self.shutdown.connections(), "stopped");
        self.shutdown.stop();
        Ok(())
    }
}

/// Whether accepting failed for this one client, and may work at once for the next.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
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
