//! Compressed messages from a peer that compresses them as it likes.

use super::ws;
use tidewire::ws::{Connection, DeflateConfig, DeflateParams, Negotiated};
use tidewire::{Instant, Seed};

/// What the first byte says.
const FROM_SERVER: u8 = 0x01;
const TEXT: u8 = 0x02;
const NO_CONTEXT_TAKEOVER: u8 = 0x04;
/// Less 8, at this bit.
const WINDOW_BITS: u8 = 3;
/// Behind each frame of a message comes a ping.
const PINGS: u8 = 0x40;
const THRESHOLD_0: u8 = 0x80;

/// The first byte says what was agreed on. Behind it are payloads of compressed messages, each with a
/// byte before it: its length, and in the top bit whether the message goes on.
///
/// What is inflated never exceeds the limit, and the messages are the same in any cut and delivery.
///
/// # Panics
/// If a promise is broken.
pub fn ws_inflate(data: &[u8]) {
    let Some((&how, payloads)) = data.split_first() else { return };
    let bits = 8 + (how >> WINDOW_BITS & 7);
    let fresh = how & NO_CONTEXT_TAKEOVER != 0;
    let from_server = how & FROM_SERVER != 0;
    let params = DeflateParams {
        server_no_context_takeover: fresh || !from_server,
        client_no_context_takeover: fresh || from_server,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let threshold = if how & THRESHOLD_0 == 0 { 64 } else { 0 };
    let config = DeflateConfig { threshold, level: 1, ..DeflateConfig::default() };
    let agreed = Negotiated::default().with_deflate(params, &config);

    let stream = frames(how, payloads);
    ws::same_however_delivered(&stream, |config| match from_server {
        true => Connection::client(config, agreed, &Seed::new([7; 32]), Instant::EPOCH),
        false => Connection::server(config, agreed, Instant::EPOCH),
    });
}

fn frames(how: u8, mut payloads: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut inside = false;
    while let Some((&head, rest)) = payloads.split_first() {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(head & 0x7F)));
        let ends = head & 0x80 == 0;
        let first = match inside {
            true => 0,
            false => 0x40 | if how & TEXT != 0 { 1 } else { 2 },
        };
        frame(how, first | if ends { 0x80 } else { 0 }, payload, &mut stream);
        if how & PINGS != 0 {
            frame(how, 0x89, b"?", &mut stream);
        }
        inside = !ends;
        payloads = rest;
    }
    stream
}

/// Masked with a key of zeros, if it comes from a client.
fn frame(how: u8, first: u8, payload: &[u8], stream: &mut Vec<u8>) {
    stream.push(first);
    let mask = if how & FROM_SERVER == 0 { 0x80 } else { 0 };
    match payload.len() {
        126.. => stream.extend([mask | 126, 0, payload.len() as u8]),
        len => stream.push(mask | len as u8),
    }
    if mask != 0 {
        stream.extend([0; 4]);
    }
    stream.extend(payload);
}
