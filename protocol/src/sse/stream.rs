//! One subscriber, on the server's side.

use super::{EncodeError, Event, MEDIA_TYPE};
use crate::http::{BodyLength, Headers, Misuse, Server, Status};
use crate::{Instant, SendBuf};
use alloc::vec::Vec;
use bytes::Bytes;

/// A response that is an event stream.
///
/// It doesn't own the [`Server`] whose response it is: that goes on being polled, and tells with
/// [`Closed`](crate::http::ServerEvent::Closed) when the subscriber has left. Drop the stream then,
/// and whatever sends into it.
///
/// ```
/// use tidewire::http::{NO_FIELDS, Server, ServerConfig, ServerEvent, accepts_explicitly};
/// use tidewire::sse::{Event, MEDIA_TYPE, Stream};
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
///         stream = Some(Stream::open(&mut server, NO_FIELDS, now, &mut tx)?);
///     }
/// }
/// let mut stream = stream.unwrap();
/// stream.send(&Event::data("hello").event("message").id("1"), &mut server, &mut tx)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # A subscriber that reads slowly
///
/// An event is queued whole or, when more than [`high_water`](Self::set_high_water) bytes would be
/// waiting then, not at all: [`SendError::Full`]. The caller still has it, and decides: wait until
/// [`SendBuf::len`] has gone down, drop the event, or [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct Stream {
    high_water: usize,
    /// Where an event is encoded, because the size of a chunk comes before it.
    encoded: Vec<u8>,
}

/// Why an event was not queued. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too much is waiting for the subscriber to read.
    #[error("the subscriber reads too slowly")]
    Full,
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
    /// name. The answer to a HEAD ends with the head: [`finish`](Self::finish) it at once.
    ///
    /// # Errors
    /// As [`Server::respond`]: if there is no request to answer, or a field is malformed.
    pub fn open(
        server: &mut Server,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
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
        Ok(Self { high_water: 256 * 1024, encoded: Vec::new() })
    }

    /// How many bytes may wait in the send buffer: 256 KiB unless changed. An event that is bigger
    /// alone is sent when nothing else waits.
    pub fn set_high_water(&mut self, bytes: usize) {
        self.high_water = bytes;
    }

    /// Queues an event.
    ///
    /// # Errors
    /// [`SendError`]; then nothing was queued.
    pub fn send(
        &mut self,
        event: &Event<'_>,
        server: &mut Server,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        self.encoded.clear();
        event.encode_to(&mut self.encoded)?;
        self.check(self.encoded.len(), server, tx)?;
        server.send_data(&self.encoded, tx).map_err(|_| SendError::Closed)?;
        // One big event should not be paid for until the subscriber leaves.
        self.encoded.shrink_to(4096);
        Ok(())
    }

    /// Queues what [`Event::to_bytes`] made, without copying it if it is large: many subscribers can
    /// share it.
    ///
    /// # Errors
    /// [`SendError`]; then nothing was queued.
    pub fn send_shared(
        &mut self,
        encoded: &Bytes,
        server: &mut Server,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        self.check(encoded.len(), server, tx)?;
        server.send_shared(encoded, tx).map_err(|_| SendError::Closed)
    }

    /// Ends the stream in order. The client will reconnect, unless it is then answered with
    /// [`Status::NO_CONTENT`].
    ///
    /// # Errors
    /// [`SendError::Closed`] if it has ended already.
    pub fn finish(self, server: &mut Server, tx: &mut SendBuf) -> Result<(), SendError> {
        server.finish(tx).map_err(|_| SendError::Closed)
    }

    fn check(&self, len: usize, server: &Server, tx: &SendBuf) -> Result<(), SendError> {
        if !server.is_responding() {
            return Err(SendError::Closed);
        }
        if !tx.is_empty() && tx.len().saturating_add(len) > self.high_water {
            return Err(SendError::Full);
        }
        Ok(())
    }
}

/// The event behind which a client that comes back wants to go on; `None` if it names none, or what
/// it names isn't UTF-8 (WHATWG HTML, 9.2.4).
#[must_use]
pub fn last_event_id(headers: Headers<'_>) -> Option<&str> {
    let id = core::str::from_utf8(headers.get("Last-Event-ID")?).ok()?;
    Some(id).filter(|id| !id.is_empty())
}
