//! What is exchanged, and how long that takes.

use super::Result;
use super::frames::payload;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Messages that are sent at once, and awaited before the next are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) messages: usize,
    pub(super) len: usize,
}

impl Load {
    pub(super) const ALL: [Self; 3] = [
        Self { messages: 1, len: 16 },
        Self { messages: 64, len: 16 },
        Self { messages: 1, len: 1 << 20 },
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self { messages: 64, .. } => "16 B, 64 at once",
            Self { len: 16, .. } => "16 B, one",
            _ => "1 MiB",
        }
    }

    /// Exchanges of a turn.
    pub(super) fn times(self) -> usize {
        if self.len > 1024 { 30 } else { 200 }
    }

    /// A unit, and how many of it an exchange has for each µs that it takes.
    pub(super) fn rate(self) -> (&'static str, f64) {
        if self.len > 1024 {
            ("GB/s", self.len as f64 / 1e3)
        } else {
            ("M messages/s", self.messages as f64)
        }
    }
}

/// A client whose peer sends every message back.
pub(super) trait Client {
    /// Takes a binary message, to be sent with the next [`flush`](Self::flush) at the latest.
    async fn queue(&mut self, payload: &Bytes) -> Result<()>;

    /// Sends what was queued.
    async fn flush(&mut self) -> Result<()>;

    /// Receives a message and shows it to `look`.
    async fn receive(&mut self, look: impl FnOnce(&[u8])) -> Result<()>;
}

/// A client with what it has to exchange.
pub(super) struct Exchanger<C> {
    client: C,
    checked: Option<Load>,
}

impl<C: Client> Exchanger<C> {
    pub(super) fn new(client: C) -> Self {
        Self { client, checked: None }
    }

    /// Exchanges so often. The first time that it has this load, it looks whether what comes back is what
    /// was sent.
    pub(super) async fn turn(&mut self, load: Load, times: usize) -> Result<Vec<Duration>> {
        let payload = payload(load.len);
        if self.checked.replace(load) != Some(load) {
            let expected = payload.clone();
            self.exchange(load, &payload, |message| {
                assert!(message == expected, "something else came back");
            })
            .await?;
        }
        let mut took = Vec::with_capacity(times);
        // Others had their turn before: threads and caches find back to this one.
        for _ in 0..times / 4 {
            self.exchange(load, &payload, |_| {}).await?;
        }
        for _ in 0..times {
            let start = Instant::now();
            self.exchange(load, &payload, |message| assert_eq!(message.len(), load.len)).await?;
            took.push(start.elapsed());
        }
        Ok(took)
    }

    async fn exchange(&mut self, load: Load, payload: &Bytes, look: impl Fn(&[u8])) -> Result<()> {
        for _ in 0..load.messages {
            self.client.queue(payload).await?;
        }
        self.client.flush().await?;
        for _ in 0..load.messages {
            self.client.receive(&look).await?;
        }
        Ok(())
    }
}
