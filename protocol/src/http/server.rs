//! The server's side of a connection (RFC 9112).

use super::defaults::DefaultFields;
use super::framing::{self, RequestFraming};
use super::headers::Headers;
use super::incoming::Incoming;
use super::outgoing::{
    BodyLength, NO_FIELDS, Outgoing, check_fields, write_field, write_fields, write_status_line,
};
use super::parse::{ParsedRequest, RequestParser};
use super::slot::{Core, Life, Pace, Read};
use super::state::{Party, State, States, Step};
use super::{
    CloseReason, Closed, Misuse, ProtocolError, ServerConfig, ServerEvent, Status, Timer, Version,
};
use crate::trace;
use crate::{Instant, RecvBuf, SendBuf, Transport};
use alloc::sync::Arc;
use bytes::Bytes;

/// One connection of a server.
///
/// Each request gives [`Request`](ServerEvent::Request), some [`Data`](ServerEvent::Data) and
/// [`End`](ServerEvent::End). The next one is looked at when this one is over and its response
/// finished and, but for [`ServerConfig::send_high_water`] bytes, written; until then it waits in
/// `rx`, unanswered. A response may begin and finish before the
/// request is over; the rest of its body is still told, unless the connection closes behind it.
///
/// ```
/// use tidewire::http::{BodyLength, Server, ServerConfig, ServerEvent, Status};
/// use tidewire::{Instant, RecvBuf, SendBuf};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
/// let mut server = Server::new(ServerConfig::default(), now);
///
/// rx.push(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
/// while let Some(event) = server.poll_event(now, &mut rx, &mut tx) {
///     if let ServerEvent::Request(head) = event {
///         assert_eq!(head.target, "/");
///         let fields = [("Content-Type", "text/plain")];
///         server.respond(Status::OK, fields, BodyLength::Known(2), now, &mut tx)?;
///         server.send_data(b"ok", &mut tx)?;
///         server.finish(&mut tx)?;
///     }
/// }
/// assert_eq!(
///     tx.chunk(),
///     b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
/// );
/// # Ok::<(), tidewire::http::Misuse>(())
/// ```
///
/// # What it does by itself
///
/// * A request that breaks a rule is answered with [`ProtocolError::status_hint`] and
///   `Connection: close`, if no response has begun.
/// * `100 Continue` is sent when a request waits for it and the caller polls on without having
///   responded (RFC 9110, 10.1.1).
/// * `Content-Length`, `Transfer-Encoding`, `Connection: close` and `keep-alive` are written as the
///   request and the response need them. `Date` is not, for there is no clock here: see
///   [`set_default_fields`](Self::set_default_fields).
/// * A client that shuts down its sending side behind a request is still answered, and then closed.
///   Where that means that it has left, say [`end_on_eof`](Self::end_on_eof).
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    core: Core<Lent>,
    parser: RequestParser,
    asked: Asked,
    shutting_down: bool,
    /// It was shut down, and nobody waits for a response.
    parts: bool,
    /// The response says that the connection ends behind it, so that its client closes too.
    told_close: bool,
    ends_on_eof: bool,
    defaults: DefaultFields,
}

/// What matters of the request under way.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    version: Version,
    head: bool,
    connect: bool,
    upgrade: bool,
    /// It waits for `100 Continue`, which has not been sent.
    awaits_continue: bool,
}

#[derive(Clone, Copy, Debug)]
enum Lent {
    Request(ParsedRequest),
    Data(usize),
    End,
    Closed(Closed),
}

impl From<Closed> for Lent {
    fn from(why: Closed) -> Self {
        Self::Closed(why)
    }
}

impl Server {
    /// The server's side of a connection that has just been accepted. With an [`Arc`] of it, all
    /// connections have one configuration.
    #[must_use]
    pub fn new(config: impl Into<Arc<ServerConfig>>, now: Instant) -> Self {
        let config = config.into();
        let mut core = Core::new(Party::Client);
        core.timers.set_after(Timer::Head, now, config.head_timeout);
        Self {
            config,
            core,
            parser: RequestParser::new(),
            asked: Asked::default(),
            shutting_down: false,
            parts: false,
            told_close: false,
            ends_on_eof: false,
            defaults: DefaultFields::default(),
        }
    }

    // Commands.

    /// Begins the response: writes its head.
    ///
    /// The answer to a HEAD is given as if it were a GET; what would be its body is dropped. A body
    /// declared [`BodyLength::EMPTY`] is complete at once; every other one needs
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn respond(
        &mut self,
        status: Status,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        length: BodyLength,
        _now: Instant,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        self.check_due()?;
        if status.is_informational() || (self.asked.connect && status.is_success()) {
            return Err(Misuse::BadStatus);
        }
        let bodiless = matches!(status.code(), 204 | 205);
        if bodiless && length != BodyLength::EMPTY {
            return Err(Misuse::BodyNotAllowed);
        }
        let declared = check_fields(fields.clone())?;
        if let Some(index) = declared.keep_alive {
            return Err(Misuse::FramingField(index));
        }
        let chunked = self.asked.version == Version::Http11;
        let until_close = length == BodyLength::Unknown
            && !(chunked || self.asked.head || status == Status::NOT_MODIFIED);
        let tracker = &mut self.core.tracker;
        for (holds, reason) in [
            (declared.close, CloseReason::ServerSaidClose),
            (until_close, CloseReason::CloseDelimited),
            (self.asked.awaits_continue, CloseReason::NoContinue),
        ] {
            if holds {
                tracker.close(reason);
            }
        }
        let closes = tracker.close_reason().is_some();
        self.told_close = closes;

        trace::event!("tidewire::http", TRACE, status = status.code(), closes, "response");
        write_status_line(status, tx);
        write_fields(fields.clone(), tx);
        self.defaults.write(fields, tx);
        let body = Outgoing::begin_response(status, length, self.asked.head, chunked, tx);
        match (closes, self.asked.version) {
            (true, _) if !declared.close => write_field("Connection", b"close", tx),
            (false, Version::Http10) => write_field("Connection", b"keep-alive", tx),
            _ => {}
        }
        tx.append(b"\r\n");
        tracker.step(Party::Server, Step::Response);
        self.core.outgoing = body;
        if body == Outgoing::Finished {
            self.sent();
        }
        Ok(())
    }

    /// Sends a piece of the response's body. It is queued whatever its length: compare
    /// [`SendBuf::len`] with what you want to have waiting.
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn send_data(&mut self, data: &[u8], tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body()?.send(data, tx)
    }

    /// Sends a piece of the response's body, without copying it if it is large.
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn send_shared(&mut self, data: &Bytes, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body()?.send_shared(data, tx)
    }

    /// Finishes the response. Does nothing if it is finished already.
    ///
    /// # Errors
    /// [`Misuse::BodyTooShort`] if less was sent than announced.
    pub fn finish(&mut self, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body()?.finish(tx)?;
        self.sent();
        Ok(())
    }

    /// Finishes the response with trailers (RFC 9110, 6.5), which only a chunked body can have: one of
    /// [`BodyLength::Unknown`]. Where the body is dropped, or a client of HTTP/1.0 reads until the
    /// connection closes, they are dropped too.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); [`Misuse::TrailersNotAllowed`] if the length was announced,
    /// [`Misuse::ForbiddenTrailer`] for a field that may only stand in a head. Then the response is
    /// not finished.
    pub fn finish_with_trailers(
        &mut self,
        trailers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        self.body()?.finish_with_trailers(trailers, tx)?;
        self.sent();
        Ok(())
    }

    /// Writes an interim response, such as `103 Early Hints` (RFC 9110, 15.2). A client of HTTP/1.0
    /// gets none.
    ///
    /// # Errors
    /// [`Misuse::BadStatus`] for `101` and for statuses from 200 on, and as
    /// [`respond`](Self::respond).
    pub fn inform(
        &mut self,
        status: Status,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        self.check_due()?;
        if !status.is_informational() || status == Status::SWITCHING_PROTOCOLS {
            return Err(Misuse::BadStatus);
        }
        check_fields(fields.clone())?;
        if self.asked.version == Version::Http11 {
            write_status_line(status, tx);
            write_fields(fields, tx);
            tx.append(b"\r\n");
            if status == Status::CONTINUE {
                self.asked.awaits_continue = false;
            }
        }
        self.core.tracker.step(Party::Server, Step::Interim);
        Ok(())
    }

    /// Leaves the connection to another protocol: writes `101 Switching Protocols`, or `200 OK` if
    /// the request is a CONNECT. `fields` name the protocol: `Connection: Upgrade` and `Upgrade`.
    ///
    /// Then poll until there is no event. From then on [`RecvBuf::raw`] is the other protocol's,
    /// first byte first, and this machine does nothing any more.
    ///
    /// # Errors
    /// [`Misuse::NoUpgrade`] if the request has no `Upgrade` or still has a body to read, or the client
    /// has shut down its sending side, and as
    /// [`respond`](Self::respond).
    pub fn upgrade(
        &mut self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        self.check_due()?;
        let declared = check_fields(fields.clone())?;
        let named = self.asked.upgrade && declared.upgrade;
        // Nor is there anything to switch to with a client that has shut down its sending side.
        let half_closed = self.core.tracker.client() == State::Closed;
        if !self.is_request_read() || half_closed || !(named || self.asked.connect) {
            return Err(Misuse::NoUpgrade);
        }
        let status = if self.asked.connect { Status::OK } else { Status::SWITCHING_PROTOCOLS };
        trace::event!("tidewire::http", DEBUG, status = status.code(), "switched protocols");
        write_status_line(status, tx);
        write_fields(fields.clone(), tx);
        if self.asked.connect {
            self.defaults.write(fields, tx);
        }
        tx.append(b"\r\n");
        if self.core.tracker.client() == State::SendBody {
            self.core.tracker.step(Party::Client, Step::End);
        }
        self.core.tracker.step(Party::Server, Step::Switch);
        self.core.timers.stop_all();
        Ok(())
    }

    /// Takes the end of the client's side of the connection for its leave from now on, until the
    /// response under way is finished: [`Closed::Eof`] follows at once. For a response without end,
    /// such as an event stream, whose client would else be noticed only when a write fails.
    pub fn end_on_eof(&mut self) {
        self.ends_on_eof = true;
    }

    /// Adds `fields` to every final response from now on, refusals included, but for names that the
    /// response has itself: `Date` and `Server` (RFC 9110, 6.6.1 and 10.2.4).
    pub fn set_default_fields(&mut self, fields: DefaultFields) {
        self.defaults = fields;
    }

    /// Ends the connection in order: at once if it is idle, else behind the response to the request
    /// under way. A response that has not begun says `Connection: close`.
    ///
    /// An idle connection that has written everything is [`Transport::Down`] then. Others linger lest a
    /// reset overtakes their response (RFC 9112, 9.6); here it could do so only to a client that asks
    /// for more before it has read the last one.
    pub fn shutdown(&mut self, _now: Instant) {
        if !self.core.is_running() {
            return;
        }
        self.shutting_down = true;
        let states = self.core.tracker.states();
        if matches!(states, States { client: State::Done, server: State::Done }) {
            self.start_next();
        }
        if self.is_idle() {
            self.core.timers.stop_all();
            self.core.tracker.close(CloseReason::Shutdown);
            self.core.ending(Closed::Done);
        } else if self.core.tracker.client() != State::Idle {
            self.core.tracker.close(CloseReason::Shutdown);
        }
    }

    /// Ends the connection without finishing the response under way, so that the client can tell it
    /// from a whole one. What waits in `tx` is still sent.
    pub fn abort(&mut self) {
        if self.core.is_running() {
            self.core.timers.stop_all();
            self.core.ending(Closed::Aborted);
        }
    }

    // Queries.

    /// The states of both parties.
    #[must_use]
    pub fn states(&self) -> States {
        self.core.tracker.states()
    }

    /// Whether the connection waits for a request, of which nothing has been seen.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.is_running()
            && self.core.tracker.client() == State::Idle
            && !self.parser.has_begun()
    }

    /// Whether a request waits for its response to be begun.
    #[must_use]
    pub fn is_response_due(&self) -> bool {
        self.check_due().is_ok()
    }

    /// Whether a response has begun and is not finished.
    #[must_use]
    pub fn is_responding(&self) -> bool {
        self.core.is_running() && self.core.tracker.server() == State::SendBody
    }

    /// Whether another request may follow the one under way.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.core.is_running() && self.close_reason().is_none()
    }

    /// Why no request will follow the one under way; `None` if one may.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        let shutdown = self.shutting_down.then_some(CloseReason::Shutdown);
        self.core.tracker.close_reason().or(shutdown)
    }

    /// Whether the connection belongs to another protocol: see [`upgrade`](Self::upgrade).
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.core.tracker.server() == State::Switched
    }

    /// The deadline that comes next, and its reason.
    #[must_use]
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        self.core.timers.next()
    }

    // The machine.

    /// [`advance`](Self::advance), then [`event`](Self::event).
    pub fn poll_event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<ServerEvent<'a>> {
        self.advance(now, rx, tx);
        self.event(now, rx, tx)
    }

    /// See [`Machine::advance`](crate::Machine::advance).
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if !self.core.release(rx) {
            return true;
        }
        let event = self.step(now, rx, tx);
        if event.is_none() && !self.is_upgraded() {
            self.core.watch_writes(now, self.config.write_timeout, tx);
        }
        self.core.announce(event)
    }

    /// See [`Machine::event`](crate::Machine::event).
    pub fn event<'a>(
        &mut self,
        _now: Instant,
        rx: &'a mut RecvBuf,
        _tx: &mut SendBuf,
    ) -> Option<ServerEvent<'a>> {
        let event = self.core.take()?;
        let rx: &'a RecvBuf = rx;
        Some(match event {
            Lent::Request(request) => ServerEvent::Request(request.head(rx)),
            Lent::Data(len) => ServerEvent::Data(&rx.raw()[..len]),
            Lent::End => ServerEvent::End(Headers { bytes: rx.raw(), spans: &rx.spans }),
            Lent::Closed(why) => ServerEvent::Closed(why),
        })
    }

    /// See [`Machine::poll_timeout`](crate::Machine::poll_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.next().map(|(at, _)| at)
    }

    /// See [`Machine::handle_timeout`](crate::Machine::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        while let Some(timer) = self.core.timers.expire(now) {
            match timer {
                Timer::Linger => continue,
                Timer::Write if !self.core.has_stalled(now, self.config.write_timeout, tx) => {
                    continue;
                }
                // Nobody would read a refusal.
                Timer::Write => {}
                // Nothing was asked by a client that has not begun to send.
                _ if self.is_idle() => {}
                _ => {
                    self.refuse(Status::REQUEST_TIMEOUT, tx);
                    self.linger(now);
                }
            }
            self.stop_all_but_linger();
            self.core.ending(Closed::Timeout(timer));
        }
    }

    /// See [`Machine::transport`](crate::Machine::transport).
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.core.transport() {
            Transport::Close if self.parts => Transport::Down,
            Transport::Close if self.core.timers.get(Timer::Linger).is_some() => {
                Transport::CloseWrite
            }
            wanted => wanted,
        }
    }

    /// Goes on to the next event, and says how many raw bytes it covers.
    fn step(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> Option<(Lent, usize)> {
        match self.core.life {
            Life::Running => {}
            Life::Ending(why) => {
                self.parts = why == Closed::Done && has_nothing_left(rx, tx);
                return self.end(why);
            }
            Life::Over => {
                self.core.discard(rx);
                if rx.is_finished() {
                    self.core.timers.stop_all();
                }
                return None;
            }
        }
        match self.core.tracker.states() {
            States { client: State::SendBody, server: State::MustClose }
                if !self.is_request_read() =>
            {
                // Answered early: what the client still sends is for nobody.
                if !rx.is_finished() {
                    self.linger(now);
                }
                return self.end(Closed::Done);
            }
            States { client: State::MustClose | State::Closed, server: State::MustClose } => {
                let shut_down = self.close_reason() == Some(CloseReason::Shutdown);
                self.parts = shut_down && !self.told_close && has_nothing_left(rx, tx);
                return self.end(Closed::Done);
            }
            // Who does not take the answers is not let ask more.
            States { client: State::Done, server: State::Done }
                if tx.len() >= self.config.send_high_water.max(1) =>
            {
                self.core.timers.start(Timer::Idle, now, self.config.idle_timeout);
                return None;
            }
            States { client: State::Done, server: State::Done } => {
                self.start_next();
                self.core.timers.set_after(Timer::Idle, now, self.config.idle_timeout);
            }
            _ => {}
        }
        match self.core.tracker.client() {
            State::Idle => self.read_head(now, rx, tx),
            State::SendBody => self.read_body(now, rx, tx),
            State::Switched => None,
            _ => self.await_response(rx),
        }
    }

    fn start_next(&mut self) {
        self.core.tracker.start_next();
        self.parser = RequestParser::new();
        self.ends_on_eof = false;
        self.told_close = false;
    }

    fn read_head(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<(Lent, usize)> {
        let judged = self.parser.parse(rx, &self.config.limits).and_then(|parsed| {
            let Some(parsed) = parsed else { return Ok(None) };
            let framing = parsed.framing(rx)?;
            let max = self.config.max_body;
            let body = Incoming::new(framing.length, max)
                .map_err(|kind| ProtocolError { kind, offset: parsed.size() as u64 })?;
            Ok(Some((parsed, Asked::of(&parsed, rx, &framing), framing.close, body)))
        });
        match judged {
            Ok(Some((parsed, asked, close, body))) => {
                self.core.timers.stop(Timer::Idle);
                self.core.timers.stop(Timer::Head);
                trace::event!(
                    "tidewire::http", TRACE,
                    method = ?parsed.head(rx).method, path = ?trace::path_of(parsed.head(rx).target),
                    "request"
                );
                self.asked = asked;
                self.core.incoming = body;
                let tracker = &mut self.core.tracker;
                tracker.step(Party::Client, Step::Request);
                tracker.propose(asked.upgrade || asked.connect);
                let shutdown = self.shutting_down.then_some(CloseReason::Shutdown);
                if let Some(reason) = close.or(shutdown) {
                    tracker.close(reason);
                }
                Some((Lent::Request(parsed), parsed.size()))
            }
            Ok(None) => {
                if self.parser.has_begun() {
                    self.core.timers.stop(Timer::Idle);
                    self.core.timers.start(Timer::Head, now, self.config.head_timeout);
                }
                match rx.is_finished() {
                    true if self.is_idle() => self.end(Closed::Done),
                    true => self.end(Closed::Eof),
                    false => None,
                }
            }
            Err(error) => self.fail(error.behind(self.core.offset), now, rx, tx),
        }
    }

    fn read_body(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<(Lent, usize)> {
        if core::mem::take(&mut self.asked.awaits_continue) && self.is_response_due() {
            write_status_line(Status::CONTINUE, tx);
            tx.append(b"\r\n");
            self.core.tracker.step(Party::Server, Step::Interim);
        }
        let pace = Pace { timeout: self.config.body_timeout, progress: self.config.body_progress };
        match self.core.read_body(now, rx, &self.config.limits, pace) {
            Ok(Read::Data(len)) => Some((Lent::Data(len), len)),
            Ok(Read::End(len)) => Some((Lent::End, len)),
            Ok(Read::Wait) => None,
            Ok(Read::Eof) => self.end(Closed::Eof),
            Err(error) => self.fail(error, now, rx, tx),
        }
    }

    /// The request is complete, its response is not.
    fn await_response(&mut self, rx: &mut RecvBuf) -> Option<(Lent, usize)> {
        // Whatever follows the last request is not answered. Behind one that proposes another protocol
        // it may be of that.
        let may_switch = self.core.tracker.client() == State::MightSwitch;
        if self.core.tracker.close_reason().is_some() && !may_switch {
            self.core.discard(rx);
        }
        if !rx.is_finished() {
            return None;
        }
        if self.ends_on_eof || !self.config.half_close {
            return self.end(Closed::Eof);
        }
        let tracker = &mut self.core.tracker;
        if rx.raw().is_empty() && tracker.allows(Party::Client, Step::Close) {
            tracker.close(CloseReason::HalfClosed);
            tracker.step(Party::Client, Step::Close);
        }
        None
    }

    fn fail(
        &mut self,
        error: ProtocolError,
        now: Instant,
        rx: &RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<(Lent, usize)> {
        self.refuse(error.status_hint(), tx);
        if !rx.is_finished() {
            self.linger(now);
        }
        self.end(Closed::Protocol(error))
    }

    fn end(&mut self, why: Closed) -> Option<(Lent, usize)> {
        self.stop_all_but_linger();
        self.core.end(why)
    }

    /// Answers for the caller, if no response has begun.
    fn refuse(&mut self, status: Status, tx: &mut SendBuf) {
        let tracker = &mut self.core.tracker;
        if tracker.allows(Party::Server, Step::Response) {
            trace::event!("tidewire::http", DEBUG, status = status.code(), "refused");
            write_status_line(status, tx);
            self.defaults.write(NO_FIELDS, tx);
            tx.append(b"Connection: close\r\nContent-Length: 0\r\n\r\n");
            tracker.step(Party::Server, Step::Response);
            tracker.close(CloseReason::Failed);
            self.sent();
        }
    }

    fn linger(&mut self, now: Instant) {
        let linger = Some(self.config.linger).filter(|linger| !linger.is_zero());
        self.core.timers.set_after(Timer::Linger, now, linger);
    }

    fn stop_all_but_linger(&mut self) {
        let linger = self.core.timers.get(Timer::Linger);
        self.core.timers.stop_all();
        if let Some(at) = linger {
            self.core.timers.set(Timer::Linger, at);
        }
    }

    /// Whether all of the request has been found, whatever `rx` holds.
    fn is_request_read(&self) -> bool {
        match self.core.tracker.client() {
            State::Idle => false,
            State::SendBody => self.core.incoming.is_over(),
            _ => true,
        }
    }

    fn sent(&mut self) {
        if self.core.tracker.server() == State::SendBody {
            self.core.tracker.step(Party::Server, Step::End);
        }
    }

    fn check_due(&self) -> Result<(), Misuse> {
        match self.core.tracker.server() {
            _ if !self.core.is_running() => Err(Misuse::Closed),
            State::SendResponse => Ok(()),
            State::SendBody => Err(Misuse::Unfinished),
            _ => Err(Misuse::NoRequest),
        }
    }

    fn body(&mut self) -> Result<&mut Outgoing, Misuse> {
        match self.core.tracker.server() {
            _ if !self.core.is_running() => Err(Misuse::Closed),
            State::SendBody | State::Done | State::MustClose => Ok(&mut self.core.outgoing),
            _ => Err(Misuse::NotBegun),
        }
    }
}

/// Whether all is written and nothing is unread, so that a reset could overtake nothing.
fn has_nothing_left(rx: &RecvBuf, tx: &SendBuf) -> bool {
    tx.is_written() && rx.raw().is_empty()
}

impl Asked {
    fn of(request: &ParsedRequest, rx: &RecvBuf, framing: &RequestFraming) -> Self {
        let method = request.method(rx);
        Self {
            version: request.version(),
            head: method == b"HEAD",
            connect: method == b"CONNECT",
            upgrade: framing.wants_upgrade,
            awaits_continue: framing.expects_continue
                && framing.length != framing::Length::Known(0),
        }
    }
}

crate::machine::machine!(Server, ServerEvent);
