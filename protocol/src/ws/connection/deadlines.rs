//! What a [`Connection`] does because time has passed, and what it looks at to know whether to.

use super::{Connection, State};
use crate::trace;
use crate::ws::error::Closed;
use crate::ws::frame::OpCode;
use crate::ws::{CloseCode, Timer};
use crate::{Instant, SendBuf};

impl Connection {
    /// Acts on every deadline that has come. Call it after what was received before the deadline
    /// went through [`advance`](Self::advance), or a pong that is there counts as missing.
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        self.quiet = false;
        self.keepalive.look(now, tx.taken());
        loop {
            let due = self.timers.next();
            match (self.timers.expire(now), due) {
                (None, _) | (_, None) => return,
                (Some(Timer::Ping), Some((due, _))) => {
                    // However much is ahead of it; but of those that have not left or have no
                    // answer yet, one is enough.
                    let waits = self.timers.get(Timer::Pong).is_some()
                        || self.keepalive.is_unsent(tx.taken());
                    if !waits || tx.len() < self.config.send_high_water {
                        let (payload, behind) = (self.keepalive.next_payload(), !tx.is_empty());
                        self.sender.control(OpCode::Ping, &payload, tx);
                        self.keepalive.pinged(behind, now, tx);
                        trace::event!("tidewire::ws", TRACE, in self.span, behind, "ping");
                    }
                    self.keepalive.ping_was_due(due, now, &mut self.timers);
                }
                (Some(Timer::Pong), _) => match self.keepalive.extended(now) {
                    Some(later) => self.timers.set(Timer::Pong, later),
                    None => self.end(Closed::PongTimeout),
                },
                (Some(Timer::Idle), _) => {
                    let Some(timeout) = self.config.idle_timeout else { continue };
                    if self.heard + timeout > now {
                        self.timers.set(Timer::Idle, self.heard + timeout);
                    } else {
                        self.last_words(CloseCode::GOING_AWAY, tx);
                        self.end(Closed::IdleTimeout);
                    }
                }
                (Some(Timer::Write), _) => {
                    self.waits &= !tx.is_written() && tx.progress() == self.progress;
                    let Some(timeout) = self.config.write_timeout else { continue };
                    if !self.waits {
                        self.watch(now, tx);
                    } else if self.stalled_since + timeout > now {
                        self.timers.set(Timer::Write, self.stalled_since + timeout);
                    } else {
                        self.end(Closed::WriteTimeout);
                    }
                }
                (Some(Timer::Close), _) => match self.state {
                    State::Finishing(clean) => self.end(clean),
                    _ => {
                        self.watch(now, tx);
                        let later = self.stalled_since + self.config.close_timeout;
                        // As long as messages ahead of it leave, no peer can answer it.
                        if self.closes_behind && later > now {
                            self.timers.set(Timer::Close, later);
                        } else {
                            self.end(Closed::CloseTimeout);
                        }
                    }
                },
            }
        }
    }

    /// Something was received: whatever it is, the peer lives.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.keepalive.heard(&mut self.timers);
    }

    /// Looks at what waits to be written, and since when none of it was taken.
    pub(super) fn watch(&mut self, now: Instant, tx: &SendBuf) {
        let waits = !tx.is_written();
        if waits || self.waits {
            self.watch_waiting(waits, now, tx);
        }
        if self.keepalive.is_waiting() {
            self.keepalive.look(now, tx.taken());
        }
    }

    fn watch_waiting(&mut self, waits: bool, now: Instant, tx: &SendBuf) {
        if waits && !self.waits || tx.progress() != self.progress {
            self.progress = tx.progress();
            self.stalled_since = now;
        }
        // While it closes, the deadline for that counts.
        if waits && matches!(self.state, State::Open) {
            if self.timers.get(Timer::Write).is_none() {
                self.timers.set_after(Timer::Write, now, self.config.write_timeout);
            }
        } else {
            self.timers.stop(Timer::Write);
        }
        self.waits = waits;
    }

    /// A Close frame was queued, `behind` something or not: nothing may follow it, and the rest has a
    /// deadline.
    pub(super) fn begin_closing(&mut self, behind: bool, now: Instant, tx: &SendBuf) {
        self.closes_behind = behind;
        (self.waits, self.progress, self.stalled_since) = (true, tx.progress(), now);
        self.quiet = false;
        self.full = false;
        self.pong = None;
        self.keepalive.stop(&mut self.timers);
        self.timers.stop(Timer::Idle);
        self.timers.stop(Timer::Write);
        self.timers.set(Timer::Close, now + self.config.close_timeout);
    }
}
