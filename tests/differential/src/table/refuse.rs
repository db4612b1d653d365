//! What we refuse and others take.

use super::*;

pub static REASONS: &[Reason] = &[
    Reason {
        name: "a bare LF before a request",
        peers: &["httparse", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.2",
        why: "The empty line that is ignored there is CR LF.",
        example: (&[], b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            let line = f.before().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            // It may lie on a line with the end of the body before.
            let body = f.ours.messages.last().map_or(&b""[..], |message| &message.body);
            let outside = !line.contains(&b':') && !contains(line, b"HTTP/");
            f.we_say("BareLf") && f.case.is_requests() && (outside || body.ends_with(line))
        },
    },
    Reason {
        name: "a bare LF",
        peers: &["httparse", "h11"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.2",
        why: "A recipient may take it for the end of a line; who does so and who does not see different \
              messages. A client's leniency may.",
        example: (&[], b"GET / HTTP/1.1\nHost: h\r\n\r\n"),
        applies: |f| (f.we_say("BareLf") || f.we_say("BadStatusLine")) && f.byte() == b'\n' && !f.before().ends_with(b"\r"),
    },
    Reason {
        name: "a bare CR",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.2",
        why: "A recipient must refuse it or replace it by a space.",
        example: (&[], b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            let rest = if f.before().ends_with(b"\r") { f.rest() } else { f.rest().get(1..).unwrap_or_default() };
            f.we_say("BareCr") && !rest.starts_with(b"\n")
        },
    },
    Reason {
        name: "more than one empty line before a request",
        peers: &["http-net", "httparse", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.2",
        why: "At least one should be ignored, which is what old clients send behind a body; more are \
              padding.",
        example: (&[], b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            f.we_say("BadMethod")
                && matches!(f.byte(), b'\r' | b'\n')
                && f.before().ends_with(b"\r\n")
        },
    },
    Reason {
        name: "empty lines before a response",
        peers: &["httparse", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.2",
        why: "Only a server ignores an empty line before a message.",
        example: (&[Get], b"\r\nHTTP/1.1 204 \r\n\r\n"),
        applies: |f| {
            f.we_say("BadVersion") && !f.case.is_requests() && matches!(f.byte(), b'\r' | b'\n')
        },
    },
    Reason {
        name: "a request line without a version",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.3 and 3",
        why: "That is HTTP/0.9.",
        example: (&[], b"GET /\r\n\r\n"),
        applies: |f| f.we_say("BadVersion") && matches!(f.byte(), b'\r' | b'\n'),
    },
    Reason {
        name: "other than one space in the request line",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3",
        why: "Its parts are set off by a single space; a recipient may be lenient, and must know then \
              that others are not.",
        example: (&[], b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            f.case.is_requests()
                && (f.we_say("BadTarget") || f.we_say("BadVersion") || f.we_say("BadMethod"))
                && matches!(f.byte(), b' ' | b'\t')
        },
    },
    Reason {
        name: "a byte above ASCII in a target",
        peers: &["httparse"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2",
        why: "It would be encoded.",
        example: (&[], b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| f.we_say("BadTarget") && f.byte() >= 0x7f,
    },
    Reason {
        name: "a fragment in a target",
        peers: &["httparse", "h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2, and RFC 9110, 7.1",
        why: "The target excludes the fragment.",
        example: (&[], b"GET /#a HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| f.we_say("BadTarget") && f.byte() == b'#',
    },
    Reason {
        name: "a target that does not fit its method",
        peers: &["http-net", "h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2",
        why: "There are four forms: origin, absolute with a host, authority with a port for CONNECT \
              alone, and `*` for OPTIONS alone. A port fits 16 bits and an address is one.",
        example: (&[], b"GET http://h:99999/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        applies: |f| {
            let target = f.rest().split(|&byte| byte == b' ').next().unwrap_or_default();
            let unfit = match f.peer {
                "http-net" => has_bad_port(target) || has_bad_address(target),
                _ => !target.starts_with(b"/"),
            };
            f.we_say("BadTarget") && f.before().ends_with(b" ") && (unfit || f.before().ends_with(b"CONNECT "))
        },
    },
    Reason {
        name: "a version other than 1.x",
        peers: &["h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 2.5 and 15.6.6",
        why: "A message of another major version has another syntax.",
        example: (&[Get], b"HTTP/2.0 204 \r\n\r\n"),
        applies: |f| f.we_say("UnsupportedVersion") && f.rest().starts_with(b"HTTP/"),
    },
    Reason {
        name: "a protocol other than HTTP",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 2.3",
        why: "llhttp reads RTSP, ICE and such too.",
        example: (&[], b"SOURCE / ICE/1.0\r\n\r\n"),
        applies: |f| {
            f.we_say("BadVersion") && (f.rest().starts_with(b"RTSP/") || f.rest().starts_with(b"ICE/"))
        },
    },
    Reason {
        name: "a status below 100, or of other than three digits",
        peers: &["httparse", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 4, and RFC 9110, 15",
        why: "A status is three digits from 100 on, a space before it and one behind it.",
        example: (&[Get], b"HTTP/1.1 099 \r\n\r\n"),
        applies: |f| f.we_say("BadStatusLine") && contains(f.line(), b"HTTP/1."),
    },
    Reason {
        name: "a control byte in a value or reason phrase",
        peers: &["h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 5.5",
        why: "A recipient must refuse CR, LF and NUL, or replace them; other control bytes are invalid \
              too.",
        example: (&[Get], b"HTTP/1.1 204 \x01\r\n\r\n"),
        applies: |f| {
            f.we_say("BadHeaderValue") && (f.byte() < b' ' || f.byte() == 0x7f) && f.byte() != b'\t'
        },
    },
    Reason {
        name: "a folded line",
        peers: &["h11"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 5.2",
        why: "A server must refuse it or replace it by spaces. A client's leniency may unfold.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"),
        applies: |f| {
            f.we_say("ObsFold") && matches!(f.byte(), b' ' | b'\t') && f.before().ends_with(b"\n")
        },
    },
    Reason {
        name: "no Host",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2",
        why: "A server must answer 400. Node's parser leaves it to its http module.",
        example: (&[], b"GET / HTTP/1.1\r\n\r\n"),
        applies: |f| f.we_say("MissingHost") && values(f.theirs(), "host").next().is_none(),
    },
    Reason {
        name: "no Host in a later minor version",
        peers: &["h11"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2, and RFC 9110, 2.5",
        why: "It is read as HTTP/1.1. h11 looks for Host in requests of exactly that version.",
        example: (&[], b"GET / HTTP/1.2\r\n\r\n"),
        applies: |f| {
            let later = |line: &[u8]| line.len() > 8 && line[..line.len() - 1].ends_with(b"HTTP/1.");
            f.we_say("MissingHost") && f.lines().any(|line| later(line) && !line.ends_with(b".1"))
        },
    },
    Reason {
        name: "more than one Host",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2",
        why: "A server must answer 400. Node's parser leaves it to its http module.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        applies: |f| f.we_say("DuplicateHost") && values(f.theirs(), "host").count() > 1,
    },
    Reason {
        name: "a Host that is none",
        peers: &["http-net", "h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 3.2, and RFC 3986, 3.2.2",
        why: "A server must answer 400 to an invalid Host: a port beyond 16 bits, brackets around \
              other than an address, or (for others than http-net) bytes that no host has.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n"),
        applies: |f| {
            let value = first_line(f.rest());
            let known = f.peer != "http-net" || has_bad_port(trim_end(value)) || has_bad_address(value);
            f.we_say("BadHost") && f.in_field("host") && known
        },
    },
    Reason {
        name: "an expectation other than 100-continue",
        peers: &["http-net", "h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 10.1.1",
        why: "A server may answer 417 to an expectation that it does not know; others leave it to their \
              callers, and may so wait for a body that waits for them.",
        example: (&[], b"GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n"),
        applies: |f| {
            let value = trim_end(first_line(f.rest()));
            f.we_say("UnknownExpectation")
                && f.in_field("expect")
                && !value.eq_ignore_ascii_case(b"100-continue")
        },
    },
    Reason {
        name: "both lengths",
        peers: &["h11"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 6.1 and 6.3 (3)",
        why: "A server may refuse it and ought to treat it as an error; the coding wins elsewhere. A \
              client's leniency may let it win too.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
              0\r\n\r\n",
        ),
        applies: |f| f.we_say("LengthAndCoding") && f.in_field("transfer-encoding"),
    },
    Reason {
        name: "a coding in HTTP/1.0",
        peers: &["h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 6.1",
        why: "Its framing must be treated as faulty.",
        example: (&[Get], b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        applies: |f| f.we_say("CodingInHttp10") && f.in_field("transfer-encoding"),
    },
    Reason {
        name: "faulty framing of what has no body",
        peers: &["http-net", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 6.1 and 6.3",
        why: "A response to HEAD, a 1xx, 204 or 304 has no body whatever its fields say, which others \
              then do not look at. We do: a server that frames one wrongly is not to be trusted with the \
              next.",
        example: (&[Get], b"HTTP/1.1 304 \r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
        applies: |f| {
            let kinds = [
                "CodingInHttp10",
                "BadTransferEncoding",
                "UnknownCoding",
                "LengthAndCoding",
                "BadContentLength",
                "ContentLengthMismatch",
            ];
            f.is_bodiless()
                && (f.in_field("transfer-encoding") || f.in_field("content-length"))
                && kinds.iter().any(|kind| f.we_say(kind))
        },
    },
    Reason {
        name: "faulty framing of a CONNECT",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 6.1 and 6.3",
        why: "llhttp leaves what follows the head to its user, whatever the fields say of a body. Where \
              CONNECT is answered with an error, the connection goes on, and with it the doubt.",
        example: (&[], b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"),
        applies: |f| {
            let connect = f.theirs().is_some_and(|message| message.first == b"CONNECT");
            let kinds = ["BadTransferEncoding", "UnknownCoding", "LengthAndCoding", "CodingInHttp10"];
            connect && f.in_field("transfer-encoding") && kinds.iter().any(|kind| f.we_say(kind))
        },
    },
    Reason {
        name: "a response whose coding does not end in chunked",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 6.3 (4)",
        why: "Its body lasts until the close. It is coded, though, and to hand it on as if it were not \
              is wrong: what cannot be decoded is refused.",
        example: (&[Get], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx"),
        applies: |f| {
            f.we_say("BadTransferEncoding") && f.in_field("transfer-encoding") && !f.case.is_requests()
        },
    },
    Reason {
        name: "a coding that nobody decodes",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 6.1",
        why: "A server answers 501 to a coding that it does not know; so does llhttp's user, if it \
              looks.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        applies: |f| f.we_say("UnknownCoding") && f.in_field("transfer-encoding"),
    },
    Reason {
        name: "an empty member of Transfer-Encoding",
        peers: &["http-net", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 5.6.1.2, and RFC 9112, 6.1",
        why: "A recipient must ignore a few empty members of a list, and this is one. We do not here: \
              nobody sends them in this field but to hide `chunked` from someone else.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
        ),
        applies: |f| {
            let value = trim_end(first_line(f.rest()));
            f.we_say("BadTransferEncoding")
                && f.in_field("transfer-encoding")
                && value.split(|&byte| byte == b',').any(|member| trim_end(member).is_empty())
        },
    },
    Reason {
        name: "a Content-Length of more than 64 bits",
        peers: &["h11"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 8.6",
        why: "Overflow must be prevented; a number of Python's has none.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n",
        ),
        applies: |f| {
            f.we_say("BadContentLength")
                && f.in_field("content-length")
                && trim_end(first_line(f.rest())).len() == 20
        },
    },
    Reason {
        name: "a chunk extension that is none",
        peers: &["h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 7.1.1",
        why: "An extension is `;`, a name, and perhaps `=` and a token or quoted string. What others \
              skip unlooked at hides line ends in them.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;a=\r\n\r\n",
        ),
        applies: |f| (f.we_say("BadChunkExtension") || f.we_say("BareCr")) && f.line().first().is_some_and(u8::is_ascii_hexdigit),
    },
    Reason {
        name: "chunks of more than 64 bits",
        peers: &["h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9112, 7.1",
        why: "Overflow must be prevented: in the sum too.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
              1\r\nx\r\nffffffffffffffff\r\nx\r\n\r\n",
        ),
        applies: |f| {
            let digits = f.line().iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            f.we_say("BodyTooLarge") && f.before().ends_with(b"\r\n")
                || f.we_say("BadChunkSize") && digits > 16
        },
    },
    Reason {
        name: "a trailer that may only stand in a head",
        peers: &["http-net", "h11", "node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 6.5.1",
        why: "Framing, routing and content fields must not be sent as trailers; who merges them with \
              the head changes what the message means.",
        example: (
            &[],
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: x\r\n\r\n",
        ),
        applies: |f| {
            let names = [
                "connection", "content-encoding", "content-length", "content-range", "content-type",
                "expect", "host", "keep-alive", "max-forwards", "proxy-connection", "te", "trailer",
                "transfer-encoding", "upgrade",
            ];
            f.we_say("ForbiddenTrailer") && names.iter().any(|name| f.in_field(name))
        },
    },
    Reason {
        name: "a 101 that nobody asked for",
        peers: &["node"],
        kinds: &[WeRefuse],
        rfc: "RFC 9110, 15.2.2",
        why: "It answers an Upgrade. Node's parser knows no requests.",
        example: (&[Get], b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        applies: |f| f.we_say("UnexpectedUpgrade"),
    },
];
