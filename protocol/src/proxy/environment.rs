//! Which proxy the variables of the environment name.

use super::{NoProxy, Proxy, ProxyError};
use crate::url::Url;
use alloc::string::String;

/// The proxies of the environment's variables, by the conventions of curl.
///
/// | variable | for |
/// |---|---|
/// | `http_proxy` | `http` and `ws` |
/// | `https_proxy`, else `HTTPS_PROXY` | `https` and `wss` |
/// | `all_proxy`, else `ALL_PROXY` | what has none of its own |
/// | `no_proxy`, else `NO_PROXY` | hosts that are connected to without: see [`NoProxy`] |
///
/// A variable that is empty counts as not set. `HTTP_PROXY` is not read: where a program runs as a CGI
/// script, it is what the client sent as `Proxy` (httpoxy).
///
/// Nothing is read here: the values come through a function, which in production is
/// `|name| std::env::var(name).ok()`.
///
/// ```
/// use tidewire::proxy::Environment;
/// use tidewire::url::Url;
///
/// let environment = Environment::new(|name| match name {
///     "https_proxy" => Some("http://proxy.example:3128".into()),
///     "no_proxy" => Some("localhost,.internal".into()),
///     _ => None,
/// });
/// let proxy = environment.proxy_for(&Url::parse("wss://example.com/")?)?;
/// assert_eq!(proxy.map(|proxy| proxy.port()), Some(3128));
/// assert!(environment.proxy_for(&Url::parse("wss://db.internal/")?)?.is_none());
/// assert!(environment.proxy_for(&Url::parse("ws://example.com/")?)?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    http: Option<Result<Proxy, EnvironmentError>>,
    https: Option<Result<Proxy, EnvironmentError>>,
    all: Option<Result<Proxy, EnvironmentError>>,
    no_proxy: NoProxy,
}

/// A variable that is needed names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{variable}: {why}")]
pub struct EnvironmentError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub why: ProxyError,
}

impl Environment {
    /// Asks `get` for the values of the variables.
    pub fn new(mut get: impl FnMut(&str) -> Option<String>) -> Self {
        let mut first = |names: &[&'static str]| {
            names.iter().find_map(|&name| {
                get(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value))
            })
        };
        let mut proxy = |names| {
            first(names).map(|(variable, value)| {
                Proxy::parse(value.trim()).map_err(|why| EnvironmentError { variable, why })
            })
        };
        Self {
            http: proxy(&["http_proxy"]),
            https: proxy(&["https_proxy", "HTTPS_PROXY"]),
            all: proxy(&["all_proxy", "ALL_PROXY"]),
            no_proxy: first(&["no_proxy", "NO_PROXY"])
                .map(|(_, list)| NoProxy::parse(&list))
                .unwrap_or_default(),
        }
    }

    /// The proxy for connections to `url`; `None` if there is to be none.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the variable that counts names no proxy. The others may hold anything.
    pub fn proxy_for(&self, url: &Url) -> Result<Option<&Proxy>, EnvironmentError> {
        if self.no_proxy.matches(url.host(), url.port()) {
            return Ok(None);
        }
        let own = if url.is_secure() { &self.https } else { &self.http };
        match own.as_ref().or(self.all.as_ref()) {
            None => Ok(None),
            Some(proxy) => proxy.as_ref().map(Some).map_err(|error| *error),
        }
    }
}
