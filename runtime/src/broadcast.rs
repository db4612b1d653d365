//! Events for many subscribers.

use crate::error::Error;
use crate::event_stream::EventStream;
use crate::exchange::Exchange;
use crate::runtime::Runtime;
use event_listener::Event as Signal;
use futures_core::Stream;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use tidewire::http::NO_FIELDS;
use tidewire::sse::{
    Cursor, Encoded, Event, Next, Overflow, PublishError, StreamConfig, Topic, TopicConfig,
    TopicStats,
};

/// How a [`Broadcast`] works.
#[derive(Clone, Debug, Default)]
pub struct BroadcastConfig {
    /// How much each topic keeps, whether for those that come back too, and what happens to a
    /// subscriber that is slower than that.
    pub topic: TopicConfig,
    /// How each subscriber's stream is sent, by [`Broadcast::serve`]: heartbeats and the
    /// reconnection time. Slow readers are the topic's affair.
    pub stream: StreamConfig,
    /// What a subscriber is sent where it has missed events, by [`EventStream::forward`]. Nothing
    /// unless changed.
    pub gap: Option<Encoded>,
}

/// Events for many subscribers, by topic: published from any thread or task, encoded once, and kept
/// for subscribers that come back.
///
/// ```no_run
/// # use tidewire_runtime::{Broadcast, Exchange, HandlerError, SendRuntime, Server, sse::Event};
/// # async fn example<R: SendRuntime>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Broadcast::default();
/// let publisher = hub.clone();
/// std::thread::spawn(move || {
///     for number in 0_u64.. {
///         let id = number.to_string();
///         publisher.publish("news", &Event::data("hello").id(&id)).expect("small enough");
///         std::thread::sleep(std::time::Duration::from_secs(2));
///     }
/// });
/// let server = Server::bind(runtime, "127.0.0.1:8080".parse()?).await?;
/// server.serve(move |exchange| {
///     let hub = hub.clone();
///     async move { hub.serve(exchange, "news").await }
/// }).await?;
/// # Ok(()) }
/// ```
///
/// A topic is there as soon as somebody publishes or subscribes to it, and goes when nobody
/// subscribes and nothing is kept. With [`TopicConfig::replay`], a topic whose name came from a
/// client stays for as long as its events: [`close`](Self::close) it, or check the name first.
///
/// # Slow subscribers
///
/// All subscribers of a topic share one log, in which each has its place: memory is bounded by
/// [`TopicConfig::keep`], whatever they do. One that is further behind than that misses events
/// ([`Overflow::DropOldest`]), is let go ([`Overflow::Disconnect`]), or makes whoever publishes wait
/// ([`Overflow::Wait`]).
#[derive(Clone, Debug, Default)]
pub struct Broadcast {
    hub: Arc<Hub>,
}

#[derive(Debug, Default)]
struct Hub {
    config: BroadcastConfig,
    channels: RwLock<HashMap<String, Arc<Channel>>>,
}

/// A topic, and who waits for it.
#[derive(Debug)]
struct Channel {
    name: String,
    state: Mutex<State>,
    /// A subscriber has moved on, which only [`Overflow::Wait`] waits for.
    room: Signal,
}

#[derive(Debug)]
struct State {
    topic: Topic,
    /// Nothing is published here any more.
    closed: bool,
    /// A place for each subscriber, with its waker while it waits.
    places: Vec<Place>,
    /// The first place that is free; each names the next.
    free: usize,
    /// How many wait.
    waiting: usize,
    /// Kept from one event to the next.
    woken: Vec<Waker>,
}

#[derive(Debug)]
enum Place {
    Free(usize),
    Taken(Option<Waker>),
}

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

/// Why an event was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The event cannot be encoded.
    #[error(transparent)]
    Encode(#[from] tidewire::sse::EncodeError),
    /// The topic does not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Broadcast {
    /// A hub without topics.
    #[must_use]
    pub fn new(config: BroadcastConfig) -> Self {
        Self { hub: Arc::new(Hub { config, channels: RwLock::default() }) }
    }

    /// Publishes an event, and returns to how many subscribers.
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody got anything. With [`Overflow::Wait`], [`PublishError::Full`]
    /// says that a subscriber has to catch up first: see [`publish_wait`](Self::publish_wait).
    pub fn publish(&self, topic: &str, event: &Event<'_>) -> Result<usize, BroadcastError> {
        Ok(self.publish_encoded(topic, &event.to_encoded()?)?)
    }

    /// As [`publish`](Self::publish), with an event that is encoded already.
    ///
    /// # Errors
    /// [`PublishError`]; then nobody got anything.
    pub fn publish_encoded(&self, topic: &str, event: &Encoded) -> Result<usize, PublishError> {
        loop {
            let Some(channel) = self.hub.channel_to_publish(topic) else { return Ok(0) };
            if let Some(published) = channel.publish(event) {
                return published;
            }
            // It was closed after we found it: the next one is another.
        }
    }

    /// As [`publish_encoded`](Self::publish_encoded), and with [`Overflow::Wait`] waits until the
    /// slowest subscriber has room for it.
    ///
    /// Cancel-safe: dropped, it has published nothing.
    ///
    /// # Errors
    /// [`PublishError::TooLarge`].
    pub async fn publish_wait(&self, topic: &str, event: &Encoded) -> Result<usize, PublishError> {
        loop {
            let Some(channel) = self.hub.channel_to_publish(topic) else { return Ok(0) };
            // The order matters: listen first, then try, or room that is made in between is missed.
            let room = channel.room.listen();
            match channel.publish(event) {
                Some(Err(PublishError::Full)) => room.await,
                Some(published) => return published,
                None => {}
            }
        }
    }

    /// Subscribes to a topic: behind the event with that id, or, without one, to what is published
    /// from now on.
    ///
    /// If that event isn't known (any more), the subscription begins with [`Delivery::Gap`] and
    /// everything that is kept.
    #[must_use = "dropped, it is no subscription any more"]
    pub fn subscribe(&self, topic: &str, last_event_id: Option<&str>) -> Subscription {
        loop {
            let channel = self.hub.channel(topic);
            let mut state = channel.state();
            if state.closed {
                continue;
            }
            let cursor = Some(state.topic.subscribe(last_event_id));
            let place = state.take_place();
            drop(state);
            return Subscription { hub: self.hub.clone(), channel, cursor, place, ended: false };
        }
    }

    /// Answers a request with the events of a topic, those included that the client has missed: all
    /// of an event stream's server in one line. It returns when the client has left, the topic was
    /// closed or the client was let go.
    ///
    /// # Errors
    /// As [`Exchange::event_stream`]. That the client left is no error here.
    pub async fn serve<R: Runtime>(&self, exchange: Exchange<R>, topic: &str) -> Result<(), Error> {
        self.serve_with(exchange, topic, NO_FIELDS).await
    }

    /// As [`serve`](Self::serve), with fields for the response's head:
    /// `[("Access-Control-Allow-Origin", "*")]`, say.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_with<R: Runtime>(
        &self,
        exchange: Exchange<R>,
        topic: &str,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    ) -> Result<(), Error> {
        // First of all: what is published while the head is on its way is for this client too.
        let last_event_id = tidewire::sse::last_event_id(exchange.head().headers);
        let mut subscription = self.subscribe(topic, last_event_id);
        let mut stream: EventStream<R> =
            exchange.event_stream_with(fields, self.hub.config.stream).await?;
        match stream.forward(&mut subscription).await {
            Ok(()) => stream.finish().await,
            Err(Error::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes a topic: its subscriptions end behind what they have still to take, and what is kept is
    /// forgotten with the last of them. Returns whether there was such a topic.
    pub fn close(&self, topic: &str) -> bool {
        let removed = self.hub.write().remove(topic);
        if let Some(channel) = &removed {
            channel.close();
        }
        removed.is_some()
    }

    /// Closes all topics.
    pub fn close_all(&self) {
        let removed = std::mem::take(&mut *self.hub.write());
        removed.into_values().for_each(|channel| channel.close());
    }

    /// What a topic is like now; `None` if there is no such topic.
    #[must_use]
    pub fn stats(&self, topic: &str) -> Option<TopicStats> {
        let channel = self.hub.read().get(topic).cloned()?;
        let stats = channel.state().topic.stats();
        Some(stats)
    }

    /// The names of all topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.hub.read().keys().cloned().collect()
    }
}

impl Hub {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Arc<Channel>>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Arc<Channel>>> {
        self.channels.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel of a topic, which is made if there is none.
    fn channel(&self, topic: &str) -> Arc<Channel> {
        if let Some(channel) = self.read().get(topic) {
            return channel.clone();
        }
        let mut channels = self.write();
        let made = || Arc::new(Channel::new(topic, self.config.topic));
        channels.entry(topic.to_owned()).or_insert_with(made).clone()
    }

    /// The same, but for a topic of which nothing would be kept: without subscribers it needs none.
    fn channel_to_publish(&self, topic: &str) -> Option<Arc<Channel>> {
        if self.config.topic.replay {
            return Some(self.channel(topic));
        }
        self.read().get(topic).cloned()
    }

    /// Removes a channel that has become of no use to anybody.
    fn tidy(&self, channel: &Arc<Channel>) {
        let mut channels = self.write();
        // Another may have its name by now.
        if channels.get(&channel.name).is_some_and(|known| Arc::ptr_eq(known, channel)) {
            let mut state = channel.state();
            if state.is_unused() {
                state.closed = true;
                channels.remove(&channel.name);
            }
        }
    }
}

impl Channel {
    fn new(name: &str, config: TopicConfig) -> Self {
        let state = State {
            topic: Topic::new(config),
            closed: false,
            places: Vec::new(),
            free: 0,
            waiting: 0,
            woken: Vec::new(),
        };
        Self { name: name.to_owned(), state: Mutex::new(state), room: Signal::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes to how many; `None` if the channel is closed.
    fn publish(&self, event: &Encoded) -> Option<Result<usize, PublishError>> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let published = state.topic.publish(event.clone());
        let subscribers = state.topic.stats().subscribers;
        if published.is_ok() {
            self.wake(state);
        }
        Some(published.map(|()| subscribers))
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(state);
        self.room.notify(usize::MAX);
    }

    /// Wakes all who wait, without the lock: they want it next.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if state.waiting == 0 {
            return;
        }
        state.waiting = 0;
        let mut woken = std::mem::take(&mut state.woken);
        woken.extend(state.places.iter_mut().filter_map(|place| match place {
            Place::Taken(waker) => waker.take(),
            Place::Free(_) => None,
        }));
        drop(state);
        woken.drain(..).for_each(Waker::wake);
        self.state().woken = woken;
    }
}

impl State {
    fn take_place(&mut self) -> usize {
        let place = self.free;
        match self.places.get_mut(place) {
            Some(free) => {
                if let Place::Free(next) = std::mem::replace(free, Place::Taken(None)) {
                    self.free = next;
                }
            }
            None => {
                self.places.push(Place::Taken(None));
                self.free = self.places.len();
            }
        }
        place
    }

    fn give_place_back(&mut self, place: usize) {
        let free = Place::Free(self.free);
        if let Place::Taken(Some(_)) = std::mem::replace(&mut self.places[place], free) {
            self.waiting -= 1;
        }
        self.free = place;
    }

    fn wait(&mut self, place: usize, waker: &Waker) {
        match &mut self.places[place] {
            Place::Taken(Some(known)) => known.clone_from(waker),
            free => {
                *free = Place::Taken(Some(waker.clone()));
                self.waiting += 1;
            }
        }
    }

    fn is_unused(&self) -> bool {
        let stats = self.topic.stats();
        stats.subscribers == 0 && stats.kept == 0
    }
}

impl Subscription {
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
