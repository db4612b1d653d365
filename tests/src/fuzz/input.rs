//! Inputs that say what to do, and what the HTTP bodies among them have in common.

use super::http::SPANS;
use tidewire::http::{BodyLength, Status};
use tidewire::{RecvBuf, SendBuf};

/// What one event of a machine may write by itself: an interim response, or a refusal.
pub(super) const BY_ITSELF: u64 = 200;

pub(super) const BUFFER: usize = 1200;

/// A list of fields.
pub(super) type Fields = &'static [(&'static str, &'static str)];

/// Trailers, some of which may not be sent.
pub(super) const TRAILERS: [Fields; 4] = [
    &[],
    &[("X-Sum", "1"), ("x-sum", "2")],
    &[("X-Sum", "1"), ("Content-Length", "5")],
    &[("X-Sum", "1\r\nX: 2")],
];

/// An input, taken from its front. Behind its end there are zeros.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    /// The next `n` bytes, or as many as there are.
    pub(super) fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A call: which, and with what.
    pub(super) fn call(&mut self) -> Option<(u8, usize)> {
        (!self.0.is_empty()).then(|| (self.byte(), usize::from(self.byte())))
    }
}

pub(super) const fn length(with: usize) -> BodyLength {
    match with % 4 {
        0 => BodyLength::EMPTY,
        1 => BodyLength::Known(5),
        2 => BodyLength::Known(300),
        _ => BodyLength::Unknown,
    }
}

/// Whether a response of this status to such a request has no body, whatever it announces.
pub(super) fn is_bodiless(status: Status, to_head: bool) -> bool {
    to_head || status == Status::NOT_MODIFIED
}

pub(super) fn check_heap(rx: &RecvBuf) {
    assert!(rx.heap_size() <= rx.limit() + rx.limit() / 4 + SPANS, "more memory than the limits");
}

/// How much has been written into `tx` so far.
pub(super) fn written(tx: &SendBuf) -> u64 {
    tx.taken() + tx.len() as u64
}

/// Moves up to `most` bytes out of `tx`.
pub(super) fn take(tx: &mut SendBuf, mut most: usize, output: &mut Vec<u8>) {
    while most > 0 && !tx.is_empty() {
        let n = tx.chunk().len().min(most);
        output.extend_from_slice(&tx.chunk()[..n]);
        tx.consume(n);
        most -= n;
    }
}
