//! Two verdicts of one case, side by side.

use crate::case::{Case, End, Message, Verdict, contains};

/// How two verdicts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// We take what the peer refuses.
    WeAccept,
    /// The peer takes what we refuse.
    WeRefuse,
    /// We wait for more of what the peer refuses.
    WeWait,
    /// Both take it and understand something else.
    Meaning,
}

/// A difference, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub kind: Kind,
    /// The number of the message in which it lies.
    pub message: usize,
    /// Which part, for a difference in meaning.
    pub part: &'static str,
}

/// What comes of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Same,
    /// We have refused what the peer has not looked at yet: it waits for the end of a line.
    PeerWaits,
    Clash(Clash),
}

/// Compares what we make of `case` with what a peer makes of it.
pub fn compare(case: &Case, ours: &Verdict, theirs: &Verdict) -> Outcome {
    for number in 0.. {
        let clash = |kind, part| Outcome::Clash(Clash { kind, message: number, part });
        let (a, b) = (ours.messages.get(number), theirs.messages.get(number));
        if let (Some(a), Some(b)) = (a, b) {
            if let Some(part) = heads_differ(a, b) {
                return clash(Kind::Meaning, part);
            }
            if theirs.end == End::Unknown && !b.complete {
                return Outcome::Same;
            }
            let common = a.body.len().min(b.body.len());
            let same_length = a.body.len() == b.body.len() || !a.complete || !b.complete;
            if a.body[..common] != b.body[..common] || !same_length {
                return clash(Kind::Meaning, "body");
            }
            if a.complete && b.complete {
                if a.trailers != b.trailers {
                    return clash(Kind::Meaning, "trailers");
                }
                let both = a.keep_alive.zip(b.keep_alive);
                if both.is_some_and(|(a, b)| a != b) {
                    return clash(Kind::Meaning, "keep-alive");
                }
                continue;
            }
        }
        // Where it went on is the message's completion; what is over has no end here.
        let went_on = |message: Option<&Message>, other: Option<&Message>| match message {
            Some(message) => message.complete || other.is_none(),
            None => false,
        };
        let ours_end = (!went_on(a, b)).then_some(&ours.end);
        let their_end = (!went_on(b, a)).then_some(&theirs.end);
        return match (ours_end, their_end) {
            (Some(End::Unknown), _) | (_, Some(End::Unknown)) => Outcome::Same,
            (Some(End::Refused { .. }), Some(End::Refused { .. })) => Outcome::Same,
            (Some(End::Refused { at, .. }), Some(End::Incomplete)) => {
                let rest = &case.bytes[at.unwrap_or_default().min(case.bytes.len())..];
                // The peer has all of the line, or of the trailer section, and says nothing.
                let ended = contains(rest, b"\r\n\r\n");
                if a.is_some() && ended {
                    clash(Kind::WeRefuse, "waits")
                } else {
                    Outcome::PeerWaits
                }
            }
            // Both refuse the message, the peer before it has told anything of its body.
            (Some(End::Refused { .. }), None)
                if b.is_some_and(|b| !b.complete && b.body.is_empty())
                    && matches!(theirs.end, End::Refused { .. }) =>
            {
                Outcome::Same
            }
            (Some(End::Refused { .. }), _) => clash(Kind::WeRefuse, ""),
            (Some(End::Incomplete), Some(End::Refused { .. })) => clash(Kind::WeWait, ""),
            (_, Some(End::Refused { .. })) => clash(Kind::WeAccept, ""),
            (Some(End::Incomplete), Some(End::Incomplete)) => Outcome::Same,
            (Some(End::Complete { surplus: a }), Some(End::Complete { surplus: b })) => {
                if a == b {
                    Outcome::Same
                } else {
                    clash(Kind::Meaning, "surplus")
                }
            }
            (Some(End::Incomplete), _) => clash(Kind::Meaning, "we wait"),
            (_, Some(End::Incomplete)) => clash(Kind::Meaning, "the peer waits"),
            (Some(End::Complete { .. }), None) => clash(Kind::Meaning, "one message less"),
            (None, Some(End::Complete { .. }) | None) => clash(Kind::Meaning, "one message more"),
        };
    }
    unreachable!("verdicts are finite")
}

fn heads_differ(a: &Message, b: &Message) -> Option<&'static str> {
    if a.first != b.first {
        return Some("method or status");
    }
    if a.second != b.second {
        return Some("target or reason");
    }
    if a.minor != b.minor {
        return Some("version");
    }
    (a.fields != b.fields).then_some("fields")
}
