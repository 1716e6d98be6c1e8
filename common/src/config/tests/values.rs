//! What the sections say, as values.

use serde_json::{Value, json};

use super::*;

#[test]
fn an_empty_file_is_every_default() {
    let config = good("");
    assert_eq!(config.circus, CircusConfig::default());
    assert!(config.watchers.is_empty() && config.sockets.is_empty() && config.plugins.is_empty());
}

#[test]
fn a_file_watcher_reports_what_circus_reports() {
    let watcher = watcher(
        "[watcher:Sleep er]\ncmd = sleep 100\nnumprocesses = 2\ngraceful_timeout = 2\nfreeform.key = val\n\
         flapping.max_retry = 2\n[env:Sl*]\nAA = $HOME/x\n",
    );
    let mut report = watcher.report();
    for own in [
        "hook_timeout",
        "idle_timeout",
        "listen_fds",
        "orphans",
        "python",
        "reload_settle",
        "reload_undo",
        "respawn_healthy",
    ] {
        assert!(report.shift_remove(own).is_some(), "{own}");
    }
    assert_eq!(
        Value::Object(report.clone()),
        json!({"args": "", "close_child_stderr": false, "close_child_stdin": true, "close_child_stdout": false,
            "cmd": "sleep 100", "copy_env": false, "env": {"AA": "/h/x"}, "executable": null,
            "flapping.max_retry": "2", "freeform.key": "val", "gid": null, "graceful_timeout": 2.0, "max_age": 0,
            "max_age_variance": 30, "max_retry": 5, "numprocesses": 2, "on_demand": false, "priority": 0,
            "respawn": true, "send_hup": false, "shell": false, "shell_args": null, "singleton": false,
            "stderr_stream_conf": {}, "stdout_stream_conf": {}, "stop_children": false, "stop_signal": 15,
            "uid": null, "use_sockets": false, "warmup_delay": 0, "working_dir": "/run/here"})
    );
    assert!(report.keys().is_sorted());
    assert!(report["warmup_delay"].is_u64() && report["graceful_timeout"].is_f64());
}

#[test]
fn every_reported_option_can_be_got_and_no_other() {
    let watcher = watcher("[watcher:a]\ncmd = x\nflapping.window = 3\n");
    for (key, value) in watcher.report() {
        assert_eq!(watcher.option(&key), Some(value), "{key}");
    }
    for key in ["nope", "rlimits", "hooks", "virtualenv", "autostart", "copy_path", "stdout_stream."] {
        assert_eq!(watcher.option(key), None, "{key}");
    }
}

#[test]
fn the_table_states_the_defaults_that_hold() {
    let fresh = WatcherConfig { from_file: true, ..WatcherConfig::new("w", "") };
    let fields = options::TABLE.iter().filter(|spec| spec.legal.file && !spec.is_family());
    for spec in fields.filter(|spec| !spec.default.is_empty()) {
        let written = spec.kind.parse(spec.default).expect(spec.name);
        let shown = (spec.read)(&fresh).expect(spec.name);
        assert_eq!(shown.as_f64(), written.as_f64(), "{}", spec.name);
        assert!(shown.is_number() || shown == written, "{}", spec.name);
    }
    for spec in circus::TABLE.iter().filter(|spec| !spec.default.is_empty() && spec.name != "loglevel") {
        let config = load_text(&format!("[circus]\n{} = {}\n", spec.name, spec.default)).config.circus;
        let expected = CircusConfig { statsd: config.statsd, ..CircusConfig::default() };
        assert_eq!(config, expected, "{}", spec.name);
    }
}

#[test]
fn the_first_value_wins_and_defaults_fill_in() {
    let config = good(
        "[DEFAULT]\nnumprocesses = 3\n[watcher:b]\ncmd = one\ncmd = two\n[watcher:a]\ncmd = x\nnumprocesses = 1\n[watcher:b]\nargs = y\ncmd = three\n",
    );
    assert_eq!(names(&config), ["a", "b"]);
    assert_eq!(config.watchers[0].numprocesses, 1);
    assert_eq!((config.watchers[1].cmd.as_str(), config.watchers[1].numprocesses), ("one", 3));
    assert_eq!(config.watchers[1].args, Args::Text("y".to_owned()));
}

#[test]
fn an_empty_section_is_no_watcher() {
    assert_eq!(names(&good("[watcher:a]\n[watcher:b]\ncmd = x\n")), ["b"]);
}

#[test]
fn a_watcher_can_be_renamed_and_names_are_trimmed() {
    let config = good("[watcher: a b ]\ncmd = x\n[watcher:c]\nname = B\ncmd = y\n[env:B]\nX = 1\n");
    assert_eq!(names(&config), ["B", "a b"]);
    assert_eq!(env_of(&config.watchers[0]), [("X", "1")]);
}

#[test]
fn of_two_names_that_differ_in_case_the_first_of_the_sorted_ones_stays() {
    for (text, kept, message) in [
        (
            "[watcher:a]\ncmd = x\n[watcher:A]\ncmd = y\n",
            "A",
            "/etc/c.ini:1: [watcher:a] the watchers `A` and `a` differ only in case; `a` is left out",
        ),
        (
            "[watcher:a]\ncmd = x\n[watcher:b]\nname = a\ncmd = y\n",
            "a",
            "/etc/c.ini:3: [watcher:b] another watcher is called `a` too; this one is left out",
        ),
    ] {
        let loaded = load_text(text);
        assert_eq!(names(&loaded.config), [kept]);
        assert_eq!(loaded.text(Degree::BrokenSection), message);
    }
}

#[test]
fn environments_are_layered() {
    for (text, expected) in [
        ("[watcher:a]\ncmd = x\n", vec![]),
        ("[watcher:a]\ncmd = x\ncopy_env = 1\n", vec![("HOME", "/h"), ("N", "1"), ("PATH", "/usr/bin")]),
        ("[watcher:a]\ncmd = x\n[env]\nB = $PATH:/bin\nC = $B\n", vec![("B", "/usr/bin:/bin"), ("C", "")]),
        (
            "[watcher:a]\ncmd = x\n[env:b, a*]\nB = 1\n[env:?]\nB = 2\nB = 3\n[env:A]\nB = 4\n",
            vec![("B", "2")],
        ),
        (
            "[watcher:a]\ncmd = x\n[env]\nB = $(circus.env.home)\n[env:a]\nC = ((circus.env.HOME))\n",
            vec![("B", "/h"), ("C", "/h")],
        ),
        ("[watcher:a]\ncmd = x\n[env]\nB = 1\n[env:a]\nB = 2\n", vec![("B", "2")]),
    ] {
        assert_eq!(env_of(&watcher(text)), expected, "{text}");
    }
}

#[test]
fn what_is_handed_on_keeps_the_dollars_that_were_not_meant_for_circusd() {
    let mut host = host();
    host.env.insert("SECRET".to_owned(), "pa$$word${HOME}$N".to_owned());
    let tree = Tree::new(&[("/etc/c.ini", "[watcher:a]\ncmd = x $(circus.env.secret)\ncopy_env = 1\n")]);
    let watcher = load(Path::new("/etc/c.ini"), &host, &tree).config.watchers.remove(0);
    assert!(env_of(&watcher).contains(&("SECRET", "pa$$word${HOME}1")), "{:?}", watcher.env);
}

#[test]
fn numbers_see_the_general_environment_and_texts_the_watchers_own() {
    let watcher = watcher(
        "[env]\nN = 3\n[env:a]\nN = 7\n[watcher:a]\nnumprocesses = $(circus.env.N)\ncmd = x $(circus.env.n)\n",
    );
    assert_eq!((watcher.numprocesses, watcher.cmd.as_str()), (3, "x 7"));
}

#[test]
fn inserted_variables_are_already_substituted() {
    let watcher = watcher(
        "[env]\nAA = hello $HOME\n[watcher:a]\ncmd = x\nargs = $(circus.env.AA)\nfree = ((circus.env.AA))\n",
    );
    assert_eq!(watcher.args, Args::Text("hello /h".to_owned()));
    assert_eq!(watcher.extra["free"], json!("hello /h"));
}

#[test]
fn options_are_read_by_their_kinds() {
    let watcher = watcher(
        "[watcher:a]\ncmd = x\nuid = 65534\ngid = nogroup\nstop_signal = hup\nmax_retry = -1\nrespawn = OFF\n\
         rlimit_NOFILE = 100\nrlimit_core =\nrlimit_as = -1\nwarmup_delay = 2\nmax_age = 60\norphans = Keep\n\
         reload_undo = yes\nrespawn_healthy = 0\npriority = -3\ncheck_flapping = no\nworking_dir = /tmp\n",
    );
    assert_eq!(
        (watcher.uid, watcher.gid),
        (Some(Account::Name("65534".to_owned())), Some(Account::Name("nogroup".to_owned())))
    );
    assert_eq!((watcher.stop_signal, watcher.max_retry, watcher.respawn), (crate::Signal::HUP, None, false));
    let limits: Vec<_> = watcher.rlimits.iter().map(|(name, limit)| (name.as_str(), *limit)).collect();
    assert_eq!(limits, [("nofile", Some(100)), ("core", None), ("as", None)]);
    assert_eq!((watcher.warmup_delay, watcher.max_age, watcher.priority), (Seconds::Whole(2), 60, -3));
    assert_eq!((watcher.orphans, watcher.reload_undo), (Orphans::Keep, Some(true)));
    assert_eq!(
        (watcher.extra["check_flapping"].clone(), watcher.working_dir.as_str()),
        (json!(false), "/tmp")
    );
}
