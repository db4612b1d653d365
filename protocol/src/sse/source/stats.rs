//! What an `EventSource` has received, counted.

/// What an [`EventSource`](super::EventSource) has done so far, on all of its connections: counters that
/// only grow. Bytes are whoever moves them's to count: see
/// [`RecvBuf::received`](crate::RecvBuf::received).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStats {
    /// Events that were dispatched (WHATWG HTML, 9.2.6): before they are lent.
    pub events: u64,
    /// Attempts that have become due, redirects included.
    pub attempts: u64,
    /// Streams that were opened after the first.
    pub reconnects: u64,
}
