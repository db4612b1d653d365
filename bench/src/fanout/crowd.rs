//! The subscribers: one thread, one epoll, and each byte of each event checked.

use super::{Result, payload};
use rustix::event::{Timespec, epoll};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Subscribers of one server.
pub(super) struct Crowd {
    epoll: OwnedFd,
    subscribers: Vec<Subscriber>,
    ready: Vec<epoll::Event>,
    buffer: Vec<u8>,
    /// Events published so far.
    published: u64,
}

/// How one window of events went.
pub(super) struct Window {
    /// Until the last subscriber had all.
    pub(super) took: Duration,
    /// Until half of them had.
    pub(super) middle: Duration,
}

struct Subscriber {
    stream: TcpStream,
    body: Body,
    /// Bytes of the window's events that have come.
    got: usize,
}

/// Where in a body in chunks (RFC 9112, 7.1) a subscriber is.
enum Body {
    Size(usize),
    Data(usize),
    End,
}

impl Crowd {
    /// Connects `count` subscribers, one by one, and reads their heads.
    pub(super) fn connect(address: SocketAddr, count: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut subscribers = Vec::with_capacity(count);
        for number in 0..count {
            let stream = subscribe(address)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            subscribers.push(Subscriber { stream, body: Body::Size(0), got: 0 });
        }
        let (ready, buffer) = (Vec::with_capacity(512), vec![0; 64 * 1024]);
        Ok(Self { epoll, subscribers, ready, buffer, published: 0 })
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Has `events` events published, and waits until every subscriber has them.
    pub(super) fn window(
        &mut self,
        events: u64,
        publish: impl FnOnce() -> Result<()>,
    ) -> Result<Window> {
        let expected: String = (0..events).map(|n| payload::event(self.published + n)).collect();
        self.published += events;
        let start = Instant::now();
        publish()?;
        let (mut left, mut middle) = (self.subscribers.len(), Duration::ZERO);
        while left > 0 {
            let waited = start.elapsed();
            let patience =
                PATIENCE.checked_sub(waited).ok_or("subscribers got nothing for long")?;
            let timeout = Timespec::try_from(patience)?;
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut self.ready),
                Some(&timeout),
            )?;
            for event in self.ready.drain(..) {
                let subscriber = &mut self.subscribers[event.data.u64() as usize];
                if subscriber.receive(&mut self.buffer, expected.as_bytes())? {
                    left -= 1;
                }
            }
            if middle.is_zero() && left <= self.subscribers.len() / 2 {
                middle = start.elapsed();
            }
        }
        let took = start.elapsed();
        self.subscribers.iter_mut().for_each(|subscriber| subscriber.got = 0);
        Ok(Window { took, middle })
    }
}

impl Subscriber {
    /// Reads once. Says whether the window is complete now.
    fn receive(&mut self, buffer: &mut [u8], expected: &[u8]) -> Result<bool> {
        let n = match self.stream.read(buffer) {
            Ok(0) => return Err("a stream has ended".into()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let was = self.got;
        let mut rest = &buffer[..n];
        while let [first, tail @ ..] = rest {
            match &mut self.body {
                Body::Size(size) => {
                    match first {
                        b'\r' => {}
                        b'\n' => self.body = Body::Data(*size),
                        digit => {
                            let digit = char::from(*digit).to_digit(16).ok_or("no chunk size")?;
                            *size = *size * 16 + digit as usize;
                        }
                    }
                    rest = tail;
                }
                Body::Data(left) => {
                    let n = rest.len().min(*left);
                    let (data, behind) = rest.split_at(n);
                    if expected.get(self.got..self.got + n) != Some(data) {
                        return Err("an event is not the one that was published".into());
                    }
                    self.got += n;
                    *left -= n;
                    rest = behind;
                    if *left == 0 {
                        self.body = Body::End;
                    }
                }
                Body::End => {
                    if *first == b'\n' {
                        self.body = Body::Size(0);
                    }
                    rest = tail;
                }
            }
        }
        Ok(was < expected.len() && self.got == expected.len())
    }
}

/// Asks for the stream and reads the head of the answer.
pub(crate) fn subscribe(address: SocketAddr) -> Result<TcpStream> {
    let (stream, head) = ask(
        address,
        b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\
        Cache-Control: no-cache\r\nUser-Agent: crowd\r\n\r\n",
    )?;
    let chunked = "\r\ntransfer-encoding: chunked\r\n";
    if !(head.starts_with("http/1.1 200 ") && head.contains(chunked)) {
        return Err(format!("no event stream in chunks: {head}").into());
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Sends a request and reads the head of the answer, in lower case.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok((stream, String::from_utf8(head)?.to_ascii_lowercase()))
}
