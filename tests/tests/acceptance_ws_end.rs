//! How a WebSocket connection ends, in every order, and what slows it down before: through real
//! sockets.

use std::sync::mpsc;
use std::time::{Duration, Instant};
use tidewire_runtime::http::Status;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{CloseCode, Closed, Config, Event, Initiator, SendError};
use tidewire_runtime::{Error, Exchange, Phase, SendRuntime, WebSocket};
use tidewire_tests::frames::{CLOSE, PONG, TEXT, close, frame, masked};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, serve, sleep};
use tidewire_tests::on_every_runtime;

async fn connect<R: SendRuntime>(
    runtime: &R,
    address: std::net::SocketAddr,
    config: Config,
) -> WebSocket<R> {
    let request = Request::new(&format!("ws://{address}/")).expect("a URL");
    WebSocket::connect(runtime.clone(), &request, config).await.expect("connected").0
}

/// How it ended, told once and last.
async fn end<R: SendRuntime>(socket: &mut WebSocket<R>) -> (Closed, String) {
    let mut how = None;
    while let Some(event) = socket.next().await {
        assert!(how.is_none(), "{event:?} behind the end");
        if let Event::Closed { why, reason } = event {
            how = Some((why, reason.to_owned()));
        }
    }
    how.expect("an end")
}

fn clean(code: CloseCode, initiator: Initiator) -> Closed {
    Closed::Clean { code, initiator }
}

/// RFC 6455, 7.1.2 to 7.1.6: whoever begins, both know it, and the code and reason.
async fn both_sides_know_who_closed_and_why<R: SendRuntime>(runtime: R) {
    let (tell, told) = mpsc::channel();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let (tell, ours) = (tell.clone(), exchange.head().target == "/server");
        async move {
            let options = ServerOptions::default();
            let mut socket = exchange.websocket(&options, Config::default()).await?;
            let how = if ours {
                (socket.close(CloseCode::GOING_AWAY, "moved").await?, String::new())
            } else {
                end(&mut socket).await
            };
            tell.send(how)?;
            Ok(())
        }
    })
    .await;
    let (local, remote) = (Initiator::Local, Initiator::Remote);

    let request = Request::new(&format!("ws://{address}/server")).unwrap();
    let connected = WebSocket::connect(runtime.clone(), &request, Config::default()).await;
    let mut socket = connected.expect("connected").0;
    assert_eq!(end(&mut socket).await, (clean(CloseCode::GOING_AWAY, remote), "moved".into()));
    assert_eq!(told.recv().unwrap().0, clean(CloseCode::GOING_AWAY, local));
    assert_eq!(
        socket.close(CloseCode::NORMAL, "").await.unwrap(),
        clean(CloseCode::GOING_AWAY, remote)
    );

    for (code, reason) in [(CloseCode::NORMAL, "done"), (CloseCode::NO_STATUS, "")] {
        let mut socket = connect(&runtime, address, Config::default()).await;
        assert_eq!(socket.close(code, reason).await.unwrap(), clean(code, local));
        let (how, why) = told.recv().unwrap();
        assert_eq!((how, why.as_str()), (clean(code, remote), reason));
        assert!(matches!(
            socket.send_text("late").await,
            Err(Error::WebSocketSend(SendError::Closing))
        ));
    }
}

/// Both sides send a Close before they have seen the other's: each counts as the other's answer.
async fn closes_that_cross_are_one_clean_end<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let peer = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        peer.send(frame(CLOSE, close(4001, "mine")));
        // Not an answer: it had gone out before.
        assert_eq!(peer.read_frame().close(), (4000, "ours".into()));
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    let how = socket.close(CloseCode::new(4000), "ours").await.unwrap();
    assert_eq!(how.code().get(), 4001);
    assert!(how.is_clean(), "{how}");
    peer.await;

    let (tell, told) = mpsc::channel();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let tell = tell.clone();
        async move {
            let options = ServerOptions::default();
            let mut socket = exchange.websocket(&options, Config::default()).await?;
            tell.send(socket.close(CloseCode::new(4000), "ours").await?)?;
            Ok(())
        }
    })
    .await;
    let how = on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        peer.send(masked(CLOSE, close(4001, "mine")));
        assert_eq!(peer.read_frame().close(), (4000, "ours".into()));
        assert_eq!(peer.read_to_end(), b"");
        told.recv().unwrap()
    })
    .await;
    assert_eq!(how.code().get(), 4001);
    assert!(how.is_clean(), "{how}");
}

/// Data that nobody has read keeps neither side from the end, and does not reset the connection under
/// the Close frame.
async fn unread_data_does_not_spoil_the_end<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let options = ServerOptions::default();
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        // It sees nothing of what the client sends before it closes.
        socket.send_text("ready").await?;
        while !matches!(socket.next().await, Some(Event::Text("1 x")) | None) {}
        socket.close(CloseCode::GOING_AWAY, "enough").await?;
        Ok(())
    })
    .await;
    on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        assert_eq!(peer.read_message(), (TEXT, b"ready".to_vec()));
        for number in 0..2000 {
            peer.send(masked(TEXT, format!("{number} x")));
        }
        assert_eq!(peer.read_frame().close(), (1001, "enough".into()));
        peer.send(masked(CLOSE, close(1001, "")));
        // Not reset.
        assert_eq!(peer.read_to_end(), b"");
    })
    .await;
}

/// A peer that goes without a Close, in the midst of a frame and after ours.
async fn a_peer_that_drops_is_1006<R: SendRuntime>(runtime: R) {
    for half in [frame(TEXT, "whole"), frame(TEXT, "half")[..4].to_vec(), frame(0x01, "no end")] {
        let (listener, address) = listener();
        let peer = background(move || {
            let (mut peer, _) = RawPeer::accept_websocket(&listener);
            peer.send(half);
            assert_eq!(peer.read_frame().first, CLOSE);
        });
        let mut socket = connect(&runtime, address, Config::default()).await;
        let how = socket.close(CloseCode::NORMAL, "").await.unwrap();
        assert_eq!((how, how.code()), (Closed::Eof, CloseCode::ABNORMAL));
        peer.await;
    }
}

/// A shutdown of the server closes what is open with 1001.
async fn a_shutdown_is_1001<R: SendRuntime>(runtime: R) {
    let (address, server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let options = ServerOptions::default();
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        while socket.next().await.is_some() {}
        Ok(())
    })
    .await;
    let mut socket = connect(&runtime, address, Config::default()).await;
    server.shutdown();
    let (how, _) = end(&mut socket).await;
    assert_eq!(how, clean(CloseCode::GOING_AWAY, Initiator::Remote));
}

/// A peer from which nothing comes is told 1001, and not waited for. Pieces of frames are something.
async fn a_silent_peer_is_left_with_1001<R: SendRuntime>(runtime: R) {
    const IDLE: Duration = Duration::from_millis(400);
    let (listener, address) = listener();
    let peer = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        let bytes = frame(TEXT, "slow");
        for byte in &bytes {
            peer.send([*byte]);
            std::thread::sleep(IDLE / 4);
        }
        let since = Instant::now();
        assert_eq!(peer.read_frame().close().0, 1001);
        assert!(since.elapsed() >= IDLE / 2, "{:?}", since.elapsed());
        assert_eq!(peer.read_to_end(), b"");
    });
    let config = Config { idle_timeout: Some(IDLE), ..Config::default() };
    let mut socket = connect(&runtime, address, config).await;
    assert_eq!(socket.next().await, Some(Event::Text("slow")));
    assert_eq!(end(&mut socket).await.0, Closed::IdleTimeout);
    peer.await;
}

/// A peer that takes nothing is given up, whether the program waits for events or to send, on either
/// side; one that takes something now and then is not.
async fn a_peer_that_takes_nothing_is_left<R: SendRuntime>(runtime: R) {
    const STALL: Duration = Duration::from_millis(400);
    let config = Config { write_timeout: Some(STALL), ..Config::default() };
    let big = vec![7; 32 << 20];

    for waits_for_events in [false, true] {
        let (listener, address) = listener();
        let (end_it, ended) = mpsc::channel::<()>();
        let peer = background(move || {
            let (mut peer, _) = RawPeer::accept_websocket(&listener);
            // Takes a little for longer than that, and then nothing.
            for _ in 0..6 {
                std::thread::sleep(STALL / 3);
                peer.read_exact(1 << 20);
            }
            let _ = ended.recv();
        });
        let mut socket = connect(&runtime, address, config).await;
        let since = Instant::now();
        if waits_for_events {
            socket.queue_binary(&big).unwrap();
        } else {
            let error = socket.send_binary(&big).await.expect_err("nobody reads");
            assert!(matches!(error, Error::WebSocket(Closed::WriteTimeout)), "{error}");
            assert_eq!(error.timed_out(), Some(Phase::Write));
        }
        assert_eq!(end(&mut socket).await.0, Closed::WriteTimeout);
        assert!(since.elapsed() >= STALL * 3, "{:?}", since.elapsed());
        drop(end_it);
        peer.await;
    }

    let (tell, told) = mpsc::channel();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let (tell, big) = (tell.clone(), big.clone());
        async move {
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            tell.send(socket.send_binary(&big).await)?;
            Ok(())
        }
    })
    .await;
    let sent = on_thread(move || {
        let _peer = RawPeer::open_websocket(address);
        told.recv().unwrap()
    })
    .await;
    assert!(matches!(sent, Err(Error::WebSocket(Closed::WriteTimeout))), "{sent:?}");
}

/// RFC 6455, 5.5.3: of many pings that wait, the latest is answered, and what waits to be sent stays
/// what it may be, though the peer reads nothing of it.
async fn a_flood_of_pings_costs_no_memory<R: SendRuntime>(runtime: R) {
    const PINGS: usize = 1_000_000;
    const MOST: usize = 64 << 10;
    let (tell, told) = mpsc::channel();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let tell = tell.clone();
        async move {
            let config = Config { send_high_water: MOST, ..Config::default() };
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            let (mut pings, mut most) = (0, 0);
            while let Some(event) = socket.next().await {
                pings += usize::from(matches!(event, Event::Ping(_)));
                most = most.max(socket.queued());
            }
            tell.send((pings, most))?;
            Ok(())
        }
    })
    .await;
    let (pings, most) = on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        let mut bytes = Vec::new();
        for number in 0..PINGS {
            bytes.extend_from_slice(b"\x89\xFD\0\0\0\0");
            bytes.extend_from_slice(format!("{number:0125}").as_bytes());
            if bytes.len() > 1_000_000 || number + 1 == PINGS {
                peer.send(&bytes);
                bytes.clear();
            }
        }
        let (mut pongs, mut last) = (0, None);
        while last != Some(PINGS - 1) {
            let (first, payload) = peer.read_message();
            assert_eq!(first, PONG);
            let number = String::from_utf8(payload).unwrap().parse().unwrap();
            assert!(last < Some(number), "{number} after {last:?}");
            (pongs, last) = (pongs + 1, Some(number));
        }
        // So many wait in the sockets; the others were never answered.
        assert!(pongs < PINGS / 2, "{pongs}");
        peer.send(masked(CLOSE, close(1000, "")));
        assert_eq!(peer.read_frame().first, CLOSE);
        told.recv().unwrap()
    })
    .await;
    assert_eq!(pings, PINGS);
    assert!(most <= MOST + 4096, "{most} bytes waited");
}

/// What is refused for want of room is still the caller's, and `Drained` comes once, when there is
/// room, in its place among the events.
async fn full_gives_back_and_drained_says_when<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let (go, may) = mpsc::channel::<()>();
    let peer = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        may.recv().unwrap();
        let mut texts = 0;
        loop {
            let (first, payload) = peer.read_message();
            if first == CLOSE {
                peer.send(frame(CLOSE, payload));
                return texts;
            }
            assert_eq!(payload[..8], format!("{texts:08}").into_bytes());
            texts += 1;
        }
    });
    let config =
        Config { send_high_water: 1 << 20, send_low_water: 100 << 10, ..Config::default() };
    let mut socket = connect(&runtime, address, config).await;
    let (mut sent, mut waits) = (0, 0);
    while waits < 3 {
        let text = format!("{sent:08}{}", "x".repeat(100_000));
        match socket.queue_text(&text) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error, SendError::Full);
                let _ = go.send(());
                waits += 1;
                assert_eq!(socket.next().await, Some(Event::Drained));
                // Once: what comes next is not another one.
                let quiet = {
                    let mut timer = std::pin::pin!(sleep(&runtime, Duration::from_millis(30)));
                    let mut next = std::pin::pin!(socket.next());
                    std::future::poll_fn(|cx| {
                        use std::future::Future as _;
                        assert!(next.as_mut().poll(cx).is_pending(), "it was told twice");
                        timer.as_mut().poll(cx)
                    })
                    .await;
                    true
                };
                assert!(quiet);
            }
        }
    }
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
    assert_eq!(peer.await, sent);
}

/// The documentation's way with `302` and `401`: they are data, and the program decides.
async fn redirects_and_challenges_are_the_programs<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, move |mut exchange: Exchange<R>| async move {
        let target = exchange.head().target.to_owned();
        let token = exchange.head().headers.get_str("Authorization") == Some("Bearer right");
        if target == "/old" {
            let to = [("Location", "/new")];
            return Ok(exchange.respond_with(Status::FOUND, to, "").await?);
        }
        if !token {
            let challenge = [("WWW-Authenticate", "Bearer realm=\"chat\"")];
            let status = Status::UNAUTHORIZED;
            return Ok(exchange.respond_with(status, challenge, "no token").await?);
        }
        let options = ServerOptions::default();
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        socket.send_text(&target).await?;
        while socket.next().await.is_some() {}
        Ok(())
    })
    .await;
    let mut request = Request::new(&format!("ws://{address}/old")).unwrap();
    let mut seen = Vec::new();
    let mut socket = loop {
        assert!(seen.len() < 5, "{seen:?}");
        let error = match WebSocket::connect(runtime.clone(), &request, Config::default()).await {
            Ok((socket, _)) => break socket,
            Err(error) => error,
        };
        let Error::Handshake { head: Some(head), body, .. } = error else { panic!("{error}") };
        let head = head.as_head();
        seen.push((head.status.code(), String::from_utf8(body).unwrap()));
        if request.follow(head).expect("a location") {
            continue;
        }
        assert_eq!(head.headers.get_str("WWW-Authenticate"), Some("Bearer realm=\"chat\""));
        request = request.field("Authorization", "Bearer right").unwrap();
    };
    assert_eq!(seen, [(302, String::new()), (401, "no token".into())]);
    assert_eq!(socket.next().await, Some(Event::Text("/new")));
}

on_every_runtime!(
    both_sides_know_who_closed_and_why,
    closes_that_cross_are_one_clean_end,
    unread_data_does_not_spoil_the_end,
    a_peer_that_drops_is_1006,
    a_shutdown_is_1001,
    a_silent_peer_is_left_with_1001,
    a_peer_that_takes_nothing_is_left,
    a_flood_of_pings_costs_no_memory,
    full_gives_back_and_drained_says_when,
    redirects_and_challenges_are_the_programs,
);
