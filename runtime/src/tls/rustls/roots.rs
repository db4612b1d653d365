//! The platform's root certificates.

use super::TlsError;
use futures_rustls::rustls::RootCertStore;
use std::sync::{Arc, OnceLock};

/// The platform's root certificates, read once for the whole program.
///
/// Those that cannot be read are left out: a platform may have hundreds, and few are wanted.
pub(super) fn platform() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, TlsError>> = OnceLock::new();
    ROOTS.get_or_init(read).clone()
}

fn read() -> Result<Arc<RootCertStore>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or("none were found".into(), ToString::to_string);
        return Err(TlsError::NoPlatformRoots(why));
    }
    Ok(Arc::new(roots))
}
