//! `circusctl logs` against the real daemon.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use circus_tests::{
    daemon::{Daemon, programs, wait::wait_end},
    terminal::Terminal,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const TWO: &str = "[watcher:web]\ncmd = /bin/sh -c 'echo one; echo two; exec sleep 1000'\nstdout_stream.class = QueueStream\n\
                   [watcher:db]\ncmd = /bin/sh -c 'echo three >&2; exec sleep 1000'\nstderr_stream.class = QueueStream\n\
                   [watcher:silent]\ncmd = sleep 1000\n";

fn stdout(daemon: &Daemon, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&daemon.ctl(arguments).stdout).into_owned()
}

/// `circusctl logs` that goes on, its output in files of the daemon's folder.
fn follow(daemon: &Daemon, arguments: &[&str]) -> Child {
    let file = |name: &str| File::create(daemon.path(name)).unwrap();
    Command::new(programs::program("circusctl"))
        .args(["--timeout", "2", "--endpoint", &daemon.endpoint(), "logs", "-f"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file("followed"))
        .stderr(file("complaints"))
        .spawn()
        .unwrap()
}

fn text(daemon: &Daemon, name: &str) -> String {
    fs::read_to_string(daemon.path(name)).unwrap_or_default()
}

fn interrupt(child: &mut Child) -> Option<i32> {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
    wait_end(child).code()
}

#[test]
fn the_last_lines_of_several_watchers_are_shown_with_who_printed_them() {
    let daemon = Daemon::start(TWO);
    let (web, db) = (daemon.wait_pids("web", 1)[0], daemon.wait_pids("db", 1)[0]);
    daemon.wait_until("all lines", |daemon| stdout(daemon, &["logs", "web", "db"]).lines().count() == 3);
    let shown = stdout(&daemon, &["logs", "web", "db", "WEB"]);
    for line in
        [format!("web.1 [{web}] | one"), format!("web.1 [{web}] | two"), format!("db.1 [{db}] ! three")]
    {
        assert_eq!(shown.matches(&line).count(), 1, "{shown}");
    }
    assert_eq!(stdout(&daemon, &["logs", "-n", "1", "web"]), format!("web.1 [{web}] | two\n"));
    let json: Value = serde_json::from_str(&stdout(&daemon, &["logs", "--json", "--stderr", "db"])).unwrap();
    assert_eq!(
        (&json["watcher"], &json["text"], &json["stream"]),
        (&json!("db"), &json!("three"), &json!("stderr"))
    );
    let refused = daemon.ctl(&["logs", "silent"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("set `stdout_stream.class`"));
    assert_eq!(daemon.ctl(&["logs"]).status.code(), Some(1));
}

#[test]
fn following_goes_on_after_a_restart_and_prints_each_line_once_and_in_order() {
    let counting = "/bin/sh -c 'while :; do n=$((n+1)); echo $$ $n; sleep 0.02; done'";
    let config =
        format!("[watcher:web]\ncmd = {counting}\nstop_children = True\nstdout_stream.class = QueueStream\n");
    let daemon = Daemon::start(&config);
    let first = daemon.wait_pids("web", 1)[0];
    let mut ctl = follow(&daemon, &["web"]);
    daemon.wait_until("lines", |daemon| text(daemon, "followed").lines().count() > 20);
    daemon.ok("restart", json!({}));
    let second = daemon.wait_for("another life", |daemon| {
        let reply = circus_reply(daemon)?;
        reply.into_iter().find(|pid| *pid != first)
    });
    daemon.wait_until("lines of it", |daemon| {
        text(daemon, "followed").matches(&format!("| {second} ")).count() > 20
    });
    daemon.kill_9();
    daemon.spawn_again();
    daemon.wait_until("lines of a third", |daemon| {
        let pids = daemon.pids("web");
        pids.first().is_some_and(|pid| text(daemon, "followed").matches(&format!("| {pid} ")).count() > 5)
    });
    assert_eq!(interrupt(&mut ctl), Some(0));
    let complaints = text(&daemon, "complaints");
    assert!(
        complaints.contains("the daemon went away, waiting for it")
            && complaints.contains("the daemon is back")
    );
    let mut last = (0, 0);
    for line in text(&daemon, "followed").lines() {
        let (_, said) = line.split_once(" | ").unwrap();
        let (pid, number) = said.split_once(' ').unwrap();
        let (pid, number): (i32, u32) = (pid.parse().unwrap(), number.parse().unwrap());
        assert!(pid != last.0 || number == last.1 + 1, "{line} after {last:?}");
        assert!(pid == last.0 || number == 1 || last.0 == 0, "{line} after {last:?}");
        last = (pid, number);
    }
}

/// The pids of `web`, if anybody answers.
fn circus_reply(daemon: &Daemon) -> Option<Vec<i32>> {
    let reply = daemon.ctl(&["list", "web"]);
    let text = String::from_utf8(reply.stdout).ok()?;
    Some(text.trim().split(',').filter_map(|pid| pid.parse().ok()).collect())
}

#[test]
fn many_clients_wait_at_once_and_the_daemon_answers_others() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'echo now; exec sleep 1000'\nautostart = False\nstdout_stream.class = QueueStream\n",
    );
    let asked: Vec<_> =
        (0..20).map(|_| daemon.ask("logs", json!({"name": "web", "after": 0, "wait": 60}))).collect();
    assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], json!(1));
    assert!(asked.iter().all(|asked| !asked.is_answered()));
    daemon.done("start", "web");
    for one in asked {
        assert_eq!(one.answer()["lines"][0]["text"], "now");
    }
}

#[test]
fn each_process_has_its_colour_on_a_terminal_and_none_elsewhere() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'echo one; echo two; exec sleep 1000'\nnumprocesses = 2\n\
         stdout_stream.class = QueueStream\n\
         [watcher:db]\ncmd = /bin/sh -c 'printf \"\\033[31mred\\n\"; exec sleep 1000'\nstdout_stream.class = QueueStream\n",
    );
    let (web, db) = (daemon.wait_pids("web", 2), daemon.the_pid("db"));
    daemon.wait_until("all lines", |daemon| stdout(daemon, &["logs", "web", "db"]).lines().count() == 5);
    let endpoint = daemon.endpoint();
    // What a terminal is given, and what it shows of that.
    let on_terminal = |variable: &str| {
        // Where `CI` is set, colours are taken for understood.
        let mut words = ["env", "-u", "CI", variable].map(Into::into).to_vec();
        words.push(programs::program("circusctl").into());
        words.extend(["--endpoint", endpoint.as_str(), "logs", "web", "db"].map(Into::into));
        let mut terminal = Terminal::run(&words, 24, 80);
        assert_eq!(terminal.wait_end().code(), Some(0));
        terminal.wait("all lines", |shown| shown.lines().filter(|line| line.contains(" | ")).count() == 5);
        terminal.all_said()
    };

    let coloured = on_terminal("A=b");
    let colours_of = |name: &str, pid: i32| -> BTreeSet<String> {
        let who = format!(".1 [{pid}] |\u{1b}[0m ");
        let who = if name == "db" || pid == web[0] { who } else { who.replace(".1", ".2") };
        let lines = coloured.lines().filter_map(|line| line.split_once(&format!("{name}{who}")));
        lines.map(|(colour, _)| colour.to_owned()).collect()
    };
    let all = [colours_of("web", web[0]), colours_of("web", web[1]), colours_of("db", db)];
    assert!(all.iter().all(|colours| colours.len() == 1), "{all:?} in {coloured:?}");
    let different: BTreeSet<&String> = all.iter().flatten().collect();
    assert_eq!(different.len(), 3, "{coloured:?}");
    assert!(different.iter().all(|colour| colour.starts_with("\u{1b}[") && colour.ends_with('m')));
    // What a process has coloured itself ends with its line.
    assert!(coloured.contains("\u{1b}[31mred\u{1b}[0m"), "{coloured:?}");

    for plain in
        [on_terminal("NO_COLOR=1"), on_terminal("TERM=dumb"), stdout(&daemon, &["logs", "web", "db"])]
    {
        assert_eq!(plain.matches(" [").count(), 5, "{plain:?}");
        // The bytes of the process itself are its own.
        assert_eq!(
            (plain.matches('\u{1b}').count(), plain.matches("\u{1b}[31mred").count()),
            (1, 1),
            "{plain:?}"
        );
    }
}
