//! The sending half of a [`Connection`]: messages and control frames in, frames out.

use super::{Connection, State};
use crate::trace;
use crate::ws::error::SendError;
use crate::ws::frame::{MAX_CONTROL, OpCode};
use crate::ws::message::MessageKind;
#[cfg(doc)]
use crate::ws::{Config, Event};
use crate::{SendBuf, utf8};
use bytes::Bytes;

impl Connection {
    /// Queues a text message, in one frame.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`] and [`SendError::Unfinished`].
    #[inline]
    pub fn send_text(&mut self, text: &str, tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_message(tx)?;
        self.sender.message(OpCode::Text, text.as_bytes(), tx);
        Ok(())
    }

    /// Queues a binary message, in one frame.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`] and [`SendError::Unfinished`].
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_message(tx)?;
        self.sender.message(OpCode::Binary, bytes, tx);
        Ok(())
    }

    /// Queues a message of the connection's own kind, [`Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send(&mut self, message: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_message(tx)?;
        let opcode = match self.config.message_kind {
            MessageKind::Binary => OpCode::Binary,
            MessageKind::Text => {
                utf8::validate(message).map_err(|_| SendError::NotUtf8)?;
                OpCode::Text
            }
        };
        self.sender.message(opcode, message, tx);
        Ok(())
    }

    /// Queues a message that others may share. A server does not copy it if it is large and not to be
    /// compressed; a client must, because it masks each frame with a key of its own.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send_shared(
        &mut self,
        kind: MessageKind,
        payload: &Bytes,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        self.check_message(tx)?;
        let opcode = match kind {
            MessageKind::Binary => OpCode::Binary,
            MessageKind::Text => {
                utf8::validate(payload).map_err(|_| SendError::NotUtf8)?;
                OpCode::Text
            }
        };
        self.sender.shared(opcode, payload, tx);
        Ok(())
    }

    /// Begins a message whose length need not be known: it leaves in fragments (RFC 6455, 5.4), one
    /// for each [`send_chunk`](Self::send_chunk), until [`end_message`](Self::end_message). Pings,
    /// pongs and Close may be sent in its midst, other messages not. If compression was agreed on it
    /// is compressed, whatever the threshold.
    ///
    /// # Errors
    /// [`SendError::Unfinished`] in the midst of another, and [`SendError::Closing`].
    pub fn start_message(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.check_open()?;
        if self.sender.is_fragmenting() {
            return Err(SendError::Unfinished);
        }
        self.sender.start(kind);
        Ok(())
    }

    /// Whether a message was begun and not ended.
    #[must_use]
    pub const fn is_sending_message(&self) -> bool {
        matches!(self.check_open(), Ok(())) && self.sender.is_fragmenting()
    }

    /// Queues the next piece of the message that was begun, as a frame of its own. An empty one is no
    /// frame.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`], [`SendError::NotStarted`], and
    /// [`SendError::NotUtf8`] if a text goes wrong in this piece; it may end within a character, whose
    /// rest comes with the next. After an error the piece was not taken and the message can go on.
    pub fn send_chunk(&mut self, bytes: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_fragment(tx)?;
        self.sender.fragment(bytes, false, tx)
    }

    /// Ends the message that was begun, with a `last` piece that may be empty.
    ///
    /// # Errors
    /// As [`send_chunk`](Self::send_chunk), and [`SendError::NotUtf8`] if a text would end within a
    /// character. After an error the message can go on.
    pub fn end_message(&mut self, last: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.check_fragment(tx)?;
        self.sender.fragment(last, true, tx)
    }

    /// Queues a ping of at most 125 bytes, besides those of [`Config::ping_interval`]. The answer
    /// comes as [`Event::Pong`]; there is no deadline for it.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`] and [`SendError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.send_control(OpCode::Ping, payload, tx)
    }

    /// Queues a pong of at most 125 bytes that nobody asked for (RFC 6455, 5.5.3). Pings are
    /// answered without it.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closing`] and [`SendError::ControlTooLong`].
    pub fn send_pong(&mut self, payload: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.send_control(OpCode::Pong, payload, tx)
    }

    pub(in crate::ws) fn send_control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL {
            return Err(SendError::ControlTooLong);
        }
        self.check_room(tx)?;
        self.sender.control(opcode, payload, tx);
        Ok(())
    }

    /// Queues what was accepted before there was a connection, whatever waits already.
    pub(in crate::ws) fn enqueue(&mut self, opcode: OpCode, payload: &[u8], tx: &mut SendBuf) {
        if opcode.is_control() {
            self.sender.control(opcode, payload, tx);
        } else {
            self.sender.message(opcode, payload, tx);
        }
    }

    /// Whether a message was begun, and not ended.
    pub(in crate::ws) const fn is_fragmenting(&self) -> bool {
        self.sender.is_fragmenting()
    }

    /// [`SendError::Full`] was returned for this connection before it was there.
    pub(in crate::ws) fn owe_drained(&mut self) {
        self.owe();
    }

    /// There was no room: [`Event::Drained`] comes when there is.
    #[cold]
    fn owe(&mut self) {
        if !self.full {
            trace::event!(
                "tidewire::ws", DEBUG, in self.span,
                limit = self.config.send_high_water, "the send queue is full"
            );
        }
        self.full = true;
        self.quiet = false;
    }

    #[inline]
    fn check_message(&mut self, tx: &SendBuf) -> Result<(), SendError> {
        if self.sender.is_fragmenting() {
            self.check_open()?;
            return Err(SendError::Unfinished);
        }
        self.check_room(tx)
    }

    fn check_fragment(&mut self, tx: &SendBuf) -> Result<(), SendError> {
        self.check_open()?;
        if !self.sender.is_fragmenting() {
            return Err(SendError::NotStarted);
        }
        self.check_room(tx)
    }

    #[inline]
    fn check_room(&mut self, tx: &SendBuf) -> Result<(), SendError> {
        self.check_open()?;
        if tx.len() >= self.config.send_high_water {
            self.owe();
            return Err(SendError::Full);
        }
        Ok(())
    }

    #[inline]
    const fn check_open(&self) -> Result<(), SendError> {
        if matches!(self.state, State::Open) { Ok(()) } else { Err(SendError::Closing) }
    }
}
