//! How a process ends: its signal, its grace, and that nothing of it is left when the stop is answered.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Daemon, SLACK, process, wait};
use rustix::process::Signal;
use serde_json::json;

/// A shell that does not end at SIGTERM, and says when that is so.
const STUBBORN: &str = "sh -c \"trap '' TERM; echo ready >> ready; while :; do sleep 1000; done\"";

#[test]
fn one_that_ignores_the_stop_signal_is_killed_after_its_grace() {
    let daemon = Daemon::start(&format!(
        "[watcher:hard]\ncmd = {STUBBORN}\ngraceful_timeout = 1\nstop_signal = TERM\n"
    ));
    let events = daemon.events();
    daemon.wait_file("ready");
    let pid = daemon.the_pid("hard");
    let before = Instant::now();
    daemon.done("stop", "hard");
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) + SLACK, "{took:?}");
    events.wait_count("hard", "stop", 1);
    let story = events.story("hard");
    // The shell's own sleep is killed with it.
    assert!(story.starts_with("kill(1) kill(1)") && story.ends_with("reap(1,-9) stop"), "{story}");
    assert!(!process::lives(pid));
}

#[test]
fn no_grace_at_all_is_sigkill_at_once() {
    let daemon = Daemon::start(&format!("[watcher:hard]\ncmd = {STUBBORN}\ngraceful_timeout = 0\n"));
    let events = daemon.events();
    daemon.wait_file("ready");
    daemon.done("stop", "hard");
    events.wait_count("hard", "stop", 1);
    assert!(events.story("hard").ends_with("reap(1,-9) stop"), "{}", events.story("hard"));
}

#[test]
fn the_stop_signal_is_the_one_that_was_chosen() {
    for (text, number) in [("INT", 2), ("SIGUSR1", 10), ("sigrtmin+2", 36), ("9", 9)] {
        let daemon = Daemon::start(&format!("[watcher:web]\ncmd = sleep 1000\nstop_signal = {text}\n"));
        let events = daemon.events();
        daemon.wait_pids("web", 1);
        daemon.done("stop", "web");
        events.wait_story("web", &format!("kill(1) reap(1,-{number}) stop"));
    }
}

#[test]
fn an_exit_code_of_its_own_is_reported() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sh -c \"trap 'exit 7' TERM; echo ready > ready; while :; do sleep 0.05; done\"\n",
    );
    let events = daemon.events();
    daemon.wait_file("ready");
    daemon.done("stop", "web");
    events.wait_count("web", "stop", 1);
    assert!(events.story("web").contains("reap(1,7)"), "{}", events.story("web"));
}

/// The numbers a script has written, one a line.
fn numbers(text: &str) -> Vec<i32> {
    text.lines().map(|line| line.trim().parse().expect("a pid")).collect()
}

#[test]
fn stop_children_asks_the_direct_children_too() {
    let config = "[watcher:web]\ncmd = sh -c \"trap : TERM; sh -c 'trap \\\"echo told > told; exit 0\\\" TERM; echo up > up; while :; do sleep 0.05; done'; while :; do sleep 0.05; done\"\ngraceful_timeout = 1\nstop_children = True\n";
    let daemon = Daemon::start(config);
    daemon.wait_file("up");
    let events = daemon.events();
    let shell = daemon.the_pid("web");
    daemon.done("stop", "web");
    assert_eq!(daemon.wait_file("told"), "told\n");
    events.wait_count("web", "stop", 1);
    let killed = events.pids("web", "kill");
    assert!(killed[0] == shell && killed[1] != shell, "{killed:?} {shell}");
}

#[test]
fn grandchildren_are_gone_before_the_stop_is_answered() {
    // One in the group, one in a session of its own, one that lost its parent but not its group.
    let script = "sleep 1001 & echo $! >> pids; \
                  setsid sleep 1002 & echo $! >> pids; \
                  (sleep 1003 & echo $! >> pids); \
                  exec sleep 1004";
    let daemon =
        Daemon::start(&format!("[watcher:tree]\ncmd = {script}\nshell = True\ngraceful_timeout = 2\n"));
    let pids = sleepers(&daemon, 3);
    daemon.done("stop", "tree");
    let left: Vec<_> = pids.iter().filter(|pid| process::lives(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
    assert_eq!(process::descendants(daemon.pid()), []);
}

#[test]
fn one_that_left_session_and_tree_is_named_and_ended_at_quit() {
    let script = "setsid sh -c 'sleep 1003 & echo $! >> pids'; exec sleep 1004";
    let daemon = Daemon::start(&format!("[watcher:tree]\ncmd = {script}\nshell = True\n"));
    let stray = sleepers(&daemon, 1)[0];
    daemon.done("stop", "tree");
    assert_eq!(process::stat(stray).map(|stat| stat.parent), Some(daemon.pid()), "circusd is a subreaper");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(!process::lives(stray));
    assert!(daemon.wait_end().success());
    assert_eq!(daemon.log().matches("ending an orphan").count(), 1, "{}", daemon.log());
}

/// The numbers in the file `pids`, once there are so many and each has become its sleep.
fn sleepers(daemon: &Daemon, count: usize) -> Vec<i32> {
    daemon.wait_for("the sleepers", |daemon| {
        let pids = numbers(&std::fs::read_to_string(daemon.path("pids")).ok()?);
        let sleeps = |pid: &i32| process::argv(*pid).first().is_some_and(|word| word == "sleep");
        (pids.len() == count && pids.iter().all(sleeps)).then_some(pids)
    })
}

#[test]
fn a_tree_that_ignores_the_signal_is_killed_at_the_deadline_of_its_root() {
    let script = "trap '' TERM; (while :; do sleep 1000; done) & setsid sh -c 'while :; do sleep 1000; done' & \
                  echo up > up; wait; wait";
    let daemon =
        Daemon::start(&format!("[watcher:tree]\ncmd = {script}\nshell = True\ngraceful_timeout = 1\n"));
    daemon.wait_file("up");
    wait::wait_until("the tree to grow", || process::living_descendants(daemon.pid()).len() >= 5);
    let before = Instant::now();
    daemon.done("stop", "tree");
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) + SLACK, "{took:?}");
    assert_eq!(process::descendants(daemon.pid()), []);
}

#[test]
fn orphans_kept_are_left_alone() {
    let daemon = Daemon::start(
        "[watcher:tree]\ncmd = setsid sleep 1001 & echo $! > pids; exec sleep 1002\nshell = True\norphans = keep\n",
    );
    let orphan = numbers(&daemon.wait_file("pids"))[0];
    daemon.done("stop", "tree");
    assert!(process::lives(orphan));
    daemon.end_later(orphan);
    daemon.signal(Signal::TERM);
    daemon.wait_end();
    assert!(process::lives(orphan), "also when circusd ends");
}

#[test]
fn what_a_crashed_process_leaves_is_ended_before_it_is_replaced() {
    let daemon = Daemon::start(
        "[watcher:tree]\ncmd = sleep 1001 & echo $! >> pids; wait; exit 1\nshell = True\nrespawn_healthy = 0\n",
    );
    let first = numbers(&daemon.wait_file("pids"))[0];
    let shell = daemon.the_pid("tree");
    process::kill(shell);
    daemon.wait_other("tree", shell);
    assert!(!process::lives(first));
}
