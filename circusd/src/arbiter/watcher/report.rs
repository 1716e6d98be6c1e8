//! What a watcher tells about itself. `list`, `stats` and `numprocesses` are about every process that was spawned and
//! has not exited, those being ended and the new ones of a reload included; the option is the number wanted.

use std::collections::BTreeSet;

use circus_common::Signal;
use serde_json::{Map, Value, json};

use super::{Phase, Watcher};
use crate::arbiter::{
    effect::StatsSubject,
    id::ProcessId,
    input::Exit,
    slot::{LastExit, Slot},
    time::Timestamp,
};

impl Watcher {
    /// The state as `status` names it.
    pub fn state(&self) -> &'static str {
        match self.phase {
            Phase::Stopped | Phase::Parting => "stopped",
            Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => "starting",
            Phase::Active(_) => "active",
            Phase::Leaving | Phase::Stopping => "stopping",
        }
    }

    /// Whether nothing is wanted and nothing is there.
    pub fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// Whether it is up: a reload of everything and a HUP concern only such watchers.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active(_))
    }

    /// Whether a lower priority may begin: it is up, down, or has had its first failed try.
    pub fn lets_others_start(&self) -> bool {
        match self.phase {
            Phase::Stopped => self.operations.is_idle(),
            Phase::Active(_) => true,
            Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => {
                self.failed_spawns > 0 || self.not_now > 0
            }
            Phase::Leaving | Phase::Stopping | Phase::Parting => false,
        }
    }

    /// Processes that were spawned and have not exited, in order of spawn.
    pub fn subjects(&self) -> Vec<StatsSubject> {
        self.processes
            .iter()
            .filter_map(|process| {
                let life = process.life()?;
                Some(StatsSubject {
                    process: process.id,
                    pid: life.pid,
                    wid: process.id.wid,
                    started: life.started,
                })
            })
            .collect()
    }

    /// Their pids.
    pub fn pids(&self) -> Vec<i32> {
        self.processes.iter().filter_map(|process| process.life()).map(|life| life.pid).collect()
    }

    pub(super) fn pid_set(&self) -> BTreeSet<i32> {
        self.pids().into_iter().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.processes.living()
    }

    /// Processes that have not exited, with their pids: those being stopped too, since a signal may be what gets a
    /// stubborn one to end.
    pub fn alive(&self) -> Vec<(ProcessId, i32)> {
        self.processes
            .iter()
            .filter_map(|process| process.life().map(|life| (process.id, life.pid)))
            .collect()
    }

    /// Everything that is kept, for the invariant that no map entry is left over.
    pub fn kept(&self) -> usize {
        self.processes.len()
            + self.calls.len()
            + self.lines.len()
            + self.trimmed.len()
            + self.number_waiters.len()
            + self.kill_waiters.len()
    }

    /// Whether `why` knows of a process that has ended.
    pub fn has_lost_processes(&self) -> bool {
        self.slots.values().any(|slot| !slot.history.is_empty())
    }

    /// The members of a `why` answer: last exits and back-off by slot, last spawn errors, restarts.
    pub fn why(&self, now: Timestamp) -> Map<String, Value> {
        let exits = self.slots.iter().filter(|(_, slot)| !slot.history.is_empty());
        let slots: Map<String, Value> = exits.map(|(wid, slot)| (wid.to_string(), history(slot))).collect();
        let waiting = self.waiting.iter().map(|(wid, at)| {
            let failures = self.slots.get(wid).map_or(0, |slot| slot.failures).max(self.failed_spawns);
            let retry_in = rounded((*at).max(self.hold_until).since(now).as_secs_f64());
            (wid.to_string(), json!({"failures": failures, "retry_in": retry_in}))
        });
        let backoff: Map<String, Value> = waiting.collect();
        let mut members = Map::new();
        members.insert("name".to_owned(), json!(self.config.name));
        members.insert("state".to_owned(), json!(self.state()));
        members.insert("active_since".to_owned(), json!(self.active_since));
        members.insert("slots".to_owned(), Value::Object(slots));
        members.insert("backoff".to_owned(), Value::Object(backoff));
        members.insert("errors".to_owned(), json!(self.errors));
        members.insert("restarts".to_owned(), json!(self.restarts));
        members.insert("stops".to_owned(), json!(self.stops));
        let hooks: Vec<Value> = self
            .pending_hooks(now)
            .into_iter()
            .map(|(hook, since)| json!({"name": hook.as_str(), "since": rounded(since.as_secs_f64())}))
            .collect();
        members.insert("hooks".to_owned(), json!(hooks));
        members
    }
}

fn history(slot: &Slot) -> Value {
    slot.history.iter().map(last_exit).collect()
}

fn last_exit(exit: &LastExit) -> Value {
    let signal = match exit.exit {
        Exit::Code(_) => None,
        Exit::Signal(number) => Signal::from_number(i64::from(number)).ok().map(|signal| signal.to_string()),
    };
    json!({
        "pid": exit.life.pid,
        "started": exit.life.started,
        "time": exit.time,
        "lifespan": rounded(exit.lifespan.as_secs_f64()),
        "exit_code": exit.exit.code(),
        "signal": signal,
        "expected": exit.expected,
        "text": exit.exit.to_string(),
    })
}

/// Milliseconds are enough for people.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
