//! Why a connection carries no further exchange.

/// Why no further exchange follows on a connection (RFC 9112, 9.3 to 9.6). The first reason counts.
///
/// ```
/// use tidewire::http::{Client, ClientConfig, CloseReason};
///
/// let mut client = Client::new(ClientConfig::default(), tidewire::Instant::EPOCH);
/// assert_eq!(client.close_reason(), None);
/// client.shutdown();
/// assert_eq!(client.close_reason(), Some(CloseReason::Shutdown));
/// assert_eq!(CloseReason::Shutdown.to_string(), "it was shut down by the caller");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// A message of HTTP/1.0 without `Connection: keep-alive` (RFC 9112, 9.3).
    #[error("the peer speaks HTTP/1.0 and has not asked to keep the connection")]
    Http10,
    /// The client said `Connection: close` (RFC 9112, 9.6).
    #[error("the client said Connection: close")]
    ClientSaidClose,
    /// The server said `Connection: close` (RFC 9112, 9.6).
    #[error("the server said Connection: close")]
    ServerSaidClose,
    /// The end of the connection is the end of the response's body (RFC 9112, 6.3).
    #[error("the response ends with the connection")]
    CloseDelimited,
    /// The request waits for `100 Continue` and got a final response: whether its body will come is
    /// unknown (RFC 9110, 10.1.1).
    #[error("a final response was given where 100 Continue was expected")]
    NoContinue,
    /// The client has shut down its sending side.
    #[error("the client has shut down its sending side")]
    HalfClosed,
    /// A response with both `Transfer-Encoding` and `Content-Length` was put up with
    /// ([`Leniency::length_and_coding`](super::Leniency), RFC 9112, 6.3).
    #[error("a response had both Transfer-Encoding and Content-Length")]
    LengthAndCoding,
    /// The caller shut it down.
    #[error("it was shut down by the caller")]
    Shutdown,
    /// The peer closed it while nothing was under way (RFC 9112, 9.5).
    #[error("the peer closed it while nothing was under way")]
    PeerClosed,
    /// It has ended, or is about to, because of what [`Closed`](super::Closed) tells.
    #[error("it has failed")]
    Failed,
}
