//! One watcher as Flapping sees it.

use std::collections::BTreeSet;

use super::settings::Settings;
use crate::machine::{Members, Moment};

/// More exits than this are not remembered, whatever `attempts` says.
const MOST_EXITS: usize = 10_000;
/// More signalled processes than this are not remembered.
const MOST_KILLED: usize = 10_000;

/// What is known of a watcher.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// Its settings, once they were asked for.
    pub settings: Option<Settings>,
    /// The unexpected exits of the present series.
    pub exits: Vec<Moment>,
    /// How often it was stopped and started again.
    pub tries: u64,
    /// The processes that circusd had signalled, whose end is no surprise.
    killed: BTreeSet<i64>,
    /// What was done about it.
    pub state: State,
}

/// What was done about a watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing: it runs, or was stopped by others.
    #[default]
    Watching,
    /// It was stopped by us and is to be started again.
    Down {
        /// When.
        until: Moment,
        /// How many stops had been asked for by then; not every daemon tells.
        stops: Option<u64>,
    },
    /// The time has come; whether somebody else stopped it meanwhile is being asked.
    Checking {
        /// As in `Down`.
        stops: Option<u64>,
    },
    /// The start was ordered by us and is awaited.
    Starting,
}

impl Watched {
    /// Remembers that circusd signalled a process.
    pub fn killed(&mut self, pid: i64) {
        if self.killed.len() < MOST_KILLED {
            self.killed.insert(pid);
        }
    }

    /// Whether this exit was a surprise. Our daemon says so itself; of another one the `kill` before it is the sign.
    pub fn is_unexpected(&mut self, reap: &Members) -> bool {
        let signalled =
            reap.get("process_pid").and_then(|pid| pid.as_i64()).is_some_and(|pid| self.killed.remove(&pid));
        match reap.get("expected").and_then(|expected| expected.as_bool()) {
            Some(expected) => !expected,
            None => !signalled,
        }
    }

    /// Counts an exit.
    pub fn exited(&mut self, now: Moment) {
        if self.exits.len() < MOST_EXITS {
            self.exits.push(now);
        }
    }

    /// Forgets the series and the tries: somebody else took the matter in hand.
    pub fn calm(&mut self) {
        self.exits.clear();
        self.tries = 0;
        self.state = State::Watching;
    }

    /// Whether the exits so far are flapping; `None` while the series is not complete. After that it begins anew.
    pub fn judge(&mut self, settings: &Settings, check_delay: f64) -> Option<bool> {
        let (first, last) = (self.exits.first()?, self.exits.last()?);
        if self.exits.len() < settings.attempts.min(MOST_EXITS) {
            return None;
        }
        let duration = last.saturating_sub(*first).as_secs_f64() - check_delay;
        self.exits.clear();
        Some(duration <= settings.window)
    }
}
