//! tidewire on [`async_std`]: its sockets, sleep and tasks. Everything else is in
//! [`tidewire_runtime`].
//!
//! async-std is discontinued in favour of smol (RUSTSEC-2025-0052). This crate is for programs that
//! already stand on it; new ones choose another.

use async_std::{net::ToSocketAddrs, task};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

tidewire_runtime::adapter! {
    /// async-std's global reactor and executor.
    pub struct AsyncStd;
    sockets: async_std::net;
    timer: Sleep;
    resolve: |host, port| async move { Ok((&*host, port).to_socket_addrs().await?.collect()) };
    spawn: |future| drop(task::spawn(future));
}

/// async-std has no timer that can be set again: each setting is another sleep.
#[derive(Default)]
pub struct Sleep(Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>);

impl tidewire_runtime::Timer for Sleep {
    fn set(&mut self, at: std::time::Instant) {
        let left = at.saturating_duration_since(std::time::Instant::now());
        self.0 = Some(Box::pin(task::sleep(left)));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.0 else { return Poll::Pending };
        ready!(sleep.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(())
    }
}
