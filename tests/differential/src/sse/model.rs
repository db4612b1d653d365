//! WHATWG HTML, 9.2.5 and 9.2.6, on a stream that is here as a whole: first text, then lines, then
//! fields. Nothing is kept from one call to the next, and nothing is borrowed. And what goes wrong
//! when a step is done otherwise.

use super::case::{Event, Item, Verdict};
use std::time::Duration;

/// A rule that is broken, as decoders break it: a run must be able to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    BomKept,
    EachBomStripped,
    OneReplacementAByte,
    InvalidRefused,
    CrIsNoEnd,
    LfBehindCrIsAnEnd,
    NelIsAnEnd,
    SpacesTrimmed,
    TabIsASpace,
    SpaceKept,
    NamesOfAnyCase,
    LastColonCounts,
    BareNameIgnored,
    CommentEndsEvent,
    NulInIdTaken,
    IdWithoutDataLost,
    IdNotKept,
    IdKeptIfEmpty,
    TypeKept,
    TypeKeptWithoutData,
    EmptyDataLost,
    AllLfRemoved,
    LfKept,
    DataReplaced,
    PendingDispatched,
    SignTaken,
    EmptyTimeTaken,
    LongTimeIgnored,
}

impl Defect {
    pub const ALL: &[Self] = &[
        Self::BomKept,
        Self::EachBomStripped,
        Self::OneReplacementAByte,
        Self::InvalidRefused,
        Self::CrIsNoEnd,
        Self::LfBehindCrIsAnEnd,
        Self::NelIsAnEnd,
        Self::SpacesTrimmed,
        Self::TabIsASpace,
        Self::SpaceKept,
        Self::NamesOfAnyCase,
        Self::LastColonCounts,
        Self::BareNameIgnored,
        Self::CommentEndsEvent,
        Self::NulInIdTaken,
        Self::IdWithoutDataLost,
        Self::IdNotKept,
        Self::IdKeptIfEmpty,
        Self::TypeKept,
        Self::TypeKeptWithoutData,
        Self::EmptyDataLost,
        Self::AllLfRemoved,
        Self::LfKept,
        Self::DataReplaced,
        Self::PendingDispatched,
        Self::SignTaken,
        Self::EmptyTimeTaken,
        Self::LongTimeIgnored,
    ];
}

/// What the standard makes of a stream, but for this defect.
pub fn interpret(stream: &[u8], defect: Option<Defect>) -> Verdict {
    let has = |one: Defect| defect == Some(one);
    let text = decode(stream, &has);
    let (lines, pending) = lines(&text, &has);

    let (mut data, mut event_type, mut id) = (String::new(), String::new(), String::new());
    let mut verdict = Verdict::default();
    let mut some_data = false;
    let ends = pending && has(Defect::PendingDispatched);
    for line in lines.into_iter().chain(ends.then(String::new)) {
        let is_comment = line.starts_with(':');
        if is_comment {
            let value = &line[1..];
            verdict.items.push(Item::Comment(value.strip_prefix(' ').unwrap_or(value).into()));
        }
        if line.is_empty() || is_comment && has(Defect::CommentEndsEvent) {
            // "Dispatch the event".
            if some_data || !has(Defect::IdWithoutDataLost) {
                verdict.last_event_id.clone_from(&id);
            }
            if data.is_empty() || data == "\n" && has(Defect::EmptyDataLost) {
                if !has(Defect::TypeKeptWithoutData) {
                    event_type.clear();
                }
                data.clear();
                continue;
            }
            if has(Defect::AllLfRemoved) {
                data = data.trim_end_matches('\n').into();
            } else if !has(Defect::LfKept) {
                data = data.strip_suffix('\n').unwrap_or(&data).into();
            }
            verdict.items.push(Item::Event(Event {
                event_type: if event_type.is_empty() {
                    "message".into()
                } else {
                    event_type.clone()
                },
                data: data.clone(),
                id: verdict.last_event_id.clone(),
            }));
            data.clear();
            some_data = false;
            if !has(Defect::TypeKept) {
                event_type.clear();
            }
            if has(Defect::IdNotKept) {
                id.clear();
            }
            continue;
        }
        if is_comment {
            continue;
        }
        let colon = if has(Defect::LastColonCounts) { line.rfind(':') } else { line.find(':') };
        if colon.is_none() && has(Defect::BareNameIgnored) {
            continue;
        }
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (&line[..], ""),
        };
        let value = match value.chars().next() {
            _ if has(Defect::SpacesTrimmed) => value.trim(),
            Some(' ') if !has(Defect::SpaceKept) => &value[1..],
            Some('\t') if has(Defect::TabIsASpace) => &value[1..],
            _ => value,
        };
        let lower = field.to_lowercase();
        match if has(Defect::NamesOfAnyCase) { &lower } else { field } {
            "event" => event_type = value.into(),
            "data" => {
                if has(Defect::DataReplaced) {
                    data.clear();
                }
                data += value;
                data += "\n";
                some_data = true;
            }
            "id" if value.contains('\0') && !has(Defect::NulInIdTaken) => {}
            "id" if value.is_empty() && has(Defect::IdKeptIfEmpty) => {}
            "id" => id = value.into(),
            "retry" => {
                let digits = match value.strip_prefix('+') {
                    Some(digits) if has(Defect::SignTaken) => digits,
                    _ => value,
                };
                let digits =
                    if digits.is_empty() && has(Defect::EmptyTimeTaken) { "0" } else { digits };
                if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    // The only error that is left is a number beyond 64 bits.
                    let ms = match digits.parse() {
                        Err(_) if has(Defect::LongTimeIgnored) => continue,
                        ms => ms.unwrap_or(u64::MAX),
                    };
                    verdict.items.push(Item::Retry(Duration::from_millis(ms)));
                }
            }
            _ => {}
        }
    }
    verdict
}

/// "UTF-8 decode".
fn decode(stream: &[u8], has: &impl Fn(Defect) -> bool) -> String {
    let text = if has(Defect::OneReplacementAByte) {
        let chunk = |chunk: std::str::Utf8Chunk<'_>| {
            chunk.valid().to_owned() + &"\u{FFFD}".repeat(chunk.invalid().len())
        };
        stream.utf8_chunks().map(chunk).collect()
    } else if has(Defect::InvalidRefused) {
        str::from_utf8(stream).unwrap_or_default().to_owned()
    } else {
        String::from_utf8_lossy(stream).into_owned()
    };
    match text.strip_prefix('\u{FEFF}') {
        _ if has(Defect::BomKept) => text,
        _ if has(Defect::EachBomStripped) => text.replace('\u{FEFF}', ""),
        Some(rest) => rest.into(),
        None => text,
    }
}

/// The lines that are complete, and whether there is something behind them.
fn lines(text: &str, has: &impl Fn(Defect) -> bool) -> (Vec<String>, bool) {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let ends = match char {
            '\n' => true,
            '\r' if has(Defect::CrIsNoEnd) => chars.peek() == Some(&'\n'),
            '\r' => true,
            '\u{85}' => has(Defect::NelIsAnEnd),
            _ => false,
        };
        if char == '\r' && !has(Defect::LfBehindCrIsAnEnd) {
            chars.next_if_eq(&'\n');
        }
        if ends {
            lines.push(std::mem::take(&mut line));
        } else {
            line.push(char);
        }
    }
    if !line.is_empty() && has(Defect::PendingDispatched) {
        lines.push(line);
        return (lines, true);
    }
    (lines, !text.is_empty())
}
