//! What an `EventSource` is doing.

use crate::Instant;
use crate::http::Client;
use crate::sse::SourceError;
use core::time::Duration;

#[derive(Debug)]
pub(super) enum Phase {
    /// No connection. Whether one is wanted is up to the reconnector.
    Down {
        /// The attempt that was due has failed.
        failed: Option<SourceError>,
    },
    /// The request was sent.
    Asked(Client),
    /// Waits for the beginning of a refusal's body.
    Refused {
        client: Client,
        why: SourceError,
        /// Until when to wait; `None` for as long as it takes.
        until: Option<Instant>,
        late: bool,
        /// The server wants no attempt for so long.
        after: Duration,
    },
    Streaming {
        client: Client,
        ended: Option<SourceError>,
        /// What the client has seen: how much it left, and whether more can come.
        seen: Option<(usize, bool)>,
    },
    Over,
}

impl Phase {
    pub(super) const fn client(&self) -> Option<&Client> {
        match self {
            Self::Asked(client) | Self::Refused { client, .. } => Some(client),
            Self::Streaming { client, .. } => Some(client),
            Self::Down { .. } | Self::Over => None,
        }
    }

    pub(super) const fn client_mut(&mut self) -> Option<&mut Client> {
        match self {
            Self::Asked(client) | Self::Refused { client, .. } => Some(client),
            Self::Streaming { client, .. } => Some(client),
            Self::Down { .. } | Self::Over => None,
        }
    }
}
