//! What one side sends arrives at every other one.

use super::case::{Case, CloseFrame, End, Event, Message, Verdict, sent};
use super::{generate, subjects};
use fastrand::Rng;
use tidewire::ws::{Delivery, Role};

/// Sends a few messages from us to each peer and from each peer to us; the error says what differs.
pub fn check(rng: &mut Rng) -> Result<(), String> {
    let messages = generate::messages(rng);
    for sender in [Role::Client, Role::Server] {
        let receiver = if sender == Role::Client { Role::Server } else { Role::Client };
        for way in subjects::tidewire::WAYS {
            let bytes = subjects::tidewire::send(sender, &messages, *way, rng);
            if sent(sender, &bytes).as_ref() != Ok(&messages) {
                return Err(format!("{way:?} frames of ours are not {messages:?}"));
            }
            for peer in subjects::NAMES {
                let case = case(receiver, &bytes);
                let cuts = generate::cuts(bytes.len(), rng);
                arrives(&messages, &subjects::judge(peer, &case, &cuts))
                    .map_err(|why| format!("from us ({way:?}) to {peer}: {why}"))?;
            }
        }
        for peer in subjects::NAMES {
            let bytes = subjects::send(peer, sender, &messages);
            let case = case(receiver, &bytes);
            let cuts = generate::cuts(bytes.len(), rng);
            let delivery = if rng.bool() { Delivery::Whole } else { Delivery::Streaming };
            arrives(&messages, &subjects::tidewire::judge(&case, &cuts, delivery))
                .map_err(|why| format!("from {peer} to us: {why}"))?;
        }
    }
    Ok(())
}

fn case(role: Role, bytes: &[u8]) -> Case {
    Case {
        role,
        frames: vec![bytes.into()],
        close_at: None,
        max: 1 << 20,
        leniency: Default::default(),
    }
}

fn arrives(messages: &[Message], verdict: &Verdict) -> Result<(), String> {
    let mut end = End::Open;
    let mut events = Vec::new();
    for Message { opcode, payload } in messages {
        let payload = payload.clone();
        match opcode {
            1 => events.push(Event::Text(payload)),
            2 => events.push(Event::Binary(payload)),
            9 => events.push(Event::Ping(payload)),
            10 => events.push(Event::Pong(payload)),
            _ => end = End::Closed(CloseFrame::decode(&payload)),
        }
    }
    if verdict.events == events && verdict.end == end {
        Ok(())
    } else {
        Err(format!("{messages:?} arrive as {verdict}"))
    }
}
