//! WebSocket (RFC 6455).
//!
//! | machine | what it is |
//! |---|---|
//! | [`Connection`] | an open connection, client or server: messages, ping and pong, close |

mod close;
mod connection;
mod error;
mod frame;
pub mod handshake;
mod keepalive;
mod mask;
mod message;
mod send;

pub use close::CloseCode;
pub use connection::{Config, Connection, Event, Role, Timer};
pub use error::{Closed, Initiator, Misuse, ProtocolError, ProtocolErrorKind, SendError};
pub use handshake::Negotiated;
pub use message::MessageKind;
