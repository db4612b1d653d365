//! The opening handshake (RFC 6455, 4).
//!
//! ```text
//!   client: Request --> ClientHandshake (over http::Client) --> Accepted, or Refused and why
//!   server: http::RequestHead --> accept() --> Acceptance, for http::Server::upgrade,
//!                                              or Rejection, for http::Server::respond
//! ```

mod client;
mod extensions;
mod request;
mod server;

pub use client::{ClientHandshake, HandshakeConfig, HandshakeEvent, Refusal};
pub(crate) use extensions::Extension;
pub use extensions::{ExtensionError, Negotiated};
pub use request::{Request, RequestError};
pub use server::{Acceptance, Rejection, ServerOptions, accept};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};

/// A value of `Sec-WebSocket-Key`: 16 bytes in base64.
type Key = [u8; 24];

/// A value of `Sec-WebSocket-Accept`: a SHA-1 in base64.
type AcceptKey = [u8; 28];

fn encode_key(nonce: [u8; 16]) -> Key {
    let mut key = [0; 24];
    encode_base64(&nonce, &mut key);
    key
}

/// The proof that the server has understood (4.2.2, item 5.4).
fn accept_key(key: &[u8]) -> AcceptKey {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let mut accept = [0; 28];
    encode_base64(&digest, &mut accept);
    accept
}

fn encode_base64(bytes: &[u8], out: &mut [u8]) {
    let written = BASE64.encode_slice(bytes, out);
    debug_assert!(written.is_ok(), "the sizes are constants");
}

fn is_key(key: &[u8]) -> bool {
    // Room for what 24 characters could decode to.
    BASE64.decode_slice(key, &mut [0; 18]) == Ok(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1_3_the_example_key_is_accepted_with_the_example_answer() {
        let key = encode_key(*b"the sample nonce");
        assert_eq!(&key, b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&accept_key(&key), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn rfc_4_2_1_a_key_is_16_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [&b""[..], b"dGhlIHNhbXBsZSBub25jZQ", b"dGhlIHNhbXBsZSBub24=", b"!!!!"] {
            assert!(!is_key(bad));
        }
    }
}
