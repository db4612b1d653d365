//! One subscriber of a topic.

use super::Hub;
use super::channel::Channel;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tidewire::sse::{Cursor, Encoded, Next, Overflow};

/// Somebody who gets the events of a topic. Dropped, it is none any more.
///
/// Also a [`Stream`] of [`Delivery`].
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    channel: Arc<Channel>,
    /// `None` only while it is dropped.
    cursor: Option<Cursor>,
    place: usize,
    ended: bool,
}

/// What a [`Subscription`] gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An event.
    Event(Encoded),
    /// Events are missing here: so many, or nobody knows how many, since the one that the client
    /// has seen last isn't kept any more, or never was.
    Gap(Option<u64>),
    /// The subscriber was too slow for [`Overflow::Disconnect`]. Nothing follows.
    TooSlow,
}

impl Subscription {
    /// Subscribes, unless the channel was closed meanwhile.
    pub(super) fn new(
        hub: &Arc<Hub>,
        channel: Arc<Channel>,
        last_event_id: Option<&str>,
    ) -> Option<Self> {
        let mut state = channel.state();
        if state.closed {
            return None;
        }
        let cursor = Some(state.topic.subscribe(last_event_id));
        let place = state.take_place();
        drop(state);
        Some(Self { hub: hub.clone(), channel, cursor, place, ended: false })
    }

    /// Waits for what comes next; `None` once the topic was closed and everything is taken, or after
    /// [`Delivery::TooSlow`].
    ///
    /// Cancel-safe: a dropped future takes nothing with it.
    pub async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_delivery(cx)).await
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.channel.name
    }

    /// As [`next`](Self::next).
    pub(crate) fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let Some(cursor) = self.cursor.as_mut().filter(|_| !self.ended) else {
            return Poll::Ready(None);
        };
        let mut state = self.channel.state();
        let closed = state.closed;
        let delivery = match state.topic.next(cursor) {
            Some(Next::Event(event)) => Delivery::Event(event.clone()),
            Some(Next::Gap(missed)) => Delivery::Gap(missed),
            Some(Next::TooSlow) => Delivery::TooSlow,
            None if closed => {
                self.ended = true;
                return Poll::Ready(None);
            }
            None => {
                state.wait(self.place, cx.waker());
                return Poll::Pending;
            }
        };
        drop(state);
        self.ended = delivery == Delivery::TooSlow;
        self.make_room();
        Poll::Ready(Some(delivery))
    }

    /// What to send where events are missing.
    pub(crate) fn gap(&self) -> Option<&Encoded> {
        self.hub.config.gap.as_ref()
    }

    /// Tells whoever waits to publish that this subscriber has moved on.
    fn make_room(&self) {
        if self.hub.config.topic.overflow == Overflow::Wait {
            self.channel.room.notify(usize::MAX);
        }
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.get_mut().poll_delivery(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(cursor) = self.cursor.take() else { return };
        let mut state = self.channel.state();
        state.give_place_back(self.place);
        state.topic.unsubscribe(cursor);
        let unused = state.is_unused();
        drop(state);
        self.make_room();
        if unused {
            self.hub.tidy(&self.channel);
        }
    }
}
