//! Questions to the watcher's hooks, and what their answers mean.
//!
//! The core asks and goes on; what waits for an answer says so in its own state, and a stop takes the question back.
//!
//! Invariant: a question that is asked is answered once: by the hook, by its time limit, or by being taken back.

use std::{sync::Arc, time::Duration};

use circus_common::{
    Signal,
    config::{Change, HookName},
    protocol::Happening,
};
use serde_json::{Map, Value, json};

use super::{Phase, Watcher};
use crate::arbiter::{
    effect::{Effect, Level},
    hook::{Errand, HookAnswer, HookOrder, Occasion, Question, Verdict},
    id::{HookId, ProcessId, RequestId},
    outbox::{Added, Outbox},
    process::Process,
    time::{Timestamp, seconds},
};

/// A question that was asked.
#[derive(Debug)]
pub(super) struct Call {
    hook: HookName,
    about: About,
    /// When it is taken back.
    until: Option<Timestamp>,
    since: Timestamp,
}

/// What waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The start of the watcher.
    Start,
    /// Its becoming active.
    Started,
    /// Its stop.
    Stopping,
    /// The end of its stop.
    Stopped,
    /// The spawn of this process.
    Spawn(ProcessId),
    /// Whether this process may stay.
    Spawned(ProcessId),
    /// A signal to it.
    Signal { process: ProcessId, signal: Signal, errand: Errand },
    /// Whatever else is to be told of it.
    Line(ProcessId),
    /// The figures of this pid for a request.
    Figures { request: RequestId, pid: i32 },
}

/// What an answer comes down to.
pub(super) enum Ruling {
    /// Go on.
    Yes,
    /// Ask again.
    NotNow,
    /// No, and why: the hook said so, or failed.
    No(String),
}

impl Watcher {
    /// Whether there is such a hook.
    pub(super) fn has_hook(&self, hook: HookName) -> bool {
        self.config.hooks.contains_key(&hook)
    }

    /// Asks a hook. Returns whether there is one.
    pub(super) fn ask_hook(
        &mut self,
        hook: HookName,
        about: About,
        occasion: Occasion,
        out: &mut Outbox,
    ) -> bool {
        let details = occasion.details(out.now.wall);
        self.ask_with(hook, about, details, out)
    }

    fn ask_with(
        &mut self,
        hook: HookName,
        about: About,
        details: Map<String, Value>,
        out: &mut Outbox,
    ) -> bool {
        let Some(config) = self.config.hooks.get(&hook) else { return false };
        let place = out.surroundings.hook_place(&self.config, config, hook, &details);
        let limit = Some(seconds(self.config.hook_timeout)).filter(|limit| !limit.is_zero());
        let id = out.next_hook(self.id);
        let since = out.now.mono;
        let until = limit.map(|limit| since + limit);
        self.calls.insert(id, Call { hook, about, until, since });
        let sockets = Arc::clone(&out.sockets);
        let order = HookOrder { hook, place, details, watcher: self.portrait(), sockets, limit };
        out.push(Effect::RunHook { hook: id, order: Box::new(order) });
        true
    }

    /// Whether a hook has a say in signals, or hears of them.
    pub fn has_signal_hooks(&self) -> bool {
        self.has_hook(HookName::BeforeSignal) || self.has_hook(HookName::AfterSignal)
    }

    /// Whether `extended_stats` is to be asked.
    pub fn extends_stats(&self) -> bool {
        self.has_hook(HookName::ExtendedStats)
    }

    /// Asks `extended_stats` about one process. Returns whether there is such a hook.
    pub fn ask_figures(
        &mut self,
        request: RequestId,
        pid: i32,
        stats: Map<String, Value>,
        out: &mut Outbox,
    ) -> bool {
        let details = Map::from_iter([("pid".to_owned(), json!(pid)), ("stats".to_owned(), stats.into())]);
        self.ask_with(HookName::ExtendedStats, About::Figures { request, pid }, details, out)
    }

    /// A hook has answered.
    pub fn hook_done(&mut self, id: HookId, answer: HookAnswer, out: &mut Outbox) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.take_changes(call.hook, &answer.changes, out);
        if let About::Figures { request, pid } = call.about {
            return self.figures(request, pid, answer, out);
        }
        let ruling = self.rule(call.hook, answer.verdict, out);
        self.follow(call.about, ruling, out);
    }

    /// Takes back every question whose time is over.
    pub(super) fn time_hooks(&mut self, out: &mut Outbox) {
        let now = out.now.mono;
        let late = self.calls.iter().filter(|(_, call)| call.until.is_some_and(|until| until <= now));
        let late: Vec<HookId> = late.map(|(id, _)| *id).collect();
        for id in late {
            // What follows from one may have taken back another.
            if !self.calls.contains_key(&id) {
                continue;
            }
            out.push(Effect::CancelHook { hook: id });
            let text = format!("timed out after {} s (hook_timeout)", self.config.hook_timeout);
            self.hook_done(id, HookAnswer::plain(Verdict::Failed(text)), out);
        }
    }

    /// Tells of an answer, and says what it comes down to.
    fn rule(&self, hook: HookName, verdict: Verdict, out: &mut Outbox) -> Ruling {
        let name = &self.config.name;
        let error = match verdict {
            Verdict::Failed(error) => error,
            Verdict::Yes | Verdict::No | Verdict::NotNow => {
                out.publish(name, Happening::HookSuccess { name: hook.to_string() });
                return match verdict {
                    Verdict::Yes => Ruling::Yes,
                    Verdict::NotNow => Ruling::NotNow,
                    Verdict::No | Verdict::Failed(_) => Ruling::No(format!("{hook} said no")),
                };
            }
        };
        out.note(Level::Error, format!("hook {hook} of {name} failed: {error}"));
        let reason = format!("{hook} failed: {error}");
        out.publish(name, Happening::HookFailure { name: hook.to_string(), error });
        if hook.forgives() || self.ignores_failure(hook) { Ruling::Yes } else { Ruling::No(reason) }
    }

    fn ignores_failure(&self, hook: HookName) -> bool {
        self.config.hooks.get(&hook).is_some_and(|config| config.ignore_failure)
    }

    /// Asks about processes that may be asked about now.
    pub(super) fn ask_about_spawned(&mut self, out: &mut Outbox) {
        let now = out.now.mono;
        for id in self.processes.due(now) {
            let process = self.processes.get(id).filter(|it| it.question_due().is_some_and(|at| at <= now));
            let Some(pid) = process.and_then(|it| it.life()).map(|life| life.pid) else { continue };
            if self.ask_hook(HookName::AfterSpawn, About::Spawned(id), Occasion::Spawned { pid }, out) {
                self.processes.change(id, Process::question_asked);
            } else {
                self.accept(id, out);
            }
        }
    }

    /// A process may stay, or nobody waits for the hook's word on it any more: it is told of.
    pub(super) fn accept(&mut self, id: ProcessId, out: &mut Outbox) {
        self.take_back(|about| *about == About::Spawned(id), out);
        let Some(life) = self.processes.change(id, Process::accepted).flatten() else { return };
        self.not_now = 0;
        if self.is_reloading_by_turns() {
            // As in Circus the pause follows the hook's word.
            self.hold_until = self.hold_until.max(out.now.mono + self.warmup());
        }
        self.tell_spawn(&life, out);
        self.mark_tried(id.wid);
    }

    /// Takes back these questions; nothing comes of them.
    pub(super) fn take_back(&mut self, which: impl Fn(&About) -> bool, out: &mut Outbox) {
        self.calls.retain(|id, call| {
            let gone = which(&call.about);
            if gone {
                out.push(Effect::CancelHook { hook: *id });
            }
            !gone
        });
    }

    /// Takes back what a stop need not wait for.
    pub(super) fn take_back_for_stop(&mut self, out: &mut Outbox) {
        self.not_now = 0;
        self.take_back(
            |about| match about {
                About::Start | About::Started | About::Spawn(_) | About::Spawned(_) => true,
                About::Signal { errand: Errand::Command, .. } => true,
                About::Signal { .. } | About::Line(_) => false,
                About::Stopping | About::Stopped | About::Figures { .. } => false,
            },
            out,
        );
        let tried: Vec<ProcessId> =
            self.processes.iter().filter(|it| it.is_on_probation()).map(|it| it.id).collect();
        for id in tried {
            self.accept(id, out);
        }
    }

    /// From now on nobody is asked, and who was is taken for saying yes: the daemon is in a hurry.
    pub(super) fn ask_nobody(&mut self, out: &mut Outbox) {
        self.options_mut().hooks.clear();
        for (id, call) in std::mem::take(&mut self.calls) {
            out.push(Effect::CancelHook { hook: id });
            self.follow(call.about, Ruling::Yes, out);
        }
    }

    /// When a question is taken back, or is to be asked again.
    pub(super) fn hook_wake(&self) -> Option<Timestamp> {
        let limits = self.calls.values().filter_map(|call| call.until);
        let phase = match self.phase {
            Phase::Preparing(Question::Due(at)) | Phase::Confirming(Question::Due(at)) => Some(at),
            Phase::Preparing(Question::Asked) | Phase::Confirming(Question::Asked) => None,
            Phase::Stopped | Phase::Starting(_) | Phase::Active(_) => None,
            Phase::Leaving | Phase::Stopping | Phase::Parting => None,
        };
        limits.chain(phase).min()
    }

    /// `extended_stats` has answered; as in Circus there is no event of it.
    fn figures(&mut self, request: RequestId, pid: i32, answer: HookAnswer, out: &mut Outbox) {
        let stats = match answer.verdict {
            Verdict::Failed(_) if self.ignores_failure(HookName::ExtendedStats) => Ok(Map::new()),
            Verdict::Failed(error) => {
                let name = &self.config.name;
                out.note(Level::Error, format!("hook extended_stats of {name} failed: {error}"));
                Err(format!("extended_stats of {name} failed: {error}"))
            }
            Verdict::Yes | Verdict::No | Verdict::NotNow => Ok(answer.stats.unwrap_or_default()),
        };
        out.figures.push_back(Added { request, pid, figures: stats });
    }

    /// Applies what a hook has changed on its watcher: as `set` does, without the reload.
    fn take_changes(&mut self, hook: HookName, changes: &Map<String, Value>, out: &mut Outbox) {
        for (key, value) in changes {
            let before = self.config.numprocesses;
            let set = match (key.as_str(), value.as_i64()) {
                // No `set` may change it, and yet hooks of Circus do.
                ("priority", Some(priority)) => {
                    self.options_mut().priority = priority;
                    Ok(Change::None)
                }
                _ => self.options_mut().set(key, value),
            };
            match set {
                Ok(_) => {
                    self.number_changed(before);
                    self.options_changed();
                    out.publish(&self.config.name, Happening::Updated);
                }
                Err(error) => {
                    let name = &self.config.name;
                    out.note(Level::Warning, format!("hook {hook} of {name} cannot change {key}: {error}"));
                }
            }
        }
    }

    /// The watcher as its hooks see it.
    fn portrait(&self) -> Map<String, Value> {
        let processes: Vec<Value> = self
            .subjects()
            .iter()
            .map(|it| json!({"pid": it.pid, "wid": it.wid, "started": it.started}))
            .collect();
        Map::from_iter([
            ("name".to_owned(), json!(self.config.name)),
            ("status".to_owned(), json!(self.state())),
            ("processes".to_owned(), json!(processes)),
            ("options".to_owned(), Value::Object(self.config.report())),
        ])
    }

    /// The hooks that are asked at this moment, and for how long, for `why`.
    pub(super) fn pending_hooks(&self, now: Timestamp) -> Vec<(HookName, Duration)> {
        self.calls.values().map(|call| (call.hook, now.since(call.since))).collect()
    }
}
