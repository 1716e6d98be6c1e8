//! What is wrong, where, and how bad.

use serde_json::json;

use super::*;

#[test]
fn each_bad_value_is_fatal_and_says_what_is_right() {
    for (line, message) in [
        ("shell = maybe", "shell: 'maybe' is not a boolean; write True or False"),
        ("shell =", "shell: '' is not a boolean; write True or False"),
        ("numprocesses = two", "numprocesses: 'two' is not an integer; write digits only, such as 5"),
        ("warmup_delay = 1.5", "warmup_delay: '1.5' is not an integer; write digits only, such as 5"),
        ("graceful_timeout = inf", "graceful_timeout: 'inf' is not a number; write seconds such as 2.5"),
        ("stop_signal = SIGNOPE", "stop_signal: signal invalid: 'SIGNOPE'; write SIGTERM, TERM or 15"),
        ("rlimit_core = x", "rlimit_core: 'x' is not an integer; write digits only, such as 5"),
        ("rlimit_core = -7", "rlimit_core: -7 is no resource limit; write a number, or -1 for no limit"),
        ("orphans = eat", "orphans: 'eat' is not `end` or `keep`"),
        (
            "stdout_stream = x",
            "stdout_stream: a stream option needs a name after a dot, such as `stdout_stream.class`",
        ),
    ] {
        let (degree, text) = mistake(&format!("[watcher:a]\ncmd = x\n{line}\n"));
        assert_eq!((degree, text), (Degree::Fatal, format!("/etc/c.ini:3: [watcher:a] {message}")));
    }
}

#[test]
fn broken_sections_are_left_out_and_the_others_stay() {
    for (lines, message) in [
        ("singleton = 1\nnumprocesses = 2", "cannot have 2 processes with a singleton watcher"),
        ("copy_path = 1", "`copy_path` needs `copy_env = True`"),
        ("virtualenv = /v", "`virtualenv` needs `copy_env = True`"),
        ("copy_env = 1\nvirtualenv = /v", "virtualenv: /v/lib/python*/site-packages does not exist"),
        (
            "rlimit_nofiles = 1",
            "rlimit_nofiles: there is no resource limit `nofiles`; did you mean `nofile`?",
        ),
        (
            "shell = 1\nargs = $(circus.nope)",
            "args: `$(circus.nope)` is not known, and the shell would run it as a command",
        ),
    ] {
        let loaded = load_text(&format!("[watcher:a]\ncmd = x\n{lines}\n[watcher:b]\ncmd = y\n"));
        assert_eq!(names(&loaded.config), ["b"], "{lines}");
        assert!(!loaded.has(Degree::Fatal) && loaded.has(Degree::BrokenSection), "{lines}");
        assert!(
            loaded.text(Degree::BrokenSection).contains(message),
            "{}",
            loaded.text(Degree::BrokenSection)
        );
    }
}

#[test]
fn a_watcher_with_several_mistakes_is_told_all_of_them() {
    let all = mistakes(
        "[watcher:a]\ncmd = x\nsingleton = 1\nnumprocesses = 2\ncopy_path = 1\nvirtualenv = /v\nrlimit_x = 1\n",
    );
    let text: Vec<_> = all.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        text,
        [
            "/etc/c.ini:4: [watcher:a] numprocesses: cannot have 2 processes with a singleton watcher",
            "/etc/c.ini:5: [watcher:a] copy_path: `copy_path` needs `copy_env = True`",
            "/etc/c.ini:6: [watcher:a] virtualenv: `virtualenv` needs `copy_env = True`",
            "/etc/c.ini:7: [watcher:a] rlimit_x: there is no resource limit `x`",
        ]
    );
}

#[test]
fn of_two_plugins_that_differ_only_in_case_one_is_left_out() {
    let plugin = |name: &str| format!("[plugin:{name}]\nuse = Flapping\n");
    let loaded = load_text(&[plugin("f"), plugin("Other"), plugin("F")].concat());
    assert_eq!(names(&loaded.config), ["plugin:F", "plugin:Other"]);
    assert_eq!(
        loaded.text(Degree::Warning),
        "/etc/c.ini:1: [plugin:f] `plugin:F` differs from it only in case; this one is left out"
    );
}

#[test]
fn a_text_without_end_is_not_shown_to_its_end() {
    let (_, text) = mistake(&format!("[watcher:a]\ncmd = x\nshell = {}\n", "é".repeat(100_000)));
    assert!(text.contains("éé'... is not a boolean") && text.len() < 300, "{}", text.len());
}

#[test]
fn an_empty_stats_endpoint_says_nothing() {
    let circus = good("[circus]\nstats_endpoint =\n").circus;
    assert_eq!((circus.statsd, circus.stats_endpoint.as_str()), (false, "tcp://127.0.0.1:5557"));
}

#[test]
fn a_bad_stream_breaks_its_section_and_an_odd_one_is_warned_about() {
    let stream =
        |options: &str| load_text(&format!("[watcher:a]\ncmd = x\n{options}\n[watcher:b]\ncmd = y\n"));
    for (options, message) in [
        (
            "stdout_stream.class = FileStraem",
            "stdout_stream.class: 'FileStraem' is not understood; did you mean `FileStream`?",
        ),
        ("stderr_stream.max_bytes = 5", "stderr_stream.class: stream configuration invalid"),
        (
            "stdout_stream.filename = f\nstdout_stream.max_bytes = lots",
            "c.ini:4: [watcher:a] stdout_stream.max_bytes: ",
        ),
    ] {
        let bad = stream(options);
        assert_eq!(names(&bad.config), ["b"], "{options}");
        assert!(bad.text(Degree::BrokenSection).contains(message), "{}", bad.text(Degree::BrokenSection));
    }
    let good = stream("stdout_stream.class = FileStream");
    assert_eq!(names(&good.config), ["a", "b"]);
    assert_eq!(good.text(Degree::Warning), "");
    assert_eq!(good.config.watchers[0].report()["stdout_stream_conf"], json!({}));
    let odd =
        stream("stdout_stream.class = FileStream\nstdout_stream.filenam = f\nclose_child_stdout = True");
    assert_eq!(names(&odd.config), ["a", "b"]);
    let text = odd.text(Degree::Warning);
    assert!(
        text.contains("stdout_stream.filenam: ") && text.contains("`close_child_stdout` sends"),
        "{text}"
    );
}

#[test]
fn misspelt_and_foreign_names_are_warned_about() {
    for (text, message) in [
        (
            "[watcher:a]\ncmd = x\nnumproceses = 3\n",
            "/etc/c.ini:3: [watcher:a] numproceses: an unknown option, kept as free-form; did you mean `numprocesses`?",
        ),
        (
            "[watcher:a]\ncmd = x\nhook.before_start = 3\n",
            "/etc/c.ini:3: [watcher:a] hook.before_start: an unknown option, kept as free-form; did you mean `hooks.before_start`?",
        ),
        (
            "[watcher:a]\ncmd = x\nstdout_steam.class = 3\n",
            "/etc/c.ini:3: [watcher:a] stdout_steam.class: an unknown option, kept as free-form; did you mean `stdout_stream.class`?",
        ),
        (
            "[watcher:a]\ncmd = x\nenv = 3\n",
            "/etc/c.ini:3: [watcher:a] env: not used; write the variables into a section `[env:a]`",
        ),
        (
            "[watcher:a]\ncmd = x\nuse_papa = 3\n",
            "/etc/c.ini:3: [watcher:a] use_papa: papa is not supported; ignored",
        ),
        (
            "[watcher:a]\ncmd = x $(circus.nope)\n",
            "/etc/c.ini:2: [watcher:a] cmd: `$(circus.nope)` is not known and stays as it is written",
        ),
        (
            "[watcher:a]\ncmd = x\nmax_age = -1\n",
            "/etc/c.ini:3: [watcher:a] max_age: -1 is negative and taken as 0",
        ),
        (
            "[watcher:a]\ncmd = x; y\nshell = 1\n",
            "/etc/c.ini:3: [watcher:a] shell: the shell sees this text as it is written; Circus would have quoted its special characters",
        ),
        (
            "[watcher:a]\nargs = x\n",
            "/etc/c.ini:1: [watcher:a] cmd: the command cannot be run: the command is empty",
        ),
        (
            "[circus]\nchek_delay = 1\n",
            "/etc/c.ini:2: [circus] chek_delay: an unknown key, not used; did you mean `check_delay`?",
        ),
        (
            "[circus]\nloglevel = loud\n",
            "/etc/c.ini:2: [circus] loglevel: there is no level `loud`, `info` is used; the levels are `debug`, `info`, `warning`, `error`, `critical`",
        ),
        (
            "[circus]\nwarmup_delay = -5\n",
            "/etc/c.ini:2: [circus] warmup_delay: -5 is negative and taken as 0",
        ),
        (
            "[[watcher:a]]\ncmd = x\n",
            "/etc/c.ini:1: [[watcher:a]] an unknown section, not used; did you mean [watcher:a]?",
        ),
        ("[circus]\nbanana = 1\n", "/etc/c.ini:2: [circus] banana: an unknown key, not used"),
        (
            "[watchers:a]\ncmd = x\n",
            "/etc/c.ini:1: [watchers:a] an unknown section, not used; did you mean [watcher:a]?",
        ),
        ("[program:a]\ncmd = x\n", "/etc/c.ini:1: [program:a] an unknown section, not used"),
        (
            "[plugin:f]\nuse = Flapping\nretry_on = 3\n",
            "/etc/c.ini:3: [plugin:f] retry_on: an option the plugin does not know; did you mean `retry_in`?",
        ),
        (
            "[circus]\nhttpd = 1\n",
            "/etc/c.ini:2: [circus] httpd: the web console is not supported yet; circushttpd is not started",
        ),
    ] {
        assert_eq!(mistake(text), (Degree::Warning, message.to_owned()));
    }
}

#[test]
fn sockets_that_cannot_be_had_are_warned_about() {
    for (text, message) in [
        (
            "[socket:web]\npath = /w\nso_reuseport = 1\n",
            "/etc/c.ini:3: [socket:web] so_reuseport: a Unix socket has no port to share; it is a plain one",
        ),
        (
            "[watcher:a]\ncmd = x $(circus.sockets.Frontent)\nuse_sockets = 1\n[socket:frontend]\nport = 1\n",
            "/etc/c.ini:1: [watcher:a] there is no [socket:frontent]; did you mean `frontend`?; its variable stays as it is written",
        ),
        (
            "[watcher:a]\ncmd = x $(circus.sockets.web)\n[socket:web]\nport = 1\n",
            "/etc/c.ini:1: [watcher:a] the command names a socket that its processes do not get; add `use_sockets = True`",
        ),
        (
            "[watcher:a]\ncmd = x\nstdin_socket = web\n",
            "/etc/c.ini:3: [watcher:a] stdin_socket: there is no [socket:web]; every spawn fails",
        ),
        (
            "[watcher:a]\ncmd = x\nlisten_fds = b, A\n[socket:a]\nport = 1\n",
            "/etc/c.ini:3: [watcher:a] listen_fds: there is no [socket:b]; every spawn fails",
        ),
        (
            "[watcher:a]\ncmd = x\non_demand = 1\n",
            "/etc/c.ini:3: [watcher:a] on_demand: there is no socket whose first connection could start it",
        ),
        (
            "[watcher:a]\ncmd = x\nidle_timeout = 5\n",
            "/etc/c.ini:3: [watcher:a] idle_timeout: has no effect without `on_demand = True`",
        ),
    ] {
        assert_eq!(mistake(text), (Degree::Warning, message.to_owned()));
    }
}

#[test]
fn free_form_keys_are_kept_without_a_word() {
    let watcher = watcher("[watcher:a]\ncmd = x\nport = 80\nflapping.attempts = 3\nretry_in = 7\n");
    assert_eq!(watcher.extra.keys().collect::<Vec<_>>(), ["flapping.attempts", "port", "retry_in"]);
}

#[test]
fn all_mistakes_come_at_once_in_file_order() {
    let all = mistakes(
        "oops\n[watcher:b]\ncmd = x\nshell = 2\n[circus]\numask = 9\nnope\n[watcher:a]\ncmd = x\npriority = z\n",
    );
    let lines: Vec<_> = all.iter().map(|(_, text)| text.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["/etc/c.ini:1", "/etc/c.ini:4", "/etc/c.ini:6", "/etc/c.ini:7", "/etc/c.ini:10"]);
}
