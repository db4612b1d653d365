//! WebSocket frames on raw sockets, both sides: lengths, masks, pings, fragments, and the end.

use std::collections::HashSet;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{
    self, ClientClosed, ClientConfig, ClientEvent, CloseCode, Closed, Config, Event, Initiator,
    ProtocolErrorKind,
};
use tidewire_runtime::{Client, Exchange, Message, SendRuntime, WebSocket};
use tidewire_tests::frames::{
    BINARY, BINARY_BEGINS, CLOSE, CONTINUES, ENDS, PING, PONG, TEXT, TEXT_BEGINS, close, frame,
    head, masked,
};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, serve};
use tidewire_tests::on_every_runtime;

const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 65535, 65536, 100_000];

async fn connect<R: SendRuntime>(runtime: &R, address: SocketAddr, config: Config) -> WebSocket<R> {
    let request = Request::new(&format!("ws://{address}/")).expect("a URL");
    WebSocket::connect(runtime.clone(), &request, config).await.expect("connected").0
}

/// An event as text.
fn say(event: Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("text {text}"),
        Event::Binary(bytes) => format!("binary {bytes:?}"),
        Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
        Event::Pong(payload) => format!("pong {}", String::from_utf8_lossy(payload)),
        Event::MessageStart { kind, .. } => format!("start {kind:?}"),
        Event::Chunk(bytes) => format!("chunk {}", String::from_utf8_lossy(bytes)),
        Event::MessageEnd => "end".into(),
        Event::Drained => "drained".into(),
        Event::Closed { why, reason } => format!("closed {} {reason}", why.code()),
    }
}

/// What a socket tells until it is closed.
async fn all<R: SendRuntime>(socket: &mut WebSocket<R>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = socket.next().await {
        told.push(say(event));
    }
    told
}

/// A server that echoes messages and tells each event to the receiver.
async fn echo<R: SendRuntime>(
    runtime: &R,
    config: Config,
) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let (tell, told) = std::sync::mpsc::channel();
    let (address, _server) = serve(runtime, move |exchange: Exchange<R>| {
        let tell = tell.clone();
        async move {
            let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
            socket
                .run(|event, reply| {
                    // The receiver may not care.
                    let _ = tell.send(say(event));
                    match event {
                        Event::Text(text) => reply.send_text(text),
                        Event::Binary(bytes) => reply.send_binary(bytes),
                        _ => Ok(()),
                    }
                })
                .await?;
            Ok(())
        }
    })
    .await;
    (address, told)
}

// Acceptance group 14. RFC 6455, 5.1 to 5.3.
async fn a_client_masks_each_frame_anew_and_uses_the_shortest_length<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        let mut keys = HashSet::new();
        for len in LENGTHS {
            for (first, byte) in [(TEXT, b'x'), (BINARY, 0xFF)] {
                let frame = peer.read_frame();
                assert_eq!(frame.head, head(first, 0x80, len));
                assert!(frame.payload == vec![byte; len], "the payload of {len} bytes");
                keys.insert(frame.key.expect("a masking key"));
            }
        }
        for _ in 0..100 {
            let frame = peer.read_frame();
            assert_eq!((frame.first, &frame.payload[..]), (TEXT, &b"same"[..]));
            keys.insert(frame.key.expect("a masking key"));
        }
        keys
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    for len in LENGTHS {
        socket.send_text(&"x".repeat(len)).await.unwrap();
        socket.send_binary(&vec![0xFF; len]).await.unwrap();
    }
    for _ in 0..100 {
        socket.send_text("same").await.unwrap();
    }
    let keys = server.await;
    assert_eq!(keys.len(), 2 * LENGTHS.len() + 100, "each frame has a key of its own");
    // No byte of them is a constant.
    for at in 0..4 {
        assert!(keys.iter().map(|key| key[at]).collect::<HashSet<_>>().len() > 20);
    }
}

// Acceptance group 14, from the other side. RFC 6455, 5.1 and 5.2.
async fn a_server_masks_nothing_and_says_back_text_as_text_and_binary_as_binary<R: SendRuntime>(
    runtime: R,
) {
    let (address, _told) = echo(&runtime, Config::default()).await;
    on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        for len in LENGTHS {
            for (first, byte) in [(TEXT, b'x'), (BINARY, 0xFF)] {
                peer.send(masked(first, vec![byte; len]));
                let frame = peer.read_frame();
                assert_eq!((&frame.head, frame.key), (&head(first, 0, len), None));
                assert!(frame.payload == vec![byte; len], "the payload of {len} bytes");
            }
        }
    })
    .await;
}

// Acceptance group 15. RFC 6455, 5.5.2.
async fn pings_go_out_each_interval_from_the_handshake_on_and_none_after_closing<R: SendRuntime>(
    runtime: R,
) {
    const INTERVAL: Duration = Duration::from_millis(80);
    let (listener, address) = listener();
    // Before the handshake, since a client may count from when it was woken for the answer, which
    // can be a little earlier than the answer.
    let start = Instant::now();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        for turn in 1..=4 {
            let ping = peer.read_frame();
            let elapsed = start.elapsed();
            assert_eq!(ping.first, PING);
            assert!(ping.key.is_some());
            assert!(elapsed >= INTERVAL * turn, "ping {turn} came after {elapsed:?}");
            peer.send(frame(PONG, ping.payload));
        }
        // It closes at the fourth pong; a ping may have been faster. Nothing follows for several
        // intervals.
        let mut last = peer.read_frame();
        while last.first == PING {
            last = peer.read_frame();
        }
        assert_eq!(last.close(), (1000, "enough".into()));
        assert!(peer.is_silent_for(INTERVAL * 3));
        peer.send(frame(CLOSE, close(1000, "")));
    });
    let config = Config { ping_interval: Some(INTERVAL), ..Config::default() };
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let config = ClientConfig { connection: config, ..ClientConfig::default() };
    let mut client = Client::new(runtime.clone(), request, config).unwrap();
    let mut pongs = 0;
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Pong(_) => {
                pongs += 1;
                if pongs == 4 {
                    client.close(CloseCode::NORMAL, "enough").unwrap();
                }
            }
            ClientEvent::Closed { why, .. } => assert!(why.is_clean(), "{why}"),
            ClientEvent::Connected | ClientEvent::Open(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pongs, 4);
    server.await;
}

// Acceptance group 15. RFC 6455, 5.5.2 and 5.5.3.
async fn a_peer_that_does_not_answer_pings_is_given_up_for_that_reason<R: SendRuntime>(runtime: R) {
    let config = Config {
        ping_interval: Some(Duration::from_millis(50)),
        pong_timeout: Duration::from_millis(150),
        ..Config::default()
    };
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        peer.read_to_end()
    });
    let start = Instant::now();
    let mut socket = connect(&runtime, address, config).await;
    let mut told = Vec::new();
    while let Some(event) = socket.next().await {
        if let Event::Closed { why, .. } = event {
            assert_eq!(why, Closed::PongTimeout);
        }
        told.push(say(event));
    }
    let elapsed = start.elapsed();
    assert_eq!(told, ["closed 1006 "]);
    assert!(elapsed >= Duration::from_millis(200), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    assert!(!server.await.is_empty());
}

// Acceptance group 15. RFC 6455, 5.5.2.
async fn any_byte_counts_as_a_sign_of_life<R: SendRuntime>(runtime: R) {
    const TURN: Duration = Duration::from_millis(60);
    let config = Config {
        ping_interval: Some(TURN),
        // Much longer than a byte takes, shorter than the whole message does.
        pong_timeout: TURN * 20,
        ..Config::default()
    };
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        // No pong, only a frame that takes its time.
        for byte in frame(BINARY, [7; 28]) {
            peer.send([byte]);
            std::thread::sleep(TURN);
        }
        peer.send(frame(CLOSE, close(1000, "")));
        peer.0.shutdown(Shutdown::Write).unwrap();
        peer.read_to_end();
    });
    let mut socket = connect(&runtime, address, config).await;
    assert_eq!(all(&mut socket).await, [format!("binary {:?}", [7; 28]), "closed 1000 ".into()]);
    server.await;
}

/// What a peer sends in one segment, and what is made of it.
fn segments(frame: fn(u8, &[u8]) -> Vec<u8>) -> Vec<(Vec<u8>, Vec<&'static str>)> {
    vec![
        (
            // A ping between two fragments leaves both intact (RFC 6455, 5.4).
            [
                frame(TEXT_BEGINS, b"Hel"),
                frame(PING, b"p"),
                frame(CONTINUES, b""),
                frame(PONG, b"unasked"),
                frame(ENDS, b"lo"),
            ]
            .concat(),
            vec!["ping p", "pong unasked", "text Hello"],
        ),
        (
            // Equal beginnings with different ends stay different messages.
            [
                frame(TEXT_BEGINS, b"same"),
                frame(ENDS, b" one"),
                frame(TEXT_BEGINS, b"same"),
                frame(ENDS, b" two"),
                frame(BINARY_BEGINS, b"\x01"),
                frame(ENDS, b"\x02"),
                frame(BINARY_BEGINS, b"\x01"),
                frame(ENDS, b"\x03"),
            ]
            .concat(),
            vec!["text same one", "text same two", "binary [1, 2]", "binary [1, 3]"],
        ),
        (
            // Two messages and a ping in one segment.
            [frame(TEXT, b"one"), frame(BINARY, b"\x02"), frame(PING, b"")].concat(),
            vec!["text one", "binary [2]", "ping "],
        ),
        (
            // A character cut by the fragments (5.6).
            [frame(TEXT_BEGINS, b"\xF0\x9F"), frame(CONTINUES, b"\x8C"), frame(ENDS, b"\x8A")]
                .concat(),
            vec!["text \u{1F30A}"],
        ),
        ([frame(TEXT_BEGINS, b""), frame(ENDS, b"")].concat(), vec!["text "]),
    ]
}

/// The pongs that a segment of [`segments`] asks for.
fn pongs<'a>(told: &[&'a str]) -> Vec<&'a str> {
    told.iter().filter_map(|event| event.strip_prefix("ping ")).collect()
}

// Acceptance group 16. RFC 6455, 5.4, 5.5.2 and 5.5.3.
async fn a_client_keeps_fragments_pings_and_messages_apart<R: SendRuntime>(runtime: R) {
    for piece in [usize::MAX, 1] {
        for (bytes, mut expected) in segments(|first, payload| frame(first, payload)) {
            let (listener, address) = listener();
            let pongs = pongs(&expected);
            let server = background(move || {
                let (mut peer, _) = RawPeer::accept_websocket(&listener);
                bytes.chunks(piece).for_each(|piece| peer.send(piece));
                for pong in pongs {
                    assert_eq!(peer.read_message(), (PONG, pong.as_bytes().to_vec()));
                }
                peer.send(frame(CLOSE, []));
                assert_eq!(peer.read_message(), (CLOSE, Vec::new()));
            });
            expected.push("closed 1005 ");
            let mut socket = connect(&runtime, address, Config::default()).await;
            assert_eq!(all(&mut socket).await, expected);
            server.await;
        }
    }
}

// Acceptance group 16, from the other side. RFC 6455, 5.4, 5.5.2 and 5.5.3.
async fn a_server_keeps_fragments_pings_and_messages_apart<R: SendRuntime>(runtime: R) {
    let (address, told) = echo(&runtime, Config::default()).await;
    on_thread(move || {
        for piece in [usize::MAX, 1] {
            for (bytes, expected) in segments(|first, payload| masked(first, payload)) {
                let mut peer = RawPeer::open_websocket(address);
                bytes.chunks(piece).for_each(|piece| peer.send(piece));
                let mut pongs = pongs(&expected).into_iter();
                for expected in expected {
                    assert_eq!(told.recv().unwrap(), expected);
                    let echo = peer_says(expected, &mut pongs);
                    if let Some(echo) = echo {
                        assert_eq!(peer.read_message(), echo, "{expected}");
                    }
                }
                peer.send(masked(CLOSE, []));
                assert_eq!(told.recv().unwrap(), "closed 1005 ");
                assert_eq!(peer.read_message(), (CLOSE, Vec::new()));
                assert_eq!(peer.read_to_end(), b"");
            }
        }
    })
    .await;
}

/// What the echo server sends for an event.
fn peer_says<'a>(event: &str, pongs: &mut impl Iterator<Item = &'a str>) -> Option<(u8, Vec<u8>)> {
    if let Some(text) = event.strip_prefix("text ") {
        Some((TEXT, text.as_bytes().to_vec()))
    } else if let Some(bytes) = event.strip_prefix("binary ") {
        let bytes = bytes.trim_matches(['[', ']']).split(", ").map(|byte| byte.parse().unwrap());
        Some((BINARY, bytes.collect()))
    } else if event.starts_with("ping") {
        Some((PONG, pongs.next().unwrap().as_bytes().to_vec()))
    } else {
        None
    }
}

/// Frames that break a rule, made by `frame`, the wrong maker for its side being `foreign`; with the
/// code of the answer. `bit` is the mask bit of the side.
fn violations(
    frame: fn(u8, &[u8]) -> Vec<u8>,
    foreign: fn(u8, &[u8]) -> Vec<u8>,
    bit: u8,
) -> Vec<(&'static str, Vec<u8>, u16)> {
    let mut all = vec![
        ("masked wrongly", foreign(TEXT, b"x"), 1002),
        ("an orphan", frame(ENDS, b"x"), 1002),
        ("an orphan", frame(CONTINUES, b"x"), 1002),
        ("interleaved", [frame(TEXT_BEGINS, b"x"), frame(TEXT, b"y")].concat(), 1002),
        ("interleaved", [frame(TEXT_BEGINS, b"x"), frame(BINARY_BEGINS, b"y")].concat(), 1002),
        ("a fragmented ping", frame(0x09, b"x"), 1002),
        ("a fragmented close", frame(0x08, b""), 1002),
        ("a long ping", frame(PING, &[b'x'; 126]), 1002),
        ("a long close", frame(CLOSE, &close(1000, &"x".repeat(124))), 1002),
        ("16 bits for 125", [TEXT, bit | 126, 0, 125].to_vec(), 1002),
        ("64 bits for 65535", [TEXT, bit | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF].to_vec(), 1002),
        ("64 bits with a sign", [TEXT, bit | 127, 0x80, 0, 0, 0, 0, 0, 0, 0].to_vec(), 1002),
        ("half a code", frame(CLOSE, &[3]), 1002),
        ("the code 1005", frame(CLOSE, &close(1005, "")), 1002),
        ("the code 999", frame(CLOSE, &close(999, "")), 1002),
        ("the code 5000", frame(CLOSE, &close(5000, "")), 1002),
        ("bad text", frame(TEXT, b"x\xFFy"), 1007),
        ("a surrogate", frame(TEXT, b"\xED\xA0\x80"), 1007),
        ("half a character", frame(TEXT, b"\xF0\x9F\x8C"), 1007),
        ("half a character", [frame(TEXT_BEGINS, b"\xC3"), frame(ENDS, b"")].concat(), 1007),
        ("a bad reason", frame(CLOSE, b"\x03\xE8\xFF"), 1007),
        ("too big", frame(BINARY, &[0; 1001]), 1009),
        ("too big", [frame(TEXT_BEGINS, &[b'x'; 600]), frame(ENDS, &[b'x'; 401])].concat(), 1009),
        // The head is enough, which on one side ends with four bytes of masking key.
        ("far too big", [BINARY, bit | 127, 0x7F, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4].to_vec(), 1009),
    ];
    all.extend(
        (3..=7).chain(11..=15).map(|opcode| ("a reserved opcode", frame(0x80 | opcode, b""), 1002)),
    );
    all.extend([0x40, 0x20, 0x10].map(|rsv| ("a reserved bit", frame(TEXT | rsv, b""), 1002)));
    all
}

fn small_messages() -> Config {
    Config { max_message: 1000, ..Config::default() }
}

/// Checks the answer to a violation: one Close frame, and nothing behind it.
fn is_failed_with(peer: &mut RawPeer, code: u16, what: &str) {
    let frame = peer.read_frame();
    assert_eq!(frame.first, CLOSE, "{what}: {frame:?}");
    assert_eq!(frame.close().0, code, "{what}");
    assert_eq!(peer.read_to_end(), b"", "{what}");
}

// Acceptance group 17. RFC 6455, 5, 7.1.7 and 7.4.1.
async fn a_client_fails_the_connection_with_the_right_code<R: SendRuntime>(runtime: R) {
    for (what, bytes, code) in violations(|a, b| frame(a, b), |a, b| masked(a, b), 0) {
        let (listener, address) = listener();
        let server = background(move || {
            let before = frame(TEXT, "before");
            let bytes = [before, bytes].concat();
            let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &bytes);
            is_failed_with(&mut peer, code, what);
        });
        let mut socket = connect(&runtime, address, small_messages()).await;
        let mut told = Vec::new();
        while let Some(event) = socket.next().await {
            if let Event::Closed { why, .. } = event {
                let Closed::Protocol(error) = why else { panic!("{what}: {why}") };
                assert_eq!(error.close_code().get(), code, "{what}: {error}");
                assert!(error.offset >= 8, "{what}: {error}");
            }
            told.push(say(event));
        }
        assert_eq!(told, ["text before", "closed 1006 "], "{what}");
        server.await;
    }
}

// Acceptance group 17, from the other side. RFC 6455, 5, 7.1.7 and 7.4.1.
async fn a_server_fails_the_connection_with_the_right_code<R: SendRuntime>(runtime: R) {
    let (address, told) = echo(&runtime, small_messages()).await;
    on_thread(move || {
        for (what, bytes, code) in violations(|a, b| masked(a, b), |a, b| frame(a, b), 0x80) {
            let mut peer = RawPeer::open_websocket(address);
            peer.send([masked(TEXT, "before"), bytes].concat());
            assert_eq!(peer.read_message(), (TEXT, b"before".to_vec()));
            is_failed_with(&mut peer, code, what);
            assert_eq!(told.recv().unwrap(), "text before");
            assert_eq!(told.recv().unwrap(), "closed 1006 ", "{what}");
        }
    })
    .await;
}

// Acceptance group 17. RFC 6455, 8.1.
async fn text_is_refused_at_its_first_bad_byte<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        // 3000 bytes are announced; the rest never comes.
        peer.send([&head(TEXT, 0, 3000)[..], b"good"].concat());
        assert!(peer.is_silent_for(Duration::from_millis(30)));
        peer.send([0xC0]);
        is_failed_with(&mut peer, 1007, "a bad byte");
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    match socket.next().await {
        Some(Event::Closed { why: Closed::Protocol(error), .. }) => {
            assert_eq!((error.kind, error.offset), (ProtocolErrorKind::InvalidUtf8, 8));
        }
        other => panic!("{other:?}"),
    }
    assert!(socket.next().await.is_none());
    server.await;
}

// Acceptance group 17. RFC 6455, 7.1.7: the Close frame gets out even if nobody polls further.
async fn a_close_frame_has_left_when_the_end_is_told<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &frame(ENDS, "x"));
        is_failed_with(&mut peer, 1002, "an orphan");
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    assert!(matches!(socket.next().await, Some(Event::Closed { .. })));
    drop(socket);
    server.await;
    let address = server_that_stops_at_closed(&runtime).await;
    on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        peer.send(masked(CLOSE, close(1000, "bye")));
        assert_eq!(peer.read_frame().close(), (1000, "bye".into()));
        assert_eq!(peer.read_to_end(), b"");
    })
    .await;
}

/// A server whose handler returns as soon as it is told of the end.
async fn server_that_stops_at_closed<R: SendRuntime>(runtime: &R) -> SocketAddr {
    let (address, _server) = serve(runtime, |exchange: Exchange<R>| async move {
        let options = ServerOptions::default();
        let mut socket = exchange.websocket(&options, Config::default()).await?;
        while !matches!(socket.next().await, None | Some(Event::Closed { .. })) {}
        Ok(())
    })
    .await;
    address
}

// Acceptance group 18. RFC 6455, 5.5.1 and 7.1.
async fn a_close_of_the_server_is_echoed_and_told_once<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let bye = frame(CLOSE, close(1001, "bye"));
        // What follows a Close is nothing to anybody.
        let (mut peer, _) =
            RawPeer::accept_websocket_and_send(&listener, &[bye, frame(TEXT, "late")].concat());
        assert_eq!(peer.read_frame().close(), (1001, "bye".into()));
        // The server closes first (7.1.1): the client waits for that.
        assert!(peer.is_silent_for(Duration::from_millis(50)));
        peer.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.read_to_end(), b"");
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    let mut told = 0;
    while let Some(event) = socket.next().await {
        let Event::Closed { why, reason } = event else { panic!("{event:?}") };
        let code = CloseCode::GOING_AWAY;
        assert_eq!(why, Closed::Clean { code, initiator: Initiator::Remote });
        assert_eq!(reason, "bye");
        told += 1;
    }
    assert_eq!(told, 1);
    server.await;
}

// Acceptance group 18. RFC 6455, 7.1.2.
async fn our_close_waits_for_the_echo_and_delivers_what_comes_before<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        assert_eq!(peer.read_frame().close(), (4000, "enough".into()));
        peer.send(frame(TEXT, "one more"));
        std::thread::sleep(Duration::from_millis(100));
        peer.send(frame(CLOSE, close(4000, "so be it")));
    });
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
    let (mut told, mut closing) = (Vec::new(), Instant::now());
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Open(_) => {
                client.close(CloseCode::new(4000), "enough").unwrap();
                closing = Instant::now();
                assert_eq!(client.send_text("late"), Err(ws::SendError::Closing));
            }
            ClientEvent::Text(text) => told.push(text.to_owned()),
            ClientEvent::Closed { why: ClientClosed::Ended(why), reason } => {
                let code = CloseCode::new(4000);
                assert_eq!(why, Closed::Clean { code, initiator: Initiator::Local });
                told.push(format!("closed {reason}"));
                assert!(closing.elapsed() >= Duration::from_millis(100));
            }
            ClientEvent::Connected => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["one more", "closed so be it"]);
    server.await;
}

// Acceptance group 18. RFC 6455, 7.1.
async fn our_close_waits_no_longer_than_its_deadline<R: SendRuntime>(runtime: R) {
    const DEADLINE: Duration = Duration::from_millis(150);
    let config = Config { close_timeout: DEADLINE, ..Config::default() };
    let (listener, address) = listener();
    let server = background(move || {
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        assert_eq!(peer.read_frame().close(), (1000, String::new()));
        assert_eq!(peer.read_to_end(), b"");
    });
    let mut socket = connect(&runtime, address, config).await;
    let start = Instant::now();
    let closed = socket.close(CloseCode::NORMAL, "").await.unwrap();
    let elapsed = start.elapsed();
    assert_eq!(closed, Closed::CloseTimeout);
    assert!(elapsed >= DEADLINE && elapsed < DEADLINE + Duration::from_secs(5), "{elapsed:?}");
    server.await;
}

// Acceptance group 18. RFC 6455, 7.1.5.
async fn an_end_without_a_close_frame_is_1006<R: SendRuntime>(runtime: R) {
    // In order, in the middle of a frame, and by a reset.
    for (bytes, resets) in [(frame(TEXT, "x"), false), (head(TEXT, 0, 9), false), (vec![], true)] {
        let (listener, address) = listener();
        let has_frame = bytes.len() == 3;
        let server = background(move || {
            let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &bytes);
            if resets {
                // A socket that is closed with bytes unread resets the connection.
                peer.wait_readable();
            }
            drop(peer);
        });
        let mut socket = connect(&runtime, address, Config::default()).await;
        if resets {
            socket.queue_text("unread").unwrap();
        }
        let mut told = Vec::new();
        while let Some(event) = socket.next().await {
            if let Event::Closed { why, .. } = event {
                assert_eq!(why, Closed::Eof);
            }
            told.push(say(event));
        }
        let expected = if has_frame { &["text x", "closed 1006 "][..] } else { &["closed 1006 "] };
        assert_eq!(told, expected);
        server.await;
    }
}

// Acceptance group 18, from the other side. RFC 6455, 7.1.1: the server closes the transport first.
async fn a_server_echoes_a_close_and_then_ends_the_stream<R: SendRuntime>(runtime: R) {
    let (address, told) = echo(&runtime, Config::default()).await;
    on_thread(move || {
        let mut peer = RawPeer::open_websocket(address);
        peer.send(masked(CLOSE, close(3999, "grüße")));
        assert_eq!(peer.read_frame().close(), (3999, "grüße".into()));
        assert_eq!(peer.read_to_end(), b"");
        assert_eq!(told.recv().unwrap(), "closed 3999 grüße");
    })
    .await;
}

// Acceptance group 17, as a stream of messages. RFC 6455, 7.1.7.
async fn a_stream_of_messages_yields_what_went_wrong_and_then_ends_in_order<R: SendRuntime>(
    runtime: R,
) {
    let (listener, address) = listener();
    let server = background(move || {
        let bytes = [frame(TEXT, "x"), frame(PING, "y"), frame(BINARY, "z"), frame(ENDS, "!")];
        let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &bytes.concat());
        assert_eq!(peer.read_message(), (PONG, b"y".to_vec()));
        is_failed_with(&mut peer, 1002, "an orphan");
    });
    let mut socket = connect(&runtime, address, Config::default()).await;
    assert_eq!(socket.next_item().await, Some(Ok(Message::Text("x".into()))));
    assert_eq!(socket.next_item().await, Some(Ok(Message::Binary("z".into()))));
    let error = socket.next_item().await.unwrap().unwrap_err();
    assert!(error.contains("a continuation frame without a message to continue"), "{error}");
    // Polled on it closes the transport, so the socket needs not be dropped for that.
    assert_eq!(socket.next_item().await, None);
    server.await;
    assert_eq!(socket.next_item().await, None);
}

/// The socket as a `Stream`.
trait Items {
    async fn next_item(&mut self) -> Option<Result<Message, String>>;
}

impl<R: SendRuntime> Items for WebSocket<R> {
    async fn next_item(&mut self) -> Option<Result<Message, String>> {
        let item = ::smol::stream::StreamExt::next(self).await?;
        Some(item.map_err(|error| error.to_string()))
    }
}

on_every_runtime!(
    a_stream_of_messages_yields_what_went_wrong_and_then_ends_in_order,
    a_client_masks_each_frame_anew_and_uses_the_shortest_length,
    a_server_masks_nothing_and_says_back_text_as_text_and_binary_as_binary,
    pings_go_out_each_interval_from_the_handshake_on_and_none_after_closing,
    a_peer_that_does_not_answer_pings_is_given_up_for_that_reason,
    any_byte_counts_as_a_sign_of_life,
    a_client_keeps_fragments_pings_and_messages_apart,
    a_server_keeps_fragments_pings_and_messages_apart,
    a_client_fails_the_connection_with_the_right_code,
    a_server_fails_the_connection_with_the_right_code,
    text_is_refused_at_its_first_bad_byte,
    a_close_frame_has_left_when_the_end_is_told,
    a_close_of_the_server_is_echoed_and_told_once,
    our_close_waits_for_the_echo_and_delivers_what_comes_before,
    our_close_waits_no_longer_than_its_deadline,
    an_end_without_a_close_frame_is_1006,
    a_server_echoes_a_close_and_then_ends_the_stream,
);
