//! The platform's root certificates.

use super::TlsError;
use event_listener::Event;
use futures_rustls::rustls::RootCertStore;
use std::sync::{Arc, OnceLock};
use std::thread;

type Roots = Result<Arc<RootCertStore>, TlsError>;

/// Read once for the whole program.
static ROOTS: OnceLock<Roots> = OnceLock::new();
/// Notified when they are.
static READ: Event = Event::new();

/// The platform's root certificates, read here unless they were read before.
///
/// Those that cannot be read are left out: a platform may have hundreds, and few are wanted.
pub(super) fn platform() -> Roots {
    ROOTS.get_or_init(read).clone()
}

/// Whether [`platform`] costs nothing.
pub(super) fn are_here() -> bool {
    ROOTS.get().is_some()
}

/// Waits until a thread of its own has read them: there are files of several hundred kilobytes to read
/// and to take apart, in which time nothing else should have to wait.
pub(super) async fn read_aside() {
    let read = READ.listen();
    let work = || {
        let _done = NotifyAll;
        // Several threads may want to; one does, and the others wait for it.
        drop(platform());
    };
    if !are_here() && thread::Builder::new().name("tls-roots".into()).spawn(work).is_ok() {
        read.await;
    }
}

/// Notifies when it is dropped, be it by a panic.
struct NotifyAll;

impl Drop for NotifyAll {
    fn drop(&mut self) {
        READ.notify(usize::MAX);
    }
}

fn read() -> Roots {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or("none were found".into(), ToString::to_string);
        return Err(TlsError::NoPlatformRoots(why));
    }
    Ok(Arc::new(roots))
}
