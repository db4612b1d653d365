//! What comes out of an event stream (WHATWG HTML, 9.2.6), and how much of it.

use core::ops::Range;
use core::time::Duration;

/// How much of an event stream is held at a time, in bytes. What passes a limit is an error as soon
/// as the first byte beyond it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, without its end: 16 MiB unless changed.
    pub line: usize,
    /// Data and type of an event together with the line that is being read, whatever that line will
    /// turn out to be: 16 MiB unless changed. While an event is lent that isn't UTF-8, its text
    /// takes up to three times as much besides.
    pub event: usize,
    /// The longest `event` and `id` value: 8 KiB unless changed. The id goes into a header field
    /// some day, and servers refuse longer ones.
    pub name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 16 << 20, event: 16 << 20, name: 8 << 10 }
    }
}

/// An event that was received, with the names of the DOM's `MessageEvent`. Its data is text, or
/// bytes (`[u8]`) that nobody has checked yet.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct MessageEvent<'a, T: ?Sized = str> {
    /// The value of the `event` field; `message` if there was none.
    pub event_type: &'a str,
    /// The values of the `data` fields, joined with LF.
    pub data: &'a T,
    /// The id of this event or, if it had none, of the last one that did; empty at first.
    pub last_event_id: &'a str,
}

/// What a [`Decoder`](super::Decoder) finds in an event stream, with data as text or as bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Decoded<'a, T: ?Sized = str> {
    /// An event to dispatch.
    Event(MessageEvent<'a, T>),
    /// A comment line, without its colon and one space after it. It means nothing beyond "the
    /// server is alive".
    Comment(&'a T),
    /// The time to wait before reconnecting, as the server wants it.
    Retry(Duration),
}

// Derived, they would ask the same of `T`, which is unsized.
impl<T: ?Sized> Clone for MessageEvent<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for MessageEvent<'_, T> {}

impl<T: ?Sized> Clone for Decoded<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Decoded<'_, T> {}

/// What a decoder has found, and where in the content that lies.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// What the buffers hold.
    Event,
    Plain(Plain),
    Comment(Range<usize>),
    Retry(Duration),
}

/// An event that lies where it was received.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    /// Before the data; it may be empty.
    pub(super) event_type: Range<usize>,
    pub(super) data: Range<usize>,
}
