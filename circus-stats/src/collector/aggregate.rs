//! The figures of a group as one.

use super::process::Figures;

/// The figures of a group as one. One process that we may not read makes the sums unknown, as in Circus.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Aggregate {
    /// Those that were found, in order.
    pub pids: Vec<i32>,
    /// How often a process that had ended by itself was replaced.
    pub restarts: u64,
    cpu: f64,
    memory: f64,
    /// Resident memory in bytes.
    pub rss: u64,
    /// Of the oldest.
    pub age: Option<f64>,
    unknown: bool,
}

impl Aggregate {
    /// Of nobody.
    pub(super) fn new(restarts: u64) -> Self {
        Self { restarts, ..Self::default() }
    }

    /// Takes in one more; without figures if we may not read them.
    pub(super) fn add(&mut self, pid: i32, figures: Option<&Figures>) {
        self.pids.push(pid);
        let Some(figures) = figures else {
            self.unknown = true;
            return;
        };
        self.cpu += figures.cpu;
        self.memory += figures.memory;
        self.rss += figures.rss;
        self.age = Some(self.age.map_or(figures.age, |age| age.max(figures.age)));
    }

    /// The mean: a sum of it says little.
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 processes")]
    pub(super) fn cpu(&self) -> Option<f64> {
        let count = self.pids.len().max(1) as f64;
        (!self.unknown).then_some(self.cpu / count)
    }

    /// The sum; `None` when it is unknown.
    pub(super) fn memory(&self) -> Option<Memory> {
        let none = self.pids.is_empty();
        (!self.unknown).then_some(if none { Memory::Nobodys } else { Memory::Percent(self.memory) })
    }
}

/// A sum of memory: Circus writes that of nobody as `0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Memory {
    /// Of no process.
    Nobodys,
    /// Of one or more.
    Percent(f64),
}
