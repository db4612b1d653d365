//! How a server speaks TLS.

use super::stream::Accepting;
use super::{HTTP_1_1, TIMEOUT, TlsError, add_roots, certified_key, provider, revocation_lists};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::pki_types::CertificateRevocationListDer;
use futures_rustls::rustls::server::danger::ClientCertVerifier;
use futures_rustls::rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use futures_rustls::rustls::sign::SingleCertAndKey;
use futures_rustls::rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a server speaks TLS: who it is, and whom of its clients it trusts. TLS 1.3 and 1.2 are spoken.
///
/// It is cheap to clone.
///
/// ```
/// # use tidewire_runtime::{ServerConfig, TlsError, TlsServerConfig};
/// # fn example(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
/// let tls = TlsServerConfig::new(chain, key)?;
/// let config = ServerConfig { tls: Some(tls), ..ServerConfig::default() };
/// # Ok(config) }
/// ```
#[derive(Clone)]
pub struct TlsServerConfig {
    certificate: Arc<dyn ResolvesServerCert>,
    /// The issuers of clients that are known, and whether each client must be one.
    clients: Option<(RootCertStore, bool)>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    timeout: Duration,
    on_failure: Arc<OnFailure>,
    made: Arc<ServerConfig>,
}

type OnFailure = dyn Fn(Option<SocketAddr>, &io::Error) + Send + Sync;

impl TlsServerConfig {
    /// Shows this certificate to clients: its chain, the server's own first, and the private key that
    /// belongs to it (PKCS #8, PKCS #1 or SEC1), each in PEM or DER. Clients are asked for none, and
    /// `http/1.1` is the application protocol.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`] and [`TlsError::BadKey`], which it also is if the two do not
    /// belong together.
    pub fn new(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let certificate = certified_key(chain.as_ref(), key.as_ref())?;
        let certificate: Arc<dyn ResolvesServerCert> =
            Arc::new(SingleCertAndKey::from(certificate));
        let no_clients = WebPkiClientVerifier::no_client_auth();
        let mut made = make(no_clients, certificate.clone())?;
        made.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self::with(certificate, Arc::new(made)))
    }

    /// The way out, for what has no method here, such as several certificates, or another one while the
    /// server runs: a configuration of the crate `rustls`, version 0.23, taken as it is. The methods
    /// about clients' certificates start from its [`cert_resolver`](ServerConfig::cert_resolver) and
    /// nothing else of it.
    #[must_use]
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self::with(config.cert_resolver.clone(), config)
    }

    fn with(certificate: Arc<dyn ResolvesServerCert>, made: Arc<ServerConfig>) -> Self {
        let (clients, revoked, on_failure) = (None, Vec::new(), Arc::new(|_, _: &_| {}));
        Self { certificate, clients, revoked, timeout: TIMEOUT, on_failure, made }
    }

    /// Demands a certificate of each client, which one of these root certificates must have issued: any
    /// number in PEM, or one in DER. May be called again for more. A client without one is refused; see
    /// [`TlsSession::certificates`](crate::TlsSession) for who the others are.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`].
    pub fn require_client_certificate(self, roots: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        self.ask_clients(roots.as_ref(), true)
    }

    /// As [`require_client_certificate`](Self::require_client_certificate), but clients without a
    /// certificate are welcome. One that cannot be trusted is refused all the same.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`].
    pub fn allow_client_certificate(self, roots: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        self.ask_clients(roots.as_ref(), false)
    }

    fn ask_clients(mut self, roots: &[u8], must: bool) -> Result<Self, TlsError> {
        let mut store = self.clients.take().map_or_else(RootCertStore::empty, |(store, _)| store);
        add_roots(&mut store, roots)?;
        self.clients = Some((store, must));
        self.make_again()
    }

    /// Refuses clients whose certificates stand on these lists (RFC 5280, 5): any number in PEM, or one
    /// in DER. Certificates whose issuer has no list here are not refused, nor are those above a
    /// client's own looked for.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`].
    pub fn revoked(mut self, lists: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        self.revoked.extend(revocation_lists(lists.as_ref())?);
        self.make_again()
    }

    /// Speaks these application protocols (RFC 7301), the one that is liked best first; with none, ALPN
    /// is not spoken. Clients that offer others only are refused. `http/1.1` by default, which is what is
    /// spoken here.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        let made = Arc::make_mut(&mut self.made);
        made.alpn_protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// How long a client may take for the handshake. 10 s by default. Then its connection is dropped.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Calls `on_failure` for each handshake that fails, with the client's address, if it has one, and
    /// why: [`TlsError::of`] has the reason, and [`io::ErrorKind::TimedOut`] is that of a client which
    /// took too long. The place for a log line; by default, nothing happens.
    #[must_use]
    pub fn on_failure(
        mut self,
        on_failure: impl Fn(Option<SocketAddr>, &io::Error) + Send + Sync + 'static,
    ) -> Self {
        self.on_failure = Arc::new(on_failure);
        self
    }

    /// A handshake has failed.
    pub(crate) fn failed(&self, client: Option<SocketAddr>, error: &io::Error) {
        (self.on_failure)(client, error);
    }

    /// Makes the configuration anew for other clients.
    fn make_again(mut self) -> Result<Self, TlsError> {
        let Some((roots, must)) = &self.clients else { return Ok(self) };
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider())
                .with_crls(self.revoked.iter().cloned())
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status();
        if !must {
            verifier = verifier.allow_unauthenticated();
        }
        let verifier =
            verifier.build().map_err(|error| TlsError::BadCertificates(error.to_string()))?;
        let mut made = make(verifier, self.certificate.clone())?;
        made.alpn_protocols.clone_from(&self.made.alpn_protocols);
        self.made = Arc::new(made);
        Ok(self)
    }

    /// Starts a handshake with a client over `stream`.
    pub(crate) fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Accepting<S> {
        Accepting::new(self.made.clone(), stream)
    }

    /// How long a client may take for the handshake.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn make(
    clients: Arc<dyn ClientCertVerifier>,
    certificate: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, TlsError> {
    Ok(ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificate))
}

impl fmt::Debug for TlsServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = match &self.clients {
            None => "not asked",
            Some((_, false)) => "asked",
            Some((_, true)) => "must have one",
        };
        f.debug_struct("TlsServerConfig").field("clients", &clients).finish_non_exhaustive()
    }
}
