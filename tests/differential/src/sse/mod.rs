//! Differential tests of event streams (WHATWG HTML, 9.2): streams, right and odd, go to us, to each
//! peer and to a [`model`] of the standard; what we encode goes to the peers.

mod case;
mod compare;
mod generate;
mod model;
mod subjects;
mod table;

use crate::case::escaped;
use case::{Event, Item, Verdict};
use compare::{Kind, compare, conforms};
use fastrand::Rng;
use model::Defect;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};
use subjects::Way;
use table::{Facts, Reason};

/// So many failures are enough to look at.
const ENOUGH: usize = 40;
/// Every sequence of up to so many of these is tried.
const LENGTH: u32 = 4;
const TOKENS: [&[u8]; 16] = [
    b"\n",
    b"\r",
    b":",
    b" ",
    b"data",
    b"event",
    b"id",
    b"retry",
    b"1",
    b"x",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xe2\x82",
    b"\xac",
    b"data:a\n",
    b"id:2\r",
];

/// Runs at most so many cases for at most so many seconds; says whether all is well.
pub fn run(seed: u64, cases: u64, seconds: u64, vectors: Option<&str>) -> bool {
    println!("event streams: seed {seed}, {cases} cases at most, {seconds} s at most");
    // A peer that panics is told of in the summary, and not here.
    std::panic::set_hook(Box::new(|_| {}));
    let mut report = Report { unseen: Defect::ALL.iter().copied().collect(), ..Report::default() };
    for reason in table::REASONS {
        report.check_example(reason);
    }
    let seeds = vectors.map(read).unwrap_or_default();
    for stream in &seeds {
        let all: Vec<_> = (1..stream.len()).collect();
        report.judge(stream, &[]);
        report.judge(stream, &all);
    }
    report.by_vectors = Defect::ALL.len() - report.unseen.len();
    for length in 1..=LENGTH {
        for mut number in 0..TOKENS.len().pow(length) {
            let mut stream = Vec::new();
            for _ in 0..length {
                stream.extend(TOKENS[number % TOKENS.len()]);
                number /= TOKENS.len();
            }
            // So that something comes of it.
            stream.extend(b"\ndata\n\n");
            report.judge(&stream, &[]);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    for number in 0..cases {
        if report.failures >= ENOUGH || Instant::now() > deadline {
            break;
        }
        let mut rng = Rng::with_seed(seed.wrapping_mul(1 << 40).wrapping_add(number));
        let stream = generate::stream(&seeds, &mut rng);
        let cuts = generate::cuts(stream.len(), &mut rng);
        report.judge(&stream, &cuts);
        if number % 4 == 0 {
            report.send(&mut rng);
        }
    }
    report.finish(!seeds.is_empty())
}

/// Prints the table of reasons in Markdown.
pub fn reasons() {
    println!("| difference | with | kind | where | why | for example |\n|---|---|---|---|---|---|");
    for Reason { name, peer, kinds, section, why, example, .. } in table::REASONS {
        let kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
        let (kinds, example) = (kinds.join(", "), escaped(example));
        println!("| {name} | {peer} | {kinds} | {section} | {why} | `{example}` |");
    }
}

/// The streams of the vectors.
fn read(folder: &str) -> Vec<Vec<u8>> {
    #[derive(Deserialize)]
    struct Record {
        bytes: Option<String>,
    }
    let latin1 = |text: String| text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect();
    let file = |name| {
        let text = std::fs::read_to_string(format!("{folder}/{name}")).expect("the vectors");
        let records: Vec<Record> = serde_json::from_str(&text).expect("vectors");
        records.into_iter().filter_map(|record| record.bytes).map(latin1)
    };
    ["sse_stream.json", "sse_encode.json"].into_iter().flat_map(file).collect()
}

#[derive(Default)]
struct Report {
    cases: usize,
    items: usize,
    sent: usize,
    same: BTreeMap<&'static str, usize>,
    explained: BTreeMap<&'static str, usize>,
    /// What has been found already.
    seen: HashSet<(&'static str, Kind)>,
    /// Defects that no case has shown yet, and how many the vectors have.
    unseen: BTreeSet<Defect>,
    by_vectors: usize,
    failures: usize,
}

impl Report {
    fn fails(&mut self, what: &str, details: &str) {
        self.failures += 1;
        if self.failures <= ENOUGH {
            println!("{what} {details}");
        }
    }

    fn judge(&mut self, stream: &[u8], cuts: &[usize]) {
        let model = model::interpret(stream, None);
        self.cases += 1;
        self.items += model.items.len();
        self.unseen.retain(|&defect| model::interpret(stream, Some(defect)) == model);
        let ours = subjects::tidewire(stream, &[], Way::Decoder);
        let chunk = 1 + self.cases % 9;
        for way in [Way::Decoder, Way::Chunked(chunk), Way::Source] {
            for cuts in [&[][..], cuts] {
                let ours = subjects::tidewire(stream, cuts, way);
                if !conforms(&model, &ours, way) {
                    let small = minimise(stream, |stream| {
                        let ours = subjects::tidewire(stream, cuts, way);
                        !conforms(&model::interpret(stream, None), &ours, way)
                    });
                    let details = format!(
                        "({way:?}, cut at {cuts:?}): \"{}\"\n  tidewire {}\n  model    {}",
                        escaped(&small),
                        subjects::tidewire(&small, cuts, way),
                        model::interpret(&small, None)
                    );
                    return self.fails("NOT AS THE STANDARD SAYS", &details);
                }
            }
        }
        for peer in subjects::NAMES {
            let theirs = subjects::judge(peer, stream, cuts);
            let Some(kind) = compare(peer, &ours, &theirs) else {
                *self.same.entry(peer).or_default() += 1;
                continue;
            };
            let facts = Facts { stream, peer, ours: &ours, theirs: &theirs, kind };
            match table::explain(&facts) {
                Some(reason) => *self.explained.entry(reason.name).or_default() += 1,
                None if self.seen.insert((peer, kind)) => self.unexplained(&facts, cuts),
                None => self.failures += 1,
            }
        }
    }

    fn unexplained(&mut self, facts: &Facts<'_>, cuts: &[usize]) {
        let Facts { peer, kind, .. } = *facts;
        let judge = |stream: &[u8]| {
            (subjects::tidewire(stream, &[], Way::Decoder), subjects::judge(peer, stream, cuts))
        };
        let small = minimise(facts.stream, |stream| {
            let (ours, theirs) = judge(stream);
            let facts = Facts { stream, peer, ours: &ours, theirs: &theirs, kind };
            compare(peer, &ours, &theirs) == Some(kind) && table::explain(&facts).is_none()
        });
        let (ours, theirs) = judge(&small);
        let stream = escaped(&small);
        let details = format!("{kind:?}: \"{stream}\"\n  tidewire {ours}\n  {peer} {theirs}");
        self.fails("UNEXPLAINED", &details);
    }

    /// An example shows its difference, and for its own reason.
    fn check_example(&mut self, reason: &'static Reason) {
        let Reason { peer, example: stream, .. } = *reason;
        let ours = subjects::tidewire(stream, &[], Way::Decoder);
        let theirs = subjects::judge(peer, stream, &[]);
        let found = compare(peer, &ours, &theirs).and_then(|kind| {
            table::explain(&Facts { stream, peer, ours: &ours, theirs: &theirs, kind })
        });
        if !found.is_some_and(|found| std::ptr::eq(found, reason)) {
            let found = found.map_or("nothing", |found| found.name);
            let what =
                format!("of {:?} shows {found}\n  ours   {ours}\n  theirs {theirs}", reason.name);
            self.fails("EXAMPLE", &what);
        }
    }

    /// What we send arrives at every peer, and is what the standard makes of it.
    fn send(&mut self, rng: &mut Rng) {
        let (mut stream, mut expected, mut last) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..rng.usize(1..6) {
            let sent = generate::sent(rng);
            let mut event = tidewire::sse::Event::new();
            if let Some(comment) = &sent.comment {
                event = event.comment(comment);
            }
            if let Some(event_type) = &sent.event_type {
                event = event.event(event_type);
            }
            if let Some(id) = &sent.id {
                event = event.id(id);
            }
            if let Some(retry) = sent.retry {
                event = event.retry(Duration::from_millis(retry));
            }
            if let Some(data) = &sent.data {
                event = event.with_data(data);
            }
            let is_line =
                |text: &Option<String>| !text.as_ref().is_some_and(|t| t.contains(['\r', '\n']));
            let fits = is_line(&sent.event_type)
                && is_line(&sent.id)
                && !sent.id.as_ref().is_some_and(|id| id.contains('\0'));
            if event.encode_to(&mut stream).is_ok() != fits {
                return self.fails("SENDING", &format!("{event:?}: refused or not, wrongly"));
            }
            if fits {
                let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
                let comment = sent.comment.iter().flat_map(|text| {
                    lf(text).split('\n').map(|line| Item::Comment(line.into())).collect::<Vec<_>>()
                });
                expected.extend(comment);
                expected.extend(sent.retry.map(|ms| Item::Retry(Duration::from_millis(ms))));
                last = sent.id.unwrap_or(last);
                expected.extend(sent.data.map(|data| {
                    let named = sent.event_type.filter(|name| !name.is_empty());
                    let event_type = named.unwrap_or_else(|| "message".into());
                    Item::Event(Event { event_type, data: lf(&data), id: last.clone() })
                }));
            }
        }
        let expected = Verdict { items: expected, last_event_id: last, end: None };
        self.sent += 1;
        if model::interpret(&stream, None) != expected {
            let details = format!("{expected} is sent as \"{}\"", escaped(&stream));
            self.fails("SENDING", &details);
        }
        self.judge(&stream, &generate::cuts(stream.len(), rng));
    }

    fn finish(&mut self, with_vectors: bool) -> bool {
        for reason in table::REASONS {
            let count = self.explained.get(reason.name).copied().unwrap_or_default();
            println!("{:<60} {} {count}", reason.name, reason.peer);
        }
        for (peer, same) in &self.same {
            let of_peer = table::REASONS.iter().filter(|reason| reason.peer == *peer);
            let explained: usize =
                of_peer.filter_map(|reason| self.explained.get(reason.name)).sum();
            println!(
                "SUMMARY {peer}: {} streams, same {same}, explained differences {explained}",
                self.cases
            );
        }
        for defect in std::mem::take(&mut self.unseen) {
            self.fails("NO CASE SHOWS", &format!("the defect {defect:?}"));
        }
        if with_vectors && self.by_vectors < Defect::ALL.len() {
            println!("the vectors show {} of {} defects", self.by_vectors, Defect::ALL.len());
        }
        println!(
            "SUMMARY event streams: {} streams with {} items, {} sent; {} planted defects, {} shown by the \
             vectors alone; {} classes of differences, {} failures",
            self.cases,
            self.items,
            self.sent,
            Defect::ALL.len(),
            self.by_vectors,
            table::REASONS.len(),
            self.failures
        );
        self.failures == 0
            && self.items > 0
            && self.sent > 0
            && self.same.len() == subjects::NAMES.len()
    }
}

/// Leaves out whatever bytes can be left out of a stream so that it is still `interesting`.
fn minimise(stream: &[u8], interesting: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = stream.to_vec();
    for size in [64, 8, 1] {
        let mut at = 0;
        while at < best.len() {
            let mut smaller = best.clone();
            drop(smaller.drain(at..best.len().min(at + size)));
            if interesting(&smaller) {
                best = smaller;
            } else {
                at += size;
            }
        }
    }
    best
}
