//! One error for everything that goes wrong at run time.

use crate::dial::DialFailure;
use crate::dial::error::{ConnectErrors, ProxyRefused};
use crate::tls::TlsError;
use std::io;
use std::net::SocketAddr;
use tidewire::http::{self, OwnedResponseHead};
use tidewire::{DialError, sse, ws};

/// What a handler of a [`Server`](crate::Server) may fail with: any error at all.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// A handler of a [`Server`](crate::Server) panicked. The panic hook has said more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handler panicked")]
pub struct HandlerPanicked;

/// What went wrong, and in which phase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection.
    #[error("{phase}: {source}")]
    Dial {
        /// The phase that failed.
        phase: DialError,
        /// The operating system's words, if it had any.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server did not agree to speak WebSocket.
    #[error("the WebSocket handshake failed: {why}")]
    Handshake {
        /// What was wrong.
        why: ws::handshake::Refusal,
        /// The response's head, if there was one.
        head: Option<OwnedResponseHead>,
        /// The start of the response's body.
        body: Vec<u8>,
    },
    /// A client did not ask for a WebSocket as it should. It was answered already.
    #[error("the WebSocket handshake was refused: {0}")]
    Refused(ws::handshake::Rejection),
    /// A WebSocket connection ended otherwise than by a closing handshake, or in the midst of a message
    /// that was being read or written.
    #[error("the WebSocket connection ended: {0}")]
    WebSocket(ws::Closed),
    /// An HTTP connection ended before its message did.
    #[error("the HTTP connection ended: {0}")]
    Http(http::Closed),
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// A body is longer than the caller wants.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The caller's limit, in bytes.
        limit: usize,
    },
    /// A body is no UTF-8.
    #[error("the body is no UTF-8: {0}")]
    NotText(#[from] std::string::FromUtf8Error),
    /// What the body of a request should be read from failed.
    #[error("the source of the body failed: {0}")]
    Source(#[source] io::Error),
    /// A redirect cannot be followed.
    #[error(transparent)]
    Redirect(#[from] http::RedirectError),
    /// A request was not over in the time that it has for everything,
    /// [`Timeouts::total`](crate::Timeouts::total).
    #[error("the request was not over in time")]
    Deadline,
    /// A message cannot be sent now.
    #[error(transparent)]
    WebSocketSend(#[from] ws::SendError),
    /// An event cannot be sent.
    #[error(transparent)]
    Send(#[from] sse::SendError),
    /// An HTTP command that the state of the exchange does not allow.
    #[error(transparent)]
    HttpMisuse(#[from] http::Misuse),
    /// A WebSocket command that is not allowed.
    #[error(transparent)]
    WebSocketMisuse(#[from] ws::Misuse),
    /// A URL that cannot be used.
    #[error(transparent)]
    Url(#[from] tidewire::url::UrlError),
    /// A WebSocket request that must not be sent.
    #[error(transparent)]
    Request(#[from] ws::handshake::RequestError),
    /// The operating system has no randomness.
    #[error("the operating system has no randomness: {0}")]
    Entropy(#[source] io::Error),
}

/// What took too long: see [`Error::timed_out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// To look up the host and to connect.
    Connect,
    /// To be led on by a proxy.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// To write: the peer took nothing of what waited for it.
    Write,
    /// To wait for the head of the response.
    Head,
    /// To wait for more of a body.
    Body,
    /// All of the request together.
    Total,
}

impl Error {
    /// The phase that took too long, if that is what went wrong.
    #[must_use]
    pub fn timed_out(&self) -> Option<Phase> {
        match self {
            Self::Dial { phase: DialError::Timeout, .. } => Some(Phase::Connect),
            Self::Dial { phase: DialError::TlsTimeout, .. } => Some(Phase::Tls),
            Self::Dial { phase: DialError::ProxyTimeout, .. } => Some(Phase::Proxy),
            Self::Io(error) if error.kind() == io::ErrorKind::TimedOut => Some(Phase::Write),
            Self::WebSocket(ws::Closed::WriteTimeout) => Some(Phase::Write),
            Self::Http(http::Closed::Timeout(timer)) => match timer {
                http::Timer::Write => Some(Phase::Write),
                http::Timer::Body => Some(Phase::Body),
                _ => Some(Phase::Head),
            },
            Self::Deadline => Some(Phase::Total),
            _ => None,
        }
    }

    /// Why there is no TLS connection, or no longer one, if that is what went wrong.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsError> {
        match self {
            Self::Dial { source: error, .. } | Self::Io(error) => TlsError::of(error),
            _ => None,
        }
    }

    /// What a proxy answered, if it did not lead to the target.
    #[must_use]
    pub fn proxy(&self) -> Option<&ProxyRefused> {
        match self {
            Self::Dial { source, .. } => ProxyRefused::of(source),
            _ => None,
        }
    }

    /// What each address of a host has failed with, where several were tried, in the order in which they
    /// failed. The one failure of a single address is the [source](std::error::Error::source).
    #[must_use]
    pub fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        match self {
            Self::Dial { source, .. } => {
                ConnectErrors::of(source).map_or(&[], ConnectErrors::attempts)
            }
            _ => &[],
        }
    }

    /// For the traits of `futures-io`: the operating system's error, or this one in one of theirs.
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::WebSocket(ws::Closed::WriteTimeout) => io::ErrorKind::TimedOut,
            Self::WebSocket(_) => io::ErrorKind::UnexpectedEof,
            Self::WebSocketSend(ws::SendError::NotUtf8) => io::ErrorKind::InvalidData,
            Self::WebSocketSend(_) => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::Other,
        };
        match self {
            Self::Io(error) => error,
            error => io::Error::new(kind, error),
        }
    }

    /// That the connection has ended is no mistake of the caller's.
    pub(crate) fn closed(misuse: http::Misuse) -> Self {
        if misuse == http::Misuse::Closed { Self::Closed } else { misuse.into() }
    }

    pub(crate) fn handshake(
        why: ws::handshake::Refusal,
        head: Option<OwnedResponseHead>,
        body: &[u8],
    ) -> Self {
        Self::Handshake { why, head, body: body.to_vec() }
    }

    /// An error of a [`ws::Client`], with what the operating system said.
    pub(crate) fn client(error: ws::ClientError<'_>, last_words: Option<io::Error>) -> Self {
        match error {
            ws::ClientError::Dial(phase) => {
                let source = last_words.unwrap_or_else(|| io::ErrorKind::TimedOut.into());
                Self::Dial { phase, source }
            }
            ws::ClientError::Handshake { why, head, body } => match last_words {
                // A server that wants another certificate says so when its handshake is over for us.
                Some(error) if head.is_none() && TlsError::of(&error).is_some() => Self::Io(error),
                _ => Self::handshake(why, head, body),
            },
            // A kind that this version does not know.
            _ => Self::Closed,
        }
    }
}

impl From<DialFailure> for Error {
    fn from((phase, source): DialFailure) -> Self {
        Self::Dial { phase, source }
    }
}
