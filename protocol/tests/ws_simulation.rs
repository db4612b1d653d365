//! A client and servers over links that split, delay and cut, in virtual time.

#[path = "ws_simulation/link.rs"]
#[allow(dead_code, reason = "the simulation of two ends uses the rest")]
mod link;

use core::time::Duration;
use link::{Chance, Wire};
use proptest::prelude::*;
use std::collections::VecDeque;
use tidewire::http::{BodyLength, NO_FIELDS, Server, ServerConfig, ServerEvent, Status};
use tidewire::reconnect::Policy;
use tidewire::ws::handshake::{Request, ServerOptions, accept};
use tidewire::ws::{Client, ClientClosed, ClientConfig, ClientEvent, Config, Connection, Event};
use tidewire::ws::{Negotiated, Status as ClientStatus};
use tidewire::{DialError, Instant, RecvBuf, Seed, SendBuf, Transport};

/// The server's end of one link: an echo.
enum Peer {
    Http(Box<Server>),
    Open(Box<Connection>),
}

struct Link {
    up: Wire,
    down: Wire,
    peer: Peer,
    rx: RecvBuf,
    tx: SendBuf,
    cut_at: Option<Instant>,
    accepted: Option<Negotiated>,
    over: bool,
    /// The server refuses to open a WebSocket, or never answers.
    refuses: bool,
    mute: bool,
    /// From then on nothing arrives, and nobody is told.
    silent_at: Option<Instant>,
}

struct World {
    now: Instant,
    chance: Chance,
    client: Client,
    rx: RecvBuf,
    tx: SendBuf,
    link: Option<Link>,
    log: Vec<String>,
    cuts: bool,
    /// Whether everything happens to a link that can; when something is to be done of one's own.
    hard: bool,
    wake: Option<Instant>,
    /// Nothing comes of the attempt to dial.
    hangs: bool,
}

const BIG: usize = 3000;

impl World {
    fn new(seed: u64, cuts: bool) -> Self {
        let connection = Config {
            ping_interval: Some(Duration::from_millis(700)),
            pong_timeout: Duration::from_millis(400),
            max_message: 1 << 16,
            ..Config::default()
        };
        let config = ClientConfig {
            connection,
            reconnect: cuts.then(|| Policy::fixed(Duration::from_millis(100))),
            ..ClientConfig::default()
        };
        let request = Request::new("ws://server/").unwrap();
        Self {
            now: Instant::EPOCH,
            chance: Chance(seed),
            client: Client::new(request, config, &Seed::new([seed as u8; 32]), Instant::EPOCH),
            rx: RecvBuf::with_limit(1 << 17),
            tx: SendBuf::new(),
            link: None,
            log: Vec::new(),
            cuts,
            hard: false,
            wake: None,
            hangs: false,
        }
    }

    /// Everything that can be done now.
    fn work(
        &mut self,
        on_event: &mut impl FnMut(&mut Client, ClientEvent<'_>, &mut SendBuf, Instant),
    ) {
        let now = self.now;
        for _ in 0..100 {
            let before = self.log.len();
            while let Some(event) = self.client.poll_event(now, &mut self.rx, &mut self.tx) {
                self.log.push(format!("{now:?} {}", name(&event)));
                on_event(&mut self.client, event, &mut self.tx, now);
            }
            if let Some(link) = &mut self.link {
                link.up.carry(&mut self.tx, now, &mut self.chance);
            }
            match self.client.transport() {
                Transport::Dial if self.hangs => {}
                Transport::Dial => {
                    self.rx.clear();
                    self.tx.clear();
                    self.link = None;
                    if self.cuts && self.chance.below(4) == 0 {
                        self.client.dial_failed(now, DialError::Connect);
                    } else if self.hard {
                        self.dial_hard();
                    } else {
                        let life = Duration::from_millis(self.chance.below(3000));
                        self.link = Some(Link::new(now, self.cuts.then_some(now + life)));
                        self.client.connected(now, &mut self.tx);
                    }
                    self.log.push(format!("{now:?} dialled"));
                }
                Transport::Down | Transport::Close => {
                    if let Some(link) = &mut self.link {
                        link.up.end(now, &mut self.chance);
                    }
                }
                Transport::Open | Transport::CloseWrite => {}
            }
            if let Some(link) = &mut self.link {
                link.serve(now, &mut self.chance);
                link.down.deliver(&mut self.rx, now);
            }
            if before == self.log.len() && !self.client.advance(now, &mut self.rx, &mut self.tx) {
                return;
            }
        }
        panic!("no end at {now:?}: {:#?}", &self.log[self.log.len() - 20..]);
    }

    /// Dials, and draws what becomes of it.
    fn dial_hard(&mut self) {
        let (now, chance) = (self.now, &mut self.chance);
        self.hangs = chance.one_in(8);
        if !self.hangs {
            let mut link = Link::new(now, None);
            let at = Some(now + chance.millis(86_400_000));
            match chance.below(8) {
                0 => link.refuses = true,
                1 => link.mute = true,
                2..=4 => link.silent_at = at,
                _ => link.cut_at = at,
            }
            self.link = Some(link);
            self.client.connected(now, &mut self.tx);
        }
    }

    /// Jumps to the next time at which something is due; false if nothing is.
    fn step(&mut self) -> bool {
        let link = self.link.iter().flat_map(|link| {
            let timeout = match &link.peer {
                Peer::Http(server) => server.poll_timeout(),
                Peer::Open(conn) => conn.poll_timeout(),
            };
            // A server that is gone does nothing any more.
            let timeout = timeout.filter(|_| !link.over && !link.mute);
            [link.up.next(), link.down.next(), timeout, link.cut_at, link.silent_at]
        });
        let next = link.chain([self.client.poll_timeout(), self.wake]).flatten().min();
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        self.client.handle_timeout(self.now, &mut self.tx);
        self.hangs &= self.client.transport() == Transport::Dial;
        true
    }
}

impl Link {
    fn new(now: Instant, cut_at: Option<Instant>) -> Self {
        Self {
            up: Wire::default(),
            down: Wire::default(),
            peer: Peer::Http(Box::new(Server::new(ServerConfig::default(), now))),
            rx: RecvBuf::with_limit(1 << 17),
            tx: SendBuf::new(),
            cut_at,
            accepted: None,
            over: false,
            refuses: false,
            mute: false,
            silent_at: None,
        }
    }

    fn serve(&mut self, now: Instant, chance: &mut Chance) {
        if self.cut_at.is_some_and(|at| at <= now) {
            self.cut_at = None;
            self.over = true;
            // What is on its way is lost.
            self.up.cut(now, chance);
            self.down.cut(now, chance);
        }
        if self.silent_at.is_some_and(|at| at <= now) {
            self.silent_at = None;
            (self.up.silent, self.down.silent) = (true, true);
        }
        if self.over || self.mute {
            self.up.discard();
            return;
        }
        self.up.deliver(&mut self.rx, now);
        if let Peer::Http(server) = &mut self.peer {
            server.handle_timeout(now, &mut self.tx);
            while let Some(event) = server.poll_event(now, &mut self.rx, &mut self.tx) {
                match event {
                    ServerEvent::Request(_) if self.refuses => {
                        let (status, length) = (Status::SERVICE_UNAVAILABLE, BodyLength::EMPTY);
                        server.respond(status, NO_FIELDS, length, now, &mut self.tx).unwrap();
                    }
                    ServerEvent::Request(head) => {
                        let acceptance = accept(&head, &ServerOptions::default()).unwrap();
                        server.upgrade(acceptance.fields(), &mut self.tx).unwrap();
                        self.accepted = Some(acceptance.negotiated());
                    }
                    ServerEvent::Closed(_) => self.over = true,
                    _ => {}
                }
            }
            if let Some(negotiated) = self.accepted.take() {
                let conn = Connection::server(Config::default(), negotiated, now);
                self.peer = Peer::Open(Box::new(conn));
            }
        }
        if let Peer::Open(conn) = &mut self.peer {
            conn.handle_timeout(now, &mut self.tx);
            while let Some(event) = conn.poll_event(now, &mut self.rx, &mut self.tx) {
                match event {
                    Event::Text(text) => conn.send_text(text, &mut self.tx).unwrap(),
                    Event::Binary(bytes) => conn.send_binary(bytes, &mut self.tx).unwrap(),
                    Event::Closed { .. } => self.over = true,
                    _ => {}
                }
            }
        }
        self.down.carry(&mut self.tx, now, chance);
        if self.over {
            self.down.end(now, chance);
        }
    }
}

fn name(event: &ClientEvent<'_>) -> String {
    match event {
        ClientEvent::Open(_) => "open".into(),
        ClientEvent::Binary(bytes) => format!("binary of {}", bytes.len()),
        ClientEvent::Error(error) => format!("error: {error}"),
        ClientEvent::Closed { why, .. } => format!("closed: {why}"),
        other => format!("{other:?}"),
    }
}

/// Over a link that only splits and delays, every message comes back, in order, and the closing
/// handshake is clean.
fn a_whole_conversation(seed: u64) -> Vec<String> {
    const MESSAGES: usize = 20;
    let mut world = World::new(seed, false);
    let mut received = 0;
    let size = |n: usize| (n * 977) % BIG;
    for n in 0..MESSAGES {
        world.client.send_binary(&vec![n as u8; size(n)], &mut world.tx).unwrap();
    }
    let mut on_event =
        |client: &mut Client, event: ClientEvent<'_>, tx: &mut SendBuf, now: Instant| {
            if let ClientEvent::Binary(bytes) = event {
                assert_eq!(bytes, vec![received as u8; size(received)]);
                received += 1;
                if received == MESSAGES {
                    client.close(1000.into(), "done", now, tx).unwrap();
                }
            }
        };
    world.work(&mut on_event);
    while world.step() {
        world.work(&mut on_event);
        if matches!(world.client.status(), ClientStatus::Idle) {
            break;
        }
    }
    assert_eq!(received, MESSAGES);
    let closed = world.log.iter().filter(|line| line.contains("closed")).count();
    assert!(
        closed == 1 && world.log.last().unwrap().contains("closed with 1000"),
        "{:?}",
        world.log
    );
    world.log
}

/// Over links that break at any moment, what arrives is always a whole message of this connection,
/// and each attempt tells its events in order.
fn a_life_of_cuts(seed: u64) -> Vec<String> {
    let mut world = World::new(seed, true);
    let mut serial = 0_u32;
    let mut expected = VecDeque::new();
    let mut state = "closed";
    let mut on_event =
        |client: &mut Client, event: ClientEvent<'_>, tx: &mut SendBuf, _: Instant| {
            let before = state;
            match event {
                ClientEvent::Connected => {
                    state = "connected";
                    assert_eq!(before, "closed");
                    expected.clear();
                }
                ClientEvent::Open(_) => {
                    state = "open";
                    assert_eq!(before, "connected");
                    for _ in 0..5 {
                        serial += 1;
                        let text = format!("{serial}-").repeat(serial as usize % 300);
                        client.send_text(&text, tx).unwrap();
                        expected.push_back(text);
                    }
                }
                ClientEvent::Text(text) => {
                    assert_eq!((before, Some(text)), ("open", expected.pop_front().as_deref()));
                    client.send_text(text, tx).unwrap();
                    expected.push_back(text.into());
                }
                ClientEvent::Error(_) => {
                    state = "failed";
                    assert_ne!(before, "open");
                }
                ClientEvent::Closed { .. } => {
                    state = "closed";
                    assert!(before == "failed" || before == "open");
                }
                _ => {}
            }
        };
    world.work(&mut on_event);
    while world.now < Instant::EPOCH + Duration::from_secs(15) && world.step() {
        world.work(&mut on_event);
        assert!(world.rx.heap_size() <= 1 << 17);
    }
    assert!(world.log.iter().filter(|line| line.contains("closed")).count() > 3);
    world.log
}

/// For months: links that break, fall silent, never come about; servers that refuse or never answer;
/// a user who sends now and then, closes, gives up, and begins again.
fn a_long_life(seed: u64) -> Vec<String> {
    let mut world = World::new(seed, false);
    let connection = Config {
        ping_interval: Some(Duration::from_secs(600)),
        max_message: 1 << 16,
        ..Config::default()
    };
    let reconnect = Policy::exponential(Duration::from_secs(1), Duration::from_secs(300));
    let config = ClientConfig { connection, reconnect: Some(reconnect), ..Default::default() };
    let request = Request::new("ws://server/").unwrap();
    world.client = Client::new(request, config, &Seed::new([seed as u8; 32]), Instant::EPOCH);
    world.hard = true;
    world.wake = Some(Instant::EPOCH);

    let (mut serial, mut state) = (0_u64, "closed");
    let expected = core::cell::RefCell::new(VecDeque::new());
    let mut on_event =
        |_: &mut Client, event: ClientEvent<'_>, _: &mut SendBuf, _: Instant| match event {
            ClientEvent::Connected => {
                assert_eq!(core::mem::replace(&mut state, "connected"), "closed");
                expected.borrow_mut().clear();
            }
            ClientEvent::Open(_) => {
                assert_eq!(core::mem::replace(&mut state, "open"), "connected");
            }
            ClientEvent::Text(text) => {
                assert_eq!(
                    (state, expected.borrow_mut().pop_front().as_deref()),
                    ("open", Some(text))
                );
            }
            ClientEvent::Error(_) => {
                assert_ne!(core::mem::replace(&mut state, "failed"), "open");
            }
            ClientEvent::Closed { why, .. } => {
                let before = core::mem::replace(&mut state, "closed");
                let cancelled = why == ClientClosed::Cancelled;
                assert!(matches!(before, "failed" | "open") || cancelled, "{before}: {why}");
                if why.is_clean() {
                    assert!(expected.borrow().is_empty(), "a message is lost");
                }
            }
            _ => {}
        };
    world.work(&mut on_event);
    let mut steps = 0;
    while world.now < Instant::EPOCH + MONTH {
        assert!(
            world.client.poll_timeout().is_some() || world.client.status() == ClientStatus::Idle
        );
        assert!(world.rx.heap_size() <= 1 << 17);
        assert!(world.step());
        steps += 1;
        assert!(steps < 1_000_000, "time stands still at {:?}", world.now);
        if world.wake.is_some_and(|at| at <= world.now) {
            let (now, chance) = (world.now, &mut world.chance);
            world.wake = Some(now + chance.millis(10_000_000));
            let client = &mut world.client;
            match chance.below(40) {
                0 => client.close(1000.into(), "", now, &mut world.tx).unwrap(),
                1 => client.cancel(),
                _ if client.status() == ClientStatus::Idle => {
                    assert!(client.reconnect(chance.millis(10_000_000), now));
                }
                _ if client.status() == ClientStatus::Open => {
                    serial += 1;
                    let text = format!("{serial}-").repeat(chance.magnitude(300) as usize);
                    client.send_text(&text, &mut world.tx).unwrap();
                    expected.borrow_mut().push_back(text);
                }
                _ => {}
            }
        }
        world.work(&mut on_event);
    }
    world.log
}

const MONTH: Duration = Duration::from_secs(30 * 86_400);

#[test]
fn a_client_comes_back_from_everything_for_months() {
    let lives: Vec<_> = (0..6).map(a_long_life).collect();
    let count = |what: &str| lives.iter().flatten().filter(|line| line.contains(what)).count();
    let ways = [
        "answered 503",
        "no answer in time",
        "ended before the answer",
        "not up in time",
        "nothing was heard in time",
        "ended without a Close",
        "closed: given up",
        "closed with 1000",
        "Text(",
    ];
    for way in ways {
        println!("{way}: {}", count(way));
        assert!(count(way) >= 6, "{way}");
    }
    assert!(count("closed") >= 1000);
    assert_eq!(a_long_life(3), lives[3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_message_comes_back_over_a_link_that_splits_and_delays(seed: u64) {
        // The same run twice, byte for byte.
        prop_assert_eq!(a_whole_conversation(seed), a_whole_conversation(seed));
    }

    #[test]
    fn links_that_break_leave_no_half_message_and_every_attempt_ends_once(seed: u64) {
        prop_assert_eq!(a_life_of_cuts(seed), a_life_of_cuts(seed));
    }
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_pong_timeout() {
    let mut world = World::new(1, false);
    let mut nothing = |_: &mut Client, _: ClientEvent<'_>, _: &mut SendBuf, _: Instant| {};
    world.work(&mut nothing);
    while !world.log.iter().any(|line| line.contains("open")) {
        assert!(world.step());
        world.work(&mut nothing);
    }
    let opened = world.now;
    // From here on everything is swallowed, and no end of the stream is told.
    world.link = None;
    while !world.log.last().unwrap().contains("closed") {
        assert!(world.step());
        world.work(&mut nothing);
    }
    assert_eq!(world.now - opened, Duration::from_millis(700 + 400));
    assert!(world.log.last().unwrap().contains("nothing was heard in time"));
}
