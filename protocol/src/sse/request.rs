//! What an `EventSource` asks for, and where redirects take it.

use super::{Limits, MEDIA_TYPE};
use crate::http::{self, BodyLength, Client, Hop, Misuse, Status};
use crate::reconnect::Policy;
use crate::url::Url;
use crate::{Instant, SendBuf};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;

/// How an [`EventSource`](super::EventSource) behaves.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// How much of the stream is held at a time.
    pub limits: Limits,
    /// What the head of a response may be.
    pub http: http::Limits,
    /// How long a transport may take to come up: 30 s unless changed.
    pub connect_timeout: Option<Duration>,
    /// How long the head of a response may take: 30 s unless changed.
    pub response_timeout: Option<Duration>,
    /// How long an open stream may be silent. There is no such limit unless it is given, because
    /// only the server knows how often it sends something.
    pub idle_timeout: Option<Duration>,
    /// When to reconnect, and when to give up. `retry` fields set the first and shortest wait; a row
    /// of failures ends with the first event, or with a connection that lasted
    /// ([`Policy::stable_after`]). Unless changed, [exponential](Policy::exponential) from 3 s to 60 s,
    /// without end.
    pub reconnect: Policy,
    /// The statuses that are no reason to give up. None unless given: any status but 200 then fails
    /// the connection for good, as the standard has it (9.2.2), and the program learns of it with
    /// [`SourceClosed::Failed`](super::SourceClosed::Failed). A program that runs unattended may
    /// rather want [`TRANSIENT`]:
    ///
    /// ```
    /// use tidewire::sse::{SourceConfig, TRANSIENT};
    ///
    /// let config = SourceConfig { retried: TRANSIENT.into(), ..SourceConfig::default() };
    /// ```
    ///
    /// The wait is that of the policy, and no shorter than a `Retry-After` in seconds says (RFC 9110,
    /// 10.2.3), which is lowered to [`max_retry`](Self::max_retry). With 204 a server tells its
    /// clients to stop, and they do, listed or not; redirects are followed.
    pub retried: Cow<'static, [Status]>,
    /// Whether there is an event [`SourceEvent::Attempt`](super::SourceEvent::Attempt) in front of
    /// each attempt, which then waits for the caller to poll on: to renew a token, say. Redirects
    /// belong to the attempt. No unless changed.
    pub announce: bool,
    /// What a `retry` field is raised to: 100 ms unless changed, so that `retry: 0` does not make a
    /// loop without a pause.
    pub min_retry: Duration,
    /// What a `retry` field is lowered to: a day unless changed.
    pub max_retry: Duration,
    /// How many redirects in a row are followed: 20 unless changed, as in Fetch.
    pub max_redirects: u8,
    /// How much of the body of a refusal to show in
    /// [`SourceEvent::Error`](super::SourceEvent::Error): up to 4 KiB unless changed. It is waited for
    /// no longer than for a head; with zero not at all.
    pub error_body: usize,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            http: http::Limits::default(),
            connect_timeout: Some(Duration::from_secs(30)),
            response_timeout: Some(Duration::from_secs(30)),
            idle_timeout: None,
            reconnect: Policy::exponential(Duration::from_secs(3), Duration::from_secs(60)),
            retried: Cow::Borrowed(&[]),
            announce: false,
            min_retry: Duration::from_millis(100),
            max_retry: Duration::from_secs(24 * 60 * 60),
            max_redirects: 20,
            error_body: 4096,
        }
    }
}

/// Statuses of a server that may do better later: 429, 500, 502, 503 and 504. For
/// [`SourceConfig::retried`].
pub const TRANSIENT: &[Status] = &[
    Status::TOO_MANY_REQUESTS,
    Status::INTERNAL_SERVER_ERROR,
    Status::BAD_GATEWAY,
    Status::SERVICE_UNAVAILABLE,
    Status::GATEWAY_TIMEOUT,
];

/// The request of an [`EventSource`](super::EventSource), made anew for each attempt.
///
/// `Host`, `Accept: text/event-stream`, `Cache-Control: no-cache` and, once there is one,
/// `Last-Event-ID` come first, then the fields given here with their order and case. A field given
/// here replaces the one of that name; `Last-Event-ID` only until there is an id, since another one
/// would ask again and again for what came.
///
/// ```
/// use tidewire::sse::SourceRequest;
/// use tidewire::url::Url;
///
/// let request = SourceRequest::new(Url::parse("http://example.com/news")?)
///     .field("Authorization", "Bearer 123")
///     .last_event_id("41");
/// # Ok::<(), tidewire::url::UrlError>(())
/// ```
///
/// Any method will do, and a body goes with each attempt. Mind that a server then does again what it
/// was asked for: [`Policy::max_attempts`] of zero makes one attempt and no more.
///
/// ```
/// # use tidewire::sse::SourceRequest;
/// # use tidewire::url::Url;
/// let request = SourceRequest::new(Url::parse("http://example.com/completions")?)
///     .post(r#"{"stream":true}"#)
///     .field("Content-Type", "application/json");
/// let search = SourceRequest::new(Url::parse("http://example.com/")?).method("QUERY").body("q=tide");
/// # Ok::<(), tidewire::url::UrlError>(())
/// ```
///
/// Redirects change method and body as Fetch has it (HTTP-redirect fetch): 303 makes a GET of
/// anything but GET and HEAD, 301 and 302 make one of a POST, and with the body go the fields that
/// tell of it. Credentials and `Host` do not go along to another origin.
#[derive(Clone)]
#[must_use]
pub struct SourceRequest {
    pub(super) url: Url,
    /// The URL was changed.
    moved: bool,
    method: Cow<'static, str>,
    body: Option<Bytes>,
    fields: Vec<(String, Vec<u8>)>,
    pub(super) last_event_id: String,
}

impl SourceRequest {
    /// A GET of this URL, whose scheme says no more than whether TLS is wanted.
    pub const fn new(url: Url) -> Self {
        Self {
            url,
            moved: false,
            method: Cow::Borrowed("GET"),
            body: None,
            fields: Vec::new(),
            last_event_id: String::new(),
        }
    }

    /// Makes it a POST with this body, which each attempt sends again.
    pub fn post(self, body: impl Into<Bytes>) -> Self {
        self.method("POST").body(body)
    }

    /// Asks with this method. It has a case: `get` is none that servers know.
    pub fn method(mut self, method: impl Into<Cow<'static, str>>) -> Self {
        self.method = method.into();
        self
    }

    /// Sends this body with each attempt.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Replaces the body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = Some(body.into());
    }

    /// Adds a header line.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Replaces all header lines of this name: a token that has expired, say.
    pub fn set_field(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.fields.push((name.into(), value.into()));
    }

    /// Goes on behind this event. Only the first attempt looks at it: later on it is the stream
    /// that says which event came last.
    pub fn last_event_id(mut self, id: impl Into<String>) -> Self {
        self.last_event_id = id.into();
        self
    }

    /// Asks elsewhere: another server for the same events, say, or with a query that has expired.
    /// Redirects that were remembered are forgotten.
    pub fn set_url(&mut self, url: Url) {
        self.url = url;
        self.moved = true;
    }

    /// What is asked for, before any redirect.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The method before any redirect.
    pub(super) fn method_name(&self) -> &str {
        &self.method
    }

    /// Whether the URL was changed since the last call.
    pub(super) const fn take_move(&mut self) -> bool {
        core::mem::replace(&mut self.moved, false)
    }

    /// Writes the request.
    pub(super) fn send(
        &self,
        hop: &Hop,
        last_event_id: &str,
        client: &mut Client,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        let authority = hop.url().host_header();
        let authorization = hop.url().authorization();
        let id = Some(last_event_id).filter(|id| !id.is_empty());
        let own = [
            ("Host", Some(authority.as_str())),
            ("Accept", Some(MEDIA_TYPE)),
            // The words of Fetch (HTTP-network-or-cache fetch) for the cache mode `no-store`, which an
            // `EventSource` has (9.2.2).
            ("Cache-Control", Some("no-cache")),
            ("Last-Event-ID", id),
            ("Authorization", authorization.as_deref()),
        ];
        let is_old = |name: &str| id.is_some() && name.eq_ignore_ascii_case("Last-Event-ID");
        let given = || self.fields.iter().filter(|(name, _)| hop.carries(name) && !is_old(name));
        let mut fields = Vec::with_capacity(own.len() + self.fields.len());
        for (name, value) in own {
            if let Some(value) = value {
                if !given().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                    fields.push((name, value.as_bytes()));
                }
            }
        }
        fields.extend(given().map(|(name, value)| (name.as_str(), value.as_slice())));

        let body = self.body.as_ref().filter(|_| hop.keeps_body());
        let method = hop.method(&self.method);
        let length = BodyLength::Known(body.map_or(0, |body| body.len() as u64));
        client.request(method, hop.url().target(), fields.iter().copied(), length, now, tx)?;
        if let Some(body) = body {
            client.send_shared(body, tx)?;
        }
        client.finish(tx)
    }
}

/// The values of fields, which may be secrets, are left out.
impl fmt::Debug for SourceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("SourceRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("fields", &fields)
            .field("body", &self.body.as_ref().map(Bytes::len))
            .field("last_event_id", &self.last_event_id)
            .finish_non_exhaustive()
    }
}
