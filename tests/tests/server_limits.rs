//! Who is let in, from where, and what happens when the operating system lets nobody in.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server, ServerConfig, ServerHandle};
use tidewire_tests::net::{
    PATIENCE, RawPeer, background, on_thread, plain, serve, serve_with, until,
};
use tidewire_tests::on_every_runtime;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn ok<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    Ok(exchange.respond("ok").await?)
}

/// A server that listens on each of these addresses.
async fn listening<R: SendRuntime>(
    runtime: &R,
    config: ServerConfig,
    addresses: &[&str],
) -> (Vec<SocketAddr>, ServerHandle) {
    let mut server = Server::new(runtime.clone(), config).unwrap();
    for address in addresses {
        server = server.listen(address.parse().unwrap()).await.unwrap();
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
    let (addresses, handle) = listening(&runtime, config, &["127.0.0.1:0", "[::1]:0"]).await;
    let server = handle.clone();
    on_thread(move || {
        let [v4, v6] = addresses[..] else { panic!("{addresses:?}") };
        let mut peers = [RawPeer::connect(v4), RawPeer::connect(v4)];
        peers.iter_mut().for_each(ask);
        // One too many is closed as it comes.
        assert_eq!(RawPeer::connect(v4).read_to_end(), b"");
        assert_eq!((handle.connections(), handle.refused()), (2, 1));
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
        assert_eq!(handle.refused(), 1);
    })
    .await;
    until(&runtime, || server.connections() == 0).await;
}

async fn one_server_listens_on_several_addresses<R: SendRuntime>(runtime: R) {
    let addresses = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"];
    let (addresses, handle) = listening(&runtime, plain(), &addresses).await;
    on_thread(move || {
        let mut peers: Vec<_> = addresses.iter().map(|&address| RawPeer::connect(address)).collect();
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

/// A source that fails so often, and has nothing then.
struct Fails {
    times: usize,
    error: io::ErrorKind,
}

impl<R: SendRuntime> futures_core::Stream for Carried<R, Fails> {
    type Item = io::Result<(R::Stream, Option<SocketAddr>)>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.1.times == 0 {
            return Poll::Pending;
        }
        self.1.times -= 1;
        Poll::Ready(Some(Err(self.1.error.into())))
    }
}

/// Of a runtime's.
struct Carried<R, T>(std::marker::PhantomData<fn() -> R>, T);

fn failing<R: SendRuntime>(times: usize, error: io::ErrorKind) -> Carried<R, Fails> {
    Carried(std::marker::PhantomData, Fails { times, error })
}

async fn a_client_that_gives_up_while_it_is_accepted_delays_nobody<R: SendRuntime>(runtime: R) {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let config = ServerConfig {
        on_accept_error: |_, _| drop(TOLD.fetch_add(1, Ordering::SeqCst)),
        ..plain()
    };
    // Thousands at once: the other sources get their turn meanwhile, and other tasks theirs.
    let server = Server::new(runtime.clone(), config)
        .unwrap()
        .accept_from(failing::<R>(10_000, io::ErrorKind::ConnectionAborted))
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    runtime.spawn_send(async move { server.serve(ok).await.unwrap() });
    let start = Instant::now();
    on_thread(move || ask(&mut RawPeer::connect(address))).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(TOLD.load(Ordering::SeqCst), 0, "nothing is short of anything");
}

async fn waits_between_failures_grow_until_one_succeeds<R: SendRuntime>(runtime: R) {
    // Of whichever runtime's test is first: each has the same number.
    static TOLD: Mutex<Vec<(io::ErrorKind, Duration)>> = Mutex::new(Vec::new());
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    TOLD.lock().unwrap().clear();
    let config = ServerConfig {
        on_accept_error: |error, delay| TOLD.lock().unwrap().push((error.kind(), delay)),
        ..plain()
    };
    let server = Server::new(runtime.clone(), config)
        .unwrap()
        .accept_from(failing::<R>(5, io::ErrorKind::OutOfMemory))
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    let start = Instant::now();
    runtime.spawn_send(async move { server.serve(ok).await.unwrap() });
    until(&runtime, || TOLD.lock().unwrap().len() == 5).await;
    // The last wait is not over yet, nor is the connection accepted before it is.
    let waited = on_thread(move || {
        ask(&mut RawPeer::connect(address));
        start.elapsed()
    })
    .await;
    let told = TOLD.lock().unwrap().clone();
    let waits = [5, 10, 20, 40, 80].map(Duration::from_millis);
    let expected = waits.map(|wait| (io::ErrorKind::OutOfMemory, wait));
    assert_eq!(told, expected);
    assert!(waited >= waits.iter().sum(), "{waited:?}");
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
            .args(["-c", "ulimit -n 40 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_http-test-server")])
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
            let mut inside: std::collections::VecDeque<_> = clients.by_ref().take(answered).collect();
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
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    TOLD.store(0, Ordering::SeqCst);
    let config = ServerConfig {
        on_error: |_, error| {
            assert!(error.is::<tidewire_runtime::HandlerPanicked>(), "{error}");
            TOLD.fetch_add(1, Ordering::SeqCst);
        },
        ..plain()
    };
    let handler = |mut exchange: Exchange<R>| {
        assert_ne!(exchange.path(), "/now");
        let bomb = (exchange.path() == "/dropped").then_some(Bomb);
        async move {
            assert_ne!(exchange.path(), "/later");
            if exchange.path() == "/socket" {
                let mut socket = exchange.websocket(&Default::default(), Default::default()).await?;
                socket.run(|event, _| panic!("{event:?}")).await?;
                return Ok(());
            }
            if bomb.is_some() {
                // Answered already, and not over.
                exchange.respond("ok").await?;
                drop(exchange);
            } else {
                exchange.respond("ok").await?;
            }
            Ok::<(), HandlerError>(())
        }
    };
    let (address, handle) = serve_with(&runtime, config, handler).await;
    on_thread(move || {
        let mut other = RawPeer::connect(address);
        ask(&mut other);
        for (path, answer) in [("/now", " 500 "), ("/later", " 500 "), ("/dropped", " 200 ")] {
            let mut peer = RawPeer::connect(address);
            peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let head = peer.read_head();
            assert!(head.contains(answer), "{path}: {head}");
        }
        let mut socket = RawPeer::connect(address);
        let opening = tidewire_tests::frames::opening("").replacen("GET / ", "GET /socket ", 1);
        socket.send(opening);
        socket.read_head();
        socket.send(tidewire_tests::frames::masked(tidewire_tests::frames::TEXT, "x"));
        socket.read_to_end();
        ask(&mut other);
        ask(&mut RawPeer::connect(address));
    })
    .await;
    until(&runtime, || handle.connections() == 0).await;
    assert_eq!(TOLD.load(Ordering::SeqCst), 4);
}

on_every_runtime!(
    each_client_has_a_number_of_connections,
    one_server_listens_on_several_addresses,
    a_client_that_gives_up_while_it_is_accepted_delays_nobody,
    waits_between_failures_grow_until_one_succeeds,
    a_server_survives_that_there_are_no_descriptors,
    a_panic_harms_no_other_connection,
);
