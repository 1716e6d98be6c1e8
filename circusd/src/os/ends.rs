//! Ends of processes that are held, noticed by readiness: whose it was is known without a look at all the others.
//!
//! Level-triggered, so none is missed. A number stays its process's own until [`Ends::leave`], or until the last copy
//! of its descriptor is closed.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    time::Timespec,
};

use super::pidfd::Pidfd;

/// How many ends one look takes.
const BATCH: usize = 16;

/// The processes whose ends are noticed.
#[derive(Debug)]
pub struct Ends(OwnedFd);

impl Ends {
    /// None yet.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Notices the end of this process from now on, by this number.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub fn notice(&self, pidfd: &Pidfd, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, pidfd, EventData::new_u64(number), EventFlags::IN)?)
    }

    /// Notices it no more.
    pub fn leave(&self, pidfd: &Pidfd) {
        // One that could not be noticed in the first place is not there.
        let _absent = epoll::delete(&self.0, pidfd);
    }

    /// The numbers of some that have ended, without waiting.
    pub fn now(&self) -> Vec<u64> {
        let mut events = Vec::with_capacity(BATCH);
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let waited = epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&none));
        // It fails for wrong arguments only, and for a signal that comes at this moment: then it is asked again.
        if waited.is_err() { Vec::new() } else { events.iter().map(|event| event.data.u64()).collect() }
    }
}

impl AsRawFd for Ends {
    /// Readable while one has ended that is still noticed.
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
