//! Drives the machines of [`tidewire`] over [`futures_io`] streams, for any async runtime.
//!
//! Most programs name the crate of their runtime instead, `tidewire-smol` or `tidewire-async-std`:
//! they fill in the [`Runtime`] here and hand on everything else.
//!
//! | type | what it is |
//! |---|---|
//! | [`Server`] | answers HTTP requests, event streams and WebSocket upgrades on one port |
//! | [`HttpClient`] | sends HTTP requests, on connections that are kept and shared |
//! | [`WebSocket`] | one WebSocket connection: lending, as `Stream` and `Sink`, or each message piece by piece |
//! | [`Client`] | a WebSocket client that reconnects, with events or callbacks |
//! | [`Broadcast`] | events for many subscribers, by topic |
//! | [`EventSource`] | the client of an event stream, which reconnects |
//! | [`Driver`] | the loop behind all of them, for machines of your own |
//!
//! # No task, no lock
//!
//! Nothing runs behind your back: each of these works while one of its futures is polled. All
//! futures are cancel-safe, since all state is in the machine and its two buffers. Those of an
//! [`HttpClient`] are requests: dropped, they are given up.

mod adapter;
mod body_writer;
mod broadcast;
mod byte_stream;
mod client;
mod connection;
mod connector;
mod dial;
mod driver;
mod entropy;
mod error;
mod event_source;
mod event_stream;
mod exchange;
mod http_client;
mod link;
mod runtime;
mod server;
mod server_fields;
mod shutdown;
mod socket;
mod upgraded;
mod websocket;

pub use body_writer::BodyWriter;
pub use broadcast::{Broadcast, BroadcastConfig, BroadcastError, Delivery, Subscription};
pub use byte_stream::{BoxStream, ByteStream, Io};
pub use client::{Client, Control, Handler, Next, Received};
pub use connection::ConnectionTask;
pub use connector::Connector;
pub use driver::{Driver, Parts};
pub use error::{Error, HandlerError, HandlerPanicked, Phase};
pub use event_source::EventSource;
pub use event_stream::EventStream;
pub use exchange::Exchange;
pub use http_client::{HttpClient, HttpClientConfig, HttpRequest, HttpResponse, Timeouts, Upload};
pub use runtime::{BoxFuture, Runtime, SendRuntime, Spawn, Timer};
pub use server::{Server, ServerConfig, ServerHandle};
pub use socket::{Keepalive, ListenOptions, SocketOptions};
#[doc(hidden)]
pub use socket2::SockRef;
pub use tidewire::{DialError, http, reconnect, sse, url, ws};
pub use upgraded::Upgraded;
pub use websocket::{Message, MessageReader, MessageWriter, Reply, WebSocket};
