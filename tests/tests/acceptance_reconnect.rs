//! What a client does without a connection: errors, timeouts, and the next attempt.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tidewire_runtime::http::ResponseHead;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{
    ClientClosed, ClientConfig, ClientError, ClientEvent, CloseCode, Closed, ProtocolErrorKind,
    SendError,
};
use tidewire_runtime::{
    Client, Connector, Control, Error, Handler, Next, Received, SendRuntime, Status, TlsConfig,
    TlsError,
};
use tidewire_tests::frames::{CLOSE, ENDS, TEXT, TEXT_BEGINS, close, field, frame, head};
use tidewire_tests::net::{RawPeer, background, in_time, listener, sleep};
use tidewire_tests::on_every_runtime;

/// Much longer than anything takes, much shorter than a test waits.
const LATE: Duration = Duration::from_secs(6);

fn client<R: SendRuntime>(runtime: &R, url: &str, config: ClientConfig) -> Client<R> {
    Client::new(runtime.clone(), Request::new(url).expect("a URL"), config).expect("randomness")
}

fn to<R: SendRuntime>(runtime: &R, address: SocketAddr) -> Client<R> {
    client(runtime, &format!("ws://{address}/"), ClientConfig::default())
}

/// What a client tells, as text.
async fn tell<R: SendRuntime>(client: &mut Client<R>) -> Option<String> {
    Some(match client.next().await? {
        ClientEvent::Connected => "connected".into(),
        ClientEvent::Open(_) => "open".into(),
        ClientEvent::Text(text) => format!("text {text}"),
        ClientEvent::Error(ClientError::Dial(why)) => format!("dial {why:?}"),
        ClientEvent::Error(ClientError::Handshake { why, .. }) => format!("handshake {why:?}"),
        ClientEvent::Closed { why: ClientClosed::Ended(why), reason } => {
            format!("closed {} {reason}", why.code())
        }
        ClientEvent::Closed { why, .. } => format!("closed {why:?}"),
        other => format!("{other:?}"),
    })
}

/// All that it tells until nothing will come any more.
async fn all<R: SendRuntime>(client: &mut Client<R>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(what) = tell(client).await {
        told.push(what);
    }
    told
}

/// Accepts a client, shakes hands, and says goodbye.
fn open_and_close(listener: &TcpListener) -> String {
    let (mut peer, head) = RawPeer::accept_websocket(listener);
    peer.send(frame(CLOSE, close(1001, "")));
    assert_eq!(peer.read_frame().close().0, 1001);
    head
}

/// The same again and again.
fn open_and_close_times(listener: TcpListener, times: usize) -> Vec<String> {
    (0..times).map(|_| open_and_close(&listener)).collect()
}

// Acceptance group 19.
async fn a_refused_port_is_one_error_and_then_one_closed<R: SendRuntime>(runtime: R) {
    let address = listener().1;
    let mut client = to(&runtime, address);
    assert_eq!(all(&mut client).await, ["dial Connect", "closed Failed"]);
    assert_eq!(client.io_error().unwrap().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(client.status(), Status::Closed);
    assert_eq!(client.send_text("x"), Err(SendError::Closing));

    struct Count(Vec<String>);
    impl Handler for Count {
        fn on_connect(&mut self, _: &mut Control<'_>) {
            panic!("nobody is there");
        }
        fn on_error(&mut self, _: &mut Control<'_>, error: &Error) {
            let Error::Dial { source, .. } = error else { panic!("{error}") };
            self.0.push(format!("error {:?}", source.kind()));
        }
        fn on_close(&mut self, _: &mut Control<'_>, why: ClientClosed, _: &str) -> Next {
            self.0.push(format!("closed {}", why.code()));
            Next::Policy
        }
    }
    let mut count = Count(Vec::new());
    to(&runtime, address).run(&mut count).await;
    assert_eq!(count.0, ["error ConnectionRefused", "closed 1006"]);
}

// Acceptance group 19. The name is too long a label for any resolver to ask about it.
async fn a_name_that_does_not_exist_is_one_error_and_then_one_closed<R: SendRuntime>(runtime: R) {
    let url = format!("ws://{}.invalid/", "x".repeat(64));
    let mut client = client(&runtime, &url, ClientConfig::default());
    assert_eq!(all(&mut client).await, ["dial Resolve", "closed Failed"]);
    assert!(client.io_error().is_some());
}

// Acceptance groups 19 and 22. What answers is plain text.
async fn wss_that_fails_is_an_error_with_its_reason<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        assert_eq!(peer.read_exact(1), [22], "a ClientHello, and nothing in the clear");
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.read_to_end()
    });
    let tls = TlsConfig::new().dangerous_no_verification();
    let request = Request::new(&format!("wss://{address}/")).unwrap();
    let connector = Connector::new(runtime).tls(tls);
    let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
    assert_eq!(all(&mut client).await, ["dial Tls", "closed Failed"]);
    let error = client.io_error().unwrap();
    assert!(matches!(TlsError::of(&error), Some(TlsError::NotTls)), "{error:?}");
    server.await;
}

// Acceptance group 19.
async fn a_mute_peer_is_left_after_the_timeout_of_the_handshake<R: SendRuntime>(runtime: R) {
    const TIMEOUT: Duration = Duration::from_millis(150);
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        assert_eq!(peer.read_to_end(), b"");
    });
    let mut config = ClientConfig::default();
    config.handshake.timeout = Some(TIMEOUT);
    let mut client = client(&runtime, &format!("ws://{address}/"), config);
    let start = Instant::now();
    let told = all(&mut client).await;
    let elapsed = start.elapsed();
    assert_eq!(told, ["connected", "handshake Timeout", "closed Failed"]);
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{elapsed:?}");
    server.await;
}

// Acceptance group 19. Linux drops a SYN when nobody accepts and the queue is full.
#[cfg(target_os = "linux")]
async fn an_address_without_an_answer_is_left_after_the_timeout_of_connecting<R: SendRuntime>(
    runtime: R,
) {
    const TIMEOUT: Duration = Duration::from_millis(150);
    let (listener, address) = listener();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the queue has no end");
    }
    let config = ClientConfig { connect_timeout: Some(TIMEOUT), ..ClientConfig::default() };
    let mut client = client(&runtime, &format!("ws://{address}/"), config);
    let start = Instant::now();
    let told = all(&mut client).await;
    let elapsed = start.elapsed();
    assert_eq!(told, ["dial Timeout", "closed Failed"]);
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + LATE, "{elapsed:?}");
    drop(listener);
}

// Acceptance group 19. RFC 6455, 4.1.
async fn a_peer_that_hangs_up_in_the_handshake_is_one_error_and_then_one_closed<R: SendRuntime>(
    runtime: R,
) {
    for answer in ["", "HTTP/1.1 101 Switching Protocols\r\nUpgr", "SSH-2.0-OpenSSH_9.6\r\n"] {
        let (listener, address) = listener();
        let server = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(answer);
        });
        let mut client = to(&runtime, address);
        let told = all(&mut client).await;
        let handshake = if answer.starts_with("SSH") { "handshake Http(" } else { "handshake Eof" };
        assert!(told[1].starts_with(handshake), "{answer:?}: {told:?}");
        assert_eq!((&told[0][..], &told[2][..], told.len()), ("connected", "closed Failed", 3));
        server.await;
    }
}

/// The callbacks of the user's program, with the times of their calls.
#[derive(Default)]
struct Program {
    delays: Vec<Duration>,
    opened: usize,
    heard: usize,
    closed: Vec<Instant>,
    connected: Vec<Instant>,
}

impl Handler for Program {
    fn on_connect(&mut self, _: &mut Control<'_>) {
        self.connected.push(Instant::now());
    }

    fn on_open(&mut self, con: &mut Control<'_>, response: ResponseHead<'_>) {
        assert_eq!(response.status.code(), 101);
        self.opened += 1;
        con.send_text("hello").unwrap();
    }

    fn on_message(&mut self, _: &mut Control<'_>, message: Received<'_>) {
        assert_eq!(message, Received::Text("hello back"));
        self.heard += 1;
    }

    fn on_close(&mut self, con: &mut Control<'_>, why: ClientClosed, reason: &str) -> Next {
        assert!(matches!(why, ClientClosed::Ended(Closed::Clean { .. })), "{why}");
        assert_eq!((why.code(), reason), (CloseCode::GOING_AWAY, "bye"));
        self.closed.push(Instant::now());
        match self.delays.get(self.closed.len() - 1) {
            Some(&delay) => {
                // Two calls make one attempt, and the last one counts.
                con.reconnect(Duration::ZERO);
                Next::Reconnect(delay)
            }
            None => Next::Stop,
        }
    }
}

// Acceptance group 20.
async fn reconnect_from_the_close_callback_is_exact_and_keeps_callbacks_and_options<
    R: SendRuntime,
>(
    runtime: R,
) {
    let delays = [Duration::from_secs(1), Duration::from_millis(250), Duration::ZERO];
    let (listener, address) = listener();
    let server = background(move || {
        let mut heads = Vec::new();
        let mut times = Vec::new();
        for _ in 0..=delays.len() {
            let (mut peer, head) = RawPeer::accept_websocket(&listener);
            times.push(Instant::now());
            heads.push(head);
            assert_eq!(peer.read_message(), (TEXT, b"hello".to_vec()));
            peer.send(frame(TEXT, "hello back"));
            peer.send(frame(CLOSE, close(1001, "bye")));
            assert_eq!(peer.read_frame().close(), (1001, "bye".into()));
        }
        // One attempt each.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
        (heads, times)
    });
    let request = Request::new(&format!("ws://{address}/chat?a=b")).unwrap();
    let request = request.field("OtherKey", "values").unwrap();
    let mut client = Client::new(runtime.clone(), request, ClientConfig::default()).unwrap();
    let mut program = Program { delays: delays.to_vec(), ..Program::default() };
    client.run(&mut program).await;
    assert_eq!((program.opened, program.heard, program.closed.len()), (4, 4, 4));
    let (heads, times) = server.await;
    for (turn, delay) in delays.into_iter().enumerate() {
        let waited = program.connected[turn + 1] - program.closed[turn];
        assert!(waited >= delay, "{waited:?} instead of {delay:?}");
        let waited = times[turn + 1] - program.closed[turn];
        assert!(waited >= delay && waited < delay + LATE, "{waited:?} instead of {delay:?}");
    }
    for head in heads {
        assert!(head.starts_with("GET /chat?a=b HTTP/1.1\r\n"), "{head}");
        assert_eq!(field(&head, "OtherKey"), "values");
    }
}

// Acceptance group 20.
async fn a_callback_that_takes_its_time_does_not_shorten_the_wait<R: SendRuntime>(runtime: R) {
    const DELAY: Duration = Duration::from_millis(100);
    /// Blocks longer than the wait is, before it is asked for.
    #[derive(Default)]
    struct Slow {
        connected: Vec<Instant>,
        heard: Option<Instant>,
        /// From when on the wait may count, at the earliest.
        closed: Vec<Instant>,
    }
    impl Handler for Slow {
        fn on_connect(&mut self, _: &mut Control<'_>) {
            self.connected.push(Instant::now());
        }
        fn on_message(&mut self, _: &mut Control<'_>, _: Received<'_>) {
            std::thread::sleep(DELAY + DELAY / 2);
            self.heard = Some(Instant::now());
        }
        fn on_close(&mut self, con: &mut Control<'_>, why: ClientClosed, _: &str) -> Next {
            assert!(matches!(why, ClientClosed::Ended(Closed::Protocol(_))), "{why}");
            match self.closed.len() {
                0 => self.closed.extend(self.heard),
                1 => {
                    self.closed.push(Instant::now());
                    con.reconnect(DELAY);
                }
                2 => {
                    std::thread::sleep(DELAY + DELAY / 2);
                    self.closed.push(Instant::now());
                    return Next::Reconnect(DELAY);
                }
                _ => return Next::Stop,
            }
            Next::Policy
        }
    }
    let (listener, address) = listener();
    let server = background(move || {
        // The end is in the same segment as the message.
        let bytes = [frame(TEXT, "x"), frame(ENDS, "!")].concat();
        for _ in 0..4 {
            let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &bytes);
            peer.read_to_end();
        }
    });
    let config = ClientConfig { reconnect: Some(Policy::fixed(DELAY)), ..ClientConfig::default() };
    let mut slow = Slow::default();
    client(&runtime, &format!("ws://{address}/"), config).run(&mut slow).await;
    assert_eq!((slow.connected.len(), slow.closed.len()), (4, 3));
    for (turn, closed) in slow.closed.into_iter().enumerate() {
        let waited = slow.connected[turn + 1] - closed;
        assert!(waited >= DELAY && waited < DELAY + LATE, "{turn}: {waited:?}");
    }
    server.await;
}

// Acceptance group 20.
async fn reconnect_at_once_can_go_on_and_on<R: SendRuntime>(runtime: R) {
    const TIMES: usize = 300;
    let (listener, address) = listener();
    let server = background(move || {
        for _ in 0..TIMES {
            drop(RawPeer::accept(&listener));
        }
    });
    let mut client = to(&runtime, address);
    let (mut connected, mut closed) = (0, 0);
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Connected => connected += 1,
            ClientEvent::Closed { .. } => {
                closed += 1;
                if closed < TIMES {
                    assert!(client.reconnect(Duration::ZERO));
                }
            }
            _ => {}
        }
    }
    assert_eq!((connected, closed), (TIMES, TIMES));
    server.await;
}

// Acceptance group 20.
async fn two_calls_of_reconnect_make_one_attempt<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || open_and_close_times(listener, 2));
    let mut client = to(&runtime, address);
    let closed = ["connected", "open", "closed 1001 "];
    assert_eq!(all(&mut client).await, closed);
    let start = Instant::now();
    assert!(client.reconnect(Duration::ZERO));
    assert!(client.reconnect(Duration::from_millis(200)));
    assert!(matches!(client.status(), Status::Waiting { .. }));
    assert_eq!(tell(&mut client).await.unwrap(), "connected");
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(!client.reconnect(Duration::ZERO), "there is an attempt under way");
    assert_eq!(all(&mut client).await, closed[1..]);
    server.await;
}

// Acceptance group 20.
async fn close_and_cancel_take_back_what_is_scheduled<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || open_and_close_times(listener, 2));
    let config = ClientConfig {
        reconnect: Some(Policy::fixed(Duration::from_millis(50))),
        ..ClientConfig::default()
    };
    let mut client = client(&runtime, &format!("ws://{address}/"), config);
    for turn in 0..2 {
        for expected in ["connected", "open", "closed 1001 "] {
            assert_eq!(tell(&mut client).await.unwrap(), expected);
        }
        assert!(matches!(client.status(), Status::Waiting { .. }));
        if turn == 0 {
            client.cancel();
        } else {
            client.close(CloseCode::NORMAL, "").unwrap();
        }
        // Nothing comes, neither an event nor an attempt.
        assert_eq!(tell(&mut client).await, None);
        assert_eq!(client.status(), Status::Closed);
        sleep(&runtime, Duration::from_millis(70)).await;
        assert_eq!(tell(&mut client).await, None);
        // Called later it works as well.
        if turn == 0 {
            assert!(client.reconnect(Duration::ZERO));
        }
    }
    assert_eq!(server.await.len(), 2);
}

// Acceptance group 20.
async fn the_policy_brings_it_back_until_it_is_told_otherwise<R: SendRuntime>(runtime: R) {
    const DELAY: Duration = Duration::from_millis(100);
    let (listener, address) = listener();
    let server = background(move || {
        let mut closing = None::<Instant>;
        for _ in 0..3 {
            let (mut peer, _) = RawPeer::accept_websocket(&listener);
            let waited = closing.map_or(DELAY, |closing| closing.elapsed());
            assert!(waited >= DELAY && waited < DELAY + LATE, "{waited:?}");
            // The client cannot have closed before this.
            closing = Some(Instant::now());
            peer.send(frame(CLOSE, close(1001, "")));
            assert_eq!(peer.read_frame().close().0, 1001);
        }
    });
    let config = ClientConfig { reconnect: Some(Policy::fixed(DELAY)), ..ClientConfig::default() };
    let mut client = client(&runtime, &format!("ws://{address}/"), config);
    let mut told = Vec::new();
    while let Some(what) = tell(&mut client).await {
        told.push(what);
        if told.len() == 9 {
            client.cancel();
        }
    }
    assert_eq!(told, ["connected", "open", "closed 1001 "].repeat(3));
    server.await;
}

// Acceptance group 21. RFC 6455, 5.4.
async fn a_half_received_message_never_leaks_into_the_next_connection<R: SendRuntime>(runtime: R) {
    let halves = [
        frame(TEXT_BEGINS, "half a message, "),
        [&head(TEXT, 0, 100)[..], b"half a frame"].concat(),
        vec![TEXT],
        [frame(TEXT_BEGINS, "\u{1F30A}"), vec![0]].concat(),
    ];
    for half in halves {
        let (listener, address) = listener();
        let server = background(move || {
            drop(RawPeer::accept_websocket_and_send(&listener, &half));
            let (mut peer, _) = RawPeer::accept_websocket_and_send(&listener, &frame(TEXT, "new"));
            peer.send(frame(ENDS, "the other half"));
            assert_eq!(peer.read_frame().close().0, 1002);
        });
        let mut client = to(&runtime, address);
        for expected in ["connected", "open", "closed 1006 "] {
            assert_eq!(tell(&mut client).await.unwrap(), expected);
        }
        client.reconnect(Duration::ZERO);
        for expected in ["connected", "open", "text new"] {
            assert_eq!(tell(&mut client).await.unwrap(), expected);
        }
        match client.next().await {
            Some(ClientEvent::Closed {
                why: ClientClosed::Ended(Closed::Protocol(error)), ..
            }) => assert_eq!(error.kind, ProtocolErrorKind::OrphanContinuation),
            other => panic!("{other:?}"),
        }
        assert_eq!(tell(&mut client).await, None);
        server.await;
    }
}

// Acceptance group 21.
async fn a_half_received_answer_never_leaks_into_the_next_attempt<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        peer.read_head();
        peer.send("HTTP/1.1 101 Switching Protocols\r\nX-Half: ");
        drop(peer);
        open_and_close(&listener);
    });
    let mut client = to(&runtime, address);
    client.send_text("kept").unwrap();
    for expected in ["connected", "handshake Eof", "closed Failed"] {
        assert_eq!(tell(&mut client).await.unwrap(), expected);
    }
    client.cancel();
    client.reconnect(Duration::ZERO);
    assert_eq!(all(&mut client).await, ["connected", "open", "closed 1001 "]);
    server.await;
}

// Acceptance group 21.
async fn close_before_connected_is_one_closed_and_leaves_no_socket<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    // Before anything was polled.
    let mut first = to(&runtime, address);
    first.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(all(&mut first).await, ["closed Cancelled"]);
    assert_eq!(first.status(), Status::Closed);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "there is a socket");
    // In the opening handshake.
    let server = background(move || {
        let mut peer = RawPeer::accept(&listener);
        let request = peer.read_to_end();
        assert!(request.is_empty() || request.starts_with(b"GET / HTTP/1.1\r\n"));
    });
    let mut second = to(&runtime, address);
    assert_eq!(tell(&mut second).await.unwrap(), "connected");
    second.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(all(&mut second).await, ["closed Cancelled"]);
    // The socket is gone although the client lives.
    in_time(runtime.clone(), server).await;
    assert_eq!(second.status(), Status::Closed);
}

// Acceptance group 13 and 20: what was sent without a connection leaves by the next one.
async fn what_was_sent_while_waiting_leaves_by_the_next_connection<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        open_and_close(&listener);
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        assert_eq!(peer.read_message(), (TEXT, b"one".to_vec()));
        assert_eq!(peer.read_message(), (TEXT, b"two".to_vec()));
        peer.send(frame(CLOSE, close(1000, "")));
    });
    let mut client = to(&runtime, address);
    assert_eq!(all(&mut client).await, ["connected", "open", "closed 1001 "]);
    assert_eq!(client.send_text("nowhere"), Err(SendError::Closing));
    client.reconnect(Duration::from_millis(20));
    client.send_text("one").unwrap();
    client.send_text("two").unwrap();
    assert_eq!(all(&mut client).await, ["connected", "open", "closed 1000 "]);
    server.await;
}

on_every_runtime!(
    a_refused_port_is_one_error_and_then_one_closed,
    a_name_that_does_not_exist_is_one_error_and_then_one_closed,
    wss_that_fails_is_an_error_with_its_reason,
    a_mute_peer_is_left_after_the_timeout_of_the_handshake,
    #[cfg(target_os = "linux")]
    an_address_without_an_answer_is_left_after_the_timeout_of_connecting,
    a_peer_that_hangs_up_in_the_handshake_is_one_error_and_then_one_closed,
    reconnect_from_the_close_callback_is_exact_and_keeps_callbacks_and_options,
    a_callback_that_takes_its_time_does_not_shorten_the_wait,
    reconnect_at_once_can_go_on_and_on,
    two_calls_of_reconnect_make_one_attempt,
    close_and_cancel_take_back_what_is_scheduled,
    the_policy_brings_it_back_until_it_is_told_otherwise,
    a_half_received_message_never_leaks_into_the_next_connection,
    a_half_received_answer_never_leaks_into_the_next_attempt,
    close_before_connected_is_one_closed_and_leaves_no_socket,
    what_was_sent_while_waiting_leaves_by_the_next_connection,
);
