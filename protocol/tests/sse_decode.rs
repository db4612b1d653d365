//! The decoder against WHATWG HTML 9.2.5 and 9.2.6: vectors, a model, and every way to cut a stream.

use core::time::Duration;
use proptest::prelude::*;
use tidewire::RecvBuf;
use tidewire::sse::{Decoded, Decoder, ErrorKind, Event, Limits, MessageEvent, ProtocolError};

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Event { event_type: String, data: String, id: String },
    Comment(String),
    Retry(Duration),
    Error(ProtocolError),
}

fn event(event_type: &str, data: &str, id: &str) -> Seen {
    Seen::Event { event_type: event_type.into(), data: data.into(), id: id.into() }
}

fn message(data: &str) -> Seen {
    event("message", data, "")
}

fn comment(text: &str) -> Seen {
    Seen::Comment(text.into())
}

fn own(decoded: Decoded<'_>) -> Seen {
    match decoded {
        Decoded::Event(e) => event(e.event_type, e.data, e.last_event_id),
        Decoded::Comment(text) => comment(text),
        Decoded::Retry(retry) => Seen::Retry(retry),
    }
}

/// What the bytes are as text.
fn own_bytes(decoded: Decoded<'_, [u8]>) -> Seen {
    match decoded {
        Decoded::Event(e) => event(e.event_type, &String::from_utf8_lossy(e.data), e.last_event_id),
        Decoded::Comment(bytes) => comment(&String::from_utf8_lossy(bytes)),
        Decoded::Retry(retry) => Seen::Retry(retry),
    }
}

/// A way to ask the decoder for the next.
type Ask = fn(&mut Decoder, &mut RecvBuf) -> Result<Option<Seen>, ProtocolError>;

fn text(decoder: &mut Decoder, rx: &mut RecvBuf) -> Result<Option<Seen>, ProtocolError> {
    Ok(decoder.poll(rx)?.map(own))
}

fn bytes(decoder: &mut Decoder, rx: &mut RecvBuf) -> Result<Option<Seen>, ProtocolError> {
    Ok(decoder.poll_bytes(rx)?.map(own_bytes))
}

/// In two steps, the first of them twice.
fn text_later(decoder: &mut Decoder, rx: &mut RecvBuf) -> Result<Option<Seen>, ProtocolError> {
    let found = decoder.advance(rx)?;
    assert_eq!(decoder.advance(rx), Ok(found));
    let event = decoder.event(rx).map(own);
    assert_eq!(event.is_some(), found);
    Ok(event)
}

fn bytes_later(decoder: &mut Decoder, rx: &mut RecvBuf) -> Result<Option<Seen>, ProtocolError> {
    Ok(if decoder.advance(rx)? { decoder.event_bytes(rx).map(own_bytes) } else { None })
}

const WAYS: [Ask; 4] = [text, bytes, text_later, bytes_later];

/// Everything that is decoded when the stream comes in these parts, and the last event id then.
fn decode_parts<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
    rx: &mut RecvBuf,
) -> (Vec<Seen>, String) {
    decode_asking(&[text], parts, limits, rx)
}

/// The same, asking in these ways by turns.
fn decode_asking<'a>(
    asks: &[Ask],
    parts: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
    rx: &mut RecvBuf,
) -> (Vec<Seen>, String) {
    let mut asks = asks.iter().cycle();
    let mut decoder = Decoder::new(limits);
    let mut seen = Vec::new();
    for mut part in parts {
        while !part.is_empty() {
            let n = rx.push(part);
            assert!(n > 0, "the buffer is full and the decoder did not say so");
            rx.keep(n);
            part = &part[n..];
            loop {
                match asks.next().unwrap()(&mut decoder, rx) {
                    Ok(Some(decoded)) => seen.push(decoded),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(decoder.poll(rx), Err(error), "an error stays");
                        assert_eq!(decoder.poll_bytes(rx), Err(error), "for both");
                        seen.push(Seen::Error(error));
                        return (seen, decoder.last_event_id().into());
                    }
                }
            }
        }
    }
    (seen, decoder.last_event_id().into())
}

fn decode<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    decode_parts(parts, Limits::default(), &mut RecvBuf::with_limit(1 << 20)).0
}

/// Whole, in every way to ask, byte by byte, and at every two-way split.
#[track_caller]
fn check(stream: impl AsRef<[u8]>, expected: &[Seen]) {
    let stream = stream.as_ref();
    for ask in WAYS {
        let rx = &mut RecvBuf::with_limit(1 << 20);
        assert_eq!(decode_asking(&[ask], [stream], Limits::default(), rx).0, expected, "whole");
    }
    assert_eq!(decode(stream.chunks(1)), expected, "byte by byte");
    for cut in 0..=stream.len() {
        let (a, b) = stream.split_at(cut);
        assert_eq!(decode([a, b]), expected, "cut at {cut}");
    }
}

// 9.2.5, Parsing an event stream.

#[test]
fn lines_end_with_crlf_lf_or_cr() {
    check("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n", &["a", "b", "c", "d"].map(message));
    check("data: a\rdata: b\r\n\r", &[message("a\nb")]);
    check("data: a\n\rdata: b\n\r\n", &[message("a"), message("b")]);
    check("\r\r\r\n\n\n\rdata:x\r\r", &[message("x")]);
}

#[test]
fn an_event_ended_by_cr_does_not_wait_for_an_lf() {
    assert_eq!(decode([&b"data: a\r\r"[..]]), [message("a")]);
}

#[test]
fn one_byte_order_mark_is_dropped_and_no_second_one() {
    check("\u{FEFF}data: a\n\n", &[message("a")]);
    check("\u{FEFF}\n\u{FEFF}data: a\n\n", &[]);
    check("\u{FEFF}\u{FEFF}data: a\n\n", &[]);
    check("\u{FEFF}: a\n", &[comment("a")]);
    check("data: \u{FEFF}a\n\n", &[message("\u{FEFF}a")]);
    check(b"\xEF\xBBdata: a\n\ndata: b\n\n", &[message("b")]);
}

#[test]
fn the_stream_is_utf8_and_what_is_not_becomes_replacement_characters() {
    check("data: käse 🧀\n\n", &[message("käse 🧀")]);
    check(b"data: a\xFFb\xF0\x9F\x8Cc\n\n", &[message("a\u{FFFD}b\u{FFFD}c")]);
    check(b"data: \xE4\ndata: \xA0\n\n", &[message("\u{FFFD}\n\u{FFFD}")]);
    check(
        b"event: \xED\xA0\x80\nid: \xC0\ndata: \xF0\n\n",
        &[event("\u{FFFD}\u{FFFD}\u{FFFD}", "\u{FFFD}", "\u{FFFD}")],
    );
    check(b": \xFF\n", &[comment("\u{FFFD}")]);
    check("da\u{FEFF}ta: a\n\n", &[]);
}

// 9.2.6, Interpreting an event stream.

#[test]
fn an_empty_line_dispatches() {
    check("data: a\n\n\n\ndata: b\n\n", &[message("a"), message("b")]);
}

#[test]
fn a_line_with_a_leading_colon_is_ignored() {
    check(":\n", &[comment("")]);
    check(": a\n:b\n:  c\n::\n", &["a", "b", " c", ":"].map(comment));
    check("data: a\n: within\ndata: b\n\n", &[comment("within"), message("a\nb")]);
    check(":data: x\n\n", &[comment("data: x")]);
}

#[test]
fn the_name_ends_at_the_first_colon_and_one_space_after_it_is_dropped() {
    check("data:a\n\ndata: a\n\ndata:  a\n\ndata:\ta\n\n", &["a", "a", " a", "\ta"].map(message));
    check("data:a:b: c\n\n", &[message("a:b: c")]);
    check("data: a \n\n", &[message("a ")]);
}

#[test]
fn a_line_without_colon_is_a_name_with_an_empty_value() {
    check("data\n\n", &[message("")]);
    check("data\ndata\n\n", &[message("\n")]);
    check("data: a\nevent\n\n", &[message("a")]);
    check("data a\n\ndatas\n\n", &[]);
}

#[test]
fn event_sets_the_type_for_one_event_and_the_last_one_counts() {
    let expected = [event("b", "1", ""), message("2"), message("3")];
    check("event: a\nevent: b\ndata: 1\n\ndata: 2\n\nevent: c\nevent:\ndata: 3\n\n", &expected);
    check("event: a\n\ndata: 1\n\n", &[message("1")]);
}

#[test]
fn data_lines_are_joined_with_line_feeds() {
    check("data: a\ndata: b\r\ndata: c\r\n\n", &[message("a\nb\nc")]);
    check("data: a\ndata\n\n", &[message("a\n")]);
    check("data:\ndata:\ndata:\n\n", &[message("\n\n")]);
    check(
        "data: a\nid: 1\ndata: b\nevent: e\nother: x\ndata: c\n\n",
        &[event("e", "a\nb\nc", "1")],
    );
}

#[test]
fn without_a_data_field_nothing_is_dispatched_but_with_an_empty_one() {
    check("event: a\nid: 1\n\n", &[]);
    check("data:\n\n", &[message("")]);
}

#[test]
fn an_id_stays_until_another_one_comes() {
    let expected = [event("message", "1", "a"), event("message", "2", "a"), message("3")];
    check("id: a\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", &expected);
    check("id: a\nid: b\ndata: 1\n\n", &[event("message", "1", "b")]);
    check("id: 1:2\ndata: 1\n\n", &[event("message", "1", "1:2")]);
}

#[test]
fn an_id_with_nul_is_ignored() {
    check("id: a\nid: b\0c\ndata: 1\n\n", &[event("message", "1", "a")]);
    check("data: a\0b\n\n", &[message("a\0b")]);
    check("event: a\0b\ndata: 1\n\n", &[event("a\0b", "1", "")]);
}

#[test]
fn the_last_event_id_is_that_of_the_last_complete_event() {
    let last = |stream: &str| {
        let mut rx = RecvBuf::with_limit(1024);
        decode_parts([stream.as_bytes()], Limits::default(), &mut rx).1
    };
    assert_eq!(last("id: a\n"), "");
    assert_eq!(last("id: a\ndata: b\n"), "");
    assert_eq!(last("id: a\n\n"), "a", "an event without data counts");
    assert_eq!(last("id: a\n\nid: b\ndata: 1"), "a");
    assert_eq!(last("id: a\n\nid\n\n"), "");
}

#[test]
fn retry_takes_ascii_digits_only() {
    let retry = |ms| Seen::Retry(Duration::from_millis(ms));
    check("retry: 1500\n", &[retry(1500)]);
    check("retry:007\nretry: 0\n", &[retry(7), retry(0)]);
    check("retry: 1.5\nretry: -1\nretry: 1 \nretry:  1\nretry: 1s\nretry\nretry: ٣\n", &[]);
    check("retry: 99999999999999999999999\n", &[retry(u64::MAX)]);
    check("data: a\nretry: 1\n\n", &[retry(1), message("a")]);
}

#[test]
fn other_fields_are_ignored_and_names_are_case_sensitive() {
    check("Data: a\nDATA: b\n data: c\ndata : d\nfoo: e\nfoo\n\n", &[]);
}

#[test]
fn an_event_cut_off_by_the_end_of_the_stream_is_discarded() {
    check("data: a\n\ndata: b", &[message("a")]);
    check("data: a\n\ndata: b\n", &[message("a")]);
    check("retry: 1", &[]);
    check(": a", &[]);
}

#[test]
fn the_examples_of_the_standard() {
    check("data: YHOO\ndata: +2\ndata: 10\n\n", &[message("YHOO\n+2\n10")]);
    check(
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        &[comment("test stream"), event("message", "first event", "1"), message("second event")],
    );
    check("data\n\ndata\ndata\n\ndata:", &[message(""), message("\n")]);
    check("data:test\n\ndata: test\n\n", &[message("test"), message("test")]);
}

#[test]
fn a_new_stream_starts_anew_but_for_the_last_event_id() {
    let mut rx = RecvBuf::with_limit(1024);
    let mut decoder = Decoder::new(Limits::default());
    let mut feed = |decoder: &mut Decoder, stream: &str| {
        let n = rx.push(stream.as_bytes());
        rx.keep(n);
        let mut seen = Vec::new();
        while let Some(decoded) = decoder.poll(&mut rx).unwrap() {
            seen.push(own(decoded));
        }
        rx.clear();
        decoder.reset();
        seen
    };
    assert_eq!(feed(&mut decoder, "id: 1\n\nevent: x\nid: 2\ndata: lost\r"), []);
    assert_eq!(decoder.last_event_id(), "1");
    assert_eq!(feed(&mut decoder, "\u{FEFF}data: a\n\n"), [event("message", "a", "1")]);
    decoder.set_last_event_id("7");
    assert_eq!(feed(&mut decoder, "data: b\n\n"), [event("message", "b", "7")]);
}

#[test]
fn an_announced_event_is_lent_once_and_survives_a_shrinking_buffer() {
    let mut rx = RecvBuf::with_limit(1 << 20);
    let mut decoder = Decoder::new(Limits::default());
    let n =
        rx.push(&[b": x\n".repeat(2000), b"event: e\ndata: a\ndata: b\n\nda".to_vec()].concat());
    rx.keep(n);
    for _ in 0..2000 {
        assert_eq!(decoder.poll(&mut rx), Ok(Some(Decoded::Comment("x"))));
    }
    assert_eq!(decoder.advance(&mut rx), Ok(true));
    rx.shrink();
    rx.spare(10_000);
    assert_eq!(decoder.advance(&mut rx), Ok(true));
    assert_eq!(decoder.event(&mut rx).map(own), Some(event("e", "a\nb", "")));
    assert_eq!(decoder.event(&mut rx), None);
    assert_eq!(decoder.advance(&mut rx), Ok(false));
    assert_eq!(rx.content(), b"da");
}

// Events that lie as they are lent.

/// Each after an event, since a first line is not expected to be plain.
#[test]
fn an_event_that_lies_as_it_is_lent_is_no_exception() {
    let both = |stream: &[u8], expected: &[Seen]| {
        let expected = [&[message("0")], expected, &[message("9")]].concat();
        check([b"data: 0\n\n", stream, b"id\ndata: 9\n\n"].concat(), &expected);
    };
    both(
        b"data: a\n\ndata:b\n\ndata:  c\n\ndata:\n\ndata\n\n",
        &["a", "b", " c", "", ""].map(message),
    );
    both(b"event: e\ndata: a\n\ndata: b\n\n", &[event("e", "a", ""), message("b")]);
    both(b"event: e\nevent:\ndata: a\n\n", &[message("a")]);
    both(b"event:e\nid:1\ndata:a\n\n", &[event("e", "a", "1")]);
    both(b"id: 1\nevent: e\nid: 2\nevent: f\ndata: a\n\n", &[event("f", "a", "2")]);
    both(
        b"id: 1\ndata: a\n\ndata: b\n\n",
        &[event("message", "a", "1"), event("message", "b", "1")],
    );
    both(b"id: 1\nid: 2\0\ndata: a\n\n", &[event("message", "a", "1")]);
    both(b"id: 1\n\nid: \0\ndata: a\n\n", &[event("message", "a", "1")]);
    both(
        b"event: \xFF\nid: \xFE\ndata: a\xFDb\n\n",
        &[event("\u{FFFD}", "a\u{FFFD}b", "\u{FFFD}")],
    );
    both(b"event: \xFF\ndata: a\n\n", &[event("\u{FFFD}", "a", "")]);
    both(b"event: e\ndata: \xFF\n\ndata: a\n\n", &[event("e", "\u{FFFD}", ""), message("a")]);
    both(b"event: e\ndata: a\ndata: b\n\n", &[event("e", "a\nb", "")]);
    both(b"event: e\n: c\ndata: a\n\n", &[comment("c"), event("e", "a", "")]);
    both(b"event: e\ndata: a\r\ndata: b\n\n", &[event("e", "a\nb", "")]);
    both(b"data: a\n\r\ndata: b\n\n", &[message("a"), message("b")]);
    both(b"data: a\n\n\xEF\xBB\xBFdata: b\n\n", &[message("a")]);
    both(b"databases: a\n\ndata : b\n\n", &[]);
}

#[test]
fn bytes_are_lent_as_they_came() {
    let mut rx = RecvBuf::with_limit(1024);
    let mut decoder = Decoder::new(Limits::default());
    let stream =
        b": \xF0\ndata: \xFF\n\ndata: a\ndata: \xFE\n\nevent: \xFD\nid: \xFC\ndata: \xFB\n\n";
    let n = rx.push(stream);
    rx.keep(n);
    let of = |event_type, data, last_event_id| {
        Ok(Some(Decoded::Event(MessageEvent { event_type, data, last_event_id })))
    };
    assert_eq!(decoder.poll_bytes(&mut rx), Ok(Some(Decoded::Comment(&b"\xF0"[..]))));
    assert_eq!(decoder.poll_bytes(&mut rx), of("message", &b"\xFF"[..], ""));
    assert_eq!(decoder.poll_bytes(&mut rx), of("message", &b"a\n\xFE"[..], ""));
    assert_eq!(decoder.poll_bytes(&mut rx), of("\u{FFFD}", &b"\xFB"[..], "\u{FFFD}"));
    assert_eq!(decoder.poll_bytes(&mut rx), Ok(None));
    assert!(rx.is_empty());
}

// Limits.

fn limited(stream: &[u8], limits: Limits) -> Vec<Seen> {
    let run = |parts: &mut dyn Iterator<Item = &[u8]>| {
        decode_parts(parts, limits, &mut RecvBuf::with_limit(1 << 20)).0
    };
    let whole = run(&mut [stream].into_iter());
    assert_eq!(run(&mut stream.chunks(1)), whole, "byte by byte");
    for cut in 0..=stream.len() {
        let (a, b) = stream.split_at(cut);
        assert_eq!(run(&mut [a, b].into_iter()), whole, "cut at {cut}");
    }
    whole
}

#[test]
fn a_limit_names_the_first_byte_beyond_it() {
    let limits = Limits { line: 10, event: 18, name: 3 };
    let error = |kind, offset| Seen::Error(ProtocolError { kind, offset });
    let line = |offset| error(ErrorKind::LineTooLong, offset);
    assert_eq!(limited(b"data: 4567\n\n", limits), [message("4567")]);
    assert_eq!(limited(b"data: 45678\n\n", limits), [line(10)]);
    assert_eq!(limited(b"data: 45678", limits), [line(10)]);
    assert_eq!(limited(b":\r\ndata: 45678", limits), [comment(""), line(13)]);
    assert_eq!(limited(b"unknown name", limits), [line(10)]);

    // The first two lines leave 8 bytes of data and 2 line feeds: room for 8.
    let full = b"data: 4567\ndata: 4567\ndata:678\n\n";
    assert_eq!(limited(full, limits), [message("4567\n4567\n678")]);
    let event = error(ErrorKind::EventTooLong, 30);
    assert_eq!(
        limited(b"data: 4567\ndata: 4567\nda: 45678", limits),
        core::slice::from_ref(&event)
    );
    assert_eq!(limited(b"data: 4567\ndata: 4567\n:12345678\n", limits), [event]);

    let name = |offset| error(ErrorKind::NameTooLong, offset);
    assert_eq!(limited(b"id: 123\ndata\n\n", limits), [self::event("message", "", "123")]);
    assert_eq!(limited(b"id: 1234\n", limits), [name(7)]);
    assert_eq!(limited(b"\nevent:1234\n", limits), [name(10)]);
}

#[test]
fn limits_are_no_others_for_events_that_lie_as_they_are_lent() {
    // Longer and longer, so that each of them is the first to pass some limit.
    let stream = b"data: 0\n\ndata: 1\n\nevent: e\ndata: 123456\n\n\
        id: 123\nevent: 12\ndata: 12345678\n\ndata: 123456789\n\n";
    let mut complete = 0;
    for line in 0..28 {
        for event in 0..28 {
            for name in 0..5 {
                let seen = limited(stream, Limits { line, event, name });
                complete += usize::from(seen.len() == 5 && !matches!(seen[4], Seen::Error(_)));
            }
        }
    }
    // Lines of at least 15 bytes, an event of 2 and 14, and names of 3.
    assert_eq!(complete, 13 * 12 * 2);
}

#[test]
fn a_buffer_that_is_too_small_is_an_error_and_not_a_standstill() {
    let mut rx = RecvBuf::with_limit(300);
    let stream = [&b"data: ok\n\ndata: "[..], &[b'x'; 400]].concat();
    let (seen, _) = decode_parts([&stream[..]], Limits::default(), &mut rx);
    let error = ProtocolError { kind: ErrorKind::BufferFull, offset: 310 };
    assert_eq!(seen, [message("ok"), Seen::Error(error)]);
}

#[test]
fn comments_and_unknown_fields_within_an_event_take_no_memory() {
    let noise = b": comment\nunknown: field\n".repeat(10_000);
    let stream = [&b"data: a\n"[..], &noise, b"data: b\n\n"].concat();
    let mut rx = RecvBuf::with_limit(1 << 20);
    let (seen, _) = decode_parts(stream.chunks(100), Limits::default(), &mut rx);
    assert_eq!(seen.last(), Some(&message("a\nb")));
    assert!(rx.heap_size() <= 1024);
    rx.shrink();
    assert_eq!(rx.heap_size(), 0);
}

#[test]
fn replacement_characters_are_not_paid_for_after_the_event() {
    let mut rx = RecvBuf::with_limit(2 << 20);
    let bad = [&b"data: "[..], &[0xFF; 500_000], b"\n\n"].concat();
    let seen = message(&"\u{FFFD}".repeat(500_000));
    // The second one lies as it is lent.
    let stream = [&bad, &bad, &b"data: a\n\n"[..]].concat();
    let (all, _) = decode_parts([&stream[..]], Limits::default(), &mut rx);
    assert_eq!(all, [seen.clone(), seen, message("a")]);
    assert!(rx.heap_size() <= 5 << 18);
}

/// Anything quadratic would take minutes here.
#[test]
fn time_is_linear_in_bytes_and_pieces() {
    let n = 4 << 20;
    let mut rx = RecvBuf::with_limit(2 * n);
    let mut run = |stream: Vec<u8>, chunk| {
        // Where an event has come before, the next may be plain.
        let stream = [&b"data: 0\n\n"[..], &stream].concat();
        let seen = decode_parts(stream.chunks(chunk), Limits::default(), &mut rx).0;
        rx.clear();
        seen.len() - 1
    };
    // One long line; its bytes one by one; many data lines; CR and LF far apart; comments behind
    // pending data.
    assert_eq!(run([&b"data: "[..], &vec![b'x'; n], b"\n\n"].concat(), 1024), 1);
    assert_eq!(run([&b"data: "[..], &vec![b'x'; n / 4], b"\n\n"].concat(), 1), 1);
    assert_eq!(run([b"data: x\n".repeat(n / 8), b"\n".to_vec()].concat(), 1000), 1);
    assert_eq!(run([b"data:\r".repeat(n / 6), b"\n\n".to_vec()].concat(), n), 1);
    assert_eq!(run([b"event: e\n".repeat(n / 9), b"data: x\n\n".to_vec()].concat(), 1000), 1);
    assert_eq!(run([&b"event: e\nother: "[..], &vec![b'x'; n / 4], b"\n\n"].concat(), 1), 0);
    assert_eq!(run([&b": "[..], &vec![b'x'; n / 4], b"\n"].concat(), 1), 1);
    assert_eq!(run([vec![b'\r'; n], b"data\n\n".to_vec()].concat(), n), 1);
    assert_eq!(run([vec![b'\n'; n], b"data\r\r".to_vec()].concat(), n), 1);
    let pending = [&b"data: "[..], &vec![b'x'; n / 4], b"\n"].concat();
    assert_eq!(run([pending, b":\n".repeat(n / 8), b"\n".to_vec()].concat(), 3), n / 8 + 1);
}

// Properties.

/// 9.2.6 word for word, on the whole stream.
fn model(stream: &[u8]) -> Vec<Seen> {
    let text = String::from_utf8_lossy(stream).into_owned();
    let text =
        text.strip_prefix('\u{FEFF}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let Some((complete, _)) = text.rsplit_once('\n') else { return Vec::new() };
    let (mut data, mut event_type, mut id) = (String::new(), String::new(), String::new());
    let mut seen = Vec::new();
    for line in complete.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                let event_type = if event_type.is_empty() { "message" } else { &event_type };
                seen.push(event(event_type, &data, &id));
            }
            data.clear();
            event_type.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" => seen.push(comment(value)),
            "event" => event_type = value.into(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => id = value.into(),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                seen.push(Seen::Retry(Duration::from_millis(value.parse().unwrap_or(u64::MAX))));
            }
            _ => {}
        }
    }
    seen
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "data", "event", "id", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n",
            "data: x\n", "data: x\n\n", "data:y\n\n", "data:\n", "event: e\n", "id: 2\n", "id: 1\n", "event: e\r", "retry: 10\n", "\u{FEFF}", "\0", "ä", "12",
        ]).prop_map(|s: &str| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => Just(b"data: \xFF\n\n".to_vec()),
        1 => "\\PC{0,8}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn cut(stream: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.iter_mut().for_each(|cut| *cut = (*cut).min(stream.len()));
    cuts.sort_unstable();
    let starts = core::iter::once(0).chain(cuts.iter().copied());
    starts.zip(cuts.iter().copied().chain([stream.len()])).map(|(a, b)| &stream[a..b]).collect()
}

proptest! {
    #[test]
    fn any_stream_in_any_pieces_gives_what_the_standard_says(
        stream in stream(),
        cuts in prop::collection::vec(0..200_usize, 0..12),
        ways in prop::collection::vec(0..WAYS.len(), 1..8),
    ) {
        let expected = model(&stream);
        prop_assert_eq!(&decode([&stream[..]]), &expected);
        prop_assert_eq!(&decode(stream.chunks(1)), &expected);
        prop_assert_eq!(&decode(cut(&stream, cuts.clone())), &expected);
        let rx = &mut RecvBuf::with_limit(1 << 20);
        let asks: Vec<Ask> = ways.iter().map(|way| WAYS[*way]).collect();
        let parts = cut(&stream, cuts);
        prop_assert_eq!(&decode_asking(&asks, parts, Limits::default(), rx).0, &expected);
    }

    #[test]
    fn limits_hold_alike_for_any_pieces(
        stream in stream(),
        cuts in prop::collection::vec(0..200_usize, 0..12),
        line in 4..40_usize, event in 4..40_usize, name in 0..4_usize,
    ) {
        let limits = Limits { line, event, name };
        let run = |parts: Vec<&[u8]>| {
            decode_parts(parts, limits, &mut RecvBuf::with_limit(1 << 16)).0
        };
        let expected = run(vec![&stream]);
        prop_assert_eq!(&run(stream.chunks(1).collect()), &expected);
        prop_assert_eq!(&run(cut(&stream, cuts)), &expected);
        // Byte by byte no more is held than the limits allow, and the allocator's smallest step.
        let mut rx = RecvBuf::with_limit(1 << 16);
        decode_parts(stream.chunks(1), limits, &mut rx);
        prop_assert!(rx.heap_size() <= 512);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        data in prop::option::of("[\\PC\r\n]{0,20}"), event_type in prop::option::of("\\PC{1,8}"),
        id in prop::option::of("\\PC{0,8}"), retry in prop::option::of(any::<u64>()),
        text in prop::option::of("[\\PC\r\n]{0,12}"),
    ) {
        let mut sent = Event::new();
        let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
        let mut expected = Vec::new();
        if let Some(text) = &text {
            sent = sent.comment(text);
            expected.extend(lf(text).split('\n').map(comment));
        }
        if let Some(ms) = retry {
            sent = sent.retry(Duration::from_millis(ms));
            expected.push(Seen::Retry(Duration::from_millis(ms)));
        }
        if let Some(event_type) = &event_type {
            sent = sent.event(event_type);
        }
        if let Some(id) = &id {
            sent = sent.id(id);
        }
        if let Some(data) = &data {
            sent = sent.with_data(data);
            let event_type = event_type.as_deref().unwrap_or("message");
            expected.push(event(event_type, &lf(data), id.as_deref().unwrap_or("")));
        }
        let bytes = sent.to_bytes().unwrap();
        prop_assert_eq!(sent.encoded_len(), bytes.len());
        prop_assert_eq!(decode([&bytes[..]]), expected);
    }
}
