//! HTTP/1.1, Server-Sent Events and WebSocket as pure state machines: no I/O, no clock, no entropy,
//! no threads, no `unsafe`, and no `std` unless you ask for it.
//!
//! You own two buffers and the time; a machine parses and decides, and lends you what arrived.
//!
//! ```
//! use tidewire::ws::{Config, Connection, Event, Negotiated};
//! use tidewire::{Instant, RecvBuf, Seed, SendBuf};
//!
//! let now = Instant::EPOCH;
//! let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 20), SendBuf::new());
//! let seed = Seed::new([7; 32]); // in production: from the operating system
//! let mut conn = Connection::client(Config::default(), Negotiated::default(), &seed, now);
//!
//! // Bytes from the socket: read into `rx.spare(n)`, then `rx.commit(n)`. Here they are "Hello".
//! assert_eq!(rx.push(b"\x81\x05Hello"), 7);
//! while let Some(event) = conn.poll_event(now, &mut rx, &mut tx) {
//!     if let Event::Text(text) = event {
//!         conn.send_text(text, &mut tx)?; // legal while `text` is lent: it borrows `rx` alone
//!     }
//! }
//! // Bytes for the socket: write `tx.chunk()`, then `tx.consume(written)`.
//! assert_eq!(tx.len(), 2 + 4 + 5);
//! # Ok::<(), tidewire::ws::SendError>(())
//! ```
//!
//! # What is there
//!
//! | module | what it holds |
//! |---|---|
//! | [`http`] | HTTP/1.1 heads, bodies, the server's and the client's machine (RFC 9110, 9112) |
//! | [`ws`] | WebSocket connections, handshakes, and a client that reconnects (RFC 6455) |
//! | [`sse`] | event streams: decoder, encoder, `EventSource`, the server's side (WHATWG HTML, 9.2) |
//! | [`url`](mod@url) | URLs of their targets |
//! | [`dial`] | which address to try, and when (RFC 8305) |
//! | [`proxy`] | tunnels through HTTP and SOCKS5 proxies (RFC 9110, 9.3.6; RFC 1928), and which proxy to take |
//! | [`reconnect`] | when to try again |
//! | [`manual`] | a tour, what is refused and why, coming from other libraries |
//!
//! All machines have the shape of [`Machine`], which is where to read on. Sockets and timers are in
//! `tidewire-smol`, `tidewire-async-std` and `tidewire-tokio`, over `tidewire-runtime`.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `std` | yes | `Clock`, which converts `std::time::Instant` |
//! | `simd` | no | UTF-8 validation, and masking of large payloads, with SIMD instructions |
//! | `deflate` | no | permessage-deflate (RFC 7692) for WebSocket, where it is configured |
//! | `tracing` | no | events and spans of the crate `tracing`: what the machines decide, and why |
//! | `http` | no | conversions to and from the types of the `http` crate; includes `std` |
#![no_std]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod attempts;
mod buf;
pub mod dial;
pub mod http;
mod machine;
pub mod manual;
pub mod proxy;
pub mod reconnect;
mod seed;
pub mod sse;
mod time;
mod timer;
mod trace;
pub mod url;
mod utf8;
pub mod ws;

pub use buf::{RecvBuf, SendBuf};
pub use machine::{DialError, Dialer, Machine, Transport};
pub use seed::Seed;
#[cfg(feature = "std")]
pub use time::Clock;
pub use time::Instant;
