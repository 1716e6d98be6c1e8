//! Restart and reload in all their modes.

use circus_tests::daemon::{Daemon, process};
use serde_json::json;

/// Two spawns that are under way together may end in either order.
fn sorted(mut pids: Vec<i32>) -> Vec<i32> {
    pids.sort_unstable();
    pids
}

const WEB: &str = "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 1\ngraceful_timeout = 5\n";

#[test]
fn a_restart_stops_and_starts() {
    let daemon = Daemon::start(WEB);
    let events = daemon.events();
    let old = daemon.wait_pids("web", 1);
    let reply = daemon.done("restart", "web");
    let new = daemon.pids("web");
    assert_ne!(old, new);
    assert_eq!(reply["info"], json!({"stopped": old, "started": new, "kept": []}));
    events.wait_story("web", "kill(1) reap(1,-15) stop spawn(2) start");
    daemon.done("stop", "web");
    events.wait_words("web", "kill reap stop spawn start kill reap stop");
    events.clear();
    daemon.done("restart", "web");
    events.wait_words("web", "spawn start");
}

#[test]
fn a_reload_starts_the_new_before_the_old_ends() {
    let daemon = Daemon::start(&WEB.replace("= 1\n", "= 2\n"));
    let events = daemon.events();
    let old = daemon.wait_pids("web", 2);
    let reply = daemon.done("reload", "web");
    let (old, new) = (sorted(old), sorted(daemon.pids("web")));
    assert_eq!(reply["info"], json!({"stopped": old, "started": new, "kept": []}));
    assert!(new.iter().all(|pid| !old.contains(pid)));
    events.wait_words("web", "spawn spawn kill kill reap reap reload");
    assert_eq!(
        (sorted(events.pids("web", "spawn")), sorted(new)),
        (sorted(daemon.pids("web")), sorted(daemon.pids("web")))
    );
    assert_eq!(sorted(events.pids("web", "kill")), sorted(old));
    assert_eq!(daemon.wids("web"), [3, 4]);
    assert!(
        events
            .of("web")
            .iter()
            .filter(|seen| seen.event == "reap")
            .all(|seen| seen.members["expected"] == true)
    );
    daemon.done("reload", "web");
    assert_eq!(daemon.wids("web"), [1, 2]);
}

#[test]
fn a_sequential_reload_takes_one_after_the_other() {
    let daemon = Daemon::start(&WEB.replace("= 1\n", "= 2\n"));
    let events = daemon.events();
    let old = daemon.wait_pids("web", 2);
    daemon.ok("reload", json!({"name": "web", "sequential": true, "waiting": true}));
    events.wait_story("web", "kill(1) reap(1,-15) spawn(2) kill(3) reap(3,-15) spawn(4) reload");
    assert_eq!(sorted(events.pids("web", "kill")), sorted(old.clone()));
    let new = daemon.pids("web");
    assert!(new.len() == 2 && new.iter().all(|pid| !old.contains(pid)));
    let mut wids = daemon.wids("web");
    wids.sort_unstable();
    assert_eq!(wids, [1, 2]);
}

#[test]
fn a_reload_that_is_not_graceful_is_a_restart() {
    let daemon = Daemon::start(WEB);
    let events = daemon.events();
    daemon.wait_pids("web", 1);
    daemon.ok("reload", json!({"name": "web", "graceful": false, "waiting": true}));
    events.wait_words("web", "kill reap stop spawn start");
}

#[test]
fn a_reload_with_send_hup_keeps_the_process() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sh -c \"trap 'echo hup >> hup' HUP; echo up > up; while :; do sleep 0.05; done\"\nsend_hup = True\n",
    );
    let events = daemon.events();
    daemon.wait_file("up");
    let pid = daemon.the_pid("web");
    daemon.done("reload", "web");
    assert_eq!(daemon.wait_file("hup"), "hup\n");
    events.wait_words("web", "reload");
    assert_eq!(daemon.the_pid("web"), pid);
}

#[test]
fn a_reload_of_a_stopped_watcher_starts_it() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nautostart = False\n");
    let events = daemon.events();
    daemon.done("reload", "web");
    events.wait_words("web", "spawn start reload");
    assert_eq!(daemon.status("web"), "active");
}

#[test]
fn a_reload_of_everything_leaves_alone_what_is_down() {
    let daemon = Daemon::start(&format!("{WEB}[watcher:down]\ncmd = sleep 1000\nautostart = False\n"));
    let old = daemon.wait_pids("web", 1)[0];
    daemon.ok("reload", json!({"waiting": true}));
    assert_ne!(daemon.the_pid("web"), old);
    assert_eq!(daemon.status("down"), "stopped");
}

#[test]
fn a_reload_whose_new_processes_end_is_undone_where_that_is_asked_for() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sh -c \"test -e bad && exit 1; exec sleep 1000\"\nnumprocesses = 2\nreload_undo = True\nreload_settle = 5\n",
    );
    let events = daemon.events();
    let old = daemon.wait_pids("web", 2);
    std::fs::write(daemon.path("bad"), "").unwrap();
    let (number, reason) = daemon.refused("reload", json!({"name": "web", "waiting": true}));
    assert!(number == 5 && reason.starts_with("reload of web undone: pid "), "{number} {reason}");
    assert!(reason.contains("exited with 1 after"), "{reason}");
    assert_eq!(daemon.pids("web"), old);
    assert!(old.iter().all(|pid| process::lives(*pid)));
    events.wait_count("web", "reap", 2);
    assert!(!events.words("web").contains("reload"), "{}", events.words("web"));
    std::fs::remove_file(daemon.path("bad")).unwrap();
    daemon.set("web", "reload_settle", json!(0));
    daemon.done("reload", "web");
    assert!(daemon.pids("web").iter().all(|pid| !old.contains(pid)));
}

#[test]
fn a_reload_that_is_not_undone_goes_on_under_the_back_off() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sh -c \"test -e bad && exit 1; exec sleep 1000\"\nreload_settle = 1\n",
    );
    let old = daemon.wait_pids("web", 1)[0];
    std::fs::write(daemon.path("bad"), "").unwrap();
    daemon.ok("reload", json!({"name": "web", "waiting": true}));
    assert!(!process::lives(old));
    std::fs::remove_file(daemon.path("bad")).unwrap();
    daemon.wait_until("a process that stays", |daemon| {
        matches!(daemon.pids("web")[..], [pid] if process::argv(pid).first().is_some_and(|word| word == "sleep"))
    });
    assert_eq!(daemon.status("web"), "active");
}

#[test]
fn several_are_named_by_a_pattern() {
    let daemon = Daemon::start(
        "[watcher:web1]\ncmd = sleep 1000\n[watcher:web2]\ncmd = sleep 1000\n[watcher:other]\ncmd = sleep 1000\n",
    );
    let other = daemon.wait_pids("other", 1);
    daemon.wait_pids("web2", 1);
    let reply = daemon.done("stop", "web*");
    assert!(!reply.contains_key("info"), "{reply:?}");
    assert_eq!([daemon.status("web1"), daemon.status("web2")], ["stopped", "stopped"]);
    assert_eq!(daemon.pids("other"), other);
    daemon.ok("start", json!({"name": "web", "match": "regex", "waiting": true}));
    assert_eq!([daemon.status("web1"), daemon.status("web2")], ["active", "active"]);
    daemon.ok("restart", json!({"name": "WEB1", "match": "simple", "waiting": true}));
    assert_eq!(daemon.refused("stop", json!({"name": "zz"})), (3, "program zz not found".to_owned()));
}
