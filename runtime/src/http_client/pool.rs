//! Connections that wait for their next request.

use super::wire::Wire;
use crate::runtime::Runtime;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tidewire::url::Url;

/// What connections may be shared by: scheme, host and port (RFC 9110, 4.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    pub(super) fn of(url: &Url) -> Self {
        Self { secure: url.is_secure(), host: url.host().to_owned(), port: url.port() }
    }
}

/// How many connections wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoolLimits {
    pub(super) per_origin: usize,
    pub(super) in_all: usize,
    pub(super) idle: Duration,
}

/// Idle connections in the order in which they came back. There are few of them: they are looked
/// through one by one.
pub(super) struct Pool<R: Runtime> {
    limits: PoolLimits,
    idle: VecDeque<(Instant, Box<Wire<R>>)>,
}

impl<R: Runtime> Pool<R> {
    pub(super) const fn new(limits: PoolLimits) -> Self {
        Self { limits, idle: VecDeque::new() }
    }

    /// The connection to `origin` that came back last, which is the least likely to be closed.
    pub(super) fn take(&mut self, origin: &Origin, now: Instant) -> Option<Box<Wire<R>>> {
        self.expire(now);
        let at = self.idle.iter().rposition(|(_, wire)| wire.origin == *origin)?;
        self.idle.remove(at).map(|(_, wire)| wire)
    }

    /// Takes a connection back, and closes the one that has waited longest if they are too many.
    pub(super) fn put(&mut self, wire: Box<Wire<R>>, now: Instant) {
        self.expire(now);
        let PoolLimits { per_origin, in_all, .. } = self.limits;
        let of_origin = |idle: &(_, Box<Wire<R>>)| idle.1.origin == wire.origin;
        if self.idle.iter().filter(|idle| of_origin(idle)).count() >= per_origin {
            match self.idle.iter().position(of_origin) {
                Some(oldest) => self.idle.remove(oldest),
                None => return,
            };
        }
        if self.idle.len() >= in_all && self.idle.pop_front().is_none() {
            return;
        }
        self.idle.push_back((now, wire));
    }

    /// How many connections wait.
    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    /// Closes all of them.
    pub(super) fn clear(&mut self) {
        self.idle.clear();
    }

    fn expire(&mut self, now: Instant) {
        let idle = self.limits.idle;
        while self.idle.front().is_some_and(|(since, _)| now.duration_since(*since) >= idle) {
            self.idle.pop_front();
        }
    }
}
