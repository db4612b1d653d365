//! WebSocket (RFC 6455).
//!
//! | what | for |
//! |---|---|
//! | [`Client`] | a client that dials, opens, and reconnects: all of the below in one machine |
//! | [`handshake`] | the opening handshake, client and server |
//! | [`Connection`] | an open connection, client or server: messages, ping and pong, close |
//!
//! The [`RecvBuf`](crate::RecvBuf) must hold [`Config::max_message`] bytes, and 139 more if the peer
//! fragments such messages; a message that it cannot hold is refused as too big.

mod client;
mod close;
mod connection;
mod error;
mod frame;
pub mod handshake;
mod keepalive;
mod mask;
mod message;
mod send;

pub use client::{
    Client, ClientClosed, ClientConfig, ClientError, ClientEvent, ClientTimer, Status,
};
pub use close::CloseCode;
pub use connection::{Config, Connection, Event, Role, Timer};
pub use error::{Closed, Initiator, Misuse, ProtocolError, ProtocolErrorKind, SendError};
pub use handshake::Negotiated;
pub use message::MessageKind;
