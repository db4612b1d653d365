//! Raw sockets: the limit of what a runtime can do, and the peer of all others.

use super::Result;
use super::frames::{REQUEST, accept, echo, frame, whole};
use super::load::Client;
use bytes::Bytes;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

/// A connected socket of any runtime, or of none.
pub(crate) trait Socket {
    /// Reads some bytes; none once there will be no more.
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
}

macro_rules! socket {
    ($stream:ty, $read:path, $write:path) => {
        impl Socket for $stream {
            async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                $read(self, buffer).await
            }

            async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                $write(self, bytes).await
            }
        }
    };
}

socket!(
    smol::Async<std::net::TcpStream>,
    smol::io::AsyncReadExt::read,
    smol::io::AsyncWriteExt::write_all
);
socket!(
    async_std::net::TcpStream,
    async_std::io::ReadExt::read,
    async_std::io::WriteExt::write_all
);
socket!(tokio::net::TcpStream, tokio::io::AsyncReadExt::read, tokio::io::AsyncWriteExt::write_all);

/// Blocks where the others wait.
impl Socket for std::net::TcpStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(self, buffer)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)
    }
}

/// How much a read of small messages may bring.
const SMALL: usize = 64 << 10;

/// Opens a connection by the book, for whoever can take over a socket.
pub(crate) async fn upgrade<S: Socket>(mut socket: S) -> Result<S> {
    socket.write_all(REQUEST).await?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte).await? == 0 {
            return Err("the server hung up".into());
        }
        head.extend(byte);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8(head)?.into());
    }
    Ok(socket)
}

/// A client that sends what was made before, unmasked and not even parsed but for its length: no client
/// of this runtime can do less.
pub(super) struct Raw<S> {
    socket: S,
    /// Frames of one payload, as many as were ever queued at once.
    frames: Vec<u8>,
    payload: Bytes,
    queued: usize,
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl<S: Socket> Raw<S> {
    pub(super) fn new(socket: S) -> Self {
        let (frames, payload, buffer) = Default::default();
        Self { socket, frames, payload, queued: 0, buffer, taken: 0, filled: 0 }
    }
}

impl<S: Socket> Client for Raw<S> {
    async fn queue(&mut self, payload: &Bytes) -> Result<()> {
        if self.payload.len() != payload.len() {
            self.frames = Vec::new();
            self.payload = payload.clone();
            self.buffer.resize(SMALL.max(payload.len() + 16), 0);
        }
        self.queued += 1;
        let len = payload.len() + if payload.len() < 126 { 6 } else { 14 };
        if self.frames.len() < self.queued * len {
            self.frames.extend(frame(payload, Some([0x37, 0xFA, 0x21, 0x3D])));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let len = self.payload.len() + if self.payload.len() < 126 { 6 } else { 14 };
        self.socket.write_all(&self.frames[..self.queued * len]).await?;
        self.queued = 0;
        Ok(())
    }

    async fn receive(&mut self, look: impl FnOnce(&[u8])) -> Result<()> {
        loop {
            let there = &self.buffer[self.taken..self.filled];
            if let Some(payload) = whole(there)? {
                look(&there[payload.clone()]);
                self.taken += payload.end;
                if self.taken == self.filled {
                    (self.taken, self.filled) = (0, 0);
                }
                return Ok(());
            }
            self.buffer.copy_within(self.taken..self.filled, 0);
            (self.taken, self.filled) = (0, self.filled - self.taken);
            match self.socket.read(&mut self.buffer[self.filled..]).await? {
                0 => return Err("the server hung up".into()),
                n => self.filled += n,
            }
        }
    }
}

/// Accepts an upgrade and sends every message back.
pub(super) async fn serve(mut socket: impl Socket) -> Result<()> {
    let (mut buffer, mut filled, mut out) = (vec![0; SMALL], 0, Vec::new());
    let response = loop {
        filled += socket.read(&mut buffer[filled..]).await?;
        if let Some(response) = accept(&buffer[..filled]) {
            break response;
        }
    };
    socket.write_all(response.as_bytes()).await?;
    filled = 0;
    loop {
        match socket.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            n => filled += n,
        }
        let took = echo(&buffer[..filled], &mut out)?;
        if took > 0 {
            buffer.copy_within(took..filled, 0);
            filled -= took;
            socket.write_all(&out).await?;
            out.clear();
        }
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
    }
}

/// The server of all clients: a thread a connection.
pub(super) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            socket.set_nodelay(true).expect("a socket");
            // A client that ends in the midst of something is none that is measured.
            thread::spawn(move || drop(super::ready(serve(socket))));
        }
    });
    Ok(address)
}
