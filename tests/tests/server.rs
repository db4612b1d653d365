//! The server's own limits: shutdown, deadlines, and how many at a time.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tidewire_runtime::http::{self, NO_FIELDS};
use tidewire_runtime::ws::handshake::ServerOptions;
use tidewire_runtime::ws::{Config, Event};
use tidewire_runtime::{
    Client, EventSource, EventStream, Exchange, HandlerError, HttpResponse, SendRuntime, Server,
    ServerConfig, WebSocket, sse,
};
use tidewire_tests::frames::{CLOSE, TEXT, close, masked};
use tidewire_tests::net::{
    AsyncStd, RawPeer, Smol, background, on_thread, plain, serve, serve_with, sleep, until,
};
use tidewire_tests::on_every_runtime;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_AND_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// What a handler has may be borrowed across a wait: by an `async fn allowed(exchange: &Exchange<R>)`.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    const fn all<R: SendRuntime<Stream: Sync, Timer: Sync>>() {
        is_shared::<Exchange<R>>();
        is_shared::<EventStream<R>>();
        is_shared::<EventSource<R>>();
        is_shared::<HttpResponse<R>>();
        is_shared::<WebSocket<R>>();
        is_shared::<Client<R>>();
    }
    all::<Smol>();
    all::<AsyncStd>();
};

/// Much longer than anything takes, much shorter than a test waits.
const LATE: Duration = Duration::from_secs(6);

/// What tests and handlers tell each other.
#[derive(Default)]
struct Signals {
    /// How many requests were begun.
    begun: AtomicUsize,
    /// Whether `/held` may be answered.
    released: AtomicBool,
}

impl Signals {
    fn wait_for(&self, begun: usize) {
        while self.begun.load(Ordering::SeqCst) < begun {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// [`answer`], with signals.
async fn answer_held<R: SendRuntime>(
    runtime: R,
    signals: Arc<Signals>,
    mut exchange: Exchange<R>,
) -> Result<(), HandlerError> {
    signals.begun.fetch_add(1, Ordering::SeqCst);
    if exchange.path() == "/held" {
        until(&runtime, || signals.released.load(Ordering::SeqCst)).await;
        return Ok(exchange.respond("ok").await?);
    }
    answer(runtime, exchange).await
}

/// One of each kind: an answer that takes its time, an event stream, a WebSocket, and `ok`.
async fn answer<R: SendRuntime>(runtime: R, mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    match exchange.path() {
        "/slow" => {
            sleep(&runtime, Duration::from_millis(300)).await;
            Ok(exchange.respond("ok").await?)
        }
        "/events" => {
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            stream.send(&sse::Event::data("hello")).await?;
            stream.closed().await;
            Ok(stream.finish().await?)
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
            Ok(())
        }
        "/stuck" => {
            std::future::pending::<()>().await;
            Ok(())
        }
        _ => Ok(exchange.respond("ok").await?),
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

async fn a_shutdown_lets_everybody_finish_in_his_own_way<R: SendRuntime>(runtime: R) {
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind_with(runtime.clone(), any, plain()).await.unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let signals = Arc::new(Signals::default());
    let seen = signals.clone();
    let clients = background(move || {
        let connect = |path: &str| {
            let mut peer = RawPeer::connect(address);
            peer.send(get(path));
            peer
        };
        let mut idle = connect("/");
        assert_eq!(idle.read_exact(OK.len()), OK);
        let mut silent = RawPeer::connect(address);
        let mut events = connect("/events");
        events.read_head();
        events.read_until("hello\n\n\r\n");
        let mut chat = RawPeer::open_websocket(address);
        let mut busy = connect("/held");
        seen.wait_for(4);
        while handle.connections() < 5 {
            std::thread::sleep(Duration::from_millis(1));
        }
        handle.shutdown();

        assert_eq!(idle.read_to_end(), b"", "idle connections are closed");
        assert_eq!(silent.read_to_end(), b"");
        assert_eq!(events.read_to_end(), b"0\r\n\r\n", "event streams end in order");
        let going_away = chat.read_frame();
        assert_eq!(going_away.close().0, 1001);
        chat.send(masked(TEXT, "on its way"));
        chat.send(masked(CLOSE, close(1001, "")));
        // What it sends meanwhile is read and not answered, since nothing may follow a Close.
        assert_eq!(chat.read_to_end(), b"");
        seen.released.store(true, Ordering::SeqCst);
        assert_eq!(busy.read_to_end(), OK_AND_CLOSE, "requests in progress are finished");
        handle
    });
    // Returns when all have ended, long before the grace is over.
    let start = Instant::now();
    let runtime_ = runtime.clone();
    server
        .serve(move |exchange| answer_held(runtime_.clone(), signals.clone(), exchange))
        .await
        .unwrap();
    assert!(start.elapsed() < LATE);
    let handle = clients.await;
    assert_eq!(handle.connections(), 0);
    // Nobody listens any more.
    on_thread(move || {
        assert!(std::net::TcpStream::connect(address).is_err());
    })
    .await;
}

async fn a_shutdown_drops_what_has_not_ended_after_the_grace<R: SendRuntime>(runtime: R) {
    const GRACE: Duration = Duration::from_millis(150);
    let config = ServerConfig { grace: GRACE, ..plain() };
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind_with(runtime.clone(), any, config).await.unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let signals = Arc::new(Signals::default());
    let (ours, seen) = (handle.clone(), signals.clone());
    let clients = background(move || {
        let mut stuck = RawPeer::connect(address);
        stuck.send(get("/stuck"));
        // One that never answers the server's Close.
        let mut mute = RawPeer::open_websocket(address);
        seen.wait_for(2);
        let asked = Instant::now();
        ours.shutdown();
        assert_eq!(mute.read_frame().close().0, 1001);
        assert_eq!(stuck.read_to_end(), b"");
        assert!(asked.elapsed() >= GRACE, "{:?}", asked.elapsed());
        mute.read_to_end();
    });
    let runtime_ = runtime.clone();
    server
        .serve(move |exchange| answer_held(runtime_.clone(), signals.clone(), exchange))
        .await
        .unwrap();
    clients.await;
    until(&runtime, || handle.connections() == 0).await;
}

async fn no_more_connections_than_allowed_are_served_at_a_time<R: SendRuntime>(runtime: R) {
    const MAX: usize = 3;
    let config = ServerConfig { max_connections: MAX, ..plain() };
    let most = Arc::new(AtomicUsize::new(0));
    let (runtime_, seen) = (runtime.clone(), most.clone());
    let (address, handle) = serve_with(&runtime, config, move |exchange| {
        seen.fetch_add(1, Ordering::SeqCst);
        answer(runtime_.clone(), exchange)
    })
    .await;
    on_thread(move || {
        let mut peers: Vec<_> = (0..MAX + 2).map(|_| RawPeer::connect(address)).collect();
        peers.iter_mut().for_each(|peer| peer.send(GET));
        for peer in &mut peers[..MAX] {
            assert_eq!(peer.read_exact(OK.len()), OK);
        }
        assert!(peers[MAX].is_silent_for(Duration::from_millis(50)), "one too many");
        assert_eq!((handle.connections(), most.load(Ordering::SeqCst)), (MAX, MAX));
        // When one leaves, the next one gets in, and so on.
        for left in 0..2 {
            peers[left].0.shutdown(Shutdown::Both).unwrap();
            assert_eq!(peers[MAX + left].read_exact(OK.len()), OK);
            assert!(handle.connections() <= MAX);
        }
    })
    .await;
}

fn with_times(head: Option<Duration>, idle: Option<Duration>) -> ServerConfig {
    let http = http::ServerConfig { head_timeout: head, idle_timeout: idle, ..Default::default() };
    ServerConfig { http, ..plain() }
}

// RFC 9110, 15.5.9.
async fn a_head_that_takes_too_long_is_answered_with_408<R: SendRuntime>(runtime: R) {
    const TIMEOUT: Duration = Duration::from_millis(150);
    let runtime_ = runtime.clone();
    let (address, handle) =
        serve_with(&runtime, with_times(Some(TIMEOUT), None), move |exchange| {
            answer(runtime_.clone(), exchange)
        })
        .await;
    on_thread(move || {
        let start = Instant::now();
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\n");
        // A byte now and then does not help.
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(20));
            peer.send("X");
        }
        let answer = String::from_utf8(peer.read_to_end()).unwrap();
        let elapsed = start.elapsed();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{elapsed:?}");
        // Who has not begun to ask is not answered.
        let start = Instant::now();
        let mut peer = RawPeer::connect(address);
        assert_eq!(peer.read_to_end(), b"");
        let elapsed = start.elapsed();
        assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{elapsed:?}");
    })
    .await;
    until(&runtime, || handle.connections() == 0).await;
}

// RFC 9112, 9.5.
async fn an_idle_connection_is_closed_without_a_word<R: SendRuntime>(runtime: R) {
    const TIMEOUT: Duration = Duration::from_millis(250);
    let runtime_ = runtime.clone();
    let (address, handle) =
        serve_with(&runtime, with_times(None, Some(TIMEOUT)), move |exchange| {
            answer(runtime_.clone(), exchange)
        })
        .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        // Not counted from the start of the connection, and not while an answer is under way.
        let mut start = Instant::now();
        for path in ["/", "/slow", "/"] {
            start = Instant::now();
            peer.send(get(path));
            assert_eq!(peer.read_exact(OK.len()), OK);
        }
        assert_eq!(peer.read_to_end(), b"");
        let elapsed = start.elapsed();
        assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{elapsed:?}");
        // An event stream is not idle, however silent.
        let mut stream = RawPeer::connect(address);
        stream.send(get("/events"));
        stream.read_head();
        stream.read_until("hello\n\n\r\n");
        assert!(stream.is_silent_for(TIMEOUT * 2));
    })
    .await;
    until(&runtime, || handle.connections() == 0).await;
}

// RFC 9112, 9.3.2.
async fn pipelined_requests_are_answered_in_order<R: SendRuntime>(runtime: R) {
    const TIMES: usize = 500;
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        let body = exchange.collect(1024).await?;
        let answer = [exchange.path().as_bytes(), b" ", &body].concat();
        Ok(exchange.respond(answer).await?)
    })
    .await;
    on_thread(move || {
        let mut requests = String::new();
        let mut answers = String::new();
        for turn in 0..TIMES {
            let body = "x".repeat(turn % 10);
            requests += &match turn % 3 {
                0 => get(&format!("/{turn}")),
                1 => format!(
                    "POST /{turn} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
                _ => format!(
                    "POST /{turn} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                     4\r\nabcd\r\n0\r\n\r\n"
                ),
            };
            let body = [String::new(), body, "abcd".into()][turn % 3].clone();
            let answer = format!("/{turn} {body}");
            let len = answer.len();
            answers += &format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{answer}");
        }
        let mut peer = RawPeer::connect(address);
        peer.send(&requests);
        let read = String::from_utf8(peer.read_exact(answers.len())).unwrap();
        assert!(read == answers);
    })
    .await;
}

// RFC 9112, 9.6: the end of the client's side is not the end of its interest.
async fn a_client_that_has_shut_down_its_sending_side_is_answered<R: SendRuntime>(runtime: R) {
    let runtime_ = runtime.clone();
    let (address, _server) =
        serve(&runtime, move |exchange| answer(runtime_.clone(), exchange)).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send([GET, GET].concat());
        peer.0.shutdown(Shutdown::Write).unwrap();
        let answers = peer.read_to_end();
        assert!(answers.starts_with(OK), "{}", String::from_utf8_lossy(&answers));
        assert!(answers.ends_with(b"ok") && answers.len() >= 2 * OK.len());
    })
    .await;
}

async fn a_slow_reader_of_a_large_answer_gets_all_of_it<R: SendRuntime>(runtime: R) {
    const SIZE: usize = 16 * 1024 * 1024;
    let (address, handle) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        let body: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
        Ok(exchange.respond(body).await?)
    })
    .await;
    on_thread(move || {
        let mut slow = RawPeer::connect(address);
        slow.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        slow.read_head();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(handle.connections(), 1, "it is not given up");
        let body = slow.read_to_end();
        assert_eq!(body.len(), SIZE);
        assert!(body.iter().enumerate().all(|(at, &byte)| byte == (at % 251) as u8));
    })
    .await;
}

// RFC 9112, 3 and 9.6: what is wrong is answered, and the answer arrives.
async fn a_bad_request_is_answered_and_the_connection_closed<R: SendRuntime>(runtime: R) {
    let runtime_ = runtime.clone();
    let (address, handle) =
        serve(&runtime, move |exchange| answer(runtime_.clone(), exchange)).await;
    on_thread(move || {
        let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(100_000));
        for (request, status) in [
            ("\0\r\n\r\n", "400 "),
            ("GET / HTTP/1.1\r\n\r\n", "400 "),
            ("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", "400 "),
            ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 "),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "400 ",
            ),
            (&long, "4"),
        ] {
            let mut peer = RawPeer::connect(address);
            peer.send(request);
            let answer = String::from_utf8(peer.read_to_end()).unwrap();
            let shown = &request[..request.len().min(80)];
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {answer:?}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{shown:?}: {answer:?}");
        }
        // The server is well.
        let mut peer = RawPeer::connect(address);
        peer.send(GET);
        assert_eq!(peer.read_exact(OK.len()), OK);
        drop(peer);
        handle
    })
    .await;
}

/// RFC 9112, 7.1: the last chunk tells a stream that ended from one that broke off.
async fn a_stream_whose_handler_gives_up_at_the_shutdown_ends_in_order<R: SendRuntime>(runtime: R) {
    let (address, handle) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut events = exchange.event_stream(NO_FIELDS).await?;
        loop {
            events.wait(Duration::from_secs(60)).await?;
        }
    })
    .await;
    let rest = on_thread(move || {
        let mut client = RawPeer::connect(address);
        client.send("GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
        client.read_head();
        handle.shutdown();
        client.read_to_end()
    })
    .await;
    assert_eq!(rest, b"0\r\n\r\n");
}

on_every_runtime!(
    a_stream_whose_handler_gives_up_at_the_shutdown_ends_in_order,
    a_shutdown_lets_everybody_finish_in_his_own_way,
    a_shutdown_drops_what_has_not_ended_after_the_grace,
    no_more_connections_than_allowed_are_served_at_a_time,
    a_head_that_takes_too_long_is_answered_with_408,
    an_idle_connection_is_closed_without_a_word,
    pipelined_requests_are_answered_in_order,
    a_client_that_has_shut_down_its_sending_side_is_answered,
    a_slow_reader_of_a_large_answer_gets_all_of_it,
    a_bad_request_is_answered_and_the_connection_closed,
);
