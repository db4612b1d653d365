//! The floor: one thread, one epoll, and nothing but the system calls.

use super::{Publish, Result, payload};
use rustix::event::{EventfdFlags, epoll, eventfd};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;

const LISTENER: u64 = 0;
const WAKER: u64 = 1;

/// The head that tidewire sends.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n";

struct Raw {
    epoll: OwnedFd,
    listener: TcpListener,
    clients: HashMap<u64, Client>,
    /// Those that have had their head.
    subscribers: Vec<u64>,
    next: u64,
}

struct Client {
    stream: TcpStream,
    asked: Vec<u8>,
    /// What the socket did not take.
    waiting: Vec<u8>,
}

/// With one write an event, or with one for all events that were published at once.
pub(super) fn start(coalesce: bool) -> Result<(SocketAddr, Publish)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let waker = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = mpsc::channel();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64;
    epoll::add(&epoll, &listener, data(LISTENER), epoll::EventFlags::IN)?;
    epoll::add(&epoll, &waker, data(WAKER), epoll::EventFlags::IN)?;
    let (clients, subscribers) = Default::default();
    let mut raw = Raw { epoll, listener, clients, subscribers, next: WAKER + 1 };
    let woken = waker.clone();
    thread::spawn(move || raw.run(&woken, &receiver, coalesce).expect("the raw loop"));
    let publish = move |events| {
        sender.send(events).expect("the raw loop runs");
        rustix::io::write(&waker, &1_u64.to_ne_bytes()).expect("an eventfd takes 2^64 - 2 wakes");
    };
    Ok((address, Box::new(publish)))
}

impl Raw {
    fn run(
        &mut self,
        waker: &OwnedFd,
        published: &mpsc::Receiver<Range<u64>>,
        coalesce: bool,
    ) -> Result<()> {
        let mut ready = Vec::with_capacity(512);
        loop {
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), None)?;
            for event in ready.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    WAKER => {
                        rustix::io::read(waker, &mut [0; 8])?;
                        for events in published.try_iter() {
                            if coalesce {
                                self.write(&events.flat_map(payload::chunk).collect::<Vec<_>>())?;
                            } else {
                                events.map(payload::chunk).try_for_each(|one| self.write(&one))?;
                            }
                        }
                    }
                    client => self.attend(client)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let data = epoll::EventData::new_u64(self.next);
            epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
            let (asked, waiting) = Default::default();
            self.clients.insert(self.next, Client { stream, asked, waiting });
            self.next += 1;
        }
    }

    /// Reads a request or an end; writes what waits.
    fn attend(&mut self, number: u64) -> Result<()> {
        let Some(client) = self.clients.get_mut(&number) else { return Ok(()) };
        let mut buffer = [0; 4096];
        match client.stream.read(&mut buffer) {
            Ok(n) if n > 0 => {
                client.asked.extend(&buffer[..n]);
                if client.asked.ends_with(b"\r\n\r\n") {
                    client.asked = Vec::new();
                    client.write(HEAD)?;
                    self.subscribers.push(number);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let waiting = std::mem::take(&mut client.waiting);
                client.write(&waiting)?;
            }
            Ok(_) | Err(_) => {
                self.clients.remove(&number);
                self.subscribers.retain(|it| *it != number);
                return Ok(());
            }
        }
        client.watch(&self.epoll, number)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for &number in &self.subscribers {
            let Some(client) = self.clients.get_mut(&number) else { continue };
            if !client.write(bytes)? {
                client.watch(&self.epoll, number)?;
            }
        }
        Ok(())
    }
}

impl Client {
    /// Whether the socket took everything.
    fn write(&mut self, bytes: &[u8]) -> Result<bool> {
        let took = if self.waiting.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error.into()),
            }
        } else {
            0
        };
        self.waiting.extend(&bytes[took..]);
        Ok(took == bytes.len())
    }

    fn watch(&self, epoll: &OwnedFd, number: u64) -> Result<()> {
        let mut wanted = epoll::EventFlags::IN;
        wanted.set(epoll::EventFlags::OUT, !self.waiting.is_empty());
        Ok(epoll::modify(epoll, &self.stream, epoll::EventData::new_u64(number), wanted)?)
    }
}
