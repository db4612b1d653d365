//! CONNECT (RFC 9110, 9.3.6). Its states are those of [`Switch`].

use super::{Destination, Proxy, Refusal, TunnelEvent};
use crate::http::switch::{Answer, Switch, Unanswered};
use crate::http::{self, BodyLength, Limits, Misuse, ResponseHead, Status};
use crate::{Instant, RecvBuf, SendBuf, Transport};
use alloc::string::ToString;

/// How much of the body of a refusal is told, in bytes.
const BODY_PREFIX: usize = 4096;
/// `HTTP/1.1 200`, and the ends of that line and of the head: no answer is shorter.
const SHORTEST_HEAD: usize = 16;

#[derive(Debug)]
pub(super) struct HttpConnect {
    switch: Switch<(), Refusal>,
    /// Whether the proxy was told who asks.
    told_who: bool,
}

impl HttpConnect {
    pub(super) fn new(
        proxy: &Proxy,
        destination: Destination<'_>,
        now: Instant,
        tx: &mut SendBuf,
    ) -> Self {
        let ask = |http: &mut http::Client| send(proxy, destination, http, now, tx);
        Self {
            switch: Switch::new(Limits::default(), proxy.timeout, BODY_PREFIX, now, ask),
            told_who: proxy.credentials.is_some() || gives_authorization(proxy),
        }
    }

    pub(super) fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        let told_who = self.told_who;
        // Only a success to a CONNECT switches here: an upgrade was not asked for.
        self.switch.advance(now, rx, tx, |head, switched| {
            if switched { Ok(()) } else { Err(refusal(head, told_who)) }
        })
    }

    pub(super) fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<TunnelEvent<'a>> {
        Some(match self.switch.event(now, rx, tx)? {
            Answer::Agreed { head, .. } => TunnelEvent::Open { head: Some(head) },
            Answer::Refused { why, head, body } => TunnelEvent::Refused { why, head, body },
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.switch.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.switch.handle_timeout(now);
    }

    pub(super) const fn transport(&self) -> Transport {
        self.switch.transport()
    }

    pub(super) fn may_read(&self, rx: &RecvBuf) -> usize {
        if self.switch.awaits_head() {
            let raw = rx.raw();
            let to_end = match raw {
                [.., b'\r', b'\n', b'\r'] => 1,
                [.., b'\r', b'\n'] => 2,
                [.., b'\r'] => 3,
                _ => 4,
            };
            return to_end.max(SHORTEST_HEAD.saturating_sub(raw.len()));
        }
        // The connection leads nowhere when it waits for a body.
        if self.switch.awaits_body() { BODY_PREFIX } else { 0 }
    }
}

fn refusal(head: ResponseHead<'_>, told_who: bool) -> Refusal {
    match (head.status, told_who) {
        (Status::PROXY_AUTHENTICATION_REQUIRED, false) => Refusal::CredentialsRequired,
        (Status::PROXY_AUTHENTICATION_REQUIRED, true) => Refusal::CredentialsRefused,
        (status, _) => Refusal::Status(status),
    }
}

impl From<Unanswered> for Refusal {
    fn from(why: Unanswered) -> Self {
        match why {
            // The fields were judged when they were given.
            Unanswered::Unasked(_) => Self::Destination,
            Unanswered::Http(error) => Self::Http(error),
            Unanswered::Timeout => Self::Timeout,
            Unanswered::Eof => Self::Eof,
        }
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
