//! Ours: whole, in pieces, and heads alone.

use crate::case::{Asked, Case, End, Field, Message, Verdict};
use tidewire::http::{
    self, BodyLength, Client, ClientConfig, ClientEvent, Closed, Headers, Limits, NO_FIELDS,
    ProtocolError, Server, ServerConfig, ServerEvent, Status, Version,
};
use tidewire::{Instant, RecvBuf, SendBuf};

const NOW: Instant = Instant::EPOCH;

/// The whole case in one piece.
pub fn judge(case: &Case) -> Verdict {
    judge_in_pieces(case, &[])
}

/// The case in pieces, cut at `cuts`, which ascend.
pub fn judge_in_pieces(case: &Case, cuts: &[usize]) -> Verdict {
    let mut connection = Connection::new(case);
    let mut from = 0;
    for &to in cuts.iter().chain([&case.bytes.len()]) {
        if connection.end.is_none() {
            let piece = &case.bytes[from..to];
            assert_eq!(connection.rx.push(piece), piece.len(), "the buffer holds a whole case");
            connection.unread = case.bytes.len() - to;
            connection.poll();
        }
        from = to;
    }
    connection.rx.finish();
    connection.poll();
    let end = connection.end.expect("a connection ends with its stream");
    Verdict { messages: connection.messages, end }
}

/// The first head, by its grammar alone.
pub fn judge_head(case: &Case) -> Verdict {
    let mut rx = RecvBuf::with_limit(1 << 20);
    assert_eq!(rx.push(&case.bytes), case.bytes.len());
    let limits = limits();
    let parsed = if case.is_requests() {
        http::parse_request(&mut rx, &limits)
            .map(|parsed| parsed.map(|parsed| request(&parsed.head(&rx))))
    } else {
        http::parse_response(&mut rx, &limits)
            .map(|parsed| parsed.map(|parsed| response(&parsed.head(&rx))))
    };
    match parsed {
        Ok(Some(message)) => Verdict { messages: vec![message], end: End::Unknown },
        Ok(None) => Verdict { messages: Vec::new(), end: End::Incomplete },
        Err(error) => Verdict { messages: Vec::new(), end: refused(error) },
    }
}

struct Connection<'a> {
    case: &'a Case,
    side: Side,
    rx: RecvBuf,
    tx: SendBuf,
    /// How many bytes of the case have not been read.
    unread: usize,
    messages: Vec<Message>,
    /// How many final responses are complete.
    answered: usize,
    end: Option<End>,
}

enum Side {
    Server(Server),
    Client(Client),
}

impl<'a> Connection<'a> {
    fn new(case: &'a Case) -> Self {
        let mut tx = SendBuf::new();
        let side = if case.is_requests() {
            let config =
                ServerConfig { limits: limits(), max_body: u64::MAX, ..Default::default() };
            Side::Server(Server::new(config, NOW))
        } else {
            let pipeline_depth = case.asked.len();
            let config = ClientConfig { limits: limits(), pipeline_depth, ..Default::default() };
            let mut client = Client::new(config, NOW);
            for &asked in &case.asked {
                ask(&mut client, asked, &mut tx);
            }
            Side::Client(client)
        };
        let rx = RecvBuf::with_limit(1 << 20);
        Self { case, side, rx, tx, unread: 0, messages: Vec::new(), answered: 0, end: None }
    }

    fn poll(&mut self) {
        while self.end.is_none() {
            let went_on = match self.side {
                Side::Server(_) => self.poll_server(),
                Side::Client(_) => self.poll_client(),
            };
            if !went_on {
                return;
            }
        }
    }

    fn poll_server(&mut self) -> bool {
        let Side::Server(server) = &mut self.side else { return false };
        match server.poll_event(NOW, &mut self.rx, &mut self.tx) {
            None => return false,
            Some(ServerEvent::Request(head)) => self.messages.push(request(&head)),
            Some(ServerEvent::Data(data)) => last(&mut self.messages).body.extend(data),
            Some(ServerEvent::End(trailers)) => {
                let message = last(&mut self.messages);
                message.trailers = fields(trailers);
                message.complete = true;
                message.keep_alive = Some(server.keep_alive());
                let status =
                    if message.first == b"CONNECT" { Status::NOT_FOUND } else { Status::OK };
                server
                    .respond(status, NO_FIELDS, BodyLength::EMPTY, NOW, &mut self.tx)
                    .expect("a request may be answered");
                // What is written is taken.
                while !self.tx.is_empty() {
                    let len = self.tx.chunk().len();
                    self.tx.consume(len);
                }
            }
            Some(ServerEvent::Closed(why)) => self.closed(why),
            Some(other) => panic!("tidewire says {other:?}"),
        }
        true
    }

    fn poll_client(&mut self) -> bool {
        let Side::Client(client) = &mut self.side else { return false };
        match client.poll_event(NOW, &mut self.rx, &mut self.tx) {
            None => {
                // Another protocol's, or nobody's.
                if client.is_upgraded() && self.end.is_none() {
                    last(&mut self.messages).complete = true;
                    self.end = Some(End::Unknown);
                }
                return false;
            }
            Some(ClientEvent::Informational(head)) => {
                self.messages.push(Message { complete: true, ..response(&head) });
            }
            Some(ClientEvent::Response(head)) => self.messages.push(response(&head)),
            Some(ClientEvent::Data(data)) => last(&mut self.messages).body.extend(data),
            Some(ClientEvent::End(trailers)) => {
                let message = last(&mut self.messages);
                message.trailers = fields(trailers);
                message.complete = true;
                message.keep_alive = Some(client.keep_alive());
                self.answered += 1;
            }
            Some(ClientEvent::Closed(why)) => self.closed(why),
            Some(other) => panic!("tidewire says {other:?}"),
        }
        true
    }

    fn closed(&mut self, why: Closed) {
        self.end = Some(match why {
            // What follows the last response is not looked at by all: only its length is compared.
            Closed::Protocol(error)
                if error.kind == http::ErrorKind::UnexpectedResponse
                    && self.answered == self.case.asked.len() =>
            {
                End::Complete { surplus: self.case.bytes.len() - error.offset as usize }
            }
            Closed::Protocol(error) => refused(error),
            Closed::Eof => End::Incomplete,
            Closed::Done => End::Complete { surplus: self.rx.raw().len() + self.unread },
            other => panic!("the connection ended otherwise: {other}"),
        });
    }
}

fn ask(client: &mut Client, asked: Asked, tx: &mut SendBuf) {
    const HOST: (&str, &str) = ("Host", "example.com");
    let asked = match asked {
        Asked::Get => client.request("GET", "/", [HOST], BodyLength::EMPTY, NOW, tx),
        Asked::Head => client.request("HEAD", "/", [HOST], BodyLength::EMPTY, NOW, tx),
        Asked::Connect => {
            client.request("CONNECT", "example.com:443", [HOST], BodyLength::EMPTY, NOW, tx)
        }
        Asked::Upgrade => {
            let fields = [HOST, ("Connection", "Upgrade"), ("Upgrade", "websocket")];
            client.request("GET", "/", fields, BodyLength::EMPTY, NOW, tx)
        }
    };
    asked.expect("a client may ask");
}

fn limits() -> Limits {
    Limits { head: 1 << 19, headers: 1000, chunk_line: 1 << 16, trailers: 1 << 16 }
}

fn refused(error: ProtocolError) -> End {
    End::Refused { why: format!("{:?}", error.kind), at: Some(error.offset as usize) }
}

fn last(messages: &mut [Message]) -> &mut Message {
    messages.last_mut().expect("a head comes first")
}

fn fields(headers: Headers<'_>) -> Vec<Field> {
    headers.iter().map(|(name, value)| Field(name.into(), value.into())).collect()
}

fn request(head: &http::RequestHead<'_>) -> Message {
    message(head.method.as_bytes(), head.target.as_bytes(), head.version, head.headers)
}

fn response(head: &http::ResponseHead<'_>) -> Message {
    message(head.status.code().to_string().as_bytes(), head.reason, head.version, head.headers)
}

fn message(first: &[u8], second: &[u8], version: Version, headers: Headers<'_>) -> Message {
    Message {
        first: first.into(),
        second: second.into(),
        minor: u8::from(version == Version::Http11),
        fields: fields(headers),
        body: Vec::new(),
        trailers: Vec::new(),
        keep_alive: None,
        complete: false,
    }
}
