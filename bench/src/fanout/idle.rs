//! What a subscriber costs while nothing is published.

use super::Result;
use super::crowd::subscribe;
use super::process::Process;
use std::thread;
use std::time::Duration;

/// Subscribers who come and stay before those who are counted: tables, threads and the allocator's
/// areas are there then.
const BEFORE: usize = 200;
/// Until buffers that are not in use were given back.
const REST: Duration = Duration::from_secs(3);

/// Prints the bytes that `count` subscribers of each server take.
pub(super) fn run(count: usize, names: impl Iterator<Item = &'static str>) -> Result<()> {
    println!("\nbytes an idle subscriber, of {count}");
    println!("  {:24} {:>12} {:>12}", "", "resident", "heap");
    for name in names {
        let mut process = Process::start(name)?;
        let mut subscribers = Vec::with_capacity(BEFORE + count);
        for _ in 0..BEFORE {
            subscribers.push(subscribe(process.address())?);
        }
        thread::sleep(REST);
        let before = (process.resident()?, process.held()?);
        for _ in 0..count {
            subscribers.push(subscribe(process.address())?);
        }
        thread::sleep(REST);
        let after = (process.resident()?, process.held()?);
        let each = |before: usize, after: usize| after.saturating_sub(before) / count;
        let (resident, heap) = (each(before.0, after.0), each(before.1, after.1));
        println!("  {name:24} {resident:12} {heap:12}");
    }
    Ok(())
}
