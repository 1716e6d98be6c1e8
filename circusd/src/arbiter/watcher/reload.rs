//! A graceful reload: new processes take the place of the old ones.
//!
//! Plain: all new ones are spawned, then the old ones are ended. Sequential: one process after the other.
//! With `reload_undo` the new ones must have lived `reload_settle` before an old one gets its signal; if one
//! ends before, the new ones are ended and the old stay.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use circus_common::protocol::Happening;

use super::{Phase, Watcher};
use crate::arbiter::{
    id::ProcessId,
    input::Exit,
    outbox::Outbox,
    process::{Life, Role},
    time::{Timestamp, seconds},
};

/// A reload in progress.
#[derive(Debug)]
pub(in crate::arbiter) enum Reload {
    /// The new processes are being spawned and, if it can be undone, watched for a moment.
    Fresh {
        /// Slots whose spawn was tried.
        tried: BTreeSet<u32>,
        /// Why it cannot go on.
        failed: Option<String>,
        /// New processes that a hook has turned away.
        refused: Vec<ProcessId>,
    },
    /// The old processes are being ended.
    Retiring { leaving: BTreeSet<ProcessId>, failed: Option<String> },
    /// The new processes are being ended.
    Undoing { leaving: BTreeSet<ProcessId>, reason: String },
    /// One after the other.
    Sequential {
        left: VecDeque<ProcessId>,
        step: Step,
        failed: Option<String>,
        /// The youngest process that was there when it began.
        youngest: Option<ProcessId>,
    },
}

/// Where a sequential reload is.
#[derive(Clone, Copy, Debug)]
pub(in crate::arbiter) enum Step {
    /// The next process is to be taken.
    Next,
    /// It is being ended.
    Leaving(ProcessId),
    /// Its slot is being filled.
    Arriving { wid: u32 },
}

/// How a reload ended.
#[derive(Debug)]
pub(in crate::arbiter) enum ReloadEnd {
    /// All were replaced.
    Done,
    /// Some could not be spawned; as many old ones stayed.
    Partial(String),
    /// None was replaced, or the rest stayed old.
    Undone(String),
}

impl Reload {
    /// A slot was spawned.
    pub(super) fn mark_tried(&mut self, wid: u32) {
        match self {
            Self::Fresh { tried, .. } => {
                tried.insert(wid);
            }
            Self::Retiring { .. } | Self::Undoing { .. } | Self::Sequential { .. } => {}
        }
    }
}

impl Watcher {
    /// Whether the options let a reload be undone: by default only where sockets are shared.
    fn can_undo(&self) -> bool {
        self.config.undoes_reload()
    }

    /// Whether new processes are being spawned beside the old ones: warm-up does not count then.
    pub(super) fn is_reloading_plainly(&self) -> bool {
        matches!(self.phase, Phase::Active(Some(Reload::Fresh { .. })))
    }

    /// Whether one process after the other is being replaced.
    pub(super) const fn is_reloading_by_turns(&self) -> bool {
        matches!(self.phase, Phase::Active(Some(Reload::Sequential { .. })))
    }

    /// Begins.
    pub(super) fn begin_reload(&mut self, sequential: bool) {
        self.lost = 0;
        self.forget_failures();
        self.reload_end = None;
        let running: VecDeque<ProcessId> =
            self.processes.iter().filter(|process| process.is_staying()).map(|process| process.id).collect();
        let reload = if sequential {
            let youngest = running.back().copied();
            Reload::Sequential { left: running, step: Step::Next, failed: None, youngest }
        } else {
            self.processes.change_all(|process| process.role = Role::Outgoing);
            self.waiting.clear();
            Reload::Fresh { tried: BTreeSet::new(), failed: None, refused: Vec::new() }
        };
        self.phase = Phase::Active(Some(reload));
    }

    /// One step; false if it has to wait.
    pub(super) fn step_reload(&mut self, out: &mut Outbox) -> bool {
        let Phase::Active(Some(reload)) = &self.phase else { return false };
        match reload {
            Reload::Fresh { failed: Some(reason), .. } if self.can_undo() => {
                let reason = reason.clone();
                self.undo(reason, out);
                true
            }
            Reload::Fresh { tried, failed, .. } => {
                let complete = failed.is_some() || tried.len() >= self.target();
                if failed.is_none() {
                    self.fill(out);
                }
                if complete && self.are_candidates_settled(out.now.mono) {
                    self.retire(out);
                    return true;
                }
                false
            }
            Reload::Retiring { leaving, .. } | Reload::Undoing { leaving, .. } => {
                // With all that is to be told of them.
                if leaving.iter().any(|id| self.processes.contains(*id) || self.lines.contains_key(id)) {
                    self.fill(out);
                    return false;
                }
                self.end_reload(out);
                true
            }
            Reload::Sequential { step, .. } => {
                let step = *step;
                self.step_sequential(step, out)
            }
        }
    }

    /// Whether every new process runs and, if the reload can be undone, has run long enough.
    fn are_candidates_settled(&self, now: Timestamp) -> bool {
        let least = if self.can_undo() { seconds(self.config.reload_settle) } else { Duration::ZERO };
        self.processes.iter().filter(|process| process.role == Role::Candidate).all(|process| {
            !process.is_arriving() && process.life().is_none_or(|life| now.since(life.since) >= least)
        })
    }

    /// Ends as many of the oldest as there are too many now.
    fn retire(&mut self, out: &mut Outbox) {
        let staying = self.processes.iter().filter(|process| process.is_staying()).count();
        let surplus = staying.saturating_sub(self.target());
        let mut leaving: Vec<ProcessId> = self
            .processes
            .iter()
            .filter(|process| process.role == Role::Outgoing && process.is_staying())
            .map(|process| process.id)
            .take(surplus)
            .collect();
        self.processes.change_all(|process| process.role = Role::Current);
        leaving.reverse();
        let (failed, refused) = match &mut self.phase {
            Phase::Active(Some(Reload::Fresh { failed, refused, .. })) => {
                (failed.take(), std::mem::take(refused))
            }
            Phase::Stopped | Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => {
                (None, Vec::new())
            }
            Phase::Active(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => (None, Vec::new()),
        };
        self.end_all(&leaving, self.stop_order(false), out);
        let leaving = leaving.into_iter().chain(refused).collect();
        self.phase = Phase::Active(Some(Reload::Retiring { leaving, failed }));
    }

    /// Ends the new processes and keeps the old.
    fn undo(&mut self, reason: String, out: &mut Outbox) {
        let refused = match &mut self.phase {
            Phase::Active(Some(Reload::Fresh { refused, .. })) => std::mem::take(refused),
            Phase::Stopped | Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => Vec::new(),
            Phase::Active(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => Vec::new(),
        };
        let candidates: Vec<ProcessId> = self
            .processes
            .iter()
            .filter(|process| process.role == Role::Candidate)
            .map(|process| process.id)
            .collect();
        self.waiting.clear();
        self.processes.change_all(|process| process.role = Role::Current);
        self.end_all(&candidates, self.stop_order(false), out);
        let leaving = candidates.into_iter().chain(refused).collect();
        self.phase = Phase::Active(Some(Reload::Undoing { leaving, reason }));
    }

    /// The reload is over.
    fn end_reload(&mut self, out: &mut Outbox) {
        let Phase::Active(reload) = &mut self.phase else { return };
        let end = match reload.take() {
            Some(Reload::Undoing { reason, .. }) => ReloadEnd::Undone(reason),
            Some(Reload::Sequential { failed: Some(reason), .. }) => ReloadEnd::Undone(reason),
            Some(Reload::Retiring { failed: Some(error), .. }) => ReloadEnd::Partial(error),
            Some(Reload::Fresh { .. } | Reload::Retiring { .. } | Reload::Sequential { .. }) | None => {
                ReloadEnd::Done
            }
        };
        if !matches!(end, ReloadEnd::Undone(_)) {
            out.publish(&self.config.name, Happening::Reload);
        }
        self.reload_end = Some(end);
    }

    fn step_sequential(&mut self, step: Step, out: &mut Outbox) -> bool {
        self.fill(out);
        let next = match step {
            Step::Next => match self.take_sequential() {
                Some(id) => {
                    self.end_all(&[id], self.stop_order(true), out);
                    Step::Leaving(id)
                }
                None if self.is_old_told_of() => {
                    self.end_reload(out);
                    return true;
                }
                None => return false,
            },
            Step::Leaving(id) if self.processes.contains(id) => return false,
            Step::Leaving(id) => {
                // Circus replaces it also where `respawn` is off.
                self.lost = 0;
                if !self.processes.iter().any(|process| process.id.wid == id.wid && process.holds_slot()) {
                    let now = out.now.mono;
                    self.waiting.entry(id.wid).or_insert(now);
                }
                Step::Arriving { wid: id.wid }
            }
            Step::Arriving { wid } => match self.arrival(wid, out.now.mono) {
                Arrival::Awaited => return false,
                Arrival::Here => Step::Next,
            },
        };
        if let Phase::Active(Some(Reload::Sequential { step, .. })) = &mut self.phase {
            *step = next;
        }
        true
    }

    /// Whether all is told of the processes that a sequential reload has replaced.
    fn is_old_told_of(&self) -> bool {
        match &self.phase {
            Phase::Active(Some(Reload::Sequential { youngest: Some(youngest), .. })) => {
                self.lines.range(..=*youngest).next().is_none()
            }
            Phase::Stopped | Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => true,
            Phase::Active(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => true,
        }
    }

    /// The next old process that still runs; none once the reload has failed.
    fn take_sequential(&mut self) -> Option<ProcessId> {
        let Phase::Active(Some(Reload::Sequential { left, failed, .. })) = &mut self.phase else {
            return None;
        };
        if failed.is_some() {
            return None;
        }
        while let Some(id) = left.pop_front() {
            if self.processes.get(id).is_some_and(|process| process.is_staying()) {
                return Some(id);
            }
        }
        None
    }

    /// Whether the replacement in this slot has come, and has settled where that is asked for.
    fn arrival(&self, wid: u32, now: Timestamp) -> Arrival {
        if let Phase::Active(Some(Reload::Sequential { failed: Some(_), .. })) = &self.phase {
            return Arrival::Here;
        }
        let least = if self.can_undo() { seconds(self.config.reload_settle) } else { Duration::ZERO };
        let settled = |life: &Life| now.since(life.since) >= least;
        let there = self.processes.iter().any(|process| {
            // after_spawn has to have accepted it.
            process.id.wid == wid && !process.is_on_probation() && process.life().is_some_and(settled)
        });
        let retry_at = self.waiting.get(&wid).copied();
        // A replacement that has come and crashed is the back-off's business, not the reload's.
        let waiting = retry_at.is_some_and(|at| at > now);
        // And none comes if the wanted number has become smaller meanwhile.
        let none = retry_at.is_none() && !self.processes.iter().any(|p| p.id.wid == wid && p.holds_slot());
        if none || (there || waiting) && self.hold_until <= now { Arrival::Here } else { Arrival::Awaited }
    }

    /// A hook has turned a new process away, which is being ended: the reload waits for that end.
    pub(super) fn reload_refused(&mut self, id: ProcessId) {
        if let Phase::Active(Some(Reload::Fresh { refused, .. })) = &mut self.phase {
            refused.push(id);
        }
    }

    /// A new process's spawn failed. Returns whether the reload takes care of that.
    pub(super) fn reload_spawn_failed(&mut self, role: Role, error: &str) -> bool {
        match &mut self.phase {
            Phase::Active(Some(Reload::Fresh { failed, .. })) if role == Role::Candidate => {
                failed.get_or_insert_with(|| error.to_owned());
                true
            }
            Phase::Active(Some(Reload::Sequential { step: Step::Arriving { .. }, failed, .. })) => {
                failed.get_or_insert_with(|| error.to_owned());
                false
            }
            Phase::Stopped | Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => false,
            Phase::Active(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => false,
        }
    }

    /// A process has ended. Returns whether it was a candidate of a reload that is undone for it.
    pub(super) fn candidate_exited(
        &mut self,
        id: ProcessId,
        role: Role,
        pid: i32,
        exit: Exit,
        lifespan: Duration,
    ) -> bool {
        let undo = self.can_undo();
        let text = || format!("pid {pid} {exit} after {:.1} s", lifespan.as_secs_f64());
        match &mut self.phase {
            Phase::Active(Some(Reload::Fresh { failed, .. })) if undo && role == Role::Candidate => {
                failed.get_or_insert_with(text);
                true
            }
            Phase::Active(Some(Reload::Sequential { step: Step::Arriving { .. }, failed, .. })) if undo => {
                failed.get_or_insert_with(text);
                false
            }
            // Its siblings may end by themselves before their signal is sent.
            Phase::Active(Some(Reload::Undoing { leaving, .. })) => leaving.contains(&id),
            Phase::Stopped | Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => false,
            Phase::Active(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => false,
        }
    }

    /// When the reload has something to do by time alone.
    pub(super) fn reload_wake(&self) -> Option<Timestamp> {
        let settle = seconds(self.config.reload_settle);
        match &self.phase {
            Phase::Active(Some(Reload::Fresh { .. })) => self
                .processes
                .iter()
                .filter(|process| process.role == Role::Candidate)
                .filter_map(|process| process.life().map(|life| life.since + settle))
                .max(),
            Phase::Active(Some(Reload::Sequential { step: Step::Arriving { wid }, .. })) => self
                .processes
                .iter()
                .filter(|process| process.id.wid == *wid)
                .filter_map(|process| process.life().map(|life| life.since + settle))
                .max()
                .map(|at| at.max(self.hold_until)),
            Phase::Stopped | Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => None,
            Phase::Active(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => None,
        }
    }
}

/// Whether a replacement has come.
enum Arrival {
    /// Not yet.
    Awaited,
    /// Yes, or it never will.
    Here,
}
