//! From a connection to a proxy to one that leads through it.

use super::DialFailure;
use super::error::ProxyRefused;
use crate::byte_stream::ByteStream;
use crate::runtime::{Runtime, Timer};
use crate::trace;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tidewire::proxy::{Destination, Proxy, Refusal, Tunnel, TunnelEvent};
use tidewire::{Clock, DialError, RecvBuf, SendBuf};

/// Reads in one poll before other tasks get their turn.
const BUDGET: usize = 64;
/// The most that is held of a proxy's answer, in bytes.
const RX_LIMIT: usize = 64 * 1024;

/// A tunnel in the making.
///
/// It reads no byte that came through the tunnel: there is no buffer to hand on, and whatever is spoken
/// next finds its first byte in the stream.
pub(super) struct Tunnelling<R: Runtime> {
    /// There until the tunnel is.
    stream: Option<ByteStream<R>>,
    tunnel: Tunnel,
    rx: RecvBuf,
    tx: SendBuf,
    timer: R::Timer,
    clock: Clock,
    unflushed: bool,
}

impl<R: Runtime> Tunnelling<R> {
    pub(super) fn new(
        runtime: &R,
        proxy: &Proxy,
        destination: Destination<'_>,
        stream: ByteStream<R>,
    ) -> Self {
        let mut tx = SendBuf::new();
        Self {
            tunnel: Tunnel::new(proxy, destination, tidewire::Instant::EPOCH, &mut tx),
            unflushed: stream.buffers(),
            stream: Some(stream),
            rx: RecvBuf::with_limit(RX_LIMIT),
            tx,
            timer: runtime.timer(),
            clock: Clock::starting_at(Instant::now()),
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ByteStream<R>, DialFailure>> {
        for _turn in 0..BUDGET {
            let now = self.clock.instant(Instant::now());
            match self.tunnel.poll_event(now, &mut self.rx, &mut self.tx) {
                Some(TunnelEvent::Open { .. }) => {
                    trace::event!("tidewire::dial", DEBUG, "through the proxy");
                    let gone = || (DialError::Proxy, io::ErrorKind::NotConnected.into());
                    return Poll::Ready(self.stream.take().ok_or_else(gone));
                }
                Some(TunnelEvent::Refused { why, head, body }) => {
                    trace::event!("tidewire::dial", DEBUG, %why, "the proxy refused");
                    let phase = match why {
                        Refusal::Timeout => DialError::ProxyTimeout,
                        _ => DialError::Proxy,
                    };
                    let refused = ProxyRefused { why, head, body: body.to_vec() };
                    return Poll::Ready(Err((phase, refused.into())));
                }
                None => {}
            }
            let moved = match self.poll_transfer(cx) {
                Ok(moved) => moved,
                Err(error) => return Poll::Ready(Err((DialError::Proxy, error))),
            };
            // What has come counts before a deadline that came with it.
            let Some(at) = self.tunnel.poll_timeout().filter(|_| !moved) else {
                if moved {
                    continue;
                }
                return Poll::Pending;
            };
            if at > now {
                self.timer.set(self.clock.std(at));
                if self.timer.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            self.tunnel.handle_timeout(at.max(now), &mut self.tx);
        }
        // A proxy that never pauses holds no deadline back, and no other task.
        let now = self.clock.instant(Instant::now());
        self.tunnel.handle_timeout(now, &mut self.tx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what waits and reads what may be read. Whether something came of it.
    fn poll_transfer(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let mut moved = false;
        while !self.tx.is_empty() {
            match ignore_interrupts(Pin::new(&mut *stream).poll_write(cx, self.tx.chunk())) {
                Poll::Ready(Ok(Some(0))) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.tx.consume(written?.unwrap_or(0)),
                Poll::Pending => break,
            }
            (moved, self.unflushed) = (true, stream.buffers());
        }
        if self.unflushed && self.tx.is_empty() {
            if let Poll::Ready(flushed) = Pin::new(&mut *stream).poll_flush(cx) {
                flushed?;
                self.unflushed = false;
            }
        }
        let may = self.tunnel.may_read(&self.rx);
        if may > 0 && !self.rx.is_finished() && !self.rx.is_full() {
            let room = self.rx.spare(may);
            let may = may.min(room.len());
            let room = &mut room[..may];
            match ignore_interrupts(Pin::new(stream).poll_read(cx, room)) {
                Poll::Ready(Ok(Some(0))) => self.rx.finish(),
                Poll::Ready(read) => self.rx.commit(read?.unwrap_or(0)),
                Poll::Pending => return Ok(moved),
            }
            moved = true;
        }
        Ok(moved)
    }
}

/// `None` for a call that was interrupted, and is to be made again.
fn ignore_interrupts(polled: Poll<io::Result<usize>>) -> Poll<io::Result<Option<usize>>> {
    polled.map(|result| match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        result => result.map(Some),
    })
}
