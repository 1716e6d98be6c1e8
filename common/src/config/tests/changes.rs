//! `add`, `set`, and the checks of their options.

use serde_json::{Value, json};

use super::*;

/// A watcher from `add`.
fn added(options: Value) -> Result<WatcherConfig, String> {
    let Value::Object(options) = options else { panic!("options are an object") };
    WatcherConfig::from_add("w", "x", Args::None, &options, &host(), &Tree::default())
}

#[test]
fn an_added_watcher_has_the_shape_of_the_wire() {
    let plain = added(json!({})).expect("no options are fine").report();
    for (key, value) in [
        ("args", json!(null)),
        ("env", json!(null)),
        ("warmup_delay", json!(0.0)),
        ("stdout_stream_conf", json!(null)),
        ("working_dir", json!("/run/here")),
    ] {
        assert_eq!(plain[key], value, "{key}");
    }
    let watcher = added(json!({"numprocesses": -2, "copy_env": true, "env": {"A": "$HOME"}, "priority": 3,
        "retry_in": 7, "rlimit_core": null, "uid": "nobody", "stdout_stream": {"class": "FileStream", "filename": "f"}}))
    .expect("good options");
    assert_eq!((watcher.numprocesses, watcher.priority), (0, 3));
    assert_eq!(env_of(&watcher), [("A", "$HOME"), ("HOME", "/h"), ("N", "1"), ("PATH", "/usr/bin")]);
    assert_eq!(watcher.report()["stdout_stream_conf"], json!({"filename": "f"}));
    assert_eq!(watcher.report()["retry_in"], json!(7));
}

#[test]
fn an_add_that_makes_no_watcher_is_refused() {
    for (options, reason) in [
        (json!({"singleton": true, "numprocesses": 2}), "cannot have 2 processes with a singleton watcher"),
        (json!({"zz": 1}), "unknown key 'zz'"),
        (json!({"numprocesses": 5_000_000}), "5000000 is more than the 4194304 processes a machine can have"),
        (json!({"uid": -1}), "-1 is not a user or group number"),
    ] {
        assert_eq!(added(options), Err(reason.to_owned()));
    }
    let empty =
        WatcherConfig::from_add(" ", "x", Args::None, &serde_json::Map::new(), &host(), &Tree::default());
    assert_eq!(empty, Err("command name shouldn't be empty".to_owned()));
}

#[test]
fn each_option_is_checked_as_circus_does() {
    for (key, value, expected) in [
        ("numprocesses", json!(1), Ok(())),
        ("numprocesses", json!("1"), Err("'numprocesses' isn't an integer")),
        ("numprocesses", json!(true), Err("'numprocesses' isn't an integer")),
        ("max_retry", json!(1.0), Err("'max_retry' isn't an integer")),
        ("stop_signal", json!("TERM"), Err("'stop_signal' isn't an integer")),
        ("stop_signal", json!(99), Err("signal invalid")),
        ("warmup_delay", json!(1.5), Ok(())),
        ("warmup_delay", json!("1"), Err("'warmup_delay' isn't a number")),
        ("graceful_timeout", json!(false), Err("'graceful_timeout' isn't a number")),
        ("uid", json!(1.5), Err("'uid' isn't an integer or string")),
        ("shell", json!(1), Err("'shell' isn't a valid boolean")),
        ("singleton", json!("x"), Err("'singleton' isn't a valid boolean")),
        ("cmd", json!(1), Err("'cmd' isn't a string")),
        ("args", json!({}), Err("'args' isn't a string or a list of strings")),
        ("args", json!(["a", 1]), Ok(())),
        ("env", json!([]), Err("'env' isn't a valid object")),
        ("env", json!({"A": 1}), Err("'A' isn't a string")),
        ("env", json!({"A=B": ""}), Err("'A=B' isn't a valid environment variable")),
        ("hooks", json!({"nope": "a"}), Err("Unknown hook {'nope': 'a'}")),
        ("hooks.nope", json!("a.b"), Err("Unknown hook 'nope'")),
        ("hooks.before_start", json!("a.b"), Ok(())),
        ("hooks.before_start", json!(1), Err("'hooks.before_start' isn't a string")),
        ("stdout_stream", json!({}), Err("'stdout_stream' must have a 'class' key")),
        ("stderr_stream", json!(1), Err("'stderr_stream' isn't a valid object")),
        ("stdout_stream.class", json!("X"), Ok(())),
        ("stdout_stream.class", json!(["X"]), Err("'stdout_stream.class' isn't a string or number")),
        ("rlimit_zz", json!(1), Err("'rlimit_zz' isn't a valid rlimit setting")),
        ("rlimit_core", json!("1"), Err("'1' rlimit value isn't a valid int")),
        ("rlimit_CORE", json!(null), Ok(())),
        ("zz", json!(1), Err("unknown key 'zz'")),
        ("check_flapping", json!(true), Err("unknown key 'check_flapping'")),
        ("it's", json!(1), Err("unknown key \"it's\"")),
        ("use_sockets", json!(false), Ok(())),
        ("orphans", json!("keep"), Ok(())),
        ("orphans", json!("eat"), Err("'orphans' isn't `end` or `keep`")),
        ("reload_undo", json!(true), Ok(())),
    ] {
        assert_eq!(options::check(key, &value), expected.map_err(str::to_owned), "{key} {value}");
    }
}

#[test]
fn circusctl_arguments_become_values() {
    for (key, text, expected) in [
        ("numprocesses", "3", Some(json!(3))),
        ("numprocesses", "x", None),
        ("warmup_delay", "1", Some(json!(1.0))),
        ("stop_signal", "hup", Some(json!(1))),
        ("shell", "yes", Some(json!(true))),
        ("shell", "2", None),
        ("uid", "1000", Some(json!("1000"))),
        ("cmd", "a b", Some(json!("a b"))),
        ("env", "A=1,B=x=y", Some(json!({"A": "1", "B": "x=y"}))),
        ("env", "A", None),
        (
            "hooks",
            "before_start:a.b,after_start:c.d",
            Some(json!({"before_start": "a.b", "after_start": "c.d"})),
        ),
        ("hooks", "nope:a.b", None),
        ("hooks.nope", "a.b", None),
        ("stdout_stream.max_bytes", "10", Some(json!(10))),
        ("stdout_stream.filename", "10", Some(json!("10"))),
        ("stdout_stream", "FileStream", None),
        ("rlimit_nofile", "10", Some(json!(10))),
        ("retry_in", "2", Some(json!(2.0))),
        ("orphans", "keep", Some(json!("keep"))),
        ("zz", "1", None),
        ("use_sockets", "1", None),
    ] {
        assert_eq!(options::convert(key, text).ok(), expected, "{key} {text}");
    }
    assert_eq!(
        options::convert("shell", "maybe"),
        Err("shell: 'maybe' is not a boolean; write True or False".to_owned())
    );
    assert_eq!(options::convert("a", "1"), Err("unknown key 'a'".to_owned()));
    assert_eq!(options::convert("priority", "5"), Err("'priority' cannot be changed with set".to_owned()));
}

#[test]
fn a_set_says_what_it_changes() {
    let mut watcher = watcher("[watcher:a]\ncmd = x\nport = 1\n");
    for (key, value, change) in [
        ("numprocesses", json!(3), Change::Manage),
        ("numprocesses", json!(-3), Change::Manage),
        ("warmup_delay", json!(2), Change::Manage),
        ("graceful_timeout", json!(3), Change::None),
        ("cmd", json!("y"), Change::Reload),
        ("args", json!(["a"]), Change::Reload),
        ("env", json!({"A": "1"}), Change::Reload),
        ("max_retry", json!(-1), Change::None),
        ("rlimit_nofile", json!(5), Change::Reload),
        ("port", json!(2), Change::None),
        ("orphans", json!("keep"), Change::None),
        ("copy_env", json!(true), Change::Reload),
    ] {
        assert_eq!(watcher.set(key, &value), Ok(change), "{key}");
    }
    assert_eq!((watcher.numprocesses, watcher.max_retry, watcher.rlimits["nofile"]), (0, None, Some(5)));
    assert_eq!(
        (watcher.report()["warmup_delay"].clone(), watcher.extra["port"].clone()),
        (json!(2.0), json!(2))
    );
    watcher.recopy_env(&host().env);
    assert_eq!(env_of(&watcher), [("A", "1"), ("HOME", "/h"), ("N", "1"), ("PATH", "/usr/bin")]);
    watcher.copy_env = false;
    watcher.recopy_env(&host().env);
    assert_eq!(env_of(&watcher), [("A", "1")]);
}

#[test]
fn a_set_of_a_stream_swaps_it_and_the_first_one_replaces_the_processes() {
    let mut watcher = watcher("[watcher:a]\ncmd = x\nstderr_stream.class = FileStream\n");
    assert_eq!(watcher.set("stdout_stream.filename", &json!("f")), Ok(Change::Reload));
    assert_eq!(watcher.set("stdout_stream.max_bytes", &json!(5)), Ok(Change::Manage));
    assert_eq!(watcher.set("stderr_stream.filename", &json!("g")), Ok(Change::Manage));
    assert_eq!(watcher.check_streams(), Ok(()));
    let whole = json!({"class": "FileStream", "filename": "h"});
    let mut bare = WatcherConfig::new("w", "x");
    assert_eq!(bare.set("stdout_stream", &whole), Ok(Change::Reload));
    assert_eq!(bare.set("stdout_stream", &whole), Ok(Change::Manage));
    // The class is kept, which Circus forgets.
    assert_eq!(
        watcher.stderr_stream.as_ref().map(|stream| stream["class"].clone()),
        Some(json!("FileStream"))
    );
    assert_eq!(watcher.report()["stdout_stream_conf"], json!({"filename": "f", "max_bytes": 5}));
    // As an object it is replaced as a whole.
    let whole = json!({"class": "FileStream", "filename": "h"});
    assert_eq!(watcher.set("stdout_stream", &whole), Ok(Change::Manage));
    assert_eq!(watcher.report()["stdout_stream_conf"], json!({"filename": "h"}));
    watcher.stdout_stream = None;
    assert_eq!(watcher.set("stdout_stream", &whole), Ok(Change::Reload));
    assert!(watcher.set("stdout_stream", &json!({"filename": "h"})).is_err());
    assert_eq!(watcher.set("stdout_stream.class", &json!("Nope")), Ok(Change::Manage));
    assert!(watcher.check_streams().is_err_and(|reason| reason.starts_with("stdout_stream.class: 'Nope'")));
}

#[test]
fn a_refused_set_changes_nothing_and_tells_the_two_kinds_apart() {
    let mut watcher = watcher("[watcher:a]\ncmd = x\nsingleton = 1\n");
    let before = watcher.clone();
    let message = |text: &str| Err(SetError::Message(text.to_owned()));
    for (key, value, expected) in [
        (
            "numprocesses",
            json!(2),
            Err(SetError::Command("Singleton watcher has a single process".to_owned())),
        ),
        ("numprocesses", json!("2"), message("'numprocesses' isn't an integer")),
        ("zz", json!(1), message("unknown key 'zz'")),
        ("autostart", json!(false), message("unknown key 'autostart'")),
        ("use_sockets", json!(true), message("unknown key 'use_sockets'")),
        (
            "hooks.before_start",
            json!("builtin:tcp:db"),
            message("'builtin:tcp:db' is not `builtin:tcp:HOST:PORT`"),
        ),
    ] {
        assert_eq!(watcher.set(key, &value), expected, "{key}");
        assert_eq!(watcher, before, "{key}");
    }
}

#[test]
fn hooks_are_set_one_by_one_and_together() {
    let mut watcher = WatcherConfig::new("w", "x");
    let python = |name: &str, ignore_failure| HookConfig {
        action: HookAction::Python(name.to_owned()),
        ignore_failure,
    };
    assert_eq!(watcher.set("hooks.before_start", &json!("a.b, True")), Ok(Change::Manage));
    let wrong = json!({"before_start": "c.d", "after_stop": 3});
    assert!(watcher.set("hooks", &wrong).is_err());
    assert_eq!(watcher.hooks, [(HookName::BeforeStart, python("a.b", true))].into());
    let several = json!({"before_start": "c.d", "after_stop": ["e:f", true]});
    assert_eq!(watcher.set("hooks", &several), Ok(Change::Manage));
    let both = [(HookName::BeforeStart, python("c.d", false)), (HookName::AfterStop, python("e:f", true))];
    assert_eq!(watcher.hooks, both.into());
}

#[test]
fn a_reload_is_undone_by_default_where_sockets_are_shared() {
    let plain = WatcherConfig::new("w", "x");
    let shared = WatcherConfig::new("w", "x --fd $(circus.sockets.web)");
    assert!(!plain.undoes_reload() && shared.undoes_reload());
    assert!(WatcherConfig { reload_undo: Some(true), ..plain }.undoes_reload());
    assert!(!WatcherConfig { reload_undo: Some(false), ..shared }.undoes_reload());
}
