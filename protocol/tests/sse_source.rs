//! `EventSource` in virtual time, against a server made of strings.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::reconnect::Policy;
use tidewire::sse::{
    EventSource, Limits, ReadyState, SourceConfig, SourceEvent, SourceRequest, Timer,
};
use tidewire::url::Url;
use tidewire::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};

const OPEN: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

struct Net {
    source: EventSource,
    rx: RecvBuf,
    tx: SendBuf,
    now: Instant,
}

fn request(url: &str) -> SourceRequest {
    SourceRequest::new(Url::parse(url).unwrap())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Net {
    fn new(request: SourceRequest, config: SourceConfig) -> Self {
        let now = Instant::EPOCH;
        Self {
            source: EventSource::new(request, config, &Seed::new([1; 32]), now).unwrap(),
            rx: RecvBuf::with_limit(1 << 16),
            tx: SendBuf::new(),
            now,
        }
    }

    fn simple() -> Self {
        Self::new(request("http://h/s"), SourceConfig::default())
    }

    /// Everything there is to tell, a line each.
    fn events(&mut self) -> Vec<String> {
        let mut log = Vec::new();
        while let Some(event) = self.source.poll_event(self.now, &mut self.rx, &mut self.tx) {
            log.push(match event {
                SourceEvent::Open(head) => format!("open {}", head.status.code()),
                SourceEvent::Message(e) => {
                    format!("{}: {:?} #{}", e.event_type, e.data, e.last_event_id)
                }
                SourceEvent::Comment(text) => format!("comment {text}"),
                SourceEvent::Refused(head) => format!("refused {}", head.status.code()),
                SourceEvent::Error { why, body } => {
                    format!("error {why:?} {}", String::from_utf8_lossy(body)).trim_end().into()
                }
                SourceEvent::Closed(closed) => format!("closed {closed:?}"),
            });
        }
        log
    }

    /// Gives the source its transport, and returns the request.
    #[track_caller]
    fn connect(&mut self) -> String {
        assert_eq!(self.events(), [""; 0]);
        assert_eq!(self.source.transport(), Transport::Dial);
        self.rx.clear();
        self.tx.clear();
        self.source.connected(self.now, &mut self.tx);
        assert_eq!(self.source.transport(), Transport::Open);
        String::from_utf8(self.tx.chunk().to_vec()).unwrap()
    }

    fn feed(&mut self, bytes: &str) -> Vec<String> {
        assert_eq!(self.rx.push(bytes.as_bytes()), bytes.len());
        self.events()
    }

    fn hang_up(&mut self) -> Vec<String> {
        self.rx.finish();
        self.events()
    }

    /// Lets the next deadline come, and tells how long that took and what it was.
    #[track_caller]
    fn sleep(&mut self) -> (Duration, Timer) {
        let (at, timer) = self.source.next_timer().expect("a deadline");
        assert_eq!(self.source.poll_timeout(), Some(at));
        let slept = at.saturating_since(self.now);
        self.source.handle_timeout(at, &mut self.tx);
        self.now = at;
        (slept, timer)
    }

    #[track_caller]
    fn assert_over(&mut self) {
        assert_eq!(self.source.ready_state(), ReadyState::Closed);
        assert_eq!(self.source.transport(), Transport::Down);
        assert_eq!(self.source.poll_timeout(), None);
        assert!(!self.source.reconnect(Duration::ZERO, self.now));
        self.source.close();
        self.source.connected(self.now, &mut self.tx);
        self.source.dial_failed(self.now, DialError::Connect);
        assert_eq!(self.events(), [""; 0], "after Closed");
    }
}

// The request.

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
         Cache-Control: no-store\r\nLast-Event-ID: käse\r\nX-b: 2\r\nCookie: a=1\r\n\r\n"
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

// The stream, and what comes after it.

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
fn the_wait_is_three_seconds_unless_the_server_asks_for_another_one_within_bounds() {
    let mut net = Net::simple();
    let mut wait = |retry: &str| {
        net.connect();
        net.feed(OPEN);
        net.feed(retry);
        net.hang_up();
        net.sleep()
    };
    assert_eq!(wait(""), (ms(3000), Timer::Reconnect));
    assert_eq!(wait("retry: 4321\n"), (ms(4321), Timer::Reconnect));
    assert_eq!(wait(""), (ms(4321), Timer::Reconnect), "it stays");
    assert_eq!(wait("retry: x\n").0, ms(4321));
    assert_eq!(wait("retry: 0\n").0, ms(100));
    assert_eq!(wait("retry: 99999999999999999999\n").0, Duration::from_secs(86_400));
    assert_eq!(wait("retry: 250").0, Duration::from_secs(86_400), "the line is incomplete");
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

// Answers that fail the connection.

#[track_caller]
fn refused(answer: &str, expected: &[&str]) {
    let mut net = Net::simple();
    net.connect();
    assert_eq!(net.feed(answer), expected);
    net.assert_over();
}

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

#[test]
fn parameters_and_case_of_the_content_type_mean_nothing() {
    for value in ["Text/Event-Stream", "text/event-stream;charset=utf-8", "text/event-stream ; x"] {
        let mut net = Net::simple();
        net.connect();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: {value}\r\n\r\n");
        assert_eq!(net.feed(&answer), ["open 200"]);
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

// Redirects.

fn moved(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn a_redirect_is_followed_at_once_and_remembered_only_if_it_is_permanent() {
    for (status, next) in [(301, "/b"), (308, "/b"), (302, "/a"), (303, "/a"), (307, "/a")] {
        let mut net = Net::new(request("http://h/a"), SourceConfig::default());
        assert!(net.connect().starts_with("GET /a "));
        assert_eq!(net.feed(&moved(status, "http://i/b")), [""; 0]);
        assert_eq!(net.source.target().host(), "i");
        assert!(net.connect().starts_with("GET /b HTTP/1.1\r\nHost: i\r\n"));
        assert_eq!(net.feed(OPEN), ["open 200"]);
        net.hang_up();
        net.sleep();
        assert!(net.connect().starts_with(&format!("GET {next} ")), "{status}");
    }
}

#[test]
fn what_is_permanent_behind_a_temporary_redirect_is_not_remembered() {
    let mut net = Net::new(request("http://h/a"), SourceConfig::default());
    for (status, location) in [(301, "/b"), (302, "/c"), (301, "/d")] {
        net.connect();
        net.feed(&moved(status, location));
    }
    assert!(net.connect().starts_with("GET /d "));
    net.hang_up();
    net.sleep();
    assert!(net.connect().starts_with("GET /b "));
}

#[test]
fn each_attempt_is_redirected_anew() {
    let mut net = Net::new(request("http://h/a"), SourceConfig::default());
    net.connect();
    net.feed(&moved(302, "/b"));
    net.connect();
    net.hang_up();
    net.sleep();
    // The redirect before was temporary, this one isn't.
    assert!(net.connect().starts_with("GET /a "));
    net.feed(&moved(301, "/c"));
    net.connect();
    net.hang_up();
    net.sleep();
    assert!(net.connect().starts_with("GET /c "));
}

#[test]
fn redirects_end_somewhere() {
    let mut net = Net::simple();
    for attempt in 0..2 {
        for _ in 0..20 {
            net.connect();
            assert_eq!(net.feed(&moved(302, "/again")), [""; 0]);
        }
        net.connect();
        if attempt == 0 {
            net.hang_up();
            net.sleep();
        }
    }
    let expected = ["refused 302", "error Redirect(TooMany)", "closed Failed(Redirect(TooMany))"];
    assert_eq!(net.feed(&moved(302, "/again")), expected);
    net.assert_over();

    let expected = ["refused 302", "error Redirect(Location)", "closed Failed(Redirect(Location))"];
    refused("HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", &expected);
    refused(&moved(302, "ftp://h/"), &expected);
    let mut net = Net::new(request("https://h/"), SourceConfig::default());
    net.connect();
    assert_eq!(net.feed(&moved(302, "http://h/"))[1], "error Redirect(Insecure)");
}

#[test]
fn credentials_do_not_follow_to_another_origin() {
    let request =
        request("http://h/a").field("Authorization", "x").field("Cookie", "y").field("Z", "z");
    let mut net = Net::new(request, SourceConfig::default());
    net.connect();
    net.feed(&moved(302, "/b"));
    let sent = net.connect();
    assert!(sent.contains("Authorization: x") && sent.contains("Cookie: y"));
    net.feed(&moved(302, "http://h:81/c"));
    let sent = net.connect();
    assert!(!sent.contains("Authorization") && !sent.contains("Cookie") && sent.contains("Z: z"));
    // Nor further, nor back, since it was the other origin that sent us.
    for location in ["/d", "http://h/e", "/f"] {
        net.feed(&moved(302, location));
        assert!(!net.connect().contains("Authorization"));
    }
    net.hang_up();
    net.sleep();
    assert!(net.connect().contains("Authorization"));
}

#[test]
fn a_redirected_post_becomes_a_get_unless_the_status_forbids_it() {
    for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    {
        let request = request("http://h/a").post("{}").field("Content-Type", "application/json");
        let mut net = Net::new(request, SourceConfig::default());
        net.connect();
        net.feed(&moved(status, "/b"));
        let sent = net.connect();
        assert!(sent.starts_with(&format!("{method} /b ")), "{sent}");
        assert_eq!(sent.contains("Content-Type"), method == "POST");
        assert_eq!(sent.contains("{}"), method == "POST");
    }
}

// Time.

#[test]
fn each_phase_has_its_deadline() {
    let config = SourceConfig {
        connect_timeout: Some(ms(1)),
        response_timeout: Some(ms(2)),
        idle_timeout: Some(ms(4)),
        ..SourceConfig::default()
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

/// A life of one source; `between` is called after each input.
fn life(mut between: impl FnMut(&mut Net)) -> Vec<String> {
    let policy = Policy::exponential(ms(1000), ms(4000)).max_attempts(4);
    let config = SourceConfig { reconnect: policy, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config);
    let mut log = Vec::new();
    let answers: [&[&str]; 6] = [
        &[OPEN, "id: 1\ndata: a\nda", "ta: b\n\n: c\nretry: 2000\ndata: d\n\ndata: lost"],
        &["HTTP/1.1 302 X\r\nLocation: /b\r\n\r\n"],
        &["HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:"],
        &["HTTP/1.1 2"],
        &["no HTTP\r\n\r\n"],
        &["HTTP/1.1 500 X\r\n\r\n", "oops"],
    ];
    for answer in answers {
        between(&mut net);
        while net.source.transport() == Transport::Down {
            let at = net.source.poll_timeout().unwrap();
            net.now = at;
            net.source.handle_timeout(at, &mut net.tx);
            between(&mut net);
            log.extend(net.events());
        }
        net.rx.clear();
        net.tx.clear();
        net.source.connected(net.now, &mut net.tx);
        for piece in answer {
            between(&mut net);
            log.push(format!("sent {}", net.tx.len()));
            assert_eq!(net.rx.push(piece.as_bytes()), piece.len());
            between(&mut net);
            log.extend(net.events());
        }
        if net.source.transport() == Transport::Open {
            net.rx.finish();
            between(&mut net);
            log.extend(net.events());
        }
        log.push(format!("{:?}", net.source.poll_timeout()));
    }
    log
}

proptest! {
    /// Polls and memory management in between change nothing.
    #[test]
    fn polls_change_nothing(ops in prop::collection::vec(0..6_u8, 1..100)) {
        let expected = life(|_| {});
        prop_assert_eq!(expected.last().map(String::as_str), Some("None"));
        let mut ops = ops.into_iter().cycle();
        let seen = life(|net| for op in ops.by_ref().take(3) {
            match op {
                0 => { let _ = net.source.poll_timeout(); }
                1 => { let _ = net.source.transport(); }
                2 => { let _ = net.source.advance(net.now, &mut net.rx, &mut net.tx); }
                3 => net.rx.shrink(),
                4 => { let _ = net.rx.spare(100); }
                _ => net.source.handle_timeout(net.now, &mut net.tx),
            }
        });
        prop_assert_eq!(seen, expected);
    }

    /// Whatever is called when: no panic, one `Closed` and nothing after it, one `Error` for each
    /// end, and a deadline that has passed is gone or has become an event once it is handled.
    #[test]
    fn any_calls_in_any_order(ops in prop::collection::vec((0..16_u8, any::<u16>()), 1..120)) {
        let policy = Policy::fixed(ms(50)).max_attempts(20);
        let config = SourceConfig {
            reconnect: policy, idle_timeout: Some(ms(400)), ..SourceConfig::default()
        };
        let mut net = Net::new(request("http://h/"), config);
        let mut closed = false;
        for (op, n) in ops {
            match op {
                0..=3 => if net.source.transport() == Transport::Dial {
                    net.rx.clear();
                    net.tx.clear();
                    net.source.connected(net.now, &mut net.tx);
                },
                4 => net.source.dial_failed(net.now, DialError::Connect),
                5 | 6 => { let _ = net.rx.push(OPEN.as_bytes()); }
                7 | 8 => {
                    let pieces = ["data: a\n\n", "id: 1\r", "\n", ": c\n", "retry: 5\n", "x", "\n\n"];
                    let _ = net.rx.push(pieces[usize::from(n) % pieces.len()].as_bytes());
                }
                9 => { let _ = net.rx.push(moved(302, "/x").as_bytes()); }
                10 => if n % 4 == 0 { net.rx.finish() },
                11 => if n % 64 == 0 { net.source.close() },
                12 => { let _ = net.source.reconnect(ms(u64::from(n % 100)), net.now); }
                13 => net.rx.shrink(),
                14 => { let _ = net.source.advance(net.now, &mut net.rx, &mut net.tx); }
                _ => net.now += ms(u64::from(n % 300)),
            }
            if net.source.poll_timeout().is_some_and(|at| at <= net.now) {
                net.source.handle_timeout(net.now, &mut net.tx);
                let past = net.source.poll_timeout().is_some_and(|at| at <= net.now);
                prop_assert!(!past || net.source.advance(net.now, &mut net.rx, &mut net.tx));
            }
            if n % 3 == 0 {
                for line in net.events() {
                    prop_assert!(!closed, "after Closed: {}", line);
                    closed = line.starts_with("closed");
                }
            }
        }
        net.source.close();
        let rest = net.events();
        let ends = rest.iter().filter(|line| line.starts_with("closed")).count();
        prop_assert_eq!(ends + usize::from(closed), 1);
        prop_assert!(closed || rest.last().is_some_and(|line| line.starts_with("closed")));
        net.assert_over();
    }
}
