//! The heads that are parsed, in our own words, of the sizes that people meet.

/// A head of exactly `size` bytes: `lines` without their CRLFs, with `~` standing for what fills up.
fn head(size: usize, lines: &[&str]) -> Vec<u8> {
    let text = lines.join("\r\n") + "\r\n\r\n";
    let fill = (size + 1).checked_sub(text.len()).expect("the lines are longer than the head");
    let filling: String = ('a'..='z').chain('0'..='9').cycle().take(fill).collect();
    let text = text.replacen('~', &filling, 1);
    assert_eq!(text.len(), size);
    text.into()
}

/// What a health check or a command line tool sends.
pub(super) fn small_request() -> Vec<u8> {
    head(73, &["GET /health HTTP/1.1", "Host: 127.0.0.1:8080", "User-Agent: probe/~"])
}

/// A browser that opens a WebSocket.
pub(super) fn upgrade_request() -> Vec<u8> {
    head(
        312,
        &[
            "GET /chat/room/7?client=web HTTP/1.1",
            "Host: chat.example.com",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Origin: https://chat.example.com",
            "User-Agent: Tide/1.0 (X11; Linux; ~)",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: c3BlZWQgaXMgYSBmZWF0dXI=",
            "Sec-WebSocket-Protocol: chat",
        ],
    )
}

/// A browser that asks for a page.
pub(super) fn browser_request() -> Vec<u8> {
    head(
        726,
        &[
            "GET /articles/2026/11/tides-and-how-to-read-them?from=front HTTP/1.1",
            "Host: www.example.com",
            "Connection: keep-alive",
            "Cache-Control: max-age=0",
            "sec-ch-ua: \"Tide\";v=\"141\", \"Not?A_Brand\";v=\"8\"",
            "sec-ch-ua-mobile: ?0",
            "sec-ch-ua-platform: \"Linux\"",
            "Upgrade-Insecure-Requests: 1",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Engine/537.36 (like others) Tide/141.0",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
            "Sec-Fetch-Site: same-origin",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: document",
            "Referer: https://www.example.com/articles/2026/11/",
            "Accept-Encoding: gzip, deflate, br",
            "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
            "Cookie: session=~",
        ],
    )
}

/// The same with a jar of cookies.
pub(super) fn cookie_request() -> Vec<u8> {
    let cookie = |n: usize| format!("c{n}=v{n}.0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ; ");
    let cookies: String = (0..60).map(cookie).collect();
    head(
        4100,
        &[
            "GET /account HTTP/1.1",
            "Host: www.example.com",
            "Connection: keep-alive",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Engine/537.36 (like others) Tide/141.0",
            "Accept: text/html,*/*;q=0.8",
            &format!("Cookie: {cookies}last=~"),
        ],
    )
}

/// The answer to an upgrade to WebSocket.
pub(super) fn upgrade_response() -> Vec<u8> {
    head(
        129,
        &[
            "HTTP/1.1 101 Switching Protocols",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Accept: ~YSBmZWF0dXJl=",
        ],
    )
}

/// The head of a stream of events.
pub(super) fn event_stream_response() -> Vec<u8> {
    head(
        236,
        &[
            "HTTP/1.1 200 OK",
            "Content-Type: text/event-stream; charset=utf-8",
            "Cache-Control: no-cache",
            "Connection: keep-alive",
            "Transfer-Encoding: chunked",
            "X-Accel-Buffering: no",
            "X-Request-Id: ~",
        ],
    )
}

/// A page behind a cache.
pub(super) fn page_response() -> Vec<u8> {
    head(
        649,
        &[
            "HTTP/1.1 200 OK",
            "Date: Sat, 21 Nov 2026 12:00:00 GMT",
            "Server: tide/1.0",
            "Content-Type: text/html; charset=utf-8",
            "Content-Length: 18231",
            "Connection: keep-alive",
            "Cache-Control: public, max-age=300, stale-while-revalidate=60",
            "Content-Encoding: br",
            "ETag: \"5f2b-18c3a7\"",
            "Last-Modified: Fri, 20 Nov 2026 07:41:12 GMT",
            "Vary: Accept-Encoding, Cookie",
            "Strict-Transport-Security: max-age=63072000; includeSubDomains",
            "X-Content-Type-Options: nosniff",
            "X-Frame-Options: SAMEORIGIN",
            "Referrer-Policy: strict-origin-when-cross-origin",
            "X-Request-Id: ~",
        ],
    )
}

/// A page with a long policy.
pub(super) fn policy_response() -> Vec<u8> {
    let source = |n: usize| format!("https://static-{n}.assets.example.com/bundle/ ");
    let sources: String = (0..80).map(source).collect();
    head(
        4100,
        &[
            "HTTP/1.1 200 OK",
            "Date: Sat, 21 Nov 2026 12:00:00 GMT",
            "Content-Type: text/html; charset=utf-8",
            "Content-Length: 18231",
            "Connection: keep-alive",
            &format!("Content-Security-Policy: script-src 'self' {sources}"),
            "X-Request-Id: ~",
        ],
    )
}
