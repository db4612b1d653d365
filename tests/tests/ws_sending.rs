//! Every way to send on a `WebSocket`, and what a reader leaves to others.
#![cfg(feature = "net")]

use bytes::Bytes;
use std::future::poll_fn;
use std::pin::Pin;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{CloseCode, Closed, Config, Delivery, Event, MessageKind, SendError};
use tidewire_runtime::{Error, WebSocket};
use tidewire_tests::frames::{
    BINARY, BINARY_BEGINS, CLOSE, CONTINUES, ENDS, Frame, PING, PONG, TEXT, TEXT_BEGINS, close,
    frame,
};
use tidewire_tests::scripted::{Peer, Scripted};

const STREAMING: fn() -> Config = || Config { delivery: Delivery::Streaming, ..Config::default() };

async fn open(script: Vec<u8>, config: Config) -> (WebSocket<Scripted>, Scripted) {
    let runtime = Scripted::new(1, [Peer::new(script, |_| Vec::new())]);
    let request = Request::new("ws://h/").unwrap();
    (WebSocket::connect(runtime.clone(), &request, config).await.unwrap().0, runtime)
}

fn say(frames: &[Frame]) -> Vec<(u8, &str)> {
    frames.iter().map(|it| (it.first, std::str::from_utf8(&it.payload).unwrap())).collect()
}

#[test]
fn each_way_to_send_is_its_frame() {
    smol::block_on(async {
        let config = Config { message_kind: MessageKind::Binary, ..Config::default() };
        let (mut socket, runtime) = open(Vec::new(), config).await;
        let shared = Bytes::from_static(b"shared");
        socket.send_text("1").await.unwrap();
        socket.send_binary(b"2").await.unwrap();
        socket.send(b"3").await.unwrap();
        socket.send_shared(MessageKind::Text, &shared).await.unwrap();
        socket.send_ping(b"4").await.unwrap();
        socket.send_pong(b"5").await.unwrap();
        socket.queue_text("6").unwrap();
        socket.queue_binary(b"7").unwrap();
        socket.queue(b"8").unwrap();
        socket.queue_shared(MessageKind::Binary, &shared).unwrap();
        socket.queue_ping(b"9").unwrap();
        socket.queue_pong(b"10").unwrap();
        assert_eq!(
            socket.queue_shared(MessageKind::Text, &Bytes::from_static(b"\xFF")),
            Err(SendError::NotUtf8)
        );
        assert_eq!(socket.queue_ping(&[0; 126]), Err(SendError::ControlTooLong));
        assert!(socket.queued() > 0);
        socket.flush().await.unwrap();
        assert_eq!(socket.queued(), 0);
        assert_eq!(
            say(&runtime.received(0)),
            [
                (TEXT, "1"),
                (BINARY, "2"),
                (BINARY, "3"),
                (TEXT, "shared"),
                (PING, "4"),
                (PONG, "5"),
                (TEXT, "6"),
                (BINARY, "7"),
                (BINARY, "8"),
                (BINARY, "shared"),
                (PING, "9"),
                (PONG, "10"),
            ]
        );
    });
}

/// RFC 6455, 5.4: control frames may stand in the midst of a message, other messages not. A writer that
/// is gone ends nothing.
#[test]
fn a_message_that_was_begun_is_ended_by_its_end_alone() {
    smol::block_on(async {
        let (mut socket, runtime) = open(Vec::new(), Config::default()).await;
        let mut message = socket.start_message(MessageKind::Text).unwrap();
        message.send_chunk(b"h\xC3").await.unwrap();
        assert!(matches!(
            message.send_chunk(b"\xC3").await,
            Err(Error::WebSocketSend(SendError::NotUtf8))
        ));
        // A text cannot end there.
        assert!(message.finish().await.is_err());
        socket.send_ping(b"!").await.unwrap();
        assert!(matches!(
            socket.send_text("other").await,
            Err(Error::WebSocketSend(SendError::Unfinished))
        ));
        assert!(socket.start_message(MessageKind::Text).is_err());
        socket.unfinished_message().unwrap().queue_end(b"\xA9").unwrap();
        assert!(socket.unfinished_message().is_none());
        let _ = socket.start_message(MessageKind::Binary).unwrap();
        socket.unfinished_message().unwrap().send_chunk(b"no end").await.unwrap();
        assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
        assert!(socket.unfinished_message().is_none());
        let frames: Vec<_> =
            runtime.received(0).into_iter().map(|it| (it.first, it.payload)).collect();
        let expected: [(u8, &[u8]); 5] = [
            (TEXT_BEGINS, b"h\xC3"),
            (PING, b"!"),
            (ENDS, b"\xA9"),
            (BINARY_BEGINS, b"no end"),
            (CLOSE, b"\x03\xE8"),
        ];
        assert_eq!(frames, expected.map(|(first, payload)| (first, payload.to_vec())));
    });
}

async fn read<const N: usize>(socket: &mut WebSocket<Scripted>) -> String {
    let mut buf = [0; N];
    let mut message = socket.unread_message().expect("one has begun");
    let n = poll_fn(|cx| futures_io::AsyncRead::poll_read(Pin::new(&mut message), cx, &mut buf));
    let n = n.await.unwrap();
    String::from_utf8(buf[..n].to_vec()).unwrap()
}

fn three() -> Vec<u8> {
    [
        frame(TEXT_BEGINS, "first"),
        frame(CONTINUES, " and"),
        frame(ENDS, " last"),
        frame(BINARY, "second"),
        frame(TEXT, "third"),
        frame(CLOSE, close(1000, "")),
    ]
    .concat()
}

/// What one reader leaves, another, events or the next message begin with; never in the midst of
/// something else.
#[test]
fn what_a_reader_leaves_is_not_lost_and_not_mistaken() {
    smol::block_on(async {
        let (mut socket, _) = open(three(), STREAMING()).await;
        assert!(socket.unread_message().is_none());
        let message = socket.next_message().await.unwrap().unwrap();
        assert_eq!(message.kind(), MessageKind::Text);
        assert_eq!(read::<1>(&mut socket).await, "f");
        let Some(Event::Chunk(rest)) = socket.next().await else { panic!() };
        assert!("irst".as_bytes().starts_with(rest), "{rest:?}");
        // The rest of the first is skipped.
        let mut second = socket.next_message().await.unwrap().unwrap();
        assert_eq!((second.kind(), second.length()), (MessageKind::Binary, Some(6)));
        assert!(matches!(second.read_all(5).await, Err(Error::TooLarge { limit: 5 })));
        let mut third = socket.next_message().await.unwrap().unwrap();
        assert_eq!(third.read_all(5).await.unwrap(), b"third");
        assert_eq!(third.chunk().await.unwrap(), None);
        assert!(socket.unread_message().is_none());
        assert!(socket.next_message().await.unwrap().is_none());
        assert!(socket.next_message().await.unwrap().is_none());
    });
}

#[test]
fn whole_messages_have_readers_too() {
    smol::block_on(async {
        let (mut socket, _) = open(three(), Config::default()).await;
        let first = socket.next_message().await.unwrap().unwrap();
        assert_eq!(first.length(), Some(14));
        assert_eq!(read::<5>(&mut socket).await, "first");
        assert_eq!(read::<50>(&mut socket).await, " and last");
        assert_eq!(read::<50>(&mut socket).await, "");
        assert!(socket.next_message().await.unwrap().is_some());
        assert_eq!(socket.next().await, Some(Event::Text("third")));
    });
}

/// Half a message is an error, not an end.
#[test]
fn a_connection_that_ends_in_a_message_fails_its_reader() {
    smol::block_on(async {
        let script = [frame(TEXT_BEGINS, "half"), frame(CLOSE, close(1000, ""))].concat();
        let (mut socket, _) = open(script, STREAMING()).await;
        let mut message = socket.next_message().await.unwrap().unwrap();
        let error = message.read_all(100).await.unwrap_err();
        assert!(matches!(error, Error::WebSocket(Closed::Clean { .. })), "{error}");
        assert!(socket.next_message().await.unwrap().is_none());
    });
}
