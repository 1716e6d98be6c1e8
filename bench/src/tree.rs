//! The processes below this one, and their end.
//!
//! Refuses to signal anybody else: a process is held by a pidfd and looked at again before it is signalled.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and looks again until it is gone")]

use std::{
    collections::HashMap,
    fs, thread,
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitid,
};

use crate::failure::Failure;

/// How long the last process may take to vanish after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two sweeps.
const SWEEP: Duration = Duration::from_millis(5);

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    command: String,
    zombie: bool,
    parent: i32,
    started: u64,
}

/// Has orphans below this process come to it, so that none is lost from sight.
///
/// # Errors
/// The system refuses.
pub fn adopt_orphans() -> Result<(), Failure> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Kills and reaps everything below this process; returns when nothing is left.
///
/// # Errors
/// Something does not vanish.
pub fn end_all() -> Result<(), Failure> {
    let begin = Instant::now();
    loop {
        let left = descendants(getpid());
        for (pid, started) in &left {
            kill(*pid, *started);
        }
        reap_children();
        if left.is_empty() {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(Failure::Broken(format!("{} processes do not end", left.len())));
        }
        thread::sleep(SWEEP);
    }
}

/// Kills a process if it is still a program of that name. Returns whether it did.
pub fn kill_named(pid: Pid, name: &str) -> bool {
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    match stat(pid.as_raw_nonzero().get()) {
        Some(stat) if stat.command == name && !stat.zombie => {
            pidfd_send_signal(&handle, Signal::KILL).is_ok()
        }
        Some(_) | None => false,
    }
}

/// The children of a process, those of this name left out.
#[must_use]
pub fn children_but(parent: Pid, name: &str) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    let all = all_stats();
    let found = all.iter().filter(|(_, stat)| stat.parent == parent && stat.command != name && !stat.zombie);
    found.filter_map(|(pid, _)| Pid::from_raw(*pid)).collect()
}

/// Whether there is such a process that has not ended.
#[must_use]
pub fn lives(pid: Pid) -> bool {
    stat(pid.as_raw_nonzero().get()).is_some_and(|stat| !stat.zombie)
}

/// Everything below a process, zombies included, with the time each began.
fn descendants(root: Pid) -> Vec<(Pid, u64)> {
    let all = all_stats();
    let root = root.as_raw_nonzero().get();
    let below = |pid: i32| {
        let mut at = pid;
        // No chain of parents is longer than there are processes.
        for _ in 0..all.len() {
            match all.get(&at) {
                Some(stat) if stat.parent == root => return true,
                Some(stat) => at = stat.parent,
                None => return false,
            }
        }
        false
    };
    let found = all.iter().filter(|(pid, _)| below(**pid));
    found.filter_map(|(pid, stat)| Some((Pid::from_raw(*pid)?, stat.started))).collect()
}

fn all_stats() -> HashMap<i32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

fn kill(pid: Pid, started: u64) {
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if stat(pid.as_raw_nonzero().get()).is_some_and(|stat| stat.started == started) {
        // It may be dead by now, which is what was wanted.
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

fn reap_children() {
    while let Ok(Some(_)) = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {}
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in brackets and may hold anything, brackets included.
fn parse(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    Some(Stat {
        command: head.split_once('(')?.1.to_owned(),
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let text = "7 (a) b) S 3 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0";
        let expected = Stat { command: "a) b".to_owned(), zombie: false, parent: 3, started: 1234 };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("7 (a"), None);
    }
}
