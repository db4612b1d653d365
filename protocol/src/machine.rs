//! The shape that every machine has.

use crate::{Instant, RecvBuf, SendBuf};

/// A protocol as a pure state machine.
///
/// ```text
///             rx: bytes from the peer              tx: bytes for the peer
///   transport ------------------------> machine ------------------------> transport
///             now, commands ----------->         -----> events, poll_timeout, transport()
/// ```
///
/// # Contract
///
/// | calls | kind | what they may change |
/// |---|---|---|
/// | [`advance`](Self::advance), [`handle_timeout`](Self::handle_timeout) | inputs | the machine, `rx`, `tx` |
/// | `send_…`, `close`, … (each machine's own) | commands | the machine, `tx` |
/// | [`event`](Self::event) | output | hands out what `advance` announced |
/// | [`poll_timeout`](Self::poll_timeout), [`transport`](Self::transport) | queries | nothing |
///
/// * Outputs are level-triggered: a query answers the same until an input or command changes the
///   state, and no call has to follow another one at once. Poll in any order and as often as you
///   like.
/// * `now` must not go backwards. Read the clock once a wake, not once a call.
/// * The same calls with the same arguments give the same bytes and events.
/// * How it ended is an event, delivered exactly once and last. Calls after it do nothing.
///
/// # The loop
///
/// After every input and command: take all events, write `tx` out, then do what
/// [`transport`](Self::transport) says, and sleep until the transport is ready or
/// [`poll_timeout`](Self::poll_timeout) has come.
///
/// The machines have these methods as inherent ones too, so the trait is only needed by generic
/// drivers. There, `poll_event` lends an event that borrows `rx` alone, so that commands can be
/// given to the machine while the event is looked at.
pub trait Machine {
    /// What [`event`](Self::event) lends.
    type Event<'a>
    where
        Self: 'a;

    /// Parses and decides until there is an event to lend, and says whether there is one.
    ///
    /// The event that was lent before is thereby released: its bytes leave `rx`. If the announced
    /// event has not been taken yet, this does nothing but announce it again.
    fn advance(&mut self, now: Instant, rx: &mut RecvBuf, tx: &mut SendBuf) -> bool;

    /// Announces the next event, if it lies in `rx` since the last [`advance`](Self::advance) and neither
    /// the time nor `tx` has a part in it: the second and following messages of a read, say. A driver that
    /// asks here first reads the clock once a read, not once an event.
    ///
    /// `false` says nothing: ask `advance`. So may a machine always, as it does by default.
    fn advance_again(&mut self, rx: &mut RecvBuf) -> bool {
        let _ = rx;
        false
    }

    /// Lends the event that [`advance`](Self::advance) announced; `None` if it announced none or it
    /// was taken already.
    fn event<'a>(
        &'a mut self,
        now: Instant,
        rx: &'a mut RecvBuf,
        tx: &mut SendBuf,
    ) -> Option<Self::Event<'a>>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Acts on every deadline that is `now` or earlier. Afterwards
    /// [`poll_timeout`](Self::poll_timeout) lies in the future or there is an event.
    ///
    /// What has arrived counts once it went through [`advance`](Self::advance): read and advance
    /// before you call this, or a peer is given up whose answer is there.
    fn handle_timeout(&mut self, now: Instant, tx: &mut SendBuf);

    /// What the machine wants of its transport.
    fn transport(&self) -> Transport;

    /// Gives memory back that an idle machine does not need, such as the state of compression. Call it
    /// where you call [`RecvBuf::shrink`]. It changes nothing that can be seen but speed.
    fn shrink(&mut self) {}
}

/// What a machine wants of its transport, beyond reading into `rx` and writing from `tx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// No connection; nothing will come of reading or writing. Only a deadline or a command can
    /// change this. If there is one, write what it takes at once, last words perhaps, and drop it.
    Down,
    /// A new connection, with `rx` and `tx` cleared. Only a [`Dialer`] asks for it.
    Dial,
    /// The connection as it is: read and write.
    Open,
    /// Write what waits, then shut down the sending side; go on reading.
    CloseWrite,
    /// Write what waits, then close the connection. Nothing that arrives matters any more. The peer may
    /// take nothing, and the machine has no deadline any more: bound the wait by one of your own.
    Close,
}

/// A machine that outlives its connections: it asks for a new one with [`Transport::Dial`].
///
/// The caller answers with [`connected`](Self::connected) or [`dial_failed`](Self::dial_failed).
/// The end of an established connection is told with [`RecvBuf::finish`] as for every machine.
pub trait Dialer: Machine {
    /// Where to connect to.
    fn target(&self) -> &crate::url::Url;

    /// How many attempts have become due. A transport that was asked for at another count is not
    /// wanted any more.
    fn attempts(&self) -> u64;

    /// The transport is up, with empty buffers.
    fn connected(&mut self, now: Instant, tx: &mut SendBuf);

    /// The transport could not be had.
    fn dial_failed(&mut self, now: Instant, why: DialError);
}

/// Why there is no transport. The machine only needs the phase; the operating system's own words
/// stay with the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The host name could not be resolved.
    #[error("the host name could not be resolved")]
    Resolve,
    /// No address accepted the connection.
    #[error("no address accepted the connection")]
    Connect,
    /// The connection was not up in time.
    #[error("the connection was not up in time")]
    Timeout,
    /// TLS is wanted and could not be had.
    #[error("TLS could not be established")]
    Tls,
    /// The TLS handshake was not over in time.
    #[error("the TLS handshake was not over in time")]
    TlsTimeout,
    /// The proxy did not lead further.
    #[error("the proxy did not lead to the target")]
    Proxy,
    /// The proxy had not led further in time.
    #[error("the proxy did not lead to the target in time")]
    ProxyTimeout,
    /// TLS is wanted, and whoever dials speaks none: no attempt would ever come further.
    #[error("TLS is wanted, which is not spoken here")]
    NoTls,
}

/// Makes a type with the inherent methods of a machine a [`Machine`], for generic drivers.
macro_rules! machine {
    ($machine:ident, $event:ident $(, $shrink:ident $(, $again:ident)?)?) => {
        impl $crate::Machine for $machine {
            type Event<'a> = $event<'a>;

            fn advance(
                &mut self,
                now: $crate::Instant,
                rx: &mut $crate::RecvBuf,
                tx: &mut $crate::SendBuf,
            ) -> bool {
                self.advance(now, rx, tx)
            }

            fn event<'a>(
                &'a mut self,
                now: $crate::Instant,
                rx: &'a mut $crate::RecvBuf,
                tx: &mut $crate::SendBuf,
            ) -> Option<$event<'a>> {
                self.event(now, rx, tx)
            }

            fn poll_timeout(&self) -> Option<$crate::Instant> {
                self.poll_timeout()
            }

            fn handle_timeout(&mut self, now: $crate::Instant, tx: &mut $crate::SendBuf) {
                self.handle_timeout(now, tx);
            }

            fn transport(&self) -> $crate::Transport {
                self.transport()
            }

            $(fn $shrink(&mut self) {
                self.$shrink();
            }

            $(#[inline]
            fn $again(&mut self, rx: &mut $crate::RecvBuf) -> bool {
                self.$again(rx)
            })?)?
        }
    };
}
pub(crate) use machine;

/// The same for a [`Dialer`].
macro_rules! dialer {
    ($machine:ident, $event:ident $(, $shrink:ident $(, $again:ident)?)?) => {
        $crate::machine::machine!($machine, $event $(, $shrink $(, $again)?)?);

        impl $crate::Dialer for $machine {
            fn target(&self) -> &$crate::url::Url {
                self.target()
            }

            fn attempts(&self) -> u64 {
                self.attempts()
            }

            fn connected(&mut self, now: $crate::Instant, tx: &mut $crate::SendBuf) {
                self.connected(now, tx);
            }

            fn dial_failed(&mut self, now: $crate::Instant, why: $crate::DialError) {
                self.dial_failed(now, why);
            }
        }
    };
}
pub(crate) use dialer;
