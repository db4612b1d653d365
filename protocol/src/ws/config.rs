//! Limits and times.

use super::MessageKind;
use super::handshake::HandshakeConfig;
use crate::reconnect::Policy;
use core::time::Duration;

/// Limits and times of a [`Connection`](super::Connection).
///
/// ```
/// use core::time::Duration;
/// use tidewire::ws::Config;
///
/// let config = Config { ping_interval: Some(Duration::from_secs(55)), ..Config::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The largest message that is received, in bytes, after it was inflated. A larger one fails the
    /// connection with 1009: as soon as a frame header announces it, or while it is inflated. 16 MiB
    /// by default; `usize::MAX` is no limit, for messages that are [streamed](Self::delivery).
    pub max_message: usize,
    /// Whether messages are received whole, the default, or in pieces as they arrive.
    pub delivery: Delivery,
    /// What a peer may do that the standard forbids. Nothing by default.
    pub leniency: Leniency,
    /// While this many bytes or more wait to be written nothing more is taken
    /// ([`SendError::Full`](super::SendError::Full)), so that at most one message lies above it. 1 MiB by
    /// default; zero counts as 1.
    pub send_high_water: usize,
    /// After [`SendError::Full`](super::SendError::Full), [`Event::Drained`](super::Event::Drained) comes
    /// when this many bytes or fewer wait to be written. 256 KiB by default; never more than just below
    /// `send_high_water`.
    pub send_low_water: usize,
    /// A ping is sent each time this has passed, from the opening handshake on. Its payload is a
    /// number in eight bytes, by which its pong is known. `None`, the default, and zero mean never.
    pub ping_interval: Option<Duration>,
    /// How long after a ping some byte must have arrived, be it a pong or anything else, counted
    /// from when the ping was queued; while bytes ahead of it leave, from when the last of them did.
    /// 20 s by default.
    pub pong_timeout: Duration,
    /// How long nothing at all may arrive, pongs and pieces of frames included. The connection is then
    /// closed with 1001. `None`, the default, and zero mean for ever.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may take nothing of what waits to be written. `None` and zero mean for ever;
    /// 30 s by default.
    pub write_timeout: Option<Duration>,
    /// How long the closing handshake may take, counted from our Close or our answer to the peer's;
    /// on a client it covers the wait for the end of the stream. While messages that were queued ahead
    /// of our Close leave it counts from when the last bytes did. 5 s by default.
    pub close_timeout: Duration,
    /// What `send` makes of its bytes. Text by default.
    pub message_kind: MessageKind,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: 16 << 20,
            delivery: Delivery::Whole,
            leniency: Leniency::default(),
            send_high_water: 1 << 20,
            send_low_water: 256 << 10,
            ping_interval: None,
            pong_timeout: Duration::from_secs(20),
            idle_timeout: None,
            write_timeout: Some(Duration::from_secs(30)),
            close_timeout: Duration::from_secs(5),
            message_kind: MessageKind::Text,
        }
    }
}

impl Config {
    /// For a server: pings every 30 s, which a client that is gone does not answer.
    ///
    /// [`Config::default`] pings nobody, so that a server only notices that a client is gone when
    /// it sends something. A client that loses its network says nothing, and would stay for ever;
    /// so would one behind a proxy that forgets silent connections, as most do after a minute or more.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidewire::ws::Config;
    ///
    /// let config = Config::server();
    /// assert_eq!(config.ping_interval, Some(Duration::from_secs(30)));
    /// assert_eq!(config.pong_timeout, Config::default().pong_timeout);
    /// ```
    #[must_use]
    pub fn server() -> Self {
        Self { ping_interval: Some(Duration::from_secs(30)), ..Self::default() }
    }
}

/// How received messages are lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Each as a whole: [`Event::Text`](super::Event::Text) and
    /// [`Event::Binary`](super::Event::Binary).
    #[default]
    Whole,
    /// In pieces as they arrive, inside a frame too, so that a message may be larger than memory:
    /// [`Event::MessageStart`](super::Event::MessageStart), any number of
    /// [`Event::Chunk`](super::Event::Chunk), [`Event::MessageEnd`](super::Event::MessageEnd).
    Streaming,
}

/// What a peer may do although RFC 6455 wants the connection failed for it. For peers that cannot be
/// mended; each flag lets one thing pass and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Leniency {
    /// A client may send frames without a mask (5.1).
    pub unmasked_client: bool,
    /// A server may mask its frames (5.1).
    pub masked_server: bool,
    /// A length may take a longer form than it needs (5.2).
    pub length_not_minimal: bool,
    /// A Close frame may carry a code that must not be sent (7.4). It is reported as it came, and
    /// answered with a Close frame without a code.
    pub any_close_code: bool,
}

/// Limits and times of a [`Client`](super::Client).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientConfig {
    /// For each connection once it is open.
    pub connection: Config,
    /// For each opening handshake.
    pub handshake: HandshakeConfig,
    /// How long it may take to have a transport: resolving, connecting and TLS. `None` for ever. 30 s
    /// by default.
    pub connect_timeout: Option<Duration>,
    /// When to try again unasked, whatever went wrong; but not without TLS for a URL that wants it. `None`,
    /// the default: only after [`Client::reconnect`](super::Client::reconnect).
    pub reconnect: Option<Policy>,
    /// What becomes of a message that is sent while there is no open connection. Unless changed, up
    /// to 1 MiB is [kept](WhileDown::Queue).
    pub while_down: WhileDown,
    /// Whether there is an event [`ClientEvent::Attempt`](super::ClientEvent::Attempt) in front of
    /// each attempt, the first one too, which then waits for the caller to poll on: to renew a token,
    /// or to go to another server. No unless changed.
    pub announce: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connection: Config::default(),
            handshake: HandshakeConfig::default(),
            connect_timeout: Some(Duration::from_secs(30)),
            reconnect: None,
            while_down: WhileDown::Queue { bytes: 1 << 20 },
            announce: false,
        }
    }
}

/// What becomes of a message, ping or pong that is sent while a [`Client`](super::Client) has no open
/// connection, but expects one: an attempt is under way or scheduled, or a connection ends and there
/// is a [policy](ClientConfig::reconnect). If none is expected, sending is an error in any case.
///
/// While the limit is not reached another message is taken, whatever its size, so that at most one lies
/// above it. Each counts a few dozen bytes more than its payload.
///
/// What was sent while there was a connection is not kept: how much of it has arrived when that breaks is
/// something that only an answer of the peer's can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhileDown {
    /// It is refused with [`SendError::NotOpen`](super::SendError::NotOpen): what is late is useless.
    Refuse,
    /// It is kept, and refused with [`SendError::Full`](super::SendError::Full) while so much waits.
    Queue {
        /// The limit, in bytes.
        bytes: usize,
    },
    /// It is kept, and while so much waits the oldest one is dropped: the latest counts. How many were
    /// dropped is told with [`ClientEvent::Dropped`](super::ClientEvent::Dropped).
    DropOldest {
        /// The limit, in bytes.
        bytes: usize,
    },
}

impl WhileDown {
    /// The limit, in bytes; zero if nothing is kept.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Refuse => 0,
            Self::Queue { bytes } | Self::DropOldest { bytes } => bytes,
        }
    }
}

/// Limits and times of the connection, and the defaults for the rest.
impl From<Config> for ClientConfig {
    fn from(connection: Config) -> Self {
        Self { connection, ..Self::default() }
    }
}
