//! The arbiter: decides what the daemon does next, and does none of it.
//!
//! [`Arbiter::handle`] takes the time and one [`Input`] and returns the [`Effect`]s to carry out.
//! It cannot fail: what goes wrong outside arrives as an input, what is refused leaves as a reply.
//! Seeded and without clock, it replays a story to the byte.
//!
//! Invariant: a request that wants a reply gets exactly one.

pub mod effect;
mod helper;
pub mod hook;
pub mod id;
pub mod input;
pub mod socket;
pub mod time;

mod campaign;
mod commands;
mod connections;
mod leaving;
mod operation;
mod outbox;
mod plan;
mod process;
mod request;
mod slot;
mod spec;
pub mod stream;
mod watcher;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use circus_common::{
    config::{Config, Host, Places, WatcherConfig},
    protocol::{ErrorCode, Reply},
};

use self::{
    campaign::Campaign,
    commands::{Admin, Asker, Extended, SetOrder},
    connections::Awaited,
    effect::Level,
    helper::Surroundings,
    id::{ProcessId, RequestId, WatcherId},
    input::DaemonSignal,
    leaving::Course,
    operation::{Completion, Kind, Outcome, Waiter},
    outbox::Outbox,
    request::{Client, Pending, Shape},
    socket::{OpenSocket, SocketEffect, Sockets},
    time::seconds,
    watcher::Watcher,
};
pub use self::{
    effect::{Departure, Effect},
    input::Input,
    time::{Now, Timestamp},
};
pub use self::{
    helper::{candidates, hook_candidates},
    leaving::refusal,
};

/// What the arbiter is told once, at its birth.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The checked configuration.
    pub config: Config,
    /// The managed sockets, open.
    pub sockets: Vec<OpenSocket>,
    /// circusd's environment and directory, for watchers that are added later.
    pub host: Host,
    /// Spawns that may be under way at one time.
    pub spawns_in_flight: usize,
    /// Seed of all randomness.
    pub seed: u64,
}

/// The whole state of the daemon.
#[derive(Debug)]
pub struct Arbiter {
    config: Config,
    sockets: Sockets,
    awaited: Awaited,
    host: Host,
    course: Course,
    // Boxed: a map that grows in order is half empty.
    watchers: BTreeMap<WatcherId, Box<Watcher>>,
    /// Lower-cased names of the watchers that commands find.
    names: BTreeMap<String, WatcherId>,
    next_watcher: u32,
    pending: BTreeMap<u64, Pending>,
    campaigns: BTreeMap<u64, Campaign>,
    /// Numbers pendings and campaigns.
    next_number: u64,
    /// Changes of the set of watchers, one at a time.
    admin: VecDeque<Admin>,
    admin_running: Option<commands::AdminRun>,
    /// Questions to the system and `set`s that wait for a look-up.
    asked: BTreeMap<RequestId, Asker>,
    resolving: BTreeMap<RequestId, SetOrder>,
    /// Figures that `extended_stats` is to add to.
    extended: BTreeMap<RequestId, Extended>,
    /// `set`s of which the new hooks and streams are being tried out.
    trying: BTreeMap<RequestId, SetOrder>,
    /// Spawns under way.
    in_flight: BTreeSet<ProcessId>,
    spawns_in_flight: usize,
    /// Spawns under way of watchers that are gone: released when they arrive.
    released: BTreeSet<ProcessId>,
    /// Watchers that are gone, but for the streams of such spawns.
    fading: BTreeMap<WatcherId, Box<Watcher>>,
    /// Wake-ups by time; exactly one entry for each watcher that wants one.
    wakes: BTreeSet<(Timestamp, WatcherId)>,
    touched: BTreeSet<WatcherId>,
    out: Outbox,
}

impl Arbiter {
    /// An arbiter with its watchers, all stopped. [`Input::Boot`] begins the start-up.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { mut config, sockets, host, spawns_in_flight, seed } = setup;
        let now = Now { mono: Timestamp::default(), wall: 0.0 };
        // From here on each watcher knows its own options; a thousand of them twice would be felt.
        let watchers = std::mem::take(&mut config.watchers);
        config.places = Places::default();
        let mut arbiter = Self {
            out: Outbox::new(now, seed, backoff_cap(&config), Surroundings::new(&config.circus, &host)),
            config,
            sockets: Sockets::new(sockets),
            awaited: Awaited::default(),
            host,
            course: Course::Staying,
            watchers: BTreeMap::new(),
            names: BTreeMap::new(),
            next_watcher: 0,
            pending: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            next_number: 0,
            admin: VecDeque::new(),
            admin_running: None,
            asked: BTreeMap::new(),
            resolving: BTreeMap::new(),
            trying: BTreeMap::new(),
            extended: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            spawns_in_flight: spawns_in_flight.max(1),
            released: BTreeSet::new(),
            fading: BTreeMap::new(),
            wakes: BTreeSet::new(),
            touched: BTreeSet::new(),
        };
        arbiter.out.sockets = arbiter.sockets.portraits();
        for watcher in watchers {
            arbiter.create(watcher);
        }
        arbiter
    }

    /// Takes in what happened and returns what is to be done, in order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.handle_together(now, [input])
    }

    /// Takes in what happened at one moment, and only then asks what follows from it: of a thousand processes that
    /// end together not each one is a reason to look at all of them.
    pub fn handle_together(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) -> Vec<Effect> {
        self.out.now = now;
        for input in inputs {
            self.take(input);
        }
        self.run();
        std::mem::take(&mut self.out.effects)
    }

    /// The next moment at which `handle` wants an [`Input::Deadline`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let campaigns = self.campaigns.values().filter_map(|campaign| {
            let waits =
                !campaign.left.is_empty() && campaign.going.is_empty() && campaign.stopping.is_empty();
            (waits && campaign.hold_until > self.out.now.mono).then_some(campaign.hold_until)
        });
        self.wakes.first().map(|(at, _)| *at).into_iter().chain(campaigns).min()
    }

    /// Entries of every map that may grow, for tests of the rule that nothing is left over.
    #[must_use]
    pub fn kept(&self) -> usize {
        let watchers: usize = self.watchers.values().map(|watcher| watcher.kept()).sum();
        let own = self.pending.len() + self.campaigns.len() + self.asked.len() + self.resolving.len();
        let own = own + self.trying.len() + self.extended.len() + self.fading.len();
        watchers + own + self.in_flight.len() + self.released.len() + self.admin.len() + self.out.spawns.len()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Boot => self.boot(),
            Input::Request { request, command, reply } => self.request(Client { request, reply }, *command),
            Input::Spawned { process, pid, started } => self.spawned(process, pid, started),
            Input::SpawnFailed { process, failure } => {
                self.in_flight.remove(&process);
                self.released.remove(&process);
                self.fade(process.watcher);
                self.with(process.watcher, |watcher, out| watcher.spawn_failed(process, &failure, out));
            }
            Input::Exited { process, exit, group_alive } => {
                self.with(process.watcher, |watcher, out| watcher.exited(process, exit, group_alive, out));
            }
            Input::Surveyed { found } => {
                for (process, members) in found {
                    self.with(process.watcher, |watcher, out| watcher.surveyed(process, &members, out));
                }
            }
            Input::MemberGone { process, member } => {
                self.with(process.watcher, |watcher, out| watcher.member_gone(process, member, out));
            }
            Input::Answered { request, reply } if self.extended.contains_key(&request) => {
                self.extend_figures(request, reply);
            }
            Input::Answered { request, reply } => self.answered(request, reply),
            Input::StreamsTried { trial, faults } => self.streams_tried(trial, &faults),
            Input::Resolved { request, account } => self.resolved(request, account),
            Input::HookDone { hook, answer } => {
                self.with(hook.watcher, |watcher, out| watcher.hook_done(hook, *answer, out));
            }
            Input::HooksTried { trial, faults } => self.hooks_tried(trial, &faults),
            Input::ConfigLoaded { purpose, config } => self.config_loaded(purpose, config),
            Input::SocketsPrepared(opened) => self.sockets_prepared(opened),
            Input::Connection { socket, waiting } => self.connection(&socket, waiting),
            Input::ConnectionsCounted { watcher, connections } => {
                self.with(watcher, |watcher, out| watcher.connections_counted(connections, out));
            }
            Input::Signalled(signal) => self.signalled(signal),
            Input::Deadline => self.deadline(),
        }
    }

    /// Carries on until nothing is left to do at this moment.
    fn run(&mut self) {
        loop {
            while let Some(id) = self.touched.pop_first() {
                self.settle(id);
            }
            while let Some(added) = self.out.figures.pop_front() {
                self.figures_extended(added);
            }
            while let Some(completion) = self.out.completions.pop_front() {
                self.completed(completion);
            }
            self.step_campaigns();
            self.step_admin();
            self.pump_spawns();
            if self.touched.is_empty() && self.out.completions.is_empty() {
                break;
            }
        }
        if !self.out.surveys.is_empty() {
            let processes = std::mem::take(&mut self.out.surveys).into_iter().collect();
            self.out.push(Effect::Survey { processes });
        }
        self.await_connections();
        self.leave_if_stopped();
    }

    /// Lets a watcher act, and marks it to be settled.
    fn with(&mut self, id: WatcherId, act: impl FnOnce(&mut Watcher, &mut Outbox)) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            act(watcher, &mut self.out);
            watcher.take_wishes(&mut self.out);
            self.touched.insert(id);
        }
    }

    fn settle(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        if let Some(at) = watcher.wake {
            self.wakes.remove(&(at, id));
        }
        watcher.settle(&mut self.out);
        if watcher.removed {
            self.forget_watcher(id);
        } else if let Some(at) = watcher.wake {
            self.wakes.insert((at, id));
        }
        self.update_awaited(id);
    }

    fn deadline(&mut self) {
        let now = self.out.now.mono;
        let due: Vec<WatcherId> =
            self.wakes.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        self.touched.extend(due);
    }

    /// Makes a watcher; its name must be free.
    fn create(&mut self, config: WatcherConfig) -> WatcherId {
        self.next_watcher += 1;
        let id = WatcherId(self.next_watcher);
        self.names.insert(config.name.to_lowercase(), id);
        let watcher = self.watchers.entry(id).or_insert(Box::new(Watcher::new(id, config)));
        watcher.tell_streams(&mut self.out);
        id
    }

    fn forget_watcher(&mut self, id: WatcherId) {
        self.awaited.set(id, BTreeSet::new());
        if let Some(watcher) = self.watchers.remove(&id) {
            if let Some(at) = watcher.wake {
                self.wakes.remove(&(at, id));
            }
            self.fading.insert(id, watcher);
            self.fade(id);
        }
        self.names.retain(|_, known| *known != id);
    }

    /// Drops what is left of a watcher that is gone, once the last process that is given away while it is being spawned
    /// has got its pipes.
    fn fade(&mut self, id: WatcherId) {
        if self.released.iter().any(|process| process.watcher == id) {
            return;
        }
        if let Some(mut watcher) = self.fading.remove(&id) {
            watcher.remove_streams(&mut self.out);
        }
    }

    /// The watcher of that name, in any case.
    fn find(&self, name: &str) -> Option<&Watcher> {
        self.names.get(&name.to_lowercase()).and_then(|id| self.watchers.get(id)).map(Box::as_ref)
    }

    /// Watchers by priority, equal ones in order of creation.
    fn by_priority(&self, descending: bool) -> Vec<WatcherId> {
        let listed = self.watchers.values().filter(|watcher| watcher.listed);
        let mut order: Vec<(i64, WatcherId)> =
            listed.map(|watcher| (watcher.config.priority, watcher.id)).collect();
        order.sort_by_key(
            |(priority, _)| if descending { -i128::from(*priority) } else { i128::from(*priority) },
        );
        order.into_iter().map(|(_, id)| id).collect()
    }

    fn reply(&mut self, client: Client, reply: Reply) {
        self.out.reply(client.reply.then_some(client.request), reply);
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Starts all that is to start by itself.
    fn boot(&mut self) {
        let order = self.autostarting(self.by_priority(true));
        self.begin_campaign(Campaign::new(Kind::Start, order, None));
    }

    fn autostarting(&self, order: Vec<WatcherId>) -> VecDeque<WatcherId> {
        order.into_iter().filter(|id| self.watchers.get(id).is_some_and(|w| w.config.autostart)).collect()
    }

    fn spawned(&mut self, process: ProcessId, pid: i32, started: f64) {
        self.in_flight.remove(&process);
        if self.released.remove(&process) {
            self.out.push(Effect::Release { process });
            self.fade(process.watcher);
            // What its slot has of its own was opened after the watcher had gone.
            let (watcher, keep) = (process.watcher, BTreeSet::new());
            self.out.push(Effect::Sockets(SocketEffect::CloseOwn { watcher, keep }));
        }
        let Some(watcher) = self.watchers.get_mut(&process.watcher) else { return };
        watcher.spawned(process, pid, started, &mut self.out);
        watcher.take_wishes(&mut self.out);
        let more_to_come = self.in_flight.iter().any(|other| other.watcher == process.watcher);
        if !more_to_come || !watcher.goes_on_after(process) {
            self.touched.insert(process.watcher);
        }
    }

    /// Lets queued spawns leave as far as places are free.
    fn pump_spawns(&mut self) {
        while self.in_flight.len() < self.spawns_in_flight {
            let Some(process) = self.out.spawns.pop_front() else { break };
            let Some(watcher) = self.watchers.get_mut(&process.watcher) else { continue };
            let Some(spec) = watcher.issue(process, &self.sockets) else { continue };
            match spec {
                Ok(spec) => {
                    self.in_flight.insert(process);
                    self.out.push(Effect::Spawn { process, spec: Box::new(spec) });
                }
                Err(failure) => {
                    watcher.spawn_failed(process, &failure, &mut self.out);
                    self.touched.insert(process.watcher);
                }
            }
        }
    }

    /// A part of a request or campaign has ended.
    fn completed(&mut self, completion: Completion) {
        let Completion { waiter, watcher, name, outcome } = completion;
        match waiter {
            Waiter::Pending(number) => self.part(number, &name, outcome),
            Waiter::Campaign(number) => {
                let warmup = Duration::from_secs(self.config.circus.warmup_delay);
                let Some(campaign) = self.campaigns.get_mut(&number) else { return };
                if campaign.stopping.remove(&watcher) {
                    if let Some(pending) = campaign.pending {
                        self.part(pending, &name, Outcome::Done(operation::Tally::default()));
                    }
                    return;
                }
                if campaign.going.remove(&watcher) {
                    // As in Circus, between starts only: a reload starts nothing that was not there.
                    if campaign.kind == Kind::Start {
                        campaign.hold_until = self.out.now.mono + warmup;
                    }
                    if let Some(pending) = campaign.pending {
                        self.part(pending, &name, outcome);
                    }
                }
            }
        }
    }

    fn part(&mut self, number: u64, name: &str, outcome: Outcome) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if !pending.part(name, outcome) {
            return;
        }
        let Some(pending) = self.pending.remove(&number) else { return };
        let wanted = match &pending.shape {
            Shape::Number(name) => self.find(name).map(|watcher| watcher.config.numprocesses),
            Shape::Bare | Shape::Start | Shape::Replace | Shape::Stop | Shape::Add => None,
        };
        let client = pending.client;
        let answer = pending.answer(wanted);
        if let Some(client) = client {
            self.reply(client, answer);
        }
        self.admin_part_ended(number);
    }

    /// Asks a watcher for an operation; a refusal is told like any other end.
    fn ask_watcher(&mut self, id: WatcherId, kind: Kind, waiter: Option<Waiter>) {
        if matches!(kind, Kind::Stop | Kind::Remove | Kind::Replace) {
            self.withdraw(id, kind);
        }
        let Some(watcher) = self.watchers.get_mut(&id) else {
            if let Some(waiter) = waiter {
                let outcome = Outcome::Failed(ErrorCode::Message, "the watcher is gone".to_owned());
                self.out.completions.push_back(Completion {
                    waiter,
                    watcher: id,
                    name: String::new(),
                    outcome,
                });
            }
            return;
        };
        if let Err(reason) = watcher.ask(kind, waiter, &mut self.out)
            && let Some(waiter) = waiter
        {
            self.out.complete(waiter, id, &watcher.config.name, Outcome::Failed(ErrorCode::Command, reason));
        }
        self.touched.insert(id);
    }

    /// Takes a watcher that is to be stopped out of campaigns that have not come to it.
    fn withdraw(&mut self, id: WatcherId, by: Kind) {
        let Some(name) = self.watchers.get(&id).map(|watcher| watcher.config.name.clone()) else { return };
        let mut parts = Vec::new();
        for campaign in self.campaigns.values_mut() {
            if let Some(at) = campaign.left.iter().position(|waiting| *waiting == id) {
                campaign.left.remove(at);
                parts.extend(campaign.pending.map(|pending| (pending, campaign.kind)));
            }
        }
        for (pending, kind) in parts {
            let text = format!("{} of {name} superseded by {}", kind.word(), by.word());
            self.part(pending, &name, Outcome::Failed(ErrorCode::Command, text));
        }
    }

    fn signalled(&mut self, signal: DaemonSignal) {
        match signal {
            DaemonSignal::Hup => self.reload_all(Kind::Reload { graceful: true, sequential: false }, None),
            DaemonSignal::Int | DaemonSignal::Term => self.leave(Departure::Quit, None, true),
            DaemonSignal::Quit => self.leave(Departure::Quit, None, false),
        }
    }

    /// Reloads every watcher that is up, one after the other, and lets circusd re-open its log.
    fn reload_all(&mut self, kind: Kind, pending: Option<u64>) {
        self.out.push(Effect::ReopenLog);
        if self.has_many_campaigns() {
            // Who asks by a request was refused before.
            return self.out.note(Level::Warning, "too many reloads wait already: this one is left out");
        }
        let mut order = self.by_priority(true);
        order.retain(|id| self.watchers.get(id).is_some_and(|watcher| watcher.is_active()));
        if let Some(number) = pending {
            if let Some(pending) = self.pending.get_mut(&number) {
                pending.left = order.len().max(1);
            }
            if order.is_empty() {
                return self.part(number, "", Outcome::Done(operation::Tally::default()));
            }
        }
        self.begin_campaign(Campaign::new(kind, order.into(), pending));
    }
}

/// However small `check_delay` is, a crash loop is no busy loop.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause of a back-off: `check_delay`, or 5 s where that is switched off.
fn backoff_cap(config: &Config) -> Duration {
    let delay = config.circus.check_delay;
    if delay > 0.0 { seconds(delay).max(LEAST_PAUSE) } else { Duration::from_secs(5) }
}
