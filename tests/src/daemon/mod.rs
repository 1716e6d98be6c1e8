//! The real circusd with real processes, one for each test.
//!
//! Every daemon has a folder of its own with its configuration, endpoints, slot table and log, so tests run side by
//! side. Nothing is left behind when it is dropped, whatever the test did: see `cleanup`.
#![expect(clippy::disallowed_methods, reason = "a test runs programs, watches the clock and waits")]

mod call;
mod cleanup;
mod listener;
pub mod process;
pub mod programs;
mod recorder;
pub mod skip;
pub mod wait;

use std::{
    cell::RefCell,
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub use self::{call::Asked, cleanup::Program, listener::Listener, recorder::Recorder, wait::SLACK};

/// The words before a command that make it process 1 of a pid namespace of its own, as in a container.
pub const CONTAINED: [&str; 6] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--"];

/// A name no test gives a watcher: it shows that a subscription has arrived.
const PROBE: &str = "harness-probe";

/// How a daemon is started, when that differs from the usual.
#[derive(Debug)]
pub struct Plan {
    config: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    under: Vec<String>,
}

impl Plan {
    /// A configuration; `[circus]` is completed with endpoints of the daemon's own where it does not name any.
    #[must_use]
    pub fn new(config: &str) -> Self {
        Self { config: config.to_owned(), arguments: Vec::new(), environment: Vec::new(), under: Vec::new() }
    }

    /// Further arguments of circusd.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// A variable of circusd's own environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command circusd is run by, such as `unshare --pid`.
    #[must_use]
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Starts it and waits until it answers.
    #[must_use]
    pub fn start(self) -> Daemon {
        let daemon = self.prepare();
        daemon.spawn();
        daemon.wait_answers();
        daemon
    }

    /// Only lays everything out: the test runs circusd itself.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn prepare(self) -> Daemon {
        let dir = tempfile::Builder::new().prefix("circus-").tempdir().expect("a folder is made");
        fs::create_dir(dir.path().join("run")).expect("a folder is made");
        rustix::fs::chmod(dir.path().join("run"), 0o700.into()).expect("the mode is set");
        let daemon = Daemon { child: RefCell::new(None), others: RefCell::default(), plan: self, dir };
        daemon.rewrite(&daemon.plan.config);
        daemon
    }
}

/// A circusd and its folder.
#[derive(Debug)]
pub struct Daemon {
    child: RefCell<Option<Child>>,
    /// Processes to be ended at the end besides circusd's own.
    others: RefCell<Vec<i32>>,
    plan: Plan,
    dir: TempDir,
}

impl Daemon {
    /// Starts one with this configuration and waits until it answers.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Plan::new(config).start()
    }

    /// Its folder, which is also its current directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("circus.ini")
    }

    /// Its control endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("ipc://{}", self.path("control").display())
    }

    /// Replaces its configuration file. The lines that name the endpoints come last, so line numbers are the text's.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rewrite(&self, config: &str) {
        let tail = format!(
            "\n[circus]\nendpoint = {}\npubsub_endpoint = ipc://{}\nmulticast_endpoint =\n",
            self.endpoint(),
            self.path("events").display()
        );
        fs::write(self.config(), config.to_owned() + &tail).expect("the configuration is written");
    }

    /// circusd, ready to be run in this folder by the test itself.
    ///
    /// # Panics
    /// When its log cannot be opened.
    #[must_use]
    pub fn command(&self) -> Command {
        let circusd = programs::program("circusd");
        let mut command = match self.plan.under.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(circusd);
                command
            }
            None => Command::new(circusd),
        };
        command.arg(self.config()).args(&self.plan.arguments).current_dir(self.dir());
        command.env("RUNTIME_DIRECTORY", self.path("run")).env_remove("NOTIFY_SOCKET");
        command.envs(self.plan.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(self.append("output")).stderr(self.append("log"));
        command
    }

    fn append(&self, name: &str) -> File {
        File::options().append(true).create(true).open(self.path(name)).expect("a file is opened")
    }

    /// Runs circusd, once more after its end.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn spawn(&self) {
        *self.child.borrow_mut() = Some(self.command().spawn().expect("circusd is run"));
    }

    /// Runs circusd again and waits until it answers.
    pub fn spawn_again(&self) {
        self.spawn();
        self.wait_answers();
    }

    /// Waits until it answers.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn wait_answers(&self) {
        let endpoint = self.path("control");
        self.wait_until("circusd's endpoint", |daemon| {
            assert!(!daemon.has_ended(), "circusd has ended:\n{}", daemon.log());
            std::os::unix::net::UnixStream::connect(&endpoint).is_ok()
        });
        self.ok("numwatchers", json!({}));
    }

    /// Its pid.
    ///
    /// # Panics
    /// When it was not started.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.borrow().as_ref().expect("circusd was started").id().cast_signed()
    }

    /// Whether it is gone.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.child.borrow_mut().as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait_end(&self) -> ExitStatus {
        self.wait_for("circusd's end", |daemon| {
            daemon.child.borrow_mut().as_mut().and_then(|child| child.try_wait().ok().flatten())
        })
    }

    /// Sends circusd a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Kills circusd without warning. What it leaves is the test's matter, and is ended at the test's end.
    pub fn kill_9(&self) {
        self.others.borrow_mut().extend(process::living_descendants(self.pid()));
        self.signal(Signal::KILL);
        assert_eq!(self.wait_end().signal(), Some(9));
    }

    /// A process to be ended at the end though circusd does not know it.
    pub fn end_later(&self, pid: i32) {
        self.others.borrow_mut().push(pid);
    }

    /// Asks and returns the answer, a refusal too.
    ///
    /// # Panics
    /// When there is no answer.
    #[expect(clippy::needless_pass_by_value, reason = "it is written in place: `json!({..})`")]
    pub fn call(&self, command: &str, properties: Value) -> Map<String, Value> {
        match call::call(&self.endpoint(), command, &properties) {
            Ok(reply) => reply,
            Err(error) => panic!("no answer to {command} {properties}: {error}\n{}", self.log()),
        }
    }

    /// Asks for what must not be refused.
    ///
    /// # Panics
    /// When it is.
    pub fn ok(&self, command: &str, properties: Value) -> Map<String, Value> {
        let asked = format!("{command} {properties}");
        let reply = self.call(command, properties);
        assert_ne!(reply.get("status"), Some(&json!("error")), "{asked}: {reply:?}");
        reply
    }

    /// Asks for what must be refused, and returns errno and reason.
    ///
    /// # Panics
    /// When it is not.
    pub fn refused(&self, command: &str, properties: Value) -> (i64, String) {
        let reply = self.call(command, properties);
        let refusal = circus_common::client::reply_error(&reply);
        let (number, reason) = refusal.unwrap_or_else(|| panic!("{command} is not refused: {reply:?}"));
        (number, reason.to_owned())
    }

    /// Asks and waits for the work to be done.
    pub fn done(&self, command: &str, name: &str) -> Map<String, Value> {
        self.ok(command, json!({"name": name, "waiting": true}))
    }

    /// Changes one option and waits for the work to be done.
    pub fn set(&self, name: &str, option: &str, value: Value) {
        self.ok("set", json!({"name": name, "options": {option: value}, "waiting": true}));
    }

    /// Asks on a connection of its own, and goes on.
    pub fn ask(&self, command: &str, properties: Value) -> Asked {
        Asked::new(self.endpoint(), command.to_owned(), properties)
    }

    /// Runs circusctl against it.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        Command::new(programs::program("circusctl"))
            .args(["--timeout", "60", "--endpoint", &self.endpoint()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("circusctl is run")
    }

    /// Begins to write down events, once what starts with the daemon has started; the subscription has arrived when
    /// this returns.
    ///
    /// # Panics
    /// When it never arrives.
    #[must_use]
    pub fn events(&self) -> Recorder {
        self.wait_until("the first start to end", |daemon| {
            let reply = daemon.ok("status", json!({}));
            reply["statuses"]
                .as_object()
                .is_some_and(|states| states.values().all(|state| state != "starting"))
        });
        let recorder = Recorder::follow(format!("ipc://{}", self.path("events").display()));
        self.wait_until("a subscription", |daemon| {
            daemon.ok("add", json!({"name": PROBE, "cmd": "true"}));
            daemon.ok("rm", json!({"name": PROBE, "waiting": true}));
            // The next request is answered after the event was handed over, not after it has arrived.
            !recorder.of(PROBE).is_empty()
        });
        wait::wait_until("the end of the probe", || recorder.words(PROBE).ends_with("remove"));
        recorder.clear();
        recorder
    }

    /// The pids of a watcher's processes, in order of spawn.
    pub fn pids(&self, name: &str) -> Vec<i32> {
        let reply = self.ok("list", json!({"name": name}));
        let pids = reply["pids"].as_array().expect("`pids` is a list").iter();
        pids.filter_map(|pid| i32::try_from(pid.as_i64()?).ok()).collect()
    }

    /// The pid of a watcher's one process.
    ///
    /// # Panics
    /// When it has none, or several.
    pub fn the_pid(&self, name: &str) -> i32 {
        match self.pids(name)[..] {
            [pid] => pid,
            ref pids => panic!("{name} has not one process but {pids:?}"),
        }
    }

    /// Waits until a watcher has so many processes, and returns their pids.
    pub fn wait_pids(&self, name: &str, count: usize) -> Vec<i32> {
        self.wait_for(&format!("{count} processes of {name}"), |daemon| {
            Some(daemon.pids(name)).filter(|pids| pids.len() == count)
        })
    }

    /// Waits until a watcher's one process is another than this.
    pub fn wait_other(&self, name: &str, old: i32) -> i32 {
        self.wait_for(&format!("a new process of {name}"), |daemon| match daemon.pids(name)[..] {
            [pid] if pid != old => Some(pid),
            _ => None,
        })
    }

    /// The state of a watcher.
    pub fn status(&self, name: &str) -> String {
        self.ok("status", json!({"name": name}))["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a watcher is in that state.
    pub fn wait_status(&self, name: &str, status: &str) {
        self.wait_until(&format!("{name} to be {status}"), |daemon| daemon.status(name) == status);
    }

    /// The value of an option.
    pub fn option(&self, name: &str, option: &str) -> Value {
        self.ok("get", json!({"name": name, "keys": [option]}))["options"][option].clone()
    }

    /// Slots of a watcher's processes, in order of spawn.
    pub fn wids(&self, name: &str) -> Vec<i64> {
        let reply = self.ok("stats", json!({"name": name}));
        let wid = |pid: &i32| reply["info"][pid.to_string()]["wid"].as_i64();
        self.pids(name).iter().filter_map(wid).collect()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// Waits until its log holds that text.
    pub fn wait_log(&self, text: &str) {
        self.wait_until(&format!("the log line `{text}`"), |daemon| daemon.log().contains(text));
    }

    /// Waits until that text stands in its log so often, and checks that it is not more often.
    ///
    /// # Panics
    /// When it is.
    pub fn wait_lines(&self, text: &str, count: usize) {
        let found = || self.log().matches(text).count();
        self.wait_until(&format!("{count} log lines `{text}`"), |_| found() >= count);
        assert_eq!(found(), count, "{text}:\n{}", self.log());
    }

    /// The text of a file in its folder, once its last line is whole.
    pub fn wait_file(&self, name: &str) -> String {
        self.wait_for(&format!("the file {name}"), |daemon| {
            fs::read_to_string(daemon.path(name)).ok().filter(|text| text.ends_with('\n'))
        })
    }

    /// Looks until there is something.
    pub fn wait_for<T>(&self, reason: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        wait::wait_for(reason, || look(self))
    }

    /// Looks until it is so.
    pub fn wait_until(&self, reason: &str, mut look: impl FnMut(&Self) -> bool) {
        wait::wait_until(reason, || look(self));
    }
}
