//! Who is let in, from where, and what happens when the operating system lets nobody in.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidewire_runtime::{
    ByteStream, Exchange, HandlerError, SendRuntime, Server, ServerConfig, ServerHandle,
};
use tidewire_tests::frames::{TEXT, masked};
use tidewire_tests::net::{PATIENCE, RawPeer, background, on_thread, plain, serve_with, until};
use tidewire_tests::on_every_runtime;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn ok<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    Ok(exchange.respond("ok").await?)
}

/// A server that listens on each of these addresses.
fn listening<R: SendRuntime>(
    runtime: &R,
    config: ServerConfig,
    addresses: &[&str],
) -> (Vec<SocketAddr>, ServerHandle) {
    let mut server = Server::new(runtime.clone(), config).unwrap();
    for address in addresses {
        server = server.listen(address.parse().unwrap()).unwrap();
    }
    let (addresses, handle) = (server.local_addrs().unwrap(), server.handle());
    runtime.spawn_send(async move { server.serve(ok).await.unwrap() });
    (addresses, handle)
}

fn ask(peer: &mut RawPeer) {
    peer.send(GET);
    assert_eq!(peer.read_exact(OK.len()), OK);
}

async fn each_client_has_a_number_of_connections<R: SendRuntime>(runtime: R) {
    let config = ServerConfig { max_connections_per_client: Some(2), ..plain() };
    let (addresses, handle) = listening(&runtime, config, &["127.0.0.1:0", "[::1]:0"]);
    let server = handle.clone();
    on_thread(move || {
        let [v4, v6] = addresses[..] else { panic!("{addresses:?}") };
        let mut peers = [RawPeer::connect(v4), RawPeer::connect(v4)];
        peers.iter_mut().for_each(ask);
        // One too many is closed as it comes.
        assert_eq!(RawPeer::connect(v4).read_to_end(), b"");
        assert_eq!((handle.connections(), handle.stats().refused), (2, 1));
        // Another client is no worse off.
        ask(&mut RawPeer::connect(v6));
        // There is room again when one has left.
        let [mut stays, leaves] = peers;
        drop(leaves);
        let deadline = Instant::now() + PATIENCE;
        while handle.connections() > 1 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        ask(&mut RawPeer::connect(v4));
        ask(&mut stays);
        assert_eq!(handle.stats().refused, 1);
    })
    .await;
    until(&runtime, || server.connections() == 0).await;
}

async fn one_server_listens_on_several_addresses<R: SendRuntime>(runtime: R) {
    let addresses = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"];
    let (addresses, handle) = listening(&runtime, plain(), &addresses);
    on_thread(move || {
        let mut peers: Vec<_> =
            addresses.iter().map(|&address| RawPeer::connect(address)).collect();
        peers.iter_mut().for_each(ask);
        assert_eq!(handle.connections(), 3);
        handle.shutdown();
        peers.iter_mut().for_each(|peer| assert_eq!(peer.read_to_end(), b""));
        for address in addresses {
            let late = std::net::TcpStream::connect_timeout(&address, PATIENCE);
            assert!(late.is_err(), "{address} is still listened on");
        }
    })
    .await;
}

/// RFC 9110, 4.2.1: HTTP is not only for TCP.
async fn a_unix_socket_is_as_good<R: SendRuntime>(runtime: R) {
    let folder =
        std::env::temp_dir().join(format!("tidewire-{}-{}", std::process::id(), name::<R>()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("socket");
    let config = ServerConfig { max_connections_per_client: Some(1), ..plain() };
    let server = Server::new(runtime.clone(), config.clone()).unwrap().listen_unix(&path).unwrap();
    assert!(server.local_addr().is_err(), "it has no address");
    let handle = server.handle();
    runtime.spawn_send(async move {
        let peer = |mut exchange: Exchange<R>| async move {
            let peer = format!("{:?}", exchange.peer_addr());
            exchange.respond(peer).await
        };
        server.serve(peer).await.unwrap();
    });
    let taken = Server::new(runtime.clone(), config).unwrap().listen_unix(&path);
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    on_thread(move || {
        let mut peers: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        for peer in &mut peers {
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peer.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
            let start = Instant::now();
            let mut answer = String::new();
            peer.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("\r\n\r\nNone"), "{answer}");
            // The sending side is ended at once, and not when the client has closed.
            assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
        }
        handle.shutdown();
        let _ = std::fs::remove_dir_all(folder);
    })
    .await;
}

/// A stream that is polled by a function.
struct Connections<F>(F);

impl<F: FnMut() -> Poll<Option<T>> + Unpin, T> futures_core::Stream for Connections<F> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0()
    }
}

async fn connections_may_come_from_anybody<R: SendRuntime>(runtime: R) {
    let (client, server) = UnixStream::pair().unwrap();
    let connection = ByteStream::boxed(::smol::Async::new(server).unwrap());
    let address = SocketAddr::from(([192, 0, 2, 1], 7));
    let mut connections = vec![Ok((connection, Some(address)))];
    let server = Server::new(runtime.clone(), plain())
        .unwrap()
        .accept_from(Connections(move || Poll::Ready(connections.pop())));
    let client = background(move || {
        let mut client = client;
        client.write_all(GET.as_bytes()).unwrap();
        let mut answer = [0; 128];
        let read = client.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    });
    // It ends by itself behind the last connection.
    let peer = |mut exchange: Exchange<R>| async move {
        let peer = exchange.peer_addr().expect("an address").to_string();
        exchange.respond(peer).await
    };
    server.serve(peer).await.unwrap();
    let answer = client.await;
    assert!(answer.ends_with("\r\n\r\n192.0.2.1:7"), "{answer}");
}

/// What a source of connections gives.
type Accepted<R> = io::Result<(ByteStream<R>, Option<SocketAddr>)>;

/// A source that fails so often with this error, and has nothing then.
fn failing<R: SendRuntime>(
    mut times: usize,
    error: io::ErrorKind,
) -> Connections<impl FnMut() -> Poll<Option<Accepted<R>>> + Unpin> {
    Connections(move || {
        if times == 0 {
            return Poll::Pending;
        }
        times -= 1;
        Poll::Ready(Some(Err(io::Error::new(error, name::<R>()))))
    })
}

async fn a_client_that_gives_up_while_it_is_accepted_delays_nobody<R: SendRuntime>(runtime: R) {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let config = ServerConfig {
        on_accept_error: |_, _| {
            TOLD.fetch_add(1, Ordering::SeqCst);
        },
        ..plain()
    };
    // Without end: the other sources get their turn meanwhile, and other tasks theirs.
    let server = Server::new(runtime.clone(), config)
        .unwrap()
        .accept_from(failing::<R>(usize::MAX, io::ErrorKind::ConnectionAborted))
        .listen("127.0.0.1:0".parse().unwrap())
        .unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    runtime.spawn_send(async move { server.serve(ok).await.unwrap() });
    on_thread(move || ask(&mut RawPeer::connect(address))).await;
    assert_eq!(TOLD.load(Ordering::SeqCst), 0, "nothing is short of anything");
    handle.shutdown();
}

async fn waits_between_failures_grow_until_one_succeeds<R: SendRuntime>(runtime: R) {
    static TOLD: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());
    let told = || {
        let told = TOLD.lock().unwrap().clone();
        let ours = told.into_iter().filter(|(error, _)| error == name::<R>());
        ours.map(|(_, wait)| wait.as_millis()).collect::<Vec<_>>()
    };
    let config = ServerConfig {
        on_accept_error: |error, delay| TOLD.lock().unwrap().push((error.to_string(), delay)),
        ..plain()
    };
    let server = Server::new(runtime.clone(), config)
        .unwrap()
        .accept_from(failing::<R>(5, io::ErrorKind::OutOfMemory))
        .listen("127.0.0.1:0".parse().unwrap())
        .unwrap();
    let address = server.local_addr().unwrap();
    let start = Instant::now();
    runtime.spawn_send(async move { server.serve(ok).await.unwrap() });
    until(&runtime, || told().len() == 5).await;
    on_thread(move || ask(&mut RawPeer::connect(address))).await;
    let waits = [5, 10, 20, 40, 80];
    assert_eq!(told(), waits);
    assert!(start.elapsed().as_millis() >= waits.iter().sum(), "{:?}", start.elapsed());
}

/// The name of a runtime on the command line.
fn name<R>() -> &'static str {
    let of = std::any::type_name::<R>();
    ["smol", "async_std", "tokio"].into_iter().find(|name| of.contains(name)).expect("a known one")
}

/// A process whose descriptors are used up goes on with the connections that it has, does not spin, and
/// lets the others in as descriptors come free.
async fn a_server_survives_that_there_are_no_descriptors<R: SendRuntime>(_runtime: R) {
    const CLIENTS: usize = 60;
    on_thread(|| {
        let mut server = Command::new("sh")
            .args([
                "-c",
                "ulimit -n 40 && exec \"$@\"",
                "sh",
                env!("CARGO_BIN_EXE_http-test-server"),
            ])
            .args(["--runtime", &name::<R>().replace('_', "-"), "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut output = BufReader::new(server.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect(&line);
        let address: SocketAddr = address.parse().expect("an address");
        let (tell, waits) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(wait) = line.strip_prefix("accept ") {
                    let (wait, error) = wait.split_once(" ms: ").expect("a wait");
                    let _ = tell.send((wait.parse::<u64>().expect("a number"), error.to_owned()));
                }
            }
        });
        let result = std::panic::catch_unwind(|| {
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| RawPeer::connect(address)).collect();
            clients.iter_mut().for_each(|client| client.send(GET));
            let mut seen = Vec::new();
            for expected in [5, 10, 20, 40] {
                let (wait, error) = waits.recv_timeout(PATIENCE).expect("an error");
                assert!(error.contains("os error 24"), "EMFILE: {error}");
                assert_eq!(wait, expected);
                seen.push(wait);
            }
            let answered = clients
                .iter_mut()
                .position(|client| client.is_silent_for(Duration::from_millis(300)))
                .expect("there are more than it has descriptors");
            assert!(answered > 10, "{answered}");
            let is_ok = |client: &mut RawPeer| {
                let head = client.read_head();
                assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                assert_eq!(client.read_exact(2), b"ok");
            };
            clients[..answered].iter_mut().for_each(is_ok);
            // Those that are in are served meanwhile.
            clients[0].send(GET);
            is_ok(&mut clients[0]);
            // Each that leaves lets one in, before the next wait is over: together they would take
            // longer than the test.
            let mut clients = clients.into_iter();
            let mut inside: std::collections::VecDeque<_> =
                clients.by_ref().take(answered).collect();
            for mut client in clients {
                drop(inside.pop_front());
                is_ok(&mut client);
                inside.push_back(client);
            }
            let tries = seen.len() + waits.try_iter().count();
            assert!(tries < 3 * CLIENTS, "{tries} attempts: it spins");
        });
        server.kill().expect("it runs");
        server.wait().expect("it ends");
        reader.join().expect("it read");
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    })
    .await;
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as asked");
        }
    }
}

/// A panic ends its own connection at most, also one in what a handler leaves behind.
async fn a_panic_harms_no_other_connection<R: SendRuntime>(runtime: R) {
    static TOLD: Mutex<Vec<(SocketAddr, String)>> = Mutex::new(Vec::new());
    let config = ServerConfig {
        on_error: |client, error| {
            TOLD.lock().unwrap().push((client.expect("an address"), error.to_string()));
        },
        ..plain()
    };
    let handler = |mut exchange: Exchange<R>| {
        assert_ne!(exchange.path(), "/now");
        async move {
            assert_ne!(exchange.path(), "/later");
            // It goes when the handler does, which has nothing left to do then.
            let _bomb = if exchange.path() == "/dropped" { Some(Bomb) } else { None };
            if exchange.wants_websocket() {
                let mut socket =
                    exchange.websocket(&Default::default(), Default::default()).await?;
                socket.run(|event, _| panic!("{event:?}")).await?;
                return Ok(());
            }
            exchange.respond("ok").await?;
            Ok::<(), HandlerError>(())
        }
    };
    let (address, handle) = serve_with(&runtime, config, handler).await;
    let panicked = on_thread(move || {
        let mut other = RawPeer::connect(address);
        ask(&mut other);
        let mut panicked = Vec::new();
        for (path, answer) in [("/now", " 500 "), ("/later", " 500 "), ("/dropped", " 200 ")] {
            let mut peer = RawPeer::connect(address);
            panicked.push(peer.0.local_addr().unwrap());
            peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
            let head = peer.read_head();
            assert!(head.contains(answer), "{path}: {head}");
            peer.read_to_end();
        }
        let mut socket = RawPeer::open_websocket(address);
        panicked.push(socket.0.local_addr().unwrap());
        socket.send(masked(TEXT, "x"));
        socket.read_to_end();
        ask(&mut other);
        ask(&mut RawPeer::connect(address));
        panicked
    })
    .await;
    until(&runtime, || handle.connections() == 0).await;
    let mut told = TOLD.lock().unwrap().clone();
    told.retain(|(client, _)| panicked.contains(client));
    let expected = panicked.into_iter().map(|client| (client, "the handler panicked".to_owned()));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

on_every_runtime!(
    each_client_has_a_number_of_connections,
    one_server_listens_on_several_addresses,
    a_unix_socket_is_as_good,
    connections_may_come_from_anybody,
    a_client_that_gives_up_while_it_is_accepted_delays_nobody,
    waits_between_failures_grow_until_one_succeeds,
    a_server_survives_that_there_are_no_descriptors,
    a_panic_harms_no_other_connection,
);
