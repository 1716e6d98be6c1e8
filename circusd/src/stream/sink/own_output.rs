//! circusd's own standard output and error, as sinks.
//!
//! All who write there take the same lock for whole lines, circusd's log included, so that nothing is torn.

use std::{
    io::{self, StderrLock, StdoutLock},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use super::{Sink, shape::Shape, unwritten::Unwritten};
use crate::stream::batch::{Batch, LINE_LIMIT};

/// Which descriptor.
#[derive(Debug)]
pub(super) enum Own {
    /// Number 1.
    Stdout,
    /// Number 2.
    Stderr,
    /// Another one, in tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests do not write to their own output"))]
    Other(OwnedFd),
}

/// What is held while whole lines are written.
enum Lock {
    Stdout(#[expect(dead_code, reason = "it is held, not used")] StdoutLock<'static>),
    Stderr(#[expect(dead_code, reason = "it is held, not used")] StderrLock<'static>),
    None,
}

impl Own {
    fn lock(&self) -> Lock {
        match self {
            Self::Stdout => Lock::Stdout(io::stdout().lock()),
            Self::Stderr => Lock::Stderr(io::stderr().lock()),
            Self::Other(_) => Lock::None,
        }
    }

    /// Writes as much as is taken.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => write_waiting(io::stdout().as_fd(), bytes),
            Self::Stderr => write_waiting(io::stderr().as_fd(), bytes),
            Self::Other(fd) => write_waiting(fd.as_fd(), bytes),
        }
    }
}

/// Writes as much as is taken, and waits for room also where somebody made the descriptor non-blocking.
pub(super) fn write_waiting(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut ready = [PollFd::new(&fd, PollFlags::OUT)];
                match poll(&mut ready, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            written => return Ok(written?),
        }
    }
}

/// A sink on one of circusd's own descriptors.
#[derive(Debug)]
pub(super) struct OwnOutput {
    own: Own,
    shape: Option<Shape>,
    unwritten: Unwritten,
}

impl OwnOutput {
    pub(super) fn new(own: Own, shape: Option<Shape>) -> Self {
        Self { own, shape, unwritten: Unwritten::default() }
    }
}

impl Sink for OwnOutput {
    fn place(&self) -> String {
        match self.own {
            Own::Stdout => "circusd's standard output".to_owned(),
            Own::Stderr => "circusd's standard error".to_owned(),
            Own::Other(_) => "a descriptor".to_owned(),
        }
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        let Self { own, shape, unwritten } = self;
        let _lock = own.lock();
        unwritten.flush(|bytes| own.write(bytes))?;
        match shape {
            None => {
                while !batch.is_empty() {
                    let written = own.write(batch.rest())?;
                    batch.take(written);
                }
                Ok(())
            }
            Some(shape) => {
                while let Some(line) = batch.line(LINE_LIMIT) {
                    shape.write(&line, &mut unwritten.bytes);
                    let length = line.length;
                    batch.take(length);
                    if unwritten.is_full() {
                        unwritten.flush(|bytes| own.write(bytes))?;
                    }
                }
                unwritten.flush(|bytes| own.write(bytes))
            }
        }
    }

    fn kept(&self) -> u64 {
        self.unwritten.lines()
    }

    fn is_gone(&self, error: &io::Error) -> bool {
        // Nobody reads it any more, it was never open, or its terminal is gone.
        matches!(error.raw_os_error(), Some(libc::EPIPE | libc::EBADF | libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::Arc, time::Duration};

    use circus_common::config::stream::Format;

    use super::*;
    use crate::stream::{batch::Origin, order::Channel};

    fn batch(text: &[u8]) -> Batch {
        let origin = Origin { watcher: "web".to_owned(), wid: 1, pid: 7, channel: Channel::Stdout };
        let mut batch = Batch::default();
        batch.push(text, &Arc::new(origin), Duration::ZERO);
        batch
    }

    #[test]
    fn a_full_non_blocking_pipe_is_waited_for() {
        let (mut read, write) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&write, true).unwrap();
        let lines = b"a line\n".repeat(50_000);
        let mut sink = OwnOutput::new(Own::Other(write.into()), None);
        let mut waiting = batch(&lines);
        let writer = std::thread::spawn(move || sink.write(&mut waiting));
        let mut all = Vec::new();
        read.read_to_end(&mut all).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(all, lines);
    }

    #[test]
    fn a_closed_pipe_is_gone_for_good() {
        let (read, write) = io::pipe().unwrap();
        drop(read);
        let mut sink = OwnOutput::new(Own::Other(write.into()), Shape::of(&Format::Timed("T".to_owned())));
        let mut lines = batch(b"one\ntwo\n");
        let error = sink.write(&mut lines).unwrap_err();
        assert!(sink.is_gone(&error), "{error}");
        assert!(!sink.is_gone(&io::ErrorKind::StorageFull.into()));
    }
}
