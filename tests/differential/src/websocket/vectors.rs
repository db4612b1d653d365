//! The vectors of `protocol/tests/vectors` as cases: what comes of them must be explained too.

use super::case::Case;
use serde::Deserialize;
use tidewire::ws::{Leniency, Role};

/// What matters here of a record: its README explains them.
#[derive(Deserialize)]
struct Record {
    role: String,
    hex: String,
    #[serde(default = "mebibyte")]
    max_message: usize,
}

fn mebibyte() -> usize {
    1 << 20
}

pub fn read(folder: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(format!("{folder}/ws_frames.json")).expect("the vectors");
    let records: Vec<Record> = serde_json::from_str(&text).expect("vectors");
    records.iter().map(case).collect()
}

fn case(record: &Record) -> Case {
    let role = if record.role == "client" { Role::Client } else { Role::Server };
    let frames = record.hex.split("  ").map(bytes).collect();
    let max = record.max_message;
    Case { role, frames, close_at: None, max, leniency: Leniency::default() }
}

/// The bytes of `818537 61*300`.
fn bytes(hex: &str) -> Vec<u8> {
    let digits = |hex: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    hex.split_ascii_whitespace()
        .flat_map(|word| match word.split_once('*') {
            Some((hex, times)) => digits(hex).repeat(times.parse().expect("a number")),
            None => digits(word),
        })
        .collect()
}
