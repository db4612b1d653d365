//! One subscriber of an event stream, on the server's side.

use crate::error::Error;
use crate::exchange::Exchange;
use crate::runtime::{Runtime, Timer, after};
use std::future::{Future, poll_fn};
use std::time::Duration;
use tidewire::sse;

/// An event stream to one client (WHATWG HTML, 9.2).
///
/// A client that leaves is noticed while this stream waits, sends, or is asked whether it is
/// [`closed`](Self::closed): then every call gives [`Error::Closed`]. Dropped, it ends the stream.
///
/// # Slow readers
///
/// At most [`ServerConfig::send_high_water`](crate::ServerConfig::send_high_water) bytes wait for
/// the client. What happens beyond is the caller's choice: [`send`](Self::send) waits;
/// [`try_send`](Self::try_send) says [`sse::SendError::Full`], and the caller drops the event or
/// the stream.
#[derive(Debug)]
pub struct EventStream<R: Runtime> {
    exchange: Exchange<R>,
    stream: sse::Stream,
    low_water: usize,
}

impl<R: Runtime> EventStream<R> {
    pub(crate) fn new(exchange: Exchange<R>, stream: sse::Stream, low_water: usize) -> Self {
        Self { exchange, stream, low_water }
    }

    /// The request that asked for this stream, `Last-Event-ID` included.
    #[must_use]
    pub fn head(&self) -> tidewire::http::RequestHead<'_> {
        self.exchange.head()
    }

    /// Sends `event`, waiting for room first.
    ///
    /// # Errors
    /// [`Error::Send`] if the event cannot be encoded or the client has left; [`Error::Io`] if the
    /// connection broke.
    pub async fn send(&mut self, event: &sse::Event<'_>) -> Result<(), Error> {
        loop {
            match self.try_send(event) {
                Err(Error::Send(sse::SendError::Full)) => {
                    let mark = self.low_water;
                    poll_fn(|cx| self.exchange.conn().driver.poll_drain(cx, mark)).await?;
                }
                result => return result.and(self.write().await),
            }
        }
    }

    /// Queues `event` if there is room. It leaves with the next call that waits.
    ///
    /// # Errors
    /// [`Error::Send`] with [`sse::SendError::Full`] if there is none; else as [`send`](Self::send).
    pub fn try_send(&mut self, event: &sse::Event<'_>) -> Result<(), Error> {
        let http = self.exchange.conn().driver.parts();
        Ok(self.stream.send(event, http.machine, http.tx)?)
    }

    /// Waits for `duration`, watching the client meanwhile.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down.
    pub async fn wait(&mut self, duration: Duration) -> Result<(), Error> {
        let mut timer = self.exchange.conn().driver.timer();
        timer.set(after(duration));
        self.while_open(poll_fn(|cx| timer.poll(cx))).await
    }

    /// Runs `future` to its end, watching the client meanwhile: the next event from a channel, say.
    ///
    /// # Errors
    /// [`Error::Closed`] as soon as the client has left or the server shuts down; `future` is
    /// dropped then.
    pub async fn while_open<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        self.exchange.while_open(future).await
    }

    /// Waits until the client has left or the server shuts down.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.exchange.poll_left(cx)).await;
    }

    /// Ends the stream in order, so that the client sees its end and not a broken connection.
    ///
    /// # Errors
    /// [`Error::Io`] if the client is gone.
    pub async fn finish(mut self) -> Result<(), Error> {
        let driver = &mut self.exchange.conn().driver;
        let http = driver.parts();
        self.stream.finish(http.machine, http.tx)?;
        Ok(driver.flush().await?)
    }

    /// Writes what the socket takes now.
    async fn write(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.exchange.conn().driver.poll_drain(cx, usize::MAX)).await?;
        Ok(())
    }
}
