//! Times contestants side by side.

use std::time::{Duration, Instant};

/// How long a contestant runs at a time: long against the clock's reading, short against what else
/// happens on the machine.
const SLICE: Duration = Duration::from_micros(100);

/// A case: its name, and how to make its contestants, ourselves first.
pub(crate) type Case = (String, Box<dyn Fn() -> Vec<Contestant<'static>>>);

/// Something that is timed. It runs so many times and says how long that took.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contestant<'a> {
    /// Times `once` as a whole.
    pub(crate) fn new(name: &'static str, mut once: impl FnMut() + 'a) -> Self {
        Self::timed(name, move |times| {
            let start = Instant::now();
            for _ in 0..times {
                once();
            }
            start.elapsed()
        })
    }

    /// Leaves the timing to `run`, so that it may prepare what does not count.
    pub(crate) fn timed(name: &'static str, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }

    pub(crate) fn run(&mut self, times: u64) -> Duration {
        (self.run)(times)
    }
}

/// Nanoseconds that one run takes: the least of `rounds` rounds, in each of which every contestant
/// has its turn, once over for the caches' sake. Whatever disturbs a round only ever makes it longer.
pub(crate) fn race(contestants: &mut [Contestant<'_>], rounds: u32) -> Vec<f64> {
    let times: Vec<u64> = contestants
        .iter_mut()
        .map(|contestant| {
            let mut times = 1;
            while contestant.run(times) < SLICE {
                times *= 2;
            }
            times
        })
        .collect();
    let mut least = vec![f64::INFINITY; contestants.len()];
    for _ in 0..rounds {
        for ((contestant, &times), least) in contestants.iter_mut().zip(&times).zip(&mut least) {
            // Those before have left the caches full of their own.
            contestant.run(1);
            let took = contestant.run(times).as_nanos() as f64 / times as f64;
            *least = least.min(took);
        }
    }
    least
}
