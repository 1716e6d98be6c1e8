//! What is counted between two scrapes.

use std::{collections::BTreeMap, time::Duration};

use circus_common::protocol::event::{Seen, res_name};
use serde_json::Value;

/// The upper ends of the latency buckets, in seconds.
pub(super) const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Series of one kind that are kept, whatever the labels are.
const MOST_SERIES: usize = 10_000;

/// How long answers took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    /// By bucket; the last is for what took longer than all.
    pub buckets: [u64; BUCKETS.len() + 1],
    pub sum: f64,
}

impl Histogram {
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|end| seconds <= *end).unwrap_or(BUCKETS.len());
        self.buckets[bucket] += 1;
        self.sum += seconds;
    }
}

/// What happened to one watcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Life {
    pub spawns: u64,
    pub restarts: u64,
    /// By exit code (minus the signal), and whether circusd had asked for it.
    pub exits: BTreeMap<(i64, bool), u64>,
    /// Unexpected exits whose process has not been replaced yet.
    open: u64,
}

/// All counts, by the watcher's name in topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub lives: BTreeMap<String, Life>,
    pub hits: BTreeMap<String, u64>,
}

impl Counts {
    pub fn event(&mut self, seen: &Seen) {
        if self.lives.len() >= MOST_SERIES && !self.lives.contains_key(&seen.watcher) {
            return;
        }
        let life = self.lives.entry(seen.watcher.clone()).or_default();
        match seen.event.as_str() {
            "spawn" => {
                life.spawns += 1;
                if life.open > 0 {
                    life.open -= 1;
                    life.restarts += 1;
                }
            }
            "reap" => {
                let code = seen.members.get("exit_code").and_then(Value::as_i64).unwrap_or_default();
                let expected = seen.members.get("expected").and_then(Value::as_bool).unwrap_or(false);
                *life.exits.entry((code, expected)).or_default() += 1;
                life.open += u64::from(!expected);
            }
            "stop" => life.open = 0,
            "remove" => drop(self.lives.remove(&seen.watcher)),
            _ => {}
        }
    }

    pub fn hit(&mut self, address: &str, reads: u64) {
        if self.hits.len() < MOST_SERIES || self.hits.contains_key(address) {
            *self.hits.entry(address.to_owned()).or_default() += reads;
        }
    }

    /// Forgets watchers that a reload of the configuration took away without an event.
    pub fn keep_only(&mut self, states: &BTreeMap<String, String>) {
        let known: Vec<String> = states.keys().map(|name| res_name(name)).collect();
        if !known.is_empty() {
            self.lives.retain(|name, _| known.contains(name) || name.starts_with("circus"));
        }
    }
}
