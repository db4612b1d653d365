//! A message larger than the memory that it passes through, both ways.
#![cfg(feature = "net")]

use futures_io::AsyncRead;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::future::poll_fn;
use std::pin::Pin;
use tidewire_runtime::ws::handshake::{HandshakeConfig, Request, ServerOptions};
use tidewire_runtime::ws::{ClientConfig, CloseCode, Config, DeflateConfig, Delivery, MessageKind};
use tidewire_runtime::{Error, Exchange, Runtime, SendRuntime, WebSocket};
use tidewire_tests::net::{AsyncStd, Smol, in_time, serve};
use tidewire_tests::peers::{Summary, pattern};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PLAIN: usize = 256 << 20;
const DEFLATED: usize = 16 << 20;
/// Both ends together, of all that they hold: buffers, windows, and what the sockets took.
const MEMORY: isize = 4 << 20;

/// One test, because the counters count the whole process and other tests would run beside it.
#[test]
fn a_message_of_256_mib_needs_4_mib() {
    smol::block_on(in_time(Smol, passes(Smol, PLAIN, None)));
    smol::block_on(in_time(Smol, passes(Smol, DEFLATED, Some(DeflateConfig::default()))));
    async_std::task::block_on(in_time(AsyncStd, passes(AsyncStd, PLAIN / 4, None)));
}

fn config() -> Config {
    Config { delivery: Delivery::Streaming, max_message: usize::MAX, ..Config::default() }
}

async fn passes<R: SendRuntime>(runtime: R, size: usize, deflate: Option<DeflateConfig>) {
    let before = held();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| async move {
        let options = ServerOptions { deflate, ..ServerOptions::default() };
        let mut socket = exchange.websocket(&options, config()).await?;
        let summary = receive(&mut socket, before).await?;
        socket.send_text(&summary).await?;
        send(&mut socket, size).await?;
        assert!(socket.next_message().await?.is_none());
        Ok(())
    })
    .await;
    let request = Request::new(&format!("ws://{address}/")).expect("a URL");
    let handshake = HandshakeConfig { deflate, ..HandshakeConfig::default() };
    let config = ClientConfig { connection: config(), handshake, ..ClientConfig::default() };
    let (mut socket, _) = WebSocket::connect(runtime, &request, config).await.expect("connected");
    let sent = send(&mut socket, size).await.expect("sent");
    let mut message = socket.next_message().await.expect("a message").expect("no end");
    assert_eq!(message.read_all(100).await.expect("a summary"), sent.as_bytes());
    let received = receive(&mut socket, before).await.expect("received");
    assert_eq!(received, sent);
    let how = socket.close(CloseCode::NORMAL, "").await.expect("closed");
    assert!(how.is_clean(), "{how}");
}

/// Sends one message, and says what was in it.
async fn send<R: Runtime>(socket: &mut WebSocket<R>, size: usize) -> Result<String, Error> {
    const EACH: usize = 64 << 10;
    let mut summary = Summary::default();
    let mut message = socket.start_message(MessageKind::Binary)?;
    for start in (0..size).step_by(EACH) {
        let piece = pattern(start, start + EACH);
        summary.add(&piece);
        message.send_chunk(&piece).await?;
    }
    message.finish().await?;
    Ok(summary.to_string())
}

/// Receives one message, and says what was in it. Meanwhile little more is held than `before`.
async fn receive<R: Runtime>(socket: &mut WebSocket<R>, before: isize) -> Result<String, Error> {
    let mut summary = Summary::default();
    let mut message = socket.next_message().await?.ok_or(Error::Closed)?;
    assert_eq!((message.kind(), message.length()), (MessageKind::Binary, None));
    let mut buf = vec![0; 32 << 10];
    loop {
        let n = poll_fn(|cx| Pin::new(&mut message).poll_read(cx, &mut buf)).await?;
        if n == 0 {
            return Ok(summary.to_string());
        }
        summary.add(&buf[..n]);
        let grown = held() - before;
        assert!(grown < MEMORY, "{grown} bytes more than before");
    }
}

/// Bytes on the heap.
fn held() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}
