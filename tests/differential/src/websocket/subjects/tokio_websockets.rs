//! The crate `tokio-websockets`, without its runtime: the stream is in memory, and whoever waits for
//! it is asked again when there is more.

use super::Pipe;
use crate::websocket::case::{self, Case, End, Event, Verdict, sent};
use futures_core::Stream;
use futures_sink::Sink;
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tidewire::ws::Role;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_websockets::{
    ClientBuilder, CloseCode, Error, Limits, Message, ServerBuilder, WebSocketStream,
};

pub fn judge(case: &Case, cuts: &[usize]) -> Verdict {
    let mut stream = stream(case.role, case.max);
    let mut verdict = Verdict::new();
    let mut closing = false;
    for (piece, closes) in super::pieces(case, cuts) {
        stream.get_mut().input.extend(piece);
        poll(&mut stream, &mut verdict);
        if verdict.end != End::Open {
            break;
        }
        if closes {
            closing = true;
            send_one(&mut stream, Message::close(Some(CloseCode::NORMAL_CLOSURE), ""));
        }
    }
    flush(&mut stream);
    verdict.sent = sent(case.role, &stream.get_ref().output).expect("it sends frames");
    // It tells the peer by itself, unless it has sent a Close.
    if let End::Failed { code, .. } = &mut verdict.end
        && !closing
    {
        let told = verdict.sent.last().filter(|message| message.opcode == 8);
        let told = told.and_then(|close| close.payload.first_chunk());
        *code = told.map_or(0, |code| u16::from_be_bytes(*code));
    }
    verdict
}

fn poll(stream: &mut WebSocketStream<Pipe>, verdict: &mut Verdict) {
    let mut cx = Context::from_waker(Waker::noop());
    while verdict.end == End::Open {
        match Pin::new(&mut *stream).poll_next(&mut cx) {
            Poll::Pending => return,
            Poll::Ready(None) => panic!("it ends only after a Close or an error"),
            Poll::Ready(Some(Ok(message))) => {
                let payload = message.as_payload().to_vec();
                if message.is_close() {
                    verdict.end = End::Closed(case::CloseFrame::decode(&payload));
                } else if message.is_text() {
                    verdict.events.push(Event::Text(payload));
                } else if message.is_binary() {
                    verdict.events.push(Event::Binary(payload));
                } else if message.is_ping() {
                    verdict.events.push(Event::Ping(payload));
                } else {
                    verdict.events.push(Event::Pong(payload));
                }
            }
            Poll::Ready(Some(Err(error))) => {
                let code = match error {
                    Error::PayloadTooLong { .. } => 1009,
                    _ if error.to_string() == "invalid utf-8" => 1007,
                    _ => 1002,
                };
                verdict.end = End::Failed { why: error.to_string(), code };
            }
        }
    }
}

/// What it sends for these messages.
pub fn send(role: Role, messages: &[case::Message]) -> Vec<u8> {
    let mut stream = stream(role, usize::MAX);
    for case::Message { opcode, payload } in messages {
        let payload = payload.clone();
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        let message = match opcode {
            1 => Message::text(text(payload)),
            2 => Message::binary(payload),
            9 => Message::ping(payload),
            10 => Message::pong(payload),
            _ => match payload.split_first_chunk() {
                None => Message::close(None, ""),
                Some((code, reason)) => {
                    let code = u16::from_be_bytes(*code).try_into().expect("a good Close");
                    Message::close(Some(code), &text(reason.into()))
                }
            },
        };
        send_one(&mut stream, message);
    }
    flush(&mut stream);
    std::mem::take(&mut stream.get_mut().output)
}

fn send_one(stream: &mut WebSocketStream<Pipe>, message: Message) {
    Pin::new(stream).start_send(message).expect("an open connection sends");
}

fn flush(stream: &mut WebSocketStream<Pipe>) {
    let flushed = Pin::new(stream).poll_flush(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(flushed, Poll::Ready(Ok(()))), "memory takes everything: {flushed:?}");
}

fn stream(role: Role, max: usize) -> WebSocketStream<Pipe> {
    let limits = Limits::default().max_payload_len(Some(max));
    match role {
        Role::Client => ClientBuilder::new().limits(limits).take_over(Pipe::default()),
        Role::Server => ServerBuilder::new().limits(limits).serve(Pipe::default()),
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.read(to.initialize_unfilled()) {
            Ok(len) => {
                to.advance(len);
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
