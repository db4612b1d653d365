//! # tidewire
//!
//! HTTP/1.1, Server-Sent Events and WebSocket as pure state machines: no I/O, no clock, no entropy,
//! no threads, no `unsafe`, and no `std` unless you ask for it.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod buf;
pub mod http;
mod machine;
pub mod reconnect;
mod seed;
pub mod sse;
mod time;
mod timer;
pub mod url;
mod utf8;
pub mod ws;

pub use buf::{RecvBuf, SendBuf};
pub use machine::{DialError, Dialer, Machine, Transport};
pub use seed::Seed;
#[cfg(feature = "std")]
pub use time::Clock;
pub use time::Instant;
