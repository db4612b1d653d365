//! Two verdicts of one case, side by side; and ours beside what RFC 6455 says.

use super::case::{Case, End, Message, Verdict};
use super::model::{self, Model};

/// How two verdicts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// We take what the peer refuses.
    WeAccept,
    /// The peer takes what we refuse.
    WeRefuse,
    /// Both take it and understand something else.
    Meaning,
    /// Both refuse it, with different codes.
    Code,
    /// Both take it, and answer differently.
    Answer,
}

/// What comes of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Same,
    /// One of us has refused a frame that the other waits for the rest of.
    OneWaits,
    Clash(Kind),
}

/// Compares what we make of `case` with what a peer makes of it.
pub fn compare(case: &Case, model: &Model, ours: &Verdict, theirs: &Verdict) -> Outcome {
    use Outcome::{Clash, OneWaits, Same};
    let common = ours.events.iter().zip(&theirs.events).take_while(|(a, b)| a == b).count();
    let (we_go_on, they_go_on) = (common < ours.events.len(), common < theirs.events.len());
    let fails = |verdict: &Verdict| matches!(verdict.end, End::Failed { .. });
    match (we_go_on, they_go_on) {
        (true, true) => return Clash(Kind::Meaning),
        (true, false) if fails(theirs) => return Clash(Kind::WeAccept),
        (false, true) if fails(ours) => return Clash(Kind::WeRefuse),
        (false, false) => {}
        _ => return Clash(Kind::Meaning),
    }
    let is_whole = |end| end <= case.bytes().len() as u128;
    let waits = !model.frame_end.is_some_and(is_whole);
    match (&ours.end, &theirs.end) {
        (End::Failed { code: a, .. }, End::Failed { code: b, .. }) if a != b => {
            return Clash(Kind::Code);
        }
        (End::Failed { .. }, End::Failed { .. }) => {}
        (End::Failed { .. }, End::Open) if waits => return OneWaits,
        (End::Open, End::Failed { .. }) if waits => return OneWaits,
        (End::Failed { .. }, End::Open) => return Clash(Kind::WeRefuse),
        (End::Failed { .. }, End::Closed(_)) => return Clash(Kind::WeRefuse),
        (_, End::Failed { .. }) => return Clash(Kind::WeAccept),
        (a, b) if a != b => return Clash(Kind::Meaning),
        _ => {}
    }
    // A peer may keep the reason, or the close of a failed connection, to itself.
    let answers = |verdict: &Verdict| -> Vec<Message> {
        let kept = |message: &&Message| message.opcode == 10 || !fails(verdict);
        let code = |message: &Message| {
            let mut message = message.clone();
            if message.opcode == 8 {
                message.payload.truncate(2);
            }
            message
        };
        verdict.sent.iter().filter(kept).map(code).collect()
    };
    if answers(ours) == answers(theirs) { Same } else { Clash(Kind::Answer) }
}

/// Compares what we make of `case` with what RFC 6455 says; the error says what is wrong.
pub fn conforms(
    case: &Case,
    model: &Model,
    ours: &Verdict,
    streaming: bool,
) -> Result<(), &'static str> {
    if ours.events != model.events {
        return Err("other events");
    }
    // What was told of a message that has not ended: all of it, or some if what follows is wrong.
    let told = match (&ours.partial, &model.partial, &ours.end) {
        (None, None, _) => true,
        (None, _, _) if !streaming => true,
        (Some(a), Some(b), End::Failed { .. }) => a.0 == b.0 && b.1.starts_with(&a.1),
        (Some(a), Some(b), _) => a == b,
        (None, Some(_), End::Failed { .. }) => true,
        _ => false,
    };
    if !told {
        return Err("another piece of a message");
    }
    let before = case.close_at.map(|at| model::receive(case, &case.bytes()[..at]));
    // Whether our Close was sent before the peer's, or a fault, has come.
    let closes = match before.as_ref().map(|before| &before.end) {
        Some(model::End::Open(faults)) if !faults.is_empty() => None,
        Some(model::End::Open(_)) => Some(true),
        _ => Some(false),
    };
    let mut expected = model.sent.clone();
    match (&model.end, &ours.end, ours.fault) {
        (model::End::Open(_), End::Open, None) => {}
        (model::End::Closed(expected), End::Closed(close), None) if close == expected => {
            if closes.is_some_and(|closes| ours.ours != Some(closes)) {
                return Err("another initiator");
            }
        }
        (
            model::End::Failed(faults) | model::End::Open(faults),
            End::Failed { code, .. },
            Some((kind, at)),
        ) => {
            if !faults.contains(&(kind, at as usize)) {
                return Err("another fault");
            }
            if *code != model::close_code(kind) {
                return Err("another close code");
            }
            expected.push(Message { opcode: 8, payload: code.to_be_bytes().into() });
        }
        _ => return Err("another end"),
    }
    match (closes, before) {
        (None, _) => return Ok(()),
        // 5.5.1: nothing is sent after a Close.
        (Some(true), Some(before)) => {
            expected = before.sent;
            expected.push(Message { opcode: 8, payload: 1000_u16.to_be_bytes().into() });
        }
        _ => {}
    }
    if ours.sent == expected { Ok(()) } else { Err("other answers") }
}

/// The code of the peer's Close, if it was taken.
pub fn code(verdict: &Verdict) -> Option<u16> {
    match &verdict.end {
        End::Closed(close) => Some(close.code),
        _ => None,
    }
}
