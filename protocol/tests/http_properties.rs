//! What holds for every input: splits, the order of polls, limits, and that what one side writes
//! the other one reads.

mod http_support;

use http_support::*;
use proptest::prelude::*;
use tidewire::http::*;
use tidewire::{RecvBuf, SendBuf};

/// Conversations of pieces that are right more often than not.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        2 => Just("\r\nGET /a?b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        2 => Just("HEAD http://h/ HTTP/1.1\r\nHost: h\r\nA:\r\nB: \t c d \r\n\r\n"),
        4 => Just("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nhello\r\nworld"),
        4 => Just("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),
        2 => Just("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"),
        4 => Just("5\r\nhello\r\n"),
        2 => Just("a ; b=\"c\\\"\"; d\r\n0123456789\r\n"),
        4 => Just("0\r\n\r\n"),
        2 => Just("0\r\nA: b\r\nC: \r\n\r\n"),
        1 => Just("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"),
        1 => Just("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        1 => Just("GET / HTTP/1.1\r\n"),
        1 => Just("\r"),
        1 => Just("\n"),
        1 => Just("\0"),
        1 => Just("A: b\r\n"),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

fn responses() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        2 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        4 => Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        2 => Just("HTTP/1.1 200\r\nContent-Length: 9\r\nA: b\r\n\r\nhello,\r\nx"),
        2 => Just("HTTP/1.0 200 OK\r\n\r\n"),
        1 => Just("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
        1 => Just("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        6 => Just("5\r\nhello\r\n"),
        4 => Just("0\r\nA: b\r\n\r\n"),
        1 => Just("0\r\n\r\n"),
        1 => Just("\r\n"),
        1 => Just("\0"),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

fn split<'a>(input: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    cuts.push(input.len());
    cuts.sort_unstable();
    let mut from = 0;
    cuts.into_iter()
        .map(|to| {
            let piece = &input[from..to];
            from = to;
            piece
        })
        .collect()
}

fn setups() -> impl Strategy<Value = Setup> {
    (any::<bool>(), any::<bool>()).prop_map(|(eof, small)| {
        let mut setup = Setup { eof, ..Setup::default() };
        if small {
            let limits = Limits { head: 80, headers: 2, chunk_line: 8, trailers: 12 };
            (setup.server.limits, setup.client.limits) = (limits, limits);
            (setup.server.max_body, setup.client.max_body) = (11, 11);
        }
        setup
    })
}

/// A client whose body is held, and consumed in portions of at most `portion` bytes.
fn ask_and_hold(setup: &Setup, pieces: &[&[u8]], portion: usize) -> (Vec<u8>, Option<Closed>) {
    let mut client = Client::new(setup.client, NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(setup.rx_limit), SendBuf::new());
    client.request("GET", "/", [("Host", "h")], BodyLength::EMPTY, NOW, &mut tx).unwrap();
    let (mut body, mut closed) = (Vec::new(), None);
    let mut poll = |rx: &mut RecvBuf| {
        loop {
            match client.poll_event(NOW, rx, &mut tx) {
                None => break,
                Some(ClientEvent::Response(_)) => client.hold_body(),
                Some(ClientEvent::Data(_)) => panic!("a held body is not lent"),
                Some(ClientEvent::Closed(why)) => closed = Some(why),
                Some(_) => {}
            }
        }
        let some = rx.content().len().min(portion);
        body.extend_from_slice(&rx.content()[..some]);
        rx.consume(some);
    };
    for piece in pieces {
        assert_eq!(rx.push(piece), piece.len());
        poll(&mut rx);
    }
    if setup.eof {
        rx.finish();
    }
    poll(&mut rx);
    body.extend_from_slice(rx.content());
    (body, closed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_requests_gives_the_same_events(
        input in requests(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        setup in setups(),
    ) {
        prop_assert_eq!(serve(&setup, split(&input, &cuts)), serve(&setup, [&input[..]]));
    }

    #[test]
    fn any_split_of_the_responses_gives_the_same_events(
        input in responses(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        method in prop::sample::select(vec!["GET", "HEAD", "CONNECT"]),
        setup in setups(),
    ) {
        let whole = ask(&setup, method, [&input[..]]);
        prop_assert_eq!(ask(&setup, method, split(&input, &cuts)), whole);
    }

    #[test]
    fn any_split_and_portion_gives_the_same_held_body(
        input in responses(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        portion in 0..20_usize,
        setup in setups(),
    ) {
        let whole = ask_and_hold(&setup, &[&input], usize::MAX);
        prop_assert_eq!(&ask_and_hold(&setup, &split(&input, &cuts), portion), &whole);
        // What is held is what would be lent.
        let lent = ask(&setup, "GET", [&input[..]]);
        if !lent.told.iter().any(|told| matches!(told, Told::Response(_, 101, ..))) {
            let lent = lent.told.iter().flat_map(|told| match told {
                Told::Data(data) => data.clone(),
                _ => vec![],
            });
            prop_assert_eq!(lent.collect::<Vec<_>>(), whole.0);
        }
    }

    #[test]
    fn no_input_makes_a_machine_panic_or_exceed_its_memory(
        input in proptest::collection::vec(prop_oneof![
            any::<u8>(),
            prop::sample::select(b"GET / HTTP/1.1\r\nHost: ;=0123456789abcdef\"\\".to_vec()),
        ], 0..400),
        prefix in prop::sample::select(vec![
            "", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]),
        rx_limit in 1..300_usize,
    ) {
        let setup = Setup { rx_limit, eof: true, ..Setup::default() };
        let input = [prefix.as_bytes(), &input].concat();
        serve(&setup, input.chunks(7));
        let head = b"HTTP/1.1 200 OK\r\n";
        ask(&setup, "GET", [&head[..], &input]);
    }

    /// Extra queries, and what the transport may do at any time, change nothing.
    #[test]
    fn any_order_of_polls_gives_the_same_bytes_and_events(
        input in requests(),
        extras in proptest::collection::vec(0..7_u8, 1..40),
    ) {
        let plain = poll_with(&input, &[]);
        prop_assert_eq!(poll_with(&input, &extras), plain);
    }

    #[test]
    fn what_a_client_writes_a_server_reads_and_back(
        method in "[A-Z]{3,7}".prop_filter("a tunnel has no body", |m| m != "CONNECT"),
        target in "/[!$-~]{0,20}",
        fields in proptest::collection::vec(("X-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,8}", "([!-~ä]([ -~\tä]{0,8}[!-~ä])?)?"), 0..5),
        body in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
        known in any::<bool>(),
        status in 200..1000_u16,
    ) {
        let all = body.concat();
        let length = if known { BodyLength::Known(all.len() as u64) } else { BodyLength::Unknown };
        let setup = Setup::default();
        let expected: Lines = fields.iter().map(|(n, v)| (n.clone(), v.clone().into_bytes())).collect();
        let (mut rx, mut tx) = (RecvBuf::with_limit(setup.rx_limit), SendBuf::new());
        let mut client = Client::new(setup.client, NOW);
        let host = [("Host".to_owned(), "h".to_owned())];
        let with_host = host.iter().chain(&fields).map(|(n, v)| (n, v));
        client.request(&method, &target, with_host, length, NOW, &mut tx).unwrap();
        for piece in &body {
            client.send_data(piece, &mut tx).unwrap();
        }
        client.finish(&mut tx).unwrap();

        let run = serve(&setup, tx.slices());
        let Told::Request(got_method, got_target, _, got_lines) = &run.told[0] else { panic!() };
        prop_assert_eq!((got_method, got_target), (&method, &target));
        let own: Lines = got_lines.iter().filter(|(n, _)| n.starts_with("X-")).cloned().collect();
        prop_assert_eq!(&own, &expected);
        let mut got = run.told.iter().filter_map(|told| match told {
            Told::Data(data) => Some(data.clone()),
            _ => None,
        });
        prop_assert_eq!(got.next().unwrap_or_default(), all.clone());

        let (mut server, mut tx_back) = (Server::new(setup.server, NOW), SendBuf::new());
        for slice in tx.slices() {
            assert_eq!(rx.push(slice), slice.len());
        }
        while server.poll_event(NOW, &mut rx, &mut tx_back).is_some() {}
        tx_back.clear();
        let bodiless = matches!(status, 204 | 205);
        let length = if bodiless { BodyLength::EMPTY } else { length };
        let fields = fields.iter().map(|(n, v)| (n, v));
        server.respond(Status::new(status).unwrap(), fields, length, NOW, &mut tx_back).unwrap();
        if !bodiless {
            for piece in &body {
                server.send_shared(&piece.clone().into(), &mut tx_back).unwrap();
            }
        }
        server.finish(&mut tx_back).unwrap();
        let run = ask(&setup, &method, tx_back.slices());
        let Told::Response(_, got_status, _, got_lines) = &run.told[0] else { panic!() };
        prop_assert_eq!(*got_status, status);
        let own: Lines = got_lines.iter().filter(|(n, _)| n.starts_with("X-")).cloned().collect();
        prop_assert_eq!(&own, &expected);
        let expects_body = !bodiless && status != 304 && method != "HEAD";
        let got = run.told.iter().find_map(|told| match told {
            Told::Data(data) => Some(data.clone()),
            _ => None,
        });
        prop_assert_eq!(got.unwrap_or_default(), if expects_body { all } else { vec![] });
        prop_assert_eq!(run.closed(), None);
    }
}

/// Serves `input` with further calls between those that are needed.
fn poll_with(input: &[u8], extras: &[u8]) -> Run {
    let mut extras = extras.iter().cycle().filter(|_| !extras.is_empty());
    let mut run = Run::default();
    let mut server = Server::new(ServerConfig::default(), NOW);
    let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
    for piece in input.chunks(11) {
        assert_eq!(rx.push(piece), piece.len());
        loop {
            for _ in 0..3 {
                let announced = server.advance(NOW, &mut rx, &mut tx);
                match extras.next() {
                    Some(0) => assert!(announced == server.advance(NOW, &mut rx, &mut tx)),
                    Some(1) => drop(server.transport()),
                    Some(2) => drop(server.poll_timeout()),
                    Some(3) => server.handle_timeout(NOW, &mut tx),
                    Some(4) => drop(rx.spare(100).len()),
                    Some(5) => rx.shrink(),
                    _ => {}
                }
            }
            match server.event(NOW, &mut rx, &mut tx) {
                None => break,
                Some(ServerEvent::Request(head)) => run.tell(Told::Request(
                    head.method.into(),
                    head.target.into(),
                    head.version,
                    lines(head.headers),
                )),
                Some(ServerEvent::Data(data)) => run.tell(Told::Data(data.into())),
                Some(ServerEvent::Closed(why)) => run.tell(Told::Closed(why)),
                Some(ServerEvent::End(trailers)) => {
                    run.tell(Told::End(lines(trailers)));
                    let _ = server.respond(Status::OK, NO_FIELDS, BodyLength::EMPTY, NOW, &mut tx);
                }
                Some(other) => panic!("an event that is not known: {other:?}"),
            }
        }
    }
    run.sent = tx.slices().collect::<Vec<_>>().concat();
    run
}

#[test]
fn a_head_that_trickles_in_costs_linear_time() {
    // With a rescan at each byte this would be ten million million steps.
    const SIZE: usize = 4 << 20;
    let limits = Limits { head: 2 * SIZE, ..Limits::default() };
    let mut rx = RecvBuf::with_limit(2 * SIZE);
    let mut parser = RequestParser::new();
    let head = b"GET / HTTP/1.1\r\nA: ".iter().chain(core::iter::repeat_n(&b'b', SIZE));
    let mut bytes = 0;
    for &byte in head.chain(b"\r\n\r\n") {
        rx.spare(1)[0] = byte;
        rx.commit(1);
        bytes += 1;
        if let Some(parsed) = parser.parse(&mut rx, &limits).unwrap() {
            assert_eq!(parsed.size(), bytes);
            assert_eq!(parsed.head(&rx).headers.get("a").unwrap().len(), SIZE);
            return;
        }
    }
    panic!("the head is complete");
}

#[test]
fn what_exceeds_a_limit_is_refused_before_it_is_buffered() {
    // The buffer itself is the smaller limit here.
    let setup = Setup { rx_limit: 300, ..Setup::default() };
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}", "b".repeat(1000));
    let run = every_way(long.as_bytes(), |pieces| serve(&setup, pieces));
    assert_eq!(run.error(), Some(ErrorKind::HeadTooLarge));
    let long = format!("GET /{}", "b".repeat(1000));
    let run = every_way(long.as_bytes(), |pieces| serve(&setup, pieces));
    assert_eq!(run.error(), Some(ErrorKind::TargetTooLong));
    // A body of any size passes through a small buffer.
    let body = "x".repeat(5000);
    let input = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n{body}");
    let run = every_way(input.as_bytes(), |pieces| serve(&setup, pieces));
    assert_eq!(run.told[1], Told::Data(body.into_bytes()));
}
