//! The stream, and what comes after it (WHATWG HTML, 9.2.2, 9.2.3 and 9.2.6).

use crate::support::*;

#[test]
fn events_come_and_the_next_attempt_goes_on_behind_the_last_one() {
    let mut net = Net::simple();
    assert_eq!(net.source.ready_state(), ReadyState::Connecting);
    assert!(!net.connect().contains("Last-Event-ID"));
    assert_eq!(net.feed(OPEN), ["open 200"]);
    assert_eq!(net.source.ready_state(), ReadyState::Open);
    assert_eq!(net.feed(": hi\n\nretry: 1234\nid: 7\nevent: e\ndata: a\nda"), ["comment hi"]);
    assert_eq!(net.feed("ta: b\n\ndata: c\n\n"), [r#"e: "a\nb" #7"#, r#"message: "c" #7"#]);
    // Half an event, with an id that must not count.
    assert_eq!(net.feed("id: 8\nevent: x\ndata: lost\n"), [""; 0]);
    assert_eq!(net.hang_up(), ["error EndOfStream"]);
    assert_eq!(net.source.ready_state(), ReadyState::Connecting);
    assert_eq!(net.source.transport(), Transport::Down);

    assert_eq!(net.sleep(), (ms(1234), Timer::Reconnect));
    assert!(net.connect().contains("\r\nLast-Event-ID: 7\r\n"));
    assert_eq!(net.feed(OPEN), ["open 200"]);
    assert_eq!(net.feed("\n\ndata: d\n\n"), [r#"message: "d" #7"#]);
    assert_eq!(net.feed("id\ndata: e\n\n"), [r#"message: "e" #"#]);
    net.hang_up();
    net.sleep();
    assert!(!net.connect().contains("Last-Event-ID"));
}

#[test]
fn chunks_and_pieces_change_nothing() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\
                  \r\n5\r\ndata:\r\n3\r\n a\n\r\n1\r\n\n\r\n12;x=y\r\nid: 1\r\ndata: b\r\n\r\n\r\n0\r\n\r\n";
    let expected = ["open 200", r#"message: "a" #"#, r#"message: "b" #1"#, "error EndOfStream"];
    let mut net = Net::simple();
    net.connect();
    assert_eq!(net.feed(stream), expected);
    for size in 1..20 {
        let mut net = Net::simple();
        net.connect();
        let pieces = stream.as_bytes().chunks(size);
        let seen: Vec<_> =
            pieces.flat_map(|piece| net.feed(core::str::from_utf8(piece).unwrap())).collect();
        assert_eq!(seen, expected, "pieces of {size}");
    }
}

#[test]
fn a_connection_that_breaks_off_is_told_from_a_stream_that_ends() {
    let mut net = Net::simple();
    net.connect();
    assert_eq!(net.hang_up(), ["error Eof"]);
    net.sleep();
    net.connect();
    net.feed("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\n");
    assert_eq!(net.feed("data: a\n\n"), [r#"message: "a" #"#]);
    assert_eq!(net.hang_up(), ["error Eof"]);
    net.sleep();
    net.connect();
    assert!(net.feed("SSH-2.0\r\n\r\n")[0].starts_with("error Http("));
    net.sleep();
    net.connect();
}

#[test]
fn nothing_of_a_lost_connection_stays_in_the_buffers() {
    let mut net = Net::simple();
    net.connect();
    net.feed(OPEN);
    net.feed("data: lost\n");
    assert!(!net.rx.is_empty() && !net.tx.is_empty());
    net.hang_up();
    assert!(net.rx.is_empty() && net.tx.is_empty() && !net.rx.is_finished());
}

#[test]
fn an_event_beyond_the_limits_is_final() {
    let limits = Limits { line: 10, ..Limits::default() };
    let mut net =
        Net::new(request("http://h/"), SourceConfig { limits, ..SourceConfig::default() });
    net.connect();
    net.feed(OPEN);
    let error = "Stream(ProtocolError { kind: LineTooLong, offset: 10 })";
    assert_eq!(
        net.feed("data: 0123456"),
        [format!("error {error}"), format!("closed Failed({error})")]
    );
    net.assert_over();
}

#[test]
fn close_ends_it_in_any_phase() {
    let close = |net: &mut Net| {
        net.source.close();
        assert_eq!(net.source.transport(), Transport::Down);
        assert_eq!(net.events(), ["closed Caller"]);
        net.assert_over();
    };
    let mut net = Net::simple();
    close(&mut net);
    let mut net = Net::simple();
    net.connect();
    close(&mut net);
    let mut net = Net::simple();
    net.connect();
    net.feed(OPEN);
    // An event that was announced and not taken is not told any more.
    let _ = net.rx.push(b"data: a\n\n");
    assert!(net.source.advance(net.now, &mut net.rx, &mut net.tx));
    close(&mut net);
    let mut net = Net::simple();
    net.connect();
    net.hang_up();
    close(&mut net);
    let mut net = Net::simple();
    net.connect();
    net.feed("HTTP/1.1 500 X\r\n\r\n");
    close(&mut net);
}
