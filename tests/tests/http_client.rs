//! The HTTP client through real sockets: which connection a request takes, redirects, limits of time
//! and size.

use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidewire_runtime::http::{self, BodyLength, Closed, NO_FIELDS, RedirectError, Status};
use tidewire_runtime::{
    Error, Exchange, HandlerError, HttpClient, HttpClientConfig, HttpRequest, SendRuntime,
    ServerConfig,
};
use tidewire_tests::net::{
    RawPeer, background, listener, on_thread, plain, serve, serve_with, sleep, until,
};
use tidewire_tests::on_every_runtime;

/// Much longer than anything takes, much shorter than a test waits.
const LATE: Duration = Duration::from_secs(6);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Says what it was asked, in a body.
async fn mirror<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    let body = exchange.collect(1 << 20).await?;
    match exchange.path() {
        "/large" => return Ok(exchange.respond(vec![b'x'; 8 << 20]).await?),
        "/empty" => {
            return Ok(exchange.respond_with(Status::NO_CONTENT, NO_FIELDS, "").await?);
        }
        _ => {}
    }
    let names: Vec<_> = exchange.head().headers.iter().map(|(name, _)| name).collect();
    let head = format!("{} {} [{}] ", exchange.method(), exchange.head().target, names.join(" "));
    let answer = [head.as_bytes(), &body].concat();
    Ok(exchange.respond(answer).await?)
}

/// A mirror that counts the connections it is asked on.
async fn counting_mirror<R: SendRuntime>(runtime: &R) -> (SocketAddr, Arc<AtomicUsize>) {
    let ports = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let (address, _server) = serve(runtime, move |exchange| {
        let mut ports = ports.lock().unwrap();
        ports.extend(exchange.peer_addr().map(|peer| peer.port()));
        counted.store(ports.len(), Ordering::SeqCst);
        mirror(exchange)
    })
    .await;
    (address, count)
}

async fn a_get_and_a_post_are_answered<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, mirror).await;
    let client = HttpClient::new(runtime);
    let mut response = client.get(&format!("http://{address}/a?b")).await.unwrap();
    assert_eq!(response.status(), Status::OK);
    assert_eq!(response.url().to_string(), format!("http://{address}/a?b"));
    assert_eq!(response.text(1000).await.unwrap(), "GET /a?b [Host User-Agent] ");
    assert!(response.chunk().await.unwrap().is_none(), "the end stays the end");

    let mut response = client.post(&format!("http://{address}/c"), "body").await.unwrap();
    let answer = response.text(1000).await.unwrap();
    assert_eq!(answer, "POST /c [Host User-Agent Content-Length] body");

    // Fields keep their order and case, and replace the client's own.
    let request = HttpRequest::new("DELETE", &format!("http://u:p@{address}/")).unwrap();
    let request = request.field("x-B", "1").field("User-Agent", "me").field("X-a", "2");
    let mut response = client.send(request).await.unwrap();
    let answer = response.text(1000).await.unwrap();
    assert_eq!(answer, "DELETE / [Host Authorization x-B User-Agent X-a] ");
}

// RFC 9112, 9.3: a connection persists when its exchange is over.
async fn one_connection_serves_request_after_request<R: SendRuntime>(runtime: R) {
    let (address, connections) = counting_mirror(&runtime).await;
    let client = HttpClient::new(runtime);
    for turn in 0..20 {
        let url = format!("http://{address}/{turn}");
        match turn % 4 {
            0 => {
                client.get(&url).await.unwrap().text(1000).await.unwrap();
            }
            1 => {
                // RFC 9110, 9.3.2: a HEAD has a length and no body.
                let request = HttpRequest::new("HEAD", &url).unwrap();
                let mut response = client.send(request).await.unwrap();
                assert!(response.headers().get("Content-Length").is_some());
                assert!(response.chunk().await.unwrap().is_none());
            }
            2 => {
                let url = format!("http://{address}/empty");
                // RFC 9110, 15.3.5. Dropped unread: there is nothing to read.
                assert_eq!(client.get(&url).await.unwrap().status(), Status::NO_CONTENT);
            }
            _ => {
                let request = HttpRequest::new("PUT", &url).unwrap();
                let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
                assert!(upload.send(b"in ").await.unwrap());
                assert!(upload.send(b"chunks").await.unwrap());
                let answer = upload.finish().await.unwrap().text(1000).await.unwrap();
                assert!(answer.ends_with("[Host User-Agent Transfer-Encoding] in chunks"));
            }
        }
        assert_eq!(client.idle_connections(), 1);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

async fn a_response_dropped_early_closes_its_connection<R: SendRuntime>(runtime: R) {
    let (address, connections) = counting_mirror(&runtime).await;
    let client = HttpClient::new(runtime);
    for turn in 1..4 {
        let mut large = client.get(&format!("http://{address}/large")).await.unwrap();
        assert!(large.chunk().await.unwrap().is_some());
        drop(large);
        assert_eq!(client.idle_connections(), 0);
        assert_eq!(connections.load(Ordering::SeqCst), turn);
    }
    // One that has come whole gives it back, read or not.
    drop(client.get(&format!("http://{address}/")).await.unwrap());
    assert_eq!(client.idle_connections(), 1);
}

async fn no_more_idle_connections_are_kept_than_allowed<R: SendRuntime>(runtime: R) {
    let (here, _server) = serve(&runtime, mirror).await;
    let (there, _server) = serve(&runtime, mirror).await;
    for (per_host, in_all, kept) in [(2, 64, 4), (8, 3, 3), (0, 64, 0), (8, 0, 0)] {
        let config = HttpClientConfig {
            max_idle_per_host: per_host,
            max_idle: in_all,
            ..HttpClientConfig::default()
        };
        let client = HttpClient::with_config(runtime.clone(), config);
        let mut responses = Vec::new();
        for turn in 0..8 {
            let address = if turn % 2 == 0 { here } else { there };
            responses.push(client.get(&format!("http://{address}/")).await.unwrap());
        }
        for response in &mut responses {
            response.text(1000).await.unwrap();
        }
        assert_eq!(client.idle_connections(), kept, "{per_host} a host, {in_all} in all");
        client.close_idle();
        assert_eq!(client.idle_connections(), 0);
    }
}

// RFC 9112, 9.5: a client closes what it does not use.
async fn an_idle_connection_grows_too_old<R: SendRuntime>(runtime: R) {
    let (address, connections) = counting_mirror(&runtime).await;
    let idle_timeout = Duration::from_millis(100);
    let config = HttpClientConfig { idle_timeout, ..HttpClientConfig::default() };
    let client = HttpClient::with_config(runtime.clone(), config);
    for turn in 1..3 {
        client.get(&format!("http://{address}/")).await.unwrap().text(1000).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), turn);
        sleep(&runtime, idle_timeout * 2).await;
    }
}

/// A peer that answers the first request of a connection with [`OK`], and does `then` with it. It
/// answers on a second connection too, and says what it was asked there.
fn fickle(
    then: impl FnOnce(&mut RawPeer) + Send + 'static,
) -> (SocketAddr, impl Future<Output = String>) {
    let (listener, address) = listener();
    let peer = background(move || {
        let mut first = RawPeer::accept(&listener);
        first.read_head();
        first.send(OK);
        then(&mut first);
        let mut second = RawPeer::accept(&listener);
        let asked = second.read_head();
        second.send(OK);
        asked
    });
    (address, peer)
}

// RFC 9112, 9.5: the server may close an idle connection at any time.
async fn a_connection_that_the_server_closed_is_not_taken<R: SendRuntime>(runtime: R) {
    let ends: [fn(&mut RawPeer); 2] = [
        |peer| peer.0.shutdown(Shutdown::Both).unwrap(),
        // RFC 9112, 9.2: nobody asked for this.
        |peer| peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
    ];
    for end in ends {
        let (ended, has_ended) = std::sync::mpsc::channel();
        let (address, peer) = fickle(move |peer| {
            end(peer);
            ended.send(()).unwrap();
        });
        let client = HttpClient::new(runtime.clone());
        let url = format!("http://{address}/");
        client.get(&url).await.unwrap().text(10).await.unwrap();
        on_thread(move || has_ended.recv_timeout(LATE).unwrap()).await;
        sleep(&runtime, Duration::from_millis(20)).await;
        // Not even what must not be sent twice is at risk.
        assert_eq!(client.post(&url, "x").await.unwrap().text(10).await.unwrap(), "ok");
        assert!(peer.await.starts_with("POST / HTTP/1.1\r\n"));
    }
}

// RFC 9112, 9.3.1: what is idempotent is sent once more, what is not is not.
async fn a_request_on_a_kept_connection_is_repeated_if_it_may_be<R: SendRuntime>(runtime: R) {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let (address, peer) = fickle(|peer| {
            peer.read_head();
            peer.0.shutdown(Shutdown::Both).unwrap();
        });
        let client = HttpClient::new(runtime.clone());
        client.get(&format!("http://{address}/")).await.unwrap().text(10).await.unwrap();
        let again = HttpRequest::new(method, &format!("http://{address}/again")).unwrap();
        assert_eq!(client.send(again).await.unwrap().status(), Status::OK, "{method}");
        assert!(peer.await.starts_with(&format!("{method} /again HTTP/1.1\r\n")));
    }
    // The same, but nobody may repeat it.
    for case in ["POST", "PATCH", "streamed", "half"] {
        let (listener, address) = listener();
        let peer = background(move || {
            let mut first = RawPeer::accept(&listener);
            first.read_head();
            first.send(OK);
            first.read_head();
            if case == "half" {
                first.send("HTTP/1.1 2");
            }
            drop(first);
            // Nobody else comes.
            listener.set_nonblocking(true).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            assert!(listener.accept().is_err(), "{case}");
        });
        let client = HttpClient::new(runtime.clone());
        client.get(&format!("http://{address}/")).await.unwrap().text(10).await.unwrap();
        let url = format!("http://{address}/again");
        let failed = match case {
            "streamed" => {
                let request = HttpRequest::new("PUT", &url).unwrap();
                let upload = client.start(request, BodyLength::EMPTY).await.unwrap();
                upload.finish().await
            }
            "half" => client.get(&url).await,
            method => client.send(HttpRequest::new(method, &url).unwrap()).await,
        };
        let error = failed.unwrap_err();
        assert!(matches!(error, Error::Http(Closed::Eof) | Error::Io(_)), "{case}: {error:?}");
        peer.await;
    }
}

// RFC 9112, 9.3.1: what has failed again is not tried again, nor what failed on a new connection.
async fn a_new_connection_that_fails_is_not_tried_again<R: SendRuntime>(runtime: R) {
    let (listener, address) = listener();
    let peer = background(move || {
        RawPeer::accept(&listener).read_head();
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(listener.accept().is_err());
    });
    let client = HttpClient::new(runtime);
    let error = client.get(&format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(error, Error::Http(Closed::Eof) | Error::Io(_)), "{error:?}");
    peer.await;
}

// RFC 9112, 9.6: after `Connection: close` there is nothing to keep.
async fn what_says_close_is_not_kept<R: SendRuntime>(runtime: R) {
    let (address, connections) = counting_mirror(&runtime).await;
    let client = HttpClient::new(runtime);
    for turn in 1..3 {
        let request = HttpRequest::new("GET", &format!("http://{address}/")).unwrap();
        let mut response = client.send(request.field("Connection", "close")).await.unwrap();
        response.text(1000).await.unwrap();
        assert_eq!((client.idle_connections(), connections.load(Ordering::SeqCst)), (0, turn));
    }
}

/// `/status/path`: a redirect to `/path`. Everything else is mirrored.
async fn redirecting<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    let target = exchange.head().target.to_owned();
    let Some((status, to)) = target[1..].split_once('/') else { return mirror(exchange).await };
    let Some(status) = status.parse().ok().and_then(Status::new) else {
        return mirror(exchange).await;
    };
    exchange.collect(1000).await?;
    let location = if to.contains("://") { to.to_owned() } else { format!("/{to}") };
    Ok(exchange.respond_with(status, [("Location", location)], "elsewhere").await?)
}

// RFC 9110, 15.4.
async fn redirects_are_followed_as_their_status_says<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, redirecting).await;
    let client = HttpClient::new(runtime);
    for (status, method, asked, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (303, "HEAD", "HEAD", ""),
        (307, "POST", "POST", "body"),
        (308, "PUT", "PUT", "body"),
        (302, "PUT", "PUT", "body"),
        (301, "GET", "GET", ""),
    ] {
        let request = HttpRequest::new(method, &format!("http://{address}/{status}/end?q"));
        let mut request = request.unwrap().field("Content-Type", "text/plain");
        if !matches!(method, "GET" | "HEAD") {
            request = request.body("body");
        }
        let mut response = client.send(request).await.unwrap();
        assert_eq!(response.url().to_string(), format!("http://{address}/end?q"));
        let answer = response.text(1000).await.unwrap();
        if method != "HEAD" {
            assert!(answer.starts_with(&format!("{asked} /end?q [")), "{status}: {answer}");
            assert!(answer.ends_with(&format!("] {body}")), "{status}: {answer}");
            let keeps_type = answer.contains("Content-Type");
            assert_eq!(keeps_type, asked == method, "{status}: {answer}");
        }
    }
    assert_eq!(client.idle_connections(), 1, "a redirect does not cost a connection");
}

async fn credentials_do_not_follow_to_another_origin<R: SendRuntime>(runtime: R) {
    let (here, _server) = serve(&runtime, redirecting).await;
    let (there, _server) = serve(&runtime, redirecting).await;
    let client = HttpClient::new(runtime);
    for (to, names) in
        [(here, "Host User-Agent Authorization Cookie X-Own"), (there, "Host User-Agent X-Own")]
    {
        let url = format!("http://{here}/302/http://{to}/end");
        let request = HttpRequest::new("GET", &url).unwrap();
        let request = request.field("Authorization", "a").field("Cookie", "b").field("X-Own", "c");
        let answer = client.send(request).await.unwrap().text(1000).await.unwrap();
        // The target is the whole rest, with its scheme, which is a path to the server.
        assert!(answer.contains(&format!("[{names}]")), "{answer}");
    }
}

async fn redirects_come_to_an_end<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        let fields = [("Location", "/again")];
        Ok(exchange.respond_with(Status::FOUND, fields, "").await?)
    })
    .await;
    let client = HttpClient::new(runtime);
    let url = format!("http://{address}/");
    let error = client.get(&url).await.unwrap_err();
    assert!(matches!(error, Error::Redirect(RedirectError::TooMany)), "{error:?}");
    // Switched off, they are responses.
    let request = HttpRequest::new("GET", &url).unwrap().max_redirects(0);
    let response = client.send(request).await.unwrap();
    assert_eq!((response.status(), response.url().target()), (Status::FOUND, "/"));
}

async fn redirects_that_lead_nowhere_are_errors<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, redirecting).await;
    let client = HttpClient::new(runtime);
    let error = client.get(&format!("http://{address}/302/ftp://h/")).await.unwrap_err();
    assert!(matches!(error, Error::Redirect(RedirectError::Location)), "{error:?}");
    // A 300 and a 304 lead nowhere by themselves.
    for status in [300, 304] {
        let response = client.get(&format!("http://{address}/{status}/a")).await.unwrap();
        assert_eq!(response.status(), status);
    }
}

async fn what_is_no_url_is_an_error<R: SendRuntime>(runtime: R) {
    let client = HttpClient::new(runtime);
    let error = client.get("no url").await.unwrap_err();
    assert!(matches!(error, Error::Url(_)), "{error:?}");
}

async fn a_body_beyond_the_callers_limit_is_an_error<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, mirror).await;
    let client = HttpClient::new(runtime);
    let mut response = client.get(&format!("http://{address}/large")).await.unwrap();
    let error = response.collect(1000).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 1000 }), "{error:?}");
    let mut response = client.get(&format!("http://{address}/large")).await.unwrap();
    assert_eq!(response.collect(8 << 20).await.unwrap().len(), 8 << 20);
    let mut response = client.post(&format!("http://{address}/"), vec![0xFF]).await.unwrap();
    let error = response.text(1000).await.unwrap_err();
    assert!(matches!(error, Error::NotText(_)), "{error:?}");
}

// RFC 9110, 15.2: any number of interim responses comes before the final one.
async fn interim_responses_are_told_and_passed_over<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        exchange.inform(Status::EARLY_HINTS, [("Link", "</a>; rel=preload")]).await?;
        exchange.inform(Status::new(102).unwrap(), NO_FIELDS).await?;
        Ok(exchange.respond("ok").await?)
    })
    .await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = told.clone();
    let request = HttpRequest::new("GET", &format!("http://{address}/")).unwrap();
    let request = request.on_interim(move |head| {
        let link = head.headers.get("Link").map(<[u8]>::to_vec);
        tell.lock().unwrap().push((head.status.code(), link));
    });
    let mut response = HttpClient::new(runtime).send(request).await.unwrap();
    assert_eq!(response.text(10).await.unwrap(), "ok");
    let told = told.lock().unwrap().clone();
    assert_eq!(told, [(103, Some(b"</a>; rel=preload".to_vec())), (102, None)]);
}

// Cancelling a request leaves nothing behind that the next one could take for its own.
async fn a_dropped_request_does_no_harm_to_the_next<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, mirror).await;
    let client = HttpClient::new(runtime.clone());
    for polls in 0..30 {
        {
            let url = format!("http://{address}/dropped");
            let whole = async { client.post(&url, "dropped").await?.text(1000).await };
            let mut whole = pin!(whole);
            for _ in 0..polls {
                let polled = whole.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(answer) = polled {
                    answer.unwrap();
                    break;
                }
                sleep(&runtime, Duration::from_micros(50)).await;
            }
        }
        let mut response = client.get(&format!("http://{address}/{polls}")).await.unwrap();
        let answer = response.text(1000).await.unwrap();
        assert!(answer.starts_with(&format!("GET /{polls} ")), "{answer}");
    }
}

/// Polls once, with nobody to be woken, and drops the future.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

async fn dropped_chunks_and_sends_lose_and_repeat_nothing<R: SendRuntime>(runtime: R) {
    const PIECES: usize = 200;
    let piece = |number: usize| format!("{number} {}\n", "x".repeat(number * 37 % 9000));
    let whole: String = (0..PIECES).map(piece).collect();
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        let body = exchange.collect(4 << 20).await?;
        Ok(exchange.respond(body).await?)
    })
    .await;
    let config = HttpClientConfig { send_high_water: 1 << 20, ..HttpClientConfig::default() };
    let client = HttpClient::with_config(runtime.clone(), config);
    let request = HttpRequest::new("POST", &format!("http://{address}/")).unwrap();
    let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
    for number in 0..PIECES {
        // There is room for all of it, so that the first poll queues it.
        if let Some(sent) = poll_once(upload.send(piece(number).as_bytes())) {
            assert!(sent.unwrap());
        }
        if number % 16 == 0 {
            sleep(&runtime, Duration::from_micros(200)).await;
        }
    }
    let (mut response, mut read) = (upload.finish().await.unwrap(), Vec::new());
    loop {
        match poll_once(response.chunk()) {
            Some(Ok(Some(piece))) => read.extend_from_slice(piece),
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error}"),
            None => sleep(&runtime, Duration::from_micros(200)).await,
        }
    }
    assert!(read == whole.as_bytes());
}

/// The clones of a client work side by side, in tasks of their own.
async fn clones_share_the_connections<R: SendRuntime>(runtime: R) {
    const TASKS: usize = 8;
    const TURNS: usize = 25;
    let (address, connections) = counting_mirror(&runtime).await;
    let client = HttpClient::new(runtime.clone());
    let done = Arc::new(AtomicUsize::new(0));
    for task in 0..TASKS {
        let (client, done) = (client.clone(), done.clone());
        runtime.spawn_send(async move {
            for turn in 0..TURNS {
                let url = format!("http://{address}/{task}/{turn}");
                let answer = client.get(&url).await.unwrap().text(1000).await.unwrap();
                assert!(answer.starts_with(&format!("GET /{task}/{turn} ")), "{answer}");
            }
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    until(&runtime, || done.load(Ordering::SeqCst) == TASKS).await;
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections <= TASKS, "{connections}");
    assert!((1..=TASKS).contains(&client.idle_connections()));
}

// RFC 9110, 10.1.5.
async fn the_user_agent_is_what_was_configured<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        let agent = exchange.head().headers.get_str("User-Agent").unwrap_or("nobody").to_owned();
        Ok(exchange.respond(agent).await?)
    })
    .await;
    for (user_agent, told) in [(Some("me/1".into()), "me/1"), (None, "nobody")] {
        let config = HttpClientConfig { user_agent, ..HttpClientConfig::default() };
        let client = HttpClient::with_config(runtime.clone(), config);
        let mut response = client.get(&format!("http://{address}/")).await.unwrap();
        assert_eq!(response.text(100).await.unwrap(), told);
    }
    let client = HttpClient::new(runtime);
    let request = HttpRequest::new("GET", &format!("http://{address}/")).unwrap();
    let error = client.send(request.field("Content-Length", "1")).await.unwrap_err();
    assert!(matches!(error, Error::HttpMisuse(http::Misuse::FramingField(_))), "{error:?}");
}

/// A server's own limit is seen by the client as the response that it is.
async fn a_refusal_is_a_response<R: SendRuntime>(runtime: R) {
    let http = http::ServerConfig { max_body: 10, ..Default::default() };
    let config = ServerConfig { http, ..plain() };
    let (address, _server) = serve_with(&runtime, config, mirror).await;
    let client = HttpClient::new(runtime);
    let mut response = client.post(&format!("http://{address}/"), "much too long").await.unwrap();
    assert_eq!(response.status(), Status::CONTENT_TOO_LARGE);
    assert_eq!(response.text(10).await.unwrap(), "");
    assert_eq!(client.idle_connections(), 0);
}

on_every_runtime!(
    a_get_and_a_post_are_answered,
    one_connection_serves_request_after_request,
    a_response_dropped_early_closes_its_connection,
    no_more_idle_connections_are_kept_than_allowed,
    an_idle_connection_grows_too_old,
    a_connection_that_the_server_closed_is_not_taken,
    a_request_on_a_kept_connection_is_repeated_if_it_may_be,
    a_new_connection_that_fails_is_not_tried_again,
    what_says_close_is_not_kept,
    redirects_are_followed_as_their_status_says,
    credentials_do_not_follow_to_another_origin,
    redirects_come_to_an_end,
    redirects_that_lead_nowhere_are_errors,
    what_is_no_url_is_an_error,
    a_body_beyond_the_callers_limit_is_an_error,
    interim_responses_are_told_and_passed_over,
    a_dropped_request_does_no_harm_to_the_next,
    dropped_chunks_and_sends_lose_and_repeat_nothing,
    clones_share_the_connections,
    the_user_agent_is_what_was_configured,
    a_refusal_is_a_response,
);
