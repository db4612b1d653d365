//! CONNECT, in the sentences of RFC 9110, 9.3.6 and 11.7.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::http::{ErrorKind, OwnedResponseHead, ResponseHead, Status};
use tidewire::proxy::{Destination, Proxy, Refusal, Tunnel, TunnelEvent};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

const NOW: Instant = Instant::EPOCH;

fn at(seconds: u64) -> Instant {
    NOW + Duration::from_secs(seconds)
}

struct Asked {
    tunnel: Tunnel,
    rx: RecvBuf,
    tx: SendBuf,
}

fn ask(proxy: &Proxy, host: &str, port: u16) -> Asked {
    let mut tx = SendBuf::new();
    let tunnel = Tunnel::new(proxy, Destination::new(host, port), NOW, &mut tx);
    Asked { tunnel, rx: RecvBuf::with_limit(1 << 16), tx }
}

fn proxy() -> Proxy {
    Proxy::parse("http://proxy.example:3128").unwrap()
}

fn request(proxy: &Proxy, host: &str, port: u16) -> String {
    String::from_utf8(ask(proxy, host, port).tx.chunk().to_vec()).unwrap()
}

#[derive(Debug, PartialEq)]
struct Outcome {
    end: Result<(), Refusal>,
    status: Option<Status>,
    challenge: Option<String>,
    body: Vec<u8>,
    /// What is left for whatever is spoken through the tunnel.
    rest: Vec<u8>,
}

fn tell(event: &TunnelEvent<'_>) -> Outcome {
    let (end, head, body) = match event {
        TunnelEvent::Open { head } => (Ok(()), head.map(ResponseHead::to_owned), &[][..]),
        TunnelEvent::Refused { why, head, body } => (Err(*why), head.clone(), *body),
    };
    let head = head.as_ref().map(OwnedResponseHead::as_head);
    Outcome {
        end,
        status: head.map(|head| head.status),
        challenge: head.and_then(|head| head.headers.get_str("Proxy-Authenticate").map(Into::into)),
        body: body.to_vec(),
        rest: Vec::new(),
    }
}

/// What `answer` leads to, the same for every way to cut it.
fn outcome_with(proxy: &Proxy, answer: &[u8]) -> Outcome {
    let run = |size: usize| {
        let Asked { mut tunnel, mut rx, mut tx } = ask(proxy, "example.com", 443);
        let mut outcome: Option<Outcome> = None;
        for piece in answer.chunks(size) {
            assert_eq!(rx.push(piece), piece.len());
            while let Some(event) = tunnel.poll_event(NOW, &mut rx, &mut tx) {
                assert!(outcome.is_none(), "{event:?}");
                outcome = Some(tell(&event));
            }
        }
        if outcome.is_none() {
            rx.finish();
            let event = tunnel.poll_event(NOW, &mut rx, &mut tx).expect("an end is told");
            outcome = Some(tell(&event));
        }
        let mut outcome = outcome.unwrap();
        assert!(tunnel.poll_event(NOW, &mut rx, &mut tx).is_none());
        assert_eq!(tunnel.poll_timeout(), None);
        let transport = if outcome.end.is_ok() { Transport::Open } else { Transport::Down };
        assert_eq!(tunnel.transport(), transport);
        if outcome.end.is_ok() {
            outcome.rest = rx.raw().to_vec();
        }
        outcome
    };
    let whole = run(usize::MAX);
    assert_eq!(run(1), whole);
    assert_eq!(run(7), whole);
    whole
}

fn outcome(answer: &[u8]) -> Outcome {
    outcome_with(&proxy(), answer)
}

/// "The request target […] consists of only the host name and port number of the tunnel destination,
/// separated by a colon. […] The target port is always given."
#[test]
fn rfc_9_3_6_the_request_names_host_and_port() {
    let head =
        |authority: &str| format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert_eq!(request(&proxy(), "example.com", 443), head("example.com:443"));
    assert_eq!(request(&proxy(), "example.com", 80), head("example.com:80"));
    assert_eq!(request(&proxy(), "192.0.2.1", 8080), head("192.0.2.1:8080"));
    assert_eq!(request(&proxy(), "2001:db8::1", 443), head("[2001:db8::1]:443"));
}

/// "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will switch to
/// tunnel mode immediately after the response header section; data received after that header section
/// is from the server identified by the request target."
#[test]
fn rfc_9_3_6_any_success_is_a_tunnel_and_what_follows_the_head_is_from_the_destination() {
    for line in ["HTTP/1.1 200 OK", "HTTP/1.0 200 Connection established", "HTTP/1.1 299"] {
        let answer = format!("{line}\r\nVia: 1.1 proxy\r\n\r\n\x16\x03\x01");
        let outcome = outcome(answer.as_bytes());
        assert_eq!((outcome.end, &outcome.rest[..]), (Ok(()), &b"\x16\x03\x01"[..]), "{line}");
        assert!(outcome.status.is_some_and(Status::is_success));
    }
}

/// "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a successful
/// response to CONNECT."
#[test]
fn rfc_9_3_6_the_length_of_a_success_is_ignored() {
    for field in ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: x"] {
        let outcome = outcome(format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\nhello").as_bytes());
        assert_eq!((outcome.end, &outcome.rest[..]), (Ok(()), &b"hello"[..]), "{field}");
    }
}

/// "Any response other than a successful response indicates that the tunnel has not yet been formed."
#[test]
fn rfc_9_3_6_any_other_answer_is_told_with_status_head_and_body() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot 443";
    let expected = Outcome {
        end: Err(Refusal::Status(Status::FORBIDDEN)),
        status: Some(Status::FORBIDDEN),
        challenge: None,
        body: b"not 443".to_vec(),
        rest: vec![],
    };
    assert_eq!(outcome(answer), expected);
    // Cut short, what came is told.
    let expected = Outcome { body: b"not".to_vec(), ..expected };
    assert_eq!(outcome(&answer[..answer.len() - 4]), expected);
    // RFC 9110, 15.4: a redirect of a CONNECT leads nowhere.
    let moved = b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(outcome(moved).end, Err(Refusal::Status(Status::FOUND)));
}

/// RFC 9110, 15.2: interim responses come before the answer, and are not it.
#[test]
fn rfc_15_2_an_interim_response_is_not_the_answer() {
    let answer = b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nX";
    let outcome = outcome(answer);
    assert_eq!((outcome.end, &outcome.rest[..]), (Ok(()), &b"X"[..]));
}

/// RFC 9110, 15.2.2: nobody asked to speak another protocol than the tunnel's.
#[test]
fn rfc_15_2_2_an_upgrade_is_no_answer() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    let Err(Refusal::Http(error)) = outcome(answer).end else { panic!() };
    assert_eq!(error.kind, ErrorKind::UnexpectedUpgrade);
}

/// RFC 9110, 11.7.1: "A proxy MUST send at least one Proxy-Authenticate header field in each 407".
#[test]
fn rfc_11_7_a_407_is_told_with_its_challenge() {
    let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
        Proxy-Authenticate: Basic realm=\"office\"\r\nContent-Length: 0\r\n\r\n";
    let asked = outcome(answer);
    assert_eq!(asked.end, Err(Refusal::CredentialsRequired));
    assert_eq!(asked.challenge.as_deref(), Some("Basic realm=\"office\""));
    assert_eq!(asked.status, Some(Status::PROXY_AUTHENTICATION_REQUIRED));

    // The same answer means something else to who has said who he is.
    let wrong = Proxy::parse("http://user:wrong@proxy").unwrap();
    assert_eq!(outcome_with(&wrong, answer).end, Err(Refusal::CredentialsRefused));
    let bearer = proxy().field("proxy-authorization", "Bearer 4f2a").unwrap();
    assert_eq!(outcome_with(&bearer, answer).end, Err(Refusal::CredentialsRefused));
}

/// RFC 9110, 11.7.2, and RFC 7617, 2, whose example this is.
#[test]
fn rfc_11_7_2_user_and_password_are_sent_with_the_first_request() {
    let proxy = Proxy::parse("http://Aladdin:open%20sesame@proxy").unwrap();
    assert_eq!(
        request(&proxy, "h", 443),
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\
         Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    );
}

#[test]
fn fields_of_the_caller_are_sent_as_they_were_given() {
    let proxy = Proxy::parse("http://u:p@proxy").unwrap();
    let proxy = proxy.field("User-Agent", "me").unwrap().field("X-TRACE", " 1\t2 ").unwrap();
    assert_eq!(
        request(&proxy, "h", 443),
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nProxy-Authorization: Basic dTpw\r\n\
         User-Agent: me\r\nX-TRACE: 1\t2\r\n\r\n"
    );
    let own = proxy.field("Proxy-Authorization", "Bearer 4f2a").unwrap();
    let sent = request(&own, "h", 443);
    assert!(sent.ends_with("Proxy-Authorization: Bearer 4f2a\r\n\r\n"), "{sent}");
    assert_eq!(sent.matches("Proxy-Authorization").count(), 1);
}

#[test]
fn a_destination_that_no_target_can_name_is_refused_before_anything_is_sent() {
    for host in ["", "a b", "a\r\nX: y", "a/b", "a#b"] {
        let Asked { mut tunnel, mut rx, mut tx } = ask(&proxy(), host, 443);
        assert!(tx.is_empty(), "{host:?}");
        let event = tunnel.poll_event(NOW, &mut rx, &mut tx).map(|event| tell(&event).end);
        assert_eq!(event, Some(Err(Refusal::Destination)), "{host:?}");
        assert!(tunnel.poll_event(NOW, &mut rx, &mut tx).is_none());
    }
}

#[test]
fn what_is_no_http_is_told_with_its_place() {
    let Err(Refusal::Http(error)) = outcome(b"SSH-2.0-OpenSSH_9.6\r\n").end else { panic!() };
    assert_eq!((error.kind, error.offset), (ErrorKind::BadVersion, 0));
    assert_eq!(outcome(b"").end, Err(Refusal::Eof));
    assert_eq!(outcome(b"HTTP/1.1 200 OK\r\n").end, Err(Refusal::Eof));
}

#[test]
fn a_mute_proxy_is_given_up() {
    let Asked { mut tunnel, mut rx, mut tx } = ask(&proxy(), "h", 443);
    assert_eq!(tunnel.poll_timeout(), Some(NOW + Proxy::TIMEOUT));
    tunnel.handle_timeout(at(29), &mut tx);
    assert!(tunnel.poll_event(at(29), &mut rx, &mut tx).is_none());
    tunnel.handle_timeout(at(30), &mut tx);
    let event = tunnel.poll_event(at(30), &mut rx, &mut tx).expect("an end");
    assert_eq!(tell(&event).end, Err(Refusal::Timeout));
    assert_eq!((tunnel.poll_timeout(), tunnel.transport()), (None, Transport::Down));

    let patient = ask(&proxy().timeout(None), "h", 443);
    assert_eq!(patient.tunnel.poll_timeout(), None);
}

#[test]
fn the_body_of_a_refusal_is_waited_for_a_short_while_only() {
    let Asked { mut tunnel, mut rx, mut tx } = ask(&proxy(), "h", 443);
    assert!(rx.push(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\nDNS") > 0);
    assert!(tunnel.poll_event(at(1), &mut rx, &mut tx).is_none());
    assert_eq!(tunnel.poll_timeout(), Some(at(3)));
    tunnel.handle_timeout(at(3), &mut tx);
    let event = tunnel.poll_event(at(3), &mut rx, &mut tx).expect("an end");
    let outcome = tell(&event);
    assert_eq!(outcome.end, Err(Refusal::Status(Status::BAD_GATEWAY)));
    assert_eq!(outcome.body, b"DNS");
}

#[test]
fn no_more_of_a_body_is_told_than_its_beginning() {
    let mut answer = b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec();
    answer.extend([b'x'; 10_000]);
    assert_eq!(outcome(&answer).body, [b'x'; 4096]);
}

#[test]
fn a_head_without_end_does_not_fill_the_memory() {
    let Asked { mut tunnel, mut rx, mut tx } = ask(&proxy(), "h", 443);
    assert!(rx.push(b"HTTP/1.1 200 OK\r\n") > 0);
    let end = (0..10_000).find_map(|_| {
        assert!(rx.push(b"X: y\r\n") > 0);
        tunnel.poll_event(NOW, &mut rx, &mut tx).map(|event| tell(&event).end)
    });
    let Some(Err(Refusal::Http(error))) = end else { panic!("{end:?}") };
    assert_eq!(error.kind, ErrorKind::TooManyHeaders);
}

proptest! {
    /// Who reads no more than may be read takes nothing that came through the tunnel, whatever the
    /// head looks like and however much of it comes at once.
    #[test]
    fn nothing_of_the_tunnel_is_taken(
        reason in "[ -~]{0,20}",
        fields in prop::collection::vec(("[A-Za-z-]{1,9}", "[!-~]{0,9}( [!-~]{1,9})?"), 0..5),
        interim in any::<bool>(),
        through in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..20),
        sizes in prop::collection::vec(1..30_usize, 1..20),
    ) {
        let mut head = if interim { String::from("HTTP/1.1 100 Go on\r\nA: b\r\n\r\n") } else { String::new() };
        head += &format!("HTTP/1.1 200 {reason}\r\n");
        for (name, value) in &fields {
            // Those would have to fit each other.
            if !["connection", "upgrade"].contains(&&name.to_ascii_lowercase()[..]) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head += "\r\n";
        let mut answer = head.clone().into_bytes();
        answer.extend(&through);

        let Asked { mut tunnel, mut rx, mut tx } = ask(&proxy(), "h", 443);
        let (mut taken, mut sizes, mut reads) = (0, sizes.iter().cycle(), 0);
        loop {
            match tunnel.poll_event(NOW, &mut rx, &mut tx) {
                Some(TunnelEvent::Open { .. }) => break,
                Some(event) => return Err(TestCaseError::fail(format!("{event:?}"))),
                None => {}
            }
            let may = tunnel.may_read(&rx);
            prop_assert!(may > 0, "waits for nothing");
            let n = may.min(*sizes.next().unwrap()).min(answer.len() - taken);
            prop_assert!(n > 0, "waits for what is there");
            prop_assert_eq!(rx.push(&answer[taken..taken + n]), n);
            taken += n;
            reads += 1;
        }
        prop_assert!(!tunnel.advance(NOW, &mut rx, &mut tx));
        prop_assert_eq!(taken, head.len());
        prop_assert!(rx.raw().is_empty());
        prop_assert_eq!(tunnel.may_read(&rx), 0);
        prop_assert!(reads > 0);
    }
}
