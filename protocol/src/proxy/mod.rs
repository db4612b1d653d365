//! Tunnels through proxies: CONNECT (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928, RFC 1929), and which proxy
//! to take.
//!
//! ```text
//!   Proxy, Destination --> Tunnel --> Open: the same transport now leads to the destination
//!                                     Refused, and why
//! ```
//!
//! | URL of the proxy | the way to it | who looks up the destination's name |
//! |---|---|---|
//! | `http://[user:password@]host[:80]` | TCP | the proxy |
//! | `https://[user:password@]host[:443]` | TLS | the proxy |
//! | `socks5://[user:password@]host[:1080]` | TCP | the client |
//! | `socks5h://[user:password@]host[:1080]` | TCP | the proxy |
//!
//! A tunnel is made for every destination, with TLS or without. Proxies are known that let CONNECT lead
//! to port 443 alone: they answer `403` to others.
//!
//! [`Environment`] picks a proxy as `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say.

mod environment;
mod http_connect;
mod no_proxy;
mod socks5;
mod tunnel;

pub use environment::{Environment, EnvironmentError};
pub use no_proxy::NoProxy;
pub use socks5::{MalformedReply, Reply};
pub use tunnel::{Destination, Refusal, Tunnel, TunnelEvent};

use crate::http::chars;
use crate::url::{self, Authority, UrlError};
use alloc::string::String;
use alloc::vec::Vec;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use core::fmt;
use core::time::Duration;

/// A proxy: where it is, what it speaks, and what to say to it.
///
/// ```
/// use tidewire::proxy::{Proxy, Scheme};
///
/// let proxy = Proxy::parse("http://Aladdin:open%20sesame@proxy.example:3128")?;
/// assert_eq!((proxy.scheme(), proxy.host(), proxy.port()), (Scheme::Http, "proxy.example", 3128));
/// assert_eq!(proxy.to_string(), "http://***@proxy.example:3128");
/// # Ok::<(), tidewire::proxy::ProxyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    scheme: Scheme,
    /// In lower case and without brackets.
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    fields: Vec<(String, Vec<u8>)>,
    timeout: Option<Duration>,
}

/// User and password.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Credentials {
    user: String,
    password: String,
}

/// What a [`Proxy`] speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// CONNECT over TCP; port 80.
    Http,
    /// CONNECT over TLS; port 443.
    Https,
    /// SOCKS5; port 1080. It is given addresses: names are looked up by the client.
    Socks5,
    /// SOCKS5; port 1080. It is given names, which it looks up itself.
    Socks5h,
}

impl Scheme {
    /// `http`, `https`, `socks5` or `socks5h`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// The port that goes without saying.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    fn parse(scheme: &str) -> Option<Self> {
        let is = |known: &Self| scheme.eq_ignore_ascii_case(known.as_str());
        [Self::Http, Self::Https, Self::Socks5, Self::Socks5h].into_iter().find(is)
    }
}

impl From<UrlError> for ProxyError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

/// Why there is no such [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Something other than `http`, `https`, `socks5` or `socks5h` before `://`.
    #[error("the scheme of the proxy is not http, https, socks5 or socks5h")]
    Scheme,
    /// Host or port are missing or malformed, or user and password not percent-encoded as they should.
    #[error("the proxy's URL: {0}")]
    Url(UrlError),
    /// There is a path, query or fragment, which no proxy is asked for: this may be the URL of a script
    /// that picks one.
    #[error("the proxy's URL has a path")]
    Path,
    /// The user or password cannot be sent: a colon in the user's name or a control byte for HTTP (RFC
    /// 7617, 2), no user or more than 255 bytes of either for SOCKS5 (RFC 1929, 2).
    #[error("user or password cannot be sent to this proxy (RFC 7617, 2; RFC 1929, 2)")]
    Credentials,
    /// The name of the field is no token (RFC 9110, 5.6.2).
    #[error("the name of the field is no token")]
    FieldName,
    /// The value of the field has a line break, NUL or another control byte (RFC 9110, 5.5).
    #[error("the value of the field holds a control byte")]
    FieldValue,
    /// The request writes this field itself, or must not have it: `Host`, `Connection`, `Upgrade`,
    /// `Content-Length`, `Transfer-Encoding`.
    #[error("this field is not for the caller to give")]
    Reserved,
}

impl Proxy {
    /// How long a tunnel may take, unless [`timeout`](Self::timeout) says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Parses the URL of a proxy. Without a scheme it is one of `http`, as in the variables of the
    /// environment. User and password are percent-decoded.
    ///
    /// The port that goes without saying is that of the scheme, as in browsers (curl takes 1080 for
    /// `http` too).
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn parse(url: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (Scheme::parse(scheme).ok_or(ProxyError::Scheme)?, rest),
            None => (Scheme::Http, url),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(ProxyError::Path);
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (userinfo, host_port),
            None => ("", authority),
        };
        let (host, port) = url::split_port(host_port)?;
        let port = url::parse_port(port)?.unwrap_or(scheme.default_port());
        let proxy = Self {
            scheme,
            host,
            port,
            credentials: None,
            fields: Vec::new(),
            timeout: Some(Self::TIMEOUT),
        };
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let (user, password) = (url::percent_decode(user)?, url::percent_decode(password)?);
        if user.is_empty() && password.is_empty() {
            return Ok(proxy);
        }
        proxy.credentials(&user, &password)
    }

    /// Gives user and password: as Basic credentials (RFC 7617) to an HTTP proxy, with the first request,
    /// as curl does, and by RFC 1929 to a SOCKS5 proxy that asks for them. Both send them as they are:
    /// whoever sees the way to the proxy sees them, unless it is TLS.
    ///
    /// An empty password is sent to a SOCKS5 proxy as one of length 0, which RFC 1929 does not foresee.
    ///
    /// # Errors
    /// [`ProxyError::Credentials`].
    pub fn credentials(mut self, user: &str, password: &str) -> Result<Self, ProxyError> {
        let control = |text: &str| text.chars().any(|char| char.is_ascii_control());
        let sendable = if self.scheme.is_http() {
            !user.contains(':') && !control(user) && !control(password)
        } else {
            (1..=255).contains(&user.len()) && password.len() <= 255
        };
        if !sendable {
            return Err(ProxyError::Credentials);
        }
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        Ok(self)
    }

    /// Adds a field to the CONNECT requests, behind `Host` and `Proxy-Authorization`, with its case. A
    /// `Proxy-Authorization` given here is sent instead of Basic credentials. SOCKS5 knows no fields.
    ///
    /// # Errors
    /// [`ProxyError::FieldName`], [`FieldValue`](ProxyError::FieldValue) and
    /// [`Reserved`](ProxyError::Reserved).
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, ProxyError> {
        const RESERVED: [&str; 5] =
            ["Host", "Connection", "Upgrade", "Content-Length", "Transfer-Encoding"];
        let value = chars::trim_ows(value.as_ref());
        if !chars::is_token(name.as_bytes()) {
            return Err(ProxyError::FieldName);
        }
        if !value.iter().copied().all(chars::is_value_byte) {
            return Err(ProxyError::FieldValue);
        }
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(ProxyError::Reserved);
        }
        self.fields.push((name.into(), value.into()));
        Ok(self)
    }

    /// How long a tunnel may take once there is a connection to the proxy, which includes the proxy's
    /// own way to the destination. `None` for ever. Default: [`TIMEOUT`](Self::TIMEOUT), 30 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// What it speaks.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or address to connect to, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the way to it is TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Https)
    }

    /// Whether it wants the destination's address: a name is to be looked up before a tunnel is made.
    #[must_use]
    pub const fn wants_address(&self) -> bool {
        matches!(self.scheme, Scheme::Socks5)
    }

    /// The value of `Proxy-Authorization` (RFC 9110, 11.7.2) that user and password make.
    fn authorization(&self) -> Option<String> {
        let Credentials { user, password } = self.credentials.as_ref()?;
        let pair = [user, ":", password].concat();
        Some(alloc::format!("Basic {}", Base64Display::new(pair.as_bytes(), &BASE64)))
    }
}

/// The URL without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = if self.credentials.is_some() { "***@" } else { "" };
        let authority = Authority { host: &self.host, port: Some(self.port) };
        write!(f, "{}://{secret}{authority}", self.scheme.as_str())
    }
}

/// The same: fields may hold secrets, too.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl core::str::FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(url: &str) -> Result<Self, ProxyError> {
        Self::parse(url)
    }
}
