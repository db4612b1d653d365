//! The halves of a `WebSocket` in any number of tasks: no message is lost, torn or doubled, and nobody
//! sleeps who will not be woken.

mod any_order;
mod gate;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Wake};
use std::time::Duration;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::handshake::ServerOptions;
use tidewire_runtime::ws::{CloseCode, Closed, Config, Event};
use tidewire_runtime::{
    Error, Exchange, SendRuntime, WebSocket, WebSocketReceiver, WebSocketSender,
};
use tidewire_tests::frames::{Frame, TEXT, frame};
use tidewire_tests::net::{RawPeer, Smol, background, listener, serve, sleep};
use tidewire_tests::on_every_runtime;

/// Whether it was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const SENDERS: usize = 5;

fn silent(_frame: &Frame) -> Vec<u8> {
    Vec::new()
}

fn message(sender: usize, number: usize) -> String {
    format!("{sender} {number} {}", "x".repeat([3, 900, 40, 0, 2500][(sender + number) % 5]))
}

/// Whose message it is, and which.
fn known(text: &str) -> (usize, usize) {
    let mut words = text.split(' ').map(|word| word.parse().unwrap_or(usize::MAX));
    let (sender, number) = (words.next().unwrap(), words.next().unwrap());
    assert!(text == message(sender, number), "message {sender} {number}");
    (sender, number)
}

/// Lets other tasks run.
async fn give_way() {
    let mut yielded = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Room for a few messages.
fn tight() -> Config {
    Config { send_high_water: 4000, send_low_water: 1000, ..Config::default() }
}

/// Many tasks send at once on threads of their own; the server echoes in one task, with one half of
/// each kind.
async fn many_tasks_send_and_each_message_comes_back<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let socket = exchange.websocket(&ServerOptions::default(), tight()).await?;
        let (sender, mut receiver) = socket.split();
        while let Some(event) = receiver.next().await {
            if let Event::Text(text) = event {
                sender.send_text(text).await?;
            }
        }
        Ok(())
    })
    .await;
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let connected = WebSocket::connect(runtime.clone(), &request, tight()).await;
    let (sender, mut receiver) = connected.unwrap().0.split();
    const EACH: usize = 400;
    let left = Arc::new(AtomicUsize::new(SENDERS));
    for index in 0..SENDERS {
        let (sender, left) = (sender.clone(), left.clone());
        runtime.spawn_send(async move {
            for number in 0..EACH {
                sender.send_text(&message(index, number)).await.unwrap();
            }
            left.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let mut next = [0; SENDERS];
    while next.iter().sum::<usize>() < SENDERS * EACH {
        match receiver.next().await {
            Some(Event::Text(text)) => {
                let (sender, number) = known(text);
                assert_eq!(number, next[sender]);
                next[sender] += 1;
            }
            Some(Event::Drained) => {}
            other => panic!("{other:?}"),
        }
    }
    while left.load(Ordering::Relaxed) > 0 {
        sleep(&runtime, Duration::from_millis(1)).await;
    }
    sender.close(CloseCode::NORMAL, "").await.unwrap();
    let mut socket = receiver.reunite(sender).unwrap();
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
}

/// Much more than sockets and receive buffers hold goes both ways, and nobody receives.
async fn two_peers_that_only_send_do_not_wait_for_each_other<R: SendRuntime>(runtime: R) {
    const SIZE: usize = 300_000;
    /// Whoever is done first takes what comes by sending on.
    async fn send<R: SendRuntime>(
        runtime: R,
        socket: WebSocket<R>,
        done: &AtomicUsize,
    ) -> Result<WebSocketSender<R>, Error> {
        let (sender, data) = (socket.split().0, vec![7; SIZE]);
        for _ in 0..100 {
            sender.send_binary(&data).await?;
        }
        done.fetch_add(1, Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < 2 {
            sender.send_ping(b"").await?;
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        Ok(sender)
    }
    let config = Config { max_message: SIZE, ..Config::default() };
    let done = Arc::new(AtomicUsize::new(0));
    let (theirs, there) = (done.clone(), runtime.clone());
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let (theirs, there) = (theirs.clone(), there.clone());
        async move {
            let socket = exchange.websocket(&ServerOptions::default(), config).await?;
            send(there, socket, &theirs).await?;
            Ok(())
        }
    })
    .await;
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    let connected = WebSocket::connect(runtime.clone(), &request, config).await;
    let sent = send(runtime, connected.unwrap().0, &done).await;
    // The server may have broken the connection off when it was done.
    assert!(sent.is_ok() || done.load(Ordering::Relaxed) == 2, "{sent:?}");
}

/// What was received is told although a sender found the connection's end before it was.
async fn what_was_received_is_told_when_a_sender_finds_the_end<R: SendRuntime>(runtime: R) {
    for split in [false, true] {
        let (listener, address) = listener();
        let (quit, quits) = std::sync::mpsc::channel::<()>();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener);
            let head = peer.read_head();
            peer.send(RawPeer::switching(&head));
            peer.send(frame(TEXT, "unread"));
            let _ = quits.recv();
        });
        let request = Request::new(&format!("ws://{address}/")).unwrap();
        let config =
            Config { write_timeout: Some(Duration::from_millis(200)), ..Config::default() };
        let connected = WebSocket::connect(runtime.clone(), &request, config).await;
        let mut socket = connected.unwrap().0;
        let data = vec![7; 32 << 20];
        let mut told = Vec::new();
        let mut tell = |event: Event<'_>| match event {
            Event::Text(text) => told.push(text.to_owned()),
            Event::Closed { why, .. } => told.push(format!("{why:?}")),
            other => panic!("{other:?}"),
        };
        if split {
            let (sender, mut receiver) = socket.split();
            let failed = sender.send_binary(&data).await;
            assert!(matches!(failed, Err(Error::WebSocket(Closed::WriteTimeout))), "{failed:?}");
            while receiver.next_with(&mut tell).await.is_some() {}
        } else {
            let failed = socket.send_binary(&data).await;
            assert!(matches!(failed, Err(Error::WebSocket(Closed::WriteTimeout))), "{failed:?}");
            while let Some(event) = socket.next().await {
                tell(event);
            }
        }
        assert_eq!(told, ["unread", "WriteTimeout"], "split: {split}");
        drop(quit);
        peer.await;
    }
}

on_every_runtime!(
    many_tasks_send_and_each_message_comes_back,
    two_peers_that_only_send_do_not_wait_for_each_other,
    what_was_received_is_told_when_a_sender_finds_the_end,
);

/// Both halves may live on any thread, and be used from several.
#[test]
fn halves_are_send_and_sync() {
    fn check<T: Send + Sync>() -> usize {
        size_of::<T>()
    }
    // A sender is one pointer.
    assert_eq!(check::<WebSocketSender<Smol>>(), size_of::<usize>());
    assert!(check::<WebSocketReceiver<Smol>>() > 0);
}
