//! What a driver owes its machine and its task, through real sockets.
#![cfg(feature = "net")]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidewire_runtime::ws;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{ClientClosed, ClientConfig, Event};
use tidewire_runtime::{Client, Control, Handler, Next, Received, SendRuntime};
use tidewire_tests::net::{RawPeer, listener, on_thread, serve, sleep};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A masked frame with the key 0.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ ..65536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// What a server answers to an opening handshake.
fn accept(request: &str) -> Vec<u8> {
    let now = tidewire::Instant::EPOCH;
    let (mut rx, mut tx) = (tidewire::RecvBuf::with_limit(1 << 16), tidewire::SendBuf::new());
    let mut http = tidewire::http::Server::new(tidewire::http::ServerConfig::default(), now);
    assert_eq!(rx.push(request.as_bytes()), request.len());
    while let Some(event) = http.poll_event(now, &mut rx, &mut tx) {
        if let tidewire::http::ServerEvent::Request(head) = event {
            let accepted = ws::handshake::accept(&head, &ServerOptions::default()).expect("good");
            http.upgrade(accepted.fields(), &mut tx).expect("an upgrade");
        }
    }
    tx.chunk().to_vec()
}

/// Polls `future` for `time` at the most.
async fn for_at_most<R: SendRuntime, T>(
    runtime: &R,
    time: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let (mut future, mut timer) = (pin!(future), pin!(sleep(runtime, time)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The program was busy elsewhere past the pong's deadline, and the pong is there.
async fn a_pong_that_is_there_counts<R: SendRuntime>(runtime: R) {
    let (tell, told) = mpsc::channel();
    let own = runtime.clone();
    let (address, _) = serve(&runtime, move |exchange| {
        let (tell, own) = (tell.clone(), own.clone());
        async move {
            let config = ws::Config {
                ping_interval: Some(Duration::from_millis(100)),
                pong_timeout: Duration::from_millis(200),
                ..Default::default()
            };
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            assert!(for_at_most(&own, Duration::from_millis(150), socket.next()).await.is_none());
            sleep(&own, Duration::from_millis(600)).await;
            let event = socket.next().await;
            tell.send(format!("{event:?}"))?;
            Ok(())
        }
    })
    .await;
    let event = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        let ping = peer.read_exact(10);
        assert_eq!(ping[..2], [0x89, 8]);
        std::thread::sleep(Duration::from_millis(100));
        peer.send(frame(0x8A, &ping[2..]));
        told.recv().expect("an event")
    })
    .await;
    assert!(event.starts_with("Some(Pong(["), "{event}");
}

/// As above, but the program was sending all the time to a peer that reads slowly and talks.
async fn who_talks_while_we_send_is_alive<R: SendRuntime>(runtime: R) {
    let (tell, told) = mpsc::channel();
    let (address, _) = serve(&runtime, move |exchange| {
        let tell = tell.clone();
        async move {
            let config = ws::Config {
                ping_interval: Some(Duration::from_millis(100)),
                pong_timeout: Duration::from_millis(200),
                ..Default::default()
            };
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            let sent = socket.send_binary(&vec![7; 32 << 20]).await;
            tell.send(format!("{sent:?}, {:?}", socket.next().await))?;
            Ok(())
        }
    })
    .await;
    let event = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(50));
            peer.send(frame(0x81, b"alive"));
        }
        let mut left = 10 + (32 << 20);
        while left > 0 {
            left -= peer.read_exact(left.min(65536)).len();
        }
        told.recv().expect("an event")
    })
    .await;
    assert_eq!(event, "Ok(()), Some(Text(\"alive\"))");
}

/// Whoever is busy with a peer that never pauses lets others in between.
async fn a_flood_leaves_room_for_others<R: SendRuntime>(runtime: R) {
    let (address, _) = serve(&runtime, |exchange| async move {
        let mut socket =
            exchange.websocket(&ServerOptions::default(), ws::Config::default()).await?;
        let mut seen = 0;
        let mut longest = 0;
        let mut run = 0;
        // How many events come before the task pauses.
        while seen < 20_000 {
            let mut next = pin!(socket.next());
            let text = poll_fn(|cx| {
                let poll = next.as_mut().poll(cx);
                run = if poll.is_pending() { 0 } else { run + 1 };
                longest = longest.max(run);
                poll.map(|event| matches!(event, Some(Event::Text(_))))
            })
            .await;
            assert!(text);
            seen += 1;
        }
        socket.send_text(&longest.to_string()).await?;
        Ok(())
    })
    .await;
    let longest = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        peer.send(frame(0x81, b"x").repeat(20_000));
        let [_, len] = peer.read_exact(2)[..] else { unreachable!() };
        String::from_utf8(peer.read_exact(len.into())).unwrap()
    })
    .await;
    assert!(longest.parse::<usize>().unwrap() <= 1024, "{longest} events without a pause");
}

/// The two halves in two tasks, as after `futures::StreamExt::split`.
async fn two_tasks_do_not_wake_each_other_for_ever<R: SendRuntime>(runtime: R) {
    use futures_core::Stream;
    use futures_sink::Sink;
    let (tell, told) = mpsc::channel();
    let own = runtime.clone();
    let (address, _) = serve(&runtime, move |exchange| {
        let (tell, own) = (tell.clone(), own.clone());
        async move {
            let config = ws::Config::default();
            let socket = exchange.websocket(&ServerOptions::default(), config).await?;
            let socket = Arc::new(Mutex::new(socket));
            let polls = Arc::new(AtomicUsize::new(0));
            let reading = Arc::new(AtomicBool::new(false));
            let (other, count, flag) = (socket.clone(), polls.clone(), reading.clone());
            own.spawn_send(async move {
                let item = poll_fn(|cx: &mut Context<'_>| {
                    count.fetch_add(1, Ordering::Relaxed);
                    flag.store(true, Ordering::Release);
                    Pin::new(&mut *other.lock().unwrap()).poll_next(cx)
                })
                .await;
                tell.send(format!("{item:?}")).unwrap();
            });
            while !reading.load(Ordering::Acquire) {
                sleep(&own, Duration::from_millis(5)).await;
            }
            let message = tidewire_runtime::Message::Binary(vec![7; 32 << 20].into());
            Pin::new(&mut *socket.lock().unwrap()).start_send(message)?;
            poll_fn(|cx: &mut Context<'_>| {
                polls.fetch_add(1, Ordering::Relaxed);
                Pin::new(&mut *socket.lock().unwrap()).poll_flush(cx)
            })
            .await?;
            let polls = polls.load(Ordering::Relaxed);
            let text = tidewire_runtime::Message::Text(polls.to_string());
            Pin::new(&mut *socket.lock().unwrap()).start_send(text)?;
            poll_fn(|cx| Pin::new(&mut *socket.lock().unwrap()).poll_flush(cx)).await?;
            sleep(&own, Duration::from_secs(1)).await;
            Ok(())
        }
    })
    .await;
    let (polls, item) = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        std::thread::sleep(Duration::from_millis(500));
        let mut left = 10 + (32 << 20);
        while left > 0 {
            left -= peer.read_exact(left.min(65536)).len();
        }
        let [_, len] = peer.read_exact(2)[..] else { unreachable!() };
        let polls = String::from_utf8(peer.read_exact(len.into())).unwrap();
        peer.send(frame(0x81, b"hi"));
        (polls, told.recv().expect("an item"))
    })
    .await;
    assert_eq!(item, "Some(Ok(Text(\"hi\")))");
    eprintln!("polls: {polls}");
    assert!(polls.parse::<usize>().unwrap() < 3_000, "{polls} polls");
}

/// `Next::Reconnect` counts from the callback, however long the one before took.
async fn reconnect_counts_from_the_call<R: SendRuntime>(runtime: R) {
    struct Slow(Option<Instant>, Vec<Duration>);
    impl Handler for Slow {
        fn on_message(&mut self, _: &mut Control<'_>, _: Received<'_>) {
            std::thread::sleep(Duration::from_millis(400));
        }
        fn on_connect(&mut self, con: &mut Control<'_>) {
            if let Some(closed) = self.0 {
                self.1.push(closed.elapsed());
                con.close(ws::CloseCode::NORMAL, "").expect("a good code");
            }
        }
        fn on_close(&mut self, _: &mut Control<'_>, _: ClientClosed, _: &str) -> Next {
            if self.0.is_some() {
                return Next::Stop;
            }
            self.0 = Some(Instant::now());
            Next::Reconnect(Duration::from_millis(300))
        }
    }
    let (listener, address) = listener();
    let server = std::thread::spawn(move || {
        let mut peer = RawPeer::accept(&listener);
        let head = peer.read_head();
        let mut answer = accept(&head);
        // A text, and a frame that no server may send, in one segment with the head.
        answer.extend(b"\x81\x01x\xFF\x00");
        peer.send(answer);
        let again = RawPeer::accept(&listener);
        drop((peer, again));
    });
    let request = Request::new(&format!("ws://{address}")).unwrap();
    let mut handler = Slow(None, Vec::new());
    Client::new(runtime, request, ClientConfig::default()).unwrap().run(&mut handler).await;
    server.join().unwrap();
    assert!(handler.1[0] >= Duration::from_millis(300), "{:?}", handler.1);
}

/// "For ever" is a time as well.
async fn no_wait_is_too_long<R: SendRuntime>(runtime: R) {
    let config = tidewire_runtime::ServerConfig { grace: Duration::MAX, ..Default::default() };
    let (address, handle) =
        tidewire_tests::net::serve_with(&runtime, config, |exchange| async move {
            let mut events = exchange.event_stream([("A", "b")]).await?;
            let _ = events.wait(Duration::MAX).await;
            Ok(())
        })
        .await;
    let read = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_head();
        handle.shutdown();
        peer.read_to_end()
    })
    .await;
    assert_eq!(read, b"0\r\n\r\n");
}

/// A frame that breaks the rules, much behind it: the close frame arrives all the same.
async fn a_stream_that_fails_ends_in_order<R: SendRuntime>(runtime: R) {
    use futures_core::Stream;
    let (address, _) = serve(&runtime, |exchange| async move {
        let mut socket =
            exchange.websocket(&ServerOptions::default(), ws::Config::default()).await?;
        let mut next = async || poll_fn(|cx| Pin::new(&mut socket).poll_next(cx)).await;
        while next().await.is_some() {}
        Ok(())
    })
    .await;
    let read = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        let mut bytes = frame(0x83, b"");
        bytes.extend(vec![0; 1 << 18]);
        peer.send(&bytes);
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut peer.0, &mut read).map(|_| read).expect("no reset")
    })
    .await;
    assert_eq!(read, [0x88, 2, 0x03, 0xEA]);
}

/// The opening handshake is answered before the handler goes on.
async fn an_upgrade_is_answered_at_once<R: SendRuntime>(runtime: R) {
    let own = runtime.clone();
    let (address, _) = serve(&runtime, move |exchange| {
        let own = own.clone();
        async move {
            let socket =
                exchange.websocket(&ServerOptions::default(), ws::Config::default()).await?;
            sleep(&own, Duration::from_secs(60)).await;
            drop(socket);
            Ok(())
        }
    })
    .await;
    let head = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head()
    })
    .await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

/// A client that would go on is told, with the answer it gets, that there will be no other.
async fn the_last_response_of_a_shutdown_says_so<R: SendRuntime>(runtime: R) {
    let (own, (asked, ask)) = (runtime.clone(), mpsc::channel());
    let (address, handle) = serve(&runtime, move |mut exchange| {
        let (own, asked) = (own.clone(), asked.clone());
        async move {
            asked.send(())?;
            sleep(&own, Duration::from_millis(100)).await;
            Ok(exchange.respond("ok").await?)
        }
    })
    .await;
    let answer = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        ask.recv().expect("a request");
        handle.shutdown();
        String::from_utf8(peer.read_to_end()).expect("text")
    })
    .await;
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

/// A client that asks for much and reads nothing does not keep its handler for ever; one that reads
/// slowly keeps its connection.
async fn who_reads_nothing_is_not_waited_for<R: SendRuntime>(runtime: R) {
    let (tell, told) = mpsc::channel();
    let config = tidewire_runtime::ServerConfig {
        http: tidewire_runtime::http::ServerConfig {
            write_timeout: Some(Duration::from_millis(500)),
            ..Default::default()
        },
        ..Default::default()
    };
    let (address, _) = tidewire_tests::net::serve_with(&runtime, config, move |mut exchange| {
        let tell = tell.clone();
        async move {
            tell.send(exchange.respond(vec![7; 32 << 20]).await.map_err(|e| e.to_string()))?;
            Ok(())
        }
    })
    .await;
    on_thread(move || {
        let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut slow = RawPeer::connect(address);
        slow.send(request);
        slow.read_head();
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(200));
            slow.read_exact(4 << 20);
        }
        assert_eq!(told.recv().expect("an answer"), Ok(()));
        let mut mute = RawPeer::connect(address);
        mute.send(request);
        let error = told.recv().expect("an answer").expect_err("nobody read");
        assert_eq!(error, "the connection broke: timed out");
    })
    .await;
}

/// The handler need not know about `413`.
async fn a_body_beyond_the_handlers_limit_is_answered_413<R: SendRuntime>(runtime: R) {
    let (address, _) = serve(&runtime, |mut exchange| async move {
        let body = exchange.collect(3).await?;
        Ok(exchange.respond(body).await?)
    })
    .await;
    let head = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
        peer.read_head()
    })
    .await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
}

/// Sending fails if the connection is given up before all has left.
async fn a_message_that_is_lost_was_not_sent<R: SendRuntime>(runtime: R) {
    let (tell, told) = mpsc::channel();
    let (address, _) = serve(&runtime, move |exchange| {
        let tell = tell.clone();
        async move {
            let config = ws::Config {
                ping_interval: Some(Duration::from_millis(100)),
                pong_timeout: Duration::from_millis(200),
                ..Default::default()
            };
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            tell.send(socket.send_binary(&vec![7; 32 << 20]).await.is_err())?;
            Ok(())
        }
    })
    .await;
    let failed = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        told.recv().expect("an end")
    })
    .await;
    assert!(failed);
}

/// Whoever waits for room is polled when there is some, or a deadline: not again and again.
async fn a_wait_for_room_is_no_loop<R: SendRuntime>(runtime: R) {
    let (tell, told) = mpsc::channel();
    let own = runtime.clone();
    let (address, _) = serve(&runtime, move |exchange| {
        let (tell, own) = (tell.clone(), own.clone());
        async move {
            let config = ws::Config::default();
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            let (message, mut polls) = (vec![7; 32 << 20], 0);
            let mut send = pin!(socket.send_binary(&message));
            let counted = poll_fn(|cx| {
                polls += 1;
                send.as_mut().poll(cx)
            });
            // Longer than it takes until memory that is not in use is given back.
            let sent = for_at_most(&own, Duration::from_millis(2_500), counted).await;
            tell.send((sent.is_some(), polls))?;
            Ok(())
        }
    })
    .await;
    let (sent, polls) = on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send(UPGRADE);
        peer.read_head();
        told.recv().expect("a count")
    })
    .await;
    assert!(!sent, "the peer reads nothing");
    assert!(polls < 100, "{polls} polls");
}

tidewire_tests::on_every_runtime!(
    a_wait_for_room_is_no_loop,
    a_pong_that_is_there_counts,
    who_talks_while_we_send_is_alive,
    a_flood_leaves_room_for_others,
    two_tasks_do_not_wake_each_other_for_ever,
    reconnect_counts_from_the_call,
    no_wait_is_too_long,
    a_stream_that_fails_ends_in_order,
    an_upgrade_is_answered_at_once,
    the_last_response_of_a_shutdown_says_so,
    who_reads_nothing_is_not_waited_for,
    a_body_beyond_the_handlers_limit_is_answered_413,
    a_message_that_is_lost_was_not_sent,
);
