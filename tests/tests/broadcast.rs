//! The hub: many subscribers on raw sockets.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::sse::{
    Encoded, Event, Overflow, PublishError, ReplayLimits, SourceConfig, SourceEvent, SourceRequest,
    StreamConfig, TopicConfig,
};
use tidewire_runtime::url::Url;
use tidewire_runtime::{
    Broadcast, BroadcastConfig, BroadcastError, Delivery, EventSource, Exchange, SendRuntime,
    ServerConfig, ServerHandle, Subscription,
};
use tidewire_tests::net::{
    PATIENCE, RawPeer, Smol, in_time, on_thread, plain, serve, serve_with, sleep, until,
};
use tidewire_tests::on_every_runtime;

/// Publishers are in any thread, and subscriptions may move.
const _: () = {
    const fn is_shared<T: Send + Sync + Clone>() {}
    const fn moves<T: Send>() {}
    is_shared::<Broadcast>();
    moves::<Subscription>();
};

/// A server whose every path is a topic.
async fn serve_hub<R: SendRuntime>(runtime: &R, hub: &Broadcast) -> (SocketAddr, ServerHandle) {
    serve_hub_with(runtime, hub, plain()).await
}

async fn serve_hub_with<R: SendRuntime>(
    runtime: &R,
    hub: &Broadcast,
    config: ServerConfig,
) -> (SocketAddr, ServerHandle) {
    let hub = hub.clone();
    serve_with(runtime, config, move |exchange: Exchange<R>| {
        let hub = hub.clone();
        async move {
            let topic = exchange.path().to_owned();
            Ok(hub.serve(exchange, &topic).await?)
        }
    })
    .await
}

/// A client of HTTP/1.0, which gets the bytes of the stream as they are.
fn subscribe(address: SocketAddr, topic: &str, last_event_id: &str) -> RawPeer {
    let mut peer = RawPeer::connect(address);
    peer.send(format!("GET {topic} HTTP/1.0\r\nLast-Event-ID: {last_event_id}\r\n\r\n"));
    let head = peer.read_head();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    peer
}

fn publish(hub: &Broadcast, topic: &str, number: u64) -> usize {
    let id = number.to_string();
    hub.publish(topic, &Event::data("x").id(&id)).unwrap()
}

fn wire(number: u64) -> String {
    format!("id: {number}\ndata: x\n\n")
}

fn subscribers(hub: &Broadcast, topic: &str) -> usize {
    hub.stats(topic).map_or(0, |stats| stats.subscribers)
}

async fn each_subscriber_gets_each_event_once_and_in_order<R: SendRuntime>(runtime: R) {
    let hub = Broadcast::default();
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    on_thread(move || {
        let mut peers: Vec<_> = (0..20).map(|_| subscribe(address, "/news", "")).collect();
        let mut other = subscribe(address, "/other", "");
        // From threads that know nothing of a runtime, at the same time.
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let publisher = publisher.clone();
                std::thread::spawn(move || {
                    for number in 0..50 {
                        assert_eq!(publish(&publisher, "/news", thread * 50 + number), 20);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(publish(&publisher, "/news", 999), 20);
        let all: Vec<_> = peers.iter_mut().map(|peer| peer.read_until(wire(999))).collect();
        assert!(all.iter().all(|one| *one == all[0]), "not all got the same");
        let all = String::from_utf8(all[0].clone()).unwrap();
        for thread in 0..4 {
            let places: Vec<_> =
                (0..50).map(|number| all.find(&wire(thread * 50 + number)).unwrap()).collect();
            assert!(places.is_sorted(), "a thread's events are out of order");
        }
        assert_eq!(all.matches("id: ").count(), 201);
        publish(&publisher, "/other", 1);
        assert_eq!(other.read_until(wire(1)), wire(1).as_bytes());
    })
    .await;
    let stats = hub.stats("/news").unwrap();
    assert_eq!((stats.published, stats.dropped, stats.queued), (201, 0, 0));
}

// WHATWG HTML, 9.2.4.
async fn a_client_that_comes_back_gets_what_it_has_missed<R: SendRuntime>(runtime: R) {
    let keep = ReplayLimits { events: 3, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig {
        topic: TopicConfig { keep, ..Default::default() },
        gap: Some(Event::new().event("gap").with_data("").to_encoded().unwrap()),
        ..Default::default()
    });
    let (address, _server) = serve_hub(&runtime, &hub).await;
    (1..=5).for_each(|number| assert_eq!(publish(&hub, "/", number), 0));
    on_thread(move || {
        let rest = subscribe(address, "/", "4").read_until(wire(5));
        assert_eq!(String::from_utf8(rest).unwrap(), wire(5));
        // Who knows nothing of the last three is told so first.
        let rest = subscribe(address, "/", "1").read_until(wire(5));
        let expected = format!("event: gap\ndata: \n\n{}{}{}", wire(3), wire(4), wire(5));
        assert_eq!(String::from_utf8(rest).unwrap(), expected);
    })
    .await;
}

async fn an_event_source_loses_nothing_over_many_connections<R: SendRuntime>(runtime: R) {
    let retry = Some(Duration::from_millis(1));
    let stream = StreamConfig { retry, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig { stream, ..Default::default() });
    let source = hub.clone();
    let (address, _server) = serve_with(&runtime, plain(), move |exchange: Exchange<R>| {
        let hub = source.clone();
        async move {
            let topic = exchange.path().to_owned();
            let id = tidewire_runtime::sse::last_event_id(exchange.head().headers);
            let mut subscription = hub.subscribe(&topic, id);
            let mut stream = exchange
                .event_stream_with([("X", "y")], StreamConfig { retry, ..Default::default() })
                .await?;
            // Ten events a connection, and the last of them is cut off.
            for _ in 0..10 {
                match stream.while_open(subscription.next()).await? {
                    Some(Delivery::Event(event)) => stream.try_send_encoded(&event)?,
                    other => panic!("{other:?}"),
                }
            }
            stream.wait(Duration::ZERO).await?;
            Ok(())
        }
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let config = SourceConfig { min_retry: Duration::from_millis(1), ..Default::default() };
    let mut source = EventSource::new(runtime.clone(), SourceRequest::new(url), config).unwrap();
    let mut received = Vec::new();
    let mut connections = 0;
    while received.len() < 200 {
        match source.next().await.unwrap() {
            SourceEvent::Open(_) => {
                connections += 1;
                if connections == 1 {
                    (0..200).for_each(|number| {
                        publish(&hub, "/", number);
                    });
                }
            }
            SourceEvent::Message(event) => received.push(event.last_event_id.to_owned()),
            _ => {}
        }
    }
    assert_eq!(received, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(connections >= 20, "{connections}");
}

fn big(number: usize) -> Encoded {
    let id = number.to_string();
    Event::data(&"x".repeat(10_000)).id(&id).to_encoded().unwrap()
}

/// A hub of which a subscriber may be 20 events of 10 kB behind.
fn narrow(overflow: Overflow) -> Broadcast {
    let keep = ReplayLimits { events: 20, ..Default::default() };
    Broadcast::new(BroadcastConfig {
        topic: TopicConfig { keep, overflow, replay: false },
        gap: Some(Event::new().event("gap").with_data("").to_encoded().unwrap()),
        ..Default::default()
    })
}

async fn a_slow_reader_misses_events_and_harms_nobody_else<R: SendRuntime>(runtime: R) {
    let hub = narrow(Overflow::DropOldest);
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    on_thread(move || {
        let mut slow = subscribe(address, "/", "");
        let mut fast = subscribe(address, "/", "");
        for number in 0..3000 {
            publisher.publish_encoded("/", &big(number)).unwrap();
            let event = fast.read_exact(big(number).bytes().len());
            assert_eq!(event, big(number).bytes()[..], "the fast reader misses {number}");
        }
        let stats = publisher.stats("/").unwrap();
        assert!(stats.dropped > 1000 && stats.kept <= 20, "{stats:?}");
        // Behind what it has still to take.
        publisher.close("/");
        let last = String::from_utf8(slow.read_to_end()).unwrap();
        assert!(last.contains("event: gap\ndata: \n\n"), "nothing told of the gap");
        // Whole events, and from the gap on to the end all of them.
        let events: Vec<&str> = last.split_terminator("\n\n").collect();
        assert!(
            events.iter().all(|it| it.len() == "event: gap\ndata: ".len() || it.len() > 10_000)
        );
        assert_eq!(events.iter().filter(|it| it.starts_with("event")).count(), 1);
        assert!(events[events.len() - 20].starts_with("id: 2980\n"));
    })
    .await;
}

async fn events_beyond_the_high_water_mark_arrive_whole<R: SendRuntime>(runtime: R) {
    let hub = Broadcast::default();
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    on_thread(move || {
        let mut peer = subscribe(address, "/", "");
        let large = Event::data(&"x".repeat(400_000)).to_encoded().unwrap();
        let mut expected = Vec::new();
        for number in 0..2 {
            publish(&publisher, "/", number);
            publisher.publish_encoded("/", &large).unwrap();
            expected.extend([wire(number).as_bytes(), large.bytes()].concat());
        }
        assert!(peer.read_exact(expected.len()) == expected, "not what was published");
    })
    .await;
}

async fn a_slow_reader_can_be_let_go<R: SendRuntime>(runtime: R) {
    let hub = narrow(Overflow::Disconnect);
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    on_thread(move || {
        let mut slow = RawPeer::connect(address);
        slow.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        slow.read_head();
        let mut number = 0;
        while publisher.stats("/").is_some() {
            publisher.publish_encoded("/", &big(number)).unwrap();
            number += 1;
            assert!(number < 100_000, "it is never let go");
        }
        // At once, and without the last chunk, which would say that this was all.
        let start = Instant::now();
        let got = slow.read_to_end();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(got.len() < number * 10_000 && !got.ends_with(b"0\r\n\r\n"));
    })
    .await;
}

async fn publishing_can_wait_for_the_slowest<R: SendRuntime>(runtime: R) {
    let hub = narrow(Overflow::Wait);
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    let mut peer = on_thread(move || subscribe(address, "/", "")).await;
    let mut number = 0;
    let refused = loop {
        match publisher.publish_encoded("/", &big(number)) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 100_000, "the queue is not bounded");
        if number % 8 == 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    };
    assert_eq!(refused, PublishError::Full);
    let reader = std::thread::spawn(move || {
        for at in 0..number + 100 {
            let expected = big(at);
            assert_eq!(peer.read_exact(expected.bytes().len()), expected.bytes()[..], "event {at}");
        }
    });
    for number in number..number + 100 {
        assert_eq!(publisher.publish_wait("/", &big(number)).await, Ok(1));
    }
    on_thread(move || reader.join().unwrap()).await;
    assert_eq!(hub.stats("/").map_or(0, |stats| stats.dropped), 0);
    // Nobody is left.
    until(&runtime, || hub.stats("/").is_none()).await;
}

// Acceptance group 4.
async fn who_leaves_is_no_subscriber_any_more_without_anything_being_sent<R: SendRuntime>(
    runtime: R,
) {
    let hub = narrow(Overflow::DropOldest);
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let peers =
        on_thread(move || -> Vec<_> { (0..10).map(|_| subscribe(address, "/", "")).collect() })
            .await;
    assert_eq!(subscribers(&hub, "/"), 10);
    drop(peers);
    until(&runtime, || subscribers(&hub, "/") == 0).await;
    // Nor is the topic of any use then.
    assert!(hub.topics().is_empty());
}

async fn a_topic_that_is_closed_ends_its_streams_in_order<R: SendRuntime>(runtime: R) {
    let hub = Broadcast::default();
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let closer = hub.clone();
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.read_head();
        let mut other = subscribe(address, "/b", "");
        publish(&closer, "/a", 1);
        assert!(closer.close("/a") && !closer.close("/a"));
        assert_eq!(peer.read_until("0\r\n\r\n"), b"f\r\nid: 1\ndata: x\n\n\r\n0\r\n\r\n");
        closer.close_all();
        assert_eq!(other.read_to_end(), b"");
    })
    .await;
    assert!(hub.topics().is_empty() && hub.stats("/a").is_none());
}

async fn heartbeats_come_while_nothing_else_does<R: SendRuntime>(runtime: R) {
    let heartbeat = Some(Duration::from_millis(200));
    let stream = StreamConfig { heartbeat, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig { stream, ..Default::default() });
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    on_thread(move || {
        let mut peer = subscribe(address, "/", "");
        let start = Instant::now();
        assert_eq!(peer.read_until(":\n\n:\n\n"), b":\n\n:\n\n");
        assert!(start.elapsed() >= Duration::from_millis(380), "{:?}", start.elapsed());
        // Events more often than that leave no room for any.
        for number in 0..10 {
            publish(&publisher, "/", number);
            assert_eq!(peer.read_until("\n\n"), wire(number).as_bytes());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(peer.read_until("\n\n"), b":\n\n");
    })
    .await;
}

async fn a_server_that_shuts_down_ends_the_streams<R: SendRuntime>(runtime: R) {
    let hub = Broadcast::default();
    let (address, server) = serve_hub(&runtime, &hub).await;
    let mut peer = on_thread(move || subscribe(address, "/", "")).await;
    server.shutdown();
    assert_eq!(on_thread(move || peer.read_to_end()).await, b"");
    until(&runtime, || server.connections() == 0).await;
    assert_eq!(subscribers(&hub, "/"), 0);
}

async fn what_cannot_be_published_is_an_error_and_reaches_nobody<R: SendRuntime>(_runtime: R) {
    let keep = ReplayLimits { events: 9, bytes: 100 };
    let topic = TopicConfig { keep, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig { topic, ..Default::default() });
    let mut subscription = hub.subscribe("a", None);
    let bad = hub.publish("a", &Event::data("x").id("a\nb"));
    assert!(matches!(bad, Err(BroadcastError::Encode(_))), "{bad:?}");
    let large = hub.publish_encoded("a", &big(1));
    assert!(matches!(large, Err(PublishError::TooLarge(_))), "{large:?}");
    assert_eq!(publish(&hub, "a", 7), 1);
    let Some(Delivery::Event(event)) = subscription.next().await else { panic!() };
    assert_eq!(event.id(), Some("7"));
    // Also where nobody would have got it.
    let topic = TopicConfig { keep, replay: false, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig { topic, ..Default::default() });
    assert!(matches!(hub.publish_encoded("a", &big(1)), Err(PublishError::TooLarge(_))));
    assert!(matches!(hub.publish_wait("a", &big(1)).await, Err(PublishError::TooLarge(_))));
    assert_eq!((publish(&hub, "a", 7), hub.topics().len()), (0, 0));
}

/// How long the longest poll of `future` took.
async fn longest_poll<F: Future>(future: F) -> (F::Output, Duration) {
    let (mut future, mut longest) = (pin!(future), Duration::ZERO);
    let output = poll_fn(|cx| {
        let start = Instant::now();
        let polled = future.as_mut().poll(cx);
        longest = longest.max(start.elapsed());
        polled
    })
    .await;
    (output, longest)
}

async fn a_large_event_waits_and_holds_up_nobody_else<R: SendRuntime>(runtime: R) {
    const HIGH: usize = 4_000_000;
    let polled = Arc::new(Mutex::new(None));
    let told = polled.clone();
    let (address, _server) = serve(&runtime, move |exchange: Exchange<R>| {
        let told = told.clone();
        async move {
            let config = StreamConfig { high_water: HIGH, ..Default::default() };
            let mut stream = exchange.event_stream_with(NO_FIELDS, config).await?;
            // So many that the socket takes no more, and `HIGH` bytes wait behind it.
            while stream.try_send(&Event::data(&"x".repeat(100_000))).is_ok() {
                stream.wait(Duration::from_millis(1)).await?;
            }
            // There is no room for this one until nearly nothing waits.
            let large = Event::data(&"y".repeat(HIGH)).to_encoded()?;
            let (sent, longest) = longest_poll(stream.send_encoded(&large)).await;
            *told.lock().unwrap() = Some(longest);
            sent?;
            Ok(stream.finish().await?)
        }
    })
    .await;
    let done = polled.clone();
    let read = on_thread(move || {
        let mut peer = subscribe(address, "/", "");
        std::thread::sleep(Duration::from_millis(300));
        while done.lock().unwrap().is_none() {
            peer.read_exact(25_000);
            std::thread::sleep(Duration::from_millis(25));
        }
        peer.read_to_end()
    })
    .await;
    assert!(read.iter().filter(|&&byte| byte == b'y').count() == HIGH);
    let longest = polled.lock().unwrap().unwrap();
    assert!(longest < Duration::from_millis(700), "a poll took {longest:?}");
}

async fn whatever_the_high_water_mark_there_is_room_for_one_event<R: SendRuntime>(runtime: R) {
    let stream = StreamConfig { high_water: 0, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig { stream, ..Default::default() });
    let (address, _server) = serve_hub(&runtime, &hub).await;
    let publisher = hub.clone();
    on_thread(move || {
        let mut peer = subscribe(address, "/", "");
        for number in 0..3 {
            publish(&publisher, "/", number);
        }
        assert_eq!(peer.read_until(wire(2)), [wire(0), wire(1), wire(2)].concat().as_bytes());
    })
    .await;
}

async fn heartbeats_that_are_always_due_leave_time_for_others<R: SendRuntime>(runtime: R) {
    let heartbeat = Some(Duration::from_nanos(1));
    let stream = StreamConfig { heartbeat, ..Default::default() };
    let hub = Broadcast::new(BroadcastConfig { stream, ..Default::default() });
    let (address, _server) = serve_hub(&runtime, &hub).await;
    on_thread(move || {
        let mut peers: Vec<_> = (0..4).map(|_| subscribe(address, "/", "")).collect();
        peers.iter_mut().for_each(|peer| assert_eq!(peer.read_exact(6), b":\n\n:\n\n"));
    })
    .await;
}

/// A task that is gone with its last waker, and a subscription with the task.
struct Task(#[expect(dead_code)] Subscription);

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_hold_a_subscription_of_the_same_topic() {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let hub = Broadcast::default();
        let poll = |subscription: &mut Subscription, waker: Waker| {
            let polled = pin!(subscription.next()).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        };
        let task = || Waker::from(Arc::new(Task(hub.subscribe("a", None))));
        let mut subscription = hub.subscribe("a", None);
        poll(&mut subscription, task());
        poll(&mut subscription, task());
        assert_eq!(subscribers(&hub, "a"), 2);
        drop(subscription);
        done.send(subscribers(&hub, "a")).unwrap();
    });
    assert_eq!(finished.recv_timeout(PATIENCE), Ok(0), "it waits for itself");
}

#[test]
fn subscribers_come_and_go_while_threads_publish() {
    const EACH: usize = 3000;
    let keep = ReplayLimits { events: 4, ..Default::default() };
    let topic = TopicConfig { keep, overflow: Overflow::Wait, replay: false };
    let hub = Broadcast::new(BroadcastConfig { topic, ..Default::default() });
    // The number of each publisher's event: those of a publisher come without a gap, once each.
    let check = |seen: &mut [Option<usize>; 2], delivery: Option<Delivery>| {
        let Some(Delivery::Event(event)) = delivery else { panic!("{delivery:?}") };
        let (publisher, number) = event.id().unwrap().split_once('-').unwrap();
        let (publisher, number): (usize, usize) =
            (publisher.parse().unwrap(), number.parse().unwrap());
        let expected = seen[publisher].map_or(number, |last| last + 1);
        assert_eq!(number, expected, "of publisher {publisher}");
        seen[publisher] = Some(number);
    };
    let run = |future: Pin<Box<dyn Future<Output = ()> + '_>>| {
        ::smol::block_on(in_time(Smol, future));
    };
    let mut steady = hub.subscribe("t", None);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for publisher in 0..2 {
            let hub = &hub;
            scope.spawn(move || {
                run(Box::pin(async move {
                    for number in 0..EACH {
                        let id = format!("{publisher}-{number}");
                        let event = Event::data("x").id(&id).to_encoded().unwrap();
                        assert!(hub.publish_wait("t", &event).await.unwrap() >= 1);
                    }
                }));
            });
        }
        for thread in 0..3_usize {
            let (hub, over) = (&hub, &over);
            scope.spawn(move || {
                run(Box::pin(async move {
                    let mut many = thread;
                    while !over.load(Ordering::SeqCst) {
                        let mut subscription = hub.subscribe("t", None);
                        let mut seen = [None; 2];
                        many = (many * 7 + 3) % 11;
                        for _ in 0..many {
                            // Nothing may come any more.
                            let next = async { Some(subscription.next().await) };
                            let late = async {
                                sleep(&Smol, Duration::from_millis(100)).await;
                                None
                            };
                            let Some(delivery) = ::smol::future::or(next, late).await else {
                                break;
                            };
                            check(&mut seen, delivery);
                        }
                    }
                }));
            });
        }
        run(Box::pin(async {
            let mut seen = [None; 2];
            while seen != [Some(EACH - 1); 2] {
                check(&mut seen, steady.next().await);
            }
            over.store(true, Ordering::SeqCst);
        }));
    });
    let stats = hub.stats("t").unwrap();
    assert_eq!((stats.subscribers, stats.queued), (1, 0));
    assert_eq!((stats.published, stats.dropped), (2 * EACH as u64, 0));
    drop(steady);
    assert!(hub.topics().is_empty());
}

#[test]
fn topics_close_while_threads_subscribe_and_publish() {
    let keep = ReplayLimits { events: 4, ..Default::default() };
    let topic = TopicConfig { keep, overflow: Overflow::Wait, replay: true };
    let hub = Broadcast::new(BroadcastConfig { topic, ..Default::default() });
    let over = AtomicBool::new(false);
    let taken = AtomicUsize::new(0);
    let event = Event::data("x").id("1").to_encoded().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                ::smol::block_on(in_time(Smol, async {
                    while !over.load(Ordering::SeqCst) {
                        hub.publish_wait("t", &event).await.unwrap();
                    }
                }));
            });
            // Each of them reads to the end of its topic, and begins anew.
            scope.spawn(|| {
                ::smol::block_on(in_time(Smol, async {
                    while !over.load(Ordering::SeqCst) {
                        let mut subscription = hub.subscribe("t", None);
                        while subscription.next().await.is_some() {
                            taken.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }));
            });
        }
        for _ in 0..500 {
            std::thread::sleep(Duration::from_micros(200));
            hub.close("t");
        }
        over.store(true, Ordering::SeqCst);
        // Whoever waits now is let go by the last.
        std::thread::sleep(Duration::from_millis(50));
        hub.close_all();
        std::thread::sleep(Duration::from_millis(50));
        hub.close_all();
    });
    assert!(taken.load(Ordering::SeqCst) > 0);
    assert_eq!(subscribers(&hub, "t"), 0);
}

on_every_runtime! {
    each_subscriber_gets_each_event_once_and_in_order,
    a_client_that_comes_back_gets_what_it_has_missed,
    an_event_source_loses_nothing_over_many_connections,
    a_slow_reader_misses_events_and_harms_nobody_else,
    events_beyond_the_high_water_mark_arrive_whole,
    a_slow_reader_can_be_let_go,
    publishing_can_wait_for_the_slowest,
    who_leaves_is_no_subscriber_any_more_without_anything_being_sent,
    a_topic_that_is_closed_ends_its_streams_in_order,
    heartbeats_come_while_nothing_else_does,
    a_server_that_shuts_down_ends_the_streams,
    what_cannot_be_published_is_an_error_and_reaches_nobody,
    a_large_event_waits_and_holds_up_nobody_else,
    whatever_the_high_water_mark_there_is_room_for_one_event,
    heartbeats_that_are_always_due_leave_time_for_others,
}
