//! An SSE server: whoever asks for `text/event-stream` gets the event `message` with the data
//! `hello` every two seconds, until they leave; everybody else gets `ok`.
//!
//! In a browser: `new EventSource('http://127.0.0.1:8080')` and a listener for `message`.

use std::{error::Error, process::ExitCode, time::Duration};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server, sse::Event};

/// Lets pages of any origin subscribe.
const CORS: [(&str, &str); 1] = [("Access-Control-Allow-Origin", "*")];

async fn on_request<R: SendRuntime>(mut exchange: Exchange<R>) -> Result<(), HandlerError> {
    if !exchange.wants_event_stream() {
        return Ok(exchange.respond("ok").await?);
    }
    let mut events = exchange.event_stream(CORS).await?;
    // `wait` fails as soon as the client has left, and the timer with it.
    while events.wait(Duration::from_secs(2)).await.is_ok() {
        events.send(&Event::data("hello").event("message").id("1")).await?;
    }
    Ok(())
}

struct SseServer;

impl Program for SseServer {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:8080")?;
        flags.end()?;
        let server = Server::bind(runtime, address).await?;
        println!("listening on http://{}", server.local_addr()?);
        Ok(server.serve(on_request).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(SseServer)
}
