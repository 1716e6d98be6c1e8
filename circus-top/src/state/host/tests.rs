//! What channels say, put together.

use serde_json::json;

use super::{
    super::fixture::{event, host, members, own, process, socket},
    *,
};

fn at(seconds: u64) -> At {
    At::from_secs(seconds)
}

fn message(topic: &str, payload: &str) -> Report {
    Report::Message { topic: topic.to_owned(), payload: payload.to_owned() }
}

#[test]
fn the_names_of_topics_and_of_the_control_endpoint_are_one_watcher() {
    let mut host = host("a");
    host.learn(at(0), process("dum my", 7, 1.0, 1.0));
    host.learn(at(0), process("dum_my", 8, 1.0, 1.0));
    host.learn(at(0), Report::Statuses(members(json!({"Dum My": "active"}))));
    let [watcher] = &host.watchers.values().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((watcher.name.as_str(), watcher.real.as_deref()), ("Dum My", Some("Dum My")));
    assert_eq!(watcher.processes.len(), 2);
}

#[test]
fn circus_own_processes_stand_apart_and_a_watcher_of_that_name_is_one() {
    let mut host = host("a");
    host.learn(at(0), own("circusd", 600, 0.4));
    host.learn(at(0), message("stat.circus", r#"{"pid": [600], "cpu": 0.4, "mem": 0.1, "age": 3.0}"#));
    host.learn(at(0), Report::Statuses(members(json!({"circusd-stats": "active", "circushttpd": "active"}))));
    assert!(host.watchers.is_empty());
    assert_eq!(host.daemon().map(|it| it.pid), Some(600));
    host.learn(at(0), process("circus", 7, 1.0, 1.0));
    assert_eq!(host.watchers.keys().collect::<Vec<_>>(), ["circus"]);
}

#[test]
fn an_empty_watcher_is_there() {
    let mut host = host("a");
    host.learn(at(0), message("stat.idle", r#"{"pid": [], "cpu": 0.0, "mem": 0, "age": "N/A"}"#));
    host.tick(at(1));
    assert!(host.watchers.contains_key("idle"));
    host.tick(at(9));
    assert!(!host.watchers.contains_key("idle"));
}

#[test]
fn a_crash_is_counted_and_told_and_an_end_asked_for_is_not() {
    let mut host = host("a");
    host.learn(at(0), process("web", 7, 1.0, 1.0));
    host.learn(at(0), event("web", "kill", json!({"process_pid": 7})));
    assert!(host.watchers["web"].processes[&7].ending);
    host.learn(at(0), event("web", "reap", json!({"process_pid": 7, "exit_code": -15})));
    assert!(host.watchers["web"].processes.is_empty());
    assert_eq!(host.watchers["web"].ends_seen, 0);
    for pid in 8..13 {
        host.learn(at(1), event("web", "spawn", json!({"process_pid": pid})));
        host.learn(at(1), event("web", "reap", json!({"process_pid": pid, "exit_code": 3})));
    }
    assert_eq!(host.watchers["web"].ends_seen, 5);
    let last = host.lines.back().unwrap();
    assert_eq!(last.text, "is flapping: 5 exits within a minute");
}

#[test]
fn states_come_from_status_and_are_not_guessed() {
    let mut host = host("a");
    host.learn(at(0), process("web", 7, 1.0, 1.0));
    host.learn(at(0), event("web", "stop", json!({})));
    assert_eq!(host.watchers["web"].condition(at(0)), None);
    host.learn(at(0), Report::Statuses(members(json!({"web": "active", "odd": "sleeping"}))));
    host.learn(at(0), event("web", "stop", json!({})));
    assert_eq!(host.counts(at(0)).stopped, 1);
    assert_eq!(host.watchers["odd"].condition(at(0)), None);
}

#[test]
fn a_watcher_that_was_removed_goes() {
    let mut host = host("a");
    host.learn(at(0), Report::Statuses(members(json!({"web": "active", "old": "active"}))));
    host.learn(at(0), Report::Statuses(members(json!({"web": "active"}))));
    assert_eq!(host.watchers.keys().collect::<Vec<_>>(), ["web"]);
}

#[test]
fn a_process_the_answer_does_not_name_goes_unless_figures_still_come() {
    let mut host = host("a");
    host.learn(at(0), Report::Statuses(members(json!({"web": "active"}))));
    host.learn(
        at(0),
        Report::Infos(members(json!({"web": {"7": {"wid": 1}, "8": "No such process (stopped?)"}}))),
    );
    host.learn(at(0), process("web", 9, 1.0, 1.0));
    assert_eq!(host.watchers["web"].processes.keys().collect::<Vec<_>>(), [&7, &9]);
    host.learn(at(1), Report::Infos(members(json!({"web": {}}))));
    assert_eq!(host.watchers["web"].processes.keys().collect::<Vec<_>>(), [&9]);
}

#[test]
fn sockets_have_names_and_hits() {
    let mut host = host("a");
    host.learn(at(0), socket(64, 37));
    host.learn(at(1), socket(64, 5));
    host.learn(
        at(1),
        Report::Sockets(vec![json!({"fd": 64, "name": "web", "path": "/run/web.sock"}), json!(5)]),
    );
    let socket = &host.sockets[&64];
    assert_eq!((socket.reads, socket.total, socket.name.as_deref()), (Some(5), 42, Some("web")));
    assert_eq!(socket.address, "/run/web.sock");
    host.tick(at(60));
    assert_eq!(host.sockets[&64].reads, None, "nobody counts any more");
    host.learn(at(60), Report::Sockets(Vec::new()));
    host.tick(at(61));
    assert!(host.sockets.is_empty());
}

#[test]
fn strangers_cannot_make_us_keep_without_bound() {
    let mut host = host("a");
    for number in 0..MOST_WATCHERS + 10 {
        let topic = format!("stat.w{number}");
        host.learn(at(0), message(&topic, r#"{"pid": []}"#));
    }
    assert_eq!(host.watchers.len(), MOST_WATCHERS);
    for fd in 0..i64::try_from(MOST_SOCKETS).unwrap() + 10 {
        host.learn(at(0), socket(fd, 1));
    }
    assert_eq!(host.sockets.len(), MOST_SOCKETS);
    for _ in 0..MOST_LINES + 10 {
        host.learn(at(0), event("w1", "updated", json!({})));
    }
    assert_eq!(host.lines.len(), MOST_LINES);
}

#[test]
fn there_is_one_circusd() {
    let mut host = host("a");
    host.learn(at(0), Report::Daemon(members(json!({"pid": 5, "cpu": 1.0}))));
    host.learn(at(1), Report::Daemon(members(json!({"pid": 6, "cpu": 2.0}))));
    host.learn(at(1), Report::Daemon(members(json!({"pid": "x"}))));
    assert_eq!(host.own.processes.keys().collect::<Vec<_>>(), [&6]);
}
