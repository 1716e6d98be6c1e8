//! What runs beside the decisions may stop, die or find no space: circusd-stats, a stream's file, the helpers that run
//! Python. The children go on, and so does it when it can.

use std::{
    fs,
    time::{Duration, Instant},
};

use circus_tests::daemon::{Daemon, Listener, Plan, process, skip, wait};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    machine::{Mount, WEB, replaces},
    measured, scale,
};

/// What prints without end, a few bytes at a time.
const TALKER: &str = "[watcher:talker]\ncmd = sh -c \"while :; do echo a line of output; sleep 0.02; done\"\n\
    respawn_healthy = 0\ngraceful_timeout = 1\nstdout_stream.class = FileStream\nstdout_stream.filename = disk/talk.log\n";

#[test]
fn a_full_disk_under_a_stream_holds_up_nobody_and_lines_come_again_when_there_is_space() {
    let daemon = Plan::new(&format!("{WEB}{TALKER}")).prepare();
    let Some(disk) = Mount::new("a_full_disk_under_a_stream", daemon.path("disk"), "size=64k") else {
        return;
    };
    daemon.spawn();
    daemon.wait_answers();
    let log = disk.0.join("talk.log");
    let size = || fs::metadata(&log).map_or(0, |file| file.len());
    wait::wait_until("a line", || size() > 0);
    disk.fill();
    let from = Instant::now();
    for _ in 0..5 {
        replaces(&daemon);
    }
    let taken = from.elapsed();
    daemon.done("restart", "talker");
    let full = size();
    disk.empty();
    wait::wait_until("lines again", || size() > full);
    measured(
        "full disk, stream",
        &format!("five crashes replaced while full in {taken:?}; lines again after"),
    );
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}

#[test]
fn circusd_stats_may_be_stopped_or_killed_and_nobody_else_notices() {
    let daemon = Daemon::start(&format!("[circus]\nstatsd = True\nstats_endpoint = ipc://stats\n{WEB}"));
    let listener = Listener::to(&format!("ipc://{}", daemon.path("stats").display()));
    let events = daemon.events();
    let _ = listener.next("stat.web");
    let stats = daemon.wait_pids("circusd-stats", 1)[0];
    process::signal(stats, Signal::STOP);
    let from = Instant::now();
    let rounds = scale(20, 500);
    for _ in 0..rounds {
        replaces(&daemon);
    }
    let stopped = from.elapsed();
    events.wait_count("web", "spawn", rounds);
    process::signal(stats, Signal::CONT);
    let pids = daemon.wait_pids("web", 3);
    let _ = listener.wait("stat.web", "the pids that are there now", |value| value["pid"] == json!(pids));
    process::kill(stats);
    daemon.wait_other("circusd-stats", stats);
    let _ = listener.next("stat.web");
    // One that is stopped when it is to end gets SIGKILL when its grace is over, as anybody.
    process::signal(daemon.wait_pids("circusd-stats", 1)[0], Signal::STOP);
    daemon.ok("set", json!({"name": "circusd-stats", "options": {"graceful_timeout": 1}}));
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    measured(
        "circusd-stats",
        &format!("stopped: {rounds} crashes replaced in {stopped:?}, all told, and its figures true after"),
    );
}

const MODULE: &str = "class Sink:\n    def __init__(self, **rest): pass\n    def __call__(self, data): pass\n\
    def yes(**rest): return True\n";

#[test]
fn helpers_that_are_killed_at_any_moment_cost_no_process() {
    let test = "helpers_that_are_killed";
    let python = std::env::var("CIRCUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !skip::can_run(test, &[&python, "-c", "0"]) {
        return;
    }
    let hooks: String = ["before_start", "before_spawn", "after_spawn", "before_signal", "after_reap"]
        .map(|hook| format!("hooks.{hook} = beside.yes, True\n"))
        .concat();
    let config = format!(
        "[circus]\npython = {python}\n{WEB}{hooks}stdout_stream.class = beside.Sink\nstderr_stream.class = beside.Sink\n"
    );
    let daemon = Plan::new(&config).prepare();
    fs::write(daemon.path("beside.py"), MODULE).unwrap();
    daemon.spawn();
    daemon.wait_answers();
    daemon.wait_pids("web", 3);
    let mut random = fastrand::Rng::with_seed(21);
    let (mut helpers, mut children) = (0, 0);
    for _ in 0..scale(40, 600) {
        let web = daemon.pids("web");
        let all = process::living_descendants(daemon.pid());
        let victim = all.get(random.usize(..all.len().max(1))).copied();
        let Some(victim) = victim else { continue };
        process::kill(victim);
        *(if web.contains(&victim) { &mut children } else { &mut helpers }) += 1;
        std::thread::park_timeout(Duration::from_millis(random.u64(0..80)));
    }
    daemon.ok("start", json!({"waiting": true}));
    daemon.wait_pids("web", 3);
    replaces(&daemon);
    measured("helpers", &format!("{helpers} helpers and {children} children killed: three of three there"));
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    let left = || process::all().iter().any(|stat| process::directory(stat.pid) == daemon.dir());
    wait::wait_until("everybody to be gone", || !left());
}
