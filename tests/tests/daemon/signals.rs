//! The commands `kill` and `signal`, and signals to circusd itself.

use std::time::{Duration, Instant};

use circus_tests::daemon::{Daemon, SLACK, process, wait};
use rustix::process::Signal;
use serde_json::json;

use crate::hooks::{has_python, prepared};

/// A shell with a child that has a child; each writes its letter when it gets USR1.
fn family() -> Daemon {
    let tell = |letter: &str| format!("trap 'echo {letter} >> told' USR1");
    let script = format!(
        "{}; ( {}; ( {}; echo up > up; while :; do sleep 0.02; done ) & while :; do sleep 0.02; done ) & while :; do sleep 0.02; done",
        tell("p"),
        tell("c"),
        tell("g")
    );
    let daemon =
        Daemon::start(&format!("[watcher:web]\ncmd = {script}\nshell = True\ngraceful_timeout = 1\n"));
    daemon.wait_file("up");
    daemon
}

fn told(daemon: &Daemon, letters: &str) {
    daemon.wait_until(&format!("`{letters}` to be told"), |daemon| {
        let text = std::fs::read_to_string(daemon.path("told")).unwrap_or_default();
        let mut told: Vec<&str> = text.lines().collect();
        told.sort_unstable();
        told.concat() == letters
    });
}

/// The child of the family's shell that has children itself.
fn child(daemon: &Daemon) -> i32 {
    let shell = daemon.the_pid("web");
    daemon.wait_for("the child", |_| {
        let all = process::descendants(shell);
        let is_parent = |pid: i32| {
            all.iter().any(|stat| stat.parent == pid && process::argv(stat.pid)[..1] == ["/bin/sh"])
        };
        all.iter().find(|stat| stat.parent == shell && is_parent(stat.pid)).map(|stat| stat.pid)
    })
}

#[test]
fn a_signal_goes_to_the_process_alone() {
    let daemon = family();
    let events = daemon.events();
    daemon.ok("signal", json!({"name": "web", "signum": "usr1"}));
    told(&daemon, "p");
    daemon.ok("signal", json!({"name": "web", "signum": 10, "pid": daemon.the_pid("web")}));
    told(&daemon, "pp");
    assert_eq!(events.words("web"), "", "no event tells of it");
}

#[test]
fn a_signal_to_children_goes_to_the_direct_ones_only() {
    let daemon = family();
    daemon.ok(
        "signal",
        json!({"name": "web", "signum": "USR1", "children": true, "pid": daemon.the_pid("web")}),
    );
    told(&daemon, "c");
}

#[test]
fn a_signal_to_one_child_must_be_to_a_direct_one() {
    let daemon = family();
    let (pid, child) = (daemon.the_pid("web"), child(&daemon));
    daemon.ok("signal", json!({"name": "web", "signum": "SIGUSR1", "pid": pid, "childpid": child}));
    told(&daemon, "c");
    let grandchild = process::descendants(child)[0].pid;
    let refusal =
        daemon.refused("signal", json!({"name": "web", "signum": 10, "pid": pid, "childpid": grandchild}));
    assert_eq!(refusal.0, 5);
    assert!(refusal.1.contains("process no longer exists"), "{}", refusal.1);
    let (number, reason) = daemon.refused("signal", json!({"name": "web", "signum": 10, "childpid": child}));
    assert!(number == 5 && reason.contains("cannot specify childpid without pid"), "{reason}");
}

#[test]
fn a_recursive_signal_goes_to_all_of_them() {
    let daemon = family();
    daemon.ok("signal", json!({"name": "web", "signum": "USR1", "recursive": true}));
    told(&daemon, "cgp");
}

#[test]
fn a_signal_that_ends_a_process_is_a_crash() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    let events = daemon.events();
    let pid = daemon.wait_pids("web", 1)[0];
    daemon.ok("signal", json!({"name": "web", "signum": "TERM"}));
    daemon.wait_other("web", pid);
    events.wait_story("web", "reap(1,-15) spawn(2)");
    assert_eq!(events.of("web")[0].members["expected"], json!(false));
    assert_eq!(daemon.refused("signal", json!({"name": "web", "signum": 4000})).0, 4);
    daemon.ok("signal", json!({"name": "web", "signum": 0}));
    daemon.ok("signal", json!({"name": "web", "signum": "TERM", "pid": 1}));
    assert!(process::lives(1));
}

#[test]
fn kill_ends_and_replaces() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\n");
    let events = daemon.events();
    let old = daemon.wait_pids("web", 2);
    daemon.ok("kill", json!({"name": "web", "pid": old[0], "waiting": true}));
    daemon.wait_until("the other one to stay", |daemon| {
        let now = daemon.pids("web");
        now.len() == 2 && now.contains(&old[1]) && !now.contains(&old[0])
    });
    events.wait_story("web", "kill(1) reap(1,-15) spawn(2)");
    assert_eq!(events.of("web")[1].members["expected"], json!(true));
    events.clear();
    daemon.ok("kill", json!({"name": "web", "signum": "USR2", "waiting": true}));
    events.wait_count("web", "spawn", 2);
    assert!(events.story("web").contains(",-12)"), "{}", events.story("web"));
    assert_eq!(daemon.refused("kill", json!({"name": "zz"})), (3, "program zz not found".to_owned()));
}

#[test]
fn kill_with_a_grace_of_its_own_is_sigkill_when_it_is_over() {
    let daemon = Daemon::start(
        "[watcher:hard]\ncmd = sh -c \"trap '' TERM; echo up >> up; while :; do sleep 1000; done\"\ngraceful_timeout = 1000\n",
    );
    let events = daemon.events();
    daemon.wait_file("up");
    let before = Instant::now();
    // Text, as Python's circusctl sends it.
    daemon.ok("kill", json!({"name": "hard", "graceful_timeout": "0.5", "waiting": true}));
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(500) && took < SLACK, "{took:?}");
    events.wait_count("hard", "spawn", 1);
    assert!(events.story("hard").contains("reap(1,-9)"), "{}", events.story("hard"));
    daemon.set("hard", "graceful_timeout", json!(0));
}

const TWO: &str = "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 2\n[watcher:b]\ncmd = sleep 1000\n";

#[test]
fn hup_reloads_what_is_up() {
    let daemon = Daemon::start(&format!("{TWO}[watcher:down]\ncmd = sleep 1000\nautostart = False\n"));
    let old = [daemon.wait_pids("a", 2), daemon.wait_pids("b", 1)].concat();
    let events = daemon.events();
    daemon.signal(Signal::HUP);
    events.wait_count("a", "reload", 1);
    events.wait_count("b", "reload", 1);
    assert!([daemon.pids("a"), daemon.pids("b")].concat().iter().all(|pid| !old.contains(pid)));
    assert_eq!(daemon.status("down"), "stopped");
    assert!(daemon.log().contains("Got signal SIG_HUP"));
}

#[test]
fn int_term_and_quit_end_everything_with_success() {
    for (signal, name) in [(Signal::INT, "SIG_INT"), (Signal::TERM, "SIG_TERM"), (Signal::QUIT, "SIG_QUIT")] {
        let daemon = Daemon::start(TWO);
        let pids = [daemon.wait_pids("a", 2), daemon.wait_pids("b", 1)].concat();
        daemon.signal(signal);
        assert!(daemon.wait_end().success());
        assert!(pids.iter().all(|pid| !process::lives(*pid)));
        let log = daemon.log();
        assert!(log.contains(&format!("Got signal {name}")) && log.contains("Arbiter exiting"), "{log}");
        assert!(!daemon.path("control").exists(), "the socket file is gone");
    }
}

#[test]
fn a_signal_while_everything_is_starting_ends_it_too() {
    let daemon = Daemon::start("[watcher:slow]\ncmd = sleep 1000\nnumprocesses = 5\nwarmup_delay = 60\n");
    let before = Instant::now();
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_end().success());
    assert!(before.elapsed() < SLACK);
}

const STUBBORN: &str = "[watcher:hard]\ncmd = sh -c \"trap '' TERM; echo up >> up; while :; do sleep 1000; done\"\ngraceful_timeout = 1000\n";

#[test]
fn a_second_term_takes_away_the_grace() {
    let daemon = Daemon::start(STUBBORN);
    daemon.wait_file("up");
    daemon.signal(Signal::TERM);
    daemon.wait_status("hard", "stopping");
    let before = Instant::now();
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_end().success());
    assert!(before.elapsed() < SLACK);
}

#[test]
fn what_still_waits_at_a_quit_is_refused_and_reading_is_not() {
    let daemon = Daemon::start(STUBBORN);
    daemon.wait_file("up");
    let stop = daemon.ask("stop", json!({"name": "hard", "waiting": true}));
    daemon.wait_status("hard", "stopping");
    daemon.ok("quit", json!({}));
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["hard"]));
    let (number, reason) = daemon.refused("start", json!({"name": "hard"}));
    assert_eq!((number, reason.as_str()), (5, "arbiter is stopping..."));
    assert_eq!(stop.answer()["errno"], 5);
    let quit = daemon.ask("quit", json!({"waiting": true}));
    daemon.ok("kill", json!({"name": "hard", "signum": "WINCH", "graceful_timeout": 1000}));
    daemon.ok("signal", json!({"name": "hard", "signum": "KILL", "recursive": true}));
    wait::wait_until("the end", || daemon.has_ended());
    assert_eq!(quit.answer()["status"], "ok");
}

#[test]
fn quit_waiting_leaves_no_process_at_all() {
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1000; done' & \
                  setsid sh -c '(setsid sleep 1001 &) ; exit' ; (sleep 1002 &); echo up > up; \
                  while :; do sleep 1000; done";
    let daemon =
        Daemon::start(&format!("[watcher:wild]\ncmd = {script}\nshell = True\ngraceful_timeout = 0.5\n"));
    daemon.wait_file("up");
    wait::wait_until("all of them", || process::living_descendants(daemon.pid()).len() >= 6);
    let all = process::living_descendants(daemon.pid());
    let reply = daemon.ctl(&["quit", "--waiting"]);
    let left: Vec<Vec<String>> =
        all.iter().filter(|pid| process::lives(**pid)).map(|pid| process::argv(*pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!((reply.status.code(), String::from_utf8_lossy(&reply.stdout).as_ref()), (Some(0), "ok\n"));
    assert!(daemon.wait_end().success());
}

#[test]
fn a_signal_ends_circusd_also_while_it_waits_for_a_module() {
    if !has_python("a_signal_ends_circusd_also_while_it_waits_for_a_module") {
        return;
    }
    let daemon = prepared(
        "[watcher:web]\ncmd = touch started\nhooks.before_start = endless.hook\n[watcher:other]\ncmd = touch started\n",
    );
    let module = "import time\nopen('importing', 'w').write('yes\\n')\ntime.sleep(1000)\n";
    std::fs::write(daemon.path("endless.py"), module).unwrap();
    daemon.spawn();
    daemon.wait_file("importing");
    daemon.signal(Signal::TERM);
    let before = Instant::now();
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert!(before.elapsed() < SLACK, "{:?}", before.elapsed());
    assert!(!daemon.path("started").exists(), "nothing is begun that is to end");
}
