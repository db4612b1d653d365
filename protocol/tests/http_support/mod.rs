//! Drives the machines and writes down what they tell.
#![allow(dead_code, reason = "each test file uses a part of it")]

use tidewire::http::*;
use tidewire::{Instant, RecvBuf, SendBuf};

pub(crate) const NOW: Instant = Instant::EPOCH;

/// An event that owns what was lent. Neighbouring `Data` are merged, since splits may differ there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Request(String, String, Version, Lines),
    Informational(Version, u16, Vec<u8>, Lines),
    Response(Version, u16, Vec<u8>, Lines),
    Data(Vec<u8>),
    End(Lines),
    Closed(Closed),
}

pub(crate) type Lines = Vec<(String, Vec<u8>)>;

pub(crate) fn lines(headers: Headers<'_>) -> Lines {
    headers.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What a run has shown to the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) told: Vec<Told>,
    pub(crate) sent: Vec<u8>,
    /// What is left to another protocol.
    pub(crate) rest: Option<Vec<u8>>,
}

impl Run {
    pub(crate) fn tell(&mut self, told: Told) {
        match (self.told.last_mut(), told) {
            (Some(Told::Data(before)), Told::Data(data)) => before.extend(data),
            (_, told) => self.told.push(told),
        }
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        match self.told.last() {
            Some(Told::Closed(why)) => Some(*why),
            _ => None,
        }
    }

    pub(crate) fn error(&self) -> Option<ErrorKind> {
        match self.closed() {
            Some(Closed::Protocol(error)) => Some(error.kind),
            _ => None,
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.told.iter().filter(|told| matches!(told, Told::Request(..))).count()
    }
}

/// Which buffer limit, and whether the stream ends behind the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) server: ServerConfig,
    pub(crate) client: ClientConfig,
    pub(crate) rx_limit: usize,
    pub(crate) eof: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            client: ClientConfig::default(),
            rx_limit: 64 * 1024,
            eof: false,
        }
    }
}

/// Feeds a server piece by piece; each request is answered with `ok` when it is over.
pub(crate) fn serve<'a>(setup: &Setup, pieces: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let mut run = Run::default();
    let mut server = Server::new(setup.server, NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(setup.rx_limit), SendBuf::new());
    let mut poll = |rx: &mut RecvBuf| {
        while let Some(event) = server.poll_event(NOW, rx, &mut tx) {
            match event {
                ServerEvent::Request(head) => run.tell(Told::Request(
                    head.method.into(),
                    head.target.into(),
                    head.version,
                    lines(head.headers),
                )),
                ServerEvent::Data(data) => run.tell(Told::Data(data.into())),
                ServerEvent::End(trailers) => {
                    run.tell(Told::End(lines(trailers)));
                    if server.is_response_due() {
                        let length = BodyLength::Known(2);
                        match server.respond(Status::OK, NO_FIELDS, length, NOW, &mut tx) {
                            // CONNECT.
                            Err(Misuse::BadStatus) => {
                                server.upgrade(NO_FIELDS, &mut tx).unwrap();
                            }
                            answered => {
                                answered.unwrap();
                                server.send_data(b"ok", &mut tx).unwrap();
                                server.finish(&mut tx).unwrap();
                            }
                        }
                    }
                }
                ServerEvent::Closed(why) => run.tell(Told::Closed(why)),
                other => panic!("an event that is not known: {other:?}"),
            }
        }
    };
    feed(&mut rx, pieces, setup.eof, &mut poll);
    run.sent = tx.slices().collect::<Vec<_>>().concat();
    run.rest = server.is_upgraded().then(|| rx.raw().into());
    if run.closed().is_some() {
        let _ = rx.push(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(server.poll_event(NOW, &mut rx, &mut tx), None, "nothing follows the end");
        assert_eq!(tx.len(), run.sent.len(), "nothing is answered behind the end");
    }
    run
}

/// Feeds a client that has sent `method /`, with `Upgrade` in it, piece by piece.
pub(crate) fn ask<'a>(
    setup: &Setup,
    method: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Run {
    ask_with(setup, &[method], &[("Host", "h"), ("Upgrade", "x")], pieces)
}

/// Feeds a client that has sent a request with each of `methods`, piece by piece.
pub(crate) fn ask_with<'a>(
    setup: &Setup,
    methods: &[&str],
    fields: &[(&str, &str)],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Run {
    let mut run = Run::default();
    let mut client = Client::new(setup.client, NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(setup.rx_limit), SendBuf::new());
    for &method in methods {
        let target = if method == "CONNECT" { "h:80" } else { "/" };
        let fields = fields.iter().copied();
        client.request(method, target, fields, BodyLength::EMPTY, NOW, &mut tx).unwrap();
    }
    let mut poll = |rx: &mut RecvBuf| {
        while let Some(event) = client.poll_event(NOW, rx, &mut tx) {
            run.tell(match event {
                ClientEvent::Informational(head) => Told::Informational(
                    head.version,
                    head.status.code(),
                    head.reason.into(),
                    lines(head.headers),
                ),
                ClientEvent::Response(head) => Told::Response(
                    head.version,
                    head.status.code(),
                    head.reason.into(),
                    lines(head.headers),
                ),
                ClientEvent::Data(data) => Told::Data(data.into()),
                ClientEvent::End(trailers) => Told::End(lines(trailers)),
                ClientEvent::Closed(why) => Told::Closed(why),
                other => panic!("an event that no request here asks for: {other:?}"),
            });
        }
    };
    feed(&mut rx, pieces, setup.eof, &mut poll);
    run.sent = tx.slices().collect::<Vec<_>>().concat();
    run.rest = client.is_upgraded().then(|| rx.raw().into());
    if run.closed().is_some() {
        let _ = rx.push(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.poll_event(NOW, &mut rx, &mut tx), None, "nothing follows the end");
    }
    run
}

fn feed<'a>(
    rx: &mut RecvBuf,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    eof: bool,
    poll: &mut impl FnMut(&mut RecvBuf),
) {
    poll(rx);
    for mut piece in pieces {
        while !piece.is_empty() {
            let took = rx.push(piece);
            piece = &piece[took..];
            poll(rx);
            assert!(rx.heap_size() <= rx.limit() + 16 * 1024, "memory stays below the limits");
            if took == 0 {
                return;
            }
        }
    }
    if eof {
        rx.finish();
        poll(rx);
    }
}

/// Runs `input` whole, byte by byte and at every two-way split: all must show the same. Returns it.
pub(crate) fn every_way(input: &[u8], run: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> Run) -> Run {
    let whole = run(&mut [input].into_iter());
    assert_eq!(run(&mut input.chunks(1)), whole, "byte by byte: {}", input.escape_ascii());
    // A split far into a long input shows nothing new.
    for at in 1..input.len().min(600) {
        let (a, b) = input.split_at(at);
        assert_eq!(run(&mut [a, b].into_iter()), whole, "split at {at}: {}", input.escape_ascii());
    }
    whole
}
