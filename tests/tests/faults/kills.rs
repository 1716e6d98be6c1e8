//! Anybody may be killed or stopped at any moment, circusd too: the next circusd cleans up, and nothing is doubled.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Daemon, SLACK, process, wait};
use rustix::process::Signal;
use serde_json::json;

use crate::{measured, scale};

const CONFIG: &str = "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 4\nrespawn_healthy = 0\ngraceful_timeout = 1\n\
    [watcher:tree]\ncmd = sleep 1001 & sleep 1002 & exec sleep 1003\nshell = True\nrespawn_healthy = 0\n\
    graceful_timeout = 1\n";

/// web's four, and tree's one with the two it starts.
const ALL: usize = 4 + 3;

/// Every process that came of this daemon, circusd included.
fn of(daemon: &Daemon) -> Vec<i32> {
    let all = process::all().into_iter().filter(|stat| !stat.zombie);
    all.map(|stat| stat.pid).filter(|pid| process::directory(*pid) == daemon.dir()).collect()
}

#[test]
fn whoever_is_killed_at_any_moment_is_replaced_and_nobody_is_doubled() {
    let daemon = Daemon::start(CONFIG);
    let mut random = fastrand::Rng::with_seed(11);
    let (mut children, mut daemons) = (0, 0);
    for _ in 0..scale(40, 600) {
        let victims = process::living_descendants(daemon.pid());
        match random.u8(0..8) {
            0 => {
                daemon.kill_9();
                // Its children live on, and may be in any state when the next one comes.
                for pid in victims {
                    match random.u8(0..4) {
                        0 => process::signal(pid, Signal::KILL),
                        // Some of them before they run their program, with all that the dead circusd had open.
                        1 => process::signal(pid, Signal::STOP),
                        _ => {}
                    }
                }
                daemon.spawn_again();
                daemons += 1;
            }
            1 => victims.into_iter().for_each(process::kill),
            2 => {
                let command = ["reload", "restart", "stop", "start"][random.usize(..4)];
                daemon.ok(command, json!({"name": "web"}));
            }
            _ if victims.is_empty() => {}
            _ => {
                process::kill(victims[random.usize(..victims.len())]);
                children += 1;
            }
        }
        std::thread::park_timeout(Duration::from_millis(random.u64(0..60)));
    }
    daemon.ok("start", json!({"waiting": true}));
    // What the script lost of its own it does not start again: a fresh tree has all three.
    daemon.done("restart", "tree");
    daemon.wait_pids("web", 4);
    let mut last = Vec::new();
    let settled = wait::LIMIT;
    let from = Instant::now();
    while from.elapsed() < settled {
        last = of(&daemon);
        if last.len() == ALL + 1 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let told: Vec<_> = last.iter().map(|pid| (*pid, process::argv(*pid))).collect();
    assert_eq!(last.len(), ALL + 1, "circusd and its seven: {told:?}");
    measured(
        "kill -9",
        &format!("{children} children and {daemons} daemons at random moments: none lost, none doubled"),
    );
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    wait::wait_until("everybody to be gone", || of(&daemon).is_empty());
}

#[test]
fn a_child_that_is_stopped_holds_up_only_its_own_end() {
    let daemon = Daemon::start(&format!("{CONFIG}[watcher:other]\ncmd = sleep 1000\n"));
    let frozen = daemon.wait_pids("web", 4);
    for pid in &frozen {
        process::signal(*pid, Signal::STOP);
    }
    let from = Instant::now();
    let stop = daemon.ask("stop", json!({"name": "web", "waiting": true}));
    daemon.done("restart", "other");
    assert!(!stop.is_answered() || from.elapsed() >= Duration::from_secs(1), "the grace is kept");
    assert_eq!(stop.answer()["status"], "ok");
    let taken = from.elapsed();
    assert!(taken >= Duration::from_secs(1) && taken < SLACK, "{taken:?}");
    assert!(frozen.iter().all(|pid| !process::lives(*pid)));
    measured("SIGSTOP", &format!("a stop of four that are stopped, grace 1 s: {taken:?}"));
}
