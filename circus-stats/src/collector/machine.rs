//! What all processes have in common: memory, clocks, users, and how many descriptors may be kept.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use circus_common::figures::rounded;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::User,
};
use rustix::time::{ClockId, clock_gettime};

use super::process::Process;

/// Descriptors that are left for everything else.
const RESERVED: u64 = 256;

/// How many user names are remembered.
const NAMES: usize = 1024;

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    memory: u64,
    /// Seconds since the epoch.
    boot: u64,
    ticks: u64,
    page: u64,
    names: HashMap<u32, String>,
    /// Descriptors that may still be kept.
    places: u64,
}

impl Machine {
    /// Looks at the machine, and raises the limit of open files as far as it goes.
    pub(super) fn look() -> Self {
        let boot = psutil::host::boot_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            memory: psutil::memory::virtual_memory().map_or(0, |memory| memory.total()),
            boot: boot.map_or(0, |since| since.as_secs()),
            ticks: rustix::param::clock_ticks_per_second().max(1),
            page: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
            names: HashMap::new(),
            places: open_files().saturating_sub(RESERVED),
        }
    }

    /// A machine that keeps no descriptor.
    #[cfg(test)]
    pub(super) fn without_places() -> Self {
        Self { places: 0, ..Self::look() }
    }

    /// Whether one more descriptor may be kept; it counts from then on.
    pub(super) const fn take_place(&mut self) -> bool {
        match self.places.checked_sub(1) {
            Some(left) => {
                self.places = left;
                true
            }
            None => false,
        }
    }

    /// A process is not looked at any more.
    pub(super) const fn give_back(&mut self, process: &Process) {
        if process.is_kept() {
            self.places += 1;
        }
    }

    /// Pages to bytes.
    pub(super) const fn bytes(&self, pages: u64) -> u64 {
        pages.saturating_mul(self.page)
    }

    /// Percent of the memory, three decimals.
    #[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52")]
    pub(super) fn memory_percent(&self, bytes: u64) -> f64 {
        if self.memory == 0 { 0.0 } else { rounded(bytes as f64 / self.memory as f64 * 100.0, 1000.0) }
    }

    /// Percent of one processor, one decimal.
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process stay far below 2^52")]
    pub(super) fn cpu_percent(&self, ticks: u64, passed: Duration) -> f64 {
        rounded(ticks as f64 / self.ticks as f64 / passed.as_secs_f64() * 100.0, 10.0)
    }

    /// The start of a process in seconds since the epoch, as psutil says it.
    #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52")]
    pub(super) fn created(&self, start: u64) -> f64 {
        (self.boot * self.ticks + start) as f64 / self.ticks as f64
    }

    /// How many ticks of the processor clock make a second.
    pub(super) const fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The name of a user, else the number.
    pub(super) fn user_name(&mut self, uid: u32) -> String {
        if let Some(name) = self.names.get(&uid) {
            return name.clone();
        }
        let user = User::from_uid(uid.into()).ok().flatten();
        let name = user.map_or_else(|| uid.to_string(), |user| user.name);
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(uid, name.clone());
        name
    }
}

/// Time that only goes forward, to compare with itself.
pub(super) fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Seconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
pub(super) fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The limit of open files, after it was raised to what is allowed.
fn open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}
