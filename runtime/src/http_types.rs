//! A request as the types of the `http` crate, for code that is written for these (feature `http`).

use crate::body_writer::BodyWriter;
use crate::error::{Error, HandlerError};
use crate::exchange::Exchange;
use crate::runtime::Runtime;
use ::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tidewire::http::convert::Fields;
use tidewire::http::{BodyLength, Headers, NO_FIELDS, Status};

/// The body of a request on its way to code that takes an [`http_body::Body`]: see
/// [`Exchange::serve_http`].
///
/// It may go to any task and thread. Pieces are read off the connection when they are asked for, one
/// at a time, while [`Exchange::serve_http`] is polled; once that is over, what was not read is
/// [`Error::Closed`].
#[derive(Debug)]
pub struct Body {
    pipe: Arc<Mutex<Pipe>>,
    /// How many bytes are still to come, if that is known.
    left: Option<u64>,
}

/// What lies between a [`Body`] and the connection: one piece at most.
#[derive(Debug, Default)]
struct Pipe {
    wanted: bool,
    piece: Option<Result<Frame<Bytes>, Error>>,
    /// Nothing comes behind `piece`.
    ended: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

impl Pipe {
    /// Hands over what was asked for, or the end. Whoever reads is to be woken, when the lock is free.
    fn put(&mut self, piece: Option<Result<Frame<Bytes>, Error>>, ended: bool) -> Option<Waker> {
        (self.wanted, self.piece, self.ended) = (false, piece, ended);
        self.reader.take()
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { pipe, left } = self.get_mut();
        let mut pipe = lock(pipe);
        if let Some(piece) = pipe.piece.take() {
            let length = piece.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
            *left = left.map(|left| left.saturating_sub(length as u64));
            return Poll::Ready(Some(piece));
        }
        if pipe.ended {
            return Poll::Ready(None);
        }
        pipe.wanted = true;
        pipe.reader = Some(cx.waker().clone());
        let feeder = pipe.feeder.take();
        drop(pipe);
        feeder.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let pipe = lock(&self.pipe);
        self.left == Some(0) || (pipe.ended && pipe.piece.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// The end of the pipe at the connection.
struct Feeder(Arc<Mutex<Pipe>>);

impl Feeder {
    /// Hands over what the body was asked for, as far as it is here.
    fn poll<R: Runtime>(&self, exchange: &mut Exchange<R>, cx: &mut Context<'_>) {
        let mut pipe = lock(&self.0);
        if pipe.ended {
            return;
        }
        if !pipe.wanted {
            pipe.feeder = Some(cx.waker().clone());
            return;
        }
        drop(pipe);
        let Poll::Ready(open) = exchange.poll_body(cx) else { return };
        let (piece, ended) = match exchange.take_body(open) {
            Ok(Some(piece)) => (Some(Ok(Frame::data(Bytes::copy_from_slice(piece)))), false),
            Ok(None) => (trailers(exchange.trailers()), true),
            Err(error) => (Some(Err(error)), true),
        };
        let mut pipe = lock(&self.0);
        let reader = pipe.put(piece, ended);
        // Whoever asks for the next one rings.
        pipe.feeder = Some(cx.waker().clone());
        drop(pipe);
        reader.into_iter().for_each(Waker::wake);
    }
}

/// Trailers as a frame, if there are any.
fn trailers(trailers: Headers<'_>) -> Option<Result<Frame<Bytes>, Error>> {
    // What the `http` crate does not take is dropped, as a recipient may do with any trailer (RFC 9110,
    // 6.5.1).
    let map = HeaderMap::try_from(trailers).ok()?;
    (!map.is_empty()).then(|| Ok(Frame::trailers(map)))
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        let reader = if pipe.ended { None } else { pipe.put(Some(Err(Error::Closed)), true) };
        drop(pipe);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl<R: Runtime> Exchange<R> {
    /// Answers with what `service` makes of the request: a function from [`http::Request`](::http::Request)
    /// to [`http::Response`](::http::Response), whose body is any [`http_body::Body`]. Frameworks that
    /// speak these types need no adapter: a service of `tower` is called in a closure.
    ///
    /// ```
    /// # use tidewire_runtime::{Body, Exchange, HandlerError, SendRuntime};
    /// async fn on_request<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    ///     exchange.serve_http(hello).await
    /// }
    ///
    /// async fn hello(request: http::Request<Body>) -> http::Result<http::Response<String>> {
    ///     let text = format!("hello {}", request.uri().path());
    ///     http::Response::builder().header("Content-Type", "text/plain").body(text)
    /// }
    /// ```
    ///
    /// The body's exact size becomes `Content-Length`, else the response's own `Content-Length`;
    /// without either it is sent in chunks. Trailers are sent. The request's body may still be read
    /// while the response is sent, by another task too. A request that the `http` crate cannot hold
    /// ([`ConvertError`](tidewire::http::convert::ConvertError)) is answered with `400`.
    ///
    /// A WebSocket or event stream of this crate's is not made so: look at the
    /// [`path`](Self::path) before.
    ///
    /// # Errors
    /// What the service or the body of its response fails with, and as [`stream`](Self::stream) and
    /// [`BodyWriter::send`](crate::BodyWriter::send). A handler may just return them.
    pub async fn serve_http<S, F, B, E>(mut self, service: S) -> Result<(), HandlerError>
    where
        S: FnOnce(::http::Request<Body>) -> F,
        F: Future<Output = Result<::http::Response<B>, E>>,
        E: Into<HandlerError>,
        B: http_body::Body,
        B::Error: Into<HandlerError>,
    {
        let Ok(request) = ::http::Request::try_from(self.head()) else {
            return Ok(self.respond_with(Status::BAD_REQUEST, NO_FIELDS, "").await?);
        };
        let left = match request.headers().get(CONTENT_LENGTH) {
            Some(value) => value.to_str().ok().and_then(|value| value.parse().ok()),
            // Without either field there is no body (RFC 9112, 6.3).
            None => self.head().headers.get("transfer-encoding").is_none().then_some(0),
        };
        let pipe = Arc::<Mutex<Pipe>>::default();
        lock(&pipe).ended = left == Some(0);
        let feeder = Feeder(pipe.clone());
        let mut answering = pin!(service(request.map(|()| Body { pipe, left })));
        let response = poll_fn(|cx| {
            let answer = answering.as_mut().poll(cx);
            if answer.is_pending() {
                feeder.poll(&mut self, cx);
            }
            answer
        });
        let (head, body) = response.await.map_err(Into::into)?.into_parts();
        let asked_for_head = self.method() == "HEAD";
        let size = http_body::Body::size_hint(&body).exact();
        let length = length(&head.headers, size, asked_for_head);
        let mut writer = self.stream(head.status.into(), Fields::from(&head.headers), length)?;
        let trailers = match asked_for_head {
            true => HeaderMap::new(),
            false => send_body(&mut writer, body, &feeder).await?,
        };
        if trailers.is_empty() {
            return Ok(writer.finish().await?);
        }
        Ok(writer.finish_with_trailers(Fields::from(&trailers)).await?)
    }
}

/// Sends the body of a response, and gives back its trailers.
async fn send_body<R: Runtime, B>(
    writer: &mut BodyWriter<R>,
    body: B,
    feeder: &Feeder,
) -> Result<HeaderMap, HandlerError>
where
    B: http_body::Body,
    B::Error: Into<HandlerError>,
{
    let high_water = writer.exchange().conn().settings.config.send_high_water;
    let (mut body, mut trailers) = (pin!(body), HeaderMap::new());
    loop {
        let frame = poll_fn(|cx| {
            let frame = body.as_mut().poll_frame(cx);
            if frame.is_pending() {
                // What there is so far leaves, the head included.
                let driver = &mut writer.exchange().conn().driver;
                if let Poll::Ready(Err(error)) = driver.poll_drain(cx, 0) {
                    return Poll::Ready(Err(Error::Io(error)));
                }
                feeder.poll(writer.exchange(), cx);
            }
            frame.map(Ok)
        });
        let Some(frame) = frame.await? else { return Ok(trailers) };
        let mut data = match frame.map_err(Into::into)?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers.extend(frame.into_trailers().unwrap_or_default());
                continue;
            }
        };
        let room = poll_fn(|cx| {
            if writer.exchange().conn().driver.queued() < high_water {
                return Poll::Ready(Ok(()));
            }
            feeder.poll(writer.exchange(), cx);
            writer.exchange().conn().driver.poll_drain(cx, high_water / 2)
        });
        room.await.map_err(Error::Io)?;
        writer.send_shared(&data.copy_to_bytes(data.remaining())).await?;
    }
}

/// How long a response's body is: what its `size` says, or its head.
fn length(fields: &HeaderMap, size: Option<u64>, asked_for_head: bool) -> BodyLength {
    let declared = || fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    // In answer to HEAD, `Content-Length` is that of a GET, or not there (RFC 9110, 8.6): an empty body
    // says nothing of that.
    let size = size.filter(|&size| !asked_for_head || size > 0);
    size.or_else(declared).map_or(BodyLength::Unknown, BodyLength::Known)
}
