//! HTTP/1.1 (RFC 9110, RFC 9112): a [`Server`] and a [`Client`], each one connection.
//!
//! ```text
//!   rx.raw() --> parse (grammar) --> framing (meaning) --> incoming (body) --> events
//!   commands --> outgoing (checks, heads, bodies) --> tx
//! ```
//!
//! Where an exchange stands is one table for both, drawn at [`State`]. Each machine keeps the states of
//! both parties; what it sends moves its own, what it receives its peer's.
//!
//! Both are strict in what they accept: whatever two readers could understand differently is
//! refused, since that is what request smuggling is made of (RFC 9112, 11.2). After an error the
//! connection is over.

mod accept;
#[cfg(test)]
mod agreement;
pub(crate) mod chars;
mod client;
mod close_reason;
#[cfg(feature = "http")]
pub mod convert;
mod defaults;
mod error;
mod event;
mod fields;
mod framing;
mod head;
mod headers;
mod incoming;
mod limits;
mod list;
pub mod method;
mod outgoing;
mod parse;
pub(crate) mod redirect;
mod router;
mod scan;
mod server;
mod slot;
mod state;
mod status;
pub(crate) mod switch;
mod target;

pub use accept::{accepts, accepts_explicitly, negotiate, weight};
pub use client::Client;
pub use close_reason::CloseReason;
pub use defaults::DefaultFields;
pub use error::{Closed, ErrorKind, Misuse, ProtocolError};
pub use event::{ClientEvent, ServerEvent};
pub use framing::{Length, RequestFraming, ResponseFraming};
pub use head::{OwnedRequestHead, OwnedResponseHead, RequestHead, ResponseHead};
pub(crate) use headers::{HeaderSpan, Split};
pub use headers::{Headers, OwnedHeaders};
pub use limits::{ClientConfig, Leniency, Limits, ServerConfig};
pub use list::{Member, ParameterValue};
pub use outgoing::{BodyLength, NO_FIELDS};
pub use parse::{
    ParsedRequest, ParsedResponse, RequestParser, ResponseParser, parse_request, parse_response,
};
pub(crate) use redirect::is_permanent;
pub use redirect::{Hop, RedirectError, is_redirect};
pub use router::{Found, Miss, Params, RouteError, Router};
pub use server::Server;
pub use slot::Timer;
pub use state::{Party, State, States};
pub use status::{InvalidStatus, Status, Version};
pub use target::Target;
