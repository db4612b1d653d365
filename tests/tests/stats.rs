//! Counters, over real sockets: both ends count the same bytes, and a server all of its clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{ClientConfig, ClientEvent, CloseCode, Config, Event};
use tidewire_runtime::{
    Client, EventSource, Exchange, HandlerError, SendRuntime, ServerStats, Stats, WebSocket,
};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, serve, until};
use tidewire_tests::on_every_runtime;

on_every_runtime! {
    both_ends_of_a_websocket_count_the_same,
    what_waits_is_told_apart_from_what_was_sent,
    a_client_sums_its_connections,
    an_event_source_sums_its_connections,
    a_server_counts_connections_and_requests,
}

/// Where handlers leave what their sockets came to.
type Seen = Arc<Mutex<Vec<Stats>>>;

/// Sends every text back, and leaves the counters of the connection behind.
async fn echo<R: SendRuntime>(exchange: Exchange<R>, seen: Seen) -> Result<(), HandlerError> {
    let mut socket = exchange.websocket(&ServerOptions::default(), Config::default()).await?;
    while let Some(event) = socket.next().await {
        if let Event::Text(text) = event {
            let text = text.to_owned();
            socket.send_text(&text).await?;
        }
    }
    seen.lock().unwrap().push(socket.stats());
    Ok(())
}

async fn both_ends_of_a_websocket_count_the_same<R: SendRuntime>(runtime: R) {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |exchange| echo(exchange, seen.clone())
    };
    let (address, _server) = serve(&runtime, handler).await;
    let request = Request::new(&format!("ws://{address}")).unwrap();
    let config = Config { ping_interval: Some(Duration::from_millis(20)), ..Config::default() };
    let (mut socket, _) = WebSocket::connect(runtime.clone(), &request, config).await.unwrap();
    let before = socket.stats();
    assert!(before.bytes.sent > 0 && before.bytes.received > 0, "heads are bytes too: {before:?}");
    assert_eq!((before.ws.sent.frames, before.ws.received.frames), (0, 0));
    assert_eq!(before.ws.round_trip, None);

    for text in ["one", "two", "three"] {
        socket.send_text(text).await.unwrap();
    }
    // Three texts and the pong to a ping of the keepalive.
    while socket.stats().ws.received.messages < 3 || socket.stats().ws.round_trip.is_none() {
        socket.next().await.unwrap();
    }
    socket.close(CloseCode::NORMAL, "").await.unwrap();
    let ours = socket.stats();
    until(&runtime, || !seen.lock().unwrap().is_empty()).await;
    let theirs = seen.lock().unwrap()[0];
    assert_eq!((ours.ws.sent, ours.ws.received), (theirs.ws.received, theirs.ws.sent));
    assert_eq!((ours.bytes.sent, ours.bytes.received), (theirs.bytes.received, theirs.bytes.sent),);
    assert_eq!(ours.bytes.queued, 0);
    // Unmasked, a frame of these has two bytes beside its payload (RFC 6455, 5.2).
    let received = ours.ws.received;
    let payloads = "onetwothree".len() as u64 + 8 * received.pongs + 2;
    assert_eq!(ours.bytes.received - before.bytes.received, 2 * received.frames + payloads);
    assert_eq!(received.frames, received.messages + received.pongs + 1);
}

async fn what_waits_is_told_apart_from_what_was_sent<R: SendRuntime>(runtime: R) {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |exchange| echo(exchange, seen.clone())
    };
    let (address, _server) = serve(&runtime, handler).await;
    let request = Request::new(&format!("ws://{address}")).unwrap();
    let (mut socket, _) =
        WebSocket::connect(runtime.clone(), &request, Config::default()).await.unwrap();
    let before = socket.stats().bytes.sent;
    socket.queue_text("hello").unwrap();
    let queued = socket.stats();
    // A masked frame has six bytes beside its payload (5.2).
    assert_eq!((queued.bytes.sent, queued.bytes.queued), (before, 6 + 5));
    assert_eq!(queued.ws.sent.messages, 1);
    socket.flush().await.unwrap();
    let flushed = socket.stats();
    assert_eq!((flushed.bytes.sent, flushed.bytes.queued), (before + 6 + 5, 0));
}

async fn a_client_sums_its_connections<R: SendRuntime>(runtime: R) {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |exchange| echo(exchange, seen.clone())
    };
    let (address, _server) = serve(&runtime, handler).await;
    let request = Request::new(&format!("ws://{address}")).unwrap();
    let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
    let mut closed = 0;
    while closed < 3 {
        match client.next().await.unwrap() {
            ClientEvent::Open(_) => client.send_text("hello").unwrap(),
            ClientEvent::Text(_) => {
                assert_eq!(client.stats().ws.reconnects, closed);
                client.cancel();
                client.reconnect(Duration::ZERO);
            }
            ClientEvent::Closed { .. } => closed += 1,
            _ => {}
        }
    }
    let stats = client.stats();
    assert_eq!((stats.ws.sent.messages, stats.ws.received.messages), (3, 3));
    assert_eq!(stats.ws.reconnects, 2);
    drop(client);
    until(&runtime, || seen.lock().unwrap().len() == 3).await;
    let seen = seen.lock().unwrap();
    let sum = |count: fn(&Stats) -> u64| seen.iter().map(count).sum::<u64>();
    assert_eq!(stats.bytes.sent, sum(|it| it.bytes.received));
    assert_eq!(stats.bytes.received, sum(|it| it.bytes.sent));
    assert_eq!(stats.ws.sent.frames, sum(|it| it.ws.received.frames));
}

async fn an_event_source_sums_its_connections<R: SendRuntime>(runtime: R) {
    const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n\
        retry: 1\n\ndata: one\n\n: comment\n\ndata: two\n\n";
    let (listener, address) = listener();
    let peer = background(move || {
        (0..3).fold(0, |received, _| {
            let mut peer = RawPeer::accept(&listener);
            let head = peer.read_head();
            peer.send(STREAM);
            received + head.len() as u64
        })
    });
    let request = SourceRequest::new(Url::parse(&format!("http://{address}/")).unwrap());
    let config = SourceConfig { min_retry: Duration::from_millis(1), ..SourceConfig::default() };
    let config = SourceConfig { reconnect: Policy::fixed(Duration::from_millis(1)), ..config };
    let mut source = EventSource::new(runtime.clone(), request, config).unwrap();
    let mut errors = 0;
    while errors < 3 {
        if let SourceEvent::Error { .. } = source.next().await.unwrap() {
            errors += 1;
        }
    }
    let stats = source.stats();
    assert_eq!((stats.sse.events, stats.sse.attempts, stats.sse.reconnects), (6, 3, 2));
    assert_eq!(stats.bytes.received, 3 * STREAM.len() as u64);
    assert_eq!(stats.bytes.sent, peer.await);
}

async fn a_server_counts_connections_and_requests<R: SendRuntime>(runtime: R) {
    let handler = |mut exchange: Exchange<R>| async move {
        match exchange.path() {
            "/stream" => {
                let mut stream = exchange.event_stream(NO_FIELDS).await?;
                stream.send(&sse::Event::data("hello")).await?;
                while stream.wait(Duration::from_secs(60)).await.is_ok() {}
            }
            _ => exchange.respond("ok").await?,
        }
        Ok::<(), HandlerError>(())
    };
    let (address, server) = serve(&runtime, handler).await;
    assert_eq!(server.stats(), ServerStats::default());
    let peers = on_thread(move || {
        let mut peers = [RawPeer::connect(address), RawPeer::connect(address)];
        // Two requests on one connection are one connection and two requests.
        for _ in 0..2 {
            peers[0].send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            peers[0].read_until("\r\n\r\nok");
        }
        peers[1].send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
        peers[1].read_until("hello\n\n\r\n");
        peers
    })
    .await;
    let stats = server.stats();
    assert_eq!((stats.open, stats.accepted, stats.requests), (2, 2, 3));
    drop(peers);
    until(&runtime, || server.stats().open == 0).await;
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.refused, stats.requests), (2, 0, 3));
}
