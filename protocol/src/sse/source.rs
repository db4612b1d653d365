//! The client: `EventSource` (WHATWG HTML, 9.2.2 and 9.2.3).

mod answer;
mod event;
mod phase;
mod route;
mod stats;

use super::decode::Decoder;
use super::message::Decoded;
use super::request::{SourceConfig, SourceRequest};
use super::{SourceClosed, SourceError, Timer};
use crate::attempts::Attempts;
use crate::http::{self, Client, ClientConfig, ClientEvent, ResponseHead};
#[cfg(feature = "tracing")]
use crate::reconnect::Attempt;
use crate::trace::{self, Span};
use crate::url::Url;
use crate::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};
#[cfg(doc)]
use crate::{Dialer, Machine};
use alloc::format;
use alloc::string::String;
use answer::Answer;
use core::time::Duration;
pub use event::{OwnedMessageEvent, OwnedSourceEvent, ReadyState, SourceEvent};
use phase::Phase;
use route::Route;
pub use stats::SourceStats;

/// A client of an event stream that reconnects and goes on where it was.
///
/// It asks for its transports with [`Transport::Dial`], as a [`Dialer`] does; the first time at once.
///
/// ```text
///              connected             200, text/event-stream
///   Dial ------------------> Open --------------------------> Open: messages
///    ^ ^                      |  \                              |
///    | +---- redirect --------+   \ anything else               | end, error, timeout
///    |                             v                            v
///    +---- retry ---- Down <---- Error, for now <---------------+
///                            or Error, Closed
/// ```
///
/// ```
/// use tidewire::sse::{EventSource, SourceConfig, SourceEvent, SourceRequest};
/// use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport, url::Url};
///
/// let now = Instant::EPOCH;
/// let request = SourceRequest::new(Url::parse("http://example.com/news")?);
/// let mut source = EventSource::new(request, SourceConfig::default(), &Seed::new([7; 32]), now)?;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(32 << 20), SendBuf::new());
///
/// assert_eq!(source.transport(), Transport::Dial); // connect to source.target()
/// source.connected(now, &mut tx); // write tx, read into rx
/// rx.push(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n");
/// while let Some(event) = source.poll_event(now, &mut rx, &mut tx) {
///     if let SourceEvent::Message(message) = event {
///         assert_eq!(message.data, "hello");
///     }
/// }
/// rx.finish(); // the server has gone
/// while let Some(event) = source.poll_event(now, &mut rx, &mut tx) {
///     assert!(matches!(event, SourceEvent::Error { .. }));
/// }
/// assert_eq!(source.transport(), Transport::Down);
/// let again = source.poll_timeout().unwrap(); // in a few seconds
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An event that has come in part when a connection ends is dropped with it (9.2.6). The last event
/// id is not: it is sent with the next request and, as in browsers, is that of the next stream's
/// events until one has its own.
///
/// # Fields that expire
///
/// Each attempt makes its request anew, from what [`request_mut`](Self::request_mut) gives access to.
/// With [`SourceConfig::announce`] there is an event in front of each attempt, and however long the
/// caller takes with it, the attempt waits:
///
/// ```
/// # use tidewire::sse::{EventSource, SourceConfig, SourceEvent, SourceRequest};
/// # use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport, url::Url};
/// # let now = Instant::EPOCH;
/// # let (mut rx, mut tx) = (RecvBuf::with_limit(32 << 20), SendBuf::new());
/// # let request = SourceRequest::new(Url::parse("http://example.com/news")?);
/// let config = SourceConfig { announce: true, ..SourceConfig::default() };
/// let mut source = EventSource::new(request, config, &Seed::new([7; 32]), now)?;
/// assert_eq!(source.transport(), Transport::Down);
/// while let Some(event) = source.poll_event(now, &mut rx, &mut tx) {
///     if let SourceEvent::Attempt = event {
///         source.request_mut().set_field("Authorization", "Bearer 42"); // a fresh one
///     }
/// }
/// assert_eq!(source.transport(), Transport::Dial);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Where it differs from a browser's
///
/// * The wait grows with each failure in a row, and chance has a part in it: the standard leaves both
///   open. Neither ever makes it shorter than the `retry` of the server.
/// * A `retry` is held within [bounds](SourceConfig::min_retry).
/// * An id that holds a control character is not sent: no header field can carry it (RFC 9110, 5.5).
/// * A redirect with 301 or 308 is remembered for the attempts to come, as RFC 9110 has it (15.4.2 and
///   15.4.9). Nothing but another one undoes it.
/// * What passes a limit of [`SourceConfig::limits`] fails the connection for good: the same event
///   would come again.
///
/// # Buffers
///
/// `rx` must hold more than [`Limits::event`](super::Limits::event); an event that doesn't fit into
/// it is an error.
#[derive(Debug)]
pub struct EventSource {
    request: SourceRequest,
    config: SourceConfig,
    route: Route,

    phase: Phase,
    attempts: Attempts,
    decoder: Decoder,
    /// The caller wants to leave the connection, for an attempt at this time.
    restart: Option<Instant>,
    /// Events and streams so far.
    events: u64,
    opened: u64,
    span: Span,

    event: Option<Pending>,
    /// Whether `event` was lent.
    lent: bool,
    /// To be told after `event`.
    closed: Option<SourceClosed>,
}

#[derive(Clone, Copy, Debug)]
enum Pending {
    Attempt,
    Open,
    Refused,
    Decoded,
    Error { why: SourceError, body: usize },
    Closed(SourceClosed),
}

impl EventSource {
    /// Begins with an attempt that is due now.
    ///
    /// # Errors
    /// If the request can't be sent, because of a header line for instance.
    pub fn new(
        request: SourceRequest,
        config: SourceConfig,
        seed: &Seed,
        now: Instant,
    ) -> Result<Self, http::Misuse> {
        let mut decoder = Decoder::new(config.limits);
        decoder.set_last_event_id(&request.last_event_id);
        let span =
            trace::span!("tidewire::sse", "event_source", url = %trace::Public(&request.url));
        let attempts =
            Attempts::new(Some(config.reconnect), config.announce, config.connect_timeout, seed);
        let mut source = Self {
            route: Route::new(&request.url),
            request,
            phase: Phase::Down { failed: None },
            attempts,
            decoder,
            restart: None,
            events: 0,
            opened: 0,
            span,
            event: None,
            lent: false,
            closed: None,
            config,
        };
        let id = source.decoder.last_event_id();
        let mut client = source.client(now);
        source.request.send(source.route.hop(), id, &mut client, now, &mut SendBuf::new())?;
        source.attempts.schedule(Duration::ZERO, now);
        Ok(source)
    }

    /// [`advance`](Self::advance), then [`event`](Self::event).
    pub fn poll_event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<SourceEvent<'a>> {
        if self.advance(now, rx, tx) { self.event(now, rx, tx) } else { None }
    }

    /// See [`Machine::advance`].
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if self.event.is_none() || self.lent {
            if core::mem::take(&mut self.lent) {
                // All is told: only now a transport is asked for.
                self.attempts.ask(now);
            }
            self.event = self.next(now, rx, tx);
        }
        self.event.is_some()
    }

    /// See [`Machine::event`].
    pub fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<SourceEvent<'a>> {
        if core::mem::replace(&mut self.lent, true) {
            return None;
        }
        let pending = self.event?;
        match pending {
            Pending::Attempt => Some(SourceEvent::Attempt),
            Pending::Open | Pending::Refused => {
                match (pending, self.phase.client_mut()?.event(now, rx, tx)?) {
                    (Pending::Open, ClientEvent::Response(head)) => Some(SourceEvent::Open(head)),
                    (_, ClientEvent::Response(head)) => Some(SourceEvent::Refused(head)),
                    _ => None,
                }
            }
            Pending::Decoded => match self.decoder.event(rx)? {
                Decoded::Event(message) => Some(SourceEvent::Message(message)),
                Decoded::Comment(comment) => Some(SourceEvent::Comment(comment)),
                Decoded::Retry(_) => None,
            },
            Pending::Error { why, body } => {
                let body = rx.content().get(..body).unwrap_or_default();
                Some(SourceEvent::Error { why, body })
            }
            Pending::Closed(closed) => Some(SourceEvent::Closed(closed)),
        }
    }

    /// See [`Machine::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timer().map(|(at, _)| at)
    }

    /// The earliest deadline and its reason.
    #[must_use]
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        let http = self.phase.client().and_then(|client| {
            let (at, timer) = client.next_timer()?;
            Some((at, timer.into()))
        });
        let body = match self.phase {
            Phase::Refused { until, .. } => until.map(|at| (at, Timer::Response)),
            _ => None,
        };
        let attempt = self.attempts.next_timer(Timer::Reconnect, Timer::Connect);
        let timers = [attempt, body, http];
        timers.into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// See [`Machine::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        if let Some(client) = self.phase.client_mut() {
            client.handle_timeout(now, tx);
        }
        if let Phase::Streaming { seen, .. } = &mut self.phase {
            *seen = None;
        }
        if let Phase::Refused { until, late, .. } = &mut self.phase {
            *late |= until.take_if(|at| *at <= now).is_some();
        }
        if self.attempts.handle_timeout(now) {
            self.dial_failed(now, DialError::Timeout);
        }
    }

    /// See [`Machine::transport`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Down { .. } if self.event.is_some() && !self.lent => Transport::Down,
            Phase::Down { .. } if self.attempts.may_dial() => Transport::Dial,
            Phase::Down { .. } | Phase::Over => Transport::Down,
            Phase::Asked(_) | Phase::Refused { .. } | Phase::Streaming { .. } => Transport::Open,
        }
    }

    /// See [`Dialer::target`].
    #[must_use]
    pub const fn target(&self) -> &Url {
        self.route.hop().url()
    }

    /// See [`Dialer::connected`].
    pub fn connected(&mut self, now: Instant, tx: &mut SendBuf) {
        if self.transport() != Transport::Dial {
            return;
        }
        self.attempts.stop();
        trace::event!("tidewire::sse", DEBUG, in self.span, attempt = self.attempts(), "connected");
        let mut client = self.client(now);
        // A server that sent an id which no field can carry will not have it back.
        let id = Some(self.decoder.last_event_id()).filter(|id| is_field_value(id));
        match self.request.send(self.route.hop(), id.unwrap_or_default(), &mut client, now, tx) {
            Ok(()) => self.phase = Phase::Asked(client),
            Err(why) => self.phase = Phase::Down { failed: Some(SourceError::Request(why)) },
        }
    }

    /// See [`Dialer::dial_failed`].
    pub fn dial_failed(&mut self, _now: Instant, why: DialError) {
        if let (Phase::Down { failed }, true) = (&mut self.phase, self.attempts.may_dial()) {
            *failed = Some(why.into());
            self.attempts.stop();
        }
    }

    /// Closes the source, whatever it is doing. What was not told yet is not told any more.
    pub fn close(&mut self) {
        if !matches!(self.phase, Phase::Over) {
            trace::event!("tidewire::sse", DEBUG, in self.span, "closed");
            self.attempts.stop();
            self.phase = Phase::Over;
            self.event = Some(Pending::Closed(SourceClosed::Caller));
            self.lent = false;
        }
    }

    /// Makes the next attempt `after` from `now`, whatever the policy or the server said; zero means
    /// at once. Does nothing while there is a connection or when it is all over; returns whether it
    /// did something.
    pub fn reconnect(&mut self, after: Duration, now: Instant) -> bool {
        let waits = matches!(self.phase, Phase::Down { failed: None });
        if waits {
            self.attempts.schedule(after, now);
            if !self.attempts.is_due() {
                // An attempt to come begins where the first one did, not behind a redirect.
                self.route.reset();
            }
            // Announced and not told of yet, an attempt is not to come now.
            let is_stale = |event: &Pending| matches!(event, Pending::Attempt) && !after.is_zero();
            self.event = self.event.filter(|event| !is_stale(event));
        }
        waits
    }

    /// As [`reconnect`](Self::reconnect), and gives up the connection or the attempt that is under
    /// way, if there is one: with the next [`advance`](Self::advance), so that an event that was
    /// announced can still be taken. This is no failure in the policy's books, and no event tells of
    /// it. Returns `false` when it is all over.
    pub fn restart(&mut self, after: Duration, now: Instant) -> bool {
        if matches!(self.phase, Phase::Over) {
            return false;
        }
        // A transport that was asked for is not waited for any longer.
        if self.attempts.may_dial() || !self.reconnect(after, now) {
            self.restart = Some(now + after);
        }
        true
    }

    /// The state, as the DOM has it.
    #[must_use]
    pub const fn ready_state(&self) -> ReadyState {
        match self.phase {
            Phase::Down { .. } | Phase::Asked(_) | Phase::Refused { .. } => ReadyState::Connecting,
            Phase::Streaming { .. } => ReadyState::Open,
            Phase::Over => ReadyState::Closed,
        }
    }

    /// When the next attempt is due, while it is waited for.
    #[must_use]
    pub const fn next_attempt(&self) -> Option<Instant> {
        self.attempts.reconnector.poll_timeout()
    }

    /// The id of the last event that had one; empty for none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// How many attempts have become due, redirects included. A transport that was asked for at
    /// another count is not wanted any more.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.attempts.reconnector.count()
    }

    /// What was received so far, on all connections together.
    #[must_use]
    pub const fn stats(&self) -> SourceStats {
        SourceStats {
            events: self.events,
            attempts: self.attempts(),
            reconnects: self.opened.saturating_sub(1),
        }
    }

    /// The URL that was asked for, before any redirect: the DOM's `url`.
    #[must_use]
    pub const fn url(&self) -> &Url {
        self.request.url()
    }

    /// Where the stream comes from, the DOM's `origin` of its events: scheme, host and port behind
    /// all redirects (9.2.6), such as `http://example.com` or `http://example.com:8080`. While there
    /// is no stream, where the next request goes.
    #[must_use]
    pub fn origin(&self) -> String {
        let url = self.target();
        let scheme = if url.is_secure() { "https" } else { "http" };
        format!("{scheme}://{}", url.host_header())
    }

    /// The request, to change it for the attempts to come.
    pub const fn request_mut(&mut self) -> &mut SourceRequest {
        &mut self.request
    }

    fn client(&self, now: Instant) -> Client {
        let config = ClientConfig {
            limits: self.config.http,
            head_timeout: self.config.response_timeout,
            body_timeout: self.config.idle_timeout,
            ..ClientConfig::default()
        };
        Client::new(config, now)
    }

    /// The next thing to tell.
    fn next(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> Option<Pending> {
        if let Some(closed) = self.closed.take() {
            return Some(Pending::Closed(closed));
        }
        if let (Some(at), false) = (self.restart.take(), matches!(self.phase, Phase::Over)) {
            self.leave_connection();
            self.attempts.schedule(at.saturating_since(now), now);
        }
        loop {
            match &mut self.phase {
                Phase::Down { failed: Some(why) } => {
                    let why = *why;
                    return Some(self.end(why, 0, Duration::ZERO, now));
                }
                Phase::Down { failed: None } => {
                    // Nothing of a connection that is over may reach the next one.
                    rx.clear();
                    tx.clear();
                    if self.request.take_move() {
                        self.route = Route::new(&self.request.url);
                        if self.attempts.may_dial() {
                            // What was dialled for the old URL is not wanted any more.
                            self.attempts.go_on(now);
                        }
                    }
                    return self.attempts.poll(now).then_some(Pending::Attempt);
                }
                Phase::Over => {
                    rx.clear();
                    tx.clear();
                    return None;
                }
                Phase::Asked(client) => {
                    if !client.advance(now, rx, tx) {
                        return None;
                    }
                    match client.peek(rx)? {
                        ClientEvent::Response(head) => {
                            if let Some(pending) = self.answered(head, now) {
                                return Some(pending);
                            }
                        }
                        ClientEvent::Closed(why) => {
                            return Some(self.end(why.into(), 0, Duration::ZERO, now));
                        }
                        // An interim response.
                        _ => drop(client.event(now, rx, tx)),
                    }
                }
                Phase::Refused { client, why, late, after, .. } => {
                    let (why, after, mut over) = (*why, *after, *late);
                    while !over && client.advance(now, rx, tx) {
                        let event = client.event(now, rx, tx);
                        over = matches!(event, Some(ClientEvent::End(_) | ClientEvent::Closed(_)));
                    }
                    let body = rx.content().len().min(self.config.error_body);
                    // What follows a 101 is no body, and no event says that it ends.
                    over |= body == self.config.error_body || rx.is_full() || client.is_upgraded();
                    return over.then(|| self.end(why, body, after, now));
                }
                Phase::Streaming { client, ended, seen } => {
                    // Between two events that lie in the buffer there is nothing new for HTTP.
                    let input = (rx.raw().len(), rx.is_finished());
                    let looks = *seen != Some(input);
                    if looks {
                        while ended.is_none() && client.advance(now, rx, tx) {
                            *ended = match client.event(now, rx, tx) {
                                Some(ClientEvent::End(_)) => Some(SourceError::EndOfStream),
                                Some(ClientEvent::Closed(why)) => Some(why.into()),
                                _ => None,
                            };
                        }
                        *seen = Some((rx.raw().len(), rx.is_finished()));
                    }
                    let ended = *ended;
                    match (self.decoder.advance(rx), ended) {
                        (Ok(true), _) => {
                            if let Some(pending) = self.decoded(rx) {
                                return Some(pending);
                            }
                        }
                        (Ok(false), None) if looks => return None,
                        (Ok(false), None) => *seen = None,
                        (Ok(false), Some(why)) => {
                            return Some(self.end(why, 0, Duration::ZERO, now));
                        }
                        (Err(error), _) => {
                            return Some(self.end(error.into(), 0, Duration::ZERO, now));
                        }
                    }
                }
            }
        }
    }

    /// The head of the response is here.
    fn answered(&mut self, head: ResponseHead<'_>, now: Instant) -> Option<Pending> {
        let method = self.request.method_name();
        let (hop, redirects) = (self.route.hop(), self.route.redirects());
        let answer = Answer::of(head, &self.config, hop, redirects, method);
        if let Answer::Redirect { to, for_ever } = answer {
            trace::event!(
                "tidewire::sse", DEBUG, in self.span,
                to = %trace::Public(to.url()), for_ever, "redirected"
            );
            self.route.follow(to, for_ever);
            self.phase = Phase::Down { failed: None };
            self.attempts.go_on(now);
            return None;
        }
        let phase = core::mem::replace(&mut self.phase, Phase::Over);
        let Phase::Asked(mut client) = phase else { return None };
        client.hold_body();
        if let Answer::Refusal { why, after } = answer {
            trace::event!("tidewire::sse", DEBUG, in self.span, %why, ?after, "refused");
            let until = self.config.response_timeout.map(|timeout| now + timeout);
            self.phase = Phase::Refused { client, why, until, late: false, after };
            return Some(Pending::Refused);
        }
        self.attempts.reconnector.opened(now);
        self.opened += 1;
        trace::event!("tidewire::sse", DEBUG, in self.span, "open");
        self.phase = Phase::Streaming { client, ended: None, seen: None };
        Some(Pending::Open)
    }

    /// The decoder has found something.
    fn decoded(&mut self, rx: &mut RecvBuf) -> Option<Pending> {
        if let Some(retry) = self.decoder.found_retry() {
            let retry = retry.max(self.config.min_retry).min(self.config.max_retry);
            self.attempts.reconnector.set_first(retry);
            self.decoder.event(rx);
            return None;
        }
        if self.decoder.found_event() {
            self.events += 1;
            self.attempts.reconnector.progress();
        }
        Some(Pending::Decoded)
    }

    /// The connection has ended, or the attempt to have one. No other attempt before `after`.
    fn end(&mut self, why: SourceError, body: usize, after: Duration, now: Instant) -> Pending {
        self.leave_connection();
        if why.is_final() {
            self.closed = Some(SourceClosed::Failed(why));
        } else if !self.attempts.closed(after, now) {
            self.closed = Some(SourceClosed::GaveUp(why));
        }
        if self.closed.is_some() {
            self.phase = Phase::Over;
        }
        trace::event!(
            "tidewire::sse", DEBUG, in self.span,
            %why, again = ?self.again(now), "disconnected"
        );
        Pending::Error { why, body }
    }

    /// How long until the next attempt; `None` if there will be none.
    #[cfg(feature = "tracing")]
    fn again(&self, now: Instant) -> Option<Duration> {
        match self.attempts.reconnector.attempt() {
            Attempt::Due => Some(Duration::ZERO),
            Attempt::Waiting(until) => Some(until.saturating_since(now)),
            Attempt::Idle => None,
        }
    }

    fn leave_connection(&mut self) {
        self.attempts.stop();
        self.decoder.reset();
        self.route.reset();
        self.phase = Phase::Down { failed: None };
    }
}

/// Whether a header field can carry this (RFC 9110, 5.5).
fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| byte >= b' ' && byte != 0x7F || byte == b'\t')
}

crate::machine::dialer!(EventSource, SourceEvent);
