//! What follows from the answer of a hook.

use circus_common::config::HookName;

use super::{
    PATIENCE, Phase, Watcher, end_policy,
    hooks::{About, Ruling},
};
use crate::arbiter::{
    effect::Level,
    hook::{Occasion, Question},
    id::ProcessId,
    outbox::{Added, Outbox},
    process::{Process, Role},
    slot,
    time::Timestamp,
};

impl Watcher {
    /// Goes on with what waited.
    pub(super) fn follow(&mut self, about: About, ruling: Ruling, out: &mut Outbox) {
        match about {
            About::Start => self.start_answered(ruling, out),
            About::Started => self.started_answered(ruling, out),
            About::Stopping => self.begin_ending(out),
            About::Stopped => self.phase = Phase::Stopped,
            About::Spawn(id) => self.spawn_answered(id, ruling, out),
            About::Spawned(id) => self.spawned_answered(id, ruling, out),
            About::Signal { process, signal, errand } => {
                let allowed = matches!(ruling, Ruling::Yes);
                let policy = end_policy(&self.config);
                self.processes.change(process, |process| {
                    process.signal_answered(signal, allowed, errand, &policy, out);
                });
                self.take_wishes(out);
            }
            About::Line(id) => self.line_answered(id, out),
            About::Figures { request, pid } => {
                let figures = Err("the watcher is gone".to_owned());
                out.figures.push_back(Added { request, pid, figures });
            }
        }
    }

    /// One step while `before_start` is asked, or is to be asked again.
    pub(super) fn step_preparing(&mut self, question: Question, out: &mut Outbox) -> bool {
        match question {
            Question::Due(at) if at <= out.now.mono => {
                self.phase = Phase::Preparing(Question::Asked);
                if !self.ask_hook(HookName::BeforeStart, About::Start, Occasion::Watcher, out) {
                    self.enter_starting(out);
                }
                true
            }
            Question::Due(_) | Question::Asked => false,
        }
    }

    fn start_answered(&mut self, ruling: Ruling, out: &mut Outbox) {
        match ruling {
            Ruling::Yes => self.enter_starting(out),
            Ruling::NotNow => {
                let at = self.put_off(HookName::BeforeStart, out);
                self.phase = Phase::Preparing(Question::Due(at));
            }
            Ruling::No(reason) => {
                self.blame(reason, out);
                self.phase = Phase::Stopped;
            }
        }
    }

    /// One step while `after_start` is asked, or is to be asked again.
    pub(super) fn step_confirming(&mut self, question: Question, out: &mut Outbox) -> bool {
        match question {
            Question::Due(at) if at <= out.now.mono => {
                self.phase = Phase::Confirming(Question::Asked);
                if !self.ask_hook(HookName::AfterStart, About::Started, Occasion::Watcher, out) {
                    self.become_active(out);
                }
                true
            }
            Question::Due(_) | Question::Asked => {
                self.fill(out);
                false
            }
        }
    }

    fn started_answered(&mut self, ruling: Ruling, out: &mut Outbox) {
        match ruling {
            Ruling::Yes => self.become_active(out),
            Ruling::NotNow => {
                let at = self.put_off(HookName::AfterStart, out);
                self.phase = Phase::Confirming(Question::Due(at));
            }
            Ruling::No(reason) => {
                self.blame(reason, out);
                self.enter_stopping(out);
            }
        }
    }

    fn spawn_answered(&mut self, id: ProcessId, ruling: Ruling, out: &mut Outbox) {
        let Some(role) = self.processes.get(id).map(|process| process.role) else { return };
        match ruling {
            Ruling::Yes => {
                self.processes.change(id, Process::allowed);
                self.not_now = 0;
                out.spawns.push_back(id);
            }
            Ruling::NotNow => {
                self.drop_process(id, out);
                self.hold_until = self.put_off(HookName::BeforeSpawn, out);
                self.waiting.insert(id.wid, self.hold_until);
            }
            Ruling::No(reason) => {
                self.drop_process(id, out);
                self.refuse(role, reason, out);
            }
        }
    }

    pub(super) fn spawned_answered(&mut self, id: ProcessId, ruling: Ruling, out: &mut Outbox) {
        let Some(role) = self.processes.get(id).map(|process| process.role) else { return };
        match ruling {
            Ruling::Yes => self.accept(id, out),
            Ruling::NotNow => {
                let at = self.put_off(HookName::AfterSpawn, out);
                self.processes.change(id, |process| process.put_on_probation(at));
            }
            Ruling::No(reason) => {
                // Circus does not tell of the spawn of a process that its hook has turned away.
                let _untold = self.processes.change(id, Process::accepted);
                self.reload_refused(id);
                self.end_all(&[id], self.stop_order(false), out);
                self.refuse(role, reason, out);
            }
        }
    }

    /// A hook has refused a process: a reload copes with that, anything else is over.
    fn refuse(&mut self, role: Role, reason: String, out: &mut Outbox) {
        let taken_care_of = self.reload_spawn_failed(role, &reason);
        self.blame(reason, out);
        if taken_care_of {
            self.unqueue(true);
        } else {
            self.enter_stopping(out);
        }
    }

    /// Remembers why something was not done, for the log, the answer and `why`.
    fn blame(&mut self, reason: String, out: &mut Outbox) {
        out.note(Level::Warning, format!("{}: {reason}", self.config.name));
        // Whoever waits for a connection would be started again at once by the one that still waits.
        self.demand.ended(true, out.now.mono, out.backoff_cap);
        self.remember_error(&reason);
        if let Some(operation) = self.operations.running_mut() {
            operation.error = Some(reason);
        }
    }

    /// A hook wants to be asked again: when.
    fn put_off(&mut self, hook: HookName, out: &mut Outbox) -> Timestamp {
        self.not_now = self.not_now.saturating_add(1);
        let text = format!("{hook} said not now");
        if self.errors.back() != Some(&text) {
            self.remember_error(&text);
        }
        if let Some(operation) = self.operations.running_mut() {
            operation.error = Some(text.clone());
        }
        if self.not_now >= PATIENCE {
            self.answer_impatient(&text, out);
        }
        let level = if self.not_now == 1 { Level::Info } else { Level::Debug };
        out.note(level, format!("{}: {text}", self.config.name));
        out.now.mono + slot::spawn_pause(self.not_now, out.backoff_cap)
    }
}
