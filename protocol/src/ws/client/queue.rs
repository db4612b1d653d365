//! What is sent while there is no connection.

use crate::ws::frame::OpCode;
use crate::ws::{SendError, WhileDown};
use alloc::collections::VecDeque;
use bytes::Bytes;

/// What was sent while there was no open connection.
#[derive(Debug, Default)]
pub(super) struct Queue {
    frames: VecDeque<(OpCode, Bytes)>,
    bytes: usize,
    dropped: u64,
    /// How many of those the caller was told of.
    told: u64,
    /// [`SendError::Full`] was returned.
    full: bool,
}

/// What a [`Client`](super::Client) keeps for a connection to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Backlog {
    /// How many messages, pings and pongs.
    pub messages: usize,
    /// How many bytes they count, as [`WhileDown`] counts them.
    pub bytes: usize,
    /// How many [`WhileDown::DropOldest`] has dropped since the client was made.
    pub dropped: u64,
}

impl Queue {
    /// Keeps a frame, or does what `while_down` says instead.
    pub(super) fn push(
        &mut self,
        opcode: OpCode,
        payload: impl FnOnce() -> Bytes,
        while_down: WhileDown,
    ) -> Result<(), SendError> {
        match while_down {
            WhileDown::Refuse => return Err(SendError::NotOpen),
            WhileDown::Queue { bytes } => {
                if self.bytes >= bytes && !self.frames.is_empty() {
                    self.full = true;
                    return Err(SendError::Full);
                }
            }
            WhileDown::DropOldest { bytes } => {
                while self.bytes >= bytes {
                    let Some((_, oldest)) = self.frames.pop_front() else { break };
                    self.bytes -= cost(&oldest);
                    self.dropped += 1;
                }
            }
        }
        let payload = payload();
        self.bytes += cost(&payload);
        self.frames.push_back((opcode, payload));
        Ok(())
    }

    /// Everything, in order.
    pub(super) fn take(&mut self) -> VecDeque<(OpCode, Bytes)> {
        self.bytes = 0;
        core::mem::take(&mut self.frames)
    }

    /// Whether [`SendError::Full`] was returned since the last call.
    pub(super) const fn take_full(&mut self) -> bool {
        core::mem::replace(&mut self.full, false)
    }

    /// How many were dropped since the last call, if any were.
    pub(super) fn untold(&mut self) -> Option<u64> {
        let untold = self.dropped - self.told;
        self.told = self.dropped;
        Some(untold).filter(|&untold| untold > 0)
    }

    /// Forgets everything, but not how much was dropped before.
    pub(super) fn clear(&mut self) {
        *self = Self { dropped: self.dropped, told: self.dropped, ..Self::default() };
    }

    pub(super) fn backlog(&self) -> Backlog {
        Backlog { messages: self.frames.len(), bytes: self.bytes, dropped: self.dropped }
    }
}

/// An empty message takes room as well.
fn cost(payload: &Bytes) -> usize {
    size_of::<(OpCode, Bytes)>() + payload.len()
}
