//! Three ways from bytes to events: the decoder, the decoder behind HTTP, and `EventSource`.

use super::table::Item;
use core::time::Duration;
use tidewire::http::{BodyLength, Client, ClientConfig, ClientEvent};
use tidewire::reconnect::Policy;
use tidewire::sse::{
    Decoded, Decoder, EventSource, Limits, MessageEvent, ProtocolError, SourceClosed, SourceConfig,
    SourceError, SourceEvent, SourceRequest,
};
use tidewire::url::Url;
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

pub(crate) const NOW: Instant = Instant::EPOCH;

/// What came out of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Run {
    pub(crate) items: Vec<Item>,
    /// Behind how many bytes each item came.
    pub(crate) after: Vec<usize>,
    pub(crate) error: Option<ProtocolError>,
    pub(crate) last_event_id: String,
}

impl Run {
    /// Takes all that is decoded of what is in `rx`. Returns whether the stream goes on.
    fn decode(&mut self, decoder: &mut Decoder, rx: &mut RecvBuf, fed: usize) -> bool {
        loop {
            match decoder.poll(rx) {
                Ok(None) => break,
                Ok(Some(decoded)) => {
                    self.items.push(own(decoded));
                    self.after.push(fed);
                }
                Err(error) => {
                    assert_eq!(decoder.poll(rx), Err(error), "an error stays");
                    self.error = Some(error);
                    break;
                }
            }
        }
        self.last_event_id = decoder.last_event_id().into();
        self.error.is_none()
    }
}

fn own(decoded: Decoded<'_>) -> Item {
    match decoded {
        Decoded::Event(event) => message(event),
        Decoded::Comment(comment) => Item::Comment { comment: comment.into() },
        Decoded::Retry(retry) => Item::Retry { retry: u64::try_from(retry.as_millis()).unwrap() },
    }
}

fn message(event: MessageEvent<'_>) -> Item {
    Item::Event {
        event_type: event.event_type.into(),
        data: event.data.into(),
        id: event.last_event_id.into(),
    }
}

/// What the decoder makes of a stream in these parts.
pub(crate) fn decode<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
    before: &str,
) -> Run {
    let mut rx = RecvBuf::with_limit(1 << 16);
    let mut decoder = Decoder::new(limits);
    decoder.set_last_event_id(before);
    let mut run = Run { last_event_id: before.into(), ..Run::default() };
    let mut fed = 0;
    for part in parts {
        assert_eq!(rx.push(part), part.len());
        rx.keep(part.len());
        fed += part.len();
        if !run.decode(&mut decoder, &mut rx, fed) {
            break;
        }
    }
    run
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    /// In chunks of so many bytes.
    Chunks(usize),
    UntilClose,
}

/// A response with this body.
pub(crate) fn response(body: &[u8], framing: Framing, content_type: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n");
    let mut bytes = head.into_bytes();
    match framing {
        Framing::Length => {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
        }
        Framing::Chunks(size) => {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(size) {
                bytes.extend(format!("{:x};x\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
        Framing::UntilClose => {
            bytes.extend(b"\r\n");
            bytes.extend(body);
        }
    }
    bytes
}

/// What the decoder makes of a stream that is the body of a response in these parts: HTTP works on
/// the same buffer.
pub(crate) fn decode_body<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
    before: &str,
) -> Run {
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
    let mut client = Client::new(ClientConfig::default(), NOW);
    client.request("GET", "/", [("Host", "h")], BodyLength::EMPTY, NOW, &mut tx).unwrap();
    let mut decoder = Decoder::new(limits);
    decoder.set_last_event_id(before);
    let mut run = Run { last_event_id: before.into(), ..Run::default() };
    let mut streams = false;
    for part in parts {
        assert_eq!(rx.push(part), part.len());
        while client.advance(NOW, &mut rx, &mut tx) {
            match client.event(NOW, &mut rx, &mut tx) {
                Some(ClientEvent::Response(_)) => {
                    client.hold_body();
                    streams = true;
                }
                Some(ClientEvent::End(_)) | None => {}
                other => panic!("{other:?}"),
            }
        }
        if streams && !run.decode(&mut decoder, &mut rx, 0) {
            break;
        }
    }
    run.after.clear();
    run
}

/// An `EventSource` whose server answers so.
pub(crate) struct Source {
    pub(crate) source: EventSource,
    pub(crate) rx: RecvBuf,
    pub(crate) tx: SendBuf,
    pub(crate) items: Vec<Item>,
    pub(crate) opened: bool,
    pub(crate) error: Option<SourceError>,
    pub(crate) closed: Option<SourceClosed>,
}

impl Source {
    /// Connected, the request sent.
    pub(crate) fn new(limits: Limits, before: &str) -> Self {
        let request = SourceRequest::new(Url::parse("http://h/").unwrap()).last_event_id(before);
        let config = SourceConfig {
            limits,
            min_retry: Duration::ZERO,
            max_retry: Duration::MAX,
            reconnect: Policy::fixed(Duration::from_secs(3)),
            // There is no time left to connect behind a wait until the end of all time.
            connect_timeout: None,
            ..SourceConfig::default()
        };
        let mut source = EventSource::new(request, config, &Seed::new([1; 32]), NOW).unwrap();
        let (rx, mut tx) = (RecvBuf::with_limit(1 << 26), SendBuf::new());
        assert_eq!(source.transport(), Transport::Dial);
        source.connected(NOW, &mut tx);
        let (items, error, closed) = (Vec::new(), None, None);
        Self { source, rx, tx, items, opened: false, error, closed }
    }

    pub(crate) fn feed(&mut self, part: &[u8]) {
        assert_eq!(self.rx.push(part), part.len());
        self.poll();
    }

    /// The server leaves.
    pub(crate) fn end(&mut self) {
        self.rx.finish();
        self.poll();
    }

    pub(crate) fn poll(&mut self) {
        while let Some(event) = self.source.poll_event(NOW, &mut self.rx, &mut self.tx) {
            assert_eq!(self.closed, None, "something behind the last event");
            match event {
                SourceEvent::Open(_) => self.opened = true,
                SourceEvent::Message(event) => self.items.push(message(event)),
                SourceEvent::Comment(comment) => {
                    self.items.push(Item::Comment { comment: comment.into() });
                }
                SourceEvent::Error { why, .. } => self.error = Some(why),
                SourceEvent::Closed(closed) => self.closed = Some(closed),
                _ => {}
            }
        }
    }

    /// How long the source waits, and the request that it sends then.
    pub(crate) fn next_request(&mut self) -> (Duration, Vec<u8>) {
        let mut at = NOW;
        if self.source.transport() != Transport::Dial {
            at = self.source.poll_timeout().expect("it tries again");
            self.source.handle_timeout(at, &mut self.tx);
        }
        assert_eq!(self.source.transport(), Transport::Dial);
        self.source.connected(at, &mut self.tx);
        (at.saturating_since(NOW), self.tx.chunk().to_vec())
    }
}
