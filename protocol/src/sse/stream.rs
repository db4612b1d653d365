//! One subscriber, on the server's side.

use super::{EncodeError, Event, MEDIA_TYPE, Overflow};
use crate::http::{BodyLength, Headers, Misuse, Server, Status};
use crate::{Instant, SendBuf};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// How a [`Stream`] is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// How many bytes may wait in the send buffer: 256 KiB unless changed. An event that is bigger
    /// alone is sent when nothing else waits.
    pub high_water: usize,
    /// What happens to an event for which there is no room: [`Overflow::Wait`] unless changed, which
    /// refuses it.
    pub overflow: Overflow,
    /// With [`Overflow::DropOldest`], how many bytes of events may wait behind those in the send
    /// buffer, where they can still be dropped: 256 KiB unless changed.
    pub queue: usize,
    /// After how much silence of ours a comment is sent, which keeps proxies from taking the
    /// connection for dead, and notices a client that is (WHATWG HTML, 9.2.7, recommends about 15 s):
    /// 15 s unless changed. `None` or zero for never.
    pub heartbeat: Option<Duration>,
    /// Tells the client at the start how long to wait before it reconnects, in whole milliseconds;
    /// `None` unless changed.
    pub retry: Option<Duration>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            high_water: 256 * 1024,
            overflow: Overflow::Wait,
            queue: 256 * 1024,
            heartbeat: Some(Duration::from_secs(15)),
            retry: None,
        }
    }
}

/// A response that is an event stream.
///
/// It doesn't own the [`Server`] whose response it is: that goes on being polled, and tells with
/// [`Closed`](crate::http::ServerEvent::Closed) when the subscriber has left. Drop the stream then,
/// and whatever sends into it.
///
/// ```
/// use tidewire::http::{NO_FIELDS, Server, ServerConfig, ServerEvent, accepts_explicitly};
/// use tidewire::sse::{Event, MEDIA_TYPE, Stream, StreamConfig};
/// use tidewire::{Instant, RecvBuf, SendBuf};
///
/// let now = Instant::EPOCH;
/// let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
/// let mut server = Server::new(ServerConfig::default(), now);
/// let request = b"GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";
/// assert_eq!(rx.push(request), request.len());
///
/// let mut stream = None;
/// while let Some(event) = server.poll_event(now, &mut rx, &mut tx) {
///     if let ServerEvent::Request(head) = event {
///         assert!(accepts_explicitly(head.headers, MEDIA_TYPE));
///         let config = StreamConfig::default();
///         stream = Some(Stream::open(&mut server, NO_FIELDS, config, now, &mut tx)?);
///     }
/// }
/// let mut stream = stream.unwrap();
/// stream.send(&Event::data("hello").event("message").id("1"), now, &mut server, &mut tx)?;
///
/// // Nothing more to say for 15 seconds:
/// tx.consume(tx.len());
/// let later = stream.poll_timeout().unwrap();
/// stream.handle_timeout(later, &mut server, &mut tx);
/// assert_eq!(tx.chunk(), b"3\r\n:\n\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # A subscriber that reads slowly
///
/// An event is queued whole or not at all. When more than [`StreamConfig::high_water`] bytes would
/// be waiting in the send buffer, [`StreamConfig::overflow`] decides:
///
/// - [`Overflow::Wait`]: the event is refused with [`SendError::Full`], and the caller still has it.
/// - [`Overflow::DropOldest`]: the event waits in the stream, and others before it may go. Call
///   [`pump`](Self::pump) when the send buffer has got emptier.
/// - [`Overflow::Disconnect`]: the response is broken off, and all that waits is forgotten.
#[derive(Clone, Debug)]
pub struct Stream {
    config: StreamConfig,
    /// Where an event is encoded, because the size of a chunk comes before it.
    encoded: Vec<u8>,
    /// What waits for room in the send buffer, and can still be dropped.
    queue: VecDeque<Bytes>,
    queued: usize,
    dropped: u64,
    heartbeat_at: Option<Instant>,
}

/// Why an event was not queued. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too much is waiting for the subscriber to read.
    #[error("the subscriber reads too slowly")]
    Full,
    /// Too much was waiting for the subscriber to read, and [`Overflow::Disconnect`] has ended the
    /// stream.
    #[error("the subscriber read too slowly, and was disconnected")]
    TooSlow,
    /// The subscriber has left, or the stream was finished.
    #[error("the stream has ended")]
    Closed,
    /// The event cannot be said on the wire.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Stream {
    /// Answers the request under way with an event stream.
    ///
    /// `Content-Type: text/event-stream`, `Cache-Control: no-cache` and `X-Accel-Buffering: no` (or
    /// nginx would hold events back) come first, then `fields`, which replace those of the same
    /// name. A client of HTTP/1.1 gets the body in chunks, one of HTTP/1.0 until the connection
    /// closes. The answer to a HEAD ends with the head: [`finish`](Self::finish) it at once.
    ///
    /// haproxy knows no such field: it holds events back for up to 200 ms unless it is told
    /// `option http-no-delay`, and a client that leaves is seen through it when the next event or
    /// heartbeat is sent.
    ///
    /// # Errors
    /// As [`Server::respond`]: if there is no request to answer, or a field is malformed.
    pub fn open(
        server: &mut Server,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
        config: StreamConfig,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Result<Self, Misuse> {
        let given: Vec<_> = fields.into_iter().collect();
        let given = given.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let own = [
            ("Content-Type", MEDIA_TYPE.as_bytes()),
            ("Cache-Control", b"no-cache"),
            ("X-Accel-Buffering", b"no"),
        ];
        let replaced =
            |name: &str| given.clone().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let own = own.into_iter().filter(|(name, _)| !replaced(name));
        let fields = own.chain(given.clone());
        server.respond(Status::OK, fields, BodyLength::Unknown, now, tx)?;
        server.end_on_eof();
        let mut stream = Self {
            config,
            encoded: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            dropped: 0,
            heartbeat_at: None,
        };
        if let Some(retry) = config.retry {
            // Neither can fail: a number is no text, and the response has just begun.
            let _ = Event::new().retry(retry).encode_to(&mut stream.encoded);
            let _ = server.send_data(&stream.encoded, tx);
        }
        stream.spoke(now);
        Ok(stream)
    }

    /// Queues an event.
    ///
    /// # Errors
    /// [`SendError`]; then nothing was queued.
    pub fn send(
        &mut self,
        event: &Event<'_>,
        now: Instant,
        server: &mut Server,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        let mut encoded = core::mem::take(&mut self.encoded);
        encoded.clear();
        let checked = event.encode_to(&mut encoded).map_err(SendError::from);
        let room = checked.and_then(|()| self.room(encoded.len(), now, server, tx));
        let sent = match room {
            Ok(true) => server.send_data(&encoded, tx).map_err(|_| SendError::Closed),
            Ok(false) => {
                self.wait(Bytes::copy_from_slice(&encoded));
                Ok(())
            }
            Err(error) => Err(error),
        };
        // What stays is for small events: one big one should not be paid for until the subscriber
        // leaves.
        if encoded.capacity() <= 1024 {
            self.encoded = encoded;
        }
        sent
    }

    /// Queues the [`bytes`](super::Encoded::bytes) of an event that was encoded before, without
    /// copying them if there are many: any number of subscribers can share them.
    ///
    /// # Errors
    /// [`SendError`]; then nothing was queued.
    pub fn send_shared(
        &mut self,
        encoded: &Bytes,
        now: Instant,
        server: &mut Server,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        if self.room(encoded.len(), now, server, tx)? {
            return server.send_shared(encoded, tx).map_err(|_| SendError::Closed);
        }
        self.wait(encoded.clone());
        Ok(())
    }

    /// As [`send_shared`](Self::send_shared), but takes the event however much waits, and never drops
    /// it: for who takes events out of a [`Topic`](super::Topic), which has its own policy, and stops
    /// while [`queued`](Self::queued) or the send buffer say that enough wait.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub fn forward(
        &mut self,
        encoded: &Bytes,
        now: Instant,
        server: &mut Server,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        if !server.is_responding() {
            return Err(SendError::Closed);
        }
        self.pump(now, server, tx);
        if self.queue.is_empty() && self.fits(encoded.len(), tx) {
            self.spoke(now);
            return server.send_shared(encoded, tx).map_err(|_| SendError::Closed);
        }
        self.queued += encoded.len();
        self.queue.push_back(encoded.clone());
        Ok(())
    }

    /// Moves events that wait in the stream into `tx`, as far as there is room: to be called when
    /// `tx` has got emptier. They wait only after [`forward`](Self::forward), or with
    /// [`Overflow::DropOldest`].
    pub fn pump(&mut self, now: Instant, server: &mut Server, tx: &mut SendBuf) {
        while let Some(next) = self.queue.front() {
            if !self.fits(next.len(), tx) {
                break;
            }
            self.send_waiting(server, tx);
            self.spoke(now);
            if self.queue.is_empty() {
                // A subscriber that is slow once should not be paid for until it leaves.
                self.queue = VecDeque::new();
            }
        }
    }

    /// When there is something to do, if nothing is sent until then: the time of the heartbeat.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.heartbeat_at
    }

    /// To be called when that time has come: sends a comment, unless something waits to be sent
    /// anyway.
    pub fn handle_timeout(&mut self, now: Instant, server: &mut Server, tx: &mut SendBuf) {
        if self.heartbeat_at.is_none_or(|at| now < at) {
            return;
        }
        if !server.is_responding() {
            self.heartbeat_at = None;
            return;
        }
        if tx.is_empty() {
            // Cannot fail: the response is under way.
            let _ = server.send_data(b":\n\n", tx);
        }
        self.spoke(now);
    }

    /// How many events [`Overflow::DropOldest`] has dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many bytes of events wait for room in the send buffer.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// Ends the stream in order, behind everything that waits. The client will reconnect, unless it
    /// is then answered with [`Status::NO_CONTENT`].
    ///
    /// # Errors
    /// [`SendError::Closed`] if it has ended already.
    pub fn finish(mut self, server: &mut Server, tx: &mut SendBuf) -> Result<(), SendError> {
        while self.send_waiting(server, tx) {}
        server.finish(tx).map_err(|_| SendError::Closed)
    }

    /// Breaks the response off, and forgets all that waits: what [`Overflow::Disconnect`] does.
    pub fn disconnect(&mut self, server: &mut Server, tx: &mut SendBuf) {
        server.abort();
        // Nobody reads it.
        tx.clear();
        self.queue = VecDeque::new();
        self.queued = 0;
    }

    /// Whether an event may go into `tx`, or else has to wait.
    fn room(
        &mut self,
        len: usize,
        now: Instant,
        server: &mut Server,
        tx: &mut SendBuf,
    ) -> Result<bool, SendError> {
        if !server.is_responding() {
            return Err(SendError::Closed);
        }
        self.pump(now, server, tx);
        if self.queue.is_empty() && self.fits(len, tx) {
            self.spoke(now);
            return Ok(true);
        }
        match self.config.overflow {
            Overflow::Wait => Err(SendError::Full),
            Overflow::DropOldest => Ok(false),
            Overflow::Disconnect => {
                self.disconnect(server, tx);
                Err(SendError::TooSlow)
            }
        }
    }

    fn fits(&self, len: usize, tx: &SendBuf) -> bool {
        tx.is_empty() || tx.len().saturating_add(len) <= self.config.high_water
    }

    /// Puts an event behind the others that wait, and drops the first until they are few enough. The
    /// last one stays, however big it is.
    fn wait(&mut self, encoded: Bytes) {
        self.queued += encoded.len();
        self.queue.push_back(encoded);
        while self.queued > self.config.queue && self.queue.len() > 1 {
            self.queued -= self.queue.pop_front().map_or(0, |first| first.len());
            self.dropped += 1;
        }
    }

    /// Moves the first event that waits into `tx`, if there is one.
    fn send_waiting(&mut self, server: &mut Server, tx: &mut SendBuf) -> bool {
        let Some(first) = self.queue.pop_front() else { return false };
        self.queued -= first.len();
        // Fails only if the response has ended, and then the event is nobody's.
        let _ = server.send_shared(&first, tx);
        true
    }

    /// Notes that something is sent.
    fn spoke(&mut self, now: Instant) {
        let heartbeat = self.config.heartbeat.filter(|heartbeat| !heartbeat.is_zero());
        self.heartbeat_at = heartbeat.map(|heartbeat| now + heartbeat);
    }
}

/// The event behind which a client that comes back wants to go on; `None` if it names none, or what
/// it names isn't UTF-8 (WHATWG HTML, 9.2.4).
#[must_use]
pub fn last_event_id(headers: Headers<'_>) -> Option<&str> {
    let id = core::str::from_utf8(headers.get("Last-Event-ID")?).ok()?;
    Some(id).filter(|id| !id.is_empty())
}
