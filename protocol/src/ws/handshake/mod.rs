//! The opening handshake (RFC 6455, 4).

mod extensions;

pub use extensions::Negotiated;
