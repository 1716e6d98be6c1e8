//! The shipped configurations, run as they are.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use circus_tests::daemon::{Daemon, Plan, process, programs, skip};
use serde_json::json;

fn shipped(file: &str) -> String {
    fs::read_to_string(programs::workspace().join("conf").join(file)).unwrap()
}

/// Ports are changed so that the tests of two checkouts do not meet.
fn with_free_port(text: &str, port: &str) -> (String, u16) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (text.replace(port, &free.to_string()), free)
}

#[test]
fn the_demo_shows_processes_that_come_back() {
    let daemon = Daemon::start(&shipped("demo.ini"));
    let sleepers = daemon.wait_pids("sleepers", 3);
    daemon.wait_pids("followers", 2);
    daemon.wait_pids("clock", 1);
    daemon.wait_status("crasher", "active");
    assert_eq!(daemon.status("spare"), "stopped");
    process::kill(sleepers[1]);
    daemon.wait_until("a new sleeper", |daemon| {
        let now = daemon.pids("sleepers");
        now.len() == 3 && !now.contains(&sleepers[1])
    });
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}

#[test]
fn the_crashing_job_is_held_back_and_the_other_done() {
    let daemon = Daemon::start(&shipped("examples/crashing-job.ini"));
    daemon.wait_status("one-shot", "stopped");
    let why = daemon.ok("why", json!({"name": "crashing-job"}));
    assert_eq!(why["slots"]["1"][0]["exit_code"], 3, "{why:?}");
    assert_eq!(daemon.status("crashing-job"), "active");
}

#[test]
fn workers_with_a_port_each_serve_from_all_of_them() {
    if !skip::can_run("workers_with_a_port_each_serve_from_all_of_them", &["python3", "--version"]) {
        return;
    }
    let (text, port) = with_free_port(&shipped("examples/ports.ini").replace("8101", "8100 + 1"), "8100");
    // A worker's port is the number plus its slot; the visitor is not needed here.
    let daemon = Daemon::start(text.split("# One page a second").next().unwrap());
    daemon.wait_pids("web", 3);
    for wid in 1..=3 {
        daemon.wait_until("a worker to serve", |_| {
            std::net::TcpStream::connect(("127.0.0.1", port + wid)).is_ok()
        });
    }
    daemon.done("reload", "web");
    assert_eq!(daemon.pids("web").len(), 3);
}

#[test]
fn the_web_application_serves_from_one_socket_and_writes_its_log() {
    if !skip::can_run(
        "the_web_application_serves_from_one_socket_and_writes_its_log",
        &["python3", "--version"],
    ) {
        return;
    }
    let (text, port) = with_free_port(&shipped("examples/web.ini"), "8080");
    let logs = tempfile::tempdir().unwrap();
    let worker = programs::workspace().join("conf/examples/web_worker.py");
    let text = text
        .replace("target/", &format!("{}/", logs.path().display()))
        .replace("conf/examples/web_worker.py --fd", &format!("{} --fd", worker.display()));
    let daemon = Plan::new(&text).start();
    let before = daemon.wait_pids("web", 3);
    let visit = || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, pid) = answer.rsplit_once(' ').unwrap();
        pid.trim().parse::<i32>().unwrap()
    };
    assert!(before.contains(&visit()));
    daemon.done("reload", "web");
    let after = daemon.pids("web");
    assert!(after.iter().all(|pid| !before.contains(pid)));
    assert!(after.contains(&visit()));
    daemon.wait_until("both visits in the log", |_| {
        let log = fs::read_to_string(logs.path().join("web.log")).unwrap_or_default();
        log.matches("] | 127.0.0.1 \"GET / HTTP/1.0\" 200").count() == 2
    });
    daemon.wait_pids("circusd-stats", 1);
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}

#[test]
fn plugins_and_hooks_look_after_a_server_its_client_and_two_bad_workers() {
    if !skip::can_run(
        "plugins_and_hooks_look_after_a_server_its_client_and_two_bad_workers",
        &["perl", "-e", "0"],
    ) {
        return;
    }
    let (text, port) = with_free_port(&shipped("examples/plugins.ini"), "8095");
    let (text, metrics) = with_free_port(&text, "9127");
    let files = tempfile::tempdir().unwrap();
    let place = files.path().display().to_string();
    let script = files.path().join("plugins_server.pl");
    fs::write(&script, shipped("examples/plugins_server.pl")).unwrap();
    let daemon =
        Plan::new(&text.replace("conf/examples", &place).replace("target/", &format!("{place}/"))).start();
    let visit = |port: u16, path: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let says =
        |text: &str| fs::read_to_string(files.path().join("plugins.log")).unwrap_or_default().contains(text);
    // The hooks said yes.
    daemon.wait_pids("client", 1);
    let (server, hog) = (daemon.the_pid("server"), daemon.wait_pids("hog", 1)[0]);
    assert!(visit(port, "/").is_some_and(|answer| answer.ends_with(&format!("hello from {server}\n"))));
    daemon.wait_until("the crasher to be stopped", |_| says("crasher: flapping detected: retry in  5s"));
    daemon.wait_until("a restart of the hog", |daemon| daemon.pids("hog").iter().any(|pid| *pid != hog));
    daemon.wait_until("the exits of the crasher", |_| {
        visit(metrics, "/metrics").is_some_and(|text| {
            text.contains(r#"circus_watcher_exits_total{watcher="crasher",code="3",expected="false"}"#)
        })
    });
    let mut round = 0;
    daemon.wait_until("a restart of the server whose script has changed", |daemon| {
        round += 1;
        fs::write(&script, format!("{}# {round}\n", shipped("examples/plugins_server.pl"))).unwrap();
        // A pause between two changes: the plugin waits until it is quiet.
        std::thread::park_timeout(std::time::Duration::from_millis(500));
        daemon.pids("server").first().is_some_and(|pid| *pid != server)
    });
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    let hooks = fs::read_to_string(files.path().join("plugins-hooks.log")).unwrap();
    assert_eq!(hooks, "client was stopped\n");
}

#[test]
fn the_worker_needs_redis_and_finds_it() {
    if !skip::can_run("the_worker_needs_redis_and_finds_it", &["redis-server", "--version"]) {
        return;
    }
    let (text, port) = with_free_port(&shipped("examples/redis.ini"), "6399");
    let daemon = Plan::new(&text).start();
    let port = port.to_string();
    daemon.wait_until("the worker's beat", |_| {
        let beats = std::process::Command::new("redis-cli")
            .args(["-p", &port, "get", "circus:beats"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&beats.stdout).trim().parse::<u32>().is_ok_and(|beats| beats > 0)
    });
    let redis = daemon.the_pid("redis");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success() && !process::lives(redis));
}
