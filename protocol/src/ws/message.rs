//! Reassembly of messages (RFC 6455, 5.4; RFC 7692, 7.2.2) in the receive buffer.
//!
//! ```text
//!   as it is:     content: "Hel"   hole: header   raw: "lo" ...   =>   content: "Hello"   raw: ...
//!   compressed:   raw  --unmask-->  content  --inflate-->  inflated: "Hello"
//! ```
//!
//! Payload is unmasked where it lies. What is compressed becomes content for a moment only, and is
//! inflated as it arrives, so that a limit or a bad byte is met before the rest has come. Text is
//! validated piece by piece, so that the connection fails at the first bad byte (8.1); only a message
//! that one read brought in one frame is left to the call that lends it, which has to look at it anyway.

use super::config::Delivery;
use super::deflate::Inflater;
use super::error::ProtocolErrorKind as Kind;
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, OpCode};
use super::mask::{self, Key};
use crate::RecvBuf;
use crate::utf8::Utf8;
use alloc::boxed::Box;

/// How much of a streamed message is inflated at a time, in bytes.
const PIECE: usize = 16 << 10;

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Arbitrary bytes.
    Binary,
}

impl MessageKind {
    pub(super) const fn of(opcode: OpCode) -> Self {
        if matches!(opcode, OpCode::Text) { Self::Text } else { Self::Binary }
    }
}

/// Where received payload lies until it is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    Content,
    Inflated,
}

impl Area {
    #[inline]
    pub(super) fn of(self, rx: &RecvBuf) -> &[u8] {
        match self {
            Self::Content => rx.content(),
            Self::Inflated => rx.inflated(),
        }
    }

    #[inline]
    pub(super) fn consume(self, n: usize, rx: &mut RecvBuf) {
        match self {
            Self::Content => rx.consume(n),
            Self::Inflated => rx.consume_inflated(n),
        }
    }
}

/// Takes a message that is one frame, all of whose payload is there and goes as it is, if this is one.
/// Its header was checked and skipped. Most messages are such, and text is left to be validated when it
/// is lent.
#[inline]
pub(super) fn take_whole(header: &Header, rx: &mut RecvBuf) -> bool {
    let len = header.payload as usize;
    if !header.fin || header.rsv1 || header.opcode == OpCode::Continuation || rx.raw().len() < len {
        return false;
    }
    if let Some(key) = header.mask {
        mask::in_place(&mut rx.raw_mut()[..len], key, 0);
    }
    rx.keep(len);
    true
}

/// The message that is being received.
#[derive(Debug)]
pub(super) struct Assembler {
    delivery: Delivery,
    max_message: u64,
    inflater: Option<Box<Inflater>>,
    /// The message, from its first frame to its last.
    message: Option<Message>,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    kind: MessageKind,
    area: Area,
    /// How many bytes of it have come or were announced; inflated ones if it is compressed.
    len: u64,
    /// What of it has been validated, if it is a text and validated as it arrives.
    utf8: Option<Utf8>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    key: Option<Key>,
    received: u64,
    missing: u64,
    /// The message ends with it and is inflated to its end.
    inflated: bool,
}

/// What became of the raw bytes that an [`Assembler`] was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// The frame goes on.
    Partial,
    /// The frame is complete, the message goes on.
    Fragment,
    /// The message is complete: it is all that the area holds.
    Message(MessageKind, Area),
    /// The area begins with so many bytes that can be lent; only if messages are streamed.
    Chunk(Area, usize),
    /// The message that was streamed is complete.
    End,
}

/// What is wrong, and at which of the raw bytes.
type Fault = (Kind, usize);

impl Assembler {
    pub(super) fn new(delivery: Delivery, max_message: usize, inflater: Option<Inflater>) -> Self {
        let max_message = if max_message == usize::MAX { u64::MAX } else { max_message as u64 };
        let inflater = inflater.map(Box::new);
        Self { delivery, max_message, inflater, message: None, frame: None }
    }

    /// Whether a frame's payload is arriving, so that raw bytes are for [`fill`](Self::fill).
    #[inline]
    pub(super) const fn is_filling(&self) -> bool {
        self.frame.is_some()
    }

    /// Whether the next frame begins a message that is to be lent whole.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.message.is_none() && !self.is_streaming()
    }

    /// Whether the message that is being received is compressed.
    pub(super) fn is_inflating(&self) -> bool {
        self.message.is_some_and(|message| message.area == Area::Inflated)
    }

    #[inline]
    pub(super) fn is_streaming(&self) -> bool {
        self.delivery == Delivery::Streaming
    }

    /// Judges the header of a data frame, before anything of its payload is buffered for it: too big
    /// is too big by its announcement.
    #[inline]
    pub(super) fn check(&self, header: &Header, rx: &RecvBuf) -> Result<(), Kind> {
        let continues = header.opcode == OpCode::Continuation;
        let (len, area) = match (continues, &self.message) {
            (true, None) => return Err(Kind::OrphanContinuation),
            (false, Some(_)) => return Err(Kind::InterleavedMessage),
            (true, Some(message)) => (message.len, message.area),
            (false, None) => (0, if header.rsv1 { Area::Inflated } else { Area::Content }),
        };
        if area == Area::Inflated {
            // How much it is shows when it is inflated.
            return Ok(());
        }
        if self.max_message.checked_sub(len).is_none_or(|room| header.payload > room) {
            return Err(Kind::MessageTooBig);
        }
        if self.delivery == Delivery::Whole {
            // A message that goes on must leave room for the control frames in its midst.
            let reserve = if header.fin { 0 } else { MAX_HEADER + MAX_CONTROL };
            let room = rx.limit().saturating_sub(reserve);
            if room.checked_sub(rx.content().len()).is_none_or(|room| header.payload > room as u64)
            {
                return Err(Kind::MessageTooBig);
            }
        }
        Ok(())
    }

    /// Begins to take the payload of a data frame whose header was checked and skipped. Returns
    /// whether a message begins with it.
    pub(super) fn begin(&mut self, header: &Header, rx: &RecvBuf) -> bool {
        let begins = header.opcode != OpCode::Continuation;
        if begins {
            let kind = MessageKind::of(header.opcode);
            let at_once = header.fin && rx.raw().len() as u64 >= header.payload;
            let later = kind == MessageKind::Binary || at_once && !self.is_streaming();
            self.message = Some(Message {
                kind,
                area: if header.rsv1 { Area::Inflated } else { Area::Content },
                len: 0,
                utf8: if later { None } else { Some(Utf8::new()) },
            });
        }
        if let Some(Message { area: Area::Content, len, .. }) = &mut self.message {
            *len += header.payload;
        }
        let (fin, key) = (header.fin, header.mask);
        self.frame =
            Some(Frame { fin, key, received: 0, missing: header.payload, inflated: false });
        begins
    }

    /// Takes what there is of the frame's payload.
    pub(super) fn fill(&mut self, rx: &mut RecvBuf) -> Result<Fill, Fault> {
        let (streaming, before) = (self.is_streaming(), rx.raw().len());
        let (Some(message), Some(frame)) = (&mut self.message, &mut self.frame) else {
            return Ok(Fill::Partial);
        };
        let done = match (message.area, &mut self.inflater) {
            (Area::Inflated, Some(inflater)) => {
                // Whole messages are bounded by the buffer, plain ones and these alike.
                let limit = if streaming { u64::MAX } else { rx.limit() as u64 };
                let max = self.max_message.min(limit);
                inflate(message, frame, inflater, max, streaming, rx).map_err(|kind| (kind, 0))?
            }
            _ => message.take(frame, rx)?,
        };
        if streaming {
            let ready = message.area.of(rx).len() - message.utf8.map_or(0, Utf8::held);
            if ready > 0 {
                return Ok(Fill::Chunk(message.area, ready));
            }
        }
        if !done {
            return Ok(Fill::Partial);
        }
        let fin = frame.fin;
        self.frame = None;
        if !fin {
            return Ok(Fill::Fragment);
        }
        if message.utf8.is_some_and(|utf8| !utf8.is_complete()) {
            return Err((Kind::InvalidUtf8, before - rx.raw().len()));
        }
        let (kind, area) = (message.kind, message.area);
        self.message = None;
        Ok(if streaming { Fill::End } else { Fill::Message(kind, area) })
    }

    /// Drops what was received of a message: the peer will not end it.
    pub(super) fn abandon(&mut self, rx: &mut RecvBuf) {
        self.message = None;
        self.frame = None;
        rx.consume(rx.content().len());
        rx.consume_inflated(rx.inflated().len());
    }

    /// Gives memory back that is only needed while messages are inflated.
    pub(super) fn shrink(&mut self) {
        if let (Some(inflater), None) = (&mut self.inflater, &self.message) {
            inflater.shrink();
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        self.inflater.as_ref().map_or(0, |inflater| size_of::<Inflater>() + inflater.heap_size())
    }
}

impl Message {
    /// Takes payload that goes as it is. Returns whether the frame is complete.
    fn take(&mut self, frame: &mut Frame, rx: &mut RecvBuf) -> Result<bool, Fault> {
        let piece = frame.take(rx);
        self.validate(piece).map_err(|at| (Kind::InvalidUtf8, at))?;
        Ok(frame.missing == 0)
    }

    /// Which of two faults is the first: the one behind what was `inflated`, or one in that if it is a
    /// text that was left to be validated when it is lent.
    #[cold]
    fn first_fault(&self, behind: Kind, inflated: &[u8]) -> Kind {
        let left = self.kind == MessageKind::Text && self.utf8.is_none();
        if left && Utf8::new().push(inflated).is_err() { Kind::InvalidUtf8 } else { behind }
    }

    /// Looks at the next piece of it. The error is the first bad byte.
    fn validate(&mut self, piece: &[u8]) -> Result<(), usize> {
        self.utf8.as_mut().map_or(Ok(()), |utf8| utf8.push(piece))
    }
}

impl Frame {
    /// Keeps what there is of its payload, unmasked, and returns that.
    fn take<'a>(&mut self, rx: &'a mut RecvBuf) -> &'a [u8] {
        let start = rx.content().len();
        let n = rx.raw().len().min(usize::try_from(self.missing).unwrap_or(usize::MAX));
        rx.keep(n);
        let piece = &mut rx.content_mut()[start..];
        if let Some(key) = self.key {
            mask::in_place(piece, key, self.received);
        }
        self.received += n as u64;
        self.missing -= n as u64;
        piece
    }
}

/// Inflates what there is of the frame's payload, or as much of it as one piece of a streamed message.
/// Returns whether the frame is complete and nothing of it left to inflate.
fn inflate(
    message: &mut Message,
    frame: &mut Frame,
    inflater: &mut Inflater,
    max_message: u64,
    streaming: bool,
    rx: &mut RecvBuf,
) -> Result<bool, Kind> {
    if rx.content().is_empty() {
        frame.take(rx);
    }
    while !frame.inflated {
        let before = rx.inflated().len();
        // The caller may have lowered the buffer's limit meanwhile.
        let Some(room) = max_message.checked_sub(message.len) else {
            return Err(Kind::MessageTooBig);
        };
        // One byte above the limit tells that there are more.
        let room = usize::try_from(room.saturating_add(1)).unwrap_or(usize::MAX);
        let room = if streaming { room.min(PIECE.saturating_sub(before)) } else { room };
        if room == 0 {
            return Ok(false);
        }
        let (input, more) = (rx.content().len(), inflater.has_more());
        let ends = input == 0 && frame.missing == 0;
        if input == 0 && !more && !(ends && frame.fin) {
            return Ok(ends);
        }
        // Twice is enough for most, and what grows doubles.
        let min = input.saturating_mul(2).clamp(64, PIECE).min(room);
        let (input, output) = rx.content_and_spare(min, before.saturating_add(room));
        let limit = output.len().min(room);
        let output = &mut output[..limit];
        let inflated = if ends && frame.fin {
            inflater.finish(output).map(|(written, done)| {
                frame.inflated = done;
                (0, written)
            })
        } else {
            inflater.inflate(input, output)
        };
        // It neither reads nor writes although there is room: it never will.
        let stuck = |inflated: &_| *inflated == (0, 0) && !more && !frame.inflated;
        let Some((read, written)) = inflated.ok().filter(|inflated| !stuck(inflated)) else {
            return Err(message.first_fault(Kind::InvalidDeflate, rx.inflated()));
        };
        rx.consume(read);
        rx.commit_inflated(written);
        message.len += written as u64;
        let above = usize::from(message.len > max_message);
        let fits = &rx.inflated()[..before + written - above];
        message.validate(&fits[before..]).map_err(|_| Kind::InvalidUtf8)?;
        if above > 0 {
            return Err(message.first_fault(Kind::MessageTooBig, fits));
        }
    }
    Ok(true)
}
