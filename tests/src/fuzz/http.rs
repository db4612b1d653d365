//! Heads, and a server's connection from its first byte to its last.

use super::{Cuts, Transcript, feed, hash, same_however_cut};
use tidewire::http::{
    self, BodyLength, Headers, Limits, Misuse, NO_FIELDS, RequestHead, RequestParser, ResponseHead,
    ResponseParser, Server, ServerConfig, ServerEvent, Status, Version,
};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

pub(super) const LIMITS: Limits =
    Limits { head: 1024, headers: 32, chunk_line: 100, trailers: 200 };
const BUFFER: usize = 1200;
/// What the spans of so many lines may take.
pub(super) const SPANS: usize = 64 * 64;
pub(super) const MAX_BODY: u64 = 1000;
const START: Instant = Instant::EPOCH;

/// The bytes are a request's head.
///
/// # Panics
/// If a promise is broken.
pub fn request_head(data: &[u8]) {
    same_however_cut(data, |mut cuts| {
        let mut rx = RecvBuf::with_limit(BUFFER);
        let mut parser = RequestParser::new();
        let mut transcript = Transcript::default();
        feed(data, &mut cuts, &mut rx, |rx, _| {
            let parsed = parser.parse(rx, &LIMITS);
            assert!(rx.heap_size() <= BUFFER + BUFFER / 4 + SPANS, "more memory than the limits");
            let event = match parsed {
                Ok(None) => return false,
                Ok(Some(parsed)) => {
                    let head = parsed.head(rx);
                    check_request(head, parsed.size());
                    format!("{head:?} of {}", parsed.size())
                }
                Err(error) => {
                    assert!(error.offset <= LIMITS.head as u64);
                    assert!((400..600).contains(&error.status_hint().code()));
                    format!("{error:?}")
                }
            };
            transcript.events.push(event);
            true
        });
        transcript
    });
}

/// The bytes are a response's head.
///
/// # Panics
/// If a promise is broken.
pub fn response_head(data: &[u8]) {
    same_however_cut(data, |mut cuts| {
        let mut rx = RecvBuf::with_limit(BUFFER);
        let mut parser = ResponseParser::new();
        let mut transcript = Transcript::default();
        feed(data, &mut cuts, &mut rx, |rx, _| {
            let parsed = parser.parse(rx, &LIMITS);
            assert!(rx.heap_size() <= BUFFER + BUFFER / 4 + SPANS, "more memory than the limits");
            let event = match parsed {
                Ok(None) => return false,
                Ok(Some(parsed)) => {
                    let head = parsed.head(rx);
                    assert_eq!(head.status, parsed.status());
                    check_response(head, parsed.size());
                    format!("{head:?} of {}", parsed.size())
                }
                Err(error) => {
                    assert!(error.offset <= LIMITS.head as u64);
                    format!("{error:?}")
                }
            };
            transcript.events.push(event);
            true
        });
        transcript
    });
}

fn check_request(head: RequestHead<'_>, size: usize) {
    assert!(size <= LIMITS.head);
    assert!(!head.method.is_empty() && head.method.bytes().all(|b| b.is_ascii_graphic()));
    assert!(!head.target.is_empty() && head.target.bytes().all(|b| b > b' ' && b != 0x7F));
    assert!(head.target.starts_with(head.path()) || !head.target.starts_with('/'));
    check_headers(head.headers);
    let _ = http::accepts(head.headers, "text/event-stream");
    let explicitly = http::accepts_explicitly(head.headers, "text/event-stream");
    assert!(!explicitly || http::accepts(head.headers, "text/event-stream"));
    let offers = ["text/html", "text/event-stream"];
    if let Some(chosen) = http::negotiate(head.headers, &offers) {
        assert!(http::accepts(head.headers, offers[chosen]));
    }
    assert!(head.authority().is_none() || head.target_form().is_some());
    assert_eq!(head.to_owned().as_head(), head);

    let mut rx =
        written(format!("{} {} {}", head.method, head.target, version(head.version)), head.headers);
    let again =
        http::parse_request(&mut rx, &Limits::default()).expect("what was read can be written");
    assert_eq!(again.map(|parsed| parsed.head(&rx)), Some(head));
}

fn check_response(head: ResponseHead<'_>, size: usize) {
    assert!(size <= LIMITS.head);
    assert!((100..1000).contains(&head.status.code()));
    check_headers(head.headers);
    assert_eq!(head.to_owned().as_head(), head);

    let mut line = format!("{} {} ", version(head.version), head.status.code()).into_bytes();
    line.extend_from_slice(head.reason);
    let mut rx = written(&line, head.headers);
    let again =
        http::parse_response(&mut rx, &Limits::default()).expect("what was read can be written");
    assert_eq!(again.map(|parsed| parsed.head(&rx)), Some(head));
}

pub(super) fn check_headers(headers: Headers<'_>) {
    assert!(headers.len() <= LIMITS.headers);
    assert_eq!(headers.iter().count(), headers.len());
    for (name, value) in headers.iter() {
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "a line break in a value");
        assert_eq!(value.trim_ascii(), value);
        assert!(headers.get_all(&name.to_ascii_uppercase()).any(|v| v == value));
        assert_eq!(headers.get(name), headers.get_all(name).next());
        assert!(headers.members(name).count() <= headers.list(name).count());
        assert!(headers.members(name).all(|member| member.weight() <= 1000));
        for member in headers.list(name) {
            assert_eq!(member.trim_ascii(), member);
        }
    }
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}

/// A buffer with a head of this start line and these header lines.
fn written(line: impl AsRef<[u8]>, headers: Headers<'_>) -> RecvBuf {
    let mut bytes = [line.as_ref(), b"\r\n"].concat();
    for (name, value) in headers.iter() {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    let mut rx = RecvBuf::with_limit(4 * BUFFER);
    assert_eq!(rx.push(&bytes), bytes.len());
    rx
}

/// The bytes are everything that a client sends.
///
/// # Panics
/// If a promise is broken.
pub fn server_bytes(data: &[u8]) {
    same_however_cut(data, |mut cuts| {
        let config = ServerConfig { limits: LIMITS, max_body: MAX_BODY, ..Default::default() };
        let mut app = App::new(Server::new(config, START));
        let mut rx = RecvBuf::with_limit(BUFFER);
        let mut over = feed(data, &mut cuts, &mut rx, |rx, cuts| app.run(START, rx, cuts));

        if app.server.is_upgraded() {
            assert_eq!(app.server.poll_timeout(), None);
            app.transcript.events.push(format!("behind the upgrade: {:?}", app.behind));
            return app.transcript;
        }
        // Every other input ends with a client that falls silent.
        if hash(data) & 1 == 0 {
            rx.finish();
            over = over || app.run(START, &mut rx, &mut cuts);
            assert!(over, "the stream has ended and the connection has not");
        }
        let mut wakes = 0;
        while !over {
            let at = app.server.poll_timeout().expect("every wait for a client has a deadline");
            app.server.handle_timeout(at, &mut app.tx);
            over = app.run(at, &mut rx, &mut cuts);
            assert!(
                over || app.server.poll_timeout() > Some(at),
                "a deadline that has passed stays"
            );
            wakes += 1;
            assert!(wakes < 10, "nobody is there and the connection stays");
        }
        app.check_closed(&mut rx);
        assert!(
            app.transcript.output.len() <= 8 * data.len() + 300,
            "more output than input explains"
        );
        app.transcript
    });
}

/// Answers requests in one of four ways, by the length of their target.
struct App {
    server: Server,
    tx: SendBuf,
    transcript: Transcript,
    mode: usize,
    status: Status,
    upgrade: bool,
    /// The request is a HEAD: its answer's body is dropped unseen.
    head: bool,
    body: Vec<u8>,
    closed: usize,
    /// What came behind an upgrade.
    behind: Vec<u8>,
}

impl App {
    fn new(server: Server) -> Self {
        Self {
            server,
            tx: SendBuf::new(),
            transcript: Transcript::default(),
            mode: 0,
            status: Status::OK,
            upgrade: false,
            head: false,
            body: Vec::new(),
            closed: 0,
            behind: Vec::new(),
        }
    }

    /// Takes every event. Returns whether the connection is over.
    fn run(&mut self, now: Instant, rx: &mut RecvBuf, cuts: &mut Cuts) -> bool {
        loop {
            if cuts.liberty() {
                let announced = self.server.advance(now, rx, &mut self.tx);
                rx.shrink();
                let again = self.server.advance(now, rx, &mut self.tx);
                assert_eq!(again, announced, "an output that was not taken is lost");
            }
            let event = self.server.poll_event(now, rx, &mut self.tx);
            match event {
                None => {
                    if self.server.is_upgraded() {
                        self.behind.extend_from_slice(rx.raw());
                        rx.skip(rx.raw().len());
                    }
                    self.transcript.drain(&mut self.tx);
                    return false;
                }
                Some(ServerEvent::Data(data)) => {
                    assert!(!data.is_empty());
                    self.body.extend_from_slice(data);
                    assert!(self.body.len() as u64 <= MAX_BODY);
                }
                Some(event) => {
                    // The pieces of a body depend on how the input was cut; the body does not.
                    self.transcript
                        .events
                        .push(format!("{:?} {event:?}", self.body.escape_ascii().to_string()));
                    match event {
                        ServerEvent::Request(head) => self.request(head, now),
                        ServerEvent::End(trailers) => {
                            check_headers(trailers);
                            self.end(now);
                        }
                        _ => {
                            self.closed += 1;
                            self.transcript.drain(&mut self.tx);
                            return true;
                        }
                    }
                    self.body.clear();
                }
            }
            self.transcript.drain(&mut self.tx);
            assert!(rx.heap_size() <= BUFFER + BUFFER / 4 + SPANS, "more memory than the limits");
        }
    }

    fn request(&mut self, head: RequestHead<'_>, now: Instant) {
        self.mode = head.target.len() % 4;
        self.status = if head.method == "CONNECT" { Status::NOT_FOUND } else { Status::OK };
        self.head = head.method == "HEAD";
        self.upgrade = head.headers.contains_token("connection", "upgrade");
        match self.mode {
            1 => self.answer(now),
            2 => self.respond(BodyLength::Unknown, now),
            _ => {}
        }
    }

    fn end(&mut self, now: Instant) {
        let fields = [("Connection", "Upgrade"), ("Upgrade", "other")];
        if self.mode == 2 {
            // Sent on without its framing, in one piece.
            self.server.send_data(&self.body, &mut self.tx).expect("a response is under way");
            self.server.finish(&mut self.tx).expect("a response is under way");
        } else if self.upgrade && self.server.upgrade(fields, &mut self.tx).is_ok() {
            assert!(self.server.is_upgraded());
        } else if self.mode != 1 {
            if self.mode == 3 {
                self.server.shutdown(now);
            }
            self.answer(now);
        }
    }

    fn answer(&mut self, now: Instant) {
        self.respond(BodyLength::Known(2), now);
        if !self.head {
            let long = self.server.send_data(b"ok!", &mut self.tx);
            assert_eq!(long, Err(Misuse::BodyTooLong));
        }
        self.server.send_data(b"ok", &mut self.tx).expect("a response is under way");
        self.server.finish(&mut self.tx).expect("all was sent");
    }

    fn respond(&mut self, length: BodyLength, now: Instant) {
        self.server
            .respond(self.status, NO_FIELDS, length, now, &mut self.tx)
            .expect("a response is due");
    }

    fn check_closed(&mut self, rx: &mut RecvBuf) {
        assert_eq!(self.closed, 1);
        // Whoever was refused in the middle of a request is listened to for a while.
        while let Some(at) = self.server.poll_timeout() {
            assert_eq!(self.server.transport(), Transport::CloseWrite);
            self.server.handle_timeout(at, &mut self.tx);
            assert!(self.server.poll_timeout() > Some(at) || self.server.poll_timeout().is_none());
        }
        // Who has asked for nothing when it shuts down is not waited for.
        let over = self.server.transport();
        assert!(over == Transport::Close || over == Transport::Down && self.mode == 3, "{over:?}");
        // Afterwards calls do nothing.
        let _ = rx.push(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(self.server.poll_event(START, rx, &mut self.tx), None);
        let late =
            self.server.respond(Status::OK, NO_FIELDS, BodyLength::EMPTY, START, &mut self.tx);
        assert_eq!(late, Err(Misuse::Closed));
        assert!(self.tx.is_empty());
    }
}
