//! What is in an event stream and how an event is written, each with the sentence of WHATWG HTML
//! that says so: the tables `tests/vectors/sse_*.json`. Streams come whole, byte by byte and at every
//! two-way split, by themselves and behind HTTP.

#[path = "sse_vectors/run.rs"]
mod run;
#[path = "sse_vectors/table.rs"]
mod table;

use core::time::Duration;
use run::{Framing, NOW, Run, Source, decode, decode_body, response};
use std::collections::{BTreeMap, BTreeSet};
use table::{Item, Vector, encodings, streams};
use tidewire::SendBuf;
use tidewire::sse::{EncodeError, Encoded, MEDIA_TYPE, SourceClosed, SourceError};

/// The error says what is not as the table says.
fn check(vector: &Vector, run: &Run) -> Result<(), String> {
    let items = vector.items();
    if run.items != items {
        return Err(format!("gives {:?} and not {items:?}", run.items));
    }
    let error = run.error.map(|error| (format!("{:?}", error.kind), error.offset));
    let expected = vector.error.clone().map(|kind| (kind, vector.offset.expect("an offset")));
    if error != expected {
        return Err(format!("fails with {error:?} and not {expected:?}"));
    }
    if run.last_event_id != vector.last_event_id {
        return Err(format!("the last event id is {:?}", run.last_event_id));
    }
    Ok(())
}

/// Calls `run` with `bytes` whole, byte by byte and in two, and returns what is not as it should be.
fn every_way(
    bytes: &[u8],
    mut run: impl FnMut(&mut dyn Iterator<Item = &[u8]>) -> Result<(), String>,
) -> Result<(), String> {
    run(&mut [bytes].into_iter()).map_err(|fault| format!("whole: {fault}"))?;
    run(&mut bytes.chunks(1)).map_err(|fault| format!("byte by byte: {fault}"))?;
    for at in 1..bytes.len() {
        let (a, b) = bytes.split_at(at);
        run(&mut [a, b].into_iter()).map_err(|fault| format!("cut at {at}: {fault}"))?;
    }
    Ok(())
}

fn assert_all(faults: impl IntoIterator<Item = (String, String)>) {
    let faults: Vec<_> = faults.into_iter().map(|(id, fault)| format!("{id}, {fault}")).collect();
    assert!(faults.is_empty(), "{} failed\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_decoder_gives_what_the_table_says_however_the_bytes_arrive() {
    assert_all(streams().iter().filter_map(|vector| {
        let (bytes, limits) = (vector.bytes(), vector.limits());
        let fault =
            every_way(&bytes, |parts| check(vector, &decode(parts, limits, &vector.before)));
        Some((vector.id.clone(), fault.err()?))
    }));
}

/// 9.2.5: buffering must not delay an event.
#[test]
fn each_item_is_told_at_the_byte_that_completes_it() {
    for vector in streams() {
        let run = decode(vector.bytes().chunks(1), vector.limits(), &vector.before);
        let expected: Vec<_> = vector.gives.iter().map(|told| told.after).collect();
        assert_eq!(run.after, expected, "{}", vector.id);
    }
}

/// 9.2.6: what is pending at the end is discarded; what was complete before it was told before.
#[test]
fn any_beginning_of_a_stream_gives_the_beginning_of_what_it_gives() {
    for vector in streams() {
        let bytes = vector.bytes();
        for end in 0..bytes.len() {
            let run = decode([&bytes[..end]], vector.limits(), &vector.before);
            let told = vector.gives.iter().take_while(|told| told.after <= end);
            let expected: Vec<_> = told.map(|told| told.item.clone()).collect();
            assert_eq!(run.items, expected, "{} of {end} bytes", vector.id);
        }
    }
}

#[test]
fn behind_http_it_is_the_same_in_any_framing_and_pieces() {
    assert_all(streams().iter().filter_map(|vector| {
        let (body, limits) = (vector.bytes(), vector.limits());
        for framing in
            [Framing::Length, Framing::UntilClose, Framing::Chunks(1), Framing::Chunks(7)]
        {
            let bytes = response(&body, framing, MEDIA_TYPE);
            let run = |parts: &mut dyn Iterator<Item = &[u8]>| {
                check(vector, &decode_body(parts, limits, &vector.before))
            };
            let fault = match bytes.len() < 400 {
                true => every_way(&bytes, run),
                false => run(&mut bytes.chunks(1)).and_then(|()| run(&mut bytes.chunks(50))),
            };
            if let Err(fault) = fault {
                return Some((vector.id.clone(), format!("{framing:?}, {fault}")));
            }
        }
        None
    }));
}

/// 9.2.2, 9.2.3 and 9.2.6 together: what the source tells of the stream, how long it waits behind it,
/// and the id with which it goes on.
#[test]
fn an_event_source_tells_what_the_table_says_and_goes_on_from_there() {
    for vector in streams() {
        for (framing, size) in
            [(Framing::Chunks(5), 1), (Framing::UntilClose, 3), (Framing::Length, 1 << 20)]
        {
            let mut net = Source::new(vector.limits(), &vector.before);
            let bytes = response(&vector.bytes(), framing, MEDIA_TYPE);
            for part in bytes.chunks(size) {
                net.feed(part);
            }
            net.end();
            let id = &vector.id;
            let told: Vec<_> = vector.items();
            let told = told.into_iter().filter(|item| !matches!(item, Item::Retry { .. }));
            assert_eq!(net.items, told.collect::<Vec<_>>(), "{id}");
            assert!(net.opened, "{id}");
            if vector.error.is_some() {
                let Some(SourceError::Stream(error)) = net.error else {
                    panic!("{id}: {:?}", net.error)
                };
                assert_eq!(Some(error.offset), vector.offset, "{id}");
                assert_eq!(net.closed, Some(SourceClosed::Failed(error.into())), "{id}");
                continue;
            }
            assert_eq!(net.source.last_event_id(), vector.last_event_id, "{id}");
            let (wait, request) = net.next_request();
            let asked = NOW + vector.retry().unwrap_or(Duration::from_secs(3));
            assert_eq!(wait, asked.saturating_since(NOW), "{id}");
            // 9.2.3: the id is sent as UTF-8, if there is one and a field can hold it.
            let field = format!("\r\nLast-Event-ID: {}\r\n", vector.last_event_id);
            let sent = request.windows(field.len()).any(|at| at == field.as_bytes());
            let fits = !vector.last_event_id.contains(|c: char| c.is_ascii_control() && c != '\t');
            assert_eq!(sent, fits && !vector.last_event_id.is_empty(), "{id}");
        }
    }
}

/// 9.2.6: an event is dispatched unless the source was closed meanwhile.
#[test]
fn a_closed_source_dispatches_nothing_more() {
    for vector in streams().iter().filter(|vector| vector.error.is_none()) {
        let body = vector.bytes();
        for told in &vector.gives {
            let mut net = Source::new(vector.limits(), &vector.before);
            net.feed(&response(&[], Framing::UntilClose, MEDIA_TYPE));
            // All but the byte that would complete this item, then the rest without looking.
            net.feed(&body[..told.after - 1]);
            let before = net.items.clone();
            assert_eq!(net.rx.push(&body[told.after - 1..]), body.len() - told.after + 1);
            net.source.close();
            net.poll();
            assert_eq!(net.items, before, "{}", vector.id);
            assert_eq!(net.closed, Some(SourceClosed::Caller), "{}", vector.id);
        }
    }
}

/// 9.2.5: the type is `text/event-stream`, which is always UTF-8 whatever a parameter says.
#[test]
fn the_media_type_decides_and_its_parameters_mean_nothing() {
    let stream = "data: ä\n\n".as_bytes();
    let is_stream = |content_type: &str| {
        let mut net = Source::new(tidewire::sse::Limits::default(), "");
        net.feed(&response(stream, Framing::Length, content_type));
        if net.opened {
            let event_type = "message".to_owned();
            let event = Item::Event { event_type, data: "ä".to_owned(), id: String::new() };
            assert_eq!(net.items, [event], "{content_type}");
        }
        net.opened
    };
    for good in [
        "text/event-stream",
        "TEXT/Event-Stream",
        "text/event-stream;charset=utf-8",
        "text/event-stream; charset=iso-8859-1",
        "text/event-stream ; charset=\"UTF-16\"",
        "text/event-stream;",
        "text/event-stream; x",
    ] {
        assert!(is_stream(good), "{good}");
    }
    for bad in [
        "text/plain",
        "text/event-streams",
        "text/event",
        "application/event-stream",
        "text/event-stream, text/plain",
        "text / event-stream",
        "application/octet-stream; text/event-stream",
        "",
    ] {
        assert!(!is_stream(bad), "{bad}");
    }
}

// The encoder.

#[test]
fn an_event_is_encoded_as_the_table_says_or_not_at_all() {
    for vector in encodings() {
        let (event, result) = (vector.event(), vector.result());
        let mut tx = SendBuf::new();
        assert_eq!(event.encode(&mut tx), result.as_ref().map(drop).map_err(|error| *error));
        assert_eq!(tx.chunk(), result.as_deref().unwrap_or_default(), "{}", vector.id);
        let mut bytes = b"before".to_vec();
        assert_eq!(event.encode_to(&mut bytes), result.as_ref().map(drop).map_err(|error| *error));
        assert_eq!(bytes[6..], *result.as_deref().unwrap_or_default(), "{}", vector.id);
        assert_eq!(event.to_bytes().map(Vec::from), result, "{}", vector.id);
        let encoded = event.to_encoded();
        assert_eq!(encoded.map(|encoded| encoded.bytes().to_vec()), result, "{}", vector.id);
    }
}

/// What others have encoded is taken if an event that follows begins anew, which is so behind an empty
/// line. The decoder is the judge of that.
#[test]
fn what_others_encoded_is_taken_if_nothing_of_it_reaches_the_next_event() {
    const PARTS: [&str; 5] = ["data: a", "\r", "\n", "\r\n", ":"];
    let limits = tidewire::sse::Limits::default();
    let (mut taken, mut refused) = (0, 0);
    for length in 0..=5 {
        for mut number in 0..PARTS.len().pow(length) {
            let mut text = String::new();
            for _ in 0..length {
                text += PARTS[number % PARTS.len()];
                number /= PARTS.len();
            }
            let mut next = text.clone().into_bytes();
            let before = decode([text.as_bytes()], limits, "").items;
            next.extend(b"event: next\ndata: x\n\n");
            let both = decode([&next[..]], limits, "").items;
            let event_type = "next".to_owned();
            let x = Item::Event { event_type, data: "x".to_owned(), id: String::new() };
            let apart = both.len() == before.len() + 1 && both.last() == Some(&x);
            let raw = Encoded::raw(text.clone(), None);
            if raw.is_ok() {
                assert!(apart, "{text:?}");
                taken += 1;
            } else {
                assert_eq!(raw, Err(EncodeError::Unfinished(text.len())));
                // Something without any line is no event; lines that say nothing are harmless.
                let says = !text.trim_end_matches(['\r', '\n']).is_empty();
                let ended = text.ends_with("\n\n") || text.ends_with("\r\r");
                assert!(!(says && ended), "{text:?} is refused");
                refused += 1;
            }
        }
    }
    assert!(taken > 500 && refused > 500, "{taken} {refused}");
}

#[test]
fn what_was_encoded_is_decoded_again_in_any_pieces_and_behind_another_event() {
    for vector in encodings() {
        let Ok(bytes) = vector.result() else { continue };
        let limits = tidewire::sse::Limits::default();
        let fault = every_way(&bytes, |parts| {
            let items = decode(parts, limits, "").items;
            if items == vector.gives { Ok(()) } else { Err(format!("{items:?}")) }
        });
        assert_eq!(fault, Ok(()), "{}", vector.id);
        let behind = [&b"event: x\ndata: x\n\n"[..], &bytes].concat();
        assert_eq!(decode([&behind[..]], limits, "").items[1..], vector.gives, "{}", vector.id);
    }
}

/// The grammar of 9.2.5. The characters are those of a text, so that only what stands between line
/// ends is left to look at.
fn is_stream(text: &str) -> bool {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    // Each event ends with a line of its own that is empty; a field's name is not.
    lines.is_empty() || lines.ends_with("\n\n") || lines.chars().all(|char| char == '\n')
}

#[test]
fn what_is_encoded_is_a_stream_by_the_grammar_and_one_event_of_it() {
    for vector in encodings() {
        let Ok(bytes) = vector.result() else { continue };
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(is_stream(&text), "{}", vector.id);
        // One event has one empty line, which is its last.
        assert_eq!(text.split_inclusive('\n').filter(|line| *line == "\n").count(), 1);
        assert!(!text.contains('\r'), "{}", vector.id);
    }
    for (text, stream) in [("", true), ("data: a\n", false), ("data: a\n\n", true), ("a", false)] {
        assert_eq!(is_stream(text), stream, "{text:?}");
    }
}

// The tables.

#[test]
fn the_tables_are_in_order() {
    let (streams, encodings) = (streams(), encodings());
    let mut ids = BTreeSet::new();
    let mut rules = BTreeMap::<_, usize>::new();
    for vector in &streams {
        let id = &vector.id;
        assert!(ids.insert(id), "{id} is there twice");
        *rules.entry((&vector.section, &vector.rule)).or_default() += 1;
        assert_eq!(vector.error.is_some(), vector.offset.is_some(), "{id}");
        assert!(vector.error.is_none() || vector.why.is_some(), "{id}: why is it refused?");
        assert!(vector.deviates.is_none() || !vector.before.is_empty(), "{id}: deviates");
    }
    for vector in &encodings {
        assert!(ids.insert(&vector.id), "{} is there twice", vector.id);
        *rules.entry((&vector.section, &vector.rule)).or_default() += 1;
        assert_eq!(vector.error.is_some(), vector.at.is_some(), "{}", vector.id);
    }
    for ((section, rule), count) in &rules {
        assert!(["HTML, 9.2.5", "HTML, 9.2.6"].contains(&section.as_str()), "{section}");
        assert!(rule.ends_with('.'), "a rule is a sentence: {rule}");
        println!("{count:4} {section}: {rule}");
    }
    println!("{} streams, {} events", streams.len(), encodings.len());
    assert!(streams.len() >= 600 && encodings.len() >= 150);
    assert!(streams.iter().filter(|vector| vector.deviates.is_some()).count() <= 2);
}

/// The rules that the two sections of the standard hold, in their order. None is without a vector,
/// and no vector has another.
#[test]
fn every_sentence_has_vectors() {
    let sentences = [
        // 9.2.5
        "A stream is a byte order mark or none, and any number of events.",
        "An event is any number of comments and fields, and an empty line.",
        "A comment is a colon and what follows it on the line.",
        "A field is a name and perhaps a colon, a space and a value.",
        "A line ends with CR LF, with CR or with LF.",
        "A name holds any characters but CR, LF and the colon.",
        "A value holds any characters but CR and LF.",
        "A stream is always UTF-8.",
        "No event waits for what follows it.",
        "Nothing bounds a line or an event.",
        // 9.2.6
        "A stream is decoded as UTF-8, each ill-formed sequence as U+FFFD.",
        "Decoding strips one byte order mark at the start.",
        "CR LF, an LF not behind a CR and a CR not before an LF end a line each.",
        "The data, the type and the last event id are empty at first.",
        "Lines are processed in the order in which they come.",
        "An empty line dispatches the event.",
        "A line that starts with a colon is ignored.",
        "The name is what stands before the first colon.",
        "The value is what stands behind the first colon.",
        "One space at the start of a value is no part of it.",
        "A line without a colon is a name, with an empty value.",
        "What is pending at the end of the stream is discarded.",
        "Names are compared literally, with no case folding.",
        "The field event sets the type.",
        "The field data appends its value and an LF to the data.",
        "The field id sets the last event id, unless its value has a NUL.",
        "The field retry sets the reconnection time if its value is ASCII digits.",
        "Any other field is ignored.",
        "Dispatching makes the last event id that of the source, and keeps it.",
        "If the data is empty, nothing is dispatched and the type is emptied.",
        "One LF at the end of the data is removed.",
        "An event has the type message, the data and the last event id.",
        "A type that is not empty replaces message.",
        "Dispatching empties the data and the type.",
        "An event without an id has the last one that there was.",
    ];
    let streams = streams();
    for sentence in sentences {
        let count = streams.iter().filter(|vector| vector.rule == sentence).count();
        assert!(count >= 3, "{count} vectors for: {sentence}");
    }
    let unknown = streams.iter().find(|vector| !sentences.contains(&vector.rule.as_str()));
    assert!(unknown.is_none(), "{unknown:?}");
}

/// The names of an enum's variants.
fn variants(source: &str, of: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {of} {{")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let lines = body.lines().filter_map(|line| line.trim().strip_suffix(','));
    lines.map(|line| line.split('(').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_kind_of_error_has_a_vector() {
    let source = include_str!("../src/sse/error.rs");
    let mut seen: BTreeSet<_> = streams().into_iter().filter_map(|vector| vector.error).collect();
    // That depends on the buffer and not on the stream.
    assert!(seen.insert("BufferFull".to_owned()));
    assert_eq!(seen, variants(source, "ErrorKind"));
    let mut seen: BTreeSet<_> = encodings().into_iter().filter_map(|vector| vector.error).collect();
    // That is about what others have encoded.
    assert!(seen.insert("Unfinished".to_owned()));
    assert_eq!(seen, variants(source, "EncodeError"));
}
