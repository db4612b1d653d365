//! The receiving half of a connection, and what makes halves and joins them.

use super::{Message, WebSocket, WebSocketSender};
use crate::driver::Driver;
use crate::error::Error;
use crate::link::Side;
use crate::runtime::Runtime;
use crate::shared::{Duplex, Shared, State};
use crate::stats::Stats;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidewire::ws::{Connection, Event, Negotiated};

/// The receiving half keeps so much room for its events when it waits, in bytes.
const KEEP: usize = 64 * 1024;

impl<R: Runtime> WebSocket<R> {
    /// Makes two halves of the connection, for two tasks: one receives, the other sends, and can be
    /// cloned.
    ///
    /// ```
    /// # use tidewire_runtime::{Error, SendRuntime, WebSocket, ws::Event};
    /// async fn example<R: SendRuntime>(runtime: R, socket: WebSocket<R>) -> Result<(), Error> {
    ///     let (sender, mut receiver) = socket.split();
    ///     let ticker = sender.clone();
    ///     runtime.spawn_send(async move {
    ///         for number in 0..10 {
    ///             // Fails once the connection is closed.
    ///             let _ = ticker.send_text(&number.to_string()).await;
    ///         }
    ///     });
    ///     while let Some(event) = receiver.next().await {
    ///         if let Event::Text(text) = event {
    ///             sender.send_text(text).await?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// There is no task behind the halves: each of them does what is to be done on the connection,
    /// reading and writing, while one of its futures is polled. They share it behind a lock that is
    /// held for one poll. So the echo above, and two peers that only send, do not wait for each other.
    ///
    /// A message that was being read or written piece by piece goes on when the halves are
    /// [reunited](WebSocketReceiver::reunite); until then a message that was begun keeps others from
    /// being sent.
    #[must_use]
    pub fn split(self) -> (WebSocketSender<R>, WebSocketReceiver<R>) {
        let shared = Shared::new(self);
        (WebSocketSender::new(shared.clone()), WebSocketReceiver { shared, event: Copied::new() })
    }
}

/// The receiving half of a [`WebSocket`], from [`WebSocket::split`].
///
/// Keep it polled: it answers pings, sends them, and notices deadlines, and what is
/// [queued](WebSocketSender::queue_text) leaves by it.
///
/// It is a `Stream` of owned [`Message`]s too, which tells what [`WebSocket`]'s tells.
///
/// Dropped, it leaves the connection to the senders. What is received from then on is lost; pings are
/// answered and the peer's Close is noticed while a sender sends. When the last half is dropped, the
/// connection is broken off as a [`WebSocket`] is.
pub struct WebSocketReceiver<R: Runtime> {
    shared: Arc<Shared<WebSocket<R>>>,
    event: Copied,
}

impl<R: Runtime> WebSocketReceiver<R> {
    /// Waits for the next event and lends it. [`Event::Closed`] is the last one; then `None`.
    ///
    /// The event is lent from this half, so that senders go on while it is looked at, for however
    /// long. That costs a copy of its bytes, and no allocation; [`next_with`](Self::next_with) copies
    /// nothing.
    ///
    /// Cancel-safe: a dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<Event<'_>> {
        let Self { shared, event } = self;
        let there = poll_fn(|cx| {
            let polled = shared.with(|state| state.socket.poll_copy(cx, event));
            if polled.is_pending() {
                event.release();
            }
            polled
        });
        if there.await { Some(self.event.lend()) } else { None }
    }

    /// Waits for the next event and calls `look` with it, where it was received: nothing is copied.
    /// `None` when nothing comes any more.
    ///
    /// Senders may be used in `look`. What they send is queued meanwhile, and leaves afterwards: so do
    /// not block in there until something was sent.
    ///
    /// Cancel-safe: `look` is called by the poll that ends the wait, or not at all.
    pub async fn next_with<T>(&mut self, look: impl FnOnce(Event<'_>) -> T) -> Option<T> {
        let shared = &*self.shared;
        let rest = |state: &mut WebSocket<R>| {
            let rest = state.incoming.has_rest().then(|| state.incoming.take_rest());
            rest.flatten().map(<[u8]>::to_vec)
        };
        if let Some(rest) = shared.with(|state| rest(&mut state.socket)) {
            return Some(look(Event::Chunk(&rest)));
        }
        if !poll_fn(|cx| shared.with(|state| state.socket.poll_half(cx))).await {
            return None;
        }
        let mut lent = shared.lend();
        let (rx, mut state) = lent.parts();
        let now = state.socket.driver.parts().now;
        let (machine, tx) = state.parts();
        let event = machine.event(now, rx, tx);
        event.iter().for_each(|event| state.socket.incoming.note(event));
        drop(state);
        event.map(look)
    }

    /// A sending half of this connection.
    #[must_use]
    pub fn sender(&self) -> WebSocketSender<R> {
        WebSocketSender::new(self.shared.clone())
    }

    /// Makes one connection of its halves again.
    ///
    /// # Errors
    /// With both of them if they are not of one connection, or there are more senders.
    pub fn reunite(self, sender: WebSocketSender<R>) -> Result<WebSocket<R>, ReuniteError<R>> {
        Shared::reunite(self, sender, |receiver, sender| [&receiver.shared, &sender.shared])
            .map_err(|(receiver, sender)| ReuniteError { receiver, sender })
    }

    /// How long the latest keepalive ping took; see [`Connection::round_trip`].
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared.with(|state| state.parts().0.round_trip())
    }

    /// What was sent and received so far; see [`WebSocket::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.with(|state| state.socket.stats())
    }

    /// What the opening handshake agreed on.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        self.shared.with(|state| state.parts().0.negotiated())
    }
}

impl<R: Runtime> Stream for WebSocketReceiver<R> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.with(|state| Pin::new(&mut state.socket).poll_next(cx))
    }
}

impl<R: Runtime> Drop for WebSocketReceiver<R> {
    fn drop(&mut self) {
        self.shared.with(State::receive_no_more);
    }
}

impl<R: Runtime> std::fmt::Debug for WebSocketReceiver<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketReceiver").finish_non_exhaustive()
    }
}

impl<R: Runtime> WebSocket<R> {
    /// As [`poll_advance`](Self::poll_advance); nobody waits for events any more when one is there.
    fn poll_half(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let there = ready!(self.poll_advance(cx));
        self.driver.leave(Side::Events);
        Poll::Ready(there)
    }

    fn poll_copy(&mut self, cx: &mut Context<'_>, copied: &mut Copied) -> Poll<bool> {
        if self.incoming.has_rest() {
            self.incoming.take_rest().map(Event::Chunk).iter().for_each(|rest| copied.take(rest));
            return Poll::Ready(true);
        }
        let there = ready!(self.poll_half(cx));
        Poll::Ready(
            there
                && self.driver_event().is_some_and(|event| {
                    copied.take(&event);
                    true
                }),
        )
    }
}

impl<R: Runtime> Duplex for WebSocket<R> {
    type Runtime = R;
    type Machine = Connection;

    fn driver(&self) -> &Driver<R, Connection> {
        &self.driver
    }

    fn driver_mut(&mut self) -> &mut Driver<R, Connection> {
        &mut self.driver
    }

    fn has_room(&self, was_full: bool) -> bool {
        let queued = self.driver.queued();
        if was_full { queued <= self.low_water } else { queued < self.high_water }
    }

    fn low_water(&self) -> usize {
        self.low_water
    }

    fn is_closing(&self) -> bool {
        !self.driver.machine().is_open()
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while ready!(self.poll_advance(cx)) {
            let _ = self.driver_event();
        }
        Poll::Ready(())
    }

    fn drive(&mut self, mark: usize) -> Poll<Result<(), Error>> {
        self.driver.drive(mark).map_err(|error| self.why(error))
    }
}

/// An event of its own.
#[derive(Debug)]
struct Copied {
    /// With nothing in it.
    event: Event<'static>,
    text: String,
    bytes: Vec<u8>,
}

impl Copied {
    fn new() -> Self {
        Self { event: Event::Drained, text: String::new(), bytes: Vec::new() }
    }

    fn take(&mut self, event: &Event<'_>) {
        let Self { text, bytes, .. } = self;
        text.clear();
        bytes.clear();
        let mut keep = |payload: &[u8]| {
            bytes.extend_from_slice(payload);
            &[] as &[u8]
        };
        self.event = match *event {
            Event::Text(it) => {
                text.push_str(it);
                Event::Text("")
            }
            Event::Binary(it) => Event::Binary(keep(it)),
            Event::Chunk(it) => Event::Chunk(keep(it)),
            Event::Ping(it) => Event::Ping(keep(it)),
            Event::Pong(it) => Event::Pong(keep(it)),
            Event::MessageStart { kind, length } => Event::MessageStart { kind, length },
            Event::MessageEnd => Event::MessageEnd,
            Event::Drained => Event::Drained,
            Event::Closed { why, reason } => {
                text.push_str(reason);
                Event::Closed { why, reason: "" }
            }
        };
    }

    fn lend(&self) -> Event<'_> {
        match self.event {
            Event::Text(_) => Event::Text(&self.text),
            Event::Binary(_) => Event::Binary(&self.bytes),
            Event::Chunk(_) => Event::Chunk(&self.bytes),
            Event::Ping(_) => Event::Ping(&self.bytes),
            Event::Pong(_) => Event::Pong(&self.bytes),
            Event::Closed { why, .. } => Event::Closed { why, reason: &self.text },
            event => event,
        }
    }

    /// Gives memory back that a large event took.
    fn release(&mut self) {
        if self.text.capacity() > KEEP {
            self.text = String::new();
        }
        if self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
        }
    }
}

/// Halves that make no connection: of two, or not all of one.
pub struct ReuniteError<R: Runtime> {
    /// As it was given.
    pub receiver: WebSocketReceiver<R>,
    /// As it was given.
    pub sender: WebSocketSender<R>,
}

impl<R: Runtime> std::fmt::Debug for ReuniteError<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<R: Runtime> std::fmt::Display for ReuniteError<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the halves are not all there are of one connection")
    }
}

impl<R: Runtime> std::error::Error for ReuniteError<R> {}
