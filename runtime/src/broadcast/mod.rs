//! Events for many subscribers.

mod channel;
mod subscription;

use crate::error::Error;
use crate::event_stream::EventStream;
use crate::exchange::Exchange;
use crate::runtime::Runtime;
use channel::Channel;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use subscription::{Delivery, Subscription};
use tidewire::http::NO_FIELDS;
#[cfg(doc)]
use tidewire::sse::Overflow;
use tidewire::sse::{
    EncodeError, Encoded, Event, PublishError, SendError, StreamConfig, TooLarge, TopicConfig,
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
/// A subscription holds on to the hub, and waits on when nobody is left to publish: topics end with
/// [`close`](Self::close) and [`close_all`](Self::close_all), not with the last clone.
///
/// # Ids
///
/// A client that comes back names an event by its id and nothing else. So each event of a topic wants
/// an id of its own, and a program that counts should begin its ids with something that is new at each
/// start, the time for instance: else a client of the run before is given what follows another event,
/// and misses what came first. See [`Replay`](tidewire::sse::Replay).
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

/// Why an event was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The event cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
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
            let Some(channel) = self.hub.channel_to_publish(topic) else {
                return self.publish_to_nobody(event);
            };
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
            let Some(channel) = self.hub.channel_to_publish(topic) else {
                return self.publish_to_nobody(event);
            };
            // The order matters: listen first, then try, or room that is made in between is missed.
            let room = channel.room.listen();
            match channel.publish(event) {
                Some(Err(PublishError::Full)) => room.await,
                Some(published) => return published,
                None => {}
            }
        }
    }

    /// Publishes where nobody subscribes and nothing is kept: what could never be published is refused
    /// all the same.
    fn publish_to_nobody(&self, event: &Encoded) -> Result<usize, PublishError> {
        let (size, limit) = (event.bytes().len(), self.hub.config.topic.keep.bytes);
        if size > limit { Err(TooLarge { size, limit }.into()) } else { Ok(0) }
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
            if let Some(subscription) = Subscription::new(&self.hub, channel, last_event_id) {
                return subscription;
            }
        }
    }

    /// Answers a request with the events of a topic, those included that the client has missed: all
    /// of an event stream's server in one line, whatever the method and `Accept` of the request, which
    /// are for the caller to look at ([`Exchange::wants_event_stream`]). It returns when the client has
    /// left, the topic was closed or the client was let go.
    ///
    /// # Errors
    /// As [`Exchange::event_stream`]. That the client left is no error here.
    pub fn serve<R: Runtime>(
        &self,
        exchange: Exchange<R>,
        topic: &str,
    ) -> impl Future<Output = Result<(), Error>> {
        self.serve_with(exchange, topic, NO_FIELDS)
    }

    /// As [`serve`](Self::serve), with fields for the response's head:
    /// `[("Access-Control-Allow-Origin", "*")]`, say.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_with<R: Runtime>(
        &self,
        exchange: Exchange<R>,
        topic: &str,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    ) -> impl Future<Output = Result<(), Error>> {
        // First of all: what is published while the head is on its way is for this client too.
        let last_event_id = tidewire::sse::last_event_id(exchange.head().headers);
        let mut subscription = self.subscribe(topic, last_event_id);
        // A future has room for all that it ever does. What is done once is not in it, but in boxes of
        // its own, so that a subscriber who waits does not keep room for its beginning and its end.
        let opening = Box::pin(exchange.event_stream_with(fields, self.hub.config.stream));
        async move {
            let mut stream: EventStream<R> = opening.await?;
            stream.forget_request();
            {
                let forwarded = stream.forward(&mut subscription).await;
                // It is no subscriber any more, however long it takes for the rest.
                drop(subscription);
                match forwarded {
                    Ok(()) => {}
                    Err(Error::Closed | Error::Send(SendError::TooSlow)) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            Box::pin(stream.finish()).await
        }
    }

    /// Closes a topic: its subscriptions end behind what they have still to take, and what is kept is
    /// forgotten with the last of them. Returns whether there was such a topic.
    ///
    /// An `EventSource` whose stream ends comes back, and by subscribing makes the topic anew. Answer it
    /// with `204` if it shall not (WHATWG HTML, 9.2.2).
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
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Arc<Channel>>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Arc<Channel>>> {
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
