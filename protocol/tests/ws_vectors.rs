//! What a reader of frames accepts and refuses, each with the paragraph that says so: the table
//! `tests/vectors/ws_frames.json`, fed whole, byte by byte and at every two-way split.

#[path = "ws_vectors/frames.rs"]
mod frames;

use frames::{Happening, Run, Setup, Vector, Verdict, feed};
use std::collections::BTreeSet;
use tidewire::ws::{Closed, Delivery, Leniency, Role};

/// The vectors that can be run with the features that there are.
fn table() -> Vec<Vector> {
    let mut table = frames::table();
    table.retain(|vector| cfg!(feature = "deflate") || !vector.is_compressed());
    table
}

/// Where to cut `len` bytes in two: everywhere, or near both ends if that is too often.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    (1..len).filter(move |&at| len <= 600 || at < 40 || len - at < 40 || at % (len / 30) == 0)
}

/// Runs the vectors of a role every way, and lists what is not as the table says.
fn failures(role: Role, delivery: Delivery) -> Vec<String> {
    let mut failures = vec![];
    let mut seen = 0;
    for vector in table().iter().filter(|vector| vector.role() == role) {
        let (bytes, setup) = (vector.bytes(), vector.setup(delivery));
        let whole = ("whole".to_owned(), feed(&setup, [&bytes[..]]));
        let single = ("byte by byte".to_owned(), feed(&setup, bytes.chunks(1)));
        let split = cuts(bytes.len()).map(|at| {
            let (a, b) = bytes.split_at(at);
            (format!("cut at {at}"), feed(&setup, [a, b]))
        });
        let first_fault = [whole, single].into_iter().chain(split).find_map(|(how, run)| {
            let fault = vector.check(&run).err()?;
            Some(format!("{}, {how}: {fault}", vector.id))
        });
        failures.extend(first_fault);
        seen += 1;
    }
    println!("{seen} vectors, {} failed", failures.len());
    assert!(seen >= 300);
    failures
}

#[test]
fn a_server_gives_what_the_table_says_however_the_bytes_arrive() {
    let failures = failures(Role::Server, Delivery::Whole);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_client_gives_what_the_table_says_however_the_bytes_arrive() {
    let failures = failures(Role::Client, Delivery::Whole);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn messages_in_pieces_are_those_of_the_table_and_fail_as_they_do() {
    for role in [Role::Server, Role::Client] {
        let failures = failures(role, Delivery::Streaming);
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// RFC 6455, 7.1.7 and 8.1: a connection fails when it is known that it must, and not before.
#[test]
fn what_is_wrong_is_refused_at_the_byte_that_makes_it_so() {
    let table = table();
    let known = |vector: &&Vector| !vector.is_compressed() && vector.bytes().len() <= 1000;
    for vector in table.iter().filter(known) {
        for delivery in [Delivery::Whole, Delivery::Streaming] {
            let (bytes, setup) = (vector.bytes(), vector.setup(delivery));
            let run = |len| feed(&setup, bytes[..len].chunks(1));
            let fails = |&len: &usize| matches!(run(len).closed, Closed::Protocol(_));
            let first = (0..=bytes.len()).find(fails);
            assert_eq!(first, vector.known(), "{}", vector.id);
        }
    }
}

/// A flag by its name.
fn flag<'a>(leniency: &'a mut Leniency, name: &str) -> &'a mut bool {
    match name {
        "unmasked_client" => &mut leniency.unmasked_client,
        "masked_server" => &mut leniency.masked_server,
        "length_not_minimal" => &mut leniency.length_not_minimal,
        "any_close_code" => &mut leniency.any_close_code,
        other => panic!("no such leniency: {other}"),
    }
}

#[test]
fn each_leniency_lets_one_thing_pass_and_nothing_else() {
    let flags = [
        ("unmasked_client", "UnmaskedByClient"),
        ("masked_server", "MaskedByServer"),
        ("length_not_minimal", "LengthNotMinimal"),
        ("any_close_code", "InvalidCloseCode"),
    ];
    for (name, forgives) in flags {
        let mut passed = 0;
        for vector in &table() {
            let mut setup = vector.setup(Delivery::Whole);
            *flag(&mut setup.leniency, name) = true;
            let run = feed(&setup, [&vector.bytes()[..]]);
            if vector.error.as_deref() == Some(forgives) {
                let fails = matches!(run.closed, Closed::Protocol(error) if format!("{:?}", error.kind) == forgives);
                assert!(!fails, "{}: {name} does not let it pass", vector.id);
                passed += 1;
            } else {
                assert_eq!(vector.check(&run), Ok(()), "{} with {name}", vector.id);
            }
        }
        assert!(passed >= 10, "{name} was not tried");
    }
}

/// RFC 6455, 6.2 and 7.1.5.
#[test]
fn what_is_cut_short_is_incomplete_and_neither_an_error_nor_whole() {
    for vector in table().iter().filter(|vector| vector.error.is_none()) {
        let (bytes, setup) = (vector.bytes(), vector.setup(Delivery::Whole));
        let all = feed(&setup, [&bytes[..]]);
        for end in cuts(bytes.len()) {
            let Run { happenings, closed, .. } = feed(&setup, [&bytes[..end]]);
            assert!(all.happenings.starts_with(&happenings), "{} of {end} bytes", vector.id);
            assert!(closed == Closed::Eof || closed == all.closed, "{} of {end} bytes", vector.id);
        }
    }
}

#[test]
fn the_table_is_in_order() {
    let table = frames::table();
    let mut ids = BTreeSet::new();
    for vector in &table {
        let id = &vector.id;
        assert!(ids.insert(id), "{id} is there twice");
        assert!(vector.section.split("; ").all(is_section), "{id}: {}", vector.section);
        assert!(vector.rule.ends_with('.'), "{id}: a rule is a sentence");
        assert_eq!(vector.why.is_some(), vector.verdict == Verdict::MayRefuse, "{id}");
        match vector.verdict {
            Verdict::MustAccept => assert_eq!(vector.error, None, "{id}"),
            Verdict::MustRefuse => assert!(vector.error.is_some(), "{id}"),
            Verdict::MayRefuse => {}
        }
    }
    let count = |verdict| table.iter().filter(|vector| vector.verdict == verdict).count();
    let [accept, refuse, may] =
        [Verdict::MustAccept, Verdict::MustRefuse, Verdict::MayRefuse].map(count);
    println!("{accept} must be accepted, {refuse} refused, {may} may be refused");
    assert!(table.len() >= 1000 && accept >= 400 && refuse >= 600 && may >= 40);
}

/// `RFC 6455, 5.2`.
fn is_section(section: &str) -> bool {
    let Some((rfc, paragraph)) = section.strip_prefix("RFC ").and_then(|it| it.split_once(", "))
    else {
        return false;
    };
    let known = ["6455", "3629", "7692"];
    known.contains(&rfc) && paragraph.split('.').all(|part| part.parse::<u8>().is_ok())
}

#[test]
fn every_kind_of_error_has_a_vector_for_each_role_that_can_meet_it() {
    let source = include_str!("../src/ws/error.rs");
    let (_, kinds) = source.split_once("pub enum ProtocolErrorKind {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let kinds: BTreeSet<_> =
        kinds.lines().filter_map(|line| line.trim().strip_suffix(',')).map(str::to_owned).collect();
    assert!(kinds.contains("ReservedBit") && kinds.contains("MessageTooBig"));
    for (role, never) in [(Role::Server, "MaskedByServer"), (Role::Client, "UnmaskedByClient")] {
        let of_role = frames::table().into_iter().filter(|vector| vector.role() == role);
        let mut seen: BTreeSet<_> = of_role.filter_map(|vector| vector.error).collect();
        assert!(seen.insert(never.to_owned()), "{role:?}");
        let missing: Vec<_> = kinds.difference(&seen).collect();
        assert!(missing.is_empty(), "{role:?}: no vector for {missing:?}");
        let unknown: Vec<_> = seen.difference(&kinds).collect();
        assert!(unknown.is_empty(), "{role:?}: no such kinds: {unknown:?}");
    }
}

/// RFC 6455, 7.4, and the registry of close codes: of all 65536 codes, which a Close frame may have.
#[test]
fn each_close_code_is_taken_or_refused_by_its_range() {
    for code in 0..=u16::MAX {
        let [high, low] = code.to_be_bytes();
        let run = feed(&Setup::new(Role::Client), [&[0x88, 2, high, low][..]]);
        let defined = (1000..=1014).contains(&code) && ![1004, 1005, 1006].contains(&code);
        assert_eq!(run.closed.is_clean(), defined || (3000..5000).contains(&code), "{code}");
        if run.closed.is_clean() {
            assert_eq!(run.closed.code().get(), code);
        }
    }
}

/// RFC 3629, 4: every character, and every sequence of up to two bytes and the beginnings of longer
/// ones, is judged as the standard library does.
#[test]
fn each_short_sequence_of_bytes_is_text_or_not() {
    let judge = |text: &[u8]| {
        let header = [0x81, text.len() as u8];
        let run = feed(&Setup::new(Role::Client), [&[&header, text].concat()[..]]);
        let expected = core::str::from_utf8(text).ok().map(|text| Happening::Text(text.to_owned()));
        assert_eq!(run.happenings.first(), expected.as_ref(), "{text:x?}");
    };
    for first in 0..=u8::MAX {
        judge(&[first]);
        for second in 0..=u8::MAX {
            judge(&[first, second]);
            if first >= 0xE0 {
                for last in [0x00, 0x7F, 0x80, 0xBF, 0xC0] {
                    judge(&[first, second, last]);
                    judge(&[first, second, 0x80, last]);
                }
            }
        }
    }
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    for chars in all.chunks(2000) {
        let text: String = chars.iter().collect();
        let header = [&[0x81, 126][..], &(text.len() as u16).to_be_bytes()].concat();
        let run = feed(&Setup::new(Role::Client), [&header, text.as_bytes()]);
        assert_eq!(run.happenings, [Happening::Text(text)]);
    }
}
