//! What is sent while there is no connection.

use crate::ws::SendError;
use crate::ws::frame::OpCode;
use alloc::collections::VecDeque;
use bytes::Bytes;

/// What was sent while there was no open connection.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) frames: VecDeque<(OpCode, Bytes)>,
    bytes: usize,
    /// [`SendError::Full`] was returned.
    pub(super) full: bool,
}

impl Queue {
    /// Keeps a frame, unless `high_water` bytes are kept.
    pub(super) fn push(
        &mut self,
        opcode: OpCode,
        payload: impl FnOnce() -> Bytes,
        high_water: usize,
    ) -> Result<(), SendError> {
        if self.bytes >= high_water && !self.frames.is_empty() {
            self.full = true;
            return Err(SendError::Full);
        }
        let payload = payload();
        // An empty message takes room as well.
        self.bytes += size_of::<(OpCode, Bytes)>() + payload.len();
        self.frames.push_back((opcode, payload));
        Ok(())
    }
}
