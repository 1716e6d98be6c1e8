//! Who runs since when, as the started programs say themselves.
//!
//! Each one appends its pid and the monotonic time to one file, which lies in memory. So a start is observed alike for
//! every contender, to the microsecond, and costs the contender nothing: nobody is asked, nothing is scanned.
//!
//! Invariant: a record is whole. An append of a few bytes to a file opened for appending is not split.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and looks again until it is there")]

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, getpid},
    time::{ClockId, clock_gettime},
};

use crate::failure::Failure;

/// Bytes of a record: the pid and the nanoseconds, both of eight bytes.
const RECORD: usize = 16;
/// How often the board is looked at. Its times are the programs' own, so this is no error of measurement.
const LOOK: Duration = Duration::from_micros(500);

/// A moment of the monotonic clock, which all processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        Self(seconds * 1_000_000_000 + nanos)
    }

    /// The time from an earlier moment to this one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A program that runs.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Its pid.
    pub pid: Pid,
    /// When it ran first.
    pub at: Moment,
}

/// Says on the board that this process runs.
///
/// # Errors
/// The board is not there or cannot be written.
pub fn sign(path: &Path) -> io::Result<()> {
    let pid = u64::try_from(getpid().as_raw_nonzero().get()).unwrap_or_default();
    let mut record = [0; RECORD];
    let (first, second) = record.split_at_mut(RECORD / 2);
    first.copy_from_slice(&pid.to_le_bytes());
    second.copy_from_slice(&Moment::now().0.to_le_bytes());
    OpenOptions::new().append(true).open(path)?.write_all(&record)
}

/// The observer's side.
#[derive(Debug)]
pub struct Board {
    path: PathBuf,
    file: File,
    read: usize,
}

impl Board {
    /// An empty one.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file, read: 0 })
    }

    /// Where programs sign.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was signed since the last time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn news(&mut self) -> io::Result<Vec<Record>> {
        let length = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
        let count = length / RECORD - self.read;
        let mut bytes = vec![0; count * RECORD];
        self.file.read_exact_at(&mut bytes, (self.read * RECORD) as u64)?;
        self.read += count;
        Ok(bytes.chunks_exact(RECORD).filter_map(record).collect())
    }

    /// Waits for `count` more.
    ///
    /// # Errors
    /// They do not come in that time.
    pub fn wait(&mut self, count: usize, limit: Duration) -> Result<Vec<Record>, Failure> {
        let begin = Instant::now();
        let mut all = Vec::with_capacity(count);
        loop {
            all.extend(self.news()?);
            if all.len() >= count {
                return Ok(all);
            }
            if begin.elapsed() > limit {
                return Err(Failure::Over(limit));
            }
            thread::sleep(LOOK);
        }
    }
}

fn record(bytes: &[u8]) -> Option<Record> {
    let (pid, at) = bytes.split_at_checked(RECORD / 2)?;
    let pid = i32::try_from(u64::from_le_bytes(pid.try_into().ok()?)).ok()?;
    Some(Record { pid: Pid::from_raw(pid)?, at: Moment(u64::from_le_bytes(at.try_into().ok()?)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_read_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = Board::new(folder.path().join("board")).unwrap();
        let before = Moment::now();
        sign(board.path()).unwrap();
        sign(board.path()).unwrap();
        let records = board.wait(2, Duration::from_secs(5)).unwrap();
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|it| it.pid == getpid() && it.at >= before));
        assert!(board.news().unwrap().is_empty());
    }

    #[test]
    fn what_does_not_come_in_time_is_a_passed_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = Board::new(folder.path().join("board")).unwrap();
        assert!(matches!(board.wait(1, Duration::ZERO), Err(Failure::Over(_))));
    }
}
