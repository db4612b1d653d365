//! A server under arbitrary calls, and what a client makes of what it wrote.

use super::http::{LIMITS, MAX_BODY, check_headers};
use super::input::{
    BUFFER, BY_ITSELF, Fields, Input, TRAILERS, check_heap, is_bodiless, length, take, written,
};
use bytes::Bytes;
use core::time::Duration;
use tidewire::http::{
    BodyLength, Client, ClientConfig, ClientEvent, Closed, DefaultFields, Misuse, Server,
    ServerConfig, ServerEvent, Status, Version,
};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

const START: Instant = Instant::EPOCH;
const STATUSES: [u16; 8] = [200, 200, 204, 304, 404, 500, 101, 103];
const FIELDS: [Fields; 8] = [
    &[],
    &[("Content-Type", "text/plain"), ("Set-Cookie", "a"), ("set-cookie", "b")],
    &[("Connection", "close")],
    &[("Connection", "keep-alive")],
    &[("Content-Length", "5")],
    &[("X-A", "1"), ("X B", "2")],
    &[("X-A", "1\r\n")],
    &[("Connection", "Upgrade"), ("Upgrade", "other")],
];
const REQUESTS: [&[u8]; 12] = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5;a=b\r\nhello\r\n",
    b"0\r\nX-Sum: 1\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    b"hello",
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nbehind",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];

/// The bytes are a configuration and then calls, two bytes each, some of which push what a client
/// sends.
///
/// # Panics
/// If a promise is broken.
pub fn server_connection(data: &[u8]) {
    let mut input = Input(data);
    let mut run = Run::new(input.byte());
    while let Some((call, with)) = input.call() {
        run.call(call, with, &mut input);
        run.check();
    }
    run.end();
    run.read_as_a_client();
}

/// A request, and what was answered.
#[derive(Default)]
struct Exchange {
    /// Where in the output its answer begins, and where it ends, if it is finished.
    start: u64,
    end: Option<u64>,
    head: bool,
    connect: bool,
    upgrade: bool,
    http10: bool,
    /// How many interim responses the caller has written.
    informed: usize,
    status: Option<Status>,
    body: Vec<u8>,
    chunked: bool,
    trailers: Fields,
    switched: bool,
}

struct Run {
    server: Server,
    high_water: usize,
    rx: RecvBuf,
    tx: SendBuf,
    now: Instant,
    output: Vec<u8>,
    exchanges: Vec<Exchange>,
    /// Of the request under way: how much of its body was told, and whether its end was not.
    got: u64,
    reading: bool,
    closed: Option<Closed>,
    closes: bool,
}

impl Run {
    fn new(config: u8) -> Self {
        let flag = |bit: u8| config >> bit & 1 == 1;
        let high_water = if flag(0) { 1 } else { 4000 };
        let config = ServerConfig {
            limits: LIMITS,
            max_body: MAX_BODY,
            send_high_water: high_water,
            half_close: !flag(1),
            linger: Duration::from_secs(if flag(2) { 0 } else { 1 }),
            body_progress: if flag(3) { 1 } else { 1024 },
            ..ServerConfig::default()
        };
        let mut server = Server::new(config, START);
        if flag(4) {
            let fields = [("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("X-A", "default")];
            server.set_default_fields(DefaultFields::new(fields).expect("two good fields"));
        }
        Self {
            server,
            high_water,
            rx: RecvBuf::with_limit(BUFFER),
            tx: SendBuf::new(),
            now: START,
            output: Vec::new(),
            exchanges: Vec::new(),
            got: 0,
            reading: false,
            closed: None,
            closes: false,
        }
    }

    fn call(&mut self, call: u8, with: usize, input: &mut Input<'_>) {
        match call % 16 {
            0 | 1 => self.push(input.bytes(with)),
            2 => self.push(REQUESTS[with % REQUESTS.len()]),
            3 | 4 => self.respond(with),
            5 => self.send(&vec![b'a' + (with % 26) as u8; with], false),
            6 => self.send(&vec![b'A' + (with % 26) as u8; 40 * with], true),
            7 => self.finish(None),
            8 => self.finish(Some(TRAILERS[with % 4])),
            9 => self.inform(with),
            10 => self.upgrade(with),
            11 => match with % 8 {
                0 => self.server.shutdown(self.now),
                1 => self.server.abort(),
                2 => self.server.end_on_eof(),
                3 => self.rx.finish(),
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
        let closes = self.server.close_reason().is_some();
        assert!(closes || !self.closes, "a reason to close is gone");
        self.closes = closes;
        assert!(!(closes && self.server.keep_alive()));
        assert!(!(self.server.is_response_due() && self.server.is_responding()));
        if self.server.is_upgraded() {
            assert_eq!(self.server.poll_timeout(), None);
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
        command: impl FnOnce(&mut Server, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        let before = (self.server.states(), written(&self.tx), self.server.close_reason());
        let over = self.closed.is_some() || self.server.is_upgraded();
        let done = command(&mut self.server, &mut self.tx);
        if done.is_err() {
            let after = (self.server.states(), written(&self.tx), self.server.close_reason());
            assert_eq!(after, before, "a command that failed");
        }
        assert!(!over || done == Err(Misuse::Closed), "a command behind the end: {done:?}");
        done
    }

    fn exchange(&mut self) -> &mut Exchange {
        self.exchanges.last_mut().expect("a request was told")
    }

    fn respond(&mut self, with: usize) {
        let status = Status::new(STATUSES[with % 8]).expect("a status");
        let (length, fields) = (length(with >> 3), FIELDS[(with >> 5) % 8]);
        let (due, now) = (self.server.is_response_due(), self.now);
        let done = self
            .command(|server, tx| server.respond(status, fields.iter().copied(), length, now, tx));
        if done.is_ok() {
            assert!(due && !status.is_informational());
            let exchange = self.exchange();
            exchange.status = Some(status);
            exchange.chunked = length == BodyLength::Unknown
                && !(exchange.http10 || is_bodiless(status, exchange.head));
            if length == BodyLength::EMPTY {
                self.finished();
            }
        }
    }

    fn send(&mut self, data: &[u8], shared: bool) {
        let done = if shared {
            let data = Bytes::copy_from_slice(data);
            self.command(|server, tx| server.send_shared(&data, tx))
        } else {
            self.command(|server, tx| server.send_data(data, tx))
        };
        if done.is_ok() {
            let exchange = self.exchange();
            if !exchange.status.is_some_and(|status| is_bodiless(status, exchange.head)) {
                exchange.body.extend_from_slice(data);
            }
        }
    }

    fn finish(&mut self, trailers: Option<Fields>) {
        let was_responding = self.server.is_responding();
        let done = match trailers {
            None => self.command(Server::finish),
            Some(trailers) => {
                self.command(|server, tx| server.finish_with_trailers(trailers.iter().copied(), tx))
            }
        };
        if done.is_ok() && was_responding {
            let exchange = self.exchange();
            exchange.trailers = trailers.filter(|_| exchange.chunked).unwrap_or_default();
            self.finished();
        }
    }

    fn finished(&mut self) {
        assert!(!self.server.is_responding());
        let end = written(&self.tx);
        self.exchange().end = Some(end);
    }

    fn inform(&mut self, with: usize) {
        let status = Status::new([100, 103, 102, 101, 200][with % 5]).expect("a status");
        let fields = FIELDS[(with >> 5) % 2];
        let done = self.command(|server, tx| server.inform(status, fields.iter().copied(), tx));
        if done.is_ok() {
            assert!(with % 5 < 3);
            let exchange = self.exchange();
            exchange.informed += usize::from(!exchange.http10);
        }
    }

    fn upgrade(&mut self, with: usize) {
        let fields = FIELDS[if with % 4 == 0 { 0 } else { 7 }];
        let done = self.command(|server, tx| server.upgrade(fields.iter().copied(), tx));
        assert_eq!(done.is_ok() || self.has_switched(), self.server.is_upgraded());
        if done.is_ok() {
            let end = written(&self.tx);
            let exchange = self.exchange();
            assert!(exchange.upgrade || exchange.connect);
            exchange.switched = true;
            exchange.end = Some(end);
        }
    }

    fn has_switched(&self) -> bool {
        self.exchanges.last().is_some_and(|exchange| exchange.switched)
    }

    /// Takes an event. Returns whether there was one.
    fn poll(&mut self) -> bool {
        let (before, waiting) = (written(&self.tx), self.tx.len());
        let announced = self.server.advance(self.now, &mut self.rx, &mut self.tx);
        if announced {
            let again = self.server.advance(self.now, &mut self.rx, &mut self.tx);
            assert!(again, "an event that was not taken is lost");
        }
        let wrote = written(&self.tx) - before;
        assert!(wrote <= BY_ITSELF, "more than one event explains");
        let event = self.server.event(self.now, &mut self.rx, &mut self.tx);
        assert_eq!(event.is_some(), announced);
        let Some(event) = event else { return false };
        assert_eq!(self.closed, None, "an event behind the last: {event:?}");
        match event {
            ServerEvent::Request(head) => {
                assert!(!self.reading && wrote == 0, "a request inside of another");
                assert!(waiting < self.high_water, "more is asked than is taken");
                let last = self.exchanges.last();
                assert!(last.is_none_or(|last| last.end.is_some() && !last.switched));
                self.exchanges.push(Exchange {
                    start: before,
                    head: head.method == "HEAD",
                    connect: head.method == "CONNECT",
                    upgrade: head.headers.get("Upgrade").is_some(),
                    http10: head.version == Version::Http10,
                    ..Exchange::default()
                });
                (self.reading, self.got) = (true, 0);
            }
            ServerEvent::Data(data) => {
                assert!(self.reading && !data.is_empty());
                self.got += data.len() as u64;
                assert!(self.got <= MAX_BODY);
            }
            ServerEvent::End(trailers) => {
                assert!(self.reading);
                check_headers(trailers);
                self.reading = false;
            }
            ServerEvent::Closed(why) => {
                assert_ne!(self.server.transport(), Transport::Open);
                self.closed = Some(why);
            }
            _ => unreachable!("an event of no kind"),
        }
        true
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        let before = written(&self.tx);
        self.server.handle_timeout(self.now, &mut self.tx);
        assert!(self.server.poll_timeout().is_none_or(|at| at > self.now), "a deadline stays");
        assert!(written(&self.tx) - before <= BY_ITSELF);
        assert!(self.closed.is_none() || written(&self.tx) == before);
    }

    /// The client leaves, everything is taken, and time passes. What is still owed then is given up.
    fn end(&mut self) {
        self.rx.finish();
        for round in 0.. {
            assert!(round < 20, "nobody is there and the connection stays");
            while self.poll() {
                self.check();
            }
            if self.server.is_upgraded() || self.closed.is_some() {
                break;
            }
            let full = self.tx.len() >= self.high_water;
            take(&mut self.tx, usize::MAX, &mut self.output);
            if self.server.is_response_due() || self.server.is_responding() {
                self.server.abort();
            } else if let Some(at) = self.server.poll_timeout() {
                self.wait(at.saturating_since(self.now));
            } else {
                assert!(full, "the server waits for nothing");
            }
        }
        take(&mut self.tx, usize::MAX, &mut self.output);
        // Whoever was refused in the middle of a request is listened to for a while.
        let mut wakes = 0;
        while let Some(at) = self.server.poll_timeout() {
            wakes += 1;
            assert!(wakes < 10, "a client that was refused is listened to for ever");
            assert_eq!(self.server.transport(), Transport::CloseWrite);
            self.wait(at.saturating_since(self.now));
        }
        // Afterwards calls do nothing.
        let over = (self.server.states(), self.server.transport());
        assert_eq!(self.server.transport() == Transport::Open, self.server.is_upgraded());
        self.server.shutdown(self.now);
        self.server.abort();
        for with in 0..=255 {
            self.respond(with);
        }
        self.finish(None);
        assert!(!self.poll() && self.tx.is_empty());
        assert_eq!((self.server.states(), self.server.transport()), over);
    }

    /// What the server wrote is what the caller gave, for a strict client.
    fn read_as_a_client(&self) {
        let mut begun = 0;
        for (index, exchange) in self.exchanges.iter().enumerate() {
            assert_eq!(begun, exchange.start, "bytes between two responses");
            let next = self.exchanges.get(index + 1).map(|next| next.start);
            begun = next.or(exchange.end).unwrap_or(self.output.len() as u64);
            exchange.check(&self.output[exchange.start as usize..begun as usize]);
        }
        // Behind the last response there may be the refusal of a request that was never told.
        let refusal = &self.output[begun as usize..];
        if !refusal.is_empty() {
            Exchange::default().check(refusal);
        }
    }
}

impl Exchange {
    /// Reads `answer` as the client would that had asked.
    fn check(&self, answer: &[u8]) {
        let mut client = Client::new(ClientConfig::default(), START);
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
        let (method, target) = match () {
            () if self.connect => ("CONNECT", "h:1"),
            () if self.head => ("HEAD", "/"),
            () => ("GET", "/"),
        };
        let upgrade = self.upgrade.then_some([("Connection", "upgrade"), ("Upgrade", "other")]);
        let fields = [("Host", "h:1")].into_iter().chain(upgrade.into_iter().flatten());
        client
            .request(method, target, fields, BodyLength::EMPTY, START, &mut tx)
            .expect("a good request");
        assert_eq!(rx.push(answer), answer.len());
        rx.finish();

        let (mut informed, mut status, mut body) = (0, None, Vec::new());
        let (mut ended, mut closed) = (false, None);
        while let Some(event) = client.poll_event(START, &mut rx, &mut tx) {
            match event {
                ClientEvent::Informational(_) => informed += 1,
                ClientEvent::Response(head) => status = Some(head.status),
                ClientEvent::Data(data) => body.extend_from_slice(data),
                ClientEvent::End(trailers) => {
                    let sent = self.trailers.iter().map(|(name, value)| (*name, value.as_bytes()));
                    assert!(trailers.iter().eq(sent), "other trailers");
                    ended = true;
                }
                ClientEvent::Closed(why) => closed = Some(why),
                _ => unreachable!("nothing waits for 100"),
            }
        }
        assert!(informed - self.informed <= 1, "more than one 100 by itself");
        assert!(body == self.body, "another body");
        if self.switched {
            assert!(client.is_upgraded() && rx.raw().is_empty());
        } else if self.end.is_some() {
            assert!(ended && closed == Some(Closed::Done), "{closed:?}");
            assert_eq!(status, self.status);
        } else {
            // Cut off or refused, but nothing is malformed.
            assert!(matches!(closed, Some(Closed::Done | Closed::Eof)), "{closed:?}");
            match self.status {
                Some(_) => assert_eq!(status, self.status),
                None => assert!(status.is_none_or(|status| status.code() >= 400)),
            }
        }
    }
}
