//! Which address to try, and when: Happy Eyeballs (RFC 8305).
//!
//! A host has addresses of two families, one of which may lead nowhere without saying so. To try one
//! address after the other then takes minutes, and to try all at once burdens the network. A [`Race`]
//! begins one attempt after the other, without waiting for those before to fail:
//!
//! ```text
//!             answers of the resolver                   attempts
//!   t =   0   A: 192.0.2.1, 192.0.2.2                   (AAAA may follow: Resolution Delay)
//!   t =  20   AAAA: 2001:db8::1, 2001:db8::2            2001:db8::1
//!   t = 270                                             192.0.2.1      (Connection Attempt Delay)
//!   t = 300              192.0.2.1 refuses              2001:db8::2    (at once)
//!   t = 310              2001:db8::1 is up: the others are given up
//! ```
//!
//! The machine decides; whoever drives it resolves, connects and sleeps.

use crate::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// The times and counts of RFC 8305, 8, with its names.
///
/// ```
/// use core::time::Duration;
/// use tidewire::dial::{Config, Family};
///
/// // In a network where IPv6 is known not to work.
/// let config = Config { only: Some(Family::V4), ..Config::default() };
/// assert_eq!(config.connection_attempt_delay, Duration::from_millis(250));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long to wait for IPv6 addresses where those of IPv4 have come first (3). Default: 50 ms.
    pub resolution_delay: Duration,
    /// How long after an attempt the next one begins, if none has ended before (5). What is not within
    /// [`MIN_ATTEMPT_DELAY`](Self::MIN_ATTEMPT_DELAY) and
    /// [`MAX_ATTEMPT_DELAY`](Self::MAX_ATTEMPT_DELAY) counts as the nearer of the two. Default: 250 ms.
    pub connection_attempt_delay: Duration,
    /// How many addresses of the first family are tried before one of the other (4). Default: 1; zero
    /// counts as 1.
    pub first_address_family_count: usize,
    /// Tries addresses of this family alone. Default: `None`, both.
    pub only: Option<Family>,
    /// How many addresses are tried, at the most: a resolver may answer with any number. Default: 32;
    /// zero counts as 1.
    pub max_attempts: usize,
}

impl Config {
    /// The shortest [`connection_attempt_delay`](Self::connection_attempt_delay) (8).
    pub const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(100);
    /// The longest [`connection_attempt_delay`](Self::connection_attempt_delay) (8).
    pub const MAX_ATTEMPT_DELAY: Duration = Duration::from_secs(2);
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resolution_delay: Duration::from_millis(50),
            connection_attempt_delay: Duration::from_millis(250),
            first_address_family_count: 1,
            only: None,
            max_attempts: 32,
        }
    }
}

/// The family of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv6, asked for with AAAA.
    V6,
    /// IPv4, asked for with A.
    V4,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }

    const fn other(self) -> Self {
        match self {
            Self::V6 => Self::V4,
            Self::V4 => Self::V6,
        }
    }
}

/// The attempts to connect to one host. `E` is what an attempt fails with.
///
/// ```
/// use core::time::Duration;
/// use tidewire::Instant;
/// use tidewire::dial::{Config, Race};
///
/// let (v6, v4) = ("[2001:db8::1]:80".parse()?, "192.0.2.1:80".parse()?);
/// let mut race = Race::new(Config::default());
/// let start = Instant::EPOCH;
/// race.resolved_all([v6, v4], start);
/// assert_eq!(race.next_attempt(start), Some(v6));
/// assert_eq!(race.next_attempt(start), None);
///
/// // No answer in time: the other address is tried as well.
/// let later = start + Duration::from_millis(250);
/// assert_eq!(race.poll_timeout(), Some(later));
/// assert_eq!(race.next_attempt(later), Some(v4));
///
/// race.failed(v4, "refused", later);
/// race.failed(v6, "unreachable", later);
/// assert!(race.is_over());
/// assert_eq!(race.failures(), [(v4, "refused"), (v6, "unreachable")]);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
///
/// # The loop
///
/// After every answer of the resolver, every end of an attempt, and whenever
/// [`poll_timeout`](Self::poll_timeout) has come: begin all attempts that
/// [`next_attempt`](Self::next_attempt) tells. The first that is up has won. Drop the race then, and
/// the other attempts (5). If [`is_over`](Self::is_over), none will be.
#[derive(Clone, Debug)]
pub struct Race<E> {
    config: Config,
    /// What was not tried, in the order of the resolver; by [`Family`].
    waiting: [VecDeque<SocketAddr>; 2],
    /// Whether the resolver will say no more of a family.
    answered: [bool; 2],
    /// The family that the resolver puts first.
    preferred: Option<Family>,
    /// Those begun, in their order.
    begun: Vec<SocketAddr>,
    /// The next attempt begins then, if there is an address for it.
    next_at: Option<Instant>,
    failures: Vec<(SocketAddr, E)>,
}

impl<E> Race<E> {
    /// No address is known yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            waiting: [VecDeque::new(), VecDeque::new()],
            answered: [false; 2],
            preferred: None,
            begun: Vec::new(),
            next_at: None,
            failures: Vec::new(),
        }
    }

    /// The resolver has answered for one family: with addresses, or with none, which a failure is too.
    /// The other family is asked at the same time, and its answer is not waited for longer than the
    /// [`resolution_delay`](Config::resolution_delay) (3).
    ///
    /// Addresses that come while attempts are under way join those that were not tried (3). Addresses of
    /// the other family, and those known already, are passed over.
    pub fn resolved(
        &mut self,
        family: Family,
        addresses: impl IntoIterator<Item = SocketAddr>,
        now: Instant,
    ) {
        self.learn(addresses.into_iter().filter(|address| Family::of(address) == family));
        self.answered[family as usize] = true;
        self.schedule(now);
    }

    /// The resolver has answered for both families, with addresses in the order in which it would try
    /// them (RFC 6724), as `getaddrinfo` does. The family of the first one is tried first; within a
    /// family the order stays.
    pub fn resolved_all(&mut self, addresses: impl IntoIterator<Item = SocketAddr>, now: Instant) {
        let mut addresses = addresses.into_iter().peekable();
        if let Some(first) = addresses.peek() {
            self.preferred.get_or_insert(Family::of(first));
        }
        self.learn(addresses);
        self.answered = [true; 2];
        self.schedule(now);
    }

    /// Begins the next attempt, if its time has come.
    #[must_use = "the attempt counts as begun"]
    pub fn next_attempt(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.poll_timeout()? > now {
            return None;
        }
        let address = self.waiting[self.next_family() as usize].pop_front()?;
        self.begun.push(address);
        let delay = self.config.connection_attempt_delay;
        let delay = delay.clamp(Config::MIN_ATTEMPT_DELAY, Config::MAX_ATTEMPT_DELAY);
        self.next_at = Some(now + delay);
        Some(address)
    }

    /// The attempt to connect to `address` has failed. The next one need not wait any more: the delay
    /// is there to have few under way, and there is one less. An `address` that is not being tried is
    /// ignored.
    pub fn failed(&mut self, address: SocketAddr, error: E, now: Instant) {
        let known = |(failed, _): &(SocketAddr, E)| *failed == address;
        if self.begun.contains(&address) && !self.failures.iter().any(known) {
            self.failures.push((address, error));
            self.next_at = self.next_at.map(|at| at.min(now));
        }
    }

    /// When [`next_attempt`](Self::next_attempt) has something to tell; `None` if only an answer of the
    /// resolver or the end of an attempt can change that.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let left = self.waiting.iter().any(|family| !family.is_empty());
        self.next_at.filter(|_| left && self.may_try())
    }

    /// Whether there is nothing left to wait for: the resolver has answered, and every attempt failed.
    /// Without a [failure](Self::failures) there was no address.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let wanted = |family: Family| self.config.only.is_none_or(|only| only == family);
        let known = |family: Family| self.answered[family as usize] || !wanted(family);
        let more = self.may_try()
            && (!known(Family::V6)
                || !known(Family::V4)
                || self.waiting.iter().any(|family| !family.is_empty()));
        !more && self.failures.len() == self.begun.len()
    }

    /// The attempts that failed, in the order in which they did.
    #[must_use]
    pub fn failures(&self) -> &[(SocketAddr, E)] {
        &self.failures
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_failures(self) -> Vec<(SocketAddr, E)> {
        self.failures
    }

    fn may_try(&self) -> bool {
        self.begun.len() < self.config.max_attempts.max(1)
    }

    fn learn(&mut self, addresses: impl Iterator<Item = SocketAddr>) {
        for address in addresses {
            let family = Family::of(&address);
            let unwanted = self.config.only.is_some_and(|only| only != family);
            let waiting = &mut self.waiting[family as usize];
            let known = waiting.contains(&address) || self.begun.contains(&address);
            if !unwanted && !known && waiting.len() < self.config.max_attempts.max(1) {
                waiting.push_back(address);
            }
        }
    }

    /// Sets when the first attempt begins (3).
    fn schedule(&mut self, now: Instant) {
        if !self.begun.is_empty() {
            return;
        }
        let v6 = Family::V6 as usize;
        let hopeless = self.answered[v6] || self.config.only == Some(Family::V4);
        let at = match hopeless || !self.waiting[v6].is_empty() {
            true => now,
            false => now + self.config.resolution_delay,
        };
        self.next_at = Some(self.next_at.map_or(at, |set| set.min(at)));
    }

    /// Whose turn it is (4): the first family, as often as it may be tried first, then in turns.
    fn next_family(&self) -> Family {
        let turn = match self.begun.last().map(Family::of) {
            None => self.preferred.unwrap_or(Family::V6),
            Some(last) => {
                let firsts = self.config.first_address_family_count;
                let favoured = self.begun.len() < firsts
                    && self.begun.iter().all(|address| Family::of(address) == last);
                if favoured { last } else { last.other() }
            }
        };
        if self.waiting[turn as usize].is_empty() { turn.other() } else { turn }
    }
}
