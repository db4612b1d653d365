//! One connection of the client, and the exchange on it.

use super::pool::Origin;
use super::request::OnInterim;
use crate::driver::Driver;
use crate::error::Error;
use crate::runtime::{Runtime, Timer};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tidewire::SendBuf;
use tidewire::http::{
    self, ClientEvent, CloseReason, Closed, Misuse, OwnedHeaders, OwnedResponseHead, Status,
};

/// A connection to an origin. Everything that an exchange leaves behind in it is in the machine.
pub(super) struct Wire<R: Runtime> {
    pub(super) driver: Driver<R, http::Client>,
    pub(super) origin: Origin,
    /// There was an exchange on it before this one.
    pub(super) reused: bool,
    /// Something of this exchange's response has come.
    pub(super) heard: bool,
    /// The head of the response, until somebody asks for it.
    pub(super) head: Option<OwnedResponseHead>,
}

/// What a connection tells its exchange.
pub(super) enum Told {
    /// What was waited for before the body is sent has come or been given up.
    GoAhead,
    Head(OwnedResponseHead),
    /// So many bytes lie at the front of what was received: see [`Wire::data`].
    Data(usize),
    End(Option<OwnedHeaders>),
}

impl<R: Runtime> Wire<R> {
    pub(super) const fn new(driver: Driver<R, http::Client>, origin: Origin) -> Self {
        Self { driver, origin, reused: false, heard: false, head: None }
    }

    /// An exchange has begun.
    pub(super) fn begun(&mut self) {
        self.heard = false;
        self.head = None;
    }

    /// Whether the body may be sent: there is no expectation, or the server need not be waited for
    /// any more.
    pub(super) fn has_go_ahead(&self) -> bool {
        !self.driver.machine().awaits_continue()
    }

    /// Whether the request's body is unfinished.
    pub(super) fn is_sending(&self) -> bool {
        self.driver.machine().states().client == http::State::SendBody
    }

    /// Ends the request's body. That the connection has ended meanwhile is told by what is waited for
    /// next, and why.
    pub(super) fn finish(
        &mut self,
        finish: impl FnOnce(&mut http::Client, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        let http = self.driver.parts();
        match finish(http.machine, http.tx) {
            Err(Misuse::Closed) => Ok(()),
            result => result,
        }
    }

    /// Whether anything of this exchange's response has come, be it half a head.
    pub(super) fn has_heard(&mut self) -> bool {
        self.heard || !self.driver.split().1.raw().is_empty()
    }

    /// Waits for what comes next.
    pub(super) fn poll_told(
        &mut self,
        cx: &mut Context<'_>,
        on_interim: Option<&OnInterim>,
    ) -> Poll<Result<Told, Error>> {
        loop {
            if !ready!(self.driver.poll_advance(cx)) {
                return Poll::Ready(Err(self.failure(Closed::Eof)));
            }
            let Some(event) = self.driver.event() else { continue };
            return Poll::Ready(Ok(match event {
                ClientEvent::Informational(head) => {
                    self.heard = true;
                    if let Some(on_interim) = on_interim {
                        on_interim(head);
                    }
                    continue;
                }
                ClientEvent::Response(head) => {
                    self.heard = true;
                    Told::Head(head.to_owned())
                }
                ClientEvent::Data(data) => Told::Data(data.len()),
                ClientEvent::End(trailers) => {
                    Told::End((!trailers.is_empty()).then(|| trailers.to_owned()))
                }
                ClientEvent::Continue => Told::GoAhead,
                ClientEvent::Closed(why) => return Poll::Ready(Err(self.failure(why))),
                // One that this version does not know.
                _ => continue,
            }));
        }
    }

    /// The bytes that [`Told::Data`] has announced, which lie there until the next poll.
    pub(super) fn data(&mut self, len: usize) -> &[u8] {
        let (_, rx, _, _) = self.driver.split();
        &rx.raw()[..len]
    }

    /// Ready with `true` when at most `mark` bytes wait to be written and the body may be sent, with
    /// `false` when the server wants no more of it.
    pub(super) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        mark: usize,
        on_interim: Option<&OnInterim>,
    ) -> Poll<Result<bool, Error>> {
        while self.head.is_none() {
            match self.poll_told(cx, on_interim)? {
                Poll::Ready(Told::Head(head)) => self.head = Some(head),
                Poll::Ready(_) => {}
                Poll::Pending if self.has_go_ahead() && self.driver.queued() <= mark => {
                    return Poll::Ready(Ok(true));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.is_refused() {
            return Poll::Ready(Ok(false));
        }
        // It answers while it listens. Its body waits for whoever wants the response.
        Poll::Ready(Ok(ready!(self.driver.poll_drain(cx, mark)).is_ok()))
    }

    /// Whether the response that has begun says that the rest of the body is not wanted (RFC 9112,
    /// 9.5): it is no success, or the server closes the connection behind it.
    pub(super) fn is_refused(&self) -> bool {
        self.head.as_ref().is_some_and(|head| self.refuses(head.as_head().status))
    }

    /// As [`is_refused`](Self::is_refused), of a response whose head was asked for already.
    pub(super) fn refuses(&self, status: Status) -> bool {
        let closes = self.driver.machine().close_reason();
        !status.is_success()
            || matches!(closes, Some(CloseReason::ServerSaidClose | CloseReason::NoContinue))
    }

    /// The head of the response.
    pub(super) async fn head(
        &mut self,
        on_interim: Option<&OnInterim>,
    ) -> Result<OwnedResponseHead, Error> {
        poll_fn(|cx| {
            loop {
                if let Some(head) = self.head.take() {
                    return Poll::Ready(Ok(head));
                }
                if let Told::Head(head) = ready!(self.poll_told(cx, on_interim))? {
                    self.head = Some(head);
                }
            }
        })
        .await
    }

    /// Writes what the socket takes now. That the connection broke is told when something is waited
    /// for: what the server has said before may explain it.
    pub(super) async fn write(&mut self) {
        let _ = poll_fn(|cx| self.driver.poll_drain(cx, usize::MAX)).await;
    }

    /// Whether the connection is ready for a next request, whose exchange is over or needs nothing
    /// but what has come already. Nothing is waited for.
    pub(super) fn settle(&mut self) -> bool {
        loop {
            let (machine, rx, tx, now) = self.driver.split();
            if !machine.advance(now, rx, tx) {
                return machine.is_idle() && tx.is_empty();
            }
            machine.event(now, rx, tx);
        }
    }

    /// Whether an idle connection is still one: the server has neither closed it nor sent what
    /// nobody asked for (RFC 9112, 9.2 and 9.5).
    pub(super) fn is_quiet(&mut self) -> bool {
        self.driver.is_quiet() && self.driver.machine().is_idle()
    }

    /// The error that the end of the connection is, in the operating system's words if it has any.
    fn failure(&self, why: Closed) -> Error {
        match (why, self.driver.io_error()) {
            (Closed::Timeout(_) | Closed::Protocol(_), _) | (_, None) => Error::Http(why),
            (_, Some(error)) => Error::Io(error),
        }
    }
}

/// The time at which a request must be over, if there is one.
pub(super) struct Deadline<T>(Option<(Instant, T)>);

impl<T: Timer> Deadline<T> {
    pub(super) fn new(after: Option<Duration>, timer: impl FnOnce() -> T) -> Self {
        Self(after.map(|after| {
            let (at, mut timer) = (crate::runtime::after(after), timer());
            timer.set(at);
            (at, timer)
        }))
    }

    /// The result of `future`, or [`Error::Deadline`] if the time is over before.
    pub(super) async fn hold<V>(
        &mut self,
        future: impl Future<Output = Result<V, Error>>,
    ) -> Result<V, Error> {
        let Some((at, timer)) = &mut self.0 else { return future.await };
        // A server that never pauses must not outrun the timer.
        if *at <= Instant::now() {
            return Err(Error::Deadline);
        }
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Pending => timer.poll(cx).map(|()| Err(Error::Deadline)),
            ready => ready,
        })
        .await
    }
}
