//! A request whose body is made while it is sent.

use super::call::Call;
use super::response::HttpResponse;
use super::wire::Wire;
use crate::error::Error;
use crate::runtime::Runtime;
use bytes::Bytes;
use futures_io::AsyncRead;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use tidewire::SendBuf;
use tidewire::http::{self, Misuse};

/// How much is read at a time from the source of a body.
const READ: usize = 16 * 1024;

/// A request whose body is sent piece by piece: see [`HttpClient::start`](crate::HttpClient::start).
///
/// A server may answer before it has all of the body because it does not want it: its response is no
/// success, or says that the connection closes behind it (RFC 9112, 9.5). Sending then gives `false`
/// and drops the piece: go on with [`finish`](Self::finish), which gives the response. A server that
/// answers while it listens gets the whole body. What it says meanwhile is taken in as far as
/// [`receive_buffer`](crate::HttpClientConfig::receive_buffer) goes: one that mirrors more than the
/// buffers between hold reads no further until its answer is read, and sending waits for it in vain,
/// until [`Timeouts::write`](crate::Timeouts::write). For such a server, read the answer between the
/// pieces: see [`response`](Self::response).
///
/// Cancel-safe: a dropped future has queued the whole piece or nothing of it. Dropped itself, an
/// upload breaks the connection off, so that the server can tell it from a whole one.
#[must_use = "an upload ends with `finish`"]
pub struct Upload<R: Runtime> {
    call: Call<R>,
    wire: Box<Wire<R>>,
}

impl<R: Runtime> Upload<R> {
    pub(super) const fn new(call: Call<R>, wire: Box<Wire<R>>) -> Self {
        Self { call, wire }
    }

    /// Sends a piece of the body, waiting for room first. `false` says that the server wants no more
    /// of it.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if the body becomes longer than announced; [`Error::Http`],
    /// [`Error::Io`] or [`Error::Closed`] if the connection ended; [`Error::Deadline`].
    pub async fn send(&mut self, piece: &[u8]) -> Result<bool, Error> {
        self.send_with(|machine, tx| machine.send_data(piece, tx)).await
    }

    /// As [`send`](Self::send), without copying the piece if it is large.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_shared(&mut self, piece: &Bytes) -> Result<bool, Error> {
        self.send_with(|machine, tx| machine.send_shared(piece, tx)).await
    }

    /// Sends all that `source` gives. `false` says that the server wants no more of it.
    ///
    /// # Errors
    /// [`Error::Source`] if reading fails; else as [`send`](Self::send).
    pub async fn send_from(&mut self, mut source: impl AsyncRead + Unpin) -> Result<bool, Error> {
        let mut buffer = vec![0; READ];
        loop {
            if !self.call.room(&mut self.wire).await? {
                return Ok(false);
            }
            let (wire, on_interim) = (&mut *self.wire, self.call.request.on_interim.as_ref());
            let mark = self.call.client.config().send_high_water;
            let read = poll_fn(|cx| {
                if !ready!(wire.poll_room(cx, mark, on_interim))? {
                    return Poll::Ready(Ok(None));
                }
                // Polled last, so that nothing that was read is lost with a dropped future.
                let source = Pin::new(&mut source);
                source.poll_read(cx, &mut buffer).map_ok(Some).map_err(Error::Source)
            });
            let read = self.call.deadline.hold(read).await?;
            match read {
                None => return Ok(false),
                Some(0) => return Ok(true),
                Some(read) => {
                    let http = self.wire.driver.parts();
                    http.machine.send_data(&buffer[..read], http.tx)?;
                    self.wire.write().await;
                }
            }
        }
    }

    async fn send_with(
        &mut self,
        send: impl FnOnce(&mut http::Client, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<bool, Error> {
        if !self.call.room(&mut self.wire).await? {
            return Ok(false);
        }
        let http = self.wire.driver.parts();
        send(http.machine, http.tx).map_err(Error::closed)?;
        self.wire.write().await;
        Ok(true)
    }

    /// Ends the body, and waits for the response.
    ///
    /// A redirect is followed if the body need not be sent again; else it is the response.
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] if the body is shorter than announced; else as
    /// [`HttpClient::send`](crate::HttpClient::send).
    pub async fn finish(self) -> Result<HttpResponse<R>, Error> {
        self.finish_with(http::Client::finish).await
    }

    /// As [`finish`](Self::finish), with trailers behind the body (RFC 9110, 6.5), which must have
    /// been started with [`BodyLength::Unknown`](http::BodyLength::Unknown).
    ///
    /// # Errors
    /// [`Error::HttpMisuse`] for a field that may not be a trailer; else as
    /// [`finish`](Self::finish).
    pub async fn finish_with_trailers(
        self,
        trailers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
    ) -> Result<HttpResponse<R>, Error> {
        self.finish_with(|machine, tx| machine.finish_with_trailers(trailers, tx)).await
    }

    async fn finish_with(
        mut self,
        finish: impl FnOnce(&mut http::Client, &mut SendBuf) -> Result<(), Misuse>,
    ) -> Result<HttpResponse<R>, Error> {
        if !self.wire.is_refused() {
            self.wire.finish(finish)?;
        }
        self.call.answer(self.wire).await
    }

    /// Waits for the response while the body is unfinished, for an exchange in which both sides
    /// talk at the same time: [`HttpResponse::send`] goes on with the body. No redirect is followed.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn response(mut self) -> Result<HttpResponse<R>, Error> {
        let on_interim = self.call.request.on_interim.as_ref();
        let head = self.call.deadline.hold(self.wire.head(on_interim)).await?;
        Ok(HttpResponse::new(self.call, self.wire, head))
    }
}

impl<R: Runtime> std::fmt::Debug for Upload<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("request", &self.call.request).finish_non_exhaustive()
    }
}
