//! A safe face for picohttpparser, for the benchmark alone. It is written in C, so this is the one
//! file of the repository that cannot do without unsafe code; nothing that is published uses it.

use picohttpparser_sys::{
    phr_chunked_decoder, phr_decode_chunked, phr_header, phr_parse_request, phr_parse_response,
};
use std::ptr;

/// What it fills with pointers into the head, used again for the next one.
pub struct Headers([phr_header; 64]);

impl Default for Headers {
    fn default() -> Self {
        Self([phr_header::default(); 64])
    }
}

/// Splits a request head; returns its length and the number of its lines, if it is right.
pub fn request(head: &[u8], headers: &mut Headers) -> Option<(usize, usize)> {
    let (mut method, mut method_len) = (ptr::null(), 0);
    let (mut path, mut path_len) = (ptr::null(), 0);
    let (mut version, mut lines) = (0, headers.0.len());
    // SAFETY: every pointer comes from a reference that outlives the call, with its length.
    let len = unsafe {
        phr_parse_request(
            head.as_ptr().cast(),
            head.len(),
            &mut method,
            &mut method_len,
            &mut path,
            &mut path_len,
            &mut version,
            headers.0.as_mut_ptr(),
            &mut lines,
            0,
        )
    };
    Some((usize::try_from(len).ok()?, lines))
}

/// Splits a response head; returns its length and the number of its lines, if it is right.
pub fn response(head: &[u8], headers: &mut Headers) -> Option<(usize, usize)> {
    let (mut reason, mut reason_len) = (ptr::null(), 0);
    let (mut version, mut status, mut lines) = (0, 0, headers.0.len());
    // SAFETY: every pointer comes from a reference that outlives the call, with its length.
    let len = unsafe {
        phr_parse_response(
            head.as_ptr().cast(),
            head.len(),
            &mut version,
            &mut status,
            &mut reason,
            &mut reason_len,
            headers.0.as_mut_ptr(),
            &mut lines,
            0,
        )
    };
    Some((usize::try_from(len).ok()?, lines))
}

/// Decodes a whole chunked body where it lies; returns the length of its payload, if it is right.
pub fn decode_chunked(body: &mut [u8]) -> Option<usize> {
    // SAFETY: the decoder is plain integers, for which zero is the state at the start.
    let mut decoder: phr_chunked_decoder = unsafe { std::mem::zeroed() };
    decoder.consume_trailer = 1;
    let mut len = body.len();
    // SAFETY: `body` and `len` are references that outlive the call, and `len` is its length.
    let left = unsafe { phr_decode_chunked(&mut decoder, body.as_mut_ptr().cast(), &mut len) };
    (left >= 0).then_some(len)
}
