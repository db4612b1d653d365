//! A runtime without an operating system: its streams give and take as many bytes a poll as a seed
//! says, or none, and the peer stands right behind them.

use crate::frames::{CLOSE, Frame};
use crate::net::RawPeer;
use futures_io::{AsyncRead, AsyncWrite};
use std::collections::VecDeque;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;
use tidewire_runtime::{ListenOptions, Runtime, SocketOptions, Timer};

/// What a peer does with a frame that has arrived: the bytes of its answer.
pub type OnFrame = fn(&Frame) -> Vec<u8>;

/// The runtime. Each connection is made to the next of its peers.
#[derive(Clone)]
pub struct Scripted(Arc<Mutex<State>>);

struct State {
    waiting: VecDeque<Peer>,
    /// What each peer has received, in the order of the connections.
    received: Vec<Vec<Frame>>,
    /// The heads of all requests, in their order.
    requests: Vec<String>,
    random: Random,
    /// Who waits for a ring, if it does not ring by itself.
    late: Option<Vec<Waker>>,
}

impl State {
    /// Wakes a task: now, or when it [rings](Scripted::ring).
    fn wake(&mut self, waker: Waker) {
        match &mut self.late {
            Some(late) => late.push(waker),
            None => waker.wake(),
        }
    }
}

/// A server made of bytes. It answers the opening handshake, and a Close frame if it has sent none;
/// then it ends the stream. Or it answers one request.
pub struct Peer {
    http: bool,
    script: Vec<u8>,
    on_frame: OnFrame,
    index: usize,
    open: bool,
    /// It has sent a Close frame.
    closing: bool,
    ended: bool,
    input: Vec<u8>,
    output: VecDeque<u8>,
    reader: Option<Waker>,
}

impl Peer {
    /// It sends `script` in one go with its answer to the handshake.
    #[must_use]
    pub fn new(script: Vec<u8>, on_frame: OnFrame) -> Self {
        let mut rest = script.clone();
        let closing = std::iter::from_fn(|| Frame::take(&mut rest)).any(|it| it.first == CLOSE);
        Self {
            http: false,
            closing,
            script,
            on_frame,
            index: 0,
            open: false,
            ended: false,
            input: Vec::new(),
            output: VecDeque::new(),
            reader: None,
        }
    }

    /// It answers one request, without a body, with these bytes, and ends the stream.
    #[must_use]
    pub fn http(response: impl Into<Vec<u8>>) -> Self {
        Self { http: true, script: response.into(), ..Self::new(Vec::new(), |_| Vec::new()) }
    }

    /// Takes all of its input that is whole.
    fn work(&mut self, state: &mut State) {
        let received = &mut state.received[self.index];
        if !self.open {
            let Some(end) = self.input.windows(4).position(|end| end == b"\r\n\r\n") else {
                return;
            };
            let head: Vec<u8> = self.input.drain(..end + 4).collect();
            let head = String::from_utf8(head).expect("heads of the tests are text");
            if self.http {
                self.ended = true;
            } else {
                self.output.extend(RawPeer::switching(&head).as_bytes());
            }
            state.requests.push(head);
            self.output.extend(std::mem::take(&mut self.script));
            self.open = true;
        }
        while let Some(frame) = Frame::take(&mut self.input) {
            assert!(!self.ended, "a frame behind a Close frame: {frame:?}");
            assert!(frame.key.is_some(), "a frame without a mask: {frame:?}");
            self.output.extend((self.on_frame)(&frame));
            if frame.first == CLOSE {
                if !self.closing {
                    self.output.extend(crate::frames::frame(CLOSE, &frame.payload));
                }
                self.ended = true;
            }
            received.push(frame);
        }
        if let Some(reader) = self.reader.take() {
            state.wake(reader);
        }
    }
}

impl Scripted {
    /// `seed` decides how many bytes go at a time.
    #[must_use]
    pub fn new(seed: u64, peers: impl IntoIterator<Item = Peer>) -> Self {
        let mut waiting: VecDeque<Peer> = peers.into_iter().collect();
        for (index, peer) in waiting.iter_mut().enumerate() {
            peer.index = index;
        }
        let received = vec![Vec::new(); waiting.len()];
        let (requests, random) = (Vec::new(), Random::new(seed));
        Self(Arc::new(Mutex::new(State { waiting, received, requests, random, late: None })))
    }

    /// From now on no task is woken but by [`ring`](Self::ring), as if there were an operating system
    /// that takes its time.
    pub fn be_late(&self) {
        self.with(|state| {
            state.late.get_or_insert_default();
        });
    }

    /// Wakes the tasks that wait for their streams. Whether there are any.
    #[must_use]
    pub fn ring(&self) -> bool {
        let late = self.with(|state| state.late.as_mut().map(std::mem::take));
        let late = late.unwrap_or_default();
        let any = !late.is_empty();
        late.into_iter().for_each(Waker::wake);
        any
    }

    /// What the peer of that connection has received.
    #[must_use]
    pub fn received(&self, connection: usize) -> Vec<Frame> {
        self.with(|state| state.received[connection].clone())
    }

    /// The heads of all requests, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.with(|state| state.requests.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().expect("no panic while it was held"))
    }

    /// How many bytes go now, `most` at the most; none in half of the polls.
    fn grant(&self, cx: &Context<'_>, most: usize) -> Poll<usize> {
        self.with(|state| match state.random.below(10) {
            0..5 => {
                state.wake(cx.waker().clone());
                Poll::Pending
            }
            5..7 => Poll::Ready(1),
            7..9 => Poll::Ready(1 + state.random.below(most.min(300) as u64) as usize),
            _ => Poll::Ready(most.min(3000)),
        })
    }
}

impl Runtime for Scripted {
    type Stream = Stream;
    type Listener = ();
    type Timer = Never;
    type Resolve = Ready<io::Result<Vec<SocketAddr>>>;
    type Connect = Ready<io::Result<Stream>>;
    type Accept = Ready<io::Result<(Stream, SocketAddr)>>;

    fn resolve(&self, _host: &str, port: u16) -> Self::Resolve {
        ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]))
    }

    fn connect(&self, _address: SocketAddr, _options: &SocketOptions) -> Self::Connect {
        let peer = self.with(|state| state.waiting.pop_front());
        ready(match peer {
            Some(peer) => Ok(Stream { runtime: self.clone(), peer }),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        })
    }

    fn listen(&self, _address: SocketAddr, _options: &ListenOptions) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn accept(&self, (): &()) -> Self::Accept {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn local_addr(&self, (): &()) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_options(&self, _stream: &Stream, _options: &SocketOptions) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&self, _stream: &Stream) -> io::Result<()> {
        Ok(())
    }

    fn timer(&self) -> Never {
        Never
    }
}

/// A connection to a [`Peer`].
pub struct Stream {
    runtime: Scripted,
    peer: Peer,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let there = self.peer.output.len().min(buf.len());
        if there == 0 {
            if self.peer.ended {
                return Poll::Ready(Ok(0));
            }
            self.peer.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.runtime.grant(cx, there).map(|n| {
            for (to, from) in buf.iter_mut().zip(self.peer.output.drain(..n)) {
                *to = from;
            }
            Ok(n)
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.runtime.grant(cx, buf.len()).map(|n| {
            let Self { runtime, peer } = &mut *self;
            peer.input.extend(&buf[..n]);
            runtime.with(|state| peer.work(state));
            Ok(n)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.runtime.grant(cx, 1).map(|_| Ok(()))
    }
}

/// No time passes.
pub struct Never;

impl Timer for Never {
    fn set(&mut self, _at: Instant) {}

    fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// Numbers that look random and are the same for a seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number less than `bound`, which is not zero.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// Polls futures and drops some.
pub struct Executor {
    woken: Arc<Woken>,
    /// Which ones.
    pub drops: Drops,
    /// How often a future had to wait.
    pub waits: usize,
}

/// Which futures an [`Executor`] drops.
#[derive(Clone, Debug)]
pub enum Drops {
    /// None of them.
    None,
    /// The future that waits for the so-manieth time.
    At(usize),
    /// Half of those that wait.
    Any(Random),
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    /// One that drops these.
    #[must_use]
    pub fn new(drops: Drops) -> Self {
        Self { woken: Arc::default(), drops, waits: 0 }
    }

    /// The value of `future`, or nothing if it was dropped.
    ///
    /// # Panics
    /// If it waits for something that will not wake it.
    pub fn run<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let waker = Waker::from(self.woken.clone());
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(value);
            }
            self.waits += 1;
            let dropped = match &mut self.drops {
                Drops::None => false,
                Drops::At(wait) => self.waits == *wait,
                Drops::Any(random) => random.below(2) == 0,
            };
            if dropped {
                return None;
            }
            assert!(self.woken.0.swap(false, Ordering::Relaxed), "it waits, and nothing wakes it");
        }
    }

    /// The value of the futures that `make` makes: another one for each that was dropped.
    pub fn insist<T>(&mut self, mut make: impl AsyncFnMut() -> T) -> T {
        loop {
            if let Some(value) = self.run(make()) {
                return value;
            }
        }
    }
}
