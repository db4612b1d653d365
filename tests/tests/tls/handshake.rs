//! Handshakes that do not come to their end, on either side.

use super::*;
use tidewire_tests::net::until;

// Acceptance groups 19 and 22: nobody blocks, and the deadline that ends it is that of TLS.
async fn a_server_that_is_mute_in_the_handshake_is_left_in_time<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let server = background(move || {
        let mut peers: Vec<_> = (0..2).map(|_| RawPeer::accept(&listener)).collect();
        // A ClientHello (RFC 8446, 5.1), and then the end.
        peers.iter_mut().for_each(|peer| assert_eq!(peer.read_exact(1), [22]));
        peers.into_iter().for_each(|mut peer| drop(peer.read_to_end()));
    });
    let tls = TlsConfig::new().dangerous_no_verification().handshake_timeout(SOON);
    let begun = Instant::now();
    let error = get(&runtime, tls.clone(), "localhost", address).await.unwrap_err();
    assert!(begun.elapsed() >= SOON);
    assert!(matches!(error, Error::Dial { phase: DialError::TlsTimeout, .. }), "{error:?}");
    assert_eq!((error.timed_out(), error.tls()), (Some(Phase::Tls), None));

    let request = Request::new(&format!("wss://{address}/")).unwrap();
    let connector = Connector::new(runtime.clone()).tls(tls);
    let mut client = Client::new(connector, request, ClientConfig::default()).unwrap();
    let first = client.next().await.unwrap();
    let tidewire_runtime::ws::ClientEvent::Error(error) = first else { panic!("{first:?}") };
    assert_eq!(error.to_string(), "the TLS handshake was not over in time");
    drop(client);
    server.await;
}

async fn a_client_that_is_mute_in_the_handshake_holds_up_nobody_and_is_left_in_time<
    R: SendRuntime,
>(
    runtime: R,
) {
    let authority = Authority::new("ours");
    let (tls, failures) = told_failures(authority.server(LOCAL).handshake_timeout(SOON));
    let (address, server) = serve(&runtime, tls).await;
    let mute = on_thread(move || [RawPeer::connect(address), RawPeer::connect(address)]).await;
    assert!(get(&runtime, authority.client(), "localhost", address).await.is_ok());
    on_thread(move || {
        for mut peer in mute {
            assert_eq!(peer.read_to_end(), b"");
            assert_eq!(failures.recv_timeout(PATIENCE).unwrap(), Err(ErrorKind::TimedOut));
        }
    })
    .await;
    while server.connections() > 1 {
        sleep(&runtime, Duration::from_millis(2)).await;
    }
}

async fn a_shutdown_does_not_wait_for_handshakes<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (address, server) = serve(&runtime, authority.server(LOCAL)).await;
    let mut mute = on_thread(move || RawPeer::connect(address)).await;
    while server.connections() == 0 {
        sleep(&runtime, Duration::from_millis(2)).await;
    }
    server.shutdown();
    let begun = Instant::now();
    on_thread(move || assert_eq!(mute.read_to_end(), b"")).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

// Who speaks no TLS is told so in TLS's way, an alert (RFC 8446, 6), and is no more than that.
async fn plain_text_where_tls_is_spoken_is_an_error<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (tls, failures) = told_failures(authority.server(LOCAL));
    let (address, _server) = serve(&runtime, tls).await;
    on_thread(move || {
        let mut peer = RawPeer::connect(address);
        peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(peer.read_to_end()[0], 21);
        let told = failures.recv_timeout(PATIENCE).unwrap();
        assert_eq!(told, Ok(TlsError::NotTls));
    })
    .await;
    assert!(get(&runtime, authority.client(), "localhost", address).await.is_ok());

    // And the other way round.
    let (address, _server) = serve_with(&runtime, plain(), answer).await;
    let why = refusal(&runtime, authority.client(), "localhost", address).await;
    assert_eq!(why, TlsError::NotTls);
}

// Acceptance group 23: whoever is told of a handshake may panic, and harms nobody.
async fn who_is_told_of_a_handshake_may_panic<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let tls = authority.server(LOCAL).on_failure(|_, _| panic!("as asked, by who is told"));
    let (address, server) = serve(&runtime, tls).await;
    for _ in 0..3 {
        on_thread(move || {
            let mut peer = RawPeer::connect(address);
            peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(peer.read_to_end()[0], 21);
        })
        .await;
        assert!(get(&runtime, authority.client(), "localhost", address).await.is_ok());
    }
    until(&runtime, || server.connections() == 0).await;
}

on_every_runtime!(
    who_is_told_of_a_handshake_may_panic,
    a_server_that_is_mute_in_the_handshake_is_left_in_time,
    a_client_that_is_mute_in_the_handshake_holds_up_nobody_and_is_left_in_time,
    a_shutdown_does_not_wait_for_handshakes,
    plain_text_where_tls_is_spoken_is_an_error,
);
