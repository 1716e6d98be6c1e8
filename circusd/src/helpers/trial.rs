//! Streams that are being tried out: which are still to be heard of, and what was wrong with the others.

use std::{collections::BTreeMap, time::Duration};

use circus_common::Channel;

use crate::arbiter::{
    Timestamp,
    id::ProcessId,
    stream::{Candidate, Fault, Trial},
};

/// How long a trial may last: a file system that hangs is no reason to leave a client without an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// For what streams are tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The daemon starts.
    Start,
    /// The arbiter wants to know.
    Asked(Trial),
}

impl Occasion {
    /// Whether what was made for the trial is used at once, should all be well.
    pub(super) const fn adopts(self) -> bool {
        match self {
            Self::Start | Self::Asked(Trial::Set(_)) => true,
            Self::Asked(Trial::Admin { adopt }) => adopt,
        }
    }
}

/// One trial.
#[derive(Debug)]
pub(super) struct Trying {
    /// For what.
    pub occasion: Occasion,
    /// Those still to be heard of, by number.
    pub waiting: BTreeMap<usize, Waiting>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// When those that were not heard of are at fault.
    pub deadline: Timestamp,
}

/// A stream of which nothing was heard yet.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Which.
    pub candidate: Candidate,
    /// The helper that tries its class.
    pub helper: Option<ProcessId>,
}

impl Trying {
    /// Something is wrong with one of them.
    pub fn fault(&mut self, candidate: &Candidate, system: bool, reason: String) {
        self.faults.push(candidate.fault(system, reason));
    }

    /// What could not be found out in time.
    pub fn give_up(&mut self) -> Vec<ProcessId> {
        let waiting = std::mem::take(&mut self.waiting);
        for waiting in waiting.values() {
            let reason = format!("it could not be tried out within {} s", PATIENCE.as_secs());
            self.fault(&waiting.candidate, true, reason);
        }
        waiting.into_values().filter_map(|waiting| waiting.helper).collect()
    }
}

/// How a stream is called where somebody reads of it.
pub(super) fn title(name: &str, channel: Channel) -> String {
    format!("{} of {name}", channel.option())
}
