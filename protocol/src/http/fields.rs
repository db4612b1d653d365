//! Field lines and the empty line behind them, in a head or trailer section (RFC 9112, 5).
//!
//! And what start lines share with them. Lines that are here as a whole and hold nothing unusual are
//! taken whole. Every other line goes through the state machine byte by byte: one that has come in
//! part, one that is wrong, and one that only a lenient client takes.

use super::chars::is_ows;
use super::headers::HeaderSpan;
use super::scan::{BLOCK, end_of_token, end_of_value, find_behind_token, find_cr};
use super::{ErrorKind, Leniency, Version};
use crate::RecvBuf;
use alloc::vec::Vec;
use core::ops::Range;

/// What is wrong, and at which offset.
pub(super) type Fault = (ErrorKind, usize);

/// The bytes that a section of at most `limit` may be in, how many of them count, and the spans to
/// fill. What follows those that count is whatever lies there, at most one block of it: so blocks
/// can be read up to the end.
#[inline]
pub(super) fn section(rx: &mut RecvBuf, limit: usize) -> (&[u8], usize, &mut Vec<HeaderSpan>) {
    let (bytes, len, spans) = rx.raw_and_spans();
    // Spans count in 32 bits.
    let len = len.min(limit).min(u32::MAX as usize);
    (&bytes[..bytes.len().min(len + BLOCK)], len, spans)
}

/// Whether all that a section may be is here, or all that the buffer can take: what is incomplete
/// now will not be completed.
pub(super) fn is_exhausted(rx: &RecvBuf, limit: usize) -> bool {
    rx.raw().len() >= limit.min(u32::MAX as usize) || (rx.is_full() && rx.content().is_empty())
}

/// `byte` follows a CR: it must be LF. Returns the offset behind it.
#[inline]
pub(super) fn line_feed(byte: u8, at: usize) -> Result<usize, Fault> {
    if byte == b'\n' { Ok(at + 1) } else { Err((ErrorKind::BareCr, at - 1)) }
}

pub(super) const VERSION_LEN: usize = b"HTTP/1.1".len();

/// Parses the version that begins at `from`, going on at `at`.
pub(super) fn version(bytes: &[u8], at: &mut usize, from: usize) -> Result<Option<Version>, Fault> {
    while *at < from + VERSION_LEN {
        let Some(&byte) = bytes.get(*at) else { return Ok(None) };
        let good = match *at - from {
            5 | 7 => byte.is_ascii_digit(),
            other => byte == b"HTTP/1.1"[other],
        };
        if !good {
            return Err((ErrorKind::BadVersion, *at));
        }
        *at += 1;
    }
    match (bytes[from + 5], bytes[from + 7]) {
        (b'1', b'0') => Ok(Some(Version::Http10)),
        (b'1', _) => Ok(Some(Version::Http11)),
        _ => Err((ErrorKind::UnsupportedVersion, from)),
    }
}

/// Which lines have a name that may frame the message, so that nobody has to look at the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks(u64);

/// The last bit of [`Marks`] stands for all lines from this one on.
const LAST: usize = 63;

impl Marks {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    fn note(&mut self, line: usize, initial: u8, name_len: usize) {
        /// By the length of their names, what `Host`, `Expect`, `Upgrade`, `Connection`,
        /// `Content-Length` and `Transfer-Encoding` begin with.
        const INITIALS: [u8; 32] = {
            let mut initials = [0; 32];
            initials[4] = b'h';
            initials[6] = b'e';
            initials[7] = b'u';
            initials[10] = b'c';
            initials[14] = b'c';
            initials[17] = b't';
            initials
        };
        // A name too long for the table is at worst looked at in vain.
        let may_frame = INITIALS[name_len % 32] == initial | 0x20;
        self.0 |= u64::from(may_frame) << line.min(LAST);
    }

    /// The lines to look at, in their order.
    #[inline(always)]
    pub(super) fn of(self, spans: &[HeaderSpan]) -> Marked<'_> {
        Marked { spans, bits: self.0, line: 0 }
    }
}

/// See [`Marks::of`].
pub(super) struct Marked<'a> {
    spans: &'a [HeaderSpan],
    bits: u64,
    line: usize,
}

impl<'a> Iterator for Marked<'a> {
    type Item = &'a HeaderSpan;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a HeaderSpan> {
        if self.bits == 0 {
            return None;
        }
        if self.bits == 1 << LAST {
            self.line = LAST.max(self.line + 1);
        } else {
            self.line = self.bits.trailing_zeros() as usize;
            self.bits &= self.bits - 1;
        }
        self.spans.get(self.line)
    }
}

/// Takes lines, from `at` on, until the section is complete, or up to one that has to be looked at
/// closely. Returns where the next one begins, and whether the section is complete.
///
/// `bytes` may go on behind `len`: blocks are read there, and nothing is taken from there.
#[inline(never)]
pub(super) fn whole_lines(
    bytes: &[u8],
    len: usize,
    mut at: usize,
    spans: &mut Vec<HeaderSpan>,
    marks: &mut Marks,
    max_lines: usize,
) -> (usize, bool) {
    loop {
        if bytes.get(at) == Some(&b'\r') {
            let complete = at + 2 <= len && bytes.get(at + 1) == Some(&b'\n');
            return (if complete { at + 2 } else { at }, complete);
        }
        // Both searches begin with the line, so that they need not wait for one another.
        let Some(end) = find_cr(bytes, at) else { return (at, false) };
        let Some(name_end) = find_behind_token(bytes, at, b':') else { return (at, false) };
        let is_right = name_end > at
            && end + 2 <= len
            && bytes.get(end + 1) == Some(&b'\n')
            && spans.len() < max_lines;
        if !is_right {
            return (at, false);
        }
        // One space before the value and none behind it is how nearly everybody writes it. In a value,
        // nothing but whitespace is less than what is visible.
        let (mut from, mut to) = (name_end + 1, end);
        from += usize::from(bytes.get(from) == Some(&b' '));
        let visible = |at: usize| bytes.get(at).is_some_and(|&byte| byte > b' ');
        if !(visible(from) && visible(to - 1)) {
            (from, to) = trimmed(bytes, from, to);
        }
        marks.note(spans.len(), bytes[at], name_end - at);
        spans.push(HeaderSpan {
            name: at as u32,
            name_end: name_end as u32,
            value: from as u32,
            value_end: to as u32,
        });
        at = end + 2;
    }
}

/// Where the value between `from` and `to` begins and ends without the whitespace around it.
#[cold]
fn trimmed(bytes: &[u8], mut from: usize, mut to: usize) -> (usize, usize) {
    while from < to && is_ows(bytes[from]) {
        from += 1;
    }
    while from < to && is_ows(bytes[to - 1]) {
        to -= 1;
    }
    (from, to)
}

/// An incremental parser of a section of field lines.
#[derive(Clone, Debug)]
pub(super) struct FieldParser {
    expects: InField,
    leniency: Leniency,
    /// The offset of the next byte; behind the section once it is complete.
    pub(super) at: usize,
    pub(super) marks: Marks,
    name: usize,
    name_end: usize,
    value: usize,
    /// Where the value ended before it was continued, else where it begins.
    kept: usize,
    /// Where what continues the value begins, else where the value begins.
    floor: usize,
}

#[derive(Clone, Copy, Debug)]
enum InField {
    Line,
    Name,
    /// Behind a name, where only a lenient client takes whitespace.
    Colon,
    Ows,
    Value,
    ValueLf,
    /// The whitespace that continues a value.
    Fold,
    EndLf,
}

enum Progress {
    Incomplete,
    Complete,
    /// These bytes are to become spaces. Then go on.
    Unfold(Range<usize>),
}

impl FieldParser {
    pub(super) const fn new(at: usize, leniency: Leniency) -> Self {
        Self {
            expects: InField::Line,
            leniency,
            at,
            marks: Marks::NONE,
            name: 0,
            name_end: 0,
            value: 0,
            kept: 0,
            floor: 0,
        }
    }

    /// Goes on parsing at the front of [`RecvBuf::raw`] and appends a span for each line to those
    /// in `rx`; says whether the section, of at most `limit` bytes, is complete.
    #[inline]
    pub(super) fn parse(
        &mut self,
        rx: &mut RecvBuf,
        limit: usize,
        max_lines: usize,
    ) -> Result<bool, Fault> {
        loop {
            let (bytes, len, spans) = section(rx, limit);
            if matches!(self.expects, InField::Line) {
                let taken = whole_lines(bytes, len, self.at, spans, &mut self.marks, max_lines);
                self.at = taken.0;
                if taken.1 {
                    return Ok(true);
                }
            }
            match self.step(&bytes[..len], spans, max_lines)? {
                Progress::Incomplete => return Ok(false),
                Progress::Complete => return Ok(true),
                Progress::Unfold(range) => rx.raw_mut()[range].fill(b' '),
            }
        }
    }

    /// Appends the span of a line whose value ends at `end`, trailing whitespace included, which
    /// does not reach below `floor`.
    #[inline]
    fn push(
        &mut self,
        bytes: &[u8],
        spans: &mut Vec<HeaderSpan>,
        [name, name_end, value, floor]: [usize; 4],
        mut end: usize,
    ) {
        while end > floor && is_ows(bytes[end - 1]) {
            end -= 1;
        }
        self.marks.note(spans.len(), bytes[name], name_end - name);
        spans.push(HeaderSpan {
            name: name as u32,
            name_end: name_end as u32,
            value: value as u32,
            value_end: end as u32,
        });
    }

    fn step(
        &mut self,
        bytes: &[u8],
        spans: &mut Vec<HeaderSpan>,
        max_lines: usize,
    ) -> Result<Progress, Fault> {
        loop {
            let Some(&byte) = bytes.get(self.at) else { return Ok(Progress::Incomplete) };
            match self.expects {
                InField::Line => match byte {
                    b'\r' => {
                        self.at += 1;
                        self.expects = InField::EndLf;
                    }
                    b'\n' if self.leniency.bare_lf => self.expects = InField::EndLf,
                    b'\n' => return Err((ErrorKind::BareLf, self.at)),
                    b' ' | b'\t' => match self.leniency.obs_fold.then(|| spans.pop()).flatten() {
                        Some(span) => {
                            self.name = span.name as usize;
                            self.name_end = span.name_end as usize;
                            self.value = span.value as usize;
                            self.kept = span.value_end as usize;
                            // What was continued before is blank up to there.
                            self.floor = self.floor.max(self.kept);
                            self.expects = InField::Fold;
                        }
                        None => return Err((ErrorKind::ObsFold, self.at)),
                    },
                    _ if spans.len() >= max_lines => {
                        return Err((ErrorKind::TooManyHeaders, self.at));
                    }
                    _ => {
                        self.name = self.at;
                        self.expects = InField::Name;
                    }
                },
                InField::Name => {
                    self.at = end_of_token(bytes, self.at);
                    self.name_end = self.at;
                    match bytes.get(self.at) {
                        None => return Ok(Progress::Incomplete),
                        Some(_) if self.at == self.name => {
                            return Err((ErrorKind::BadHeaderName, self.at));
                        }
                        Some(_) => self.expects = InField::Colon,
                    }
                }
                InField::Colon => match byte {
                    b':' => {
                        self.at += 1;
                        self.expects = InField::Ows;
                    }
                    b' ' | b'\t' if self.leniency.space_before_colon => self.at += 1,
                    b' ' | b'\t' => return Err((ErrorKind::SpaceBeforeColon, self.at)),
                    _ => return Err((ErrorKind::BadHeaderName, self.at)),
                },
                InField::Ows if is_ows(byte) => self.at += 1,
                InField::Ows => {
                    self.value = self.at;
                    self.kept = self.at;
                    self.floor = self.at;
                    self.expects = InField::Value;
                }
                InField::Value => {
                    self.at = end_of_value(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(Progress::Incomplete),
                        Some(b'\r') => {
                            self.at += 1;
                            self.expects = InField::ValueLf;
                        }
                        Some(b'\n') if self.leniency.bare_lf => {
                            self.end_line(bytes, spans, self.at);
                        }
                        Some(b'\n') => return Err((ErrorKind::BareLf, self.at)),
                        Some(_) => return Err((ErrorKind::BadHeaderValue, self.at)),
                    }
                }
                InField::ValueLf => {
                    line_feed(byte, self.at)?;
                    self.end_line(bytes, spans, self.at - 1);
                }
                // What stands between the parts of the value becomes spaces, so that it lies in one
                // piece, and a line that adds nothing leaves it as it was.
                InField::Fold => {
                    let blanks = bytes[self.at..].iter().take_while(|&&byte| is_ows(byte)).count();
                    self.at += blanks;
                    if self.at > self.floor {
                        let range = self.floor..self.at;
                        self.floor = self.at;
                        return Ok(Progress::Unfold(range));
                    }
                    if self.kept == self.value {
                        self.expects = InField::Ows;
                    } else {
                        self.expects = InField::Value;
                    }
                }
                InField::EndLf => {
                    self.at = line_feed(byte, self.at)?;
                    return Ok(Progress::Complete);
                }
            }
        }
    }

    /// The line break that begins at `end` ends at the byte where the parser is.
    fn end_line(&mut self, bytes: &[u8], spans: &mut Vec<HeaderSpan>, end: usize) {
        // Looking for whitespace in what has been looked at before would take quadratic time.
        let mut floor = self.floor;
        let mut end = end;
        while end > floor && is_ows(bytes[end - 1]) {
            end -= 1;
        }
        if end == floor {
            (floor, end) = (self.kept, self.kept);
        }
        self.push(bytes, spans, [self.name, self.name_end, self.value, floor], end);
        self.at += 1;
        self.expects = InField::Line;
    }
}
