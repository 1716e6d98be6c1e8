//! The clocks as `os/` needs them: wall time as payload, time since boot to compare with start times of processes.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds since the epoch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
pub fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Time since boot, sleep of the machine included: the clock of `/proc/PID/stat`.
#[must_use]
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The same in the kernel's ticks.
#[must_use]
pub fn boot_ticks() -> u64 {
    let now = since_boot();
    now.as_secs() * ticks_per_second() + u64::from(now.subsec_nanos()) * ticks_per_second() / 1_000_000_000
}

/// How many ticks make a second; 100 on all that we run on.
#[must_use]
pub fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| rustix::param::clock_ticks_per_second().max(1))
}
