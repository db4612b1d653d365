//! What both take and do not understand alike. In each the standard is on our side, or nothing
//! depends on it.

use super::*;

pub static REASONS: &[Reason] = &[
    Reason {
        name: "a reason phrase above ASCII",
        peers: &["http-net", "httparse"],
        kinds: &[Meaning],
        rfc: "RFC 9112, 4",
        why: "Both take it and hand on an empty one, for theirs is a str; ours is bytes.",
        example: (&[Get], b"HTTP/1.1 204 \xe9\r\n\r\n"),
        applies: |f| {
            f.both("target or reason").is_some_and(|(a, b)| {
                b.second.is_empty() && a.second.iter().any(|&byte| byte > 0x7f)
            })
        },
    },
    Reason {
        name: "fields that h11 rewrites",
        peers: &["h11"],
        kinds: &[Meaning],
        rfc: "RFC 9112, 6.3",
        why: "h11 makes Transfer-Encoding lower case and one Content-Length of several; ours are as \
              they came.",
        example: (&[Get], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"),
        applies: |f| {
            let others = |m: &Message| {
                let framing: [&[u8]; 2] = [b"transfer-encoding", b"content-length"];
                m.fields
                    .iter()
                    .filter(|line| !framing.iter().any(|name| name.eq_ignore_ascii_case(&line.0)))
                    .cloned()
                    .collect::<Vec<_>>()
            };
            f.both("fields").is_some_and(|(a, b)| others(a) == others(b) && has_equal_framing(a, b))
        },
    },
    Reason {
        name: "keep-alive in HTTP/1.0",
        peers: &["h11"],
        kinds: &[Meaning],
        rfc: "RFC 9112, 9.3",
        why: "A server may keep a connection of HTTP/1.0 that asks for it; h11 never does.",
        example: (&[], b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        applies: |f| {
            f.both("keep-alive").is_some_and(|(a, b)| {
                a.minor == 0 && a.keep_alive == Some(true) && b.keep_alive == Some(false)
            })
        },
    },
    Reason {
        name: "close and keep-alive in HTTP/1.0",
        peers: &["node"],
        kinds: &[Meaning],
        rfc: "RFC 9112, 9.3",
        why: "If there is `close`, the connection does not persist, whatever else there is.",
        example: (&[], b"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n"),
        applies: |f| {
            f.both("keep-alive").is_some_and(|(a, _)| {
                let mut options =
                    values(Some(a), "connection").flat_map(|v| v.split(|&b| b == b','));
                let mut has =
                    |option: &str| options.any(|o| trim(o).eq_ignore_ascii_case(option.as_bytes()));
                a.minor == 0 && a.keep_alive == Some(false) && has("close")
            })
        },
    },
    Reason {
        name: "a quote among the options of Connection",
        peers: &["http-net"],
        kinds: &[Meaning],
        rfc: "RFC 9110, 7.6.1",
        why: "An option is a token: a quote hides no `close` behind it, as it would in a list whose \
              members may be quoted strings.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h\r\nConnection: \"a, close\r\n\r\n"),
        applies: |f| {
            f.both("keep-alive").is_some_and(|(a, _)| {
                values(Some(a), "connection").any(|value| value.contains(&b'"'))
            })
        },
    },
    Reason {
        name: "a body that lasts until the close",
        peers: &["h11"],
        kinds: &[Meaning],
        rfc: "RFC 9112, 9.3",
        why: "Nothing follows it. h11 says so with the next event only.",
        example: (&[Get], b"HTTP/1.1 200 OK\r\n\r\nx"),
        applies: |f| {
            f.both("keep-alive").is_some_and(|(a, b)| {
                a.keep_alive == Some(false)
                    && b.keep_alive == Some(true)
                    && values(Some(a), "content-length").next().is_none()
                    && values(Some(a), "transfer-encoding").next().is_none()
            })
        },
    },
    Reason {
        name: "half an empty line at the end",
        peers: &["http-net", "node", "h11"],
        kinds: &[Meaning, WeAccept],
        rfc: "RFC 9112, 2.2",
        why: "Ignored, it is no request that was cut off; whether it counts as read is nobody's \
              concern.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\r"),
        applies: |f| {
            let rest = match f.ours.end {
                End::Complete { surplus } => &f.case.bytes[f.case.bytes.len() - surplus..],
                _ => return false,
            };
            f.case.is_requests() && f.ours().is_none() && matches!(rest, b"\r" | b"\r\n")
        },
    },
];
