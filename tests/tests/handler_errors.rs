//! What a handler fails with reaches the operator, and its client gets an answer.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use tidewire_runtime::{ByteStream, Exchange, HandlerError, SendRuntime, Server, ServerConfig};
use tidewire_tests::net::{RawPeer, on_thread, serve_with, until};

/// The errors that were told, with the clients' addresses.
static TOLD: Mutex<Vec<(SocketAddr, String)>> = Mutex::new(Vec::new());

fn tell(client: Option<SocketAddr>, error: &HandlerError) {
    let client = client.expect("an address");
    TOLD.lock().unwrap().push((client, error.to_string()));
}

async fn handler<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    match exchange.path() {
        "/fails" => Err("no luck".into()),
        "/panics" => panic!("as asked"),
        "/collects" => {
            exchange.collect(1).await?;
            Ok(())
        }
        "/socket" => {
            let options = tidewire_runtime::ws::handshake::ServerOptions::new();
            exchange.websocket(&options, Default::default()).await?;
            Ok(())
        }
        _ => Ok(exchange.respond("ok").await?),
    }
}

/// Gives one error, and then nothing.
struct FailsOnce<R>(PhantomData<fn() -> R>, bool);

impl<R: SendRuntime> futures_core::Stream for FailsOnce<R> {
    type Item = io::Result<(ByteStream<R>, Option<SocketAddr>)>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::replace(&mut self.1, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::OutOfMemory.into())))
    }
}

async fn a_failing_handler_is_told_to_the_operator<R: SendRuntime>(runtime: R) {
    let config = ServerConfig { on_error: tell, ..ServerConfig::default() };
    let (server, _handle) = serve_with(&runtime, config, handler).await;
    let cases = [
        ("GET /fails", "", " 500 ", "no luck"),
        ("GET /panics", "", " 500 ", "the handler panicked"),
        ("POST /collects", "ab", " 413 ", "the body is longer than 1 bytes"),
    ];
    for (request, body, status, error) in cases {
        let (client, head) = on_thread(move || {
            let mut client = RawPeer::connect(server);
            let length = body.len();
            client.send(format!(
                "{request} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
            (client.0.local_addr().unwrap(), client.read_head())
        })
        .await;
        assert!(head.contains(status), "{request}: {head}");
        let told = (client, error.to_owned());
        assert!(TOLD.lock().unwrap().contains(&told), "{request}: {:?}", TOLD.lock());
    }
}

async fn a_client_that_leaves_or_breaks_the_rules_is_no_failure<R: SendRuntime>(runtime: R) {
    let config = ServerConfig { on_error: tell, ..ServerConfig::default() };
    let (server, handle) = serve_with(&runtime, config, handler).await;
    for rest in ["Content-Length: 2\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n?"] {
        let client = on_thread(move || {
            let mut client = RawPeer::connect(server);
            client.send(format!("POST /collects HTTP/1.1\r\nHost: h\r\n{rest}"));
            client.0.local_addr().unwrap()
        })
        .await;
        until(&runtime, || handle.connections() == 0).await;
        let told = TOLD.lock().unwrap();
        assert_eq!(told.iter().find(|(address, _)| *address == client), None, "{rest}");
    }
}

async fn a_bad_opening_handshake_is_no_failure<R: SendRuntime>(runtime: R) {
    let config = ServerConfig { on_error: tell, ..ServerConfig::default() };
    let (server, _handle) = serve_with(&runtime, config, handler).await;
    let (client, heads) = on_thread(move || {
        let mut client = RawPeer::connect(server);
        let mut ask = |path| {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            client.read_head()
        };
        // The connection goes on.
        let heads = [ask("/socket"), ask("/socket")];
        (client.0.local_addr().unwrap(), heads)
    })
    .await;
    assert!(heads.iter().all(|head| head.starts_with("HTTP/1.1 400 ")), "{heads:?}");
    let told = TOLD.lock().unwrap();
    assert_eq!(told.iter().find(|(address, _)| *address == client), None);
}

// Acceptance group 23: of whatever the program is told, a panic there is one connection's at the most.
async fn those_who_are_told_may_panic<R: SendRuntime>(runtime: R) {
    let on_error = |_, _: &HandlerError| panic!("as asked, by who is told");
    let on_accept_error = |_: &io::Error, _| panic!("as asked, by who is told");
    let config = ServerConfig { on_error, on_accept_error, ..ServerConfig::default() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::new(runtime.clone(), config).unwrap().listen(any).unwrap();
    let address = server.local_addr().unwrap();
    let server = server.accept_from(FailsOnce(PhantomData, false));
    runtime.spawn_send(async move { server.serve(handler).await.unwrap() });
    on_thread(move || {
        let mut other = RawPeer::connect(address);
        let mut client = RawPeer::connect(address);
        for path in ["/fails", "/panics", "/fails"] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert!(client.read_head().starts_with("HTTP/1.1 500 "), "{path}");
        }
        other.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(other.read_head().starts_with("HTTP/1.1 200 "));
    })
    .await;
}

tidewire_tests::on_every_runtime!(
    those_who_are_told_may_panic,
    a_bad_opening_handshake_is_no_failure,
    a_client_that_leaves_or_breaks_the_rules_is_no_failure,
    a_failing_handler_is_told_to_the_operator,
);
