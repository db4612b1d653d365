//! How a client speaks TLS.

use super::stream::Connecting;
use super::unverified::Unverified;
use super::{
    HTTP_1_1, TIMEOUT, TlsError, add_roots, certified_key, provider, revocation_lists, roots,
};
use futures_rustls::pki_types::{CertificateRevocationListDer, ServerName};
use futures_rustls::rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use futures_rustls::rustls::{ClientConfig, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How a client speaks TLS: whom it trusts, and who it is. TLS 1.3 and 1.2 are spoken.
///
/// It is cheap to clone, and clones share what they remember of servers, so that further connections
/// are made with fewer round trips (RFC 8446, 2.2).
///
/// ```
/// # use tidewire_runtime::{TlsConfig, TlsError};
/// # fn example(ca: &[u8], chain: &[u8], key: &[u8]) -> Result<TlsConfig, TlsError> {
/// let tls = TlsConfig::new()              // the platform's roots are trusted
///     .also_trust(ca)?                    // and one of our own
///     .client_certificate(chain, key)?;   // who we are, if the server asks
/// # Ok(tls) }
/// ```
#[derive(Clone)]
pub struct TlsConfig {
    parts: Arc<Parts>,
    /// What rustls makes of the parts, when it is first wanted.
    made: Arc<OnceLock<Result<Arc<ClientConfig>, TlsError>>>,
    /// The same for a proxy on the way, when one is first wanted.
    for_proxy: Arc<OnceLock<TlsConfig>>,
}

#[derive(Clone)]
struct Parts {
    given: Option<Arc<ClientConfig>>,
    platform: bool,
    roots: RootCertStore,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    certificate: Option<Arc<SingleCertAndKey>>,
    alpn: Vec<Vec<u8>>,
    sni: bool,
    name: Option<ServerName<'static>>,
    verify: bool,
    timeout: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsConfig {
    /// Trusts the platform's root certificates, and offers `http/1.1` as the application protocol.
    ///
    /// The platform's roots are read when they are first wanted, once for the whole program. On Unix
    /// systems, `SSL_CERT_FILE` and `SSL_CERT_DIR` say where they are, if they are set.
    #[must_use]
    pub fn new() -> Self {
        let parts = Parts {
            given: None,
            platform: true,
            roots: RootCertStore::empty(),
            revoked: Vec::new(),
            certificate: None,
            alpn: vec![HTTP_1_1.to_vec()],
            sni: true,
            name: None,
            verify: true,
            timeout: TIMEOUT,
        };
        Self::of(parts)
    }

    fn of(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), made: Arc::default(), for_proxy: Arc::default() }
    }

    /// The configuration of clients that were given none: all of them share it.
    pub(crate) fn platform() -> Option<Self> {
        static PLATFORM: OnceLock<TlsConfig> = OnceLock::new();
        Some(PLATFORM.get_or_init(Self::new).clone())
    }

    /// The way out, for what has no method here: a configuration of the crate `rustls`, version 0.23,
    /// taken as it is. Of the methods here only [`server_name`](Self::server_name) and
    /// [`handshake_timeout`](Self::handshake_timeout) have an effect on it.
    #[must_use]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        let mut it = Self::new();
        it.parts_mut().given = Some(config);
        it
    }

    /// Trusts these root certificates instead of the platform's: any number in PEM, or one in DER. May
    /// be called again for more.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`].
    pub fn trust_only(self, roots: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let mut it = self.also_trust(roots)?;
        it.parts_mut().platform = false;
        Ok(it)
    }

    /// Trusts these root certificates too: any number in PEM, or one in DER.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`].
    pub fn also_trust(mut self, roots: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        add_roots(&mut self.parts_mut().roots, roots.as_ref())?;
        Ok(self.changed())
    }

    /// Refuses certificates that stand on these lists (RFC 5280, 5): any number in PEM, or one in DER.
    /// A server's own certificate is looked for, not those above it. One whose issuer has no list
    /// here is not refused.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`]. Whether a list is one is found out by the first connection.
    pub fn revoked(mut self, lists: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let lists = revocation_lists(lists.as_ref())?;
        self.parts_mut().revoked.extend(lists);
        Ok(self.changed())
    }

    /// Shows this certificate to servers that ask for one: its chain, the client's own first, and the
    /// private key that belongs to it (PKCS #8, PKCS #1 or SEC1), each in PEM or DER.
    ///
    /// # Errors
    /// [`TlsError::BadCertificates`] and [`TlsError::BadKey`], which it also is if the two do not
    /// belong together.
    pub fn client_certificate(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let certified = certified_key(chain.as_ref(), key.as_ref())?;
        self.parts_mut().certificate = Some(Arc::new(certified.into()));
        Ok(self.changed())
    }

    /// Offers these application protocols (RFC 7301), the one that is liked best first; with none, ALPN
    /// is not spoken. `http/1.1` by default, which is what is spoken here.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.parts_mut().alpn = protocols.into_iter().map(Into::into).collect();
        self.changed()
    }

    /// Whether servers are told which name is meant (RFC 6066, 3), so that they can choose their
    /// certificate. `true` by default. Addresses are never told.
    #[must_use]
    pub fn sni(mut self, sni: bool) -> Self {
        self.parts_mut().sni = sni;
        self.changed()
    }

    /// Asks servers for this name, or IP address, instead of that of the URL: it is told (SNI), and
    /// certificates must be for it. Proxies that speak TLS are asked for their own name all the same.
    ///
    /// # Errors
    /// [`TlsError::BadName`].
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.parts_mut().name = Some(parse_name(name)?);
        // Nothing that rustls has made depends on it.
        Ok(self)
    }

    /// How long a handshake may take. 10 s by default. That it took longer is
    /// [`DialError::TlsTimeout`](crate::DialError).
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.parts_mut().timeout = timeout;
        self
    }

    /// Takes any certificate for good: unknown issuers, wrong names, long expired ones. **Whoever is
    /// between the client and the server can then read and change everything.** For tests and for
    /// nothing else; a certificate of one's own is trusted by [`trust_only`](Self::trust_only).
    #[must_use]
    pub fn dangerous_no_verification(mut self) -> Self {
        self.parts_mut().verify = false;
        self.changed()
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.for_proxy = Arc::default();
        Arc::make_mut(&mut self.parts)
    }

    /// What was made of the parts before is no longer what they say.
    fn changed(mut self) -> Self {
        self.made = Arc::default();
        self
    }

    /// The same trust, for a proxy on the way. Another name, the client's certificate and the protocol
    /// that it wants to speak are the target's business.
    pub(crate) fn for_proxy(&self) -> Self {
        let make = || {
            let mut parts = Parts::clone(&self.parts);
            (parts.name, parts.certificate) = (None, None);
            parts.alpn.clear();
            if let Some(given) = &mut parts.given {
                let given = Arc::make_mut(given);
                given.client_auth_cert_resolver = Arc::new(NoCertificate);
                given.alpn_protocols.clear();
            }
            Self::of(parts)
        };
        self.for_proxy.get_or_init(make).clone()
    }

    /// A handshake with `host` over `stream`.
    pub(crate) fn connect<S>(&self, host: &str, stream: S) -> Connecting<S> {
        Connecting::new(self.clone(), host, stream)
    }

    /// Whether the platform's roots are wanted for the first time.
    pub(super) fn awaits_roots(&self) -> bool {
        let wants = self.parts.platform && self.parts.verify && self.parts.given.is_none();
        wants && self.made.get().is_none() && !roots::are_here()
    }

    /// The configuration of rustls, and the name to ask `host` for.
    pub(super) fn make(
        &self,
        host: &str,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
        let made = self.made.get_or_init(|| self.parts.make()).clone()?;
        let name = self.parts.name.clone().map_or_else(|| parse_name(host), Ok)?;
        Ok((made, name))
    }

    /// How long a handshake may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.parts.timeout
    }
}

impl Parts {
    fn make(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let provider = provider();
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous();
        let config = if self.verify {
            let roots = match (self.platform, self.roots.is_empty()) {
                (true, true) => roots::platform()?,
                (false, _) => Arc::new(self.roots.clone()),
                (true, false) => {
                    let mut both = self.roots.clone();
                    // Without those of the platform, the own ones still are what was asked for.
                    if let Ok(platform) = roots::platform() {
                        both.extend(platform.roots.iter().cloned());
                    }
                    Arc::new(both)
                }
            };
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .with_crls(self.revoked.iter().cloned())
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status()
                .build()
                .map_err(|error| TlsError::BadCertificates(error.to_string()))?;
            config.with_custom_certificate_verifier(verifier)
        } else {
            config.with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        };
        let mut config = match &self.certificate {
            Some(certificate) => config.with_client_cert_resolver(certificate.clone()),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = self.sni;
        Ok(Arc::new(config))
    }
}

/// Shows none.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // A name may end with the dot of the root, which no certificate has.
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadName(name.to_owned()))
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("platform_roots", &self.parts.platform)
            .field("own_roots", &self.parts.roots.len())
            .field("client_certificate", &self.parts.certificate.is_some())
            .field("verify", &self.parts.verify)
            .finish_non_exhaustive()
    }
}
