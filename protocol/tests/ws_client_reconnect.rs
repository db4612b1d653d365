//! The client that reconnects: what becomes of messages while it is down, and what the caller can do
//! before an attempt.

mod ws_client_support;

use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::VecDeque;
use tidewire::reconnect::Policy;
use tidewire::url::Url;
use tidewire::ws::{
    Backlog, ClientConfig, ClientEvent, ClientTimer, CloseCode, Config, MessageKind, SendError,
    Status, WhileDown,
};
use tidewire::{DialError, Transport};
use ws_client_support::{End, at, millis, read};

/// It comes back by itself, one second after each end.
fn automatic(while_down: WhileDown) -> End {
    let reconnect = Some(Policy::fixed(millis(1000)));
    End::new(ClientConfig { reconnect, while_down, ..ClientConfig::default() })
}

const QUEUE: WhileDown = WhileDown::Queue { bytes: 1 << 20 };

impl End {
    fn text(&mut self, text: &str) -> Result<(), SendError> {
        self.client.send_text(text, &mut self.tx)
    }

    fn first(&mut self, text: &str) -> Result<(), SendError> {
        self.client.send_first(MessageKind::Text, text.as_bytes(), &mut self.tx)
    }

    /// The connection is lost, and the next attempt is due.
    fn lose(&mut self) {
        self.rx.finish();
        assert_eq!(self.events(), ["closed 1006 \"\" false"]);
        self.wait();
    }

    fn wait(&mut self) {
        let Status::Waiting { until } = self.client.status() else { panic!("{:?}", self.client) };
        self.timeout(until);
    }

    /// Answers the opening handshake, up to the event of it, which is being looked at afterwards.
    fn look_at_open(&mut self) {
        self.connect();
        let (answer, _) = self.answer();
        assert_eq!(self.rx.push(&answer), answer.len());
        while let Some(event) = self.client.poll_event(self.now, &mut self.rx, &mut self.tx) {
            if let ClientEvent::Open(_) = event {
                return;
            }
        }
        panic!("it did not open");
    }
}

// Messages without a connection.

#[test]
fn refuse_keeps_nothing_and_says_so() {
    let mut end = automatic(WhileDown::Refuse);
    assert_eq!(end.text("before"), Err(SendError::NotOpen));
    end.connect();
    assert_eq!(end.text("in the handshake"), Err(SendError::NotOpen));
    let (answer, _) = end.answer();
    end.receive(&answer);
    end.text("one").unwrap();
    assert_eq!(read(&end.sent()), ["one"]);
    // The connection ends: nothing more leaves by it, and nothing is kept.
    end.receive(b"\x88\x02\x03\xE9");
    assert_eq!(end.text("while it closes"), Err(SendError::Closing));
    end.rx.finish();
    assert_eq!(end.events(), ["closed 1001 \"\" true"]);
    let ping = end.client.send_ping(b"", &mut end.tx);
    assert_eq!(
        (end.text("while it waits"), ping),
        (Err(SendError::NotOpen), Err(SendError::NotOpen))
    );
    assert_eq!(end.client.backlog(), Backlog::default());
    end.wait();
    end.look_at_open();
    // It is open for whoever is told so, whatever the policy for the time before.
    end.text("two").unwrap();
    assert_eq!(end.events(), Vec::<String>::new());
    assert_eq!(read(&end.sent()), ["two"]);
}

#[test]
fn queue_keeps_up_to_its_limit_and_drains() {
    let mut end = automatic(WhileDown::Queue { bytes: 1000 });
    let shared = Bytes::from(vec![7; 600]);
    end.client.send_shared(MessageKind::Binary, &shared, &mut end.tx).unwrap();
    // At most one message lies above the limit, whatever its size.
    end.text(&"x".repeat(5000)).unwrap();
    assert_eq!(end.text(""), Err(SendError::Full));
    let backlog = end.client.backlog();
    assert_eq!((backlog.messages, backlog.dropped), (2, 0));
    assert!((5600..5800).contains(&backlog.bytes), "{backlog:?}");
    end.connect();
    let (answer, _) = end.answer();
    assert_eq!(end.receive(&answer), ["connected", "open 101", "drained"]);
    assert_eq!(end.client.backlog(), Backlog::default());
    assert_eq!(read(&end.sent()).len(), 2);
    end.text("more").unwrap();
}

#[test]
fn drop_oldest_keeps_the_latest_and_tells_how_many_it_dropped() {
    let mut end = automatic(WhileDown::DropOldest { bytes: 1000 });
    for n in 0..100 {
        end.text(&format!("{n:0100}")).unwrap();
    }
    let backlog = end.client.backlog();
    assert_eq!(backlog.messages + usize::try_from(backlog.dropped).unwrap(), 100);
    assert!((1000..1200).contains(&backlog.bytes), "{backlog:?}");
    end.connect();
    let (answer, _) = end.answer();
    let dropped = format!("dropped {}", backlog.dropped);
    assert_eq!(end.receive(&answer), ["connected", "open 101", &dropped]);
    let latest: Vec<_> = (backlog.dropped..100).map(|n| format!("{n:0100}")).collect();
    assert_eq!(read(&end.sent()), latest);
    // Told once; the count goes on.
    end.lose();
    end.open();
    assert_eq!(end.events(), Vec::<String>::new());
    assert_eq!(end.client.backlog(), Backlog { dropped: backlog.dropped, ..Backlog::default() });
}

#[test]
fn what_close_and_cancel_drop_is_not_told() {
    for cancel in [true, false] {
        let mut end = automatic(WhileDown::DropOldest { bytes: 1 });
        end.text("one").unwrap();
        end.text("two").unwrap();
        if cancel {
            end.client.cancel();
        } else {
            end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
        }
        assert_eq!(end.client.backlog(), Backlog { dropped: 1, ..Backlog::default() });
        assert_eq!(end.text("three"), Err(SendError::Closing));
        end.events();
        assert!(end.client.reconnect(Duration::ZERO, end.now));
        end.open();
        assert_eq!(end.sent(), b"");
    }
}

#[test]
fn what_is_sent_while_a_connection_ends_waits_for_the_next_one() {
    let mut end = automatic(QUEUE);
    end.open();
    // RFC 6455, 5.5.1: no data frames after a Close frame; and the stream may take its time to end.
    end.receive(b"\x88\x02\x03\xE9");
    end.sent();
    end.text("one").unwrap();
    assert_eq!((end.client.status(), end.sent()), (Status::Closing, Vec::new()));
    end.rx.finish();
    assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
    end.text("two").unwrap();
    assert_eq!(end.events(), ["closed 1001 \"\" true"]);
    end.text("three").unwrap();
    end.wait();
    end.open();
    assert_eq!(read(&end.sent()), ["one", "two", "three"]);
    // Not if the caller has closed: there is no next one.
    end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
    assert_eq!(end.text("four"), Err(SendError::Closing));
}

#[test]
fn without_a_policy_nothing_waits_for_a_connection_that_may_never_be() {
    let mut end = End::new(ClientConfig::default());
    end.open();
    end.receive(b"\x88\x02\x03\xE9");
    assert_eq!(end.text("x"), Err(SendError::Closing));
}

// The place to say hello again.

#[test]
fn what_is_sent_first_leaves_ahead_of_what_waits() {
    let mut end = automatic(QUEUE);
    assert_eq!(end.first("nobody hears it"), Err(SendError::NotOpen));
    end.text("one").unwrap();
    end.look_at_open();
    // Another part of the program sends something before the login.
    end.text("two").unwrap();
    end.first("login").unwrap();
    end.first("subscribe").unwrap();
    assert_eq!(
        end.client.send_first(MessageKind::Text, b"\xFF", &mut end.tx),
        Err(SendError::NotUtf8)
    );
    assert_eq!(end.events(), Vec::<String>::new());
    end.text("three").unwrap();
    end.first("in its turn").unwrap();
    assert_eq!(read(&end.sent()), ["login", "subscribe", "one", "two", "three", "in its turn"]);
    end.lose();
    assert_eq!(end.first("nobody hears it"), Err(SendError::NotOpen));
}

#[test]
fn a_message_in_pieces_and_the_close_frame_come_behind_what_was_sent_before_them() {
    for close in [false, true] {
        let mut end = automatic(QUEUE);
        end.text("one").unwrap();
        end.look_at_open();
        end.text("two").unwrap();
        if close {
            end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
        } else {
            end.client.start_message(MessageKind::Text).unwrap();
            end.client.send_chunk(b"thr", &mut end.tx).unwrap();
            end.client.end_message(b"ee", &mut end.tx).unwrap();
        }
        end.events();
        let read = read(&end.sent());
        assert_eq!((&read[..2], read.len()), (&["one".to_owned(), "two".to_owned()][..], 3));
        assert!(if close { read[2].starts_with("Closed") } else { read[2] == "three" }, "{read:?}");
    }
}

// The place to change where it goes.

fn announced(reconnect: Option<Policy>) -> End {
    End::new(ClientConfig { announce: true, reconnect, ..ClientConfig::default() })
}

#[test]
fn each_attempt_is_announced_and_waits_for_the_caller() {
    let mut end = announced(Some(Policy::fixed(millis(1000))));
    assert_eq!((end.client.transport(), end.client.poll_timeout()), (Transport::Down, None));
    assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
    assert!(matches!(
        end.client.event(end.now, &mut end.rx, &mut end.tx),
        Some(ClientEvent::Attempt)
    ));
    // However long the caller takes, it is not the network's time.
    assert_eq!(end.client.poll_timeout(), None);
    end.timeout(at(1_000_000));
    assert_eq!(
        (end.client.status(), end.client.transport()),
        (Status::Connecting, Transport::Down)
    );
    assert_eq!(end.events(), Vec::<String>::new());
    assert_eq!(end.client.transport(), Transport::Dial);
    assert_eq!(end.client.next_timer(), Some((at(1_030_000), ClientTimer::Connect)));
    end.client.dial_failed(end.now, DialError::Connect);
    assert_eq!(end.events().len(), 2, "an error and its Closed");
    end.wait();
    assert_eq!(end.client.transport(), Transport::Down);
    assert_eq!((end.events(), end.client.attempts()), (vec!["attempt".to_owned()], 2));
    end.open();
}

#[test]
fn before_an_attempt_its_url_and_fields_can_be_changed() {
    let mut end = announced(Some(Policy::fixed(Duration::ZERO)));
    for attempt in 1..=3 {
        while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
            if let ClientEvent::Attempt = event {
                let request = end.client.request_mut();
                request.set_url(Url::parse(&format!("ws://host{attempt}/?n={attempt}")).unwrap());
                request.remove_field("Authorization");
                request.add_field("Authorization", format!("Bearer {attempt}")).unwrap();
            }
        }
        assert_eq!(end.client.target().host(), format!("host{attempt}"));
        end.connect();
        let request = String::from_utf8(end.sent()).unwrap();
        assert!(request.starts_with(&format!("GET /?n={attempt} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains(&format!("\r\nAuthorization: Bearer {attempt}\r\n")), "{request}");
        assert_eq!(request.matches("Authorization").count(), 1);
        assert!(request.contains("\r\nX-Mark: kept\r\n"));
        end.rx.finish();
    }
}

#[test]
fn an_attempt_that_was_announced_can_be_put_off_and_given_up() {
    let mut end = announced(None);
    // Announced, and not told yet.
    assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
    assert!(end.client.reconnect(millis(10), end.now));
    assert_eq!(end.events(), Vec::<String>::new());
    end.wait();
    // Told: it is told again when it is due again.
    assert!(end.client.poll_event(end.now, &mut end.rx, &mut end.tx).is_some());
    assert!(end.client.reconnect(millis(10), end.now));
    assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Down));
    end.wait();
    // At once is as it is.
    assert!(end.client.poll_event(end.now, &mut end.rx, &mut end.tx).is_some());
    assert!(end.client.reconnect(Duration::ZERO, end.now));
    assert_eq!((end.events(), end.client.transport()), (vec![], Transport::Dial));
    for told in [false, true] {
        let mut end = announced(None);
        if told {
            assert!(end.client.poll_event(end.now, &mut end.rx, &mut end.tx).is_some());
        } else {
            assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
        }
        end.client.cancel();
        assert_eq!(end.events(), ["closed 1006 \"\" false"]);
        assert_eq!((end.client.status(), end.client.transport()), (Status::Idle, Transport::Down));
    }
}

// What ends the policy.

#[test]
fn the_policy_gives_up_after_so_many_attempts_and_so_much_time() {
    let second = Policy::fixed(millis(1000));
    for (policy, attempts) in [(second.max_attempts(3), 4), (second.max_elapsed(millis(3500)), 4)] {
        let mut end = End::new(ClientConfig { reconnect: Some(policy), ..ClientConfig::default() });
        end.text("kept").unwrap();
        for attempt in 1..=attempts {
            assert_eq!(end.client.attempts(), attempt);
            end.client.dial_failed(end.now, DialError::Connect);
            end.events();
            if attempt < attempts {
                end.wait();
            }
        }
        assert_eq!((end.client.status(), end.client.poll_timeout()), (Status::Idle, None));
        assert_eq!(end.text("x"), Err(SendError::Closing));
        // By hand it goes on, with what was kept.
        assert!(end.client.reconnect(Duration::ZERO, end.now));
        end.open();
        assert_eq!(read(&end.sent()), ["kept"]);
    }
}

#[test]
fn no_policy_tries_again_where_tls_is_wanted_and_not_spoken() {
    let mut end = automatic(QUEUE);
    end.client.dial_failed(end.now, DialError::NoTls);
    assert_eq!(end.events().len(), 2, "an error and its Closed");
    assert_eq!((end.client.status(), end.client.poll_timeout()), (Status::Idle, None));
    end.client.request_mut().set_url("ws://h/".parse().unwrap());
    assert!(end.client.reconnect(Duration::ZERO, end.now));
    end.open();
}

proptest! {
    /// Messages leave in the order in which they were sent, each once, over any number of connections;
    /// those that were refused or dropped don't, and just as many are told. A login comes ahead of
    /// everything.
    #[test]
    fn what_is_taken_leaves_once_and_in_order(
        steps in proptest::collection::vec((0..8_u8, 0..200_usize), 1..150),
        policy in 0..3_u8,
        bytes in 0..1000_usize,
    ) {
        let while_down = match policy {
            0 => WhileDown::Refuse,
            1 => WhileDown::Queue { bytes },
            _ => WhileDown::DropOldest { bytes },
        };
        let mut end = End::new(ClientConfig {
            connection: Config { send_high_water: 500, send_low_water: 100, ..Config::default() },
            reconnect: Some(Policy::fixed(Duration::ZERO)),
            while_down,
            ..ClientConfig::default()
        });
        let (mut number, mut told, mut logged_in) = (0, 0, false);
        let mut expected = VecDeque::new();
        for (step, size) in steps {
            let mut opened = false;
            match step {
                0 if end.client.transport() == Transport::Dial => {
                    end.connect();
                    let (answer, _) = end.answer();
                    prop_assert_eq!(end.rx.push(&answer), answer.len());
                }
                1 if end.client.transport() == Transport::Dial => {
                    end.client.dial_failed(end.now, DialError::Connect);
                }
                // An end begins with all that was sent before written: what had no time to is lost.
                2 if end.tx.is_empty() && end.client.connection().is_some() => {
                    let _ = end.rx.push(b"\x88\x02\x03\xE9");
                }
                3 if end.tx.is_empty() && end.client.status() != Status::Open => end.rx.finish(),
                4 => {
                    // What the server reads: all messages of this connection.
                    let sent = end.sent();
                    if end.client.connection().is_some() {
                        for text in read(&sent) {
                            if text == "login" {
                                prop_assert!(logged_in);
                                logged_in = false;
                            } else if !text.starts_with("Closed") {
                                prop_assert!(!logged_in, "{} before the login", text);
                                prop_assert_eq!(Some(text), expected.pop_front());
                            }
                        }
                    }
                }
                _ => {
                    let text = format!("{number} {}", "x".repeat(size));
                    let before = end.client.backlog();
                    match end.text(&text) {
                        Ok(()) => {
                            number += 1;
                            // Those that wait are the latest; the oldest of them go.
                            let oldest = expected.len() - before.messages;
                            for _ in before.dropped..end.client.backlog().dropped {
                                expected.remove(oldest);
                            }
                            expected.push_back(text);
                        }
                        Err(SendError::Full) => prop_assert!(policy == 1 || before.messages == 0),
                        Err(SendError::NotOpen) => prop_assert_eq!(policy, 0),
                        Err(error) => prop_assert!(policy == 0 && error == SendError::Closing),
                    }
                }
            }
            prop_assert!(end.client.backlog().bytes <= bytes.max(500) + 300);
            if step == 5 {
                continue;
            }
            while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
                match event {
                    ClientEvent::Open(_) => opened = true,
                    ClientEvent::Dropped { messages } => {
                        told += messages;
                        prop_assert_eq!(told, end.client.backlog().dropped);
                    }
                    _ => {}
                }
                if core::mem::take(&mut opened) {
                    end.first("login").unwrap();
                    logged_in = true;
                }
            }
        }
    }
}

/// RFC 6455, 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another
/// message".
#[test]
fn what_is_sent_while_open_is_looked_at_does_not_come_between_the_pieces_of_a_message() {
    let mut end = automatic(QUEUE);
    end.text("kept").unwrap();
    end.look_at_open();
    end.sent();
    end.client.start_message(MessageKind::Text).unwrap();
    end.client.send_chunk(b"be", &mut end.tx).unwrap();
    assert_eq!(end.text("between"), Err(SendError::Unfinished));
    assert_eq!(end.first("between"), Err(SendError::Unfinished));
    assert_eq!(end.events(), Vec::<String>::new());
    end.client.end_message(b"gun", &mut end.tx).unwrap();
    end.text("behind").unwrap();
    assert_eq!(read(&end.sent()), ["kept", "begun", "behind"]);
}

// An end behind which the next attempt is due at once.

/// It comes back by itself, at once.
fn hasty(announce: bool) -> End {
    let reconnect = Some(Policy::fixed(millis(0)));
    End::new(ClientConfig { reconnect, announce, ..ClientConfig::default() })
}

/// Polls until the end of an attempt or a connection, which is being looked at afterwards.
fn look_at_end(end: &mut End) {
    while let Some(event) = end.client.poll_event(end.now, &mut end.rx, &mut end.tx) {
        if matches!(event, ClientEvent::Closed { .. }) {
            return;
        }
    }
    panic!("it did not end");
}

#[test]
fn an_attempt_that_has_not_begun_has_no_end() {
    for announce in [false, true] {
        // Given up while the end of an attempt is looked at, and while that of a connection is.
        for lost in [false, true] {
            let mut end = hasty(announce);
            end.events();
            if lost {
                end.open();
                end.rx.finish();
            } else {
                end.client.dial_failed(end.now, DialError::Connect);
            }
            look_at_end(&mut end);
            end.client.cancel();
            assert_eq!((end.client.status(), end.events()), (Status::Idle, vec![]));
        }
        // Given up before that is looked at.
        let mut end = hasty(announce);
        end.events();
        end.client.dial_failed(end.now, DialError::Connect);
        let error = end.client.poll_event(end.now, &mut end.rx, &mut end.tx);
        assert!(matches!(error, Some(ClientEvent::Error(_))));
        assert!(end.client.advance(end.now, &mut end.rx, &mut end.tx));
        end.client.cancel();
        assert_eq!(end.events(), ["closed 1006 \"\" false"]);
        assert_eq!(end.client.status(), Status::Idle);
    }
}

#[test]
fn an_attempt_that_the_policy_would_have_made_is_not_counted() {
    let mut end = hasty(false);
    end.open();
    end.client.close(CloseCode::NORMAL, "", end.now, &mut end.tx).unwrap();
    assert_eq!(end.receive(b"\x88\x02\x03\xE8"), Vec::<String>::new());
    end.rx.finish();
    assert_eq!(end.events(), ["closed 1000 \"\" true"]);
    assert_eq!((end.client.status(), end.client.attempts()), (Status::Idle, 1));
    assert!(end.client.reconnect(millis(0), end.now));
    assert_eq!(end.client.attempts(), 2);
}
