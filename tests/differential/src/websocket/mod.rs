//! Differential tests of WebSocket (RFC 6455): sessions, right and broken, go to us, to each peer and
//! to a [`model`] of the standard; what we send goes to the peers and what they send to us; opening
//! handshakes are judged by both.

mod case;
mod compare;
mod generate;
mod model;
mod opening;
mod sending;
mod subjects;
mod table;
mod vectors;

use crate::case::escaped;
use case::{Case, End, Verdict};
use compare::{Outcome, compare, conforms};
use fastrand::Rng;
use model::Model;
use opening::Opening;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use table::{Facts, Reason};
use tidewire::ws::{Delivery, Leniency};

/// So many failures are enough to look at.
const ENOUGH: usize = 40;

/// Runs at most so many cases for at most so many seconds; says whether all is well.
pub fn run(seed: u64, cases: u64, seconds: u64, vectors: Option<&str>) -> bool {
    println!("WebSocket: seed {seed}, {cases} cases at most, {seconds} s at most");
    let mut report = Report::default();
    for reason in table::REASONS {
        report.check_example(reason);
    }
    if let Err(why) = Opening::check_examples() {
        report.fails("EXAMPLE", &why);
    }
    for case in vectors.map(vectors::read).unwrap_or_default() {
        report.judge(&case, &mut Rng::with_seed(0));
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    for number in 0..cases {
        if report.failures >= ENOUGH || Instant::now() > deadline {
            break;
        }
        let mut rng = Rng::with_seed(seed.wrapping_mul(1 << 40).wrapping_add(number));
        let case = generate::case(&mut rng);
        report.judge(&case, &mut rng);
        if number % 8 == 0 {
            report.sent += 1;
            if let Err(why) = sending::check(&mut rng) {
                report.fails("SENDING", &why);
            }
        }
        if let Err(why) = report.opening.check(&mut rng) {
            report.fails("OPENING differs from", &why);
        }
    }
    report.finish()
}

/// Prints the tables of reasons in Markdown.
pub fn reasons() {
    println!("| difference | with | kind | where | why | for example |\n|---|---|---|---|---|---|");
    for Reason { name, peers, kinds, rfc, why, example, .. } in table::REASONS {
        let kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
        let (peers, kinds) = (peers.join(", "), kinds.join(", "));
        let example = escaped(&example[..example.len().min(20)]);
        println!("| {name} | {peers} | {kinds} | {rfc} | {why} | `{example}` |");
    }
    opening::reasons();
}

#[derive(Default)]
struct Report {
    cases: usize,
    sent: usize,
    closed: usize,
    failed: usize,
    one_waits: usize,
    same: BTreeMap<&'static str, usize>,
    explained: BTreeMap<(&'static str, &'static str), usize>,
    /// What has been found already.
    seen: HashSet<String>,
    opening: Opening,
    failures: usize,
}

impl Report {
    fn fails(&mut self, what: &str, details: &str) {
        self.failures += 1;
        println!("{what} {details}");
    }

    fn judge(&mut self, case: &Case, rng: &mut Rng) {
        let bytes = case.bytes();
        let cuts = generate::cuts(bytes.len(), rng);
        let ours = subjects::tidewire::judge(case, &[], Delivery::Whole);
        self.cases += 1;
        match ours.end {
            End::Open => {}
            End::Closed(_) => self.closed += 1,
            End::Failed { .. } => self.failed += 1,
        }
        let model = model::receive(case, &bytes);
        for delivery in [Delivery::Whole, Delivery::Streaming] {
            for cuts in [&[][..], &cuts] {
                self.conforms(case, &model, &ours, cuts, delivery);
            }
        }
        // They know none of it.
        if case.leniency != Leniency::default() {
            return;
        }
        for peer in subjects::NAMES {
            let theirs = subjects::judge(peer, case, &cuts);
            match compare(case, &model, &ours, &theirs) {
                Outcome::Same => *self.same.entry(peer).or_default() += 1,
                Outcome::OneWaits => self.one_waits += 1,
                Outcome::Clash(kind) => {
                    let facts =
                        Facts { case, peer, model: &model, ours: &ours, theirs: &theirs, kind };
                    match table::explain(&facts) {
                        Some(reason) => {
                            *self.explained.entry((reason.name, peer)).or_default() += 1;
                        }
                        None => self.unexplained(&facts),
                    }
                }
            }
        }
    }

    /// Whether we say the same in this delivery and with these cuts, and RFC 6455 says so too.
    fn conforms(
        &mut self,
        case: &Case,
        model: &Model,
        whole: &Verdict,
        cuts: &[usize],
        delivery: Delivery,
    ) {
        let streaming = delivery == Delivery::Streaming;
        let mut ours = subjects::tidewire::judge(case, cuts, delivery);
        if let Err(what) = conforms(case, model, &ours, streaming)
            && self.seen.insert(format!("{delivery:?} {what} {:?}", ours.fault))
        {
            // The cuts go with the case.
            let cuts = |case: &Case| -> Vec<usize> {
                let len = case.bytes().len();
                cuts.iter().copied().filter(|&at| at <= len).collect()
            };
            let small = minimise(case, |case| {
                let model = model::receive(case, &case.bytes());
                let ours = subjects::tidewire::judge(case, &cuts(case), delivery);
                conforms(case, &model, &ours, streaming) == Err(what)
            });
            let model = model::receive(&small, &small.bytes());
            let ours = subjects::tidewire::judge(&small, &cuts(&small), delivery);
            self.fails(
                "NOT AS RFC 6455 SAYS",
                &format!(
                    "({what}): {delivery:?} {small}\n  cut at {:?}\n  tidewire {ours}\n  model    \
                         {model:?}",
                    cuts(&small)
                ),
            );
        }
        // How much of a message was told before something was wrong depends on when it came.
        ours.partial = None;
        if ours != *whole {
            let details =
                format!("{delivery:?} {cuts:?}: {case}\n  whole  {whole}\n  pieces {ours}");
            self.fails("CUTTING OR STREAMING CHANGES THE VERDICT", &details);
        }
    }

    fn unexplained(&mut self, facts: &Facts<'_>) {
        let word = |verdict: &Verdict| match &verdict.end {
            End::Failed { why, .. } => why.chars().filter(|c| !c.is_ascii_digit()).collect(),
            End::Open => "waits".to_owned(),
            End::Closed(_) => "closed".to_owned(),
        };
        let words = (word(facts.ours), word(facts.theirs));
        if !self.seen.insert(format!("{} {:?} {words:?}", facts.peer, facts.kind)) {
            return;
        }
        let peer = facts.peer;
        let judge = |case: &Case| {
            let model = model::receive(case, &case.bytes());
            let ours = subjects::tidewire::judge(case, &[], Delivery::Whole);
            (model, ours, subjects::judge(peer, case, &[]))
        };
        let small = minimise(facts.case, |case| {
            let (model, ours, theirs) = judge(case);
            let Outcome::Clash(kind) = compare(case, &model, &ours, &theirs) else { return false };
            let facts = Facts { case, peer, model: &model, ours: &ours, theirs: &theirs, kind };
            kind == facts.kind
                && (word(&ours), word(&theirs)) == words
                && table::explain(&facts).is_none()
        });
        let (_, ours, theirs) = judge(&small);
        let kind = facts.kind;
        self.fails(
            "UNEXPLAINED",
            &format!("{kind:?}: {small}\n  tidewire {ours}\n  {peer} {theirs}"),
        );
    }

    /// An example shows its difference, and for its own reason.
    fn check_example(&mut self, reason: &'static Reason) {
        let case = reason.example();
        let model = model::receive(&case, &case.bytes());
        let ours = subjects::tidewire::judge(&case, &[], Delivery::Whole);
        for peer in reason.peers {
            let theirs = subjects::judge(peer, &case, &[]);
            let found = match compare(&case, &model, &ours, &theirs) {
                Outcome::Clash(kind) => table::explain(&Facts {
                    case: &case,
                    peer,
                    model: &model,
                    ours: &ours,
                    theirs: &theirs,
                    kind,
                }),
                _ => None,
            };
            if !found.is_some_and(|found| std::ptr::eq(found, reason)) {
                let found = found.map_or("nothing", |found| found.name);
                self.fails(
                    "EXAMPLE",
                    &format!(
                        "of {:?} with {peer} shows {found}\n  {case}\n  ours   {ours}\n  theirs {theirs}",
                        reason.name
                    ),
                );
            }
        }
    }

    fn finish(&self) -> bool {
        for reason in table::REASONS {
            let count = |peer: &&'static str| {
                let count = self.explained.get(&(reason.name, *peer)).copied().unwrap_or_default();
                format!("{peer} {count}")
            };
            let counts: Vec<_> = reason.peers.iter().map(count).collect();
            println!("{:<55} {}", reason.name, counts.join(", "));
        }
        for (peer, same) in &self.same {
            let explained: usize =
                self.explained.iter().filter(|((_, p), _)| p == peer).map(|(_, n)| n).sum();
            println!(
                "SUMMARY {peer}: {} cases, same {same}, explained differences {explained}",
                self.cases
            );
        }
        println!(
            "SUMMARY WebSocket: {} cases, {} closed, {} failed, {} refused by one while another waits; {} sent; {} \
             classes of differences, {} failures",
            self.cases,
            self.closed,
            self.failed,
            self.one_waits,
            self.sent,
            table::REASONS.len(),
            self.failures
        );
        let all_came = self.closed > 0 && self.failed > 0 && self.sent > 0;
        let opened = self.opening.finish();
        self.failures == 0 && opened && all_came && self.same.len() == subjects::NAMES.len()
    }
}

/// Leaves out whatever frames can be left out of a case so that it is still `interesting`.
fn minimise(case: &Case, interesting: impl Fn(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut at = 0;
    while at < best.frames.len() {
        let mut smaller = best.clone();
        let removed = smaller.frames.remove(at).len();
        let before: usize = smaller.frames[..at].iter().map(Vec::len).sum();
        smaller.close_at = match best.close_at {
            Some(close_at) if close_at > before => {
                Some(close_at.saturating_sub(removed).max(before))
            }
            close_at => close_at,
        };
        if interesting(&smaller) {
            best = smaller;
        } else {
            at += 1;
        }
    }
    let without_close = Case { close_at: None, ..best.clone() };
    if interesting(&without_close) { without_close } else { best }
}
