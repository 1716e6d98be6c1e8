//! The simulated machine: processes that behave as told, and what the arbiter is to hear of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::Sockets;
use circus_common::Signal;
use circusd::arbiter::{
    Effect, Input,
    id::{MemberId, ProcessId},
    input::{Exit, Member, SpawnFailure},
};

/// How long the machine takes for anything it does.
const LATENCY: Duration = Duration::from_millis(1);

/// The number of the first process, and of the first descendant.
const FIRST_PID: i32 = 1000;
const FIRST_MEMBER: i32 = 1_000_000;

/// How processes of one program behave.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// The spawn fails with this text.
    pub refuse: Option<String>,
    /// Whether such a failure is the machine's fault.
    pub machine: bool,
    /// How long a spawn takes beyond the usual.
    pub slow: Duration,
    /// It ends by itself after this time.
    pub exits: Option<(Duration, Exit)>,
    /// Signals that do not end it (SIGKILL always does).
    pub ignores: BTreeSet<i32>,
    /// How long it takes to end after a signal beyond the usual.
    pub lingers: Duration,
    /// Descendants that each process has, and whether they ignore all but SIGKILL.
    pub children: Vec<bool>,
    /// Further descendants that have left its group; only a survey finds them.
    pub wanderers: u32,
    /// So many times a descendant that is ended leaves another one behind.
    pub forks: u32,
    /// It never accepts a connection.
    pub deaf: bool,
}

#[derive(Debug)]
struct Proc {
    program: String,
    pid: i32,
    signals: Vec<Signal>,
    alive: bool,
    dying: bool,
    /// Whether a survey has looked for its descendants.
    surveyed: bool,
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
struct Child {
    id: MemberId,
    pid: i32,
    stubborn: bool,
    in_group: bool,
    alive: bool,
    found: bool,
    forks: u32,
}

impl Proc {
    fn group_lives(&self) -> bool {
        self.children.iter().any(|child| child.alive && child.in_group)
    }
}

/// The machine.
#[derive(Debug, Default)]
pub struct Kernel {
    /// Its managed sockets.
    pub sockets: Sockets,
    /// From the look of a survey to its answer: long enough for much to happen in between.
    pub survey_lag: Duration,
    /// Whether a number is given to the next process as soon as it is free.
    pub reuses_pids: bool,
    /// Numbers of which something is still to be told; a real machine goes through all others first.
    pub(super) untold: BTreeSet<i32>,
    behaviours: BTreeMap<String, Behaviour>,
    processes: BTreeMap<ProcessId, Proc>,
    released: BTreeSet<ProcessId>,
    inbox: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    pids: i32,
    members: u64,
    sent: BTreeMap<String, Vec<Signal>>,
    /// Programs whose processes were forgotten while a member lived that could be known.
    abandoned: BTreeSet<String>,
}

#[derive(Debug)]
enum Event {
    Tell(Input),
    Spawn(ProcessId, String, Vec<String>),
    Exit(ProcessId, Exit),
    ChildExit(ProcessId, MemberId),
    Survey(Vec<ProcessId>),
}

impl Kernel {
    /// Says how processes of this program (first word of the command) behave from now on.
    pub fn behave(&mut self, program: &str, behaviour: Behaviour) {
        self.behaviours.insert(program.to_owned(), behaviour);
    }

    /// All signals that processes of this program were sent, in order.
    #[must_use]
    pub fn signals(&self, program: &str) -> Vec<Signal> {
        self.sent.get(program).cloned().unwrap_or_default()
    }

    /// How many managed processes of this program live, descendants not counted.
    #[must_use]
    pub fn alive(&self, program: &str) -> usize {
        self.managed().filter(|(_, process)| process.program == program).count()
    }

    /// How many released processes live.
    #[must_use]
    pub fn released_alive(&self) -> usize {
        self.processes.iter().filter(|(id, process)| process.alive && self.released.contains(id)).count()
    }

    /// The pids of the managed processes that live.
    #[must_use]
    pub fn pids(&self) -> BTreeSet<i32> {
        self.managed().map(|(_, process)| process.pid).collect()
    }

    /// The pids of the processes that were released and live.
    #[must_use]
    pub fn released_pids(&self) -> BTreeSet<i32> {
        let released =
            self.processes.iter().filter(|(id, process)| process.alive && self.released.contains(id));
        released.map(|(_, process)| process.pid).collect()
    }

    fn managed(&self) -> impl Iterator<Item = (&ProcessId, &Proc)> {
        self.processes.iter().filter(|(id, process)| process.alive && !self.released.contains(id))
    }

    /// How many descendants live.
    #[must_use]
    pub fn children_alive(&self) -> usize {
        let managed = self.processes.iter().filter(|(id, _)| !self.released.contains(id));
        managed.flat_map(|(_, process)| &process.children).filter(|child| child.alive).count()
    }

    /// The living processes that are managed.
    #[must_use]
    pub fn living(&self) -> Vec<ProcessId> {
        self.managed().map(|(id, _)| *id).collect()
    }

    /// How many processes the machine keeps something of, the released ones not counted.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.processes.keys().filter(|id| !self.released.contains(id)).count()
    }

    /// Programs of which a descendant was forgotten while it lived, though it could be known.
    #[must_use]
    pub fn abandoned(&self) -> &BTreeSet<String> {
        &self.abandoned
    }

    /// That process starts a descendant.
    pub fn fork(&mut self, id: ProcessId, stubborn: bool, in_group: bool) {
        let child = self.child(stubborn, in_group, 0);
        if let Some(process) = self.processes.get_mut(&id).filter(|process| process.alive) {
            process.children.push(child);
        }
    }

    /// The living descendants of all managed processes, by whose they are.
    #[must_use]
    pub fn descendants(&self) -> Vec<(ProcessId, MemberId)> {
        let managed = self.processes.iter().filter(|(id, _)| !self.released.contains(id));
        managed
            .flat_map(|(id, process)| {
                process.children.iter().filter(|child| child.alive).map(|child| (*id, child.id))
            })
            .collect()
    }

    /// That descendant ends by itself.
    pub fn lose(&mut self, now: Duration, process: ProcessId, member: MemberId) {
        self.schedule(now + LATENCY, Event::ChildExit(process, member));
    }

    /// The process of that pid ends by itself.
    pub fn crash(&mut self, now: Duration, pid: i64, exit: Exit) {
        let found = self.processes.iter().find(|(_, process)| i64::from(process.pid) == pid && process.alive);
        if let Some(id) = found.map(|(id, _)| *id) {
            self.crash_id(now, id, exit);
        }
    }

    /// That process ends by itself.
    pub fn crash_id(&mut self, now: Duration, id: ProcessId, exit: Exit) {
        self.schedule(now + LATENCY, Event::Exit(id, exit));
    }

    /// The arbiter is told this a moment later.
    pub(super) fn later(&mut self, now: Duration, input: Input) {
        self.schedule(now + LATENCY, Event::Tell(input));
    }

    pub(super) fn next_time(&self) -> Option<Duration> {
        self.inbox.keys().next().map(|(at, _)| *at)
    }

    /// What the arbiter hears next, if something is due.
    pub(super) fn next_due(&mut self, now: Duration) -> Option<Input> {
        while let Some((&(at, sequence), _)) = self.inbox.first_key_value() {
            if at > now {
                return None;
            }
            let event = self.inbox.remove(&(at, sequence))?;
            if let Some(input) = self.happen(now, event) {
                return Some(input);
            }
        }
        None
    }

    /// The exits that are due right after what was just told: the real reaper tells them together.
    pub(super) fn exits_due(&mut self, now: Duration) -> Vec<Input> {
        let mut exits = Vec::new();
        while let Some(entry) = self.inbox.first_entry()
            && entry.key().0 <= now
            && matches!(entry.get(), Event::Exit(..))
        {
            let event = entry.remove();
            exits.extend(self.happen(now, event));
        }
        exits
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.inbox.insert((at, self.sequence), event);
    }

    fn happen(&mut self, now: Duration, event: Event) -> Option<Input> {
        match event {
            Event::Tell(input) => Some(input),
            Event::Spawn(id, program, sockets) => Some(self.spawn(now, id, program, &sockets)),
            Event::Exit(id, exit) => self.exit(now, id, exit),
            Event::ChildExit(process, member) => self.child_exit(process, member),
            Event::Survey(processes) => {
                let answer = self.survey(&processes);
                self.schedule(now + self.survey_lag, Event::Tell(answer));
                None
            }
        }
    }

    fn spawn(&mut self, now: Duration, id: ProcessId, program: String, sockets: &[String]) -> Input {
        let behaviour = self.behaviours.get(&program).cloned().unwrap_or_default();
        if let Some(text) = behaviour.refuse {
            return Input::SpawnFailed {
                process: id,
                failure: SpawnFailure { text, machine: behaviour.machine },
            };
        }
        let pid = self.next_pid();
        let forks = behaviour.forks;
        if !behaviour.deaf {
            self.sockets.accept(id, sockets);
        }
        let mut children: Vec<Child> = Vec::new();
        for stubborn in &behaviour.children {
            children.push(self.child(*stubborn, true, forks));
        }
        for _ in 0..behaviour.wanderers {
            children.push(self.child(false, false, forks));
        }
        self.processes.insert(
            id,
            Proc { program, pid, signals: Vec::new(), alive: true, dying: false, surveyed: false, children },
        );
        if let Some((after, exit)) = behaviour.exits {
            self.schedule(now + after, Event::Exit(id, exit));
        }
        Input::Spawned { process: id, pid, started: now.as_secs_f64() }
    }

    /// A number for a process; one whose group lives is not free.
    fn next_pid(&mut self) -> i32 {
        self.pids += 1;
        if !self.reuses_pids {
            return FIRST_PID + self.pids;
        }
        let in_use = |process: &&Proc| process.alive || process.group_lives();
        let taken: BTreeSet<i32> =
            self.processes.values().filter(in_use).map(|process| process.pid).collect();
        (FIRST_PID..).find(|pid| !taken.contains(pid) && !self.untold.contains(pid)).unwrap_or(FIRST_PID)
    }

    fn child(&mut self, stubborn: bool, in_group: bool, forks: u32) -> Child {
        self.members += 1;
        Child {
            id: MemberId(self.members),
            pid: FIRST_MEMBER + i32::try_from(self.members).unwrap_or(0),
            stubborn,
            in_group,
            alive: true,
            found: false,
            forks,
        }
    }

    fn exit(&mut self, now: Duration, id: ProcessId, exit: Exit) -> Option<Input> {
        let _ = now;
        let process = self.processes.get_mut(&id).filter(|process| process.alive)?;
        process.alive = false;
        self.sockets.ended(id);
        if self.released.remove(&id) {
            self.processes.remove(&id);
            return None;
        }
        let group_alive = process.group_lives();
        Some(Input::Exited { process: id, exit, group_alive })
    }

    fn child_exit(&mut self, process: ProcessId, member: MemberId) -> Option<Input> {
        let parent = self.processes.get_mut(&process)?;
        let child = parent.children.iter_mut().find(|child| child.id == member && child.alive)?;
        child.alive = false;
        let (found, forks, stubborn, in_group) = (child.found, child.forks, child.stubborn, child.in_group);
        if forks > 0 {
            let heir = self.child(stubborn, in_group, forks - 1);
            self.processes.get_mut(&process)?.children.push(heir);
        }
        found.then_some(Input::MemberGone { process, member })
    }

    fn survey(&mut self, processes: &[ProcessId]) -> Input {
        let mut found = Vec::new();
        for id in processes {
            let mut members = Vec::new();
            if let Some(process) = self.processes.get_mut(id) {
                process.surveyed = true;
                for child in process.children.iter_mut().filter(|child| child.alive) {
                    child.found = true;
                    members.push(Member { id: child.id, pid: child.pid, direct: child.in_group });
                }
            }
            found.push((*id, members));
        }
        Input::Surveyed { found }
    }

    pub(super) fn carry_out(&mut self, now: Duration, effect: Effect) {
        match effect {
            Effect::Sockets(effect) => {
                for input in self.sockets.carry_out(effect) {
                    self.later(now, input);
                }
            }
            Effect::Spawn { process, spec } => {
                let sockets = self.sockets.of(process, &spec);
                let program = spec.argv.first().cloned().unwrap_or_default();
                let slow = self.behaviours.get(&program).map_or(Duration::ZERO, |behaviour| behaviour.slow);
                self.schedule(now + LATENCY + slow, Event::Spawn(process, program, sockets));
            }
            Effect::Signal { process, signal } => self.deliver(now, process, signal),
            Effect::SignalMember { member, signal } => self.deliver_to_member(now, member, signal),
            Effect::Survey { processes } => self.schedule(now + LATENCY * 2, Event::Survey(processes)),
            Effect::Forget { process } => self.forget(process),
            Effect::Release { process } => {
                self.sockets.released(process);
                self.released.insert(process);
            }
            Effect::RunHook { .. }
            | Effect::CancelHook { .. }
            | Effect::TryHooks { .. }
            | Effect::Stream(_)
            | Effect::TryStreams { .. }
            | Effect::Reply { .. }
            | Effect::Publish(_)
            | Effect::Note(_)
            | Effect::Ask { .. }
            | Effect::Resolve { .. }
            | Effect::LoadConfig { .. }
            | Effect::ApplySettings(_)
            | Effect::ReopenLog
            | Effect::Exit(_) => {}
        }
    }

    fn forget(&mut self, id: ProcessId) {
        let Some(process) = self.processes.remove(&id) else { return };
        // One that left the group after the last look could not be known.
        let known = |child: &Child| child.found || child.in_group || !process.surveyed;
        if process.children.iter().any(|child| child.alive && known(child)) {
            self.abandoned.insert(process.program);
        }
    }

    fn deliver(&mut self, now: Duration, id: ProcessId, signal: Signal) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        process.signals.push(signal);
        self.sent.entry(process.program.clone()).or_default().push(signal);
        let behaviour = self.behaviours.get(&process.program).cloned().unwrap_or_default();
        let harmless = signal == Signal::NULL || behaviour.ignores.contains(&signal.number());
        let fatal = signal == Signal::KILL || !(harmless || signal == Signal::HUP);
        if fatal && process.alive && (!process.dying || signal == Signal::KILL) {
            process.dying = true;
            let lingers = if signal == Signal::KILL { Duration::ZERO } else { behaviour.lingers };
            self.schedule(now + LATENCY + lingers, Event::Exit(id, Exit::Signal(signal.number())));
        }
    }

    fn deliver_to_member(&mut self, now: Duration, member: MemberId, signal: Signal) {
        let all =
            self.processes.iter().flat_map(|(id, process)| process.children.iter().map(move |c| (*id, c)));
        let Some((id, child)) = all.into_iter().find(|(_, child)| child.id == member) else { return };
        if child.alive && (signal == Signal::KILL || !child.stubborn) {
            self.schedule(now + LATENCY, Event::ChildExit(id, member));
        }
    }
}
