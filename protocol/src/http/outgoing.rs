//! Heads and bodies on their way out (RFC 9112, 2 to 7).

use super::chars::{is_token, is_value_byte};
use super::framing::is_forbidden_trailer;
use super::headers::Split;
use super::target::is_host;
use super::{Misuse, Status};
use crate::SendBuf;
use bytes::Bytes;

/// How long the body of an outgoing message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// This many bytes, announced with `Content-Length`. A message without a body has
    /// [`BodyLength::EMPTY`].
    Known(u64),
    /// Not known yet: sent in chunks, or, to a peer of HTTP/1.0, until the connection closes.
    Unknown,
}

impl BodyLength {
    /// No body.
    pub const EMPTY: Self = Self::Known(0);
}

/// No header lines, for the `fields` that many calls take.
pub const NO_FIELDS: [(&str, &str); 0] = [];

/// What outgoing fields say that concerns the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    pub(super) hosts: usize,
    /// `Connection: close` was given.
    pub(super) close: bool,
    /// `Connection: keep-alive` was given, in field number so and so.
    pub(super) keep_alive: Option<usize>,
    pub(super) upgrade: bool,
    /// `Expect: 100-continue` was given.
    pub(super) expects_continue: bool,
}

/// Checks outgoing fields, before the first byte of them is written.
pub(super) fn check_fields(
    fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
) -> Result<Declared, Misuse> {
    let mut declared = Declared::default();
    for (index, (name, value)) in fields.into_iter().enumerate() {
        let (name, value) = (name.as_ref(), value.as_ref());
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        check_field(index, name, value)?;
        if is("content-length") || is("transfer-encoding") {
            return Err(Misuse::FramingField(index));
        }
        if is("host") && !is_host(value) {
            return Err(Misuse::Host);
        }
        if is("connection") {
            for option in Split::new(value, b',') {
                declared.close |= option.eq_ignore_ascii_case(b"close");
                if option.eq_ignore_ascii_case(b"keep-alive") {
                    declared.keep_alive = Some(index);
                }
            }
        }
        declared.hosts += usize::from(is("host"));
        declared.upgrade |= is("upgrade");
        declared.expects_continue |= is("expect") && value.eq_ignore_ascii_case(b"100-continue");
    }
    Ok(declared)
}

/// The grammar of one field.
#[inline]
fn check_field(index: usize, name: &str, value: &[u8]) -> Result<(), Misuse> {
    if !is_token(name.as_bytes()) {
        return Err(Misuse::BadFieldName(index));
    }
    // All of it and not up to the first bad byte: so many bytes are looked at together.
    if !value.iter().fold(true, |good, &byte| good & is_value_byte(byte)) {
        return Err(Misuse::BadFieldValue(index));
    }
    Ok(())
}

/// Writes header lines with their order and case.
pub(super) fn write_fields(
    fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
    tx: &mut SendBuf,
) {
    for (name, value) in fields {
        write_field(name.as_ref(), value.as_ref(), tx);
    }
}

pub(super) fn write_field(name: &str, value: &[u8], tx: &mut SendBuf) {
    let len = name.len() + value.len() + 4;
    let (to_name, rest) = tx.spare(len)[..len].split_at_mut(name.len());
    to_name.copy_from_slice(name.as_bytes());
    let (colon, rest) = rest.split_at_mut(2);
    colon.copy_from_slice(b": ");
    let (to_value, line_break) = rest.split_at_mut(value.len());
    to_value.copy_from_slice(value);
    line_break.copy_from_slice(b"\r\n");
    tx.commit(len);
}

/// Writes all parts, with one look for room.
pub(super) fn write_all(parts: &[&[u8]], tx: &mut SendBuf) {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut spare = &mut tx.spare(len)[..len];
    for part in parts {
        let (here, rest) = spare.split_at_mut(part.len());
        here.copy_from_slice(part);
        spare = rest;
    }
    tx.commit(len);
}

/// Writes `HTTP/1.1 200 OK`, CRLF. The version is ours, whatever the peer's is (RFC 9110, 2.5).
pub(super) fn write_status_line(status: Status, tx: &mut SendBuf) {
    if status == Status::OK {
        return tx.append(b"HTTP/1.1 200 OK\r\n");
    }
    let reason = status.reason().as_bytes();
    let mut line = *b"HTTP/1.1 000 ";
    let code = status.code();
    for (digit, value) in line[9..12].iter_mut().zip([code / 100, code / 10 % 10, code % 10]) {
        *digit += value as u8;
    }
    let len = line.len() + reason.len() + 2;
    let (start, rest) = tx.spare(len)[..len].split_at_mut(line.len());
    start.copy_from_slice(&line);
    let (to_reason, line_break) = rest.split_at_mut(reason.len());
    to_reason.copy_from_slice(reason);
    line_break.copy_from_slice(b"\r\n");
    tx.commit(len);
}

pub(super) fn write_content_length(length: u64, tx: &mut SendBuf) {
    write_field("Content-Length", write_decimal(length, &mut [0; 20]), tx);
}

fn write_decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// The body of the message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// This much is still to come.
    Known(u64),
    Chunked,
    UntilClose,
    /// The answer to a HEAD, or a 304: what would be the body is taken and dropped.
    Dropped,
    /// All is sent.
    Finished,
}

impl Outgoing {
    /// Writes the fields that frame a response's body, and returns it. A 304 and the answer to a
    /// HEAD tell how long the body would be, and have none (RFC 9110, 8.6).
    pub(super) fn begin_response(
        status: Status,
        length: BodyLength,
        to_head: bool,
        chunked: bool,
        tx: &mut SendBuf,
    ) -> Self {
        let not_modified = status == Status::NOT_MODIFIED;
        match length {
            BodyLength::Known(0) if not_modified || status == Status::NO_CONTENT => {}
            BodyLength::Known(length) => write_content_length(length, tx),
            BodyLength::Unknown if chunked && !not_modified => {
                write_field("Transfer-Encoding", b"chunked", tx);
            }
            BodyLength::Unknown => {}
        }
        match length {
            BodyLength::Known(0) => Self::Finished,
            _ if to_head || not_modified => Self::Dropped,
            BodyLength::Known(length) => Self::Known(length),
            BodyLength::Unknown if chunked => Self::Chunked,
            BodyLength::Unknown => Self::UntilClose,
        }
    }

    pub(super) fn send(&mut self, data: &[u8], tx: &mut SendBuf) -> Result<(), Misuse> {
        if *self == Self::Chunked && !data.is_empty() {
            write_all(&[chunk_size(data.len(), &mut [0; 18]), data, b"\r\n"], tx);
            return Ok(());
        }
        self.send_with(data.len(), tx, |tx| tx.append(data))
    }

    pub(super) fn send_shared(&mut self, data: &Bytes, tx: &mut SendBuf) -> Result<(), Misuse> {
        self.send_with(data.len(), tx, |tx| tx.append_shared(data))
    }

    #[inline]
    fn send_with(
        &mut self,
        len: usize,
        tx: &mut SendBuf,
        append: impl FnOnce(&mut SendBuf),
    ) -> Result<(), Misuse> {
        match self {
            // A chunk of no bytes would be the last one.
            _ if len == 0 => {}
            Self::Known(left) => {
                *left = left.checked_sub(len as u64).ok_or(Misuse::BodyTooLong)?;
                append(tx);
            }
            Self::Chunked => {
                tx.append(chunk_size(len, &mut [0; 18]));
                append(tx);
                tx.append(b"\r\n");
            }
            Self::UntilClose => append(tx),
            Self::Dropped => {}
            Self::Finished => return Err(Misuse::BodyTooLong),
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, tx: &mut SendBuf) -> Result<(), Misuse> {
        match self {
            Self::Known(left) if *left > 0 => return Err(Misuse::BodyTooShort),
            Self::Chunked => tx.append(b"0\r\n\r\n"),
            _ => {}
        }
        *self = Self::Finished;
        Ok(())
    }

    /// Finishes a body sent in chunks with a trailer section (RFC 9112, 7.1.2). Where there are no
    /// chunks that the peer sees, it sees no trailers either: they are checked and dropped.
    pub(super) fn finish_with_trailers(
        &mut self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) -> Result<(), Misuse> {
        if matches!(self, Self::Known(_) | Self::Finished) {
            return Err(Misuse::TrailersNotAllowed);
        }
        for (index, (name, value)) in fields.clone().into_iter().enumerate() {
            check_field(index, name.as_ref(), value.as_ref())?;
            if is_forbidden_trailer(name.as_ref().as_bytes()) {
                return Err(Misuse::ForbiddenTrailer(index));
            }
        }
        if *self == Self::Chunked {
            tx.append(b"0\r\n");
            write_fields(fields, tx);
            tx.append(b"\r\n");
        }
        *self = Self::Finished;
        Ok(())
    }
}

/// The line that announces a chunk of so many bytes.
fn chunk_size(size: usize, line: &mut [u8; 18]) -> &[u8] {
    let mut at = 16;
    line[16..].copy_from_slice(b"\r\n");
    let mut rest = size as u64;
    while rest > 0 {
        at -= 1;
        line[at] = b"0123456789abcdef"[(rest % 16) as usize];
        rest /= 16;
    }
    &line[at..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const DIGEST: [(&str, &str); 1] = [("X-Digest", "12")];

    fn finish(mut body: Outgoing, fields: &[(&str, &str)]) -> (Result<(), Misuse>, Vec<u8>, bool) {
        let mut tx = SendBuf::new();
        let done = body.finish_with_trailers(fields.iter().copied(), &mut tx);
        (done, tx.chunk().to_vec(), body == Outgoing::Finished)
    }

    /// RFC 9112, 7.1.2.
    #[test]
    fn a_chunked_body_ends_with_its_trailers() {
        let sent = finish(Outgoing::Chunked, &DIGEST);
        assert_eq!(sent, (Ok(()), b"0\r\nX-Digest: 12\r\n\r\n".to_vec(), true));
        assert_eq!(finish(Outgoing::Chunked, &[]).1, b"0\r\n\r\n");
    }

    /// RFC 9110, 6.5: where a message is not sent in chunks, there is no place for trailers.
    #[test]
    fn other_bodies_have_no_trailers() {
        for body in [Outgoing::Known(0), Outgoing::Known(1), Outgoing::Finished] {
            let (done, sent, _) = finish(body, &DIGEST);
            assert_eq!((done, sent), (Err(Misuse::TrailersNotAllowed), Vec::new()), "{body:?}");
        }
        for body in [Outgoing::UntilClose, Outgoing::Dropped] {
            assert_eq!(finish(body, &DIGEST), (Ok(()), Vec::new(), true), "{body:?}");
        }
    }

    /// RFC 9110, 6.5.1.
    #[test]
    fn trailers_are_checked_before_anything_is_written() {
        let refused = [
            ("Content-Length", "1", Misuse::ForbiddenTrailer(1)),
            ("HOST", "h", Misuse::ForbiddenTrailer(1)),
            ("a b", "1", Misuse::BadFieldName(1)),
            ("", "1", Misuse::BadFieldName(1)),
            ("a", "1\r\nb: 2", Misuse::BadFieldValue(1)),
        ];
        for (name, value, why) in refused {
            for body in [Outgoing::Chunked, Outgoing::Dropped] {
                let sent = finish(body, &[DIGEST[0], (name, value)]);
                assert_eq!(sent, (Err(why), Vec::new(), false), "{name}");
            }
        }
    }
}
