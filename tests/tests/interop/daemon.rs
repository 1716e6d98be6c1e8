//! Our circusd with the configuration that all these tests share, on tcp or ipc. Ends with its test.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use circus_tests::daemon::{programs::program, skip::skipped};
use tempfile::TempDir;

/// How long anything may take before the test has failed.
const LIMIT: Duration = Duration::from_secs(60);

const WATCHERS: &str = "
[socket:ux]
path = ux.sock
[watcher:Web]
cmd = sleep 1000
numprocesses = 2
graceful_timeout = 2
flapping.max_retry = 2

[watcher:one]
cmd = sleep 1000

[watcher:sleep er]
cmd = sleep 1000
singleton = True

[watcher:marker]
cmd = sleep 1000

[watcher:down]
cmd = sleep 1000
autostart = False
uid = UID

[env]
A = 1
B = two words
";

/// A running circusd in a directory of its own.
pub struct Daemon {
    child: Child,
    directory: TempDir,
    /// Where it takes commands.
    pub endpoint: String,
    /// Where it publishes events.
    pub pubsub: String,
}

impl Daemon {
    /// Runs the shared watchers on two free TCP ports.
    pub fn start() -> Self {
        let [endpoint, pubsub] = free_ports().map(|port| format!("tcp://127.0.0.1:{port}"));
        Self::on(tempfile::tempdir().unwrap(), endpoint, pubsub)
    }

    /// Runs the shared watchers and publishes their figures too; its statistics endpoint as well.
    pub fn start_with_statistics() -> (Self, String) {
        let [endpoint, pubsub] = free_ports().map(|port| format!("tcp://127.0.0.1:{port}"));
        let stats = format!("tcp://127.0.0.1:{}", free_ports()[0]);
        let head = format!("[circus]\nstatsd = True\nstats_endpoint = {stats}\n");
        let daemon = Self::run(tempfile::tempdir().unwrap(), &(head + &watchers()), endpoint, pubsub);
        daemon.wait_until_active(5);
        (daemon, stats)
    }

    /// Runs the shared watchers on two ipc endpoints.
    pub fn start_on_ipc() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [endpoint, pubsub] = on_ipc(&directory);
        Self::on(directory, endpoint, pubsub)
    }

    fn on(directory: TempDir, endpoint: String, pubsub: String) -> Self {
        let text = format!("[circus]\ncheck_delay = 0.5\n{}", watchers());
        let daemon = Self::run(directory, &text, endpoint, pubsub);
        daemon.wait_until_active(4);
        daemon
    }

    /// Runs a configuration, with the endpoints put before it.
    fn run(directory: TempDir, text: &str, endpoint: String, pubsub: String) -> Self {
        let head =
            format!("[circus]\nendpoint = {endpoint}\npubsub_endpoint = {pubsub}\nmulticast_endpoint =\n");
        fs::write(directory.path().join("circus.ini"), head + text).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let mut command = circusd(directory.path());
        command.arg("circus.ini").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().unwrap(), directory, endpoint, pubsub }
    }

    /// Waits until so many watchers are active, and returns their names.
    fn wait_until_active(&self, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let output = self.ask(&mut Command::new(program("circusctl")), &["--timeout", "1", "status"]);
            let text = String::from_utf8(output.stdout).unwrap();
            let active: Vec<_> = text.lines().filter_map(|line| line.strip_suffix(": active")).collect();
            if active.len() == count {
                return active.into_iter().map(str::to_owned).collect();
            }
            assert!(begun.elapsed() < LIMIT, "circusd does not come up: {}", self.log());
            // A pause between two looks, not a wait for something.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Runs a program that finds the daemon by `CIRCUSCTL_ENDPOINT`.
    pub fn ask(&self, command: &mut Command, args: &[&str]) -> Output {
        command.args(args).env("CIRCUSCTL_ENDPOINT", &self.endpoint).stdin(Stdio::null()).output().unwrap()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The workers lead sessions of their own: only circusd itself can end them.
        _ = self.ask(&mut Command::new(program("circusctl")), &["quit", "--waiting"]);
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn watchers() -> String {
    WATCHERS.replace("UID", &rustix::process::getuid().as_raw().to_string())
}

/// Runs a configuration until so many watchers are active, and returns their names.
pub fn active_of(text: &str, count: usize) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let [endpoint, pubsub] = on_ipc(&directory);
    Daemon::run(directory, text, endpoint, pubsub).wait_until_active(count)
}

fn on_ipc(directory: &TempDir) -> [String; 2] {
    ["control", "events"].map(|name| format!("ipc://{}", directory.path().join(name).display()))
}

/// circusd in that directory, with a slot table that no other test shares.
pub fn circusd(directory: &Path) -> Command {
    let mut command = Command::new(program("circusd"));
    command.current_dir(directory).env("RUNTIME_DIRECTORY", directory);
    command
}

/// A Python with circus 0.19.0, or says why the test is skipped.
pub fn python(test: &str) -> Option<Command> {
    let Some(python) = env::var_os("CIRCUS_PYTHON") else {
        skipped(test, "CIRCUS_PYTHON");
        return None;
    };
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// Two ports that were free a moment ago.
pub fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
