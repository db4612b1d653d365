//! Futures that are dropped half way lose nothing and repeat nothing, and two peers that only send
//! do not wait for each other.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{ClientConfig, ClientEvent, CloseCode, Config, Event};
use tidewire_runtime::{Client, EventSource, Exchange, SendRuntime, WebSocket};
use tidewire_tests::frames::{CLOSE, ENDS, PING, PONG, TEXT, TEXT_BEGINS, close, frame};
use tidewire_tests::net::{PATIENCE, RawPeer, background, listener, on_thread, serve, sleep};
use tidewire_tests::on_every_runtime;

async fn connect<R: SendRuntime>(runtime: &R, address: SocketAddr, config: Config) -> WebSocket<R> {
    let request = Request::new(&format!("ws://{address}/chat")).expect("a URL");
    WebSocket::connect(runtime.clone(), &request, config).await.expect("connected").0
}

/// Polls once, with nobody to be woken, and drops the future.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Lets the peer work a little, now and then.
async fn breathe<R: SendRuntime>(runtime: &R, turn: usize) {
    if turn % 16 == 0 {
        sleep(runtime, Duration::from_micros(200)).await;
    }
}

const MESSAGES: usize = 300;

/// Of a size that depends on the number: some fit into one read, some do not.
fn message(number: usize) -> String {
    format!("{number} {}", "x".repeat(number * 37 % 9000))
}

async fn a_dropped_next_takes_no_event_with_it<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        for number in 0..MESSAGES {
            let text = message(number);
            let (start, end) = text.split_at(text.len() / 2);
            let bytes =
                [frame(TEXT_BEGINS, start), frame(PING, number.to_string()), frame(ENDS, end)]
                    .concat();
            for piece in bytes.chunks(1 + number * 101 % 4000) {
                peer.send(piece);
            }
        }
        // Each ping was answered once.
        for number in 0..MESSAGES {
            assert_eq!(peer.read_message(), (PONG, number.to_string().into_bytes()));
        }
        peer.send(frame(CLOSE, close(1000, "")));
        assert_eq!(peer.read_frame().first, CLOSE);
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    let (mut texts, mut pings, mut turn) = (0, 0, 0);
    loop {
        turn += 1;
        match poll_once(socket.next()) {
            Some(Some(Event::Ping(payload))) => {
                assert_eq!(payload, pings.to_string().as_bytes());
                pings += 1;
            }
            Some(Some(Event::Text(text))) => {
                assert!(text == message(texts), "message {texts}");
                texts += 1;
            }
            Some(Some(Event::Closed { why, .. })) => assert!(why.is_clean(), "{why}"),
            Some(None) => break,
            None => breathe(&runtime, turn).await,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((texts, pings), (MESSAGES, MESSAGES));
    server.await;
}

/// More than a few of these do not wait at a time.
fn big(number: usize) -> String {
    format!("{number} {}", "x".repeat(100_000))
}

async fn a_dropped_send_has_queued_the_message_or_not_but_never_half_of_it<R: SendRuntime>(
    runtime: R,
) {
    let (listener, address) = listener();
    let (waits, does_wait) = std::sync::mpsc::channel();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        // Lets it run into its limit first.
        does_wait.recv_timeout(PATIENCE).expect("it never had to wait");
        let mut numbers: Vec<usize> = Vec::new();
        loop {
            let frame = peer.read_frame();
            if frame.first == CLOSE {
                peer.send(tidewire_tests::frames::frame(CLOSE, frame.payload));
                return numbers;
            }
            let text = String::from_utf8(frame.payload).unwrap();
            let number = text.split(' ').next().unwrap().parse().unwrap();
            assert!(text == big(number), "message {number}");
            numbers.push(number);
        }
    });
    let config = Config { send_high_water: 300_000, send_low_water: 0, ..Config::default() };
    let mut socket = connect(&runtime, address, config).await;
    let (mut done, mut dropped) = (Vec::new(), 0);
    for number in 0..400 {
        match poll_once(socket.send_text(&big(number))) {
            Some(result) => {
                result.unwrap();
                done.push(number);
            }
            None => {
                dropped += 1;
                // One is queued and not written, the next few are refused.
                if dropped == 8 {
                    waits.send(()).unwrap();
                }
            }
        }
        breathe(&runtime, number).await;
    }
    assert!(dropped >= 8, "it never had to wait");
    let closed = socket.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(closed.is_clean(), "{closed}");
    let arrived = server.await;
    assert!(arrived.is_sorted_by(|a, b| a < b), "out of order, or twice: {arrived:?}");
    assert!(done.iter().all(|number| arrived.contains(number)), "{done:?} but {arrived:?}");
}

async fn dropped_sends_and_nexts_in_turn_keep_an_echo_whole<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let options = ServerOptions::default();
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        socket
            .run(|event, reply| match event {
                Event::Text(text) => reply.send_text(text),
                _ => Ok(()),
            })
            .await?;
        Ok(())
    })
    .await;
    let mut socket = connect(&runtime, address, Config::default()).await;
    let (mut sent, mut heard, mut turn) = (0, 0, 0);
    while heard < MESSAGES {
        turn += 1;
        // With a limit of 1 MiB it never has to wait for room: the first poll queues it.
        if sent < MESSAGES && sent < heard + 50 {
            if let Some(result) = poll_once(socket.send_text(&message(sent))) {
                result.unwrap();
            }
            sent += 1;
        }
        match poll_once(socket.next()) {
            Some(Some(Event::Text(text))) => {
                assert!(text == message(heard), "message {heard}");
                heard += 1;
            }
            None => breathe(&runtime, turn).await,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((sent, heard), (MESSAGES, MESSAGES));
}

async fn a_dropped_next_of_a_client_loses_neither_an_attempt_nor_an_event<R: SendRuntime>(
    runtime: R,
) {
    const ATTEMPTS: usize = 5;
    let (listener, address) = listener();
    let server = background(move || {
        for attempt in 0..ATTEMPTS {
            let text = frame(TEXT, attempt.to_string());
            let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &text);
            assert_eq!(peer.read_message(), (TEXT, b"hello".to_vec()));
            peer.send(frame(CLOSE, close(1000, "")));
            assert_eq!(peer.read_frame().first, CLOSE);
        }
    });
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
    let (mut told, mut attempt) = (String::new(), 0);
    loop {
        match poll_once(client.next()) {
            Some(Some(event)) => match event {
                ClientEvent::Connected => told += "connected ",
                ClientEvent::Open(_) => {
                    told += "open ";
                    client.send_text("hello").unwrap();
                }
                ClientEvent::Text(text) => told += text,
                ClientEvent::Closed { why, .. } => {
                    assert!(why.is_clean(), "{why}");
                    assert_eq!(told, format!("connected open {attempt}"));
                    told.clear();
                    attempt += 1;
                    if attempt < ATTEMPTS {
                        client.reconnect(Duration::from_millis(5));
                    }
                }
                other => panic!("{other:?}"),
            },
            Some(None) => break,
            None => sleep(&runtime, Duration::from_micros(200)).await,
        }
    }
    assert_eq!((told.as_str(), attempt), ("", ATTEMPTS));
    server.await;
}

async fn a_dropped_next_of_an_event_source_loses_no_event<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        for number in 0..MESSAGES {
            stream.send(&sse::Event::data(&message(number)).id(&number.to_string())).await?;
        }
        stream.closed().await;
        Ok(())
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let request = SourceRequest::new(url);
    let mut source = EventSource::new(runtime.clone(), request, SourceConfig::default()).unwrap();
    let (mut heard, mut turn) = (0, 0);
    while heard < MESSAGES {
        turn += 1;
        match poll_once(source.next()) {
            Some(Some(SourceEvent::Message(it))) => {
                assert!(it.data == message(heard), "event {heard}");
                assert_eq!(it.last_event_id, heard.to_string());
                heard += 1;
            }
            Some(Some(SourceEvent::Open(_))) => assert_eq!(heard, 0),
            None => breathe(&runtime, turn).await,
            other => panic!("{other:?}"),
        }
    }
}

async fn a_server_loses_no_event_when_its_waits_are_dropped<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream([("Connection", "close")]).await?;
        for number in 0..MESSAGES {
            // Room for all of them, so that the first poll queues each.
            drop(poll_once(stream.wait(Duration::from_secs(1))));
            if let Some(result) = poll_once(stream.send(&sse::Event::data(&number.to_string()))) {
                result?;
            }
        }
        Ok(stream.finish().await?)
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_head();
        let mut expected = String::new();
        for number in 0..MESSAGES {
            let event = format!("data: {number}\n\n");
            expected += &format!("{:x}\r\n{event}\r\n", event.len());
        }
        expected += "0\r\n\r\n";
        assert_eq!(String::from_utf8(peer.read_to_end()).unwrap(), expected);
    })
    .await;
}

const TOTAL: usize = 8 * 1024 * 1024;
const EACH: usize = 64 * 1024;

/// Sends all before it reads any.
async fn send_then_read<R: SendRuntime>(socket: &mut WebSocket<R>, text: &str) {
    for _ in 0..TOTAL / EACH {
        socket.send_text(text).await.expect("sent");
    }
    for number in 0..TOTAL / EACH {
        match socket.next().await {
            Some(Event::Text(text)) => assert_eq!(text.len(), EACH),
            other => panic!("{number}: {other:?}"),
        }
    }
}

async fn two_peers_that_only_send_do_not_wait_for_each_other<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let options = ServerOptions::default();
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        send_then_read(&mut socket, &"s".repeat(EACH)).await;
        while socket.next().await.is_some() {}
        Ok(())
    })
    .await;
    let mut socket = connect(&runtime, address, Config::default()).await;
    send_then_read(&mut socket, &"c".repeat(EACH)).await;
    let closed = socket.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(closed.is_clean(), "{closed}");
}

on_every_runtime!(
    a_dropped_next_takes_no_event_with_it,
    a_dropped_send_has_queued_the_message_or_not_but_never_half_of_it,
    dropped_sends_and_nexts_in_turn_keep_an_echo_whole,
    a_dropped_next_of_a_client_loses_neither_an_attempt_nor_an_event,
    a_dropped_next_of_an_event_source_loses_no_event,
    a_server_loses_no_event_when_its_waits_are_dropped,
    two_peers_that_only_send_do_not_wait_for_each_other,
);
