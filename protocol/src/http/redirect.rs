//! Where redirects lead, and what of a request goes along (RFC 9110, 15.4).

use super::Status;
#[cfg(doc)]
use crate::sse::SourceConfig;
use crate::url::{Scheme, Url};

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// More in a row than the limit, such as [`SourceConfig::max_redirects`].
    #[error("too many redirects")]
    TooMany,
    /// `Location` is missing, no URL, or of another scheme.
    #[error("the location of a redirect is missing or no HTTP URL")]
    Location,
    /// From `https` to `http`, or from `wss` to `ws`.
    #[error("a redirect leads from a scheme with TLS to one without")]
    Insecure,
}

/// Whether a client may follow a response of this status to its `Location` by itself (RFC 9110,
/// 15.4): 301, 302, 303, 307 and 308.
///
/// ```
/// use tidewire::http::{Status, is_redirect};
///
/// assert!(is_redirect(Status::PERMANENT_REDIRECT));
/// assert!(!is_redirect(Status::MULTIPLE_CHOICES) && !is_redirect(Status::NOT_MODIFIED));
/// ```
#[must_use]
pub const fn is_redirect(status: Status) -> bool {
    matches!(status.code(), 301 | 302 | 303 | 307 | 308)
}

/// Whether a redirect of this status holds for later requests too (RFC 9110, 15.4.2 and 15.4.9).
pub(crate) const fn is_permanent(status: Status) -> bool {
    matches!(status.code(), 301 | 308)
}

/// One request on its way along redirects: where it goes, and what of it goes along.
///
/// ```
/// use tidewire::http::{Hop, Status};
/// use tidewire::url::Url;
///
/// let hop = Hop::start(Url::parse("http://example.com/form")?);
/// let hop = hop.follow(Status::SEE_OTHER, "//www.example.com/thanks", "POST")?;
/// assert_eq!(hop.url().to_string(), "http://www.example.com/thanks");
/// assert_eq!(hop.method("POST"), "GET");
/// assert!(!hop.keeps_body() && !hop.carries("Content-Type") && !hop.carries("Cookie"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    url: Url,
    /// A redirect has turned the method into GET.
    get: bool,
    /// A redirect has led to another origin, which the user's credentials are not for.
    foreign: bool,
}

impl Hop {
    /// The request as it is made.
    #[must_use]
    pub const fn start(url: Url) -> Self {
        Self { url, get: false, foreign: false }
    }

    /// Where it goes.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Where a response of `status` with this `Location` leads. `method` is that of the request as
    /// it was made, before any redirect.
    ///
    /// A POST becomes a GET with 301 and 302, as it always has been (RFC 9110, 15.4.2 and 15.4.3);
    /// whatever is no HEAD becomes one with 303 (15.4.4).
    ///
    /// # Errors
    /// [`RedirectError::Location`] and [`RedirectError::Insecure`].
    pub fn follow(
        &self,
        status: Status,
        location: &str,
        method: &str,
    ) -> Result<Self, RedirectError> {
        let url = resolve(&self.url, location)?;
        if !matches!(url.scheme(), Scheme::Http | Scheme::Https) {
            return Err(RedirectError::Location);
        }
        let becomes_get = match (status.code(), self.method(method)) {
            (301 | 302, "POST") => true,
            (303, method) => !matches!(method, "GET" | "HEAD"),
            _ => false,
        };
        Ok(Self {
            get: self.get || becomes_get,
            foreign: self.foreign || !same_origin(&self.url, &url),
            url,
        })
    }

    /// The method that `method` has become.
    #[must_use]
    pub const fn method<'m>(&self, method: &'m str) -> &'m str {
        if self.get { "GET" } else { method }
    }

    /// Whether the body, if there is one, is sent again.
    #[must_use]
    pub const fn keeps_body(&self) -> bool {
        !self.get
    }

    /// Whether a field of this name that the user gave is sent on this hop (RFC 9110, 15.4):
    /// credentials and `Host` only to the first origin, and what tells of a body only with the body.
    #[must_use]
    pub fn carries(&self, name: &str) -> bool {
        let is = |known: &&str| name.eq_ignore_ascii_case(known);
        let of_body = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
            || ["Expect", "Trailer"].iter().any(is);
        !(self.foreign && is_of_origin(name) || self.get && of_body)
    }
}

/// Where `location` leads from `url`, which is never from a scheme with TLS to one without.
pub(crate) fn resolve(url: &Url, location: &str) -> Result<Url, RedirectError> {
    let to = url.join(location).map_err(|_| RedirectError::Location)?;
    if url.is_secure() && !to.is_secure() {
        return Err(RedirectError::Insecure);
    }
    Ok(to)
}

/// Whether a field of this name is for one origin only: credentials and `Host`.
pub(crate) fn is_of_origin(name: &str) -> bool {
    let of_origin = ["Authorization", "Cookie", "Proxy-Authorization", "Host"];
    of_origin.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether two URLs have the same scheme, host and port (RFC 9110, 4.3.1).
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    (a.is_secure(), a.host(), a.port()) == (b.is_secure(), b.host(), b.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn start(url: &str) -> Hop {
        Hop::start(Url::parse(url).unwrap())
    }

    fn status(code: u16) -> Status {
        Status::new(code).unwrap()
    }

    #[test]
    fn the_method_changes_where_the_status_says_so() {
        for (code, method, after) in [
            // RFC 9110, 15.4.2 and 15.4.3: from POST to GET, for historical reasons.
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (301, "PUT", "PUT"),
            (302, "DELETE", "DELETE"),
            (301, "HEAD", "HEAD"),
            // RFC 9110, 15.4.4: a retrieval request, GET or HEAD.
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "GET", "GET"),
            (303, "HEAD", "HEAD"),
            // RFC 9110, 15.4.8 and 15.4.9: must not change.
            (307, "POST", "POST"),
            (308, "POST", "POST"),
            (307, "PATCH", "PATCH"),
            // RFC 9110, 9.1: methods are case-sensitive.
            (301, "post", "post"),
        ] {
            let hop = start("http://h/a").follow(status(code), "/b", method).unwrap();
            assert_eq!(hop.method(method), after, "{code} {method}");
            assert_eq!(hop.keeps_body(), after == method || method == "GET", "{code} {method}");
            assert_eq!(hop.carries("content-type"), hop.keeps_body(), "{code} {method}");
            assert_eq!(hop.carries("Expect"), hop.keeps_body(), "{code} {method}");
            assert!(hop.carries("Authorization") && hop.carries("Accept"));
        }
    }

    #[test]
    fn a_get_that_was_a_post_stays_a_get() {
        let hop = start("http://h/").follow(Status::FOUND, "/a", "POST").unwrap();
        let hop = hop.follow(Status::TEMPORARY_REDIRECT, "/b", "POST").unwrap();
        assert_eq!((hop.method("POST"), hop.keeps_body()), ("GET", false));
    }

    /// RFC 9110, 15.4: fields with security implications are not for another origin, not even when
    /// the way leads back.
    #[test]
    fn credentials_do_not_leave_their_origin() {
        for (location, foreign) in [
            ("/b", false),
            ("?q", false),
            ("http://H:80/", false),
            ("http://h:81/", true),
            ("http://h.example/", true),
            ("https://h/", true),
            ("//other/", true),
        ] {
            let hop = start("http://h/a").follow(Status::FOUND, location, "GET").unwrap();
            for name in ["authorization", "Cookie", "Proxy-Authorization", "HOST"] {
                assert_eq!(hop.carries(name), !foreign, "{location} {name}");
            }
            assert!(hop.carries("X-Own"));
        }
        let there = start("http://h/").follow(Status::FOUND, "http://other/", "GET").unwrap();
        let back = there.follow(Status::FOUND, "http://h/", "GET").unwrap();
        assert!(!back.carries("Authorization"));
    }

    /// RFC 9110, 10.2.2: `Location` is a reference, relative to the target of the request. Its
    /// fragment is the program's business.
    #[test]
    fn location_is_a_reference() {
        for (location, url) in [
            ("b?c#d", "http://h/x/b?c"),
            ("../b", "http://h/b"),
            ("", "http://h/x/y"),
            ("http://other:8080", "http://other:8080/"),
        ] {
            let hop = start("http://h/x/y").follow(Status::FOUND, location, "GET").unwrap();
            assert_eq!(hop.url().to_string(), url);
        }
        for location in ["ftp://h/", "javascript:1", "ws://h/", "http://", "http://h:99999/"] {
            let refused = start("http://h/").follow(Status::FOUND, location, "GET");
            assert_eq!(refused, Err(RedirectError::Location), "{location}");
        }
    }

    /// RFC 9110, 4.2.2: the two schemes are distinct, and what was asked for in confidence stays so.
    #[test]
    fn https_does_not_become_http() {
        let secure = start("https://h/");
        assert_eq!(secure.follow(Status::FOUND, "http://h/", "GET"), Err(RedirectError::Insecure));
        assert!(secure.follow(Status::FOUND, "/b", "GET").is_ok());
    }
}
