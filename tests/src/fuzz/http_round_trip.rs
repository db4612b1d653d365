//! Messages written by one machine and read by the other.

use super::input::{Input, is_bodiless};
use super::{Cuts, Random, hash};
use bytes::Bytes;
use tidewire::http::{
    BodyLength, Client, ClientConfig, ClientEvent, Closed, Headers, Server, ServerConfig,
    ServerEvent, Status,
};
use tidewire::{Instant, RecvBuf, SendBuf};

const NOW: Instant = Instant::EPOCH;
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "M-1!"];
const STATUSES: [u16; 8] = [200, 204, 304, 404, 500, 299, 302, 999];
const NAMES: [&str; 7] =
    ["Accept", "cookie", "X-A", "x-a", "TE", "!#$%&'*+-.^_`|~09", "Transfer-Encodings"];
const TARGET_BYTES: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ/-._~?:@!$&'()*+,;=09";
const TOKEN_BYTES: &[u8; 32] = b"abcdefghijklmnopqXYZ0123!#$-.^_~";

/// The bytes say what a request and its response are like: method, target, fields, body, trailers.
/// They are written by one machine and read by the other, in pieces, and mean the same there; and so
/// again, while both agree that the connection stays.
///
/// # Panics
/// If a promise is broken.
pub fn http_round_trip(data: &[u8]) {
    let mut input = Input(data);
    let cuts = match input.byte() % 4 {
        0 => Cuts::Whole,
        1 => Cuts::Bytes,
        _ => Cuts::Random(Random::new(hash(data))),
    };
    let mut wire = Wire {
        client: Client::new(ClientConfig::default(), NOW),
        server: Server::new(ServerConfig::default(), NOW),
        to_server: RecvBuf::with_limit(64 * 1024),
        to_client: RecvBuf::with_limit(64 * 1024),
        from_client: SendBuf::new(),
        from_server: SendBuf::new(),
        cuts,
    };
    for _ in 0..4 {
        let goes_on = wire.exchange(&mut input);
        if !goes_on || input.0.is_empty() {
            break;
        }
    }
}

type Field = (String, Vec<u8>);

/// Everything of a message but its start line.
struct Message {
    fields: Vec<Field>,
    length: BodyLength,
    pieces: Vec<Vec<u8>>,
    trailers: Vec<Field>,
    shared: bool,
    closes: bool,
}

impl Message {
    fn generate(input: &mut Input<'_>, may_have_body: bool) -> Self {
        let kind = input.byte();
        let closes = kind & 0x0F == 0x0F;
        let close = closes.then(|| ("Connection".to_owned(), b"close".to_vec()));
        let fields = fields(input).into_iter().chain(close).collect();
        let mut pieces = Vec::new();
        if may_have_body {
            for _ in 0..input.byte() % 4 {
                let (len, times) = (usize::from(input.byte()), 1 + usize::from(input.byte() % 40));
                pieces.push(input.bytes(len).repeat(times));
            }
        }
        let chunked = may_have_body && kind & 0x40 != 0;
        let size = pieces.iter().map(Vec::len).sum::<usize>() as u64;
        // Nobody looks at what some other names mean, but they may not be trailers.
        let mut trailers = if chunked { self::fields(input) } else { Vec::new() };
        trailers.retain(|(name, _)| name.starts_with(['X', 'x']));
        Self {
            fields,
            length: if chunked { BodyLength::Unknown } else { BodyLength::Known(size) },
            pieces,
            trailers,
            shared: kind & 0x80 != 0,
            closes,
        }
    }

    fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// Whether these are the fields that were written, but for those that the machine adds behind.
    fn is_read_as(&self, headers: Headers<'_>) -> bool {
        let own = ["Content-Length", "Transfer-Encoding", "Connection"];
        let added = headers.iter().skip(self.fields.len()).all(|(name, _)| own.contains(&name));
        added && same_fields(headers.iter().take(self.fields.len()), &self.fields)
    }
}

/// Up to three fields, whose values may be anything that a value may be.
fn fields(input: &mut Input<'_>) -> Vec<Field> {
    let count = usize::from(input.byte() % 4);
    (0..count)
        .map(|_| {
            let kind = usize::from(input.byte());
            let name = match NAMES.get(kind % 8) {
                Some(name) => (*name).to_owned(),
                None => {
                    let letter = |byte: &u8| char::from(TOKEN_BYTES[usize::from(byte % 32)]);
                    format!("X{}", input.bytes(kind >> 3).iter().map(letter).collect::<String>())
                }
            };
            let len = usize::from(input.byte() % 64);
            let clean = |&byte: &u8| match byte {
                0..=8 | 10..=31 | 127 => byte | 0x80,
                _ => byte,
            };
            (name, input.bytes(len).iter().map(clean).collect())
        })
        .collect()
}

/// RFC 9110, 5.5: whitespace around a value is no part of it.
fn same_fields<'a>(read: impl Iterator<Item = (&'a str, &'a [u8])>, sent: &[Field]) -> bool {
    let read: Vec<_> = read.collect();
    read.len() == sent.len()
        && read.iter().zip(sent).all(|((name, value), (sent, given))| {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let start = given.iter().position(|byte| !blank(byte)).unwrap_or(given.len());
            let end = given.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
            name == sent && *value == &given[start..end]
        })
}

fn as_fields(fields: &[Field]) -> impl Iterator<Item = (&str, &[u8])> + Clone {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
}

struct Wire {
    client: Client,
    server: Server,
    to_server: RecvBuf,
    to_client: RecvBuf,
    from_client: SendBuf,
    from_server: SendBuf,
    cuts: Cuts,
}

/// Sends the body of a message and finishes it, for either machine.
macro_rules! send {
    ($machine:expr, $message:expr, $tx:expr) => {{
        for piece in &$message.pieces {
            let sent = if $message.shared {
                $machine.send_shared(&Bytes::copy_from_slice(piece), $tx)
            } else {
                $machine.send_data(piece, $tx)
            };
            sent.expect("a piece of the body");
        }
        let finished = if $message.trailers.is_empty() {
            $machine.finish($tx)
        } else {
            $machine.finish_with_trailers(as_fields(&$message.trailers), $tx)
        };
        finished.expect("all was sent");
    }};
}

/// What was read of a message.
#[derive(Default)]
struct Got {
    head: bool,
    body: Vec<u8>,
    end: bool,
}

impl Wire {
    /// One request and its response. Returns whether another may follow.
    fn exchange(&mut self, input: &mut Input<'_>) -> bool {
        let method = METHODS[usize::from(input.byte() % 8)];
        let target = target(method, input);
        let mut request = Message::generate(input, true);
        request.fields.insert(0, ("Host".to_owned(), b"h:1".to_vec()));
        let status = Status::new(STATUSES[usize::from(input.byte() % 8)]).expect("a status");
        // A tunnel is another matter.
        let tunnels = method == "CONNECT" && status.is_success();
        let status = if tunnels { Status::NOT_FOUND } else { status };
        let response = Message::generate(input, status != Status::NO_CONTENT);

        let fields = as_fields(&request.fields);
        self.client
            .request(method, &target, fields, request.length, NOW, &mut self.from_client)
            .expect("a good request");
        send!(self.client, request, &mut self.from_client);

        let mut got = Got::default();
        let mut server_closed = None;
        loop {
            let carried = carry(&mut self.from_client, &mut self.to_server, &mut self.cuts);
            while let Some(event) =
                self.server.poll_event(NOW, &mut self.to_server, &mut self.from_server)
            {
                match event {
                    ServerEvent::Request(head) => {
                        assert!(!got.head);
                        assert_eq!((head.method, head.target), (method, target.as_str()));
                        assert!(request.is_read_as(head.headers), "{:?}", head.headers);
                        got.head = true;
                    }
                    ServerEvent::Data(data) => got.body.extend_from_slice(data),
                    ServerEvent::End(trailers) => {
                        assert!(got.head && !got.end);
                        assert!(got.body == request.body(), "another body");
                        assert!(same_fields(trailers.iter(), &request.trailers));
                        got.end = true;
                        let (fields, tx) = (as_fields(&response.fields), &mut self.from_server);
                        self.server
                            .respond(status, fields, response.length, NOW, tx)
                            .expect("a good response");
                        send!(self.server, response, tx);
                    }
                    ServerEvent::Closed(why) => server_closed = Some(why),
                    _ => unreachable!("an event of no kind"),
                }
            }
            if !carried {
                break;
            }
        }
        assert!(got.end, "the request is not whole");

        let bodiless = is_bodiless(status, method == "HEAD");
        let none = Vec::new();
        let (body, trailers) = match bodiless {
            true => (Vec::new(), &none),
            false => (response.body(), &response.trailers),
        };
        let mut got = Got::default();
        let mut client_closed = None;
        loop {
            let carried = carry(&mut self.from_server, &mut self.to_client, &mut self.cuts);
            while let Some(event) =
                self.client.poll_event(NOW, &mut self.to_client, &mut self.from_client)
            {
                match event {
                    ClientEvent::Response(head) => {
                        assert!(!got.head && head.status == status);
                        assert!(response.is_read_as(head.headers), "{:?}", head.headers);
                        got.head = true;
                    }
                    ClientEvent::Data(data) => got.body.extend_from_slice(data),
                    ClientEvent::End(read) => {
                        assert!(got.head && !got.end);
                        assert!(got.body == body, "another body");
                        assert!(same_fields(read.iter(), trailers));
                        got.end = true;
                    }
                    ClientEvent::Closed(why) => client_closed = Some(why),
                    other => unreachable!("nobody sent {other:?}"),
                }
            }
            if !carried {
                break;
            }
        }
        assert!(got.end, "the response is not whole");

        // Both know whether another exchange may follow.
        assert_eq!(client_closed, server_closed);
        assert!(matches!(client_closed, None | Some(Closed::Done)), "{client_closed:?}");
        assert_eq!(self.client.is_idle(), client_closed.is_none());
        assert_eq!(self.server.is_idle(), client_closed.is_none());
        let closes = [&request, &response].iter().any(|message| message.closes);
        assert_eq!(client_closed.is_some(), closes);
        !closes
    }
}

/// Carries a piece. Returns whether there was one.
pub(super) fn carry(tx: &mut SendBuf, rx: &mut RecvBuf, cuts: &mut Cuts) -> bool {
    if cuts.liberty() {
        rx.shrink();
        tx.shrink();
    }
    let bytes = tx.chunk();
    if bytes.is_empty() {
        return false;
    }
    let carried = rx.push(&bytes[..cuts.next_piece(bytes.len())]);
    assert!(carried > 0, "a full buffer is waited on");
    tx.consume(carried);
    true
}

/// A target of a form that the method takes.
fn target(method: &str, input: &mut Input<'_>) -> String {
    let kind = input.byte();
    let letter = |byte: &u8| char::from(TARGET_BYTES[usize::from(byte % 64)]);
    let rest: String = input.bytes(usize::from(kind >> 2)).iter().map(letter).collect();
    match kind % 4 {
        _ if method == "CONNECT" => "h:1".to_owned(),
        0 if method == "OPTIONS" => "*".to_owned(),
        1 => format!("http://h:1/{rest}"),
        _ => format!("/{rest}"),
    }
}
