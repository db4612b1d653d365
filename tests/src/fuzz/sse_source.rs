//! An `EventSource` under arbitrary calls, and what a server makes of its requests.

use super::input::{BUFFER, Input, take, written};
use core::time::Duration;
use tidewire::http::{Server, ServerConfig, ServerEvent};
use tidewire::reconnect::Policy;
use tidewire::sse::{
    EventSource, Limits, ReadyState, SourceClosed, SourceConfig, SourceError, SourceEvent,
    SourceRequest, TRANSIENT, Timer, last_event_id,
};
use tidewire::url::Url;
use tidewire::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};

const START: Instant = Instant::EPOCH;
const LIMITS: Limits = Limits { line: 300, event: 400, name: 40 };
/// What U+FFFD for each byte of an event takes, and what `String` has in reserve.
const SCRATCH: usize = 2 * 3 * (LIMITS.event + 2 * LIMITS.name);
const MIN_RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_secs(9);
const MAX_ATTEMPTS: usize = 6;
const METHODS: [&str; 4] = ["GET", "POST", "QUERY", "PUT"];
const URLS: [&str; 4] = ["http://h:81/a?b=c", "http://h:81/", "https://h:81/", "http://new/x"];
const RESPONSES: [&[u8]; 26] = [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Type: Text/Event-Stream\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnope",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nsorry",
    b"HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwait\r\n",
    b"HTTP/1.1 404 Not Found\r\n\r\nnothing here",
    b"HTTP/1.1 301 Moved\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://other/c\r\n\r\n",
    b"HTTP/1.1 303 See Other\r\nLocation: d?e\r\n\r\n",
    b"HTTP/1.1 307 Temporary\r\nLocation: //third/\r\n\r\n",
    b"HTTP/1.1 308 Permanent\r\nLocation: https://safe/\r\n\r\n",
    b"HTTP/1.1 302 Found\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 401 Who\r\nContent-Length: 99\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"\xff\xfe\r\n\r\n",
    b"HTTP/1.1 503 Later\r\nRetry-After: 4\r\nContent-Length: 4\r\n\r\nwait",
    b"HTTP/1.1 429 Much\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n",
];
const PIECES: [&[u8]; 16] = [
    b"data: a\n\n",
    b"id: 1\ndata: b\n\n",
    b"event: e\ndata: c\r\n\r\n",
    b"retry: 0\n",
    b"retry: 1234\n",
    b"retry: 99999999999999999999\n",
    b": comment\n",
    b"id: \xc3\xa4\n\n",
    b"id: a\tb\x01\n\n",
    b"id\n\n",
    b"data: \xff\xe2\x82\n\n",
    b"\r",
    b"\n",
    b"9\r\ndata: a\n\n\r\n",
    b"0\r\n\r\n",
    b"data: 0123456789012345678901234567890123456789\ndata\n\n",
];

/// The bytes are a configuration and then calls, two bytes each, some of which push what a server
/// sends.
///
/// # Panics
/// If a promise is broken.
pub fn sse_source(data: &[u8]) {
    let mut input = Input(data);
    let mut run = Run::new(input.byte(), input.byte());
    while let Some((call, with)) = input.call() {
        run.call(call, with, &mut input);
        run.check();
    }
    run.end();
}

fn url(number: usize) -> Url {
    Url::parse(URLS[number % URLS.len()]).expect("a URL")
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing of this connection, or there is none.
    Nothing,
    Open,
    /// The head of a refusal: its error follows.
    Refused,
    /// An error that is final: the end follows.
    Final(SourceError),
    Over,
}

struct Run {
    source: EventSource,
    rx: RecvBuf,
    tx: SendBuf,
    now: Instant,
    told: Told,
    attempts: u64,
    method: &'static str,
    announces: bool,
    /// An event was announced and not taken.
    announced: bool,
    /// Errors since the last event.
    failures: usize,
    gives_up: bool,
    /// Bytes that came and events that went.
    pushed: usize,
    events: usize,
    calls: usize,
}

impl Run {
    fn new(config: u8, more: u8) -> Self {
        let flag = |bit: u8| config >> bit & 1 == 1;
        let second = Duration::from_secs(1);
        let mut reconnect = match flag(0) {
            true => Policy::fixed(second),
            false => Policy::exponential(second, MAX_RETRY).jitter(0.9),
        };
        if flag(1) {
            reconnect = reconnect.max_attempts(MAX_ATTEMPTS as u32);
        }
        let config = SourceConfig {
            limits: LIMITS,
            connect_timeout: flag(2).then_some(second),
            response_timeout: flag(3).then_some(second),
            idle_timeout: flag(4).then_some(second),
            reconnect,
            min_retry: MIN_RETRY,
            max_retry: MAX_RETRY,
            max_redirects: if flag(5) { 0 } else { 3 },
            error_body: if flag(6) { 0 } else { 8 },
            announce: more & 1 == 1,
            retried: if more & 2 == 0 { (&[]).into() } else { TRANSIENT.into() },
            ..SourceConfig::default()
        };
        let method = METHODS[usize::from(more >> 2) % 4];
        let request = SourceRequest::new(url(0)).field("X-A", "1").field("Cookie", "a");
        let mut request = request.method(method);
        if flag(7) {
            request = request.body(&b"{\"a\": 1}"[..]);
        }
        let seed = Seed::new([7; 32]);
        Self {
            source: EventSource::new(request, config, &seed, START).expect("a good request"),
            rx: RecvBuf::with_limit(BUFFER),
            tx: SendBuf::new(),
            now: START,
            told: Told::Nothing,
            attempts: 0,
            method,
            announces: more & 1 == 1,
            announced: false,
            failures: 0,
            gives_up: flag(1),
            pushed: 0,
            events: 0,
            calls: 0,
        }
    }

    fn call(&mut self, call: u8, with: usize, input: &mut Input<'_>) {
        self.calls += 1;
        match call % 16 {
            0 => self.push(input.bytes(with)),
            1 | 2 => self.push(RESPONSES[with % RESPONSES.len()]),
            3 | 4 => self.push(PIECES[with % PIECES.len()]),
            5 | 6 => self.connected(),
            7 => {
                self.source.dial_failed(self.now, DialError::Connect);
            }
            8 => {
                if self.source.transport() == Transport::Open {
                    self.rx.finish();
                }
            }
            9 => {
                if let Some(at) = self.source.poll_timeout() {
                    self.wait(at.saturating_since(self.now));
                }
            }
            10 => self.wait(Duration::from_millis(40) * with as u32),
            11 => match with % 16 {
                0 => self.source.close(),
                1..=4 => self.reconnect(Duration::from_millis(with as u64)),
                5 => self.reconnect(Duration::ZERO),
                6 => self.source.request_mut().set_field("x-a", "2"),
                7 => self.source.request_mut().set_body(&b"other"[..]),
                8 => self.source.request_mut().set_url(url(with / 16)),
                9 | 10 => self.restart(Duration::from_millis(with as u64 / 16)),
                11 => self.rx.shrink(),
                _ => self.tx.shrink(),
            },
            12 => take(&mut self.tx, 1 + with, &mut Vec::new()),
            13 => self.advance(),
            _ => {
                for _ in 0..=with % 4 {
                    self.poll();
                }
            }
        }
    }

    fn state(&self) -> (Transport, ReadyState, u64, Option<Instant>, u64) {
        let source = &self.source;
        let state = (source.transport(), source.ready_state(), source.attempts());
        (state.0, state.1, state.2, source.poll_timeout(), written(&self.tx))
    }

    /// What holds behind every call.
    fn check(&mut self) {
        let spare = self.rx.limit() + self.rx.limit() / 4 + SCRATCH;
        assert!(self.rx.heap_size() <= spare, "more memory than the limits");
        assert!(self.tx.len() < 400, "more than one request");
        assert!(self.source.attempts() >= self.attempts, "an attempt is forgotten");
        self.attempts = self.source.attempts();
        assert!(self.source.last_event_id().len() <= 3 * LIMITS.name);
        match self.told {
            Told::Open if self.announced => {}
            Told::Open => assert_ne!(self.source.ready_state(), ReadyState::Connecting),
            Told::Over => {
                assert_eq!(self.source.ready_state(), ReadyState::Closed);
                assert_eq!(self.source.transport(), Transport::Down);
                assert_eq!(self.source.poll_timeout(), None);
            }
            _ => {}
        }
        // Each event is paid for by a byte, or is one of the few around a connection.
        assert!(self.events <= self.pushed + 4 * self.calls + 4, "events out of nothing");
    }

    /// What does not fit, or comes behind the end of the stream, is lost.
    fn push(&mut self, bytes: &[u8]) {
        if self.source.transport() == Transport::Open && !self.rx.is_finished() {
            self.pushed += self.rx.push(bytes);
        }
    }

    fn connected(&mut self) {
        // Another URL is taken note of with the next `advance`.
        self.advance();
        let (before, wanted) = (self.state(), self.source.transport() == Transport::Dial);
        if wanted {
            self.rx.clear();
            self.tx.clear();
        }
        let start = written(&self.tx);
        self.source.connected(self.now, &mut self.tx);
        if !wanted {
            return assert_eq!(self.state(), before, "a connection that nobody asked for");
        }
        assert_eq!(self.source.transport(), Transport::Open);
        assert!(written(&self.tx) > start);
        self.read_as_a_server();
    }

    /// What was sent is one request, for what the source wants.
    fn read_as_a_server(&mut self) {
        let bytes = self.tx.slices().collect::<Vec<_>>().concat();
        let mut server = Server::new(ServerConfig::default(), START);
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 12), SendBuf::new());
        assert_eq!(rx.push(&bytes), bytes.len());
        let (mut head_seen, mut body, mut end) = (false, Vec::new(), false);
        let url = self.source.target().clone();
        let id = self.source.last_event_id();
        while let Some(event) = server.poll_event(START, &mut rx, &mut tx) {
            match event {
                ServerEvent::Request(head) => {
                    assert!(!head_seen);
                    head_seen = true;
                    assert!(head.method == "GET" || head.method == self.method);
                    assert_eq!(head.target, url.target());
                    assert_eq!(head.headers.get_str("Host"), Some(url.host_header().as_str()));
                    assert_eq!(head.headers.get_str("Accept"), Some("text/event-stream"));
                    assert!(matches!(head.headers.get_str("X-A"), Some("1" | "2")));
                    // Credentials go to one host alone.
                    let asked = self.source.url();
                    let origin = |url: &Url| (url.host_header(), url.is_secure());
                    assert_eq!(head.headers.get("Cookie").is_some(), origin(asked) == origin(&url));
                    let fits = !id.contains(|c: char| c.is_ascii_control() && c != '\t');
                    let sent = if fits { id.trim_matches([' ', '\t']) } else { "" };
                    assert_eq!(last_event_id(head.headers).unwrap_or_default(), sent);
                }
                ServerEvent::Data(data) => body.extend_from_slice(data),
                ServerEvent::End(_) => end = true,
                other => unreachable!("{other:?}"),
            }
        }
        assert!(head_seen && end && rx.is_empty());
        assert!([&b""[..], b"{\"a\": 1}", b"other"].contains(&&body[..]));
    }

    fn reconnect(&mut self, after: Duration) {
        let before = self.state();
        if self.source.reconnect(after, self.now) {
            assert_eq!(self.source.ready_state(), ReadyState::Connecting);
        } else {
            assert_eq!(self.state(), before);
        }
    }

    fn restart(&mut self, after: Duration) {
        let over = self.source.ready_state() == ReadyState::Closed;
        assert_eq!(self.source.restart(after, self.now), !over);
        if !over {
            // What was announced before still comes.
            if self.announced {
                self.poll();
            }
            // Nothing more comes of the connection that there was.
            self.told = Told::Nothing;
            self.advance();
        }
    }

    /// What it announces is taken later.
    fn advance(&mut self) {
        self.announced = self.source.advance(self.now, &mut self.rx, &mut self.tx);
        let transport = self.source.transport();
        assert!(!self.announced || transport != Transport::Dial, "it dials with an event to tell");
    }

    /// Takes an event. Returns whether there was one.
    fn poll(&mut self) -> bool {
        let before = core::mem::take(&mut self.announced);
        let announced = self.source.advance(self.now, &mut self.rx, &mut self.tx);
        // An attempt that was put off is not to be told of.
        assert!(announced || !before || self.announces, "an event that was announced is lost");
        let state = (self.state(), self.rx.content().len());
        let again = self.source.advance(self.now, &mut self.rx, &mut self.tx);
        assert_eq!(again, announced, "an event that was not taken is lost");
        assert_eq!((self.state(), self.rx.content().len()), state);
        let event = self.source.event(self.now, &mut self.rx, &mut self.tx);
        assert_eq!(event.is_some(), announced);
        let Some(event) = event else { return false };
        self.events += 1;
        self.told = match (self.told, event) {
            (Told::Nothing, SourceEvent::Attempt) => {
                assert!(self.announces && self.source.transport() == Transport::Down);
                Told::Nothing
            }
            (Told::Nothing, SourceEvent::Open(head)) => {
                assert_eq!(head.status.code(), 200);
                Told::Open
            }
            (Told::Nothing, SourceEvent::Refused(_)) => Told::Refused,
            (Told::Open, SourceEvent::Message(event)) => {
                assert!(!event.event_type.is_empty());
                assert!(event.data.len() <= 3 * LIMITS.event);
                assert_eq!(event.last_event_id, self.source.last_event_id());
                self.failures = 0;
                Told::Open
            }
            (Told::Open, SourceEvent::Comment(line)) => {
                assert!(!line.contains(['\r', '\n']));
                Told::Open
            }
            (told, SourceEvent::Error { why, body })
                if !matches!(told, Told::Final(_) | Told::Over) =>
            {
                let unavailable = matches!(why, SourceError::Unavailable(_));
                assert!(told != Told::Refused || why.is_final() || unavailable);
                assert!(told == Told::Refused || !unavailable);
                assert!(body.is_empty() || told == Told::Refused && body.len() <= 8);
                self.failures += 1;
                if why.is_final() || self.source.ready_state() == ReadyState::Closed {
                    Told::Final(why)
                } else {
                    // Unless the caller has decided otherwise since.
                    if !before {
                        self.waits();
                    }
                    Told::Nothing
                }
            }
            (Told::Final(why), SourceEvent::Closed(SourceClosed::Failed(failed))) => {
                assert_eq!(why, failed);
                assert!(why.is_final());
                Told::Over
            }
            (Told::Final(why), SourceEvent::Closed(SourceClosed::GaveUp(last))) => {
                assert_eq!(why, last);
                assert!(self.gives_up && !why.is_final() && self.failures > MAX_ATTEMPTS);
                Told::Over
            }
            (told, SourceEvent::Closed(SourceClosed::Caller)) if told != Told::Over => Told::Over,
            (told, event) => unreachable!("{event:?} behind {told:?}"),
        };
        true
    }

    /// Behind an error there is another attempt, and not too late.
    fn waits(&self) {
        let wait = match self.source.next_timer() {
            Some((at, Timer::Reconnect)) => at.saturating_since(self.now),
            other => unreachable!("{other:?}"),
        };
        // A second without what the jitter takes, or what the server has said and the jitter adds.
        assert!((MIN_RETRY..=2 * MAX_RETRY).contains(&wait), "{wait:?}");
        assert_eq!(self.source.transport(), Transport::Down);
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        self.source.handle_timeout(self.now, &mut self.tx);
        assert!(self.source.poll_timeout().is_none_or(|at| at > self.now), "a deadline stays");
    }

    /// Everything is told; then the source is closed, and tells that, unless it has told how it ended.
    fn end(&mut self) {
        if self.source.transport() == Transport::Open {
            self.rx.finish();
        }
        while self.poll() {
            self.check();
        }
        let transport = self.source.transport();
        assert!(transport != Transport::Open, "a connection that has ended is open");
        assert!(self.told != Told::Over || transport == Transport::Down);
        assert!(!matches!(self.told, Told::Refused | Told::Final(_)), "{:?}", self.told);
        self.source.close();
        while self.poll() {}
        assert_eq!(self.told, Told::Over);
        self.connected();
        self.source.dial_failed(self.now, DialError::Connect);
        self.reconnect(Duration::ZERO);
        self.wait(Duration::from_secs(100));
        assert!(!self.poll(), "an event behind the last");
        self.check();
    }
}
