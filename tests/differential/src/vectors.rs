//! The vectors of `protocol/tests/vectors`: seeds, and a table of what everyone makes of them.

use crate::Peers;
use crate::case::{Asked, Case, latin1};
use crate::subjects::tidewire;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

pub struct Vector {
    pub id: String,
    pub verdict: String,
    pub section: String,
    pub case: Case,
}

/// What matters here of a record: its README explains them.
#[derive(Deserialize)]
struct Record {
    id: String,
    role: String,
    verdict: String,
    section: String,
    #[serde(with = "latin1")]
    bytes: Vec<u8>,
    #[serde(default)]
    limits: Option<Value>,
    #[serde(default)]
    lenient: Option<Value>,
    #[serde(default)]
    asks: Vec<String>,
    #[serde(default)]
    sent: Vec<String>,
}

/// Reads all files of a folder that are about HTTP, but for the vectors whose meaning lies in limits or
/// leniency.
pub fn read(folder: &str) -> Vec<Vector> {
    let entries = Path::new(folder).read_dir().unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().as_encoded_bytes();
        !name.starts_with(b"ws_") && !name.starts_with(b"sse_")
    });
    files.sort();
    let mut vectors = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let records: Vec<Record> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        vectors.extend(records.into_iter().filter_map(vector));
    }
    assert!(!vectors.is_empty(), "no vectors in {folder}");
    vectors
}

fn vector(record: Record) -> Option<Vector> {
    if record.limits.is_some() || record.lenient.is_some() {
        return None;
    }
    let upgrades = record.sent.iter().any(|line| line.to_ascii_lowercase().starts_with("upgrade:"));
    let asked = |method: &String| match method.as_str() {
        "HEAD" => Asked::Head,
        "CONNECT" => Asked::Connect,
        _ if upgrades => Asked::Upgrade,
        _ => Asked::Get,
    };
    let asked: Vec<_> = match record.role.as_str() {
        "server" => Vec::new(),
        _ if record.asks.is_empty() => vec![asked(&String::new())],
        _ => record.asks.iter().map(asked).collect(),
    };
    // Only these can be pipelined.
    let pipelined = asked.iter().all(|asked| matches!(asked, Asked::Get | Asked::Head));
    (asked.len() <= 1 || pipelined).then(|| Vector {
        id: record.id,
        verdict: record.verdict,
        section: record.section,
        case: Case::responses(&asked, record.bytes),
    })
}

/// Prints what everyone makes of each vector, as a table in Markdown.
pub fn table(vectors: &[Vector], peers: &mut Peers) {
    let names = peers.names();
    println!("| vector | section | the standard | tidewire | {} |", names.join(" | "));
    println!("|---|---|---|---|{}", "---|".repeat(names.len()));
    for Vector { id, verdict, section, case } in vectors {
        let ours = tidewire::judge(case).word();
        let theirs: Vec<_> = names
            .iter()
            .filter_map(|peer| peers.judge(peer, case))
            .map(|(_, theirs)| theirs.word())
            .collect();
        println!("| {id} | {section} | {verdict} | {ours} | {} |", theirs.join(" | "));
    }
}
