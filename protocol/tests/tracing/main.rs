//! What the machines tell a subscriber of `tracing`: each decision once, with its reason, in the span of
//! its machine, and nothing that is a secret.

mod collector;

use collector::Collector;
use core::time::Duration;
use tidewire::http::{Server, ServerConfig, ServerEvent, Status};
use tidewire::reconnect::Policy;
use tidewire::sse::{EventSource, SourceConfig, SourceRequest};
use tidewire::url::Url;
use tidewire::ws::handshake::{Request, ServerOptions, accept};
use tidewire::ws::{Client, ClientConfig, CloseCode, Config, Connection, Negotiated};
use tidewire::{DialError, Instant, Machine, RecvBuf, Seed, SendBuf};
use tracing::subscriber::DefaultGuard;

const NOW: Instant = Instant::EPOCH;
const SEED: Seed = Seed::new([7; 32]);
/// What no line may hold: user, password, query, values of fields, payloads.
const SECRETS: [&str; 6] = ["alice", "swordfish", "token", "Bearer", "PHPSID", "payload"];

/// Listens to this thread until the guard is dropped.
fn listen() -> (Collector, DefaultGuard) {
    let collector = Collector::default();
    (collector.clone(), tracing::subscriber::set_default(collector))
}

fn later(millis: u64) -> Instant {
    NOW + Duration::from_millis(millis)
}

/// Polls until there is no event.
fn poll<M: Machine>(machine: &mut M, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) {
    while machine.advance(now, rx, tx) {
        machine.event(now, rx, tx);
    }
}

fn push(rx: &mut RecvBuf, bytes: &[u8]) {
    assert_eq!(rx.push(bytes), bytes.len());
}

/// The lines, each with what is the same in all of them taken off.
fn lines(collector: &Collector, same: &str) -> Vec<String> {
    let lines = collector.take();
    for line in &lines {
        assert!(SECRETS.iter().all(|secret| !line.contains(secret)), "a secret: {line}");
    }
    lines.iter().map(|line| line.replacen(same, "", 1)).collect()
}

/// A server's answer to the opening handshake that waits in `tx`, by our own server.
fn answer(tx: &mut SendBuf) -> Vec<u8> {
    let (mut rx, mut out) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
    push(&mut rx, tx.chunk());
    tx.clear();
    let mut server = Server::new(ServerConfig::default(), NOW);
    while let Some(event) = server.poll_event(NOW, &mut rx, &mut out) {
        if let ServerEvent::Request(head) = event {
            let acceptance = accept(&head, &ServerOptions::default()).unwrap();
            server.upgrade(acceptance.fields(), &mut out).unwrap();
        }
    }
    out.chunk().to_vec()
}

/// RFC 6455, 7: who closed, and how it ended.
#[test]
fn a_connection_tells_how_it_ended() {
    let (told, _guard) = listen();
    let open = || Connection::server(Config::default(), Negotiated::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 10), SendBuf::new());
    let span = "tidewire::ws websocket{role=Server}: ";

    let mut conn = open();
    push(&mut rx, b"\x82\x87\0\0\0\0payload\x88\x85\0\0\0\0\x03\xE9bye");
    poll(&mut conn, NOW, &mut rx, &mut tx);
    let lines_of_close = lines(&told, span);
    assert!(lines_of_close[0].starts_with("DEBUG open negotiated="), "{lines_of_close:?}");
    assert_eq!(
        lines_of_close[1..],
        [
            "DEBUG Close received code=1001 reason=\"bye\"",
            "DEBUG closed why=closed with 1001 by the peer"
        ],
    );

    let mut conn = open();
    rx.clear();
    conn.close(CloseCode::NORMAL, "payload", NOW, &mut tx).unwrap();
    conn.close(CloseCode::NORMAL, "payload", NOW, &mut tx).unwrap();
    conn.handle_timeout(later(60_000), &mut tx);
    assert_eq!(
        lines(&told, span)[1..],
        ["DEBUG closing code=1000", "DEBUG closed why=our Close was not answered in time"],
    );

    let mut conn = open();
    push(&mut rx, b"\x83\x80\0\0\0\0");
    poll(&mut conn, NOW, &mut rx, &mut tx);
    assert_eq!(
        lines(&told, span)[1..],
        ["DEBUG closed why=a reserved opcode (RFC 6455, 5.2) (at byte 0 after the handshake)"],
    );
}

/// A ping, its pong, and a queue that is full: once, until it has drained.
#[test]
fn a_connection_tells_of_pings_and_of_its_limit() {
    let (told, _guard) = listen();
    let config = Config {
        ping_interval: Some(Duration::from_secs(1)),
        send_high_water: 10,
        ..Config::default()
    };
    let mut conn = Connection::server(config, Negotiated::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 10), SendBuf::new());
    let span = "tidewire::ws websocket{role=Server}: ";
    conn.handle_timeout(later(1000), &mut tx);
    let mut pong = tx.chunk().to_vec();
    pong[0] = 0x8A;
    pong[1] |= 0x80;
    pong.splice(2..2, [0; 4]);
    poll(&mut conn, later(1000), &mut rx, &mut tx);
    tx.consume(tx.len());
    push(&mut rx, &pong);
    poll(&mut conn, later(1030), &mut rx, &mut tx);
    assert_eq!(lines(&told, span)[1..], ["TRACE ping behind=false", "TRACE pong rtt=Some(30ms)"]);

    for _ in 0..4 {
        let _ = conn.send_text("payload of a text", &mut tx);
    }
    assert_eq!(lines(&told, span), ["DEBUG the send queue is full limit=10"]);
    tx.consume(tx.len());
    poll(&mut conn, later(1030), &mut rx, &mut tx);
    for _ in 0..2 {
        let _ = conn.send_text("payload of a text", &mut tx);
    }
    assert_eq!(lines(&told, span), ["DEBUG the send queue is full limit=10"]);
}

/// Why each attempt ended, and how long it is to the next one; the machines within are in the span of the
/// client.
#[test]
fn a_client_tells_why_and_when_it_tries_again() {
    let (told, _guard) = listen();
    let url = "ws://alice:swordfish@h:1234/chat?token=t";
    let request = Request::new(url).unwrap().field("Cookie", "PHPSID=1").unwrap();
    let policy = Policy::fixed(Duration::from_secs(3)).max_attempts(2);
    let config = ClientConfig { reconnect: Some(policy), ..ClientConfig::default() };
    let mut client = Client::new(request, config, &SEED, NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
    let span = "tidewire::ws client{url=ws://h:1234/chat}:";

    client.dial_failed(NOW, DialError::Resolve);
    poll(&mut client, NOW, &mut rx, &mut tx);
    assert_eq!(
        lines(&told, span),
        ["DEBUG  not connected why=the host name could not be resolved again=Some(3s)"],
    );

    client.handle_timeout(later(3000), &mut tx);
    client.connected(later(3000), &mut tx);
    tx.clear();
    push(&mut rx, b"HTTP/1.1 503 Busy\r\nContent-Length: 7\r\n\r\npayload");
    poll(&mut client, later(3000), &mut rx, &mut tx);
    let refused = lines(&told, span);
    let refused =
        refused.iter().filter(|line| !line.contains("tidewire::http")).collect::<Vec<_>>();
    assert_eq!(
        refused,
        [
            "DEBUG  connected attempt=2",
            "DEBUG handshake{url=ws://h:1234/chat}: handshake refused why=the server answered 503 Service Unavailable",
            "DEBUG  refused why=the server answered 503 Service Unavailable again=Some(3s)",
        ],
    );

    client.handle_timeout(later(6000), &mut tx);
    client.connected(later(6000), &mut tx);
    let answer = answer(&mut tx);
    told.take();
    push(&mut rx, &answer);
    poll(&mut client, later(6000), &mut rx, &mut tx);
    rx.fail();
    poll(&mut client, later(6000), &mut rx, &mut tx);
    let opened = lines(&told, span);
    let opened: Vec<_> = opened.iter().filter(|line| !line.contains("tidewire::http")).collect();
    assert!(opened[0].starts_with("DEBUG websocket{role=Client}: open negotiated="), "{opened:?}");
    assert!(
        opened[1].starts_with("DEBUG handshake{url=ws://h:1234/chat}: handshake accepted"),
        "{opened:?}"
    );
    assert_eq!(
        opened[2..],
        [
            "DEBUG websocket{role=Client}: closed why=the stream ended without a Close frame",
            "DEBUG  disconnected why=the stream ended without a Close frame again=None",
        ],
    );
}

/// WHATWG HTML, 9.2.3: what fails the connection, and what is tried again.
#[test]
fn an_event_source_tells_where_it_goes_and_why() {
    let (told, _guard) = listen();
    let url = Url::parse("http://alice:swordfish@h/news?token=t").unwrap();
    let mut request = SourceRequest::new(url);
    request.set_field("Authorization", "Bearer 42");
    let reconnect = Policy::fixed(Duration::from_secs(2));
    let config = SourceConfig { reconnect, ..SourceConfig::default() };
    let mut source = EventSource::new(request, config, &SEED, NOW).unwrap();
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 24), SendBuf::new());
    let mut answered = |now, bytes: &[u8]| {
        source.handle_timeout(now, &mut tx);
        source.connected(now, &mut tx);
        tx.clear();
        push(&mut rx, bytes);
        poll(&mut source, now, &mut rx, &mut tx);
        rx.finish();
        poll(&mut source, now, &mut rx, &mut tx);
        let lines = lines(&told, "tidewire::sse event_source{url=http://h/news}: ");
        lines.into_iter().filter(|line| !line.contains("tidewire::http")).collect::<Vec<_>>()
    };
    assert_eq!(
        answered(NOW, b"HTTP/1.1 302 Found\r\nLocation: http://i/?token=t\r\n\r\n"),
        ["DEBUG connected attempt=1", "DEBUG redirected to=http://i/ for_ever=false"],
    );
    assert_eq!(
        answered(
            NOW,
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: payload\n\n"
        ),
        [
            "DEBUG connected attempt=2",
            "DEBUG open",
            "DEBUG disconnected why=the stream came to its end again=Some(2s)",
        ],
    );
    assert_eq!(
        answered(later(2000), b"HTTP/1.1 204 No Content\r\n\r\n"),
        [
            "DEBUG connected attempt=3",
            "DEBUG refused why=the status is 204 No Content after=0ns",
            "DEBUG disconnected why=the status is 204 No Content again=None",
        ],
    );
}

/// RFC 9112, 9: what was asked, what was answered, why the connection ended.
#[test]
fn http_tells_of_exchanges_and_why_a_connection_ended() {
    let (told, _guard) = listen();
    let mut server = Server::new(ServerConfig::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
    push(&mut rx, b"GET http://h/a?token=t HTTP/1.1\r\nHost: h\r\nCookie: PHPSID=1\r\n\r\nGET /");
    poll(&mut server, NOW, &mut rx, &mut tx);
    let no_body = tidewire::http::BodyLength::EMPTY;
    server.respond(Status::OK, [("Set-Cookie", "PHPSID=2")], no_body, NOW, &mut tx).unwrap();
    tx.consume(tx.len());
    poll(&mut server, NOW, &mut rx, &mut tx);
    server.handle_timeout(later(3_600_000), &mut tx);
    poll(&mut server, later(3_600_000), &mut rx, &mut tx);
    assert_eq!(
        lines(&told, "tidewire::http "),
        [
            "TRACE  request method=\"GET\" path=\"/a\"",
            "TRACE  response status=200 closes=false",
            "DEBUG  refused status=408",
            "DEBUG  closed peer=Client why=the peer took too long: the head is not complete reason=Some(Failed)",
        ],
    );
}

/// A machine's events are in its span whoever calls it, and that is in the one that its maker was in.
#[test]
fn a_span_belongs_to_its_maker() {
    let (told, _guard) = listen();
    let outer = tracing::info_span!("mine");
    let mut conn =
        outer.in_scope(|| Connection::server(Config::default(), Negotiated::default(), NOW));
    told.take();
    let other = tracing::info_span!("other").entered();
    conn.close(CloseCode::NORMAL, "", NOW, &mut SendBuf::new()).unwrap();
    drop(other);
    assert_eq!(
        told.take(),
        ["DEBUG tidewire::ws mine{}:websocket{role=Server}: closing code=1000"],
    );
}
