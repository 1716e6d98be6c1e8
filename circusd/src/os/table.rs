//! Which process is which: the one place that maps names to numbers and descriptors.
//!
//! Invariant: a number is in `by_pid` or `released` exactly while its process is an unreaped child of ours, so it
//! cannot have been reused.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{kin::Subject, members::Members, pidfd::Pidfd, spawn::Spawned, surveyor::Root};
use crate::arbiter::id::ProcessId;

/// Every process that the core may still name, and those it has given away.
#[derive(Debug, Default)]
pub struct Table {
    entries: HashMap<ProcessId, Entry>,
    by_pid: HashMap<i32, ProcessId>,
    released: Released,
}

/// Processes that were given away. They stay so when the daemon begins anew in the same process.
#[derive(Clone, Debug, Default)]
pub struct Released {
    /// Those that are unreaped children of ours.
    pids: HashSet<i32>,
    /// Their sessions, as long as anybody is in them.
    sessions: HashSet<i32>,
    /// Whether there may be orphans that are to be left alone.
    orphans: bool,
}

#[derive(Debug)]
struct Entry {
    slot: usize,
    life: Life,
}

#[derive(Debug)]
enum Life {
    /// With a spawner thread.
    Spawning { then: Then },
    /// It runs, or is a zombie not yet seen.
    Running { pid: i32, start: u64, pidfd: Arc<Pidfd>, then: Then },
    /// It was reaped; its members may live.
    Exited { pid: i32, start: u64, at: u64 },
}

/// What the core asked for before it could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Keep,
    Forget,
    Release,
}

/// Whom the end of orphans leaves alone.
#[derive(Clone, Debug, Default)]
pub struct Spared {
    /// Managed and released processes.
    pub pids: HashSet<i32>,
    /// Sessions of released ones.
    pub sessions: HashSet<i32>,
}

/// A process whose exit was just entered.
#[derive(Debug)]
pub struct Ended {
    /// Its slot.
    pub slot: usize,
    /// Whether nothing is kept of it.
    pub forgotten: bool,
}

impl Table {
    /// What was given away before this table was made stays so.
    pub fn leave_alone(&mut self, released: Released) {
        self.released = released;
    }

    /// What was given away.
    pub fn into_released(self) -> Released {
        self.released
    }

    /// A spawn was handed over.
    pub fn spawning(&mut self, process: ProcessId, slot: usize) {
        self.entries.insert(process, Entry { slot, life: Life::Spawning { then: Then::Keep } });
    }

    /// It failed; returns the slot to clear.
    pub fn failed(&mut self, process: ProcessId) -> Option<usize> {
        self.entries.remove(&process).map(|entry| entry.slot)
    }

    /// It succeeded; returns the slot to clear if the process was released meanwhile.
    pub fn spawned(&mut self, spawned: Spawned) -> Option<usize> {
        let Spawned { process, pid, pidfd, start, .. } = spawned;
        let entry = self.entries.get_mut(&process)?;
        let then = match entry.life {
            Life::Spawning { then } => then,
            Life::Running { .. } | Life::Exited { .. } => return None,
        };
        entry.life = Life::Running { pid, start, pidfd: Arc::new(pidfd), then };
        self.by_pid.insert(pid, process);
        if then == Then::Release { self.release(process) } else { None }
    }

    /// The running process of that number.
    pub fn running(&self, pid: i32) -> Option<(ProcessId, Arc<Pidfd>)> {
        let process = *self.by_pid.get(&pid)?;
        match &self.entries.get(&process)?.life {
            Life::Running { pidfd, .. } => Some((process, Arc::clone(pidfd))),
            Life::Spawning { .. } | Life::Exited { .. } => None,
        }
    }

    /// It was reaped at that tick since boot.
    pub fn exited(&mut self, process: ProcessId, at: u64) -> Option<Ended> {
        let entry = self.entries.get_mut(&process)?;
        let slot = entry.slot;
        let (pid, start, then) = match entry.life {
            Life::Running { pid, start, then, .. } => (pid, start, then),
            Life::Spawning { .. } | Life::Exited { .. } => return None,
        };
        entry.life = Life::Exited { pid, start, at };
        self.by_pid.remove(&pid);
        let forgotten = then != Then::Keep;
        if forgotten {
            self.entries.remove(&process);
        }
        Some(Ended { slot, forgotten })
    }

    /// A child that is none of the table's was reaped.
    pub fn other_reaped(&mut self, pid: i32, group_alive: bool) {
        if self.released.pids.remove(&pid) && !group_alive {
            self.released.sessions.remove(&pid);
        }
    }

    /// Drops what is kept of a process that ended; returns the slot to clear. One that lives is dropped at its end.
    pub fn forget(&mut self, process: ProcessId) -> Option<usize> {
        let entry = self.entries.get_mut(&process)?;
        match &mut entry.life {
            Life::Spawning { then } | Life::Running { then, .. } => {
                *then = Then::Forget;
                None
            }
            Life::Exited { .. } => self.entries.remove(&process).map(|entry| entry.slot),
        }
    }

    /// Gives a process away; returns the slot to clear.
    pub fn release(&mut self, process: ProcessId) -> Option<usize> {
        let entry = self.entries.get_mut(&process)?;
        match &mut entry.life {
            Life::Spawning { then } => {
                *then = Then::Release;
                return None;
            }
            Life::Running { pid, .. } => {
                self.by_pid.remove(pid);
                self.released.pids.insert(*pid);
                self.released.sessions.insert(*pid);
            }
            Life::Exited { .. } => {}
        }
        self.entries.remove(&process).map(|entry| entry.slot)
    }

    /// What holds a running process.
    pub fn pidfd(&self, process: ProcessId) -> Option<&Pidfd> {
        match &self.entries.get(&process)?.life {
            Life::Running { pidfd, .. } => Some(pidfd),
            Life::Spawning { .. } | Life::Exited { .. } => None,
        }
    }

    /// Number and start time of a running process.
    pub fn start(&self, process: ProcessId) -> Option<u64> {
        self.root(process).map(|root| root.identity.1)
    }

    /// A running process as the root of a tree.
    pub fn root(&self, process: ProcessId) -> Option<Root> {
        match &self.entries.get(&process)?.life {
            Life::Running { pid, start, pidfd, .. } => {
                Some(Root { identity: (*pid, *start), pidfd: Arc::clone(pidfd) })
            }
            Life::Spawning { .. } | Life::Exited { .. } => None,
        }
    }

    /// Whether it runs, or has run and was not forgotten.
    pub fn has_run(&self, process: ProcessId) -> bool {
        self.entries.get(&process).is_some_and(|entry| match entry.life {
            Life::Spawning { .. } => false,
            Life::Running { then, .. } => then == Then::Keep,
            Life::Exited { .. } => true,
        })
    }

    /// A process as a survey needs it.
    pub fn subject(&self, process: ProcessId, members: &Members) -> Option<Subject> {
        let (pid, start, exited) = match &self.entries.get(&process).filter(|_| self.has_run(process))?.life {
            Life::Spawning { .. } => return None,
            Life::Running { pid, start, .. } => (*pid, *start, None),
            Life::Exited { pid, start, at } => (*pid, *start, Some(*at)),
        };
        Some(Subject { process, pid, start, exited, known: members.identities(process) })
    }

    /// Whom no survey may take for a member: circusd, and every process that it manages or has released.
    pub fn strangers(&self) -> HashSet<i32> {
        let own = std::process::id().cast_signed();
        self.by_pid.keys().chain(&self.released.pids).copied().chain([own]).collect()
    }

    /// From now on there may be orphans that are to be left alone.
    pub const fn keep_orphans(&mut self) {
        self.released.orphans = true;
    }

    /// Whether there may be.
    pub const fn keeps_orphans(&self) -> bool {
        self.released.orphans
    }

    /// Whom the end of orphans leaves alone.
    pub fn spared(&self) -> Spared {
        Spared { pids: self.strangers(), sessions: self.released.sessions.clone() }
    }

    /// Whether nothing at all is kept.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.by_pid.is_empty() && self.released.pids.is_empty()
    }
}
