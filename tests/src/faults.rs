//! What goes wrong with peers and sockets.

use crate::net::RawPeer;
use socket2::SockRef;
use std::time::Duration;

impl RawPeer {
    /// Resets the connection, whether or not everything was read. What was sent before is delivered
    /// first where it has arrived already, which over loopback it has.
    ///
    /// # Panics
    /// If the operating system does not know the option.
    pub fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
}
