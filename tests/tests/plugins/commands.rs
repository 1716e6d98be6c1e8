//! How circusd runs plugins, and the command they give it.

use std::{fs, process::Command};

use circus_tests::daemon::{Daemon, programs::program, wait::wait_end};
use serde_json::json;

use super::{LOGGED, servers::Statsd, wait_started};

const FLAPPING: &str = "[plugin:flapping]\nuse = circus.plugins.flapping.Flapping\n";

#[test]
fn a_plugin_is_a_watcher_like_any_other() {
    let daemon =
        Daemon::start(&format!("{LOGGED}[watcher:web]\ncmd = sleep 1000\n{FLAPPING}max_retry = 2\n"));
    wait_started(&daemon, 1);
    assert_eq!(daemon.status("plugin:flapping"), "active");
    let options = daemon.ok("options", json!({"name": "plugin:flapping"}))["options"].clone();
    for (key, value) in [
        ("priority", json!(1)),
        ("singleton", json!(true)),
        ("copy_env", json!(true)),
        ("max_retry", json!(2)),
        ("close_child_stdout", json!(true)),
        ("close_child_stderr", json!(true)),
    ] {
        assert_eq!(options[key], value, "{key}");
    }
    let log = fs::read_to_string(daemon.path("all.log")).unwrap();
    for line in [
        "] Loading the plugin...\n".to_owned(),
        format!("] Endpoint: '{}'\n", daemon.endpoint()),
        format!("] Pub/sub: 'ipc://{}'\n", daemon.path("events").display()),
    ] {
        assert!(
            log.contains(&format!("flapping[{}] [INFO{line}", daemon.the_pid("plugin:flapping"))),
            "{line}{log}"
        );
    }
    daemon.done("stop", "plugin:flapping");
    let log = fs::read_to_string(daemon.path("all.log")).unwrap();
    assert!(log.contains("] Stopping\n"), "{log}");
}

#[test]
fn an_inactive_plugin_is_not_started() {
    let daemon =
        Daemon::start(&format!("{LOGGED}[watcher:web]\ncmd = sleep 1000\n{FLAPPING}active = False\n"));
    daemon.wait_pids("web", 1);
    assert_eq!(daemon.status("plugin:flapping"), "stopped");
}

#[test]
fn plugins_come_change_and_go_with_the_configuration() {
    let head = format!("{LOGGED}[watcher:web]\ncmd = sleep 1000\n");
    let daemon = Daemon::start(&head);
    let web = daemon.wait_pids("web", 1);
    daemon.rewrite(&format!("{head}{FLAPPING}"));
    daemon.ok("reloadconfig", json!({"waiting": true}));
    let first = daemon.wait_pids("plugin:flapping", 1)[0];
    daemon.rewrite(&format!("{head}{FLAPPING}window = 3\n"));
    daemon.ok("reloadconfig", json!({"waiting": true}));
    daemon.wait_other("plugin:flapping", first);
    assert!(daemon.option("plugin:flapping", "cmd").as_str().unwrap().contains("window:3"));
    daemon.rewrite(&head);
    daemon.ok("reloadconfig", json!({"waiting": true}));
    assert_eq!(daemon.refused("status", json!({"name": "plugin:flapping"})).0, 3);
    assert_eq!(daemon.pids("web"), web);
}

#[test]
fn check_shows_plugins_and_names_what_is_none() {
    let daemon = circus_tests::daemon::Plan::new(
        "[plugin:a]\nuse = circus.plugins.flapping.Flaping\n[plugin:b]\nuse = Flapping\nretryin = 3\n",
    )
    .prepare();
    let output = Command::new(program("circusd")).arg("--check").arg(daemon.config()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{text}");
    for part in [
        "there is no plugin `circus.plugins.flapping.Flaping`; did you mean `circus.plugins.flapping.Flapping`?",
        "retryin: an option the plugin does not know; did you mean `retry_in`?",
        "plugin:b  1 x ",
        "circus.plugins.flapping.Flapping\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn notify_publishes_what_a_plugin_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let own = format!("ipc://{}/own", dir.path().display());
    let daemon =
        Daemon::start(&format!("[circus]\nevents_endpoint = {own}\n[watcher:We b]\ncmd = sleep 1000\n"));
    let heard = dir.path().join("heard");
    let mut listener = Command::new(program("circusctl"))
        .args(["--endpoint", &own, "--json", "listen", "circus."])
        .stdout(fs::File::create(&heard).unwrap())
        .spawn()
        .unwrap();
    daemon.wait_until("an own event", |daemon| {
        daemon.ok("notify", json!({"name": "we b", "attempt": 2, "retry_in": 7}));
        fs::read_to_string(&heard).unwrap_or_default().contains("circus.we_b.flapping")
    });
    let text = fs::read_to_string(&heard).unwrap();
    assert!(text.contains(r#""attempt": 2, "retry_in": 7.0"#), "{text}");
    _ = listener.kill();
    _ = listener.wait();
    assert_eq!(daemon.refused("notify", json!({"name": "nobody"})).0, 3);
    assert_eq!(daemon.refused("notify", json!({"name": "we b", "event": "reap"})).0, 3);
}

#[test]
fn a_plugin_survives_the_restart_of_its_daemon() {
    let daemon = Daemon::start(
        "[watcher:bad]\ncmd = sh -c \"sleep 0.1; exit 3\"\nrespawn_healthy = 0\nautostart = False\n",
    );
    let log = daemon.path("plugin.log");
    let mut plugin = Command::new(program("circus-plugin"))
        .args([
            "--endpoint",
            &daemon.endpoint(),
            "--pubsub",
            &format!("ipc://{}", daemon.path("events").display()),
        ])
        .args(["--config", "retry_in:60", "--log-output", &log.display().to_string(), "Flapping"])
        .spawn()
        .unwrap();
    let stops = || fs::read_to_string(&log).unwrap_or_default().matches("flapping detected").count();
    for round in 1..=2 {
        // The subscription of the plugin may arrive late: the loop goes on until it is noticed.
        daemon.ok("start", json!({"name": "bad"}));
        daemon.wait_until("a stop by the plugin", |_| stops() >= round);
        daemon.wait_status("bad", "stopped");
        if round == 1 {
            daemon.ok("quit", json!({}));
            daemon.wait_end();
            daemon.spawn_again();
        }
    }
    assert_eq!(stops(), 2);
    circus_tests::daemon::process::signal(plugin.id().cast_signed(), rustix::process::Signal::TERM);
    assert!(wait_end(&mut plugin).success());
}

/// Watchers are added one after the other, each with one `start` event, while circusd is ended, killed and started.
#[test]
fn after_restarts_of_circusd_no_event_comes_twice_or_out_of_order() {
    let (statsd, daemon) = (Statsd::start(), Daemon::start("[watcher:web]\ncmd = sleep 1000\n"));
    let mut plugin = Command::new(program("circus-plugin"))
        .args(["--endpoint", &daemon.endpoint()])
        .args(["--pubsub", &format!("ipc://{}", daemon.path("events").display())])
        .args(["--config", &format!("port:{}", statsd.port()), "StatsdEmitter"])
        .spawn()
        .unwrap();
    let started = |line: &str| -> Option<u32> {
        line.strip_prefix("circus.app.watcher.w")?.strip_suffix(".start:1|c")?.parse().ok()
    };
    let (mut seen, mut last) = (Vec::<u32>::new(), 0);
    let mut add = || {
        last += 1;
        let add = json!({"name": format!("w{last}"), "cmd": "sleep 1000", "start": true, "waiting": true});
        daemon.ok("add", add);
        last
    };
    for round in 0..3 {
        let before = seen.len();
        // The subscription may arrive late: events before it are missed.
        while seen.len() == before {
            add();
            seen.extend(std::iter::from_fn(|| statsd.next()).filter_map(|line| started(&line)));
        }
        let first = seen[before];
        let end = (0..5).map(|_| add()).last().unwrap();
        statsd.wait("the last event", |line| {
            seen.extend(started(line));
            seen.last() == Some(&end)
        });
        assert_eq!(seen[before..], (first..=end).collect::<Vec<_>>(), "round {round}");
        match round {
            0 => {
                daemon.ok("quit", json!({}));
                daemon.wait_end();
            }
            _ => daemon.kill_9(),
        }
        daemon.spawn_again();
    }
    circus_tests::daemon::process::signal(plugin.id().cast_signed(), rustix::process::Signal::TERM);
    assert!(wait_end(&mut plugin).success());
}
