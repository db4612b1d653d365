//! A runtime in memory, with both ends of each connection: client and server, and whose futures are
//! dropped where they wait.

use crate::scripted::{Drops, Never, Random};
use futures_io::{AsyncRead, AsyncWrite};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, Ready, poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tidewire_runtime::{ListenOptions, Runtime, SocketOptions, Spawn};

/// What a connection holds of one direction, in bytes, before its writer waits.
const CAPACITY: usize = 2000;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The runtime: sockets that give and take as many bytes a poll as a seed says, one listener, and
/// tasks that are polled when they were woken and at no other time. No time passes.
#[derive(Clone)]
pub struct Memory(Rc<State>);

struct State {
    random: RefCell<Random>,
    drops: RefCell<Drops>,
    waits: Cell<usize>,
    spawned: RefCell<Vec<Task>>,
    /// Connections that were made and not accepted.
    backlog: RefCell<VecDeque<End>>,
    acceptor: RefCell<Option<Waker>>,
}

/// One end of a connection.
pub struct End {
    runtime: Memory,
    input: Rc<RefCell<Pipe>>,
    output: Rc<RefCell<Pipe>>,
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// Its writer has ended it.
    ended: bool,
    /// Its reader is gone.
    deaf: bool,
    /// Whoever waits for what the other end does.
    waiting: [Option<Waker>; 2],
}

impl Pipe {
    fn wake(&mut self) {
        self.waiting.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}

impl Memory {
    /// `seed` decides how many bytes go at a time, and `drops` which futures of
    /// [`insist`](Self::insist) and [`attempt`](Self::attempt) are dropped.
    #[must_use]
    pub fn new(seed: u64, drops: Drops) -> Self {
        Self(Rc::new(State {
            random: RefCell::new(Random::new(seed)),
            drops: RefCell::new(drops),
            waits: Cell::new(0),
            spawned: RefCell::default(),
            backlog: RefCell::default(),
            acceptor: RefCell::default(),
        }))
    }

    /// How often a future that may be dropped had to wait.
    #[must_use]
    pub fn waits(&self) -> usize {
        self.0.waits.get()
    }

    /// The value of `future`, or nothing if it was dropped.
    pub async fn attempt<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.is_to_drop() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// The value of the futures that `make` makes: another one for each that was dropped.
    pub async fn insist<T>(&self, mut make: impl AsyncFnMut() -> T) -> T {
        loop {
            if let Some(value) = self.attempt(make()).await {
                return value;
            }
        }
    }

    fn is_to_drop(&self) -> bool {
        self.0.waits.set(self.0.waits.get() + 1);
        match &mut *self.0.drops.borrow_mut() {
            Drops::None => false,
            Drops::At(wait) => *wait == self.0.waits.get(),
            Drops::Any(random) => random.below(2) == 0,
        }
    }

    /// Runs `program` and all tasks until all of them are over.
    ///
    /// # Panics
    /// If one waits for something that will not wake it.
    pub fn run(&self, program: impl Future<Output = ()> + 'static) {
        let mut tasks: Vec<(Task, Arc<Woken>)> = Vec::new();
        self.0.spawned.borrow_mut().push(Box::pin(program));
        loop {
            let spawned = self.0.spawned.take();
            tasks.extend(spawned.into_iter().map(|task| (task, Arc::new(Woken(true.into())))));
            if tasks.is_empty() {
                return;
            }
            let mut polled = false;
            tasks.retain_mut(|(task, woken)| {
                if !woken.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                polled = true;
                let waker = Waker::from(woken.clone());
                task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            assert!(polled, "{} tasks wait, and nothing wakes them", tasks.len());
        }
    }

    /// How many bytes go now, `most` at the most; none in half of the polls.
    fn grant(&self, cx: &Context<'_>, most: usize) -> Poll<usize> {
        let mut random = self.0.random.borrow_mut();
        match random.below(10) {
            0..5 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            5..7 => Poll::Ready(most.min(1)),
            _ => Poll::Ready(most.min(1 + random.below(700) as usize)),
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let pipe = &mut *self.input.borrow_mut();
        let there = pipe.bytes.len().min(buf.len());
        if there == 0 {
            if pipe.ended {
                return Poll::Ready(Ok(0));
            }
            pipe.waiting[0] = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.runtime.grant(cx, there).map(|n| {
            buf.iter_mut().zip(pipe.bytes.drain(..n)).for_each(|(to, from)| *to = from);
            pipe.wake();
            Ok(n)
        })
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let pipe = &mut *self.output.borrow_mut();
        if pipe.deaf || pipe.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = buf.len().min(CAPACITY - pipe.bytes.len());
        if room == 0 {
            pipe.waiting[1] = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.runtime.grant(cx, room).map(|n| {
            pipe.bytes.extend(&buf[..n]);
            pipe.wake();
            Ok(n)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.runtime.grant(cx, 1).map(|_| {
            let pipe = &mut *self.output.borrow_mut();
            pipe.ended = true;
            pipe.wake();
            Ok(())
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        for pipe in [&self.input, &self.output] {
            pipe.borrow_mut().wake();
        }
        self.input.borrow_mut().deaf = true;
        self.output.borrow_mut().ended = true;
    }
}

/// Waits for the next connection.
pub struct Accept(Memory);

impl Future for Accept {
    type Output = io::Result<(End, SocketAddr)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0.grant(cx, 1).is_pending() {
            return Poll::Pending;
        }
        match self.0.0.backlog.borrow_mut().pop_front() {
            Some(end) => Poll::Ready(Ok((end, SocketAddr::from(([127, 0, 0, 1], 1))))),
            None => {
                *self.0.0.acceptor.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Makes a connection, in time.
pub struct Connect(Memory);

impl Future for Connect {
    type Output = io::Result<End>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.grant(cx, 1).map(|_| {
            let pipes = [(); 2].map(|()| Rc::<RefCell<Pipe>>::default());
            let runtime = || self.0.clone();
            let [there, back] = pipes;
            let server = End { runtime: runtime(), input: there.clone(), output: back.clone() };
            self.0.0.backlog.borrow_mut().push_back(server);
            if let Some(acceptor) = self.0.0.acceptor.take() {
                acceptor.wake();
            }
            Ok(End { runtime: runtime(), input: back, output: there })
        })
    }
}

impl Runtime for Memory {
    type Stream = End;
    type Listener = ();
    type Timer = Never;
    type Resolve = Ready<io::Result<Vec<SocketAddr>>>;
    type Connect = Connect;
    type Accept = Accept;

    fn resolve(&self, _host: &str, port: u16) -> Self::Resolve {
        ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]))
    }

    fn connect(&self, _address: SocketAddr, _options: &SocketOptions) -> Connect {
        Connect(self.clone())
    }

    fn listen(&self, _address: SocketAddr, _options: &ListenOptions) -> io::Result<()> {
        Ok(())
    }

    fn accept(&self, (): &()) -> Accept {
        Accept(self.clone())
    }

    fn local_addr(&self, (): &()) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 80)))
    }

    fn set_options(&self, _stream: &End, _options: &SocketOptions) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&self, _stream: &End) -> io::Result<()> {
        Ok(())
    }

    fn timer(&self) -> Never {
        Never
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Memory {
    fn spawn(&self, future: F) {
        self.0.spawned.borrow_mut().push(Box::pin(future));
    }
}
