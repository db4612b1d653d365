//! The HTTP client's deadlines, one for each phase of a request.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};
use tidewire_runtime::http::BodyLength;
use tidewire_runtime::{
    BoxFuture, Error, HttpClient, HttpRequest, ListenOptions, Phase, Runtime, SendRuntime,
    SocketOptions, Timeouts,
};
use tidewire_tests::net::{RawPeer, background, listener, sleep};
use tidewire_tests::on_every_runtime;

/// Much longer than anything takes, much shorter than a test waits.
const LATE: Duration = Duration::from_secs(6);

/// The time that `failing` takes to fail, and its error.
async fn time<T: std::fmt::Debug>(
    failing: impl Future<Output = Result<T, Error>>,
) -> (Duration, Error) {
    let start = Instant::now();
    let error = failing.await.unwrap_err();
    (start.elapsed(), error)
}

const TIMEOUT: Duration = Duration::from_millis(150);

fn assert_timed_out((elapsed, error): (Duration, Error), phase: Phase) {
    assert_eq!(error.timed_out(), Some(phase), "{error:?}");
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{phase:?}: {elapsed:?}");
}

const NONE: Timeouts = Timeouts {
    connect: None,
    head: None,
    body: None,
    body_progress: 1,
    go_ahead: None,
    write: None,
    total: None,
};

async fn each_phase_has_its_time<R: SendRuntime>(runtime: R) {
    // A peer that takes one connection after the other, does its part, and keeps it open.
    let (listener, address) = listener();
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let peer = background(move || {
        let mut silent = RawPeer::accept(&listener);
        silent.read_head();
        let mut half = RawPeer::accept(&listener);
        half.read_head();
        half.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        let deaf = RawPeer::accept(&listener);
        let mut drip = RawPeer::accept(&listener);
        drip.read_head();
        drip.send("HTTP/1.1 200 OK\r\n\r\n");
        while is_over.recv_timeout(Duration::from_millis(5)).is_err() {
            // It is gone by the time the test ends.
            let _ = std::io::Write::write(&mut drip.0, b"x");
        }
        drop((silent, half, deaf));
    });
    let client = HttpClient::new(runtime);
    let url = format!("http://{address}/");
    let get = |timeouts| HttpRequest::new("GET", &url).unwrap().timeouts(timeouts);

    let head = Timeouts { head: Some(TIMEOUT), ..NONE };
    assert_timed_out(time(client.send(get(head))).await, Phase::Head);

    let body = Timeouts { body: Some(TIMEOUT), ..NONE };
    let mut response = client.send(get(body)).await.unwrap();
    assert_eq!(response.chunk().await.unwrap(), Some(&b"half"[..]));
    assert_timed_out(time(response.collect(100)).await, Phase::Body);
    assert!(matches!(response.chunk().await, Err(Error::Closed)), "an error is no end");

    let write = Timeouts { write: Some(TIMEOUT), ..NONE };
    let large = HttpRequest::new("POST", &url).unwrap().body(vec![0; 64 << 20]).timeouts(write);
    assert_timed_out(time(client.send(large)).await, Phase::Write);

    // A byte now and then does not help.
    let total = Timeouts { total: Some(TIMEOUT), body: Some(TIMEOUT), ..NONE };
    let whole = async { client.send(get(total)).await?.collect(1 << 20).await };
    assert_timed_out(time(whole).await, Phase::Total);
    over.send(()).unwrap();
    peer.await;
}

/// What the program does between two pieces takes nothing of the server's time.
async fn a_slow_program_blames_nobody_else<R: SendRuntime>(runtime: R) {
    const BODY: Duration = Duration::from_millis(800);
    let (listener, address) = listener();
    let peer = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
        std::thread::sleep(BODY * 3 / 2);
        peer.send("lf");
        peer.read_to_end();
    });
    let timeouts = Timeouts { body: Some(BODY), ..NONE };
    let request = HttpRequest::new("GET", &format!("http://{address}/")).unwrap();
    let client = HttpClient::new(runtime);
    let mut response = client.send(request.timeouts(timeouts)).await.unwrap();
    assert_eq!(response.chunk().await.unwrap(), Some(&b"ha"[..]));
    std::thread::sleep(BODY * 5 / 4);
    assert_eq!(response.chunk().await.unwrap(), Some(&b"lf"[..]));
    drop((response, client));
    peer.await;
}

/// Nor does it when it is the server that waits to take more.
async fn a_slow_program_is_no_server_that_takes_nothing<R: SendRuntime>(runtime: R) {
    const WRITE: Duration = Duration::from_millis(800);
    const SIZE: usize = 24 << 20;
    let (listener, address) = listener();
    let peer = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
        std::thread::sleep(WRITE / 2);
        peer.read_exact(SIZE + 1);
        peer.send(".");
    });
    let timeouts = Timeouts { write: Some(WRITE), ..NONE };
    let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
    let client = HttpClient::new(runtime.clone());
    let length = BodyLength::Known(SIZE as u64 + 1);
    let mut upload = client.start(request.timeouts(timeouts), length).await.unwrap();
    assert!(upload.send_shared(&vec![0; SIZE].into()).await.unwrap());
    let mut response = upload.response().await.unwrap();
    // Nothing can be written for a while, and then for as long as the program looks elsewhere.
    let mut pause = pin!(sleep(&runtime, WRITE / 4));
    poll_fn(|cx| {
        assert!(pin!(response.chunk()).poll(cx).is_pending());
        pause.as_mut().poll(cx)
    })
    .await;
    std::thread::sleep(WRITE * 5 / 4);
    response.send(b".").await.unwrap();
    response.finish().await.unwrap();
    assert_eq!(response.chunk().await.unwrap(), Some(&b"."[..]));
    peer.await;
}

/// Whoever sends behind the head of the response is told as well that it was writing that took long.
async fn a_server_that_takes_nothing_is_named_behind_its_head<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let peer = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n.");
        let _ = is_over.recv_timeout(LATE * 2);
    });
    let client = HttpClient::new(runtime);
    let timeouts = Timeouts { write: Some(TIMEOUT), ..NONE };
    let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
    let upload = client.start(request.timeouts(timeouts), BodyLength::Unknown).await.unwrap();
    let mut response = upload.response().await.unwrap();
    assert_eq!(response.chunk().await.unwrap(), Some(&b"."[..]));
    let endless = async {
        loop {
            response.send(&[0; 64 * 1024]).await?;
        }
    };
    assert_timed_out(time::<()>(endless).await, Phase::Write);
    over.send(()).unwrap();
    peer.await;
}

/// A runtime that comes through nowhere.
#[derive(Clone)]
struct Nowhere<R>(R);

impl<R: SendRuntime> Runtime for Nowhere<R> {
    type Stream = R::Stream;
    type Listener = R::Listener;
    type Timer = R::Timer;
    type Resolve = R::Resolve;
    type Connect = BoxFuture<io::Result<R::Stream>>;
    type Accept = R::Accept;

    fn resolve(&self, host: &str, port: u16) -> R::Resolve {
        self.0.resolve(host, port)
    }

    fn connect(&self, _: SocketAddr, _: &SocketOptions) -> Self::Connect {
        Box::pin(std::future::pending())
    }

    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<R::Listener> {
        self.0.listen(address, options)
    }

    fn accept(&self, listener: &R::Listener) -> R::Accept {
        self.0.accept(listener)
    }

    fn local_addr(&self, listener: &R::Listener) -> io::Result<SocketAddr> {
        self.0.local_addr(listener)
    }

    fn set_options(&self, stream: &R::Stream, options: &SocketOptions) -> io::Result<()> {
        self.0.set_options(stream, options)
    }

    fn shutdown_write(&self, stream: &R::Stream) -> io::Result<()> {
        self.0.shutdown_write(stream)
    }

    fn timer(&self) -> R::Timer {
        self.0.timer()
    }
}

async fn a_connection_that_does_not_come_up_has_its_time_too<R: SendRuntime>(runtime: R) {
    let client = HttpClient::new(Nowhere(runtime));
    let get = |timeouts| HttpRequest::new("GET", "http://127.0.0.1:1/").unwrap().timeouts(timeouts);
    let connect = Timeouts { connect: Some(TIMEOUT), ..NONE };
    assert_timed_out(time(client.send(get(connect))).await, Phase::Connect);
    let total = Timeouts { total: Some(TIMEOUT), ..NONE };
    assert_timed_out(time(client.send(get(total))).await, Phase::Total);
}

on_every_runtime!(
    each_phase_has_its_time,
    a_slow_program_blames_nobody_else,
    a_slow_program_is_no_server_that_takes_nothing,
    a_server_that_takes_nothing_is_named_behind_its_head,
    a_connection_that_does_not_come_up_has_its_time_too,
);
