//! What must hold of hooks at every moment of every story.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::{
    Signal,
    config::{Config, HookAction, HookName},
};
use circusd::arbiter::{
    Effect, Input,
    hook::{HookAnswer, HookOrder, Verdict},
    id::{HookId, ProcessId, WatcherId},
};
use serde_json::{Map, Value};

use super::rules::hold;

/// What was asked and answered, as far as the rules need it.
#[derive(Debug, Default)]
pub(super) struct HookRules {
    /// Questions that are neither answered nor taken back.
    open: BTreeMap<HookId, Asked>,
    /// All there ever were.
    seen: BTreeSet<HookId>,
    /// Hooks whose failure counts as a yes, by lower-cased watcher.
    forgiving: BTreeSet<(String, HookName)>,
    /// Watchers whose hooks a client has changed.
    changed: BTreeSet<String>,
    names: BTreeMap<WatcherId, String>,
    /// Watchers that have the hook `before_start`, and whether it has allowed the start in hand.
    starts: BTreeMap<WatcherId, bool>,
    /// Watchers that have the hook `before_spawn`, and how many spawns were allowed and not issued.
    spawns: BTreeMap<WatcherId, u32>,
    /// Watchers that have the hook `before_signal`, and the signals by pid that were allowed and not sent.
    signals: BTreeMap<WatcherId, Vec<(i64, i64)>>,
    /// The latest signal by pid that `after_signal` was told of.
    heard: BTreeMap<(WatcherId, i32), Signal>,
    /// Watchers that have the hook `after_signal`.
    hearing: BTreeSet<WatcherId>,
    /// Watchers whose `before_stop` was asked, and which were not started since.
    stopping: BTreeSet<WatcherId>,
    /// Watchers that have the hook `before_stop` and end their processes now, and whether a reap was told since.
    ending: BTreeMap<WatcherId, bool>,
    pids: BTreeMap<ProcessId, i32>,
    /// Processes that `after_spawn` has not accepted.
    unaccepted: BTreeSet<ProcessId>,
    /// Nobody is asked any more after a second INT or TERM.
    hurried: bool,
}

#[derive(Debug)]
struct Asked {
    hook: HookName,
    pid: i32,
    signal: Option<Signal>,
    forgives: bool,
    until: Option<Duration>,
}

impl HookRules {
    pub fn new(config: &Config) -> Self {
        let all = config
            .watchers
            .iter()
            .flat_map(|watcher| watcher.hooks.iter().map(|hook| (watcher.name.to_lowercase(), hook)));
        let forgiving = all.filter(|(_, (_, hook))| hook.ignore_failure);
        Self {
            forgiving: forgiving.map(|(watcher, (name, _))| (watcher, *name)).collect(),
            ..Self::default()
        }
    }

    /// A client may make a hook's failure count as a yes.
    pub fn set(&mut self, watcher: &str, options: &Map<String, Value>) {
        for hook in HookName::ALL {
            let value = options.get(&format!("hooks.{hook}")).and_then(Value::as_str);
            if value.is_some() {
                self.changed.insert(watcher.to_lowercase());
            }
            if value.is_some_and(|value| value.contains(',')) {
                self.forgiving.insert((watcher.to_lowercase(), hook));
            }
        }
    }

    /// The daemon is in a hurry: from now on nobody is asked.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Whether `after_spawn` keeps the spawn of this process from being told.
    pub fn withholds(&self, process: ProcessId) -> bool {
        self.unaccepted.contains(&process)
    }

    /// Whether a hook is being asked about this pid: what is to be told of it waits for that.
    pub fn is_asked_about(&self, watcher: WatcherId, pid: i32) -> bool {
        self.open.iter().any(|(id, asked)| id.watcher == watcher && asked.pid == pid)
    }

    /// Whether `before_signal` is being told of a SIGKILL for this process, which waits for its answer.
    pub fn is_condemned(&self, process: ProcessId) -> bool {
        let pid = self.pids.get(&process).copied().unwrap_or_default();
        self.open.iter().any(|(id, asked)| {
            let hook = asked.hook == HookName::BeforeSignal;
            id.watcher == process.watcher && asked.pid == pid && hook && asked.signal == Some(Signal::KILL)
        })
    }

    /// Whether a hook is asked about a signal to whichever process of this watcher.
    pub fn is_signalling(&self, watcher: WatcherId) -> bool {
        self.open.iter().any(|(id, asked)| id.watcher == watcher && asked.signal.is_some())
    }

    /// A reap is told.
    pub fn reaped(&mut self, watcher: WatcherId) {
        self.ending.entry(watcher).and_modify(|reaped| *reaped = true);
    }

    /// The first kill of a process is told.
    pub fn killed(&self, now: Duration, process: ProcessId) {
        let late = self.ending.get(&process.watcher) == Some(&true);
        hold!(KillsFirst, !late, "{now:?}: the kill of {process} is told after a reap of the same stop");
    }

    /// The latest signal to this pid that `after_signal` was told of, if the watcher has that hook.
    pub fn heard(&self, watcher: WatcherId, pid: i32) -> Option<Signal> {
        self.heard.get(&(watcher, pid)).copied()
    }

    /// Whether the watcher has the hook `after_signal`.
    pub fn hears(&self, watcher: WatcherId) -> bool {
        self.hearing.contains(&watcher)
    }

    /// Returns a signal about which `before_signal` has decided.
    pub fn before(&mut self, input: &Input) -> Option<(ProcessId, Signal)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other inputs are not about hooks")]
        match input {
            Input::HookDone { hook, answer } => return self.answered(*hook, answer),
            Input::Spawned { process, pid, .. } => {
                self.heard.remove(&(process.watcher, *pid));
                self.pids.insert(*process, *pid);
            }
            Input::Exited { process, .. } => _ = self.pids.remove(process),
            _ => {}
        }
        None
    }

    /// One answer for each question, and none counts that was taken back.
    fn answered(&mut self, id: HookId, answer: &HookAnswer) -> Option<(ProcessId, Signal)> {
        let asked = self.open.remove(&id)?;
        let yes = match answer.verdict {
            Verdict::Yes => true,
            // If that counts as a yes the spawn is told now, and nothing is withheld any more.
            Verdict::Failed(_) if asked.hook == HookName::AfterSpawn => false,
            Verdict::Failed(_) => asked.forgives,
            Verdict::No | Verdict::NotNow => false,
        };
        self.decide(id, &asked, yes)
    }

    fn decide(&mut self, id: HookId, asked: &Asked, yes: bool) -> Option<(ProcessId, Signal)> {
        let process = self.process(id.watcher, asked.pid);
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other hooks allow nothing")]
        match asked.hook {
            // A start that was given up, of a watcher that may be made anew without what a client had set.
            HookName::BeforeStart
                if !yes && self.names.get(&id.watcher).is_some_and(|it| self.changed.contains(it)) =>
            {
                self.starts.remove(&id.watcher);
            }
            HookName::BeforeStart => _ = self.starts.insert(id.watcher, yes),
            HookName::BeforeSpawn if yes => *self.spawns.entry(id.watcher).or_default() += 1,
            HookName::AfterSpawn if yes => _ = process.map(|process| self.unaccepted.remove(&process)),
            HookName::BeforeStop => _ = self.ending.insert(id.watcher, false),
            HookName::BeforeSignal => {
                if yes && let Some(signal) = asked.signal {
                    let allowed = (i64::from(asked.pid), i64::from(signal.number()));
                    self.signals.entry(id.watcher).or_default().push(allowed);
                }
                return Some((process?, asked.signal?));
            }
            _ => {}
        }
        None
    }

    fn process(&self, watcher: WatcherId, pid: i32) -> Option<ProcessId> {
        self.pids
            .iter()
            .find(|(process, known)| process.watcher == watcher && **known == pid)
            .map(|(id, _)| *id)
    }

    /// Returns a signal about which `before_signal` has decided, by letting its time pass.
    pub fn effect(&mut self, now: Duration, effect: &Effect) -> Option<(ProcessId, Signal)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other effects are not about hooks")]
        match effect {
            Effect::RunHook { hook, order } => self.asked(now, *hook, order),
            Effect::CancelHook { hook } => {
                let asked = self.open.remove(hook);
                hold!(HookOnce, asked.is_some(), "{hook} is taken back and was not open");
                // A question whose time is over has failed; a hook that forgives has then said yes.
                let asked = asked?;
                return self.decide(*hook, &asked, asked.forgives);
            }
            Effect::Spawn { process, .. } => self.spawned(*process),
            Effect::Signal { process, signal } => self.signalled(*process, *signal),
            _ => {}
        }
        None
    }

    fn asked(&mut self, now: Duration, id: HookId, order: &HookOrder) {
        hold!(HurryAsksNobody, !self.hurried, "{id} is asked in a hurry");
        hold!(HookOnce, self.seen.insert(id), "{id} is asked twice");
        let missing = matches!(&order.place.action, HookAction::Python(name) if name.starts_with("missing."));
        hold!(TriedFirst, !missing, "{id} asks a hook that cannot be had");
        let asked = self.question(now, order);
        let (pid, signal) = (asked.pid, asked.signal);
        self.open.insert(id, asked);
        self.names.insert(id.watcher, order.place.watcher.to_lowercase());
        match order.hook {
            HookName::BeforeStart => {
                self.stopping.remove(&id.watcher);
                self.starts.insert(id.watcher, false);
            }
            HookName::BeforeSpawn => {
                let stopping = self.stopping.contains(&id.watcher);
                hold!(SpawnAllowed, !stopping, "{id}: a spawn is wanted after before_stop");
                let open = self.open.iter().filter(|(other, asked)| {
                    other.watcher == id.watcher && asked.hook == HookName::BeforeSpawn
                });
                let count = open.count();
                hold!(SpawnAllowed, count == 1, "{id}: {count} spawns are asked about at one time");
                self.spawns.insert(id.watcher, 0);
            }
            HookName::AfterSpawn => {
                let process = self.process(id.watcher, pid);
                hold!(HookOrder, process.is_some(), "{id}: after_spawn is asked about {pid}, who is gone");
                self.unaccepted.extend(process);
            }
            HookName::BeforeSignal => {
                let there = self.process(id.watcher, pid).is_some();
                hold!(HookOrder, there, "{id}: before_signal is asked about {pid}, who is gone");
                self.signals.entry(id.watcher).or_default();
            }
            HookName::AfterSignal => {
                self.hearing.insert(id.watcher);
                self.heard.extend(signal.map(|signal| ((id.watcher, pid), signal)));
            }
            HookName::BeforeReap => {
                let there = self.process(id.watcher, pid).is_some();
                hold!(HookOrder, !there, "{id}: before_reap is asked about {pid}, who is there");
            }
            HookName::BeforeStop => _ = self.stopping.insert(id.watcher),
            HookName::AfterStart | HookName::AfterStop | HookName::AfterReap | HookName::ExtendedStats => {}
        }
    }

    fn question(&self, now: Duration, order: &HookOrder) -> Asked {
        let number = |key: &str| order.details.get(key).and_then(Value::as_i64).unwrap_or_default();
        let own = (order.place.watcher.to_lowercase(), order.hook);
        let forgives = order.hook.forgives() || self.forgiving.contains(&own);
        let pid = i32::try_from(number("pid").max(number("process_pid"))).unwrap_or_default();
        let signal = Signal::from_number(number("signum")).ok();
        Asked { hook: order.hook, pid, signal, forgives, until: order.limit.map(|limit| now + limit) }
    }

    /// No spawn without the word of `before_start` and of `before_spawn`, and none after `before_stop`.
    fn spawned(&mut self, process: ProcessId) {
        let watcher = process.watcher;
        if let Some(allowed) = self.spawns.get_mut(&watcher) {
            hold!(SpawnAllowed, *allowed > 0, "{process} is spawned without before_spawn");
            // One at a time: what was allowed and withdrawn by a stop does not count for the next.
            *allowed = 0;
        }
        let refused = self.starts.get(&watcher) == Some(&false);
        hold!(SpawnAllowed, !refused, "{process} is spawned without before_start");
        hold!(SpawnAllowed, !self.stopping.contains(&watcher), "{process} is spawned after before_stop");
    }

    /// No signal but SIGKILL without the word of `before_signal`.
    fn signalled(&mut self, process: ProcessId, signal: Signal) {
        let (Some(allowed), Some(pid)) = (self.signals.get_mut(&process.watcher), self.pids.get(&process))
        else {
            return;
        };
        let wanted = (i64::from(*pid), i64::from(signal.number()));
        match allowed.iter().position(|it| *it == wanted) {
            Some(at) => _ = allowed.swap_remove(at),
            None => {
                let free = signal == Signal::KILL || self.hurried;
                hold!(SignalAllowed, free, "{signal} to {process} without before_signal");
            }
        }
    }

    /// `stop` was published of a watcher: its next start needs another word. What a client had set may be gone then.
    pub fn stopped(&mut self, watcher: &str) {
        let ids = self.names.iter().filter(|(_, name)| *name == watcher).map(|(id, _)| *id);
        for id in ids {
            self.stopping.remove(&id);
            self.ending.remove(&id);
            if self.changed.contains(watcher) {
                self.starts.remove(&id);
                self.spawns.remove(&id);
                self.signals.remove(&id);
            } else {
                self.starts.entry(id).and_modify(|allowed| *allowed = false);
            }
        }
    }

    /// All that followed from an input was seen.
    pub fn after(&self, now: Duration) {
        for (id, asked) in &self.open {
            let in_time = asked.until.is_none_or(|until| now <= until);
            hold!(HookInTime, in_time, "{now:?}: {id} ({}) is still open", asked.hook);
        }
    }

    /// After a quiet time nobody is asked.
    pub fn quiet(&self) {
        hold!(Quiet, self.open.is_empty(), "hooks are still asked: {:?}", self.open);
    }
}
