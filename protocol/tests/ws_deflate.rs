//! Connections that compress (RFC 7692).
#![cfg(feature = "deflate")]

use proptest::prelude::*;
use tidewire::ws::{
    Closed, Config, Connection, DeflateConfig, DeflateParams, Delivery, Event, MessageKind,
    Negotiated, ProtocolErrorKind,
};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;

const DEFAULT: DeflateParams = DeflateParams {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn negotiated(params: DeflateParams, threshold: usize) -> Negotiated {
    let config = DeflateConfig { threshold, ..DeflateConfig::default() };
    Negotiated::default().with_deflate(params, &config)
}

fn client(config: Config, params: DeflateParams) -> Connection {
    Connection::client(config, negotiated(params, 0), &Seed::new([7; 32]), NOW)
}

fn streaming() -> Config {
    Config { delivery: Delivery::Streaming, ..Config::default() }
}

/// What a connection has told: whole messages, put together if they came in pieces.
#[derive(Debug, Default, PartialEq)]
struct Told {
    messages: Vec<Vec<u8>>,
    pings: usize,
    failed: Option<ProtocolErrorKind>,
}

fn tell(conn: &mut Connection, rx: &mut RecvBuf, bytes: &[u8], told: &mut Told) {
    let mut tx = SendBuf::new();
    let mut rest = bytes;
    loop {
        let n = rx.push(rest);
        rest = &rest[n..];
        let mut idle = n == 0;
        while let Some(event) = conn.poll_event(NOW, rx, &mut tx) {
            idle = false;
            match event {
                Event::Text(text) => told.messages.push(text.into()),
                Event::Binary(bytes) => told.messages.push(bytes.into()),
                Event::MessageStart { .. } => told.messages.push(Vec::new()),
                Event::Chunk(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= 1 << 16);
                    told.messages.last_mut().unwrap().extend(bytes);
                }
                Event::Ping(_) => told.pings += 1,
                Event::Closed { why: Closed::Protocol(error), .. } => {
                    told.failed = Some(error.kind);
                }
                Event::Closed { why, .. } => panic!("{why}"),
                Event::MessageEnd | Event::Pong(_) | Event::Drained => {}
            }
        }
        if rest.is_empty() || idle {
            return;
        }
    }
}

fn received(config: Config, params: DeflateParams, bytes: &[u8]) -> Told {
    let mut told = Told::default();
    tell(&mut client(config, params), &mut RecvBuf::with_limit(2 << 20), bytes, &mut told);
    told
}

/// The examples of RFC 7692, 7.2.3, as frames of a server, and what they say.
const EXAMPLES: [(&str, &[u8], &[&str]); 8] = [
    ("7.2.3.1", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", &["Hello"]),
    ("7.2.3.1, fragments", b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", &["Hello"]),
    (
        "7.2.3.2, sharing the window",
        b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00",
        &["Hello", "Hello"],
    ),
    (
        "7.2.3.3, no compression",
        b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        &["Hello"],
    ),
    ("7.2.3.4, final block", b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", &["Hello"]),
    (
        "7.2.3.5, two blocks",
        b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        &["Hello"],
    ),
    ("7.2.3.6, empty", b"\xc1\x01\x00", &[""]),
    // 6: only the first frame has the bit; a message without it is none of the window's business.
    (
        "6.1, plain between",
        b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x02hi\xc1\x05\xf2\x00\x11\x00\x00",
        &["Hello", "hi", "Hello"],
    ),
];

#[test]
fn rfc_7692_7_2_3_the_examples_say_hello_however_they_come() {
    for (name, bytes, expected) in EXAMPLES {
        for config in [Config::default(), streaming()] {
            for cut in 0..=bytes.len() {
                let mut told = Told::default();
                let mut conn = client(config, DEFAULT);
                let mut rx = RecvBuf::with_limit(1 << 16);
                tell(&mut conn, &mut rx, &bytes[..cut], &mut told);
                tell(&mut conn, &mut rx, &bytes[cut..], &mut told);
                let messages: Vec<_> =
                    told.messages.iter().map(|bytes| str::from_utf8(bytes).unwrap()).collect();
                assert_eq!((messages, told.failed), (expected.to_vec(), None), "{name}, {cut}");
            }
        }
    }
}

#[test]
fn rfc_7692_7_2_3_2_hello_is_compressed_as_in_the_example() {
    let mut server = Connection::server(Config::default(), negotiated(DEFAULT, 0), NOW);
    let mut tx = SendBuf::new();
    server.send_text("Hello", &mut tx).unwrap();
    server.send_text("Hello", &mut tx).unwrap();
    assert_eq!(tx.chunk(), EXAMPLES[2].1);
    tx.clear();
    server.send_text("", &mut tx).unwrap();
    assert_eq!(tx.chunk(), EXAMPLES[6].1);
}

#[test]
fn rfc_7692_6_1_control_frames_between_compressed_fragments_are_not_compressed() {
    let bytes = b"\x41\x03\xf2\x48\xcd\x89\x01?\x80\x04\xc9\xc9\x07\x00";
    for config in [Config::default(), streaming()] {
        let told = received(config, DEFAULT, bytes);
        assert_eq!((told.messages, told.pings), (vec![b"Hello".to_vec()], 1));
        let failed = received(config, DEFAULT, b"\xc9\x01?").failed;
        assert_eq!(failed, Some(ProtocolErrorKind::ReservedBit), "a ping with RSV1");
        let failed = received(config, DEFAULT, b"\x41\x01\xf2\xc0\x01\x48").failed;
        assert_eq!(failed, Some(ProtocolErrorKind::ReservedBit), "a continuation with RSV1");
    }
}

#[test]
fn what_cannot_be_inflated_fails_the_connection() {
    for config in [Config::default(), streaming()] {
        for bytes in [&b"\xc1\x01\xff"[..], b"\xc2\x02\xff\xff", b"\xc1\x04\xf2\x48\xcd\xc9"] {
            let failed = received(config, DEFAULT, bytes).failed;
            assert_eq!(failed, Some(ProtocolErrorKind::InvalidDeflate), "{bytes:x?}");
        }
    }
}

#[test]
fn inflated_text_that_is_no_utf_8_fails_the_connection() {
    // A stored block: "ab", FF.
    let bytes = b"\xc1\x09\x00\x03\x00\xfc\xff\x61\x62\xff\x00";
    for config in [Config::default(), streaming()] {
        for cut in 0..=bytes.len() {
            let (mut conn, mut told) = (client(config, DEFAULT), Told::default());
            let mut rx = RecvBuf::with_limit(1 << 16);
            tell(&mut conn, &mut rx, &bytes[..cut], &mut told);
            tell(&mut conn, &mut rx, &bytes[cut..], &mut told);
            assert_eq!(told.failed, Some(ProtocolErrorKind::InvalidUtf8));
        }
    }
}

#[test]
fn of_several_faults_the_first_counts_however_the_message_comes() {
    // Stored: "ab", FF. Then a block of type 3, or more than may be.
    let type_3 = &b"\xc1\x09\x00\x03\x00\xfc\xff\x61\x62\xff\x07"[..];
    let big = b"\xc1\x0d\x00\x07\x00\xf8\xff\x61\x62\xff\x63\x63\x63\x63\x00";
    for config in [Config::default(), streaming()] {
        let config = Config { max_message: 5, ..config };
        for (bytes, cut) in [type_3, big].iter().flat_map(|it| (0..=it.len()).map(move |n| (it, n)))
        {
            let (mut conn, mut told) = (client(config, DEFAULT), Told::default());
            let mut rx = RecvBuf::with_limit(1 << 16);
            tell(&mut conn, &mut rx, &bytes[..cut], &mut told);
            tell(&mut conn, &mut rx, &bytes[cut..], &mut told);
            assert_eq!(told.failed, Some(ProtocolErrorKind::InvalidUtf8), "{bytes:x?}, {cut}");
        }
    }
}

#[test]
fn all_of_a_fragment_is_lent_before_the_next_comes() {
    // The last match of some of them is cut by the end of a piece of 16 KiB.
    for len in 16_384..16_700 {
        let mut server = Connection::server(Config::default(), negotiated(DEFAULT, 0), NOW);
        let mut tx = SendBuf::new();
        server.start_message(MessageKind::Binary).unwrap();
        server.send_chunk(&vec![0; len], &mut tx).unwrap();
        let told = received(streaming(), DEFAULT, tx.chunk());
        assert_eq!(told.messages, vec![vec![0; len]]);
    }
}

/// A message of so many zeros, as a server sends it.
fn zeros(len: usize) -> Vec<u8> {
    let mut server = Connection::server(Config::default(), negotiated(DEFAULT, 0), NOW);
    let mut tx = SendBuf::new();
    server.send_binary(&vec![0; len], &mut tx).unwrap();
    tx.chunk().into()
}

#[test]
fn the_limit_is_on_the_inflated_size_and_met_while_inflating() {
    let (bomb, limit) = (zeros(64 << 20), 1 << 20);
    assert!(bomb.len() < 100_000);
    for config in [Config::default(), streaming()] {
        let config = Config { max_message: limit, ..config };
        let mut conn = client(config, DEFAULT);
        let (mut rx, mut told) = (RecvBuf::with_limit(limit + 139), Told::default());
        tell(&mut conn, &mut rx, &bomb, &mut told);
        assert_eq!(told.failed, Some(ProtocolErrorKind::MessageTooBig));
        assert!(rx.heap_size() <= limit + (1 << 18), "{}", rx.heap_size());
        // One that is just as long as it may be is taken.
        let told = received(config, DEFAULT, &zeros(limit));
        assert_eq!((told.messages, told.failed), (vec![vec![0; limit]], None));
        let told = received(config, DEFAULT, &zeros(limit + 1));
        assert_eq!(told.failed, Some(ProtocolErrorKind::MessageTooBig));
    }
}

#[test]
fn a_limit_that_is_lowered_in_the_midst_of_a_message_refuses_it() {
    let bytes = zeros(1 << 20);
    let mut conn = client(Config::default(), DEFAULT);
    let (mut rx, mut told) = (RecvBuf::with_limit(2 << 20), Told::default());
    tell(&mut conn, &mut rx, &bytes[..bytes.len() / 2], &mut told);
    rx.set_limit(1024);
    tell(&mut conn, &mut rx, &bytes[bytes.len() / 2..][..100], &mut told);
    assert_eq!(told.failed, Some(ProtocolErrorKind::MessageTooBig));
}

#[test]
fn a_streamed_message_is_inflated_in_bounded_memory() {
    let (bytes, len) = (zeros(64 << 20), 64 << 20);
    let mut conn = client(Config { max_message: usize::MAX, ..streaming() }, DEFAULT);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1024), SendBuf::new());
    let (mut rest, mut sum) = (&bytes[..], 0);
    while !rest.is_empty() {
        let n = rx.push(rest);
        rest = &rest[n..];
        while let Some(event) = conn.poll_event(NOW, &mut rx, &mut tx) {
            if let Event::Chunk(bytes) = event {
                sum += bytes.len();
            }
            assert!(rx.heap_size() <= 1280 + (17 << 10), "{}", rx.heap_size());
        }
    }
    assert_eq!(sum, len);
}

#[test]
fn short_messages_go_out_plain_and_the_window_knows_nothing_of_them() {
    let mut server = Connection::server(Config::default(), negotiated(DEFAULT, 6), NOW);
    let mut tx = SendBuf::new();
    server.send_text("Hello", &mut tx).unwrap();
    assert_eq!(tx.chunk(), b"\x81\x05Hello");
    server.send_text("Hello, Hello", &mut tx).unwrap();
    assert_eq!(tx.chunk()[7] & 0x40, 0x40);
    let told = received(Config::default(), DEFAULT, tx.chunk());
    assert_eq!(told.messages, [b"Hello".to_vec(), b"Hello, Hello".to_vec()]);
}

#[test]
fn an_idle_connection_gives_its_memory_back_and_goes_on() {
    let message: Vec<u8> = (0..100_000_u32).flat_map(|n| (n % 5000).to_le_bytes()).collect();
    for no_takeover in [false, true] {
        let params = DeflateParams {
            server_no_context_takeover: no_takeover,
            client_no_context_takeover: no_takeover,
            ..DEFAULT
        };
        let mut server = Connection::server(Config::default(), negotiated(params, 0), NOW);
        let mut client = client(Config::default(), params);
        // A client has the generator of its masking keys on the heap.
        assert!(
            server.heap_size() < 512 && client.heap_size() < 1024,
            "nothing was compressed yet"
        );
        let (mut rx, mut told) = (RecvBuf::with_limit(1 << 20), Told::default());
        for round in 1..=3 {
            let mut tx = SendBuf::new();
            server.send_binary(&message, &mut tx).unwrap();
            tell(&mut client, &mut rx, tx.chunk(), &mut told);
            assert_eq!((told.messages.len(), told.failed), (round, None));
            assert!(server.heap_size() > 100_000 && client.heap_size() > 32_000);
            server.shrink();
            client.shrink();
            rx.shrink();
            assert_eq!(rx.heap_size(), 0);
            assert!(server.heap_size() < 512, "{}", server.heap_size());
            let window = if no_takeover { 0 } else { 1 << 15 };
            assert!(client.heap_size() < window + 1024, "{}", client.heap_size());
        }
        assert!(told.messages.iter().all(|received| *received == message));
    }
}

fn params() -> impl Strategy<Value = DeflateParams> {
    (any::<(bool, bool)>(), 8..=15_u8, 8..=15_u8).prop_map(|(fresh, server, client)| {
        DeflateParams {
            server_no_context_takeover: fresh.0,
            client_no_context_takeover: fresh.1,
            server_max_window_bits: server,
            client_max_window_bits: client,
        }
    })
}

proptest! {
    /// Whatever is sent, whole or in pieces, short or long, arrives, whole or in pieces, however the
    /// bytes are cut, with memory given back at any time.
    #[test]
    fn what_is_sent_arrives(
        params in params(),
        from_client: bool,
        streams: bool,
        threshold in 0..100_usize,
        messages in proptest::collection::vec(
            (proptest::collection::vec(("[a-e]{0,300}", 1..40_usize), 0..4), any::<(bool, bool)>()),
            1..6,
        ),
        piece in 1..2000_usize,
    ) {
        let config = if streams { streaming() } else { Config::default() };
        let negotiated = negotiated(params, threshold);
        let seed = Seed::new([7; 32]);
        let client = Connection::client(config, negotiated, &seed, NOW);
        let server = Connection::server(config, negotiated, NOW);
        let (mut from, mut to) = if from_client { (client, server) } else { (server, client) };
        let (mut rx, mut told) = (RecvBuf::with_limit(1 << 17), Told::default());
        let mut expected = Vec::new();
        for (parts, (whole, shrinks)) in messages {
            let mut tx = SendBuf::new();
            let parts: Vec<_> = parts.iter().map(|(text, times)| text.repeat(*times)).collect();
            let message = parts.concat();
            if whole {
                from.send_text(&message, &mut tx).unwrap();
            } else {
                from.start_message(MessageKind::Text).unwrap();
                for part in &parts {
                    from.send_chunk(part.as_bytes(), &mut tx).unwrap();
                }
                from.end_message(b"", &mut tx).unwrap();
            }
            expected.push(message.into_bytes());
            for bytes in tx.chunk().chunks(piece) {
                tell(&mut to, &mut rx, bytes, &mut told);
            }
            if shrinks {
                from.shrink();
                to.shrink();
                rx.shrink();
            }
        }
        prop_assert_eq!(told.failed, None);
        prop_assert_eq!(told.messages, expected);
    }
}

#[test]
fn windows_that_there_are_not_count_as_the_nearest() {
    let params =
        DeflateParams { server_max_window_bits: 200, client_max_window_bits: 0, ..DEFAULT };
    let agreed = negotiated(params, 0).deflate().unwrap();
    assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (15, 8));
    let mut server = Connection::server(Config::default(), negotiated(params, 0), NOW);
    let mut tx = SendBuf::new();
    server.send_text("Hello", &mut tx).unwrap();
    assert_eq!(received(Config::default(), params, tx.chunk()).messages, [b"Hello"]);
}
