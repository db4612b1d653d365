//! The client that reconnects: what each attempt tells, and when the next one comes.

mod ws_client_support;

use core::time::Duration;
use proptest::prelude::*;
use tidewire::reconnect::Policy;
use tidewire::ws::handshake::Refusal;
use tidewire::ws::{
    Client, ClientClosed, ClientConfig, ClientError, ClientEvent, ClientTimer, CloseCode, Closed,
    Config, Initiator, SendError, Status, Timer, Traffic, WhileDown,
};
use tidewire::{DialError, Transport};
use ws_client_support::{End, at, millis, read};

fn manual() -> End {
    End::new(ClientConfig::default())
}

#[test]
fn an_attempt_connects_opens_and_carries_messages() {
    let mut end = manual();
    assert_eq!(end.client.status(), Status::Connecting);
    assert_eq!((end.client.target().host(), end.client.target().port()), ("h", 80));
    end.connect();
    assert_eq!(end.client.status(), Status::Opening);
    let (answer, _) = end.answer();
    // A frame in the same segment comes right after the open event.
    let events = end.receive(&[&answer[..], b"\x81\x02hi"].concat());
    assert_eq!(events, ["connected", "open 101", "text hi"]);
    assert_eq!(end.client.status(), Status::Open);
}

#[test]
fn byte_by_byte_gives_the_same_events() {
    let mut end = manual();
    end.connect();
    let (answer, _) = end.answer();
    let bytes = [&answer[..], b"\x81\x02hi\x88\x05\x03\xE9bye"].concat();
    let mut events = Vec::new();
    for byte in bytes {
        events.extend(end.receive(&[byte]));
    }
    end.rx.finish();
    events.extend(end.events());
    assert_eq!(events, ["connected", "open 101", "text hi", "closed 1001 \"bye\" true"]);
}

#[test]
fn messages_that_came_together_are_announced_again() {
    let mut end = manual();
    end.connect();
    let (answer, _) = end.answer();
    assert_eq!(end.receive(&answer), ["connected", "open 101"]);
    assert_eq!(end.rx.push(b"\x81\x01a\x81\x01b\x89\x00"), 8);
    let End { client, rx, tx, now, .. } = &mut end;
    assert!(!client.advance_again(rx), "what has just come is looked at with the time");
    assert!(client.advance(*now, rx, tx));
    assert!(matches!(client.event(*now, rx, tx), Some(ClientEvent::Text("a"))));
    assert!(client.advance_again(rx));
    assert!(!client.advance_again(rx), "it is announced");
    assert!(matches!(client.event(*now, rx, tx), Some(ClientEvent::Text("b"))));
    assert!(!client.advance_again(rx), "a ping is answered");
    assert!(client.advance(*now, rx, tx));
    assert!(matches!(client.event(*now, rx, tx), Some(ClientEvent::Ping(b""))));
}

#[test]
fn what_was_sent_before_the_handshake_finished_leaves_first_and_in_order() {
    let mut end = manual();
    end.client.send_text("one", &mut end.tx).unwrap();
    end.connect();
    end.client.send_text("two", &mut end.tx).unwrap();
    let (answer, _) = end.answer();
    assert_eq!(end.rx.push(&answer), answer.len());
    while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
        match event {
            ClientEvent::Connected => end.client.send_text("three", &mut end.tx).unwrap(),
            ClientEvent::Open(_) => end.client.send_text("four", &mut end.tx).unwrap(),
            _ => {}
        }
    }
    assert_eq!(read(&end.sent()), ["one", "two", "three", "four"]);
}

#[test]
fn what_is_kept_is_bounded_and_survives_a_failed_attempt() {
    let connection = Config { send_high_water: 100, send_low_water: 50, ..Config::default() };
    let while_down = WhileDown::Queue { bytes: 100 };
    let mut end = End::new(ClientConfig { connection, while_down, ..ClientConfig::default() });
    let mut kept = 0;
    while end.client.send_text("x", &mut end.tx).is_ok() {
        kept += 1;
    }
    assert!((1..=100).contains(&kept));
    assert_eq!(end.client.send_text("x", &mut end.tx), Err(SendError::Full));
    assert_eq!(end.client.send_ping(&[0; 126], &mut end.tx), Err(SendError::ControlTooLong));
    end.client.dial_failed(end.now, DialError::Connect);
    end.events();
    assert!(end.client.reconnect(Duration::ZERO, end.now));
    end.connect();
    let (answer, _) = end.answer();
    assert_eq!(end.receive(&answer), ["connected", "open 101", "drained"]);
    assert_eq!(read(&end.sent()), vec!["x"; kept]);
}

#[test]
fn a_refused_port_is_one_error_then_one_closed() {
    let mut end = manual();
    end.client.dial_failed(end.now, DialError::Connect);
    assert_eq!(end.client.transport(), Transport::Down);
    let events = end.events();
    assert_eq!(events, ["error no address accepted the connection", "closed 1006 \"\" false"]);
    assert_eq!((end.events(), end.client.status()), (vec![], Status::Idle));
    assert_eq!((end.client.poll_timeout(), end.client.transport()), (None, Transport::Down));
    assert_eq!(end.client.send_text("x", &mut end.tx), Err(SendError::Closing));
}

#[test]
fn a_refused_handshake_is_one_error_with_head_and_body_then_one_closed() {
    let mut end = manual();
    end.connect();
    assert_eq!(end.events(), ["connected"]);
    let answer = b"HTTP/1.1 403 Forbidden\r\nX: y\r\nContent-Length: 2\r\n\r\nno";
    assert_eq!(end.rx.push(answer), answer.len());
    match end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
        Some(ClientEvent::Error(ClientError::Handshake { why, head: Some(head), body })) => {
            assert!(matches!(why, Refusal::Status(status) if status.code() == 403));
            assert_eq!(head.as_head().headers.get("x"), Some(&b"y"[..]));
            assert_eq!(body, b"no");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(end.events(), ["closed 1006 \"\" false"]);
    assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Down));
}

#[test]
fn each_phase_has_its_timeout() {
    let mut end = manual();
    assert_eq!(end.client.next_timer(), Some((at(30_000), ClientTimer::Connect)));
    end.timeout(at(30_000));
    let events = end.events();
    assert_eq!(events, ["error the connection was not up in time", "closed 1006 \"\" false"]);
    // The transport that comes too late is not wanted.
    end.client.connected(end.now, &mut end.tx);
    assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Down));

    assert!(end.client.reconnect(Duration::ZERO, end.now));
    end.connect();
    assert_eq!(end.client.next_timer(), Some((at(40_000), ClientTimer::Handshake)));
    end.timeout(at(40_000));
    assert_eq!(end.events(), ["connected", "error no answer in time", "closed 1006 \"\" false"]);
}

#[test]
fn reconnect_makes_the_next_attempt_that_much_later_with_options_kept_and_a_fresh_key() {
    let mut end = manual();
    end.connect();
    let (answer, first) = end.answer();
    end.receive(&answer);
    end.now = at(500);
    // Half a message never reaches the next connection.
    end.receive(b"\x01\x04half\x81");
    end.rx.finish();
    let mut closed = 0;
    while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
        if let ClientEvent::Closed { .. } = event {
            closed += 1;
            assert!(end.client.reconnect(Duration::from_nanos(1_500_000_001), end.now));
            // Two calls make one attempt, and the last one counts.
            assert!(end.client.reconnect(millis(1000), end.now));
        }
    }
    assert_eq!(closed, 1);
    assert_eq!(end.client.status(), Status::Waiting { until: at(1500) });
    assert_eq!(end.client.next_timer(), Some((at(1500), ClientTimer::Reconnect)));
    assert_eq!(end.client.transport(), Transport::Down);
    end.client.send_text("early", &mut end.tx).unwrap();
    end.timeout(at(1499));
    assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Down));
    end.timeout(at(1500));
    end.connect();
    let (answer, second) = end.answer();
    let key = |request: &[u8]| {
        let text = String::from_utf8(request.to_vec()).unwrap();
        assert!(text.contains("\r\nX-Mark: kept\r\n"));
        text.split_once("Sec-WebSocket-Key: ").unwrap().1[..24].to_owned()
    };
    assert_ne!(key(&first), key(&second));
    assert_eq!(end.receive(&answer), ["connected", "open 101"]);
    assert_eq!(end.receive(b"\x81\x02ok"), ["text ok"]);
    assert_eq!(read(&end.sent()), ["early"]);
}

#[test]
fn reconnect_at_once_is_due_at_once_and_does_not_recurse() {
    let mut end = manual();
    for attempt in 1..=1000 {
        assert_eq!(end.client.attempts(), attempt);
        end.client.dial_failed(end.now, DialError::Resolve);
        while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
            if let ClientEvent::Closed { .. } = event {
                assert!(end.client.reconnect(Duration::ZERO, end.now));
            }
        }
        assert_eq!(end.client.transport(), Transport::Dial);
    }
}

#[test]
fn reconnect_does_nothing_while_there_is_a_connection_and_works_much_later() {
    let mut end = manual();
    end.open();
    assert!(!end.client.reconnect(Duration::ZERO, end.now));
    end.rx.finish();
    assert_eq!(end.events(), ["closed 1006 \"\" false"]);
    end.now = at(1_000_000);
    assert!(end.client.reconnect(millis(1), end.now));
    end.timeout(at(1_000_001));
    end.open();
}

#[test]
fn close_before_connected_is_one_closed_and_no_transport() {
    for connected in [false, true] {
        let mut end = manual();
        end.client.send_text("x", &mut end.tx).unwrap();
        if connected {
            end.connect();
        }
        end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
        assert_eq!((end.client.transport(), end.client.poll_timeout()), (Transport::Down, None));
        assert_eq!(end.events(), ["closed 1006 \"\" false"]);
        assert_eq!((end.events(), end.client.status()), (vec![], Status::Idle));
        end.client.connected(end.now, &mut end.tx);
        end.client.dial_failed(end.now, DialError::Tls);
        assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Down));
    }
}

#[test]
fn close_and_cancel_cancel_what_is_scheduled_without_another_event() {
    for cancel in [false, true] {
        let reconnect = Some(Policy::fixed(millis(1000)));
        let mut end = End::new(ClientConfig { reconnect, ..ClientConfig::default() });
        end.client.dial_failed(end.now, DialError::Connect);
        end.events();
        assert_eq!(end.client.status(), Status::Waiting { until: at(1000) });
        if cancel {
            end.client.cancel();
        } else {
            end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
        }
        assert_eq!((end.client.status(), end.client.poll_timeout()), (Status::Idle, None));
        end.timeout(at(2000));
        assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Down));
    }
}

#[test]
fn close_of_an_open_connection_is_clean_and_ends_the_policy() {
    let reconnect = Some(Policy::fixed(millis(1000)));
    let mut end = End::new(ClientConfig { reconnect, ..ClientConfig::default() });
    end.open();
    end.client.close(CloseCode::NORMAL, "bye", end.now, &mut end.tx).unwrap();
    assert_eq!((end.client.status(), end.client.transport()), (Status::Closing, Transport::Open));
    assert_eq!(end.client.next_timer(), Some((at(5000), ClientTimer::Connection(Timer::Close))));
    assert_eq!(end.receive(b"\x88\x05\x03\xE8bye"), Vec::<String>::new());
    end.rx.finish();
    assert_eq!(end.events(), ["closed 1000 \"bye\" true"]);
    assert_eq!((end.client.status(), end.client.poll_timeout()), (Status::Idle, None));
    let bad = end.client.close(CloseCode::ABNORMAL, "", end.now, &mut end.tx);
    assert!(bad.is_err());
}

#[test]
fn cancel_hangs_up_at_once() {
    let mut end = manual();
    end.open();
    assert_eq!(end.rx.push(b"\x81\x02hi"), 4);
    assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
    end.client.cancel();
    assert_eq!(end.client.transport(), Transport::Down);
    assert_eq!(end.events(), ["closed 1006 \"\" false"]);
    assert!(end.rx.is_empty());
}

#[test]
fn the_policy_reconnects_by_itself_and_only_a_stable_connection_resets_it() {
    let policy = Policy::exponential(millis(1000), millis(60_000)).jitter(0.0);
    let mut end = End::new(ClientConfig {
        reconnect: Some(policy.stable_after(millis(10_000))),
        ..ClientConfig::default()
    });
    let mut waits = Vec::new();
    let mut wait = |end: &mut End| {
        let Status::Waiting { until } = end.client.status() else { panic!() };
        waits.push((until - end.now).as_millis());
        end.timeout(until);
    };
    end.client.dial_failed(end.now, DialError::Connect);
    end.events();
    wait(&mut end);
    // Opened and lost at once: the wait grows on.
    end.open();
    end.rx.finish();
    assert_eq!(end.events(), ["closed 1006 \"\" false"]);
    wait(&mut end);
    end.connect();
    end.receive(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n");
    wait(&mut end);
    // Stable: it starts again.
    end.open();
    end.now += millis(10_000);
    end.rx.finish();
    end.events();
    wait(&mut end);
    assert_eq!(waits, [1000, 2000, 4000, 1000]);
}

#[test]
fn a_broken_rule_ends_the_connection_with_the_close_frame_still_to_be_written() {
    let mut end = manual();
    end.open();
    assert_eq!(end.receive(b"\x83\0"), ["closed 1006 \"\" false"]);
    assert_eq!(end.sent()[0], 0x88);
}

#[test]
fn a_crossing_of_closed_and_close_stays_one_closed() {
    let mut end = manual();
    end.open();
    end.rx.finish();
    assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
    end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
    assert_eq!(end.events(), ["closed 1006 \"\" false"]);
    let why =
        ClientClosed::Ended(Closed::Clean { code: CloseCode::NORMAL, initiator: Initiator::Local });
    assert_eq!((why.code(), why.is_clean()), (CloseCode::NORMAL, true));
}

#[test]
fn the_counters_sum_all_connections_however_they_end() {
    let mut end = manual();
    let seen = |end: &End| {
        let (stats, traffic) = (end.client.stats(), |it: Traffic| (it.frames, it.messages));
        (traffic(stats.sent), traffic(stats.received), stats.reconnects)
    };
    for round in 0..4_u64 {
        end.client.reconnect(Duration::ZERO, end.now);
        end.open();
        end.client.send_text("one", &mut end.tx).unwrap();
        // The pong is a frame as well.
        assert_eq!(end.receive(b"\x81\x02hi\x89\0"), ["text hi", "Ping([])"]);
        let n = round + 1;
        let expected = ((2 * n, n), (2 * n, n), round);
        assert_eq!(seen(&end), expected);
        if round % 2 == 0 {
            end.rx.fail();
        } else {
            end.client.cancel();
        }
        end.events();
        assert!(end.client.connection().is_none());
        assert_eq!(seen(&end), expected);
        // An attempt that fails changes nothing.
        end.client.reconnect(Duration::ZERO, end.now);
        end.client.dial_failed(end.now, DialError::Connect);
        end.events();
        assert_eq!(seen(&end), expected);
    }
}

#[test]
fn a_client_that_is_open_takes_little_more_than_its_connection() {
    // With `tracing` come the spans of itself, the handshake and the connection.
    let most = if cfg!(feature = "tracing") { 2816 } else { 2688 };
    assert!(size_of::<Client>() <= most, "{}", size_of::<Client>());
}

/// What an attempt has told so far.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Nothing,
    /// That an attempt is due, if that is wanted.
    Attempt,
    Connected,
    Open,
    Error,
}

proptest! {
    /// Whatever is done in whatever order: each attempt tells its events in order and ends once, a
    /// deadline that has passed is acted on, memory stays bounded, and nothing is ever stuck.
    #[test]
    fn any_order_of_calls_keeps_the_order_of_events(
        steps in proptest::collection::vec((0..16_u8, 0..1000_u64), 0..120),
        automatic: bool,
        announce: bool,
        drop_oldest: bool,
    ) {
        let connection = Config {
            ping_interval: Some(millis(300)),
            pong_timeout: millis(200),
            send_high_water: 500,
            send_low_water: 100,
            ..Config::default()
        };
        let reconnect = automatic.then(|| Policy::fixed(millis(50)));
        let connect_timeout = Some(millis(700));
        let bytes = 500;
        let while_down =
            if drop_oldest { WhileDown::DropOldest { bytes } } else { WhileDown::Queue { bytes } };
        let mut end = End::new(ClientConfig {
            connection, reconnect, connect_timeout, while_down, announce,
            ..ClientConfig::default()
        });
        let between = if announce { Told::Nothing } else { Told::Attempt };
        let mut told = between;
        for (step, n) in steps {
            match step {
                0 | 1 => {
                    let dial = end.client.transport() == Transport::Dial;
                    if dial {
                        end.rx.clear();
                        end.tx.clear();
                    }
                    end.client.connected(end.now, &mut end.tx);
                    if dial && n < 900 {
                        let (answer, _) = end.answer();
                        prop_assert_eq!(end.rx.push(&answer[..answer.len().min(n as usize)]),
                            answer.len().min(n as usize));
                    }
                }
                2 if n < 300 => end.client.dial_failed(end.now, DialError::Connect),
                3 => { let _ = end.rx.push(b"\x81\x02hi"); }
                4 => { let _ = end.rx.push(b"\x01\x04ha"); }
                5 if n < 300 => { let _ = end.rx.push(b"\x88\x02\x03\xE8"); }
                6 if n < 200 => end.rx.finish(),
                7 => { let _ = end.client.send_text("x", &mut end.tx); }
                8 if n < 200 => {
                    let _ = end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx);
                }
                9 if n < 100 => end.client.cancel(),
                10 => { end.client.reconnect(millis(n / 10), end.now); }
                11 => { end.tx.consume(end.tx.len().min(n as usize)); }
                12 => { end.client.advance(end.now, &mut end.rx, &mut end.tx); }
                _ => end.now += millis(n / 5),
            }
            let due = end.client.poll_timeout().is_some_and(|at| at <= end.now);
            end.timeout(end.now);
            if due && end.client.poll_timeout().is_some_and(|at| at <= end.now) {
                prop_assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
            }
            if step == 13 {
                continue;
            }
            while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
                told = match (told, event) {
                    // Once more if it was put off.
                    (Told::Nothing | Told::Attempt, ClientEvent::Attempt) if announce => Told::Attempt,
                    (Told::Attempt, ClientEvent::Connected) => Told::Connected,
                    (Told::Connected, ClientEvent::Open(_)) => Told::Open,
                    (Told::Attempt | Told::Connected, ClientEvent::Error(_)) => Told::Error,
                    (Told::Error, ClientEvent::Closed { why: ClientClosed::Failed, .. })
                    | (Told::Open, ClientEvent::Closed { why: ClientClosed::Ended(_), .. })
                    | (_, ClientEvent::Closed { why: ClientClosed::Cancelled, .. }) => between,
                    (Told::Open, ClientEvent::Text(text)) => {
                        prop_assert!(text == "hi" || text.starts_with("ha"));
                        Told::Open
                    }
                    (Told::Open, ClientEvent::Drained | ClientEvent::Dropped { .. }) => Told::Open,
                    (told, event) => panic!("{event:?} after {told:?}"),
                };
            }
            prop_assert!(end.tx.len() < 1000);
            match end.client.status() {
                Status::Idle | Status::Waiting { .. } => {
                    prop_assert_eq!(end.client.transport(), Transport::Down);
                    prop_assert!(matches!(told, Told::Nothing | Told::Attempt) && end.rx.is_empty());
                }
                Status::Connecting => prop_assert_eq!(end.client.transport(), Transport::Dial),
                _ => {}
            }
        }
    }
}

#[test]
fn a_peer_lives_that_is_heard_while_an_event_waits() {
    // Whoever only sends takes no events.
    let ping_interval = Some(Duration::from_secs(10));
    let mut end = End::new(Config { ping_interval, ..Config::default() }.into());
    end.open();
    assert_eq!(end.rx.push(b"\x81\x02hi"), 4);
    assert!(end.client.advance(at(1_000), &mut end.rx, &mut end.tx));
    end.timeout(at(10_000));
    assert_eq!(end.client.next_timer().unwrap().1, ClientTimer::Connection(Timer::Ping));
    assert_eq!(end.rx.push(b"\x8a\0"), 2);
    assert!(end.client.advance(at(11_000), &mut end.rx, &mut end.tx));
    end.sent();
    end.timeout(at(30_000));
    assert_eq!(end.events(), ["text hi", "Pong([])"]);
    assert_eq!(end.client.status(), Status::Open);
}

#[test]
fn the_time_to_connect_counts_from_when_a_transport_is_asked_for() {
    let reconnect = Some(Policy::fixed(Duration::ZERO));
    let mut end = End::new(ClientConfig { reconnect, ..ClientConfig::default() });
    end.client.dial_failed(at(0), DialError::Connect);
    // The next attempt is due, but its owner looks at the last one for long.
    end.timeout(at(31_000));
    assert_eq!(end.events().len(), 2, "an error and its Closed");
    assert_eq!(end.client.transport(), Transport::Dial);
    assert_eq!(end.client.next_timer(), Some((at(61_000), ClientTimer::Connect)));
}
