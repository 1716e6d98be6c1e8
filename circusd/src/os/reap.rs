//! The one place that reaps.
//!
//! Running processes first, each by its own descriptor: their slots are filled again before anything else is done. Then
//! a look at all children (`WNOWAIT`), for which the kernel goes through them one by one, says who is the next zombie;
//! what a spawner has just created waits for that spawner's word, everything else is an orphan that came to the
//! subreaper.

use rustix::io::Errno;
use tracing::debug;

use super::{
    Os, clock,
    pidfd::{self, Child, Death, Pidfd},
};
use crate::arbiter::{id::ProcessId, input::Input};

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
        let ended = self.ends.now();
        if !ended.is_empty() {
            // What else there is will be looked for when these are told.
            return ended.into_iter().for_each(|number| self.reap_running(number));
        }
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

    fn reap_running(&mut self, number: u64) {
        let running = i32::try_from(number).ok().and_then(|pid| self.table.running(pid));
        let Some((process, pidfd)) = running else { return };
        match pidfd::wait(Child::Held(&pidfd)) {
            Ok(Some(death)) => self.ended(process, &pidfd, death),
            // A debugger sees its end first; SIGCHLD tells when it is our turn.
            Ok(None) => self.ends.leave(&pidfd),
            Err(error) => {
                debug!(%process, %error, "cannot reap process");
                self.ends.leave(&pidfd);
            }
        }
    }

    fn reap_one(&mut self, death: Death) {
        let Some((process, pidfd)) = self.table.running(death.pid) else { return self.reap_other(death.pid) };
        // If somebody stole it since the look, the look's answer stands.
        let death = pidfd::wait(Child::Held(&pidfd)).ok().flatten().unwrap_or(death);
        self.ended(process, &pidfd, death);
    }

    fn ended(&mut self, process: ProcessId, pidfd: &Pidfd, death: Death) {
        self.ends.leave(pidfd);
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
