//! What a subscriber of an event stream costs the server while nothing is published.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::net::SocketAddr;
use std::time::Duration;
use tidewire_runtime::sse::Event;
use tidewire_runtime::{Broadcast, Exchange, SendRuntime, Timer};
use tidewire_tests::net::{AsyncStd, RawPeer, Smol, in_time, on_thread, serve};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOPIC: &str = "tide";

/// One test, because the counters count the whole process and other tests would run beside it.
#[test]
fn an_idle_subscriber_holds_less_than_four_kibibytes() {
    smol::block_on(in_time(Smol, is_small(Smol)));
    async_std::task::block_on(in_time(AsyncStd, is_small(AsyncStd)));
}

async fn is_small<R: SendRuntime>(runtime: R) {
    let hub = Broadcast::default();
    let publisher = hub.clone();
    let handler = move |exchange: Exchange<R>| {
        let hub = hub.clone();
        async move { Ok(hub.serve(exchange, TOPIC).await?) }
    };
    let (address, server) = serve(&runtime, handler).await;
    // What grows once, such as the runtime's tables, has grown.
    let early = subscribe(address, 60).await;
    rest(&runtime).await;
    let before = held();
    let mut late = subscribe(address, 300).await;
    rest(&runtime).await;
    // The allocator adds to this what it keeps beside each block: some 15 of them, 16 bytes each.
    let each = (held() - before) / 300;
    assert!(each < 3600, "{each} bytes of heap each, the task and what the runtime has included");

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
    assert!(each < 3600, "{each} bytes of heap each after an event");
    assert_eq!(server.connections(), early.len() + late.len());
}

/// Clients who have the head of their stream.
async fn subscribe(address: SocketAddr, count: usize) -> Vec<RawPeer> {
    on_thread(move || {
        let subscribe = |_| {
            let mut peer = RawPeer::connect(address);
            peer.send("GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
            peer.read_until("\r\n\r\n");
            peer
        };
        (0..count).map(subscribe).collect()
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
