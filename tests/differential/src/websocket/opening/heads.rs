//! Requests and answers of opening handshakes, right and not quite.

use fastrand::Rng;

/// A request, or an answer to one.
#[derive(Clone, Debug)]
pub struct Head {
    /// The subprotocols that were offered by the request to which this is the answer.
    pub offered: Option<&'static [&'static str]>,
    /// The first line.
    pub start: &'static str,
    /// `ACCEPT` stands for the answer to the key.
    pub fields: Vec<(&'static str, &'static str)>,
}

pub const ACCEPT: &str = "ACCEPT";

impl Head {
    pub fn encode(&self, answer: &str) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.fields {
            text += &format!("{name}: {}\r\n", value.replace(ACCEPT, answer));
        }
        (text + "\r\n").into_bytes()
    }

    /// The values of all fields of this name, without the whitespace around them (RFC 9110, 5.5).
    pub fn values(&self, name: &str) -> Vec<&'static str> {
        let named = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    }

    /// The members of the list that these values are together (RFC 9110, 5.6.1).
    pub fn list(&self, name: &str) -> Vec<&'static str> {
        let values = self.values(name);
        let members = values.iter().flat_map(|value| value.split(','));
        members.map(|member| member.trim_matches([' ', '\t'])).filter(|m| !m.is_empty()).collect()
    }
}

/// A good request.
pub fn request() -> Head {
    Head {
        offered: None,
        start: "GET /chat HTTP/1.1",
        fields: vec![
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ],
    }
}

/// A good answer.
pub fn answer() -> Head {
    Head {
        offered: Some(&[]),
        start: "HTTP/1.1 101 Switching Protocols",
        fields: vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPT),
        ],
    }
}

const STARTS: &[&str] = &["GET /chat HTTP/1.0", "POST /chat HTTP/1.1", "get /chat HTTP/1.1"];

const STATUSES: &[&str] = &[
    "HTTP/1.1 101 ",
    "HTTP/1.1 101 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 403 Forbidden",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 102 Processing",
    "HTTP/1.0 101 Switching Protocols",
];

const VALUES: &[(&str, &[&str])] = &[
    (
        "Upgrade",
        &[
            "WebSocket",
            "WEBSOCKET",
            "h2c",
            "websocket, h2c",
            "h2c, websocket",
            "websocket/13",
            "websocke",
            "websockets",
            "",
            "web socket",
            "\"websocket\"",
            "websocket,",
            ",websocket",
        ],
    ),
    (
        "Connection",
        &[
            "upgrade",
            "UPGRADE",
            "keep-alive, Upgrade",
            "Upgrade,keep-alive",
            "keep-alive",
            "keep-alive Upgrade",
            "close, Upgrade",
            "Upgrade;",
            "Up grade",
            "",
            ", Upgrade ,",
            "upgrades",
        ],
    ),
    ("Sec-WebSocket-Version", &["8", "", "13, 8", "8, 13", "013", " 13 ", "+13", "14", "13;"]),
    (
        "Sec-WebSocket-Key",
        &[
            "AQIDBAUGBwgJCgsMDQ4PEA==",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZWE=",
            "dGhlIHNhbXBsZSBub25jZR==",
            "====",
            "dGhlIHNhbXBsZSBub25jZQ==, AQIDBAUGBwgJCgsMDQ4PEA==",
            "dGhlIHNhbXBsZSBub25-ZQ==",
            "dGhlIHNhbXBsZSBub 5jZQ==",
            "  dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ===",
        ],
    ),
    (
        "Sec-WebSocket-Accept",
        &[
            "",
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "xACCEPT",
            "ACCEPTx",
            "  ACCEPT  ",
            "ACCEPT, ACCEPT",
            "\"ACCEPT\"",
        ],
    ),
    (
        "Sec-WebSocket-Protocol",
        &["chat", "superchat", "Chat", "soap", "chat, superchat", "", "chat,", "cha t", "\"chat\""],
    ),
    ("Sec-WebSocket-Extensions", &["permessage-deflate", "x-unknown; a=1", "a, b"]),
    ("Host", &["example.com:80", "[::1]:80"]),
    ("Origin", &["http://example.com"]),
];

const NAMES: &[(&str, &str)] = &[
    ("Upgrade", "UPGRADE"),
    ("Connection", "connection"),
    ("Sec-WebSocket-Key", "sec-websocket-key"),
    ("Sec-WebSocket-Version", "SEC-WEBSOCKET-VERSION"),
    ("Sec-WebSocket-Accept", "sec-websocket-accept"),
    ("Host", "host"),
];

/// A request or an answer with up to three things changed.
pub fn generate(rng: &mut Rng) -> Head {
    let mut head = if rng.bool() { request() } else { answer() };
    if head.offered.is_some() && rng.bool() {
        head.offered = Some(&["chat", "superchat"]);
    }
    for _ in 0..rng.usize(..4) {
        let (name, values) = VALUES[rng.usize(..VALUES.len())];
        let value = values[rng.usize(..values.len())];
        let at = rng.usize(..=head.fields.len());
        let there = head.fields.iter().position(|(other, _)| *other == name);
        match (rng.u8(..12), there) {
            (0, _) => {
                let starts = if head.offered.is_some() { STATUSES } else { STARTS };
                head.start = starts[rng.usize(..starts.len())];
            }
            (1, Some(there)) => drop(head.fields.remove(there)),
            (2, Some(there)) => head.fields.insert(at, head.fields[there]),
            (3, _) => {
                let (from, to) = NAMES[rng.usize(..NAMES.len())];
                for field in head.fields.iter_mut().filter(|field| field.0 == from) {
                    field.0 = to;
                }
            }
            (4, _) => head.fields.insert(at, (name, value)),
            (5, _) => rng.shuffle(&mut head.fields),
            (_, Some(there)) => head.fields[there].1 = value,
            (_, None) => head.fields.insert(at, (name, value)),
        }
    }
    head
}
