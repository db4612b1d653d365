//! Every machine of tidewire in a program without `std`, operating system or unwinding.
//!
//! `run` builds it and looks at what was linked.
#![no_std]

use core::panic::PanicInfo;
use core::time::Duration;
use static_alloc::Bump;
use tidewire::http::{self, BodyLength, NO_FIELDS, ServerEvent, Status};
use tidewire::sse::{self, Decoded, SourceRequest};
use tidewire::url::Url;
use tidewire::ws::handshake::{Request, ServerOptions};
use tidewire::ws::{self, Negotiated};
use tidewire::{Dialer, Instant, RecvBuf, Seed, SendBuf, Transport};

/// Memory for everything that the machines allocate. It is never given back: the shortest allocator
/// that can be made without `unsafe`.
#[global_allocator]
static HEAP: Bump<[u8; 1 << 20]> = Bump::uninit();

/// Keeps the functions, since an exported name would need `unsafe`.
#[used]
static ENTRIES: [fn(&[u8], Instant, &mut SendBuf) -> usize; 8] = [
    http_server,
    http_client,
    ws_server,
    ws_client,
    ws_reconnecting,
    event_server,
    event_stream,
    event_source,
];

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn received(bytes: &[u8]) -> RecvBuf {
    let mut rx = RecvBuf::with_limit(64 * 1024);
    let taken = rx.push(bytes);
    if taken < bytes.len() {
        rx.finish();
    }
    rx
}

fn http_server(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let mut rx = received(bytes);
    let mut server = http::Server::new(http::ServerConfig::default(), now);
    let mut failed = 0;
    while let Some(event) = server.poll_event(now, &mut rx, tx) {
        if let ServerEvent::End(_) = event {
            let answered = server
                .respond(Status::OK, NO_FIELDS, BodyLength::Known(2), now, tx)
                .and_then(|()| server.send_data(b"ok", tx))
                .and_then(|()| server.finish(tx));
            failed += usize::from(answered.is_err());
        }
    }
    server.handle_timeout(now, tx);
    failed
}

fn http_client(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let mut rx = received(bytes);
    let mut client = http::Client::new(http::ClientConfig::default(), now);
    let fields = [("Host", "example.com")];
    let asked = client.request("GET", "/", fields, BodyLength::EMPTY, now, tx);
    let mut events = usize::from(asked.is_ok());
    while client.poll_event(now, &mut rx, tx).is_some() {
        events += 1;
    }
    client.handle_timeout(now, tx);
    events
}

/// From the opening handshake on, in the same buffers.
fn ws_server(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let mut rx = received(bytes);
    let mut server = http::Server::new(http::ServerConfig::default(), now);
    let mut negotiated = None;
    while let Some(event) = server.poll_event(now, &mut rx, tx) {
        let ServerEvent::Request(head) = event else { continue };
        let Ok(accepted) = ws::handshake::accept(&head, &ServerOptions::default()) else {
            continue;
        };
        if server.upgrade(accepted.fields(), tx).is_ok() {
            negotiated = Some(accepted.negotiated());
        }
    }
    let Some(negotiated) = negotiated else { return 1 };
    echo(ws::Connection::server(ws::Config::default(), negotiated, now), &mut rx, now, tx)
}

fn ws_client(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let (config, seed) = (ws::Config::default(), Seed::new([4; 32]));
    let conn = ws::Connection::client(config, Negotiated::default(), &seed, now);
    echo(conn, &mut received(bytes), now, tx)
}

fn echo(mut conn: ws::Connection, rx: &mut RecvBuf, now: Instant, tx: &mut SendBuf) -> usize {
    let mut failed = 0;
    while let Some(event) = conn.poll_event(now, rx, tx) {
        let sent = match event {
            ws::Event::Text(text) => conn.send_text(text, tx),
            ws::Event::Binary(bytes) => conn.send_binary(bytes, tx),
            _ => Ok(()),
        };
        failed += usize::from(sent.is_err());
    }
    conn.handle_timeout(now, tx);
    failed
}

fn ws_reconnecting(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let Ok(request) = Request::new("ws://example.com/chat") else { return 0 };
    let (config, seed) = (ws::ClientConfig::default(), Seed::new([6; 32]));
    let mut client = ws::Client::new(request, config, &seed, now);
    let mut failed = usize::from(client.send_text("hello", tx).is_err());
    failed += dial(&mut client, bytes, now, tx);
    failed + usize::from(!client.reconnect(Duration::from_secs(1), now))
}

/// A subscriber to a stream of events.
fn event_server(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let mut rx = received(bytes);
    let mut server = http::Server::new(http::ServerConfig::default(), now);
    let mut failed = 0;
    while let Some(event) = server.poll_event(now, &mut rx, tx) {
        let ServerEvent::Request(head) = event else { continue };
        if !http::accepts_explicitly(head.headers, sse::MEDIA_TYPE) {
            continue;
        }
        let hello = sse::Event::data("hello").event("message").id("1");
        let opened =
            sse::Stream::open(&mut server, NO_FIELDS, sse::StreamConfig::default(), now, tx);
        failed += opened.map_or(1, |mut stream| {
            usize::from(stream.send(&hello, now, &mut server, tx).is_err())
                + usize::from(stream.finish(&mut server, tx).is_err())
        });
    }
    failed
}

/// Sends each event of a stream on.
fn event_stream(bytes: &[u8], _now: Instant, tx: &mut SendBuf) -> usize {
    let mut rx = received(bytes);
    rx.keep(rx.raw().len());
    let mut decoder = sse::Decoder::new(sse::Limits::default());
    let mut failed = 0;
    while let Ok(Some(decoded)) = decoder.poll(&mut rx) {
        if let Decoded::Event(event) = decoded {
            let event = sse::Event::data(event.data).event(event.event_type);
            failed += usize::from(event.encode(tx).is_err());
        }
    }
    failed
}

fn event_source(bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let Ok(url) = Url::parse("http://example.com/events") else { return 0 };
    let (config, seed) = (sse::SourceConfig::default(), Seed::new([5; 32]));
    sse::EventSource::new(SourceRequest::new(url), config, &seed, now)
        .map_or(0, |mut source| dial(&mut source, bytes, now, tx))
}

/// One connection of a machine that makes its own.
fn dial(machine: &mut impl Dialer, bytes: &[u8], now: Instant, tx: &mut SendBuf) -> usize {
    let mut rx = received(bytes);
    if machine.transport() == Transport::Dial {
        machine.connected(now, tx);
    }
    let mut events = machine.target().host().len();
    while machine.advance(now, &mut rx, tx) {
        events += usize::from(machine.event(now, &mut rx, tx).is_some());
    }
    machine.handle_timeout(now, tx);
    events
}
