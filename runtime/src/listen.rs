//! Where a server's connections come from, and how long to wait when none can be had.

use crate::byte_stream::{BoxStream, ByteStream};
use crate::runtime::{BoxFuture, Runtime};
use futures_core::Stream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A connection that has come in, and its client's address if it has one.
pub(crate) type Accepted<R> = (ByteStream<R>, Option<SocketAddr>);

/// Connections that somebody else accepts.
pub(crate) type BoxConnections<R> = Pin<Box<dyn Stream<Item = io::Result<Accepted<R>>> + Send>>;

/// Waits for the next connection of a listener that is not of TCP, each time that it is called.
pub type BoxAccept = Box<dyn FnMut() -> BoxFuture<io::Result<BoxStream>> + Send>;

/// Where connections come from.
pub(crate) enum Source<R: Runtime> {
    Listener(R::Listener),
    // The locks are never taken: they make a server `Sync` whose sources are not.
    Unix(Mutex<BoxAccept>),
    Connections(Mutex<BoxConnections<R>>),
}

/// All sources of a server, asked in turn.
pub(crate) struct Incoming<R: Runtime> {
    runtime: R,
    sources: Vec<(Source<R>, Accepting<R>)>,
    /// Who is asked first: one that always has something leaves the others theirs.
    turn: usize,
}

/// What a listener is at.
enum Accepting<R: Runtime> {
    Nothing,
    Own(R::Accept),
    Unix(BoxFuture<io::Result<BoxStream>>),
}

impl<R: Runtime> Incoming<R> {
    pub(crate) fn new(runtime: R, sources: Vec<Source<R>>) -> Self {
        let sources = sources.into_iter().map(|source| (source, Accepting::Nothing)).collect();
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
            let polled = poll_source(&self.runtime, &mut self.sources[at], cx);
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

fn poll_source<R: Runtime>(
    runtime: &R,
    (source, accepting): &mut (Source<R>, Accepting<R>),
    cx: &mut Context<'_>,
) -> Poll<Option<io::Result<Accepted<R>>>> {
    if let Accepting::Nothing = accepting {
        *accepting = match source {
            Source::Listener(listener) => Accepting::Own(runtime.accept(listener)),
            Source::Unix(accept) => Accepting::Unix(own(accept)()),
            Source::Connections(connections) => return own(connections).as_mut().poll_next(cx),
        };
    }
    let accepted = match accepting {
        Accepting::Own(accept) => ready!(Pin::new(accept).poll(cx))
            .map(|(stream, client)| (ByteStream::new(stream), Some(client))),
        Accepting::Unix(accept) => {
            ready!(accept.as_mut().poll(cx)).map(|stream| (ByteStream::boxed(stream), None))
        }
        Accepting::Nothing => return Poll::Pending,
    };
    *accepting = Accepting::Nothing;
    Poll::Ready(Some(accepted))
}

fn own<T>(lock: &mut Mutex<T>) -> &mut T {
    lock.get_mut().unwrap_or_else(PoisonError::into_inner)
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
