//! One pipe that is read: an output of one process.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    pipe::{fcntl_getpipe_size, fcntl_setpipe_size},
};

use super::{batch::Origin, outlet::Lane, piece::Held, timers::Number};
use crate::arbiter::id::ProcessId;

/// An unfinished line is passed on this long after its first byte.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// What a pipe is enlarged to when it was found full: fewer, larger reads, and a child that waits less.
const LARGE: usize = 1024 * 1024;
/// All enlarged pipes together hold no more than this: half of what the kernel gives a user without privileges,
/// beyond which its new pipes would get a page or two.
const LARGE_TOGETHER: usize = 32 * 1024 * 1024;
/// How often in a row a pipe is found full before it is enlarged.
const FULL_READS: u8 = 3;

/// How long a pipe is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// While the process lives, or something else says otherwise.
    Told,
    /// Its process is forgotten: so many bytes were in it then.
    Taken(u64),
    /// Nobody holds its other end any more.
    End,
}

/// A pipe and its line under way.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) number: Number,
    pub(super) lane: Lane,
    pub(super) process: ProcessId,
    pub(super) origin: Arc<Origin>,
    pub(super) pipe: OwnedFd,
    pub(super) held: Held,
    /// When the line under way was begun.
    pub(super) begun: Option<Instant>,
    /// Whether a deadline is set for it.
    pub(super) timed: bool,
    /// Where its lines go; nowhere but the ring if absent.
    pub(super) outlet: Option<Number>,
    pub(super) until: Until,
    /// Whether it waits for room in its outlet.
    pub(super) waits: bool,
    size: usize,
    full: u8,
    enlarged: usize,
}

impl Source {
    /// A pipe that was just handed over.
    ///
    /// # Errors
    /// When it is no pipe.
    pub(super) fn new(
        number: Number,
        process: ProcessId,
        origin: Origin,
        pipe: OwnedFd,
        outlet: Option<Number>,
    ) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        // Anything that can be read will do; only a pipe can be enlarged.
        let size = fcntl_getpipe_size(&pipe).unwrap_or(usize::MAX);
        Ok(Self {
            number,
            lane: (process.watcher, origin.channel),
            process,
            origin: Arc::new(origin),
            pipe,
            held: Held::default(),
            begun: None,
            timed: false,
            outlet,
            until: Until::Told,
            waits: false,
            size,
            full: 0,
            enlarged: 0,
        })
    }

    /// Reads what fits into the buffer and is wanted. [`None`] when there is no more.
    pub(super) fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let wanted = match self.until {
            Until::Told | Until::End => buffer.len(),
            Until::Taken(left) => buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
        };
        let length = match rustix::io::read(&self.pipe, buffer.get_mut(..wanted)?) {
            Ok(0) => return None,
            Ok(length) => length,
            // It is not there yet, unless only what was there is wanted.
            Err(Errno::AGAIN | Errno::INTR) if !matches!(self.until, Until::Taken(_)) => 0,
            Err(Errno::INTR) => 0,
            Err(_) => return None,
        };
        if let Until::Taken(left) = &mut self.until {
            *left = left.saturating_sub(length as u64);
        }
        // Pages that are partly filled count as full.
        self.full = if length >= self.size / 4 * 3 { self.full.saturating_add(1) } else { 0 };
        buffer.get(..length)
    }

    /// Whether nothing more is wanted of it.
    pub(super) fn is_done(&self) -> bool {
        self.until == Until::Taken(0)
    }

    /// Wants only what is in it now.
    pub(super) fn forget(&mut self) {
        self.until = Until::Taken(self.filled());
    }

    /// Whether there is something in it.
    pub(super) fn is_filled(&self) -> bool {
        self.filled() > 0
    }

    fn filled(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0)
    }

    /// Makes the pipe larger if its process keeps it full and the budget allows it.
    pub(super) fn enlarge(&mut self, budget: &mut Budget) {
        if self.full < FULL_READS || self.size >= LARGE || budget.0 + LARGE > LARGE_TOGETHER {
            return;
        }
        // Whether or not it is allowed, it is not asked again.
        self.size = LARGE;
        if let Ok(size) = fcntl_setpipe_size(&self.pipe, LARGE) {
            (self.size, self.enlarged) = (size, size);
            budget.0 += size;
        }
    }

    /// Gives back what it took of the budget.
    pub(super) fn release(&self, budget: &mut Budget) {
        budget.0 = budget.0.saturating_sub(self.enlarged);
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// How much all enlarged pipes hold together.
#[derive(Debug, Default)]
pub(super) struct Budget(usize);
