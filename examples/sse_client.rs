//! An `EventSource` for the command line: prints type, id and data of each event, and what else
//! happens on the standard error stream. It reconnects, and goes on where it was, or with `--once` ends
//! with the stream.
//!
//! ```text
//! sse_client --url http://127.0.0.1:8080/news
//! sse_client --url http://127.0.0.1:8080/news --last-event-id 41 --idle 60
//! sse_client --url http://127.0.0.1:8080/answer --post '{"stream":true}' --once
//! ```

use std::{error::Error, process::ExitCode, time::Duration};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{
    SourceClosed, SourceConfig, SourceError, SourceEvent, SourceRequest, TRANSIENT,
};
use tidewire_runtime::{EventSource, SendRuntime, url::Url};

struct SseClient;

impl Program for SseClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let url = Url::parse(&flags.value("--url", "http://127.0.0.1:8080/"))?;
        let mut request = SourceRequest::new(url).last_event_id(flags.value("--last-event-id", ""));
        let body = flags.value("--post", "");
        if !body.is_empty() {
            request = request.post(body).field("Content-Type", "application/json");
        }
        let idle: u64 = flags.value("--idle", "0").parse()?;
        let mut config = SourceConfig {
            // A server that restarts, or a proxy in front of it, is no reason to give up.
            retried: TRANSIENT.into(),
            idle_timeout: Some(Duration::from_secs(idle)).filter(|idle| !idle.is_zero()),
            ..SourceConfig::default()
        };
        if flags.switch("--once") {
            config.reconnect = Policy::never();
        }
        flags.end()?;

        let mut source = EventSource::new(runtime, request, config)?;
        while let Some(event) = source.next().await {
            match event {
                SourceEvent::Open(head) => eprintln!("open: {}", head.status),
                SourceEvent::Message(event) => {
                    println!("{}\t{}\t{}", event.event_type, event.last_event_id, event.data);
                }
                SourceEvent::Error { why, body: b"" } => eprintln!("{why}"),
                SourceEvent::Error { why, body } => {
                    eprintln!("{why}: {}", String::from_utf8_lossy(body));
                }
                SourceEvent::Closed(SourceClosed::GaveUp(SourceError::EndOfStream)) => {
                    return Ok(());
                }
                SourceEvent::Closed(SourceClosed::Failed(why) | SourceClosed::GaveUp(why)) => {
                    return Err(why.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(SseClient)
}
