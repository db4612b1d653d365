//! What went over connections, counted: readable at any time, for whoever draws graphs of it.

use std::sync::atomic::{AtomicU64, Ordering};
use tidewire::{sse, ws};

/// Bytes that went through a transport, or through all that a client has had, one after the other:
/// heads, framing and what was discarded included, TLS not. The counts only grow, but for `queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transferred {
    /// Bytes that were read.
    pub received: u64,
    /// Bytes that the operating system took. What was still queued when a connection broke is not
    /// among them.
    pub sent: u64,
    /// Bytes that wait to be written now.
    pub queued: usize,
}

/// What a [`WebSocket`](crate::WebSocket) or [`Client`](crate::Client) has sent and received.
///
/// ```no_run
/// # use tidewire_runtime::{Runtime, WebSocket};
/// # fn example<R: Runtime>(socket: &WebSocket<R>) {
/// let stats = socket.stats();
/// println!(
///     "{} messages in {} bytes, {} bytes wait, {:?} to the peer and back",
///     stats.ws.sent.messages, stats.bytes.sent, stats.bytes.queued, stats.ws.round_trip,
/// );
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes, of all connections.
    pub bytes: Transferred,
    /// Frames, messages, pings and pongs, round trip, reconnections.
    pub ws: ws::Stats,
}

/// What an [`EventSource`](crate::EventSource) has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStats {
    /// Bytes, of all connections.
    pub bytes: Transferred,
    /// Events, attempts, reconnections.
    pub sse: sse::SourceStats,
}

/// What a [`Server`](crate::Server) has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that are open now, those that became a WebSocket or another protocol among them.
    pub open: usize,
    /// Connections that were accepted and are or were served.
    pub accepted: u64,
    /// Connections that were accepted and closed at once, for a limit of
    /// [`ServerConfig`](crate::ServerConfig).
    pub refused: u64,
    /// Requests whose head was read, upgrades among them.
    pub requests: u64,
}

/// The counters of a server, written by all of its tasks.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    requests: AtomicU64,
}

impl Counters {
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed at once.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self, open: usize) -> ServerStats {
        ServerStats {
            open,
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }
}
