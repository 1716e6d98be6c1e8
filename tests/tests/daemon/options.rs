//! `set` of every option, and what it does to the processes.

use std::collections::BTreeSet;

use circus_common::config::options::TABLE;
use circus_tests::daemon::{Daemon, process};
use serde_json::{Value, json};

/// Options of which `set` replaces the processes, with a value and how a process shows it.
type Shown = fn(&Daemon, i32) -> bool;

const REPLACING: [(&str, &str, Shown); 17] = [
    ("cmd", r#""sleep 2000""#, |_, pid| process::argv(pid)[1] == "2000"),
    ("args", r#""0.5 0.5""#, |_, pid| process::argv(pid)[2..] == ["0.5", "0.5"]),
    ("working_dir", r#""/usr""#, |_, pid| process::directory(pid) == std::path::Path::new("/usr")),
    ("env", r#"{"A": "1", "B": "two words"}"#, |_, pid| process::environ(pid).len() == 2),
    ("copy_env", "true", |_, pid| process::environ(pid).contains_key("PATH")),
    ("max_age", "1000", |daemon, _| daemon.option("web", "max_age") == 1000),
    ("max_age_variance", "7", |daemon, _| daemon.option("web", "max_age_variance") == 7),
    ("close_child_stdin", "false", |daemon, _| daemon.option("web", "close_child_stdin") == false),
    ("stdout_stream.class", r#""QueueStream""#, |_, pid| process::descriptors(pid)[&1].starts_with("pipe:")),
    ("stderr_stream", r#"{"class": "QueueStream"}"#, |_, pid| {
        process::descriptors(pid)[&2].starts_with("pipe:")
    }),
    ("close_child_stdout", "true", |_, pid| process::descriptors(pid)[&1] == "/dev/null"),
    ("close_child_stderr", "true", |_, pid| process::descriptors(pid)[&2] == "/dev/null"),
    ("rlimit_nofile", "512", |_, pid| process::limit(pid, "Max open files").0 == "512"),
    ("rlimit_core", "0", |_, pid| process::limit(pid, "Max core file size").1 == "0"),
    ("uid", r#""nobody""#, |_, pid| process::status(pid, "Uid").starts_with("65534 ")),
    ("gid", r#""daemon""#, |_, pid| process::status(pid, "Gid").starts_with("1 ")),
    // The last: what replaces a shell also ends the program the shell runs.
    ("shell", "true", |_, pid| process::argv(pid)[..2] == ["/bin/sh", "-c"]),
];

/// Options of which `set` leaves the processes alone, with a value that is not the default.
const KEEPING: [(&str, &str); 17] = [
    ("respawn", "false"),
    ("respawn_healthy", "0.5"),
    ("max_retry", "9"),
    ("warmup_delay", "0.25"),
    ("singleton", "true"),
    ("stop_signal", "2"),
    ("stop_children", "true"),
    ("graceful_timeout", "1.5"),
    ("orphans", r#""keep""#),
    ("send_hup", "true"),
    ("reload_settle", "0.1"),
    ("idle_timeout", "3.0"),
    ("hook_timeout", "20.0"),
    ("reload_undo", "true"),
    ("numprocesses", "1"),
    ("retry_in", "3.0"),
    ("python", r#""python3""#),
];

/// Options that change the stream that is there, beneath the processes.
const SWAPPING: [(&str, &str); 2] =
    [("stdout_stream", r#"{"class": "QueueStream"}"#), ("stderr_stream.class", r#""StdoutStream""#)];

/// Options whose values are tried out first, and refused if they cannot be had: there is no module `a`.
const REFUSED: [(&str, &str); 2] =
    [("hooks.before_start", r#""a.b""#), ("hooks", r#"{"before_start": "a.b"}"#)];

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn daemon() -> (Daemon, i32) {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nreload_settle = 0\nworking_dir = /\n[watcher:other]\ncmd = sleep 1000\n",
    );
    let pid = daemon.wait_pids("web", 1)[0];
    (daemon, pid)
}

#[test]
fn every_option_that_may_be_set_is_tried_here() {
    let tried: BTreeSet<&str> = REPLACING
        .iter()
        .map(|(key, ..)| *key)
        .chain(KEEPING.iter().chain(&SWAPPING).chain(&REFUSED).map(|(key, _)| *key))
        .collect();
    let missing: Vec<&str> = TABLE
        .iter()
        .filter(|spec| spec.legal.set)
        .filter(|spec| {
            !tried.iter().any(|key| *key == spec.name || spec.is_family() && key.starts_with(spec.name))
        })
        .map(|spec| spec.name)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_concerns_the_process_replaces_it_gracefully() {
    let (daemon, mut pid) = daemon();
    let events = daemon.events();
    let root = rustix::process::geteuid().is_root();
    for (key, text, shown) in REPLACING {
        if matches!(key, "uid" | "gid") && !root {
            continue;
        }
        events.clear();
        daemon.set("web", key, value(text));
        let new = daemon.the_pid("web");
        daemon.end_later(new);
        assert_ne!(new, pid, "{key} replaces");
        daemon.wait_until(&format!("the effect of {key}"), |daemon| shown(daemon, new));
        events.wait_words("web", "updated spawn kill reap reload");
        pid = new;
    }
    let (daemon, _) = self::daemon();
    daemon.done("stop", "web");
    daemon.set("web", "cmd", json!("sleep 3000"));
    assert_eq!(daemon.status("web"), "stopped", "what is down stays down");
    daemon.done("start", "web");
    assert_eq!(process::argv(daemon.the_pid("web")), ["sleep", "3000"]);
}

#[test]
fn what_does_not_concern_the_process_leaves_it_alone() {
    let (daemon, pid) = daemon();
    let events = daemon.events();
    for (key, text) in KEEPING {
        daemon.set("web", key, value(text));
        assert_eq!(daemon.option("web", key), value(text), "{key}");
        assert_eq!(daemon.pids("web"), [pid], "{key}");
    }
    let words = ["updated"; KEEPING.len()].join(" ");
    events.wait_words("web", &words);
}

#[test]
fn a_stream_that_is_there_is_swapped_beneath_the_processes() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nstdout_stream.filename = out\nstderr_stream.filename = err\n",
    );
    let (events, pid) = (daemon.events(), daemon.wait_pids("web", 1)[0]);
    for (key, text) in SWAPPING {
        daemon.set("web", key, value(text));
        assert_eq!(daemon.pids("web"), [pid], "{key}");
    }
    events.wait_words("web", "updated updated");
}

#[test]
fn each_hook_that_is_set_is_told_of() {
    let (daemon, _) = daemon();
    let events = daemon.events();
    daemon.set("web", "hooks", json!({"before_start": "exec:/bin/true", "after_stop": "exec:/bin/true"}));
    daemon.set("web", "hooks", json!({}));
    daemon.set("web", "graceful_timeout", json!(5));
    events.wait_words("web", "updated updated updated");
}

#[test]
fn no_working_dir_is_circusds_own() {
    for none in [json!(null), json!("")] {
        let (daemon, _) = daemon();
        daemon.set("web", "working_dir", none.clone());
        let own = process::directory(daemon.pid());
        assert_eq!(process::directory(daemon.the_pid("web")), own, "{none}");
        let add = json!({"name": "new", "cmd": "sleep 1000", "start": true, "waiting": true,
                         "options": {"working_dir": none}});
        daemon.ok("add", add);
        assert_eq!(process::directory(daemon.the_pid("new")), own, "{none}");
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_its_name() {
    let (daemon, pid) = daemon();
    for (key, text) in REFUSED {
        let (number, reason) = daemon.refused("set", json!({"name": "web", "options": {key: value(text)}}));
        assert!(number == 5 && reason.contains("before_start"), "{key}: {number} {reason}");
    }
    assert_eq!(daemon.pids("web"), [pid]);
}

#[test]
fn the_effects_that_show_later() {
    let (daemon, pid) = daemon();
    let events = daemon.events();
    daemon.set("web", "stop_signal", json!(12));
    daemon.set("web", "respawn", json!(false));
    daemon.ok("kill", json!({"name": "web", "waiting": true}));
    events.wait_count("web", "stop", 1);
    assert!(events.story("web").contains("reap(1,-12)"), "{}", events.story("web"));
    assert!(!process::lives(pid));
    daemon.set("web", "numprocesses", json!(3));
    daemon.done("start", "web");
    assert_eq!(daemon.pids("web").len(), 3);
    daemon.set("web", "numprocesses", json!(1));
    daemon.wait_pids("web", 1);
    daemon.set("web", "numprocesses", json!(-4));
    assert_eq!(daemon.option("web", "numprocesses"), 0);
}

#[test]
fn send_hup_makes_a_reload_keep_and_singleton_makes_incr_idle() {
    let (daemon, pid) = daemon();
    daemon.set("other", "send_hup", json!(true));
    daemon.set("web", "singleton", json!(true));
    assert_eq!(daemon.done("incr", "web")["singleton"], true);
    assert_eq!(daemon.pids("web"), [pid]);
    let other = daemon.the_pid("other");
    daemon.done("reload", "other");
    // A sleep dies of SIGHUP, and is replaced as after any crash.
    daemon.wait_other("other", other);
}

#[test]
fn bad_keys_and_values_are_refused() {
    let (daemon, pid) = daemon();
    for (key, text, part) in [
        ("zz", "1", "unknown key 'zz'"),
        ("priority", "1", "priority"),
        ("numprocesses", r#""two""#, "'numprocesses' isn't an integer"),
        ("warmup_delay", r#""x""#, "isn't a number"),
        ("shell", "1", "'shell' isn't a valid boolean"),
        ("env", r#"{"A": 1}"#, "'A' isn't a string"),
        ("rlimit_zz", "1", "'rlimit_zz' isn't a valid rlimit setting"),
        ("hooks.nope", r#""a.b""#, "nknown hook"),
    ] {
        let (number, reason) = daemon.refused("set", json!({"name": "web", "options": {key: value(text)}}));
        assert!(number == 3 && reason.contains(part), "{key}: {number} {reason}");
    }
    let refusal =
        daemon.refused("set", json!({"name": "web", "options": {"uid": "no-such-user"}, "waiting": true}));
    assert!(matches!(refusal.0, 3 | 5) && refusal.1.contains("no-such-user"), "{refusal:?}");
    assert_eq!(daemon.pids("web"), [pid]);
}
