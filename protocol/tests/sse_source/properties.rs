//! Any order of calls, any pieces, any time.

use crate::support::*;
use proptest::prelude::*;

/// A life of one source, whose input comes in pieces of these lengths; `between` is called after
/// each input and command.
fn life(mut pieces: impl Iterator<Item = usize>, mut between: impl FnMut(&mut Net)) -> Vec<String> {
    let config = SourceConfig {
        reconnect: Policy::exponential(ms(1000), ms(4000)).max_attempts(4),
        retried: TRANSIENT.into(),
        announce: true,
        ..SourceConfig::default()
    };
    let mut net = Net::new(request("http://h/").post("{}"), config);
    let mut log = Vec::new();
    // The last one is left for the next one, not ended.
    let restarted = format!("{OPEN}data: x\nid: 3\n\ndata: lost\n");
    let answers = [
        &format!("{OPEN}id: 1\ndata: a\ndata: b\n\n: c\nretry: 2000\ndata: d\n\ndata: lost"),
        "HTTP/1.1 302 X\r\nLocation: /b\r\n\r\n",
        &format!("HTTP/1.1 103 X\r\n\r\n{OPEN}\u{FEFF}:\r\nevent: e\rdata: \u{FFFD}"),
        &restarted,
        "HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait",
        "HTTP/1.1 2",
        "no HTTP\r\n\r\n",
        "HTTP/1.1 403 X\r\n\r\noops",
    ];
    for answer in answers {
        between(&mut net);
        log.extend(net.events());
        while net.source.transport() == Transport::Down {
            let at = net.source.poll_timeout().unwrap();
            net.now = at;
            net.source.handle_timeout(at, &mut net.tx);
            between(&mut net);
            log.extend(net.events());
        }
        net.rx.clear();
        net.tx.clear();
        net.source.connected(net.now, &mut net.tx);
        between(&mut net);
        log.push(String::from_utf8_lossy(net.tx.chunk()).into());
        let mut rest = answer.as_bytes();
        while !rest.is_empty() && net.source.transport() == Transport::Open {
            let (piece, behind) = rest.split_at(pieces.next().unwrap().min(rest.len()));
            rest = behind;
            assert_eq!(net.rx.push(piece), piece.len());
            between(&mut net);
            log.extend(net.events());
        }
        if *answer == *restarted {
            assert!(net.source.restart(ms(1500), net.now));
        } else if net.source.transport() == Transport::Open {
            net.rx.finish();
        }
        between(&mut net);
        log.extend(net.events());
        log.push(format!("{:?}", net.source.next_timer()));
    }
    net.assert_over();
    log
}

proptest! {
    /// Polls, memory management and the pieces in which the input comes change nothing.
    #[test]
    fn polls_change_nothing(
        ops in prop::collection::vec(0..6_u8, 1..100),
        pieces in prop::collection::vec(1..40_usize, 1..40),
    ) {
        let expected = life(core::iter::repeat(usize::MAX), |_| {});
        let errors = expected.iter().filter(|line| line.starts_with("error")).count();
        prop_assert_eq!((errors, expected.last().map(String::as_str)), (6, Some("None")));
        let mut ops = ops.into_iter().cycle();
        let seen = life(pieces.into_iter().cycle(), |net| for op in ops.by_ref().take(3) {
            match op {
                0 => { let _ = net.source.poll_timeout(); }
                1 => { let _ = net.source.transport(); }
                2 => { let _ = net.source.advance(net.now, &mut net.rx, &mut net.tx); }
                3 => net.rx.shrink(),
                4 => { let _ = net.rx.spare(100); }
                _ => net.source.handle_timeout(net.now, &mut net.tx),
            }
        });
        prop_assert_eq!(seen, expected);
    }

    /// Whatever is called when: no panic, one `Closed` and nothing after it, one `Error` for each
    /// end, and a deadline that has passed is gone or has become an event once it is handled.
    #[test]
    fn any_calls_in_any_order(
        ops in prop::collection::vec((0..19_u8, any::<u16>()), 1..120),
        announce in any::<bool>(),
    ) {
        let policy = Policy::fixed(ms(50)).max_attempts(20);
        let config = SourceConfig {
            reconnect: policy,
            idle_timeout: Some(ms(400)),
            retried: TRANSIENT.into(),
            announce,
            ..SourceConfig::default()
        };
        let mut net = Net::new(request("http://h/"), config);
        let mut closed = false;
        for (op, n) in ops {
            match op {
                0..=3 => if net.source.transport() == Transport::Dial {
                    net.rx.clear();
                    net.tx.clear();
                    net.source.connected(net.now, &mut net.tx);
                },
                4 => net.source.dial_failed(net.now, DialError::Connect),
                5 | 6 => { let _ = net.rx.push(OPEN.as_bytes()); }
                7 | 8 => {
                    let pieces = ["data: a\n\n", "id: 1\r", "\n", ": c\n", "retry: 5\n", "x", "\n\n"];
                    let _ = net.rx.push(pieces[usize::from(n) % pieces.len()].as_bytes());
                }
                9 => { let _ = net.rx.push(moved(302, "/x").as_bytes()); }
                10 => if n % 4 == 0 { net.rx.finish() },
                11 => if n % 64 == 0 { net.source.close() },
                12 => { let _ = net.source.reconnect(ms(u64::from(n % 100)), net.now); }
                13 => net.rx.shrink(),
                15 => { let _ = net.source.restart(ms(u64::from(n % 3)), net.now); }
                16 => net.source.request_mut().set_url(Url::parse("http://other/").unwrap()),
                17 => {
                    let answer = "HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 1\r\n\r\nx";
                    let _ = net.rx.push(answer.as_bytes());
                }
                14 => { let _ = net.source.advance(net.now, &mut net.rx, &mut net.tx); }
                _ => net.now += ms(u64::from(n % 300)),
            }
            if net.source.poll_timeout().is_some_and(|at| at <= net.now) {
                net.source.handle_timeout(net.now, &mut net.tx);
                let past = net.source.poll_timeout().is_some_and(|at| at <= net.now);
                prop_assert!(!past || net.source.advance(net.now, &mut net.rx, &mut net.tx));
            }
            if n % 3 == 0 {
                for line in net.events() {
                    prop_assert!(!closed, "after Closed: {}", line);
                    closed = line.starts_with("closed");
                }
            }
        }
        net.source.close();
        let rest = net.events();
        let ends = rest.iter().filter(|line| line.starts_with("closed")).count();
        prop_assert_eq!(ends + usize::from(closed), 1);
        prop_assert!(closed || rest.last().is_some_and(|line| line.starts_with("closed")));
        net.assert_over();
    }
}
