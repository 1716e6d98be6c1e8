//! Children that a killed circusd had not finished making: until they run their program they hold its lock, and its
//! listeners too.
//!
//! As a rule they need microseconds for that. One that was stopped just then, or gets no processor, would keep the next
//! circusd out. It never ran anything, so nothing is lost with it: it is killed.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    time::Duration,
};

use circus_common::Signal;
use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};

use super::{CAPACITY, Head, Slot};
use crate::os::{pidfd::Pidfd, procfs::Stat};

/// How long a killed one may take to vanish.
const AFTER_KILL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// How long to wait for who cannot be named: a second new circusd that has not yet written who it is.
const UNKNOWN: Duration = Duration::from_millis(5);

/// Whether the daemon that the table names is dead, so that its lock is held by nobody who could use it.
pub(super) fn is_orphaned(daemon: i32) -> bool {
    daemon > 1 && Stat::of(daemon).is_none_or(|stat| !stat.lives())
}

/// Ends those who hold the table open, or waits a moment if there are none.
pub(super) fn end(file: &File) {
    // Where the table cannot be read, the lock is waited for all the same.
    let unfinished = unfinished(file).unwrap_or_default();
    let held: Vec<Pidfd> = unfinished.into_iter().filter_map(|pid| heir(pid, file)).collect();
    for pidfd in &held {
        // One that has ended by itself is what is wanted.
        let _ended = pidfd.signal(Signal::KILL);
    }
    for pidfd in &held {
        let _gone = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&AFTER_KILL));
    }
    if held.is_empty() {
        std::thread::park_timeout(UNKNOWN);
    }
}

/// The process of that number, if it has the table open: held before it is looked at, so that it is the one looked at.
fn heir(pid: i32, file: &File) -> Option<Pidfd> {
    let pidfd = Pidfd::open(pid).ok()?;
    let table = file.metadata().ok()?;
    let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.filter_map(Result::ok);
    let has_it = open.any(|entry| {
        fs::metadata(entry.path()).is_ok_and(|it| (it.dev(), it.ino()) == (table.dev(), table.ino()))
    });
    has_it.then_some(pidfd)
}

/// The numbers of the processes whose spawn was not over. Read, not mapped: whoever has the lock may cut the file.
fn unfinished(file: &File) -> io::Result<Vec<i32>> {
    let mut word = [0; 4];
    file.read_exact_at(&mut word, std::mem::offset_of!(Head, used) as u64)?;
    let used = usize::try_from(u32::from_ne_bytes(word)).unwrap_or(CAPACITY).min(CAPACITY);
    let mut slots = vec![0; used * size_of::<Slot>()];
    file.read_exact_at(&mut slots, size_of::<Head>() as u64)?;
    let number = |slot: &[u8], at: usize| -> Option<[u8; 4]> { slot.get(at..at + 4)?.try_into().ok() };
    let start = std::mem::offset_of!(Slot, start);
    Ok(slots
        .chunks_exact(size_of::<Slot>())
        .filter(|slot| slot.get(start..start + 8).is_some_and(|start| start == [0; 8]))
        .filter_map(|slot| number(slot, std::mem::offset_of!(Slot, pid)).map(i32::from_ne_bytes))
        .filter(|pid| *pid > 1)
        .collect())
}
