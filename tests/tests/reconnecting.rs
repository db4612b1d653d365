//! What a program can do about a connection that comes and goes: decide on the messages in between, change
//! the request, say hello again, and know what is going on.

use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tidewire_runtime::http::ResponseHead;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{
    ClientClosed, ClientConfig, ClientEvent, CloseCode, MessageKind, SendError, WhileDown,
};
use tidewire_runtime::{
    Client, Control, EventSource, Handler, Next, SendRuntime, Status, StatusWatch,
};
use tidewire_tests::frames::{CLOSE, TEXT, close, field, frame};
use tidewire_tests::net::{RawPeer, background, in_time, listener, sleep, until};
use tidewire_tests::on_every_runtime;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(600);

fn again(after: Duration) -> Option<Policy> {
    Some(Policy::fixed(after))
}

fn client<R: SendRuntime>(runtime: &R, address: SocketAddr, config: ClientConfig) -> Client<R> {
    let request = Request::new(&format!("ws://{address}/")).unwrap();
    Client::new(runtime.clone(), request, config).unwrap()
}

/// Says goodbye, and waits for the answer.
fn leave(mut peer: RawPeer) {
    peer.send(frame(CLOSE, close(1001, "")));
    while peer.read_frame().first != CLOSE {}
}

/// The texts that a peer gets before a Close frame.
fn texts(peer: &mut RawPeer) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let frame = peer.read_frame();
        if frame.first == CLOSE {
            return texts;
        }
        texts.push(String::from_utf8(frame.payload).unwrap());
    }
}

/// One connection that is left at once, and the texts of the next one.
fn left_once(listener: TcpListener) -> impl Future<Output = Vec<String>> {
    background(move || {
        leave(RawPeer::accept_websocket(&listener).0);
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        texts(&mut peer)
    })
}

/// Until the first connection is closed.
async fn to_the_first_end<R: SendRuntime>(client: &mut Client<R>) {
    while let Some(event) = client.next().await {
        if let ClientEvent::Closed { .. } = event {
            return;
        }
    }
    panic!("no end");
}

async fn messages_while_down_are_queued_behind_the_login<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = left_once(listener);
    let while_down = WhileDown::Queue { bytes: 300 };
    let config = ClientConfig { reconnect: again(SHORT), while_down, ..ClientConfig::default() };
    let mut client = client(&runtime, address, config);
    to_the_first_end(&mut client).await;
    let mut sent = vec!["login".to_owned()];
    while client.send_text(&sent.len().to_string()).is_ok() {
        sent.push(sent.len().to_string());
    }
    assert_eq!(client.send_text("one more"), Err(SendError::Full));
    assert_eq!(client.backlog().messages, sent.len() - 1);
    assert_eq!(client.send_first(MessageKind::Text, b"x"), Err(SendError::NotOpen));
    let mut drained = false;
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Open(_) => {
                client.send_first(MessageKind::Text, b"login").unwrap();
            }
            ClientEvent::Drained => {
                drained = true;
                client.send_text("one more").unwrap();
                client.close(CloseCode::NORMAL, "").unwrap();
            }
            _ => {}
        }
        if client.status() == Status::Closing {
            break;
        }
    }
    sent.push("one more".to_owned());
    in_time(runtime, async {
        let server = async { assert_eq!(server.await, sent) };
        both(server, async { while client.next().await.is_some() {} }).await;
    })
    .await;
    assert!(drained);
}

async fn messages_while_down_drop_the_oldest_and_that_is_told<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = left_once(listener);
    let while_down = WhileDown::DropOldest { bytes: 300 };
    let config = ClientConfig { reconnect: again(SHORT), while_down, ..ClientConfig::default() };
    let mut client = client(&runtime, address, config);
    to_the_first_end(&mut client).await;
    for n in 0..100 {
        client.send_text(&n.to_string()).unwrap();
    }

    /// Hangs up once it was told.
    #[derive(Default)]
    struct Count(u64);
    impl Handler for Count {
        fn on_open(&mut self, con: &mut Control<'_>, _: ResponseHead<'_>) {
            assert_eq!((con.status(), con.attempts()), (Status::Open, 2));
            con.send_first(MessageKind::Text, b"login").unwrap();
        }
        fn on_dropped(&mut self, con: &mut Control<'_>, messages: u64) {
            assert_eq!((con.backlog().messages, con.backlog().dropped), (0, messages));
            self.0 += messages;
            con.close(CloseCode::NORMAL, "").unwrap();
        }
        fn on_close(&mut self, _: &mut Control<'_>, why: ClientClosed, _: &str) -> Next {
            assert_eq!(why.code(), CloseCode::ABNORMAL, "the peer only hangs up");
            Next::Stop
        }
    }
    let mut count = Count::default();
    client.run(&mut count).await;
    let told = usize::try_from(count.0).unwrap();
    assert!((1..100).contains(&told), "{told}");
    let latest = (told..100).map(|n| n.to_string());
    let expected: Vec<_> = std::iter::once("login".to_owned()).chain(latest).collect();
    assert_eq!(server.await, expected);
}

async fn messages_while_down_can_be_refused<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = left_once(listener);
    let while_down = WhileDown::Refuse;
    let config = ClientConfig { reconnect: again(SHORT), while_down, ..ClientConfig::default() };
    let mut client = client(&runtime, address, config);
    assert_eq!(client.send_text("too early"), Err(SendError::NotOpen));
    to_the_first_end(&mut client).await;
    assert_eq!(client.send_text("too late"), Err(SendError::NotOpen));
    while let Some(event) = client.next().await {
        if let ClientEvent::Open(_) = event {
            client.send_text("in time").unwrap();
            break;
        }
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    while client.next().await.is_some() {}
    assert_eq!(server.await, ["in time"]);
}

async fn each_attempt_asks_for_a_token_that_takes_its_time_and_may_go_elsewhere<R: SendRuntime>(
    runtime: R,
) {
    let (here, address) = listener();
    let (elsewhere, other) = listener();
    let server = background(move || {
        let (peer, first) = RawPeer::accept_websocket(&here);
        leave(peer);
        let (peer, second) = RawPeer::accept_websocket(&elsewhere);
        leave(peer);
        here.set_nonblocking(true).unwrap();
        assert!(here.accept().is_err(), "it was told to go elsewhere");
        [first, second]
    });
    // The token takes longer than a connection may.
    let config = ClientConfig {
        announce: true,
        reconnect: again(Duration::ZERO),
        connect_timeout: Some(Duration::from_secs(5)),
        ..ClientConfig::default()
    };
    let mut client = client(&runtime, address, config);
    let (mut attempts, mut closed) = (0, 0);
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Attempt => {
                attempts += 1;
                assert_eq!((client.attempts(), client.status()), (attempts, Status::Connecting));
                sleep(&runtime, SHORT).await;
                let request = client.request_mut();
                request.remove_field("Authorization");
                request.add_field("Authorization", format!("Bearer {attempts}")).unwrap();
                if attempts == 2 {
                    request.set_url(Url::parse(&format!("ws://{other}/other")).unwrap());
                }
            }
            ClientEvent::Closed { .. } => {
                closed += 1;
                if closed == 2 {
                    client.cancel();
                }
            }
            _ => {}
        }
    }
    let [first, second] = server.await;
    assert!(
        first.starts_with("GET / HTTP/1.1\r\n") && second.starts_with("GET /other HTTP/1.1\r\n")
    );
    assert_eq!(
        (field(&first, "Authorization"), field(&second, "Authorization")),
        ("Bearer 1", "Bearer 2")
    );
}

async fn a_callback_before_an_attempt_can_give_it_up<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        leave(RawPeer::accept_websocket(&listener).0);
        listener
    });
    #[derive(Default)]
    struct Twice(Vec<String>);
    impl Handler for Twice {
        fn on_attempt(&mut self, con: &mut Control<'_>) {
            self.0.push(format!("attempt {}", con.attempts()));
            if con.attempts() == 2 {
                con.cancel();
            }
        }
        fn on_connect(&mut self, _: &mut Control<'_>) {
            self.0.push("connected".into());
        }
        fn on_close(&mut self, _: &mut Control<'_>, why: ClientClosed, _: &str) -> Next {
            self.0.push(format!("closed {}", why == ClientClosed::Cancelled));
            Next::Policy
        }
    }
    let config = ClientConfig {
        announce: true,
        reconnect: again(Duration::ZERO),
        ..ClientConfig::default()
    };
    let mut twice = Twice::default();
    client(&runtime, address, config).run(&mut twice).await;
    assert_eq!(twice.0, ["attempt 1", "connected", "closed false", "attempt 2", "closed true"]);
    let listener = server.await;
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the second attempt was given up");
}

async fn a_policy_gives_up_and_the_status_says_so<R: SendRuntime>(runtime: R) {
    let address = listener().1;
    let limits = [
        Policy::fixed(Duration::from_millis(1)).max_attempts(3),
        Policy::fixed(LONG).max_elapsed(LONG - SHORT),
    ];
    for (policy, attempts) in limits.into_iter().zip([4, 1]) {
        let config = ClientConfig { reconnect: Some(policy), ..ClientConfig::default() };
        let mut client = client(&runtime, address, config);
        let mut closed = 0;
        while let Some(event) = client.next().await {
            closed += u64::from(matches!(event, ClientEvent::Closed { .. }));
        }
        assert_eq!((closed, client.attempts()), (attempts, attempts));
        assert_eq!(client.status(), Status::Closed);
        assert_eq!(client.send_text("x"), Err(SendError::Closing));
    }
}

// Another task.

/// Polls both at once, until both are ready.
async fn both(one: impl Future<Output = ()>, two: impl Future<Output = ()>) {
    let (mut one, mut two) = (Some(Box::pin(one)), Some(Box::pin(two)));
    poll_fn(|cx| {
        one.take_if(|it| it.as_mut().poll(cx).is_ready());
        two.take_if(|it| it.as_mut().poll(cx).is_ready());
        if one.is_none() && two.is_none() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// A task that waits for one status after the other; each is there until it has seen it.
async fn observe(mut watch: StatusWatch, seen: Arc<AtomicUsize>, soonest: Instant) {
    let saw = || seen.fetch_add(1, Ordering::SeqCst);
    assert_eq!(watch.wait_for(|status| status == Status::Open).await, Some(Status::Open));
    saw();
    let waits = watch.wait_for(|status| matches!(status, Status::Waiting { .. })).await;
    let Some(Status::Waiting { until }) = waits else { panic!("{waits:?}") };
    assert!(until >= soonest + LONG && until <= Instant::now() + LONG);
    saw();
    assert_eq!(watch.wait_for(|status| status == Status::Open).await, Some(Status::Open));
    saw();
    // What is there already is not waited for, nor told again.
    assert_eq!(watch.wait_for(|status| status == Status::Open).await, Some(Status::Open));
    loop {
        match poll_fn(|cx| Pin::new(&mut watch).poll_next(cx)).await {
            Some(Status::Closing) => {}
            Some(status) => {
                assert_eq!(status, Status::Closed);
                break;
            }
            None => panic!("the client is there"),
        }
    }
    saw();
    assert_eq!((watch.changed().await, watch.status()), (None, Status::Closed));
    assert_eq!(watch.clone().wait_for(|_| true).await, None);
    saw();
}

async fn another_task_waits_for_the_status_of_a_client<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let (peer, _) = RawPeer::accept_websocket(&listener);
        leave(peer);
        let (mut peer, _) = RawPeer::accept_websocket(&listener);
        peer.send(frame(TEXT, "hello"));
        assert!(texts(&mut peer).is_empty());
    });
    let config = ClientConfig { reconnect: again(LONG), ..ClientConfig::default() };
    let mut client = client(&runtime, address, config);
    let seen = Arc::new(AtomicUsize::new(0));
    let watch = client.watch();
    assert_eq!(watch.status(), Status::Connecting);
    runtime.spawn_send(observe(watch, seen.clone(), Instant::now()));
    let by = |n| {
        let (seen, runtime) = (seen.clone(), runtime.clone());
        async move { until(&runtime, || seen.load(Ordering::SeqCst) >= n).await }
    };
    let (mut opened, mut ends) = (0, 0);
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Open(_) => {
                opened += 1;
                by(opened * 2 - 1).await;
            }
            ClientEvent::Text(_) => {
                client.close(CloseCode::NORMAL, "").unwrap();
                assert_eq!(client.status(), Status::Closing);
            }
            ClientEvent::Closed { .. } => {
                ends += 1;
                if ends == 1 {
                    by(2).await;
                    assert!(client.reconnect(Duration::ZERO));
                }
            }
            _ => {}
        }
    }
    by(4).await;
    drop(client);
    by(5).await;
    server.await;
}

async fn another_task_waits_for_the_status_of_a_source<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        for data in ["data: 1\n\n", "data: 2\n\n"] {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
            peer.send(data);
        }
    });
    let request = SourceRequest::new(Url::parse(&format!("http://{address}/")).unwrap());
    let config = SourceConfig { reconnect: Policy::fixed(LONG), ..SourceConfig::default() };
    let mut source = EventSource::new(runtime.clone(), request, config).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let watch = source.watch();
    assert_eq!(watch.status(), Status::Connecting);
    runtime.spawn_send(observe(watch, seen.clone(), Instant::now()));
    let by = |n| {
        let (seen, runtime) = (seen.clone(), runtime.clone());
        async move { until(&runtime, || seen.load(Ordering::SeqCst) >= n).await }
    };
    let mut messages = 0;
    while let Some(event) = source.next().await {
        match event {
            SourceEvent::Message(_) => {
                messages += 1;
                by(messages * 2 - 1).await;
                if messages == 2 {
                    source.close();
                }
            }
            SourceEvent::Error { .. } => {
                by(2).await;
                assert!(matches!(source.status(), Status::Waiting { .. }));
                assert!(source.reconnect(Duration::ZERO));
                assert_eq!(source.status(), Status::Connecting);
            }
            _ => {}
        }
    }
    by(4).await;
    drop(source);
    by(5).await;
    server.await;
}

on_every_runtime!(
    messages_while_down_are_queued_behind_the_login,
    messages_while_down_drop_the_oldest_and_that_is_told,
    messages_while_down_can_be_refused,
    each_attempt_asks_for_a_token_that_takes_its_time_and_may_go_elsewhere,
    a_callback_before_an_attempt_can_give_it_up,
    a_policy_gives_up_and_the_status_says_so,
    another_task_waits_for_the_status_of_a_client,
    another_task_waits_for_the_status_of_a_source,
);
