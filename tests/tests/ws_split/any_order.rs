//! Polled in any order and dropped anywhere, over a transport that a seed decides on.

use super::{Flag, SENDERS, give_way, known, message, silent, tight};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{ClientConfig, ClientEvent, CloseCode, Config, Event, WhileDown};
use tidewire_runtime::{Client, Runtime, WebSocket, WebSocketSender};
use tidewire_tests::frames::{CLOSE, Frame, TEXT, close, frame};
use tidewire_tests::scripted::{Peer, Random, Scripted};

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Tasks that are woken, polled in an order that a seed decides on.
struct Tasks<'a> {
    random: &'a RefCell<Random>,
    tasks: Vec<(Arc<Flag>, Task<'a>)>,
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

fn connect(network: &Scripted, config: Config) -> WebSocket<Scripted> {
    let request = Request::new("ws://h/").unwrap();
    let connected = WebSocket::connect(network.clone(), &request, config);
    let socket = ::smol::block_on(connected).unwrap().0;
    network.be_late();
    socket
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
