//! What must hold at every moment of every story: watches each input and effect, and knows nothing of the core.
//!
//! The rules are listed in `rules`; each check names the one it stands for. `lives`, `grace`, `pace` and `answers`
//! keep what their rules need.

mod answers;
mod grace;
mod lives;
mod pace;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::{
    Signal,
    config::{Config, Orphans},
    protocol::{Command, Happening, Reply},
};
use circusd::arbiter::{
    Effect, Input,
    effect::SpawnSpec,
    id::{MemberId, ProcessId},
    input::DaemonSignal,
};

use self::{answers::Asked, grace::Grace, lives::Lives, pace::Pace};
use super::{hook_rules::HookRules, rules::hold, streams::Streams};

/// Spawns that the simulated machine has room for at one time.
pub(super) const SPAWNS_IN_FLIGHT: usize = 8;

/// Deadlines that may follow each other at one moment.
const DEADLINES_AT_ONCE: u32 = 1000;

/// A request and its answers so far.
#[derive(Debug)]
struct Request {
    wanted: bool,
    answers: u32,
    /// Whether it may change anything.
    changes: bool,
    asked: Asked,
}

/// What was seen so far, as far as the rules need it.
#[derive(Debug)]
pub(super) struct Invariants {
    requests: BTreeMap<u64, Request>,
    spawning: BTreeSet<ProcessId>,
    running: BTreeSet<ProcessId>,
    /// Whose slot was given away with them: `rm` with `nostop`.
    released: BTreeSet<ProcessId>,
    gone: BTreeSet<ProcessId>,
    forgotten: BTreeSet<ProcessId>,
    /// Members found and not gone, by whose they are.
    members: BTreeMap<MemberId, ProcessId>,
    members_gone: BTreeSet<MemberId>,
    /// The numbers of all members that were ever found.
    member_pids: BTreeSet<i32>,
    pids: BTreeMap<ProcessId, i32>,
    lives: Lives,
    watcher_of: BTreeMap<ProcessId, String>,
    /// Lower-cased names of the watchers that have published `start` and not `stop`.
    started: BTreeSet<String>,
    /// Watchers whose latest event is `stop`.
    just_stopped: BTreeSet<String>,
    surveys: u32,
    grace: Grace,
    pace: Pace,
    deadlines: (Duration, u32),
    /// Watchers whose members are left alone.
    keeping: BTreeSet<String>,
    /// `on_demand` watchers, and whether somebody has connected since they were stopped.
    called: BTreeMap<String, bool>,
    /// All watchers that were `on_demand` at the beginning.
    on_demand: BTreeSet<String>,
    /// Watchers that were removed with `nostop`.
    given_away: BTreeSet<String>,
    streams: Streams,
    hooks: HookRules,
}

impl Invariants {
    pub(super) fn new(config: &Config) -> Self {
        let keeping = config.watchers.iter().filter(|watcher| watcher.orphans == Orphans::Keep);
        let on_demand = config.watchers.iter().filter(|watcher| watcher.on_demand);
        let on_demand = on_demand.map(|watcher| watcher.name.to_lowercase());
        Self {
            requests: BTreeMap::new(),
            spawning: BTreeSet::new(),
            running: BTreeSet::new(),
            released: BTreeSet::new(),
            gone: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            members: BTreeMap::new(),
            members_gone: BTreeSet::new(),
            member_pids: BTreeSet::new(),
            pids: BTreeMap::new(),
            lives: Lives::default(),
            watcher_of: BTreeMap::new(),
            started: BTreeSet::new(),
            just_stopped: BTreeSet::new(),
            surveys: 0,
            grace: Grace::default(),
            pace: Pace::new(config),
            deadlines: (Duration::ZERO, 0),
            keeping: keeping.map(|watcher| watcher.name.to_lowercase()).collect(),
            called: on_demand.clone().map(|name| (name, false)).collect(),
            on_demand: on_demand.collect(),
            given_away: BTreeSet::new(),
            streams: Streams::default(),
            hooks: HookRules::new(config),
        }
    }

    /// A client asks.
    pub(super) fn asked(&mut self, now: Duration, number: u64, command: &Command, reply: bool) {
        let asked = Asked::of(command);
        let changes = Pace::is_change(command);
        self.requests.insert(number, Request { wanted: reply, answers: 0, changes, asked });
        if let Command::Rm { name, nostop: true, .. } = command {
            self.given_away.insert(name.to_lowercase());
        }
        if let Command::Set { name, options, .. } = command {
            self.hooks.set(name, options);
        }
        if let Command::Add { name, .. } = command {
            // A watcher of that name may be another one from now on.
            self.called.remove(&name.to_lowercase());
        }
        self.grace.allowed(command);
        if changes {
            self.pace.disturbed(now);
        }
    }

    pub(super) fn signalled(&mut self, now: Duration, signal: DaemonSignal) {
        if self.grace.signalled(signal) {
            self.hooks.hurry();
        }
        self.pace.disturbed(now);
    }

    pub(super) fn before(&mut self, now: Duration, input: &Input) {
        if let Some((process, signal)) = self.hooks.before(input) {
            self.grace.sent(now, process, signal);
        }
        match input {
            Input::Spawned { process, pid, .. } => {
                hold!(
                    SpawnOnce,
                    self.spawning.remove(process),
                    "{process} was spawned without being asked for"
                );
                self.running.insert(*process);
                self.pids.insert(*process, *pid);
                self.lives.spawned(*process, *pid);
                self.pace.spawned(now, *process);
            }
            Input::SpawnFailed { process, .. } => {
                self.spawning.remove(process);
                self.streams.ended(*process);
                self.gone.insert(*process);
                self.pace.failed(now, *process);
            }
            Input::Exited { process, .. } => {
                hold!(ReapTold, self.running.remove(process), "{process} ended twice");
                self.gone.insert(*process);
                self.lives.exited(now, *process);
                self.grace.exited(now, *process);
            }
            Input::MemberGone { member, .. } => {
                self.members.remove(member);
                self.members_gone.insert(*member);
            }
            Input::Surveyed { found } => {
                self.surveys -= 1;
                for (process, members) in found {
                    self.member_pids.extend(members.iter().map(|member| member.pid));
                    if self.is_over(*process) {
                        continue;
                    }
                    let alive = members.iter().filter(|member| !self.members_gone.contains(&member.id));
                    self.members.extend(alive.map(|member| (member.id, *process)));
                }
            }
            Input::Deadline => self.deadline(now),
            Input::HookDone { hook, .. } => self.pace.stopped(hook.watcher),
            Input::Connection { .. } => {
                self.pace.forget();
                self.called.values_mut().for_each(|called| *called = true);
            }
            Input::Boot
            | Input::Request { .. }
            | Input::Answered { .. }
            | Input::Resolved { .. }
            | Input::HooksTried { .. }
            | Input::SocketsPrepared(_)
            | Input::ConnectionsCounted { .. }
            | Input::ConfigLoaded { .. }
            | Input::StreamsTried { .. }
            | Input::Signalled(_) => {}
        }
    }

    /// Whether nothing will be done about that process and its members any more.
    fn is_over(&self, process: ProcessId) -> bool {
        self.released.contains(&process) || self.forgotten.contains(&process)
    }

    /// Whether members of this watcher's processes may be left alone: it keeps them, or a client gave them away.
    pub(super) fn is_left_alone(&self, watcher: &str) -> bool {
        self.keeping.contains(watcher) || self.given_away.contains(watcher)
    }

    fn deadline(&mut self, now: Duration) {
        let (at, count) = self.deadlines;
        self.deadlines = (now, if at == now { count + 1 } else { 1 });
        hold!(NoBusyLoop, self.deadlines.1 < DEADLINES_AT_ONCE, "{now:?}: deadline follows deadline");
    }

    pub(super) fn effect(&mut self, now: Duration, effect: &Effect) {
        if let Some((process, signal)) = self.hooks.effect(now, effect) {
            self.grace.sent(now, process, signal);
        }
        match effect {
            Effect::Spawn { process, spec } => self.spawn(now, *process, spec),
            Effect::Signal { process, signal } => {
                let runs = self.running.contains(process);
                hold!(NoSignalToDead, runs, "{now:?}: {signal} to {process}, which does not run");
                self.grace.sent(now, *process, *signal);
            }
            Effect::SignalMember { member, signal } => self.signal_member(now, *member, *signal),
            Effect::Survey { processes } => {
                self.surveys += 1;
                for process in processes {
                    let late = self.forgotten.contains(process);
                    hold!(ForgetOnce, !late, "{process} is surveyed after it was forgotten");
                    if self.running.contains(process) {
                        self.lives.surveyed(*process);
                    }
                }
            }
            Effect::Forget { process } => {
                self.streams.ended(*process);
                hold!(ForgetOnce, self.gone.contains(process), "{process} is forgotten while it is there");
                hold!(ForgetOnce, self.forgotten.insert(*process), "{process} is forgotten twice");
                self.members.retain(|_, of| of != process);
                self.grace.closed(*process);
            }
            Effect::Release { process } => {
                hold!(ReleaseRunning, self.running.remove(process), "{process} is released but does not run");
                self.lives.released(*process);
                self.streams.ended(*process);
                self.members.retain(|_, of| of != process);
                self.grace.released(*process);
                self.released.insert(*process);
            }
            Effect::Reply { request, reply } => self.reply(now, request.0, reply),
            Effect::Publish(event) => {
                self.published(now, &event.watcher.to_lowercase(), &event.happening);
            }
            Effect::Exit(_) => {
                let there = self.running.len() + self.spawning.len();
                hold!(LeaveEmpty, there == 0, "{now:?}: {there} processes are there");
            }
            Effect::Stream(order) => self.streams.told(order),
            Effect::RunHook { hook, order } => self.lives.asked(*hook, order),
            Effect::Note(_)
            | Effect::TryStreams { .. }
            | Effect::Ask { .. }
            | Effect::Resolve { .. }
            | Effect::LoadConfig { .. }
            | Effect::ApplySettings(_)
            | Effect::CancelHook { .. }
            | Effect::TryHooks { .. }
            | Effect::Sockets(_)
            | Effect::ReopenLog => {}
        }
    }

    /// All effects of an input were seen.
    pub(super) fn after(&mut self, now: Duration) {
        self.streams.begun = true;
        self.lives.after(now, &self.spawning, &self.hooks);
        self.hooks.after(now);
        self.grace.in_time(now, &self.watcher_of, &self.hooks);
    }

    fn spawn(&mut self, now: Duration, process: ProcessId, spec: &SpawnSpec) {
        let others = self.spawning.iter().chain(&self.running);
        let twin =
            others.into_iter().find(|other| other.watcher == process.watcher && other.wid == process.wid);
        hold!(SpawnOnce, twin.is_none(), "{process} takes the slot of {twin:?}");
        let called = self.called.get(&spec.watcher.to_lowercase()) != Some(&false);
        hold!(
            OnDemand,
            called,
            "{now:?}: {process} of {} is spawned, and nobody has connected",
            spec.watcher
        );
        self.streams.spawned(process, spec);
        let under_way = self.spawning.iter().any(|other| other.watcher == process.watcher);
        self.pace.issue(now, process, under_way);
        hold!(SpawnOnce, self.spawning.insert(process), "{process} is spawned twice");
        let count = self.spawning.len();
        hold!(SpawnsInFlight, count <= SPAWNS_IN_FLIGHT, "{count} spawns are under way");
        self.grace.spawned(spec);
        self.watcher_of.insert(process, spec.watcher.to_lowercase());
    }

    fn signal_member(&mut self, now: Duration, member: MemberId, signal: Signal) {
        let gone = self.members_gone.contains(&member);
        hold!(NoSignalToDead, !gone, "{now:?}: {signal} to a member that is gone");
        if let (Signal::KILL, Some(process)) = (signal, self.members.get(&member)) {
            let watcher = self.watcher_of.get(process).map_or("", String::as_str);
            let hears = self.hooks.hears(process.watcher);
            self.grace.kill_member(now, watcher, *process, hears);
        }
    }

    fn reply(&mut self, now: Duration, number: u64, reply: &Reply) {
        let request = self.requests.get_mut(&number).expect("an answer is to a request");
        hold!(OneAnswer, request.wanted, "cast {number} is answered");
        request.answers += 1;
        hold!(OneAnswer, request.answers == 1, "request {number} is answered twice");
        if request.changes {
            self.pace.disturbed(now);
        }
        if let Some(watcher) = request.asked.watcher() {
            let own = self
                .running
                .iter()
                .filter(|process| self.watcher_of.get(process).is_some_and(|w| w == watcher));
            let pids: Vec<i32> = own.filter_map(|process| self.pids.get(process).copied()).collect();
            request.asked.check(reply, &pids);
        }
    }

    fn published(&mut self, now: Duration, watcher: &str, happening: &Happening) {
        let just_stopped = self.just_stopped.remove(watcher);
        match happening {
            Happening::Spawn { pid } => self.lives.spawn_told(now, *pid),
            Happening::Reap { pid, expected, .. } => self.reap_told(now, watcher, *pid, *expected),
            Happening::Kill { pid } if self.member_pids.contains(pid) => {}
            Happening::Kill { pid } => self.kill_told(now, watcher, *pid),
            Happening::Start => {
                hold!(
                    LegalEvents,
                    self.started.insert(watcher.to_owned()),
                    "{now:?}: {watcher} starts twice"
                );
            }
            Happening::Stop => {
                self.started.remove(watcher);
                self.called.entry(watcher.to_owned()).and_modify(|called| *called = false);
                self.just_stopped.insert(watcher.to_owned());
                self.stop_told(now, watcher);
                self.hooks.stopped(watcher);
                let own = self.watcher_of.iter().filter(|(_, name)| *name == watcher);
                own.for_each(|(process, _)| self.pace.stopped(process.watcher));
            }
            Happening::Remove => {
                self.started.remove(watcher);
            }
            Happening::Reload => {
                let started = just_stopped || self.started.contains(watcher);
                // One that waits for a connection is ready for it again.
                let started = started || self.on_demand.contains(watcher);
                hold!(LegalEvents, started, "{now:?}: {watcher} is reloaded but not started");
                // Others may have waited for their turn.
                self.pace.disturbed(now);
            }
            Happening::HookSuccess { name } | Happening::HookFailure { name, .. } => {
                if name == "before_start" || name == "after_stop" {
                    self.just_stopped.insert(watcher.to_owned());
                }
            }
            Happening::Add
            | Happening::Updated
            | Happening::Custom { .. }
            | Happening::Fatal { .. }
            | Happening::Flapping { .. }
            | Happening::Undone { .. } => {}
        }
    }

    /// A signal is told of that was sent just now, or, where `after_signal` was to hear of it first, before.
    fn kill_told(&mut self, now: Duration, watcher: &str, pid: i32) {
        let Some(process) = self.lives.kill_told(now, pid, &self.hooks) else { return };
        let heard = self.hooks.heard(process.watcher, pid);
        self.grace.kill(now, watcher, process, heard);
    }

    fn reap_told(&mut self, now: Duration, watcher: &str, pid: i32, expected: bool) {
        let Some((process, ended)) = self.lives.reap_told(now, pid, &self.hooks) else { return };
        let asked = self.grace.is_asked(process);
        hold!(Expected, expected || !asked, "{now:?}: {pid} was asked to end, so its end is expected");
        self.grace.closed(process);
        self.hooks.reaped(process.watcher);
        self.pace.reaped(now, ended, watcher, process, expected);
    }

    fn stop_told(&self, now: Duration, watcher: &str) {
        let of = |process: &ProcessId| self.watcher_of.get(process).is_some_and(|name| name == watcher);
        let there: Vec<&ProcessId> =
            self.running.iter().chain(&self.spawning).filter(|process| of(process)).collect();
        hold!(StopIsEnd, there.is_empty(), "{now:?}: {watcher} has stopped, and {there:?} are there");
        let members: Vec<&MemberId> =
            self.members.iter().filter(|(_, process)| of(process)).map(|(member, _)| member).collect();
        let untold: Vec<i32> =
            self.lives.untold_ends().filter(|(process, _)| of(process)).map(|(_, pid)| pid).collect();
        hold!(ReapTold, untold.is_empty(), "{now:?}: {watcher} has stopped before {untold:?} are reaped");
        let none = members.is_empty() || self.keeping.contains(watcher);
        hold!(StopIsEnd, none, "{now:?}: {watcher} has stopped, and its members {members:?} are there");
    }

    /// Every request has its answer.
    pub(super) fn answered(&self) {
        for (number, request) in &self.requests {
            hold!(OneAnswer, !request.wanted || request.answers == 1, "request {number} was never answered");
        }
    }

    /// Whoever was spawned was reaped, lives, or was released.
    pub(super) fn accounted(&self, alive: &BTreeSet<i32>, released: &BTreeSet<i32>) {
        let there: BTreeSet<i32> = alive.difference(released).copied().collect();
        let known = self.lives.pids();
        let lost: Vec<&i32> = there.difference(&known).collect();
        hold!(Accounted, lost.is_empty(), "{lost:?} live, and no event says so");
        let unreaped: Vec<&i32> = known.difference(&there).collect();
        hold!(Accounted, unreaped.is_empty(), "{unreaped:?} have no reap");
    }

    /// The pids of processes that have ended, and of whose end nothing is told yet.
    pub(super) fn untold_ends(&self) -> BTreeSet<i32> {
        self.lives.untold_ends().map(|(_, pid)| pid).collect()
    }

    /// After a quiet time nothing is open.
    pub(super) fn quiet(&self) {
        self.answered();
        hold!(Quiet, self.spawning.is_empty(), "spawns are still under way: {:?}", self.spawning);
        self.hooks.quiet();
        hold!(Quiet, self.surveys == 0, "{} surveys are still under way", self.surveys);
    }
}
