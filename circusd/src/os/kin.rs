//! Who belongs to whom: the rules by which a process found in `/proc` is a member of one of ours.

use std::collections::{HashMap, HashSet};

use super::procfs::{Identity, Stat};
use crate::arbiter::id::ProcessId;

/// A process whose members are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub process: ProcessId,
    /// Its number, and that of the session and group it leads.
    pub pid: i32,
    /// Its start time in ticks since boot.
    pub start: u64,
    /// When it was reaped; `None` while it lives.
    pub exited: Option<u64>,
    /// The members found before.
    pub known: Vec<Identity>,
}

/// One member found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kin {
    /// Its number and start time.
    pub identity: Identity,
    /// Whether the subject is its parent.
    pub direct: bool,
}

/// The members of each subject, besides itself, in order of pid. `strangers` are never members: circusd and every
/// process that it manages or has released.
pub fn members(all: &[Stat], subjects: &[Subject], strangers: &HashSet<i32>) -> Vec<Vec<Kin>> {
    let by_pid: HashMap<i32, &Stat> = all.iter().map(|stat| (stat.pid, stat)).collect();
    let mut owner = Owners::seed(all, subjects, strangers);
    let mut found = vec![Vec::new(); subjects.len()];
    for stat in all {
        if let Some(subject) = owner.of(stat, &by_pid) {
            let alive = subjects.get(subject).filter(|subject| subject.exited.is_none());
            let direct = alive.is_some_and(|subject| subject.pid == stat.ppid);
            if stat.lives()
                && !strangers.contains(&stat.pid)
                && let Some(list) = found.get_mut(subject)
            {
                list.push(Kin { identity: stat.identity(), direct });
            }
        }
    }
    found.iter_mut().for_each(|list| list.sort_by_key(|kin| kin.identity));
    found
}

/// For each pid the place of the subject it belongs to, `None` if it belongs to nobody.
struct Owners(HashMap<i32, Option<usize>>);

impl Owners {
    /// The living subjects themselves, what is in their sessions and groups, and what was found before.
    fn seed(all: &[Stat], subjects: &[Subject], strangers: &HashSet<i32>) -> Self {
        let by_pid: HashMap<i32, (usize, &Subject)> =
            subjects.iter().enumerate().map(|(place, subject)| (subject.pid, (place, subject))).collect();
        let known: HashMap<Identity, usize> = subjects
            .iter()
            .enumerate()
            .flat_map(|(place, subject)| subject.known.iter().map(move |identity| (*identity, place)))
            .collect();
        let proven = proven_sessions(all, &by_pid);
        let mut owners: HashMap<i32, Option<usize>> = strangers.iter().map(|pid| (*pid, None)).collect();
        for stat in all {
            let seat = |number| {
                by_pid.get(&number).filter(|(_, subject)| in_time(stat, subject, proven.contains(&number)))
            };
            let place = known.get(&stat.identity()).copied();
            let place =
                place.or_else(|| seat(stat.session).or_else(|| seat(stat.pgrp)).map(|(place, _)| *place));
            if let Some(place) = place.filter(|_| !strangers.contains(&stat.pid)) {
                owners.insert(stat.pid, Some(place));
            }
        }
        for (pid, (place, subject)) in by_pid {
            if subject.exited.is_none() {
                owners.insert(pid, Some(place));
            }
        }
        Self(owners)
    }

    /// Whose this process is: its own, else its parent's.
    fn of(&mut self, stat: &Stat, by_pid: &HashMap<i32, &Stat>) -> Option<usize> {
        let mut path = Vec::new();
        let mut current = stat;
        let owner = loop {
            if let Some(known) = self.0.get(&current.pid) {
                break *known;
            }
            path.push(current.pid);
            // The pass is no snapshot, so a reused number may close a circle: no longer path than processes.
            match by_pid.get(&current.ppid) {
                Some(parent) if path.len() <= by_pid.len() => current = parent,
                Some(_) | None => break None,
            }
        };
        self.0.extend(path.into_iter().map(|pid| (pid, owner)));
        owner
    }
}

/// Sessions and groups of exited subjects that still have a member from its lifetime: a number is not reused while
/// anybody is in it, so whoever is in such a one belongs to the subject, however young.
fn proven_sessions(all: &[Stat], subjects: &HashMap<i32, (usize, &Subject)>) -> HashSet<i32> {
    let proves = |stat: &Stat, number: i32| {
        subjects.get(&number).is_some_and(|(_, subject)| in_time(stat, subject, false)).then_some(number)
    };
    all.iter().flat_map(|stat| [proves(stat, stat.session), proves(stat, stat.pgrp)]).flatten().collect()
}

/// Whether a process is of the subject's time. What started after its end could be of a later use of its number.
fn in_time(stat: &Stat, subject: &Subject, proven: bool) -> bool {
    stat.start >= subject.start && (proven || subject.exited.is_none_or(|exited| stat.start <= exited))
}

/// All direct children of a process, or all its descendants, in the order found.
pub fn descendants(all: &[Stat], pid: i32, recursive: bool) -> Vec<Stat> {
    let mut found: Vec<Stat> = Vec::new();
    let mut parents = HashSet::from([pid]);
    loop {
        let young =
            |stat: &&Stat| parents.contains(&stat.ppid) && !parents.contains(&stat.pid) && stat.lives();
        let next: Vec<Stat> =
            all.iter().filter(young).copied().filter(|stat| !found.contains(stat)).collect();
        if next.is_empty() {
            return found;
        }
        parents.extend(next.iter().map(|stat| stat.pid));
        found.extend(next);
        if !recursive {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::id::WatcherId;

    const CIRCUSD: i32 = 10;

    fn stat(pid: i32, ppid: i32, session: i32, start: u64) -> Stat {
        Stat {
            pid,
            state: b'S',
            ppid,
            pgrp: session,
            session,
            cpu: 0,
            nice: 0,
            threads: 1,
            start,
            vsize: 0,
            rss: 0,
            stack: 0,
        }
    }

    fn subject(pid: i32, exited: Option<u64>) -> Subject {
        let process = ProcessId { generation: 1, watcher: WatcherId(0), wid: 1 };
        Subject { process, pid, start: 100, exited, known: Vec::new() }
    }

    fn pids(all: &[Stat], subject: Subject) -> Vec<i32> {
        let strangers = HashSet::from([CIRCUSD, 20, 30]);
        members(all, &[subject], &strangers).concat().iter().map(|kin| kin.identity.0).collect()
    }

    #[test]
    fn a_living_process_has_its_descendants_in_any_session() {
        let all = [
            stat(20, 10, 20, 100),
            stat(21, 20, 20, 101),
            stat(22, 21, 22, 102),
            stat(30, 10, 30, 100),
            stat(31, 30, 30, 101),
        ];
        assert_eq!(pids(&all, subject(20, None)), [21, 22]);
    }

    #[test]
    fn an_exited_process_has_those_left_in_its_session_and_their_descendants() {
        let all = [stat(21, 10, 20, 101), stat(23, 21, 23, 900), stat(24, 10, 24, 102)];
        assert_eq!(pids(&all, subject(20, Some(500))), [21, 23]);
    }

    #[test]
    fn a_later_use_of_the_number_is_a_stranger() {
        let all = [stat(20, 1, 20, 700), stat(25, 20, 20, 701)];
        assert_eq!(pids(&all, subject(20, Some(500))), [0; 0]);
    }

    #[test]
    fn a_young_one_in_a_session_that_never_emptied_is_a_member() {
        let all = [stat(21, 10, 20, 101), stat(26, 10, 20, 900)];
        assert_eq!(pids(&all, subject(20, Some(500))), [21, 26]);
    }

    #[test]
    fn what_was_found_before_stays_a_member_with_its_new_descendants() {
        let all = [stat(22, 10, 22, 102), stat(27, 22, 27, 800)];
        let subject = Subject { known: vec![(22, 102)], ..subject(20, Some(500)) };
        assert_eq!(pids(&all, subject), [22, 27]);
    }

    #[test]
    fn zombies_circusd_and_managed_processes_are_no_members() {
        let zombie = Stat { state: b'Z', ..stat(21, 20, 20, 101) };
        let all = [stat(10, 1, 20, 100), stat(20, 10, 20, 100), zombie, stat(30, 20, 20, 101)];
        assert_eq!(pids(&all, subject(20, None)), [0; 0]);
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let all = [stat(41, 42, 41, 1), stat(42, 41, 41, 1)];
        assert_eq!(pids(&all, subject(20, None)), [0; 0]);
        assert_eq!(descendants(&all, 41, true).len(), 1);
    }

    #[test]
    fn children_are_one_level_and_descendants_are_all() {
        let all = [stat(21, 20, 20, 101), stat(22, 21, 22, 102), stat(23, 22, 22, 103)];
        let found =
            |recursive| descendants(&all, 20, recursive).iter().map(|stat| stat.pid).collect::<Vec<_>>();
        assert_eq!((found(false), found(true)), (vec![21], vec![21, 22, 23]));
    }
}
