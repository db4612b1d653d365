//! TLS through real sockets: RFC 8446, RFC 9110 (4.2.2, 4.3.4), RFC 9112 (9.8). The other side is our
//! own, or rustls over a blocking socket, which sends and leaves out what we never would.

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

const CERTIFICATE_REQUIRED: TlsAlert = TlsAlert(116);
const UNKNOWN_CA: TlsAlert = TlsAlert(48);
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

// RFC 9110, 4.3.4: the certificate has to lead to an issuer who is trusted.
async fn an_unknown_issuer_is_refused_and_both_sides_know_why<R: SendRuntime>(runtime: R) {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (tls, failures) = told_failures(theirs.server(LOCAL));
    let (address, _server) = serve(&runtime, tls).await;
    let why = refusal(&runtime, ours.client(), "localhost", address).await;
    assert_eq!(why, TlsError::UnknownIssuer);
    let told = on_thread(move || failures.recv_timeout(PATIENCE).unwrap()).await;
    assert_eq!(told, Ok(TlsError::Alert(UNKNOWN_CA)));
    // Nor does the platform trust it.
    let why = refusal(&runtime, TlsConfig::new(), "localhost", address).await;
    assert!(matches!(why, TlsError::UnknownIssuer | TlsError::NoPlatformRoots(_)), "{why:?}");
    // Those who say so take it.
    let both = ours.client().also_trust(theirs.der()).unwrap();
    assert!(get(&runtime, both, "localhost", address).await.is_ok());
    let beside = TlsConfig::new().also_trust(theirs.pem()).unwrap();
    assert!(get(&runtime, beside, "localhost", address).await.is_ok());
    let any = TlsConfig::new().dangerous_no_verification();
    assert!(get(&runtime, any, "127.0.0.1", address).await.is_ok());
}

// RFC 5280, 4.1.2.5.
async fn a_certificate_is_taken_on_its_days_only<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let valid = |from: i32, until: i32| {
        move |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        }
    };
    let expired = authority.issue_with(LOCAL, valid(2000, 2001)).server();
    let (address, _expired) = serve(&runtime, expired).await;
    let why = refusal(&runtime, authority.client(), "localhost", address).await;
    assert!(matches!(why, TlsError::Expired { at: Some(_) }), "{why:?}");
    assert_eq!(why.to_string(), "the certificate expired on Mon, 01 Jan 2001 00:00:00 GMT");

    let early = authority.issue_with(LOCAL, valid(3000, 3001)).server();
    let (address, _early) = serve(&runtime, early).await;
    let why = refusal(&runtime, authority.client(), "localhost", address).await;
    assert!(matches!(why, TlsError::NotYetValid { from: Some(_) }), "{why:?}");
    assert!(why.to_string().ends_with("on Wed, 01 Jan 3000 00:00:00 GMT"), "{why}");
}

// RFC 9110, 4.3.4: the name, or the address, must be one of the certificate's.
async fn a_certificate_is_taken_for_its_names_only<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (address, _server) =
        serve(&runtime, authority.server(&["example.org", "*.example.org"])).await;
    for host in ["localhost", "127.0.0.1"] {
        let why = refusal(&runtime, authority.client(), host, address).await;
        let TlsError::NameMismatch { expected, presented } = &why else { panic!("{why:?}") };
        assert_eq!(expected, host);
        assert_eq!(presented.len(), 2, "{presented:?}");
        assert!(why.to_string().contains("example.org"), "{why}");
    }
    for name in ["example.org", "www.example.org", "www.example.org."] {
        let tls = authority.client().server_name(name).unwrap();
        let told = get(&runtime, tls.clone(), "localhost", address).await.unwrap();
        let bare = name.trim_end_matches('.');
        assert_eq!(told, format!(r#"0x0304 Some("http/1.1") Some("{bare}") 0"#));
        let told = get(&runtime, tls.sni(false), "localhost", address).await.unwrap();
        assert_eq!(told, r#"0x0304 Some("http/1.1") None 0"#);
    }
    let tls = authority.client().server_name("a.www.example.org").unwrap();
    let why = refusal(&runtime, tls, "localhost", address).await;
    assert!(matches!(why, TlsError::NameMismatch { .. }), "{why:?}");
    let error = authority.client().server_name("no name").unwrap_err();
    assert_eq!(error, TlsError::BadName("no name".into()));
}

// RFC 5280, 5.
async fn a_certificate_that_was_revoked_is_refused<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let numbered = |number: u64| {
        move |params: &mut CertificateParams| {
            params.serial_number = Some(SerialNumber::from(number));
        }
    };
    let (revoked, other) =
        (authority.issue_with(LOCAL, numbered(7)), authority.issue_with(LOCAL, numbered(8)));
    let tls = authority.client().revoked(authority.revoke(7)).unwrap();
    let (address, _revoked) = serve(&runtime, revoked.server()).await;
    let why = refusal(&runtime, tls.clone(), "localhost", address).await;
    assert_eq!(why, TlsError::Revoked);
    let (address, _other) = serve(&runtime, other.server()).await;
    assert!(get(&runtime, tls.clone(), "localhost", address).await.is_ok());

    // Clients too.
    let (server, failures) = told_failures(authority.server(LOCAL));
    let server = server
        .require_client_certificate(authority.pem())
        .and_then(|server| server.revoked(authority.revoke(7)))
        .unwrap();
    let (address, _server) = serve(&runtime, server).await;
    let with = |it: &Identity| authority.client().client_certificate(&it.chain, &it.key).unwrap();
    assert!(get(&runtime, with(&other), "localhost", address).await.is_ok());
    let error = get(&runtime, with(&revoked), "localhost", address).await.unwrap_err();
    assert_eq!(error.tls(), Some(&TlsError::ClientCertificateRefused(TlsAlert(44))), "{error:?}");
    let told = on_thread(move || failures.recv_timeout(PATIENCE).unwrap()).await;
    assert_eq!(told, Ok(TlsError::Revoked));
}

// RFC 8446, 4.3.2 and 4.4.2.4. With TLS 1.3 the client takes its handshake for done when the server has
// yet to look at its certificate: the refusal comes as the answer to the first bytes.
async fn a_client_shows_its_certificate_to_who_asks_for_it<R: SendRuntime>(runtime: R) {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (known, stranger) = (ours.issue(&["client"]), theirs.issue(&["client"]));
    let with = |it: &Identity| ours.client().client_certificate(&it.chain, &it.key).unwrap();

    let (server, failures) = told_failures(ours.server(LOCAL));
    let server = server.require_client_certificate(ours.pem()).unwrap();
    let (address, _server) = serve(&runtime, server).await;
    let told = get(&runtime, with(&known), "localhost", address).await.unwrap();
    assert!(told.ends_with(" 1"), "{told}");

    let refused = [(ours.client(), CERTIFICATE_REQUIRED), (with(&stranger), UNKNOWN_CA)];
    let request = Request::new(&format!("wss://{address}/ws")).unwrap();
    for (tls, alert) in refused {
        let error = get(&runtime, tls.clone(), "localhost", address).await.unwrap_err();
        let why = TlsError::ClientCertificateRefused(alert);
        assert_eq!(error.tls(), Some(&why), "{error:?}");
        let connector = Connector::new(runtime.clone()).tls(tls);
        let error = WebSocket::connect(connector, &request, Config::default()).await.unwrap_err();
        assert_eq!(error.tls(), Some(&why), "{error:?}");
    }
    let told = on_thread(move || {
        (0..4).map(|_| failures.recv_timeout(PATIENCE).unwrap()).collect::<Vec<_>>()
    });
    use TlsError::{NoClientCertificate, UnknownIssuer};
    let both =
        [Ok(NoClientCertificate), Ok(NoClientCertificate), Ok(UnknownIssuer), Ok(UnknownIssuer)];
    assert_eq!(told.await, both);

    // Where it may have one, it need not; a stranger's is refused all the same.
    let server = ours.server(LOCAL).allow_client_certificate(ours.pem()).unwrap();
    let (address, _server) = serve(&runtime, server).await;
    for (tls, certificates) in [(ours.client(), " 0"), (with(&known), " 1")] {
        let told = get(&runtime, tls, "localhost", address).await.unwrap();
        assert!(told.ends_with(certificates), "{told}");
    }
    let error = get(&runtime, with(&stranger), "localhost", address).await.unwrap_err();
    let why = TlsError::ClientCertificateRefused(UNKNOWN_CA);
    assert_eq!(error.tls(), Some(&why), "{error:?}");
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

// Acceptance groups 19 and 22: nobody blocks, and the deadline that ends it is that of TLS.
async fn a_server_that_is_mute_in_the_handshake_is_left_in_time<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peers: Vec<_> = (0..2).map(|_| RawPeer::accept(&listener)).collect();
        // A ClientHello (RFC 8446, 5.1), and then the end.
        peers.iter_mut().for_each(|peer| assert_eq!(peer.read_exact(1), [22]));
        peers.into_iter().for_each(|mut peer| drop(peer.read_to_end()));
    });
    let tls = TlsConfig::new().dangerous_no_verification().handshake_timeout(SOON);
    let begun = Instant::now();
    let error = get(&runtime, tls.clone(), "localhost", address).await.unwrap_err();
    assert!(begun.elapsed() >= SOON);
    assert!(matches!(error, Error::Dial { phase: DialError::TlsTimeout, .. }), "{error:?}");
    assert_eq!((error.timed_out(), error.tls()), (Some(Phase::Tls), None));

    let request = Request::new(&format!("wss://{address}/")).unwrap();
    let connector = Connector::new(runtime.clone()).tls(tls);
    let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
    let first = client.next().await.unwrap();
    let tidewire_runtime::ws::ClientEvent::Error(error) = first else { panic!("{first:?}") };
    assert_eq!(error.to_string(), "the TLS handshake was not over in time");
    drop(client);
    server.await;
}

async fn a_client_that_is_mute_in_the_handshake_holds_up_nobody_and_is_left_in_time<
    R: SendRuntime,
>(
    runtime: R,
) {
    let authority = Authority::new("ours");
    let (tls, failures) = told_failures(authority.server(LOCAL).handshake_timeout(SOON));
    let (address, server) = serve(&runtime, tls).await;
    let mute = on_thread(move || [RawPeer::connect(address), RawPeer::connect(address)]).await;
    assert!(get(&runtime, authority.client(), "localhost", address).await.is_ok());
    on_thread(move || {
        for mut peer in mute {
            assert_eq!(peer.read_to_end(), b"");
            assert_eq!(failures.recv_timeout(PATIENCE).unwrap(), Err(ErrorKind::TimedOut));
        }
    })
    .await;
    while server.connections() > 1 {
        sleep(&runtime, Duration::from_millis(2)).await;
    }
}

async fn a_shutdown_does_not_wait_for_handshakes<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (address, server) = serve(&runtime, authority.server(LOCAL)).await;
    let mut mute = on_thread(move || RawPeer::connect(address)).await;
    while server.connections() == 0 {
        sleep(&runtime, Duration::from_millis(2)).await;
    }
    server.shutdown();
    let begun = Instant::now();
    on_thread(move || assert_eq!(mute.read_to_end(), b"")).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

// Who speaks no TLS is told so in TLS's way, an alert (RFC 8446, 6), and is no more than that.
async fn plain_text_where_tls_is_spoken_is_an_error<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (tls, failures) = told_failures(authority.server(LOCAL));
    let (address, _server) = serve(&runtime, tls).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(peer.read_to_end()[0], 21);
        let told = failures.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(told, Ok(TlsError::Protocol(_))), "{told:?}");
    })
    .await;
    assert!(get(&runtime, authority.client(), "localhost", address).await.is_ok());

    // And the other way round.
    let (address, _server) = serve_with(&runtime, plain(), answer).await;
    let why = refusal(&runtime, authority.client(), "localhost", address).await;
    assert!(matches!(why, TlsError::Protocol(_)), "{why:?}");
}

/// A blocking server of one connection, whose end is in the test's hand.
struct RawTls(rustls::StreamOwned<rustls::ServerConnection, TcpStream>);

impl RawTls {
    fn accept(listener: &TcpListener, identity: &Identity) -> Self {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let certificate = CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let RawPeer(socket) = RawPeer::accept(listener);
        Self(rustls::StreamOwned::new(connection, socket))
    }

    fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
        self.0.flush().unwrap();
    }

    fn close_notify(&mut self) {
        self.0.conn.send_close_notify();
        self.0.conn.complete_io(&mut self.0.sock).unwrap();
    }
}

// RFC 9112, 9.8, and RFC 8446, 6.1: what the end of the connection ends is whole only with close_notify.
async fn an_end_without_close_notify_is_a_truncation<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    for (announced, framing) in
        [(true, ""), (false, ""), (true, "Content-Length: 5\r\n"), (false, "Content-Length: 5\r\n")]
    {
        let (identity, (listener, address)) = (authority.issue(LOCAL), listener());
        let server = background(move || {
            let mut peer = RawTls::accept(&listener, &identity);
            assert!(peer.read_head().starts_with("GET / "));
            peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\nwhole"));
            if announced {
                peer.close_notify();
            }
        });
        let got = get(&runtime, authority.client(), "localhost", address).await;
        server.await;
        // A length tells the same by itself.
        if announced || !framing.is_empty() {
            assert_eq!(got.unwrap(), "whole", "{announced} {framing}");
        } else {
            let error = got.unwrap_err();
            assert_eq!(error.tls(), Some(&TlsError::Truncated), "{error:?}");
        }
    }
}

async fn a_websocket_that_is_cut_off_says_so<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (identity, (listener, address)) = (authority.issue(LOCAL), listener());
    let server = background(move || {
        let mut peer = RawTls::accept(&listener, &identity);
        let head = peer.read_head();
        peer.send(RawPeer::switching(&head));
        peer.send(frame(TEXT, "last words"));
    });
    let connector = Connector::new(runtime).tls(authority.client());
    let request = Request::new(&format!("wss://{address}/")).unwrap();
    let (mut socket, _) = WebSocket::connect(connector, &request, Config::default()).await.unwrap();
    assert!(matches!(socket.next().await, Some(Event::Text("last words"))));
    assert!(matches!(socket.next().await, Some(Event::Closed { why: Closed::Eof, .. })));
    let error = socket.io_error().unwrap();
    assert_eq!(TlsError::of(&error), Some(&TlsError::Truncated), "{error:?}");
    server.await;
}

// RFC 8446, 6.1: each party says close_notify before it closes. Ours comes behind the last words, so a
// blocking reader sees the end of the stream and no error.
async fn both_our_sides_say_close_notify<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (identity, (listener, address)) = (authority.issue(LOCAL), listener());
    let server = background(move || {
        let mut peer = RawTls::accept(&listener, &identity);
        let head = peer.read_head();
        peer.send(RawPeer::switching(&head));
        // A Close frame of 1000, which the client answers; then it is the server that ends (RFC 6455,
        // 7.1.1).
        peer.send([0x88, 2, 3, 232]);
        peer.close_notify();
        let mut rest = Vec::new();
        peer.0.read_to_end(&mut rest).map(|_| rest)
    });
    let connector = Connector::new(runtime.clone()).tls(authority.client());
    let request = Request::new(&format!("wss://{address}/")).unwrap();
    let (mut socket, _) = WebSocket::connect(connector, &request, Config::default()).await.unwrap();
    assert!(matches!(socket.next().await, Some(Event::Closed { why: Closed::Clean { .. }, .. })));
    assert!(socket.next().await.is_none());
    assert_eq!(server.await.expect("close_notify").len(), 8, "a Close frame with a mask");

    let (address, _server) = serve(&runtime, authority.server(LOCAL)).await;
    let root = authority.der().to_vec();
    let read = on_thread(move || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.into()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let RawPeer(socket) = RawPeer::connect(address);
        let mut stream = rustls::StreamOwned::new(connection, socket);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut read = String::new();
        stream.read_to_string(&mut read).map(|_| read)
    });
    let read = read.await.expect("close_notify");
    assert!(read.starts_with("HTTP/1.1 200 OK\r\n") && read.ends_with(" 0"), "{read}");
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

/// A socket that takes a thousand bytes at most, then pauses, and after `left` bytes takes none.
struct Trickle<R: SendRuntime> {
    socket: R::Stream,
    timer: R::Timer,
    pausing: bool,
    left: usize,
}

impl<R: SendRuntime> AsyncRead for Trickle<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<R: SendRuntime> AsyncWrite for Trickle<R> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        if self.pausing {
            ready!(self.timer.poll(cx));
            self.pausing = false;
        }
        let most = bytes.len().min(1000).min(self.left);
        let n = ready!(Pin::new(&mut self.socket).poll_write(cx, &bytes[..most]))?;
        self.left -= n;
        self.pausing = true;
        self.timer.set(Instant::now() + Duration::from_millis(10));
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

// What TLS has taken and not written is not written: a flush waits for it, and a deadline for writes
// sees that it moves, or does not.
async fn what_tls_holds_back_waits_to_be_written<R: SendRuntime>(runtime: R) {
    // Less than TLS takes at once.
    const BODY: usize = 30_000;
    let authority = Authority::new("ours");
    for stops in [false, true] {
        let (identity, (listener, address)) = (authority.issue(LOCAL), listener());
        let server = background(move || {
            let mut peer = RawTls::accept(&listener, &identity);
            let mut body = Vec::new();
            if stops {
                // It has half a record, which it can make nothing of, and then the end.
                let _ = peer.0.read_to_end(&mut body);
            } else {
                assert!(peer.read_head().starts_with("PUT / "));
                body.resize(BODY, 0);
                peer.0.read_exact(&mut body).unwrap();
                peer.close_notify();
            }
            body
        });
        let socket = runtime.connect(address, &Default::default()).await.unwrap();
        let (timer, left) = (runtime.timer(), if stops { 12_000 } else { usize::MAX });
        let stream = ByteStream::boxed(Trickle::<R> { socket, timer, pausing: false, left });
        let stream = stream.connect_tls(&runtime, &authority.client(), "localhost").await.unwrap();
        let mut driver = Driver::with_stream(runtime.clone(), stream, 64 * 1024, |now, _| {
            http::Client::new(http::ClientConfig::default(), now)
        });
        // The pauses are much shorter, and all of them together much longer.
        driver.set_write_timeout(Some(Duration::from_millis(150)));
        let it = driver.parts();
        let fields = [("Host", "h")];
        it.machine
            .request("PUT", "/", fields, http::BodyLength::Known(BODY as u64), it.now, it.tx)
            .unwrap();
        it.machine.send_data(&vec![b'x'; BODY], it.tx).unwrap();
        let begun = Instant::now();
        let flushed = driver.flush().await;
        if stops {
            assert_eq!(flushed.unwrap_err().kind(), ErrorKind::TimedOut);
        } else {
            flushed.unwrap();
            assert!(begun.elapsed() > Duration::from_millis(250), "{:?}", begun.elapsed());
        }
        assert_eq!(driver.queued(), 0);
        drop(driver);
        let got = server.await;
        assert_eq!(got.len() == BODY, !stops, "{} bytes", got.len());
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
    an_unknown_issuer_is_refused_and_both_sides_know_why,
    a_certificate_is_taken_on_its_days_only,
    a_certificate_is_taken_for_its_names_only,
    a_certificate_that_was_revoked_is_refused,
    a_client_shows_its_certificate_to_who_asks_for_it,
    no_common_application_protocol_is_an_error,
    a_server_that_is_mute_in_the_handshake_is_left_in_time,
    a_client_that_is_mute_in_the_handshake_holds_up_nobody_and_is_left_in_time,
    a_shutdown_does_not_wait_for_handshakes,
    plain_text_where_tls_is_spoken_is_an_error,
    an_end_without_close_notify_is_a_truncation,
    a_websocket_that_is_cut_off_says_so,
    both_our_sides_say_close_notify,
    large_messages_come_back_as_they_went,
    redirects_lead_from_http_to_https,
    what_tls_holds_back_waits_to_be_written,
    tls_goes_over_any_stream,
);

/// What cannot be used is refused when the configuration is made, not by the first connection.
#[test]
fn certificates_and_keys_are_looked_at_at_once() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.issue(LOCAL), authority.issue(LOCAL));
    let bad_key = |made: Result<TlsServerConfig, TlsError>| {
        assert!(matches!(made, Err(TlsError::BadKey(_))), "{made:?}");
    };
    bad_key(TlsServerConfig::new(&one.chain, &other.key));
    bad_key(TlsServerConfig::new(&one.chain, &one.chain));
    bad_key(TlsServerConfig::new(&one.chain, b"no key"));
    bad_key(TlsServerConfig::new(&one.chain, b""));
    for chain in [&b""[..], b"no certificate", one.key.as_bytes()] {
        let made = TlsServerConfig::new(chain, &one.key);
        assert!(matches!(made, Err(TlsError::BadCertificates(_))), "{made:?}");
        let made = TlsConfig::new().trust_only(chain);
        assert!(matches!(made, Err(TlsError::BadCertificates(_))), "{made:?}");
    }
    // Both forms of both.
    let key = rustls_key(&one.key);
    assert!(TlsServerConfig::new(&one.der, &key).is_ok());
    assert!(TlsConfig::new().client_certificate(&one.chain, key).is_ok());
}

/// The key in DER.
fn rustls_key(pem: &str) -> Vec<u8> {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec()
}

/// The platform's roots are trusted by default: in a program of its own, since where they are is read
/// from its environment, once.
#[test]
fn the_platforms_roots_are_trusted() {
    let authority = Authority::new("the platform's");
    let roots = std::env::temp_dir().join(format!("tidewire-roots-{}.pem", std::process::id()));
    std::fs::write(&roots, authority.pem()).unwrap();
    let identity = authority.issue(LOCAL);
    let smol = tidewire_tests::net::Smol;
    let (address, _server) = ::smol::block_on(serve(&smol, identity.server()));
    let run = |url: String| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "platform_child", "--ignored", "--nocapture"])
            .env("SSL_CERT_FILE", &roots)
            .env_remove("SSL_CERT_DIR")
            .env("TIDEWIRE_TEST_URL", url)
            .output()
            .unwrap()
    };
    let child = run(format!("https://localhost:{}/", address.port()));
    std::fs::remove_file(&roots).unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("got 0x0304"));
    // Without any, that is the reason.
    let child = run(format!("https://localhost:{}/", address.port()));
    let words = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success() && words.contains("NoPlatformRoots"), "{words}");
}

/// See above.
#[test]
#[ignore = "the_platforms_roots_are_trusted starts it with an environment"]
fn platform_child() {
    let url = std::env::var("TIDEWIRE_TEST_URL").unwrap();
    let got = ::smol::block_on(async {
        // Several at once wait for the same roots.
        let client = HttpClient::new(tidewire_tests::net::Smol);
        let other = HttpClient::new(tidewire_tests::net::Smol);
        let (mut one, mut two) = (client.get(&url).await?, other.get(&url).await?);
        one.text(1000).await?;
        two.text(1000).await
    });
    println!("got {}", got.unwrap());
}
