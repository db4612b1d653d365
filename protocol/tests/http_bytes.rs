//! Each of the 256 bytes in each place of a message: those of the grammar, and no other, may stand
//! there. The classes are written down once more here, from the standards.

mod http_support;

use http_support::*;

/// `tchar` (RFC 9110, 5.6.2).
fn tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `HTAB / SP / VCHAR / obs-text` (RFC 5234, B.1; RFC 9110, 5.5).
fn text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xFF)
}

/// `unreserved / sub-delims` (RFC 3986, 2.2 and 2.3).
fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// What may stand at the place of the sign `¿`.
type Allowed = fn(u8) -> bool;

const IN_REQUESTS: &[(&str, &str, Allowed)] = &[
    ("RFC 9112, 2.2: before the request line", "¿GET / HTTP/1.1\r\nHost: h\r\n\r\n", tchar),
    ("RFC 9112, 3.1: in a method", "G¿T / HTTP/1.1\r\nHost: h\r\n\r\n", tchar),
    ("RFC 9112, 3: behind a method", "GET¿/ HTTP/1.1\r\nHost: h\r\n\r\n", |it| it == b' '),
    // More than the grammar has: see the `may-refuse` of the targets.
    ("RFC 9112, 3.2: in a target", "GET /¿x HTTP/1.1\r\nHost: h\r\n\r\n", |it| {
        matches!(it, b'!'..=b'~') && it != b'#'
    }),
    ("RFC 9112, 3: behind a target", "GET /¿HTTP/1.1\r\nHost: h\r\n\r\n", |it| it == b' '),
    ("RFC 9112, 2.3: in a name of a protocol", "GET / HT¿P/1.1\r\nHost: h\r\n\r\n", |it| {
        it == b'T'
    }),
    ("RFC 9112, 2.3: a major version", "GET / HTTP/¿.1\r\nHost: h\r\n\r\n", |it| it == b'1'),
    ("RFC 9112, 2.3: a minor version", "GET / HTTP/1.¿\r\nHost: h\r\n\r\n", |it| {
        it.is_ascii_digit()
    }),
    ("RFC 9112, 3: behind a version", "GET / HTTP/1.1¿\nHost: h\r\n\r\n", |it| it == b'\r'),
    ("RFC 9112, 2.2: behind a CR", "GET / HTTP/1.1\r¿Host: h\r\n\r\n", |it| it == b'\n'),
    ("RFC 9112, 5: before a field", "GET / HTTP/1.1\r\nHost: h\r\n¿A: b\r\n\r\n", tchar),
    ("RFC 9112, 5: in a name", "GET / HTTP/1.1\r\nHost: h\r\nA¿B: c\r\n\r\n", |it| {
        tchar(it) || it == b':'
    }),
    ("RFC 9112, 5.1: before a colon", "GET / HTTP/1.1\r\nHost: h\r\nA¿: b\r\n\r\n", |it| {
        tchar(it) || it == b':'
    }),
    ("RFC 9112, 5.1: before a value", "GET / HTTP/1.1\r\nHost: h\r\nA:¿b\r\n\r\n", text),
    ("RFC 9110, 5.5: in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b¿c\r\n\r\n", text),
    (
        "RFC 9110, 5.5: in a long value",
        "GET / HTTP/1.1\r\nHost: h\r\nA: 0123456789abcdef¿c\r\n\r\n",
        text,
    ),
    ("RFC 9110, 5.5: behind a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b¿\r\n\r\n", text),
    ("RFC 9112, 2.2: behind the fields", "GET / HTTP/1.1\r\nHost: h\r\n\r¿", |it| it == b'\n'),
    ("RFC 9110, 7.2: in a Host", "GET / HTTP/1.1\r\nHost: a¿b\r\n\r\n", plain),
    ("RFC 9110, 7.2: in a port", "GET / HTTP/1.1\r\nHost: a:1¿1\r\n\r\n", |it| {
        it.is_ascii_digit()
    }),
    ("RFC 3986, 3.2.2: in an address", "GET / HTTP/1.1\r\nHost: [::1¿1]\r\n\r\n", |it| {
        it.is_ascii_hexdigit() || it == b':'
    }),
    (
        "RFC 9112, 3.2.2: in a host of a target",
        "GET http://a¿b/ HTTP/1.1\r\nHost: h\r\n\r\n",
        |it| plain(it) || matches!(it, b'/' | b'?'),
    ),
    ("RFC 9112, 3.2.3: in a host of CONNECT", "CONNECT a¿b:1 HTTP/1.1\r\nHost: h\r\n\r\n", plain),
    // Lists of equal lengths may be taken for one (RFC 9110, 8.6).
    (
        "RFC 9110, 8.6: in a length",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1¿1\r\n\r\n",
        |it| it.is_ascii_digit() || it == b',',
    ),
    (
        "RFC 9110, 8.6: before a length",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length:¿1\r\n\r\n",
        |it| it.is_ascii_digit() || matches!(it, b' ' | b'\t'),
    ),
    (
        "RFC 9110, 8.6: behind a length",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1¿\r\n\r\n",
        |it| it.is_ascii_digit() || matches!(it, b' ' | b'\t'),
    ),
    (
        "RFC 9112, 6.1: in a coding",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chun¿ed\r\n\r\n",
        |it| matches!(it, b'k' | b'K'),
    ),
    (
        "RFC 9112, 6.1: before a coding",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:¿chunked\r\n\r\n",
        |it| matches!(it, b' ' | b'\t'),
    ),
    (
        "RFC 9112, 6.1: behind a coding",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked¿\r\n\r\n",
        |it| matches!(it, b' ' | b'\t'),
    ),
];

/// Behind the head of a message in chunked coding.
const IN_CHUNKS: &[(&str, &str, Allowed)] = &[
    ("RFC 9112, 7.1: a size", "¿\r\n", |it| it.is_ascii_hexdigit()),
    ("RFC 9112, 7.1: in a size", "1¿1\r\n", |it| it.is_ascii_hexdigit() || it == b';'),
    ("RFC 9112, 7.1: behind a size", "1¿\na\r\n", |it| it == b'\r'),
    ("RFC 9112, 7.1: behind the CR of a size", "1\r¿", |it| it == b'\n'),
    ("RFC 9112, 7.1: in data", "3\r\na¿b\r\n", |_| true),
    ("RFC 9112, 7.1: behind data", "1\r\na¿\n1\r\n", |it| it == b'\r'),
    ("RFC 9112, 7.1: behind the CR of data", "1\r\na\r¿1\r\n", |it| it == b'\n'),
    ("RFC 9112, 7.1.1: before the name of an extension", "1;¿a\r\n", |it| {
        tchar(it) || matches!(it, b' ' | b'\t')
    }),
    ("RFC 9112, 7.1.1: in the name of an extension", "1;a¿b\r\n", |it| {
        tchar(it) || matches!(it, b'=' | b';')
    }),
    ("RFC 9112, 7.1.1: behind the name of an extension", "1;a¿=b\r\n", |it| {
        tchar(it) || matches!(it, b' ' | b'\t')
    }),
    ("RFC 9112, 7.1.1: in the value of an extension", "1;a=b¿c\r\n", |it| tchar(it) || it == b';'),
    ("RFC 9110, 5.6.4: in a quoted string", "1;a=\"b¿c\"\r\n", |it| text(it) && it != b'"'),
    ("RFC 9110, 5.6.4: behind a backslash", "1;a=\"\\¿\"\r\n", text),
    ("RFC 9112, 7.1.1: behind a quoted string", "1;a=\"b\"¿;c\r\n", |it| {
        matches!(it, b' ' | b'\t')
    }),
    ("RFC 9112, 7.1.2: behind the last chunk", "0\r\n¿A: b\r\n\r\n", tchar),
    ("RFC 9112, 7.1.2: in the name of a trailer", "0\r\nA¿B: c\r\n\r\n", |it| {
        tchar(it) || it == b':'
    }),
    ("RFC 9112, 7.1.2: in the value of a trailer", "0\r\nA: b¿c\r\n\r\n", text),
    ("RFC 9112, 7.1.2: behind the trailers", "0\r\nA: b\r\n\r¿", |it| it == b'\n'),
];

const IN_RESPONSES: &[(&str, &str, Allowed)] = &[
    ("RFC 9112, 4: before the version", "¿TTP/1.1 204 X\r\n\r\n", |it| it == b'H'),
    ("RFC 9112, 2.3: a major version", "HTTP/¿.1 204 X\r\n\r\n", |it| it == b'1'),
    ("RFC 9112, 2.3: a minor version", "HTTP/1.¿ 204 X\r\n\r\n", |it| it.is_ascii_digit()),
    ("RFC 9112, 4: behind the version", "HTTP/1.1¿204 X\r\n\r\n", |it| it == b' '),
    ("RFC 9112, 4: the first digit of a status", "HTTP/1.1 ¿04 X\r\n\r\n", |it| {
        matches!(it, b'1'..=b'9')
    }),
    ("RFC 9112, 4: in a status", "HTTP/1.1 2¿4 X\r\n\r\n", |it| it.is_ascii_digit()),
    ("RFC 9112, 4: behind a status", "HTTP/1.1 204¿\nA: b\r\n\r\n", |it| it == b'\r'),
    ("RFC 9112, 4: before a reason", "HTTP/1.1 204¿X\r\n\r\n", |it| it == b' '),
    ("RFC 9112, 4: in a reason", "HTTP/1.1 204 X¿Y\r\n\r\n", text),
    ("RFC 9112, 2.2: behind the CR of a status line", "HTTP/1.1 204 X\r¿A: b\r\n\r\n", |it| {
        it == b'\n'
    }),
    ("RFC 9112, 5: in a name", "HTTP/1.1 204 X\r\nA¿B: c\r\n\r\n", |it| tchar(it) || it == b':'),
    ("RFC 9110, 5.5: in a value", "HTTP/1.1 204 X\r\nA: b¿c\r\n\r\n", text),
    ("RFC 9112, 2.2: behind the fields", "HTTP/1.1 204 X\r\nA: b\r\n\r¿", |it| it == b'\n'),
];

/// Puts every byte in the place of the sign; only the allowed ones give no error.
fn every_byte(
    before: &str,
    places: &[(&str, &str, Allowed)],
    run: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> Run,
) {
    for &(place, template, allowed) in places {
        let (front, behind) = template.split_once('¿').unwrap();
        let wrong: Vec<_> = (0..=255_u8)
            .filter(|&byte| {
                let parts = [before.as_bytes(), front.as_bytes(), &[byte], behind.as_bytes()];
                let input = parts.concat();
                let whole = run(&mut [&input[..]].into_iter());
                assert_eq!(run(&mut input.chunks(1)), whole, "{place}: {}", byte.escape_ascii());
                whole.error().is_none() != allowed(byte)
            })
            .map(|byte| byte.escape_ascii().to_string())
            .collect();
        assert!(wrong.is_empty(), "{place}: {}", wrong.join(", "));
    }
}

#[test]
fn of_all_bytes_only_those_of_the_grammar_stand_in_a_request() {
    let setup = Setup::default();
    every_byte("", IN_REQUESTS, |pieces| serve(&setup, pieces));
    let chunked = "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    every_byte(chunked, IN_CHUNKS, |pieces| serve(&setup, pieces));
}

#[test]
fn of_all_bytes_only_those_of_the_grammar_stand_in_a_response() {
    let setup = Setup::default();
    every_byte("", IN_RESPONSES, |pieces| ask(&setup, "GET", pieces));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    every_byte(chunked, IN_CHUNKS, |pieces| ask(&setup, "GET", pieces));
}
