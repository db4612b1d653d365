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
use tidewire_runtime::sse::{Event, SendError, last_event_id};
use tidewire_runtime::{Error as ServerError, ServerConfig};
use tidewire_runtime::{EventStream, Exchange, HandlerError, SendRuntime, Server};

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

async fn answer<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
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
            exchange.event_stream(fields).await?.closed().await;
        }
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
    let padding = "x".repeat(query.number("size")?.unwrap_or(0));
    let mut told = Told::new(&exchange);
    let mut events = exchange.event_stream(fields).await?;
    if let Some(retry) = query.milliseconds("retry")? {
        events.send(&Event::new().retry(retry)).await?;
    }
    for number in last + 1..=to {
        let id = format!("{prefix}{number}");
        let data = format!("{number}{padding}");
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
        let server = Server::bind_with(runtime, address, config).await?;
        println!("listening on http://{}", server.local_addr()?);
        Ok(server.serve(answer).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(TestServer)
}
