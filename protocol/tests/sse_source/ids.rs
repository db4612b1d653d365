//! The last event id, from the stream into the next request (WHATWG HTML, 9.2.3, 9.2.4 and 9.2.6).

use crate::support::*;

/// The value of `Last-Event-ID`, as bytes.
#[track_caller]
fn sent(net: &mut Net) -> Option<String> {
    let request = net.connect();
    let lines: Vec<_> = request.split("\r\n").collect();
    let mut ids = lines.iter().filter_map(|line| line.strip_prefix("Last-Event-ID: "));
    let id = ids.next().map(String::from);
    assert_eq!(ids.next(), None, "more than one");
    assert_eq!(
        request.to_ascii_lowercase().matches("last-event-id").count(),
        usize::from(id.is_some())
    );
    id
}

/// 9.2.3: the last event id goes into the request, encoded as UTF-8.
#[test]
fn an_id_is_sent_as_utf_8() {
    for id in [
        "1",
        "…",
        "käse",
        "日本語",
        "\u{1F30A}",
        "a b",
        "a, b",
        "a\"b",
        "a:b",
        "a;b\\",
        "\u{FFFD}",
        "a\tb",
        "{}",
    ] {
        let mut net = Net::simple();
        assert_eq!(sent(&mut net), None);
        net.feed(OPEN);
        assert_eq!(net.feed(&format!("id: {id}\ndata\n\n")), [format!("message: \"\" #{id}")]);
        net.hang_up();
        net.sleep();
        assert_eq!(sent(&mut net).as_deref(), Some(id));
    }
}

/// 9.2.3: an empty string is not sent.
#[test]
fn an_empty_id_is_not_sent() {
    let mut net = Net::simple();
    for stream in ["data\n\n", "id\ndata\n\n", "id:\n\n", "id: 1\n\nid\n\n"] {
        net.stream(stream);
        assert_eq!(net.source.last_event_id(), "");
    }
    assert_eq!(sent(&mut net), None);
}

/// 9.2.6: the last event ID string is set where an event would be dispatched, data or not.
#[test]
fn an_id_counts_from_the_empty_line_on() {
    let mut net = Net::simple();
    for (stream, id) in [
        ("id: 1\ndata: a\n\n", "1"),
        ("id: 2\n\n", "2"),
        ("id: 3\ndata: lost\n", "2"),
        ("data: lost\nid: 3", "2"),
        ("id: 4\u{0}\n\n", "2"),
        (":\n\n", "2"),
        ("id: 5\ndata: a\n\nid: 6\nevent: x\n\nid: 7\n", "6"),
    ] {
        net.stream(stream);
        assert_eq!(net.source.last_event_id(), id, "{stream:?}");
    }
    assert_eq!(sent(&mut net).as_deref(), Some("6"));
}

/// 9.2.6: it belongs to the source, not to the connection.
#[test]
fn an_id_outlives_failures_redirects_and_streams_without_one() {
    let config = SourceConfig { retried: TRANSIENT.into(), ..plain() };
    let mut net = Net::new(request("http://h/").last_event_id("käse"), config);
    assert_eq!(net.source.last_event_id(), "käse");
    assert_eq!(sent(&mut net).as_deref(), Some("käse"));
    net.feed(&moved(302, "http://other/"));
    assert_eq!(sent(&mut net).as_deref(), Some("käse"));
    net.feed("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
    net.sleep();
    net.source.dial_failed(net.now, DialError::Connect);
    net.events();
    net.sleep();
    assert_eq!(sent(&mut net).as_deref(), Some("käse"));
    net.feed(OPEN);
    assert_eq!(net.feed("data: a\n\n"), [r#"message: "a" #käse"#]);
    net.hang_up();
    net.sleep();
    assert_eq!(sent(&mut net).as_deref(), Some("käse"));
    net.feed(OPEN);
    net.feed("id: 2\n\n");
    net.source.close();
    net.events();
    assert_eq!(net.source.last_event_id(), "2");
}

/// RFC 9110, 5.5: a field value holds no control characters but tabs, and none at all CR, LF, NUL.
#[test]
fn an_id_that_no_field_can_carry_is_not_sent() {
    for id in ["a\u{1}", "\u{7F}", "\u{1B}[0m"] {
        let mut net = Net::simple();
        net.connect();
        net.feed(OPEN);
        assert_eq!(net.feed(&format!("id: {id}\ndata\n\n")), [format!("message: \"\" #{id}")]);
        net.hang_up();
        net.sleep();
        assert_eq!(sent(&mut net), None);
        assert_eq!(net.source.last_event_id(), id);
    }
}

/// A field of the user's replaces ours; it does not follow the stream.
#[test]
fn an_id_among_the_users_fields_stays_what_it_is() {
    let mut net = Net::new(request("http://h/").field("Last-Event-ID", "x"), plain());
    net.stream("id: 1\n\n");
    assert_eq!(sent(&mut net).as_deref(), Some("x"));
}
