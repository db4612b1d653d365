//! One request, and the connection to answer it on.

use crate::body_writer::BodyWriter;
use crate::connection::{Conn, Home};
use crate::error::Error;
use crate::event_stream::EventStream;
use crate::runtime::Runtime;
use crate::tls::TlsSession;
use crate::upgraded::Upgraded;
use crate::websocket::WebSocket;
use bytes::Bytes;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use tidewire::http::{self, BodyLength, Headers, NO_FIELDS, RequestHead, ServerEvent, Status};
use tidewire::sse::{self, StreamConfig};
use tidewire::ws;

/// One request to a [`Server`](crate::Server) and the connection to answer it on.
///
/// Answer it in one of these ways: [`respond`](Self::respond) with a body that is there,
/// [`stream`](Self::stream) one that is made meanwhile or an [`event_stream`](Self::event_stream),
/// or let it become a [`websocket`](Self::websocket) or another protocol by
/// [`upgrade`](Self::upgrade). Dropped without an answer, it gives the client a `500`.
///
/// A handler may give its exchange to somebody else and return: the connection waits until the
/// exchange is dropped, and serves the next request then.
///
/// A client that sends `Expect: 100-continue` (RFC 9110, 10.1.1) is told to go on when the body is
/// first asked for. To refuse the body, answer without asking for it.
pub struct Exchange<R: Runtime> {
    /// `None` only while it is dropped or turned into something else.
    conn: Option<Box<Conn<R>>>,
    home: Home<R>,
}

impl<R: Runtime> Exchange<R> {
    pub(crate) fn new(conn: Box<Conn<R>>, home: Home<R>) -> Self {
        Self { conn: Some(conn), home }
    }

    pub(crate) fn conn(&mut self) -> &mut Conn<R> {
        self.conn.as_mut().expect("an exchange holds its connection until it is dropped")
    }

    fn held(&self) -> &Conn<R> {
        self.conn.as_ref().expect("an exchange holds its connection until it is dropped")
    }

    /// The request's head (RFC 9112, 3).
    #[must_use]
    pub fn head(&self) -> RequestHead<'_> {
        self.held().request.head()
    }

    /// The request's method, as sent: `GET`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head().method
    }

    /// The path of the request's target, without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head().path()
    }

    /// What follows the first `?` of the request's target.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head().query()
    }

    /// Host and port that the request is meant for: those of its target if it has any, else `Host`
    /// (RFC 9112, 3.3). `None` if it names none.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.head().authority()
    }

    /// What TLS has agreed on, if the connection speaks it: who the client is, for one.
    #[must_use]
    pub fn tls_session(&self) -> Option<TlsSession> {
        self.conn.as_ref()?.driver.tls_session()
    }

    /// The client's address. `None` if it has none, as on a Unix socket.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.home.peer()
    }

    /// Whether the client asks for `text/event-stream` by name in `Accept` (RFC 9110, 12.5.1), as
    /// every `EventSource` does. Wildcards do not count.
    #[must_use]
    pub fn wants_event_stream(&self) -> bool {
        http::accepts_explicitly(self.head().headers, "text/event-stream")
    }

    /// Whether the client asks to upgrade to WebSocket (RFC 6455, 4.1).
    #[must_use]
    pub fn wants_websocket(&self) -> bool {
        self.head().headers.contains_token("upgrade", "websocket")
    }

    /// The next piece of the request's body; `None` at its end.
    ///
    /// # Errors
    /// [`Error::Http`] if the client left, broke the rules or took too long before the body's end;
    /// [`Error::Io`] if the connection broke; [`Error::Closed`] if it has ended before. A handler may
    /// just return them: that a client left is no failure of it.
    pub async fn body(&mut self) -> Result<Option<&[u8]>, Error> {
        let open = poll_fn(|cx| self.poll_body(cx)).await;
        self.take_body(open)
    }

    /// Ready when there is something for [`take_body`](Self::take_body) to take, with whether the
    /// connection is open.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match &mut self.conn {
            Some(conn) if !conn.request.body_ended => conn.poll_advance(cx),
            _ => Poll::Ready(false),
        }
    }

    /// What [`poll_body`](Self::poll_body) was ready for.
    pub(crate) fn take_body(&mut self, open: bool) -> Result<Option<&[u8]>, Error> {
        let Some(conn) = &mut self.conn else { return Err(Error::Closed) };
        if conn.request.body_ended {
            return Ok(None);
        }
        if !open {
            return Err(Error::Closed);
        }
        match conn.driver.event() {
            Some(ServerEvent::Data(data)) => Ok(Some(data)),
            Some(ServerEvent::End(trailers)) => {
                conn.request.body_ended = true;
                conn.request.trailers =
                    (!trailers.is_empty()).then(|| Box::new(trailers.to_owned()));
                Ok(None)
            }
            Some(ServerEvent::Closed(why)) => Err(Error::Http(why)),
            // The next request is told behind the end of this one, and an event only once.
            Some(_) | None => Err(Error::Closed),
        }
    }

    /// The trailers of the request (RFC 9110, 6.5); none before its body was read to its end.
    #[must_use]
    pub fn trailers(&self) -> Headers<'_> {
        self.held().request.trailers.as_ref().map_or_else(Headers::empty, |it| it.as_headers())
    }

    /// The whole body of the request, if it is not longer than `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limit, which a handler may just return: the client is answered
    /// `413`, and what it still sends is read and dropped, up to
    /// [`max_body`](http::ServerConfig::max_body). What was read before is lost. Else as
    /// [`body`](Self::body).
    pub async fn collect(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.body().await? {
            if piece.len() > limit - whole.len() {
                return Err(Error::TooLarge { limit });
            }
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    /// Runs `future` to its end, watching the client meanwhile: a query to a database, say, which is
    /// for nobody once the client has left. Without this nobody looks at the connection while a
    /// handler waits for something else.
    ///
    /// What is left of the request's body is dropped. From now on a client that shuts down its sending
    /// side has left: there is no other way to notice it before something is sent.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down; `future` is
    /// dropped then.
    pub async fn while_open<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        self.conn().driver.parts().machine.end_on_eof();
        let mut future = pin!(future);
        poll_fn(|cx| match self.poll_left(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Error::Closed)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Answers `200` with `body` as it is.
    ///
    /// # Errors
    /// As [`respond_with`](Self::respond_with).
    pub async fn respond(&mut self, body: impl Into<Bytes>) -> Result<(), Error> {
        self.respond_with(Status::OK, NO_FIELDS, body).await
    }

    /// Answers with a status ([`Status::NOT_FOUND`], say), fields ([`http::NO_FIELDS`] for none) and a
    /// body. Its length, `Connection`, and what a `HEAD`
    /// request or a status without body needs are seen to.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if a response was begun already or a field is not allowed; [`Error::Io`]
    /// if the client is gone.
    pub async fn respond_with(
        &mut self,
        status: Status,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        body: impl Into<Bytes>,
    ) -> Result<(), Error> {
        let body = body.into();
        let conn = self.conn();
        conn.prepare_response();
        let driver = &mut conn.driver;
        let http = driver.parts();
        let length = BodyLength::Known(body.len() as u64);
        http.machine.respond(status, fields, length, http.now, http.tx)?;
        http.machine.send_shared(&body, http.tx)?;
        http.machine.finish(http.tx)?;
        Ok(driver.flush().await?)
    }

    /// Sends an interim response, such as [`Status::EARLY_HINTS`] (RFC 9110, 15.2), before the
    /// response. A client of HTTP/1.0 gets none.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if the status is none of 100 to 199, or 101, or a field is not allowed;
    /// [`Error::Io`] if the client is gone.
    pub async fn inform(
        &mut self,
        status: Status,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
    ) -> Result<(), Error> {
        let driver = &mut self.conn().driver;
        let http = driver.parts();
        http.machine.inform(status, fields, http.tx)?;
        Ok(driver.flush().await?)
    }

    /// Answers with a body that is sent piece by piece. With [`BodyLength::Unknown`] it is sent in
    /// chunks (RFC 9112, 7.1), or to a client of HTTP/1.0 until the connection closes. Nothing
    /// waits: the head leaves with the first piece.
    ///
    /// A body that waits behind `Expect: 100-continue` counts as refused once the response is begun
    /// (RFC 9110, 10.1.1). To take it while the response is under way, call
    /// [`inform`](Self::inform) with [`Status::CONTINUE`] first.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if a response was begun already, or the status or a field is not
    /// allowed.
    pub fn stream(
        mut self,
        status: Status,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        length: BodyLength,
    ) -> Result<BodyWriter<R>, Error> {
        let conn = self.conn();
        conn.prepare_response();
        let http = conn.driver.parts();
        http.machine.respond(status, fields, length, http.now, http.tx)?;
        Ok(BodyWriter::new(self))
    }

    /// Leaves the connection to another protocol: answers a CONNECT with `200` (RFC 9110, 9.3.6), and
    /// any other request with `101` (7.8), for which `fields` must name the protocol, as
    /// `[("Connection", "Upgrade"), ("Upgrade", "…")]`. A request with a body must be read to its
    /// end before.
    ///
    /// Look first whether the client asks for it, `head().headers.contains_token("upgrade", "…")`, and
    /// answer something else if not, `426` for instance: a failed upgrade gives the client a `500`.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if the client does not ask for it, or a field is not allowed;
    /// [`Error::Io`] if the client is gone.
    pub async fn upgrade(
        mut self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
    ) -> Result<Upgraded<R>, Error> {
        let conn = self.conn();
        conn.prepare_response();
        let http = conn.driver.parts();
        http.machine.upgrade(fields, http.tx)?;
        let Some(mut conn) = self.conn.take() else { return Err(Error::Closed) };
        conn.driver.flush().await?;
        Upgraded::new(conn.driver, Some(conn.counted))
    }

    /// Ready once the client has left or the server shuts down. What comes of the request's body
    /// meanwhile is for nobody.
    pub(crate) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What is left of the body goes by here.
        let conn = self.conn();
        conn.request.body_ended = true;
        if conn.phase.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while !conn.has_left() && ready!(conn.poll_advance(cx)) {
            if let Some(ServerEvent::Closed(_)) = conn.driver.event() {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Answers with an event stream (WHATWG HTML, 9.2) and sends its head. `fields` come on top of
    /// its own; [`http::NO_FIELDS`] says that there are none. In answer to `HEAD` there is nothing but
    /// the head, and the stream is closed.
    ///
    /// Up to [`ServerConfig::send_high_water`](crate::ServerConfig::send_high_water) bytes wait for
    /// the client; the rest is as [`StreamConfig`] has it by default.
    ///
    /// # Errors
    /// As [`respond_with`](Self::respond_with).
    pub async fn event_stream(
        mut self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    ) -> Result<EventStream<R>, Error> {
        let high_water = self.conn().settings.config.send_high_water;
        self.event_stream_with(fields, StreamConfig { high_water, ..Default::default() }).await
    }

    /// As [`event_stream`](Self::event_stream), with heartbeats, reconnection time and a policy for
    /// slow readers of the caller's choice.
    ///
    /// # Errors
    /// As [`respond_with`](Self::respond_with).
    pub async fn event_stream_with(
        mut self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
        config: StreamConfig,
    ) -> Result<EventStream<R>, Error> {
        let bodiless = self.method() == "HEAD";
        let conn = self.conn();
        conn.prepare_response();
        let driver = &mut conn.driver;
        let http = driver.parts();
        let stream = sse::Stream::open(http.machine, fields, config, http.now, http.tx)?;
        if bodiless {
            stream.clone().finish(http.machine, http.tx)?;
        }
        driver.flush().await?;
        // Many come at a time, after a restart say, and each may wait for long.
        driver.release_soon();
        Ok(EventStream::new(self, stream, &config))
    }

    /// Answers with an upgrade to WebSocket (RFC 6455, 4.2).
    ///
    /// From now on the connection has the deadlines of `config`, and none of HTTP's.
    /// [`ws::Config::server`] is what to begin with: it pings, so that a client that is gone without a
    /// word is noticed, here as long as somebody waits for the socket's next event. With
    /// [`ws::Config::default`] an idle connection lasts for ever.
    ///
    /// # Errors
    /// [`Error::Refused`] if the request does not ask for it in order; the client has then been
    /// answered with the status of that [`Rejection`](ws::handshake::Rejection::status): `426` for
    /// another version, `403` for an origin, mostly `400`. [`Error::Io`] if the client is gone.
    pub fn websocket(
        self,
        options: &ws::handshake::ServerOptions<'_>,
        config: ws::Config,
    ) -> impl Future<Output = Result<WebSocket<R>, Error>> {
        // On the heap, for as long as it takes: else every connection's task had room for it.
        Box::pin(self.open_websocket(options, config))
    }

    async fn open_websocket(
        mut self,
        options: &ws::handshake::ServerOptions<'_>,
        config: ws::Config,
    ) -> Result<WebSocket<R>, Error> {
        let conn = self.conn();
        let negotiated = match ws::handshake::accept(&conn.request.head(), options) {
            Ok(accepted) => {
                let http = conn.driver.parts();
                http.machine.upgrade(accepted.fields(), http.tx)?;
                accepted.negotiated()
            }
            Err(rejection) => {
                let fields = rejection.fields().iter().copied();
                self.respond_with(rejection.status(), fields, Bytes::new()).await?;
                return Err(Error::Refused(rejection));
            }
        };
        let Some(conn) = self.conn.take() else { return Err(Error::Closed) };
        let mut socket = WebSocket::accepted(*conn, config, negotiated);
        // The client waits for the answer, whenever the program goes on.
        socket.flush().await?;
        socket.release_soon();
        Ok(socket)
    }
}

/// Hands the connection back to its task, or tells that it is another's.
impl<R: Runtime> Drop for Exchange<R> {
    fn drop(&mut self) {
        self.home.put(self.conn.take());
    }
}

impl<R: Runtime> std::fmt::Debug for Exchange<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("head", &self.held().request.head.as_ref().map(|it| it.as_head()))
            .finish_non_exhaustive()
    }
}
