//! Counters: what one side says it sent is what the other says it received, and what was lent.

use proptest::prelude::*;
use tidewire::ws::{Config, Connection, Delivery, Event, MessageKind, Negotiated, Traffic};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;

/// What a program may do with a connection.
#[derive(Clone, Copy, Debug)]
enum Step {
    Message(usize),
    /// A message in so many pieces before its last, which is empty.
    Pieces(usize),
    Ping,
    Pong,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..300_usize).prop_map(Step::Message),
        (0..4_usize).prop_map(Step::Pieces),
        Just(Step::Ping),
        Just(Step::Pong),
    ]
}

/// Does it, and returns the frames, messages, pings and pongs that it makes.
fn act(step: Step, conn: &mut Connection, tx: &mut SendBuf) -> [u64; 4] {
    match step {
        Step::Message(len) => {
            conn.send_binary(&vec![b'x'; len], tx).unwrap();
            [1, 1, 0, 0]
        }
        Step::Pieces(pieces) => {
            conn.start_message(MessageKind::Text).unwrap();
            for _ in 0..pieces {
                conn.send_chunk(b"piece", tx).unwrap();
            }
            conn.end_message(b"", tx).unwrap();
            [pieces as u64 + 1, 1, 0, 0]
        }
        Step::Ping => {
            conn.send_ping(b"?", tx).unwrap();
            [1, 0, 1, 0]
        }
        Step::Pong => {
            conn.send_pong(b"!", tx).unwrap();
            [1, 0, 0, 1]
        }
    }
}

fn counts(traffic: Traffic) -> [u64; 4] {
    [traffic.frames, traffic.messages, traffic.pings, traffic.pongs]
}

/// Takes every event, and returns how many messages, pings and pongs were among them.
fn take(conn: &mut Connection, rx: &mut RecvBuf, tx: &mut SendBuf) -> [u64; 3] {
    let mut lent = [0; 3];
    while let Some(event) = conn.poll_event(NOW, rx, tx) {
        match event {
            Event::Binary(_) | Event::Text(_) | Event::MessageEnd => lent[0] += 1,
            Event::Ping(_) => lent[1] += 1,
            Event::Pong(_) => lent[2] += 1,
            _ => {}
        }
    }
    lent
}

proptest! {
    /// Whatever is sent how, and cut where it is cut, both sides count the same, and count what was
    /// asked for and lent.
    #[test]
    fn both_sides_count_the_same(
        steps in proptest::collection::vec(step(), 1..40),
        cut in 1..64_usize,
        streaming: bool,
    ) {
        let delivery = if streaming { Delivery::Streaming } else { Delivery::Whole };
        let config = Config { delivery, ..Config::default() };
        let mut client =
            Connection::client(config, Negotiated::default(), &Seed::new([7; 32]), NOW);
        let mut server = Connection::server(config, Negotiated::default(), NOW);
        let (mut up, mut rx) = (SendBuf::new(), RecvBuf::with_limit(1 << 20));
        let (mut down, mut back) = (SendBuf::new(), RecvBuf::with_limit(1 << 20));

        let (mut made, mut lent) = ([0; 4], [0; 3]);
        for &step in &steps {
            let one = act(step, &mut client, &mut up);
            made.iter_mut().zip(one).for_each(|(sum, n)| *sum += n);
        }
        let wire = up.len() as u64;
        while !up.is_empty() {
            let n = up.chunk().len().min(cut);
            prop_assert_eq!(rx.push(&up.chunk()[..n]), n);
            up.consume(n);
            let more = take(&mut server, &mut rx, &mut down);
            lent.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        }
        prop_assert_eq!(counts(client.stats().sent), made);
        prop_assert_eq!(server.stats().received, client.stats().sent);
        prop_assert_eq!(&lent, &made[1..]);
        prop_assert_eq!((up.sent(), rx.received()), (wire, wire));

        // Each ping has its pong (5.5.3).
        prop_assert_eq!(counts(server.stats().sent), [made[2], 0, 0, made[2]]);
        prop_assert_eq!(back.push(down.chunk()), down.len());
        prop_assert_eq!(take(&mut client, &mut back, &mut up), [0, 0, made[2]]);
        prop_assert_eq!(client.stats().received, server.stats().sent);
    }
}

/// 5.5.1: a Close is a frame, and nothing else that is counted.
#[test]
fn a_close_is_a_frame() {
    let mut conn = Connection::server(Config::default(), Negotiated::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 10), SendBuf::new());
    assert_eq!(rx.push(b"\x88\x80\0\0\0\0"), 6);
    assert_eq!(take(&mut conn, &mut rx, &mut tx), [0; 3]);
    assert!(conn.closed().is_some());
    assert_eq!(counts(conn.stats().received), [1, 0, 0, 0]);
    assert_eq!(counts(conn.stats().sent), [1, 0, 0, 0]);
}

/// What is cleared was not sent.
#[test]
fn bytes_that_were_cleared_are_taken_but_not_sent() {
    let (mut rx, mut tx) = (RecvBuf::with_limit(4), SendBuf::new());
    tx.append(b"abcdef");
    tx.consume(2);
    tx.clear();
    tx.append(b"gh");
    tx.consume(2);
    assert_eq!((tx.taken(), tx.sent()), (8, 4));
    assert_eq!(rx.push(b"abcdef"), 4);
    rx.clear();
    assert_eq!(rx.push(b"gh"), 2);
    assert_eq!(rx.received(), 6);
}
