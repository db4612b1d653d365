//! A tour: an event loop of your own, from the HTTP request to WebSocket messages.
//!
//! # What you own
//!
//! Two buffers and the time. A machine never reads a socket or a clock; it is told.
//!
//! ```
//! use core::time::Duration;
//! use tidewire::http::{self, ServerEvent};
//! use tidewire::ws::{self, Event, handshake};
//! use tidewire::{Instant, RecvBuf, SendBuf, Transport};
//!
//! let now = Instant::EPOCH; // your clock, since an epoch of your choice
//! let mut rx = RecvBuf::with_limit(64 * 1024);
//! let mut tx = SendBuf::new();
//!
//! // 1. A connection was accepted: it speaks HTTP first.
//! let mut http = http::Server::new(http::ServerConfig::default(), now);
//!
//! // 2. The socket is readable. Read into `rx.spare(n)` and `rx.commit(n)`; here we have bytes.
//! let request = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
//!     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!     Sec-WebSocket-Version: 13\r\n\r\n";
//! assert_eq!(rx.push(request), request.len());
//! // The first frame comes in the same segment: a masked "Hello".
//! let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//! assert_eq!(rx.push(frame), frame.len());
//!
//! // 3. Take the event. It borrows `rx` alone.
//! let Some(ServerEvent::Request(head)) = http.poll_event(now, &mut rx, &mut tx) else { panic!() };
//! assert_eq!(head.path(), "/chat");
//! let accepted = handshake::accept(&head, &handshake::ServerOptions::default()).unwrap();
//!
//! // 4. Answer, and poll once more so that the request leaves `rx`. From here on the same two
//! //    buffers belong to the WebSocket.
//! http.upgrade(accepted.fields(), &mut tx).unwrap();
//! assert!(http.poll_event(now, &mut rx, &mut tx).is_none());
//! let mut ws = ws::Connection::server(ws::Config::default(), accepted.negotiated(), now);
//!
//! // 5. Take all events there are, and answer while they are lent.
//! while let Some(event) = ws.poll_event(now, &mut rx, &mut tx) {
//!     if let Event::Text(text) = event {
//!         ws.send_text(text, &mut tx).unwrap();
//!     }
//! }
//!
//! // 6. Write out what waits: `tx.chunk()` or `tx.slices()`, then `tx.consume(written)`.
//! assert!(tx.chunk().starts_with(b"HTTP/1.1 101"));
//! assert!(tx.chunk().ends_with(b"\x81\x05Hello"));
//! tx.consume(tx.len());
//!
//! // 7. Do what the machine wants of the socket, and sleep until it is ready or this has come: here the
//! // deadline for writing, since the machine has not been called since everything was written.
//! assert_eq!(ws.transport(), Transport::Open);
//! assert_eq!(ws.poll_timeout(), Some(now + Duration::from_secs(30)));
//!
//! // 8. The socket has reached its end.
//! rx.finish();
//! let Some(Event::Closed { why, .. }) = ws.poll_event(now, &mut rx, &mut tx) else { panic!() };
//! assert_eq!(why.code(), ws::CloseCode::ABNORMAL);
//! ```
//!
//! # The loop, in general
//!
//! ```text
//!   forever:
//!     while let Some(event) = machine.poll_event(now, rx, tx):  handle it, give commands
//!     write tx
//!     match machine.transport():   Down, Dial, CloseWrite, Close: do it.   Open: go on
//!     sleep until the socket is readable, or writable if tx is not empty, or poll_timeout()
//!     now = clock()
//!     unless rx.is_full(): read into rx, or rx.finish() at the end of the stream
//!     if poll_timeout() has come: machine.handle_timeout(now, tx)
//! ```
//!
//! Nothing depends on this order. Outputs are level-triggered: polled early they say the same, and
//! polled late they have lost nothing.
//!
//! The repository's `examples/embedded.rs` is this loop over blocking sockets of the standard library.
//!
//! # Memory
//!
//! `rx` holds at most its limit. What waits in `tx` is bounded by each machine's high-water mark.
//! Call [`RecvBuf::shrink`](crate::RecvBuf::shrink) and [`SendBuf::shrink`](crate::SendBuf::shrink)
//! when a connection has been idle for a while: the machines themselves hold next to nothing.
