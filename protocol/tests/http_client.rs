//! The client's side of a connection: requests, held bodies, upgrades, deadlines.

mod http_support;

use core::time::Duration;
use http_support::*;
use tidewire::http::*;
use tidewire::{Instant, Machine, RecvBuf, SendBuf, Transport};

const HOST: [(&str, &str); 1] = [("Host", "h")];

fn after(seconds: u64) -> Instant {
    NOW + Duration::from_secs(seconds)
}

/// A client with its buffers.
struct Peer {
    client: Client,
    rx: RecvBuf,
    tx: SendBuf,
}

impl Peer {
    fn new() -> Self {
        Self {
            client: Client::new(ClientConfig::default(), NOW),
            rx: RecvBuf::with_limit(64 * 1024),
            tx: SendBuf::new(),
        }
    }

    /// One that has sent a request without body.
    fn asking(method: &str, fields: &[(&str, &str)]) -> Self {
        let mut peer = Self::new();
        peer.request(method, fields, BodyLength::EMPTY).unwrap();
        peer
    }

    fn request(
        &mut self,
        method: &str,
        fields: &[(&str, &str)],
        length: BodyLength,
    ) -> Result<(), Misuse> {
        let fields = HOST.iter().chain(fields).copied();
        let target = if method == "CONNECT" { "h:1" } else { "/" };
        self.client.request(method, target, fields, length, NOW, &mut self.tx)
    }

    fn receive(&mut self, bytes: &[u8]) {
        assert_eq!(self.rx.push(bytes), bytes.len());
    }

    fn poll(&mut self) -> Option<ClientEvent<'_>> {
        self.client.poll_event(NOW, &mut self.rx, &mut self.tx)
    }

    /// Polls until there is no event; returns how it closed, if it did.
    fn drain(&mut self) -> Option<Closed> {
        let mut closed = None;
        while let Some(event) = self.poll() {
            assert_eq!(closed, None, "Closed is the last event");
            if let ClientEvent::Closed(why) = event {
                closed = Some(why);
            }
        }
        closed
    }

    fn sent(&mut self) -> String {
        let sent: Vec<u8> = self.tx.slices().collect::<Vec<_>>().concat();
        self.tx.clear();
        String::from_utf8(sent).unwrap()
    }
}

#[test]
fn a_request_is_written_with_the_callers_fields_in_their_order_and_case() {
    let mut peer = Peer::new();
    let fields = [("hOST", "h:1"), ("Cookie", "a=b"), ("cookie", "c")];
    let (client, tx) = (&mut peer.client, &mut peer.tx);
    client.request("GET", "/a?b", fields, BodyLength::EMPTY, NOW, tx).unwrap();
    assert_eq!(peer.sent(), "GET /a?b HTTP/1.1\r\nhOST: h:1\r\nCookie: a=b\r\ncookie: c\r\n\r\n");
}

#[test]
fn the_body_of_a_request_is_framed_as_declared() {
    // RFC 9110, 8.6; RFC 9112, 6.
    for (method, length, framing, body) in [
        ("GET", BodyLength::EMPTY, "", ""),
        ("DELETE", BodyLength::EMPTY, "", ""),
        ("POST", BodyLength::EMPTY, "Content-Length: 0\r\n", ""),
        ("POST", BodyLength::Known(3), "Content-Length: 3\r\n", "abc"),
        (
            "PUT",
            BodyLength::Unknown,
            "Transfer-Encoding: chunked\r\n",
            "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        ),
    ] {
        let mut peer = Peer::new();
        peer.request(method, &[], length).unwrap();
        if length != BodyLength::EMPTY {
            peer.client.send_data(b"a", &mut peer.tx).unwrap();
            peer.client.send_shared(&b"bc"[..].into(), &mut peer.tx).unwrap();
        }
        peer.client.finish(&mut peer.tx).unwrap();
        let expected = format!("{method} / HTTP/1.1\r\nHost: h\r\n{framing}\r\n{body}");
        assert_eq!(peer.sent(), expected);
    }
}

#[test]
fn a_request_that_could_be_misread_is_not_sent() {
    let mut peer = Peer::new();
    let mut request = |method: &str, target: &str, fields: &[(&str, &str)]| {
        let fields = fields.iter().copied();
        peer.client.request(method, target, fields, BodyLength::EMPTY, NOW, &mut peer.tx)
    };
    for (method, target, fields, misuse) in [
        ("", "/", &HOST[..], Misuse::BadMethod),
        ("G T", "/", &HOST, Misuse::BadMethod),
        ("GET", "", &HOST, Misuse::BadTarget),
        ("GET", "a", &HOST, Misuse::BadTarget),
        ("GET", "/a b", &HOST, Misuse::BadTarget),
        ("GET", "/\r\n", &HOST, Misuse::BadTarget),
        ("GET", "/#a", &HOST, Misuse::BadTarget),
        ("GET", "/ä", &HOST, Misuse::BadTarget),
        ("GET", "*", &HOST, Misuse::BadTarget),
        ("CONNECT", "/", &HOST, Misuse::BadTarget),
        ("GET", "/", &[], Misuse::Host),
        ("GET", "/", &[("Host", "h"), ("host", "h")], Misuse::Host),
        // RFC 9110, 7.2: Host = uri-host [ ":" port ].
        ("GET", "/", &[("Host", "h/")], Misuse::Host),
        ("GET", "/", &[("Host", "user@h")], Misuse::Host),
        ("GET", "/", &[("Host", "h"), ("A\n", "b")], Misuse::BadFieldName(1)),
        ("GET", "/", &[("Host", "h\r\n")], Misuse::BadFieldValue(0)),
        ("GET", "/", &[("Content-Length", "1")], Misuse::FramingField(0)),
    ] {
        assert_eq!(request(method, target, fields), Err(misuse), "{method} {target}");
    }
    assert_eq!(peer.client.send_data(b"x", &mut peer.tx), Err(Misuse::NotBegun));
    assert_eq!(peer.sent(), "");
}

#[test]
fn one_exchange_follows_the_other() {
    let mut peer = Peer::new();
    for _ in 0..3 {
        assert!(peer.client.is_idle());
        peer.request("GET", &[], BodyLength::EMPTY).unwrap();
        assert_eq!(peer.request("GET", &[], BodyLength::EMPTY), Err(Misuse::Unfinished));
        peer.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
        assert_eq!(peer.poll(), Some(ClientEvent::Data(b"ok")));
        assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
        assert_eq!(peer.poll(), None);
    }
    peer.rx.finish();
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.client.transport(), Transport::Close);
    assert_eq!(peer.request("GET", &[], BodyLength::EMPTY), Err(Misuse::Closed));
}

#[test]
fn a_request_with_close_is_the_last() {
    // RFC 9112, 9.6.
    let mut peer = Peer::asking("GET", &[("Connection", "close")]);
    peer.receive(b"HTTP/1.1 204\r\n\r\n");
    assert_eq!(peer.drain(), Some(Closed::Done));
}

#[test]
fn a_request_that_is_answered_early_may_be_finished_or_given_up() {
    // RFC 9112, 9.3 and 9.5.
    let early = |close: &str| {
        let mut peer = Peer::new();
        peer.request("POST", &[], BodyLength::Known(9)).unwrap();
        let head = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n";
        peer.receive(format!("{head}{close}\r\n").as_bytes());
        assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 413));
        peer.client.send_data(b"still", &mut peer.tx).unwrap();
        assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
        peer
    };
    let mut finished = early("");
    assert_eq!(finished.drain(), None);
    assert!(!finished.client.is_idle());
    finished.client.send_data(b"more", &mut finished.tx).unwrap();
    finished.client.finish(&mut finished.tx).unwrap();
    assert_eq!(finished.drain(), None);
    assert!(finished.client.is_idle());

    let mut given_up = early("");
    given_up.client.shutdown();
    assert_eq!(given_up.drain(), Some(Closed::Done));

    let mut closed = early("Connection: close\r\n");
    assert_eq!(closed.client.close_reason(), Some(CloseReason::ServerSaidClose));
    assert_eq!(closed.drain(), Some(Closed::Done));
    assert_eq!(closed.client.send_data(b"x", &mut closed.tx), Err(Misuse::Closed));

    // The server has left: the rest of the request is for nobody.
    let mut left = early("");
    left.rx.finish();
    assert_eq!(left.drain(), Some(Closed::Eof));
}

#[test]
fn a_body_that_expects_100_waits_for_it() {
    // RFC 9110, 10.1.1.
    let expect = || {
        let mut peer = Peer::new();
        peer.request("PUT", &[("Expect", "100-Continue")], BodyLength::Known(1)).unwrap();
        assert!(peer.client.awaits_continue());
        assert_eq!(peer.drain(), None);
        assert_eq!(peer.client.next_timer(), Some((after(1), Timer::Continue)));
        peer
    };
    // The server may say nothing.
    let mut peer = expect();
    peer.client.handle_timeout(after(1), &mut peer.tx);
    assert_eq!(peer.poll(), Some(ClientEvent::Continue));
    assert_eq!(peer.drain(), None);
    assert!(!peer.client.awaits_continue());
    peer.receive(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Informational(_))));
    assert_eq!(peer.poll(), None, "the body is told of once");

    // A final response instead: the body is not wanted.
    let mut peer = expect();
    peer.receive(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 417));
    assert_eq!(peer.client.send_data(b"x", &mut peer.tx), Err(Misuse::BodyRefused));
    assert_eq!(peer.client.finish(&mut peer.tx), Err(Misuse::BodyRefused));
    assert_eq!(peer.client.close_reason(), Some(CloseReason::NoContinue));
    assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
    assert_eq!(peer.drain(), Some(Closed::Done));

    // A client need not wait. To send nothing is to wait.
    let mut peer = expect();
    peer.client.send_data(b"", &mut peer.tx).unwrap();
    assert!(peer.client.awaits_continue());
    peer.client.send_data(b"x", &mut peer.tx).unwrap();
    peer.client.finish(&mut peer.tx).unwrap();
    peer.receive(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Informational(_))));
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
    assert!(peer.client.keep_alive());

    // Without a body there is nothing to wait for.
    let mut peer = Peer::asking("GET", &[("Expect", "100-continue")]);
    assert!(!peer.client.awaits_continue());
    assert_ne!(peer.client.next_timer().map(|(_, timer)| timer), Some(Timer::Continue));
    assert_eq!(peer.drain(), None);
}

#[test]
fn a_request_ends_with_trailers() {
    // RFC 9110, 6.5.
    let mut peer = Peer::new();
    peer.request("PUT", &[("Trailer", "Digest")], BodyLength::Unknown).unwrap();
    peer.client.send_data(b"x", &mut peer.tx).unwrap();
    let refused = peer.client.finish_with_trailers([("Host", "h")], &mut peer.tx);
    assert_eq!(refused, Err(Misuse::ForbiddenTrailer(0)));
    peer.client.finish_with_trailers([("Digest", "d")], &mut peer.tx).unwrap();
    assert!(peer.sent().ends_with("\r\n\r\n1\r\nx\r\n0\r\nDigest: d\r\n\r\n"));
    assert_eq!(peer.client.states().client, State::Done);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    // RFC 9112, 9.3.2.
    let mut peer = Peer::new();
    peer.client = Client::new(ClientConfig { pipeline_depth: 3, ..ClientConfig::default() }, NOW);
    peer.request("GET", &[], BodyLength::EMPTY).unwrap();
    peer.request("HEAD", &[], BodyLength::EMPTY).unwrap();
    peer.request("PUT", &[], BodyLength::Known(1)).unwrap();
    assert_eq!(peer.request("GET", &[], BodyLength::EMPTY), Err(Misuse::Unfinished));
    assert_eq!(peer.client.unanswered(), 3);
    peer.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
    assert_eq!(peer.client.unanswered(), 2);
    assert_eq!(peer.poll(), Some(ClientEvent::Data(b"a")));
    assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
    assert_eq!(peer.drain(), None);
    // The body of the last one is still under way.
    assert_eq!(peer.request("GET", &[], BodyLength::EMPTY), Err(Misuse::Unfinished));
    peer.client.send_data(b"p", &mut peer.tx).unwrap();
    peer.client.finish(&mut peer.tx).unwrap();
    peer.request("GET", &[], BodyLength::EMPTY).unwrap();
    // The second was a HEAD: its length announces nothing here.
    peer.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 201 x\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 200));
    assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
    assert_eq!(peer.poll(), None);
    peer.receive(b"Content-Length: 0\r\n\r\nHTTP/1.1 202 x\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 201));
    assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 202));
    assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
    assert_eq!(peer.drain(), None);
    assert!(peer.client.is_idle());
    assert_eq!(peer.client.unanswered(), 0);
    // And from here on as before.
    peer.request("POST", &[], BodyLength::EMPTY).unwrap();
    peer.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx");
    assert!(matches!(peer.drain(), Some(Closed::Protocol(_))));
}

#[test]
fn what_was_pipelined_behind_the_last_answer_is_told_as_unanswered() {
    // RFC 9112, 9.3.2: the client may send those again, on another connection.
    let mut peer = Peer::new();
    peer.client = Client::new(ClientConfig { pipeline_depth: 9, ..ClientConfig::default() }, NOW);
    for _ in 0..5 {
        peer.request("GET", &[], BodyLength::EMPTY).unwrap();
    }
    peer.receive(b"HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\nConnection: close\r\n\r\n");
    peer.receive(b"HTTP/1.1 204 x\r\n\r\n");
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.client.unanswered(), 3);
    assert_eq!(peer.client.close_reason(), Some(CloseReason::ServerSaidClose));

    // Its own `close` ends the sending, and every answer is still read.
    let mut peer = Peer::new();
    peer.client = Client::new(ClientConfig { pipeline_depth: 9, ..ClientConfig::default() }, NOW);
    peer.request("GET", &[], BodyLength::EMPTY).unwrap();
    peer.request("GET", &[("Connection", "close")], BodyLength::EMPTY).unwrap();
    assert_eq!(peer.request("GET", &[], BodyLength::EMPTY), Err(Misuse::Closed));
    peer.receive(b"HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n");
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.client.unanswered(), 0);
}

#[test]
fn only_idempotent_requests_are_pipelined() {
    // RFC 9112, 9.3.2; RFC 9110, 7.8 and 9.3.6.
    let config = ClientConfig { pipeline_depth: 2, ..ClientConfig::default() };
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "x")];
    let cases: [(&str, &[(&str, &str)]); 3] = [("POST", &[]), ("CONNECT", &[]), ("GET", &upgrade)];
    for (method, fields) in cases {
        for alone_first in [true, false] {
            let mut peer = Peer::new();
            peer.client = Client::new(config, NOW);
            let (first, second) = ((method, fields), ("GET", &[][..]));
            let (first, second) = if alone_first { (first, second) } else { (second, first) };
            peer.request(first.0, first.1, BodyLength::EMPTY).unwrap();
            let refused = peer.request(second.0, second.1, BodyLength::EMPTY);
            let proposed = alone_first && method != "POST";
            let why = if proposed { Misuse::Unfinished } else { Misuse::NotPipelined };
            assert_eq!(refused, Err(why), "{method}, {alone_first}");
        }
    }
}

#[test]
fn a_server_that_takes_nothing_is_given_up() {
    let mut peer = Peer::new();
    peer.request("POST", &[], BodyLength::Unknown).unwrap();
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.client.next_timer(), Some((after(30), Timer::Write)));
    peer.tx.consume(1);
    peer.client.handle_timeout(after(30), &mut peer.tx);
    assert_eq!(peer.drain(), None);
    peer.client.handle_timeout(after(60), &mut peer.tx);
    assert_eq!(peer.drain(), Some(Closed::Timeout(Timer::Write)));
}

#[test]
fn a_kept_connection_has_an_idle_deadline_if_one_is_set() {
    let config =
        ClientConfig { idle_timeout: Some(Duration::from_secs(9)), ..ClientConfig::default() };
    let mut peer = Peer::new();
    peer.client = Client::new(config, NOW);
    assert_eq!(peer.client.next_timer(), Some((after(9), Timer::Idle)));
    peer.request("GET", &[], BodyLength::EMPTY).unwrap();
    peer.sent();
    peer.receive(b"HTTP/1.1 204 x\r\n\r\n");
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.client.next_timer(), Some((after(9), Timer::Idle)));
    peer.client.handle_timeout(after(9), &mut peer.tx);
    assert_eq!(peer.drain(), Some(Closed::Timeout(Timer::Idle)));
}

#[test]
fn shutdown_waits_for_what_was_asked_and_abort_does_not() {
    let mut peer = Peer::new();
    peer.client.shutdown();
    assert_eq!(peer.drain(), Some(Closed::Done));

    let mut peer = Peer::asking("GET", &[]);
    peer.client.shutdown();
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.request("GET", &[], BodyLength::EMPTY), Err(Misuse::Closed));
    peer.receive(b"HTTP/1.1 204 x\r\n\r\n");
    assert_eq!(peer.drain(), Some(Closed::Done));

    let mut peer = Peer::asking("GET", &[]);
    peer.client.abort();
    assert_eq!(peer.client.transport(), Transport::Close);
    assert_eq!(peer.drain(), Some(Closed::Aborted));
}

#[test]
fn interim_responses_are_told_apart() {
    // RFC 9110, 15.2.
    let mut peer = Peer::new();
    peer.request("POST", &[("Expect", "100-continue")], BodyLength::Known(1)).unwrap();
    peer.receive(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Informational(head)) if head.status == 100));
    assert_eq!(peer.poll(), Some(ClientEvent::Continue));
    assert!(matches!(
        peer.poll(),
        Some(ClientEvent::Informational(head)) if head.headers.get_str("link") == Some("<a>")
    ));
    assert_eq!(peer.poll(), None);
    peer.client.send_data(b"x", &mut peer.tx).unwrap();
    peer.client.finish(&mut peer.tx).unwrap();
    peer.receive(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 204));
}

#[test]
fn after_101_the_raw_bytes_are_the_other_protocols() {
    // RFC 9110, 7.8. The phrase may be missing.
    let mut peer = Peer::asking("GET", &[("Connection", "Upgrade"), ("Upgrade", "x")]);
    peer.receive(b"HTTP/1.1 101\r\nUpgrade: x\r\n\r\n\x81\x01a");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 101));
    assert_eq!(peer.poll(), None);
    assert!(peer.client.is_upgraded());
    assert_eq!(peer.rx.raw(), b"\x81\x01a");
    assert_eq!((peer.client.transport(), peer.client.poll_timeout()), (Transport::Open, None));
    peer.rx.finish();
    assert_eq!(peer.poll(), None);
}

#[test]
fn a_101_that_nobody_asked_for_is_refused() {
    let mut peer = Peer::asking("GET", &[]);
    peer.receive(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    let Some(Closed::Protocol(error)) = peer.drain() else { panic!() };
    assert_eq!(error.kind, ErrorKind::UnexpectedUpgrade);
}

#[test]
fn a_success_in_answer_to_connect_is_a_tunnel_and_a_failure_has_a_body() {
    // RFC 9110, 9.3.6; RFC 9112, 6.3: whatever it says of a body is ignored.
    for fields in [
        "",
        "Content-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Content-Length: none\r\n",
    ] {
        let mut peer = Peer::asking("CONNECT", &[]);
        peer.receive(format!("HTTP/1.1 200 Connection established\r\n{fields}\r\nraw").as_bytes());
        assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))), "{fields}");
        assert_eq!(peer.poll(), None);
        assert_eq!(peer.rx.raw(), b"raw");
        assert!(peer.client.is_upgraded());
    }

    let mut peer = Peer::asking("CONNECT", &[]);
    peer.receive(b"HTTP/1.1 407 x\r\nContent-Length: 3\r\n\r\nwho");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
    assert_eq!(peer.poll(), Some(ClientEvent::Data(b"who")));
}

#[test]
fn a_held_body_is_decoded_into_content_and_stays_there() {
    let mut peer = Peer::asking("GET", &[]);
    peer.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
    peer.client.hold_body();
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.rx.content(), b"hel");
    peer.receive(b"lo\r\n7;a\r\n, world\r\n");
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.rx.content(), b"hello, world");
    peer.rx.consume(7);
    peer.receive(b"0\r\nA: b\r\n");
    assert_eq!(peer.poll(), None);
    peer.receive(b"\r\n");
    let Some(ClientEvent::End(trailers)) = peer.poll() else { panic!() };
    assert_eq!(trailers.get("a"), Some(&b"b"[..]));
    assert_eq!(peer.rx.content(), b"world");
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.rx.content(), b"world");
    peer.rx.consume(5);
    assert!(peer.client.is_idle() && peer.rx.is_empty());

    // The next one is lent again.
    peer.request("GET", &[], BodyLength::EMPTY).unwrap();
    peer.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
    assert_eq!(peer.poll(), Some(ClientEvent::Data(b"x")));
}

#[test]
fn a_held_body_that_fills_the_buffer_waits_to_be_consumed() {
    let mut peer = Peer::asking("GET", &[]);
    peer.rx = RecvBuf::with_limit(64);
    peer.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
    peer.client.hold_body();
    assert_eq!(peer.poll(), None);
    peer.receive(b"28\r\n0123456789012345678901234567890123456789\r\n0\r\n");
    assert_eq!(peer.poll(), None);
    peer.receive(b"Trailer-A: bbbbbbbbbbbbb");
    assert!(peer.rx.is_full());
    // A buffer full of content is no reason to refuse the trailers.
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.rx.content().len(), 40);
    peer.rx.consume(40);
    peer.receive(b"\r\n\r\n");
    let Some(ClientEvent::End(trailers)) = peer.poll() else { panic!() };
    assert_eq!(trailers.get("trailer-a"), Some(&b"bbbbbbbbbbbbb"[..]));
}

#[test]
fn each_phase_has_its_deadline_and_says_so() {
    let expire = |peer: &mut Peer, at: u64, timer: Timer| {
        assert_eq!(peer.client.next_timer(), Some((after(at), timer)));
        peer.client.handle_timeout(after(at), &mut peer.tx);
        assert_eq!(peer.drain(), Some(Closed::Timeout(timer)));
        assert_eq!((peer.client.transport(), peer.client.poll_timeout()), (Transport::Close, None));
    };
    assert_eq!(Peer::new().client.poll_timeout(), None);

    // A head, from the end of the request; interim responses do not put it off.
    let mut peer = Peer::asking("GET", &[]);
    peer.sent();
    peer.receive(b"HTTP/1.1 103 x\r\n\r\n");
    peer.client.poll_event(after(20), &mut peer.rx, &mut peer.tx);
    peer.client.poll_event(after(20), &mut peer.rx, &mut peer.tx);
    expire(&mut peer, 30, Timer::Head);

    // A request that is not over has none yet.
    let mut peer = Peer::new();
    peer.request("POST", &[], BodyLength::Unknown).unwrap();
    peer.sent();
    peer.drain();
    assert_eq!(peer.client.poll_timeout(), None);
    peer.client.finish(&mut peer.tx).unwrap();
    peer.sent();
    peer.client.advance(after(5), &mut peer.rx, &mut peer.tx);
    expire(&mut peer, 35, Timer::Head);

    // A body, from the last progress on.
    let mut peer = Peer::asking("GET", &[]);
    peer.sent();
    peer.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    peer.drain();
    peer.receive(b"x");
    for _ in 0..2 {
        peer.client.poll_event(after(20), &mut peer.rx, &mut peer.tx);
    }
    expire(&mut peer, 80, Timer::Body);
}

#[test]
fn a_body_above_the_limit_is_refused_where_it_exceeds_it() {
    let config = ClientConfig { max_body: 4, ..ClientConfig::default() };
    let setup = Setup { client: config, eof: true, ..Setup::default() };
    for (response, told) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &b""[..]),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", b""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo", b"hel"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", b"hell"),
    ] {
        let run = every_way(response.as_bytes(), |pieces| ask(&setup, "GET", pieces));
        assert_eq!(run.error(), Some(ErrorKind::BodyTooLarge), "{response}");
        let data = run.told.iter().find_map(|told| match told {
            Told::Data(data) => Some(&data[..]),
            _ => None,
        });
        assert_eq!(data.unwrap_or_default(), told, "{response}");
    }
}

#[test]
fn a_machine_is_a_machine() {
    fn poll<M: Machine>(machine: &mut M, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        machine.advance(NOW, rx, tx) && machine.event(NOW, rx, tx).is_some()
    }
    let mut peer = Peer::asking("GET", &[]);
    peer.receive(b"HTTP/1.1 204\r\n\r\n");
    assert!(poll(&mut peer.client, &mut peer.rx, &mut peer.tx));
    assert!(poll(&mut peer.client, &mut peer.rx, &mut peer.tx));
    assert!(!poll(&mut peer.client, &mut peer.rx, &mut peer.tx));
}

// RFC 9112, 8: such a response is complete unless the connection below says that something went wrong.
#[test]
fn a_response_until_the_end_of_the_connection_is_not_whole_if_that_broke() {
    for (fails, expected) in [(false, ["data", "end", "done"]), (true, ["data", "", "eof"])] {
        let mut peer = Peer::asking("GET", &[]);
        peer.receive(b"HTTP/1.1 200 OK\r\n\r\nabc");
        assert!(matches!(peer.poll(), Some(ClientEvent::Response(_))));
        if fails {
            peer.rx.fail();
        } else {
            peer.rx.finish();
        }
        assert!(peer.rx.is_finished() && peer.rx.is_failed() == fails);
        let mut seen = Vec::new();
        while let Some(event) = peer.poll() {
            seen.push(match event {
                ClientEvent::Data(b"abc") => "data",
                ClientEvent::End(_) => "end",
                ClientEvent::Closed(Closed::Done) => "done",
                ClientEvent::Closed(Closed::Eof) => "eof",
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(seen, expected.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>());
        // The next connection has nothing to do with it.
        peer.rx.clear();
        assert!(!peer.rx.is_finished() && !peer.rx.is_failed());
    }
}
