//! Telling every task of a server to come to an end.

use crate::stats::Counters;
use event_listener::{Event, EventListener};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// The phases after the first, which is 0.
const DRAINING: u8 = 1;
const STOPPED: u8 = 2;

/// Shared by a server, its handle and its connections.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    phase: AtomicU8,
    connections: AtomicUsize,
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
pub(crate) struct Counted(Arc<Shutdown>);

impl Counted {
    pub(crate) fn new(shutdown: &Arc<Shutdown>) -> Self {
        shutdown.connections.fetch_add(1, Ordering::AcqRel);
        shutdown.counters.accepted();
        Self(shutdown.clone())
    }

    /// The counters of the server that it belongs to.
    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
        self.0.connection_ended.notify(usize::MAX);
    }
}
