//! On Python's circusd with its own circusd-stats.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use circus_tests::daemon::{Program, skip::skipped};
use tempfile::TempDir;

use crate::top;

/// Python's circusd; ends with the test.
struct Python {
    _child: Program,
    control: String,
    stats: String,
    _directory: TempDir,
}

impl Python {
    fn start(test: &str) -> Option<Self> {
        let Some(python) = env::var_os("CIRCUS_PYTHON") else {
            skipped(test, "CIRCUS_PYTHON");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let listeners = [(); 4].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [control, events, stats, web] = listeners.map(|it| it.local_addr().unwrap().to_string());
        let (control, stats) = (format!("tcp://{control}"), format!("tcp://{stats}"));
        let port = web.rsplit(':').next().unwrap_or_default().to_owned();
        let text = format!(
            "[circus]\nendpoint = {control}\npubsub_endpoint = tcp://{events}\nstats_endpoint = {stats}\n\
             statsd = True\ncheck_delay = 0.5\n\
             [socket:web]\nhost = 127.0.0.1\nport = {port}\n\
             [watcher:Dum my]\ncmd = sleep 1000\nnumprocesses = 2\n\
             [watcher:dotted.name]\ncmd = sleep 1000\n\
             [watcher:crash]\ncmd = sh -c \"sleep 0.3; exit 3\"\n"
        );
        fs::write(directory.path().join("circus.ini"), text).unwrap();
        let child = Program(spawn(Path::new(&python), directory.path()));
        Some(Self { _child: child, control, stats, _directory: directory })
    }
}

fn spawn(python: &Path, directory: &Path) -> Child {
    let mut command = Command::new(python);
    command.args(["-c", "from circus.circusd import main; main()", "circus.ini"]).current_dir(directory);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn circus_top_shows_pythons_daemon() {
    let Some(python) = Python::start("circus_top_shows_pythons_daemon") else { return };
    let arguments = ["--endpoint", &python.stats, "--control", &python.control];
    let mut terminal = top(&arguments, 40, 120);
    terminal.wait("every watcher", |shown| {
        let all = [
            "● live",
            "Dum my",
            "2/2",
            "dotted.name",
            "active",
            "circusd-stats",
            "sockets",
            "web 127.0.0.1:",
        ];
        all.iter().all(|it| shown.contains(it))
    });
    terminal.wait_for("exited with 3");
    // Python's circusd has no `why`: what we saw is marked as such.
    terminal.wait_for("+1");
    // Nor does it tell its version.
    terminal.wait_for("  up ");
    assert!(!terminal.shown().lines().take(2).any(|line| line.contains("circusd ")), "{}", terminal.shown());
    terminal.press("q");
    assert_eq!(terminal.wait_end().code(), Some(0));
    terminal.wait_clean();
}

#[test]
fn statistics_alone_are_enough() {
    let Some(python) = Python::start("statistics_alone_are_enough") else { return };
    let nobody = ["--endpoint", &python.stats, "--control", "ipc:///nonexistent/control"];
    let mut terminal = top(&nobody, 30, 100);
    terminal.wait("the watchers", |shown| {
        ["● live read-only", "dotted.name", "sleep"].iter().all(|it| shown.contains(it))
    });
    terminal.press("R");
    terminal.wait_for("read-only: nobody answers at ipc:///nonexistent/control");
    terminal.press("\x03");
    assert_eq!(terminal.wait_end().code(), Some(0));
    terminal.wait_clean();
}
