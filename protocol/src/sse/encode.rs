//! Events on their way out (WHATWG HTML, 9.2.5).

use super::EncodeError;
use crate::SendBuf;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use memchr::{memchr2, memchr3};
use wide::u8x16;

/// An event to send.
///
/// Line breaks in the data (LF, CR LF and lone CR alike) arrive as LF, a trailing one included, and
/// empty data arrives as empty data. An event without data only sets the id or the reconnection
/// time, or carries a comment.
///
/// ```
/// use tidewire::{SendBuf, sse::Event};
///
/// let mut tx = SendBuf::new();
/// Event::data("two\nlines").event("greeting").id("1").encode(&mut tx)?;
/// assert_eq!(tx.chunk(), b"event: greeting\nid: 1\ndata: two\ndata: lines\n\n");
/// # Ok::<(), tidewire::sse::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Event<'a> {
    comment: Option<&'a str>,
    event: Option<&'a str>,
    id: Option<&'a str>,
    retry: Option<Duration>,
    data: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// An event without any field. Clients dispatch nothing when it has no data.
    pub const fn new() -> Self {
        Self { comment: None, event: None, id: None, retry: None, data: None }
    }

    /// An event with this data.
    pub const fn data(data: &'a str) -> Self {
        Self { data: Some(data), ..Self::new() }
    }

    /// Sets the data of an event that was begun without any.
    pub const fn with_data(self, data: &'a str) -> Self {
        Self { data: Some(data), ..self }
    }

    /// Sets the type, which clients take for `message` when there is none.
    pub const fn event(self, event: &'a str) -> Self {
        Self { event: Some(event), ..self }
    }

    /// Sets the id, which the client sends as `Last-Event-ID` when it reconnects; an empty one
    /// makes it forget the last.
    pub const fn id(self, id: &'a str) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Tells the client how long to wait before it reconnects, in whole milliseconds.
    pub const fn retry(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Adds a comment, which clients ignore.
    pub const fn comment(self, comment: &'a str) -> Self {
        Self { comment: Some(comment), ..self }
    }

    /// Appends the event to `tx`.
    ///
    /// # Errors
    /// If the type or id holds what the format cannot carry; then nothing was appended.
    #[inline]
    pub fn encode(&self, tx: &mut SendBuf) -> Result<(), EncodeError> {
        let len = self.plain_len();
        if len > 0 && self.write_plain(&mut tx.spare(len)[..len]) {
            tx.commit(len);
            return Ok(());
        }
        self.check()?;
        self.write(tx);
        Ok(())
    }

    /// The event as bytes of its own, to be sent to many clients without being encoded again.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Appends the event to `bytes`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[inline]
    pub fn encode_to(&self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (old, len) = (bytes.len(), self.plain_len());
        if len > 0 {
            bytes.resize(old + len, 0);
            if self.write_plain(&mut bytes[old..]) {
                return Ok(());
            }
            bytes.truncate(old);
        }
        self.check()?;
        self.write(bytes);
        Ok(())
    }

    /// How many bytes [`encode`](Self::encode) appends: what must be known before, such as the size
    /// of a chunk. It takes a look for line breaks, and is of no use for an event that cannot be
    /// encoded.
    ///
    /// ```
    /// use tidewire::sse::Event;
    ///
    /// let event = Event::data("two\nlines").id("1");
    /// assert_eq!(event.encoded_len(), event.to_bytes()?.len());
    /// # Ok::<(), tidewire::sse::EncodeError>(())
    /// ```
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut len = Length(0);
        self.write(&mut len);
        len.0
    }

    fn check(&self) -> Result<(), EncodeError> {
        if let Some(at) = self.event.and_then(|event| memchr2(b'\r', b'\n', event.as_bytes())) {
            return Err(EncodeError::LineBreakInType(at));
        }
        let id = self.id.unwrap_or_default().as_bytes();
        match memchr3(b'\r', b'\n', 0, id) {
            Some(at) if id[at] == 0 => Err(EncodeError::NulInId(at)),
            Some(at) => Err(EncodeError::LineBreakInId(at)),
            None => Ok(()),
        }
    }

    /// How many bytes a plain event takes, which most are: its values are short, and each of them one
    /// line. Zero if that is no plain event.
    #[inline]
    fn plain_len(&self) -> usize {
        let Self { comment: None, event, id, retry: None, data: Some(data) } = *self else {
            return 0;
        };
        let size = |name: &[u8], value: &str| name.len() + value.len() + 1;
        let event = event.map_or(0, |event| size(EVENT, event));
        let id = id.map_or(0, |id| size(ID, id));
        let len = event + id + size(DATA, data) + 1;
        if len <= PLAIN { len } else { 0 }
    }

    /// Writes a plain event of so many bytes while it looks for what it may not hold. If there may be
    /// any, what was written means nothing.
    #[inline]
    fn write_plain(&self, room: &mut [u8]) -> bool {
        let mut copy = Copy { room, least: u8x16::splat(u8::MAX) };
        if let Some(event) = self.event {
            copy.line(EVENT, event.as_bytes());
        }
        if let Some(id) = self.id {
            copy.line(ID, id.as_bytes());
        }
        copy.line(DATA, self.data.unwrap_or_default().as_bytes());
        copy.room[0] = b'\n';
        copy.least.min(u8x16::splat(b'\r')).cmp_eq(copy.least) == u8x16::splat(0)
    }

    fn write(&self, out: &mut impl Lines) {
        if let Some(comment) = self.comment {
            lines(comment, |line| out.line(COMMENT, line));
        }
        if let Some(event) = self.event {
            out.line(EVENT, event.as_bytes());
        }
        if let Some(id) = self.id {
            out.line(ID, id.as_bytes());
        }
        if let Some(retry) = self.retry {
            let mut digits = [0; 20];
            out.line(RETRY, decimal(retry.as_millis(), &mut digits));
        }
        if let Some(data) = self.data {
            lines(data, |line| out.line(DATA, line));
        }
        out.line(b"", b"");
    }
}

const COMMENT: &[u8] = b": ";
const EVENT: &[u8] = b"event: ";
const ID: &[u8] = b"id: ";
const RETRY: &[u8] = b"retry: ";
const DATA: &[u8] = b"data: ";

/// What lines can be appended to.
trait Lines {
    /// Appends `name`, `value` and LF.
    fn line(&mut self, name: &[u8], value: &[u8]);
}

impl Lines for SendBuf {
    #[inline]
    fn line(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len() + value.len() + 1;
        let line = &mut self.spare(len)[..len];
        line[..name.len()].copy_from_slice(name);
        line[name.len()..len - 1].copy_from_slice(value);
        line[len - 1] = b'\n';
        self.commit(len);
    }
}

impl Lines for Vec<u8> {
    fn line(&mut self, name: &[u8], value: &[u8]) {
        self.reserve(name.len() + value.len() + 1);
        self.extend_from_slice(name);
        self.extend_from_slice(value);
        self.push(b'\n');
    }
}

/// How long they are.
struct Length(usize);

impl Lines for Length {
    fn line(&mut self, name: &[u8], value: &[u8]) {
        self.0 += name.len() + value.len() + 1;
    }
}

/// What is longer is copied faster by the processor's own ways.
const PLAIN: usize = 512;

/// Room for lines, and the least bytes of the values that were copied to it: NUL and line breaks are
/// among the least of all.
struct Copy<'a> {
    room: &'a mut [u8],
    least: u8x16,
}

impl Lines for Copy<'_> {
    #[inline(always)]
    fn line(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len() + value.len() + 1;
        let (line, rest) = core::mem::take(&mut self.room).split_at_mut(len);
        line[..name.len()].copy_from_slice(name);
        line[len - 1] = b'\n';
        self.value(value, &mut line[name.len()..len - 1]);
        self.room = rest;
    }
}

impl Copy<'_> {
    /// In blocks from the front, and one that ends where the value does, over others or not.
    #[inline(always)]
    fn value(&mut self, value: &[u8], mut room: &mut [u8]) {
        if let (Some(end), Some(to)) = (value.last_chunk::<16>(), room.last_chunk_mut()) {
            self.look(*end);
            *to = *end;
            let mut value = value;
            while let (Some((block, rest)), Some((to, more))) =
                (value.split_first_chunk(), room.split_first_chunk_mut())
            {
                self.look(*block);
                *to = *block;
                (value, room) = (rest, more);
            }
        } else if let (Some(front), Some(end)) = (value.first_chunk::<8>(), value.last_chunk::<8>())
        {
            self.look(bytemuck::cast([*front, *end]));
            room[..8].copy_from_slice(front);
            room[value.len() - 8..].copy_from_slice(end);
        } else {
            for (byte, to) in value.iter().zip(room) {
                self.look([*byte; 16]);
                *to = *byte;
            }
        }
    }

    #[inline(always)]
    fn look(&mut self, block: [u8; 16]) {
        self.least = self.least.min(block.into());
    }
}

/// Calls `each` with what stands between the line breaks of `text`.
fn lines(text: &str, mut each: impl FnMut(&[u8])) {
    let mut rest = text.as_bytes();
    while let Some(end) = memchr2(b'\r', b'\n', rest) {
        each(&rest[..end]);
        let crlf = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(crlf)..];
    }
    each(rest);
}

/// `number` in decimal, at most [`u64::MAX`].
fn decimal(number: u128, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = u64::try_from(number).unwrap_or(u64::MAX);
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    fn encoded(event: Event<'_>) -> Vec<u8> {
        let mut tx = SendBuf::new();
        event.encode(&mut tx).unwrap();
        assert_eq!(event.to_bytes().unwrap(), tx.chunk());
        assert_eq!(event.encoded_len(), tx.len());
        tx.chunk().to_vec()
    }

    #[test]
    fn fields_come_in_one_order() {
        let event = Event::data("d").retry(Duration::from_millis(2500)).id("i").event("e");
        let expected = b": c\nevent: e\nid: i\nretry: 2500\ndata: d\n\n";
        assert_eq!(encoded(event.comment("c")), expected);
        assert_eq!(encoded(Event::new()), b"\n");
        assert_eq!(encoded(Event::new().retry(Duration::ZERO)), b"retry: 0\n\n");
        let never = encoded(Event::new().retry(Duration::MAX));
        assert_eq!(never, b"retry: 18446744073709551615\n\n");
    }

    #[test]
    fn each_line_break_begins_a_line() {
        assert_eq!(encoded(Event::data("a\nb\r\nc\rd")), b"data: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(encoded(Event::data("a\n")), b"data: a\ndata: \n\n");
        assert_eq!(encoded(Event::data("\n\r")), b"data: \ndata: \ndata: \n\n");
        assert_eq!(encoded(Event::data("")), b"data: \n\n");
        assert_eq!(encoded(Event::new().comment("a\rdata: b")), b": a\n: data: b\n\n");
    }

    /// Values of all lengths, with each byte at each place: there are two ways, and they agree.
    #[test]
    fn plain_events_are_no_exception() {
        for len in 0..70 {
            for at in 0..len {
                for byte in ['\t', '\n', '\r', '\0', ' ', '\x0E', '\x7F'] {
                    let value: String =
                        (0..len).map(|place| if place == at { byte } else { 'x' }).collect();
                    let broken = matches!(byte, '\n' | '\r');
                    let lines = value.replace(['\n', '\r'], "\ndata: ");
                    let expected = format!("data: {lines}\n\n");
                    assert_eq!(encoded(Event::data(&value)), expected.as_bytes());

                    let typed = Event::data("d").event(&value);
                    match typed.to_bytes() {
                        Ok(bytes) if !broken => {
                            assert_eq!(bytes, format!("event: {value}\ndata: d\n\n"));
                            assert_eq!(bytes, encoded(typed));
                        }
                        other => assert_eq!(other, Err(EncodeError::LineBreakInType(at))),
                    }
                    let named = Event::data("d").id(&value);
                    match named.to_bytes() {
                        Ok(bytes) if !broken && byte != '\0' => {
                            assert_eq!(bytes, format!("id: {value}\ndata: d\n\n"));
                        }
                        Err(EncodeError::NulInId(place)) => assert_eq!((byte, place), ('\0', at)),
                        other => assert_eq!(other, Err(EncodeError::LineBreakInId(at))),
                    }
                }
            }
        }
    }

    #[test]
    fn no_field_can_be_injected() {
        let refused = [
            (Event::data("d").event("a\nid: 9"), EncodeError::LineBreakInType(1)),
            (Event::data("d").event("a\r"), EncodeError::LineBreakInType(1)),
            (Event::data("d").id("12\ndata: x"), EncodeError::LineBreakInId(2)),
            (Event::data("d").id("\r"), EncodeError::LineBreakInId(0)),
            (Event::data("d").id("a\0b"), EncodeError::NulInId(1)),
        ];
        for (event, error) in refused {
            let mut tx = SendBuf::new();
            assert_eq!(event.encode(&mut tx), Err(error));
            assert!(tx.is_empty());
            assert_eq!(event.to_bytes(), Err(error));
        }
    }
}
