//! permessage-deflate (RFC 7692) between our client and our server, through real sockets.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::time::Duration;
use tidewire_runtime::ws::handshake::{
    HandshakeConfig, Origins, Rejection, Request, ServerOptions,
};
use tidewire_runtime::ws::{
    ClientConfig, CloseCode, Config, DeflateConfig, Delivery, Event, MessageKind,
};
use tidewire_runtime::{Error, Exchange, SendRuntime, WebSocket};
use tidewire_tests::frames::{CLOSE, field, masked, opening};
use tidewire_tests::net::{PATIENCE, RawPeer, on_thread, serve, sleep};
use tidewire_tests::on_every_runtime;

const MESSAGES: usize = 40;

/// Of all sizes, with what repeats inside of a message, between messages, and not at all.
fn message(number: usize) -> String {
    let mut text = String::new();
    let size = [0, 10, 63, 64, 200, 5000, 70_000, 200_000][number % 8];
    let mut at = number as u64;
    while text.len() < size {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text += &format!("{{\"number\":{},\"é\":\"{:x}\"}},", number % 3, at >> (number % 60));
    }
    text
}

/// An echo. Each message comes back as its kind says, in pieces if it came in pieces.
async fn echo<R: SendRuntime>(
    runtime: &R,
    deflate: Option<DeflateConfig>,
    config: Config,
) -> SocketAddr {
    let (address, _server) = serve(runtime, move |exchange: Exchange<R>| async move {
        let options = ServerOptions { deflate, ..ServerOptions::default() };
        let mut socket = exchange.websocket(&options, config).await?;
        socket
            .run(|event, reply| match event {
                Event::Text(text) => reply.send_text(text),
                Event::Binary(bytes) => reply.send_binary(bytes),
                Event::MessageStart { kind, .. } => reply.start_message(kind),
                Event::Chunk(bytes) => reply.send_chunk(bytes),
                Event::MessageEnd => reply.end_message(b""),
                _ => Ok(()),
            })
            .await?;
        Ok(())
    })
    .await;
    address
}

async fn connect<R: SendRuntime>(
    runtime: &R,
    address: SocketAddr,
    deflate: Option<DeflateConfig>,
    connection: Config,
) -> WebSocket<R> {
    let request = Request::new(&format!("ws://{address}/")).expect("a URL");
    let handshake = HandshakeConfig { deflate, ..HandshakeConfig::default() };
    let config = ClientConfig { connection, handshake, ..ClientConfig::default() };
    WebSocket::connect(runtime.clone(), &request, config).await.expect("connected").0
}

/// Sends all messages as text and binary in turn, in pieces if they are received so, and hears them.
async fn there_and_back<R: SendRuntime>(socket: &mut WebSocket<R>, delivery: Delivery) {
    for number in 0..MESSAGES {
        let text = message(number);
        let kind = if number % 2 == 0 { MessageKind::Text } else { MessageKind::Binary };
        match (delivery, kind) {
            (Delivery::Streaming, _) => {
                let mut writer = socket.start_message(kind).expect("none is begun");
                for piece in text.as_bytes().chunks(7000) {
                    writer.send_chunk(piece).await.expect("sent");
                }
                writer.finish().await.expect("sent");
            }
            (_, MessageKind::Text) => socket.send_text(&text).await.expect("sent"),
            (_, MessageKind::Binary) => socket.send_binary(text.as_bytes()).await.expect("sent"),
        }
        let mut heard = socket.next_message().await.expect("open").expect("a message");
        assert_eq!(heard.kind(), kind);
        assert!(heard.read_all(1 << 20).await.expect("whole") == text.as_bytes(), "{number}");
    }
}

async fn every_message_comes_back_whatever_was_agreed_on<R: SendRuntime>(runtime: R) {
    let fresh = DeflateConfig {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateConfig::default()
    };
    let small = DeflateConfig {
        server_max_window_bits: 9,
        client_max_window_bits: 10,
        level: 1,
        threshold: 0,
        ..DeflateConfig::default()
    };
    for deflate in [None, Some(DeflateConfig::default()), Some(fresh), Some(small)] {
        for delivery in [Delivery::Whole, Delivery::Streaming] {
            let config = Config { delivery, ..Config::default() };
            let address = echo(&runtime, deflate, config).await;
            let mut socket = connect(&runtime, address, deflate, config).await;
            let params = socket.connection().negotiated().deflate();
            assert_eq!(params.is_some(), deflate.is_some());
            if let (Some(params), Some(deflate)) = (params, deflate) {
                assert_eq!(params.server_no_context_takeover, deflate.server_no_context_takeover);
                assert_eq!(params.client_no_context_takeover, deflate.client_no_context_takeover);
                assert_eq!(params.server_max_window_bits, deflate.server_max_window_bits);
                assert_eq!(params.client_max_window_bits, deflate.client_max_window_bits);
            }
            there_and_back(&mut socket, delivery).await;
            let how = socket.close(CloseCode::NORMAL, "").await.expect("closed");
            assert!(how.is_clean(), "{how}");
        }
    }
}

/// RFC 7692, 5: one side's wish is nothing.
async fn what_one_side_does_not_speak_is_not_spoken<R: SendRuntime>(runtime: R) {
    let some = Some(DeflateConfig::default());
    for (server, client) in [(some, None), (None, some)] {
        let address = echo(&runtime, server, Config::default()).await;
        let mut socket = connect(&runtime, address, client, Config::default()).await;
        assert_eq!(socket.connection().negotiated().deflate(), None);
        there_and_back(&mut socket, Delivery::Whole).await;
    }
}

/// RFC 7692, 6: what repeats takes fewer bytes than it has, and RSV1 says so.
async fn what_leaves_is_smaller<R: SendRuntime>(runtime: R) {
    let address = echo(&runtime, Some(DeflateConfig::default()), Config::default()).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(opening("Sec-WebSocket-Extensions: permessage-deflate\r\n"));
        let head = peer.read_head();
        let extensions = field(&head, "Sec-WebSocket-Extensions");
        assert!(extensions.starts_with("permessage-deflate"), "{extensions}");
        let text = "all the same ".repeat(1000);
        peer.send(masked(0x81, &text));
        let (first, payload) = peer.read_message();
        assert_eq!(first, 0xC1);
        assert!(payload.len() < 200, "{} bytes", payload.len());
        // A message that was sent plain did not enter the window, and so does a short answer.
        peer.send(masked(0x81, "short"));
        assert_eq!(peer.read_message(), (0x81, b"short".to_vec()));
        // 7.2.3.1: "Hello".
        peer.send(masked(0xC1, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]));
        assert_eq!(peer.read_message(), (0x81, b"Hello".to_vec()));
    })
    .await;
}

/// A connection that is idle gives the memory of its windows back, and goes on as before.
async fn what_is_idle_gives_memory_back<R: SendRuntime>(runtime: R) {
    let deflate = Some(DeflateConfig::default());
    let address = echo(&runtime, deflate, Config::default()).await;
    let mut socket = connect(&runtime, address, deflate, Config::default()).await;
    there_and_back(&mut socket, Delivery::Whole).await;
    let busy = socket.connection().heap_size();
    let mut idle = std::pin::pin!(sleep(&runtime, Duration::from_millis(1500)));
    {
        let mut next = std::pin::pin!(socket.next());
        poll_fn(|cx| {
            assert!(next.as_mut().poll(cx).is_pending());
            idle.as_mut().poll(cx)
        })
        .await;
    }
    // What the server sends next may reach back into its window.
    let left = socket.connection().heap_size();
    assert!(left < busy / 4 && left < 40 * 1024, "{left} of {busy} bytes");
    there_and_back(&mut socket, Delivery::Whole).await;
}

/// A message is limited by what it inflates to (RFC 7692, 8): 1009.
async fn a_bomb_goes_off_at_the_limit<R: SendRuntime>(runtime: R) {
    for delivery in [Delivery::Whole, Delivery::Streaming] {
        let config = Config { max_message: 100_000, delivery, ..Config::default() };
        let deflate = Some(DeflateConfig::default());
        let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| async move {
            let options = ServerOptions { deflate, ..ServerOptions::default() };
            let mut socket = exchange.websocket(&options, config).await?;
            while socket.next().await.is_some() {}
            Ok(())
        })
        .await;
        let mut socket = connect(&runtime, address, deflate, Config::default()).await;
        socket.send_binary(&vec![0; 100_000]).await.expect("sent");
        socket.send_binary(&vec![0; 100_001]).await.expect("sent");
        let how = socket.close(CloseCode::NORMAL, "").await.expect("closed");
        assert_eq!(how.code(), CloseCode::MESSAGE_TOO_BIG, "{how}");
    }
}

/// RFC 6455, 10.2 and 4.2.2: who may connect, what is added to the answer, and a refusal.
async fn the_server_chooses_its_clients<R: SendRuntime>(runtime: R) {
    let (tell, told) = std::sync::mpsc::channel();
    let (address, _server) = serve(&runtime, move |mut exchange: Exchange<R>| {
        let tell = tell.clone();
        async move {
            if exchange.head().target == "/closed" {
                let fields = [("Retry-After", "5")];
                let status = tidewire_runtime::http::Status::SERVICE_UNAVAILABLE;
                return Ok(exchange.respond_with(status, fields, "later").await?);
            }
            let options = ServerOptions {
                origins: Origins::SameHost,
                fields: &[("Set-Cookie", "a=b")],
                ..ServerOptions::default()
            };
            match exchange.websocket(&options, Config::default()).await {
                Ok(mut socket) => while socket.next().await.is_some() {},
                Err(Error::Refused(why)) => tell.send(why)?,
                Err(other) => return Err(other.into()),
            }
            Ok(())
        }
    })
    .await;
    let runtime = &runtime;
    let ask = async |target: &str, origin: &str| {
        let request = Request::new(&format!("ws://{address}{target}")).expect("a URL");
        let request = request.field("Origin", origin).expect("a field");
        WebSocket::connect(runtime.clone(), &request, Config::default()).await
    };
    let (_, head) = ask("/", &format!("http://{address}")).await.expect("the same host");
    assert_eq!(head.as_head().headers.get_str("Set-Cookie"), Some("a=b"));
    let status = |result: Result<_, Error>| match result {
        Err(Error::Handshake { head: Some(head), body, .. }) => {
            (head.as_head().status.code(), String::from_utf8(body).expect("text"))
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    };
    assert_eq!(status(ask("/", "http://elsewhere.example").await).0, 403);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Rejection::Origin));
    let origin = format!("http://{address}");
    assert_eq!(status(ask("/closed", &origin).await), (503, "later".into()));
    on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        peer.send(masked(CLOSE, b""));
        assert_eq!(peer.read_message(), (CLOSE, Vec::new()));
    })
    .await;
}

on_every_runtime!(
    every_message_comes_back_whatever_was_agreed_on,
    what_one_side_does_not_speak_is_not_spoken,
    what_leaves_is_smaller,
    what_is_idle_gives_memory_back,
    a_bomb_goes_off_at_the_limit,
    the_server_chooses_its_clients,
);
