//! Connections through proxies: CONNECT (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).
#![cfg(feature = "net")]

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tidewire_runtime::http::{BodyLength, Client as HttpMachine, ClientConfig as HttpConfig};
use tidewire_runtime::http::{ClientEvent as HttpEvent, NO_FIELDS, Status};
use tidewire_runtime::proxy::{Environment, Proxy, Refusal, Reply};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{
    ClientConfig, ClientError, ClientEvent, Config, Event, handshake::ServerOptions,
};
use tidewire_runtime::{
    Client, Connector, DialError, Driver, Error, EventSource, Exchange, HandlerError, HttpClient,
    Phase, Runtime, SendRuntime, ServerConfig, SocketOptions, TlsConfig, TlsError, WebSocket, sse,
};
use tidewire_tests::names::Names;
use tidewire_tests::net::{RawPeer, background, listener, plain, serve, serve_with};
use tidewire_tests::on_every_runtime;
use tidewire_tests::pki::{Authority, Identity};

/// Much longer than anything takes that does not wait.
const LATE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(200);

/// An echo, one event, or the value of `Host`.
async fn on_request<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    if exchange.wants_websocket() {
        let mut socket = exchange.websocket(&ServerOptions::default(), Config::default()).await?;
        while let Some(event) = socket.next().await {
            if let Event::Text(text) = event {
                let text = text.to_owned();
                socket.send_text(&text).await?;
            }
        }
        return Ok(());
    }
    if exchange.wants_event_stream() {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        stream.send(&sse::Event::data("hello")).await?;
        return Ok(());
    }
    let host = exchange.head().headers.get_str("Host").unwrap_or_default().to_owned();
    exchange.respond(host).await?;
    Ok(())
}

/// Carries bytes both ways until both sides have ended.
fn carry(client: TcpStream, server: TcpStream) {
    let way = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || way(from, to));
    way(client, server);
    back.join().unwrap();
}

/// Takes a CONNECT and leads to `server`, whatever it names. The request's head.
fn connect_through(listener: &TcpListener, server: SocketAddr) -> String {
    let mut peer = RawPeer::accept(listener);
    let head = peer.read_head();
    let server = TcpStream::connect(server).unwrap();
    peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
    thread::spawn(move || carry(peer.0, server));
    head
}

/// Takes a SOCKS5 client by `method` and answers its request with `reply`; if that is 0, leads to
/// `server`, whatever the request names. The user's negotiation, if there was one, and the request.
fn socks_through(
    listener: &TcpListener,
    method: u8,
    reply: u8,
    server: SocketAddr,
) -> (Vec<u8>, Vec<u8>) {
    let mut peer = RawPeer::accept(listener);
    let methods = peer.read_exact(2)[1];
    assert!(peer.read_exact(methods.into()).contains(&method));
    peer.send([5, method]);
    let mut user = Vec::new();
    if method == 2 {
        for _ in 0..2 {
            user.extend(peer.read_exact(if user.is_empty() { 2 } else { 1 }));
            user.extend(peer.read_exact((*user.last().unwrap()).into()));
        }
        peer.send([1, 0]);
    }
    let mut request = peer.read_exact(5);
    let rest = match request[3] {
        1 => 3,
        4 => 15,
        _ => usize::from(request[4]),
    };
    request.extend(peer.read_exact(rest + 2));
    peer.send([5, reply, 0, 1, 127, 0, 0, 1, 0, 80]);
    if reply == 0 {
        let server = TcpStream::connect(server).unwrap();
        thread::spawn(move || carry(peer.0, server));
    }
    (user, request)
}

fn proxy(scheme: &str, address: SocketAddr) -> Proxy {
    Proxy::parse(&format!("{scheme}{address}")).unwrap()
}

fn through<R: Runtime>(runtime: &R, proxy: Proxy) -> Connector<R> {
    Connector::new(runtime.clone()).proxy(proxy)
}

/// No resolver knows it.
const FAR: &str = "far.invalid";

async fn echoes<R: Runtime>(connector: Connector<R>, url: &str) {
    let request = Request::new(url).unwrap();
    let (mut socket, _) =
        WebSocket::connect(connector, &request, ClientConfig::default()).await.unwrap();
    socket.send_text("hello").await.unwrap();
    assert_eq!(socket.next().await, Some(Event::Text("hello")));
}

async fn refusal<R: Runtime>(connector: Connector<R>) -> Error {
    let request = Request::new(&format!("ws://{FAR}/")).unwrap();
    WebSocket::connect(connector, &request, ClientConfig::default()).await.unwrap_err()
}

// Each client there is; the proxy is told the target's name, and the target nothing of the proxy.
async fn every_client_goes_through_connect<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, on_request).await;
    let (listener, at) = listener();
    let heads = background(move || -> Vec<String> {
        (0..4).map(|_| connect_through(&listener, server)).collect()
    });
    let connector = through(&runtime, proxy("http://user:pass@", at));

    echoes(connector.clone(), &format!("ws://{FAR}/")).await;

    let request = Request::new(&format!("ws://{FAR}:8080/")).unwrap();
    let mut client = Client::new(connector.clone(), request, ClientConfig::default()).unwrap();
    assert!(matches!(client.next().await, Some(ClientEvent::Connected)));
    assert!(matches!(client.next().await, Some(ClientEvent::Open(_))));

    let url = format!("http://{FAR}:81/");
    let http = HttpClient::new(connector.clone());
    let host = http.get(&url).await.unwrap().text(100).await.unwrap();
    assert_eq!(host, format!("{FAR}:81"));

    let request = sse::SourceRequest::new(Url::parse(&url).unwrap());
    let mut source = EventSource::new(connector, request, sse::SourceConfig::default()).unwrap();
    let event = loop {
        match source.next().await.unwrap() {
            sse::SourceEvent::Message(event) => break event.data.to_owned(),
            sse::SourceEvent::Closed(why) => panic!("{why:?}"),
            _ => {}
        }
    };
    assert_eq!(event, "hello");

    for (head, port) in heads.await.into_iter().zip([80, 8080, 81, 81]) {
        assert_eq!(
            head,
            format!(
                "CONNECT {FAR}:{port} HTTP/1.1\r\nHost: {FAR}:{port}\r\n\
                 Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
            )
        );
    }
}

// RFC 9110, 15.5.8.
async fn a_407_is_told_with_its_challenge<R: SendRuntime>(runtime: R) {
    let (listener, at) = listener();
    let proxied = background(move || {
        for _ in 0..3 {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(
                "HTTP/1.1 407 Proxy Authentication Required\r\n\
                 Proxy-Authenticate: Basic realm=\"office\"\r\nContent-Length: 3\r\n\r\nwho",
            );
            assert!(peer.read_to_end().is_empty());
        }
    });
    let error = refusal(through(&runtime, proxy("http://", at))).await;
    let Error::Dial { phase: DialError::Proxy, source } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::PermissionDenied);
    let refused = error.proxy().unwrap();
    assert_eq!(refused.why, Refusal::CredentialsRequired);
    let status = refused.head.as_ref().map(|head| head.as_head().status);
    assert_eq!(status, Some(Status::PROXY_AUTHENTICATION_REQUIRED));
    assert_eq!(refused.challenges().collect::<Vec<_>>(), [b"Basic realm=\"office\""]);
    assert_eq!(refused.body, b"who");
    assert!(error.to_string().contains("the proxy wants user and password"), "{error}");

    let error = refusal(through(&runtime, proxy("http://me:wrong@", at))).await;
    assert_eq!(error.proxy().unwrap().why, Refusal::CredentialsRefused);

    // A client that reconnects tells as much.
    let request = Request::new(&format!("ws://{FAR}/")).unwrap();
    let connector = through(&runtime, proxy("http://", at));
    let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
    let error = client.next().await;
    assert!(
        matches!(error, Some(ClientEvent::Error(ClientError::Dial(DialError::Proxy)))),
        "{error:?}"
    );
    let source = client.io_error().unwrap();
    let error = Error::Dial { phase: DialError::Proxy, source };
    assert_eq!(error.proxy().unwrap().why, Refusal::CredentialsRequired);
    drop(client);
    proxied.await;
}

async fn other_answers_are_told<R: SendRuntime>(runtime: R) {
    for (answer, why) in [
        (&b"HTTP/1.1 403 Forbidden\r\n\r\n"[..], Refusal::Status(Status::FORBIDDEN)),
        (b"HTTP/1.1 200 OK\r\n", Refusal::Eof),
        (b"", Refusal::Eof),
    ] {
        let (listener, at) = listener();
        let proxied = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(answer);
        });
        let error = refusal(through(&runtime, proxy("http://", at))).await;
        assert_eq!(error.proxy().map(|refused| refused.why), Some(why), "{error}");
        proxied.await;
    }
    // Nobody is there: that is no answer of a proxy.
    let nobody = listener().1;
    let error = refusal(through(&runtime, proxy("http://", nobody))).await;
    assert!(matches!(error, Error::Dial { phase: DialError::Connect, .. }), "{error}");
    assert!(error.proxy().is_none());
}

// RFC 1928, 5, and RFC 1929.
async fn socks5h_names_the_target_to_the_proxy<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, on_request).await;
    for (userinfo, method) in [("", 0), ("user:pass@", 0), ("user:pass@", 2)] {
        let (listener, at) = listener();
        let proxied = background(move || socks_through(&listener, method, 0, server));
        let connector = through(&runtime, proxy(&format!("socks5h://{userinfo}"), at));
        echoes(connector, &format!("ws://{FAR}:8080/")).await;
        let (user, request) = proxied.await;
        let expected = if method == 2 { &b"\x01\x04user\x04pass"[..] } else { b"" };
        assert_eq!(user, expected);
        assert_eq!(request, [b"\x05\x01\x00\x03\x0b", FAR.as_bytes(), &[0x1F, 0x90]].concat());
    }
}

// An address is one, whoever looks up names.
async fn an_address_is_given_as_such<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, on_request).await;
    for scheme in ["socks5://", "socks5h://"] {
        let (listener, at) = listener();
        let proxied = background(move || socks_through(&listener, 0, 0, server).1);
        echoes(through(&runtime, proxy(scheme, at)), "ws://[2001:db8::1]:80/").await;
        let address = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        assert_eq!(proxied.await, [&[5, 1, 0, 4], &address[..], &[0, 80]].concat());
    }
}

// With `socks5` the client looks names up, and the proxy is given one address after the other.
async fn socks5_gives_addresses_until_one_can_be_reached<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, on_request).await;
    let (listener, at) = listener();
    let proxied = background(move || {
        [4, 5, 0].map(|reply| socks_through(&listener, 0, reply, server).1[3..].to_vec())
    });
    let addresses: Vec<SocketAddr> =
        ["[2001:db8::1]:80", "192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]
            .map(|address| address.parse().unwrap())
            .to_vec();
    let names = Names::new(runtime, [("host", addresses)]);
    echoes(through(&names, proxy("socks5://", at)), "ws://host/").await;
    let [v6, first, second] = proxied.await;
    assert_eq!(v6[0], 4);
    assert_eq!(first, [1, 192, 0, 2, 1, 0, 80]);
    assert_eq!(second, [1, 192, 0, 2, 2, 0, 80]);

    // A name without an address never gets to the proxy.
    let error = refusal(through(&names, proxy("socks5://", at))).await;
    assert!(matches!(error, Error::Dial { phase: DialError::Resolve, .. }), "{error}");
}

async fn what_a_socks5_proxy_refuses_is_told<R: SendRuntime>(runtime: R) {
    for (reply, why, kind) in [
        (5, Reply::ConnectionRefused, ErrorKind::ConnectionRefused),
        (2, Reply::NotAllowed, ErrorKind::PermissionDenied),
    ] {
        let (listener, at) = listener();
        let proxied = background(move || socks_through(&listener, 0, reply, at));
        let error = refusal(through(&runtime, proxy("socks5h://", at))).await;
        let Error::Dial { phase: DialError::Proxy, source } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), kind);
        assert_eq!(error.proxy().unwrap().why, Refusal::Reply(why));
        proxied.await;
    }
}

// The deadline that comes first is the one that ends it, and both are the proxy's.
async fn a_mute_proxy_is_given_up_in_time<R: SendRuntime>(runtime: R) {
    let (_listener, at) = listener();
    for scheme in ["http://", "socks5h://"] {
        let own = proxy(scheme, at).timeout(Some(SHORT));
        let start = Instant::now();
        let error = refusal(through(&runtime, own)).await;
        assert_eq!(error.timed_out(), Some(Phase::Proxy), "{error}");
        assert_eq!(error.proxy().unwrap().why, Refusal::Timeout);
        assert!(start.elapsed() >= SHORT && start.elapsed() < LATE);

        // The limit of whoever wants the connection.
        let connector = through(&runtime, proxy(scheme, at));
        let config = ClientConfig { connect_timeout: Some(SHORT), ..ClientConfig::default() };
        let request = Request::new(&format!("ws://{FAR}/")).unwrap();
        let start = Instant::now();
        let error = WebSocket::connect(connector.clone(), &request, config).await.unwrap_err();
        assert_eq!(error.timed_out(), Some(Phase::Proxy), "{error}");
        assert!(start.elapsed() >= SHORT && start.elapsed() < LATE);

        let start = Instant::now();
        let mut client = Client::new(connector, request, config).unwrap();
        let event = client.next().await;
        assert!(
            matches!(event, Some(ClientEvent::Error(ClientError::Dial(DialError::ProxyTimeout)))),
            "{event:?}"
        );
        assert!(start.elapsed() >= SHORT && start.elapsed() < LATE);
    }
}

// RFC 9110, 9.3.6: what follows the head of the answer comes from the target, also in one segment.
async fn what_comes_with_the_answer_is_the_targets<R: SendRuntime>(runtime: R) {
    const CONNECT: &[&[u8]] = &[b"HTTP/1.0 200 OK\r\nVia: x\r\n\r\n"];
    const SOCKS5: &[&[u8]] = &[b"\x05\x00", b"\x05\x00\x00\x03\x03abc\x00\x50"];
    for (scheme, answers) in [("http://", CONNECT), ("socks5h://", SOCKS5)] {
        let (listener, at) = listener();
        let proxied = background(move || {
            let mut peer = RawPeer::accept(&listener);
            for (n, answer) in answers.iter().enumerate() {
                peer.wait_readable();
                thread::sleep(Duration::from_millis(20));
                let mut answer = answer.to_vec();
                if n + 1 == answers.len() {
                    answer.extend(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
                } else {
                    peer.read_exact(3);
                }
                peer.send(answer);
            }
            peer
        });
        let url = Url::parse(&format!("http://{FAR}/")).unwrap();
        let new = |now, _: &mut _| HttpMachine::new(HttpConfig::default(), now);
        let connector = through(&runtime, proxy(scheme, at));
        let mut driver = Driver::connect(connector, &url, 1 << 16, new).await.unwrap();
        let it = driver.parts();
        let host = [("Host", FAR)];
        it.machine.request("GET", "/", host, BodyLength::EMPTY, it.now, it.tx).unwrap();
        let mut body = Vec::new();
        while let Some(event) = driver.next().await {
            match event {
                HttpEvent::Data(data) => body.extend_from_slice(data),
                HttpEvent::End(_) => break,
                HttpEvent::Response(_) => {}
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(body, b"early");
        drop(proxied.await);
    }
}

/// A proxy of our own server's: takes a CONNECT and leads to `server`.
async fn lead<R: SendRuntime>(
    runtime: R,
    exchange: Exchange<R>,
    server: SocketAddr,
) -> Result<(), HandlerError> {
    assert_eq!((exchange.method(), exchange.authority()), ("CONNECT", Some("far.invalid:443")));
    let (from, to) = ::smol::io::split(exchange.upgrade(NO_FIELDS).await?);
    let (back, on) = ::smol::io::split(runtime.connect(server, &SocketOptions::default()).await?);
    ::smol::future::race(::smol::io::copy(from, on), ::smol::io::copy(back, to)).await?;
    Ok(())
}

// RFC 9110, 9.3.6: TLS is with the target, whose name the certificate has, and apart from that with the
// proxy where its URL says so.
async fn tls_is_with_the_target_and_with_a_proxy_of_https<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let target = ServerConfig { tls: Some(authority.server(&[FAR])), ..plain() };
    let (server, _handle) = serve_with(&runtime, target, on_request).await;
    for scheme in ["http://", "https://"] {
        let secure = (scheme == "https://").then(|| authority.server(&["127.0.0.1"]));
        let leading = runtime.clone();
        let (at, _handle) =
            serve_with(&runtime, ServerConfig { tls: secure, ..plain() }, move |exchange| {
                lead(leading.clone(), exchange, server)
            })
            .await;
        let connector = through(&runtime, proxy(scheme, at));
        echoes(connector.clone().tls(authority.client()), &format!("wss://{FAR}/")).await;

        // A stranger's certificate is refused, by whomever it is shown.
        let request = Request::new(&format!("wss://{FAR}/")).unwrap();
        let connector = connector.tls(Authority::new("theirs").client());
        let error =
            WebSocket::connect(connector, &request, ClientConfig::default()).await.unwrap_err();
        assert_eq!(error.tls(), Some(&TlsError::UnknownIssuer), "{error}");
        assert!(error.proxy().is_none());
    }
}

/// A proxy with TLS that may be shown a certificate of the client's: what it was shown and told.
type Seen = Arc<Mutex<Vec<(usize, Option<Vec<u8>>)>>>;

// The client's certificate and protocols are for the target, and its proxy learns neither: unless the
// proxy is given a configuration of its own.
async fn a_proxy_is_not_shown_who_the_client_is<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let client = authority.issue(&["client"]);
    let asking =
        |names: &[&str]| authority.server(names).allow_client_certificate(authority.pem()).unwrap();
    let target = ServerConfig { tls: Some(asking(&[FAR])), ..plain() };
    let (server, _handle) = serve_with(&runtime, target, |mut exchange: Exchange<R>| async move {
        let shown = exchange.tls_session().unwrap().certificates.len();
        Ok(exchange.respond(shown.to_string()).await?)
    })
    .await;
    let seen = Seen::default();
    let (leading, told) = (runtime.clone(), seen.clone());
    let config = ServerConfig { tls: Some(asking(&["127.0.0.1"])), ..plain() };
    let (at, _handle) = serve_with(&runtime, config, move |exchange: Exchange<R>| {
        let session = exchange.tls_session().unwrap();
        told.lock().unwrap().push((session.certificates.len(), session.alpn));
        lead(leading.clone(), exchange, server)
    })
    .await;

    let known = authority.client().client_certificate(&client.chain, &client.key).unwrap();
    let given = TlsConfig::from_rustls(rustls_config(&authority, &client));
    let through = through(&runtime, proxy("https://", at));
    let url = format!("https://{FAR}/");
    for (connector, shown) in [
        (through.clone().tls(known.clone()), (0, None)),
        (through.clone().tls(given), (0, None)),
        (
            through.clone().tls(known.clone()).proxy_tls(known.clone()),
            (1, Some(b"http/1.1".to_vec())),
        ),
        (through.tls(known).proxy_tls(authority.client().alpn([""; 0])), (0, None)),
    ] {
        let client = HttpClient::new(connector);
        assert_eq!(client.get(&url).await.unwrap().text(100).await.unwrap(), "1", "the target");
        assert_eq!(seen.lock().unwrap().pop(), Some(shown), "the proxy");
    }
}

/// What a user of rustls would make.
fn rustls_config(authority: &Authority, client: &Identity) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().to_vec().into()).unwrap();
    let certificate = CertificateDer::from_pem_slice(client.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

async fn the_environment_picks<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, on_request).await;
    let (listener, at) = listener();
    let proxied = background(move || connect_through(&listener, server));
    let environment = Environment::new(|name| match name {
        "http_proxy" => Some(at.to_string()),
        "https_proxy" => Some("socks4://nobody".into()),
        "no_proxy" => Some("localhost,127.0.0.0/8".into()),
        _ => None,
    });
    let connector = Connector::new(runtime).proxy_environment(environment);
    echoes(connector.clone(), &format!("ws://{FAR}/")).await;
    assert!(proxied.await.starts_with("CONNECT far.invalid:80 "));
    // Nobody listens there any more: this one goes without.
    echoes(connector, &format!("ws://{server}/")).await;
}

async fn a_variable_that_names_no_proxy_is_an_error_where_it_counts<R: SendRuntime>(runtime: R) {
    let environment =
        Environment::new(|name| (name == "all_proxy").then(|| "socks://gnome".into()));
    let error = refusal(Connector::new(runtime).proxy_environment(environment)).await;
    assert!(matches!(error, Error::Dial { phase: DialError::Proxy, .. }), "{error}");
    assert!(error.to_string().contains("all_proxy: the scheme of the proxy"), "{error}");
}

on_every_runtime!(
    every_client_goes_through_connect,
    a_407_is_told_with_its_challenge,
    other_answers_are_told,
    socks5h_names_the_target_to_the_proxy,
    an_address_is_given_as_such,
    socks5_gives_addresses_until_one_can_be_reached,
    what_a_socks5_proxy_refuses_is_told,
    a_mute_proxy_is_given_up_in_time,
    what_comes_with_the_answer_is_the_targets,
    tls_is_with_the_target_and_with_a_proxy_of_https,
    a_proxy_is_not_shown_who_the_client_is,
    the_environment_picks,
    a_variable_that_names_no_proxy_is_an_error_where_it_counts,
);
