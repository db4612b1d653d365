//! Those who receive and send.

pub mod tidewire;
pub mod tokio_websockets;
pub mod tungstenite;

use super::case::{Case, Message, Verdict};
use ::tidewire::ws::Role;

/// Who is compared with us.
pub const NAMES: [&str; 2] = ["tungstenite", "tokio-websockets"];

/// What the peer of this name makes of a case that comes in pieces.
pub fn judge(peer: &str, case: &Case, cuts: &[usize]) -> Verdict {
    match peer {
        "tungstenite" => tungstenite::judge(case, cuts),
        _ => tokio_websockets::judge(case, cuts),
    }
}

/// What the peer of this name sends for these messages.
pub fn send(peer: &str, role: Role, messages: &[Message]) -> Vec<u8> {
    match peer {
        "tungstenite" => tungstenite::send(role, messages),
        _ => tokio_websockets::send(role, messages),
    }
}

/// The pieces of `case`, cut at `cuts`, which ascend, and whether the subject begins to close behind
/// the piece.
fn pieces(case: &Case, cuts: &[usize]) -> Vec<(Vec<u8>, bool)> {
    let bytes = case.bytes();
    let mut ends: Vec<_> = cuts.iter().copied().chain(case.close_at).chain([bytes.len()]).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut from = 0;
    let mut pieces = Vec::new();
    for to in ends {
        pieces.push((bytes[from..to].into(), case.close_at == Some(to)));
        from = to;
    }
    pieces
}

/// A stream in memory. When its input is taken it has no more for now, or none at all.
#[derive(Debug, Default)]
pub struct Pipe {
    pub input: std::collections::VecDeque<u8>,
    pub ended: bool,
    pub output: Vec<u8>,
}

impl std::io::Read for Pipe {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.input.is_empty() && !self.ended {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        std::io::Read::read(&mut self.input, to)
    }
}

impl std::io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.output.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
