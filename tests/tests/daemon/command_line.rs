//! circusd's own life: background, pid file, --check, what keeps it from starting, its log.

use std::{fs, process::Output};

use circus_tests::daemon::{Daemon, Plan, process};
use serde_json::json;

const WEB: &str = "[watcher:web]\ncmd = sleep 1000\n";

/// Runs circusd to its end, with standard output and error of its own.
fn run(daemon: &Daemon) -> Output {
    daemon
        .command()
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_parent_of_a_background_daemon_returns_when_it_can_be_talked_to() {
    let daemon =
        Plan::new(WEB).arguments(&["--daemon", "--pidfile", "pid", "--log-output", "daemon.log"]).prepare();
    let output = run(&daemon);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(daemon.path("control").exists(), "it is bound");
    assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], 1);
    let pid: i32 = daemon.wait_file("pid").trim().parse().unwrap();
    assert!(process::lives(pid));
    let descriptors = process::descriptors(pid);
    assert!((0..=2).all(|fd| descriptors[&fd] == "/dev/null"), "{descriptors:?}");
    assert_eq!(process::directory(pid), fs::canonicalize(daemon.dir()).unwrap());
    daemon.ok("quit", json!({"waiting": true}));
    daemon.wait_until("its end", |_| !process::lives(pid));
    assert!(!daemon.path("pid").exists());
    assert!(fs::read_to_string(daemon.path("daemon.log")).unwrap().contains("Arbiter exiting"));
}

#[test]
fn the_parent_of_a_background_daemon_tells_why_it_could_not_start() {
    let first = Daemon::start(WEB);
    let second = Plan::new(&format!("[circus]\nendpoint = {}\n{WEB}", first.endpoint()))
        .arguments(&["--daemon"])
        .prepare();
    let output = run(&second);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("control"), "{output:?}");
}

#[test]
fn an_occupied_endpoint_is_an_error_and_its_owner_is_not_disturbed() {
    let first = Daemon::start(WEB);
    let pid = first.wait_pids("web", 1);
    for endpoint in [first.endpoint(), {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", taken.local_addr().unwrap());
        std::mem::forget(taken);
        address
    }] {
        let second = Plan::new(&format!("[circus]\nendpoint = {endpoint}\n{WEB}")).prepare();
        let output = run(&second);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(endpoint.trim_start_matches("ipc://")), "{output:?}");
    }
    assert_eq!(first.pids("web"), pid);
}

#[test]
fn a_second_daemon_on_the_same_state_ends_with_a_message() {
    let daemon = Daemon::start(WEB);
    let pid = daemon.wait_pids("web", 1);
    let output = run(&daemon);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!text(&output.stderr).is_empty());
    assert_eq!(daemon.pids("web"), pid);
}

#[test]
fn a_pid_file_of_a_living_process_keeps_a_daemon_from_starting() {
    let daemon = Plan::new(&format!("[circus]\npidfile = pid\n{WEB}")).prepare();
    fs::write(daemon.path("pid"), format!("{}\n", std::process::id())).unwrap();
    let output = run(&daemon);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for stale in ["", "rubbish\n", "999999999\n"] {
        fs::write(daemon.path("pid"), stale).unwrap();
        daemon.spawn_again();
        assert_eq!(daemon.wait_file("pid"), format!("{}\n", daemon.pid()));
        daemon.ok("quit", json!({"waiting": true}));
        daemon.wait_end();
        assert!(!daemon.path("pid").exists());
    }
}

#[test]
fn an_error_that_cannot_be_written_is_an_exit_code_all_the_same() {
    let bad = Plan::new("[watcher:a]\ncmd = x\nnumprocesses = two\n").prepare();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let status = bad.command().stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_directory_that_is_gone_keeps_a_daemon_from_starting() {
    let daemon = Plan::new(WEB).prepare();
    let circusd = daemon.command();
    fs::create_dir(daemon.path("gone")).unwrap();
    let leave = r#"rmdir "$PWD" && exec "$@""#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", leave, "sh"]).arg(circusd.get_program()).args(circusd.get_args());
    command.envs(circusd.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir(daemon.path("gone")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("the directory it is started in is gone"), "{output:?}");
}

#[test]
fn check_says_whether_the_file_is_good_and_what_would_start() {
    let good = Plan::new("[watcher:low]\ncmd = sleep 1\n[watcher:high]\ncmd = sleep 2\npriority = 5\n")
        .arguments(&["--check"])
        .prepare();
    let output = run(&good);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(report.find("high") < report.find("low"), "{report}");
    let bad = Plan::new(
        "[watcher:a]\ncmd = x\nnumprocesses = two\n[watcher:b]\ncmd = y\nstop_signal = NOPE\nrespwan = no\n",
    )
    .arguments(&["--check"])
    .prepare();
    let output = run(&bad);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = text(&output.stdout);
    for part in ["circus.ini:3: [watcher:a] numprocesses", "circus.ini:6: [watcher:b] stop_signal", "respawn"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
    // The same file keeps circusd from starting, and all of its mistakes are told.
    let output = bad.command().arg("--version").output().unwrap();
    assert!(output.status.success());
}

#[test]
fn a_bad_file_keeps_circusd_from_starting_and_tells_all_mistakes() {
    let daemon =
        Plan::new("[watcher:a]\ncmd = x\nnumprocesses = two\n[watcher:b]\ncmd = y\nstop_signal = NOPE\n")
            .prepare();
    let output = run(&daemon);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("circus.ini:3: ") && told.contains("circus.ini:6: "), "{told}");
    fs::remove_file(daemon.config()).unwrap();
    let output = run(&daemon);
    assert_eq!(
        (output.status.code(), text(&output.stderr).contains("does not exist")),
        (Some(1), true),
        "{output:?}"
    );
}

#[test]
fn a_log_file_that_was_moved_is_opened_again() {
    let daemon = Daemon::start(&format!("[circus]\nlogoutput = own.log\n{WEB}"));
    daemon.wait_pids("web", 1);
    fs::rename(daemon.path("own.log"), daemon.path("own.log.1")).unwrap();
    daemon.wait_until("the log to be where it belongs", |daemon| {
        daemon.done("restart", "web");
        fs::read_to_string(daemon.path("own.log")).is_ok_and(|text| text.contains("web"))
    });
    assert!(fs::read_to_string(daemon.path("own.log.1")).unwrap().contains("Starting master on pid"));
}

#[test]
fn ipc_sockets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = Daemon::start(WEB);
    for socket in ["control", "events"] {
        assert_eq!(
            fs::metadata(daemon.path(socket)).unwrap().permissions().mode() & 0o777,
            0o600,
            "{socket}"
        );
    }
}

#[test]
fn a_tcp_endpoint_open_to_the_network_must_be_allowed() {
    let daemon = Plan::new(&format!("[circus]\nendpoint = tcp://0.0.0.0:0\n{WEB}")).prepare();
    let output = run(&daemon);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("allow_remote"), "{output:?}");
}
