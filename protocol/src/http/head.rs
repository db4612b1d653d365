//! Heads, lent and owned.

use super::headers::{Headers, text};
use super::{Status, Version};
use alloc::boxed::Box;
use core::fmt;

/// The head of a request, a view over the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method, case and all: `GET`.
    pub method: &'a str,
    /// The request target as it was sent: `/path?query`, or one of the other forms of RFC 9112, 3.2.
    pub target: &'a str,
    /// The version.
    pub version: Version,
    /// The header lines.
    pub headers: Headers<'a>,
}

impl<'a> RequestHead<'a> {
    /// The path of the target, percent-encoding untouched: `/path`. `*` and the target of a CONNECT
    /// are returned whole, and a URL without a path has the path `/`.
    #[must_use]
    pub fn path(self) -> &'a str {
        let target = self.target;
        let from = match target.find("://") {
            Some(scheme) if !target.starts_with('/') => match target[scheme + 3..].find(['/', '?'])
            {
                Some(path) => &target[scheme + 3 + path..],
                None => "/",
            },
            _ => target,
        };
        match from.split_once('?') {
            Some(("", _)) => "/",
            Some((path, _)) => path,
            None => from,
        }
    }

    /// What follows the first `?` of the target.
    #[must_use]
    pub fn query(self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// A copy that lives on.
    #[must_use]
    pub fn to_owned(self) -> OwnedRequestHead {
        let (method, target) = (self.method.as_bytes(), self.target.as_bytes());
        let line = [method, target].concat();
        OwnedRequestHead {
            method: method.len(),
            version: self.version,
            line: text(&line).into(),
            headers: self.headers.to_owned(),
        }
    }
}

/// A [`RequestHead`] that owns its bytes.
#[derive(Clone)]
pub struct OwnedRequestHead {
    /// Method and target, one behind the other.
    line: Box<str>,
    method: usize,
    version: Version,
    headers: super::OwnedHeaders,
}

impl OwnedRequestHead {
    /// The view over it.
    #[must_use]
    pub fn as_head(&self) -> RequestHead<'_> {
        let (method, target) = self.line.split_at(self.method);
        RequestHead { method, target, version: self.version, headers: self.headers.as_headers() }
    }
}

impl fmt::Debug for OwnedRequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_head().fmt(f)
    }
}

/// The head of a response, a view over the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The version.
    pub version: Version,
    /// The status.
    pub status: Status,
    /// The reason phrase, which may be empty and means nothing (RFC 9112, 4).
    pub reason: &'a [u8],
    /// The header lines.
    pub headers: Headers<'a>,
}

impl ResponseHead<'_> {
    /// A copy that lives on.
    #[must_use]
    pub fn to_owned(self) -> OwnedResponseHead {
        OwnedResponseHead {
            version: self.version,
            status: self.status,
            reason: self.reason.into(),
            headers: self.headers.to_owned(),
        }
    }
}

/// A [`ResponseHead`] that owns its bytes.
#[derive(Clone)]
pub struct OwnedResponseHead {
    version: Version,
    status: Status,
    reason: Box<[u8]>,
    headers: super::OwnedHeaders,
}

impl OwnedResponseHead {
    /// The view over it.
    #[must_use]
    pub fn as_head(&self) -> ResponseHead<'_> {
        ResponseHead {
            version: self.version,
            status: self.status,
            reason: &self.reason,
            headers: self.headers.as_headers(),
        }
    }
}

impl fmt::Debug for OwnedResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_head().fmt(f)
    }
}
