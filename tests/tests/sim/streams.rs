//! Streams as the core decides about them; their bytes are none of its business.

use circus_common::protocol::Reply;
use circus_tests::sim::Sim;
use serde_json::json;

fn refusal(reply: Reply) -> (u8, String) {
    match reply {
        Reply::Error { code, reason } => (code.number(), reason),
        Reply::Ok(members) => panic!("not refused: {members:?}"),
    }
}

fn set(sim: &mut Sim, options: serde_json::Value) -> Reply {
    let set = json!({"command": "set", "properties": {"name": "web", "options": options, "waiting": true}});
    sim.ask(&set.to_string())
}

const STREAMED: &str =
    "[watcher:web]\ncmd = web\nstdout_stream.class = FileStream\nstdout_stream.filename = log\n";
const PLAIN: &str = "[watcher:web]\ncmd = web\n";

#[test]
fn a_set_of_a_stream_replaces_the_processes_only_where_there_was_none() {
    let mut sim = Sim::start(STREAMED);
    let pids = sim.pids("web");
    assert_eq!(set(&mut sim, json!({"stdout_stream.max_bytes": 5})), Reply::ok());
    assert_eq!(sim.pids("web"), pids);
    assert_eq!(set(&mut sim, json!({"stderr_stream.class": "QueueStream"})), Reply::ok());
    assert_ne!(sim.pids("web"), pids);
    sim.advance(std::time::Duration::from_secs(60));
    sim.assert_quiet();
}

#[test]
fn what_cannot_be_had_is_refused_and_nothing_is_applied() {
    let mut sim = Sim::start(PLAIN);
    for (options, code) in [
        (json!({"numprocesses": 3, "stdout_stream.filename": "/nowhere/log"}), 4),
        (json!({"numprocesses": 3, "stdout_stream.class": "missing.Class"}), 5),
        (json!({"numprocesses": 3, "stdout_stream.class": "Nope"}), 5),
    ] {
        assert_eq!(refusal(set(&mut sim, options.clone())).0, code, "{options}");
        let add = json!({"command": "add", "properties": {"name": "other", "cmd": "x", "start": true, "options": options}});
        assert_eq!(refusal(sim.ask(&add.to_string())).0, code, "{options}");
    }
    assert_eq!((sim.option("web", "numprocesses"), sim.watchers()), (json!(1), vec!["web".to_owned()]));
    assert_eq!(sim.option("web", "stdout_stream_conf"), json!({}));
}

#[test]
fn a_configuration_with_a_stream_that_cannot_be_had_is_refused_as_a_whole() {
    let mut sim = Sim::start(PLAIN);
    let pids = sim.pids("web");
    sim.file = PLAIN.replace("cmd = web", "cmd = web --new")
        + "[watcher:bad]\ncmd = bad\nstderr_stream.filename = /nowhere/log\n";
    for command in
        [r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#, r#"{"command": "restart"}"#]
    {
        let (code, reason) = refusal(sim.ask(command));
        assert_eq!(
            (code, reason.as_str()),
            (6, "story.ini:5: [watcher:bad] stderr_stream: it cannot be had"),
            "{command}"
        );
    }
    assert_eq!(sim.pids("web"), pids);
    // What is not new is not tried again.
    sim.file = STREAMED.replace("filename = log", "filename = other");
    assert_eq!(sim.ask(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#), Reply::ok());
    assert_ne!(sim.pids("web"), pids);
}

#[test]
fn a_quit_during_a_trial_answers_whoever_waits_for_it() {
    let mut sim = Sim::start(PLAIN);
    let set = sim.request(
        r#"{"command": "set", "properties": {"name": "web", "options": {"stdout_stream.filename": "log"}}}"#,
    );
    let add = sim.request(r#"{"command": "add", "properties": {"name": "new", "cmd": "x", "options": {"stdout_stream.filename": "log"}}}"#);
    assert!(sim.reply(set).is_none() && sim.reply(add).is_none());
    sim.request(r#"{"command": "quit", "properties": {"waiting": true}}"#);
    sim.advance(std::time::Duration::from_secs(60));
    sim.assert_left();
    for number in [set, add] {
        assert_eq!(sim.reply(number).map(refusal).map(|(code, _)| code), Some(5));
    }
}

#[test]
fn logs_of_what_is_not_remembered_say_which_option_would_help() {
    let mut sim = Sim::start(PLAIN);
    let logs = |stream: &str| format!(r#"{{"command": "logs", "properties": {{"name": "web"{stream}}}}}"#);
    let (code, reason) = refusal(sim.ask(&logs("")));
    assert!(
        code == 3 && reason.contains("web has no stream") && reason.contains("`stdout_stream.class`"),
        "{reason}"
    );
    let (_, reason) = refusal(sim.ask(&logs(r#", "stream": "stderr""#)));
    assert!(reason.contains("`stderr_stream.class`"), "{reason}");
    set(&mut sim, json!({"stderr_stream.class": "QueueStream", "stderr_stream.log_ring": 0}));
    let (_, reason) = refusal(sim.ask(&logs("")));
    assert!(reason.contains("web has no stream"), "{reason}");
    let (_, reason) = refusal(sim.ask(&logs(r#", "stream": "stderr""#)));
    assert_eq!(reason, "`stderr_stream.log_ring` is 0, so the output of web is not remembered");
    set(&mut sim, json!({"stderr_stream.log_ring": "64K"}));
    assert!(matches!(sim.ask(&logs("")), Reply::Ok(_)));
}
