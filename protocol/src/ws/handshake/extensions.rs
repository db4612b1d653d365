//! What the opening handshake agrees on (RFC 6455, 9).

/// What both sides agreed on in the opening handshake.
///
/// `Negotiated::default()` is a connection without extensions and subprotocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Which of the subprotocols that this side named.
    pub(crate) subprotocol: Option<usize>,
}

impl Negotiated {
    /// The index of the chosen subprotocol among those that this side offered (as a client) or
    /// supports (as a server), in the order in which they were given.
    #[must_use]
    pub const fn subprotocol(self) -> Option<usize> {
        self.subprotocol
    }

    /// The reserved bits of a frame's first byte that an extension defines for the first frame of a
    /// message. No extension is implemented, so none.
    pub(crate) const fn reserved_bits(self) -> u8 {
        0
    }
}
