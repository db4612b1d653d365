//! How much a peer may send, and how long it may take.

use core::time::Duration;

/// Limits on what is not payload. They are checked before anything beyond them is buffered.
///
/// ```
/// let limits = tidewire::http::Limits { head: 8 * 1024, ..Default::default() };
/// assert_eq!(limits.headers, 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a head, from the first byte of its start line to its empty line. The
    /// receive buffer's own limit must be no smaller. Default: 16 KiB.
    pub head: usize,
    /// The most header lines of a head, and the most trailer lines of a body. Default: 100.
    pub headers: usize,
    /// The most bytes of a line that announces a chunk, its extensions and CRLF included.
    /// Default: 1 KiB.
    pub chunk_line: usize,
    /// The most bytes of the trailer section of a body. Default: 4 KiB.
    pub trailers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 16 * 1024, headers: 100, chunk_line: 1024, trailers: 4096 }
    }
}

/// How a [`Server`](super::Server) treats its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Limits on heads and framing.
    pub limits: Limits,
    /// The most bytes of payload in the body of one request. Default: 16 MiB.
    pub max_body: u64,
    /// While this many bytes or more wait to be written, no further request is looked at: a client
    /// that sends requests and takes no responses must not fill the memory with them. Default:
    /// 256 KiB; zero counts as 1.
    pub send_high_water: usize,
    /// How long a head may take from its first byte, and the first one from the start of the
    /// connection. `None` for ever. Default: 30 s.
    pub head_timeout: Option<Duration>,
    /// How long a kept connection may wait for the next request to begin, or to be looked at. `None`
    /// for ever. Default: 60 s.
    pub idle_timeout: Option<Duration>,
    /// How long a request may leave the machine waiting for the next
    /// [`body_progress`](Self::body_progress) bytes of its body, or for its end. Time in which the
    /// caller does not poll does not count. `None` for ever. Default: 30 s.
    pub body_timeout: Option<Duration>,
    /// How many bytes of a body must come in each `body_timeout`: with one, a client that sends a byte
    /// now and then holds the connection as long as it likes. A server whose clients send little over a
    /// long time on purpose, live data say, sets it to 1. Default: 1 KiB.
    pub body_progress: u64,
    /// How long a client may leave what waits in the send buffer untouched. `None` for ever. Default:
    /// 30 s.
    pub write_timeout: Option<Duration>,
    /// Whether a client that has shut down its sending side is still answered. Else this counts as its
    /// leave. Default: true.
    pub half_close: bool,
    /// How long a client that was refused in the middle of a request, and may still be sending, is
    /// listened to, lest the answer is lost to a reset (RFC 9112, 9.6). Zero closes at once.
    /// Default: 1 s.
    pub linger: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_body: 16 << 20,
            send_high_water: 256 << 10,
            head_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(60)),
            body_timeout: Some(Duration::from_secs(30)),
            body_progress: 1024,
            write_timeout: Some(Duration::from_secs(30)),
            half_close: true,
            linger: Duration::from_secs(1),
        }
    }
}

/// What a client puts up with in responses that break the rules, flag by flag. Everything is off by
/// default, and a server has no such flags: what two readers of a request understand differently is
/// what request smuggling is made of (RFC 9112, 11.2).
///
/// ```
/// let leniency = tidewire::http::Leniency { obs_fold: true, ..Default::default() };
/// assert!(!leniency.bare_lf);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Take a line that begins with whitespace as the continuation of the value before it; the line
    /// break becomes spaces (RFC 9112, 5.2).
    pub obs_fold: bool,
    /// Take a line feed without a carriage return as the end of a line of the head (RFC 9112, 2.2).
    pub bare_lf: bool,
    /// Drop whitespace between a field name and its colon (RFC 9112, 5.1).
    pub space_before_colon: bool,
    /// Take `Transfer-Encoding` where there is a `Content-Length` too, and close the connection
    /// behind that response (RFC 9112, 6.3).
    pub length_and_coding: bool,
}

impl Leniency {
    /// Puts up with nothing.
    pub const STRICT: Self = Self {
        obs_fold: false,
        bare_lf: false,
        space_before_colon: false,
        length_and_coding: false,
    };
}

/// How a [`Client`](super::Client) treats its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Limits on heads and framing.
    pub limits: Limits,
    /// What to put up with. Default: nothing.
    pub leniency: Leniency,
    /// The most bytes of payload in the body of one response. Default: no limit, since the body is
    /// lent piece by piece.
    pub max_body: u64,
    /// How long the head of the final response may take once the request has been sent. `None` for
    /// ever. Default: 30 s.
    pub head_timeout: Option<Duration>,
    /// How long a response may leave the machine waiting for the next
    /// [`body_progress`](Self::body_progress) bytes of its body, or for its end. Time in which the
    /// caller does not poll does not count. `None` for ever, which a stream of events needs. Default:
    /// 60 s.
    pub body_timeout: Option<Duration>,
    /// How many bytes of a body must come in each `body_timeout`. Default: 1.
    pub body_progress: u64,
    /// How long a server may leave what waits in the send buffer untouched. `None` for ever. Default:
    /// 30 s.
    pub write_timeout: Option<Duration>,
    /// How long a request with `Expect: 100-continue` waits for the answer before its body is sent
    /// anyway (RFC 9110, 10.1.1). `None` for ever. Default: 1 s.
    pub continue_timeout: Option<Duration>,
    /// How long a connection without a request under way is kept. `None`, the default, for ever.
    pub idle_timeout: Option<Duration>,
    /// How many requests may be under way, with further ones sent before the first is answered (RFC
    /// 9112, 9.3.2). Default: 1, no pipelining; zero counts as 1.
    pub pipeline_depth: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            leniency: Leniency::default(),
            max_body: u64::MAX,
            head_timeout: Some(Duration::from_secs(30)),
            body_timeout: Some(Duration::from_secs(60)),
            body_progress: 1,
            write_timeout: Some(Duration::from_secs(30)),
            continue_timeout: Some(Duration::from_secs(1)),
            idle_timeout: None,
            pipeline_depth: 1,
        }
    }
}
