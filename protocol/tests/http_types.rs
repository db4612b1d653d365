//! Targets, list members and negotiation, whatever they are made of.

use proptest::prelude::*;
use tidewire::http::*;

/// Text of few characters, so that it is often right.
fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a/?*:.@%\\[\\]0-9-]{0,12}",
        "(http|HTTPS|x-y)(://|:/|:)(user@)?(h|\\[::1\\]|a%2F|)(:[0-9]{0,6})?(/|/a|\\*|)([?][a?]{0,3})?",
    ]
}

fn accept() -> impl Strategy<Value = Vec<String>> {
    let range = "(\\*/\\*|text/\\*|text/html|image/png|text|\"a)";
    let member = format!("{range}( ?; ?(level|q|a)=(1|0\\.5|0|\"1\"|2|)){{0,3}}");
    let line = proptest::collection::vec(
        proptest::string::string_regex(&member).expect("a regular expression"),
        0..4,
    );
    proptest::collection::vec(line.prop_map(|members| members.join(", ")), 0..3)
}

fn headers(name: &str, values: &[impl AsRef<[u8]>]) -> OwnedHeaders {
    OwnedHeaders::from_fields(values.iter().map(|value| (name, value))).unwrap()
}

/// A value as a quoted string, with a backslash wherever `escape` wants one (RFC 9110, 5.6.4).
fn quote(value: &[u8], escape: bool) -> Vec<u8> {
    let escaped = value.iter().flat_map(|&byte| match byte {
        b'"' | b'\\' => vec![b'\\', byte],
        _ if escape => vec![b'\\', byte],
        _ => vec![byte],
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_parts_of_a_target_are_the_target(
        method in prop_oneof![Just("GET"), Just("OPTIONS"), Just("CONNECT")],
        target in target(),
    ) {
        let query = |query: Option<&str>| query.map(|query| format!("?{query}")).unwrap_or_default();
        match Target::parse(method, &target) {
            Some(Target::Origin { path, query: asked }) => {
                prop_assert!(method != "CONNECT" && path.starts_with('/'));
                prop_assert_eq!(format!("{path}{}", query(asked)), target);
            }
            Some(Target::Absolute { scheme, authority, path, query: asked }) => {
                let whole = |path| format!("{scheme}://{authority}{path}{}", query(asked));
                // A path that is not there is `/` or `*`.
                prop_assert!(whole(path) == target || whole("") == target);
                prop_assert!(method != "CONNECT" && !authority.contains('@'));
                prop_assert!(path.starts_with('/') || (method, path) == ("OPTIONS", "*"));
            }
            Some(Target::Authority { host, port }) => {
                prop_assert_eq!(method, "CONNECT");
                let (named, digits) = target.rsplit_once(':').unwrap();
                prop_assert_eq!((named, digits.parse()), (host, Ok(port)));
            }
            Some(Target::Asterisk) => prop_assert_eq!((method, &*target), ("OPTIONS", "*")),
            None => prop_assert!(method == "CONNECT" || !target.starts_with('/')),
        }
    }

    #[test]
    fn a_member_has_the_parameters_that_it_was_written_with(
        value in "[a-z*+.-]{1,8}(/[A-Z*.0-9]{1,8})?",
        parameters in proptest::collection::vec(
            ("[A-Za-z0-9-]{1,5}", proptest::collection::vec(prop_oneof![
                Just(b'\t'), b' '..=b'~', 0x80..=0xFF_u8,
            ], 0..8), any::<bool>()),
            0..4,
        ),
        separator in "[ \t]{0,2};[; \t]{0,2}",
    ) {
        let mut text = value.clone().into_bytes();
        for (name, value, escape) in &parameters {
            text.extend([separator.as_bytes(), name.as_bytes(), b"=", &quote(value, *escape)].concat());
        }
        // As one member of a list among others (RFC 9110, 5.6.1).
        let headers = headers("A", &[[b"x, ", &text[..]].concat(), [&text[..], b" ,y"].concat()]);
        let members: Vec<_> = headers.as_headers().members("a").collect();
        prop_assert_eq!(members.len(), 4);
        prop_assert_eq!(members[1].value(), &value);
        for member in [members[1], members[2]] {
            let told = member.parameters().map(|(name, value)| (name.to_owned(), value.to_bytes().to_vec()));
            let written = parameters.iter().map(|(name, value, _)| (name.clone(), value.clone()));
            prop_assert!(told.eq(written));
        }
    }

    #[test]
    fn whatever_a_peer_sends_is_a_list(
        values in proptest::collection::vec(proptest::collection::vec(prop_oneof![
            4 => prop::sample::select(&b"a;=,\"\\ q0.1/*"[..]),
            1 => prop_oneof![Just(b'\t'), b' '..=b'~', 0x80..=0xFF_u8],
        ], 0..24), 0..3),
    ) {
        let headers = headers("Accept", &values);
        let (headers, offers) = (headers.as_headers(), ["a/a", "a/a;a=1"]);
        prop_assert!(headers.members("accept").count() <= headers.list("accept").count());
        for member in headers.members("accept") {
            prop_assert!(member.weight() <= 1000);
            for (_, value) in member.parameters() {
                prop_assert!(value.bytes().eq(value.to_bytes().iter().copied()));
            }
        }
        let taken = offers.iter().any(|offer| accepts(headers, offer));
        prop_assert_eq!(negotiate(headers, &offers).is_some(), taken);
    }

    #[test]
    fn the_negotiated_offer_is_accepted_and_the_order_of_members_does_not_matter(
        mut values in accept(),
        offers in proptest::collection::vec(
            prop::sample::select(&["text/html", "text/html;level=1", "image/png", "a/b", "no"][..]),
            0..4,
        ),
    ) {
        let before = headers("Accept", &values);
        let chosen = negotiate(before.as_headers(), &offers);
        match chosen {
            Some(index) => prop_assert!(accepts(before.as_headers(), offers[index])),
            None => prop_assert!(!offers.iter().any(|offer| accepts(before.as_headers(), offer))),
        }
        // RFC 9110, 12.5.1: weight and how specific a range is decide, not where it stands.
        values.reverse();
        let after = headers("Accept", &values);
        prop_assert_eq!(negotiate(after.as_headers(), &offers), chosen);
        let explicit = |offer: &&str| accepts_explicitly(before.as_headers(), offer);
        prop_assert!(!offers.iter().any(|offer| explicit(offer) && !accepts(before.as_headers(), offer)));
    }
}
