//! TLS through real sockets: RFC 8446, RFC 9110 (4.2.2, 4.3.4), RFC 9112 (9.8). The other side is our
//! own, or rustls over a blocking socket, which sends and leaves out what we never would.

mod certificates;
mod close_notify;
mod handshake;

use futures_io::{AsyncRead, AsyncWrite};
use rcgen::{CertificateParams, SerialNumber, date_time_ymd};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tidewire_runtime::http::{self, NO_FIELDS, Status};
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{ClientConfig, CloseCode, Closed, Config, Event};
use tidewire_runtime::{
    ByteStream, Client, Connector, DialError, Driver, Error, EventSource, Exchange, HandlerError,
    HttpClient, Phase, SendRuntime, ServerConfig, ServerHandle, Timer, TlsAlert, TlsConfig,
    TlsError, TlsServerConfig, WebSocket,
};
use tidewire_tests::frames::{TEXT, frame};
use tidewire_tests::net::{
    PATIENCE, RawPeer, background, listener, on_thread, plain, serve_with, sleep,
};
use tidewire_tests::on_every_runtime;
use tidewire_tests::pki::{Authority, Identity};

const LOCAL: &[&str] = &["localhost", "127.0.0.1"];
/// Less than a test waits, and less than a default.
const SOON: Duration = Duration::from_millis(300);

const NO_APPLICATION_PROTOCOL: TlsAlert = TlsAlert(120);

/// What the server knows of the connection, an event, or an echo.
async fn answer<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    match exchange.path() {
        "/events" => {
            let mut events = exchange.event_stream(NO_FIELDS).await?;
            events.send(&sse::Event::data("one")).await?;
            let _ = events.wait(Duration::from_secs(60)).await;
        }
        "/ws" => {
            let mut socket = exchange.websocket(&ServerOptions::default(), echoing()).await?;
            socket
                .run(|event, reply| match event {
                    Event::Text(text) => reply.send_text(text),
                    Event::Binary(data) => reply.send_binary(data),
                    _ => Ok(()),
                })
                .await?;
        }
        _ => {
            let session = exchange.tls_session().ok_or("no TLS")?;
            let alpn = session.alpn.map(|alpn| String::from_utf8_lossy(&alpn).into_owned());
            let told = format!(
                "{:#06x} {alpn:?} {:?} {}",
                session.version,
                session.server_name,
                session.certificates.len()
            );
            exchange.respond(told).await?;
        }
    }
    Ok(())
}

/// Room for the largest message of these tests.
fn echoing() -> Config {
    Config { max_message: 16 << 20, ..Config::default() }
}

async fn serve<R: SendRuntime>(runtime: &R, tls: TlsServerConfig) -> (SocketAddr, ServerHandle) {
    serve_with(runtime, ServerConfig { tls: Some(tls), ..plain() }, answer).await
}

/// What a request to `host` comes to.
async fn get<R: SendRuntime>(
    runtime: &R,
    tls: TlsConfig,
    host: &str,
    address: SocketAddr,
) -> Result<String, Error> {
    let url = format!("https://{host}:{}/", address.port());
    let client = HttpClient::new(Connector::new(runtime.clone()).tls(tls));
    client.get(&url).await?.text(1000).await
}

/// The reason why there is no TLS connection.
async fn refusal<R: SendRuntime>(
    runtime: &R,
    tls: TlsConfig,
    host: &str,
    address: SocketAddr,
) -> TlsError {
    let error = get(runtime, tls, host, address).await.unwrap_err();
    assert!(matches!(error, Error::Dial { phase: DialError::Tls, .. }), "{error:?}");
    error.tls().expect("a reason").clone()
}

/// The server's words about handshakes that failed.
fn told_failures(tls: TlsServerConfig) -> (TlsServerConfig, Receiver<Result<TlsError, ErrorKind>>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let tls = tls.on_failure(move |client, error| {
        assert!(client.is_some_and(|client| client.ip().is_loopback()));
        let _ = tell.lock().unwrap().send(TlsError::of(error).cloned().ok_or(error.kind()));
    });
    (tls, told)
}

// RFC 9110, 4.2.2; RFC 6455, 3; RFC 7301; RFC 6066, 3.
async fn https_wss_and_event_streams_work_with_a_certificate_that_is_trusted<R: SendRuntime>(
    runtime: R,
) {
    let authority = Authority::new("ours");
    let (address, _server) = serve(&runtime, authority.server(LOCAL)).await;
    let told = get(&runtime, authority.client(), "localhost", address).await.unwrap();
    assert_eq!(told, r#"0x0304 Some("http/1.1") Some("localhost") 0"#);
    // Addresses are no names, and are not told.
    let told = get(&runtime, authority.client(), "127.0.0.1", address).await.unwrap();
    assert_eq!(told, r#"0x0304 Some("http/1.1") None 0"#);

    let connector = Connector::new(runtime.clone()).tls(authority.client());
    let request = Request::new(&format!("wss://{address}/ws")).unwrap();
    let config = ClientConfig::default();
    let (mut socket, _) = WebSocket::connect(connector.clone(), &request, config).await.unwrap();
    let session = socket.tls_session().unwrap();
    assert_eq!((session.version, session.certificates.len()), (0x0304, 1));
    socket.send_text("hello").await.unwrap();
    assert!(matches!(socket.next().await, Some(Event::Text("hello"))));
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().is_clean());

    let mut client = Client::new(connector.clone(), request, config).unwrap();
    loop {
        match client.next().await.unwrap() {
            tidewire_runtime::ws::ClientEvent::Open(_) => client.send_text("again").unwrap(),
            tidewire_runtime::ws::ClientEvent::Text(text) => break assert_eq!(text, "again"),
            _ => {}
        }
    }

    let request = SourceRequest::new(format!("https://{address}/events").parse().unwrap());
    let mut source = EventSource::new(connector, request, SourceConfig::default()).unwrap();
    loop {
        match source.next().await.unwrap() {
            SourceEvent::Message(message) => break assert_eq!(message.data, "one"),
            event => assert!(!matches!(event, SourceEvent::Error { .. }), "{event:?}"),
        }
    }
}

// RFC 7301, 3.2.
async fn no_common_application_protocol_is_an_error<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (tls, failures) = told_failures(authority.server(LOCAL));
    let (address, _server) = serve(&runtime, tls).await;
    let why = refusal(&runtime, authority.client().alpn(["h2"]), "localhost", address).await;
    assert_eq!(why, TlsError::Alert(NO_APPLICATION_PROTOCOL));
    assert_eq!(why.to_string(), "the peer ended TLS: no_application_protocol");
    let told = on_thread(move || failures.recv_timeout(PATIENCE).unwrap()).await;
    assert_eq!(told, Ok(TlsError::NoApplicationProtocol));
    let told = get(&runtime, authority.client().alpn(["h2", "http/1.1"]), "localhost", address);
    assert!(told.await.unwrap().contains("http/1.1"));
    let told = get(&runtime, authority.client().alpn([""; 0]), "localhost", address);
    assert!(told.await.unwrap().contains(" None "));
}

// What TLS holds back is not written: a flush waits for it, and messages of many records arrive whole.
async fn large_messages_come_back_as_they_went<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (address, _server) = serve(&runtime, authority.server(LOCAL)).await;
    let connector = Connector::new(runtime).tls(authority.client());
    let request = Request::new(&format!("wss://{address}/ws")).unwrap();
    let (mut socket, _) = WebSocket::connect(connector, &request, echoing()).await.unwrap();
    for size in [0, 1, 16 << 10, (16 << 10) + 1, 5 << 20] {
        let message: Vec<u8> = (0..size).map(|at: u32| (at % 251) as u8).collect();
        socket.send_binary(&message).await.unwrap();
        socket.flush().await.unwrap();
        assert_eq!(socket.queued(), 0);
        match socket.next().await {
            Some(Event::Binary(data)) => assert!(data == message, "{size} bytes"),
            other => panic!("{other:?}"),
        }
    }
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
}

// RFC 9110, 15.4; WHATWG HTML, 9.2.3.
async fn redirects_lead_from_http_to_https<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (address, _server) = serve(&runtime, authority.server(LOCAL)).await;
    let (from, _plain) = serve_with(&runtime, plain(), move |mut exchange| async move {
        let location = format!("https://localhost:{}{}", address.port(), exchange.path());
        let fields = [("Location", location)];
        exchange.respond_with(Status::FOUND, fields, "").await.map_err(HandlerError::from)
    })
    .await;
    let connector = Connector::new(runtime.clone()).tls(authority.client());
    let client = HttpClient::new(connector.clone());
    let mut response = client.get(&format!("http://{from}/")).await.unwrap();
    assert!(response.text(1000).await.unwrap().starts_with("0x0304"));

    let request = SourceRequest::new(format!("http://{from}/events").parse().unwrap());
    let mut source = EventSource::new(connector, request, SourceConfig::default()).unwrap();
    loop {
        match source.next().await.unwrap() {
            SourceEvent::Message(message) => break assert_eq!(message.data, "one"),
            event => assert!(!matches!(event, SourceEvent::Error { .. }), "{event:?}"),
        }
    }
}

// A stream of the user's, and TLS in TLS as behind a proxy that speaks it.
async fn tls_goes_over_any_stream<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (inner, outer) = (authority.server(&["inner"]), authority.server(&["outer"]));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = runtime.listen(address, &Default::default()).unwrap();
    let address = runtime.local_addr(&listener).unwrap();
    let served = runtime.clone();
    let (done, is_done) = channel();
    runtime.spawn_send(async move {
        let (stream, _) = served.accept(&listener).await.unwrap();
        let stream = ByteStream::new(stream).accept_tls(&served, &outer).await.unwrap();
        let stream = ByteStream::boxed(stream).accept_tls(&served, &inner).await.unwrap();
        let session = stream.tls_session().unwrap();
        let role = tidewire_runtime::ws::Role::Client;
        let config = Config::default();
        let mut socket =
            WebSocket::from_stream(served, stream, role, Default::default(), config).unwrap();
        socket.send_text("hello").await.unwrap();
        let how = socket.close(CloseCode::NORMAL, "").await.unwrap();
        done.send((session.server_name, how.is_clean())).unwrap();
    });
    let stream = runtime.connect(address, &Default::default()).await.unwrap();
    let stream = ByteStream::new(stream);
    let stream = stream.connect_tls(&runtime, &authority.client(), "outer").await.unwrap();
    let stream = ByteStream::boxed(stream);
    let stream = stream.connect_tls(&runtime, &authority.client(), "inner").await.unwrap();
    let role = tidewire_runtime::ws::Role::Server;
    let mut socket =
        WebSocket::from_stream(runtime, stream, role, Default::default(), Config::default())
            .unwrap();
    assert!(matches!(socket.next().await, Some(Event::Text("hello"))));
    assert!(matches!(socket.next().await, Some(Event::Closed { why: Closed::Clean { .. }, .. })));
    assert!(socket.next().await.is_none());
    let done = on_thread(move || is_done.recv_timeout(PATIENCE).unwrap()).await;
    assert_eq!(done, (Some("inner".into()), true));
}

on_every_runtime!(
    https_wss_and_event_streams_work_with_a_certificate_that_is_trusted,
    no_common_application_protocol_is_an_error,
    large_messages_come_back_as_they_went,
    redirects_lead_from_http_to_https,
    tls_goes_over_any_stream,
);
