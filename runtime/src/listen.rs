//! Where a server's connections come from, and how long to wait when none can be had.

use crate::runtime::Runtime;
use futures_core::Stream as Connections;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// A connection that has come in, and its client's address if it has one.
pub(crate) type Accepted<R> = (<R as Runtime>::Stream, Option<SocketAddr>);

/// Connections that somebody else accepts.
pub(crate) type BoxConnections<R> =
    Pin<Box<dyn Connections<Item = io::Result<Accepted<R>>> + Send>>;

/// Where connections come from.
pub(crate) enum Source<R: Runtime> {
    Listener(R::Listener),
    // The lock is never taken: it makes a server `Sync` whose streams are not.
    Connections(Mutex<BoxConnections<R>>),
}

/// All sources of a server, asked in turn.
pub(crate) struct Incoming<R: Runtime> {
    runtime: R,
    sources: Vec<(Source<R>, Option<R::Accept>)>,
    /// Who is asked first: one that always has something leaves the others theirs.
    turn: usize,
}

impl<R: Runtime> Incoming<R> {
    pub(crate) fn new(runtime: R, sources: Vec<Source<R>>) -> Self {
        let sources = sources.into_iter().map(|source| (source, None)).collect();
        Self { runtime, sources, turn: 0 }
    }

    /// The next connection. Ready with `None` once all sources have ended, which listeners never do.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Accepted<R>>>> {
        let mut asked = 0;
        while asked < self.sources.len() {
            let at = self.turn % self.sources.len();
            let (source, accept) = &mut self.sources[at];
            let polled = match source {
                Source::Listener(listener) => {
                    let accepting = accept.get_or_insert_with(|| self.runtime.accept(listener));
                    let polled = Pin::new(accepting).poll(cx);
                    if polled.is_ready() {
                        *accept = None;
                    }
                    polled.map_ok(|(stream, peer)| (stream, Some(peer))).map(Some)
                }
                Source::Connections(connections) => {
                    let connections = connections.get_mut().unwrap_or_else(PoisonError::into_inner);
                    connections.as_mut().poll_next(cx)
                }
            };
            match polled {
                Poll::Ready(None) => drop(self.sources.remove(at)),
                polled => {
                    self.turn = at + 1;
                    if polled.is_ready() {
                        return polled;
                    }
                    asked += 1;
                }
            }
        }
        if self.sources.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// How long to wait before accepting again, after the operating system refused: most often because the
/// process, or the whole system, has no file descriptor left. That ends when connections end, and
/// trying meanwhile is work for nothing.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(5);
    const MAX: Duration = Duration::from_secs(1);

    /// Twice as long each time.
    pub(crate) fn next(&mut self) -> Duration {
        self.0 = (self.0 * 2).clamp(Self::FIRST, Self::MAX);
        self.0
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.0 = Duration::ZERO;
    }
}

/// Whether accepting failed for this one client, and may work at once for the next. What has gone wrong on
/// its connection meanwhile is told here too, by Linux.
pub(crate) fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_second_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(), Backoff::FIRST);
    }
}
