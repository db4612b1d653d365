//! Sending one message piece by piece.

use super::WebSocket;
use crate::error::Error;
use crate::runtime::Runtime;
use futures_io::AsyncWrite;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tidewire::ws::{MessageKind, SendError};

/// The largest frame that one write makes, in bytes.
const PIECE: usize = 64 * 1024;

/// One message on its way out, whose length need not be known: from
/// [`WebSocket::start_message`]. It leaves in fragments (RFC 6455, 5.4), one for each piece.
///
/// ```
/// # use tidewire_runtime::{Error, Runtime, WebSocket, ws::MessageKind};
/// # async fn example<R: Runtime>(socket: &mut WebSocket<R>) -> Result<(), Error> {
/// let mut message = socket.start_message(MessageKind::Text)?;
/// for number in 0..1_000_000 {
///     message.send_chunk(format!("{number}\n").as_bytes()).await?;
/// }
/// message.finish().await
/// # }
/// ```
///
/// It is an [`AsyncWrite`] too, to copy a file into; closing that finishes the message. Each write is a
/// frame, of 64 KiB at the most: put something that buffers in front of many small ones.
///
/// # Dropped before it is finished
///
/// The message stays open, since to end it would give the peer a part of it as if it were all. Until it
/// is taken up again by [`WebSocket::unfinished_message`] and finished, other messages are refused with
/// [`SendError::Unfinished`]; pings, pongs and Close may be sent. If the connection is closed instead,
/// the peer sees that the message has no end.
#[must_use = "the message is not ended before `finish`"]
#[derive(Debug)]
pub struct MessageWriter<'a, R: Runtime> {
    socket: &'a mut WebSocket<R>,
}

impl<R: Runtime> MessageWriter<'_, R> {
    /// Sends the next piece: waits for room if much is queued, then writes it out. An empty one is
    /// no frame. A piece of a text may end within a character.
    ///
    /// Cancel-safe in that a dropped future either has queued the whole piece, which then leaves with
    /// the next call, or nothing; who must know which calls [`WebSocket::ready`],
    /// [`queue_chunk`](Self::queue_chunk) and [`WebSocket::flush`].
    ///
    /// # Errors
    /// [`Error::WebSocketSend`] if the connection is closing, and with [`SendError::NotUtf8`] if a text
    /// goes wrong in this piece, which was not taken then; [`Error::Io`] if the connection broke,
    /// [`Error::WebSocket`] if the peer took nothing for too long.
    pub async fn send_chunk(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.send_with(|ws, tx| ws.send_chunk(bytes, tx)).await
    }

    /// Queues the next piece without waiting.
    ///
    /// # Errors
    /// As [`Connection::send_chunk`](tidewire::ws::Connection::send_chunk).
    pub fn queue_chunk(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let ws = self.socket.driver.parts();
        ws.machine.send_chunk(bytes, ws.tx)
    }

    /// Ends the message and writes out what is queued.
    ///
    /// Cancel-safe: after a dropped future the message is ended or it is not, in which case
    /// [`WebSocket::unfinished_message`] has it.
    ///
    /// # Errors
    /// As [`send_chunk`](Self::send_chunk), with [`SendError::NotUtf8`] if a text would end within a
    /// character.
    pub async fn finish(self) -> Result<(), Error> {
        self.socket.send_with(|ws, tx| ws.end_message(&[], tx)).await
    }

    /// Ends the message with a `last` piece that may be empty, without waiting.
    ///
    /// # Errors
    /// As [`Connection::end_message`](tidewire::ws::Connection::end_message); the message can go on.
    pub fn queue_end(self, last: &[u8]) -> Result<(), SendError> {
        let ws = self.socket.driver.parts();
        ws.machine.end_message(last, ws.tx)
    }
}

/// Writes are queued up to [`send_high_water`](tidewire::ws::Config::send_high_water) and leave when
/// that is reached, when it is flushed, and with whatever is done with the socket next.
impl<R: Runtime> AsyncWrite for MessageWriter<'_, R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut *self.get_mut().socket;
        ready!(socket.poll_room(cx)).map_err(Error::into_io)?;
        let piece = &buf[..buf.len().min(PIECE)];
        let ws = socket.driver.parts();
        Poll::Ready(match ws.machine.send_chunk(piece, ws.tx) {
            Ok(()) => Ok(piece.len()),
            Err(error) => Err(Error::from(error).into_io()),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll_drain(cx, 0).map_err(Error::into_io)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *self.get_mut().socket;
        if socket.connection().is_sending_message() {
            ready!(socket.poll_room(cx)).map_err(Error::into_io)?;
            let ws = socket.driver.parts();
            if let Err(error) = ws.machine.end_message(&[], ws.tx) {
                return Poll::Ready(Err(Error::from(error).into_io()));
            }
        }
        socket.poll_drain(cx, 0).map_err(Error::into_io)
    }
}

impl<R: Runtime> WebSocket<R> {
    /// Begins a message that is sent piece by piece.
    ///
    /// # Errors
    /// [`SendError::Unfinished`] in the midst of another, and [`SendError::Closing`].
    pub fn start_message(&mut self, kind: MessageKind) -> Result<MessageWriter<'_, R>, SendError> {
        self.driver.parts().machine.start_message(kind)?;
        Ok(MessageWriter { socket: self })
    }

    /// The message that was begun and not ended, to go on with it.
    pub fn unfinished_message(&mut self) -> Option<MessageWriter<'_, R>> {
        self.connection().is_sending_message().then_some(MessageWriter { socket: self })
    }
}
