//! WebSocket over loopback: a message and back, many at once, and a large one.
//!
//! ```text
//!   clients: raw sockets, tidewire, peers  <-- 127.0.0.1 -->  one raw server, a thread a connection
//!   one raw client                         <-- 127.0.0.1 -->  servers: raw sockets, tidewire
//! ```
//!
//! All contestants of a case take turns, and each figure is compared with that of the raw sockets of the
//! same runtime in the same round, so that what else the machine does concerns both.

mod clients;
pub(crate) mod frames;
mod load;
pub(crate) mod raw;
pub(crate) mod servers;

use load::Load;
use std::error::Error;
use std::time::Duration;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What `bench echo` takes.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    rounds: usize,
    /// Only cases whose name has this in it.
    only: String,
    /// Only runtimes and contestants whose name has this in it.
    who: String,
    /// Instead of rounds: so often, and nothing is printed.
    times: Option<usize>,
}

impl Options {
    pub(crate) fn parse(mut args: pico_args::Arguments) -> Result<Self> {
        let options = Self {
            rounds: args.opt_value_from_str("--rounds")?.unwrap_or(100),
            only: args.opt_value_from_str("--only")?.unwrap_or_default(),
            who: args.opt_value_from_str("--who")?.unwrap_or_default(),
            times: args.opt_value_from_str("--times")?,
        };
        let rest = args.finish();
        if !rest.is_empty() {
            return Err(format!("what is {rest:?}?").into());
        }
        Ok(options)
    }
}

/// Exchanges messages over a connection of its own. How long each exchange took.
type Turn = Box<dyn FnMut(Load, usize) -> Result<Vec<Duration>>>;

struct Contestant {
    name: String,
    turn: Turn,
}

impl Contestant {
    fn new(
        runtime: &str,
        name: &str,
        turn: impl FnMut(Load, usize) -> Result<Vec<Duration>> + 'static,
    ) -> Self {
        Self { name: format!("{runtime}: {name}"), turn: Box::new(turn) }
    }
}

/// Raw sockets first: the contestants of one runtime.
type Group = Vec<Contestant>;

/// Prints how fast messages come back.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "{} rounds, in which all of a case take turns: the least p50, the median p99",
        options.rounds
    );
    compare(options, "clients", clients::groups)?;
    compare(options, "servers", servers::groups)
}

fn compare(options: &Options, who: &str, groups: impl Fn() -> Result<Vec<Group>>) -> Result<()> {
    let cases: Vec<(String, Load)> = Load::ALL
        .into_iter()
        .map(|load| (format!("{who}, {}", load.name()), load))
        .filter(|(name, _)| name.contains(&options.only))
        .collect();
    if cases.is_empty() {
        return Ok(());
    }
    let mut groups = groups()?;
    for group in &mut groups {
        group.retain(|it| it.name.contains(&options.who));
    }
    groups.retain(|group| !group.is_empty());
    for (name, load) in cases {
        if let Some(times) = options.times {
            for it in groups.iter_mut().flatten() {
                (it.turn)(load, times)?;
            }
            continue;
        }
        println!("\n{name}");
        race(load, &mut groups, options.rounds)?;
    }
    Ok(())
}

/// The figures of one contestant, one a round.
#[derive(Default)]
struct Figures {
    /// Half of the exchanges took less.
    middle: Vec<f64>,
    /// One in a hundred took longer.
    slow: Vec<f64>,
    /// The middle one to that of the raw sockets in the same round.
    ratio: Vec<f64>,
}

fn race(load: Load, groups: &mut [Group], rounds: usize) -> Result<()> {
    let mut figures: Vec<Vec<Figures>> =
        groups.iter().map(|group| group.iter().map(|_| Figures::default()).collect()).collect();
    for round in 0..rounds {
        for (group, figures) in groups.iter_mut().zip(&mut figures) {
            let count = group.len();
            // Everybody is the first one now and then.
            for at in (0..count).map(|at| (at + round) % count) {
                let it = &mut group[at];
                let mut took = (it.turn)(load, load.times())
                    .map_err(|error| format!("{}: {error}", it.name))?;
                took.sort_unstable();
                let [middle, slow] = [took.len() / 2, took.len() * 99 / 100]
                    .map(|at| took[at].as_nanos() as f64 / 1e3);
                figures[at].middle.push(middle);
                figures[at].slow.push(slow);
            }
            let raw = figures[0].middle[round];
            for it in figures {
                it.ratio.push(it.middle[round] / raw);
            }
        }
    }
    let (unit, rate) = load.rate();
    println!(
        "  {:32} {:>9} {:>9} {unit:>13} {:>8} {:>13}",
        "", "p50 µs", "p99 µs", "to raw", "median to raw"
    );
    for (group, figures) in groups.iter().zip(&mut figures) {
        let mut raw = None;
        for (it, Figures { middle, slow, ratio }) in group.iter().zip(figures) {
            for figures in [&mut *middle, slow, ratio] {
                figures.sort_unstable_by(f64::total_cmp);
            }
            let (least, slow, ratio) = (middle[0], slow[slow.len() / 2], ratio[ratio.len() / 2]);
            println!(
                "  {:32} {least:9.2} {slow:9.2} {:13.2} {:7.3}x {ratio:12.3}x",
                it.name,
                rate / least,
                least / *raw.get_or_insert(least),
            );
        }
    }
    Ok(())
}

/// What a future gives that never waits: one over blocking sockets.
fn ready<T>(future: impl Future<Output = T>) -> T {
    futures::FutureExt::now_or_never(future).expect("blocking sockets never wait")
}
