//! What runs in a server's process.

use super::{Publish, Result, axum, process, raw, tidewire};
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::net::SocketAddr;

/// Starts a server, and says where it listens and how to publish the events with these numbers.
pub(super) type Start = fn() -> Result<(SocketAddr, Publish)>;

/// Who is compared, the floor first.
pub(super) const SERVERS: [(&str, Start); 6] = [
    ("raw loop", || raw::start(false)),
    ("raw loop, coalescing", || raw::start(true)),
    ("axum, 2 threads", || axum::start(true)),
    ("axum, current thread", || axum::start(false)),
    ("tidewire, smol", tidewire::smol),
    ("tidewire, async-std", tidewire::async_std),
];

/// Runs the server of that name and does what stdin says, until its end.
pub(crate) fn serve(name: &str, held: fn() -> usize) -> Result<()> {
    process::allow_many_sockets()?;
    let (_, start) = SERVERS.iter().find(|(known, _)| *known == name).ok_or("no such server")?;
    let (address, mut publish) = start()?;
    let mut out = stdout();
    writeln!(out, "{address}")?;
    let mut published = 0;
    for line in stdin().lock().lines() {
        match line?.split_once(' ') {
            Some(("publish", events)) => {
                let events: u64 = events.parse()?;
                publish(published..published + events);
                published += events;
            }
            _ => writeln!(out, "{}", held())?,
        }
    }
    Ok(())
}
