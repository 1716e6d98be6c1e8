//! Callables that are being looked up: which are still to be heard of, and what was wrong with the others.

use std::{collections::BTreeMap, time::Duration};

use circus_common::config::HookAction;

use crate::arbiter::{
    Timestamp,
    hook::{HookCandidate, HookFault, HookTrial},
    id::ProcessId,
};

/// How long a trial may last. A module that hangs is no reason to leave a client without an answer; one that imports a
/// whole application, while the machine starts, is no reason to leave its watcher out.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// For what callables are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookOccasion {
    /// The daemon starts.
    Start,
    /// The arbiter wants to know.
    Asked(HookTrial),
}

impl HookOccasion {
    /// Whether modules are to be read again: who sets a hook may have changed its code (as Circus does).
    pub(super) const fn anew(self) -> bool {
        match self {
            Self::Start | Self::Asked(HookTrial::Admin) => false,
            Self::Asked(HookTrial::Set(_)) => true,
        }
    }
}

/// What a trial has come to.
#[derive(Debug, PartialEq)]
pub struct HooksTried {
    /// For what it was.
    pub occasion: HookOccasion,
    /// What is wrong; nothing if all were found.
    pub faults: Vec<HookFault>,
}

#[derive(Debug)]
struct Trying {
    occasion: HookOccasion,
    /// Those still to be heard of, by number, and who was asked.
    waiting: BTreeMap<u64, (HookCandidate, ProcessId)>,
    faults: Vec<HookFault>,
    deadline: Timestamp,
}

impl Trying {
    fn fault(&mut self, candidate: &HookCandidate, reason: &str) {
        let callable = match &candidate.place.action {
            HookAction::Python(callable) => callable.as_str(),
            HookAction::Program(_)
            | HookAction::Tcp { .. }
            | HookAction::Http { .. }
            | HookAction::File(_) => "",
        };
        let python = candidate.place.spawn.as_ref().and_then(|spec| spec.argv.first());
        let python = python.map_or("python3", String::as_str);
        let reason = format!("{callable} cannot be called under {python}: {reason}");
        self.faults.push(candidate.fault(reason));
    }
}

/// All trials under way.
#[derive(Debug, Default)]
pub(super) struct Trials {
    all: BTreeMap<u64, Trying>,
    count: u64,
    looks: u64,
}

impl Trials {
    /// Begins one.
    pub fn begin(&mut self, occasion: HookOccasion, now: Timestamp) -> u64 {
        self.count += 1;
        let (waiting, faults) = (BTreeMap::new(), Vec::new());
        self.all.insert(self.count, Trying { occasion, waiting, faults, deadline: now + PATIENCE });
        self.count
    }

    /// Something is to be heard of this one; returns its number.
    pub fn add(&mut self, trial: u64, candidate: HookCandidate, host: ProcessId) -> u64 {
        self.looks += 1;
        if let Some(trying) = self.all.get_mut(&trial) {
            trying.waiting.insert(self.looks, (candidate, host));
        }
        self.looks
    }

    /// This one cannot be looked up.
    pub fn fault(&mut self, trial: u64, candidate: &HookCandidate, reason: &str) {
        if let Some(trying) = self.all.get_mut(&trial) {
            trying.fault(candidate, reason);
        }
    }

    /// One was looked up.
    pub fn found(&mut self, look: u64, error: Option<String>) {
        for trying in self.all.values_mut() {
            if let Some((candidate, _)) = trying.waiting.remove(&look)
                && let Some(error) = &error
            {
                trying.fault(&candidate, error);
            }
        }
    }

    /// Nothing more will be heard of this Python.
    pub fn fell(&mut self, host: ProcessId, reason: &str) {
        for trying in self.all.values_mut() {
            let (fallen, waiting) =
                std::mem::take(&mut trying.waiting).into_iter().partition(|(_, (_, of))| *of == host);
            trying.waiting = waiting;
            let fallen: BTreeMap<u64, (HookCandidate, ProcessId)> = fallen;
            fallen.values().for_each(|(candidate, _)| trying.fault(candidate, reason));
        }
    }

    /// When [`Self::due`] has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.all.values().map(|trying| trying.deadline).min()
    }

    /// Gives up what could not be found out in time.
    pub fn due(&mut self, now: Timestamp) {
        for trying in self.all.values_mut().filter(|trying| trying.deadline <= now) {
            let reason = format!("it could not be looked up within {} s", PATIENCE.as_secs());
            for (candidate, _) in std::mem::take(&mut trying.waiting).into_values() {
                trying.fault(&candidate, &reason);
            }
        }
    }

    /// Those that are over.
    pub fn closed(&mut self) -> Vec<HooksTried> {
        let over: Vec<u64> = self
            .all
            .iter()
            .filter(|(_, trying)| trying.waiting.is_empty())
            .map(|(number, _)| *number)
            .collect();
        let over = over.into_iter().filter_map(|number| self.all.remove(&number));
        over.map(|Trying { occasion, faults, .. }| HooksTried { occasion, faults }).collect()
    }
}
