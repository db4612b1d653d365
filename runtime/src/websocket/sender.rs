//! The sending half of a connection.

use super::WebSocket;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::shared::{Place, Shared};
use crate::stats::Stats;
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use tidewire::SendBuf;
use tidewire::ws::{self, CloseCode, Connection, MessageKind, SendError};

use super::Message;

#[cfg(doc)]
use super::WebSocketReceiver;

/// The sending half of a [`WebSocket`], from [`WebSocket::split`]. Clones of it are as good, and cost
/// nothing but a counter.
///
/// `send_…` waits while [`ws::Config::send_high_water`] bytes or more wait to be written, queues the
/// message, and waits until it is written. Meanwhile it reads, as far as the receive buffer allows, so
/// that two peers that only send do not wait for each other. Senders that wait for room go in the
/// order in which they came; a future that is dropped makes way for the next.
///
/// All of it is cancel-safe in that a dropped future either has queued the whole message, which then
/// leaves by whichever half is polled next, or nothing.
pub struct WebSocketSender<R: Runtime> {
    pub(super) shared: Arc<Shared<WebSocket<R>>>,
}

impl<R: Runtime> WebSocketSender<R> {
    pub(super) fn new(shared: Arc<Shared<WebSocket<R>>>) -> Self {
        Self { shared }
    }

    /// Whether both send on the same connection.
    #[must_use]
    pub fn is_same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// [`Error::WebSocketSend`] if the connection is closing, or with [`SendError::Unfinished`] in the
    /// midst of a message in pieces; [`Error::Io`] if the connection broke; [`Error::WebSocket`] if it
    /// was given up, because the peer took nothing for too long, say.
    pub async fn send_text(&self, text: &str) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_text(text, tx)).await
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_binary(&self, data: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_binary(data, tx)).await
    }

    /// Sends a message of the connection's own kind, [`ws::Config::message_kind`].
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), with [`SendError::NotUtf8`] for a text that is none.
    pub async fn send(&self, message: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send(message, tx)).await
    }

    /// Sends a message of one's own.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_message(&self, message: &Message) -> Result<(), Error> {
        match message {
            Message::Text(text) => self.send_text(text).await,
            Message::Binary(data) => self.send_shared(MessageKind::Binary, data).await,
        }
    }

    /// Sends a message that others may share; see [`Connection::send_shared`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_shared(&self, kind: MessageKind, payload: &Bytes) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_shared(kind, payload, tx)).await
    }

    /// Sends a ping with up to 125 bytes of payload (RFC 6455, 5.5.2).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and if the payload is too long.
    pub async fn send_ping(&self, payload: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_ping(payload, tx)).await
    }

    /// Sends a pong of at most 125 bytes that nobody asked for (5.5.3): pings are answered without it.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub async fn send_pong(&self, payload: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_pong(payload, tx)).await
    }

    async fn send_with(
        &self,
        mut send: impl FnMut(&mut Connection, &mut SendBuf) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut place = Place::new(&self.shared);
        poll_fn(|cx| place.poll_send(cx, &mut send)).await
    }

    /// Queues a text message without waiting. It leaves while [`WebSocketReceiver::next`] is polled,
    /// which is woken for it, or any sender's future.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much is queued already, [`SendError::Closing`] if the connection is
    /// closing, [`SendError::Unfinished`] in the midst of a message in pieces.
    pub fn queue_text(&self, text: &str) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send_text(text, tx))
    }

    /// Queues a binary message without waiting; as [`queue_text`](Self::queue_text).
    ///
    /// # Errors
    /// As [`queue_text`](Self::queue_text).
    pub fn queue_binary(&self, data: &[u8]) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send_binary(data, tx))
    }

    /// Queues a message of the connection's own kind, [`ws::Config::message_kind`]; as
    /// [`queue_text`](Self::queue_text).
    ///
    /// # Errors
    /// As [`queue_text`](Self::queue_text), and [`SendError::NotUtf8`] for a text that is none.
    pub fn queue(&self, message: &[u8]) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send(message, tx))
    }

    /// Queues a message that others may share, as [`queue_text`](Self::queue_text); see
    /// [`Connection::send_shared`].
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub fn queue_shared(&self, kind: MessageKind, payload: &Bytes) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send_shared(kind, payload, tx))
    }

    /// Waits until all that is queued now is written.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn flush(&self) -> Result<(), Error> {
        let mut place = Place::behind_all(&self.shared);
        poll_fn(|cx| place.poll_written(cx)).await
    }

    /// Begins the closing handshake (RFC 6455, 7.1.2) and waits until that is written. Its end is
    /// told by [`WebSocketReceiver::next`]; if there is no receiving half any more, this waits for the
    /// end itself. Senders that wait fail with [`SendError::Closing`]; what was queued leaves before.
    ///
    /// # Errors
    /// [`Error::WebSocketMisuse`] for a code or reason that must not be sent; [`Error::Io`] and
    /// [`Error::WebSocket`] as [`send_text`](Self::send_text).
    pub async fn close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.shared.with(|state| {
            let ws = state.socket.driver.parts();
            ws.machine.close(code, reason, ws.now, ws.tx)?;
            state.socket.driver.call_receiver();
            Ok::<(), ws::Misuse>(())
        })?;
        self.flush().await?;
        let mut place = Place::new(&self.shared);
        poll_fn(|cx| place.poll_ended(cx)).await;
        Ok(())
    }

    /// Whether messages can be sent: the closing handshake has not begun.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.with(|state| state.socket.driver.machine().is_open())
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.with(|state| state.socket.driver.queued())
    }

    /// What was sent and received so far, by all of the connection; see [`WebSocket::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.with(|state| state.socket.stats())
    }
}

impl<R: Runtime> Clone for WebSocketSender<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R: Runtime> std::fmt::Debug for WebSocketSender<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketSender").finish_non_exhaustive()
    }
}
