//! What a server and a client accept and refuse, each with the paragraph that says so: the table in
//! `tests/vectors`, fed whole, byte by byte and at every two-way split.

mod http_support;
#[path = "http_support/vectors.rs"]
mod vectors;

use http_support::*;
use std::collections::BTreeSet;
use tidewire::http::*;
use vectors::{Role, Verdict, messages, table};

/// Runs the vectors of a role every way, and lists what is not as the table says.
fn failures(role: Role) -> Vec<String> {
    let mut failures = vec![];
    let mut seen = 0;
    for vector in table().iter().filter(|vector| vector.role == role) {
        let bytes = vector.bytes();
        let whole = [("whole".to_owned(), vector.feed(vector.eof, [&bytes[..]]))];
        let single = ("byte by byte".to_owned(), vector.feed(vector.eof, bytes.chunks(1)));
        let split = (1..bytes.len()).map(|at| {
            let (a, b) = bytes.split_at(at);
            (format!("cut at {at}"), vector.feed(vector.eof, [a, b]))
        });
        let first_fault = whole.into_iter().chain([single]).chain(split).find_map(|(how, run)| {
            let fault = vector.check(&run).err()?;
            Some(format!("{}, {how}: {fault}", vector.id))
        });
        failures.extend(first_fault);
        seen += 1;
    }
    println!("{seen} vectors, {} failed", failures.len());
    failures
}

#[test]
fn a_server_gives_what_the_table_says_however_the_bytes_arrive() {
    let failures = failures(Role::Server);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_client_gives_what_the_table_says_however_the_bytes_arrive() {
    let failures = failures(Role::Client);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_is_cut_short_is_incomplete_and_neither_an_error_nor_whole() {
    // RFC 9112, 8.
    for vector in table().iter().filter(|vector| vector.is_accepted()) {
        let bytes = vector.bytes();
        for end in 0..bytes.len() {
            let open = vector.feed(false, [&bytes[..end]]);
            assert_eq!(open.error(), None, "{} of {end} bytes: {open:?}", vector.id);
            let cut = vector.feed(true, [&bytes[..end]]);
            let given = messages(&cut);
            assert_eq!(cut.error(), None, "{} of {end} bytes: {cut:?}", vector.id);
            // Only the close delimits the last one (RFC 9112, 6.3), so what is there is all.
            let until_close = vector.eof && vector.role == Role::Client;
            assert!(
                until_close || vector.gives.starts_with(&given),
                "{} of {end} bytes: {given:?}",
                vector.id
            );
            // Before the first message there may be empty lines, which are nothing.
            if given.is_empty() && bytes[..end].iter().any(|byte| !byte.is_ascii_whitespace()) {
                assert_eq!(cut.closed(), Some(Closed::Eof), "{} of {end} bytes", vector.id);
            }
        }
    }
}

#[test]
fn the_table_is_in_order() {
    let table = table();
    let mut ids = BTreeSet::new();
    for vector in &table {
        let id = &vector.id;
        assert!(ids.insert(id), "{id} is there twice");
        assert!(vector.section.split("; ").all(is_section), "{id}: {}", vector.section);
        assert!(vector.rule.ends_with('.'), "{id}: a rule is a sentence");
        assert_eq!(vector.error.is_some(), vector.then.is_none(), "{id}: an error or an end");
        let follows = match vector.verdict {
            Verdict::MustAccept => vector.is_accepted(),
            Verdict::MustRefuse => !vector.is_accepted(),
            Verdict::MayRefuse => vector.why.is_some(),
        };
        assert_eq!(follows, vector.deviates.is_none(), "{id}: the verdict, or why not");
    }
    let count = |verdict| table.iter().filter(|vector| vector.verdict == verdict).count();
    let [accept, refuse, may] =
        [Verdict::MustAccept, Verdict::MustRefuse, Verdict::MayRefuse].map(count);
    println!("{accept} must be accepted, {refuse} refused, {may} may be refused");
    assert!(table.len() >= 200 && accept >= 50 && refuse >= 50 && may >= 50);
    assert!(table.iter().filter(|vector| vector.deviates.is_some()).count() <= 1);
}

/// `RFC 9112, 6.3`, or a document as a whole.
fn is_section(section: &str) -> bool {
    let Some((rfc, paragraph)) = section.strip_prefix("RFC ").and_then(|it| it.split_once(", "))
    else {
        return false;
    };
    let known = ["9110", "9112", "9113", "6585", "3986", "5234"];
    known.contains(&rfc) && paragraph.split('.').all(|part| part.parse::<u8>().is_ok())
}

#[test]
fn every_kind_of_error_has_a_vector() {
    let source = include_str!("../src/http/error.rs");
    let (_, kinds) = source.split_once("pub enum ErrorKind {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let kinds: BTreeSet<_> =
        kinds.lines().filter_map(|line| line.trim().strip_suffix(',')).map(str::to_owned).collect();
    assert!(kinds.contains("BadMethod") && kinds.contains("UnexpectedResponse"));
    let seen: BTreeSet<_> = table().into_iter().filter_map(|vector| vector.error).collect();
    let missing: Vec<_> = kinds.difference(&seen).collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
    let unknown: Vec<_> = seen.difference(&kinds).collect();
    assert!(unknown.is_empty(), "no such kinds: {unknown:?}");
}
