//! A request to speak another protocol from now on, and its answer: what the opening handshake of a
//! WebSocket and a CONNECT have in common.
//!
//! ```text
//!          agrees                  lent             released
//!   Asked ---------> Agreed ---------------> Leaving ---------> Left
//!     | refuses                      as much as is told of it,
//!     +----------> Body (of the answer) ---- or no time left ----+
//!     | no HTTP, end of the stream, no time left                 v
//!     +-------------------------------------------------------> Refused --> Over
//! ```

use super::{
    Client, ClientConfig, ClientEvent, Closed, Limits, Misuse, OwnedResponseHead, ProtocolError,
    ResponseHead,
};
use crate::{Instant, RecvBuf, SendBuf, Transport};
use core::time::Duration;

/// How long the body of a refusal is waited for, at the most.
const BODY_WAIT: Duration = Duration::from_secs(2);

/// `A` is what was agreed on, `W` why not.
#[derive(Debug)]
pub(crate) struct Switch<A, W> {
    http: Client,
    phase: Phase<A, W>,
    deadline: Option<Instant>,
    body_prefix: usize,
}

#[derive(Debug)]
enum Phase<A, W> {
    /// The answer has not come.
    Asked,
    /// The answer is a refusal whose body has not come.
    Body(W, OwnedResponseHead),
    /// Announced.
    Agreed(A),
    /// Announced, with the body being at most so much of the content.
    Refused(W, Option<OwnedResponseHead>, usize),
    /// Agreed, and lent.
    Leaving,
    /// Agreed, and released: the connection is another machine's.
    Left,
    /// Refused, and lent.
    Over,
}

/// How it ended. One, and the last.
pub(crate) enum Answer<'a, A, W> {
    Agreed { head: ResponseHead<'a>, on: A },
    Refused { why: W, head: Option<OwnedResponseHead>, body: &'a [u8] },
}

/// There is no answer to judge.
pub(crate) enum Unanswered {
    /// The request cannot be sent.
    Unasked(Misuse),
    /// What came is no HTTP.
    Http(ProtocolError),
    Timeout,
    Eof,
}

impl<A: Copy, W: From<Unanswered>> Switch<A, W> {
    /// Asks. There is as much time as `timeout` says for all of it; `body_prefix` is how much of the body
    /// of a refusal is told, in bytes.
    pub(crate) fn new(
        limits: Limits,
        timeout: Option<Duration>,
        body_prefix: usize,
        now: Instant,
        ask: impl FnOnce(&mut Client) -> Result<(), Misuse>,
    ) -> Self {
        // The deadline is ours, and covers more than a head.
        let config = ClientConfig {
            limits,
            head_timeout: None,
            body_timeout: None,
            ..ClientConfig::default()
        };
        let mut http = Client::new(config, now);
        let phase = match ask(&mut http) {
            Ok(()) => Phase::Asked,
            Err(misuse) => Phase::Refused(Unanswered::Unasked(misuse).into(), None, 0),
        };
        Self { http, phase, deadline: timeout.map(|timeout| now + timeout), body_prefix }
    }

    /// `judge` is given the answer, and whether HTTP is over behind it.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
        judge: impl Fn(ResponseHead<'_>, bool) -> Result<A, W>,
    ) -> bool {
        loop {
            match &mut self.phase {
                Phase::Agreed(_) | Phase::Refused(..) => return true,
                Phase::Left | Phase::Over => return false,
                Phase::Leaving => {
                    // Releases the head.
                    self.http.advance(now, rx, tx);
                    self.phase = Phase::Left;
                }
                Phase::Asked => {
                    if !self.http.advance(now, rx, tx) {
                        return false;
                    }
                    self.judge(now, rx, tx, &judge);
                }
                Phase::Body(..) => {
                    let done = self.http.advance(now, rx, tx);
                    if !done && !rx.is_full() && rx.content().len() < self.body_prefix {
                        return false;
                    }
                    self.refuse_with_body(rx.content().len());
                }
            }
        }
    }

    pub(crate) fn event<'a>(
        &mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<Answer<'a, A, W>> {
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Agreed(on) => {
                self.phase = Phase::Leaving;
                match self.http.event(now, rx, tx)? {
                    ClientEvent::Response(head) => Some(Answer::Agreed { head, on }),
                    _ => None,
                }
            }
            Phase::Refused(why, head, body) => {
                let content = rx.content();
                let body = &content[..body.min(content.len())];
                Some(Answer::Refused { why, head, body })
            }
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.awaits_head() || self.awaits_body())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.phase {
            Phase::Asked => self.phase = Phase::Refused(Unanswered::Timeout.into(), None, 0),
            // As much of the body as came.
            _ => self.refuse_with_body(self.body_prefix),
        }
    }

    pub(crate) const fn transport(&self) -> Transport {
        match self.phase {
            Phase::Refused(..) | Phase::Over => Transport::Down,
            _ => Transport::Open,
        }
    }

    /// What was agreed on, from when that is announced until it is lent.
    pub(crate) const fn agreed(&self) -> Option<A> {
        match self.phase {
            Phase::Agreed(on) => Some(on),
            _ => None,
        }
    }

    pub(crate) const fn awaits_head(&self) -> bool {
        matches!(self.phase, Phase::Asked)
    }

    /// Whether it waits for the body of a refusal.
    pub(crate) const fn awaits_body(&self) -> bool {
        matches!(self.phase, Phase::Body(..))
    }

    /// Judges what the HTTP client has announced.
    fn judge(
        &mut self,
        now: Instant,
        rx: &mut RecvBuf,
        tx: &mut SendBuf,
        judge: &impl Fn(ResponseHead<'_>, bool) -> Result<A, W>,
    ) {
        let switched = self.http.is_upgraded();
        let phase = match self.http.peek(rx) {
            Some(ClientEvent::Response(head)) => match judge(head, switched) {
                Ok(on) => {
                    self.phase = Phase::Agreed(on);
                    return;
                }
                // What follows is no body.
                Err(why) if switched => Phase::Refused(why, Some(head.to_owned()), 0),
                Err(why) => {
                    let wait = now + BODY_WAIT;
                    self.deadline = Some(self.deadline.map_or(wait, |at| at.min(wait)));
                    Phase::Body(why, head.to_owned())
                }
            },
            Some(ClientEvent::Closed(why)) => {
                let why = match why {
                    Closed::Protocol(error) => Unanswered::Http(error),
                    Closed::Timeout(_) => Unanswered::Timeout,
                    _ => Unanswered::Eof,
                };
                Phase::Refused(why.into(), None, 0)
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

    fn refuse_with_body(&mut self, len: usize) {
        let len = len.min(self.body_prefix);
        self.phase = match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Body(why, head) => Phase::Refused(why, Some(head), len),
            phase => phase,
        };
    }
}
