//! CONNECT (RFC 9110, 9.3.6).
//!
//! ```text
//!           200..299                 lent             released
//!   Asked -----------> Open --------------> Opening ----------> Opened
//!     | other status                      as much as is told of it,
//!     +--------------> Body (of the answer) ---- or no time left ----+
//!     | no HTTP, end of the stream, no time left                     v
//!     +-----------------------------------------------------------> Refused --> Over
//! ```

use super::{Destination, Proxy, Refusal, TunnelEvent};
use crate::http::{
    self, BodyLength, ClientConfig, ClientEvent, Misuse, OwnedResponseHead, ResponseHead, Status,
};
use crate::{Instant, RecvBuf, SendBuf, Transport};
use alloc::string::ToString;
use core::time::Duration;

/// How much of the body of a refusal is told, in bytes.
const BODY_PREFIX: usize = 4096;
/// How long the body of a refusal is waited for, at the most.
const BODY_WAIT: Duration = Duration::from_secs(2);
/// `HTTP/1.1 200`, and the ends of that line and of the head: no answer is shorter.
const SHORTEST_HEAD: usize = 16;

#[derive(Debug)]
pub(super) struct HttpConnect {
    http: http::Client,
    /// Whether the proxy was told who asks.
    told_who: bool,
    phase: Phase,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// The answer has not come.
    Asked,
    /// The answer is a refusal whose body has not come.
    Body(Refusal, OwnedResponseHead),
    /// Announced.
    Open,
    /// Announced, with the body being at most so much of the content.
    Refused(Refusal, Option<OwnedResponseHead>, usize),
    /// Open, and lent.
    Opening,
    /// Open, and released.
    Opened,
    /// Refused, and lent.
    Over,
}

impl HttpConnect {
    pub(super) fn new(
        proxy: &Proxy,
        destination: Destination<'_>,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Self {
        // The deadline is ours, and covers more than a head.
        let config =
            ClientConfig { head_timeout: None, body_timeout: None, ..ClientConfig::default() };
        let mut http = http::Client::new(config, now);
        let phase = match send(proxy, destination, &mut http, now, tx) {
            Ok(()) => Phase::Asked,
            // The fields were judged when they were given.
            Err(_) => Phase::Refused(Refusal::Destination, None, 0),
        };
        Self {
            http,
            told_who: proxy.credentials.is_some() || gives_authorization(proxy),
            phase,
            deadline: proxy.timeout.map(|timeout| now + timeout),
        }
    }

    pub(super) fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        loop {
            match &mut self.phase {
                Phase::Open | Phase::Refused(..) => return true,
                Phase::Opened | Phase::Over => return false,
                Phase::Opening => {
                    // Releases the head.
                    self.http.advance(now, rx, tx);
                    self.phase = Phase::Opened;
                }
                Phase::Asked => {
                    if !self.http.advance(now, rx, tx) {
                        return false;
                    }
                    self.judge(now, rx, tx);
                }
                Phase::Body(..) => {
                    let done = self.http.advance(now, rx, tx);
                    if !done && !rx.is_full() && rx.content().len() < BODY_PREFIX {
                        return false;
                    }
                    self.refuse_with_body(rx.content().len());
                }
            }
        }
    }

    pub(super) fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<TunnelEvent<'a>> {
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Open => {
                self.phase = Phase::Opening;
                match self.http.event(now, rx, tx)? {
                    ClientEvent::Response(head) => Some(TunnelEvent::Open { head: Some(head) }),
                    _ => None,
                }
            }
            Phase::Refused(why, head, body) => {
                let content = rx.content();
                let body = &content[..body.min(content.len())];
                Some(TunnelEvent::Refused { why, head, body })
            }
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| matches!(self.phase, Phase::Asked | Phase::Body(..)))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.phase {
            Phase::Asked => self.phase = Phase::Refused(Refusal::Timeout, None, 0),
            // As much of the body as came.
            _ => self.refuse_with_body(BODY_PREFIX),
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self.phase {
            Phase::Refused(..) | Phase::Over => Transport::Down,
            _ => Transport::Open,
        }
    }

    pub(super) fn may_read(&self, rx: &RecvBuf) -> usize {
        match self.phase {
            Phase::Asked => {
                let raw = rx.raw();
                let to_end = match raw {
                    [.., b'\r', b'\n', b'\r'] => 1,
                    [.., b'\r', b'\n'] => 2,
                    [.., b'\r'] => 3,
                    _ => 4,
                };
                to_end.max(SHORTEST_HEAD.saturating_sub(raw.len()))
            }
            // The connection leads nowhere.
            Phase::Body(..) => BODY_PREFIX,
            _ => 0,
        }
    }

    /// Judges what the HTTP client has announced.
    fn judge(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) {
        let phase = match self.http.peek(rx) {
            // Only a success to a CONNECT switches here: an upgrade was not asked for.
            Some(ClientEvent::Response(_)) if self.http.is_upgraded() => {
                self.phase = Phase::Open;
                return;
            }
            Some(ClientEvent::Response(head)) => {
                let wait = now + BODY_WAIT;
                self.deadline = Some(self.deadline.map_or(wait, |at| at.min(wait)));
                Phase::Body(self.refusal(head), head.to_owned())
            }
            Some(ClientEvent::Closed(why)) => {
                let why = match why {
                    http::Closed::Protocol(error) => Refusal::Http(error),
                    _ => Refusal::Eof,
                };
                Phase::Refused(why, None, 0)
            }
            // An interim response.
            _ => Phase::Asked,
        };
        self.http.event(now, rx, tx);
        if matches!(phase, Phase::Body(..)) {
            self.http.hold_body();
        }
        self.phase = phase;
    }

    fn refusal(&self, head: ResponseHead<'_>) -> Refusal {
        match (head.status, self.told_who) {
            (Status::PROXY_AUTHENTICATION_REQUIRED, false) => Refusal::CredentialsRequired,
            (Status::PROXY_AUTHENTICATION_REQUIRED, true) => Refusal::CredentialsRefused,
            (status, _) => Refusal::Status(status),
        }
    }

    fn refuse_with_body(&mut self, len: usize) {
        let len = len.min(BODY_PREFIX);
        self.phase = match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Body(why, head) => Phase::Refused(why, Some(head), len),
            phase => phase,
        };
    }
}

fn send(
    proxy: &Proxy,
    destination: Destination<'_>,
    http: &mut http::Client,
    now: Instant,
    tx: &mut SendBuf,
) -> Result<(), Misuse> {
    let authority = destination.to_string();
    let given = proxy.fields.iter().map(|(name, value)| (&name[..], &value[..]));
    let basic = proxy.authorization().filter(|_| !gives_authorization(proxy));
    let fields = core::iter::once(("Host", authority.as_bytes()))
        .chain(basic.iter().map(|value| ("Proxy-Authorization", value.as_bytes())))
        .chain(given);
    http.request("CONNECT", &authority, fields, BodyLength::EMPTY, now, tx)
}

/// Whether the caller gave a `Proxy-Authorization` of his own.
fn gives_authorization(proxy: &Proxy) -> bool {
    proxy.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("Proxy-Authorization"))
}
