//! The whole of tidewire in a few seconds: a server on a free port, and three clients against it.
//!
//! It prints each step with its time, and fails with a clear error if a step does not happen.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::{self, BodyLength, NO_FIELDS};
use tidewire_runtime::sse::{self, SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::url::Url;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{self, ClientConfig, ClientEvent, CloseCode};
use tidewire_runtime::{
    Client, Driver, EventSource, Exchange, HandlerError, Runtime, SendRuntime, Server, Timer,
};

/// Everything has to happen in this time.
const DEADLINE: Duration = Duration::from_secs(10);
const EVENT_INTERVAL: Duration = Duration::from_millis(150);
const SSE_RETRY: Duration = Duration::from_millis(400);
const PING_INTERVAL: Duration = Duration::from_millis(300);
const WS_RECONNECT: Duration = Duration::from_secs(1);

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Prints a step with the time since the start.
struct Log(Instant);

impl Log {
    fn step(&self, who: &str, what: impl std::fmt::Display) {
        println!("{:>7.3} s  {who:<6}  {what}", self.0.elapsed().as_secs_f64());
    }
}

/// Fails with `what` unless `condition` holds.
fn expect(condition: bool, what: impl Into<String>) -> Result {
    if condition { Ok(()) } else { Err(what.into().into()) }
}

// The server.

async fn on_request<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    if exchange.wants_websocket() {
        echo(exchange).await
    } else if exchange.wants_event_stream() {
        events(exchange).await
    } else {
        Ok(exchange.respond("ok").await?)
    }
}

/// Counts events up from where the client left. A client without a last event id is cut off after
/// three of them.
async fn events<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    let seen = exchange.head().headers.get_str("last-event-id").and_then(|id| id.parse().ok());
    let mut stream = exchange.event_stream(NO_FIELDS).await?;
    for id in seen.unwrap_or(0) + 1.. {
        stream.wait(EVENT_INTERVAL).await?;
        let (data, id) = (format!("tick {id}"), id.to_string());
        stream.send(&sse::Event::data(&data).event("tick").id(&id).retry(SSE_RETRY)).await?;
        if seen.is_none() && id == "3" {
            return Err("cut off, to show that the client comes back".into());
        }
    }
    Ok(())
}

/// Sends back what it gets. The first connection is dropped without a word at its second ping.
async fn echo<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let first = CONNECTIONS.fetch_add(1, Ordering::Relaxed) == 0;
    let mut socket = exchange.websocket(&ServerOptions::default(), ws::Config::default()).await?;
    let mut pings = 0;
    socket
        .run(|event, reply| match event {
            ws::Event::Text(text) => reply.send_text(text),
            ws::Event::Binary(data) => reply.send_binary(data),
            ws::Event::Ping(_) => {
                pings += 1;
                if first && pings == 2 { Err(ws::SendError::Closing) } else { Ok(()) }
            }
            _ => Ok(()),
        })
        .await?;
    Ok(())
}

// The clients.

/// `GET /` by hand: a machine and the driver, as one would drive a machine of one's own.
async fn get<R: Runtime>(runtime: R, server: SocketAddr, log: &Log) -> Result {
    let url = Url::parse(&format!("http://{server}/"))?;
    let mut driver = Driver::connect(runtime, &url, 64 * 1024, |now, _| {
        http::Client::new(http::ClientConfig::default(), now)
    })
    .await?;
    let parts = driver.parts();
    let fields = [("Host", url.host_header())];
    parts.machine.request("GET", url.target(), fields, BodyLength::EMPTY, parts.now, parts.tx)?;
    let (mut status, mut body) = (String::new(), Vec::new());
    while let Some(event) = driver.next().await {
        match event {
            http::ClientEvent::Response(head) => status = head.status.to_string(),
            http::ClientEvent::Data(data) => body.extend_from_slice(data),
            http::ClientEvent::End(_) => break,
            http::ClientEvent::Closed(why) => return Err(format!("GET /: {why}").into()),
            _ => {}
        }
    }
    let body = String::from_utf8(body)?;
    log.step("http", format_args!("GET / answered {status} with {body:?}"));
    expect(body == "ok", "GET / was not answered with ok")
}

/// Three events, a cut, and the fourth on the next connection.
async fn subscribe<R: Runtime>(runtime: R, server: SocketAddr, log: &Log) -> Result {
    let request = SourceRequest::new(Url::parse(&format!("http://{server}/events"))?);
    let mut source = EventSource::new(runtime, request, SourceConfig::default())?;
    let (mut opened, mut ids) = (0, Vec::new());
    while let Some(event) = source.next().await {
        match event {
            SourceEvent::Open(head) => {
                opened += 1;
                log.step("sse", format_args!("open: {}", head.status));
            }
            SourceEvent::Message(event) => {
                let (name, data, id) = (event.event_type, event.data, event.last_event_id);
                log.step("sse", format_args!("event {name}, data {data:?}, id {id}"));
                ids.push(id.to_owned());
                if ids.len() == 5 {
                    source.close();
                }
            }
            SourceEvent::Error { why, .. } => {
                log.step("sse", format_args!("{why}; back in {SSE_RETRY:?} with Last-Event-ID"));
            }
            _ => {}
        }
    }
    expect(opened == 2, "the event source did not come back")?;
    expect(ids == ["1", "2", "3", "4", "5"], format!("the event source saw the ids {ids:?}"))
}

/// Hello and back, pings, a lost connection, and the same again one second later.
async fn chat<R: Runtime>(runtime: R, server: SocketAddr, log: &Log) -> Result {
    let request = Request::new(&format!("ws://{server}/chat"))?.field("OtherKey", "values")?;
    let mut config = ClientConfig::default();
    config.connection.ping_interval = Some(PING_INTERVAL);
    let mut client = Client::new(runtime, request, config)?;
    let (mut opened, mut heard, mut pongs, mut lost) = (0, 0, 0, None::<Instant>);
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Connected => log.step("ws", "TCP is up"),
            ClientEvent::Open(head) => {
                opened += 1;
                log.step("ws", format_args!("handshake: {}", head.status));
                for (name, value) in head.headers.iter() {
                    log.step("ws", format_args!("    {name}: {}", String::from_utf8_lossy(value)));
                }
                if let Some(lost) = lost {
                    let away = lost.elapsed();
                    log.step("ws", format_args!("back after {:.3} s", away.as_secs_f64()));
                    expect(away >= WS_RECONNECT, "the client was back too early")?;
                    expect(away < WS_RECONNECT * 3 / 2, "the client was back too late")?;
                }
                client.send_text("hello")?;
                log.step("ws", "sent \"hello\"");
            }
            ClientEvent::Text(text) => {
                log.step("ws", format_args!("received {text:?}"));
                expect(text == "hello", "the echo is not what was sent")?;
                heard += 1;
                if opened == 2 {
                    client.close(CloseCode::NORMAL, "bye")?;
                }
            }
            ClientEvent::Pong(_) => {
                log.step("ws", "ping answered");
                pongs += 1;
            }
            ClientEvent::Error(error) => return Err(error.to_string().into()),
            ClientEvent::Closed { why, .. } => {
                log.step("ws", format_args!("closed with {}: {why}", why.code()));
                if opened < 2 {
                    lost = Some(Instant::now());
                    client.reconnect(WS_RECONNECT);
                }
            }
            _ => {}
        }
    }
    expect(opened == 2, "the WebSocket client did not come back")?;
    expect(heard == 2, "an echo is missing")?;
    expect(pongs >= 1, "no ping was answered")
}

struct Quickstart;

impl Program for Quickstart {
    async fn run<R: SendRuntime>(self, runtime: R, flags: Flags) -> Result {
        flags.end()?;
        let log = Log(Instant::now());
        let server = Server::bind(runtime.clone(), "127.0.0.1:0".parse()?).await?;
        let (address, handle) = (server.local_addr()?, server.handle());
        log.step("server", format_args!("listening on {address}"));
        runtime.spawn_send(async move {
            if let Err(error) = server.serve(on_request).await {
                eprintln!("the server ended: {error}");
            }
        });
        let all = async {
            get(runtime.clone(), address, &log).await?;
            subscribe(runtime.clone(), address, &log).await?;
            chat(runtime.clone(), address, &log).await
        };
        let mut timer = runtime.timer();
        timer.set(Instant::now() + DEADLINE);
        let mut all = pin!(all);
        poll_fn(|cx| match all.as_mut().poll(cx) {
            Poll::Pending => {
                timer.poll(cx).map(|()| Err(format!("not done after {DEADLINE:?}").into()))
            }
            ready => ready,
        })
        .await?;
        handle.shutdown();
        log.step("server", "shut down; all is well");
        Ok(())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(Quickstart)
}
