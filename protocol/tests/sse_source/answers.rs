//! Answers that fail the connection, and those that don't (WHATWG HTML, 9.2.2).

use crate::support::*;

#[test]
fn a_status_other_than_200_or_another_content_type_is_final() {
    let expected =
        ["refused 204", "error Status(Status(204))", "closed Failed(Status(Status(204)))"];
    refused("HTTP/1.1 204 No Content\r\n\r\n", &expected);
    let expected =
        ["refused 404", "error Status(Status(404)) gone", "closed Failed(Status(Status(404)))"];
    refused("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", &expected);
    let expected = ["refused 200", "error ContentType x", "closed Failed(ContentType)"];
    for line in ["", "Content-Type: text/plain\r\n", "Content-Type: text/event-streams\r\n"] {
        refused(&format!("HTTP/1.1 200 OK\r\n{line}Content-Length: 1\r\n\r\nx"), &expected);
    }
}

/// RFC 9110, 8.4: a representation with a content coding is decoded first, which nobody does here.
/// Without `Accept-Encoding` in the request a server may use any (12.5.3), but should not.
#[test]
fn a_stream_with_a_content_coding_is_refused_and_not_taken_for_one_without_events() {
    let answer = |line: &str| format!("{}{line}\r\n\r\n", OPEN.strip_suffix("\r\n").unwrap());
    for coding in ["gzip", "BR", "identity, deflate", "identity\r\nContent-Encoding: x"] {
        let answer = answer(&format!("Content-Length: 1\r\nContent-Encoding: {coding}"));
        let expected = ["refused 200", "error ContentCoding x", "closed Failed(ContentCoding)"];
        refused(&(answer + "x"), &expected);
    }
    for line in ["Content-Encoding: Identity", "Content-Encoding:", "Transfer-Encoding: chunked"] {
        let mut net = Net::simple();
        net.connect();
        assert_eq!(net.feed(&answer(line)), ["open 200"], "{line}");
    }
}

#[test]
fn the_body_of_a_refusal_is_shown_up_to_a_limit_and_not_waited_for_for_ever() {
    let config = SourceConfig { error_body: 4, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config.clone());
    net.connect();
    assert_eq!(net.feed("HTTP/1.1 500 Oops\r\n\r\nab"), ["refused 500"]);
    let expected = ["error Status(Status(500)) abcd", "closed Failed(Status(Status(500)))"];
    assert_eq!(net.feed("cdef"), expected);
    net.assert_over();

    let mut net = Net::new(request("http://h/"), SourceConfig::default());
    net.rx = RecvBuf::with_limit(60);
    net.connect();
    assert_eq!(net.feed("HTTP/1.1 500 X\r\n\r\n"), ["refused 500"]);
    let body = "x".repeat(60);
    assert_eq!(net.feed(&body)[0], format!("error Status(Status(500)) {body}"), "buffer full");

    let mut net = Net::new(request("http://h/"), config);
    net.connect();
    net.feed("HTTP/1.1 500 Oops\r\n\r\nab");
    assert_eq!(net.sleep(), (ms(30_000), Timer::Response));
    assert_eq!(
        net.events(),
        ["error Status(Status(500)) ab", "closed Failed(Status(Status(500)))"]
    );
}

#[test]
fn a_change_of_protocol_is_refused_without_waiting_for_a_body() {
    // RFC 9110, 15.2.2: 101 is only possible because the user's fields ask for it.
    let config = SourceConfig { response_timeout: None, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/").field("Upgrade", "x"), config);
    net.connect();
    assert_eq!(
        net.feed("HTTP/1.1 101 Switching Protocols\r\n\r\nab"),
        ["refused 101", "error Status(Status(101))", "closed Failed(Status(Status(101)))"]
    );
    net.assert_over();
}

fn empty(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")
}

/// 9.2.2: a status other than 200 fails the connection, whatever the media type.
#[test]
fn every_status_but_200_and_the_redirects_fails_the_connection() {
    let others = [201, 202, 203, 204, 205, 206, 300, 304, 305, 306, 400, 401, 403, 404, 407, 410];
    for status in others.into_iter().chain([418, 429, 451, 500, 501, 502, 503, 504, 599]) {
        let answer =
            empty(status).replace("\r\n\r\n", "\r\nContent-Type: text/event-stream\r\n\r\n");
        let error = format!("Status(Status({status}))");
        let expected = [
            format!("refused {status}"),
            format!("error {error}"),
            format!("closed Failed({error})"),
        ];
        refused(&answer, &expected.each_ref().map(String::as_str));
    }
}

/// What browsers do not do, and programs want that nobody looks after.
#[test]
fn a_status_that_is_to_be_retried_is_an_error_like_a_lost_connection() {
    let config = SourceConfig { retried: TRANSIENT.into(), ..plain() };
    let mut net = Net::new(request("http://h/"), config);
    for status in [429, 500, 502, 503, 504] {
        net.connect();
        let expected =
            [format!("refused {status}"), format!("error Unavailable(Status({status}))")];
        assert_eq!(net.feed(&empty(status)), expected);
        assert_eq!(net.source.ready_state(), ReadyState::Connecting);
        assert_eq!(net.sleep(), (ms(3000), Timer::Reconnect));
    }
    net.connect();
    assert_eq!(net.feed(OPEN), ["open 200"]);
    assert_eq!(net.feed("data\n\n"), ["message: \"\" #"]);
    net.hang_up();
    net.sleep();
    net.connect();
    // What is not listed is as final as ever.
    let error = "Status(Status(501))";
    let expected =
        ["refused 501".into(), format!("error {error}"), format!("closed Failed({error})")];
    assert_eq!(net.feed(&empty(501)), expected);
    net.assert_over();
}

#[test]
fn the_list_of_statuses_is_the_callers_but_204_stops() {
    let listed = [204, 404, 200, 302].map(|code| Status::new(code).unwrap());
    let config = SourceConfig { retried: listed.to_vec().into(), ..plain() };
    let mut net = Net::new(request("http://h/"), config);
    net.connect();
    assert_eq!(net.feed(&empty(404))[1], "error Unavailable(Status(404))");
    net.sleep();
    // A redirect is one, a stream is one, and what is none is still none.
    net.connect();
    assert_eq!(net.feed(&moved(302, "/b")), [""; 0]);
    net.connect();
    assert_eq!(net.feed(OPEN), ["open 200"]);
    net.hang_up();
    net.sleep();
    net.connect();
    assert_eq!(net.feed("HTTP/1.1 204 X\r\n\r\n")[1], "error Status(Status(204))");
    net.assert_over();
    let mut net =
        Net::new(request("http://h/"), SourceConfig { retried: listed.to_vec().into(), ..plain() });
    net.connect();
    assert_eq!(net.feed(&empty(200))[1], "error ContentType");
    net.assert_over();
}

/// Refusals are failures in a row: the waits grow, and they are counted.
#[test]
fn a_policy_gives_up_on_a_server_that_stays_in_trouble() {
    let reconnect = Policy::exponential(ms(1000), ms(60_000)).jitter(0.0).max_attempts(3);
    let config = SourceConfig { retried: TRANSIENT.into(), reconnect, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config);
    for wait in [1000, 2000, 4000] {
        net.connect();
        net.feed(&empty(503));
        assert_eq!(net.sleep().0, ms(wait));
    }
    net.connect();
    let expected = [
        "refused 503",
        "error Unavailable(Status(503))",
        "closed GaveUp(Unavailable(Status(503)))",
    ];
    assert_eq!(net.feed(&empty(503)), expected);
    net.assert_over();
}

/// 9.2.2: another media type fails the connection. Fetch, how a MIME type is extracted: the essence
/// counts, of the last value that is a type.
#[test]
fn the_media_type_is_that_of_an_event_stream_or_none() {
    let stream = [
        "text/event-stream",
        "TEXT/EVENT-STREAM",
        "text/event-stream;",
        "text/event-stream;charset=utf-8",
        "text/event-stream;charset=windows-1251",
        "text/event-stream; charset=\"a,b;c\"",
        "text/event-stream;bogus",
        "text/event-stream \t; x=y",
        "text/html, text/event-stream",
        "text/html\r\nContent-Type: text/event-stream",
        "text/event-stream, bogus",
        "text/event-stream, */*",
        "text/event-stream\r\nContent-Type:",
    ];
    let none = [
        "",
        "bogus",
        "text/x-bogus",
        "text/event-stream-x",
        "text/event-stream x",
        "x-text/event-stream",
        "text/ event-stream",
        "text /event-stream",
        "text/event-stream/x",
        "event-stream",
        "text",
        "text/",
        "/event-stream",
        "*/*",
        "text/plain; x=text/event-stream",
        "text/plain; x=\", text/event-stream\"",
        "text/event-stream, text/html",
        "text/event-stream\r\nContent-Type: text/html",
        "\"text/event-stream\"",
    ];
    for (values, expected) in [(&stream[..], "open 200"), (&none, "refused 200")] {
        for value in values {
            let mut net = Net::simple();
            net.connect();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: {value}\r\n\r\n");
            assert_eq!(net.feed(&answer), [expected], "{value:?}");
        }
    }
    let mut net = Net::simple();
    net.connect();
    assert_eq!(net.feed("HTTP/1.1 200 OK\r\n\r\n"), ["refused 200"]);
    // Its body is waited for, and the connection fails.
    assert_eq!(net.hang_up(), ["error ContentType", "closed Failed(ContentType)"]);
}
