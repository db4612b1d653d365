//! SOCKS5 (RFC 1928), with user and password (RFC 1929).
//!
//! ```text
//!   methods                               user, password
//!   -------> Method -- 05 02 (user, password) -----------> Password
//!              | 05 00 (nobody)                               | 01 00
//!              | request                                      | request
//!              +----------------> Reply <---------------------+
//!                                   | 05 00 00 and the bound address
//!                                   v
//!                                 Open --> Opened
//!   from everywhere, by another answer, the end of the stream or of the time: Refused --> Over
//! ```
//!
//! Each answer is judged byte by byte, as it comes. A proxy that refuses may close without having sent
//! all of its reply.

use super::{Destination, Proxy, Refusal, TunnelEvent};
use crate::{Instant, RecvBuf, SendBuf, Transport};
use alloc::vec::Vec;
use core::net::SocketAddr;

const VERSION: u8 = 5;
/// Of the negotiation of user and password (RFC 1929, 2).
const PASSWORD_VERSION: u8 = 1;
/// Methods (RFC 1928, 3).
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xFF;
/// The one command that is used (4).
const CONNECT: u8 = 1;
/// Address types (5).
const IPV4: u8 = 1;
const DOMAINNAME: u8 = 3;
const IPV6: u8 = 4;

/// Why a SOCKS5 proxy made no connection: its reply field (RFC 1928, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reply {
    /// 1.
    #[error("general SOCKS server failure")]
    GeneralFailure,
    /// 2.
    #[error("connection not allowed by ruleset")]
    NotAllowed,
    /// 3.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// 4. What most proxies say of a name that they cannot resolve, too.
    #[error("host unreachable")]
    HostUnreachable,
    /// 5.
    #[error("connection refused")]
    ConnectionRefused,
    /// 6.
    #[error("TTL expired")]
    TtlExpired,
    /// 7.
    #[error("command not supported")]
    CommandNotSupported,
    /// 8.
    #[error("address type not supported")]
    AddressTypeNotSupported,
    /// Another one, which the standard does not assign.
    #[error("the unassigned reply {0:#04x}")]
    Unassigned(u8),
}

impl Reply {
    /// What the reply field says; `None` for 0, "succeeded".
    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            code => Self::Unassigned(code),
        })
    }

    /// Whether it is about the one address that was asked for, so that another of the same host may do
    /// better. Not about the proxy, its rules, or what it understands of a request: those stay as they are.
    ///
    /// A general failure counts as one: it is what many proxies say of whatever they cannot reach.
    #[must_use]
    pub const fn concerns_address(self) -> bool {
        match self {
            Self::GeneralFailure
            | Self::NetworkUnreachable
            | Self::HostUnreachable
            | Self::ConnectionRefused
            | Self::TtlExpired
            | Self::AddressTypeNotSupported => true,
            Self::NotAllowed | Self::CommandNotSupported | Self::Unassigned(_) => false,
        }
    }
}

/// What in the answer of a SOCKS5 proxy is against RFC 1928 or RFC 1929.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedReply {
    /// It begins with another version than 5. `0x48` is the `H` of `HTTP`.
    #[error("version {0:#04x} is not SOCKS5 (RFC 1928, 3 and 6)")]
    Version(u8),
    /// The proxy chose a method that was not offered.
    #[error("method {0:#04x} was not offered (RFC 1928, 3)")]
    Method(u8),
    /// The answer to user and password begins with another version than 1.
    #[error("version {0:#04x} of the negotiation is not 1 (RFC 1929, 2)")]
    PasswordVersion(u8),
    /// The reserved field is not 0.
    #[error("the reserved field is {0:#04x} (RFC 1928, 6)")]
    Reserved(u8),
    /// The bound address is neither IPv4, nor IPv6, nor a name.
    #[error("address type {0:#04x} is unknown (RFC 1928, 5)")]
    AddressType(u8),
}

#[derive(Debug)]
pub(super) struct Socks5 {
    /// The negotiation of user and password, to be sent if it is asked for.
    password: Option<Secret>,
    /// The request, to be sent once the proxy knows enough of us.
    request: Vec<u8>,
    phase: Phase,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Waiting for the method.
    Method,
    /// Waiting for the verdict on user and password.
    Password,
    /// Waiting for the reply.
    Reply,
    /// Announced.
    Open,
    /// Announced.
    Refused(Refusal),
    /// Lent.
    Opened,
    /// Lent.
    Over,
}

/// Bytes that are not shown.
struct Secret(Vec<u8>);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Socks5 {
    pub(super) fn new(
        proxy: &Proxy,
        destination: Destination<'_>,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Self {
        let password = proxy.credentials.as_ref().map(|credentials| {
            let mut bytes = Vec::from([PASSWORD_VERSION]);
            push_counted(&mut bytes, credentials.user.as_bytes());
            push_counted(&mut bytes, credentials.password.as_bytes());
            Secret(bytes)
        });
        let request = request(destination);
        let phase = match &request {
            None => Phase::Refused(Refusal::Destination),
            Some(_) => {
                tx.append(match password {
                    None => &[VERSION, 1, NO_AUTHENTICATION],
                    Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD],
                });
                Phase::Method
            }
        };
        Self {
            password,
            request: request.unwrap_or_default(),
            phase,
            deadline: proxy.timeout.map(|timeout| now + timeout),
        }
    }

    pub(super) fn advance(&mut self, _now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        loop {
            let judged = match self.phase {
                Phase::Open | Phase::Refused(_) => return true,
                Phase::Opened | Phase::Over => return false,
                Phase::Method => self.judge_method(rx.raw()),
                Phase::Password => judge_password(rx.raw()),
                Phase::Reply => judge_reply(rx.raw()),
            };
            match judged {
                Err(why) => self.phase = Phase::Refused(why),
                Ok(None) if rx.is_finished() => self.phase = Phase::Refused(Refusal::Eof),
                Ok(None) => return false,
                Ok(Some((next, len))) => {
                    rx.skip(len);
                    self.enter(next, tx);
                }
            }
        }
    }

    pub(super) fn event<'a>(
        &mut self,
        _now: Instant,
        _rx: &'a mut RecvBuf,
        _tx: &mut SendBuf,
    ) -> Option<TunnelEvent<'a>> {
        match self.phase {
            Phase::Open => {
                self.phase = Phase::Opened;
                Some(TunnelEvent::Open { head: None })
            }
            Phase::Refused(why) => {
                self.phase = Phase::Over;
                Some(TunnelEvent::Refused { why, head: None, body: &[] })
            }
            _ => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.waits())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.phase = Phase::Refused(Refusal::Timeout);
        }
    }

    pub(super) const fn transport(&self) -> Transport {
        match self.phase {
            Phase::Refused(_) | Phase::Over => Transport::Down,
            _ => Transport::Open,
        }
    }

    pub(super) fn may_read(&self, rx: &RecvBuf) -> usize {
        let raw = rx.raw();
        let len = match self.phase {
            Phase::Method | Phase::Password => 2,
            // Up to what tells how long the address is.
            Phase::Reply => reply_len(raw).unwrap_or(5),
            _ => 0,
        };
        len.saturating_sub(raw.len())
    }

    const fn waits(&self) -> bool {
        matches!(self.phase, Phase::Method | Phase::Password | Phase::Reply)
    }

    /// Sends what the phase begins with.
    fn enter(&mut self, next: Phase, tx: &mut SendBuf) {
        match next {
            Phase::Password => {
                if let Some(password) = self.password.take() {
                    tx.append(&password.0);
                }
            }
            Phase::Reply => tx.append(&self.request),
            _ => {}
        }
        self.phase = next;
    }

    /// The method selection message (RFC 1928, 3).
    fn judge_method(&self, raw: &[u8]) -> Judged {
        let Some(&version) = raw.first() else { return Ok(None) };
        if version != VERSION {
            return Err(Refusal::Malformed(MalformedReply::Version(version)));
        }
        let Some(&method) = raw.get(1) else { return Ok(None) };
        match method {
            NO_AUTHENTICATION => Ok(Some((Phase::Reply, 2))),
            USERNAME_PASSWORD if self.password.is_some() => Ok(Some((Phase::Password, 2))),
            NO_ACCEPTABLE_METHOD if self.password.is_none() => Err(Refusal::CredentialsRequired),
            NO_ACCEPTABLE_METHOD => Err(Refusal::NoAcceptableMethod),
            method => Err(Refusal::Malformed(MalformedReply::Method(method))),
        }
    }
}

/// The phase that follows and how many bytes have led there; `None` if there are too few.
type Judged = Result<Option<(Phase, usize)>, Refusal>;

/// The verdict on user and password (RFC 1929, 2).
fn judge_password(raw: &[u8]) -> Judged {
    let Some(&version) = raw.first() else { return Ok(None) };
    if version != PASSWORD_VERSION {
        return Err(Refusal::Malformed(MalformedReply::PasswordVersion(version)));
    }
    match raw.get(1) {
        None => Ok(None),
        Some(0) => Ok(Some((Phase::Reply, 2))),
        Some(_) => Err(Refusal::CredentialsRefused),
    }
}

/// The reply (RFC 1928, 6).
fn judge_reply(raw: &[u8]) -> Judged {
    if let Some(&version) = raw.first().filter(|&&version| version != VERSION) {
        return Err(Refusal::Malformed(MalformedReply::Version(version)));
    }
    if let Some(reply) = raw.get(1).and_then(|&code| Reply::of(code)) {
        return Err(Refusal::Reply(reply));
    }
    if let Some(&reserved) = raw.get(2).filter(|&&reserved| reserved != 0) {
        return Err(Refusal::Malformed(MalformedReply::Reserved(reserved)));
    }
    if let Some(&kind) = raw.get(3).filter(|&&kind| !matches!(kind, IPV4 | DOMAINNAME | IPV6)) {
        return Err(Refusal::Malformed(MalformedReply::AddressType(kind)));
    }
    // The address that the proxy's own connection is bound to is of no use to a client.
    Ok(reply_len(raw).filter(|&len| raw.len() >= len).map(|len| (Phase::Open, len)))
}

/// How long the reply is, once that can be told.
fn reply_len(raw: &[u8]) -> Option<usize> {
    let address = match *raw.get(3)? {
        IPV4 => 4,
        IPV6 => 16,
        _ => 1 + usize::from(*raw.get(4)?),
    };
    Some(4 + address + 2)
}

/// The request (RFC 1928, 4); `None` for a name that it has no room for.
fn request(destination: Destination<'_>) -> Option<Vec<u8>> {
    let mut request = Vec::from([VERSION, CONNECT, 0]);
    let port = match destination {
        Destination::Name(name, port) => {
            let fits = (1..=255).contains(&name.len()) && !name.bytes().any(|byte| byte <= b' ');
            if !fits {
                return None;
            }
            request.push(DOMAINNAME);
            push_counted(&mut request, name.as_bytes());
            port
        }
        Destination::Address(SocketAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.ip().octets());
            address.port()
        }
        Destination::Address(SocketAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.ip().octets());
            address.port()
        }
    };
    request.extend(port.to_be_bytes());
    Some(request)
}

/// Appends at most 255 bytes, behind their number.
fn push_counted(to: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= 255, "judged before");
    to.push(bytes.len() as u8);
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 1928, 6.
    #[test]
    fn replies_about_an_address_leave_others_to_be_tried() {
        let about: Vec<u8> = (0..=u8::MAX)
            .filter(|&code| Reply::of(code).is_some_and(Reply::concerns_address))
            .collect();
        assert_eq!(about, [1, 3, 4, 5, 6, 8]);
    }
}
