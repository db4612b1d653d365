//! What nobody can do without.

use super::payload::Payload;
use crate::measure::Contestant;
use std::hint::black_box;

/// The payload is moved once: by the read, or into what is written.
pub(super) fn memcpy(payload: &Payload) -> Contestant<'static> {
    let (from, mut to) = (payload.bytes.clone(), vec![0; payload.bytes.len()]);
    Contestant::new("memcpy of the payload (the limit)", move || {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
    })
}

/// Text is checked once.
pub(super) fn simdutf8(payload: &Payload) -> Contestant<'static> {
    let text = payload.bytes.clone();
    Contestant::new("simdutf8 alone", move || {
        black_box(simdutf8::basic::from_utf8(black_box(&text)).is_ok());
    })
}

/// Both.
pub(super) fn memcpy_and_simdutf8(payload: &Payload) -> Contestant<'static> {
    let (from, mut to) = (payload.bytes.clone(), vec![0; payload.bytes.len()]);
    Contestant::new("memcpy, then simdutf8 (the limit)", move || {
        to.copy_from_slice(black_box(&from));
        black_box(simdutf8::basic::from_utf8(black_box(&to)).is_ok());
    })
}
