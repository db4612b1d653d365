//! From a host name to a connection: to one of its addresses, or through a proxy.

pub(crate) mod error;
mod race;
mod tunnel;

use crate::byte_stream::{BoxStream, ByteStream};
use crate::connector::{Connector, Options};
use crate::runtime::{BoxFuture, Runtime, Timer, after};
use crate::tls::{Handshake, TlsConfig};
use crate::trace;
use race::Race;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidewire::DialError;
use tidewire::dial::Family;
use tidewire::proxy::{Destination, Proxy, Refusal};
use tidewire::url::Url;
use tunnel::Tunnelling;

/// How long a connection may take to come up where nobody sets the time.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Refuses a target that asks for TLS where there is none: no attempt would ever reach it.
pub(crate) fn refuse_tls(target: &Url) -> Result<(), DialFailure> {
    if target.is_secure() && TlsConfig::platform().is_none() { Err(no_tls()) } else { Ok(()) }
}

fn no_tls() -> DialFailure {
    let words = "wss:// and https:// need the feature `tls` of tidewire-runtime, which the crates of \
                 all runtimes have too";
    (DialError::NoTls, io::Error::new(io::ErrorKind::Unsupported, words))
}

/// The error of a handshake, which a mute peer's is a kind of its own of.
pub(crate) fn tls_failure(error: io::Error) -> DialFailure {
    match error.kind() {
        // Not where the operating system says so: then it is the connection that broke.
        io::ErrorKind::TimedOut if error.raw_os_error().is_none() => (DialError::TlsTimeout, error),
        _ => (DialError::Tls, error),
    }
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
    let dialled = poll_fn(|cx| match (dial.poll(runtime, cx), &mut timer) {
        (Poll::Pending, Some(timer)) => {
            timer.poll(cx).map(|()| Err((dial.late(), io::ErrorKind::TimedOut.into())))
        }
        (polled, _) => polled,
    });
    let dialled = dialled.await;
    tell(target, &dialled);
    dialled
}

/// Tells what became of an attempt to connect to `target`.
pub(crate) fn tell<R: Runtime>(_target: &Url, dialled: &Result<ByteStream<R>, DialFailure>) {
    match dialled {
        Ok(_) => {
            trace::event!("tidewire::dial", DEBUG, target = %_target.authority(), "connected");
        }
        Err((_why, _error)) => trace::event!(
            "tidewire::dial", DEBUG,
            target = %_target.authority(), why = %_why, error = %_error, "not connected"
        ),
    }
}

/// A connection in the making. Dropping it gives the attempt up.
///
/// ```text
///   Resolving (for a proxy that wants an address)
///       |
///       v                                   if the proxy
///   Racing (to the target, or the proxy) ---+ wants it +---> Tunnelling ---+  if the target wants it
///   Unix -----------------------------------+-> Proxy TLS -^      |        +-----> TLS ---> done
///       |                                                         |        |
///       +---------------- without a proxy ---------------------------------+
///       ^                                                         |
///       +---- the proxy cannot reach this address ----------------+
/// ```
pub(crate) struct Dial<R: Runtime> {
    options: Arc<Options>,
    target: Url,
    proxy: Option<Proxy>,
    /// The target's addresses that were not tried yet, for a proxy that wants one.
    addresses: std::vec::IntoIter<SocketAddr>,
    stage: Stage<R>,
    /// The last stage: a connection that is not done yet.
    tls: Option<Box<Handshake<R>>>,
}

enum Stage<R: Runtime> {
    /// It could not even begin.
    Failed(Option<DialFailure>),
    Resolving(R::Resolve),
    Unix(BoxFuture<io::Result<BoxStream>>),
    Racing(Box<Race<R>>),
    /// TLS with the proxy.
    Securing(Box<Handshake<R>>),
    Tunnelling(Box<Tunnelling<R>>),
}

/// The phase that failed, and the operating system's words.
pub(crate) type DialFailure = (DialError, io::Error);

impl<R: Runtime> Dial<R> {
    pub(crate) fn new(runtime: &R, options: &Arc<Options>, target: &Url) -> Self {
        let (proxy, refused) = match options.proxy_for(target) {
            Ok(proxy) => (proxy.cloned(), None),
            Err(error) => {
                let error = io::Error::new(io::ErrorKind::InvalidInput, error);
                (None, Some((DialError::Proxy, error)))
            }
        };
        let refused = refuse_tls(target).err().or(refused);
        let mut dial = Self {
            options: options.clone(),
            target: target.clone(),
            proxy,
            addresses: Vec::new().into_iter(),
            stage: Stage::Failed(refused),
            tls: None,
        };
        if matches!(dial.stage, Stage::Failed(None)) {
            let wants_address = dial.proxy.as_ref().is_some_and(Proxy::wants_address);
            if wants_address && matches!(dial.destination(), Destination::Name(..)) {
                dial.stage = Stage::Resolving(runtime.resolve(target.host(), target.port()));
            } else {
                dial.connect(runtime);
            }
        }
        dial
    }

    /// What it is to be called if it is given up now because it takes too long.
    pub(crate) const fn late(&self) -> DialError {
        match self.stage {
            _ if self.tls.is_some() => DialError::TlsTimeout,
            Stage::Securing(_) => DialError::TlsTimeout,
            Stage::Tunnelling(_) => DialError::ProxyTimeout,
            _ => DialError::Timeout,
        }
    }

    pub(crate) fn poll(
        &mut self,
        runtime: &R,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ByteStream<R>, DialFailure>> {
        if self.tls.is_none() {
            let stream = ready!(self.poll_connected(runtime, cx))?;
            if !self.target.is_secure() {
                return Poll::Ready(Ok(stream));
            }
            let tls = self.options.tls().ok_or_else(no_tls)?;
            let handshake = Handshake::client(runtime, &tls, self.target.host(), stream);
            self.tls = Some(Box::new(handshake));
        }
        let Some(handshake) = &mut self.tls else { return Poll::Pending };
        handshake.poll(cx).map_err(tls_failure)
    }

    /// Ready with a connection that carries bytes to the target.
    fn poll_connected(
        &mut self,
        runtime: &R,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ByteStream<R>, DialFailure>> {
        loop {
            let stream = match &mut self.stage {
                Stage::Failed(why) => {
                    let again = || (DialError::Connect, io::ErrorKind::NotConnected.into());
                    return Poll::Ready(Err(why.take().unwrap_or_else(again)));
                }
                Stage::Resolving(resolve) => {
                    match ready!(Pin::new(resolve).poll(cx)) {
                        Ok(addresses) => self.learn(addresses),
                        Err(error) => return Poll::Ready(Err((DialError::Resolve, error))),
                    }
                    if self.addresses.as_slice().is_empty() {
                        return Poll::Ready(Err((DialError::Resolve, race::no_addresses())));
                    }
                    self.connect(runtime);
                    continue;
                }
                Stage::Unix(connect) => match ready!(Pin::new(connect).poll(cx)) {
                    Ok(stream) => ByteStream::boxed(stream),
                    Err(error) => return Poll::Ready(Err((DialError::Connect, error))),
                },
                Stage::Racing(race) => match ready!(race.poll(runtime, &self.options.socket, cx)) {
                    Ok(stream) => ByteStream::new(stream),
                    Err(failure) => return Poll::Ready(Err(failure)),
                },
                Stage::Securing(handshake) => ready!(handshake.poll(cx)).map_err(tls_failure)?,
                Stage::Tunnelling(tunnel) => match ready!(tunnel.poll(cx)) {
                    Ok(stream) => return Poll::Ready(Ok(stream)),
                    Err(failure) if self.another_may_do(&failure.1) => {
                        self.connect(runtime);
                        continue;
                    }
                    Err(failure) => return Poll::Ready(Err(failure)),
                },
            };
            let Some(proxy) = &self.proxy else { return Poll::Ready(Ok(stream)) };
            if proxy.is_secure() && !matches!(self.stage, Stage::Securing(_)) {
                let tls = self.options.proxy_tls().ok_or_else(no_tls)?;
                let handshake = Handshake::client(runtime, &tls, proxy.host(), stream);
                self.stage = Stage::Securing(Box::new(handshake));
                continue;
            }
            let destination = match self.addresses.next() {
                Some(address) => Destination::Address(address),
                None => self.destination(),
            };
            let tunnel = Tunnelling::new(runtime, proxy, destination, stream);
            self.stage = Stage::Tunnelling(Box::new(tunnel));
        }
    }

    fn destination(&self) -> Destination<'_> {
        Destination::of(&self.target)
    }

    /// Begins to connect, to the proxy if there is one.
    fn connect(&mut self, runtime: &R) {
        let Options { unix, socket, dial, .. } = &*self.options;
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.target.host(), self.target.port()),
        };
        self.stage = match unix {
            Some(path) => Stage::Unix(runtime.connect_unix(path)),
            None => Stage::Racing(Box::new(Race::new(runtime, *dial, socket, host, port))),
        };
    }

    /// Takes the addresses of the target that the proxy is to be given, one after the other.
    fn learn(&mut self, mut addresses: Vec<SocketAddr>) {
        let config = &self.options.dial;
        addresses.retain(|it| config.only.is_none_or(|only| only == Family::of(it)));
        addresses.truncate(config.max_attempts.max(1));
        self.addresses = addresses.into_iter();
    }

    /// Whether the proxy could not reach the address that it was given, and there is another.
    fn another_may_do(&self, error: &io::Error) -> bool {
        let why = error::ProxyRefused::of(error).map(|refused| refused.why);
        let of_this_address =
            matches!(why, Some(Refusal::Reply(reply)) if reply.concerns_address());
        of_this_address && !self.addresses.as_slice().is_empty()
    }
}
