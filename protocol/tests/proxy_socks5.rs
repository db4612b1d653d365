//! SOCKS5, in the sentences of RFC 1928 and RFC 1929.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::proxy::{Destination, MalformedReply, Proxy, Refusal, Reply, Tunnel, TunnelEvent};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

const NOW: Instant = Instant::EPOCH;
const ANYBODY: &str = "socks5h://proxy";
const SOMEBODY: &str = "socks5h://user:pass@proxy";

/// The greeting of a proxy that wants to know nothing, and a reply of success.
const TAKEN: &[u8] = b"\x05\x00";
const SUCCEEDED: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";

struct Talk {
    tunnel: Tunnel,
    rx: RecvBuf,
    tx: SendBuf,
}

fn begin(proxy: &str, destination: Destination<'_>) -> Talk {
    let proxy = Proxy::parse(proxy).unwrap();
    let mut tx = SendBuf::new();
    let tunnel = Tunnel::new(&proxy, destination, NOW, &mut tx);
    Talk { tunnel, rx: RecvBuf::with_limit(1 << 16), tx }
}

impl Talk {
    /// What the client has to say now.
    fn said(&mut self) -> Vec<u8> {
        let said = self.tx.slices().collect::<Vec<_>>().concat();
        self.tx.clear();
        said
    }

    fn poll(&mut self, now: Instant) -> Option<Result<(), Refusal>> {
        let event = self.tunnel.poll_event(now, &mut self.rx, &mut self.tx)?;
        Some(match event {
            TunnelEvent::Open { head } => {
                assert!(head.is_none());
                Ok(())
            }
            TunnelEvent::Refused { why, head, body } => {
                assert!(head.is_none() && body.is_empty());
                Err(why)
            }
        })
    }

    /// What the client says to this, and how it ended if it did.
    fn hears(&mut self, bytes: &[u8]) -> (Vec<u8>, Option<Result<(), Refusal>>) {
        assert_eq!(self.rx.push(bytes), bytes.len());
        let end = self.poll(NOW);
        (self.said(), end)
    }
}

/// What the client says to these answers in all, how it ended, and what is left, the same for every way
/// to cut them.
fn talk(proxy: &str, answers: &[u8]) -> (Vec<u8>, Result<(), Refusal>, Vec<u8>) {
    let run = |size: usize| {
        let mut talk = begin(proxy, Destination::new("example.com", 443));
        let (mut said, mut end) = (talk.said(), None);
        for piece in answers.chunks(size) {
            let (more, ended) = talk.hears(piece);
            said.extend(more);
            assert!(end.is_none() || ended.is_none(), "it ends once");
            end = end.or(ended);
        }
        if end.is_none() {
            talk.rx.finish();
            end = talk.poll(NOW);
        }
        let end = end.expect("an end is told");
        assert_eq!((talk.poll(NOW), talk.tunnel.poll_timeout()), (None, None));
        let transport = if end.is_ok() { Transport::Open } else { Transport::Down };
        assert_eq!(talk.tunnel.transport(), transport);
        let rest = if end.is_ok() { talk.rx.raw().to_vec() } else { vec![] };
        (said, end, rest)
    };
    let whole = run(usize::MAX);
    assert_eq!(run(1), whole);
    assert_eq!(run(3), whole);
    whole
}

/// Where the answers lead to, after a greeting that went well.
fn reply(bytes: &[u8]) -> Result<(), Refusal> {
    talk(ANYBODY, &[TAKEN, bytes].concat()).1
}

fn malformed(why: MalformedReply) -> Result<(), Refusal> {
    Err(Refusal::Malformed(why))
}

/// RFC 1928, 3: "The client connects to the server, and sends a version identifier/method selection
/// message".
#[test]
fn rfc_1928_3_the_methods_are_offered() {
    let destination = Destination::new("h", 1);
    assert_eq!(begin(ANYBODY, destination).said(), b"\x05\x01\x00");
    assert_eq!(begin(SOMEBODY, destination).said(), b"\x05\x02\x00\x02");
}

/// RFC 1928, 4 and 5: the request, with an address of each type, "port in network octet order".
#[test]
fn rfc_1928_4_the_request_names_the_destination() {
    for (host, request) in [
        ("example.com", &b"\x05\x01\x00\x03\x0bexample.com\x1f\x90"[..]),
        ("192.0.2.1", b"\x05\x01\x00\x01\xc0\x00\x02\x01\x1f\x90"),
        ("2001:db8::1", b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90"),
    ] {
        let mut talk = begin(ANYBODY, Destination::new(host, 8080));
        talk.said();
        assert_eq!(talk.hears(b"\x05"), (vec![], None), "not before the method is selected");
        assert_eq!(talk.hears(b"\x00"), (request.to_vec(), None), "{host}");
        assert_eq!(talk.hears(SUCCEEDED), (vec![], Some(Ok(()))));
    }
}

/// RFC 1928, 5: a name is "prefixed by one octet of name length".
#[test]
fn rfc_1928_5_a_name_has_at_most_255_bytes() {
    for (length, fits) in [(0, false), (1, true), (255, true), (256, false)] {
        let name = "a".repeat(length);
        let mut talk = begin(ANYBODY, Destination::Name(&name, 80));
        let end = talk.poll(NOW);
        assert_eq!(end, (!fits).then_some(Err(Refusal::Destination)), "{length}");
        assert_eq!(talk.said().is_empty(), !fits);
    }
    assert_eq!(
        begin(ANYBODY, Destination::Name("a\0b", 80)).poll(NOW),
        Some(Err(Refusal::Destination))
    );
}

/// RFC 1929, 2, in between.
#[test]
fn rfc_1929_2_user_and_password_are_sent_where_they_are_asked_for() {
    let mut talk = begin(SOMEBODY, Destination::new("h", 80));
    talk.said();
    assert_eq!(talk.hears(b"\x05\x02"), (b"\x01\x04user\x04pass".to_vec(), None));
    assert_eq!(talk.hears(b"\x01\x00"), (b"\x05\x01\x00\x03\x01h\x00\x50".to_vec(), None));
    assert_eq!(talk.hears(SUCCEEDED), (vec![], Some(Ok(()))));

    // And only there.
    let mut talk = begin(SOMEBODY, Destination::new("h", 80));
    talk.said();
    assert_eq!(talk.hears(TAKEN), (b"\x05\x01\x00\x03\x01h\x00\x50".to_vec(), None));
}

/// "A STATUS field of X'00' indicates success. If the server returns a 'failure' (STATUS value other
/// than X'00') status, it MUST close the connection."
#[test]
fn rfc_1929_2_any_other_status_is_a_refusal() {
    for status in [1, 2, 0xFF] {
        let answers = [0x05, 0x02, 0x01, status];
        assert_eq!(talk(SOMEBODY, &answers).1, Err(Refusal::CredentialsRefused), "{status}");
    }
    let wrong = talk(SOMEBODY, b"\x05\x02\x05\x00").1;
    assert_eq!(wrong, malformed(MalformedReply::PasswordVersion(5)));
}

/// RFC 1928, 3: "If the selected METHOD is X'FF', none of the methods listed by the client are
/// acceptable, and the client MUST close the connection."
#[test]
fn rfc_1928_3_no_acceptable_method() {
    assert_eq!(talk(ANYBODY, b"\x05\xff").1, Err(Refusal::CredentialsRequired));
    assert_eq!(talk(SOMEBODY, b"\x05\xff").1, Err(Refusal::NoAcceptableMethod));
}

/// RFC 1928, 3: the server "selects from one of the methods given in METHODS".
#[test]
fn rfc_1928_3_a_method_that_was_not_offered() {
    assert_eq!(talk(ANYBODY, b"\x05\x02").1, malformed(MalformedReply::Method(2)));
    assert_eq!(talk(SOMEBODY, b"\x05\x01").1, malformed(MalformedReply::Method(1)));
}

/// RFC 1928, 6: a reply of each length, and what follows it.
#[test]
fn rfc_1928_6_the_bound_address_ends_the_reply() {
    let name = [&b"\x05\x00\x00\x03\x04name\x00\x50"[..], b"\x05\x00\x00\x03\x00\x00\x50"];
    let v6 = &[&b"\x05\x00\x00\x04"[..], &[7; 18]].concat()[..];
    for reply in [SUCCEEDED, name[0], name[1], v6] {
        let (_, end, rest) = talk(ANYBODY, &[TAKEN, reply, b"220 hello"].concat());
        assert_eq!((end, &rest[..]), (Ok(()), &b"220 hello"[..]), "{reply:x?}");
    }
}

/// RFC 1928, 6: the reply field. A proxy that refuses closes, and needs not have sent all of it.
#[test]
fn rfc_1928_6_every_other_reply_is_told() {
    for (code, why) in [
        (1, Reply::GeneralFailure),
        (2, Reply::NotAllowed),
        (3, Reply::NetworkUnreachable),
        (4, Reply::HostUnreachable),
        (5, Reply::ConnectionRefused),
        (6, Reply::TtlExpired),
        (7, Reply::CommandNotSupported),
        (8, Reply::AddressTypeNotSupported),
        (9, Reply::Unassigned(9)),
        (0xFF, Reply::Unassigned(0xFF)),
    ] {
        assert_eq!(reply(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]), Err(Refusal::Reply(why)), "{code}");
        assert_eq!(reply(&[5, code]), Err(Refusal::Reply(why)), "{code}");
    }
    assert_eq!(Refusal::Reply(Reply::TtlExpired).to_string(), "the proxy answered: TTL expired");
    assert_eq!(Reply::Unassigned(0xF0).to_string(), "the unassigned reply 0xf0");
}

#[test]
fn what_is_no_socks5_is_told() {
    assert_eq!(talk(ANYBODY, b"HTTP/1.1 400").1, malformed(MalformedReply::Version(b'H')));
    assert_eq!(reply(b"\x04\x00"), malformed(MalformedReply::Version(4)));
    assert_eq!(reply(b"\x05\x00\x01"), malformed(MalformedReply::Reserved(1)));
    assert_eq!(reply(b"\x05\x00\x00\x02"), malformed(MalformedReply::AddressType(2)));
}

#[test]
fn the_end_of_the_stream_is_no_answer() {
    let all = [b"\x05\x02\x01\x00", SUCCEEDED].concat();
    for end in 0..all.len() {
        assert_eq!(talk(SOMEBODY, &all[..end]).1, Err(Refusal::Eof), "{end}");
    }
    assert_eq!(talk(SOMEBODY, &all).1, Ok(()));
}

/// The deadline is one for all of it.
#[test]
fn a_proxy_that_falls_silent_is_given_up() {
    for answers in
        [&b""[..], b"\x05", b"\x05\x02", b"\x05\x02\x01\x00", b"\x05\x02\x01\x00\x05\x00"]
    {
        let mut talk = begin(SOMEBODY, Destination::new("h", 80));
        assert_eq!(talk.hears(answers).1, None);
        let deadline = NOW + Proxy::TIMEOUT;
        assert_eq!(talk.tunnel.poll_timeout(), Some(deadline));
        talk.tunnel.handle_timeout(deadline, &mut talk.tx);
        assert_eq!(talk.poll(deadline), Some(Err(Refusal::Timeout)), "{answers:?}");
        assert_eq!((talk.tunnel.poll_timeout(), talk.poll(deadline)), (None, None));
    }
    let proxy = Proxy::parse(ANYBODY).unwrap().timeout(Some(Duration::from_secs(2)));
    let mut tx = SendBuf::new();
    let tunnel = Tunnel::new(&proxy, Destination::new("h", 80), NOW, &mut tx);
    assert_eq!(tunnel.poll_timeout(), Some(NOW + Duration::from_secs(2)));
}

#[test]
fn the_password_is_never_shown() {
    let talk = begin("socks5h://user:secret@proxy", Destination::new("h", 80));
    let shown = format!("{:?}", talk.tunnel);
    assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
}

proptest! {
    /// Who reads no more than may be read takes nothing that came through the tunnel.
    #[test]
    fn nothing_of_the_tunnel_is_taken(
        name in prop::collection::vec(any::<u8>(), 0..=255),
        kind in 0..3_u8,
        asks in any::<bool>(),
        through in prop::collection::vec(any::<u8>(), 0..20),
        sizes in prop::collection::vec(1..30_usize, 1..20),
    ) {
        let mut answers = if asks { b"\x05\x02\x01\x00".to_vec() } else { TAKEN.to_vec() };
        answers.extend(b"\x05\x00\x00");
        match kind {
            0 => answers.extend([1, 127, 0, 0, 1]),
            1 => answers.extend([&[4][..], &[5; 16]].concat()),
            _ => answers.extend([&[3, name.len() as u8], &name[..]].concat()),
        }
        answers.extend([0, 80]);
        let length = answers.len();
        answers.extend(&through);

        let mut talk = begin(SOMEBODY, Destination::new("h", 80));
        let (mut taken, mut sizes) = (0, sizes.iter().cycle());
        loop {
            if let Some(end) = talk.poll(NOW) {
                prop_assert_eq!(end, Ok(()));
                break;
            }
            let n = talk.tunnel.may_read(&talk.rx).min(*sizes.next().unwrap());
            prop_assert!(n > 0 && n <= answers.len() - taken);
            prop_assert_eq!(talk.rx.push(&answers[taken..taken + n]), n);
            taken += n;
        }
        prop_assert_eq!(taken, length);
        prop_assert!(talk.rx.is_empty());
        prop_assert_eq!(talk.tunnel.may_read(&talk.rx), 0);
    }
}
