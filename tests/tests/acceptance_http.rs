//! The HTTP server on raw sockets: who asks for an event stream, and what anybody else gets.

use std::panic::resume_unwind;
use std::time::Duration;
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::ws::handshake::ServerOptions;
use tidewire_runtime::ws::{Config, Event, SendError};
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, sse};
use tidewire_tests::frames::{TEXT, masked};
use tidewire_tests::net::{RawPeer, on_thread, serve};
use tidewire_tests::on_every_runtime;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_AND_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// An event stream for who asks for one, `ok` for anybody else.
async fn answer<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    if exchange.wants_event_stream() {
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        stream.send(&sse::Event::data("hello")).await?;
        Ok(stream.finish().await?)
    } else {
        Ok(exchange.respond("ok").await?)
    }
}

// Acceptance group 2. RFC 9110, 12.5.1.
async fn accept_is_read_as_a_list_of_media_types<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, answer).await;
    let asks = [
        "Accept: text/event-stream\r\n",
        "Accept: text/event-stream, */*\r\n",
        "Accept: text/html, text/event-stream\r\n",
        "accept: TEXT/EVENT-STREAM;q=0.9\r\n",
        "Accept: text/html\r\nAccept: text/event-stream\r\n",
        "Accept: text/html;q=0.5 ,\ttext/event-stream ; q=0.001\r\n",
    ];
    let asks_not = [
        "",
        "Accept:\r\n",
        "Accept: */*\r\n",
        "Accept: text/*\r\n",
        "Accept: text/event-stream;q=0\r\n",
        "Accept: text/event-stream; Q=0.000\r\n",
        "Accept: text/event-streams\r\n",
        "Accept: text/html;title=\"text/event-stream\"\r\n",
    ];
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        for accept in asks {
            peer.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{accept}\r\n"));
            let head = peer.read_head();
            assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{accept}: {head}");
            assert_eq!(peer.read_until("0\r\n\r\n"), b"d\r\ndata: hello\n\n\r\n0\r\n\r\n");
        }
        for accept in asks_not {
            peer.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{accept}\r\n"));
            assert_eq!(peer.read_exact(OK.len()), OK, "{accept}");
        }
    })
    .await;
}

// Acceptance group 3. RFC 9112, 9.3.
async fn anybody_else_gets_ok_and_may_ask_again<R: SendRuntime>(runtime: R) {
    let (address, server) = serve(&runtime, answer).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        for _ in 0..3 {
            peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(peer.read_exact(OK.len()), OK);
        }
        assert!(peer.is_silent_for(Duration::from_millis(20)));
        assert_eq!(server.connections(), 1);
    })
    .await;
}

// Acceptance group 3. RFC 9110, 9.3.2.
async fn the_answer_to_head_has_a_length_and_no_body<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, answer).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(peer.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(peer.read_exact(OK.len()), OK);
    })
    .await;
}

// Acceptance group 3. RFC 9112, 9.3 and 9.6.
async fn a_client_that_wants_one_answer_gets_one_and_then_the_end<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, answer).await;
    let requests = [
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ];
    on_thread(move || {
        for request in requests {
            let mut peer = RawPeer::connect(address);
            peer.send(request);
            assert_eq!(peer.read_to_end(), OK_AND_CLOSE, "{request}");
        }
    })
    .await;
}

// Acceptance group 3. RFC 9112, 9.3 and appendix C.2.2.
async fn a_client_of_http_1_0_that_asks_for_it_keeps_its_connection<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, answer).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        for _ in 0..2 {
            peer.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            assert!(peer.read_head().contains("\r\nConnection: keep-alive\r\n"));
            assert_eq!(peer.read_exact(2), b"ok");
        }
    })
    .await;
}

// Acceptance group 3. RFC 9112, 6.3: HTTP/1.0 knows no chunks.
async fn an_event_stream_over_http_1_0_ends_with_the_connection<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, answer).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n");
        let head = peer.read_head();
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        assert!(!head.contains("Transfer-Encoding") && !head.contains("Content-Length"), "{head}");
        assert_eq!(peer.read_to_end(), b"data: hello\n\n");
    })
    .await;
}

// Acceptance group 6. RFC 9112, 9.3.2.
async fn a_second_request_is_never_answered_into_the_stream<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        if !exchange.wants_event_stream() {
            return Ok(exchange.respond("ok").await?);
        }
        let mut stream = exchange.event_stream(NO_FIELDS).await?;
        for _ in 0..5 {
            stream.wait(Duration::from_millis(20)).await?;
            stream.send(&sse::Event::data("hello")).await?;
        }
        Ok(stream.finish().await?)
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(
            "GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n\
             GET /in-the-same-segment HTTP/1.1\r\nHost: h\r\n\r\n",
        );
        peer.read_head();
        let event = b"d\r\ndata: hello\n\n\r\n";
        assert_eq!(peer.read_exact(event.len()), event);
        peer.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
        for _ in 1..5 {
            assert_eq!(peer.read_exact(event.len()), event);
        }
        assert_eq!(peer.read_exact(5), b"0\r\n\r\n");
        // Now it is their turn.
        assert_eq!(peer.read_exact(OK.len()), OK);
        assert_eq!(peer.read_exact(OK.len()), OK);
    })
    .await;
}

// Acceptance group 23.
async fn a_handler_that_fails_harms_no_other_connection<R: SendRuntime>(runtime: R) {
    /// Not `panic!`, which would print a message for each.
    fn panic() -> ! {
        resume_unwind(Box::new("a test of panics"))
    }
    let (address, server) = serve(&runtime, |mut exchange: Exchange<R>| {
        if exchange.path() == "/panic-at-once" {
            panic();
        }
        async move {
            match exchange.path() {
                "/panic" => panic(),
                "/error" => Err("an error".into()),
                "/forgets" => Ok(()),
                "/ticks" => {
                    let mut stream = exchange.event_stream(NO_FIELDS).await?;
                    loop {
                        stream.send(&sse::Event::data("tick")).await?;
                        stream.wait(Duration::from_millis(5)).await?;
                    }
                }
                "/panic-in-stream" => {
                    let mut stream = exchange.event_stream(NO_FIELDS).await?;
                    stream.send(&sse::Event::data("last")).await?;
                    panic()
                }
                _ => Ok(exchange.respond("ok").await?),
            }
        }
    })
    .await;
    on_thread(move || {
        let tick = b"c\r\ndata: tick\n\n\r\n";
        let mut bystander = RawPeer::connect(address);
        bystander.send("GET /ticks HTTP/1.1\r\nHost: h\r\n\r\n");
        bystander.read_head();
        for _ in 0..10 {
            for path in ["/panic-at-once", "/panic", "/error", "/forgets"] {
                let mut peer = RawPeer::connect(address);
                peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
                let head = peer.read_head();
                assert!(head.starts_with("HTTP/1.1 500 "), "{path}: {head}");
                assert!(head.contains("\r\nContent-Length: 0\r\n"), "{path}: {head}");
                // The connection itself is in order.
                peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                assert_eq!(peer.read_exact(OK.len()), OK, "after {path}");
                assert_eq!(bystander.read_exact(tick.len()), tick);
            }
            // RFC 9112, 8: a stream that broke off can be told from one that has ended.
            let mut peer = RawPeer::connect(address);
            peer.send("GET /panic-in-stream HTTP/1.1\r\nHost: h\r\n\r\n");
            peer.read_head();
            assert_eq!(peer.read_to_end(), b"c\r\ndata: last\n\n\r\n");
            assert_eq!(bystander.read_exact(tick.len()), tick);
        }
        assert!(server.connections() >= 1);
    })
    .await;
}

// Acceptance group 23. RFC 6455, 7.1.5: whose handler is gone is told nothing more.
async fn a_websocket_whose_handler_panics_harms_no_other<R: SendRuntime>(runtime: R) {
    let (address, server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut socket = exchange.websocket(&ServerOptions::default(), Config::default()).await?;
        socket
            .run(|event, reply| match event {
                Event::Text("panic") => resume_unwind(Box::new("a test of panics")),
                Event::Text("error") => Err(SendError::Full),
                Event::Text(text) => reply.send_text(text),
                _ => Ok(()),
            })
            .await?;
        Ok(())
    })
    .await;
    on_thread(move || {
        let mut bystander = RawPeer::open_websocket(address);
        for word in ["panic", "error"].repeat(5) {
            let mut peer = RawPeer::open_websocket(address);
            peer.send(masked(TEXT, "before"));
            assert_eq!(peer.read_message(), (TEXT, b"before".to_vec()));
            peer.send([masked(TEXT, word), masked(TEXT, "behind")].concat());
            assert_eq!(peer.read_to_end(), b"", "{word}");
            bystander.send(masked(TEXT, word.len().to_string()));
            assert_eq!(bystander.read_message(), (TEXT, b"5".to_vec()));
        }
        while server.connections() > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    })
    .await;
}

on_every_runtime!(
    accept_is_read_as_a_list_of_media_types,
    anybody_else_gets_ok_and_may_ask_again,
    the_answer_to_head_has_a_length_and_no_body,
    a_client_that_wants_one_answer_gets_one_and_then_the_end,
    a_client_of_http_1_0_that_asks_for_it_keeps_its_connection,
    an_event_stream_over_http_1_0_ends_with_the_connection,
    a_second_request_is_never_answered_into_the_stream,
    a_handler_that_fails_harms_no_other_connection,
    a_websocket_whose_handler_panics_harms_no_other,
);
