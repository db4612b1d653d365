//! The differences from our peers that are meant to be, each with the paragraph that asks for what we
//! do, or allows it, and with an example, which is tried with every run.

use super::case::{Case, End, Event, Verdict};
use super::compare::{self, Kind};
use super::model::{self, Model};
use tidewire::ws::ProtocolErrorKind::{self, *};
use tidewire::ws::Role;

/// A class of differences, and its reason.
pub struct Reason {
    /// What it is called in the summary.
    pub name: &'static str,
    pub peers: &'static [&'static str],
    pub kinds: &'static [Kind],
    pub rfc: &'static str,
    pub why: &'static str,
    /// What a client that shows it with every peer receives.
    pub example: &'static [u8],
    /// Whether that client has begun to close.
    pub closing: bool,
    /// How many bytes it takes for one message.
    pub max: usize,
    /// Whether a difference of these kinds with one of these peers belongs to the class.
    pub applies: fn(&Facts<'_>) -> bool,
}

/// All that is known of a difference.
pub struct Facts<'a> {
    pub case: &'a Case,
    pub peer: &'a str,
    pub model: &'a Model,
    pub ours: &'a Verdict,
    pub theirs: &'a Verdict,
    pub kind: Kind,
}

/// The reason for a difference, if it has one.
pub fn explain(facts: &Facts<'_>) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| {
        reason.peers.contains(&facts.peer)
            && reason.kinds.contains(&facts.kind)
            && (reason.applies)(facts)
    })
}

impl Reason {
    pub fn example(&self) -> Case {
        let close_at = self.closing.then_some(0);
        Case {
            role: Role::Client,
            frames: vec![self.example.into()],
            close_at,
            max: self.max,
            leniency: Default::default(),
        }
    }
}

impl Facts<'_> {
    /// Whether the frame that we refuse has this fault, among others perhaps.
    fn is_one_of(&self, kind: ProtocolErrorKind) -> bool {
        matches!(&self.model.end, model::End::Failed(faults)
            if faults.iter().any(|(fault, _)| *fault == kind))
    }

    fn we_say(&self, kind: ProtocolErrorKind) -> bool {
        self.ours.fault.is_some_and(|(ours, _)| ours == kind)
    }

    /// Whether the peer refuses it, with words among which these are.
    fn they_say(&self, words: &str) -> bool {
        matches!(&self.theirs.end, End::Failed { why, .. } if why.contains(words))
    }
}

pub static REASONS: &[Reason] = &[
    Reason {
        name: "a length that is not in its shortest form",
        peers: &["tungstenite"],
        kinds: &[Kind::WeRefuse, Kind::Code],
        rfc: "RFC 6455, 5.2",
        why: "In all cases the minimal number of bytes MUST be used.",
        example: b"\x82\x7e\0\x01a",
        closing: false,
        max: 300,
        applies: |f| f.is_one_of(LengthNotMinimal),
    },
    Reason {
        name: "a fault, and a length above the limit",
        peers: &["tungstenite", "tokio-websockets"],
        kinds: &[Kind::Code],
        rfc: "RFC 6455, 7.4.1 and 10.4",
        why: "Which of two faults is told is open; we tell the one that no limit of ours can mend.",
        example: b"\x82\x7f\x80\0\0\0\0\0\0\0",
        closing: false,
        max: 300,
        applies: |f| {
            let late =
                f.we_say(InvalidUtf8) || f.we_say(InvalidCloseCode) || f.we_say(TruncatedCloseCode);
            !late && (f.they_say("Space limit exceeded") || f.they_say("exceeds the limit"))
        },
    },
    Reason {
        name: "a bad code and a bad reason in one Close",
        peers: &["tungstenite"],
        kinds: &[Kind::Code],
        rfc: "RFC 6455, 7.4 and 8.1",
        why: "Which of two faults is told is open; the code comes first.",
        example: b"\x88\x03\0\0\xff",
        closing: false,
        max: 300,
        applies: |f| f.is_one_of(InvalidCloseCode) && f.is_one_of(InvalidUtf8),
    },
    Reason {
        name: "a fragment above the limit that is no text either",
        peers: &["tokio-websockets"],
        kinds: &[Kind::Code],
        rfc: "RFC 6455, 10.4",
        why: "A limit is for what is not worth looking at: the header is enough to refuse it.",
        example: &ABOVE_THE_LIMIT,
        closing: false,
        max: 300,
        applies: |f| f.we_say(MessageTooBig) && f.they_say("invalid utf-8"),
    },
    Reason {
        name: "a limit for messages that a control frame exceeds",
        peers: &["tungstenite", "tokio-websockets"],
        kinds: &[Kind::WeAccept],
        rfc: "RFC 6455, 5.4 and 10.4",
        why: "A control frame is no part of a message, and its size is bounded by itself.",
        example: b"\x89\x0baaaaaaaaaaa",
        closing: false,
        max: 10,
        applies: |f| {
            let too_long = f.they_say("Space limit exceeded") || f.they_say("exceeds the limit");
            too_long && f.case.max < 125
        },
    },
    Reason {
        name: "close code 1014",
        peers: &["tungstenite"],
        kinds: &[Kind::WeAccept],
        rfc: "RFC 6455, 7.4.2 and 11.7",
        why: "The registry that 11.7 founds has it: bad gateway.",
        example: b"\x88\x02\x03\xf6",
        closing: false,
        max: 300,
        applies: |f| compare::code(f.ours) == Some(1014) && f.they_say("Protocol violation"),
    },
    Reason {
        name: "a bad code in the answer to our Close",
        peers: &["tungstenite"],
        kinds: &[Kind::WeRefuse],
        rfc: "RFC 6455, 7.4.1 and 7.4.2",
        why: "Such a code MUST NOT be set in a Close frame, whoever sends it first.",
        example: b"\x88\x02\0\0",
        closing: true,
        max: 300,
        applies: |f| {
            f.we_say(InvalidCloseCode)
                && f.case.close_at.is_some()
                && matches!(f.theirs.end, End::Closed(_))
        },
    },
    Reason {
        name: "a text whose last fragment is empty and cuts a character",
        peers: &["tokio-websockets"],
        kinds: &[Kind::WeRefuse],
        rfc: "RFC 6455, 5.6 and 8.1",
        why: "The whole message MUST be UTF-8.",
        example: b"\x01\x01\xc3\x80\0",
        closing: false,
        max: 300,
        applies: |f| {
            let is_none = |event: &Event| matches!(event, Event::Text(text) if std::str::from_utf8(text).is_err());
            f.we_say(InvalidUtf8) && f.theirs.events.iter().any(is_none)
        },
    },
];

/// A fragment of 299 bytes, and 2 more that begin no character.
const ABOVE_THE_LIMIT: [u8; 307] = {
    let mut bytes = [b'a'; 307];
    bytes[0] = 0x01;
    bytes[1] = 126;
    bytes[2] = 1;
    bytes[3] = 43;
    bytes[303] = 0x80;
    bytes[304] = 2;
    bytes[305] = 0xff;
    bytes[306] = 0xff;
    bytes
};
