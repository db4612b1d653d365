//! What a server and clients tell a subscriber of `tracing`, through real sockets: handlers run in the
//! span of their request, every end has its reason, and nothing told is a secret.

#[path = "../../protocol/tests/tracing/collector.rs"]
mod collector;

use collector::Collector;
use std::time::Duration;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{ClientConfig, ClientEvent, CloseCode, Config, Event};
use tidewire_runtime::{
    Client, Exchange, HandlerError, HttpClient, HttpRequest, SendRuntime, WebSocket,
};
use tidewire_tests::net::{AsyncStd, Smol, in_time, listener, serve, sleep};

/// One test, for a collector of what every thread tells.
#[test]
fn decisions_are_told_in_their_spans_and_without_secrets() {
    let told = Collector::default();
    tracing::subscriber::set_global_default(told.clone()).expect("there is no other");
    smol::block_on(in_time(Smol, tells(Smol, told.clone())));
    async_std::task::block_on(in_time(AsyncStd, tells(AsyncStd, told)));
}

async fn handle<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    match exchange.path() {
        "/ws" => {
            let mut socket =
                exchange.websocket(&ServerOptions::default(), Config::default()).await?;
            while let Some(event) = socket.next().await {
                if let Event::Text(text) = event {
                    let text = text.to_owned();
                    socket.send_text(&text).await?;
                }
            }
        }
        "/fail" => return Err("out of order".into()),
        _ => {
            tracing::info!("mine");
            exchange.respond("ok").await?;
        }
    }
    Ok(())
}

async fn tells<R: SendRuntime>(runtime: R, told: Collector) {
    let (address, server) = serve(&runtime, handle::<R>).await;
    let mut lines = Vec::new();

    let http = HttpClient::new(runtime.clone());
    for path in ["/fine", "/fail"] {
        let url = format!("http://alice:swordfish@{address}{path}?token=t");
        let request = HttpRequest::new("GET", &url).unwrap().field("Cookie", "PHPSID=1");
        http.send(request).await.unwrap();
    }
    let request = Request::new(&format!("ws://{address}/ws?token=t")).unwrap();
    let (mut socket, _) =
        WebSocket::connect(runtime.clone(), &request, Config::default()).await.unwrap();
    socket.send_text("payload").await.unwrap();
    assert_eq!(socket.next().await, Some(Event::Text("payload")));
    socket.close(CloseCode::new(4000), "enough").await.unwrap();
    drop((socket, http));
    server.shutdown();
    while !lines.iter().any(|line: &String| line.contains("stopped")) {
        sleep(&runtime, Duration::from_millis(2)).await;
        lines.extend(told.take());
    }

    // Nobody listens there any more.
    let (free, dead) = listener();
    drop(free);
    let request = Request::new(&format!("ws://{dead}/?token=t")).unwrap();
    let policy = Policy::fixed(Duration::from_millis(1)).max_attempts(1);
    let config = ClientConfig { reconnect: Some(policy), ..ClientConfig::default() };
    let mut client = Client::new(runtime.clone(), request, config).unwrap();
    let mut closed = 0;
    while let Some(event) = client.next().await {
        closed += usize::from(matches!(event, ClientEvent::Closed { .. }));
    }
    assert_eq!(closed, 2);
    lines.extend(told.take());

    let lines: Vec<String> = lines.iter().map(|line| without_ports(line)).collect();
    for secret in ["alice", "swordfish", "token", "PHPSID", "payload", "Basic"] {
        assert!(lines.iter().all(|line| !line.contains(secret)), "{secret} in {lines:#?}");
    }
    let tells = |line: &str| {
        assert!(lines.iter().any(|told| told.starts_with(line)), "{line} is not in {lines:#?}");
    };
    let request = |path: &str| {
        format!("connection{{peer=127.0.0.1:_}}:request{{method=\"GET\" path=\"{path}\"}}:")
    };
    tells("DEBUG tidewire::dial  connecting address=127.0.0.1:_");
    tells("DEBUG tidewire::dial  connected target=127.0.0.1:_");
    tells(&format!("INFO tracing {} mine", request("/fine")));
    tells(&format!(
        "WARN tidewire::server {} the handler failed error=out of order",
        request("/fail")
    ));
    let socket = format!("{}websocket{{role=Server}}:", request("/ws"));
    tells(&format!("DEBUG tidewire::ws {socket} open"));
    tells(&format!("DEBUG tidewire::ws {socket} Close received code=4000 reason=\"enough\""));
    tells(&format!("DEBUG tidewire::ws {socket} closed why=closed with 4000 by the peer"));
    tells("DEBUG tidewire::ws handshake{url=ws://127.0.0.1:_/ws}: handshake accepted");
    tells("DEBUG tidewire::ws websocket{role=Client}: closing code=4000");
    tells("DEBUG tidewire::ws websocket{role=Client}: closed why=closed with 4000 by this side");
    tells("DEBUG tidewire::server  draining open=");
    tells("DEBUG tidewire::server  stopped open=0");
    tells("DEBUG tidewire::dial  no connection address=127.0.0.1:_ error=");
    tells("DEBUG tidewire::dial  not connected target=127.0.0.1:_ why=no address accepted");
    let client = "client{url=ws://127.0.0.1:_/}:";
    let why = "not connected why=no address accepted the connection";
    tells(&format!("DEBUG tidewire::ws {client} {why} again=Some(1ms)"));
    tells(&format!("DEBUG tidewire::ws {client} {why} again=None"));
}

/// Ports are never the same twice.
fn without_ports(line: &str) -> String {
    let mut pieces = line.split("127.0.0.1:");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str("127.0.0.1:_");
        plain.push_str(piece.trim_start_matches(|char: char| char.is_ascii_digit()));
    }
    plain
}
