//! What the programs `ws-test-server` and `ws-test-client` do with a connection: they send back what
//! comes, in the way that the query of the URL asks for.
//!
//! | key | what it asks for |
//! |---|---|
//! | `id` | to be told by this name how the connection went |
//! | `stream` | to receive messages in pieces, and to send each piece back as a frame when it comes |
//! | `fragment` | to send messages in fragments of so many bytes |
//! | `ping` | a ping before every so many-th message, with a payload of its own |
//! | `after`, `close`, `reason` | to close with this code, and this reason in hexadecimal digits, once so many messages were sent back |
//! | `deflate` | permessage-deflate (RFC 7692), with its four parameters by their names, `level` and `threshold` |

use std::collections::HashSet;
use std::error::Error;
use std::str::FromStr;
use tidewire_runtime::ws::{
    CloseCode, Config, DeflateConfig, Delivery, Event, MessageKind, SendError,
};
use tidewire_runtime::{HandlerError, Reply, Runtime, WebSocket};

/// What the query of a URL asks for.
pub struct Task<'a>(&'a str);

impl<'a> Task<'a> {
    /// Takes what stands behind the `?`.
    #[must_use]
    pub const fn new(query: &'a str) -> Self {
        Self(query)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        let mut pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.value(key).map(|value| value.parse().ok().expect("a number"))
    }

    /// The code and reason to close with.
    fn close(&self) -> Option<(CloseCode, String)> {
        let digits = self.value("reason").unwrap_or_default();
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        let reason = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).expect("a reason");
        Some((CloseCode::new(self.number("close")?), reason))
    }

    /// The limits of the connection. Its queue is short, so that it fills up.
    #[must_use]
    pub fn config(&self) -> Config {
        let whole = Config { max_message: 4 << 20, ..Config::default() };
        if self.has("fragment") {
            // The fragments of a message are queued at once.
            return whole;
        }
        Config {
            delivery: if self.has("stream") { Delivery::Streaming } else { Delivery::Whole },
            send_high_water: 64 << 10,
            send_low_water: 16 << 10,
            ..whole
        }
    }

    /// The compression that is offered or accepted.
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateConfig> {
        let default = DeflateConfig::default();
        self.has("deflate").then(|| DeflateConfig {
            server_no_context_takeover: self.has("server_no_context_takeover"),
            client_no_context_takeover: self.has("client_no_context_takeover"),
            server_max_window_bits: self
                .number("server_max_window_bits")
                .unwrap_or(default.server_max_window_bits),
            client_max_window_bits: self
                .number("client_max_window_bits")
                .unwrap_or(default.client_max_window_bits),
            level: self.number("level").unwrap_or(default.level),
            threshold: self.number("threshold").unwrap_or(default.threshold),
        })
    }

    /// Sends back what comes until the connection has ended, and tells how it went in one line.
    ///
    /// # Errors
    /// What the connection failed with.
    ///
    /// # Panics
    /// If the query is not what a script should ask for.
    pub async fn echo<R: Runtime>(
        &self,
        socket: &mut WebSocket<R>,
    ) -> Result<String, HandlerError> {
        let agreed = socket.connection().negotiated().deflate();
        let mut echo = Echo {
            fragment: self.number("fragment"),
            ping: self.number("ping"),
            close_after: self.number("after").zip(self.close()),
            high_water: self.config().send_high_water,
            ..Echo::default()
        };
        let why = socket.run(|event, reply| echo.on_event(event, reply)).await?;
        let Echo { messages, sent_pings, pings, pongs, strange_pongs, reason, .. } = echo;
        let deflate = agreed.map_or("none".to_owned(), |it| {
            format!(
                "{} {} {} {}",
                u8::from(it.server_no_context_takeover),
                u8::from(it.client_no_context_takeover),
                it.server_max_window_bits,
                it.client_max_window_bits,
            )
        });
        Ok(format!(
            "ended\tid={}\tcode={}\tclean={}\tmessages={messages}\tpings={sent_pings}\tpongs={pongs}\
             \tunanswered={}\tstrange={strange_pongs}\tdeflate={deflate}\thow={why}\treason={reason}",
            self.value("id").unwrap_or_default(),
            why.code(),
            why.is_clean(),
            pings.len(),
        ))
    }

    /// What to say of a connection that failed.
    #[must_use]
    pub fn failed(&self, error: &dyn Error) -> String {
        format!("failed\tid={}\treason={error}", self.value("id").unwrap_or_default())
    }
}

/// One connection.
#[derive(Default)]
struct Echo {
    fragment: Option<usize>,
    ping: Option<usize>,
    close_after: Option<(usize, (CloseCode, String))>,
    high_water: usize,
    messages: usize,
    sent_pings: usize,
    /// The payloads of pings that wait for an answer.
    pings: HashSet<Vec<u8>>,
    pongs: usize,
    /// Pongs that answer no ping.
    strange_pongs: usize,
    /// Of the peer's Close frame.
    reason: String,
}

impl Echo {
    fn on_event(&mut self, event: Event<'_>, reply: &mut Reply<'_>) -> Result<(), SendError> {
        match event {
            Event::Text(text) => self.send(MessageKind::Text, text.as_bytes(), reply),
            Event::Binary(data) => self.send(MessageKind::Binary, data, reply),
            Event::MessageStart { kind, .. } => {
                self.begin(reply)?;
                reply.start_message(kind)
            }
            Event::Chunk(piece) => reply.send_chunk(piece),
            Event::MessageEnd => {
                reply.end_message(b"")?;
                self.end(reply);
                Ok(())
            }
            Event::Pong(payload) => {
                let asked = self.pings.remove(payload);
                *(if asked { &mut self.pongs } else { &mut self.strange_pongs }) += 1;
                Ok(())
            }
            Event::Closed { reason, .. } => {
                reason.clone_into(&mut self.reason);
                Ok(())
            }
            Event::Ping(_) | Event::Drained => Ok(()),
        }
    }

    fn send(
        &mut self,
        kind: MessageKind,
        message: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<(), SendError> {
        self.begin(reply)?;
        match (self.fragment, kind) {
            (Some(size), _) => {
                reply.start_message(kind)?;
                let last = message.len() - message.len() % size;
                for fragment in message[..last].chunks(size) {
                    reply.send_chunk(fragment)?;
                }
                reply.end_message(&message[last..])?;
            }
            (None, MessageKind::Text) => {
                let text = std::str::from_utf8(message);
                reply.send_text(text.map_err(|_| SendError::NotUtf8)?)?;
            }
            (None, MessageKind::Binary) => reply.send_binary(message)?,
        }
        self.end(reply);
        Ok(())
    }

    fn begin(&mut self, reply: &mut Reply<'_>) -> Result<(), SendError> {
        self.messages += 1;
        let due = self.ping.is_some_and(|every| self.messages % every == 0);
        // The ping must leave room for what comes behind it.
        if due && reply.queued() + 200 < self.high_water {
            let payload = format!("ping {}", self.messages).into_bytes();
            reply.send_ping(&payload)?;
            self.sent_pings += 1;
            self.pings.insert(payload);
        }
        Ok(())
    }

    fn end(&self, reply: &mut Reply<'_>) {
        if let Some((after, (code, reason))) = &self.close_after {
            if *after == self.messages {
                reply.close(*code, reason).expect("the script asks for what may be sent");
            }
        }
    }
}
