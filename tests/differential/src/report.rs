//! What was found: counted, printed, judged.

use crate::case::{Case, End, Verdict, escaped};
use crate::compare::{Clash, Kind};
use crate::explained::{Facts, Reason};
use crate::table;
use std::collections::{BTreeMap, HashSet};

/// So many unexplained differences are enough to look at.
const ENOUGH: usize = 400;

pub struct Report {
    pub peers: Vec<&'static str>,
    counts: BTreeMap<&'static str, Count>,
    explained: BTreeMap<(&'static str, &'static str), usize>,
    seen: HashSet<String>,
    failures: usize,
}

#[derive(Default)]
struct Count {
    cases: usize,
    both_accept: usize,
    both_refuse: usize,
    peer_waits: usize,
}

impl Report {
    pub fn new(peers: Vec<&'static str>) -> Self {
        Self {
            peers,
            counts: BTreeMap::new(),
            explained: BTreeMap::new(),
            seen: HashSet::new(),
            failures: 0,
        }
    }

    pub fn count(&mut self, peer: &'static str, ours: &Verdict, theirs: &Verdict) {
        let count = self.counts.entry(peer).or_default();
        count.cases += 1;
        let refuses = |verdict: &Verdict| matches!(verdict.end, End::Refused { .. });
        match (refuses(ours), refuses(theirs)) {
            (true, true) => count.both_refuse += 1,
            (false, false) => count.both_accept += 1,
            _ => {}
        }
    }

    pub fn peer_waits(&mut self, peer: &'static str) {
        self.counts.entry(peer).or_default().peer_waits += 1;
    }

    pub fn explained(&mut self, reason: &'static Reason, peer: &'static str) {
        *self.explained.entry((reason.name, peer)).or_default() += 1;
    }

    /// Whether nothing like it has been found yet.
    pub fn is_new(&mut self, facts: &Facts<'_>) -> bool {
        let word = |end: &End| match end {
            End::Refused { why, .. } => why.split([':', '(']).next().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let refusal = match facts.clash.kind {
            Kind::WeRefuse => word(&facts.ours.end),
            Kind::WeAccept | Kind::WeWait => word(&facts.theirs.end),
            Kind::Meaning => String::new(),
        };
        let Clash { kind, part, .. } = facts.clash;
        self.seen.insert(format!("{} {kind:?} {part} {refusal}", facts.peer))
    }

    pub fn unexplained(
        &mut self,
        peer: &str,
        clash: &Clash,
        case: &Case,
        ours: &Verdict,
        theirs: &Verdict,
    ) {
        self.failures += 1;
        println!("UNEXPLAINED {:?} {}: {peer}", clash.kind, clash.part);
        println!("  {:?} \"{}\"", case.asked, escaped(&case.bytes));
        println!("  tidewire  {}", brief(ours));
        println!("  {peer:<9} {}", brief(theirs));
    }

    pub fn split_differs(
        &mut self,
        case: &Case,
        cuts: &[usize],
        whole: &Verdict,
        pieces: &Verdict,
    ) {
        self.failures += 1;
        let cuts = match cuts {
            [] | [_] | [_, _] => format!("at {cuts:?}"),
            _ => "byte by byte".into(),
        };
        println!("CUTTING CHANGES THE VERDICT, {cuts}");
        println!("  {:?} \"{}\"", case.asked, escaped(&case.bytes));
        println!("  whole  {}", brief(whole));
        println!("  pieces {}", brief(pieces));
    }

    pub fn example_fails(&mut self, what: &str) {
        self.failures += 1;
        println!("EXAMPLE {what}");
    }

    pub fn is_full(&self) -> bool {
        self.failures >= ENOUGH
    }

    /// Prints what was found; says whether all is well.
    pub fn finish(&self) -> bool {
        for reason in table::reasons() {
            let count = |peer: &&'static str| {
                let count = self.explained.get(&(reason.name, *peer)).copied().unwrap_or_default();
                format!("{peer} {count}")
            };
            let counts: Vec<_> = reason.peers.iter().map(count).collect();
            println!("{:<55} {}", reason.name, counts.join(", "));
        }
        for (peer, count) in &self.counts {
            let explained: usize =
                self.explained.iter().filter(|((_, p), _)| p == peer).map(|(_, n)| n).sum();
            println!(
                "SUMMARY {peer}: {} cases, both accept {}, both refuse {}, explained differences \
                 {explained}, refused while it waits {}",
                count.cases, count.both_accept, count.both_refuse, count.peer_waits
            );
        }
        println!(
            "SUMMARY {} classes of differences, {} failures",
            table::reasons().count(),
            self.failures
        );
        self.failures == 0 && self.counts.values().all(|count| count.both_accept > 0)
    }
}

/// Prints the table of reasons in Markdown.
pub fn reasons() {
    println!("| difference | with | kind | where | why | for example |\n|---|---|---|---|---|---|");
    for reason in table::reasons() {
        let kinds: Vec<_> = reason.kinds.iter().map(|kind| format!("{kind:?}")).collect();
        let (_, example) = reason.example;
        println!(
            "| {} | {} | {} | {} | {} | `{}` |",
            reason.name,
            reason.peers.join(", "),
            kinds.join(", "),
            reason.rfc,
            reason.why,
            escaped(example).replace('|', "\\|")
        );
    }
}

/// A verdict in a line.
pub fn brief(verdict: &Verdict) -> String {
    let mut text = String::new();
    for message in &verdict.messages {
        let lines = |lines: &[crate::case::Field]| {
            lines
                .iter()
                .map(|line| format!("{}={}", escaped(&line.0), escaped(&line.1)))
                .collect::<Vec<_>>()
                .join("|")
        };
        text += &format!(
            "[{} {} 1.{} {{{}}} \"{}\" {{{}}} {}{}] ",
            escaped(&message.first),
            escaped(&message.second),
            message.minor,
            lines(&message.fields),
            escaped(&message.body),
            lines(&message.trailers),
            match message.keep_alive {
                None => "",
                Some(true) => "kept ",
                Some(false) => "closes ",
            },
            if message.complete { "whole" } else { "begun" },
        );
    }
    text + &end(&verdict.end)
}

fn end(end: &End) -> String {
    match end {
        End::Complete { surplus: 0 } => "complete".into(),
        End::Complete { surplus } => format!("complete, {surplus} more"),
        End::Incomplete => "incomplete".into(),
        End::Refused { why, at: None } => format!("refused: {why}"),
        End::Refused { why, at: Some(at) } => format!("refused: {why} at {at}"),
        End::Unknown => "not looked at further".into(),
    }
}
