//! reloadconfig as a transaction, and the restart of the daemon in place.

use std::time::{Duration, Instant};

use circus_common::client::Client;
use circus_tests::daemon::{Daemon, process};
use serde_json::{Map, json};

const BASE: &str = "[circus]\ncheck_delay = 5\n[watcher:a]\ncmd = sleep 1000\n[watcher:b]\ncmd = sleep 1000\nnumprocesses = 2\n\
                    [watcher:c]\ncmd = sleep 1000\n";

fn base() -> Daemon {
    let daemon = Daemon::start(BASE);
    daemon.wait_pids("a", 1);
    daemon.wait_pids("b", 2);
    daemon.wait_pids("c", 1);
    daemon
}

fn reload(daemon: &Daemon) {
    daemon.ok("reloadconfig", json!({"waiting": true}));
}

#[test]
fn a_bad_file_changes_nothing_and_is_named_with_its_line() {
    let daemon = base();
    let before = ["a", "b", "c"].map(|name| daemon.pids(name));
    for (text, place, word) in [
        ("[watcher:a]\ncmd = sleep 1\nnumprocesses = two\n", "circus.ini:3: ", "numprocesses"),
        ("[watcher:a]\ncmd = sleep 1\nnonsense\n", "circus.ini:3", "nonsense"),
        (
            "[watcher:a]\ncmd = x\nstop_signal = NOPE\n[watcher:b]\ncmd = y\nmax_age = z\n",
            "circus.ini:6: ",
            "max_age",
        ),
        // A section that a start would leave out is refused here.
        ("[watcher:a]\ncmd = x\nsingleton = True\nnumprocesses = 2\n", "circus.ini:", "singleton"),
    ] {
        daemon.rewrite(text);
        let (number, reason) = daemon.refused("reloadconfig", json!({"waiting": true}));
        assert_eq!(number, 6, "{reason}");
        assert!(reason.contains(place) && reason.contains(word), "{text}: {reason}");
        assert_eq!(["a", "b", "c"].map(|name| daemon.pids(name)), before);
    }
    std::fs::remove_file(daemon.config()).unwrap();
    assert_eq!(daemon.refused("reloadconfig", json!({"waiting": true})).0, 6);
    assert_eq!(["a", "b", "c"].map(|name| daemon.pids(name)), before);
}

#[test]
fn what_did_not_change_keeps_its_processes() {
    let daemon = base();
    let events = daemon.events();
    let before = ["a", "b", "c"].map(|name| daemon.pids(name));
    daemon.ok("incr", json!({"name": "a", "waiting": true}));
    let a = daemon.pids("a");
    events.wait_words("a", "spawn");
    events.clear();
    reload(&daemon);
    assert_eq!(["b", "c"].map(|name| daemon.pids(name)), before[1..]);
    assert_eq!(daemon.pids("a"), a, "what incr did stays");
    assert!(events.all().is_empty(), "{events:?}");
}

#[test]
fn a_change_of_the_number_alone_keeps_processes() {
    let daemon = base();
    let before = daemon.pids("b");
    daemon.rewrite(&BASE.replace("numprocesses = 2", "numprocesses = 4"));
    reload(&daemon);
    let grown = daemon.wait_pids("b", 4);
    assert_eq!(grown[..2], before[..]);
    daemon.rewrite(&BASE.replace("numprocesses = 2\n", ""));
    reload(&daemon);
    assert_eq!(daemon.wait_pids("b", 1), grown[3..]);
}

#[test]
fn watchers_come_go_and_are_made_anew() {
    let daemon = base();
    let events = daemon.events();
    let before = ["a", "b", "c"].map(|name| daemon.pids(name));
    daemon.rewrite(
        "[circus]\ncheck_delay = 5\n[watcher:a]\ncmd = sleep 1000\nmax_age = 1000\n[watcher:c]\ncmd = sleep 1000\n\
         [watcher:new]\ncmd = sleep 1000\n[watcher:down]\ncmd = sleep 1000\nautostart = False\n",
    );
    let plan = &daemon.ok("reloadconfig", json!({"dry_run": true}))["plan"];
    assert_eq!(plan["remove"], json!(["b"]));
    assert_eq!(plan["recreate"], json!([{"name": "a", "keys": ["max_age"]}]));
    assert_eq!(plan["unchanged"], json!(["c"]));
    assert_eq!((&plan["add"], &plan["restart"]), (&json!(["down", "new"]), &json!(false)));
    assert_eq!(["a", "b", "c"].map(|name| daemon.pids(name)), before, "a plan does nothing");
    reload(&daemon);
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["a", "c", "down", "new"]));
    assert_eq!(daemon.pids("c"), before[2]);
    assert_ne!(daemon.pids("a"), before[0]);
    assert_eq!((daemon.status("new").as_str(), daemon.status("down").as_str()), ("active", "stopped"));
    assert!(before[1].iter().all(|pid| !process::lives(*pid)));
    events.wait_words("a", "kill reap stop spawn start");
    events.wait_words("new", "spawn start");
    events.wait_words("b", "kill kill reap reap stop");
}

#[test]
fn settings_of_the_daemon_apply_while_everything_runs() {
    let daemon = base();
    let before = ["a", "b", "c"].map(|name| daemon.pids(name));
    let head =
        format!("check_delay = 7\numask = 077\nloglevel = debug\npidfile = {}", daemon.path("pid").display());
    daemon.rewrite(&BASE.replace("check_delay = 5", &head));
    let plan = &daemon.ok("reloadconfig", json!({"dry_run": true}))["plan"];
    assert_eq!((&plan["restart"], plan["settings"].as_array().unwrap().len()), (&json!(false), 4), "{plan}");
    reload(&daemon);
    assert_eq!(["a", "b", "c"].map(|name| daemon.pids(name)), before);
    assert_eq!(daemon.ok("globaloptions", json!({}))["options"]["check_delay"], 7.0);
    assert_eq!(daemon.wait_file("pid"), format!("{}\n", daemon.pid()));
    assert_eq!(process::status(daemon.pid(), "Umask"), "0077");
    daemon.rewrite(BASE);
    reload(&daemon);
    assert!(!daemon.path("pid").exists());
}

#[test]
fn a_new_endpoint_needs_the_restart_in_place_and_the_plan_says_so() {
    let daemon = base();
    let pid = daemon.pid();
    let before = daemon.the_pid("a");
    let events = format!("pubsub_endpoint = ipc://{}\ncheck_delay = 5", daemon.path("events2").display());
    daemon.rewrite(&BASE.replace("check_delay = 5", &events));
    let plan = &daemon.ok("reloadconfig", json!({"dry_run": true}))["plan"];
    assert_eq!((&plan["restart"], &plan["reasons"]), (&json!(true), &json!(["pubsub_endpoint"])));
    reload(&daemon);
    daemon.wait_until("the other endpoint", |daemon| daemon.path("events2").exists());
    daemon.wait_answers();
    assert_eq!(daemon.pid(), pid);
    assert_ne!(daemon.wait_pids("a", 1)[0], before);
}

#[test]
fn restart_without_a_name_begins_anew_in_the_same_process() {
    let daemon = base();
    let before = daemon.the_pid("a");
    daemon.rewrite("[watcher:other]\ncmd = sleep 1000\n");
    daemon.ok("restart", json!({"waiting": true}));
    daemon.wait_log("Restarting in place");
    daemon.wait_until("the new life", |daemon| daemon.log().matches("waiting for commands").count() == 2);
    daemon.wait_answers();
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["other"]));
    assert!(!process::lives(before) && !daemon.has_ended());
    daemon.wait_pids("other", 1);
    assert_eq!(process::living_descendants(daemon.pid()).len(), 1);
}

#[test]
fn a_restart_with_a_bad_file_stops_nothing() {
    let daemon = base();
    let before = daemon.the_pid("a");
    daemon.rewrite("[watcher:a]\ncmd = x\nnumprocesses = many\n");
    let (number, reason) = daemon.refused("restart", json!({}));
    assert!(number == 6 && reason.contains("circus.ini:3"), "{number} {reason}");
    assert_eq!(daemon.the_pid("a"), before);
}

#[test]
fn twenty_restarts_in_place_leave_nothing_behind() {
    let daemon = base();
    let restart = |lives: usize| {
        daemon.ok("restart", json!({}));
        daemon.wait_until("the next life", |d| d.log().matches("waiting for commands").count() == lives);
        daemon.wait_answers();
        daemon.wait_pids("b", 2);
        daemon.wait_pids("c", 1);
    };
    (2..=4).for_each(restart);
    let count = || (process::descriptors(daemon.pid()).len(), process::switches(daemon.pid()).1);
    let before = count();
    (5..=22).for_each(restart);
    // Connections are being closed, and the pool of threads for blocking work shrinks by itself.
    daemon.wait_until("as little as before", |_| count().0 <= before.0 && count().1 <= before.1 + 1);
}

#[test]
fn a_client_that_was_idle_over_a_restart_is_answered() {
    let daemon = base();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut client = Client::connect(&daemon.endpoint(), Duration::from_secs(20)).unwrap();
    runtime.block_on(client.call("list", Map::new())).unwrap();
    // Nothing drives the client meanwhile, as in a shell that waits for its user.
    let idle_since = Instant::now();
    daemon.ok("restart", json!({}));
    daemon.wait_until("the next life", |daemon| daemon.log().matches("waiting for commands").count() == 2);
    daemon.wait_until("the client to be idle for a while", |_| {
        idle_since.elapsed() > Duration::from_millis(100)
    });
    let reply = runtime.block_on(client.call("list", Map::new())).unwrap();
    assert_eq!(reply["watchers"], json!(["a", "b", "c"]));
}
