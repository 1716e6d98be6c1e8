//! How many processes there are, and which slots they have.

use circus_tests::daemon::{Daemon, process};
use serde_json::json;

const WEB: &str = "[watcher:web]\ncmd = sleep 100$(circus.wid)\nnumprocesses = 2\nrespawn_healthy = 0\n";

#[test]
fn incr_adds_and_decr_takes_the_oldest() {
    let daemon = Daemon::start(WEB);
    let events = daemon.events();
    let first = daemon.wait_pids("web", 2);
    let reply = daemon.ok("incr", json!({"name": "web", "nb": 2, "waiting": true}));
    assert_eq!(reply["numprocesses"], 4);
    let all = daemon.pids("web");
    assert_eq!(all[..2], first[..]);
    events.wait_words("web", "spawn spawn");
    events.clear();
    let reply = daemon.ok("decr", json!({"name": "web", "nb": 3, "waiting": true}));
    assert_eq!(reply["numprocesses"], 1);
    assert_eq!(daemon.wait_pids("web", 1), all[3..]);
    events.wait_words("web", "kill kill kill reap reap reap");
    // Among the oldest three, the newest is asked first.
    assert_eq!(events.pids("web", "kill"), [all[2], all[1], all[0]]);
    assert_eq!(daemon.ok("decr", json!({"name": "web", "nb": 9, "waiting": true}))["numprocesses"], 0);
    assert_eq!(daemon.ok("incr", json!({"name": "web", "nb": 1, "waiting": true}))["numprocesses"], 1);
}

#[test]
fn whoever_has_had_its_ok_finds_the_processes_it_started() {
    let daemon = Daemon::start(WEB);
    let mut count = daemon.wait_pids("web", 2).len();
    for round in 0..20 {
        daemon.ok("incr", json!({"name": "web"}));
        count += 1;
        assert_eq!(daemon.pids("web").len(), count, "{round}");
    }
    daemon.ok("add", json!({"name": "new", "cmd": "sleep 1000", "start": true}));
    assert_eq!(daemon.pids("new").len(), 1);
}

#[test]
fn a_negative_incr_is_a_decr() {
    let daemon = Daemon::start(WEB);
    daemon.wait_pids("web", 2);
    assert_eq!(daemon.ok("incr", json!({"name": "web", "nb": -1, "waiting": true}))["numprocesses"], 1);
    assert_eq!(daemon.ok("decr", json!({"name": "web", "nb": -1, "waiting": true}))["numprocesses"], 2);
}

#[test]
fn on_a_stopped_watcher_only_the_number_changes() {
    let daemon = Daemon::start(&format!("{WEB}autostart = False\n"));
    assert_eq!(daemon.ok("incr", json!({"name": "web", "nb": 1, "waiting": true}))["numprocesses"], 3);
    assert_eq!((daemon.status("web").as_str(), daemon.pids("web").len()), ("stopped", 0));
    daemon.done("start", "web");
    assert_eq!(daemon.pids("web").len(), 3);
}

#[test]
fn an_nb_that_is_no_integer_is_refused_and_changes_nothing() {
    let daemon = Daemon::start(WEB);
    for nb in [json!("2"), json!(1.5), json!([])] {
        let (number, reason) = daemon.refused("incr", json!({"name": "web", "nb": nb, "waiting": true}));
        assert_eq!((number, reason.as_str()), (3, "'nb' isn't an integer"));
    }
    assert_eq!(daemon.option("web", "numprocesses"), 2);
}

#[test]
fn a_process_knows_its_slot_and_its_successor_gets_the_same() {
    let daemon = Daemon::start(WEB);
    let pids = daemon.wait_pids("web", 2);
    assert_eq!(daemon.wids("web"), [1, 2]);
    assert_eq!([process::argv(pids[0]), process::argv(pids[1])], [["sleep", "1001"], ["sleep", "1002"]]);
    process::kill(pids[0]);
    daemon.wait_until("a new process in slot 1", |daemon| {
        let now = daemon.pids("web");
        now.len() == 2 && !now.contains(&pids[0])
    });
    assert_eq!(daemon.wids("web"), [2, 1]);
    assert_eq!(process::argv(daemon.pids("web")[1]), ["sleep", "1001"]);
}

#[test]
fn numbers_of_one_watcher_and_of_all() {
    let daemon = Daemon::start(&format!("{WEB}[watcher:other]\ncmd = sleep 1000\n"));
    daemon.wait_pids("web", 2);
    daemon.wait_pids("other", 1);
    assert_eq!(daemon.ok("numprocesses", json!({}))["numprocesses"], 3);
    assert_eq!(daemon.ok("numprocesses", json!({"name": "web"}))["numprocesses"], 2);
    assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], 2);
}
