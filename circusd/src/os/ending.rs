//! Ends processes that no core watches over: what a killed circusd left, and orphans at quit.
//!
//! Runs on a thread of its own: signals, waits for descriptors, and looks again until nobody is left.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use circus_common::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use tracing::{error, warn};

use super::{
    clock,
    kin::{self, Subject},
    pidfd::Pidfd,
    procfs::{self, Identity, Stat},
    slots::Left,
    surveyor,
    table::Spared,
};
use crate::arbiter::id::{ProcessId, WatcherId};

/// How long a process may take to vanish after SIGKILL before it is given up (it may hang in the kernel).
const AFTER_KILL: Duration = Duration::from_secs(5);

/// How far from the beginning of its spawn a process may have started whose start time was not learnt, in ticks.
const START_WINDOW: u64 = 500;

/// Whom to end.
#[derive(Debug)]
pub enum Search {
    /// What a killed predecessor left: its processes and their sessions.
    Left(Vec<Left>),
    /// Our children that belong to no watcher.
    Orphans { grace: Duration, spared: Spared },
}

/// One to be ended.
struct Doomed {
    pidfd: Pidfd,
    /// Since boot.
    deadline: Duration,
    killed: bool,
}

/// One found, and how it is asked to end.
struct Target {
    identity: Identity,
    signal: Signal,
    grace: Duration,
}

/// Ends all of them and returns how many there were.
pub fn end(search: &Search) -> usize {
    let mut seen: HashSet<Identity> = HashSet::new();
    let mut doomed: HashMap<Identity, Doomed> = HashMap::new();
    loop {
        for target in find(search, &seen) {
            if seen.insert(target.identity)
                && let Some(pidfd) = surveyor::hold(target.identity)
            {
                doomed.insert(target.identity, begin(search, &target, pidfd));
            }
        }
        if doomed.is_empty() {
            return seen.len();
        }
        // Then look again: their last acts may have been forks.
        wait_for_all(&mut doomed);
    }
}

/// Asks one to end.
fn begin(search: &Search, target: &Target, pidfd: Pidfd) -> Doomed {
    let pid = target.identity.0;
    if matches!(search, Search::Orphans { .. }) {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        warn!(pid, name = name.trim_end(), "ending an orphan that belongs to no watcher");
    }
    let kill_at_once = target.grace.is_zero();
    send(&pidfd, pid, if kill_at_once { Signal::KILL } else { target.signal });
    let patience = if kill_at_once { AFTER_KILL } else { target.grace };
    Doomed { pidfd, deadline: clock::since_boot().saturating_add(patience), killed: kill_at_once }
}

fn send(pidfd: &Pidfd, pid: i32, signal: Signal) {
    if let Err(error) = pidfd.signal(signal) {
        warn!(pid, %signal, %error, "cannot signal process");
    }
}

/// Waits until all are gone or a deadline has passed, and acts on it.
fn wait_for_all(doomed: &mut HashMap<Identity, Doomed>) {
    while let Some(deadline) = doomed.values().map(|doomed| doomed.deadline).min() {
        let now = clock::since_boot();
        if deadline <= now {
            return pass_deadlines(doomed, now);
        }
        let patience = deadline - now;
        let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        let patience = rustix::time::Timespec { tv_sec: seconds, tv_nsec: patience.subsec_nanos().into() };
        let identities: Vec<Identity> = doomed.keys().copied().collect();
        let mut fds: Vec<PollFd<'_>> = identities
            .iter()
            .filter_map(|one| doomed.get(one))
            .map(|one| PollFd::new(&one.pidfd, PollFlags::IN))
            .collect();
        // Interrupted or not, what is readable is looked at and the deadline is computed anew.
        let _woken = poll(&mut fds, Some(&patience));
        let gone: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (identity, _) in identities.iter().zip(gone).filter(|(_, gone)| *gone) {
            doomed.remove(identity);
        }
    }
}

/// Kills whose time is over; gives up whom even that did not end.
fn pass_deadlines(doomed: &mut HashMap<Identity, Doomed>, now: Duration) {
    doomed.retain(|(pid, _), one| {
        if one.deadline > now {
            return true;
        }
        if one.killed {
            error!(pid, "process does not end after SIGKILL");
            return false;
        }
        send(&one.pidfd, *pid, Signal::KILL);
        (one.killed, one.deadline) = (true, now.saturating_add(AFTER_KILL));
        true
    });
}

/// Who there is now.
fn find(search: &Search, seen: &HashSet<Identity>) -> Vec<Target> {
    let all = procfs::all().unwrap_or_default();
    let own = std::process::id().cast_signed();
    match search {
        Search::Left(left) => left.iter().flat_map(|left| remains(&all, left, seen, own)).collect(),
        Search::Orphans { grace, spared } => all
            .iter()
            .filter(|stat| stat.ppid == own && stat.lives())
            .filter(|stat| !spared.pids.contains(&stat.pid) && !spared.sessions.contains(&stat.session))
            .map(|stat| Target { identity: stat.identity(), signal: Signal::TERM, grace: *grace })
            .collect(),
    }
}

/// What is left of one process: itself, its session, and their descendants.
fn remains(all: &[Stat], left: &Left, seen: &HashSet<Identity>, own: i32) -> Vec<Target> {
    let leader = all.iter().find(|stat| stat.pid == left.pid);
    let is_it = |stat: &Stat| match left.start {
        Some(start) => stat.start == start,
        None => (left.not_before..=left.not_before.saturating_add(START_WINDOW)).contains(&stat.start),
    };
    let alive = leader.filter(|stat| is_it(stat));
    if leader.is_some() && alive.is_none() {
        // The number is another's now, so the session is gone too: a number is not reused while it names one.
        return Vec::new();
    }
    let process = ProcessId { generation: 0, watcher: WatcherId(0), wid: left.wid };
    let start = left.start.unwrap_or(left.not_before);
    let known = seen.iter().copied().collect();
    let subject = Subject { process, pid: left.pid, start, exited: left.exited, known };
    let members = kin::members(all, &[subject], &HashSet::from([own])).into_iter().flatten();
    let leader = alive.filter(|stat| stat.lives()).map(Stat::identity);
    let grace = Duration::from_millis(left.grace_millis);
    let found: HashSet<Identity> = leader.into_iter().chain(members.map(|kin| kin.identity)).collect();
    found.into_iter().map(|identity| Target { identity, signal: left.stop_signal, grace }).collect()
}
