//! Where the things of other libraries are here.
//!
//! # Workerman (PHP)
//!
//! | there | here |
//! |---|---|
//! | `new Worker('http://…')`, `onMessage` | `Server::bind`, and the handler of `Server::serve` |
//! | `$request->header('accept') === 'text/event-stream'` | `exchange.wants_event_stream()`, which reads the list |
//! | `new Response(200, ['Content-Type' => 'text/event-stream'])` | `exchange.event_stream(fields)` |
//! | `new ServerSentEvents(['event' => …, 'data' => …, 'id' => …])` | [`sse::Event`](crate::sse::Event) |
//! | `Timer::add(2, …)`, and `Timer::del` when the connection is gone | `events.wait(duration)`, which ends when the client has left |
//! | `new AsyncTcpConnection('ws://…')` | [`ws::handshake::Request`](crate::ws::handshake::Request), and `Client::new` |
//! | `$con->headers` | `Request::field` |
//! | `$con->websocketPingInterval` | [`ws::Config::ping_interval`](crate::ws::Config::ping_interval) |
//! | `$con->websocketType` | [`ws::Config::message_kind`](crate::ws::Config::message_kind) for `send`; `send_text` and `send_binary` say it for each message |
//! | `onConnect`, `onWebSocketConnect`, `onMessage`, `onError`, `onClose` | `Handler::on_connect`, `on_open`, `on_message`, `on_error`, `on_close` |
//! | `onBufferFull`, `onBufferDrain` | `on_buffer_full`, `on_buffer_drained` |
//! | `$con->reConnect(1)` | `Next::Reconnect(duration)` from `on_close`, or `client.reconnect(duration)` at any time |
//!
//! # Browsers
//!
//! | there | here |
//! |---|---|
//! | `new EventSource(url)` | `EventSource::new` of a runtime's crate, over [`sse::EventSource`](crate::sse::EventSource) |
//! | `readyState`, `url`, `origin`, `lastEventId`, `type`, `data` | the same words in snake case |
//! | `new WebSocket(url, protocols)` | [`ws::handshake::Request`](crate::ws::handshake::Request) |
//! | `binaryType` | [`ws::Event::Text`](crate::ws::Event::Text) or [`ws::Event::Binary`](crate::ws::Event::Binary) says what came |
//!
//! # Other Rust crates
//!
//! | there | here |
//! |---|---|
//! | a parser that cuts heads, and framing left to the caller | [`http::parse_request`](crate::http::parse_request), and [`ParsedRequest::framing`](crate::http::ParsedRequest::framing) |
//! | `http::Request`, `http::HeaderMap` | lent [`RequestHead`](crate::http::RequestHead) and [`Headers`](crate::http::Headers); the feature `http` converts |
//! | a `Body` trait, `bytes_stream()` | `exchange.body()`, `response.chunk()`: one lent piece after the other |
//! | `Body::wrap_stream` | `client.start(request, length)`, then `upload.send(piece)` or `send_from(reader)` |
//! | `client.get(url).send().await?.text().await?` | `client.get(url).await?.text(limit).await?`: what is collected has a limit |
//! | `error_for_status` | nothing: a status is no error; look at `response.status()` |
//! | a `broadcast` channel and a stream of events for each request | `Broadcast::serve`, over [`sse::Topic`](crate::sse::Topic) |
//! | `KeepAlive` of an SSE response | [`sse::StreamConfig::heartbeat`](crate::sse::StreamConfig::heartbeat), on by default |
//! | `Message` enums of owned strings and vectors | lent [`ws::Event`](crate::ws::Event)s; `Stream` and `Sink` of owned messages in the runtime's crates |
//! | `connect_async(url)` | `WebSocket::connect` |
//! | a ping task of one's own | [`ws::Config::ping_interval`](crate::ws::Config::ping_interval) |
//! | a retry loop around connecting | `Client`, which reconnects by a [`reconnect::Policy`](crate::reconnect::Policy) |
//! | leftover bytes handed over at an upgrade | nothing: both protocols read the same [`RecvBuf`](crate::RecvBuf) |
