//! Server-Sent Events (WHATWG HTML, 9.2).
//!
//! ```text
//!   server:  Event ---encode---> SendBuf          client:  RecvBuf ---Decoder---> MessageEvent
//!            Stream over http::Server                      EventSource over http::Client
//! ```

mod decode;
mod encode;
mod error;
mod request;
mod source;
mod stream;

pub use crate::http::RedirectError;
pub use decode::{Decoded, Decoder, Limits, MessageEvent};
pub use encode::Event;
pub use error::{EncodeError, ErrorKind, ProtocolError, SourceClosed, SourceError, Timer};
pub use request::{SourceConfig, SourceRequest, TRANSIENT};
pub use source::{EventSource, OwnedMessageEvent, OwnedSourceEvent, ReadyState, SourceEvent};
pub use stream::{SendError, Stream, last_event_id};

/// The media type of an event stream (WHATWG HTML, 9.2.5).
pub const MEDIA_TYPE: &str = "text/event-stream";
