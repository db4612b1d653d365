//! Responses whose bodies are made while they are sent, trailers, expectations, and what leaves HTTP,
//! through real sockets.

use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tidewire_runtime::http::{BodyLength, Misuse, NO_FIELDS, Status};
use tidewire_runtime::{
    Error, Exchange, HandlerError, HttpClient, HttpRequest, SendRuntime, ServerConfig,
};
use tidewire_tests::net::{
    RawPeer, background, listener, on_thread, plain, serve, serve_with, sleep, until,
};
use tidewire_tests::on_every_runtime;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8]) -> usize {
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer)).await.unwrap()
}

async fn read_to_end<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let (mut whole, mut buffer) = (Vec::new(), [0; 7]);
    loop {
        match read(stream, &mut buffer).await {
            0 => return whole,
            n => whole.extend_from_slice(&buffer[..n]),
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let n = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await.unwrap();
        bytes = &bytes[n..];
    }
}

/// Three pieces, as the path says.
async fn pieces<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    let path = exchange.path().to_owned();
    let length = match path.as_str() {
        "/known" => BodyLength::Known(9),
        "/short" => BodyLength::Known(100),
        _ => BodyLength::Unknown,
    };
    let mut writer = exchange.stream(Status::OK, [("A", "b")], length)?;
    for piece in ["one", "two", "six"] {
        writer.send(piece.as_bytes()).await?;
    }
    match path.as_str() {
        "/dropped" | "/short" => Ok(()),
        "/failed" => Err("no more".into()),
        "/trailers" => Ok(writer.finish_with_trailers([("Sum", "15")]).await?),
        _ => Ok(writer.finish().await?),
    }
}

// RFC 9112, 6 and 7.1.
async fn a_streamed_response_is_framed_as_its_length_and_client_need_it<R: SendRuntime>(
    runtime: R,
) {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nA: b\r\n";
    const CHUNKS: &str = "3\r\none\r\n3\r\ntwo\r\n3\r\nsix\r\n";
    let config = ServerConfig { on_error: |_, _| {}, ..plain() };
    let (address, _server) = serve_with(&runtime, config, pieces).await;
    on_thread(move || {
        for (request, answer) in [
            ("GET /known HTTP/1.1", format!("{HEAD}Content-Length: 9\r\n\r\nonetwosix")),
            (
                "GET / HTTP/1.1",
                format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{CHUNKS}0\r\n\r\n"),
            ),
            (
                "GET /trailers HTTP/1.1",
                format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{CHUNKS}0\r\nSum: 15\r\n\r\n"),
            ),
            // RFC 9110, 9.3.2: what would be the body is dropped.
            ("HEAD /known HTTP/1.1", format!("{HEAD}Content-Length: 9\r\n\r\n")),
            ("HEAD / HTTP/1.1", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n")),
            ("HEAD /trailers HTTP/1.1", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n")),
            // Dropped after success, it ends in order if it can.
            (
                "GET /dropped HTTP/1.1",
                format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{CHUNKS}0\r\n\r\n"),
            ),
        ] {
            let mut peer = RawPeer::connect(address);
            peer.send(format!("{request}\r\nHost: h\r\n\r\n{GET}"));
            let read = String::from_utf8(peer.read_exact(answer.len())).unwrap();
            assert_eq!(read, answer, "{request}");
            // The next request is answered.
            assert!(peer.read_head().starts_with("HTTP/1.1 200 OK\r\n"), "{request}");
        }
        for (request, answer) in [
            // RFC 9112, 8: a body that is not whole must not look like one.
            ("GET /short HTTP/1.1", format!("{HEAD}Content-Length: 100\r\n\r\nonetwosix")),
            ("GET /failed HTTP/1.1", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{CHUNKS}")),
            // RFC 9112, 6.3: HTTP/1.0 knows no chunks, and no trailers.
            ("GET / HTTP/1.0", format!("{HEAD}Connection: close\r\n\r\nonetwosix")),
            ("GET /trailers HTTP/1.0", format!("{HEAD}Connection: close\r\n\r\nonetwosix")),
        ] {
            let mut peer = RawPeer::connect(address);
            peer.send(format!("{request}\r\nHost: h\r\n\r\n"));
            assert_eq!(String::from_utf8(peer.read_to_end()).unwrap(), answer, "{request}");
        }
    })
    .await;
}

// RFC 9110, 6.5 and 6.5.1.
async fn trailers_go_both_ways<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        assert!(exchange.trailers().is_empty(), "not before the end");
        let body = exchange.collect(1000).await?;
        let sum = exchange.trailers().get_str("sum").unwrap_or("none").to_owned();
        let mut writer = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
        writer.send(&body).await?;
        let trailers = [("Sum", sum.as_str()), ("Also", "this")];
        Ok(writer.finish_with_trailers(trailers).await?)
    })
    .await;
    let client = HttpClient::new(runtime);
    let url = format!("http://{address}/");
    for _ in 0..2 {
        let request = HttpRequest::new("POST", &url).unwrap();
        let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
        assert!(upload.send(b"body").await.unwrap());
        let mut response = upload.finish_with_trailers([("Sum", "4")]).await.unwrap();
        assert!(response.trailers().is_empty(), "not before the end");
        assert_eq!(response.text(1000).await.unwrap(), "body");
        assert_eq!(response.trailers().get_str("sum"), Some("4"));
        assert_eq!(response.trailers().get_str("also"), Some("this"));
        assert_eq!(client.idle_connections(), 1);
    }
    let request = HttpRequest::new("POST", &url).unwrap();
    let upload = client.start(request.clone(), BodyLength::Unknown).await.unwrap();
    let error = upload.finish_with_trailers([("Content-Length", "4")]).await.unwrap_err();
    assert!(matches!(error, Error::HttpMisuse(Misuse::ForbiddenTrailer(0))), "{error:?}");
    let upload = client.start(request, BodyLength::EMPTY).await.unwrap();
    let error = upload.finish_with_trailers([("Sum", "0")]).await.unwrap_err();
    assert!(matches!(error, Error::HttpMisuse(Misuse::TrailersNotAllowed)), "{error:?}");
}

async fn a_streamed_body_has_the_length_that_was_announced<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        exchange.collect(1000).await?;
        Ok(exchange.respond("ok").await?)
    })
    .await;
    let client = HttpClient::new(runtime);
    let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
    let mut upload = client.start(request.clone(), BodyLength::Known(3)).await.unwrap();
    let error = upload.send(b"four").await.unwrap_err();
    assert!(matches!(error, Error::HttpMisuse(Misuse::BodyTooLong)), "{error:?}");
    assert!(upload.send(b"two").await.unwrap(), "nothing of it was sent");
    assert_eq!(upload.finish().await.unwrap().text(10).await.unwrap(), "ok");
    let upload = client.start(request, BodyLength::Known(3)).await.unwrap();
    let error = upload.finish().await.unwrap_err();
    assert!(matches!(error, Error::HttpMisuse(Misuse::BodyTooShort)), "{error:?}");
}

// RFC 9110, 10.1.1, the server's side.
async fn the_body_is_asked_for_when_the_handler_wants_it<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        if exchange.path() == "/no" {
            let status = Status::CONTENT_TOO_LARGE;
            return Ok(exchange.respond_with(status, NO_FIELDS, "").await?);
        }
        let body = exchange.collect(1000).await?;
        Ok(exchange.respond(body).await?)
    })
    .await;
    on_thread(move || {
        let head = "HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        let mut peer = RawPeer::connect(address);
        peer.send(format!("PUT /yes {head}"));
        assert_eq!(peer.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(peer.is_silent_for(Duration::from_millis(20)));
        peer.send("ok");
        assert_eq!(peer.read_exact(OK.len()), OK);
        // It may be refused without a look at it.
        peer.send(format!("PUT /no {head}"));
        let refused = String::from_utf8(peer.read_to_end()).unwrap();
        assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
        assert!(refused.contains("\r\nConnection: close\r\n"), "{refused}");
    })
    .await;
}

// RFC 9110, 7.8 and 9.3.6: what follows the head is the other protocol's, first byte first.
async fn an_upgrade_hands_over_what_was_received<R: SendRuntime>(runtime: R) {
    let (address, server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let connect = exchange.method() == "CONNECT";
        let mut stream = if connect {
            assert_eq!(exchange.authority(), Some("other:7"));
            exchange.upgrade(NO_FIELDS).await?
        } else {
            exchange.upgrade([("Connection", "Upgrade"), ("Upgrade", "shout")]).await?
        };
        let heard = read_to_end(&mut stream).await.to_ascii_uppercase();
        write(&mut stream, &heard).await;
        poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await?;
        Ok(())
    })
    .await;
    on_thread(move || {
        for (request, answer) in [
            (
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n",
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n",
            ),
            ("CONNECT other:7 HTTP/1.1\r\nHost: other:7\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ] {
            let mut peer = RawPeer::connect(address);
            // In one piece with the head.
            peer.send(format!("{request}hello "));
            assert_eq!(peer.read_head(), answer);
            assert_eq!(server.connections(), 1);
            peer.send("world");
            peer.0.shutdown(Shutdown::Write).unwrap();
            assert_eq!(peer.read_to_end(), b"HELLO WORLD");
            while server.connections() > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Who does not ask for it does not get it.
        let mut peer = RawPeer::connect(address);
        peer.send(GET);
        assert!(peer.read_head().starts_with("HTTP/1.1 500 "));
    })
    .await;
}

async fn a_client_upgrades_as_well<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        if exchange.path() == "/no" {
            return Ok(exchange.respond("no").await?);
        }
        let fields = [("Connection", "Upgrade"), ("Upgrade", "shout")];
        let mut stream = exchange.upgrade(fields).await?;
        write(&mut stream, b"first").await;
        let heard = read_to_end(&mut stream).await.to_ascii_uppercase();
        write(&mut stream, &heard).await;
        Ok(())
    })
    .await;
    let client = HttpClient::new(runtime);
    let ask = |path| {
        let request = HttpRequest::new("GET", &format!("http://{address}/{path}")).unwrap();
        request.field("Connection", "Upgrade").field("Upgrade", "shout")
    };
    let mut response = client.send(ask("")).await.unwrap();
    assert_eq!(response.status(), Status::SWITCHING_PROTOCOLS);
    assert!(response.chunk().await.unwrap().is_none());
    let mut stream = response.upgrade().unwrap();
    let mut first = [0; 5];
    let mut got = 0;
    while got < 5 {
        got += read(&mut stream, &mut first[got..]).await;
    }
    assert_eq!(&first, b"first");
    write(&mut stream, b"hello").await;
    poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"HELLO");
    // An ordinary response stays one.
    let mut response = client.send(ask("no")).await.unwrap().upgrade().unwrap_err();
    assert_eq!(response.text(10).await.unwrap(), "no");
}

// RFC 9110, 9.3.6; RFC 9112, 3.2.3.
async fn a_client_opens_a_tunnel<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        assert_eq!((exchange.method(), exchange.head().target), ("CONNECT", "example.com:80"));
        let mut stream = exchange.upgrade(NO_FIELDS).await?;
        let heard = read_to_end(&mut stream).await;
        write(&mut stream, &heard).await;
        Ok(())
    })
    .await;
    // What a proxy would be asked for comes from the URL: here it is the proxy itself that answers.
    let (listener, proxy) = listener();
    let relay = background(move || {
        let mut client = RawPeer::accept(&listener);
        let head = client.read_head();
        assert_eq!(head.lines().next(), Some(format!("CONNECT {proxy} HTTP/1.1").as_str()));
        let mut server = RawPeer::connect(address);
        server.send("CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n");
        client.send(server.read_head());
        server.send(client.read_exact(5));
        server.0.shutdown(Shutdown::Write).unwrap();
        client.send(server.read_to_end());
    });
    let client = HttpClient::new(runtime);
    let request = HttpRequest::new("CONNECT", &format!("http://{proxy}")).unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), Status::OK);
    let mut stream = response.upgrade().unwrap();
    write(&mut stream, b"hello").await;
    assert_eq!(read_to_end(&mut stream).await, b"hello");
    relay.await;
}

// RFC 9110, 7.8: a server that switches before it has read the request reads the rest of it first.
async fn an_early_switch_cuts_no_request_short<R: SendRuntime>(runtime: R) {
    const SIZE: usize = 20 << 20;
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        let body = peer.read_exact(SIZE);
        assert!(body.iter().all(|&byte| byte == b'b'));
        assert_eq!(peer.read_exact(5), b"hello");
    });
    let client = HttpClient::new(runtime);
    let request = HttpRequest::new("POST", &format!("http://{address}/")).unwrap();
    let request = request.field("Connection", "Upgrade").field("Upgrade", "x");
    let response = client.send(request.body(vec![b'b'; SIZE])).await;
    // It may be told from a switch or as an error, never as a switch with half a request before it.
    match response.map(tidewire_runtime::HttpResponse::upgrade) {
        Ok(Ok(mut stream)) => {
            write(&mut stream, b"hello").await;
            server.await;
        }
        Ok(Err(response)) => panic!("{response:?}"),
        Err(error) => assert!(matches!(error, Error::Http(_)), "{error:?}"),
    }
}

// RFC 9110, 6.6.1 and 10.2.4.
async fn every_final_response_says_when_and_by_whom<R: SendRuntime>(runtime: R) {
    let (address, _server) =
        serve_with(&runtime, ServerConfig::default(), |mut exchange: Exchange<R>| async move {
            exchange.inform(Status::EARLY_HINTS, NO_FIELDS).await?;
            let own = [("Server", "own"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")];
            let count = usize::from(exchange.path() == "/own") * 2;
            Ok(exchange.respond_with(Status::OK, own.into_iter().take(count), "").await?)
        })
        .await;
    on_thread(move || {
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let field = |head: &str, name: &str| -> Vec<String> {
            let lines = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            lines.map(str::to_owned).collect()
        };
        let before = now();
        let mut peer = RawPeer::connect(address);
        for turn in 0..3 {
            peer.send(GET);
            assert_eq!(peer.read_head(), "HTTP/1.1 103 Early Hints\r\n\r\n");
            let head = peer.read_head();
            assert_eq!(field(&head, "Server"), ["tidewire"]);
            let date = field(&head, "Date");
            // IMF-fixdate, read by `date`: RFC 9110, 5.6.7.
            let read = std::process::Command::new("date")
                .args(["-u", "-d", &date[0], "+%s %a, %d %b %Y %H:%M:%S GMT"])
                .output()
                .unwrap();
            let read = String::from_utf8(read.stdout).unwrap();
            let (seconds, again) = read.trim().split_once(' ').unwrap();
            assert_eq!(date, [again]);
            let seconds: u64 = seconds.parse().unwrap();
            assert!((before..=now()).contains(&seconds), "turn {turn}: {seconds} of {before}");
            std::thread::sleep(Duration::from_millis(600));
        }
        // What the server refuses by itself, and what says it already.
        peer.send("GET /own HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_head();
        let head = peer.read_head();
        assert_eq!(field(&head, "Server"), ["own"]);
        assert_eq!(field(&head, "Date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
        peer.send("GET / HTTP/1.1\r\n\r\n");
        let refused = peer.read_head();
        assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
        assert_eq!((field(&refused, "Server").len(), field(&refused, "Date").len()), (1, 1));
    })
    .await;
    let any = "127.0.0.1:0".parse().unwrap();
    let config = ServerConfig { server: Some("a\r\nb".into()), ..ServerConfig::default() };
    let refused = tidewire_runtime::Server::bind_with(runtime, any, config).await;
    assert_eq!(refused.map(drop).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

/// An exchange that outlives its handler keeps its connection, which then serves the next request.
async fn an_exchange_may_be_given_away<R: SendRuntime>(runtime: R) {
    let spawner = runtime.clone();
    let (address, server) = serve(&runtime, move |mut exchange: Exchange<R>| {
        let runtime = spawner.clone();
        async move {
            if exchange.path() == "/forgotten" {
                runtime.spawn_send(async move { drop(exchange) });
                return Ok(());
            }
            let later = runtime.clone();
            runtime.spawn_send(async move {
                sleep(&later, Duration::from_millis(20)).await;
                exchange.respond("ok").await.unwrap();
            });
            Ok(())
        }
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(GET.repeat(2));
        assert_eq!(peer.read_exact(2 * OK.len()), OK.repeat(2));
        peer.send("GET /forgotten HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(peer.read_head().starts_with("HTTP/1.1 500 "));
        peer.send(GET);
        assert_eq!(peer.read_exact(OK.len()), OK);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

// RFC 9112, 9.6: half a close is no leave, unless somebody watches for one.
async fn a_client_that_leaves_is_noticed<R: SendRuntime>(runtime: R) {
    let left = Arc::new(AtomicUsize::new(0));
    let count = left.clone();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let left = count.clone();
        async move {
            let mut exchange = exchange;
            if exchange.path() == "/query" {
                let never = std::future::pending::<()>();
                let gone = exchange.while_open(never).await;
                left.fetch_add(1, Ordering::SeqCst);
                return Ok(gone?);
            }
            let watches = exchange.path() == "/watch";
            let mut writer = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            writer.send(b"x").await?;
            if watches {
                let never = std::future::pending::<()>();
                assert!(matches!(writer.while_open(never).await, Err(Error::Closed)));
                left.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            // Until the socket breaks.
            while writer.send(&[b'x'; 1000]).await.is_ok() {}
            left.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    for (turn, path) in ["/watch", "/send", "/query"].into_iter().enumerate() {
        on_thread(move || {
            let mut peer = RawPeer::connect(address);
            peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            if path != "/query" {
                peer.read_head();
            }
        })
        .await;
        until(&runtime, || left.load(Ordering::SeqCst) == turn + 1).await;
    }
}

// RFC 9112, 9.6.
async fn a_client_that_has_shut_down_its_sending_side_gets_all_of_a_stream<R: SendRuntime>(
    runtime: R,
) {
    let sleeper = runtime.clone();
    let (address, server) = serve(&runtime, move |mut exchange: Exchange<R>| {
        let runtime = sleeper.clone();
        async move {
            let size = exchange.collect(100).await?.len();
            let mut writer = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            for number in 0..size {
                sleep(&runtime, Duration::from_millis(10)).await;
                writer.send(number.to_string().as_bytes()).await?;
            }
            Ok(writer.finish().await?)
        }
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        peer.0.shutdown(Shutdown::Write).unwrap();
        let answer = String::from_utf8(peer.read_to_end()).unwrap();
        assert!(answer.ends_with("\r\n\r\n1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"), "{answer}");
        // RFC 9112, 6.3: half a request is none.
        let mut peer = RawPeer::connect(address);
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab");
        peer.0.shutdown(Shutdown::Write).unwrap();
        let answer = String::from_utf8(peer.read_to_end()).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    })
    .await;
    until(&runtime, || server.connections() == 0).await;
}

on_every_runtime!(
    a_streamed_response_is_framed_as_its_length_and_client_need_it,
    trailers_go_both_ways,
    a_streamed_body_has_the_length_that_was_announced,
    the_body_is_asked_for_when_the_handler_wants_it,
    an_upgrade_hands_over_what_was_received,
    a_client_upgrades_as_well,
    a_client_opens_a_tunnel,
    an_early_switch_cuts_no_request_short,
    every_final_response_says_when_and_by_whom,
    an_exchange_may_be_given_away,
    a_client_that_leaves_is_noticed,
    a_client_that_has_shut_down_its_sending_side_gets_all_of_a_stream,
);
