//! Frames on their way out.

use super::MessageKind;
use super::deflate::Deflater;
use super::error::SendError;
use super::frame::{Header, MAX_HEADER, OpCode};
use super::mask;
use super::stats::{Counter, Traffic};
use crate::seed::Entropy;
use crate::utf8::Utf8;
use crate::{Seed, SendBuf};
use alloc::boxed::Box;
use bytes::Bytes;

/// Encodes messages and control frames.
#[derive(Debug)]
pub(super) struct Sender {
    framer: Framer,
    deflater: Option<Box<Deflater>>,
    fragmented: Option<Fragmented>,
    sent: Counter,
}

/// Encodes frames, and masks them if this side is the client: with a fresh key for each frame, drawn
/// from a generator that nobody can predict (RFC 6455, 5.3).
#[derive(Debug)]
struct Framer {
    // On the heap, since a server has none and many connections.
    keys: Option<Box<Entropy>>,
}

/// A message that leaves in fragments (5.4).
#[derive(Clone, Copy, Debug)]
struct Fragmented {
    /// What its next frame is.
    opcode: OpCode,
    /// What of it was sent, if it is text.
    utf8: Option<Utf8>,
}

impl Sender {
    pub(super) fn client(seed: &Seed, deflater: Option<Deflater>) -> Self {
        Self::new(Some(Box::new(Entropy::new(seed))), deflater)
    }

    pub(super) fn server(deflater: Option<Deflater>) -> Self {
        Self::new(None, deflater)
    }

    fn new(keys: Option<Box<Entropy>>, deflater: Option<Deflater>) -> Self {
        Self {
            framer: Framer { keys },
            deflater: deflater.map(Box::new),
            fragmented: None,
            sent: Counter::default(),
        }
    }

    /// Whether a message in fragments has begun and not ended.
    #[inline]
    pub(super) const fn is_fragmenting(&self) -> bool {
        self.fragmented.is_some()
    }

    /// What was appended so far.
    pub(super) fn sent(&self) -> Traffic {
        self.sent.traffic()
    }

    /// Appends a control frame.
    #[inline]
    pub(super) fn control(&mut self, opcode: OpCode, payload: &[u8], tx: &mut SendBuf) {
        self.sent.control(opcode);
        self.framer.frame(opcode, true, false, payload, tx);
    }

    /// Appends a message in one frame, in one pass over its payload unless it is compressed.
    #[inline]
    pub(super) fn message(&mut self, opcode: OpCode, payload: &[u8], tx: &mut SendBuf) {
        self.sent.whole();
        match &mut self.deflater {
            Some(deflater) if deflater.is_worth(payload.len()) => {
                self.framer.frame(opcode, true, true, deflater.deflate(payload, true), tx);
            }
            _ => self.framer.frame(opcode, true, false, payload, tx),
        }
    }

    /// Appends a message without copying its payload, if that is large, and goes as it is.
    pub(super) fn shared(&mut self, opcode: OpCode, payload: &Bytes, tx: &mut SendBuf) {
        let deflates = self.deflater.as_ref().is_some_and(|it| it.is_worth(payload.len()));
        if deflates || self.framer.keys.is_some() {
            return self.message(opcode, payload, tx);
        }
        self.sent.whole();
        let header = self.framer.header(opcode, true, false, payload.len());
        let len = encode(&header, tx.spare(MAX_HEADER));
        tx.commit(len);
        tx.append_shared(payload);
    }

    /// Begins a message in fragments; there must be none.
    pub(super) fn start(&mut self, kind: MessageKind) {
        self.fragmented = Some(match kind {
            MessageKind::Text => Fragmented { opcode: OpCode::Text, utf8: Some(Utf8::new()) },
            MessageKind::Binary => Fragmented { opcode: OpCode::Binary, utf8: None },
        });
    }

    /// Appends the next fragment, or the last. An error changes nothing.
    pub(super) fn fragment(
        &mut self,
        payload: &[u8],
        fin: bool,
        tx: &mut SendBuf,
    ) -> Result<(), SendError> {
        let Some(mut fragmented) = self.fragmented else { return Err(SendError::NotStarted) };
        if let Some(utf8) = &mut fragmented.utf8 {
            utf8.push(payload).map_err(|_| SendError::NotUtf8)?;
            if fin && !utf8.is_complete() {
                return Err(SendError::NotUtf8);
            }
        }
        if payload.is_empty() && !fin {
            return Ok(());
        }
        self.sent.fragment();
        if fin {
            self.sent.message();
        }
        let opcode = core::mem::replace(&mut fragmented.opcode, OpCode::Continuation);
        let begins = opcode != OpCode::Continuation;
        match &mut self.deflater {
            Some(deflater) => {
                let payload = deflater.deflate(payload, fin);
                self.framer.frame(opcode, fin, begins, payload, tx);
            }
            None => self.framer.frame(opcode, fin, false, payload, tx),
        }
        self.fragmented = Some(fragmented).filter(|_| !fin);
        Ok(())
    }

    /// Gives memory back that is only needed while messages are compressed.
    pub(super) fn shrink(&mut self) {
        if let (Some(deflater), None) = (&mut self.deflater, &self.fragmented) {
            deflater.shrink();
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        let keys = self.framer.keys.as_ref().map_or(0, |_| size_of::<Entropy>());
        let deflater =
            self.deflater.as_ref().map_or(0, |it| size_of::<Deflater>() + it.heap_size());
        keys + deflater
    }
}

impl Framer {
    #[inline]
    fn frame(&mut self, opcode: OpCode, fin: bool, rsv1: bool, payload: &[u8], tx: &mut SendBuf) {
        let header = self.header(opcode, fin, rsv1, payload.len());
        let spare = tx.spare(MAX_HEADER + payload.len());
        let start = encode(&header, spare);
        let room = &mut spare[start..start + payload.len()];
        match header.mask {
            Some(key) => mask::copy(room, payload, key),
            None => room.copy_from_slice(payload),
        }
        tx.commit(start + payload.len());
    }

    #[inline]
    fn header(&mut self, opcode: OpCode, fin: bool, rsv1: bool, payload: usize) -> Header {
        let mask = self.keys.as_deref_mut().map(Entropy::mask_key);
        Header { fin, opcode, rsv1, mask, payload: payload as u64 }
    }
}

#[inline]
fn encode(header: &Header, out: &mut [u8]) -> usize {
    match out.first_chunk_mut() {
        Some(out) => header.encode(out),
        None => unreachable!("room for the longest header was asked for"),
    }
}
