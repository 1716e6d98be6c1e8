//! Python's circusctl drives our daemon: every command prints what it prints with Python's, and exits alike.

use std::process::Command;

use crate::daemon::{Daemon, python};

const ENTRY: &str = "import sys; sys.argv[0] = 'circusctl'; from circus.circusctl import main; main()";

/// What is asked, and what comes: exit status, and the whole text of stdout or stderr.
const CASES: &[(&[&str], i32, &str)] = &[
    (&["status"], 0, "Web: active\ndown: stopped\nmarker: active\none: active\nsleep er: active\n"),
    (&["status", "web"], 0, "active\n"),
    (&["status", "zz"], 3, "error\n"),
    (&["list"], 0, "down,marker,one,sleep er,web\n"),
    (&["numwatchers"], 0, "5\n"),
    (&["numprocesses"], 0, "5\n"),
    (&["numprocesses", "web"], 0, "2\n"),
    (&["get", "web", "numprocesses", "env", "uid"], 0, "numprocesses: 2\nenv: A=1,B=two words\nuid: \n"),
    (&["get", "web", "nope"], 3, "error: 'nope' option not found\n"),
    (&["globaloptions", "check_delay"], 0, "check_delay: 0.5\n"),
    (&["globaloptions", "nope"], 3, "'nope' not an existing option\n"),
    (&["listsockets"], 0, "64:socket 'ux' at ux.sock\n"),
    (&["ipython"], 0, "error: Could not start ipython kernel\n"),
    (&["incr", "one", "2", "--waiting"], 0, "3\n"),
    (&["decr", "one", "--waiting"], 0, "2\n"),
    (&["decr", "one"], 0, "ok\n"),
    (&["incr", "sleep er"], 0, "This watcher is a Singleton - not changing the number of processes\n"),
    (&["set", "one", "graceful_timeout", "3", "cmd", "sleep 1001", "--waiting"], 0, "ok\n"),
    (&["get", "one", "cmd", "graceful_timeout"], 0, "cmd: sleep 1001\ngraceful_timeout: 3.0\n"),
    (&["set", "one", "numprocesses", "1", "stop_signal", "int", "--waiting"], 0, "ok\n"),
    (&["get", "one", "stop_signal"], 0, "stop_signal: 2\n"),
    (&["signal", "one", "0"], 0, "ok\n"),
    (&["kill", "one", "--signum", "KILL", "--graceful_timeout", "1", "--waiting"], 0, "ok\n"),
    (&["reload", "one", "--waiting", "--sequential"], 0, "ok\n"),
    (&["reload", "--waiting", "--terminate"], 0, "ok\n"),
    (&["restart", "o.*", "--match", "regex", "--waiting"], 0, "ok\n"),
    (&["stop", "ONE", "--match", "simple", "--waiting"], 0, "ok\n"),
    (&["status", "one"], 0, "stopped\n"),
    (&["start", "[no]n?", "--match", "glob", "--waiting"], 0, "ok\n"),
    (&["start", "zz"], 3, "error: program zz not found\n"),
    (&["add", "--start", "extra", "sleep", "1000"], 0, "ok\n"),
    (&["rm", "extra"], 0, "ok\n"),
    (&["reloadconfig", "--waiting"], 0, "ok\n"),
    (&["stop", "--waiting"], 0, "ok\n"),
    (&["quit", "--waiting"], 0, "ok\n"),
];

fn circusctl() -> Option<Command> {
    let mut command = python("circusctl")?;
    command.args(["-c", ENTRY]);
    Some(command)
}

#[test]
fn pythons_circusctl_prints_what_it_prints_with_its_own_daemon() {
    if circusctl().is_none() {
        return;
    }
    let daemon = Daemon::start();
    for (words, status, text) in CASES {
        let output = daemon.ask(&mut circusctl().unwrap(), words);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!((output.status.code(), said.concat().as_str()), (Some(*status), *text), "{words:?}");
    }
}

#[test]
fn pythons_circusctl_shows_the_figures_and_the_options_of_processes() {
    if circusctl().is_none() {
        return;
    }
    let daemon = Daemon::start();
    let print = |words: &[&str]| {
        let output = daemon.ask(&mut circusctl().unwrap(), words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(print(&["dstats"]).starts_with("Main Process:\n    "));
    let stats = print(&["stats", "web"]);
    assert_eq!(stats.lines().filter(|line| line.contains("  sleep ")).count(), 2, "{stats}");
    assert!(print(&["stats", "--extended"]).contains("sleep er:\n"));
    let options = print(&["options", "web"]);
    for line in ["env: A=1,B=two words", "flapping.max_retry: 2", "stdout_stream_conf: {}", "uid: "] {
        assert!(options.lines().any(|other| other == line), "{line} in\n{options}");
    }
    assert!(print(&["--json", "list", "web"]).contains("\"pids\": ["));
}
