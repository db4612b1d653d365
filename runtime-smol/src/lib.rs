//! tidewire on [`smol`]: its sockets, timer and tasks. Everything else is in [`tidewire_runtime`].

use std::{future::Future as _, pin::Pin, task, time::Instant};

tidewire_runtime::adapter! {
    /// smol's global reactor and executor.
    pub struct Smol;
    sockets: smol::net;
    timer: Timer;
    resolve: |host, port| smol::net::resolve((host, port));
    spawn: |future| smol::spawn(future).detach();
}

/// smol's timer can be set again.
#[derive(Debug)]
pub struct Timer(smol::Timer);

impl Default for Timer {
    fn default() -> Self {
        Self(smol::Timer::never())
    }
}

impl tidewire_runtime::Timer for Timer {
    fn set(&mut self, at: Instant) {
        self.0.set_at(at);
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> task::Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
