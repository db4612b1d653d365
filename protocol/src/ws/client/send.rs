//! What a [`Client`] sends: by its connection, or by the one to come.

use super::{Client, Phase};
use crate::reconnect::Attempt;
use crate::ws::WhileDown;
use crate::ws::connection::Connection;
use crate::ws::error::SendError;
use crate::ws::frame::{MAX_CONTROL, OpCode};
use crate::ws::message::MessageKind;
#[cfg(doc)]
use crate::ws::{ClientConfig, ClientEvent, Config};
use crate::{SendBuf, utf8};
use bytes::Bytes;

impl Client {
    /// Sends a text message. While there is no open connection,
    /// [`ClientConfig::while_down`] says what becomes of it; what is kept leaves in order once
    /// [`ClientEvent::Open`] has been looked at, and ahead of what is sent later.
    ///
    /// # Errors
    /// [`SendError::Full`]; [`SendError::NotOpen`] with [`WhileDown::Refuse`];
    /// [`SendError::Closing`] also when no attempt is under way or scheduled.
    pub fn send_text(&mut self, text: &str, tx: &mut SendBuf) -> Result<(), SendError> {
        match self.carrier() {
            Some(connection) => connection.send_text(text, tx),
            None => self.keep(OpCode::Text, || Bytes::copy_from_slice(text.as_bytes())),
        }
    }

    /// Sends a binary message, as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, bytes: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        match self.carrier() {
            Some(connection) => connection.send_binary(bytes, tx),
            None => self.keep(OpCode::Binary, || Bytes::copy_from_slice(bytes)),
        }
    }

    /// Sends a message of the connection's own kind,
    /// [`Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn send(&mut self, message: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        match self.config.connection.message_kind {
            MessageKind::Binary => self.send_binary(message, tx),
            MessageKind::Text => {
                let text = utf8::validate(message).map_err(|_| SendError::NotUtf8)?;
                self.send_text(text, tx)
            }
        }
    }

    /// Sends a message that others may share; see [`Connection::send_shared`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::NotUtf8`].
    pub fn send_shared(
        &mut self,
        kind: MessageKind,
        payload: &Bytes,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        match self.carrier() {
            Some(connection) => connection.send_shared(kind, payload, tx),
            None if kind == MessageKind::Binary => self.keep(OpCode::Binary, || payload.clone()),
            None => {
                utf8::validate(payload).map_err(|_| SendError::NotUtf8)?;
                self.keep(OpCode::Text, || payload.clone())
            }
        }
    }

    /// Sends a message by the connection that is open, ahead of what was kept for it as long as
    /// [`ClientEvent::Open`] is being looked at: a login, or what is subscribed to.
    ///
    /// # Errors
    /// As [`Connection::send_text`], [`SendError::NotUtf8`] for a text that is none, and
    /// [`SendError::NotOpen`].
    pub fn send_first(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        let Some(connection) = self.connection_mut() else { return Err(SendError::NotOpen) };
        match kind {
            MessageKind::Binary => connection.send_binary(payload, tx),
            MessageKind::Text => {
                let text = utf8::validate(payload).map_err(|_| SendError::NotUtf8)?;
                connection.send_text(text, tx)
            }
        }
    }

    /// Begins a message in pieces; see [`Connection::start_message`]. It is not kept for a connection
    /// to come: one that ends takes what was begun with it.
    ///
    /// # Errors
    /// As [`Connection::start_message`], and [`SendError::NotOpen`].
    pub fn start_message(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.connection_mut().map_or(Err(SendError::NotOpen), |conn| conn.start_message(kind))
    }

    /// Sends the next piece of the message that was begun; see [`Connection::send_chunk`].
    ///
    /// # Errors
    /// As [`Connection::send_chunk`], and [`SendError::NotOpen`].
    pub fn send_chunk(&mut self, bytes: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.flush(tx);
        self.connection_mut().map_or(Err(SendError::NotOpen), |conn| conn.send_chunk(bytes, tx))
    }

    /// Ends the message that was begun; see [`Connection::end_message`].
    ///
    /// # Errors
    /// As [`Connection::end_message`], and [`SendError::NotOpen`].
    pub fn end_message(&mut self, last: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.flush(tx);
        self.connection_mut().map_or(Err(SendError::NotOpen), |conn| conn.end_message(last, tx))
    }

    /// Sends a ping of at most 125 bytes, as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.send_control(OpCode::Ping, payload, tx)
    }

    /// Sends a pong of at most 125 bytes that nobody asked for, as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SendError::ControlTooLong`].
    pub fn send_pong(&mut self, payload: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        self.send_control(OpCode::Pong, payload, tx)
    }

    fn send_control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL {
            return Err(SendError::ControlTooLong);
        }
        match self.carrier() {
            Some(connection) => connection.send_control(opcode, payload, tx),
            None => self.keep(opcode, || Bytes::copy_from_slice(payload)),
        }
    }

    /// What was kept leaves by a connection that has just opened.
    pub(super) fn flush(&mut self, tx: &mut SendBuf) {
        if let Phase::Accepted(_, connection) = &mut self.phase {
            for (opcode, payload) in self.queue.take() {
                connection.enqueue(opcode, &payload, tx);
            }
            if self.queue.take_full() {
                connection.owe_drained();
            }
        }
    }

    /// Whether what is sent while a connection ends is kept for the next one, which the policy will open.
    #[must_use]
    pub fn keeps_for_next(&self) -> bool {
        let config = &self.config;
        config.while_down != WhileDown::Refuse && config.reconnect.is_some() && !self.stopped
    }

    /// The connection that a message leaves by, unless it is to be kept.
    fn carrier(&mut self) -> Option<&mut Connection> {
        let goes_on = self.keeps_for_next();
        match &mut self.phase {
            // Behind what was kept, which lets through what is sent first. In the midst of a message it
            // is refused instead, and not kept to come between the pieces.
            Phase::Accepted(_, connection)
                if connection.is_open() && !connection.is_fragmenting() =>
            {
                None
            }
            // It ends, and another one is to come.
            Phase::Open(connection) if !connection.is_open() && goes_on => None,
            Phase::Accepted(_, connection) | Phase::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// Keeps a frame until there is a connection.
    fn keep(&mut self, opcode: OpCode, payload: impl FnOnce() -> Bytes) -> Result<(), SendError> {
        let while_down = match self.phase {
            Phase::Down { .. } | Phase::Refused(_)
                if self.attempts.reconnector.attempt() == Attempt::Idle =>
            {
                return Err(SendError::Closing);
            }
            // It is open for the caller, who is neither refused nor loses anything.
            Phase::Accepted(..) => {
                let bytes = self.config.connection.send_high_water;
                WhileDown::Queue { bytes: bytes.max(self.config.while_down.bytes()) }
            }
            _ => self.config.while_down,
        };
        self.queue.push(opcode, payload, while_down)
    }
}
