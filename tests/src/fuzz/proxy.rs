//! Tunnels through proxies, from the proxy's first byte to the first that came through the tunnel.

use super::{Cuts, Transcript, feed, hash, http, same_however_cut};
use tidewire::proxy::{Destination, Proxy, Tunnel, TunnelEvent};
use tidewire::{Instant, RecvBuf, SendBuf, Transport};

/// More than the largest head and the longest beginning of a body that is told.
const BUFFER: usize = 24 * 1024;
const BODY_PREFIX: usize = 4096;
/// A greeting, user and password, and a request with a name, as long as they may be.
const MOST_SAID: usize = 4 + 513 + 262;
const START: Instant = Instant::EPOCH;

/// The bytes are everything that an HTTP proxy sends.
///
/// # Panics
/// If a promise is broken.
pub fn proxy_connect(data: &[u8]) {
    tunnel(data, "http://user:pass@proxy");
}

/// The bytes are everything that a SOCKS5 proxy sends.
///
/// # Panics
/// If a promise is broken.
pub fn proxy_socks5(data: &[u8]) {
    tunnel(data, "socks5h://user:pass@proxy");
    tunnel(data, "socks5h://proxy");
}

struct Talk {
    tunnel: Tunnel,
    tx: SendBuf,
    transcript: Transcript,
    open: bool,
}

impl Talk {
    fn new(proxy: &str) -> Self {
        let proxy = Proxy::parse(proxy).expect("a proxy");
        let mut tx = SendBuf::new();
        let destination = Destination::new("example.com", 443);
        let tunnel = Tunnel::new(&proxy, destination, START, &mut tx);
        Self { tunnel, tx, transcript: Transcript::default(), open: false }
    }

    /// Whether it is over.
    fn poll(&mut self, now: Instant, rx: &mut RecvBuf, cuts: &mut Cuts) -> bool {
        if cuts.liberty() {
            let announced = self.tunnel.advance(now, rx, &mut self.tx);
            rx.shrink();
            assert_eq!(self.tunnel.advance(now, rx, &mut self.tx), announced, "an output is lost");
        }
        let event = self.tunnel.poll_event(now, rx, &mut self.tx);
        self.transcript.drain(&mut self.tx);
        let Some(event) = event else { return false };
        if let TunnelEvent::Refused { body, .. } = &event {
            assert!(body.len() <= BODY_PREFIX);
        }
        self.open = matches!(event, TunnelEvent::Open { .. });
        self.transcript.events.push(format!("{event:?}"));
        // Afterwards calls do nothing.
        assert!(
            self.tunnel.poll_event(now, rx, &mut self.tx).is_none(),
            "an event behind the last"
        );
        assert_eq!((self.tunnel.poll_timeout(), self.tunnel.may_read(rx)), (None, 0));
        let transport = if self.open { Transport::Open } else { Transport::Down };
        assert_eq!(self.tunnel.transport(), transport);
        assert!(self.tx.is_empty());
        true
    }

    /// What was fed is all there is. Every other input ends with a proxy that falls silent.
    fn end(&mut self, data: &[u8], mut rx: RecvBuf, cuts: &mut Cuts) {
        if hash(data) & 1 == 0 {
            rx.finish();
        }
        let mut now = START;
        for _ in 0..4 {
            if self.poll(now, &mut rx, cuts) {
                return;
            }
            now = self.tunnel.poll_timeout().expect("a tunnel has a deadline");
            self.tunnel.handle_timeout(now, &mut self.tx);
        }
        panic!("the tunnel does not end");
    }
}

fn tunnel(data: &[u8], proxy: &str) {
    let whole = same_however_cut(data, |mut cuts| {
        let mut talk = Talk::new(proxy);
        let mut rx = RecvBuf::with_limit(BUFFER);
        let over = feed(data, &mut cuts, &mut rx, |rx, cuts| {
            let over = talk.poll(START, rx, cuts);
            let most = BUFFER + BUFFER / 4 + 2 * http::SPANS;
            assert!(rx.heap_size() <= most, "more memory than the limits");
            over
        });
        if !over {
            talk.end(data, rx, &mut cuts);
        }
        assert!(talk.transcript.output.len() <= MOST_SAID, "more output than there is to say");
        talk.transcript
    });
    polite(data, proxy, &whole);
}

/// Reads no more than may be read: it comes to the same, and nothing of the tunnel is taken.
fn polite(data: &[u8], proxy: &str, whole: &Transcript) {
    let mut talk = Talk::new(proxy);
    let (mut rx, mut cuts) = (RecvBuf::with_limit(BUFFER), Cuts::Whole);
    let (mut taken, mut over) = (0, talk.poll(START, &mut rx, &mut cuts));
    while !over && taken < data.len() {
        let may = talk.tunnel.may_read(&rx);
        assert!(may > 0, "it waits for nothing");
        let piece = may.min(data.len() - taken);
        assert_eq!(rx.push(&data[taken..taken + piece]), piece);
        taken += piece;
        over = talk.poll(START, &mut rx, &mut cuts);
    }
    if talk.open {
        assert!(rx.is_empty(), "it has taken what came through the tunnel");
    }
    if !over {
        talk.end(data, rx, &mut cuts);
    }
    assert_eq!(talk.transcript, *whole, "read politely");
}
