//! What goes wrong with TLS.

use super::TlsAlert;
use std::io;
use std::time::{Duration, SystemTime};

/// Why there is no TLS connection, or no longer one. Found in an [`Error`](crate::Error) by
/// [`Error::tls`](crate::Error::tls), and in an [`io::Error`] as what
/// [`get_ref`](io::Error::get_ref) refers to.
///
/// A certificate is always the peer's unless it says otherwise: the server's for a client, the
/// client's for a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No root certificate that is trusted has issued the certificate.
    #[error("the certificate is issued by nobody who is trusted")]
    UnknownIssuer,
    /// The certificate, or one above it, is no longer valid.
    #[error("the certificate expired{}", on(.at))]
    Expired {
        /// Its last moment.
        at: Option<SystemTime>,
    },
    /// The certificate, or one above it, is not valid yet. Most often a clock is wrong.
    #[error("the certificate is not valid yet, but{}", on(.from))]
    NotYetValid {
        /// Its first moment.
        from: Option<SystemTime>,
    },
    /// The certificate is for other names (RFC 9110, 4.3.4).
    #[error("the certificate is not for {expected}, but for {}", .presented.join(", "))]
    NameMismatch {
        /// The name or address that was asked for.
        expected: String,
        /// Those that the certificate is for.
        presented: Vec<String>,
    },
    /// Its issuer has taken the certificate back.
    #[error("the certificate was revoked")]
    Revoked,
    /// Something else is wrong with the certificate.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The client has no certificate, and the server demands one.
    #[error("the client has no certificate")]
    NoClientCertificate,
    /// The server does not take the client's certificate, or wants one and got none:
    /// `certificate_required`.
    #[error("the server does not take the client's certificate: {0}")]
    ClientCertificateRefused(TlsAlert),
    /// The peer says that something else is wrong.
    #[error("the peer ended TLS: {0}")]
    Alert(TlsAlert),
    /// The client speaks none of the application protocols of the server (RFC 7301, 3.2).
    #[error("the client speaks none of the application protocols of the server")]
    NoApplicationProtocol,
    /// The connection ended without `close_notify` (RFC 8446, 6.1): there may have been more.
    #[error("the connection was cut off: it ended without close_notify")]
    Truncated,
    /// The peer does not speak TLS: what it sent is no record (RFC 8446, 5.1). Most often a server whose
    /// port is for `http` or `ws`, or a client that takes this one's for that; behind the handshake, what
    /// came was damaged.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The peer does not speak TLS as it should.
    #[error("the peer breaks the rules of TLS: {0}")]
    Protocol(String),
    /// The host of a URL is neither a name nor an address that a certificate could be for.
    #[error("no certificate can be for {0:?}")]
    BadName(String),
    /// The platform has no root certificates, or they cannot be read.
    #[error("the platform has no root certificates: {0}")]
    NoPlatformRoots(String),
    /// What should be certificates, in PEM or DER, are none.
    #[error("no certificates: {0}")]
    BadCertificates(String),
    /// What should be a private key, in PEM or DER, is none that can be used, or not that of the
    /// certificate, which is one.
    #[error("the private key cannot be used: {0}")]
    BadKey(String),
    /// What the implementation refuses for another reason.
    #[error("{0}")]
    Other(String),
}

impl TlsError {
    /// The reason in an error of a stream, if TLS is what failed.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::Truncated => io::ErrorKind::UnexpectedEof,
            TlsError::BadCertificates(_) | TlsError::BadKey(_) | TlsError::BadName(_) => {
                io::ErrorKind::InvalidInput
            }
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The moment in words, where it is known.
fn on(moment: &Option<SystemTime>) -> String {
    // What lies outside has no date in HTTP's words.
    let known =
        SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800);
    match moment {
        Some(at) if known.contains(at) => format!(" on {}", httpdate::fmt_http_date(*at)),
        _ => String::new(),
    }
}
