//! The opening handshake of WebSocket on raw sockets, both sides.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tidewire_runtime::http::Status;
use tidewire_runtime::url::UrlError;
use tidewire_runtime::ws::handshake::{
    ExtensionError, Refusal, Rejection, Request, RequestError, ServerOptions,
};
use tidewire_runtime::ws::{
    self, ClientConfig, ClientError, ClientEvent, CloseCode, Config, Event,
};
use tidewire_runtime::{Client, Error, Exchange, SendRuntime, WebSocket};
use tidewire_tests::frames::{self, BINARY, CLOSE, PONG, TEXT, field};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, serve};
use tidewire_tests::on_every_runtime;

fn request(url: String) -> Request {
    Request::new(&url).expect("a URL")
}

/// The head of a client's request, seen by a server that refuses it.
async fn asked<R: SendRuntime>(runtime: &R, listener: TcpListener, request: &Request) -> String {
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        let head = peer.read_head();
        peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        peer.read_to_end();
        head
    });
    let refused = WebSocket::connect(runtime.clone(), request, Config::default()).await;
    assert!(matches!(refused, Err(Error::Handshake { .. })), "{refused:?}");
    server.await
}

// Acceptance group 9. RFC 6455, 4.1.
async fn the_request_has_its_lines_and_then_those_of_the_user<R: SendRuntime>(runtime: R) {
    let mut keys = HashSet::new();
    for _ in 0..3 {
        let (listener, address) = listener();
        let request = request(format!("ws://{address}/path?query=1"))
            .field("Cookie", "PHPSID=abcdefg; token=2345jksdhfg")
            .unwrap()
            .field("OtherKey", "values")
            .unwrap()
            .field("x-LOWER-upper", "")
            .unwrap()
            .field("OtherKey", b"again \xFF")
            .unwrap();
        let server = background(move || {
            let mut peer = RawPeer::accept(&listener);
            let head = peer.read_until(b"\r\n\r\n");
            peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            head
        });
        let refused = WebSocket::connect(runtime.clone(), &request, Config::default()).await;
        assert!(matches!(refused, Err(Error::Handshake { .. })), "{refused:?}");
        // Not UTF-8, because of the last line.
        let head = server.await;
        let head: String = head.iter().map(|&byte| char::from(byte)).collect();
        let key = field(&head, "Sec-WebSocket-Key").to_owned();
        assert_eq!(
            head,
            format!(
                "GET /path?query=1 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
                 Cookie: PHPSID=abcdefg; token=2345jksdhfg\r\nOtherKey: values\r\n\
                 x-LOWER-upper: \r\nOtherKey: again \u{FF}\r\n\r\n"
            ),
        );
        // 16 bytes in base64.
        assert!(key.len() == 24 && key.ends_with("=="), "{key}");
        keys.insert(key);
    }
    assert_eq!(keys.len(), 3, "each attempt has a key of its own");
}

// Acceptance group 9. RFC 6455, 4.1.
async fn every_attempt_of_a_client_has_a_fresh_key_and_the_same_fields<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        (0..5).map(|_| RawPeer::accept_websocket(&listener).1).collect::<Vec<_>>()
    });
    let request = request(format!("ws://{address}/")).field("OtherKey", "values").unwrap();
    let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
    let mut closed = 0;
    while let Some(event) = client.next().await {
        if let ClientEvent::Closed { .. } = event {
            closed += 1;
            if closed < 5 {
                client.reconnect(Duration::ZERO);
            }
        }
    }
    let heads = server.await;
    let keys: HashSet<_> = heads.iter().map(|head| field(head, "Sec-WebSocket-Key")).collect();
    assert_eq!(keys.len(), 5);
    for head in &heads {
        let key = field(head, "Sec-WebSocket-Key");
        let first = field(&heads[0], "Sec-WebSocket-Key");
        assert_eq!(head.replace(key, first), heads[0]);
        assert_eq!(field(head, "OtherKey"), "values");
    }
}

// Acceptance group 10. RFC 9112, 3.2; RFC 3986, 3.2.2; RFC 7617.
async fn host_target_and_authorization_follow_from_the_url<R: SendRuntime>(runtime: R) {
    // No socket for these: the ports belong to others.
    for (url, host) in [
        ("ws://h:1234/", "h:1234"),
        ("ws://h/", "h"),
        ("ws://h:80/", "h"),
        ("wss://h/", "h"),
        ("wss://h:443/", "h"),
        ("ws://h:443/", "h:443"),
        ("wss://h:80/", "h:80"),
        ("ws://[::1]:1234/", "[::1]:1234"),
        ("ws://[::1]/", "[::1]"),
    ] {
        assert_eq!(Request::new(url).unwrap().url().host_header(), host, "{url}");
    }
    for (rest, line) in [
        ("", "GET / HTTP/1.1"),
        ("?q=1", "GET /?q=1 HTTP/1.1"),
        ("/a b/ü?x=\u{1F30A} y", "GET /a%20b/%C3%BC?x=%F0%9F%8C%8A%20y HTTP/1.1"),
        ("/%41%zz?", "GET /%41%zz? HTTP/1.1"),
    ] {
        let (listener, address) = listener();
        let head = asked(&runtime, listener, &request(format!("ws://{address}{rest}"))).await;
        assert_eq!(head.lines().next().unwrap(), line);
    }
    let (by_name, address) = listener();
    let url = format!("ws://user:p%40ss@localhost:{}/", address.port());
    let head = asked(&runtime, by_name, &request(url)).await;
    assert_eq!(field(&head, "Host"), format!("localhost:{}", address.port()));
    // user:p@ss
    assert_eq!(field(&head, "Authorization"), "Basic dXNlcjpwQHNz");
    if let Ok(v6) = TcpListener::bind("[::1]:0") {
        let address = v6.local_addr().unwrap();
        let head = asked(&runtime, v6, &request(format!("ws://{address}/"))).await;
        assert_eq!(field(&head, "Host"), format!("[::1]:{}", address.port()));
    }
    assert_eq!(Request::new("ws://h/#part"), Err(RequestError::Url(UrlError::Fragment)));
}

// Acceptance group 11. RFC 9110, 5.1 and 5.5; RFC 6455, 4.1.
async fn what_would_inject_a_line_is_an_error_and_host_is_replaced<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let mut request = request(format!("ws://{address}/"));
    for (name, value, error) in [
        ("X\r\nY", "z", RequestError::FieldName),
        ("X\n", "z", RequestError::FieldName),
        ("X\r", "z", RequestError::FieldName),
        ("X:Y", "z", RequestError::FieldName),
        ("X Y", "z", RequestError::FieldName),
        ("", "z", RequestError::FieldName),
        ("X", "a\r\nY: z", RequestError::FieldValue),
        ("X", "a\nb", RequestError::FieldValue),
        ("X", "a\rb", RequestError::FieldValue),
        ("X", "a\0b", RequestError::FieldValue),
        ("Upgrade", "websocket", RequestError::Reserved),
        ("connection", "Upgrade", RequestError::Reserved),
        ("Sec-WebSocket-Key", "x", RequestError::Reserved),
        ("sec-websocket-version", "8", RequestError::Reserved),
        ("Sec-WebSocket-Protocol", "x", RequestError::Reserved),
        ("Sec-WebSocket-Extensions", "x", RequestError::Reserved),
        ("Content-Length", "1", RequestError::Reserved),
        ("Transfer-Encoding", "chunked", RequestError::Reserved),
    ] {
        assert_eq!(request.add_field(name, value), Err(error), "{name:?}: {value:?}");
    }
    request.add_field("X-First", "1").unwrap();
    request.add_field("hOST", "example.com").unwrap();
    assert_eq!(request.add_field("Host", "twice"), Err(RequestError::DuplicateHost));
    let head = asked(&runtime, listener, &request).await;
    assert!(head.starts_with("GET / HTTP/1.1\r\nhOST: example.com\r\nConnection: "), "{head}");
    assert!(head.ends_with("\r\nX-First: 1\r\n\r\n"), "{head}");
    for name in ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        assert!(!field(&head, name).is_empty());
    }
}

/// An answer to a request whose right `Sec-WebSocket-Accept` is given.
type Answer = fn(&str) -> String;

fn refusals() -> Vec<(Answer, Refusal, &'static str)> {
    vec![
        (
            |_| {
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\nX-Why: because\r\n\r\nnot you!"
                    .into()
            },
            Refusal::Status(Status::FORBIDDEN),
            "not you!",
        ),
        (
            |accept| {
                format!(
                    "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\nTransfer-Encoding: chunked\r\n\r\n\
                     4\r\nhtml\r\n0\r\n\r\n"
                )
            },
            Refusal::Status(Status::OK),
            "html",
        ),
        (|_| switching("Upgrade: websocket\r\nConnection: Upgrade\r\n"), Refusal::AcceptKey, ""),
        (
            |_| {
                switching(
                    "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
                )
            },
            Refusal::AcceptKey,
            "",
        ),
        (
            |accept| switching(&format!("{}Sec-WebSocket-Accept: x\r\n", full(accept))),
            Refusal::AcceptKey,
            "",
        ),
        (
            |accept| {
                switching(&format!("Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"))
            },
            Refusal::Upgrade,
            "",
        ),
        (|accept| switching(&full(accept).replace("websocket", "h2c")), Refusal::Upgrade, ""),
        (
            |accept| {
                switching(&format!("Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"))
            },
            Refusal::Connection,
            "",
        ),
        (
            |accept| switching(&full(accept).replace(": Upgrade", ": keep-alive")),
            Refusal::Connection,
            "",
        ),
        (
            |accept| switching(&format!("{}Sec-WebSocket-Protocol: other\r\n", full(accept))),
            Refusal::Subprotocol,
            "",
        ),
        (
            |accept| {
                let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
                switching(&format!("{}{extension}", full(accept)))
            },
            Refusal::Extension(ExtensionError::NotOffered),
            "",
        ),
    ]
}

fn switching(fields: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{fields}X-Why: because\r\n\r\n")
}

fn full(accept: &str) -> String {
    format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n")
}

/// Answers one request, and checks that the connection is then closed.
fn answer_once(listener: &TcpListener, answer: Answer) {
    let mut peer = RawPeer::accept(listener);
    let head = peer.read_head();
    peer.send(answer(&frames::accept_key(field(&head, "Sec-WebSocket-Key"))));
    assert_eq!(peer.read_to_end(), b"", "nothing is sent without a connection");
}

// Acceptance group 12. RFC 6455, 4.1.
async fn a_wrong_answer_is_one_error_with_head_and_body_and_then_one_closed<R: SendRuntime>(
    runtime: R,
) {
    for (answer, refusal, start) in refusals() {
        let (listener, address) = listener();
        let server = background(move || {
            answer_once(&listener, answer);
            answer_once(&listener, answer);
        });
        let request = request(format!("ws://{address}/")).subprotocol("chat").unwrap();
        match WebSocket::connect(runtime.clone(), &request, Config::default()).await {
            Err(Error::Handshake { why, head: Some(_), body }) => {
                assert_eq!((why, &body[..]), (refusal, start.as_bytes()));
            }
            other => panic!("{refusal:?}: {other:?}"),
        }
        let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
        let mut told = Vec::new();
        while let Some(event) = client.next().await {
            told.push(match event {
                ClientEvent::Connected => "connected",
                ClientEvent::Error(ClientError::Handshake { why, head: Some(head), body }) => {
                    assert_eq!((why, body), (refusal, start.as_bytes()));
                    let why = head.as_head().headers.get_str("X-Why");
                    assert_eq!(why.is_none(), refusal == Refusal::Status(Status::OK));
                    "error"
                }
                ClientEvent::Closed { why: ws::ClientClosed::Failed, .. } => "closed",
                other => panic!("{refusal:?}: {other:?}"),
            });
        }
        assert_eq!(told, ["connected", "error", "closed"], "{refusal:?}");
        server.await;
    }
}

// Acceptance group 12. RFC 6455, 4.1; RFC 9110, 7.6.1; RFC 9112, 4; RFC 6265, 3.
async fn an_answer_may_be_right_in_more_than_one_way<R: SendRuntime>(runtime: R) {
    let answers: [Answer; 4] = [
        |accept| switching(&full(accept)).replace(" Switching Protocols", " "),
        |accept| switching(&full(accept)).replace(" Switching Protocols", ""),
        |accept| switching(&full(accept).replace(": Upgrade", ": keep-alive, Upgrade")),
        |accept| {
            switching(&full(accept).replace("websocket", "WebSocket"))
                .replace("Sec-WebSocket-Accept", "sec-websocket-accept")
        },
    ];
    for answer in answers {
        let (listener, address) = listener();
        let server = background(move || {
            let mut peer = RawPeer::accept(&listener);
            let head = peer.read_head();
            let answer = answer(&frames::accept_key(field(&head, "Sec-WebSocket-Key")));
            let cookies = "X-Why: because\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n";
            peer.send(answer.replace("X-Why: because\r\n", cookies));
            assert_eq!(peer.read_message(), (TEXT, b"hello".to_vec()));
        });
        let request = request(format!("ws://{address}/"));
        let connected = WebSocket::connect(runtime.clone(), &request, Config::default()).await;
        let (mut socket, head) = connected.expect("an answer that is right");
        let cookies: Vec<_> = head.as_head().headers.get_all("Set-Cookie").collect();
        assert_eq!(cookies, [b"a=1", b"b=2"]);
        socket.send_text("hello").await.unwrap();
        server.await;
    }
}

/// Accepts an opening handshake and sends the answer and two frames, cut into pieces.
fn switch_in_pieces(listener: &TcpListener, piece: usize) {
    let mut peer = RawPeer::accept(listener);
    let request = peer.read_head();
    let mut answer = RawPeer::switching(&request).into_bytes();
    answer.extend(frames::frame(TEXT, "grüße"));
    answer.extend(frames::frame(BINARY, [0xFF, 0]));
    answer.extend(frames::frame(CLOSE, frames::close(1000, "done")));
    for piece in answer.chunks(piece) {
        peer.send(piece);
        if piece.len() == 1 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    // What was sent before the handshake finished leaves first, in order.
    assert_eq!(peer.read_message(), (TEXT, b"first".to_vec()));
    assert_eq!(peer.read_message(), (BINARY, b"second".to_vec()));
    assert_eq!(peer.read_message(), (TEXT, b"third".to_vec()));
    assert_eq!(peer.read_frame().close(), (1000, "done".into()));
}

// Acceptance group 13. RFC 6455, 4.1.
async fn frames_in_the_segment_of_the_answer_come_right_after_open<R: SendRuntime>(runtime: R) {
    for piece in [usize::MAX, 1] {
        let (listener, address) = listener();
        let server = background(move || switch_in_pieces(&listener, piece));
        let request = request(format!("ws://{address}/"));
        let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
        client.send_text("first").unwrap();
        let mut told = Vec::new();
        while let Some(event) = client.next().await {
            told.push(match event {
                ClientEvent::Connected => {
                    client.send_binary(b"second").unwrap();
                    "connected".into()
                }
                ClientEvent::Open(_) => {
                    client.send_text("third").unwrap();
                    "open".into()
                }
                ClientEvent::Text(text) => text.to_owned(),
                ClientEvent::Binary(bytes) => format!("{bytes:?}"),
                ClientEvent::Closed { why, reason } => format!("{} {reason}", why.code()),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(told, ["connected", "open", "grüße", "[255, 0]", "1000 done"], "{piece}");
        server.await;
    }
}

/// Echoes messages; with the subprotocol `chat` if that is offered.
async fn echo<R: SendRuntime>(runtime: &R) -> SocketAddr {
    let (address, _server) = serve(runtime, |exchange: Exchange<R>| async move {
        let options =
            ServerOptions { subprotocols: &["chat", "superchat"], ..ServerOptions::new() };
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        socket
            .run(|event, reply| match event {
                Event::Text(text) => reply.send_text(text),
                Event::Binary(bytes) => reply.send_binary(bytes),
                _ => Ok(()),
            })
            .await?;
        Ok(())
    })
    .await;
    address
}

// Acceptance groups 9 and 13, from the other side. RFC 6455, 1.3 and 4.2.2.
async fn a_server_answers_exactly_and_reads_on_in_the_same_segment<R: SendRuntime>(runtime: R) {
    let address = echo(&runtime).await;
    on_thread(move || {
        for piece in [usize::MAX, 1] {
            let mut peer = RawPeer::connect(address);
            let mut bytes = frames::opening(
                "Sec-WebSocket-Protocol: other, superchat\r\nSec-WebSocket-Protocol: chat\r\n\
                 Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: http://h\r\n",
            )
            .into_bytes();
            bytes.extend(frames::masked(TEXT, "Hello"));
            bytes.extend(frames::masked(frames::PING, "?"));
            for piece in bytes.chunks(piece) {
                peer.send(piece);
            }
            assert_eq!(
                peer.read_head(),
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                 Sec-WebSocket-Protocol: superchat\r\n\r\n",
            );
            assert_eq!(peer.read_exact(7), b"\x81\x05Hello");
            assert_eq!(peer.read_message(), (PONG, b"?".to_vec()));
        }
    })
    .await;
}

// Acceptance group 12, from the other side. RFC 6455, 4.2.1, 4.2.2 and 4.4.
async fn a_server_refuses_what_is_no_opening_handshake<R: SendRuntime>(runtime: R) {
    let address = echo(&runtime).await;
    let good = frames::opening("");
    let bad = [
        (good.replace("Version: 13", "Version: 8"), Rejection::Version),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), Rejection::Version),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), Rejection::Key),
        (good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), Rejection::Key),
        (good.replace("Connection: Upgrade", "Connection: keep-alive"), Rejection::Connection),
        (good.replace("Upgrade: websocket", "Upgrade: h2c"), Rejection::Upgrade),
        (good.replace("GET ", "OPTIONS "), Rejection::Method),
        (good.replace("HTTP/1.1", "HTTP/1.0"), Rejection::HttpVersion),
    ];
    on_thread(move || {
        for (request, rejection) in bad {
            let mut peer = RawPeer::connect(address);
            peer.send(&request);
            let head = peer.read_head();
            if rejection == Rejection::Version {
                assert!(head.starts_with("HTTP/1.1 426 "), "{request}{head}");
                assert_eq!(field(&head, "Sec-WebSocket-Version"), "13");
                assert_eq!(field(&head, "Upgrade"), "websocket");
            } else {
                assert!(head.starts_with("HTTP/1.1 400 "), "{request}{head}");
            }
            assert_eq!(field(&head, "Content-Length"), "0");
            if rejection != Rejection::HttpVersion {
                // It may try again.
                peer.send(frames::opening(""));
                assert!(peer.read_head().starts_with("HTTP/1.1 101 "), "after {rejection}");
            }
        }
    })
    .await;
}

// Acceptance group 12. RFC 6455, 1.9 and 4.1.
async fn both_sides_agree_on_the_subprotocol<R: SendRuntime>(runtime: R) {
    let address = echo(&runtime).await;
    for (offers, expected) in
        [(&["other", "superchat", "chat"][..], Some("superchat")), (&["other"], None), (&[], None)]
    {
        let mut request = request(format!("ws://{address}/"));
        for offer in offers {
            request.add_subprotocol(offer).unwrap();
        }
        let connected = WebSocket::connect(runtime.clone(), &request, Config::default()).await;
        let (mut socket, head) = connected.unwrap();
        let negotiated = socket.connection().negotiated().subprotocol();
        assert_eq!(negotiated.map(|index| offers[index]), expected);
        assert_eq!(head.as_head().headers.get_str("Sec-WebSocket-Protocol"), expected);
        let closed = socket.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(closed.is_clean(), "{closed}");
    }
}

on_every_runtime!(
    the_request_has_its_lines_and_then_those_of_the_user,
    every_attempt_of_a_client_has_a_fresh_key_and_the_same_fields,
    host_target_and_authorization_follow_from_the_url,
    what_would_inject_a_line_is_an_error_and_host_is_replaced,
    a_wrong_answer_is_one_error_with_head_and_body_and_then_one_closed,
    an_answer_may_be_right_in_more_than_one_way,
    frames_in_the_segment_of_the_answer_come_right_after_open,
    a_server_answers_exactly_and_reads_on_in_the_same_segment,
    a_server_refuses_what_is_no_opening_handshake,
    both_sides_agree_on_the_subprotocol,
);
