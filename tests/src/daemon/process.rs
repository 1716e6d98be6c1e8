//! A process as /proc shows it: what a test checks instead of asking the process itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::wait_until;

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stat {
    /// Its number.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// In ticks since boot.
    pub started: u64,
    /// Whether it has exited and waits to be reaped.
    pub zombie: bool,
}

/// Looks at one process; `None` when there is none of that number.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    let fields = fields(pid)?;
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    Some(Stat {
        pid,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        started: fields.get(19)?.parse().ok()?,
        zombie: fields.first().is_some_and(|state| state == "Z" || state == "X"),
    })
}

/// The fields behind the name, its state first.
fn fields(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets included.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Every process there is.
#[must_use]
pub fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").expect("there is /proc");
    entries.flatten().filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Whether it runs: a zombie does not.
#[must_use]
pub fn lives(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| !stat.zombie)
}

/// All that descend from it, zombies included.
#[must_use]
pub fn descendants(root: i32) -> Vec<Stat> {
    let all = all();
    let mut known = BTreeSet::from([root]);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for stat in &all {
            if known.contains(&stat.parent) && known.insert(stat.pid) {
                found.push(*stat);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// The living ones of them.
#[must_use]
pub fn living_descendants(root: i32) -> Vec<i32> {
    descendants(root).into_iter().filter(|stat| !stat.zombie).map(|stat| stat.pid).collect()
}

/// Its arguments.
#[must_use]
pub fn argv(pid: i32) -> Vec<String> {
    words(pid, "cmdline")
}

/// Its environment, as it was started with.
#[must_use]
pub fn environ(pid: i32) -> BTreeMap<String, String> {
    let pair = |word: String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words(pid, "environ").into_iter().filter_map(pair).collect()
}

fn words(pid: i32, name: &str) -> Vec<String> {
    wait_until("the words of a new program", || !begins(pid));
    let text = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    // Each word ends in a zero byte, the last one too.
    text.strip_suffix('\0').map(|text| text.split('\0').map(str::to_owned).collect()).unwrap_or_default()
}

/// Whether it is within an exec. That has succeeded, and whoever started it knows, before the kernel has noted where
/// the new program's words are, and then its code; until then they read as none. Where we may not know, the code is at 1.
fn begins(pid: i32) -> bool {
    const MEMORY: usize = 20;
    const CODE: usize = 23;
    let Some(fields) = fields(pid) else { return false };
    let is_zero = |at: usize| fields.get(at).is_none_or(|field| field == "0");
    !is_zero(MEMORY) && is_zero(CODE)
}

/// Its directory.
#[must_use]
pub fn directory(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default()
}

/// The file it executes.
#[must_use]
pub fn executable(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default()
}

/// Its open descriptors and where they lead.
#[must_use]
pub fn descriptors(pid: i32) -> BTreeMap<u32, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let leads_to = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, leads_to.to_string_lossy().into_owned()))
        })
        .collect()
}

/// A line of `/proc/PID/status`, its blanks made single.
#[must_use]
pub fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Its soft and hard limit of that name, as `/proc/PID/limits` words them.
#[must_use]
pub fn limit(pid: i32, name: &str) -> (String, String) {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

/// How often its threads were switched to another, together, and how many threads there are.
#[must_use]
pub fn switches(pid: i32) -> (u64, usize) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let counts = tasks.map(|task| {
        let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>()
    });
    counts.fold((0, 0), |(sum, threads), count| (sum + count, threads + 1))
}

/// Resident memory in KiB.
#[must_use]
pub fn resident(pid: i32) -> u64 {
    kib(pid, "VmRSS")
}

/// The most resident memory it has had, in KiB.
#[must_use]
pub fn most_resident(pid: i32) -> u64 {
    kib(pid, "VmHWM")
}

fn kib(pid: i32, name: &str) -> u64 {
    status(pid, name).split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Sends it a signal; that it is gone is no error.
///
/// # Panics
/// When the number is none of a process.
pub fn signal(pid: i32, signal: Signal) {
    assert!(pid > 1, "{pid} is no process of a test");
    let pid = Pid::from_raw(pid).expect("it is not 0");
    let _ = kill_process(pid, signal);
}

/// Kills it.
pub fn kill(pid: i32) {
    signal(pid, Signal::KILL);
}
