//! A process that ends: told, replaced, at most so fast.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use circus_tests::daemon::{Daemon, SLACK, process};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn a_first_failure_is_replaced_at_once_and_told() {
    // Long enough that a wait for it would be seen.
    let daemon = Daemon::start("[circus]\ncheck_delay = 60\n[watcher:web]\ncmd = sleep 1000\n");
    let events = daemon.events();
    let old = daemon.wait_pids("web", 1)[0];
    let before = Instant::now();
    process::kill(old);
    daemon.wait_other("web", old);
    assert!(before.elapsed() < SLACK);
    events.wait_story("web", "reap(1,-9) spawn(2)");
    assert_eq!(events.of("web")[0].members["expected"], json!(false));
}

#[test]
fn one_that_fails_again_and_again_is_started_less_and_less_often() {
    let daemon = Daemon::start("[circus]\ncheck_delay = 1\n[watcher:bad]\ncmd = sh -c \"exit 3\"\n");
    let events = daemon.events();
    events.wait_count("bad", "spawn", 3);
    assert_eq!(daemon.status("bad"), "active");
    let why = daemon.wait_for("a back-off that is shown", |daemon| {
        let why = daemon.ok("why", json!({"name": "bad"}));
        why["backoff"]["1"]["retry_in"].as_f64().filter(|left| *left > 0.5).map(|_| why)
    });
    assert_eq!(why["slots"]["1"][0]["exit_code"], 3, "{why:?}");
    // Ever longer, up to check_delay: 0.1, 0.2, 0.4, 0.8, 1, 1.
    events.wait_count("bad", "spawn", 5);
    let times: Vec<f64> = events
        .of("bad")
        .iter()
        .filter(|seen| seen.event == "spawn")
        .filter_map(|seen| seen.members["time"].as_f64())
        .collect();
    let last = times[times.len() - 1] - times[times.len() - 2];
    assert!(last >= 0.3, "{times:?}");
}

#[test]
fn without_respawn_the_last_exit_stops_the_watcher() {
    let daemon = Daemon::start(
        "[watcher:job]\ncmd = sh -c \"while ! test -e go; do sleep 0.02; done\"\nrespawn = False\n",
    );
    let events = daemon.events();
    daemon.wait_pids("job", 1);
    std::fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_status("job", "stopped");
    events.wait_story("job", "reap(1,0) stop");
    assert_eq!(events.of("job")[0].members["expected"], json!(true));
    daemon.done("start", "job");
    events.wait_count("job", "stop", 2);
    events.wait_words("job", "reap stop spawn start reap stop");
}

#[test]
fn max_age_ends_a_process_and_replaces_it() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nmax_age = 1\nmax_age_variance = 0\nautostart = False\n",
    );
    let events = daemon.events();
    daemon.done("start", "web");
    events.wait_count("web", "spawn", 3);
    let story = events.story("web");
    let wanted = "spawn(1) start kill(1) reap(1,-15) spawn(2) kill(2) reap(2,-15) spawn(3)";
    assert!(story.starts_with(wanted), "{story}");
    assert_eq!(events.of("web")[3].members["expected"], json!(true));
}

#[test]
fn the_last_exits_of_each_slot_are_kept() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nrespawn_healthy = 0\n");
    let old = daemon.wait_pids("web", 1)[0];
    process::signal(old, Signal::USR1);
    daemon.wait_other("web", old);
    let why = daemon.ok("why", json!({"name": "web"}));
    let exit = &why["slots"]["1"][0];
    assert_eq!((exit["pid"].as_i64(), exit["signal"].is_null()), (Some(i64::from(old)), false), "{why:?}");
    assert_eq!(why["restarts"], 1);
}

/// A program that runs until it is killed, costing nothing.
const CROWD: &str = "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 4\nrespawn_healthy = 0\n\
                     [watcher:b]\ncmd = sh -c \"exec sleep 1000\"\nnumprocesses = 4\nrespawn_healthy = 0\n";

#[test]
fn killing_any_child_at_any_time_leaves_nothing_behind() {
    let daemon = Daemon::start(CROWD);
    let circusd = daemon.pid();
    let events = daemon.events();
    let mut victims = BTreeSet::new();
    let mut storm = |kills: u32| {
        let mut random = fastrand::Rng::with_seed(u64::from(kills));
        for _ in 0..kills {
            let name = if random.bool() { "a" } else { "b" };
            // Whoever is there, perhaps one that was started this instant.
            let pids =
                daemon.wait_for("somebody to kill", |d| Some(d.pids(name)).filter(|pids| !pids.is_empty()));
            let victim = pids[random.usize(..pids.len())];
            process::kill(victim);
            victims.insert(victim);
        }
        daemon.wait_until("everybody to be back", |daemon| {
            let all = [daemon.pids("a"), daemon.pids("b")];
            all.iter().all(|pids| pids.len() == 4) && all.concat().iter().all(|pid| !victims.contains(pid))
        });
    };
    // What is warmed up by a first storm is no leak.
    storm(100);
    let (descriptors, resident) = (process::descriptors(circusd).len(), process::resident(circusd));
    storm(500);
    let told = |event: &str| [events.pids("a", event), events.pids("b", event)].concat();
    daemon.wait_until("as many ends as victims", |_| told("reap").len() == victims.len());
    daemon.wait_until("as many starts as victims", |_| told("spawn").len() == victims.len());
    assert_eq!(
        told("reap").into_iter().collect::<BTreeSet<_>>(),
        victims,
        "each of them once, and nobody else"
    );
    let left: Vec<i32> = process::descendants(circusd).iter().map(|stat| stat.pid).collect();
    assert_eq!(left.len(), 8, "{left:?}");
    // The connections of the questions above are being closed at their own pace.
    daemon.wait_until("as few descriptors as before", |_| process::descriptors(circusd).len() <= descriptors);
    let after = process::resident(circusd);
    assert!(after < resident + 2048, "{resident} {after} KiB");
}

#[test]
fn a_stop_during_a_crash_loop_ends_it() {
    let daemon = Daemon::start("[watcher:bad]\ncmd = false\nrespawn_healthy = 0\n");
    let events = daemon.events();
    events.wait_count("bad", "reap", 20);
    daemon.done("stop", "bad");
    events.wait_count("bad", "stop", 1);
    assert!(events.words("bad").ends_with("stop"));
    assert_eq!(process::descendants(daemon.pid()), []);
    let took = Instant::now();
    daemon.done("stop", "bad");
    assert!(took.elapsed() < Duration::from_secs(1) + SLACK);
}
