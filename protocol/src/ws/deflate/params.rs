//! The parameters of permessage-deflate (RFC 7692, 7.1).

use super::{Deflater, Inflater};
use crate::http::ParameterValue;
use crate::ws::Role;
use crate::ws::handshake::{Extension, ExtensionError};
use alloc::string::String;
use core::fmt;

/// How the extension is called (7).
pub(in crate::ws) const NAME: &str = "permessage-deflate";

/// The largest window there is, and the one that counts where none is named (7.1.2).
const LARGEST: u8 = 15;

/// The smallest. The compressor keeps within it, though the backend has no window of 256 bytes.
const SMALLEST: u8 = 8;

/// Whether and how messages are compressed, as one side would have it.
///
/// The first four are limits, whichever side sets them: what is agreed on never exceeds them. A
/// client demands those on the server, and keeps to its own whatever the server says. A server
/// imposes its own, and those on the client if the client lets it; an offer that cannot be met within
/// the limits of both sides is declined, and messages are not compressed then. So a server that
/// lowers `client_max_window_bits` has no compression with clients that do not offer to limit their
/// window, as some browsers do not.
///
/// ```
/// use tidewire::ws::DeflateConfig;
/// use tidewire::ws::handshake::{HandshakeConfig, ServerOptions};
///
/// // A server that spends at most 4 KiB of window a connection on what it sends.
/// let deflate = DeflateConfig { server_max_window_bits: 12, ..DeflateConfig::default() };
/// let options = ServerOptions { deflate: Some(deflate), ..ServerOptions::default() };
/// // A client that offers everything.
/// let config =
///     HandshakeConfig { deflate: Some(DeflateConfig::default()), ..HandshakeConfig::default() };
/// # assert!(options.deflate.is_some() && config.deflate.is_some());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The server starts each message with an empty window (7.1.1.1). It costs compression and saves
    /// memory.
    pub server_no_context_takeover: bool,
    /// The client starts each message with an empty window (7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the server's largest window in bytes, 8 to 15 (7.1.2.1). What lies
    /// outside counts as the nearest of these.
    pub server_max_window_bits: u8,
    /// The base-2 logarithm of the client's largest window in bytes, 8 to 15 (7.1.2.2), likewise.
    pub client_max_window_bits: u8,
    /// How hard this side tries, 1 (fast) to 9 (small). 4 by default: 6 made JSON 3 to 4 % smaller and
    /// took 7 to 58 % longer. What lies outside counts as the nearest of these.
    pub level: u8,
    /// Messages of fewer bytes than this go out as they are. 64 by default.
    pub threshold: usize,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            level: 4,
            threshold: 64,
        }
    }
}

/// What both sides agreed on (RFC 7692, 7.1): see [`Negotiated::deflate`](crate::ws::Negotiated::deflate).
///
/// On the client's side `client_…` is what this client does, which may be less than the server was
/// told to expect.
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
    pub(in crate::ws) fn new(params: DeflateParams, config: &DeflateConfig) -> Self {
        let params = DeflateParams {
            server_max_window_bits: params.server_max_window_bits.clamp(SMALLEST, LARGEST),
            client_max_window_bits: params.client_max_window_bits.clamp(SMALLEST, LARGEST),
            ..params
        };
        Self { params, level: config.level.clamp(1, 9), threshold: config.threshold }
    }

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

/// What a client offers, and what a server answers (5.1): the parameters as they are sent.
#[derive(Clone, Copy, Default)]
struct Sent {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may come without a value (7.1.2.2).
    client_max_window_bits: Option<Option<u8>>,
}

impl Sent {
    fn read(extension: Extension<'_>) -> Result<Self, ExtensionError> {
        let mut sent = Self::default();
        for (name, value) in extension.parameters() {
            let bits = value.map(window_bits);
            let repeated = match (name, bits) {
                (b"server_no_context_takeover", None) => {
                    core::mem::replace(&mut sent.server_no_context_takeover, true)
                }
                (b"client_no_context_takeover", None) => {
                    core::mem::replace(&mut sent.client_no_context_takeover, true)
                }
                (b"server_max_window_bits", Some(Some(bits))) => {
                    sent.server_max_window_bits.replace(bits).is_some()
                }
                (b"client_max_window_bits", None | Some(Some(_))) => {
                    sent.client_max_window_bits.replace(bits.flatten()).is_some()
                }
                (
                    b"server_no_context_takeover"
                    | b"client_no_context_takeover"
                    | b"server_max_window_bits"
                    | b"client_max_window_bits",
                    _,
                ) => return Err(ExtensionError::ParameterValue),
                _ => return Err(ExtensionError::UnknownParameter),
            };
            if repeated {
                return Err(ExtensionError::RepeatedParameter);
            }
        }
        Ok(sent)
    }
}

/// A decimal number from 8 to 15 without leading zeros (7.1.2.1).
fn window_bits(value: ParameterValue<'_>) -> Option<u8> {
    match *value.to_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            None => Ok(()),
            Some(None) => f.write_str("; client_max_window_bits"),
            Some(Some(bits)) => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

impl DeflateConfig {
    /// With windows that there are.
    fn bounded(self) -> Self {
        Self {
            server_max_window_bits: self.server_max_window_bits.clamp(SMALLEST, LARGEST),
            client_max_window_bits: self.client_max_window_bits.clamp(SMALLEST, LARGEST),
            ..self
        }
    }

    /// What a client offers. Its limits on the server are demands; what it says of itself are hints,
    /// which spare the server memory, and which it obeys whatever the server answers. A server that
    /// would decline an offer because of its hints finds the same without them behind it.
    pub(in crate::ws) fn offer(self) -> String {
        let config = self.bounded();
        let limited = |bits: u8| (bits < LARGEST).then_some(bits);
        let demands = Sent {
            server_no_context_takeover: config.server_no_context_takeover,
            server_max_window_bits: limited(config.server_max_window_bits),
            ..Sent::default()
        };
        let hint = limited(config.client_max_window_bits);
        let offer = Sent {
            client_no_context_takeover: config.client_no_context_takeover,
            client_max_window_bits: Some(hint),
            ..demands
        };
        match config.client_no_context_takeover || hint.is_some() {
            true => alloc::format!("{offer}, {demands}"),
            false => alloc::format!("{offer}"),
        }
    }

    /// What a server makes of an offer: what is agreed on, and the answer that says so. `None` if it
    /// declines: the offer is malformed (7.1), or cannot be met within the limits of both sides.
    pub(in crate::ws) fn accept(self, offer: Extension<'_>) -> Option<(Agreed, String)> {
        let config = self.bounded();
        let sent = Sent::read(offer).ok()?;
        let within = |limit: u8, offered: Option<u8>| limit.min(offered.unwrap_or(LARGEST));
        let params = DeflateParams {
            server_no_context_takeover: config.server_no_context_takeover
                || sent.server_no_context_takeover,
            client_no_context_takeover: config.client_no_context_takeover
                || sent.client_no_context_takeover,
            server_max_window_bits: within(
                config.server_max_window_bits,
                sent.server_max_window_bits,
            ),
            client_max_window_bits: match sent.client_max_window_bits {
                Some(offered) => within(config.client_max_window_bits, offered),
                // A client that does not say that it can limit itself must not be told to (7.1.2.2).
                None => LARGEST,
            },
        };
        if params.client_max_window_bits > config.client_max_window_bits {
            return None;
        }
        // A limit on the server that was asked for must be in the answer (7.1.2.1).
        let named =
            params.server_max_window_bits < LARGEST || sent.server_max_window_bits.is_some();
        let limited = params.client_max_window_bits < LARGEST;
        let answer = Sent {
            server_no_context_takeover: params.server_no_context_takeover,
            client_no_context_takeover: params.client_no_context_takeover,
            server_max_window_bits: named.then_some(params.server_max_window_bits),
            client_max_window_bits: limited.then_some(Some(params.client_max_window_bits)),
        };
        Some((Agreed::new(params, &self), alloc::format!("{answer}")))
    }

    /// What a client makes of the answer to its offer: what is agreed on.
    pub(in crate::ws) fn check(self, answer: Extension<'_>) -> Result<Agreed, ExtensionError> {
        let config = self.bounded();
        let sent = Sent::read(answer)?;
        let params = DeflateParams {
            server_no_context_takeover: sent.server_no_context_takeover,
            client_no_context_takeover: sent.client_no_context_takeover
                || config.client_no_context_takeover,
            server_max_window_bits: sent.server_max_window_bits.unwrap_or(LARGEST),
            client_max_window_bits: match sent.client_max_window_bits {
                Some(answered) => answered.ok_or(ExtensionError::ParameterValue)?,
                None => config.client_max_window_bits,
            },
        };
        let obeyed = params.server_no_context_takeover >= config.server_no_context_takeover
            && params.server_max_window_bits <= config.server_max_window_bits
            && params.client_max_window_bits <= config.client_max_window_bits;
        obeyed.then(|| Agreed::new(params, &self)).ok_or(ExtensionError::Limit)
    }
}
