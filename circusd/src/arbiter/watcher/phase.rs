//! The steps of each phase: what a starting, active or stopping watcher does next.

use circus_common::{config::HookName, protocol::Happening};

use super::{Phase, Watcher, hooks::About};
use crate::arbiter::{
    effect::Level,
    hook::{Occasion, Question},
    outbox::Outbox,
    time::Timestamp,
};

impl Watcher {
    pub(super) fn step_starting(&mut self, out: &mut Outbox) -> bool {
        if self.config.numprocesses == 0 || self.has_given_up() {
            self.tell_fatal(out);
            self.enter_stopping(out);
            return true;
        }
        self.fill(out);
        if !self.is_warm(out.now.mono) {
            return false;
        }
        if self.has_hook(HookName::AfterStart) {
            self.phase = Phase::Confirming(Question::Due(out.now.mono));
        } else {
            self.become_active(out);
        }
        true
    }

    /// The start has succeeded.
    pub(super) fn become_active(&mut self, out: &mut Outbox) {
        self.phase = Phase::Active(None);
        self.not_now = 0;
        self.demand.running(out.now.mono);
        self.active_since = Some(out.now.wall);
        out.publish(&self.config.name, Happening::Start);
        out.note(Level::Info, format!("{} started", self.config.name));
    }

    /// Whether every slot was tried once and the warm-up of the last one is over. What has crashed since and is
    /// spawned again is the back-off's business: else a program that never lives long would start for ever.
    fn is_warm(&mut self, now: Timestamp) -> bool {
        let Phase::Starting(tried) = &self.phase else { return false };
        let mut arriving = self.processes.iter().filter(|process| process.is_arriving());
        if tried.len() < self.target() || arriving.any(|process| !tried.contains(&process.id.wid)) {
            self.warm_at = None;
            return false;
        }
        *self.warm_at.get_or_insert(self.hold_until) <= now
    }

    pub(super) fn step_active(&mut self, out: &mut Outbox) -> bool {
        let now = out.now.mono;
        let mut expired = self.processes.due(now);
        expired.retain(|id| self.processes.get(*id).is_some_and(|process| process.is_expired(now)));
        if !expired.is_empty() {
            self.end_all(&expired, self.stop_order(true), out);
        }
        self.fill(out);
        let finished = !self.refills() && self.lost > 0 && self.numbers().is_empty();
        let hopeless = self.has_given_up() && !self.processes.iter().any(|p| p.is_running());
        // What is only suspected of having left something behind is looked at by the stop.
        let ended = finished && !self.processes.iter().any(|process| process.holds_slot());
        if ended || hopeless {
            self.tell_fatal(out);
            self.enter_stopping(out);
            return true;
        }
        false
    }

    pub(super) fn step_stopping(&mut self, out: &mut Outbox) -> bool {
        self.tell_held_ends(out);
        if !self.processes.is_empty() || !self.lines.is_empty() {
            return false;
        }
        self.phase = Phase::Parting;
        self.active_since = None;
        self.lost = 0;
        self.close_streams(out);
        out.publish(&self.config.name, Happening::Stop);
        out.note(Level::Info, format!("{} stopped", self.config.name));
        if !self.ask_hook(HookName::AfterStop, About::Stopped, Occasion::Watcher, out) {
            self.phase = Phase::Stopped;
        }
        true
    }
}
