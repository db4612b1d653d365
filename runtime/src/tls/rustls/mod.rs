//! TLS by rustls, with the cryptography of ring.

mod client;
mod roots;
mod server;
mod stream;
mod unverified;

pub use client::TlsConfig;
pub use server::TlsServerConfig;
pub(crate) use stream::{Accepting, Connecting, TlsStream};

use super::{TlsAlert, TlsError};
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime,
};
use futures_rustls::rustls::crypto::{CryptoProvider, ring};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::sign::CertifiedKey;
use futures_rustls::rustls::{CertificateError, Error, InvalidMessage, RootCertStore};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

/// How long a handshake may take where nobody sets the time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What HTTP/1.1 is called in ALPN (RFC 7301, 6). A WebSocket begins as such.
const HTTP_1_1: &[u8] = b"http/1.1";

/// The cryptography. It is named wherever one is wanted, and never made the program's default: that is
/// the program's to choose.
fn provider() -> Arc<CryptoProvider> {
    static RING: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    RING.clone()
}

/// Whether these bytes are PEM (RFC 7468). DER begins with another byte.
fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

/// Certificates: any number in PEM, other sections being passed over, or one in DER.
fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if !is_pem(bytes) {
        return Ok(vec![bytes.to_vec().into()]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::BadCertificates("the PEM has none".into())),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::BadCertificates(error.to_string())),
    }
}

/// Adds certificates to those that are trusted.
fn add_roots(roots: &mut RootCertStore, bytes: &[u8]) -> Result<(), TlsError> {
    for certificate in certificates(bytes)? {
        roots.add(certificate).map_err(|error| TlsError::BadCertificates(error.to_string()))?;
    }
    Ok(())
}

/// Lists of certificates that were revoked: any number in PEM, or one in DER.
fn revocation_lists(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    if !is_pem(bytes) {
        return Ok(vec![bytes.to_vec().into()]);
    }
    CertificateRevocationListDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::BadCertificates(error.to_string()))
}

/// A certificate chain, the end's own first, with the private key that belongs to it.
fn certified_key(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(chain)?;
    // Before the key, which may be bad as well, or not that of a certificate which is none.
    // The others are passed on, and only the peer has to understand them.
    if let Some(own) = chain.first() {
        ParsedCertificate::try_from(own)
            .map_err(|error| TlsError::BadCertificates(error.to_string()))?;
    }
    let key = if is_pem(key) {
        PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::BadKey(error.to_string()))
    } else {
        PrivateKeyDer::try_from(key.to_vec()).map_err(|error| TlsError::BadKey(error.to_owned()))
    }?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InvalidCertificate(_) => TlsError::BadCertificates(error.to_string()),
        Error::InconsistentKeys(_) => TlsError::BadKey("it is not that of the certificate".into()),
        error => TlsError::BadKey(error.to_string()),
    })
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => certificate_error(error),
            Error::NoCertificatesPresented => Self::NoClientCertificate,
            Error::AlertReceived(alert) => Self::Alert(TlsAlert(alert.into())),
            Error::NoApplicationProtocol => Self::NoApplicationProtocol,
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidMessage(_)
            | Error::DecryptError
            | Error::PeerIncompatible(_)
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord => Self::Protocol(error.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

fn certificate_error(error: CertificateError) -> TlsError {
    let moment =
        |time: UnixTime| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match error {
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
        CertificateError::Expired => TlsError::Expired { at: None },
        CertificateError::ExpiredContext { not_after, .. } => {
            TlsError::Expired { at: moment(not_after) }
        }
        CertificateError::NotValidYet => TlsError::NotYetValid { from: None },
        CertificateError::NotValidYetContext { not_before, .. } => {
            TlsError::NotYetValid { from: moment(not_before) }
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // They come as `DnsName("a.example")`.
            let bare = |name: &String| match name
                .split_once('"')
                .and_then(|it| it.1.strip_suffix("\")"))
            {
                Some(bare) => bare.to_owned(),
                None => name.clone(),
            };
            let presented = presented.iter().map(bare).collect();
            TlsError::NameMismatch { expected: expected.to_str().into_owned(), presented }
        }
        CertificateError::Revoked => TlsError::Revoked,
        error => TlsError::Certificate(Error::InvalidCertificate(error).to_string()),
    }
}
