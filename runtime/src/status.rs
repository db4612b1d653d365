//! What a client that reconnects is doing, for whoever wants to know or to wait.

use event_listener::{Event, EventListener};
use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tidewire::{Clock, sse, ws};

/// What a [`Client`](crate::Client) or an [`EventSource`](crate::EventSource) is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It makes an attempt: it is asked for a connection, or waits for an answer.
    Connecting,
    /// Messages come and go.
    Open,
    /// In the closing handshake of a WebSocket.
    Closing,
    /// It waits before the next attempt.
    Waiting {
        /// When that is due.
        until: Instant,
    },
    /// It does nothing and will do nothing unasked.
    Closed,
}

impl Status {
    pub(crate) fn of_client(client: &ws::Client, clock: Clock) -> Self {
        match client.status() {
            ws::Status::Connecting | ws::Status::Opening => Self::Connecting,
            ws::Status::Open => Self::Open,
            ws::Status::Closing => Self::Closing,
            ws::Status::Waiting { until } => Self::Waiting { until: clock.std(until) },
            ws::Status::Idle => Self::Closed,
        }
    }

    pub(crate) fn of_source(source: &sse::EventSource, clock: Clock) -> Self {
        match (source.ready_state(), source.next_attempt()) {
            (sse::ReadyState::Open, _) => Self::Open,
            (sse::ReadyState::Closed, _) => Self::Closed,
            (sse::ReadyState::Connecting, None) => Self::Connecting,
            (sse::ReadyState::Connecting, Some(at)) => Self::Waiting { until: clock.std(at) },
        }
    }
}

/// An eye on the [`Status`] of a client, for another task than the one that polls it. As many as wanted,
/// and clones of them.
///
/// It sees the latest status; of those that lasted for a moment only, some may be missed. What it sees
/// changes while the client is polled or told to do something, since nothing else moves it on.
///
/// ```no_run
/// # use tidewire_runtime::{Client, Runtime, Status};
/// # async fn example<R: Runtime>(mut client: Client<R>) {
/// let mut watch = client.watch();
/// // In one task: `while let Some(event) = client.next().await { … }`. In another one:
/// while let Some(status) = watch.changed().await {
///     match status {
///         Status::Open => println!("online"),
///         Status::Waiting { until } => println!("offline, next attempt at {until:?}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
///
/// It is a [`Stream`] of changes too, which ends with its client.
#[derive(Debug)]
pub struct StatusWatch {
    board: Arc<Board>,
    /// The version that was seen last.
    seen: u64,
    listener: Option<EventListener>,
}

impl StatusWatch {
    /// The status now. [`Status::Closed`] if the client was dropped.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.notice().status
    }

    /// Waits until the status is another one than this watch has told last, or than there was when it
    /// was made. `None` if the client was dropped.
    ///
    /// Cancel-safe: what a dropped future has not told is told by the next one.
    pub async fn changed(&mut self) -> Option<Status> {
        poll_fn(|cx| self.poll_changed(cx)).await
    }

    /// Waits until the status is one that is `wanted`, and tells which; at once if it is. `None` if the
    /// client was dropped.
    ///
    /// ```no_run
    /// # use tidewire_runtime::{Status, StatusWatch};
    /// # async fn example(mut watch: StatusWatch) {
    /// let is_open = watch.wait_for(|status| status == Status::Open).await.is_some();
    /// # }
    /// ```
    pub async fn wait_for(&mut self, wanted: impl Fn(Status) -> bool) -> Option<Status> {
        let mut status = {
            let notice = self.board.notice();
            self.seen = notice.version;
            Some(notice.status).filter(|_| !notice.last)
        };
        while status.is_some_and(|status| !wanted(status)) {
            status = self.changed().await;
        }
        status
    }

    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Status>> {
        loop {
            let notice = *self.board.notice();
            if notice.last || notice.version != self.seen {
                self.seen = notice.version;
                self.listener = None;
                return Poll::Ready(Some(notice.status).filter(|_| !notice.last));
            }
            // Listens first, and looks again: a change in between is not missed.
            let listener = match &mut self.listener {
                Some(listener) => listener,
                none => {
                    *none = Some(self.board.changed.listen());
                    continue;
                }
            };
            ready!(Pin::new(listener).poll(cx));
            self.listener = None;
        }
    }
}

impl Clone for StatusWatch {
    fn clone(&self) -> Self {
        Self { board: self.board.clone(), seen: self.seen, listener: None }
    }
}

impl Stream for StatusWatch {
    type Item = Status;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Status>> {
        self.poll_changed(cx)
    }
}

/// Where the status is written for all to see.
#[derive(Debug)]
struct Board {
    notice: Mutex<Notice>,
    changed: Event,
}

#[derive(Clone, Copy, Debug)]
struct Notice {
    status: Status,
    version: u64,
    /// The client was dropped.
    last: bool,
}

impl Board {
    fn notice(&self) -> MutexGuard<'_, Notice> {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, status: Status, last: bool) {
        let mut notice = self.notice();
        *notice = Notice { status, version: notice.version + 1, last };
        drop(notice);
        self.changed.notify(usize::MAX);
    }
}

/// The client's side: writes what has changed, if anybody ever wanted to know.
#[derive(Debug, Default)]
pub(crate) struct Reporter(Option<(Arc<Board>, Status)>);

impl Reporter {
    pub(crate) fn watch(&mut self, status: Status) -> StatusWatch {
        self.report(|| status);
        let (board, _) = self.0.get_or_insert_with(|| {
            let notice = Mutex::new(Notice { status, version: 0, last: false });
            (Arc::new(Board { notice, changed: Event::new() }), status)
        });
        let seen = board.notice().version;
        StatusWatch { board: board.clone(), seen, listener: None }
    }

    /// To be called whenever something may have changed.
    #[inline]
    pub(crate) fn report(&mut self, status: impl FnOnce() -> Status) {
        if let Some((board, last)) = &mut self.0 {
            let status = status();
            if status != *last {
                *last = status;
                board.write(status, false);
            }
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some((board, _)) = &self.0 {
            board.write(Status::Closed, true);
        }
    }
}
