//! What a client is asked to send.

use crate::error::Error;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tidewire::http::ResponseHead;
use tidewire::url::Url;

/// Who is told of interim responses.
pub(super) type OnInterim = Arc<dyn Fn(ResponseHead<'_>) + Send + Sync>;

/// How long each phase of a request may take. `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a new connection is up, its host name looked up. 30 s by default.
    pub connect: Option<Duration>,
    /// From the end of the request to the head of the response. 30 s by default.
    pub head: Option<Duration>,
    /// For the next [`body_progress`](Self::body_progress) bytes of the response's body, while they
    /// are waited for. 60 s by default.
    pub body: Option<Duration>,
    /// How many bytes of the response's body must come in each [`body`](Self::body). 1 by default.
    pub body_progress: u64,
    /// How long [`HttpRequest::expect_continue`] waits for the server's word. 1 s by default.
    pub go_ahead: Option<Duration>,
    /// How long the server may take none of the bytes that wait for it. 30 s by default.
    pub write: Option<Duration>,
    /// For everything, redirects and the whole body of the response included. `None` by default.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(30)),
            head: Some(Duration::from_secs(30)),
            body: Some(Duration::from_secs(60)),
            body_progress: 1,
            go_ahead: Some(Duration::from_secs(1)),
            write: Some(Duration::from_secs(30)),
            total: None,
        }
    }
}

/// A request for an [`HttpClient`](crate::HttpClient) to send.
///
/// `Host` and `User-Agent` come first, then the fields given here with their order and case. A field
/// given here replaces the one of that name.
///
/// ```
/// use tidewire_runtime::HttpRequest;
///
/// let request = HttpRequest::new("PUT", "http://127.0.0.1:8080/notes/1")?
///     .field("Content-Type", "text/plain")
///     .body("remember the milk");
/// # Ok::<(), tidewire_runtime::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct HttpRequest {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Option<Bytes>,
    pub(super) expects_continue: bool,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) max_redirects: Option<u8>,
    pub(super) on_interim: Option<OnInterim>,
}

impl HttpRequest {
    /// A request without a body. The method is sent as it is: upper case, for those that the
    /// standard defines (RFC 9110, 9.1).
    ///
    /// # Errors
    /// [`Error::Url`] if `url` is none.
    pub fn new(method: impl Into<String>, url: &str) -> Result<Self, Error> {
        Ok(Self {
            method: method.into(),
            // RFC 9110, 4.2.5: a fragment is for whoever reads the answer, and never sent.
            url: Url::parse(url.split_once('#').map_or(url, |(url, _)| url))?,
            fields: Vec::new(),
            body: None,
            expects_continue: false,
            timeouts: None,
            max_redirects: None,
            on_interim: None,
        })
    }

    /// Adds a header line. The client writes `Content-Length` and `Transfer-Encoding` itself.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sets the body. It is shared, not copied, and can be sent again: after a redirect, say. For
    /// one that is made while it is sent, see [`HttpClient::start`](crate::HttpClient::start).
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Lets the server refuse before the body is sent: `Expect: 100-continue` (RFC 9110, 10.1.1).
    /// The body is sent when the server says so or stays silent for [`Timeouts::go_ahead`], and not at
    /// all if it answers instead. One that does not know the expectation, and says so with a `417`, is asked
    /// once more without it.
    pub fn expect_continue(mut self) -> Self {
        self.expects_continue = true;
        self
    }

    /// Sets other timeouts than the client's.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets another limit than the client's; with 0, a redirect is a response as any other.
    pub fn max_redirects(mut self, max: u8) -> Self {
        self.max_redirects = Some(max);
        self
    }

    /// Tells `callback` of each interim response (RFC 9110, 15.2), such as `103 Early Hints`.
    pub fn on_interim(
        mut self,
        callback: impl Fn(ResponseHead<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.on_interim = Some(Arc::new(callback));
        self
    }

    /// Where it goes first.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are left out, since some are secrets.
        let names: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}
