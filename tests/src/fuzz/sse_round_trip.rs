//! Events that are written by one side and read by the other.

use super::http_round_trip::carry;
use super::input::{Input, take};
use super::{Cuts, Random, Transcript, feed, hash, same_however_cut};
use core::time::Duration;
use std::collections::VecDeque;
use tidewire::http::{NO_FIELDS, Server, ServerConfig, ServerEvent};
use tidewire::reconnect::Policy;
use tidewire::sse::{
    Decoded, Decoder, EncodeError, Event, EventSource, Limits, MessageEvent, Overflow, SendError,
    SourceConfig, SourceEvent, SourceRequest, Stream, StreamConfig, last_event_id,
};
use tidewire::url::Url;
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

const START: Instant = Instant::EPOCH;
/// What a source waits if the server says nothing.
const WAIT: Duration = Duration::from_secs(3);

/// The bytes are a configuration and then events: which fields they have, and what is in these. What
/// the format can carry arrives, in any pieces and behind HTTP too; what it cannot is refused.
///
/// # Panics
/// If a promise is broken.
pub fn sse_round_trip(data: &[u8]) {
    let mut input = Input(data);
    let config = input.byte();
    let (mut wire, mut events, mut told) = (Vec::new(), Vec::new(), Told::default());
    while !input.0.is_empty() && events.len() < 24 {
        let sent = Sent::take(&mut input);
        let before = wire.len();
        encode(&sent, &mut wire);
        if wire.len() > before {
            told.tell(&sent);
            events.push(sent);
        }
    }
    let transcript = same_however_cut(&wire, |mut cuts| {
        let mut rx = RecvBuf::with_limit(1 << 18);
        let mut decoder = Decoder::new(Limits::default());
        let mut transcript = Transcript::default();
        feed(&wire, &mut cuts, &mut rx, |rx, _| {
            rx.keep(rx.raw().len());
            while let Some(decoded) = decoder.poll(rx).expect("within the limits") {
                transcript.events.push(format!("{decoded:?}"));
            }
            false
        });
        assert_eq!(decoder.last_event_id(), told.last_event_id);
        transcript
    });
    assert_eq!(transcript.events, told.decoded);
    Subscriber::new(config, data).run(&events);
}

/// An event of a caller's.
struct Sent {
    comment: Option<String>,
    event_type: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    data: Option<String>,
}

impl Sent {
    fn take(input: &mut Input<'_>) -> Self {
        let fields = input.byte();
        let mut text = |bit: u8| {
            (fields >> bit & 1 == 1).then(|| {
                let len = input.byte();
                // Here and there a longer one.
                let len =
                    if len > 250 { 40 * usize::from(len - 250) } else { usize::from(len % 24) };
                String::from_utf8_lossy(input.bytes(len)).into_owned()
            })
        };
        let [comment, event_type, id, data] = [0, 1, 2, 3].map(&mut text);
        let retry = (fields >> 4 & 1 == 1).then(|| {
            let bytes = input.bytes(usize::from(fields >> 5) + 1);
            bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        });
        Self { comment, event_type, id, retry, data }
    }

    fn event(&self) -> Event<'_> {
        let mut event = Event::new();
        if let Some(comment) = &self.comment {
            event = event.comment(comment);
        }
        if let Some(event_type) = &self.event_type {
            event = event.event(event_type);
        }
        if let Some(id) = &self.id {
            event = event.id(id);
        }
        if let Some(retry) = self.retry {
            event = event.retry(Duration::from_millis(retry));
        }
        if let Some(data) = &self.data {
            event = event.with_data(data);
        }
        event
    }

    /// Whether the format can carry it (9.2.5, and 9.2.6 about NUL).
    fn judge(&self) -> Result<(), EncodeError> {
        let find =
            |text: &Option<String>, bad: &[char]| text.as_ref().and_then(|text| text.find(bad));
        if let Some(at) = find(&self.event_type, &['\r', '\n']) {
            return Err(EncodeError::LineBreakInType(at));
        }
        match find(&self.id, &['\r', '\n', '\0']) {
            None => Ok(()),
            Some(at) if self.id.as_ref().is_some_and(|id| id[at..].starts_with('\0')) => {
                Err(EncodeError::NulInId(at))
            }
            Some(at) => Err(EncodeError::LineBreakInId(at)),
        }
    }
}

/// What a reader makes of events.
#[derive(Default)]
struct Told {
    /// All there is.
    decoded: Vec<String>,
    /// What an `EventSource` tells of it.
    source: Vec<String>,
    last_event_id: String,
    retry: Option<u64>,
}

impl Told {
    fn tell(&mut self, sent: &Sent) {
        let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
        if let Some(comment) = &sent.comment {
            for line in lf(comment).split('\n') {
                self.comment(line);
            }
        }
        if let Some(ms) = sent.retry {
            self.retry(ms);
        }
        if let Some(id) = &sent.id {
            self.last_event_id.clone_from(id);
        }
        if let Some(data) = &sent.data {
            let event_type = sent.event_type.as_deref().filter(|name| !name.is_empty());
            let event = Decoded::Event(MessageEvent {
                event_type: event_type.unwrap_or("message"),
                data: &lf(data),
                last_event_id: &self.last_event_id,
            });
            self.decoded.push(format!("{event:?}"));
            self.source.push(format!("{event:?}"));
        }
    }

    fn comment(&mut self, line: &str) {
        let comment = Decoded::Comment(line);
        self.decoded.push(format!("{comment:?}"));
        self.source.push(format!("{comment:?}"));
    }

    fn retry(&mut self, ms: u64) {
        self.retry = Some(ms);
        let retry: Decoded<'_> = Decoded::Retry(Duration::from_millis(ms));
        self.decoded.push(format!("{retry:?}"));
    }
}

/// Encodes an event in every way there is; nothing comes of one that is refused.
fn encode(sent: &Sent, wire: &mut Vec<u8>) {
    let (event, judgement, before) = (sent.event(), sent.judge(), wire.len());
    assert_eq!(event.encode_to(wire), judgement);
    let bytes = &wire[before..];
    assert_eq!(bytes.is_empty(), judgement.is_err());
    let (mut tx, mut output) = (SendBuf::new(), Vec::new());
    assert_eq!(event.encode(&mut tx), judgement);
    take(&mut tx, usize::MAX, &mut output);
    assert_eq!(output, bytes);
    assert_eq!(event.to_bytes().map(|_| ()), judgement);
    match event.to_encoded() {
        Ok(encoded) => {
            assert_eq!(encoded.bytes(), bytes);
            assert_eq!(encoded.id(), sent.id.as_deref());
        }
        Err(error) => assert_eq!(Err(error), judgement),
    }
}

/// A source, a server, and the events between them.
struct Subscriber {
    source: EventSource,
    server: Server,
    config: StreamConfig,
    to_server: RecvBuf,
    to_source: RecvBuf,
    from_source: SendBuf,
    from_server: SendBuf,
    cuts: Cuts,
    random: Random,
    now: Instant,
    got: Vec<String>,
    failed: bool,
    old: bool,
    slow: bool,
}

impl Subscriber {
    fn new(config: u8, data: &[u8]) -> Self {
        let overflow = [Overflow::Wait, Overflow::DropOldest, Overflow::Disconnect];
        let slow = config >> 5 & 1 == 1;
        let stream = StreamConfig {
            overflow: overflow[usize::from(config % 3)],
            high_water: if slow { 60 } else { usize::MAX },
            queue: 80,
            retry: (config >> 6 & 1 == 1).then_some(Duration::from_millis(77)),
            ..StreamConfig::default()
        };
        let url = Url::parse("http://h/").expect("a URL");
        let source = SourceConfig {
            min_retry: Duration::ZERO,
            max_retry: Duration::MAX,
            reconnect: Policy::fixed(WAIT),
            // There is no time left to connect behind a wait until the end of all time.
            connect_timeout: None,
            ..SourceConfig::default()
        };
        let seed = Seed::new([1; 32]);
        let source = EventSource::new(SourceRequest::new(url), source, &seed, START);
        Self {
            source: source.expect("a good request"),
            server: Server::new(ServerConfig::default(), START),
            config: stream,
            to_server: RecvBuf::with_limit(1 << 16),
            to_source: RecvBuf::with_limit(1 << 25),
            from_source: SendBuf::new(),
            from_server: SendBuf::new(),
            cuts: match config >> 3 & 3 {
                0 => Cuts::Whole,
                1 => Cuts::Bytes,
                _ => Cuts::Random(Random::new(hash(data))),
            },
            random: Random::new(hash(data) ^ 1),
            now: START,
            got: Vec::new(),
            failed: false,
            old: config >> 7 == 1,
            slow,
        }
    }

    fn run(mut self, events: &[Sent]) {
        let mut stream = self.open();
        let mut told = Told::default();
        if self.config.retry.is_some() {
            told.retry(77);
        }
        let mut waiting: VecDeque<(usize, usize)> = VecDeque::new();
        let (mut dropped, mut cut_off) = (0, false);
        for (number, sent) in events.iter().enumerate() {
            if self.random.below(4) == 0 {
                self.heartbeat(&mut stream, &mut told);
            }
            let bytes = sent.event().to_bytes().expect("it was encoded before");
            let (queued, shared) = (stream.queued(), self.random.below(2) == 0);
            let (now, server, tx) = (self.now, &mut self.server, &mut self.from_server);
            let done = match shared {
                true => stream.send_shared(&bytes, now, server, tx),
                false => stream.send(&sent.event(), now, server, tx),
            };
            match (done, self.config.overflow) {
                (Ok(()), _) if cut_off => unreachable!("an event behind the end"),
                (Ok(()), _) => {
                    // What has left the queue did so from its front: first into `tx`, then dropped.
                    waiting.push_back((number, bytes.len()));
                    let mut left = queued + bytes.len() - stream.queued();
                    let mut gone = Vec::new();
                    while left > 0 {
                        let (number, len) = waiting.pop_front().expect("what was queued");
                        left -= len;
                        gone.push(number);
                    }
                    let lost = (stream.dropped() - dropped) as usize;
                    dropped = stream.dropped();
                    for &number in &gone[..gone.len() - lost] {
                        told.tell(&events[number]);
                    }
                    assert!(waiting.is_empty() || self.config.overflow == Overflow::DropOldest);
                    assert!(stream.queued() <= self.config.queue || waiting.len() == 1);
                }
                (Err(SendError::Full), Overflow::Wait) => assert!(self.slow),
                (Err(SendError::TooSlow), Overflow::Disconnect) => {
                    assert!(self.slow && !cut_off && self.from_server.is_empty());
                    cut_off = true;
                }
                (Err(SendError::Closed), Overflow::Disconnect) => assert!(cut_off),
                other => unreachable!("{other:?}"),
            }
            let most = self.config.high_water.saturating_add(40).max(bytes.len() + 240);
            assert!(self.from_server.len() <= most, "more than may wait");
            if !self.slow || self.random.below(3) == 0 {
                self.carry_some();
            }
        }
        for (number, _) in waiting {
            told.tell(&events[number]);
        }
        let finished = stream.finish(&mut self.server, &mut self.from_server);
        assert_eq!(finished.is_err(), cut_off);
        while self.carry_some() {}
        // The client of HTTP/1.0 is told of the end by the end, as is one that was let go.
        if !self.failed {
            assert!(self.old || cut_off, "the stream has no end");
            self.to_source.finish();
            self.read();
        }
        assert!(self.failed);
        if cut_off {
            assert!(told.source.starts_with(&self.got));
            return;
        }
        assert_eq!(self.got, told.source);
        assert_eq!(self.source.last_event_id(), told.last_event_id);
        let wait = told.retry.map_or(WAIT, Duration::from_millis);
        if wait.is_zero() {
            assert_eq!(self.source.transport(), Transport::Dial);
        } else {
            assert_eq!(self.source.poll_timeout(), Some(self.now + wait));
            self.now += wait;
            self.source.handle_timeout(self.now, &mut self.from_source);
        }
        self.comes_back(&told.last_event_id);
    }

    /// Sends the request and answers it with a stream.
    fn open(&mut self) -> Stream {
        self.source.connected(self.now, &mut self.from_source);
        let mut request = Vec::new();
        take(&mut self.from_source, usize::MAX, &mut request);
        if self.old {
            let at = request.windows(8).position(|part| part == b"HTTP/1.1").expect("a version");
            request[at + 7] = b'0';
        }
        assert_eq!(self.to_server.push(&request), request.len());
        let mut stream = None;
        while let Some(event) =
            self.server.poll_event(self.now, &mut self.to_server, &mut self.from_server)
        {
            if let ServerEvent::Request(head) = event {
                assert_eq!(last_event_id(head.headers), None);
                let (server, tx) = (&mut self.server, &mut self.from_server);
                let opened = Stream::open(server, NO_FIELDS, self.config, self.now, tx);
                stream = Some(opened.expect("a request waits for its answer"));
            }
        }
        stream.expect("a request")
    }

    /// The next request names the last event.
    fn comes_back(&mut self, last: &str) {
        self.to_server.clear();
        self.from_source.clear();
        self.source.connected(self.now, &mut self.from_source);
        let mut request = Vec::new();
        take(&mut self.from_source, usize::MAX, &mut request);
        assert_eq!(self.to_server.push(&request), request.len());
        // Its time is its own: this one may have come to its end.
        let mut server = Server::new(ServerConfig::default(), START);
        let event = server.poll_event(START, &mut self.to_server, &mut self.from_server);
        let Some(ServerEvent::Request(head)) = event else { unreachable!("{event:?}") };
        // HTTP drops whitespace around a value, and cannot carry control characters.
        let named = last_event_id(head.headers).unwrap_or_default();
        let fits = !last.contains(|c: char| c.is_ascii_control() && c != '\t');
        assert_eq!(named, if fits { last.trim_matches([' ', '\t']) } else { "" });
    }

    fn heartbeat(&mut self, stream: &mut Stream, told: &mut Told) {
        let Some(at) = stream.poll_timeout() else { return };
        self.now = at;
        let (silent, streams) = (self.from_server.is_empty(), self.server.is_responding());
        stream.handle_timeout(at, &mut self.server, &mut self.from_server);
        if silent && streams {
            assert!(!self.from_server.is_empty());
            told.comment("");
        }
        assert!(stream.poll_timeout().is_none_or(|next| next > at), "a deadline stays");
    }

    /// Carries a piece to the source. Returns whether there was one.
    fn carry_some(&mut self) -> bool {
        let mut carried = false;
        // All of it, if the reader keeps up.
        while carry(&mut self.from_server, &mut self.to_source, &mut self.cuts) {
            carried = true;
            self.read();
            if self.slow {
                break;
            }
        }
        carried
    }

    fn read(&mut self) {
        while let Some(event) =
            self.source.poll_event(self.now, &mut self.to_source, &mut self.from_source)
        {
            match event {
                SourceEvent::Message(event) => {
                    self.got.push(format!("{:?}", Decoded::Event(event)));
                }
                SourceEvent::Comment(line) => {
                    self.got.push(format!("{:?}", Decoded::Comment(line)));
                }
                SourceEvent::Error { why, .. } => {
                    assert!(!why.is_final() && !self.failed, "{why}");
                    self.failed = true;
                }
                SourceEvent::Open(_) => {}
                other => unreachable!("{other:?}"),
            }
        }
    }
}
