//! A Python circusd that ends with its test.

use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long anything may take before the test has failed.
const LIMIT: Duration = Duration::from_secs(60);

const CONFIG: &str = "
[circus]
check_delay = 1
endpoint = ENDPOINT
pubsub_endpoint = PUBSUB
statsd = False

[watcher:Web]
cmd = sleep 1000

[watcher:single]
cmd = sleep 1000
singleton = True

[watcher:sleep er]
cmd = sleep 1000
numprocesses = 2

[env:sleep er]
BB = 2
AA = 1
";

/// A running Python circusd in a directory of its own. Ends with the test.
pub struct Daemon {
    child: Child,
    /// Where it takes commands.
    pub endpoint: String,
    /// Where it publishes events.
    pub pubsub: String,
    /// The Python that runs it.
    pub python: PathBuf,
    directory: TempDir,
}

impl Daemon {
    /// Starts one, or says why the test is skipped.
    pub fn start(test: &str) -> Option<Self> {
        let Some(python) = env::var_os("CIRCUS_PYTHON").map(PathBuf::from) else {
            assert!(env::var("CIRCUS_TESTS_REQUIRE").as_deref() != Ok("all"), "CIRCUS_PYTHON is not set");
            println!("SKIPPED {test}: needs CIRCUS_PYTHON");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let (endpoint, pubsub) = two_endpoints();
        let config = CONFIG.replace("ENDPOINT", &endpoint).replace("PUBSUB", &pubsub);
        fs::write(directory.path().join("circus.ini"), config).unwrap();
        let child = spawn_daemon(&python, &directory);
        let daemon = Self { child, endpoint, pubsub, python, directory };
        daemon.wait_until_active();
        Some(daemon)
    }

    pub fn wait_until_active(&self) {
        wait_for("every watcher to be active", || {
            let (_, stdout, _) = self.circusctl(&["--timeout", "1", "status"]);
            stdout.lines().filter(|line| line.ends_with(": active")).count() == 3
        });
    }

    pub fn restart(&mut self) {
        assert_eq!(self.circusctl(&["quit", "--waiting"]).0, 0);
        end(&mut self.child);
        self.child = spawn_daemon(&self.python, &self.directory);
        self.wait_until_active();
    }

    /// Exit status, stdout and stderr of our circusctl.
    pub fn circusctl(&self, args: &[&str]) -> (i32, String, String) {
        self.run(Command::new(assert_cmd::cargo::cargo_bin("circusctl")), args)
    }

    /// The same of Python's.
    pub fn pythons(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(&self.python);
        command
            .args(["-c", "import sys; sys.argv[0] = 'circusctl'; from circus.circusctl import main; main()"]);
        self.run(command, args)
    }

    pub fn run(&self, mut command: Command, args: &[&str]) -> (i32, String, String) {
        command.args(args).env("CIRCUSCTL_ENDPOINT", &self.endpoint).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The workers lead sessions of their own: only circusd itself can end them.
        _ = self.circusctl(&["quit", "--waiting"]);
        end(&mut self.child);
    }
}

fn spawn_daemon(python: &PathBuf, directory: &TempDir) -> Child {
    let mut command = Command::new(python);
    command.args(["-c", "from circus.circusd import main; main()", "circus.ini"]);
    command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Ends a child, whatever it does.
pub fn end(child: &mut Child) {
    _ = child.kill();
    let _ = child.wait();
}

/// Two ports that were free a moment ago.
fn two_endpoints() -> (String, String) {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let [first, second] = listeners.map(|it| format!("tcp://{}", it.local_addr().unwrap()));
    (first, second)
}

/// Waits for a condition.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "waited too long for {what}");
        // A pause between two looks, not a wait for something.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
