//! The one place that reaps.
//!
//! A look (`WNOWAIT`) says who is the next zombie; what is ours is reaped through its descriptor, what a spawner has
//! just created waits for that spawner's word, everything else is an orphan that came to the subreaper.

use rustix::io::Errno;
use tracing::debug;

use super::{
    Os, clock,
    pidfd::{self, Child, Death},
};
use crate::arbiter::input::Input;

/// How many are reaped before others get their turn.
const PER_TURN: usize = 16;

/// Whether there is anything to reap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaping {
    /// Not before the next SIGCHLD.
    Idle,
    /// Perhaps: look.
    Due,
    /// The next zombie belongs to a spawn whose result is on its way: look when it has come. Its spawner is held
    /// only until the child's end, which has been, so this lasts microseconds.
    AwaitsSpawn,
}

impl Os {
    /// One turn of reaping; its results are told as inputs.
    pub(super) fn reap(&mut self) {
        for _ in 0..PER_TURN {
            let death = match pidfd::wait(Child::Peek) {
                Ok(Some(death)) => death,
                Ok(None) => return self.reaping = Reaping::Idle,
                Err(error) => {
                    if error.raw_os_error() != Some(Errno::CHILD.raw_os_error()) {
                        debug!(%error, "cannot look for ended children");
                    }
                    return self.reaping = Reaping::Idle;
                }
            };
            if self.table.running(death.pid).is_none() {
                if self.spawners.in_flight(death.pid) {
                    return self.reaping = Reaping::AwaitsSpawn;
                }
                // A result is sent before its spawn stops being in flight, so it is here if it ever comes.
                while let Ok(outcome) = self.outcomes.try_recv() {
                    self.take_in(outcome);
                }
            }
            self.reap_one(death);
        }
    }

    fn reap_one(&mut self, death: Death) {
        let Some((process, pidfd)) = self.table.running(death.pid) else { return self.reap_other(death.pid) };
        // If somebody stole it since the look, the look's answer stands.
        let death = pidfd::wait(Child::Held(&pidfd)).ok().flatten().unwrap_or(death);
        let group_alive = pidfd::group_alive(death.pid);
        let at = clock::boot_ticks();
        if let Some(ended) = self.table.exited(process, at) {
            self.slots.exited(ended.slot, at);
            if ended.forgotten {
                self.slots.clear(ended.slot);
            }
            self.told.push_back(Input::Exited { process, exit: death.exit, group_alive });
        }
    }

    fn reap_other(&mut self, pid: i32) {
        let reaped = pidfd::wait(Child::Zombie(pid));
        self.table.other_reaped(pid, pidfd::group_alive(pid));
        debug!(pid, ?reaped, "orphan reaped");
    }
}
