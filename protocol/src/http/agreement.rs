//! Whole lines are taken by blocks, others byte by byte. Which of the two reads what must not show.

use super::{Leniency, Limits, ProtocolError, RequestParser, ResponseParser};
use crate::RecvBuf;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use proptest::prelude::*;

/// What a parser made of a head, or that it is incomplete.
type Outcome = Result<Option<String>, ProtocolError>;

/// A buffer with `behind` where nothing has been received yet.
fn buffer(behind: &[u8]) -> RecvBuf {
    let mut rx = RecvBuf::with_limit(64 * 1024);
    assert_eq!(rx.push(behind), behind.len());
    rx.skip(behind.len());
    rx
}

fn request(portions: &[&[u8]], behind: &[u8], limits: &Limits) -> Outcome {
    let (mut rx, mut parser) = (buffer(behind), RequestParser::new());
    for portion in portions {
        assert_eq!(rx.push(portion), portion.len());
        if let Some(parsed) = parser.parse(&mut rx, limits)? {
            let framing = parsed.framing(&rx).map_err(|error| error.to_string());
            return Ok(Some(format!("{parsed:?} {framing:?} {:?}", parsed.head(&rx))));
        }
    }
    Ok(None)
}

fn response(portions: &[&[u8]], behind: &[u8], limits: &Limits, leniency: Leniency) -> Outcome {
    let (mut rx, mut parser) = (buffer(behind), ResponseParser::lenient(leniency));
    for portion in portions {
        assert_eq!(rx.push(portion), portion.len());
        if let Some(parsed) = parser.parse(&mut rx, limits)? {
            let framing = parsed.framing(&rx, false, false).map_err(|error| error.to_string());
            return Ok(Some(format!("{parsed:?} {framing:?} {:?}", parsed.head(&rx))));
        }
    }
    Ok(None)
}

/// Byte by byte, nothing is there as a whole; so this is what all else is held against.
fn check(head: &[u8], parse: impl Fn(&[&[u8]], &[u8]) -> Outcome) -> Result<(), TestCaseError> {
    let bytes: Vec<&[u8]> = head.chunks(1).collect();
    let expected = parse(&bytes, b"");
    for behind in [&b""[..], &[b'a'; 9000], b"\r\n\r\n: a\r\n\r\n", &b"\r\n".repeat(3000)] {
        prop_assert_eq!(&parse(&[head], behind), &expected, "whole");
        for at in 0..head.len() {
            let halves = [&head[..at], &head[at..]];
            prop_assert_eq!(&parse(&halves, behind), &expected, "split at {}", at);
        }
    }
    Ok(())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "Host", "host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Expect",
            "Accept", "X-A1_b.c", "A", "A-Name-That-Takes-More-Than-Thirty-Two-Bytes-Of-The-Line",
        ]).prop_map(String::from),
        1 => "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,40}",
        1 => "[ -~]{0,20}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "h", "www.example.com:80", "close", "keep-alive, Upgrade", "5", "5, 5", "chunked", "",
            "gzip, chunked", "100-continue", "\"a, b\"", "ä ö\t ü",
        ]).prop_map(String::from),
        1 => "[ -~\t]{0,80}",
        1 => "[\\x00-\\x7F\u{80}-\u{FF}]{0,20}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let colon = prop::sample::select(vec![": ", ": ", ": ", ": ", ":", ":  ", ":\t", " : "]);
    let end = prop::sample::select(vec!["", "", "", "", " ", "\t  ", "\r\n ", "\r\n\t \r\n x"]);
    let line_break = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"]);
    (name(), colon, value(), end, line_break).prop_map(|(name, colon, value, end, line_break)| {
        format!("{name}{colon}{value}{end}{line_break}")
    })
}

/// A head, most of the time with a byte that was changed.
fn head(starts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let parts = (prop::sample::select(starts), prop::collection::vec(line(), 0..5));
    (parts, prop::option::of((any::<prop::sample::Index>(), any::<u8>()))).prop_map(
        |((start, lines), change)| {
            let mut head = format!("{start}{}\r\nbody", lines.concat()).into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(head.len());
                head[at] = byte;
            }
            head
        },
    )
}

fn leniency() -> impl Strategy<Value = Leniency> {
    any::<[bool; 4]>().prop_map(|[obs_fold, bare_lf, space_before_colon, length_and_coding]| {
        Leniency { obs_fold, bare_lf, space_before_colon, length_and_coding }
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let limits = |(head, headers)| Limits { head, headers, ..Limits::default() };
    prop_oneof![
        3 => Just(Limits::default()),
        1 => (10..200_usize, 0..4_usize).prop_map(limits),
    ]
}

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "GET /a/path?with=a&query HTTP/1.1\r\n",
    "POST http://example.com/ HTTP/1.1\r\n",
    "CONNECT example.com:443 HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.0\r\n",
    "\r\nGET / HTTP/1.1\r\n",
    "A-METHOD-LONGER-THAN-A-BLOCK / HTTP/1.1\r\n",
    "GET /#fragment HTTP/1.1\r\n",
    "GET  / HTTP/1.1\r\n",
    "GET / HTTP/1.2\r\n",
    "GET / HTTP/2.0\r\n",
    "GET /\r\n",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 404 A longer phrase than others have, ä\r\n",
    "HTTP/1.1 200 \r\n",
    "HTTP/1.1 200\r\n",
    "HTTP/1.1 200 OK\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 099 Low\r\n",
    "HTTP/1.1  200 OK\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_request_means_the_same_however_it_comes(head in head(REQUESTS), limits in limits()) {
        check(&head, |portions, behind| request(portions, behind, &limits))?;
    }

    #[test]
    fn a_response_means_the_same_however_it_comes(
        head in head(RESPONSES),
        limits in limits(),
        leniency in leniency(),
    ) {
        check(&head, |portions, behind| response(portions, behind, &limits, leniency))?;
    }
}

/// Lines beyond those that have a mark of their own.
#[test]
fn framing_is_found_in_every_line() {
    for line in [0, 1, 61, 62, 63, 64, 65, 90] {
        let mut lines = vec!["A: b\r\n"; 95];
        lines[line] = "Content-Length: 5\r\n";
        let head = format!("GET / HTTP/1.0\r\n{}\r\n", lines.concat());
        let mut rx = buffer(b"");
        assert_eq!(rx.push(head.as_bytes()), head.len());
        let limits = Limits::default();
        let parsed = RequestParser::new().parse(&mut rx, &limits).unwrap().unwrap();
        let length = parsed.framing(&rx).unwrap().length;
        assert_eq!(length, super::Length::Known(5), "line {line}");
    }
}

fn lenient(head: &str, leniency: Leniency) -> Result<(String, String), super::ErrorKind> {
    let mut rx = buffer(b"");
    assert_eq!(rx.push(head.as_bytes()), head.len());
    let limits = Limits::default();
    let parsed = ResponseParser::lenient(leniency).parse(&mut rx, &limits);
    let parsed = parsed.map_err(|error| error.kind)?.expect("the head is whole");
    let framing = parsed.framing(&rx, false, false).map_err(|error| error.kind)?;
    Ok((format!("{:?}", parsed.head(&rx).headers), format!("{framing:?}")))
}

/// RFC 9112, 5.2: a user agent replaces each line break in a value with spaces.
#[test]
fn folded_lines_are_unfolded() {
    let leniency = Leniency { obs_fold: true, ..Leniency::STRICT };
    let folded = [
        ("A: b\r\n c\r\n", "{\"A\": \"b   c\"}"),
        ("A: b \t\r\n\t c \r\n d\r\n", "{\"A\": \"b      c    d\"}"),
        ("A:\r\n b\r\n", "{\"A\": \"b\"}"),
        ("A: b\r\n \r\n\t\r\n", "{\"A\": \"b\"}"),
        ("A: b\r\n \r\n c\r\nD: e\r\n", "{\"A\": \"b      c\", \"D\": \"e\"}"),
        ("A: \r\n \r\n", "{\"A\": \"\"}"),
    ];
    for (lines, unfolded) in folded {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        assert_eq!(lenient(&head, leniency).unwrap().0, unfolded, "{lines:?}");
        assert_eq!(lenient(&head, Leniency::STRICT), Err(super::ErrorKind::ObsFold));
    }
    // There is no value before the first line that this could go on with.
    let head = "HTTP/1.1 200 OK\r\n A: b\r\n\r\n";
    assert_eq!(lenient(head, leniency), Err(super::ErrorKind::ObsFold));
}

/// RFC 9112, 2.2: a recipient may take a single LF as the end of a line.
#[test]
fn bare_line_feeds_end_lines() {
    let leniency = Leniency { bare_lf: true, ..Leniency::STRICT };
    for head in ["HTTP/1.1 200 OK\nA: b\nC:\n\n", "HTTP/1.1 200\nA: b\r\nC: \n\r\n"] {
        assert_eq!(lenient(head, leniency).unwrap().0, "{\"A\": \"b\", \"C\": \"\"}");
        assert!(lenient(head, Leniency::STRICT).is_err());
    }
    let bare_cr = "HTTP/1.1 200 OK\r\nA: b\rc\n\n";
    assert_eq!(lenient(bare_cr, leniency), Err(super::ErrorKind::BareCr));
}

/// RFC 9112, 5.1: a proxy removes such whitespace from a response.
#[test]
fn whitespace_before_the_colon_is_dropped() {
    let leniency = Leniency { space_before_colon: true, ..Leniency::STRICT };
    let head = "HTTP/1.1 200 OK\r\nA \t: b\r\n\r\n";
    assert_eq!(lenient(head, leniency).unwrap().0, "{\"A\": \"b\"}");
    assert_eq!(lenient(head, Leniency::STRICT), Err(super::ErrorKind::SpaceBeforeColon));
    let two_words = "HTTP/1.1 200 OK\r\nA B: c\r\n\r\n";
    assert_eq!(lenient(two_words, leniency), Err(super::ErrorKind::BadHeaderName));
}

/// RFC 9112, 6.3: `Transfer-Encoding` overrides `Content-Length`, and the connection ends.
#[test]
fn a_coding_overrides_a_length() {
    let leniency = Leniency { length_and_coding: true, ..Leniency::STRICT };
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let framing = "ResponseFraming { length: Chunked, keep_alive: false, length_ignored: true }";
    assert_eq!(lenient(head, leniency).unwrap().1, framing);
    assert_eq!(lenient(head, Leniency::STRICT), Err(super::ErrorKind::LengthAndCoding));
}

/// However often a value is continued, no byte of it is looked at again and again.
#[test]
fn unfolding_takes_linear_time() {
    let limits = Limits { head: 4 << 20, ..Limits::default() };
    let head = format!("HTTP/1.1 200 OK\r\nA: b{}", "\r\n ".repeat(1 << 20));
    let mut rx = RecvBuf::with_limit(8 << 20);
    assert_eq!(rx.push(head.as_bytes()), head.len());
    let mut parser = ResponseParser::lenient(Leniency { obs_fold: true, ..Leniency::STRICT });
    // Quadratic time would be minutes.
    assert!(parser.parse(&mut rx, &limits).unwrap().is_none());
}
