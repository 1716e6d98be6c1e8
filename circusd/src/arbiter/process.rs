//! One process: from the wish to spawn it to the end of the last descendant it leaves behind.
//!
//! A deliberate end is: find the members, send the stop signal, SIGKILL at the deadline, then see to the
//! members that outlived it. A crash frees its slot at once if its process group is empty, and the search for
//! members that left the group follows.
//!
//! Invariant: no signal is emitted for a process whose exit was handled, nor for a member known to be gone.

mod ending;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::{Signal, config::Orphans};

use super::{
    hook::{Question, SignalHooks},
    id::{MemberId, ProcessId},
    input::{Exit, Member},
    outbox::Outbox,
    time::Timestamp,
};

/// After a crash the search for members outside the group waits for the second full second from then, so that all
/// crashes of one second share one survey.
fn suspicion_ends(now: Timestamp) -> Timestamp {
    Timestamp::since_start(Duration::from_secs(now.elapsed().as_secs() + 2))
}

/// Surveys after the exit of one process; members that still fork faster than they are found are then named in
/// the log and left to the search at quit.
const MAX_SURVEYS: u32 = 64;

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndOrder {
    /// The first signal.
    pub signal: Signal,
    /// From it to SIGKILL.
    pub grace: Duration,
    /// Whether its slot is filled again afterwards.
    pub refill: bool,
}

/// What a watcher's options say about ending its processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndPolicy<'a> {
    /// The watcher's name, for events.
    pub watcher: &'a str,
    /// Whether direct children get the stop signal too.
    pub stop_children: bool,
    /// Whether members that stay behind are ended.
    pub orphans: Orphans,
    /// Which hooks its signals pass.
    pub hooks: SignalHooks,
    /// What members of a crashed process are asked with.
    pub default: EndOrder,
}

/// Its part in a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// None.
    Current,
    /// Replaced by it, if it succeeds.
    Outgoing,
    /// Spawned by it.
    Candidate,
}

/// A process that runs or ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Life {
    /// For messages only.
    pub pid: i32,
    /// Wall time just before the fork.
    pub started: f64,
    /// When the spawn was reported.
    pub since: Timestamp,
    /// When it has reached its maximum age.
    pub expires: Option<Timestamp>,
}

/// How far an end has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its members are being looked for; no signal was sent.
    Surveying,
    /// `before_signal` is asked about the stop signal.
    Announced,
    /// The stop signal was sent.
    Asked { kill_at: Timestamp },
    /// `before_signal` is told of SIGKILL, which waits for its answer and not for what it says.
    Condemned,
    /// SIGKILL was sent; only the exit is awaited.
    Killed,
}

/// What is done about the members of a process that has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It crashed and its group was empty: one look for others is due. Holds no slot.
    Suspect { survey_at: Timestamp },
    /// Members are being ended.
    Ending { kill_at: Timestamp },
    /// They were sent SIGKILL.
    Killed,
}

/// Where a process is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// `before_spawn` is asked.
    Vetting,
    /// It waits for a place among the spawns in flight.
    Queued,
    /// The spawn was issued and its result is awaited.
    Spawning { end: Option<EndOrder> },
    /// It runs, and `after_spawn` is asked: nothing was told of it yet.
    Probation { life: Life, question: Question },
    /// It runs.
    Running(Life),
    /// It is being ended.
    Ending { life: Life, order: EndOrder, stage: Stage },
    /// It has exited and was reaped; its members are not yet known to be gone.
    Lingering { order: EndOrder, after: After },
}

/// A member that has not ended.
#[derive(Clone, Copy, Debug)]
struct Kin {
    pid: i32,
    direct: bool,
    asked: bool,
}

/// A process and its members.
#[derive(Debug)]
pub(super) struct Process {
    /// Its name.
    pub id: ProcessId,
    /// Its part in a reload.
    pub role: Role,
    state: State,
    kin: BTreeMap<MemberId, Kin>,
    /// Surveys asked for and not yet answered; only the last one's answer is complete.
    surveys_due: u32,
    /// Surveys since the exit.
    rounds: u32,
    /// Members that have ended while a survey was under way, whose answer may name them.
    gone_early: BTreeSet<MemberId>,
}

/// How a process ended, for the slot and the history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    /// What it was.
    pub life: Life,
    /// Status or signal.
    pub exit: Exit,
    /// Whether it had been asked to.
    pub asked: bool,
    /// Whether its slot is to be filled again.
    pub refill: bool,
    /// What follows.
    pub aftermath: Aftermath,
}

/// What follows an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// Nothing is left: forget the process.
    Over,
    /// Members are there or are looked for, and the slot waits for their end.
    Held,
    /// The slot is free; a look for members that left the group follows.
    Suspect,
}

/// What is left of a process after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It or a member is there, or may be.
    Some,
    /// Nothing: forget it. `held_slot` tells whether its slot waited for this, `refill` whether to fill it.
    Nothing { held_slot: bool, refill: bool },
}

impl Process {
    /// A process that is wanted and waits for its spawn.
    pub fn queued(id: ProcessId, role: Role) -> Self {
        let (kin, gone_early) = (BTreeMap::new(), BTreeSet::new());
        Self { id, role, state: State::Queued, kin, surveys_due: 0, rounds: 0, gone_early }
    }

    /// The same, which may not be spawned before `before_spawn` has said so.
    pub fn vetting(id: ProcessId, role: Role) -> Self {
        Self { state: State::Vetting, ..Self::queued(id, role) }
    }

    /// Its life, from the spawn's report to its exit.
    pub fn life(&self) -> Option<&Life> {
        match &self.state {
            State::Running(life) | State::Probation { life, .. } | State::Ending { life, .. } => Some(life),
            State::Vetting | State::Queued | State::Spawning { .. } | State::Lingering { .. } => None,
        }
    }

    /// Whether it runs and nothing asked it to end.
    pub const fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_) | State::Probation { .. })
    }

    /// Whether its spawn is wanted but not decided, or not accepted yet.
    pub const fn is_arriving(&self) -> bool {
        matches!(
            self.state,
            State::Vetting | State::Queued | State::Spawning { end: None } | State::Probation { .. }
        )
    }

    /// Whether it runs and `after_spawn` has not accepted it.
    pub const fn is_on_probation(&self) -> bool {
        matches!(self.state, State::Probation { .. })
    }

    /// Whether no spawn was issued for it.
    pub const fn is_unborn(&self) -> bool {
        matches!(self.state, State::Vetting | State::Queued)
    }

    /// Whether its spawn was issued and its result is awaited, also if it is to end at once.
    pub const fn is_spawning(&self) -> bool {
        matches!(self.state, State::Spawning { .. })
    }

    /// Whether it waits for a place among the spawns in flight.
    pub const fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued)
    }

    /// Whether it counts for the wanted number: there or coming, and not asked to end.
    pub const fn is_staying(&self) -> bool {
        self.is_running() || self.is_arriving()
    }

    /// Whether it is on its way out but its slot will be filled when it is gone.
    pub const fn will_be_refilled(&self) -> bool {
        match &self.state {
            State::Ending { order, .. } | State::Spawning { end: Some(order) } => order.refill,
            State::Lingering { order, after } => order.refill && !matches!(after, After::Suspect { .. }),
            State::Vetting | State::Queued | State::Spawning { end: None } => false,
            State::Probation { .. } | State::Running(_) => false,
        }
    }

    /// Whether its slot number is taken.
    pub const fn holds_slot(&self) -> bool {
        !matches!(self.state, State::Lingering { after: After::Suspect { .. }, .. })
    }

    /// Whether it is to end and has not been sent a signal yet: it is being spawned, its members are looked for, or a
    /// hook is asked.
    pub const fn awaits_signal(&self) -> bool {
        match self.state {
            State::Spawning { end } => end.is_some(),
            State::Ending { stage, .. } => matches!(stage, Stage::Surveying | Stage::Announced),
            State::Vetting | State::Queued | State::Probation { .. } => false,
            State::Running(_) | State::Lingering { .. } => false,
        }
    }

    /// Takes back the promise to fill its slot again.
    pub fn do_not_refill(&mut self) {
        match &mut self.state {
            State::Ending { order, .. }
            | State::Spawning { end: Some(order) }
            | State::Lingering { order, .. } => {
                order.refill = false;
            }
            State::Vetting | State::Queued | State::Spawning { end: None } => {}
            State::Probation { .. } | State::Running(_) => {}
        }
    }

    /// `before_spawn` has allowed it.
    pub fn allowed(&mut self) {
        if matches!(self.state, State::Vetting) {
            self.state = State::Queued;
        }
    }

    /// `after_spawn` is to be asked at that moment, if it runs.
    pub fn put_on_probation(&mut self, at: Timestamp) {
        if let State::Running(life) | State::Probation { life, .. } = self.state {
            self.state = State::Probation { life, question: Question::Due(at) };
        }
    }

    /// When `after_spawn` is to be asked; `None` if it is asked or need not be.
    pub const fn question_due(&self) -> Option<Timestamp> {
        match self.state {
            State::Probation { question: Question::Due(at), .. } => Some(at),
            State::Probation { question: Question::Asked, .. } => None,
            State::Vetting | State::Queued | State::Spawning { .. } => None,
            State::Running(_) | State::Ending { .. } | State::Lingering { .. } => None,
        }
    }

    /// `after_spawn` was asked.
    pub fn question_asked(&mut self) {
        if let State::Probation { question, .. } = &mut self.state {
            *question = Question::Asked;
        }
    }

    /// `after_spawn` need not be waited for any more. Returns the life of which nothing was told.
    pub fn accepted(&mut self) -> Option<Life> {
        let State::Probation { life, .. } = self.state else { return None };
        self.state = State::Running(life);
        Some(life)
    }

    /// The spawn leaves now.
    pub fn issue(&mut self) {
        if self.is_queued() {
            self.state = State::Spawning { end: None };
        }
    }

    /// The spawn succeeded. An end that was asked for meanwhile begins.
    pub fn spawned(&mut self, life: Life, policy: &EndPolicy<'_>, out: &mut Outbox) {
        match self.state {
            State::Spawning { end } => {
                self.state = State::Running(life);
                if let Some(order) = end {
                    self.end(order, policy, out);
                }
            }
            // Only one result comes for a spawn.
            State::Vetting | State::Queued | State::Probation { .. } | State::Running(_) => {}
            State::Ending { .. } | State::Lingering { .. } => {}
        }
    }

    /// The process was reaped.
    pub fn exited(
        &mut self,
        exit: Exit,
        group_alive: bool,
        policy: &EndPolicy<'_>,
        out: &mut Outbox,
    ) -> Option<End> {
        let (life, order, asked, deadline) = match self.state {
            State::Running(life) | State::Probation { life, .. } => {
                (life, policy.default, false, out.now.mono + policy.default.grace)
            }
            State::Ending { life, order, stage: Stage::Surveying } => {
                (life, order, false, out.now.mono + order.grace)
            }
            // What the hook does meanwhile may be what ends it.
            State::Ending { life, order, stage: Stage::Announced } => {
                (life, order, true, out.now.mono + order.grace)
            }
            State::Ending { life, order, stage: Stage::Asked { kill_at } } => (life, order, true, kill_at),
            State::Ending { life, order, stage: Stage::Condemned | Stage::Killed } => {
                (life, order, true, out.now.mono)
            }
            State::Vetting | State::Queued | State::Spawning { .. } => return None,
            State::Lingering { .. } => return None,
        };
        let deliberate = matches!(self.state, State::Ending { .. });
        let refill = !deliberate || order.refill;
        let others = group_alive || !self.kin.is_empty() || self.surveys_due > 0;
        let aftermath = match policy.orphans {
            Orphans::Keep => Aftermath::Over,
            Orphans::End if others => Aftermath::Held,
            // The survey before the signal has told that nobody else was there.
            Orphans::End if deliberate => Aftermath::Over,
            Orphans::End => Aftermath::Suspect,
        };
        let order = EndOrder { refill, ..order };
        match aftermath {
            Aftermath::Over => {}
            Aftermath::Held => {
                self.state = State::Lingering { order, after: After::Ending { kill_at: deadline } };
                self.ask_kin(policy, out);
                self.survey(out);
            }
            Aftermath::Suspect => {
                let survey_at = suspicion_ends(out.now.mono);
                self.state = State::Lingering { order, after: After::Suspect { survey_at } };
            }
        }
        Some(End { life, exit, asked, refill, aftermath })
    }

    /// One of the surveys asked for has been answered.
    pub fn surveyed(&mut self, found: &[Member], policy: &EndPolicy<'_>, out: &mut Outbox) -> Rest {
        self.surveys_due = self.surveys_due.saturating_sub(1);
        for member in found.iter().filter(|member| !self.gone_early.contains(&member.id)) {
            let kin = Kin { pid: member.pid, direct: member.direct, asked: false };
            self.kin.entry(member.id).or_insert(kin).direct |= member.direct;
        }
        // Who was seen alive and has ended since may have forked in between: that look proves nothing.
        let stale = !self.gone_early.is_empty();
        if self.surveys_due == 0 {
            self.gone_early.clear();
        }
        match self.state {
            State::Ending { stage: Stage::Surveying, .. } if self.surveys_due == 0 => self.ask(policy, out),
            State::Lingering { order, after } => {
                if matches!(after, After::Suspect { .. }) && !self.kin.is_empty() {
                    let kill_at = out.now.mono + order.grace;
                    // Its slot was filled long ago.
                    let order = EndOrder { refill: false, ..order };
                    self.state = State::Lingering { order, after: After::Ending { kill_at } };
                }
                self.ask_kin(policy, out);
                if stale {
                    self.look_again(out);
                }
                return self.rest();
            }
            State::Vetting | State::Queued | State::Spawning { .. } => {}
            State::Probation { .. } | State::Running(_) | State::Ending { .. } => {}
        }
        Rest::Some
    }

    /// A member has ended.
    pub fn member_gone(&mut self, member: MemberId, out: &mut Outbox) -> Rest {
        let known = self.kin.remove(&member).is_some();
        // A survey under way may have seen it alive.
        if self.surveys_due > 0 {
            self.gone_early.insert(member);
        }
        match self.state {
            State::Lingering { .. } if known => {
                self.look_again(out);
                self.rest()
            }
            State::Lingering { .. } | State::Vetting | State::Queued | State::Spawning { .. } => Rest::Some,
            State::Probation { .. } | State::Running(_) | State::Ending { .. } => Rest::Some,
        }
    }

    /// When `due` has something to do next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Ending { stage: Stage::Asked { kill_at }, .. } => Some(*kill_at),
            State::Lingering { after: After::Ending { kill_at }, .. } => Some(*kill_at),
            State::Lingering { after: After::Suspect { survey_at }, .. } => {
                (self.surveys_due == 0).then_some(*survey_at)
            }
            State::Running(life) => life.expires,
            State::Vetting | State::Queued | State::Spawning { .. } => None,
            State::Probation { .. } | State::Ending { .. } | State::Lingering { .. } => None,
        }
    }

    /// Whether it has outlived its maximum age.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Running(life) => life.expires.is_some_and(|at| at <= now),
            State::Vetting | State::Queued | State::Spawning { .. } => false,
            State::Probation { .. } | State::Ending { .. } | State::Lingering { .. } => false,
        }
    }

    /// The members of an exited process that were known have gone. They may have forked before they went: looks once
    /// more before it is said that all is gone.
    fn look_again(&mut self, out: &mut Outbox) {
        if self.kin.is_empty() && self.surveys_due == 0 && self.rounds < MAX_SURVEYS {
            self.rounds += 1;
            self.survey(out);
        }
    }

    fn survey(&mut self, out: &mut Outbox) {
        // Asked for twice in one breath it is answered once.
        if out.surveys.insert(self.id) {
            self.surveys_due += 1;
        }
    }

    /// Whether anything of an exited process is left.
    fn rest(&self) -> Rest {
        let State::Lingering { order, after } = self.state else { return Rest::Some };
        if self.surveys_due > 0 || !self.kin.is_empty() {
            return Rest::Some;
        }
        Rest::Nothing { held_slot: !matches!(after, After::Suspect { .. }), refill: order.refill }
    }
}

#[cfg(test)]
mod tests;
