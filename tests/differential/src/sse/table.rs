//! The differences from our peers that are meant to be, each with the section that asks for what we
//! do, and with an example, which is tried with every run.

use super::case::Verdict;
use super::compare::Kind;
use std::time::Duration;

/// A class of differences, and its reason.
pub struct Reason {
    /// What it is called in the summary.
    pub name: &'static str,
    pub peer: &'static str,
    pub kinds: &'static [Kind],
    pub section: &'static str,
    pub why: &'static str,
    /// A stream that shows it.
    pub example: &'static [u8],
    /// Whether a difference of these kinds with this peer belongs to the class.
    pub applies: fn(&Facts<'_>) -> bool,
}

/// All that is known of a difference.
pub struct Facts<'a> {
    pub stream: &'a [u8],
    pub peer: &'a str,
    pub ours: &'a Verdict,
    pub theirs: &'a Verdict,
    pub kind: Kind,
}

impl Facts<'_> {
    fn is_prefix(&self) -> bool {
        self.ours.events().starts_with(&self.theirs.events())
    }

    fn has(&self, part: &[u8]) -> bool {
        self.stream.windows(part.len()).any(|at| at == part)
    }
}

/// The reason for a difference, if it has one.
pub fn explain(facts: &Facts<'_>) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| {
        reason.peer == facts.peer && reason.kinds.contains(&facts.kind) && (reason.applies)(facts)
    })
}

/// Whether `some` is `all` with a few left out.
fn is_part(some: &[Duration], all: &[Duration]) -> bool {
    let mut all = all.iter();
    some.iter().all(|one| all.any(|other| other == one))
}

pub static REASONS: &[Reason] = &[
    Reason {
        name: "a time beyond 32 bits",
        peer: "sse-core",
        kinds: &[Kind::Times],
        section: "HTML, 9.2.6",
        why: "The value is an integer of ASCII digits, however many; it ignores the field.",
        example: b"retry: 4294967296\n",
        applies: |f| {
            let fits = |time: &Duration| time.as_millis() <= u32::MAX.into();
            let ours: Vec<_> = f.ours.times().into_iter().filter(fits).collect();
            ours == f.theirs.times()
        },
    },
    Reason {
        name: "a byte order mark",
        peer: "eventsource-stream",
        kinds: &[Kind::Panics],
        section: "HTML, 9.2.6",
        why: "Decoding strips it. It cuts one byte off a character of three, and panics.",
        example: b"\xef\xbb\xbfdata: a\n\n",
        applies: |f| f.stream.starts_with(b"\xef\xbb\xbf"),
    },
    Reason {
        name: "bytes that are not UTF-8",
        peer: "eventsource-stream",
        kinds: &[Kind::Refuses],
        section: "HTML, 9.2.6",
        why: "Decoding makes U+FFFD of them. It holds back all that follows, and fails at the end.",
        example: b"data: \xff\n\ndata: a\n\n",
        applies: |f| {
            let says = format!("{:?}", f.theirs.end);
            says.contains("UTF8 error") && str::from_utf8(f.stream).is_err() && f.is_prefix()
        },
    },
    Reason {
        name: "a CR as the last byte so far",
        peer: "eventsource-stream",
        kinds: &[Kind::Waits],
        section: "HTML, 9.2.5 and 9.2.6",
        why: "A CR ends a line, and no event waits for more. It waits for an LF.",
        example: b"data: a\r\r",
        applies: |f| {
            let missing = f.ours.events().len() - f.theirs.events().len();
            f.stream.ends_with(b"\r") && missing == 1
        },
    },
    Reason {
        name: "a time with a plus sign",
        peer: "eventsource-stream",
        kinds: &[Kind::Times],
        section: "HTML, 9.2.6",
        why: "Only ASCII digits are a time.",
        example: b"retry: +5\ndata: a\n\n",
        applies: |f| {
            let (ours, theirs) = (f.ours.times(), f.theirs.times());
            f.has(b"retry") && f.has(b"+") && !is_part(&theirs, &ours)
        },
    },
    Reason {
        name: "a time without an event, beside another, or beyond 64 bits",
        peer: "eventsource-stream",
        kinds: &[Kind::Times],
        section: "HTML, 9.2.6",
        why: "The field sets the time by itself. It tells one time with each event that has data.",
        example: b"retry: 5\n\n",
        applies: |f| is_part(&f.theirs.times(), &f.ours.times()),
    },
];
