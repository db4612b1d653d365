//! Events that were encoded once, for any number of subscribers.

use super::{EncodeError, Event};
use bytes::Bytes;
use memchr::memchr;

/// An event as the bytes that go out, with its id: encoded once, then shared by every subscriber and
/// by a [`Replay`](super::Replay). Cloning copies nothing.
///
/// ```
/// use tidewire::sse::Event;
///
/// let encoded = Event::data("hello").id("7").to_encoded()?;
/// assert_eq!(encoded.bytes(), "id: 7\ndata: hello\n\n");
/// assert_eq!(encoded.id(), Some("7"));
/// # Ok::<(), tidewire::sse::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encoded {
    bytes: Bytes,
    /// A part of `bytes`, mostly.
    id: Option<Bytes>,
}

impl Encoded {
    /// Takes over what somebody else has encoded: one event or several, with the id of the last.
    ///
    /// Nobody looks into the bytes: whoever made them answers for their lines.
    ///
    /// # Errors
    /// [`EncodeError::Unfinished`] if they don't end with an empty line: what is sent next would
    /// become part of this event.
    pub fn raw(bytes: impl Into<Bytes>, id: Option<&str>) -> Result<Self, EncodeError> {
        let bytes = bytes.into();
        let ends = [b"\n\n".as_slice(), b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\r", b"\n\r"];
        if !(bytes == b"\n"[..] || ends.iter().any(|end| bytes.ends_with(end))) {
            return Err(EncodeError::Unfinished(bytes.len()));
        }
        Ok(Self { bytes, id: id.map(|id| Bytes::copy_from_slice(id.as_bytes())) })
    }

    /// What goes out.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The id; `None` if the event has none, and says nothing about the last one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().and_then(|id| core::str::from_utf8(id).ok())
    }

    /// Its id alone.
    pub(super) fn into_id(self) -> Option<Bytes> {
        self.id
    }
}

impl Event<'_> {
    /// The event as bytes of its own, to be sent to many clients without being encoded again.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn to_encoded(&self) -> Result<Encoded, EncodeError> {
        let bytes = self.to_bytes()?;
        // Comment and type come before the id, and neither has a line that looks like it.
        let mut start = 0;
        let id = loop {
            let Some(len) = memchr(b'\n', &bytes[start..]) else { break None };
            if bytes[start..start + len].starts_with(b"id: ") {
                break Some(bytes.slice(start + 4..start + len));
            }
            if !matches!(bytes.get(start), Some(b':' | b'e')) {
                break None;
            }
            start += len + 1;
        };
        Ok(Encoded { bytes, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        let event = Event::data("id: 9\nx").event("id: 8").comment("id: 7\nid: 6");
        assert_eq!(event.to_encoded().unwrap().id(), None);
        for id in ["1", "", "é", " two words ", "id: 5"] {
            assert_eq!(event.id(id).to_encoded().unwrap().id(), Some(id));
            assert_eq!(Event::new().id(id).to_encoded().unwrap().id(), Some(id));
        }
        let retry = Event::new().retry(Duration::from_secs(1));
        assert_eq!(retry.to_encoded().unwrap().id(), None);
        assert_eq!(Event::new().to_encoded().unwrap().id(), None);
    }

    #[test]
    fn raw_events_end_with_an_empty_line() {
        for whole in ["data: a\n\n", "data: a\r\r", "data: a\r\n\r\n", "data: a\n\r", "\n", ":\n\n"]
        {
            assert_eq!(Encoded::raw(whole, Some("1")).unwrap().id(), Some("1"), "{whole:?}");
        }
        for open in ["", "data: a", "data: a\n", "data: a\r\n", "data: a\r"] {
            let error = EncodeError::Unfinished(open.len());
            assert_eq!(Encoded::raw(open, None), Err(error), "{open:?}");
        }
    }
}
