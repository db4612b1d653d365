//! What is fed, and what a subject makes of it.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What a client asked for, on which the framing of the response depends (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Asked {
    Get,
    Head,
    Connect,
    /// A GET with `Upgrade: websocket`.
    Upgrade,
}

/// One side of a connection: what came in, followed by the end of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The requests whose responses these are; none says that these are requests.
    pub asked: Vec<Asked>,
    #[serde(with = "latin1")]
    pub bytes: Vec<u8>,
}

impl Case {
    pub fn requests(bytes: impl Into<Vec<u8>>) -> Self {
        Self { asked: Vec::new(), bytes: bytes.into() }
    }

    pub fn responses(asked: &[Asked], bytes: impl Into<Vec<u8>>) -> Self {
        Self { asked: asked.into(), bytes: bytes.into() }
    }

    pub fn is_requests(&self) -> bool {
        self.asked.is_empty()
    }

    pub fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self { asked: self.asked.clone(), bytes }
    }
}

/// A field line: name and value, as they were sent, but for the whitespace around the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field(#[serde(with = "latin1")] pub Vec<u8>, #[serde(with = "latin1")] pub Vec<u8>);

/// One message, as far as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Method and target, or status and reason phrase.
    #[serde(with = "latin1")]
    pub first: Vec<u8>,
    #[serde(with = "latin1")]
    pub second: Vec<u8>,
    /// 0 for HTTP/1.0, 1 for all later ones of the same major version (RFC 9110, 6.2).
    pub minor: u8,
    pub fields: Vec<Field>,
    #[serde(with = "latin1")]
    pub body: Vec<u8>,
    pub trailers: Vec<Field>,
    /// Whether another message may follow this one, where the subject says so.
    pub keep_alive: Option<bool>,
    /// Whether the end of the message has been seen.
    pub complete: bool,
}

/// How the stream went on behind the last message, or in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Between two messages, with so many bytes that belong to none of them.
    Complete { surplus: usize },
    /// The subject waited for more when the stream ended.
    Incomplete,
    /// The subject refused it: why, and at which byte, if it says.
    Refused { why: String, at: Option<usize> },
    /// The subject says nothing of what follows.
    Unknown,
}

/// What a subject makes of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub messages: Vec<Message>,
    pub end: End,
}

impl Verdict {
    /// In a word or two, for tables.
    pub fn word(&self) -> &'static str {
        match self.end {
            End::Complete { surplus: 1.. } => "accepts, leaves some",
            End::Complete { .. } | End::Unknown => "accepts",
            End::Incomplete => "waits",
            End::Refused { .. } => "refuses",
        }
    }
}

/// Bytes as a Rust byte string without its quotes.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'"' | b'\\' => {
                text.push('\\');
                text.push(byte.into());
            }
            b' '..=b'~' => text.push(byte.into()),
            _ => write!(text, "\\x{byte:02x}").expect("a String takes everything"),
        }
    }
    text
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Bytes as JSON strings: each byte is the character of the same number, which is what Python calls
/// `latin-1` and Node.js `latin1`.
pub mod latin1 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(from)?
            .chars()
            .map(|char| u8::try_from(char).map_err(|_| D::Error::custom("not a byte")))
            .collect()
    }
}
