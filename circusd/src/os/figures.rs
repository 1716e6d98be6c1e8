//! Figures of processes: memory, processor time, names; and their texts as Circus prints them.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    time::{Duration, UNIX_EPOCH},
};

use circus_common::figures::{rounded, size_text, time_text};
use serde_json::{Map, Value};

use super::{
    clock,
    procfs::{self, Identity, Stat},
};

/// Two looks closer than this say nothing: the kernel counts in ticks of 10 ms.
const SHORTEST: Duration = Duration::from_millis(50);

/// How many user names are remembered.
const NAMES: usize = 1024;

/// The processor time of a process at one look.
#[derive(Clone, Copy, Debug)]
struct Sample {
    cpu: u64,
    at: Duration,
    percent: f64,
}

/// What is remembered from look to look, and the present look at all processes.
#[derive(Debug)]
pub struct Samples {
    now: HashMap<i32, Stat>,
    /// When the present look was, since boot and since the epoch.
    at: Duration,
    wall: f64,
    before: HashMap<Identity, Sample>,
    names: HashMap<u32, String>,
    total_memory: u64,
    /// Seconds since the epoch.
    boot: u64,
}

impl Samples {
    /// The first look is at circusd itself, so that its first `dstats` already tells of its time since start.
    pub fn new() -> Self {
        let boot = psutil::host::boot_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mut samples = Self {
            now: HashMap::new(),
            at: Duration::ZERO,
            wall: 0.0,
            before: HashMap::new(),
            names: HashMap::new(),
            total_memory: psutil::memory::virtual_memory().map_or(0, |memory| memory.total()),
            boot: boot.map_or(0, |since| since.as_secs()),
        };
        samples.refresh();
        if let Some(own) = samples.own() {
            samples.percent(own);
        }
        samples
    }

    /// Looks at all processes, and forgets those that are no more.
    pub fn refresh(&mut self) {
        let all = procfs::all().unwrap_or_default();
        (self.at, self.wall) = (clock::since_boot(), clock::wall());
        let alive: HashSet<Identity> = all.iter().map(Stat::identity).collect();
        self.before.retain(|identity, _| alive.contains(identity));
        self.now = all.into_iter().map(|stat| (stat.pid, stat)).collect();
    }

    /// circusd itself.
    pub fn own(&self) -> Option<Identity> {
        self.now.get(&std::process::id().cast_signed()).map(Stat::identity)
    }

    /// The direct children of a process that live, by pid.
    pub fn children(&self, pid: i32) -> Vec<Identity> {
        let mut children: Vec<Identity> =
            self.now.values().filter(|stat| stat.ppid == pid && stat.lives()).map(Stat::identity).collect();
        children.sort_unstable();
        children
    }

    /// Seconds from a wall time to the present look.
    pub fn age(&self, since: f64) -> Value {
        Value::from(rounded((self.wall - since).max(0.0), 1000.0))
    }

    /// The members that every process has, in the wire's order up to `cmdline`; `None` when it has died.
    pub fn figures(&mut self, identity: Identity) -> Option<Map<String, Value>> {
        let stat = *self.now.get(&identity.0).filter(|stat| stat.identity() == identity && stat.lives())?;
        let pages = procfs::resident(stat.pid).unwrap_or(stat.rss);
        let resident = pages.saturating_mul(rustix::param::page_size() as u64);
        let created = self.created(stat.start);
        let members = [
            ("mem_info1", Value::from(size_text(resident))),
            ("mem_info2", Value::from(size_text(stat.vsize))),
            ("cpu", Value::from(self.percent(identity))),
            ("mem", Value::from(self.memory_percent(resident))),
            ("ctime", Value::from(time_text(stat.cpu, clock::ticks_per_second()))),
            ("pid", Value::from(stat.pid)),
            ("username", Value::from(self.user_name(stat.pid))),
            ("nice", Value::from(stat.nice)),
            ("create_time", Value::from(created)),
            ("age", self.age(created)),
            ("cmdline", Value::from(command(stat.pid))),
        ];
        Some(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Percent of one processor since the previous look at this process.
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process stay far below 2^52")]
    fn percent(&mut self, identity: Identity) -> f64 {
        let cpu = self.now.get(&identity.0).map_or(0, |stat| stat.cpu);
        let fresh = Sample { cpu, at: self.at, percent: 0.0 };
        let before = *self.before.entry(identity).or_insert(fresh);
        let passed = self.at.saturating_sub(before.at);
        if passed < SHORTEST {
            return before.percent;
        }
        let used = cpu.saturating_sub(before.cpu) as f64 / clock::ticks_per_second() as f64;
        let percent = rounded(used / passed.as_secs_f64() * 100.0, 10.0);
        self.before.insert(identity, Sample { percent, ..fresh });
        percent
    }

    #[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52")]
    fn memory_percent(&self, resident: u64) -> f64 {
        if self.total_memory == 0 {
            return 0.0;
        }
        rounded(resident as f64 / self.total_memory as f64 * 100.0, 1000.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52")]
    fn created(&self, start: u64) -> f64 {
        let ticks = clock::ticks_per_second();
        (self.boot * ticks + start) as f64 / ticks as f64
    }

    /// The name of its owner, else the number; `N/A` when it is not to be had.
    fn user_name(&mut self, pid: i32) -> String {
        let Ok(owner) = fs::metadata(format!("/proc/{pid}")).map(|found| found.uid()) else {
            return "N/A".to_owned();
        };
        if let Some(name) = self.names.get(&owner) {
            return name.clone();
        }
        let user = nix::unistd::User::from_uid(owner.into()).ok().flatten();
        let name = user.map_or_else(|| owner.to_string(), |user| user.name);
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(owner, name.clone());
        name
    }
}

/// The base name of the first word of `argv[0]`; `N/A` where there is none.
fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let word = first.split_whitespace().next().map(|word| word.rsplit('/').next().unwrap_or(word));
    word.filter(|word| !word.is_empty()).unwrap_or("N/A").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_at_a_process_says_no_percent() {
        let mut samples = Samples::new();
        let own = samples.own().expect("it lives");
        let figures = samples.figures(own).expect("it lives");
        let names: Vec<&str> = figures.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "mem_info1",
                "mem_info2",
                "cpu",
                "mem",
                "ctime",
                "pid",
                "username",
                "nice",
                "create_time",
                "age",
                "cmdline"
            ]
        );
        assert_eq!(figures.get("cpu"), Some(&Value::from(0.0)));
        assert_eq!(samples.figures((own.0, own.1 + 1)), None);
    }
}
