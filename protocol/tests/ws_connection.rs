//! What an open connection does, in the sentences of RFC 6455.

use core::time::Duration;
use tidewire::ws::{
    CloseCode, Closed, Config, Connection, Event, Initiator, MessageKind, Misuse, Negotiated,
    ProtocolErrorKind as Kind, Role, SendError, Timer,
};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(Duration::from_secs(seconds))
}

/// A connection with its buffers.
struct End {
    conn: Connection,
    rx: RecvBuf,
    tx: SendBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Start(MessageKind, Option<u64>),
    Chunk(Vec<u8>),
    End,
    Drained,
    Closed(Closed, String),
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(bytes) => Self::Binary(bytes.into()),
            Event::Ping(bytes) => Self::Ping(bytes.into()),
            Event::Pong(bytes) => Self::Pong(bytes.into()),
            Event::MessageStart { kind, length } => Self::Start(kind, length),
            Event::Chunk(bytes) => Self::Chunk(bytes.into()),
            Event::MessageEnd => Self::End,
            Event::Drained => Self::Drained,
            Event::Closed { why, reason } => Self::Closed(why, reason.into()),
        }
    }
}

fn text(text: &str) -> Owned {
    Owned::Text(text.into())
}

impl End {
    fn new(role: Role, config: Config) -> Self {
        let seed = Seed::new([7; 32]);
        let conn = match role {
            Role::Client => Connection::client(config, Negotiated::default(), &seed, at(0)),
            Role::Server => Connection::server(config, Negotiated::default(), at(0)),
        };
        Self { conn, rx: RecvBuf::with_limit(1 << 20), tx: SendBuf::new() }
    }

    fn client() -> Self {
        Self::new(Role::Client, Config::default())
    }

    fn server() -> Self {
        Self::new(Role::Server, Config::default())
    }

    fn events(&mut self, now: Instant) -> Vec<Owned> {
        let mut events = Vec::new();
        while let Some(event) = self.conn.poll_event(now, &mut self.rx, &mut self.tx) {
            events.push(event.into());
        }
        events
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<Owned> {
        assert_eq!(self.rx.push(bytes), bytes.len());
        self.events(at(0))
    }

    fn sent(&mut self) -> Vec<u8> {
        let sent = self.tx.slices().collect::<Vec<_>>().concat();
        self.tx.clear();
        sent
    }
}

/// A frame with an empty masking key, so that the payload reads as it is, or without a key.
fn frame(masked: bool, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(mask | len as u8),
        len @ ..0x1_0000 => {
            frame.push(mask | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(if masked { &[0; 4][..] } else { &[] });
    frame.extend(payload);
    frame
}

fn from_server(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(false, first, payload)
}

// RFC 6455, 5.7: the examples.

#[test]
fn rfc_5_7_a_single_frame_unmasked_text_message() {
    assert_eq!(End::client().receive(b"\x81\x05Hello"), [text("Hello")]);
}

#[test]
fn rfc_5_7_a_single_frame_masked_text_message() {
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(End::server().receive(masked), [text("Hello")]);
}

#[test]
fn rfc_5_7_a_fragmented_unmasked_text_message() {
    assert_eq!(End::client().receive(b"\x01\x03Hel\x80\x02lo"), [text("Hello")]);
}

#[test]
fn rfc_5_7_unmasked_ping_request_and_masked_ping_response() {
    let mut server = End::server();
    server.conn.send_ping(b"Hello", &mut server.tx).unwrap();
    assert_eq!(server.sent(), b"\x89\x05Hello");
    let response = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(server.receive(response), [Owned::Pong(b"Hello".into())]);
}

#[test]
fn rfc_5_7_256_bytes_and_64_kib_of_binary_message_in_a_single_unmasked_frame() {
    let mut client = End::client();
    let small = [&b"\x82\x7E\x01\x00"[..], &[1; 256]].concat();
    let large = [&b"\x82\x7F\0\0\0\0\0\x01\0\0"[..], &[2; 65536]].concat();
    assert_eq!(client.receive(&small), [Owned::Binary(vec![1; 256])]);
    assert_eq!(client.receive(&large), [Owned::Binary(vec![2; 65536])]);
    let mut server = End::server();
    server.conn.send_binary(&[1; 256], &mut server.tx).unwrap();
    server.conn.send_binary(&[2; 65536], &mut server.tx).unwrap();
    assert_eq!(server.sent(), [small, large].concat());
}

// Refusals.

/// What the peer of `role` sends makes the connection fail with this error: a Close with its code
/// is queued, one `Closed` follows, the transport is to be closed, and nothing comes after.
fn refuses(role: Role, bytes: &[u8], kind: Kind, offset: u64, code: u16) {
    // All at once and byte by byte.
    for size in [bytes.len(), 1] {
        let mut end = End::new(role, Config { max_message: 1000, ..Config::default() });
        let mut events = Vec::new();
        for chunk in bytes.chunks(size) {
            events.extend(end.receive(chunk));
        }
        let Some(Owned::Closed(why @ Closed::Protocol(error), reason)) = events.pop() else {
            panic!("{events:?} of {bytes:02x?}")
        };
        assert_eq!((error.kind, error.offset, &reason[..]), (kind, offset, ""), "{bytes:02x?}");
        assert_eq!((why.code(), why.is_clean()), (CloseCode::ABNORMAL, false));
        assert_eq!(error.close_code(), CloseCode::new(code));
        assert!(events.iter().all(|event| !matches!(event, Owned::Closed(..))));
        assert_eq!(end.conn.transport(), Transport::Close);
        let sent = end.sent();
        let close = match role {
            Role::Server => &sent[sent.len() - 4..],
            Role::Client => &sent[sent.len() - 8..],
        };
        assert_eq!(close[0], 0x88);
        if role == Role::Server {
            assert_eq!(close[2..], code.to_be_bytes());
        }
        assert_eq!(end.receive(&from_server(0x81, b"more")), []);
        assert_eq!(end.conn.send_text("x", &mut end.tx), Err(SendError::Closing));
        assert_eq!((end.conn.poll_timeout(), end.tx.len()), (None, 0));
    }
}

#[test]
fn rfc_5_1_a_client_must_close_upon_a_masked_frame() {
    refuses(Role::Client, &frame(true, 0x81, b"hi"), Kind::MaskedByServer, 0, 1002);
}

#[test]
fn rfc_5_1_a_server_must_close_upon_an_unmasked_frame() {
    refuses(Role::Server, &frame(false, 0x81, b"hi"), Kind::UnmaskedByClient, 0, 1002);
}

#[test]
fn rfc_5_2_reserved_bits_must_be_zero_without_an_extension() {
    for bit in [0x40, 0x20, 0x10] {
        refuses(Role::Client, &from_server(0x81 | bit, b""), Kind::ReservedBit, 0, 1002);
        refuses(Role::Client, &from_server(0x8A | bit, b""), Kind::ReservedBit, 0, 1002);
    }
}

#[test]
fn rfc_5_2_an_unknown_opcode_must_fail_the_connection() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        refuses(Role::Client, &from_server(0x80 | opcode, b""), Kind::ReservedOpcode, 0, 1002);
    }
}

#[test]
fn rfc_5_2_the_minimal_number_of_bytes_must_encode_the_length() {
    refuses(Role::Client, b"\x82\x7E\0\x05hello", Kind::LengthNotMinimal, 0, 1002);
    refuses(Role::Client, b"\x82\x7F\0\0\0\0\0\0\0\x05hello", Kind::LengthNotMinimal, 0, 1002);
}

#[test]
fn rfc_5_2_the_most_significant_bit_of_a_64_bit_length_must_be_0() {
    refuses(Role::Client, b"\x82\x7F\x80\0\0\0\0\0\0\0", Kind::LengthOutOfRange, 0, 1002);
}

#[test]
fn rfc_5_4_a_continuation_needs_a_message() {
    refuses(Role::Client, &from_server(0x80, b"x"), Kind::OrphanContinuation, 0, 1002);
    // Also after a message that is complete.
    let bytes = [from_server(0x81, b"hi"), from_server(0x00, b"x")].concat();
    refuses(Role::Client, &bytes, Kind::OrphanContinuation, 4, 1002);
}

#[test]
fn rfc_5_4_fragments_of_one_message_must_not_be_interleaved_with_another() {
    let bytes = [from_server(0x01, b"hi"), from_server(0x81, b"x")].concat();
    refuses(Role::Client, &bytes, Kind::InterleavedMessage, 4, 1002);
}

#[test]
fn rfc_5_5_control_frames_must_not_be_fragmented_or_longer_than_125_bytes() {
    for opcode in [8, 9, 10] {
        refuses(Role::Client, &from_server(opcode, b""), Kind::FragmentedControl, 0, 1002);
        let long = from_server(0x80 | opcode, &[0; 126]);
        refuses(Role::Client, &long, Kind::ControlTooLong, 0, 1002);
    }
}

#[test]
fn rfc_5_5_1_a_close_frame_has_no_body_or_a_2_byte_code_first() {
    refuses(Role::Client, &from_server(0x88, &[3]), Kind::TruncatedCloseCode, 0, 1002);
}

#[test]
fn rfc_7_4_codes_that_must_not_be_sent_are_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
        let close = from_server(0x88, &code.to_be_bytes());
        refuses(Role::Client, &close, Kind::InvalidCloseCode, 0, 1002);
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999_u16] {
        let close = frame(true, 0x88, &code.to_be_bytes());
        let why = Closed::Clean { code: code.into(), initiator: Initiator::Remote };
        assert_eq!(End::server().receive(&close), [Owned::Closed(why, String::new())]);
    }
}

#[test]
fn rfc_8_1_text_that_is_not_utf_8_must_fail_the_connection() {
    // In one frame; cut short at its end; over two fragments; in the reason of a Close.
    refuses(Role::Client, &from_server(0x81, b"ab\xFFcd"), Kind::InvalidUtf8, 4, 1007);
    refuses(Role::Client, &from_server(0x81, b"ab\xE2\x82"), Kind::InvalidUtf8, 6, 1007);
    let bytes = [from_server(0x01, b"a\xED"), from_server(0x80, b"\xA0\x80")].concat();
    refuses(Role::Client, &bytes, Kind::InvalidUtf8, 6, 1007);
    let bytes = [from_server(0x01, b"a\xC3"), from_server(0x80, b"")].concat();
    refuses(Role::Client, &bytes, Kind::InvalidUtf8, 6, 1007);
    let close = from_server(0x88, b"\x03\xE8ab\xFF");
    refuses(Role::Client, &close, Kind::InvalidUtf8, 6, 1007);
    refuses(Role::Server, &frame(true, 0x81, b"\xC0\xAF"), Kind::InvalidUtf8, 6, 1007);
}

#[test]
fn rfc_8_1_bad_text_fails_at_its_first_bad_byte_inside_a_frame() {
    let mut client = End::client();
    assert_eq!(client.receive(b"\x81\x7E\x03\xE8abc"), []);
    assert!(matches!(client.receive(b"\xF4\x90")[..], [Owned::Closed(Closed::Protocol(_), _)]));
}

#[test]
fn rfc_8_1_a_character_may_be_split_between_fragments() {
    let bytes = [from_server(0x01, b"\xE2"), from_server(0x80, b"\x82\xAC")].concat();
    assert_eq!(End::client().receive(&bytes), [text("€")]);
}

#[test]
fn rfc_10_4_a_message_above_the_limit_is_refused_by_its_header() {
    refuses(Role::Client, b"\x82\x7E\x03\xE9", Kind::MessageTooBig, 0, 1009);
    refuses(
        Role::Client,
        b"\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        Kind::MessageTooBig,
        0,
        1009,
    );
    // So is the sum of its fragments.
    let bytes = [from_server(0x02, &[0; 600]), b"\x80\x7E\x01\x91".to_vec()].concat();
    refuses(Role::Client, &bytes, Kind::MessageTooBig, 604, 1009);
    let bytes = [from_server(0x02, &[0; 600]), from_server(0x80, &[0; 400])].concat();
    let mut client = End::new(Role::Client, Config { max_message: 1000, ..Config::default() });
    assert_eq!(client.receive(&bytes), [Owned::Binary(vec![0; 1000])]);
}

#[test]
fn a_message_that_the_receive_buffer_cannot_hold_is_refused_by_its_header() {
    let too_big = |rx_limit, bytes: &[u8]| {
        let mut client = End::client();
        client.rx = RecvBuf::with_limit(rx_limit);
        let mut bytes = bytes;
        loop {
            let n = client.rx.push(bytes);
            bytes = &bytes[n..];
            let events = client.events(at(0));
            match &events[..] {
                [] if n > 0 => {}
                [Owned::Closed(Closed::Protocol(error), _)] => {
                    assert_eq!(error.kind, Kind::MessageTooBig);
                    return true;
                }
                other => {
                    return {
                        assert!(!other.is_empty(), "stuck");
                        false
                    };
                }
            }
        }
    };
    assert!(too_big(1000, b"\x82\x7E\x03\xE9"));
    assert!(!too_big(1000, &from_server(0x82, &[0; 1000])));
    // A fragment must leave room for the frames that follow it.
    assert!(too_big(1000, &from_server(0x02, &[0; 900])));
    assert!(!too_big(1000, &[from_server(0x02, &[0; 861]), from_server(0x89, &[0; 125])].concat()));
    // Too small for a ping, and for a header.
    assert!(too_big(100, &from_server(0x89, &[0; 125])));
    assert!(too_big(3, &from_server(0x82, &[0; 1000])));
}

// Control frames.

#[test]
fn rfc_5_4_a_ping_between_fragments_leaves_both_intact() {
    let bytes = [from_server(0x01, b"Hel"), from_server(0x89, b"?"), from_server(0x80, b"lo")];
    let mut client = End::client();
    assert_eq!(client.receive(&bytes.concat()), [Owned::Ping(b"?".into()), text("Hello")]);
    assert_eq!(client.tx.len(), 7);
}

#[test]
fn two_messages_and_a_ping_in_one_segment_are_two_messages_and_one_pong() {
    let bytes = [frame(true, 0x81, b"a"), frame(true, 0x82, b"b"), frame(true, 0x89, b"c")];
    let mut server = End::server();
    let events = server.receive(&bytes.concat());
    assert_eq!(events, [text("a"), Owned::Binary(b"b".into()), Owned::Ping(b"c".into())]);
    assert_eq!(server.sent(), b"\x8A\x01c");
}

#[test]
fn equal_first_fragments_with_different_ends_stay_different_messages() {
    let bytes = [
        from_server(0x01, b"same"),
        from_server(0x80, b" one"),
        from_server(0x01, b"same"),
        from_server(0x80, b" two"),
    ];
    assert_eq!(End::client().receive(&bytes.concat()), [text("same one"), text("same two")]);
}

#[test]
fn rfc_5_5_3_only_the_latest_of_many_pings_is_answered_while_too_much_waits() {
    let config = Config { send_high_water: 1000, ..Config::default() };
    let mut server = End::new(Role::Server, config);
    for n in 0..=255_u8 {
        assert_eq!(server.receive(&frame(true, 0x89, &[n; 125])), [Owned::Ping(vec![n; 125])]);
        assert!(server.tx.len() < 1127);
    }
    server.sent();
    assert_eq!(server.events(at(0)), []);
    assert_eq!(server.sent(), from_server(0x8A, &[255; 125]));
}

#[test]
fn rfc_5_5_control_frames_carry_at_most_125_bytes() {
    let End { mut conn, mut tx, .. } = End::client();
    assert_eq!(conn.send_ping(&[0; 126], &mut tx), Err(SendError::ControlTooLong));
    assert_eq!(conn.send_pong(&[0; 126], &mut tx), Err(SendError::ControlTooLong));
    assert!(tx.is_empty());
    assert_eq!(conn.send_pong(&[0; 125], &mut tx), Ok(()));
}

// Sending.

#[test]
fn rfc_5_3_each_frame_of_a_client_has_a_fresh_key() {
    let mut client = End::client();
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        client.conn.send_text("", &mut client.tx).unwrap();
        let sent = client.sent();
        assert_eq!(sent[..2], [0x81, 0x80]);
        keys.insert(sent[2..].to_vec());
    }
    assert_eq!(keys.len(), 1000);
}

#[test]
fn a_large_shared_payload_is_queued_by_a_server_without_a_copy() {
    let payload = bytes::Bytes::from("x".repeat(100_000));
    let mut server = End::server();
    server.conn.send_shared(MessageKind::Text, &payload, &mut server.tx).unwrap();
    assert!(server.tx.heap_size() < 1000);
    assert_eq!(server.sent(), from_server(0x81, &payload));
    let bad = bytes::Bytes::from_static(b"\xFF");
    let refused = server.conn.send_shared(MessageKind::Text, &bad, &mut server.tx);
    assert_eq!((refused, server.tx.len()), (Err(SendError::NotUtf8), 0));
}

#[test]
fn a_full_queue_refuses_and_tells_when_it_has_drained() {
    let config = Config { send_high_water: 100, send_low_water: 50, ..Config::default() };
    let mut server = End::new(Role::Server, config);
    server.conn.send_binary(&[0; 98], &mut server.tx).unwrap();
    assert_eq!(server.conn.send_text("x", &mut server.tx), Err(SendError::Full));
    assert_eq!(server.events(at(0)), []);
    server.tx.consume(49);
    assert_eq!(server.events(at(0)), []);
    server.tx.consume(1);
    assert_eq!(server.events(at(0)), [Owned::Drained]);
    assert_eq!(server.conn.send_text("x", &mut server.tx), Ok(()));
    assert_eq!(server.events(at(0)), []);
}

// Closing.

#[test]
fn rfc_5_5_1_a_close_from_the_server_is_echoed_and_the_client_waits_for_the_end() {
    let mut client = End::client();
    // What follows the Close is ignored, and so is half a message before it.
    let bytes =
        [from_server(0x01, b"half"), from_server(0x88, b"\x03\xE9bye"), from_server(0xFF, b"junk")];
    assert_eq!(client.receive(&bytes.concat()), []);
    assert_eq!(client.conn.transport(), Transport::Open);
    assert_eq!(client.conn.next_timer(), Some((at(5), Timer::Close)));
    assert_eq!(client.conn.send_text("x", &mut client.tx), Err(SendError::Closing));
    let sent = client.sent();
    assert_eq!((sent.len(), &sent[..2]), (11, &b"\x88\x85"[..]));
    client.rx.shrink();
    client.rx.finish();
    let why = Closed::Clean { code: CloseCode::GOING_AWAY, initiator: Initiator::Remote };
    assert_eq!(client.events(at(1)), [Owned::Closed(why, "bye".into())]);
    assert_eq!((client.conn.transport(), client.conn.poll_timeout()), (Transport::Close, None));
    assert_eq!((client.events(at(1)), client.sent()), (vec![], vec![]));
}

#[test]
fn rfc_7_1_1_a_server_closes_the_transport_first() {
    let mut server = End::server();
    let why = Closed::Clean { code: CloseCode::NO_STATUS, initiator: Initiator::Remote };
    assert_eq!(server.receive(&frame(true, 0x88, b"")), [Owned::Closed(why, String::new())]);
    assert_eq!(server.sent(), b"\x88\0");
    assert_eq!(server.conn.transport(), Transport::Close);
}

#[test]
fn rfc_7_1_1_a_client_does_not_wait_for_ever_for_the_server_to_end_the_stream() {
    let mut client = End::client();
    assert_eq!(client.receive(&from_server(0x88, b"\x03\xE8")), []);
    client.conn.handle_timeout(at(5), &mut client.tx);
    let why = Closed::Clean { code: CloseCode::NORMAL, initiator: Initiator::Remote };
    assert_eq!(client.events(at(5)), [Owned::Closed(why, String::new())]);
    assert_eq!(client.conn.transport(), Transport::Close);
}

#[test]
fn our_close_waits_for_the_echo_and_delivers_what_comes_before_it() {
    let mut server = End::server();
    server.conn.close(CloseCode::NORMAL, "done", at(0), &mut server.tx).unwrap();
    server.conn.close(CloseCode::GOING_AWAY, "again", at(0), &mut server.tx).unwrap();
    assert!(!server.conn.is_open());
    assert_eq!(server.sent(), b"\x88\x06\x03\xE8done");
    let late = [frame(true, 0x81, b"late"), frame(true, 0x89, b"")].concat();
    assert_eq!(server.receive(&late), [text("late"), Owned::Ping(vec![])]);
    let why = Closed::Clean { code: CloseCode::NORMAL, initiator: Initiator::Local };
    let echo = frame(true, 0x88, b"\x03\xE8done");
    assert_eq!(server.receive(&echo), [Owned::Closed(why, "done".into())]);
    // No pong and no second Close may follow ours.
    assert_eq!((server.sent(), server.conn.transport()), (vec![], Transport::Close));
}

#[test]
fn closes_that_cross_are_a_clean_end_on_both_sides() {
    let mut ends = [End::client(), End::server()];
    for end in &mut ends {
        end.conn.close(CloseCode::NORMAL, "", at(0), &mut end.tx).unwrap();
    }
    let [mut client, mut server] = ends;
    let (from_client, from_server) = (client.sent(), server.sent());
    let why = Closed::Clean { code: CloseCode::NORMAL, initiator: Initiator::Local };
    assert_eq!(server.receive(&from_client), [Owned::Closed(why, String::new())]);
    assert_eq!(client.receive(&from_server), []);
    client.rx.finish();
    assert_eq!(client.events(at(0)), [Owned::Closed(why, String::new())]);
    assert!(client.tx.is_empty() && server.tx.is_empty());
}

#[test]
fn a_close_that_is_not_answered_ends_at_its_deadline() {
    let mut client = End::client();
    client.conn.close(CloseCode::NO_STATUS, "", at(10), &mut client.tx).unwrap();
    client.conn.handle_timeout(at(14), &mut client.tx);
    assert_eq!(client.events(at(14)), []);
    client.conn.handle_timeout(at(15), &mut client.tx);
    let events = client.events(at(15));
    assert_eq!(events, [Owned::Closed(Closed::CloseTimeout, String::new())]);
    assert_eq!(client.conn.transport(), Transport::Down);
}

#[test]
fn rfc_7_1_5_the_end_of_the_stream_without_a_close_is_1006() {
    let mut client = End::client();
    assert_eq!(client.rx.push(b"\x81\x02hi\x81\x05hal"), 9);
    client.rx.finish();
    let events = client.events(at(0));
    assert_eq!(events, [text("hi"), Owned::Closed(Closed::Eof, String::new())]);
    assert_eq!(Closed::Eof.code(), CloseCode::ABNORMAL);
    assert_eq!((client.conn.transport(), client.sent()), (Transport::Close, vec![]));
}

#[test]
fn a_close_that_could_not_be_sent_is_refused() {
    let End { mut conn, mut tx, .. } = End::client();
    for code in [CloseCode::ABNORMAL, CloseCode::TLS_HANDSHAKE, CloseCode::new(999)] {
        assert_eq!(conn.close(code, "", at(0), &mut tx), Err(Misuse::CloseCode(code)));
    }
    let refused = conn.close(CloseCode::NO_STATUS, "reason", at(0), &mut tx);
    assert_eq!(refused, Err(Misuse::CloseCode(CloseCode::NO_STATUS)));
    let long = "x".repeat(124);
    let refused = conn.close(CloseCode::NORMAL, &long, at(0), &mut tx);
    assert_eq!(refused, Err(Misuse::ReasonTooLong));
    assert!(conn.is_open() && tx.is_empty());
    assert_eq!(conn.close(CloseCode::NORMAL, &long[1..], at(0), &mut tx), Ok(()));
}

// Keepalive.

#[test]
fn what_was_sent_before_close_may_take_as_long_as_it_leaves() {
    // RFC 6455, 5.5.1 and 7.1.2: the Close is the last frame, not a reason to drop those before it.
    let mut server = End::server();
    server.conn.send_binary(&[0; 10_000], &mut server.tx).unwrap();
    server.conn.close(CloseCode::NORMAL, "", at(0), &mut server.tx).unwrap();
    for n in 1..=10 {
        server.tx.consume(1000);
        server.conn.handle_timeout(at(5 * n), &mut server.tx);
        assert_eq!(
            (server.events(at(5 * n)), server.conn.poll_timeout()),
            (vec![], Some(at(5 * n + 5)))
        );
    }
    // Nothing left in these five seconds.
    server.conn.handle_timeout(at(55), &mut server.tx);
    let timeout = [Owned::Closed(Closed::CloseTimeout, String::new())];
    assert_eq!(server.events(at(55)), timeout);

    // All of it leaves at once, late: the answer has its time from then.
    let mut server = End::server();
    server.conn.send_binary(&[0; 10_000], &mut server.tx).unwrap();
    server.conn.close(CloseCode::NORMAL, "", at(0), &mut server.tx).unwrap();
    server.sent();
    assert_eq!(server.events(at(4)), []);
    server.conn.handle_timeout(at(5), &mut server.tx);
    assert_eq!((server.events(at(5)), server.conn.poll_timeout()), (vec![], Some(at(9))));
    server.conn.handle_timeout(at(9), &mut server.tx);
    assert_eq!(server.events(at(9)), timeout);

    let mut server = End::server();
    server.conn.close(CloseCode::NORMAL, "", at(0), &mut server.tx).unwrap();
    server.sent();
    server.conn.handle_timeout(at(5), &mut server.tx);
    assert_eq!(server.events(at(5)), timeout, "it has left, so it could be answered");
}

/// A ping of the server's own accord: its payload counts them.
fn ping(number: u64) -> Vec<u8> {
    from_server(0x89, &number.to_be_bytes())
}

fn keepalive() -> End {
    let ping_interval = Some(Duration::from_secs(55));
    End::new(Role::Server, Config { ping_interval, ..Config::default() })
}

#[test]
fn a_ping_is_sent_each_interval_from_the_handshake_on() {
    let mut server = keepalive();
    for n in 1..=3 {
        assert_eq!(server.conn.next_timer(), Some((at(55 * n), Timer::Ping)));
        server.conn.handle_timeout(at(55 * n), &mut server.tx);
        assert_eq!(server.sent(), ping(n));
        assert_eq!(server.rx.push(&frame(true, 0x8A, b"")), 6);
        assert_eq!(server.events(at(55 * n)), [Owned::Pong(vec![])]);
    }
}

#[test]
fn any_received_byte_counts_as_life() {
    let mut server = keepalive();
    server.conn.handle_timeout(at(55), &mut server.tx);
    assert_eq!(server.conn.next_timer(), Some((at(75), Timer::Pong)));
    server.sent();
    assert_eq!(server.rx.push(b"\x81"), 1);
    assert_eq!(server.events(at(60)), []);
    assert_eq!(server.conn.next_timer(), Some((at(110), Timer::Ping)));
}

#[test]
fn a_peer_is_asked_for_a_sign_of_life_also_when_the_queue_is_full() {
    // RFC 6455, 5.5.2: who only listens is not dead. A ping is what makes it say so.
    let ping_interval = Some(Duration::from_secs(5));
    let config = Config { ping_interval, send_high_water: 1000, ..Config::default() };
    let mut server = End::new(Role::Server, config);
    server.conn.send_binary(&[0; 996], &mut server.tx).unwrap();
    assert_eq!(server.conn.send_text("x", &mut server.tx), Err(SendError::Full));
    for n in 1..=4 {
        server.conn.handle_timeout(at(5 * n), &mut server.tx);
    }
    assert_eq!(server.sent()[1000..], ping(1), "once, whatever the queue");
    assert_eq!(server.rx.push(&frame(true, 0x8A, b"")), 6);
    assert_eq!(server.events(at(24)), [Owned::Drained, Owned::Pong(vec![])]);
    server.conn.handle_timeout(at(25), &mut server.tx);
    assert!(server.conn.is_open());
}

#[test]
fn without_a_queue_pings_are_answered_all_the_same() {
    let config = Config { send_high_water: 0, ..Config::default() };
    let mut server = End::new(Role::Server, config);
    server.receive(&frame(true, 0x89, b"?"));
    assert_eq!(server.sent(), from_server(0x8A, b"?"));
    server.conn.send_text("x", &mut server.tx).unwrap();
    assert_eq!(server.conn.send_text("x", &mut server.tx), Err(SendError::Full));
}

#[test]
fn silence_after_a_ping_ends_the_connection_with_that_reason() {
    let mut server = keepalive();
    server.conn.handle_timeout(at(55), &mut server.tx);
    server.sent();
    server.conn.handle_timeout(at(75), &mut server.tx);
    let events = server.events(at(75));
    assert_eq!(events, [Owned::Closed(Closed::PongTimeout, String::new())]);
    assert_eq!((server.conn.transport(), server.conn.poll_timeout()), (Transport::Down, None));
}

#[test]
fn no_ping_is_sent_after_closing_has_begun() {
    let mut server = keepalive();
    server.conn.close(CloseCode::NORMAL, "", at(54), &mut server.tx).unwrap();
    server.sent();
    server.conn.handle_timeout(at(58), &mut server.tx);
    assert_eq!((server.sent(), server.conn.poll_timeout()), (vec![], Some(at(59))));
}

#[test]
fn a_long_sleep_makes_one_ping_not_a_burst() {
    let mut server = keepalive();
    server.conn.handle_timeout(at(1000), &mut server.tx);
    assert_eq!(server.sent(), ping(1));
    assert_eq!(server.conn.next_timer(), Some((at(1020), Timer::Pong)));
}

#[test]
fn a_deadline_between_announcement_and_event_loses_no_message() {
    let mut client = End::new(
        Role::Client,
        Config { ping_interval: Some(Duration::from_secs(1)), ..Config::default() },
    );
    assert_eq!(client.rx.push(b"\x81\x02hi"), 4);
    assert!(client.conn.advance(at(0), &mut client.rx, &mut client.tx));
    for second in 1..=21 {
        client.conn.handle_timeout(at(second), &mut client.tx);
        client.sent();
    }
    let events = client.events(at(21));
    assert_eq!(events, [text("hi"), Owned::Closed(Closed::PongTimeout, String::new())]);
}

#[test]
fn an_idle_connection_holds_no_heap_and_less_than_a_kibibyte_in_all() {
    // With `tracing` its span comes to it.
    let most = if cfg!(feature = "tracing") { 1088 } else { 1024 };
    assert!(size_of::<Connection>() <= most, "{}", size_of::<Connection>());
    let mut client = End::client();
    assert_eq!(client.receive(b"\x81\x02hi"), [text("hi")]);
    client.rx.shrink();
    client.tx.shrink();
    assert_eq!(client.rx.heap_size() + client.tx.heap_size(), 0);
}

/// RFC 6455, 5.6: the opcode says whether a message is text or binary.
#[test]
fn a_connection_has_a_kind_of_its_own_to_send_in() {
    for (kind, opcode) in [(MessageKind::Text, 0x81), (MessageKind::Binary, 0x82)] {
        let config = Config { message_kind: kind, ..Config::default() };
        let mut conn = Connection::server(config, Negotiated::default(), Instant::EPOCH);
        let mut tx = SendBuf::new();
        conn.send(b"hi", &mut tx).unwrap();
        assert_eq!(tx.chunk(), [opcode, 2, b'h', b'i']);
        let not_utf8 = conn.send(b"\xff", &mut tx);
        assert_eq!(not_utf8.is_err(), kind == MessageKind::Text);
    }
}

#[test]
fn nothing_is_lent_of_a_text_that_is_none() {
    let mut end = End::client();
    assert_eq!(end.rx.push(b"\x81\x02a\xFF"), 4);
    let event = end.conn.poll_event(at(0), &mut end.rx, &mut end.tx);
    assert!(matches!(event, Some(Event::Closed { .. })));
    assert_eq!(end.conn.lent(&end.rx), b"");
}
