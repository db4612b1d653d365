//! The opening handshake, in the sentences of RFC 6455, 4.

use core::time::Duration;
use tidewire::http::{
    BodyLength, OwnedResponseHead, ParsedRequest, RedirectError, RequestParser, Server,
    ServerConfig, ServerEvent, Status,
};
use tidewire::ws::handshake::{
    ClientHandshake, ExtensionError, HandshakeConfig, HandshakeEvent, Origins, Refusal, Rejection,
    Request, RequestError, ServerOptions, accept,
};
use tidewire::ws::{Config, Connection, Event};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

const NOW: Instant = Instant::EPOCH;

struct Asked {
    handshake: ClientHandshake,
    rx: RecvBuf,
    tx: SendBuf,
}

fn ask_with(request: &Request, seed: u8) -> Asked {
    let mut tx = SendBuf::new();
    let config = HandshakeConfig { body_prefix: 10, ..HandshakeConfig::default() };
    let seed = Seed::new([seed; 32]);
    let handshake = ClientHandshake::new(request, config, &seed, NOW, &mut tx);
    Asked { handshake, rx: RecvBuf::with_limit(1 << 16), tx }
}

fn ask(request: &Request) -> Asked {
    ask_with(request, 7)
}

fn request_text(request: &Request) -> String {
    String::from_utf8(ask(request).tx.chunk().to_vec()).unwrap()
}

/// What this crate's own server answers to `request`.
fn answer(request: &[u8], options: &ServerOptions<'_>) -> Vec<u8> {
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
    assert_eq!(rx.push(request), request.len());
    let mut server = Server::new(ServerConfig::default(), NOW);
    while let Some(event) = server.poll_event(NOW, &mut rx, &mut tx) {
        if let ServerEvent::Request(head) = event {
            match accept(&head, options) {
                Ok(acceptance) => server.upgrade(acceptance.fields(), &mut tx).unwrap(),
                Err(no) => server
                    .respond(
                        no.status(),
                        no.fields().iter().copied(),
                        BodyLength::EMPTY,
                        NOW,
                        &mut tx,
                    )
                    .unwrap(),
            }
        }
    }
    tx.chunk().to_vec()
}

/// A description of the one event that `answer` leads to, the same for any split of it.
fn outcome(
    request: &Request,
    answer: &[u8],
) -> (Result<Option<usize>, Refusal>, Option<Status>, Vec<u8>) {
    let run = |size: usize| {
        let Asked { mut handshake, mut rx, mut tx } = ask(request);
        let mut outcome = None;
        for chunk in answer.chunks(size) {
            assert_eq!(rx.push(chunk), chunk.len());
            while let Some(event) = handshake.poll_event(NOW, &mut rx, &mut tx) {
                assert!(outcome.is_none(), "{event:?}");
                outcome = Some(match event {
                    HandshakeEvent::Accepted { head, negotiated } => {
                        (Ok(negotiated.subprotocol()), Some(head.status), vec![])
                    }
                    HandshakeEvent::Refused { why, head, body } => {
                        (Err(why), head.map(|head| head.as_head().status), body.to_vec())
                    }
                });
            }
        }
        rx.finish();
        while let Some(event) = handshake.poll_event(NOW, &mut rx, &mut tx) {
            assert!(outcome.is_none(), "{event:?}");
            if let HandshakeEvent::Refused { why, head, body } = event {
                let status = head.map(|head| head.as_head().status);
                outcome = Some((Err(why), status, body.to_vec()));
            }
        }
        // RFC 6455, 4.1: whatever the refusal is, the client fails the connection (7.1.7).
        let refused = matches!(&outcome, Some((Err(_), ..)));
        let transport = if refused { Transport::Down } else { Transport::Open };
        assert_eq!(handshake.transport(), transport, "{outcome:?}");
        outcome.unwrap()
    };
    let whole = run(usize::MAX);
    assert_eq!(run(1), whole);
    whole
}

fn chat() -> Request {
    Request::new("ws://h/").unwrap().subprotocol("chat").unwrap().subprotocol("v2").unwrap()
}

/// The right answer to `request`, with `replace` done to it.
fn answer_but(request: &Request, replace: &[(&str, &str)]) -> Vec<u8> {
    let right = answer(
        ask(request).tx.chunk(),
        &ServerOptions { subprotocols: &["v2"], ..ServerOptions::new() },
    );
    let mut text = String::from_utf8(right).unwrap();
    for (from, to) in replace {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, to);
    }
    text.into_bytes()
}

#[test]
fn rfc_4_1_the_request_has_its_fields_in_order_then_the_callers_with_case_and_order_kept() {
    let request = Request::new("ws://127.0.0.1:1234/a b?q=1")
        .and_then(|r| r.field("Cookie", "PHPSID=abc; token=def"))
        .and_then(|r| r.field("OtherKey", "values"))
        .and_then(|r| r.field("otherKEY", " more "))
        .unwrap();
    let text = request_text(&request);
    let (before, rest) = text.split_once("Sec-WebSocket-Key: ").unwrap();
    assert_eq!(
        before,
        "GET /a%20b?q=1 HTTP/1.1\r\nHost: 127.0.0.1:1234\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    );
    let (key, after) = rest.split_at(24);
    assert!(key.ends_with("=="));
    assert_eq!(
        after,
        "\r\nCookie: PHPSID=abc; token=def\r\nOtherKey: values\r\notherKEY: more\r\n\r\n"
    );
}

#[test]
fn rfc_4_1_the_nonce_is_new_for_each_attempt() {
    let request = Request::new("ws://h").unwrap();
    assert_ne!(ask_with(&request, 1).tx.chunk(), ask_with(&request, 2).tx.chunk());
}

#[test]
fn user_and_password_become_authorization_and_a_host_of_the_callers_replaces() {
    let text = request_text(&Request::new("ws://Aladdin:open%20sesame@h/").unwrap());
    assert!(text.contains("\r\nHost: h\r\n"));
    assert!(text.contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    let request = Request::new("ws://u:p@h/")
        .and_then(|r| r.field("X", "1"))
        .and_then(|r| r.field("host", "other"))
        .and_then(|r| r.field("authorization", "Bearer t"))
        .unwrap();
    let text = request_text(&request);
    assert!(text.starts_with("GET / HTTP/1.1\r\nhost: other\r\nConnection"), "{text}");
    assert!(text.ends_with("\r\nX: 1\r\nauthorization: Bearer t\r\n\r\n"), "{text}");
    assert_eq!(text.to_lowercase().matches("\r\nhost:").count(), 1);
    assert_eq!(text.matches("uthorization").count(), 1);
}

#[test]
fn fields_that_cannot_be_sent_or_are_the_handshakes_own_are_refused() {
    let field = |name: &str, value: &str| {
        Request::new("ws://h").unwrap().field(name, value).map(|_| ()).unwrap_err()
    };
    for name in ["", "a b", "a:", "a\r\nb", "a\n", "ä", "a\0"] {
        assert_eq!(field(name, "x"), RequestError::FieldName, "{name:?}");
    }
    for value in ["a\r\nb", "a\rb", "a\nb", "\0", "\x7F"] {
        assert_eq!(field("X", value), RequestError::FieldValue, "{value:?}");
    }
    for name in [
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "UPGRADE",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Accept",
        "connection",
        "Content-Length",
        "transfer-encoding",
    ] {
        assert_eq!(field(name, "x"), RequestError::Reserved, "{name}");
    }
    let twice = Request::new("ws://h").unwrap().field("Host", "a").unwrap().field("HOST", "b");
    assert_eq!(twice.unwrap_err(), RequestError::DuplicateHost);
    for name in ["", "a b", "a,b", "chat"] {
        assert_eq!(chat().subprotocol(name).unwrap_err(), RequestError::Subprotocol);
    }
    assert!(matches!(Request::new("ws://h/#x"), Err(RequestError::Url(_))));
}

#[test]
fn rfc_4_1_a_right_answer_is_accepted_also_without_reason_phrase_and_with_other_options() {
    let accepted = (Ok(Some(1)), Some(Status::SWITCHING_PROTOCOLS), vec![]);
    for replace in [
        &[][..],
        &[("101 Switching Protocols", "101 ")],
        &[("101 Switching Protocols", "101")],
        &[("Connection: Upgrade", "Connection: keep-alive, upgrade")],
        &[("Upgrade: websocket", "Upgrade: WebSocket")],
        &[("HTTP/1.1 101", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101")],
    ] {
        assert_eq!(outcome(&chat(), &answer_but(&chat(), replace)), accepted, "{replace:?}");
    }
    let plain = Request::new("ws://h").unwrap();
    assert_eq!(outcome(&plain, &answer_but(&plain, &[])).0, Ok(None));
}

#[test]
fn rfc_4_1_a_wrong_answer_fails_the_connection() {
    for (from, to, why) in [
        ("Upgrade: websocket", "Upgrade: h2c", Refusal::Upgrade),
        ("Upgrade: websocket\r\n", "", Refusal::Upgrade),
        ("Upgrade: websocket", "Upgrade: websocket, h2c", Refusal::Upgrade),
        ("\r\n\r\n", "\r\nUpgrade: h2c\r\n\r\n", Refusal::Upgrade),
        ("Connection: Upgrade", "Connection: close", Refusal::Connection),
        ("Connection: Upgrade\r\n", "", Refusal::Connection),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", Refusal::AcceptKey),
        ("Sec-WebSocket-Accept", "X", Refusal::AcceptKey),
        ("\r\n\r\n", "\r\nSec-WebSocket-Accept: x\r\n\r\n", Refusal::AcceptKey),
        ("Protocol: v2", "Protocol: v3", Refusal::Subprotocol),
        ("Protocol: v2", "Protocol: v2, chat", Refusal::Subprotocol),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n", Refusal::Subprotocol),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            Refusal::Extension(ExtensionError::NotOffered),
        ),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n\r\n",
            Refusal::Extension(ExtensionError::NotOffered),
        ),
    ] {
        let refused = (Err(why), Some(Status::SWITCHING_PROTOCOLS), vec![]);
        assert_eq!(outcome(&chat(), &answer_but(&chat(), &[(from, to)])), refused, "{to}");
    }
}

#[test]
fn another_status_is_an_error_with_head_and_the_start_of_the_body() {
    let request = Request::new("ws://h").unwrap();
    for (answer, status, body) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789", 200, "0123456789"),
        (
            "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            404,
            "abcde",
        ),
        ("HTTP/1.0 500 No\r\n\r\nto the end", 500, "to the end"),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\ncut", 503, "cut"),
    ] {
        let status = Status::new(status).unwrap();
        let expected = (Err(Refusal::Status(status)), Some(status), body.as_bytes().to_vec());
        assert_eq!(outcome(&request, answer.as_bytes()), expected);
    }
}

#[test]
fn no_answer_and_no_http_are_errors_of_their_own() {
    let request = Request::new("ws://h").unwrap();
    assert_eq!(outcome(&request, b"HTTP/1.1 101 Sw"), (Err(Refusal::Eof), None, vec![]));
    let (refusal, status, _) = outcome(&request, b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
    assert!(matches!(refusal, Err(Refusal::Http(_))) && status.is_none());
}

#[test]
fn a_mute_server_meets_the_deadline_and_a_body_that_does_not_come_a_shorter_one() {
    let at = |s| NOW + Duration::from_secs(s);
    let Asked { mut handshake, mut rx, mut tx } = ask(&Request::new("ws://h").unwrap());
    assert_eq!(handshake.poll_timeout(), Some(at(10)));
    handshake.handle_timeout(at(9), &mut tx);
    assert!(!handshake.advance(at(9), &mut rx, &mut tx));
    handshake.handle_timeout(at(10), &mut tx);
    assert_eq!((handshake.poll_timeout(), handshake.transport()), (None, Transport::Down));
    let event = handshake.poll_event(at(10), &mut rx, &mut tx);
    assert!(matches!(event, Some(HandshakeEvent::Refused { why: Refusal::Timeout, .. })));
    assert!(handshake.poll_event(at(10), &mut rx, &mut tx).is_none());

    let Asked { mut handshake, mut rx, mut tx } = ask(&Request::new("ws://h").unwrap());
    let answer = b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nabc";
    assert_eq!(rx.push(answer), answer.len());
    assert!(!handshake.advance(at(1), &mut rx, &mut tx));
    assert_eq!(handshake.poll_timeout(), Some(at(3)));
    handshake.handle_timeout(at(3), &mut tx);
    let event = handshake.poll_event(at(3), &mut rx, &mut tx);
    assert!(matches!(event, Some(HandshakeEvent::Refused { body: b"abc", .. })), "{event:?}");
}

#[test]
fn a_frame_in_the_same_segment_as_the_answer_is_delivered() {
    let request = Request::new("ws://h").unwrap();
    let Asked { mut handshake, mut rx, mut tx } = ask(&request);
    let bytes = [answer_but(&request, &[]), b"\x81\x02hi".to_vec()].concat();
    assert_eq!(rx.push(&bytes), bytes.len());
    let Some(HandshakeEvent::Accepted { negotiated, .. }) =
        handshake.poll_event(NOW, &mut rx, &mut tx)
    else {
        panic!()
    };
    assert!(!handshake.advance(NOW, &mut rx, &mut tx));
    assert_eq!(handshake.transport(), Transport::Open);
    let mut conn = Connection::client(Config::default(), negotiated, &Seed::new([8; 32]), NOW);
    assert_eq!(conn.poll_event(NOW, &mut rx, &mut tx), Some(Event::Text("hi")));
}

#[test]
fn both_set_cookie_lines_are_visible() {
    let request = Request::new("ws://h").unwrap();
    let lines = [("\r\n\r\n", "\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n")];
    let Asked { mut handshake, mut rx, mut tx } = ask(&request);
    let answer = answer_but(&request, &lines);
    assert_eq!(rx.push(&answer), answer.len());
    let Some(HandshakeEvent::Accepted { head, .. }) = handshake.poll_event(NOW, &mut rx, &mut tx)
    else {
        panic!()
    };
    let cookies: Vec<_> = head.headers.get_all("Set-Cookie").collect();
    assert_eq!(cookies, [b"a=1", b"b=2"]);
}

// The server's side.

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn rfc_1_3_the_example_request_has_the_example_answer() {
    let answer = answer(
        REQUEST.as_bytes(),
        &ServerOptions { subprotocols: &["superchat", "chat"], ..ServerOptions::new() },
    );
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
}

fn judge_with(request: &str, options: &ServerOptions<'_>) -> Option<Rejection> {
    let mut rx = RecvBuf::with_limit(1 << 16);
    assert_eq!(rx.push(request.as_bytes()), request.len());
    let parsed: ParsedRequest =
        RequestParser::new().parse(&mut rx, &tidewire::http::Limits::default()).unwrap().unwrap();
    accept(&parsed.head(&rx), options).err()
}

fn judge(request: &str) -> Option<Rejection> {
    judge_with(request, &ServerOptions::default())
}

#[test]
fn rfc_4_2_1_a_request_that_lacks_something_is_rejected() {
    assert_eq!(judge(REQUEST), None);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (from, to, why, status) in [
        ("GET", "POST", Rejection::Method, 400),
        ("HTTP/1.1", "HTTP/1.0", Rejection::HttpVersion, 400),
        ("Upgrade: websocket\r\n", "", Rejection::Upgrade, 400),
        ("keep-alive, Upgrade", "keep-alive", Rejection::Connection, 400),
        ("Version: 13", "Version: 8", Rejection::Version, 426),
        ("Sec-WebSocket-Version: 13\r\n", "", Rejection::Version, 426),
        (key, "", Rejection::Key, 400),
        (key, &key.repeat(2)[..], Rejection::Key, 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", Rejection::Key, 400),
    ] {
        assert!(REQUEST.contains(from));
        assert_eq!(judge(&REQUEST.replace(from, to)), Some(why));
        assert_eq!(why.status().code(), status);
    }
}

#[test]
fn rfc_4_4_another_version_is_told_the_one_that_is_spoken() {
    let request = REQUEST.replace("Version: 13", "Version: 12");
    let text = String::from_utf8(answer(request.as_bytes(), &ServerOptions::default())).unwrap();
    assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{text}");
    assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn rfc_4_2_2_a_server_may_add_fields_of_its_own_behind_those_of_the_handshake() {
    let fields = &[("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X", "")];
    let text = answer(REQUEST.as_bytes(), &ServerOptions { fields, ..ServerOptions::new() });
    let text = String::from_utf8(text).unwrap();
    let end = "xOo=\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX: \r\n\r\n";
    assert!(text.starts_with("HTTP/1.1 101 ") && text.ends_with(end), "{text}");
}

#[test]
fn a_field_that_a_server_cannot_add_is_its_own_fault_and_not_sent() {
    for (name, value, why) in [
        ("Sec-WebSocket-Protocol", "chat", RequestError::Reserved),
        ("sec-websocket-extensions", "x", RequestError::Reserved),
        ("Sec-WebSocket-Accept", "x", RequestError::Reserved),
        ("UPGRADE", "websocket", RequestError::Reserved),
        ("connection", "close", RequestError::Reserved),
        ("Content-Length", "0", RequestError::Reserved),
        ("Transfer-Encoding", "chunked", RequestError::Reserved),
        ("a b", "x", RequestError::FieldName),
        ("", "x", RequestError::FieldName),
        ("X", "a\r\nSet-Cookie: b", RequestError::FieldValue),
    ] {
        let fields = &[("X-Good", "1"), (name, value)];
        let options = ServerOptions { fields, ..ServerOptions::new() };
        assert_eq!(judge_with(REQUEST, &options), Some(Rejection::Field(1, why)), "{name}");
        let text = String::from_utf8(answer(REQUEST.as_bytes(), &options)).unwrap();
        assert!(text.starts_with("HTTP/1.1 500 ") && !text.contains("Good"), "{text}");
    }
}

#[test]
fn rfc_10_2_a_function_may_judge_a_request_by_all_that_it_says() {
    let check = |head: &tidewire::http::RequestHead<'_>| {
        head.path() == "/public" || head.headers.get("Origin") == Some(b"https://example.com")
    };
    let options = ServerOptions { origins: Origins::Check(&check), ..ServerOptions::new() };
    assert_eq!(judge_with(REQUEST, &options), Some(Rejection::Origin));
    assert_eq!(judge_with(&REQUEST.replace("/chat", "/public"), &options), None);
    let ours = REQUEST.replace("Host: h\r\n", "Host: h\r\nOrigin: https://example.com\r\n");
    assert_eq!(judge_with(&ours, &options), None);
    // What is no handshake is told so first.
    let other = REQUEST.replace("Version: 13", "Version: 8");
    assert_eq!(judge_with(&other, &options), Some(Rejection::Version));
    assert_eq!(
        format!("{:?} {:?}", options.origins, Origins::List(&["a"])),
        r#"Check(..) List(["a"])"#
    );
}

// Redirects and authentication: the caller's policy.

/// What `HandshakeEvent::Refused` has of an answer with this status and location.
fn refused(status: u16, location: Option<&str>) -> OwnedResponseHead {
    let location = location.map_or_else(String::new, |to| format!("Location: {to}\r\n"));
    let answer = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n");
    let Asked { mut handshake, mut rx, mut tx } = ask(&Request::new("ws://h/").unwrap());
    assert_eq!(rx.push(answer.as_bytes()), answer.len());
    match handshake.poll_event(NOW, &mut rx, &mut tx) {
        Some(HandshakeEvent::Refused { why: Refusal::Status(_), head: Some(head), .. }) => head,
        other => panic!("{other:?}"),
    }
}

fn with_credentials(url: &str) -> Request {
    let fields = ["Cookie", "authorization", "Proxy-Authorization", "Host", "X"];
    let request = Request::new(url).unwrap();
    fields.iter().fold(request, |request, name| request.field(name, "v").unwrap())
}

#[test]
fn rfc_9110_15_4_a_request_follows_a_redirect_when_it_is_told_to() {
    for status in [301, 302, 303, 307, 308] {
        for (location, url, kept) in [
            ("/b", "ws://h/b", 5),
            ("?q=1#f", "ws://h/a?q=1", 5),
            ("ws://H:80/b", "ws://h/b", 5),
            // The same origin by another name: what was asked was a GET of HTTP.
            ("http://h/b", "http://h/b", 5),
            ("wss://h/b", "wss://h/b", 1),
            ("//other/b", "ws://other/b", 1),
            ("http://h:81/b", "http://h:81/b", 1),
        ] {
            let mut request = with_credentials("ws://h/a");
            assert_eq!(request.follow(refused(status, Some(location)).as_head()), Ok(true));
            assert_eq!(request.url().to_string(), url);
            // Credentials are not for another origin.
            assert_eq!(request.fields().count(), kept, "{location}");
        }
    }
}

#[test]
fn user_and_password_of_the_url_stay_with_their_origin() {
    for (location, told) in [("http://h/b", true), ("/b", true), ("//other/", false)] {
        let mut request = Request::new("ws://u:p@h/").unwrap();
        assert_eq!(request.follow(refused(302, Some(location)).as_head()), Ok(true));
        assert_eq!(request_text(&request).contains("\r\nAuthorization: Basic"), told, "{location}");
    }
}

#[test]
fn a_redirect_that_cannot_be_followed_changes_nothing() {
    let insecure = Err(RedirectError::Insecure);
    for (status, location, expected) in [
        (302, Some("ws://h/"), insecure),
        (302, Some("http://h/"), insecure),
        (302, Some("ftp://h/"), Err(RedirectError::Location)),
        (302, Some("wss://"), Err(RedirectError::Location)),
        (302, None, Err(RedirectError::Location)),
        // RFC 9110, 15.4: these are no redirects that a client follows by itself.
        (300, Some("/b"), Ok(false)),
        (304, Some("/b"), Ok(false)),
        (401, Some("/b"), Ok(false)),
        (200, None, Ok(false)),
    ] {
        let mut request = with_credentials("wss://h/a");
        assert_eq!(request.follow(refused(status, location).as_head()), expected);
        assert_eq!(request, with_credentials("wss://h/a"));
    }
}
