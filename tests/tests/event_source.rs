//! `EventSource` through real sockets, against servers made of bytes: what a browser's suite looks at
//! (WHATWG HTML, 9.2), and what a browser cannot do.
#![cfg(feature = "net")]

use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{
    OwnedSourceEvent, ReadyState, SourceClosed, SourceConfig, SourceError, SourceEvent,
    SourceRequest, TRANSIENT, Timer,
};
use tidewire_runtime::url::Url;
use tidewire_runtime::{EventSource, SendRuntime};
use tidewire_tests::frames::field;
use tidewire_tests::net::{RawPeer, background, listener, sleep};
use tidewire_tests::on_every_runtime;

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const STOP: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// The next request, with its body.
fn read_request(peer: &mut RawPeer) -> String {
    let head = peer.read_head();
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: "));
    let body = peer.read_exact(length.map_or(0, |length| length.parse().unwrap()));
    head + &String::from_utf8(body).unwrap()
}

/// Gives one answer a connection, and the requests when all are given. After the last one nobody comes
/// back.
fn answer(listener: TcpListener, answers: Vec<String>) -> impl Future<Output = Vec<String>> {
    background(move || {
        let requests = answers
            .into_iter()
            .map(|answer| {
                let mut peer = RawPeer::accept(&listener);
                let request = read_request(&mut peer);
                peer.send(answer);
                request
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "another attempt");
        requests
    })
}

fn request(address: SocketAddr) -> SourceRequest {
    SourceRequest::new(Url::parse(&format!("http://{address}/a")).unwrap())
}

/// Comes back at once.
fn hasty() -> SourceConfig {
    SourceConfig { reconnect: Policy::fixed(Duration::ZERO), ..SourceConfig::default() }
}

fn source<R: SendRuntime>(
    runtime: &R,
    request: SourceRequest,
    config: SourceConfig,
) -> EventSource<R> {
    EventSource::new(runtime.clone(), request, config).unwrap()
}

/// The next event as text, and the state in which the source is then.
async fn tell<R: SendRuntime>(source: &mut EventSource<R>) -> Option<(String, ReadyState)> {
    let event = poll_fn(|cx| Pin::new(&mut *source).poll_next(cx)).await?;
    let line = match event {
        OwnedSourceEvent::Attempt => "attempt".into(),
        OwnedSourceEvent::Open(head) => format!("open {}", head.as_head().status.code()),
        OwnedSourceEvent::Message(it) => {
            format!("{}: {:?} #{}", it.event_type, it.data, it.last_event_id)
        }
        OwnedSourceEvent::Comment(comment) => format!("comment {comment}"),
        OwnedSourceEvent::Refused(head) => format!("refused {}", head.as_head().status.code()),
        OwnedSourceEvent::Error { why, body } => {
            format!("error {why:?} {}", String::from_utf8_lossy(&body)).trim_end().into()
        }
        OwnedSourceEvent::Closed(closed) => format!("closed {closed:?}"),
    };
    Some((line, source.ready_state()))
}

/// All events to come.
async fn tell_all<R: SendRuntime>(source: &mut EventSource<R>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some((line, _)) = tell(source).await {
        told.push(line);
    }
    told
}

const STOPPED: [&str; 3] =
    ["refused 204", "error Status(Status(204))", "closed Failed(Status(Status(204)))"];

/// 9.2: a client comes back when its connection is closed, until the server answers with 204.
async fn it_reconnects_after_each_end_until_204_and_knows_the_formats<R: SendRuntime>(runtime: R) {
    let streams: [(&str, &[&str]); 13] = [
        ("data: plain\n\n", &[r#"message: "plain" #"#]),
        ("\u{FEFF}data: mark\n\n\u{FEFF}data: no field\n\n", &[r#"message: "mark" #"#]),
        (
            "data: 1\r:\u{0}\n:\r\ndata: 2\n: x\ndata: 3\n\n",
            &["comment \0", "comment ", "comment x", r#"message: "1\n2\n3" #"#],
        ),
        ("event: e\r\ndata: crlf\r\n\r\ndata\r\r", &[r#"e: "crlf" #"#, r#"message: "" #"#]),
        ("data: whole\n\nevent: e\ndata: lost", &[r#"message: "whole" #"#]),
        ("data: a\nevent: e\nfoo: bar\ndata:b\nEvent: x\n\n", &[r#"e: "a\nb" #"#]),
        ("event:  \t\ndata:  space\n\n", &["\u{20}\t: \" space\" #"]),
        ("data: ok…日本語🌊\n\n", &[r#"message: "ok…日本語🌊" #"#]),
        (
            "id: 1\ndata: a\n\nid: 2\u{0}\ndata: b\n\n",
            &[r#"message: "a" #1"#, r#"message: "b" #1"#],
        ),
        ("data: c\n\n", &[r#"message: "c" #1"#]),
        ("retry: 0x10\nretry: 1s\nretry\nid\ndata: d\n\n", &[r#"message: "d" #"#]),
        ("", &[]),
        ("data: over\n\nretry: 100\n", &[r#"message: "over" #"#]),
    ];
    let chunked = STREAM.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut answers = Vec::new();
    let mut expected = Vec::new();
    for (turn, (stream, events)) in streams.into_iter().enumerate() {
        // Some end with their connection, and some in front of it.
        answers.push(if turn % 2 == 0 {
            format!("{STREAM}{stream}")
        } else {
            format!("{chunked}{:x}\r\n{stream}\r\n0\r\n\r\n", stream.len())
        });
        expected.push("open 200");
        expected.extend(events);
        expected.push("error EndOfStream");
    }
    // A chunk of no bytes is the last one.
    answers[11] = format!("{chunked}0\r\n\r\n");
    answers.push(STOP.into());
    expected.extend(STOPPED);
    let (listener, address) = listener();
    let server = answer(listener, answers);
    let mut source = source(&runtime, request(address), hasty());
    assert_eq!(tell_all(&mut source).await, expected);
    let ids: Vec<_> = server
        .await
        .iter()
        .map(|request| request.contains("\r\nLast-Event-ID: 1\r\n").then_some(1))
        .collect();
    assert_eq!(ids[9..12], [Some(1), Some(1), None], "{ids:?}");
}

/// 9.2.2 and 9.2.3: the values of `readyState`, and when they change.
async fn each_event_comes_in_its_state<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = answer(listener, vec![format!("{STREAM}: hi\ndata: a\n\n"), STOP.into()]);
    let config = SourceConfig { announce: true, ..hasty() };
    let mut source = source(&runtime, request(address), config);
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    let mut told = Vec::new();
    while let Some(it) = tell(&mut source).await {
        told.push(it);
    }
    let told: Vec<_> = told.iter().map(|(line, state)| (line.as_str(), *state)).collect();
    assert_eq!(
        told,
        [
            ("attempt", ReadyState::Connecting),
            ("open 200", ReadyState::Open),
            ("comment hi", ReadyState::Open),
            (r#"message: "a" #"#, ReadyState::Open),
            ("error EndOfStream", ReadyState::Connecting),
            ("attempt", ReadyState::Connecting),
            (STOPPED[0], ReadyState::Connecting),
            (STOPPED[1], ReadyState::Closed),
            (STOPPED[2], ReadyState::Closed),
        ]
    );
    assert_eq!(tell(&mut source).await, None);
    assert!(!source.reconnect(Duration::ZERO) && !source.restart(Duration::ZERO));
    server.await;
}

/// 9.2.2: `close` gives up what is under way, and the state is CLOSED, wherever it is called.
async fn it_can_be_closed_at_each_event<R: SendRuntime>(runtime: R) {
    let config = SourceConfig { announce: true, retried: TRANSIENT.into(), ..hasty() };
    for events in 0..12 {
        let (listener, address) = listener();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let server = background(move || {
            listener.set_nonblocking(true).unwrap();
            let stream = format!("{STREAM}: hi\ndata: a\n\n");
            let mut answers =
                [stream.as_str(), "HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\nno", STOP]
                    .into_iter();
            loop {
                let last = over.load(Ordering::SeqCst);
                match listener.accept() {
                    Ok((stream, _)) => {
                        assert!(!last, "an attempt after the end");
                        stream.set_nonblocking(false).unwrap();
                        let mut peer = RawPeer(stream);
                        peer.read_head();
                        peer.send(answers.next().unwrap());
                    }
                    Err(_) if last => return,
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        let mut source = source(&runtime, request(address), config.clone());
        for _ in 0..events {
            assert!(tell(&mut source).await.is_some(), "it ended before");
        }
        let failed = source.ready_state() == ReadyState::Closed;
        assert_eq!(failed, events == 11);
        source.close();
        assert_eq!(source.ready_state(), ReadyState::Closed);
        let expected = if failed { STOPPED[2] } else { "closed Caller" };
        assert_eq!(tell_all(&mut source).await, [expected], "after {events} events");
        is_over.store(true, Ordering::SeqCst);
        server.await;
    }
}

/// 9.2.2: a status that is not 200, or another media type, fails the connection. What the server said
/// is shown.
async fn what_is_no_event_stream_fails_the_connection<R: SendRuntime>(runtime: R) {
    let statuses = [201, 202, 205, 206, 304, 400, 401, 403, 404, 410, 429, 500, 502, 503, 504];
    for status in statuses {
        let (listener, address) = listener();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: text/event-stream\r\n");
        let server = answer(listener, vec![format!("{head}Content-Length: 9\r\n\r\ndata: x\n\n")]);
        let mut source = source(&runtime, request(address), hasty());
        let told = tell_all(&mut source).await;
        let error = format!("Status(Status({status}))");
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0], format!("refused {status}"));
        assert!(told[1].starts_with(&format!("error {error}")), "{told:?}");
        // RFC 9112, 6.3: a 304 has no body, whatever it says. That of the others is shown.
        assert_eq!(told[1].ends_with("data: x"), status != 304, "{told:?}");
        assert_eq!(told[2], format!("closed Failed({error})"));
        server.await;
    }
    for (value, is_stream) in [
        ("Content-Type: text/event-stream;charset=windows-1251", true),
        ("Content-Type: text/event-stream;", true),
        ("content-type: Text/Event-Stream", true),
        ("Content-Type: text/x-bogus", false),
        ("Content-Type: bogus", false),
        ("Content-Type:", false),
        ("X: text/event-stream", false),
    ] {
        let (listener, address) = listener();
        let stream = format!("HTTP/1.1 200 OK\r\n{value}\r\n\r\ndata: ok…\n\n");
        let answers = if is_stream { vec![stream, STOP.into()] } else { vec![stream] };
        let server = answer(listener, answers);
        let mut source = source(&runtime, request(address), hasty());
        let told = tell_all(&mut source).await;
        if is_stream {
            let expected =
                [&["open 200", r#"message: "ok…" #"#, "error EndOfStream"][..], &STOPPED];
            assert_eq!(told, expected.concat(), "{value}");
        } else {
            let expected =
                ["refused 200", "error ContentType data: ok…", "closed Failed(ContentType)"];
            assert_eq!(told[0], expected[0], "{value}");
            assert_eq!(told[1].trim_end(), expected[1], "{value}");
            assert_eq!(told[2..], expected[2..], "{value}");
        }
        server.await;
    }
}

/// RFC 9110, 15.4; Fetch, HTTP-redirect fetch. 9.2.6: the origin is that of the final URL.
async fn each_redirect_is_followed_as_its_status_says<R: SendRuntime>(runtime: R) {
    for (status, for_ever, keeps) in [
        (301, true, false),
        (302, false, false),
        (303, false, false),
        (307, false, true),
        (308, true, true),
    ] {
        for post in [false, true] {
            let ((first, here), (second, there)) = (listener(), listener());
            let redirect = format!(
                "HTTP/1.1 {status} X\r\nLocation: http://{there}/b\r\nContent-Length: 0\r\n\r\n"
            );
            let here_again =
                if for_ever { vec![redirect] } else { vec![redirect.clone(), redirect] };
            let first = answer(first, here_again);
            let stream = format!("{STREAM}id: é\ndata: there\n\n");
            let second = answer(second, vec![stream, STOP.into()]);
            let mut request = request(here).field("Cookie", "for the first").field("X", "for all");
            if post {
                request = request.post("{}");
            }
            let mut source = source(&runtime, request, hasty());
            assert_eq!(tell(&mut source).await.unwrap().0, "open 200");
            assert_eq!(source.origin(), format!("http://{there}"));
            assert_eq!(source.url().to_string(), format!("http://{here}/a"));
            let expected =
                [&[r#"message: "there" #é"#, "error EndOfStream"][..], &STOPPED].concat();
            assert_eq!(tell_all(&mut source).await, expected);
            let method = if post { "POST" } else { "GET" };
            let followed = if keeps { method } else { "GET" };
            let (first, second) = (first.await, second.await);
            for (turn, request) in first.iter().enumerate() {
                assert!(request.starts_with(&format!("{method} /a HTTP/1.1\r\nHost: {here}\r\n")));
                assert_eq!(request.contains("\r\nLast-Event-ID: é\r\n"), turn == 1);
                assert_eq!(field(request, "Cookie"), "for the first");
            }
            for (turn, request) in second.iter().enumerate() {
                assert!(
                    request.starts_with(&format!("{followed} /b HTTP/1.1\r\nHost: {there}\r\n"))
                );
                assert_eq!(request.contains("\r\nLast-Event-ID: é\r\n"), turn == 1);
                assert_eq!(request.ends_with("{}"), followed == "POST", "{status} {request}");
                assert_eq!(field(request, "X"), "for all");
                assert!(!request.contains("Cookie"), "{request}");
            }
        }
    }
}

/// RFC 9110, 10.2.3 and 15.6.4.
async fn a_server_in_trouble_is_tried_again_when_it_says<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 9\r\n\r\noverload\n");
        let asked = Instant::now();
        let mut peer = RawPeer::accept(&listener);
        let waited = asked.elapsed();
        peer.read_head();
        peer.send(STOP);
        waited
    });
    let config = SourceConfig { retried: TRANSIENT.into(), ..hasty() };
    let mut source = source(&runtime, request(address), config);
    let expected = [&["refused 503", "error Unavailable(Status(503)) overload"][..], &STOPPED];
    assert_eq!(tell_all(&mut source).await, expected.concat());
    let waited = server.await;
    // The clock of the client runs from the end of the body, and that of the server before it.
    assert!(waited >= Duration::from_millis(950) && waited < Duration::from_secs(8), "{waited:?}");
}

/// A token for each attempt, from elsewhere, however long that takes.
async fn fields_are_renewed_before_each_attempt<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let refused = "HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n".to_string();
    let server = answer(listener, vec![refused, STREAM.into(), STREAM.into(), STOP.into()]);
    let unauthorized = tidewire_runtime::http::Status::new(401).unwrap();
    let config = SourceConfig {
        announce: true,
        retried: vec![unauthorized].into(),
        // The caller's time is not the network's.
        connect_timeout: Some(Duration::from_secs(1)),
        ..hasty()
    };
    let request = request(address).field("Authorization", "Bearer none");
    let mut source = source(&runtime, request, config);
    let mut token = 0;
    while let Some(event) = source.next().await {
        match event {
            SourceEvent::Attempt => {
                let wait = if token == 0 { 1200 } else { 5 };
                sleep(&runtime, Duration::from_millis(wait)).await;
                token += 1;
                source.request_mut().set_field("authorization", format!("Bearer {token}"));
            }
            SourceEvent::Error { why: SourceError::Dial(why), .. } => panic!("{why}"),
            _ => {}
        }
    }
    let tokens: Vec<_> =
        server.await.iter().map(|request| field(request, "authorization").to_string()).collect();
    assert_eq!(tokens, ["Bearer 1", "Bearer 2", "Bearer 3", "Bearer 4"]);
}

/// The plain way, for those whose tokens are at hand.
async fn the_request_can_be_changed_between_events<R: SendRuntime>(runtime: R) {
    let ((first, here), (second, there)) = (listener(), listener());
    let first = answer(first, vec![format!("{STREAM}id: 7\ndata: a\n\n")]);
    let second = answer(second, vec![STOP.into()]);
    let mut source = source(&runtime, request(here).method("REPORT").body("1"), hasty());
    while let Some(event) = source.next().await {
        if let SourceEvent::Error { why: SourceError::EndOfStream, .. } = event {
            let request = source.request_mut();
            request.set_field("Token", "2");
            request.set_body("22");
            request.set_url(Url::parse(&format!("http://{there}/c")).unwrap());
        }
    }
    let sent = |host: SocketAddr, start: &str, end: &str| {
        format!(
            "REPORT {start} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\
             Cache-Control: no-store\r\n{end}"
        )
    };
    assert_eq!(first.await, [sent(here, "/a", "Content-Length: 1\r\n\r\n1")]);
    let end = "Last-Event-ID: 7\r\nToken: 2\r\nContent-Length: 2\r\n\r\n22";
    assert_eq!(second.await, [sent(there, "/c", end)]);
}

/// 9.2.3 and 9.2.4: the id goes as UTF-8, and may hold anything but NUL, CR and LF.
async fn the_last_event_id_comes_back_as_it_was<R: SendRuntime>(runtime: R) {
    let ids = ["…", "ü, \"ö\"; ß", "日本語", "\u{1F30A} wave", "a  b", "="];
    let (listener, address) = listener();
    let mut answers: Vec<_> =
        ids.iter().map(|id| format!("{STREAM}id: {id}\ndata: a\n\n")).collect();
    answers.push(STOP.into());
    let server = answer(listener, answers);
    let mut source = source(&runtime, request(address).last_event_id("préset"), hasty());
    assert_eq!(source.last_event_id(), "préset");
    tell_all(&mut source).await;
    let requests = server.await;
    let seen: Vec<_> = requests.iter().map(|request| field(request, "Last-Event-ID")).collect();
    assert_eq!(seen[0], "préset");
    assert_eq!(seen[1..], ids);
}

/// An event stream may be silent for as long as it likes, unless the caller knows better; a comment
/// keeps it alive.
async fn a_silent_stream_is_left_if_the_caller_wants_it<R: SendRuntime>(runtime: R) {
    const IDLE: Duration = Duration::from_millis(600);
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send(STREAM);
        for byte in [":", "\n", "d", "a"] {
            std::thread::sleep(IDLE / 3);
            peer.send(byte);
        }
        let silent = Instant::now();
        assert_eq!(peer.read_to_end(), b"");
        let silent = silent.elapsed();
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send(STOP);
        silent
    });
    let config = SourceConfig { idle_timeout: Some(IDLE), ..hasty() };
    let mut source = source(&runtime, request(address), config);
    let timeout = format!("error {:?}", SourceError::Timeout(Timer::Idle));
    let expected = [&["open 200", "comment ", &timeout][..], &STOPPED].concat();
    assert_eq!(tell_all(&mut source).await, expected);
    let silent = server.await;
    assert!(silent >= IDLE - Duration::from_millis(50) && silent < IDLE * 20, "{silent:?}");
}

/// What the policy or the server wants, the caller may know better.
async fn an_attempt_can_be_asked_for<R: SendRuntime>(runtime: R) {
    for after in [Duration::ZERO, Duration::from_millis(20)] {
        ask_for_attempts(&runtime, after).await;
    }
}

async fn ask_for_attempts<R: SendRuntime>(runtime: &R, after: Duration) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send(format!("{STREAM}retry: 3600000\nid: 1\ndata: a\n\n"));
        drop(peer);
        let mut peer = RawPeer::accept(&listener);
        let second = peer.read_head();
        // What comes behind the event at which it is left is asked for again.
        peer.send(format!("{STREAM}id: 2\ndata: b\n\nid: 3\ndata: c\n\n"));
        // It is left, and another one made.
        let mut next = RawPeer::accept(&listener);
        let third = next.read_head();
        assert_eq!(peer.read_to_end(), b"");
        next.send(STOP);
        [second, third].map(|head| field(&head, "Last-Event-ID").to_string())
    });
    let mut source = source(runtime, request(address), SourceConfig::default());
    let mut told = Vec::new();
    while let Some((line, _)) = tell(&mut source).await {
        match line.as_str() {
            "error EndOfStream" => assert!(source.reconnect(Duration::ZERO)),
            "message: \"b\" #2" => {
                assert!(!source.reconnect(Duration::ZERO), "there is a stream");
                assert!(source.restart(after));
                assert_eq!(source.attempts(), 2);
            }
            _ => {}
        }
        told.push(line);
    }
    let expected = [
        &["open 200", r#"message: "a" #1"#, "error EndOfStream", "open 200", r#"message: "b" #2"#]
            [..],
        &STOPPED,
    ];
    assert_eq!(told, expected.concat());
    assert_eq!(server.await, ["1", "2"]);
}

/// It gives up when the policy says so, and tells why.
async fn it_gives_up_when_the_policy_says_so<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let down = "HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n";
    // An event ends a row of failures; a stream without one does not.
    let answers = [down, down, &format!("{STREAM}data: a\n\n"), down, STREAM, down];
    let server = answer(listener, answers.map(String::from).to_vec());
    let reconnect = Policy::fixed(Duration::ZERO).max_attempts(3);
    let config = SourceConfig { reconnect, retried: TRANSIENT.into(), ..SourceConfig::default() };
    let mut source = source(&runtime, request(address), config);
    let mut last = None;
    while let Some(event) = source.next().await {
        last = Some(event.to_owned());
    }
    let why = SourceError::Unavailable(tidewire_runtime::http::Status::BAD_GATEWAY);
    assert_eq!(last, Some(OwnedSourceEvent::Closed(SourceClosed::GaveUp(why))));
    assert_eq!(source.attempts(), 6);
    server.await;
}

on_every_runtime!(
    it_reconnects_after_each_end_until_204_and_knows_the_formats,
    each_event_comes_in_its_state,
    it_can_be_closed_at_each_event,
    what_is_no_event_stream_fails_the_connection,
    each_redirect_is_followed_as_its_status_says,
    a_server_in_trouble_is_tried_again_when_it_says,
    fields_are_renewed_before_each_attempt,
    the_request_can_be_changed_between_events,
    the_last_event_id_comes_back_as_it_was,
    a_silent_stream_is_left_if_the_caller_wants_it,
    an_attempt_can_be_asked_for,
    it_gives_up_when_the_policy_says_so,
);
