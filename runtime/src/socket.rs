//! Options of TCP sockets, and sockets that have them: what the standard library cannot set.

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Options of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Sends small writes at once (`TCP_NODELAY`). `true` by default.
    pub nodelay: bool,
    /// Lets the operating system ask a silent peer whether it is there. `None` by default.
    pub keepalive: Option<Keepalive>,
    /// The local address of connections that are made. `None`, the default, leaves it to the operating
    /// system. Addresses of the other family than this one cannot be reached.
    pub bind: Option<IpAddr>,
}

/// When the operating system asks a silent peer whether it is there (`SO_KEEPALIVE`).
///
/// WebSocket's pings see more: they reach the program at the other end, also through proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub after: Duration,
    /// Between two probes. The system's own value if `None`.
    pub interval: Option<Duration>,
    /// How many probes may stay without an answer. The system's own value if `None`, or where it cannot
    /// be set.
    pub retries: Option<u32>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { nodelay: true, keepalive: None, bind: None }
    }
}

impl SocketOptions {
    /// A socket that is connecting to `address`, for an adapter to wait for: once it can be written to,
    /// it is connected or has an error.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = new_socket(address)?;
        self.apply(&socket)?;
        if let Some(local) = self.bind {
            socket.bind(&SocketAddr::new(local, 0).into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if !is_in_progress(&error) => Err(error),
            _ => Ok(socket.into()),
        }
    }

    /// Sets the options of a socket that is connected: of a reference to anything that has a file
    /// descriptor.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn apply<'s>(&self, socket: impl Into<SockRef<'s>>) -> io::Result<()> {
        let socket = socket.into();
        socket.set_tcp_nodelay(self.nodelay)?;
        let Some(keepalive) = self.keepalive else { return Ok(()) };
        let mut wanted = TcpKeepalive::new().with_time(keepalive.after);
        if let Some(interval) = keepalive.interval {
            wanted = wanted.with_interval(interval);
        }
        #[cfg(unix)]
        if let Some(retries) = keepalive.retries {
            wanted = wanted.with_retries(retries);
        }
        socket.set_tcp_keepalive(&wanted)
    }
}

/// Options of a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; the system may have a lower limit. 1024 by
    /// default.
    pub backlog: u16,
    /// Lets further sockets listen on the same address, among which the operating system spreads the
    /// connections (`SO_REUSEPORT`; nothing where there is none). `false` by default.
    pub reuse_port: bool,
    /// Whether a socket for IPv6 takes no IPv4 (`IPV6_V6ONLY`). The system's own value if `None`.
    pub only_v6: Option<bool>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: 1024, reuse_port: false, only_v6: None }
    }
}

impl ListenOptions {
    /// A socket that listens on `address`, for an adapter to accept from. It does not block.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = new_socket(address)?;
        // Elsewhere it would let others take the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if let (SocketAddr::V6(_), Some(only_v6)) = (address, self.only_v6) {
            socket.set_only_v6(only_v6)?;
        }
        socket.bind(&address.into())?;
        socket.listen(self.backlog.into())?;
        Ok(socket.into())
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether a connection is being made, which is no error.
fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}
