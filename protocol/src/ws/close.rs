//! Close frames (RFC 6455, 5.5.1 and 7.4).

use super::error::{Misuse, ProtocolErrorKind};
use super::frame::MAX_CONTROL;
use crate::utf8;
use core::fmt;

/// A status code of a Close frame (RFC 6455, 7.4, and the IANA registry).
///
/// ```
/// use tidewire::ws::CloseCode;
///
/// assert_eq!(CloseCode::NORMAL.get(), 1000);
/// assert!(CloseCode::new(4001).is_sendable());
/// assert!(!CloseCode::ABNORMAL.is_sendable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down or the browser has left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the message is of a kind that this endpoint can't accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: the Close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the payload does not fit the kind of message, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: the message violates a policy, and no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: the message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not negotiate an extension that the client needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: TLS could not be established. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Any number. [`is_sendable`](Self::is_sendable) tells whether it may be sent.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether it may appear in a Close frame: registered for that (1000-1003, 1007-1014), for
    /// libraries and frameworks (3000-3999), or for private use (4000-4999).
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Splits the payload of a received Close frame into code and reason; `any_code` takes codes that must
/// not be sent. The error says at which byte of the payload it is; invalid UTF-8 is told at its first
/// bad byte.
pub(super) fn decode(
    payload: &[u8],
    any_code: bool,
) -> Result<(CloseCode, &str), (ProtocolErrorKind, usize)> {
    let (code, reason) = match payload {
        [] => return Ok((CloseCode::NO_STATUS, "")),
        [_] => return Err((ProtocolErrorKind::TruncatedCloseCode, 0)),
        [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
    };
    if !code.is_sendable() && !any_code {
        return Err((ProtocolErrorKind::InvalidCloseCode, 0));
    }
    match utf8::validate(reason) {
        Ok(reason) => Ok((code, reason)),
        Err(_) => Err((ProtocolErrorKind::InvalidUtf8, 2 + bad_byte(reason))),
    }
}

/// The payload of a Close frame: at most 125 bytes.
pub(super) struct Payload {
    bytes: [u8; MAX_CONTROL],
    len: usize,
}

impl Payload {
    pub(super) fn new(code: CloseCode, reason: &str) -> Result<Self, Misuse> {
        let mut payload = Self { bytes: [0; MAX_CONTROL], len: 0 };
        if code == CloseCode::NO_STATUS && reason.is_empty() {
            return Ok(payload);
        }
        if !code.is_sendable() {
            return Err(Misuse::CloseCode(code));
        }
        payload.len = 2 + reason.len();
        payload.bytes[..2].copy_from_slice(&code.0.to_be_bytes());
        let room = payload.bytes.get_mut(2..payload.len).ok_or(Misuse::ReasonTooLong)?;
        room.copy_from_slice(reason.as_bytes());
        Ok(payload)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Where text that is known to be invalid goes wrong. A character that its end cuts short goes
/// wrong at the end, as it does when the text arrives in pieces.
pub(super) fn bad_byte(text: &[u8]) -> usize {
    utf8::Utf8::new().push(text).err().unwrap_or(text.len())
}
