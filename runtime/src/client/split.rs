//! The halves of a client that reconnects.

use super::Client;
use crate::driver::Driver;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::shared::{Duplex, Place, Shared, State};
use crate::stats::Stats;
use crate::status::{Status, StatusWatch};
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidewire::SendBuf;
use tidewire::ws::handshake::Request;
use tidewire::ws::{self, ClientEvent, CloseCode, MessageKind, SendError, WhileDown};

#[cfg(doc)]
use crate::WebSocket;

impl<R: Runtime> Client<R> {
    /// Makes two halves of the client, for two tasks: one receives and makes the connections, the
    /// other sends, and can be cloned. As [`WebSocket::split`].
    ///
    /// ```no_run
    /// # use tidewire_runtime::{Client, Error, SendRuntime, ws::ClientEvent};
    /// async fn example<R: SendRuntime>(runtime: R, client: Client<R>) -> Result<(), Error> {
    ///     let (sender, mut receiver) = client.split();
    ///     runtime.spawn_send(async move {
    ///         // Waits while too much waits; across the loss of a connection, too.
    ///         while sender.send_text("tick").await.is_ok() {}
    ///     });
    ///     let print = |event: ClientEvent<'_>| println!("{event:?}");
    ///     while receiver.next_with(print).await.is_some() {}
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn split(self) -> (ClientSender<R>, ClientReceiver<R>) {
        let shared = Shared::new(self);
        (ClientSender { shared: shared.clone() }, ClientReceiver { shared })
    }
}

/// The receiving half of a [`Client`], from [`Client::split`].
///
/// Connections are made, and deadlines noticed, while [`next_with`](Self::next_with) is polled. Dropped,
/// it leaves the client to its senders, which do so, and take events for nobody, while they wait.
pub struct ClientReceiver<R: Runtime> {
    shared: Arc<Shared<Client<R>>>,
}

impl<R: Runtime> ClientReceiver<R> {
    /// Why there is no connection, or no longer one: as [`Client::io_error`].
    #[must_use]
    pub fn io_error(&self) -> Option<std::io::Error> {
        self.shared.with(|state| state.socket.io_error())
    }

    /// As [`Client::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.with(|state| state.socket.stats())
    }

    /// As [`Client::watch`].
    #[must_use]
    pub fn watch(&self) -> StatusWatch {
        self.shared.with(|state| state.socket.watch())
    }

    /// Waits for the next event and calls `look` with it, where it was received: nothing is copied.
    /// `None` as of [`Client::next`].
    ///
    /// Senders may be used in `look`. What they send is queued meanwhile, and leaves afterwards: so do
    /// not block in there until something was sent.
    ///
    /// Cancel-safe: `look` is called by the poll that ends the wait, or not at all.
    pub async fn next_with<T>(&mut self, look: impl FnOnce(ClientEvent<'_>) -> T) -> Option<T> {
        let shared = &*self.shared;
        if !poll_fn(|cx| shared.with(|state| state.socket.poll(cx))).await {
            return None;
        }
        let mut lent = shared.lend();
        let (rx, mut state) = lent.parts();
        let now = state.socket.driver.parts().now;
        let (machine, tx) = state.parts();
        let event = machine.event(now, rx, tx);
        state.socket.report();
        drop(state);
        event.map(look)
    }

    /// A sending half of this client.
    #[must_use]
    pub fn sender(&self) -> ClientSender<R> {
        ClientSender { shared: self.shared.clone() }
    }

    /// Makes one client of its halves again.
    ///
    /// # Errors
    /// With both of them if they are not of one client, or there are more senders.
    pub fn reunite(self, sender: ClientSender<R>) -> Result<Client<R>, (Self, ClientSender<R>)> {
        Shared::reunite(self, sender, |receiver, sender| [&receiver.shared, &sender.shared])
    }
}

impl<R: Runtime> Drop for ClientReceiver<R> {
    fn drop(&mut self) {
        self.shared.with(State::receive_no_more);
    }
}

impl<R: Runtime> std::fmt::Debug for ClientReceiver<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientReceiver").finish_non_exhaustive()
    }
}

/// The sending half of a [`Client`], from [`Client::split`]. Clones of it are as good, and cost
/// nothing but a counter.
///
/// `send_…` waits while too much waits to be written, in the order in which senders came, and queues the
/// message, which then leaves by whichever half is polled next; it waits no longer, since a connection
/// that is lost takes with it what it had not written. While there is no connection
/// [`ws::ClientConfig::while_down`] says what becomes of messages; it is the receiving half that makes
/// the next one, so poll that in a task of its own.
pub struct ClientSender<R: Runtime> {
    shared: Arc<Shared<Client<R>>>,
}

impl<R: Runtime> ClientSender<R> {
    /// Sends a text message.
    ///
    /// Cancel-safe: a dropped future has not queued it.
    ///
    /// # Errors
    /// [`Error::WebSocketSend`], as [`Client::send_text`], but never with [`SendError::Full`]: it waits
    /// instead.
    pub async fn send_text(&self, text: &str) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_text(text, tx)).await
    }

    /// Sends a binary message; as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_binary(&self, data: &[u8]) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_binary(data, tx)).await
    }

    /// Sends a message that others may share; as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and with [`SendError::NotUtf8`] for a text that is none.
    pub async fn send_shared(&self, kind: MessageKind, payload: &Bytes) -> Result<(), Error> {
        self.send_with(|ws, tx| ws.send_shared(kind, payload, tx)).await
    }

    async fn send_with(
        &self,
        mut send: impl FnMut(&mut ws::Client, &mut SendBuf) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut place = Place::new(&self.shared);
        poll_fn(|cx| place.poll_queue(cx, &mut send)).await?;
        self.shared.with(State::nudge);
        Ok(())
    }

    /// Queues a text message without waiting.
    ///
    /// # Errors
    /// As [`Client::send_text`].
    pub fn queue_text(&self, text: &str) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send_text(text, tx))
    }

    /// Queues a binary message without waiting.
    ///
    /// # Errors
    /// As [`Client::send_binary`].
    pub fn queue_binary(&self, data: &[u8]) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send_binary(data, tx))
    }

    /// Queues a message ahead of those that wait; as [`Client::send_first`].
    ///
    /// # Errors
    /// As [`Client::send_first`].
    pub fn queue_first(&self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        self.shared.queue(|ws, tx| ws.send_first(kind, payload, tx))
    }

    /// As [`Client::close`].
    ///
    /// # Errors
    /// As [`Client::close`].
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), ws::Misuse> {
        self.tell(|client| client.close(code, reason))
    }

    /// As [`Client::reconnect`].
    pub fn reconnect(&self, after: Duration) -> bool {
        self.tell(|client| client.reconnect(after))
    }

    /// As [`Client::cancel`].
    pub fn cancel(&self) {
        self.tell(Client::cancel);
    }

    /// Sets another request for the next attempt; see [`Client::request_mut`].
    pub fn set_request(&self, request: Request) {
        self.tell(|client| *client.request_mut() = request);
    }

    /// What the client is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.with(|state| state.socket.status())
    }

    /// The receiver has to see to what comes of it.
    fn tell<T>(&self, work: impl FnOnce(&mut Client<R>) -> T) -> T {
        self.shared.with(|state| {
            let value = work(&mut state.socket);
            state.socket.driver.call_receiver();
            value
        })
    }
}

impl<R: Runtime> Clone for ClientSender<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R: Runtime> std::fmt::Debug for ClientSender<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSender").finish_non_exhaustive()
    }
}

impl<R: Runtime> Client<R> {
    fn is_open(&self) -> bool {
        self.driver.machine().connection().is_some_and(ws::Connection::is_open)
    }
}

impl<R: Runtime> Duplex for Client<R> {
    type Runtime = R;
    type Machine = ws::Client;

    fn driver(&self) -> &Driver<R, ws::Client> {
        &self.driver
    }

    fn driver_mut(&mut self) -> &mut Driver<R, ws::Client> {
        &mut self.driver
    }

    fn has_room(&self, was_full: bool) -> bool {
        let (config, backlog) = (self.driver.machine().config(), self.backlog());
        let high_water = config.connection.send_high_water.max(1);
        // Open is also a connection that the receiver has not been told of: what is sent is kept.
        let kept = match config.while_down {
            while_down if self.is_open() => high_water.max(while_down.bytes()),
            WhileDown::Queue { bytes } => bytes,
            WhileDown::Refuse | WhileDown::DropOldest { .. } => usize::MAX,
        };
        if backlog.messages > 0 && backlog.bytes >= kept {
            return false;
        }
        let queued = self.driver.queued();
        if !self.is_open() {
            return true;
        }
        if was_full { queued <= self.low_water() } else { queued < high_water }
    }

    fn low_water(&self) -> usize {
        let config = &self.driver.machine().config().connection;
        config.send_low_water.min(config.send_high_water.max(1) - 1)
    }

    fn is_closing(&self) -> bool {
        let machine = self.driver.machine();
        match machine.status() {
            ws::Status::Closing => !machine.keeps_for_next(),
            status => status == ws::Status::Idle,
        }
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while ready!(self.poll(cx)) {
            let (machine, rx, tx, now) = self.driver.split();
            let _ = machine.event(now, rx, tx);
            self.report();
        }
        Poll::Ready(())
    }

    /// Errors are the receiver's: they are told as events, and another connection may come.
    fn drive(&mut self, mark: usize) -> Poll<Result<(), Error>> {
        if !self.is_open() {
            return Poll::Pending;
        }
        let driven = self.driver.drive(mark);
        self.report();
        if matches!(driven, Poll::Ready(Ok(()))) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}
