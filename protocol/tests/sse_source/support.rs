//! A source in virtual time, and a server made of strings.

pub(crate) use core::time::Duration;
pub(crate) use tidewire::http::Status;
pub(crate) use tidewire::reconnect::Policy;
pub(crate) use tidewire::sse::{
    EventSource, Limits, ReadyState, SourceConfig, SourceEvent, SourceRequest, TRANSIENT, Timer,
};
pub(crate) use tidewire::url::Url;
pub(crate) use tidewire::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};

pub(crate) const OPEN: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

pub(crate) struct Net {
    pub(crate) source: EventSource,
    pub(crate) rx: RecvBuf,
    pub(crate) tx: SendBuf,
    pub(crate) now: Instant,
}

pub(crate) fn request(url: &str) -> SourceRequest {
    SourceRequest::new(Url::parse(url).unwrap())
}

/// With a wait that is known.
pub(crate) fn plain() -> SourceConfig {
    SourceConfig { reconnect: Policy::fixed(ms(3000)), ..SourceConfig::default() }
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Net {
    pub(crate) fn new(request: SourceRequest, config: SourceConfig) -> Self {
        let now = Instant::EPOCH;
        Self {
            source: EventSource::new(request, config, &Seed::new([1; 32]), now).unwrap(),
            rx: RecvBuf::with_limit(1 << 16),
            tx: SendBuf::new(),
            now,
        }
    }

    pub(crate) fn simple() -> Self {
        Self::new(request("http://h/s"), plain())
    }

    /// Everything there is to tell, a line each. The state is the one that the standard gives it at
    /// the time of that event (9.2.2 and 9.2.3).
    #[track_caller]
    pub(crate) fn events(&mut self) -> Vec<String> {
        let mut log = Vec::new();
        // The state at an error that was told last.
        let mut failed = None;
        while let Some(event) = self.source.poll_event(self.now, &mut self.rx, &mut self.tx) {
            let (line, state) = match event {
                SourceEvent::Attempt => ("attempt".into(), ReadyState::Connecting),
                SourceEvent::Open(head) => {
                    (format!("open {}", head.status.code()), ReadyState::Open)
                }
                SourceEvent::Message(e) => {
                    let line = format!("{}: {:?} #{}", e.event_type, e.data, e.last_event_id);
                    (line, ReadyState::Open)
                }
                SourceEvent::Comment(text) => (format!("comment {text}"), ReadyState::Open),
                SourceEvent::Refused(head) => {
                    (format!("refused {}", head.status.code()), ReadyState::Connecting)
                }
                SourceEvent::Error { why, body } => {
                    let line = format!("error {why:?} {}", String::from_utf8_lossy(body));
                    (line.trim_end().into(), self.source.ready_state())
                }
                SourceEvent::Closed(closed) => (format!("closed {closed:?}"), ReadyState::Closed),
            };
            assert_eq!(self.source.ready_state(), state, "at {line}");
            if let Some(state) = failed {
                let over = state == ReadyState::Closed;
                assert_eq!(line.starts_with("closed"), over, "{line} behind an error");
            }
            failed = line.starts_with("error").then_some(state);
            log.push(line);
        }
        assert!(matches!(failed, None | Some(ReadyState::Connecting)), "no end: {log:?}");
        log
    }

    /// Gives the source its transport, and returns the request.
    #[track_caller]
    pub(crate) fn connect(&mut self) -> String {
        assert_eq!(self.events(), [""; 0]);
        assert_eq!(self.source.transport(), Transport::Dial);
        self.rx.clear();
        self.tx.clear();
        self.source.connected(self.now, &mut self.tx);
        assert_eq!(self.source.transport(), Transport::Open);
        String::from_utf8(self.tx.chunk().to_vec()).unwrap()
    }

    pub(crate) fn feed(&mut self, bytes: &str) -> Vec<String> {
        assert_eq!(self.rx.push(bytes.as_bytes()), bytes.len());
        self.events()
    }

    /// Is answered with a stream that begins with `stream` and ends there, and comes to the next
    /// attempt. Tells how long that took.
    #[track_caller]
    pub(crate) fn stream(&mut self, stream: &str) -> Duration {
        self.connect();
        self.feed(OPEN);
        self.feed(stream);
        self.hang_up();
        self.sleep().0
    }

    pub(crate) fn hang_up(&mut self) -> Vec<String> {
        self.rx.finish();
        self.events()
    }

    /// Lets the next deadline come, and tells how long that took and what it was.
    #[track_caller]
    pub(crate) fn sleep(&mut self) -> (Duration, Timer) {
        let (at, timer) = self.source.next_timer().expect("a deadline");
        assert_eq!(self.source.poll_timeout(), Some(at));
        let slept = at.saturating_since(self.now);
        self.source.handle_timeout(at, &mut self.tx);
        self.now = at;
        (slept, timer)
    }

    #[track_caller]
    pub(crate) fn assert_over(&mut self) {
        assert_eq!(self.source.ready_state(), ReadyState::Closed);
        assert_eq!(self.source.transport(), Transport::Down);
        assert_eq!(self.source.poll_timeout(), None);
        assert!(!self.source.reconnect(Duration::ZERO, self.now));
        self.source.close();
        self.source.connected(self.now, &mut self.tx);
        self.source.dial_failed(self.now, DialError::Connect);
        assert_eq!(self.events(), [""; 0], "after Closed");
    }
}

#[track_caller]
pub(crate) fn refused(answer: &str, expected: &[&str]) {
    let mut net = Net::simple();
    net.connect();
    assert_eq!(net.feed(answer), expected);
    net.assert_over();
}

pub(crate) fn moved(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}
