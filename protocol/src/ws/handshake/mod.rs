//! The opening handshake (RFC 6455, 4).
//!
//! ```text
//!   client: Request --> ClientHandshake (over http::Client) --> Accepted, or Refused and why
//!   server: http::RequestHead --> accept() --> Acceptance, for http::Server::upgrade,
//!                                              or Rejection, for http::Server::respond
//! ```
//!
//! # A server that refuses
//!
//! [`accept`] judges whether a request is an opening handshake. Whatever else a server asks of a
//! request, it asks before, and answers as it likes (4.2.2):
//!
//! ```
//! use tidewire::http::{BodyLength, Server, ServerConfig, ServerEvent, Status};
//! use tidewire::ws::handshake::{ServerOptions, accept};
//! use tidewire::{Instant, RecvBuf, SendBuf};
//!
//! # let now = Instant::EPOCH;
//! # let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
//! # rx.push(b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
//! let mut http = Server::new(ServerConfig::default(), now);
//! while let Some(event) = http.poll_event(now, &mut rx, &mut tx) {
//!     let ServerEvent::Request(head) = event else { continue };
//!     if head.headers.get("Authorization").is_none() {
//!         let fields = [("WWW-Authenticate", "Bearer")];
//!         http.respond(Status::UNAUTHORIZED, fields, BodyLength::EMPTY, now, &mut tx)?;
//!         continue;
//!     }
//!     match accept(&head, &ServerOptions::default()) {
//!         Ok(acceptance) => http.upgrade(acceptance.fields(), &mut tx)?,
//!         Err(rejection) => {
//!             let fields = rejection.fields().iter().copied();
//!             http.respond(rejection.status(), fields, BodyLength::EMPTY, now, &mut tx)?;
//!         }
//!     }
//! }
//! assert!(tx.chunk().starts_with(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n"));
//! # Ok::<(), tidewire::http::Misuse>(())
//! ```
//!
//! # A client that is refused
//!
//! An answer other than 101 is data for the caller's policy (4.1): [`HandshakeEvent::Refused`] has its
//! head and how its body begins. A [`Request`] is changed and used again.
//!
//! ```
//! use tidewire::http::{ResponseHead, Status};
//! use tidewire::ws::handshake::Request;
//!
//! /// Whether to try again.
//! fn another(request: &mut Request, head: ResponseHead<'_>) -> Result<bool, Box<dyn std::error::Error>> {
//!     if head.status == Status::UNAUTHORIZED {
//!         request.remove_field("Authorization");
//!         request.add_field("Authorization", "Bearer 4f2a")?; // a fresh one
//!         return Ok(true);
//!     }
//!     Ok(request.follow(head)?) // if it is a redirect
//! }
//! # let mut request = Request::new("ws://h/")?;
//! # let head = tidewire::http::OwnedResponseHead::new(
//! #     tidewire::http::Version::Http11, Status::UNAUTHORIZED, tidewire::http::NO_FIELDS)?;
//! # assert!(another(&mut request, head.as_head())? && request.fields().count() == 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod extensions;
mod origin;
mod request;
mod server;

pub use client::{ClientHandshake, HandshakeConfig, HandshakeEvent, Refusal};
pub(crate) use extensions::Extension;
pub use extensions::{ExtensionError, Negotiated};
pub use origin::Origins;
pub use request::{Request, RequestError};
pub use server::{Acceptance, Preference, Rejection, ServerOptions, accept};

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
