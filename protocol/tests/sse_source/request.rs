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

#[test]
fn an_id_that_no_field_can_carry_is_not_sent() {
    let mut net = Net::simple();
    net.connect();
    net.feed(OPEN);
    assert_eq!(net.feed("id: a\u{1}\ndata\n\n"), ["message: \"\" #a\u{1}"]);
    net.hang_up();
    net.sleep();
    assert!(!net.connect().contains("Last-Event-ID"));
    assert_eq!(net.source.last_event_id(), "a\u{1}");
}
