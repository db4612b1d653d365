//! When it tries again, and how long it waits for anything (WHATWG HTML, 9.2.3).

use crate::support::*;

/// 9.2.2: a reconnection time of some seconds to begin with. 9.2.3: with failures it may grow.
#[test]
fn the_first_wait_is_a_few_seconds_and_grows_with_each_failure_in_a_row() {
    let mut net = Net::new(request("http://h/"), SourceConfig::default());
    let mut waits = Vec::new();
    for _ in 0..8 {
        net.connect();
        net.hang_up();
        waits.push(net.sleep().0);
    }
    for (wait, most) in waits.iter().zip([3, 6, 12, 24, 48, 60, 60, 60].map(Duration::from_secs)) {
        assert!(most / 2 <= *wait && *wait <= most, "{waits:?}");
    }
    // 9.2.6: whatever chance makes of it, the server's wish is the least.
    for _ in 0..8 {
        let wait = net.stream("retry: 4000\n");
        assert!(wait >= ms(4000) && wait <= ms(90_000), "{wait:?}");
    }
    let mut net = Net::new(request("http://h/"), SourceConfig::default());
    let wait = net.stream("retry: 10000\ndata\n\n");
    assert!(ms(10_000) < wait && wait <= ms(15_000), "{wait:?}");
}

/// 9.2.6: a value of ASCII digits alone is the new reconnection time, in base ten; another one means
/// nothing.
#[test]
fn retry_sets_the_wait_if_it_is_a_number_and_within_bounds() {
    let mut net = Net::simple();
    for (stream, wait) in [
        ("", 3000),
        ("retry: 4321\n", 4321),
        ("", 4321), // it stays
        ("retry:1\n", 100),
        ("retry: 0500\n", 500),
        ("retry: 0\n", 100),
        ("retry: 200\ndata: x\n\nretry: 300\n", 300),
        // Not digits alone, so it stays as it is.
        ("retry: x\n", 300),
        ("retry: 1000x\n", 300),
        ("retry:  1000\n", 300),
        ("retry: 1000 \n", 300),
        ("retry: +1000\n", 300),
        ("retry: -1000\n", 300),
        ("retry: 1e3\n", 300),
        ("retry: 1.5\n", 300),
        ("retry: \u{661}000\n", 300),
        ("retry\n", 300),
        ("retry:\n", 300),
        ("Retry: 1000\n", 300),
        // No line yet.
        ("retry: 1000", 300),
        ("retry: 99999999999999999999\n", 86_400_000),
    ] {
        assert_eq!(net.stream(stream), ms(wait), "{stream:?}");
    }
}

#[test]
fn the_bounds_of_retry_are_the_callers() {
    let config = SourceConfig { min_retry: Duration::ZERO, max_retry: ms(5), ..plain() };
    let mut net = Net::new(request("http://h/"), config);
    assert_eq!(net.stream("retry: 6\n"), ms(5));
    net.connect();
    net.feed(OPEN);
    net.feed("retry: 0\n");
    net.hang_up();
    assert_eq!(net.source.transport(), Transport::Dial, "the caller asked for it");
}

/// A server whose streams end at once and that asks for no wait is not asked in a loop without pause.
#[test]
fn a_server_that_says_retry_0_is_left_in_peace() {
    for (config, most) in [(plain(), 36_000), (SourceConfig::default(), 130)] {
        for stream in ["retry: 0\n", "retry: 0\n:\n\nid: 1\n\n"] {
            let mut net = Net::new(request("http://h/"), config.clone());
            let hour = Instant::EPOCH + Duration::from_secs(3600);
            while net.now < hour {
                net.stream(stream);
            }
            assert!(net.source.attempts() <= most + 2, "{} in an hour", net.source.attempts());
        }
    }
}

/// RFC 9110, 10.2.3.
#[test]
fn retry_after_is_the_least_that_a_server_in_trouble_is_left_in_peace() {
    let config = SourceConfig { retried: TRANSIENT.into(), max_retry: ms(20_000), ..plain() };
    for (line, wait) in [
        ("", 3000),
        ("Retry-After: 5", 5000),
        ("Retry-After: 1", 3000),
        ("Retry-After: 0", 3000),
        ("Retry-After: 9999", 20_000),
        ("Retry-After: 99999999999999999999999", 20_000),
        ("Retry-After: -5", 3000),
        ("Retry-After: 5s", 3000),
        ("Retry-After:", 3000),
        ("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", 3000),
    ] {
        let mut net = Net::new(request("http://h/"), config.clone());
        net.connect();
        let answer = format!("HTTP/1.1 503 X\r\n{line}\r\nContent-Length: 4\r\n\r\nwait");
        let answer = answer.replace("\r\n\r\nContent", "\r\nContent");
        let expected = ["refused 503", "error Unavailable(Status(503)) wait"];
        assert_eq!(net.feed(&answer), expected, "{line}");
        assert_eq!(net.sleep(), (ms(wait), Timer::Reconnect), "{line}");
        // It holds for one wait.
        net.connect();
        net.hang_up();
        assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect), "{line}");
    }
}

#[test]
fn a_stream_without_events_does_not_end_a_row_of_failures() {
    let policy = Policy::exponential(ms(1000), ms(60_000)).jitter(0.0);
    let config = SourceConfig { reconnect: policy, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config);
    let mut wait = |body: &str| {
        net.connect();
        net.feed(OPEN);
        net.feed(body);
        net.hang_up();
        net.sleep().0
    };
    assert_eq!([wait(""), wait(": c\n"), wait("id: 1\n\n")], [1000, 2000, 4000].map(ms));
    assert_eq!(wait("data\n\n"), ms(1000));
    assert_eq!(wait(""), ms(2000));
    // One that stays open does.
    net.connect();
    net.feed(OPEN);
    net.now += ms(10_000);
    net.hang_up();
    assert_eq!(net.sleep().0, ms(1000));
}

#[test]
fn with_no_wait_the_error_still_comes_before_the_next_attempt() {
    let config =
        SourceConfig { reconnect: Policy::fixed(Duration::ZERO), ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config);
    net.connect();
    net.rx.finish();
    assert!(net.source.advance(net.now, &mut net.rx, &mut net.tx));
    assert_eq!(net.source.transport(), Transport::Down);
    assert_eq!(net.events(), ["error Eof"]);
    assert_eq!(net.source.transport(), Transport::Dial);
    assert_eq!(net.source.attempts(), 2);
    // And each attempt has its own deadline.
    assert_eq!(net.sleep(), (ms(30_000), Timer::Connect));
}

#[test]
fn when_the_attempts_are_used_up_it_gives_up() {
    let policy = Policy::fixed(ms(10)).max_attempts(1);
    let config = SourceConfig { reconnect: policy, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config);
    net.events();
    net.source.dial_failed(net.now, DialError::Resolve);
    assert_eq!(net.source.transport(), Transport::Down);
    assert_eq!(net.events(), ["error Dial(Resolve)"]);
    net.sleep();
    net.source.dial_failed(net.now, DialError::Connect);
    assert_eq!(net.events(), ["error Dial(Connect)", "closed GaveUp(Dial(Connect))"]);
    net.assert_over();
}

#[test]
fn each_phase_has_its_deadline() {
    let config = SourceConfig {
        connect_timeout: Some(ms(1)),
        response_timeout: Some(ms(2)),
        idle_timeout: Some(ms(4)),
        ..plain()
    };
    let mut net = Net::new(request("http://h/"), config);
    assert_eq!(net.sleep(), (ms(1), Timer::Connect));
    assert_eq!(net.events(), ["error Dial(Timeout)"]);
    assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
    net.connect();
    assert_eq!(net.sleep(), (ms(2), Timer::Response));
    assert_eq!(net.events(), ["error Timeout(Response)"]);
    net.sleep();
    net.connect();
    net.feed(OPEN);
    net.now += ms(3);
    assert_eq!(net.feed(":\n"), ["comment "], "any byte counts");
    assert_eq!(net.sleep(), (ms(4), Timer::Idle));
    assert_eq!(net.events(), ["error Timeout(Idle)"]);
    assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
    net.connect();
}

#[test]
fn the_time_for_a_transport_begins_when_it_is_asked_for() {
    let reconnect = Policy::fixed(Duration::ZERO);
    let config = SourceConfig { connect_timeout: Some(ms(5)), reconnect, ..plain() };
    let mut net = Net::new(request("http://h/"), config);
    net.events();
    net.source.dial_failed(net.now, DialError::Connect);
    let error = net.source.poll_event(net.now, &mut net.rx, &mut net.tx);
    assert!(matches!(error, Some(SourceEvent::Error { .. })));
    // The next attempt is due, but the caller looks at that for long.
    net.now += ms(1000);
    assert_eq!(net.events(), Vec::<String>::new());
    net.source.handle_timeout(net.now, &mut net.tx);
    assert_eq!(net.events(), Vec::<String>::new());
    assert_eq!(net.sleep(), (ms(5), Timer::Connect));
}

#[test]
fn an_explicit_reconnect_overrides_the_wait() {
    let mut net = Net::simple();
    net.connect();
    assert!(!net.source.reconnect(ms(1), net.now), "there is a connection");
    net.hang_up();
    assert!(net.source.reconnect(ms(1500), net.now));
    assert!(net.source.reconnect(ms(1250), net.now));
    assert_eq!(net.sleep(), (ms(1250), Timer::Reconnect));
    net.connect();
    net.hang_up();
    let attempts = net.source.attempts();
    assert!(net.source.reconnect(Duration::ZERO, net.now));
    assert_eq!(net.source.transport(), Transport::Dial);
    assert_eq!(net.source.attempts(), attempts + 1);
}

/// A comment is as good as an event, and so is part of a line.
#[test]
fn any_byte_of_the_stream_puts_off_the_idle_timeout() {
    let config = SourceConfig { idle_timeout: Some(ms(10)), ..plain() };
    for coding in ["", "Transfer-Encoding: chunked\r\n"] {
        let mut net = Net::new(request("http://h/"), config.clone());
        net.connect();
        net.feed(&OPEN.replace("\r\n\r\n", &format!("\r\n{coding}\r\n")));
        for byte in ": x\ndata: y\r\n\n".chars() {
            net.now += ms(9);
            assert!(net.source.poll_timeout().unwrap() > net.now, "before {byte:?}");
            let byte = byte.to_string();
            net.feed(&if coding.is_empty() { byte } else { format!("1\r\n{byte}\r\n") });
        }
        assert_eq!(net.sleep(), (ms(10), Timer::Idle));
        assert_eq!(net.events(), ["error Timeout(Idle)"]);
        assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
    }
}

#[test]
fn an_end_that_comes_before_the_idle_timeout_leaves_no_deadline_but_the_next_attempt() {
    let config = SourceConfig { idle_timeout: Some(ms(10)), ..plain() };
    let mut net = Net::new(request("http://h/"), config);
    assert_eq!(net.stream("data: x\n\n"), ms(3000));
    // And the time between bytes is counted anew on the next stream.
    net.connect();
    net.feed(OPEN);
    assert_eq!(net.sleep(), (ms(10), Timer::Idle));
}
