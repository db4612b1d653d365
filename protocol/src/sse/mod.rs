//! Server-Sent Events (WHATWG HTML, 9.2).
//!
//! ```text
//!   server:  Event ---encode---> SendBuf          client:  RecvBuf ---Decoder---> MessageEvent
//!            Stream over http::Server                      EventSource over http::Client
//!            Topic: one log for many
//! ```

mod decode;
mod encode;
mod encoded;
mod error;
mod line;
mod message;
mod replay;
mod request;
mod source;
mod stream;
mod topic;

pub use crate::http::RedirectError;
pub use decode::Decoder;
pub use encode::Event;
pub use encoded::Encoded;
pub use error::{EncodeError, ErrorKind, ProtocolError, SourceClosed, SourceError, Timer};
pub use message::{Decoded, Limits, MessageEvent};
pub use replay::{Replay, ReplayLimits, Since, TooLarge};
pub use request::{SourceConfig, SourceRequest, TRANSIENT};
pub use source::{
    EventSource, OwnedMessageEvent, OwnedSourceEvent, ReadyState, SourceEvent, SourceStats,
};
pub use stream::{SendError, Stream, StreamConfig, last_event_id};
pub use topic::{Cursor, Next, Overflow, PublishError, Topic, TopicConfig, TopicStats};

/// The media type of an event stream (WHATWG HTML, 9.2.5).
pub const MEDIA_TYPE: &str = "text/event-stream";
