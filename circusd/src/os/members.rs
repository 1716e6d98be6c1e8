//! Members of processes that surveys found: held by descriptors, their ends noticed by readiness.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    os::fd::OwnedFd,
    sync::Arc,
};

use rustix::event::epoll;
use tokio::io::{Interest, unix::AsyncFd};

use super::{pidfd::Pidfd, procfs::Identity};
use crate::arbiter::id::{MemberId, ProcessId};

/// How many ends one wake-up takes.
const BATCH: usize = 64;

/// One member.
#[derive(Debug)]
struct Held {
    process: ProcessId,
    identity: Identity,
    pidfd: Arc<Pidfd>,
}

/// All members that are held.
#[derive(Debug)]
pub struct Members {
    /// Level-triggered inside, so an end is never missed; closing a descriptor takes it out.
    poll: AsyncFd<OwnedFd>,
    held: HashMap<MemberId, Held>,
    of_process: BTreeMap<ProcessId, HashMap<Identity, MemberId>>,
    last: u64,
}

impl Members {
    /// None yet.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // SAFETY: an owned descriptor, which stays open and the same until the `AsyncFd` drops it.
        let poll = unsafe { AsyncFd::register_with_interest(poll, Interest::READABLE) }?;
        Ok(Self { poll, held: HashMap::new(), of_process: BTreeMap::new(), last: 0 })
    }

    /// The member of a process with this identity, if it is held.
    pub fn known(&self, process: ProcessId, identity: Identity) -> Option<MemberId> {
        self.of_process.get(&process)?.get(&identity).copied()
    }

    /// All identities held for a process.
    pub fn identities(&self, process: ProcessId) -> Vec<Identity> {
        self.of_process.get(&process).into_iter().flat_map(HashMap::keys).copied().collect()
    }

    /// Holds one from now on.
    ///
    /// # Errors
    /// When it cannot be watched; then it is not held.
    pub fn hold(&mut self, process: ProcessId, identity: Identity, pidfd: Pidfd) -> io::Result<MemberId> {
        self.last += 1;
        let id = MemberId(self.last);
        epoll::add(self.poll.get_ref(), &pidfd, epoll::EventData::new_u64(id.0), epoll::EventFlags::IN)?;
        self.held.insert(id, Held { process, identity, pidfd: Arc::new(pidfd) });
        self.of_process.entry(process).or_default().insert(identity, id);
        Ok(id)
    }

    /// What holds a member.
    pub fn pidfd(&self, member: MemberId) -> Option<&Pidfd> {
        self.held.get(&member).map(|held| held.pidfd.as_ref())
    }

    /// Lets go of all members of a process.
    pub fn forget(&mut self, process: ProcessId) {
        for member in self.of_process.remove(&process).unwrap_or_default().into_values() {
            self.held.remove(&member);
        }
    }

    /// Waits until members have ended and lets go of them. Cancel-safe.
    pub async fn gone(&mut self) -> Vec<(ProcessId, MemberId)> {
        loop {
            let mut guard = match self.poll.readable().await {
                Ok(guard) => guard,
                // The runtime is shutting down: there is nothing more to report.
                Err(_) => return std::future::pending().await,
            };
            let mut events = Vec::with_capacity(BATCH);
            let none = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
            let waited =
                epoll::wait(guard.get_inner(), rustix::buffer::spare_capacity(&mut events), Some(&none));
            if waited.is_err() || events.is_empty() {
                guard.clear_ready();
                continue;
            }
            drop(guard);
            return events.iter().filter_map(|event| self.let_go(MemberId(event.data.u64()))).collect();
        }
    }

    fn let_go(&mut self, member: MemberId) -> Option<(ProcessId, MemberId)> {
        let held = self.held.remove(&member)?;
        if let Some(members) = self.of_process.get_mut(&held.process) {
            members.remove(&held.identity);
            if members.is_empty() {
                self.of_process.remove(&held.process);
            }
        }
        Some((held.process, member))
    }

    /// How many are held.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.held.len()
    }
}
