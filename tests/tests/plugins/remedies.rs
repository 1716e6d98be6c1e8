//! Plugins that act: Flapping, ResourceWatcher, WatchDog, CommandReloader.

use std::{fs, os::unix::fs::PermissionsExt};

use circus_tests::daemon::Daemon;
use serde_json::json;

use super::{
    LOGGED,
    servers::{Statsd, free_port},
    wait_started,
};

fn plugin_log(daemon: &Daemon) -> String {
    fs::read_to_string(daemon.path("all.log")).unwrap_or_default()
}

#[test]
fn a_crash_loop_is_stopped_and_tried_again_and_given_up() {
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:bad]\ncmd = sh -c \"sleep 0.1; exit 3\"\nrespawn_healthy = 0\nautostart = False\n\
         [plugin:flapping]\nuse = circus.plugins.flapping.Flapping\nretry_in = 1\nmax_retry = 1\n"
    ));
    wait_started(&daemon, 1);
    let events = daemon.events();
    daemon.ok("start", json!({"name": "bad"}));
    daemon.wait_until("a stop by the plugin", |daemon| {
        plugin_log(daemon).contains("bad: flapping detected: retry in  1s (attempt number 1)")
    });
    events.wait_count("bad", "start", 2);
    daemon.wait_until("the end of the tries", |daemon| {
        plugin_log(daemon).contains("bad: flapping detected: reached max retry limit")
    });
    daemon.wait_status("bad", "stopped");
    assert_eq!(events.of("bad").iter().filter(|seen| seen.event == "start").count(), 2);
}

#[test]
fn who_stops_a_flapping_watcher_has_it_stopped() {
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:bad]\ncmd = sh -c \"sleep 0.1; exit 3\"\nrespawn_healthy = 0\nautostart = False\n\
         [plugin:flapping]\nuse = Flapping\nretry_in = 2\n"
    ));
    wait_started(&daemon, 1);
    daemon.ok("start", json!({"name": "bad"}));
    daemon.wait_until("a stop by the plugin", |daemon| plugin_log(daemon).contains("attempt number 1"));
    daemon.wait_status("bad", "stopped");
    daemon.ok("stop", json!({"name": "bad"}));
    daemon.wait_until("the plugin to see it", |daemon| {
        plugin_log(daemon).contains("bad: was stopped by somebody else, so it is not started again")
    });
    assert_eq!(daemon.status("bad"), "stopped");
}

#[test]
fn restarts_that_were_asked_for_are_not_flapping() {
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:good]\ncmd = sleep 1000\nnumprocesses = 3\n\
         [plugin:flapping]\nuse = Flapping\n[plugin:probe]\nuse = Flapping\nattempts = 1\n"
    ));
    wait_started(&daemon, 2);
    for _ in 0..3 {
        daemon.done("restart", "good");
        daemon.done("reload", "good");
    }
    assert_eq!(daemon.pids("good").len(), 3);
    assert!(!plugin_log(&daemon).contains("flapping detected"), "{}", plugin_log(&daemon));
}

#[test]
fn a_memory_hog_is_restarted_and_counted_and_a_modest_worker_is_not() {
    let statsd = Statsd::start();
    let limits = |watcher: &str| {
        format!(
            "[plugin:{watcher}-limits]\nuse = circus.plugins.resource_watcher.ResourceWatcher\n\
             watcher = {watcher}\nloop_rate = 0.2\nmax_mem = 40M\nmax_count = 1\nport = {}\n",
            statsd.port()
        )
    };
    // The shell itself holds 64 MiB.
    let hog = "x=$(head -c 67108864 /dev/zero | tr \\\\0 x); while :; do sleep 1; done";
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:hog]\ncmd = {hog}\nshell = True\ncopy_env = True\nstop_children = True\n\
         [watcher:modest]\ncmd = sleep 1000\n{}{}",
        limits("hog"),
        limits("modest")
    ));
    let (old, modest) = (daemon.wait_pids("hog", 1)[0], daemon.wait_pids("modest", 1)[0]);
    statsd.wait("over_memory", |line| line == "circus.app.watcher._resource_watcher.hog.over_memory:1|c");
    statsd.wait("restarting", |line| line == "circus.app.watcher._resource_watcher.hog.restarting:1|c");
    daemon.wait_other("hog", old);
    assert_eq!(daemon.the_pid("modest"), modest);
}

#[test]
fn a_silent_worker_is_killed_and_a_beating_one_lives() {
    let port = free_port();
    let beat = format!("while :; do echo \"$$;1\" > /dev/udp/127.0.0.1/{port}; sleep 0.1; done");
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:silent]\ncmd = sleep 1000\n[watcher:beating]\ncmd = bash -c '{beat}'\n\
         [plugin:dog]\nuse = circus.plugins.watchdog.WatchDog\nloop_rate = 0.5\nmax_count = 3\nport = {port}\n"
    ));
    let (silent, beating) = (daemon.wait_pids("silent", 1)[0], daemon.wait_pids("beating", 1)[0]);
    daemon.wait_other("silent", silent);
    let line = format!("watcher:silent, pid:{silent} is not responding. Kill it !");
    assert!(plugin_log(&daemon).contains(&line), "{}", plugin_log(&daemon));
    assert_eq!(daemon.the_pid("beating"), beating);
}

#[test]
fn a_program_that_changes_is_restarted() {
    let daemon = Daemon::start(&format!(
        "{LOGGED}[plugin:reload]\nuse = circus.plugins.command_reloader.CommandReloader\n"
    ));
    wait_started(&daemon, 1);
    let script = daemon.path("serve");
    let write = |text: &str| {
        fs::write(&script, format!("#!/bin/sh\n{text}\nsleep 1000\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(": first");
    daemon.ok(
        "add",
        json!({"name": "script", "cmd": "./serve --with arguments", "start": true, "waiting": true,
                            "options": {"working_dir": daemon.dir()}}),
    );
    let old = daemon.wait_pids("script", 1)[0];
    // The plugin needs a moment to see it first, of which nobody tells: so it is changed until it is noticed.
    let mut round = 0;
    daemon.wait_until("a restart", |daemon| {
        round += 1;
        write(&format!(": {round}"));
        // A pause between two changes: the plugin waits until it is quiet.
        std::thread::park_timeout(std::time::Duration::from_millis(500));
        daemon.pids("script").first().is_some_and(|pid| *pid != old)
    });
    daemon.wait_until("a restart that has ended", |daemon| daemon.status("script") == "active");
    assert!(plugin_log(&daemon).contains("/serve modified. Restarting."), "{}", plugin_log(&daemon));
}
