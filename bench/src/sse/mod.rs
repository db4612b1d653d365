//! Server-Sent Events: a stream in, events out, and the other way round, all in memory.

mod decode;
mod encode;
mod events;
mod readers;
mod streams;

use crate::measure::Case;

pub(crate) fn cases() -> Vec<Case> {
    decode::cases().into_iter().chain(encode::cases()).collect()
}
