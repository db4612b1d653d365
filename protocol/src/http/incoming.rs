//! The body of an incoming message (RFC 9112, 6 and 7).
//!
//! Framing is dropped as soon as it is read, byte by byte, so nothing of it is ever looked at
//! twice. Payload stays where it lies.

use super::chars::{is_ows, is_tchar, is_value_byte};
use super::fields::{FieldParser, is_exhausted};
use super::framing::{Length, is_forbidden_trailer};
use super::{ErrorKind, Leniency, Limits, ProtocolError};
use crate::RecvBuf;

/// A decoder of one body.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    expects: Expects,
    /// How many bytes of payload may still be announced.
    allowance: u64,
}

#[derive(Clone, Debug)]
enum Expects {
    /// This much more payload, then the end.
    Known(u64),
    UntilEof,
    Chunk(ChunkLine),
    /// This much more payload of a chunk, then its CRLF.
    ChunkData(u64),
    ChunkCr,
    ChunkLf,
    Trailers(FieldParser),
}

/// What lies at the front of `rx.raw()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This many bytes of payload. Skip or keep them before the next call.
    Data(usize),
    /// The end: a trailer section of this many bytes, whose spans are in `rx`.
    End(usize),
    /// Nothing yet.
    Incomplete,
}

impl Incoming {
    /// A body that is over.
    pub(super) const EMPTY: Self = Self { expects: Expects::Known(0), allowance: 0 };

    /// A body with at most `max` bytes of payload. The error is that it has announced more.
    pub(super) fn new(length: Length, max: u64) -> Result<Self, ErrorKind> {
        let (expects, allowance) = match length {
            Length::Known(length) => {
                let rest = max.checked_sub(length).ok_or(ErrorKind::BodyTooLarge)?;
                (Expects::Known(length), rest)
            }
            Length::UntilEof => (Expects::UntilEof, max),
            Length::Chunked => (Expects::Chunk(ChunkLine::new()), max),
        };
        Ok(Self { expects, allowance })
    }

    /// Whether all payload has been found, whatever `rx` holds.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.expects, Expects::Known(0))
    }

    /// Goes on to the next piece. `offset` is that of the front of `rx.raw()` in the stream.
    pub(super) fn next(
        &mut self,
        rx: &mut RecvBuf,
        limits: &Limits,
        offset: &mut u64,
    ) -> Result<Piece, ProtocolError> {
        loop {
            let raw = rx.raw();
            let at = |kind| ProtocolError { kind, offset: *offset };
            match &mut self.expects {
                Expects::Known(0) => {
                    rx.spans.clear();
                    return Ok(Piece::End(0));
                }
                Expects::Known(left) => return Ok(payload(raw, left)),
                Expects::UntilEof => {
                    // An end that came by an error completes nothing (RFC 9112, 8).
                    if raw.is_empty() && rx.is_finished() && !rx.is_failed() {
                        self.expects = Expects::Known(0);
                        continue;
                    }
                    if self.allowance == 0 && !raw.is_empty() {
                        return Err(at(ErrorKind::BodyTooLarge));
                    }
                    return Ok(payload(raw, &mut self.allowance));
                }
                Expects::Chunk(line) => {
                    let (read, verdict) = line.read(raw, limits.chunk_line);
                    rx.skip(read);
                    *offset += read as u64;
                    match verdict {
                        Ok(None) => return Ok(Piece::Incomplete),
                        Ok(Some(0)) => {
                            rx.spans.clear();
                            self.expects = Expects::Trailers(FieldParser::new(0, Leniency::STRICT));
                        }
                        Ok(Some(size)) => match self.allowance.checked_sub(size) {
                            Some(rest) => {
                                self.allowance = rest;
                                self.expects = Expects::ChunkData(size);
                            }
                            None => {
                                let kind = ErrorKind::BodyTooLarge;
                                return Err(ProtocolError { kind, offset: *offset });
                            }
                        },
                        Err(kind) => return Err(ProtocolError { kind, offset: *offset }),
                    }
                }
                Expects::ChunkData(0) if raw.starts_with(b"\r\n") => {
                    self.expects = Expects::Chunk(ChunkLine::new());
                    rx.skip(2);
                    *offset += 2;
                }
                Expects::ChunkData(0) => self.expects = Expects::ChunkCr,
                Expects::ChunkData(left) => return Ok(payload(raw, left)),
                Expects::ChunkCr | Expects::ChunkLf => {
                    let (due, next) = match self.expects {
                        Expects::ChunkCr => (b'\r', Expects::ChunkLf),
                        _ => (b'\n', Expects::Chunk(ChunkLine::new())),
                    };
                    match raw.first() {
                        None => return Ok(Piece::Incomplete),
                        Some(&byte) if byte == due => {}
                        Some(_) => return Err(at(ErrorKind::MissingChunkEnd)),
                    }
                    self.expects = next;
                    rx.skip(1);
                    *offset += 1;
                }
                Expects::Trailers(fields) => {
                    let seen = rx.spans.len();
                    let complete = fields.parse(rx, limits.trailers, limits.headers);
                    // A line that was told apart before may have been continued.
                    let seen = seen.min(rx.spans.len());
                    let mut fresh = rx.spans[seen..].iter();
                    let forbidden = fresh.find(|span| is_forbidden_trailer(span.name(rx.raw())));
                    let forbidden = forbidden.map(|span| (ErrorKind::ForbiddenTrailer, span.name));
                    let fault = |kind, at| ProtocolError { kind, offset: *offset + at as u64 };
                    if let Some((kind, name)) = forbidden {
                        return Err(fault(kind, name as usize));
                    }
                    if complete.map_err(|(kind, at)| fault(kind, at))? {
                        let size = fields.at;
                        self.expects = Expects::Known(0);
                        return Ok(Piece::End(size));
                    }
                    if is_exhausted(rx, limits.trailers) {
                        return Err(fault(
                            ErrorKind::TrailersTooLarge,
                            rx.raw().len().min(limits.trailers),
                        ));
                    }
                    return Ok(Piece::Incomplete);
                }
            }
        }
    }
}

/// As much of `raw` as is `left`.
#[inline]
fn payload(raw: &[u8], left: &mut u64) -> Piece {
    let n = usize::try_from(*left).map_or(raw.len(), |left| raw.len().min(left));
    *left -= n as u64;
    if n == 0 { Piece::Incomplete } else { Piece::Data(n) }
}

/// The length of a line that is here as a whole and has no extensions, and the size that it tells.
#[inline]
fn plain_chunk_line(bytes: &[u8], limit: usize) -> Option<(usize, u64)> {
    let mut size = 0;
    // With more digits, it may not fit.
    for (at, &byte) in bytes.iter().enumerate().take(16) {
        match char::from(byte).to_digit(16) {
            Some(digit) => size = size << 4 | u64::from(digit),
            None if at == 0 || at + 2 > limit || !bytes[at..].starts_with(b"\r\n") => return None,
            None => return Some((at + 2, size)),
        }
    }
    None
}

/// A reader of `chunk-size [ chunk-ext ] CRLF` (RFC 9112, 7.1).
#[derive(Clone, Debug)]
struct ChunkLine {
    expects: InLine,
    size: u64,
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InLine {
    /// The first digit of the size.
    Start,
    /// A further digit, an extension, or the end.
    Size,
    /// Whitespace or `;`: a line does not end behind whitespace.
    Semicolon,
    /// Whitespace or the first byte of the name of an extension.
    NameStart,
    Name,
    /// Whitespace behind the name.
    NameEnd,
    /// Whitespace or the first byte of the value.
    ValueStart,
    Value,
    Quoted,
    Escaped,
    /// Behind a quoted value.
    ValueEnd,
    Lf,
}

impl ChunkLine {
    const fn new() -> Self {
        Self { expects: InLine::Start, size: 0, len: 0 }
    }

    /// Reads on; returns how many bytes are right, and the size when the line is complete.
    fn read(&mut self, bytes: &[u8], limit: usize) -> (usize, Result<Option<u64>, ErrorKind>) {
        if self.len == 0 {
            if let Some((read, size)) = plain_chunk_line(bytes, limit) {
                return (read, Ok(Some(size)));
            }
        }
        for (read, &byte) in bytes.iter().enumerate() {
            if self.len >= limit {
                return (read, Err(ErrorKind::ChunkLineTooLong));
            }
            let next = match self.expects {
                InLine::Lf if byte == b'\n' => return (read + 1, Ok(Some(self.size))),
                InLine::Lf => Err(ErrorKind::BareCr),
                InLine::Start | InLine::Size => self.size_byte(byte),
                _ => self.extension_byte(byte),
            };
            match next {
                Ok(next) => self.expects = next,
                Err(kind) => return (read, Err(kind)),
            }
            self.len += 1;
        }
        (bytes.len(), Ok(None))
    }

    fn size_byte(&mut self, byte: u8) -> Result<InLine, ErrorKind> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.expects == InLine::Size => return Ok(InLine::Lf),
            b';' if self.expects == InLine::Size => return Ok(InLine::NameStart),
            _ if is_ows(byte) && self.expects == InLine::Size => return Ok(InLine::Semicolon),
            _ => return Err(ErrorKind::BadChunkSize),
        };
        self.size = match self.size.checked_mul(16) {
            Some(size) => size + u64::from(digit),
            None => return Err(ErrorKind::BadChunkSize),
        };
        Ok(InLine::Size)
    }

    /// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (RFC 9112, 7.1.1).
    fn extension_byte(&self, byte: u8) -> Result<InLine, ErrorKind> {
        Ok(match (self.expects, byte) {
            (InLine::Name | InLine::Value | InLine::ValueEnd, b'\r') => InLine::Lf,
            (
                InLine::Semicolon
                | InLine::Name
                | InLine::NameEnd
                | InLine::Value
                | InLine::ValueEnd,
                b';',
            ) => InLine::NameStart,
            (InLine::Name | InLine::NameEnd, b'=') => InLine::ValueStart,
            (InLine::ValueStart, b'"') => InLine::Quoted,
            (InLine::Quoted, b'"') => InLine::ValueEnd,
            (InLine::Quoted, b'\\') => InLine::Escaped,
            (InLine::Quoted | InLine::Escaped, _) if is_value_byte(byte) => InLine::Quoted,
            (InLine::Name, _) if is_ows(byte) => InLine::NameEnd,
            (InLine::Value | InLine::ValueEnd, _) if is_ows(byte) => InLine::Semicolon,
            (InLine::Semicolon | InLine::NameStart | InLine::NameEnd | InLine::ValueStart, _)
                if is_ows(byte) =>
            {
                self.expects
            }
            (InLine::NameStart | InLine::Name, _) if is_tchar(byte) => InLine::Name,
            (InLine::ValueStart | InLine::Value, _) if is_tchar(byte) => InLine::Value,
            _ => return Err(ErrorKind::BadChunkExtension),
        })
    }
}
