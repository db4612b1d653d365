//! In steady state the machines do not touch the allocator, and an idle one holds next to nothing.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use tidewire::http::{self, BodyLength, ServerEvent, Status};
use tidewire::ws::{self, Event, Negotiated};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, sse};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Instant = Instant::EPOCH;

/// One test, because the counters count the whole process and other tests would run beside it.
#[test]
fn the_allocator_is_left_alone() {
    no_allocation_for_a_websocket_message();
    no_allocation_for_a_message_that_comes_in_pieces();
    no_allocation_for_an_http_exchange();
    no_allocation_for_an_event_of_an_event_stream();
    an_idle_websocket_connection_holds_less_than_a_kibibyte();
    a_topic_gives_back_what_a_slow_subscriber_cost();
}

/// What `work`, done a thousand times, asks of the allocator once it has been done a few times:
/// `(calls, bytes held)`. The least of some measurements, for the harness's own thread may allocate
/// during one.
fn steady(mut work: impl FnMut()) -> (usize, isize) {
    for _ in 0..100 {
        work();
    }
    let measure = |_| {
        let region = Region::new(ALLOCATOR);
        for _ in 0..1000 {
            work();
        }
        let change = region.change();
        let calls = change.allocations + change.reallocations;
        (calls, change.bytes_allocated as isize - change.bytes_deallocated as isize)
    };
    (0..5).map(measure).min().expect("five measurements")
}

/// Moves what waits in `tx` into `rx`.
fn deliver(tx: &mut SendBuf, rx: &mut RecvBuf) {
    while !tx.is_empty() {
        let took = rx.push(tx.chunk());
        assert!(took > 0, "the receive buffer is full");
        tx.consume(took);
    }
}

struct Pair {
    client: ws::Connection,
    server: ws::Connection,
    up: (SendBuf, RecvBuf),
    down: (SendBuf, RecvBuf),
}

impl Pair {
    fn new() -> Self {
        let config = ws::Config::default();
        let buffers = || (SendBuf::new(), RecvBuf::with_limit(1 << 20));
        Self {
            client: ws::Connection::client(config, Negotiated::default(), &Seed::new([1; 32]), NOW),
            server: ws::Connection::server(config, Negotiated::default(), NOW),
            up: buffers(),
            down: buffers(),
        }
    }

    /// A text, a binary message and a ping go up; the messages and a pong come down.
    fn round(&mut self, payload: &str) {
        self.client.send_text(payload, &mut self.up.0).unwrap();
        self.client.send_binary(payload.as_bytes(), &mut self.up.0).unwrap();
        self.client.send_ping(b"?", &mut self.up.0).unwrap();
        deliver(&mut self.up.0, &mut self.up.1);
        let mut seen = 0;
        while let Some(event) = self.server.poll_event(NOW, &mut self.up.1, &mut self.down.0) {
            match event {
                Event::Text(text) => self.server.send_text(text, &mut self.down.0).unwrap(),
                Event::Binary(data) => self.server.send_binary(data, &mut self.down.0).unwrap(),
                Event::Ping(_) => {}
                other => panic!("{other:?}"),
            }
            seen += 1;
        }
        assert_eq!(seen, 3);
        deliver(&mut self.down.0, &mut self.down.1);
        let mut seen = 0;
        while let Some(event) = self.client.poll_event(NOW, &mut self.down.1, &mut self.up.0) {
            match event {
                Event::Text(text) => assert_eq!(text, payload),
                Event::Binary(data) => assert_eq!(data, payload.as_bytes()),
                Event::Pong(pong) => assert_eq!(pong, b"?"),
                other => panic!("{other:?}"),
            }
            seen += 1;
        }
        assert_eq!(seen, 3);
    }
}

fn no_allocation_for_a_websocket_message() {
    let mut pair = Pair::new();
    let payload = "tide ".repeat(300);
    assert_eq!(steady(|| pair.round(&payload)), (0, 0));
}

fn no_allocation_for_a_message_that_comes_in_pieces() {
    let mut pair = Pair::new();
    let payload = "tide ".repeat(300);
    let work = || {
        pair.client.send_text(&payload, &mut pair.up.0).unwrap();
        let mut texts = 0;
        while !pair.up.0.is_empty() {
            let n = pair.up.0.chunk().len().min(100);
            assert_eq!(pair.up.1.push(&pair.up.0.chunk()[..n]), n);
            pair.up.0.consume(n);
            while let Some(event) = pair.server.poll_event(NOW, &mut pair.up.1, &mut pair.down.0) {
                assert_eq!(event, Event::Text(&payload));
                texts += 1;
            }
        }
        assert_eq!(texts, 1);
    };
    assert_eq!(steady(work), (0, 0));
}

fn no_allocation_for_an_http_exchange() {
    let mut server = http::Server::new(http::ServerConfig::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(64 << 10), SendBuf::new());
    let work = || {
        let request = b"POST /path?query HTTP/1.1\r\nHost: example.com\r\nAccept: text/*;q=0.5\r\n\
            Content-Type: text/html; charset=\"utf-8\"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        assert_eq!(rx.push(request), request.len());
        let mut body = 0;
        while let Some(event) = server.poll_event(NOW, &mut rx, &mut tx) {
            match event {
                ServerEvent::Request(head) => {
                    assert_eq!((head.path(), head.authority()), ("/path", Some("example.com")));
                    assert_eq!(http::negotiate(head.headers, &["a/b", "text/html"]), Some(1));
                    let content_type = head.headers.members("content-type").next().unwrap();
                    assert_eq!(content_type.parameter("charset").unwrap(), "utf-8");
                }
                ServerEvent::Data(data) => body += data.len(),
                ServerEvent::End(_) => {
                    let fields = [("Content-Type", "text/plain")];
                    let length = BodyLength::Known(2);
                    server.respond(Status::OK, fields, length, NOW, &mut tx).unwrap();
                    server.send_data(b"ok", &mut tx).unwrap();
                    server.finish(&mut tx).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(body, 11);
        assert!(tx.chunk().ends_with(b"ok"));
        tx.consume(tx.len());
    };
    assert_eq!(steady(work), (0, 0));
}

fn no_allocation_for_an_event_of_an_event_stream() {
    let mut decoder = sse::Decoder::new(sse::Limits::default());
    let (mut rx, mut tx) = (RecvBuf::with_limit(64 << 10), SendBuf::new());
    let work = || {
        let event = sse::Event::data("one\ntwo").event("message").id("1");
        event.encode(&mut tx).unwrap();
        deliver(&mut tx, &mut rx);
        rx.keep(rx.raw().len());
        let mut events = 0;
        while let Some(decoded) = decoder.poll(&mut rx).unwrap() {
            let sse::Decoded::Event(event) = decoded else { panic!("{decoded:?}") };
            assert_eq!((event.data, event.last_event_id), ("one\ntwo", "1"));
            events += 1;
        }
        assert_eq!(events, 1);
    };
    assert_eq!(steady(work), (0, 0));
}

fn an_idle_websocket_connection_holds_less_than_a_kibibyte() {
    let payload = "x".repeat(200_000);
    let region = Region::new(ALLOCATOR);
    let mut pair = Pair::new();
    pair.round(&payload);
    for (tx, rx) in [&mut pair.up, &mut pair.down] {
        tx.shrink();
        rx.shrink();
    }
    let change = region.change();
    let held = change.bytes_allocated as isize - change.bytes_deallocated as isize
        + change.bytes_reallocated;
    assert!(held < 1024, "two connections hold {held} bytes of heap");
    assert!(pair.client.is_open() && pair.server.is_open());
}

fn a_topic_gives_back_what_a_slow_subscriber_cost() {
    let config = sse::TopicConfig { replay: false, ..Default::default() };
    let event = sse::Event::data("x").to_encoded().unwrap();
    let held = |_| {
        let region = Region::new(ALLOCATOR);
        let mut topic = sse::Topic::new(config);
        let mut cursor = topic.subscribe(None);
        for _ in 0..1000 {
            topic.publish(event.clone()).unwrap();
        }
        while topic.next(&mut cursor).is_some() {}
        let change = region.change();
        change.bytes_allocated as isize - change.bytes_deallocated as isize
    };
    let held = (0..5).map(held).min().expect("five measurements");
    assert!(held < 1024, "{held} bytes");
}
