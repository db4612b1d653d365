//! What a server accepts and refuses, each with the paragraph that says so. Every vector is fed
//! whole, byte by byte and at every two-way split.

mod http_support;

use ErrorKind::*;
use http_support::*;
use tidewire::http::*;

fn server() -> Setup {
    let limits = Limits { head: 512, headers: 6, chunk_line: 64, trailers: 64 };
    let server = ServerConfig { limits, max_body: 100, ..ServerConfig::default() };
    Setup { server, ..Setup::default() }
}

/// Behind a request line and Host: `fields`, the empty line, and `body`.
fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn a_server_must_refuse() {
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let line = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    let vectors: Vec<(&str, String, ErrorKind, u16)> = vec![
        // RFC 9112, 2.2: lines.
        (
            "2.2 a bare LF behind the request line",
            "GET / HTTP/1.1\nHost: h\r\n\r\n".into(),
            BareLf,
            400,
        ),
        ("2.2 a bare LF behind a field", "GET / HTTP/1.1\r\nHost: h\n\r\n".into(), BareLf, 400),
        ("2.2 a bare LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n".into(), BareLf, 400),
        (
            "2.2 a bare LF before the request",
            "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            BareLf,
            400,
        ),
        (
            "2.2 a bare CR behind the request line",
            "GET / HTTP/1.1\rHost: h\r\n\r\n".into(),
            BareCr,
            400,
        ),
        ("2.2 a bare CR in a value", get("A: b\rc\r\n"), BareCr, 400),
        ("2.2 CR CR LF", get("A: b\r\r\n"), BareCr, 400),
        ("2.2 a bare CR as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\rX".into(), BareCr, 400),
        (
            "2.2 two empty lines before the request",
            "\r\n\r\nGET / HTTP/1.1\r\n".into(),
            BadMethod,
            400,
        ),
        (
            "2.2 whitespace before the first field",
            "GET / HTTP/1.1\r\n Host: h\r\n\r\n".into(),
            ObsFold,
            400,
        ),
        // RFC 9112, 2.3 and 3: the request line.
        ("3 HTTP/0.9", "GET /\r\n".into(), BadVersion, 400),
        ("3 no target", line("GET HTTP/1.1"), BadVersion, 400),
        ("3 two spaces behind the method", line("GET  / HTTP/1.1"), BadTarget, 400),
        ("3 two spaces behind the target", line("GET /  HTTP/1.1"), BadVersion, 400),
        ("3 a space behind the version", line("GET / HTTP/1.1 "), BadVersion, 400),
        ("3 a tab for a space", line("GET\t/ HTTP/1.1"), BadMethod, 400),
        ("3 a leading space", line(" GET / HTTP/1.1"), BadMethod, 400),
        ("3 a fourth word", line("GET / x HTTP/1.1"), BadVersion, 400),
        ("3.1 a method that is no token", line("G@T / HTTP/1.1"), BadMethod, 400),
        ("3.1 an empty method", line("/ HTTP/1.1"), BadMethod, 400),
        ("2.3 a lower-case version", line("GET / http/1.1"), BadVersion, 400),
        ("2.3 another protocol", line("GET / HTTQ/1.1"), BadVersion, 400),
        ("2.3 two digits", line("GET / HTTP/1.10"), BadVersion, 400),
        ("2.3 no dot", line("GET / HTTP/11"), BadVersion, 400),
        ("2.3 a sign", line("GET / HTTP/+1.1"), BadVersion, 400),
        ("9110 15.6.6 HTTP/2.0", line("GET / HTTP/2.0"), UnsupportedVersion, 505),
        ("9110 15.6.6 HTTP/0.9 by name", line("GET / HTTP/0.9"), UnsupportedVersion, 505),
        (
            "9113 3.4 the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            UnsupportedVersion,
            505,
        ),
        ("3 TLS on a port without it", "\x16\x03\x01\x02\x00".into(), BadMethod, 400),
        // RFC 9112, 3.2: the target.
        ("3.2 a relative path", line("GET path HTTP/1.1"), BadTarget, 400),
        ("3.2 a fragment", line("GET /#f HTTP/1.1"), BadTarget, 400),
        ("3.2 a control byte", line("GET /\x01 HTTP/1.1"), BadTarget, 400),
        ("3.2 DEL", line("GET /\x7F HTTP/1.1"), BadTarget, 400),
        ("3.2 a byte beyond ASCII", line("GET /ä HTTP/1.1"), BadTarget, 400),
        ("3.2.4 * for GET", line("GET * HTTP/1.1"), BadTarget, 400),
        ("3.2.3 a path for CONNECT", line("CONNECT / HTTP/1.1"), BadTarget, 400),
        ("3.2.3 CONNECT without port", line("CONNECT h HTTP/1.1"), BadTarget, 400),
        ("3.2.3 CONNECT with an empty port", line("CONNECT h: HTTP/1.1"), BadTarget, 400),
        ("3.2.3 CONNECT with port 65536", line("CONNECT h:65536 HTTP/1.1"), BadTarget, 400),
        ("3.2.3 an authority for GET", line("GET h:80 HTTP/1.1"), BadTarget, 400),
        ("9110 4.2.1 an empty host in the target", line("GET http:///x HTTP/1.1"), BadTarget, 400),
        ("9110 4.2.4 a user in the target", line("GET http://u@h/ HTTP/1.1"), BadTarget, 400),
        // RFC 9112, 3.2: Host.
        ("3.2 no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n".into(), MissingHost, 400),
        (
            "3.2 no Host and an absolute target",
            "GET http://h/ HTTP/1.1\r\n\r\n".into(),
            MissingHost,
            400,
        ),
        ("3.2 two Hosts", get("Host: h\r\n"), DuplicateHost, 400),
        (
            "3.2 two Hosts in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n".into(),
            DuplicateHost,
            400,
        ),
        ("3.2 a Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n".into(), BadHost, 400),
        ("3.2 a Host with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n".into(), BadHost, 400),
        ("3.2 a Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".into(), BadHost, 400),
        ("3.2 a Host with a bad port", "GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n".into(), BadHost, 400),
        (
            "3.2 a Host with half a bracket",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".into(),
            BadHost,
            400,
        ),
        ("3986 3.2.2 brackets around a name", line("GET http://[h]/ HTTP/1.1"), BadTarget, 400),
        (
            "3986 3.2.2 a Host with a zone",
            "GET / HTTP/1.1\r\nHost: [fe80::1%25lo]\r\n\r\n".into(),
            BadHost,
            400,
        ),
        (
            "3986 3.2.2 a Host with brackets around nothing of a future version",
            "GET / HTTP/1.1\r\nHost: [v1.]\r\n\r\n".into(),
            BadHost,
            400,
        ),
        (
            "3986 2.1 a Host with half a %XX",
            "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n".into(),
            BadHost,
            400,
        ),
        // RFC 9112, 5: fields.
        ("5.1 a space before the colon", get("A : b\r\n"), SpaceBeforeColon, 400),
        ("5.1 a tab before the colon", get("A\t: b\r\n"), SpaceBeforeColon, 400),
        ("5 no colon", get("A\r\n"), BadHeaderName, 400),
        ("5 an empty name", get(": b\r\n"), BadHeaderName, 400),
        ("9110 5.1 a name that is no token", get("A(b): c\r\n"), BadHeaderName, 400),
        ("9110 5.1 a name beyond ASCII", get("Ä: c\r\n"), BadHeaderName, 400),
        ("5.2 a folded line", get("A: b\r\n c\r\n"), ObsFold, 400),
        ("5.2 a line folded with a tab", get("A: b\r\n\tc\r\n"), ObsFold, 400),
        ("9110 5.5 NUL in a value", get("A: b\0c\r\n"), BadHeaderValue, 400),
        ("9110 5.5 DEL in a value", get("A: b\x7Fc\r\n"), BadHeaderValue, 400),
        (
            "9110 5.5 a control byte in a value",
            get("A: longer than eight\x1B\r\n"),
            BadHeaderValue,
            400,
        ),
        // RFC 9112, 6: framing.
        (
            "6.1 Content-Length with Transfer-Encoding",
            post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            LengthAndCoding,
            400,
        ),
        (
            "6.1 Transfer-Encoding with Content-Length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
            LengthAndCoding,
            400,
        ),
        (
            "6.3 Content-Lengths that differ",
            post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
            ContentLengthMismatch,
            400,
        ),
        (
            "6.3 a list of Content-Lengths that differ",
            post("Content-Length: 3, 4\r\n", "abcd"),
            ContentLengthMismatch,
            400,
        ),
        ("6.3 an empty Content-Length", post("Content-Length: \r\n", ""), BadContentLength, 400),
        (
            "6.3 a Content-Length with an empty member",
            post("Content-Length: 3,\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a Content-Length with a plus",
            post("Content-Length: +3\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a Content-Length with a minus",
            post("Content-Length: -3\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a hexadecimal Content-Length",
            post("Content-Length: 0x3\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a Content-Length with underscore",
            post("Content-Length: 1_0\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a Content-Length with a space",
            post("Content-Length: 1 0\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a Content-Length with a fraction",
            post("Content-Length: 3.0\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a quoted Content-Length",
            post("Content-Length: \"3\"\r\n", "abc"),
            BadContentLength,
            400,
        ),
        (
            "9110 8.6 a Content-Length of 2^64",
            post("Content-Length: 18446744073709551616\r\n", ""),
            BadContentLength,
            400,
        ),
        (
            "6.3 a coding that does not end in chunked",
            post("Transfer-Encoding: gzip\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.3 a coding behind chunked",
            post("Transfer-Encoding: chunked, gzip\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.3 a coding behind chunked, on its own line",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 chunked twice",
            post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 chunked on two lines",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 an empty Transfer-Encoding",
            post("Transfer-Encoding:\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 an empty coding",
            post("Transfer-Encoding: , chunked\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 chunked with something attached",
            post("Transfer-Encoding: xchunked\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "7 chunked with a parameter",
            post("Transfer-Encoding: chunked;a=b\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 chunked in quotes",
            post("Transfer-Encoding: \"chunked\"\r\n", ""),
            BadTransferEncoding,
            400,
        ),
        (
            "6.1 an unknown coding",
            post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            UnknownCoding,
            501,
        ),
        (
            "6.1 Transfer-Encoding in HTTP/1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            CodingInHttp10,
            400,
        ),
        (
            "9110 10.1.1 another expectation",
            post("Expect: miracles\r\nContent-Length: 1\r\n", ""),
            UnknownExpectation,
            417,
        ),
        // RFC 9112, 7.1: chunks.
        ("7.1 no size", chunked("\r\n"), BadChunkSize, 400),
        ("7.1 a negative size", chunked("-3\r\nabc\r\n"), BadChunkSize, 400),
        ("7.1 a size with plus", chunked("+3\r\nabc\r\n"), BadChunkSize, 400),
        ("7.1 a size with 0x", chunked("0x3\r\nabc\r\n"), BadChunkSize, 400),
        ("7.1 a size with underscore", chunked("0_3\r\nabc\r\n"), BadChunkSize, 400),
        ("7.1 a space before the size", chunked(" 3\r\nabc\r\n"), BadChunkSize, 400),
        ("7.1 a size that is no number", chunked("g\r\n"), BadChunkSize, 400),
        ("7.1 a size of 2^64", chunked("10000000000000000\r\n"), BadChunkSize, 400),
        ("7.1 a bare LF behind the size", chunked("3\nabc\r\n"), BadChunkSize, 400),
        ("7.1 a bare CR behind the size", chunked("3\rabc\r\n"), BareCr, 400),
        ("7.1 data that is too long", chunked("3\r\nabcd\r\n"), MissingChunkEnd, 400),
        ("7.1 data that is too short", chunked("3\r\nab\r\n0\r\n\r\n"), MissingChunkEnd, 400),
        ("7.1 no CRLF behind the data", chunked("3\r\nabc0\r\n\r\n"), MissingChunkEnd, 400),
        ("7.1 a bare LF behind the data", chunked("3\r\nabc\n0\r\n\r\n"), MissingChunkEnd, 400),
        ("7.1 a bare CR behind the data", chunked("3\r\nabc\r0\r\n\r\n"), MissingChunkEnd, 400),
        ("7.1.1 LF in an extension", chunked("3;a\nb\r\nabc\r\n"), BadChunkExtension, 400),
        ("7.1.1 CR in an extension", chunked("3;a\rb\r\nabc\r\n"), BareCr, 400),
        (
            "7.1.1 LF in a quoted extension",
            chunked("3;a=\"\n\"\r\nabc\r\n"),
            BadChunkExtension,
            400,
        ),
        ("7.1.1 an extension without name", chunked("3;\r\nabc\r\n"), BadChunkExtension, 400),
        ("7.1.1 an extension without semicolon", chunked("3 a\r\nabc\r\n"), BadChunkExtension, 400),
        ("7.1.1 a space behind the size", chunked("3 \r\nabc\r\n"), BadChunkExtension, 400),
        ("7.1.1 a quote that is not closed", chunked("3;a=\"b\r\nabc\r\n"), BadChunkExtension, 400),
        (
            "7.1.2 Content-Length as a trailer",
            chunked("0\r\nContent-Length: 3\r\n\r\n"),
            ForbiddenTrailer,
            400,
        ),
        (
            "7.1.2 Transfer-Encoding as a trailer",
            chunked("0\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n"),
            ForbiddenTrailer,
            400,
        ),
        ("9110 6.5.1 Host as a trailer", chunked("0\r\nhost: h\r\n\r\n"), ForbiddenTrailer, 400),
        ("7.1.2 a malformed trailer", chunked("0\r\nA\r\n\r\n"), BadHeaderName, 400),
        ("7.1 a bare LF behind the last chunk", chunked("0\r\n\n"), BareLf, 400),
        // Limits.
        (
            "9110 15.5.15 a target that is too long",
            line(&format!("GET /{} HTTP/1.1", "a".repeat(600))),
            TargetTooLong,
            414,
        ),
        (
            "6585 5 a head that is too large",
            get(&format!("A: {}\r\n", "b".repeat(600))),
            HeadTooLarge,
            431,
        ),
        ("6585 5 too many fields", get(&"A: b\r\n".repeat(6)), TooManyHeaders, 431),
        (
            "6585 5 too many trailers",
            chunked(&format!("0\r\n{}", "a:\r\n".repeat(7))),
            TooManyHeaders,
            431,
        ),
        (
            "6585 5 trailers that are too large",
            chunked(&format!("0\r\nA: {}", "a".repeat(64))),
            TrailersTooLarge,
            431,
        ),
        (
            "7.1.1 a chunk line that is too long",
            chunked(&format!("3;{}", "a".repeat(70))),
            ChunkLineTooLong,
            400,
        ),
        (
            "7.1 a size of too many zeros",
            chunked(&format!("{}3\r\nabc", "0".repeat(70))),
            ChunkLineTooLong,
            400,
        ),
        (
            "9110 15.5.14 a Content-Length above the limit",
            post("Content-Length: 101\r\n", ""),
            BodyTooLarge,
            413,
        ),
        ("9110 15.5.14 a chunk above the limit", chunked("65\r\n"), BodyTooLarge, 413),
        (
            "9110 15.5.14 chunks above the limit together",
            chunked("3\r\nabc\r\n62\r\n"),
            BodyTooLarge,
            413,
        ),
    ];
    for (name, input, kind, status) in &vectors {
        let run = every_way(input.as_bytes(), |pieces| serve(&server(), pieces));
        let Some(Closed::Protocol(error)) = run.closed() else { panic!("{name}: {run:?}") };
        assert_eq!((error.kind, error.status_hint().code()), (*kind, *status), "{name}");
        assert!(error.offset <= input.len() as u64, "{name}: {error}");
        let refusal = format!(
            "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            error.status_hint()
        );
        assert_eq!(String::from_utf8_lossy(&run.sent), refusal, "{name}");
    }
    println!("{} refused", vectors.len());
}

#[test]
fn an_error_says_at_which_byte() {
    for (input, offset) in [
        ("GET /\x01", 5),
        ("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 26),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 41),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX", 62),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxGET /\r\n", 53),
    ] {
        let run = every_way(input.as_bytes(), |pieces| serve(&server(), pieces));
        let Some(Closed::Protocol(error)) = run.closed() else { panic!("{input}: {run:?}") };
        assert_eq!(error.offset, offset, "{input}: {error}");
    }
}

#[test]
fn a_server_must_accept() {
    let line = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    let vectors: Vec<(&str, String, &str)> = vec![
        ("2.2 one empty line before the request", format!("\r\n{}", line("GET / HTTP/1.1")), ""),
        ("3.1 any token as method", line("!#$%&'*+-.^_`|~ / HTTP/1.1"), ""),
        ("3.2.1 a path and query", line("GET /a/b?c=d&e=%20?/ HTTP/1.1"), ""),
        ("3.2.2 an absolute target", line("GET http://h:80/a?b HTTP/1.1"), ""),
        ("3.2.2 an absolute target without path", line("GET http://[::1]?b HTTP/1.1"), ""),
        ("3.2.3 CONNECT with an authority", line("CONNECT h:443 HTTP/1.1"), ""),
        ("3.2.4 * for OPTIONS", line("OPTIONS * HTTP/1.1"), ""),
        ("9110 2.5 a later minor version", line("GET / HTTP/1.7"), ""),
        ("3.2 HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n".into(), ""),
        ("3.2 an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".into(), ""),
        ("9110 7.2 a Host with a port", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n".into(), ""),
        (
            "3986 3.2.2 a Host of a future version",
            "GET / HTTP/1.1\r\nHost: [v7f.a:b]\r\n\r\n".into(),
            "",
        ),
        ("3986 3.2.2 an encoded name", "GET / HTTP/1.1\r\nHost: %C3%A4_.h:1\r\n\r\n".into(), ""),
        ("5 a value without space before it", "GET / HTTP/1.1\r\nHost:h\r\n\r\n".into(), ""),
        ("5.1 a value between whitespace", "GET / HTTP/1.1\r\nHost: \t h \t \r\n\r\n".into(), ""),
        (
            "9110 5.5 a value beyond ASCII",
            "GET / HTTP/1.1\r\nHost: h\r\nA: ä\t\"\r\n\r\n".into(),
            "",
        ),
        ("6.3 a body of known length", post("Content-Length: 5\r\n", "hello"), "hello"),
        (
            "6.3 equal Content-Lengths",
            post("Content-Length: 3, 3\r\ncontent-length: 03\r\n", "abc"),
            "abc",
        ),
        ("6.3 no length, no body", post("", ""), ""),
        ("7 Chunked in any case", post("transfer-encoding: Chunked\r\n", "0\r\n\r\n"), ""),
        (
            "7.1 chunks",
            chunked("5\r\nhello\r\n00A\r\n, world\r\n!\r\n0\r\n\r\n"),
            "hello, world\r\n!",
        ),
        (
            "7.1 a size in any case",
            chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n"),
            "01234567890123456789",
        ),
        (
            "7.1.1 extensions",
            chunked("3;a\r\nabc\r\n1 ; b = c;d=\"\\\";\t\"\r\nd\r\n0;e=\"\"\r\n\r\n"),
            "abcd",
        ),
        ("7.1.2 trailers", chunked("3\r\nabc\r\n0\r\nA: b\r\nC:d \r\n\r\n"), "abc"),
    ];
    for (name, input, body) in &vectors {
        let run = every_way(input.as_bytes(), |pieces| serve(&server(), pieces));
        let data = run.told.iter().find_map(|told| match told {
            Told::Data(data) => Some(data.clone()),
            _ => None,
        });
        assert_eq!(data.unwrap_or_default(), body.as_bytes(), "{name}: {run:?}");
        assert!(matches!(run.told.first(), Some(Told::Request(..))), "{name}: {run:?}");
        assert!(run.told.iter().any(|told| matches!(told, Told::End(_))), "{name}: {run:?}");
        assert_eq!(run.error(), None, "{name}");
        assert!(run.sent.starts_with(b"HTTP/1.1 200 OK\r\n"), "{name}: {run:?}");
    }
    println!("{} accepted", vectors.len());
}

#[test]
fn whatever_is_cut_short_is_incomplete_and_not_an_error() {
    let input = chunked("3;a=\"b\"\r\nabc\r\n0\r\nA: b\r\n\r\n");
    for end in 0..input.len() {
        let run = serve(&server(), [&input.as_bytes()[..end]]);
        assert_eq!(run.closed(), None, "{end}");
        let run = serve(&Setup { eof: true, ..server() }, [&input.as_bytes()[..end]]);
        // RFC 9112, 8: an incomplete message is told from a connection that ended in order.
        let why = if end == 0 { Closed::Done } else { Closed::Eof };
        assert_eq!(run.closed(), Some(why), "{end}");
        assert!(!run.told.iter().any(|told| matches!(told, Told::End(_))));
    }
}

#[test]
fn what_is_as_large_as_its_limit_is_accepted_and_one_byte_more_is_not() {
    let head = |size: usize| {
        let start = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
        format!("{start}{}\r\n\r\n", "b".repeat(size - start.len() - 4))
    };
    let line = |size: usize| {
        let extension = "e".repeat(size - "3;\r\n".len());
        chunked(&format!("3;{extension}\r\nabc\r\n0\r\n\r\n"))
    };
    let trailers = |size: usize| {
        let value = "v".repeat(size - "A:\r\n\r\n".len());
        chunked(&format!("0\r\nA:{value}\r\n\r\n"))
    };
    let body = |size: usize| post(&format!("Content-Length: {size}\r\n"), &"x".repeat(size));
    let fields =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    let vectors = [
        (head(512), head(513), HeadTooLarge),
        (line(64), line(65), ChunkLineTooLong),
        (trailers(64), trailers(65), TrailersTooLarge),
        (body(100), body(101), BodyTooLarge),
        (fields(6), fields(7), TooManyHeaders),
    ];
    for (fits, exceeds, kind) in vectors {
        let run = every_way(fits.as_bytes(), |pieces| serve(&server(), pieces));
        assert!(run.sent.starts_with(b"HTTP/1.1 200 OK"), "{kind}: {run:?}");
        let run = every_way(exceeds.as_bytes(), |pieces| serve(&server(), pieces));
        assert_eq!(run.error(), Some(kind));
    }
    // A head that is incomplete at its limit is not waited for.
    let run = serve(&server(), [&head(513).as_bytes()[..512]]);
    assert_eq!(run.error(), Some(HeadTooLarge));
}
