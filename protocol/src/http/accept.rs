//! Content negotiation (RFC 9110, 12.5).

use super::Headers;
use super::list::Member;

/// Whether a request with these header lines takes a response of this media type (`type/subtype`).
/// Without `Accept` it takes everything.
///
/// The most specific range that matches decides: `text/html, */*;q=0` takes `text/html` alone.
#[must_use]
pub fn accepts(headers: Headers<'_>, media_type: &str) -> bool {
    headers.get("accept").is_none() || media_weight(headers, media_type, Match::is_any) > 0
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
    // A range with parameters asks by name, and yet a wildcard may be what decides.
    media_weight(headers, media_type, Match::is_by_name) > 0 && accepts(headers, media_type)
}

/// The one of these media types that the request prefers, as an index: of those with the greatest
/// weight the first. `None` if it takes none of them; a server may then send `406` or any of them
/// (RFC 9110, 12.5.1). Without `Accept` it is the first.
///
/// A media type's weight is that of the most specific range that matches it: the one with the most
/// parameters, then the type by its full name, `type/*`, `*/*`. A range with a parameter that the media
/// type does not have counts only if no other range matches. Values of parameters are compared without
/// case; members of `Accept` and media types that are malformed match nothing.
///
/// ```
/// # use tidewire::{RecvBuf, http};
/// # let mut rx = RecvBuf::with_limit(1024);
/// # rx.push(b"GET / HTTP/1.1\r\nAccept: text/*;q=0.5, application/json\r\n\r\n");
/// # let parsed = http::parse_request(&mut rx, &http::Limits::default())?.unwrap();
/// # let head = parsed.head(&rx);
/// // Accept: text/*;q=0.5, application/json
/// let offers = ["text/html; charset=utf-8", "application/json"];
/// assert_eq!(http::negotiate(head.headers, &offers), Some(1));
/// # Ok::<(), http::ProtocolError>(())
/// ```
#[must_use]
pub fn negotiate(headers: Headers<'_>, media_types: &[&str]) -> Option<usize> {
    if headers.get("accept").is_none() {
        return (!media_types.is_empty()).then_some(0);
    }
    let weights =
        media_types.iter().map(|media_type| media_weight(headers, media_type, Match::is_any));
    // Of equal ones `max_by_key` takes the last.
    let best = weights.enumerate().rev().max_by_key(|(_, weight)| *weight);
    best.filter(|(_, weight)| *weight > 0).map(|(index, _)| index)
}

/// The weight, in thousandths, that a field like `Accept-Encoding`, `Accept-Language` or `TE` gives to
/// this value: that of the member with this name, without regard to case, else that of `*`. `None` if
/// there is neither, which each field explains in its own way (RFC 9110, 12.5.3 and 12.5.4).
///
/// ```
/// # use tidewire::{RecvBuf, http};
/// # let mut rx = RecvBuf::with_limit(1024);
/// # rx.push(b"GET / HTTP/1.1\r\nAccept-Encoding: gzip;q=0.8, *;q=0\r\n\r\n");
/// # let parsed = http::parse_request(&mut rx, &http::Limits::default())?.unwrap();
/// # let headers = parsed.head(&rx).headers;
/// // Accept-Encoding: gzip;q=0.8, *;q=0
/// assert_eq!(http::weight(headers, "accept-encoding", "gzip"), Some(800));
/// assert_eq!(http::weight(headers, "accept-encoding", "br"), Some(0));
/// assert_eq!(http::weight(headers, "accept-language", "en"), None);
/// # Ok::<(), http::ProtocolError>(())
/// ```
#[must_use]
pub fn weight(headers: Headers<'_>, name: &str, value: &str) -> Option<u16> {
    let members = headers.members(name).filter(|member| member.is(value) || member.is("*"));
    members.map(|member| (member.is(value), member.weight())).max().map(|(_, weight)| weight)
}

/// How specifically a range matches a media type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// By name, with a parameter that the media type does not have.
    Beyond,
    Any,
    Type,
    /// By name, with so many parameters.
    Exact(usize),
}

impl Match {
    const fn is_any(self) -> bool {
        true
    }

    const fn is_by_name(self) -> bool {
        matches!(self, Self::Beyond | Self::Exact(_))
    }
}

/// The weight, in thousandths, that the most specific of the ranges that match and count gives to the
/// media type; of equal ones the highest.
fn media_weight(headers: Headers<'_>, media_type: &str, counts: fn(Match) -> bool) -> u16 {
    let Some(media_type) = Member::parse(media_type.as_bytes()) else { return 0 };
    let ranges = headers.members("accept");
    ranges
        .filter_map(|range| Some((matches(range, media_type)?, range.weight())))
        .filter(|(matched, _)| counts(*matched))
        .max()
        .map_or(0, |(_, weight)| weight)
}

fn matches(range: Member<'_>, media_type: Member<'_>) -> Option<Match> {
    if !range.is(media_type.value()) {
        let kind = media_type.value().split_once('/')?.0;
        return match range.value().split_once('/')? {
            ("*", "*") => Some(Match::Any),
            (wanted, "*") if wanted.eq_ignore_ascii_case(kind) => Some(Match::Type),
            _ => None,
        };
    }
    let mut matched = Match::Exact(0);
    for (name, wanted) in range.parameters().filter(|(name, _)| !name.eq_ignore_ascii_case("q")) {
        matched = match (media_type.parameter(name), matched) {
            (Some(value), _) if !value.eq_ignore_case(wanted.bytes()) => return None,
            (Some(_), Match::Exact(count)) => Match::Exact(count + 1),
            _ => Match::Beyond,
        };
    }
    Some(matched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecvBuf, http};

    fn ask(lines: &str) -> (bool, bool) {
        with_headers(lines, |headers| {
            let of = "text/event-stream";
            (accepts(headers, of), accepts_explicitly(headers, of))
        })
    }

    fn with_headers<T>(lines: &str, ask: impl FnOnce(Headers<'_>) -> T) -> T {
        let mut rx = RecvBuf::with_limit(4096);
        let head = alloc::format!("GET / HTTP/1.1\r\n{lines}\r\n");
        assert_eq!(rx.push(head.as_bytes()), head.len());
        let parsed = http::parse_request(&mut rx, &http::Limits::default()).unwrap().unwrap();
        ask(parsed.head(&rx).headers)
    }

    #[test]
    fn the_most_specific_range_decides() {
        // The example of RFC 9110, 12.5.1, with its table.
        let lines = "Accept: text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed,\
                     text/plain;format=fixed;q=0.4, */*;q=0.5\r\n";
        with_headers(lines, |headers| {
            for (media_type, expected) in [
                ("text/plain;format=flowed", 1000),
                ("text/plain", 700),
                ("text/html", 300),
                ("image/jpeg", 500),
                ("text/plain;format=fixed", 400),
                ("text/html;level=3", 300),
                // Not of the table: names and values without case, quoted or not; other parameters.
                ("TEXT/Plain; Format=\"Flowed\"", 1000),
                ("text/plain;format=other", 700),
                ("text/plain;charset=utf-8;format=flowed", 1000),
                ("text", 0),
            ] {
                let weight = media_weight(headers, media_type, Match::is_any);
                assert_eq!(weight, expected, "{media_type}");
            }
        });
    }

    #[test]
    fn of_the_offers_with_the_greatest_weight_the_first_is_chosen() {
        // RFC 9110, 12.5.1.
        let offers = ["text/html;charset=utf-8", "application/json", "text/plain"];
        for (lines, expected) in [
            ("", Some(0)),
            ("Accept: */*\r\n", Some(0)),
            ("Accept: application/json\r\n", Some(1)),
            ("Accept: application/json, text/html\r\n", Some(0)),
            ("Accept: text/html;q=0.9\r\nAccept: text/plain\r\n", Some(2)),
            ("Accept: text/*;q=0.1, text/html;q=0\r\n", Some(2)),
            ("Accept: */*;q=0.1, text/*;q=0\r\n", Some(1)),
            ("Accept: text/html;charset=latin1\r\n", None),
            ("Accept: application/json;indent=2\r\n", Some(1)),
            ("Accept: application/json;indent=2, */*;q=0\r\n", None),
            ("Accept: image/*\r\n", None),
            ("Accept: json, text/html;q\r\n", None),
            ("Accept:\r\n", None),
        ] {
            let chosen = with_headers(lines, |headers| negotiate(headers, &offers));
            assert_eq!(chosen, expected, "{lines}");
        }
        assert_eq!(negotiate(Headers::empty(), &[]), None);
    }

    #[test]
    fn an_asterisk_stands_for_what_is_not_named() {
        // RFC 9110, 12.5.3 and 12.5.4.
        let lines = "Accept-Encoding: GZIP;q=0.5, identity; q=0\r\nAccept-Encoding: *;q=0.25\r\n";
        with_headers(lines, |headers| {
            let weights =
                ["gzip", "identity", "br"].map(|of| weight(headers, "accept-encoding", of));
            assert_eq!(weights, [Some(500), Some(0), Some(250)]);
            assert_eq!(weight(headers, "accept-language", "en"), None);
        });
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
            ("Accept: text/event-stream;a=b, */*\r\n", (true, true)),
            ("Accept: text/event-stream;a=b, */*;q=0\r\n", (false, false)),
            ("Accept: text/event-stream;a=b;q=0, */*\r\n", (true, false)),
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
