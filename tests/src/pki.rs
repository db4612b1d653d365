//! Certificates for tests, made where they are needed.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tidewire_runtime::{TlsConfig, TlsServerConfig};

/// An issuer of certificates, with a root certificate of its own.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key, both in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub chain: String,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The key, as PKCS #8.
    pub key: String,
}

impl Authority {
    /// An issuer of this name.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a root certificate"))
    }

    /// The root certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// The root certificate, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.0.der()
    }

    /// A certificate for these names and addresses, valid today.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    /// As [`issue`](Self::issue), with changes.
    ///
    /// # Panics
    /// If there is no such certificate.
    #[must_use]
    pub fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            chain: certificate.pem(),
            der: certificate.der().to_vec(),
            key: key.serialize_pem(),
        }
    }

    /// A list, in PEM, that revokes the certificate of this serial number.
    ///
    /// # Panics
    /// If there is no such list.
    #[must_use]
    pub fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).and_then(|list| list.pem()).expect("a list")
    }

    /// A client that trusts this issuer and nobody else.
    ///
    /// # Panics
    /// If the root certificate is none.
    #[must_use]
    pub fn client(&self) -> TlsConfig {
        TlsConfig::new().trust_only(self.pem()).expect("a root certificate")
    }

    /// A server with a certificate for these names and addresses.
    ///
    /// # Panics
    /// If there is no such certificate.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> TlsServerConfig {
        self.issue(names).server()
    }
}

impl Identity {
    /// A server that is this.
    ///
    /// # Panics
    /// If the certificate is none.
    #[must_use]
    pub fn server(&self) -> TlsServerConfig {
        TlsServerConfig::new(&self.chain, &self.key).expect("a certificate and its key")
    }
}
