//! What the service is asked to do.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;
use tidewire_runtime::HandlerError;
use tidewire_runtime::reconnect::Policy;
use tidewire_runtime::sse::{SourceConfig, SourceRequest};
use tidewire_runtime::url::Url;

/// A stream to start. All but the two URLs may be missing or `null`; fields of other names mean
/// nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    /// Where the stream is.
    stream_url: String,
    /// Where its items are to be told.
    pub(super) callback_url: String,
    /// What the test is called.
    pub(super) tag: Option<String>,
    /// How long to wait before each reconnection, until the stream says otherwise.
    initial_delay_ms: Option<u64>,
    /// How long the server may be silent.
    read_timeout_ms: Option<NonZeroU64>,
    /// The `Last-Event-ID` of the first request; none if it is empty.
    last_event_id: Option<String>,
    /// More fields of each request.
    headers: Option<BTreeMap<String, String>>,
    /// `GET` unless said otherwise.
    method: Option<String>,
    /// The body of each request.
    body: Option<String>,
}

/// What is given and not empty.
fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// What can be done to a stream.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(super) enum Command {
    Restart,
}

impl Start {
    pub(super) fn request(&self) -> Result<SourceRequest, HandlerError> {
        let url = Url::parse(&self.stream_url).map_err(|why| format!("streamUrl: {why}"))?;
        let mut request = SourceRequest::new(url);
        for (name, value) in self.headers.iter().flatten() {
            request = request.field(name, value.as_str());
        }
        if let Some(id) = filled(&self.last_event_id) {
            request = request.last_event_id(id);
        }
        if let Some(method) = filled(&self.method) {
            request = request.method(method.to_owned());
        }
        if let Some(body) = filled(&self.body) {
            request = request.body(body.to_owned());
        }
        Ok(request)
    }

    pub(super) fn config(&self) -> SourceConfig {
        let mut config = SourceConfig::default();
        if let Some(delay) = self.initial_delay_ms {
            config.reconnect = Policy::fixed(Duration::from_millis(delay));
        }
        if let Some(silence) = self.read_timeout_ms {
            let silence = Some(Duration::from_millis(silence.get()));
            config.response_timeout = silence;
            config.idle_timeout = silence;
        }
        config
    }
}
