//! One stream: an `EventSource`, whoever commands it, and whoever is told.

use super::callbacks::Callbacks;
use super::item;
use super::params::Start;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::{or, poll_once};
use std::future::{Future, pending};
use std::time::Duration;
use tidewire_runtime::{EventSource, HandlerError, HttpClient, SendRuntime};

/// A handle to the task that drives a stream.
pub(super) struct Stream {
    /// Asks for a restart, and is answered whether there was one. Dropped, it closes the stream.
    restarts: Sender<Sender<bool>>,
    /// Closed once nothing is left of the stream.
    ended: Receiver<()>,
}

impl Stream {
    pub(super) fn start<R: SendRuntime>(
        runtime: &R,
        client: &HttpClient<R>,
        start: Start,
    ) -> Result<Self, HandlerError> {
        let callbacks = Callbacks::new(client.clone(), &start.callback_url)?;
        let source = EventSource::new(runtime.clone(), start.request()?, start.config())?;
        let (restarts, asked) = bounded(1);
        let (end, ended) = bounded(1);
        runtime.spawn_send(async move {
            if let Err(why) = drive(source, callbacks, asked).await {
                println!("{}: {why}", start.tag.as_deref().unwrap_or("a stream"));
            }
            drop(end);
        });
        Ok(Self { restarts, ended })
    }

    /// Drops the connection and makes another one. The value is whether there is still a stream.
    pub(super) fn restart(&self) -> impl Future<Output = bool> + use<> {
        let restarts = self.restarts.clone();
        async move {
            let (reply, answer) = bounded(1);
            restarts.send(reply).await.is_ok() && answer.recv().await.unwrap_or(false)
        }
    }

    /// Closes the stream and its connections.
    pub(super) async fn close(self) {
        drop(self.restarts);
        let _closed = self.ended.recv().await;
    }
}

enum Step {
    /// Somebody wants a restart, or nothing more.
    Asked(Option<Sender<bool>>),
    /// An item was told, or could not be.
    Told(Result<(), HandlerError>),
    /// Something came that may be an item.
    Came(Option<Vec<u8>>),
    /// Nothing more will come.
    Over,
}

/// Drives the stream until it is closed, or nobody listens any more.
async fn drive<R: SendRuntime>(
    mut source: EventSource<R>,
    mut callbacks: Callbacks<R>,
    asked: Receiver<Sender<bool>>,
) -> Result<(), HandlerError> {
    let mut over = false;
    loop {
        let room = callbacks.has_room();
        let ask = async { Step::Asked(asked.recv().await.ok()) };
        let tell = async { Step::Told(callbacks.send().await) };
        let listen = async {
            if over || !room {
                // Until somebody has taken an item.
                return pending().await;
            }
            source.next().await.map_or(Step::Over, |event| Step::Came(item::to_json(&event)))
        };
        match or(ask, or(tell, listen)).await {
            Step::Asked(None) => return Ok(()),
            Step::Asked(Some(reply)) => {
                let restarts = source.restart(Duration::ZERO);
                if restarts {
                    // The connection is dropped now, whether there is room or not.
                    let came = poll_once(source.next()).await.flatten();
                    callbacks.push(came.and_then(|event| item::to_json(&event)));
                }
                // Whoever asked may have left.
                let _ = reply.try_send(restarts);
            }
            Step::Told(told) => told?,
            Step::Came(item) => callbacks.push(item),
            Step::Over => over = true,
        }
    }
}
