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
///
/// Shown, it says everything, with the words of what lies below: those of the operating system, say. So
/// that nothing is told twice by who shows each [source](std::error::Error::source) too, what is shown
/// already is no source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection.
    #[error("{phase}: {source}")]
    Dial {
        /// The phase that failed.
        phase: DialError,
        /// The operating system's words, if it had any.
        // Raw, so that `thiserror` does not take it for a source.
        r#source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(io::Error),
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
    NotText(std::string::FromUtf8Error),
    /// What the body of a request should be read from failed.
    #[error("the source of the body failed: {0}")]
    Source(io::Error),
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
    Entropy(io::Error),
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
    /// failed. The one failure of a single address is the `source` of [`Dial`](Self::Dial).
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

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<std::string::FromUtf8Error> for Error {
    fn from(error: std::string::FromUtf8Error) -> Self {
        Self::NotText(error)
    }
}

impl From<DialFailure> for Error {
    fn from((phase, source): DialFailure) -> Self {
        Self::Dial { phase, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire::proxy::{MalformedReply, Refusal};

    /// As `anyhow` shows it by `{:#}`.
    fn chain(error: &dyn std::error::Error) -> String {
        let rest = error.source().map(|source| format!(": {}", chain(source)));
        format!("{error}{}", rest.unwrap_or_default())
    }

    #[test]
    fn an_error_says_why_and_no_chain_says_it_twice() {
        let words = || io::Error::other("the reason");
        let why = Refusal::Malformed(MalformedReply::Version(0x48));
        let refused = ProxyRefused { why, head: None, body: Vec::new() };
        let at = SocketAddr::from(([192, 0, 2, 1], 1));
        let not_text = String::from_utf8(vec![0xFF]).unwrap_err();
        let cases = [
            (Error::from((DialError::Resolve, words())), "the reason"),
            (Error::from((DialError::Tls, TlsError::UnknownIssuer.into())), "issued by nobody"),
            (Error::from((DialError::Proxy, refused.into())), "version 0x48 is not SOCKS5"),
            (
                Error::from((DialError::Connect, ConnectErrors::new(vec![(at, words())]).into())),
                "192.0.2.1:1: the reason",
            ),
            (Error::from(words()), "the reason"),
            (Error::from(not_text), "invalid utf-8"),
            (Error::Source(words()), "the reason"),
            (Error::Entropy(words()), "the reason"),
            (Error::from(http::Misuse::NoUpgrade), "upgrade"),
            (Error::from(tidewire::url::Url::parse("x").unwrap_err()), "the scheme"),
            (Error::Http(http::Closed::Timeout(http::Timer::Head)), "the head is not complete"),
        ];
        for (error, why) in cases {
            let told = error.to_string();
            assert!(told.to_lowercase().contains(&why.to_lowercase()), "{told} lacks {why}");
            let chain = chain(&error);
            assert_eq!(chain.matches(why).count(), told.matches(why).count(), "{chain}");
            // Nor does an error of the operating system's that holds one.
            let held = chain.len();
            assert_eq!(super::tests::chain(&io::Error::other(error)).len(), held, "{chain}");
        }
    }
}
