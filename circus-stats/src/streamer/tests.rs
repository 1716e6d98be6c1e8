//! Stories of answers and events.

use serde_json::json;

use super::*;

const OWN: i32 = 100;

fn snapshot(watchers: &[(&str, &[i32])]) -> Snapshot {
    let watchers = watchers.iter().map(|(name, pids)| ((*name).to_owned(), pids.to_vec())).collect();
    Snapshot { watchers, daemon: Some(1), ..Snapshot::default() }
}

/// A streamer that has just got this answer.
fn knowing(watchers: &[(&str, &[i32])]) -> Streamer {
    let mut streamer = Streamer::new(OWN);
    assert_eq!(streamer.connected(), Wish::Everything);
    streamer.answered(snapshot(watchers));
    streamer
}

/// `web 1 2; circus 100:circusd-stats 1:circusd`
fn told(streamer: &mut Streamer) -> String {
    let groups = streamer.groups();
    let member = |member: &Member| match member.name {
        Some(name) => format!(" {}:{name}", member.pid),
        None => format!(" {}", member.pid),
    };
    let group = |group: &Group| group.name.clone() + &group.members.iter().map(member).collect::<String>();
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

/// What stands before Circus' own programs.
fn watchers(streamer: &mut Streamer) -> String {
    let told = told(streamer);
    told.strip_suffix("circus 100:circusd-stats 1:circusd").expect(&told).trim_end_matches("; ").to_owned()
}

fn process(streamer: &mut Streamer, watcher: &str, event: &str, pid: i32) -> Wish {
    let payload = json!({"process_pid": pid, "time": 1.5}).to_string();
    streamer.event(&format!("watcher.{watcher}.{event}"), &payload)
}

fn restarts(streamer: &mut Streamer, watcher: &str) -> u64 {
    streamer.groups().iter().find(|group| group.name == watcher).map_or(0, |group| group.restarts)
}

#[test]
fn nothing_is_told_before_the_first_answer() {
    let mut streamer = Streamer::new(OWN);
    assert_eq!(told(&mut streamer), "");
    streamer.connected();
    assert_eq!(told(&mut streamer), "");
}

#[test]
fn names_of_the_answer_and_of_events_are_the_same() {
    let mut streamer = knowing(&[("dum my", &[5]), ("dotted.name", &[6]), ("plugin:x", &[7])]);
    process(&mut streamer, "dum_my", "spawn", 8);
    process(&mut streamer, "dotted.name", "spawn", 9);
    assert_eq!(watchers(&mut streamer), "dotted.name 6 9; dum_my 5 8; plugin:x 7");
}

#[test]
fn spawn_adds_and_reap_and_kill_remove() {
    let mut streamer = knowing(&[("web", &[5, 6, 7])]);
    process(&mut streamer, "web", "spawn", 8);
    process(&mut streamer, "web", "spawn", 8);
    process(&mut streamer, "web", "reap", 5);
    process(&mut streamer, "web", "kill", 6);
    process(&mut streamer, "web", "reap", 6);
    assert_eq!(watchers(&mut streamer), "web 7 8");
    process(&mut streamer, "web", "reap", 7);
    process(&mut streamer, "web", "reap", 8);
    assert_eq!(watchers(&mut streamer), "");
}

#[test]
fn stop_removes_every_process_of_the_watcher() {
    let mut streamer = knowing(&[("web", &[5, 6, 7, 8]), ("db", &[9])]);
    streamer.event("watcher.web.stop", r#"{"time": 1.5}"#);
    assert_eq!(watchers(&mut streamer), "db 9");
}

#[test]
fn circus_own_programs_stand_in_their_own_group_only() {
    let mut streamer = Streamer::new(OWN);
    streamer.connected();
    let own = snapshot(&[("circusd-stats", &[OWN]), ("circushttpd", &[3]), ("web", &[5])]);
    streamer.answered(Snapshot { console: vec![3], ..own });
    assert_eq!(told(&mut streamer), "web 5; circus 100:circusd-stats 1:circusd 3:circushttpd");
    process(&mut streamer, "circusd-stats", "spawn", OWN);
    process(&mut streamer, "circushttpd", "kill", 3);
    process(&mut streamer, "circushttpd", "spawn", 4);
    assert_eq!(told(&mut streamer), "web 5; circus 100:circusd-stats 1:circusd 4:circushttpd");
    streamer.event("watcher.circushttpd.stop", "{}");
    assert_eq!(told(&mut streamer), "web 5; circus 100:circusd-stats 1:circusd");
}

#[test]
fn a_watcher_called_circus_loses_no_process() {
    let mut streamer = knowing(&[("circus", &[5])]);
    assert_eq!(told(&mut streamer), "circus 100:circusd-stats 1:circusd 5");
}

#[test]
fn events_that_came_before_the_answer_hold_after_it() {
    let mut streamer = knowing(&[]);
    streamer.connected();
    process(&mut streamer, "web", "spawn", 5);
    process(&mut streamer, "web", "spawn", 6);
    process(&mut streamer, "web", "reap", 5);
    // This answer was made before the last two of them.
    streamer.answered(snapshot(&[("web", &[5]), ("db", &[7])]));
    assert_eq!(watchers(&mut streamer), "db 7; web 6");
}

#[test]
fn a_new_circusd_replaces_all_that_was_known() {
    let mut streamer = knowing(&[("web", &[5, 6])]);
    streamer.disconnected();
    assert_eq!(watchers(&mut streamer), "web 5 6");
    streamer.connected();
    streamer.answered(Snapshot { daemon: Some(2), ..snapshot(&[("db", &[7])]) });
    assert_eq!(told(&mut streamer), "db 7; circus 100:circusd-stats 2:circusd");
}

#[test]
fn the_answer_of_a_circusd_that_has_left_is_not_taken() {
    let mut streamer = knowing(&[("web", &[5])]);
    streamer.connected();
    streamer.disconnected();
    assert_eq!(streamer.answered(snapshot(&[("db", &[7])])), Wish::Nothing);
    assert_eq!(watchers(&mut streamer), "web 5");
}

#[test]
fn a_process_that_an_answer_names_again_is_the_same_and_a_reused_number_is_not() {
    let mut streamer = knowing(&[("web", &[5])]);
    let first = streamer.groups()[0].members[0];
    streamer.connected();
    streamer.answered(snapshot(&[("web", &[5])]));
    assert_eq!(streamer.groups()[0].members[0], first);
    process(&mut streamer, "web", "reap", 5);
    process(&mut streamer, "web", "spawn", 5);
    assert_ne!(streamer.groups()[0].members[0].birth, first.birth);
}

#[test]
fn only_a_process_that_ended_by_itself_and_was_replaced_is_a_restart() {
    let mut streamer = knowing(&[("web", &[5, 6])]);
    process(&mut streamer, "web", "reap", 5);
    process(&mut streamer, "web", "spawn", 7);
    assert_eq!(restarts(&mut streamer, "web"), 1);
    // Asked for: a reload, a decrement, an end that circusd itself says it expected.
    process(&mut streamer, "web", "spawn", 8);
    process(&mut streamer, "web", "kill", 7);
    process(&mut streamer, "web", "reap", 7);
    streamer.event("watcher.web.reap", r#"{"process_pid": 6, "exit_code": 0, "expected": true}"#);
    process(&mut streamer, "web", "spawn", 9);
    assert_eq!(restarts(&mut streamer, "web"), 1);
    // The number outlives a lost connection, and an event that is told twice counts once.
    streamer.connected();
    process(&mut streamer, "web", "reap", 8);
    process(&mut streamer, "web", "spawn", 10);
    streamer.answered(snapshot(&[("web", &[8, 9])]));
    assert_eq!(restarts(&mut streamer, "web"), 2);
    assert_eq!(watchers(&mut streamer), "web 9 10");
}

#[test]
fn sockets_are_asked_for_again_when_watchers_come_and_go() {
    let mut streamer = knowing(&[("web", &[5])]);
    for event in ["add", "remove", "start", "reload"] {
        assert_eq!(streamer.event(&format!("watcher.web.{event}"), "{}"), Wish::Sockets, "{event}");
    }
    for event in ["stop", "updated", "hook_success"] {
        assert_eq!(streamer.event(&format!("watcher.web.{event}"), "{}"), Wish::Nothing, "{event}");
    }
    let sockets = vec![Listening { fd: 7, place: Place::Path("/run/x".to_owned()) }];
    streamer.sockets_answered(sockets.clone());
    assert_eq!(streamer.sockets()[..], sockets[..]);
}

#[test]
fn who_is_gone_without_an_event_is_forgotten() {
    let mut streamer = knowing(&[("web", &[5, 6])]);
    streamer.forget(&[5, 99]);
    assert_eq!(watchers(&mut streamer), "web 6");
    streamer.forget(&[1, 6]);
    assert_eq!(told(&mut streamer), "");
}

#[test]
fn more_events_than_can_be_kept_lead_to_another_question() {
    let mut streamer = knowing(&[]);
    streamer.connected();
    for pid in 1..=10_000 {
        assert_eq!(process(&mut streamer, "web", "spawn", pid), Wish::Nothing);
    }
    assert_eq!(process(&mut streamer, "web", "spawn", 10_001), Wish::Everything);
}

#[test]
fn what_is_no_event_changes_nothing() {
    let mut streamer = knowing(&[("web", &[5])]);
    for (topic, payload) in [
        ("stat.web.5", "{}"),
        ("watcher.web.spawn", "[]"),
        ("watcher.web.spawn", "{}"),
        ("watcher.web.spawn", r#"{"process_pid": "6"}"#),
        ("watcher.web.reap", r#"{"process_pid": 99999999999}"#),
        ("watcher.web.kill", r#"{"process_pid": null}"#),
        ("watcher.spawn", r#"{"process_pid": 6}"#),
    ] {
        assert_eq!(streamer.event(topic, payload), Wish::Nothing);
    }
    assert_eq!(watchers(&mut streamer), "web 5");
}

#[test]
fn answers_are_read_and_what_is_none_is_passed_over() {
    let reply = |value: serde_json::Value| value.as_object().cloned().expect("an object");
    assert_eq!(snapshot::names(&reply(json!({"watchers": ["a", 1, "b c"]}))), ["a", "b c"]);
    assert_eq!(snapshot::pids(&reply(json!({"pids": [5, "x", 99_999_999_999_i64]}))), [5]);
    assert_eq!(snapshot::pids(&reply(json!({"status": "error"}))), [0; 0]);
    assert_eq!(snapshot::daemon(&reply(json!({"info": {"pid": 5}}))), Some(5));
    assert_eq!(snapshot::daemon(&reply(json!({"info": "No such process"}))), None);
    let sockets = snapshot::sockets(&reply(json!({"sockets": [
        {"fd": 7, "name": "ux", "backlog": 2048, "path": "/run/ux.sock"},
        {"fd": 8, "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": 20990},
        {"fd": -1, "path": "x"}, {"fd": 9, "host": "x", "port": 99999}, {"name": "y"}, 5
    ]})));
    let addresses: Vec<_> = sockets.iter().map(|socket| (socket.fd, socket.address())).collect();
    assert_eq!(addresses, [(7, "/run/ux.sock".to_owned()), (8, "127.0.0.1:20990".to_owned())]);
}
