//! TLS over any stream (RFC 8446, and TLS 1.2), by rustls.
//!
//! One interface with two implementations: `rustls/`, behind the feature `tls`, and `absent.rs`, whose
//! streams nobody can make. Whoever dials or accepts needs no other code for the one than for the other.

mod alert;
mod error;
mod handshake;

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod rustls;

pub use alert::TlsAlert;
pub use error::TlsError;
pub(crate) use handshake::Handshake;

#[cfg(not(feature = "tls"))]
use absent as implementation;
#[cfg(feature = "tls")]
use rustls as implementation;

pub(crate) use implementation::{Accepting, Connecting, TlsStream};
pub use implementation::{TlsConfig, TlsServerConfig};

/// What the two sides of a TLS connection have agreed on and shown each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSession {
    /// The version on the wire: `0x0304` is TLS 1.3, `0x0303` is TLS 1.2 (RFC 8446, 4.1.2).
    pub version: u16,
    /// The application protocol that was negotiated (RFC 7301), such as `http/1.1`.
    pub alpn: Option<Vec<u8>>,
    /// On a server, the name that the client wants to talk to (RFC 6066, 3).
    pub server_name: Option<String>,
    /// The peer's certificate chain in DER, its own certificate first. Empty on a server that asks
    /// clients for none, and of a client that has none.
    pub certificates: Vec<Vec<u8>>,
}
