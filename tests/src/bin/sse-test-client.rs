//! The `EventSource` that reads the servers of `tests/peers`. It prints a line of JSON for each thing
//! that the source tells, and comes to its end with it.
//!
//! | flag | what it asks for |
//! |---|---|
//! | `--url` | this URL |
//! | `--post` | a POST of this body |
//! | `--fields` | these header lines: `Name: value\|Name: value` |
//! | `--last-event-id` | to go on behind this event |
//! | `--wait` | to wait so many milliseconds before it reconnects, unless the server says otherwise |
//! | `--idle` | to take the stream for lost after so many milliseconds of silence |
//! | `--attempts` | to give up after so many attempts in a row that failed |
//! | `--messages` | to close after so many messages |
//! | `--renew` | a token that is another one for each attempt: `Authorization: Bearer 1` at first |
//! | `--ca`, `--cert`, `--key`, `--proxy` | to connect in a way of `tidewire_tests::peers::connector` |

use serde_json::{Value, json};
use std::time::Duration;
use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::ResponseHead;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{SourceConfig, SourceEvent, SourceRequest};
use tidewire_runtime::{EventSource, SendRuntime, url::Url};
use tidewire_tests::peers::connector;

struct TestClient;

fn told(kind: &str, head: ResponseHead<'_>) -> Value {
    let mut fields = json!({});
    for (name, value) in head.headers.iter() {
        fields[name.to_ascii_lowercase()] = String::from_utf8_lossy(value).into();
    }
    json!({ "kind": kind, "status": head.status.code(), "fields": fields })
}

impl Program for TestClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let mut request = SourceRequest::new(Url::parse(&flags.value("--url", ""))?);
        let post = flags.value("--post", "");
        if !post.is_empty() {
            request = request.post(post);
        }
        for line in flags.value("--fields", "").split('|').filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").ok_or("--fields: Name: value")?;
            request = request.field(name, value);
        }
        let request = request.last_event_id(flags.value("--last-event-id", ""));
        let mut config = SourceConfig::default();
        let wait = Duration::from_millis(flags.value("--wait", "100").parse()?);
        let attempts = flags.value("--attempts", "10").parse()?;
        config.reconnect = Policy::fixed(wait).max_attempts(attempts);
        let idle: u64 = flags.value("--idle", "0").parse()?;
        config.idle_timeout = (idle > 0).then(|| Duration::from_millis(idle));
        let messages: usize = flags.value("--messages", "0").parse()?;
        config.announce = flags.switch("--renew");
        let connector = connector(runtime, &mut flags)?;
        flags.end()?;

        let mut source = EventSource::new(connector, request, config)?;
        let (mut seen, mut attempts) = (0, 0);
        while let Some(event) = source.next().await {
            let line = match event {
                SourceEvent::Attempt => {
                    attempts += 1;
                    let token = format!("Bearer {attempts}");
                    source.request_mut().set_field("Authorization", token);
                    json!({ "kind": "attempt" })
                }
                SourceEvent::Open(head) => told("open", head),
                SourceEvent::Message(message) => {
                    seen += 1;
                    json!({
                        "kind": "message",
                        "type": message.event_type,
                        "data": message.data,
                        "id": message.last_event_id,
                    })
                }
                SourceEvent::Comment(comment) => json!({ "kind": "comment", "comment": comment }),
                SourceEvent::Refused(head) => told("refused", head),
                SourceEvent::Error { why, body } => json!({
                    "kind": "error",
                    "error": why.to_string(),
                    "final": why.is_final(),
                    "body": String::from_utf8_lossy(body),
                }),
                SourceEvent::Closed(why) => json!({ "kind": "closed", "why": format!("{why:?}") }),
            };
            println!("{line}");
            if seen == messages && messages > 0 {
                source.close();
                seen = 0;
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(TestClient)
}
