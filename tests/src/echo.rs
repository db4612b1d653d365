//! What the programs `ws-test-server` and `ws-test-client` do with a connection: they send back what
//! comes, in the way that the query of the URL asks for.
//!
//! | key | what it asks for |
//! |---|---|
//! | `id` | to be told by this name how the connection went |
//! | `ping` | a ping before every so many-th message, with a payload of its own |
//! | `after`, `close`, `reason` | to close with this code, and this reason in hexadecimal digits, once so many messages were sent back |

use std::collections::HashSet;
use std::error::Error;
use tidewire_runtime::ws::{CloseCode, Closed, Config, Event, MessageKind};
use tidewire_runtime::{HandlerError, Runtime, WebSocket};

/// The largest message that is taken, in bytes.
const MESSAGE: usize = 4 << 20;

/// What the query of a URL asks for.
pub struct Task<'a>(&'a str);

impl<'a> Task<'a> {
    /// Takes what stands behind the `?`.
    #[must_use]
    pub const fn new(query: &'a str) -> Self {
        Self(query)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.split('&').find_map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name == key).then_some(value),
            None => (pair == key).then_some(""),
        })
    }

    fn number(&self, key: &str) -> Option<usize> {
        self.value(key).map(|value| value.parse().expect("a number"))
    }

    /// How the connection is called.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.value("id").unwrap_or_default()
    }

    /// The limits of the connection. Its queue is short, so that it fills up.
    #[must_use]
    pub fn config(&self) -> Config {
        Config {
            max_message: MESSAGE,
            send_high_water: 64 << 10,
            send_low_water: 16 << 10,
            ..Config::default()
        }
    }

    /// Sends back what comes until the connection has ended, and tells how it went in one line.
    ///
    /// # Errors
    /// What the connection failed with.
    ///
    /// # Panics
    /// If the task is none that a script should ask for.
    pub async fn echo<R: Runtime>(
        &self,
        socket: &mut WebSocket<R>,
    ) -> Result<String, HandlerError> {
        let mut echo = Echo::default();
        let (why, reason) = echo.run(self, socket).await?;
        let Echo { messages, pings, pongs, strange_pongs, .. } = echo;
        Ok(format!(
            "ended\tid={}\tcode={}\tclean={}\tmessages={messages}\tpongs={pongs}\tunanswered={}\
             \tstrange={strange_pongs}\thow={why}\treason={reason}",
            self.id(),
            why.code(),
            why.is_clean(),
            pings.len(),
        ))
    }

    /// What to say of a connection that failed.
    #[must_use]
    pub fn failed(&self, error: &dyn Error) -> String {
        format!("failed\tid={}\treason={error}", self.id())
    }

    /// The code and reason to close with after so many messages.
    fn close_after(&self, messages: usize) -> Option<(CloseCode, String)> {
        if self.number("after")? != messages {
            return None;
        }
        let code = self.number("close").and_then(|code| u16::try_from(code).ok());
        let digits = self.value("reason").unwrap_or_default().as_bytes().chunks(2);
        let reason = digits.map(|two| {
            std::str::from_utf8(two).ok().and_then(|two| u8::from_str_radix(two, 16).ok())
        });
        let reason =
            reason.collect::<Option<Vec<u8>>>().and_then(|bytes| String::from_utf8(bytes).ok());
        Some((CloseCode::new(code.expect("a code")), reason.expect("a reason")))
    }
}

/// One connection.
#[derive(Default)]
struct Echo {
    messages: usize,
    /// The payloads of pings that wait for an answer.
    pings: HashSet<Vec<u8>>,
    pongs: usize,
    /// Pongs that answer no ping.
    strange_pongs: usize,
    /// The message at hand.
    message: Vec<u8>,
}

impl Echo {
    /// Goes on until the connection has ended: how, and with what reason of the peer's.
    async fn run<R: Runtime>(
        &mut self,
        task: &Task<'_>,
        socket: &mut WebSocket<R>,
    ) -> Result<(Closed, String), HandlerError> {
        loop {
            let kind = match socket.next().await.ok_or("no end was told")? {
                Event::Text(text) => self.keep(MessageKind::Text, text.as_bytes()),
                Event::Binary(data) => self.keep(MessageKind::Binary, data),
                Event::Pong(payload) => {
                    let asked = self.pings.remove(payload);
                    *(if asked { &mut self.pongs } else { &mut self.strange_pongs }) += 1;
                    continue;
                }
                Event::Closed { why, reason } => return Ok((why, reason.to_owned())),
                _ => continue,
            };
            if let Some(ping) = task.number("ping") {
                if self.messages % ping == 0 {
                    let payload = format!("ping {}", self.messages).into_bytes();
                    socket.send_ping(&payload).await?;
                    self.pings.insert(payload);
                }
            }
            match kind {
                MessageKind::Text => socket.send_text(std::str::from_utf8(&self.message)?).await?,
                MessageKind::Binary => socket.send_binary(&self.message).await?,
            }
            if let Some((code, reason)) = task.close_after(self.messages) {
                return Ok((socket.close(code, &reason).await?, String::new()));
            }
        }
    }

    fn keep(&mut self, kind: MessageKind, message: &[u8]) -> MessageKind {
        self.messages += 1;
        message.clone_into(&mut self.message);
        kind
    }
}
