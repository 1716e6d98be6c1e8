//! The shell of circusctl, typed into on a real terminal.

use circus_tests::{
    daemon::{Daemon, programs},
    terminal::Terminal,
};
use serde_json::json;

const WEB: &str =
    "[watcher:web]\ncmd = /bin/sh -c 'echo ready; exec sleep 1000'\nstdout_stream.class = QueueStream\n";

/// A shell at its first prompt.
fn shell(daemon: &Daemon) -> Terminal {
    let state = format!("XDG_STATE_HOME={}", daemon.dir().display());
    let mut words = ["env", &state].map(Into::into).to_vec();
    words.push(programs::program("circusctl").into());
    words.extend(["--endpoint", &daemon.endpoint()].map(Into::into));
    let terminal = Terminal::run(&words, 24, 80);
    terminal.wait_for("(circusctl) ");
    terminal
}

/// The lines on the screen that answer a command: neither a prompt nor what was typed there.
fn answers(shown: &str) -> Vec<&str> {
    let is_answer = |line: &&str| !line.is_empty() && !line.starts_with("(circusctl)");
    // The version and the state of the watcher stand first.
    shown.lines().map(str::trim_end).filter(is_answer).skip(2).collect()
}

#[test]
fn lines_typed_ahead_are_run_one_after_the_other() {
    let daemon = Daemon::start(WEB);
    daemon.wait_pids("web", 1);
    let mut terminal = shell(&daemon);
    // At once, or in pieces that end within a line.
    terminal.press("numwatchers\rlist\rincr web --waiting\rnumproc");
    terminal.wait("three answers", |shown| answers(shown) == ["1", "web", "2"]);
    // The editor shows what it has of the line: before, the terminal itself would show what comes.
    terminal.wait_for("(circusctl) numproc");
    terminal.press("esses\r");
    terminal.wait("the fourth, and nothing repeated", |shown| answers(shown) == ["1", "web", "2", "2"]);
    assert_eq!(daemon.option("web", "numprocesses"), 2);
}

#[test]
fn each_line_of_a_pasted_text_is_a_command() {
    let daemon = Daemon::start(WEB);
    daemon.wait_pids("web", 1);
    let mut terminal = shell(&daemon);
    terminal.press("\u{1b}[200~incr web --waiting\rnumwatchers\rlist\r\u{1b}[201~");
    terminal.wait_for("list");
    terminal.press("\r");
    terminal.wait("three answers", |shown| {
        shown.lines().filter(|line| ["2", "1", "web"].contains(&line.trim_end())).count() == 3
    });
    // What an empty line repeats is the last of them.
    terminal.press("\r");
    terminal.wait("a fourth", |shown| shown.lines().filter(|line| line.trim_end() == "web").count() == 2);
    assert_eq!(daemon.option("web", "numprocesses"), 2);
}

#[test]
fn what_was_to_follow_an_interrupted_command_is_not_run() {
    let daemon = Daemon::start(WEB);
    daemon.wait_pids("web", 1);
    let mut terminal = shell(&daemon);
    terminal.press("logs -f web\rincr web\r");
    terminal.wait_for("| ready");
    terminal.press("\u{3}");
    // The prompt behind it has a line of its own.
    terminal.wait_for("\n^C\n(circusctl)");
    terminal.press("numprocesses\r");
    terminal.wait("its answer", |shown| answers(shown).last() == Some(&"1"));
    assert_eq!((terminal.said("incr"), &daemon.option("web", "numprocesses")), (0, &1.into()));
}

#[test]
fn a_name_with_escape_sequences_is_shown_and_not_obeyed() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    daemon.ok("add", json!({"name": "we\u{1b}[2J\u{9b}2Jb", "cmd": "sleep 1000"}));
    let mut terminal = shell(&daemon);
    terminal.press("list\rstatus\r");
    terminal.wait("both answers and the table", |shown| {
        shown.to_lowercase().matches(r"we\u{1b}[2j\u{9b}2jb").count() == 3
    });
    // What a program reads is what the daemon said.
    let said = daemon.ctl(&["list"]);
    assert!(String::from_utf8(said.stdout).unwrap().to_lowercase().contains("we\u{1b}[2j\u{9b}2jb"));
}
