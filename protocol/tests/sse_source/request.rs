//! What is asked for (WHATWG HTML, 9.2.2 and 9.2.4).

use crate::support::*;

#[test]
fn the_request_asks_for_an_event_stream_and_ends_with_the_users_fields() {
    let request = request("http://example.com:81/a?b=c")
        .field("X-b", "2")
        .field("Cookie", "a=1")
        .last_event_id("käse");
    let mut net = Net::new(request, SourceConfig::default());
    assert_eq!(net.source.last_event_id(), "käse");
    assert_eq!(
        net.connect(),
        "GET /a?b=c HTTP/1.1\r\nHost: example.com:81\r\nAccept: text/event-stream\r\n\
         Cache-Control: no-cache\r\nLast-Event-ID: käse\r\nX-b: 2\r\nCookie: a=1\r\n\r\n"
    );
}

#[test]
fn a_field_of_the_users_replaces_ours_and_a_malformed_one_is_refused() {
    let mut net = Net::new(request("http://h/").field("host", "other"), SourceConfig::default());
    let sent = net.connect();
    assert!(sent.contains("host: other\r\n") && !sent.contains("Host: "), "{sent}");
    for (name, value) in [("a b", "c"), ("a", "b\r\nc: d"), ("Content-Length", "5"), ("", "x")] {
        let request = request("http://h/").field(name, value);
        let config = SourceConfig::default();
        assert!(EventSource::new(request, config, &Seed::new([1; 32]), Instant::EPOCH).is_err());
    }
    let request = request("http://h/").last_event_id("a\nb");
    let config = SourceConfig::default();
    assert!(EventSource::new(request, config, &Seed::new([1; 32]), Instant::EPOCH).is_err());
}

#[test]
fn fields_can_be_changed_between_attempts() {
    let mut net = Net::new(request("http://h/").field("T", "1"), SourceConfig::default());
    assert!(net.connect().contains("T: 1\r\n"));
    net.hang_up();
    net.source.request_mut().set_field("t", "2");
    net.sleep();
    assert!(net.connect().contains("\r\nt: 2\r\n"));
    net.hang_up();
    net.source.request_mut().set_field("t", "\r\n");
    net.sleep();
    net.source.connected(net.now, &mut net.tx);
    let error = "Request(BadFieldValue(3))";
    assert_eq!(net.events(), [format!("error {error}"), format!("closed Failed({error})")]);
    net.assert_over();
}

#[test]
fn a_post_sends_its_body_with_each_attempt() {
    let mut net = Net::new(request("http://h/").post("{}"), SourceConfig::default());
    for _ in 0..2 {
        let sent = net.connect();
        assert!(sent.starts_with("POST / HTTP/1.1\r\n") && sent.ends_with("\r\n\r\n{}"), "{sent}");
        assert!(sent.contains("Content-Length: 2\r\n"));
        net.hang_up();
        net.sleep();
    }
}

/// Any method, with or without a body.
#[test]
fn method_and_body_are_the_callers() {
    for (method, body, line) in [
        ("PUT", "{}", "Content-Length: 2\r\n"),
        ("PUT", "", "Content-Length: 0\r\n"),
        ("QUERY", "q", "Content-Length: 1\r\n"),
        ("REPORT", "", ""),
        ("DELETE", "", ""),
        ("GET", "x", "Content-Length: 1\r\n"),
        ("OPTIONS", "", ""),
    ] {
        let mut request = request("http://h/").method(method);
        if !body.is_empty() {
            request = request.body(body);
        }
        let mut net = Net::new(request, plain());
        for _ in 0..2 {
            assert_eq!(
                net.connect(),
                format!(
                    "{method} / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\
                     Cache-Control: no-cache\r\n{line}\r\n{body}"
                )
            );
            net.feed(OPEN);
            net.hang_up();
            net.sleep();
        }
    }
}

#[test]
fn a_method_that_is_none_is_refused() {
    for method in ["", "GET /", "G\r\nET", "CONNECT", "ä"] {
        let request = request("http://h/").method(method);
        let source = EventSource::new(request, plain(), &Seed::new([1; 32]), Instant::EPOCH);
        assert!(source.is_err(), "{method:?}");
    }
}

#[test]
fn the_body_can_be_changed_between_attempts() {
    let mut net = Net::new(request("http://h/").post("first"), plain());
    assert!(net.connect().ends_with("Content-Length: 5\r\n\r\nfirst"));
    net.hang_up();
    net.source.request_mut().set_body("goes on");
    net.sleep();
    assert!(net.connect().ends_with("Content-Length: 7\r\n\r\ngoes on"));
}

/// RFC 9110, 9.3.2: a response to HEAD has no body, so its stream is over when it begins.
#[test]
fn a_head_request_has_a_stream_without_events() {
    let mut net = Net::new(request("http://h/").method("HEAD"), plain());
    assert!(net.connect().starts_with("HEAD / "));
    assert_eq!(net.feed(OPEN), ["open 200", "error EndOfStream"]);
    assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
}

/// RFC 9110, 10.1.1: who expects a word in between may go on without it.
#[test]
fn a_body_does_not_wait_for_100() {
    let request = request("http://h/").post("{}").field("Expect", "100-continue");
    for interim in ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let mut net = Net::new(request.clone(), plain());
        assert!(net.connect().ends_with("\r\n\r\n{}"));
        assert_eq!(net.feed(&format!("{interim}{OPEN}")), ["open 200"]);
    }
}

#[test]
fn secrets_do_not_get_into_logs() {
    let request = request("http://h/").field("Authorization", "Bearer s3cret").post("s3cret");
    let shown = format!("{request:?}");
    assert!(shown.contains("Authorization") && !shown.contains("s3cret"), "{shown}");
    assert!(!shown.contains(&format!("{:?}", b"s3cret")), "{shown}");
}

#[test]
fn a_request_that_is_to_be_made_once_is_made_once() {
    let config = SourceConfig { reconnect: Policy::never(), ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/").post("a"), config);
    net.connect();
    net.feed(OPEN);
    let events = net.hang_up();
    assert!(events.last().is_some_and(|it| it.contains("GaveUp")), "{events:?}");
    net.assert_over();
}
