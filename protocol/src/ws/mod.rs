//! WebSocket (RFC 6455).
//!
//! | what | for |
//! |---|---|
//! | [`Client`] | a client that dials, opens, and reconnects: all of the below in one machine |
//! | [`handshake`] | the opening handshake, client and server |
//! | [`Connection`] | an open connection, client or server: messages, ping and pong, close |
//!
//! The [`RecvBuf`](crate::RecvBuf) must hold [`Config::max_message`] bytes, and 139 more if the peer
//! fragments such messages; a message that it cannot hold is refused as too big. For messages that are
//! [streamed](Delivery::Streaming) 256 bytes do, whatever their size.
//!
//! With the feature `deflate` messages may be compressed (RFC 7692), if the handshake is configured so:
//! `HandshakeConfig::deflate` for a client, `ServerOptions::deflate` for a server. What was inflated
//! lies beside the received bytes in the `RecvBuf`: up to `max_message` bytes, or 16 KiB of a message
//! that is streamed.

mod client;
mod close;
mod config;
mod connection;
mod deflate;
mod error;
mod event;
mod frame;
pub mod handshake;
mod keepalive;
mod mask;
mod message;
mod send;
mod stats;

pub use client::{Backlog, Client};
pub use close::CloseCode;
pub use config::{ClientConfig, Config, Delivery, Leniency, WhileDown};
pub use connection::{Connection, Role};
#[cfg(feature = "deflate")]
pub use deflate::{DeflateConfig, DeflateParams};
pub use error::{Closed, Initiator, Misuse, ProtocolError, ProtocolErrorKind, SendError};
pub use event::{ClientClosed, ClientError, ClientEvent, ClientTimer, Event, Status, Timer};
pub use handshake::Negotiated;
pub use message::MessageKind;
pub use stats::{Stats, Traffic};
