//! Request bodies that are made while they are sent: early answers, expectations, redirects, and both
//! sides at the same time.

use futures_io::AsyncRead;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tidewire_runtime::http::{BodyLength, NO_FIELDS, Status};
use tidewire_runtime::{
    Exchange, HttpClient, HttpClientConfig, HttpRequest, SendRuntime, ServerConfig, Timeouts,
};
use tidewire_tests::net::{
    RawPeer, background, listener, on_thread, plain, serve, serve_with, sleep,
};
use tidewire_tests::on_every_runtime;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// RFC 9112, 9.5: a client that is answered while it sends should stop.
async fn an_early_answer_stops_an_upload<R: SendRuntime>(runtime: R) {
    for streamed in [true, false] {
        let (listener, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nstop");
            // It reads on, as a server should, or the answer could be lost (RFC 9112, 9.6).
            peer.read_to_end().len()
        });
        let client = HttpClient::new(runtime.clone());
        let request = HttpRequest::new("POST", &format!("http://{address}/")).unwrap();
        let mut response = if streamed {
            let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
            // It would go on for ever.
            while upload.send(&[0; 10_000]).await.unwrap() {}
            assert!(!upload.send(b"more").await.unwrap());
            upload.finish().await.unwrap()
        } else {
            let whole = vec![0; 256 << 20];
            client.send(request.body(whole)).await.unwrap()
        };
        assert_eq!(response.status(), Status::CONTENT_TOO_LARGE);
        assert_eq!(response.text(10).await.unwrap(), "stop");
        drop(response);
        assert_eq!(client.idle_connections(), 0, "half a request is no basis");
        let sent = peer.await;
        assert!(sent < 100 << 20, "it was stopped after {sent} bytes");
    }
}

// RFC 9112, 9.5: only an answer that says so stops it.
async fn an_early_success_does_not_cut_an_upload_short<R: SendRuntime>(runtime: R) {
    const SIZE: usize = 4 << 20;
    for streamed in [true, false] {
        let (listener, address) = listener();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
            begun.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            let body = peer.read_exact(SIZE);
            peer.send("k");
            body
        });
        let client = HttpClient::new(runtime.clone());
        let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
        let mut response = if streamed {
            let mut upload = client.start(request, BodyLength::Known(SIZE as u64)).await.unwrap();
            assert!(upload.send(&[1; 1000]).await.unwrap());
            on_thread(move || has_begun.recv().unwrap()).await;
            for _ in 0..SIZE / 1000 - 1 {
                assert!(upload.send(&[1; 1000]).await.unwrap());
            }
            assert!(upload.send(&[1; SIZE % 1000]).await.unwrap());
            upload.finish().await.unwrap()
        } else {
            client.send(request.body(vec![1; SIZE])).await.unwrap()
        };
        assert_eq!(response.text(10).await.unwrap(), "ok");
        assert_eq!(client.idle_connections(), 1);
        assert!(peer.await.iter().all(|&byte| byte == 1));
    }
}

// Nor does one that is whole before the body is.
async fn a_whole_early_success_does_not_cut_an_upload_short<R: SendRuntime>(runtime: R) {
    const SIZE: usize = 24 << 20;
    for streamed in [true, false] {
        let (listener, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener);
            peer.read_head();
            peer.send(OK);
            std::thread::sleep(Duration::from_millis(100));
            peer.read_to_end().len()
        });
        let client = HttpClient::new(runtime.clone());
        let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
        let whole = vec![1; SIZE];
        let mut response = if streamed {
            let mut upload = client.start(request, BodyLength::Known(SIZE as u64)).await.unwrap();
            assert!(upload.send_shared(&whole.into()).await.unwrap());
            upload.finish().await.unwrap()
        } else {
            client.send(request.body(whole)).await.unwrap()
        };
        assert_eq!(response.text(10).await.unwrap(), "ok");
        assert_eq!(client.idle_connections(), 1);
        client.close_idle();
        assert_eq!(peer.await, SIZE);
    }
}

// RFC 9110, 10.1.1, the client's side.
async fn an_expectation_is_met_refused_or_given_up<R: SendRuntime>(runtime: R) {
    const HEAD: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let url = |address| format!("http://{address}/");
    let request = |address| HttpRequest::new("PUT", &url(address)).unwrap().expect_continue();
    for streamed in [false, true] {
        let put = async |client: &HttpClient<R>, request: HttpRequest| {
            if !streamed {
                return client.send(request.body("body")).await.unwrap();
            }
            let mut upload = client.start(request, BodyLength::Known(4)).await.unwrap();
            upload.send(b"body").await.unwrap();
            upload.finish().await.unwrap()
        };
        let client = HttpClient::new(runtime.clone());

        // Met: the body follows, and not before.
        let (listener_, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener_);
            let head = peer.read_head();
            assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
            assert!(peer.is_silent_for(Duration::from_millis(50)));
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(peer.read_exact(4), b"body");
            peer.send(OK);
        });
        assert_eq!(put(&client, request(address)).await.text(10).await.unwrap(), "ok");
        assert_eq!(client.idle_connections(), 1);
        peer.await;

        // Refused: the body does not come, and the connection is of no use any more.
        let (listener_, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener_);
            peer.read_head();
            peer.send(HEAD);
            peer.read_to_end()
        });
        let response = put(&client, request(address)).await;
        assert_eq!(response.status(), Status::CONTENT_TOO_LARGE);
        drop(response);
        assert_eq!(peer.await, b"");

        // Not known: RFC 9110, 15.5.18. Once more, without.
        let (listener_, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener_);
            peer.read_head();
            peer.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
            let mut peer = RawPeer::accept(&listener_);
            let head = peer.read_head();
            assert!(!head.contains("Expect"), "{head}");
            assert_eq!(peer.read_exact(4), b"body");
            peer.send(OK);
        });
        assert_eq!(put(&client, request(address)).await.text(10).await.unwrap(), "ok");
        peer.await;

        // Ignored: the body comes after a while.
        let (listener_, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener_);
            peer.read_head();
            assert!(peer.is_silent_for(Duration::from_millis(50)));
            assert_eq!(peer.read_exact(4), b"body");
            peer.send(OK);
        });
        let go_ahead = Some(Duration::from_millis(100));
        let timeouts = Timeouts { go_ahead, ..Timeouts::default() };
        let response = put(&client, request(address).timeouts(timeouts)).await.text(10).await;
        assert_eq!(response.unwrap(), "ok");
        peer.await;

        // Elsewhere: nothing of the body was sent, so even a streamed one can go there.
        let (listener_, address) = listener();
        let peer = background(move || {
            let mut peer = RawPeer::accept(&listener_);
            peer.read_head();
            peer.send(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
            );
            let mut peer = RawPeer::accept(&listener_);
            assert!(peer.read_head().starts_with("PUT /b HTTP/1.1\r\n"));
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(peer.read_exact(4), b"body");
            peer.send(OK);
        });
        let response = put(&client, request(address)).await;
        assert_eq!(response.url().target(), "/b");
        peer.await;
    }
}

// RFC 9110, 15.4: what was streamed cannot be sent again.
async fn a_redirect_behind_a_streamed_body<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        exchange.collect(1000).await?;
        let status = match exchange.path() {
            "/303" => Status::SEE_OTHER,
            "/307" => Status::TEMPORARY_REDIRECT,
            _ => return Ok(exchange.respond(exchange.method().to_owned()).await?),
        };
        Ok(exchange.respond_with(status, [("Location", "/end")], "").await?)
    })
    .await;
    let client = HttpClient::new(runtime);
    for (path, status, end) in [("303", Status::OK, "GET"), ("307", Status::TEMPORARY_REDIRECT, "")]
    {
        let request = HttpRequest::new("POST", &format!("http://{address}/{path}")).unwrap();
        let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
        assert!(upload.send(b"body").await.unwrap());
        let mut response = upload.finish().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.text(10).await.unwrap(), end);
    }
}

/// Both sides talk at the same time: each piece is answered before the next one is sent.
async fn a_response_can_be_read_while_the_body_is_sent<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| async move {
        let mut writer = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
        while let Some(piece) = writer.request_body().await? {
            let answer = piece.to_ascii_uppercase();
            writer.send(&answer).await?;
        }
        Ok(writer.finish().await?)
    })
    .await;
    let client = HttpClient::new(runtime);
    for _ in 0..2 {
        let request = HttpRequest::new("POST", &format!("http://{address}/")).unwrap();
        let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
        assert!(upload.send(b"first").await.unwrap());
        let mut response = upload.response().await.unwrap();
        assert_eq!(response.chunk().await.unwrap(), Some(&b"FIRST"[..]));
        for turn in 0..50 {
            let piece = format!("piece {turn}");
            response.send(piece.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            while heard.len() < piece.len() {
                heard.extend_from_slice(response.chunk().await.unwrap().unwrap());
            }
            assert_eq!(heard, piece.to_ascii_uppercase().as_bytes());
        }
        response.finish().await.unwrap();
        assert!(response.chunk().await.unwrap().is_none());
        assert_eq!(client.idle_connections(), 1);
    }
}

/// A source of so many bytes that is not always ready.
struct Source(usize, bool);

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut [u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.1 = !self.1;
        if self.1 {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        let n = buffer.len().min(self.0).min(5000);
        buffer[..n].fill(b's');
        self.0 -= n;
        std::task::Poll::Ready(Ok(n))
    }
}

async fn a_body_is_read_from_a_source<R: SendRuntime>(runtime: R) {
    const SIZE: usize = 3 << 20;
    let (address, _server) = serve(&runtime, |mut exchange: Exchange<R>| async move {
        let mut size = 0;
        while let Some(piece) = exchange.body().await? {
            assert!(piece.iter().all(|&byte| byte == b's'));
            size += piece.len();
        }
        Ok(exchange.respond(size.to_string()).await?)
    })
    .await;
    let client = HttpClient::new(runtime);
    for length in [BodyLength::Known(SIZE as u64), BodyLength::Unknown] {
        let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
        let mut upload = client.start(request, length).await.unwrap();
        assert!(upload.send_from(Source(SIZE, false)).await.unwrap());
        let answer = upload.finish().await.unwrap().text(100).await.unwrap();
        assert_eq!(answer, SIZE.to_string());
    }
}

/// What the operating system may hold of a connection of two sockets, generously.
const IN_SOCKETS: usize = 16 << 20;

// Neither side piles up what the other one does not take.
async fn who_reads_slowly_is_waited_for_and_not_buffered<R: SendRuntime>(runtime: R) {
    const PIECE: usize = 64 * 1024;
    const HIGH_WATER: usize = 256 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let config = ServerConfig { send_high_water: HIGH_WATER, ..plain() };
    let (address, _server) = serve_with(&runtime, config, move |exchange: Exchange<R>| {
        let sent = counted.clone();
        async move {
            let mut writer = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            while writer.send(&[7; PIECE]).await.is_ok() {
                sent.fetch_add(PIECE, Ordering::SeqCst);
            }
            Ok(())
        }
    })
    .await;
    // A response that nobody reads.
    let client = HttpClient::new(runtime.clone());
    let mut response = client.get(&format!("http://{address}/")).await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    let mut before = usize::MAX;
    while sent.load(Ordering::SeqCst) != before {
        before = sent.load(Ordering::SeqCst);
        sleep(&runtime, Duration::from_millis(200)).await;
    }
    assert!(before <= IN_SOCKETS + HIGH_WATER + PIECE, "{before} bytes were sent");
    drop(response);

    // An upload that nobody reads.
    let (listener, address) = listener();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let peer = background(move || {
        let peer = RawPeer::accept(&listener);
        while !stopped.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(peer);
    });
    let config = HttpClientConfig { send_high_water: HIGH_WATER, ..HttpClientConfig::default() };
    let client = HttpClient::with_config(runtime.clone(), config);
    let request = HttpRequest::new("PUT", &format!("http://{address}/")).unwrap();
    let mut upload = client.start(request, BodyLength::Unknown).await.unwrap();
    let uploaded = AtomicUsize::new(0);
    let endless = async {
        while upload.send(&[7; PIECE]).await.is_ok() {
            uploaded.fetch_add(PIECE, Ordering::SeqCst);
        }
    };
    let mut endless = std::pin::pin!(endless);
    let mut before = usize::MAX;
    while uploaded.load(Ordering::SeqCst) != before {
        before = uploaded.load(Ordering::SeqCst);
        let mut pause = std::pin::pin!(sleep(&runtime, Duration::from_millis(200)));
        poll_fn(|cx| {
            assert!(endless.as_mut().poll(cx).is_pending(), "the server is there");
            pause.as_mut().poll(cx)
        })
        .await;
    }
    assert!(before <= IN_SOCKETS + HIGH_WATER + PIECE, "{before} bytes were sent");
    stop.store(true, Ordering::SeqCst);
    peer.await;
}

on_every_runtime!(
    an_early_answer_stops_an_upload,
    an_early_success_does_not_cut_an_upload_short,
    a_whole_early_success_does_not_cut_an_upload_short,
    an_expectation_is_met_refused_or_given_up,
    a_redirect_behind_a_streamed_body,
    a_response_can_be_read_while_the_body_is_sent,
    a_body_is_read_from_a_source,
    who_reads_slowly_is_waited_for_and_not_buffered,
);
