//! What this crate decides, as events of the crate `tracing`, and the spans that handlers run in.
//!
//! Without the feature `tracing` all of this is empty. As in the protocol crate, what may be a secret is
//! no field of any: of a URL host and port are told, of a request its method and path.

/// A span that is entered while what belongs to it is polled.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    #[cfg(feature = "tracing")]
    pub(crate) inner: tracing::Span,
}

/// While it lives, a span is entered.
pub(crate) struct Entered<'a> {
    #[cfg(feature = "tracing")]
    _entered: tracing::span::Entered<'a>,
    #[cfg(not(feature = "tracing"))]
    _span: &'a Span,
}

impl Span {
    pub(crate) fn none() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            inner: tracing::Span::none(),
        }
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        Entered {
            #[cfg(feature = "tracing")]
            _entered: self.inner.enter(),
            #[cfg(not(feature = "tracing"))]
            _span: self,
        }
    }
}

/// A span: target, name, fields.
macro_rules! span {
    ($target:literal, $name:literal, $($fields:tt)*) => {
        $crate::trace::Span {
            #[cfg(feature = "tracing")]
            inner: ::tracing::info_span!(target: $target, $name, $($fields)*),
        }
    };
}
pub(crate) use span;

/// An event: target, level, fields, and what happened. Nothing of it is evaluated unless somebody
/// listens.
macro_rules! event {
    ($target:literal, $level:ident, $($fields:tt)*) => {{
        #[cfg(feature = "tracing")]
        ::tracing::event!(target: $target, ::tracing::Level::$level, $($fields)*);
    }};
}
pub(crate) use event;
