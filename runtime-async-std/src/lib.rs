//! tidewire on [`async_std`]: its reactor, which is that of `async-io`, threads for what blocks, and
//! tasks. Everything else is in [`tidewire_runtime`].
//!
//! async-std is discontinued in favour of smol (RUSTSEC-2025-0052). This crate is for programs that
//! already stand on it; new ones choose another.

use async_std::task;

tidewire_runtime::adapter! {
    /// async-std's global reactor and executor.
    pub struct AsyncStd;
    async_io: async_io;
    blocking: |work| task::spawn_blocking(work);
    spawn: |future| drop(task::spawn(future));
}

#[cfg(feature = "http")]
pub use tidewire_runtime::Body;
