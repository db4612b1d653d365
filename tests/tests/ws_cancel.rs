//! The futures of `WebSocket` and `Client`, dropped at each point at which they wait: nothing is
//! lost, nothing comes twice, and nobody sleeps who will not be woken.
//!
//! Each scenario runs once to count the points, once for each of them, and then with futures that are
//! dropped anywhere.
#![cfg(feature = "net")]

use futures_core::Stream;
use futures_io::AsyncRead;
use futures_sink::Sink;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{
    ClientConfig, ClientEvent, CloseCode, Config, Delivery, Event, MessageKind, SendError,
};
use tidewire_runtime::{Client, Message, WebSocket};
use tidewire_tests::frames::{
    BINARY, BINARY_BEGINS, CLOSE, CONTINUES, ENDS, Frame, PING, PONG, TEXT, TEXT_BEGINS, close,
    frame,
};
use tidewire_tests::scripted::{Drops, Executor, Peer, Random, Scripted};

/// Seeds for the sizes of reads and writes, and runs with futures that are dropped anywhere.
const SEEDS: u64 = 6;
const RANDOM_RUNS: u64 = 20;

/// Runs `scenario` with futures dropped nowhere, at each point, and anywhere.
fn everywhere(mut scenario: impl FnMut(&mut Executor, u64)) {
    let mut points = 0;
    for seed in 0..SEEDS {
        let mut whole = Executor::new(Drops::None);
        scenario(&mut whole, seed);
        for wait in 1..=whole.waits {
            scenario(&mut Executor::new(Drops::At(wait)), seed);
        }
        for run in 0..RANDOM_RUNS {
            scenario(&mut Executor::new(Drops::Any(Random::new(run))), seed);
        }
        points += whole.waits;
    }
    assert!(points > 100, "a scenario that waits {points} times tells nothing");
}

fn silent(_frame: &Frame) -> Vec<u8> {
    Vec::new()
}

/// Messages come back as they went.
fn echo(got: &Frame) -> Vec<u8> {
    if got.first & 8 == 0 { frame(got.first, &got.payload) } else { Vec::new() }
}

/// Connects, with a future that is not dropped: it would take its connection with it.
fn connect(executor: &mut Executor, runtime: &Scripted, config: Config) -> WebSocket<Scripted> {
    let request = Request::new("ws://h/").unwrap();
    let drops = std::mem::replace(&mut executor.drops, Drops::None);
    let connected = executor.run(WebSocket::connect(runtime.clone(), &request, config));
    executor.drops = drops;
    executor.waits = 0;
    connected.unwrap().unwrap().0
}

fn say(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("text {text}"),
        Event::Binary(bytes) => format!("binary {}", String::from_utf8_lossy(bytes)),
        Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
        Event::Pong(payload) => format!("pong {}", String::from_utf8_lossy(payload)),
        Event::MessageStart { kind, .. } => format!("start {kind:?}"),
        Event::Chunk(bytes) => format!("chunk {}", String::from_utf8_lossy(bytes)),
        Event::MessageEnd => "end".into(),
        Event::Drained => "drained".into(),
        Event::Closed { why, reason } => format!("closed {} {reason}", why.code()),
    }
}

/// Of a size that depends on the number.
fn message(number: usize) -> String {
    format!("{number} {}", "x".repeat([3, 200, 40, 0, 6000][number % 5]))
}

/// What a server sends in this test, and the events that it makes.
fn conversation() -> (Vec<u8>, Vec<String>) {
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let text = message(number);
        let (start, rest) = text.split_at(text.len() / 3);
        let (middle, end) = rest.split_at(rest.len() / 2);
        bytes.extend(frame(TEXT, &text));
        bytes.extend(frame(BINARY_BEGINS, start));
        bytes.extend(frame(PING, format!("ping {number}")));
        bytes.extend(frame(CONTINUES, middle));
        bytes.extend(frame(PONG, "unasked"));
        bytes.extend(frame(ENDS, end));
        events.push(format!("text {text}"));
        events.push(format!("ping ping {number}"));
        events.push("pong unasked".into());
        events.push(format!("binary {text}"));
    }
    bytes.extend(frame(CLOSE, close(1000, "enough")));
    events.push("closed 1000 enough".into());
    (bytes, events)
}

/// The peer got an answer to each ping and to its Close, once and in order.
fn check_answers(received: &[Frame]) {
    let (last, pongs) = received.split_last().unwrap();
    assert_eq!(last.close().0, 1000);
    assert_eq!(pongs.len(), 10);
    for (number, pong) in pongs.iter().enumerate() {
        assert_eq!((pong.first, &pong.payload), (PONG, &format!("ping {number}").into_bytes()));
    }
}

#[test]
fn next_loses_no_event_and_no_answer() {
    let (script, events) = conversation();
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
        let mut socket = connect(executor, &runtime, Config::default());
        let mut told = Vec::new();
        while let Some(event) =
            executor.insist(async || socket.next().await.map(|event| say(&event)))
        {
            told.push(event);
        }
        assert_eq!(told, events);
        check_answers(&runtime.received(0));
    });
}

#[test]
fn the_stream_of_messages_loses_none() {
    let (script, events) = conversation();
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
        let mut socket = connect(executor, &runtime, Config::default());
        let mut told = Vec::new();
        while let Some(message) =
            executor.insist(async || poll_fn(|cx| Pin::new(&mut socket).poll_next(cx)).await)
        {
            told.push(match message.unwrap() {
                Message::Text(text) => format!("text {text}"),
                Message::Binary(data) => format!("binary {}", String::from_utf8_lossy(&data)),
            });
        }
        let messages: Vec<_> =
            events.iter().filter(|it| it.starts_with("text") || it.starts_with("binary")).collect();
        assert_eq!(told.iter().collect::<Vec<_>>(), messages);
        check_answers(&runtime.received(0));
    });
}

#[test]
fn run_calls_back_once_for_each_event() {
    let (script, events) = conversation();
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
        let config = Config { send_high_water: 5000, send_low_water: 100, ..Config::default() };
        let mut socket = connect(executor, &runtime, config);
        let (mut told, mut answers) = (Vec::new(), Vec::new());
        let how = executor.insist(async || {
            socket
                .run(|event, reply| {
                    if let Event::Text(text) = event {
                        reply.send_text(text)?;
                        answers.push(text.to_owned());
                    }
                    if !matches!(event, Event::Drained) {
                        told.push(say(&event));
                    }
                    Ok(())
                })
                .await
        });
        assert_eq!(how.unwrap().code(), CloseCode::NORMAL);
        assert_eq!(told, events);
        let received = runtime.received(0);
        let texts: Vec<_> = received.iter().filter(|frame| frame.first == TEXT).collect();
        assert_eq!(texts.len(), answers.len());
        assert!(texts.iter().zip(&answers).all(|(got, sent)| got.payload == sent.as_bytes()));
    });
}

/// What arrived are whole texts.
fn texts(received: &[Frame]) -> Vec<usize> {
    let texts = received.iter().filter(|frame| frame.first != CLOSE);
    let number = |frame: &Frame| {
        assert_eq!(frame.first, TEXT);
        let text = std::str::from_utf8(&frame.payload).unwrap();
        let number = text.split(' ').next().unwrap().parse().unwrap();
        assert!(text == message(number), "message {number}");
        number
    };
    texts.map(number).collect()
}

const SENT: usize = 30;
/// Room for one or two messages.
fn tight() -> Config {
    Config { send_high_water: 4000, send_low_water: 1000, ..Config::default() }
}

#[test]
fn send_queues_the_whole_message_or_nothing() {
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(Vec::new(), silent)]);
        let mut socket = connect(executor, &runtime, tight());
        let mut done = Vec::new();
        for number in 0..SENT {
            if let Some(result) = executor.run(socket.send_text(&message(number))) {
                result.unwrap();
                done.push(number);
            }
        }
        let how = executor.insist(async || socket.close(CloseCode::NORMAL, "").await);
        assert!(how.unwrap().is_clean());
        let arrived = texts(&runtime.received(0));
        assert!(arrived.is_sorted_by(|a, b| a < b), "out of order, or twice: {arrived:?}");
        assert!(done.iter().all(|number| arrived.contains(number)), "{done:?}, {arrived:?}");
    });
}

#[test]
fn ready_and_queue_and_flush_send_each_message_once() {
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(Vec::new(), silent)]);
        let mut socket = connect(executor, &runtime, tight());
        let mut full = 0;
        for number in 0..SENT {
            if socket.queue_text(&message(number)) == Err(SendError::Full) {
                full += 1;
                executor.insist(async || socket.ready().await).unwrap();
                socket.queue_text(&message(number)).unwrap();
            }
        }
        assert!(full > 0);
        executor.insist(async || socket.flush().await).unwrap();
        assert_eq!(texts(&runtime.received(0)), (0..SENT).collect::<Vec<_>>());
    });
}

#[test]
fn the_sink_of_messages_sends_each_once() {
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(Vec::new(), silent)]);
        let mut socket = connect(executor, &runtime, tight());
        let socket = &mut socket;
        for number in 0..SENT {
            executor
                .insist(async || poll_fn(|cx| Pin::new(&mut *socket).poll_ready(cx)).await)
                .unwrap();
            Pin::new(&mut *socket).start_send(Message::Text(message(number))).unwrap();
        }
        executor
            .insist(async || poll_fn(|cx| Pin::new(&mut *socket).poll_close(cx)).await)
            .unwrap();
        let received = runtime.received(0);
        assert_eq!(texts(&received), (0..SENT).collect::<Vec<_>>());
        assert_eq!(received.last().unwrap().close().0, 1000);
    });
}

#[test]
fn sends_and_receives_in_turn_keep_an_echo_whole() {
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(Vec::new(), echo)]);
        let mut socket = connect(executor, &runtime, tight());
        let (mut sent, mut heard) = (0, 0);
        while heard < SENT {
            if sent < SENT && socket.queue_text(&message(sent)).is_ok() {
                sent += 1;
                // Half written, perhaps: what follows goes on with it.
                let _ = executor.run(socket.flush());
            }
            if let Some(event) = executor.run(socket.next()) {
                match event.unwrap() {
                    Event::Text(text) => {
                        assert!(text == message(heard), "message {heard}");
                        heard += 1;
                    }
                    Event::Drained => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(sent, SENT);
    });
}

#[test]
fn close_says_how_it_ended_however_often_it_was_dropped() {
    let script = frame(TEXT, message(4));
    everywhere(|executor, seed| {
        // More than one connection, since a closing handshake waits at a few points only.
        for seed in seed * 16..seed * 16 + 16 {
            let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
            let mut socket = connect(executor, &runtime, Config::default());
            let how = executor.insist(async || socket.close(CloseCode::NORMAL, "bye").await);
            assert!(how.unwrap().is_clean());
            let [close] = &runtime.received(0)[..] else { panic!() };
            assert_eq!(close.close(), (1000, "bye".into()));
        }
    });
}

#[test]
fn a_client_that_reconnects_loses_neither_event_nor_message() {
    const CONNECTIONS: usize = 3;
    everywhere(|executor, seed| {
        let peer = |number: usize| {
            let script = [frame(PING, "?"), frame(TEXT, message(number))].concat();
            Peer::new(script, echo)
        };
        let runtime = Scripted::new(seed, (0..CONNECTIONS).map(peer));
        let request = Request::new("ws://h/").unwrap();
        let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
        let mut told = Vec::new();
        while let Some(event) = executor.insist(async || {
            let event = client.next().await?;
            Some(match event {
                ClientEvent::Connected => "connected".into(),
                ClientEvent::Open(_) => "open".into(),
                ClientEvent::Text(text) => format!("text {text}"),
                ClientEvent::Ping(_) => "ping".into(),
                ClientEvent::Closed { why, .. } => format!("closed {}", why.code()),
                other => panic!("{other:?}"),
            })
        }) {
            let attempt = told.iter().filter(|it: &&String| it.starts_with("closed")).count();
            match event.as_str() {
                "open" => client.send_text(&message(attempt + 5)).unwrap(),
                "ping" | "connected" => {}
                text if *text == format!("text {}", message(attempt + 5)) => {
                    client.close(CloseCode::NORMAL, "").unwrap();
                }
                closed if closed.starts_with("closed") && attempt + 1 < CONNECTIONS => {
                    assert!(client.reconnect(Duration::ZERO));
                }
                _ => {}
            }
            told.push(event);
        }
        let expected: Vec<String> = (0..CONNECTIONS)
            .flat_map(|attempt| {
                [
                    "connected".into(),
                    "open".into(),
                    "ping".into(),
                    format!("text {}", message(attempt)),
                    format!("text {}", message(attempt + 5)),
                    "closed 1000".into(),
                ]
            })
            .collect();
        assert_eq!(told, expected);
        for attempt in 0..CONNECTIONS {
            let received = runtime.received(attempt);
            let firsts: Vec<u8> = received.iter().map(|frame| frame.first).collect();
            assert!(firsts == [TEXT, PONG, CLOSE] || firsts == [PONG, TEXT, CLOSE], "{firsts:x?}");
            let text = received.iter().find(|frame| frame.first == TEXT).unwrap();
            assert_eq!(text.payload, message(attempt + 5).into_bytes());
        }
    });
}

/// What a peer sends in fragments, and the messages that it makes.
fn fragmented() -> (Vec<u8>, Vec<(MessageKind, Vec<u8>)>) {
    let (mut bytes, mut messages) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let text = format!("é{}", message(number));
        let (start, rest) = text.as_bytes().split_at(1);
        let (middle, end) = rest.split_at(rest.len() / 2);
        bytes.extend(frame(TEXT_BEGINS, start));
        bytes.extend(frame(PING, format!("ping {number}")));
        bytes.extend(frame(CONTINUES, middle));
        bytes.extend(frame(ENDS, end));
        messages.push((MessageKind::Text, text.clone().into_bytes()));
        bytes.extend(frame(BINARY, &text));
        messages.push((MessageKind::Binary, text.into_bytes()));
    }
    bytes.extend(frame(PING, "ping 8"));
    bytes.extend(frame(PING, "ping 9"));
    bytes.extend(frame(CLOSE, close(1000, "")));
    (bytes, messages)
}

/// Reads all messages, each with a reader that is made anew whenever it was dropped.
fn read_all(
    config: Config,
    mut read: impl FnMut(&mut Executor, &mut WebSocket<Scripted>) -> Option<Vec<u8>>,
) {
    let (script, expected) = fragmented();
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
        let mut socket = connect(executor, &runtime, config);
        let mut messages = Vec::new();
        while let Some(kind) = executor
            .insist(async || socket.next_message().await.unwrap().map(|message| message.kind()))
        {
            let mut all = Vec::new();
            while let Some(piece) = read(executor, &mut socket) {
                all.extend(piece);
            }
            messages.push((kind, all));
        }
        assert!(messages == expected);
        check_answers(&runtime.received(0));
    });
}

const STREAMING: fn() -> Config = || Config { delivery: Delivery::Streaming, ..Config::default() };

fn read_chunk(executor: &mut Executor, socket: &mut WebSocket<Scripted>) -> Option<Vec<u8>> {
    executor.insist(async || {
        let mut message = socket.unread_message()?;
        message.chunk().await.unwrap().map(<[u8]>::to_vec)
    })
}

#[test]
fn a_message_that_is_read_in_pieces_loses_none() {
    read_all(STREAMING(), read_chunk);
}

#[test]
fn whole_messages_can_be_read_the_same_way() {
    read_all(Config::default(), read_chunk);
}

#[test]
fn a_message_that_is_read_as_bytes_loses_none() {
    read_all(STREAMING(), |executor, socket| {
        executor.insist(async || {
            let mut message = socket.unread_message()?;
            let mut buf = [0; 700];
            let n = poll_fn(|cx| Pin::new(&mut message).poll_read(cx, &mut buf)).await.unwrap();
            Some(buf[..n].to_vec()).filter(|read| !read.is_empty())
        })
    });
}

/// Reading and sending in turn: what is sent while a piece is half read takes nothing of it.
#[test]
fn a_half_read_piece_survives_what_is_done_with_the_socket() {
    read_all(STREAMING(), |executor, socket| {
        let read = executor.insist(async || {
            let mut message = socket.unread_message()?;
            let mut buf = [0; 50];
            let n = poll_fn(|cx| Pin::new(&mut message).poll_read(cx, &mut buf)).await.unwrap();
            Some(buf[..n].to_vec()).filter(|read| !read.is_empty())
        });
        executor.insist(async || socket.flush().await).unwrap();
        read
    });
}

#[test]
fn a_stream_puts_pieces_together() {
    let (script, expected) = fragmented();
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
        let mut socket = connect(executor, &runtime, STREAMING());
        let mut messages = Vec::new();
        while let Some(message) =
            executor.insist(async || poll_fn(|cx| Pin::new(&mut socket).poll_next(cx)).await)
        {
            messages.push(match message.unwrap() {
                Message::Text(text) => (MessageKind::Text, text.into_bytes()),
                Message::Binary(data) => (MessageKind::Binary, data.to_vec()),
            });
        }
        assert!(messages == expected);
    });
}

/// A writer that was dropped is taken up again: the peer gets each piece once, and no message ends
/// before it was finished.
#[test]
fn a_message_that_is_sent_in_pieces_arrives_as_one() {
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(Vec::new(), silent)]);
        let mut socket = connect(executor, &runtime, tight());
        for number in 0..6 {
            let _ = socket.start_message(MessageKind::Text).unwrap();
            assert_eq!(socket.queue_text("other"), Err(SendError::Unfinished));
            for piece in message(number).as_bytes().chunks(1 + 300 * number) {
                executor.insist(async || socket.ready().await).unwrap();
                socket.unfinished_message().unwrap().queue_chunk(piece).unwrap();
                let _ = executor.run(socket.flush());
            }
            let frames = runtime.received(0);
            assert_eq!(frames.iter().filter(|frame| frame.first == ENDS).count(), number);
            while let Some(message) = socket.unfinished_message() {
                if let Some(result) = executor.run(message.finish()) {
                    result.unwrap();
                }
            }
            executor.insist(async || socket.flush().await).unwrap();
        }
        let mut texts = vec![Vec::<u8>::new()];
        for frame in runtime.received(0) {
            let begun = !texts.last().unwrap().is_empty();
            assert_eq!(frame.first & 0x0F, u8::from(!begun), "{frame:?}");
            texts.last_mut().unwrap().extend(&frame.payload);
            if frame.first & 0x80 != 0 {
                texts.push(Vec::new());
            }
        }
        assert_eq!(texts.pop(), Some(Vec::new()));
        assert!(texts == (0..6).map(|number| message(number).into_bytes()).collect::<Vec<_>>());
    });
}

#[test]
fn a_client_receives_pieces_and_sends_pieces() {
    let (script, expected) = fragmented();
    everywhere(|executor, seed| {
        let runtime = Scripted::new(seed, [Peer::new(script.clone(), silent)]);
        let config = ClientConfig { connection: STREAMING(), ..ClientConfig::default() };
        let request = Request::new("ws://h/").unwrap();
        let mut client = Client::new(runtime.clone(), request, config).unwrap();
        assert_eq!(client.start_message(MessageKind::Binary), Err(SendError::NotOpen));
        let (mut messages, mut all, mut sent) = (Vec::new(), Vec::<u8>::new(), Vec::new());
        while let Some(event) = executor.insist(async || {
            Some(match client.next().await? {
                ClientEvent::Open(_) => Some(None),
                ClientEvent::MessageStart { kind, .. } => {
                    messages.push((kind, Vec::new()));
                    None
                }
                ClientEvent::Chunk(bytes) => {
                    messages.last_mut().unwrap().1.extend(bytes);
                    Some(Some(bytes.to_vec()))
                }
                _ => None,
            })
        }) {
            match event {
                Some(None) => client.start_message(MessageKind::Binary).unwrap(),
                // The peer's Close may be here already.
                Some(Some(bytes)) if client.send_chunk(&bytes).is_ok() => sent.extend(bytes),
                _ => {}
            }
        }
        assert!(messages == expected);
        for frame in runtime.received(0).iter().filter(|frame| frame.first & 8 == 0) {
            assert_eq!(frame.first, if all.is_empty() { BINARY_BEGINS } else { CONTINUES });
            all.extend(&frame.payload);
        }
        assert!(all == sent);
    });
}
