//! The server's side of a connection: persistence, early responses, upgrades, streams, deadlines.

mod http_support;

use core::time::Duration;
use http_support::*;
use tidewire::http::*;
use tidewire::{Instant, Machine, RecvBuf, SendBuf, Transport};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const LENGTH_2: BodyLength = BodyLength::Known(2);

fn after(seconds: u64) -> Instant {
    NOW + Duration::from_secs(seconds)
}

/// A server with its buffers.
struct Peer {
    server: Server,
    rx: RecvBuf,
    tx: SendBuf,
}

impl Peer {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        Self {
            server: Server::new(config, NOW),
            rx: RecvBuf::with_limit(64 * 1024),
            tx: SendBuf::new(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        assert_eq!(self.rx.push(bytes), bytes.len());
    }

    fn poll(&mut self) -> Option<ServerEvent<'_>> {
        self.server.poll_event(NOW, &mut self.rx, &mut self.tx)
    }

    /// Polls until there is no event; returns how it closed, if it did.
    fn drain(&mut self) -> Option<Closed> {
        let mut closed = None;
        while let Some(event) = self.poll() {
            assert_eq!(closed, None, "Closed is the last event");
            if let ServerEvent::Closed(why) = event {
                closed = Some(why);
            }
        }
        closed
    }

    fn respond(&mut self, status: u16, length: BodyLength) -> Result<(), Misuse> {
        let status = Status::new(status).unwrap();
        self.server.respond(status, NO_FIELDS, length, NOW, &mut self.tx)
    }

    fn ok(&mut self) {
        self.respond(200, LENGTH_2).unwrap();
        self.server.send_data(b"ok", &mut self.tx).unwrap();
        self.server.finish(&mut self.tx).unwrap();
    }

    fn sent(&mut self) -> String {
        let sent: Vec<u8> = self.tx.slices().collect::<Vec<_>>().concat();
        self.tx.clear();
        String::from_utf8(sent).unwrap()
    }
}

#[test]
fn persistence_follows_version_and_connection_options() {
    // RFC 9112, 9.3.
    for (request, goes_on, option) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, ""),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false, "close"),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, CLOSE\r\n\r\n", false, "close"),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: foo\r\nConnection: close\r\n\r\n",
            false,
            "close",
        ),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true, ""),
        // RFC 9110, 7.6.1: an option is a token, so a quote hides nothing.
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: \"foo, close\r\n\r\n", false, "close"),
        ("GET / HTTP/1.0\r\n\r\n", false, "close"),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, "keep-alive"),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", false, "close"),
    ] {
        let run = serve(&Setup::default(), [request.as_bytes(), request.as_bytes()]);
        assert_eq!(run.requests(), if goes_on { 2 } else { 1 }, "{request}");
        assert_eq!(run.closed(), (!goes_on).then_some(Closed::Done), "{request}");
        let line = match option {
            "" => String::new(),
            option => format!("Connection: {option}\r\n"),
        };
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{line}\r\nok");
        let expected = response.repeat(if goes_on { 2 } else { 1 });
        assert_eq!(String::from_utf8(run.sent).unwrap(), expected, "{request}");
    }
}

#[test]
fn a_server_answers_pipelined_requests_in_order_and_one_at_a_time() {
    // RFC 9112, 9.3.2.
    let mut peer = Peer::new();
    peer.receive(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(head)) if head.target == "/1"));
    assert!(matches!(peer.poll(), Some(ServerEvent::End(_))));
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.poll(), None);
    assert!(peer.server.is_response_due());
    peer.ok();
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(head)) if head.target == "/2"));
}

#[test]
fn a_client_that_takes_no_responses_is_not_let_ask_for_more() {
    // RFC 9112, 9.3.2: pipelined requests need not be answered before the response before is out.
    let config = ServerConfig { send_high_water: 100, ..ServerConfig::default() };
    let mut peer = Peer::with(config);
    for _ in 0..100 {
        peer.receive(GET);
    }
    let mut answered = 0;
    for round in 1..=50 {
        while let Some(event) = peer.poll() {
            if let ServerEvent::Request(_) = event {
                peer.ok();
                answered += 1;
            }
        }
        assert_eq!((answered, peer.tx.len() < 200), ((3 * round).min(100), true));
        let next = if peer.tx.is_empty() { (60, Timer::Idle) } else { (30, Timer::Write) };
        assert_eq!(peer.server.next_timer(), Some((after(next.0), next.1)));
        peer.tx.clear();
    }
    assert_eq!(answered, 100);
    peer.receive(GET.repeat(4).as_slice());
    while let Some(event) = peer.poll() {
        if let ServerEvent::Request(_) = event {
            peer.ok();
        }
    }
    peer.server.handle_timeout(after(30), &mut peer.tx);
    assert_eq!(peer.drain(), Some(Closed::Timeout(Timer::Write)));
}

#[test]
fn a_client_that_takes_a_little_now_and_then_has_not_stalled() {
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    peer.respond(200, BodyLength::Unknown).unwrap();
    peer.server.send_data(&[b'x'; 1000], &mut peer.tx).unwrap();
    assert_eq!(peer.drain(), None);
    for round in 1..20 {
        peer.tx.consume(1);
        let now = after(20 * round);
        if round % 2 == 0 {
            // Seen when it happens, the deadline moves.
            assert!(!peer.server.advance(now, &mut peer.rx, &mut peer.tx));
            assert_eq!(peer.server.next_timer(), Some((after(20 * round + 30), Timer::Write)));
        } else {
            // Seen only at the deadline, it counts as well.
            peer.server.handle_timeout(after(20 * round + 10), &mut peer.tx);
            assert_eq!(peer.drain(), None);
        }
    }
    peer.server.handle_timeout(after(1000), &mut peer.tx);
    assert_eq!(peer.drain(), Some(Closed::Timeout(Timer::Write)));
    assert_eq!(peer.server.transport(), Transport::Down, "nothing would leave");
}

#[test]
fn what_the_transport_keeps_has_not_been_taken() {
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    peer.respond(200, BodyLength::EMPTY).unwrap();
    peer.tx.consume(peer.tx.len());
    peer.tx.transport_keeps(true);
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.server.next_timer(), Some((after(30), Timer::Write)));
    peer.tx.transport_moved();
    assert!(!peer.server.advance(after(20), &mut peer.rx, &mut peer.tx));
    assert_eq!(peer.server.next_timer(), Some((after(50), Timer::Write)));
    peer.server.handle_timeout(after(50), &mut peer.tx);
    assert_eq!(peer.drain(), Some(Closed::Timeout(Timer::Write)));
}

#[test]
fn a_shutdown_waits_for_what_the_transport_keeps() {
    for (keeps, wanted) in [(true, Transport::Close), (false, Transport::Down)] {
        let mut peer = Peer::new();
        peer.receive(GET);
        peer.drain();
        peer.respond(200, BodyLength::EMPTY).unwrap();
        peer.tx.consume(peer.tx.len());
        peer.tx.transport_keeps(keeps);
        assert_eq!(peer.drain(), None);
        peer.server.shutdown(after(1));
        assert_eq!(peer.drain(), Some(Closed::Done));
        assert_eq!(peer.server.transport(), wanted);
    }
}

#[test]
fn who_is_told_that_it_is_the_last_response_is_waited_for() {
    // RFC 9112, 9.6: a client that pipelines may have asked for more meanwhile.
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    peer.server.shutdown(after(1));
    peer.respond(200, BodyLength::EMPTY).unwrap();
    peer.tx.consume(peer.tx.len());
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.server.transport(), Transport::Close);
}

#[test]
fn a_stream_is_chunked_and_a_second_request_is_not_answered_into_it() {
    let mut peer = Peer::new();
    peer.receive(GET);
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    peer.respond(200, BodyLength::Unknown).unwrap();
    peer.drain();
    peer.receive(GET);
    for _ in 0..3 {
        assert_eq!(peer.poll(), None);
        peer.server.send_data(b"hello", &mut peer.tx).unwrap();
        peer.server.send_data(b"", &mut peer.tx).unwrap();
    }
    assert!(peer.server.is_responding());
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(peer.sent(), format!("{head}{}", "5\r\nhello\r\n".repeat(3)));
    peer.server.finish(&mut peer.tx).unwrap();
    assert_eq!(peer.sent(), "0\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
}

#[test]
fn a_client_that_leaves_a_stream_ends_it_at_once() {
    for pipelined in [&b""[..], GET] {
        let mut peer = Peer::new();
        peer.receive(GET);
        peer.receive(pipelined);
        assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
        peer.respond(200, BodyLength::Unknown).unwrap();
        peer.server.end_on_eof();
        assert_eq!(peer.drain(), None);
        peer.rx.finish();
        assert_eq!(peer.drain(), Some(Closed::Eof));
        assert_eq!(peer.server.transport(), Transport::Close);
        assert_eq!(peer.server.send_data(b"x", &mut peer.tx), Err(Misuse::Closed));
    }
}

#[test]
fn the_last_response_may_be_finished_before_the_request_is_looked_at_to_its_end() {
    // RFC 9112, 9.6.
    for request in
        ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"]
    {
        let mut peer = Peer::new();
        peer.receive(request.as_bytes());
        assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
        peer.ok();
        assert!(matches!(peer.poll(), Some(ServerEvent::End(_))));
        assert_eq!(peer.drain(), Some(Closed::Done), "{request}");
    }
}

#[test]
fn what_follows_a_response_with_close_is_dropped() {
    // RFC 9112, 9.6. So a stream goes on noticing that its client leaves, however much it sends.
    let mut peer = Peer::new();
    peer.receive(b"GET / HTTP/1.0\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    peer.respond(200, BodyLength::Unknown).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for _ in 0..100 {
        peer.receive(&[b'x'; 60_000]);
        assert_eq!(peer.drain(), None);
    }
    assert!(peer.rx.is_empty());
    peer.server.send_data(b"raw", &mut peer.tx).unwrap();
    peer.server.finish(&mut peer.tx).unwrap();
    assert_eq!(peer.sent(), "raw");
    assert_eq!(peer.drain(), Some(Closed::Done));
}

#[test]
fn a_request_that_came_whole_before_the_end_is_still_answered() {
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.receive(GET);
    peer.rx.finish();
    for _ in 0..2 {
        assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
        assert!(matches!(peer.poll(), Some(ServerEvent::End(_))));
        assert_eq!(peer.poll(), None);
        peer.ok();
    }
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.poll(), None);
}

#[test]
fn a_response_to_head_has_the_fields_of_get_and_no_body() {
    // RFC 9110, 9.3.2.
    for (length, field) in
        [(LENGTH_2, "Content-Length: 2"), (BodyLength::Unknown, "Transfer-Encoding: chunked")]
    {
        let mut peer = Peer::new();
        peer.receive(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.drain();
        peer.respond(200, length).unwrap();
        peer.server.send_data(b"ok", &mut peer.tx).unwrap();
        peer.server.finish(&mut peer.tx).unwrap();
        assert_eq!(peer.sent(), format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n"));
        peer.drain();
        assert!(peer.server.is_idle());
    }
}

#[test]
fn responses_of_204_and_304_have_no_body() {
    // RFC 9110, 8.6 and 15.3.5, 15.4.5; RFC 9112, 6.3.
    let mut peer = Peer::new();
    let next = |peer: &mut Peer| {
        peer.receive(GET);
        peer.drain();
    };
    next(&mut peer);
    assert_eq!(peer.respond(204, LENGTH_2), Err(Misuse::BodyNotAllowed));
    assert_eq!(peer.respond(204, BodyLength::Unknown), Err(Misuse::BodyNotAllowed));
    assert_eq!(peer.respond(205, LENGTH_2), Err(Misuse::BodyNotAllowed));
    peer.respond(204, BodyLength::EMPTY).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 204 No Content\r\n\r\n");
    next(&mut peer);
    peer.respond(304, BodyLength::EMPTY).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 304 Not Modified\r\n\r\n");
    next(&mut peer);
    peer.respond(304, LENGTH_2).unwrap();
    peer.server.send_data(b"ok", &mut peer.tx).unwrap();
    peer.server.finish(&mut peer.tx).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n");
    next(&mut peer);
    peer.respond(404, BodyLength::EMPTY).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    next(&mut peer);
    assert!(peer.server.is_response_due());
}

#[test]
fn a_body_of_announced_length_has_that_length() {
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    assert_eq!(peer.server.send_data(b"x", &mut peer.tx), Err(Misuse::NotBegun));
    peer.respond(200, LENGTH_2).unwrap();
    assert_eq!(peer.respond(200, LENGTH_2), Err(Misuse::Unfinished));
    peer.server.send_data(b"o", &mut peer.tx).unwrap();
    assert_eq!(peer.server.finish(&mut peer.tx), Err(Misuse::BodyTooShort));
    assert_eq!(peer.server.send_data(b"kk", &mut peer.tx), Err(Misuse::BodyTooLong));
    peer.server.send_shared(&b"k"[..].into(), &mut peer.tx).unwrap();
    peer.server.finish(&mut peer.tx).unwrap();
    peer.server.finish(&mut peer.tx).unwrap();
    assert!(peer.sent().ends_with("\r\n\r\nok"));
    assert_eq!(peer.respond(200, LENGTH_2), Err(Misuse::NoRequest));
}

#[test]
fn fields_cannot_be_injected() {
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    let mut respond = |name: &str, value: &[u8]| {
        let fields = [("A", &b"b"[..]), (name, value)];
        let server = &mut peer.server;
        server.respond(Status::OK, fields, BodyLength::EMPTY, NOW, &mut peer.tx)
    };
    for (name, value, misuse) in [
        ("A b", &b"c"[..], Misuse::BadFieldName(1)),
        ("A:", b"b", Misuse::BadFieldName(1)),
        ("A\r\nB", b"c", Misuse::BadFieldName(1)),
        ("", b"c", Misuse::BadFieldName(1)),
        ("Ä", b"c", Misuse::BadFieldName(1)),
        ("B", b"c\r\nD: e", Misuse::BadFieldValue(1)),
        ("B", b"c\n", Misuse::BadFieldValue(1)),
        ("B", b"\0", Misuse::BadFieldValue(1)),
        ("content-length", b"0", Misuse::FramingField(1)),
        ("Transfer-Encoding", b"chunked", Misuse::FramingField(1)),
        ("Connection", b"Keep-Alive", Misuse::FramingField(1)),
    ] {
        assert_eq!(respond(name, value), Err(misuse), "{name}");
    }
    respond("B", "ä\t c".as_bytes()).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 200 OK\r\nA: b\r\nB: ä\t c\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn connection_close_given_by_the_caller_closes() {
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    let fields = [("Upgrade", "h2c"), ("Connection", "upgrade, close")];
    let (server, tx) = (&mut peer.server, &mut peer.tx);
    server.respond(Status::UPGRADE_REQUIRED, fields, BodyLength::EMPTY, NOW, tx).unwrap();
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.sent().matches("close").count(), 1);
}

#[test]
fn one_hundred_continue_is_sent_when_the_body_is_polled_for() {
    // RFC 9110, 10.1.1.
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let mut peer = Peer::new();
    peer.receive(head.as_bytes());
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    assert_eq!(peer.sent(), "");
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.sent(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.receive(b"ab");
    assert_eq!(peer.poll(), Some(ServerEvent::Data(b"ab")));
    peer.ok();
    assert_eq!(peer.drain(), None);
    assert!(peer.server.is_idle());

    // A final response instead: whether the body comes is unknown, so nothing else can.
    let mut peer = Peer::new();
    peer.receive(head.as_bytes());
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    peer.respond(401, BodyLength::EMPTY).unwrap();
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(
        peer.sent(),
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(peer.server.transport(), Transport::CloseWrite);

    // Ignored in HTTP/1.0, and without a body there is nothing to wait for.
    for head in [
        "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
    ] {
        let mut peer = Peer::new();
        peer.receive(head.as_bytes());
        peer.drain();
        assert_eq!(peer.sent(), "");
    }
}

#[test]
fn an_early_response_leaves_the_rest_of_the_request_to_be_read() {
    let mut peer = Peer::new();
    peer.receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    peer.ok();
    assert_eq!(peer.poll(), Some(ServerEvent::Data(b"ab")));
    assert_eq!(peer.poll(), None);
    peer.receive(b"cd");
    peer.receive(GET);
    assert_eq!(peer.poll(), Some(ServerEvent::Data(b"cd")));
    assert!(matches!(peer.poll(), Some(ServerEvent::End(_))));
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
}

#[test]
fn an_early_response_with_close_is_followed_by_lingering() {
    // RFC 9112, 9.6.
    let mut peer = Peer::new();
    peer.receive(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    peer.ok();
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.server.transport(), Transport::CloseWrite);
    assert_eq!(peer.server.next_timer(), Some((after(1), Timer::Linger)));
    peer.receive(&[b'x'; 1000]);
    assert_eq!(peer.poll(), None);
    assert!(peer.rx.is_empty());
    let mut late = peer.server.clone();
    late.handle_timeout(after(1), &mut peer.tx);
    assert_eq!((late.transport(), late.poll_timeout()), (Transport::Close, None));
    peer.rx.finish();
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.server.transport(), Transport::Close);
    assert_eq!(peer.server.poll_timeout(), None);
}

#[test]
fn after_an_error_the_machine_does_nothing_any_more() {
    let mut peer = Peer::new();
    peer.receive(b"GET / HTTP/1.1\r\n\r\n");
    peer.receive(GET);
    assert!(matches!(peer.drain(), Some(Closed::Protocol(_))));
    let sent = peer.sent();
    assert!(sent.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{sent}");
    peer.receive(GET);
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.respond(200, BodyLength::EMPTY), Err(Misuse::Closed));
    assert_eq!(peer.server.upgrade(NO_FIELDS, &mut peer.tx), Err(Misuse::Closed));
    peer.server.shutdown(NOW);
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.sent(), "");
}

#[test]
fn a_refusal_is_not_written_into_a_response() {
    let mut peer = Peer::new();
    peer.receive(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    peer.respond(200, BodyLength::Unknown).unwrap();
    peer.sent();
    peer.receive(b"x");
    assert!(matches!(peer.drain(), Some(Closed::Protocol(_))));
    assert_eq!(peer.sent(), "");
}

#[test]
fn after_an_upgrade_the_raw_bytes_are_the_other_protocols() {
    let mut peer = Peer::new();
    peer.receive(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n\x81\x00GET",
    );
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    assert_eq!(peer.server.upgrade([("A", "b")], &mut peer.tx), Err(Misuse::NoUpgrade));
    peer.server.upgrade([("Connection", "Upgrade"), ("Upgrade", "x")], &mut peer.tx).unwrap();
    assert_eq!(
        peer.sent(),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    );
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.rx.raw(), b"\x81\x00GET");
    assert!(peer.server.is_upgraded());
    assert_eq!(peer.server.transport(), Transport::Open);
    assert_eq!(peer.server.poll_timeout(), None);
    peer.rx.finish();
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.rx.raw(), b"\x81\x00GET");
    assert_eq!(peer.respond(200, BodyLength::EMPTY), Err(Misuse::Closed));
}

#[test]
fn a_request_with_a_body_to_come_or_without_upgrade_is_not_upgraded() {
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.0\r\nUpgrade: x\r\n\r\n",
    ] {
        let mut peer = Peer::new();
        peer.receive(request.as_bytes());
        assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
        let upgraded = peer.server.upgrade([("Upgrade", "x")], &mut peer.tx);
        assert_eq!(upgraded, Err(Misuse::NoUpgrade), "{request}");
    }
}

#[test]
fn a_peer_that_leaves_between_two_exchanges_is_no_failure() {
    // RFC 9112, 9.5.
    let mut peer = Peer::new();
    peer.rx.finish();
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.server.close_reason(), Some(CloseReason::PeerClosed));

    let (mut client, mut rx) = (Client::new(ClientConfig::default(), NOW), RecvBuf::with_limit(9));
    rx.finish();
    let told = client.poll_event(NOW, &mut rx, &mut SendBuf::new());
    assert_eq!(told, Some(ClientEvent::Closed(Closed::Done)));
    assert_eq!(client.close_reason(), Some(CloseReason::PeerClosed));
}

#[test]
fn a_success_in_answer_to_connect_is_a_tunnel() {
    // RFC 9110, 9.3.6.
    let mut peer = Peer::new();
    peer.receive(b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\ntunnel");
    assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
    assert_eq!(peer.respond(200, BodyLength::EMPTY), Err(Misuse::BadStatus));
    peer.server.upgrade(NO_FIELDS, &mut peer.tx).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.rx.raw(), b"tunnel");
}

#[test]
fn what_a_tunnel_carries_early_is_kept_behind_the_last_request_too() {
    // RFC 9112, 9.3: without keep-alive this is the last request of HTTP/1.0, but it proposes a tunnel.
    let mut peer = Peer::new();
    peer.receive(b"CONNECT h:1 HTTP/1.0\r\n\r\ntunnel");
    // The server looks for the other end, and polls meanwhile.
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.drain(), None);
    peer.server.upgrade(NO_FIELDS, &mut peer.tx).unwrap();
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.rx.raw(), b"tunnel");

    // Where the tunnel is refused, it is not looked at.
    let mut peer = Peer::new();
    peer.receive(b"CONNECT h:1 HTTP/1.0\r\n\r\ntunnel");
    peer.drain();
    peer.respond(403, BodyLength::EMPTY).unwrap();
    assert_eq!(peer.drain(), Some(Closed::Done));
}

#[test]
fn interim_responses_come_before_the_final_one() {
    // RFC 9110, 15.2.
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    let inform = |peer: &mut Peer, status| {
        peer.server.inform(Status::new(status).unwrap(), [("A", "b")], &mut peer.tx)
    };
    assert_eq!(inform(&mut peer, 200), Err(Misuse::BadStatus));
    assert_eq!(inform(&mut peer, 101), Err(Misuse::BadStatus));
    assert_eq!(peer.respond(103, BodyLength::EMPTY), Err(Misuse::BadStatus));
    inform(&mut peer, 103).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n");
    peer.ok();
    assert_eq!(inform(&mut peer, 103), Err(Misuse::NoRequest));
}

#[test]
fn shutdown_ends_an_idle_connection_at_once_and_a_busy_one_behind_its_response() {
    let mut peer = Peer::new();
    peer.server.shutdown(NOW);
    assert_eq!(peer.server.transport(), Transport::Close);
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert_eq!(peer.server.transport(), Transport::Down);

    // RFC 9112, 9.6: nothing lingers but for a response that is still to be written.
    for written in [true, false] {
        let mut peer = Peer::new();
        peer.receive(GET);
        peer.drain();
        peer.ok();
        if written {
            assert!(peer.sent().ends_with("ok"));
        }
        peer.server.shutdown(NOW);
        assert_eq!(peer.drain(), Some(Closed::Done));
        let wanted = if written { Transport::Down } else { Transport::Close };
        assert_eq!(peer.server.transport(), wanted);
    }

    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    peer.server.shutdown(NOW);
    assert_eq!(peer.drain(), None);
    peer.ok();
    assert_eq!(peer.drain(), Some(Closed::Done));
    assert!(peer.sent().contains("\r\nConnection: close\r\n"));

    // A request that has begun to come is still answered.
    let mut peer = Peer::new();
    peer.receive(&GET[..3]);
    peer.drain();
    peer.server.shutdown(NOW);
    assert_eq!(peer.drain(), None);
    peer.receive(&GET[3..]);
    assert_eq!(peer.drain(), None);
    peer.ok();
    assert_eq!(peer.drain(), Some(Closed::Done));
}

#[test]
fn each_phase_has_its_deadline_and_says_so() {
    let expire = |peer: &mut Peer, at: u64, timer: Timer, sent: &str| {
        assert_eq!(peer.server.next_timer(), Some((after(at), timer)));
        // A deadline that has passed leads on: there is an event.
        peer.server.handle_timeout(after(at), &mut peer.tx);
        assert_eq!(peer.drain(), Some(Closed::Timeout(timer)));
        assert!(peer.sent().starts_with(sent));
        assert!(peer.server.poll_timeout().is_none_or(|next| next > after(at)));
    };
    let late = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n";

    // A mute client: nothing was asked, so nothing is answered.
    let mut peer = Peer::new();
    expire(&mut peer, 30, Timer::Head, "");
    assert_eq!(peer.server.transport(), Transport::Close);

    // A head that stalls; more of it does not help.
    let mut peer = Peer::new();
    for byte in &GET[..20] {
        peer.receive(&[*byte]);
        peer.server.advance(after(20), &mut peer.rx, &mut peer.tx);
    }
    expire(&mut peer, 30, Timer::Head, late);
    assert_eq!(peer.server.transport(), Transport::CloseWrite);

    // Between two requests, and then a head from its first byte.
    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    assert_eq!(peer.server.poll_timeout(), None, "the next step is the caller's");
    peer.ok();
    peer.drain();
    peer.sent();
    peer.drain();
    let mut idle = Peer { server: peer.server.clone(), ..Peer::new() };
    expire(&mut idle, 60, Timer::Idle, "");
    peer.receive(b"GET");
    peer.server.advance(after(50), &mut peer.rx, &mut peer.tx);
    expire(&mut peer, 80, Timer::Head, late);

    // A body, from the last progress on.
    let mut peer = Peer::new();
    peer.receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    peer.drain();
    peer.receive(b"x");
    for _ in 0..2 {
        peer.server.poll_event(after(20), &mut peer.rx, &mut peer.tx);
    }
    expire(&mut peer, 30, Timer::Body, late);
}

#[test]
fn a_body_that_drips_is_given_up_and_the_callers_own_time_does_not_count() {
    let config = ServerConfig { body_progress: 10, ..ServerConfig::default() };
    let mut peer = Peer::with(config);
    peer.receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
    assert_eq!(peer.drain(), None);
    let feed = |peer: &mut Peer, at: u64, bytes: &[u8]| {
        peer.receive(bytes);
        let event = peer.server.poll_event(after(at), &mut peer.rx, &mut peer.tx);
        assert_eq!(event, Some(ServerEvent::Data(bytes)));
    };
    // Ten bytes in time, and the time begins anew.
    for at in 1..=10 {
        feed(&mut peer, at, b"x");
        assert_eq!(peer.server.poll_timeout(), None, "the next step is the caller's");
        // Who takes his time with a piece takes it from nobody.
        peer.server.advance(after(at), &mut peer.rx, &mut peer.tx);
    }
    assert_eq!(peer.server.next_timer(), Some((after(40), Timer::Body)));
    // A byte now and then is not enough.
    feed(&mut peer, 15, b"y");
    peer.server.advance(after(1015), &mut peer.rx, &mut peer.tx);
    assert_eq!(peer.server.next_timer(), Some((after(1040), Timer::Body)));
    feed(&mut peer, 1039, b"y");
    peer.server.advance(after(1039), &mut peer.rx, &mut peer.tx);
    peer.server.handle_timeout(after(1040), &mut peer.tx);
    assert_eq!(peer.drain(), Some(Closed::Timeout(Timer::Body)));
}

#[test]
fn a_client_that_half_closes_is_answered_and_then_closed() {
    // RFC 9112, 9.6: the end of one direction is not the end of the other.
    let requests = [GET.to_vec(), GET.repeat(2), [GET, b"\r\n"].concat()];
    for (request, answers) in requests.into_iter().zip([1, 2, 1]) {
        let mut peer = Peer::new();
        peer.receive(&request);
        peer.rx.finish();
        for answer in 1..=answers {
            assert!(matches!(peer.poll(), Some(ServerEvent::Request(_))));
            assert_eq!(peer.drain(), None);
            let last = answer == answers && !request.ends_with(b"\n\r\n\r\n");
            assert_eq!(peer.server.close_reason(), last.then_some(CloseReason::HalfClosed));
            // However long it takes, and in however many pieces.
            peer.respond(200, BodyLength::Unknown).unwrap();
            assert_eq!(peer.drain(), None);
            peer.server.send_data(b"ok", &mut peer.tx).unwrap();
            assert_eq!(peer.drain(), None);
            peer.server.finish(&mut peer.tx).unwrap();
        }
        assert_eq!(peer.drain(), Some(Closed::Done));
        assert_eq!(peer.sent().matches("2\r\nok\r\n0\r\n\r\n").count(), answers);
    }

    let mut peer = Peer::with(ServerConfig { half_close: false, ..ServerConfig::default() });
    peer.receive(GET);
    peer.rx.finish();
    assert_eq!(peer.drain(), Some(Closed::Eof));
}

#[test]
fn a_client_that_half_closes_is_not_upgraded() {
    let mut peer = Peer::new();
    peer.receive(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    peer.rx.finish();
    assert_eq!(peer.drain(), None);
    assert_eq!(peer.server.states().client, State::Closed);
    let fields = [("Connection", "Upgrade"), ("Upgrade", "x")];
    assert_eq!(peer.server.upgrade(fields, &mut peer.tx), Err(Misuse::NoUpgrade));
    peer.ok();
    assert_eq!(peer.drain(), Some(Closed::Done));
}

#[test]
fn a_response_ends_with_trailers_where_its_client_can_see_them() {
    // RFC 9110, 6.5; RFC 9112, 7.1.2.
    let trailers = [("Digest", "abc"), ("Took", "1 s")];
    for (request, sent) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "2\r\nok\r\n0\r\nDigest: abc\r\nTook: 1 s\r\n\r\n"),
        ("GET / HTTP/1.0\r\n\r\n", "ok"),
        ("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", ""),
    ] {
        let mut peer = Peer::new();
        peer.receive(request.as_bytes());
        peer.drain();
        peer.respond(200, BodyLength::Unknown).unwrap();
        peer.sent();
        peer.server.send_data(b"ok", &mut peer.tx).unwrap();
        let no = [("Content-Length", "2")];
        let refused = peer.server.finish_with_trailers(no, &mut peer.tx);
        assert_eq!(refused, Err(Misuse::ForbiddenTrailer(0)));
        peer.server.finish_with_trailers(trailers, &mut peer.tx).unwrap();
        assert_eq!(peer.sent(), sent, "{request}");
        assert!(!peer.server.is_responding());
    }

    let mut peer = Peer::new();
    peer.receive(GET);
    peer.drain();
    peer.respond(200, LENGTH_2).unwrap();
    peer.server.send_data(b"ok", &mut peer.tx).unwrap();
    let refused = peer.server.finish_with_trailers(trailers, &mut peer.tx);
    assert_eq!(refused, Err(Misuse::TrailersNotAllowed));
    peer.server.finish(&mut peer.tx).unwrap();
}

#[test]
fn default_fields_are_in_every_final_response_that_has_none_of_the_name() {
    // RFC 9110, 6.6.1 and 10.2.4.
    let fields = DefaultFields::new([("Date", "today"), ("Server", "mine")]).unwrap();
    let mut peer = Peer::new();
    peer.server.set_default_fields(fields);
    peer.receive(GET);
    peer.drain();
    peer.server.inform(Status::EARLY_HINTS, NO_FIELDS, &mut peer.tx).unwrap();
    assert_eq!(peer.sent(), "HTTP/1.1 103 Early Hints\r\n\r\n");
    let own = [("SERVER", "yours")];
    peer.server.respond(Status::OK, own, BodyLength::EMPTY, NOW, &mut peer.tx).unwrap();
    assert_eq!(
        peer.sent(),
        "HTTP/1.1 200 OK\r\nSERVER: yours\r\nDate: today\r\nContent-Length: 0\r\n\r\n"
    );
    peer.receive(b"?\r\n");
    peer.drain();
    let refusal =
        "HTTP/1.1 400 Bad Request\r\nDate: today\r\nServer: mine\r\nConnection: close\r\n";
    assert!(peer.sent().starts_with(refusal));
    for no in ["Connection", "content-length", "Transfer-Encoding"] {
        assert_eq!(DefaultFields::new([(no, "1")]).unwrap_err(), Misuse::FramingField(0));
    }
}

#[test]
fn a_connection_says_why_it_carries_no_further_request() {
    // RFC 9112, 9.3 and 9.6.
    let reason = |request: &str, answer: &dyn Fn(&mut Peer)| {
        let mut peer = Peer::new();
        peer.receive(request.as_bytes());
        while peer.poll().is_some_and(|event| !matches!(event, ServerEvent::Request(_))) {}
        answer(&mut peer);
        assert_eq!(peer.server.keep_alive(), peer.server.close_reason().is_none());
        peer.server.close_reason()
    };
    let get = "GET / HTTP/1.1\r\nHost: h\r\n";
    let fields = |peer: &mut Peer, option: &str| {
        let fields = [("Connection", option)];
        peer.server.respond(Status::OK, fields, BodyLength::EMPTY, NOW, &mut peer.tx).unwrap();
    };
    assert_eq!(reason(&format!("{get}\r\n"), &Peer::ok), None);
    let old = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(reason(old, &Peer::ok), Some(CloseReason::Http10));
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(reason(kept, &Peer::ok), None);
    let stream = |peer: &mut Peer| peer.respond(200, BodyLength::Unknown).unwrap();
    assert_eq!(reason(kept, &stream), Some(CloseReason::CloseDelimited));
    let last = format!("{get}Connection: close\r\n\r\n");
    assert_eq!(reason(&last, &Peer::ok), Some(CloseReason::ClientSaidClose));
    let close = |peer: &mut Peer| fields(peer, "close");
    assert_eq!(reason(&format!("{get}\r\n"), &close), Some(CloseReason::ServerSaidClose));
    let expects = format!("{get}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(reason(&expects, &Peer::ok), Some(CloseReason::NoContinue));
    let shut = |peer: &mut Peer| peer.server.shutdown(NOW);
    assert_eq!(reason(&format!("{get}\r\n"), &shut), Some(CloseReason::Shutdown));
    assert_eq!(reason("?", &|_| {}), Some(CloseReason::Failed));
}

#[test]
fn a_deadline_of_none_never_comes() {
    let config = ServerConfig {
        head_timeout: None,
        idle_timeout: None,
        body_timeout: None,
        linger: Duration::ZERO,
        ..ServerConfig::default()
    };
    let mut peer = Peer::with(config);
    peer.receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    peer.drain();
    assert_eq!(peer.server.poll_timeout(), None);
    peer.receive(b"123456789?");
    peer.drain();
    peer.ok();
    assert!(matches!(peer.drain(), Some(Closed::Protocol(_))));
    assert_eq!(peer.server.transport(), Transport::Close);
}

#[test]
fn outputs_do_not_depend_on_how_often_they_are_asked_for() {
    let mut peer = Peer::new();
    peer.receive(GET);
    for _ in 0..3 {
        assert!(Machine::advance(&mut peer.server, NOW, &mut peer.rx, &mut peer.tx));
        assert_eq!(peer.server.transport(), Transport::Open);
        // Between the two the transport may read, and memory may be given back.
        let _ = peer.rx.spare(1000);
        peer.rx.shrink();
    }
    assert!(matches!(
        peer.server.event(NOW, &mut peer.rx, &mut peer.tx),
        Some(ServerEvent::Request(head)) if head.headers.get("HOST") == Some(b"h")
    ));
    assert_eq!(peer.server.event(NOW, &mut peer.rx, &mut peer.tx), None);
    peer.ok();
    assert_eq!(peer.drain(), None);
    assert!(peer.rx.is_empty());
}
