//! One transport: the socket, its two buffers and its timer.

use crate::byte_stream::ByteStream;
use crate::connector::{Connector, Options};
use crate::dial::Dial;
use crate::runtime::{Runtime, Timer};
use crate::tls::TlsSession;
use crate::trace;
use atomic_waker::AtomicWaker;
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tidewire::url::Url;
use tidewire::{Clock, Instant, RecvBuf, SendBuf, Transport};

/// The first read of a connection, in bytes. Reads double while they fill their room.
///
/// The first ones go through the stack: most connections wait with nothing to read, and need no
/// room to find that out.
const READ_MIN: usize = 1024;
/// With as much room as that, the first ones do not.
const ROOM: usize = 128;
/// The largest read, in bytes.
pub(crate) const READ_MAX: usize = 64 * 1024;
/// How much of what belongs to nobody is read at a time, in bytes.
const DISCARD: usize = 8 * 1024;
/// The most runs of bytes in one write.
const WRITE_SLICES: usize = 16;
/// After this time without traffic, empty buffers give their memory back.
const RELEASE_AFTER: Duration = Duration::from_secs(1);
/// How long a closed connection is still read from. Closing a socket with unread input resets it,
/// and a reset overtakes what was written last: the close frame, or the response to a bad request.
const LINGER: Duration = Duration::from_secs(2);
/// How long a connection that is to be closed may take for any next byte of what still waits.
const STALL: Duration = Duration::from_secs(30);

/// Everything below a machine. It moves bytes and keeps time, and knows no protocol.
pub(crate) struct Link<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) rx: RecvBuf,
    pub(crate) tx: SendBuf,
    pub(crate) clock: Clock,
    /// Read once a poll; see [`Link::refresh`].
    now: Instant,
    /// How many bytes were read, those that were discarded among them.
    pub(crate) received: u64,
    /// When the transport was last asked for bytes.
    read_at: Instant,
    /// The socket had nothing to read, and rings when it has.
    starved: bool,
    stream: Option<ByteStream<R>>,
    /// How connections are made, for machines that dial.
    options: Option<Arc<Options>>,
    /// The connection in the making, and at which count of [`tidewire::Dialer::attempts`] it was
    /// asked for.
    pub(crate) dial: Option<Box<(u64, Mutex<Dial<R>>)>>,
    /// The sending side was shut down, by us or by a failed write.
    write_ended: bool,
    linger_until: Option<Instant>,
    /// How long the peer may take none of what waits for it, and until when that is now. A machine's
    /// own such deadline runs while it is advanced; this one also while only output is waited for,
    /// and for machines without one.
    pub(crate) write_timeout: Option<Duration>,
    stalled_until: Option<Instant>,
    release_at: Option<Instant>,
    read_size: usize,
    timer: R::Timer,
    /// What the timer is set to. It may lie before the deadline: then it fires and is set anew,
    /// which is cheaper than setting it whenever a deadline moves back.
    armed: Option<Instant>,
    /// The operating system's words about the end of the last connection.
    pub(crate) error: Option<io::Error>,
    bell: Arc<Bell>,
    /// What rings it; lent to whoever polls.
    rope: Option<Waker>,
}

/// The limit of a receive buffer whose machine needs units of up to `largest` bytes whole: 64 KiB more,
/// for framing and for what follows in the same read.
pub(crate) const fn rx_limit(largest: usize) -> usize {
    largest.saturating_add(64 * 1024)
}

/// Which of its two futures polls a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that waits for events.
    Events,
    /// The one that waits for output to leave.
    Drain,
}

/// What the socket and the timer wake: the tasks behind both sides. These differ when the halves of a
/// `Stream` and `Sink` live in two tasks, and a socket and a timer know one waker each.
///
/// It tells whether one of them rang, or the task was woken by something else: an event to send, say.
/// Then the socket need not be asked whether it has something to read.
#[derive(Default)]
struct Bell {
    rang: AtomicBool,
    tasks: [AtomicWaker; 2],
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        // One task that is both sides is woken twice, and runs once.
        self.tasks.iter().for_each(AtomicWaker::wake);
    }
}

impl<R: Runtime> Link<R> {
    pub(crate) fn new(runtime: R, rx_limit: usize) -> Self {
        Self {
            rope: None,
            bell: Arc::default(),
            timer: runtime.timer(),
            runtime,
            rx: RecvBuf::with_limit(rx_limit),
            tx: SendBuf::new(),
            clock: Clock::starting_at(std::time::Instant::now()),
            now: Instant::EPOCH,
            received: 0,
            read_at: Instant::EPOCH,
            starved: false,
            stream: None,
            options: None,
            dial: None,
            write_ended: false,
            linger_until: None,
            write_timeout: None,
            stalled_until: None,
            release_at: None,
            read_size: READ_MIN,
            armed: None,
            error: None,
        }
    }

    /// A link that dials.
    pub(crate) fn dialling(connector: Connector<R>, rx_limit: usize) -> Self {
        let options = Some(connector.options);
        Self { options, ..Self::new(connector.runtime, rx_limit) }
    }

    /// A new connection in the making.
    pub(crate) fn start_dial(&mut self, target: &Url) -> Dial<R> {
        Dial::new(&self.runtime, self.options.get_or_insert_default(), target)
    }

    /// From now on `waker` is woken for `side`.
    pub(crate) fn park(&mut self, side: Side, waker: &Waker) {
        self.bell.tasks[side as usize].register(waker);
    }

    /// The waker of the tasks that were parked last. Who gives it [back](Self::put_rope) saves the next
    /// one from making another.
    pub(crate) fn take_rope(&mut self) -> Waker {
        self.rope.take().unwrap_or_else(|| self.bell.clone().into())
    }

    pub(crate) fn put_rope(&mut self, rope: Waker) {
        self.rope = Some(rope);
    }

    /// Nobody waits for output to leave any more.
    pub(crate) fn drained(&mut self) {
        self.leave(Side::Drain);
    }

    /// Nobody waits on `side` any more.
    pub(crate) fn leave(&mut self, side: Side) {
        self.bell.tasks[side as usize].take();
    }

    /// Wakes who waits on `side`: the other has something for it.
    pub(crate) fn call(&mut self, side: Side) {
        self.bell.tasks[side as usize].wake();
    }

    /// The time of the last [`refresh`](Self::refresh).
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// The time at which `rx` last was what had come.
    pub(crate) fn read_at(&self) -> Instant {
        self.read_at
    }

    /// A poll begins: the socket may have become ready since the last one, if it rang.
    pub(crate) fn wake_up(&mut self) {
        if self.starved && self.bell.rang.load(Ordering::Acquire) {
            self.look_again();
        }
    }

    /// Asks the socket itself next time: what has come may not have rung yet, for the runtime looks at
    /// its sockets when no task runs.
    pub(crate) fn look_again(&mut self) {
        self.starved = false;
    }

    /// Reads the clock.
    pub(crate) fn refresh(&mut self) -> Instant {
        self.now = self.clock.instant(std::time::Instant::now());
        self.now
    }

    /// Starts with a fresh transport.
    pub(crate) fn attach(&mut self, stream: ByteStream<R>) {
        self.detach();
        self.look_again();
        self.stream = Some(stream);
    }

    /// Drops the transport and everything that waited for it.
    pub(crate) fn detach(&mut self) {
        self.stream = None;
        self.dial = None;
        self.rx.clear();
        self.tx.clear();
        self.write_ended = false;
        self.linger_until = None;
        self.stalled_until = None;
        self.error = None;
    }

    /// The transport, and what was received of it.
    pub(crate) fn into_transport(self) -> (R, Option<ByteStream<R>>, RecvBuf, SendBuf) {
        (self.runtime, self.stream, self.rx, self.tx)
    }

    /// What TLS has agreed on, if there is a connection that speaks it.
    pub(crate) fn tls_session(&self) -> Option<TlsSession> {
        self.stream.as_ref()?.tls_session()
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.stream.is_some()
    }

    /// Writes what waits, does what the machine wants of the transport, and reads once. Says
    /// whether the machine should look again.
    pub(crate) fn poll_transfer(&mut self, cx: &mut Context<'_>, wanted: Transport) -> bool {
        if self.stream.is_none() {
            return false;
        }
        if matches!(wanted, Transport::Down | Transport::Dial) {
            self.part(cx);
            return false;
        }
        if wanted == Transport::Open && self.starved && self.is_written() {
            // To ask the socket once more in this poll would only cost a system call.
            return false;
        }
        let wrote = self.poll_write(cx);
        let shut = match wanted {
            Transport::Close | Transport::CloseWrite => self.poll_shutdown(cx),
            _ => false,
        };
        if wanted == Transport::Close {
            if wrote || shut {
                self.linger_until = None;
            }
            return self.poll_linger(cx) | wrote | shut;
        }
        let read = self.poll_read(cx);
        if self.write_ended && self.error.is_some() && !read && !self.rx.is_finished() {
            // A write failed and there is nothing more to read: the peer is gone.
            self.rx.fail();
            return true;
        }
        wrote | shut | read
    }

    /// Writes until nothing waits or the socket is full.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut wrote = false;
        while !self.is_written() {
            let Some(stream) = &mut self.stream else { break };
            if self.write_ended {
                self.drop_output();
                break;
            }
            let (buffers, left) = (stream.buffers(), stream.left());
            let stream = Pin::new(stream);
            let chunk = self.tx.chunk();
            let result = if self.tx.is_empty() {
                // Not one byte, but whatever the stream keeps of those before.
                stream.poll_flush(cx).map_ok(|()| 0)
            } else if chunk.len() == self.tx.len() {
                stream.poll_write(cx, chunk)
            } else {
                let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
                let mut n = 0;
                for (slice, bytes) in slices.iter_mut().zip(self.tx.slices()) {
                    *slice = IoSlice::new(bytes);
                    n += 1;
                }
                stream.poll_write_vectored(cx, &slices[..n])
            };
            // A stream that buffers may be rid of some of it, and still not take more.
            let moved = self.stream.as_ref().is_some_and(|stream| stream.left() != left);
            match result {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.tx.consume(n);
                    self.tx.transport_keeps(buffers);
                }
                Poll::Ready(Ok(_)) if self.tx.is_empty() => self.tx.transport_keeps(false),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(result) => {
                    let error = result.err();
                    self.write_no_more(error.unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                }
                Poll::Pending
                    if !(wrote || moved) && self.stalled_until.is_some_and(|at| at <= self.now) =>
                {
                    trace::event!(
                        "tidewire::link", DEBUG,
                        timeout = ?self.write_timeout, queued = self.tx.len(), "nothing was taken in time"
                    );
                    self.write_no_more(io::ErrorKind::TimedOut.into());
                }
                Poll::Pending => {
                    if moved {
                        self.tx.transport_moved();
                        wrote = true;
                    }
                    break;
                }
            }
            wrote = true;
        }
        if self.is_written() {
            self.stalled_until = None;
        } else if wrote || self.stalled_until.is_none() {
            self.stalled_until = self.write_timeout.map(|timeout| self.now + timeout);
        }
        if wrote {
            self.touch();
        }
        wrote
    }

    /// Reads once into `rx`, if there is room and something to read.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        if self.starved || self.rx.is_finished() || self.rx.is_full() {
            return false;
        }
        let small = self.read_size == READ_MIN;
        let spare = self.rx.spare(if small { 0 } else { self.read_size });
        let (room, direct) = (spare.len(), !small || spare.len() >= ROOM);
        let stream = Pin::new(stream);
        self.read_at = self.now;
        // Before the socket is asked: if it rings from here on, it is asked again.
        self.bell.rang.swap(false, Ordering::SeqCst);
        let read = if direct {
            stream.poll_read(cx, spare).map_ok(|n| (n, n == room))
        } else {
            poll_read_small(stream, cx, &mut self.rx)
        };
        match read {
            Poll::Ready(Ok((0, _))) => self.rx.finish(),
            Poll::Ready(Ok((n, full))) => {
                if direct {
                    self.rx.commit(n);
                }
                self.received += n as u64;
                // It may have come after `now`: nothing that counts from it is early.
                self.refresh();
                if full {
                    self.read_size = (self.read_size * 2).min(READ_MAX);
                }
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => {
                trace::event!("tidewire::link", DEBUG, %error, "the connection broke");
                self.error = Some(error);
                self.rx.fail();
            }
            Poll::Pending => {
                self.starved = true;
                return false;
            }
        }
        self.touch();
        true
    }

    /// Whether nothing waits to be written, here or in the stream.
    pub(crate) fn is_written(&self) -> bool {
        self.tx.is_written()
    }

    /// How many bytes wait to be written; what a stream that buffers still has counts as one.
    pub(crate) fn waiting(&self) -> usize {
        self.tx.len().max(usize::from(!self.tx.is_written()))
    }

    fn drop_output(&mut self) {
        self.tx.clear();
        self.stalled_until = None;
    }

    /// Writing has failed. The next transfer tells the machine, unless the peer's last words are there.
    fn write_no_more(&mut self, error: io::Error) {
        self.error = Some(error);
        self.write_ended = true;
        self.drop_output();
        self.look_again();
    }

    /// Reads once what belongs to nobody: the machine that asked to close looks no more. What was
    /// received before stays, for it may have announced an event that nobody has taken yet.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        if self.starved || self.rx.is_finished() {
            return false;
        }
        self.bell.rang.swap(false, Ordering::SeqCst);
        match Pin::new(stream).poll_read(cx, &mut [0; DISCARD]) {
            Poll::Ready(Ok(0)) => self.rx.finish(),
            Poll::Ready(Ok(n)) => self.received += n as u64,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => {
                self.error = Some(error);
                self.rx.fail();
            }
            Poll::Pending => {
                self.starved = true;
                return false;
            }
        }
        self.touch();
        true
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> bool {
        if self.write_ended || !self.is_written() {
            return false;
        }
        let Some(stream) = &mut self.stream else { return false };
        if Pin::new(&mut *stream).poll_close(cx).is_pending() {
            return false;
        }
        stream.shutdown_write(&self.runtime);
        self.write_ended = true;
        true
    }

    /// Once everything is written and shut down, discards input until the peer closes too or
    /// [`LINGER`] is over, then drops the socket.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> bool {
        let patience = if self.write_ended { LINGER } else { STALL };
        let until = *self.linger_until.get_or_insert(self.now + patience);
        if self.now < until {
            if !self.write_ended {
                return false;
            }
            if !self.rx.is_finished() {
                return self.poll_discard(cx);
            }
        }
        self.linger_until = None;
        self.abandon();
        true
    }

    /// Drops the socket. What waits for it is lost, which whoever sent it is told.
    fn abandon(&mut self) {
        if !self.is_written() {
            self.drop_output();
            self.error.get_or_insert_with(|| io::ErrorKind::ConnectionAborted.into());
        }
        self.stream = None;
        self.rx.finish();
    }

    /// Drops the socket at once, after the last words that it takes without waiting. What has come
    /// in meanwhile is read, for the reason that [`LINGER`] has.
    fn part(&mut self, cx: &mut Context<'_>) {
        self.poll_write(cx);
        self.poll_shutdown(cx);
        self.look_again();
        for _ in 0..16 {
            if !self.poll_discard(cx) {
                break;
            }
        }
        self.abandon();
    }

    /// Whether it is time to [`release`](Self::release) memory.
    pub(crate) fn is_idle(&self) -> bool {
        self.release_at.is_some_and(|at| at <= self.now)
    }

    /// Memory is to be given back as soon as there is nothing to do.
    pub(crate) fn release_soon(&mut self) {
        self.release_at = Some(self.now);
    }

    /// Gives memory back that is not in use.
    pub(crate) fn release(&mut self) {
        self.release_at = None;
        self.read_size = READ_MIN;
        self.rx.shrink();
        self.tx.shrink();
    }

    /// Notes that there was traffic.
    fn touch(&mut self) {
        self.release_at = Some(self.now + RELEASE_AFTER);
    }

    /// Sleeps until `deadline`, or until the link wants something itself. Ready when time has
    /// passed such that it is worth looking again.
    pub(crate) fn poll_sleep(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<()> {
        let wishes = [deadline, self.linger_until, self.stalled_until, self.release_at];
        let Some(next) = wishes.into_iter().flatten().min() else {
            return Poll::Pending;
        };
        if self.armed.is_none_or(|armed| armed > next) {
            self.timer.set(self.clock.std(next));
            self.armed = Some(next);
        }
        match self.timer.poll(cx) {
            Poll::Ready(()) => {
                self.armed = None;
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Reads through the stack: how many bytes, and whether that was all there was room for.
fn poll_read_small<S: AsyncRead>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    rx: &mut RecvBuf,
) -> Poll<io::Result<(usize, bool)>> {
    let held = rx.content().len() + rx.raw().len();
    let mut small = [0; READ_MIN];
    let room = READ_MIN.min(rx.limit().saturating_sub(held));
    stream.poll_read(cx, &mut small[..room]).map_ok(|n| {
        let took = rx.push(&small[..n]);
        debug_assert_eq!(took, n, "the limit leaves room for what was read");
        (n, n == room)
    })
}
