//! Members of processes that surveys found: held by descriptors, their ends noticed by readiness.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use tokio::io::{Interest, unix::AsyncFd};

use super::{ends::Ends, pidfd::Pidfd, procfs::Identity};
use crate::arbiter::id::{MemberId, ProcessId};

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
    ends: AsyncFd<Ends>,
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
        // SAFETY: it owns its descriptor, which stays open and the same until the `AsyncFd` drops it.
        let ends = unsafe { AsyncFd::register_with_interest(Ends::new()?, Interest::READABLE) }?;
        Ok(Self { ends, held: HashMap::new(), of_process: BTreeMap::new(), last: 0 })
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
        self.ends.get_ref().notice(&pidfd, id.0)?;
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
            let mut guard = match self.ends.readable().await {
                Ok(guard) => guard,
                // The runtime is shutting down: there is nothing more to report.
                Err(_) => return std::future::pending().await,
            };
            let ended = guard.get_inner().now();
            if ended.is_empty() {
                guard.clear_ready();
                continue;
            }
            drop(guard);
            return ended.into_iter().filter_map(|number| self.let_go(MemberId(number))).collect();
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
