//! What the opening handshake agrees on for permessage-deflate, in the sentences of RFC 7692, 5 and 7.
#![cfg(feature = "deflate")]

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::str;
use tidewire::http::{OwnedRequestHead, Version};
use tidewire::ws::handshake::{
    ClientHandshake, ExtensionError, HandshakeConfig, HandshakeEvent, Refusal, Rejection, Request,
    ServerOptions, accept,
};
use tidewire::ws::{DeflateConfig, DeflateParams, Negotiated};
use tidewire::{Instant, RecvBuf, Seed, SendBuf};

const NOW: Instant = Instant::EPOCH;
const FIELD: &str = "Sec-WebSocket-Extensions";

/// What a server with `config` makes of the offers in `lines`: its answer and what it agreed to.
fn choose(
    config: Option<DeflateConfig>,
    lines: &[&str],
) -> Result<(Option<String>, Option<DeflateParams>), Rejection> {
    let ours = [
        ("Host", "h"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let fields = ours.into_iter().chain(lines.iter().map(|line| (FIELD, *line)));
    let head = OwnedRequestHead::new("GET", "/", Version::Http11, fields).unwrap();
    let options = ServerOptions { deflate: config, ..ServerOptions::new() };
    let accepted = accept(&head.as_head(), &options)?;
    let mut answers = accepted.fields().filter(|(name, _)| *name == FIELD);
    let answer = answers.next().map(|(_, value)| str::from_utf8(value).unwrap().to_owned());
    assert!(answers.next().is_none(), "one line at the most");
    let agreed = accepted.negotiated().deflate();
    assert_eq!(answer.is_some(), agreed.is_some());
    Ok((answer, agreed))
}

/// A client with `config`, and what it says.
fn ask(config: Option<DeflateConfig>) -> (ClientHandshake, SendBuf) {
    let mut tx = SendBuf::new();
    let config = HandshakeConfig { deflate: config, ..HandshakeConfig::default() };
    let request = Request::new("ws://h/").unwrap();
    let seed = Seed::new([7; 32]);
    (ClientHandshake::new(&request, config, &seed, NOW, &mut tx), tx)
}

/// What a client with `config` offers.
fn offer(config: DeflateConfig) -> Option<String> {
    let (_, tx) = ask(Some(config));
    let text = str::from_utf8(tx.chunk()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    line.map(str::to_owned)
}

/// What a client with `config` makes of an answer with `lines`.
fn check(config: Option<DeflateConfig>, lines: &[&str]) -> Result<Negotiated, Refusal> {
    let (mut handshake, mut tx) = ask(config);
    let mut rx = RecvBuf::with_limit(1 << 16);
    assert_eq!(rx.push(tx.chunk()), tx.len());
    let limits = tidewire::http::Limits::default();
    let request = tidewire::http::parse_request(&mut rx, &limits).unwrap().unwrap();
    let accepted = accept(&request.head(&rx), &ServerOptions::new()).unwrap();
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    let lines = lines.iter().map(|line| (FIELD, line.as_bytes()));
    for (name, value) in accepted.fields().chain(lines) {
        answer.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    answer.extend(b"\r\n");
    let mut rx = RecvBuf::with_limit(1 << 16);
    assert_eq!(rx.push(&answer), answer.len());
    match handshake.poll_event(NOW, &mut rx, &mut tx) {
        Some(HandshakeEvent::Accepted { negotiated, .. }) => Ok(negotiated),
        Some(HandshakeEvent::Refused { why, .. }) => Err(why),
        None => panic!("an answer is there"),
    }
}

fn plain() -> DeflateConfig {
    DeflateConfig::default()
}

/// All limits that a side can set.
fn configs() -> impl Iterator<Item = DeflateConfig> + Clone {
    (0..=u8::MAX).map(|index| DeflateConfig {
        server_no_context_takeover: index & 1 != 0,
        client_no_context_takeover: index & 2 != 0,
        server_max_window_bits: 8 + (index >> 2 & 7),
        client_max_window_bits: 8 + (index >> 5),
        ..plain()
    })
}

#[test]
fn whatever_both_sides_want_they_agree_on_the_same_within_the_limits_of_both() {
    // RFC 7692, 5.1: both sides go by the parameters of the answer.
    let mut agreements = 0;
    for client in configs() {
        let offered = offer(client).expect("an offer");
        let mut seen: Vec<(String, DeflateParams)> = vec![];
        for server in configs() {
            let (answer, agreed) = choose(Some(server), &[&offered]).unwrap();
            let expected = DeflateParams {
                server_no_context_takeover: client.server_no_context_takeover
                    || server.server_no_context_takeover,
                client_no_context_takeover: client.client_no_context_takeover
                    || server.client_no_context_takeover,
                server_max_window_bits: client
                    .server_max_window_bits
                    .min(server.server_max_window_bits),
                client_max_window_bits: client
                    .client_max_window_bits
                    .min(server.client_max_window_bits),
            };
            assert_eq!(agreed, Some(expected), "{offered}");
            let answer = answer.expect("an answer");
            match seen.iter().find(|(text, _)| *text == answer) {
                // The client knows the answer alone.
                Some((_, told)) => assert_eq!(*told, expected, "{answer}"),
                None => {
                    let negotiated = check(Some(client), &[&answer]).unwrap();
                    assert_eq!(negotiated.deflate(), Some(expected), "{offered} / {answer}");
                    seen.push((answer, expected));
                }
            }
            agreements += 1;
        }
    }
    assert_eq!(agreements, 256 * 256);
}

#[test]
fn what_is_not_configured_is_not_offered_and_not_accepted() {
    let (_, tx) = ask(None);
    assert!(!str::from_utf8(tx.chunk()).unwrap().contains(FIELD));
    assert_eq!(choose(None, &["permessage-deflate"]), Ok((None, None)));
    assert_eq!(choose(Some(plain()), &[]), Ok((None, None)));
    let unasked = Err(Refusal::Extension(ExtensionError::NotOffered));
    assert_eq!(check(None, &["permessage-deflate"]), unasked);
    // RFC 6455, 9.1: a server may choose none of what is offered.
    assert_eq!(check(Some(plain()), &[]).unwrap(), Negotiated::default());
}

#[test]
fn rfc_7692_7_1_a_client_demands_its_limits_on_the_server_and_names_its_own() {
    let bits = |server, client| DeflateConfig {
        server_max_window_bits: server,
        client_max_window_bits: client,
        ..plain()
    };
    let fresh = DeflateConfig { server_no_context_takeover: true, ..plain() };
    let own = DeflateConfig { client_no_context_takeover: true, ..fresh };
    for (config, expected) in [
        // 7.1.2.2: it can obey any limit of its own window.
        (plain(), "permessage-deflate; client_max_window_bits"),
        (bits(10, 15), "permessage-deflate; server_max_window_bits=10; client_max_window_bits"),
        (fresh, "permessage-deflate; server_no_context_takeover; client_max_window_bits"),
        // 5.1: behind what a server may dislike comes the same without it.
        (bits(15, 8), "permessage-deflate; client_max_window_bits=8, permessage-deflate"),
        (
            own,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits, permessage-deflate; server_no_context_takeover",
        ),
        // 7.1.2: a window has 8 to 15 bits.
        (bits(0, 200), "permessage-deflate; server_max_window_bits=8; client_max_window_bits"),
    ] {
        assert_eq!(offer(config).as_deref(), Some(expected));
    }
}

/// The answer of a server with `config` to one line of offers.
fn answer(config: DeflateConfig, offers: &str) -> Option<String> {
    choose(Some(config), &[offers]).unwrap().0
}

#[test]
fn rfc_7692_7_1_3_the_examples_have_their_answers() {
    let small = DeflateConfig { client_max_window_bits: 12, ..plain() };
    for (config, offers, expected) in [
        (plain(), "permessage-deflate", "permessage-deflate"),
        (
            plain(),
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            small,
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
             permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
        ),
        // 5.1, with this extension: the first offer that can be met.
        (
            plain(),
            "permessage-deflate; use_y, permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
    ] {
        assert_eq!(answer(config, offers).as_deref(), Some(expected), "{offers}");
    }
}

#[test]
fn rfc_7692_7_1_2_2_a_client_that_does_not_offer_to_limit_itself_is_not_told_to() {
    let small = DeflateConfig { client_max_window_bits: 12, ..plain() };
    assert_eq!(answer(small, "permessage-deflate"), None);
    assert_eq!(
        answer(small, "permessage-deflate, permessage-deflate; client_max_window_bits").as_deref(),
        Some("permessage-deflate; client_max_window_bits=12")
    );
    assert_eq!(
        answer(small, "permessage-deflate; client_max_window_bits=9").as_deref(),
        Some("permessage-deflate; client_max_window_bits=9")
    );
}

#[test]
fn a_window_that_was_named_and_a_window_that_is_the_largest_are_answered_as_they_must_be() {
    // RFC 7692, 7.1.2.1: a server that accepts the parameter answers with it.
    let answered = answer(plain(), "permessage-deflate; server_max_window_bits=15");
    assert_eq!(answered.as_deref(), Some("permessage-deflate; server_max_window_bits=15"));
    let answered = answer(plain(), "permessage-deflate; client_max_window_bits=15");
    assert_eq!(answered.as_deref(), Some("permessage-deflate"));
}

#[test]
fn rfc_7692_7_1_an_offer_with_anything_wrong_is_declined_and_the_next_is_looked_at() {
    for wrong in [
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=10; client_max_window_bits",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=-9",
        "server_max_window_bits=1",
        "server_max_window_bits=1000000000000000000000",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=09",
        "client_max_window_bits=x",
        "server_max_window_bits=\"16\"",
        "Server_max_window_bits=10",
        "unknown",
        "unknown=1",
    ] {
        let offer = format!("permessage-deflate; {wrong}");
        assert_eq!(answer(plain(), &offer), None, "{offer}");
        let offers = format!("x-other; {wrong}, {offer}, permessage-deflate");
        assert_eq!(answer(plain(), &offers).as_deref(), Some("permessage-deflate"), "{offers}");
        // RFC 7692, 7.1: the client fails the connection for the same.
        let refused = check(Some(plain()), &[&offer]);
        assert!(matches!(refused, Err(Refusal::Extension(_))), "{offer}: {refused:?}");
    }
}

#[test]
fn rfc_6455_9_1_parameters_may_be_quoted_and_spaced_and_offers_on_lines_of_their_own() {
    for offer in [
        "permessage-deflate;server_max_window_bits=10",
        "permessage-deflate ;\tserver_max_window_bits=\"10\"",
        "permessage-deflate; server_max_window_bits=\"1\\0\"",
        "permessage-deflate; server_max_window_bits = 10",
        ",, permessage-deflate; server_max_window_bits=10,",
    ] {
        let answered = answer(plain(), offer);
        assert_eq!(answered.as_deref(), Some("permessage-deflate; server_max_window_bits=10"));
    }
    let lines = ["x-other; a=\"b\\c\"; d", "", "permessage-deflate"];
    assert_eq!(choose(Some(plain()), &lines).unwrap().0.as_deref(), Some("permessage-deflate"));
}

/// What does not conform to the grammar of RFC 6455, 9.1.
const MALFORMED: [&str; 13] = [
    "x-other; a=\"b,c;d\"",
    "permessage-deflate;",
    "permessage-deflate;;server_no_context_takeover",
    "permessage-deflate; =10",
    "permessage-deflate; server_max_window_bits=",
    "permessage-deflate; server_max_window_bits=\"\"",
    "permessage-deflate; server_max_window_bits=\"1 0\"",
    "permessage-deflate; server_max_window_bits=\"10",
    "permessage-deflate; server_max_window_bits=10=10",
    "permessage-deflate server_no_context_takeover",
    "permessage deflate",
    "\"permessage-deflate\"",
    "; server_no_context_takeover",
];

#[test]
fn rfc_6455_9_1_a_field_that_does_not_conform_to_the_grammar_fails_the_connection() {
    for malformed in MALFORMED {
        // Whether the extension is spoken or not, and wherever it stands.
        for config in [Some(plain()), None] {
            for line in [malformed.to_owned(), format!("permessage-deflate, {malformed}")] {
                assert_eq!(choose(config, &[&line]), Err(Rejection::Extension), "{line}");
            }
        }
        let refused = check(Some(plain()), &[malformed]);
        assert_eq!(refused, Err(Refusal::Extension(ExtensionError::Malformed)), "{malformed}");
    }
}

#[test]
fn rfc_7692_7_1_a_client_accepts_what_it_may_be_told_and_nothing_else() {
    use ExtensionError::*;
    let demands = DeflateConfig {
        server_no_context_takeover: true,
        server_max_window_bits: 12,
        client_max_window_bits: 12,
        ..plain()
    };
    let params = |snct, cnct, server, client| DeflateParams {
        server_no_context_takeover: snct,
        client_no_context_takeover: cnct,
        server_max_window_bits: server,
        client_max_window_bits: client,
    };
    for (config, answer, expected) in [
        (plain(), "permessage-deflate", Ok(params(false, false, 15, 15))),
        // 7.1.1.1, 7.1.1.2 and 7.1.2.1: these may be answered though they were not offered.
        (
            plain(),
            "permessage-deflate; server_no_context_takeover",
            Ok(params(true, false, 15, 15)),
        ),
        (
            plain(),
            "permessage-deflate; client_no_context_takeover",
            Ok(params(false, true, 15, 15)),
        ),
        (plain(), "permessage-deflate; server_max_window_bits=8", Ok(params(false, false, 8, 15))),
        // 7.1.2.2.
        (plain(), "permessage-deflate; client_max_window_bits=9", Ok(params(false, false, 15, 9))),
        (plain(), "permessage-deflate; client_max_window_bits", Err(ParameterValue)),
        // Demands must be met, by more than that as well.
        (
            demands,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
            Ok(params(true, false, 12, 12)),
        ),
        (
            demands,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; \
             client_max_window_bits=10",
            Ok(params(true, false, 9, 10)),
        ),
        (demands, "permessage-deflate; server_no_context_takeover", Err(Limit)),
        (demands, "permessage-deflate; server_max_window_bits=12", Err(Limit)),
        (
            demands,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=13",
            Err(Limit),
        ),
        // 7.1.2.2: the same or smaller.
        (
            demands,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; \
             client_max_window_bits=13",
            Err(Limit),
        ),
        (plain(), "permessage-deflate; server_no_context_takeover=1", Err(ParameterValue)),
        (plain(), "permessage-deflate; server_max_window_bits", Err(ParameterValue)),
        (plain(), "permessage-deflate; unknown", Err(UnknownParameter)),
        (
            plain(),
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            Err(RepeatedParameter),
        ),
        (plain(), "permessage-deflate, permessage-deflate", Err(Repeated)),
        (plain(), "permessage-deflate, x-other", Err(NotOffered)),
        (plain(), "x-webkit-deflate-frame", Err(NotOffered)),
        (plain(), "Permessage-Deflate", Err(NotOffered)),
    ] {
        let told = check(Some(config), &[answer]);
        let expected = expected.map(Some).map_err(Refusal::Extension);
        assert_eq!(told.map(Negotiated::deflate), expected, "{answer}");
    }
    // On two lines it is the same list.
    let told = check(Some(plain()), &["permessage-deflate", "permessage-deflate"]);
    assert_eq!(told, Err(Refusal::Extension(Repeated)));
}

#[test]
fn level_and_threshold_are_each_sides_own_matter() {
    let ours = DeflateConfig { level: 0, threshold: 7, ..plain() };
    assert_eq!(offer(ours), offer(plain()));
    let (answer, agreed) = choose(Some(ours), &["permessage-deflate"]).unwrap();
    assert_eq!(choose(Some(plain()), &["permessage-deflate"]), Ok((answer, agreed)));
    // They are part of what the connection gets.
    let params = agreed.unwrap();
    let negotiated = Negotiated::default().with_deflate(params, &ours);
    assert_ne!(negotiated, Negotiated::default().with_deflate(params, &plain()));
    assert_eq!(check(Some(ours), &["permessage-deflate"]), Ok(negotiated));
}

/// A parameter of an offer: its name, its value as it is sent, and whether it may be so.
fn parameter() -> impl Strategy<Value = (&'static str, Option<&'static str>, bool)> {
    let flag = prop_oneof![Just("server_no_context_takeover"), Just("client_no_context_takeover")];
    let window = prop_oneof![Just("server_max_window_bits"), Just("client_max_window_bits")];
    let good = prop::sample::select(vec!["8", "9", "10", "12", "\"14\"", "15"]);
    let bad = prop::sample::select(vec!["7", "16", "08", "1", "x", "\"\\0\""]);
    prop_oneof![
        6 => flag.clone().prop_map(|name| (name, None, true)),
        8 => (window, good).prop_map(|(name, value)| (name, Some(value), true)),
        3 => Just(("client_max_window_bits", None, true)),
        1 => Just(("server_max_window_bits", None, false)),
        1 => (flag, prop_oneof![Just("1"), Just("8")]).prop_map(|(name, v)| (name, Some(v), false)),
        1 => bad.prop_map(|value| ("server_max_window_bits", Some(value), false)),
        1 => Just(("x_unknown", None, false)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_offer_is_declined_for_a_reason_and_answered_within_what_it_says(
        offered in prop::collection::vec(parameter(), 0..5),
        index in 0..256_usize,
    ) {
        let config = configs().nth(index).unwrap();
        let text = offered.iter().fold("permessage-deflate".to_owned(), |text, (name, value, _)| {
            match value {
                Some(value) => format!("{text}; {name}={value}"),
                None => format!("{text}; {name}"),
            }
        });
        let names: Vec<_> = offered.iter().map(|(name, ..)| *name).collect();
        let number = |value: &str| value.trim_matches('"').parse::<u8>().unwrap();
        let find = |name: &str| offered.iter().find(|(other, ..)| *other == name);
        let limit = |name| find(name).and_then(|(_, value, _)| value.map(number)).unwrap_or(15);

        let unique = names.iter().collect::<BTreeSet<_>>().len() == names.len();
        let sound = unique && offered.iter().all(|(.., good)| *good);
        let limits_itself = names.contains(&"client_max_window_bits");
        let met = limits_itself || config.client_max_window_bits == 15;
        let (answer, agreed) = choose(Some(config), &[&text]).unwrap();
        prop_assert_eq!(agreed.is_some(), sound && met, "{}", text);
        if let (Some(answer), Some(agreed)) = (answer, agreed) {
            // RFC 7692, 7.1.2.2 and 7.1.2.1.
            prop_assert!(limits_itself || !answer.contains("client_max_window_bits"));
            let named = names.contains(&"server_max_window_bits");
            prop_assert!(!named || answer.contains("server_max_window_bits="));
            prop_assert!(agreed.server_max_window_bits
                == limit("server_max_window_bits").min(config.server_max_window_bits));
            prop_assert!(agreed.client_max_window_bits
                == limit("client_max_window_bits").min(config.client_max_window_bits));
            // 7.1.1.1: the server accepts it by answering with it.
            let fresh = names.contains(&"server_no_context_takeover");
            prop_assert!(!fresh || answer.contains("server_no_context_takeover"));
        }
    }

    #[test]
    fn no_field_makes_either_side_panic(
        line in "(permessage-deflate|[;,= \t\"\\\\]|server_max_window_bits|client_max_window_bits|1[0-5]|[ -~]){0,24}",
        index in 0..256_usize,
    ) {
        let config = configs().nth(index);
        let chosen = choose(config, &[&line]);
        let checked = check(config, &[&line]);
        // Both judge the grammar alike.
        let malformed = checked == Err(Refusal::Extension(ExtensionError::Malformed));
        prop_assert!(!malformed || chosen == Err(Rejection::Extension), "{}", line);
        prop_assert!(chosen.is_ok() || checked.is_err(), "{}", line);
    }
}
