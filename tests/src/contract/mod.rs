//! An HTTP service that drives our `EventSource` on command, for harnesses that test SSE clients of
//! any language in the same way. `tests/contract/run` is one; the contract is that of LaunchDarkly's
//! `sse-contract-tests`, which is run with `-url http://localhost:8000 -stop-service-at-end`.
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
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stream::Stream;
use tidewire_runtime::http::{NO_FIELDS, Status};
use tidewire_runtime::{
    Exchange, HandlerError, HttpClient, HttpClientConfig, SendRuntime, Server, ServerConfig,
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
pub async fn serve<R: SendRuntime>(runtime: R, address: SocketAddr) -> Result<(), Box<dyn Error>> {
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
    Ok(server.serve(answer).await?)
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

/// What becomes of a request, unless it is an error: a status and a `Location`.
type Answer = Result<(Status, Option<String>), Refusal>;

/// Why a request is refused.
struct Refusal(Status, String);

impl<R: SendRuntime> Service<R> {
    async fn answer(&self, mut exchange: Exchange<R>) -> Result<(), HandlerError> {
        let path = exchange.path().to_owned();
        let number = path.strip_prefix(LOCATION).and_then(|number| number.parse().ok());
        let number = number.filter(|number| self.streams().by_number.contains_key(number));
        let allowed = match (path.as_str(), number) {
            ("/", _) => "GET, HEAD, POST, DELETE",
            (_, Some(_)) => "POST, DELETE",
            _ => return refuse(exchange, Status::NOT_FOUND, "there is no such stream").await,
        };
        let method = exchange.method().to_owned();
        let answer = match (method.as_str(), number) {
            ("GET" | "HEAD", None) => {
                let fields = [("Content-Type", "application/json")];
                let known = serde_json::json!({ "capabilities": CAPABILITIES }).to_string();
                return Ok(exchange.respond_with(Status::OK, fields, known).await?);
            }
            ("POST", None) => self.start(&exchange.collect(BODY).await?),
            ("POST", Some(number)) => self.command(number, &exchange.collect(BODY).await?).await,
            ("DELETE", Some(number)) => self.close(number).await,
            ("DELETE", None) => self.end().await,
            _ => {
                let fields = [("Allow", allowed)];
                let status = Status::METHOD_NOT_ALLOWED;
                return Ok(exchange.respond_with(status, fields, allowed).await?);
            }
        };
        match answer {
            Ok((status, location)) => {
                let location = location.iter().map(|it| ("Location", it));
                Ok(exchange.respond_with(status, location, "").await?)
            }
            Err(Refusal(status, why)) => refuse(exchange, status, &why).await,
        }
    }

    fn start(&self, body: &[u8]) -> Answer {
        let start: Start = read(body)?;
        let mut streams = self.streams();
        if streams.by_number.len() >= STREAMS {
            let why = format!("there are {STREAMS} streams already");
            return Err(Refusal(Status::SERVICE_UNAVAILABLE, why));
        }
        let stream = Stream::start(&self.runtime, &self.client, start)
            .map_err(|why| Refusal(Status::BAD_REQUEST, why.to_string()))?;
        streams.started += 1;
        let number = streams.started;
        streams.by_number.insert(number, stream);
        Ok((Status::CREATED, Some(format!("{LOCATION}{number}"))))
    }

    async fn command(&self, number: u64, body: &[u8]) -> Answer {
        let Command::Restart = read(body)?;
        // The lock is not held over what follows.
        let restart = self.streams().by_number.get(&number).map(Stream::restart);
        let restarted = match restart {
            Some(restart) => restart.await,
            // Closed by another request, meanwhile.
            None => false,
        };
        if !restarted {
            return Err(Refusal(Status::CONFLICT, "the stream is over".into()));
        }
        Ok((Status::NO_CONTENT, None))
    }

    async fn close(&self, number: u64) -> Answer {
        let stream = self.streams().by_number.remove(&number);
        match stream {
            Some(stream) => stream.close().await,
            // By another request, meanwhile.
            None => return Err(Refusal(Status::NOT_FOUND, "there is no such stream".into())),
        }
        Ok((Status::NO_CONTENT, None))
    }

    async fn end(&self) -> Answer {
        let streams = std::mem::take(&mut self.streams().by_number);
        for stream in streams.into_values() {
            stream.close().await;
        }
        self.handle.shutdown();
        Ok((Status::NO_CONTENT, None))
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|why| Refusal(Status::BAD_REQUEST, why.to_string()))
}

async fn refuse<R: SendRuntime>(
    mut exchange: Exchange<R>,
    status: Status,
    why: &str,
) -> Result<(), HandlerError> {
    // The longest reason names what somebody sent.
    Ok(exchange.respond_with(status, NO_FIELDS, why.to_owned()).await?)
}
