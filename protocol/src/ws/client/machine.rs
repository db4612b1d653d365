//! The inherent methods of a [`Client`], for generic drivers.

use super::Client;
use crate::url::Url;
use crate::ws::ClientEvent;
use crate::{DialError, Dialer, Instant, Machine, RecvBuf, SendBuf, Transport};

impl Machine for Client {
    type Event<'a> = ClientEvent<'a>;

    fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool {
        self.advance(now, rx, tx)
    }

    fn event<'a>(
        &'a mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<ClientEvent<'a>> {
        self.event(now, rx, tx)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf) {
        self.handle_timeout(now, tx);
    }

    fn transport(&self) -> Transport {
        self.transport()
    }
}

impl Dialer for Client {
    fn target(&self) -> &Url {
        self.target()
    }

    fn attempts(&self) -> u64 {
        self.attempts()
    }

    fn connected(&mut self, now: Instant, tx: &mut SendBuf) {
        self.connected(now, tx);
    }

    fn dial_failed(&mut self, now: Instant, why: DialError) {
        self.dial_failed(now, why);
    }
}
