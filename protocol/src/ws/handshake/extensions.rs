//! What the opening handshake agrees on (RFC 6455, 9).

use crate::ws::deflate::Agreed;

/// What both sides agreed on in the opening handshake.
///
/// `Negotiated::default()` is a connection without extensions and subprotocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Which of the subprotocols that this side named.
    pub(super) subprotocol: Option<usize>,
}

impl Negotiated {
    /// The index of the chosen subprotocol among those that this side offered (as a client) or
    /// supports (as a server), in the order in which they were given.
    #[must_use]
    pub const fn subprotocol(self) -> Option<usize> {
        self.subprotocol
    }

    /// What was agreed on for compression.
    pub(in crate::ws) const fn agreed(self) -> Option<Agreed> {
        None
    }

    /// The reserved bits of a frame's first byte that an extension defines for the first frame of a
    /// message. No extension is implemented, so none.
    pub(crate) const fn reserved_bits(self) -> u8 {
        0
    }
}
