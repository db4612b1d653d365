//! Those who read a stream.

use super::case::{End, Event, Item, Verdict, pieces};
use bytes::Bytes;
use eventsource_stream::EventStream;
use futures_core::Stream;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidewire::http::{BodyLength, Client, ClientConfig, ClientEvent};
use tidewire::reconnect::Policy;
use tidewire::sse::{Decoded, Decoder, EventSource, MessageEvent, SourceEvent};
use tidewire::sse::{Limits, SourceConfig, SourceRequest};
use tidewire::url::Url;
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

/// Who is compared with us.
pub const NAMES: [&str; 2] = ["sse-core", "eventsource-stream"];

/// What the peer of this name makes of a stream in pieces.
pub fn judge(peer: &str, stream: &[u8], cuts: &[usize]) -> Verdict {
    match peer {
        "sse-core" => sse_core(stream, cuts),
        _ => eventsource_stream(stream, cuts),
    }
}

/// How a stream reaches us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Decoder,
    /// Behind HTTP, in chunks of so many bytes, in one buffer.
    Chunked(usize),
    /// In an `EventSource`, until the server leaves. Times are told by what it does then, so that only
    /// the last is known.
    Source,
}

fn event(event: MessageEvent<'_>) -> Item {
    Item::Event(Event {
        event_type: event.event_type.into(),
        data: event.data.into(),
        id: event.last_event_id.into(),
    })
}

fn decode(decoder: &mut Decoder, rx: &mut RecvBuf, verdict: &mut Verdict) {
    while let Some(decoded) = decoder.poll(rx).expect("far below the limits") {
        verdict.items.push(match decoded {
            Decoded::Event(decoded) => event(decoded),
            Decoded::Comment(comment) => Item::Comment(comment.into()),
            Decoded::Retry(time) => Item::Retry(time),
        });
    }
    verdict.last_event_id = decoder.last_event_id().into();
}

/// What we make of a stream.
pub fn tidewire(stream: &[u8], cuts: &[usize], way: Way) -> Verdict {
    let mut verdict = Verdict::default();
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 26), SendBuf::new());
    let now = Instant::EPOCH;
    match way {
        Way::Decoder => {
            let mut decoder = Decoder::new(Limits::default());
            for piece in pieces(stream, cuts) {
                assert_eq!(rx.push(piece), piece.len());
                rx.keep(piece.len());
                decode(&mut decoder, &mut rx, &mut verdict);
            }
        }
        Way::Chunked(size) => {
            let mut decoder = Decoder::new(Limits::default());
            let mut client = Client::new(ClientConfig::default(), now);
            let host = [("Host", "h")];
            client.request("GET", "/", host, BodyLength::EMPTY, now, &mut tx).expect("a request");
            for piece in pieces(&response(stream, size), cuts) {
                assert_eq!(rx.push(piece), piece.len());
                while client.advance(now, &mut rx, &mut tx) {
                    if let Some(ClientEvent::Response(_)) = client.event(now, &mut rx, &mut tx) {
                        client.hold_body();
                    }
                }
                if client.unanswered() == 0 {
                    decode(&mut decoder, &mut rx, &mut verdict);
                }
            }
        }
        Way::Source => {
            let request = SourceRequest::new(Url::parse("http://h/").expect("a URL"));
            let (min_retry, max_retry) = (Duration::ZERO, Duration::MAX);
            let reconnect = Policy::fixed(Duration::from_secs(3));
            let config =
                SourceConfig { min_retry, max_retry, reconnect, ..SourceConfig::default() };
            let mut source = EventSource::new(request, config, &Seed::new([1; 32]), now)
                .expect("a good request");
            source.connected(now, &mut tx);
            let bytes = response(stream, 11);
            for piece in pieces(&bytes, cuts).into_iter().map(Some).chain([None]) {
                match piece {
                    Some(piece) => assert_eq!(rx.push(piece), piece.len()),
                    None => rx.finish(),
                }
                while let Some(told) = source.poll_event(now, &mut rx, &mut tx) {
                    match told {
                        SourceEvent::Message(message) => verdict.items.push(event(message)),
                        SourceEvent::Comment(text) => {
                            verdict.items.push(Item::Comment(text.into()))
                        }
                        _ => {}
                    }
                }
            }
            // It waits three seconds if nobody says anything else.
            let wait = match source.transport() {
                tidewire::Transport::Dial => Duration::ZERO,
                _ => source.poll_timeout().expect("it tries again").saturating_since(now),
            };
            verdict.items.push(Item::Retry(wait));
            verdict.last_event_id = source.last_event_id().into();
        }
    }
    verdict
}

/// A response whose body this is.
fn response(body: &[u8], chunk: usize) -> Vec<u8> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    for chunk in body.chunks(chunk) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn sse_core(stream: &[u8], cuts: &[usize]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut decoder = sse_core::SseDecoder::new();
    for piece in pieces(stream, cuts) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(decoded) = decoder.next(&mut piece) {
            match decoded {
                Ok(sse_core::SseEvent::Message(message)) => {
                    verdict.items.push(Item::Event(Event {
                        event_type: message.event.into_owned(),
                        data: message.data,
                        id: message.last_event_id.as_deref().unwrap_or_default().into(),
                    }));
                }
                Ok(sse_core::SseEvent::Retry(ms)) => {
                    verdict.items.push(Item::Retry(Duration::from_millis(ms.into())));
                }
                Err(error) => {
                    verdict.end = Some(End::Failed(error.to_string()));
                    return verdict;
                }
            }
        }
    }
    verdict.last_event_id = decoder.last_event_id().map_or_else(String::new, ToString::to_string);
    verdict
}

/// Pieces that are all there.
struct Pieces(std::vec::IntoIter<Vec<u8>>);

impl Stream for Pieces {
    type Item = Result<Vec<u8>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

fn eventsource_stream(stream: &[u8], cuts: &[usize]) -> Verdict {
    let mut verdict = Verdict::default();
    let pieces: Vec<_> = pieces(stream, cuts).into_iter().map(<[u8]>::to_vec).collect();
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut events = pin!(EventStream::new(Pieces(pieces.into_iter())));
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(event)) = events.as_mut().poll_next(&mut context) {
            match event {
                Ok(event) => {
                    verdict.items.extend(event.retry.map(Item::Retry));
                    let (event_type, data, id) = (event.event, event.data, event.id);
                    verdict.items.push(Item::Event(Event { event_type, data, id }));
                }
                Err(error) => {
                    verdict.end = Some(End::Failed(error.to_string()));
                    break;
                }
            }
        }
        events.last_event_id().to_owned()
    }));
    match run {
        Ok(id) => verdict.last_event_id = id,
        Err(_) => verdict.end = Some(End::Panicked),
    }
    verdict
}
