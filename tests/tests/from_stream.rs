//! `WebSocket`s over streams that others have made: a connection that hyper has upgraded, Unix sockets.
#![cfg(feature = "net")]

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use tidewire_runtime::http::OwnedRequestHead;
use tidewire_runtime::ws::handshake::{self, ServerOptions, accept};
use tidewire_runtime::ws::{CloseCode, Closed, Config, Event, Negotiated, Role};
use tidewire_runtime::{
    ByteStream, Connector, DialError, Error, HttpClient, Keepalive, SendRuntime, WebSocket,
};
use tidewire_tests::net::{RawPeer, background, in_time, listener};
use tidewire_tests::on_every_runtime;
use tidewire_tokio::{Compat, Tokio};

type Answer = Response<Empty<Bytes>>;

/// Sends each text back, until the peer closes.
async fn echo<R: SendRuntime>(mut socket: WebSocket<R>) -> Closed {
    socket
        .run(|event, reply| match event {
            Event::Text(text) => reply.send_text(text),
            _ => Ok(()),
        })
        .await
        .expect("a closing handshake")
}

/// What a handler of hyper does to speak WebSocket.
async fn upgrade(
    mut request: Request<Incoming>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let head = OwnedRequestHead::try_from(&request)?;
    let acceptance = match accept(&head.as_head(), &ServerOptions::default()) {
        Ok(acceptance) => acceptance,
        Err(rejection) => {
            let status = StatusCode::from(rejection.status());
            return Ok(Response::builder().status(status).body(Empty::new())?);
        }
    };
    let mut answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in acceptance.fields() {
        answer = answer.header(name, value);
    }
    let (negotiated, config) = (acceptance.negotiated(), Config::default());
    let upgraded = hyper::upgrade::on(&mut request);
    ::tokio::spawn(async move {
        let upgraded = upgraded.await.expect("an upgrade");
        let stream = ByteStream::boxed(Compat(TokioIo::new(upgraded)));
        let socket = WebSocket::from_stream(Tokio, stream, Role::Server, negotiated, config);
        echo(socket.expect("a server needs no randomness")).await;
    });
    Ok(answer.body(Empty::new())?)
}

#[test]
fn a_connection_that_hyper_has_upgraded_is_a_websocket() {
    let tokio = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(in_time(Tokio, async {
        let listener = ::tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        ::tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let http = hyper::server::conn::http1::Builder::new();
                let connection = http.serve_connection(TokioIo::new(stream), service_fn(upgrade));
                ::tokio::spawn(connection.with_upgrades());
            }
        });
        let request = handshake::Request::new(&format!("ws://{address}/chat?room=1")).unwrap();
        let (mut socket, head) =
            WebSocket::connect(Tokio, &request, Config::default()).await.unwrap();
        assert_eq!(head.as_head().status.code(), 101);
        let large = "wörd".repeat(100_000);
        for text in ["hello", &large] {
            socket.send_text(text).await.unwrap();
            assert_eq!(socket.next().await, Some(Event::Text(text)));
        }
        // A request that asks for something else is answered in hyper's way.
        let response = HttpClient::new(Tokio).get(&format!("http://{address}/")).await.unwrap();
        assert_eq!(response.status().code(), 400);
    }));
}

/// Whose handshake somebody else has made, or nobody.
async fn two_ends_of_a_pair_need_no_handshake<R: SendRuntime>(runtime: R) {
    let (client, server) = UnixStream::pair().unwrap();
    // A reactor of another runtime serves as well.
    let socket = |stream: UnixStream, role| {
        let stream = ByteStream::boxed(::smol::Async::new(stream).unwrap());
        let (negotiated, config) = (Negotiated::default(), Config::default());
        WebSocket::from_stream(runtime.clone(), stream, role, negotiated, config).unwrap()
    };
    let (mut client, server) = (socket(client, Role::Client), socket(server, Role::Server));
    runtime.spawn_send(async {
        echo(server).await;
    });
    let large = "x".repeat(1_000_000);
    for text in ["hello", &large] {
        client.send_text(text).await.unwrap();
        assert_eq!(client.next().await, Some(Event::Text(text)));
    }
    let why = client.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert_eq!(why.code(), CloseCode::NORMAL);
}

async fn a_unix_socket_is_as_good_as_a_host<R: SendRuntime>(runtime: R) {
    let name = format!("tidewire-{}-{}", std::process::id(), std::any::type_name::<R>());
    let path = std::env::temp_dir().join(name.replace(':', "-"));
    let listener = UnixListener::bind(&path).unwrap();
    let peer = background(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        String::from_utf8(head).unwrap()
    });
    let client = HttpClient::new(Connector::new(runtime.clone()).unix(&path));
    let mut response = client.get("http://example.com:8080/path").await.unwrap();
    assert_eq!(response.text(10).await.unwrap(), "ok");
    assert!(peer.await.starts_with("GET /path HTTP/1.1\r\nHost: example.com:8080\r\n"));
    std::fs::remove_file(&path).unwrap();
    let gone = client.get("http://example.com/").await.unwrap_err();
    assert!(matches!(gone, Error::Dial { phase: DialError::Connect, .. }), "{gone:?}");
}

async fn a_connection_comes_from_the_address_that_is_bound<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let peer = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        peer.0.peer_addr().unwrap().ip()
    });
    let local = IpAddr::from([127, 0, 0, 2]);
    let keepalive = Keepalive {
        after: Duration::from_secs(60),
        interval: Some(Duration::from_secs(5)),
        retries: Some(3),
    };
    let connector = Connector::new(runtime.clone()).bind(local).nodelay(false).keepalive(keepalive);
    let response = HttpClient::new(connector).get(&format!("http://{address}/")).await.unwrap();
    assert_eq!(response.status().code(), 204);
    assert_eq!(peer.await, local);
}

on_every_runtime!(
    two_ends_of_a_pair_need_no_handshake,
    a_unix_socket_is_as_good_as_a_host,
    a_connection_comes_from_the_address_that_is_bound,
);
