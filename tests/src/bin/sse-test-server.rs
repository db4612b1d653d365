//! The server of event streams that the peers of `tests/peers` and `tests/browser` read. `--listen`
//! names its address, which it prints. Then it prints a line of JSON for each request, with what an
//! `EventSource` says in it, and for each stream that has ended.
//!
//! | target | what it gives |
//! |---|---|
//! | `/events` | numbered events, as its query says |
//! | `/formats` | one event for each thing that an event can have |
//! | `/words` | each word of a POST's body as an event, and then `[DONE]`, as language models do |
//! | `/silent` | a stream without an event |
//! | `/hub/TOPIC` | the events of a topic; of the last 100, those behind `Last-Event-ID` |
//! | `/hub/TOPIC` with the method POST | publishes events with the numbers `from` to `to`, and tells of the topic |
//! | `/hub/TOPIC` with the method DELETE | closes the topic |
//! | `/topic/TOPIC` | tells of the topic |
//! | `/status/S` | the status S |
//! | `/redirect/S?TARGET` | the status S, to the target |
//! | `/as/TYPE/SUBTYPE` | an event, as this media type |
//! | `/page` | an empty page, for the origin of its scripts |
//! | any, with the method OPTIONS | what a preflight wants to hear |
//!
//! The keys of the query:
//!
//! | key | what it asks for |
//! |---|---|
//! | `to` | to end behind the event of this number, and to answer 204 to who comes back then; else there is no end |
//! | `every` | so many milliseconds between two events; else none |
//! | `end`, `cut` | to end each response, or to cut its connection, after so many events |
//! | `size` | data of so many bytes behind the number |
//! | `type` | events of this type |
//! | `utf8` | ids with letters beyond ASCII before the number |
//! | `heartbeat` | a comment after so many milliseconds of silence; else after 15 s |
//! | `retry` | to tell this time of reconnection first, in milliseconds |
//! | `cors` | `none` or `any`, instead of naming the origin that asks and taking its cookies |
//! | `cookie` | to set this cookie |
//!
//! The first event has the number 1, or that behind `Last-Event-ID`, and the number is its id.

use serde_json::{Value, json};
use std::time::Duration;
use std::{error::Error, process::ExitCode, str::FromStr};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::{NO_FIELDS, Status};
use tidewire_runtime::sse::{
    Event, ReplayLimits, SendError, StreamConfig, TopicConfig, last_event_id,
};
use tidewire_runtime::{
    Broadcast, BroadcastConfig, Delivery, Error as ServerError, EventStream, Exchange,
    HandlerError, SendRuntime, Server, ServerConfig,
};

/// What stands before the number in the ids that `utf8` asks for.
const UTF8: &str = "Grüße ☃ 𝄞 ";

/// The largest body of a request that is taken.
const BODY: usize = 1 << 20;

/// What stands behind the `?` of a request's target.
struct Query(String);

impl Query {
    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<Option<T>, HandlerError> {
        let value =
            self.value(key).map(|value| value.parse().map_err(|_| format!("{key}={value}")));
        Ok(value.transpose()?)
    }

    /// What `size` asks for behind the number.
    fn padded(&self, number: &str) -> Result<String, HandlerError> {
        let size = self.number("size")?.unwrap_or(0);
        Ok(format!("{number}{}", "x".repeat(size)))
    }

    fn stream_config(&self) -> Result<StreamConfig, HandlerError> {
        let mut config = StreamConfig::default();
        config.retry = self.milliseconds("retry")?;
        config.heartbeat = self.milliseconds("heartbeat")?.or(config.heartbeat);
        Ok(config)
    }

    fn milliseconds(&self, key: &str) -> Result<Option<Duration>, HandlerError> {
        Ok(self.number(key)?.map(Duration::from_millis))
    }
}

/// A line of the log.
fn tell(line: &Value) {
    println!("{line}");
}

/// Tells of a stream's end, whichever way it comes.
struct Told {
    target: String,
    sent: u64,
    how: &'static str,
}

impl Told {
    fn new<R: SendRuntime>(exchange: &Exchange<R>) -> Self {
        Self { target: exchange.head().target.to_owned(), sent: 0, how: "left" }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        tell(&json!({ "ended": self.target, "sent": self.sent, "how": self.how }));
    }
}

/// What a request is told by.
fn described<R: SendRuntime>(exchange: &Exchange<R>) -> Value {
    let head = exchange.head();
    let mut told = json!({ "method": head.method, "target": head.target });
    for name in ["Accept", "Cache-Control", "Last-Event-ID", "Cookie", "Origin"] {
        if let Some(value) = head.headers.get(name) {
            told[name] = String::from_utf8_lossy(value).into();
        }
    }
    told
}

/// The fields by which pages of other origins may read the answer.
fn cors<R: SendRuntime>(exchange: &Exchange<R>, query: &Query) -> Vec<(&'static str, Vec<u8>)> {
    let headers = exchange.head().headers;
    let mut fields = Vec::new();
    match (query.value("cors"), headers.get("Origin")) {
        (Some("none"), _) | (None, None) => {}
        (Some(_), _) => fields.push(("Access-Control-Allow-Origin", b"*".to_vec())),
        (None, Some(origin)) => {
            fields.push(("Access-Control-Allow-Origin", origin.to_vec()));
            fields.push(("Access-Control-Allow-Credentials", b"true".to_vec()));
            fields.push(("Vary", b"Origin".to_vec()));
        }
    }
    if let Some(names) = headers.get("Access-Control-Request-Headers") {
        fields.push(("Access-Control-Allow-Headers", names.to_vec()));
        fields.push(("Access-Control-Allow-Methods", b"GET, POST".to_vec()));
        fields.push(("Access-Control-Max-Age", b"0".to_vec()));
    }
    if let Some(cookie) = query.value("cookie") {
        fields.push(("Set-Cookie", format!("{cookie}; Path=/").into_bytes()));
    }
    fields
}

async fn answer<R: SendRuntime>(
    mut exchange: Exchange<R>,
    hub: Broadcast,
) -> Result<(), HandlerError> {
    tell(&json!({ "request": described(&exchange) }));
    let query = Query(exchange.query().unwrap_or_default().to_owned());
    let fields = cors(&exchange, &query);
    if exchange.method() == "OPTIONS" {
        return Ok(exchange.respond_with(Status::NO_CONTENT, fields, "").await?);
    }
    let path = exchange.path().trim_start_matches('/').to_owned();
    let (name, argument) = path.split_once('/').unwrap_or((&path, ""));
    match name {
        "events" => events(exchange, &query, fields).await?,
        "formats" => formats(exchange.event_stream(fields).await?).await?,
        "words" if exchange.method() == "POST" => words(exchange, &query, fields).await?,
        "silent" => {
            let _told = Told::new(&exchange);
            let config = query.stream_config()?;
            exchange.event_stream_with(fields, config).await?.closed().await;
        }
        "hub" if exchange.method() == "POST" => {
            for number in query.number("from")?.unwrap_or(1)..=query.number("to")?.unwrap_or(1_u64)
            {
                let id = number.to_string();
                hub.publish(argument, &Event::data(&query.padded(&id)?).id(&id))?;
            }
            exchange.respond_with(Status::OK, fields, described_topic(&hub, argument)).await?;
        }
        "hub" if exchange.method() == "DELETE" => {
            exchange.respond(hub.close(argument).to_string()).await?;
        }
        "hub" => {
            let _told = Told::new(&exchange);
            match query.number("end")? {
                None => hub.serve_with(exchange, argument, fields).await?,
                Some(end) => some(exchange, &hub, argument, end, fields).await?,
            }
        }
        "topic" => exchange.respond(described_topic(&hub, argument)).await?,
        "status" => {
            let status = argument.parse().ok().and_then(Status::new).ok_or("no status")?;
            let body = if status == Status::NO_CONTENT { "" } else { "as asked" };
            exchange.respond_with(status, fields, body).await?;
        }
        "redirect" => {
            let status = argument.parse().ok().and_then(Status::new).ok_or("no status")?;
            let mut fields = fields;
            fields.push(("Location", query.0.clone().into_bytes()));
            exchange.respond_with(status, fields, "").await?;
        }
        "as" => {
            let mut fields = fields;
            fields.push(("Content-Type", argument.as_bytes().to_vec()));
            exchange.respond_with(Status::OK, fields, "data: 1\n\n").await?;
        }
        "page" => {
            let html = [("Content-Type", "text/html; charset=utf-8")];
            exchange.respond_with(Status::OK, html, "<!doctype html><title>events</title>").await?;
        }
        _ => exchange.respond_with(Status::NOT_FOUND, NO_FIELDS, "nothing here").await?,
    }
    Ok(())
}

fn described_topic(hub: &Broadcast, topic: &str) -> String {
    let stats = hub.stats(topic).unwrap_or_default();
    json!({
        "subscribers": stats.subscribers,
        "queued": stats.queued,
        "dropped": stats.dropped,
        "published": stats.published,
        "kept": stats.kept,
    })
    .to_string()
}

/// Ends the response after so many events of a topic.
async fn some<R: SendRuntime>(
    exchange: Exchange<R>,
    hub: &Broadcast,
    topic: &str,
    count: u64,
    fields: Vec<(&'static str, Vec<u8>)>,
) -> Result<(), HandlerError> {
    let mut subscription = hub.subscribe(topic, last_event_id(exchange.head().headers));
    let mut events = exchange.event_stream_with(fields, streams_of_topics()).await?;
    for _ in 0..count {
        match events.while_open(subscription.next()).await {
            Ok(Some(Delivery::Event(event))) => events.try_send_encoded(&event)?,
            Ok(Some(Delivery::Gap(_))) => events.send(&Event::data("").event("gap")).await?,
            Ok(Some(Delivery::TooSlow) | None) => break,
            Err(_) => return Ok(()),
        }
    }
    Ok(events.finish().await?)
}

/// Silence is short here, so that nobody has to wait for its end.
fn streams_of_topics() -> StreamConfig {
    StreamConfig {
        heartbeat: Some(Duration::from_secs(1)),
        retry: Some(Duration::from_millis(50)),
        ..StreamConfig::default()
    }
}

/// Numbered events.
async fn events<R: SendRuntime>(
    mut exchange: Exchange<R>,
    query: &Query,
    fields: Vec<(&'static str, Vec<u8>)>,
) -> Result<(), HandlerError> {
    let prefix = if query.value("utf8").is_some() { UTF8 } else { "" };
    let last = match last_event_id(exchange.head().headers) {
        Some(id) => id.strip_prefix(prefix).ok_or("an id of somebody else's")?.parse()?,
        None => 0_u64,
    };
    let to = query.number("to")?.unwrap_or(u64::MAX);
    if last >= to {
        return Ok(exchange.respond_with(Status::NO_CONTENT, fields, "").await?);
    }
    let (end, cut) = (query.number("end")?, query.number("cut")?);
    let every = query.milliseconds("every")?;
    let config = query.stream_config()?;
    let mut told = Told::new(&exchange);
    let mut events = exchange.event_stream_with(fields, config).await?;
    for number in last + 1..=to {
        let id = format!("{prefix}{number}");
        let data = query.padded(&number.to_string())?;
        let mut event = Event::data(&data).id(&id);
        if let Some(name) = query.value("type") {
            event = event.event(name);
        }
        match events.send(&event).await {
            Err(ServerError::Send(SendError::Closed)) => return Ok(()),
            sent => sent?,
        }
        told.sent += 1;
        if Some(told.sent) == cut {
            told.how = "cut";
            return Err("cut, as asked".into());
        }
        if Some(told.sent) == end {
            break;
        }
        if let Some(every) = every {
            if events.wait(every).await.is_err() {
                return Ok(());
            }
        }
    }
    events.finish().await?;
    told.how = "finished";
    Ok(())
}

/// Everything that an event can have.
async fn formats<R: SendRuntime>(mut events: EventStream<R>) -> Result<(), HandlerError> {
    for event in [
        Event::new().comment("not for anybody"),
        Event::data("plain"),
        Event::data("two\nlines"),
        Event::data("CR\rLF\nboth\r\nnone"),
        Event::data(""),
        Event::data(" leading and trailing "),
        Event::data("colons: and\n:more"),
        Event::data("{\"text\":\"Grüße ☃ 𝄞\"}"),
        Event::data("a NUL \0 stays").id("with spaces"),
        Event::data("keeps the id").event("custom"),
        Event::data("other").event("Zeit/Überschrift").id("é"),
        Event::new().id("of nothing"),
        Event::data("behind nothing"),
        Event::data("forgotten").id(""),
        Event::data("\n"),
        Event::data("last").id("end"),
    ] {
        events.send(&event).await?;
    }
    Ok(events.finish().await?)
}

/// A language model that has nothing to add.
async fn words<R: SendRuntime>(
    mut exchange: Exchange<R>,
    query: &Query,
    fields: Vec<(&'static str, Vec<u8>)>,
) -> Result<(), HandlerError> {
    let every = query.milliseconds("every")?.unwrap_or_default();
    let body = String::from_utf8(exchange.collect(BODY).await?)?;
    let mut told = Told::new(&exchange);
    let mut events = exchange.event_stream(fields).await?;
    for word in body.split_whitespace() {
        if events.wait(every).await.is_err() {
            return Ok(());
        }
        events.send(&Event::data(&json!({ "token": word }).to_string())).await?;
        told.sent += 1;
    }
    events.send(&Event::data("[DONE]")).await?;
    events.finish().await?;
    told.how = "finished";
    Ok(())
}

struct TestServer;

impl Program for TestServer {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:0")?;
        flags.end()?;
        let config = ServerConfig {
            on_error: |_, error| tell(&json!({ "failed": error.to_string() })),
            ..ServerConfig::default()
        };
        let hub = Broadcast::new(BroadcastConfig {
            topic: TopicConfig {
                keep: ReplayLimits { events: 100, ..ReplayLimits::default() },
                ..TopicConfig::default()
            },
            stream: streams_of_topics(),
            gap: Some(Event::data("").event("gap").to_encoded()?),
        });
        let server = Server::bind_with(runtime, address, config).await?;
        println!("listening on http://{}", server.local_addr()?);
        Ok(server.serve(move |exchange| answer(exchange, hub.clone())).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(TestServer)
}
