//! The receiving half of a [`Connection`]: frames in, events announced.

use super::{Connection, Control, Lease, Role, Stage, State};
use crate::trace;
use crate::ws::close;
use crate::ws::error::{Closed, Initiator, ProtocolErrorKind};
use crate::ws::frame::{self, Header, MAX_CONTROL, OpCode, Plain};
use crate::ws::mask;
use crate::ws::message::{self, Area, Fill, MessageKind};
use crate::{Instant, RecvBuf, SendBuf};
use alloc::boxed::Box;

/// What is wrong, and where: bytes into the stream.
type Fault = (ProtocolErrorKind, u64);

impl Connection {
    /// Advances a quiet connection, if the next message is plain or has not begun to come.
    #[inline(always)]
    pub(super) fn advance_plain(&mut self, now: Instant, rx: &mut RecvBuf) -> Option<bool> {
        if self.stage == Stage::Lent {
            let Lease::Message(_, Area::Content) = self.lease else { return None };
            self.stage = Stage::Empty;
            rx.consume_content();
        }
        let raw = rx.raw();
        if raw.is_empty() {
            self.left = 0;
            return Some(false);
        }
        let Plain { kind, mask, header, payload } = frame::decode_plain(raw, self.rules)?;
        if payload > self.config.max_message {
            return None;
        }
        if raw.len() > self.left {
            self.heard = now;
        }
        self.left = raw.len() - header - payload;
        let payload = rx.frame(header, payload);
        if let Some(key) = mask {
            mask::in_place(payload, key, 0);
        }
        self.received.whole();
        self.began = self.offset + header as u64;
        self.offset = self.began + payload.len() as u64;
        self.announce(Lease::Message(kind, Area::Content));
        Some(true)
    }

    /// Works until there is an event or nothing left to work on.
    #[inline]
    pub(super) fn decide(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        if self.full && tx.len() <= self.config.send_low_water {
            self.full = false;
            self.announce(Lease::Drained);
            return true;
        }
        if self.pong.is_some() {
            self.send_held_pong(tx);
        }
        let received = match self.state {
            State::Open | State::Closing => self.receive(now, rx, tx),
            State::Finishing(_) => {
                self.skip(rx.raw().len(), rx);
                Ok(false)
            }
            State::Over(_) => Ok(false),
        };
        match received {
            Ok(true) => return true,
            Ok(false) => {}
            Err((kind, at)) => {
                self.fail(kind, at, tx);
            }
        }
        match self.state {
            State::Open if !rx.is_finished() => false,
            _ => self.decide_end(rx),
        }
    }

    /// Whether there is an event for the end of the connection.
    fn decide_end(&mut self, rx: &RecvBuf) -> bool {
        if rx.is_finished() {
            match self.state {
                State::Open | State::Closing => self.end(Closed::Eof),
                State::Finishing(clean) => self.end(clean),
                State::Over(_) => {}
            }
        }
        let over = matches!(self.state, State::Over(_)) && !self.told;
        if over {
            self.told = true;
            self.announce(Lease::Closed);
        }
        over
    }

    /// Takes frames until there is an event (`true`) or more bytes are needed.
    #[inline]
    fn receive(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> Result<bool, Fault> {
        loop {
            if self.assembler.is_filling() {
                match self.fill(rx)? {
                    Fill::Partial => return Ok(false),
                    Fill::Fragment => continue,
                    Fill::Message(kind, area) => {
                        self.received.message();
                        self.announce(Lease::Message(kind, area));
                    }
                    Fill::Chunk(area, len) => self.announce(Lease::Chunk(area, len)),
                    Fill::End => {
                        self.received.message();
                        self.announce(Lease::End);
                    }
                }
                return Ok(true);
            }
            let (header, len) = match frame::decode(rx.raw(), self.rules) {
                Ok(Some(decoded)) => decoded,
                Ok(None) if rx.is_full() => return Err(self.here(ProtocolErrorKind::MessageTooBig)),
                Ok(None) => return Ok(false),
                Err(kind) => return Err(self.here(kind)),
            };
            if header.opcode.is_control() {
                return self.receive_control(&header, len, now, rx, tx);
            }
            self.assembler.check(&header, rx).map_err(|kind| self.here(kind))?;
            self.frame = self.offset;
            self.skip(len, rx);
            if !self.assembler.is_streaming() && message::take_whole(&header, rx) {
                self.received.whole();
                self.began = self.offset;
                self.offset += header.payload;
                let kind = MessageKind::of(header.opcode);
                self.announce(Lease::Message(kind, Area::Content));
                return Ok(true);
            }
            self.received.fragment();
            let begins = self.assembler.begin(&header, rx);
            if begins && self.assembler.is_streaming() {
                let known = header.fin && !header.rsv1;
                let length = known.then_some(header.payload);
                self.announce(Lease::Start(MessageKind::of(header.opcode), length));
                return Ok(true);
            }
        }
    }

    /// Takes what there is of a frame's payload.
    fn fill(&mut self, rx: &mut RecvBuf) -> Result<Fill, Fault> {
        let before = rx.raw().len();
        self.began = self.offset;
        let inflates = self.assembler.is_inflating();
        let fill = self.assembler.fill(rx).map_err(|(kind, at)| {
            // Which byte of what was inflated came from where, nobody can say.
            (kind, if inflates { self.frame } else { self.offset + at as u64 })
        })?;
        self.offset += (before - rx.raw().len()) as u64;
        Ok(fill)
    }

    /// Takes a control frame, once all of it is there.
    fn receive_control(
        &mut self,
        header: &Header,
        header_len: usize,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Result<bool, Fault> {
        // At most 125: `decode` has seen to that.
        let len = header.payload as usize;
        if rx.raw().len() < header_len + len {
            if rx.is_full() {
                return Err(self.here(ProtocolErrorKind::MessageTooBig));
            }
            return Ok(false);
        }
        if let Some(key) = header.mask {
            mask::in_place(&mut rx.raw_mut()[header_len..header_len + len], key, 0);
        }
        self.received.control(header.opcode);
        let payload = &rx.raw()[header_len..header_len + len];
        match header.opcode {
            OpCode::Ping => {
                self.answer_ping(payload, tx);
                self.skip(header_len, rx);
                self.announce(Lease::Ping(len));
                Ok(true)
            }
            OpCode::Pong => {
                self.keepalive.ponged(payload, now);
                trace::event!(
                    "tidewire::ws", TRACE, in self.span,
                    rtt = ?self.round_trip(), "pong"
                );
                self.skip(header_len, rx);
                self.announce(Lease::Pong(len));
                Ok(true)
            }
            _ => {
                self.receive_close(header_len, len, now, rx, tx)?;
                Ok(false)
            }
        }
    }

    /// Takes a Close frame (5.5.1): answers it if it is the first.
    fn receive_close(
        &mut self,
        header_len: usize,
        len: usize,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Result<(), Fault> {
        let payload = &rx.raw()[header_len..header_len + len];
        let any_code = self.config.leniency.any_close_code;
        let (code, _reason) =
            close::decode(payload, any_code).map_err(|(kind, at)| match kind {
                ProtocolErrorKind::InvalidUtf8 => (kind, self.offset + (header_len + at) as u64),
                _ => self.here(kind),
            })?;
        trace::event!(
            "tidewire::ws", DEBUG, in self.span,
            %code, reason = ?_reason, "Close received"
        );
        let initiator = match self.state {
            State::Open => {
                let answer = if code.is_sendable() { payload } else { &[] };
                let behind = !tx.is_empty();
                self.sender.control(OpCode::Close, answer, tx);
                self.begin_closing(behind, now, tx);
                Initiator::Remote
            }
            _ => Initiator::Local,
        };
        // What was received of a message is void. The reason becomes the content.
        self.assembler.abandon(rx);
        let code_len = len.min(2);
        self.skip(header_len + code_len, rx);
        rx.keep(len - code_len);
        self.offset += (len - code_len) as u64;
        // The server ends the stream, the client waits for that (7.1.1).
        let clean = Closed::Clean { code, initiator };
        match self.role {
            Role::Client => self.state = State::Finishing(clean),
            Role::Server => self.end(clean),
        }
        Ok(())
    }

    /// Queues the pong, or holds it back while too much waits to be written.
    fn answer_ping(&mut self, payload: &[u8], tx: &mut SendBuf) {
        if !matches!(self.state, State::Open) {
            // Nothing follows our Close.
        } else if tx.len() < self.config.send_high_water {
            self.sender.control(OpCode::Pong, payload, tx);
        } else {
            let mut bytes = [0; MAX_CONTROL];
            bytes[..payload.len()].copy_from_slice(payload);
            self.pong = Some(Box::new(Control { bytes, len: payload.len() }));
        }
    }

    fn send_held_pong(&mut self, tx: &mut SendBuf) {
        if tx.len() < self.config.send_high_water {
            if let Some(pong) = self.pong.take() {
                self.sender.control(OpCode::Pong, &pong.bytes[..pong.len], tx);
            }
        }
    }

    /// At the first of the raw bytes.
    fn here(&self, kind: ProtocolErrorKind) -> Fault {
        (kind, self.offset)
    }

    #[inline]
    pub(super) fn skip(&mut self, n: usize, rx: &mut RecvBuf) {
        rx.skip(n);
        self.offset += n as u64;
    }
}
