//! Without the feature `tls`, a URL that wants TLS is refused before anything is sent, and the error
//! names the feature.
#![cfg(not(feature = "tls"))]

use std::future::{Pending, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tidewire_runtime::sse::{SourceConfig, SourceRequest};
use tidewire_runtime::ws::{ClientConfig, handshake::Request};
use tidewire_runtime::{
    BoxFuture, BoxStream, Client, DialError, Error, EventSource, HttpClient, ListenOptions,
    Runtime, SocketOptions, Timer, WebSocket,
};

/// A runtime that reaches nobody.
#[derive(Clone)]
struct Nowhere;

struct Never;

impl Timer for Never {
    fn set(&mut self, _at: Instant) {}

    fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Runtime for Nowhere {
    type Stream = BoxStream;
    type Listener = ();
    type Timer = Never;
    type Resolve = BoxFuture<io::Result<Vec<SocketAddr>>>;
    type Connect = Pending<io::Result<BoxStream>>;
    type Accept = Pending<io::Result<(BoxStream, SocketAddr)>>;

    fn resolve(&self, host: &str, _port: u16) -> Self::Resolve {
        panic!("{host} need not be looked up");
    }

    fn connect(&self, address: SocketAddr, _options: &SocketOptions) -> Self::Connect {
        panic!("nothing is to be sent to {address}");
    }

    fn listen(&self, _: SocketAddr, _: &ListenOptions) -> io::Result<()> {
        Ok(())
    }

    fn accept(&self, _listener: &()) -> Self::Accept {
        pending()
    }

    fn local_addr(&self, _listener: &()) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_options(&self, _: &BoxStream, _: &SocketOptions) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&self, _stream: &BoxStream) -> io::Result<()> {
        Ok(())
    }

    fn timer(&self) -> Never {
        Never
    }
}

/// The error that a future has at once.
fn error_of<T>(future: impl Future<Output = Result<T, Error>>) -> Error {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else { panic!("no error at once") };
    error
}

fn check(error: &Error) {
    assert!(matches!(error, Error::Dial { phase: DialError::NoTls, .. }), "{error:?}");
    assert!(error.to_string().contains("the feature `tls`"), "{error}");
    assert!(error.tls().is_none());
}

// RFC 6455, 3 and 4.1 (5); RFC 9110, 4.2.2.
#[test]
fn wss_and_https_are_errors_that_name_the_feature() {
    let request = Request::new("wss://example.org/").unwrap();
    check(&error_of(WebSocket::connect(Nowhere, &request, ClientConfig::default())));
    check(&Client::new(Nowhere, request, ClientConfig::default()).unwrap_err());
    check(&error_of(HttpClient::new(Nowhere).get("https://example.org/")));
    let request = SourceRequest::new("https://example.org/".parse().unwrap());
    check(&EventSource::new(Nowhere, request, SourceConfig::default()).unwrap_err());
}
