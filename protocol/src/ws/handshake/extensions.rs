//! What the opening handshake agrees on (RFC 6455, 9).

use crate::http::chars::is_token;
use crate::http::{Headers, ParameterValue, Split};
#[cfg(feature = "deflate")]
use crate::ws::DeflateParams;
use crate::ws::deflate::{self, Agreed, DeflateConfig};
use crate::ws::frame::RSV1;
use alloc::string::String;

/// Where extensions are offered and answered.
pub(super) const FIELD: &str = "Sec-WebSocket-Extensions";

/// What both sides agreed on in the opening handshake.
///
/// `Negotiated::default()` is a connection without extensions and subprotocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Which of the subprotocols that this side named.
    pub(super) subprotocol: Option<usize>,
    pub(super) deflate: Option<Agreed>,
}

impl Negotiated {
    /// The index of the chosen subprotocol among those that this side offered (as a client) or
    /// supports (as a server), in the order in which they were given.
    #[must_use]
    pub const fn subprotocol(self) -> Option<usize> {
        self.subprotocol
    }

    /// The parameters of permessage-deflate, if messages may be compressed (RFC 7692, 7.1).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(self) -> Option<DeflateParams> {
        self.deflate.map(|agreed| agreed.params)
    }

    /// The same with permessage-deflate agreed on, for a handshake that was made elsewhere. Of
    /// `config`, level and threshold count; windows outside 8 to 15 count as the nearest of these.
    ///
    /// ```
    /// use tidewire::ws::{DeflateConfig, DeflateParams, Negotiated};
    ///
    /// let params = DeflateParams {
    ///     server_no_context_takeover: true,
    ///     client_no_context_takeover: false,
    ///     server_max_window_bits: 15,
    ///     client_max_window_bits: 12,
    /// };
    /// let negotiated = Negotiated::default().with_deflate(params, &DeflateConfig::default());
    /// assert_eq!(negotiated.deflate(), Some(params));
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, params: DeflateParams, config: &crate::ws::DeflateConfig) -> Self {
        Self { deflate: Some(Agreed::new(params, config)), ..self }
    }

    /// How messages are compressed, if they may be.
    pub(in crate::ws) const fn agreed(self) -> Option<Agreed> {
        self.deflate
    }

    /// The reserved bits of a frame's first byte that an extension defines for the first frame of a
    /// message: RSV1 says that it is compressed (RFC 7692, 6).
    pub(crate) const fn reserved_bits(self) -> u8 {
        match self.deflate {
            Some(_) => RSV1,
            None => 0,
        }
    }
}

/// What is wrong with the extensions that a server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// The field is no list of extensions.
    #[error("the field is malformed (RFC 6455, 9.1)")]
    Malformed,
    /// An extension that was not offered.
    #[error("it was not offered (RFC 6455, 9.1)")]
    NotOffered,
    /// An extension that is named already.
    #[error("it is named twice (RFC 7692, 5)")]
    Repeated,
    /// A parameter that the extension has not.
    #[error("a parameter that it has not (RFC 7692, 7.1)")]
    UnknownParameter,
    /// A parameter that is there twice.
    #[error("a parameter is there twice (RFC 7692, 7.1)")]
    RepeatedParameter,
    /// A value that the parameter cannot have, one where there may be none, or none where there must
    /// be one.
    #[error("the value of a parameter is wrong (RFC 7692, 7.1)")]
    ParameterValue,
    /// A limit that was offered is missing or exceeded.
    #[error("a limit of the offer is not kept (RFC 7692, 7.1)")]
    Limit,
}

/// A member of [`FIELD`] (9.1).
#[derive(Clone, Copy)]
pub(crate) struct Extension<'a> {
    name: &'a [u8],
    /// What follows the name: empty, or `;` and so on.
    rest: &'a [u8],
}

impl<'a> Extension<'a> {
    /// `None` if it does not conform to the grammar.
    fn parse(member: &'a [u8]) -> Option<Self> {
        let name = Split::new(member, b';').next()?;
        let start = member.iter().position(|&byte| byte == b';').unwrap_or(member.len());
        let rest = &member[start..];
        let extension = Self { name, rest };
        let valid = is_token(name) && extension.each().all(|parameter| parameter.is_some());
        valid.then_some(extension)
    }

    /// Names of the parameters, with their values if they have any.
    #[cfg(feature = "deflate")]
    pub(crate) fn parameters(self) -> impl Iterator<Item = (&'a [u8], Option<ParameterValue<'a>>)> {
        self.each().flatten()
    }

    /// The parameters, `None` for one that is malformed. There may be whitespace around `=`: the
    /// grammar is that of RFC 2616, 2.1. A quoted value must be a token inside the quotes.
    fn each(self) -> impl Iterator<Item = Option<(&'a [u8], Option<ParameterValue<'a>>)>> {
        Split::new(self.rest, b';').skip(1).map(|part| {
            let mut sides = Split::new(part, b'=');
            let name = sides.next().filter(|name| is_token(name))?;
            let Some(raw) = sides.next() else { return Some((name, None)) };
            let value = ParameterValue::parse(raw).filter(|value| is_token(&value.to_bytes()))?;
            sides.next().is_none().then_some((name, Some(value)))
        })
    }
}

/// What this side would speak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extensions {
    pub(super) deflate: Option<DeflateConfig>,
}

impl Extensions {
    /// What a client offers; empty if nothing.
    pub(super) fn offer(self) -> String {
        self.deflate.map(DeflateConfig::offer).unwrap_or_default()
    }

    /// What a server chooses of what is offered: the first offer that it can accept, and its answer.
    /// Others are declined. `None` if the field is malformed: the handshake fails then (9.1).
    pub(super) fn choose(self, headers: Headers<'_>) -> Option<(Option<Agreed>, String)> {
        let mut chosen = None;
        for member in headers.list(FIELD) {
            let offer = Extension::parse(member)?;
            let ours = self.deflate.filter(|_| offer.name == deflate::NAME.as_bytes());
            chosen = chosen.or_else(|| ours?.accept(offer));
        }
        Some(chosen.map_or((None, String::new()), |(agreed, answer)| (Some(agreed), answer)))
    }

    /// What a client makes of the answer.
    pub(super) fn check(self, headers: Headers<'_>) -> Result<Option<Agreed>, ExtensionError> {
        let mut agreed = None;
        for member in headers.list(FIELD) {
            let answer = Extension::parse(member).ok_or(ExtensionError::Malformed)?;
            let ours = self.deflate.filter(|_| answer.name == deflate::NAME.as_bytes());
            let config = ours.ok_or(ExtensionError::NotOffered)?;
            if agreed.is_some() {
                return Err(ExtensionError::Repeated);
            }
            agreed = Some(config.check(answer)?);
        }
        Ok(agreed)
    }
}
