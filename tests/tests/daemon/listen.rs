//! `circusctl listen` against the real daemon: where it finds the events.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use circus_tests::daemon::{Daemon, Plan, programs, wait::wait_end};
use rustix::process::{Pid, Signal, kill_process};

const WEB: &str = "[watcher:web]\ncmd = sleep 1000\n";

/// `circusctl listen`, its output in files of the daemon's folder.
fn listen(daemon: &Daemon, arguments: &[&str], environment: Option<&str>) -> Child {
    let file = |name: &str| File::create(daemon.path(name)).unwrap();
    let mut command = Command::new(programs::program("circusctl"));
    command.args(["--timeout", "1"]).args(arguments).args(["listen", "watcher.web."]);
    command.env_remove("CIRCUSCTL_ENDPOINT").envs(environment.map(|value| ("CIRCUSCTL_ENDPOINT", value)));
    command.stdin(Stdio::null()).stdout(file("heard")).stderr(file("complaints")).spawn().unwrap()
}

fn text(daemon: &Daemon, name: &str) -> String {
    fs::read_to_string(daemon.path(name)).unwrap_or_default()
}

/// Waits until it is heard that the watcher is reloaded, then interrupts.
fn heard(daemon: &Daemon, mut listener: Child) {
    daemon.wait_until("an event", |daemon| {
        daemon.done("reload", "web");
        text(daemon, "heard").contains("watcher.web.reload: {")
    });
    kill_process(Pid::from_child(&listener), Signal::INT).unwrap();
    assert_eq!(wait_end(&mut listener).code(), Some(1));
}

#[test]
fn a_control_endpoint_leads_to_the_events_of_its_daemon() {
    let daemon = Daemon::start(WEB);
    let events = format!("ipc://{}", daemon.path("events").display());
    heard(&daemon, listen(&daemon, &["--endpoint", &events], None));
    assert_eq!(text(&daemon, "complaints"), "");
    heard(&daemon, listen(&daemon, &["--endpoint", &daemon.endpoint()], None));
    let told =
        format!("circusctl: {} is for commands, listening to its events at {events}\n", daemon.endpoint());
    assert_eq!(text(&daemon, "complaints"), told);
    heard(&daemon, listen(&daemon, &[], Some(&daemon.endpoint())));
    assert_eq!(text(&daemon, "complaints"), "");
}

#[test]
fn nobody_at_the_address_is_told_and_waited_for() {
    for name in ["events", "control"] {
        let daemon = Plan::new(WEB).prepare();
        let endpoint = format!("ipc://{}", daemon.path(name).display());
        let listener = listen(&daemon, &["--endpoint", &endpoint], None);
        let told = format!("circusctl: nobody publishes events at {endpoint}, waiting\n");
        daemon.wait_until("a word of it", |daemon| text(daemon, "complaints") == told);
        daemon.spawn_again();
        heard(&daemon, listener);
        assert_eq!(text(&daemon, "complaints").matches("nobody").count(), 1);
    }
}
