//! What is told of each process: its spawn, its kills and its reap, each once and in order; a hook may hold it up, and
//! nothing else may.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::config::HookName;
use circusd::arbiter::{
    hook::HookOrder,
    id::{HookId, ProcessId},
};
use serde_json::Value;

use crate::sim::{hook_rules::HookRules, rules::hold};

/// A process of which not all is told.
#[derive(Clone, Copy, Debug)]
struct Life {
    pid: i32,
    /// Whether its spawn was told.
    told: bool,
    /// Whether a kill was told.
    killed: bool,
    ended: Option<Duration>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Lives {
    of: BTreeMap<ProcessId, Life>,
    /// Those that were looked at before they are ended.
    looked_at: BTreeSet<ProcessId>,
    /// Those of which something should have been told already.
    owing: BTreeSet<ProcessId>,
}

impl Lives {
    pub(super) fn spawned(&mut self, process: ProcessId, pid: i32) {
        self.of.insert(process, Life { pid, told: false, killed: false, ended: None });
        self.owing.insert(process);
    }

    pub(super) fn exited(&mut self, now: Duration, process: ProcessId) {
        if let Some(life) = self.of.get_mut(&process) {
            life.ended = Some(now);
            self.looked_at.remove(&process);
            self.owing.insert(process);
        }
    }

    /// The members of a process are looked for, which runs: it is about to be ended.
    pub(super) fn surveyed(&mut self, process: ProcessId) {
        self.looked_at.insert(process);
    }

    /// Nothing more is told of it.
    pub(super) fn released(&mut self, process: ProcessId) {
        self.looked_at.remove(&process);
        self.of.remove(&process);
        self.owing.remove(&process);
    }

    /// Whose pid that is, as long as not all is told of it.
    fn find(&self, pid: i32) -> Option<ProcessId> {
        self.of.iter().find(|(_, life)| life.pid == pid).map(|(process, _)| *process)
    }

    pub(super) fn spawn_told(&mut self, now: Duration, pid: i32) {
        let process = self.find(pid);
        hold!(LegalEvents, process.is_some(), "{now:?}: the spawn of {pid} is told, and nothing was spawned");
        let Some((process, life)) = process.and_then(|process| Some((process, self.of.get_mut(&process)?)))
        else {
            return;
        };
        hold!(LegalEvents, !life.told, "{now:?}: {pid} is spawned while it lives");
        life.told = true;
        if life.ended.is_none() {
            self.owing.remove(&process);
        }
    }

    /// A kill of this pid, which is no member's: whose it is.
    pub(super) fn kill_told(&mut self, now: Duration, pid: i32, hooks: &HookRules) -> Option<ProcessId> {
        let process = self.find(pid);
        hold!(LegalEvents, process.is_some(), "{now:?}: {pid} is killed and does not live");
        let process = process?;
        let life = self.of.get_mut(&process)?;
        let told = life.told || hooks.withholds(process);
        hold!(LegalEvents, told, "{now:?}: {pid} is killed and was not spawned");
        if !std::mem::replace(&mut life.killed, true) {
            hooks.killed(now, process);
        }
        self.looked_at.remove(&process);
        Some(process)
    }

    /// A reap: whose, and when it had ended.
    pub(super) fn reap_told(
        &mut self,
        now: Duration,
        pid: i32,
        hooks: &HookRules,
    ) -> Option<(ProcessId, Duration)> {
        let process = self.find(pid);
        hold!(
            LegalEvents,
            process.is_some(),
            "{now:?}: {pid} is reaped but was not spawned, or is reaped twice"
        );
        let process = process?;
        let life = self.of.remove(&process)?;
        hold!(LegalEvents, life.ended.is_some(), "{now:?}: {pid} is reaped and has not ended");
        let told = life.told || hooks.withholds(process);
        hold!(LegalEvents, told, "{now:?}: {pid} is reaped, and its spawn is not told");
        self.owing.remove(&process);
        Some((process, life.ended?))
    }

    /// A hook is asked: `before_reap` before the reap is told, `after_reap` after it.
    pub(super) fn asked(&self, id: HookId, order: &HookOrder) {
        let pid = order.details.get("process_pid").and_then(Value::as_i64);
        let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else { return };
        let untold = self.find(pid).is_some();
        let wanted = order.hook == HookName::BeforeReap;
        hold!(HookOrder, untold == wanted, "{id}: {} is asked about {pid}; untold: {untold}", order.hook);
    }

    /// All that follows from an input was seen: what is not told by now is held up by a hook, or by a stop whose kills
    /// are not all told.
    pub(super) fn after(&self, now: Duration, spawning: &BTreeSet<ProcessId>, hooks: &HookRules) {
        for process in &self.owing {
            let Some(life) = self.of.get(process) else { continue };
            if life.ended.is_some() {
                let watcher = process.watcher;
                let asked = hooks.is_asked_about(watcher, life.pid) || hooks.is_signalling(watcher);
                let killing = self.looked_at.iter().chain(spawning).any(|other| other.watcher == watcher);
                hold!(ReapTold, asked || killing, "{now:?}: the end of {process} is not told");
            } else {
                hold!(SpawnTold, hooks.withholds(*process), "{now:?}: the spawn of {process} is not told");
            }
        }
    }

    /// The pids of which more is to be told.
    pub(super) fn pids(&self) -> BTreeSet<i32> {
        self.of.values().map(|life| life.pid).collect()
    }

    /// The pids of those that have ended, and of whose end nothing is told.
    pub(super) fn untold_ends(&self) -> impl Iterator<Item = (&ProcessId, i32)> {
        self.of.iter().filter(|(_, life)| life.ended.is_some()).map(|(process, life)| (process, life.pid))
    }
}
