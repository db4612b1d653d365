//! Decoders over a stream of bytes: each read is put where they poll for it, and they are polled
//! until they wait for the next.

use super::decode::{Check, Decode, take};
use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::io::{AsyncBufRead, AsyncRead};
use futures::stream::Stream;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What the last read brought, until it is taken.
#[derive(Clone, Default)]
struct Transport(Rc<RefCell<Bytes>>);

impl Stream for Transport {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let bytes = self.0.take();
        if bytes.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(bytes))) }
    }
}

/// Decodes what a transport brings.
struct Over<S, T> {
    transport: Transport,
    stream: S,
    /// What is made of an item: an event, or nothing.
    take: T,
}

impl<S: Stream + Unpin, T: Fn(S::Item, &mut Check<'_>) -> u64> Decode for Over<S, T> {
    fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64 {
        self.transport.0.replace(bytes.clone());
        let (mut events, mut context) = (0, Context::from_waker(Waker::noop()));
        while let Poll::Ready(item) = Pin::new(&mut self.stream).poll_next(&mut context) {
            events += (self.take)(item.expect("it does not end"), check);
        }
        events
    }
}

fn over<S: Stream + Unpin + 'static>(
    open: impl FnOnce(Transport) -> S,
    take: impl Fn(S::Item, &mut Check<'_>) -> u64 + 'static,
) -> Box<dyn Decode> {
    let transport = Transport::default();
    Box::new(Over { stream: open(transport.clone()), transport, take })
}

pub(super) fn sse_stream() -> Box<dyn Decode> {
    over(sse_stream::SseByteStream::new, |event, check| {
        let event = event.unwrap();
        let event_type = event.event.as_deref().unwrap_or("message");
        take(event_type.as_bytes(), event.data.as_deref().unwrap_or_default().as_bytes(), check)
    })
}

pub(super) fn sseer() -> Box<dyn Decode> {
    over(sseer::event_stream::EventStream::new, |event, check| {
        let event = event.unwrap();
        take(event.event.as_bytes(), event.data.as_bytes(), check)
    })
}

pub(super) fn eventsource_stream() -> Box<dyn Decode> {
    over(Eventsource::eventsource, |event, check| {
        let event = event.unwrap();
        take(event.event.as_bytes(), event.data.as_bytes(), check)
    })
}

pub(super) fn async_sse() -> Box<dyn Decode> {
    over(
        |transport| async_sse::decode(Buffered { transport, bytes: Bytes::new() }),
        |event, check| match event.unwrap() {
            async_sse::Event::Message(event) => take(event.name().as_bytes(), event.data(), check),
            async_sse::Event::Retry(_) => 0,
        },
    )
}

/// The transport as a reader whose buffer is what the last read brought.
struct Buffered {
    transport: Transport,
    bytes: Bytes,
}

impl AsyncBufRead for Buffered {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.bytes.is_empty() {
            match Pin::new(&mut this.transport).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => this.bytes = bytes,
                _ => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(&this.bytes))
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        bytes::Buf::advance(&mut self.get_mut().bytes, n);
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = std::task::ready!(self.as_mut().poll_fill_buf(context))?;
        let n = bytes.len().min(room.len());
        room[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Poll::Ready(Ok(n))
    }
}
