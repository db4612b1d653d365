//! A client under arbitrary calls, and what a server makes of what it wrote.

use super::http::{LIMITS, MAX_BODY, check_headers};
use super::input::{BUFFER, Fields, Input, TRAILERS, check_heap, length, take, written};
use bytes::Bytes;
use core::time::Duration;
use std::collections::VecDeque;
use tidewire::http::{
    BodyLength, Client, ClientConfig, ClientEvent, Closed, Leniency, Misuse, NO_FIELDS, Server,
    ServerConfig, ServerEvent, Status,
};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

const START: Instant = Instant::EPOCH;
const METHODS: [(&str, &str); 8] = [
    ("GET", "/"),
    ("HEAD", "/a?b=c"),
    ("POST", "/"),
    ("PUT", "http://h/a"),
    ("OPTIONS", "*"),
    ("CONNECT", "h:1"),
    ("GET", "*"),
    ("G T", "/"),
];
const FIELDS: [Fields; 8] = [
    &[("Host", "h")],
    &[("Host", "h"), ("Cookie", "a"), ("cookie", "b")],
    &[("Host", "h"), ("Expect", "100-continue")],
    &[("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "other")],
    &[("Host", "h"), ("Connection", "close")],
    &[("X-A", "1")],
    &[("Host", "h"), ("X-A", "1\n")],
    &[("Host", "h"), ("Transfer-Encoding", "chunked")],
];
const RESPONSES: [&[u8]; 16] = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5;a=b\r\nhello\r\n",
    b"0\r\nX-Sum: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nbehind",
    b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\nA : b\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
];

/// The bytes are a configuration and then calls, two bytes each, some of which push what a server
/// sends.
///
/// # Panics
/// If a promise is broken.
pub fn client_connection(data: &[u8]) {
    let mut input = Input(data);
    let mut run = Run::new(input.byte());
    while let Some((call, with)) = input.call() {
        run.call(call, with, &mut input);
        run.check();
    }
    run.end();
    run.read_as_a_server();
}

/// A request as it was written.
struct Request {
    method: &'static str,
    target: &'static str,
    fields: Fields,
    body: Vec<u8>,
    length: BodyLength,
    trailers: Fields,
    complete: bool,
}

/// What may come next of the response under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Head,
    Body { held: bool },
}

struct Run {
    client: Client,
    depth: usize,
    rx: RecvBuf,
    tx: SendBuf,
    now: Instant,
    output: Vec<u8>,
    requests: Vec<Request>,
    /// The methods of those without a final response.
    unanswered: VecDeque<&'static str>,
    reading: Reading,
    got: u64,
    closed: Option<Closed>,
    closes: bool,
}

impl Run {
    fn new(config: u8) -> Self {
        let flag = |bit: u8| config >> bit & 1 == 1;
        let depth = if flag(4) { 3 } else { 1 };
        let config = ClientConfig {
            limits: LIMITS,
            leniency: Leniency {
                obs_fold: flag(0),
                bare_lf: flag(1),
                space_before_colon: flag(2),
                length_and_coding: flag(3),
            },
            max_body: MAX_BODY,
            pipeline_depth: depth,
            idle_timeout: flag(5).then_some(Duration::from_secs(10)),
            body_progress: if flag(6) { 100 } else { 1 },
            continue_timeout: (!flag(7)).then_some(Duration::from_secs(1)),
            ..ClientConfig::default()
        };
        Self {
            client: Client::new(config, START),
            depth,
            rx: RecvBuf::with_limit(BUFFER),
            tx: SendBuf::new(),
            now: START,
            output: Vec::new(),
            requests: Vec::new(),
            unanswered: VecDeque::new(),
            reading: Reading::Head,
            got: 0,
            closed: None,
            closes: false,
        }
    }

    fn call(&mut self, call: u8, with: usize, input: &mut Input<'_>) {
        match call % 16 {
            0 | 1 => self.push(input.bytes(with)),
            2 => self.push(RESPONSES[with % RESPONSES.len()]),
            3 | 4 => self.request(with),
            5 => self.send(&vec![b'a' + (with % 26) as u8; with], false),
            6 => self.send(&vec![b'A' + (with % 26) as u8; 40 * with], true),
            7 => self.finish(None),
            8 => self.finish(Some(TRAILERS[with % 4])),
            9 => self.hold(),
            10 => self.rx.consume(with.min(self.rx.content().len())),
            11 => match with % 8 {
                0 => self.client.shutdown(),
                1 => self.client.abort(),
                2 | 3 => self.rx.finish(),
                4 | 5 => self.rx.shrink(),
                _ => self.tx.shrink(),
            },
            12 => take(&mut self.tx, 1 + 8 * with, &mut self.output),
            13 => self.wait(Duration::from_millis(200) * with as u32),
            _ => {
                for _ in 0..=with % 4 {
                    self.poll();
                }
            }
        }
    }

    /// What holds behind every call.
    fn check(&mut self) {
        check_heap(&self.rx);
        assert_eq!(self.client.unanswered(), self.unanswered.len());
        let closes = self.client.close_reason().is_some();
        assert!(closes || !self.closes, "a reason to close is gone");
        self.closes = closes;
        assert!(!(closes && self.client.keep_alive()));
        if self.client.is_upgraded() {
            assert_eq!(self.client.poll_timeout(), None);
        }
    }

    /// What does not fit, or comes behind the end of the stream, is lost.
    fn push(&mut self, bytes: &[u8]) {
        if !self.rx.is_finished() {
            assert!(self.rx.push(bytes) <= bytes.len());
        }
    }

    /// A command. One that fails changes nothing; none does anything behind the end.
    fn command(
        &mut self,
        command: impl FnOnce(&mut Client, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        let before = (self.client.states(), written(&self.tx), self.client.close_reason());
        let over = self.closed.is_some() || self.client.is_upgraded();
        let done = command(&mut self.client, &mut self.tx);
        if done.is_err() {
            let after = (self.client.states(), written(&self.tx), self.client.close_reason());
            assert_eq!(after, before, "a command that failed");
        }
        assert!(!over || done == Err(Misuse::Closed), "a command behind the end: {done:?}");
        done
    }

    fn request(&mut self, with: usize) {
        let ((method, target), fields) = (METHODS[with % 8], FIELDS[(with >> 3) % 8]);
        let (length, now) = (length(with >> 6), self.now);
        let done = self.command(|client, tx| {
            client.request(method, target, fields.iter().copied(), length, now, tx)
        });
        if done.is_ok() {
            assert!(with % 8 < 6 && (with >> 3) % 8 < 5);
            assert!(self.requests.last().is_none_or(|last| last.complete));
            assert!(!self.closes, "a request behind the last");
            self.unanswered.push_back(method);
            assert!(self.unanswered.len() <= self.depth);
            self.requests.push(Request {
                method,
                target,
                fields,
                body: Vec::new(),
                length,
                trailers: &[],
                complete: length == BodyLength::EMPTY,
            });
        }
    }

    fn send(&mut self, data: &[u8], shared: bool) {
        let done = if shared {
            let data = Bytes::copy_from_slice(data);
            self.command(|client, tx| client.send_shared(&data, tx))
        } else {
            self.command(|client, tx| client.send_data(data, tx))
        };
        if done.is_ok() {
            let request = self.requests.last_mut().expect("a request");
            assert!(!request.complete || data.is_empty());
            request.body.extend_from_slice(data);
        }
    }

    fn finish(&mut self, trailers: Option<Fields>) {
        let done = match trailers {
            None => self.command(Client::finish),
            Some(trailers) => {
                self.command(|client, tx| client.finish_with_trailers(trailers.iter().copied(), tx))
            }
        };
        if done.is_ok() {
            let request = self.requests.last_mut().expect("a request");
            if let Some(trailers) = trailers {
                assert!(request.length == BodyLength::Unknown && !request.complete);
                request.trailers = trailers;
            }
            request.complete = true;
        }
    }

    fn hold(&mut self) {
        if let Reading::Body { held } = &mut self.reading {
            self.client.hold_body();
            *held = true;
        }
    }

    /// Takes an event. Returns whether there was one.
    fn poll(&mut self) -> bool {
        let (before, held) = (written(&self.tx), self.rx.content().len());
        let waited = self.client.awaits_continue();
        let announced = self.client.advance(self.now, &mut self.rx, &mut self.tx);
        if announced {
            let again = self.client.advance(self.now, &mut self.rx, &mut self.tx);
            assert!(again, "an event that was not taken is lost");
        }
        assert_eq!(written(&self.tx), before, "a client writes nothing by itself");
        self.got += (self.rx.content().len() - held) as u64;
        assert!(self.got <= MAX_BODY);
        let event = self.client.event(self.now, &mut self.rx, &mut self.tx);
        assert_eq!(event.is_some(), announced);
        let Some(event) = event else { return false };
        assert_eq!(self.closed, None, "an event behind the last: {event:?}");
        match event {
            ClientEvent::Informational(head) => {
                assert_eq!(self.reading, Reading::Head);
                assert!(head.status.is_informational() && !self.unanswered.is_empty());
                check_headers(head.headers);
            }
            ClientEvent::Continue => {
                let waits = self.requests.last().is_some_and(|last| {
                    !last.complete && last.fields.iter().any(|(name, _)| *name == "Expect")
                });
                assert!(waits && !waited, "nothing waits for 100");
            }
            ClientEvent::Response(head) => {
                assert_eq!(self.reading, Reading::Head);
                check_headers(head.headers);
                let method = self.unanswered.pop_front().expect("it answers a request");
                let switches = head.status == Status::SWITCHING_PROTOCOLS
                    || method == "CONNECT" && head.status.is_success();
                assert_eq!(switches, self.client.is_upgraded());
                (self.reading, self.got) = (Reading::Body { held: false }, 0);
                // RFC 9110, 10.1.1: a final response where 100 was awaited says not to send the body.
                if waited && self.unanswered.is_empty() {
                    let sent = self.client.send_data(b"x", &mut self.tx);
                    assert_eq!(sent, Err(Misuse::BodyRefused));
                }
            }
            ClientEvent::Data(data) => {
                assert!(!data.is_empty());
                assert_eq!(self.reading, Reading::Body { held: false });
                self.got += data.len() as u64;
                assert!(self.got <= MAX_BODY);
            }
            ClientEvent::End(trailers) => {
                assert_ne!(self.reading, Reading::Head);
                check_headers(trailers);
                self.reading = Reading::Head;
            }
            ClientEvent::Closed(why) => {
                assert_ne!(self.client.transport(), Transport::Open);
                self.closed = Some(why);
            }
            _ => unreachable!("an event of no kind"),
        }
        true
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        let before = written(&self.tx);
        self.client.handle_timeout(self.now, &mut self.tx);
        assert!(self.client.poll_timeout().is_none_or(|at| at > self.now), "a deadline stays");
        assert_eq!(written(&self.tx), before);
    }

    /// The server leaves, and everything is taken.
    fn end(&mut self) {
        let mut rounds = 0;
        while self.closed.is_none() && !self.client.is_upgraded() {
            rounds += 1;
            assert!(rounds < 20, "nobody is there and the connection stays");
            self.rx.consume(self.rx.content().len());
            self.rx.finish();
            while self.poll() {
                self.check();
            }
            take(&mut self.tx, usize::MAX, &mut self.output);
        }
        take(&mut self.tx, usize::MAX, &mut self.output);
        // Afterwards calls do nothing.
        assert_eq!(self.client.poll_timeout(), None);
        assert_eq!(self.client.transport() == Transport::Open, self.client.is_upgraded());
        let over = (self.client.states(), self.client.transport());
        self.client.shutdown();
        self.client.abort();
        for with in 0..=255 {
            self.request(with);
        }
        self.finish(None);
        assert!(!self.poll() && self.tx.is_empty());
        assert_eq!((self.client.states(), self.client.transport()), over);
    }

    /// What the client wrote is what the caller gave, for a server.
    fn read_as_a_server(&self) {
        let mut server = Server::new(ServerConfig::default(), START);
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
        assert_eq!(rx.push(&self.output), self.output.len());
        rx.finish();
        let mut requests = self.requests.iter();
        let (mut current, mut body, mut closed) = (None, Vec::new(), None);
        while let Some(event) = server.poll_event(START, &mut rx, &mut tx) {
            match event {
                ServerEvent::Request(head) => {
                    let request = requests.next().expect("a request that was made");
                    assert_eq!((head.method, head.target), (request.method, request.target));
                    let sent = request.fields.iter().map(|(name, value)| (*name, value.as_bytes()));
                    assert!(head.headers.iter().take(request.fields.len()).eq(sent));
                    current = Some(request);
                    body.clear();
                }
                ServerEvent::Data(data) => body.extend_from_slice(data),
                ServerEvent::End(trailers) => {
                    let request = current.take().expect("a request");
                    assert!(body == request.body, "another body");
                    // Whoever has sent all bytes of a known length may still owe `finish`.
                    let all = BodyLength::Known(body.len() as u64);
                    assert!(request.complete || request.length == all);
                    let sent =
                        request.trailers.iter().map(|(name, value)| (*name, value.as_bytes()));
                    assert!(trailers.iter().eq(sent), "other trailers");
                    server
                        .respond(Status::NOT_FOUND, NO_FIELDS, BodyLength::EMPTY, START, &mut tx)
                        .expect("a response is due");
                    take(&mut tx, usize::MAX, &mut Vec::new());
                }
                ServerEvent::Closed(why) => closed = Some(why),
                _ => unreachable!("an event of no kind"),
            }
        }
        assert_eq!(requests.len(), 0, "a request is lost");
        match current {
            None => assert_eq!(closed, Some(Closed::Done)),
            Some(request) => {
                assert!(!request.complete && body == request.body);
                assert_eq!(closed, Some(Closed::Eof));
            }
        }
    }
}
