//! What a connection does because time has passed, and what it measures.

use core::time::Duration;
use tidewire::ws::{CloseCode, Closed, Config, Connection, Event, Negotiated, Timer};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

fn at(milliseconds: u64) -> Instant {
    Instant::from_epoch(Duration::from_millis(milliseconds))
}

struct Server {
    conn: Connection,
    rx: RecvBuf,
    tx: SendBuf,
}

impl Server {
    fn new(config: Config) -> Self {
        let conn = Connection::server(config, Negotiated::default(), at(0));
        Self { conn, rx: RecvBuf::with_limit(1 << 16), tx: SendBuf::new() }
    }

    /// Takes bytes, and tells how the connection ended, if it did.
    fn receive(&mut self, now: u64, bytes: &[u8]) -> Option<Closed> {
        assert_eq!(self.rx.push(bytes), bytes.len());
        let mut closed = None;
        while let Some(event) = self.conn.poll_event(at(now), &mut self.rx, &mut self.tx) {
            if let Event::Closed { why, .. } = event {
                assert_eq!(closed.replace(why), None);
            }
        }
        closed
    }

    fn wake(&mut self, now: u64) -> Option<Closed> {
        self.conn.handle_timeout(at(now), &mut self.tx);
        self.receive(now, b"")
    }
}

const MASKED_EMPTY_TEXT: &[u8] = b"\x81\x80\0\0\0\0";

#[test]
fn a_peer_that_is_silent_for_too_long_is_closed_with_1001() {
    let idle_timeout = Some(Duration::from_secs(10));
    let mut server = Server::new(Config { idle_timeout, ..Config::default() });
    assert_eq!(server.conn.next_timer(), Some((at(10_000), Timer::Idle)));
    // Any byte counts, one of a header too.
    assert_eq!(server.receive(7_000, &MASKED_EMPTY_TEXT[..1]), None);
    assert_eq!(server.wake(10_000), None);
    assert_eq!(server.conn.next_timer(), Some((at(17_000), Timer::Idle)));
    assert_eq!(server.wake(17_000), Some(Closed::IdleTimeout));
    assert_eq!(server.tx.chunk(), b"\x88\x02\x03\xE9");
    assert_eq!((server.conn.transport(), server.conn.poll_timeout()), (Transport::Close, None));
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let mut server = Server::new(Config::default());
    server.conn.send_binary(&[0; 100], &mut server.tx).unwrap();
    assert_eq!(server.receive(1_000, b""), None);
    assert_eq!(server.conn.next_timer(), Some((at(31_000), Timer::Write)));
    // It takes a byte: the deadline counts from then.
    server.tx.consume(1);
    assert_eq!(server.receive(5_000, b""), None);
    assert_eq!(server.wake(31_000), None);
    assert_eq!(server.conn.next_timer(), Some((at(35_000), Timer::Write)));
    assert_eq!(server.wake(35_000), Some(Closed::WriteTimeout));
    assert_eq!(server.conn.transport(), Transport::Down);
}

#[test]
fn what_the_transport_keeps_has_the_deadline_of_what_waits() {
    let mut server = Server::new(Config::default());
    server.conn.send_binary(&[0; 100], &mut server.tx).unwrap();
    // As TLS does, it takes all at once, and the peer nothing.
    server.tx.consume(server.tx.len());
    server.tx.transport_keeps(true);
    assert_eq!(server.receive(0, b""), None);
    assert_eq!(server.conn.next_timer(), Some((at(30_000), Timer::Write)));
    // Some of it leaves: the deadline counts from then.
    server.tx.transport_moved();
    assert_eq!(server.receive(20_000, b""), None);
    assert_eq!(server.wake(30_000), None);
    assert_eq!(server.conn.next_timer(), Some((at(50_000), Timer::Write)));
    // It is rid of all, and there is none.
    server.tx.transport_keeps(false);
    assert_eq!((server.receive(21_000, b""), server.conn.poll_timeout()), (None, None));
    server.tx.transport_keeps(true);
    assert_eq!(server.receive(22_000, b""), None);
    assert_eq!(server.conn.next_timer(), Some((at(52_000), Timer::Write)));
    assert_eq!(server.wake(52_000), Some(Closed::WriteTimeout));
}

#[test]
fn no_deadline_stays_when_everything_has_left() {
    let mut server = Server::new(Config::default());
    server.conn.send_binary(&[0; 100], &mut server.tx).unwrap();
    assert_eq!(server.receive(0, b""), None);
    server.tx.consume(server.tx.len());
    assert_eq!(server.receive(1, b""), None);
    assert_eq!(server.conn.poll_timeout(), None);
}

#[test]
fn without_a_wake_in_between_nothing_is_given_up_that_went_on() {
    let mut server = Server::new(Config::default());
    server.conn.send_binary(&[0; 100], &mut server.tx).unwrap();
    assert_eq!(server.receive(0, b""), None);
    server.tx.consume(50);
    assert_eq!(server.wake(30_000), None, "something left, nobody knows when");
    assert_eq!(server.conn.next_timer(), Some((at(60_000), Timer::Write)));
    assert_eq!(server.wake(60_000), Some(Closed::WriteTimeout));
}

fn keepalive() -> Server {
    Server::new(Config {
        ping_interval: Some(Duration::from_secs(10)),
        pong_timeout: Duration::from_secs(5),
        ..Config::default()
    })
}

/// A masked pong to the ping of this number.
fn pong(number: u64) -> Vec<u8> {
    [&b"\x8A\x88\0\0\0\0"[..], &number.to_be_bytes()].concat()
}

/// RFC 6455, 5.5.2: a ping verifies that the peer is still there.
#[test]
fn a_server_finds_out_who_is_gone_and_leaves_the_silent_alone() {
    let mut server = Server::new(Config::server());
    for number in 1..100_u32 {
        let now = u64::from(number) * 30_000;
        assert_eq!(server.conn.poll_timeout(), Some(at(now)));
        assert_eq!(server.wake(now), None);
        server.tx.clear();
        assert_eq!(server.receive(now + 19_000, &pong(u64::from(number))), None);
    }
    assert_eq!(server.wake(3_000_000), None);
    server.tx.clear();
    assert_eq!(server.wake(3_019_999), None);
    assert_eq!(server.wake(3_020_000), Some(Closed::PongTimeout));
}

#[test]
fn the_pong_to_the_latest_ping_measures_the_round_trip() {
    let mut server = keepalive();
    assert_eq!(server.conn.round_trip(), None);
    assert_eq!(server.wake(10_000), None);
    server.tx.clear();
    assert_eq!(server.receive(10_040, &pong(1)), None);
    assert_eq!(server.conn.round_trip(), Some(Duration::from_millis(40)));
    assert_eq!(server.wake(20_000), None);
    server.tx.clear();
    // Not asked for, and an answer that comes twice: neither is one to this ping.
    assert_eq!(server.receive(20_010, &pong(7)), None);
    assert_eq!(server.receive(20_020, &pong(1)), None);
    assert_eq!(server.conn.round_trip(), Some(Duration::from_millis(40)));
    assert_eq!(server.receive(20_030, &pong(2)), None);
    assert_eq!(server.conn.round_trip(), Some(Duration::from_millis(30)));
}

#[test]
fn the_time_in_our_own_queue_is_no_round_trip() {
    let mut server = keepalive();
    server.conn.send_binary(&[0; 1000], &mut server.tx).unwrap();
    assert_eq!(server.wake(10_000), None);
    server.tx.consume(1);
    assert_eq!(server.receive(12_000, b""), None);
    server.tx.consume(server.tx.len());
    assert_eq!(server.receive(12_001, b""), None);
    assert_eq!(server.receive(12_050, &pong(1)), None);
    assert_eq!(server.conn.round_trip(), Some(Duration::from_millis(50)));
}

#[test]
fn while_bytes_ahead_of_a_ping_leave_no_answer_is_missing() {
    let mut server = keepalive();
    server.conn.send_binary(&[0; 1000], &mut server.tx).unwrap();
    assert_eq!(server.wake(10_000), None);
    for second in [12, 14, 15] {
        server.tx.consume(10);
        assert_eq!(server.receive(second * 1000, b""), None);
    }
    assert_eq!(server.wake(15_000), None);
    assert_eq!(server.conn.next_timer(), Some((at(20_000), Timer::Pong)));
    // Nothing is taken, nothing is heard: what was ahead of it is no excuse.
    assert_eq!(server.wake(20_000), Some(Closed::PongTimeout));
}

#[test]
fn later_pings_are_no_excuse_for_an_answer_that_is_missing() {
    let mut server = Server::new(Config {
        ping_interval: Some(Duration::from_secs(1)),
        pong_timeout: Duration::from_millis(3_500),
        ..Config::default()
    });
    for second in 1..=4 {
        assert_eq!(server.wake(second * 1_000), None);
        server.tx.clear();
        assert_eq!(server.receive(second * 1_000, b""), None);
    }
    assert_eq!(server.wake(4_500), Some(Closed::PongTimeout));
}

#[test]
fn closing_ends_the_other_deadlines() {
    let mut server = Server::new(Config {
        idle_timeout: Some(Duration::from_secs(1)),
        ping_interval: Some(Duration::from_secs(1)),
        ..Config::default()
    });
    server.conn.close(CloseCode::NORMAL, "", at(0), &mut server.tx).unwrap();
    assert_eq!(server.receive(0, b""), None);
    assert_eq!(server.conn.next_timer(), Some((at(5_000), Timer::Close)));
    assert_eq!(server.wake(5_000), Some(Closed::CloseTimeout));
}

#[test]
fn pings_do_not_pile_up_before_a_peer_that_talks_and_takes_nothing() {
    let config = Config {
        ping_interval: Some(Duration::from_secs(10)),
        write_timeout: None,
        send_high_water: 100,
        ..Config::default()
    };
    let mut server = Server::new(config);
    server.conn.send_binary(&[0; 100], &mut server.tx).unwrap();
    for seconds in (10..1_000).step_by(10) {
        assert_eq!(server.wake(seconds * 1_000), None);
        assert_eq!(server.receive(seconds * 1_000 + 1, MASKED_EMPTY_TEXT), None);
    }
    assert_eq!(server.tx.len(), 2 + 100 + 2 + 8);
    // When it falls silent as well, the ping that waits is the one that has no answer.
    assert_eq!(server.wake(1_000_000), None);
    assert_eq!(server.conn.next_timer(), Some((at(1_010_000), Timer::Ping)));
    assert_eq!(server.wake(1_010_000), None);
    assert_eq!(server.wake(1_020_000), Some(Closed::PongTimeout));
}
