//! What each side of an opening handshake accepts and refuses, with the paragraph that says so: the
//! table `tests/vectors/ws_handshake.json`, fed whole, byte by byte and at every two-way split.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::str;
use tidewire::http::{BodyLength, Closed, Limits, Server, ServerConfig, ServerEvent};
use tidewire::ws::handshake::{
    ClientHandshake, HandshakeConfig, HandshakeEvent, Origins, Preference, Refusal, Rejection,
    Request, ServerOptions, accept,
};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;
/// The answer to the key of RFC 6455, 1.3, which stands for the answer to the key of our request.
const SAMPLE: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    role: Role,
    verdict: Verdict,
    section: String,
    rule: String,
    why: Option<String>,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    asks: Asks,
    bytes: String,
    #[serde(default)]
    eof: bool,
    gives: Option<Gives>,
    rest: Option<String>,
    error: Option<String>,
    status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    MustAccept,
    MustRefuse,
    MayRefuse,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    subprotocols: Vec<String>,
    preference: Option<String>,
    origins: Option<Vec<String>>,
    same_host: bool,
    deflate: Option<Deflate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asks {
    subprotocols: Vec<String>,
    deflate: Option<Deflate>,
}

/// Limits of a side that speaks permessage-deflate.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Deflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

#[cfg(feature = "deflate")]
impl Deflate {
    fn config(&self) -> tidewire::ws::DeflateConfig {
        tidewire::ws::DeflateConfig {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(15),
            client_max_window_bits: self.client_max_window_bits.unwrap_or(15),
            ..tidewire::ws::DeflateConfig::default()
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Gives {
    subprotocol: Option<String>,
    /// A server's answer.
    extensions: Option<String>,
    /// A client takes compressed messages from now on.
    compressed: bool,
}

/// What came of a handshake: what was agreed on and what is left to the connection, or what is wrong
/// and the status that says so.
type Outcome = Result<(Gives, Vec<u8>), (String, Option<u16>)>;

fn table() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/ws_handshake.json")).expect("vectors")
}

/// The vectors that this build can run.
fn runnable() -> impl Iterator<Item = Vector> {
    let runs = |vector: &Vector| {
        let plain = vector.options.deflate.is_none() && vector.asks.deflate.is_none();
        cfg!(feature = "deflate") || plain
    };
    table().into_iter().filter(runs)
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).expect("Latin-1")).collect()
}

/// The variant, without the status or the place, which are told beside it.
fn name(error: impl std::fmt::Debug) -> String {
    let name = format!("{error:?}");
    match name.split_once('(') {
        Some((name @ ("Status" | "Http"), _)) => name.to_owned(),
        _ => name,
    }
}

/// Feeds pieces to whatever `poll` drives until that has an outcome, and all that is left behind it.
fn feed(
    pieces: &mut dyn Iterator<Item = &[u8]>,
    eof: bool,
    mut poll: impl FnMut(&mut RecvBuf) -> Option<Outcome>,
) -> Option<Outcome> {
    let mut rx = RecvBuf::with_limit(1 << 16);
    let mut outcome = None;
    for piece in pieces {
        assert_eq!(rx.push(piece), piece.len());
        if outcome.is_none() {
            outcome = poll(&mut rx);
        }
    }
    if eof && outcome.is_none() {
        rx.finish();
        outcome = poll(&mut rx);
    }
    if let Some(Ok((_, rest))) = &mut outcome {
        *rest = rx.raw().to_vec();
    }
    outcome
}

impl Vector {
    fn run(&self, eof: bool, pieces: &mut dyn Iterator<Item = &[u8]>) -> Option<Outcome> {
        match self.role {
            Role::Server => self.serve(eof, pieces),
            Role::Client => self.ask(eof, pieces),
        }
    }

    fn serve(&self, eof: bool, pieces: &mut dyn Iterator<Item = &[u8]>) -> Option<Outcome> {
        let subprotocols: Vec<_> = self.options.subprotocols.iter().map(String::as_str).collect();
        let origins: Vec<_> = self.options.origins.iter().flatten().map(String::as_str).collect();
        let options = ServerOptions {
            subprotocols: &subprotocols,
            preference: match self.options.preference.as_deref() {
                Some("server") => Preference::Server,
                Some(other) => panic!("{}: no such preference: {other}", self.id),
                None => Preference::Client,
            },
            origins: match (&self.options.origins, self.options.same_host) {
                (Some(_), _) => Origins::List(&origins),
                (None, true) => Origins::SameHost,
                (None, false) => Origins::Any,
            },
            #[cfg(feature = "deflate")]
            deflate: self.options.deflate.as_ref().map(Deflate::config),
            ..ServerOptions::new()
        };
        let mut server = Server::new(ServerConfig::default(), NOW);
        let mut tx = SendBuf::new();
        feed(pieces, eof, |rx| {
            let mut outcome = None;
            while let Some(event) = server.poll_event(NOW, rx, &mut tx) {
                match event {
                    ServerEvent::Request(head) => match accept(&head, &options) {
                        Ok(accepted) => {
                            let mut answers = accepted
                                .fields()
                                .filter(|(name, _)| *name == "Sec-WebSocket-Extensions");
                            let extensions = answers
                                .next()
                                .map(|(_, value)| str::from_utf8(value).expect("ASCII").to_owned());
                            let gives = Gives {
                                subprotocol: accepted.subprotocol().map(str::to_owned),
                                extensions,
                                compressed: false,
                            };
                            server.upgrade(accepted.fields(), &mut tx).expect("a handshake");
                            outcome = Some(Ok((gives, vec![])));
                        }
                        Err(why) => {
                            let fields = why.fields().iter().copied();
                            let empty = BodyLength::EMPTY;
                            server.respond(why.status(), fields, empty, NOW, &mut tx).unwrap();
                            outcome = Some(Err((name(why), Some(why.status().code()))));
                        }
                    },
                    ServerEvent::Closed(Closed::Protocol(error)) => {
                        let status = error.status_hint().code();
                        outcome.get_or_insert(Err((name(error.kind), Some(status))));
                    }
                    ServerEvent::Closed(_) => {
                        outcome.get_or_insert(Err(("Eof".into(), None)));
                    }
                    _ => {}
                }
            }
            outcome
        })
    }

    fn ask(&self, eof: bool, pieces: &mut dyn Iterator<Item = &[u8]>) -> Option<Outcome> {
        let (mut handshake, mut tx) = self.request();
        feed(pieces, eof, |rx| {
            let outcome = match handshake.poll_event(NOW, rx, &mut tx)? {
                HandshakeEvent::Accepted { negotiated, .. } => {
                    let offered = &self.asks.subprotocols;
                    let subprotocol = negotiated.subprotocol().map(|index| offered[index].clone());
                    #[cfg(feature = "deflate")]
                    let compressed = negotiated.deflate().is_some();
                    #[cfg(not(feature = "deflate"))]
                    let compressed = false;
                    Ok((Gives { subprotocol, extensions: None, compressed }, vec![]))
                }
                HandshakeEvent::Refused { why, head, .. } => {
                    let status = match why {
                        Refusal::Status(_) => head.map(|head| head.as_head().status.code()),
                        _ => None,
                    };
                    Err((name(why), status))
                }
            };
            // Releases the head.
            assert!(handshake.poll_event(NOW, rx, &mut tx).is_none(), "{}: one event", self.id);
            Some(outcome)
        })
    }

    /// Our request, queued.
    fn request(&self) -> (ClientHandshake, SendBuf) {
        let mut request = Request::new("ws://h/chat").unwrap();
        for name in &self.asks.subprotocols {
            request.add_subprotocol(name).unwrap();
        }
        let config = HandshakeConfig {
            #[cfg(feature = "deflate")]
            deflate: self.asks.deflate.as_ref().map(Deflate::config),
            ..HandshakeConfig::default()
        };
        let mut tx = SendBuf::new();
        let handshake = ClientHandshake::new(&request, config, &Seed::new([7; 32]), NOW, &mut tx);
        (handshake, tx)
    }

    /// The bytes, with the answer to our key where the answer to the sample key stands.
    fn bytes(&self) -> Vec<u8> {
        if self.role == Role::Server {
            return latin1(&self.bytes);
        }
        let (_, tx) = self.request();
        let mut rx = RecvBuf::with_limit(1 << 16);
        assert_eq!(rx.push(tx.chunk()), tx.len());
        let parsed = tidewire::http::parse_request(&mut rx, &Limits::default()).unwrap().unwrap();
        let accepted = accept(&parsed.head(&rx), &ServerOptions::new()).unwrap();
        let answer = accepted.fields().find(|(name, _)| *name == "Sec-WebSocket-Accept").unwrap();
        let answer = str::from_utf8(answer.1).unwrap();
        // What is a wrong answer to the one key is a wrong one to the other.
        latin1(&self.bytes.replace(SAMPLE, answer))
    }

    fn expected(&self) -> Outcome {
        match (&self.gives, &self.error) {
            (Some(gives), None) => {
                Ok((gives.clone(), latin1(self.rest.as_deref().unwrap_or_default())))
            }
            (None, Some(error)) => Err((error.clone(), self.status)),
            _ => panic!("{}: gives something or is an error", self.id),
        }
    }
}

/// Runs the vectors of a role every way, and lists what is not as the table says.
fn failures(role: Role) -> Vec<String> {
    let mut failures = vec![];
    let ours: Vec<_> = runnable().filter(|vector| vector.role == role).collect();
    assert!(ours.len() >= 45);
    for vector in ours {
        let (bytes, expected) = (vector.bytes(), Some(vector.expected()));
        let mut check = |how: String, outcome: Option<Outcome>| {
            if outcome != expected {
                failures.push(format!("{}, {how}: {outcome:?}", vector.id));
            }
        };
        check("whole".into(), vector.run(vector.eof, &mut [&bytes[..]].into_iter()));
        check("byte by byte".into(), vector.run(vector.eof, &mut bytes.chunks(1)));
        for at in 1..bytes.len() {
            let (a, b) = bytes.split_at(at);
            check(format!("cut at {at}"), vector.run(vector.eof, &mut [a, b].into_iter()));
        }
    }
    failures
}

#[test]
fn a_server_gives_what_the_table_says_however_the_bytes_arrive() {
    let failures = failures(Role::Server);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_client_gives_what_the_table_says_however_the_bytes_arrive() {
    let failures = failures(Role::Client);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_head_that_is_cut_short_is_neither_accepted_nor_wrong() {
    for vector in runnable().filter(|vector| vector.error.is_none()) {
        let bytes = vector.bytes();
        let rest = vector.rest.as_ref().map_or(0, |rest| latin1(rest).len());
        for end in 0..bytes.len() - rest {
            let cut = &bytes[..end];
            let waiting = vector.run(false, &mut [cut].into_iter());
            assert_eq!(waiting, None, "{} of {end} bytes", vector.id);
            let gone = vector.run(true, &mut [cut].into_iter());
            let eof = Some(Err(("Eof".to_owned(), None)));
            assert_eq!(gone, eof, "{} of {end} bytes", vector.id);
        }
    }
}

#[test]
fn the_table_is_in_order() {
    let table = table();
    let mut ids = BTreeSet::new();
    for vector in &table {
        let id = &vector.id;
        assert!(ids.insert(id), "{id} is there twice");
        assert!(vector.section.split("; ").all(is_section), "{id}: {}", vector.section);
        assert!(vector.rule.ends_with('.'), "{id}: a rule is a sentence");
        let follows = match vector.verdict {
            Verdict::MustAccept => vector.error.is_none(),
            Verdict::MustRefuse => vector.error.is_some(),
            Verdict::MayRefuse => vector.why.is_some(),
        };
        assert!(follows, "{id}: the verdict");
    }
}

/// `RFC 6455, 4.2.1`.
fn is_section(section: &str) -> bool {
    let Some((rfc, paragraph)) = section.strip_prefix("RFC ").and_then(|it| it.split_once(", "))
    else {
        return false;
    };
    let known = ["6455", "7692", "9110", "9112", "6454", "4648"];
    known.contains(&rfc) && paragraph.split('.').all(|part| part.parse::<u8>().is_ok())
}

/// The variants of an enum in its source, with their fields cut off.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).expect("the enum");
    let (body, _) = body.split_once("\n}").expect("its end");
    body.lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .map(|variant| variant.split('(').next().unwrap_or_default().to_owned())
        .filter(|variant| variant.chars().all(char::is_alphanumeric))
        .collect()
}

#[test]
fn every_reason_to_refuse_has_a_vector() {
    let seen = |role: Role| -> BTreeSet<String> {
        let of_role = table().into_iter().filter(move |vector| vector.role == role);
        of_role.filter_map(|vector| vector.error).collect()
    };
    let (server, client) = (seen(Role::Server), seen(Role::Client));
    for variant in variants(include_str!("../src/ws/handshake/server.rs"), "Rejection") {
        // What a user asks for wrongly is no matter of bytes.
        assert!(server.contains(&variant) || variant == "Field", "no vector for {variant}");
    }
    for variant in variants(include_str!("../src/ws/handshake/client.rs"), "Refusal") {
        let other = ["Timeout", "Request", "Extension"].contains(&&variant[..]);
        assert!(client.contains(&variant) || other, "no vector for {variant}");
    }
    let extensions = include_str!("../src/ws/handshake/extensions.rs");
    for variant in variants(extensions, "ExtensionError") {
        assert!(client.contains(&format!("Extension({variant})")), "no vector for {variant}");
    }
    assert!(server.contains(&name(Rejection::Origin)) && client.contains("Status"));
}
