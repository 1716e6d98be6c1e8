//! How long an end may take and must last: SIGKILL neither before the grace is over nor ever left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::{Signal, protocol::Command};
use circusd::arbiter::{effect::SpawnSpec, id::ProcessId, input::DaemonSignal};

use crate::sim::{hook_rules::HookRules, rules::hold};

/// What an overdue SIGKILL may be late: nothing, but for the moment in which both are due.
const SLACK: Duration = Duration::from_millis(1);

/// The shortest and the longest that was allowed for a watcher.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    least: Duration,
    most: Duration,
}

/// What is known of ends under way.
#[derive(Debug, Default)]
pub(super) struct Grace {
    /// By lower-cased watcher.
    allowed: BTreeMap<String, Allowed>,
    /// Watchers whose processes may get SIGKILL as the first signal.
    at_once: Vec<String>,
    signals: u32,
    /// Who was asked to end: the earliest and the latest moment at which that may have been.
    asked: BTreeMap<ProcessId, (Duration, Duration)>,
    /// When a signal was first and last sent to a process, or kept from it by a hook.
    sent: BTreeMap<(ProcessId, i32), (Duration, Duration)>,
    /// The latest signal to each.
    latest: BTreeMap<ProcessId, Signal>,
    ended: BTreeMap<ProcessId, Duration>,
    half_closed: BTreeSet<ProcessId>,
}

impl Grace {
    /// Learns what a command allows from now on.
    pub(super) fn allowed(&mut self, command: &Command) {
        if let Command::Kill { name, signum, graceful_timeout, .. } = command {
            graceful_timeout.iter().for_each(|seconds| self.allow(name, *seconds));
            if *signum == Some(Signal::KILL) {
                self.at_once.push(name.to_lowercase());
            }
        }
        if let Command::Set { name, options, .. } = command {
            let seconds = options.get("graceful_timeout").and_then(serde_json::Value::as_f64);
            seconds.iter().for_each(|seconds| self.allow(name, *seconds));
        }
    }

    /// Learns what the options of a process that is spawned allow.
    pub(super) fn spawned(&mut self, spec: &SpawnSpec) {
        self.allow(&spec.watcher, spec.graceful_timeout);
        if spec.stop_signal == Signal::KILL {
            self.at_once.push(spec.watcher.to_lowercase());
        }
    }

    /// A signal to circusd. Returns whether there is no grace from now on.
    pub(super) fn signalled(&mut self, signal: DaemonSignal) -> bool {
        match signal {
            DaemonSignal::Int | DaemonSignal::Term => self.signals += 1,
            DaemonSignal::Hup | DaemonSignal::Quit => {}
        }
        self.signals > 1
    }

    fn allow(&mut self, watcher: &str, seconds: f64) {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let known = self.allowed.entry(watcher.to_lowercase()).or_insert(Allowed { least: time, most: time });
        (known.least, known.most) = (known.least.min(time), known.most.max(time));
    }

    fn least(&self, watcher: &str) -> Duration {
        // After a second INT or TERM there is none.
        if self.signals > 1 {
            Duration::ZERO
        } else {
            self.allowed.get(watcher).map_or(Duration::ZERO, |a| a.least)
        }
    }

    /// A process was sent a signal, or a hook has said whether it may be.
    pub(super) fn sent(&mut self, now: Duration, process: ProcessId, signal: Signal) {
        self.sent.entry((process, signal.number())).or_insert((now, now)).1 = now;
        self.latest.insert(process, signal);
    }

    /// A signal was published as a `kill`. Where `after_signal` is told of signals the event waits for that, and this is
    /// the signal it has heard of; else it is the latest.
    pub(super) fn kill(&mut self, now: Duration, watcher: &str, process: ProcessId, heard: Option<Signal>) {
        let Some(signal) = heard.or(self.latest.get(&process).copied()) else {
            hold!(LegalEvents, false, "{now:?}: {process} of {watcher} is killed with no signal");
            return;
        };
        let sent = self.sent.get(&(process, signal.number())).copied();
        let (first, last) = if heard.is_some() { sent.unwrap_or((now, now)) } else { (now, now) };
        if signal == Signal::KILL && !self.at_once.iter().any(|name| name == watcher) {
            let asked = self.asked.get(&process).map(|(at, _)| *at);
            hold!(Grace, asked.is_some(), "{now:?}: {process} of {watcher} gets SIGKILL first");
            let waited = last.saturating_sub(asked.unwrap_or_default());
            let least = self.least(watcher);
            hold!(Grace, waited >= least, "{now:?}: {process} of {watcher} gets SIGKILL after {waited:?}");
        }
        self.asked.entry(process).or_insert((first, now));
    }

    /// A member was sent SIGKILL.
    pub(super) fn kill_member(&self, now: Duration, watcher: &str, process: ProcessId, hears: bool) {
        if self.at_once.iter().any(|name| name == watcher) {
            return;
        }
        let asked = self.asked.get(&process).map(|(at, _)| *at);
        // Where `after_signal` hears of signals, what was sent is told later. That it does is seen at its first signal,
        // with which a member may be killed in one breath.
        let any = self.sent.iter().filter(|((of, _), (_, last))| *of == process && (hears || *last == now));
        let any = any.map(|(_, (first, _))| *first);
        let since = asked.into_iter().chain(self.ended.get(&process).copied()).chain(any).min();
        hold!(
            GraceOfMembers,
            since.is_some(),
            "{now:?}: a member of {process} of {watcher} is killed while it runs"
        );
        let waited = now.saturating_sub(since.unwrap_or_default());
        let least = self.least(watcher);
        hold!(
            GraceOfMembers,
            waited >= least,
            "{now:?}: a member of {process} of {watcher} is killed after {waited:?}"
        );
    }

    /// Whether it was asked to end.
    pub(super) fn is_asked(&self, process: ProcessId) -> bool {
        self.asked.contains_key(&process)
    }

    pub(super) fn exited(&mut self, now: Duration, process: ProcessId) {
        self.ended.insert(process, now);
    }

    /// The machine has forgotten it, or its reap was told: when both have come, nothing more is to be known of it.
    pub(super) fn closed(&mut self, process: ProcessId) {
        if self.half_closed.insert(process) {
            return;
        }
        self.half_closed.remove(&process);
        self.asked.remove(&process);
        self.ended.remove(&process);
        self.latest.remove(&process);
        self.sent.retain(|(of, _), _| *of != process);
    }

    /// Nobody ends it any more.
    pub(super) fn released(&mut self, process: ProcessId) {
        self.asked.remove(&process);
    }

    /// Who should have got SIGKILL by now.
    pub(super) fn in_time(&self, now: Duration, watcher_of: &BTreeMap<ProcessId, String>, hooks: &HookRules) {
        for (process, (_, asked)) in &self.asked {
            let killed = self.sent.contains_key(&(*process, Signal::KILL.number()));
            // SIGKILL waits for the answer of `before_signal`, though not for what it says.
            if killed || self.ended.contains_key(process) || hooks.is_condemned(*process) {
                continue;
            }
            let watcher = watcher_of.get(process).map_or("", String::as_str);
            let most = self.allowed.get(watcher).map_or(Duration::MAX, |allowed| allowed.most);
            let late = now.saturating_sub(asked.saturating_add(most));
            hold!(
                KillInTime,
                late <= SLACK,
                "{now:?}: {process} of {watcher} was asked at {asked:?} and lives"
            );
        }
    }
}
