//! On our circusd with our circusd-stats.

use circus_tests::{
    daemon::{CONTAINED, Daemon, Plan, process, programs::program, skip, wait::wait_until},
    terminal::Terminal,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::output;

const FARM: &str = "[circus]\nstatsd = True\nstats_endpoint = ipc://stats\n\
    [watcher:Web]\ncmd = sleep 1000\nnumprocesses = 2\n\
    [watcher:crash]\ncmd = sh -c \"sleep 0.3; exit 3\"\n\
    [watcher:spare]\ncmd = sleep 1\nautostart = False\n";

/// What circusd says its version is: all programs have the same.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A daemon and the arguments that lead circus-top to it.
fn farm() -> (Daemon, Vec<String>) {
    let daemon = Plan::new(FARM).start();
    daemon.wait_pids("web", 2);
    daemon.wait_pids("circusd-stats", 1);
    let stats = format!("ipc://{}", daemon.path("stats").display());
    let arguments = ["--endpoint".to_owned(), stats, "--control".to_owned(), daemon.endpoint()];
    (daemon, arguments.into())
}

fn top(arguments: &[String], lines: u16, columns: u16) -> Terminal {
    crate::top(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), lines, columns)
}

#[test]
fn an_operator_sees_filters_resizes_changes_and_leaves() {
    let (daemon, arguments) = farm();
    let mut terminal = top(&arguments, 24, 80);
    terminal.wait("the farm", |shown| {
        ["● live", "Web", "2/2", "crash", "spare", "stopped", "circusd "].iter().all(|it| shown.contains(it))
    });
    for pid in daemon.pids("web") {
        terminal.wait_for(&pid.to_string());
    }
    terminal.wait_for("exited with 3");
    terminal.wait("the back-off", |shown| shown.contains("backoff") || shown.contains("flapping"));
    terminal.press("/web\r");
    terminal.wait("only what matches", |shown| shown.contains("filter: web") && !shown.contains("spare "));
    terminal.resize(40, 120);
    terminal.wait("the larger screen", |shown| shown.lines().count() == 40);
    terminal.wait_for(&format!("circusd {VERSION}  up "));
    terminal.press("+");
    terminal.wait_for("one process more for Web?");
    terminal.press("n");
    terminal.wait_for("nothing was done");
    assert_eq!(daemon.pids("web").len(), 2);
    terminal.press("+");
    terminal.wait_for("y = yes");
    terminal.press("y");
    daemon.wait_pids("web", 3);
    terminal.wait_for("3/3");
    terminal.press("d");
    terminal.wait_for("sleep 1000");
    terminal.press("q");
    assert_eq!(terminal.wait_end().code(), Some(0));
    terminal.wait_clean();
}

#[test]
fn what_no_terminal_sends_does_no_harm() {
    let (_daemon, arguments) = farm();
    let mut terminal = top(&arguments, 24, 80);
    terminal.wait_for("Web");
    // Mice at column 0 in three dialects, pieces of sequences, and keys that nobody has.
    for strange in
        ["\x1b[M   ", "\x1b[<0;0;0M", "\x1b[32;0;0M", "\x1b[M", "\x1b[<;;;M", "\x1b[999~", "\x1b[0;0R"]
    {
        terminal.press(strange);
    }
    terminal.press("\x1b[1;1H?");
    terminal.wait_for("any key goes back");
}

#[test]
fn signals_leave_the_terminal_clean() {
    let (_daemon, arguments) = farm();
    for (end, code) in [(Signal::INT, 0), (Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let mut terminal = top(&arguments, 24, 80);
        terminal.wait_for("Web");
        terminal.wait_taken();
        process::signal(terminal.pid(), end);
        assert_eq!(terminal.wait_end().code(), Some(code));
        terminal.wait_clean();
    }
}

#[test]
fn it_stops_and_goes_on_as_a_job_of_the_shell() {
    let (_daemon, arguments) = farm();
    let program = program("circus-top");
    let script = format!(
        "{} {}; echo IN-THE-SHELL; read line; fg > /dev/null; echo LEFT $?",
        program.display(),
        arguments.join(" ")
    );
    let words = ["bash", "-mc", &script].map(Into::into);
    let mut terminal = Terminal::run(&words, 24, 80);
    terminal.wait_for("Web");
    terminal.press("\x1a");
    terminal.wait_for("IN-THE-SHELL");
    terminal.wait_clean();
    terminal.press("\r");
    terminal.wait_for("Web");
    terminal.wait_taken();
    terminal.press("q");
    terminal.wait_for("LEFT 0");
    assert_eq!(terminal.wait_end().code(), Some(0));
    terminal.wait_clean();
}

#[test]
fn without_a_shell_nobody_could_continue_it_so_it_does_not_stop() {
    let (_daemon, arguments) = farm();
    let mut terminal = top(&arguments, 24, 80);
    terminal.wait_for("Web");
    terminal.press("\x1a");
    terminal.press("?");
    terminal.wait_for("any key goes back");
    assert_ne!(process::status(terminal.pid(), "State"), "T (stopped)");
}

#[test]
fn whose_session_began_outside_its_container_has_no_shell_either() {
    let probe = [&CONTAINED[..], &["true"]].concat();
    if !skip::can_run("whose_session_began_outside_its_container_has_no_shell_either", &probe) {
        return;
    }
    let (_daemon, arguments) = farm();
    let mut words: Vec<std::ffi::OsString> = CONTAINED.map(Into::into).into();
    words.push(program("circus-top").into());
    words.extend(arguments.iter().map(Into::into));
    let mut terminal = Terminal::run(&words, 24, 80);
    terminal.wait_for("Web");
    terminal.press("\x1a");
    terminal.press("?");
    terminal.wait_for("any key goes back");
}

#[test]
fn a_lost_daemon_is_said_and_found_again() {
    let (daemon, arguments) = farm();
    let terminal = top(&arguments, 24, 80);
    terminal.wait_for("● live");
    daemon.kill_9();
    // Its circusd-stats lives on and tells what it knows, until the next circusd ends it.
    terminal.wait_for("no control");
    daemon.spawn_again();
    let pids = daemon.wait_pids("web", 2);
    terminal.wait("the new processes", |shown| {
        shown.contains("● live") && pids.iter().all(|pid| shown.contains(&pid.to_string()))
    });
}

#[test]
fn one_frame_for_scripts() {
    let (daemon, arguments) = farm();
    let with = |option: &'static str| {
        let words: Vec<&str> = arguments.iter().map(String::as_str).chain([option]).collect();
        output(&words)
    };
    let (code, text, complaint) = with("--once");
    assert_eq!((code, complaint.as_str()), (0, ""));
    assert!(!text.contains('\x1b'), "{text}");
    let web = text.lines().find(|line| line.starts_with("Web ")).expect("the watcher");
    assert!(web.contains("2/2") && web.ends_with("active"), "{web}");

    let (code, text, _) = with("--json");
    assert_eq!(code, 0);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["hosts"][0]["version"], VERSION);
    let watchers = told["hosts"][0]["watchers"].as_array().unwrap();
    let web = watchers.iter().find(|it| it["name"] == "Web").unwrap();
    let mut pids: Vec<i64> =
        web["processes"].as_array().unwrap().iter().map(|it| it["pid"].as_i64().unwrap()).collect();
    pids.sort_unstable();
    let mut expected: Vec<i64> = daemon.pids("web").into_iter().map(i64::from).collect();
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert_eq!((&web["state"], &web["processes"][0]["command"]), (&"active".into(), &"sleep".into()));
}

#[test]
fn without_data_a_script_gets_exit_code_1() {
    let (code, _, complaint) =
        output(&["--once", "--endpoint", "ipc:///nonexistent/stats", "--process-timeout", "0.1"]);
    assert_eq!((code, complaint.as_str()), (1, "circus-top: no data from ipc:///nonexistent/stats\n"));
}

#[test]
fn a_terminal_that_can_only_print_gets_plain_frames() {
    let (_daemon, arguments) = farm();
    let mut words: Vec<std::ffi::OsString> = vec!["env".into(), "TERM=dumb".into()];
    words.push(program("circus-top").into());
    words.extend(arguments.iter().map(Into::into));
    let mut terminal = Terminal::run(&words, 50, 120);
    terminal.wait_said("WATCHER");
    wait_until("a second frame", || terminal.said("WATCHER") > 1);
    assert_eq!(terminal.said("\x1b"), 0);
    process::signal(terminal.pid(), Signal::INT);
    assert_eq!(terminal.wait_end().code(), Some(0));
}
