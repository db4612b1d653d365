//! The client of an event stream.

use crate::connector::Connector;
use crate::dial::refuse_tls;
use crate::driver::Driver;
use crate::entropy;
use crate::error::Error;
use crate::link::rx_limit;
use crate::runtime::Runtime;
use crate::stats::SourceStats;
use crate::status::{Reporter, Status, StatusWatch};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidewire::Instant;
use tidewire::sse::{self, OwnedSourceEvent, ReadyState, SourceConfig, SourceEvent, SourceRequest};
use tidewire::url::Url;

/// An `EventSource` (WHATWG HTML, 9.2.2): reads an event stream and reconnects when it ends,
/// telling the server the last event id.
///
/// ```no_run
/// # use tidewire_runtime::sse::{SourceConfig, SourceEvent, SourceRequest};
/// # use tidewire_runtime::{Error, EventSource, Runtime, url::Url};
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
///
/// Nothing happens while it is not polled: no attempt is made and no silence is noticed. It is a
/// [`Stream`] too, of events that own what they tell.
///
/// # Tokens that expire
///
/// The fields of a request can be changed between any two events, with
/// [`request_mut`](Self::request_mut), and the next attempt sends them. Who wants to know when that is,
/// to get a token that takes its time, sets [`SourceConfig::announce`]:
///
/// ```no_run
/// # use tidewire_runtime::{Error, EventSource, Runtime, sse::{SourceConfig, SourceEvent, SourceRequest}};
/// # async fn fresh_token() -> String { String::new() }
/// # async fn example<R: Runtime>(runtime: R, request: SourceRequest) -> Result<(), Error> {
/// let config = SourceConfig { announce: true, ..SourceConfig::default() };
/// let mut source = EventSource::new(runtime, request, config)?;
/// while let Some(event) = source.next().await {
///     match event {
///         SourceEvent::Attempt => {
///             let token = fresh_token().await;
///             source.request_mut().set_field("Authorization", format!("Bearer {token}"));
///         }
///         SourceEvent::Message(message) => println!("{}", message.data),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
pub struct EventSource<R: Runtime> {
    driver: Driver<R, sse::EventSource>,
    reporter: Reporter,
}

impl<R: Runtime> EventSource<R> {
    /// A source for `request`'s URL. It connects at the first call of [`next`](Self::next).
    ///
    /// # Errors
    /// [`Error::Dial`] if the URL asks for TLS and the feature `tls` is off;
    /// [`Error::HttpMisuse`] if the request cannot be sent, because of one of its fields for
    /// instance; [`Error::Entropy`] if the operating system has no randomness.
    pub fn new(
        connector: impl Into<Connector<R>>,
        request: SourceRequest,
        config: SourceConfig,
    ) -> Result<Self, Error> {
        refuse_tls(request.url())?;
        let limits = config.limits;
        let rx_limit = rx_limit(config.http.head.max(limits.event));
        // A driver's clock begins with it.
        let machine = sse::EventSource::new(request, config, &entropy::seed()?, Instant::EPOCH)?;
        let driver = Driver::new(connector, rx_limit, |_now, _tx| machine);
        Ok(Self { driver, reporter: Reporter::default() })
    }

    /// Waits for the next event and lends it. [`SourceEvent::Closed`] is the last one; then `None`.
    ///
    /// Cancel-safe: a dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<SourceEvent<'_>> {
        if poll_fn(|cx| self.poll(cx)).await { self.driver.event() } else { None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let polled = self.driver.poll_session(cx);
        self.report();
        polled
    }

    fn report(&mut self) {
        let Self { driver, reporter } = self;
        reporter.report(|| Status::of_source(driver.machine(), driver.clock()));
    }

    /// The request of the next attempt, to change its fields: a token that has run out, say.
    pub fn request_mut(&mut self) -> &mut SourceRequest {
        self.driver.parts().machine.request_mut()
    }

    /// Closes the source for good. [`SourceEvent::Closed`] follows.
    pub fn close(&mut self) {
        self.driver.parts().machine.close();
        self.report();
    }

    /// Makes the next attempt `after` from now, whatever the policy or the server said: zero, when
    /// the network is known to be back. Does nothing while there is a connection or when it is all
    /// over; returns whether it did something.
    pub fn reconnect(&mut self, after: Duration) -> bool {
        let sse = self.driver.parts();
        let reconnects = sse.machine.reconnect(after, sse.now);
        self.report();
        reconnects
    }

    /// As [`reconnect`](Self::reconnect), and leaves the connection or the attempt that there is,
    /// without an event that tells of it. What was received and not lent yet is asked for again: the
    /// last event id is that of the last event that was lent. Returns `false` when it is all over.
    pub fn restart(&mut self, after: Duration) -> bool {
        let sse = self.driver.parts();
        let restarts = sse.machine.restart(after, sse.now);
        self.report();
        restarts
    }

    /// What the source is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of_source(self.driver.machine(), self.driver.clock())
    }

    /// An eye on the [`status`](Self::status), for another task.
    #[must_use]
    pub fn watch(&mut self) -> StatusWatch {
        let status = self.status();
        self.reporter.watch(status)
    }

    /// The same in the standard's words, which know no wait.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.driver.machine().ready_state()
    }

    /// The last event id, which the next connection will send; empty if there is none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.driver.machine().last_event_id()
    }

    /// The URL that was asked for, before any redirect.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.driver.machine().url()
    }

    /// Where the events come from: see [`sse::EventSource::origin`].
    #[must_use]
    pub fn origin(&self) -> String {
        self.driver.machine().origin()
    }

    /// What was received so far, on all connections together.
    #[must_use]
    pub fn stats(&self) -> SourceStats {
        SourceStats { bytes: self.driver.transferred(), sse: self.driver.machine().stats() }
    }

    /// How many attempts there were, redirects included.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.driver.machine().attempts()
    }

    /// Why there is no connection, or no longer one, beyond what [`SourceEvent::Error`] says: the
    /// operating system's words, [`TlsError::of`](crate::TlsError::of) or
    /// [`ProxyRefused::of`](crate::ProxyRefused::of).
    #[must_use]
    pub fn io_error(&self) -> Option<std::io::Error> {
        self.driver.io_error()
    }
}

/// The events that [`next`](EventSource::next) lends, owned. Ends behind
/// [`Closed`](OwnedSourceEvent::Closed).
///
/// ```no_run
/// # use tidewire_runtime::{EventSource, Runtime, sse::OwnedSourceEvent};
/// # use futures_core::Stream;
/// # use std::{future::poll_fn, pin::Pin};
/// # async fn example<R: Runtime>(mut source: EventSource<R>) {
/// // With `futures_lite::StreamExt` or another one: `source.next()`, `source.filter_map(…)` and so on.
/// while let Some(event) = poll_fn(|cx| Pin::new(&mut source).poll_next(cx)).await {
///     if let OwnedSourceEvent::Message(message) = event {
///         println!("{}", message.data);
///     }
/// }
/// # }
/// ```
impl<R: Runtime> Stream for EventSource<R> {
    type Item = OwnedSourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while ready!(self.poll(cx)) {
            if let Some(event) = self.driver.event() {
                return Poll::Ready(Some(event.to_owned()));
            }
        }
        Poll::Ready(None)
    }
}

impl<R: Runtime> std::fmt::Debug for EventSource<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EventSource").field(&self.driver).finish()
    }
}
