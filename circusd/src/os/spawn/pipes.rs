//! The pipes from the outputs of a process to its streams.
//!
//! Everything made here is close-on-exec, so that no other process inherits it, and lies above descriptor 2, so that
//! putting it in its place in the child cannot overwrite another that is still to be put.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::Arc,
};

use circus_common::Channel;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::fcntl_dupfd_cloexec,
    pipe::{PipeFlags, pipe_with},
};

use crate::arbiter::{
    effect::{Output, SpawnSpec},
    id::ProcessId,
};

/// The end that is read of one output of a process.
#[derive(Debug)]
pub struct Attachment {
    /// Whose output it is.
    pub process: ProcessId,
    /// Its number, for lines that carry it.
    pub pid: i32,
    /// Which output.
    pub channel: Channel,
    /// The end to read; it does not block.
    pub pipe: OwnedFd,
}

/// Who reads what processes print. Called on the spawner threads.
#[derive(Clone)]
pub struct Reader(Arc<dyn Fn(Attachment) + Send + Sync>);

impl Reader {
    /// One that takes attachments.
    pub fn new(take: impl Fn(Attachment) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// One for processes that have no pipes: what it is given is closed.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(drop)
    }

    /// Gives it one.
    pub fn attach(&self, attachment: Attachment) {
        (self.0)(attachment);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// The descriptors of one spawn.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// What becomes descriptors 1 and 2 of the child.
    child: [Option<OwnedFd>; 2],
    /// What stays with circusd.
    ours: Vec<(Channel, OwnedFd)>,
}

impl Ends {
    /// Makes the pipes that a spawn wants.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn make(spec: &SpawnSpec) -> io::Result<Self> {
        let mut ends = Self::default();
        let wanted = [(Channel::Stdout, spec.stdout), (Channel::Stderr, spec.stderr)];
        for (end, (channel, output)) in ends.child.iter_mut().zip(wanted) {
            match output {
                Output::Stream => {
                    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
                    // Only our end: the flag belongs to the pipe's end, and a program expects its stdout to block.
                    fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
                    *end = Some(above_the_targets(theirs)?);
                    ends.ours.push((channel, ours));
                }
                Output::Inherit | Output::Null => {}
            }
        }
        Ok(ends)
    }

    /// What becomes descriptors 1 and 2 of the child, where there is a pipe.
    pub fn of_child(&self) -> [Option<RawFd>; 2] {
        self.child.each_ref().map(|end| end.as_ref().map(AsRawFd::as_raw_fd))
    }

    /// What stays with circusd; the child's ends are closed here.
    pub fn into_ours(self) -> Vec<(Channel, OwnedFd)> {
        self.ours
    }
}

fn above_the_targets(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { Ok(fcntl_dupfd_cloexec(fd.as_fd(), 3)?) }
}
