//! Frames on their way out.

use super::frame::{Header, MAX_HEADER, OpCode};
use super::mask;
use crate::seed::Entropy;
use crate::{Seed, SendBuf};
use bytes::Bytes;

/// Encodes frames, and masks them if this side is the client: with a fresh key for each frame, drawn
/// from a generator that nobody can predict (RFC 6455, 5.3).
#[derive(Debug)]
pub(super) struct Sender {
    keys: Option<Entropy>,
}

impl Sender {
    pub(super) fn client(seed: &Seed) -> Self {
        Self { keys: Some(Entropy::new(seed)) }
    }

    pub(super) const fn server() -> Self {
        Self { keys: None }
    }

    /// Appends a frame, in one pass over its payload.
    #[inline]
    pub(super) fn frame(&mut self, opcode: OpCode, payload: &[u8], tx: &mut SendBuf) {
        let header = self.header(opcode, payload.len());
        let spare = tx.spare(MAX_HEADER + payload.len());
        let start = encode(&header, spare);
        let room = &mut spare[start..start + payload.len()];
        match header.mask {
            Some(key) => mask::copy(room, payload, key),
            None => room.copy_from_slice(payload),
        }
        tx.commit(start + payload.len());
    }

    /// Appends a frame without copying its payload, if it is large and needs no mask.
    pub(super) fn shared(&mut self, opcode: OpCode, payload: &Bytes, tx: &mut SendBuf) {
        if self.keys.is_some() {
            return self.frame(opcode, payload, tx);
        }
        let header = self.header(opcode, payload.len());
        let len = encode(&header, tx.spare(MAX_HEADER));
        tx.commit(len);
        tx.append_shared(payload);
    }

    #[inline]
    fn header(&mut self, opcode: OpCode, payload: usize) -> Header {
        let mask = self.keys.as_mut().map(Entropy::mask_key);
        Header { fin: true, opcode, rsv1: false, mask, payload: payload as u64 }
    }
}

#[inline]
fn encode(header: &Header, out: &mut [u8]) -> usize {
    match out.first_chunk_mut() {
        Some(out) => header.encode(out),
        None => unreachable!("room for the longest header was asked for"),
    }
}
