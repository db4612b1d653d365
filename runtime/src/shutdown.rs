//! Telling every task of a server to come to an end.

use crate::stats::Counters;
use event_listener::{Event, EventListener};
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The phases after the first, which is 0.
const DRAINING: u8 = 1;
const STOPPED: u8 = 2;

/// Shared by a server, its handle and its connections.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    phase: AtomicU8,
    connections: AtomicUsize,
    /// How many connections each client has, where that is limited.
    clients: Mutex<HashMap<IpAddr, usize>>,
    pub(crate) counters: Counters,
    drained: Event,
    stopped: Event,
    connection_ended: Event,
}

impl Shutdown {
    pub(crate) fn drain(&self) {
        self.phase.fetch_max(DRAINING, Ordering::AcqRel);
        self.drained.notify(usize::MAX);
    }

    pub(crate) fn stop(&self) {
        self.phase.fetch_max(STOPPED, Ordering::AcqRel);
        self.drained.notify(usize::MAX);
        self.stopped.notify(usize::MAX);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= DRAINING
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Watch`] waits for.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A shutdown is asked for. This and the next happen once, and for good.
    Draining,
    /// The time for that is over.
    Stopped,
    /// The number of connections falls.
    Connections,
}

/// One task's eye on one thing about a [`Shutdown`].
#[derive(Debug)]
pub(crate) struct Watch {
    shutdown: Arc<Shutdown>,
    what: What,
    listener: Option<EventListener>,
    /// Whom the listener wakes, if what it waits for happens once. All connections listen to the same,
    /// behind a lock: the task that has done so needs not again.
    task: Option<Waker>,
}

impl Watch {
    pub(crate) fn draining(shutdown: &Arc<Shutdown>) -> Self {
        Self::new(shutdown, What::Draining)
    }

    pub(crate) fn stopped(shutdown: &Arc<Shutdown>) -> Self {
        Self::new(shutdown, What::Stopped)
    }

    pub(crate) fn connections(shutdown: &Arc<Shutdown>) -> Self {
        Self::new(shutdown, What::Connections)
    }

    fn new(shutdown: &Arc<Shutdown>, what: What) -> Self {
        Self { shutdown: shutdown.clone(), what, listener: None, task: None }
    }

    /// Whether a shutdown was asked for.
    pub(crate) fn is_draining(&self) -> bool {
        self.shutdown.is_draining()
    }

    /// Ready once a shutdown was asked for, or the time for it is over: what this watches.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reached = match self.what {
            What::Draining => Shutdown::is_draining,
            What::Stopped => Shutdown::is_stopped,
            What::Connections => unreachable!("what is waited for says `poll_until`"),
        };
        if reached(&self.shutdown) {
            return Poll::Ready(());
        }
        if self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let polled = self.poll_listener(cx, reached);
        self.task = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    /// Ready once `condition` holds for the number of connections, which this watches.
    pub(crate) fn poll_until(
        &mut self,
        cx: &mut Context<'_>,
        condition: impl Fn(usize) -> bool,
    ) -> Poll<()> {
        self.poll_listener(cx, |it| condition(it.connections()))
    }

    fn poll_listener(
        &mut self,
        cx: &mut Context<'_>,
        condition: impl Fn(&Shutdown) -> bool,
    ) -> Poll<()> {
        loop {
            if condition(&self.shutdown) {
                return Poll::Ready(());
            }
            // The order matters: listen first, then look again, or a change in between is missed.
            let Some(listener) = &mut self.listener else {
                let event = match self.what {
                    What::Draining => &self.shutdown.drained,
                    What::Stopped => &self.shutdown.stopped,
                    What::Connections => &self.shutdown.connection_ended,
                };
                self.listener = Some(event.listen());
                continue;
            };
            match Pin::new(listener).poll(cx) {
                Poll::Ready(()) => self.listener = None,
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    shutdown: Arc<Shutdown>,
    /// Whose connection it is, if it is counted for that client too.
    client: Option<IpAddr>,
}

impl Counted {
    /// `None` if it would be more than `max` connections of the client at `address`.
    pub(crate) fn new(
        shutdown: &Arc<Shutdown>,
        address: Option<IpAddr>,
        max: Option<usize>,
    ) -> Option<Self> {
        let client = address.map(client).filter(|_| max.is_some());
        if let (Some(client), Some(max)) = (client, max) {
            let mut clients = shutdown.clients();
            let open = clients.get(&client).copied().unwrap_or(0);
            if open >= max {
                shutdown.counters.refused();
                return None;
            }
            clients.insert(client, open + 1);
        }
        shutdown.connections.fetch_add(1, Ordering::AcqRel);
        shutdown.counters.accepted();
        Some(Self { shutdown: shutdown.clone(), client })
    }

    /// The counters of the server that it belongs to.
    pub(crate) fn counters(&self) -> &Counters {
        &self.shutdown.counters
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            let mut clients = self.shutdown.clients();
            match clients.get_mut(&client) {
                Some(open) if *open > 1 => *open -= 1,
                _ => drop(clients.remove(&client)),
            }
        }
        self.shutdown.connections.fetch_sub(1, Ordering::AcqRel);
        self.shutdown.connection_ended.notify(usize::MAX);
    }
}

/// Who has an address: with IPv6 everybody whose first 64 bits are the same, since one client is given
/// all of them (RFC 6177, 2; RFC 4291, 2.5.4). An IPv4 address is the same in an IPv6 one.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_ipv4_address_or_64_bits_of_ipv6() {
        let of = |text: &str| client(text.parse().expect("an address"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn what_has_ended_leaves_nothing() {
        let shutdown = Arc::<Shutdown>::default();
        let count = |last| Counted::new(&shutdown, Some([192, 0, 2, last].into()), Some(2));
        let two = (count(1), count(1));
        assert!(two.0.is_some() && two.1.is_some() && count(1).is_none());
        assert!(count(2).is_some(), "another client is let in");
        assert_eq!((shutdown.connections(), shutdown.counters.stats(2).refused), (2, 1));
        drop(two.0);
        assert!(count(1).is_some());
        drop(two.1);
        assert_eq!(shutdown.connections(), 0);
        assert!(shutdown.clients().is_empty());
    }
}
