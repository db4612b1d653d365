//! What a browser makes of a stream (WHATWG HTML, 9.2.5 and 9.2.6), through a source from end to end.

use crate::support::*;

/// What is said, a stream, and the events it makes.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    // 9.2.5, the grammar.
    ("one leading U+FEFF is dropped", "\u{FEFF}data: a\n\n", &[r#"message: "a" #"#]),
    (
        "a second one belongs to the name of the field",
        "\u{FEFF}\u{FEFF}data: a\n\ndata: b\n\n",
        &[r#"message: "b" #"#],
    ),
    (
        "one that comes later does so too",
        "data: a\n\n\u{FEFF}data: b\n\ndata: \u{FEFF}c\n\n",
        &[r#"message: "a" #"#, "message: \"\\u{feff}c\" #"],
    ),
    (
        "a line ends with LF, CR or CRLF",
        "data: a\ndata: b\rdata: c\r\ndata: d\n\rdata: e\r\r\n",
        &[r#"message: "a\nb\nc\nd" #"#, r#"message: "e" #"#],
    ),
    (
        "CRLF is one end",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        &[r#"message: "a" #"#, r#"message: "b" #"#],
    ),
    ("a stream may have no line", "", &[]),
    ("a stream may be all empty lines", "\n\r\r\n\n", &[]),
    // 9.2.6, the lines.
    (
        "a line that begins with a colon is ignored",
        "data: a\n: b\n:data: c\ndata: d\n:\n\n",
        &["comment b", "comment data: c", "comment ", r#"message: "a\nd" #"#],
    ),
    (
        "a comment alone makes no event",
        ":\n\n: hello\n\ndata: a\n\n",
        &["comment ", "comment hello", r#"message: "a" #"#],
    ),
    (
        "a field without a colon has an empty value",
        "data\ndata\n\ndata\n\n",
        &[r#"message: "\n" #"#, r#"message: "" #"#],
    ),
    (
        "one space behind the colon is dropped, and nothing else",
        "data:a\n\ndata: b\n\ndata:  c\n\ndata:\td\n\ndata: \n\ndata:e \n\n",
        &[
            r#"message: "a" #"#,
            r#"message: "b" #"#,
            r#"message: " c" #"#,
            r#"message: "\td" #"#,
            r#"message: "" #"#,
            r#"message: "e " #"#,
        ],
    ),
    ("the first colon counts", "data:a:b\ndata::c\n\n", &[r#"message: "a:b\n:c" #"#]),
    (
        "a name is compared as it is",
        "Data: a\nDATA: b\n data: c\ndata : d\ndata\t: e\ndatax: f\ndat: g\n\ndata: h\n\n",
        &[r#"message: "h" #"#],
    ),
    (
        "a field of another name is ignored",
        "data: a\nx: y\ndata\u{0}: b\nfoo\ndata: c\n\n",
        &[r#"message: "a\nc" #"#],
    ),
    ("NUL in data is data", "data: a\u{0}b\n\n", &[r#"message: "a\0b" #"#]),
    (
        "the fields of an event come in any order",
        "id: 1\ndata: a\nevent: e\ndata: b\n\n",
        &[r#"e: "a\nb" #1"#],
    ),
    ("the last type counts", "event: e\nevent: f\ndata: a\n\n", &[r#"f: "a" #"#]),
    ("an empty type is none", "event: e\nevent:\ndata: a\n\n", &[r#"message: "a" #"#]),
    ("a type may be that of another event", "event: open\ndata: a\n\n", &[r#"open: "a" #"#]),
    (
        "a type holds for its event",
        "event: e\ndata: a\n\ndata: b\n\n",
        &[r#"e: "a" #"#, r#"message: "b" #"#],
    ),
    ("a type has its spaces", "event:  e \ndata: a\n\n", &[r#" e : "a" #"#]),
    // 9.2.6, to dispatch the event.
    (
        "an event without data is not dispatched, and its type goes with it",
        "event: e\n\ndata: a\n\n",
        &[r#"message: "a" #"#],
    ),
    ("its id stays", "id: 1\n\ndata: a\n\n", &[r#"message: "a" #1"#]),
    (
        "one end of line behind the data is dropped",
        "data: a\ndata:\n\ndata:\ndata:\ndata:\n\n",
        &[r#"message: "a\n" #"#, r#"message: "\n\n" #"#],
    ),
    (
        "what has no empty line behind it at the end is not dispatched",
        "data: a\n\nid: 1\nevent: e\ndata: b\n",
        &[r#"message: "a" #"#],
    ),
    ("nor is half a line", "data: a\n\ndata: b", &[r#"message: "a" #"#]),
    // 9.2.6, the id.
    (
        "an id holds for the events that follow",
        "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
        &[r#"message: "a" #1"#, r#"message: "b" #1"#, r#"message: "c" #2"#],
    ),
    (
        "an empty id takes it back",
        "id: 1\ndata: a\n\nid:\ndata: b\n\nid: 2\ndata: c\n\nid\ndata: d\n\n",
        &[r#"message: "a" #1"#, r#"message: "b" #"#, r#"message: "c" #2"#, r#"message: "d" #"#],
    ),
    (
        "an id with NUL is ignored",
        "id: 1\ndata: a\n\nid: 2\u{0}3\ndata: b\n\nid: \u{0}\ndata: c\n\n",
        &[r#"message: "a" #1"#, r#"message: "b" #1"#, r#"message: "c" #1"#],
    ),
    ("the last id counts", "id: 1\nid: 2\ndata: a\n\n", &[r#"message: "a" #2"#]),
    ("an id is text", "id: …\ndata: ü\n\n", &[r#"message: "ü" #…"#]),
];

#[test]
fn a_stream_makes_the_events_that_the_standard_says() {
    for (what, stream, expected) in CASES {
        let mut net = Net::simple();
        net.connect();
        net.feed(OPEN);
        assert_eq!(net.feed(stream), *expected, "{what}");
        assert_eq!(net.hang_up(), ["error EndOfStream"], "{what}");
    }
}

/// Close-delimited and chunked, byte by byte and in every two pieces.
#[test]
fn it_makes_them_however_it_comes() {
    let chunked = |pieces: &[&[u8]]| {
        let mut bytes =
            OPEN.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
            bytes.extend(*piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    let run = |pieces: &[&[u8]], what: &str, expected: &[&str]| {
        let mut net = Net::simple();
        net.connect();
        let mut seen = Vec::new();
        for piece in pieces {
            assert_eq!(net.rx.push(piece), piece.len());
            seen.extend(net.events());
        }
        if net.source.transport() == Transport::Open {
            seen.extend(net.hang_up());
        }
        assert_eq!(seen[0], "open 200", "{what}");
        assert_eq!(seen[1..seen.len() - 1], *expected, "{what}");
        assert_eq!(seen[seen.len() - 1], "error EndOfStream", "{what}");
    };
    for (what, stream, expected) in CASES {
        let stream = stream.as_bytes();
        let plain = [OPEN.as_bytes(), stream].concat();
        let bytes: Vec<_> = stream.chunks(1).collect();
        let single = chunked(&bytes);
        run(&plain.chunks(1).collect::<Vec<_>>(), what, expected);
        run(&[&single], what, expected);
        run(&single.chunks(1).collect::<Vec<_>>(), what, expected);
        for split in 0..=stream.len() {
            let (head, tail) = stream.split_at(split);
            run(&[OPEN.as_bytes(), head, tail], what, expected);
            let both = chunked(&[head, tail]);
            run(&[&both], what, expected);
            let (head, tail) = both.split_at(both.len() * split / stream.len().max(1));
            run(&[head, tail], what, expected);
        }
    }
}

/// 9.2.6: a stream is decoded as UTF-8, and what is none is replaced.
#[test]
fn what_is_not_utf_8_is_replaced_and_the_charset_means_nothing() {
    let mut net = Net::simple();
    net.connect();
    net.feed(&OPEN.replace("event-stream", "event-stream; charset=iso-8859-1"));
    let stream = b"id: \xFC\nevent: \xE2\x82\ndata: gr\xFC\xC3\x9Fe\n\n";
    assert_eq!(net.rx.push(stream), stream.len());
    assert_eq!(net.events(), ["\u{FFFD}: \"gr\u{FFFD}\u{DF}e\" #\u{FFFD}"]);
}
