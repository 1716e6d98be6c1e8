//! Nothing to do is nothing done.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Plan, process, skip, wait};

#[test]
fn a_daemon_with_nobody_connected_and_nothing_due_does_not_wake_up() {
    let daemon =
        Plan::new("[watcher:a]\ncmd = sleep 1000\nnumprocesses = 20\n[watcher:b]\ncmd = sleep 1000\n")
            .prepare();
    daemon.spawn();
    // Nobody may be connected: what happens is read from the log and from /proc.
    daemon.wait_log("b started");
    daemon.wait_until("all processes", |daemon| process::living_descendants(daemon.pid()).len() == 21);
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
