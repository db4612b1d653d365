//! An open WebSocket connection under arbitrary frames.

use super::{Cuts, Transcript, feed, hash, same_however_cut};
use core::time::Duration;
use tidewire::ws::{Config, Connection, Event, Negotiated, SendError};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

pub(super) const MAX_MESSAGE: usize = 1024;
/// A message and a frame header behind it.
pub(super) const BUFFER: usize = MAX_MESSAGE + 16;
const START: Instant = Instant::EPOCH;

/// The bytes are what a client sends.
///
/// # Panics
/// If a promise is broken.
pub fn ws_frames_client(data: &[u8]) {
    same_however_cut(data, |cuts| {
        let config = config();
        run(data, cuts, Connection::server(config, Negotiated::default(), START))
    });
}

/// The bytes are what a server sends.
///
/// # Panics
/// If a promise is broken.
pub fn ws_frames_server(data: &[u8]) {
    same_however_cut(data, |cuts| {
        let (config, seed) = (config(), Seed::new([7; 32]));
        run(data, cuts, Connection::client(config, Negotiated::default(), &seed, START))
    });
}

pub(super) fn config() -> Config {
    Config {
        max_message: MAX_MESSAGE,
        ping_interval: Some(Duration::from_secs(30)),
        ..Config::default()
    }
}

fn run(data: &[u8], mut cuts: Cuts, mut conn: Connection) -> Transcript {
    let mut rx = RecvBuf::with_limit(BUFFER);
    let mut tx = SendBuf::new();
    let mut transcript = Transcript::default();
    let over = feed(data, &mut cuts, &mut rx, |rx, cuts| {
        let over = echo(&mut conn, START, rx, &mut tx, cuts, &mut transcript);
        assert!(rx.heap_size() <= BUFFER + BUFFER / 4, "more memory than the limit");
        over
    });
    end(data, over, conn, rx, tx, cuts, transcript)
}

/// What happens behind the last byte of `data`, unless the connection is `over`.
pub(super) fn end(
    data: &[u8],
    mut over: bool,
    mut conn: Connection,
    mut rx: RecvBuf,
    mut tx: SendBuf,
    mut cuts: Cuts,
    mut transcript: Transcript,
) -> Transcript {
    // Every other input ends with a peer that falls silent.
    if hash(data) & 1 == 0 {
        rx.finish();
        over = over || echo(&mut conn, START, &mut rx, &mut tx, &mut cuts, &mut transcript);
        assert!(over, "the stream has ended and the connection has not");
    }
    let mut wakes = 0;
    while !over {
        let at =
            conn.poll_timeout().expect("an open connection with a ping interval has a deadline");
        conn.handle_timeout(at, &mut tx);
        over = echo(&mut conn, at, &mut rx, &mut tx, &mut cuts, &mut transcript);
        assert!(over || conn.poll_timeout() > Some(at), "a deadline that has passed stays");
        wakes += 1;
        assert!(wakes < 10, "nobody is there and the connection stays");
    }

    let closed = |event: &String| event.starts_with("Closed");
    assert_eq!(transcript.events.iter().filter(|e| closed(e)).count(), 1);
    assert!(transcript.events.last().is_some_and(closed));
    assert!(matches!(conn.transport(), Transport::Close | Transport::Down));
    // Afterwards calls do nothing.
    let _ = rx.push(b"\x89\x00");
    assert_eq!(conn.poll_event(START, &mut rx, &mut tx), None);
    assert_eq!(conn.send_text("late", &mut tx), Err(SendError::Closing));
    assert!(tx.is_empty());

    // A ping of 2 bytes makes a masked pong of 6; a handshake, a Close and our pings come on top.
    assert!(transcript.output.len() <= 3 * data.len() + 500, "more output than input explains");
    transcript
}

/// Takes every event and sends messages back. Returns whether the connection is over.
pub(super) fn echo(
    conn: &mut Connection,
    now: Instant,
    rx: &mut RecvBuf,
    tx: &mut SendBuf,
    cuts: &mut Cuts,
    transcript: &mut Transcript,
) -> bool {
    loop {
        if cuts.liberty() {
            let announced = conn.advance(now, rx, tx);
            rx.shrink();
            assert_eq!(
                conn.advance(now, rx, tx),
                announced,
                "an output that was not taken is lost"
            );
        }
        let open = conn.is_open();
        let event = conn.poll_event(now, rx, tx);
        if let Some(event) = &event {
            transcript.events.push(format!("{event:?}"));
        }
        let sent = match event {
            None => return false,
            Some(Event::Closed { .. }) => {
                transcript.drain(tx);
                return true;
            }
            Some(Event::Text(text)) => {
                assert!(text.len() <= MAX_MESSAGE);
                conn.send_text(text, tx)
            }
            Some(Event::Binary(bytes)) => {
                assert!(bytes.len() <= MAX_MESSAGE);
                conn.send_binary(bytes, tx)
            }
            Some(_) => Ok(()),
        };
        assert!(sent.is_ok() || !open);
        transcript.drain(tx);
    }
}
