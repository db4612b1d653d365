//! Differential tests of tidewire. Of WebSocket: see [`websocket`]; of event streams: [`sse`]. Of HTTP/1.1: a stream of messages, made after the grammar and then
//! damaged, goes to us and to each peer. What we take and a peer refuses, what we refuse and a peer
//! takes, and what both take and understand differently must have its reason in [`table`].
//!
//! Options are explained in `run`, which builds this and brings the peers.

mod case;
mod compare;
mod explained;
mod generate;
mod minimise;
mod mutate;
mod report;
mod sse;
mod subjects;
mod table;
mod vectors;
mod websocket;
mod words;

use case::{Case, Verdict, escaped};
use compare::{Outcome, compare};
use explained::{Facts, Reason};
use fastrand::Rng;
use report::Report;
use std::time::{Duration, Instant};
use subjects::script::Script;
use subjects::{http_net, httparse, tidewire};

/// How to run what is not about HTTP, and how to print its reasons.
type Part = (fn(u64, u64, u64, Option<&str>) -> bool, fn());

fn main() {
    let mut args = pico_args::Arguments::from_env();
    let mut number = |name: &'static str, default: u64| {
        args.opt_value_from_str(name)
            .unwrap_or_else(|error| fail(&error.to_string()))
            .unwrap_or(default)
    };
    let seed = number("--seed", 1);
    let cases = number("--cases", 20_000);
    let seconds = number("--seconds", 120);
    let mut text =
        |name: &'static str| args.opt_value_from_str::<_, String>(name).unwrap_or_default();
    let vectors = text("--vectors");
    let about: Option<Part> = match text("--about").as_deref() {
        Some("websocket") => Some((websocket::run, websocket::reasons)),
        Some("sse") => Some((sse::run, sse::reasons)),
        _ => None,
    };
    if let Some((run, reasons)) = about {
        if args.contains("--reasons") {
            return reasons();
        }
        if !run(seed, cases, seconds, vectors.as_deref()) {
            std::process::exit(1);
        }
        return;
    }
    let mut peers = Peers::new(text("--h11"), text("--node"));
    let seeds = vectors.map(|folder| vectors::read(&folder)).unwrap_or_default();
    if let Some(path) = text("--show") {
        return show(&mut peers, &path);
    }
    if args.contains("--reasons") {
        return report::reasons();
    }
    if args.contains("--table") {
        return vectors::table(&seeds, &mut peers);
    }

    println!("seed {seed}, {cases} cases at most, {seconds} s at most");
    let mut report = Report::new(peers.names());
    for reason in table::reasons() {
        check_example(reason, &mut peers, &mut report);
    }
    for vector in &seeds {
        judge(&vector.case, &mut peers, true, &mut Rng::with_seed(0), &mut report);
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    for number in 0..cases {
        if report.is_full() || Instant::now() > deadline {
            break;
        }
        let mut rng = Rng::with_seed(seed.wrapping_mul(1 << 40).wrapping_add(number));
        let mut case = match seeds.is_empty() || rng.u8(..8) > 0 {
            true => generate::case(&mut rng),
            false => seeds[rng.usize(..seeds.len())].case.clone(),
        };
        if rng.u8(..5) < 2 {
            mutate::mutate(&mut case.bytes, &mut rng);
        }
        // Scripts are slower.
        judge(&case, &mut peers, number % 8 == 0, &mut rng, &mut report);
    }
    if !report.finish() {
        std::process::exit(1);
    }
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2)
}

/// Everyone that is there.
pub struct Peers {
    h11: Option<Script>,
    node: Option<Script>,
}

impl Peers {
    fn new(h11: Option<String>, node: Option<String>) -> Self {
        let start = |name: &str, command: Option<String>| {
            command.map(|command| {
                Script::start(name, &command).unwrap_or_else(|e| fail(&format!("{name}: {e}")))
            })
        };
        Self { h11: start("h11", h11), node: start("node", node) }
    }

    fn names(&self) -> Vec<&'static str> {
        let there = [true, true, self.h11.is_some(), self.node.is_some()];
        subjects::NAMES.into_iter().zip(there).filter(|(_, there)| *there).map(|(n, _)| n).collect()
    }

    /// What we and the peer of this name make of a case.
    fn judge(&mut self, peer: &str, case: &Case) -> Option<(Verdict, Verdict)> {
        let theirs = match peer {
            "http-net" => http_net::judge(case),
            "httparse" => return Some((tidewire::judge_head(case), httparse::judge(case))),
            "h11" => self.h11.as_mut()?.judge(case),
            _ => self.node.as_mut()?.judge(case),
        };
        Some((tidewire::judge(case), theirs))
    }
}

/// Compares us with everyone, and with ourselves in pieces.
fn judge(case: &Case, peers: &mut Peers, scripts: bool, rng: &mut Rng, report: &mut Report) {
    let whole = tidewire::judge(case);
    for round in 0..3 {
        let mut cuts: Vec<_> = match round {
            0 => (1..case.bytes.len()).collect(),
            _ => (0..round).map(|_| rng.usize(..=case.bytes.len())).collect(),
        };
        cuts.sort_unstable();
        let pieces = tidewire::judge_in_pieces(case, &cuts);
        if pieces != whole {
            report.split_differs(case, &cuts, &whole, &pieces);
            break;
        }
    }
    for peer in report.peers.clone() {
        if !scripts && matches!(peer, "h11" | "node") {
            continue;
        }
        let Some((ours, theirs)) = peers.judge(peer, case) else { continue };
        report.count(peer, &ours, &theirs);
        match compare(case, &ours, &theirs) {
            Outcome::Same => {}
            Outcome::PeerWaits => report.peer_waits(peer),
            Outcome::Clash(clash) => {
                let facts = Facts { case, peer, ours: &ours, theirs: &theirs, clash: &clash };
                match explained::explain(&facts) {
                    Some(reason) => report.explained(reason, peer),
                    None if report.is_new(&facts) => {
                        let small = minimise::minimise(case, peer, &clash, peers);
                        let (ours, theirs) = peers.judge(peer, &small).expect("it is there");
                        report.unexplained(peer, &clash, &small, &ours, &theirs);
                    }
                    None => {}
                }
            }
        }
    }
}

/// An example shows its difference, and for its own reason.
fn check_example(reason: &'static Reason, peers: &mut Peers, report: &mut Report) {
    let (asked, bytes) = reason.example;
    let case = Case::responses(asked, bytes);
    for peer in reason.peers {
        let Some((ours, theirs)) = peers.judge(peer, &case) else { continue };
        let found = match compare(&case, &ours, &theirs) {
            Outcome::Clash(clash) => explained::explain(&Facts {
                case: &case,
                peer,
                ours: &ours,
                theirs: &theirs,
                clash: &clash,
            }),
            _ => None,
        };
        if !found.is_some_and(|found| std::ptr::eq(found, reason)) {
            let found = found.map_or("nothing", |found| found.name);
            report.example_fails(&format!(
                "the example of {:?} with {peer} shows {found}\n  {}\n  ours   {}\n  theirs {}",
                reason.name,
                escaped(&case.bytes),
                report::brief(&ours),
                report::brief(&theirs)
            ));
        }
    }
}

/// What everyone makes of the case in this file: a line of JSON as in `case.rs`.
fn show(peers: &mut Peers, path: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| fail(&error.to_string()));
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).unwrap_or_else(|e| fail(&e.to_string()));
        println!("{:?} \"{}\"", case.asked, escaped(&case.bytes));
        println!("  {:<9} {}", "tidewire", report::brief(&tidewire::judge(&case)));
        for peer in peers.names() {
            if let Some((ours, theirs)) = peers.judge(peer, &case) {
                let outcome = compare(&case, &ours, &theirs);
                println!("  {peer:<9} {}  {outcome:?}", report::brief(&theirs));
            }
        }
    }
}
