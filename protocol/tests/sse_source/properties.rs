//! Any order of calls, any pieces, any time.

use crate::support::*;
use proptest::prelude::*;

/// A life of one source; `between` is called after each input.
fn life(mut between: impl FnMut(&mut Net)) -> Vec<String> {
    let policy = Policy::exponential(ms(1000), ms(4000)).max_attempts(4);
    let config = SourceConfig { reconnect: policy, ..SourceConfig::default() };
    let mut net = Net::new(request("http://h/"), config);
    let mut log = Vec::new();
    let answers: [&[&str]; 6] = [
        &[OPEN, "id: 1\ndata: a\nda", "ta: b\n\n: c\nretry: 2000\ndata: d\n\ndata: lost"],
        &["HTTP/1.1 302 X\r\nLocation: /b\r\n\r\n"],
        &["HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:"],
        &["HTTP/1.1 2"],
        &["no HTTP\r\n\r\n"],
        &["HTTP/1.1 500 X\r\n\r\n", "oops"],
    ];
    for answer in answers {
        between(&mut net);
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
        for piece in answer {
            between(&mut net);
            log.push(format!("sent {}", net.tx.len()));
            assert_eq!(net.rx.push(piece.as_bytes()), piece.len());
            between(&mut net);
            log.extend(net.events());
        }
        if net.source.transport() == Transport::Open {
            net.rx.finish();
            between(&mut net);
            log.extend(net.events());
        }
        log.push(format!("{:?}", net.source.poll_timeout()));
    }
    log
}

proptest! {
    /// Polls and memory management in between change nothing.
    #[test]
    fn polls_change_nothing(ops in prop::collection::vec(0..6_u8, 1..100)) {
        let expected = life(|_| {});
        prop_assert_eq!(expected.last().map(String::as_str), Some("None"));
        let mut ops = ops.into_iter().cycle();
        let seen = life(|net| for op in ops.by_ref().take(3) {
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
    fn any_calls_in_any_order(ops in prop::collection::vec((0..16_u8, any::<u16>()), 1..120)) {
        let policy = Policy::fixed(ms(50)).max_attempts(20);
        let config = SourceConfig {
            reconnect: policy, idle_timeout: Some(ms(400)), ..SourceConfig::default()
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
