//! `Date` and `Server`, which responses have whatever else they say.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidewire::http::{DefaultFields, Misuse};

/// What IMF-fixdate can say ends with the year 9999 (RFC 9110, 5.6.7).
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

/// The fields of one server, formatted once a second at most, for all of its connections.
#[derive(Debug)]
pub(crate) struct ServerFields {
    name: Option<String>,
    has_date: bool,
    /// The fields, and until when they hold.
    current: Mutex<(DefaultFields, Instant)>,
}

impl ServerFields {
    pub(crate) fn new(name: Option<String>, has_date: bool) -> Result<Self, Misuse> {
        let current = Mutex::new(make(name.as_deref(), has_date)?);
        Ok(Self { name, has_date, current })
    }

    /// The fields of a response that begins `now`, and until when they hold.
    pub(crate) fn get(&self, now: Instant) -> (DefaultFields, Instant) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1 <= now {
            // The name was good before, and a date is always.
            if let Ok(next) = make(self.name.as_deref(), self.has_date) {
                *current = next;
            }
        }
        current.clone()
    }
}

fn make(name: Option<&str>, has_date: bool) -> Result<(DefaultFields, Instant), Misuse> {
    // RFC 9110, 6.6.1: who has no clock that could be right says nothing.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let now = now.filter(|now| has_date && *now <= LAST_DATE);
    let date = now.map(|now| httpdate::fmt_http_date(UNIX_EPOCH + now));
    let lines = [("Date", date.as_deref()), ("Server", name)];
    let lines = lines.iter().filter_map(|&(name, value)| Some((name, value?)));
    let holds = match now {
        Some(now) => Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()),
        None if has_date => Duration::from_secs(1),
        None => Duration::MAX,
    };
    Ok((DefaultFields::new(lines)?, crate::runtime::after(holds)))
}
