//! circusd is killed without warning: the next one ends what was left, and says so.

use circus_tests::daemon::{Daemon, process};
use serde_json::json;

#[test]
fn what_a_killed_circusd_left_is_ended_before_the_first_start() {
    let script = "setsid sleep 1001 & sleep 1002 & echo $$ >> order; wait";
    let daemon = Daemon::start(&format!(
        "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 3\n[watcher:tree]\ncmd = {script}\nshell = True\n"
    ));
    daemon.wait_pids("web", 3);
    daemon.wait_until("the tree", |daemon| process::living_descendants(daemon.pid()).len() >= 6);
    let left = process::living_descendants(daemon.pid());
    daemon.kill_9();
    assert!(left.iter().all(|pid| process::lives(*pid)), "nothing kills them with circusd");
    daemon.spawn_again();
    let alive: Vec<_> =
        left.iter().filter(|pid| process::lives(**pid)).map(|pid| (*pid, process::argv(*pid))).collect();
    assert!(alive.is_empty(), "{alive:?}");
    let new = daemon.wait_pids("web", 3);
    assert!(new.iter().all(|pid| !left.contains(pid)));
    let told = daemon.log().matches("that a killed circusd had left behind").count();
    assert_eq!(told, 1, "{}", daemon.log());
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    daemon.spawn_again();
    assert_eq!(daemon.log().matches("had left behind").count(), 1, "a clean end leaves nothing");
}

#[test]
fn one_that_ignores_its_stop_signal_is_killed_when_its_grace_is_over() {
    let daemon = Daemon::start(
        "[watcher:hard]\ncmd = sh -c \"trap '' TERM; echo up > up; while :; do sleep 1000; done\"\ngraceful_timeout = 1\n",
    );
    daemon.wait_file("up");
    let old = daemon.the_pid("hard");
    daemon.kill_9();
    daemon.spawn_again();
    assert!(!process::lives(old));
    assert_ne!(daemon.wait_pids("hard", 1)[0], old);
}

#[test]
fn killing_circusd_again_and_again_never_doubles_a_process() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 4\ngraceful_timeout = 1\n");
    let mut before: Vec<i32> = Vec::new();
    for _ in 0..5 {
        // At any moment: some are being started.
        daemon.kill_9();
        daemon.spawn_again();
        let now = daemon.wait_pids("web", 4);
        assert!(before.iter().all(|pid| !process::lives(*pid)));
        assert_eq!(process::living_descendants(daemon.pid()).len(), 4);
        before = now;
    }
    let own = process::all().into_iter().filter(|stat| process::directory(stat.pid) == daemon.dir()).count();
    assert_eq!(own, 5, "circusd and its four");
}
