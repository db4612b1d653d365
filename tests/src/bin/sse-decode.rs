//! Decodes event streams for others to compare: a line in is a stream, as pieces in hexadecimal digits
//! with commas between; a line out is what is in it, as JSON.
//!
//! `{"items": [{"type", "data", "id"}, {"comment"}, {"retry"}], "last": "..."}`; times are texts, because
//! JavaScript's numbers end before they do.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, Write as _};
use tidewire::RecvBuf;
use tidewire::sse::{Decoded, Decoder, Limits};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let Some(items) = decode(&line?) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not hexadecimal digits"));
        };
        writeln!(out, "{items}")?;
    }
    out.flush()
}

/// What is in the stream whose pieces these are.
fn decode(line: &str) -> Option<String> {
    let mut rx = RecvBuf::with_limit(32 << 20);
    let mut decoder = Decoder::new(Limits::default());
    let mut items = Vec::new();
    for digits in line.split(',') {
        let piece = bytes(digits)?;
        if rx.push(&piece) < piece.len() {
            return None;
        }
        rx.keep(piece.len());
        loop {
            items.push(match decoder.poll(&mut rx) {
                Ok(None) => break,
                Ok(Some(Decoded::Event(event))) => format!(
                    r#"{{"type":{},"data":{},"id":{}}}"#,
                    json(event.event_type),
                    json(event.data),
                    json(event.last_event_id)
                ),
                Ok(Some(Decoded::Comment(text))) => format!(r#"{{"comment":{}}}"#, json(text)),
                Ok(Some(Decoded::Retry(time))) => format!(r#"{{"retry":"{}"}}"#, time.as_millis()),
                Err(_) => return None,
            });
        }
    }
    let last = json(decoder.last_event_id());
    Some(format!(r#"{{"items":[{}],"last":{last}}}"#, items.join(",")))
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// A text as JSON.
fn json(text: &str) -> String {
    let mut json = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            // A `String` takes everything.
            '\0'..=' ' => drop(write!(json, "\\u{:04x}", u32::from(char))),
            _ => json.push(char),
        }
    }
    json.push('"');
    json
}
