//! The HTTP client's deadlines, one for each phase of a request.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tidewire_runtime::{
    BoxFuture, Error, HttpClient, HttpRequest, Phase, Runtime, SendRuntime, Timeouts,
};
use tidewire_tests::net::{RawPeer, background, listener};
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

/// A runtime that comes through nowhere.
#[derive(Clone)]
struct Nowhere<R>(R);

impl<R: SendRuntime> Runtime for Nowhere<R> {
    type Stream = R::Stream;
    type Listener = R::Listener;
    type Timer = R::Timer;
    type Resolve = R::Resolve;
    type Connect = BoxFuture<io::Result<R::Stream>>;
    type Listen = R::Listen;
    type Accept = R::Accept;

    fn resolve(&self, host: &str, port: u16) -> R::Resolve {
        self.0.resolve(host, port)
    }

    fn connect(&self, _: SocketAddr) -> Self::Connect {
        Box::pin(std::future::pending())
    }

    fn listen(&self, address: SocketAddr) -> R::Listen {
        self.0.listen(address)
    }

    fn accept(&self, listener: &R::Listener) -> R::Accept {
        self.0.accept(listener)
    }

    fn local_addr(&self, listener: &R::Listener) -> io::Result<SocketAddr> {
        self.0.local_addr(listener)
    }

    fn set_nodelay(&self, stream: &R::Stream) -> io::Result<()> {
        self.0.set_nodelay(stream)
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

on_every_runtime!(each_phase_has_its_time, a_connection_that_does_not_come_up_has_its_time_too,);
