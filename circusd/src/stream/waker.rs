//! What wakes the plane's thread from another one.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::event::{EventfdFlags, eventfd};

/// A descriptor that becomes readable when somebody has something for the plane. Cheap to clone; waking never waits.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(fd)))
    }

    /// Wakes the plane, now or when it next looks.
    pub(super) fn wake(&self) {
        // It fails only when the counter is full, and then the descriptor is readable as it should be.
        let _full = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Takes back every wake-up so far. Called before the queues are looked at, so that none is missed.
    pub(super) fn clear(&self) {
        // It fails only when nobody has called.
        let _empty = rustix::io::read(&*self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
