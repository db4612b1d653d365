//! How TLS ends: announced or cut off, and with all written that waited.

use super::*;
use tidewire_runtime::ws::{Negotiated, Role};

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

/// TLS over a socket that takes a little at a time, and so many bytes in all.
async fn trickling<R: SendRuntime>(
    runtime: &R,
    authority: &Authority,
    address: SocketAddr,
    left: usize,
) -> ByteStream<R> {
    let socket = runtime.connect(address, &Default::default()).await.unwrap();
    let trickle = Trickle::<R> { socket, timer: runtime.timer(), pausing: false, left };
    let stream = ByteStream::boxed(trickle);
    stream.connect_tls(runtime, &authority.client(), "localhost").await.unwrap()
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
        let left = if stops { 12_000 } else { usize::MAX };
        let stream = trickling(&runtime, &authority, address, left).await;
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

// A machine with a deadline of its own for what waits sees that too, and names it.
async fn a_websocket_gives_up_a_peer_that_takes_nothing_from_tls<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    for stops in [false, true] {
        let (identity, (listener, address)) = (authority.issue(LOCAL), listener());
        let server = background(move || {
            let mut peer = RawTls::accept(&listener, &identity);
            let mut frame = vec![0; 8 + 30_000];
            let read = peer.0.read_exact(&mut frame);
            if !stops {
                read.unwrap();
                peer.close_notify();
            }
        });
        let left = if stops { 12_000 } else { usize::MAX };
        let stream = trickling(&runtime, &authority, address, left).await;
        // As above: more than a pause, less than all of them.
        let write_timeout = Some(Duration::from_millis(150));
        let config = Config { write_timeout, ..Config::default() };
        let mut socket = WebSocket::from_stream(
            runtime.clone(),
            stream,
            Role::Client,
            Negotiated::default(),
            config,
        )
        .unwrap();
        socket.queue_binary(&[b'x'; 30_000]).unwrap();
        let why = loop {
            match socket.next().await {
                Some(Event::Closed { why, .. }) => break why,
                Some(Event::Drained) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(why, if stops { Closed::WriteTimeout } else { Closed::Eof });
        drop(socket);
        server.await;
    }
}

on_every_runtime!(
    a_websocket_gives_up_a_peer_that_takes_nothing_from_tls,
    an_end_without_close_notify_is_a_truncation,
    a_websocket_that_is_cut_off_says_so,
    both_our_sides_say_close_notify,
    what_tls_holds_back_waits_to_be_written,
);
