//! From a host name to a connection: resolve, then try one address after the other.

use crate::runtime::{Runtime, Timer, after};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidewire::DialError;
use tidewire::url::Url;

/// How long a connection may take to come up where nobody sets the time.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Refuses a target that asks for TLS, which no attempt would ever reach.
pub(crate) fn refuse_tls(target: &Url) -> Result<(), DialFailure> {
    if target.is_secure() { Err(no_tls()) } else { Ok(()) }
}

fn no_tls() -> DialFailure {
    let words = "this version speaks no TLS: use ws:// or http://";
    (DialError::NoTls, io::Error::new(io::ErrorKind::Unsupported, words))
}

/// Connects to `target`, for as long as `timeout`.
pub(crate) async fn dial<R: Runtime>(
    runtime: &R,
    target: &Url,
    timeout: Option<Duration>,
) -> Result<R::Stream, DialFailure> {
    let mut timer = timeout.map(|timeout| {
        let mut timer = runtime.timer();
        timer.set(after(timeout));
        timer
    });
    let mut dial = Dial::new(runtime, target);
    poll_fn(|cx| match (dial.poll(runtime, cx), &mut timer) {
        (Poll::Pending, Some(timer)) => {
            timer.poll(cx).map(|()| Err((DialError::Timeout, io::ErrorKind::TimedOut.into())))
        }
        (polled, _) => polled,
    })
    .await
}

/// A connection in the making. Dropping it gives the attempt up.
pub(crate) enum Dial<R: Runtime> {
    Resolving(R::Resolve),
    /// The target asks for TLS.
    Tls,
    Connecting {
        now: R::Connect,
        later: std::vec::IntoIter<SocketAddr>,
    },
}

/// The phase that failed, and the operating system's words.
pub(crate) type DialFailure = (DialError, io::Error);

impl<R: Runtime> Dial<R> {
    pub(crate) fn new(runtime: &R, target: &Url) -> Self {
        if target.is_secure() {
            return Self::Tls;
        }
        Self::Resolving(runtime.resolve(target.host(), target.port()))
    }

    pub(crate) fn poll(
        &mut self,
        runtime: &R,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R::Stream, DialFailure>> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no addresses");
        loop {
            let next = match self {
                Self::Tls => return Poll::Ready(Err(no_tls())),
                Self::Resolving(resolve) => match ready!(Pin::new(resolve).poll(cx)) {
                    Ok(addresses) => {
                        let mut addresses = addresses.into_iter();
                        addresses.next().map(|first| (first, addresses))
                    }
                    Err(error) => return Poll::Ready(Err((DialError::Resolve, error))),
                },
                Self::Connecting { now, later } => match ready!(Pin::new(now).poll(cx)) {
                    Ok(stream) => {
                        // A stream without the option works as well, only slower.
                        let _ = runtime.set_nodelay(&stream);
                        return Poll::Ready(Ok(stream));
                    }
                    Err(error) => {
                        failed = error;
                        later.next().map(|next| (next, std::mem::take(later)))
                    }
                },
            };
            match next {
                Some((address, later)) => {
                    *self = Self::Connecting { now: runtime.connect(address), later };
                }
                None => return Poll::Ready(Err((DialError::Connect, failed))),
            }
        }
    }
}
