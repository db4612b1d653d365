//! Fan-out over loopback.
//!
//! ```text
//!   this process: one thread, epoll          a process each: the servers
//!   500 subscribers  <---- 127.0.0.1 ----    raw loop, axum, tidewire, …
//!          |                                    ^
//!          +------- "publish 16" on stdin ------+
//! ```
//!
//! Every server has the same subscribers, who check each byte of each event. *Paced*: an event is
//! published when all have the one before. *Burst*: sixteen at once, the next when all have them.
//! Servers take turns; a server that has no turn sleeps.

mod axum;
pub(crate) mod crowd;
mod payload;
pub(crate) mod process;
mod raw;
mod serve;
mod tidewire;

use crowd::Crowd;
use process::Process;
use std::error::Error;
use std::ops::Range;
use std::time::Duration;

pub(crate) use serve::serve;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Publishes the events of these numbers.
type Publish = Box<dyn FnMut(Range<u64>)>;

/// Events published at once in a burst.
const BURST: u64 = 16;

/// What `bench fanout` takes.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) subscribers: usize,
    /// Events of one turn, paced; a burst has eight times as many.
    pub(crate) events: u64,
    pub(crate) rounds: usize,
    /// Only servers whose name has this in it.
    pub(crate) who: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { subscribers: 500, events: 16, rounds: 40, who: String::new() }
    }
}

impl Options {
    pub(crate) fn parse(mut args: pico_args::Arguments) -> Result<Self> {
        let usual = Self::default();
        let options = Self {
            subscribers: args.opt_value_from_str("--subscribers")?.unwrap_or(usual.subscribers),
            events: args.opt_value_from_str("--events")?.unwrap_or(usual.events),
            rounds: args.opt_value_from_str("--rounds")?.unwrap_or(usual.rounds),
            who: args.opt_value_from_str("--who")?.unwrap_or(usual.who),
        };
        let rest = args.finish();
        if !rest.is_empty() {
            return Err(format!("what is {rest:?}?").into());
        }
        Ok(options)
    }
}

/// One server and its subscribers.
struct Contestant {
    name: &'static str,
    process: Process,
    crowd: Crowd,
    paced: Turns,
    burst: Turns,
}

/// What the turns of one server came to.
#[derive(Default)]
struct Turns {
    /// Nanoseconds a delivery, one figure a turn.
    nanoseconds: Vec<f64>,
    /// Nanoseconds on a processor that the server took a delivery, likewise.
    busy: Vec<f64>,
    /// From publishing to the middle one of the subscribers, likewise.
    middle: Vec<Duration>,
}

/// Prints how fast events are delivered.
pub(crate) fn run(options: &Options) -> Result<()> {
    process::allow_many_sockets()?;
    let names = serve::SERVERS.map(|(name, _)| name);
    let named = names.into_iter().filter(|name| name.contains(&options.who));
    if options.subscribers > 0 && options.rounds > 0 {
        deliver(options, named)?;
    }
    Ok(())
}

fn deliver(options: &Options, names: impl Iterator<Item = &'static str>) -> Result<()> {
    let mut contestants = Vec::new();
    for name in names {
        let process = Process::start("fanout-serve", name)?;
        let crowd = Crowd::connect(process.address(), options.subscribers)?;
        let (paced, burst) = Default::default();
        contestants.push(Contestant { name, process, crowd, paced, burst });
    }
    for round in 0..=options.rounds {
        for it in &mut contestants {
            let paced = it.turn(options.events, 1)?;
            let burst = it.turn(options.events * 8, BURST)?;
            // The first round is for the caches.
            if round > 0 {
                it.paced.push(paced);
                it.burst.push(burst);
            }
        }
    }
    let count = options.subscribers;
    let length = payload::event(0).len();
    println!(
        "\nevents of {length} B to {count} subscribers; {} rounds, all take turns",
        options.rounds
    );
    print("one at a time", &contestants, |it| &it.paced);
    print(&format!("bursts of {BURST}"), &contestants, |it| &it.burst);
    Ok(())
}

impl Contestant {
    /// Publishes `events`, `burst` at a time.
    fn turn(&mut self, events: u64, burst: u64) -> Result<(f64, f64, Duration)> {
        let mut middle = Duration::ZERO;
        let mut took = Duration::ZERO;
        let busy = self.process.busy()?;
        let windows = events.div_ceil(burst);
        for _ in 0..windows {
            let process = &mut self.process;
            let window = self.crowd.window(burst, || process.publish(burst))?;
            took += window.took;
            middle += window.middle;
        }
        let busy = self.process.busy()?.saturating_sub(busy);
        let deliveries = (windows * burst * self.crowd.len() as u64) as f64;
        let each = |time: Duration| time.as_nanos() as f64 / deliveries;
        Ok((each(took), each(busy), middle / windows as u32))
    }
}

impl Turns {
    fn push(&mut self, (nanoseconds, busy, middle): (f64, f64, Duration)) {
        self.nanoseconds.push(nanoseconds);
        self.busy.push(busy);
        self.middle.push(middle);
    }
}

fn print(what: &str, contestants: &[Contestant], turns: fn(&Contestant) -> &Turns) {
    println!("\n{what}");
    println!(
        "  {:24} {:>12} {:>7} {:>12} {:>7} {:>11} {:>7} {:>12}",
        "", "best ev/s", "to raw", "median ev/s", "to raw", "busy ns/ev", "to raw", "middle one"
    );
    let figures = |it: &Contestant| {
        let turns = turns(it);
        let best = turns.nanoseconds.iter().copied().fold(f64::INFINITY, f64::min);
        [best, median(&turns.nanoseconds), median(&turns.busy)]
    };
    let Some(raw) = contestants.first().map(figures) else { return };
    for it in contestants {
        let [best, middle, busy] = figures(it);
        let mut latencies = turns(it).middle.clone();
        latencies.sort_unstable();
        println!(
            "  {:24} {:12.0} {:6.2}x {:12.0} {:6.2}x {:11.0} {:6.2}x {:9.0} µs",
            it.name,
            1e9 / best,
            best / raw[0],
            1e9 / middle,
            middle / raw[1],
            busy,
            busy / raw[2],
            latencies[latencies.len() / 2].as_nanos() as f64 / 1e3,
        );
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
