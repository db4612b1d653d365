//! An HTTP service that drives our `EventSource` on command, for harnesses that test SSE clients of
//! any language in the same way. `tests/contract/run` is one; the contract is that of
//! `sse-contract-tests` of `LaunchDarkly`, run as
//! `sse-contract-tests -url http://localhost:8000 -stop-service-at-end`.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /` | tells what the client can do: `{"capabilities":[…]}` |
//! | `POST /` | starts a stream and answers `201` with its `Location` |
//! | `POST` to a location, `{"command":"restart"}` | drops the connection and makes another one, at once |
//! | `DELETE` to a location | closes the stream; nothing is told of it once this is answered |
//! | `DELETE /` | ends the service |
//!
//! What is unknown gets `404`, a method out of place `405`, what cannot be read or sent `400` with the
//! reason, a restart of what is over `409`, and a stream too many `503`.
//!
//! A stream is started with this, of which only the two URLs are needed; the method is `GET` unless
//! said otherwise, and `readTimeoutMs` is how long the server may be silent:
//!
//! ```json
//! {"streamUrl":"http://…","callbackUrl":"http://…","tag":"the test's name","initialDelayMs":1000,
//!  "readTimeoutMs":500,"lastEventId":"1","headers":{"name":"value"},"method":"POST","body":"…"}
//! ```
//!
//! What comes of it is posted to `callbackUrl/1`, `callbackUrl/2` and so on, each when the one before
//! was answered. A callback that fails, or is answered otherwise than `2xx`, ends the stream.
//!
//! ```json
//! {"kind":"event","event":{"type":"message","data":"hello","id":"1"}}
//! {"kind":"comment","comment":"still here"}
//! {"kind":"error","error":"the stream came to its end"}
//! ```

mod callbacks;
mod item;
mod params;
mod stream;

use params::{Command, Start};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stream::Stream;
use tidewire_runtime::http::Status;
use tidewire_runtime::{
    Error, Exchange, HandlerError, HttpClient, HttpClientConfig, SendRuntime, Server, ServerConfig,
    ServerHandle, Timeouts,
};

/// What our client can do, in the words of the harness.
const CAPABILITIES: [&str; 9] = [
    "bom",
    "comments",
    "headers",
    "last-event-id",
    "post",
    "report",
    "read-timeout",
    "restart",
    "server-directed-shutdown-request",
];
/// The most streams at a time, those included that are over and not yet deleted.
const STREAMS: usize = 256;
/// The longest body of a request, in bytes.
const BODY: usize = 1 << 20;
/// How long a callback may take.
const CALLBACK: Duration = Duration::from_secs(20);
/// Where streams are, followed by their number.
const LOCATION: &str = "/streams/";

/// Serves on `address` until it is told to end.
///
/// # Errors
/// If the operating system doesn't let it listen there.
pub async fn serve<R: SendRuntime>(runtime: R, address: SocketAddr) -> io::Result<()> {
    let config = ServerConfig {
        grace: Duration::from_secs(2),
        on_error: |_, error| println!("handler: {error}"),
        ..ServerConfig::default()
    };
    let server = Server::bind_with(runtime.clone(), address, config).await?;
    println!("listening on http://{}", server.local_addr()?);
    let timeouts = Timeouts { total: Some(CALLBACK), ..Timeouts::default() };
    let config = HttpClientConfig { timeouts, max_redirects: 0, ..HttpClientConfig::default() };
    let service = Arc::new(Service {
        client: HttpClient::with_config(runtime.clone(), config),
        runtime,
        handle: server.handle(),
        streams: Mutex::default(),
    });
    let answer = move |exchange| {
        let service = service.clone();
        async move { service.answer(exchange).await }
    };
    server.serve(answer).await
}

struct Service<R: SendRuntime> {
    runtime: R,
    client: HttpClient<R>,
    handle: ServerHandle,
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    started: u64,
    by_number: HashMap<u64, Stream>,
}

/// How a request is answered.
struct Answer {
    status: Status,
    field: Option<(&'static str, String)>,
    body: String,
}

impl Answer {
    fn new(status: Status, body: impl ToString) -> Self {
        Self { status, field: None, body: body.to_string() }
    }

    fn field(mut self, name: &'static str, value: String) -> Self {
        self.field = Some((name, value));
        self
    }

    fn done() -> Self {
        Self::new(Status::NO_CONTENT, "")
    }

    fn unknown() -> Self {
        Self::new(Status::NOT_FOUND, "there is no such stream")
    }
}

impl<R: SendRuntime> Service<R> {
    async fn answer(&self, mut exchange: Exchange<R>) -> Result<(), HandlerError> {
        let Answer { status, field, body } = self.carry_out(&mut exchange).await?;
        Ok(exchange.respond_with(status, field, body).await?)
    }

    async fn carry_out(&self, exchange: &mut Exchange<R>) -> Result<Answer, Error> {
        let path = exchange.path();
        let number = path.strip_prefix(LOCATION).and_then(|number| number.parse().ok());
        let number = number.filter(|number| self.streams().by_number.contains_key(number));
        if path != "/" && number.is_none() {
            return Ok(Answer::unknown());
        }
        let method = exchange.method().to_owned();
        Ok(match (method.as_str(), number) {
            ("GET" | "HEAD", None) => {
                let known = serde_json::json!({ "capabilities": CAPABILITIES });
                Answer::new(Status::OK, known).field("Content-Type", "application/json".into())
            }
            ("POST", None) => self.start(&exchange.collect(BODY).await?),
            ("POST", Some(number)) => self.command(number, &exchange.collect(BODY).await?).await,
            ("DELETE", None) => self.end().await,
            ("DELETE", Some(number)) => self.close(number).await,
            (_, number) => {
                let others = number.map_or("GET, HEAD, POST, DELETE", |_| "POST, DELETE");
                let answer = Answer::new(Status::METHOD_NOT_ALLOWED, others);
                answer.field("Allow", others.into())
            }
        })
    }

    fn start(&self, body: &[u8]) -> Answer {
        let start: Start = match serde_json::from_slice(body) {
            Ok(start) => start,
            Err(why) => return Answer::new(Status::BAD_REQUEST, why),
        };
        let mut streams = self.streams();
        if streams.by_number.len() >= STREAMS {
            let why = format!("there are {STREAMS} streams already");
            return Answer::new(Status::SERVICE_UNAVAILABLE, why);
        }
        let stream = match Stream::start(&self.runtime, &self.client, start) {
            Ok(stream) => stream,
            Err(why) => return Answer::new(Status::BAD_REQUEST, why),
        };
        streams.started += 1;
        let number = streams.started;
        streams.by_number.insert(number, stream);
        Answer::new(Status::CREATED, "").field("Location", format!("{LOCATION}{number}"))
    }

    async fn command(&self, number: u64, body: &[u8]) -> Answer {
        match serde_json::from_slice(body) {
            Ok(Command::Restart) => {}
            Err(why) => return Answer::new(Status::BAD_REQUEST, why),
        }
        // The lock is not held over what follows.
        let restart = self.streams().by_number.get(&number).map(Stream::restart);
        // Another request may have closed it meanwhile.
        let Some(restart) = restart else { return Answer::unknown() };
        if !restart.await {
            return Answer::new(Status::CONFLICT, "the stream is over");
        }
        Answer::done()
    }

    async fn close(&self, number: u64) -> Answer {
        let stream = self.streams().by_number.remove(&number);
        let Some(stream) = stream else { return Answer::unknown() };
        stream.close().await;
        Answer::done()
    }

    async fn end(&self) -> Answer {
        let streams = std::mem::take(&mut self.streams().by_number);
        for stream in streams.into_values() {
            stream.close().await;
        }
        self.handle.shutdown();
        Answer::done()
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
