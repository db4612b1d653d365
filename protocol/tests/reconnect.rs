//! Reconnection in virtual time.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::reconnect::{Attempt, Policy, Reconnector};
use tidewire::{Instant, Seed};

fn at(seconds: f64) -> Instant {
    Instant::EPOCH + Duration::from_secs_f64(seconds)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn reconnector(policy: impl Into<Option<Policy>>) -> Reconnector {
    Reconnector::new(policy.into(), &Seed::new([1; 32]))
}

/// Fails every attempt at once and returns the first `n` waits.
fn waits(policy: Policy, n: usize) -> Vec<Duration> {
    let mut r = reconnector(policy);
    let mut now = Instant::EPOCH;
    let fail = |_| {
        let next = r.closed(now).unwrap();
        let wait = next.saturating_since(now);
        now = next;
        assert_eq!(r.handle_timeout(now), !wait.is_zero());
        assert_eq!(r.attempt(), Attempt::Due);
        r.started();
        wait
    };
    (0..n).map(fail).collect()
}

#[test]
fn a_fixed_wait_is_exact_every_time() {
    assert_eq!(waits(Policy::fixed(seconds(1.0)), 3), [seconds(1.0); 3]);
    let odd = Duration::new(1, 234_567_891);
    assert_eq!(waits(Policy::fixed(odd), 3), [odd; 3]);
}

#[test]
fn an_exponential_wait_grows_up_to_its_maximum() {
    let policy = Policy::exponential(seconds(1.0), seconds(10.0)).jitter(0.0);
    assert_eq!(waits(policy, 6), [1.0, 2.0, 4.0, 8.0, 10.0, 10.0].map(seconds));
    assert_eq!(waits(policy.multiplier(1.5), 3), [1.0, 1.5, 2.25].map(seconds));
    assert_eq!(waits(policy.multiplier(f64::NAN), 2), [1.0, 1.0].map(seconds));
    assert_eq!(waits(policy.multiplier(f64::INFINITY), 3), [1.0, 10.0, 10.0].map(seconds));
}

#[test]
fn a_policy_gives_up_when_its_time_is_over_and_a_connection_that_counts_gives_it_anew() {
    let policy = Policy::fixed(seconds(1.0)).max_elapsed(seconds(2.0)).stable_after(seconds(10.0));
    let mut r = reconnector(policy);
    assert_eq!(r.closed(at(5.0)), Some(at(6.0)));
    assert_eq!(r.closed(at(6.0)), Some(at(7.0)));
    // The next one would begin at 7.5, which is 2.5 s after the first failure.
    assert_eq!((r.closed(at(6.5)), r.attempt()), (None, Attempt::Idle));
    // One that does not last changes nothing; one that does, and progress, do.
    r.opened(at(20.0));
    assert_eq!(r.closed(at(21.0)), None);
    r.opened(at(30.0));
    assert_eq!(r.closed(at(40.0)), Some(at(41.0)));
    r.progress();
    assert_eq!(r.closed(at(43.0)), Some(at(44.0)));
    // What is asked for by hand is not the policy's.
    r.schedule(seconds(100.0), at(44.0));
    assert_eq!(r.attempt(), Attempt::Waiting(at(144.0)));
}

#[test]
fn explicit_calls_make_one_attempt_and_the_last_one_counts() {
    let mut r = reconnector(Policy::fixed(seconds(5.0)));
    r.closed(at(0.0));
    r.schedule(seconds(1.0), at(0.0));
    r.schedule(seconds(1.25), at(0.0));
    assert_eq!(r.poll_timeout(), Some(at(1.25)));
    assert!(!r.handle_timeout(at(1.0)));
    assert!(r.handle_timeout(at(1.25)));
    assert_eq!(r.count(), 1);
    r.started();
    assert!(!r.handle_timeout(at(9.0)), "one attempt, not two");
}

#[test]
fn zero_means_at_once_and_cancel_means_never() {
    let mut r = reconnector(None);
    assert_eq!(r.closed(at(0.0)), None);
    assert_eq!(r.attempt(), Attempt::Idle);
    r.schedule(Duration::ZERO, at(0.0));
    r.schedule(Duration::ZERO, at(0.0));
    assert_eq!((r.attempt(), r.count(), r.poll_timeout()), (Attempt::Due, 1, None));
    r.cancel();
    r.schedule(seconds(1.0), at(0.0));
    r.cancel();
    assert_eq!(r.attempt(), Attempt::Idle);
    assert!(!r.handle_timeout(at(9.0)));
}

#[test]
fn an_explicit_wait_overrides_a_policy_that_wants_to_start_at_once() {
    let mut r = reconnector(Policy::fixed(Duration::ZERO));
    r.closed(at(0.0));
    assert_eq!(r.attempt(), Attempt::Due);
    r.schedule(seconds(1.0), at(0.0));
    assert_eq!(r.attempt(), Attempt::Waiting(at(1.0)));
}

#[test]
fn only_a_connection_that_lasted_or_was_useful_ends_a_row_of_failures() {
    let policy = Policy::exponential(seconds(1.0), seconds(60.0)).jitter(0.0);
    let mut r = reconnector(policy.stable_after(seconds(10.0)));
    assert_eq!(r.closed(at(0.0)), Some(at(1.0)));
    // Opens and ends at once: the row goes on.
    r.opened(at(1.0));
    assert_eq!(r.closed(at(1.0)), Some(at(3.0)));
    // Lasts.
    r.opened(at(3.0));
    assert_eq!(r.closed(at(13.0)), Some(at(14.0)));
    assert_eq!(r.closed(at(14.0)), Some(at(16.0)));
    // Is useful.
    r.opened(at(16.0));
    r.progress();
    assert_eq!(r.closed(at(16.0)), Some(at(17.0)));
    // A long wait without a connection is not a long connection.
    assert_eq!(r.closed(at(99.0)), Some(at(101.0)));
}

#[test]
fn attempts_are_counted_from_the_last_useful_connection() {
    let mut r = reconnector(Policy::fixed(seconds(1.0)).max_attempts(2));
    assert!(r.closed(at(0.0)).is_some());
    assert!(r.closed(at(1.0)).is_some());
    assert_eq!(r.closed(at(2.0)), None);
    assert_eq!(r.attempt(), Attempt::Idle);
    // Asking goes on working, and success starts the count again.
    r.schedule(seconds(1.0), at(2.0));
    assert!(r.handle_timeout(at(3.0)));
    r.started();
    r.progress();
    assert!(r.closed(at(4.0)).is_some());
}

#[test]
fn the_peer_can_set_the_wait() {
    let mut r = reconnector(Policy::fixed(seconds(3.0)));
    r.set_first(Duration::from_millis(1234));
    assert_eq!(r.closed(at(0.0)), Some(at(1.234)));

    let mut r = reconnector(Policy::exponential(seconds(1.0), seconds(4.0)).jitter(0.0));
    r.set_first(seconds(3.0));
    assert_eq!(r.closed(at(0.0)), Some(at(3.0)));
    assert_eq!(r.closed(at(3.0)), Some(at(7.0)));
}

#[test]
fn a_connection_that_was_left_did_not_last_until_the_next_end() {
    // It was left after a second, and the attempt that followed failed.
    let policy = Policy::exponential(seconds(1.0), seconds(60.0)).jitter(0.0);
    let mut r = reconnector(policy.stable_after(seconds(10.0)));
    assert_eq!(r.closed(at(0.0)), Some(at(1.0)));
    r.opened(at(1.0));
    r.schedule(Duration::ZERO, at(2.0));
    r.started();
    assert_eq!(r.closed(at(20.0)), Some(at(22.0)));
}

#[test]
fn a_long_wait_that_the_peer_took_back_leaves_the_maximum_as_it_was() {
    let mut r = reconnector(Policy::exponential(seconds(1.0), seconds(4.0)).jitter(0.0));
    r.set_first(seconds(3600.0));
    assert_eq!(r.closed(at(0.0)), Some(at(3600.0)));
    r.set_first(seconds(1.0));
    for _ in 0..10 {
        assert_eq!(r.closed(at(0.0)), Some(at(4.0)));
    }
}

proptest! {
    /// What the peer asked for is the least; chance has its part of each wait all the same, so that
    /// clients that were told the same time do not come back in the same instant.
    #[test]
    fn chance_does_not_undercut_the_peer(jitter in 0.1..=1.0_f64, byte in any::<u8>()) {
        let policy = Policy::exponential(seconds(1.0), seconds(60.0)).jitter(jitter);
        let mut r = Reconnector::new(Some(policy), &Seed::new([byte; 32]));
        r.set_first(seconds(3.0));
        for plain in [3.0, 6.0, 12.0, 24.0, 48.0, 60.0, 60.0] {
            let wait = r.closed(at(0.0)).unwrap().since_epoch().as_secs_f64();
            let least = (plain * (1.0 - jitter)).max(3.0);
            prop_assert!(least - 1e-6 <= wait && wait <= least + plain * jitter + 1e-6);
            prop_assert!(wait != 3.0, "no chance at all");
        }
    }

    /// Chance shortens a wait by no more than its part, and the same seed chooses the same.
    #[test]
    fn jitter_stays_in_its_part(jitter in 0.0..=1.0_f64, byte in any::<u8>()) {
        let policy = Policy::exponential(seconds(1.0), seconds(10.0)).jitter(jitter);
        let plain = waits(policy.jitter(0.0), 8);
        let run = || {
            let mut r = Reconnector::new(Some(policy), &Seed::new([byte; 32]));
            (0..8).map(|_| r.closed(at(0.0)).unwrap().since_epoch()).collect::<Vec<_>>()
        };
        let chosen = run();
        prop_assert_eq!(&chosen, &run());
        for (chosen, plain) in chosen.iter().zip(&plain) {
            let least = plain.as_secs_f64() * (1.0 - jitter) - 1e-6;
            prop_assert!(*chosen <= *plain && chosen.as_secs_f64() >= least);
        }
    }
}
