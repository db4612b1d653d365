//! One accepted connection: requests in turn, each handed to the handler with the whole connection.

use crate::byte_stream::ByteStream;
use crate::driver::Driver;
use crate::error::{Error, HandlerError, HandlerPanicked};
use crate::exchange::Exchange;
use crate::runtime::Runtime;
use crate::server::Settings;
use crate::shutdown::{Counted, Shutdown, Watch};
use crate::tls::Handshake;
use crate::trace::{self, Span};
use pin_project_lite::pin_project;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tidewire::Instant;
use tidewire::http::{
    self, BodyLength, NO_FIELDS, OwnedHeaders, OwnedRequestHead, RequestHead, ServerEvent, Status,
};

/// What belongs to one connection and travels through its exchanges.
pub(crate) struct Conn<R: Runtime> {
    pub(crate) driver: Driver<R, http::Server>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) phase: Watch,
    pub(crate) counted: Counted,
    /// Until when the `Date` that the machine writes is right.
    pub(crate) dated_until: Instant,
    /// What is asked of it now, while an exchange has it.
    pub(crate) request: Request,
}

/// One request. It is here and not in its exchange, since that is moved from future to future, each of
/// which has room for it.
#[derive(Default)]
pub(crate) struct Request {
    /// `None` between requests.
    pub(crate) head: Option<OwnedRequestHead>,
    /// The body was read to its end.
    pub(crate) body_ended: bool,
    pub(crate) trailers: Option<Box<OwnedHeaders>>,
}

impl Request {
    pub(crate) fn head(&self) -> RequestHead<'_> {
        self.head.as_ref().expect("an exchange has a request").as_head()
    }
}

/// Where an [`Exchange`] puts the connection when it is dropped, answered or not, so that a
/// forgetful or panicking handler cannot lose it. Locked twice a request and never across a poll.
/// With the client's address, which both sides are asked for.
pub(crate) struct Home<R: Runtime>(Arc<(Option<SocketAddr>, Mutex<Whereabouts<R>>)>);

/// Where a connection is while its task does not have it.
enum Whereabouts<R: Runtime> {
    /// In an exchange. Whom to wake when it comes home.
    Out(Option<Waker>),
    Back(Box<Conn<R>>),
    /// It became something else, and does not come home.
    Gone,
}

impl<R: Runtime> Home<R> {
    fn new(peer: Option<SocketAddr>) -> Self {
        Self(Arc::new((peer, Mutex::new(Whereabouts::Out(None)))))
    }

    /// The client's address.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.0.0
    }

    /// The exchange is over. With `None`, the connection is another's now.
    pub(crate) fn put(&self, conn: Option<Box<Conn<R>>>) {
        let back = conn.map_or(Whereabouts::Gone, Whereabouts::Back);
        let before = std::mem::replace(&mut *self.lock(), back);
        if let Whereabouts::Out(Some(waker)) = before {
            waker.wake();
        }
    }

    /// Ready when the exchange is over, with the connection if it came home.
    fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<Box<Conn<R>>>> {
        let mut place = self.lock();
        match std::mem::replace(&mut *place, Whereabouts::Out(None)) {
            Whereabouts::Back(conn) => Poll::Ready(Some(conn)),
            Whereabouts::Gone => Poll::Ready(None),
            Whereabouts::Out(_) => {
                *place = Whereabouts::Out(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Whereabouts<R>> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Clone for Home<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pin_project! {
    /// The task of one connection of a [`Server`](crate::Server). It has a name only so that a
    /// runtime can say that it [`Spawn`](crate::Spawn)s it.
    #[must_use = "futures do nothing unless polled"]
    pub struct ConnectionTask<R: Runtime, H, F> {
        handler: H,
        home: Home<R>,
        // The connection is not here yet.
        arrival: Option<Box<Arrival<R>>>,
        // Here between requests, in the exchange while one is handled.
        conn: Option<Box<Conn<R>>>,
        #[pin]
        handling: Option<F>,
        // What the handler came to, while its exchange lives on elsewhere.
        handled: Option<Result<(), HandlerError>>,
        phase: Watch,
        on_error: fn(Option<SocketAddr>, &HandlerError),
        span: Span,
        // Of the request that is handled.
        request: Span,
    }
}

/// A connection that is none yet: the TLS handshake, and what comes after it.
struct Arrival<R: Runtime> {
    handshake: Handshake<R>,
    runtime: R,
    peer: Option<SocketAddr>,
    settings: Arc<Settings>,
    phase: Watch,
    counted: Counted,
}

impl<R: Runtime> Arrival<R> {
    /// Ready with the stream. Without one, if the handshake failed or the server shuts down: who has
    /// asked for nothing yet is not waited for.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<ByteStream<R>>> {
        if self.phase.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let made = ready!(self.handshake.poll(cx));
        if let (Err(error), Some(tls)) = (&made, &self.settings.config.tls) {
            trace::event!("tidewire::server", DEBUG, %error, "the TLS handshake failed");
            let _ = caught(|| tls.failed(self.peer, error));
        }
        Poll::Ready(made.ok())
    }
}

impl<R: Runtime, H, F> ConnectionTask<R, Arc<H>, F> {
    pub(crate) fn new(
        runtime: R,
        stream: ByteStream<R>,
        peer: Option<SocketAddr>,
        settings: Arc<Settings>,
        handler: Arc<H>,
        shutdown: &Arc<Shutdown>,
        counted: Counted,
    ) -> Self {
        let on_error = settings.config.on_error;
        let phase = Watch::draining(shutdown);
        let (arrival, conn) = if let Some(tls) = &settings.config.tls {
            let handshake = Handshake::server(&runtime, tls, stream);
            let it = Arrival { handshake, runtime, peer, settings, phase, counted };
            (Some(Box::new(it)), None)
        } else {
            (None, Some(Conn::new(runtime, stream, settings, phase, counted)))
        };
        Self {
            handler,
            home: Home::new(peer),
            arrival,
            conn,
            handling: None,
            handled: None,
            phase: Watch::stopped(shutdown),
            on_error,
            span: trace::span!(
                "tidewire::server",
                "connection",
                peer = peer.map(::tracing::field::display)
            ),
            request: Span::none(),
        }
    }
}

impl<R, H, F, E> Future for ConnectionTask<R, Arc<H>, F>
where
    R: Runtime,
    H: Fn(Exchange<R>) -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<HandlerError>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let _connection = this.span.enter();
        if this.phase.poll(cx).is_ready() {
            // What is left of a handler may panic too, and is told nobody: its client has gone.
            let _ = caught(|| this.handling.set(None));
            return Poll::Ready(());
        }
        if let Some(arrival) = this.arrival {
            let Some(stream) = ready!(arrival.poll(cx)) else { return Poll::Ready(()) };
            *this.conn = this
                .arrival
                .take()
                .map(|it| Conn::new(it.runtime, stream, it.settings, it.phase, it.counted));
        }
        loop {
            if let Some(handling) = this.handling.as_mut().as_pin_mut() {
                let _request = this.request.enter();
                let handled = match caught(|| handling.poll(cx).map_err(E::into)) {
                    Ok(poll) => ready!(poll),
                    Err(panicked) => Err(panicked),
                };
                let dropped = caught(|| this.handling.set(None));
                *this.handled = Some(handled.and(dropped));
            }
            if this.handled.is_some() {
                // Not there yet: the handler has given its exchange to somebody else.
                let home = ready!(this.home.poll_take(cx));
                let request = std::mem::replace(this.request, Span::none());
                let _request = request.enter();
                let handled = this.handled.take().unwrap_or(Ok(()));
                let over = home.as_ref().is_none_or(|conn| conn.is_over());
                let handled = handled.or_else(|error| {
                    // That the client left, or the server shuts down, is no failure of the handler.
                    match error.downcast_ref() {
                        Some(
                            Error::Closed | Error::Http(_) | Error::Io(_) | Error::WebSocket(_),
                        ) if over => return Ok(()),
                        // Nor is a bad opening handshake, which was answered.
                        Some(Error::Refused(rejection))
                            if rejection.status() != Status::INTERNAL_SERVER_ERROR =>
                        {
                            return Ok(());
                        }
                        _ => {}
                    }
                    trace::event!("tidewire::server", WARN, %error, "the handler failed");
                    // Who is told may panic as well, and harms nobody else either.
                    let _ = caught(|| (this.on_error)(this.home.peer(), &error));
                    Err(status_of(&*error))
                });
                let Some(mut conn) = home else { return Poll::Ready(()) };
                conn.after_handler(handled);
                *this.conn = Some(conn);
            }
            let Some(conn) = this.conn else { return Poll::Ready(()) };
            if !ready!(conn.poll_request(cx)) {
                return Poll::Ready(());
            }
            let Some(conn) = this.conn.take() else { return Poll::Ready(()) };
            *this.request = trace::span!(
                "tidewire::server", "request",
                method = ?conn.request.head().method, path = ?conn.request.head().path()
            );
            let exchange = Exchange::new(conn, this.home.clone());
            let _request = this.request.enter();
            match caught(|| (this.handler)(exchange)) {
                Ok(handling) => this.handling.set(Some(handling)),
                Err(panicked) => *this.handled = Some(Err(panicked)),
            }
        }
    }
}

impl<R: Runtime> Conn<R> {
    fn new(
        runtime: R,
        stream: ByteStream<R>,
        settings: Arc<Settings>,
        phase: Watch,
        counted: Counted,
    ) -> Box<Self> {
        let config = &settings.config;
        let mut driver = Driver::with_stream(runtime, stream, config.receive_buffer, |now, _tx| {
            http::Server::new(settings.http.clone(), now)
        });
        driver.set_write_timeout(config.http.write_timeout);
        let dated_until = Instant::EPOCH;
        let request = Request::default();
        Box::new(Self { driver, settings, phase, counted, dated_until, request })
    }

    /// Ready with whether there is another request, or the end of the connection.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.phase.poll(cx).is_ready() {
                let http = self.driver.parts();
                http.machine.shutdown(http.now);
            }
            if !ready!(self.poll_advance(cx)) {
                return Poll::Ready(false);
            }
            // Anything else is the rest of a body that the handler did not want, or the end: poll
            // on until the transport is closed in order.
            if let Some(ServerEvent::Request(head)) = self.driver.event() {
                self.counted.counters().request();
                self.request.head = Some(head.to_owned());
                return Poll::Ready(true);
            }
        }
    }

    /// As the driver's, with a `Date` that is right for whatever the machine answers by itself.
    pub(crate) fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.set_date();
        self.driver.poll_advance(cx)
    }

    /// Gives the machine the fields for a response that begins now.
    fn set_date(&mut self) {
        let now = self.driver.parts().now;
        if self.dated_until <= now {
            let clock = self.driver.clock();
            let (fields, until) = self.settings.fields.get(clock.std(now));
            self.dated_until = clock.instant(until);
            self.driver.parts().machine.set_default_fields(fields);
        }
    }

    /// Whether the client has left or the server shuts down.
    fn is_over(&self) -> bool {
        self.phase.is_draining() || self.has_left() || self.driver.io_error().is_some()
    }

    /// Whether there is nobody to answer any more.
    pub(crate) fn has_left(&self) -> bool {
        let http = self.driver.machine();
        !(http.is_responding() || http.is_response_due())
    }

    /// To be called before a response: it says that it is the last one if the server shuts down, and
    /// has today's date.
    pub(crate) fn prepare_response(&mut self) {
        self.set_date();
        if self.phase.is_draining() {
            let http = self.driver.parts();
            http.machine.shutdown(http.now);
        }
    }

    /// Ends the response in a way that the client can tell from success if the handler failed.
    fn after_handler(&mut self, handled: Result<(), Status>) {
        self.request = Request::default();
        self.prepare_response();
        let http = self.driver.parts();
        if http.machine.is_response_due() {
            // Cannot fail: nothing of a response is out yet.
            let _ = http.machine.respond(
                handled.err().unwrap_or(Status::INTERNAL_SERVER_ERROR),
                NO_FIELDS,
                BodyLength::Known(0),
                http.now,
                http.tx,
            );
        } else if http.machine.is_responding()
            && (handled.is_err() || http.machine.finish(http.tx).is_err())
        {
            http.machine.abort();
        }
    }
}

/// Calls what is the program's: a panic ends it and nothing else.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, HandlerError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| HandlerPanicked.into())
}

/// The answer to a request whose handler failed so.
fn status_of(error: &(dyn std::error::Error + 'static)) -> Status {
    match error.downcast_ref() {
        Some(Error::TooLarge { .. }) => Status::CONTENT_TOO_LARGE,
        _ => Status::INTERNAL_SERVER_ERROR,
    }
}
