//! The machine runs out of something: space, descriptors, processes, /proc, or a sensible clock.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use circus_tests::daemon::{CONTAINED, Daemon, Plan, SLACK, process, skip, wait};
use serde_json::json;

use crate::measured;

pub const WEB: &str =
    "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 3\nrespawn_healthy = 0\ngraceful_timeout = 1\n";

/// A user that has no processes but those of the test.
const NOBODY: &str = "54321";

/// A small file system of its own, gone at the end.
pub struct Mount(pub PathBuf);

impl Mount {
    /// `None`, and the test is skipped, where nothing may be mounted.
    pub fn new(test: &str, at: PathBuf, options: &str) -> Option<Self> {
        if !skip::is_root(test) {
            return None;
        }
        fs::create_dir_all(&at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&at).status();
        if !done.is_ok_and(|status| status.success()) {
            skip::skipped(test, "the right to mount");
            return None;
        }
        Some(Self(at))
    }

    pub fn fill(&self) {
        let _ = fs::write(self.0.join("filler"), vec![b'x'; 1 << 20]);
    }

    pub fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Kills one process of web and waits for its replacement.
pub fn replaces(daemon: &Daemon) {
    let old = daemon.wait_pids("web", 3);
    process::kill(old[0]);
    daemon.wait_until("a replacement", |daemon| {
        let now = daemon.pids("web");
        now.len() == 3 && !now.contains(&old[0])
    });
}

#[test]
fn a_full_disk_under_the_log_stops_nothing_and_the_log_goes_on_when_there_is_space() {
    let daemon = Plan::new(WEB).arguments(&["--log-output", "disk/circusd.log"]).prepare();
    let Some(disk) = Mount::new("a_full_disk_under_the_log", daemon.path("disk"), "size=64k") else { return };
    daemon.spawn();
    daemon.wait_answers();
    let log = disk.0.join("circusd.log");
    wait::wait_until("a line in the log", || fs::metadata(&log).is_ok_and(|file| file.len() > 0));
    disk.fill();
    for _ in 0..10 {
        replaces(&daemon);
    }
    let full = fs::metadata(&log).unwrap().len();
    disk.empty();
    wait::wait_until("the log to go on", || {
        replaces(&daemon);
        fs::metadata(&log).is_ok_and(|file| file.len() > full)
    });
    measured("full disk, log", "ten crashes replaced while full; lines again when there is space");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}

#[test]
fn a_file_that_may_not_grow_costs_its_lines_and_not_the_daemon() {
    if !skip::can_run("a_file_that_may_not_grow", &["prlimit", "--version"]) {
        return;
    }
    const LIMIT: u64 = 100_000;
    let loud = "[watcher:loud]\ncmd = sh -c 'head -c 300000 /dev/zero; sleep 1000'\nautostart = False\n\
                graceful_timeout = 1\nstdout_stream.class = FileStream\nstdout_stream.filename = loud.log\n";
    let daemon = Plan::new(&format!("{WEB}{loud}")).arguments(&["--log-output", "circusd.log"]).start();
    let limit = ["--pid", &daemon.pid().to_string(), &format!("--fsize={LIMIT}:{LIMIT}")].map(str::to_owned);
    assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    daemon.ok("start", json!({"name": "loud", "waiting": true}));
    let size = |name| fs::metadata(daemon.path(name)).map_or(0, |file| file.len());
    wait::wait_until("the output to reach the limit", || size("loud.log") == LIMIT);
    // And circusd's own log, by the lines of its work.
    fs::OpenOptions::new().append(true).open(daemon.path("circusd.log")).unwrap().set_len(LIMIT).unwrap();
    for _ in 0..5 {
        replaces(&daemon);
    }
    measured("file size limit", "five crashes replaced with the log and a stream at the limit");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}

#[test]
fn a_pidfile_that_cannot_be_written_is_told_and_nothing_is_started() {
    for (options, filled, words) in [("size=64k", true, "No space left"), ("size=64k,ro", false, "Read-only")]
    {
        let daemon = Plan::new(WEB).arguments(&["--pidfile", "disk/circusd.pid"]).prepare();
        let Some(disk) = Mount::new("a_pidfile_that_cannot_be_written", daemon.path("disk"), options) else {
            return;
        };
        if filled {
            disk.fill();
        }
        daemon.spawn();
        assert_eq!(daemon.wait_end().code(), Some(1));
        let told = daemon.log() + &fs::read_to_string(daemon.path("output")).unwrap_or_default();
        assert!(told.contains(words), "{told}");
        assert_eq!(
            process::all().iter().filter(|stat| process::directory(stat.pid) == daemon.dir()).count(),
            0
        );
        measured("pidfile that cannot be written", told.lines().last().unwrap_or_default());
    }
}

#[test]
fn a_log_in_a_read_only_directory_is_told_and_nothing_is_started() {
    let daemon = Plan::new(WEB).arguments(&["--log-output", "disk/circusd.log"]).prepare();
    let Some(_disk) = Mount::new("a_log_in_a_read_only_directory", daemon.path("disk"), "size=64k,ro") else {
        return;
    };
    daemon.spawn();
    assert_eq!(daemon.wait_end().code(), Some(1));
    assert!(daemon.log().contains("Read-only"), "{}", daemon.log());
    measured("read-only log directory", daemon.log().lines().last().unwrap_or_default());
}

#[test]
fn without_descriptors_nobody_is_lost_and_with_them_all_come_back() {
    if !skip::can_run("without_descriptors_nobody_is_lost", &["prlimit", "--version"]) {
        return;
    }
    let daemon = Daemon::start(WEB);
    daemon.wait_pids("web", 3);
    let limit = |number: u32| {
        let number = format!("--nofile={number}:20000");
        let done = Command::new("prlimit").args(["--pid", &daemon.pid().to_string(), &number]).status();
        assert!(done.unwrap().success());
    };
    let before = daemon.pids("web");
    // Fewer than are open: what is open stays, and nothing new can be had.
    limit(6);
    before.iter().for_each(|pid| process::kill(*pid));
    daemon.wait_log("Too many open files");
    limit(20_000);
    let after = daemon.wait_pids("web", 3);
    assert!(after.iter().all(|pid| !before.contains(pid)));
    assert_eq!(daemon.status("web"), "active");
    measured("EMFILE", "spawns refused and tried again, none counted as max_retry; all three back");
    replaces(&daemon);
}

#[test]
fn when_no_process_may_be_created_the_watcher_waits_and_starts_when_one_may() {
    let test = "when_no_process_may_be_created";
    let command = ["setpriv", "--reuid", NOBODY, "--clear-groups", "prlimit", "--nproc=40", "--"];
    if !skip::is_root(test) || !skip::can_run(test, &[&command[..], &["true"]].concat()) {
        return;
    }
    let many = WEB.replace("numprocesses = 3", "numprocesses = 60");
    let daemon = Plan::new(&many).under(&command).prepare();
    let owner = Some(NOBODY.parse().unwrap());
    for path in [daemon.dir().to_owned(), daemon.path("run")] {
        std::os::unix::fs::chown(path, owner, None).unwrap();
    }
    daemon.spawn();
    daemon.wait_answers();
    daemon.wait_log("Resource temporarily unavailable");
    let (some, from) = (daemon.pids("web").len(), Instant::now());
    assert!((1..60).contains(&some), "{some}");
    assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], 1);
    let answered = from.elapsed();
    daemon.ok("set", json!({"name": "web", "options": {"numprocesses": 3}}));
    daemon.wait_pids("web", 3);
    daemon.wait_status("web", "active");
    measured(
        "EAGAIN at fork",
        &format!("{some} of 60 run; answers meanwhile {answered:?}; 3 of 3 when 3 are wanted"),
    );
    replaces(&daemon);
}

#[test]
fn when_the_pids_of_a_namespace_run_out_the_daemon_goes_on() {
    let test = "when_the_pids_of_a_namespace_run_out";
    // Since Linux 6.14 each namespace has its own limit; before, this would change the whole machine's.
    let probe = "test \"$(cat /proc/sys/kernel/pid_max)\" != 340 && echo 340 > /proc/sys/kernel/pid_max && unshare --pid --fork --mount-proc sh -c 'test $(cat /proc/sys/kernel/pid_max) -ge 340'";
    let outside = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    if !skip::is_root(test) || !skip::can_run(test, &[&CONTAINED[..], &["sh", "-c", probe]].concat()) {
        return;
    }
    if fs::read_to_string("/proc/sys/kernel/pid_max").unwrap() != outside {
        let _ = fs::write("/proc/sys/kernel/pid_max", outside);
        return skip::skipped(test, "a pid_max of each namespace's own");
    }
    let under =
        [&CONTAINED[..], &["sh", "-c", "echo 340 > /proc/sys/kernel/pid_max; exec \"$@\"", "sh"]].concat();
    let many = WEB.replace("numprocesses = 3", "numprocesses = 400");
    let daemon = Plan::new(&many).under(&under).start();
    daemon.wait_log("Resource temporarily unavailable");
    let some = daemon.pids("web").len();
    assert!((100..340).contains(&some), "{some}");
    daemon.ok("set", json!({"name": "web", "options": {"numprocesses": 3}}));
    daemon.wait_pids("web", 3);
    daemon.wait_status("web", "active");
    measured("pids run out", &format!("{some} of 400 run; 3 of 3 when 3 are wanted"));
    daemon.ok("quit", json!({"waiting": true}));
    daemon.wait_end();
}

#[test]
fn without_proc_everything_is_stopped_and_replaced_but_nothing_is_started() {
    let test = "without_proc";
    let under = ["unshare", "--mount", "--"];
    let probe = [&under[..], &["mount", "-t", "tmpfs", "none", "/proc"]].concat();
    if !skip::is_root(test) || !skip::can_run(test, &probe) {
        return;
    }
    let daemon = Plan::new(WEB).under(&under).start();
    let old = daemon.wait_pids("web", 3);
    let pid = daemon.pid().to_string();
    let hidden = Command::new("nsenter")
        .args(["--target", &pid, "--mount", "mount", "-t", "tmpfs", "-o", "ro", "none", "/proc"])
        .status();
    assert!(hidden.unwrap().success());
    replaces(&daemon);
    daemon.done("reload", "web");
    assert!(old.iter().all(|pid| !process::lives(*pid)));
    let from = Instant::now();
    daemon.done("stop", "web");
    let taken = from.elapsed();
    assert!(taken < SLACK, "{taken:?}");
    assert_eq!(process::living_descendants(daemon.pid()), Vec::<i32>::new());
    daemon.done("start", "web");
    daemon.ok("stats", json!({}));
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    let blind = Plan::new(WEB)
        .under(&["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o ro none /proc && exec \"$@\"", "sh"])
        .prepare();
    blind.spawn();
    assert_eq!(blind.wait_end().code(), Some(1));
    assert!(blind.log().contains("circusd needs /proc to start"), "{}", blind.log());
    measured(
        "no /proc",
        &format!("crash, reload, stop ({taken:?}) and start as ever; a new circusd says what it lacks"),
    );
}

/// A library that sets the wall clock of who loads it by the number of seconds in a file.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, out);
    const char *path = getenv("TEST_CLOCK");
    FILE *file = id == CLOCK_REALTIME && path ? fopen(path, "re") : NULL;
    if (file) {
        long by = 0;
        if (fscanf(file, "%ld", &by) == 1) out->tv_sec += by;
        fclose(file);
    }
    return done;
}
"#;

/// Builds it; `None`, and the test is skipped, where there is no compiler.
fn clock_library(test: &str, folder: &Path) -> Option<PathBuf> {
    if !skip::can_run(test, &["cc", "--version"]) {
        return None;
    }
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let done =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").status();
    assert!(done.unwrap().success());
    Some(library)
}

#[test]
fn a_clock_set_back_delays_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = clock_library("a_clock_set_back", folder.path()) else { return };
    let by = folder.path().join("by");
    let set = |seconds: i64| fs::write(&by, seconds.to_string()).unwrap();
    set(0);
    let config = format!(
        "{WEB}[watcher:bad]\ncmd = sh -c \"exit 1\"\n[watcher:hard]\ncmd = sh -c \"trap '' TERM; while :; do sleep 1; done\"\ngraceful_timeout = 1\n"
    );
    let daemon = Plan::new(&config)
        .variable("LD_PRELOAD", library.to_str().unwrap())
        .variable("TEST_CLOCK", by.to_str().unwrap())
        .start();
    let events = daemon.events();
    for seconds in [-86_400 * 365, 86_400 * 365, 0, -3600] {
        set(seconds);
        replaces(&daemon);
        let from = Instant::now();
        daemon.done("restart", "hard");
        let taken = from.elapsed();
        assert!(taken >= Duration::from_secs(1) && taken < SLACK, "{taken:?}");
        events.clear();
        events.wait_count("bad", "spawn", 1);
    }
    // It was the clock that was set, and not something else.
    let seen = events.of("bad");
    let time = seen.last().and_then(|seen| seen.members["time"].as_f64()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - 3600.0 - time).abs() < 300.0, "{now} {time}");
    measured(
        "clock set",
        "a year back and forth: respawn, grace and back-off as ever; events carry the clock as it is",
    );
}
