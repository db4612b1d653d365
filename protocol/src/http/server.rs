//! The server's side of a connection (RFC 9112).

use super::defaults::DefaultFields;
use super::framing::{self, RequestFraming};
use super::headers::Headers;
use super::incoming::{Incoming, Piece};
use super::outgoing::{
    BodyLength, NO_FIELDS, Outgoing, check_fields, write_field, write_fields, write_status_line,
};
use super::parse::{ParsedRequest, RequestParser};
use super::slot::{Life, Slot, Timers};
use super::{
    Closed, Misuse, ProtocolError, RequestHead, ServerConfig, ServerEvent, Status, Timer, Version,
};
use crate::{Instant, RecvBuf, SendBuf, Transport};
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
/// * A client that leaves while a response is under way ends the connection at once, so a stream of
///   events notices it. One that has only shut down its sending side is still answered, if the
///   response is begun and finished in one go.
#[derive(Clone, Debug)]
pub struct Server {
    config: ServerConfig,
    reading: Reading,
    sending: Sending,
    slot: Slot<Lent>,
    life: Life,
    /// Whether another request may follow.
    keep_alive: bool,
    shutting_down: bool,
    asked: Asked,
    defaults: DefaultFields,
    /// The offset of the front of `rx.raw()` in the stream.
    offset: u64,
    timers: Timers,
}

#[derive(Clone, Debug)]
enum Reading {
    Head(RequestParser),
    Body(Incoming),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Nothing, as there is no request.
    Nothing,
    /// There is a request, and no response yet.
    Due,
    Body(Outgoing),
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

impl Server {
    /// The server's side of a connection that has just been accepted.
    #[must_use]
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        let mut timers = Timers::new();
        timers.set_after(Timer::Head, now, config.head_timeout);
        Self {
            config,
            reading: Reading::Head(RequestParser::new()),
            sending: Sending::Nothing,
            slot: Slot::new(),
            life: Life::Running,
            keep_alive: true,
            shutting_down: false,
            asked: Asked::default(),
            defaults: DefaultFields::default(),
            offset: 0,
            timers,
        }
    }

    // Commands.

    /// Adds these fields to every final response from now on that does not have one of the same
    /// name, those included that this machine writes by itself: `Date` and `Server`, say (RFC 9110,
    /// 6.6.1 and 10.2.4). There is no clock here, so `Date` has to be set anew each second.
    pub fn set_default_fields(&mut self, fields: DefaultFields) {
        self.defaults = fields;
    }

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
        // Without a `100 Continue` nobody knows whether the body will come.
        if declared.close || until_close || self.shutting_down || self.asked.awaits_continue {
            self.keep_alive = false;
        }

        write_status_line(status, tx);
        write_fields(fields.clone(), tx);
        self.defaults.write(fields, tx);
        let body = Outgoing::begin_response(status, length, self.asked.head, chunked, tx);
        match (self.keep_alive, self.asked.version) {
            (false, _) if !declared.close => write_field("Connection", b"close", tx),
            (true, Version::Http10) => write_field("Connection", b"keep-alive", tx),
            _ => {}
        }
        tx.append(b"\r\n");
        self.sending = Sending::Body(body);
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
        self.body()?.finish(tx)
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
        Ok(())
    }

    /// Leaves the connection to another protocol: writes `101 Switching Protocols`, or `200 OK` if
    /// the request is a CONNECT. `fields` name the protocol: `Connection: Upgrade` and `Upgrade`.
    ///
    /// Then poll until there is no event. From then on [`RecvBuf::raw`] is the other protocol's,
    /// first byte first, and this machine does nothing any more.
    ///
    /// # Errors
    /// [`Misuse::NoUpgrade`] if the request has no `Upgrade` or still has a body to read, and as
    /// [`respond`](Self::respond).
    pub fn upgrade(
        &mut self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        self.check_due()?;
        let read = match &self.reading {
            Reading::Head(_) => false,
            Reading::Body(body) => body.is_over(),
            Reading::Done => true,
        };
        let declared = check_fields(fields.clone())?;
        let named = self.asked.upgrade && declared.upgrade;
        if !read || !(named || self.asked.connect) {
            return Err(Misuse::NoUpgrade);
        }
        let status = if self.asked.connect { Status::OK } else { Status::SWITCHING_PROTOCOLS };
        write_status_line(status, tx);
        write_fields(fields.clone(), tx);
        if self.asked.connect {
            self.defaults.write(fields, tx);
        }
        tx.append(b"\r\n");
        self.life = Life::Upgraded;
        self.timers.stop_all();
        Ok(())
    }

    /// Ends the connection in order: at once if it is idle, else behind the response to the request
    /// under way. A response that has not begun says `Connection: close`.
    pub fn shutdown(&mut self, _now: Instant) {
        self.shutting_down = true;
        if self.is_idle() {
            self.timers.stop_all();
            self.life = Life::Ending(Closed::Done);
        }
    }

    /// Ends the connection without finishing the response under way, so that the client can tell it
    /// from a whole one. What waits in `tx` is still sent.
    pub fn abort(&mut self) {
        if self.life == Life::Running {
            self.timers.stop_all();
            self.life = Life::Ending(Closed::Aborted);
        }
    }

    // Queries.

    /// Whether the connection waits for a request, of which nothing has been seen.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.life == Life::Running
            && matches!(&self.reading, Reading::Head(parser) if !parser.has_begun())
    }

    /// Whether a request waits for its response to be begun.
    #[must_use]
    pub fn is_response_due(&self) -> bool {
        self.check_due().is_ok()
    }

    /// Whether a response has begun and is not finished.
    #[must_use]
    pub fn is_responding(&self) -> bool {
        self.life == Life::Running
            && matches!(self.sending, Sending::Body(body) if body != Outgoing::Finished)
    }

    /// Whether another request may follow the one under way.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.life == Life::Running && self.keep_alive && !self.shutting_down
    }

    /// Whether the connection belongs to another protocol: see [`upgrade`](Self::upgrade).
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.life == Life::Upgraded
    }

    /// The deadline that comes next, and its reason.
    #[must_use]
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        self.timers.next()
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
        if self.slot.is_waiting() {
            return true;
        }
        self.offset += self.slot.release(rx);
        match self.step(now, rx, tx) {
            Some((event, covers)) => self.slot.put(event, covers),
            None => return false,
        }
        true
    }

    /// See [`Machine::event`](crate::Machine::event).
    pub fn event<'a>(
        &mut self,
        _now: Instant,
        rx: &'a mut RecvBuf,
        _tx: &mut SendBuf,
    ) -> Option<ServerEvent<'a>> {
        let event = self.slot.take()?;
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
        self.timers.next().map(|(at, _)| at)
    }

    /// See [`Machine::handle_timeout`](crate::Machine::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        while let Some(timer) = self.timers.expire(now) {
            if timer == Timer::Linger {
                continue;
            }
            // Nothing was asked by a client that has not begun to send.
            if !self.is_idle() {
                self.refuse(Status::REQUEST_TIMEOUT, tx);
                self.linger(now);
            }
            self.stop_all_but_linger();
            self.life = Life::Ending(Closed::Timeout(timer));
        }
    }

    /// See [`Machine::transport`](crate::Machine::transport).
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.life {
            Life::Running | Life::Upgraded => Transport::Open,
            _ if self.timers.get(Timer::Linger).is_some() => Transport::CloseWrite,
            Life::Ending(_) | Life::Over => Transport::Close,
        }
    }

    /// Goes on to the next event, and says how many raw bytes it covers.
    fn step(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> Option<(Lent, usize)> {
        match self.life {
            Life::Running => {}
            Life::Ending(why) => return self.end(why),
            Life::Over => {
                rx.skip(rx.raw().len());
                if rx.is_finished() {
                    self.timers.stop_all();
                }
                return None;
            }
            Life::Upgraded => return None,
        }
        if self.sending == Sending::Body(Outgoing::Finished) {
            let closes = !self.keep_alive || self.shutting_down;
            match &self.reading {
                Reading::Body(body) if closes && !body.is_over() => {
                    // Answered early: what the client still sends is for nobody.
                    if !rx.is_finished() {
                        self.linger(now);
                    }
                    return self.end(Closed::Done);
                }
                Reading::Done if closes => return self.end(Closed::Done),
                // Who does not take the answers is not let ask more.
                Reading::Done if tx.len() >= self.config.send_high_water.max(1) => {
                    self.timers.start(Timer::Idle, now, self.config.idle_timeout);
                    return None;
                }
                Reading::Done => {
                    self.sending = Sending::Nothing;
                    self.reading = Reading::Head(RequestParser::new());
                    self.timers.set_after(Timer::Idle, now, self.config.idle_timeout);
                }
                _ => {}
            }
        }
        match self.reading {
            Reading::Head(_) => self.read_head(now, rx, tx),
            Reading::Body(_) => self.read_body(now, rx, tx),
            Reading::Done => {
                let responding = matches!(self.sending, Sending::Body(_));
                if responding && !self.keep_alive {
                    // Whatever follows a response with `Connection: close` is not answered.
                    let rest = rx.raw().len();
                    rx.skip(rest);
                    self.offset += rest as u64;
                }
                if responding && rx.is_finished() { self.end(Closed::Eof) } else { None }
            }
        }
    }

    fn read_head(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<(Lent, usize)> {
        let Reading::Head(parser) = &mut self.reading else { return None };
        let judged = parser.parse(rx, &self.config.limits).and_then(|parsed| {
            let Some(parsed) = parsed else { return Ok(None) };
            let head = parsed.head(rx);
            let framing = framing::request(&head, parsed.target(), parsed.size())?;
            let max = self.config.max_body;
            let body = Incoming::new(framing.length, max)
                .map_err(|kind| ProtocolError { kind, offset: parsed.size() as u64 })?;
            Ok(Some((parsed, Asked::of(&head, &framing), framing.keep_alive, body)))
        });
        match judged {
            Ok(Some((parsed, asked, keep_alive, body))) => {
                self.timers.stop_all();
                self.asked = asked;
                self.keep_alive = keep_alive;
                self.sending = Sending::Due;
                self.reading = Reading::Body(body);
                Some((Lent::Request(parsed), parsed.size()))
            }
            Ok(None) => {
                if parser.has_begun() {
                    self.timers.stop(Timer::Idle);
                    self.timers.start(Timer::Head, now, self.config.head_timeout);
                }
                match rx.is_finished() {
                    true if self.is_idle() => self.end(Closed::Done),
                    true => self.end(Closed::Eof),
                    false => None,
                }
            }
            Err(error) => self.fail(error.behind(self.offset), now, rx, tx),
        }
    }

    fn read_body(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<(Lent, usize)> {
        let Reading::Body(body) = &mut self.reading else { return None };
        if core::mem::take(&mut self.asked.awaits_continue) && self.sending == Sending::Due {
            write_status_line(Status::CONTINUE, tx);
            tx.append(b"\r\n");
        }
        match body.next(rx, &self.config.limits, &mut self.offset) {
            Ok(Piece::Data(len)) => {
                self.timers.stop(Timer::Body);
                Some((Lent::Data(len), len))
            }
            Ok(Piece::End(len)) => {
                self.timers.stop(Timer::Body);
                self.reading = Reading::Done;
                Some((Lent::End, len))
            }
            Ok(Piece::Incomplete) if rx.is_finished() => self.end(Closed::Eof),
            Ok(Piece::Incomplete) => {
                self.timers.start(Timer::Body, now, self.config.body_timeout);
                None
            }
            Err(error) => self.fail(error, now, rx, tx),
        }
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
        self.life = Life::Over;
        Some((Lent::Closed(why), 0))
    }

    /// Answers for the caller, if no response has begun.
    fn refuse(&mut self, status: Status, tx: &mut SendBuf) {
        if !matches!(self.sending, Sending::Body(_)) {
            write_status_line(status, tx);
            self.defaults.write(NO_FIELDS, tx);
            tx.append(b"Connection: close\r\nContent-Length: 0\r\n\r\n");
        }
    }

    fn linger(&mut self, now: Instant) {
        let linger = Some(self.config.linger).filter(|linger| !linger.is_zero());
        self.timers.set_after(Timer::Linger, now, linger);
    }

    fn stop_all_but_linger(&mut self) {
        self.timers.stop(Timer::Idle);
        self.timers.stop(Timer::Head);
        self.timers.stop(Timer::Body);
    }

    fn check_due(&self) -> Result<(), Misuse> {
        match self.sending {
            _ if self.life != Life::Running => Err(Misuse::Closed),
            Sending::Due => Ok(()),
            Sending::Body(body) if body != Outgoing::Finished => Err(Misuse::Unfinished),
            _ => Err(Misuse::NoRequest),
        }
    }

    fn body(&mut self) -> Result<&mut Outgoing, Misuse> {
        match &mut self.sending {
            _ if self.life != Life::Running => Err(Misuse::Closed),
            Sending::Body(body) => Ok(body),
            _ => Err(Misuse::NotBegun),
        }
    }
}

impl Asked {
    fn of(head: &RequestHead<'_>, framing: &RequestFraming) -> Self {
        Self {
            version: head.version,
            head: head.method == "HEAD",
            connect: head.method == "CONNECT",
            upgrade: framing.wants_upgrade,
            awaits_continue: framing.expects_continue
                && framing.length != framing::Length::Known(0),
        }
    }
}

crate::machine::machine!(Server, ServerEvent);
