//! A whole exchange on a kept connection, and the head of a response by itself.

use super::heads;
use crate::measure::Contestant;
use std::hint::black_box;
use tidewire::http::{BodyLength, NO_FIELDS, Server, ServerConfig, ServerEvent, Status};
use tidewire::{Instant, RecvBuf, SendBuf};

const NOW: Instant = Instant::EPOCH;
const FIELDS: [(&str, &str); 5] = [
    ("Date", "Sat, 21 Nov 2026 12:00:00 GMT"),
    ("Server", "tide/1.0"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Request-Id", "5f2b18c3a7"),
];

pub(super) fn contestants(request: Vec<u8>) -> Vec<Contestant<'static>> {
    vec![tidewire(request.clone()), http_net(request)]
}

/// The head of a response by itself.
pub(super) fn respond() -> Vec<Contestant<'static>> {
    vec![respond_once(), copy_once()]
}

fn tidewire(request: Vec<u8>) -> Contestant<'static> {
    let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
    rx.spare(16 * 1024);
    let mut server = Server::new(ServerConfig::default(), NOW);
    Contestant::new("tidewire", move || {
        assert_eq!(rx.push(black_box(&request)), request.len());
        while let Some(event) = server.poll_event(NOW, &mut rx, &mut tx) {
            if let ServerEvent::Request(head) = event {
                black_box(head);
                server.respond(Status::OK, NO_FIELDS, BodyLength::Known(2), NOW, &mut tx).unwrap();
                server.send_data(b"ok", &mut tx).unwrap();
                server.finish(&mut tx).unwrap();
            }
        }
        black_box(tx.chunk());
        tx.consume(tx.len());
    })
}

fn http_net(request: Vec<u8>) -> Contestant<'static> {
    let mut server = http_net::ServerConn::new();
    let mut out = Vec::new();
    let response = http_net::Response::new(200).body(&b"ok"[..]);
    Contestant::new("http-net", move || {
        assert_eq!(server.feed(black_box(&request)), request.len());
        loop {
            match server.poll().unwrap() {
                http_net::ServerEvent::Request(head) => {
                    black_box(head);
                }
                http_net::ServerEvent::RequestEnd => server.respond(&response, &mut out).unwrap(),
                http_net::ServerEvent::NeedInput => break,
                _ => {}
            }
        }
        black_box(&out);
        out.clear();
    })
}

/// A server that a request waits in.
fn asked() -> Server {
    let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
    let mut server = Server::new(ServerConfig::default(), NOW);
    let request = heads::small_request();
    assert_eq!(rx.push(&request), request.len());
    assert!(matches!(server.poll_event(NOW, &mut rx, &mut tx), Some(ServerEvent::Request(_))));
    server
}

fn respond_once() -> Contestant<'static> {
    let (server, mut tx, body) = (asked(), SendBuf::new(), [7; 1024]);
    Contestant::new("tidewire", move || {
        let mut server = black_box(&server).clone();
        server.respond(Status::OK, FIELDS, BodyLength::Known(1024), NOW, &mut tx).unwrap();
        server.send_data(&body, &mut tx).unwrap();
        server.finish(&mut tx).unwrap();
        black_box(tx.chunk());
        tx.consume(tx.len());
    })
}

/// What of it is the harness: a copy of the machine to respond with.
fn copy_once() -> Contestant<'static> {
    let server = asked();
    Contestant::new("the copy of the machine in it", move || {
        black_box(black_box(&server).clone());
    })
}
