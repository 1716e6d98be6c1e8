//! What happens to a watcher's processes: spawns that came or failed, exits, members found and gone.

use std::time::Duration;

use circus_common::{config::HookName, protocol::Happening};

use super::{ERRORS, PATIENCE, Phase, Watcher, end_policy, hooks::About};
use crate::arbiter::{
    effect::{Effect, Level},
    hook::{Occasion, Telling},
    id::{MemberId, ProcessId},
    input::{Exit, Member, SpawnFailure},
    operation::{Outcome, Tally},
    outbox::Outbox,
    process::{Aftermath, Life, Process, Rest, Role},
    slot::{self, LastExit},
    time::{Timestamp, seconds},
};

/// Of so many spawns in a row one has the watcher looked at: often enough that there is always one to go on with.
const LOOK_EVERY: u64 = 32;

impl Watcher {
    /// A spawn succeeded.
    pub fn spawned(&mut self, id: ProcessId, pid: i32, started: f64, out: &mut Outbox) {
        let expires = self.draw_expiry(out);
        let policy = end_policy(&self.config);
        let life = Life { pid, started, since: out.now.mono, expires };
        let on_probation = self.has_hook(HookName::AfterSpawn) && self.may_spawn();
        let Some(process) = self.processes.get(id) else { return };
        let on_probation = on_probation && process.is_arriving();
        if !on_probation {
            out.publish_at(policy.watcher, Happening::Spawn { pid }, started);
        }
        out.note(Level::Debug, format!("running {} process [pid {pid}]", policy.watcher));
        self.processes.change(id, |process| {
            process.spawned(life, &policy, out);
            if on_probation {
                process.put_on_probation(out.now.mono);
            }
        });
        self.tries = 0;
        self.failed_spawns = 0;
        let warmup = self.warmup();
        if !warmup.is_zero() && !self.is_reloading_plainly() {
            self.hold_until = out.now.mono + warmup;
        }
        if !on_probation {
            self.mark_tried(id.wid);
        }
    }

    /// The pause after each spawn.
    pub(super) fn warmup(&self) -> Duration {
        seconds(self.config.warmup_delay.value())
    }

    /// Whether nothing follows from this new process but that the next one comes: of a thousand that are started not each
    /// one is a reason to look at all of them.
    pub fn goes_on_after(&self, id: ProcessId) -> bool {
        let filling = matches!(self.phase, Phase::Starting(_) | Phase::Active(None));
        let calm = |process: &Process| process.is_running() && process.next_deadline().is_none();
        let calm = self.processes.get(id).is_some_and(calm);
        filling && calm && !self.is_serial() && !id.generation.is_multiple_of(LOOK_EVERY)
    }

    /// Whether new processes are wanted.
    pub(super) const fn may_spawn(&self) -> bool {
        match self.phase {
            Phase::Starting(_) | Phase::Confirming(_) | Phase::Active(_) => true,
            Phase::Stopped | Phase::Preparing(_) | Phase::Leaving | Phase::Stopping | Phase::Parting => false,
        }
    }

    /// Tells the subscribers of a process.
    pub(super) fn tell_spawn(&self, life: &Life, out: &mut Outbox) {
        out.publish_at(&self.config.name, Happening::Spawn { pid: life.pid }, life.started);
    }

    /// When a process spawned now reaches its age limit; drawn once.
    pub(super) fn draw_expiry(&self, out: &mut Outbox) -> Option<Timestamp> {
        let (age, variance) = (self.config.max_age, self.config.max_age_variance);
        (age > 0).then(|| {
            let extra = out.draw(variance);
            out.now.mono + Duration::from_secs(age.saturating_add(extra))
        })
    }

    /// Remembers that a slot has had its first successful spawn of a start or reload.
    pub(super) fn mark_tried(&mut self, wid: u32) {
        match &mut self.phase {
            Phase::Starting(tried) => {
                tried.insert(wid);
            }
            Phase::Active(Some(reload)) => reload.mark_tried(wid),
            Phase::Stopped | Phase::Preparing(_) | Phase::Confirming(_) | Phase::Active(None) => {}
            Phase::Leaving | Phase::Stopping | Phase::Parting => {}
        }
    }

    /// A spawn failed.
    pub fn spawn_failed(&mut self, id: ProcessId, failure: &SpawnFailure, out: &mut Outbox) {
        let Some(process) = self.processes.remove(id) else { return };
        self.trimmed.remove(&id);
        self.tell_killers(id, out);
        if let Some(operation) = self.operations.running_mut() {
            operation.error = Some(failure.text.clone());
        }
        let taken_care_of = process.is_arriving() && self.reload_spawn_failed(process.role, &failure.text);
        self.note_failure(failure, id.generation > self.wave, out);
        if id.generation > self.wave {
            self.count_failure(failure, out);
            self.unqueue(taken_care_of);
            self.wave = self.processes.ids().next_back().map_or(id, |last| last.max(id)).generation;
        }
        if process.is_arriving() && !taken_care_of {
            self.waiting.insert(id.wid, self.hold_until);
        }
        let endless = self.config.max_retry.is_none() || failure.machine;
        if endless && self.failed_spawns >= PATIENCE {
            self.answer_impatient(&failure.text, out);
        }
    }

    /// Writes a failure to the log; those of one try are told once if they are the same.
    pub(super) fn note_failure(&mut self, failure: &SpawnFailure, first: bool, out: &mut Outbox) {
        let told = !first && self.errors.back() == Some(&failure.text);
        let level = if told { Level::Debug } else { Level::Warning };
        out.note(level, format!("error in '{}': {}", self.config.name, failure.text));
        if told {
            return;
        }
        self.remember_error(&failure.text);
    }

    /// Keeps an error for `why`.
    pub(super) fn remember_error(&mut self, text: &str) {
        if self.errors.len() == ERRORS {
            self.errors.pop_front();
        }
        self.errors.push_back(text.to_owned());
    }

    /// Counts a try that failed and sets the pause before the next.
    pub(super) fn count_failure(&mut self, failure: &SpawnFailure, out: &Outbox) {
        if !failure.machine {
            self.tries = self.tries.saturating_add(1);
        }
        self.failed_spawns = self.failed_spawns.saturating_add(1);
        let pause = slot::spawn_pause(self.failed_spawns, out.backoff_cap);
        let pause = if self.has_given_up() { out.backoff_cap } else { pause };
        self.hold_until = out.now.mono + pause;
    }

    /// Spawns that have not left wait for the next try too: one goes at a time until one succeeds.
    pub(super) fn unqueue(&mut self, for_good: bool) {
        let queued: Vec<ProcessId> =
            self.processes.iter().filter(|process| process.is_queued()).map(|process| process.id).collect();
        for id in queued {
            self.processes.remove(id);
            if !for_good {
                self.waiting.insert(id.wid, self.hold_until);
            }
        }
    }

    /// A process was reaped.
    pub fn exited(&mut self, id: ProcessId, exit: Exit, group_alive: bool, out: &mut Outbox) {
        // Nobody asks any more whether it may stay, or be signalled.
        self.accept(id, out);
        self.take_back(|about| matches!(about, About::Signal { process, .. } if *process == id), out);
        let policy = end_policy(&self.config);
        let ended = self
            .processes
            .change(id, |process| (process.role, process.exited(exit, group_alive, &policy, out)));
        let Some((role, Some(end))) = ended else { return };
        let life = end.life;
        let lifespan = out.now.mono.since(life.since);
        let undone = self.candidate_exited(id, role, life.pid, exit, lifespan);
        let done = !self.refills() && exit == Exit::Code(0);
        let expected = end.asked || undone || done;
        self.tell_reap(id, life.pid, exit, expected, out);
        self.note_exit(life.pid, exit, lifespan, expected, out);

        if !expected && end.refill && self.refills() {
            self.restarts += 1;
        }
        let healthy = lifespan >= seconds(self.config.respawn_healthy);
        if !end.asked {
            self.demand.ended(!healthy, out.now.mono, out.backoff_cap);
        }
        let slot = self.slots.entry(id.wid).or_default();
        slot.remember(LastExit { life, exit, time: out.now.wall, lifespan, expected });
        let pause = slot.pause_after(!expected && !healthy, out.backoff_cap);
        slot.resume_at = out.now.mono + pause;
        match end.aftermath {
            Aftermath::Held => {}
            Aftermath::Over => {
                self.drop_process(id, out);
                self.vacate(id.wid, end.refill, role);
            }
            Aftermath::Suspect => self.vacate(id.wid, end.refill, role),
        }
        // A process that ended while the stop waited only for the survey is looked at again at once.
        if matches!(self.phase, Phase::Stopping) {
            let order = self.stop_order(false);
            self.end_all(&[id], order, out);
        }
    }

    /// The respawn does not wait for this.
    fn tell_reap(&mut self, id: ProcessId, pid: i32, exit: Exit, expected: bool, out: &mut Outbox) {
        self.take_wishes(out);
        let reap = Happening::Reap { pid, exit_code: exit.code(), expected };
        let tellings = [
            Telling::Hook(HookName::BeforeReap, Occasion::Reap { pid }),
            Telling::Event(reap),
            Telling::Hook(HookName::AfterReap, Occasion::Reaped { pid, exit }),
        ];
        self.tell_of(id, tellings, out);
    }

    pub(super) fn note_exit(
        &self,
        pid: i32,
        exit: Exit,
        lifespan: Duration,
        expected: bool,
        out: &mut Outbox,
    ) {
        let level = if expected { Level::Info } else { Level::Warning };
        let name = &self.config.name;
        out.note(level, format!("{name} process [pid {pid}] {exit} after {:.1} s", lifespan.as_secs_f64()));
    }

    /// A survey of one of its processes was answered.
    pub fn surveyed(&mut self, id: ProcessId, found: &[Member], out: &mut Outbox) {
        let policy = end_policy(&self.config);
        let rest = self.processes.change(id, |process| process.surveyed(found, &policy, out));
        let Some(rest) = rest else { return };
        self.see_to(id, rest, out);
    }

    /// A member of one of its processes has ended.
    pub fn member_gone(&mut self, id: ProcessId, member: MemberId, out: &mut Outbox) {
        let rest = self.processes.change(id, |process| process.member_gone(member, out));
        let Some(rest) = rest else { return };
        self.see_to(id, rest, out);
    }

    /// Forgets a process of which nothing is left, and frees its slot if that waited.
    pub(super) fn see_to(&mut self, id: ProcessId, rest: Rest, out: &mut Outbox) {
        let Rest::Nothing { held_slot, refill } = rest else { return };
        let role = self.processes.get(id).map_or(Role::Current, |process| process.role);
        self.drop_process(id, out);
        if held_slot {
            self.vacate(id.wid, refill, role);
        }
    }

    /// Frees a slot; it is filled again if that is wanted.
    pub(super) fn vacate(&mut self, wid: u32, refill: bool, role: Role) {
        if !self.may_spawn() || !refill || role == Role::Outgoing {
            return;
        }
        if !self.refills() {
            self.lost += 1;
            // Another process may get this slot number before all were tried.
            if let Phase::Starting(tried) = &mut self.phase {
                tried.remove(&wid);
            }
            return;
        }
        self.waiting.insert(wid, self.resume_at(wid));
    }

    /// Removes a process of which nothing is left and tells whoever waits for that.
    pub(super) fn drop_process(&mut self, id: ProcessId, out: &mut Outbox) {
        let Some(process) = self.processes.remove(id) else { return };
        out.surveys.shift_remove(&id);
        if !process.is_unborn() {
            out.push(Effect::Forget { process: id });
        }
        self.trimmed.remove(&id);
        self.tell_killers(id, out);
    }

    pub(super) fn tell_killers(&mut self, id: ProcessId, out: &mut Outbox) {
        for (_, victims) in &mut self.kill_waiters {
            victims.remove(&id);
        }
        let (watcher, name) = (self.id, self.config.name.clone());
        self.kill_waiters.retain(|(waiter, victims)| {
            if victims.is_empty() {
                out.complete(*waiter, watcher, &name, Outcome::Done(Tally::default()));
            }
            !victims.is_empty()
        });
    }
}
