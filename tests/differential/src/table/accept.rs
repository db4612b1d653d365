//! What we take, or wait for, and others refuse. The standard allows each of them.

use super::*;

pub static REASONS: &[Reason] = &[
    Reason {
        name: "equal Content-Lengths",
        peers: &["http-net", "h11", "node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9112, 6.3 (5), and RFC 9110, 8.6",
        why: "Several Content-Lengths, or a list of them, count as one if all are valid and of the same \
              decimal value; a recipient may refuse them too.",
        example: (
            &[],
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 00\r\n\r\n",
        ),
        applies: |f| {
            let refused = f.they_say("DuplicateContentLength")
                || f.they_say("conflicting Content-Length")
                || f.they_say("HPE_UNEXPECTED_CONTENT_LENGTH: Duplicate");
            // Where we wait, the head has not ended.
            let lines = f.lines().filter(|line| is_field(line, "content-length")).count();
            refused && lines > 1 && f.ours().is_none_or(has_equal_lengths)
        },
    },
    Reason {
        name: "a list of equal Content-Lengths",
        peers: &["http-net", "node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9112, 6.3 (5)",
        why: "As several lines of the same value.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n"),
        applies: |f| {
            let refused =
                f.they_say("InvalidContentLength") || f.they_say("HPE_INVALID_CONTENT_LENGTH");
            let list =
                f.lines().any(|line| is_field(line, "content-length") && line.contains(&b','));
            refused && list && f.ours().is_none_or(has_equal_lengths)
        },
    },
    Reason {
        name: "framing fields where CONNECT succeeds",
        peers: &["http-net", "h11", "node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9110, 9.3.6",
        why: "A client ignores Content-Length and Transfer-Encoding in a successful response to \
              CONNECT, whatever they say.",
        example: (&[Connect], b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        applies: |f| {
            let about = [
                "ontent-Length",
                "ontentLength",
                "ransfer-Encoding",
                "TransferEncoding",
                "ConflictingFraming",
                "CONTENT_LENGTH",
                "TRANSFER_ENCODING",
            ];
            let status = f.ours().map_or(&b""[..], |message| &message.first);
            f.case.asked == [Connect]
                && (status.starts_with(b"2") || f.ours().is_none())
                && about.iter().any(|part| f.they_mention(part))
        },
    },
    Reason {
        name: "a status from 600 on",
        peers: &["http-net"],
        kinds: &[WeAccept],
        rfc: "RFC 9110, 15",
        why: "A client treats a status outside of 100 to 599 as a 5xx; it does not refuse it.",
        example: (&[Get], b"HTTP/1.1 600 \r\n\r\n"),
        applies: |f| {
            let status = f.ours().map_or(&b""[..], |message| &message.first);
            f.they_say("InvalidStatus") && matches!(status, [b'6'..=b'9', _, _])
        },
    },
    Reason {
        name: "a 101 whose Upgrade the client's user judges",
        peers: &["http-net"],
        kinds: &[WeAccept],
        rfc: "RFC 9110, 7.8",
        why: "That a 101 names one of the offered protocols is the server's duty. What was offered, \
              and whether the answer fits, is known to who asked: ws::Handshake checks it.",
        example: (&[Upgrade], b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        applies: |f| {
            f.they_say("UnexpectedUpgrade")
                && f.ours().is_some_and(|message| message.first == b"101")
        },
    },
    Reason {
        name: "an address of a future IP version",
        peers: &["http-net"],
        kinds: &[WeAccept],
        rfc: "RFC 3986, 3.2.2",
        why: "IPvFuture is a form of host.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: [v1.x]\r\n\r\n"),
        applies: |f| {
            let is_future = |text: &[u8]| contains(text, b"[v") || contains(text, b"[V");
            (f.they_say("InvalidHost") && values(f.ours(), "host").any(is_future))
                || (f.they_say("InvalidTarget") && f.ours().is_some_and(|m| is_future(&m.second)))
        },
    },
    Reason {
        name: "a target with bytes that a URI would encode",
        peers: &["http-net"],
        kinds: &[WeAccept],
        rfc: "RFC 9110, 2.4",
        why: "Browsers send some of \" < > [ \\ ] ^ ` { | } and a lone % as they are (WHATWG URL). They \
              delimit nothing in a request line; the target is handed on as it came, so that who looks \
              at it decides.",
        example: (&[], b"GET /{x} HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            f.they_say("InvalidTarget") && f.ours().is_some_and(|m| is_unencoded(&m.second))
        },
    },
    Reason {
        name: "many zeros before a chunk size",
        peers: &["http-net", "h11"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9112, 7.1",
        why: "A chunk size is any number of digits; what counts is whether its value fits.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
              000000000000000000000\r\n\r\n",
        ),
        applies: |f| {
            let many =
                |line: &[u8]| line.len() > 16 && line[..17].iter().all(u8::is_ascii_hexdigit);
            (f.they_say("InvalidChunkSize") || f.they_say("illegal chunk header"))
                && f.lines().any(|line| many(line) && line[0] == b'0')
        },
    },
    Reason {
        name: "many digits of a Content-Length",
        peers: &["h11"],
        kinds: &[WeAccept],
        rfc: "RFC 9110, 8.6",
        why: "As with chunk sizes: zeros in front are allowed, and the value fits.",
        example: (
            &[],
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 000000000000000000000\r\n\r\n",
        ),
        applies: |f| {
            f.they_say("bad Content-Length")
                && values(f.ours(), "content-length").any(|value| value.len() > 20)
        },
    },
    Reason {
        name: "an empty line before a request",
        peers: &["h11"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9112, 2.2",
        why: "A server should ignore at least one empty line before the request line.",
        example: (&[], b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| f.they_say("no request line received") && f.case.is_requests(),
    },
    Reason {
        name: "blanks before a chunk extension",
        peers: &["h11", "node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9112, 7.1.1",
        why: "chunk-ext = *( BWS \";\" …: blanks may stand there, and a recipient must take them off.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0 ;a\r\n\r\n",
        ),
        applies: |f| {
            let blank = |line: &[u8]| {
                let size = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                size > 0 && matches!(line.get(size), Some(b' ' | b'\t'))
            };
            (f.they_say("illegal chunk header") || f.they_say("HPE_INVALID_CHUNK_SIZE"))
                && f.lines().any(|line| blank(line) && line.contains(&b';'))
        },
    },
    Reason {
        name: "blanks in a chunk extension",
        peers: &["node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9112, 7.1.1",
        why: "As before it: BWS may stand around the name and the `=`.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0; a = b\r\n\r\n",
        ),
        applies: |f| {
            let blank = |line: &[u8]| line.contains(&b' ') || line.contains(&b'\t');
            f.they_say("HPE_STRICT: Invalid character in chunk extensions")
                && f.lines().any(|line| line.contains(&b';') && blank(line))
        },
    },
    Reason {
        name: "a later minor version",
        peers: &["httparse", "node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9110, 2.5",
        why: "A message of a higher minor version is read as one of the highest that is known.",
        example: (&[], b"GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
        applies: |f| {
            (f.they_say("Version") || f.they_say("HPE_INVALID_VERSION"))
                && (b'2'..=b'9').any(|minor| {
                    contains(&f.case.bytes, &[b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor])
                })
        },
    },
    Reason {
        name: "a method that llhttp does not know",
        peers: &["node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9110, 9.1",
        why: "Every token is a method; what is unknown is answered (501), not refused.",
        example: (&[], b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            let known: [&[u8]; 9] = [
                b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE",
                b"PATCH",
            ];
            let preface = f.they_say("HPE_INVALID_VERSION: Expected HTTP/2 Connection Preface");
            (preface || f.they_say("HPE_INVALID_METHOD"))
                && f.ours().is_none_or(|message| !known.contains(&&message.first[..]))
        },
    },
    Reason {
        name: "a tab behind a field's value",
        peers: &["node"],
        kinds: &[WeAccept, WeWait, WeRefuse, Meaning],
        rfc: "RFC 9112, 5.1, and RFC 9110, 5.6.3",
        why: "Whitespace around a value is SP or HTAB and no part of it. llhttp takes off spaces alone, \
              and then reads neither the length, nor `chunked` (it takes the rest of a response until \
              the close for its body), nor `close`.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\t\r\n\r\n"),
        applies: |f| {
            let with_tab = |names: &[&str]| {
                f.lines().any(|line| {
                    line[trim_end(line).len()..].contains(&b'\t')
                        && names.iter().any(|name| is_field(line, name))
                })
            };
            let refuses = f.they_say("HPE_INVALID_CONTENT_LENGTH")
                || f.they_say("HPE_INVALID_TRANSFER_ENCODING");
            // It takes all that follows for the body of a response.
            let until_close = !f.case.is_requests()
                && f.theirs().is_some_and(|message| message.keep_alive == Some(false));
            match f.clash.kind {
                WeAccept | WeWait => refuses && with_tab(&["content-length", "transfer-encoding"]),
                WeRefuse => {
                    let coding = f.we_say("BadTransferEncoding") && f.in_field("transfer-encoding");
                    (until_close || coding) && with_tab(&["transfer-encoding"])
                }
                Meaning if f.clash.part == "keep-alive" => {
                    with_tab(&["connection", "transfer-encoding"])
                }
                Meaning => until_close && with_tab(&["transfer-encoding"]),
            }
        },
    },
    Reason {
        name: "an interim response that does not persist",
        peers: &["node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 9110, 15.2, and RFC 9112, 9.6",
        why: "A client takes any number of interim responses before the final one, whose version and \
              `close` count. llhttp takes those of the interim ones.",
        example: (&[Get], b"HTTP/1.0 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n"),
        applies: |f| {
            let before = f.clash.message.checked_sub(1).and_then(|n| f.ours.messages.get(n));
            f.they_say("HPE_CLOSED_CONNECTION")
                && before.is_some_and(|message| message.first.starts_with(b"1"))
        },
    },
    Reason {
        name: "a scheme with digits",
        peers: &["node"],
        kinds: &[WeAccept, WeWait],
        rfc: "RFC 3986, 3.1",
        why: "A scheme is a letter, and then letters, digits, `+`, `-` and `.`.",
        example: (&[], b"GET h2://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| f.they_say("HPE_INVALID_URL: Unexpected char in url schema"),
    },
    Reason {
        name: "half a version of another protocol",
        peers: &["httparse"],
        kinds: &[WeWait],
        rfc: "RFC 9112, 2.3",
        why: "A version is judged when all of it is there.",
        example: (&[], b"GET / HTTP/3"),
        applies: |f| f.they_say("Version") && f.we_refuse_in_the_end(),
    },
    Reason {
        name: "faulty framing in half a head",
        peers: &["node"],
        kinds: &[WeWait],
        rfc: "RFC 9112, 6.3",
        why: "The fields that frame a message are judged when all of them are there.",
        example: (&[], b"GET / HTTP/1.1\r\nContent-Length: x"),
        applies: |f| f.they_say("HPE_") && f.we_refuse_in_the_end(),
    },
];
