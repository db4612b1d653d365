//! The table of vectors: `tests/vectors/*.json`, explained in `tests/vectors/README.md`.

use super::*;
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) role: Role,
    pub(crate) verdict: Verdict,
    pub(crate) section: String,
    pub(crate) rule: String,
    pub(crate) why: Option<String>,
    pub(crate) deviates: Option<String>,
    bytes: String,
    #[serde(default)]
    pub(crate) eof: bool,
    #[serde(default)]
    limits: LowerLimits,
    #[serde(default)]
    lenient: Vec<String>,
    #[serde(default = "one_get")]
    asks: Vec<String>,
    #[serde(default)]
    sent: Vec<String>,
    #[serde(default)]
    pub(crate) gives: Vec<Message>,
    pub(crate) then: Option<Then>,
    reason: Option<String>,
    pub(crate) rest: Option<String>,
    pub(crate) error: Option<String>,
    offset: Option<u64>,
    status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    MustAccept,
    MustRefuse,
    MayRefuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Then {
    Open,
    Close,
    Cut,
    Tunnel,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowerLimits {
    head: Option<usize>,
    headers: Option<usize>,
    chunk_line: Option<usize>,
    trailers: Option<usize>,
    body: Option<u64>,
}

/// A whole message.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    head: String,
    fields: Vec<String>,
    #[serde(default)]
    pub(crate) body: String,
    #[serde(default)]
    trailers: Vec<String>,
}

fn one_get() -> Vec<String> {
    vec!["GET".into()]
}

/// Reads the whole table.
pub(crate) fn table() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().unwrap() == "json").collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        !name.starts_with("ws_") && !name.starts_with("sse_")
    });
    files.sort();
    let read = |path| {
        let text = fs::read_to_string(&path).unwrap();
        serde_json::from_str::<Vec<Vector>>(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"))
    };
    files.into_iter().flat_map(read).collect()
}

/// The bytes that a string of Latin-1 stands for.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).expect("Latin-1")).collect()
}

fn to_latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn to_lines(lines: &Lines) -> Vec<String> {
    lines.iter().map(|(name, value)| format!("{name}: {}", to_latin1(value))).collect()
}

impl Vector {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        latin1(&self.bytes)
    }

    /// Whether tidewire takes it.
    pub(crate) fn is_accepted(&self) -> bool {
        self.error.is_none() && self.then != Some(Then::Cut)
    }

    /// Feeds `pieces` to the machine that reads them.
    pub(crate) fn feed<'a>(&self, eof: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Run {
        let lower = &self.limits;
        let usual = Limits::default();
        let limits = Limits {
            head: lower.head.unwrap_or(usual.head),
            headers: lower.headers.unwrap_or(usual.headers),
            chunk_line: lower.chunk_line.unwrap_or(usual.chunk_line),
            trailers: lower.trailers.unwrap_or(usual.trailers),
        };
        let mut setup = Setup { eof, ..Setup::default() };
        setup.server.limits = limits;
        setup.client.limits = limits;
        if let Some(body) = lower.body {
            setup.server.max_body = body;
            setup.client.max_body = body;
        }
        if self.role == Role::Server {
            return serve(&setup, pieces);
        }
        for flag in &self.lenient {
            let leniency = &mut setup.client.leniency;
            *match flag.as_str() {
                "obs_fold" => &mut leniency.obs_fold,
                "bare_lf" => &mut leniency.bare_lf,
                "space_before_colon" => &mut leniency.space_before_colon,
                "length_and_coding" => &mut leniency.length_and_coding,
                other => panic!("{}: no such leniency: {other}", self.id),
            } = true;
        }
        let methods: Vec<_> = self.asks.iter().map(String::as_str).collect();
        setup.client.pipeline_depth = methods.len();
        let sent = self.sent.iter().map(|line| line.split_once(": ").expect("name: value"));
        let fields: Vec<_> = [("Host", "h")].into_iter().chain(sent).collect();
        ask_with(&setup, &methods, &fields, pieces)
    }

    /// Whether the machine gave what the table says.
    pub(crate) fn check(&self, run: &Run) -> Result<(), String> {
        let given = messages(run);
        if given != self.gives {
            return Err(format!("gives {given:?}"));
        }
        let then = match run.closed() {
            Some(Closed::Protocol(error)) => {
                let got = (Some(format!("{:?}", error.kind)), Some(error.offset));
                if got != (self.error.clone(), self.offset) {
                    return Err(format!("{:?} at byte {}: {error}", error.kind, error.offset));
                }
                None
            }
            Some(Closed::Done) => Some(Then::Close),
            Some(Closed::Eof) => Some(Then::Cut),
            Some(why) => return Err(format!("{why:?}")),
            None if run.rest.is_some() => Some(Then::Tunnel),
            None => Some(Then::Open),
        };
        if then != self.then {
            return Err(format!("then {then:?}"));
        }
        if run.rest != self.rest.as_deref().map(latin1) {
            return Err(format!("leaves {:?}", run.rest));
        }
        let reason = run.reason.map(|reason| format!("{reason:?}"));
        let due = match then {
            Some(Then::Open | Then::Tunnel) => true,
            Some(Then::Close) => self.reason.is_some(),
            _ => false,
        };
        if due && reason != self.reason {
            return Err(format!("closes because of {reason:?}"));
        }
        match self.role {
            Role::Server => self.check_answers(run),
            Role::Client => Ok(()),
        }
    }

    /// A server has answered each request with `200`, and refused the last one, if any.
    fn check_answers(&self, run: &Run) -> Result<(), String> {
        let mut sent = String::from_utf8(run.sent.clone()).unwrap();
        if let Some(Closed::Protocol(error)) = run.closed() {
            let status = error.status_hint();
            if Some(status.code()) != self.status {
                return Err(format!("refuses with {status}"));
            }
            let refusal =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let Some(answers) = sent.strip_suffix(&refusal) else {
                return Err(format!("says {sent:?}"));
            };
            sent = answers.into();
        }
        let may_continue = |it: &Message| {
            it.head.ends_with("HTTP/1.1")
                && it.fields.iter().any(|line| line.starts_with("Expect: "))
        };
        if sent.contains("100 Continue") && !self.gives.iter().any(may_continue) {
            return Err(format!("asks unasked for the body: {sent:?}"));
        }
        let says_close = sent.contains("\r\nConnection: close\r\n");
        let closes = self.then == Some(Then::Close) && !self.eof;
        if sent.matches("HTTP/1.1 200 OK\r\n").count() != self.gives.len() || says_close != closes {
            return Err(format!("answers {sent:?}"));
        }
        Ok(())
    }
}

/// The whole messages of a run.
pub(crate) fn messages(run: &Run) -> Vec<Message> {
    let digit = |version: &Version| if *version == Version::Http10 { 0 } else { 1 };
    let response = |version, status, reason: &[u8], lines| Message {
        head: format!("HTTP/1.{} {status} {}", digit(version), to_latin1(reason)),
        fields: to_lines(lines),
        ..Message::default()
    };
    let mut whole = vec![];
    let mut part = None;
    for told in &run.told {
        match told {
            Told::Request(method, target, version, lines) => {
                part = Some(Message {
                    head: format!("{method} {target} HTTP/1.{}", digit(version)),
                    fields: to_lines(lines),
                    ..Message::default()
                });
            }
            Told::Informational(version, status, reason, lines) => {
                whole.push(response(version, status, reason, lines));
            }
            Told::Response(version, status, reason, lines) => {
                part = Some(response(version, status, reason, lines));
            }
            Told::Data(data) => part.as_mut().unwrap().body.push_str(&to_latin1(data)),
            Told::End(trailers) => {
                let message = part.take().unwrap();
                whole.push(Message { trailers: to_lines(trailers), ..message });
            }
            Told::Closed(_) => {}
        }
    }
    // A response that makes a tunnel has no end.
    if run.rest.is_some() {
        whole.extend(part);
    }
    whole
}
