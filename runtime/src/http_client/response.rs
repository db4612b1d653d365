//! A response, read piece by piece.

use super::call::Call;
use super::wire::{Told, Wire};
use crate::error::Error;
use crate::runtime::Runtime;
use crate::upgraded::Upgraded;
use bytes::Bytes;
use std::future::poll_fn;
use tidewire::SendBuf;
use tidewire::http::{
    self, Headers, Misuse, OwnedHeaders, OwnedResponseHead, ResponseHead, Status,
};
use tidewire::url::Url;

/// The response to a request of an [`HttpClient`](crate::HttpClient). Its body is read piece by
/// piece, and not faster than the program takes it.
///
/// Once the body is read to its end, the connection serves the next request. Dropped before, a
/// response gives it back if the rest has come already and the request is written, and else closes
/// it: after an early answer, the server may then miss the rest of the request's body.
pub struct HttpResponse<R: Runtime> {
    call: Call<R>,
    head: OwnedResponseHead,
    /// Here until the end of the body, or an error.
    wire: Option<Box<Wire<R>>>,
    trailers: Option<OwnedHeaders>,
    ended: bool,
}

impl<R: Runtime> HttpResponse<R> {
    pub(super) const fn new(call: Call<R>, wire: Box<Wire<R>>, head: OwnedResponseHead) -> Self {
        Self { call, head, wire: Some(wire), trailers: None, ended: false }
    }

    /// The status. A client error (4xx) or server error (5xx) is a response as any other.
    #[must_use]
    pub fn status(&self) -> Status {
        self.head().status
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> ResponseHead<'_> {
        self.head.as_head()
    }

    /// The header lines.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        self.head().headers
    }

    /// Where the response came from: where the last redirect led, if there was one.
    #[must_use]
    pub const fn url(&self) -> &Url {
        self.call.hop.url()
    }

    /// The trailers (RFC 9110, 6.5); none before the body has ended.
    #[must_use]
    pub fn trailers(&self) -> Headers<'_> {
        self.trailers.as_ref().map_or_else(Headers::empty, OwnedHeaders::as_headers)
    }

    /// The next piece of the body; `None` at its end. If the server has answered early, and wants the
    /// rest of the request's body, the end waits until that is written.
    ///
    /// Cancel-safe: a dropped future takes no piece with it.
    ///
    /// # Errors
    /// [`Error::Http`] or [`Error::Io`] if the connection ended before the body, the server was
    /// silent for too long included; [`Error::Deadline`]; [`Error::Closed`] after any of them.
    pub async fn chunk(&mut self) -> Result<Option<&[u8]>, Error> {
        if self.ended {
            self.part().await;
            return Ok(None);
        }
        let Some(wire) = &mut self.wire else { return Err(Error::Closed) };
        if wire.driver.machine().is_upgraded() {
            return Ok(None);
        }
        let on_interim = self.call.request.on_interim.as_ref();
        let told = poll_fn(|cx| wire.poll_told(cx, on_interim));
        match self.call.deadline.hold(told).await {
            Ok(Told::Data(len)) => Ok(self.wire.as_mut().map(|wire| wire.data(len))),
            Ok(Told::End(trailers)) => {
                self.trailers = trailers;
                self.ended = true;
                self.part().await;
                Ok(None)
            }
            Ok(Told::Head(_) | Told::GoAhead) => Err(Error::Closed),
            Err(error) => {
                self.wire = None;
                Err(error)
            }
        }
    }

    /// The whole rest of the body, if it is not longer than `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limit; else as [`chunk`](Self::chunk).
    pub async fn collect(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if piece.len() > limit - whole.len() {
                return Err(Error::TooLarge { limit });
            }
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    /// As [`collect`](Self::collect), as text. It must be UTF-8, whatever `Content-Type` says.
    ///
    /// # Errors
    /// [`Error::NotText`] if it is not; else as [`collect`](Self::collect).
    pub async fn text(&mut self, limit: usize) -> Result<String, Error> {
        Ok(String::from_utf8(self.collect(limit).await?)?)
    }

    /// Sends a piece of the request's body, which [`Upload::response`](crate::Upload::response) has
    /// left unfinished, waiting for room first.
    ///
    /// While it waits, no more of the response is taken in than
    /// [`receive_buffer`](crate::HttpClientConfig::receive_buffer) holds. A server that stops reading
    /// until its answer is read, such as one that mirrors, then waits for this side as this side for
    /// it, until [`Timeouts::write`](crate::Timeouts::write): read with [`chunk`](Self::chunk) in
    /// between, and send no more at a time than the buffers hold.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if the body has been finished or becomes longer than announced;
    /// [`Error::Io`] if the connection broke or the server took nothing for too long;
    /// [`Error::Closed`] if it has ended; [`Error::Deadline`].
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

    /// Ends the request's body, and waits until it is written.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if it is shorter than announced; else as [`send`](Self::send).
    pub async fn finish(&mut self) -> Result<(), Error> {
        let Some(wire) = &mut self.wire else { return Err(Error::Closed) };
        wire.finish(http::Client::finish)?;
        let flushed = async { Ok(wire.driver.flush().await?) };
        self.call.deadline.hold(flushed).await?;
        if self.ended {
            self.release();
        }
        Ok(())
    }

    async fn send_with(
        &mut self,
        send: impl FnOnce(&mut http::Client, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<(), Error> {
        let Some(wire) = &mut self.wire else { return Err(Error::Closed) };
        let mark = self.call.client.config().send_high_water;
        let drained = async { Ok(poll_fn(|cx| wire.driver.poll_drain(cx, mark)).await?) };
        self.call.deadline.hold(drained).await?;
        let http = wire.driver.parts();
        send(http.machine, http.tx).map_err(Error::closed)?;
        wire.write().await;
        Ok(())
    }

    /// The connection, after a `101` or a success in answer to CONNECT: it belongs to the protocol that
    /// was asked for (RFC 9110, 7.8 and 9.3.6). Any other response is handed back.
    ///
    /// # Errors
    /// The response.
    pub fn upgrade(mut self) -> Result<Upgraded<R>, Box<Self>> {
        match self.wire.take() {
            Some(wire) if wire.driver.machine().is_upgraded() => {
                Upgraded::new(wire.driver, None).map_err(|_| Box::new(self))
            }
            wire => {
                self.wire = wire;
                Err(Box::new(self))
            }
        }
    }

    /// Gives the connection back behind the end of the response, unless the program still makes the
    /// request's body. What of that waits to be written is not cut off if the server wants it.
    async fn part(&mut self) {
        let status = self.status();
        let Some(wire) = &mut self.wire else { return };
        if wire.is_sending() {
            return;
        }
        if !wire.refuses(status) {
            let flushed = async { Ok(wire.driver.flush().await?) };
            // The response is whole: that the server takes no more is its own decision.
            let _ = self.call.deadline.hold(flushed).await;
        }
        self.release();
    }

    /// Gives the connection back, if it can serve another request.
    fn release(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.call.client.recycle(wire);
        }
    }
}

impl<R: Runtime> Drop for HttpResponse<R> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<R: Runtime> std::fmt::Debug for HttpResponse<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("HttpResponse");
        debug.field("url", self.url()).field("head", &self.head()).finish_non_exhaustive()
    }
}
