//! Parsing and interpreting an event stream (WHATWG HTML, 9.2.5 and 9.2.6).

use super::{ErrorKind, ProtocolError};
use crate::{RecvBuf, utf8};
use alloc::string::String;
use core::ops::Range;
use core::time::Duration;
use memchr::memchr;

/// How much room for text that could not be lent in place is kept from one event to the next.
const SCRATCH: usize = 64 * 1024;

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

/// An event that was received, with the names of the DOM's `MessageEvent`: as text, or as bytes
/// (`[u8]`) of which nobody has asked yet whether they are UTF-8.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct MessageEvent<'a, T: ?Sized = str> {
    /// The value of the `event` field; `message` if there was none.
    pub event_type: &'a T,
    /// The values of the `data` fields, joined with LF.
    pub data: &'a T,
    /// The id of this event or, if it had none, of the last one that did; empty at first.
    pub last_event_id: &'a T,
}

/// What a [`Decoder`] finds in an event stream, as text or as bytes.
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

/// Reads an event stream out of a [`RecvBuf`]'s [content](RecvBuf::content).
///
/// The data of an event is lent where it was received: the lines of a longer event are joined in
/// place. Each byte is looked at a fixed number of times however the stream is cut into pieces, and
/// what doesn't belong to the event under way leaves the buffer at once.
///
/// A stream cannot be wrong, only too big: bytes that are not UTF-8 come out as U+FFFD, and fields
/// that mean nothing are ignored.
///
/// ```
/// use tidewire::RecvBuf;
/// use tidewire::sse::{Decoded, Decoder, Limits};
///
/// let mut rx = RecvBuf::with_limit(1 << 20);
/// let mut decoder = Decoder::new(Limits::default());
/// assert_eq!(rx.push(b"id: 7\ndata: hello\ndata: world\n\n"), 31);
/// rx.keep(31); // all of it is event stream: no framing
/// let Some(Decoded::Event(event)) = decoder.poll(&mut rx)? else { panic!() };
/// assert_eq!((event.event_type, event.data), ("message", "hello\nworld"));
/// assert_eq!(event.last_event_id, "7");
/// # Ok::<(), tidewire::sse::ProtocolError>(())
/// ```
///
/// # At the end of the stream
///
/// Drop what is left: an event without the empty line behind it is not dispatched. Then
/// [`reset`](Self::reset) if there will be another stream.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,

    // Offsets into the content. What is not named here is dead.
    //
    //   | dead | data | dead | line, not complete |
    //
    /// The data buffer, without its last LF; `None` while there was no data field.
    data: Option<Range<usize>>,
    /// Start of the line that is being read.
    line: usize,
    /// No end of line before this.
    scanned: usize,
    /// No CR from `line` to this; if it isn't the end of the content, here is one.
    no_cr: usize,

    /// The offset of `line` in the stream.
    offset: u64,
    /// No line was complete yet: a byte order mark may come.
    first: bool,
    /// The last line ended with CR: an LF belongs to that.
    after_cr: bool,

    event_type: String,
    /// The last event ID buffer.
    id_buffer: String,
    /// The last event ID string: the buffer's value when an event was last complete.
    id: String,
    /// Whether the two differ.
    new_id: bool,

    found: Option<Found>,
    /// Whether `found` was lent.
    lent: bool,
    failed: Option<ProtocolError>,
}

#[derive(Clone, Debug)]
enum Found {
    Event,
    Comment(Range<usize>),
    Retry(Duration),
}

impl Decoder {
    /// At the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            data: None,
            line: 0,
            scanned: 0,
            no_cr: 0,
            offset: 0,
            first: true,
            after_cr: false,
            event_type: String::new(),
            id_buffer: String::new(),
            id: String::new(),
            new_id: false,
            found: None,
            lent: false,
            failed: None,
        }
    }

    /// Decodes up to the next thing to tell; `None` when more bytes are needed. What was lent before
    /// leaves `rx`.
    ///
    /// # Errors
    /// If a limit is passed. Nothing can be decoded after that: the same error comes again.
    #[inline]
    pub fn poll<'a>(&mut self, rx: &'a mut RecvBuf) -> Result<Option<Decoded<'a>>, ProtocolError> {
        Ok(if self.advance(rx)? { self.event(rx) } else { None })
    }

    /// As [`poll`](Self::poll), of bytes
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[inline]
    pub fn poll_bytes<'a>(&mut self, rx: &'a mut RecvBuf) -> Result<Option<Decoded<'a, [u8]>>, ProtocolError> {
        Ok(if self.advance(rx)? { self.event_bytes(rx) } else { None })
    }

    /// As [`event`](Self::event), of bytes.
    #[inline]
    pub fn event_bytes<'a>(&mut self, rx: &'a mut RecvBuf) -> Option<Decoded<'a, [u8]>> {
        if core::mem::replace(&mut self.lent, true) {
            return None;
        }
        let (content, scratch) = rx.content_and_scratch();
        scratch.clear();
        Some(match self.found.as_ref()? {
            Found::Event => {
                if !(self.event_type.is_empty() && self.id.is_empty()) {
                    scratch.push_str(&self.event_type);
                    scratch.push_str(&self.id);
                }
                let data = &content[self.data.clone()?];
                let (event_type, last_event_id) = scratch.as_bytes().split_at(self.event_type.len());
                let event_type = if event_type.is_empty() { b"message" } else { event_type };
                Decoded::Event(MessageEvent { event_type, data, last_event_id })
            }
            Found::Comment(comment) => Decoded::Comment(&content[comment.clone()]),
            Found::Retry(retry) => Decoded::Retry(*retry),
        })
    }

    /// The id to send as `Last-Event-ID` when the stream breaks off now; empty for none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.id
    }

    /// Goes on from an event that was received elsewhere.
    pub fn set_last_event_id(&mut self, id: &str) {
        self.id.clear();
        self.id.push_str(id);
        self.id_buffer.clone_from(&self.id);
        self.new_id = false;
    }

    /// Makes ready for another stream, with `rx` cleared. Only the last event id stays, as in
    /// browsers: it also is the id of the new stream's first events if they have none.
    pub fn reset(&mut self) {
        let id = core::mem::take(&mut self.id);
        *self = Self::new(self.limits);
        self.set_last_event_id(&id);
    }

    /// As [`Machine::advance`](crate::Machine::advance).
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn advance(&mut self, rx: &mut RecvBuf) -> Result<bool, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.found.is_some() && !self.lent {
            return Ok(true);
        }
        self.release(rx);
        while let Some(end) = self.end_of_line(rx.content())? {
            self.found = self.take_line(rx.content_mut(), end)?;
            if self.found.is_some() {
                return Ok(true);
            }
        }
        self.compact(rx);
        if rx.is_full() {
            let held = rx.content().len() - self.line;
            return Err(self.fail(ErrorKind::BufferFull, held));
        }
        Ok(false)
    }

    /// As [`Machine::event`](crate::Machine::event).
    #[inline]
    pub fn event<'a>(&mut self, rx: &'a mut RecvBuf) -> Option<Decoded<'a>> {
        if core::mem::replace(&mut self.lent, true) {
            return None;
        }
        let (content, scratch) = rx.content_and_scratch();
        scratch.clear();
        Some(match self.found.as_ref()? {
            Found::Event => {
                if !(self.event_type.is_empty() && self.id.is_empty()) {
                    scratch.push_str(&self.event_type);
                    scratch.push_str(&self.id);
                }
                let (names, data) = text(&content[self.data.clone()?], scratch);
                let (event_type, last_event_id) = names.split_at(self.event_type.len());
                let event_type = if event_type.is_empty() { "message" } else { event_type };
                Decoded::Event(MessageEvent { event_type, data, last_event_id })
            }
            Found::Comment(comment) => Decoded::Comment(text(&content[comment.clone()], scratch).1),
            Found::Retry(retry) => Decoded::Retry(*retry),
        })
    }

    /// Whether an event has been announced.
    pub(super) const fn found_event(&self) -> bool {
        matches!(self.found, Some(Found::Event))
    }

    /// The time that has been announced.
    pub(super) const fn found_retry(&self) -> Option<Duration> {
        match self.found {
            Some(Found::Retry(retry)) => Some(retry),
            _ => None,
        }
    }

    /// Drops what was lent.
    fn release(&mut self, rx: &mut RecvBuf) {
        if matches!(self.found.take(), Some(Found::Event)) {
            self.data = None;
            self.event_type.clear();
        }
        if self.data.is_none() {
            self.consume(rx, self.line);
        }
        if rx.scratch.capacity() > SCRATCH {
            rx.scratch = String::new();
        }
        self.lent = false;
    }

    /// Where the line ends, once it has; its length so far is within the limits.
    fn end_of_line(&mut self, content: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.after_cr && self.line < content.len() {
            self.after_cr = false;
            if content[self.line] == b'\n' {
                self.begin_line(self.line + 1);
            }
        }
        // Lines end with LF nearly always, and to look for one byte is several times as fast as to
        // look for two. So CR is looked for once in all that is new, and LF up to there.
        if self.no_cr < content.len() {
            let cr = memchr(b'\r', &content[self.no_cr..]);
            self.no_cr = cr.map_or(content.len(), |cr| self.no_cr + cr);
        }
        let lf = memchr(b'\n', &content[self.scanned..self.no_cr]);
        self.scanned = lf.map_or(self.no_cr, |lf| self.scanned + lf);

        let held = self.event_type.len() + self.data.as_ref().map_or(0, |data| data.len() + 1);
        let event = self.limits.event.saturating_sub(held);
        let length = self.scanned - self.line;
        if length > event.min(self.limits.line) {
            return Err(match self.limits.line <= event {
                true => self.fail(ErrorKind::LineTooLong, self.limits.line),
                false => self.fail(ErrorKind::EventTooLong, event),
            });
        }
        Ok((self.scanned < content.len()).then_some(self.scanned))
    }

    /// Processes the line that ends at `end`.
    fn take_line(
        &mut self,
        content: &mut [u8],
        end: usize,
    ) -> Result<Option<Found>, ProtocolError> {
        let mut start = self.line;
        self.after_cr = content[end] == b'\r';
        if core::mem::take(&mut self.first) && content[start..end].starts_with(b"\xEF\xBB\xBF") {
            start += 3;
        }
        // All names that mean something are shorter than this.
        let name = content[start..end].iter().take(6).position(|&byte| byte == b':');
        let (name, value) = match name {
            Some(len) => {
                let space = content[start + len + 1..end].starts_with(b" ");
                (start..start + len, start + len + 1 + usize::from(space)..end)
            }
            None => (start..end, end..end),
        };
        let found = match &content[name.clone()] {
            b"" if value.start == start => self.dispatch(),
            b"" => Some(Found::Comment(value)),
            b"data" => {
                self.data = Some(match self.data.take() {
                    None => value,
                    Some(data) => {
                        // The name of this field leaves room for the LF.
                        content[data.end] = b'\n';
                        let end = data.end + 1 + value.len();
                        content.copy_within(value, data.end + 1);
                        data.start..end
                    }
                });
                None
            }
            b"event" => {
                self.check_name(&value)?;
                self.event_type.clear();
                push_lossy(&mut self.event_type, &content[value]);
                None
            }
            b"id" if memchr(0, &content[value.clone()]).is_none() => {
                self.check_name(&value)?;
                self.id_buffer.clear();
                push_lossy(&mut self.id_buffer, &content[value]);
                self.new_id = true;
                None
            }
            b"retry" => milliseconds(&content[value]).map(Found::Retry),
            _ => None,
        };
        self.begin_line(end + 1);
        // The line after the data is empty nearly always.
        if found.is_none() && !self.after_cr && content.get(end + 1) == Some(&b'\n') {
            self.begin_line(end + 2);
            return Ok(self.dispatch());
        }
        Ok(found)
    }

    /// An empty line: the event is complete.
    fn dispatch(&mut self) -> Option<Found> {
        if core::mem::take(&mut self.new_id) {
            self.id.clone_from(&self.id_buffer);
        }
        if self.data.is_none() {
            self.event_type.clear();
            return None;
        }
        Some(Found::Event)
    }

    fn begin_line(&mut self, start: usize) {
        self.offset += (start - self.line) as u64;
        self.line = start;
        self.scanned = start;
        self.no_cr = self.no_cr.max(start);
    }

    fn check_name(&mut self, value: &Range<usize>) -> Result<(), ProtocolError> {
        if value.len() > self.limits.name {
            let beyond = value.start + self.limits.name - self.line;
            return Err(self.fail(ErrorKind::NameTooLong, beyond));
        }
        Ok(())
    }

    /// `beyond` counts from the start of the line.
    fn fail(&mut self, kind: ErrorKind, beyond: usize) -> ProtocolError {
        let error = ProtocolError { kind, offset: self.offset + beyond as u64 };
        self.failed = Some(error);
        error
    }

    /// Drops what is dead. A byte moves once at most: what moves belongs to a line that isn't
    /// complete, and there is nothing dead before it again until it is.
    fn compact(&mut self, rx: &mut RecvBuf) {
        let Some(data) = self.data.clone() else { return self.consume(rx, self.line) };
        self.consume(rx, data.start);
        let (data, line) = (data.len(), self.line);
        let dead = line - data;
        if dead > 0 {
            let content = rx.content_mut();
            let len = content.len();
            content.copy_within(line.., data);
            rx.truncate(len - dead);
            self.line -= dead;
            self.scanned -= dead;
            self.no_cr -= dead;
        }
    }

    fn consume(&mut self, rx: &mut RecvBuf, n: usize) {
        rx.consume(n);
        if let Some(data) = &mut self.data {
            *data = data.start - n..data.end - n;
        }
        self.line -= n;
        self.scanned -= n;
        self.no_cr -= n;
    }
}

/// What is in `scratch`, and `bytes` as text: in place if they are UTF-8, else behind it.
#[inline]
fn text<'a>(bytes: &'a [u8], scratch: &'a mut String) -> (&'a str, &'a str) {
    match utf8::validate(bytes) {
        Ok(text) => (scratch, text),
        Err(_) => {
            let names = scratch.len();
            push_lossy(scratch, bytes);
            scratch.split_at(names)
        }
    }
}

/// UTF-8 decode (WHATWG Encoding): what is invalid becomes U+FFFD. A line can be decoded for
/// itself, because the bytes that end it are never part of another character.
fn push_lossy(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// "If the field value consists of only ASCII digits"; beyond what a `u64` holds, its maximum.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    Some(Duration::from_millis(value.iter().fold(0, digit)))
}
