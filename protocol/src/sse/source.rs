//! The client: `EventSource` (WHATWG HTML, 9.2.2 and 9.2.3).

use super::decode::{Decoded, Decoder, MessageEvent};
use super::request::{SourceConfig, SourceRequest};
use super::{MEDIA_TYPE, RedirectError, SourceClosed, SourceError, Timer};
use crate::http::{self, Client, ClientConfig, ClientEvent, Hop, ResponseHead, Status};
use crate::reconnect::{Attempt, Reconnector};
use crate::timer::Timers;
use crate::url::Url;
use crate::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};
#[cfg(doc)]
use crate::{Dialer, Machine};
use core::time::Duration;

/// What an [`EventSource`] has to tell.
#[derive(Clone, Copy, Debug)]
pub enum SourceEvent<'a> {
    /// The stream is open.
    Open(ResponseHead<'a>),
    /// An event of the stream.
    Message(MessageEvent<'a>),
    /// A comment in the stream, which browsers drop: the server is alive.
    Comment(&'a str),
    /// The server answered with something else than an event stream. An error follows.
    Refused(ResponseHead<'a>),
    /// The connection was lost, or none could be had. Unless [`SourceError::is_final`], or the
    /// policy gives up, there will be another attempt.
    Error {
        /// Why.
        why: SourceError,
        /// How the body of a refusal begins; empty for other errors.
        body: &'a [u8],
    },
    /// It is over. Exactly one, and the last event.
    Closed(SourceClosed),
}

/// The state of an [`EventSource`] (WHATWG HTML, 9.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadyState {
    /// There is no stream yet, or not any more, but there will be an attempt to have one.
    Connecting,
    /// Events come.
    Open,
    /// It is over.
    Closed,
}

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
/// assert_eq!(source.poll_timeout(), Some(now + core::time::Duration::from_secs(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An event that has come in part when a connection ends is dropped with it (9.2.6). The last event
/// id is not: it is sent with the next request and, as in browsers, is that of the next stream's
/// events until one has its own.
///
/// `rx` must hold more than [`Limits::event`](super::Limits::event); an event that doesn't fit into
/// it is an error.
#[derive(Debug)]
pub struct EventSource {
    request: SourceRequest,
    config: SourceConfig,
    /// Where an attempt starts: at the request's URL, or where that has moved for good.
    base: Hop,
    hop: Hop,
    redirects: u8,
    /// Whether all redirects of this attempt hold for ever.
    moved: bool,

    phase: Phase,
    reconnector: Reconnector,
    timers: Timers<Timer, 4>,
    decoder: Decoder,

    event: Option<Pending>,
    /// Whether `event` was lent.
    lent: bool,
    /// To be told after `event`.
    closed: Option<SourceClosed>,
}

#[derive(Debug)]
enum Phase {
    /// No connection. Whether one is wanted is up to the reconnector.
    Down {
        /// The attempt that was due has failed.
        failed: Option<SourceError>,
    },
    /// The request was sent.
    Asked(Client),
    /// Waits for the beginning of a refusal's body.
    Refused {
        client: Client,
        why: SourceError,
        late: bool,
    },
    Streaming {
        client: Client,
        ended: Option<SourceError>,
    },
    Over,
}

#[derive(Clone, Copy, Debug)]
enum Pending {
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
        let hop = Hop::start(request.url.clone());
        let mut decoder = Decoder::new(config.limits);
        decoder.set_last_event_id(&request.last_event_id);
        let mut source = Self {
            reconnector: Reconnector::new(Some(config.reconnect), seed),
            request,
            base: hop.clone(),
            hop,
            redirects: 0,
            moved: true,
            phase: Phase::Down { failed: None },
            timers: Timers::new(),
            decoder,
            event: None,
            lent: false,
            closed: None,
            config,
        };
        let id = source.decoder.last_event_id();
        let mut client = source.client(now);
        source.request.send(&source.hop, id, &mut client, now, &mut SendBuf::new())?;
        source.dial(Duration::ZERO, now);
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
            self.lent = false;
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
        let reconnect = self.reconnector.poll_timeout().map(|at| (at, Timer::Reconnect));
        let http = self.phase.client().and_then(|client| {
            let (at, timer) = client.next_timer()?;
            Some((at, timer.into()))
        });
        [self.timers.next(), http, reconnect].into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// See [`Machine::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        if let Some(client) = self.phase.client_mut() {
            client.handle_timeout(now, tx);
        }
        while let Some(timer) = self.timers.expire(now) {
            match (timer, &mut self.phase) {
                (Timer::Connect, _) => self.dial_failed(now, DialError::Timeout),
                (_, Phase::Refused { late, .. }) => *late = true,
                _ => {}
            }
        }
        if self.reconnector.handle_timeout(now) {
            self.timers.set_after(Timer::Connect, now, self.config.connect_timeout);
        }
    }

    /// See [`Machine::transport`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Down { .. } if self.event.is_some() && !self.lent => Transport::Down,
            Phase::Down { .. } if self.reconnector.attempt() == Attempt::Due => Transport::Dial,
            Phase::Down { .. } | Phase::Over => Transport::Down,
            Phase::Asked(_) | Phase::Refused { .. } | Phase::Streaming { .. } => Transport::Open,
        }
    }

    /// See [`Dialer::target`].
    #[must_use]
    pub const fn target(&self) -> &Url {
        self.hop.url()
    }

    /// See [`Dialer::connected`].
    pub fn connected(&mut self, now: Instant, tx: &mut SendBuf) {
        if self.transport() != Transport::Dial {
            return;
        }
        self.reconnector.started();
        self.timers.stop(Timer::Connect);
        let mut client = self.client(now);
        // A server that sent an id which no field can carry will not have it back.
        let id = Some(self.decoder.last_event_id()).filter(|id| is_field_value(id));
        match self.request.send(&self.hop, id.unwrap_or_default(), &mut client, now, tx) {
            Ok(()) => self.phase = Phase::Asked(client),
            Err(why) => self.phase = Phase::Down { failed: Some(SourceError::Request(why)) },
        }
    }

    /// See [`Dialer::dial_failed`].
    pub fn dial_failed(&mut self, _now: Instant, why: DialError) {
        if let (Phase::Down { failed }, Attempt::Due) =
            (&mut self.phase, self.reconnector.attempt())
        {
            *failed = Some(why.into());
            self.reconnector.started();
            self.timers.stop(Timer::Connect);
        }
    }

    /// Closes the source, whatever it is doing. What was not told yet is not told any more.
    pub fn close(&mut self) {
        if !matches!(self.phase, Phase::Over) {
            self.reconnector.cancel();
            self.timers.stop_all();
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
            self.dial(after, now);
        }
        waits
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

    /// The id of the last event that had one; empty for none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// How many attempts have become due, redirects included. A transport that was asked for at
    /// another count is not wanted any more.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.reconnector.count()
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

    fn dial(&mut self, after: Duration, now: Instant) {
        self.reconnector.schedule(after, now);
        match self.reconnector.attempt() {
            Attempt::Due => self.timers.set_after(Timer::Connect, now, self.config.connect_timeout),
            Attempt::Waiting(_) | Attempt::Idle => self.timers.stop(Timer::Connect),
        }
    }

    /// The next thing to tell.
    fn next(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> Option<Pending> {
        if let Some(closed) = self.closed.take() {
            return Some(Pending::Closed(closed));
        }
        loop {
            match &mut self.phase {
                Phase::Down { failed: Some(why) } => {
                    let why = *why;
                    return Some(self.end(why, 0, now));
                }
                Phase::Down { failed: None } | Phase::Over => {
                    // Nothing of a connection that is over may reach the next one.
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
                        ClientEvent::Closed(why) => return Some(self.end(why.into(), 0, now)),
                        // An interim response.
                        _ => drop(client.event(now, rx, tx)),
                    }
                }
                Phase::Refused { client, why, late } => {
                    let (why, mut over) = (*why, *late);
                    while !over && client.advance(now, rx, tx) {
                        let event = client.event(now, rx, tx);
                        over = matches!(event, Some(ClientEvent::End(_) | ClientEvent::Closed(_)));
                    }
                    let body = rx.content().len().min(self.config.error_body);
                    // What follows a 101 is no body, and no event says that it ends.
                    over |= body == self.config.error_body || rx.is_full() || client.is_upgraded();
                    return over.then(|| self.end(why, body, now));
                }
                Phase::Streaming { client, ended } => {
                    while ended.is_none() && client.advance(now, rx, tx) {
                        *ended = match client.event(now, rx, tx) {
                            Some(ClientEvent::End(_)) => Some(SourceError::EndOfStream),
                            Some(ClientEvent::Closed(why)) => Some(why.into()),
                            _ => None,
                        };
                    }
                    let ended = *ended;
                    match (self.decoder.advance(rx), ended) {
                        (Ok(true), _) => {
                            if let Some(pending) = self.decoded(rx) {
                                return Some(pending);
                            }
                        }
                        (Ok(false), None) => return None,
                        (Ok(false), Some(why)) => return Some(self.end(why, 0, now)),
                        (Err(error), _) => return Some(self.end(error.into(), 0, now)),
                    }
                }
            }
        }
    }

    /// The head of the response is here.
    fn answered(&mut self, head: ResponseHead<'_>, now: Instant) -> Option<Pending> {
        let why = match self.judge(head) {
            Ok(None) => None,
            Ok(Some((hop, for_ever))) => {
                self.redirects += 1;
                self.moved &= for_ever;
                if self.moved {
                    self.base = hop.clone();
                }
                self.hop = hop;
                self.phase = Phase::Down { failed: None };
                self.dial(Duration::ZERO, now);
                return None;
            }
            Err(why) => Some(why),
        };
        let phase = core::mem::replace(&mut self.phase, Phase::Over);
        let Phase::Asked(mut client) = phase else { return None };
        client.hold_body();
        if let Some(why) = why {
            self.timers.set_after(Timer::Response, now, self.config.response_timeout);
            self.phase = Phase::Refused { client, why, late: false };
            return Some(Pending::Refused);
        }
        self.reconnector.opened(now);
        self.phase = Phase::Streaming { client, ended: None };
        Some(Pending::Open)
    }

    /// Is it a stream, a redirect (and does that hold for ever), or nothing we can use?
    fn judge(&self, head: ResponseHead<'_>) -> Result<Option<(Hop, bool)>, SourceError> {
        if http::is_redirect(head.status) {
            if self.redirects >= self.config.max_redirects {
                return Err(RedirectError::TooMany.into());
            }
            let location = head.headers.get_str("Location").ok_or(RedirectError::Location)?;
            let hop = self.hop.follow(head.status, location, self.request.method())?;
            return Ok(Some((hop, http::is_permanent(head.status))));
        }
        if head.status != Status::OK {
            return Err(SourceError::Status(head.status));
        }
        // Parameters mean nothing: the stream is UTF-8 whatever they say (9.2.5).
        let media_type = head.headers.get_all("Content-Type").last().unwrap_or_default();
        let essence = media_type.split(|&byte| byte == b';').next().unwrap_or_default();
        if !essence.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) {
            return Err(SourceError::ContentType);
        }
        Ok(None)
    }

    /// The decoder has found something.
    fn decoded(&mut self, rx: &mut RecvBuf) -> Option<Pending> {
        if let Some(retry) = self.decoder.found_retry() {
            let retry = retry.max(self.config.min_retry).min(self.config.max_retry);
            self.reconnector.set_first(retry);
            self.decoder.event(rx);
            return None;
        }
        if self.decoder.found_event() {
            self.reconnector.progress();
        }
        Some(Pending::Decoded)
    }

    /// The connection has ended, or the attempt to have one.
    fn end(&mut self, why: SourceError, body: usize, now: Instant) -> Pending {
        self.timers.stop_all();
        self.decoder.reset();
        self.hop = self.base.clone();
        self.redirects = 0;
        self.moved = true;
        self.phase = Phase::Down { failed: None };
        if why.is_final() {
            self.reconnector.cancel();
            self.closed = Some(SourceClosed::Failed(why));
        } else if self.reconnector.closed(now).is_none() {
            self.closed = Some(SourceClosed::GaveUp(why));
        } else if self.reconnector.attempt() == Attempt::Due {
            self.timers.set_after(Timer::Connect, now, self.config.connect_timeout);
        }
        if self.closed.is_some() {
            self.phase = Phase::Over;
        }
        Pending::Error { why, body }
    }
}

impl Phase {
    const fn client(&self) -> Option<&Client> {
        match self {
            Self::Asked(client) | Self::Refused { client, .. } => Some(client),
            Self::Streaming { client, .. } => Some(client),
            Self::Down { .. } | Self::Over => None,
        }
    }

    const fn client_mut(&mut self) -> Option<&mut Client> {
        match self {
            Self::Asked(client) | Self::Refused { client, .. } => Some(client),
            Self::Streaming { client, .. } => Some(client),
            Self::Down { .. } | Self::Over => None,
        }
    }
}

/// Whether a header field can carry this (RFC 9110, 5.5).
fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| byte >= b' ' && byte != 0x7F || byte == b'\t')
}

crate::machine::dialer!(EventSource, SourceEvent);
