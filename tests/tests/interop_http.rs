//! Requests handed over as types of the `http` crate, to plain functions and to a framework of others.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire_runtime::{Body, Error, Exchange, HandlerError, SendRuntime};
use tidewire_tests::frames::field;
use tidewire_tests::net::{RawPeer, on_thread, serve, sleep, until};
use tidewire_tests::on_every_runtime;
use tower_service::Service as _;

/// A response body from a function that says what comes next.
struct Frames<F>(F);

impl<F: FnMut(&mut Context<'_>) -> Poll<Option<T>> + Unpin, T> futures_core::Stream for Frames<F> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0(cx)
    }
}

fn exchange(client: &mut RawPeer, request: impl AsRef<[u8]>) -> (String, String) {
    client.send(request);
    let head = client.read_head();
    if head.contains("\r\nTransfer-Encoding: chunked\r\n") {
        let body = client.read_until("\r\n\r\n");
        return (head, String::from_utf8(body).unwrap());
    }
    let length = field(&head, "Content-Length").parse().expect("a length");
    (head, String::from_utf8(client.read_exact(length)).unwrap())
}

async fn a_request_arrives_as_it_was_sent<R: SendRuntime>(runtime: R) {
    async fn describe(request: Request<Body>) -> Result<Response<String>, HandlerError> {
        let (head, body) = request.into_parts();
        let size = http_body::Body::size_hint(&body).exact();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let text = format!(
            "{} {} {:?} {:?} {size:?} {:?} {:?}",
            head.method,
            head.uri,
            head.version,
            head.headers.get_all("x").iter().collect::<Vec<_>>(),
            body.to_bytes(),
            trailers.get("t"),
        );
        Ok(Response::builder().status(StatusCode::CREATED).header("Y", "1").body(text)?)
    }
    let (address, _server) =
        serve(&runtime, |exchange: Exchange<R>| exchange.serve_http(describe)).await;
    on_thread(move || {
        let mut client = RawPeer::connect(address);
        for (request, expected) in [
            (
                "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\n\r\n",
                r#"GET /a?b HTTP/1.1 ["1", "2"] Some(0) b"" None"#,
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
                r#"POST / HTTP/1.1 [] Some(3) b"abc" None"#,
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n\
              2\r\nab\r\n1\r\nc\r\n0\r\nT: end\r\n\r\n",
                r#"POST / HTTP/1.1 [] None b"abc" Some("end")"#,
            ),
            (
                "GET http://h:1/a HTTP/1.1\r\nHost: h\r\n\r\n",
                r#"GET http://h:1/a HTTP/1.1 [] Some(0) b"" None"#,
            ),
        ] {
            let (head, body) = exchange(&mut client, request);
            assert!(head.starts_with("HTTP/1.1 201 Created\r\ny: 1\r\nContent-Length: "), "{head}");
            assert_eq!(body, expected);
        }
        // What the types cannot hold is the client's fault.
        let (head, _) = exchange(&mut client, "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    })
    .await;
}

/// RFC 9110, 10.1.1: whoever waits for `100` gets it when the body is asked for, and not before.
async fn a_body_is_asked_for_when_it_is_read<R: SendRuntime>(runtime: R) {
    let handler = |exchange: Exchange<R>| {
        exchange.serve_http(|request: Request<Body>| async move {
            if request.uri().path() == "/refuse" {
                return Ok(Response::builder().status(417).body(String::new())?);
            }
            let body = request.into_body().collect().await?.to_bytes();
            Ok::<_, HandlerError>(Response::new(format!("{body:?}")))
        })
    };
    let (address, _server) = serve(&runtime, handler).await;
    on_thread(move || {
        let head = |path: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        };
        let mut client = RawPeer::connect(address);
        client.send(head("/"));
        assert_eq!(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(exchange(&mut client, "ab").1, "b\"ab\"");
        client.send(head("/refuse"));
        assert!(client.read_head().starts_with("HTTP/1.1 417 "));
    })
    .await;
}

/// RFC 9112, 6: how long a body is, is told once and as it is.
async fn a_response_is_framed_by_what_is_known_of_it<R: SendRuntime>(runtime: R) {
    let handler = |exchange: Exchange<R>| {
        exchange.serve_http(|request: Request<Body>| async move {
            let mut left = vec!["cd", "ab"];
            let pieces = StreamBody::new(Frames(move |_: &mut Context<'_>| {
                let piece =
                    left.pop().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
                Poll::Ready(piece)
            }));
            let response = Response::builder();
            Ok::<_, http::Error>(match request.uri().path() {
                "/known" => response.body(Full::from("abcd").boxed())?,
                // The response's own word where the body says nothing, and the body's where it does.
                "/declared" => response.header("Content-Length", 4).body(pieces.boxed())?,
                "/lies" => response.header("Content-Length", 9).body(Full::from("abcd").boxed())?,
                "/unknown" => response.body(pieces.boxed())?,
                "/empty" => response.status(204).body(Full::default().boxed())?,
                // A handler for HEAD itself.
                "/head" => response.header("Content-Length", 77).body(Full::default().boxed())?,
                _ => {
                    let trailers: HeaderMap =
                        [("t".parse().unwrap(), "end".parse().unwrap())].into_iter().collect();
                    let mut frames =
                        vec![Frame::trailers(trailers), Frame::data(Bytes::from("abcd"))];
                    let frames =
                        Frames(move |_: &mut Context<'_>| Poll::Ready(frames.pop().map(Ok)));
                    response.body(StreamBody::new(frames).boxed())?
                }
            })
        })
    };
    let (address, _server) = serve(&runtime, handler).await;
    on_thread(move || {
        let mut client = RawPeer::connect(address);
        let known = ("Content-Length: 4", "abcd");
        let chunked = ("Transfer-Encoding: chunked", "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");
        for (request, (framing, body)) in [
            ("GET /known", known),
            ("GET /declared", known),
            ("GET /lies", known),
            ("GET /unknown", chunked),
            ("GET /trailers", ("Transfer-Encoding: chunked", "4\r\nabcd\r\n0\r\nt: end\r\n\r\n")),
            ("HEAD /known", ("Content-Length: 4", "")),
            ("HEAD /declared", ("Content-Length: 4", "")),
            ("HEAD /head", ("Content-Length: 77", "")),
            ("HEAD /unknown", ("Transfer-Encoding: chunked", "")),
            ("HEAD /trailers", ("Transfer-Encoding: chunked", "")),
            ("GET /known", known),
        ] {
            client.send(format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!(
                client.read_head(),
                format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"),
                "{request}"
            );
            let got = client.read_exact(body.len());
            assert_eq!(String::from_utf8(got).unwrap(), body, "{request}");
        }
        client.send("GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.read_head(), "HTTP/1.1 204 No Content\r\n\r\n");
        // To HTTP/1.0 a body without length lasts until the end.
        client.send("GET /unknown HTTP/1.0\r\n\r\n");
        assert_eq!(client.read_head(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        assert_eq!(client.read_to_end(), b"abcd");
    })
    .await;
}

/// The response begins while the request is under way, and each piece goes there and back by itself.
async fn a_body_is_sent_back_while_it_comes<R: SendRuntime>(runtime: R) {
    let (address, _server) = serve(&runtime, |exchange: Exchange<R>| {
        exchange.serve_http(|request: Request<Body>| async move {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        })
    })
    .await;
    on_thread(move || {
        let mut client = RawPeer::connect(address);
        client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(client.read_head().contains("\r\nTransfer-Encoding: chunked\r\n"));
        for piece in ["ab", "cde", "f"] {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            client.send(&chunk);
            assert_eq!(client.read_exact(chunk.len()), chunk.as_bytes());
        }
        client.send("0\r\nT: x\r\n\r\n");
        assert_eq!(client.read_until("\r\n\r\n"), b"0\r\nt: x\r\n\r\n");
        // A long one, whose length is known, from a client that sends all before it reads.
        let body: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 251) as u8).collect();
        client
            .send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        let head = client.read_head();
        assert_eq!(field(&head, "Content-Length"), body.len().to_string());
        assert!(client.read_exact(body.len()) == body);
    })
    .await;
}

/// The body may be read by another task, which learns it when the exchange is over.
async fn a_body_may_go_to_another_task<R: SendRuntime>(runtime: R) {
    let (counted, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, lost, spawner) = (counted.clone(), failed.clone(), runtime.clone());
    let handler = move |exchange: Exchange<R>| {
        let (counted, failed, spawner) = (counted.clone(), failed.clone(), spawner.clone());
        exchange.serve_http(move |request: Request<Body>| async move {
            let (path, mut body) = (request.uri().path().to_owned(), request.into_body());
            let (reading, waiting) = (counted.clone(), spawner.clone());
            spawner.spawn_send(async move {
                while let Some(frame) = body.frame().await {
                    match frame {
                        Ok(frame) => {
                            let length = frame.into_data().map_or(0, |data| data.len());
                            reading.fetch_add(length, Ordering::SeqCst);
                        }
                        Err(error) => {
                            assert!(matches!(error, Error::Closed), "{error}");
                            failed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
            if path == "/all" {
                until(&waiting, || counted.load(Ordering::SeqCst) == 100_000).await;
            }
            Ok::<_, Infallible>(Response::new(String::from("done")))
        })
    };
    let (address, _server) = serve(&runtime, handler).await;
    on_thread(move || {
        let mut client = RawPeer::connect(address);
        let request = |path: &str, body: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{body}")
        };
        assert_eq!(exchange(&mut client, request("/all", &"x".repeat(100_000))).1, "done");
        // Answered before there is a body: whoever waits for it is told, and the connection goes on.
        assert_eq!(exchange(&mut client, request("/none", "")).1, "done");
        client.send("x".repeat(100_000));
        assert_eq!(exchange(&mut client, request("/none", &"x".repeat(100_000))).1, "done");
    })
    .await;
    until(&runtime, || lost.load(Ordering::SeqCst) >= 1).await;
    assert!(seen.load(Ordering::SeqCst) >= 100_000);
}

/// RFC 9112, 8: a response that breaks off is no whole one.
async fn what_fails_is_seen_by_the_client<R: SendRuntime>(runtime: R) {
    let waiting = runtime.clone();
    let handler = move |exchange: Exchange<R>| {
        let waiting = waiting.clone();
        exchange.serve_http(move |request: Request<Body>| async move {
            match request.uri().path() {
                "/service" => Err::<_, HandlerError>("no luck".into()),
                "/field" => {
                    let response = Response::builder().header("Connection", "keep-alive");
                    Ok(response
                        .body(Full::<Bytes>::default().map_err(|never| match never {}).boxed())?)
                }
                _ => {
                    sleep(&waiting, Duration::from_millis(1)).await;
                    let mut pieces = vec![
                        Err(std::io::Error::other("no more")),
                        Ok(Frame::data(Bytes::from("ab"))),
                    ];
                    let body = Frames(move |_: &mut Context<'_>| Poll::Ready(pieces.pop()));
                    Ok(Response::new(StreamBody::new(body).boxed()))
                }
            }
        })
    };
    let (address, _server) = serve(&runtime, handler).await;
    on_thread(move || {
        let mut client = RawPeer::connect(address);
        for path in ["/service", "/field"] {
            let get = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
            let (head, _) = exchange(&mut client, get);
            assert!(head.starts_with("HTTP/1.1 500 "), "{path}: {head}");
        }
        client.send("GET /body HTTP/1.1\r\nHost: h\r\n\r\n");
        client.read_head();
        assert_eq!(client.read_to_end(), b"2\r\nab\r\n");
        // A client that breaks the rules while its body is read is told by an error.
        let mut client = RawPeer::connect(address);
        client.send("POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
        client.read_to_end();
    })
    .await;
}

/// A framework that knows nothing of us and runs on tokio, on every runtime.
async fn a_framework_answers<R: SendRuntime>(runtime: R) {
    let hits = Arc::new(AtomicUsize::new(0));
    let routes: Router = Router::new()
        .route(
            "/users/{name}",
            get(|Path(name): Path<String>| async move { format!("hello {name}") }),
        )
        .route(
            "/echo",
            axum::routing::post(|State(hits): State<Arc<AtomicUsize>>, body: Bytes| async move {
                hits.fetch_add(body.len(), Ordering::SeqCst);
                body
            }),
        )
        .with_state(hits.clone());
    let handler = move |exchange: Exchange<R>| {
        let mut routes = routes.clone();
        exchange.serve_http(move |request| routes.call(request))
    };
    let (address, _server) = serve(&runtime, handler).await;
    on_thread(move || {
        let mut client = RawPeer::connect(address);
        let (head, body) =
            exchange(&mut client, "GET /users/%C3%A4 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(body, "hello ä");
        assert_eq!(field(&head, "Content-Type"), "text/plain; charset=utf-8");
        let (_, body) = exchange(
            &mut client,
            "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        );
        assert_eq!(body, "abc");
        client.send("HEAD /users/x HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(field(&client.read_head(), "Content-Length"), "7");
        let (head, _) = exchange(&mut client, "DELETE /echo HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
        assert_eq!(field(&head, "Allow"), "POST");
        let (head, _) = exchange(&mut client, "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    })
    .await;
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}

on_every_runtime!(
    a_request_arrives_as_it_was_sent,
    a_body_is_asked_for_when_it_is_read,
    a_response_is_framed_by_what_is_known_of_it,
    a_body_is_sent_back_while_it_comes,
    a_body_may_go_to_another_task,
    what_fails_is_seen_by_the_client,
    a_framework_answers,
);
