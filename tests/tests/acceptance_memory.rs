//! Memory of a server whose clients come and go.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::net::SocketAddr;
use std::time::Duration;
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::{Exchange, SendRuntime, ServerHandle, sse};
use tidewire_tests::net::{AsyncStd, RawPeer, Smol, Tokio, in_time, on_thread, serve, until};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test, because the counters count the whole process and other tests would run beside it.
// Acceptance group 5.
#[test]
fn ten_thousand_connects_and_disconnects_leave_memory_flat() {
    smol::block_on(in_time(Smol, is_flat(Smol)));
    async_std::task::block_on(in_time(AsyncStd, is_flat(AsyncStd)));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("tokio").block_on(in_time(Tokio, is_flat(Tokio)));
}

async fn is_flat<R: SendRuntime>(runtime: R) {
    let (address, server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        stream.send(&sse::Event::data("hello")).await?;
        loop {
            stream.wait(Duration::from_secs(3600)).await?;
        }
    })
    .await;
    // What grows once, such as tables of sockets and timers, has grown.
    come_and_go(&runtime, address, &server, 1000).await;
    let before = held();
    come_and_go(&runtime, address, &server, 4000).await;
    let grown = held() - before;
    // Less than four bytes a connection.
    assert!(grown < 16 * 1024, "{grown} bytes more than before");
}

async fn come_and_go<R: SendRuntime>(
    runtime: &R,
    address: SocketAddr,
    server: &ServerHandle,
    times: usize,
) {
    on_thread(move || {
        for turn in 0..times {
            let mut peer = RawPeer::connect(address);
            peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            // One half leaves politely, the other with bytes unread, which resets the connection.
            peer.wait_readable();
            if turn % 2 == 0 {
                peer.read_until("hello\n\n\r\n");
            }
        }
    })
    .await;
    until(runtime, || server.connections() == 0).await;
}

/// Bytes on the heap.
fn held() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}
