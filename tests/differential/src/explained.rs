//! Which differences from a peer are meant to be. The table is [`table`](crate::table).

use crate::case::{Asked, Case, End, Message, Verdict};
use crate::compare::{Clash, Kind};
use crate::subjects::tidewire;
use crate::table::reasons;

/// A class of differences, and its reason.
pub struct Reason {
    /// What it is called in the summary.
    pub name: &'static str,
    pub peers: &'static [&'static str],
    pub kinds: &'static [Kind],
    /// The paragraph that asks for what we do, or allows it.
    pub rfc: &'static str,
    pub why: &'static str,
    /// A case that shows it with every peer that is named: what was asked, and what came.
    pub example: (&'static [Asked], &'static [u8]),
    /// Whether a difference of these kinds with one of these peers belongs to the class.
    pub applies: fn(&Facts<'_>) -> bool,
}

/// All that is known of a difference.
pub struct Facts<'a> {
    pub case: &'a Case,
    pub peer: &'a str,
    pub ours: &'a Verdict,
    pub theirs: &'a Verdict,
    pub clash: &'a Clash,
}

/// The reason for a difference, if it has one.
pub fn explain(facts: &Facts<'_>) -> Option<&'static Reason> {
    reasons().find(|reason| {
        reason.peers.contains(&facts.peer)
            && reason.kinds.contains(&facts.clash.kind)
            && (reason.applies)(facts)
    })
}

/// What the table's predicates ask.
impl<'a> Facts<'a> {
    /// Whether we refuse it with this [`ErrorKind`](tidewire::http::ErrorKind).
    pub fn we_say(&self, kind: &str) -> bool {
        matches!(&self.ours.end, End::Refused { why, .. } if why == kind)
    }

    /// Whether the peer refuses it, with words that begin so.
    pub fn they_say(&self, words: &str) -> bool {
        matches!(&self.theirs.end, End::Refused { why, .. } if why.starts_with(words))
    }

    /// Whether the peer refuses it, with words among which these are.
    pub fn they_mention(&self, words: &str) -> bool {
        matches!(&self.theirs.end, End::Refused { why, .. } if why.contains(words))
    }

    /// The message in which we differ, as we have it.
    pub fn ours(&self) -> Option<&'a Message> {
        self.ours.messages.get(self.clash.message)
    }

    pub fn theirs(&self) -> Option<&'a Message> {
        self.theirs.messages.get(self.clash.message)
    }

    /// What both have of the message in which they differ, and what differs in it.
    pub fn both(&self, part: &str) -> Option<(&'a Message, &'a Message)> {
        (self.clash.part == part).then(|| self.ours().zip(self.theirs())).flatten()
    }

    fn at(&self) -> usize {
        match self.ours.end {
            End::Refused { at: Some(at), .. } => at.min(self.case.bytes.len()),
            _ => self.case.bytes.len(),
        }
    }

    /// The bytes from the one on that we refuse.
    pub fn rest(&self) -> &'a [u8] {
        &self.case.bytes[self.at()..]
    }

    /// The byte that we refuse.
    pub fn byte(&self) -> u8 {
        self.rest().first().copied().unwrap_or_default()
    }

    /// The bytes before the one that we refuse.
    pub fn before(&self) -> &'a [u8] {
        &self.case.bytes[..self.at()]
    }

    /// The line, without its end, in which the byte lies that we refuse.
    pub fn line(&self) -> &'a [u8] {
        let from = self.before().iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        first_line(&self.case.bytes[from..])
    }

    /// Whether we refuse something in a field of this name.
    pub fn in_field(&self, name: &str) -> bool {
        let line = self.line();
        line.len() > name.len()
            && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
            && line[name.len()] == b':'
    }

    /// The lines of the case, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = &'a [u8]> {
        self.case
            .bytes
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Whether we refuse what we wait for once the head, or the line, is complete.
    pub fn we_refuse_in_the_end(&self) -> bool {
        let bytes = [&self.case.bytes, &b"\r\n\r\n"[..]].concat();
        let completed = tidewire::judge(&self.case.with_bytes(bytes));
        completed.messages.len() == self.ours.messages.len()
            && matches!(completed.end, End::Refused { .. })
    }

    /// Whether the message in which we differ has no body, whatever its fields say
    /// (RFC 9112, 6.3). It may have been refused for its fields, so it is read off its first line.
    pub fn is_bodiless(&self) -> bool {
        let before = &self.theirs.messages[..self.clash.message];
        let answered = before.iter().filter(|message| message.first[0] != b'1').count();
        let status = self.theirs().or(self.ours()).map_or(&b""[..], |message| &message.first);
        matches!(status, [b'1', ..] | b"204" | b"304")
            || self.case.asked.get(answered) == Some(&Asked::Head)
    }
}

pub fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end])
}

/// The values of a message's fields of this name.
pub fn values<'a>(message: Option<&'a Message>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let fields = message.map_or(&[][..], |message| &message.fields);
    fields
        .iter()
        .filter(|line| line.0.eq_ignore_ascii_case(name.as_bytes()))
        .map(|line| &line.1[..])
}

/// `bytes` without the blanks at their end.
pub fn trim_end(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().rev().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
    &bytes[..bytes.len() - blanks]
}

/// `bytes` without the blanks at both ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
    trim_end(&bytes[blanks..])
}
