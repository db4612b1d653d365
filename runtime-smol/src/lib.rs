//! tidewire on [`smol`]: its reactor, threads for what blocks, and tasks. Everything else is in
//! [`tidewire_runtime`].

tidewire_runtime::adapter! {
    /// smol's global reactor and executor.
    pub struct Smol;
    async_io: smol;
    blocking: |work| smol::unblock(work);
    spawn: |future| smol::spawn(future).detach();
}

#[cfg(feature = "http")]
pub use tidewire_runtime::Body;
