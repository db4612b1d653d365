//! The bodies of the fuzz targets over their seeds and over mutations of them, on every test run.

use core::panic::AssertUnwindSafe;
use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use tidewire_tests::fuzz::{Body, Random, TARGETS};

/// Mutations of each seed. The fuzzer tries more, guided by coverage; this keeps it honest between.
const MUTATIONS: usize = 200;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read(path).expect("a readable seed"))
        })
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 5, "{target} has seeds");
    seeds
}

/// Runs a body; a failure shows the input as something to paste into a test.
fn run(target: &str, body: Body, seed: &str, data: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(data))) {
        eprintln!("{target}, from seed {seed}: b\"{}\"", data.escape_ascii());
        resume_unwind(panic);
    }
}

fn mutate(random: &mut Random, seeds: &[(String, Vec<u8>)], data: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        let to = at + random.below(data.len() - at);
        match random.below(7) {
            0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            1 if !data.is_empty() => data[at] = random.next() as u8,
            2 => data.insert(at, random.next() as u8),
            3 => drop(data.drain(at..to)),
            4 => data.truncate(at),
            5 => {
                let piece = data[at..to].to_vec();
                data.splice(at..at, piece);
            }
            _ => {
                let (_, other) = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                data.splice(at..to, other[from..].iter().copied());
            }
        }
    }
}

#[test]
fn every_seed() {
    for (target, body) in TARGETS {
        for (name, data) in seeds(target) {
            run(target, body, &name, &data);
        }
    }
}

#[test]
fn every_beginning_of_every_seed() {
    for (target, body) in TARGETS {
        for (name, data) in seeds(target) {
            for end in 0..data.len().min(512) {
                run(target, body, &name, &data[..end]);
            }
        }
    }
}

#[test]
fn mutations_of_the_seeds() {
    for (target, body) in TARGETS {
        let mut random = Random::new(1);
        let seeds = seeds(target);
        for (name, seed) in &seeds {
            for _ in 0..MUTATIONS {
                let mut data = seed.clone();
                mutate(&mut random, &seeds, &mut data);
                data.truncate(8192);
                run(target, body, name, &data);
            }
        }
    }
}

#[test]
fn noise() {
    for (target, body) in TARGETS {
        let mut random = Random::new(2);
        for _ in 0..MUTATIONS {
            let data: Vec<u8> = (0..random.below(600)).map(|_| random.next() as u8).collect();
            run(target, body, "noise", &data);
        }
    }
}
