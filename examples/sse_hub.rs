//! A hub of event streams: what is posted to a path goes to everybody who subscribes to that path,
//! and who comes back gets what it has missed.
//!
//! ```text
//! cargo run --release --example sse_hub
//! curl -N -H 'Accept: text/event-stream' http://127.0.0.1:8080/news
//! curl -d 'It rains.' http://127.0.0.1:8080/news
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{error::Error, process::ExitCode, sync::Arc};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::{NO_FIELDS, Status};
use tidewire_runtime::sse::{Event, ReplayLimits, StreamConfig, TopicConfig};
use tidewire_runtime::{
    Broadcast, BroadcastConfig, Exchange, HandlerError, SendRuntime, Server, ServerConfig,
};

/// Lets pages of any origin subscribe.
const CORS: [(&str, &str); 1] = [("Access-Control-Allow-Origin", "*")];
/// The longest news, in bytes.
const LONGEST: usize = 16 * 1024;
/// Topics are named by clients, so there is an end to them.
const MOST_TOPICS: usize = 1000;

fn hub() -> Result<Broadcast, Box<dyn Error>> {
    Ok(Broadcast::new(BroadcastConfig {
        topic: TopicConfig {
            keep: ReplayLimits { events: 100, bytes: 256 * 1024 },
            ..TopicConfig::default()
        },
        stream: StreamConfig { retry: Some(Duration::from_secs(2)), ..StreamConfig::default() },
        // Tells a client that it has missed more than is kept.
        gap: Some(Event::data("").event("gap").to_encoded()?),
    }))
}

/// Makes an id for each event. They begin with the time when the program was started: a client that
/// comes back to another run of it must not take that one's events for those it has seen.
struct Ids {
    run: u64,
    next: AtomicU64,
}

impl Ids {
    fn next(&self) -> String {
        format!("{:x}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

async fn on_request<R: SendRuntime>(
    mut exchange: Exchange<R>,
    hub: Broadcast,
    ids: Arc<Ids>,
) -> Result<(), HandlerError> {
    let topic = exchange.path().to_owned();
    match exchange.method() {
        "GET" if exchange.wants_event_stream() => {
            return Ok(hub.serve_with(exchange, &topic, CORS).await?);
        }
        "GET" | "HEAD" => return Ok(exchange.respond("POST news, or subscribe to them\n").await?),
        "POST" => {}
        _ => {
            let (no, fields) = (Status::METHOD_NOT_ALLOWED, [("Allow", "GET, HEAD, POST")]);
            return Ok(exchange.respond_with(no, fields, "").await?);
        }
    }
    let Ok(news) = String::from_utf8(exchange.collect(LONGEST).await?) else {
        return Ok(exchange.respond_with(Status::BAD_REQUEST, NO_FIELDS, "UTF-8 only\n").await?);
    };
    if hub.stats(&topic).is_none() && hub.topics().len() >= MOST_TOPICS {
        let busy = Status::SERVICE_UNAVAILABLE;
        return Ok(exchange.respond_with(busy, NO_FIELDS, "too many topics\n").await?);
    }
    let subscribers = hub.publish(&topic, &Event::data(&news).id(&ids.next()))?;
    Ok(exchange.respond(format!("sent to {subscribers}\n")).await?)
}

struct SseHub;

impl Program for SseHub {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:8080")?;
        flags.end()?;
        let config = ServerConfig {
            on_error: |client, error| eprintln!("{client:?}: {error}"),
            ..ServerConfig::default()
        };
        let server = Server::bind_with(runtime, address, config).await?;
        println!("listening on http://{}", server.local_addr()?);
        let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (hub, ids) = (hub()?, Arc::new(Ids { run, next: AtomicU64::new(1) }));
        let handler = move |exchange| on_request(exchange, hub.clone(), ids.clone());
        Ok(server.serve(handler).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(SseHub)
}
