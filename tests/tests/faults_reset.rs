//! Peers that reset the connection (RFC 9293, 3.5.2), in every phase: each reset is one end with its
//! reason, frees what it held, and harms nobody else.
#![cfg(feature = "net")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidewire_runtime::http::{self, BodyLength, NO_FIELDS, Status};
use tidewire_runtime::proxy::Proxy;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{
    ClientClosed, ClientConfig, ClientError, ClientEvent, CloseCode, Config, Event,
};
use tidewire_runtime::{
    Client, Connector, Error, EventSource, Exchange, HandlerError, HttpClient, HttpRequest,
    SendRuntime, ServerConfig, TlsConfig,
};
use tidewire_tests::frames::{CLOSE, CONTINUES, TEXT, TEXT_BEGINS, close, frame, masked};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, plain, serve_with, sleep};
use tidewire_tests::on_every_runtime;

/// Much longer than anything takes, much shorter than a test waits.
const LATE: Duration = Duration::from_secs(6);

/// The answer to an opening handshake, and what follows.
fn switching(request: &str, more: &[u8]) -> Vec<u8> {
    [RawPeer::switching(request).as_bytes(), more].concat()
}

/// What a WebSocket server does with a request before it resets the connection, and what its client
/// tells then, one after the other.
type Phase = (&'static str, fn(&mut RawPeer), &'static [&'static str]);

const UNANSWERED: &[&str] = &["connected", "handshake Eof", "closed Failed"];
const BROKEN: &[&str] = &["connected", "open", "closed 1006"];

const PHASES: [Phase; 11] = [
    ("in the opening handshake", |peer| drop(peer.read_head()), UNANSWERED),
    (
        "in the answer",
        |peer| {
            peer.read_head();
            peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgra");
        },
        UNANSWERED,
    ),
    (
        "before the last byte of the answer",
        |peer| {
            let request = peer.read_head();
            let answer = switching(&request, b"");
            peer.send(&answer[..answer.len() - 1]);
        },
        UNANSWERED,
    ),
    (
        "in the body of a refusal",
        |peer| {
            peer.read_head();
            peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nforb");
        },
        &["connected", "handshake Status(Status(403)) forb", "closed Failed"],
    ),
    ("open", |peer| open(peer, b""), BROKEN),
    ("in the head of a frame", |peer| open(peer, &[TEXT, 126, 0]), BROKEN),
    ("in a payload", |peer| open(peer, &frame(TEXT, "hello")[..5]), BROKEN),
    (
        "between two fragments",
        |peer| {
            let fragments = [frame(TEXT_BEGINS, "one"), frame(CONTINUES, "two")];
            open(peer, &fragments.concat());
        },
        BROKEN,
    ),
    (
        "behind a message",
        |peer| open(peer, &frame(TEXT, "hello")),
        &["connected", "open", "text hello", "closed 1006"],
    ),
    // Both sides have sent a Close frame then: 7.1.4.
    (
        "behind its Close",
        |peer| open(peer, &frame(CLOSE, close(1001, "bye"))),
        &["connected", "open", "closed 1001"],
    ),
    (
        "behind our Close",
        |peer| {
            open(peer, &frame(TEXT, "close"));
            assert_eq!(peer.read_frame().close().0, 1000);
        },
        &["connected", "open", "text close", "closed 1006"],
    ),
];

fn open(peer: &mut RawPeer, more: &[u8]) {
    let request = peer.read_head();
    peer.send(switching(&request, more));
}

/// What a client tells of one attempt.
async fn attempt<R: SendRuntime>(client: &mut Client<R>) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let what = match client.next().await.expect("it does not give up") {
            ClientEvent::Connected => "connected".into(),
            ClientEvent::Open(_) => "open".into(),
            ClientEvent::Text("close") => {
                client.close(CloseCode::NORMAL, "").unwrap();
                "text close".into()
            }
            ClientEvent::Text(text) => format!("text {text}"),
            ClientEvent::Error(ClientError::Dial(why)) => format!("dial {why:?}"),
            ClientEvent::Error(ClientError::Handshake { why, body, .. }) => {
                let body = String::from_utf8_lossy(body);
                format!("handshake {why:?} {body}").trim_end().to_owned()
            }
            ClientEvent::Closed { why: ClientClosed::Ended(why), .. } => {
                format!("closed {}", why.code())
            }
            ClientEvent::Closed { why, .. } => format!("closed {why:?}"),
            other => format!("{other:?}"),
        };
        let over = what.starts_with("closed");
        told.push(what);
        if over {
            return told;
        }
    }
}

// RFC 6455, 7.1.5 and 7.1.7.
async fn a_reset_ends_an_attempt_of_a_client_once_and_the_next_is_whole<R: SendRuntime>(
    runtime: R,
) {
    let (listener, address) = listener();
    let server = background(move || {
        for (_, act, _) in PHASES {
            let mut peer = RawPeer::accept(&listener);
            act(&mut peer);
            // Lest the reset overtakes what was sent.
            std::thread::sleep(Duration::from_millis(20));
            peer.reset();
            // One that is as it should be comes right behind.
            let (mut peer, _) =
                RawPeer::accept_websocket_and_send(&listener, &frame(TEXT, "whole"));
            peer.send(frame(CLOSE, close(1000, "")));
            assert_eq!(peer.read_frame().close().0, 1000);
        }
    });
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let config = ClientConfig::default();
    let mut client = Client::new(runtime.clone(), request, config).unwrap();
    for (phase, _, expected) in PHASES {
        assert_eq!(attempt(&mut client).await, expected, "{phase}");
        let error = client.io_error().map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::ConnectionReset), "{phase}");
        client.reconnect(Duration::ZERO);
        let whole = ["connected", "open", "text whole", "closed 1000"];
        assert_eq!(attempt(&mut client).await, whole, "after {phase}");
        client.reconnect(Duration::ZERO);
    }
    drop(client);
    server.await;
}

// A connection that is reset before it was used may look as if it had never come up.
async fn a_reset_in_place_of_a_welcome_is_one_error_and_one_closed<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || RawPeer::accept(&listener).reset());
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let mut client = Client::new(runtime, request, ClientConfig::default()).unwrap();
    let told = attempt(&mut client).await;
    assert!(told == UNANSWERED || told == ["dial Connect", "closed Failed"], "{told:?}");
    assert!(client.next().await.is_none());
    server.await;
}

/// What stands between a client and its server does before it resets the connection, how it is named
/// to the client, and what that tells.
type Way = (&'static str, &'static str, fn(&mut RawPeer), &'static [&'static str]);

const NO_TLS: &[&str] = &["dial Tls", "closed Failed"];
const NO_WAY: &[&str] = &["dial Proxy", "closed Failed"];

const WAYS: [Way; 8] = [
    ("in the TLS handshake", "wss", |peer| assert_eq!(peer.read_exact(1), [22]), NO_TLS),
    (
        "in a ServerHello",
        "wss",
        |peer| {
            assert_eq!(peer.read_exact(1), [22]);
            peer.send([22, 3, 3, 0, 90, 2, 0]);
        },
        NO_TLS,
    ),
    ("when CONNECT was sent", "http", |peer| drop(peer.read_head()), NO_WAY),
    (
        "in the answer to CONNECT",
        "http",
        |peer| {
            peer.read_head();
            peer.send("HTTP/1.1 200 Connec");
        },
        NO_WAY,
    ),
    ("when SOCKS was greeted", "socks5h", |peer| assert_eq!(peer.read_exact(3), [5, 1, 0]), NO_WAY),
    (
        "when SOCKS was asked",
        "socks5h",
        |peer| {
            peer.read_exact(3);
            peer.send([5, 0]);
            assert_eq!(peer.read_exact(8), [5, 1, 0, 3, 1, b'h', 0, 80]);
        },
        NO_WAY,
    ),
    (
        "in the reply of SOCKS",
        "socks5h",
        |peer| {
            peer.read_exact(3);
            peer.send([5, 0]);
            peer.read_exact(8);
            peer.send([5, 0, 0, 1, 127]);
        },
        NO_WAY,
    ),
    (
        "behind the reply of SOCKS",
        "socks5h",
        |peer| {
            peer.read_exact(3);
            peer.send([5, 0]);
            peer.read_exact(8);
            peer.send([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
            peer.read_head();
        },
        UNANSWERED,
    ),
];

// RFC 8446, 4; RFC 9110, 9.3.6; RFC 1928, 3 to 6.
async fn a_reset_on_the_way_is_the_error_of_its_phase<R: SendRuntime>(runtime: R) {
    for (phase, kind, act, expected) in WAYS {
        let (listener, address) = listener();
        let server = background(move || {
            let mut peer = RawPeer::accept(&listener);
            act(&mut peer);
            std::thread::sleep(Duration::from_millis(20));
            peer.reset();
        });
        let mut connector = Connector::new(runtime.clone());
        let mut url = String::from("ws://h/");
        if kind == "wss" {
            connector = connector.tls(TlsConfig::new().dangerous_no_verification());
            url = format!("wss://{address}/");
        } else {
            connector = connector.proxy(Proxy::parse(&format!("{kind}://{address}")).unwrap());
        }
        let request = Request::new(&url).unwrap();
        let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
        assert_eq!(attempt(&mut client).await, expected, "{phase}");
        assert!(client.io_error().is_some(), "{phase}");
        assert!(client.next().await.is_none(), "{phase}");
        server.await;
    }
}

/// How an event source is answered before the connection is reset, and what it tells.
const ANSWERS: [(&str, &[&str]); 8] = [
    ("", &["Eof"]),
    ("HTTP/1.1 200 OK\r\nContent-Ty", &["Eof"]),
    (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nsorr",
        &["refused", "Unavailable(Status(503)) sorr"],
    ),
    ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", &["open", "Eof"]),
    (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\ndata: one\n\nid: 2\ndata: t",
        &["open", "one", "Eof"],
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
         13\r\nid: 3\ndata: three\n\n\r\n2",
        &["open", "three", "Eof"],
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\n\
         data: four\n\ndata: fi",
        &["open", "four", "Eof"],
    ),
    ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: six\n", &["open", "Eof"]),
];

// WHATWG HTML, 9.2.2 and 9.2.6: an event that is not whole at the end of the stream is discarded.
async fn a_reset_ends_a_stream_and_the_next_begins_behind_the_last_whole_event<R: SendRuntime>(
    runtime: R,
) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut last_ids = Vec::new();
        for (answer, _) in ANSWERS {
            let mut peer = RawPeer::accept(&listener);
            let request = peer.read_head();
            let id = request.lines().find_map(|line| line.strip_prefix("Last-Event-ID: "));
            last_ids.push(id.map(str::to_owned));
            peer.send(answer);
            std::thread::sleep(Duration::from_millis(20));
            peer.reset();
        }
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        last_ids
    });
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let config = SourceConfig {
        reconnect: Policy::fixed(Duration::from_millis(1)),
        retried: vec![Status::SERVICE_UNAVAILABLE].into(),
        ..SourceConfig::default()
    };
    let mut source = EventSource::new(runtime, SourceRequest::new(url), config).unwrap();
    for (answer, expected) in ANSWERS {
        let mut told = Vec::new();
        loop {
            let (what, over) = match source.next().await.unwrap() {
                SourceEvent::Open(_) => ("open".into(), false),
                SourceEvent::Refused(_) => ("refused".into(), false),
                SourceEvent::Message(message) => (message.data.to_owned(), false),
                SourceEvent::Error { why, body } => {
                    let body = String::from_utf8_lossy(body);
                    (format!("{why:?} {body}").trim_end().to_owned(), true)
                }
                other => panic!("{other:?}"),
            };
            told.push(what);
            if over {
                break;
            }
        }
        assert_eq!(told, expected, "{answer:?}");
        let error = source.io_error().map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::ConnectionReset), "{answer:?}");
    }
    while source.next().await.is_some() {}
    let ids = server.await;
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(ids[..5], [None, None, None, None, None]);
    assert_eq!(ids[5..], [id("1"), id("3"), id("3")]);
}

/// Whether that is what a reset looks like, if it is not a connection that never came up.
fn is_reset(error: &Error) -> bool {
    match error {
        Error::Io(error) => {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        }
        _ => false,
    }
}

// RFC 9112, 8 and 9.3.1: a response that is cut short is incomplete, and what was sent on a fresh
// connection is not sent again.
async fn a_reset_is_the_error_of_a_request_and_of_its_body<R: SendRuntime>(runtime: R) {
    const ANSWERS: [&str; 6] = [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y",
        // A body that ends with the connection has not ended with a reset.
        "HTTP/1.1 200 OK\r\n\r\nhalf",
    ];
    let (listener, address) = listener();
    let server = background(move || {
        for answer in ANSWERS {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(answer);
            std::thread::sleep(Duration::from_millis(20));
            peer.reset();
        }
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.read_exact(1 << 20);
        peer.reset();
        let mut peer = RawPeer::accept(&listener);
        for _ in 0..2 {
            peer.read_head();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let client = HttpClient::new(runtime);
    let url = format!("http://{address}/");
    for answer in ANSWERS {
        let body = async { client.get(&url).await?.collect(100).await };
        let error = body.await.expect_err(answer);
        assert!(is_reset(&error), "{answer:?}: {error:?}");
        assert_eq!(client.idle_connections(), 0, "{answer:?}");
    }
    let request = HttpRequest::new("PUT", &url).unwrap();
    let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
    let endless = async {
        loop {
            upload.send(&[0; 64 * 1024]).await?;
        }
    };
    let error: Error = Result::<(), _>::unwrap_err(endless.await);
    assert!(is_reset(&error), "{error:?}");
    drop(upload);
    for _ in 0..2 {
        assert_eq!(client.get(&url).await.unwrap().text(100).await.unwrap(), "ok");
    }
    server.await;
}

// RFC 9112, 9.3.1.
async fn a_kept_connection_that_was_reset_is_replaced<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let (reset, is_reset) = std::sync::mpsc::channel();
    let server = background(move || {
        for turn in 0..2 {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if turn == 0 {
                std::thread::sleep(Duration::from_millis(20));
                peer.reset();
                reset.send(()).unwrap();
            }
        }
    });
    let client = HttpClient::new(runtime.clone());
    let url = format!("http://{address}/");
    assert_eq!(client.get(&url).await.unwrap().text(100).await.unwrap(), "ok");
    assert_eq!(client.idle_connections(), 1);
    on_thread(move || is_reset.recv_timeout(LATE).unwrap()).await;
    // The reactor has heard of it, too.
    sleep(&runtime, Duration::from_millis(50)).await;
    // Not even a request that must not be repeated notices.
    assert_eq!(client.post(&url, "x").await.unwrap().text(100).await.unwrap(), "ok");
    server.await;
}

/// One more for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What was told to the operator: nothing, since that clients leave is no failure of a handler.
static TOLD: AtomicUsize = AtomicUsize::new(0);

async fn handler<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    match exchange.path() {
        "/wait" => exchange.while_open(std::future::pending()).await?,
        "/body" => drop(exchange.collect(1 << 30).await?),
        "/stream" => {
            let mut body = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            loop {
                body.send(&[b'x'; 16 * 1024]).await?;
            }
        }
        "/events" => {
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            stream.send(&sse::Event::data("hello")).await?;
            loop {
                stream.wait(Duration::from_secs(3600)).await?;
            }
        }
        "/flood" => {
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            loop {
                stream.send(&sse::Event::data("hello")).await?;
            }
        }
        "/chat" => {
            let options = ServerOptions::default();
            let mut socket = exchange.websocket(&options, Config::default()).await?;
            socket
                .run(|event, reply| match event {
                    Event::Text(text) => reply.send_text(text),
                    _ => Ok(()),
                })
                .await?;
        }
        _ => exchange.respond("ok").await?,
    }
    Ok(())
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

type Act = fn(&mut RawPeer);

/// What a client does before it resets the connection.
const CLIENTS: [(&str, Act); 16] = [
    ("without a word", |_| {}),
    ("in a head", |peer| peer.send("GET / HTTP/1.1\r\nHo")),
    ("in a body", |peer| {
        peer.send("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    }),
    ("in a chunk", |peer| {
        peer.send("POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf");
    }),
    ("before the answer", |peer| peer.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("with a request behind", |peer| {
        peer.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n");
    }),
    ("in the answer", |peer| {
        peer.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_exact(100_000);
    }),
    ("without taking the answer", |peer| peer.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("between two requests", |peer| {
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_until("ok");
    }),
    ("in a stream of events", |peer| {
        peer.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_until("data: hello\n\n\r\n");
    }),
    ("in a flood of events", |peer| {
        peer.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_exact(100_000);
    }),
    ("in an opening handshake", |peer| peer.send(&UPGRADE[..80])),
    ("open", |peer| open_chat(peer, b"")),
    ("in a frame", |peer| open_chat(peer, &masked(TEXT, "hello")[..8])),
    ("without taking what it asked for", |peer| {
        open_chat(peer, &masked(TEXT, "x".repeat(60_000)).repeat(100));
    }),
    ("in the closing handshake", |peer| open_chat(peer, &masked(CLOSE, close(1000, "")))),
];

fn open_chat(peer: &mut RawPeer, more: &[u8]) {
    peer.send(UPGRADE);
    assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
    peer.send(more);
}

async fn a_client_that_resets_takes_nothing_with_it<R: SendRuntime>(runtime: R) {
    let handlers = Arc::new(AtomicUsize::new(0));
    let count = handlers.clone();
    let on_error = |_: Option<SocketAddr>, _: &HandlerError| {
        TOLD.fetch_add(1, Ordering::SeqCst);
    };
    let http = http::ServerConfig { max_body: u64::MAX, ..http::ServerConfig::default() };
    let config = ServerConfig { on_error, http, ..plain() };
    let (address, server) = serve_with(&runtime, config, move |exchange: Exchange<R>| {
        let alive = Alive::new(&count);
        async move {
            let _alive = alive;
            handler(exchange).await
        }
    })
    .await;
    // Served all the while.
    let mut other = on_thread(move || RawPeer::connect(address)).await;
    for (phase, act) in CLIENTS {
        let (server, handlers) = (server.clone(), handlers.clone());
        other = on_thread(move || {
            let mut peer = RawPeer::connect(address);
            act(&mut peer);
            std::thread::sleep(Duration::from_millis(20));
            peer.reset();
            let gone = std::time::Instant::now();
            while server.connections() > 1 || handlers.load(Ordering::SeqCst) > 0 {
                std::thread::sleep(Duration::from_millis(1));
                assert!(gone.elapsed() < LATE, "who was reset {phase} is still there");
            }
            other.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert!(other.read_until("ok").starts_with(b"HTTP/1.1 200 "), "after {phase}");
            other
        })
        .await;
    }
    assert_eq!(TOLD.load(Ordering::SeqCst), 0);
}

// Between the SYN and `accept`, a client can be gone already (POSIX: ECONNABORTED, or a socket that
// fails at its first use).
async fn clients_that_are_gone_before_they_are_accepted_stop_nobody<R: SendRuntime>(runtime: R) {
    let (address, server) =
        serve_with(&runtime, plain(), |exchange: Exchange<R>| handler(exchange)).await;
    on_thread(move || {
        for _ in 0..200 {
            RawPeer::connect(address).reset();
        }
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert!(peer.read_to_end().starts_with(b"HTTP/1.1 200 "));
    })
    .await;
    while server.connections() > 0 {
        sleep(&runtime, Duration::from_millis(2)).await;
    }
}

on_every_runtime!(
    a_reset_ends_an_attempt_of_a_client_once_and_the_next_is_whole,
    a_reset_in_place_of_a_welcome_is_one_error_and_one_closed,
    a_reset_on_the_way_is_the_error_of_its_phase,
    a_reset_ends_a_stream_and_the_next_begins_behind_the_last_whole_event,
    a_reset_is_the_error_of_a_request_and_of_its_body,
    a_kept_connection_that_was_reset_is_replaced,
    a_client_that_resets_takes_nothing_with_it,
    clients_that_are_gone_before_they_are_accepted_stop_nobody,
);
