//! The one loop that drives every machine.

mod halves;

use crate::byte_stream::ByteStream;
use crate::connector::Connector;
use crate::dial::{self, error::copy};
use crate::error::Error;
use crate::link::{Link, Side};
use crate::runtime::Runtime;
use crate::stats::Transferred;
use crate::tls::TlsSession;
use std::future::poll_fn;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire::url::Url;
use tidewire::{Clock, Dialer, Instant, Machine, RecvBuf, SendBuf, Transport};

/// Turns of the loop in one poll before other tasks get their turn.
const BUDGET: usize = 64;
/// Events in a row, without a pause in between, before other tasks get their turn: a peer that is
/// faster than the program never lets it wait.
pub(crate) const EVENTS: usize = 128;

/// A machine with a transport: everything in this crate is one of these underneath, and a machine
/// of your own becomes a client or server by it.
///
/// There is no task and no lock behind it. It works while one of its futures is polled, and a
/// dropped future loses nothing, since all state is in the machine and the two buffers.
///
/// ```no_run
/// # use tidewire_runtime::http::{BodyLength, Client, ClientConfig, ClientEvent};
/// # use tidewire_runtime::{Driver, Runtime, url::Url};
/// # async fn example<R: Runtime>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
/// let url = Url::parse("http://127.0.0.1:8080/")?;
/// let new = |now, _: &mut _| Client::new(ClientConfig::default(), now);
/// let mut driver = Driver::connect(runtime, &url, 64 * 1024, new).await?;
/// let it = driver.parts();
/// let fields = [("Host", url.host_header())];
/// it.machine.request("GET", url.target(), fields, BodyLength::EMPTY, it.now, it.tx)?;
/// while let Some(event) = driver.next().await {
///     match event {
///         ClientEvent::Data(data) => println!("{} bytes", data.len()),
///         ClientEvent::End(_) | ClientEvent::Closed(_) => break,
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Driver<R: Runtime, M> {
    machine: M,
    link: Link<R>,
    /// Events since the task last paused.
    events: usize,
}

/// What a machine's commands take: the machine itself, its output, and the time.
pub struct Parts<'a, M> {
    /// The machine.
    pub machine: &'a mut M,
    /// Where its commands append.
    pub tx: &'a mut SendBuf,
    /// The time of this wake.
    pub now: Instant,
}

impl<R: Runtime, M: Machine> Driver<R, M> {
    /// Drives the machine that `machine` makes, given the time and where its first output goes.
    /// `rx_limit` bounds its receive buffer, in bytes. It has no transport yet: this is for
    /// machines that dial.
    pub fn new(
        connector: impl Into<Connector<R>>,
        rx_limit: usize,
        machine: impl FnOnce(Instant, &mut SendBuf) -> M,
    ) -> Self {
        Self::with_link(Link::dialling(connector.into(), rx_limit), machine)
    }

    /// As [`new`](Self::new), over a connected stream.
    pub fn with_stream(
        runtime: R,
        stream: ByteStream<R>,
        rx_limit: usize,
        machine: impl FnOnce(Instant, &mut SendBuf) -> M,
    ) -> Self {
        let mut link = Link::new(runtime, rx_limit);
        link.attach(stream);
        Self::with_link(link, machine)
    }

    fn with_link(mut link: Link<R>, machine: impl FnOnce(Instant, &mut SendBuf) -> M) -> Self {
        let machine = machine(link.refresh(), &mut link.tx);
        Self { machine, link, events: 0 }
    }

    /// As [`with_stream`](Self::with_stream), over a new connection to `target`, made as
    /// the [`Connector`] says.
    ///
    /// # Errors
    /// [`Error::Dial`] if the host could not be resolved, no address accepted the connection, it took
    /// longer than 30 s, or `target` asks for TLS and there was none, for the reason in [`Error::tls`].
    pub async fn connect(
        connector: impl Into<Connector<R>>,
        target: &Url,
        rx_limit: usize,
        machine: impl FnOnce(Instant, &mut SendBuf) -> M,
    ) -> Result<Self, Error> {
        let connector = connector.into();
        let stream = dial::dial(&connector, target, Some(dial::TIMEOUT)).await?;
        Ok(Self::with_stream(connector.runtime, stream, rx_limit, machine))
    }

    /// The machine, to ask it something.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine with what its commands need. What they queue leaves with the next poll.
    pub fn parts(&mut self) -> Parts<'_, M> {
        let now = self.link.refresh();
        Parts { machine: &mut self.machine, tx: &mut self.link.tx, now }
    }

    /// The machine and where its commands append, for those in which time has no part: many of them in a
    /// row would else spend most of theirs on the clock.
    pub(crate) fn output(&mut self) -> (&mut M, &mut SendBuf) {
        (&mut self.machine, &mut self.link.tx)
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.link.waiting()
    }

    /// How many bytes went through so far, on all transports, and how many wait to.
    pub fn transferred(&self) -> Transferred {
        let link = &self.link;
        Transferred { received: link.received, sent: link.tx.sent(), queued: link.tx.len() }
    }

    /// Sets another limit for the receive buffer, in bytes.
    pub fn set_rx_limit(&mut self, limit: usize) {
        self.link.rx.set_limit(limit);
    }

    /// Breaks the connection when the peer takes none of what waits for it for so long. `None`, the
    /// default, waits as long as the operating system does: for ever, if the peer answers its probes.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.link.write_timeout = timeout;
    }

    /// A timer of the runtime, not set.
    pub(crate) fn timer(&self) -> R::Timer {
        self.link.runtime.timer()
    }

    /// Puts another machine in the place of this one, on the same transport and buffers: how HTTP
    /// becomes WebSocket.
    ///
    /// The machine is advanced once more, so that the event it lent last leaves the receive buffer.
    pub fn replace<N: Machine>(mut self, next: impl FnOnce(M, Instant) -> N) -> Driver<R, N> {
        let now = self.link.refresh();
        self.machine.advance(now, &mut self.link.rx, &mut self.link.tx);
        Driver { machine: next(self.machine, now), link: self.link, events: self.events }
    }

    /// The transport, and what was received of what follows, for a protocol that is no machine. The
    /// event that was lent last leaves the receive buffer. With what still waits to be written.
    pub(crate) fn into_transport(mut self) -> (R, Option<ByteStream<R>>, RecvBuf, SendBuf) {
        let now = self.link.refresh();
        self.machine.advance(now, &mut self.link.rx, &mut self.link.tx);
        self.link.into_transport()
    }

    /// Waits for the next event and lends it; `None` once nothing will come any more.
    ///
    /// Cancel-safe: a dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<M::Event<'_>> {
        if poll_fn(|cx| self.poll_advance(cx)).await { self.event() } else { None }
    }

    /// Ready with `true` when [`event`](Self::event) has something to lend, with `false` when
    /// nothing will come any more.
    pub fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.advance_again() {
            return Poll::Ready(true);
        }
        self.events += 1;
        self.link.park(Side::Events, cx.waker());
        let polled =
            if self.events > EVENTS { give_way(cx) } else { self.with_rope(Self::poll_loop) };
        if polled.is_pending() {
            self.events = 0;
        }
        polled
    }

    /// Whether the next event is one that came with the last: neither the clock nor the socket is needed.
    #[inline]
    pub(crate) fn advance_again(&mut self) -> bool {
        let again = self.events < EVENTS && self.machine.advance_again(&mut self.link.rx);
        self.events += usize::from(again);
        again
    }

    /// Gives memory back that is not in use, of a connection that is not polled for a while.
    pub(crate) fn release(&mut self) {
        self.machine.shrink();
        self.link.release();
    }

    /// The same as soon as there is nothing to do, instead of a while after that.
    pub(crate) fn release_soon(&mut self) {
        self.link.release_soon();
    }

    /// Shows the machine its buffers, without waiting for anything. Whether there is an event.
    pub(crate) fn advance(&mut self) -> bool {
        let now = self.link.refresh();
        self.machine.advance(now, &mut self.link.rx, &mut self.link.tx)
    }

    /// Whether nothing happens on the connection now: no event, no end.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.link.look_again();
        self.with_rope(Self::poll_loop).is_pending()
    }

    /// Polls for the tasks that are parked.
    fn with_rope<T>(&mut self, poll: impl FnOnce(&mut Self, &mut Context<'_>) -> T) -> T {
        let rope = self.link.take_rope();
        let polled = poll(self, &mut Context::from_waker(&rope));
        self.link.put_rope(rope);
        polled
    }

    fn poll_loop(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.link.wake_up();
        // Not once a wake but once an event: whoever looked at the last one may have taken his time,
        // and what the machine waits for from now on counts from now.
        self.link.refresh();
        for _turn in 0..BUDGET {
            let (machine, link) = (&mut self.machine, &mut self.link);
            if machine.advance(link.now(), &mut link.rx, &mut link.tx) {
                if machine.transport() != Transport::Open {
                    // This may be the last poll: a caller who sees the end asks no more.
                    link.poll_write(cx);
                }
                return Poll::Ready(true);
            }
            // Only what was read before a deadline and has gone through the machine keeps it from
            // being missed; a peer that never pauses must not hold it back.
            let (deadline, read_at) = (machine.poll_timeout(), link.read_at());
            if deadline.is_some_and(|at| at <= read_at) {
                machine.handle_timeout(read_at, &mut link.tx);
                continue;
            }
            let now = link.now();
            let late = deadline.is_some_and(|at| at <= now);
            if late {
                link.look_again();
            }
            let progress = link.poll_transfer(cx, machine.transport());
            if late && !progress {
                machine.handle_timeout(now, &mut link.tx);
            } else if !progress {
                let dials = matches!(machine.transport(), Transport::Dial);
                if deadline.is_none() && !dials && !link.is_attached() {
                    return Poll::Ready(false);
                }
                if poll_sleep(machine, link, cx, deadline).is_pending() {
                    return Poll::Pending;
                }
                link.refresh();
            }
        }
        give_way(cx)
    }

    /// Lends the event that [`poll_advance`](Self::poll_advance) announced.
    pub fn event(&mut self) -> Option<M::Event<'_>> {
        let now = self.link.now();
        self.machine.event(now, &mut self.link.rx, &mut self.link.tx)
    }

    /// For commands that count from when they are given, which may be long after the event that they
    /// answer.
    pub(crate) fn clock(&self) -> Clock {
        self.link.clock
    }

    /// The machine, its buffers and the time, for an event that borrows the receive buffer alone
    /// and is answered while it is looked at.
    pub(crate) fn split(&mut self) -> (&mut M, &mut RecvBuf, &mut SendBuf, Instant) {
        let now = self.link.now();
        (&mut self.machine, &mut self.link.rx, &mut self.link.tx, now)
    }

    /// Ready once at most `mark` bytes wait to be written. It reads while it waits, as far as the
    /// receive buffer's limit allows: two peers that only send would else wait for each other.
    ///
    /// # Errors
    /// What the operating system said when the connection broke.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, mark: usize) -> Poll<io::Result<()>> {
        self.link.refresh();
        self.poll_drain_now(cx, mark)
    }

    /// The same when it is known what time it is.
    pub(crate) fn poll_drain_now(
        &mut self,
        cx: &mut Context<'_>,
        mark: usize,
    ) -> Poll<io::Result<()>> {
        self.link.park(Side::Drain, cx.waker());
        let polled = self.with_rope(|it, cx| it.poll_output(cx, mark));
        if polled.is_ready() {
            self.link.drained();
        }
        polled
    }

    fn poll_output(&mut self, cx: &mut Context<'_>, mark: usize) -> Poll<io::Result<()>> {
        let (machine, link) = (&mut self.machine, &mut self.link);
        link.wake_up();
        let now = link.now();
        if machine.poll_timeout().is_some_and(|at| at <= now) {
            // First what the peer takes and says now: it may have waited for whoever polls here.
            link.look_again();
            link.poll_write(cx);
            while link.poll_read(cx) {}
            machine.advance(now, &mut link.rx, &mut link.tx);
            machine.handle_timeout(now, &mut link.tx);
        }
        let busy = match machine.transport() {
            Transport::Open => {
                link.poll_write(cx);
                link.waiting() > mark && (0..BUDGET).all(|_| link.poll_read(cx))
            }
            wanted => (0..BUDGET).all(|_| link.poll_transfer(cx, wanted)),
        };
        if let Some(error) = &link.error {
            return Poll::Ready(Err(copy(error)));
        }
        if link.waiting() <= mark {
            return Poll::Ready(Ok(()));
        }
        if !link.is_attached() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        if busy {
            return give_way(cx);
        }
        // If a deadline passes, the event loop has to see to it: `poll_advance` reports the end.
        let deadline = machine.poll_timeout();
        match poll_sleep(machine, link, cx, deadline) {
            Poll::Ready(()) => give_way(cx),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    /// What the operating system said when the connection broke.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_drain(cx, 0)).await
    }

    /// Writes what waits and closes the connection as the machine wants it, without looking at
    /// further events.
    pub async fn finish(&mut self) {
        while self.next().await.is_some() {}
    }

    /// What TLS has agreed on, if there is a connection that speaks it.
    pub fn tls_session(&self) -> Option<TlsSession> {
        self.link.tls_session()
    }

    /// What the operating system said when the last connection broke, if it said anything.
    pub fn io_error(&self) -> Option<io::Error> {
        self.link.error.as_ref().map(copy)
    }
}

impl<R: Runtime, M: Dialer> Driver<R, M> {
    /// As [`poll_advance`](Self::poll_advance), and opens a connection whenever the machine wants
    /// one.
    pub fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.name_lateness();
            if let Poll::Ready(more) = self.poll_advance(cx) {
                return Poll::Ready(more);
            }
            let link = &mut self.link;
            if self.machine.transport() != Transport::Dial {
                link.dial = None;
                return Poll::Pending;
            }
            let attempt = self.machine.attempts();
            let (_, dial) = &mut **match &mut link.dial {
                Some(dial) if dial.0 == attempt => dial,
                _ => {
                    link.detach();
                    let dial = link.start_dial(self.machine.target());
                    link.dial.insert(Box::new((attempt, Mutex::new(dial))))
                }
            };
            let dial = dial.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Poll::Ready(dialled) = dial.poll(&link.runtime, cx) else { return Poll::Pending };
            let now = link.refresh();
            dial::tell(self.machine.target(), &dialled);
            match dialled {
                Ok(stream) => {
                    link.attach(stream);
                    self.machine.connected(now, &mut link.tx);
                }
                Err((why, error)) => {
                    link.detach();
                    link.error = Some(error);
                    self.machine.dial_failed(now, why);
                }
            }
        }
    }
}

impl<R: Runtime, M: Dialer> Driver<R, M> {
    /// Tells the machine that the connection it waits for is late, when it is, before it finds out by
    /// itself: it does not know how far the connection has come.
    fn name_lateness(&mut self) {
        let Some((attempt, dial)) = self.link.dial.as_deref_mut() else { return };
        let late = dial.get_mut().unwrap_or_else(PoisonError::into_inner).late();
        let waits =
            self.machine.transport() == Transport::Dial && *attempt == self.machine.attempts();
        let now = self.link.refresh();
        let late_now = waits && self.machine.poll_timeout().is_some_and(|at| at <= now);
        // What else there is to tell comes first.
        if late_now && !self.advance() {
            self.link.detach();
            self.machine.dial_failed(now, late);
        }
    }
}

impl<R: Runtime, M: std::fmt::Debug> std::fmt::Debug for Driver<R, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// [`Link::poll_sleep`], which has nothing left to want at once: if nothing has moved for a while, memory
/// that is not in use is given back first.
fn poll_sleep<R: Runtime, M: Machine>(
    machine: &mut M,
    link: &mut Link<R>,
    cx: &mut Context<'_>,
    deadline: Option<Instant>,
) -> Poll<()> {
    if link.is_idle() {
        machine.shrink();
        link.release();
    }
    link.poll_sleep(cx, deadline)
}

/// Lets other tasks run before this one goes on.
fn give_way<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}
