//! Step by step, over a transport that takes and says what it is told to.

use super::{Flag, silent};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{CloseCode, Closed, Config, Event, Negotiated, Role, SendError};
use tidewire_runtime::{ByteStream, Error, Message, WebSocket};
use tidewire_tests::frames::{CLOSE, Frame, PING, TEXT, close, frame, masked};
use tidewire_tests::net::{Smol, in_time};
use tidewire_tests::scripted::{Peer, Scripted};

/// Takes all that is written while it is open, and says what it is told to.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<GateState>>);

#[derive(Default)]
struct GateState {
    open: bool,
    /// Writing fails.
    broken: bool,
    /// What was taken does not leave.
    stuck: bool,
    /// What it took.
    written: Vec<u8>,
    /// Whom to wake when it opens.
    writer: Option<Waker>,
    /// What it says.
    said: Vec<u8>,
    /// Then it says zeros, and never pauses.
    floods: bool,
}

impl Gate {
    fn new(open: bool) -> Self {
        let gate = Self::default();
        gate.with(|gate| gate.open = open);
        gate
    }

    fn with<T>(&self, work: impl FnOnce(&mut GateState) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn open(&self) {
        let writer = self.with(|gate| {
            gate.open = true;
            gate.writer.take()
        });
        writer.into_iter().for_each(Waker::wake);
    }

    /// What was written, in texts.
    fn texts(&self) -> Vec<String> {
        let mut written = self.with(|gate| gate.written.clone());
        let frames = std::iter::from_fn(|| Frame::take(&mut written));
        frames.map(|it| String::from_utf8(it.payload).unwrap()).collect()
    }

    fn socket(&self, config: Config) -> WebSocket<Smol> {
        let stream = ByteStream::boxed(self.clone());
        WebSocket::from_stream(Smol, stream, Role::Server, Negotiated::default(), config).unwrap()
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|gate| {
            let n = gate.said.len().min(buf.len());
            if n > 0 {
                buf[..n].copy_from_slice(&gate.said[..n]);
                gate.said.drain(..n);
                return Poll::Ready(Ok(n));
            }
            if gate.floods { Poll::Ready(Ok(buf.len())) } else { Poll::Pending }
        })
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|gate| {
            if gate.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if !gate.open {
                gate.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            gate.written.extend_from_slice(buf);
            Poll::Ready(Ok(buf.len()))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.with(|gate| gate.stuck) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A future with its own flag.
struct Polled<'a, T>(Arc<Flag>, Pin<Box<dyn Future<Output = T> + 'a>>);

impl<'a, T> Polled<'a, T> {
    /// Polled once.
    fn once(future: impl Future<Output = T> + 'a) -> Self {
        let mut polled = Self(Arc::new(Flag(AtomicBool::new(false))), Box::pin(future));
        assert!(polled.poll().is_pending());
        polled
    }

    fn poll(&mut self) -> Poll<T> {
        let waker = Waker::from(self.0.clone());
        self.1.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.0.0.swap(false, Ordering::Relaxed)
    }
}

/// One is woken at a time; whoever is dropped makes way for the next.
#[test]
fn senders_that_wait_go_in_the_order_in_which_they_came() {
    let gate = Gate::new(false);
    let config = Config { send_high_water: 1, ..Config::default() };
    let (sender, _receiver) = gate.socket(config).split();
    let mut all: Vec<_> = (0..6)
        .map(|number| {
            let sender = sender.clone();
            Some(Polled::once(async move { sender.send_text(&number.to_string()).await }))
        })
        .collect();
    assert_eq!(sender.queue_text("barges in"), Err(SendError::Full));
    gate.open();
    let woken = |all: &[Option<Polled<'_, _>>]| {
        let woken = all.iter().enumerate();
        woken.filter_map(|(at, it)| it.as_ref()?.is_woken().then_some(at)).collect::<Vec<_>>()
    };
    assert_eq!(woken(&all), [0]);
    // It waits no more for what it has queued. The next has room, and is dropped before it knows.
    drop(all[0].take());
    assert_eq!(woken(&all), [1]);
    drop(all[1].take());
    assert_eq!(woken(&all), [2]);
    drop(all[4].take());
    assert!(woken(&all).is_empty());
    for number in [2, 3, 5] {
        let mut next = all[number].take().unwrap();
        assert!(matches!(next.poll(), Poll::Ready(Ok(()))), "{number}");
        let rest: Vec<_> = woken(&all);
        assert_eq!(rest, all.iter().position(Option::is_some).into_iter().collect::<Vec<_>>());
    }
    assert_eq!(gate.texts(), ["0", "2", "3", "5"]);
}

/// However fast the peer takes all, other tasks get their turn.
#[test]
fn a_sender_that_never_waits_lets_others_run() {
    let gate = Gate::new(true);
    let (sender, _receiver) = gate.socket(Config::default()).split();
    let mut endless = Polled::once(async {
        loop {
            sender.send_text("more").await.unwrap();
        }
    });
    assert!(endless.is_woken());
    let sent = gate.texts().len();
    assert!((100..1000).contains(&sent), "{sent} in one poll");
    let _: Poll<()> = endless.poll();
    assert!(gate.texts().len() > sent);
}

/// What is only queued leaves by a receiver that waits already.
#[test]
fn queueing_wakes_the_receiver() {
    let gate = Gate::new(true);
    let (sender, mut receiver) = gate.socket(Config::default()).split();
    let mut next = Polled::once(receiver.next());
    sender.queue_text("queued").unwrap();
    assert!(gate.texts().is_empty() && next.is_woken());
    assert!(next.poll().is_pending());
    assert_eq!(gate.texts(), ["queued"]);
}

/// A connection is closed by a sender: those that wait are told, and what was queued before leaves.
#[test]
fn closing_ends_the_wait_of_senders() {
    let gate = Gate::new(false);
    let config = Config { send_high_water: 1, ..Config::default() };
    let (sender, _receiver) = gate.socket(config).split();
    let mut first = Polled::once(sender.send_text("first"));
    let mut second = Polled::once(sender.send_text("second"));
    let mut closing = Polled::once(sender.close(CloseCode::NORMAL, ""));
    assert!(second.is_woken());
    let refused = second.poll();
    assert!(matches!(refused, Poll::Ready(Err(Error::WebSocketSend(SendError::Closing)))));
    assert!(!sender.is_open());
    gate.open();
    assert!(first.is_woken());
    assert!(matches!(first.poll(), Poll::Ready(Ok(()))));
    assert!(closing.is_woken());
    assert!(matches!(closing.poll(), Poll::Ready(Ok(()))));
    assert_eq!(sender.queued(), 0);
}

/// What a sender waits for may come while an event is looked at. It is told then, not woken over and
/// over, and the counters say what they said.
#[test]
fn nobody_is_woken_in_vain_while_an_event_is_looked_at() {
    let gate = Gate::new(false);
    let (sender, mut receiver) = gate.socket(Config::default()).split();
    let mut sending = Polled::once(sender.send_text("leaves"));
    gate.with(|gate| gate.said = masked(TEXT, "comes"));
    gate.open();
    assert!(sending.is_woken());
    {
        let mut next = pin!(receiver.next_with(|event| {
            assert_eq!(event, Event::Text("comes"));
            assert_eq!(gate.texts(), ["leaves"]);
            assert!(sending.is_woken());
            assert!(sending.poll().is_pending() && !sending.is_woken());
            assert_eq!(sender.stats().bytes.received, masked(TEXT, "comes").len() as u64);
        }));
        let told = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(told, Poll::Ready(Some(())));
    }
    assert!(sending.is_woken());
    assert!(matches!(sending.poll(), Poll::Ready(Ok(()))));
}

/// A sender finds that nothing can be written any more, and the transport says nothing to who reads.
#[test]
fn the_receiver_is_told_of_a_write_that_fails() {
    let gate = Gate::new(true);
    let (sender, mut receiver) = gate.socket(Config::default()).split();
    let mut next = Polled::once(receiver.next());
    gate.with(|gate| gate.broken = true);
    let mut sending = Polled(next.0.clone(), Box::pin(sender.send_text("lost")));
    assert!(matches!(sending.poll(), Poll::Ready(Err(Error::Io(_)))));
    assert!(next.is_woken());
    assert!(matches!(next.poll(), Poll::Ready(Some(Event::Closed { why: Closed::Eof, .. }))));
}

/// A stream that buffers, as TLS does, has taken all, so that nothing waits above it; the deadline holds
/// for what it keeps.
#[test]
fn what_a_stream_keeps_has_the_deadline_of_all_that_is_written() {
    let gate = Gate::new(true);
    gate.with(|gate| gate.stuck = true);
    let config = Config { write_timeout: Some(Duration::from_millis(50)), ..Config::default() };
    let (sender, mut receiver) = gate.socket(config).split();
    ::smol::block_on(in_time(Smol, async {
        let sent = sender.send_text("kept").await;
        assert!(matches!(sent, Err(Error::WebSocket(Closed::WriteTimeout))), "{sent:?}");
        assert!(matches!(
            receiver.next().await,
            Some(Event::Closed { why: Closed::WriteTimeout, .. })
        ));
    }));
    assert_eq!(gate.texts(), ["kept"]);
}

/// RFC 6455, 5.5.1: behind a Close frame comes nothing. A peer that goes on all the same takes no more
/// time than others leave.
#[test]
fn a_peer_that_never_pauses_keeps_no_sender_busy() {
    let gate = Gate::new(true);
    let (sender, mut receiver) = gate.socket(Config::default()).split();
    gate.with(|gate| (gate.said, gate.floods) = (masked(CLOSE, close(1000, "")), true));
    let mut next = Polled(Arc::new(Flag(AtomicBool::new(false))), Box::pin(receiver.next()));
    assert!(matches!(next.poll(), Poll::Ready(Some(Event::Closed { .. }))));
    let before = sender.stats().bytes.received;
    let mut flushing = Polled(next.0.clone(), Box::pin(sender.flush()));
    assert!(matches!(flushing.poll(), Poll::Ready(Ok(()))));
    assert!(sender.stats().bytes.received > before, "what is discarded counts");
}

fn three() -> Vec<u8> {
    [frame(TEXT, "one"), frame(PING, "two"), frame(TEXT, "three")].concat()
}

/// `next_with` lends where it was received. The program may send in there, and panic.
#[test]
fn a_callback_may_send_and_panic() {
    ::smol::block_on(async {
        let network = Scripted::new(3, [Peer::new(three(), silent)]);
        let request = Request::new("ws://h/").unwrap();
        let socket = WebSocket::connect(network.clone(), &request, Config::default()).await;
        let (sender, mut receiver) = socket.unwrap().0.split();
        {
            let mut panics = pin!(receiver.next_with(|event| {
                assert_eq!(event, Event::Text("one"));
                sender.queue_text("answer").unwrap();
                panic!("in a callback");
            }));
            let panicked = poll_fn(|cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(cx)));
                polled.map_or(Poll::Ready(true), |polled: Poll<Option<()>>| polled.map(|_| false))
            });
            assert!(panicked.await);
        }
        let told = receiver.next_with(|event| event == Event::Ping(b"two")).await;
        assert_eq!(told, Some(true));
        assert_eq!(receiver.next().await, Some(Event::Text("three")));
        // The pong, the text: all is whole.
        sender.send_text("last").await.unwrap();
        let texts: Vec<_> = network.received(0).into_iter().map(|it| it.payload).collect();
        assert_eq!(texts, [&b"answer"[..], b"two", b"last"]);
    });
}

/// As a `Stream` it tells the messages, and an end in order is its end.
#[test]
fn the_receiving_half_is_a_stream() {
    ::smol::block_on(async {
        let script = [three(), frame(CLOSE, close(1000, ""))].concat();
        let network = Scripted::new(4, [Peer::new(script, silent)]);
        let request = Request::new("ws://h/").unwrap();
        let socket = WebSocket::connect(network, &request, Config::default()).await;
        let (_sender, mut receiver) = socket.unwrap().0.split();
        let mut told = Vec::new();
        while let Some(message) = poll_fn(|cx| Pin::new(&mut receiver).poll_next(cx)).await {
            told.push(message.unwrap());
        }
        assert_eq!(told, ["one", "three"].map(|it| Message::Text(it.into())));
    });
}

/// Only the two halves that are left of one connection are one.
#[test]
fn halves_are_joined_only_if_they_are_all_of_one() {
    let halves = || Gate::new(true).socket(Config::default()).split();
    let ((one, receiver), (other, _receiver)) = (halves(), halves());
    let refused = receiver.reunite(other).unwrap_err();
    assert!(!refused.sender.is_same_connection(&one));
    let clone = one.clone();
    let refused = refused.receiver.reunite(one).unwrap_err();
    drop(refused.sender);
    assert!(refused.receiver.reunite(clone).is_ok());
}
