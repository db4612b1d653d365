//! What a client asks for.

use crate::http::{RedirectError, ResponseHead, chars, is_redirect, redirect};
use crate::url::{Url, UrlError};
use alloc::{string::String, vec::Vec};

/// An opening handshake to make, as often as it takes: where to, and what to say.
///
/// ```
/// use tidewire::ws::handshake::{Request, RequestError};
///
/// let request = Request::new("ws://127.0.0.1:1234/chat")?
///     .field("Cookie", "PHPSID=abcdefg; token=12345")?
///     .subprotocol("chat.v2")?;
/// assert_eq!(request.url().host_header(), "127.0.0.1:1234");
/// assert_eq!(
///     Request::new("ws://h/")?.field("X\r\nY", "z").unwrap_err(),
///     RequestError::FieldName,
/// );
/// # Ok::<(), RequestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    url: Url,
    fields: Vec<(String, Vec<u8>)>,
    subprotocols: Vec<String>,
}

/// What cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The URL is none, or has a fragment.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The name of the field is no token (RFC 9110, 5.6.2): it is empty, or has a space, a colon, a
    /// line break or the like.
    #[error("the name of the field is no token")]
    FieldName,
    /// The value of the field has a line break, NUL or another control byte (RFC 9110, 5.5).
    #[error("the value of the field holds a control byte")]
    FieldValue,
    /// The handshake writes this field itself: `Sec-WebSocket-…`, `Upgrade`, `Connection`,
    /// `Content-Length`, `Transfer-Encoding`. Subprotocols have a method of their own.
    #[error("the handshake writes this field itself")]
    Reserved,
    /// `Host` was given before.
    #[error("a request has one Host")]
    DuplicateHost,
    /// The subprotocol is no token or was offered before (RFC 6455, 4.1).
    #[error("the subprotocol is no token or was offered before")]
    Subprotocol,
}

impl Request {
    /// A handshake with the server at `url`: `ws://…` or `wss://…`, or the same with `http` and
    /// `https`. User and password in it become `Authorization: Basic`, unless that field is given.
    ///
    /// # Errors
    /// [`RequestError::Url`].
    pub fn new(url: &str) -> Result<Self, RequestError> {
        Ok(Self::to(Url::parse(url)?))
    }

    /// The same, for a URL that is parsed already.
    #[must_use]
    pub const fn to(url: Url) -> Self {
        Self { url, fields: Vec::new(), subprotocols: Vec::new() }
    }

    /// Adds a header field. Fields are sent behind those of the handshake, with their case and order;
    /// `Host` replaces the one that the URL has.
    ///
    /// # Errors
    /// [`RequestError::FieldName`], [`FieldValue`](RequestError::FieldValue),
    /// [`Reserved`](RequestError::Reserved) and [`DuplicateHost`](RequestError::DuplicateHost).
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, RequestError> {
        self.add_field(name, value)?;
        Ok(self)
    }

    /// Offers a subprotocol, the most wanted one first (RFC 6455, 1.9).
    ///
    /// # Errors
    /// [`RequestError::Subprotocol`].
    pub fn subprotocol(mut self, name: &str) -> Result<Self, RequestError> {
        self.add_subprotocol(name)?;
        Ok(self)
    }

    /// As [`field`](Self::field), to change a request for the next attempt.
    ///
    /// # Errors
    /// As [`field`](Self::field); nothing was added.
    pub fn add_field(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), RequestError> {
        let value = chars::trim_ows(value.as_ref());
        check_field(name, value)?;
        if name.eq_ignore_ascii_case("Host") && self.has("Host") {
            return Err(RequestError::DuplicateHost);
        }
        self.fields.push((name.into(), value.into()));
        Ok(())
    }

    /// As [`subprotocol`](Self::subprotocol), to change a request for the next attempt.
    ///
    /// # Errors
    /// [`RequestError::Subprotocol`]; nothing was added.
    pub fn add_subprotocol(&mut self, name: &str) -> Result<(), RequestError> {
        if !chars::is_token(name.as_bytes()) || self.subprotocols.iter().any(|other| other == name)
        {
            return Err(RequestError::Subprotocol);
        }
        self.subprotocols.push(name.into());
        Ok(())
    }

    /// Drops every field of this name, without regard to case.
    pub fn remove_field(&mut self, name: &str) {
        self.fields.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    /// Goes where the answer `head` says, if it is a redirect (RFC 9110, 15.4): changes the
    /// [`url`](Self::url), and drops the fields that are not for another origin, which are
    /// `Authorization`, `Cookie`, `Proxy-Authorization` and `Host`. `false`, and nothing is changed, if
    /// it is none.
    ///
    /// No machine here follows a redirect by itself (RFC 6455, 4.1, leaves it to the client). Whoever
    /// does should count, since redirects may go in circles.
    ///
    /// ```
    /// use tidewire::http::{OwnedResponseHead, Status, Version};
    /// use tidewire::ws::handshake::Request;
    ///
    /// let mut request = Request::new("wss://example.com/chat")?.field("Cookie", "a=b")?;
    /// // Of `HandshakeEvent::Refused`, or of the error of whatever drives the handshake.
    /// let fields = [("Location", "//eu.example.com/chat")];
    /// let head = OwnedResponseHead::new(Version::Http11, Status::FOUND, fields)?;
    ///
    /// if request.follow(head.as_head())? {
    ///     // Make another handshake.
    /// }
    /// assert_eq!(request.url().to_string(), "wss://eu.example.com/chat");
    /// assert_eq!(request.fields().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RedirectError::Location`] and [`RedirectError::Insecure`]; nothing was changed.
    pub fn follow(&mut self, head: ResponseHead<'_>) -> Result<bool, RedirectError> {
        if !is_redirect(head.status) {
            return Ok(false);
        }
        let location = head.headers.get_str("Location").ok_or(RedirectError::Location)?;
        let url = redirect::resolve(&self.url, location)?;
        if !redirect::same_origin(&self.url, &url) {
            self.fields.retain(|(name, _)| !redirect::is_of_origin(name));
        }
        self.url = url;
        Ok(true)
    }

    /// Changes where the next attempt goes.
    pub fn set_url(&mut self, url: Url) {
        self.url = url;
    }

    /// Where to.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The fields that were added, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.fields.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The subprotocols that are offered, in their order.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

/// Whether a field may stand beside those of the handshake, in either direction.
pub(super) fn check_field(name: &str, value: &[u8]) -> Result<(), RequestError> {
    if !chars::is_token(name.as_bytes()) {
        return Err(RequestError::FieldName);
    }
    if !value.iter().copied().all(chars::is_value_byte) {
        return Err(RequestError::FieldValue);
    }
    const RESERVED: [&str; 4] = ["Upgrade", "Connection", "Content-Length", "Transfer-Encoding"];
    let prefix = name.get(.."Sec-WebSocket-".len()).unwrap_or_default();
    if prefix.eq_ignore_ascii_case("Sec-WebSocket-")
        || RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
    {
        return Err(RequestError::Reserved);
    }
    Ok(())
}
