//! The parameters of permessage-deflate (RFC 7692, 7.1).

use super::{Deflater, Inflater};
use crate::ws::Role;

/// Whether and how messages are compressed, as one side would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The server starts each message with an empty window (7.1.1.1). It costs compression and saves
    /// memory.
    pub server_no_context_takeover: bool,
    /// The client starts each message with an empty window (7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the server's largest window, 8 to 15 (7.1.2.1).
    pub server_max_window_bits: u8,
    /// The base-2 logarithm of the client's largest window, 8 to 15 (7.1.2.2).
    pub client_max_window_bits: u8,
    /// How hard this side tries, 1 (fast) to 9 (small).
    pub level: u8,
    /// Messages of fewer bytes than this go out as they are.
    pub threshold: usize,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            level: 6,
            threshold: 64,
        }
    }
}

/// What both sides agreed on (RFC 7692, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// As [`DeflateConfig::server_no_context_takeover`].
    pub server_no_context_takeover: bool,
    /// As [`DeflateConfig::client_no_context_takeover`].
    pub client_no_context_takeover: bool,
    /// As [`DeflateConfig::server_max_window_bits`].
    pub server_max_window_bits: u8,
    /// As [`DeflateConfig::client_max_window_bits`].
    pub client_max_window_bits: u8,
}

/// What was agreed on, with what this side settled for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ws) struct Agreed {
    pub(in crate::ws) params: DeflateParams,
    pub(in crate::ws) level: u8,
    pub(in crate::ws) threshold: usize,
}

impl Agreed {
    /// For the messages that `role` sends.
    pub(in crate::ws) fn deflater(self, role: Role) -> Deflater {
        let (window_bits, fresh) = self.direction(role);
        Deflater::new(window_bits, !fresh, self.level, self.threshold)
    }

    /// For the messages that `role` receives.
    pub(in crate::ws) fn inflater(self, role: Role) -> Inflater {
        let sender = if role == Role::Client { Role::Server } else { Role::Client };
        let (window_bits, fresh) = self.direction(sender);
        Inflater::new(window_bits, !fresh)
    }

    const fn direction(self, sender: Role) -> (u8, bool) {
        let params = self.params;
        match sender {
            Role::Client => (params.client_max_window_bits, params.client_no_context_takeover),
            Role::Server => (params.server_max_window_bits, params.server_no_context_takeover),
        }
    }
}
