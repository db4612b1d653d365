//! What the head of a response means to an `EventSource` (WHATWG HTML, 9.2.2; RFC 9110, 15).

use crate::http::{self, Headers, Hop, Member, RedirectError, ResponseHead, Status};
use crate::sse::{MEDIA_TYPE, SourceConfig, SourceError};
use core::time::Duration;

pub(super) enum Answer {
    Stream,
    /// Elsewhere. Do requests to come go there at once?
    Redirect {
        to: Hop,
        for_ever: bool,
    },
    Refusal {
        why: SourceError,
        /// No attempt before.
        after: Duration,
    },
}

impl Answer {
    /// The answer to the request that came to `hop` by so many `redirects` and was a `method` at
    /// first.
    pub(super) fn of(
        head: ResponseHead<'_>,
        config: &SourceConfig,
        hop: &Hop,
        redirects: u8,
        method: &str,
    ) -> Self {
        let status = head.status;
        let why = if http::is_redirect(status) {
            let location = head.headers.get_str("Location").ok_or(RedirectError::Location);
            match location.and_then(|location| hop.follow(status, location, method)) {
                Ok(_) if redirects >= config.max_redirects => RedirectError::TooMany.into(),
                Ok(to) => return Self::Redirect { to, for_ever: http::is_permanent(status) },
                Err(why) => why.into(),
            }
        } else if status == Status::OK {
            match is_event_stream(head.headers) {
                true if is_coded(head.headers) => SourceError::ContentCoding,
                true => return Self::Stream,
                false => SourceError::ContentType,
            }
        } else if config.retried.contains(&status) && status != Status::NO_CONTENT {
            let after = retry_after(head.headers).unwrap_or_default().min(config.max_retry);
            return Self::Refusal { why: SourceError::Unavailable(status), after };
        } else {
            SourceError::Status(status)
        };
        Self::Refusal { why, after: Duration::ZERO }
    }
}

/// Whether the media type is that of an event stream. Parameters mean nothing: the stream is UTF-8
/// whatever they say (9.2.5). Of several types the last one counts that is a type and not a range
/// (Fetch, "extract a MIME type").
fn is_event_stream(headers: Headers<'_>) -> bool {
    let essences = headers.list("Content-Type").filter_map(|value| {
        let essence = value.split(|&byte| byte == b';').next()?;
        Member::parse(essence.trim_ascii())
    });
    let types = essences.filter(|essence| essence.value().contains('/') && !essence.is("*/*"));
    types.last().is_some_and(|essence| essence.is(MEDIA_TYPE))
}

/// Whether there is a content coding (RFC 9110, 8.4), which would make an event stream a stream of
/// nothing: bytes that are compressed have no fields in them.
fn is_coded(headers: Headers<'_>) -> bool {
    headers.list("Content-Encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3). Its other form, a date, says nothing to a machine
/// without a clock.
fn retry_after(headers: Headers<'_>) -> Option<Duration> {
    let digits = headers.get_str("Retry-After")?;
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More than the number type holds is clamped by the caller as any other long time.
    valid.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}
