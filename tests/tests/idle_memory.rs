//! What a WebSocket, or a subscriber of an event stream, costs the server while nothing happens.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::net::SocketAddr;
use std::time::Duration;
use tidewire_runtime::sse::Event;
use tidewire_runtime::ws::{self, handshake::ServerOptions};
use tidewire_runtime::{Broadcast, Exchange, SendRuntime, Timer};
use tidewire_tests::net::{AsyncStd, RawPeer, Smol, Tokio, in_time, on_thread, serve};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOPIC: &str = "tide";
const SUBSCRIBE: &str = "GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// Bytes of heap that a connection may hold, its task and what the runtime has included: 2 KiB above
/// what a bare task with a socket has, which is some 560 to 640. The allocator adds what it keeps
/// beside each block: some 8 of them, 16 bytes at most.
const MOST: isize = 2600;

/// One test, because the counters count the whole process and other tests would run beside it.
#[test]
fn an_idle_connection_holds_less_than_two_kibibytes_above_a_bare_task() {
    smol::block_on(are_small(Smol));
    async_std::task::block_on(are_small(AsyncStd));
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    tokio.expect("tokio").block_on(are_small(Tokio));
}

async fn are_small<R: SendRuntime>(runtime: R) {
    in_time(runtime.clone(), is_small(runtime.clone(), SUBSCRIBE)).await;
    in_time(runtime.clone(), is_small(runtime, UPGRADE)).await;
}

async fn is_small<R: SendRuntime>(runtime: R, request: &'static str) {
    let hub = Broadcast::default();
    let publisher = hub.clone();
    let handler = move |exchange: Exchange<R>| {
        let hub = hub.clone();
        async move {
            if !exchange.wants_websocket() {
                return Ok(hub.serve(exchange, TOPIC).await?);
            }
            let config = ws::Config::default();
            let mut socket = exchange.websocket(&ServerOptions::new(), config).await?;
            while socket.next().await.is_some() {}
            Ok(())
        }
    };
    let (address, server) = serve(&runtime, handler).await;
    // What grows once, such as the runtime's tables, has grown.
    let early = connect(address, request, 60).await;
    rest(&runtime).await;
    let before = held();
    let mut late = connect(address, request, 300).await;
    rest(&runtime).await;
    let each = (held() - before) / 300;
    assert!(each < MOST, "{each} bytes of heap each for {request}");

    if request == SUBSCRIBE {
        // An event to all of them leaves nothing behind, once it is on its way and they rest again.
        let sent = publisher.publish(TOPIC, &Event::data("high water").id("1"));
        assert_eq!(sent.unwrap(), 360);
        late = on_thread(move || {
            for peer in &mut late {
                peer.read_until("id: 1\ndata: high water\n\n\r\n");
            }
            late
        })
        .await;
        rest(&runtime).await;
        let each = (held() - before) / 300;
        assert!(each < MOST, "{each} bytes of heap each after an event");
    }
    assert_eq!(server.connections(), early.len() + late.len());
}

/// Clients who have the head of the answer.
async fn connect(address: SocketAddr, request: &'static str, count: usize) -> Vec<RawPeer> {
    on_thread(move || {
        let connect = |_| {
            let mut peer = RawPeer::connect(address);
            peer.send(request);
            peer.read_until("\r\n\r\n");
            peer
        };
        (0..count).map(connect).collect()
    })
    .await
}

/// Waits until the server has given back what it needs no more.
async fn rest<R: SendRuntime>(runtime: &R) {
    let mut timer = runtime.timer();
    timer.set(std::time::Instant::now() + Duration::from_millis(1500));
    std::future::poll_fn(|cx| timer.poll(cx)).await;
}

/// Bytes on the heap.
fn held() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}
