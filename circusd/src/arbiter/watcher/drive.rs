//! Carries the operation in hand through the phases until it can be answered.

use std::collections::BTreeSet;

use circus_common::{
    Signal,
    config::HookName,
    protocol::{ErrorCode, Happening},
};

use super::{Phase, ReloadEnd, Watcher, hooks::About};
use crate::arbiter::{
    effect::Effect,
    hook::Question,
    id::ProcessId,
    operation::{Kind, Outcome, Stage, Tally},
    outbox::Outbox,
};

impl Watcher {
    /// One step of the operation in hand, or the begin of the next; false if it has to wait.
    pub(super) fn drive(&mut self, out: &mut Outbox) -> bool {
        if self.operations.is_idle() {
            return false;
        }
        let before: BTreeSet<i32> =
            if self.operations.running().is_none() { self.pid_set() } else { BTreeSet::new() };
        if let Some(operation) = self.operations.advance() {
            operation.before = before;
            return true;
        }
        let Some(operation) = self.operations.running() else { return false };
        let (kind, stage) = (operation.kind, operation.stage.clone());
        match kind {
            Kind::Start => self.drive_start(&stage, out),
            Kind::Stop => {
                self.demand.disarm();
                self.drive_down(out, Self::finish_stop)
            }
            Kind::Restart | Kind::Reload { graceful: false, .. } => self.drive_restart(&stage, out),
            Kind::Reload { graceful: true, sequential } => self.drive_reload(&stage, sequential, out),
            Kind::Replace => self.drive_replace(&stage, out),
            Kind::Remove => self.drive_down(out, Self::finish_remove),
        }
    }

    fn drive_start(&mut self, stage: &Stage, out: &mut Outbox) -> bool {
        match (&self.phase, stage) {
            (Phase::Stopped, Stage::Fresh) => self.start_now(out),
            (Phase::Stopped, Stage::Starting | Stage::Adding(_) | Stage::Reloading) => self.finish_up(out),
            (Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_), _) => false,
            (Phase::Leaving | Phase::Stopping | Phase::Parting, _) => false,
            (Phase::Active(_), Stage::Fresh) => {
                self.lost = 0;
                self.forget_failures();
                self.fill(out);
                let arriving = self.processes.iter().filter(|p| p.is_arriving()).map(|p| p.id).collect();
                self.set_stage(Stage::Adding(arriving));
                true
            }
            (Phase::Active(_), Stage::Adding(awaited)) => {
                if self.is_short() {
                    // Not all could be asked for at once: these are awaited as well.
                    self.fill(out);
                    let arriving = self.processes.iter().filter(|p| p.is_arriving()).map(|p| p.id);
                    let awaited = awaited.iter().copied().chain(arriving).collect();
                    self.set_stage(Stage::Adding(awaited));
                    return false;
                }
                if self.is_added(awaited) {
                    return self.finish_up(out);
                }
                false
            }
            (Phase::Active(_), Stage::Starting | Stage::Reloading) => self.finish_up(out),
        }
    }

    /// Whether the processes added to an active watcher have had their first try.
    fn is_added(&self, awaited: &BTreeSet<ProcessId>) -> bool {
        let arriving =
            awaited.iter().any(|id| self.processes.get(*id).is_some_and(|process| process.is_arriving()));
        let next_follows =
            self.is_serial() && !self.waiting.is_empty() && self.failed_spawns == 0 && self.not_now == 0;
        !arriving && !next_follows
    }

    /// Brings the watcher down, then finishes.
    fn drive_down(&mut self, out: &mut Outbox, finish: fn(&mut Self, &mut Outbox)) -> bool {
        match self.phase {
            Phase::Stopped => finish(self, out),
            Phase::Leaving | Phase::Stopping | Phase::Parting => return false,
            Phase::Preparing(_) => self.abandon_start(out),
            Phase::Starting(_) | Phase::Confirming(_) | Phase::Active(_) => self.enter_stopping(out),
        }
        true
    }

    /// A start of which nothing was done yet is off: there is nothing to stop, and nothing to tell.
    fn abandon_start(&mut self, out: &mut Outbox) {
        self.take_back(|about| *about == About::Start, out);
        self.phase = Phase::Stopped;
    }

    fn finish_stop(&mut self, out: &mut Outbox) {
        self.finish(out, Outcome::Done);
    }

    fn finish_remove(&mut self, out: &mut Outbox) {
        self.finish(out, Outcome::Done);
        self.removed = true;
        let text = format!("program {} not found", self.config.name);
        for operation in self.operations.drain() {
            self.tell(&operation.waiters, &Outcome::Failed(ErrorCode::Message, text.clone()), out);
        }
    }

    fn drive_restart(&mut self, stage: &Stage, out: &mut Outbox) -> bool {
        match (&self.phase, stage) {
            (Phase::Stopped, Stage::Fresh) => self.start_now(out),
            (Phase::Starting(_) | Phase::Confirming(_) | Phase::Active(_), Stage::Fresh) => {
                self.enter_stopping(out);
                true
            }
            (Phase::Preparing(_), Stage::Fresh) => {
                self.abandon_start(out);
                true
            }
            (Phase::Stopped | Phase::Active(_), Stage::Starting | Stage::Adding(_) | Stage::Reloading) => {
                self.finish_up(out)
            }
            (Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_), _) => false,
            (Phase::Leaving | Phase::Stopping | Phase::Parting, _) => false,
        }
    }

    fn drive_replace(&mut self, stage: &Stage, out: &mut Outbox) -> bool {
        if matches!((&self.phase, stage), (Phase::Stopped, Stage::Fresh)) {
            self.take_next(out);
            if !self.config.autostart {
                self.demand.disarm();
                self.finish(out, Outcome::Done);
                return true;
            }
        }
        self.drive_restart(stage, out)
    }

    fn drive_reload(&mut self, stage: &Stage, sequential: bool, out: &mut Outbox) -> bool {
        match (&self.phase, stage) {
            // Circus starts a stopped watcher that a reload names.
            (Phase::Stopped, Stage::Fresh) => self.start_now(out),
            (Phase::Active(_), Stage::Fresh) if self.config.send_hup => {
                for process in self.processes.iter().filter(|process| process.is_running()) {
                    out.push(Effect::Signal { process: process.id, signal: Signal::HUP });
                }
                out.publish(&self.config.name, Happening::Reload);
                self.finish(out, Outcome::Done);
                true
            }
            (Phase::Active(_), Stage::Fresh) => {
                self.begin_reload(sequential);
                self.set_stage(Stage::Reloading);
                true
            }
            (Phase::Active(_), Stage::Starting | Stage::Adding(_)) => {
                out.publish(&self.config.name, Happening::Reload);
                self.finish_up(out)
            }
            (Phase::Active(None), Stage::Reloading) => match self.reload_end.take() {
                Some(ReloadEnd::Done) => self.finish_up(out),
                Some(ReloadEnd::Partial(error)) => {
                    self.finish(out, |tally| Outcome::GaveUp(tally, error));
                    true
                }
                Some(ReloadEnd::Undone(reason)) => {
                    let text = format!("reload of {} undone: {reason}", self.config.name);
                    out.publish(&self.config.name, Happening::Undone { reason });
                    out.note(crate::arbiter::effect::Level::Warning, text.clone());
                    self.finish(out, |_| Outcome::Failed(ErrorCode::Command, text));
                    true
                }
                None => false,
            },
            // As in Circus, a reload ends with its event also where the start came to nothing, or a hook's no has stopped
            // the watcher.
            (Phase::Stopped, Stage::Starting | Stage::Adding(_) | Stage::Reloading) => {
                out.publish(&self.config.name, Happening::Reload);
                self.finish_up(out)
            }
            (Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_), _) => false,
            (Phase::Leaving | Phase::Stopping | Phase::Parting | Phase::Active(Some(_)), _) => false,
        }
    }

    /// Begins the start; one that waits for a connection has done with being ready for it.
    fn start_now(&mut self, out: &mut Outbox) -> bool {
        if self.config.on_demand && !self.demand.take_call() {
            self.demand.arm();
            if self
                .operations
                .running()
                .is_some_and(|operation| matches!(operation.kind, Kind::Reload { .. }))
            {
                out.publish(&self.config.name, Happening::Reload);
            }
            self.finish(out, Outcome::Done);
            return true;
        }
        if self.has_hook(HookName::BeforeStart) {
            self.not_now = 0;
            self.phase = Phase::Preparing(Question::Due(out.now.mono));
        } else {
            self.enter_starting(out);
        }
        self.set_stage(Stage::Starting);
        true
    }

    fn set_stage(&mut self, stage: Stage) {
        if let Some(operation) = self.operations.running_mut() {
            operation.stage = stage;
        }
    }

    /// Finishes an operation that wanted the watcher up: with the last spawn error if it is not, or still fails.
    fn finish_up(&mut self, out: &mut Outbox) -> bool {
        let failing = matches!(self.phase, Phase::Stopped) || self.failed_spawns > 0 || self.not_now > 0;
        let error = self.operations.running_mut().and_then(|operation| operation.error.take());
        self.finish(out, |tally| match error {
            Some(error) if failing => Outcome::GaveUp(tally, error),
            Some(_) | None => Outcome::Done(tally),
        });
        true
    }

    /// Ends the operation in hand and tells its waiters.
    fn finish(&mut self, out: &mut Outbox, outcome: impl FnOnce(Tally) -> Outcome) {
        let Some(operation) = self.operations.finish() else { return };
        let tally = Tally::between(&operation.before, &self.pid_set());
        self.tell(&operation.waiters, &outcome(tally), out);
    }

    /// Answers those who wait for a start that will not give up, while the work goes on.
    pub(super) fn answer_impatient(&mut self, error: &str, out: &mut Outbox) {
        let after = self.pid_set();
        let Some(operation) = self.operations.running_mut() else { return };
        let waiters = std::mem::take(&mut operation.waiters);
        let tally = Tally::between(&operation.before, &after);
        self.tell(&waiters, &Outcome::GaveUp(tally, error.to_owned()), out);
    }
}
