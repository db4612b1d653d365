//! Parsing and interpreting an event stream (WHATWG HTML, 9.2.5 and 9.2.6).

use super::line::{Field, field, line_feed, milliseconds, or_message, push_lossy, text};
use super::message::{Decoded, Found, Limits, MessageEvent, Plain};
use super::{ErrorKind, ProtocolError};
use crate::{RecvBuf, utf8};
use alloc::string::String;
use core::ops::Range;
use core::time::Duration;
use memchr::{memchr, memchr2};

/// How much room for text that could not be lent in place is kept from one event to the next.
const SCRATCH: usize = 64 * 1024;

/// From what length on a line is expected to go on in the next bytes, too.
const LONG: usize = 1024;

/// Reads an event stream out of a [`RecvBuf`]'s [content](RecvBuf::content).
///
/// The data of an event is lent where it was received: the lines of a longer event are joined in
/// place. Each byte is looked at a fixed number of times however the stream is cut into pieces, and
/// when more bytes are needed, nothing is in the buffer but what belongs to the event under way.
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

    /// The offset in the stream that `line` and the others count from.
    offset: u64,
    /// No line was complete yet: a byte order mark may come.
    first: bool,
    /// The last line ended with CR: an LF belongs to that.
    after_cr: bool,
    /// The line is the first of an event and nothing is unusual: the way of plain events is open.
    plain: bool,

    event_type: String,
    /// The last event ID buffer, while it isn't the string.
    id_buffer: String,
    /// The last event ID string: the buffer's value when an event was last complete.
    id: String,
    /// Whether the two differ.
    new_id: bool,

    /// What was announced and not lent.
    found: Option<Found>,
    failed: Option<ProtocolError>,
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
            plain: false,
            event_type: String::new(),
            id_buffer: String::new(),
            id: String::new(),
            new_id: false,
            found: None,
            failed: None,
        }
    }

    /// Decodes up to the next thing to tell; `None` when more bytes are needed. Then everything that
    /// was lent has left `rx`.
    ///
    /// # Errors
    /// If a limit is passed. Nothing can be decoded after that: the same error comes again.
    #[inline]
    pub fn poll<'a>(&mut self, rx: &'a mut RecvBuf) -> Result<Option<Decoded<'a>>, ProtocolError> {
        if let Some(plain) = self.next_plain(rx) {
            return Ok(Some(self.lend_text(plain, rx.content_and_scratch())));
        }
        Ok(if self.advance_lines(rx)? { self.event(rx) } else { None })
    }

    /// As [`poll`](Self::poll), but data and comments are lent as they came: for those who parse the
    /// data anyway, or pass it on. [`String::from_utf8_lossy`] makes of them what `poll` gives. The
    /// two may be called in turns.
    ///
    /// ```
    /// use tidewire::RecvBuf;
    /// use tidewire::sse::{Decoded, Decoder, Limits};
    ///
    /// let mut rx = RecvBuf::with_limit(1 << 20);
    /// let mut decoder = Decoder::new(Limits::default());
    /// let n = rx.push(b"data: {\"n\": 1}\n\ndata: \xFF\n\n");
    /// rx.keep(n);
    /// let mut data = Vec::new();
    /// while let Some(decoded) = decoder.poll_bytes(&mut rx)? {
    ///     if let Decoded::Event(event) = decoded {
    ///         data.push(event.data.to_vec()); // usually: a parser of JSON
    ///     }
    /// }
    /// assert_eq!(data, [&b"{\"n\": 1}"[..], b"\xFF"]);
    /// # Ok::<(), tidewire::sse::ProtocolError>(())
    /// ```
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[inline]
    pub fn poll_bytes<'a>(
        &mut self,
        rx: &'a mut RecvBuf,
    ) -> Result<Option<Decoded<'a, [u8]>>, ProtocolError> {
        if let Some(plain) = self.next_plain(rx) {
            return Ok(Some(self.lend_bytes(plain, rx.content_and_scratch())));
        }
        Ok(if self.advance_lines(rx)? { self.event_bytes(rx) } else { None })
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
        if let Some(plain) = self.next_plain(rx) {
            self.found = Some(Found::Plain(plain));
            return Ok(true);
        }
        self.advance_lines(rx)
    }

    /// The event that most events are: here as a whole, its lines ended by LF, the last of them its
    /// only data and those before it `event` and `id`. It is lent as it lies. What isn't like that is
    /// left to [`advance_lines`](Self::advance_lines), which knows all rules; this must be no other
    /// opinion.
    #[inline(always)]
    fn next_plain(&mut self, rx: &RecvBuf) -> Option<Plain> {
        if !self.plain || self.found.is_some() || self.scanned == self.no_cr {
            return None;
        }
        let lines = rx.content().get(self.line..self.no_cr)?;
        let Some(data) = lines.strip_prefix(b"data: ") else { return self.next_named(lines) };
        let start = self.line + 6;
        let scanned = self.scanned.saturating_sub(start);
        let Some(more) = memchr(b'\n', &data[scanned..]) else {
            self.scanned = self.no_cr;
            return None;
        };
        let end = scanned + more;
        if data.get(end + 1) != Some(&b'\n') || end + 6 > self.limits.line.min(self.limits.event) {
            return None;
        }
        self.line = start + end + 2;
        Some(Plain { event_type: start..start, data: start..start + end })
    }

    /// The same, when other fields come before the data.
    fn next_named(&mut self, lines: &[u8]) -> Option<Plain> {
        let (mut event_type, mut id) = (0..0, None);
        let mut line = 0;
        // What was looked at belongs to the first line.
        let scanned = self.scanned.saturating_sub(self.line);
        loop {
            let from = scanned.max(line);
            let length = match &lines[from..] {
                data @ [b'd', ..] => memchr(b'\n', data)?,
                name => line_feed(name)?,
            };
            let end = from + length;
            let (field, value) = field(&lines[line..end]);
            let value = line + value..end;
            match field {
                Field::Event if value.len() <= self.limits.name => event_type = value,
                Field::Id if value.len() <= self.limits.name => id = Some(value),
                Field::Data if lines.get(end + 1) == Some(&b'\n') => {
                    if end > self.limits.line.min(self.limits.event) {
                        return None;
                    }
                    if let Some(id) = id.map(|id| &lines[id]) {
                        if memchr(0, id).is_some() {
                            return None;
                        }
                        self.id.clear();
                        push_lossy(&mut self.id, id);
                    }
                    if event_type.is_empty() {
                        event_type = value.start..value.start;
                    }
                    let at = |range: Range<usize>| self.line + range.start..self.line + range.end;
                    let plain = Plain { event_type: at(event_type), data: at(value) };
                    self.line += end + 2;
                    return Some(plain);
                }
                _ => return None,
            }
            line = end + 1;
        }
    }

    /// Every other event, and whatever else there is, line by line.
    #[inline(never)]
    fn advance_lines(&mut self, rx: &mut RecvBuf) -> Result<bool, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.found.is_some() {
            return Ok(true);
        }
        if rx.scratch.capacity() > SCRATCH {
            rx.scratch = String::new();
        }
        self.begin_line(self.line);
        if self.plain && self.no_cr < rx.content().len() {
            self.look_for_cr(rx.content());
            if let Some(plain) = self.next_plain(rx) {
                self.found = Some(Found::Plain(plain));
                return Ok(true);
            }
        }
        while let Some(end) = self.end_of_line(rx.content())? {
            self.found = self.take_line(rx.content_mut(), end)?;
            if self.found.is_some() {
                break;
            }
        }
        let held = self.data.is_some() || self.new_id || !self.event_type.is_empty();
        let done = !held || matches!(self.found, Some(Found::Event));
        self.plain = done && !(self.first || self.after_cr);
        if self.found.is_some() {
            return Ok(true);
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
        let (content, scratch) = rx.content_and_scratch();
        Some(match self.found.take()? {
            Found::Plain(plain) => self.lend_text(plain, (content, scratch)),
            Found::Event => {
                let data = self.data.take()?;
                self.lend_joined(&content[data], scratch)
            }
            Found::Comment(comment) => {
                scratch.clear();
                Decoded::Comment(text(&content[comment], scratch).1)
            }
            Found::Retry(retry) => Decoded::Retry(retry),
        })
    }

    /// As [`event`](Self::event), for [`poll_bytes`](Self::poll_bytes).
    #[inline]
    pub fn event_bytes<'a>(&mut self, rx: &'a mut RecvBuf) -> Option<Decoded<'a, [u8]>> {
        let (content, scratch) = rx.content_and_scratch();
        Some(match self.found.take()? {
            Found::Plain(plain) => self.lend_bytes(plain, (content, scratch)),
            Found::Event => {
                let data = self.data.take()?;
                self.lend_joined_bytes(&content[data], scratch)
            }
            Found::Comment(comment) => Decoded::Comment(&content[comment]),
            Found::Retry(retry) => Decoded::Retry(retry),
        })
    }

    #[inline(always)]
    fn lend_text<'a>(
        &mut self,
        plain: Plain,
        (content, scratch): (&'a [u8], &'a mut String),
    ) -> Decoded<'a> {
        let Plain { event_type, data } = plain;
        // They lie together, so that one check does.
        match utf8::validate(&content[event_type.start..data.end]) {
            Ok(lines) => Decoded::Event(MessageEvent {
                event_type: or_message(&lines[..event_type.len()]),
                data: &lines[data.start - event_type.start..],
                last_event_id: self.lend_id(scratch),
            }),
            Err(_) => {
                push_lossy(&mut self.event_type, &content[event_type]);
                self.lend_joined(&content[data], scratch)
            }
        }
    }

    #[inline(always)]
    fn lend_bytes<'a>(
        &mut self,
        plain: Plain,
        (content, scratch): (&'a [u8], &'a mut String),
    ) -> Decoded<'a, [u8]> {
        let Plain { event_type, data } = plain;
        let event_type = &content[event_type];
        let checked =
            if event_type.is_empty() { Ok("message") } else { utf8::validate(event_type) };
        match checked {
            Ok(event_type) => Decoded::Event(MessageEvent {
                event_type,
                data: &content[data],
                last_event_id: self.lend_id(scratch),
            }),
            Err(_) => {
                push_lossy(&mut self.event_type, event_type);
                self.lend_joined_bytes(&content[data], scratch)
            }
        }
    }

    /// With the type that is in its buffer.
    fn lend_joined<'a>(&mut self, data: &'a [u8], scratch: &'a mut String) -> Decoded<'a> {
        let of_type = self.lend_names(scratch).0.len();
        let (names, data) = text(data, scratch);
        let (event_type, last_event_id) = names.split_at(of_type);
        let event_type = or_message(event_type);
        Decoded::Event(MessageEvent { event_type, data, last_event_id })
    }

    fn lend_joined_bytes<'a>(
        &mut self,
        data: &'a [u8],
        scratch: &'a mut String,
    ) -> Decoded<'a, [u8]> {
        let (event_type, last_event_id) = self.lend_names(scratch);
        let event_type = or_message(event_type);
        Decoded::Event(MessageEvent { event_type, data, last_event_id })
    }

    #[inline]
    fn lend_id<'a>(&self, scratch: &'a mut String) -> &'a str {
        scratch.clear();
        if !self.id.is_empty() {
            scratch.push_str(&self.id);
        }
        scratch
    }

    /// Type and id; the type is no longer wanted.
    fn lend_names<'a>(&mut self, scratch: &'a mut String) -> (&'a str, &'a str) {
        scratch.clear();
        scratch.push_str(&self.event_type);
        scratch.push_str(&self.id);
        let of_type = self.event_type.len();
        self.event_type.clear();
        scratch.split_at(of_type)
    }

    /// Whether an event has been announced.
    pub(super) const fn found_event(&self) -> bool {
        matches!(self.found, Some(Found::Event | Found::Plain(_)))
    }

    /// The time that has been announced.
    pub(super) const fn found_retry(&self) -> Option<Duration> {
        match self.found {
            Some(Found::Retry(retry)) => Some(retry),
            _ => None,
        }
    }

    /// Where the line ends, once it has; its length so far is within the limits.
    fn end_of_line(&mut self, content: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.after_cr && self.line < content.len() {
            self.after_cr = false;
            if content[self.line] == b'\n' {
                self.begin_line(self.line + 1);
            }
        }
        if self.no_cr < content.len() {
            self.look_for_cr(content);
        }
        if self.scanned < self.no_cr {
            let lf = memchr(b'\n', &content[self.scanned..self.no_cr]);
            self.scanned = lf.map_or(self.no_cr, |lf| self.scanned + lf);
        }

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
        let (field, value) = field(&content[start..end]);
        let value = start + value..end;
        let found = match field {
            Field::None => self.dispatch(),
            Field::Comment => Some(Found::Comment(value)),
            Field::Data => {
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
            Field::Event => {
                self.check_name(&value)?;
                self.event_type.clear();
                push_lossy(&mut self.event_type, &content[value]);
                None
            }
            Field::Id if memchr(0, &content[value.clone()]).is_none() => {
                self.check_name(&value)?;
                self.id_buffer.clear();
                push_lossy(&mut self.id_buffer, &content[value]);
                self.new_id = true;
                None
            }
            Field::Retry => milliseconds(&content[value]).map(Found::Retry),
            Field::Id | Field::Other => None,
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
            core::mem::swap(&mut self.id, &mut self.id_buffer);
        }
        if self.data.is_none() {
            self.event_type.clear();
            return None;
        }
        Some(Found::Event)
    }

    /// Looks for CR in what is new. Lines end with LF nearly always, and to look for one byte is
    /// several times as fast as to look for two, so that this is done for a whole read at once, and
    /// LF is looked for up to there.
    fn look_for_cr(&mut self, content: &[u8]) {
        let new = &content[self.no_cr..];
        // But a line that is long already nearly always goes on: one look for both.
        if self.scanned == self.no_cr && self.scanned - self.line >= LONG {
            let end = memchr2(b'\r', b'\n', new);
            self.scanned += end.unwrap_or(new.len());
            self.no_cr = self.scanned;
            if end.is_none() {
                return;
            }
        }
        let cr = memchr(b'\r', &content[self.no_cr..]);
        self.no_cr = cr.map_or(content.len(), |cr| self.no_cr + cr);
    }

    #[inline]
    fn begin_line(&mut self, start: usize) {
        self.line = start;
        self.scanned = self.scanned.max(start);
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
        let error = ProtocolError { kind, offset: self.offset + (self.line + beyond) as u64 };
        self.failed = Some(error);
        self.plain = false;
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
            self.offset += dead as u64;
            self.line -= dead;
            self.scanned -= dead;
            self.no_cr -= dead;
        }
    }

    #[inline]
    fn consume(&mut self, rx: &mut RecvBuf, n: usize) {
        rx.consume(n);
        if let Some(data) = &mut self.data {
            *data = data.start - n..data.end - n;
        }
        self.offset += n as u64;
        self.line -= n;
        self.scanned -= n;
        self.no_cr -= n;
    }
}
