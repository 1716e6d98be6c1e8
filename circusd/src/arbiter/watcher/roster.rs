//! The processes of a watcher, and what is asked about all of them at every step: counted and sorted when one of them
//! changes, so that a step of a thousand processes does not look at each.

use std::collections::{BTreeMap, BTreeSet};

use crate::arbiter::{
    id::ProcessId,
    process::{Process, Role},
    time::Timestamp,
};

/// The processes of a watcher, in order of spawn.
#[derive(Debug, Default)]
pub(super) struct Roster {
    // Boxed: a map of one entry takes the room of eleven, and most watchers have one process.
    all: BTreeMap<ProcessId, Box<Process>>,
    living: usize,
    staying: usize,
    returning: usize,
    arriving: usize,
    unsignalled: usize,
    /// When time alone changes something about a process.
    moments: BTreeSet<(Timestamp, ProcessId)>,
}

/// What is counted of one process.
#[derive(Clone, Copy, PartialEq)]
struct Traits {
    living: bool,
    staying: bool,
    returning: bool,
    arriving: bool,
    unsignalled: bool,
    moment: Option<Timestamp>,
}

impl Traits {
    fn of(process: &Process) -> Self {
        let counts = process.role != Role::Outgoing;
        let staying = process.is_staying();
        Self {
            living: process.life().is_some(),
            staying: counts && staying,
            returning: counts && !staying && process.will_be_refilled(),
            arriving: process.is_arriving(),
            unsignalled: process.awaits_signal(),
            moment: process.next_deadline().or(process.question_due()),
        }
    }
}

impl Roster {
    /// Those that were spawned and have not exited.
    pub const fn living(&self) -> usize {
        self.living
    }

    /// Those there or coming and not asked to end, but for what a reload is about to replace.
    pub const fn staying(&self) -> usize {
        self.staying
    }

    /// Those on the way out whose slots will be filled when they are gone, but for the same.
    pub const fn returning(&self) -> usize {
        self.returning
    }

    /// Those whose spawn is wanted and not decided, or not accepted yet.
    pub const fn arriving(&self) -> usize {
        self.arriving
    }

    /// Those that are to end and have not been sent a signal yet.
    pub const fn unsignalled(&self) -> usize {
        self.unsignalled
    }

    /// Those whose moment has come, in order of spawn.
    pub fn due(&self, now: Timestamp) -> Vec<ProcessId> {
        let mut due: Vec<ProcessId> =
            self.moments.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        due.sort_unstable();
        due
    }

    /// The first moment after this one.
    pub fn next_moment(&self, now: Timestamp) -> Option<Timestamp> {
        self.moments.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    /// One of them.
    pub fn get(&self, id: ProcessId) -> Option<&Process> {
        self.all.get(&id).map(Box::as_ref)
    }

    /// Whether it is one of them.
    pub fn contains(&self, id: ProcessId) -> bool {
        self.all.contains_key(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Process> {
        self.all.values().map(Box::as_ref)
    }

    /// The names of all.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = ProcessId> {
        self.all.keys().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Changes one of them.
    pub fn change<T>(&mut self, id: ProcessId, how: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let process = self.all.get_mut(&id)?;
        let before = Traits::of(process);
        let result = how(process);
        let after = Traits::of(process);
        if before != after {
            self.forget(id, before);
            self.note(id, after);
        }
        Some(result)
    }

    /// Changes all of them, in order.
    pub fn change_all(&mut self, mut how: impl FnMut(&mut Process)) {
        let ids: Vec<ProcessId> = self.ids().collect();
        for id in ids {
            self.change(id, &mut how);
        }
    }

    /// Takes in a new one.
    pub fn insert(&mut self, process: Process) {
        let id = process.id;
        self.remove(id);
        self.note(id, Traits::of(&process));
        self.all.insert(id, Box::new(process));
    }

    /// Lets go of one.
    pub fn remove(&mut self, id: ProcessId) -> Option<Box<Process>> {
        let process = self.all.remove(&id)?;
        self.forget(id, Traits::of(&process));
        Some(process)
    }

    /// Lets go of all.
    pub fn take(&mut self) -> impl Iterator<Item = Box<Process>> {
        std::mem::take(self).all.into_values()
    }

    fn note(&mut self, id: ProcessId, traits: Traits) {
        self.living += usize::from(traits.living);
        self.staying += usize::from(traits.staying);
        self.returning += usize::from(traits.returning);
        self.arriving += usize::from(traits.arriving);
        self.unsignalled += usize::from(traits.unsignalled);
        self.moments.extend(traits.moment.map(|at| (at, id)));
    }

    fn forget(&mut self, id: ProcessId, traits: Traits) {
        self.living -= usize::from(traits.living);
        self.staying -= usize::from(traits.staying);
        self.returning -= usize::from(traits.returning);
        self.arriving -= usize::from(traits.arriving);
        self.unsignalled -= usize::from(traits.unsignalled);
        if let Some(at) = traits.moment {
            self.moments.remove(&(at, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::arbiter::{
        id::WatcherId, input::Exit, outbox::Outbox, process::Life, time::Now, watcher::end_policy,
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::since_start(Duration::from_secs(seconds))
    }

    /// Whatever happens to processes in whatever order, the counts are what counting says.
    #[test]
    fn the_counts_are_those_of_a_count() {
        let mut chance = fastrand::Rng::with_seed(7);
        let config = circus_common::config::WatcherConfig::new("web", "sleep 1");
        let policy = end_policy(&config);
        let mut roster = Roster::default();
        let mut seen = BTreeSet::new();
        for step in 0..20_000 {
            let now = at(step / 100);
            let mut out =
                Outbox::new(Now { mono: now, wall: 0.0 }, 1, Duration::from_secs(1), Default::default());
            let id = ProcessId { generation: chance.u64(1..20), watcher: WatcherId(1), wid: 1 };
            let role = chance.choice([Role::Current, Role::Outgoing, Role::Candidate]).expect("one of three");
            let expires = chance.bool().then(|| at(chance.u64(0..300)));
            let life = Life { pid: 42, started: 0.0, since: now, expires };
            match chance.u8(0..14) {
                0 => roster.insert(Process::queued(id, role)),
                1 => roster.insert(Process::vetting(id, role)),
                2 => _ = roster.remove(id),
                3 => roster.change_all(|process| process.role = role),
                4 => _ = roster.change(id, Process::allowed),
                5 | 6 => _ = roster.change(id, Process::issue),
                7 | 8 => _ = roster.change(id, |process| process.spawned(life, &policy, &mut out)),
                9 => _ = roster.change(id, |process| process.put_on_probation(now)),
                10 => _ = roster.change(id, |process| process.end(policy.default, &policy, &mut out)),
                11 => {
                    _ = roster.change(id, |process| {
                        process.exited(Exit::Code(1), chance.bool(), &policy, &mut out)
                    });
                }
                12 => _ = roster.change(id, Process::do_not_refill),
                _ => _ = roster.change(id, |process| process.surveyed(&[], &policy, &mut out)),
            }
            let count = |is: fn(&Traits) -> bool| roster.iter().map(Traits::of).filter(is).count();
            let counted = [
                count(|it| it.living),
                count(|it| it.staying),
                count(|it| it.returning),
                count(|it| it.arriving),
                count(|it| it.unsignalled),
            ];
            let counts = [
                roster.living(),
                roster.staying(),
                roster.returning(),
                roster.arriving(),
                roster.unsignalled(),
            ];
            assert_eq!(counts, counted, "step {step}");
            let moments =
                || roster.iter().filter_map(|process| Some((Traits::of(process).moment?, process.id)));
            let due: Vec<ProcessId> =
                moments().filter(|(moment, _)| *moment <= now).map(|(_, id)| id).collect();
            assert_eq!(roster.due(now), due, "step {step}");
            let next = moments().map(|(moment, _)| moment).filter(|moment| *moment > now).min();
            assert_eq!(roster.next_moment(now), next, "step {step}");
            seen.insert(counted);
        }
        assert!(seen.len() > 100, "only {} different counts were met", seen.len());
    }
}
