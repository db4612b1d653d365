//! Reassembly of messages (RFC 6455, 5.4) in the content region of the receive buffer.
//!
//! ```text
//!   content: "Hel"   hole: header   raw: "lo" ...   =>   content: "Hello"   raw: ...
//! ```
//!
//! Payload is unmasked where it lies. Text is validated piece by piece as it arrives, so that the
//! connection fails at the first bad byte (8.1); only a message that one read brought in one frame
//! is left to the call that lends it, which has to look at it anyway.

use super::error::ProtocolErrorKind as Kind;
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, OpCode};
use super::mask::{self, Key};
use crate::RecvBuf;
use crate::utf8::Utf8;

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Arbitrary bytes.
    Binary,
}

impl MessageKind {
    const fn of(opcode: OpCode) -> Self {
        if matches!(opcode, OpCode::Text) { Self::Text } else { Self::Binary }
    }
}

/// Takes a message that is one frame, all of whose payload is there, if this is one. Its header was
/// checked and skipped. Most messages are such, and text is left to be validated when it is lent.
#[inline]
pub(super) fn take_whole(header: &Header, rx: &mut RecvBuf) -> Option<Message> {
    let len = header.payload as usize;
    if !header.fin || header.opcode == OpCode::Continuation || rx.raw().len() < len {
        return None;
    }
    if let Some(key) = header.mask {
        mask::in_place(&mut rx.raw_mut()[..len], key, 0);
    }
    rx.keep(len);
    Some(Message { kind: MessageKind::of(header.opcode), rsv1: header.rsv1 })
}

/// The message that is being received.
#[derive(Debug)]
pub(super) struct Assembler {
    /// Its kind, from its first frame to its last.
    message: Option<MessageKind>,
    /// Its first frame's RSV1: whether an extension transformed it.
    rsv1: bool,
    /// What of it has been validated, if it is text.
    utf8: Utf8,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    key: Option<Key>,
    received: u64,
    /// Bytes to come; they fit the buffer, or the header would have been refused.
    missing: usize,
}

/// What became of the raw bytes that an [`Assembler`] was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// The frame goes on.
    Partial,
    /// The frame is complete, the message goes on.
    Fragment,
    /// The message is complete: it is the content of the receive buffer.
    Message(Message),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: MessageKind,
    /// Whether an extension has to transform it back.
    pub(super) rsv1: bool,
}

impl Assembler {
    pub(super) const fn new() -> Self {
        Self { message: None, rsv1: false, utf8: Utf8::new(), frame: None }
    }

    /// Whether a frame's payload is arriving, so that raw bytes are for [`fill`](Self::fill).
    #[inline]
    pub(super) const fn is_filling(&self) -> bool {
        self.frame.is_some()
    }

    /// Judges the header of a data frame, before anything of its payload is buffered for it: too big
    /// is too big by its announcement.
    #[inline]
    pub(super) fn check(
        &self,
        header: &Header,
        max_message: usize,
        rx: &RecvBuf,
    ) -> Result<(), Kind> {
        let continues = header.opcode == OpCode::Continuation;
        match (continues, self.message) {
            (true, None) => return Err(Kind::OrphanContinuation),
            (false, Some(_)) => return Err(Kind::InterleavedMessage),
            _ => {}
        }
        // A message that goes on must leave room for the control frames in its midst.
        let reserve = if header.fin { 0 } else { MAX_HEADER + MAX_CONTROL };
        let room = max_message.min(rx.limit().saturating_sub(reserve));
        let missing = usize::try_from(header.payload).map_err(|_| Kind::MessageTooBig)?;
        if room.checked_sub(rx.content().len()).is_none_or(|room| missing > room) {
            return Err(Kind::MessageTooBig);
        }
        Ok(())
    }

    /// Begins to take the payload of a data frame whose header was checked and skipped.
    pub(super) fn begin(&mut self, header: &Header) {
        if header.opcode != OpCode::Continuation {
            self.message = Some(MessageKind::of(header.opcode));
            self.rsv1 = header.rsv1;
            self.utf8 = Utf8::new();
        }
        let missing = header.payload as usize;
        let (fin, key) = (header.fin, header.mask);
        self.frame = Some(Frame { fin, key, received: 0, missing });
    }

    /// Takes what there is of the frame's payload. The error says at which of the raw bytes it is.
    pub(super) fn fill(&mut self, rx: &mut RecvBuf) -> Result<Fill, (Kind, usize)> {
        let (Some(kind), Some(frame)) = (self.message, self.frame.as_mut()) else {
            return Ok(Fill::Partial);
        };
        let start = rx.content().len();
        let n = frame.missing.min(rx.raw().len());
        rx.keep(n);
        let piece = &mut rx.content_mut()[start..];
        if let Some(key) = frame.key {
            mask::in_place(piece, key, frame.received);
        }
        let text = kind == MessageKind::Text && !self.rsv1;
        if text {
            self.utf8.push(piece).map_err(|at| (Kind::InvalidUtf8, at))?;
        }
        frame.received += n as u64;
        frame.missing -= n;
        if frame.missing > 0 {
            return Ok(Fill::Partial);
        }
        let fin = frame.fin;
        self.frame = None;
        if !fin {
            return Ok(Fill::Fragment);
        }
        if text && !self.utf8.is_complete() {
            return Err((Kind::InvalidUtf8, n));
        }
        self.message = None;
        Ok(Fill::Message(Message { kind, rsv1: self.rsv1 }))
    }
}
