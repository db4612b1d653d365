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
fn a_response_to_an_unfinished_request_leaves_nothing_to_go_on_with() {
    // RFC 9112, 9.3.
    let mut peer = Peer::new();
    peer.request("POST", &[], BodyLength::Known(9)).unwrap();
    peer.receive(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Response(head)) if head.status == 413));
    peer.client.send_data(b"still", &mut peer.tx).unwrap();
    assert!(matches!(peer.poll(), Some(ClientEvent::End(_))));
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.client.send_data(b"x", &mut peer.tx), Err(Misuse::Closed));
}

#[test]
fn interim_responses_are_told_apart() {
    // RFC 9110, 15.2.
    let mut peer = Peer::new();
    peer.request("POST", &[("Expect", "100-continue")], BodyLength::Known(1)).unwrap();
    peer.receive(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ClientEvent::Informational(head)) if head.status == 100));
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
    peer.receive(b"HTTP/1.1 103 x\r\n\r\n");
    peer.client.poll_event(after(20), &mut peer.rx, &mut peer.tx);
    peer.client.poll_event(after(20), &mut peer.rx, &mut peer.tx);
    expire(&mut peer, 30, Timer::Head);

    // A request that is not over has none yet.
    let mut peer = Peer::new();
    peer.request("POST", &[], BodyLength::Unknown).unwrap();
    peer.drain();
    assert_eq!(peer.client.poll_timeout(), None);
    peer.client.finish(&mut peer.tx).unwrap();
    peer.client.advance(after(5), &mut peer.rx, &mut peer.tx);
    expire(&mut peer, 35, Timer::Head);

    // A body, from the last progress on.
    let mut peer = Peer::asking("GET", &[]);
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
