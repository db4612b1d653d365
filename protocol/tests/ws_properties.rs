//! What holds for an open connection whatever the peer sends and whenever its driver looks.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::ws::{CloseCode, Closed, Config, Connection, Delivery, Event, Leniency};
use tidewire::ws::{MessageKind, Negotiated, ProtocolErrorKind, Role, SendError};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const LIMIT: usize = 2048;

fn at(millis: u64) -> Instant {
    Instant::from_epoch(Duration::from_millis(millis))
}

fn config() -> Config {
    Config {
        max_message: 1500,
        send_high_water: 400,
        send_low_water: 100,
        ping_interval: Some(Duration::from_millis(50)),
        pong_timeout: Duration::from_millis(30),
        close_timeout: Duration::from_millis(40),
        ..Config::default()
    }
}

fn connection(role: Role, config: Config) -> Connection {
    match role {
        Role::Client => {
            Connection::client(config, Negotiated::default(), &Seed::new([1; 32]), at(0))
        }
        Role::Server => Connection::server(config, Negotiated::default(), at(0)),
    }
}

/// Frames as a peer of `role` sends them, mostly right, some wrong, some cut short.
fn stream(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        "\\PC{0,40}".prop_map(String::into_bytes),
        "[a-z]{100,300}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
        Just(b"\x03\xE8bye".to_vec()),
    ];
    let first = prop_oneof![
        8 => prop_oneof![Just(0x81_u8), Just(0x82), Just(0x01), Just(0x02), Just(0x00), Just(0x80)],
        4 => prop_oneof![Just(0x89_u8), Just(0x8A)],
        1 => prop_oneof![Just(0x88_u8), any::<u8>()],
    ];
    let frame = (first, payload, any::<[u8; 4]>()).prop_map(move |(first, payload, key)| {
        let masked = role == Role::Server;
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        if payload.len() < 126 {
            frame.push(mask | payload.len() as u8);
        } else {
            frame.push(mask | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        if masked {
            frame.extend(key);
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            frame.extend(payload);
        }
        frame
    });
    (proptest::collection::vec(frame, 0..12), proptest::collection::vec(any::<u8>(), 0..4))
        .prop_map(|(frames, tail)| [frames.concat(), tail].concat())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn role_and_stream() -> impl Strategy<Value = (Role, Vec<u8>)> {
    role().prop_flat_map(|role| (Just(role), stream(role)))
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![Just(Delivery::Whole), Just(Delivery::Streaming)]
}

/// What was told, with messages whole however they are delivered. Of one that does not come to its end
/// it depends on the pieces of the input how much is told.
#[derive(Debug, Default, PartialEq)]
struct Told {
    events: Vec<String>,
    partial: Option<(MessageKind, Vec<u8>)>,
    closed: Option<Closed>,
}

impl Told {
    fn push(&mut self, event: Event<'_>) {
        match event {
            Event::MessageStart { kind, .. } => {
                assert_eq!(self.partial.replace((kind, vec![])), None);
            }
            Event::Chunk(bytes) => {
                let (kind, so_far) = self.partial.as_mut().expect("a message that has begun");
                assert!(!bytes.is_empty());
                // RFC 6455, 5.6: as whole characters only.
                assert!(*kind == MessageKind::Binary || core::str::from_utf8(bytes).is_ok());
                so_far.extend_from_slice(bytes);
            }
            Event::MessageEnd => {
                let (kind, bytes) = self.partial.take().expect("a message that has begun");
                self.push(match kind {
                    MessageKind::Text => Event::Text(core::str::from_utf8(&bytes).unwrap()),
                    MessageKind::Binary => Event::Binary(&bytes),
                });
            }
            event => {
                if let Event::Closed { why, .. } = event {
                    assert_eq!(self.closed.replace(why), None);
                    self.partial = None;
                }
                self.events.push(format!("{event:?}"));
            }
        }
    }
}

/// Feeds the stream in pieces of the given sizes and returns events and output.
fn run(
    role: Role,
    config: Config,
    bytes: &[u8],
    sizes: &[usize],
    mut poll: impl FnMut(&mut Connection, &mut RecvBuf, &mut SendBuf, &mut Told),
) -> (Told, Vec<u8>) {
    let mut conn = connection(role, Config { send_high_water: usize::MAX, ..config });
    let (mut rx, mut tx) = (RecvBuf::with_limit(LIMIT), SendBuf::new());
    let mut told = Told::default();
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() && told.closed.is_none() {
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let n = rx.push(&rest[..size]);
        assert!(n > 0, "a full buffer is waited on");
        rest = &rest[n..];
        poll(&mut conn, &mut rx, &mut tx, &mut told);
    }
    rx.finish();
    poll(&mut conn, &mut rx, &mut tx, &mut told);
    (told, tx.chunk().to_vec())
}

fn drain(conn: &mut Connection, rx: &mut RecvBuf, tx: &mut SendBuf, told: &mut Told) {
    while let Some(event) = conn.poll_event(at(0), rx, tx) {
        told.push(event);
    }
}

proptest! {
    /// Any split of the input gives the same events and the same output, and the last event, and
    /// only that, is Closed. Messages in pieces are those that come whole, and fail as they do.
    #[test]
    fn chunking_changes_nothing(
        (role, bytes) in role_and_stream(),
        sizes in proptest::collection::vec(1..200_usize, 1..20),
    ) {
        let whole = run(role, config(), &bytes, &[usize::MAX], drain);
        prop_assert!(whole.0.events.last().is_some_and(|event| event.starts_with("Closed")));
        for delivery in [Delivery::Whole, Delivery::Streaming] {
            let config = Config { delivery, ..config() };
            for sizes in [&sizes[..], &[1], &[usize::MAX]] {
                prop_assert_eq!(&run(role, config, &bytes, sizes, drain), &whole);
            }
        }
    }

    /// Polling more often, shrinking and making room between the two halves of a poll, asking
    /// for an announcement twice or without the time, or taking an event once too often: same events,
    /// same output.
    #[test]
    fn interleaving_changes_nothing(
        (role, bytes) in role_and_stream(),
        delivery in delivery(),
        sizes in proptest::collection::vec(1..200_usize, 1..20),
        moves in proptest::collection::vec(0..9_u8, 1..40),
    ) {
        let whole = run(role, config(), &bytes, &[usize::MAX], drain);
        let config = Config { delivery, ..config() };
        let mut moves = moves.into_iter().cycle();
        let other = run(role, config, &bytes, &sizes, |conn, rx, tx, told| {
            let mut more = true;
            while more {
                match moves.next() {
                    Some(0) => rx.shrink(),
                    Some(1) => {
                        rx.spare(1000);
                    }
                    Some(2) => {
                        conn.advance(at(0), rx, tx);
                    }
                    Some(3) => conn.handle_timeout(at(0), tx),
                    Some(4) => tx.shrink(),
                    Some(5) => conn.shrink(),
                    _ => {}
                }
                // Who asks for what came with the last event first has it then or later.
                let again = more && moves.next() > Some(4) && conn.advance_again(rx);
                more = again || conn.advance(at(0), rx, tx);
                rx.shrink();
                if let Some(event) = conn.event(at(0), rx, tx) {
                    told.push(event);
                }
                assert_eq!(conn.event(at(0), rx, tx), None);
            }
        });
        prop_assert_eq!(other, whole);
    }

    /// A streamed message is told as far as it has come: every byte, and of a text every whole
    /// character, whether it came in one frame or in two.
    #[test]
    fn what_has_come_of_a_message_is_told(
        text in "\\PC{0,60}",
        kind in prop_oneof![Just(MessageKind::Text), Just(MessageKind::Binary)],
        cut in 0..200_usize,
        came in 0..200_usize,
    ) {
        let cut = cut.min(text.len());
        let (first, second) = text.as_bytes().split_at(cut);
        let opcode = if kind == MessageKind::Text { 1 } else { 2 };
        let frame = |first, payload: &[u8]| {
            [&[first, 126][..], &(payload.len() as u16).to_be_bytes(), payload].concat()
        };
        // Not in their shortest form, so that both headers have four bytes.
        let leniency = Leniency { length_not_minimal: true, ..Leniency::default() };
        let config = Config { delivery: Delivery::Streaming, leniency, ..config() };
        let stream = [frame(opcode, first), frame(0x80, second)].concat();
        let came = came.min(stream.len());
        let payload = came.saturating_sub(4).min(cut) + came.saturating_sub(8 + cut);
        let whole = match (kind, core::str::from_utf8(&text.as_bytes()[..payload])) {
            (MessageKind::Text, Err(error)) => error.valid_up_to(),
            _ => payload,
        };

        let mut conn = connection(Role::Client, config);
        let (mut rx, mut tx) = (RecvBuf::with_limit(LIMIT), SendBuf::new());
        let mut told = Told::default();
        for byte in &stream[..came] {
            assert_eq!(rx.push(&[*byte]), 1);
            drain(&mut conn, &mut rx, &mut tx, &mut told);
        }
        if came == stream.len() {
            let event = match kind {
                MessageKind::Text => Event::Text(&text),
                MessageKind::Binary => Event::Binary(text.as_bytes()),
            };
            prop_assert_eq!(told.events, [format!("{event:?}")]);
        } else {
            let due = (came >= 4).then(|| (kind, text.as_bytes()[..whole].to_vec()));
            prop_assert_eq!(told.partial, due);
        }
    }

    /// A flag of leniency changes nothing where what it forgives is not there.
    #[test]
    fn leniency_changes_nothing_else(
        (role, bytes) in role_and_stream(),
        delivery in delivery(),
        flag in 0..4_usize,
    ) {
        use ProtocolErrorKind as Kind;
        let config = Config { delivery, ..config() };
        let leniency = Leniency {
            unmasked_client: flag == 0,
            masked_server: flag == 1,
            length_not_minimal: flag == 2,
            any_close_code: flag == 3,
        };
        let forgiven = [
            Kind::UnmaskedByClient,
            Kind::MaskedByServer,
            Kind::LengthNotMinimal,
            Kind::InvalidCloseCode,
        ][flag];
        let strict = run(role, config, &bytes, &[usize::MAX], drain);
        let lenient = run(role, Config { leniency, ..config }, &bytes, &[usize::MAX], drain);
        match strict.0.closed {
            Some(Closed::Protocol(error)) if error.kind == forgiven => {
                prop_assert!(lenient.0.closed != strict.0.closed);
                let before = strict.0.events.len() - 1;
                prop_assert_eq!(&lenient.0.events[..before], &strict.0.events[..before]);
            }
            _ => prop_assert_eq!(lenient, strict),
        }
    }

    /// Whatever is done: memory stays bounded, a deadline in the past is acted upon, exactly one
    /// Closed comes and nothing after it, and no frame follows our Close.
    #[test]
    fn every_run_is_bounded_and_ends_once(
        (role, bytes) in role_and_stream(),
        delivery in delivery(),
        idle in proptest::option::of(1..200_u64),
        write in proptest::option::of(1..200_u64),
        steps in proptest::collection::vec((0..13_u8, 0..300_u64), 0..80),
    ) {
        let config = Config {
            delivery,
            idle_timeout: idle.map(Duration::from_millis),
            write_timeout: write.map(Duration::from_millis),
            ..config()
        };
        let mut conn = connection(role, config);
        let (mut rx, mut tx) = (RecvBuf::with_limit(LIMIT), SendBuf::new());
        let (mut now, mut rest, mut over) = (0, &bytes[..], false);
        for (step, n) in steps {
            let frozen = over.then(|| tx.len());
            match step {
                0 | 1 => {
                    let n = rx.push(&rest[..rest.len().min(n as usize)]);
                    rest = &rest[n..];
                }
                2 => now += n / 10,
                3 => { let _ = conn.send_binary(&[0; 200][..n as usize % 200], &mut tx); }
                4 => { let _ = conn.send_ping(b"?", &mut tx); }
                5 if n > 250 => { let _ = conn.close(CloseCode::NORMAL, "", at(now), &mut tx); }
                6 if n > 250 => rx.finish(),
                7 if frozen.is_none() => tx.consume(tx.len().min(n as usize)),
                8 => rx.shrink(),
                9 => { let _ = conn.start_message(MessageKind::Binary); }
                10 => { let _ = conn.send_chunk(&[0; 200][..n as usize % 200], &mut tx); }
                11 => { let _ = conn.end_message(b"last", &mut tx); }
                12 => conn.shrink(),
                _ => {}
            }
            while let Some(event) = conn.poll_event(at(now), &mut rx, &mut tx) {
                prop_assert!(!over, "{:?} after Closed", event);
                over = matches!(event, Event::Closed { .. });
            }
            let due = conn.poll_timeout();
            conn.handle_timeout(at(now), &mut tx);
            if due.is_some_and(|due| due <= at(now)) {
                prop_assert!(conn.poll_timeout().is_none_or(|next| next > at(now)));
            }
            if let Some(frozen) = frozen {
                prop_assert_eq!((frozen, conn.poll_timeout()), (tx.len(), None));
            }
            // One message, one frame header, and the control frames that may go above the mark.
            prop_assert!(tx.len() <= 400 + 214 + 2 * 139);
            prop_assert!(rx.heap_size() <= LIMIT + LIMIT / 4);
        }
        // It ends by itself: by the end of the stream or by a deadline.
        rx.finish();
        for _ in 0..100 {
            while let Some(event) = conn.poll_event(at(now), &mut rx, &mut tx) {
                prop_assert!(!over);
                over = matches!(event, Event::Closed { .. });
            }
        }
        prop_assert!(over);
    }

    /// What one side sends is what the other receives: whole or in fragments, with control frames
    /// in its midst, compressed or not, in either delivery.
    #[test]
    fn messages_arrive_as_they_were_sent(
        role in role(),
        delivery in delivery(),
        agreed in agreement(),
        messages in proptest::collection::vec(message(), 0..20),
    ) {
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let config = Config { delivery, ..Config::default() };
        let [mut a, mut b] = [role, other].map(|role| match role {
            Role::Client => Connection::client(config, agreed, &Seed::new([1; 32]), at(0)),
            Role::Server => Connection::server(config, agreed, at(0)),
        });
        let (mut wire, mut rx, mut back) =
            (SendBuf::new(), RecvBuf::with_limit(1 << 20), SendBuf::new());
        let mut told = Told::default();
        for Sent { kind, bytes, cuts, shrinks } in &messages {
            let expected = match (kind, core::str::from_utf8(bytes)) {
                (MessageKind::Text, Ok(text)) => Event::Text(text),
                _ => Event::Binary(bytes),
            };
            match cuts {
                None => match expected {
                    Event::Text(text) => a.send_text(text, &mut wire).unwrap(),
                    _ => a.send_binary(bytes, &mut wire).unwrap(),
                },
                Some(cuts) => {
                    let kind = if matches!(expected, Event::Text(_)) { *kind } else { MessageKind::Binary };
                    let mut rest = &bytes[..];
                    a.start_message(kind).unwrap();
                    for cut in cuts {
                        let (piece, later) = rest.split_at(*cut.min(&rest.len()));
                        a.send_chunk(piece, &mut wire).unwrap();
                        a.send_ping(b"", &mut wire).unwrap();
                        prop_assert_eq!(a.send_binary(b"", &mut wire), Err(SendError::Unfinished));
                        rest = later;
                    }
                    a.end_message(rest, &mut wire).unwrap();
                    prop_assert_eq!(a.send_chunk(b"", &mut wire), Err(SendError::NotStarted));
                }
            }
            while !wire.is_empty() {
                let n = rx.push(wire.chunk());
                wire.consume(n);
                drain(&mut b, &mut rx, &mut back, &mut told);
            }
            if *shrinks {
                a.shrink();
                b.shrink();
            }
            told.events.retain(|event| event != "Ping([])");
            prop_assert_eq!(core::mem::take(&mut told), Told {
                events: vec![format!("{expected:?}")],
                ..Told::default()
            });
        }
    }
}

#[derive(Debug)]
struct Sent {
    kind: MessageKind,
    bytes: Vec<u8>,
    /// The lengths of all fragments but the last, if it is sent in fragments.
    cuts: Option<Vec<usize>>,
    /// Whether memory is given back behind it.
    shrinks: bool,
}

fn message() -> impl Strategy<Value = Sent> {
    let bytes = prop_oneof![
        "\\PC{0,200}".prop_map(String::into_bytes),
        "[ab]{0,2000}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..2000),
    ];
    let cuts = proptest::option::of(proptest::collection::vec(0..400_usize, 0..6));
    let kind = prop_oneof![Just(MessageKind::Text), Just(MessageKind::Binary)];
    (kind, bytes, cuts, proptest::bool::weighted(0.2))
        .prop_map(|(kind, bytes, cuts, shrinks)| Sent { kind, bytes, cuts, shrinks })
}

#[cfg(feature = "deflate")]
fn agreement() -> impl Strategy<Value = Negotiated> {
    use tidewire::ws::{DeflateConfig, DeflateParams};
    let deflate = (any::<[bool; 2]>(), 8..16_u8, 8..16_u8, 1..10_u8, 0..100_usize).prop_map(
        |([server, client], server_bits, client_bits, level, threshold)| {
            let params = DeflateParams {
                server_no_context_takeover: server,
                client_no_context_takeover: client,
                server_max_window_bits: server_bits,
                client_max_window_bits: client_bits,
            };
            let config = DeflateConfig { level, threshold, ..DeflateConfig::default() };
            Negotiated::default().with_deflate(params, &config)
        },
    );
    prop_oneof![1 => Just(Negotiated::default()), 3 => deflate]
}

#[cfg(not(feature = "deflate"))]
fn agreement() -> impl Strategy<Value = Negotiated> {
    Just(Negotiated::default())
}
