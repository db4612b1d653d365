//! The receiving half of a [`Connection`]: frames in, events announced.

use super::{Connection, Control, Lease, Role, State};
use crate::ws::close;
use crate::ws::error::{Closed, Initiator, ProtocolErrorKind};
use crate::ws::frame::{self, Header, MAX_CONTROL, OpCode};
use crate::ws::mask;
use crate::ws::message::{self, Fill};
use crate::{Instant, RecvBuf, SendBuf};

/// How far [`Connection::receive`] came.
pub(super) enum Progress {
    /// There is an event.
    Announced,
    /// More bytes are needed.
    Starved,
}

impl Connection {
    /// Takes frames. An error is at so many bytes into the raw ones.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Result<Progress, (ProtocolErrorKind, usize)> {
        loop {
            if !self.assembler.is_filling() {
                match frame::decode(rx.raw(), self.rules).map_err(|kind| (kind, 0))? {
                    None if rx.is_full() => return Err((ProtocolErrorKind::MessageTooBig, 0)),
                    None => return Ok(Progress::Starved),
                    Some((header, len)) if header.opcode.is_control() => {
                        return self.receive_control(&header, len, now, rx, tx);
                    }
                    Some((header, len)) => {
                        let max_message = self.config.max_message;
                        self.assembler.check(&header, max_message, rx).map_err(|kind| (kind, 0))?;
                        self.skip(len, rx);
                        let began = self.offset;
                        if let Some(message) = message::take_whole(&header, rx) {
                            self.offset += header.payload;
                            return Ok(self.announce(Lease::Message { message, began }));
                        }
                        self.assembler.begin(&header);
                    }
                }
            }
            let (before, began) = (rx.raw().len(), self.offset);
            let fill = self.assembler.fill(rx)?;
            self.offset += (before - rx.raw().len()) as u64;
            match fill {
                Fill::Partial => return Ok(Progress::Starved),
                Fill::Fragment => {}
                Fill::Message(message) => {
                    return Ok(self.announce(Lease::Message { message, began }));
                }
            }
        }
    }

    /// Takes a control frame, once all of it is there.
    fn receive_control(
        &mut self,
        header: &Header,
        header_len: usize,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Result<Progress, (ProtocolErrorKind, usize)> {
        // At most 125: `decode` has seen to that.
        let len = header.payload as usize;
        if rx.raw().len() < header_len + len {
            if rx.is_full() {
                return Err((ProtocolErrorKind::MessageTooBig, 0));
            }
            return Ok(Progress::Starved);
        }
        if let Some(key) = header.mask {
            mask::in_place(&mut rx.raw_mut()[header_len..header_len + len], key, 0);
        }
        let payload = &rx.raw()[header_len..header_len + len];
        Ok(match header.opcode {
            OpCode::Ping => {
                self.answer_ping(payload, tx);
                self.skip(header_len, rx);
                self.announce(Lease::Ping(len))
            }
            OpCode::Pong => {
                self.skip(header_len, rx);
                self.announce(Lease::Pong(len))
            }
            _ => {
                let (code, _) = close::decode(payload).map_err(|(kind, at)| match kind {
                    ProtocolErrorKind::InvalidUtf8 => (kind, header_len + at),
                    _ => (kind, 0),
                })?;
                let initiator = match self.state {
                    State::Open => {
                        self.sender.frame(OpCode::Close, payload, tx);
                        self.begin_closing(now, tx);
                        Initiator::Remote
                    }
                    _ => Initiator::Local,
                };
                // What was received of a message is void. The reason becomes the content.
                rx.consume(rx.content().len());
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
                Progress::Starved
            }
        })
    }

    /// Queues the pong, or holds it back while too much waits to be written.
    fn answer_ping(&mut self, payload: &[u8], tx: &mut SendBuf) {
        if !matches!(self.state, State::Open) {
            // Nothing follows our Close.
        } else if tx.len() < self.config.send_high_water {
            self.sender.frame(OpCode::Pong, payload, tx);
        } else {
            let mut bytes = [0; MAX_CONTROL];
            bytes[..payload.len()].copy_from_slice(payload);
            self.pong = Some(Control { bytes, len: payload.len() });
        }
    }

    pub(super) fn send_held_pong(&mut self, tx: &mut SendBuf) {
        if tx.len() < self.config.send_high_water {
            if let Some(Control { bytes, len }) = self.pong.take() {
                self.sender.frame(OpCode::Pong, &bytes[..len], tx);
            }
        }
    }
}
