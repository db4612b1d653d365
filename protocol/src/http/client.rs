//! The client's side of a connection (RFC 9112).

use super::headers::Headers;
use super::incoming::Incoming;
use super::outgoing::{
    BodyLength, Outgoing, check_fields, write_all, write_content_length, write_field, write_fields,
};
use super::parse::{ParsedResponse, ResponseParser};
use super::slot::{Core, Life, Pace, Read};
use super::state::{Party, State, States, Step};
use super::target::target_fits;
use super::{
    ClientConfig, ClientEvent, CloseReason, Closed, ErrorKind, Misuse, ProtocolError, Status,
    Timer, chars, method,
};
use crate::trace;
use crate::{Instant, RecvBuf, SendBuf, Transport};
use alloc::collections::VecDeque;
use bytes::Bytes;

/// One connection of a client.
///
/// ```
/// use tidewire::http::{BodyLength, Client, ClientConfig, ClientEvent, Status};
/// use tidewire::{Instant, RecvBuf, SendBuf};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
/// let mut client = Client::new(ClientConfig::default(), now);
/// client.request("GET", "/", [("Host", "example.com")], BodyLength::EMPTY, now, &mut tx)?;
/// assert_eq!(tx.chunk(), b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
///
/// rx.push(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
/// while let Some(event) = client.poll_event(now, &mut rx, &mut tx) {
///     match event {
///         ClientEvent::Response(head) => assert_eq!(head.status, Status::OK),
///         ClientEvent::Data(data) => assert_eq!(data, b"ok"),
///         _ => {}
///     }
/// }
/// assert!(client.is_idle());
/// # Ok::<(), tidewire::http::Misuse>(())
/// ```
///
/// # Several requests at once
///
/// With [`ClientConfig::pipeline_depth`] above 1, further requests may be sent before the first is
/// answered, as long as all of them are [idempotent](method::is_idempotent) (RFC 9112, 9.3.2). Their
/// responses come in order. When the connection ends, [`unanswered`](Self::unanswered) says how many
/// of the last requests got no response.
///
/// # A body that waits
///
/// A request with a body and `Expect: 100-continue` among its fields asks whether the body is wanted
/// (RFC 9110, 10.1.1). [`Continue`](ClientEvent::Continue) says that it may be sent, because the
/// server said so or said nothing in [`ClientConfig::continue_timeout`]. A final response instead says
/// that it is not wanted: sending is [`Misuse::BodyRefused`] then, and the connection closes behind
/// the response. [`awaits_continue`](Self::awaits_continue) tells whether it still waits; who sends
/// without waiting is free to, and is told nothing any more.
///
/// # An answer that comes early
///
/// A final response may come before the request's body is sent. Go on sending, or
/// [`shutdown`](Self::shutdown): the response is read to its end, and the connection closed. If the
/// response says `Connection: close`, it closes behind it by itself.
///
/// # Another protocol
///
/// After a `101`, which is refused unless the request had `Upgrade`, and after a success in answer
/// to CONNECT, there is no [`End`](ClientEvent::End): poll until there is no event; from then on
/// [`RecvBuf::raw`] is the other protocol's, first byte first, and this machine does nothing any
/// more.
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    core: Core<Lent>,
    parser: ResponseParser,
    /// The oldest request that has no final response, and those behind it.
    asked: Option<Asked>,
    behind: VecDeque<Asked>,
    /// Whether the newest request waits for `100 Continue`.
    waits: Waits,
    /// Whether the body is left in `rx.content()`.
    hold: bool,
}

/// What matters of a request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    head: bool,
    connect: bool,
    upgrade: bool,
    idempotent: bool,
}

/// How a request with `Expect: 100-continue` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    No,
    /// For the answer.
    Yes,
    /// The wait is over, which is still to be told.
    Over,
    /// The answer was a final response.
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum Lent {
    Informational(ParsedResponse),
    Response(ParsedResponse),
    Continue,
    Data(usize),
    End,
    Closed(Closed),
}

impl From<Closed> for Lent {
    fn from(why: Closed) -> Self {
        Self::Closed(why)
    }
}

impl Client {
    /// The client's side of a connection that is up.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant) -> Self {
        let mut core = Core::new(Party::Server);
        core.timers.set_after(Timer::Idle, now, config.idle_timeout);
        Self {
            config,
            core,
            parser: ResponseParser::lenient(config.leniency),
            asked: None,
            behind: VecDeque::new(),
            waits: Waits::No,
            hold: false,
        }
    }

    // Commands.

    /// Begins a request: writes its head. `fields` must have a `Host`, which may be empty only for a
    /// target without authority.
    ///
    /// Before a request on an idle connection, poll until there is no event: what a server sent
    /// unasked is [`ErrorKind::UnexpectedResponse`] then, and would be taken for the answer later (RFC
    /// 9112, 9.2).
    ///
    /// A body declared [`BodyLength::EMPTY`] is complete at once; every other one needs
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written: [`Misuse::Unfinished`] while the request before is being
    /// sent, or as many as [`ClientConfig::pipeline_depth`] are unanswered; [`Misuse::NotPipelined`] if
    /// one of them, or this one, must not be sent before the other is answered; [`Misuse::Closed`] if
    /// the connection carries no further request.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        length: BodyLength,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        if !self.core.is_running() || self.close_reason().is_some() {
            return Err(Misuse::Closed);
        }
        let under_way = self.unanswered() + usize::from(self.is_reading());
        let sent = self.core.tracker.allows(Party::Client, Step::Request);
        if !sent || under_way >= self.config.pipeline_depth.max(1) {
            return Err(Misuse::Unfinished);
        }
        if !chars::is_token(method.as_bytes()) {
            return Err(Misuse::BadMethod);
        }
        if !target.bytes().all(chars::is_target_byte)
            || !target_fits(method.as_bytes(), target.as_bytes())
        {
            return Err(Misuse::BadTarget);
        }
        let declared = check_fields(fields.clone())?;
        if declared.hosts != 1 {
            return Err(Misuse::Host);
        }
        let asked = Asked {
            head: method == "HEAD",
            connect: method == "CONNECT",
            upgrade: declared.upgrade,
            idempotent: method::is_idempotent(method),
        };
        let alone = |asked: &Asked| asked.connect || asked.upgrade || !asked.idempotent;
        if under_way > 0 && (alone(&asked) || self.asked.iter().chain(&self.behind).any(alone)) {
            return Err(Misuse::NotPipelined);
        }

        trace::event!("tidewire::http", TRACE, method, path = trace::path_of(target), "request");
        write_all(&[method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"], tx);
        write_fields(fields, tx);
        match length {
            // RFC 9110, 8.6: a method that expects content says that there is none.
            BodyLength::Known(0) if !matches!(method, "POST" | "PUT" | "PATCH") => {}
            BodyLength::Known(length) => write_content_length(length, tx),
            BodyLength::Unknown => write_field("Transfer-Encoding", b"chunked", tx),
        }
        tx.append(b"\r\n");
        self.core.outgoing = match length {
            BodyLength::Known(0) => Outgoing::Finished,
            BodyLength::Known(length) => Outgoing::Known(length),
            BodyLength::Unknown => Outgoing::Chunked,
        };
        self.core.timers.stop(Timer::Idle);
        self.waits = Waits::No;
        if declared.expects_continue && length != BodyLength::EMPTY {
            self.waits = Waits::Yes;
            self.core.timers.set_after(Timer::Continue, now, self.config.continue_timeout);
        }
        match self.asked {
            None => self.asked = Some(asked),
            Some(_) => self.behind.push_back(asked),
        }
        self.core.tracker.propose(asked.upgrade || asked.connect);
        self.core.tracker.pipeline(under_way > 0);
        self.core.tracker.step(Party::Client, Step::Request);
        if declared.close {
            self.core.tracker.close(CloseReason::ClientSaidClose);
        }
        if length == BodyLength::EMPTY {
            self.sent();
            if under_way == 0 {
                self.core.timers.start(Timer::Head, now, self.config.head_timeout);
            }
        }
        Ok(())
    }

    /// Sends a piece of the request's body. It is queued whatever its length: compare
    /// [`SendBuf::len`] with what you want to have waiting.
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn send_data(&mut self, data: &[u8], tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body(data.is_empty())?.send(data, tx)
    }

    /// Sends a piece of the request's body, without copying it if it is large.
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn send_shared(&mut self, data: &Bytes, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body(data.is_empty())?.send_shared(data, tx)
    }

    /// Finishes the request. Does nothing if it is finished already.
    ///
    /// # Errors
    /// [`Misuse::BodyTooShort`] if less was sent than announced.
    pub fn finish(&mut self, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body(false)?.finish(tx)?;
        self.sent();
        Ok(())
    }

    /// Finishes the request with trailers (RFC 9110, 6.5), which only a chunked body can have: one of
    /// [`BodyLength::Unknown`].
    ///
    /// # Errors
    /// As [`finish`](Self::finish); [`Misuse::TrailersNotAllowed`] if the length was announced,
    /// [`Misuse::ForbiddenTrailer`] for a field that may only stand in a head. Then the request is not
    /// finished.
    pub fn finish_with_trailers(
        &mut self,
        trailers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        self.body(false)?.finish_with_trailers(trailers, tx)?;
        self.sent();
        Ok(())
    }

    /// Sends no further request, and closes the connection: at once if it is idle, else when what was
    /// asked is answered. A request whose body is not finished is given up behind its response.
    pub fn shutdown(&mut self) {
        if self.core.is_running() {
            self.core.tracker.close(CloseReason::Shutdown);
            if self.core.tracker.server() == State::MustClose {
                self.core.timers.stop_all();
                self.core.ending(Closed::Done);
            }
        }
    }

    /// Ends the connection at once. What waits in `tx` is still sent.
    pub fn abort(&mut self) {
        if self.core.is_running() {
            self.core.timers.stop_all();
            self.core.ending(Closed::Aborted);
        }
    }

    /// Leaves the body of this response to the layer above: from now on it is decoded into
    /// [`RecvBuf::content`] and stays there until that layer consumes it, and there are no
    /// [`Data`](ClientEvent::Data) events. [`End`](ClientEvent::End) says that all of it is there.
    ///
    /// Call it after [`Response`](ClientEvent::Response), before polling on.
    pub fn hold_body(&mut self) {
        self.hold = true;
    }

    // Queries.

    /// The states of both parties.
    #[must_use]
    pub fn states(&self) -> States {
        self.core.tracker.states()
    }

    /// Whether nothing is under way, and a request may be made.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.is_running()
            && self.core.tracker.client() == State::Idle
            && self.core.tracker.server() == State::Idle
    }

    /// How many requests have been sent, or begun, whose final response has not begun.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        usize::from(self.asked.is_some()) + self.behind.len()
    }

    /// Whether the body of the newest request waits for the server's word: see
    /// [`ClientEvent::Continue`].
    #[must_use]
    pub fn awaits_continue(&self) -> bool {
        self.waits == Waits::Yes
    }

    /// Whether another request may follow the ones under way.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.core.is_running() && self.close_reason().is_none()
    }

    /// Why no further request can be made; `None` if one can, now or later.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.core.tracker.close_reason()
    }

    /// Whether the connection belongs to another protocol.
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
    ) -> Option<ClientEvent<'a>> {
        self.advance(now, rx, tx);
        self.event(now, rx, tx)
    }

    /// See [`Machine::advance`](crate::Machine::advance).
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if !self.core.release(rx) {
            return true;
        }
        let event = self.step(now, rx, tx.is_empty());
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
    ) -> Option<ClientEvent<'a>> {
        self.core.take()?;
        self.peek(rx)
    }

    /// The event that [`advance`](Self::advance) announced, taken or not: a machine around this one
    /// looks at it in its own `advance` before it lends it.
    pub(crate) fn peek<'a>(&self, rx: &'a RecvBuf) -> Option<ClientEvent<'a>> {
        Some(match self.core.peek()? {
            Lent::Informational(response) => ClientEvent::Informational(response.head(rx)),
            Lent::Continue => ClientEvent::Continue,
            Lent::Response(response) => ClientEvent::Response(response.head(rx)),
            Lent::Data(len) => ClientEvent::Data(&rx.raw()[..len]),
            Lent::End => ClientEvent::End(Headers { bytes: rx.raw(), spans: &rx.spans }),
            Lent::Closed(why) => ClientEvent::Closed(why),
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
                Timer::Continue => self.waits = Waits::Over,
                Timer::Write if !self.core.has_stalled(now, self.config.write_timeout, tx) => {}
                _ => {
                    self.core.timers.stop_all();
                    self.core.ending(Closed::Timeout(timer));
                }
            }
        }
    }

    /// See [`Machine::transport`](crate::Machine::transport).
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.core.transport()
    }

    /// Goes on to the next event, and says how many raw bytes it covers. `written` says that nothing
    /// waits to be sent.
    fn step(&mut self, now: Instant, rx: &mut RecvBuf, written: bool) -> Option<(Lent, usize)> {
        match self.core.life {
            Life::Running => {}
            Life::Ending(why) => return self.end(why),
            Life::Over => {
                self.core.discard(rx);
                return None;
            }
        }
        if self.waits == Waits::Over {
            self.waits = Waits::No;
            return Some((Lent::Continue, 0));
        }
        if self.core.tracker.states() == (States { client: State::Done, server: State::Done }) {
            self.core.tracker.start_next();
            self.core.timers.set_after(Timer::Idle, now, self.config.idle_timeout);
        }
        match self.core.tracker.server() {
            State::SendResponse => self.read_head(now, rx, written),
            State::SendBody => self.read_body(now, rx),
            State::MustClose => self.end(Closed::Done),
            State::Switched => None,
            _ if !rx.raw().is_empty() => {
                let kind = ErrorKind::UnexpectedResponse;
                let error = ProtocolError { kind, offset: self.core.offset };
                self.end(Closed::Protocol(error))
            }
            // Answered before it was all sent, and the server has left.
            State::Done if rx.is_finished() => self.end(Closed::Eof),
            _ if rx.is_finished() => self.end(Closed::Done),
            _ => None,
        }
    }

    fn read_head(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        written: bool,
    ) -> Option<(Lent, usize)> {
        let Asked { head: to_head, connect, upgrade, .. } = self.asked?;
        let judged = self.parser.parse(rx, &self.config.limits).and_then(|parsed| {
            let Some(parsed) = parsed else { return Ok(None) };
            let head = parsed.head(rx);
            let tunnels = connect && head.status.is_success();
            let framing = parsed.framing(rx, to_head, connect)?;
            let upgrades = head.status == Status::SWITCHING_PROTOCOLS;
            if upgrades && !upgrade {
                return Err(ProtocolError { kind: ErrorKind::UnexpectedUpgrade, offset: 0 });
            }
            let body = Incoming::new(framing.length, self.config.max_body)
                .map_err(|kind| ProtocolError { kind, offset: parsed.size() as u64 })?;
            Ok(Some((parsed, framing.close, body, upgrades || tunnels)))
        });
        let parsed = match judged {
            Ok(Some(parsed)) => parsed,
            Ok(None) if rx.is_finished() => return self.end(Closed::Eof),
            Ok(None) => {
                // A server cannot answer what it has not got.
                let sent = self.core.tracker.client() != State::SendBody && written;
                if sent || !self.behind.is_empty() {
                    self.core.timers.start(Timer::Head, now, self.config.head_timeout);
                }
                return None;
            }
            Err(error) => return self.end(Closed::Protocol(error.behind(self.core.offset))),
        };
        let (parsed, close, body, switches) = parsed;
        trace::event!("tidewire::http", TRACE, status = parsed.status().code(), "response");
        self.parser = ResponseParser::lenient(self.config.leniency);
        let tracker = &mut self.core.tracker;
        if switches && tracker.client() == State::MightSwitch {
            self.core.timers.stop_all();
            tracker.step(Party::Server, Step::Switch);
            self.asked = None;
            return Some((Lent::Response(parsed), parsed.size()));
        }
        if switches {
            // RFC 9110, 7.8: not before the request is complete.
            let error = ProtocolError { kind: ErrorKind::UnexpectedUpgrade, offset: 0 };
            return self.end(Closed::Protocol(error.behind(self.core.offset)));
        }
        if parsed.status().is_informational() {
            tracker.step(Party::Server, Step::Interim);
            // One for an earlier request says nothing of the newest.
            let meant = parsed.status() == Status::CONTINUE && self.behind.is_empty();
            if meant && self.waits == Waits::Yes {
                self.core.timers.stop(Timer::Continue);
                self.waits = Waits::Over;
            }
            return Some((Lent::Informational(parsed), parsed.size()));
        }
        self.core.timers.stop(Timer::Head);
        self.core.incoming = body;
        self.hold = false;
        tracker.step(Party::Server, Step::Response);
        if self.behind.is_empty() && self.waits == Waits::Yes {
            self.core.timers.stop(Timer::Continue);
            self.waits = Waits::Refused;
            tracker.close(CloseReason::NoContinue);
        }
        self.asked = self.behind.pop_front();
        // What was sent behind the last request that is answered gets no answer.
        tracker.pipeline(self.asked.is_some() && close.is_none());
        if let Some(reason) = close {
            tracker.close(reason);
        }
        Some((Lent::Response(parsed), parsed.size()))
    }

    fn read_body(&mut self, now: Instant, rx: &mut RecvBuf) -> Option<(Lent, usize)> {
        let pace = Pace { timeout: self.config.body_timeout, progress: self.config.body_progress };
        loop {
            match self.core.read_body(now, rx, &self.config.limits, pace) {
                Ok(Read::Data(len)) if self.hold => {
                    rx.keep(len);
                    self.core.offset += len as u64;
                }
                Ok(Read::Data(len)) => return Some((Lent::Data(len), len)),
                Ok(Read::End(len)) => return Some((Lent::End, len)),
                Ok(Read::Wait) => return None,
                Ok(Read::Eof) => return self.end(Closed::Eof),
                Err(error) => return self.end(Closed::Protocol(error)),
            }
        }
    }

    fn end(&mut self, why: Closed) -> Option<(Lent, usize)> {
        self.core.timers.stop_all();
        self.core.end(why)
    }

    /// Whether a final response is under way, or what follows it has not been looked at.
    fn is_reading(&self) -> bool {
        matches!(self.core.tracker.server(), State::SendBody | State::Done)
    }

    fn sent(&mut self) {
        if self.core.tracker.client() == State::SendBody {
            self.core.tracker.step(Party::Client, Step::End);
        }
    }

    /// The body of the newest request. To send `nothing` of it does not end the wait for `100 Continue`.
    fn body(&mut self, nothing: bool) -> Result<&mut Outgoing, Misuse> {
        match self.core.tracker.client() {
            _ if !self.core.is_running() => Err(Misuse::Closed),
            State::Idle => Err(Misuse::NotBegun),
            State::SendBody if self.waits == Waits::Refused => Err(Misuse::BodyRefused),
            _ => {
                if !nothing {
                    self.core.timers.stop(Timer::Continue);
                    self.waits = Waits::No;
                }
                Ok(&mut self.core.outgoing)
            }
        }
    }
}

crate::machine::machine!(Client, ClientEvent);
