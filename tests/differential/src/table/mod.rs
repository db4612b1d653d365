//! The differences from our peers that are meant to be, each with the paragraph that asks for what we
//! do or allows it, and with an example, which is tried with every run.

use crate::case::Asked::{Connect, Get, Upgrade};
use crate::case::{End, Message, contains};
use crate::compare::Kind::{Meaning, WeAccept, WeRefuse, WeWait};
use crate::explained::{Reason, first_line, trim, trim_end, values};

mod accept;
mod meaning;
mod refuse;

/// All reasons. The first one that applies is the reason.
pub fn reasons() -> impl Iterator<Item = &'static Reason> {
    [accept::REASONS, refuse::REASONS, meaning::REASONS].into_iter().flatten()
}

fn is_field(line: &[u8], name: &str) -> bool {
    line.len() > name.len()
        && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        && line[name.len()] == b':'
}

/// The lengths that a message declares, if all are numbers.
fn lengths(message: &Message) -> Option<Vec<u64>> {
    values(Some(message), "content-length")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(|digits| std::str::from_utf8(digits).ok()?.trim_matches([' ', '\t']).parse().ok())
        .collect()
}

fn has_equal_lengths(message: &Message) -> bool {
    lengths(message).is_some_and(|all| all.len() > 1 && all.windows(2).all(|two| two[0] == two[1]))
}

/// Whether both have the same codings, but for case, and the same first length.
fn has_equal_framing(a: &Message, b: &Message) -> bool {
    let coding = |m| {
        values(Some(m), "transfer-encoding").map(<[u8]>::to_ascii_lowercase).collect::<Vec<_>>()
    };
    let length = |m| {
        let value = values(Some(m), "content-length").next()?;
        value.split(|&byte| byte == b',').next().map(trim)
    };
    coding(a) == coding(b) && length(a) == length(b)
}

fn is_unencoded(target: &[u8]) -> bool {
    let encoded = |at: usize| {
        target.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    target
        .iter()
        .enumerate()
        .any(|(at, byte)| b"\"<>[\\]^`{|}".contains(byte) || *byte == b'%' && !encoded(at))
}

/// Whether digits behind a colon are no port.
fn has_bad_port(authority: &[u8]) -> bool {
    authority
        .split(|&byte| byte == b':')
        .skip(1)
        .map(|part| part.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default())
        .any(|port| {
            port.len() > 4
                && std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_err())
        })
}

/// Whether brackets are around other than an address.
fn has_bad_address(authority: &[u8]) -> bool {
    let inside = authority.split(|&byte| byte == b'[').nth(1);
    let inside = inside.map(|rest| rest.split(|&byte| byte == b']').next().unwrap_or_default());
    inside.is_some_and(|inside| {
        std::str::from_utf8(inside).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_err())
    })
}
