//! What goes to the `http` crate and back stays what it was.
#![cfg(feature = "http")]

mod http_support;

use ::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, request};
use http_support::*;
use proptest::prelude::*;
use tidewire::http::convert::{ConvertError, Fields, request_target};
use tidewire::http::*;
use tidewire::{RecvBuf, SendBuf};

/// Values of one name after the other: what a map keeps of an order.
fn by_name(lines: &[(String, Vec<u8>)]) -> Lines {
    let mut lines: Lines =
        lines.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

fn told<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Lines {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

fn fields() -> impl Strategy<Value = Lines> {
    let name = prop_oneof![
        Just(String::from("Set-Cookie")),
        Just(String::from("set-cookie")),
        Just(String::from("VARY")),
        "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}",
    ];
    let value = proptest::collection::vec(prop_oneof![0x21..=0x7E_u8, 0x80..=0xFF_u8], 0..6);
    proptest::collection::vec((name, value), 0..12).prop_map(|mut lines| {
        lines.retain(|(name, _)| {
            let framing = ["host", "connection", "content-length", "transfer-encoding", "expect"];
            !framing.contains(&&*name.to_ascii_lowercase())
        });
        lines
    })
}

fn target() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        (
            "[A-Za-z!#$%&'*+.^_`|~-]{1,9}",
            "/[a-zA-Z0-9/%._~!$&'()*+,;=:@-]{0,20}([?][a-z0-9=&?/]{0,9})?"
        )
            .prop_filter("another form", |(method, _)| method != "CONNECT"),
        Just((String::from("OPTIONS"), String::from("*"))),
        (Just(String::from("CONNECT")), "[a-z0-9.-]{1,9}:[1-9][0-9]{0,3}"),
        (Just(String::from("GET")), "http://[a-z][a-z0-9.]{0,9}(:80)?/[a-z]{0,9}([?][a-z]{0,3})?"),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_back_with_its_names_values_and_order_within_a_name(
        (method, target) in target(),
        fields in fields(),
        old in any::<bool>(),
    ) {
        let version = if old { Version::Http10 } else { Version::Http11 };
        let mut sent = vec![(String::from("Host"), b"h".to_vec())];
        sent.extend(fields);

        // What is received.
        let head: Vec<u8> = format!("{method} {target} {}\r\n", if old { "HTTP/1.0" } else { "HTTP/1.1" })
            .into_bytes()
            .into_iter()
            .chain(sent.iter().flat_map(|(name, value)| {
                [name.as_bytes(), b":", value, b"\r\n"].concat()
            }))
            .chain(*b"\r\n")
            .collect();
        let mut rx = RecvBuf::with_limit(4096);
        prop_assert_eq!(rx.push(&head), head.len());
        let parsed = parse_request(&mut rx, &Limits::default()).unwrap().unwrap();
        let head = parsed.head(&rx);

        // There.
        let request = Request::try_from(head).unwrap();
        let parts = request::Parts::try_from(&head.to_owned()).unwrap();
        prop_assert_eq!(request.headers(), &parts.headers);
        prop_assert_eq!(request.method().as_str(), &method);
        prop_assert_eq!(request.uri().to_string(), &*target);
        prop_assert_eq!(Version::try_from(request.version()), Ok(version));

        // And back.
        prop_assert_eq!(by_name(&told(Fields::of(&request))), by_name(&sent));
        let form = head.target_form().unwrap();
        let asked = request_target(request.method(), request.uri()).unwrap();
        prop_assert_eq!(
            Target::parse(&method, &asked).unwrap().path(),
            form.path(),
            "{} {}", &target, &asked
        );
        prop_assert_eq!(Target::parse(&method, &asked).unwrap().query(), form.query());

        // The client sends it.
        let (mut client, mut tx) = (Client::new(ClientConfig::default(), NOW), SendBuf::new());
        client.request(&method, &asked, Fields::of(&request), BodyLength::EMPTY, NOW, &mut tx).unwrap();
        let mut rx = RecvBuf::with_limit(4096);
        prop_assert_eq!(rx.push(tx.chunk()), tx.len());
        let parsed = parse_request(&mut rx, &Limits::default()).unwrap().unwrap();
        let received = parsed.head(&rx);
        prop_assert_eq!(by_name(&lines(received.headers)), by_name(&sent));
    }

    #[test]
    fn a_response_comes_back_with_its_names_values_and_order_within_a_name(
        code in 100..=999_u16,
        fields in fields(),
    ) {
        let status = Status::new(code).unwrap();
        let head = OwnedResponseHead::new(Version::Http11, status, fields.clone()).unwrap();
        let response = Response::try_from(&head).unwrap();
        prop_assert_eq!(response.status().as_u16(), code);
        prop_assert_eq!(Status::from(response.status()), status);
        prop_assert_eq!(by_name(&told(Fields::from(response.headers()))), by_name(&fields));
    }
}

#[test]
fn a_uri_becomes_the_target_that_its_method_takes() {
    // RFC 9112, 3.2.
    for (method, uri, target) in [
        (Method::GET, "http://h", Some("/")),
        (Method::GET, "http://h/a?b", Some("/a?b")),
        (Method::GET, "http://h?b", Some("/?b")),
        (Method::GET, "/a", Some("/a")),
        (Method::GET, "h:80", None),
        (Method::GET, "*", None),
        (Method::OPTIONS, "*", Some("*")),
        (Method::OPTIONS, "http://h", Some("/")),
        (Method::CONNECT, "h:80", Some("h:80")),
        (Method::CONNECT, "http://user:password@h:81/a", Some("h:81")),
        (Method::CONNECT, "http://h", Some("h:80")),
        (Method::CONNECT, "https://[::1]/", Some("[::1]:443")),
        (Method::CONNECT, "ftp://h/", None),
        (Method::CONNECT, "h", None),
        (Method::CONNECT, "/a", None),
        (Method::GET, "/ä", None),
    ] {
        let Ok(parsed) = uri.parse::<Uri>() else { panic!("{uri}") };
        let told = request_target(&method, &parsed).ok();
        assert_eq!(told.as_deref(), target, "{method} {uri}");
    }
}

#[test]
fn host_comes_first_and_the_body_is_framed_elsewhere() {
    // RFC 9110, 7.2: Host is the first field; 4.2.4: no user is sent.
    let request = Request::post("http://user@h:81/")
        .header("A", "1")
        .header("content-length", "5")
        .header("transfer-encoding", "chunked")
        .header("a", "2")
        .body(());
    let mut request = request.unwrap();
    let named = |of: &Request<()>| told(Fields::of(of));
    let line = |name: &str, value: &[u8]| (String::from(name), value.to_vec());
    let rest = [line("a", b"1"), line("a", b"2")];
    assert_eq!(named(&request), [&[line("Host", b"h:81")], &rest[..]].concat());
    request.headers_mut().insert("host", "other".parse().unwrap());
    assert_eq!(named(&request), [&[line("Host", b"other")], &rest[..]].concat());
    *request.uri_mut() = Uri::from_static("/");
    request.headers_mut().remove("host");
    assert_eq!(named(&request), rest);
}

#[test]
fn what_the_other_side_cannot_say_is_an_error() {
    let get = |method: &str, target: &str, fields: &[(&str, &str)]| {
        let head = OwnedRequestHead::new(method, target, Version::Http11, fields.iter().copied());
        Request::try_from(&head.unwrap()).map(drop)
    };
    let long = "a".repeat(1 << 16);
    assert_eq!(get("GET", "/", &[("A", &long)]), Ok(()));
    assert_eq!(get("GET", "/", &[("A", "b"), (&long, "b")]), Err(ConvertError::FieldName(1)));
    assert_eq!(get("GET", &format!("/{long}"), &[]), Err(ConvertError::Target));
    assert_eq!(get("GET", "/<>", &[]), Err(ConvertError::Target));
    // RFC 9112, 3.2.4: this asks about the server, not about its path `/`.
    assert_eq!(get("OPTIONS", "http://h", &[]), Err(ConvertError::Target));
    assert_eq!(get("OPTIONS", "http://h/", &[]), Ok(()));

    let names: Vec<String> = (0..1 << 15).map(|number| format!("n{number}")).collect();
    let many = OwnedHeaders::from_fields(names.iter().map(|name| (name, "")));
    assert_eq!(HeaderMap::try_from(&many.unwrap()), Err(ConvertError::TooManyFields));

    let same = OwnedHeaders::from_fields(names.iter().map(|name| ("n", name)));
    assert_eq!(HeaderMap::try_from(&same.unwrap()).map(|map| map.len()), Ok(names.len()));

    for version in [::http::Version::HTTP_09, ::http::Version::HTTP_2, ::http::Version::HTTP_3] {
        assert_eq!(Version::try_from(version), Err(ConvertError::Version));
    }
    assert_eq!(StatusCode::from(Status::NOT_FOUND), StatusCode::NOT_FOUND);
}
