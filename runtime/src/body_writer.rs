//! A response whose body is made while it is sent.

use crate::error::Error;
use crate::exchange::Exchange;
use crate::runtime::Runtime;
use bytes::Bytes;
use std::future::{Future, poll_fn};
use tidewire::SendBuf;
use tidewire::http::{self, Headers, Misuse, RequestHead};

/// The body of a response, sent piece by piece: see [`Exchange::stream`].
///
/// ```
/// # use tidewire_runtime::{Exchange, HandlerError, SendRuntime, http::{BodyLength, NO_FIELDS, Status}};
/// async fn count<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
///     let mut writer = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
///     for number in 0..1_000_000 {
///         writer.send(format!("{number}\n").as_bytes()).await?; // as fast as the client reads
///     }
///     Ok(writer.finish().await?)
/// }
/// ```
///
/// At most [`ServerConfig::send_high_water`](crate::ServerConfig::send_high_water) bytes and one
/// piece wait for the client: sending waits for it. In answer to a HEAD all of it is dropped.
///
/// Dropped before [`finish`](Self::finish), it ends as the handler does: in order after `Ok`, if the
/// length allows it, and after an error such that the client can tell it from a whole one.
#[derive(Debug)]
pub struct BodyWriter<R: Runtime> {
    exchange: Exchange<R>,
}

impl<R: Runtime> BodyWriter<R> {
    pub(crate) const fn new(exchange: Exchange<R>) -> Self {
        Self { exchange }
    }

    #[cfg(feature = "http")]
    pub(crate) const fn exchange(&mut self) -> &mut Exchange<R> {
        &mut self.exchange
    }

    /// The head of the request that this answers.
    #[must_use]
    pub fn head(&self) -> RequestHead<'_> {
        self.exchange.head()
    }

    /// Sends a piece, waiting for room first.
    ///
    /// Cancel-safe: a dropped future has queued the whole piece or nothing of it.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if the body becomes longer than announced; [`Error::Io`] if the
    /// connection broke; [`Error::Closed`] if it has ended.
    pub async fn send(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.send_with(|machine, tx| machine.send_data(piece, tx)).await
    }

    /// As [`send`](Self::send), without copying the piece if it is large.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_shared(&mut self, piece: &Bytes) -> Result<(), Error> {
        self.send_with(|machine, tx| machine.send_shared(piece, tx)).await
    }

    async fn send_with(
        &mut self,
        send: impl FnOnce(&mut http::Server, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<(), Error> {
        let conn = self.exchange.conn();
        let high_water = conn.settings.config.send_high_water;
        if conn.driver.queued() >= high_water {
            poll_fn(|cx| conn.driver.poll_drain(cx, high_water / 2)).await?;
        }
        let http = conn.driver.parts();
        send(http.machine, http.tx).map_err(Error::closed)?;
        Ok(poll_fn(|cx| conn.driver.poll_drain(cx, usize::MAX)).await?)
    }

    /// The next piece of the request's body, while the response is under way; as
    /// [`Exchange::body`]. See [`Exchange::stream`] for a body behind `Expect: 100-continue`.
    ///
    /// # Errors
    /// As [`Exchange::body`].
    pub async fn request_body(&mut self) -> Result<Option<&[u8]>, Error> {
        self.exchange.body().await
    }

    /// The trailers of the request (RFC 9110, 6.5), once its body has ended.
    #[must_use]
    pub fn request_trailers(&self) -> Headers<'_> {
        self.exchange.trailers()
    }

    /// Runs `future` to its end, watching the client meanwhile: the next piece from a channel, say.
    /// What is left of the request's body is dropped. From now on a client that shuts down its
    /// sending side has left: there is no other way to notice it before something is sent.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down; `future` is
    /// dropped then.
    pub async fn while_open<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        self.exchange.while_open(future).await
    }

    /// Ends the body, and waits until all of it is written.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if it is shorter than announced; else as [`send`](Self::send).
    pub async fn finish(self) -> Result<(), Error> {
        self.finish_with(http::Server::finish).await
    }

    /// As [`finish`](Self::finish), with trailers behind the body (RFC 9110, 6.5), which must have
    /// been begun with [`BodyLength::Unknown`](http::BodyLength::Unknown). They are dropped where
    /// the body is, and towards a client of HTTP/1.0.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] for a field that may not be a trailer; else as
    /// [`finish`](Self::finish).
    pub async fn finish_with_trailers(
        self,
        trailers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
    ) -> Result<(), Error> {
        self.finish_with(|machine, tx| machine.finish_with_trailers(trailers, tx)).await
    }

    async fn finish_with(
        mut self,
        finish: impl FnOnce(&mut http::Server, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<(), Error> {
        let driver = &mut self.exchange.conn().driver;
        let http = driver.parts();
        finish(http.machine, http.tx).map_err(Error::closed)?;
        Ok(driver.flush().await?)
    }
}
