//! Reads `/proc/PID/stat`: the one place that knows its fields.

use std::{
    fs,
    io::{self, Read},
};

/// What one line of `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: i32,
    /// The state letter; `Z` and `X` have ended.
    pub state: u8,
    /// Its parent.
    pub ppid: i32,
    /// Its process group.
    pub pgrp: i32,
    /// Its session.
    pub session: i32,
    /// User and system time together, in ticks.
    pub cpu: u64,
    /// Its nice value.
    pub nice: i64,
    /// How many threads it has.
    pub threads: u64,
    /// When it started, in ticks since boot.
    pub start: u64,
    /// Virtual memory in bytes.
    pub vsize: u64,
    /// Resident memory in pages, roughly: see [`resident`].
    pub rss: u64,
    /// Where its stack begins: another place after each exec; 0 where we may not know.
    pub stack: u64,
}

/// A process that cannot be mistaken for a later one of the same number.
pub type Identity = (i32, u64);

impl Stat {
    /// Reads a line. The name may hold anything, a `)` included, so the fields begin after the last one.
    #[must_use]
    pub fn parse(pid: i32, line: &[u8]) -> Option<Self> {
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let ppid = fields.next()?.parse().ok()?;
        let pgrp = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let user: u64 = fields.nth(7)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let nice = fields.nth(3)?.parse().ok()?;
        let threads = fields.next()?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        let vsize = fields.next()?.parse().ok()?;
        let rss = fields.next()?.parse().ok()?;
        let stack = fields.nth(3)?.parse().ok()?;
        Some(Self {
            pid,
            state,
            ppid,
            pgrp,
            session,
            cpu: user.saturating_add(system),
            nice,
            threads,
            start,
            vsize,
            rss,
            stack,
        })
    }

    /// Reads the line of one process; `None` when there is no such process.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let mut line = [0; 1024];
        let length =
            fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut line)).ok()?;
        Self::parse(pid, line.get(..length)?)
    }

    /// Whether it runs: neither a zombie nor dead.
    #[must_use]
    pub const fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Its number and start time.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        (self.pid, self.start)
    }
}

/// Resident memory in pages, added up with care; `None` when there is no such process.
///
/// Since Linux 6.2 the kernel counts pages per processor. `/proc/PID/stat` shows the sum of what was handed in so far,
/// which may be some hundred KiB off for each processor; `/proc/PID/statm`, which psutil reads, is exact from 6.17 on.
#[must_use]
pub fn resident(pid: i32) -> Option<u64> {
    let mut line = [0; 128];
    let length =
        fs::File::open(format!("/proc/{pid}/statm")).and_then(|mut file| file.read(&mut line)).ok()?;
    str::from_utf8(line.get(..length)?).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Every process there is, zombies included, in one pass.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn all() -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        // One that ends between the listing and the reading was not there.
        let pid = name.to_str().and_then(|name| name.parse().ok());
        found.extend(pid.and_then(Stat::of));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] =
        b"42 (a) b (c) S 1 42 40 0 -1 4194560 100 0 0 0 7 5 0 0 20 -3 1 0 9911 1048576 256 1844 1 1 77 0\n";

    #[test]
    fn the_fields_begin_after_the_last_parenthesis() {
        let stat = Stat::parse(42, LINE).expect("a whole line");
        let wanted = Stat {
            pid: 42,
            state: b'S',
            ppid: 1,
            pgrp: 42,
            session: 40,
            cpu: 12,
            nice: -3,
            threads: 1,
            start: 9911,
            vsize: 1_048_576,
            rss: 256,
            stack: 77,
        };
        assert_eq!(stat, wanted);
    }

    #[test]
    fn a_cut_line_is_nobody() {
        let last = LINE.windows(4).position(|bytes| bytes == b"1 77").expect("it is there");
        for end in 0..=last {
            assert_eq!(Stat::parse(42, &LINE[..end]), None, "{end}");
        }
    }

    #[test]
    fn resident_memory_is_there_for_who_lives() {
        let me = i32::try_from(std::process::id()).expect("fits");
        assert!(resident(me).is_some_and(|pages| pages > 0));
        assert_eq!(resident(i32::MAX), None);
    }

    #[test]
    fn this_process_is_found_alive() {
        let me = i32::try_from(std::process::id()).expect("fits");
        let found = all().expect("listed").into_iter().find(|stat| stat.pid == me).expect("it is there");
        assert!(found.lives());
        assert_eq!(Stat::of(me).map(|stat| stat.identity()), Some(found.identity()));
    }
}
