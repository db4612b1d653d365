//! The items of one stream on their way to whoever wants them: one after the other, and so few at a
//! time that nothing grows.

use std::collections::VecDeque;
use std::future::pending;
use tidewire_runtime::{
    BoxFuture, Error, HandlerError, HttpClient, HttpRequest, SendRuntime, url::Url,
};

/// How many items may wait.
const ITEMS: usize = 64;
/// How many bytes of items may wait before no other is taken.
const BYTES: usize = 8 << 20;
/// How often an item is sent. A connection that was kept may turn out to be closed, and a number that
/// comes twice is known for what it is.
const ATTEMPTS: usize = 3;
/// How much of a response is read, in bytes, to have its connection for the next item.
const RESPONSE: usize = 64 << 10;

pub(super) struct Callbacks<R: SendRuntime> {
    client: HttpClient<R>,
    url: String,
    /// How many items were begun to be sent.
    sent: u64,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The item under way.
    sending: Option<BoxFuture<Result<(), HandlerError>>>,
}

impl<R: SendRuntime> Callbacks<R> {
    /// Tells them to `url/1`, `url/2`, and so on.
    pub(super) fn new(client: HttpClient<R>, url: &str) -> Result<Self, HandlerError> {
        if Url::parse(url).map_err(|why| format!("callbackUrl: {why}"))?.is_secure() {
            return Err("callbackUrl: there is no TLS".into());
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, sent: 0, waiting: VecDeque::new(), bytes: 0, sending: None })
    }

    pub(super) fn push(&mut self, item: Option<Vec<u8>>) {
        self.bytes += item.as_ref().map_or(0, Vec::len);
        self.waiting.extend(item);
    }

    /// Whether another item may be pushed.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < ITEMS && self.bytes < BYTES
    }

    /// Sends the next item; waits for ever if there is none. Cancel-safe.
    pub(super) async fn send(&mut self) -> Result<(), HandlerError> {
        let sending = match &mut self.sending {
            Some(sending) => sending,
            none => {
                let Some(item) = self.waiting.pop_front() else { return pending().await };
                self.bytes -= item.len();
                self.sent += 1;
                let url = format!("{}/{}", self.url, self.sent);
                none.insert(Box::pin(post(self.client.clone(), url, item)))
            }
        };
        let sent = sending.await;
        self.sending = None;
        sent
    }
}

async fn post<R: SendRuntime>(
    client: HttpClient<R>,
    url: String,
    item: Vec<u8>,
) -> Result<(), HandlerError> {
    let request =
        HttpRequest::new("POST", &url)?.field("Content-Type", "application/json").body(item);
    let mut attempt = 1;
    let mut response = loop {
        match client.send(request.clone()).await {
            Ok(response) => break response,
            Err(Error::Io(_) | Error::Http(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(why) => return Err(why.into()),
        }
    };
    if !response.status().is_success() {
        return Err(format!("{url} answers {}", response.status()).into());
    }
    response.collect(RESPONSE).await?;
    Ok(())
}
