//! The HTTP client: requests on connections that are kept and shared.

mod call;
mod pool;
mod request;
mod response;
mod upload;
mod wire;

pub use request::{HttpRequest, Timeouts};
pub use response::HttpResponse;
pub use upload::Upload;

use crate::connector::Connector;
use crate::error::Error;
use crate::runtime::Runtime;
use bytes::Bytes;
use call::Call;
use pool::{Origin, Pool, PoolLimits};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidewire::http::{self, BodyLength};
use wire::Wire;

/// The limits of an [`HttpClient`].
#[derive(Clone, Debug)]
pub struct HttpClientConfig {
    /// Limits on the heads and the framing of responses.
    pub limits: http::Limits,
    /// Which broken rules to put up with. None by default.
    pub leniency: http::Leniency,
    /// How long each phase of a request may take.
    pub timeouts: Timeouts,
    /// How many redirects in a row are followed (RFC 9110, 15.4). 20 by default; with 0, a redirect
    /// is a response as any other.
    pub max_redirects: u8,
    /// How many idle connections are kept for one scheme, host and port. 8 by default; with 0, none.
    pub max_idle_per_host: usize,
    /// How many idle connections are kept in all. 64 by default; with 0, none.
    pub max_idle: usize,
    /// How long an idle connection is kept (RFC 9112, 9.5). There is no task that would close it at
    /// that time: it is closed when the client is used next. 60 s by default.
    pub idle_timeout: Duration,
    /// The receive buffer of each connection, in bytes: no smaller than a head may be. 64 KiB by
    /// default.
    pub receive_buffer: usize,
    /// How many bytes of a body may wait to be written before sending has to wait. 256 KiB by
    /// default.
    pub send_high_water: usize,
    /// The `User-Agent` of requests that have none (RFC 9110, 10.1.5). `tidewire` by default.
    pub user_agent: Option<String>,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            limits: http::Limits::default(),
            leniency: http::Leniency::default(),
            timeouts: Timeouts::default(),
            max_redirects: 20,
            max_idle_per_host: 8,
            max_idle: 64,
            idle_timeout: Duration::from_secs(60),
            receive_buffer: 64 * 1024,
            send_high_water: 256 * 1024,
            user_agent: Some("tidewire".into()),
        }
    }
}

impl HttpClientConfig {
    /// The configuration of the machine behind one request.
    fn machine(&self, timeouts: &Timeouts) -> http::ClientConfig {
        http::ClientConfig {
            limits: self.limits,
            leniency: self.leniency,
            head_timeout: timeouts.head,
            body_timeout: timeouts.body,
            body_progress: timeouts.body_progress,
            write_timeout: timeouts.write,
            continue_timeout: timeouts.go_ahead,
            ..http::ClientConfig::default()
        }
    }
}

/// A client that sends HTTP requests (RFC 9110, RFC 9112). Its clones share their connections.
///
/// ```no_run
/// # use tidewire_runtime::{Error, HttpClient, Runtime};
/// # async fn example<R: Runtime>(runtime: R) -> Result<(), Error> {
/// let client = HttpClient::new(runtime);
/// let mut response = client.get("http://127.0.0.1:8080/").await?;
/// println!("{}", response.status());
/// while let Some(piece) = response.chunk().await? {
///     println!("{} bytes", piece.len());
/// }
/// let mut response = client.post("http://127.0.0.1:8080/notes", "remember the milk").await?;
/// println!("{}", response.text(1024).await?);
/// # Ok(()) }
/// ```
///
/// A body can be made while it is sent, and the response be read piece by piece:
///
/// ```no_run
/// # use tidewire_runtime::{Error, HttpClient, HttpRequest, Runtime, http::BodyLength};
/// # async fn example<R: Runtime>(client: HttpClient<R>) -> Result<(), Error> {
/// let request = HttpRequest::new("PUT", "http://127.0.0.1:8080/log")?;
/// let mut upload = client.start(request, BodyLength::Unknown).await?;
/// for line in ["one\n", "two\n"] {
///     if !upload.send(line.as_bytes()).await? {
///         break; // the server wants no more
///     }
/// }
/// let response = upload.finish().await?;
/// # drop(response);
/// # Ok(()) }
/// ```
///
/// # What it does by itself
///
/// * A connection whose response was read to its end serves the next request to the same scheme,
///   host and port, if the server has not closed it meanwhile.
/// * A request that is idempotent and fails on such a connection before anything came back is sent
///   once more on a new one (RFC 9112, 9.3.1), unless its body was streamed.
/// * Redirects are followed (RFC 9110, 15.4). Credentials do not go along to another origin, and
///   from `https` to `http` no redirect leads.
/// * There are no cookies, caches and codings. Proxies are the [`Connector`]'s.
///
/// There is no task behind it, and the lock over the idle connections is held for no longer than it
/// takes to get at one.
pub struct HttpClient<R: Runtime> {
    shared: Arc<Shared<R>>,
}

struct Shared<R: Runtime> {
    connector: Connector<R>,
    config: HttpClientConfig,
    pool: Mutex<Pool<R>>,
}

impl<R: Runtime> HttpClient<R> {
    /// A client with default limits.
    pub fn new(connector: impl Into<Connector<R>>) -> Self {
        Self::with_config(connector, HttpClientConfig::default())
    }

    /// A client.
    pub fn with_config(connector: impl Into<Connector<R>>, config: HttpClientConfig) -> Self {
        let pool = Mutex::new(Pool::new(PoolLimits {
            per_origin: config.max_idle_per_host,
            in_all: config.max_idle,
            idle: config.idle_timeout,
        }));
        Self { shared: Arc::new(Shared { connector: connector.into(), config, pool }) }
    }

    /// Sends a GET (RFC 9110, 9.3.1).
    ///
    /// # Errors
    /// [`Error::Url`] if `url` is none; else as [`send`](Self::send).
    pub async fn get(&self, url: &str) -> Result<HttpResponse<R>, Error> {
        self.send(HttpRequest::new("GET", url)?).await
    }

    /// Sends a POST (RFC 9110, 9.3.3).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, url: &str, body: impl Into<Bytes>) -> Result<HttpResponse<R>, Error> {
        self.send(HttpRequest::new("POST", url)?.body(body)).await
    }

    /// Sends a request, and waits for the head of the response. Dropping the future gives the request
    /// up, and its connection with it.
    ///
    /// # Errors
    /// [`Error::Dial`] if there is no connection to be had; [`Error::tls`] says more about one that TLS
    /// could not be spoken on; [`Error::HttpMisuse`] if the request cannot be sent, because of one
    /// of its fields, say; [`Error::Http`] or [`Error::Io`] if the connection ended before the
    /// response, the server was silent for too long included; [`Error::Redirect`] for one that
    /// cannot be followed; [`Error::Deadline`]. [`Error::timed_out`] says which phase took too long.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse<R>, Error> {
        Call::new(self.clone(), request).run().await
    }

    /// Begins a request whose body is sent piece by piece, in place of the one that it has. With
    /// [`BodyLength::Unknown`] it is sent in chunks (RFC 9112, 7.1).
    ///
    /// With [`HttpRequest::expect_continue`], it waits until the server lets the body come, or has
    /// answered instead; such an answer that leads elsewhere is followed.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn start(
        &self,
        request: HttpRequest,
        length: BodyLength,
    ) -> Result<Upload<R>, Error> {
        let mut call = Call::new(self.clone(), request);
        let wire = call.start(length).await?;
        Ok(Upload::new(call, wire))
    }

    /// How many connections are idle.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.pool().len()
    }

    /// Closes the idle connections.
    pub fn close_idle(&self) {
        self.pool().clear();
    }

    fn config(&self) -> &HttpClientConfig {
        &self.shared.config
    }

    fn connector(&self) -> &Connector<R> {
        &self.shared.connector
    }

    fn pool(&self) -> MutexGuard<'_, Pool<R>> {
        self.shared.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection to `origin` that is still one.
    fn take(&self, origin: &Origin) -> Option<Box<Wire<R>>> {
        loop {
            // The lock is not held over what follows.
            let kept = self.pool().take(origin, Instant::now());
            let mut wire = kept?;
            if wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    /// Keeps a connection for the next request, if it is fit for one; else closes it.
    fn recycle(&self, mut wire: Box<Wire<R>>) {
        if wire.settle() {
            wire.reused = true;
            wire.driver.release();
            self.pool().put(wire, Instant::now());
        }
    }
}

impl<R: Runtime> Clone for HttpClient<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R: Runtime> std::fmt::Debug for HttpClient<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("HttpClient");
        debug.field("idle_connections", &self.idle_connections()).finish_non_exhaustive()
    }
}
