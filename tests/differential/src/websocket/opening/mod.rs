//! Opening handshakes (RFC 6455, 4): requests go to our server's side and tungstenite's, answers to
//! our client's side and tungstenite's, and both to what the standard says. What varies is what the
//! WebSocket standard has a say in; the rest of HTTP has its own tests.

mod heads;
mod model;
mod table;

use super::subjects::Pipe;
use fastrand::Rng;
pub use heads::Head;
use std::collections::{BTreeMap, HashSet};
use tidewire::http::{Server, ServerConfig, ServerEvent};
use tidewire::ws::handshake::{
    self, ClientHandshake, HandshakeConfig, HandshakeEvent, Request, ServerOptions,
};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};
use tungstenite::handshake::client::ClientHandshake as TheirClient;
use tungstenite::handshake::derive_accept_key;

const NOW: Instant = Instant::EPOCH;

/// What was agreed on, the answer to the key or the subprotocol; or why nothing was.
pub type Verdict = Result<String, String>;

/// Prints the table of reasons in Markdown, below another.
pub fn reasons() {
    for reason in table::REASONS {
        let head = (reason.example)();
        let kind = if reason.accepted { "WeAccept" } else { "WeRefuse" };
        let fields: Vec<_> =
            head.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let table::Reason { name, rfc, why, .. } = reason;
        println!("| {name} | tungstenite | {kind} | {rfc} | {why} | `{}` |", fields.join(" / "));
    }
}

#[derive(Default)]
pub struct Opening {
    cases: usize,
    accepted: usize,
    explained: BTreeMap<&'static str, usize>,
    /// What has been found already.
    seen: HashSet<String>,
}

impl Opening {
    /// Judges one request or answer; the error says what is wrong.
    pub fn check(&mut self, rng: &mut Rng) -> Result<(), String> {
        let head = heads::generate(rng);
        let seed = Seed::new([rng.u8(..); 32]);
        self.judge(&head, &seed)
    }

    fn judge(&mut self, head: &Head, seed: &Seed) -> Result<(), String> {
        let (ours, theirs, expected) = judge(head, seed);
        self.cases += 1;
        self.accepted += usize::from(ours.is_ok());
        let seen = &mut self.seen;
        let mut differs = |what: &str, other: &Verdict| {
            let why = |verdict: &Verdict| verdict.as_ref().err().cloned();
            if !seen.insert(format!("{what} {:?} {:?}", why(&ours), why(other))) {
                return Ok(());
            }
            Err(format!("{what}: {head:?}\n  tidewire {ours:?}\n  {what} {other:?}"))
        };
        match (&ours, &expected) {
            (Ok(a), Ok(b)) if a != b => return differs("RFC 6455", &expected),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => return differs("RFC 6455", &expected),
            _ => {}
        }
        match (&ours, &theirs) {
            (Err(_), Err(_)) => Ok(()),
            (Ok(a), Ok(b)) if a == b => Ok(()),
            _ => match table::explain(head, &ours) {
                None => differs("tungstenite", &theirs),
                Some(reason) => {
                    *self.explained.entry(reason.name).or_default() += 1;
                    Ok(())
                }
            },
        }
    }

    /// Whether each example of the table shows its difference, and for its own reason.
    pub fn check_examples() -> Result<(), String> {
        for reason in table::REASONS {
            let head = (reason.example)();
            let (ours, theirs, _) = judge(&head, &Seed::new([0; 32]));
            let same = ours.is_ok() == theirs.is_ok() && (ours.is_err() || ours == theirs);
            let found = table::explain(&head, &ours).filter(|_| !same);
            if found.is_none_or(|found| found.name != reason.name) {
                let found = found.map_or("nothing", |found| found.name);
                return Err(format!("of {:?} shows {found}: {ours:?} {theirs:?}", reason.name));
            }
        }
        Ok(())
    }

    /// Prints what was found; says whether there was anything.
    pub fn finish(&self) -> bool {
        for reason in table::REASONS {
            let count = self.explained.get(reason.name).copied().unwrap_or_default();
            println!("{:<55} tungstenite {count}", reason.name);
        }
        println!(
            "SUMMARY opening handshakes: {} cases, we accept {}, explained differences {}; {} classes",
            self.cases,
            self.accepted,
            self.explained.values().sum::<usize>(),
            table::REASONS.len()
        );
        self.accepted > 0 && self.accepted < self.cases
    }
}

/// Our verdict, tungstenite's, and the standard's.
fn judge(head: &Head, seed: &Seed) -> (Verdict, Verdict, Verdict) {
    match head.offered {
        None => {
            let bytes = head.encode("");
            (our_server(&bytes), their_server(&bytes), model::server(head))
        }
        Some(offered) => {
            let mut tx = SendBuf::new();
            let client = our_client(offered, seed, &mut tx);
            let key = key_of(tx.chunk());
            let answer = derive_accept_key(key.as_bytes());
            let bytes = head.encode(&answer);
            let expected = model::client(head, offered, &answer);
            (
                our_answer(client, offered, &bytes, &mut tx),
                their_client(offered, &key, &bytes),
                expected,
            )
        }
    }
}

fn our_server(bytes: &[u8]) -> Verdict {
    let mut http = Server::new(ServerConfig::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(1 << 16), SendBuf::new());
    assert_eq!(rx.push(bytes), bytes.len(), "the buffer holds a head");
    let verdict = match http.poll_event(NOW, &mut rx, &mut tx) {
        Some(ServerEvent::Request(head)) => handshake::accept(&head, &ServerOptions::default())
            .map(|acceptance| {
                http.upgrade(acceptance.fields(), &mut tx).expect("what is accepted is upgraded");
            })
            .map_err(|rejection| format!("{rejection:?}")),
        other => Err(format!("{other:?}")),
    };
    verdict.map(|()| accept_of(tx.chunk()))
}

fn their_server(bytes: &[u8]) -> Verdict {
    let mut pipe = Pipe::default();
    pipe.input.extend(bytes);
    let socket = tungstenite::accept(pipe).map_err(|error| error.to_string())?;
    Ok(accept_of(&socket.get_ref().output))
}

fn our_client(offered: &[&str], seed: &Seed, tx: &mut SendBuf) -> ClientHandshake {
    let mut request = Request::new("ws://example.com/chat").expect("a good URL");
    for name in offered {
        request = request.subprotocol(name).expect("a good name");
    }
    ClientHandshake::new(&request, HandshakeConfig::default(), seed, NOW, tx)
}

fn our_answer(
    mut client: ClientHandshake,
    offered: &[&str],
    bytes: &[u8],
    tx: &mut SendBuf,
) -> Verdict {
    let mut rx = RecvBuf::with_limit(1 << 16);
    assert_eq!(rx.push(bytes), bytes.len(), "the buffer holds a head");
    rx.finish();
    match client.poll_event(NOW, &mut rx, tx) {
        Some(HandshakeEvent::Accepted { negotiated, .. }) => {
            let chosen = negotiated.subprotocol().map(|index| offered[index]);
            Ok(chosen.unwrap_or_default().into())
        }
        Some(HandshakeEvent::Refused { why, .. }) => Err(format!("{why:?}")),
        None => Err("waits".into()),
    }
}

fn their_client(offered: &[&str], key: &str, bytes: &[u8]) -> Verdict {
    let mut request = tungstenite::http::Request::get("ws://example.com/chat")
        .header("Host", "example.com")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", key);
    if !offered.is_empty() {
        request = request.header("Sec-WebSocket-Protocol", offered.join(", "));
    }
    let mut pipe = Pipe { ended: true, ..Pipe::default() };
    pipe.input.extend(bytes);
    let request = request.body(()).expect("a good request");
    let handshake = TheirClient::start(pipe, request, None).map_err(|error| error.to_string())?;
    let (_, response) = handshake.handshake().map_err(|error| error.to_string())?;
    let chosen = response.headers().get("Sec-WebSocket-Protocol");
    Ok(chosen.map_or("", |name| name.to_str().expect("it was compared")).into())
}

fn key_of(request: &[u8]) -> String {
    field_of(request, "Sec-WebSocket-Key")
}

fn accept_of(response: &[u8]) -> String {
    field_of(response, "Sec-WebSocket-Accept")
}

fn field_of(head: &[u8], name: &str) -> String {
    let head = String::from_utf8_lossy(head);
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let field = fields.find(|(other, _)| other.eq_ignore_ascii_case(name));
    field.unwrap_or_else(|| panic!("{name} was sent: {head}")).1.into()
}
