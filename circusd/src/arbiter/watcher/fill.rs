//! How many processes: compares the wanted number with what is there, and spawns or ends the difference.

use std::collections::BTreeSet;

use circus_common::config::HookName;

use super::{Phase, Watcher, hooks::About};
use crate::arbiter::{
    hook::Occasion,
    id::ProcessId,
    operation::{Outcome, Tally, Waiter},
    outbox::Outbox,
    process::{Process, Role},
    time::{Timestamp, seconds},
};

/// Spawns of one watcher that are asked for before the first of them has come.
const SPAWNS_AHEAD: usize = 128;

/// How the wanted number is met at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// There or coming, and not asked to end.
    staying: usize,
    /// On the way out, to be replaced when gone.
    returning: usize,
    /// Empty slots that wait for their next spawn.
    waiting: usize,
}

impl Numbers {
    /// Whether nothing is there, coming or due.
    pub fn is_empty(self) -> bool {
        self.sum() == 0
    }

    fn sum(self) -> usize {
        self.staying + self.returning + self.waiting
    }
}

impl Watcher {
    /// Counts; what a reload is about to replace does not count.
    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            staying: self.processes.staying(),
            returning: self.processes.returning(),
            waiting: self.waiting.len(),
        }
    }

    /// The wanted number less those that ended for good.
    pub(super) fn target(&self) -> usize {
        self.config.numprocesses.saturating_sub(self.lost) as usize
    }

    /// Whether processes are wanted that were not even asked for, though nothing fails.
    pub(super) fn is_short(&self) -> bool {
        self.failed_spawns == 0 && self.not_now == 0 && self.numbers().sum() < self.target()
    }

    /// Ends what is too much, reserves slots for what is missing, and spawns what may be spawned now.
    pub(super) fn fill(&mut self, out: &mut Outbox) {
        let (have, target) = (self.numbers().sum(), self.target());
        if have > target {
            self.trim(have - target, out);
        } else if have < target {
            self.reserve((target - have).min(self.room(out.now.mono)));
        }
        self.spawn_due(out);
    }

    /// Takes away: waiting slots first, then promised replacements, then the oldest processes.
    fn trim(&mut self, mut surplus: usize, out: &mut Outbox) {
        while surplus > 0 && self.waiting.pop_last().is_some() {
            surplus -= 1;
        }
        let promised = self.processes.iter().filter(|process| process.will_be_refilled());
        let promised: Vec<ProcessId> = promised.map(|process| process.id).take(surplus).collect();
        for id in promised {
            self.processes.change(id, Process::do_not_refill);
            surplus -= 1;
        }
        let mut oldest: Vec<ProcessId> = self
            .processes
            .iter()
            .filter(|process| process.role != Role::Outgoing && process.is_staying())
            .map(|process| process.id)
            .take(surplus)
            .collect();
        // Among those to go the newest is signalled first, as Circus does.
        oldest.reverse();
        self.trimmed.extend(&oldest);
        self.end_all(&oldest, self.stop_order(false), out);
    }

    /// How many spawns may be asked for now. More than can be under way need not be: a slip of the keyboard that
    /// wants a million processes must not make every further decision about this watcher a long one.
    fn room(&self, now: Timestamp) -> usize {
        let due = self.waiting.values().filter(|at| **at <= now).count();
        let room = SPAWNS_AHEAD.saturating_sub(self.processes.arriving() + due);
        // Refilled by halves, so that free numbers are not looked for anew at each spawn.
        if room >= SPAWNS_AHEAD / 2 { room } else { 0 }
    }

    /// Marks free slot numbers, the smallest first, as to be filled; at once unless the last process there crashed.
    fn reserve(&mut self, missing: usize) {
        if missing == 0 {
            return;
        }
        let mut taken: BTreeSet<u32> = self
            .processes
            .iter()
            .filter(|process| process.holds_slot())
            .map(|process| process.id.wid)
            .collect();
        taken.extend(self.waiting.keys());
        let free: Vec<u32> = (1..).filter(|wid| !taken.contains(wid)).take(missing).collect();
        for wid in free {
            self.waiting.insert(wid, self.resume_at(wid));
        }
    }

    /// When the back-off of a slot lets it be filled again.
    pub(super) fn resume_at(&self, wid: u32) -> Timestamp {
        self.slots.get(&wid).map(|slot| slot.resume_at).unwrap_or_default()
    }

    /// Whether spawns go one after the other: warm-up, a hook that has a say in each, or the last one failed.
    pub(super) fn is_serial(&self) -> bool {
        let warmup = !seconds(self.config.warmup_delay.value()).is_zero() && !self.is_reloading_plainly();
        let asked = self.has_hook(HookName::BeforeSpawn) || self.has_hook(HookName::AfterSpawn);
        warmup || asked || self.failed_spawns > 0
    }

    /// Queues the spawn of every waiting slot whose time has come.
    fn spawn_due(&mut self, out: &mut Outbox) {
        let now = out.now.mono;
        if self.hold_until > now {
            return;
        }
        let serial = self.is_serial();
        if serial && self.processes.arriving() > 0 {
            return;
        }
        let due = self.waiting.iter().map(|(wid, at)| (*at, *wid)).filter(|(at, _)| *at <= now);
        // One at a time, the one that has waited longest: a slot that crashes at once must not keep the others out.
        let due: Vec<u32> = if serial {
            due.min().into_iter().map(|(_, wid)| wid).collect()
        } else {
            due.map(|(_, wid)| wid).collect()
        };
        let role = if self.is_reloading_plainly() { Role::Candidate } else { Role::Current };
        for wid in due {
            let id = ProcessId { generation: out.next_generation(), watcher: self.id, wid };
            if self.ask_hook(HookName::BeforeSpawn, About::Spawn(id), Occasion::Watcher, out) {
                self.processes.insert(Process::vetting(id, role));
            } else {
                self.processes.insert(Process::queued(id, role));
                out.spawns.push_back(id);
            }
            self.waiting.remove(&wid);
        }
    }

    /// Changes the wanted number; answered when it is reached.
    pub fn set_numprocesses(&mut self, number: u32, waiter: Option<Waiter>) {
        let before = std::mem::replace(&mut self.options_mut().numprocesses, number);
        self.number_changed(before);
        self.number_waiters.extend(waiter);
        self.forget_failures();
    }

    /// The wanted number, or whether the dead are replaced, may have changed.
    pub fn number_changed(&mut self, before: u32) {
        // Those that ended for good make room for a smaller number first.
        let less = before.saturating_sub(self.config.numprocesses);
        self.lost = if self.refills() { 0 } else { self.lost.saturating_sub(less) };
    }

    /// Answers those who wait for the wanted number, if it is reached or cannot be for now.
    pub(super) fn answer_numbers(&mut self, out: &mut Outbox) {
        if self.number_waiters.is_empty() || !self.is_number_settled(out.now.mono) {
            return;
        }
        let waiters = std::mem::take(&mut self.number_waiters);
        self.tell(&waiters, &Outcome::Done(Tally::default()), out);
    }

    fn is_number_settled(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Stopped | Phase::Leaving | Phase::Stopping | Phase::Parting => return true,
            // It will not be reached soon: who waits is told as the waiting start is.
            Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => {
                return self.failed_spawns.max(self.not_now) >= super::PATIENCE;
            }
            Phase::Active(_) => {}
        }
        let failing = self.failed_spawns > 0 || self.not_now > 0;
        if self.is_short() {
            return false;
        }
        let due = self.waiting.values().any(|at| *at <= now);
        self.trimmed.is_empty() && self.processes.arriving() == 0 && (!due || failing)
    }

    /// The next moment at which time alone lets something happen.
    pub(super) fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        // A serial spawn that is under way wakes the next one by its result.
        let gated = self.is_serial() && self.processes.arriving() > 0;
        let slots =
            self.waiting.values().map(|at| (*at).max(self.hold_until)).filter(|_| !gated && self.may_spawn());
        let hold = match self.phase {
            Phase::Starting(_) => Some(self.warm_at.unwrap_or(self.hold_until)),
            Phase::Stopped
            | Phase::Preparing(_)
            | Phase::Confirming(_)
            | Phase::Active(_)
            | Phase::Leaving
            | Phase::Stopping
            | Phase::Parting => None,
        };
        let others = self.reload_wake().into_iter().chain(self.demand_wake(now)).chain(self.hook_wake());
        let processes = self.processes.next_moment(now);
        slots.chain(processes).chain(hold).chain(others).filter(|at| *at > now).min()
    }
}
