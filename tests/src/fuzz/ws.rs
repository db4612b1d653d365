//! An open WebSocket connection under arbitrary frames.

use super::{Cuts, Transcript, feed, hash, same_however_cut};
use core::time::Duration;
use std::borrow::Cow;
use tidewire::ws::{Config, Connection, Delivery, Event};
use tidewire::ws::{MessageKind, Negotiated, Role, SendError};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

pub(super) const MAX_MESSAGE: usize = 1024;
/// A message, and a frame header and a control frame in its midst.
pub(super) const BUFFER: usize = MAX_MESSAGE + 139;
/// What `BUFFER` may allocate, and with compression what is inflated, too.
pub(super) const HEAP: [usize; 2] = [BUFFER + BUFFER / 4, 2 * (BUFFER + BUFFER / 4)];
const START: Instant = Instant::EPOCH;

/// The bytes are what a client sends.
///
/// # Panics
/// If a promise is broken.
pub fn ws_frames_client(data: &[u8]) {
    same_however_delivered(data, |config| Connection::server(config, Negotiated::default(), START));
}

/// The bytes are what a server sends.
///
/// # Panics
/// If a promise is broken.
pub fn ws_frames_server(data: &[u8]) {
    same_however_delivered(data, |config| {
        Connection::client(config, Negotiated::default(), &Seed::new([7; 32]), START)
    });
}

/// Messages in pieces are those that come whole, and fail as they do.
pub(super) fn same_however_delivered(data: &[u8], begin: impl Fn(Config) -> Connection) {
    let [whole, streamed] = [Delivery::Whole, Delivery::Streaming].map(|delivery| {
        let config = Config { delivery, ..config() };
        same_however_cut(data, |cuts| run(data, cuts, begin(config)))
    });
    assert_eq!(streamed, whole, "in pieces");
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
    let compressed = is_deflated(&conn);
    let over = feed(data, &mut cuts, &mut rx, |rx, cuts| {
        let over = echo(&mut conn, START, rx, &mut tx, cuts, &mut transcript);
        assert!(rx.heap_size() <= HEAP[usize::from(compressed)], "more memory than the limit");
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

    // A ping of 2 bytes makes a masked pong of 6, and two of compressed payload up to a whole message; a
    // handshake, a Close and our pings come on top.
    let times = if is_deflated(&conn) { MAX_MESSAGE } else { 3 };
    assert!(transcript.output.len() <= times * data.len() + 500, "more output than input explains");
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
        let open = conn.is_open();
        if cuts.liberty() {
            let announced = conn.advance(now, rx, tx);
            rx.shrink();
            if sends_afresh(conn) {
                conn.shrink();
            }
            assert_eq!(
                conn.advance(now, rx, tx),
                announced,
                "an output that was not taken is lost"
            );
        }
        let Some(event) = conn.poll_event(now, rx, tx) else { return false };
        match Partial::take(&mut transcript.partial, event) {
            Taken::Piece => {}
            Taken::Message(text, bytes) => {
                transcript.events.push(format!("text: {text}, {bytes:?}"));
                let sent = match core::str::from_utf8(&bytes) {
                    Ok(message) if text => conn.send_text(message, tx),
                    _ => conn.send_binary(&bytes, tx),
                };
                assert!(sent.is_ok() || !open);
            }
            Taken::Other(event) => {
                transcript.events.push(format!("{event:?}"));
                if matches!(event, Event::Closed { .. }) {
                    transcript.drain(tx);
                    return true;
                }
            }
        }
        transcript.drain(tx);
    }
}

/// Whether what is sent is the same after the memory of compression was given back.
fn sends_afresh(conn: &Connection) -> bool {
    conn.negotiated().deflate().is_none_or(|params| match conn.role() {
        Role::Client => params.client_no_context_takeover,
        Role::Server => params.server_no_context_takeover,
    })
}

fn is_deflated(conn: &Connection) -> bool {
    conn.negotiated().deflate().is_some()
}

/// A message that is being received in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partial {
    text: bool,
    /// Its length, if that was told.
    length: Option<u64>,
    bytes: Vec<u8>,
}

/// What an event is, whether messages are delivered whole or in pieces.
pub(super) enum Taken<'a> {
    /// Whether it is a text, and all of it.
    Message(bool, Cow<'a, [u8]>),
    /// A part of one.
    Piece,
    Other(Event<'a>),
}

impl Partial {
    pub(super) fn take<'a>(partial: &mut Option<Self>, event: Event<'a>) -> Taken<'a> {
        let (text, bytes): (bool, Cow<'a, [u8]>) = match event {
            Event::Text(text) => (true, text.as_bytes().into()),
            Event::Binary(bytes) => (false, bytes.into()),
            Event::MessageStart { kind, length } => {
                assert_eq!(*partial, None, "a message begins in another");
                let text = kind == MessageKind::Text;
                *partial = Some(Self { text, length, bytes: Vec::new() });
                return Taken::Piece;
            }
            Event::Chunk(bytes) => {
                let message = partial.as_mut().expect("a message that has begun");
                assert!(!bytes.is_empty());
                assert!(!message.text || core::str::from_utf8(bytes).is_ok(), "half a character");
                message.bytes.extend_from_slice(bytes);
                return Taken::Piece;
            }
            Event::MessageEnd => {
                let message = partial.take().expect("a message that has begun");
                let len = message.bytes.len() as u64;
                assert!(message.length.is_none_or(|told| told == len), "another length was told");
                (message.text, message.bytes.into())
            }
            event => {
                if matches!(event, Event::Closed { .. }) {
                    *partial = None;
                }
                return Taken::Other(event);
            }
        };
        assert!(bytes.len() <= MAX_MESSAGE && partial.is_none());
        Taken::Message(text, bytes)
    }
}
