//! What a [`Client`] sends: by its connection, or by the one to come.

use super::{Client, Phase};
use crate::reconnect::Attempt;
use crate::ws::error::SendError;
use crate::ws::frame::{MAX_CONTROL, OpCode};
use crate::ws::message::MessageKind;
#[cfg(doc)]
use crate::ws::{Config, Connection};
use crate::{SendBuf, utf8};
use bytes::Bytes;

impl Client {
    /// Sends a text message. Before the connection is open it is kept, and leaves first and in order
    /// when it is.
    ///
    /// # Errors
    /// [`SendError::Full`]; [`SendError::Closing`] also when no attempt is under way or scheduled.
    pub fn send_text(&mut self, text: &str, tx: &mut SendBuf) -> Result<(), SendError> {
        match self.connection_mut() {
            Some(connection) => connection.send_text(text, tx),
            None => self.keep(OpCode::Text, || Bytes::copy_from_slice(text.as_bytes())),
        }
    }

    /// Sends a binary message, as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, bytes: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
        match self.connection_mut() {
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
        match self.connection_mut() {
            Some(connection) => connection.send_shared(kind, payload, tx),
            None if kind == MessageKind::Binary => self.keep(OpCode::Binary, || payload.clone()),
            None => {
                utf8::validate(payload).map_err(|_| SendError::NotUtf8)?;
                self.keep(OpCode::Text, || payload.clone())
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
        self.connection_mut().map_or(Err(SendError::NotOpen), |conn| conn.send_chunk(bytes, tx))
    }

    /// Ends the message that was begun; see [`Connection::end_message`].
    ///
    /// # Errors
    /// As [`Connection::end_message`], and [`SendError::NotOpen`].
    pub fn end_message(&mut self, last: &[u8], tx: &mut SendBuf) -> Result<(), SendError> {
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
        match self.connection_mut() {
            Some(connection) => connection.send_control(opcode, payload, tx),
            None => self.keep(opcode, || Bytes::copy_from_slice(payload)),
        }
    }

    /// Keeps a frame until there is a connection.
    fn keep(&mut self, opcode: OpCode, payload: impl FnOnce() -> Bytes) -> Result<(), SendError> {
        let idle = self.reconnector.attempt() == Attempt::Idle;
        if idle && !matches!(self.phase, Phase::Opening { .. }) {
            return Err(SendError::Closing);
        }
        self.queue.push(opcode, payload, self.config.connection.send_high_water)
    }
}
