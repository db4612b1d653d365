//! A router in a server: what clients are told that there is no route for (RFC 9110, 15.5.5 and 15.5.6).

use std::sync::Arc;
use tidewire_runtime::http::Router;
use tidewire_runtime::{Exchange, HandlerError, SendRuntime};
use tidewire_tests::frames::field;
use tidewire_tests::net::{RawPeer, on_thread, serve};
use tidewire_tests::on_every_runtime;

enum Page {
    Home,
    Item,
    Upload,
}

async fn answer<R: SendRuntime>(
    router: &Router<Page>,
    mut exchange: Exchange<R>,
) -> Result<(), HandlerError> {
    let Some(found) = exchange.route(router).await? else { return Ok(()) };
    match found.value {
        Page::Home => exchange.respond("home").await?,
        Page::Item => {
            let id = found.params.get("id").unwrap_or("?");
            exchange.respond(format!("item {id}")).await?;
        }
        Page::Upload => {
            let body = exchange.collect(100).await?;
            let path = found.params.get("path").unwrap_or("?");
            exchange.respond(format!("{} bytes to {path}", body.len())).await?;
        }
    }
    Ok(())
}

async fn a_request_gets_its_route_or_is_told_why_not<R: SendRuntime>(runtime: R) {
    let router = Router::new()
        .route("GET", "/", Page::Home)
        .and_then(|router| router.route("GET", "/items/{id}", Page::Item))
        .and_then(|router| router.route("PUT", "/files/{*path}", Page::Upload));
    let router = Arc::new(router.unwrap());
    let (address, _server) = serve(&runtime, move |exchange| {
        let router = router.clone();
        async move { answer(&router, exchange).await }
    })
    .await;
    on_thread(move || {
        // On one connection: none of the answers ends it, also where a body was not wanted.
        let mut client = RawPeer::connect(address);
        let put = "Host: h\r\nContent-Length: 3\r\n\r\nabc";
        let get = "Host: h\r\n\r\n";
        for (request, rest, status, allow, body) in [
            ("GET /", get, "200", None, Some("home")),
            ("GET /?a=b", get, "200", None, Some("home")),
            ("GET http://h/items/7", get, "200", None, Some("item 7")),
            ("GET /items/%C3%A4", get, "200", None, Some("item ä")),
            ("HEAD /items/77", get, "200", None, None),
            ("PUT /files/a/b", put, "200", None, Some("3 bytes to a/b")),
            ("PUT /items/7", put, "405", Some("GET, HEAD, OPTIONS"), Some("")),
            ("GET /files/a", get, "405", Some("OPTIONS, PUT"), Some("")),
            ("OPTIONS /files/a", get, "204", Some("OPTIONS, PUT"), None),
            ("OPTIONS *", get, "204", Some("GET, HEAD, OPTIONS, PUT"), None),
            ("GET /nowhere", get, "404", None, Some("")),
            ("HEAD /nowhere", get, "404", None, None),
            ("BREW /", get, "501", None, Some("")),
            ("PUT /files/../secret", put, "400", None, Some("")),
            ("GET /items/%zz", get, "400", None, Some("")),
        ] {
            client.send(format!("{request} HTTP/1.1\r\n{rest}"));
            let head = client.read_head();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
            let allowed = head.contains("\r\nAllow: ").then(|| field(&head, "Allow"));
            assert_eq!(allowed, allow, "{request}");
            let Some(expected) = body else { continue };
            let length = field(&head, "Content-Length").parse().expect("a length");
            let body = String::from_utf8(client.read_exact(length)).unwrap();
            assert!(
                body == expected || expected.is_empty() && !body.is_empty(),
                "{request}: {body}"
            );
        }
    })
    .await;
}

on_every_runtime!(a_request_gets_its_route_or_is_told_why_not);
