//! Messages that are received and sent in pieces (RFC 6455, 5.4).

use tidewire::ws::{
    CloseCode, Closed, Config, Connection, Delivery, Event, MessageKind, Negotiated,
    ProtocolErrorKind, SendError,
};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;

fn streaming() -> Config {
    Config { delivery: Delivery::Streaming, ..Config::default() }
}

fn client(config: Config) -> Connection {
    Connection::client(config, Negotiated::default(), &Seed::new([7; 32]), NOW)
}

/// The events that each of the pieces makes, in words.
fn told(conn: &mut Connection, rx: &mut RecvBuf, pieces: &[&[u8]]) -> Vec<String> {
    let (mut tx, mut told) = (SendBuf::new(), Vec::new());
    for piece in pieces {
        assert_eq!(rx.push(piece), piece.len());
        while let Some(event) = conn.poll_event(NOW, rx, &mut tx) {
            told.push(match event {
                Event::MessageStart { kind, length } => format!("{kind:?} {length:?}"),
                Event::Chunk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Event::MessageEnd => "end".into(),
                Event::Closed { why: Closed::Protocol(error), .. } => {
                    format!("{:?} {}", error.kind, error.offset)
                }
                other => format!("{other:?}"),
            });
        }
    }
    told
}

fn received(pieces: &[&[u8]]) -> Vec<String> {
    told(&mut client(streaming()), &mut RecvBuf::with_limit(1024), pieces)
}

#[test]
fn a_message_is_lent_as_it_arrives_inside_a_frame_too() {
    let events = received(&[b"\x82\x05ab", b"c", b"de\x82\x00"]);
    assert_eq!(events, ["Binary Some(5)", "ab", "c", "de", "end", "Binary Some(0)", "end"]);
}

#[test]
fn fragments_are_one_message_whose_length_nobody_knows() {
    let events = received(&[b"\x01\x02ab\x00\x00\x80\x01c"]);
    assert_eq!(events, ["Text None", "ab", "c", "end"]);
}

#[test]
fn control_frames_come_between_the_pieces() {
    let events = received(&[b"\x01\x01a\x89\x01?\x80\x01b"]);
    assert_eq!(events, ["Text None", "a", "Ping([63])", "b", "end"]);
}

#[test]
fn a_piece_of_text_has_whole_characters_only() {
    // U+00E4 over two reads, and U+20AC over three frames.
    let events = received(&[b"\x81\x03a\xC3", b"\xA4"]);
    assert_eq!(events, ["Text Some(3)", "a", "\u{e4}", "end"]);
    let events = received(&[b"\x01\x01\xE2\x00\x01\x82\x80\x02\xACb"]);
    assert_eq!(events, ["Text None", "\u{20ac}b", "end"]);
}

#[test]
fn text_fails_at_its_first_bad_byte_and_within_a_character_at_its_end() {
    assert_eq!(received(&[b"\x81\x05ab", b"\xFF"]), ["Text Some(5)", "ab", "InvalidUtf8 4"]);
    assert_eq!(received(&[b"\x81\x02a\xC3"]), ["Text Some(2)", "a", "InvalidUtf8 4"]);
}

#[test]
fn a_message_larger_than_the_buffer_passes_through() {
    let mut conn = client(Config { max_message: usize::MAX, ..streaming() });
    let (mut rx, mut tx) = (RecvBuf::with_limit(256), SendBuf::new());
    // 1 TiB is announced, a MiB of it comes.
    assert_eq!(rx.push(b"\x82\x7f\0\0\x01\0\0\0\0\0"), 10);
    let mut sum = 0;
    for round in 0..4096 {
        assert_eq!(rx.push(&[round as u8; 256]), if round == 0 { 246 } else { 256 });
        while let Some(event) = conn.poll_event(NOW, &mut rx, &mut tx) {
            match event {
                Event::Chunk(bytes) => sum += bytes.len(),
                Event::MessageStart { length, .. } => assert_eq!(length, Some(1 << 40)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(sum, 4096 * 256 - 10);
    assert!(rx.heap_size() <= 320, "{}", rx.heap_size());
}

#[test]
fn the_limit_holds_for_the_sum_of_the_fragments() {
    let mut conn = client(Config { max_message: 4, ..streaming() });
    let events = told(&mut conn, &mut RecvBuf::with_limit(64), &[b"\x02\x03abc\x80\x02de"]);
    assert_eq!(events, ["Binary None", "abc", "MessageTooBig 5"]);
}

#[test]
fn what_was_received_of_a_message_is_void_when_the_peer_closes() {
    let mut conn = Connection::server(
        Config { leniency: unmasked(), ..streaming() },
        Negotiated::default(),
        NOW,
    );
    let events =
        told(&mut conn, &mut RecvBuf::with_limit(64), &[b"\x01\x02a\xC3\x88\x05\x03\xE9bye"]);
    assert_eq!(events[..2], ["Text None", "a"]);
    assert!(events[2].contains("1001") && events[2].contains("\"bye\""), "{events:?}");
}

fn unmasked() -> tidewire::ws::Leniency {
    tidewire::ws::Leniency { unmasked_client: true, ..Default::default() }
}

// Sending.

#[test]
fn fragments_leave_one_by_one_and_control_frames_between_them() {
    let mut server = Connection::server(Config::default(), Negotiated::default(), NOW);
    let mut tx = SendBuf::new();
    server.start_message(MessageKind::Text).unwrap();
    assert!(tx.is_empty(), "nothing is known to send yet");
    server.send_chunk(b"a\xC3", &mut tx).unwrap();
    server.send_ping(b"?", &mut tx).unwrap();
    server.send_chunk(b"", &mut tx).unwrap();
    server.send_chunk(b"\xA4", &mut tx).unwrap();
    server.end_message(b"b", &mut tx).unwrap();
    assert_eq!(tx.chunk(), b"\x01\x02a\xC3\x89\x01?\x00\x01\xA4\x80\x01b");
    tx.clear();
    server.start_message(MessageKind::Binary).unwrap();
    server.end_message(b"", &mut tx).unwrap();
    assert_eq!(tx.chunk(), b"\x82\x00");
}

#[test]
fn no_other_message_can_be_sent_in_the_midst_of_one() {
    let mut server = Connection::server(Config::default(), Negotiated::default(), NOW);
    let mut tx = SendBuf::new();
    assert_eq!(server.send_chunk(b"x", &mut tx), Err(SendError::NotStarted));
    assert_eq!(server.end_message(b"x", &mut tx), Err(SendError::NotStarted));
    server.start_message(MessageKind::Binary).unwrap();
    assert_eq!(server.start_message(MessageKind::Binary), Err(SendError::Unfinished));
    assert_eq!(server.send_text("x", &mut tx), Err(SendError::Unfinished));
    assert_eq!(server.send_binary(b"x", &mut tx), Err(SendError::Unfinished));
    server.close(CloseCode::NORMAL, "", NOW, &mut tx).unwrap();
    assert_eq!(server.send_chunk(b"x", &mut tx), Err(SendError::Closing));
    assert_eq!(tx.chunk(), b"\x88\x02\x03\xE8", "the message is void");
}

#[test]
fn after_an_error_the_message_can_go_on() {
    let config = Config { send_high_water: 8, ..Config::default() };
    let mut server = Connection::server(config, Negotiated::default(), NOW);
    let mut tx = SendBuf::new();
    server.start_message(MessageKind::Text).unwrap();
    assert_eq!(server.send_chunk(b"a\xFF", &mut tx), Err(SendError::NotUtf8));
    server.send_chunk(b"abcde\xC3", &mut tx).unwrap();
    assert_eq!(server.send_chunk(b"\xA4", &mut tx), Err(SendError::Full));
    tx.clear();
    assert_eq!(server.end_message(b"", &mut tx), Err(SendError::NotUtf8));
    server.end_message(b"\xA4", &mut tx).unwrap();
    assert_eq!(tx.chunk(), b"\x80\x01\xA4");
}

#[test]
fn leniency_lets_pass_what_it_names_and_nothing_else() {
    use ProtocolErrorKind as Kind;
    let flags: [fn(&mut tidewire::ws::Leniency); 4] = [
        |it| it.unmasked_client = true,
        |it| it.masked_server = true,
        |it| it.length_not_minimal = true,
        |it| it.any_close_code = true,
    ];
    // From a client: no mask. From a server: a mask, a long length, code 1005.
    let frames: [(bool, &[u8], Kind); 4] = [
        (true, b"\x81\x01a", Kind::UnmaskedByClient),
        (false, b"\x81\x81\0\0\0\0a", Kind::MaskedByServer),
        (false, b"\x81\x7e\0\x01a", Kind::LengthNotMinimal),
        (false, b"\x88\x02\x03\xED", Kind::InvalidCloseCode),
    ];
    for (flag, allow) in flags.into_iter().enumerate() {
        let mut config = Config::default();
        allow(&mut config.leniency);
        for (at, (from_client, bytes, kind)) in frames.into_iter().enumerate() {
            let mut conn = if from_client {
                Connection::server(config, Negotiated::default(), NOW)
            } else {
                client(config)
            };
            let events = told(&mut conn, &mut RecvBuf::with_limit(64), &[bytes]);
            let refused = events == [format!("{kind:?} 0")];
            assert_eq!(refused, at != flag, "{events:?}");
        }
    }
}
