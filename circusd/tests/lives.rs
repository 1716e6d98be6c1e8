//! The lives of one circusd process: what a restart in place must not lose, and what must not hold up the end.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "a test may run a program and watch the clock")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use circus_common::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A circusd of its own, ended with the test.
struct Daemon {
    dir: TempDir,
    child: Child,
}

impl Daemon {
    fn start(watchers: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_circusd")), watchers)
    }

    /// The same by another program, which is to become circusd.
    fn start_by(mut command: Command, watchers: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let config = format!(
            "[circus]\nendpoint = ipc://{at}/control\npubsub_endpoint = ipc://{at}/events\n{watchers}"
        );
        fs::write(dir.path().join("circus.ini"), config).unwrap();
        let child = command
            .arg("circus.ini")
            .current_dir(dir.path())
            .env("RUNTIME_DIRECTORY", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { dir, child };
        until("the daemon answers", || daemon.call("numwatchers", json!({})).is_some());
        daemon
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Sends a request and returns its answer, if there is one in time.
    fn call(&self, command: &str, properties: Value) -> Option<Map<String, Value>> {
        let endpoint = format!("ipc://{}", self.path("control").display());
        let Value::Object(properties) = properties else { panic!("properties are an object") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut client = Client::connect(&endpoint, Duration::from_secs(2)).ok()?;
            client.call(command, properties).await.ok()
        })
    }

    fn pids(&self, watcher: &str) -> Vec<i32> {
        let reply = self.call("list", json!({"name": watcher})).unwrap_or_default();
        let pids = reply.get("pids").and_then(Value::as_array).cloned().unwrap_or_default();
        pids.iter().filter_map(Value::as_i64).map(|pid| i32::try_from(pid).unwrap()).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the daemon ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not in time");
        thread::sleep(Duration::from_millis(10));
    }
}

fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn script(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

#[test]
fn what_was_released_is_left_alone_also_after_a_restart_in_place() {
    let mut daemon = Daemon::start("[watcher:a]\ncmd = sleep 1000\n[watcher:b]\ncmd = sleep 1000\n");
    until("both run", || !daemon.pids("a").is_empty() && !daemon.pids("b").is_empty());
    let (released, managed) = (daemon.pids("a")[0], daemon.pids("b")[0]);
    daemon.call("rm", json!({"name": "a", "nostop": true})).unwrap();
    daemon.call("restart", json!({})).unwrap();
    until("another b runs", || daemon.pids("b").first().is_some_and(|pid| *pid != managed));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    let spared = lives(released);
    if spared {
        kill_process(Pid::from_raw(released).unwrap(), Signal::KILL).unwrap();
    }
    assert!(spared, "the quit has ended what `rm` with `nostop` had given away");
}

#[test]
fn a_term_in_the_middle_of_a_restart_in_place_ends_the_daemon() {
    let mut daemon = Daemon::start("");
    // A stray of an own session, whose parent has gone, that ignores TERM: the restart waits a few seconds for it.
    script(daemon.dir.path(), "stray", "trap '' TERM; touch there; sleep 1000\n");
    script(daemon.dir.path(), "worker", "(setsid sh stray &); exec sleep 1000\n");
    let options = json!({"copy_env": true});
    let properties =
        json!({"name": "a", "cmd": "sh worker", "start": true, "waiting": true, "options": options});
    daemon.call("add", properties).unwrap();
    until("the stray is there", || daemon.path("there").exists());
    let worker = daemon.pids("a")[0];
    daemon.call("restart", json!({})).unwrap();
    until("the worker is gone", || !lives(worker));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
}

#[test]
fn signals_that_were_blocked_by_whoever_started_it_end_the_daemon_all_the_same() {
    let mut blocking = Command::new("env");
    blocking.args(["--block-signal", env!("CARGO_BIN_EXE_circusd")]);
    let mut daemon = Daemon::start_by(blocking, "[watcher:a]\ncmd = sleep 1000\n");
    until("it runs", || !daemon.pids("a").is_empty());
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
}

#[test]
fn a_configuration_that_has_become_a_pipe_is_refused_and_holds_up_nothing() {
    let mut daemon = Daemon::start("[watcher:a]\ncmd = sleep 1000\n");
    fs::remove_file(daemon.path("circus.ini")).unwrap();
    let fifo = daemon.path("circus.ini");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let reply = daemon.call("reloadconfig", json!({})).expect("an answer");
    assert!(
        reply["reason"].as_str().is_some_and(|reason| reason.contains("not a regular file")),
        "{reply:?}"
    );
    assert!(daemon.call("rm", json!({"name": "a", "waiting": true})).is_some(), "what would queue behind it");
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
}
