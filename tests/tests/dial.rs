//! Connections to hosts with several addresses, some of them dead (RFC 8305).
#![cfg(feature = "net")]

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{ClientConfig, ClientEvent};
use tidewire_runtime::{
    Client, Connector, DialConfig, DialError, Error, Exchange, Family, HandlerError, HttpClient,
    HttpClientConfig, Phase, SendRuntime, Timeouts,
};
use tidewire_tests::names::{BlackHole, Names};
use tidewire_tests::net::{RawPeer, background, listener, on_thread, serve};
use tidewire_tests::on_every_runtime;

/// What the RFC recommends, and what we do unless told otherwise.
const DELAY: Duration = Duration::from_millis(250);
/// Much longer than anything takes that does not wait.
const LATE: Duration = Duration::from_millis(1900);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

async fn hello<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    exchange.respond("hello").await?;
    Ok(())
}

async fn hole(ip: IpAddr) -> BlackHole {
    on_thread(move || BlackHole::at(ip)).await
}

/// A port where nobody listens.
fn refused() -> SocketAddr {
    listener().1
}

/// A client for which `host` has these addresses.
fn named<R: SendRuntime>(runtime: R, host: Vec<SocketAddr>) -> Connector<Names<R>> {
    Connector::new(Names::new(runtime, [("host", host)]))
}

/// Gets `http://host/`, and says how long that took.
async fn get<R: SendRuntime>(
    connector: Connector<Names<R>>,
    connect: Duration,
) -> (Result<String, Error>, Duration) {
    let timeouts = Timeouts { connect: Some(connect), ..Timeouts::default() };
    let config = HttpClientConfig { timeouts, ..HttpClientConfig::default() };
    let client = HttpClient::with_config(connector, config);
    let start = Instant::now();
    let answer = async { client.get("http://host/").await?.text(100).await };
    (answer.await, start.elapsed())
}

// RFC 8305, 5: "if one address is dead, the next is tried after the Connection Attempt Delay".
async fn a_dead_first_address_is_overtaken_within_the_delay<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, hello).await;
    for ip in [LOOPBACK_V6, LOOPBACK] {
        let hole = hole(ip).await;
        let connector = named(runtime.clone(), vec![hole.address(), server]);
        let (answer, took) = get(connector, Duration::from_secs(30)).await;
        assert_eq!(answer.unwrap(), "hello");
        assert!(took >= DELAY && took < DELAY + LATE, "{took:?} over {ip}");
    }
}

// The same, for a client that reconnects.
async fn a_reconnecting_client_overtakes_it_too<R: SendRuntime>(runtime: R) {
    let hole = hole(LOOPBACK_V6).await;
    let (listener, server) = listener();
    let peer = background(move || RawPeer::accept_websocket(&listener).1);
    let connector = named(runtime, vec![hole.address(), server]);
    let request = Request::new("ws://host/").unwrap();
    let start = Instant::now();
    let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
    assert!(matches!(client.next().await, Some(ClientEvent::Connected)));
    let took = start.elapsed();
    assert!(took >= DELAY && took < DELAY + LATE, "{took:?}");
    assert!(matches!(client.next().await, Some(ClientEvent::Open(_))));
    assert!(peer.await.contains("Host: host\r\n"));
}

// RFC 8305, 5 and 8: the delay is for attempts that may still succeed.
async fn an_address_that_refuses_costs_no_delay<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, hello).await;
    let connector = named(runtime, vec![refused(), refused(), server])
        .dial(DialConfig { connection_attempt_delay: LATE, ..DialConfig::default() });
    let (answer, took) = get(connector, Duration::from_secs(30)).await;
    assert_eq!(answer.unwrap(), "hello");
    assert!(took < LATE, "{took:?}");
}

// A race of one family has nothing to wait for.
async fn the_other_family_can_be_left_out<R: SendRuntime>(runtime: R) {
    let (server, _handle) = serve(&runtime, hello).await;
    let hole = hole(LOOPBACK_V6).await;
    let config = DialConfig { connection_attempt_delay: LATE, ..DialConfig::default() };
    let v4 = DialConfig { only: Some(Family::V4), ..config };
    let connector = || named(runtime.clone(), vec![hole.address(), server]);
    // What is bound to an address of one family reaches none of the other.
    for connector in [connector().dial(v4), connector().dial(config).bind(LOOPBACK)] {
        let (answer, took) = get(connector, Duration::from_secs(30)).await;
        assert_eq!(answer.unwrap(), "hello");
        assert!(took < LATE, "{took:?}");
    }
}

async fn what_each_address_failed_with_is_told<R: SendRuntime>(runtime: R) {
    let (first, second) = (refused(), refused());
    let (answer, _) =
        get(named(runtime.clone(), vec![first, second]), Duration::from_secs(30)).await;
    let error = answer.unwrap_err();
    let told: Vec<_> =
        error.attempts().iter().map(|(address, error)| (*address, error.kind())).collect();
    let kind = ErrorKind::ConnectionRefused;
    assert_eq!(told, [(first, kind), (second, kind)]);
    let words = error.to_string();
    assert!(words.contains(&first.to_string()) && words.contains(&second.to_string()), "{words}");
    let Error::Dial { phase: DialError::Connect, source } = error else { panic!("{words}") };
    assert_eq!(source.kind(), kind);

    // One address: the operating system's own error.
    let (answer, _) = get(named(runtime.clone(), vec![first]), Duration::from_secs(30)).await;
    let Err(Error::Dial { phase: DialError::Connect, source }) = answer else { panic!() };
    assert_eq!(source.kind(), kind);
    assert!(source.raw_os_error().is_some());

    // None.
    let (answer, _) = get(named(runtime, vec![]), Duration::from_secs(30)).await;
    let Err(Error::Dial { phase: DialError::Connect, source }) = answer else { panic!() };
    assert_eq!(source.kind(), ErrorKind::NotFound);
}

// The errors of a client that reconnects are the same.
async fn what_each_address_failed_with_is_told_after_the_event<R: SendRuntime>(runtime: R) {
    let connector = named(runtime, vec![refused(), refused()]);
    let request = Request::new("ws://host/").unwrap();
    let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
    assert!(matches!(client.next().await, Some(ClientEvent::Error(_))));
    let source = client.io_error().unwrap();
    let error = Error::Dial { phase: DialError::Connect, source };
    assert_eq!(error.attempts().len(), 2, "{error}");
}

async fn dead_addresses_alone_end_with_the_timeout<R: SendRuntime>(runtime: R) {
    let hole = hole(LOOPBACK).await;
    let connect = Duration::from_millis(400);
    let (answer, took) = get(named(runtime, vec![hole.address()]), connect).await;
    assert_eq!(answer.unwrap_err().timed_out(), Some(Phase::Connect));
    assert!(took >= connect && took < connect + LATE, "{took:?}");
}

on_every_runtime!(
    a_dead_first_address_is_overtaken_within_the_delay,
    a_reconnecting_client_overtakes_it_too,
    an_address_that_refuses_costs_no_delay,
    the_other_family_can_be_left_out,
    what_each_address_failed_with_is_told,
    what_each_address_failed_with_is_told_after_the_event,
    dead_addresses_alone_end_with_the_timeout,
);
