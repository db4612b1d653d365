//! The halves of a `WebSocket` in any number of tasks, polled in any order and dropped anywhere, over
//! a transport that a seed decides on: no message is lost, torn or doubled, and nobody sleeps who will
//! not be woken.
#![cfg(feature = "net")]

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::handshake::ServerOptions;
use tidewire_runtime::ws::{
    ClientConfig, ClientEvent, CloseCode, Closed, Config, Event, Negotiated, Role, SendError,
    WhileDown,
};
use tidewire_runtime::{
    ByteStream, Client, Error, Exchange, Message, Runtime, SendRuntime, WebSocket,
    WebSocketReceiver, WebSocketSender,
};
use tidewire_tests::frames::{CLOSE, Frame, PING, TEXT, close, frame, masked};
use tidewire_tests::net::{RawPeer, Smol, background, in_time, listener, serve, sleep};
use tidewire_tests::on_every_runtime;
use tidewire_tests::scripted::{Peer, Random, Scripted};

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Tasks that are woken, polled in an order that a seed decides on.
struct Tasks<'a> {
    random: &'a RefCell<Random>,
    tasks: Vec<(Arc<Flag>, Task<'a>)>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Tasks<'a> {
    fn new(random: &'a RefCell<Random>) -> Self {
        Self { random, tasks: Vec::new() }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + 'a) {
        self.tasks.push((Arc::new(Flag(AtomicBool::new(true))), Box::pin(task)));
    }

    /// Runs all of them to their end.
    fn run(mut self, network: &Scripted) {
        while !self.tasks.is_empty() {
            let woken: Vec<_> = (0..self.tasks.len())
                .filter(|&at| self.tasks[at].0.0.load(Ordering::Relaxed))
                .collect();
            let choice = self.random.borrow_mut().below(woken.len() as u64 + 1) as usize;
            let Some(&at) = woken.get(choice) else {
                let rang = network.ring();
                assert!(
                    rang || !woken.is_empty(),
                    "{} wait, and nothing wakes them",
                    self.tasks.len()
                );
                continue;
            };
            let (flag, task) = &mut self.tasks[at];
            flag.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(flag.clone());
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                drop(self.tasks.swap_remove(at));
            }
        }
    }
}

/// The value of `future`, or nothing: one time in `odds`, when it waits, it is dropped.
async fn or_drop<T>(
    random: &RefCell<Random>,
    odds: u64,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if odds > 0 && random.borrow_mut().below(odds) == 0 => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Messages come back as they went.
fn echo(got: &Frame) -> Vec<u8> {
    if got.first & 8 == 0 { frame(got.first, &got.payload) } else { Vec::new() }
}

fn silent(_frame: &Frame) -> Vec<u8> {
    Vec::new()
}

/// Room for a few messages.
fn tight() -> Config {
    Config { send_high_water: 4000, send_low_water: 1000, ..Config::default() }
}

fn connect(network: &Scripted, config: Config) -> WebSocket<Scripted> {
    let request = Request::new("ws://h/").unwrap();
    let connected = WebSocket::connect(network.clone(), &request, config);
    let socket = ::smol::block_on(connected).unwrap().0;
    network.be_late();
    socket
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

/// The texts that a peer has received: of each sender in order, none twice, and all that were `done`.
fn check(received: &[Frame], done: &[Vec<usize>]) -> Vec<(usize, usize)> {
    let texts = received.iter().filter(|it| it.first == TEXT);
    let arrived: Vec<_> =
        texts.map(|it| known(std::str::from_utf8(&it.payload).unwrap())).collect();
    for (sender, done) in done.iter().enumerate() {
        let of = arrived.iter().filter(|it| it.0 == sender).map(|it| it.1);
        let of: Vec<_> = of.collect();
        assert!(of.is_sorted_by(|a, b| a < b), "sender {sender} out of order, or twice: {of:?}");
        assert!(done.iter().all(|number| of.contains(number)), "{sender}: {done:?}, {of:?}");
    }
    arrived
}

const SEEDS: u64 = 300;
const SENDERS: usize = 5;
const MESSAGES: usize = 12;

/// Sends until all are done; those that were dropped may have left.
async fn send_all<R: Runtime>(
    sender: WebSocketSender<R>,
    index: usize,
    random: &RefCell<Random>,
    odds: u64,
    done: &RefCell<Vec<Vec<usize>>>,
) {
    for number in 0..MESSAGES {
        if let Some(sent) = or_drop(random, odds, sender.send_text(&message(index, number))).await {
            sent.unwrap();
            done.borrow_mut()[index].push(number);
        }
    }
}

/// Some are dropped where they wait, some not; the last to be done begins to close.
#[test]
fn any_order_of_polls_and_drops_loses_nothing() {
    let mut dropped = 0;
    for seed in 0..SEEDS {
        let network = Scripted::new(seed, [Peer::new(Vec::new(), echo)]);
        let (sender, mut receiver) = connect(&network, tight()).split();
        let (random, odds) = (RefCell::new(Random::new(seed)), [0, 20, 5, 2][seed as usize % 4]);
        let done = RefCell::new(vec![Vec::new(); SENDERS]);
        let (left, told, closed) = (Cell::new(SENDERS), RefCell::new(Vec::new()), Cell::new(None));
        let mut tasks = Tasks::new(&random);
        for index in 0..SENDERS {
            let (sender, random, done, left) = (sender.clone(), &random, &done, &left);
            tasks.spawn(async move {
                send_all(sender.clone(), index, random, odds, done).await;
                left.set(left.get() - 1);
                if left.get() == 0 {
                    sender.close(CloseCode::NORMAL, "all").await.unwrap();
                }
            });
        }
        tasks.spawn(async {
            loop {
                match or_drop(&random, odds, receiver.next()).await {
                    None | Some(Some(Event::Drained)) => {}
                    Some(Some(Event::Text(text))) => told.borrow_mut().push(known(text)),
                    Some(Some(Event::Closed { why, .. })) => closed.set(Some(why.is_clean())),
                    Some(None) => break,
                    Some(other) => panic!("{other:?}"),
                }
            }
        });
        tasks.run(&network);
        let arrived = check(&network.received(0), &done.borrow());
        assert_eq!(*told.borrow(), arrived, "seed {seed}");
        assert_eq!(closed.get(), Some(true), "seed {seed}");
        dropped += SENDERS * MESSAGES - done.borrow().iter().map(Vec::len).sum::<usize>();
    }
    assert!(dropped > 1000, "{dropped} futures were dropped, which tells little");
}

/// Nobody takes an event while the senders send, then the halves are one again.
#[test]
fn senders_need_no_receiver_that_is_polled() {
    for seed in 0..SEEDS {
        let network = Scripted::new(seed, [Peer::new(Vec::new(), echo)]);
        let (sender, receiver) = connect(&network, tight()).split();
        let (random, odds) = (RefCell::new(Random::new(seed)), [0, 4][seed as usize % 2]);
        let done = RefCell::new(vec![Vec::new(); SENDERS]);
        let mut tasks = Tasks::new(&random);
        for index in 0..SENDERS {
            tasks.spawn(send_all(sender.clone(), index, &random, odds, &done));
        }
        tasks.run(&network);
        let mut socket = receiver.reunite(sender).unwrap();
        let told = RefCell::new(Vec::new());
        let mut tasks = Tasks::new(&random);
        tasks.spawn(async {
            socket.flush().await.unwrap();
            let all = check(&network.received(0), &done.borrow()).len();
            while told.borrow().len() < all {
                match socket.next().await {
                    Some(Event::Text(text)) => told.borrow_mut().push(known(text)),
                    Some(Event::Drained) => {}
                    other => panic!("{other:?}"),
                }
            }
        });
        tasks.run(&network);
        assert_eq!(*told.borrow(), check(&network.received(0), &done.borrow()));
    }
}

/// The halves of a client: its senders wait across the loss of a connection, and what they send on the
/// one that is open arrives.
#[test]
fn the_senders_of_a_client_outlive_its_connections() {
    for seed in 0..SEEDS {
        let script = [frame(TEXT, "hi"), frame(CLOSE, close(1000, ""))].concat();
        let network = Scripted::new(seed, [Peer::new(script, silent), Peer::new(Vec::new(), echo)]);
        network.be_late();
        let config = ClientConfig {
            connection: tight(),
            while_down: WhileDown::Queue { bytes: 3000 },
            // Without a policy nothing is kept between an end and the call that asks for another one.
            reconnect: Some(Policy::fixed(Duration::from_secs(3600))),
            ..ClientConfig::default()
        };
        let request = Request::new("ws://h/").unwrap();
        let client = Client::new(network.clone(), request, config).unwrap();
        let (sender, mut receiver) = client.split();
        let (random, odds) = (RefCell::new(Random::new(seed)), [0, 20, 5][seed as usize % 3]);
        let control = receiver.sender();
        let (left, opened, closed) = (Cell::new(SENDERS), Cell::new(0), Cell::new(0));
        let sure = RefCell::new(vec![Vec::new(); SENDERS]);
        let mut tasks = Tasks::new(&random);
        for index in 0..SENDERS {
            let (sender, random, sure) = (sender.clone(), &random, &sure);
            let (left, opened) = (&left, &opened);
            tasks.spawn(async move {
                for number in 0..MESSAGES {
                    let is_last = opened.get() == 2;
                    let text = message(index, number);
                    if let Some(sent) = or_drop(random, odds, sender.send_text(&text)).await {
                        sent.unwrap();
                        if is_last {
                            sure.borrow_mut()[index].push(number);
                        }
                    }
                }
                left.set(left.get() - 1);
                if left.get() == 0 {
                    while opened.get() < 2 {
                        give_way().await;
                    }
                    sender.send_text("end").await.unwrap();
                }
            });
        }
        tasks.spawn(async {
            let look = |event: ClientEvent<'_>| match event {
                ClientEvent::Open(_) => opened.set(opened.get() + 1),
                ClientEvent::Text("end") => control.close(CloseCode::NORMAL, "").unwrap(),
                ClientEvent::Closed { .. } => {
                    closed.set(closed.get() + 1);
                    if opened.get() == 1 {
                        assert!(control.reconnect(Duration::ZERO));
                    }
                }
                _ => {}
            };
            while !matches!(or_drop(&random, odds, receiver.next_with(look)).await, Some(None)) {}
        });
        tasks.run(&network);
        assert_eq!((opened.get(), closed.get()), (2, 2), "seed {seed}");
        let mut received = [network.received(0), network.received(1)].concat();
        received.retain(|it| it.payload != b"end");
        check(&received, &sure.into_inner());
    }
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
        match sender.send_text("kept").await {
            Err(Error::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
            other => panic!("{other:?}"),
        }
        assert!(matches!(receiver.next().await, Some(Event::Closed { why: Closed::Eof, .. })));
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
