//! The client of an event stream.

use crate::dial::refuse_tls;
use crate::driver::Driver;
use crate::entropy;
use crate::error::Error;
use crate::link::rx_limit;
use crate::runtime::Runtime;
use std::future::poll_fn;
use tidewire::Instant;
use tidewire::sse::{self, ReadyState, SourceConfig, SourceEvent, SourceRequest};

/// An `EventSource` (WHATWG HTML, 9.2.2): reads an event stream and reconnects when it ends,
/// telling the server the last event id.
///
/// ```no_run
/// # use tidewire_runtime::{Error, EventSource, Runtime, sse::{SourceConfig, SourceEvent, SourceRequest}, url::Url};
/// # async fn example<R: Runtime>(runtime: R) -> Result<(), Error> {
/// let request = SourceRequest::new(Url::parse("http://127.0.0.1:8080/")?);
/// let mut source = EventSource::new(runtime, request, SourceConfig::default())?;
/// while let Some(event) = source.next().await {
///     if let SourceEvent::Message(message) = event {
///         println!("{}: {}", message.event_type, message.data);
///     }
/// }
/// # Ok(()) }
/// ```
pub struct EventSource<R: Runtime> {
    driver: Driver<R, sse::EventSource>,
}

impl<R: Runtime> EventSource<R> {
    /// A source for `request`'s URL. It connects at the first call of [`next`](Self::next).
    ///
    /// # Errors
    /// [`Error::Dial`] if the URL asks for TLS, which this version does not speak;
    /// [`Error::HttpMisuse`] if the request cannot be sent, because of one of its fields for
    /// instance; [`Error::Entropy`] if the operating system has no randomness.
    pub fn new(runtime: R, request: SourceRequest, config: SourceConfig) -> Result<Self, Error> {
        refuse_tls(request.url())?;
        let limits = config.limits;
        let rx_limit = rx_limit(config.http.head.max(limits.event));
        // A driver's clock begins with it.
        let machine = sse::EventSource::new(request, config, &entropy::seed()?, Instant::EPOCH)?;
        Ok(Self { driver: Driver::new(runtime, rx_limit, |_now, _tx| machine) })
    }

    /// Waits for the next event and lends it. [`SourceEvent::Closed`] is the last one; then `None`.
    ///
    /// Cancel-safe: a dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<SourceEvent<'_>> {
        if poll_fn(|cx| self.driver.poll_session(cx)).await { self.driver.event() } else { None }
    }

    /// The request of the next attempt, to change its fields: a token that has run out, say.
    pub fn request_mut(&mut self) -> &mut SourceRequest {
        self.driver.parts().machine.request_mut()
    }

    /// Closes the source for good. [`SourceEvent::Closed`] follows.
    pub fn close(&mut self) {
        self.driver.parts().machine.close();
    }

    /// What the source is doing, in the standard's words.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.driver.machine().ready_state()
    }

    /// The last event id, which the next connection will send; empty if there is none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.driver.machine().last_event_id()
    }

    /// What the operating system said when the last connection broke or could not be made, if it
    /// said anything.
    #[must_use]
    pub fn io_error(&self) -> Option<std::io::Error> {
        self.driver.io_error()
    }
}

impl<R: Runtime> std::fmt::Debug for EventSource<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EventSource").field(&self.driver).finish()
    }
}
