//! Nothing to do is nothing done.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Daemon, Plan, process, skip, wait};

#[test]
fn a_daemon_with_nobody_connected_and_nothing_due_does_not_wake_up() {
    let daemon = started(20);
    daemon.wait_until("what the start has needed to be given back", |daemon| {
        process::resident(daemon.pid()) < process::most_resident(daemon.pid()) / 3 * 2
    });
    comes_to_rest(&daemon);
}

#[test]
fn after_a_crowd_of_processes_has_come_it_gives_memory_back_and_does_not_wake_up_either() {
    let daemon = started(300);
    daemon.wait_until("the thread that gives memory back", gives_memory_back);
    comes_to_rest(&daemon);
}

/// Nobody may be connected: what happens is read from the log and from /proc.
fn started(processes: usize) -> Daemon {
    let crowd = format!("[watcher:a]\ncmd = sleep 1000\nnumprocesses = {processes}\n");
    let daemon = Plan::new(&format!("{crowd}[watcher:b]\ncmd = sleep 1000\n")).prepare();
    daemon.spawn();
    daemon.wait_log("b started");
    let all = |daemon: &Daemon| process::living_descendants(daemon.pid()).len() == processes + 1;
    daemon.wait_until("all processes", all);
    daemon
}

fn gives_memory_back(daemon: &Daemon) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("listed");
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm"));
    threads.flatten().filter_map(|thread| name(thread).ok()).any(|name| name == "memory\n")
}

fn comes_to_rest(daemon: &Daemon) {
    let pid = daemon.pid();
    let seconds = if skip::long() { 60 } else { 4 };
    // Threads for blocking work end some time after their last work, once.
    wait::wait_for("a while without a switch of any thread", || {
        let (before, from) = (process::switches(pid), Instant::now());
        while from.elapsed() < Duration::from_secs(seconds) {
            std::thread::park_timeout(Duration::from_millis(200));
            if process::switches(pid) != before {
                return None;
            }
        }
        Some(())
    });
    assert!(process::lives(pid));
}
