//! What goes wrong on the way to a connection, where that is more than a word of the operating system's.

use crate::tls::TlsError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use tidewire::http::OwnedResponseHead;
use tidewire::proxy::{Refusal, Reply};

/// A proxy did not lead to the target. Found in an [`Error`](crate::Error) by
/// [`Error::proxy`](crate::Error::proxy), and in an [`io::Error`] by [`of`](Self::of).
///
/// ```
/// # use tidewire_runtime::{Error, proxy::Refusal};
/// # fn example(error: Error) {
/// if let Some(refused) = error.proxy() {
///     if refused.why == Refusal::CredentialsRequired {
///         for challenge in refused.challenges() {
///             println!("the proxy asks: {}", String::from_utf8_lossy(challenge));
///         }
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
#[non_exhaustive]
pub struct ProxyRefused {
    /// Why.
    pub why: Refusal,
    /// The answer of an HTTP proxy, if there was one.
    pub head: Option<OwnedResponseHead>,
    /// The start of the answer's body.
    pub body: Vec<u8>,
}

impl ProxyRefused {
    /// The reason in an error of an attempt to connect, if a proxy is what failed.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The values of `Proxy-Authenticate`: how the proxy wants to be told who asks (RFC 9110, 11.7.1).
    pub fn challenges(&self) -> impl Iterator<Item = &[u8]> {
        let head = self.head.as_ref().map(OwnedResponseHead::as_head);
        head.into_iter().flat_map(|head| head.headers.get_all("Proxy-Authenticate"))
    }
}

impl From<ProxyRefused> for io::Error {
    fn from(refused: ProxyRefused) -> Self {
        let kind = match refused.why {
            Refusal::CredentialsRequired | Refusal::CredentialsRefused => {
                ErrorKind::PermissionDenied
            }
            Refusal::Reply(Reply::NotAllowed) => ErrorKind::PermissionDenied,
            Refusal::Reply(Reply::NetworkUnreachable) => ErrorKind::NetworkUnreachable,
            Refusal::Reply(Reply::HostUnreachable) => ErrorKind::HostUnreachable,
            Refusal::Reply(Reply::ConnectionRefused) => ErrorKind::ConnectionRefused,
            Refusal::Http(_) | Refusal::Malformed(_) => ErrorKind::InvalidData,
            Refusal::Destination => ErrorKind::InvalidInput,
            Refusal::Timeout => ErrorKind::TimedOut,
            Refusal::Eof => ErrorKind::UnexpectedEof,
            _ => ErrorKind::Other,
        };
        Self::new(kind, refused)
    }
}

/// What each of several addresses of a host has failed with.
#[derive(Clone, Debug)]
pub(crate) struct ConnectErrors(Arc<[(SocketAddr, io::Error)]>);

impl ConnectErrors {
    /// `failures` are in the order in which they came.
    pub(crate) fn new(failures: Vec<(SocketAddr, io::Error)>) -> Self {
        Self(failures.into())
    }

    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(crate) fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        &self.0
    }
}

impl std::error::Error for ConnectErrors {}

impl fmt::Display for ConnectErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (address, error)) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

/// Of the kind of the last failure, which most often is that of all.
impl From<ConnectErrors> for io::Error {
    fn from(errors: ConnectErrors) -> Self {
        let kind = errors.0.last().map_or(ErrorKind::NotFound, |(_, error)| error.kind());
        Self::new(kind, errors)
    }
}

/// An [`io::Error`] that says the same.
pub(crate) fn copy(error: &io::Error) -> io::Error {
    if let Some(refused) = ProxyRefused::of(error) {
        return refused.clone().into();
    }
    if let Some(errors) = ConnectErrors::of(error) {
        return errors.clone().into();
    }
    match (error.raw_os_error(), TlsError::of(error)) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, Some(error)) => error.clone().into(),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}
