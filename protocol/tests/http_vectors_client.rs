//! What a client accepts and refuses, each with the paragraph that says so. Every vector is fed whole,
//! byte by byte and at every two-way split.

mod http_support;

use ErrorKind::*;
use http_support::*;
use tidewire::http::*;

#[test]
fn a_client_must_refuse() {
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let vectors: Vec<(&str, String, ErrorKind)> = vec![
        ("4 no version", "200 OK\r\n\r\n".into(), BadVersion),
        ("2.3 HTTP/2", "HTTP/2.0 200 OK\r\n\r\n".into(), UnsupportedVersion),
        (
            "4 an empty line before the status line",
            "\r\nHTTP/1.1 200 OK\r\n\r\n".into(),
            BadVersion,
        ),
        ("4 two digits", "HTTP/1.1 20 OK\r\n\r\n".into(), BadStatusLine),
        ("4 four digits", "HTTP/1.1 2000 OK\r\n\r\n".into(), BadStatusLine),
        ("9110 15 less than 100", "HTTP/1.1 099 OK\r\n\r\n".into(), BadStatusLine),
        ("4 two spaces", "HTTP/1.1  200 OK\r\n\r\n".into(), BadStatusLine),
        ("4 a tab", "HTTP/1.1\t200 OK\r\n\r\n".into(), BadStatusLine),
        ("4 a sign", "HTTP/1.1 +20 OK\r\n\r\n".into(), BadStatusLine),
        ("2.2 a bare LF behind the status", "HTTP/1.1 200\n\r\n".into(), BadStatusLine),
        ("2.2 a bare LF behind the phrase", "HTTP/1.1 200 OK\n\r\n".into(), BareLf),
        ("2.2 a bare CR in the phrase", "HTTP/1.1 200 O\rK\r\n\r\n".into(), BareCr),
        ("4 NUL in the phrase", "HTTP/1.1 200 O\0K\r\n\r\n".into(), BadHeaderValue),
        ("5.1 a space before the colon", ok("A : b\r\n"), SpaceBeforeColon),
        ("5.2 a folded line", ok("A: b\r\n c\r\n"), ObsFold),
        (
            "6.1 Content-Length with Transfer-Encoding",
            ok("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
            LengthAndCoding,
        ),
        (
            "6.3 Content-Lengths that differ",
            ok("Content-Length: 3\r\nContent-Length: 4\r\n"),
            ContentLengthMismatch,
        ),
        ("9110 8.6 a negative Content-Length", ok("Content-Length: -1\r\n"), BadContentLength),
        ("6.1 an unknown coding", ok("Transfer-Encoding: gzip, chunked\r\n"), UnknownCoding),
        (
            "6.1 Transfer-Encoding in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            CodingInHttp10,
        ),
        (
            "7.1 a chunk size with 0x",
            ok("Transfer-Encoding: chunked\r\n") + "0x3\r\n",
            BadChunkSize,
        ),
        (
            "9.2 bytes behind the response",
            ok("Content-Length: 1\r\n") + "aHTTP",
            UnexpectedResponse,
        ),
    ];
    for (name, input, kind) in vectors {
        let run = every_way(input.as_bytes(), |pieces| ask(&Setup::default(), "GET", pieces));
        assert_eq!(run.error(), Some(kind), "{name}: {run:?}");
    }
}

#[test]
fn the_length_of_a_response_is_found_by_the_rules_of_rfc_9112_6_3() {
    // Request method, response, body, whether the connection then goes on.
    let vectors: &[(&str, &str, &str, bool)] = &[
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", true),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", true),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "", true),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", true),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nA: b\r\n\r\nHTTP/1.1 204 \r\n\r\n",
            "",
            true,
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true),
        (
            "GET",
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            "hello",
            true,
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", "", false),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false),
        (
            "GET",
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
            "ok",
            true,
        ),
        ("GET", "HTTP/1.1 999 \u{e4}\r\nContent-Length: 0\r\n\r\n", "", true),
    ];
    for (method, input, body, goes_on) in vectors {
        let run = every_way(input.as_bytes(), |pieces| ask(&Setup::default(), method, pieces));
        let data = |told: &Told| if let Told::Data(data) = told { data.clone() } else { vec![] };
        let all: Vec<u8> = run.told.iter().flat_map(data).collect();
        assert_eq!(all, body.as_bytes(), "{input}");
        assert!(run.told.iter().any(|told| matches!(told, Told::End(_))), "{input}: {run:?}");
        let closed = (!goes_on).then_some(Closed::Done);
        assert_eq!(run.closed(), closed, "{input}: {run:?}");
    }
}

#[test]
fn a_response_without_length_ends_with_the_connection() {
    let input = b"HTTP/1.1 200 OK\r\n\r\nhello";
    let setup = Setup { eof: true, ..Setup::default() };
    let run = every_way(input, |pieces| ask(&setup, "GET", pieces));
    let expected = [Told::Data(b"hello".to_vec()), Told::End(vec![]), Told::Closed(Closed::Done)];
    assert_eq!(run.told[1..], expected);
}

#[test]
fn a_response_that_is_cut_short_is_incomplete() {
    // RFC 9112, 8.
    for input in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let setup = Setup { eof: true, ..Setup::default() };
        let run = every_way(input.as_bytes(), |pieces| ask(&setup, "GET", pieces));
        assert_eq!(run.closed(), Some(Closed::Eof), "{input}");
        assert!(!run.told.iter().any(|told| matches!(told, Told::End(_))), "{input}");
    }
}
