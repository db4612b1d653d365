//! From a host name to a connection: resolve, then try one address after the other.

use crate::byte_stream::{BoxStream, ByteStream};
use crate::connector::{Connector, Options};
use crate::runtime::{BoxFuture, Runtime, Timer, after};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
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
    connector: &Connector<R>,
    target: &Url,
    timeout: Option<Duration>,
) -> Result<ByteStream<R>, DialFailure> {
    let Connector { runtime, options } = connector;
    let mut timer = timeout.map(|timeout| {
        let mut timer = runtime.timer();
        timer.set(after(timeout));
        timer
    });
    let mut dial = Dial::new(runtime, options, target);
    poll_fn(|cx| match (dial.poll(runtime, cx), &mut timer) {
        (Poll::Pending, Some(timer)) => {
            timer.poll(cx).map(|()| Err((DialError::Timeout, io::ErrorKind::TimedOut.into())))
        }
        (polled, _) => polled,
    })
    .await
}

/// A connection in the making. Dropping it gives the attempt up.
///
/// ```text
///   Resolving --> Connecting --+--> done
///   Unix ----------------------+
/// ```
pub(crate) struct Dial<R: Runtime> {
    options: Arc<Options>,
    target: Url,
    stage: Stage<R>,
}

enum Stage<R: Runtime> {
    Unix(BoxFuture<io::Result<BoxStream>>),
    Resolving(R::Resolve),
    Connecting { now: R::Connect, later: std::vec::IntoIter<SocketAddr> },
}

/// The phase that failed, and the operating system's words.
pub(crate) type DialFailure = (DialError, io::Error);

impl<R: Runtime> Dial<R> {
    pub(crate) fn new(runtime: &R, options: &Arc<Options>, target: &Url) -> Self {
        let stage = match &options.unix {
            Some(path) => Stage::Unix(runtime.connect_unix(path)),
            None => Stage::Resolving(runtime.resolve(target.host(), target.port())),
        };
        Self { options: options.clone(), target: target.clone(), stage }
    }

    pub(crate) fn poll(
        &mut self,
        runtime: &R,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ByteStream<R>, DialFailure>> {
        if let Err(refused) = refuse_tls(&self.target) {
            return Poll::Ready(Err(refused));
        }
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no addresses");
        loop {
            let next = match &mut self.stage {
                Stage::Unix(connect) => {
                    let connected = ready!(Pin::new(connect).poll(cx));
                    return Poll::Ready(
                        connected
                            .map(ByteStream::boxed)
                            .map_err(|error| (DialError::Connect, error)),
                    );
                }
                Stage::Resolving(resolve) => match ready!(Pin::new(resolve).poll(cx)) {
                    Ok(addresses) => {
                        let mut addresses = addresses.into_iter();
                        addresses.next().map(|first| (first, addresses))
                    }
                    Err(error) => return Poll::Ready(Err((DialError::Resolve, error))),
                },
                Stage::Connecting { now, later } => match ready!(Pin::new(now).poll(cx)) {
                    Ok(stream) => return Poll::Ready(Ok(ByteStream::new(stream))),
                    Err(error) => {
                        failed = error;
                        later.next().map(|next| (next, std::mem::take(later)))
                    }
                },
            };
            match next {
                Some((address, later)) => {
                    let now = runtime.connect(address, &self.options.socket);
                    self.stage = Stage::Connecting { now, later };
                }
                None => return Poll::Ready(Err((DialError::Connect, failed))),
            }
        }
    }
}
