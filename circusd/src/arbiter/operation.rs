//! Operations of a watcher: the promise of an answer about work that lasts.
//!
//! Per watcher one runs and the others queue. What becomes of one that arrives while another runs:
//!
//! | arrives | while a start runs | while a stop runs | while a restart or reload runs |
//! |---|---|---|---|
//! | start | joins it | is queued | joins it |
//! | stop | supersedes it and all that is queued | joins it | supersedes it and all that is queued |
//! | restart, reload | is queued, or joins a queued one | the same | the same |
//! | removal | supersedes all | joins it, then removes | supersedes all |
//!
//! [`Operations::admit`] applies it and nothing else does. Changes of the number, `kill` and `signal` do not queue.

use std::collections::{BTreeSet, VecDeque};

use circus_common::protocol::ErrorCode;

use super::id::{ProcessId, WatcherId};

/// Operations that may wait for one watcher; beyond that a request is refused.
pub(super) const QUEUE_LIMIT: usize = 64;

/// Whom the end of a piece of work is reported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiter {
    /// A request with one or several parts.
    Pending(u64),
    /// Work on several watchers in order.
    Campaign(u64),
}

/// A part has ended.
#[derive(Debug, PartialEq)]
pub(super) struct Completion {
    /// For whom.
    pub waiter: Waiter,
    /// Where.
    pub watcher: WatcherId,
    /// Its name as written.
    pub name: String,
    /// How.
    pub outcome: Outcome,
}

/// How a part ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// As asked.
    Done(Tally),
    /// Given up after failed spawns, or still failing after several; told as ok with the last error beside it.
    GaveUp(Tally, String),
    /// Not done.
    Failed(ErrorCode, String),
}

/// Which pids an operation stopped, started and left alone; each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// There before, not after.
    pub stopped: Vec<i32>,
    /// There after, not before.
    pub started: Vec<i32>,
    /// There before and after.
    pub kept: Vec<i32>,
}

impl Tally {
    /// The difference of two sets of pids.
    pub fn between(before: &BTreeSet<i32>, after: &BTreeSet<i32>) -> Self {
        Self {
            stopped: before.difference(after).copied().collect(),
            started: after.difference(before).copied().collect(),
            kept: before.intersection(after).copied().collect(),
        }
    }
}

/// What is to be done with a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Be active with all processes.
    Start,
    /// Be stopped.
    Stop,
    /// Be stopped, then started.
    Restart,
    /// Replace the processes.
    Reload {
        /// Not stop and start, but new before old.
        graceful: bool,
        /// One process after the other.
        sequential: bool,
    },
    /// Be stopped and take the configuration that waits, then start if that says autostart.
    Replace,
    /// Be stopped and forgotten.
    Remove,
}

impl Kind {
    /// The word for messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload { .. } => "reload",
            Self::Replace => "reloadconfig",
            Self::Remove => "rm",
        }
    }

    /// Whether it ends whatever was wanted before.
    const fn supersedes(self) -> bool {
        match self {
            Self::Stop | Self::Replace | Self::Remove => true,
            Self::Start | Self::Restart | Self::Reload { .. } => false,
        }
    }
}

/// How far an operation has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What was there before has still to end, or nothing was done yet.
    Fresh,
    /// The processes are being started.
    Starting,
    /// The watcher was active: these missing processes are being added.
    Adding(BTreeSet<ProcessId>),
    /// The processes are being replaced.
    Reloading,
}

/// A piece of work on a watcher and who waits for it.
#[derive(Debug)]
pub(super) struct Operation {
    /// What.
    pub kind: Kind,
    /// For whom; nobody if no client waits.
    pub waiters: Vec<Waiter>,
    /// The pids when it began.
    pub before: BTreeSet<i32>,
    /// How far it has got.
    pub stage: Stage,
    /// The last error, for the answer.
    pub error: Option<String>,
}

impl Operation {
    /// A piece of work that has not begun.
    pub fn new(kind: Kind, waiter: Option<Waiter>) -> Self {
        Self {
            kind,
            waiters: waiter.into_iter().collect(),
            before: BTreeSet::new(),
            stage: Stage::Fresh,
            error: None,
        }
    }
}

/// What became of a newly asked operation.
#[derive(Debug)]
pub(super) enum Admission {
    /// It waits for its turn, or joined one that does or runs.
    Accepted,
    /// It ended these, which are to be told; it is next.
    Superseded(Vec<Operation>),
    /// Too many wait already.
    Full,
}

/// The running operation of a watcher and those that wait.
#[derive(Debug, Default)]
pub(super) struct Operations {
    running: Option<Operation>,
    waiting: VecDeque<Operation>,
}

impl Operations {
    /// The running one.
    pub fn running(&self) -> Option<&Operation> {
        self.running.as_ref()
    }

    /// The running one.
    pub fn running_mut(&mut self) -> Option<&mut Operation> {
        self.running.as_mut()
    }

    /// Whether nothing runs and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Takes the running one away: it has ended.
    pub fn finish(&mut self) -> Option<Operation> {
        self.running.take()
    }

    /// Makes the first that waits the running one, unless one runs.
    pub fn advance(&mut self) -> Option<&mut Operation> {
        if self.running.is_some() {
            return None;
        }
        self.running = self.waiting.pop_front();
        // Watchers are many, and hardly ever does anything wait.
        self.waiting.shrink_to_fit();
        self.running.as_mut()
    }

    /// Takes everything away: the watcher is gone.
    pub fn drain(&mut self) -> Vec<Operation> {
        self.running.take().into_iter().chain(self.waiting.drain(..)).collect()
    }

    /// Whether one more of this kind would be refused.
    pub fn is_full(&self, kind: Kind) -> bool {
        let joins = self.waiting.iter().any(|queued| queued.kind == kind || kind == Kind::Start);
        !kind.supersedes() && !joins && self.waiting.len() >= QUEUE_LIMIT
    }

    /// Applies the table above.
    pub fn admit(&mut self, operation: Operation) -> Admission {
        if operation.kind.supersedes() {
            return self.supersede(operation);
        }
        if let Some(host) = self.host_for(operation.kind) {
            host.waiters.extend(operation.waiters);
            return Admission::Accepted;
        }
        if self.waiting.len() >= QUEUE_LIMIT {
            return Admission::Full;
        }
        self.waiting.push_back(operation);
        Admission::Accepted
    }

    /// The operation that a start, restart or reload joins, if there is one.
    fn host_for(&mut self, kind: Kind) -> Option<&mut Operation> {
        match kind {
            // A start is content with anything that ends active; only the last one in line tells how it will end.
            Kind::Start => match self.waiting.back_mut() {
                Some(last) => (last.kind != Kind::Stop && last.kind != Kind::Remove).then_some(last),
                None => self.running.as_mut().filter(|running| match running.kind {
                    Kind::Start | Kind::Restart | Kind::Reload { .. } | Kind::Replace => true,
                    Kind::Stop | Kind::Remove => false,
                }),
            },
            // Never the running one: its processes may be older than this request.
            Kind::Restart | Kind::Reload { .. } => {
                self.waiting.iter_mut().rfind(|queued| queued.kind == kind)
            }
            Kind::Stop | Kind::Replace | Kind::Remove => None,
        }
    }

    /// A stop joins a running stop, or a removal; otherwise it and its like end all that was asked before. Only a
    /// running stop is let finish first: it is on the way.
    fn supersede(&mut self, operation: Operation) -> Admission {
        if operation.kind == Kind::Stop
            && let Some(removal) = self.removal()
        {
            removal.waiters.extend(operation.waiters);
            return Admission::Accepted;
        }
        let mut ended: Vec<Operation> = self.waiting.drain(..).collect();
        match &mut self.running {
            Some(running) if running.kind == operation.kind => running.waiters.extend(operation.waiters),
            Some(running) if running.kind == Kind::Stop => self.waiting.push_back(operation),
            Some(_) | None => {
                ended.extend(self.running.take());
                self.waiting.push_back(operation);
            }
        }
        Admission::Superseded(ended)
    }

    /// The removal that runs or is next.
    fn removal(&mut self) -> Option<&mut Operation> {
        self.running.iter_mut().chain(&mut self.waiting).find(|it| it.kind == Kind::Remove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(operations: &Operations) -> (Option<Kind>, Vec<Kind>) {
        (operations.running().map(|op| op.kind), operations.waiting.iter().map(|op| op.kind).collect())
    }

    fn running(kind: Kind) -> Operations {
        Operations { running: Some(Operation::new(kind, Some(Waiter::Pending(0)))), waiting: VecDeque::new() }
    }

    #[test]
    fn a_start_joins_a_running_start_restart_and_reload() {
        for kind in [Kind::Start, Kind::Restart, Kind::Reload { graceful: true, sequential: false }] {
            let mut operations = running(kind);
            operations.admit(Operation::new(Kind::Start, Some(Waiter::Pending(1))));
            assert_eq!(kinds(&operations), (Some(kind), vec![]));
            assert_eq!(operations.running().map(|op| op.waiters.len()), Some(2));
        }
    }

    #[test]
    fn a_start_queues_behind_a_running_stop_and_a_second_start_joins_it() {
        let mut operations = running(Kind::Stop);
        operations.admit(Operation::new(Kind::Start, None));
        operations.admit(Operation::new(Kind::Start, None));
        assert_eq!(kinds(&operations), (Some(Kind::Stop), vec![Kind::Start]));
    }

    #[test]
    fn a_restart_queues_behind_a_running_restart_and_joins_a_queued_one() {
        let mut operations = running(Kind::Restart);
        operations.admit(Operation::new(Kind::Restart, Some(Waiter::Pending(1))));
        operations.admit(Operation::new(Kind::Restart, Some(Waiter::Pending(2))));
        assert_eq!(kinds(&operations), (Some(Kind::Restart), vec![Kind::Restart]));
        assert_eq!(operations.waiting[0].waiters.len(), 2);
    }

    #[test]
    fn a_stop_ends_the_running_start_and_everything_queued_before() {
        let mut operations = running(Kind::Start);
        operations.admit(Operation::new(Kind::Restart, None));
        let admission = operations.admit(Operation::new(Kind::Stop, None));
        let Admission::Superseded(ended) = admission else { panic!("not superseded") };
        assert_eq!(ended.iter().map(|op| op.kind).collect::<Vec<_>>(), [Kind::Restart, Kind::Start]);
        assert_eq!(kinds(&operations), (None, vec![Kind::Stop]));
    }

    #[test]
    fn a_stop_joins_a_running_stop_and_ends_the_start_queued_between() {
        let mut operations = running(Kind::Stop);
        operations.admit(Operation::new(Kind::Start, None));
        let admission = operations.admit(Operation::new(Kind::Stop, Some(Waiter::Pending(1))));
        let Admission::Superseded(ended) = admission else { panic!("not superseded") };
        assert_eq!(ended.len(), 1);
        assert_eq!(kinds(&operations), (Some(Kind::Stop), vec![]));
        assert_eq!(operations.running().map(|op| op.waiters.len()), Some(2));
    }

    #[test]
    fn a_removal_lets_a_running_stop_finish_and_a_further_stop_joins_the_removal() {
        let mut operations = running(Kind::Stop);
        operations.admit(Operation::new(Kind::Start, None));
        operations.admit(Operation::new(Kind::Remove, None));
        assert_eq!(kinds(&operations), (Some(Kind::Stop), vec![Kind::Remove]));
        operations.admit(Operation::new(Kind::Stop, Some(Waiter::Pending(1))));
        assert_eq!(kinds(&operations), (Some(Kind::Stop), vec![Kind::Remove]));
        assert_eq!(operations.waiting[0].waiters, [Waiter::Pending(1)]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut operations = running(Kind::Stop);
        for sequential in [true, false].into_iter().cycle().take(QUEUE_LIMIT) {
            operations.waiting.push_back(Operation::new(Kind::Reload { graceful: true, sequential }, None));
        }
        let admission = operations.admit(Operation::new(Kind::Restart, None));
        assert!(matches!(admission, Admission::Full));
    }
}
