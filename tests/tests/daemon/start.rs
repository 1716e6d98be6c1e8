//! Start and stop of watchers, in the order they are due.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Daemon, SLACK, process};
use serde_json::json;

#[test]
fn start_and_stop_answer_with_what_they_did_and_publish_it_in_order() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\nautostart = False\n");
    let events = daemon.events();
    let reply = daemon.done("start", "web");
    let mut pids = daemon.pids("web");
    // Two spawns that are under way together may end in either order; answers are sorted.
    pids.sort_unstable();
    assert_eq!(reply["info"], json!({"started": pids, "kept": []}));
    assert_eq!(daemon.status("web"), "active");
    events.wait_story("web", "spawn(1) spawn(2) start");
    assert_eq!(daemon.done("start", "web")["info"], json!({"started": [], "kept": pids}));
    let reply = daemon.done("stop", "web");
    assert_eq!(reply["info"], json!(null));
    assert_eq!((daemon.status("web").as_str(), daemon.pids("web").len()), ("stopped", 0));
    events.wait_words("web", "spawn spawn start kill kill reap reap stop");
    let sorted = |event: &str| {
        let mut pids = events.pids("web", event);
        pids.sort_unstable();
        pids
    };
    assert_eq!([sorted("kill"), sorted("reap")], [sorted("spawn"), sorted("spawn")]);
    let reaps = events.of("web").into_iter().filter(|seen| seen.event == "reap");
    assert!(reaps.into_iter().all(|seen| seen.members["exit_code"] == -15));
    assert!(pids.iter().all(|pid| !process::lives(*pid)));
    daemon.done("stop", "web");
    assert!(events.words("web").ends_with("stop") && !events.words("web").ends_with("stop stop"));
}

#[test]
fn autostart_off_waits_for_a_start() {
    let daemon = Daemon::start(
        "[watcher:up]\ncmd = sleep 1000\n[watcher:down]\ncmd = sleep 1000\nautostart = False\n",
    );
    daemon.wait_status("up", "active");
    assert_eq!(daemon.status("down"), "stopped");
    daemon.ok("start", json!({"waiting": true}));
    assert_eq!(daemon.status("down"), "stopped", "a start of everything leaves it alone");
    daemon.done("start", "down");
    assert_eq!(daemon.status("down"), "active");
}

#[test]
fn a_start_of_no_processes_is_a_stop() {
    let daemon = Daemon::start("[watcher:none]\ncmd = sleep 1000\nnumprocesses = 0\nautostart = False\n");
    let events = daemon.events();
    assert_eq!(daemon.done("start", "none")["info"], json!({"started": [], "kept": []}));
    assert_eq!(daemon.status("none"), "stopped");
    events.wait_words("none", "stop");
}

/// The order in which processes were started, by the lines they wrote.
const TELL: &str = "sh -c \"echo $(circus.env.ME) >> order; exec sleep 1000\"";

fn telling(name: &str, options: &str) -> String {
    format!("[watcher:{name}]\ncmd = {}\n{options}\n", TELL.replace("$(circus.env.ME)", name))
}

#[test]
fn higher_priorities_start_first_and_stop_last() {
    let config: String = [("a", 1), ("b", 3), ("c", 2)]
        .map(|(name, priority)| telling(name, &format!("priority = {priority}\n")))
        .concat();
    let daemon = Daemon::start(&format!("[circus]\nwarmup_delay = 1\n{config}"));
    for name in ["a", "b", "c"] {
        daemon.wait_status(name, "active");
    }
    daemon.wait_until("all three to have written", |daemon| daemon.wait_file("order").lines().count() == 3);
    assert_eq!(daemon.wait_file("order"), "b\nc\na\n");
    let events = daemon.events();
    daemon.ok("stop", json!({"waiting": true}));
    for name in ["a", "b", "c"] {
        events.wait_count(name, "stop", 1);
    }
    let kills: Vec<String> =
        events.all().into_iter().filter(|seen| seen.event == "kill").map(|seen| seen.watcher).collect();
    assert_eq!(kills, ["a", "c", "b"]);
}

#[test]
fn a_higher_priority_that_fails_does_not_hold_up_the_lower() {
    let daemon = Daemon::start(
        "[watcher:broken]\ncmd = /nonexistent/program\npriority = 9\nmax_retry = -1\n[watcher:web]\ncmd = sleep 1000\n",
    );
    daemon.wait_status("web", "active");
    assert_eq!(daemon.status("broken"), "starting");
}

#[test]
fn the_warmup_of_a_watcher_comes_after_each_of_its_processes() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 3\nwarmup_delay = 1\nautostart = False\n",
    );
    let events = daemon.events();
    let before = Instant::now();
    daemon.done("start", "web");
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(3) + SLACK, "{took:?}");
    events.wait_words("web", "spawn spawn spawn start");
    let times: Vec<f64> = events.of("web").iter().filter_map(|seen| seen.members["time"].as_f64()).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 0.9), "{times:?}");
}

#[test]
fn the_global_warmup_comes_between_watchers() {
    let config = telling("a", "") + &telling("b", "");
    let daemon = Daemon::start(&format!("[circus]\nwarmup_delay = 2\n{config}"));
    daemon.wait_status("b", "active");
    let started = |name: &str| {
        let pid = daemon.the_pid(name);
        daemon.ok("stats", json!({"name": name}))["info"][pid.to_string()]["started"].as_f64().unwrap()
    };
    assert!(started("b") - started("a") > 1.9);
}

#[test]
fn a_missing_program_is_tried_max_retry_times_and_given_up() {
    let daemon =
        Daemon::start("[watcher:gone]\ncmd = /nonexistent/program\nmax_retry = 3\nautostart = False\n");
    let events = daemon.events();
    let reply = daemon.done("start", "gone");
    assert_eq!(reply["info"], json!({"started": [], "kept": []}));
    let error = reply["errors"]["gone"].as_str().unwrap();
    assert!(error.contains("/nonexistent/program"), "{error}");
    assert_eq!(daemon.status("gone"), "stopped");
    events.wait_words("gone", "stop");
    daemon.wait_lines("error in 'gone'", 3);
}

#[test]
fn a_start_that_is_never_given_up_is_answered_after_five_failed_tries() {
    let daemon = Daemon::start("[watcher:gone]\ncmd = ./late\nmax_retry = -1\nautostart = False\n");
    let reply = daemon.done("start", "gone");
    assert!(reply["errors"]["gone"].is_string(), "{reply:?}");
    assert_eq!(daemon.status("gone"), "starting");
    std::fs::copy("/bin/sleep", daemon.path("late")).unwrap();
    daemon.set("gone", "cmd", json!("./late 1000"));
    daemon.wait_status("gone", "active");
}

#[test]
fn a_stop_supersedes_a_start_under_way() {
    let daemon = Daemon::start(
        "[watcher:slow]\ncmd = sleep 1000\nnumprocesses = 3\nwarmup_delay = 30\nautostart = False\n",
    );
    let start = daemon.ask("start", json!({"name": "slow", "waiting": true}));
    daemon.wait_pids("slow", 1);
    let before = Instant::now();
    daemon.done("stop", "slow");
    assert!(before.elapsed() < SLACK);
    let answer = start.answer();
    assert_eq!(
        (&answer["errno"], &answer["reason"]),
        (&json!(5), &json!("start of slow superseded by stop"))
    );
}

#[test]
fn a_singleton_has_one_process_whatever_is_asked() {
    let daemon = Daemon::start("[watcher:one]\ncmd = sleep 1000\nsingleton = True\n");
    let pid = daemon.wait_pids("one", 1)[0];
    let reply = daemon.done("incr", "one");
    assert_eq!((&reply["numprocesses"], &reply["singleton"]), (&json!(1), &json!(true)));
    let (number, reason) = daemon.refused("set", json!({"name": "one", "options": {"numprocesses": 2}}));
    assert!(number == 5 && reason.ends_with("Singleton watcher has a single process"), "{number} {reason}");
    assert_eq!(daemon.the_pid("one"), pid);
}

#[test]
fn a_broken_section_is_left_out_and_the_others_run() {
    let daemon = Daemon::start(
        "[watcher:two]\ncmd = sleep 1000\nsingleton = True\nnumprocesses = 2\n[watcher:good]\ncmd = sleep 1000\n",
    );
    daemon.wait_status("good", "active");
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["good"]));
    assert!(daemon.log().contains("circus.ini:4: [watcher:two] numprocesses"), "{}", daemon.log());
}
