//! What the machines decide, as events of the crate `tracing`, each in the span of its machine.
//!
//! Without the feature `tracing` all of this is empty. What is a secret, or may be one, is no field of
//! any: not user, password and query of a URL, no value of a header field, nothing of a payload.

/// The span of a machine. Its events name it as their parent, so that they are in it whoever's task
/// calls the machine. It begins with the machine, in the span that is entered then.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    #[cfg(feature = "tracing")]
    pub(crate) inner: tracing::Span,
}

impl Span {
    /// Makes what `make` makes a part of this span.
    pub(crate) fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.inner.enter();
        make()
    }
}

/// A span: target, name, fields.
macro_rules! span {
    ($target:literal, $name:literal $(, $($fields:tt)*)?) => {
        $crate::trace::Span {
            #[cfg(feature = "tracing")]
            inner: ::tracing::info_span!(target: $target, $name $(, $($fields)*)?),
        }
    };
}
pub(crate) use span;

/// An event: target, level, the span of the machine unless it has none, fields, and what happened.
/// Nothing of it is evaluated unless somebody listens.
macro_rules! event {
    ($target:literal, $level:ident, in $span:expr, $($fields:tt)*) => {{
        #[cfg(feature = "tracing")]
        ::tracing::event!(
            target: $target,
            parent: &$span.inner,
            ::tracing::Level::$level,
            $($fields)*
        );
        #[cfg(not(feature = "tracing"))]
        let _ = &$span;
    }};
    ($target:literal, $level:ident, $($fields:tt)*) => {{
        #[cfg(feature = "tracing")]
        ::tracing::event!(target: $target, ::tracing::Level::$level, $($fields)*);
    }};
}
pub(crate) use event;

/// A URL as it may be told to anybody: without user, password and query.
#[cfg(feature = "tracing")]
pub(crate) struct Public<'a>(pub(crate) &'a crate::url::Url);

#[cfg(feature = "tracing")]
impl core::fmt::Display for Public<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(url) = self;
        let path = path_of(url.target());
        write!(f, "{}://{}{path}", url.scheme().as_str(), url.host_header())
    }
}

/// What of a request target (RFC 9112, 3.2) may be told to anybody: its path, or what it is instead of
/// one, a CONNECT's host and port say.
#[cfg(feature = "tracing")]
pub(crate) fn path_of(target: &str) -> &str {
    let target = target.split_once('?').map_or(target, |(path, _)| path);
    match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    }
}
