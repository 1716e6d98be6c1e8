//! Answers that wait for the processes which their request has started.
//!
//! Circus starts processes before it says ok, so whoever asks for `list` next finds them there. Here they are born on
//! other threads: the answer waits for that, but not for a file system that hangs.

use std::{collections::BTreeSet, time::Duration};

use crate::arbiter::{Effect, Timestamp, id::ProcessId};

/// The longest that an answer waits.
const PATIENCE: Duration = Duration::from_millis(100);

/// An answer that waits.
#[derive(Debug)]
struct Held {
    answer: Effect,
    unborn: BTreeSet<ProcessId>,
    until: Timestamp,
}

/// The answers that wait.
#[derive(Debug, Default)]
pub(super) struct Unborn(Vec<Held>);

/// The processes that these effects start.
pub(super) fn started(effects: &[Effect]) -> BTreeSet<ProcessId> {
    let process = |effect: &Effect| {
        if let Effect::Spawn { process, .. } = effect { Some(*process) } else { None }
    };
    effects.iter().filter_map(process).collect()
}

impl Unborn {
    /// Keeps an answer back until these are born.
    pub fn hold(&mut self, answer: Effect, unborn: BTreeSet<ProcessId>, now: Timestamp) {
        self.0.push(Held { answer, unborn, until: now + PATIENCE });
    }

    /// A process runs, or will not.
    pub fn settled(&mut self, process: ProcessId) {
        for held in &mut self.0 {
            held.unborn.remove(&process);
        }
    }

    /// The answers whose wait is over.
    pub fn due(&mut self, now: Timestamp) -> Vec<Effect> {
        let over = |held: &mut Held| held.unborn.is_empty() || held.until <= now;
        self.0.extract_if(.., over).map(|held| held.answer).collect()
    }

    /// All of them.
    pub fn all(&mut self) -> Vec<Effect> {
        self.0.drain(..).map(|held| held.answer).collect()
    }

    /// When the first has waited long enough.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.0.iter().map(|held| held.until).min()
    }
}

#[cfg(test)]
mod tests {
    use circus_common::protocol::Reply;

    use super::*;
    use crate::arbiter::id::{RequestId, WatcherId};

    fn answer(request: u64) -> Effect {
        Effect::Reply { request: RequestId(request), reply: Reply::ok() }
    }

    fn process(generation: u64) -> ProcessId {
        ProcessId { generation, watcher: WatcherId(1), wid: 1 }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::since_start(Duration::from_millis(millis))
    }

    #[test]
    fn an_answer_waits_for_the_last_of_its_processes() {
        let mut unborn = Unborn::default();
        unborn.hold(answer(1), [process(1), process(2)].into(), at(0));
        unborn.hold(answer(2), [process(2), process(3)].into(), at(1));
        unborn.settled(process(2));
        assert!(unborn.due(at(50)).is_empty());
        unborn.settled(process(1));
        assert_eq!(unborn.due(at(50)), [answer(1)]);
        assert_eq!(unborn.all(), [answer(2)]);
        assert_eq!(unborn.next_deadline(), None);
    }

    #[test]
    fn but_not_for_long() {
        let mut unborn = Unborn::default();
        unborn.hold(answer(1), [process(1)].into(), at(7));
        assert_eq!(unborn.next_deadline(), Some(at(107)));
        assert_eq!((unborn.due(at(106)), unborn.due(at(107))), (vec![], vec![answer(1)]));
    }
}
