//! Opening handshakes, and the connections behind them in the same buffers.

use super::{Cuts, Transcript, feed, hash, same_however_cut, ws};
use tidewire::http::{self, BodyLength, Limits, RequestHead, ResponseHead};
use tidewire::http::{Server, ServerConfig, ServerEvent, Status};
use tidewire::ws::handshake::{
    Acceptance, ClientHandshake, HandshakeConfig, HandshakeEvent, Request, ServerOptions, accept,
};
use tidewire::ws::{Connection, DeflateConfig, Negotiated};
use tidewire::{Instant, RecvBuf, Seed, SendBuf, Transport};

const LIMITS: Limits = Limits { head: 1024, headers: 32, chunk_line: 100, trailers: 200 };
const OPTIONS: ServerOptions<'static> = ServerOptions {
    subprotocols: &["chat.v2", "chat"],
    deflate: Some(DEFLATE),
    ..ServerOptions::new()
};
const DEFLATE: DeflateConfig = DeflateConfig {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 12,
    client_max_window_bits: 15,
    level: 1,
    threshold: 16,
};
const BODY_PREFIX: usize = 64;
const START: Instant = Instant::EPOCH;

/// The answer to the sample key (RFC 6455, 1.3). A seed cannot know the one to the client's key.
const SAMPLE_ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The bytes are everything that a client sends to a WebSocket server.
///
/// # Panics
/// If a promise is broken.
pub fn ws_handshake_request(data: &[u8]) {
    same_however_cut(data, |mut cuts| {
        let config = ServerConfig { limits: LIMITS, ..ServerConfig::default() };
        let mut server = Server::new(config, START);
        let mut open = None;
        let (mut rx, mut tx) = (RecvBuf::with_limit(ws::BUFFER), SendBuf::new());
        let mut transcript = Transcript::default();
        let over = feed(data, &mut cuts, &mut rx, |rx, cuts| {
            if open.is_none() {
                open = serve(&mut server, rx, &mut tx, cuts, &mut transcript)
                    .map(|negotiated| Connection::server(ws::config(), negotiated, START));
            }
            match &mut open {
                Some(conn) => ws::echo(conn, START, rx, &mut tx, cuts, &mut transcript),
                None => server.transport() != Transport::Open,
            }
        });
        match open {
            Some(conn) => ws::end(data, over, conn, rx, tx, cuts, transcript),
            None => transcript,
        }
    });
}

/// Answers requests; what was agreed on when one of them was accepted.
fn serve(
    server: &mut Server,
    rx: &mut RecvBuf,
    tx: &mut SendBuf,
    cuts: &mut Cuts,
    transcript: &mut Transcript,
) -> Option<Negotiated> {
    let mut negotiated = None;
    loop {
        if cuts.liberty() {
            let announced = server.advance(START, rx, tx);
            rx.shrink();
            assert_eq!(server.advance(START, rx, tx), announced, "an output is lost");
        }
        let event = server.poll_event(START, rx, tx);
        if let Some(event) = &event
            && !matches!(event, ServerEvent::Data(_))
        {
            transcript.events.push(format!("{event:?}"));
        }
        match event {
            None => break,
            Some(ServerEvent::Request(head)) => match accept(&head, &OPTIONS) {
                // A body stands in the way of the upgrade.
                Ok(accepted) if server.upgrade(accepted.fields(), tx).is_ok() => {
                    check_acceptance(head, &accepted);
                    check_deflate(
                        head.headers.list("Sec-WebSocket-Extensions"),
                        accepted.negotiated(),
                    );
                    negotiated = Some(accepted.negotiated());
                }
                Ok(_) => respond(server, Status::BAD_REQUEST, &[], tx),
                Err(rejection) => respond(server, rejection.status(), rejection.fields(), tx),
            },
            // The pieces of a body depend on how the input was cut.
            Some(_) => {}
        }
        transcript.drain(tx);
    }
    transcript.drain(tx);
    assert_eq!(server.is_upgraded(), negotiated.is_some());
    negotiated
}

fn respond(server: &mut Server, status: Status, fields: &[(&str, &str)], tx: &mut SendBuf) {
    server
        .respond(status, fields.iter().copied(), BodyLength::EMPTY, START, tx)
        .expect("a response is due");
}

/// What RFC 6455, 4.2.1 asks of a request, and 4.2.2 of the answer.
fn check_acceptance(head: RequestHead<'_>, accepted: &Acceptance<'_>) {
    assert_eq!((head.method, head.version), ("GET", http::Version::Http11));
    assert!(head.headers.contains_token("Upgrade", "websocket"));
    assert!(head.headers.contains_token("Connection", "upgrade"));
    assert_eq!(head.headers.get("Sec-WebSocket-Version"), Some(&b"13"[..]));
    assert_eq!(head.headers.get("Sec-WebSocket-Key").map(<[u8]>::len), Some(24));
    assert_eq!(accept_of(accepted).len(), SAMPLE_ACCEPT.len());
    if let Some(chosen) = accepted.subprotocol() {
        assert!(OPTIONS.subprotocols.contains(&chosen));
        let mut offers = head.headers.list("Sec-WebSocket-Protocol");
        assert!(offers.any(|offer| offer == chosen.as_bytes()));
    }
}

/// What RFC 7692, 5 and 7.1 ask of what was agreed on: it is in what the other side sent, and within
/// the limits of this one.
fn check_deflate<'a>(mut sent: impl Iterator<Item = &'a [u8]>, negotiated: Negotiated) {
    if let Some(params) = negotiated.deflate() {
        assert!(sent.any(|extension| extension.starts_with(b"permessage-deflate")));
        assert!((8..=DEFLATE.server_max_window_bits).contains(&params.server_max_window_bits));
        assert!((8..=DEFLATE.client_max_window_bits).contains(&params.client_max_window_bits));
    }
}

fn accept_of(accepted: &Acceptance<'_>) -> Vec<u8> {
    let mut fields = accepted.fields().filter(|(name, _)| *name == "Sec-WebSocket-Accept");
    fields.next().expect("there is an answer to the key").1.to_vec()
}

/// The bytes are everything that a server sends to a WebSocket client. The answer to the sample key
/// of RFC 6455 stands for the answer to the client's.
///
/// # Panics
/// If a promise is broken.
pub fn ws_handshake_response(data: &[u8]) {
    let mut request = Request::new("ws://example.com/chat?room=1").expect("a URL");
    for name in OPTIONS.subprotocols {
        request.add_subprotocol(name).expect("a token");
    }
    let begin = || {
        let config = HandshakeConfig {
            limits: LIMITS,
            body_prefix: BODY_PREFIX,
            deflate: Some(DEFLATE),
            ..HandshakeConfig::default()
        };
        let mut asked = Transcript::default();
        let mut tx = SendBuf::new();
        let client = ClientHandshake::new(&request, config, &Seed::new([3; 32]), START, &mut tx);
        asked.drain(&mut tx);
        (client, asked)
    };
    let data = &with_accept(data, &answer_to(&begin().1.output));

    same_however_cut(data, |mut cuts| {
        let (mut client, mut transcript) = begin();
        let mut open = None;
        let (mut rx, mut tx) = (RecvBuf::with_limit(ws::BUFFER), SendBuf::new());
        let mut over = feed(data, &mut cuts, &mut rx, |rx, cuts| {
            if open.is_none() {
                match ask(&mut client, START, rx, &mut tx, cuts, &mut transcript) {
                    Asked::Waiting => return false,
                    Asked::Refused => return true,
                    Asked::Accepted(negotiated) => {
                        let seed = Seed::new([7; 32]);
                        open = Some(Connection::client(ws::config(), negotiated, &seed, START));
                    }
                }
            }
            open.as_mut()
                .is_some_and(|conn| ws::echo(conn, START, rx, &mut tx, cuts, &mut transcript))
        });
        if let Some(conn) = open {
            return ws::end(data, over, conn, rx, tx, cuts, transcript);
        }

        // Every other input ends with a server that falls silent.
        if hash(data) & 1 == 0 {
            rx.finish();
        }
        let mut now = START;
        for _ in 0..4 {
            let asked = (!over)
                .then(|| ask(&mut client, now, &mut rx, &mut tx, &mut cuts, &mut transcript));
            over = over || matches!(asked, Some(Asked::Refused));
            if over {
                break;
            }
            now = client.poll_timeout().expect("a handshake has a deadline");
            client.handle_timeout(now, &mut tx);
        }
        assert!(over, "the handshake does not end");
        assert_eq!(client.transport(), Transport::Down);
        // Afterwards calls do nothing.
        assert_eq!(client.poll_timeout(), None);
        assert!(client.poll_event(now, &mut rx, &mut tx).is_none());
        assert!(tx.is_empty());
        transcript
    });
}

enum Asked {
    Waiting,
    Refused,
    Accepted(Negotiated),
}

fn ask(
    client: &mut ClientHandshake,
    now: Instant,
    rx: &mut RecvBuf,
    tx: &mut SendBuf,
    cuts: &mut Cuts,
    transcript: &mut Transcript,
) -> Asked {
    if cuts.liberty() {
        let announced = client.advance(now, rx, tx);
        rx.shrink();
        assert_eq!(client.advance(now, rx, tx), announced, "an output is lost");
    }
    let event = client.poll_event(now, rx, tx);
    if let Some(event) = &event {
        transcript.events.push(format!("{event:?}"));
    }
    let asked = match event {
        None => Asked::Waiting,
        Some(HandshakeEvent::Refused { body, .. }) => {
            assert!(body.len() <= BODY_PREFIX);
            Asked::Refused
        }
        Some(HandshakeEvent::Accepted { head, negotiated }) => {
            check_answer(head, negotiated);
            Asked::Accepted(negotiated)
        }
    };
    if !matches!(asked, Asked::Waiting) {
        assert!(client.poll_event(now, rx, tx).is_none(), "an event behind the last");
    }
    transcript.drain(tx);
    asked
}

/// What RFC 6455, 4.1 asks of the answer.
fn check_answer(head: ResponseHead<'_>, negotiated: Negotiated) {
    assert_eq!(head.status, Status::SWITCHING_PROTOCOLS);
    assert!(head.headers.contains_token("Upgrade", "websocket"));
    assert!(head.headers.contains_token("Connection", "upgrade"));
    assert_eq!(head.headers.get_all("Sec-WebSocket-Accept").count(), 1);
    let extensions = head.headers.list("Sec-WebSocket-Extensions");
    assert_eq!(extensions.clone().count(), usize::from(negotiated.deflate().is_some()));
    check_deflate(extensions, negotiated);
    let chosen = head.headers.get("Sec-WebSocket-Protocol");
    let offered = negotiated.subprotocol().map(|index| OPTIONS.subprotocols[index].as_bytes());
    assert_eq!(chosen, offered);
}

/// What a server would answer to the client's key.
fn answer_to(request: &[u8]) -> Vec<u8> {
    let mut rx = RecvBuf::with_limit(ws::BUFFER);
    assert_eq!(rx.push(request), request.len());
    let parsed = http::parse_request(&mut rx, &LIMITS).expect("a request").expect("a whole one");
    let accepted = accept(&parsed.head(&rx), &OPTIONS).expect("a client that can be accepted");
    assert_eq!(accepted.subprotocol(), Some(OPTIONS.subprotocols[0]));
    accept_of(&accepted)
}

fn with_accept(data: &[u8], accept: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let found = data.windows(SAMPLE_ACCEPT.len()).position(|window| window == SAMPLE_ACCEPT);
    if let Some(at) = found {
        data[at..at + accept.len()].copy_from_slice(accept);
    }
    data
}
