//! How a process is ended: the members are found, the hooks asked, the stop signal sent, SIGKILL at the deadline.
//!
//! Invariant: the grace runs from the moment at which the stop signal was sent, or vetoed.

use std::time::Duration;

use circus_common::{
    Signal,
    config::{HookName, Orphans},
    protocol::Happening,
};

use super::{After, EndOrder, EndPolicy, Process, Rest, Stage, State};
use crate::arbiter::{
    effect::Effect,
    hook::{Errand, Occasion, Telling, Wish},
    id::MemberId,
    outbox::Outbox,
};

impl Process {
    /// Asks the process to end. Asking again changes nothing. Returns whether nothing is left to wait for.
    pub fn end(&mut self, order: EndOrder, policy: &EndPolicy<'_>, out: &mut Outbox) -> Rest {
        match &mut self.state {
            // Nothing was spawned: the queue passes over it.
            State::Vetting | State::Queued => {
                return Rest::Nothing { held_slot: true, refill: order.refill };
            }
            // There is no process to signal yet: `spawned` carries the wish out.
            State::Spawning { end } => {
                let known = end.get_or_insert(order);
                (known.signal, known.grace) = (order.signal, known.grace.min(order.grace));
            }
            State::Running(life) | State::Probation { life, .. } => {
                let life = *life;
                self.state = State::Ending { life, order, stage: Stage::Surveying };
                if policy.stop_children || policy.orphans == Orphans::End {
                    self.survey(out);
                } else {
                    self.ask(policy, out);
                }
            }
            // A stop has to know of what a crash left behind before it can say that all is gone.
            State::Lingering { after: after @ After::Suspect { .. }, .. } => {
                *after = After::Ending { kill_at: out.now.mono + order.grace };
                self.survey(out);
            }
            State::Ending { .. } => self.end_sooner(order, policy, out),
            State::Lingering { after: After::Ending { kill_at }, .. } => {
                *kill_at = (*kill_at).min(out.now.mono + order.grace);
                self.due(policy, out);
            }
            State::Lingering { after: After::Killed, .. } => {}
        }
        Rest::Some
    }

    /// A further wish to end it: another signal is sent too, and the sooner deadline counts. So a stop never waits for
    /// the hour that a `kill` with a signal of its own allowed.
    fn end_sooner(&mut self, wish: EndOrder, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let State::Ending { life, order, stage } = &mut self.state else { return };
        let other = order.signal != wish.signal && order.signal != Signal::KILL;
        (order.signal, order.grace) = (wish.signal, order.grace.min(wish.grace));
        let Stage::Asked { kill_at } = stage else { return };
        *kill_at = (*kill_at).min(out.now.mono + wish.grace);
        let pid = life.pid;
        if other {
            self.send(pid, wish.signal, Errand::Further, policy, out);
        }
        // A wish without any grace is due already.
        self.due(policy, out);
    }

    /// Shortens the grace to nothing.
    pub fn hurry(&mut self, policy: &EndPolicy<'_>, out: &mut Outbox) {
        match &mut self.state {
            State::Spawning { end: Some(order) } => order.grace = Duration::ZERO,
            State::Ending { order, stage, .. } => {
                order.grace = Duration::ZERO;
                if let Stage::Asked { kill_at } = stage {
                    *kill_at = out.now.mono;
                }
            }
            State::Lingering { after: After::Ending { kill_at }, .. } => *kill_at = out.now.mono,
            State::Vetting | State::Queued | State::Spawning { end: None } => {}
            State::Probation { .. } | State::Running(_) | State::Lingering { .. } => {}
        }
        self.due(policy, out);
    }

    /// Sends a signal; where a hook has a say, asks it first.
    pub fn send(&self, pid: i32, signal: Signal, errand: Errand, policy: &EndPolicy<'_>, out: &mut Outbox) {
        if policy.hooks.before {
            out.wishes.push(Wish::MaySignal { process: self.id, pid, signal, errand });
        } else {
            self.send_now(Some(signal), (pid, signal), errand, policy, out);
        }
    }

    /// Sends a signal, or none where it was vetoed, and tells of it all the same.
    fn send_now(
        &self,
        allowed: Option<Signal>,
        (pid, signal): (i32, Signal),
        errand: Errand,
        policy: &EndPolicy<'_>,
        out: &mut Outbox,
    ) {
        if let Some(signal) = allowed {
            out.push(Effect::Signal { process: self.id, signal });
        }
        if policy.hooks.after {
            let telling = Telling::Hook(HookName::AfterSignal, Occasion::Signal { pid, signal });
            out.wishes.push(Wish::Tell { process: self.id, telling });
        }
        match errand {
            Errand::End | Errand::Further => self.tell_kill(pid, policy, out),
            Errand::Command => {}
        }
    }

    /// Tells the subscribers of a signal; after the hook that hears of it first.
    fn tell_kill(&self, pid: i32, policy: &EndPolicy<'_>, out: &mut Outbox) {
        if policy.hooks.after {
            let telling = Telling::Event(Happening::Kill { pid });
            out.wishes.push(Wish::Tell { process: self.id, telling });
        } else {
            out.publish(policy.watcher, Happening::Kill { pid });
        }
    }

    /// `before_signal` was asked: SIGKILL is sent whatever it says.
    pub fn signal_answered(
        &mut self,
        signal: Signal,
        allowed: bool,
        errand: Errand,
        policy: &EndPolicy<'_>,
        out: &mut Outbox,
    ) {
        let Some(pid) = self.life().map(|life| life.pid) else { return };
        let sent = Some(signal).filter(|signal| allowed || *signal == Signal::KILL);
        match (errand, &self.state) {
            (Errand::End, State::Ending { stage: Stage::Announced, .. }) => {
                self.asked(sent, signal, policy, out);
            }
            (Errand::End, State::Ending { stage: Stage::Condemned, .. }) => self.killed(policy, out),
            (Errand::End, _) => {}
            (Errand::Further | Errand::Command, _) => {
                self.send_now(sent, (pid, signal), errand, policy, out);
            }
        }
    }

    /// Sends the first signal, or asks whether it may be.
    pub(super) fn ask(&mut self, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let State::Ending { life, order, stage } = &mut self.state else { return };
        let (pid, signal) = (life.pid, order.signal);
        if policy.hooks.before {
            *stage = Stage::Announced;
            self.send(pid, signal, Errand::End, policy, out);
        } else {
            self.asked(Some(signal), signal, policy, out);
        }
    }

    /// The first signal is sent now, or was vetoed; from here on the grace runs.
    fn asked(&mut self, sent: Option<Signal>, signal: Signal, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let State::Ending { life, order, stage } = &mut self.state else { return };
        let (pid, order) = (life.pid, *order);
        *stage = Stage::Asked { kill_at: out.now.mono + order.grace };
        self.send_now(sent, (pid, signal), Errand::End, policy, out);
        if policy.stop_children {
            let mut asked = Vec::new();
            for (member, kin) in self.kin.iter_mut().filter(|(_, kin)| kin.direct && !kin.asked) {
                kin.asked = true;
                asked.push((*member, kin.pid));
            }
            for (member, pid) in asked {
                out.push(Effect::SignalMember { member, signal: order.signal });
                self.tell_kill(pid, policy, out);
            }
        }
        self.due(policy, out);
    }

    /// SIGKILL is sent now, to the process and its members.
    fn killed(&mut self, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let State::Ending { life, stage, .. } = &mut self.state else { return };
        *stage = Stage::Killed;
        let pid = life.pid;
        self.send_now(Some(Signal::KILL), (pid, Signal::KILL), Errand::End, policy, out);
        self.kill_kin(policy, out);
    }

    /// Carries out what time has made due.
    pub fn due(&mut self, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let now = out.now.mono;
        match &mut self.state {
            State::Ending { life, stage: stage @ Stage::Asked { .. }, .. } => {
                let pid = life.pid;
                if matches!(stage, Stage::Asked { kill_at } if *kill_at > now) {
                    return;
                }
                if policy.hooks.before {
                    *stage = Stage::Condemned;
                    self.send(pid, Signal::KILL, Errand::End, policy, out);
                } else {
                    self.killed(policy, out);
                }
            }
            State::Lingering { after: after @ After::Ending { .. }, .. } => {
                if matches!(after, After::Ending { kill_at } if *kill_at > now) {
                    return;
                }
                *after = After::Killed;
                self.kill_kin(policy, out);
            }
            State::Lingering { after: After::Suspect { survey_at }, .. } if *survey_at <= now => {
                if self.surveys_due == 0 {
                    self.survey(out);
                }
            }
            State::Vetting | State::Queued | State::Spawning { .. } => {}
            State::Probation { .. } | State::Running(_) => {}
            State::Ending { .. } | State::Lingering { .. } => {}
        }
    }

    /// Asks the members of an exited process that were not asked yet; late ones get SIGKILL.
    pub(super) fn ask_kin(&mut self, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let State::Lingering { order, after } = self.state else { return };
        let signal = match after {
            After::Suspect { .. } => return,
            After::Ending { .. } => order.signal,
            After::Killed => Signal::KILL,
        };
        for (member, kin) in self.kin.iter_mut().filter(|(_, kin)| !kin.asked) {
            kin.asked = true;
            out.push(Effect::SignalMember { member: *member, signal });
            out.publish(policy.watcher, Happening::Kill { pid: kin.pid });
        }
        self.due(policy, out);
    }

    pub(super) fn kill_kin(&mut self, policy: &EndPolicy<'_>, out: &mut Outbox) {
        let all: Vec<(MemberId, i32)> = self.kin.iter().map(|(member, kin)| (*member, kin.pid)).collect();
        for (member, pid) in all {
            out.push(Effect::SignalMember { member, signal: Signal::KILL });
            self.tell_kill(pid, policy, out);
        }
        self.kin.values_mut().for_each(|kin| kin.asked = true);
    }
}
