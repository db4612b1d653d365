//! Invariant 2: same inputs, same outputs. A recorded run replays byte for byte.

use std::time::Duration;
use tidewire::http::{self, BodyLength, ServerEvent, Status};
use tidewire::ws::handshake::{self, Request};
use tidewire::ws::{self, ClientConfig, ClientEvent, CloseCode};
use tidewire::{Instant, Machine, RecvBuf, Seed, SendBuf, Transport, reconnect, sse};

/// Everything that a run puts out: bytes, events and deadlines, as text.
type Record = Vec<String>;

/// A WebSocket client dials, opens, talks, pings, is cut off, backs off by chance, and comes back,
/// against a server made of the other machines.
fn websocket_run(seed: u8) -> Record {
    let mut record = Record::new();
    let mut now = Instant::EPOCH;
    let policy = reconnect::Policy::exponential(Duration::from_secs(1), Duration::from_secs(60));
    let mut config = ClientConfig { reconnect: Some(policy), ..ClientConfig::default() };
    config.connection.ping_interval = Some(Duration::from_secs(5));
    let request = Request::new("ws://example.com/chat").unwrap().field("Cookie", "a=b").unwrap();
    let mut client = ws::Client::new(request, config, &Seed::new([seed; 32]), now);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
    let (mut srx, mut stx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
    let mut http = http::Server::new(http::ServerConfig::default(), now);
    let mut server = None::<ws::Connection>;
    let mut frames = 0;

    for _ in 0..200 {
        while let Some(event) = client.poll_event(now, &mut rx, &mut tx) {
            record.push(format!("{now:?} {event:?}"));
            if let ClientEvent::Open(_) = event {
                client.send_text("hello", &mut tx).unwrap();
                client.send_binary(&[seed; 300], &mut tx).unwrap();
            }
        }
        record.push(format!("{:?} {:?}", client.transport(), client.poll_timeout()));
        if client.transport() == Transport::Dial {
            (rx, tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
            (srx, stx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
            http = http::Server::new(http::ServerConfig::default(), now);
            server = None;
            client.connected(now, &mut tx);
            continue;
        }
        if !tx.is_empty() {
            record.push(format!("{:02x?}", tx.chunk()));
            assert_eq!(srx.push(tx.chunk()), tx.chunk().len());
            tx.consume(tx.len());
        }
        if let Some(server) = &mut server {
            while let Some(event) = server.poll_event(now, &mut srx, &mut stx) {
                frames += 1;
                if let ws::Event::Text(text) = event {
                    server.send_text(text, &mut stx).unwrap();
                }
            }
        } else if let Some(ServerEvent::Request(head)) = http.poll_event(now, &mut srx, &mut stx) {
            let options = handshake::ServerOptions::default();
            let accepted = handshake::accept(&head, &options).unwrap();
            http.upgrade(accepted.fields(), &mut stx).unwrap();
            assert!(http.poll_event(now, &mut srx, &mut stx).is_none());
            let (config, negotiated) = (ws::Config::default(), accepted.negotiated());
            server = Some(ws::Connection::server(config, negotiated, now));
            continue;
        }
        if !stx.is_empty() {
            assert_eq!(rx.push(stx.chunk()), stx.chunk().len());
            stx.consume(stx.len());
            continue;
        }
        if frames >= 4 {
            // Cut off.
            frames = 0;
            rx.finish();
            continue;
        }
        let Some(next) = client.poll_timeout() else { break };
        now = next.max(now);
        client.handle_timeout(now, &mut tx);
    }
    client.close(CloseCode::NORMAL, "bye", now, &mut tx).unwrap();
    record.push(format!("{:02x?}", tx.chunk()));
    record
}

#[test]
fn a_websocket_run_replays_byte_for_byte() {
    let record = websocket_run(1);
    assert_eq!(record, websocket_run(1));
    // It is a run worth the name: several connections, with pings, and keys that matter.
    let count = |word: &str| record.iter().filter(|line| line.contains(word)).count();
    assert!(count("Open(") > 2 && count("Pong(") > 2 && count("Closed") > 2, "{record:#?}");
    assert_ne!(record, websocket_run(2));
}

#[test]
fn an_http_and_event_stream_run_replays_byte_for_byte() {
    let run = || {
        let mut record = Record::new();
        let now = Instant::EPOCH;
        let mut server = http::Server::new(http::ServerConfig::default(), now);
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
        let requests = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\
            Accept: text/event-stream\r\n\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(rx.push(requests), requests.len());
        while let Some(event) = Machine::advance(&mut server, now, &mut rx, &mut tx)
            .then(|| server.event(now, &mut rx, &mut tx))
            .flatten()
        {
            record.push(format!("{event:?}"));
            let ServerEvent::Request(head) = event else { continue };
            if http::accepts_explicitly(head.headers, sse::MEDIA_TYPE) {
                let fields = http::NO_FIELDS;
                let mut stream =
                    sse::Stream::open(&mut server, fields, Default::default(), now, &mut tx)
                        .unwrap();
                let event = sse::Event::data("a\nb").id("1");
                stream.send(&event, now, &mut server, &mut tx).unwrap();
                stream.finish(&mut server, &mut tx).unwrap();
            } else {
                let length = BodyLength::Known(2);
                server.respond(Status::OK, http::NO_FIELDS, length, now, &mut tx).unwrap();
                server.send_data(b"ok", &mut tx).unwrap();
                server.finish(&mut tx).unwrap();
            }
        }
        record.push(String::from_utf8(tx.chunk().to_vec()).unwrap());
        record
    };
    let record = run();
    assert_eq!(record, run());
    assert_eq!(record.iter().filter(|line| line.starts_with("Request")).count(), 3);
    assert!(record.last().unwrap().contains("data: a\ndata: b\n"));
}
