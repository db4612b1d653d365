//! What went wrong: the peer's fault, the caller's fault, and how it ended, in types of their own.

use super::CloseCode;

/// What the peer did that RFC 6455 forbids or our limits don't allow, and where.
///
/// The connection has failed: a Close frame with [`close_code`](Self::close_code) was queued (7.1.7)
/// and [`Event::Closed`](super::Event::Closed) follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind} (at byte {offset} after the handshake)")]
pub struct ProtocolError {
    /// What it was.
    pub kind: ProtocolErrorKind,
    /// Where it was: the offset in bytes, from the end of the opening handshake, of the frame at
    /// fault; for invalid UTF-8 in what was not compressed that of the first bad byte.
    pub offset: u64,
}

impl ProtocolError {
    /// The code for it in a Close frame (RFC 6455, 7.4.1): 1002, 1007 or 1009.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self.kind {
            ProtocolErrorKind::InvalidUtf8 | ProtocolErrorKind::InvalidDeflate => {
                CloseCode::INVALID_PAYLOAD
            }
            ProtocolErrorKind::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// The kinds of [`ProtocolError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolErrorKind {
    /// A reserved bit is set that no negotiated extension defines.
    #[error("a reserved bit is set without an extension that defines it (RFC 6455, 5.2)")]
    ReservedBit,
    /// The opcode is one of 3-7 and 11-15.
    #[error("a reserved opcode (RFC 6455, 5.2)")]
    ReservedOpcode,
    /// A Close, Ping or Pong frame without FIN.
    #[error("a fragmented control frame (RFC 6455, 5.5)")]
    FragmentedControl,
    /// A Close, Ping or Pong frame with more than 125 bytes.
    #[error("a control frame of more than 125 bytes (RFC 6455, 5.5)")]
    ControlTooLong,
    /// The length would have fitted a shorter form.
    #[error("a payload length not in its shortest form (RFC 6455, 5.2)")]
    LengthNotMinimal,
    /// The most significant bit of a 64-bit length is set.
    #[error("a payload length above 2^63-1 (RFC 6455, 5.2)")]
    LengthOutOfRange,
    /// A server masked a frame.
    #[error("a masked frame from a server (RFC 6455, 5.1)")]
    MaskedByServer,
    /// A client did not mask a frame.
    #[error("an unmasked frame from a client (RFC 6455, 5.1)")]
    UnmaskedByClient,
    /// A continuation frame while no message is being continued.
    #[error("a continuation frame without a message to continue (RFC 6455, 5.4)")]
    OrphanContinuation,
    /// A new message begins before the last one has ended.
    #[error("a new message between the fragments of another (RFC 6455, 5.4)")]
    InterleavedMessage,
    /// A Close frame with a payload of one byte.
    #[error("a Close frame with half a status code (RFC 6455, 5.5.1)")]
    TruncatedCloseCode,
    /// A Close frame with a status code that must not be sent.
    #[error("a Close frame with an invalid status code (RFC 6455, 7.4)")]
    InvalidCloseCode,
    /// A text message, or the reason in a Close frame, is not UTF-8.
    #[error("text that is not UTF-8 (RFC 6455, 8.1)")]
    InvalidUtf8,
    /// The message exceeds [`Config::max_message`](super::Config::max_message) or what the
    /// [`RecvBuf`](crate::RecvBuf) may hold. Its frame header was enough to tell, unless it was
    /// compressed.
    #[error("a message above the limit (RFC 6455, 10.4)")]
    MessageTooBig,
    /// A compressed message cannot be inflated. Only with the feature `deflate`.
    #[error("a compressed message that cannot be inflated (RFC 7692, 7.2.2)")]
    InvalidDeflate,
}

/// Why a message was not taken. Nothing was queued; the caller still has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// [`Config::send_high_water`](super::Config::send_high_water) bytes or more wait to be written.
    /// [`Event::Drained`](super::Event::Drained) tells when to try again, unless the connection ends
    /// before that.
    #[error("too many bytes wait to be sent")]
    Full,
    /// The closing handshake has begun or the connection is over.
    #[error("the connection is closing or closed")]
    Closing,
    /// The payload of a control frame exceeds 125 bytes (RFC 6455, 5.5).
    #[error("a control frame carries at most 125 bytes")]
    ControlTooLong,
    /// A payload given as text is not UTF-8, or a message ends within a character.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A message that was begun with [`start_message`](super::Connection::start_message) has not been
    /// ended: no other can be sent in its midst (RFC 6455, 5.4).
    #[error("another message is being sent in pieces")]
    Unfinished,
    /// A piece of a message that was not begun, or whose connection has ended since.
    #[error("no message was begun")]
    NotStarted,
    /// There is no open connection yet, and this is not kept for one: a message in pieces, one that is
    /// sent [first](super::Client::send_first), or any, with [`WhileDown::Refuse`](super::WhileDown::Refuse).
    #[error("not connected yet")]
    NotOpen,
}

/// What the caller did that can never work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The code must not be sent (RFC 6455, 7.4), or there is a reason but no code.
    #[error("close code {0} must not be sent")]
    CloseCode(CloseCode),
    /// The reason exceeds 123 bytes of UTF-8: a Close frame is a control frame.
    #[error("a close reason has at most 123 bytes")]
    ReasonTooLong,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// Both sides have sent a Close frame (RFC 6455, 7.1.4).
    #[error("closed with {code} by {initiator}")]
    Clean {
        /// The code in the peer's Close frame; [`CloseCode::NO_STATUS`] if there was none.
        code: CloseCode,
        /// Who sent a Close frame first. When they crossed, both sides say that they did.
        initiator: Initiator,
    },
    /// The stream ended without a Close frame from the peer.
    #[error("the stream ended without a Close frame")]
    Eof,
    /// Not one byte arrived in [`Config::pong_timeout`](super::Config::pong_timeout) after a ping.
    #[error("nothing was heard in time after a ping")]
    PongTimeout,
    /// Nothing at all arrived in [`Config::idle_timeout`](super::Config::idle_timeout). The peer is told
    /// so with 1001.
    #[error("nothing was heard for too long")]
    IdleTimeout,
    /// The peer took nothing of what waited to be written in
    /// [`Config::write_timeout`](super::Config::write_timeout).
    #[error("nothing of what waited to be written was taken in time")]
    WriteTimeout,
    /// The peer did not answer our Close in [`Config::close_timeout`](super::Config::close_timeout).
    #[error("our Close was not answered in time")]
    CloseTimeout,
    /// The peer broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl Closed {
    /// The close code as RFC 6455, 7.1.5 defines it: the one received, or 1006.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Clean { code, .. } => code,
            _ => CloseCode::ABNORMAL,
        }
    }

    /// Whether the closing handshake was completed.
    #[must_use]
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::Clean { .. })
    }
}

/// Who began the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// This side.
    Local,
    /// The peer.
    Remote,
}

impl core::fmt::Display for Initiator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Local => "this side",
            Self::Remote => "the peer",
        })
    }
}
