//! How much a peer may send.

/// Limits on what is not payload. They are checked before anything beyond them is buffered.
///
/// ```
/// let limits = tidewire::http::Limits { head: 8 * 1024, ..Default::default() };
/// assert_eq!(limits.headers, 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a head, from the first byte of its start line to its empty line. The
    /// receive buffer's own limit must be no smaller. Default: 16 KiB.
    pub head: usize,
    /// The most header lines of a head, and the most trailer lines of a body. Default: 100.
    pub headers: usize,
    /// The most bytes of a line that announces a chunk, its extensions and CRLF included.
    /// Default: 1 KiB.
    pub chunk_line: usize,
    /// The most bytes of the trailer section of a body. Default: 4 KiB.
    pub trailers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 16 * 1024, headers: 100, chunk_line: 1024, trailers: 4096 }
    }
}
