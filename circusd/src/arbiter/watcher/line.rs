//! What is told of one process, in order: a hook that is asked holds back what comes after it, and a stop holds back
//! every reap until all its kills are told.
//!
//! So the exit of a process is reaped, and its slot filled, while its `reap` event still waits for `before_reap`,
//! and yet no subscriber sees a `reap` before the `kill`.

use std::collections::{BTreeMap, VecDeque};

use circus_common::{Signal, config::HookName, protocol::Happening};

use super::{Phase, Watcher, end_policy, hooks::About};
use crate::arbiter::{
    hook::{Errand, Occasion, Telling, Wish},
    id::ProcessId,
    outbox::Outbox,
};

/// What is still to be told of one process.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Telling>,
    /// Whether a hook is asked.
    is_held: bool,
}

impl Line {
    /// Whether a kill is next, or waits for nothing but its hook.
    fn owes_kill(&self) -> bool {
        let mut before_the_end = self.waiting.iter().take_while(|telling| !telling.is_end());
        before_the_end.any(|telling| matches!(telling, Telling::Event(Happening::Kill { .. })))
    }
}

impl Watcher {
    /// Tells these in order, after what is told already.
    pub(super) fn tell_of(
        &mut self,
        id: ProcessId,
        tellings: impl IntoIterator<Item = Telling>,
        out: &mut Outbox,
    ) {
        self.lines.entry(id).or_default().waiting.extend(tellings);
        self.advance_line(id, out);
    }

    /// The hook that held a line has answered.
    pub(super) fn line_answered(&mut self, id: ProcessId, out: &mut Outbox) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.is_held = false;
        }
        self.advance_line(id, out);
    }

    fn advance_line(&mut self, id: ProcessId, out: &mut Outbox) {
        while let Some(line) = self.lines.get(&id)
            && !line.is_held
            && !(line.waiting.front().is_some_and(Telling::is_end) && self.owes_kills())
        {
            let Some(line) = self.lines.get_mut(&id) else { break };
            match line.waiting.pop_front() {
                Some(Telling::Event(happening)) => out.publish(&self.config.name, happening),
                Some(Telling::Hook(hook, occasion)) => {
                    let held = self.ask_hook(hook, About::Line(id), occasion, out);
                    if let Some(line) = self.lines.get_mut(&id) {
                        line.is_held = held;
                    }
                }
                None => drop(self.lines.remove(&id)),
            }
        }
        if self.lines.is_empty() {
            // An empty map keeps its first node.
            self.lines = BTreeMap::new();
        }
    }

    /// Whether it is being stopped and not every kill of that was told: no reap is told before.
    fn owes_kills(&self) -> bool {
        let stopping = matches!(self.phase, Phase::Stopping);
        stopping && (self.processes.unsignalled() > 0 || self.lines.values().any(Line::owes_kill))
    }

    /// Goes on with the reaps that have waited for the kills of others.
    pub(super) fn tell_held_ends(&mut self, out: &mut Outbox) {
        if self.lines.is_empty() || self.owes_kills() {
            return;
        }
        for id in self.lines.keys().copied().collect::<Vec<_>>() {
            self.advance_line(id, out);
        }
    }

    /// Tells everything at once, and no hook: the watcher is given away.
    pub(super) fn tell_the_rest(&mut self, out: &mut Outbox) {
        let lines = std::mem::take(&mut self.lines).into_values().map(|line| line.waiting);
        // All kills of a stop come before its first reap here, too.
        let halves = lines.map(|mut line| {
            let end = line.iter().position(Telling::is_end).unwrap_or(line.len());
            let ends = line.split_off(end);
            (line, ends)
        });
        let (kills, ends): (Vec<_>, Vec<_>) = halves.unzip();
        for telling in kills.into_iter().chain(ends).flatten() {
            match telling {
                Telling::Event(happening) => out.publish(&self.config.name, happening),
                Telling::Hook(..) => {}
            }
        }
    }

    /// Takes up what its processes want of its hooks.
    pub fn take_wishes(&mut self, out: &mut Outbox) {
        while !out.wishes.is_empty() {
            for wish in std::mem::take(&mut out.wishes) {
                match wish {
                    Wish::Tell { process, telling } => self.tell_of(process, [telling], out),
                    Wish::MaySignal { process, pid, signal, errand } => {
                        self.may_signal(process, pid, signal, errand, out);
                    }
                }
            }
        }
    }

    fn may_signal(&mut self, process: ProcessId, pid: i32, signal: Signal, errand: Errand, out: &mut Outbox) {
        let about = About::Signal { process, signal, errand };
        let asked = self.ask_hook(HookName::BeforeSignal, about, Occasion::Signal { pid, signal }, out);
        if asked {
            return;
        }
        let policy = end_policy(&self.config);
        self.processes.change(process, |process| process.signal_answered(signal, true, errand, &policy, out));
    }
}
