//! One daemon, as far as it is known: what its channels said, put together.
//!
//! The statistics channel has the figures, the control endpoint the states, slots and exits, the event channel what
//! happens in between. Each may be missing. Everything a stranger can make us keep has a bound.

use std::collections::{BTreeMap, VecDeque};

use circus_common::protocol::event::{Seen, res_name};
use serde_json::{Map, Value};

use super::{
    At,
    happening::{self, Line, Tone},
    history::History,
    report::{Control, Link, Report},
    sample::{self, Figures, Sample, text},
    text::clean,
    watcher::{Condition, FLAPS, Phase, Process, Sum, Watcher},
    why::{About, Why},
};

/// Watchers kept of one host.
pub const MOST_WATCHERS: usize = 10_000;
/// Processes kept of one host.
pub const MOST_PROCESSES: usize = 50_000;
/// Sockets kept of one host.
pub const MOST_SOCKETS: usize = 1_000;
/// Events kept of one host.
pub const MOST_LINES: usize = 200;
/// Seconds beyond the process time-out for which figures are still shown.
const STALE: At = At::from_secs(5);

/// A socket of the daemon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Socket {
    /// Its name in the configuration.
    pub name: Option<String>,
    /// Its address or path.
    pub address: String,
    /// Hits in the last second; absent if nobody counts.
    pub reads: Option<u64>,
    /// Hits since we look.
    pub total: u64,
    /// When it was last heard of.
    pub seen: At,
    /// Hits in the last minutes.
    pub history: History,
}

/// One daemon.
#[derive(Clone, Debug)]
pub struct Host {
    /// The name it is shown by.
    pub label: String,
    /// Its statistics endpoint.
    pub endpoint: String,
    /// The statistics channel.
    pub stats: Link,
    /// Since when the channel is as it is.
    pub stats_since: At,
    /// When it last said something.
    pub heard: Option<At>,
    /// The event channel.
    pub events: Link,
    /// The control endpoint.
    pub control: Control,
    /// Its watchers by the name that topics carry.
    pub watchers: BTreeMap<String, Watcher>,
    /// Circus' own processes.
    pub own: Watcher,
    /// Its sockets by descriptor.
    pub sockets: BTreeMap<i64, Socket>,
    /// The last events, the latest last.
    pub lines: VecDeque<Line>,
    /// The CPU of all watchers in the last minutes.
    pub cpu: History,
    timeout: At,
}

/// How many watchers are in which condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub watchers: usize,
    /// Active and well.
    pub active: usize,
    /// Starting or stopping.
    pub changing: usize,
    /// Stopped.
    pub stopped: usize,
    /// In back-off.
    pub backoff: usize,
    /// Flapping.
    pub flapping: usize,
}

impl Host {
    /// A host nothing is known of. Processes not heard of for `timeout` are forgotten.
    #[must_use]
    pub fn new(label: &str, endpoint: &str, timeout: At) -> Self {
        Self {
            label: clean(label),
            endpoint: clean(endpoint),
            stats: Link::default(),
            stats_since: At::ZERO,
            heard: None,
            events: Link::default(),
            control: Control::default(),
            watchers: BTreeMap::new(),
            own: Watcher::named("circus".to_owned(), At::ZERO),
            sockets: BTreeMap::new(),
            lines: VecDeque::new(),
            cpu: History::default(),
            timeout,
        }
    }

    /// Takes in what a connection brought.
    pub fn learn(&mut self, now: At, report: Report) {
        match report {
            Report::Stats(link) => (self.stats, self.stats_since) = (link, now),
            Report::Message { topic, payload } => self.sample(now, &topic, &payload),
            Report::Events(link) => self.events = link,
            Report::Happened(seen) => self.happened(now, &seen),
            Report::Control(control) => self.control = control,
            Report::Statuses(states) => self.statuses(now, &states),
            Report::Infos(infos) => self.infos(now, &infos),
            Report::Daemon(info) => self.daemon_told(now, &info),
            Report::Sockets(sockets) => self.list_sockets(now, &sockets),
            Report::Options { name, reply } => {
                if let Some(watcher) = self.watchers.get_mut(&res_name(&name)) {
                    watcher.about = Some(About::read(&reply));
                }
            }
            Report::Why { name, reply } => {
                if let Some(watcher) = self.watchers.get_mut(&res_name(&name)) {
                    (watcher.why, watcher.why_at) = (Some(Why::read(&reply)), now);
                }
            }
            // The state above shows it.
            Report::Outcome { .. } => {}
        }
    }

    /// Whether there is anything to show.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.heard.is_some() || !self.watchers.is_empty()
    }

    /// One second is over: histories grow, what was not heard of is forgotten.
    pub fn tick(&mut self, now: At) {
        let is_told = matches!(self.control, Control::Found { .. });
        let (timeout, stale) = (self.timeout, self.timeout + STALE);
        for watcher in self.watchers.values_mut().chain([&mut self.own]) {
            watcher.processes.retain(|_, process| {
                // What the control endpoint tells of is gone when the control endpoint says so.
                let is_kept = is_told && process.streamed.is_none_or(|at| at < process.seen);
                is_kept || now.saturating_sub(process.seen) <= timeout
            });
            for process in watcher.processes.values_mut() {
                if now.saturating_sub(process.seen) > stale {
                    process.figures.cpu = None;
                }
            }
            watcher.tick();
        }
        self.watchers.retain(|_, watcher| {
            let is_known = is_told && watcher.real.is_some();
            is_known || !watcher.processes.is_empty() || now.saturating_sub(watcher.seen) <= timeout
        });
        self.sockets.retain(|_, socket| {
            if now.saturating_sub(socket.seen) > timeout {
                socket.reads = None;
            }
            socket.name.is_some() || socket.reads.is_some()
        });
        for socket in self.sockets.values_mut() {
            #[expect(clippy::cast_precision_loss, reason = "shown in eight steps")]
            socket.history.push(socket.reads.map(|reads| reads as f64));
        }
        let sum = self.sum();
        self.cpu.push(sum.cpu);
    }

    /// All processes of all watchers.
    #[must_use]
    pub fn sum(&self) -> Sum {
        Sum::of(self.watchers.values().flat_map(|watcher| watcher.processes.values()))
    }

    /// How the watchers are.
    #[must_use]
    pub fn counts(&self, now: At) -> Counts {
        let mut counts = Counts { watchers: self.watchers.len(), ..Counts::default() };
        for watcher in self.watchers.values() {
            match watcher.condition(now) {
                Some(Condition::Flapping) => counts.flapping += 1,
                Some(Condition::Backoff) => counts.backoff += 1,
                Some(Condition::Phase(Phase::Active)) => counts.active += 1,
                Some(Condition::Phase(Phase::Stopped)) => counts.stopped += 1,
                Some(Condition::Phase(Phase::Starting | Phase::Stopping)) => counts.changing += 1,
                None => {}
            }
        }
        counts
    }

    /// The figures of circusd itself.
    #[must_use]
    pub fn daemon(&self) -> Option<&Process> {
        self.own.processes.values().find(|process| process.figures.title.as_deref() == Some("circusd"))
    }

    fn sample(&mut self, now: At, topic: &str, payload: &str) {
        let Some(sample) = sample::parse(topic, payload) else { return };
        self.heard = Some(now);
        match sample {
            Sample::Process { watcher, pid, figures } => {
                if watcher == "circus" && figures.title.is_some() {
                    if self.own.processes.len() < MOST_SOCKETS {
                        self.own.process(pid, now).stream(*figures, now);
                    }
                } else if let Some(process) = self.process(&watcher, pid, now) {
                    process.stream(*figures, now);
                }
            }
            Sample::Watcher { watcher, restarts } => {
                // Circus' own group has an aggregate too; a watcher of that name has processes without titles.
                if watcher != "circus"
                    && let Some(watcher) = self.watcher(&watcher, now)
                {
                    watcher.ends_seen = watcher.ends_seen.max(restarts.unwrap_or_default());
                }
            }
            Sample::Socket { fd, reads, address } => {
                if let Some(socket) = self.socket(fd, now) {
                    (socket.reads, socket.address) = (Some(reads), address);
                    socket.total = socket.total.saturating_add(reads);
                }
            }
        }
    }

    /// There is one circusd: another one before it is gone.
    fn daemon_told(&mut self, now: At, info: &Map<String, Value>) {
        let Some(pid) = pid_of(info) else { return };
        let title = Some("circusd".to_owned());
        self.own.processes.retain(|other, process| *other == pid || process.figures.title != title);
        let figures = Figures { title, ..Figures::read(info) };
        self.own.process(pid, now).tell(figures, now, self.timeout);
    }

    fn happened(&mut self, now: At, seen: &Seen) {
        let pid = happening::pid(seen);
        if !is_own(&seen.watcher) {
            self.follow(now, seen, pid);
        }
        let was_ending = pid
            .and_then(|pid| self.watchers.get(&seen.watcher)?.processes.get(&pid))
            .is_some_and(|process| process.ending);
        let expected = happening::was_expected(seen, was_ending);
        let name =
            self.watchers.get(&seen.watcher).map_or_else(|| clean(&seen.watcher), |it| it.name.clone());
        let (tone, text) = happening::describe(seen, expected);
        self.note(Line { at: now, tone, watcher: name.clone(), text });
        if seen.event != "reap" {
            return;
        }
        let Some(watcher) = self.watchers.get_mut(&seen.watcher) else { return };
        if let Some(pid) = pid {
            watcher.processes.remove(&pid);
        }
        if !expected && watcher.ended(now) {
            let text = format!("is flapping: {FLAPS} exits within a minute");
            self.note(Line { at: now, tone: Tone::Bad, watcher: name, text });
        }
    }

    /// What an event changes in the picture.
    fn follow(&mut self, now: At, seen: &Seen, pid: Option<u32>) {
        match (seen.event.as_str(), pid) {
            ("spawn", Some(pid)) => {
                self.process(&seen.watcher, pid, now);
            }
            ("kill", Some(pid)) => {
                if let Some(process) =
                    self.watchers.get_mut(&seen.watcher).and_then(|it| it.processes.get_mut(&pid))
                {
                    process.ending = true;
                }
            }
            ("start", _) => self.enter(&seen.watcher, Phase::Active),
            ("stop", _) => self.enter(&seen.watcher, Phase::Stopped),
            _ => {}
        }
    }

    /// The event channel knows before the next `status` does; without a control endpoint nothing is claimed.
    fn enter(&mut self, name: &str, phase: Phase) {
        if let Some(watcher) = self.watchers.get_mut(name).filter(|it| it.phase.is_some()) {
            watcher.phase = Some(phase);
        }
    }

    fn statuses(&mut self, now: At, states: &Map<String, Value>) {
        let known: BTreeMap<String, (&String, Option<Phase>)> = states
            .iter()
            .filter(|(name, _)| !is_own(&res_name(name)))
            .map(|(name, state)| (res_name(name), (name, state.as_str().and_then(Phase::parse))))
            .collect();
        self.watchers.retain(|key, watcher| known.contains_key(key) || watcher.real.is_none());
        for (key, (name, phase)) in known {
            if let Some(watcher) = self.watcher(&key, now) {
                watcher.name = clean(name);
                watcher.real = Some(name.clone());
                watcher.phase = phase;
            }
        }
    }

    fn infos(&mut self, now: At, infos: &Map<String, Value>) {
        let timeout = self.timeout;
        for (name, processes) in infos {
            let Some(processes) = processes.as_object() else { continue };
            if is_own(&res_name(name)) {
                continue;
            }
            let pids: BTreeMap<u32, Figures> = processes
                .iter()
                .filter_map(|(pid, info)| Some((pid.parse().ok()?, Figures::read(info.as_object()?))))
                .collect();
            if let Some(watcher) = self.watchers.get_mut(&res_name(name)) {
                let is_streamed =
                    |it: &Process| it.streamed.is_some_and(|at| now.saturating_sub(at) <= timeout);
                watcher.processes.retain(|pid, process| pids.contains_key(pid) || is_streamed(process));
            }
            for (pid, figures) in pids {
                if let Some(process) = self.process(name, pid, now) {
                    process.tell(figures, now, timeout);
                }
            }
        }
    }

    fn list_sockets(&mut self, now: At, sockets: &[Value]) {
        let listed: Vec<_> = sockets.iter().filter_map(Value::as_object).collect();
        let fd = |socket: &Map<String, Value>| socket.get("fd").and_then(Value::as_i64);
        for (at, socket) in &mut self.sockets {
            if !listed.iter().any(|one| fd(one) == Some(*at)) {
                socket.name = None;
            }
        }
        for members in listed {
            let Some(socket) = fd(members).and_then(|fd| self.socket(fd, now)) else { continue };
            socket.name = Some(text(members, "name"));
            socket.address = match members.get("path") {
                Some(Value::String(path)) => clean(path),
                _ => format!("{}:{}", text(members, "host"), text(members, "port")),
            };
        }
    }

    fn note(&mut self, line: Line) {
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The watcher of that name, in whatever spelling; new if need be and there is room.
    fn watcher(&mut self, name: &str, now: At) -> Option<&mut Watcher> {
        let key = res_name(name);
        if is_own(&key) || !self.watchers.contains_key(&key) && self.watchers.len() >= MOST_WATCHERS {
            return None;
        }
        let watcher = self.watchers.entry(key).or_insert_with(|| Watcher::named(clean(name), now));
        watcher.seen = now;
        Some(watcher)
    }

    fn process(&mut self, watcher: &str, pid: u32, now: At) -> Option<&mut Process> {
        let is_new = !self.watchers.get(&res_name(watcher)).is_some_and(|it| it.processes.contains_key(&pid));
        if is_new && self.watchers.values().map(|it| it.processes.len()).sum::<usize>() >= MOST_PROCESSES {
            return None;
        }
        let process = self.watcher(watcher, now)?.process(pid, now);
        process.seen = now;
        Some(process)
    }

    fn socket(&mut self, fd: i64, now: At) -> Option<&mut Socket> {
        if !self.sockets.contains_key(&fd) && self.sockets.len() >= MOST_SOCKETS {
            return None;
        }
        let socket = self.sockets.entry(fd).or_default();
        socket.seen = now;
        Some(socket)
    }
}

/// Watchers that are Circus' own: their processes stand in a group of their own.
fn is_own(key: &str) -> bool {
    matches!(key, "circusd-stats" | "circushttpd")
}

fn pid_of(members: &Map<String, Value>) -> Option<u32> {
    members.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok())
}

#[cfg(test)]
mod tests;
