//! The metrics: their names, what they mean, and the samples.

use std::collections::BTreeMap;

use circus_common::protocol::event::res_name;

use super::{
    counts::{BUCKETS, Counts, Histogram},
    openmetrics::Text,
};
use crate::{figures::Figures, metrics::float};

/// The states a watcher can be in.
const STATES: [&str; 4] = ["stopped", "starting", "active", "stopping"];

/// One family: name, type, meaning.
type Family = (&'static str, &'static str, &'static str);

const UP: Family = ("circus_up", "gauge", "Whether circusd answers.");
const STATE: Family =
    ("circus_watcher_state", "gauge", "1 for the state the watcher is in, 0 for the others.");
const PROCESSES: Family = ("circus_watcher_processes", "gauge", "Processes that are running.");
const SPAWNS: Family = ("circus_watcher_spawns", "counter", "Processes that were started.");
const RESTARTS: Family = (
    "circus_watcher_restarts",
    "counter",
    "Processes that were started in the place of one that ended unasked.",
);
const EXITS: Family = (
    "circus_watcher_exits",
    "counter",
    "Processes that ended, by exit code (minus the signal) and whether circusd had asked for it.",
);
const CPU: Family = ("circus_process_cpu_percent", "gauge", "Processor use in percent of one processor.");
const RESIDENT: Family = ("circus_process_resident_memory_bytes", "gauge", "Memory in use.");
const VIRTUAL: Family = ("circus_process_virtual_memory_bytes", "gauge", "Address space in use.");
const MEMORY: Family =
    ("circus_process_memory_percent", "gauge", "Memory in use, in percent of the machine's.");
const DESCRIPTORS: Family =
    ("circus_process_open_fds", "gauge", "Open file descriptors, where they may be looked at.");
const AGE: Family = ("circus_process_age_seconds", "gauge", "Seconds since the process was started.");
const HITS: Family =
    ("circus_socket_hits", "counter", "How often circusd-stats found a managed socket readable.");
const LATENCY: Family =
    ("circus_command_latency_seconds", "histogram", "How long circusd took to answer this plugin.");

/// Every family, for the reference.
#[cfg(test)]
pub(super) const ALL: [Family; 14] = [
    UP,
    STATE,
    PROCESSES,
    SPAWNS,
    RESTARTS,
    EXITS,
    CPU,
    RESIDENT,
    VIRTUAL,
    MEMORY,
    DESCRIPTORS,
    AGE,
    HITS,
    LATENCY,
];

/// What is known at the time of a scrape.
pub(super) struct Snapshot<'s> {
    pub up: bool,
    pub states: &'s BTreeMap<String, String>,
    pub processes: &'s BTreeMap<String, Vec<Figures>>,
    pub descriptors: &'s BTreeMap<i64, u64>,
    pub counts: &'s Counts,
    pub latency: &'s BTreeMap<&'static str, Histogram>,
}

impl Snapshot<'_> {
    /// All metrics.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        begin(&mut text, UP);
        text.sample(UP.0, &[], u8::from(self.up));
        self.watchers(&mut text);
        self.figures(&mut text);
        begin(&mut text, HITS);
        for (address, hits) in &self.counts.hits {
            text.sample("circus_socket_hits_total", &[("address", address)], hits);
        }
        begin(&mut text, LATENCY);
        for (command, histogram) in self.latency {
            latency(&mut text, command, histogram);
        }
        text.finish()
    }

    fn watchers(&self, text: &mut Text) {
        begin(text, STATE);
        for (watcher, state) in self.states {
            for known in STATES {
                text.sample(STATE.0, &[("watcher", watcher), ("state", known)], u8::from(known == state));
            }
        }
        begin(text, PROCESSES);
        for (watcher, processes) in self.processes {
            text.sample(PROCESSES.0, &[("watcher", watcher)], processes.len());
        }
        // Counts are kept by the name in topics; people know the watcher by its own.
        let names: BTreeMap<String, &str> =
            self.states.keys().map(|name| (res_name(name), name.as_str())).collect();
        let named =
            |topic: &'_ str| names.get(topic).map_or_else(|| topic.to_owned(), |name| (*name).to_owned());
        begin(text, SPAWNS);
        for (watcher, life) in &self.counts.lives {
            text.sample("circus_watcher_spawns_total", &[("watcher", &named(watcher))], life.spawns);
        }
        begin(text, RESTARTS);
        for (watcher, life) in &self.counts.lives {
            text.sample("circus_watcher_restarts_total", &[("watcher", &named(watcher))], life.restarts);
        }
        begin(text, EXITS);
        for (watcher, life) in &self.counts.lives {
            for ((code, expected), count) in &life.exits {
                let (code, expected) = (code.to_string(), expected.to_string());
                let labels = [("watcher", named(watcher)), ("code", code), ("expected", expected)];
                let labels: Vec<(&str, &str)> =
                    labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
                text.sample("circus_watcher_exits_total", &labels, count);
            }
        }
    }

    fn figures(&self, text: &mut Text) {
        self.figure(text, CPU, |one| one.cpu.map(float));
        self.figure(text, RESIDENT, |one| one.resident.map(|bytes| bytes.to_string()));
        self.figure(text, VIRTUAL, |one| one.size.map(|bytes| bytes.to_string()));
        self.figure(text, MEMORY, |one| one.mem.map(float));
        self.figure(text, DESCRIPTORS, |one| self.descriptors.get(&one.pid).map(u64::to_string));
        self.figure(text, AGE, |one| one.age.map(float));
    }

    /// One sample for each process of which this is known.
    fn figure(&self, text: &mut Text, family: Family, value: impl Fn(&Figures) -> Option<String>) {
        begin(text, family);
        for (watcher, processes) in self.processes {
            for process in processes {
                let (pid, wid) = (process.pid.to_string(), process.wid.unwrap_or_default().to_string());
                if let Some(value) = value(process) {
                    text.sample(family.0, &[("watcher", watcher), ("pid", &pid), ("wid", &wid)], value);
                }
            }
        }
    }
}

fn begin(text: &mut Text, (name, kind, help): Family) {
    text.family(name, kind, help);
}

fn latency(text: &mut Text, command: &str, histogram: &Histogram) {
    let mut total = 0;
    let ends = BUCKETS.iter().map(|end| float(*end)).chain(["+Inf".to_owned()]);
    for (end, count) in ends.zip(histogram.buckets) {
        total += count;
        text.sample("circus_command_latency_seconds_bucket", &[("command", command), ("le", &end)], total);
    }
    text.sample("circus_command_latency_seconds_sum", &[("command", command)], float(histogram.sum));
    text.sample("circus_command_latency_seconds_count", &[("command", command)], total);
}
