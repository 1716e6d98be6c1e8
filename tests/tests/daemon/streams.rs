//! Output streams through real files and processes.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use circus_tests::daemon::{Daemon, Plan, process, skip};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Prints so many numbered lines, then sleeps.
fn counting(lines: u32) -> String {
    format!("/bin/sh -c 'i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; done; exec sleep 1000'")
}

/// All of `line 1` to `line N`, in order and whole.
fn counted(lines: u32) -> String {
    (1..=lines).map(|number| format!("line {number}\n")).collect()
}

fn text(daemon: &Daemon, name: &str) -> String {
    fs::read_to_string(daemon.path(name)).unwrap_or_default()
}

fn wait_text(daemon: &Daemon, name: &str, expected: &str) {
    daemon.wait_until(&format!("{name} to be whole"), |daemon| text(daemon, name) == expected);
}

/// The last lines of a watcher as `logs` tells them.
fn logged(daemon: &Daemon, properties: Value) -> Vec<String> {
    let reply = daemon.ok("logs", properties);
    let lines = reply["lines"].as_array().unwrap().iter();
    lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn both_outputs_go_to_files_of_their_own() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'echo out; echo err >&2; exec sleep 1000'\n\
         stdout_stream.filename = out\nstderr_stream.class = circus.stream.FileStream\nstderr_stream.filename = err\n",
    );
    wait_text(&daemon, "out", "out\n");
    wait_text(&daemon, "err", "err\n");
    let fds = process::descriptors(daemon.wait_pids("web", 1)[0]);
    assert!(fds[&1].starts_with("pipe:") && fds[&2].starts_with("pipe:") && fds.len() == 3, "{fds:?}");
    assert_eq!(daemon.option("web", "stderr_stream_conf"), json!({"filename": "err"}));
}

#[test]
fn a_file_is_rolled_over_and_no_line_is_lost() {
    let daemon = Daemon::start(&format!(
        "[watcher:web]\ncmd = {}\nstdout_stream.filename = web.log\nstdout_stream.max_bytes = 1000\nstdout_stream.backup_count = 50\n",
        counting(1000)
    ));
    let whole = |daemon: &Daemon| -> String {
        let numbers = (1..=50).rev().map(|number| text(daemon, &format!("web.log.{number}")));
        numbers.collect::<String>() + &text(daemon, "web.log")
    };
    daemon.wait_until("all lines", |daemon| whole(daemon) == counted(1000));
    assert!(fs::metadata(daemon.path("web.log.1")).unwrap().len() <= 1000);
}

#[test]
fn a_watched_file_that_is_moved_away_is_made_anew() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'while :; do echo tick; sleep 0.05; done'\nstop_children = True\n\
         stdout_stream.class = WatchedFileStream\nstdout_stream.filename = web.log\n",
    );
    daemon.wait_until("a line", |daemon| text(daemon, "web.log").contains("tick\n"));
    fs::rename(daemon.path("web.log"), daemon.path("moved")).unwrap();
    daemon.wait_until("a new file", |daemon| text(daemon, "web.log").contains("tick\n"));
}

#[test]
fn a_timed_file_is_put_away_every_second() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'while :; do echo tick; sleep 0.1; done'\nstop_children = True\n\
         stdout_stream.class = TimedRotatingFileStream\nstdout_stream.filename = web.log\nstdout_stream.rotate_when = s\n\
         stdout_stream.backup_count = 2\n",
    );
    let rotated = |daemon: &Daemon| {
        let names = fs::read_dir(daemon.dir()).unwrap().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().starts_with("web.log.2")).count()
    };
    daemon.wait_until("two old files", |daemon| rotated(daemon) == 2);
}

#[test]
fn standard_output_is_circusds_own_plain_or_fancy() {
    let daemon = Daemon::start(
        "[watcher:plain]\ncmd = /bin/sh -c 'echo plain; exec sleep 1000'\nstdout_stream.class = StdoutStream\n\
         [watcher:fancy]\ncmd = /bin/sh -c 'echo fancy; exec sleep 1000'\nstdout_stream.class = FancyStdoutStream\n\
         stdout_stream.color = green\nstdout_stream.time_format = T\n",
    );
    let pid = daemon.wait_pids("fancy", 1)[0];
    daemon.wait_until("both lines", |daemon| {
        let output = text(daemon, "output");
        output.contains("plain\n") && output.contains(&format!("\u{1b}[0;32;40mT [{pid}] | fancy\u{1b}[0m\n"))
    });
}

#[test]
fn close_child_stdout_wins_over_a_stream() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nclose_child_stdout = True\nstdout_stream.filename = web.log\n",
    );
    assert_eq!(process::descriptors(daemon.wait_pids("web", 1)[0])[&1], "/dev/null");
    let (number, reason) = daemon.refused("logs", json!({"name": "web"}));
    assert!(number == 3 && reason.contains("`close_child_stdout`"), "{number} {reason}");
}

#[test]
fn what_a_process_prints_last_arrives_however_it_ends() {
    let daemon = Daemon::start(
        "[watcher:quick]\ncmd = /bin/sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done'\n\
         respawn = False\nstdout_stream.filename = quick\n\
         [watcher:slow]\ncmd = /bin/sh -c 'trap \"echo bye; exit 0\" TERM; echo up; while :; do sleep 0.05; done'\n\
         stdout_stream.filename = slow\n",
    );
    wait_text(&daemon, "quick", &counted(3000));
    wait_text(&daemon, "slow", "up\n");
    daemon.done("reload", "slow");
    daemon.wait_until("the old one's last words, and the new one's first", |daemon| {
        let text = text(daemon, "slow");
        text.matches("bye\n").count() == 1 && text.matches("up\n").count() == 2
    });
    daemon.ok("quit", json!({"waiting": true}));
    daemon.wait_end();
    assert_eq!(text(&daemon, "slow").matches("bye\n").count(), 2);
}

#[test]
fn set_swaps_a_stream_while_the_process_runs() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'while :; do echo tick; sleep 0.05; done'\nstop_children = True\n\
         stdout_stream.class = FileStream\nstdout_stream.filename = one\n",
    );
    let pid = daemon.wait_pids("web", 1)[0];
    daemon.wait_until("a line", |daemon| !text(daemon, "one").is_empty());
    daemon.set("web", "stdout_stream.filename", json!("two"));
    daemon.wait_until("a line elsewhere", |daemon| !text(daemon, "two").is_empty());
    assert_eq!(daemon.pids("web"), [pid]);
    // What belongs together may be set together.
    daemon.ok(
        "set",
        json!({"name": "web", "waiting": true, "options": {"stdout_stream.class": "TimedRotatingFileStream",
               "stdout_stream.rotate_when": "D", "stdout_stream.filename": "three"}}),
    );
    daemon.wait_until("a line in a third file", |daemon| !text(daemon, "three").is_empty());
    // Or as one object, which is then all that is known of the stream.
    daemon.set("web", "stdout_stream", json!({"class": "FileStream", "filename": "four"}));
    daemon.wait_until("a line in a fourth file", |daemon| !text(daemon, "four").is_empty());
    assert_eq!(daemon.option("web", "stdout_stream_conf"), json!({"filename": "four"}));
    assert_eq!(daemon.pids("web"), [pid]);
}

#[test]
fn a_first_stream_replaces_the_processes() {
    let daemon = Daemon::start("[watcher:web]\ncmd = /bin/sh -c 'echo here; exec sleep 1000'\n");
    let pid = daemon.wait_pids("web", 1)[0];
    daemon.set("web", "stdout_stream.filename", json!("web.log"));
    assert_ne!(daemon.pids("web"), [pid]);
    wait_text(&daemon, "web.log", "here\n");
}

#[test]
fn a_stream_that_cannot_be_had_is_refused_and_changes_nothing() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    let pid = daemon.wait_pids("web", 1)[0];
    for (options, errno, part) in [
        (json!({"stdout_stream.class": "Nope"}), 5, "'Nope'"),
        (json!({"stdout_stream": {"class": "Nope"}}), 5, "'Nope'"),
        (json!({"stdout_stream.max_bytes": 5}), 5, "stream configuration invalid"),
        (json!({"stdout_stream.filename": "/nonexistent/log"}), 4, "/nonexistent"),
        (json!({"stdout_stream.class": "no_such_module.Class"}), 5, "No module named 'no_such_module'"),
    ] {
        for waiting in [true, false] {
            let set = json!({"name": "web", "options": options, "waiting": waiting});
            let (number, reason) = daemon.refused("set", set);
            assert!(number == errno && reason.contains(part), "{options}: {number} {reason}");
        }
        let (number, reason) = daemon
            .refused("add", json!({"name": "new", "cmd": "sleep 1", "start": true, "options": options}));
        assert!(number == errno && reason.contains(part), "{options}: {number} {reason}");
    }
    assert_eq!(daemon.option("web", "stdout_stream_conf"), json!({}));
    assert_eq!(
        (daemon.pids("web"), daemon.ok("list", json!({}))["watchers"].clone()),
        (vec![pid], json!(["web"]))
    );
}

#[test]
fn streams_are_added_as_object_or_by_single_keys() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    let cmd = "/bin/sh -c 'echo hello; exec sleep 1000'";
    for (name, options) in [
        ("object", json!({"stdout_stream": {"class": "FileStream", "filename": "object"}})),
        ("keys", json!({"stdout_stream.class": "FileStream", "stdout_stream.filename": "keys"})),
    ] {
        daemon
            .ok("add", json!({"name": name, "cmd": cmd, "start": true, "waiting": true, "options": options}));
        wait_text(&daemon, name, "hello\n");
    }
    daemon.ok("rm", json!({"name": "keys", "waiting": true}));
    assert_eq!(text(&daemon, "keys"), "hello\n");
}

#[test]
fn a_link_that_root_does_not_follow_is_refused_before_anything_is_written() {
    if !skip::is_root("a_link_that_root_does_not_follow_is_refused_before_anything_is_written") {
        return;
    }
    let daemon = Plan::new(
        "[watcher:web]\ncmd = sh -c 'while :; do echo x; sleep 0.01; done'\nstop_children = True\n\
                   stdout_stream.filename = web.log\n",
    )
    .start();
    // Anybody may put a link there, as into /tmp.
    fs::create_dir(daemon.path("open")).unwrap();
    rustix::fs::chmod(daemon.path("open"), 0o1777.into()).unwrap();
    std::os::unix::fs::symlink(daemon.path("precious"), daemon.path("open/log")).unwrap();
    let options = json!({"stdout_stream.filename": "open/log"});
    let (_, reason) = daemon.refused("set", json!({"name": "web", "waiting": true, "options": options}));
    assert!(reason.contains("is a symbolic link that root does not follow"), "{reason}");
    let before = text(&daemon, "web.log").len();
    daemon.wait_until("the old stream to go on", |daemon| text(daemon, "web.log").len() > before);
    let other =
        "[watcher:web]\ncmd = sleep 1\n[watcher:other]\ncmd = sleep 1\nstdout_stream.filename = open/log\n";
    daemon.rewrite(other);
    let (number, reason) = daemon.refused("reloadconfig", json!({"waiting": true}));
    assert!(
        number == 6 && reason.contains("circus.ini:5: [watcher:other] stdout_stream: cannot write"),
        "{reason}"
    );
    let checked = daemon.command().arg("--check").stdout(Stdio::piped()).output().unwrap();
    let output = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && output.contains("that root does not follow"), "{output}");
    assert!(!daemon.path("precious").exists());
}

#[test]
fn a_broken_stream_is_left_out_at_a_start_and_refuses_a_reload() {
    let good = "[watcher:good]\ncmd = sleep 1000\n";
    let broken = "[watcher:broken]\ncmd = sleep 1000\nstdout_stream.filename = /nonexistent/log\n";
    let daemon = Plan::new(&format!("{good}{broken}")).start();
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["good"]));
    let line = "circus.ini:5: [watcher:broken] stdout_stream: cannot create files in `/nonexistent`";
    daemon.wait_log(line);
    let checked = daemon.command().arg("--check").stdout(Stdio::piped()).output().unwrap();
    let output = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && output.contains(line), "{output}");
    let pid = daemon.wait_pids("good", 1)[0];
    daemon.rewrite(&format!("{}{broken}", good.replace("1000", "2000")));
    let (number, reason) = daemon.refused("reloadconfig", json!({"waiting": true}));
    assert!(number == 6 && reason.contains(line), "{number} {reason}");
    assert_eq!(daemon.pids("good"), [pid]);
    daemon.rewrite(
        &good.replace(
            "sleep 1000",
            "/bin/sh -c \"echo new; exec sleep 1000\"\nstdout_stream.filename = web.log",
        ),
    );
    daemon.ok("reloadconfig", json!({"waiting": true}));
    wait_text(&daemon, "web.log", "new\n");
}

#[test]
fn a_flood_of_output_leaves_the_daemon_at_hand() {
    let daemon = Daemon::start(
        "[watcher:flood]\ncmd = /bin/sh -c 'while :; do echo 0123456789012345678901234567890123456789; done'\n\
         numprocesses = 3\nstdout_stream.filename = web.log\nstdout_stream.max_bytes = 1M\n",
    );
    daemon.wait_pids("flood", 3);
    daemon.wait_until("much output", |daemon| text(daemon, "web.log").len() > 100_000);
    for _ in 0..50 {
        assert_eq!(daemon.pids("flood").len(), 3);
    }
}

#[test]
fn crashes_with_streams_leave_no_descriptor_behind() {
    let daemon = Daemon::start(
        "[circus]\ncheck_delay = 0.01\n\
         [watcher:crash]\ncmd = /bin/sh -c 'echo out; echo err >&2; exit 1'\nautostart = False\nrespawn_healthy = 0\n\
         stdout_stream.filename = out\nstderr_stream.class = QueueStream\n",
    );
    daemon.done("start", "crash");
    daemon.done("stop", "crash");
    let before = process::descriptors(daemon.pid()).len();
    fs::remove_file(daemon.path("out")).unwrap();
    daemon.ok("start", json!({"name": "crash"}));
    daemon.wait_until("200 crashes", |daemon| {
        daemon.ok("why", json!({"name": "crash"}))["restarts"]
            .as_u64()
            .is_some_and(|restarts| restarts >= 200)
    });
    daemon.done("stop", "crash");
    daemon.wait_until("the descriptors to be as many as before", |daemon| {
        process::descriptors(daemon.pid()).len() <= before
    });
}

#[test]
fn the_last_lines_are_remembered_and_awaited() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'echo one; echo two >&2; read x; echo three; exec sleep 1000'\n\
         close_child_stdin = True\nautostart = False\n\
         stdout_stream.class = QueueStream\nstderr_stream.class = QueueStream\n[watcher:none]\ncmd = sleep 1000\n",
    );
    let waiting = daemon.ask("logs", json!({"name": "web", "after": 0, "wait": 30}));
    daemon.done("start", "web");
    let reply = waiting.answer();
    assert_eq!(reply["lines"][0]["text"], "one");
    daemon.wait_until("both lines", |daemon| logged(daemon, json!({"name": "web"})).len() >= 2);
    assert_eq!(logged(&daemon, json!({"name": "web", "stream": "stderr"})), ["two"]);
    let (number, reason) = daemon.refused("logs", json!({"name": "none"}));
    assert!(number == 3 && reason.contains("`stdout_stream.class`"), "{number} {reason}");
    let (number, reason) = daemon.refused("logs", json!({"name": "nobody"}));
    assert_eq!((number, reason.as_str()), (3, "program nobody not found"));
}

#[test]
fn why_tells_the_last_words_of_a_process() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = /bin/sh -c 'echo it is broken >&2; exit 7'\nmax_retry = 1\nrespawn = False\n\
         stderr_stream.class = QueueStream\n",
    );
    daemon.wait_status("web", "stopped");
    daemon.wait_until("the last words", |daemon| {
        daemon.ok("why", json!({"name": "web"}))["slots"]["1"][0]["stderr"] == json!(["it is broken"])
    });
    let shown = String::from_utf8_lossy(&daemon.ctl(&["why", "web"]).stdout).into_owned();
    assert!(shown.contains("on stderr:\n  it is broken\n"), "{shown}");
}

#[test]
fn a_file_that_cannot_be_written_any_more_holds_nothing_else_up() {
    let daemon = Daemon::start(&format!(
        "[watcher:web]\ncmd = {}\nstdout_stream.filename = logs/log\nautostart = False\n[watcher:other]\ncmd = sleep 1000\n",
        counting(10)
    ));
    // Its section was left out, since there is no such folder: it is added when there is one.
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["other"]));
    fs::create_dir(daemon.path("logs")).unwrap();
    fs::set_permissions(daemon.path("logs"), fs::Permissions::from_mode(0o755)).unwrap();
    daemon.ok("reloadconfig", json!({"waiting": true}));
    daemon.done("start", "web");
    wait_text(&daemon, "logs/log", &counted(10));
    daemon.signal(Signal::HUP);
    daemon.wait_until("a reload", |daemon| text(daemon, "logs/log") == counted(10).repeat(2));
}
