//! The targets of `fuzz/` on stable: seeded bytes, the seeds that are kept, and those seeds changed at random.
//!
//! `CIRCUS_TESTS=long` throws a hundred times as many.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::{fs, path::PathBuf};

use circus_tests::{
    daemon::skip,
    fuzz::{self, TARGETS, Target},
};
use proptest::prelude::*;

/// The kept seeds of a target, and for the configuration all files we ship.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders: &[&str] = if name == "config" { &["conf", "fuzz/seeds/config"] } else { &[] };
    let own = format!("fuzz/seeds/{name}");
    let folders = folders.iter().copied().chain((name != "config").then_some(own.as_str()));
    let files = folders.flat_map(|folder| fs::read_dir(root.join(folder)).unwrap().flatten());
    let files = files.map(|entry| entry.path()).filter(|path| path.is_file());
    files.map(|path| fs::read(path).unwrap()).collect()
}

fn cases() -> ProptestConfig {
    let cases = if skip::long() { 100_000 } else { 1_000 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Changes a text as fuzzers do: bytes replaced, parts left out, parts doubled, another seed in the middle.
fn changed(seed: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.u8(1..8) {
        let (at, to) = (random.usize(..=bytes.len()), random.usize(..=bytes.len()));
        let part = at.min(to)..at.max(to);
        match random.u8(0..5) {
            0 => bytes.insert(at, random.u8(..)),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
            2 => drop(bytes.drain(part)),
            3 if part.len() < 1000 => {
                let twice = bytes[part].to_vec();
                bytes.splice(at..at, twice);
            }
            _ if !other.is_empty() => {
                let from = random.usize(..other.len());
                let much = (from + random.usize(..64)).min(other.len());
                bytes.splice(at..at, other[from..much].iter().copied());
            }
            _ => {}
        }
    }
    bytes
}

/// Throws seeds and what becomes of them.
fn throw(target: Target, each: usize) {
    let (name, run) = target;
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut random = fastrand::Rng::with_seed(42);
    for seed in &seeds {
        run(seed);
        for _ in 0..each {
            let other = &seeds[random.usize(..seeds.len())];
            let bytes = changed(seed, other, &mut random);
            let ended = std::panic::catch_unwind(|| run(&bytes));
            assert!(ended.is_ok(), "{name} breaks with {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn seeds_and_what_becomes_of_them_break_nothing() {
    let factor = if skip::long() { 100 } else { 1 };
    for target in TARGETS {
        throw(target, factor * if target.0 == "story" { 20 } else { 100 });
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_bytes_break_anything(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::config(&bytes);
        fuzz::expand(&bytes);
        fuzz::request(&bytes);
        fuzz::frames(&bytes);
        fuzz::values(&bytes);
        fuzz::streams(&bytes);
    }

    #[test]
    fn no_text_breaks_anything(text in "[ -~\n$()'\"\\\\é;:=\\[\\]{}]{0,120}") {
        fuzz::config(text.as_bytes());
        fuzz::expand(text.as_bytes());
        fuzz::request(text.as_bytes());
        fuzz::frames(text.as_bytes());
        fuzz::values(text.as_bytes());
        fuzz::streams(text.as_bytes());
    }
}
