//! A subscriber on the server's side, alone and with an `EventSource` at the other end.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::http::{Closed, NO_FIELDS, Server, ServerConfig, ServerEvent};
use tidewire::reconnect::Policy;
use tidewire::sse::{
    EncodeError, Event, EventSource, Overflow, SendError, SourceConfig, SourceEvent, SourceRequest,
    Stream, StreamConfig, last_event_id,
};
use tidewire::url::Url;
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

const NOW: Instant = Instant::EPOCH;
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";

struct Peer {
    server: Server,
    rx: RecvBuf,
    tx: SendBuf,
}

impl Peer {
    /// A connection whose request has been read.
    fn asked(request: &str) -> Self {
        let mut peer = Self {
            server: Server::new(ServerConfig::default(), NOW),
            rx: RecvBuf::with_limit(1 << 16),
            tx: SendBuf::new(),
        };
        assert_eq!(peer.rx.push(request.as_bytes()), request.len());
        let event = peer.server.poll_event(NOW, &mut peer.rx, &mut peer.tx);
        assert!(matches!(event, Some(ServerEvent::Request(_))), "{event:?}");
        peer
    }

    fn open(&mut self) -> Stream {
        self.open_with(StreamConfig::default())
    }

    fn open_with(&mut self, config: StreamConfig) -> Stream {
        Stream::open(&mut self.server, NO_FIELDS, config, NOW, &mut self.tx).unwrap()
    }

    fn send(&mut self, stream: &mut Stream, event: Event<'_>) -> Result<(), SendError> {
        stream.send(&event, NOW, &mut self.server, &mut self.tx)
    }

    fn written(&mut self) -> String {
        let bytes = self.tx.slices().collect::<Vec<_>>().concat();
        self.tx.consume(bytes.len());
        String::from_utf8(bytes).unwrap()
    }
}

#[test]
fn the_head_goes_out_before_any_event() {
    let mut peer = Peer::asked(GET);
    let mut stream = peer.open();
    assert_eq!(
        peer.written(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
         X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    peer.send(&mut stream, Event::data("hello").event("message").id("1")).unwrap();
    assert_eq!(peer.written(), "22\r\nevent: message\nid: 1\ndata: hello\n\n\r\n");
    stream.finish(&mut peer.server, &mut peer.tx).unwrap();
    assert_eq!(peer.written(), "0\r\n\r\n");
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let mut peer = Peer::asked("GET / HTTP/1.0\r\n\r\n");
    let mut stream = peer.open();
    let head = peer.written();
    assert!(head.contains("Connection: close\r\n") && !head.contains("chunked"), "{head}");
    peer.send(&mut stream, Event::data("a")).unwrap();
    assert_eq!(peer.written(), "data: a\n\n");
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let mut peer = Peer::asked("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut stream = peer.open();
    assert!(peer.written().ends_with("Transfer-Encoding: chunked\r\n\r\n"));
    peer.send(&mut stream, Event::data("a")).unwrap();
    stream.finish(&mut peer.server, &mut peer.tx).unwrap();
    assert_eq!(peer.written(), "");
}

#[test]
fn the_users_fields_come_last_and_replace_ours() {
    let mut peer = Peer::asked(GET);
    let fields = [("Access-Control-Allow-Origin", "*"), ("cache-control", "no-store")];
    let config = StreamConfig::default();
    Stream::open(&mut peer.server, fields, config, NOW, &mut peer.tx).unwrap();
    assert_eq!(
        peer.written(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\
         Access-Control-Allow-Origin: *\r\ncache-control: no-store\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    // RFC 9110, 5.3: only a list may have several lines, and Content-Type is none.
    let mut peer = Peer::asked(GET);
    let fields = [("content-type", "text/event-stream; charset=utf-8")];
    let config = StreamConfig::default();
    Stream::open(&mut peer.server, fields, config, NOW, &mut peer.tx).unwrap();
    let head = peer.written().to_ascii_lowercase();
    assert_eq!(head.matches("content-type").count(), 1, "{head}");
    let mut peer = Peer::asked(GET);
    let fields = [("a", "b\r\nc")];
    assert!(Stream::open(&mut peer.server, fields, config, NOW, &mut peer.tx).is_err());
    assert!(peer.tx.is_empty());
}

#[test]
fn an_event_is_queued_whole_or_not_at_all() {
    let mut peer = Peer::asked(GET);
    let mut stream = peer.open_with(StreamConfig { high_water: 100, ..Default::default() });
    peer.written();
    let text = "x".repeat(60);
    assert_eq!(peer.send(&mut stream, Event::data(&text)), Ok(()));
    let waiting = peer.tx.len();
    assert_eq!(peer.send(&mut stream, Event::data(&text)), Err(SendError::Full));
    let error = SendError::Encode(EncodeError::NulInId(0));
    assert_eq!(peer.send(&mut stream, Event::data("a").id("\0")), Err(error));
    let shared = Event::data(&text).to_bytes().unwrap();
    let full = stream.send_shared(&shared, NOW, &mut peer.server, &mut peer.tx);
    assert_eq!((full, peer.tx.len()), (Err(SendError::Full), waiting));
    // When all is written there is room, for an event of any size.
    peer.written();
    assert_eq!(peer.send(&mut stream, Event::data(&"y".repeat(1000))), Ok(()));
    peer.written();
    assert_eq!(stream.send_shared(&shared, NOW, &mut peer.server, &mut peer.tx), Ok(()));
    assert_eq!(peer.written(), format!("44\r\ndata: {text}\n\n\r\n"));
}

#[test]
fn a_comment_is_sent_after_silence_of_ours_and_only_then() {
    let mut peer = Peer::asked(GET);
    let mut stream = peer.open();
    peer.written();
    let later = |seconds| NOW + Duration::from_secs(seconds);
    assert_eq!(stream.poll_timeout(), Some(later(15)));
    stream.send(&Event::data("a"), later(10), &mut peer.server, &mut peer.tx).unwrap();
    assert_eq!(stream.poll_timeout(), Some(later(25)));
    peer.written();
    // Too early.
    stream.handle_timeout(later(24), &mut peer.server, &mut peer.tx);
    assert_eq!(peer.written(), "");
    stream.handle_timeout(later(25), &mut peer.server, &mut peer.tx);
    assert_eq!(stream.poll_timeout(), Some(later(40)));
    // It still waits: a second one would only fill the buffer of somebody who doesn't read.
    stream.handle_timeout(later(40), &mut peer.server, &mut peer.tx);
    assert_eq!(stream.poll_timeout(), Some(later(55)));
    assert_eq!(peer.written(), "3\r\n:\n\n\r\n");
    // Nothing to keep alive any more.
    peer.server.abort();
    stream.handle_timeout(later(55), &mut peer.server, &mut peer.tx);
    assert_eq!((stream.poll_timeout(), peer.written().as_str()), (None, ""));
    let mut peer = Peer::asked(GET);
    let stream = peer.open_with(StreamConfig { heartbeat: None, ..Default::default() });
    assert_eq!(stream.poll_timeout(), None);
}

#[test]
fn the_reconnection_time_comes_before_any_event() {
    let mut peer = Peer::asked("GET / HTTP/1.0\r\n\r\n");
    let retry = Some(Duration::from_millis(1500));
    let mut stream = peer.open_with(StreamConfig { retry, ..Default::default() });
    peer.send(&mut stream, Event::data("a")).unwrap();
    let written = peer.written();
    assert!(written.ends_with("\r\n\r\nretry: 1500\n\ndata: a\n\n"), "{written}");
}

#[test]
fn of_what_waits_in_the_stream_the_oldest_whole_events_are_dropped() {
    let mut peer = Peer::asked(GET);
    let overflow = Overflow::DropOldest;
    let config = StreamConfig { high_water: 39, queue: 30, overflow, ..Default::default() };
    let mut stream = peer.open_with(config);
    peer.written();
    // Ten bytes an event, and five of framing.
    for number in 10..20 {
        assert_eq!(peer.send(&mut stream, Event::data(&number.to_string())), Ok(()));
    }
    assert_eq!((stream.dropped(), stream.queued()), (5, 30));
    assert_eq!(peer.written(), "a\r\ndata: 10\n\n\r\na\r\ndata: 11\n\n\r\n");
    stream.pump(NOW, &mut peer.server, &mut peer.tx);
    assert_eq!(peer.written(), "a\r\ndata: 17\n\n\r\na\r\ndata: 18\n\n\r\n");
    // What comes later stays behind what waits, also at the end.
    peer.send(&mut stream, Event::data("20")).unwrap();
    stream.finish(&mut peer.server, &mut peer.tx).unwrap();
    assert_eq!(peer.written(), "a\r\ndata: 19\n\n\r\na\r\ndata: 20\n\n\r\n0\r\n\r\n");
}

#[test]
fn a_slow_subscriber_can_be_disconnected_and_keeps_no_memory() {
    let mut peer = Peer::asked(GET);
    let overflow = Overflow::Disconnect;
    let mut stream =
        peer.open_with(StreamConfig { high_water: 40, overflow, ..Default::default() });
    peer.written();
    peer.send(&mut stream, Event::data("0123456789")).unwrap();
    let refused = peer.send(&mut stream, Event::data("0123456789"));
    assert_eq!((refused, peer.tx.len()), (Err(SendError::TooSlow), 0));
    let event = peer.server.poll_event(NOW, &mut peer.rx, &mut peer.tx);
    assert!(matches!(event, Some(ServerEvent::Closed(Closed::Aborted))), "{event:?}");
    assert_eq!(peer.send(&mut stream, Event::data("a")), Err(SendError::Closed));
}

#[test]
fn a_subscriber_that_leaves_is_noticed_and_cannot_be_sent_to() {
    let mut peer = Peer::asked(GET);
    let mut stream = peer.open();
    peer.rx.finish();
    let mut seen = Vec::new();
    while let Some(event) = peer.server.poll_event(NOW, &mut peer.rx, &mut peer.tx) {
        if let ServerEvent::Closed(why) = event {
            seen.push(why);
        }
    }
    assert_eq!(seen, [Closed::Eof]);
    assert_eq!(peer.server.transport(), Transport::Close);
    let waiting = peer.tx.len();
    assert_eq!(peer.send(&mut stream, Event::data("a")), Err(SendError::Closed));
    assert_eq!(stream.finish(&mut peer.server, &mut peer.tx), Err(SendError::Closed));
    assert_eq!(peer.tx.len(), waiting);
}

#[test]
fn a_second_request_is_never_answered_into_the_stream() {
    let mut peer = Peer::asked(GET);
    let mut stream = peer.open();
    assert_eq!(peer.rx.push(GET.as_bytes()), GET.len());
    while let Some(event) = peer.server.poll_event(NOW, &mut peer.rx, &mut peer.tx) {
        assert!(matches!(event, ServerEvent::End(_)), "{event:?}");
    }
    peer.written();
    peer.send(&mut stream, Event::data("a")).unwrap();
    assert_eq!(peer.written(), "9\r\ndata: a\n\n\r\n");
    stream.finish(&mut peer.server, &mut peer.tx).unwrap();
    let event = peer.server.poll_event(NOW, &mut peer.rx, &mut peer.tx);
    assert!(matches!(event, Some(ServerEvent::Request(_))), "{event:?}");
}

#[test]
fn the_last_event_id_is_utf8_or_nothing() {
    let id = |line: &[u8]| {
        let mut rx = RecvBuf::with_limit(1024);
        let request = [b"GET / HTTP/1.1\r\nHost: h\r\n", line, b"\r\n"].concat();
        assert_eq!(rx.push(&request), request.len());
        let mut server = Server::new(ServerConfig::default(), NOW);
        match server.poll_event(NOW, &mut rx, &mut SendBuf::new()) {
            Some(ServerEvent::Request(head)) => last_event_id(head.headers).map(String::from),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(id(b""), None);
    assert_eq!(id(b"Last-Event-ID:\r\n"), None);
    assert_eq!(id("last-event-id: käse 7\r\n".as_bytes()).as_deref(), Some("käse 7"));
    assert_eq!(id(b"Last-Event-ID: \xFF\r\n"), None);
}

/// Moves up to `n` bytes.
fn carry(from: &mut SendBuf, to: &mut RecvBuf, n: usize) {
    let n = from.chunk().len().min(n);
    let took = to.push(&from.chunk()[..n]);
    from.consume(took);
}

proptest! {
    /// Both machines together, over a wire that cuts as it likes: all events arrive, in order, and
    /// a reconnecting client says which one was its last.
    #[test]
    fn both_ends_together(
        sent in prop::collection::vec(("[\\PC\r\n]{0,30}", prop::option::of("[a-z]{1,5}")), 1..12),
        cuts in prop::collection::vec(1..50_usize, 1..20),
        breaks_after in 0..12_usize,
    ) {
        let url = Url::parse("http://h/").unwrap();
        let seed = Seed::new([1; 32]);
        let reconnect = Policy::fixed(Duration::from_secs(3));
        let config = SourceConfig { reconnect, ..SourceConfig::default() };
        let mut source = EventSource::new(SourceRequest::new(url), config, &seed, NOW).unwrap();
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
        let (mut now, mut cuts) = (NOW, cuts.into_iter().cycle());
        let (mut received, mut broken) = (Vec::new(), false);
        let next = |id: Option<&str>| id.map_or(0, |id| id.parse::<usize>().unwrap() + 1);
        while received.len() < sent.len() {
            prop_assert!(source.poll_event(now, &mut rx, &mut tx).is_none());
            prop_assert_eq!(source.transport(), Transport::Dial);
            source.connected(now, &mut tx);
            let mut server = Server::new(ServerConfig::default(), now);
            let (mut server_rx, mut server_tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
            let mut stream: Option<Stream> = None;
            let mut at = 0;
            loop {
                while let Some(event) = source.poll_event(now, &mut rx, &mut tx) {
                    if let SourceEvent::Message(event) = event {
                        received.push((event.data.to_string(), event.event_type.to_string()));
                    }
                }
                while let Some(event) = server.poll_event(now, &mut server_rx, &mut server_tx) {
                    if let ServerEvent::Request(head) = event {
                        at = next(last_event_id(head.headers));
                        prop_assert_eq!(at, received.len());
                        let config = StreamConfig::default();
                        stream = Stream::open(&mut server, NO_FIELDS, config, now, &mut server_tx).ok();
                    }
                }
                if let (Some(stream), Some((data, event_type))) = (&mut stream, sent.get(at)) {
                    let id = at.to_string();
                    let event = Event::data(data).id(&id).event(event_type.as_deref().unwrap_or(""));
                    stream.send(&event, now, &mut server, &mut server_tx).unwrap();
                    at += 1;
                }
                carry(&mut tx, &mut server_rx, cuts.next().unwrap());
                carry(&mut server_tx, &mut rx, cuts.next().unwrap());
                let breaks = !broken && received.len() >= breaks_after;
                if breaks || received.len() == sent.len() {
                    broken = true;
                    break;
                }
            }
            rx.finish();
            while let Some(event) = source.poll_event(now, &mut rx, &mut tx) {
                if let SourceEvent::Message(event) = event {
                    received.push((event.data.to_string(), event.event_type.to_string()));
                }
            }
            let until = source.poll_timeout().unwrap();
            prop_assert_eq!(until.saturating_since(now), Duration::from_secs(3));
            now = until;
            source.handle_timeout(now, &mut tx);
            rx.clear();
            tx.clear();
        }
        let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
        let expected = |(data, event_type): &(String, Option<String>)| {
            (lf(data), event_type.clone().unwrap_or_else(|| "message".into()))
        };
        prop_assert_eq!(received, sent.iter().map(expected).collect::<Vec<_>>());
    }
}
