//! A connection to a host: its addresses, and attempts side by side (RFC 8305).

use super::DialFailure;
use super::error::ConnectErrors;
use crate::runtime::{Runtime, Timer};
use crate::socket::SocketOptions;
use crate::trace;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tidewire::dial::{Config, Family};
use tidewire::{Clock, DialError, dial};

/// The attempts to connect to one host. Dropping it gives them all up.
pub(super) struct Race<R: Runtime> {
    /// The machine that decides which address is tried when.
    race: dial::Race<io::Error>,
    resolve: Option<R::Resolve>,
    attempts: Vec<(SocketAddr, R::Connect)>,
    timer: R::Timer,
    clock: Clock,
}

impl<R: Runtime> Race<R> {
    pub(super) fn new(
        runtime: &R,
        mut config: Config,
        socket: &SocketOptions,
        host: &str,
        port: u16,
    ) -> Self {
        // No address of the other family can be reached from there.
        config.only = config.only.or(socket.bind.map(|ip| Family::of(&(ip, 0).into())));
        let clock = Clock::starting_at(Instant::now());
        let mut race = dial::Race::new(config);
        let resolve = match host.parse::<IpAddr>() {
            Ok(address) => {
                race.resolved_all([(address, port).into()], tidewire::Instant::EPOCH);
                None
            }
            Err(_) => Some(runtime.resolve(host, port)),
        };
        Self { race, resolve, attempts: Vec::new(), timer: runtime.timer(), clock }
    }

    pub(super) fn poll(
        &mut self,
        runtime: &R,
        socket: &SocketOptions,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R::Stream, DialFailure>> {
        let now = self.clock.instant(Instant::now());
        if let Some(resolve) = &mut self.resolve {
            match Pin::new(resolve).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err((DialError::Resolve, error))),
                Poll::Ready(Ok(addresses)) => {
                    self.resolve = None;
                    self.race.resolved_all(addresses, now);
                }
            }
        }
        let mut polled = 0;
        loop {
            // Those that were polled in this turn already have nothing new to tell.
            while let Some((address, attempt)) = self.attempts.get_mut(polled) {
                match Pin::new(attempt).poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        trace::event!("tidewire::dial", DEBUG, %address, %error, "no connection");
                        self.race.failed(*address, error, now);
                        drop(self.attempts.remove(polled));
                    }
                    Poll::Pending => polled += 1,
                }
            }
            if let Some(address) = self.race.next_attempt(now) {
                trace::event!("tidewire::dial", DEBUG, %address, "connecting");
                self.attempts.push((address, runtime.connect(address, socket)));
                continue;
            }
            if self.race.is_over() {
                return Poll::Ready(Err(self.failure()));
            }
            let Some(at) = self.race.poll_timeout() else { return Poll::Pending };
            self.timer.set(self.clock.std(at));
            if self.timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
            // It came between the look at the clock and now.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    }

    /// What all attempts have failed with.
    fn failure(&mut self) -> DialFailure {
        let race = std::mem::replace(&mut self.race, dial::Race::new(Config::default()));
        let mut failures = race.into_failures();
        let error = match failures.len() {
            0 => no_addresses(),
            1 => failures.remove(0).1,
            _ => ConnectErrors::new(failures).into(),
        };
        (DialError::Connect, error)
    }
}

pub(super) fn no_addresses() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host has no address to connect to")
}
