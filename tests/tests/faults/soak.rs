//! Crashes by the ten thousand and reloads by the thousand leave nothing behind.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Daemon, process};
use serde_json::json;

use crate::{measured, scale};

/// What circusd holds that may not grow.
#[derive(Debug, PartialEq)]
struct Held {
    descriptors: usize,
    children: usize,
    zombies: usize,
    threads: usize,
}

fn held(pid: i32) -> Held {
    let children = process::descendants(pid);
    Held {
        descriptors: process::descriptors(pid).len(),
        children: children.len(),
        zombies: children.iter().filter(|stat| stat.zombie).count(),
        threads: process::switches(pid).1,
    }
}

/// Kills all processes of the watcher until so many were killed, and waits until all are replaced.
fn crash(daemon: &Daemon, name: &str, each: usize, count: usize) -> usize {
    let mut crashed = 0;
    while crashed < count {
        let old = daemon.wait_pids(name, each);
        for pid in &old {
            process::kill(*pid);
        }
        crashed += old.len();
        daemon.wait_until("all to be replaced", |daemon| {
            let now = daemon.pids(name);
            now.len() == each && now.iter().all(|pid| !old.contains(pid))
        });
    }
    crashed
}

#[test]
fn ten_thousand_crashes_and_a_thousand_reloads_leave_nothing_over() {
    let (crashes, reloads) = scale((400, 20), (10_000, 1_000));
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 20\nrespawn_healthy = 0\n[watcher:two]\ncmd = sleep 1001\nnumprocesses = 2\n",
    );
    // Once through everything, so that what is allocated once is allocated.
    crash(&daemon, "web", 20, scale(100, 1000));
    daemon.done("reload", "two");
    let pid = daemon.pid();
    let steady = |daemon: &Daemon| {
        // The blocking pool's threads end some seconds after their last work.
        daemon.wait_for("the threads to be few", |_| {
            let now = held(pid);
            (now.children == 22 && now.zombies == 0 && now.threads <= 12).then_some(now)
        })
    };
    let (before, memory) = (steady(&daemon), process::resident(pid));
    let from = Instant::now();
    let crashed = crash(&daemon, "web", 20, crashes);
    for _ in 0..reloads {
        daemon.done("reload", "two");
    }
    let taken = from.elapsed();
    let grown = process::resident(pid).saturating_sub(memory);
    let end = Instant::now() + Duration::from_secs(60);
    let mut after = steady(&daemon);
    while after.descriptors > before.descriptors && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(200));
        after = steady(&daemon);
    }
    measured(
        "soak",
        &format!(
            "{crashed} crashes, {reloads} reloads in {taken:?}: {before:?} became {after:?}; {grown} KiB more"
        ),
    );
    assert_eq!((after.zombies, after.children), (0, before.children));
    assert!(after.descriptors <= before.descriptors, "{before:?} {after:?}");
    assert!(after.threads <= before.threads + 1, "{before:?} {after:?}");
    assert!(grown < 2048, "{grown} KiB more");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}
