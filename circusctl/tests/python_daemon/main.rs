//! circusctl against Python's circusd: the other side of the drop-in promise.
//!
//! Needs `CIRCUS_PYTHON`, a Python that has circus 0.19 installed.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test runs programs and may panic")]

mod daemon;
mod terminal;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use self::{
    daemon::{Daemon, wait_for},
    terminal::Terminal,
};

#[test]
fn both_circusctls_say_the_same() {
    let Some(daemon) = Daemon::start("both_circusctls_say_the_same") else { return };
    let table: &[&[&str]] = &[
        &["status"],
        &["status", "web"],
        &["list"],
        &["list", "Web"],
        &["list", "zz"],
        &["list", "a", "b"],
        &["options", "sleep er"],
        &["options"],
        &["get", "web", "numprocesses", "env", "uid", "stdout_stream_conf"],
        &["get", "web", "nope"],
        &["globaloptions"],
        &["globaloptions", "endpoint"],
        &["globaloptions", "x"],
        &["listsockets"],
        &["ipython"],
        &["incr", "single"],
        &["incr", "web", "0", "--waiting"],
        &["numprocesses"],
        &["numprocesses", "web"],
        &["numwatchers"],
        &["start", "web"],
        &["start", "--waiting", "w*", "--match", "glob"],
        &["start", "o["],
        &["set", "web"],
        &["set", "web", "a", "b"],
        &["set", "web", "a", "b", "c"],
        &["signal", "single", "0"],
        &["rm", "zz"],
        &["kill"],
        &["add", "x"],
        &["stats", "zz"],
        &["stats", "web", "99999999"],
        &["--prettify", "status"],
        &["--nope"],
        &["nope", "a"],
        &["--timeout", "x", "list"],
        &["list", "--nope"],
        &["list", ""],
    ];
    for args in table {
        assert_eq!(daemon.circusctl(args), daemon.pythons(args), "{args:?}");
    }
}

#[test]
fn known_defects_of_pythons_circusctl_are_gone() {
    let Some(daemon) = Daemon::start("known_defects_of_pythons_circusctl_are_gone") else { return };
    let refused = |text: &str| (3, String::new(), format!("{text}\n"));
    assert_eq!(daemon.circusctl(&["status", "zz"]), refused("error: program zz not found"));
    let told = "Invalid message: wrong number of arguments, expected `dstats`\n".to_owned();
    assert_eq!(daemon.circusctl(&["dstats", "x"]), (1, String::new(), told));
    let (code, stdout, _) = daemon.circusctl(&["--json", "status", "zz"]);
    assert_eq!((code, stdout.contains(r#""reason": "program zz not found""#)), (3, true));
    assert_eq!(daemon.circusctl(&["signal", "single", "--recursive", "0"]).0, 0);
    assert_eq!(daemon.circusctl(&["set", "sleep er", "env", "A=1,B=2", "--waiting"]).0, 0);
    assert_eq!(daemon.circusctl(&["get", "sleep er", "env"]).1, "env: A=1,B=2\n");
}

#[test]
fn a_plan_is_not_asked_of_a_daemon_that_would_act() {
    let Some(daemon) = Daemon::start("a_plan_is_not_asked_of_a_daemon_that_would_act") else { return };
    let refused = "error: this daemon cannot make plans; nothing was done\n".to_owned();
    assert_eq!(daemon.circusctl(&["reloadconfig", "--plan"]), (3, String::new(), refused));
}

#[test]
fn changes_are_carried_out_and_waited_for() {
    let Some(daemon) = Daemon::start("changes_are_carried_out_and_waited_for") else { return };
    let ok = |text: &str| (0, format!("{text}\n"), String::new());
    assert_eq!(daemon.circusctl(&["incr", "web", "2", "--waiting"]), ok("3"));
    assert_eq!(daemon.circusctl(&["decr", "web", "--waiting"]), ok("2"));
    assert_eq!(daemon.circusctl(&["numprocesses", "web"]), ok("2"));
    assert_eq!(daemon.circusctl(&["stop", "web", "--waiting"]), ok("ok"));
    assert_eq!(daemon.circusctl(&["status", "web"]), ok("stopped"));
    assert_eq!(daemon.circusctl(&["add", "--start", "new", "sleep", "--", "5000"]), ok("ok"));
    wait_for("the added watcher", || daemon.circusctl(&["status", "new"]) == ok("active"));
    assert_eq!(daemon.circusctl(&["rm", "new", "--waiting"]), ok("ok"));
    assert_eq!(daemon.circusctl(&["numwatchers"]), ok("3"));
}

#[test]
fn listen_survives_a_restart_of_the_daemon() {
    let Some(mut daemon) = Daemon::start("listen_survives_a_restart_of_the_daemon") else { return };
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("circusctl"));
    // The endpoint may be an argument; the variable for the control endpoint must not matter.
    command
        .args(["--json", "listen", &daemon.pubsub, "watcher.web."])
        .env("CIRCUSCTL_ENDPOINT", "tcp://127.0.0.1:1");
    let mut listener = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (sender, events) = std::sync::mpsc::channel();
    let stdout = BufReader::new(listener.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    for round in 0..2 {
        while events.try_recv().is_ok() {}
        wait_for("an event", || {
            assert_eq!(daemon.circusctl(&["reload", "web", "--waiting"]).0, 0);
            events
                .try_iter()
                .any(|line| line.starts_with(r#"{"topic": "watcher.web.reload", "payload": {"time": "#))
        });
        if round == 0 {
            daemon.restart();
        }
    }
    let interrupt = Command::new("kill").args(["-INT", &listener.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    wait_for("its end", || listener.try_wait().unwrap().is_some());
    assert_eq!(listener.wait().unwrap().code(), Some(1));
}

#[test]
fn names_and_pids_are_completed_from_the_daemon() {
    let Some(daemon) = Daemon::start("names_and_pids_are_completed_from_the_daemon") else { return };
    let complete = |words: &str, place: &str| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("circusctl"));
        command.env("AUTO_COMPLETE", "lines").env("COMP_WORDS", words).env("COMP_CWORD", place);
        daemon.run(command, &[]).1
    };
    assert_eq!(complete("circusctl\nstart\nS", "2"), "single\nsleep er\n");
    let pids = daemon.circusctl(&["list", "sleep er"]).1.replace(',', "\n");
    assert_eq!(complete("circusctl\nkill\nsleep er\n", "3"), pids);
    let words = format!("circusctl\n--endpoint\n{}\nstop\nw", daemon.endpoint);
    assert_eq!(complete(&words, "4"), "web\n");
}

#[test]
fn commands_go_through_the_systems_ssh() {
    let Some(daemon) = Daemon::start("commands_go_through_the_systems_ssh") else { return };
    let directory = tempfile::tempdir().unwrap();
    let ssh = directory.path().join("ssh");
    fs::write(&ssh, FAKE_SSH.replace("PYTHON", &daemon.python.display().to_string())).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), env::var("PATH").unwrap());
    let through = |args: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("circusctl"));
        command.env("PATH", &path);
        daemon.run(command, args)
    };
    assert_eq!(
        through(&["--ssh", "joe@host:2222", "--ssh_keyfile", "/k", "list"]),
        daemon.circusctl(&["list"])
    );
    let told = fs::read_to_string(directory.path().join("told")).unwrap();
    let target = daemon.endpoint.trim_start_matches("tcp://");
    assert!(told.starts_with("-i /k -p 2222 -f -S none "), "{told}");
    assert!(told.trim_end().ends_with(&format!(":{target} joe@host sleep 60")), "{told}");
    let (code, stdout, stderr) = through(&["--ssh", "refused", "list"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("Permission denied\ncannot open the tunnel: ssh ended with"), "{stderr}");
}

/// Forwards one port for as long as it is used, as `ssh -f -L` does; notes what it was told.
const FAKE_SSH: &str = r#"#!PYTHON
import os, select, socket, sys
words = sys.argv[1:]
open(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "told"), "w").write(" ".join(words))
if "refused" in words:
    sys.exit("Permission denied")
_, port, host, target = words[words.index("-L") + 1].split(":")
server = socket.create_server(("127.0.0.1", int(port)))
if os.fork():
    os._exit(0)
server.settimeout(20)
near, _ = server.accept()
far = socket.create_connection((host, int(target)))
while True:
    for ready in select.select([near, far], [], [], 20)[0]:
        data = ready.recv(65536)
        if not data:
            os._exit(0)
        (far if ready is near else near).sendall(data)
"#;

#[test]
fn a_terminal_gets_a_shell_with_a_table_and_completion() {
    let Some(daemon) = Daemon::start("a_terminal_gets_a_shell_with_a_table_and_completion") else { return };
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&daemon, &state);
    terminal.wait_for("Web: active", 1);
    terminal.wait_for("(circusctl) ", 1);
    terminal.write("status\r");
    for part in ["NAME", "STATE", "UPTIME"] {
        terminal.wait_for(part, 1);
    }
    // An empty line repeats the command; an unknown one is no end.
    terminal.write("\r");
    terminal.wait_for("UPTIME", 2);
    terminal.write("nope\r");
    terminal.wait_for("*** Unknown syntax: nope", 1);
    // Sent apart: what a TAB leads to must be on the screen before Enter comes.
    terminal.write("list slee\t");
    terminal.wait_for("list 'sleep er'", 1);
    // Ctrl-C while a command runs leads back to the prompt; at the prompt it ends the shell.
    terminal.write(&format!("\u{15}listen {}\r", daemon.pubsub));
    terminal.wait_for("listen", 1);
    wait_for("an event on the screen", || {
        assert_eq!(daemon.circusctl(&["reload", "web", "--waiting"]).0, 0);
        terminal.shown("watcher.web.reload: {") > 0
    });
    let prompts = terminal.shown("(circusctl) ");
    terminal.write("\u{3}");
    terminal.wait_for("(circusctl) ", prompts + 1);
    terminal.write("numwatchers\r");
    // Until the prompt is there Ctrl-C is a signal, to whatever else runs in the terminal as well.
    terminal.wait_for_prompt_after("\n3\r\n");
    terminal.write("\u{3}");
    assert_eq!(terminal.exit_code(), Some(0));
    let history = fs::read_to_string(state.path().join("circus/history")).unwrap();
    assert!(history.contains("status\n"), "{history}");
}
