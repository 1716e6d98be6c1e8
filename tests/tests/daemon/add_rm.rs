//! Watchers that come and go by command.

use circus_tests::daemon::{Daemon, process};
use serde_json::json;

#[test]
fn add_makes_a_watcher_and_start_starts_it() {
    let daemon = Daemon::start("[watcher:first]\ncmd = sleep 1000\n");
    let events = daemon.events();
    daemon.ok("add", json!({"name": "Late r", "cmd": "sleep", "args": "1000"}));
    assert_eq!(daemon.status("late R"), "stopped");
    daemon.done("start", "Late r");
    events.wait_words("Late r", "add spawn start");
    let reply = daemon.ok(
        "add",
        json!({"name": "now", "cmd": "sleep 1000", "start": true, "waiting": true,
        "options": {"numprocesses": 2}}),
    );
    assert_eq!((&reply["started"], &reply["kept"]), (&json!(daemon.pids("now")), &json!([])));
    let (number, reason) = daemon.refused("add", json!({"name": "NOW", "cmd": "sleep 1"}));
    assert!(number == 5 && reason.ends_with("already exist"), "{reason}");
    assert_eq!(daemon.refused("add", json!({"name": "x", "cmd": "y", "options": {"nope": 1}})).0, 3);
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["first", "late r", "now"]));
}

#[test]
fn rm_stops_and_forgets() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\n");
    let pids = daemon.wait_pids("web", 2);
    let events = daemon.events();
    daemon.done("rm", "web");
    assert!(pids.iter().all(|pid| !process::lives(*pid)));
    assert_eq!(daemon.refused("status", json!({"name": "web"})).0, 3);
    events.wait_words("web", "remove kill kill reap reap stop");
}

#[test]
fn rm_without_stop_lets_the_processes_go_and_still_reaps_them() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\n");
    let pids = daemon.wait_pids("web", 2);
    pids.iter().for_each(|pid| daemon.end_later(*pid));
    let events = daemon.events();
    daemon.ok("rm", json!({"name": "web", "nostop": true, "waiting": true}));
    assert!(pids.iter().all(|pid| process::lives(*pid)));
    // The name is free at once.
    daemon.ok("add", json!({"name": "web", "cmd": "sleep 1001", "start": true, "waiting": true}));
    let new = daemon.the_pid("web");
    process::kill(pids[0]);
    daemon.wait_until("the released one to be reaped", |_| process::stat(pids[0]).is_none());
    events.wait_words("web", "remove add spawn start");
    daemon.ok("quit", json!({"waiting": true}));
    daemon.wait_end();
    assert!(process::lives(pids[1]) && !process::lives(new), "what was released is not ended at quit");
}
