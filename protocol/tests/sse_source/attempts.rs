//! Attempts that the caller has a hand in: told of before they are made, sent elsewhere, asked for.

use crate::support::*;

fn announced() -> SourceConfig {
    SourceConfig { announce: true, ..plain() }
}

#[test]
fn each_attempt_is_announced_and_waits_for_the_caller() {
    let mut net = Net::new(request("http://h/").field("T", "0"), announced());
    for turn in 0..3 {
        assert_eq!(net.source.transport(), Transport::Down);
        // Nothing is under way that could be answered.
        net.source.connected(net.now, &mut net.tx);
        net.source.dial_failed(net.now, DialError::Connect);
        assert_eq!(net.source.transport(), Transport::Down);
        assert!(net.source.advance(net.now, &mut net.rx, &mut net.tx));
        assert!(net.source.advance(net.now, &mut net.rx, &mut net.tx));
        let event = net.source.event(net.now, &mut net.rx, &mut net.tx);
        assert!(matches!(event, Some(SourceEvent::Attempt)), "{event:?}");
        // The caller's time is not the network's.
        assert_eq!(net.source.poll_timeout(), None);
        assert_eq!(net.source.transport(), Transport::Down);
        net.now += ms(100_000);
        net.source.request_mut().set_field("t", turn.to_string());
        assert!(net.connect().contains(&format!("\r\nt: {turn}\r\n")));
        net.feed(OPEN);
        assert_eq!(net.hang_up(), ["error EndOfStream"]);
        assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
    }
}

#[test]
fn the_time_for_a_transport_begins_when_the_caller_goes_on() {
    let mut net = Net::new(request("http://h/"), announced());
    assert_eq!(net.events(), ["attempt"]);
    assert_eq!(net.source.transport(), Transport::Dial);
    assert_eq!(net.sleep(), (ms(30_000), Timer::Connect));
    assert_eq!(net.events(), ["error Dial(Timeout)"]);
    assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
    assert_eq!(net.events(), ["attempt"]);
}

#[test]
fn a_redirect_belongs_to_its_attempt() {
    let mut net = Net::new(request("http://h/"), announced());
    assert_eq!(net.events(), ["attempt"]);
    net.connect();
    assert_eq!(net.feed(&moved(302, "/b")), [""; 0]);
    assert_eq!(net.source.transport(), Transport::Dial);
    net.connect();
    net.hang_up();
    net.sleep();
    assert_eq!(net.events(), ["attempt"]);
}

#[test]
fn without_a_wait_the_error_comes_first_and_then_the_announcement() {
    let config = SourceConfig { reconnect: Policy::fixed(Duration::ZERO), ..announced() };
    let mut net = Net::new(request("http://h/"), config);
    assert_eq!(net.events(), ["attempt"]);
    net.connect();
    assert_eq!(net.hang_up(), ["error Eof", "attempt"]);
    assert_eq!(net.source.transport(), Transport::Dial);
}

#[test]
fn an_attempt_that_was_announced_can_be_put_off_and_closed() {
    let mut net = Net::new(request("http://h/"), announced());
    assert!(net.source.advance(net.now, &mut net.rx, &mut net.tx));
    // Not told of yet: it is not told of now.
    assert!(net.source.reconnect(ms(5), net.now));
    assert_eq!(net.events(), [""; 0]);
    assert_eq!(net.sleep(), (ms(5), Timer::Reconnect));
    assert_eq!(net.events(), ["attempt"]);
    // Told of: there will be another announcement.
    assert!(net.source.reconnect(ms(7), net.now));
    assert_eq!(net.source.transport(), Transport::Down);
    assert_eq!(net.events(), [""; 0]);
    assert_eq!(net.sleep(), (ms(7), Timer::Reconnect));
    assert!(net.source.reconnect(Duration::ZERO, net.now), "it is due anyway");
    assert_eq!(net.events(), ["attempt"]);
    assert!(net.source.reconnect(Duration::ZERO, net.now));
    assert_eq!(net.events(), [""; 0], "one announcement an attempt");
    net.source.close();
    assert_eq!(net.events(), ["closed Caller"]);
    net.assert_over();
}

#[test]
fn what_is_not_announced_is_dialled_at_once() {
    let mut net = Net::simple();
    assert_eq!(net.source.transport(), Transport::Dial);
    assert_eq!(net.events(), [""; 0]);
}

// Another URL.

fn url(url: &str) -> Url {
    Url::parse(url).unwrap()
}

#[test]
fn the_next_attempt_goes_to_another_url_and_what_was_remembered_of_the_old_one_is_forgotten() {
    let mut net = Net::new(request("http://h/a").field("Cookie", "c"), plain());
    net.connect();
    net.feed(&moved(301, "http://i/b"));
    net.connect();
    net.feed(OPEN);
    assert_eq!(net.source.url().to_string(), "http://h/a");
    net.source.request_mut().set_url(url("http://j/c?token=2"));
    assert_eq!(net.feed("data: a\n\n"), [r#"message: "a" #"#], "the stream goes on");
    assert_eq!(net.source.origin(), "http://i");
    net.hang_up();
    net.sleep();
    assert_eq!(net.source.target().host(), "j");
    let sent = net.connect();
    assert!(sent.starts_with("GET /c?token=2 HTTP/1.1\r\nHost: j\r\n"), "{sent}");
    assert!(sent.contains("\r\nCookie: c\r\n"), "{sent}");
    assert_eq!(net.source.url().to_string(), "http://j/c?token=2");
}

#[test]
fn a_transport_to_the_old_url_is_not_wanted_any_more() {
    let mut net = Net::simple();
    let attempts = net.source.attempts();
    net.source.request_mut().set_url(url("http://j/"));
    assert_eq!(net.events(), [""; 0]);
    assert_eq!(net.source.transport(), Transport::Dial);
    assert_eq!((net.source.attempts(), net.source.target().host()), (attempts + 1, "j"));
    // On its way along redirects, too.
    net.connect();
    net.feed(&moved(302, "http://k/"));
    net.source.request_mut().set_url(url("http://l/"));
    assert!(net.connect().contains("\r\nHost: l\r\n"));
    // While it is announced, no other one is under way.
    let mut net = Net::new(request("http://h/"), announced());
    assert_eq!(net.events(), ["attempt"]);
    net.source.request_mut().set_url(url("http://j/"));
    assert_eq!(net.events(), [""; 0]);
    assert!(net.connect().contains("\r\nHost: j\r\n"));
}

// Another connection.

#[test]
fn a_restart_leaves_the_stream_and_goes_on_behind_the_last_event() {
    let mut net = Net::simple();
    net.connect();
    net.feed(OPEN);
    net.feed("id: 1\ndata: a\n\n");
    assert_eq!(net.rx.push(b"id: 2\ndata: b\n\nid: 3\ndata: c\n\n"), 30);
    assert!(net.source.advance(net.now, &mut net.rx, &mut net.tx));
    assert!(net.source.restart(Duration::ZERO, net.now));
    // What was announced is told, and what lies behind it is asked for again.
    assert_eq!(net.events(), [r#"message: "b" #2"#]);
    assert!(net.rx.is_empty());
    assert_eq!(net.source.ready_state(), ReadyState::Connecting);
    assert!(net.connect().contains("\r\nLast-Event-ID: 2\r\n"));
    net.feed(OPEN);
    assert!(net.source.restart(ms(5), net.now));
    assert_eq!(net.events(), [""; 0]);
    assert_eq!(net.source.transport(), Transport::Down);
    assert_eq!(net.sleep(), (ms(5), Timer::Reconnect));
    net.connect();
}

#[test]
fn a_restart_is_possible_at_any_time_but_the_end() {
    // Dialling.
    let mut net = Net::simple();
    let attempts = net.source.attempts();
    assert!(net.source.restart(Duration::ZERO, net.now));
    assert_eq!(net.source.attempts(), attempts, "the attempt is due");
    // Asked.
    net.connect();
    assert!(net.source.restart(Duration::ZERO, net.now));
    net.connect();
    // Refused: the end of that is not waited for.
    assert_eq!(net.feed("HTTP/1.1 500 X\r\n\r\n"), ["refused 500"]);
    assert!(net.source.restart(Duration::ZERO, net.now));
    net.connect();
    // Failed, and not told of yet.
    net.hang_up();
    net.sleep();
    net.source.dial_failed(net.now, DialError::Connect);
    assert!(net.source.restart(Duration::ZERO, net.now));
    net.connect();
    // Waiting.
    assert_eq!(net.hang_up(), ["error Eof"]);
    assert!(net.source.restart(ms(1), net.now));
    assert_eq!(net.sleep(), (ms(1), Timer::Reconnect));
    // Over.
    net.source.close();
    assert!(!net.source.restart(Duration::ZERO, net.now));
    assert_eq!(net.events(), ["closed Caller"]);
    net.assert_over();
    // Over before it comes to it.
    let mut net = Net::simple();
    net.connect();
    assert!(net.source.restart(Duration::ZERO, net.now));
    net.source.close();
    assert_eq!(net.events(), ["closed Caller"]);
    net.assert_over();
}

#[test]
fn a_restart_is_no_failure_and_ends_no_row_of_them() {
    let policy = Policy::exponential(ms(1000), ms(60_000)).jitter(0.0);
    let mut net = Net::new(request("http://h/"), SourceConfig { reconnect: policy, ..plain() });
    for wait in [1000, 2000, 4000] {
        assert_eq!(net.stream(""), ms(wait));
        net.connect();
        net.feed(OPEN);
        assert!(net.source.restart(Duration::ZERO, net.now));
    }
}
