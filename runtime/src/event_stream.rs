//! One subscriber of an event stream, on the server's side.

use crate::broadcast::{Delivery, Subscription};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::runtime::{Runtime, Timer, after};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire::Instant;
use tidewire::sse::{self, StreamConfig};

/// How many bytes of a [`Subscription`] wait for the client at a time. What is behind them stays in
/// the topic, which all its subscribers share.
const FORWARD: usize = 64 * 1024;
/// How often [`EventStream::forward`] writes and goes on before other tasks get their turn.
const BUDGET: usize = 16;

/// An event stream to one client (WHATWG HTML, 9.2).
///
/// A client that leaves is noticed while this stream waits, sends, or is asked whether it is
/// [`closed`](Self::closed): then every call gives [`Error::Closed`]. Meanwhile it also sends the
/// [heartbeats](StreamConfig::heartbeat). Dropped, it ends the stream.
///
/// # Slow readers
///
/// At most [`StreamConfig::high_water`] bytes wait for the client. What happens beyond is said by
/// [`StreamConfig::overflow`]: [`Overflow::Wait`](sse::Overflow::Wait), the default, makes
/// [`send`](Self::send) wait, and [`try_send`](Self::try_send) say [`sse::SendError::Full`].
#[derive(Debug)]
pub struct EventStream<R: Runtime> {
    exchange: Exchange<R>,
    stream: sse::Stream,
    /// Down to how many bytes `send` waits, if there was no room.
    low_water: usize,
    /// How many bytes of a subscription may wait before no more is taken of it.
    mark: usize,
    /// For heartbeats, with what it is set to.
    timer: Option<Box<(R::Timer, Option<Instant>)>>,
}

impl<R: Runtime> EventStream<R> {
    pub(crate) fn new(exchange: Exchange<R>, stream: sse::Stream, config: &StreamConfig) -> Self {
        let low_water = config.high_water / 2;
        // One event at least, however little may wait.
        let mark = low_water.clamp(1, FORWARD);
        Self { exchange, stream, low_water, mark, timer: None }
    }

    /// Gives the memory of the request's head back, which nobody asks for any more.
    pub(crate) fn forget_request(&mut self) {
        self.exchange.conn().request.head = None;
    }

    /// The request that asked for this stream, `Last-Event-ID` included.
    #[must_use]
    pub fn head(&self) -> tidewire::http::RequestHead<'_> {
        self.exchange.head()
    }

    /// The id of the last event that the client has seen, if it comes back and names one.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        sse::last_event_id(self.head().headers)
    }

    /// Sends `event`, waiting for room first if the stream is to wait.
    ///
    /// Cancel-safe: dropped while it waits, it has sent nothing of the event.
    ///
    /// # Errors
    /// [`Error::Send`] if the event cannot be encoded, the client has left, or it was disconnected
    /// because it is too slow; [`Error::Io`] if the connection broke.
    pub async fn send(&mut self, event: &sse::Event<'_>) -> Result<(), Error> {
        self.send_by(|stream| stream.try_send(event)).await
    }

    /// As [`send`](Self::send), with an event that was encoded before and is shared with other
    /// streams.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_encoded(&mut self, event: &sse::Encoded) -> Result<(), Error> {
        self.send_by(|stream| stream.try_send_encoded(event)).await
    }

    async fn send_by(
        &mut self,
        try_send: impl Fn(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut mark = self.low_water;
        loop {
            match try_send(self) {
                Err(Error::Send(sse::SendError::Full)) => {
                    poll_fn(|cx| self.exchange.conn().driver.poll_drain(cx, mark)).await?;
                    // If that was not enough, the event is large: there is room once nothing waits.
                    mark = 0;
                }
                result => return result.and(self.write().await),
            }
        }
    }

    /// Queues `event` if there is room. It leaves with the next call that waits.
    ///
    /// # Errors
    /// [`Error::Send`] with [`sse::SendError::Full`] if there is none; else as [`send`](Self::send).
    pub fn try_send(&mut self, event: &sse::Event<'_>) -> Result<(), Error> {
        let http = self.exchange.conn().driver.parts();
        Ok(self.stream.send(event, http.now, http.machine, http.tx)?)
    }

    /// As [`try_send`](Self::try_send), with an event that was encoded before and is shared with
    /// other streams.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_encoded(&mut self, event: &sse::Encoded) -> Result<(), Error> {
        let http = self.exchange.conn().driver.parts();
        Ok(self.stream.send_shared(event.bytes(), http.now, http.machine, http.tx)?)
    }

    /// Waits for `duration`, watching the client meanwhile.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down.
    pub async fn wait(&mut self, duration: Duration) -> Result<(), Error> {
        let mut timer = self.exchange.conn().driver.timer();
        timer.set(after(duration));
        self.while_open(poll_fn(|cx| timer.poll(cx))).await
    }

    /// Runs `future` to its end, watching the client meanwhile: the next event from a channel, say.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down; `future` is
    /// dropped then.
    pub async fn while_open<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        poll_fn(|cx| match self.poll_left(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Error::Closed)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Sends everything that `subscription` delivers, until it ends because its topic was closed.
    /// Where events are missing, the client gets
    /// [`BroadcastConfig::gap`](crate::BroadcastConfig::gap).
    ///
    /// Cancel-safe: what was taken from the subscription is sent with the next call that waits.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down; [`Error::Send`] with
    /// [`sse::SendError::TooSlow`] if the topic has let the client go: the response is broken off then,
    /// and what waited is forgotten.
    pub async fn forward(&mut self, subscription: &mut Subscription) -> Result<(), Error> {
        poll_fn(|cx| self.poll_forward(subscription, cx)).await
    }

    fn poll_forward(
        &mut self,
        subscription: &mut Subscription,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        for _ in 0..BUDGET {
            let waits = loop {
                if self.queued() >= self.mark {
                    break false;
                }
                let Poll::Ready(delivery) = subscription.poll_delivery(cx) else { break true };
                let event = match delivery {
                    Some(Delivery::Event(event)) => event,
                    Some(Delivery::Gap(_)) => match subscription.gap() {
                        Some(gap) => gap.clone(),
                        None => continue,
                    },
                    Some(Delivery::TooSlow) => {
                        let http = self.exchange.conn().driver.parts();
                        self.stream.disconnect(http.machine, http.tx);
                        return Poll::Ready(Err(sse::SendError::TooSlow.into()));
                    }
                    None => return Poll::Ready(Ok(())),
                };
                let http = self.exchange.conn().driver.parts();
                let sent = self.stream.forward(event.bytes(), http.now, http.machine, http.tx);
                if sent.is_err() {
                    return Poll::Ready(Err(Error::Closed));
                }
            };
            if self.poll_left(cx).is_ready() {
                return Poll::Ready(Err(Error::Closed));
            }
            // Whoever writes next wakes this task: the topic, or the socket.
            if waits || self.queued() >= self.mark {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits until the client has left or the server shuts down.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_left(cx)).await;
    }

    /// How many events [`Overflow::DropOldest`](sse::Overflow::DropOldest) has dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.stream.dropped()
    }

    /// Ends the stream in order, so that the client sees its end and not a broken connection.
    ///
    /// # Errors
    /// [`Error::Io`] if the client is gone.
    pub async fn finish(mut self) -> Result<(), Error> {
        let driver = &mut self.exchange.conn().driver;
        let http = driver.parts();
        self.stream.finish(http.machine, http.tx)?;
        Ok(driver.flush().await?)
    }

    /// Writes what the socket takes now.
    async fn write(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.exchange.conn().driver.poll_drain(cx, usize::MAX)).await?;
        Ok(())
    }

    /// How many bytes wait for the client.
    fn queued(&mut self) -> usize {
        self.exchange.conn().driver.queued() + self.stream.queued()
    }

    /// Ready once the client has left or the server shuts down. Writes what waits, and heartbeats.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let http = self.exchange.conn().driver.parts();
            self.stream.pump(http.now, http.machine, http.tx);
            self.stream.handle_timeout(http.now, http.machine, http.tx);
            if self.exchange.poll_left(cx).is_ready() {
                return Poll::Ready(());
            }
            // What was written has made room for what waits behind it.
            let driver = &mut self.exchange.conn().driver;
            if self.stream.queued() > 0 && driver.queued() == 0 {
                continue;
            }
            let Some(at) = self.stream.poll_timeout() else { return Poll::Pending };
            let (timer, set) =
                &mut **self.timer.get_or_insert_with(|| Box::new((driver.timer(), None)));
            // It may be set to a time before, and is then set anew when that comes: cheaper than
            // setting it with each event.
            if set.is_none_or(|set| set > at) {
                timer.set(driver.clock().std(at));
                *set = Some(at);
            }
            if timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
            *set = None;
            // Not at once: where heartbeats are due faster than they can be made, there would be no
            // end to it.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    }
}
