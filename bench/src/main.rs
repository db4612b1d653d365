//! How fast tidewire is beside its peers.
//!
//! ```text
//! bench http                                   # every case
//! bench ws                                     # the same for WebSocket
//! bench sse                                    # and for Server-Sent Events
//! bench http --only 73 --rounds 500            # the cases whose name has this in it
//! bench http --only 73 --who tidewire --times 10000   # for valgrind --tool=callgrind
//! bench fanout --subscribers 500 --rounds 40   # event streams to many
//! bench echo --only clients --rounds 100       # WebSocket over loopback, beside raw sockets
//! bench idle --connections 10000               # what connections cost while nothing happens
//! ```
//!
//! All contestants of a case take turns; what is printed is the least of their rounds.

mod echo;
mod fanout;
mod http;
mod idle;
mod measure;
mod sse;
mod ws;

use measure::{Case, Contestant, race};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = pico_args::Arguments::from_env();
    let group = args.subcommand()?;
    match group.as_deref() {
        Some("fanout") => return fanout::run(&fanout::Options::parse(args)?),
        Some("fanout-serve") => return fanout::serve(&args.free_from_str::<String>()?, held),
        Some("echo") => return echo::run(&echo::Options::parse(args)?),
        Some("idle") => return idle::run(&idle::Options::parse(args)?),
        Some("idle-serve") => return idle::serve(&args.free_from_str::<String>()?, held),
        _ => {}
    }
    let only: String = args.opt_value_from_str("--only")?.unwrap_or_default();
    let who: String = args.opt_value_from_str("--who")?.unwrap_or_default();
    let times: Option<u64> = args.opt_value_from_str("--times")?;
    let rounds = args.opt_value_from_str("--rounds")?.unwrap_or(200);
    let rest = args.finish();
    let cases: Vec<Case> = match group.as_deref() {
        Some("http") if rest.is_empty() => http::cases(),
        Some("ws") if rest.is_empty() => ws::cases(),
        Some("sse") if rest.is_empty() => sse::cases(),
        _ => {
            return Err(
                "usage: bench http|ws|sse [--only CASE] [--rounds N] [--who NAME --times N]\n       \
                bench fanout [--subscribers N] [--events N] [--rounds N] [--who NAME]\n       \
                bench echo [--only CASE] [--rounds N] [--who NAME] [--times N]\n       \
                bench idle [--connections N] [--who NAME]"
                    .into(),
            );
        }
    };
    println!("the least of {rounds} rounds, in which all of a case take turns");
    for (name, contestants) in cases.iter().filter(|(name, _)| name.contains(&only)) {
        let mut contestants = contestants();
        contestants.retain(|contestant| contestant.name.contains(&who));
        match times {
            Some(times) => contestants.iter_mut().for_each(|contestant| {
                contestant.run(times);
            }),
            None => print(name, &mut contestants, rounds),
        }
    }
    if group.as_deref() == Some("ws") && only.is_empty() && times.is_none() {
        ws::idle(held);
    }
    if group.as_deref() == Some("sse") && only.is_empty() && times.is_none() {
        let usual = fanout::Options::default();
        let rounds = usual.rounds.min(rounds as usize);
        fanout::run(&fanout::Options { rounds, ..usual })?;
    }
    Ok(())
}

/// How many bytes of heap there are in use.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Prints the times of one case and their ratio to that of the first contestant.
fn print(case: &str, contestants: &mut [Contestant<'_>], rounds: u32) {
    let nanoseconds = race(contestants, rounds);
    println!("\n{case}");
    for (contestant, took) in contestants.iter_mut().zip(&nanoseconds) {
        let allocations = allocations(contestant, *took);
        let ratio = took / nanoseconds[0];
        println!(
            "  {:36} {took:10.1} ns  {ratio:6.2}x  {allocations:4.1} allocations",
            contestant.name,
        );
    }
}

/// Allocations a run, once it has run often: for a millisecond, since some can't stop in the midst of
/// what a read brought.
fn allocations(contestant: &mut Contestant<'_>, nanoseconds: f64) -> f64 {
    let times = ((1e6 / nanoseconds) as u64).max(1);
    let region = Region::new(ALLOCATOR);
    contestant.run(times);
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / times as f64
}
