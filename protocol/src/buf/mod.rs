//! The two buffers between a machine and its transport.
//!
//! ```text
//!   socket --read--> RecvBuf --advance()--> machine --append--> SendBuf --write--> socket
//!                       |                      |
//!                       +------- event() ------+   lends out of RecvBuf
//! ```
//!
//! The caller owns both, so the same pair goes on from HTTP into WebSocket or SSE and no byte has
//! to be handed over at an upgrade.

mod recv;
mod send;
mod storage;

pub use recv::RecvBuf;
pub use send::SendBuf;
