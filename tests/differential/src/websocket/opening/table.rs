//! Where we and tungstenite judge opening handshakes differently, and who is right.

use super::Verdict;
use super::heads::{ACCEPT, Head, answer, request};

/// A class of differences, and its reason.
pub struct Reason {
    pub name: &'static str,
    pub rfc: &'static str,
    pub why: &'static str,
    pub example: fn() -> Head,
    /// Whether we have accepted it, and tungstenite not, or the other way round.
    pub accepted: bool,
    applies: fn(&Head) -> bool,
}

/// The reason for a difference, if it has one.
pub fn explain(head: &Head, ours: &Verdict) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.accepted == ours.is_ok() && (reason.applies)(head))
}

fn with(mut head: Head, name: &'static str, value: &'static str) -> Head {
    match head.fields.iter_mut().find(|field| field.0 == name) {
        Some(field) => field.1 = value,
        None => head.fields.push((name, value)),
    }
    head
}

fn twice(mut head: Head, name: &'static str, value: &'static str) -> Head {
    head.fields.push((name, value));
    head
}

fn is_answer(head: &Head) -> bool {
    head.offered.is_some()
}

/// Whether the first field of this name is not just this word.
fn is_more_than(head: &Head, name: &str, word: &str) -> bool {
    head.values(name).first().is_none_or(|first| !first.eq_ignore_ascii_case(word))
}

pub static REASONS: &[Reason] = &[
    Reason {
        name: "websocket among other protocols in a request's Upgrade",
        rfc: "RFC 6455, 4.2.1, item 3, and RFC 9110, 7.8",
        why: "The field is a list that contains the value.",
        example: || with(request(), "Upgrade", "websocket, h2c"),
        accepted: true,
        applies: |head| !is_answer(head) && is_more_than(head, "Upgrade", "websocket"),
    },
    Reason {
        name: "Upgrade in another Connection field than the first",
        rfc: "RFC 9110, 5.3 and 7.6.1",
        why: "Fields of one name are one list.",
        example: || {
            let head = with(request(), "Connection", "keep-alive");
            twice(head, "Connection", "Upgrade")
        },
        accepted: true,
        applies: |head| {
            let first = head.values("Connection").first().copied().unwrap_or_default();
            let has = |part: &str| part.eq_ignore_ascii_case("Upgrade");
            !is_answer(head) && !first.split([' ', ',']).any(has)
        },
    },
    Reason {
        name: "a list in an answer's Connection",
        rfc: "RFC 6455, 4.1, item 3",
        why: "The field contains a token that matches; there may be others.",
        example: || with(answer(), "Connection", "keep-alive, Upgrade"),
        accepted: true,
        applies: |head| is_answer(head) && is_more_than(head, "Connection", "Upgrade"),
    },
    Reason {
        name: "an answer without a subprotocol where some were offered",
        rfc: "RFC 6455, 4.1, item 6, and 4.2.2, item 5",
        why: "A server that speaks none of them leaves the field out; the client may then close.",
        example: || Head { offered: Some(&["chat"]), ..answer() },
        accepted: true,
        applies: |head| {
            head.offered.is_some_and(|offered| !offered.is_empty())
                && head.values("Sec-WebSocket-Protocol").is_empty()
        },
    },
    Reason {
        name: "no Host, or two",
        rfc: "RFC 6455, 4.2.1, item 2, and RFC 9112, 3.2",
        why: "A server MUST refuse it.",
        example: || twice(request(), "Host", "example.com"),
        accepted: false,
        applies: |head| !is_answer(head) && head.values("Host").len() != 1,
    },
    Reason {
        name: "Connection options that only a space sets off",
        rfc: "RFC 9110, 5.6.1 and 7.6.1",
        why: "Members of a list are set off by commas; this is none.",
        example: || with(request(), "Connection", "keep-alive Upgrade"),
        accepted: false,
        applies: |head| {
            let is_upgrade = |member: &&str| member.eq_ignore_ascii_case("Upgrade");
            !is_answer(head) && !head.list("Connection").iter().any(is_upgrade)
        },
    },
    Reason {
        name: "two keys or two versions",
        rfc: "RFC 6455, 11.3.1 and 11.3.5",
        why: "They MUST NOT appear more than once in a request; which would count?",
        example: || twice(request(), "Sec-WebSocket-Version", "13"),
        accepted: false,
        applies: |head| {
            let twice = |name| head.values(name).len() > 1;
            !is_answer(head) && (twice("Sec-WebSocket-Key") || twice("Sec-WebSocket-Version"))
        },
    },
    Reason {
        name: "offered subprotocols that are no tokens",
        rfc: "RFC 6455, 4.1, item 10, and 4.2.1",
        why: "The elements MUST be tokens; a request that is not as described MUST be refused.",
        example: || with(request(), "Sec-WebSocket-Protocol", "cha t"),
        accepted: false,
        applies: |head| {
            let is_bad = |name: &&str| name.contains([' ', '"']);
            !is_answer(head) && head.list("Sec-WebSocket-Protocol").iter().any(is_bad)
        },
    },
    Reason {
        name: "an extension that was not offered",
        rfc: "RFC 6455, 4.1, item 5",
        why: "The client MUST fail the connection.",
        example: || with(answer(), "Sec-WebSocket-Extensions", "permessage-deflate"),
        accepted: false,
        applies: |head| is_answer(head) && !head.values("Sec-WebSocket-Extensions").is_empty(),
    },
    Reason {
        name: "a field of the answer twice",
        rfc: "RFC 6455, 4.1, items 2, 4 and 6, 11.3.3 and 11.3.4",
        why: "One protocol, one proof and one subprotocol is chosen.",
        example: || twice(answer(), "Sec-WebSocket-Accept", ACCEPT),
        accepted: false,
        applies: |head| {
            let twice = |name: &&str| head.values(name).len() > 1;
            let single = ["Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"];
            is_answer(head) && single.iter().any(twice)
        },
    },
];
