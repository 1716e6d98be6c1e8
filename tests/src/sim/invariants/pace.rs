//! How soon a slot may be filled again: the back-off, and the pause after a failed spawn.
//!
//! A command may take every pause away, at once or when its turn comes. So these rules are applied only while no
//! changing command has come for [`CALM`]; stories leave such times.

use std::{collections::BTreeMap, time::Duration};

use circus_common::{config::Config, protocol::Command};
use circusd::arbiter::id::{ProcessId, WatcherId};

use crate::sim::rules::hold;

/// After this time no earlier command has anything to do any more.
const CALM: Duration = Duration::from_secs(300);

/// The pause before the second respawn in a row; it doubles from there.
const FIRST: Duration = Duration::from_millis(100);

/// However small check_delay is, a crash loop is no busy loop.
const LEAST: Duration = Duration::from_millis(10);

/// `respawn_healthy` of a watcher that is not in the file.
const HEALTHY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    failures: u32,
    last_exit: Duration,
}

/// The last failed spawn that began after the one before had failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Duration,
    order: u64,
}

/// What is known of crashes and failed spawns since the last command.
#[derive(Debug)]
pub(super) struct Pace {
    cap: Duration,
    /// `respawn_healthy` by lower-cased watcher; no story changes it.
    healthy: BTreeMap<String, Duration>,
    last_command: Option<Duration>,
    slots: BTreeMap<(WatcherId, u32), Slot>,
    failing: BTreeMap<WatcherId, Failure>,
    issued: BTreeMap<ProcessId, u64>,
    spawned: BTreeMap<ProcessId, Duration>,
    order: u64,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Self {
        let delay = config.circus.check_delay;
        let cap = Duration::try_from_secs_f64(delay).unwrap_or_default().max(LEAST);
        let healthy = config.watchers.iter().map(|watcher| {
            let time = Duration::try_from_secs_f64(watcher.respawn_healthy).unwrap_or_default();
            (watcher.name.to_lowercase(), time)
        });
        Self {
            cap: if delay > 0.0 { cap } else { Duration::from_secs(5) },
            healthy: healthy.collect(),
            last_command: None,
            slots: BTreeMap::new(),
            failing: BTreeMap::new(),
            issued: BTreeMap::new(),
            spawned: BTreeMap::new(),
            order: 0,
        }
    }

    /// Whether a command may change anything.
    pub(super) fn is_change(command: &Command) -> bool {
        !matches!(
            command,
            Command::Dstats
                | Command::Get { .. }
                | Command::GlobalOptions { .. }
                | Command::Ipython
                | Command::List { .. }
                | Command::ListSockets
                | Command::Logs { .. }
                | Command::NumProcesses { .. }
                | Command::NumWatchers
                | Command::Options { .. }
                | Command::Signal { .. }
                | Command::Stats { .. }
                | Command::Status { .. }
                | Command::Why { .. }
        )
    }

    /// A command or a signal has come, or an operation has ended: everything seen so far tells nothing any more.
    pub(super) fn disturbed(&mut self, now: Duration) {
        self.last_command = Some(now);
        self.forget();
    }

    /// A watcher has stopped: what was queued for it may begin anew.
    pub(super) fn stopped(&mut self, watcher: WatcherId) {
        self.slots.retain(|(of, _), _| *of != watcher);
        self.failing.remove(&watcher);
    }

    /// Any watcher may begin anew.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.failing.clear();
    }

    fn is_calm(&self, now: Duration) -> bool {
        self.last_command.is_none_or(|at| now.saturating_sub(at) > CALM)
    }

    pub(super) fn issue(&mut self, now: Duration, process: ProcessId, under_way: bool) {
        self.order += 1;
        self.issued.insert(process, self.order);
        if !self.is_calm(now) {
            return;
        }
        if let Some(slot) = self.slots.get(&(process.watcher, process.wid)) {
            let pause = match slot.failures {
                0 | 1 => Duration::ZERO,
                more => FIRST.saturating_mul(1 << (more - 2).min(20)).min(self.cap),
            };
            let waited = now.saturating_sub(slot.last_exit);
            hold!(
                BackOff,
                waited >= pause,
                "{now:?}: {process} after {waited:?} and {} failures",
                slot.failures
            );
        }
        if let Some(failure) = self.failing.get(&process.watcher) {
            let waited = now.saturating_sub(failure.at);
            hold!(
                RetryPause,
                waited >= FIRST.min(self.cap),
                "{now:?}: {process} is tried {waited:?} after a failure"
            );
            hold!(RetryPause, !under_way, "{now:?}: {process} is tried while another try is under way");
        }
    }

    pub(super) fn failed(&mut self, now: Duration, process: ProcessId) {
        self.order += 1;
        let issued = self.issued.remove(&process).unwrap_or_default();
        let known = self.failing.get(&process.watcher);
        if self.is_calm(now) && known.is_none_or(|known| issued > known.order) {
            self.failing.insert(process.watcher, Failure { at: now, order: self.order });
        }
    }

    pub(super) fn spawned(&mut self, now: Duration, process: ProcessId) {
        self.issued.remove(&process);
        self.failing.remove(&process.watcher);
        self.spawned.insert(process, now);
    }

    /// A process that had ended at that moment is told of.
    pub(super) fn reaped(
        &mut self,
        now: Duration,
        ended: Duration,
        watcher: &str,
        process: ProcessId,
        expected: bool,
    ) {
        let Some(since) = self.spawned.remove(&process) else { return };
        if !self.is_calm(now) {
            return;
        }
        let slot = self.slots.entry((process.watcher, process.wid)).or_default();
        let healthy = self.healthy.get(watcher).copied().unwrap_or(HEALTHY);
        let failure = !expected && ended.saturating_sub(since) < healthy;
        slot.failures = if failure { slot.failures.saturating_add(1) } else { 0 };
        slot.last_exit = ended;
    }
}
