//! Sockets that give and take one byte at a time, writes that block for long, and peers that have
//! closed one direction: slow is not broken, and half is not the whole.
#![cfg(feature = "net")]

use std::net::Shutdown;
use std::time::{Duration, Instant};
use tidewire_runtime::http::{self, BodyLength, NO_FIELDS, Status};
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::{Refusal, Request, ServerOptions};
use tidewire_runtime::ws::{CloseCode, Closed, Config, Event, MessageKind};
use tidewire_runtime::{
    Driver, Error, EventSource, Exchange, HandlerError, HttpClient, HttpRequest, SendRuntime,
    ServerConfig, Timeouts, WebSocket,
};
use tidewire_tests::faults::Drip;
use tidewire_tests::frames::{BINARY, CLOSE, PING, PONG, TEXT, close, frame, masked};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, plain, serve, serve_with};
use tidewire_tests::on_every_runtime;

/// One of each kind.
async fn handler<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    match exchange.path() {
        "/echo" => {
            let body = exchange.collect(1 << 20).await?;
            exchange.respond(body).await?;
        }
        "/chunks" => {
            let mut body = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            for piece in ["one ", "two ", "three"] {
                body.send(piece.as_bytes()).await?;
            }
            body.finish_with_trailers([("X-Count", "3")]).await?;
        }
        "/events" => {
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            for number in 0..EVENTS {
                let (data, id) = (format!("event\n{number}"), number.to_string());
                stream.send(&sse::Event::data(&data).id(&id)).await?;
            }
            stream.closed().await;
        }
        "/chat" => {
            let options = ServerOptions::default();
            let mut socket = exchange.websocket(&options, Config::default()).await?;
            socket
                .run(|event, reply| match event {
                    Event::Text(text) => reply.send_text(text),
                    Event::Binary(data) => reply.send_binary(data),
                    _ => Ok(()),
                })
                .await?;
        }
        _ => exchange.respond_with(Status::FORBIDDEN, NO_FIELDS, "not here").await?,
    }
    Ok(())
}

const EVENTS: usize = 20;

// RFC 6455, 5.4: how the bytes came is nothing that a message shows.
async fn a_websocket_by_single_bytes_is_the_same<R: SendRuntime>(runtime: R) {
    let runtime = Drip(runtime);
    let (address, _server) = serve(&runtime, handler).await;
    let request = Request::new(&format!("ws://{address}/chat")).unwrap();
    let (mut socket, _) =
        WebSocket::connect(runtime.clone(), &request, Config::default()).await.unwrap();
    for len in [0, 1, 125, 126, 3000] {
        let text = "\u{1F30A}".repeat(len / 4) + &"x".repeat(len % 4);
        socket.send_text(&text).await.unwrap();
        assert_eq!(socket.next().await, Some(Event::Text(&text)));
        let data = vec![0xA5; len];
        socket.send_binary(&data).await.unwrap();
        assert_eq!(socket.next().await, Some(Event::Binary(&data)));
    }
    let mut message = socket.start_message(MessageKind::Text).unwrap();
    for piece in ["in ", "pie", "ces"] {
        message.send_chunk(piece.as_bytes()).await.unwrap();
    }
    message.finish().await.unwrap();
    socket.send_ping(b"there?").await.unwrap();
    assert_eq!(socket.next().await, Some(Event::Text("in pieces")));
    assert_eq!(socket.next().await, Some(Event::Pong(b"there?")));
    let closed = socket.close(CloseCode::new(4000), "enough").await.unwrap();
    assert!(closed.is_clean() && closed.code() == CloseCode::new(4000), "{closed}");

    let elsewhere = Request::new(&format!("ws://{address}/elsewhere")).unwrap();
    match WebSocket::connect(runtime, &elsewhere, Config::default()).await {
        Err(Error::Handshake { why: Refusal::Status(Status::FORBIDDEN), body, .. }) => {
            assert_eq!(body, b"not here");
        }
        other => panic!("{other:?}"),
    }
}

// WHATWG HTML, 9.2.6; RFC 9112, 7.1.
async fn an_event_stream_by_single_bytes_is_the_same<R: SendRuntime>(runtime: R) {
    let runtime = Drip(runtime);
    let (address, _server) = serve(&runtime, handler).await;
    let url = Url::parse(&format!("http://{address}/events")).unwrap();
    let mut source =
        EventSource::new(runtime, SourceRequest::new(url), SourceConfig::default()).unwrap();
    assert!(matches!(source.next().await, Some(SourceEvent::Open(_))));
    for number in 0..EVENTS {
        match source.next().await {
            Some(SourceEvent::Message(it)) => {
                assert_eq!(it.data, format!("event\n{number}"));
                assert_eq!(it.last_event_id, number.to_string());
            }
            other => panic!("{number}: {other:?}"),
        }
    }
}

// RFC 9112, 6 and 7.
async fn requests_by_single_bytes_are_the_same<R: SendRuntime>(runtime: R) {
    let runtime = Drip(runtime);
    let (address, server) = serve(&runtime, handler).await;
    let client = HttpClient::new(runtime);
    let url = |path: &str| format!("http://{address}{path}");
    for len in [0, 1, 5000] {
        let body: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut response = client.post(&url("/echo"), body.clone()).await.unwrap();
        assert_eq!(response.collect(1 << 20).await.unwrap(), body);
    }
    let request = HttpRequest::new("POST", &url("/echo")).unwrap();
    let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
    for piece in ["a piece, ", "and another"] {
        assert!(upload.send(piece.as_bytes()).await.unwrap());
    }
    let mut response = upload.finish().await.unwrap();
    assert_eq!(response.text(1000).await.unwrap(), "a piece, and another");
    let mut response = client.get(&url("/chunks")).await.unwrap();
    assert_eq!(response.text(1000).await.unwrap(), "one two three");
    assert_eq!(response.trailers().get_str("X-Count"), Some("3"));
    drop(response);
    assert_eq!((client.idle_connections(), server.connections()), (1, 1), "it is the same one");
}

/// How long a peer takes nothing at a time, and by when it must.
const PAUSE: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(3);
/// More than the operating system buffers.
const MUCH: usize = 24 << 20;
const PIECE: usize = 8 << 20;

/// Reads that much, with pauses in between, and checks that it is the [`stripes`].
fn read_slowly(peer: &mut RawPeer) {
    let mut read = Vec::new();
    while read.len() < MUCH {
        std::thread::sleep(PAUSE);
        read.extend(peer.read_exact(PIECE));
    }
    assert!(read == stripes(), "what came is not what was sent");
}

fn stripes() -> Vec<u8> {
    tidewire_tests::peers::pattern(0, MUCH)
}

// A deadline for writes counts from when something was taken last.
async fn a_message_that_leaves_slowly_is_whole_and_holds_up_nothing_that_comes<R: SendRuntime>(
    runtime: R,
) {
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        for number in 0..3 {
            peer.send(frame(TEXT, format!("meanwhile {number}")));
        }
        peer.send(frame(PING, "there?"));
        std::thread::sleep(PAUSE);
        let head = peer.read_exact(14);
        assert_eq!(head[..10], [&[BINARY, 0xFF][..], &(MUCH as u64).to_be_bytes()].concat());
        let mut read = Vec::new();
        while read.len() < MUCH {
            std::thread::sleep(PAUSE);
            read.extend(peer.read_exact(PIECE));
        }
        read.iter_mut().zip(head[10..].iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        assert!(read == stripes(), "what came is not what was sent");
        // A pong has no place among messages: it leaves as soon as there is room.
        let mut last = [peer.read_message(), peer.read_message()];
        last.sort();
        assert_eq!(last, [(TEXT, b"behind".to_vec()), (PONG, b"there?".to_vec())]);
        peer.send(frame(CLOSE, close(1000, "")));
        assert_eq!(peer.read_frame().close().0, 1000);
    });
    let config = Config { write_timeout: Some(DEADLINE), ..Config::default() };
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let (mut socket, _) = WebSocket::connect(runtime, &request, config).await.unwrap();
    let since = Instant::now();
    socket.queue_binary(&stripes()).unwrap();
    for number in 0..3 {
        assert_eq!(socket.next().await, Some(Event::Text(&format!("meanwhile {number}"))));
    }
    assert_eq!(socket.next().await, Some(Event::Ping(b"there?")));
    assert!(since.elapsed() < DEADLINE, "what comes waited for what goes");
    socket.send_text("behind").await.unwrap();
    loop {
        match socket.next().await {
            // It had to wait for room.
            Some(Event::Drained) => {}
            Some(Event::Closed { why, .. }) => break assert!(why.is_clean(), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    server.await;
}

async fn a_body_that_leaves_slowly_is_whole<R: SendRuntime>(runtime: R) {
    let http =
        http::ServerConfig { write_timeout: Some(DEADLINE), ..http::ServerConfig::default() };
    let config = ServerConfig { http, ..plain() };
    let (address, _server) = serve_with(&runtime, config, |mut exchange: Exchange<R>| async move {
        Ok(exchange.respond(stripes()).await?)
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_head();
        read_slowly(&mut peer);
    })
    .await;

    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        read_slowly(&mut peer);
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let timeouts = Timeouts { write: Some(DEADLINE), ..Timeouts::default() };
    let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
    let request = request.body(stripes()).timeouts(timeouts);
    let mut response = HttpClient::new(runtime).send(request).await.unwrap();
    assert_eq!(response.text(100).await.unwrap(), "ok");
    server.await;
}

// Whoever waits for output to leave learns that it never will, and the machine learns it next: here one
// that has no deadline of its own for that.
async fn a_write_that_was_given_up_ends_the_connection<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || RawPeer::accept(&listener));
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let new = |now, _: &mut _| http::Client::new(http::ClientConfig::default(), now);
    let mut driver = Driver::connect(runtime, &url, 64 * 1024, new).await.unwrap();
    let _peer = server.await;
    driver.set_write_timeout(Some(PAUSE));
    let (it, body) = (driver.parts(), vec![0; 64 << 20]);
    let (fields, length) = ([("Host", url.host_header())], BodyLength::Known(body.len() as u64));
    it.machine.request("PUT", url.target(), fields, length, it.now, it.tx).unwrap();
    it.machine.send_shared(&body.into(), it.tx).unwrap();
    let given_up = driver.flush().await.unwrap_err();
    assert_eq!(given_up.kind(), std::io::ErrorKind::TimedOut);
    let since = Instant::now();
    match driver.next().await {
        Some(http::ClientEvent::Closed(why)) => assert_eq!(why, http::Closed::Eof),
        other => panic!("{other:?}"),
    }
    assert!(since.elapsed() < DEADLINE);
}

// RFC 6455, 7.1.5: the stream is over without a Close frame. The other direction is told so all the
// same, and the socket is not kept.
async fn a_half_open_websocket_is_over<R: SendRuntime>(runtime: R) {
    for unfinished in [Vec::new(), frame(TEXT, "hello")[..3].to_vec()] {
        let (listener, address) = listener();
        let server = background(move || {
            let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &unfinished);
            peer.0.shutdown(Shutdown::Write).unwrap();
            peer.read_to_end()
        });
        let request = Request::new(&format!("ws://{address}/")).unwrap();
        let (mut socket, _) =
            WebSocket::connect(runtime.clone(), &request, Config::default()).await.unwrap();
        match socket.next().await {
            Some(Event::Closed { why: Closed::Eof, reason: "" }) => {}
            other => panic!("{other:?}"),
        }
        assert!(socket.next().await.is_none());
        assert!(socket.send_text("x").await.is_err());
        assert_eq!(server.await, b"", "nothing is sent to who has left");
    }

    let (address, server) = serve(&runtime, handler).await;
    on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        peer.send([masked(TEXT, "hello"), masked(TEXT, "half")[..7].to_vec()].concat());
        peer.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.read_to_end(), frame(TEXT, "hello"));
        let since = Instant::now();
        while server.connections() > 0 {
            assert!(since.elapsed() < DEADLINE, "the connection is still there");
            std::thread::sleep(Duration::from_millis(1));
        }
    })
    .await;
}

// RFC 9112, 9.6: a client that has shut down its sending side may still read. A stream of events has
// nobody to end for but such a client, so that it ends there.
async fn a_half_open_client_is_answered_and_its_streams_end<R: SendRuntime>(runtime: R) {
    let (address, server) = serve(&runtime, handler).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
        peer.0.shutdown(Shutdown::Write).unwrap();
        assert!(peer.read_to_end().ends_with(b"\r\n\r\nbody"));

        // Cut short, it is no body.
        let mut peer = RawPeer::connect(address);
        peer.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo");
        peer.0.shutdown(Shutdown::Write).unwrap();
        let answer = String::from_utf8(peer.read_to_end()).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer:?}");

        let mut peer = RawPeer::connect(address);
        peer.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_until(format!("data: {}\n\n\r\n", EVENTS - 1));
        peer.0.shutdown(Shutdown::Write).unwrap();
        peer.read_to_end();
        let since = Instant::now();
        while server.connections() > 0 {
            assert!(since.elapsed() < DEADLINE, "the connection is still there");
            std::thread::sleep(Duration::from_millis(1));
        }
    })
    .await;
}

// RFC 9112, 8: a server that has shut down its sending side has said all, or too little.
async fn a_half_open_server_has_said_all<R: SendRuntime>(runtime: R) {
    const ANSWERS: [(&str, Option<&str>); 4] = [
        ("HTTP/1.1 200 OK\r\n\r\nto the end", Some("to the end")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", Some("whole")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n", None),
    ];
    let (listener, address) = listener();
    let server = background(move || {
        for (answer, _) in ANSWERS {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(answer);
            peer.0.shutdown(Shutdown::Write).unwrap();
            assert_eq!(peer.read_to_end(), b"");
        }
    });
    let client = HttpClient::new(runtime);
    for (answer, expected) in ANSWERS {
        let url = format!("http://{address}/");
        let body = async { client.get(&url).await?.text(100).await };
        match (body.await, expected) {
            (Ok(body), Some(expected)) => assert_eq!(body, expected),
            (Err(Error::Http(http::Closed::Eof)), None) => {}
            (other, _) => panic!("{answer:?}: {other:?}"),
        }
        // What the server has ended is of no use any more, and let go.
        client.close_idle();
    }
    server.await;
}

on_every_runtime!(
    a_websocket_by_single_bytes_is_the_same,
    an_event_stream_by_single_bytes_is_the_same,
    requests_by_single_bytes_are_the_same,
    a_message_that_leaves_slowly_is_whole_and_holds_up_nothing_that_comes,
    a_body_that_leaves_slowly_is_whole,
    a_write_that_was_given_up_ends_the_connection,
    a_half_open_websocket_is_over,
    a_half_open_client_is_answered_and_its_streams_end,
    a_half_open_server_has_said_all,
);
