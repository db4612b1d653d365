//! Peers that say nothing and take nothing, in every phase: each phase ends by a deadline of its own,
//! which the error names, and by no other.
#![cfg(feature = "net")]

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tidewire_runtime::http::{self, BodyLength, NO_FIELDS, Status};
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{
    ClientConfig, ClientError, ClientEvent, CloseCode, Closed, Config, Event, MessageKind,
};
use tidewire_runtime::{
    Client, Error, EventSource, Exchange, HttpClient, HttpRequest, Phase, SendRuntime,
    ServerConfig, Timeouts,
};
use tidewire_tests::frames::{CLOSE, TEXT, TEXT_BEGINS, close, field, frame, masked};
use tidewire_tests::net::{PATIENCE, RawPeer, background, listener, on_thread, plain, serve_with};
use tidewire_tests::on_every_runtime;

/// The deadline of the phase. All others are [`NEVER`].
const TIMEOUT: Duration = Duration::from_millis(200);
/// A deadline that is not to be met.
const NEVER: Duration = Duration::from_secs(3600);
/// Much longer than anything takes, much shorter than a test waits.
const LATE: Duration = Duration::from_secs(6);
/// More than the operating system buffers.
const MUCH: usize = 32 << 20;

fn assert_in_time(since: Instant, phase: &str) {
    let elapsed = since.elapsed();
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{phase}: {elapsed:?}");
}

/// Accepts one client, does its part, and is mute until the test is over.
fn mute_after(
    listener: TcpListener,
    act: fn(&mut RawPeer),
) -> (mpsc::Sender<()>, impl Future<Output = ()>) {
    let (over, is_over) = mpsc::channel::<()>();
    let peer = background(move || {
        let mut peer = RawPeer::accept(&listener);
        act(&mut peer);
        let _ = is_over.recv_timeout(PATIENCE);
    });
    (over, peer)
}

/// A deadline of a client, set to that.
type Set = fn(&mut ClientConfig, Duration);

const CONNECT: Set = |config, time| config.connect_timeout = Some(time);
const HANDSHAKE: Set = |config, time| config.handshake.timeout = Some(time);
const PONG: Set = |config, time| {
    config.connection.ping_interval = Some(Duration::from_millis(20));
    config.connection.pong_timeout = time;
};
const IDLE: Set = |config, time| config.connection.idle_timeout = Some(time);
const WRITE: Set = |config, time| config.connection.write_timeout = Some(time);
const CLOSING: Set = |config, time| config.connection.close_timeout = time;
const DEADLINES: [Set; 6] = [CONNECT, HANDSHAKE, PONG, IDLE, WRITE, CLOSING];

fn open(peer: &mut RawPeer, more: &[u8]) {
    let request = peer.read_head();
    peer.send([RawPeer::switching(&request).as_bytes(), more].concat());
}

/// What the peer does before it is mute.
type Act = fn(&mut RawPeer);

/// A phase of a WebSocket: what the peer does, the deadline, and the words about the end.
type WebSocketPhase = (&'static str, Act, Set, &'static str);

const PHASES: [WebSocketPhase; 11] = [
    ("in the opening handshake", |_| {}, HANDSHAKE, "no answer in time"),
    (
        "in its answer",
        |peer| {
            peer.read_head();
            // Lines that come now and then do not help.
            for line in ["HTTP/1.1 101 Switching Protocols\r\n", "Upgrade: ", "websocket\r\n"] {
                peer.send(line);
                std::thread::sleep(TIMEOUT / 8);
            }
        },
        HANDSHAKE,
        "no answer in time",
    ),
    (
        "in the body of its refusal",
        |peer| {
            peer.read_head();
            peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nforb");
        },
        HANDSHAKE,
        "the server answered 403 Forbidden",
    ),
    ("open, and is pinged", |peer| open(peer, b""), PONG, "nothing was heard in time after a ping"),
    ("open", |peer| open(peer, b""), IDLE, "nothing was heard for too long"),
    (
        "in a frame",
        |peer| open(peer, &frame(TEXT, "hello")[..4]),
        IDLE,
        "nothing was heard for too long",
    ),
    (
        "between two fragments",
        |peer| open(peer, &frame(TEXT_BEGINS, "hello")),
        IDLE,
        "nothing was heard for too long",
    ),
    (
        "in a frame, and is pinged",
        |peer| open(peer, &frame(TEXT, "hello")[..4]),
        PONG,
        "nothing was heard in time after a ping",
    ),
    (
        "when it should read",
        |peer| open(peer, &frame(TEXT, "much")),
        WRITE,
        "nothing of what waited to be written was taken in time",
    ),
    (
        "when our Close should be answered",
        |peer| open(peer, &frame(TEXT, "close")),
        CLOSING,
        "our Close was not answered in time",
    ),
    // The server ends the stream first: RFC 6455, 7.1.1. What was agreed on is clean all the same.
    (
        "when the stream should end",
        |peer| open(peer, &frame(CLOSE, close(1000, ""))),
        CLOSING,
        "closed with 1000 by the peer",
    ),
];

async fn each_phase_of_an_opening_handshake_has_its_deadline<R: SendRuntime>(runtime: R) {
    be_left(runtime, &PHASES[..3]).await;
}

async fn each_phase_of_an_open_websocket_has_its_deadline<R: SendRuntime>(runtime: R) {
    be_left(runtime, &PHASES[3..]).await;
}

async fn be_left<R: SendRuntime>(runtime: R, phases: &[WebSocketPhase]) {
    for (phase, act, deadline, expected) in phases.iter().copied() {
        let (listener, address) = listener();
        let (over, peer) = mute_after(listener, act);
        let mut config = ClientConfig::default();
        for set in DEADLINES {
            set(&mut config, NEVER);
        }
        config.connection.ping_interval = None;
        deadline(&mut config, TIMEOUT);
        let request = Request::new(&format!("ws://{address}/")).unwrap();
        let mut client = Client::new(runtime.clone(), request, config).unwrap();
        let since = Instant::now();
        let mut words = Vec::new();
        while let Some(event) = client.next().await {
            match event {
                ClientEvent::Text("much") => client.send_binary(&vec![7; MUCH]).unwrap(),
                ClientEvent::Text("close") => client.close(CloseCode::NORMAL, "").unwrap(),
                ClientEvent::Error(why) => {
                    if let ClientError::Handshake { body, .. } = &why {
                        assert_eq!(*body == b"forb", phase.contains("refusal"), "{phase}");
                    }
                    words.push(why.to_string());
                }
                ClientEvent::Closed { why, .. } => words.push(why.to_string()),
                _ => {}
            }
        }
        assert_in_time(since, phase);
        assert_eq!(words[0], expected, "{phase}: {words:?}");
        assert!(words.len() == 1 || words[1..] == ["the attempt failed"], "{phase}: {words:?}");
        drop(over);
        peer.await;
    }
}

/// The same for the phases of a socket that a server has accepted.
async fn each_phase_of_an_accepted_websocket_has_its_deadline<R: SendRuntime>(runtime: R) {
    let phases: [(&str, Vec<u8>, Set, Closed); 5] = [
        ("open", vec![], IDLE, Closed::IdleTimeout),
        ("in a frame", masked(TEXT, "hello")[..4].to_vec(), IDLE, Closed::IdleTimeout),
        ("open, and is pinged", vec![], PONG, Closed::PongTimeout),
        ("when it should read", masked(TEXT, "much"), WRITE, Closed::WriteTimeout),
        ("when our Close should be answered", masked(TEXT, "close"), CLOSING, Closed::CloseTimeout),
    ];
    for (phase, bytes, deadline, expected) in phases {
        let mut config = ClientConfig::default();
        for set in DEADLINES {
            set(&mut config, NEVER);
        }
        config.connection.ping_interval = None;
        deadline(&mut config, TIMEOUT);
        let config: Config = config.connection;
        let (tell, told) = mpsc::channel();
        let (address, server) = serve_with(&runtime, plain(), move |exchange: Exchange<R>| {
            let tell = tell.clone();
            async move {
                let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
                let since = Instant::now();
                let ended = socket
                    .run(|event, reply| match event {
                        Event::Text("much") => {
                            reply.send_shared(MessageKind::Binary, &vec![7; MUCH].into())
                        }
                        Event::Text("close") => {
                            reply.close(CloseCode::NORMAL, "").expect("a code that may be sent");
                            Ok(())
                        }
                        _ => Ok(()),
                    })
                    .await;
                tell.send((since, ended))?;
                Ok(())
            }
        })
        .await;
        let (since, ended) = on_thread(move || {
            let mut peer = RawPeer::open_websocket(address);
            peer.send(bytes);
            let told = told.recv_timeout(PATIENCE).unwrap();
            drop(peer);
            let left = Instant::now();
            while server.connections() > 0 {
                assert!(left.elapsed() < LATE, "{phase}: the connection is still there");
                std::thread::sleep(Duration::from_millis(1));
            }
            told
        })
        .await;
        assert_in_time(since, phase);
        match ended {
            // In the midst of a message that is being sent, the end is an error.
            Ok(why) | Err(Error::WebSocket(why)) => assert_eq!(why, expected, "{phase}"),
            Err(other) => panic!("{phase}: {other:?}"),
        }
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// The phases of an event source: the answer before the peer is mute, and the error.
const ANSWERS: [(&str, &str, &str); 7] = [
    ("before the answer", "", "Timeout(Response)"),
    ("in the head", "HTTP/1.1 200 OK\r\nContent-Ty", "Timeout(Response)"),
    (
        "in the body of a refusal",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nsorr",
        "Unavailable(Status(503))",
    ),
    ("open", STREAM, "Timeout(Idle)"),
    ("behind an event", "data: whole\n\n", "Timeout(Idle)"),
    ("in an event", "data: whole\n\ndata: ha", "Timeout(Idle)"),
    ("behind an interim response", "HTTP/1.1 103 Early Hints\r\n\r\n", "Timeout(Response)"),
];

async fn each_phase_of_an_event_source_has_its_deadline<R: SendRuntime>(runtime: R) {
    for (phase, answer, expected) in ANSWERS {
        let (listener, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            if answer.starts_with("data") {
                peer.send(STREAM);
            }
            peer.send(answer);
            assert_eq!(peer.read_to_end(), b"", "it says nothing more, and ends");
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        });
        let in_head = !expected.contains("Idle");
        let config = SourceConfig {
            response_timeout: Some(if in_head { TIMEOUT } else { NEVER }),
            idle_timeout: Some(if in_head { NEVER } else { TIMEOUT }),
            connect_timeout: Some(NEVER),
            retried: vec![Status::SERVICE_UNAVAILABLE].into(),
            reconnect: Policy::fixed(Duration::from_millis(1)),
            ..SourceConfig::default()
        };
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let mut source =
            EventSource::new(runtime.clone(), SourceRequest::new(url), config).unwrap();
        let since = Instant::now();
        loop {
            match source.next().await.unwrap() {
                SourceEvent::Error { why, body } => {
                    assert_eq!(format!("{why:?}"), expected, "{phase}");
                    assert_eq!(body == b"sorr", phase.contains("refusal"), "{phase}");
                    break;
                }
                SourceEvent::Message(message) => assert_eq!(message.data, "whole", "{phase}"),
                _ => {}
            }
        }
        assert_in_time(since, phase);
        while source.next().await.is_some() {}
        peer.await;
    }
}

const NONE: Timeouts = Timeouts {
    connect: Some(NEVER),
    head: Some(NEVER),
    body: Some(NEVER),
    body_progress: 1,
    go_ahead: Some(NEVER),
    write: Some(NEVER),
    total: Some(NEVER),
};

/// A phase of a request: what the peer does, the deadline, and its name.
type RequestPhase = (&'static str, Act, fn(&mut Timeouts), Phase);

const REQUESTS: [RequestPhase; 7] = [
    ("before the answer", |_| {}, |it| it.head = Some(TIMEOUT), Phase::Head),
    (
        "in the head",
        |peer| peer.send("HTTP/1.1 200 OK\r\nCon"),
        |it| it.head = Some(TIMEOUT),
        Phase::Head,
    ),
    (
        "behind an interim response",
        |peer| peer.send("HTTP/1.1 103 Early Hints\r\n\r\n"),
        |it| it.head = Some(TIMEOUT),
        Phase::Head,
    ),
    (
        "in a body",
        |peer| peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        |it| it.body = Some(TIMEOUT),
        Phase::Body,
    ),
    (
        "in the trailers",
        |peer| peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y"),
        |it| it.body = Some(TIMEOUT),
        Phase::Body,
    ),
    (
        "in a body that ends with the connection",
        |peer| peer.send("HTTP/1.1 200 OK\r\n\r\nhalf"),
        |it| it.body = Some(TIMEOUT),
        Phase::Body,
    ),
    (
        "at the end of a redirect",
        |peer| {
            peer.send("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
            peer.read_head();
        },
        |it| it.total = Some(TIMEOUT),
        Phase::Total,
    ),
];

// Writing, connecting and waiting for `100 Continue`: `http_timeouts.rs`.
async fn each_phase_of_a_request_has_its_deadline<R: SendRuntime>(runtime: R) {
    for (phase, act, deadline, expected) in REQUESTS {
        let (listener, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            act(&mut peer);
            assert_eq!(peer.read_to_end(), b"", "the request is given up");
        });
        let mut timeouts = NONE;
        deadline(&mut timeouts);
        let client = HttpClient::new(runtime.clone());
        let request = HttpRequest::new("GET", &format!("http://{address}/")).unwrap();
        let since = Instant::now();
        let whole = async { client.send(request.timeouts(timeouts)).await?.collect(100).await };
        let error: Error = whole.await.expect_err(phase);
        assert_in_time(since, phase);
        assert_eq!(error.timed_out(), Some(expected), "{phase}: {error:?}");
        assert_eq!(client.idle_connections(), 0, "{phase}");
        drop(client);
        peer.await;
    }
}

// RFC 9110, 10.1.1: a client does not wait for `100` without end, and the body goes anyway.
async fn a_mute_server_gets_the_body_without_its_go_ahead<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let peer = background(move || {
        let mut peer = RawPeer::accept(&listener);
        assert_eq!(field(&peer.read_head(), "Expect"), "100-continue");
        let since = Instant::now();
        assert_eq!(peer.read_exact(4), b"body");
        assert!(since.elapsed() >= TIMEOUT / 2, "{:?}", since.elapsed());
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let client = HttpClient::new(runtime);
    let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
    let request = request.expect_continue().timeouts(Timeouts { go_ahead: Some(TIMEOUT), ..NONE });
    let since = Instant::now();
    let mut upload = client.start(request, BodyLength::Known(4)).await.unwrap();
    assert_in_time(since, "without a go-ahead");
    assert!(upload.send(b"body").await.unwrap());
    assert_eq!(upload.finish().await.unwrap().text(10).await.unwrap(), "ok");
    peer.await;
}

type SetServer = fn(&mut http::ServerConfig);

/// The phases of a connection to a server: what the client sends before it is mute, the deadline,
/// what it is told, and the words that a handler gets.
const CLIENTS: [(&str, &str, SetServer, &str, &str); 9] = [
    // Who has asked for nothing is told nothing.
    ("before a request", "", |it| it.head_timeout = Some(TIMEOUT), "", ""),
    (
        "in a head",
        "GET / HTTP/1.1\r\nHo",
        |it| it.head_timeout = Some(TIMEOUT),
        "HTTP/1.1 408 ",
        "",
    ),
    (
        "between two requests",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        |it| it.idle_timeout = Some(TIMEOUT),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "",
    ),
    (
        "in a second head",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HT",
        |it| it.head_timeout = Some(TIMEOUT),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 408 ",
        "",
    ),
    (
        "in a body",
        "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
        |it| it.body_timeout = Some(TIMEOUT),
        "HTTP/1.1 408 ",
        "too little of the body has come",
    ),
    (
        "in a chunk",
        "POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf",
        |it| it.body_timeout = Some(TIMEOUT),
        "HTTP/1.1 408 ",
        "too little of the body has come",
    ),
    (
        "when it should let the body come",
        "POST /body HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        |it| it.body_timeout = Some(TIMEOUT),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ",
        "too little of the body has come",
    ),
    (
        "when it should take the answer",
        "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
        |it| it.write_timeout = Some(TIMEOUT),
        "HTTP/1.1 200 OK\r\n",
        "timed out",
    ),
    (
        "when it should take events",
        "GET /events HTTP/1.1\r\nHost: h\r\n\r\n",
        |it| it.write_timeout = Some(TIMEOUT),
        "HTTP/1.1 200 OK\r\n",
        "timed out",
    ),
];

async fn each_phase_of_a_servers_connection_has_its_deadline<R: SendRuntime>(runtime: R) {
    for (phase, request, deadline, answer, words) in CLIENTS {
        let mut http = http::ServerConfig {
            head_timeout: Some(NEVER),
            idle_timeout: Some(NEVER),
            body_timeout: Some(NEVER),
            write_timeout: Some(NEVER),
            ..http::ServerConfig::default()
        };
        deadline(&mut http);
        let config = ServerConfig { http, ..plain() };
        let (tell, told) = mpsc::channel();
        let (address, server) = serve_with(&runtime, config, move |exchange: Exchange<R>| {
            let tell = tell.clone();
            async move {
                let error = answer_to(exchange).await.err();
                tell.send(error.as_ref().map(ToString::to_string))?;
                error.map_or(Ok(()), |error| Err(error.into()))
            }
        })
        .await;
        on_thread(move || {
            let since = Instant::now();
            let mut peer = RawPeer::connect(address);
            peer.send(request);
            while server.connections() == 0 {
                std::thread::yield_now();
            }
            let flooded = words == "timed out";
            let mut read = Vec::new();
            if !flooded {
                read = peer.read_to_end();
                assert_in_time(since, phase);
                peer.0.shutdown(std::net::Shutdown::Both).expect("it is connected");
            }
            while server.connections() > 0 {
                assert!(since.elapsed() < LATE, "{phase}: it is never left");
                std::thread::sleep(Duration::from_millis(1));
            }
            if flooded {
                assert_in_time(since, phase);
                read = peer.read_to_end();
            }
            let read = String::from_utf8(read).unwrap();
            assert!(read.starts_with(answer), "{phase}: {read:?}");
            assert_eq!(read.is_empty(), answer.is_empty(), "{phase}: {read:?}");
            // The last request is the one that failed.
            let told = told.try_iter().last().flatten().unwrap_or_default();
            assert!(told.contains(words) && told.is_empty() == words.is_empty(), "{phase}: {told}");
        })
        .await;
    }
}

async fn answer_to<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), Error> {
    match exchange.path() {
        "/body" => {
            exchange.collect(100).await?;
            exchange.respond("ok").await
        }
        "/stream" => {
            let mut body = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            loop {
                body.send(&[b'x'; 16 * 1024]).await?;
            }
        }
        "/events" => {
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            loop {
                stream.send(&sse::Event::data("hello")).await?;
            }
        }
        _ => exchange.respond("ok").await,
    }
}

/// A client that is not read from does not keep the server from answering others, nor from its end.
async fn a_deaf_client_is_dropped_at_the_end_of_the_grace<R: SendRuntime>(runtime: R) {
    let http = http::ServerConfig { write_timeout: None, ..http::ServerConfig::default() };
    let config = ServerConfig { http, grace: TIMEOUT, ..plain() };
    let (address, server): (SocketAddr, _) =
        serve_with(&runtime, config, |exchange: Exchange<R>| async move {
            Ok(answer_to(exchange).await?)
        })
        .await;
    on_thread(move || {
        let mut deaf = RawPeer::connect(address);
        deaf.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
        deaf.wait_readable();
        let mut other = RawPeer::connect(address);
        other.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert!(other.read_to_end().ends_with(b"ok"));
        let since = Instant::now();
        server.shutdown();
        while server.connections() > 0 {
            assert!(since.elapsed() < LATE, "the server never comes to its end");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_in_time(since, "at the end");
    })
    .await;
}

on_every_runtime!(
    each_phase_of_an_opening_handshake_has_its_deadline,
    each_phase_of_an_open_websocket_has_its_deadline,
    each_phase_of_an_accepted_websocket_has_its_deadline,
    each_phase_of_an_event_source_has_its_deadline,
    each_phase_of_a_request_has_its_deadline,
    a_mute_server_gets_the_body_without_its_go_ahead,
    each_phase_of_a_servers_connection_has_its_deadline,
    a_deaf_client_is_dropped_at_the_end_of_the_grace,
);
