//! A server that is told to end: what its clients see, and when it is over.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidewire_runtime::http::{BodyLength, NO_FIELDS, Status};
use tidewire_runtime::ws::{Config, handshake::ServerOptions};
use tidewire_runtime::{
    Broadcast, ByteStream, Exchange, HandlerError, SendRuntime, Server, ServerConfig, ServerHandle,
    sse,
};
use tidewire_tests::frames::{CLOSE, TEXT, TEXT_BEGINS, close, masked};
use tidewire_tests::net::{RawPeer, Tokio, background, on_thread, plain, sleep, until};
use tidewire_tests::on_every_runtime;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Much longer than anything takes, much shorter than the grace of a server.
const LATE: Duration = Duration::from_secs(5);

async fn ok<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    Ok(exchange.respond("ok").await?)
}

/// Serves until it is over. When that is, and what became of it, is told by the future.
fn serving<R, H, F>(
    runtime: &R,
    config: ServerConfig,
    handler: H,
) -> (SocketAddr, ServerHandle, impl Future<Output = ()> + use<R, H, F>)
where
    R: SendRuntime,
    H: Fn(Exchange<R>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::new(runtime.clone(), config).unwrap().listen(any).unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    (address, handle, async move { server.serve(handler).await.unwrap() })
}

fn ask(address: SocketAddr, path: &str) -> RawPeer {
    let mut peer = RawPeer::connect(address);
    peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    peer
}

/// There is nothing that a reset could overtake, so nobody waits for those who keep idle connections.
async fn idle_connections_are_closed_at_once<R: SendRuntime>(runtime: R) {
    let (address, handle, served) = serving(&runtime, plain(), ok);
    let peers = background(move || {
        // The last has never asked.
        let mut peers: Vec<_> = (0..4).map(|_| RawPeer::connect(address)).collect();
        for peer in &mut peers[..3] {
            for _ in 0..2 {
                peer.send(GET);
                assert_eq!(peer.read_exact(OK.len()), OK);
            }
        }
        while handle.connections() < 4 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let asked = Instant::now();
        handle.shutdown();
        (asked, peers)
    });
    served.await;
    let (asked, mut peers) = peers.await;
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(500), "they were waited for: {took:?}");
    // In order, and not by a reset.
    on_thread(move || peers.iter_mut().for_each(|peer| assert_eq!(peer.read_to_end(), b""))).await;
}

/// RFC 6455, 7.4.1: 1001 when a server goes down.
async fn websockets_are_told_1001_whatever_they_are_at<R: SendRuntime>(runtime: R) {
    let handler = |exchange: Exchange<R>| async move {
        let mut socket = exchange.websocket(&ServerOptions::default(), Config::default()).await?;
        while socket.next().await.is_some() {}
        Ok(())
    };
    let (address, handle, served) = serving(&runtime, plain(), handler);
    let peers = background(move || {
        let mut peers: Vec<_> = (0..4).map(|_| RawPeer::open_websocket(address)).collect();
        // Idle; in the midst of a message; of a frame; closing already.
        peers[1].send(masked(TEXT_BEGINS, "half"));
        peers[2].send(&masked(TEXT, "a whole frame")[..9]);
        peers[3].send(masked(CLOSE, close(1000, "")));
        assert_eq!(peers[3].read_frame().close().0, 1000);
        handle.shutdown();
        for peer in &mut peers[..2] {
            assert_eq!(peer.read_frame().close().0, 1001);
            peer.send(masked(CLOSE, close(1001, "")));
            assert_eq!(peer.read_to_end(), b"");
        }
        assert_eq!(peers[2].read_frame().close().0, 1001);
        peers[2].send(&masked(TEXT, "a whole frame")[9..]);
        peers[2].send(masked(CLOSE, close(1001, "")));
        assert_eq!(peers[2].read_to_end(), b"");
        Instant::now()
    });
    served.await;
    assert!(peers.await.elapsed() < LATE, "nobody was waited for after the last had left");
}

/// RFC 9112, 7.1: the last chunk tells a stream that ended from one that broke off.
async fn event_streams_end_in_order_whatever_they_wait_for<R: SendRuntime>(runtime: R) {
    let hub = Broadcast::default();
    let handler = move |exchange: Exchange<R>| {
        let hub = hub.clone();
        async move {
            let path = exchange.path().to_owned();
            let mut events = exchange.event_stream(NO_FIELDS).await?;
            events.send(&sse::Event::data("x")).await?;
            match &*path {
                "/closed" => events.closed().await,
                "/wait" => drop(events.wait(Duration::from_secs(60)).await),
                "/forward" => events.forward(&mut hub.subscribe("topic", None)).await?,
                // One that does not even look: it is told by the next call.
                _ => loop {
                    events.wait(Duration::from_millis(5)).await?;
                    events.send(&sse::Event::data("more")).await?;
                },
            }
            Ok(())
        }
    };
    let (address, handle, served) = serving(&runtime, plain(), handler);
    let ended = background(move || {
        let mut peers = ["/closed", "/wait", "/forward", "/busy"].map(|path| ask(address, path));
        for peer in &mut peers {
            peer.read_head();
            peer.read_until("x\n\n\r\n");
        }
        handle.shutdown();
        for peer in &mut peers {
            let rest = peer.read_to_end();
            assert!(rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
        }
        Instant::now()
    });
    served.await;
    assert!(ended.await.elapsed() < LATE);
}

/// Counts that it was dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What does not end by itself is dropped after the grace, and what it holds with it.
async fn nobody_is_waited_for_longer_than_the_grace<R: SendRuntime>(runtime: R) {
    const GRACE: Duration = Duration::from_millis(200);
    let (begun, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (ours, seen) = (dropped.clone(), begun.clone());
    let handler = move |mut exchange: Exchange<R>| {
        let held = Dropped(dropped.clone());
        begun.fetch_add(1, Ordering::SeqCst);
        async move {
            let _held = held;
            match exchange.path() {
                "/body" => drop(exchange.collect(100).await),
                "/unread" => {
                    let mut body = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
                    loop {
                        body.send(&[0; 64 * 1024]).await?;
                    }
                }
                _ => std::future::pending().await,
            }
            Ok(())
        }
    };
    let (address, handle, served) =
        serving(&runtime, ServerConfig { grace: GRACE, ..plain() }, handler);
    let left = handle.clone();
    let peers = background(move || {
        let mut peers = vec![ask(address, "/stuck"), ask(address, "/unread")];
        peers.push(RawPeer::connect(address));
        peers[2].send("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
        while seen.load(Ordering::SeqCst) < 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let asked = Instant::now();
        handle.shutdown();
        (asked, peers)
    });
    served.await;
    let (asked, peers) = peers.await;
    let took = asked.elapsed();
    assert!(took >= GRACE && took < GRACE + LATE, "{took:?}");
    until(&runtime, || ours.load(Ordering::SeqCst) == 3 && left.connections() == 0).await;
    drop(peers);
}

/// Gives nothing but errors.
struct Broken<R>(std::marker::PhantomData<fn() -> R>);

impl<R: SendRuntime> futures_core::Stream for Broken<R> {
    type Item = io::Result<(ByteStream<R>, Option<SocketAddr>)>;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Err(io::ErrorKind::OutOfMemory.into())))
    }
}

/// Whatever a server waits for when nothing may come in, it hears that it is to end.
async fn a_server_that_accepts_nobody_hears_it_too<R: SendRuntime>(runtime: R) {
    let broken = Broken::<R>(std::marker::PhantomData);
    let server = Server::new(runtime.clone(), plain()).unwrap().accept_from(broken);
    let handle = server.handle();
    let waiting = runtime.clone();
    runtime.spawn_send(async move {
        // Into the long waits.
        sleep(&waiting, Duration::from_millis(700)).await;
        handle.shutdown();
    });
    let start = Instant::now();
    server.serve(ok).await.unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1100), "the wait was not broken off: {took:?}");

    // No room for another connection.
    let config = ServerConfig { max_connections: 1, ..plain() };
    let (address, handle, served) = serving(&runtime, config, ok);
    let peers = background(move || {
        let mut inside = ask(address, "/");
        assert_eq!(inside.read_exact(OK.len()), OK);
        let mut outside = ask(address, "/");
        assert!(outside.is_silent_for(Duration::from_millis(20)));
        handle.shutdown();
        assert_eq!((inside.read_to_end(), outside.read_to_end()), (vec![], vec![]));
    });
    let start = Instant::now();
    served.await;
    assert!(start.elapsed() < LATE);
    peers.await;
}

/// Each core has an executor, each executor a server, and all of them one address and one end.
async fn joined_servers_are_one<R: SendRuntime>(runtime: R) {
    let mut config = ServerConfig { max_connections_per_client: Some(3), ..plain() };
    config.listen.reuse_port = true;
    let any = "127.0.0.1:0".parse().unwrap();
    let first = Server::bind_with(runtime.clone(), any, config.clone()).await.unwrap();
    let (address, handle) = (first.local_addr().unwrap(), first.handle());
    let second = Server::bind_with(runtime.clone(), address, config).await.unwrap().joined(&handle);
    assert_eq!(second.local_addr().unwrap(), address);
    let ends = Arc::new(AtomicUsize::new(0));
    for server in [first, second] {
        let ends = ends.clone();
        runtime.spawn_send(async move {
            server.serve(ok).await.unwrap();
            ends.fetch_add(1, Ordering::SeqCst);
        });
    }
    let both = handle.clone();
    on_thread(move || {
        let mut peers: Vec<_> = (0..3).map(|_| RawPeer::connect(address)).collect();
        for peer in &mut peers {
            peer.send(GET);
            assert_eq!(peer.read_exact(OK.len()), OK);
        }
        assert_eq!(handle.connections(), 3);
        assert_eq!(RawPeer::connect(address).read_to_end(), b"", "whichever server it meets");
        handle.shutdown();
        peers.iter_mut().for_each(|peer| assert_eq!(peer.read_to_end(), b""));
    })
    .await;
    until(&runtime, || ends.load(Ordering::SeqCst) == 2 && both.connections() == 0).await;
}

/// A server whose connections have all been served is over, and those that it is joined with are not.
async fn the_end_of_one_is_not_the_end_of_those_joined_with_it<R: SendRuntime>(runtime: R) {
    let any = "127.0.0.1:0".parse().unwrap();
    let first = Server::bind_with(runtime.clone(), any, plain()).await.unwrap();
    let (address, handle) = (first.local_addr().unwrap(), first.handle());
    let none = Server::new(runtime.clone(), plain()).unwrap().joined(&handle);
    none.serve(ok).await.unwrap();
    let serving = background(move || {
        let mut peer = ask(address, "/");
        assert_eq!(peer.read_exact(OK.len()), OK);
        handle.shutdown();
    });
    first.serve(ok).await.unwrap();
    serving.await;
}

/// Two threads with an executor each share an address: both get connections, and one handle ends both.
#[test]
fn each_thread_may_have_its_own_server() {
    let mut config = plain();
    config.listen.reuse_port = true;
    let (tell, told) = std::sync::mpsc::channel::<(SocketAddr, ServerHandle)>();
    let serve = move |address: SocketAddr, joined: Option<ServerHandle>| {
        let (config, tell) = (config.clone(), tell.clone());
        std::thread::spawn(move || {
            let executor = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
            executor.unwrap().block_on(async {
                let mut server = Server::bind_with(Tokio, address, config).await.unwrap();
                if let Some(handle) = joined {
                    server = server.joined(&handle);
                }
                tell.send((server.local_addr().unwrap(), server.handle())).unwrap();
                let thread = |mut exchange: Exchange<Tokio>| async move {
                    let thread = format!("{:?}", std::thread::current().id());
                    exchange.respond(thread).await
                };
                server.serve(thread).await.unwrap();
            });
        })
    };
    let first = serve("127.0.0.1:0".parse().unwrap(), None);
    let (address, handle) = told.recv().unwrap();
    let second = serve(address, Some(handle.clone()));
    told.recv().unwrap();
    let mut threads = std::collections::HashSet::new();
    let ids = [&first, &second].map(|thread| format!("{:?}", thread.thread().id()));
    // Which one a connection comes to is the operating system's choice, by its ports.
    for _ in 0..500 {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        peer.read_head();
        threads.insert(String::from_utf8(peer.read_to_end()).unwrap());
        if threads.len() == 2 {
            break;
        }
    }
    assert_eq!(threads, ids.into_iter().collect());
    handle.shutdown();
    first.join().unwrap();
    second.join().unwrap();
}

on_every_runtime!(
    idle_connections_are_closed_at_once,
    websockets_are_told_1001_whatever_they_are_at,
    event_streams_end_in_order_whatever_they_wait_for,
    nobody_is_waited_for_longer_than_the_grace,
    a_server_that_accepts_nobody_hears_it_too,
    joined_servers_are_one,
    the_end_of_one_is_not_the_end_of_those_joined_with_it,
);
