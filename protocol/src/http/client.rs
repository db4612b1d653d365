//! The client's side of a connection (RFC 9112).

use super::framing;
use super::headers::Headers;
use super::incoming::{Incoming, Piece};
use super::outgoing::{
    BodyLength, Outgoing, check_fields, write_all, write_content_length, write_field, write_fields,
};
use super::parse::{ParsedResponse, ResponseParser};
use super::slot::{Life, Slot, Timers};
use super::{
    ClientConfig, ClientEvent, Closed, ErrorKind, Misuse, ProtocolError, Status, Timer, chars,
};
use crate::{Instant, RecvBuf, SendBuf, Transport};
use bytes::Bytes;

/// One connection of a client, with one exchange at a time.
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
/// # Another protocol
///
/// After a `101`, which is refused unless the request had `Upgrade`, and after a success in answer
/// to CONNECT, there is no [`End`](ClientEvent::End): poll until there is no event; from then on
/// [`RecvBuf::raw`] is the other protocol's, first byte first, and this machine does nothing any
/// more.
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    reading: Reading,
    sending: Outgoing,
    slot: Slot<Lent>,
    life: Life,
    /// Whether another request may follow.
    keep_alive: bool,
    /// Whether the body is left in `rx.content()`.
    hold: bool,
    asked: Asked,
    /// The offset of the front of `rx.raw()` in the stream.
    offset: u64,
    timers: Timers,
}

#[derive(Clone, Debug)]
enum Reading {
    /// No request has been sent.
    Nothing,
    Head(ResponseParser),
    Body(Incoming),
    /// The end has been announced.
    Done,
}

/// What matters of the request under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    head: bool,
    connect: bool,
    upgrade: bool,
}

#[derive(Clone, Copy, Debug)]
enum Lent {
    Informational(ParsedResponse),
    Response(ParsedResponse),
    Data(usize),
    End,
    Closed(Closed),
}

impl Client {
    /// The client's side of a connection that is up.
    #[must_use]
    pub const fn new(config: ClientConfig, _now: Instant) -> Self {
        Self {
            config,
            reading: Reading::Nothing,
            sending: Outgoing::Finished,
            slot: Slot::new(),
            life: Life::Running,
            keep_alive: true,
            hold: false,
            asked: Asked { head: false, connect: false, upgrade: false },
            offset: 0,
            timers: Timers::new(),
        }
    }

    // Commands.

    /// Begins a request: writes its head. `fields` must have a `Host`, which may be empty only for a
    /// target without authority.
    ///
    /// Before a second request, poll until there is no event: what a server sent unasked is
    /// [`ErrorKind::UnexpectedResponse`] then, and would be taken for the answer later (RFC 9112, 9.2).
    ///
    /// A body declared [`BodyLength::EMPTY`] is complete at once; every other one needs
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        length: BodyLength,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        if self.life != Life::Running {
            return Err(Misuse::Closed);
        }
        if !self.is_idle() {
            return Err(Misuse::Unfinished);
        }
        if !chars::is_token(method.as_bytes()) {
            return Err(Misuse::BadMethod);
        }
        if !target.bytes().all(chars::is_target_byte)
            || !framing::target_fits(method.as_bytes(), target.as_bytes())
        {
            return Err(Misuse::BadTarget);
        }
        let declared = check_fields(fields.clone())?;
        if declared.hosts != 1 {
            return Err(Misuse::Host);
        }

        write_all(&[method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"], tx);
        write_fields(fields, tx);
        match length {
            // RFC 9110, 8.6: a method that expects content says that there is none.
            BodyLength::Known(0) if !matches!(method, "POST" | "PUT" | "PATCH") => {}
            BodyLength::Known(length) => write_content_length(length, tx),
            BodyLength::Unknown => write_field("Transfer-Encoding", b"chunked", tx),
        }
        tx.append(b"\r\n");
        self.sending = match length {
            BodyLength::Known(0) => Outgoing::Finished,
            BodyLength::Known(length) => Outgoing::Known(length),
            BodyLength::Unknown => Outgoing::Chunked,
        };
        self.keep_alive = !declared.close;
        self.hold = false;
        self.asked = Asked {
            head: method == "HEAD",
            connect: method == "CONNECT",
            upgrade: declared.upgrade,
        };
        self.reading = Reading::Head(ResponseParser::new());
        if self.sending == Outgoing::Finished {
            self.timers.set_after(Timer::Head, now, self.config.head_timeout);
        }
        Ok(())
    }

    /// Sends a piece of the request's body. It is queued whatever its length: compare
    /// [`SendBuf::len`] with what you want to have waiting.
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn send_data(&mut self, data: &[u8], tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body()?.send(data, tx)
    }

    /// Sends a piece of the request's body, without copying it if it is large.
    ///
    /// # Errors
    /// [`Misuse`], when nothing was written.
    pub fn send_shared(&mut self, data: &Bytes, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body()?.send_shared(data, tx)
    }

    /// Finishes the request. Does nothing if it is finished already.
    ///
    /// # Errors
    /// [`Misuse::BodyTooShort`] if less was sent than announced.
    pub fn finish(&mut self, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.body()?.finish(tx)
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

    /// Whether a request may be made.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.life == Life::Running && matches!(self.reading, Reading::Nothing)
    }

    /// Whether another request may follow the one under way.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.life == Life::Running && self.keep_alive
    }

    /// Whether the connection belongs to another protocol.
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
    ) -> Option<ClientEvent<'a>> {
        self.advance(now, rx, tx);
        self.event(now, rx, tx)
    }

    /// See [`Machine::advance`](crate::Machine::advance).
    pub fn advance(&mut self, now: Instant, rx: &mut RecvBuf, _tx: &mut SendBuf) -> bool {
        if self.slot.is_waiting() {
            return true;
        }
        self.offset += self.slot.release(rx);
        match self.step(now, rx) {
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
    ) -> Option<ClientEvent<'a>> {
        self.slot.take()?;
        self.peek(rx)
    }

    /// The event that [`advance`](Self::advance) announced, taken or not: a machine around this one
    /// looks at it in its own `advance` before it lends it.
    pub(crate) fn peek<'a>(&self, rx: &'a RecvBuf) -> Option<ClientEvent<'a>> {
        Some(match self.slot.peek()? {
            Lent::Informational(response) => ClientEvent::Informational(response.head(rx)),
            Lent::Response(response) => ClientEvent::Response(response.head(rx)),
            Lent::Data(len) => ClientEvent::Data(&rx.raw()[..len]),
            Lent::End => ClientEvent::End(Headers { bytes: rx.raw(), spans: &rx.spans }),
            Lent::Closed(why) => ClientEvent::Closed(why),
        })
    }

    /// See [`Machine::poll_timeout`](crate::Machine::poll_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    /// See [`Machine::handle_timeout`](crate::Machine::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant, _tx: &mut SendBuf) {
        if let Some(timer) = self.timers.expire(now) {
            self.timers.stop_all();
            self.life = Life::Ending(Closed::Timeout(timer));
        }
    }

    /// See [`Machine::transport`](crate::Machine::transport).
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self.life {
            Life::Running | Life::Upgraded => Transport::Open,
            Life::Ending(_) | Life::Over => Transport::Close,
        }
    }

    /// Goes on to the next event, and says how many raw bytes it covers.
    fn step(&mut self, now: Instant, rx: &mut RecvBuf) -> Option<(Lent, usize)> {
        match self.life {
            Life::Running => {}
            Life::Ending(why) => return self.end(why),
            Life::Over => {
                rx.skip(rx.raw().len());
                return None;
            }
            Life::Upgraded => return None,
        }
        if let Reading::Done = self.reading {
            // RFC 9112, 9.3: a request that is cut off leaves nothing to go on with.
            if !self.keep_alive || self.sending != Outgoing::Finished {
                return self.end(Closed::Done);
            }
            self.reading = Reading::Nothing;
        }
        match self.reading {
            Reading::Head(_) => self.read_head(now, rx),
            Reading::Body(_) => self.read_body(now, rx),
            _ if !rx.raw().is_empty() => {
                let kind = ErrorKind::UnexpectedResponse;
                self.end(Closed::Protocol(ProtocolError { kind, offset: self.offset }))
            }
            _ if rx.is_finished() => self.end(Closed::Done),
            _ => None,
        }
    }

    fn read_head(&mut self, now: Instant, rx: &mut RecvBuf) -> Option<(Lent, usize)> {
        let Reading::Head(parser) = &mut self.reading else { return None };
        let asked = self.asked;
        let judged = parser.parse(rx, &self.config.limits).and_then(|parsed| {
            let Some(parsed) = parsed else { return Ok(None) };
            let head = parsed.head(rx);
            let tunnels = asked.connect && head.status.is_success();
            let framing = parsed.framing(rx, asked.head, asked.connect)?;
            let upgrades = head.status == Status::SWITCHING_PROTOCOLS;
            if upgrades && !asked.upgrade {
                return Err(ProtocolError { kind: ErrorKind::UnexpectedUpgrade, offset: 0 });
            }
            let body = Incoming::new(framing.length, self.config.max_body)
                .map_err(|kind| ProtocolError { kind, offset: parsed.size() as u64 })?;
            Ok(Some((parsed, framing.keep_alive, body, upgrades || tunnels)))
        });
        match judged {
            Ok(Some((parsed, _, _, true))) => {
                self.timers.stop_all();
                self.life = Life::Upgraded;
                Some((Lent::Response(parsed), parsed.size()))
            }
            Ok(Some((parsed, ..))) if parsed.status().is_informational() => {
                self.reading = Reading::Head(ResponseParser::new());
                Some((Lent::Informational(parsed), parsed.size()))
            }
            Ok(Some((parsed, keep_alive, body, false))) => {
                self.timers.stop_all();
                self.keep_alive &= keep_alive;
                self.reading = Reading::Body(body);
                Some((Lent::Response(parsed), parsed.size()))
            }
            Ok(None) if rx.is_finished() => self.end(Closed::Eof),
            Ok(None) => {
                if self.sending == Outgoing::Finished {
                    self.timers.start(Timer::Head, now, self.config.head_timeout);
                }
                None
            }
            Err(error) => self.end(Closed::Protocol(error.behind(self.offset))),
        }
    }

    fn read_body(&mut self, now: Instant, rx: &mut RecvBuf) -> Option<(Lent, usize)> {
        let Reading::Body(body) = &mut self.reading else { return None };
        loop {
            match body.next(rx, &self.config.limits, &mut self.offset) {
                Ok(Piece::Data(len)) => {
                    self.timers.stop(Timer::Body);
                    if !self.hold {
                        return Some((Lent::Data(len), len));
                    }
                    rx.keep(len);
                    self.offset += len as u64;
                }
                Ok(Piece::End(len)) => {
                    self.timers.stop(Timer::Body);
                    self.reading = Reading::Done;
                    return Some((Lent::End, len));
                }
                Ok(Piece::Incomplete) if rx.is_finished() => return self.end(Closed::Eof),
                Ok(Piece::Incomplete) => {
                    self.timers.start(Timer::Body, now, self.config.body_timeout);
                    return None;
                }
                Err(error) => return self.end(Closed::Protocol(error)),
            }
        }
    }

    fn end(&mut self, why: Closed) -> Option<(Lent, usize)> {
        self.timers.stop_all();
        self.life = Life::Over;
        Some((Lent::Closed(why), 0))
    }

    fn body(&mut self) -> Result<&mut Outgoing, Misuse> {
        match self.reading {
            _ if self.life != Life::Running => Err(Misuse::Closed),
            Reading::Nothing => Err(Misuse::NotBegun),
            _ => Ok(&mut self.sending),
        }
    }
}

crate::machine::machine!(Client, ClientEvent);
