//! A watcher: a command and the processes that are wanted of it.
//!
//! Inputs change what is wanted or what is known; [`Watcher::settle`] then compares the two and goes on until
//! nothing is left to do at this moment. Start, incr, crash and reload are this one comparison seen from
//! different sides: `fill` (how many processes), `drive` (the operation in hand), `reload` (which of them).
//!
//! Invariant: whoever waits for an operation is told of its end exactly once.

mod demand;
mod drive;
mod fill;
mod happening;
mod hooks;
mod line;
mod outlets;
mod phase;
mod reload;
mod report;
mod roster;
mod rulings;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use circus_common::{
    Signal,
    config::{HookName, WatcherConfig},
    protocol::{ErrorCode, Happening},
};

use self::{
    demand::Demand,
    hooks::{About, Call},
    line::Line,
    outlets::Outlets,
    reload::{Reload, ReloadEnd},
    roster::Roster,
};
use super::{
    effect::{Effect, Level, SpawnSpec},
    hook::{Errand, Occasion, Question, SignalHooks},
    id::{HookId, ProcessId, WatcherId},
    input::SpawnFailure,
    operation::{Admission, Kind, Operation, Operations, Outcome, Tally, Waiter},
    outbox::Outbox,
    process::{EndOrder, EndPolicy, Process, Rest, Role},
    slot::Slot,
    socket::{SocketEffect, Sockets},
    spec,
    time::{Timestamp, seconds},
};

/// Spawn errors that `why` remembers.
const ERRORS: usize = 5;

/// Failed spawns after which a waiting start of a watcher that never gives up is answered.
const PATIENCE: u32 = 5;

/// What is going on with the whole watcher.
#[derive(Debug)]
pub(super) enum Phase {
    /// No process is wanted and none is there.
    Stopped,
    /// `before_start` is asked; nothing was done yet.
    Preparing(Question),
    /// The first processes are on their way; holds the slots that were spawned.
    Starting(BTreeSet<u32>),
    /// They were spawned, and `after_start` is asked.
    Confirming(Question),
    /// It runs, perhaps being reloaded.
    Active(Option<Reload>),
    /// `before_stop` is asked; nothing is started any more, and nothing ended yet.
    Leaving,
    /// No process is wanted; some are not gone, or not all is told of them.
    Stopping,
    /// It is stopped, and `after_stop` is asked.
    Parting,
}

/// A command and its processes.
#[derive(Debug)]
pub(super) struct Watcher {
    /// Its name inside the arbiter.
    pub id: WatcherId,
    /// The options in force.
    pub config: Arc<WatcherConfig>,
    /// The options as the file gave them, which `reloadconfig` compares; `None` if it was added by command.
    pub file: Option<Arc<WatcherConfig>>,
    /// Options to take over when it is stopped next.
    pub next: Option<Box<WatcherConfig>>,
    /// Whether commands find it: not while `rm` is under way.
    pub listed: bool,
    /// Whether it is removed and can be dropped.
    pub removed: bool,
    /// When `settle` wants to be called again.
    pub wake: Option<Timestamp>,
    phase: Phase,
    operations: Operations,
    processes: Roster,
    /// What is remembered of slots.
    slots: BTreeMap<u32, Box<Slot>>,
    /// Empty slots that are to be filled, and when.
    waiting: BTreeMap<u32, Timestamp>,
    /// Processes that ended and are not replaced, since `respawn` is off.
    lost: u32,
    /// Failed spawns in a row that were the watcher's fault.
    tries: u32,
    /// Failed spawns in a row.
    failed_spawns: u32,
    /// The last spawn that was under way when one failed: what fails up to it failed in the same try.
    wave: u64,
    errors: VecDeque<String>,
    /// No spawn before this: warm-up, or the pause after a failed one.
    hold_until: Timestamp,
    /// When a start whose slots were all tried is complete: after the warm-up of the last one.
    warm_at: Option<Timestamp>,
    trimmed: BTreeSet<ProcessId>,
    number_waiters: Vec<Waiter>,
    kill_waiters: Vec<(Waiter, BTreeSet<ProcessId>)>,
    restarts: u64,
    /// Stops asked for by command, so that a plugin that means to start it again sees that somebody else stopped it.
    pub stops: u64,
    active_since: Option<f64>,
    reload_end: Option<ReloadEnd>,
    /// Hooks that are asked.
    calls: BTreeMap<HookId, Call>,
    /// What is still to be told of processes.
    lines: BTreeMap<ProcessId, Line>,
    /// How many times in a row a hook has said "not now".
    not_now: u32,
    demand: Demand,
    /// Slots that have sockets of their own.
    listening: BTreeSet<u32>,
    /// The environment as the spawns share it.
    env: Option<Arc<BTreeMap<String, String>>>,
    outlets: Outlets,
}

impl Watcher {
    /// A stopped watcher.
    pub fn new(id: WatcherId, config: WatcherConfig) -> Self {
        let config = Arc::new(config);
        Self {
            id,
            file: config.from_file.then(|| Arc::clone(&config)),
            config,
            next: None,
            listed: true,
            removed: false,
            wake: None,
            phase: Phase::Stopped,
            operations: Operations::default(),
            processes: Roster::default(),
            slots: BTreeMap::new(),
            waiting: BTreeMap::new(),
            lost: 0,
            tries: 0,
            failed_spawns: 0,
            wave: 0,
            errors: VecDeque::new(),
            hold_until: Timestamp::default(),
            warm_at: None,
            trimmed: BTreeSet::new(),
            number_waiters: Vec::new(),
            kill_waiters: Vec::new(),
            restarts: 0,
            stops: 0,
            active_since: None,
            reload_end: None,
            calls: BTreeMap::new(),
            lines: BTreeMap::new(),
            not_now: 0,
            demand: Demand::default(),
            listening: BTreeSet::new(),
            env: None,
            outlets: Outlets::default(),
        }
    }

    /// Asks for an operation.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn ask(&mut self, kind: Kind, waiter: Option<Waiter>, out: &mut Outbox) -> Result<(), String> {
        match self.operations.admit(Operation::new(kind, waiter)) {
            Admission::Accepted => {}
            Admission::Full => return Err(format!("too many requests for {}", self.config.name)),
            Admission::Superseded(ended) => {
                for operation in ended {
                    let (was, by) = (operation.kind.word(), kind.word());
                    let text = format!("{was} of {} superseded by {by}", self.config.name);
                    if operation.waiters.is_empty() {
                        out.note(Level::Info, text.clone());
                    }
                    let outcome = Outcome::Failed(ErrorCode::Command, text);
                    self.tell(&operation.waiters, &outcome, out);
                }
            }
        }
        Ok(())
    }

    /// Tells these waiters how their part ended.
    fn tell(&self, waiters: &[Waiter], outcome: &Outcome, out: &mut Outbox) {
        for waiter in waiters {
            out.complete(*waiter, self.id, &self.config.name, outcome.clone());
        }
    }

    /// Compares wanted and actual until nothing is left to do now, then sets `wake`.
    pub fn settle(&mut self, out: &mut Outbox) {
        self.time_hooks(out);
        let policy = end_policy(&self.config);
        for id in self.processes.due(out.now.mono) {
            self.processes.change(id, |process| process.due(&policy, out));
        }
        self.take_wishes(out);
        self.ask_about_spawned(out);
        while self.drive(out) || self.step(out) {}
        self.answer_numbers(out);
        self.watch_idleness(out.now.mono);
        self.close_listeners(out);
        self.wake = self.next_wake(out.now.mono);
    }

    /// One step of the phase in hand; false if it has to wait.
    fn step(&mut self, out: &mut Outbox) -> bool {
        match self.phase {
            Phase::Stopped => self.take_next(out),
            Phase::Preparing(question) => self.step_preparing(question, out),
            Phase::Starting(_) => self.step_starting(out),
            Phase::Confirming(question) => self.step_confirming(question, out),
            Phase::Active(None) => self.step_active(out),
            Phase::Active(Some(_)) => self.step_reload(out),
            Phase::Leaving | Phase::Parting => false,
            Phase::Stopping => self.step_stopping(out),
        }
    }

    /// Takes over the options that waited for a stop.
    fn take_next(&mut self, out: &mut Outbox) -> bool {
        let Some(next) = self.next.take() else { return false };
        self.config = Arc::new(*next);
        self.file = self.config.from_file.then(|| Arc::clone(&self.config));
        self.options_changed();
        self.tell_streams(out);
        self.slots.clear();
        self.waiting.clear();
        true
    }

    /// Begins the start of a stopped watcher.
    fn enter_starting(&mut self, out: &mut Outbox) {
        self.open_streams(out);
        self.phase = Phase::Starting(BTreeSet::new());
        self.warm_at = None;
        self.lost = 0;
        self.forget_failures();
    }

    /// Waiting back-offs are dropped and failures forgotten: somebody asked for a fresh try.
    fn forget_failures(&mut self) {
        self.tries = 0;
        self.failed_spawns = 0;
        self.not_now = 0;
        self.hold_until = Timestamp::default();
        for slot in self.slots.values_mut() {
            slot.failures = 0;
            slot.resume_at = Timestamp::default();
        }
        self.waiting.values_mut().for_each(|at| *at = Timestamp::default());
    }

    /// Nothing is started any more. The end of all processes begins when `before_stop` has heard of it.
    fn enter_stopping(&mut self, out: &mut Outbox) {
        self.phase = Phase::Leaving;
        self.take_back_for_stop(out);
        let unborn: Vec<ProcessId> =
            self.processes.iter().filter(|it| it.is_unborn()).map(|it| it.id).collect();
        for id in unborn {
            self.drop_process(id, out);
        }
        self.waiting.clear();
        if !self.ask_hook(HookName::BeforeStop, About::Stopping, Occasion::Watcher, out) {
            self.begin_ending(out);
        }
    }

    /// Begins the end of all processes.
    fn begin_ending(&mut self, out: &mut Outbox) {
        self.phase = Phase::Stopping;
        self.waiting.clear();
        self.slots.values_mut().for_each(|slot| slot.failures = 0);
        let order = self.stop_order(false);
        let all: Vec<ProcessId> = self.processes.ids().collect();
        self.end_all(&all, order, out);
    }

    /// The way the options say a process is ended.
    fn stop_order(&self, refill: bool) -> EndOrder {
        EndOrder { refill, ..end_policy(&self.config).default }
    }

    /// Ends these processes, in the order given.
    fn end_all(&mut self, ids: &[ProcessId], order: EndOrder, out: &mut Outbox) {
        for id in ids {
            self.take_back(|about| *about == About::Spawn(*id), out);
            self.accept(*id, out);
            let policy = end_policy(&self.config);
            let rest = self.processes.change(*id, |process| {
                process.role = Role::Current;
                if !order.refill {
                    process.do_not_refill();
                }
                process.end(order, &policy, out)
            });
            if let Some(Rest::Nothing { .. }) = rest {
                self.drop_process(*id, out);
            }
        }
        self.take_wishes(out);
    }

    /// Whether so many spawns have failed that no further one is tried while starting.
    fn has_given_up(&self) -> bool {
        self.config.max_retry.is_some_and(|limit| self.tries >= limit)
    }

    /// Tells those who listen for it that the watcher is given up.
    fn tell_fatal(&mut self, out: &mut Outbox) {
        if self.has_given_up() {
            self.demand.disarm();
            let (name, tries) = (&self.config.name, self.tries);
            out.note(Level::Error, format!("{name} is given up after {tries} failed spawns (max_retry)"));
            let error = self.errors.back().cloned().unwrap_or_default();
            out.publish(name, Happening::Fatal { error });
        }
    }

    /// Issues the spawn of a queued process, if it still waits: its order, or why there can be none.
    pub fn issue(&mut self, id: ProcessId, sockets: &Sockets) -> Option<Result<SpawnSpec, SpawnFailure>> {
        self.processes.get(id).filter(|process| process.is_queued())?;
        self.processes.change(id, Process::issue);
        let env = self.env.get_or_insert_with(|| Arc::new(self.config.env.clone().unwrap_or_default()));
        let spec = spec::build(&self.config, id.wid, env, sockets);
        if spec.as_ref().is_ok_and(|spec| sockets.has_per_slot(&spec.sockets)) {
            self.listening.insert(id.wid);
        }
        Some(spec)
    }

    /// The options, to be changed; what the file said stays as it is.
    pub fn options_mut(&mut self) -> &mut WatcherConfig {
        Arc::make_mut(&mut self.config)
    }

    /// Options were changed: what was derived from them is derived anew.
    pub fn options_changed(&mut self) {
        self.env = None;
    }

    /// Whether one more operation of this kind finds no place.
    pub fn is_full(&self, kind: Kind) -> bool {
        self.operations.is_full(kind)
    }

    /// Ends processes by the `kill` command; they are then replaced.
    pub fn kill(&mut self, pid: Option<i64>, order: EndOrder, waiter: Option<Waiter>, out: &mut Outbox) {
        let victims: Vec<ProcessId> = self
            .processes
            .iter()
            .filter(|process| {
                process.life().is_some_and(|life| pid.is_none_or(|pid| i64::from(life.pid) == pid))
            })
            .map(|process| process.id)
            .collect();
        match waiter {
            Some(waiter) if victims.is_empty() => {
                self.tell(&[waiter], &Outcome::Done(Tally::default()), out);
            }
            Some(waiter) => self.kill_waiters.push((waiter, victims.iter().copied().collect())),
            None => {}
        }
        self.end_all(&victims, order, out);
    }

    /// Sends a signal to one of its processes because somebody asked for this and nothing else.
    pub fn signal(&mut self, id: ProcessId, signal: Signal, out: &mut Outbox) {
        let policy = end_policy(&self.config);
        if let Some(process) = self.processes.get(id)
            && let Some(life) = process.life()
        {
            process.send(life.pid, signal, Errand::Command, &policy, out);
        }
        self.take_wishes(out);
    }

    /// Shortens every grace that runs to nothing (a second INT or TERM).
    pub fn hurry(&mut self, out: &mut Outbox) {
        self.ask_nobody(out);
        let policy = end_policy(&self.config);
        self.processes.change_all(|process| process.hurry(&policy, out));
    }

    /// Lets all processes go on unmanaged (`rm` with `nostop`) and forgets them. Returns those whose spawn is
    /// under way, which the arbiter has to release when they arrive.
    pub fn release(&mut self, out: &mut Outbox) -> Vec<ProcessId> {
        self.take_back(|about| !matches!(about, About::Figures { .. }), out);
        self.tell_the_rest(out);
        let mut arriving = Vec::new();
        for process in self.processes.take() {
            let id = process.id;
            out.surveys.shift_remove(&id);
            if process.life().is_some() {
                out.push(Effect::Release { process: id });
            } else if process.is_spawning() {
                arriving.push(id);
            } else if !process.is_unborn() {
                out.push(Effect::Forget { process: id });
            }
        }
        if !std::mem::take(&mut self.listening).is_empty() {
            out.push(Effect::Sockets(SocketEffect::CloseOwn { watcher: self.id, keep: BTreeSet::new() }));
        }
        self.phase = Phase::Stopped;
        let gone = Outcome::Failed(ErrorCode::Message, format!("program {} not found", self.config.name));
        let mut waiters: Vec<Waiter> =
            self.operations.drain().into_iter().flat_map(|op| op.waiters).collect();
        waiters.append(&mut self.number_waiters);
        waiters.extend(self.kill_waiters.drain(..).map(|(waiter, _)| waiter));
        self.tell(&waiters, &gone, out);
        self.removed = true;
        arriving
    }
}

/// What these options say about ending a process.
pub(super) fn end_policy(config: &WatcherConfig) -> EndPolicy<'_> {
    EndPolicy {
        watcher: &config.name,
        stop_children: config.stop_children,
        hooks: SignalHooks {
            before: config.hooks.contains_key(&HookName::BeforeSignal),
            after: config.hooks.contains_key(&HookName::AfterSignal),
        },
        orphans: config.orphans,
        default: EndOrder {
            signal: config.stop_signal,
            grace: seconds(config.graceful_timeout),
            refill: true,
        },
    }
}
