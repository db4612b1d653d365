//! A client that reconnects, in virtual time, and the server's side of what it says.

#![allow(dead_code, reason = "each test file uses a part of it")]

use core::time::Duration;
use tidewire::http::{Server, ServerConfig, ServerEvent};
use tidewire::ws::handshake::{Request, ServerOptions, accept};
use tidewire::ws::{Client, ClientConfig, ClientEvent, Config, Connection, Event};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_epoch(Duration::from_millis(millis))
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A client with its buffers and the time.
pub(crate) struct End {
    pub(crate) client: Client,
    pub(crate) rx: RecvBuf,
    pub(crate) tx: SendBuf,
    pub(crate) now: Instant,
}

impl End {
    pub(crate) fn new(config: ClientConfig) -> Self {
        let request = Request::new("ws://h/chat").unwrap().field("X-Mark", "kept").unwrap();
        Self {
            client: Client::new(request, config, &Seed::new([5; 32]), at(0)),
            rx: RecvBuf::with_limit(1 << 16),
            tx: SendBuf::new(),
            now: at(0),
        }
    }

    /// Every event, as a line of text.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.client.poll_event(self.now, &mut self.rx, &mut self.tx) {
            events.push(match event {
                ClientEvent::Attempt => "attempt".into(),
                ClientEvent::Connected => "connected".into(),
                ClientEvent::Open(head) => format!("open {}", head.status.code()),
                ClientEvent::Text(text) => format!("text {text}"),
                ClientEvent::Dropped { messages } => format!("dropped {messages}"),
                ClientEvent::Drained => "drained".into(),
                ClientEvent::Error(error) => format!("error {error}"),
                ClientEvent::Closed { why, reason } => {
                    format!("closed {} {reason:?} {}", why.code(), why.is_clean())
                }
                other => format!("{other:?}"),
            });
        }
        events
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.now = now;
        self.client.handle_timeout(now, &mut self.tx);
    }

    /// The driver gives it a transport.
    pub(crate) fn connect(&mut self) {
        assert_eq!(self.client.transport(), Transport::Dial);
        self.rx.clear();
        self.tx.clear();
        self.client.connected(self.now, &mut self.tx);
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<String> {
        assert_eq!(self.rx.push(bytes), bytes.len());
        self.events()
    }

    pub(crate) fn sent(&mut self) -> Vec<u8> {
        let sent = self.tx.slices().collect::<Vec<_>>().concat();
        self.tx.clear();
        sent
    }

    /// The right answer to what it sent, and the request.
    pub(crate) fn answer(&mut self) -> (Vec<u8>, Vec<u8>) {
        let request = self.sent();
        let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
        assert_eq!(rx.push(&request), request.len());
        let mut server = Server::new(ServerConfig::default(), self.now);
        while let Some(event) = server.poll_event(self.now, &mut rx, &mut tx) {
            let ServerEvent::Request(head) = event else { panic!() };
            let acceptance = accept(&head, &ServerOptions::default()).unwrap();
            server.upgrade(acceptance.fields(), &mut tx).unwrap();
        }
        (tx.chunk().to_vec(), request)
    }

    /// The opening handshake, up to the event of it.
    pub(crate) fn open(&mut self) {
        self.connect();
        let (answer, _) = self.answer();
        assert_eq!(self.receive(&answer), ["connected", "open 101"]);
    }
}

/// What a server reads in `bytes` of a client.
pub(crate) fn read(bytes: &[u8]) -> Vec<String> {
    let mut server = Connection::server(Config::default(), Default::default(), at(0));
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
    assert_eq!(rx.push(bytes), bytes.len());
    let mut read = Vec::new();
    while let Some(event) = server.poll_event(at(0), &mut rx, &mut tx) {
        read.push(match event {
            Event::Text(text) => text.into(),
            other => format!("{other:?}"),
        });
    }
    read
}
