//! Happy Eyeballs, in the sentences of RFC 8305.

use core::net::SocketAddr;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeSet;
use tidewire::Instant;
use tidewire::dial::{Config, Family, Race};

const DELAY: u64 = 250;

fn at(millis: u64) -> Instant {
    Instant::EPOCH + Duration::from_millis(millis)
}

fn v6(host: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, host], 80).into()
}

fn v4(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 80).into()
}

fn race() -> Race<&'static str> {
    Race::new(Config::default())
}

/// Every attempt that begins up to `until`, and when, if none ends.
fn attempts(race: &mut Race<&'static str>, until: u64) -> Vec<(u64, SocketAddr)> {
    let mut begun = Vec::new();
    while let Some(due) = race.poll_timeout().filter(|&due| due <= at(until)) {
        let address = race.next_attempt(due).expect("poll_timeout tells when there is one");
        begun.push((due.since_epoch().as_millis() as u64, address));
    }
    begun
}

fn order(race: &mut Race<&'static str>) -> Vec<SocketAddr> {
    attempts(race, u64::MAX).into_iter().map(|(_, address)| address).collect()
}

// 3. Hostname Resolution Query Handling

/// "If a positive AAAA response (a response containing at least one valid AAAA record) is received
/// first, the first IPv6 connection attempt is immediately started."
#[test]
fn rfc_3_ipv6_addresses_are_tried_at_once() {
    let mut race = race();
    assert_eq!(race.poll_timeout(), None);
    race.resolved(Family::V6, [v6(1)], at(3));
    assert_eq!(race.next_attempt(at(3)), Some(v6(1)));
    race.resolved(Family::V4, [v4(1)], at(10));
    assert_eq!(race.next_attempt(at(10)), None);
    assert_eq!(attempts(&mut race, 1000), [(3 + DELAY, v4(1))]);
}

/// "If a positive A response is received first due to reordering, the client SHOULD wait a short time
/// for the AAAA response to ensure that preference is given to IPv6."
#[test]
fn rfc_3_ipv4_addresses_wait_for_those_of_ipv6() {
    let mut race = race();
    race.resolved(Family::V4, [v4(1)], at(0));
    assert_eq!((race.next_attempt(at(49)), race.poll_timeout()), (None, Some(at(50))));
    race.resolved(Family::V6, [v6(1)], at(49));
    assert_eq!(attempts(&mut race, 1000), [(49, v6(1)), (49 + DELAY, v4(1))]);
}

/// "If a negative AAAA response (no valid AAAA records) is received within the Resolution Delay", or
/// "the AAAA response is not received", the IPv4 connection attempts start.
#[test]
fn rfc_3_but_not_longer_than_the_resolution_delay_and_not_for_nothing() {
    let mut late = race();
    late.resolved(Family::V4, [v4(1)], at(0));
    assert_eq!(attempts(&mut late, 1000), [(50, v4(1))]);

    let mut negative = race();
    negative.resolved(Family::V4, [v4(1)], at(0));
    negative.resolved(Family::V6, [], at(20));
    assert_eq!(attempts(&mut negative, 1000), [(20, v4(1))]);

    let mut known = race();
    known.resolved(Family::V6, [], at(0));
    known.resolved(Family::V4, [v4(1)], at(20));
    assert_eq!(known.next_attempt(at(20)), Some(v4(1)));
}

/// "If the AAAA response arrives after the Resolution Delay […] the addresses are incorporated into the
/// list of addresses not yet attempted."
#[test]
fn rfc_3_addresses_that_come_late_join_in() {
    let mut race = race();
    race.resolved(Family::V4, [v4(1), v4(2)], at(0));
    assert_eq!(attempts(&mut race, 100), [(50, v4(1))]);
    race.resolved(Family::V6, [v6(1)], at(120));
    assert_eq!(attempts(&mut race, 1000), [(50 + DELAY, v6(1)), (50 + 2 * DELAY, v4(2))]);
}

/// What has failed before the answer comes must not keep it waiting.
#[test]
fn rfc_3_an_address_that_comes_when_all_others_have_failed_is_tried_at_once() {
    let mut race = race();
    race.resolved(Family::V4, [v4(1)], at(0));
    assert_eq!(attempts(&mut race, 60), [(50, v4(1))]);
    race.failed(v4(1), "refused", at(60));
    assert!(!race.is_over(), "the resolver has not answered for IPv6");
    race.resolved(Family::V6, [v6(1)], at(70));
    assert_eq!(race.next_attempt(at(70)), Some(v6(1)));
}

// 4. Sorting Addresses

/// "Whichever address family is first in the list should be followed by an endpoint of the other
/// address family."
#[test]
fn rfc_4_families_take_turns() {
    let mut first_v6 = race();
    first_v6.resolved_all([v6(1), v6(2), v6(3), v4(1), v4(2)], at(0));
    assert_eq!(order(&mut first_v6), [v6(1), v4(1), v6(2), v4(2), v6(3)]);

    let mut first_v4 = race();
    first_v4.resolved_all([v4(1), v4(2), v6(1)], at(0));
    assert_eq!(order(&mut first_v4), [v4(1), v6(1), v4(2)]);
}

/// "First Address Family Count: […] MAY be set to 2 to more aggressively favor a particular address
/// family" (4 and 8).
#[test]
fn rfc_4_the_first_family_may_be_favoured() {
    for (count, expected) in [
        (0, [v6(1), v4(1), v6(2), v4(2), v6(3)]),
        (2, [v6(1), v6(2), v4(1), v6(3), v4(2)]),
        (9, [v6(1), v6(2), v6(3), v4(1), v4(2)]),
    ] {
        let config = Config { first_address_family_count: count, ..Config::default() };
        let mut race = Race::new(config);
        race.resolved_all([v6(1), v6(2), v6(3), v4(1), v4(2)], at(0));
        assert_eq!(order(&mut race), expected, "{count}");
    }
}

#[test]
fn one_family_alone() {
    let mut race = Race::new(Config { only: Some(Family::V4), ..Config::default() });
    race.resolved_all([v6(1), v4(1), v6(2)], at(0));
    assert_eq!(order(&mut race), [v4(1)]);
    race.failed(v4(1), "refused", at(1));
    assert!(race.is_over());

    // Nothing of the other family is waited for: neither before an attempt, nor at the end.
    let mut race = Race::new(Config { only: Some(Family::V4), ..Config::default() });
    race.resolved(Family::V4, [v4(1)], at(0));
    assert_eq!(race.next_attempt(at(0)), Some(v4(1)));
    race.failed(v4(1), "refused", at(1));
    assert!(race.is_over());
}

// 5. Connection Attempts

/// "The recommended value for a default delay is 250 milliseconds" (and 8: at least 100 ms, at most 2 s).
#[test]
fn rfc_5_attempts_are_a_delay_apart() {
    for (configured, delay) in [(250, 250), (0, 100), (99, 100), (300, 300), (60_000, 2000)] {
        let connection_attempt_delay = Duration::from_millis(configured);
        let mut race = Race::new(Config { connection_attempt_delay, ..Config::default() });
        race.resolved_all([v6(1), v4(1), v6(2)], at(7));
        let expected = [(7, v6(1)), (7 + delay, v4(1)), (7 + 2 * delay, v6(2))];
        assert_eq!(attempts(&mut race, u64::MAX), expected, "{configured}");
    }
}

/// A poll that comes late begins one attempt, not all that it has missed.
#[test]
fn rfc_5_the_delay_counts_from_when_an_attempt_began() {
    let mut race = race();
    race.resolved_all([v6(1), v4(1), v6(2)], at(0));
    assert_eq!(race.next_attempt(at(0)), Some(v6(1)));
    assert_eq!(race.next_attempt(at(5000)), Some(v4(1)));
    assert_eq!(race.next_attempt(at(5000)), None);
    assert_eq!(race.poll_timeout(), Some(at(5000 + DELAY)));
}

/// The delay is "to avoid congestion collapse" (5): an attempt that has ended burdens nobody.
#[test]
fn rfc_5_a_failure_lets_the_next_attempt_begin_at_once() {
    let mut race = race();
    race.resolved_all([v6(1), v4(1), v6(2), v4(2)], at(0));
    assert_eq!(attempts(&mut race, DELAY), [(0, v6(1)), (DELAY, v4(1))]);
    race.failed(v6(1), "unreachable", at(300));
    assert_eq!(attempts(&mut race, 300), [(300, v6(2))]);
    assert_eq!(race.poll_timeout(), Some(at(300 + DELAY)));
}

#[test]
fn all_failures_are_told_in_their_order() {
    let mut race = race();
    race.resolved_all([v6(1), v4(1)], at(0));
    assert_eq!(order(&mut race), [v6(1), v4(1)]);
    race.failed(v4(1), "refused", at(260));
    assert!(!race.is_over());
    // Told twice, and by a stranger.
    race.failed(v4(1), "again", at(261));
    race.failed(v4(9), "who?", at(262));
    assert!(!race.is_over());
    race.failed(v6(1), "unreachable", at(900));
    assert!(race.is_over());
    assert_eq!(race.poll_timeout(), None);
    assert_eq!(race.into_failures(), [(v4(1), "refused"), (v6(1), "unreachable")]);
}

#[test]
fn a_host_without_addresses_is_over_once_both_answers_are_there() {
    let mut race = race();
    race.resolved(Family::V6, [], at(0));
    assert!(!race.is_over());
    race.resolved(Family::V4, [], at(1));
    assert!(race.is_over());
    assert!(race.failures().is_empty());
}

#[test]
fn a_long_list_is_cut_where_it_is_tried_not_where_it_came() {
    let mut race = Race::new(Config { max_attempts: 3, ..Config::default() });
    race.resolved_all((1..=200).map(v6).chain((1..=200).map(v4)), at(0));
    assert_eq!(order(&mut race), [v6(1), v4(1), v6(2)]);
    for address in [v6(1), v4(1), v6(2)] {
        assert!(!race.is_over());
        race.failed(address, "refused", at(9));
    }
    assert!(race.is_over());
}

#[derive(Clone, Debug)]
enum Happens {
    Resolved(Family, Vec<SocketAddr>),
    ResolvedAll(Vec<SocketAddr>),
    /// The attempt that began as number so and so fails.
    Fails(usize),
    Passes(u64),
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![(1..6_u16).prop_map(v6), (1..6_u8).prop_map(v4)]
}

fn happens() -> impl Strategy<Value = Happens> {
    let family = prop_oneof![Just(Family::V6), Just(Family::V4)];
    let addresses = || prop::collection::vec(address(), 0..6);
    prop_oneof![
        2 => (family, addresses()).prop_map(|(family, list)| Happens::Resolved(family, list)),
        1 => addresses().prop_map(Happens::ResolvedAll),
        4 => (0..8_usize).prop_map(Happens::Fails),
        4 => (0..400_u64).prop_map(Happens::Passes),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each address is tried once at the most; two attempts are
    /// the delay apart unless one failed between them; a deadline that has come means an attempt; and
    /// the race is over exactly when all is answered, tried and failed.
    #[test]
    fn whatever_happens(
        happenings in prop::collection::vec(happens(), 1..60),
        only in prop::option::of(prop_oneof![Just(Family::V6), Just(Family::V4)]),
        max_attempts in 0..8_usize,
    ) {
        let config = Config { only, max_attempts, ..Config::default() };
        let mut race = Race::new(config);
        let (mut now, mut known) = (0, BTreeSet::new());
        let (mut v6_answered, mut v4_answered) = (false, false);
        let mut begun = Vec::<SocketAddr>::new();
        let mut failed = BTreeSet::new();
        let (mut last, mut failed_since) = (None, false);
        for happening in happenings {
            match happening {
                Happens::Resolved(family, list) => {
                    known.extend(list.iter().filter(|address| Family::of(address) == family));
                    v6_answered |= family == Family::V6;
                    v4_answered |= family == Family::V4;
                    race.resolved(family, list, at(now));
                }
                Happens::ResolvedAll(list) => {
                    known.extend(&list);
                    (v6_answered, v4_answered) = (true, true);
                    race.resolved_all(list, at(now));
                }
                Happens::Fails(n) => {
                    if let Some(&address) = begun.get(n) {
                        failed_since |= failed.insert(address);
                        race.failed(address, "failed", at(now));
                    }
                }
                Happens::Passes(millis) => now += millis,
            }
            let due = race.poll_timeout();
            let mut attempt = race.next_attempt(at(now));
            prop_assert_eq!(attempt.is_some(), due.is_some_and(|due| due <= at(now)));
            while let Some(address) = attempt {
                prop_assert!(known.contains(&address) && !begun.contains(&address));
                if let Some(last) = last {
                    prop_assert!(failed_since || now - last >= DELAY);
                }
                begun.push(address);
                (last, failed_since) = (Some(now), false);
                attempt = race.next_attempt(at(now));
            }
            let wanted: BTreeSet<_> =
                known.iter().filter(|it| only.is_none_or(|only| Family::of(it) == only)).collect();
            let answered = (v6_answered || only == Some(Family::V4))
                && (v4_answered || only == Some(Family::V6));
            let used_up = begun.len() == max_attempts.max(1);
            let nothing_left = used_up || answered && wanted.len() == begun.len();
            // A list longer than may be tried is not remembered to its end.
            if known.len() <= max_attempts {
                prop_assert_eq!(race.is_over(), nothing_left && failed.len() == begun.len());
            }
            prop_assert!(begun.len() <= max_attempts.max(1));
            prop_assert_eq!(race.failures().len(), failed.len());
        }
    }
}
