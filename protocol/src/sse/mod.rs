//! Server-Sent Events (WHATWG HTML, 9.2).
//!
//! ```text
//!   server:  Event ---encode---> SendBuf          client:  RecvBuf ---Decoder---> MessageEvent
//! ```

mod decode;
mod encode;
mod error;

pub use decode::{Decoded, Decoder, Limits, MessageEvent};
pub use encode::Event;
pub use error::{EncodeError, ErrorKind, ProtocolError};

/// The media type of an event stream (WHATWG HTML, 9.2.5).
pub const MEDIA_TYPE: &str = "text/event-stream";
