//! What holds for an open connection whatever the peer sends and whenever its driver looks.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::ws::{CloseCode, Config, Connection, Event, Negotiated, Role};
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

/// Feeds the stream in pieces of the given sizes and returns events and output.
fn run(
    role: Role,
    bytes: &[u8],
    sizes: &[usize],
    mut poll: impl FnMut(&mut Connection, &mut RecvBuf, &mut SendBuf, &mut Vec<String>),
) -> (Vec<String>, Vec<u8>) {
    let mut conn = connection(role, Config { send_high_water: usize::MAX, ..config() });
    let (mut rx, mut tx) = (RecvBuf::with_limit(LIMIT), SendBuf::new());
    let mut events = Vec::new();
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let n = rx.push(&rest[..size]);
        rest = &rest[n..];
        let before = (n, events.len());
        poll(&mut conn, &mut rx, &mut tx, &mut events);
        // Nothing of a stream that is over is taken; else the buffer must never be stuck.
        if before == (0, events.len()) {
            break;
        }
    }
    rx.finish();
    poll(&mut conn, &mut rx, &mut tx, &mut events);
    (events, tx.chunk().to_vec())
}

fn drain(conn: &mut Connection, rx: &mut RecvBuf, tx: &mut SendBuf, events: &mut Vec<String>) {
    while let Some(event) = conn.poll_event(at(0), rx, tx) {
        events.push(format!("{event:?}"));
    }
}

proptest! {
    /// Any split of the input gives the same events and the same output, and the last event, and
    /// only that, is Closed.
    #[test]
    fn chunking_changes_nothing(
        (role, bytes) in role_and_stream(),
        sizes in proptest::collection::vec(1..200_usize, 1..20),
    ) {
        let whole = run(role, &bytes, &[usize::MAX], drain);
        let closed = |event: &String| event.starts_with("Closed");
        prop_assert_eq!(whole.0.iter().position(closed), Some(whole.0.len() - 1));
        prop_assert_eq!(&run(role, &bytes, &sizes, drain), &whole);
        prop_assert_eq!(&run(role, &bytes, &[1], drain), &whole);
    }

    /// Polling more often, shrinking and making room between the two halves of a poll, asking
    /// for an announcement twice or taking an event once too often: same events, same output.
    #[test]
    fn interleaving_changes_nothing(
        (role, bytes) in role_and_stream(),
        sizes in proptest::collection::vec(1..200_usize, 1..20),
        moves in proptest::collection::vec(0..6_u8, 1..40),
    ) {
        let whole = run(role, &bytes, &[usize::MAX], drain);
        let mut moves = moves.into_iter().cycle();
        let other = run(role, &bytes, &sizes, |conn, rx, tx, events| {
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
                    _ => {}
                }
                more = conn.advance(at(0), rx, tx);
                rx.shrink();
                events.extend(conn.event(at(0), rx, tx).map(|event| format!("{event:?}")));
                assert_eq!(conn.event(at(0), rx, tx), None);
            }
        });
        prop_assert_eq!(other, whole);
    }

    /// Whatever is done: memory stays bounded, a deadline in the past is acted upon, exactly one
    /// Closed comes and nothing after it, and no frame follows our Close.
    #[test]
    fn every_run_is_bounded_and_ends_once(
        (role, bytes) in role_and_stream(),
        steps in proptest::collection::vec((0..9_u8, 0..300_u64), 0..80),
    ) {
        let mut conn = connection(role, config());
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

    /// What one side sends is what the other receives.
    #[test]
    fn messages_arrive_as_they_were_sent(
        role in role(),
        messages in proptest::collection::vec(("\\PC{0,200}", any::<bool>()), 0..20),
    ) {
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let (mut a, mut b) = (connection(role, Config::default()), connection(other, Config::default()));
        let (mut wire, mut rx, mut back) =
            (SendBuf::new(), RecvBuf::with_limit(1 << 20), SendBuf::new());
        for (message, text) in &messages {
            if *text {
                a.send_text(message, &mut wire).unwrap();
            } else {
                a.send_binary(message.as_bytes(), &mut wire).unwrap();
            }
            prop_assert_eq!(rx.push(wire.chunk()), wire.len());
            wire.clear();
            let expected = if *text { Event::Text(message) } else { Event::Binary(message.as_bytes()) };
            prop_assert_eq!(b.poll_event(at(0), &mut rx, &mut back), Some(expected));
        }
        prop_assert_eq!(b.poll_event(at(0), &mut rx, &mut back), None);
    }
}
