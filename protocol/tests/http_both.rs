//! A client and a server of ours on one link, whose callers do anything at any time.

use proptest::prelude::*;
use std::time::Duration;
use tidewire::http::*;
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

/// What the world does next.
#[derive(Clone, Debug)]
enum Op {
    /// The link carries up to so many bytes, and each machine is polled.
    ToServer(usize),
    ToClient(usize),
    Sleep(u64),
    Fire,
    Request {
        method: usize,
        fields: usize,
        length: Option<u64>,
    },
    ClientData(usize),
    ClientShared(usize),
    ClientFinish(bool),
    ClientShutdown,
    ClientAbort,
    ClientLeaves {
        half: bool,
    },
    /// Somebody else writes into the link.
    Inject {
        to_server: bool,
        piece: usize,
    },
    Respond {
        status: usize,
        close: bool,
        length: Option<u64>,
    },
    Inform(usize),
    Upgrade,
    ServerData(usize),
    ServerFinish(bool),
    ServerShutdown,
    ServerAbort,
    EndOnEof,
}

const METHODS: [(&str, &str); 8] = [
    ("GET", "/"),
    ("HEAD", "/a?b"),
    ("POST", "/"),
    ("PUT", "/"),
    ("DELETE", "/"),
    ("OPTIONS", "*"),
    ("CONNECT", "h:1"),
    ("X-OWN", "http://h/"),
];
const FIELDS: [&[(&str, &str)]; 5] = [
    &[("Host", "h")],
    &[("Host", "h"), ("Connection", "close")],
    &[("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "x")],
    &[("Host", "h"), ("Expect", "100-continue")],
    &[
        ("Host", "h"),
        ("Expect", "100-continue"),
        ("Connection", "upgrade, close"),
        ("Upgrade", "x"),
    ],
];
const PIECES: [&str; 14] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "CONNECT h:1 HTTP/1.0\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.0\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\nA: b\r\n\r\n",
    "\r\n",
    "G",
    "\0",
];
const STATUSES: [u16; 12] = [100, 101, 103, 200, 201, 204, 205, 304, 404, 417, 500, 999];

fn length() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => Just(Some(0)), 2 => (1..5000_u64).prop_map(Some), 3 => Just(None)]
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![1..20_usize, 20..10_000_usize];
    let (b, c, d) = (bytes.clone(), bytes.clone(), bytes.clone());
    let request = (0..METHODS.len(), 0..FIELDS.len(), length());
    let respond = (0..STATUSES.len(), prop::bool::weighted(0.1), length());
    prop_oneof![
        12 => bytes.prop_map(Op::ToServer),
        12 => b.prop_map(Op::ToClient),
        1 => (0..70_u64).prop_map(Op::Sleep),
        2 => Just(Op::Fire),
        8 => request.prop_map(|(method, fields, length)| Op::Request { method, fields, length }),
        3 => (0..5000_usize).prop_map(Op::ClientData),
        1 => c.prop_map(Op::ClientShared),
        4 => prop::bool::weighted(0.2).prop_map(Op::ClientFinish),
        8 => respond.prop_map(|(status, close, length)| Op::Respond { status, close, length }),
        2 => (0..STATUSES.len()).prop_map(Op::Inform),
        2 => Just(Op::Upgrade),
        4 => d.prop_map(Op::ServerData),
        4 => prop::bool::weighted(0.2).prop_map(Op::ServerFinish),
        1 => (any::<bool>(), 0..PIECES.len())
            .prop_map(|(to_server, piece)| Op::Inject { to_server, piece }),
        1 => prop_oneof![
            Just(Op::ClientShutdown),
            Just(Op::ClientAbort),
            Just(Op::ServerShutdown),
            Just(Op::ServerAbort),
            Just(Op::EndOnEof),
            any::<bool>().prop_map(|half| Op::ClientLeaves { half }),
        ],
    ]
}

struct World {
    now: Instant,
    client: Client,
    server: Server,
    client_rx: RecvBuf,
    client_tx: SendBuf,
    server_rx: RecvBuf,
    server_tx: SendBuf,
    client_closed: Option<Closed>,
    server_closed: Option<Closed>,
    /// The link did not carry what was written, so that the two need not agree.
    broken: bool,
}

impl World {
    fn new(pipeline_depth: usize, half_close: bool) -> Self {
        let now = Instant::EPOCH;
        let client = ClientConfig { pipeline_depth, ..ClientConfig::default() };
        let server = ServerConfig { half_close, ..ServerConfig::default() };
        Self {
            now,
            client: Client::new(client, now),
            server: Server::new(server, now),
            client_rx: RecvBuf::with_limit(32 * 1024),
            client_tx: SendBuf::new(),
            server_rx: RecvBuf::with_limit(32 * 1024),
            server_tx: SendBuf::new(),
            client_closed: None,
            server_closed: None,
            broken: false,
        }
    }

    fn poll_client(&mut self) {
        let (now, rx, tx) = (self.now, &mut self.client_rx, &mut self.client_tx);
        while let Some(event) = self.client.poll_event(now, rx, tx) {
            assert_eq!(self.client_closed, None, "nothing follows the end");
            if let ClientEvent::Closed(why) = event {
                self.client_closed = Some(why);
            }
        }
    }

    fn poll_server(&mut self) {
        let (now, rx, tx) = (self.now, &mut self.server_rx, &mut self.server_tx);
        while let Some(event) = self.server.poll_event(now, rx, tx) {
            assert_eq!(self.server_closed, None, "nothing follows the end");
            if let ServerEvent::Closed(why) = event {
                self.server_closed = Some(why);
            }
        }
    }

    fn carry(tx: &mut SendBuf, rx: &mut RecvBuf, most: usize) -> usize {
        let piece = tx.chunk();
        let some = rx.push(&piece[..piece.len().min(most)]);
        tx.consume(some);
        some
    }

    fn carry_to_server(&mut self, most: usize) -> usize {
        let mut moved = 0;
        if !self.server_rx.is_finished() && !self.client.is_upgraded() {
            moved = Self::carry(&mut self.client_tx, &mut self.server_rx, most);
            if self.client_tx.is_empty() && self.client.transport() != Transport::Open {
                self.server_rx.finish();
                moved += 1;
            }
        }
        self.poll_server();
        moved
    }

    fn carry_to_client(&mut self, most: usize) -> usize {
        let mut moved = 0;
        if !self.client_rx.is_finished() {
            moved = Self::carry(&mut self.server_tx, &mut self.client_rx, most);
            if self.server_tx.is_empty() && self.server.transport() != Transport::Open {
                self.client_rx.finish();
                moved += 1;
            }
        }
        self.poll_client();
        moved
    }

    /// Invariant 8.
    fn fire(&mut self) {
        let now = self.now;
        self.client.handle_timeout(now, &mut self.client_tx);
        self.server.handle_timeout(now, &mut self.server_tx);
        self.poll_client();
        self.poll_server();
        assert!(self.client.poll_timeout().is_none_or(|at| at > now), "{:?}", self.client);
        assert!(self.server.poll_timeout().is_none_or(|at| at > now), "{:?}", self.server);
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now;
        let (ctx, stx) = (&mut self.client_tx, &mut self.server_tx);
        let before = (ctx.len(), stx.len(), self.client.states(), self.server.states());
        let none = NO_FIELDS;
        let trailers = [("X-Digest", "1")];
        let body = |length: Option<u64>| length.map_or(BodyLength::Unknown, BodyLength::Known);
        let done = match *op {
            Op::ToServer(n) => {
                self.carry_to_server(n);
                return;
            }
            Op::ToClient(n) => {
                self.carry_to_client(n);
                return;
            }
            Op::Sleep(s) => {
                self.now += Duration::from_secs(s);
                return;
            }
            Op::Fire => return self.fire(),
            Op::ClientShutdown => return self.client.shutdown(),
            Op::ClientAbort => return self.client.abort(),
            Op::ServerShutdown => return self.server.shutdown(now),
            Op::ServerAbort => return self.server.abort(),
            Op::EndOnEof => return self.server.end_on_eof(),
            Op::ClientLeaves { half } => {
                self.broken = true;
                self.server_rx.finish();
                if !half {
                    self.client_rx.finish();
                }
                return;
            }
            Op::Inject { to_server, piece } => {
                self.broken = true;
                let rx = if to_server { &mut self.server_rx } else { &mut self.client_rx };
                let _ = rx.push(PIECES[piece].as_bytes());
                return;
            }
            Op::Request { method, fields, length } => {
                let (method, target) = METHODS[method];
                let fields = FIELDS[fields].iter().copied();
                self.client.request(method, target, fields, body(length), now, ctx)
            }
            Op::ClientData(n) => self.client.send_data(&vec![b'c'; n], ctx),
            Op::ClientShared(n) => self.client.send_shared(&vec![b'c'; n].into(), ctx),
            Op::ClientFinish(false) => self.client.finish(ctx),
            Op::ClientFinish(true) => self.client.finish_with_trailers(trailers, ctx),
            Op::Respond { status, close, length } => {
                let status = Status::new(STATUSES[status]).unwrap();
                let fields: &[(&str, &str)] = if close { &[("Connection", "close")] } else { &[] };
                self.server.respond(status, fields.iter().copied(), body(length), now, stx)
            }
            Op::Inform(status) => {
                self.server.inform(Status::new(STATUSES[status]).unwrap(), none, stx)
            }
            Op::Upgrade => {
                let fields = [("Connection", "Upgrade"), ("Upgrade", "x")];
                self.server.upgrade(fields, stx)
            }
            Op::ServerData(n) => self.server.send_data(&vec![b's'; n], stx),
            Op::ServerFinish(false) => self.server.finish(stx),
            Op::ServerFinish(true) => self.server.finish_with_trailers(trailers, stx),
        };
        if done.is_err() {
            let after = (ctx.len(), stx.len(), self.client.states(), self.server.states());
            assert_eq!(after, before, "a refused command does nothing: {op:?} {done:?}");
        }
    }

    /// The callers bring to its end what they have begun.
    fn finish(&mut self) {
        while self.client.finish(&mut self.client_tx) == Err(Misuse::BodyTooShort) {
            self.client.send_data(b"c", &mut self.client_tx).unwrap();
        }
        while self.server.finish(&mut self.server_tx) == Err(Misuse::BodyTooShort) {
            self.server.send_data(b"s", &mut self.server_tx).unwrap();
        }
    }

    /// Carries everything until nothing moves.
    fn settle(&mut self) {
        let mut rounds = 0;
        loop {
            let before = (self.client.states(), self.server.states());
            let moved = self.carry_to_server(usize::MAX) + self.carry_to_client(usize::MAX);
            if moved == 0 && before == (self.client.states(), self.server.states()) {
                return;
            }
            rounds += 1;
            assert!(rounds < 10_000, "the two never rest");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the callers and the link do in whatever order, nothing panics, a refused command does
    /// nothing, deadlines lead somewhere, and each connection ends once. While the link is whole, the
    /// machines find no fault with one another, and know the same of one another at rest.
    #[test]
    fn client_and_server_agree(
        ops in proptest::collection::vec(op(), 1..60),
        depth in 0..4_usize,
        half_close: bool,
    ) {
        let mut world = World::new(depth, half_close);
        for op in &ops {
            world.apply(op);
        }
        world.finish();
        world.settle();
        for closed in [world.client_closed, world.server_closed] {
            prop_assert!(world.broken || !matches!(closed, Some(Closed::Protocol(_))), "{:?}", closed);
        }
        let both = (world.client.states(), world.server.states());
        let over = world.client_closed.is_some() || world.server_closed.is_some() || world.broken;
        if !over && world.client.unanswered() <= 1 {
            prop_assert_eq!(both.0, both.1);
        }
        // An end that one has told, the other one learns.
        if !world.broken && world.server_closed.is_some() && !world.client.is_upgraded() {
            prop_assert!(world.client_closed.is_some(), "{:?}", both);
        }
        // Invariant 8: only so many deadlines pass until nothing is left to wait for.
        let mut fired = 0;
        while let Some(at) = [world.client.poll_timeout(), world.server.poll_timeout()].into_iter().flatten().min() {
            world.now = world.now.max(at);
            world.fire();
            world.settle();
            fired += 1;
            prop_assert!(fired < 30, "deadlines without end");
        }
    }
}
