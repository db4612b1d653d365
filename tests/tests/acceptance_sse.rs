//! Event streams on raw sockets: our server against raw clients, our client against raw servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{
    self, EncodeError, ReadyState, SourceClosed, SourceConfig, SourceError, SourceEvent,
    SourceRequest,
};
use tidewire_runtime::url::Url;
use tidewire_runtime::{Error, EventSource, Exchange, SendRuntime, ServerConfig};
use tidewire_tests::frames::field;
use tidewire_tests::net::{
    PATIENCE, RawPeer, background, listener, on_thread, plain, serve, serve_with, until,
};
use tidewire_tests::on_every_runtime;

const SUBSCRIBE: &str = "GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";

/// The answer of a raw server; its stream ends with the connection.
const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// One more for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What an event source tells, as text.
async fn tell<R: SendRuntime>(source: &mut EventSource<R>) -> Option<String> {
    Some(match source.next().await? {
        SourceEvent::Attempt => "attempt".into(),
        SourceEvent::Open(head) => format!("open {}", head.status.code()),
        SourceEvent::Message(it) => {
            format!("{} {:?} id {:?}", it.event_type, it.data, it.last_event_id)
        }
        SourceEvent::Comment(comment) => format!("comment {comment:?}"),
        SourceEvent::Refused(head) => format!("refused {}", head.status.code()),
        SourceEvent::Error { why, body } => {
            format!("error {why:?} {}", String::from_utf8_lossy(body))
        }
        SourceEvent::Closed(why) => format!("closed {why:?}"),
    })
}

fn source<R: SendRuntime>(runtime: &R, url: String, config: SourceConfig) -> EventSource<R> {
    let request = SourceRequest::new(Url::parse(&url).expect("a URL"));
    EventSource::new(runtime.clone(), request, config).expect("a request that can be sent")
}

fn back_after(delay: Duration) -> SourceConfig {
    SourceConfig { reconnect: Policy::fixed(delay), ..SourceConfig::default() }
}

// Acceptance group 1. WHATWG HTML, 9.2.5; RFC 9112, 7.1.
async fn the_head_of_an_event_stream_is_out_before_any_event<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        stream.wait(Duration::from_secs(3600)).await?;
        Ok(())
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(SUBSCRIBE);
        assert_eq!(
            peer.read_head(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
             X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        assert!(peer.is_silent_for(Duration::from_millis(50)));
    })
    .await;
}

// Acceptance group 1. WHATWG HTML, 9.2.5.
async fn events_come_one_interval_after_the_request_and_then_one_an_interval<R: SendRuntime>(
    runtime: R,
) {
    const INTERVAL: Duration = Duration::from_millis(100);
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        loop {
            stream.wait(INTERVAL).await?;
            stream.send(&sse::Event::data("hello").event("message").id("1")).await?;
        }
    })
    .await;
    on_thread(move || {
        let event = "22\r\nevent: message\nid: 1\ndata: hello\n\n\r\n";
        let mut peer = RawPeer::connect(address);
        let start = Instant::now();
        peer.send(SUBSCRIBE);
        peer.read_head();
        for turn in 1..=3 {
            assert_eq!(peer.read_exact(event.len()), event.as_bytes());
            let elapsed = start.elapsed();
            assert!(elapsed >= INTERVAL * turn, "event {turn} came after {elapsed:?}");
        }
        let elapsed = start.elapsed();
        assert!(elapsed < INTERVAL * 3 + Duration::from_secs(5), "{elapsed:?}");
    })
    .await;
}

/// Data and what arrives of it.
const DATA: [(&str, &str); 9] = [
    ("a\nb", "a\nb"),
    ("a\r\nb", "a\nb"),
    ("a\rb", "a\nb"),
    ("a\n", "a\n"),
    ("\n\n", "\n\n"),
    ("", ""),
    ("a\r\n\rb\n\n", "a\n\nb\n\n"),
    (" leading: space", " leading: space"),
    ("\u{FEFF}grüße \u{1F30A}\0", "\u{FEFF}grüße \u{1F30A}\0"),
];

// Acceptance group 4. WHATWG HTML, 9.2.5 and 9.2.6.
async fn line_breaks_in_data_arrive_as_line_breaks<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        for (data, _) in DATA {
            stream.send(&sse::Event::data(data)).await?;
        }
        Ok(stream.finish().await?)
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(SUBSCRIBE);
        peer.read_head();
        let event = "11\r\ndata: a\ndata: b\n\n\r\n";
        for _ in 0..3 {
            assert_eq!(String::from_utf8(peer.read_exact(event.len())).unwrap(), event);
        }
    })
    .await;
    let mut source = source(&runtime, format!("http://{address}/"), SourceConfig::default());
    assert_eq!(tell(&mut source).await.unwrap(), "open 200");
    for (_, arrives) in DATA {
        assert_eq!(tell(&mut source).await.unwrap(), format!("message {arrives:?} id \"\""));
    }
}

// Acceptance group 4. WHATWG HTML, 9.2.5.
async fn what_would_inject_a_field_is_an_error_and_leaves_no_trace<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        let refused = [
            (sse::Event::data("x").event("a\ndata: y"), EncodeError::LineBreakInType(1)),
            (sse::Event::data("x").event("\r"), EncodeError::LineBreakInType(0)),
            (sse::Event::data("x").id("12\nretry: 0"), EncodeError::LineBreakInId(2)),
            (sse::Event::data("x").id("1\r"), EncodeError::LineBreakInId(1)),
            (sse::Event::data("x").id("\0"), EncodeError::NulInId(0)),
        ];
        for (event, expected) in refused {
            match stream.send(&event).await {
                Err(Error::Send(sse::SendError::Encode(why))) if why == expected => {}
                other => return Err(format!("{event:?}: {other:?}").into()),
            }
        }
        stream.send(&sse::Event::data("after")).await?;
        Ok(stream.finish().await?)
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(SUBSCRIBE);
        peer.read_head();
        assert_eq!(peer.read_until("0\r\n\r\n"), b"d\r\ndata: after\n\n\r\n0\r\n\r\n");
    })
    .await;
}

// Acceptance group 5.
async fn a_client_that_leaves_ends_its_stream_at_once<R: SendRuntime>(runtime: R) {
    let streams = Arc::new(AtomicUsize::new(0));
    let counter = streams.clone();
    let (address, server) = serve(&runtime, move |exchange: Exchange<R>| {
        let counted = Counted::new(&counter);
        async move {
            let _counted = counted;
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            stream.send(&sse::Event::data("hello")).await?;
            loop {
                // Nothing is written meanwhile that could fail.
                stream.wait(Duration::from_secs(3600)).await?;
            }
        }
    })
    .await;
    let (ours, handle) = (streams.clone(), server.clone());
    on_thread(move || {
        for by_reset in [false, true] {
            let mut peer = RawPeer::connect(address);
            peer.send(SUBSCRIBE);
            if by_reset {
                // A socket that is closed with bytes unread resets the connection.
                peer.wait_readable();
            } else {
                peer.read_until("data: hello\n\n\r\n");
            }
            assert_eq!((ours.load(Ordering::SeqCst), handle.connections()), (1, 1));
            let left = Instant::now();
            drop(peer);
            while ours.load(Ordering::SeqCst) + handle.connections() > 0 {
                std::thread::sleep(Duration::from_millis(1));
                assert!(left.elapsed() < Duration::from_secs(5), "reset: {by_reset}");
            }
        }
    })
    .await;
}

// Acceptance group 5.
async fn thousands_of_connects_and_disconnects_leave_nothing_behind<R: SendRuntime>(runtime: R) {
    const CLIENTS: usize = 2000;
    let streams = Arc::new(AtomicUsize::new(0));
    let counter = streams.clone();
    let (address, server) = serve(&runtime, move |exchange: Exchange<R>| {
        let counted = Counted::new(&counter);
        async move {
            let _counted = counted;
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            loop {
                stream.wait(Duration::from_secs(3600)).await?;
            }
        }
    })
    .await;
    on_thread(move || {
        for turn in 0..CLIENTS {
            let mut peer = RawPeer::connect(address);
            match turn % 4 {
                0 => {}
                1 => peer.send(&SUBSCRIBE[..20]),
                2 => {
                    peer.send(SUBSCRIBE);
                    peer.wait_readable();
                }
                _ => {
                    peer.send(SUBSCRIBE);
                    peer.read_head();
                }
            }
        }
    })
    .await;
    until(&runtime, || server.connections() == 0).await;
    assert_eq!(streams.load(Ordering::SeqCst), 0);
}

/// Too much for what the operating system buffers.
const FLOOD: usize = 512;

fn big(number: usize) -> String {
    format!("{number:04}{}", "x".repeat(64 * 1024))
}

fn small_buffers() -> ServerConfig {
    ServerConfig { send_high_water: 256 * 1024, ..plain() }
}

/// The numbers of the events of [`big`] that come until the stream ends.
fn read_big(peer: &mut RawPeer) -> Vec<usize> {
    let event = format!("data: {}\n\n", big(0));
    let size = format!("{:x}\r\n", event.len());
    let mut numbers = Vec::new();
    loop {
        if peer.read_exact(3) == b"0\r\n" {
            assert_eq!(peer.read_to_end(), b"\r\n");
            return numbers;
        }
        peer.read_exact(size.len() - 3);
        let event = String::from_utf8(peer.read_exact(event.len() + 2)).unwrap();
        let number = event["data: ".len()..][..4].parse().unwrap();
        assert!(event == format!("data: {}\n\n\r\n", big(number)), "event {number} is damaged");
        numbers.push(number);
    }
}

// Acceptance group 7.
async fn a_slow_reader_makes_send_wait_and_loses_nothing<R: SendRuntime>(runtime: R) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let (address, _server) = serve_with(&runtime, small_buffers(), move |exchange| {
        let count = count.clone();
        async move {
            let exchange: Exchange<R> = exchange;
            let mut stream = exchange.event_stream([("Connection", "close")]).await?;
            for number in 0..FLOOD {
                stream.send(&sse::Event::data(&big(number))).await?;
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(stream.finish().await?)
        }
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(SUBSCRIBE);
        peer.read_head();
        // Until it waits.
        let (mut before, mut still) = (usize::MAX, 0);
        while still < 10 {
            std::thread::sleep(Duration::from_millis(20));
            let now = sent.load(Ordering::SeqCst);
            still = if now == before { still + 1 } else { 0 };
            before = now;
        }
        assert!(before < FLOOD, "send does not wait");
        assert_eq!(read_big(&mut peer), (0..FLOOD).collect::<Vec<_>>());
    })
    .await;
}

// Acceptance group 7.
async fn a_slow_reader_can_miss_whole_events_and_the_caller_knows_which<R: SendRuntime>(
    runtime: R,
) {
    let (taken, numbers) = std::sync::mpsc::channel();
    let (address, _server) = serve_with(&runtime, small_buffers(), move |exchange| {
        let taken = taken.clone();
        async move {
            let exchange: Exchange<R> = exchange;
            let mut stream = exchange.event_stream([("Connection", "close")]).await?;
            let mut full = 0;
            for number in 0..FLOOD {
                match stream.try_send(&sse::Event::data(&big(number))) {
                    Ok(()) => taken.send(Some(number))?,
                    Err(Error::Send(sse::SendError::Full)) => full += 1,
                    Err(other) => return Err(other.into()),
                }
                // Lets the socket take what it takes.
                stream.wait(Duration::ZERO).await?;
            }
            assert!(full > 0, "the buffer is not bounded");
            taken.send(None)?;
            Ok(stream.finish().await?)
        }
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(SUBSCRIBE);
        peer.read_head();
        // Read nothing until it has offered them all.
        let mut expected = Vec::new();
        while let Some(number) = numbers.recv_timeout(PATIENCE).unwrap() {
            expected.push(number);
        }
        assert!(expected.len() < FLOOD, "the buffer is not bounded");
        assert_eq!(read_big(&mut peer), expected);
    })
    .await;
}

// Acceptance group 7.
async fn a_slow_reader_can_be_disconnected<R: SendRuntime>(runtime: R) {
    let (gave_up, is_given_up) = std::sync::mpsc::channel();
    let (address, _server) = serve_with(&runtime, small_buffers(), move |exchange| {
        let gave_up = gave_up.clone();
        async move {
            let exchange: Exchange<R> = exchange;
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            loop {
                if let Err(why) = stream.try_send(&sse::Event::data(&big(0))) {
                    gave_up.send(why.to_string())?;
                    return Err(why.into());
                }
                stream.wait(Duration::ZERO).await?;
            }
        }
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(SUBSCRIBE);
        peer.read_head();
        let why = is_given_up.recv_timeout(PATIENCE).unwrap();
        assert_eq!(why, "the subscriber reads too slowly");
        // What was taken before may still come, but not the last chunk, which says that all is well.
        assert!(!peer.read_to_end().ends_with(b"0\r\n\r\n"));
    })
    .await;
}

// Acceptance group 8. WHATWG HTML, 9.2.2, 9.2.3 and 9.2.6.
async fn an_event_source_asks_reads_and_comes_back_with_the_last_event_id<R: SendRuntime>(
    runtime: R,
) {
    const DELAY: Duration = Duration::from_millis(250);
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        let first = peer.read_head();
        peer.send(format!(
            "{STREAM}data: one\n\nevent: tick\r\nid: 7\r\ndata: two\r\ndata: lines\r\n\r\n\
             : a comment\ndata\n\ndata: half an event\n"
        ));
        drop(peer);
        let dropped = Instant::now();
        let mut peer = RawPeer::accept(&listener);
        let waited = dropped.elapsed();
        let second = peer.read_head();
        peer.send(format!("{STREAM}data: three\n\nid\ndata: four\n\n"));
        // Until the client has closed.
        assert_eq!(peer.read_to_end(), b"");
        (first, second, waited)
    });
    let mut source = source(&runtime, format!("http://{address}/news?a=b"), back_after(DELAY));
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    let mut told = Vec::new();
    while let Some(what) = tell(&mut source).await {
        if what.contains("four") {
            assert_eq!(source.ready_state(), ReadyState::Open);
            source.close();
        }
        told.push(what);
    }
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert_eq!(
        told,
        [
            "open 200",
            r#"message "one" id """#,
            r#"tick "two\nlines" id "7""#,
            r#"comment "a comment""#,
            r#"message "" id "7""#,
            "error EndOfStream ",
            "open 200",
            r#"message "three" id "7""#,
            r#"message "four" id """#,
            "closed Caller",
        ]
    );
    let (first, second, waited) = server.await;
    let request = format!(
        "GET /news?a=b HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\
         Cache-Control: no-cache\r\n"
    );
    assert_eq!(first, format!("{request}\r\n"));
    assert_eq!(second, format!("{request}Last-Event-ID: 7\r\n\r\n"));
    // Counted from the drop, which comes before the client has noticed.
    assert!(waited >= DELAY && waited < DELAY + Duration::from_secs(5), "{waited:?}");
}

// Acceptance group 8. WHATWG HTML, 9.2.6: `retry`.
async fn retry_changes_the_wait_before_the_next_attempt<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send(format!("{STREAM}retry: 300\n\n"));
        drop(peer);
        let dropped = Instant::now();
        let mut peer = RawPeer::accept(&listener);
        let waited = dropped.elapsed();
        peer.read_head();
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        waited
    });
    let config = back_after(Duration::from_secs(3600));
    let mut source = source(&runtime, format!("http://{address}/"), config);
    while tell(&mut source).await.is_some() {}
    let waited = server.await;
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert!(waited < Duration::from_secs(6), "{waited:?}");
}

// Acceptance group 8. WHATWG HTML, 9.2.3.
async fn an_answer_that_is_no_event_stream_is_final<R: SendRuntime>(runtime: R) {
    let answers = [
        ("HTTP/1.1 204 No Content\r\n\r\n", "error Status(Status(204)) "),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry",
            "error Status(Status(503)) sorry",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>!",
            "error ContentType <p>!",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "error ContentType "),
    ];
    for (answer, expected) in answers {
        let (listener, address) = listener();
        let server = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(answer);
            peer.read_to_end();
            // Nobody comes back.
            listener.set_nonblocking(true).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            assert!(listener.accept().is_err());
        });
        let mut source =
            source(&runtime, format!("http://{address}/"), back_after(Duration::from_millis(1)));
        let mut told = Vec::new();
        while let Some(what) = tell(&mut source).await {
            told.push(what);
        }
        assert!(told[0].starts_with("refused "), "{told:?}");
        assert_eq!(told[1], expected);
        assert!(told[2].starts_with("closed Failed("), "{told:?}");
        assert_eq!(told.len(), 3, "{told:?}");
        server.await;
    }
}

// RFC 9112, 8.
async fn a_reset_is_no_end_of_the_stream<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let (told, is_told) = std::sync::mpsc::channel();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        // What is left unread makes a reset of the close.
        peer.wait_readable();
        peer.send(format!("{STREAM}data: here\n\n"));
        is_told.recv_timeout(PATIENCE).unwrap();
    });
    let mut source = source(&runtime, format!("http://{address}/"), SourceConfig::default());
    assert_eq!(tell(&mut source).await.unwrap(), "open 200");
    assert_eq!(tell(&mut source).await.unwrap(), r#"message "here" id """#);
    told.send(()).unwrap();
    assert_eq!(tell(&mut source).await.unwrap(), "error Eof ");
    server.await;
}

// Acceptance group 8. WHATWG HTML, 9.2.3; Fetch, 4.4.
async fn a_redirect_is_followed_to_another_port<R: SendRuntime>(runtime: R) {
    let ((first, here), (second, there)) = (listener(), listener());
    let server = background(move || {
        let mut peer = RawPeer::accept(&first);
        peer.read_head();
        peer.send(format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{there}/moved\r\n\
             Content-Length: 0\r\n\r\n"
        ));
        let mut moved = RawPeer::accept(&second);
        let head = moved.read_head();
        moved.send(format!("{STREAM}data: here\n\n"));
        assert_eq!(peer.read_to_end(), b"");
        assert_eq!(moved.read_to_end(), b"");
        head
    });
    let mut source = source(&runtime, format!("http://{here}/"), SourceConfig::default());
    assert_eq!(tell(&mut source).await.unwrap(), "open 200");
    assert_eq!(tell(&mut source).await.unwrap(), r#"message "here" id """#);
    drop(source);
    let head = server.await;
    assert!(head.starts_with("GET /moved HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&head, "Host"), there.to_string());
}

// Acceptance group 8. WHATWG HTML, 9.2.6; RFC 9112, 7.1.
async fn the_stream_may_come_in_any_pieces<R: SendRuntime>(runtime: R) {
    let mut stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
        Content-Type: text/event-stream;charset=utf-8\r\n\r\n"
        .as_bytes()
        .to_vec();
    let body = "\u{FEFF}data: grüße\r\n\r\nid: 1\revent: e\ndata:x\r\r".as_bytes();
    // Cuts within the mark, a character and a line break.
    for chunk in [&body[..2], &body[2..12], &body[12..17], &body[17..18], &body[18..]] {
        stream.extend(format!("{:X};x=y\r\n", chunk.len()).bytes());
        stream.extend(chunk);
        stream.extend(b"\r\n");
    }
    stream.extend(b"0\r\n\r\n");
    let (listener, address) = listener();
    let server = background(move || {
        for piece in [1, 2, 3, 7, 1000] {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            for piece in stream.chunks(piece) {
                peer.send(piece);
                if piece.len() < 7 {
                    // So that some pieces are read alone.
                    std::thread::sleep(Duration::from_micros(50));
                }
            }
            peer.read_to_end();
        }
    });
    let config = back_after(Duration::ZERO);
    let mut source = source(&runtime, format!("http://{address}/"), config);
    for turn in 0..5 {
        let id = if turn == 0 { "" } else { "1" };
        assert_eq!(tell(&mut source).await.unwrap(), "open 200");
        assert_eq!(tell(&mut source).await.unwrap(), format!("message {:?} id {id:?}", "grüße"));
        assert_eq!(tell(&mut source).await.unwrap(), r#"e "x" id "1""#);
        assert_eq!(tell(&mut source).await.unwrap(), "error EndOfStream ");
    }
    drop(source);
    server.await;
}

// Acceptance group 19, for event streams.
async fn a_refused_port_is_one_error_an_attempt<R: SendRuntime>(runtime: R) {
    let address = listener().1;
    let config = SourceConfig {
        reconnect: Policy::fixed(Duration::from_millis(10)).max_attempts(2),
        ..SourceConfig::default()
    };
    let mut source = source(&runtime, format!("http://{address}/"), config);
    let mut told = Vec::new();
    while let Some(event) = source.next().await {
        match event {
            SourceEvent::Error { why: SourceError::Dial(why), .. } => told.push(why.to_string()),
            SourceEvent::Closed(SourceClosed::GaveUp(SourceError::Dial(_))) => {
                told.push("closed".into());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[3], "closed");
    let error = source.io_error().expect("the operating system's words");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

on_every_runtime!(
    the_head_of_an_event_stream_is_out_before_any_event,
    events_come_one_interval_after_the_request_and_then_one_an_interval,
    line_breaks_in_data_arrive_as_line_breaks,
    what_would_inject_a_field_is_an_error_and_leaves_no_trace,
    a_client_that_leaves_ends_its_stream_at_once,
    thousands_of_connects_and_disconnects_leave_nothing_behind,
    a_slow_reader_makes_send_wait_and_loses_nothing,
    a_slow_reader_can_miss_whole_events_and_the_caller_knows_which,
    a_slow_reader_can_be_disconnected,
    an_event_source_asks_reads_and_comes_back_with_the_last_event_id,
    retry_changes_the_wait_before_the_next_attempt,
    an_answer_that_is_no_event_stream_is_final,
    a_redirect_is_followed_to_another_port,
    a_reset_is_no_end_of_the_stream,
    the_stream_may_come_in_any_pieces,
    a_refused_port_is_one_error_an_attempt,
);
