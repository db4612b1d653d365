//! Telling every task of a server to come to an end.

use crate::stats::Counters;
use event_listener::{Event, EventListener};
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

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
    phase_changed: Event,
    connection_ended: Event,
}

impl Shutdown {
    pub(crate) fn drain(&self) {
        self.set(DRAINING);
    }

    pub(crate) fn stop(&self) {
        self.set(STOPPED);
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

    fn set(&self, phase: u8) {
        self.phase.fetch_max(phase, Ordering::AcqRel);
        self.phase_changed.notify(usize::MAX);
    }
}

/// One task's eye on a [`Shutdown`].
#[derive(Debug)]
pub(crate) struct Watch {
    shutdown: Arc<Shutdown>,
    event: fn(&Shutdown) -> &Event,
    listener: Option<EventListener>,
}

impl Watch {
    /// Watches the phase.
    pub(crate) fn phase(shutdown: &Arc<Shutdown>) -> Self {
        Self { shutdown: shutdown.clone(), event: |it| &it.phase_changed, listener: None }
    }

    /// Watches for connections that end.
    pub(crate) fn connections(shutdown: &Arc<Shutdown>) -> Self {
        Self { shutdown: shutdown.clone(), event: |it| &it.connection_ended, listener: None }
    }

    /// Whether a shutdown was asked for.
    pub(crate) fn is_draining(&self) -> bool {
        self.shutdown.is_draining()
    }

    /// Ready once `condition` holds.
    pub(crate) fn poll_until(
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
                self.listener = Some((self.event)(&self.shutdown).listen());
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
