//! Receiving one message piece by piece.

use super::{Message, WebSocket};
use crate::error::Error;
use crate::runtime::Runtime;
use bytes::Bytes;
use futures_io::AsyncRead;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tidewire::ws::{Event, MessageKind};

#[cfg(doc)]
use tidewire::ws::{Config, Delivery};

/// The message that is being received, and what was received of it but not read.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    message: Option<Start>,
    /// The piece that a reader has begun, and how much of it was read.
    piece: Vec<u8>,
    read: usize,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    kind: MessageKind,
    length: Option<u64>,
    /// It came in one event: there is nothing behind the piece.
    whole: bool,
    /// A piece of it was lent, so that it cannot be put together any more.
    begun: bool,
}

impl Incoming {
    /// Looks at an event on its way to the program.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::MessageStart { kind, length } => {
                self.message =
                    Some(Start { kind: *kind, length: *length, whole: false, begun: false });
            }
            Event::MessageEnd | Event::Text(_) | Event::Binary(_) | Event::Closed { .. } => {
                self.message = None;
            }
            Event::Chunk(_) => {
                if let Some(message) = &mut self.message {
                    message.begun = true;
                }
            }
            _ => {}
        }
    }

    /// Whether a reader has left something of a piece.
    pub(super) fn has_rest(&mut self) -> bool {
        if self.message.is_some_and(|message| message.whole) {
            // It has been an event already, and a whole one.
            *self = Self::default();
        }
        !self.rest().is_empty()
    }

    fn rest(&self) -> &[u8] {
        &self.piece[self.read..]
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.piece.clear();
        self.piece.extend_from_slice(bytes);
        self.read = 0;
    }

    /// What a reader has left of a piece.
    pub(super) fn take_rest(&mut self) -> Option<&[u8]> {
        let rest = &self.piece[self.read..];
        self.read = self.piece.len();
        Some(rest).filter(|rest| !rest.is_empty())
    }

    /// Puts messages together again. The rest of one that somebody else has begun is none.
    pub(super) fn gather(&mut self, event: Event<'_>) -> Option<Message> {
        let message = match event {
            Event::Text(text) => Message::Text(text.to_owned()),
            Event::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
            Event::Chunk(bytes) => {
                if self.message.is_some_and(|message| !message.begun) {
                    self.piece.extend_from_slice(bytes);
                }
                return None;
            }
            Event::MessageEnd => {
                let Start { kind, begun, .. } = self.message.take()?;
                let bytes = std::mem::take(self).piece;
                match kind {
                    _ if begun => return None,
                    MessageKind::Binary => Message::Binary(bytes.into()),
                    // Its pieces were whole characters.
                    MessageKind::Text => Message::Text(String::from_utf8(bytes).ok()?),
                }
            }
            event => {
                if let Event::MessageStart { .. } = event {
                    *self = Self::default();
                }
                self.note(&event);
                return None;
            }
        };
        Some(message)
    }
}

/// One message, read as it arrives: of any size, in memory that its size does not matter to. From
/// [`WebSocket::next_message`].
///
/// For that the connection must have been made with [`Delivery::Streaming`] and a
/// [`Config::max_message`] that allows the size. With [`Delivery::Whole`] a reader works as well; the
/// message is then received before it is read.
///
/// ```
/// # use tidewire_runtime::{Error, Runtime, WebSocket};
/// /// The lengths of the messages until the connection is closed in order.
/// async fn lengths<R: Runtime>(socket: &mut WebSocket<R>) -> Result<Vec<u64>, Error> {
///     let mut lengths = Vec::new();
///     while let Some(mut message) = socket.next_message().await? {
///         let mut length = 0;
///         while let Some(piece) = message.chunk().await? {
///             length += piece.len() as u64;
///         }
///         lengths.push(length);
///     }
///     Ok(lengths)
/// }
/// ```
///
/// It is an [`AsyncRead`] too. That ends where the message ends, and fails where the connection does
/// before: half a message is never taken for a whole one.
///
/// Pings are answered meanwhile, and what is queued is written. Events that are not of the message,
/// pings, pongs and [`Event::Drained`], are not told.
///
/// # Dropped before its end
///
/// What was not read waits on the socket: [`WebSocket::unread_message`] goes on where this reader
/// stopped, and so does [`WebSocket::next`], with [`Event::Chunk`]. [`WebSocket::next_message`] skips
/// it, so that what it gives always begins at the beginning.
#[derive(Debug)]
pub struct MessageReader<'a, R: Runtime> {
    socket: &'a mut WebSocket<R>,
    kind: MessageKind,
    length: Option<u64>,
}

impl<R: Runtime> MessageReader<'_, R> {
    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// How many bytes the message has, if that is known: it is one frame, and not compressed.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Waits for the next piece and lends it; `None` at the end of the message. A piece is never
    /// empty, and of a text it is whole characters, unless a part of it was read through
    /// [`AsyncRead`].
    ///
    /// Cancel-safe: a dropped future takes no piece with it.
    ///
    /// # Errors
    /// [`Error::WebSocket`] if the connection ends before the message does.
    pub async fn chunk(&mut self) -> Result<Option<&[u8]>, Error> {
        let socket = &mut *self.socket;
        if !socket.incoming.rest().is_empty() {
            return Ok(socket.incoming.take_rest());
        }
        if !poll_fn(|cx| socket.poll_piece(cx)).await? {
            return Ok(None);
        }
        let (machine, rx, ..) = socket.driver.split();
        Ok(Some(machine.lent(rx)))
    }

    /// The rest of the message, if it has no more than `limit` bytes.
    ///
    /// Not cancel-safe: a dropped future takes what it has read with it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there is more; as [`chunk`](Self::chunk).
    pub async fn read_all(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if piece.len() > limit.saturating_sub(all.len()) {
                return Err(Error::TooLarge { limit });
            }
            all.extend_from_slice(piece);
        }
        Ok(all)
    }
}

impl<R: Runtime> AsyncRead for MessageReader<'_, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut *self.get_mut().socket;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if socket.incoming.rest().is_empty() {
            if !ready!(socket.poll_piece(cx)).map_err(Error::into_io)? {
                return Poll::Ready(Ok(0));
            }
            // What does not fit has to be kept: anything that is done with the socket releases it.
            let (machine, rx, ..) = socket.driver.split();
            let piece = machine.lent(rx);
            let (now, later) = piece.split_at(piece.len().min(buf.len()));
            buf[..now.len()].copy_from_slice(now);
            socket.incoming.keep(later);
            return Poll::Ready(Ok(now.len()));
        }
        let rest = socket.incoming.rest();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        socket.incoming.read += n;
        Poll::Ready(Ok(n))
    }
}

impl<R: Runtime> WebSocket<R> {
    /// Waits for the next message and gives what reads it; `None` once the connection is closed in
    /// order. What was not read of the message before is skipped.
    ///
    /// Cancel-safe: a dropped future takes no message with it.
    ///
    /// # Errors
    /// [`Error::WebSocket`] if the connection ends in another way than a closing handshake.
    pub async fn next_message(&mut self) -> Result<Option<MessageReader<'_, R>>, Error> {
        loop {
            if !poll_fn(|cx| self.poll_advance(cx)).await {
                return match self.driver.machine().closed() {
                    Some(why) if !why.is_clean() => Err(Error::WebSocket(why)),
                    _ => Ok(None),
                };
            }
            if self.take_start() {
                return Ok(self.unread_message());
            }
        }
    }

    /// The message that has begun and was not read to its end, from where its reader, or
    /// [`next`](Self::next), has stopped.
    pub fn unread_message(&mut self) -> Option<MessageReader<'_, R>> {
        let Start { kind, length, .. } = self.incoming.message?;
        Some(MessageReader { socket: self, kind, length })
    }

    /// Takes the event that is announced. Whether a message begins with it.
    fn take_start(&mut self) -> bool {
        let (machine, rx, tx, now) = self.driver.split();
        let Some(event) = machine.event(now, rx, tx) else { return false };
        let whole = |kind, bytes: &[u8]| {
            (
                Start { kind, length: Some(bytes.len() as u64), whole: true, begun: true },
                bytes.to_vec(),
            )
        };
        let (start, piece) = match event {
            Event::Text(text) => whole(MessageKind::Text, text.as_bytes()),
            Event::Binary(bytes) => whole(MessageKind::Binary, bytes),
            Event::MessageStart { kind, length } => {
                (Start { kind, length, whole: false, begun: false }, Vec::new())
            }
            event => {
                self.incoming.note(&event);
                return false;
            }
        };
        self.incoming = Incoming { message: Some(start), piece, read: 0 };
        true
    }

    /// Ready with `true` when a piece of the message is lent, with `false` at its end. There must be
    /// none left of the last one.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        while let Some(Start { whole, .. }) = self.incoming.message {
            if whole {
                self.incoming = Incoming::default();
                break;
            }
            if !ready!(self.poll_advance(cx)) {
                return Poll::Ready(Err(self.ended()));
            }
            match self.driver_event() {
                Some(Event::Chunk(_)) => return Poll::Ready(Ok(true)),
                Some(Event::Closed { why, .. }) => {
                    return Poll::Ready(Err(Error::WebSocket(why)));
                }
                _ => {}
            }
        }
        Poll::Ready(Ok(false))
    }
}
