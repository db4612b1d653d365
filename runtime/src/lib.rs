//! Drives the machines of [`tidewire`] over [`futures_io`] streams, for any async runtime.
//!
//! Most programs name the crate of their runtime instead, `tidewire-smol`, `tidewire-async-std` or
//! `tidewire-tokio`: they fill in the [`Runtime`] here and hand on everything else.
//!
//! | type | what it is |
//! |---|---|
//! | [`Server`] | answers HTTP requests, event streams and WebSocket upgrades on one port |
//! | [`HttpClient`] | sends HTTP requests, on connections that are kept and shared |
//! | [`WebSocket`] | one WebSocket connection: lending, as `Stream` and `Sink`, or each message piece by piece |
//! | [`Client`] | a WebSocket client that reconnects, with events or callbacks |
//! | [`Broadcast`] | events for many subscribers, by topic |
//! | [`EventSource`] | the client of an event stream, which reconnects |
//! | [`StatusWatch`] | what a [`Client`] or an [`EventSource`] is doing, for another task |
//! | [`Driver`] | the loop behind all of them, for machines of your own |
//!
//! # No task
//!
//! Nothing runs behind your back: each of these works while one of its futures is polled. There is no
//! lock either, but between the halves of a connection that was [split](WebSocket::split). All
//! futures are cancel-safe, since all state is in the machine and its two buffers. Those of an
//! [`HttpClient`] are requests: dropped, they are given up.
//!
//! # What goes on
//!
//! `stats()` of [`WebSocket`], its halves, [`Client`], [`EventSource`] and [`ServerHandle`] gives counters, at any
//! time: bytes, frames, messages, pings, the round trip, what is queued, reconnections, requests.
//!
//! With the feature `tracing` decisions are events of the crate `tracing`, on the level `DEBUG` but for
//! what a server's owner has to know (`WARN`) and for each exchange and each ping (`TRACE`). Messages
//! are no events. Spans are on the level `INFO`, so that the events of handlers say whose request they
//! are about.
//!
//! | target | spans | events |
//! |---|---|---|
//! | `tidewire::dial` | | an attempt to connect, to each address, through a proxy: that it succeeded, or why not |
//! | `tidewire::ws` | `client{url}`, `handshake{url}`, `websocket{role}` | handshakes accepted or refused, Close sent and received, how a connection ended, the next attempt and when, the limit of what is queued, pings and pongs |
//! | `tidewire::sse` | `event_source{url}` | streams opened and refused, redirects, how a stream ended, the next attempt and when |
//! | `tidewire::http` | | requests and responses, refusals, how a connection ended, redirects, second tries |
//! | `tidewire::server` | `connection{peer}`, `request{method, path}` | handlers and TLS handshakes that failed, that no connection can be accepted, a shutdown |
//! | `tidewire::link` | | a connection that broke, a peer that takes nothing |
//!
//! URLs are told without user, password and query, and no value of a header field is.

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
#[cfg(feature = "http")]
mod http_types;
mod link;
mod listen;
mod router;
mod runtime;
mod server;
mod server_fields;
mod shared;
mod shutdown;
mod socket;
mod stats;
mod status;
mod tls;
mod trace;
#[cfg(unix)]
mod unix_socket;
mod upgraded;
mod websocket;

pub use body_writer::BodyWriter;
pub use broadcast::{Broadcast, BroadcastConfig, BroadcastError, Delivery, Subscription};
pub use byte_stream::{BoxStream, ByteStream, Io};
pub use client::{Client, ClientReceiver, ClientSender, Control, Handler, Next, Received};
pub use connection::ConnectionTask;
pub use connector::Connector;
pub use dial::error::ProxyRefused;
pub use driver::{Driver, Parts};
pub use error::{Error, HandlerError, HandlerPanicked, Phase};
pub use event_source::EventSource;
pub use event_stream::EventStream;
pub use exchange::Exchange;
pub use http_client::{HttpClient, HttpClientConfig, HttpRequest, HttpResponse, Timeouts, Upload};
#[cfg(feature = "http")]
pub use http_types::Body;
pub use listen::BoxAccept;
pub use runtime::{BoxFuture, Runtime, SendRuntime, Spawn, Timer};
pub use server::{Server, ServerConfig, ServerHandle};
pub use socket::{Keepalive, ListenOptions, SocketOptions};
#[doc(hidden)]
pub use socket2::SockRef;
pub use stats::{ServerStats, SourceStats, Stats, Transferred};
pub use status::{Status, StatusWatch};
pub use tidewire::dial::{Config as DialConfig, Family};
pub use tidewire::{DialError, http, proxy, reconnect, sse, url, ws};
pub use tls::{TlsAlert, TlsConfig, TlsError, TlsServerConfig, TlsSession};
#[cfg(unix)]
#[doc(hidden)]
pub use unix_socket::UnixSocket;
pub use upgraded::Upgraded;
pub use websocket::{
    Message, MessageReader, MessageWriter, Reply, ReuniteError, WebSocket, WebSocketReceiver,
    WebSocketSender,
};
