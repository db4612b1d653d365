//! The HTTP server that the peers of `tests/peers` speak with. `--listen` names its address, which
//! it prints; `--patience` says how many milliseconds it waits for a head, for more of a body, for
//! the next request, and for a client that takes nothing. It speaks TLS if its flags say so: see
//! `tidewire_tests::peers::server_tls`.
//!
//! | target | what it gives |
//! |---|---|
//! | `/` | `ok` |
//! | `/bytes/N` | N bytes, their length known |
//! | `/chunked/N`, `/known/N` | N bytes in pieces, chunked or of known length |
//! | `/cut/N` | N of one more byte, and then a handler that fails |
//! | `/echo` | the body of the request |
//! | `/mirror` | the body of the request, while it comes |
//! | `/trailers` | the trailers of the request, and as trailers their number and how long the body is |
//! | `/hints` | `103`, `102`, and then `hinted` |
//! | `/count` | how many bytes the body of the request has, and their SHA-1 |
//! | `/early/S` | the status S, without a look at the body |
//! | `/status/S` | the status S, with an entity tag |
//! | `/slow/MS` | `slow`, after so many milliseconds |
//! | `/head` | the head of the request, as it came |
//! | `/tls` | version and application protocol of TLS, the name that the client asked for, and how long its certificate is, with its SHA-1 |
//! | `/events` | an event every tenth of a second |
//! | `/ws` | a WebSocket that sends back what comes |
//! | `/upgrade`, and any CONNECT | the protocol `echo`, which sends back what comes |
//! | `/fail`, `/panic`, `/forget` | what a handler should not do |
//! | `/stats` | connections so far, requests so far, connections now |
//! | `/shutdown` | asks the server to end |

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::{self, BodyLength, NO_FIELDS, Status};
use tidewire_runtime::ws::{self, handshake::ServerOptions};
use tidewire_runtime::{
    Exchange, HandlerError, SendRuntime, Server, ServerConfig, ServerHandle, Upgraded, sse,
};
use tidewire_tests::net::sleep;
use tidewire_tests::peers::{Summary, pattern, server_tls};

/// The largest body of a request that is taken.
const BODY: usize = 64 << 20;

struct Site<R> {
    runtime: R,
    handle: ServerHandle,
    clients: Mutex<HashSet<SocketAddr>>,
    requests: AtomicUsize,
}

impl<R: SendRuntime> Site<R> {
    async fn answer(&self, mut exchange: Exchange<R>) -> Result<(), HandlerError> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).extend(exchange.peer_addr());
        self.requests.fetch_add(1, Ordering::Relaxed);
        if exchange.method() == "CONNECT" {
            return echo(exchange.upgrade(NO_FIELDS).await?).await;
        }
        let path = exchange.path().trim_start_matches('/').to_owned();
        let (name, argument) = match path.split_once('/') {
            Some((name, argument)) => (name, argument.parse::<u64>()?),
            None => (path.as_str(), 0),
        };
        match name {
            "" => exchange.respond("ok").await?,
            "bytes" => exchange.respond(pattern(0, usize::try_from(argument)?)).await?,
            "echo" => {
                let body = exchange.collect(BODY).await?;
                exchange.respond(body).await?;
            }
            "chunked" | "known" | "cut" => {
                let size = usize::try_from(argument)?;
                let length = match name {
                    "chunked" => BodyLength::Unknown,
                    "known" => BodyLength::Known(argument),
                    _ => BodyLength::Known(argument + 1),
                };
                let mut body = exchange.stream(Status::OK, NO_FIELDS, length)?;
                for start in (0..size).step_by(10_007) {
                    body.send(&pattern(start, size.min(start + 10_007))).await?;
                }
                body.finish().await?;
            }
            "mirror" => {
                let mut body = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
                // The head leaves now: the client may wait for it before it sends.
                body.send(b"").await?;
                while let Some(piece) = body.request_body().await? {
                    let piece = piece.to_vec();
                    body.send(&piece).await?;
                }
                body.finish().await?;
            }
            "trailers" => {
                let length = exchange.collect(BODY).await?.len().to_string();
                let mut text = String::new();
                for (name, value) in exchange.trailers().iter() {
                    text += &format!("{name}: {}\n", String::from_utf8_lossy(value));
                }
                let count = exchange.trailers().iter().count().to_string();
                let fields = [("Trailer", "X-Count, X-Length")];
                let mut body = exchange.stream(Status::OK, fields, BodyLength::Unknown)?;
                body.send(text.as_bytes()).await?;
                body.finish_with_trailers([("X-Count", count), ("X-Length", length)]).await?;
            }
            "hints" => {
                let link = [("Link", "</style.css>; rel=preload")];
                exchange.inform(Status::EARLY_HINTS, link).await?;
                exchange.inform(Status::new(102).ok_or("102")?, NO_FIELDS).await?;
                exchange.respond("hinted").await?;
            }
            "upgrade" => {
                let fields = [("Connection", "Upgrade"), ("Upgrade", "echo")];
                echo(exchange.upgrade(fields).await?).await?;
            }
            "count" => {
                let mut body = Summary::default();
                while let Some(piece) = exchange.body().await? {
                    body.add(piece);
                }
                exchange.respond(body.to_string()).await?;
            }
            "early" => exchange.respond_with(status(argument)?, NO_FIELDS, "no").await?,
            "status" => {
                let status = status(argument)?;
                let body = if matches!(argument, 204 | 205 | 304) { "" } else { "as asked" };
                exchange.respond_with(status, [("ETag", "\"1\"")], body).await?;
            }
            "slow" => {
                sleep(&self.runtime, Duration::from_millis(argument)).await;
                exchange.respond("slow").await?;
            }
            "head" => {
                let head = exchange.head();
                let mut text = format!("{} {} {:?}\n", head.method, head.target, head.version);
                for (name, value) in head.headers.iter() {
                    text += &format!("{name}: {}\n", String::from_utf8_lossy(value));
                }
                exchange.respond(text).await?;
            }
            "tls" => {
                let tls = exchange.tls_session().ok_or("no TLS")?;
                let mut certificate = Summary::default();
                tls.certificates.first().into_iter().for_each(|it| certificate.add(it));
                let alpn = String::from_utf8(tls.alpn.unwrap_or_default())?;
                let name = tls.server_name.unwrap_or_default();
                let told = format!("{:04x} {alpn} {name} {certificate}", tls.version);
                exchange.respond(told).await?;
            }
            "events" => {
                let mut events = exchange.event_stream(NO_FIELDS).await?;
                for n in 0.. {
                    let data = n.to_string();
                    events.send(&sse::Event::data(&data)).await?;
                    if events.wait(Duration::from_millis(100)).await.is_err() {
                        break;
                    }
                }
            }
            "ws" => {
                let config = ws::Config::default();
                let mut socket = exchange.websocket(&ServerOptions::default(), config).await?;
                let ended = socket
                    .run(|event, reply| match event {
                        ws::Event::Text(text) => reply.send_text(text),
                        ws::Event::Binary(data) => reply.send_binary(data),
                        _ => Ok(()),
                    })
                    .await?;
                println!("ws {ended}");
            }
            "fail" => return Err("it failed".into()),
            "panic" => panic!("as asked"),
            "forget" => {}
            "stats" => {
                let connections = self.clients.lock().unwrap_or_else(PoisonError::into_inner).len();
                let requests = self.requests.load(Ordering::Relaxed);
                let open = self.handle.connections();
                exchange.respond(format!("{connections} {requests} {open}")).await?;
            }
            "shutdown" => {
                self.handle.shutdown();
                exchange.respond("bye").await?;
            }
            _ => exchange.respond_with(Status::NOT_FOUND, NO_FIELDS, "nothing here").await?,
        }
        Ok(())
    }
}

async fn echo<R: SendRuntime>(connection: Upgraded<R>) -> Result<(), HandlerError> {
    let (reader, mut writer) = smol::io::split(connection);
    smol::io::copy(reader, &mut writer).await?;
    Ok(smol::io::AsyncWriteExt::close(&mut writer).await?)
}

fn status(code: u64) -> Result<Status, HandlerError> {
    u16::try_from(code).ok().and_then(Status::new).ok_or_else(|| "no status".into())
}

struct TestServer;

impl Program for TestServer {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:0")?;
        let patience = Duration::from_millis(flags.value("--patience", "30000").parse()?);
        let tls = server_tls(&mut flags)?;
        flags.end()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let config = ServerConfig {
            tls,
            http: http::ServerConfig {
                max_body: BODY as u64,
                head_timeout: Some(patience),
                idle_timeout: Some(patience),
                body_timeout: Some(patience),
                write_timeout: Some(patience),
                ..http::ServerConfig::default()
            },
            grace: Duration::from_secs(5),
            on_error: |_, error| println!("handler: {error}"),
            on_accept_error: |error, delay| println!("accept {} ms: {error}", delay.as_millis()),
            ..ServerConfig::default()
        };
        let server = Server::bind_with(runtime.clone(), address, config).await?;
        let site = Arc::new(Site {
            runtime,
            handle: server.handle(),
            clients: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        println!("listening on {scheme}://{}", server.local_addr()?);
        let answer = move |exchange| {
            let site = site.clone();
            async move { site.answer(exchange).await }
        };
        server.serve(answer).await?;
        println!("ended");
        Ok(())
    }
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    tidewire_examples::main(TestServer)
}
