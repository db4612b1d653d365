//! Content negotiation by `Accept` (RFC 9110, 12.5.1).

use super::Headers;
use super::headers::Split;

/// Whether a request with these header lines takes a response of this media type (`type/subtype`).
/// Without `Accept` it takes everything.
///
/// The most specific range that matches decides: `text/html, */*;q=0` takes `text/html` alone.
#[must_use]
pub fn accepts(headers: Headers<'_>, media_type: &str) -> bool {
    headers.get("accept").is_none() || weight(headers, media_type, Match::Any) > 0
}

/// Whether these header lines ask for this media type (`type/subtype`) by its full name: wildcards
/// and a missing `Accept` do not count, nor does `q=0`.
///
/// ```
/// # use tidewire::{RecvBuf, http};
/// # let mut rx = RecvBuf::with_limit(1024);
/// # rx.push(b"GET / HTTP/1.1\r\nAccept: TEXT/event-stream;q=0.9, */*\r\n\r\n");
/// # let parsed = http::parse_request(&mut rx, &http::Limits::default())?.unwrap();
/// # let head = parsed.head(&rx);
/// // Accept: TEXT/event-stream;q=0.9, */*
/// assert!(http::accepts_explicitly(head.headers, "text/event-stream"));
/// assert!(!http::accepts_explicitly(head.headers, "text/html"));
/// assert!(http::accepts(head.headers, "text/html"));
/// # Ok::<(), http::ProtocolError>(())
/// ```
#[must_use]
pub fn accepts_explicitly(headers: Headers<'_>, media_type: &str) -> bool {
    weight(headers, media_type, Match::Exact) > 0
}

/// How specifically a range matches a media type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Any,
    Type,
    Exact,
}

/// The weight, in thousandths, that the most specific of the ranges that match at least so
/// specifically gives to the media type; of equal ones the highest.
fn weight(headers: Headers<'_>, media_type: &str, at_least: Match) -> u16 {
    headers
        .list("accept")
        .filter_map(|member| {
            let mut parts = Split::new(member, b';');
            let matched = matches(parts.next()?, media_type.as_bytes())?;
            let weight = parts.find_map(|parameter| match parameter {
                [b'q' | b'Q', b'=', value @ ..] => Some(qvalue(value)),
                _ => None,
            });
            // A malformed weight asks for nothing.
            Some((matched, weight.unwrap_or(Some(1000)).unwrap_or(0)))
        })
        .filter(|(matched, _)| *matched >= at_least)
        .max()
        .map_or(0, |(_, weight)| weight)
}

fn matches(range: &[u8], media_type: &[u8]) -> Option<Match> {
    if range == b"*/*" {
        return Some(Match::Any);
    }
    if range.eq_ignore_ascii_case(media_type) {
        return Some(Match::Exact);
    }
    let (kind, wildcard) = range.split_at(range.len().checked_sub(1)?);
    let same = media_type.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind));
    (wildcard == b"*" && kind.ends_with(b"/") && same).then_some(Match::Type)
}

/// `qvalue` in thousandths (RFC 9110, 12.4.2).
fn qvalue(value: &[u8]) -> Option<u16> {
    let (whole, digits) = match value {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (*whole, digits),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    match (whole, thousandths) {
        (b'0', _) => Some(thousandths),
        (_, 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecvBuf, http};

    fn ask(lines: &str) -> (bool, bool) {
        let mut rx = RecvBuf::with_limit(4096);
        let head = alloc::format!("GET / HTTP/1.1\r\n{lines}\r\n");
        assert_eq!(rx.push(head.as_bytes()), head.len());
        let parsed = http::parse_request(&mut rx, &http::Limits::default()).unwrap().unwrap();
        let headers = parsed.head(&rx).headers;
        (accepts(headers, "text/event-stream"), accepts_explicitly(headers, "text/event-stream"))
    }

    #[test]
    fn accept_is_a_list_of_media_ranges_over_all_lines() {
        for (lines, expected) in [
            ("", (true, false)),
            ("Accept: text/event-stream\r\n", (true, true)),
            ("Accept: text/event-stream, */*\r\n", (true, true)),
            ("accept: TEXT/EVENT-STREAM;q=0.9\r\n", (true, true)),
            ("Accept: text/html\r\nAccept: text/event-stream\r\n", (true, true)),
            ("Accept: text/event-stream ; charset=\"a,;b\" ; q=0.001\r\n", (true, true)),
            ("Accept: */*\r\n", (true, false)),
            ("Accept: text/*\r\n", (true, false)),
            ("Accept: text/*;q=0, */*\r\n", (false, false)),
            ("Accept: text/event-stream;q=0\r\n", (false, false)),
            ("Accept: text/event-stream;q=0.000, */*\r\n", (false, false)),
            ("Accept: text/event-stream;q=2\r\n", (false, false)),
            ("Accept: text/event-streams, text/event\r\n", (false, false)),
            ("Accept: \"text/event-stream\"\r\n", (false, false)),
            ("Accept: text/html\r\n", (false, false)),
            ("Accept:\r\n", (false, false)),
        ] {
            assert_eq!(ask(lines), expected, "{lines}");
        }
    }
}
