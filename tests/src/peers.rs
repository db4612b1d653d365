//! What the programs that speak with real peers share.

use std::error::Error;
use std::fs;
use tidewire_examples::Flags;
use tidewire_runtime::proxy::{Environment, Proxy};
use tidewire_runtime::{Connector, SendRuntime, TlsConfig, TlsServerConfig};

/// How a client connects: `--ca` names a file of root certificates that alone are trusted, `--cert` and
/// `--key` those of a certificate of its own, and `--proxy` is the URL of a proxy, or `environment`.
///
/// # Errors
/// If a file cannot be used, or the proxy's URL.
pub fn connector<R: SendRuntime>(
    runtime: R,
    flags: &mut Flags,
) -> Result<Connector<R>, Box<dyn Error>> {
    let mut connector = Connector::new(runtime);
    let (ca, identity) = (flags.value("--ca", ""), identity(flags)?);
    if !ca.is_empty() {
        let mut tls = TlsConfig::new().trust_only(fs::read(ca)?)?;
        if let Some((chain, key)) = identity {
            tls = tls.client_certificate(chain, key)?;
        }
        connector = connector.tls(tls);
    }
    Ok(match flags.value("--proxy", "").as_str() {
        "" => connector,
        "environment" => {
            connector.proxy_environment(Environment::new(|name| std::env::var(name).ok()))
        }
        url => connector.proxy(Proxy::parse(url)?),
    })
}

/// How a server speaks TLS: with the certificate of `--cert` and `--key`; `--ca` names a file of root
/// certificates, one of which must have issued that of a client. Nothing without `--cert`.
///
/// # Errors
/// If a file cannot be used.
pub fn server_tls(flags: &mut Flags) -> Result<Option<TlsServerConfig>, Box<dyn Error>> {
    let (ca, identity) = (flags.value("--ca", ""), identity(flags)?);
    let Some((chain, key)) = identity else { return Ok(None) };
    let tls = TlsServerConfig::new(chain, key)?.on_failure(|_, error| println!("tls: {error}"));
    Ok(Some(if ca.is_empty() { tls } else { tls.require_client_certificate(fs::read(ca)?)? }))
}

/// The contents of two files: a certificate, and its key.
type Identity = (Vec<u8>, Vec<u8>);

fn identity(flags: &mut Flags) -> Result<Option<Identity>, Box<dyn Error>> {
    let (chain, key) = (flags.value("--cert", ""), flags.value("--key", ""));
    Ok(if chain.is_empty() { None } else { Some((fs::read(chain)?, fs::read(key)?)) })
}

/// Bytes that tell where they belong: those from `start` to `end` of a sequence without end. Its
/// period is prime, so that a piece of any usual size that was dropped or repeated shows.
#[must_use]
pub fn pattern(start: usize, end: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..=250).collect();
    let before = start % period.len();
    let mut bytes = period.repeat((before + end - start).div_ceil(period.len()));
    bytes.truncate(before + end - start);
    bytes.drain(..before);
    bytes
}

/// How long `data` is, and its SHA-1: what a body is known by.
#[derive(Default)]
pub struct Summary {
    length: usize,
    digest: sha1::Sha1,
}

impl Summary {
    /// Adds the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.length += piece.len();
        sha1::Digest::update(&mut self.digest, piece);
    }

    /// How many bytes there have been.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.length)?;
        let digest = sha1::Digest::finalize(self.digest.clone());
        digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
