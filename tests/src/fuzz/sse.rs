//! The decoder of event streams.

use super::{Transcript, feed, same_however_cut};
use tidewire::sse::{Decoded, Decoder, Event, Limits};
use tidewire::{RecvBuf, SendBuf};

const LIMITS: Limits = Limits { line: 200, event: 300, name: 50 };
/// More than an event and a line may take.
const BUFFER: usize = 600;

/// The bytes are an event stream.
///
/// # Panics
/// If a promise is broken.
pub fn sse_decoder(data: &[u8]) {
    same_however_cut(data, |mut cuts| {
        let mut rx = RecvBuf::with_limit(BUFFER);
        let mut decoder = Decoder::new(LIMITS);
        let mut transcript = Transcript::default();
        feed(data, &mut cuts, &mut rx, |rx, cuts| {
            rx.keep(rx.raw().len());
            loop {
                if cuts.liberty() {
                    let announced = decoder.advance(rx);
                    rx.shrink();
                    assert_eq!(
                        decoder.advance(rx),
                        announced,
                        "an output that was not taken is lost"
                    );
                }
                match decoder.poll(rx) {
                    Ok(None) => break,
                    Ok(Some(decoded)) => {
                        check(decoded);
                        transcript.events.push(format!("{decoded:?}"));
                    }
                    Err(error) => {
                        transcript.events.push(format!("{error:?}"));
                        assert_eq!(decoder.poll(rx), Err(error), "an error must stay");
                        return true;
                    }
                }
                // U+FFFD is three times as long as the byte that it replaces.
                assert!(
                    rx.heap_size() <= BUFFER + BUFFER / 4 + 2 * 3 * LIMITS.event,
                    "more memory than the limits"
                );
            }
            false
        });
        transcript.events.push(decoder.last_event_id().into());
        transcript
    });
}

/// What was decoded keeps the limits, and comes out the same when it is sent on.
fn check(decoded: Decoded<'_>) {
    let Decoded::Event(event) = decoded else { return };
    assert!(event.data.len() <= 3 * LIMITS.event);
    assert!(event.last_event_id.len() <= 3 * LIMITS.name);
    let mut tx = SendBuf::new();
    Event::data(event.data)
        .event(event.event_type)
        .id(event.last_event_id)
        .encode(&mut tx)
        .expect("what was received can be sent");
    let mut rx = RecvBuf::with_limit(8 * BUFFER);
    assert_eq!(rx.push(tx.chunk()), tx.len());
    rx.keep(tx.len());
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(decoder.poll(&mut rx), Ok(Some(decoded)));
    assert_eq!(decoder.poll(&mut rx), Ok(None));
}
